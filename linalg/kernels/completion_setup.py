"""Sorting observed entries by rows and by columns, repeated places, connected components: all serial, linear in the entries.

Pointers are signed here and indices unsigned of 4 bytes.
"""

import numpy as np
from numba import njit


@njit(cache=True)
def count(keys, pointers):
    """Pointers[j] <- number of keys below j, for keys in 0 .. pointers.size - 2."""
    pointers[:] = 0
    for p in range(keys.shape[0]):
        pointers[keys[p] + 1] += 1
    for j in range(pointers.shape[0] - 1):
        pointers[j + 1] += pointers[j]


@njit(cache=True)
def place(keys, others, values, pointers, out_others, out_values):
    """Sort entries by key, stably; the pointers come back as given."""
    for p in range(keys.shape[0]):
        j = keys[p]
        q = pointers[j]
        out_others[q] = others[p]
        out_values[q] = values[p]
        pointers[j] = q + 1
    for j in range(pointers.shape[0] - 1, 0, -1):
        pointers[j] = pointers[j - 1]
    pointers[0] = 0


@njit(cache=True)
def transpose(indptr, indices, values, pointers, out_indices, out_values, order):
    """CSR to CSC with sorted indices; order[q] is the place in CSR of entry q, where `order` is not empty."""
    keep = order.shape[0] > 0
    for i in range(indptr.shape[0] - 1):
        for p in range(indptr[i], indptr[i + 1]):
            j = indices[p]
            q = pointers[j]
            out_indices[q] = i
            out_values[q] = values[p]
            if keep:
                order[q] = p
            pointers[j] = q + 1
    for j in range(pointers.shape[0] - 1, 0, -1):
        pointers[j] = pointers[j - 1]
    pointers[0] = 0


@njit(cache=True)
def first_duplicate(indptr, indices):
    """Row and place of the first repeated index in sorted rows, (-1, -1) without one."""
    for i in range(indptr.shape[0] - 1):
        for p in range(indptr[i] + 1, indptr[i + 1]):
            if indices[p] == indices[p - 1]:
                return i, p
    return -1, -1


@njit(cache=True)
def components(indptr, indices, n):
    """Label the connected parts of the bipartite graph of rows and columns by their least row; isolated columns too."""
    m = indptr.shape[0] - 1
    parent = np.arange(m + n)
    for i in range(m):
        for p in range(indptr[i], indptr[i + 1]):
            a = i
            b = m + np.int64(indices[p])
            while parent[a] != a:
                parent[a] = parent[parent[a]]
                a = parent[a]
            while parent[b] != b:
                parent[b] = parent[parent[b]]
                b = parent[b]
            if a < b:
                parent[b] = a
            elif b < a:
                parent[a] = b
    for v in range(m + n):  # parents have smaller numbers, so one pass flattens the trees
        parent[v] = parent[parent[v]]
    return parent
