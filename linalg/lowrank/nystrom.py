"""Nystrom approximations: one look at A.

Sources: generalized Nystrom, Nakatsukasa [1]_; for positive semidefinite matrices, Tropp, Yurtsever, Udell and Cevher [2]_.

Departures:

- [1]_ factors the core ``Y^H A X``, which is as badly conditioned as A, and truncates it. Here A X is replaced by an
  orthonormal basis Q of its columns first: the approximation is the same, the core is ``Y^H Q``, and with half as many
  columns again in Y it is well conditioned for every A. Nothing is truncated.
- Both results come as an SVD (eigendecomposition), truncated from the oversampled size to the rank asked for.
- For matrices with known entries both sketches come out of one loop over blocks of rows, so that A is read once.

References
----------
.. [1] Y. Nakatsukasa, Fast and stable randomized low-rank matrix approximation, arXiv:2009.11392 (2020).
.. [2] J. A. Tropp, A. Yurtsever, M. Udell, V. Cevher, Fixed-rank approximation of a positive-semidefinite matrix from
   streaming data, NIPS 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.sparse import issparse

from .passes import CountedOperator, check_finite, gaussian, orthonormal, probe_error, tall_qr, whole
from .result import LowRankEigh, LowRankSVD
from .svd import checked_rank

__all__ = ["generalized_nystrom", "nystrom_eigh"]

Array = npt.NDArray[Any]

BLOCK_NUMBERS = 1 << 18  # entries of A in a block of rows that both sketches read while it is in cache


def generalized_nystrom(A: Any, rank: int, *, oversampling: int = 10, probes: int = 10, rng: Any = None) -> LowRankSVD:
    """Leading singular triplets from one pass over A: ``A X (Y^H A X)^+ Y^H A`` with random X and Y.

    Parameters
    ----------
    A : operator-like, shape (m, n)
        Entries of a dense or sparse matrix are read once. An operator is multiplied once from each side: two passes.
    rank : int
        Triplets wanted.
    oversampling : int
        X has ``rank + oversampling`` columns, and Y half as many again.
    probes : int
        Random vectors for the estimate of the error.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    LowRankSVD

    Raises
    ------
    ValueError
        If A is empty or not finite, or `rank` is not between 1 and ``min(m, n)``.
    TypeError
        If A is an operator without a product with its adjoint.

    See Also
    --------
    block_krylov_svd : for spectra that fall slowly, where one pass is not enough.

    Notes
    -----
    Near-optimal in the Frobenius norm: the error is that of the best approximation of a somewhat lower rank, times a
    small factor (theorem 3.2 of [1]_ (of the module)).
    Flops: the products, and O((m + n) l^2) with ``l = rank + oversampling``.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.outer(np.arange(1.0, 6.0), np.ones(4))
    >>> result = generalized_nystrom(A, 1, oversampling=1, rng=0)
    >>> np.allclose(result.toarray(), A), result.passes
    (True, 1)
    """
    counted = CountedOperator(A)
    m, n = counted.shape
    rank = checked_rank(rank, counted.shape)
    size = min(rank + whole("oversampling", oversampling, 0), m, n)
    probes = whole("probes", probes, 0)
    rng = np.random.default_rng(rng)
    X = gaussian(rng, n, size + probes, counted.dtype)
    Y = gaussian(rng, m, min(size + (size + 1) // 2, m), counted.dtype)
    images, rows = _both_sides(counted, X, Y)  # A X, A^H Y
    tests = X[:, size:]
    Q = orthonormal(images[:, :size])  # A X = Q T, so A X (Y^H A X)^+ Y^H A = Q (Y^H Q)^+ Y^H A: T cancels
    right, T = tall_qr(rows)  # Y^H A = T^H right^H
    left, core = tall_qr(Y.conj().T @ Q)
    middle = solve_triangular(core, left.conj().T @ T.conj().T, check_finite=False)
    outer, s, small = np.linalg.svd(middle, full_matrices=False)
    U, s, Vh = Q @ outer[:, :rank], s[:rank], small[:rank] @ right.conj().T
    error = probe_error(images[:, size:], tests, U, s, Vh)
    return LowRankSVD(U, s, Vh, counted.passes, counted.products, error)


def _both_sides(counted: CountedOperator, X: Array, Y: Array) -> tuple[Array, Array]:
    """Return A X and A^H Y, in one pass where the entries are known."""
    held = counted.entries()
    if held is None:
        return counted.times(X), counted.adjoint_times(Y)
    m, n = counted.shape
    images = np.empty((m, X.shape[1]), dtype=counted.dtype)
    rows = np.zeros((n, Y.shape[1]), dtype=counted.dtype)
    per_row = max(1, held.nnz // m if issparse(held) else n)
    step = max(16, BLOCK_NUMBERS // per_row)
    for start in range(0, m, step):
        part = held[start : start + step]
        images[start : start + step] = part @ X
        rows += part.conj().T @ Y[start : start + step]
    check_finite(images)
    counted.passes += 1
    counted.products += X.shape[1] + Y.shape[1]
    return images, rows


def nystrom_eigh(
    A: Any,
    rank: int,
    *,
    oversampling: int = 10,
    power: int = 0,
    probes: int = 10,
    start: npt.ArrayLike | None = None,
    rng: Any = None,
) -> LowRankEigh:
    """Leading eigenpairs of a positive semidefinite matrix from one pass: ``(A X) (X^H A X)^+ (A X)^H`` with random X.

    Parameters
    ----------
    A : operator-like, shape (n, n)
        Symmetric (Hermitian) and positive semidefinite; only products with A are needed.
    rank : int
        Pairs wanted.
    oversampling : int
        Additional random vectors.
    power : int
        Subspace iterations beforehand, of one pass each.
    probes : int
        Random vectors for the estimate of the error; they take part in the first pass only.
    start : array_like, shape (n, k), optional
        Vectors that stand for the first columns of X, such as eigenvectors of a matrix nearby.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    LowRankEigh
        ``w, U`` with ``1 + power`` passes.

    Raises
    ------
    ValueError
        If A is empty, not square, not finite, is seen not to be symmetric or not to be semidefinite, or `rank` is not
        between 1 and n.

    Notes
    -----
    A multiple of the identity of the size of rounding, ``nu = sqrt(n) eps |A X|``, is added before the core is factored and
    taken off the eigenvalues again (algorithm 3 of [2]_ (of the module)).
    Flops: the products, and O(n l^2) with ``l = rank + oversampling``.

    Eigenvalues of the result never exceed those of A, up to rounding: A minus the approximation is semidefinite before the
    truncation.

    Examples
    --------
    >>> import numpy as np
    >>> w, U = nystrom_eigh(np.diag([5.0, 3.0, 0.0, 0.0]), 2, rng=0)
    >>> w.round(12)
    array([5., 3.])
    """
    counted = CountedOperator(A)
    n = counted.shape[0]
    if counted.shape[1] != n:
        raise ValueError(f"A has shape {counted.shape}: wanted a square one; take generalized_nystrom")
    if counted.operator.symmetric is False:
        raise ValueError("A states that it is not symmetric: take generalized_nystrom")
    rank = checked_rank(rank, counted.shape)
    size = min(rank + whole("oversampling", oversampling, 0), n)
    power, probes = whole("power", power, 0), whole("probes", probes, 0)
    rng = np.random.default_rng(rng)
    tests = gaussian(rng, n, size + probes, counted.dtype)
    if start is not None:
        held = np.asarray(start)
        if held.ndim != 2 or held.shape[0] != n or held.dtype.kind not in "biufc":
            raise ValueError(f"start has shape {held.shape}: wanted ({n}, k) numbers")
        if not np.isfinite(held).all():
            raise ValueError("start holds NaN or infinite numbers: remove them")
        tests[:, : min(held.shape[1], size)] = held[:, :size]
    X, tests = orthonormal(tests[:, :size]), tests[:, size:].copy()
    both = counted.times(np.concatenate([X, tests], axis=1))
    Y, images = both[:, :size], both[:, size:]
    for _ in range(power):
        X = orthonormal(Y)
        Y = counted.times(X)
    U, w = _from_sketch(X, Y, counted.eps)
    U, w = U[:, :rank], w[:rank]
    return LowRankEigh(w, U, counted.passes, counted.products, probe_error(images, tests, U, w, U.conj().T))


def _from_sketch(X: Array, Y: Array, eps: float) -> tuple[Array, Array]:
    """Eigenpairs of Y (X^H Y)^+ Y^H for Y = A X with orthonormal X."""
    n = len(X)
    size = float(np.linalg.norm(Y, 2))
    if size == 0:
        return X, np.zeros(X.shape[1], dtype=Y.real.dtype)
    core = X.conj().T @ Y
    allowed = 100 * eps * np.sqrt(n) * size
    if np.linalg.norm(core - core.conj().T, 2) > allowed:
        raise ValueError("A is not symmetric (Hermitian): take generalized_nystrom or block_krylov_svd")
    core = (core + core.conj().T) / 2
    lowest = float(np.linalg.eigvalsh(core)[0])
    if lowest < -allowed:
        raise ValueError(
            f"A is not positive semidefinite: x^H A x = {lowest:.3g} for some x of norm 1; take block_krylov_svd"
        )
    shift = max(float(np.sqrt(n)) * eps * size, -2 * lowest)
    while True:
        try:
            C = cholesky(core + shift * np.eye(len(core), dtype=core.dtype), check_finite=False)
            break
        except np.linalg.LinAlgError:
            shift *= 10
    F = solve_triangular(C, (Y + shift * X).conj().T, trans="C", check_finite=False).conj().T  # Y_shifted C^-1
    U, sizes, _ = np.linalg.svd(F, full_matrices=False)
    return U, np.maximum(sizes**2 - shift, 0).astype(Y.real.dtype)
