"""Incomplete LU kernels: patterns by level of fill, the factorisation on a fixed pattern, and by threshold.

The factor is M = (I + L) D (I + U), both strict factors stored by rows. Keeping the pivots apart lets both
triangular solves run on unit factors, and there is no division inside the elimination. Index arrays are
unsigned.
"""

import numpy as np
from numba import njit


@njit(cache=True)
def _grown(array, size):
    result = np.empty(size, dtype=array.dtype)
    result[: array.shape[0]] = array
    return result


@njit(cache=True)
def lu_split(indptr, indices):
    """Patterns of the strict lower and upper triangle."""
    n = np.uint64(indptr.shape[0] - 1)
    one = np.uint64(1)
    lptr = np.zeros(indptr.shape[0], dtype=np.uint64)
    uptr = np.zeros(indptr.shape[0], dtype=np.uint64)
    lidx = np.empty(indices.shape[0], dtype=indices.dtype)
    uidx = np.empty(indices.shape[0], dtype=indices.dtype)
    nl = np.uint64(0)
    nu = np.uint64(0)
    for i in range(n):
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            c = np.uint64(indices[p])
            if c < i:
                lidx[nl] = c
                nl += one
            elif c > i:
                uidx[nu] = c
                nu += one
        lptr[i + one] = nl
        uptr[i + one] = nu
    return lptr, lidx[:nl].copy(), uptr, uidx[:nu].copy()


@njit(cache=True)
def lu_levels(indptr, indices, most):
    """Patterns of L and U by levels of fill.

    Lev(i, j) = min over k of lev(i, k) + lev(k, j) + 1, kept up to `most`.
    """
    n = np.uint64(indptr.shape[0] - 1)
    one = np.uint64(1)
    lptr = np.zeros(indptr.shape[0], dtype=np.uint64)
    uptr = np.zeros(indptr.shape[0], dtype=np.uint64)
    lidx = np.empty(indices.shape[0] + 16, dtype=indices.dtype)
    uidx = np.empty(indices.shape[0] + 16, dtype=indices.dtype)
    ulevel = np.empty(indices.shape[0] + 16, dtype=np.int32)
    after = np.empty(
        n + one, dtype=np.uint64
    )  # sorted linked list of the columns of the current row; n heads and ends it
    level = np.empty(n, dtype=np.int32)
    nl = np.uint64(0)
    nu = np.uint64(0)
    for i in range(n):
        at = n
        placed = False
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            c = np.uint64(indices[p])
            if c > i and not placed:  # a place for the pivot, stored or not
                after[at] = i
                at = i
                placed = True
            placed = placed or c == i
            after[at] = c
            level[c] = 0
            at = c
        if not placed:
            after[at] = i
            at = i
        level[i] = 0
        after[at] = n
        k = after[n]
        while k < i:
            base = level[k] + 1
            at = k
            for q in range(uptr[k], uptr[k + one]):
                j = np.uint64(uidx[q])
                fill = base + ulevel[q]
                if fill > most:
                    continue
                while after[at] < j:
                    at = after[at]
                if after[at] == j:
                    level[j] = min(level[j], fill)
                else:
                    after[j] = after[at]
                    after[at] = j
                    level[j] = fill
            if nl == np.uint64(lidx.shape[0]):
                lidx = _grown(lidx, 2 * lidx.shape[0])
            lidx[nl] = k
            nl += one
            k = after[k]
        lptr[i + one] = nl
        j = after[i]
        while j != n:
            if nu == np.uint64(uidx.shape[0]):
                uidx = _grown(uidx, 2 * uidx.shape[0])
                ulevel = _grown(ulevel, 2 * ulevel.shape[0])
            uidx[nu] = j
            ulevel[nu] = level[j]
            nu += one
            j = after[j]
        uptr[i + one] = nu
    return lptr, lidx[:nl].copy(), uptr, uidx[:nu].copy()


@njit(cache=True)
def lu_sources(indptr, indices, lptr, lidx, uptr, uidx, lsource, usource, dsource):
    """Where the entries of A go.

    Position in A of every factor entry and pivot, or the length of A's array for none.
    """
    one = np.uint64(1)
    none = indices.shape[0]
    for i in range(np.uint64(indptr.shape[0] - 1)):
        a = np.uint64(indptr[i])
        end = np.uint64(indptr[i + one])
        for p in range(np.uint64(lptr[i]), np.uint64(lptr[i + one])):
            lsource[p] = none
            if a < end and indices[a] == lidx[p]:
                lsource[p] = a
                a += one
        dsource[i] = none
        if a < end and np.uint64(indices[a]) == i:
            dsource[i] = a
            a += one
        for p in range(np.uint64(uptr[i]), np.uint64(uptr[i + one])):
            usource[p] = none
            if a < end and indices[a] == uidx[p]:
                usource[p] = a
                a += one


@njit(cache=True)
def _safe_pivot(pivot, size, smallest, replacement):
    """Return the pivot, or where it is tiny against its row `replacement` times the row, same phase."""
    magnitude = abs(pivot)
    if magnitude >= smallest * size:
        return pivot, False
    if magnitude == 0:
        return pivot + replacement * size, True
    return pivot * (replacement * size / magnitude), True


@njit(cache=True)
def lu_numeric(
    lptr,
    lidx,
    uptr,
    uidx,
    values,
    lsource,
    usource,
    dsource,
    smallest,
    replacement,
    lower,
    upper,
    inverse,
    replaced,
):
    """Factorisation on a fixed pattern, row by row. Returns the number of a row without entries, else n.

    The current row lives in a short buffer; `place` maps its columns there and all others to one dump cell,
    so the inner loop does not branch.
    """
    n = np.uint64(inverse.shape[0])
    one = np.uint64(1)
    absent = np.uint64(values.shape[0])
    longest = np.uint64(0)
    for i in range(n):
        longest = max(longest, np.uint64(lptr[i + one] - lptr[i]) + np.uint64(uptr[i + one] - uptr[i]))
    dump = longest + one
    row = np.zeros(dump + one, dtype=values.dtype)
    place = np.full(n, dump, dtype=np.uint32)
    zero = values.dtype.type(0)
    for i in range(n):
        l0 = np.uint64(lptr[i])
        l1 = np.uint64(lptr[i + one])
        u0 = np.uint64(uptr[i])
        u1 = np.uint64(uptr[i + one])
        size = 0.0
        for p in range(l0, l1):
            s = np.uint64(lsource[p])
            w = values[s] if s < absent else zero
            row[p - l0] = w
            place[lidx[p]] = p - l0
            size = max(size, abs(w))
        pivot_at = l1 - l0
        s = np.uint64(dsource[i])
        w = values[s] if s < absent else zero
        row[pivot_at] = w
        place[i] = pivot_at
        size = max(size, abs(w))
        shift = pivot_at + one
        for p in range(u0, u1):
            s = np.uint64(usource[p])
            w = values[s] if s < absent else zero
            row[p - u0 + shift] = w
            place[uidx[p]] = p - u0 + shift
            size = max(size, abs(w))
        if not size > 0:
            return i
        for p in range(l0, l1):
            k = np.uint64(lidx[p])
            w = row[p - l0]
            for q in range(np.uint64(uptr[k]), np.uint64(uptr[k + one])):
                row[place[uidx[q]]] -= w * upper[q]
            lower[p] = w * inverse[k]
            place[k] = dump
        pivot, changed = _safe_pivot(row[pivot_at], size, smallest, replacement)
        replaced[i] = changed
        inverse[i] = 1.0 / pivot
        place[i] = dump
        for p in range(u0, u1):
            upper[p] = row[p - u0 + shift] * inverse[i]
            place[uidx[p]] = dump
    return n


@njit(cache=True)
def lu_threshold(indptr, indices, values, drop, most, smallest, replacement, inverse, replaced):
    """Factor by threshold: row i drops what is below drop times the root mean square of its entries.

    Entries of L are judged as they meet the pivot, entries of U before they are divided by theirs.
    Returns (row, lptr, lidx, lower, uptr, uidx, upper); row as in `lu_numeric`, n + 1 beyond `most` entries.
    """
    n = np.uint64(inverse.shape[0])
    one = np.uint64(1)
    lptr = np.zeros(indptr.shape[0], dtype=np.uint64)
    uptr = np.zeros(indptr.shape[0], dtype=np.uint64)
    lidx = np.empty(indices.shape[0] + 16, dtype=indices.dtype)
    uidx = np.empty(indices.shape[0] + 16, dtype=indices.dtype)
    lower = np.empty(indices.shape[0] + 16, dtype=values.dtype)
    upper = np.empty(indices.shape[0] + 16, dtype=values.dtype)
    after = np.empty(n + one, dtype=np.uint64)
    work = np.zeros(n, dtype=values.dtype)
    nl = np.uint64(0)
    nu = np.uint64(0)
    for i in range(n):
        at = n
        placed = False
        size = 0.0
        total = 0.0
        lo = np.uint64(indptr[i])
        hi = np.uint64(indptr[i + one])
        for p in range(lo, hi):
            c = np.uint64(indices[p])
            if c > i and not placed:
                after[at] = i
                at = i
                placed = True
            placed = placed or c == i
            after[at] = c
            work[c] = values[p]
            size = max(size, abs(values[p]))
            at = c
        if not placed:
            after[at] = i
            at = i
        after[at] = n
        if not size > 0:
            return i, lptr, lidx, lower, uptr, uidx, upper
        for p in range(lo, hi):
            total += (abs(values[p]) / size) ** 2
        least = drop * size * np.sqrt(total / (hi - lo))
        k = after[n]
        while k < i:
            w = work[k]
            work[k] = 0
            if abs(w) > least:
                at = k
                for q in range(uptr[k], uptr[k + one]):
                    j = np.uint64(uidx[q])
                    while after[at] < j:
                        at = after[at]
                    if after[at] != j:
                        after[j] = after[at]
                        after[at] = j
                    work[j] -= w * upper[q]
                if nl == np.uint64(lidx.shape[0]):
                    lidx = _grown(lidx, 2 * lidx.shape[0])
                    lower = _grown(lower, 2 * lower.shape[0])
                lidx[nl] = k
                lower[nl] = w * inverse[k]
                nl += one
            k = after[k]
        lptr[i + one] = nl
        pivot, changed = _safe_pivot(work[i], size, smallest, replacement)
        work[i] = 0
        replaced[i] = changed
        inverse[i] = 1.0 / pivot
        j = after[i]
        while j != n:
            w = work[j]
            work[j] = 0
            if abs(w) > least:
                if nu == np.uint64(uidx.shape[0]):
                    uidx = _grown(uidx, 2 * uidx.shape[0])
                    upper = _grown(upper, 2 * upper.shape[0])
                uidx[nu] = j
                upper[nu] = w * inverse[i]
                nu += one
            j = after[j]
        uptr[i + one] = nu
        if nl + nu > most:
            return n + one, lptr, lidx, lower, uptr, uidx, upper
    return n, lptr, lidx[:nl].copy(), lower[:nl].copy(), uptr, uidx[:nu].copy(), upper[:nu].copy()
