"""CSR times vector and CSR times block, rows cut into blocks of equal numbers of entries."""

from numba import njit, prange


@njit(parallel=True, cache=True)
def csr_matvec(starts, indptr, indices, data, x, y):
    """y <- A x; block b owns the rows starts[b] to starts[b + 1]."""
    zero = y.dtype.type(0)
    for b in prange(starts.shape[0] - 1):
        for i in range(starts[b], starts[b + 1]):
            acc = zero
            for k in range(indptr[i], indptr[i + 1]):
                acc += data[k] * x[indices[k]]
            y[i] = acc


@njit(parallel=True, cache=True)
def csr_matmat(starts, indptr, indices, data, x, y):
    """Y <- A X for C-contiguous blocks of columns."""
    columns = x.shape[1]
    for b in prange(starts.shape[0] - 1):
        for i in range(starts[b], starts[b + 1]):
            for j in range(columns):
                y[i, j] = 0
            for k in range(indptr[i], indptr[i + 1]):
                a = data[k]
                row = indices[k]
                for j in range(columns):
                    y[i, j] += a * x[row, j]
