"""Conjugate gradients on m interleaved stencil systems of one box: entry (i, j, k m + t) belongs to system t.

Couplings ``g0``, ``g1``, ``g2`` and the diagonal `d` are those of `stencil`, interleaved; what belongs to a cell without an
unknown is zero. Sums are taken per block of rows, the blocks being the same for any number of threads.
"""

import numpy as np
from numba import njit, prange

SERIAL = 32768  # what callers use as the limit
BLOCKS = 32
PRODUCT, UPDATE, DOT, TURN = range(4)


@njit(cache=True)
def _task(step, first, last, m, wrap, g0, g1, g2, d, scale, p, q, x, r, z, sums):
    n0, n1, h = p.shape
    acc = np.zeros(h)
    line = np.zeros(h + 2 * m)
    if step == PRODUCT:
        for row in range(first, last):
            i = row // n1
            j = row - i * n1
            below, above = i - 1 if i > 0 else n0 - 1, i + 1 if i < n0 - 1 else 0
            left, right = j - 1 if j > 0 else n1 - 1, j + 1 if j < n1 - 1 else 0
            centre, target, own = line[m : m + h], q[i, j], p[i, j]
            for k in range(h):
                centre[k] = own[k]
            if wrap:
                for t in range(m):
                    line[t] = own[h - m + t]
                    line[h + m + t] = own[t]
            diagonal, ga, gb, after = d[i, j], g2[i, j, :h], g2[i, j, m : m + h], line[2 * m :]
            for k in range(h):
                target[k] = diagonal[k] * centre[k] - ga[k] * line[k] - gb[k] * after[k]
            ga, gb, xa, xb = g1[i, j], g1[i, j + 1], p[i, left], p[i, right]
            for k in range(h):
                target[k] -= ga[k] * xa[k] + gb[k] * xb[k]
            if n0 > 1:
                ga, gb, xa, xb = g0[i, j], g0[i + 1, j], p[below, j], p[above, j]
                for k in range(h):
                    target[k] -= ga[k] * xa[k] + gb[k] * xb[k]
            for k in range(h):
                acc[k] += target[k] * centre[k]
    else:
        factor = np.empty(h)
        for k in range(h):
            factor[k] = scale[k % m]
        for row in range(first, last):
            i = row // n1
            j = row - i * n1
            if step == UPDATE:
                for k in range(h):
                    x[i, j, k] += factor[k] * p[i, j, k]
                for k in range(h):
                    v = r[i, j, k] - factor[k] * q[i, j, k]
                    r[i, j, k] = v
                    acc[k] += v * v
            elif step == DOT:
                for k in range(h):
                    acc[k] += r[i, j, k] * z[i, j, k]
            else:
                for k in range(h):
                    p[i, j, k] = z[i, j, k] + factor[k] * p[i, j, k]
    for t in range(m):
        total = 0.0
        for k in range(t, h, m):
            total += acc[k]
        sums[t] = total


@njit(parallel=True, cache=True)
def _spread(partial, step, m, wrap, g0, g1, g2, d, scale, p, q, x, r, z):
    rows = p.shape[0] * p.shape[1]
    for b in prange(BLOCKS):
        _task(
            step, b * rows // BLOCKS, (b + 1) * rows // BLOCKS, m, wrap, g0, g1, g2, d, scale, p, q, x, r, z, partial[b]
        )


@njit(cache=True, nogil=True)
def put(t, m, source, target):
    """Write one system's numbers as number `t` of `m` interleaved ones."""
    at, step = np.uint64(t), np.uint64(m)
    for k in range(np.uint64(source.size)):
        target[at] = source[k]
        at += step


@njit(cache=True, nogil=True)
def run(step, m, wrap, g0, g1, g2, d, scale, p, q, x, r, z, sums, limit):
    """Do a step of all systems: q <- A p and p.q; x, r <- x + s p, r - s q and r.r; r.z; p <- z + s p.

    Up to `limit` entries one thread does the work.
    """
    if p.size <= limit:
        _task(step, np.int64(0), p.shape[0] * p.shape[1], m, wrap, g0, g1, g2, d, scale, p, q, x, r, z, sums)
        return
    partial = np.empty((BLOCKS, m))
    _spread(partial, step, m, wrap, g0, g1, g2, d, scale, p, q, x, r, z)
    for t in range(m):
        sums[t] = 0.0
        for b in range(BLOCKS):
            sums[t] += partial[b, t]
