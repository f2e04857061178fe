"""Passes over the factors of a sparse product: work by row, words of columns, chunks of equal work."""

import numpy as np
from numba import njit, prange

from .words import NONE, PENDING


@njit(cache=True)
def _row_work(first, last, indptr, indices, other, limit, work):
    """Multiply-adds of rows first to last; the total, or PENDING where an index is out of range."""
    total = np.uint64(0)
    one = np.uint64(1)
    for i in range(first, last):
        m = np.uint64(0)
        for k in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            r = np.uint64(indices[k])
            if r >= limit:
                return PENDING
            m += np.uint64(other[r + one]) - np.uint64(other[r])
        total += m
        work[i] = np.uint32(min(m, np.uint64(NONE)))
    return total


@njit(parallel=True, cache=True)
def row_work(starts, indptr, indices, other, limit, work, totals):
    """work[i] <- multiply-adds of row i (at most 2**32 - 1); totals[b] <- their sum over block b."""
    if starts.shape[0] == 2:
        totals[0] = _row_work(starts[0], starts[1], indptr, indices, other, limit, work)
    else:
        for b in prange(starts.shape[0] - 1):
            totals[b] = _row_work(starts[b], starts[b + 1], indptr, indices, other, limit, work)


@njit(cache=True)
def _inspect(first, last, indices):
    """Largest index, and steps from one 64-column word to another, row ends included."""
    most, runs = indices[first], np.uint64(1)
    one, six = np.uint64(1), np.uint32(6)
    for k in range(first + one, last):
        j = indices[k]
        most = max(most, j)
        runs += np.uint64((j >> six) != (indices[k - one] >> six))
    return np.uint64(most), runs


@njit(parallel=True, cache=True)
def inspect(starts, indices, most, runs):
    """Look once at every column index of B, block by block of entries: see `_inspect`."""
    if starts.shape[0] == 2:
        most[0], runs[0] = _inspect(starts[0], starts[1], indices)
    else:
        for b in prange(starts.shape[0] - 1):
            most[b], runs[b] = _inspect(starts[b], starts[b + 1], indices)


@njit(cache=True)
def ascending(indptr, indices):
    """Whether the columns of every row rise strictly."""
    one = np.uint64(1)
    for i in range(np.uint64(indptr.shape[0]) - one):
        for k in range(np.uint64(indptr[i]) + one, np.uint64(indptr[i + one])):
            if indices[k] <= indices[k - one]:
                return False
    return True


@njit(cache=True)
def _compress(first, last, indptr, indices, ends, words, masks):
    one, six, low = np.uint64(1), np.uint64(6), np.uint64(63)
    for i in range(first, last):
        begin, end = np.uint64(indptr[i]), np.uint64(indptr[i + one])
        q = begin
        if begin < end:
            j = np.uint64(indices[begin])
            word, mask = j >> six, one << (j & low)
            for k in range(begin + one, end):
                j = np.uint64(indices[k])
                bit = one << (j & low)
                if (j >> six) == word:
                    mask |= bit
                else:
                    words[q] = np.uint32(word)
                    masks[q] = mask
                    q += one
                    word, mask = j >> six, bit
            words[q] = np.uint32(word)
            masks[q] = mask
            q += one
        ends[i] = q


@njit(parallel=True, cache=True)
def compress(starts, indptr, indices, ends, words, masks):
    """Rows of B as (word, mask) pairs; those of row i stand at indptr[i] to ends[i], in the order of the row."""
    if starts.shape[0] == 2:
        _compress(starts[0], starts[1], indptr, indices, ends, words, masks)
    else:
        for b in prange(starts.shape[0] - 1):
            _compress(starts[b], starts[b + 1], indptr, indices, ends, words, masks)


@njit(cache=True)
def sample(rows, work, ap, aj, bp, bj, table):
    """Multiply-adds and entries of some rows of the product, of those that fit half of the table (a power of two)."""
    one, zero = np.uint64(1), np.uint64(0)
    mask = np.uint64(table.shape[0]) - one
    products, entries = zero, zero
    for s in range(rows.shape[0]):
        i = rows[s]
        if np.uint64(work[i]) + np.uint64(work[i]) > mask:
            continue
        table[:] = NONE
        for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
            r = np.uint64(aj[k])
            for p in range(np.uint64(bp[r]), np.uint64(bp[r + one])):
                j = np.uint32(bj[p])  # columns that differ by 2**32 count as one: it is an estimate
                h = (np.uint64(j) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(24)) & mask
                while table[h] != NONE and table[h] != j:
                    h = (h + one) & mask
                if table[h] == NONE:
                    table[h] = j
                    entries += one
                products += one
    return products, entries


@njit(cache=True)
def cut(work, columns, target, heavy, parts, firsts, lasts, part, bounds):
    """Cut rows into chunks of about `target` multiply-adds; a row above `heavy` becomes `parts` chunks of columns.

    Returns the number of chunks and the largest work of a row that is in one chunk.
    """
    one, zero = np.uint64(1), np.uint64(0)
    n = np.uint64(work.shape[0])
    count, wide, longest = zero, columns // parts + one, zero
    i = zero
    while i < n:
        m = np.uint64(work[i])
        if m > heavy:
            for p in range(parts):
                firsts[count], lasts[count], part[count] = i, i + one, np.uint32(p)
                bounds[count] = min(m, wide)
                count += one
            i += one
            continue
        first, total, bound = i, zero, zero
        while i < n:
            m = np.uint64(work[i])
            if m > heavy or (i > first and (total + m > target or i - first >= np.uint64(65536))):
                break
            longest = max(longest, m)
            total += m
            bound += min(m, columns)
            i += one
        firsts[count], lasts[count], part[count], bounds[count] = first, i, NONE, bound
        count += one
    return count, longest
