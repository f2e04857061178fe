"""Set-up of the structured-grid multigrid: coarse coefficients, coloured storage, runs of unknowns.

A level comes as couplings `g0`, `g1`, `g2` on the faces of each axis (one more than cells along it), and what else stands on
the diagonal: `link` to held values and `mass`, the reaction term, both per cell. On the finest level (`finest`) `link` is
the whole diagonal, from which the rest is found, and `mass` has one entry if it is the same everywhere.

Coarse conductances are those of finite volumes on cells of twice the size: the sum over the fine faces on a coarse face,
times the ratio of the distances between centres, one half. The link to a held value is treated alike; the reaction term
is summed. Faces inside a coarse cell do not enter, so a wall stays closed as long as it lies between coarse cells.
"""

import numpy as np
from numba import njit, prange

SERIAL = 16384
BLOCKS = 32
CLOSED = 0.2  # a face is nearly closed if it conducts less than this part of its neighbours
ROUNDING = 1e-15  # a pivot below this part of its diagonal says nothing
NOISE = 1e-12  # what a subtraction of couplings from the diagonal leaves of nothing, relative to the diagonal


@njit(cache=True, error_model="numpy")
def _coarsen_planes(first, last, finest, scale, f0, f1, f2, g0, g1, g2, link, mass, c0, c1, c2, clink, cmass):
    n0, n1, n2 = link.shape
    m0, m1, m2 = clink.shape
    uniform = mass.size == 1 and link.size > 1
    same = mass[0, 0, 0]
    w0, w1, w2 = scale / f0, scale / f1, scale / f2
    half = 0.5 * scale if f0 * f1 * f2 > 1 else scale
    # sums over the fine rows of a coarse one, and a zero at the end for the missing half of an odd pair
    low0, low1, low2, total, heavy = (
        np.zeros(n2 + 1), np.zeros(n2 + 1), np.zeros(n2 + 2), np.zeros(n2 + 1), np.zeros(n2 + 1)
    )  # fmt: skip
    high0, high1 = np.zeros(n2 + 1), np.zeros(n2 + 1)
    for unit in range(first, last):
        ci = unit // m1
        cj = unit - ci * m1
        for k in range(n2 + 1):
            low0[k] = low1[k] = low2[k] = total[k] = heavy[k] = high0[k] = high1[k] = 0.0
        for i in range(ci * f0, min(ci * f0 + f0, n0)):
            for j in range(cj * f1, min(cj * f1 + f1, n1)):
                ga, gb, gc, gd, ge = g0[i, j], g0[i + 1, j], g1[i, j], g1[i, j + 1], g2[i, j]
                own = link[i, j]
                held = mass[0, 0] if uniform else mass[i, j]
                if i == ci * f0:
                    for k in range(n2):
                        low0[k] += ga[k]
                if ci == m0 - 1 and i == n0 - 1:
                    for k in range(n2):
                        high0[k] += gb[k]
                if j == cj * f1:
                    for k in range(n2):
                        low1[k] += gc[k]
                if cj == m1 - 1 and j == n1 - 1:
                    for k in range(n2):
                        high1[k] += gd[k]
                for k in range(n2 + 1):
                    low2[k] += ge[k]
                if not finest:
                    for k in range(n2):
                        total[k] += own[k]
                        heavy[k] += held[k]
                else:
                    for k in range(n2):
                        v = own[k]
                        m = 0.0 if v == 0.0 else (same if uniform else held[k])
                        rest = v - m - ga[k] - gb[k] - gc[k] - gd[k] - ge[k] - ge[k + 1]
                        heavy[k] += m
                        total[k] += rest if rest > NOISE * abs(v) else 0.0
        for ck in range(m2):
            k = ck * f2
            more = k + 1 if f2 > 1 else n2
            c0[ci, cj, ck] = (low0[k] + low0[more]) * w0 if m0 > 1 else 0.0
            c1[ci, cj, ck] = (low1[k] + low1[more]) * w1 if m1 > 1 else 0.0
            c2[ci, cj, ck] = low2[k] * w2 if m2 > 1 else 0.0
            if ci == m0 - 1:
                c0[m0, cj, ck] = (high0[k] + high0[more]) * w0 if m0 > 1 else 0.0
            if cj == m1 - 1:
                c1[ci, m1, ck] = (high1[k] + high1[more]) * w1 if m1 > 1 else 0.0
            clink[ci, cj, ck] = half * (total[k] + total[more])
            cmass[ci, cj, ck] = (heavy[k] + heavy[more]) * scale
        # the last face: none where the last coarse cell has a half that is missing
        c2[ci, cj, m2] = low2[n2] * w2 if m2 > 1 and m2 * f2 == n2 else 0.0


@njit(parallel=True, cache=True, error_model="numpy", nogil=True)
def coarsen(finest, scale, f0, f1, f2, g0, g1, g2, link, mass, c0, c1, c2, clink, cmass):
    """Write the coefficients of the next level."""
    rows = clink.shape[0] * clink.shape[1]
    if link.size <= SERIAL:
        _coarsen_planes(0, rows, finest, scale, f0, f1, f2, g0, g1, g2, link, mass, c0, c1, c2, clink, cmass)
    else:
        for t in prange(BLOCKS):
            _coarsen_planes(
                t * rows // BLOCKS, (t + 1) * rows // BLOCKS, finest, scale, f0, f1, f2, g0, g1, g2, link, mass, c0, c1,
                c2, clink, cmass,
            )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _fill_rows(first, last, finest, scale, m, t, g0, g1, g2, link, mass, wraps, omega, g, d, w):
    n1, n2 = link.shape[1:]
    h = d.shape[3] // m
    same = omega.size == 1
    for row in range(first, last):
        i = row // n1
        j = row - i * n1
        for colour in range(2):
            s = (i + j + colour) & 1
            for q in range((n2 - s + 1) // 2):
                k = 2 * q + s
                if finest:
                    v = link[i, j, k] * scale
                else:
                    v = (
                        link[i, j, k] + mass[i, j, k] + g0[i, j, k] + g0[i + 1, j, k] + g1[i, j, k] + g1[i, j + 1, k]
                        + g2[i, j, k] + g2[i, j, k + 1]
                    ) * scale  # fmt: skip
                d[colour, i, j, q * m + t] = v
                o = omega[0] if same else omega[(i * n1 + j) * n2 + k]
                w[colour, i, j, q * m + t] = o / v if v > 0 else 0.0
        s = (i + j) & 1
        for q in range((n2 - s + 1) // 2):
            k = 2 * q + s
            at = (q + 1) * m + t
            g[0, i, j, at] = g0[i, j, k] * scale
            g[1, i, j, at] = g0[i + 1, j, k] * scale
            g[2, i, j, at] = g1[i, j, k] * scale
            g[3, i, j, at] = g1[i, j + 1, k] * scale
            g[4, i, j, at] = g2[i, j, k] * scale
            g[5, i, j, at] = g2[i, j, k + 1] * scale
        if wraps[2]:
            for f in range(6):
                g[f, i, j, t] = g[f, i, j, h * m + t]
                g[f, i, j, (h + 1) * m + t] = g[f, i, j, m + t]


@njit(parallel=True, cache=True, error_model="numpy", nogil=True)
def fill(finest, scale, m, t, g0, g1, g2, link, mass, wraps, omega, g, d, w):
    """Write one system's coefficients into the coloured arrays, as number `t` of `m` interleaved ones."""
    rows = link.shape[0] * link.shape[1]
    if link.size <= SERIAL:
        _fill_rows(0, rows, finest, scale, m, t, g0, g1, g2, link, mass, wraps, omega, g, d, w)
    else:
        for b in prange(BLOCKS):
            _fill_rows(
                b * rows // BLOCKS, (b + 1) * rows // BLOCKS, finest, scale, m, t, g0, g1, g2, link, mass, wraps, omega,
                g, d, w,
            )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _pair(inside, before, after, table, axis):
    table[0, axis] += inside
    table[1, axis] += 1.0
    if inside < CLOSED * max(before, after):
        table[2, axis] += 1.0


@njit(cache=True, error_model="numpy", nogil=True)
def strengths(g0, g1, g2, diagonal):
    """Look at the faces inside coarse cells, between pairs of unknowns.

    Returns, for each axis: the sum of their conductances, their number, and how many of them are (nearly) closed
    compared with the next faces on both sides.
    """
    n0, n1, n2 = diagonal.shape
    table = np.zeros((3, 3))
    every = max(1, n0 * n1 // 4096) | 1  # rows looked at: all of a small level, a sample of a large one
    for row in range(0, n0 * n1, every):
        i = row // n1
        j = row - i * n1
        for k in range(n2):
            if diagonal[i, j, k] == 0.0:
                continue
            if i % 2 == 1 and diagonal[i - 1, j, k] != 0.0:
                _pair(g0[i, j, k], g0[i - 1, j, k], g0[i + 1, j, k], table, 0)
            if j % 2 == 1 and diagonal[i, j - 1, k] != 0.0:
                _pair(g1[i, j, k], g1[i, j - 1, k], g1[i, j + 1, k], table, 1)
            if k % 2 == 1 and diagonal[i, j, k - 1] != 0.0:
                _pair(g2[i, j, k], g2[i, j, k - 1], g2[i, j, k + 1], table, 2)
    return table


@njit(cache=True, error_model="numpy")
def mark_band(g0, g1, g2, diagonal, mask, rows):
    """Mark, in coloured order, unknowns with a closed face inside the box, and the rows that hold any."""
    n0, n1, n2 = diagonal.shape
    mask[:] = False
    for i in range(n0):
        for j in range(n1):
            found = False
            for k in range(n2):
                if diagonal[i, j, k] == 0.0:
                    continue
                if (
                    (i > 0 and g0[i, j, k] == 0.0) or (i < n0 - 1 and g0[i + 1, j, k] == 0.0)
                    or (j > 0 and g1[i, j, k] == 0.0) or (j < n1 - 1 and g1[i, j + 1, k] == 0.0)
                    or (k > 0 and g2[i, j, k] == 0.0) or (k < n2 - 1 and g2[i, j, k + 1] == 0.0)
                ):  # fmt: skip
                    mask[(i + j + k) & 1, i, j, k // 2] = True
                    found = True
            rows[i * mask.shape[2] + j] = found


@njit(cache=True, error_model="numpy")
def count_runs(cells, heads):
    """Write into `heads` where the runs of interior cells of each row start in the list of all runs."""
    rows, n = cells.shape
    heads[0] = 0
    for row in range(rows):
        found, inside = 0, False
        for k in range(n):
            here = cells[row, k] == 0
            if here and not inside:
                found += 1
            inside = here
        heads[row + 1] = heads[row] + found


@njit(cache=True, error_model="numpy")
def list_runs(cells, starts, sources, lengths):
    """List the runs of interior cells: first cell in its row, first unknown, length."""
    rows, n = cells.shape
    run, unknown = -1, 0
    for row in range(rows):
        inside = False
        for k in range(n):
            here = cells[row, k] == 0
            if here:
                if not inside:
                    run += 1
                    starts[run], sources[run], lengths[run] = k, unknown, 0
                lengths[run] += 1
                unknown += 1
            inside = here


@njit(cache=True, error_model="numpy")
def invert(matrix):
    """Replace a small symmetric positive definite matrix by its inverse (Gauss and Jordan, no pivots needed).

    A pivot that is rounding, after contrasts of the coefficients beyond double precision, is replaced by a small positive
    number, as if the diagonal had been larger by so much: the inverse stays positive definite.
    """
    n = matrix.shape[0]
    least = np.empty(n)
    for k in range(n):
        least[k] = ROUNDING * matrix[k, k]
    for k in range(n):
        pivot = 1.0 / max(matrix[k, k], least[k])
        matrix[k, k] = 1.0
        for j in range(n):
            matrix[k, j] *= pivot
        for i in range(n):
            if i != k:
                factor = matrix[i, k]
                if factor != 0.0:
                    matrix[i, k] = 0.0
                    for j in range(n):
                        matrix[i, j] -= factor * matrix[k, j]


@njit(cache=True, error_model="numpy", nogil=True)
def invert_level(scale, g0, g1, g2, diagonal, width1, half):
    """Inverse of a small level, in coloured order (rows of `half` entries, planes of `width1` rows).

    A component without any held value gets one more link, spread over all of it; the inverse is then the exact one for
    right-hand sides that sum to zero there. Cells without an unknown have zero rows.
    """
    n0, n1, n2 = diagonal.shape
    cells = n0 * n1 * n2
    matrix = np.zeros((cells, cells))
    excess = np.zeros(cells)
    for i in range(n0):
        for j in range(n1):
            for k in range(n2):
                at = (i * n1 + j) * n2 + k
                v = diagonal[i, j, k] * scale
                matrix[at, at] += v
                excess[at] += v
                for axis in range(3):
                    if axis == 0:
                        other, c = (((i - 1) % n0) * n1 + j) * n2 + k, g0[i, j, k] * scale
                    elif axis == 1:
                        other, c = (i * n1 + (j - 1) % n1) * n2 + k, g1[i, j, k] * scale
                    else:
                        other, c = (i * n1 + j) * n2 + (k - 1) % n2, g2[i, j, k] * scale
                    if other != at:
                        matrix[at, other] -= c
                        matrix[other, at] -= c
                        excess[at] -= c
                        excess[other] -= c
    used = np.empty(cells, np.bool_)
    for at in range(cells):
        used[at] = matrix[at, at] > 0.0
    seen = np.zeros(cells, np.bool_)
    queue = np.empty(cells, np.int64)
    for seed in range(cells):
        if seen[seed] or not used[seed]:
            continue
        head, tail = 0, 1
        queue[0] = seed
        seen[seed] = True
        held, weight = 0.0, 0.0
        while head < tail:
            at = queue[head]
            head += 1
            held += abs(excess[at])
            weight += matrix[at, at]
            for other in range(cells):
                if not seen[other] and matrix[at, other] != 0.0:
                    seen[other] = True
                    queue[tail] = other
                    tail += 1
        if held <= 1e-11 * weight:
            for a in range(tail):
                for b in range(tail):
                    matrix[queue[a], queue[b]] += weight / (tail * tail)
    for at in range(cells):
        if not used[at]:
            matrix[at, at] = 1.0
    invert(matrix)
    size = 2 * n0 * width1 * half if n0 == 1 else 2 * (n0 + n0 % 2) * width1 * half
    planes = size // (2 * width1 * half)
    place = np.empty(cells, np.int64)
    for at in range(cells):
        i, j, k = at // (n1 * n2), (at // n2) % n1, at % n2
        place[at] = ((((i + j + k) % 2) * planes + i) * width1 + j) * half + k // 2
    result = np.zeros((size, size))
    for a in range(cells):
        if used[a]:
            for b in range(cells):
                if used[b]:
                    result[place[a], place[b]] = 0.5 * (matrix[a, b] + matrix[b, a])
    return result
