"""Vectors of unknowns in and out of the coloured storage of the structured-grid multigrid (see `multigrid`).

Unknowns are the interior cells in C order, given as runs: row r of the box (of `shape1` rows per plane) holds the runs
``heads[r]`` to ``heads[r + 1]``; a run has its first cell in the row, its first unknown, and its length.
"""

import numpy as np
from numba import njit, prange

BLOCKS = 32
ONE, TWO, NIL = np.uint64(1), np.uint64(2), np.uint64(0)
N0, N1, H = range(3)


@njit(cache=True, error_model="numpy")
def _load_rows(first, last, shape1, m, level, scale, heads, starts, sources, lengths, vector, b):
    """Spread a vector of unknowns over the rows [first, last); returns its largest magnitude there."""
    n0, n1, h = level[N0], level[N1], level[H] * m
    line = np.zeros(h + h, b.dtype)
    peak = np.zeros(h + h, b.dtype)  # one maximum per column: a loop without a reduction
    rows = np.uint64(heads.shape[0]) - ONE
    for row in range(first, last):
        i = row // n1
        j = row - i * n1
        at = i * shape1 + j
        begin, end = NIL, NIL
        if j < shape1 and at < rows:
            begin, end = heads[at], heads[at + ONE]
        if end - begin != 1 or lengths[begin] * m != h + h:
            for k in range(h + h):
                line[k] = 0
        for run in range(begin, end):
            to, source = starts[run] * m, sources[run] * m
            for k in range(lengths[run] * m):
                line[to + k] = vector[source + k] * scale
        for k in range(h + h):
            v = abs(line[k])
            peak[k] = v if v > peak[k] else peak[k]
        for parity in (NIL, ONE):
            own = ((((i + j + parity) & ONE) * n0 + i) * n1 + j) * h
            if m == 1:
                for k in range(h):
                    b[own + k] = line[k + k + parity]
            else:
                for q in range(level[H]):
                    for t in range(m):
                        b[own + q * m + t] = line[(q + q + parity) * m + t]
    return np.float64(peak.max())


@njit(cache=True, error_model="numpy")
def _store_rows(first, last, shape1, m, level, scale, heads, starts, sources, lengths, b, x, vector):
    """Collect the unknowns of the rows [first, last); returns the inner product of b and x there."""
    n0, n1, h = level[N0], level[N1], level[H] * m
    acc = np.zeros(h)
    line = np.empty(h + h, vector.dtype)
    for row in range(first, last):
        i = row // shape1
        j = row - i * shape1
        for parity in (NIL, ONE):
            colour = (i + j + parity) & ONE
            own = ((colour * (n0 + ONE) + i) * (n1 + ONE) + j) * (h + m + m) + m
            rhs = ((colour * n0 + i) * n1 + j) * h
            for k in range(h):
                acc[k] += np.float64(x[own + k]) * np.float64(b[rhs + k])
            if m == 1:
                for k in range(h):
                    line[k + k + parity] = x[own + k] * scale
            else:
                for q in range(level[H]):
                    for t in range(m):
                        line[(q + q + parity) * m + t] = x[own + q * m + t] * scale
        for run in range(heads[row], heads[row + ONE]):
            to, source = sources[run] * m, starts[run] * m
            for k in range(lengths[run] * m):
                vector[to + k] = line[source + k]
    return acc.sum()


@njit(cache=True, error_model="numpy")
def _task(store, first, last, shape1, m, level, scale, heads, starts, sources, lengths, b, x, vector):
    if store:
        return _store_rows(first, last, shape1, m, level, scale, heads, starts, sources, lengths, b, x, vector)
    return _load_rows(first, last, shape1, m, level, scale, heads, starts, sources, lengths, vector, b)


@njit(parallel=True, cache=True, error_model="numpy")
def _spread(partial, store, units, shape1, m, level, scale, heads, starts, sources, lengths, b, x, vector):
    for t in prange(BLOCKS):
        first, last = np.uint64(t) * units // np.uint64(BLOCKS), np.uint64(t + 1) * units // np.uint64(BLOCKS)
        partial[t] = _task(store, first, last, shape1, m, level, scale, heads, starts, sources, lengths, b, x, vector)


@njit(cache=True, error_model="numpy", nogil=True)
def move(store, table, systems, width, scale, heads, starts, sources, lengths, b, x, vector, limit):
    """Load `vector` times `scale` into b, or store x times `scale` into `vector`, on the finest level.

    Up to `limit` entries one thread does the work. Returns the largest magnitude loaded (NaN counts as large), or the
    inner product of b and x.
    """
    level, m, shape1 = table[0], np.uint64(systems), np.uint64(width)
    units = np.uint64(heads.shape[0]) - ONE if store else level[N0] * level[N1]
    if level[N0] * level[N1] * level[H] * m * TWO <= limit:
        return _task(store, NIL, units, shape1, m, level, scale, heads, starts, sources, lengths, b, x, vector)
    partial = np.zeros(BLOCKS)
    _spread(partial, store, units, shape1, m, level, scale, heads, starts, sources, lengths, b, x, vector)
    total = 0.0
    for t in range(BLOCKS):
        if store:
            total += partial[t]
        elif not partial[t] <= total:
            total = partial[t]
    return total
