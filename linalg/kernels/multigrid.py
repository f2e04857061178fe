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

Everything is flat and indexed by unsigned offsets: views cost more than the work on a short row, and an index that might be
negative keeps a loop from vector registers. Loading and storing vectors stands in `multigrid_vectors`.
"""

import numpy as np
from numba import njit, prange

SERIAL = 16384  # entries up to which one thread does the work, unless the caller says something else
BLOCKS = 32
ONE, TWO, NIL = np.uint64(1), np.uint64(2), np.uint64(0)
PIECE = np.uint64(4096)  # entries whose residuals are held until they are summed

# columns of the table of levels
N0, N1, H, F0, F1, F2, W0, W1, W2, XAT, CAT, DAT, GAT, FAST = range(14)
# steps of a schedule: (step, level, colour or count, flag)
RELAX, RESTRICT, SOLVE, PROLONG, POLYNOMIAL, BANDED, CLEAR, RESIDUAL, STEP = range(9)
# what a half-sweep may take as zero: nothing, the cells it writes, all of x
NOTHING, OWN, ALL = range(3)
# what a restriction sends down: the residual, the residual right after one sweep from zero, the right-hand side
FULL, SHORT, PLAIN = range(3)


@njit(cache=True, error_model="numpy")
def _rows(
    first, last, start0, start1, width, lines, listed, colour, residual, zero, m, level, omega, shift, code, gs, ds, ws, bs,
    xs, out,
):  # fmt: skip
    """Relax one colour of some rows, or write their residual into `out`, which has `lines` rows of each colour.

    The rows are those of `listed`, where it lists any; else number `first` to `last` of a block of rows that starts at
    (start0, start1) and has `width` rows in each plane.
    """
    n0, n1, h = level[N0], level[N1], level[H] * m
    fast = level[FAST] > 0
    closed = not fast  # faces between the sides of the box are zero: any neighbour will do
    wide = h + m + m
    px, pb, pg = (n1 + ONE) * wide, n1 * h, n1 * wide
    cx, cb, cg = (n0 + ONE) * px, n0 * pb, n0 * pg
    none, one = xs.dtype.type(0), xs.dtype.type(1)
    acc = np.empty(h, xs.dtype)
    rest = one / omega - one
    some = listed.shape[0] > 0
    done = (
        residual > 0 and zero == OWN and (closed or colour == 1)
    )  # what a sweep from zero leaves is known from x alone
    for number in range(first, last):
        if some:
            i = listed[number] // n1
            j = listed[number] - i * n1
        else:
            i = number // width
            j = start1 + number - i * width
            i += start0
        below = i - ONE if i > 0 else (n0 - ONE if closed or level[W0] > 0 else n0)
        above = i + ONE if i + ONE < n0 else (NIL if closed or level[W0] > 0 else n0)
        left = j - ONE if j > 0 else (n1 - ONE if closed or level[W1] > 0 else n1)
        right = j + ONE if j + ONE < n1 else (NIL if closed or level[W1] > 0 else n1)
        s = ((i + j + colour) & ONE) * m
        cell = colour * cb + i * pb + j * h
        b, d, target = level[CAT] + cell, level[DAT] + cell, (colour * lines + number) * h
        own = level[XAT] + colour * cx + i * px + j * wide + m
        x = level[XAT] + (ONE - colour) * cx + i * px + m
        xa, xb, xc, xd = x + left * wide, x + right * wide, x + j * wide + s - m, x + j * wide + s
        x = level[XAT] + (ONE - colour) * cx + j * wide + m
        xe, xf = x + below * px, x + above * px
        if zero == ALL:
            for k in range(h):
                acc[k] = bs[b + k]
        elif fast:
            if residual > 0 and zero == OWN:
                for k in range(h):
                    acc[k] = none
                if colour == 0:
                    for k in range(h):
                        acc[k] = xs[xe + k] + xs[xf + k] + xs[xa + k] + xs[xb + k] + xs[xc + k] + xs[xd + k]
            else:
                for k in range(h):
                    acc[k] = (
                        bs[b + k] + xs[xe + k] + xs[xf + k] + xs[xa + k] + xs[xb + k] + xs[xc + k] + xs[xd + k]
                    )  # fmt: skip
        elif not done or colour == 0:
            g = level[GAT] + i * pg + m
            if colour == 0:
                ga, gb = g + cg + cg + j * wide, g + cg + cg + cg + j * wide
                gc = gb + cg
                gd = gc + cg
            else:
                ga, gb = g + cg + cg + cg + left * wide, g + cg + cg + right * wide
                gd = g + cg + cg + cg + cg + j * wide + s
                gc = gd + cg - m
            for k in range(h):
                acc[k] = (
                    bs[b + k] + gs[ga + k] * xs[xa + k] + gs[gb + k] * xs[xb + k] + gs[gc + k] * xs[xc + k]
                    + gs[gd + k] * xs[xd + k]
                )  # fmt: skip
            if n0 > 1:
                g = level[GAT] + j * wide + m
                ge, gf = (g + i * pg, g + cg + i * pg) if colour == 0 else (g + cg + below * pg, g + above * pg)
                for k in range(h):
                    acc[k] += gs[ge + k] * xs[xe + k] + gs[gf + k] * xs[xf + k]
        if residual > 0:
            if zero == ALL:
                for k in range(h):
                    out[target + k] = acc[k]
            elif fast:
                if zero == OWN:
                    for k in range(h):
                        n = code[cell + k]
                        v = acc[k] + rest * (xs.dtype.type(n) + shift) * xs[own + k]
                        out[target + k] = v if n > 0 else none
                else:
                    for k in range(h):
                        n = code[cell + k]
                        v = acc[k] - (xs.dtype.type(n) + shift) * xs[own + k]
                        out[target + k] = v if n > 0 else none
            elif done and colour == 1:
                for k in range(h):
                    v = xs[own + k] / ws[d + k] - ds[d + k] * xs[own + k]
                    out[target + k] = v if ds[d + k] > 0 else none
            else:
                for k in range(h):
                    v = acc[k] - ds[d + k] * xs[own + k]
                    out[target + k] = v if ds[d + k] > 0 else none
            continue
        if fast:
            if zero == NOTHING:
                for k in range(h):
                    n = code[cell + k]
                    dk = xs.dtype.type(n) + shift
                    wk = omega / dk if n > 0 else none
                    xs[own + k] += wk * (acc[k] - dk * xs[own + k])
            else:
                for k in range(h):
                    n = code[cell + k]
                    wk = omega / (xs.dtype.type(n) + shift) if n > 0 else none
                    xs[own + k] = wk * acc[k]
        elif zero == NOTHING:
            for k in range(h):
                xs[own + k] += ws[d + k] * (acc[k] - ds[d + k] * xs[own + k])
        else:
            for k in range(h):
                xs[own + k] = ws[d + k] * acc[k]
        if level[W2] > 0:
            for t in range(m):
                xs[own - m + t] = xs[own + h - m + t]
                xs[own + h + t] = xs[own + t]


@njit(cache=True, error_model="numpy")
def _gather(ci, first, last, start1, stop0, lines, m, level, coarse, work, bs):
    """Sum the residuals in `work` over the children of the coarse rows [first, last) of plane `ci`."""
    h, n1 = level[H] * m, level[N1]
    f0, f1, f2 = level[F0], level[F1], level[F2]
    hc, c0, c1 = coarse[H] * m, coarse[N0], coarse[N1]
    width = min(last * f1, n1) - start1
    none = bs.dtype.type(0)
    total = np.empty(h + h, bs.dtype)
    for cj in range(first, last):
        for k in range(h + h):
            total[k] = none
        for i in range(ci * f0, stop0):
            for j in range(cj * f1, min(cj * f1 + f1, n1)):
                red = ((i - ci * f0) * width + j - start1) * h
                black = red + lines * h
                if f2 > 1:
                    for k in range(h):
                        total[k] += work[red + k] + work[black + k]
                else:
                    if (i + j) & ONE > 0:
                        red, black = black, red
                    for k in range(h):
                        total[k] += work[red + k]
                    for k in range(h):
                        total[h + k] += work[black + k]
        for parity in (NIL, ONE):
            colour = (ci + cj + parity) & ONE
            to = coarse[CAT] + ((colour * c0 + ci) * c1 + cj) * hc
            if f2 == 1:
                for k in range(h):
                    bs[to + k] = total[parity * h + k]
                continue
            count = (level[H] + ONE - parity) // TWO
            if m == 1:
                for q in range(count):
                    bs[to + q] = total[q + q + parity]
            else:
                for q in range(count):
                    for t in range(m):
                        bs[to + q * m + t] = total[(q + q + parity) * m + t]
            for k in range(count * m, hc):
                bs[to + k] = none


@njit(cache=True, error_model="numpy")
def _prolong_rows(first, last, fresh, m, level, coarse, code, ds, xs):
    """Add to the children of the coarse rows [first, last) the value of their parent."""
    n0, n1, h = level[N0], level[N1], level[H] * m
    f0, f1, f2 = level[F0], level[F1], level[F2]
    c0, c1, hc = coarse[N0], coarse[N1], coarse[H] * m
    wide, narrow = h + m + m, hc + m + m
    fast = level[FAST] > 0
    none = xs.dtype.type(0)
    line = np.empty(max(h + h, hc + hc), xs.dtype)
    for row in range(first, last):
        ci = row // c1
        cj = row - ci * c1
        for parity in (NIL, ONE):
            colour = (ci + cj + parity) & ONE
            source = coarse[XAT] + ((colour * (c0 + ONE) + ci) * (c1 + ONE) + cj) * narrow + m
            if f2 == 1:
                for k in range(h):
                    line[parity * h + k] = xs[source + k]
            elif m == 1:
                for q in range(hc):
                    line[q + q + parity] = xs[source + q]
            else:
                for q in range(coarse[H]):
                    for t in range(m):
                        line[(q + q + parity) * m + t] = xs[source + q * m + t]
        for i in range(ci * f0, min(ci * f0 + f0, n0)):
            for j in range(cj * f1, min(cj * f1 + f1, n1)):
                for colour in (NIL, ONE):
                    parent = NIL if f2 > 1 else ((i + j + colour) & ONE) * h
                    own = level[XAT] + ((colour * (n0 + ONE) + i) * (n1 + ONE) + j) * wide + m
                    cell = ((colour * n0 + i) * n1 + j) * h
                    d = level[DAT] + cell
                    if fresh > 0:
                        for k in range(h):
                            xs[own + k] = none
                    if fast:
                        for k in range(h):
                            xs[own + k] += line[parent + k] if code[cell + k] > 0 else none
                    else:
                        for k in range(h):
                            xs[own + k] += line[parent + k] if ds[d + k] > 0 else none
                    if level[W2] > 0:
                        for t in range(m):
                            xs[own - m + t] = xs[own + h - m + t]
                            xs[own + h + t] = xs[own + t]


@njit(cache=True, error_model="numpy")
def _solve(m, level, inverse, bs, xs):
    """X <- inverse b on the coarsest level; the inverse has shape (cells, cells, m)."""
    n0, n1, h = level[N0], level[N1], level[H] * m
    cells = inverse.shape[0]
    y = np.zeros((cells, inverse.shape[2]), xs.dtype)
    b = level[CAT]
    for p in range(cells):
        if m == 1:
            v = bs[b + np.uint64(p)]
            if v != 0:
                for q in range(cells):
                    y[q, 0] += v * inverse[p, q, 0]
        else:
            for q in range(cells):
                for t in range(m):
                    y[q, t] += inverse[p, q, t] * bs[b + np.uint64(p) * m + t]
    source = y.reshape(-1)
    for row in range(n0 + n0):  # planes of both colours
        for j in range(n1):
            own = level[XAT] + ((row + (ONE if row >= n0 else NIL)) * (n1 + ONE) + j) * (h + m + m) + m
            for k in range(h):
                xs[own + k] = source[(row * n1 + j) * h + k]


@njit(cache=True, error_model="numpy")
def _step_rows(first, last, scale, keep, m, level, omega, shift, code, ws, r, p, xs):
    """P <- keep p + scale D^-1 r; x <- x + p (the weights in w are omega over the diagonal)."""
    n0, n1, h = level[N0], level[N1], level[H] * m
    none = xs.dtype.type(0)
    for row in range(first, last):
        i = row // n1
        j = row - i * n1
        for colour in (NIL, ONE):
            cell = (colour * n0 * n1 + row) * h
            w = level[DAT] + cell
            own = level[XAT] + ((colour * (n0 + ONE) + i) * (n1 + ONE) + j) * (h + m + m) + m
            if level[FAST] > 0:
                for k in range(h):
                    n = code[cell + k]
                    wk = scale * omega / (xs.dtype.type(n) + shift) if n > 0 else none
                    p[cell + k] = keep * p[cell + k] + wk * r[cell + k]
            else:
                for k in range(h):
                    p[cell + k] = keep * p[cell + k] + scale * ws[w + k] * r[cell + k]
            for k in range(h):
                xs[own + k] += p[cell + k]
            if level[W2] > 0:
                for t in range(m):
                    xs[own - m + t] = xs[own + h - m + t]
                    xs[own + h + t] = xs[own + t]


@njit(cache=True, error_model="numpy")
def _task(
    step, first, last, colour, flag, piece, m, level, coarse, omega, shift, scale, keep, code, listed, gs, ds, ws, bs, xs,
    rs, ps,
):  # fmt: skip
    """Do the pieces [first, last) of a step: rows, coarse rows, or groups of `piece` coarse rows."""
    n0, n1 = level[N0], level[N1]
    zero, residual = flag, np.int64(0)
    if step in (RELAX, BANDED):
        _rows(
            first, last, NIL, NIL, n1, NIL, listed, colour, residual, zero, m, level, omega, shift, code, gs, ds, ws, bs, xs,
            rs,
        )  # fmt: skip
    elif step == PROLONG:
        _prolong_rows(first, last, flag, m, level, coarse, code, ds, xs)
    elif step == STEP:
        _step_rows(first, last, scale, keep, m, level, omega, shift, code, ws, rs, ps, xs)
    else:
        residual = np.int64(1)
        whole = step == RESIDUAL  # else in pieces that stay in cache until they are summed
        if not whole:
            zero = np.int64(ALL if flag == PLAIN else (OWN if flag == SHORT else NOTHING))
        groups = (coarse[N1] + piece - ONE) // piece
        height = level[F0] * piece * level[F1]
        work = rs if whole else np.empty((height + height) * level[H] * m, xs.dtype)
        for unit in range(NIL if whole else first, ONE if whole else last):
            start0, start1, stop0, width, begin, end, lines = NIL, NIL, n0, n1, first, last, n0 * n1
            ci, cj = unit // groups, NIL
            if not whole:
                cj = (unit - ci * groups) * piece
                start0, start1 = ci * level[F0], cj * level[F1]
                stop0, stop1 = min(start0 + level[F0], n0), min(start1 + piece * level[F1], n1)
                width = stop1 - start1
                begin, end, lines = NIL, (stop0 - start0) * width, height
            for c in (NIL, ONE):
                _rows(
                    begin, end, start0, start1, width, lines, listed, c, residual, zero, m, level, omega, shift, code, gs,
                    ds, ws, bs, xs, work,
                )  # fmt: skip
            if not whole:
                stop = min(cj + piece, coarse[N1])
                _gather(ci, cj, stop, start1, stop0, lines, m, level, coarse, work, bs)


# The only parallel function of this file: every further one would cost seconds of compilation.
@njit(parallel=True, cache=True, error_model="numpy")
def _spread(
    units, step, colour, flag, piece, m, level, coarse, omega, shift, scale, keep, code, listed, gs, ds, ws, bs, xs, rs, ps
):  # fmt: skip
    for t in prange(BLOCKS):
        first, last = np.uint64(t) * units // np.uint64(BLOCKS), np.uint64(t + 1) * units // np.uint64(BLOCKS)
        _task(
            step, first, last, colour, flag, piece, m, level, coarse, omega, shift, scale, keep, code, listed, gs, ds, ws,
            bs, xs, rs, ps,
        )  # fmt: skip


@njit(cache=True, error_model="numpy", nogil=True)
def cycle(
    schedule, table, systems, omegas, shift, coefficients, code, band_code, band_rows, gs, ds, ws, bands, bs, xs, rs, ps,
    inverse, limit,
):  # fmt: skip
    """Run the steps of a schedule on the arrays of all levels, those of at most `limit` entries on one thread."""
    m = np.uint64(systems)
    one = omegas[0]
    nothing = band_rows[:0]
    for at in range(schedule.shape[0]):
        step, at_level, what, flag = schedule[at, 0], schedule[at, 1], schedule[at, 2], schedule[at, 3]
        level = table[at_level]
        n0, n1 = level[N0], level[N1]
        cells = (n0 + n0) * n1 * level[H] * m
        if step == SOLVE:
            _solve(m, level, inverse, bs, xs)
            continue
        if step == CLEAR:
            for k in range((n0 + ONE) * (n1 + ONE) * (level[H] + TWO) * TWO * m):
                xs[level[XAT] + k] = 0
            continue
        codes, weights, listed = code, ws, nothing
        coarse, piece, units = level, ONE, n0 * n1
        passes = 1
        if step == BANDED:
            codes, listed, weights = band_code, band_rows, bands
            units = np.uint64(listed.shape[0])
        elif step == PROLONG:
            coarse = table[at_level + 1]
            units = coarse[N0] * coarse[N1]
        elif step == RESTRICT:
            coarse = table[at_level + 1]
            piece = min(max(PIECE // (level[F0] * level[F1] * level[H] * m), ONE), coarse[N1])
            units = coarse[N0] * ((coarse[N1] + piece - ONE) // piece)
        elif step == POLYNOMIAL:
            passes = 2 * what
            for k in range(cells):
                ps[k] = 0
        factor, keep = one, one
        now = step
        for k in range(passes):
            if step == POLYNOMIAL:
                now = RESIDUAL if k % 2 == 0 else STEP
                factor, keep = coefficients[k // 2, 0], coefficients[k // 2, 1]
            if cells <= limit:
                _task(
                    now, NIL, units, np.uint64(what), flag, piece, m, level, coarse, omegas[at_level], shift, factor, keep,
                    codes, listed, gs, ds, weights, bs, xs, rs, ps,
                )  # fmt: skip
            else:
                _spread(
                    units, now, np.uint64(what), flag, piece, m, level, coarse, omegas[at_level], shift, factor, keep, codes,
                    listed, gs, ds, weights, bs, xs, rs, ps,
                )  # fmt: skip
