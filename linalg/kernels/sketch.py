"""Sparse-sign sketches: every column of S holds one entry in each of a few blocks of rows ("stacks").

An entry is coded in one number, twice its row plus one for a minus sign, and the codes of a column stand together:
``code[i, t]`` is the entry of column i in stack t. Tasks own columns of the result (dense input) or stacks (sparse
input), so no sum depends on the number of threads.
"""

import numpy as np
from numba import njit, prange

CHUNK = 64  # columns of the result that one task owns
ROWS = 1024  # rows of the adjoint's result that one task owns


@njit(parallel=True, cache=True)
def draw(words, cuts, code):
    """Code <- rows and signs from random words: the high half picks the row, the lowest bit the sign."""
    m, stacks = words.shape
    for b in prange((m + ROWS - 1) // ROWS):
        for i in range(b * ROWS, min(m, (b + 1) * ROWS)):
            for t in range(stacks):
                wide = np.uint64(cuts[t + 1] - cuts[t]) * np.uint64(words[i, t])
                row = np.uint32(wide >> np.uint64(32)) + np.uint32(cuts[t])
                code[i, t] = (row << np.uint32(1)) | (words[i, t] & np.uint32(1))


@njit(cache=True)
def _rows(code, x, first, last, value, out):
    stacks = code.shape[1]
    for i in range(x.shape[0]):
        row = x[i, first:last]
        for t in range(stacks):
            c = code[i, t]
            place = out[c >> np.uint32(1), first:last]
            if c & np.uint32(1):
                for j in range(row.shape[0]):
                    place[j] -= row[j]
            else:
                for j in range(row.shape[0]):
                    place[j] += row[j]
    for r in range(out.shape[0]):
        for j in range(first, last):
            out[r, j] *= value


@njit(parallel=True, cache=True)
def apply_rows(code, x, value, out):
    """Out <- S x for a C-contiguous block; out must hold zeros."""
    columns = x.shape[1]
    tasks = (columns + CHUNK - 1) // CHUNK
    if tasks <= 1:
        _rows(code, x, 0, columns, value, out)
    else:
        for t in prange(tasks):
            _rows(code, x, t * columns // tasks, (t + 1) * columns // tasks, value, out)


@njit(cache=True)
def _column(code, x, value, out):
    stacks = code.shape[1]
    for r in range(out.shape[0]):
        out[r] = 0
    for i in range(x.shape[0]):
        a = x[i]
        for t in range(stacks):
            c = code[i, t]
            s = value if (c & np.uint32(1)) == 0 else -value
            out[c >> np.uint32(1)] += s * a


@njit(parallel=True, cache=True)
def apply_columns(code, xt, value, out):
    """Out <- (S x)^T for x given by its transpose, whose rows are consecutive in memory."""
    if xt.shape[0] == 1:
        _column(code, xt[0], value, out[0])
    else:
        for k in prange(xt.shape[0]):
            _column(code, xt[k], value, out[k])


@njit(cache=True)
def _stack(code, t, indptr, indices, data, value, out):
    for i in range(code.shape[0]):
        c = code[i, t]
        s = value if (c & np.uint32(1)) == 0 else -value
        place = out[c >> np.uint32(1)]
        for k in range(indptr[i], indptr[i + 1]):
            place[indices[k]] += s * data[k]


@njit(parallel=True, cache=True)
def apply_csr(code, indptr, indices, data, value, out):
    """Out <- S x for x in compressed rows; out must hold zeros."""
    for t in prange(code.shape[1]):
        _stack(code, t, indptr, indices, data, value, out)


@njit(cache=True)
def _adjoint(code, y, first, last, value, out):
    stacks = code.shape[1]
    columns = y.shape[1]
    for i in range(first, last):
        row = out[i]
        for j in range(columns):
            row[j] = 0
        for t in range(stacks):
            c = code[i, t]
            s = value if (c & np.uint32(1)) == 0 else -value
            piece = y[c >> np.uint32(1)]
            for j in range(columns):
                row[j] += s * piece[j]


@njit(parallel=True, cache=True)
def apply_adjoint(code, y, value, out):
    """Out <- S^T y for a C-contiguous block."""
    m = out.shape[0]
    tasks = (m + ROWS - 1) // ROWS
    if tasks * y.shape[1] <= 32:
        _adjoint(code, y, 0, m, value, out)
    else:
        for b in prange(tasks):
            _adjoint(code, y, b * ROWS, min(m, (b + 1) * ROWS), value, out)
