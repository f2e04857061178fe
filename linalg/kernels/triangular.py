"""Sparse triangular solves: checked single-pass solves, and solves with strict unit factors.

Why one thread keeps up with the memory: in a natural ordering row i needs x[i - 1], which was stored a moment
ago. Reading it back from memory costs more than all other work of the row, so the neighbour's value stays in
a register (``coef * last``) and the recurrence is one fused multiply-add per row. Unit factors keep the
pivots out of it. On 5- and 7-point grids this is three and two times as fast as the plain loop. Contraction
to fused multiply-adds is allowed, reassociation is not.

Index arrays are unsigned views. Strict factors hold no diagonal, rows sorted. Two-dimensional blocks are
C-contiguous.
"""

import numpy as np
from numba import njit

_FLAGS = {"contract"}

# what a checked solve may report besides the row: see `linalg.triangular`
SOLVED, WRONG_TRIANGLE, NO_PIVOT, CORRUPT = 0, 1, 2, 3


@njit(cache=True, fastmath=_FLAGS)
def _any_row(indptr, indices, data, rhs, x, i, upper, unit):
    """Row i of a checked solve with entries in any order: returns the code and x[i]."""
    acc = rhs
    pivot = x.dtype.type(0)
    for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])):
        c = np.uint64(indices[p])
        if c == i:
            pivot += data[p]
        elif c >= np.uint64(x.shape[0]):
            return 3, acc
        elif (c < i) != upper:
            acc -= data[p] * x[c]
        else:
            return 1, acc
    if unit:
        return 0, acc
    if pivot == 0:
        return 2, acc
    return 0, acc / pivot


@njit(cache=True, fastmath=_FLAGS)
def checked_solve_lower(indptr, indices, data, b, x, unit):
    """Solve T x = b in one pass that also checks T. Returns (code, row).

    Rows may be unsorted, duplicates add up.

    The fast path takes a row whose last entries are the diagonal and its neighbour; a largest column index
    beyond the diagonal, seen only afterwards, sends the row to `_any_row`. Until then no index is trusted: reads
    stop at x[i], and row pointers are compared with the number of entries.
    """
    n = np.uint64(x.shape[0])
    one = np.uint64(1)
    zero = x.dtype.type(0)
    last = zero
    count = np.uint64(indices.shape[0])
    lo = np.uint64(indptr[0])
    for i in range(n):
        hi = np.uint64(indptr[i + one])
        if hi < lo or hi > count:
            return 3, i
        end = hi
        rhs = x.dtype.type(b[i])
        acc = rhs
        coef = zero
        pivot = zero
        if end > lo and indices[end - one] == i:
            end -= one
            pivot = x.dtype.type(data[end])
        if end > lo and indices[end - one] == i - one:
            end -= one
            coef = x.dtype.type(data[end])
        most = np.uint64(0)
        for p in range(lo, end):
            c = np.uint64(indices[p])
            most = max(most, c)
            acc -= data[p] * x[min(c, i)]
        if most >= i and lo < end:
            code, last = _any_row(indptr, indices, data, rhs, x, i, False, unit)
            if code != 0:
                return code, i
        elif unit:
            last = acc - coef * last
        else:
            if pivot == 0:
                return 2, i
            inverse = 1 / pivot
            last = acc * inverse - (coef * inverse) * last
        x[i] = last
        lo = hi
    return 0, n


@njit(cache=True, fastmath=_FLAGS)
def checked_solve_upper(indptr, indices, data, b, x, unit):
    """Mirror image of `checked_solve_lower`.

    The first entries of a row are the diagonal and its neighbour.
    """
    n = np.uint64(x.shape[0])
    one = np.uint64(1)
    zero = x.dtype.type(0)
    last = zero
    hi = np.uint64(indptr[n])
    if hi > np.uint64(indices.shape[0]):
        return 3, n
    for s in range(n):
        i = n - one - s
        lo = np.uint64(indptr[i])
        if lo > hi:
            return 3, i
        begin = lo
        rhs = x.dtype.type(b[i])
        acc = rhs
        coef = zero
        pivot = zero
        if begin < hi and indices[begin] == i:
            pivot = x.dtype.type(data[begin])
            begin += one
        if begin < hi and indices[begin] == i + one:
            coef = x.dtype.type(data[begin])
            begin += one
        least, most = n, np.uint64(0)
        for p in range(begin, hi):
            c = np.uint64(indices[p])
            least, most = min(least, c), max(most, c)
            acc -= data[p] * x[min(c, n - one)]
        if least <= i or most >= n:
            code, last = _any_row(indptr, indices, data, rhs, x, i, True, unit)
            if code != 0:
                return code, i
        elif unit:
            last = acc - coef * last
        else:
            if pivot == 0:
                return 2, i
            inverse = 1 / pivot
            last = acc * inverse - (coef * inverse) * last
        x[i] = last
        hi = lo
    return 0, n


@njit(cache=True, fastmath=_FLAGS)
def checked_solve_block(indptr, indices, data, b, x, upper, unit):
    """Solve T X = B for all columns at once; see `checked_solve`."""
    n = np.uint64(x.shape[0])
    columns = x.shape[1]
    one = np.uint64(1)
    for s in range(n):
        i = n - one - s if upper else s
        for j in range(columns):
            x[i, j] = b[i, j]
        pivot = x.dtype.type(0)
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            c = np.uint64(indices[p])
            if c == i:
                pivot += data[p]
            elif (c < i) != upper:
                a = data[p]
                for j in range(columns):
                    x[i, j] -= a * x[c, j]
            else:
                return 1, i
        if not unit:
            if pivot == 0:
                return 2, i
            inverse = 1 / pivot
            for j in range(columns):
                x[i, j] *= inverse
    return 0, n


@njit(cache=True)
def split_rows(indptr, indices, data, upper, unit, strict_ptr, strict_idx, strict, inverse):
    """Write T = D (I + N): N strict with sorted rows as given, D as its inverse. Returns (code, row)."""
    n = np.uint64(inverse.shape[0])
    one = np.uint64(1)
    q = np.uint64(0)
    strict_ptr[0] = 0
    for i in range(n):
        pivot = inverse.dtype.type(1 if unit else 0)
        first = q
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            c = np.uint64(indices[p])
            if c == i:
                if not unit:
                    pivot += data[p]
            elif (c < i) != upper:
                strict_idx[q] = c
                strict[q] = data[p]
                q += one
            else:
                return 1, i
        if pivot == 0:
            return 2, i
        inverse[i] = 1 / pivot
        for p in range(first, q):
            strict[p] *= inverse[i]
        strict_ptr[i + one] = q
    return 0, n


# --- strict unit factors, in place on x ---------------------------------------------------------------------


@njit(cache=True, fastmath=_FLAGS)
def solve_lower_gather(indptr, indices, data, scale, x):
    """Compute x <- (I + N)^{-1} (scale * x), N strictly lower by rows."""
    n = np.uint64(x.shape[0])
    one = np.uint64(1)
    zero = x.dtype.type(0)
    last = zero
    lo = np.uint64(indptr[0])
    for i in range(n):
        hi = np.uint64(indptr[i + one])
        end = hi
        coef = zero
        if lo < hi and indices[hi - one] == i - one:
            end = hi - one
            coef = x.dtype.type(data[end])
        acc = x[i] * scale[i]
        for p in range(lo, end):
            acc -= data[p] * x[indices[p]]
        last = acc - coef * last
        x[i] = last
        lo = hi


@njit(cache=True, fastmath=_FLAGS)
def solve_upper_gather(indptr, indices, data, scale, x):
    """Compute x <- (I + N)^{-1} (scale * x), N strictly upper by rows."""
    n = np.uint64(x.shape[0])
    one = np.uint64(1)
    zero = x.dtype.type(0)
    last = zero
    hi = np.uint64(indptr[n])
    for s in range(n):
        i = n - one - s
        lo = np.uint64(indptr[i])
        begin = lo
        coef = zero
        if lo < hi and indices[lo] == i + one:
            begin = lo + one
            coef = x.dtype.type(data[lo])
        acc = x[i] * scale[i]
        for p in range(begin, hi):
            acc -= data[p] * x[indices[p]]
        last = acc - coef * last
        x[i] = last
        hi = lo


@njit(cache=True, fastmath=_FLAGS)
def solve_upper_scatter(indptr, indices, data, x, conjugate):
    """Compute x <- (I + N)^{-T} x (or conjugate) for N strictly upper by rows: a lower solve."""
    n = np.uint64(x.shape[0])
    one = np.uint64(1)
    zero = x.dtype.type(0)
    coef = zero
    last = zero
    lo = np.uint64(indptr[0])
    for i in range(n):
        last = x[i] - coef * last
        x[i] = last
        hi = np.uint64(indptr[i + one])
        begin = lo
        coef = zero
        if lo < hi and indices[lo] == i + one:
            begin = lo + one
            coef = x.dtype.type(np.conj(data[lo]) if conjugate else data[lo])
        for p in range(begin, hi):
            x[indices[p]] -= (np.conj(data[p]) if conjugate else data[p]) * last
        lo = hi


@njit(cache=True, fastmath=_FLAGS)
def solve_lower_scatter(indptr, indices, data, x, conjugate):
    """Compute x <- (I + N)^{-T} x (or conjugate) for N strictly lower by rows: an upper solve."""
    n = np.uint64(x.shape[0])
    one = np.uint64(1)
    zero = x.dtype.type(0)
    coef = zero
    last = zero
    hi = np.uint64(indptr[n])
    for s in range(n):
        i = n - one - s
        last = x[i] - coef * last
        x[i] = last
        lo = np.uint64(indptr[i])
        end = hi
        coef = zero
        if lo < hi and indices[hi - one] == i - one:
            end = hi - one
            coef = x.dtype.type(np.conj(data[end]) if conjugate else data[end])
        for p in range(lo, end):
            x[indices[p]] -= (np.conj(data[p]) if conjugate else data[p]) * last
        hi = lo
