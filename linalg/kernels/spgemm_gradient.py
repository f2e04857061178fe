"""Gradient of a planned product: a product with a transpose, wanted on a fixed pattern only.

For C = A B, entry (i, k) of the gradient of A is the dot product of row i of the gradient of C with row k of B. Row i of
the gradient is scattered into a dense array; each entry of the row of A then gathers along its row of B and meets
only places that were just written, because the pattern of C holds them all. So nothing is marked or cleared, and the cost
is one multiply-add for each one of the product.

The same kernel serves B through the transposed problem; permutations then say where its numbers come from and go
to. Index arrays are unsigned views; ``starts`` cuts the rows in blocks of equal work. Sums run in four interleaved parts,
always the same ones.
"""

import numpy as np
from numba import njit, prange


@njit(cache=True)
def _pattern_rows(first, last, columns, x_ptr, x_idx, y_ptr, y_idx, y, g_ptr, g_idx, g, from_g, to, out):
    one, four = np.uint64(1), np.uint64(4)
    permuted = from_g.shape[0] > 0
    dense = np.empty(columns, g.dtype)
    for i in range(first, last):
        if x_ptr[i] == x_ptr[i + one]:
            continue
        if permuted:
            for q in range(g_ptr[i], g_ptr[i + one]):
                dense[g_idx[q]] = g[from_g[q]]
        else:
            for q in range(g_ptr[i], g_ptr[i + one]):
                dense[g_idx[q]] = g[q]
        for p in range(x_ptr[i], x_ptr[i + one]):
            k = np.uint64(x_idx[p])
            q, end = np.uint64(y_ptr[k]), np.uint64(y_ptr[k + one])
            s0 = s1 = s2 = s3 = out.dtype.type(0)
            # one chain of additions would wait four cycles for each
            while q + four <= end:
                s0 += dense[y_idx[q]] * y[q]
                s1 += dense[y_idx[q + one]] * y[q + one]
                s2 += dense[y_idx[q + np.uint64(2)]] * y[q + np.uint64(2)]
                s3 += dense[y_idx[q + np.uint64(3)]] * y[q + np.uint64(3)]
                q += four
            while q < end:
                s0 += dense[y_idx[q]] * y[q]
                q += one
            total = (s0 + s1) + (s2 + s3)
            if permuted:
                out[to[p]] = total
            else:
                out[p] = total


@njit(parallel=True, cache=True)
def pattern_gradient(starts, columns, x_ptr, x_idx, y_ptr, y_idx, y, g_ptr, g_idx, g, from_g, to, out):
    """Write (G Y^T) on the pattern of X, where the pattern of G holds that of X Y, to out.

    With permutations, entry q of G is ``g[from_g[q]]`` and entry p of the result goes to ``out[to[p]]``; without, both are
    empty.
    """
    if starts.shape[0] == 2:
        _pattern_rows(starts[0], starts[1], columns, x_ptr, x_idx, y_ptr, y_idx, y, g_ptr, g_idx, g, from_g, to, out)
    else:
        for b in prange(starts.shape[0] - 1):
            _pattern_rows(
                starts[b], starts[b + 1], columns, x_ptr, x_idx, y_ptr, y_idx, y, g_ptr, g_idx, g, from_g, to, out
            )


@njit(cache=True)
def row_work(x_ptr, x_idx, y_ptr, g_ptr, work):
    """Write to work[i] the cost of row i: its multiply-adds and its entries in G; returns the sum of all."""
    one = np.uint64(1)
    total = np.uint64(0)
    for i in range(np.uint64(work.shape[0])):
        cost = np.uint64(g_ptr[i + one] - g_ptr[i])
        for p in range(x_ptr[i], x_ptr[i + one]):
            k = np.uint64(x_idx[p])
            cost += np.uint64(y_ptr[k + one] - y_ptr[k])
        work[i] = cost
        total += cost
    return total


@njit(cache=True)
def transpose(indptr, indices, t_ptr, t_idx, order):
    """Pattern of the transpose, in the order of the rows, and the place that each of its entries has in the original.

    ``t_ptr`` comes in as zeros.
    """
    one = np.uint64(1)
    rows = np.uint64(indptr.shape[0]) - one
    columns = np.uint64(t_ptr.shape[0]) - one
    for p in range(np.uint64(indptr[rows])):
        t_ptr[indices[p]] += one
    place = np.uint64(0)
    for c in range(columns + one):
        count = np.uint64(t_ptr[c])
        t_ptr[c] = place
        place += count
    for i in range(rows):
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            c = indices[p]
            place = np.uint64(t_ptr[c])
            t_idx[place] = i
            order[place] = p
            t_ptr[c] = place + one
    for c in range(columns):
        t_ptr[columns - c] = t_ptr[columns - c - one]
    if columns + one > np.uint64(0):
        t_ptr[0] = 0
