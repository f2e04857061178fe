"""Vector kernels of the Krylov methods, fused where a method needs several results of one pass.

Reductions add up chunks of fixed length and then the partial sums in order, so a result does not depend on the number
of threads. Reassociation is allowed inside a chunk (it lets the loop run in vector registers); the treatment of NaN
and infinity is untouched. Short vectors stay on one thread: a parallel region costs microseconds when the machine is
idle, and milliseconds when other programs use its cores.

Loops run over unsigned numbers: with signed ones, which might count from the end of an array, the sums are not computed in
vector registers and take ten times as long.
"""

import numpy as np
from numba import njit, prange

CHUNK = 4096
SERIAL = 8  # chunks up to which one thread does the work
_FLAGS = {"reassoc", "contract"}


# Array expressions inside a parallel function become parallel regions of their own, so these live outside.
@njit(cache=True)
def _double_zeros(x, y, n):
    return np.zeros(n, dtype=(x[:1] * y[:1] * np.ones(1)).dtype)


@njit(cache=True)
def _zeros(n):
    return np.zeros(n)


@njit(cache=True)
def _zero_table(h, n, k):
    return np.zeros((n, k), dtype=h.dtype)


@njit(cache=True)
def _ordered_sum(partial):
    total = partial[:0].sum()
    for c in range(partial.shape[0]):
        total += partial[c]
    return total


@njit(cache=True, fastmath=_FLAGS)
def _dot(x, y, lo, hi, acc):
    for i in range(np.uint64(lo), np.uint64(hi)):
        acc += np.conj(x[i]) * y[i]
    return acc


@njit(parallel=True, cache=True)
def dot(x, y):
    """Conjugated inner product, summed in double precision."""
    n = x.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    partial = _double_zeros(x, y, chunks)
    if chunks <= SERIAL:
        for c in range(chunks):
            partial[c] = _dot(x, y, c * CHUNK, min(n, (c + 1) * CHUNK), partial[c])
    else:
        for c in prange(chunks):
            partial[c] = _dot(x, y, c * CHUNK, min(n, (c + 1) * CHUNK), partial[c])
    return _ordered_sum(partial)


@njit(parallel=True, cache=True)
def copy(x, y):
    """Y <- x, for long vectors."""
    n = x.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    for c in prange(chunks):
        for i in range(np.uint64(c * CHUNK), np.uint64(min(n, (c + 1) * CHUNK))):
            y[i] = x[i]


@njit(cache=True)
def _axpby(a, x, b, y, lo, hi):
    for i in range(np.uint64(lo), np.uint64(hi)):
        y[i] = a * x[i] + b * y[i]


@njit(parallel=True, cache=True)
def axpby(a, x, b, y):
    """Y <- a x + b y."""
    n = x.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    if chunks <= SERIAL:
        _axpby(a, x, b, y, 0, n)
    else:
        for c in prange(chunks):
            _axpby(a, x, b, y, c * CHUNK, min(n, (c + 1) * CHUNK))


@njit(cache=True, fastmath=_FLAGS)
def _cg_step(alpha, p, q, x, r, lo, hi):
    acc = 0.0
    for i in range(np.uint64(lo), np.uint64(hi)):
        x[i] += alpha * p[i]
        s = r[i] - alpha * q[i]
        r[i] = s
        acc += (s * np.conj(s)).real
    return acc


@njit(parallel=True, cache=True)
def cg_step(alpha, p, q, x, r):
    """X <- x + alpha p; r <- r - alpha q; returns r . r."""
    n = x.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    partial = _zeros(chunks)
    if chunks <= SERIAL:
        for c in range(chunks):
            partial[c] = _cg_step(alpha, p, q, x, r, c * CHUNK, min(n, (c + 1) * CHUNK))
    else:
        for c in prange(chunks):
            partial[c] = _cg_step(alpha, p, q, x, r, c * CHUNK, min(n, (c + 1) * CHUNK))
    return _ordered_sum(partial)


@njit(cache=True, fastmath=_FLAGS)
def _axpy_norm(a, x, y, lo, hi):
    acc = 0.0
    for i in range(np.uint64(lo), np.uint64(hi)):
        s = y[i] + a * x[i]
        y[i] = s
        acc += (s * np.conj(s)).real
    return acc


@njit(parallel=True, cache=True)
def axpy_norm(a, x, y):
    """Y <- y + a x; returns y . y."""
    n = x.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    partial = _zeros(chunks)
    if chunks <= SERIAL:
        for c in range(chunks):
            partial[c] = _axpy_norm(a, x, y, c * CHUNK, min(n, (c + 1) * CHUNK))
    else:
        for c in prange(chunks):
            partial[c] = _axpy_norm(a, x, y, c * CHUNK, min(n, (c + 1) * CHUNK))
    return _ordered_sum(partial)


@njit(cache=True)
def _step_and_turn(alpha, p, x, z, beta, lo, hi):
    for i in range(np.uint64(lo), np.uint64(hi)):
        x[i] += alpha * p[i]
        p[i] = z[i] + beta * p[i]


@njit(parallel=True, cache=True)
def step_and_turn(alpha, p, x, z, beta):
    """X <- x + alpha p; p <- z + beta p."""
    n = x.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    if chunks <= SERIAL:
        _step_and_turn(alpha, p, x, z, beta, 0, n)
    else:
        for c in prange(chunks):
            _step_and_turn(alpha, p, x, z, beta, c * CHUNK, min(n, (c + 1) * CHUNK))


@njit(cache=True)
def _add_two(a, x, b, y, z, lo, hi):
    for i in range(np.uint64(lo), np.uint64(hi)):
        z[i] += a * x[i] + b * y[i]


@njit(parallel=True, cache=True)
def add_two(a, x, b, y, z):
    """Z <- z + a x + b y."""
    n = x.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    if chunks <= SERIAL:
        _add_two(a, x, b, y, z, 0, n)
    else:
        for c in prange(chunks):
            _add_two(a, x, b, y, z, c * CHUNK, min(n, (c + 1) * CHUNK))


@njit(cache=True)
def _direction(r, beta, omega, v, p, lo, hi):
    for i in range(np.uint64(lo), np.uint64(hi)):
        p[i] = r[i] + beta * (p[i] - omega * v[i])


@njit(parallel=True, cache=True)
def bicgstab_direction(r, beta, omega, v, p):
    """P <- r + beta (p - omega v)."""
    n = r.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    if chunks <= SERIAL:
        _direction(r, beta, omega, v, p, 0, n)
    else:
        for c in prange(chunks):
            _direction(r, beta, omega, v, p, c * CHUNK, min(n, (c + 1) * CHUNK))


@njit(cache=True)
def _block_dot(v, k, w, lo, hi, row):
    for j in range(k):
        row[j] = _dot(v[j], w, lo, hi, row[j])


@njit(cache=True)
def _add_rows(partial, k, h):
    for j in range(k):
        h[j] = 0.0
        for c in range(partial.shape[0]):
            h[j] += partial[c, j]


@njit(parallel=True, cache=True)
def block_dot(v, k, w, h):
    """h[:k] <- conj(v[:k]) w, rows of v being the basis vectors."""
    n = w.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    partial = _zero_table(h, chunks, k)
    if chunks <= SERIAL:
        for c in range(chunks):
            _block_dot(v, k, w, c * CHUNK, min(n, (c + 1) * CHUNK), partial[c])
    else:
        for c in prange(chunks):
            _block_dot(v, k, w, c * CHUNK, min(n, (c + 1) * CHUNK), partial[c])
    _add_rows(partial, k, h)


@njit(cache=True)
def _block_axpy(v, k, h, sign, w, lo, hi):
    for j in range(k):
        a = sign * h[j]
        row = v[j]
        for i in range(np.uint64(lo), np.uint64(hi)):
            w[i] += a * row[i]


@njit(parallel=True, cache=True)
def block_axpy(v, k, h, sign, w):
    """W <- w + sign sum_j h[j] v[j]."""
    n = w.shape[0]
    chunks = (n + CHUNK - 1) // CHUNK
    if chunks <= SERIAL:
        for c in range(chunks):
            _block_axpy(v, k, h, sign, w, c * CHUNK, min(n, (c + 1) * CHUNK))
    else:
        for c in prange(chunks):
            _block_axpy(v, k, h, sign, w, c * CHUNK, min(n, (c + 1) * CHUNK))
