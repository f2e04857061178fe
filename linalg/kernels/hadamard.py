"""Walsh-Hadamard transform of the columns of a block, between a gather of rows and a scatter of rows.

The transform of order M works on flat arrays: rows i to i + h of a block of `width` columns are h * width consecutive
numbers, so a butterfly adds and subtracts two consecutive runs, whatever the width. Levels inside a segment that fits
the cache come first; the levels between segments then work on tiles that are copied together, because rows a power of
two apart would all fall into the same few lines of the cache. Two levels go in one pass (radix 4).
"""

import numpy as np
from numba import njit, prange

WIDTH = 16  # columns that one task carries through the transform
SEGMENT = 1 << 13  # numbers in a segment: 64 KiB of float64
TILE = 64  # numbers from each segment in a tile


@njit(cache=True)
def _levels(v, first, n, h):
    """In-place transform of the n numbers of v from `first` on, from stride h (a whole number of rows) up."""
    # unsigned throughout: signed indices are guarded against negative ones, which keeps loops out of vector registers
    h, first, last = np.uint64(h), np.uint64(first), np.uint64(first + n)
    two, four = np.uint64(2), np.uint64(4)
    while four * h <= last - first:
        for base in range(first, last, four * h):
            for p in range(base, base + h):
                q = p + h
                r = q + h
                s = r + h
                a = v[p] + v[q]
                b = v[p] - v[q]
                c = v[r] + v[s]
                d = v[r] - v[s]
                v[p] = a + c
                v[q] = b + d
                v[r] = a - c
                v[s] = b - d
        h *= four
    if two * h <= last - first:
        for p in range(first, first + h):
            q = p + h
            a = v[p]
            b = v[q]
            v[p] = a + b
            v[q] = a - b


@njit(cache=True)
def _columns(x, first, width, order, source, factor_in, target, factor_out, out):
    v = np.empty(order * width, dtype=out.dtype)
    zero = out.dtype.type(0)
    rows = max(1, SEGMENT // width)
    while rows & (rows - 1):
        rows &= rows - 1  # down to a power of two
    rows = min(rows, order)
    length = rows * width
    for base in range(0, order, rows):
        for i in range(base, base + rows):
            k = source[i]
            if k < 0:
                for j in range(width):
                    v[i * width + j] = zero
            else:
                f = factor_in[i]
                for j in range(width):
                    v[i * width + j] = f * x[k, first + j]
        _levels(v, base * width, length, width)
    pieces = order // rows
    together = max(1, TILE // width)  # rows of each segment in a tile
    while together & (together - 1):
        together &= together - 1
    together = min(together, rows)
    run = together * width
    tile = np.empty(pieces * run, dtype=out.dtype)
    for base in range(0, rows, together):
        wanted = False
        for p in range(pieces):
            for i in range(together):
                wanted |= target[p * rows + base + i] >= 0
        if not wanted:
            continue
        for p in range(pieces):
            start = p * length + base * width
            for j in range(run):
                tile[p * run + j] = v[start + j]
        _levels(tile, 0, pieces * run, run)
        for p in range(pieces):
            for i in range(together):
                row = p * rows + base + i
                k = target[row]
                if k >= 0:
                    f = factor_out[row]
                    for j in range(width):
                        out[k, first + j] = f * tile[p * run + i * width + j]


@njit(parallel=True, cache=True)
def gather_transform_scatter(x, order, source, factor_in, target, factor_out, out):
    """Out <- rows of the transform of rows of x.

    Row source[i] of x, times factor_in[i], is row i of the input (zero where source[i] < 0); row i of its transform, times
    factor_out[i], goes to row target[i] of out (nowhere where target[i] < 0).
    """
    columns = x.shape[1]
    tasks = (columns + WIDTH - 1) // WIDTH
    if tasks <= 1:
        _columns(x, 0, columns, order, source, factor_in, target, factor_out, out)
    else:
        for t in prange(tasks):
            first = t * columns // tasks
            last = (t + 1) * columns // tasks
            _columns(x, first, last - first, order, source, factor_in, target, factor_out, out)
