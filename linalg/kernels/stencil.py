"""Finite-volume stencil products on a box, two-dimensional boxes being three-dimensional ones with one plane.

Couplings `g0`, `g1`, `g2` sit on the faces of each axis (one more than cells along that axis) and are zero on faces that
couple no two unknowns; on a periodic axis the first and the last face are the same one and both hold its value, on any
other axis the outer faces hold zero. The work is cut into rows along the last axis, which are all equal.
"""

from numba import njit, prange

SERIAL = 32768  # cells up to which one thread does the work
BLOCKS = 32
_FLAGS = {"reassoc", "contract"}


@njit(cache=True, fastmath=_FLAGS)
def _variable_rows(first, last, g0, g1, g2, diagonal, x, out):
    n0, n1, n2 = x.shape
    for row in range(first, last):
        i = row // n1
        j = row - i * n1
        below = i - 1 if i > 0 else n0 - 1
        above = i + 1 if i < n0 - 1 else 0
        left = j - 1 if j > 0 else n1 - 1
        right = j + 1 if j < n1 - 1 else 0
        centre, target, d = x[i, j], out[i, j], diagonal[i, j]
        xb, xa, xl, xr = x[below, j], x[above, j], x[i, left], x[i, right]
        gb, ga, gl, gr, g = g0[i, j], g0[i + 1, j], g1[i, j], g1[i, j + 1], g2[i, j]
        target[0] = (
            d[0] * centre[0] - gb[0] * xb[0] - ga[0] * xa[0] - gl[0] * xl[0] - gr[0] * xr[0]
            - g[0] * centre[n2 - 1] - g[1] * centre[1 if n2 > 1 else 0]
        )  # fmt: skip
        for k in range(1, n2 - 1):
            target[k] = (
                d[k] * centre[k] - gb[k] * xb[k] - ga[k] * xa[k] - gl[k] * xl[k] - gr[k] * xr[k]
                - g[k] * centre[k - 1] - g[k + 1] * centre[k + 1]
            )  # fmt: skip
        if n2 > 1:
            k = n2 - 1
            target[k] = (
                d[k] * centre[k] - gb[k] * xb[k] - ga[k] * xa[k] - gl[k] * xl[k] - gr[k] * xr[k]
                - g[k] * centre[k - 1] - g[k + 1] * centre[0]
            )  # fmt: skip


@njit(parallel=True, cache=True)
def apply_variable(g0, g1, g2, diagonal, x, out):
    """Out <- diagonal * x - couplings * neighbours."""
    rows = x.shape[0] * x.shape[1]
    if x.size <= SERIAL:
        _variable_rows(0, rows, g0, g1, g2, diagonal, x, out)
    else:
        for b in prange(BLOCKS):
            _variable_rows(b * rows // BLOCKS, (b + 1) * rows // BLOCKS, g0, g1, g2, diagonal, x, out)


@njit(cache=True, fastmath=_FLAGS)
def _constant_rows(first, last, c, wrap0, wrap1, wrap2, ends, shift, x, out):
    n0, n1, n2 = x.shape
    for row in range(first, last):
        i = row // n1
        j = row - i * n1
        below = i - 1 if i > 0 else n0 - 1
        above = i + 1 if i < n0 - 1 else 0
        left = j - 1 if j > 0 else n1 - 1
        right = j + 1 if j < n1 - 1 else 0
        cb = c if (i > 0 or wrap0) else c * 0
        ca = c if (i < n0 - 1 or wrap0) else c * 0
        cl = c if (j > 0 or wrap1) else c * 0
        cr = c if (j < n1 - 1 or wrap1) else c * 0
        d = shift + 2 * c + cb + ca + cl + cr
        if i == 0:
            d += c * ends[0, 0]
        if i == n0 - 1:
            d += c * ends[0, 1]
        if j == 0:
            d += c * ends[1, 0]
        if j == n1 - 1:
            d += c * ends[1, 1]
        centre, target = x[i, j], out[i, j]
        xb, xa, xl, xr = x[below, j], x[above, j], x[i, left], x[i, right]
        for k in range(1, n2 - 1):
            target[k] = (
                d * centre[k] - cb * xb[k] - ca * xa[k] - cl * xl[k] - cr * xr[k]
                - c * (centre[k - 1] + centre[k + 1])
            )  # fmt: skip
        cw = c if wrap2 else c * 0
        for end in range(2 if n2 > 1 else 1):
            k = 0 if end == 0 else n2 - 1
            inner = c if n2 > 1 else cw
            here = d - 2 * c + inner + cw + c * ends[2, end]
            if n2 == 1:
                here += c * ends[2, 1]
            target[k] = (
                here * centre[k] - cb * xb[k] - ca * xa[k] - cl * xl[k] - cr * xr[k]
                - cw * centre[n2 - 1 - k] - inner * centre[(k + 1 if end == 0 else k - 1) if n2 > 1 else 0]
            )  # fmt: skip


@njit(parallel=True, cache=True)
def apply_constant(c, wrap0, wrap1, wrap2, ends, shift, x, out):
    """Apply one coupling `c` on a box without obstacles; nothing but vectors is read.

    ``ends[a]`` holds what the two outer faces of axis a add to the diagonal, in units of c.
    """
    rows = x.shape[0] * x.shape[1]
    if x.size <= SERIAL:
        _constant_rows(0, rows, c, wrap0, wrap1, wrap2, ends, shift, x, out)
    else:
        for b in prange(BLOCKS):
            _constant_rows(b * rows // BLOCKS, (b + 1) * rows // BLOCKS, c, wrap0, wrap1, wrap2, ends, shift, x, out)
