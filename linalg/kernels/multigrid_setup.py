"""Set-up of the structured-grid multigrid: coarse coefficients, coloured storage, byte codes, runs of unknowns.

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
NOISE = 1e-12  # what a subtraction of couplings from the diagonal leaves of nothing, relative to the diagonal


@njit(cache=True)
def _coarsen_planes(first, last, finest, scale, f0, f1, f2, g0, g1, g2, link, mass, c0, c1, c2, clink, cmass):
    n0, n1, n2 = link.shape
    m0, m1, m2 = clink.shape
    uniform = mass.size == 1 and link.size > 1
    r0, r1, r2 = 1.0 / f0, 1.0 / f1, 1.0 / f2
    half = 0.5 if f0 * f1 * f2 > 1 else 1.0
    for unit in range(first, last):
        ci = unit // m1
        cj = unit - ci * m1
        for ck in range(m2):
            i0, j0, k0 = ci * f0, cj * f1, ck * f2
            i1, j1, k1 = min(i0 + f0, n0), min(j0 + f1, n1), min(k0 + f2, n2)
            a0 = a1 = a2 = z0 = z1 = z2 = total = heavy = 0.0
            for i in range(i0, i1):
                for j in range(j0, j1):
                    a2 += g2[i, j, k0]
                    if ck == m2 - 1 and k1 == n2:
                        z2 += g2[i, j, n2]
                    for k in range(k0, k1):
                        if i == i0:
                            a0 += g0[i, j, k]
                        if ci == m0 - 1 and i == n0 - 1:
                            z0 += g0[n0, j, k]
                        if j == j0:
                            a1 += g1[i, j, k]
                        if cj == m1 - 1 and j == n1 - 1:
                            z1 += g1[i, n1, k]
                        v = link[i, j, k]
                        if not finest:
                            total += v
                            heavy += mass[i, j, k]
                        elif v != 0.0:
                            s = mass[0, 0, 0] if uniform else mass[i, j, k]
                            rest = (
                                v - s - g0[i, j, k] - g0[i + 1, j, k] - g1[i, j, k] - g1[i, j + 1, k] - g2[i, j, k]
                                - g2[i, j, k + 1]
                            )  # fmt: skip
                            heavy += s
                            if rest > NOISE * abs(v):
                                total += rest
            c0[ci, cj, ck] = a0 * r0 * scale if m0 > 1 else 0.0
            c1[ci, cj, ck] = a1 * r1 * scale if m1 > 1 else 0.0
            c2[ci, cj, ck] = a2 * r2 * scale if m2 > 1 else 0.0
            if ci == m0 - 1:
                c0[m0, cj, ck] = z0 * r0 * scale if m0 > 1 else 0.0
            if cj == m1 - 1:
                c1[ci, m1, ck] = z1 * r1 * scale if m1 > 1 else 0.0
            if ck == m2 - 1:
                c2[ci, cj, m2] = z2 * r2 * scale if m2 > 1 else 0.0
            clink[ci, cj, ck] = half * total * scale
            cmass[ci, cj, ck] = heavy * scale


@njit(parallel=True, cache=True)
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


@njit(cache=True)
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


@njit(parallel=True, cache=True)
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


@njit(cache=True)
def _encode_rows(first, last, c, shift, wraps, g0, g1, g2, diagonal, code):
    n0, n1, n2 = diagonal.shape
    for row in range(first, last):
        i = row // n1
        j = row - i * n1
        for k in range(n2):
            v = diagonal[i, j, k]
            colour = (i + j + k) & 1
            if v == 0.0:
                code[colour, i, j, k // 2] = 0
                continue
            n = np.rint((v - shift) / c)
            if not (0.5 < n < 12.5) or abs(v - shift - n * c) > 1e-9 * c:
                return False
            code[colour, i, j, k // 2] = np.uint8(n)
            for face in range(6):
                if face == 0:
                    f, edge, a = g0[i, j, k], i == 0, 0
                    other = 0.0 if edge else diagonal[i - 1, j, k]
                elif face == 1:
                    f, edge, a = g0[i + 1, j, k], i == n0 - 1, 0
                    other = 0.0 if edge else diagonal[i + 1, j, k]
                elif face == 2:
                    f, edge, a = g1[i, j, k], j == 0, 1
                    other = 0.0 if edge else diagonal[i, j - 1, k]
                elif face == 3:
                    f, edge, a = g1[i, j + 1, k], j == n1 - 1, 1
                    other = 0.0 if edge else diagonal[i, j + 1, k]
                elif face == 4:
                    f, edge, a = g2[i, j, k], k == 0, 2
                    other = 0.0 if edge else diagonal[i, j, k - 1]
                else:
                    f, edge, a = g2[i, j, k + 1], k == n2 - 1, 2
                    other = 0.0 if edge else diagonal[i, j, k + 1]
                if edge and wraps[a]:
                    other = diagonal[
                        (i + (1 if face == 1 else -1)) % n0 if a == 0 else i,
                        (j + (1 if face == 3 else -1)) % n1 if a == 1 else j,
                        (k + (1 if face == 5 else -1)) % n2 if a == 2 else k,
                    ]
                if f != (c if other != 0.0 else 0.0):
                    return False
    return True


@njit(parallel=True, cache=True)
def encode(c, shift, wraps, g0, g1, g2, diagonal, code, fits):
    """Write the byte codes of a 0/1 geometry; ``fits`` (one flag per block) tells where the operator is none."""
    rows = diagonal.shape[0] * diagonal.shape[1]
    blocks = fits.shape[0]
    for t in prange(blocks):
        fits[t] = _encode_rows(
            t * rows // blocks, (t + 1) * rows // blocks, c, shift, wraps, g0, g1, g2, diagonal, code
        )


@njit(cache=True)
def _pair(inside, before, after, table, axis):
    table[0, axis] += inside
    table[1, axis] += 1.0
    if inside < CLOSED * max(before, after):
        table[2, axis] += 1.0


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def invert(matrix):
    """Replace a small symmetric positive definite matrix by its inverse (Gauss and Jordan, no pivots needed)."""
    n = matrix.shape[0]
    for k in range(n):
        pivot = 1.0 / matrix[k, k]
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


@njit(cache=True)
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
