"""Low-rank factors on observed entries: residuals, products with them, and least squares row by row.

One copy of the entries lies by rows (CSR) and one by columns (CSC); each kernel walks one of them. A row of the free
factor belongs to one block, and the blocks are cut by equal numbers of entries and do not depend on the number of
threads, so neither do the results. Four entries are taken at a time: their four inner products run side by side, which
is as fast as a reordered sum, and the sum over them reads and writes the result once. Past the end of a row the last
entry stands in with weight zero. Data may be single precision; factors and all arithmetic are double.
"""

import numpy as np
from numba import njit, prange

_1 = np.uint64(1)
_2 = np.uint64(2)
_3 = np.uint64(3)


@njit(cache=True)
def _residual_rows(first, last, indptr, indices, values, U, V, out):
    k = U.shape[1]
    total = 0.0
    for i in range(first, last):
        if indptr[i + _1] == indptr[i]:
            continue
        end = indptr[i + _1] - _1
        p = indptr[i]
        while p <= end:
            p1, p2, p3 = min(p + _1, end), min(p + _2, end), min(p + _3, end)
            j0, j1, j2, j3 = indices[p], indices[p1], indices[p2], indices[p3]
            s0 = s1 = s2 = s3 = 0.0
            for c in range(k):
                u = U[i, c]
                s0 += u * V[j0, c]
                s1 += u * V[j1, c]
                s2 += u * V[j2, c]
                s3 += u * V[j3, c]
            r0, r1, r2, r3 = values[p] - s0, values[p1] - s1, values[p2] - s2, values[p3] - s3
            out[p3], out[p2], out[p1], out[p] = r3, r2, r1, r0
            total += r0 * r0
            if p + _1 <= end:
                total += r1 * r1
            if p + _2 <= end:
                total += r2 * r2
            if p + _3 <= end:
                total += r3 * r3
            p += np.uint64(4)
    return total


@njit(parallel=True, cache=True)
def residuals(starts, indptr, indices, values, U, V, out, partial):
    """Out <- values - (U V')_observed; partial[b] <- the sum of squares over block b."""
    if partial.shape[0] == 1:
        partial[0] = _residual_rows(starts[0], starts[1], indptr, indices, values, U, V, out)
    else:
        for b in prange(partial.shape[0]):
            partial[b] = _residual_rows(starts[b], starts[b + 1], indptr, indices, values, U, V, out)


@njit(cache=True)
def _tangent_rows(first, last, indptr, indices, A, V, U, B, out):
    k = U.shape[1]
    total = 0.0
    for i in range(first, last):
        if indptr[i + _1] == indptr[i]:
            continue
        end = indptr[i + _1] - _1
        p = indptr[i]
        while p <= end:
            p1 = min(p + _1, end)
            j0, j1 = indices[p], indices[p1]
            s0 = s1 = t0 = t1 = 0.0
            for c in range(k):
                a = A[i, c]
                u = U[i, c]
                s0 += a * V[j0, c]
                t0 += u * B[j0, c]
                s1 += a * V[j1, c]
                t1 += u * B[j1, c]
            s0 += t0
            s1 += t1
            out[p1], out[p] = s1, s0
            total += s0 * s0
            if p + _1 <= end:
                total += s1 * s1
            p += _2
    return total


@njit(parallel=True, cache=True)
def tangent(starts, indptr, indices, A, V, U, B, out, partial):
    """Out <- (A V' + U B')_observed; partial[b] <- the sum of squares over block b."""
    if partial.shape[0] == 1:
        partial[0] = _tangent_rows(starts[0], starts[1], indptr, indices, A, V, U, B, out)
    else:
        for b in prange(partial.shape[0]):
            partial[b] = _tangent_rows(starts[b], starts[b + 1], indptr, indices, A, V, U, B, out)


@njit(cache=True)
def _spread_rows(first, last, indptr, indices, weights, order, V, out):
    k = V.shape[1]
    direct = order.shape[0] == 0
    for i in range(first, last):
        for c in range(k):
            out[i, c] = 0.0
        if indptr[i + _1] == indptr[i]:
            continue
        end = indptr[i + _1] - _1
        p = indptr[i]
        while p <= end:
            p1, p2, p3 = min(p + _1, end), min(p + _2, end), min(p + _3, end)
            j0, j1, j2, j3 = indices[p], indices[p1], indices[p2], indices[p3]
            if direct:
                w0, w1, w2, w3 = weights[p], weights[p1], weights[p2], weights[p3]
            else:
                w0, w1, w2, w3 = weights[order[p]], weights[order[p1]], weights[order[p2]], weights[order[p3]]
            s0 = np.float64(w0)
            s1 = np.float64(w1) if p + _1 <= end else 0.0
            s2 = np.float64(w2) if p + _2 <= end else 0.0
            s3 = np.float64(w3) if p + _3 <= end else 0.0
            for c in range(k):
                out[i, c] += (s0 * V[j0, c] + s1 * V[j1, c]) + (s2 * V[j2, c] + s3 * V[j3, c])
            p += np.uint64(4)


@njit(parallel=True, cache=True)
def spread(starts, indptr, indices, weights, order, V, out):
    """Out <- S V for the sparse matrix S of the weights; with `order` the weights lie in the order of the other copy."""
    if starts.shape[0] == 2:
        _spread_rows(starts[0], starts[1], indptr, indices, weights, order, V, out)
    else:
        for b in prange(starts.shape[0] - 1):
            _spread_rows(starts[b], starts[b + 1], indptr, indices, weights, order, V, out)


@njit(cache=True)
def _cg_rows(first, last, indptr, indices, values, V, U, ridge, scaled, rtol, most):
    k = V.shape[1]
    u = np.empty(k)
    g = np.empty(k)
    p = np.empty(k)
    q = np.empty(k)
    steps = 0
    for i in range(first, last):
        if indptr[i + _1] == indptr[i]:
            for c in range(k):
                U[i, c] = 0.0
            continue
        begin = indptr[i]
        end = indptr[i + _1] - _1
        shift = ridge * np.float64(end - begin + _1) if scaled else ridge
        for c in range(k):
            u[c] = U[i, c]
            g[c] = -shift * u[c]
        e = begin
        while e <= end:  # g <- W' (y - W u) - shift u
            e1, e2, e3 = min(e + _1, end), min(e + _2, end), min(e + _3, end)
            j0, j1, j2, j3 = indices[e], indices[e1], indices[e2], indices[e3]
            s0 = s1 = s2 = s3 = 0.0
            for c in range(k):
                x = u[c]
                s0 += V[j0, c] * x
                s1 += V[j1, c] * x
                s2 += V[j2, c] * x
                s3 += V[j3, c] * x
            s0 = values[e] - s0
            s1 = values[e1] - s1 if e + _1 <= end else 0.0
            s2 = values[e2] - s2 if e + _2 <= end else 0.0
            s3 = values[e3] - s3 if e + _3 <= end else 0.0
            for c in range(k):
                g[c] += (s0 * V[j0, c] + s1 * V[j1, c]) + (s2 * V[j2, c] + s3 * V[j3, c])
            e += np.uint64(4)
        gg = 0.0
        for c in range(k):
            p[c] = g[c]
            gg += g[c] * g[c]
        pp = gg
        goal = rtol * rtol * gg
        step = 0
        while step < most and gg > goal:
            for c in range(k):
                q[c] = shift * p[c]
            pq = shift * pp
            e = begin
            while e <= end:  # q <- W' W p + shift p; the inner products give p' q on the way
                e1, e2, e3 = min(e + _1, end), min(e + _2, end), min(e + _3, end)
                j0, j1, j2, j3 = indices[e], indices[e1], indices[e2], indices[e3]
                s0 = s1 = s2 = s3 = 0.0
                for c in range(k):
                    x = p[c]
                    s0 += V[j0, c] * x
                    s1 += V[j1, c] * x
                    s2 += V[j2, c] * x
                    s3 += V[j3, c] * x
                if e + _3 > end:
                    s3 = 0.0
                    if e + _2 > end:
                        s2 = 0.0
                        if e + _1 > end:
                            s1 = 0.0
                pq += (s0 * s0 + s1 * s1) + (s2 * s2 + s3 * s3)
                for c in range(k):
                    q[c] += (s0 * V[j0, c] + s1 * V[j1, c]) + (s2 * V[j2, c] + s3 * V[j3, c])
                e += np.uint64(4)
            if not pq > 0.0:
                break
            alpha = gg / pq
            for c in range(k):
                u[c] += alpha * p[c]
                g[c] -= alpha * q[c]
            s0 = s1 = s2 = s3 = 0.0
            for c in range(0, k - 3, 4):
                s0 += g[c] * g[c]
                s1 += g[c + 1] * g[c + 1]
                s2 += g[c + 2] * g[c + 2]
                s3 += g[c + 3] * g[c + 3]
            for c in range(k // 4 * 4, k):
                s0 += g[c] * g[c]
            new = (s0 + s1) + (s2 + s3)
            beta = new / gg
            gg = new
            pp = gg + beta * beta * pp  # g and the old p are orthogonal
            for c in range(k):
                p[c] = g[c] + beta * p[c]
            step += 1
        steps += step
        for c in range(k):
            U[i, c] = u[c]
    return steps


@njit(parallel=True, cache=True)
def solve_cg(starts, indptr, indices, values, V, U, ridge, scaled, rtol, most, steps):
    """Every row of U <- argmin |values - V u|^2 + ridge |u|^2 to `rtol` by conjugate gradients from where it stands.

    `scaled` multiplies the ridge by the number of entries of the row; steps[b] <- steps taken in block b.
    """
    if steps.shape[0] == 1:
        steps[0] = _cg_rows(starts[0], starts[1], indptr, indices, values, V, U, ridge, scaled, rtol, most)
    else:
        for b in prange(steps.shape[0]):
            steps[b] = _cg_rows(starts[b], starts[b + 1], indptr, indices, values, V, U, ridge, scaled, rtol, most)


@njit(cache=True)
def _cholesky_rows(first, last, indptr, indices, values, V, U, ridge, scaled):
    k = V.shape[1]
    G = np.empty((k, k))
    g = np.empty(k)
    column = np.empty(k)
    for i in range(first, last):
        if indptr[i + _1] == indptr[i]:
            for c in range(k):
                U[i, c] = 0.0
            continue
        begin = indptr[i]
        end = indptr[i + _1] - _1
        shift = ridge * np.float64(end - begin + _1) if scaled else ridge
        for b in range(k):
            g[b] = -shift * U[i, b]
            for c in range(b + 1):
                G[b, c] = 0.0
        e = begin
        while e <= end:  # the gradient at the present row, as in CG: the solution is a correction, so errors do not add
            e1, e2, e3 = min(e + _1, end), min(e + _2, end), min(e + _3, end)
            j0, j1, j2, j3 = indices[e], indices[e1], indices[e2], indices[e3]
            s0 = s1 = s2 = s3 = 0.0
            for c in range(k):
                x = U[i, c]
                s0 += V[j0, c] * x
                s1 += V[j1, c] * x
                s2 += V[j2, c] * x
                s3 += V[j3, c] * x
            w1 = 1.0 if e + _1 <= end else 0.0
            w2 = 1.0 if e + _2 <= end else 0.0
            w3 = 1.0 if e + _3 <= end else 0.0
            s0 = values[e] - s0
            s1 = w1 * (values[e1] - s1)
            s2 = w2 * (values[e2] - s2)
            s3 = w3 * (values[e3] - s3)
            for c in range(k):
                g[c] += (s0 * V[j0, c] + s1 * V[j1, c]) + (s2 * V[j2, c] + s3 * V[j3, c])
            for b in range(k):
                v0 = V[j0, b]
                v1 = w1 * V[j1, b]
                v2 = w2 * V[j2, b]
                v3 = w3 * V[j3, b]
                for c in range(b + 1):
                    G[b, c] += (v0 * V[j0, c] + v1 * V[j1, c]) + (v2 * V[j2, c] + v3 * V[j3, c])
            e += np.uint64(4)
        trace = 0.0
        for c in range(k):
            trace += G[c, c]
        floor = 1e-15 * trace  # a row with fewer entries than unknowns moves only where they reach
        for c in range(k):
            G[c, c] += shift + floor
        if not trace + shift > 0.0:
            continue
        for c in range(k):  # right-looking: the inner loop runs along rows
            pivot = np.sqrt(max(G[c, c], floor + 1e-300))
            G[c, c] = pivot
            for b in range(c + 1, k):
                G[b, c] /= pivot
                column[b] = G[b, c]
            for b in range(c + 1, k):
                factor = column[b]
                for a in range(c + 1, b + 1):
                    G[b, a] -= factor * column[a]
        for b in range(k):
            s0 = g[b]
            for c in range(b):
                s0 -= G[b, c] * g[c]
            g[b] = s0 / G[b, b]
        for b in range(k - 1, -1, -1):
            g[b] /= G[b, b]
            s0 = g[b]
            for c in range(b):
                g[c] -= G[b, c] * s0
        for c in range(k):
            U[i, c] += g[c]


@njit(parallel=True, cache=True)
def solve_cholesky(starts, indptr, indices, values, V, U, ridge, scaled):
    """Every row of U <- argmin |values - V u|^2 + ridge |u|^2 by normal equations; see `solve_cg`."""
    if starts.shape[0] == 2:
        _cholesky_rows(starts[0], starts[1], indptr, indices, values, V, U, ridge, scaled)
    else:
        for b in prange(starts.shape[0] - 1):
            _cholesky_rows(starts[b], starts[b + 1], indptr, indices, values, V, U, ridge, scaled)


@njit(cache=True)
def _gram_rows(first, last, X, Y, G):
    k = X.shape[1]
    columns = Y.shape[1]
    for b in range(k):
        for c in range(columns):
            G[b, c] = 0.0
    full = first + (last - first) // 4 * 4
    for i in range(first, full, 4):
        for b in range(k):
            x0, x1, x2, x3 = X[i, b], X[i + 1, b], X[i + 2, b], X[i + 3, b]
            for c in range(columns):
                G[b, c] += (x0 * Y[i, c] + x1 * Y[i + 1, c]) + (x2 * Y[i + 2, c] + x3 * Y[i + 3, c])
    for i in range(full, last):
        for b in range(k):
            x0 = X[i, b]
            for c in range(columns):
                G[b, c] += x0 * Y[i, c]


@njit(parallel=True, cache=True)
def gram(X, Y, partial):
    """partial[b] <- the part of X' Y from the b-th run of rows; equal runs."""
    blocks = partial.shape[0]
    n = X.shape[0]
    if blocks == 1:
        _gram_rows(0, n, X, Y, partial[0])
    else:
        for b in prange(blocks):
            _gram_rows(np.int64(b) * n // blocks, (np.int64(b) + 1) * n // blocks, X, Y, partial[b])


@njit(cache=True)
def _mix_rows(first, last, X, T, out):
    k = X.shape[1]
    columns = T.shape[1]
    row = np.empty(columns)
    for i in range(first, last):
        for c in range(columns):
            row[c] = 0.0
        for b in range(0, k - 3, 4):
            x0, x1, x2, x3 = X[i, b], X[i, b + 1], X[i, b + 2], X[i, b + 3]
            for c in range(columns):
                row[c] += (x0 * T[b, c] + x1 * T[b + 1, c]) + (x2 * T[b + 2, c] + x3 * T[b + 3, c])
        for b in range(k // 4 * 4, k):
            x0 = X[i, b]
            for c in range(columns):
                row[c] += x0 * T[b, c]
        for c in range(columns):
            out[i, c] = row[c]


@njit(parallel=True, cache=True)
def mix(X, T, out, blocks):
    """Out <- X T; `out` may be X where T is square."""
    n = X.shape[0]
    if blocks == 1:
        _mix_rows(0, n, X, T, out)
    else:
        for b in prange(blocks):
            _mix_rows(np.int64(b) * n // blocks, (np.int64(b) + 1) * n // blocks, X, T, out)


@njit(cache=True)
def cholesky_inverse(G, shift, R, T):
    """R <- upper factor of G + shift I, T <- its inverse; False where G is not numerically definite."""
    k = G.shape[0]
    for b in range(k):
        for c in range(k):
            R[b, c] = G[b, c] if c >= b else 0.0
            T[b, c] = 0.0
        R[b, b] += shift
    for c in range(k):
        if not R[c, c] > 0.0:
            return False
        pivot = np.sqrt(R[c, c])
        for a in range(c, k):
            R[c, a] /= pivot
        for b in range(c + 1, k):
            factor = R[c, b]
            for a in range(b, k):
                R[b, a] -= factor * R[c, a]
    for b in range(k - 1, -1, -1):  # row b of the inverse from the rows below it
        T[b, b] = 1.0
        for a in range(b + 1, k):
            factor = R[b, a]
            for c in range(a, k):
                T[b, c] -= factor * T[a, c]
        for c in range(b, k):
            T[b, c] /= R[b, b]
    return True
