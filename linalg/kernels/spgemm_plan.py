"""Sparse products on known patterns: new values only; and fingerprints of patterns."""

import numpy as np
from numba import njit, prange

from .words import NONE, claim


@njit(cache=True)
def _gather_rows(first, last, ap, aj, ax, bp, bj, bx, acc, cp, cj, cx):
    one = np.uint64(1)
    nought = acc.dtype.type(0)
    for i in range(first, last):
        for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
            r, a = np.uint64(aj[k]), ax[k]
            for p in range(np.uint64(bp[r]), np.uint64(bp[r + one])):
                acc[bj[p]] += a * bx[p]
        for q in range(np.uint64(cp[i]), np.uint64(cp[i + one])):
            j = cj[q]
            cx[q] = acc[j]
            acc[j] = nought


@njit(cache=True)
def _first_at_least(indices, begin, end, column):
    """Place of the first index in an ascending stretch that is not below `column`."""
    one = np.uint64(1)
    size = end - begin
    while size > np.uint64(0):
        half = size >> one
        if np.uint64(indices[begin + half]) < column:
            begin += half + one
            size -= half + one
        else:
            size = half
    return begin


@njit(cache=True)
def _gather_range(i, left, right, ordered, ap, aj, ax, bp, bj, bx, acc, cp, cj, cx):
    one = np.uint64(1)
    nought = acc.dtype.type(0)
    for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
        r, a = np.uint64(aj[k]), ax[k]
        p, end = np.uint64(bp[r]), np.uint64(bp[r + one])
        if ordered:
            p = _first_at_least(bj, p, end, left)
        while p < end:
            j = np.uint64(bj[p])
            if j >= right:
                if ordered:
                    break
            elif j >= left:
                acc[j] += a * bx[p]
            p += one
    begin, end = np.uint64(cp[i]), np.uint64(cp[i + one])
    for q in range(_first_at_least(cj, begin, end, left), _first_at_least(cj, begin, end, right)):
        j = cj[q]
        cx[q] = acc[j]
        acc[j] = nought


@njit(cache=True)
def _slot_rows(first, last, s, ap, aj, ax, bp, bx, slots, cp, cx):
    """As `_gather_rows`, with the place of every product in its row of C known; `s` is the first product's number."""
    one = np.uint64(1)
    nought = cx.dtype.type(0)
    for i in range(first, last):
        begin = np.uint64(cp[i])
        for q in range(begin, np.uint64(cp[i + one])):
            cx[q] = nought
        for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
            r, a = np.uint64(aj[k]), ax[k]
            for p in range(np.uint64(bp[r]), np.uint64(bp[r + one])):
                cx[begin + np.uint64(slots[s])] += a * bx[p]
                s += one


@njit(cache=True)
def _slot_crew(chunks, firsts, lasts, part, numbers, counter, ap, aj, bp, bj, places, cp, cj, slots):
    one = np.uint64(1)
    while True:
        c = claim(counter)
        if c >= chunks:
            return
        if part[c] != NONE:
            continue
        s = numbers[c]
        for i in range(firsts[c], lasts[c]):
            begin = np.uint64(cp[i])
            for q in range(begin, np.uint64(cp[i + one])):
                places[cj[q]] = q - begin
            for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
                r = np.uint64(aj[k])
                for p in range(np.uint64(bp[r]), np.uint64(bp[r + one])):
                    slots[s] = places[bj[p]]
                    s += one


@njit(parallel=True, cache=True)
def find_slots(chunks, firsts, lasts, part, numbers, counter, ap, aj, bp, bj, places, cp, cj, slots):
    """Place of every product within its row of C; those of chunk c start at slots[numbers[c]]."""
    for t in prange(places.shape[0]):
        _slot_crew(chunks, firsts, lasts, part, numbers, counter, ap, aj, bp, bj, places[t], cp, cj, slots)


@njit(cache=True)
def _plan_crew(
    ordered, parts, chunks, columns, firsts, lasts, part, numbers, counter, ap, aj, ax, bp, bj, bx, acc, slots, cp, cj, cx
):  # fmt: skip
    one = np.uint64(1)
    while True:
        c = claim(counter)
        if c >= chunks:
            return
        if part[c] != NONE:
            left = columns * np.uint64(part[c]) // parts
            right = columns * (np.uint64(part[c]) + one) // parts
            _gather_range(firsts[c], left, right, ordered, ap, aj, ax, bp, bj, bx, acc, cp, cj, cx)
        elif slots.shape[0] > 0:
            _slot_rows(firsts[c], lasts[c], numbers[c], ap, aj, ax, bp, bx, slots, cp, cx)
        else:
            _gather_rows(firsts[c], lasts[c], ap, aj, ax, bp, bj, bx, acc, cp, cj, cx)


@njit(parallel=True, cache=True)
def planned(
    ordered, parts, chunks, columns, firsts, lasts, part, numbers, counter, ap, aj, ax, bp, bj, bx, acc, slots, cp, cj, cx
):  # fmt: skip
    """Entries of A B on its known, sorted pattern (cp, cj); acc holds a slab of zeros per thread and is left so."""
    if acc.shape[0] == 1:
        _plan_crew(
            ordered, parts, chunks, columns, firsts, lasts, part, numbers, counter, ap, aj, ax, bp, bj, bx, acc[0], slots,
            cp, cj, cx,
        )  # fmt: skip
    else:
        for t in prange(acc.shape[0]):
            _plan_crew(
                ordered, parts, chunks, columns, firsts, lasts, part, numbers, counter, ap, aj, ax, bp, bj, bx, acc[t],
                slots, cp, cj, cx,
            )  # fmt: skip


@njit(cache=True)
def _mixed(first, last, numbers, salt):
    total = np.uint64(0)
    for k in range(first, last):
        z = (np.uint64(numbers[k]) + salt + np.uint64(k) * np.uint64(0x9E3779B97F4A7C15)) * np.uint64(
            0xBF58476D1CE4E5B9
        )
        z = (z ^ (z >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
        total += z ^ (z >> np.uint64(29))
    return total


@njit(parallel=True, cache=True)
def fingerprint(numbers, salt, partial):
    """64-bit hash of an index array; every entry is mixed with its place, so the sum may run in any order."""
    n = np.uint64(numbers.shape[0])
    blocks = np.uint64(partial.shape[0])
    if blocks == np.uint64(1):
        partial[0] = _mixed(np.uint64(0), n, numbers, salt)
    else:
        for b in prange(partial.shape[0]):
            partial[b] = _mixed(n * np.uint64(b) // blocks, n * (np.uint64(b) + np.uint64(1)) // blocks, numbers, salt)
