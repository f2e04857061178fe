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
from numba import njit, prange, types
from numba.extending import intrinsic

NONE = np.uint32(0xFFFFFFFF)
PENDING = np.uint64(0xFFFFFFFFFFFFFFFF)

# how the rows of a chunk are accumulated
BITMAP = np.uint8(0)  # bits set by (word, mask) pairs
BITMAP_PLAIN = np.uint8(1)  # bits set product by product
POSITIONS = np.uint8(2)
HASH = np.uint8(3)


@intrinsic
def trailing_zeros(typingctx, x):
    """Number of zero bits below the lowest set bit of a nonzero 64-bit word."""

    def codegen(context, builder, signature, args):
        from llvmlite import ir

        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen


@intrinsic
def _less_in_16(typingctx, keys, start, key, lanes):
    """How many of the 16 keys from `start` on are less than `key`, counting lanes whose bit is set: one comparison."""

    def codegen(context, builder, signature, args):
        from llvmlite import ir
        from numba.np import arrayobj

        width = signature.args[0].dtype.bitwidth
        vector, lane = ir.VectorType(ir.IntType(width), 16), ir.IntType(32)
        data = arrayobj.make_array(signature.args[0])(context, builder, args[0]).data
        loaded = builder.load(builder.bitcast(builder.gep(data, [args[1]]), vector.as_pointer()), align=width // 8)
        unset = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(unset, args[2], ir.Constant(lane, 0))
        spread = builder.shuffle_vector(first, unset, ir.Constant(ir.VectorType(lane, 16), [0] * 16))
        less = builder.icmp_unsigned("<", loaded, spread)
        bits = builder.and_(builder.zext(builder.bitcast(less, ir.IntType(16)), ir.IntType(64)), args[3])
        return builder.ctpop(bits)

    return types.uint64(keys, types.uint64, keys.dtype, types.uint64), codegen


@intrinsic
def _claim(typingctx, counter):
    """Return the first entry of a uint64 array and add one to it, in one step for all threads."""

    def codegen(context, builder, signature, args):
        from llvmlite import ir
        from numba.np import arrayobj

        data = arrayobj.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.uint64(counter), codegen


@intrinsic
def _publish(typingctx, array, index, value):
    """Store one entry of a uint64 array so that other threads see it."""

    def codegen(context, builder, signature, args):
        from numba.np import arrayobj

        data = arrayobj.make_array(signature.args[0])(context, builder, args[0]).data
        builder.store_atomic(args[2], builder.gep(data, [args[1]]), "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64), codegen


@intrinsic
def _look(typingctx, array, index):
    """Read one entry of a uint64 array that other threads may publish."""

    def codegen(context, builder, signature, args):
        from numba.np import arrayobj

        data = arrayobj.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load_atomic(builder.gep(data, [args[1]]), "acquire", 8)

    return types.uint64(array, types.uint64), codegen


# --- what a product costs ------------------------------------------------------------------------------------------


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
                    place += _less_in_16(keys, begin + s, key, every)
                    s += lane
                place += _less_in_16(keys, begin + s, key, rest)
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
    """The table holds places in the output, so that keys and values are stored once."""
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
    work, ap, aj, ax, bp, bj, bx, ends, words, masks, acc, bits1, bits2, place, keys, values, more_keys, more_values, order, tally, bits,
    sj, sx, held, slab, free, rp, cj, cx,
):  # fmt: skip
    """What one thread does: claim a chunk, compute it, hand it in when its place is known."""
    one, zero = np.uint64(1), np.uint64(0)
    slots = np.uint64(
        held.shape[0]
    )  # a ring of chunks in hand, and a stack of free slabs: the one used last is in cache
    for s in range(slots):
        free[s] = slots - one - s
    known, off = start, offset  # sizes of all chunks before `known` are known; they end at `off`
    tail, waiting = zero, zero
    open_ = True
    while True:
        while waiting > zero:
            c = held[tail]
            while known < c:
                size = _look(counts, known)
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
        c = _claim(counter)
        if c >= chunks:
            open_ = False
            continue
        while waiting == zero and known < c:
            size = _look(counts, known)
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
        elif kind == BITMAP or kind == BITMAP_PLAIN:
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
        _publish(counts, c, n)
        if at_once:
            _settle(off, n, first, last, part[c], parts, rp, one)
        else:
            slot = (tail + waiting) % slots
            held[slot], slab[slot] = c, s
            waiting += one


@njit(parallel=True, cache=True)
def product(
    start, offset, capacity, kind, sort, ordered, parts, room, chunks, columns, firsts, lasts, part, bounds, counter, counts,
    work, ap, aj, ax, bp, bj, bx, ends, words, masks, acc, bits1, bits2, place, keys, values, more_keys, more_values, order, tally, bits,
    sj, sx, held, slab, free, rp, cj, cx,
):  # fmt: skip
    """C <- A B from chunk `start` on; scratch arrays have one slab per thread.

    counts[c] is the number of entries of chunk c. Entries beyond `capacity` are not stored: the caller makes room and goes
    on from the first chunk that did not fit.
    """
    for t in prange(held.shape[0]):
        _crew(
            start, offset, capacity, kind, sort, ordered, parts, room, chunks, columns, firsts, lasts, part, bounds, counter,
            counts, work, ap, aj, ax, bp, bj, bx, ends, words, masks, acc[t], bits1[t], bits2[t], place[t], keys[t],
            values[t], more_keys[t], more_values[t], order[t], tally[t], bits, sj[t], sx[t], held[t], slab[t], free[t], rp, cj, cx,
        )  # fmt: skip


@njit(cache=True)
def small_product(ap, aj, ax, bp, bj, bx, columns, sort, most):
    """A B by positions, on one thread and in one call; (nothing, work) where the work is above `most`.

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


# --- new values on a known pattern -----------------------------------------------------------------------------------


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
        c = _claim(counter)
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
        c = _claim(counter)
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
                ordered, parts, chunks, columns, firsts, lasts, part, numbers, counter, ap, aj, ax, bp, bj, bx, acc[t], slots,
                cp, cj, cx,
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
