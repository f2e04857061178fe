"""Incomplete Cholesky kernels: patterns by level of fill, factorisation on a pattern and by threshold.

The factor of a Hermitian A is M = U^H D U with U = I + N, N strictly upper, stored by rows (`ptr`, `idx`,
values). The elimination is right-looking: step k knows row k of the remaining matrix, so a product that falls
outside the pattern at (i, j) can still reach the pivots of both i and j. Index arrays are unsigned; a
position equal to the length of the array that it points into means "none".
"""

import numpy as np
from numba import njit


@njit(cache=True)
def upper_pattern(indptr, indices, ptr, idx, source, diagonal):
    """Strict upper triangle of a canonical CSR matrix.

    Pattern, position of each entry in A, position of the diagonal.
    """
    n = np.uint64(diagonal.shape[0])
    one = np.uint64(1)
    q = np.uint64(0)
    ptr[0] = 0
    for i in range(n):
        diagonal[i] = indices.shape[0]
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            c = np.uint64(indices[p])
            if c > i:
                idx[q] = c
                source[q] = p
                q += one
            elif c == i:
                diagonal[i] = p
        ptr[i + one] = q
    return q


@njit(cache=True)
def hermitian_defect(indptr, indices, data, size, tolerance):
    """Return the first row with an entry that differs from the conjugate of its mirror image, else n.

    "Differs" means by more than tolerance * (size_i + size_j), with the sizes of the two diagonal entries.
    Rows are walked in order, so the mirror images of the entries above the diagonal come up in the order in
    which their own rows store them: one pass, one cursor per row.
    """
    n = np.uint64(size.shape[0])
    one = np.uint64(1)
    cursor = np.empty(n, dtype=np.uint64)
    for i in range(n):
        cursor[i] = indptr[i]
    for i in range(n):
        hi = np.uint64(indptr[i + one])
        p = cursor[i]
        while p < hi and np.uint64(indices[p]) < i:  # entries below the diagonal that no mirror image has met
            if abs(data[p]) > tolerance * (size[i] + size[indices[p]]):
                return i
            p += one
        for q in range(p, hi):
            j = np.uint64(indices[q])
            most = tolerance * (size[i] + size[j])
            if j == i:
                if abs(data[q] - np.conj(data[q])) > most:
                    return i
                continue
            c = cursor[j]
            end = np.uint64(indptr[j + one])
            while c < end and np.uint64(indices[c]) < i:
                if abs(data[c]) > tolerance * (size[j] + size[indices[c]]):
                    return j
                c += one
            mirror = np.conj(data[q]) * 0
            if c < end and np.uint64(indices[c]) == i:
                mirror = np.conj(data[c])
                c += one
            if abs(data[q] - mirror) > most:
                return i
            cursor[j] = c
    return n


@njit(cache=True)
def _grown(array, size):
    result = np.empty(size, dtype=array.dtype)
    result[: array.shape[0]] = array
    return result


@njit(cache=True)
def cholesky_levels(ptr, idx, most):
    """Find the pattern of U by levels of fill: keep (k, j) with lev(k, j) at most `most`.

    lev(k, j) = min over m < k of lev(m, k) + lev(m, j) + 1. A row waits in the list of the column that its
    cursor is at.
    """
    n = np.uint64(ptr.shape[0] - 1)
    one = np.uint64(1)
    out_ptr = np.zeros(ptr.shape[0], dtype=np.uint64)
    capacity = 2 * idx.shape[0] + 16
    out_idx = np.empty(capacity, dtype=idx.dtype)
    level = np.empty(capacity, dtype=np.int32)
    after = np.empty(n + one, dtype=np.uint64)  # sorted linked list of the columns of the current row
    row_level = np.empty(n, dtype=np.int32)
    waiting = np.full(n, n, dtype=np.uint64)  # first row that waits for this column
    next_waiting = np.full(n, n, dtype=np.uint64)
    cursor = np.zeros(n, dtype=np.uint64)
    filled = np.uint64(0)
    for k in range(n):
        head = k
        at = head
        for p in range(np.uint64(ptr[k]), np.uint64(ptr[k + one])):
            j = np.uint64(idx[p])
            after[at] = j
            row_level[j] = 0
            at = j
        after[at] = n
        m = waiting[k]
        while m != n:
            following = next_waiting[m]
            c = cursor[m]
            base = level[c] + 1
            end = out_ptr[m + one]
            at = head
            for q in range(c + one, end):
                j = np.uint64(out_idx[q])
                fill = base + level[q]
                if fill > most:
                    continue
                while after[at] < j:
                    at = after[at]
                if after[at] == j:
                    row_level[j] = min(row_level[j], fill)
                else:
                    after[j] = after[at]
                    after[at] = j
                    row_level[j] = fill
            if c + one < end:  # on to its next column
                cursor[m] = c + one
                j = np.uint64(out_idx[c + one])
                next_waiting[m] = waiting[j]
                waiting[j] = m
            m = following
        first = filled
        j = after[head]
        while j != n:
            if filled == np.uint64(out_idx.shape[0]):
                out_idx = _grown(out_idx, 2 * out_idx.shape[0])
                level = _grown(level, 2 * level.shape[0])
            out_idx[filled] = j
            level[filled] = row_level[j]
            filled += one
            j = after[j]
        out_ptr[k + one] = filled
        if filled > first:
            cursor[k] = first
            j = np.uint64(out_idx[first])
            next_waiting[k] = waiting[j]
            waiting[j] = k
    return out_ptr, out_idx[:filled].copy()


@njit(cache=True)
def match_rows(ptr, idx, from_ptr, from_idx, from_source, none, source):
    """source[p] = from_source of the same (row, column) in the other pattern, or `none`.

    Both have sorted rows.
    """
    one = np.uint64(1)
    for i in range(np.uint64(ptr.shape[0] - 1)):
        q = np.uint64(from_ptr[i])
        end = np.uint64(from_ptr[i + one])
        for p in range(np.uint64(ptr[i]), np.uint64(ptr[i + one])):
            while q < end and from_idx[q] < idx[p]:
                q += one
            source[p] = from_source[q] if q < end and from_idx[q] == idx[p] else none


@njit(cache=True)
def count_products(ptr):
    """Return the number of products above the diagonal in an elimination on this pattern (as float.

    It may be huge).
    """
    total = 0.0
    for k in range(ptr.shape[0] - 1):
        c = float(ptr[k + 1]) - float(ptr[k])
        total += 0.5 * c * (c - 1.0)
    return total


@njit(cache=True)
def product_slots(ptr, idx, slots):
    """For each product u_kj u_ki, k < j < i, in the order of the elimination.

    The position of (j, i), or none.
    """
    one = np.uint64(1)
    none = np.uint64(idx.shape[0])
    t = np.uint64(0)
    for k in range(np.uint64(ptr.shape[0] - 1)):
        hi = np.uint64(ptr[k + one])
        for q in range(np.uint64(ptr[k]), hi):
            j = np.uint64(idx[q])
            c = np.uint64(ptr[j])
            end = np.uint64(ptr[j + one])
            for p in range(q + one, hi):
                while c < end and idx[c] < idx[p]:
                    c += one
                if c < end and idx[c] == idx[p]:
                    slots[t] = c
                else:
                    slots[t] = none
                t += one


@njit(cache=True)
def cholesky_numeric(
    ptr, idx, slots, planned, values, source, diagonal, alpha, lift, shift, floor, u, d, dropped, floored
):
    """Relaxed incomplete factorisation on a fixed pattern.

    Row k of the remaining matrix is final at step k. Its pivot is a_kk (1 + lift_k + shift) minus kept
    products minus alpha_k times what was dropped in row k; below floor * a_kk the row does without the last
    part (and is marked). If that is not enough either, a pivot within floor * a_kk of zero becomes a_kk (and
    is marked), a negative one ends the attempt. On success: u unit rows, d pivots. Returns (row or n, whether
    any product fell into the pattern).
    """
    n = np.uint64(d.shape[0])
    one = np.uint64(1)
    none = np.uint64(idx.shape[0])
    absent = np.uint64(values.shape[0])
    for p in range(none):
        s = np.uint64(source[p])
        u[p] = values[s] if s < absent else u.dtype.type(0)
    for i in range(n):
        d[i] = values[diagonal[i]].real * (1.0 + lift[i] + shift)
        dropped[i] = 0.0
        floored[i] = 0
    t = np.uint64(0)
    kept = False
    for k in range(n):
        least = floor * values[diagonal[k]].real
        moved = alpha[k] * dropped[k]
        pivot = d[k] - moved
        if not pivot >= least:
            floored[k] = 1
            if moved > 0:
                pivot = d[k]
            if not pivot >= least:
                if not pivot >= -least:
                    return k, kept
                pivot = values[diagonal[k]].real
        d[k] = pivot
        inverse = 1.0 / pivot
        lo = np.uint64(ptr[k])
        hi = np.uint64(ptr[k + one])
        for q in range(lo, hi):
            j = np.uint64(idx[q])
            v = np.conj(u[q]) * inverse
            d[j] -= (v * u[q]).real
            lost = 0.0
            if planned:
                for p in range(q + one, hi):
                    product = v * u[p]
                    s = np.uint64(slots[t])
                    t += one
                    if s < none:
                        u[s] -= product
                        kept = True
                    else:
                        lost += product.real
                        dropped[idx[p]] += product.real
            else:
                c = np.uint64(ptr[j])
                end = np.uint64(ptr[j + one])
                for p in range(q + one, hi):
                    product = v * u[p]
                    while c < end and idx[c] < idx[p]:
                        c += one
                    if c < end and idx[c] == idx[p]:
                        u[c] -= product
                        kept = True
                    else:
                        lost += product.real
                        dropped[idx[p]] += product.real
            dropped[j] += lost
        for q in range(lo, hi):
            u[q] *= inverse
    return n, kept


@njit(cache=True)
def cholesky_threshold(ptr, idx, source, values, diagonal, alpha, lift, shift, floor, drop, d, floored, capacity, most):
    """Factor, relaxed, by threshold: row k drops entries up to drop * sqrt(a_kk a_jj) in size.

    Left-looking: row k is assembled from the earlier rows that meet column k; a row waits in the list of the
    column that its cursor is at. What is dropped at (k, j) goes to the pivots of k and j with alpha_k and
    alpha_j. Returns (row, ptr, idx, u); row as in `cholesky_numeric`.
    """
    n = np.uint64(d.shape[0])
    one = np.uint64(1)
    out_ptr = np.zeros(ptr.shape[0], dtype=np.uint64)
    out_idx = np.empty(capacity, dtype=idx.dtype)
    u = np.empty(capacity, dtype=values.dtype)
    after = np.empty(n + one, dtype=np.uint64)
    work = np.zeros(n, dtype=values.dtype)
    waiting = np.full(n, n, dtype=np.uint64)
    next_waiting = np.full(n, n, dtype=np.uint64)
    cursor = np.zeros(n, dtype=np.uint64)
    dropped = np.zeros(n)
    size = np.empty(n)
    for i in range(n):
        a = values[diagonal[i]].real
        size[i] = np.sqrt(a)
        d[i] = a * (1.0 + lift[i] + shift)
        floored[i] = 0
    filled = np.uint64(0)
    for k in range(n):
        head = k
        at = head
        for p in range(np.uint64(ptr[k]), np.uint64(ptr[k + one])):
            j = np.uint64(idx[p])
            after[at] = j
            work[j] = values[source[p]]
            at = j
        after[at] = n
        m = waiting[k]
        while m != n:
            following = next_waiting[m]
            c = cursor[m]
            v = np.conj(u[c]) * d[m]
            end = out_ptr[m + one]
            at = head
            for q in range(c + one, end):
                j = np.uint64(out_idx[q])
                while after[at] < j:
                    at = after[at]
                if after[at] != j:
                    after[j] = after[at]
                    after[at] = j
                work[j] -= v * u[q]
            if c + one < end:
                cursor[m] = c + one
                j = np.uint64(out_idx[c + one])
                next_waiting[m] = waiting[j]
                waiting[j] = m
            m = following
        first = filled
        j = after[head]
        while j != n:
            w = work[j]
            work[j] = 0
            if abs(w) <= drop * size[k] * size[j]:
                dropped[k] -= w.real
                dropped[j] -= w.real
            else:
                if filled == np.uint64(out_idx.shape[0]):
                    out_idx = _grown(out_idx, 2 * out_idx.shape[0])
                    u = _grown(u, 2 * u.shape[0])
                out_idx[filled] = j
                u[filled] = w
                filled += one
            j = after[j]
        out_ptr[k + one] = filled
        least = floor * size[k] * size[k]
        moved = alpha[k] * dropped[k]
        pivot = d[k] - moved
        if not pivot >= least:
            floored[k] = 1
            if moved > 0:
                pivot = d[k]
            if not pivot >= least:
                if not pivot >= -least:
                    return k, out_ptr, out_idx, u
                pivot = size[k] * size[k]
        d[k] = pivot
        inverse = 1.0 / pivot
        for q in range(first, filled):
            d[out_idx[q]] -= (np.conj(u[q]) * u[q]).real * inverse
            u[q] *= inverse
        if filled > first:
            cursor[k] = first
            j = np.uint64(out_idx[first])
            next_waiting[k] = waiting[j]
            waiting[j] = k
        if filled > most:
            return n + one, out_ptr, out_idx, u
    return n, out_ptr, out_idx[:filled].copy(), u[:filled].copy()
