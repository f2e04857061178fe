"""Sparse times sparse by rows (Gustavson): accumulators, chunks of equal work, and the ordered write-back.

The result of a row is gathered in one of four accumulators:

- *bitmap*: dense values plus a two-level bitmap of the touched columns, read out in sorted order by counting trailing zeros.
  Rows of B may be compressed to (word, mask) pairs first, so that one bit operation covers up to 64 columns.
- *positions*: for each column the place of its entry in the output; unsorted, then sorted row by row where asked for.
- *hash*: open addressing, for matrices so wide that an array per column does not pay.
- *range*: the bitmap over a part of the columns, for rows so heavy that several threads share one.

Work is cut into chunks of about equal numbers of multiply-adds, which the threads claim in order. A thread computes a chunk
into its own scratch, publishes how many entries came out, and copies them to their final place as soon as the sizes of all
earlier chunks are known; so there is no counting pass and the scratch stays in cache. Every entry is summed by one thread
in the order of A's row: neither the accumulator nor the number of threads changes a bit.

Index arrays are unsigned views; see `operators.matrix.index_view`.
"""

import numpy as np
from numba import njit, prange

from .words import NONE, PENDING, claim, less_in_16, look, publish, trailing_zeros

# how the rows of a chunk are accumulated
BITMAP = np.uint8(0)  # bits set by (word, mask) pairs
BITMAP_PLAIN = np.uint8(1)  # bits set product by product
POSITIONS = np.uint8(2)
HASH = np.uint8(3)


# --- accumulators: each puts rows first to last into (tj, tx) from place 0 and returns the number of entries ----------
#
# A call with a dozen arrays costs as much as a short row, so what is done for every row is written out in its loop.


@njit(cache=True)
def _bitmap_rows(
    first, last, compressed, ap, aj, ax, bp, bj, bx, ends, words, masks, acc, bits1, bits2, rp, tj, tx
):  # fmt: skip
    one, zero, six, low63 = np.uint64(1), np.uint64(0), np.uint64(6), np.uint64(63)
    nought = acc.dtype.type(0)
    q = zero
    dense = compressed  # whether the words from the first to the last are mostly in use; learned from the row before
    for i in range(first, last):
        low, high = PENDING, zero
        begin = q
        if dense:
            for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
                r, a = np.uint64(aj[k]), ax[k]
                start = np.uint64(bp[r])
                for p in range(start, np.uint64(ends[r])):
                    w = np.uint64(words[p])
                    low, high = min(low, w), max(high, w)
                    bits1[w] |= masks[p]
                for p in range(start, np.uint64(bp[r + one])):
                    acc[bj[p]] += a * bx[p]
            w = low
            while w <= high:
                bits = bits1[w]
                if bits != zero:
                    bits1[w] = zero
                    base = w << six
                    while bits != zero:
                        j = base + trailing_zeros(bits)
                        bits &= bits - one
                        tj[q] = j
                        tx[q] = acc[j]
                        acc[j] = nought
                        q += one
                w += one
            if low <= high:
                dense = (high - low) <= (q - begin) + (q - begin)
            rp[i + one] = q
            continue
        if compressed:
            for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
                r, a = np.uint64(aj[k]), ax[k]
                start = np.uint64(bp[r])
                for p in range(start, np.uint64(ends[r])):
                    w = np.uint64(words[p])
                    u = w >> six
                    low, high = min(low, u), max(high, u)
                    bits1[w] |= masks[p]
                    bits2[u] |= one << (w & low63)
                for p in range(start, np.uint64(bp[r + one])):
                    acc[bj[p]] += a * bx[p]
        else:
            for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
                r, a = np.uint64(aj[k]), ax[k]
                for p in range(np.uint64(bp[r]), np.uint64(bp[r + one])):
                    j = np.uint64(bj[p])
                    w = j >> six
                    u = w >> six
                    low, high = min(low, u), max(high, u)
                    acc[j] += a * bx[p]
                    bits1[w] |= one << (j & low63)
                    bits2[u] |= one << (w & low63)
        u = low
        while u <= high:
            upper = bits2[u]
            bits2[u] = zero
            while upper != zero:
                w = (u << six) + trailing_zeros(upper)
                upper &= upper - one
                bits = bits1[w]
                bits1[w] = zero
                base = w << six
                while bits != zero:
                    j = base + trailing_zeros(bits)
                    bits &= bits - one
                    tj[q] = j
                    tx[q] = acc[j]
                    acc[j] = nought
                    q += one
            u += one
        if compressed and low <= high:
            dense = ((high - low) << six) <= (q - begin)
        rp[i + one] = q
    return q


@njit(cache=True)
def _range_row(i, left, right, ordered, ap, aj, ax, bp, bj, bx, acc, bits1, bits2, tj, tx):
    """Columns left to right of row i."""
    nought = acc.dtype.type(0)
    one, zero, six, low63 = np.uint64(1), np.uint64(0), np.uint64(6), np.uint64(63)
    low, high = PENDING, zero
    for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
        r, a = np.uint64(aj[k]), ax[k]
        p, end = np.uint64(bp[r]), np.uint64(bp[r + one])
        if ordered:  # skip what stands left of the range
            size = end - p
            while size > zero:
                half = size >> one
                if np.uint64(bj[p + half]) < left:
                    p += half + one
                    size -= half + one
                else:
                    size = half
        while p < end:
            j = np.uint64(bj[p])
            if j >= right:
                if ordered:
                    break
            elif j >= left:
                j -= left
                w = j >> six
                u = w >> six
                low, high = min(low, u), max(high, u)
                acc[j] += a * bx[p]
                bits1[w] |= one << (j & low63)
                bits2[u] |= one << (w & low63)
            p += one
    q = zero
    u = low
    while u <= high:
        upper = bits2[u]
        bits2[u] = zero
        while upper != zero:
            w = (u << six) + trailing_zeros(upper)
            upper &= upper - one
            bits = bits1[w]
            bits1[w] = zero
            base = w << six
            while bits != zero:
                j = base + trailing_zeros(bits)
                bits &= bits - one
                tj[q] = left + j
                tx[q] = acc[j]
                acc[j] = nought
                q += one
        u += one
    return q


@njit(cache=True)
def _radix_pass(n, shift, bits, source, numbers, into, places, begin_from, begin_to, tally):
    one, zero = np.uint64(1), np.uint64(0)
    size = one << bits
    low = size - one
    for b in range(size):
        tally[b] = zero
    for t in range(n):
        tally[(np.uint64(source[begin_from + t]) >> shift) & low] += one
    place = begin_to
    for b in range(size):
        count = tally[b]
        tally[b] = place
        place += count
    for t in range(n):
        j = source[begin_from + t]
        b = (np.uint64(j) >> shift) & low
        into[tally[b]] = j
        places[tally[b]] = numbers[begin_from + t]
        tally[b] += one


@njit(cache=True)
def _sort_rows(first, last, rp, keys, values, more_keys, more_values, order, tally, bits, tj, tx):
    """Copy rows first to last from (keys, values) to (tj, tx), each by ascending column; columns of a row differ.

    Short rows by counting for each key how many are less, 16 at a time; where the row before went through the same order, as
    rows of a mesh do, that order is tried first. Long rows by radix sort.
    """
    one, zero, lane = np.uint64(1), np.uint64(0), np.uint64(16)
    every = np.uint64(0xFFFF)
    begin, before, wait = zero, zero, zero
    for i in range(first, last):
        end = np.uint64(rp[i + one])
        n = end - begin
        if n > np.uint64(96):
            if bits <= np.uint64(11):
                _radix_pass(n, zero, bits, keys, values, tj, tx, begin, begin, tally)
            else:
                third = (bits + np.uint64(2)) // np.uint64(3)
                _radix_pass(n, zero, third, keys, values, tj, tx, begin, begin, tally)
                _radix_pass(n, third, third, tj, tx, more_keys, more_values, begin, zero, tally)
                _radix_pass(n, third + third, third, more_keys, more_values, tj, tx, zero, begin, tally)
            before = zero
            begin = end
            continue
        rises = False
        if n == before and wait == zero:
            for t in range(n):
                place = begin + order[t]
                tj[place] = keys[begin + t]
                tx[place] = values[begin + t]
            falls = zero
            for t in range(begin + one, end):
                falls += np.uint64(tj[t] < tj[t - one])
            rises = falls == zero
            if not rises:
                wait = np.uint64(2)  # the next rows are sorted outright
        elif wait > zero:
            wait -= one
        if not rises:
            full = n // lane * lane
            rest = (one << (n - full)) - one
            for t in range(n):
                key, place, s = keys[begin + t], zero, zero
                while s < full:
                    place += less_in_16(keys, begin + s, key, every)
                    s += lane
                place += less_in_16(keys, begin + s, key, rest)
                order[t] = place
                tj[begin + place] = key
                tx[begin + place] = values[begin + t]
        before = n
        begin = end


@njit(cache=True)
def _position_rows(first, last, ap, aj, ax, bp, bj, bx, place, rp, tj, tx):
    """`place` may hold anything: an entry counts only if it points to this column in this row."""
    one, zero = np.uint64(1), np.uint64(0)
    nought = bx.dtype.type(0)
    q = zero
    for i in range(first, last):
        begin = q
        for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
            r, a = np.uint64(aj[k]), ax[k]
            for p in range(np.uint64(bp[r]), np.uint64(bp[r + one])):
                j = bj[p]
                v = a * bx[p]
                t = np.uint64(place[j])
                if t < q and t >= begin and tj[t] == j:
                    tx[t] += v
                else:
                    place[j] = np.uint32(q)
                    tj[q] = j
                    tx[q] = nought + v
                    q += one
        rp[i + one] = q
    return q


@njit(cache=True)
def _hash_rows(first, last, work, ap, aj, ax, bp, bj, bx, table, rp, tj, tx):
    """Hash tables that hold places in the output, so that keys and values are stored once."""
    one, zero = np.uint64(1), np.uint64(0)
    nought = bx.dtype.type(0)
    q = zero
    for i in range(first, last):
        size = np.uint64(16)
        while size < np.uint64(work[i]) + np.uint64(work[i]):
            size += size
        mask = size - one
        for t in range(size):
            table[t] = NONE
        for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
            r, a = np.uint64(aj[k]), ax[k]
            for p in range(np.uint64(bp[r]), np.uint64(bp[r + one])):
                j = bj[p]
                v = a * bx[p]
                h = (np.uint64(j) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(24)) & mask
                while True:
                    t = table[h]
                    if t == NONE:
                        table[h] = np.uint32(q)
                        tj[q] = j
                        tx[q] = nought + v
                        q += one
                        break
                    if tj[t] == j:
                        tx[t] += v
                        break
                    h = (h + one) & mask
        rp[i + one] = q
    return q


# --- the crew ------------------------------------------------------------------------------------------------------


@njit(cache=True)
def _settle(off, n, first, last, part, parts, rp, one):
    """Turn places within the chunk into places in the result."""
    if part == NONE:
        for i in range(first, last):
            rp[i + one] += off
    elif np.uint64(part) + one == parts:
        rp[last] = off + n


@njit(cache=True)
def _crew(
    start, offset, capacity, kind, sort, ordered, parts, room, chunks, columns, firsts, lasts, part, bounds, counter, counts,
    work, ap, aj, ax, bp, bj, bx, ends, words, masks, acc, bits1, bits2, place, keys, values, more_keys, more_values, order,
    tally, bits, sj, sx, held, slab, free, rp, cj, cx,
):  # fmt: skip
    """Work of one thread: claim a chunk, compute it, hand it in when its place is known."""
    one, zero = np.uint64(1), np.uint64(0)
    # a ring of chunks in hand, and a stack of free slabs: the one used last is in cache
    slots = np.uint64(held.shape[0])
    for s in range(slots):
        free[s] = slots - one - s
    known, off = start, offset  # sizes of all chunks before `known` are known; they end at `off`
    tail, waiting = zero, zero
    open_ = True
    while True:
        while waiting > zero:
            c = held[tail]
            while known < c:
                size = look(counts, known)
                if size == PENDING:
                    break
                off += size
                known += one
            if known < c:
                break
            n = counts[c]
            if off + n > capacity:
                return
            free[slots - waiting] = slab[tail]
            left = slab[tail] * room
            for s in range(n):
                cj[off + s] = sj[left + s]
            for s in range(n):
                cx[off + s] = sx[left + s]
            _settle(off, n, firsts[c], lasts[c], part[c], parts, rp, one)
            tail = (tail + one) % slots
            waiting -= one
        if waiting == zero and not open_:
            return
        if not open_ or waiting == slots:
            continue
        c = claim(counter)
        if c >= chunks:
            open_ = False
            continue
        while waiting == zero and known < c:
            size = look(counts, known)
            if size == PENDING:
                break
            off += size
            known += one
        at_once = known == c and waiting == zero and off + bounds[c] <= capacity
        s = free[slots - waiting - one]
        if at_once:
            tj, tx = cj[off:], cx[off:]
        else:
            tj, tx = sj[s * room :], sx[s * room :]
        first, last = firsts[c], lasts[c]
        if part[c] != NONE:
            left = columns * np.uint64(part[c]) // parts
            right = columns * (np.uint64(part[c]) + one) // parts
            n = _range_row(first, left, right, ordered, ap, aj, ax, bp, bj, bx, acc, bits1, bits2, tj, tx)
        elif kind in (BITMAP, BITMAP_PLAIN):
            compressed = kind == BITMAP
            n = _bitmap_rows(
                first, last, compressed, ap, aj, ax, bp, bj, bx, ends, words, masks, acc, bits1, bits2, rp, tj, tx
            )
        else:
            uj, ux = (keys, values) if sort else (tj, tx)
            if kind == POSITIONS:
                n = _position_rows(first, last, ap, aj, ax, bp, bj, bx, place, rp, uj, ux)
            else:
                n = _hash_rows(first, last, work, ap, aj, ax, bp, bj, bx, place, rp, uj, ux)
            if sort:
                _sort_rows(first, last, rp, keys, values, more_keys, more_values, order, tally, bits, tj, tx)
        publish(counts, c, n)
        if at_once:
            _settle(off, n, first, last, part[c], parts, rp, one)
        else:
            slot = (tail + waiting) % slots
            held[slot], slab[slot] = c, s
            waiting += one


@njit(parallel=True, cache=True)
def product(
    start, offset, capacity, kind, sort, ordered, parts, room, chunks, columns, firsts, lasts, part, bounds, counter, counts,
    work, ap, aj, ax, bp, bj, bx, ends, words, masks, acc, bits1, bits2, place, keys, values, more_keys, more_values, order,
    tally, bits, sj, sx, held, slab, free, rp, cj, cx,
):  # fmt: skip
    """C <- A B from chunk `start` on; scratch arrays have one slab per thread.

    counts[c] is the number of entries of chunk c. Entries beyond `capacity` are not stored: the caller makes room and goes
    on from the first chunk that did not fit.
    """
    for t in prange(held.shape[0]):
        _crew(
            start, offset, capacity, kind, sort, ordered, parts, room, chunks, columns, firsts, lasts, part, bounds, counter,
            counts, work, ap, aj, ax, bp, bj, bx, ends, words, masks, acc[t], bits1[t], bits2[t], place[t], keys[t],
            values[t], more_keys[t], more_values[t], order[t], tally[t], bits, sj[t], sx[t], held[t],
            slab[t], free[t], rp, cj, cx,
        )  # fmt: skip


@njit(cache=True)
def small_product(ap, aj, ax, bp, bj, bx, columns, sort, most):
    """Form A B by positions, on one thread and in one call; give up where the work is above `most`.

    Work 2**64 - 1 stands for an index of A out of range, 2**64 - 2 for one of B.
    """
    one, zero = np.uint64(1), np.uint64(0)
    rows = np.uint64(ap.shape[0]) - one
    inner = np.uint64(bp.shape[0]) - one
    rp = np.zeros(rows + one, np.uint32)
    work, longest = zero, zero
    for i in range(rows):
        m = zero
        for k in range(np.uint64(ap[i]), np.uint64(ap[i + one])):
            r = np.uint64(aj[k])
            if r >= inner:
                return rp, aj[:0], ax[:0], PENDING
            m += np.uint64(bp[r + one]) - np.uint64(bp[r])
        work += m
        longest = max(longest, m)
    if work > most:
        return rp, aj[:0], ax[:0], work
    for k in range(np.uint64(bp[inner])):
        if np.uint64(bj[k]) >= columns:
            return rp, aj[:0], ax[:0], PENDING - one
    tj, tx = np.empty(work + np.uint64(16), bj.dtype), np.empty(work, bx.dtype)
    q = _position_rows(zero, rows, ap, aj, ax, bp, bj, bx, np.empty(columns, np.uint32), rp, tj, tx)
    if not sort:
        return rp, tj[:q].copy(), tx[:q].copy(), work
    sj, sx = np.empty(q, bj.dtype), np.empty(q, bx.dtype)
    longest = min(longest, columns)
    if longest <= np.uint64(96):
        longest = zero
    bits = one
    while (one << bits) < columns:
        bits += one
    _sort_rows(
        zero, rows, rp, tj, tx, np.empty(longest, bj.dtype), np.empty(longest, bx.dtype), np.empty(96, np.uint64),
        np.empty(2048, np.uint64), bits, sj, sx,
    )  # fmt: skip
    return rp, sj, sx, work
