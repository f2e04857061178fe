"""Vector kernels of the Krylov methods, fused where a method needs several results of one pass.

Reductions add up chunks of fixed length and then the partial sums in order, so a result does not depend on the number
of threads. Reassociation is allowed inside a chunk (it lets the loop run in vector registers); the treatment of NaN
and infinity is untouched.
"""

import numpy as np
from numba import njit, prange

CHUNK = 4096
_FLAGS = {"reassoc", "contract"}


@njit(parallel=True, cache=True, fastmath=_FLAGS)
def dot(x, y):
    n = x.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    partial = np.zeros(chunks, dtype=(x[:1] * y[:1] * np.ones(1)).dtype)  # sums in double precision
    for c in prange(chunks):
        acc = partial[c]
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            acc += np.conj(x[i]) * y[i]
        partial[c] = acc
    return partial.sum()


@njit(parallel=True, cache=True)
def axpby(a, x, b, y):
    """y <- a x + b y."""
    n = x.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    for c in prange(chunks):
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            y[i] = a * x[i] + b * y[i]


@njit(parallel=True, cache=True, fastmath=_FLAGS)
def cg_step(alpha, p, q, x, r):
    """x <- x + alpha p; r <- r - alpha q; returns r . r."""
    n = x.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    partial = np.zeros(chunks)
    for c in prange(chunks):
        acc = 0.0
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            x[i] += alpha * p[i]
            s = r[i] - alpha * q[i]
            r[i] = s
            acc += (s * np.conj(s)).real
        partial[c] = acc
    return partial.sum()


@njit(parallel=True, cache=True)
def bicgstab_direction(r, beta, omega, v, p):
    """p <- r + beta (p - omega v)."""
    n = r.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    for c in prange(chunks):
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            p[i] = r[i] + beta * (p[i] - omega * v[i])


@njit(parallel=True, cache=True)
def add_two(a, x, b, y, z):
    """z <- z + a x + b y."""
    n = x.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    for c in prange(chunks):
        for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
            z[i] += a * x[i] + b * y[i]


@njit(parallel=True, cache=True, fastmath=_FLAGS)
def block_dot(v, k, w, h):
    """h[:k] <- conj(v[:k]) w, rows of v being the basis vectors."""
    n = w.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    partial = np.zeros((chunks, k), dtype=h.dtype)
    for c in prange(chunks):
        for j in range(k):
            acc = partial[c, j]
            for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
                acc += np.conj(v[j, i]) * w[i]
            partial[c, j] = acc
    for j in range(k):
        h[j] = 0.0
        for c in range(chunks):
            h[j] += partial[c, j]


@njit(parallel=True, cache=True)
def block_axpy(v, k, h, sign, w):
    """w <- w + sign sum_j h[j] v[j]."""
    n = w.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    for c in prange(chunks):
        for j in range(k):
            a = sign * h[j]
            for i in range(c * CHUNK, min(n, (c + 1) * CHUNK)):
                w[i] += a * v[j, i]
