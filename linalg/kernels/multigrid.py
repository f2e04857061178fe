"""The cycle of the structured-grid multigrid: one compiled call per application, all levels in flat arrays.

Layout. The cells of a level are coloured like a chess board, and each colour is stored on its own: entry q of row (i, j) of
colour c is the cell ``k = 2 q + s`` with ``s = (i + j + c) mod 2``. All six neighbours of a cell then stand in unit
stride in the other colour: at the same q in the four rows beside it, at ``q - 1 + s`` and ``q + s`` in its own. Sizes
are even (the hierarchy pads them). `m` systems on one grid stand interleaved: every entry is m numbers, and a shift by
one cell is a shift by m.

Arrays of a level: ``x`` has shape (2, n0 + 1, n1 + 1, (h + 2) m), h being half the cells of a row: the last plane and row
hold zeros, the first and last m entries of a row are the halo (zeros, or copies on a periodic axis). ``b``, ``d``
(diagonal) and ``w`` (relaxation weight over diagonal, zero in solid cells) have shape (2, n0, n1, h m). ``g`` of shape
(6, n0, n1, (h + 2) m) holds the six face conductances of the red cells, which are all the faces there are.

On the finest level of a 0/1 geometry none of d, w, g exists: one byte per cell, ``code``, is the diagonal in units of the
one conductance (0: solid), and zeros in solid cells do what closed faces would.

A row is worked on in short loops over few arrays each, which the compiler turns into vector instructions without
run-time checks of too many pointers.
"""

import numpy as np
from numba import njit, prange

SERIAL = 16384  # entries up to which one thread does the work
BLOCKS = 32

# columns of the table of levels
N0, N1, H, F0, F1, F2, W0, W1, W2, XAT, CAT, DAT, GAT, FAST = range(14)
# steps of a schedule: (step, level, colour or count, flag)
RELAX, RESTRICT, SOLVE, PROLONG, POLYNOMIAL, BANDED, CLEAR, RESIDUAL, STEP, LOAD, STORE = range(11)
# what a half-sweep may take as zero: nothing, the cells it writes, all of x
NOTHING, OWN, ALL = range(3)
# what a restriction sends down: the residual, the residual right after one sweep from zero, the right-hand side
FULL, SHORT, PLAIN = range(3)


@njit(cache=True)
def _rows(first, last, listed, base, colour, residual, zero, fast, m, wraps, omega, shift, code, g, d, w, b, x, out):
    """Relax one colour of the rows [first, last), or write their residual into `out` (entry 0 for row `base`).

    Rows are those of `listed`, where it lists any, else all.
    """
    n0, n1, h = b.shape[1], b.shape[2], b.shape[3]
    none, one = x.dtype.type(0), x.dtype.type(1)
    acc = np.empty(h, x.dtype)
    o = 1 - colour
    rest = one / omega - one
    some = listed.shape[0] > 0
    for number in range(first, last):
        row = listed[number] if some else number
        i = row // n1
        j = row - i * n1
        if zero == ALL:
            for k in range(h):
                acc[k] = b[colour, i, j, k]
        elif fast:
            below = i - 1 if i > 0 else (n0 - 1 if wraps[0] else n0)
            above = i + 1 if i < n0 - 1 else (0 if wraps[0] else n0)
            left = j - 1 if j > 0 else (n1 - 1 if wraps[1] else n1)
            right = j + 1 if j < n1 - 1 else (0 if wraps[1] else n1)
            s = (i + j + colour) & 1
            if residual and zero == OWN:
                for k in range(h):
                    acc[k] = none
                if colour == 0:
                    for k in range(h):
                        acc[k] = (
                            x[o, below, j, k + 1] + x[o, above, j, k + 1] + x[o, i, left, k + 1]
                            + x[o, i, right, k + 1] + x[o, i, j, k + s] + x[o, i, j, k + s + 1]
                        )  # fmt: skip
            else:
                for k in range(h):
                    acc[k] = (
                        b[colour, i, j, k] + x[o, below, j, k + 1] + x[o, above, j, k + 1] + x[o, i, left, k + 1]
                        + x[o, i, right, k + 1] + x[o, i, j, k + s] + x[o, i, j, k + s + 1]
                    )  # fmt: skip
        else:
            below = i - 1 if i > 0 else n0 - 1
            above = i + 1 if i < n0 - 1 else 0
            left = j - 1 if j > 0 else n1 - 1
            right = j + 1 if j < n1 - 1 else 0
            s = ((i + j + colour) & 1) * m
            e = s + m
            # slices from here on: an offset of unknown sign inside a subscript would keep the loops from vector registers
            if colour == 0:
                ga, gb = g[2, i, j, m : m + h], g[3, i, j, m : m + h]
                gc, gd = g[4, i, j, m : m + h], g[5, i, j, m : m + h]
            else:
                ga, gb = g[3, i, left, m : m + h], g[2, i, right, m : m + h]
                gc, gd = g[5, i, j, s : s + h], g[4, i, j, e : e + h]
            xa, xb = x[o, i, left, m : m + h], x[o, i, right, m : m + h]
            xc, xd = x[o, i, j, s : s + h], x[o, i, j, e : e + h]
            rhs = b[colour, i, j]
            for k in range(h):
                acc[k] = rhs[k] + ga[k] * xa[k] + gb[k] * xb[k]
            for k in range(h):
                acc[k] += gc[k] * xc[k] + gd[k] * xd[k]
            if n0 > 1:
                if colour == 0:
                    ge, gf = g[0, i, j, m : m + h], g[1, i, j, m : m + h]
                else:
                    ge, gf = g[1, below, j, m : m + h], g[0, above, j, m : m + h]
                xe, xf = x[o, below, j, m : m + h], x[o, above, j, m : m + h]
                for k in range(h):
                    acc[k] += ge[k] * xe[k] + gf[k] * xf[k]
        if residual:
            line = row - base
            if zero == ALL:
                for k in range(h):
                    out[colour, line, k] = acc[k]
            elif fast:
                if zero == OWN:
                    for k in range(h):
                        n = code[colour, i, j, k]
                        dk = rest * (x.dtype.type(n) + shift)
                        v = acc[k] + dk * x[colour, i, j, k + 1]
                        out[colour, line, k] = v if n > 0 else none
                else:
                    for k in range(h):
                        n = code[colour, i, j, k]
                        v = acc[k] - (x.dtype.type(n) + shift) * x[colour, i, j, k + 1]
                        out[colour, line, k] = v if n > 0 else none
            else:
                own, diagonal, target = x[colour, i, j, m : m + h], d[colour, i, j], out[colour, line]
                for k in range(h):
                    v = acc[k] - diagonal[k] * own[k]
                    target[k] = v if diagonal[k] > 0 else none
            continue
        if fast:
            if zero == NOTHING:
                for k in range(h):
                    n = code[colour, i, j, k]
                    dk = x.dtype.type(n) + shift
                    wk = omega / dk if n > 0 else none
                    v = x[colour, i, j, k + 1]
                    x[colour, i, j, k + 1] = v + wk * (acc[k] - dk * v)
            else:
                for k in range(h):
                    n = code[colour, i, j, k]
                    wk = omega / (x.dtype.type(n) + shift) if n > 0 else none
                    x[colour, i, j, k + 1] = wk * acc[k]
        else:
            own, weight, diagonal = x[colour, i, j, m : m + h], w[colour, i, j], d[colour, i, j]
            if zero == NOTHING:
                for k in range(h):
                    own[k] += weight[k] * (acc[k] - diagonal[k] * own[k])
            else:
                for k in range(h):
                    own[k] = weight[k] * acc[k]
        if wraps[2]:
            for t in range(m):
                x[colour, i, j, t] = x[colour, i, j, h + t]
                x[colour, i, j, h + m + t] = x[colour, i, j, m + t]


@njit(cache=True)
def _restrict_units(first, last, f0, f1, f2, flag, fast, m, wraps, omega, shift, code, g, d, w, b, x, coarse):
    """Sum the residuals over the children of the coarse planes (rows, where planes stay) [first, last)."""
    n0, n1, h = b.shape[1], b.shape[2], b.shape[3]
    c1, hc = coarse.shape[2], coarse.shape[3]
    none = x.dtype.type(0)
    total = np.empty((2, h), x.dtype)
    listed = np.empty(0, np.int64)
    count = f0 * n1 if f0 > 1 else f1
    work = np.empty((2, count, h), x.dtype)
    zero = np.int64(ALL if flag == PLAIN else (OWN if flag == SHORT else NOTHING))
    per = c1 if f0 > 1 else 1
    for unit in range(first, last):
        start = unit * count if f0 > 1 else (unit // c1) * n1 + (unit % c1) * f1
        stop = min(start + count, n0 * n1) if f0 > 1 else min(start + count, (unit // c1 + 1) * n1)
        if stop > start:
            for colour in range(2):
                _rows(
                    start,
                    stop,
                    listed,
                    start,
                    np.int64(colour),
                    np.int64(1),
                    zero,
                    fast,
                    m,
                    wraps,
                    omega,
                    shift,
                    code,
                    g,
                    d,
                    w,
                    b,
                    x,
                    work,
                )
        for at in range(per):
            ci = unit if f0 > 1 else unit // c1
            cj = at if f0 > 1 else unit % c1
            for k in range(h):
                total[0, k] = none
                total[1, k] = none
            for a in range(f0):
                i = ci * f0 + a
                for e in range(f1):
                    j = cj * f1 + e
                    if i >= n0 or j >= n1:
                        continue
                    line = i * n1 + j - start
                    if f2 > 1:
                        for k in range(h):
                            total[0, k] += work[0, line, k] + work[1, line, k]
                    else:
                        p = (i + j) & 1
                        for k in range(h):
                            total[0, k] += work[p, line, k]
                        for k in range(h):
                            total[1, k] += work[1 - p, line, k]
            for parity in range(2):
                colour = (ci + cj + parity) & 1
                if f2 > 1:
                    count_q = (h // m - parity + 1) // 2
                    if m == 1:
                        for q in range(count_q):
                            coarse[colour, ci, cj, q] = total[0, 2 * q + parity]
                    else:
                        for q in range(count_q):
                            to = coarse[colour, ci, cj, q * m : (q + 1) * m]
                            source = total[0, (2 * q + parity) * m : (2 * q + parity + 1) * m]
                            for t in range(m):
                                to[t] = source[t]
                    for k in range(count_q * m, hc):
                        coarse[colour, ci, cj, k] = none
                else:
                    for k in range(h):
                        coarse[colour, ci, cj, k] = total[parity, k]


@njit(cache=True)
def _prolong_rows(first, last, f0, f1, f2, fresh, fast, m, wraps, code, d, x, coarse):
    """Add to the children of the coarse rows [first, last) the value of their parent."""
    n0, n1 = x.shape[1] - 1, x.shape[2] - 1
    h = x.shape[3] - 2 * m
    c1, hc = coarse.shape[2] - 1, coarse.shape[3] - 2 * m
    none = x.dtype.type(0)
    line = np.empty((2, max(h, 2 * hc)), x.dtype)
    for row in range(first, last):
        ci = row // c1
        cj = row - ci * c1
        for parity in range(2):
            colour = (ci + cj + parity) & 1
            if f2 == 1:
                source = coarse[colour, ci, cj, m : m + h]
                for k in range(h):
                    line[parity, k] = source[k]
            elif m == 1:
                for q in range(hc):
                    line[0, 2 * q + parity] = coarse[colour, ci, cj, q + 1]
            else:
                for q in range(hc // m):
                    at = (2 * q + parity) * m
                    to, source = line[0, at : at + m], coarse[colour, ci, cj, (q + 1) * m : (q + 2) * m]
                    for t in range(m):
                        to[t] = source[t]
        for a in range(f0):
            i = ci * f0 + a
            for e in range(f1):
                j = cj * f1 + e
                if i >= n0 or j >= n1:
                    continue
                for colour in range(2):
                    parent = line[0 if f2 > 1 else (i + j + colour) & 1]
                    own = x[colour, i, j, m : m + h]
                    if fresh > 0:
                        for k in range(h):
                            own[k] = none
                    if fast:
                        for k in range(h):
                            own[k] += parent[k] if code[colour, i, j, k] > 0 else none
                    else:
                        for k in range(h):
                            own[k] += parent[k] if d[colour, i, j, k] > 0 else none
                    if wraps[2]:
                        for t in range(m):
                            x[colour, i, j, t] = x[colour, i, j, h + t]
                            x[colour, i, j, h + m + t] = x[colour, i, j, m + t]


@njit(cache=True)
def _solve(m, inverse, b, x):
    """X <- inverse b on the coarsest level; the inverse has shape (cells, cells, m)."""
    n0, n1, h = b.shape[1], b.shape[2], b.shape[3]
    flat, cells = b.reshape(-1), b.size // m
    y = np.zeros((cells, m), x.dtype)
    for p in range(cells):
        if m == 1:
            v = flat[p]
            if v != 0:
                for q in range(cells):
                    y[q, 0] += v * inverse[p, q, 0]
        else:
            for q in range(cells):
                for t in range(m):
                    y[q, t] += inverse[p, q, t] * flat[p * m + t]
    source = y.reshape(b.shape)
    for colour in range(2):
        for i in range(n0):
            for j in range(n1):
                for k in range(h):
                    x[colour, i, j, k + m] = source[colour, i, j, k]


@njit(cache=True)
def _step_rows(first, last, scale, keep, m, fast, wraps, omega, shift, code, w, r, p, x):
    """P <- keep p + scale D^-1 r; x <- x + p (the weights in w are omega over the diagonal)."""
    n1, h = p.shape[2], p.shape[3]
    none = x.dtype.type(0)
    for row in range(first, last):
        i = row // n1
        j = row - i * n1
        for colour in range(2):
            if fast:
                for k in range(h):
                    n = code[colour, i, j, k]
                    wk = scale * omega / (x.dtype.type(n) + shift) if n > 0 else none
                    p[colour, i, j, k] = keep * p[colour, i, j, k] + wk * r[colour, row, k]
            else:
                for k in range(h):
                    p[colour, i, j, k] = keep * p[colour, i, j, k] + scale * w[colour, i, j, k] * r[colour, row, k]
            own = x[colour, i, j, m : m + h]
            for k in range(h):
                own[k] += p[colour, i, j, k]
            if wraps[2]:
                for t in range(m):
                    x[colour, i, j, t] = x[colour, i, j, h + t]
                    x[colour, i, j, h + m + t] = x[colour, i, j, m + t]


@njit(cache=True)
def _load_rows(first, last, shape1, m, scale, heads, starts, sources, lengths, vector, b):
    """Spread a vector of unknowns over the rows [first, last); returns its largest magnitude there."""
    n1, h = b.shape[2], b.shape[3]
    line = np.zeros(2 * h, b.dtype)
    peak = np.zeros(2 * h, b.dtype)  # one maximum per column: a loop without a reduction
    for row in range(first, last):
        i = row // n1
        j = row - i * n1
        have = j < shape1 and i * shape1 + j < heads.shape[0] - 1
        at = i * shape1 + j if have else 0
        begin, end = (heads[at], heads[at + 1]) if have else (0, 0)
        if end - begin != 1 or lengths[begin] * m != 2 * h:
            for k in range(2 * h):
                line[k] = 0
        for run in range(begin, end):
            length = lengths[run] * m
            to, source = line[starts[run] * m :], vector[sources[run] * m : sources[run] * m + length]
            for k in range(length):
                to[k] = source[k] * scale
        for k in range(2 * h):
            v = abs(line[k])
            peak[k] = v if v > peak[k] else peak[k]
        for parity in range(2):
            colour = (i + j + parity) & 1
            if m == 1:
                for k in range(h):
                    b[colour, i, j, k] = line[2 * k + parity]
            else:
                for q in range(h // m):
                    to = b[colour, i, j, q * m : (q + 1) * m]
                    source = line[(2 * q + parity) * m : (2 * q + parity + 1) * m]
                    for t in range(m):
                        to[t] = source[t]
    return np.float64(peak.max())


@njit(cache=True)
def _store_rows(first, last, shape1, m, scale, heads, starts, sources, lengths, b, x, vector):
    """Collect the unknowns of the rows [first, last); returns the inner product of b and x there."""
    h = x.shape[3] - 2 * m
    acc = np.zeros(h)
    line = np.empty(2 * h, vector.dtype)
    for row in range(first, last):
        i = row // shape1
        j = row - i * shape1
        for parity in range(2):
            colour = (i + j + parity) & 1
            own, rhs = x[colour, i, j, m : m + h], b[colour, i, j]
            for k in range(h):
                acc[k] += np.float64(own[k]) * np.float64(rhs[k])
            if m == 1:
                for k in range(h):
                    line[2 * k + parity] = own[k] * scale
            else:
                for q in range(h // m):
                    to = line[(2 * q + parity) * m : (2 * q + parity + 1) * m]
                    source = x[colour, i, j, (q + 1) * m : (q + 2) * m]
                    for t in range(m):
                        to[t] = source[t] * scale
        for run in range(heads[row], heads[row + 1]):
            length = lengths[run] * m
            to, source = vector[sources[run] * m : sources[run] * m + length], line[starts[run] * m :]
            for k in range(length):
                to[k] = source[k]
    return acc.sum()


@njit(cache=True)
def _units(step, b, coarse, f0, heads, listed):
    """Pieces that a step can be cut into."""
    if step == RESTRICT:
        return coarse.shape[1] if f0 > 1 else coarse.shape[1] * coarse.shape[2]
    if step == PROLONG:
        return (coarse.shape[1] - 1) * (coarse.shape[2] - 1)
    if step == STORE:
        return heads.shape[0] - 1
    if step == BANDED:
        return listed.shape[0]
    return b.shape[1] * b.shape[2]


@njit(cache=True)
def _task(
    step, first, last, what, flag, f0, f1, f2, m, fast, wraps, omega, shift, scale, keep, unit, code, g, d, w, b, x, r, p,
    coarse_b, coarse_x, listed, shape1, heads, starts, sources, lengths, vector, result,
):  # fmt: skip
    """Do the pieces [first, last) of a step; loading returns the largest magnitude, storing an inner product."""
    zero, one = np.int64(0), np.int64(1)  # not literals, for each of which a function is compiled anew
    if step in (RELAX, BANDED):
        _rows(first, last, listed, first, what, zero, flag, fast, m, wraps, omega, shift, code, g, d, w, b, x, r)
    elif step == RESTRICT:
        _restrict_units(
            first, last, f0, f1, f2, flag, fast, m, wraps, omega, shift, code, g, d, w, b, x, coarse_b
        )  # fmt: skip
    elif step == PROLONG:
        _prolong_rows(first, last, f0, f1, f2, flag, fast, m, wraps, code, d, x, coarse_x)
    elif step == RESIDUAL:
        for colour in range(2):
            _rows(first, last, listed, zero, colour, one, zero, fast, m, wraps, omega, shift, code, g, d, w, b, x, r)
    elif step == STEP:
        _step_rows(first, last, scale, keep, m, fast, wraps, omega, shift, code, w, r, p, x)
    elif step == LOAD:
        return _load_rows(first, last, shape1, m, unit, heads, starts, sources, lengths, vector, b)
    elif step == STORE:
        return _store_rows(first, last, shape1, m, unit, heads, starts, sources, lengths, b, x, result)
    return 0.0


# The only parallel function of this file: every further one would cost seconds of compilation.
@njit(parallel=True, cache=True)
def _spread(
    units, partial, step, what, flag, f0, f1, f2, m, fast, wraps, omega, shift, scale, keep, unit, code, g, d, w, b, x, r,
    p, coarse_b, coarse_x, listed, shape1, heads, starts, sources, lengths, vector, result,
):  # fmt: skip
    for t in prange(BLOCKS):
        partial[t] = _task(
            step, t * units // BLOCKS, (t + 1) * units // BLOCKS, what, flag, f0, f1, f2, m, fast, wraps, omega, shift,
            scale, keep, unit, code, g, d, w, b, x, r, p, coarse_b, coarse_x, listed, shape1, heads, starts, sources,
            lengths, vector, result,
        )  # fmt: skip


@njit(cache=True)
def _do(
    partial, step, what, flag, f0, f1, f2, m, fast, wraps, omega, shift, scale, keep, unit, code, g, d, w, b, x, r, p,
    coarse_b, coarse_x, listed, shape1, heads, starts, sources, lengths, vector, result,
):  # fmt: skip
    """Do a step on one thread or on all; returns the largest (from storing the sum) of what the pieces returned."""
    units = _units(step, b, coarse_x if step == PROLONG else coarse_b, f0, heads, listed)
    if b.size <= SERIAL:
        return _task(
            step, np.int64(0), units, what, flag, f0, f1, f2, m, fast, wraps, omega, shift, scale, keep, unit, code, g, d,
            w, b, x, r, p, coarse_b, coarse_x, listed, shape1, heads, starts, sources, lengths, vector, result,
        )  # fmt: skip
    _spread(
        units, partial, step, what, flag, f0, f1, f2, m, fast, wraps, omega, shift, scale, keep, unit, code, g, d, w, b,
        x, r, p, coarse_b, coarse_x, listed, shape1, heads, starts, sources, lengths, vector, result,
    )  # fmt: skip
    total = 0.0
    for t in range(BLOCKS):
        if step == STORE:
            total += partial[t]
        elif not partial[t] <= total:  # NaN counts as large
            total = partial[t]
    return total


@njit(cache=True)
def cycle(
    schedule, table, m, omegas, shift, coefficients, scale, shape1, heads, starts, sources, lengths, code, band_code,
    band_rows, gs, ds, ws, bands, bs, xs, rs, ps, inverse, vector, result,
):  # fmt: skip
    """Write B vector into `result`, B being the cycle that the schedule spells out.

    `scale` brings the operator to the order of one; a vector far from one is scaled by a power of two, too, so that
    float32 keeps its range. Returns the inner product of both vectors, as precise as the cycle.
    """
    partial = np.zeros(BLOCKS)
    unit, largest = 1.0, 1.0
    one = omegas[0]
    last = schedule.shape[0]
    at = -1
    while at <= last:
        # the steps of the schedule, between loading the vector and storing the result
        step, level, what, flag = LOAD, 0, 0, 0
        if at == last:
            step = STORE
        elif at >= 0:
            step, level, what, flag = schedule[at, 0], schedule[at, 1], schedule[at, 2], schedule[at, 3]
        at += 1
        row = table[level]
        n0, n1, h, fast = row[N0], row[N1], row[H] * m, row[FAST] > 0
        wraps = (row[W0] > 0, row[W1] > 0, row[W2] > 0)
        cells = 2 * n0 * n1 * h
        size = 2 * (n0 + 1) * (n1 + 1) * (h + 2 * m)
        b = bs[row[CAT] : row[CAT] + cells].reshape((2, n0, n1, h))
        x = xs[row[XAT] : row[XAT] + size].reshape((2, n0 + 1, n1 + 1, h + 2 * m))
        if step == SOLVE:
            _solve(m, inverse, b, x)
            continue
        if step == CLEAR:
            x[:] = 0
            continue
        d, w, g, codes, listed = b, b, gs[:0].reshape((6, 0, 0, 0)), code, band_rows[:0]
        if not fast:
            off = row[DAT]
            d = ds[off : off + cells].reshape((2, n0, n1, h))
            w = ws[off : off + cells].reshape((2, n0, n1, h))
            g = gs[row[GAT] : row[GAT] + 6 * n0 * n1 * (h + 2 * m)].reshape((6, n0, n1, h + 2 * m))
        if step == BANDED:
            codes, listed = band_code, band_rows
            if listed.shape[0] == 0:
                continue
            if not fast:
                w = bands[row[DAT] : row[DAT] + cells].reshape((2, n0, n1, h))
        coarse_b, coarse_x = b, x
        if step in (RESTRICT, PROLONG):
            nxt = table[level + 1]
            c0, c1, hc = nxt[N0], nxt[N1], nxt[H] * m
            width = hc + 2 * m
            coarse_b = bs[nxt[CAT] : nxt[CAT] + 2 * c0 * c1 * hc].reshape((2, c0, c1, hc))
            coarse_x = xs[nxt[XAT] : nxt[XAT] + 2 * (c0 + 1) * (c1 + 1) * width].reshape((2, c0 + 1, c1 + 1, width))
        r, p = rs[:0].reshape((2, 0, 0)), b
        passes = 1
        if step == POLYNOMIAL:
            r = rs[:cells].reshape((2, n0 * n1, h))
            p = ps[:cells].reshape((2, n0, n1, h))
            p[:] = 0
            passes = 2 * what
        factor, keep = one, one
        now = step
        for k in range(passes):
            if step == POLYNOMIAL:
                now = RESIDUAL if k % 2 == 0 else STEP
                factor, keep = coefficients[k // 2, 0], coefficients[k // 2, 1]
            number = 1.0 / unit if step == STORE else scale * unit
            largest = _do(
                partial, now, what, flag, row[F0], row[F1], row[F2], m, fast, wraps, omegas[level], shift, factor, keep,
                number, codes, g, d, w, b, x, r, p, coarse_b, coarse_x, listed, shape1, heads, starts, sources, lengths,
                vector, result,
            )  # fmt: skip
        if step == LOAD and unit == 1.0 and not 1e-15 <= largest <= 1e15:
            exact = 0.0
            for k in range(vector.shape[0]):
                exact = max(exact, abs(vector[k]) * scale)
            if 0.0 < exact < np.inf:
                unit = 2.0 ** -np.floor(np.log2(exact))
                at = -1
    return largest / (scale * unit * unit)
