"""Set-up of the structured-grid multigrid for 0/1 geometries, from one byte per cell.

``code`` is the diagonal of the operator in units of the one conductance, zero in cells without an unknown: a face conducts
one unit if the cells on both sides have a code, and what is left of the code is the link to held values.
"""

import numpy as np
from numba import njit, prange

SERIAL = 16384
BLOCKS = 32


@njit(cache=True, error_model="numpy")
def paint(code, coloured):
    """Write codes in natural order into coloured storage."""
    n0, n1, n2 = code.shape
    h = coloured.shape[3]
    coloured[:] = 0
    for i in range(n0):
        for j in range(n1):
            line, red, black = code[i, j], coloured[(i + j) & 1, i, j], coloured[1 - ((i + j) & 1), i, j]
            for q in range(n2 // 2):
                red[q] = line[2 * q]
                black[q] = line[2 * q + 1]
            if n2 % 2 == 1:
                red[h - 1] = line[n2 - 1]


@njit(cache=True, error_model="numpy")
def _coarsen_rows(first, last, f0, f1, f2, wraps, shift, code, c0, c1, c2, clink, cmass):
    n0, n1, n2 = code.shape
    m0, m1, m2 = clink.shape
    r0, r1, r2 = 1.0 / f0, 1.0 / f1, 1.0 / f2
    half = 0.5 if f0 * f1 * f2 > 1 else 1.0
    solid = np.zeros(n2, np.uint8)
    low0, low1, low2 = np.zeros(n2 + 1, np.int16), np.zeros(n2 + 1, np.int16), np.zeros(n2 + 1, np.int16)
    held, count = np.zeros(n2 + 1, np.int16), np.zeros(n2 + 1, np.int16)
    line = np.zeros(n2 + 2, np.uint8)
    for unit in range(first, last):
        ci = unit // m1
        cj = unit - ci * m1
        for sums in (low0, low1, low2, held, count):
            sums[:] = 0
        for i in range(ci * f0, min(ci * f0 + f0, n0)):
            for j in range(cj * f1, min(cj * f1 + f1, n1)):
                own = code[i, j]
                below = code[i - 1, j] if i > 0 else (code[n0 - 1, j] if wraps[0] and n0 > 1 else solid)
                above = code[i + 1, j] if i < n0 - 1 else (code[0, j] if wraps[0] and n0 > 1 else solid)
                left = code[i, j - 1] if j > 0 else (code[i, n1 - 1] if wraps[1] and n1 > 1 else solid)
                right = code[i, j + 1] if j < n1 - 1 else (code[i, 0] if wraps[1] and n1 > 1 else solid)
                centre, after = line[1:], line[2:]
                for k in range(n2):
                    centre[k] = own[k]
                if wraps[2] and n2 > 1:
                    line[0], line[n2 + 1] = own[n2 - 1], own[0]
                for k in range(n2):
                    here = np.int16(own[k] > 0)
                    opens = here * (
                        np.int16(below[k] > 0) + np.int16(above[k] > 0) + np.int16(left[k] > 0) + np.int16(right[k] > 0)
                        + np.int16(line[k] > 0) + np.int16(after[k] > 0)
                    )  # fmt: skip
                    held[k] += np.int16(own[k]) - opens
                    count[k] += here
                for k in range(n2):
                    low2[k] += np.int16(own[k] > 0) * np.int16(line[k] > 0)
                if i == ci * f0:
                    for k in range(n2):
                        low0[k] += np.int16(own[k] > 0) * np.int16(below[k] > 0)
                if j == cj * f1:
                    for k in range(n2):
                        low1[k] += np.int16(own[k] > 0) * np.int16(left[k] > 0)
        for ck in range(m2):
            k = ck * f2
            more = k + 1 if f2 > 1 else n2  # entry n2 is zero
            c0[ci, cj, ck] = (low0[k] + low0[more]) * r0 if m0 > 1 else 0.0
            c1[ci, cj, ck] = (low1[k] + low1[more]) * r1 if m1 > 1 else 0.0
            c2[ci, cj, ck] = low2[k] * r2 if m2 > 1 else 0.0
            clink[ci, cj, ck] = half * (held[k] + held[more])
            cmass[ci, cj, ck] = shift * (count[k] + count[more])
        if wraps[2]:
            c2[ci, cj, m2] = c2[ci, cj, 0]


@njit(parallel=True, cache=True, error_model="numpy")
def _coarsen_blocks(rows, f0, f1, f2, wraps, shift, code, c0, c1, c2, clink, cmass):
    for t in prange(BLOCKS):
        _coarsen_rows(
            t * rows // BLOCKS, (t + 1) * rows // BLOCKS, f0, f1, f2, wraps, shift, code, c0, c1, c2, clink, cmass
        )


@njit(cache=True, error_model="numpy")
def coarsen(f0, f1, f2, wraps, shift, code, c0, c1, c2, clink, cmass):
    """Write the coefficients of the level below the finest, in units of the conductance (see `multigrid_setup`)."""
    rows = clink.shape[0] * clink.shape[1]
    if code.size <= SERIAL:
        _coarsen_rows(0, rows, f0, f1, f2, wraps, shift, code, c0, c1, c2, clink, cmass)
    else:
        _coarsen_blocks(rows, f0, f1, f2, wraps, shift, code, c0, c1, c2, clink, cmass)
    if wraps[0]:
        c0[-1] = c0[0]
    if wraps[1]:
        for i in range(c1.shape[0]):
            c1[i, -1] = c1[i, 0]


@njit(cache=True, error_model="numpy")
def mark_band(code, mask, rows):
    """Mark, in coloured order, unknowns with a solid or held cell beside them, and the rows that hold any."""
    n0, n1, n2 = code.shape
    mask[:] = False
    for i in range(n0):
        for j in range(n1):
            own, found = code[i, j], False
            below, above = code[max(i - 1, 0), j], code[min(i + 1, n0 - 1), j]
            left, right = code[i, max(j - 1, 0)], code[i, min(j + 1, n1 - 1)]
            for k in range(n2):
                if own[k] > 0 and (
                    below[k] == 0 or above[k] == 0 or left[k] == 0 or right[k] == 0
                    or own[max(k - 1, 0)] == 0 or own[min(k + 1, n2 - 1)] == 0
                ):  # fmt: skip
                    mask[(i + j + k) & 1, i, j, k // 2] = True
                    found = True
            rows[i * mask.shape[2] + j] = found
