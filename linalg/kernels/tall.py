"""Products with a tall matrix and its transpose in one reading: r = b + alpha A v, then A^T r.

Rows are cut into a fixed number of blocks, each with a sum of its own in double precision, so the result does not depend
on the number of threads. Reassociation is allowed inside a row (the loops then run in vector registers).
"""

import numpy as np
from numba import njit, prange

BLOCKS = 64
_FLAGS = {"reassoc", "contract"}


@njit(cache=True)
def _total(partial, out):
    for j in range(out.shape[0]):
        out[j] = 0
    for b in range(partial.shape[0]):
        for j in range(out.shape[0]):
            out[j] += partial[b, j]


@njit(cache=True)
def _zeros(blocks, n):
    return np.zeros((blocks, n))


@njit(cache=True, fastmath=_FLAGS)
def _dense(a, first, last, v, alpha, b, r, acc):
    n = a.shape[1]
    whole = first + (last - first) // 4 * 4
    for i in range(first, whole, 4):
        # four rows share the loads of v and of the sum
        p, q, s, t = a[i], a[i + 1], a[i + 2], a[i + 3]
        d0 = d1 = d2 = d3 = r.dtype.type(0)
        for j in range(n):
            x = v[j]
            d0 += p[j] * x
            d1 += q[j] * x
            d2 += s[j] * x
            d3 += t[j] * x
        d0, d1, d2, d3 = b[i] + alpha * d0, b[i + 1] + alpha * d1, b[i + 2] + alpha * d2, b[i + 3] + alpha * d3
        r[i], r[i + 1], r[i + 2], r[i + 3] = d0, d1, d2, d3
        for j in range(n):
            acc[j] += (d0 * p[j] + d1 * q[j]) + (d2 * s[j] + d3 * t[j])
    for i in range(whole, last):
        p = a[i]
        d0 = r.dtype.type(0)
        for j in range(n):
            d0 += p[j] * v[j]
        d0 = b[i] + alpha * d0
        r[i] = d0
        for j in range(n):
            acc[j] += d0 * p[j]


@njit(parallel=True, cache=True)
def dense_there_and_back(a, v, alpha, b, r, out):
    """R <- b + alpha a v; out <- a^T r, for a C-contiguous matrix."""
    m = a.shape[0]
    partial = _zeros(BLOCKS, a.shape[1])
    for k in prange(BLOCKS):
        _dense(a, k * m // BLOCKS, (k + 1) * m // BLOCKS, v, alpha, b, r, partial[k])
    _total(partial, out)


@njit(cache=True)
def _sparse(indptr, indices, data, first, last, v, alpha, b, r, acc):
    zero = r.dtype.type(0)
    for i in range(first, last):
        d = zero
        for k in range(indptr[i], indptr[i + 1]):
            d += data[k] * v[indices[k]]
        d = b[i] + alpha * d
        r[i] = d
        for k in range(indptr[i], indptr[i + 1]):
            acc[indices[k]] += d * data[k]


@njit(parallel=True, cache=True)
def sparse_there_and_back(starts, indptr, indices, data, v, alpha, b, r, out):
    """R <- b + alpha a v; out <- a^T r, for compressed rows; block k owns the rows starts[k] to starts[k + 1]."""
    blocks = starts.shape[0] - 1
    partial = _zeros(blocks, out.shape[0])
    for k in prange(blocks):
        _sparse(indptr, indices, data, starts[k], starts[k + 1], v, alpha, b, r, partial[k])
    _total(partial, out)
