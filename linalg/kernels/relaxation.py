"""Relaxation sweeps on CSR rows: Gauss-Seidel and SOR, both ways or in a given order, weighted Jacobi.

A row is updated as ``x_i += omega d_i (b_i - sum_j a_ij x_j)`` with d_i the inverse of the diagonal entry:
the sum runs over the whole row, so nothing asks which entry is the diagonal. The neighbour that was updated
just before stays in a register and enters last (see `kernels.triangular`): the chain from row to row is one
fused multiply-add.

`omega` is a scalar; a factor per row goes into `inv_diag` (multiply it there once), with omega = 1.
Index arrays are unsigned views; rows may be unsorted.
"""

import numpy as np
from numba import njit

_FLAGS = {"contract"}


@njit(cache=True, fastmath=_FLAGS)
def sor_sweep(indptr, indices, data, inv_diag, x, b, omega, forward):
    """One sweep of successive over-relaxation, in place on x."""
    n = np.uint64(x.shape[0])
    one = np.uint64(1)
    last = x.dtype.type(0)
    for s in range(n):
        i = s if forward else n - one - s
        near = i - one if forward else i + one  # wraps round at row 0 and matches no column
        acc = b[i]
        coef = x.dtype.type(0)
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            c = np.uint64(indices[p])
            if c == near:
                coef += data[p]
            else:
                acc -= data[p] * x[c]
        weight = omega * inv_diag[i]
        last = (x[i] + weight * acc) - (weight * coef) * last
        x[i] = last


@njit(cache=True, fastmath=_FLAGS)
def sor_sweep_rows(indptr, indices, data, inv_diag, x, b, omega, rows):
    """Relax the given rows (unsigned indices) one after the other, in place on x."""
    one = np.uint64(1)
    for s in range(rows.shape[0]):
        i = np.uint64(rows[s])
        acc = b[i]
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            acc -= data[p] * x[indices[p]]
        x[i] += omega * inv_diag[i] * acc


@njit(cache=True, fastmath=_FLAGS)
def jacobi_sweep(indptr, indices, data, inv_diag, x, b, omega, out):
    """Compute out <- x + omega d (b - A x); `out` must not be x."""
    one = np.uint64(1)
    for i in range(np.uint64(x.shape[0])):
        acc = b[i]
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            acc -= data[p] * x[indices[p]]
        out[i] = x[i] + omega * inv_diag[i] * acc


@njit(cache=True)
def greedy_colours(indptr, indices, colours):
    """Colour the rows so that no row has a neighbour of its own colour; returns the number of colours.

    First fit in the order of a breadth-first search, so a connected bipartite pattern gets exactly two
    colours. Only the entries of a row are looked at: the pattern has to be symmetric.
    """
    n = np.uint64(colours.shape[0])
    one = np.uint64(1)
    none = np.uint32(0xFFFFFFFF)
    taken = np.zeros(64, dtype=np.uint64)  # taken[c] == i + 1: colour c is used by a neighbour of row i
    queue = np.empty(n, dtype=np.uint64)
    seen = np.zeros(n, dtype=np.uint8)
    for i in range(n):
        colours[i] = none
    used = np.uint32(0)
    filled = np.uint64(0)
    done = np.uint64(0)
    for start in range(n):
        if seen[start] == 0:
            seen[start] = 1
            queue[filled] = start
            filled += one
        while done < filled:
            i = queue[done]
            done += one
            for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
                c = np.uint64(indices[p])
                if c == i:
                    continue
                if colours[c] != none:
                    taken[colours[c]] = i + one
                elif seen[c] == 0:
                    seen[c] = 1
                    queue[filled] = c
                    filled += one
            mine = np.uint32(0)
            while taken[mine] == i + one:
                mine += np.uint32(1)
            colours[i] = mine
            if mine + np.uint32(1) > used:
                used = mine + np.uint32(1)
                if np.uint64(used) >= np.uint64(taken.shape[0]) - one:
                    grown = np.zeros(2 * taken.shape[0], dtype=np.uint64)
                    grown[: taken.shape[0]] = taken
                    taken = grown
    return used
