"""Finite-volume stencil sweeps over a box of cells, the vectors holding its interior cells only.

A box has three axes; a two-dimensional one has a single row per plane. Where cells are solid, the unknowns of a row are
runs of interior cells, and three planes of the box at a time are spread out in scratch memory with zeros in solid cells:
no vector of the size of the box is ever written. Cells outside the box and solid cells hold the value zero, so a face to
one of them does the right thing on its own: it adds to the diagonal if it conducts, and nothing if it does not.

One sweep serves four purposes (`what`), so that what conjugate gradients do between two preconditioner calls takes two
passes over the vectors, and the product itself is never stored:

- APPLY: out <- A source;
- RESIDUAL: out <- z - A source, returns the squared norm;
- TURN: p <- z + beta p (z where beta is zero, whatever p held), returns p . A p;
- STEP: x <- x + alpha p, out <- out - alpha A p, returns the squared norm of out.

Three kinds of coefficients: one conductance in a box without solid cells (BOX, nothing is stored), one conductance and a
byte per cell (CODED: the diagonal in its units), or a conductance per face (FACES; the diagonal is their sum).

Every thread has its own range of planes. Sums are taken per plane and added in order, so they do not depend on the number
of threads; TURN writes the planes that two threads read before it starts the others.
"""

import numpy as np
from numba import njit, prange

SERIAL = 32768  # cells up to which one thread does the work
SHORT = 12  # rows with shorter runs (solid cells between them counted) are walked cell by cell
APPLY, RESIDUAL, TURN, STEP = range(4)
BOX, CODED, FACES = range(3)
_FLAGS = {"reassoc", "contract"}


@njit(cache=True)
def _turn(first, last, beta, z, p):
    new, old = z[first:last], p[first:last]
    if beta == 0.0:
        for k in range(last - first):
            old[k] = new[k]
    else:
        for k in range(last - first):
            old[k] = new[k] + beta * old[k]


@njit(cache=True)
def _expand(row, n2, heads, starts, lengths, offsets, cells, p, plane):
    """Spread the unknowns of a plane, whose first row is `row`, with zeros between the runs."""
    zero = p.dtype.type(0)
    flat, solid = plane.reshape(-1), cells.reshape(-1)
    end, width = np.uint64(p.shape[0] - 1), np.uint64(n2)
    for j in range(plane.shape[0]):
        to, at = np.uint64(j * n2), np.uint64((row + j) * n2)
        here = np.uint64(offsets[row + j])
        first, last = heads[row + j], heads[row + j + 1]
        if (last - first) * SHORT > n2:
            for k in range(width):
                inside = solid[at + k] == 0
                v = p[min(here, end)]
                flat[to + k] = v if inside else zero
                here += np.uint64(inside)
            continue
        done = np.uint64(0)
        for run in range(first, last):
            start, length = np.uint64(starts[run]), np.uint64(lengths[run])
            for k in range(done, start):
                flat[to + k] = zero
            for k in range(length):
                flat[to + start + k] = p[here + k]
            here += length
            done = start + length
        for k in range(done, width):
            flat[to + k] = zero


# Slices cost reference counts, which short rows feel; so everything here is an unsigned offset into a flat array.
@njit(cache=True, fastmath=_FLAGS)
def _planes(
    first, last, shape, what, kind, wraps, c, shift, shifts, ends, code, g0, g1, g2, heads, starts, lengths, offsets, cells,
    scalar, source, p, z, x, out, window, partial,
):  # fmt: skip
    n0, n1, n2 = shape
    packed = window.shape[0] > 0
    line, dense = np.empty(n2, out.dtype), np.empty(n2 + 1, out.dtype)
    none, one, width, span = np.uint64(0), np.uint64(1), np.uint64(n2), np.uint64(n2 - 1)
    nothing = source.dtype.type(0)
    direct = what == APPLY and not packed
    q, held, bytes_ = (out if direct else line), (window.reshape(-1) if packed else source), code.reshape(-1)
    solid = cells.reshape(-1)
    if packed:
        if first > 0 or wraps[0]:
            _expand(
                (first - 1 if first > 0 else n0 - 1) * n1, n2, heads, starts, lengths, offsets, cells, source, window[0]
            )
        _expand(first * n1, n2, heads, starts, lengths, offsets, cells, source, window[1])
    for i in range(first, last):
        if what == TURN and i + 1 < last - 1:
            if packed:
                _turn(offsets[(i + 1) * n1], offsets[(i + 2) * n1], scalar, z, p)
            else:
                _turn((i + 1) * n1 * n2, (i + 2) * n1 * n2, scalar, z, p)
        has_above, has_below = i + 1 < n0 or wraps[0], i > 0 or wraps[0]
        above, below, mid = (i + 1 if i + 1 < n0 else 0), (i - 1 if i > 0 else n0 - 1), i
        if packed:
            if has_above:
                slot = window[(i - first + 2) % 3]
                _expand(above * n1, n2, heads, starts, lengths, offsets, cells, source, slot)
            above, below, mid = (i - first + 2) % 3, (i - first) % 3, (i - first + 1) % 3
        total = 0.0
        for j in range(n1):
            row = i * n1 + j
            # where the row and its neighbours stand; a missing neighbour is the row itself, times zero
            at = np.uint64((mid * n1 + j) * n2)
            has_left, has_right = j > 0 or wraps[1], j < n1 - 1 or wraps[1]
            xb = np.uint64((below * n1 + j) * n2) if has_below else at
            xa = np.uint64((above * n1 + j) * n2) if has_above else at
            xl = np.uint64((mid * n1 + (j - 1 if j > 0 else n1 - 1)) * n2) if has_left else at
            xr = np.uint64((mid * n1 + (j + 1 if j < n1 - 1 else 0)) * n2) if has_right else at
            fb, fa = (1.0 if has_below else 0.0), (1.0 if has_above else 0.0)
            fl, fr = (1.0 if has_left else 0.0), (1.0 if has_right else 0.0)
            begin, end = np.uint64(row * n2), np.uint64((row + 1) * n2)
            to = begin if direct else none
            if packed:
                begin, end = np.uint64(offsets[row]), np.uint64(offsets[row + 1])
            west = held[at + span] if wraps[2] else nothing
            east = held[at] if wraps[2] else nothing
            # q <- this row of A times source
            if kind == FACES:
                ga, gb, gc = g0[i, j], g0[i + 1, j], g2[i, j]
                for k in range(width):
                    v = held[at + k]
                    before = held[at + k - one] if k > none else west
                    after = held[at + k + one] if k < span else east
                    q[to + k] = (
                        gc[k] * (v - before) + gc[k + one] * (v - after) + ga[k] * (v - fb * held[xb + k])
                        + gb[k] * (v - fa * held[xa + k]) + shift * v
                    )  # fmt: skip
                if g1.shape[0] > 0:
                    gd, ge = g1[i, j], g1[i, j + 1]
                    for k in range(width):
                        v = held[at + k]
                        q[to + k] += gd[k] * (v - fl * held[xl + k]) + ge[k] * (v - fr * held[xr + k])
            else:
                cb, ca, cl, cr = c * fb, c * fa, c * fl, c * fr
                if kind == CODED:
                    n = np.uint64(row * n2)
                    for k in range(one, span):
                        q[to + k] = (
                            (shift + c * bytes_[n + k]) * held[at + k] - cb * held[xb + k] - ca * held[xa + k]
                            - cl * held[xl + k] - cr * held[xr + k] - c * (held[at + k - one] + held[at + k + one])
                        )  # fmt: skip
                    low, high = shift + c * bytes_[n], shift + c * bytes_[n + span]
                else:
                    d = shift + c * (
                        2.0 + (1.0 if i > 0 else ends[0, 0]) + (1.0 if i < n0 - 1 else ends[0, 1])
                        + (1.0 if j > 0 else ends[1, 0]) + (1.0 if j < n1 - 1 else ends[1, 1])
                    )  # fmt: skip
                    for k in range(one, span):
                        q[to + k] = (
                            d * held[at + k] - cb * held[xb + k] - ca * held[xa + k] - cl * held[xl + k]
                            - cr * held[xr + k] - c * (held[at + k - one] + held[at + k + one])
                        )  # fmt: skip
                    low, high = d + c * (ends[2, 0] - 1.0), d + c * (ends[2, 1] - 1.0)
                    if n2 == 1:
                        low += c * (ends[2, 1] - 1.0)
                after = held[at + one] if n2 > 1 else east
                q[to] = (
                    low * held[at] - cb * held[xb] - ca * held[xa] - cl * held[xl] - cr * held[xr] - c * (west + after)
                )  # fmt: skip
                if n2 > 1:
                    q[to + span] = (
                        high * held[at + span] - cb * held[xb + span] - ca * held[xa + span] - cl * held[xl + span]
                        - cr * held[xr + span] - c * (held[at + span - one] + east)
                    )  # fmt: skip
            # use it
            count = end - begin
            if what == TURN:
                for k in range(width):
                    total += (np.conj(held[at + k]) * q[k]).real
                if shifts.shape[0] > 0:
                    for k in range(count):
                        v = source[begin + k]
                        total += (np.conj(v) * shifts[begin + k] * v).real
                continue
            mine = q
            if count != width:
                mine = dense  # the entries at unknowns, side by side; not a function, a call takes as long as the work
                have = none
                if (heads[row + 1] - heads[row]) * SHORT > n2:
                    n = np.uint64(row * n2)
                    for k in range(width):
                        dense[have] = line[k]
                        have += np.uint64(solid[n + k] == 0)
                else:
                    for run in range(heads[row], heads[row + 1]):
                        start, length = np.uint64(starts[run]), np.uint64(lengths[run])
                        for k in range(length):
                            dense[have + k] = line[start + k]
                        have += length
            if shifts.shape[0] > 0:
                for k in range(count):
                    mine[to + k] += shifts[begin + k] * source[begin + k]
            if what == APPLY:
                if not direct:
                    for k in range(count):
                        out[begin + k] = mine[k]
            elif what == RESIDUAL:
                for k in range(count):
                    r = z[begin + k] - mine[k]
                    out[begin + k] = r
                    total += (r * np.conj(r)).real
            else:
                for k in range(count):
                    r = out[begin + k] - scalar * mine[k]
                    out[begin + k] = r
                    total += (r * np.conj(r)).real
                for k in range(count):
                    x[begin + k] += scalar * source[begin + k]
        partial[i] = total


@njit(cache=True)
def _border(first, last, n1, n2, packed, offsets, scalar, z, p):
    """Turn the first and the last plane of a range."""
    for i in (first, last - 1):
        if packed:
            _turn(offsets[i * n1], offsets[(i + 1) * n1], scalar, z, p)
        else:
            _turn(i * n1 * n2, (i + 1) * n1 * n2, scalar, z, p)
        if last - first == 1:
            return


@njit(cache=True)
def _ordered_sum(partial):
    total = 0.0
    for c in range(partial.shape[0]):
        total += partial[c]
    return total


@njit(parallel=True, cache=True)
def sweep(
    what, shape, kind, wraps, c, shift, shifts, ends, code, g0, g1, g2, heads, starts, lengths, offsets, cells, scalar,
    source, p, z, x, out, windows, partial,
):  # fmt: skip
    """Do one of the four sweeps; returns its sum.

    Parameters
    ----------
    what : int
        APPLY, RESIDUAL, TURN or STEP.
    shape : tuple of 3 int
        Cells per axis.
    kind : int
        BOX, CODED or FACES.
    wraps : tuple of 3 bool
        Which axes are periodic (and longer than one cell).
    c, shift, shifts, ends, code, g0, g1, g2
        Coefficients, see the head of the file. `shifts`: empty, or one number per unknown, to be added. ``ends[a]``: what
        the two outer faces of axis a add to the diagonal of a BOX, in units of c (1 on a periodic axis).
    heads, starts, lengths, offsets, cells
        Runs of unknowns: ``heads[row]`` is the first one of a row, ``offsets[row]`` its first unknown; and what the cells
        of each row are, 0 for an unknown. Without solid cells all are empty.
    scalar, source, p, z, x, out
        The number and the vectors of the sweep; those that it does not need may be any. `source` is what A multiplies:
        `p` itself in TURN and STEP.
    windows : ndarray, shape (threads, 3, n1, n2) or (threads, 0, 0, 0)
        Scratch planes.
    partial : ndarray, shape (n0,)
        Scratch.
    """
    n0, n1, n2 = shape
    threads = windows.shape[0]
    packed = windows.shape[1] > 0
    if threads == 1:
        if what == TURN:
            _border(np.int64(0), n0, n1, n2, packed, offsets, scalar, z, p)
        _planes(
            np.int64(0), n0, shape, what, kind, wraps, c, shift, shifts, ends, code, g0, g1, g2, heads, starts, lengths,
            offsets, cells, scalar, source, p, z, x, out, windows[0], partial,
        )  # fmt: skip
    else:
        if what == TURN:
            for t in prange(threads):
                first, last = np.int64(t) * n0 // threads, np.int64(t + 1) * n0 // threads
                _border(first, last, n1, n2, packed, offsets, scalar, z, p)
        for t in prange(threads):
            first, last = np.int64(t) * n0 // threads, np.int64(t + 1) * n0 // threads
            _planes(
                first, last, shape, what, kind, wraps, c, shift, shifts, ends, code, g0, g1, g2, heads, starts, lengths,
                offsets, cells, scalar, source, p, z, x, out, windows[t], partial,
            )  # fmt: skip
    return _ordered_sum(partial)
