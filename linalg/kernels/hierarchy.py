"""Renewing an algebraic multigrid hierarchy: spectral estimates, prolongators, places of entries.

Index arrays are unsigned views. Sums over rows are taken in fixed blocks and then in order, so a result does not depend on
the number of threads.
"""

import numpy as np
from numba import njit, prange


@njit(cache=True)
def places(indptr, indices, wide_indptr, wide_indices, out):
    """Out <- place of every entry of a pattern inside a wider one; returns how many are not in it.

    In both patterns the columns of a row rise strictly.
    """
    missing = 0
    one = np.uint64(1)
    for i in range(np.uint64(indptr.shape[0]) - one):
        q = np.uint64(wide_indptr[i])
        end = np.uint64(wide_indptr[i + one])
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            while q < end and wide_indices[q] < indices[p]:
                q += one
            if q < end and wide_indices[q] == indices[p]:
                out[p] = q
            else:
                missing += 1
    return missing


@njit(cache=True)
def prolongator(indptr, products, weights, tentative, places, out):
    """Out <- T - diag(weights) (A T) on the pattern of A T; `places` are those of the entries of T."""
    one = np.uint64(1)
    for i in range(np.uint64(weights.shape[0])):
        w = weights[i]
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            out[p] = -w * products[p]
    for t in range(places.shape[0]):
        out[places[t]] += tentative[t]


@njit(cache=True)
def _ordered_sum(partial):
    total = partial[:0].sum()
    for b in range(partial.shape[0]):
        total += partial[b]
    return total


@njit(cache=True)
def _zeros(x, n):
    return np.zeros(n, dtype=x.dtype)


@njit(cache=True)
def _lanczos_product(first, last, indptr, indices, data, scale, u, size, y, former, ratio, along, back, b):
    """Former <- S u / size - ratio former; along[b] <- y . S u / size, back[b] <- former . S u / size over these rows."""
    zero = u.dtype.type(0)
    near, far = zero, zero
    for i in range(first, last):
        acc = zero
        for p in range(indptr[i], indptr[i + 1]):
            acc += data[p] * u[indices[p]]
        acc *= scale[i] / size
        near += np.conj(y[i]) * acc
        far += np.conj(former[i]) * acc
        former[i] = acc - ratio * former[i]
    along[b] = near
    back[b] = far


@njit(cache=True)
def _lanczos_step(first, last, factor, y, new, scale, u):
    """Subtract factor y from `new`, put scale new into `u`; returns new . new over these rows."""
    acc = 0.0
    for i in range(first, last):
        w = new[i] - factor * y[i]
        new[i] = w
        u[i] = scale[i] * w
        acc += (w * np.conj(w)).real
    return acc


@njit(parallel=True, cache=True)
def lanczos(starts, indptr, indices, data, scale, y, former, u, diagonal, beside, mirrored):
    """Lanczos for S = diag(scale) A diag(scale), one step per entry of `diagonal`; returns the number of steps taken.

    `y` holds the start, `former` zeros, `u` is scratch of their size; all three are overwritten. Vectors are kept unscaled,
    with their sizes beside them. For a Hermitian S `mirrored` (the entries above the diagonal, computed) equals `beside`
    (those below), one place on.
    """
    blocks = starts.shape[0] - 1
    along, back, squares = _zeros(y, blocks), _zeros(y, blocks), _zeros(scale, blocks)
    factor = y[0] * 0
    if blocks == 1:
        squares[0] = _lanczos_step(starts[0], starts[1], factor, y, y, scale, u)
    else:
        for b in prange(blocks):
            squares[b] = _lanczos_step(starts[b], starts[b + 1], factor, y, y, scale, u)
    size, former_size = np.sqrt(_ordered_sum(squares)), 1.0
    for j in range(diagonal.shape[0]):
        if not size > 0:
            return j
        ratio = size / former_size if j else 0.0
        if blocks == 1:
            _lanczos_product(
                starts[0], starts[1], indptr, indices, data, scale, u, size, y, former, ratio, along, back, 0
            )
        else:
            for b in prange(blocks):
                _lanczos_product(
                    starts[b], starts[b + 1], indptr, indices, data, scale, u, size, y, former, ratio, along, back, b
                )
        alpha = _ordered_sum(along) / size
        diagonal[j] = alpha.real
        mirrored[j] = np.abs(_ordered_sum(back)) / former_size
        factor = alpha / size
        if blocks == 1:
            squares[0] = _lanczos_step(starts[0], starts[1], factor, y, former, scale, u)
        else:
            for b in prange(blocks):
                squares[b] = _lanczos_step(starts[b], starts[b + 1], factor, y, former, scale, u)
        former_size, size = size, np.sqrt(_ordered_sum(squares))
        beside[j] = size
        y, former = former, y
    return diagonal.shape[0]
