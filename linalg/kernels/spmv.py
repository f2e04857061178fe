"""CSR times vector and CSR times block, rows cut into blocks of equal numbers of entries.

With one block there is no parallel region: see `kernels.blas1`.
"""

import numpy as np
from numba import njit, prange


@njit(cache=True)
def _matvec_rows(first, last, indptr, indices, data, x, y):
    zero = y.dtype.type(0)
    for i in range(first, last):
        acc = zero
        for k in range(indptr[i], indptr[i + 1]):
            acc += data[k] * x[indices[k]]
        y[i] = acc


@njit(parallel=True, cache=True)
def csr_matvec(starts, indptr, indices, data, x, y):
    """Y <- A x; block b owns the rows starts[b] to starts[b + 1]."""
    if starts.shape[0] == 2:
        _matvec_rows(starts[0], starts[1], indptr, indices, data, x, y)
    else:
        for b in prange(starts.shape[0] - 1):
            _matvec_rows(starts[b], starts[b + 1], indptr, indices, data, x, y)


@njit(cache=True)
def _matvec_dot_rows(first, last, indptr, indices, data, x, y, acc_dot):
    zero = y.dtype.type(0)
    for i in range(first, last):
        acc = zero
        for k in range(indptr[i], indptr[i + 1]):
            acc += data[k] * x[indices[k]]
        y[i] = acc
        acc_dot += np.conj(x[i]) * acc
    return acc_dot


@njit(cache=True)
def _zeros(x, y, n):
    return np.zeros(n, dtype=(x[:1] * y[:1] * np.ones(1)).dtype)  # sums in double precision


@njit(cache=True)
def _ordered_sum(partial):
    total = partial[:0].sum()
    for b in range(partial.shape[0]):
        total += partial[b]
    return total


@njit(parallel=True, cache=True)
def csr_matvec_dot(starts, indptr, indices, data, x, y):
    """Y <- A x; returns x . y, which costs nothing while both are at hand."""
    blocks = starts.shape[0] - 1
    partial = _zeros(x, y, blocks)
    if blocks == 1:
        partial[0] = _matvec_dot_rows(starts[0], starts[1], indptr, indices, data, x, y, partial[0])
    else:
        for b in prange(blocks):
            partial[b] = _matvec_dot_rows(starts[b], starts[b + 1], indptr, indices, data, x, y, partial[b])
    return _ordered_sum(partial)


@njit(cache=True)
def project_out(indptr, indices, data, x):
    """X <- x - N N^H x for orthonormal sparse columns N, one after the other."""
    for j in range(indptr.shape[0] - 1):
        c = np.conj(data[:1]).sum() * x[0] * 0
        for k in range(indptr[j], indptr[j + 1]):
            c += np.conj(data[k]) * x[indices[k]]
        for k in range(indptr[j], indptr[j + 1]):
            x[indices[k]] -= c * data[k]


@njit(cache=True)
def _matmat_rows(first, last, indptr, indices, data, x, y):
    columns = x.shape[1]
    for i in range(first, last):
        for j in range(columns):
            y[i, j] = 0
        for k in range(indptr[i], indptr[i + 1]):
            a = data[k]
            row = indices[k]
            for j in range(columns):
                y[i, j] += a * x[row, j]


@njit(parallel=True, cache=True)
def csr_matmat(starts, indptr, indices, data, x, y):
    """Y <- A X for C-contiguous blocks of columns."""
    if starts.shape[0] == 2:
        _matmat_rows(starts[0], starts[1], indptr, indices, data, x, y)
    else:
        for b in prange(starts.shape[0] - 1):
            _matmat_rows(starts[b], starts[b + 1], indptr, indices, data, x, y)
