"""Tall thin factors: orthonormal columns, leading singular vectors of sparse plus low rank, truncation.

Everything with many rows runs in kernels whose sums have a fixed order; only k x k matrices go to LAPACK.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg.kernels import completion as kernels
from .entries import Entries, _blocks

__all__ = ["gram", "leading", "mix", "orthonormalize", "retract", "truncate"]

Array = npt.NDArray[Any]


def gram(X: Array, Y: Array) -> Array:
    """``X' Y`` for tall thin X and Y."""
    blocks = _blocks(X.size * Y.shape[1])
    partial = np.empty((blocks, X.shape[1], Y.shape[1]))
    kernels.gram(X, Y, partial)
    return partial.sum(axis=0)


def mix(X: Array, T: Array) -> Array:
    """``X T`` for tall thin X."""
    T = np.ascontiguousarray(T)
    out = np.empty((X.shape[0], T.shape[1]))
    kernels.mix(X, T, out, _blocks(X.size * T.shape[1]))
    return out


def orthonormalize(X: Array) -> tuple[Array, Array]:
    """Q with orthonormal columns and R with ``X = Q R``.

    Parameters
    ----------
    X : ndarray, shape (n, k), n >= k

    Returns
    -------
    Q : ndarray, shape (n, k)
    R : ndarray, shape (k, k)
        Upper triangular, or full after the fall-back.

    Notes
    -----
    Cholesky of the Gram matrix, repeated until the columns are orthonormal; a shift keeps an ill-conditioned first pass
    definite [1]_. 2 n k^2 flops per pass, two or three passes. Dependent columns go to a Householder QR.

    References
    ----------
    .. [1] T. Fukaya, R. Kannan, Y. Nakatsukasa, Y. Yamamoto, Y. Yanagisawa, Shifted Cholesky QR for computing the QR
       factorization of ill-conditioned matrices, SIAM J. Sci. Comput. 42 (2020).
    """
    n, k = X.shape
    Q, upper = X, np.eye(k)
    R, T = np.empty((k, k)), np.empty((k, k))
    for attempt in range(6):
        G = gram(Q, Q)
        if not np.isfinite(G).all():
            break
        if attempt and np.abs(G - np.eye(k)).max() <= 1e-14 * max(k, 8):
            return Q, upper
        size = float(np.trace(G))
        if not kernels.cholesky_inverse(G, 0.0, R, T) or (np.diag(R) ** 2).min() < 1e-13 * size:
            shift = 11 * (n * k + k * (k + 1)) * 1.1e-16 * size
            if attempt > 2 or not kernels.cholesky_inverse(G, shift, R, T):
                break
        Q = mix(Q, T)
        upper = R @ upper
    Q, upper = np.linalg.qr(X)
    return np.ascontiguousarray(Q), upper


def leading(
    entries: Entries,
    weights: Array,
    rank: int,
    rng: np.random.Generator,
    *,
    passes: int = 6,
    extra: int = 5,
) -> tuple[Array, Array, Array]:
    """Leading singular vectors of the sparse matrix of the weights, by a block Krylov space.

    Returns
    -------
    U : ndarray, shape (m, rank)
    s : ndarray, shape (rank,)
    V : ndarray, shape (n, rank)
    """
    m, n = entries.shape
    width = min(rank + extra if rank > 1 else 1, m, n)
    V, _ = orthonormalize(rng.standard_normal((n, width)))
    blocks: list[Array] = []
    limit = min(m, n)
    for _ in range(passes):
        if (len(blocks) + 1) * width > limit:
            break
        for block in (*blocks, *blocks):
            V = V - mix(block, gram(block, V))
        V, _ = orthonormalize(V)
        blocks.append(V)
        V = entries.transposed_times(weights, entries.times(weights, V))
    basis = np.ascontiguousarray(np.hstack(blocks))
    Q, R = orthonormalize(entries.times(weights, basis))
    left, s, right = np.linalg.svd(R)
    U = mix(Q, left[:, :rank])
    return U, s[:rank], mix(basis, right[:rank].T)


def truncate(X: Array, Y: Array, rank: int) -> tuple[Array, Array, Array]:
    """Best approximation of rank `rank` to ``X Y'``: orthonormal U, singular values, orthonormal V."""
    Qx, Rx = orthonormalize(X)
    Qy, Ry = orthonormalize(Y)
    left, s, right = np.linalg.svd(Rx @ Ry.T)
    return mix(Qx, left[:, :rank]), s[:rank], mix(Qy, right[:rank].T)


def retract(U: Array, s: Array, V: Array, A: Array, B: Array) -> tuple[Array, Array, Array]:
    """Best approximation of rank k to ``U diag(s) V' + A V' + U B'`` for orthonormal U, V of k columns.

    The parts of A and B inside the ranges of U and V go to a small core, so that only the parts outside need a basis:
    these may be tiny, but their own columns are not nearly dependent.
    """
    rank = s.size
    inside, across = gram(U, A), gram(V, B)
    A, B = A - mix(U, inside), B - mix(V, across)
    Qa, Ra = orthonormalize(A - mix(U, gram(U, A)))
    Qb, Rb = orthonormalize(B - mix(V, gram(V, B)))
    core = np.zeros((2 * rank, 2 * rank))
    core[:rank, :rank] = np.diag(s) + inside + across.T
    core[rank:, :rank] = Ra
    core[:rank, rank:] = Rb.T
    left, values, right = np.linalg.svd(core)
    new_U = mix(U, left[:rank, :rank]) + mix(Qa, left[rank:, :rank])
    new_V = mix(V, right[:rank, :rank].T) + mix(Qb, right[:rank, rank:].T)
    return new_U, values[:rank], new_V
