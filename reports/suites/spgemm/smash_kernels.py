"""Kernels of the SMASH analogues (`smash`), with the atomics that Numba does not offer on arrays of the CPU.

`_claim`, `_draw` and `_add` emit the LLVM instructions ``cmpxchg`` and ``atomicrmw`` with relaxed order: the ends of the
parallel regions are fences enough.
"""

# mypy: disallow-untyped-defs=False, disallow-incomplete-defs=False, check-untyped-defs=False

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["region", "shared", "windows"]

HASH_LOW, HASH_HIGH, WRITE_ALL, WRITE_ROWS, SORT, FINISH, STREAM, PACK = range(8)
TOKEN = 16  # rows of a shared window that a thread draws at a time


def _pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return cgutils.get_item_pointer(context, builder, signature.args[0], array, [args[1]], wraparound=False)


@intrinsic
def _claim(typing: Any, array: Any, at: Any, old: Any, new: Any) -> Any:
    """Compare-and-swap on an int64 array; returns what was there."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature, args)
        return builder.extract_value(builder.cmpxchg(pointer, args[2], args[3], "monotonic", "monotonic"), 0)

    return types.int64(array, types.intp, types.int64, types.int64), generate


@intrinsic
def _draw(typing: Any, array: Any, at: Any, step: Any) -> Any:
    """Atomic addition to an int64 array; returns what was there."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _pointer(context, builder, signature, args), args[2], "monotonic")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def _add(typing: Any, array: Any, at: Any, value: Any) -> Any:
    """Atomic addition of a float64 whose bits stand in an int64 array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.bitcast(_pointer(context, builder, signature, args), ir.DoubleType().as_pointer())
        return builder.atomic_rmw("fadd", pointer, args[2], "monotonic")

    return types.float64(array, types.intp, types.float64), generate


@intrinsic
def _float(typing: Any, bits: Any) -> Any:
    """Return the float64 that has these bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), generate


@njit(cache=True)
def _put(table, mask, place, tag, value):
    """Add a value under a tag to the shared table; return whether the tag is new."""
    while True:
        found = table[2 * place]
        if found == -1:
            found = _claim(table, 2 * place, -1, tag)
            if found == -1:
                _add(table, 2 * place + 1, value)
                return 1
        if found == tag:
            _add(table, 2 * place + 1, value)
            return 0
        place = (place + 1) & mask


@njit(cache=True)
def _insertion_sort(columns, values, low, high):
    for i in range(low + 1, high):
        column, value = columns[i], values[i]
        j = i
        while j > low and columns[j - 1] > column:
            columns[j], values[j] = columns[j - 1], values[j - 1]
            j -= 1
        columns[j], values[j] = column, value


@njit(cache=True)
def _shell_sort(columns, values, low, high):
    gap = 1
    while gap < (high - low) // 3:
        gap = 3 * gap + 1
    while gap > 1:
        for i in range(low + gap, high):
            column, value = columns[i], values[i]
            j = i
            while j >= low + gap and columns[j - gap] > column:
                columns[j], values[j] = columns[j - gap], values[j - gap]
                j -= gap
            columns[j], values[j] = column, value
        gap //= 3
    _insertion_sort(columns, values, low, high)


@njit(cache=True)
def windows(bounds, most):
    """Cut rows into runs whose bounds sum to at most `most`; every run has a row."""
    n = bounds.size - 1
    cuts = np.empty(n + 1, np.int64)
    cuts[0] = 0
    count, row = 0, 0
    while row < n:
        end = max(row + 1, np.searchsorted(bounds, bounds[row] + most, side="right") - 1)
        count += 1
        cuts[count] = row = min(end, n)
    return cuts[: count + 1]


@njit(cache=True)
def _hash_low(Ap, Aj, Ax, Bp, Bj, Bx, n, first, low, high, table, mask, counts):
    for i in range(low, high):
        tag = (i - first) * n
        fresh = 0
        for k in range(Ap[i], Ap[i + 1]):
            a = Ax[k]
            for q in range(Bp[Aj[k]], Bp[Aj[k] + 1]):
                key = tag + np.int64(Bj[q])
                fresh += _put(table, mask, key & mask, key, a * Bx[q])
        counts[i + 1] = fresh


@njit(cache=True)
def _shift(Ap, Aj, Bp, Bj, i, width):
    """First column of a row of C, and how many low bits of a column to drop so that `width` places do."""
    least, most = np.int64(1) << 62, np.int64(-1)
    for k in range(Ap[i], Ap[i + 1]):
        start, end = Bp[Aj[k]], Bp[Aj[k] + 1]
        if start < end:
            least, most = min(least, np.int64(Bj[start])), max(most, np.int64(Bj[end - 1]))
    shift = 0
    while ((most - least) >> shift) >= width:
        shift += 1
    return least, shift


@njit(cache=True)
def _hash_high(Ap, Aj, Ax, Bp, Bj, Bx, n, first, low, high, table, mask, counts, bounds):
    for i in range(low, high):
        tag, fresh = (i - first) * n, 0
        place = 2 * (bounds[i] - bounds[first])
        least, shift = _shift(Ap, Aj, Bp, Bj, i, 2 * (bounds[i + 1] - bounds[i]))
        for k in range(Ap[i], Ap[i + 1]):
            a = Ax[k]
            for q in range(Bp[Aj[k]], Bp[Aj[k] + 1]):
                column = np.int64(Bj[q])
                fresh += _put(table, mask, place + ((column - least) >> shift), tag + column, a * Bx[q])
        counts[i + 1] = fresh


@njit(cache=True)
def _write(table, n, first, low, high, cursors, columns, values):
    """Move a stretch of the shared table to the rows of C and leave it empty."""
    for place in range(low, high):
        key = table[2 * place]
        if key >= 0:
            row = key // n
            to = _draw(cursors, first + row, 1)
            columns[to] = key - row * n
            values[to] = _float(table[2 * place + 1])
            table[2 * place] = -1
            table[2 * place + 1] = 0


@njit(cache=True)
def _offsets(counts, cursors, first, last):
    for i in range(first, last):
        counts[i + 1] += counts[i]
        cursors[i] = counts[i]


@njit(cache=True)
def _draw_and_hash(Ap, Aj, Ax, Bp, Bj, Bx, n, first, last, table, mask, counts, bounds, tokens):
    while True:
        low = first + TOKEN * _draw(tokens, 0, 1)
        if low >= last:
            return
        high = min(low + TOKEN, last)
        _hash_high(Ap, Aj, Ax, Bp, Bj, Bx, n, first, low, high, table, mask, counts, bounds)


@njit(cache=True)
def _stream(Ap, Aj, Ax, Bp, Bj, Bx, low, high, tags, sums, counts, bounds, columns, values):
    """Rows `low` to `high` through the thread's own table; the rows go where their bounds begin."""
    to = bounds[low]
    for i in range(low, high):
        bound = bounds[i + 1] - bounds[i]
        size = 2
        while size < 2 * bound:
            size *= 2
        mask = np.uint64(size - 1)
        least, shift = _shift(Ap, Aj, Bp, Bj, i, size)
        for k in range(Ap[i], Ap[i + 1]):
            a = Ax[k]
            for q in range(Bp[Aj[k]], Bp[Aj[k] + 1]):
                column = np.int64(Bj[q])
                place = np.uint64((column - least) >> shift)
                found = tags[place]
                while found != column and found != -1:
                    place = (place + np.uint64(1)) & mask
                    found = tags[place]
                if found == -1:
                    tags[place] = column
                    sums[place] = a * Bx[q]
                else:
                    sums[place] += a * Bx[q]
        start = to
        for place in range(size):
            if tags[place] != -1:
                columns[to], values[to] = tags[place], sums[place]
                tags[place] = -1
                to += 1
        _insertion_sort(columns, values, start, to)
        counts[i + 1] = to - start


@njit(cache=True)
def _draw_and_stream(Ap, Aj, Ax, Bp, Bj, Bx, cuts, tags, sums, counts, bounds, columns, values, tokens):
    while True:
        token = _draw(tokens, 0, 1)
        if token >= cuts.size - 1:
            return
        low, high = cuts[token], cuts[token + 1]
        _stream(Ap, Aj, Ax, Bp, Bj, Bx, low, high, tags, sums, counts, bounds, columns, values)


@njit(cache=True)
def _pack(low, high, counts, bounds, columns, values, packed_columns, packed_values):
    start, length = bounds[low], counts[high] - counts[low]
    packed_columns[counts[low] : counts[high]] = columns[start : start + length]
    packed_values[counts[low] : counts[high]] = values[start : start + length]


@njit(cache=True)
def _turn(
    step, t, threads, factors, n, first, last, table, tags, sums, cuts, bounds, counts, cursors, tokens, C, packed
):
    """Do what one of the threads does in one step of one window."""
    Ap, Aj, Ax, Bp, Bj, Bx = factors
    columns, values = C
    mask = table.size // 2 - 1
    low, high = first + (last - first) * t // threads, first + (last - first) * (t + 1) // threads
    if step == HASH_LOW:
        _hash_low(Ap, Aj, Ax, Bp, Bj, Bx, n, first, low, high, table, mask, counts)
    elif step == HASH_HIGH:
        _draw_and_hash(Ap, Aj, Ax, Bp, Bj, Bx, n, first, last, table, mask, counts, bounds, tokens)
    elif step == WRITE_ALL:
        _write(table, n, first, (mask + 1) * t // threads, (mask + 1) * (t + 1) // threads, cursors, columns, values)
    elif step == WRITE_ROWS:
        # cut between two rows, or their halves would arrive in turn and the insertion sort have much to do
        begin, end = 2 * (bounds[low] - bounds[first]), 2 * (bounds[high] - bounds[first])
        _write(table, n, first, begin, end if t + 1 < threads else mask + 1, cursors, columns, values)
    elif step == SORT:
        for i in range(low, high):
            _shell_sort(columns, values, counts[i], counts[i + 1])
    elif step == FINISH:
        for i in range(low, high):
            _insertion_sort(columns, values, counts[i], counts[i + 1])
    elif step == STREAM:
        _draw_and_stream(Ap, Aj, Ax, Bp, Bj, Bx, cuts, tags[t], sums[t], counts, bounds, columns, values, tokens)
    else:
        for w in range((cuts.size - 1) * t // threads, (cuts.size - 1) * (t + 1) // threads):
            _pack(cuts[w], cuts[w + 1], counts, bounds, columns, values, packed[0], packed[1])


@njit(parallel=True, cache=True)
def region(step, threads, factors, n, first, last, table, tags, sums, cuts, bounds, counts, cursors, tokens, C, packed):
    """Let all threads take their turn; the only parallel region, because each costs a second of compilation."""
    for t in prange(threads):
        _turn(
            step,
            t,
            threads,
            factors,
            n,
            first,
            last,
            table,
            tags,
            sums,
            cuts,
            bounds,
            counts,
            cursors,
            tokens,
            C,
            packed,
        )


@njit(cache=True)
def shared(steps, threads, factors, n, table, tags, sums, cuts, bounds, counts, cursors, tokens, C):
    """Window by window through the shared table: hash, write, sort."""
    for w in range(cuts.size - 1):
        first, last = cuts[w], cuts[w + 1]
        tokens[0] = 0
        for step in steps:
            if step in (WRITE_ALL, WRITE_ROWS):
                _offsets(counts, cursors, first, last)
            region(
                step, threads, factors, n, first, last, table, tags, sums, cuts, bounds, counts, cursors, tokens, C, C
            )
