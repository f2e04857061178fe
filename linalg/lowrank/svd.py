"""Truncated singular value decompositions from products with random blocks.

Sources: Halko, Martinsson and Tropp [1]_ for `randomized_svd`; Musco and Musco [2]_ for block Krylov spaces, in the form of
a block bidiagonalisation (Golub, Luk and Overton [3]_) for `block_krylov_svd`.

Departures:

- Every half step of the power iteration is orthonormalised, where [1]_ allows to skip it.
- [2]_ stores the Krylov blocks, orthonormalises them at the end, and goes over A once more to project. Here each new block
  is orthogonalised against the former ones as it comes (twice), and the projection of A falls out of the coefficients:
  p passes give the Krylov space of degree p - 1 from both sides.
- Blocks shrink where the Krylov space is exhausted, and the method stops where nothing is left.

References
----------
.. [1] N. Halko, P.-G. Martinsson, J. A. Tropp, Finding structure with randomness, SIAM Review 53 (2011), 217-288.
.. [2] C. Musco, C. Musco, Randomized block Krylov methods for stronger and faster approximate singular value
   decomposition, NeurIPS 2015.
.. [3] G. H. Golub, F. T. Luk, M. L. Overton, A block Lanczos method for computing the singular values and corresponding
   singular vectors of a matrix, ACM Trans. Math. Software 7 (1981), 149-169.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .passes import CountedOperator, fraction, gaussian, new_directions, orthonormal, probe_error, tall_qr, whole
from .result import LowRankSVD

__all__ = ["block_krylov_svd", "checked_rank", "randomized_svd"]

Array = npt.NDArray[Any]


def randomized_svd(
    A: Any, rank: int, *, oversampling: int = 10, power: int = 2, probes: int = 10, rng: Any = None
) -> LowRankSVD:
    """Leading singular triplets by a random range finder with power iterations.

    Parameters
    ----------
    A : operator-like, shape (m, n)
        Dense, sparse, operator or tensor; an operator needs its adjoint.
    rank : int
        Triplets wanted.
    oversampling : int
        Additional random vectors.
    power : int
        Power iterations of two passes each. 0 is enough for spectra that fall fast.
    probes : int
        Random vectors for the estimate of the error; they take part in the first pass only.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    LowRankSVD
        ``U, s, Vh`` with ``2 power + 2`` passes.

    Raises
    ------
    ValueError
        If A is empty or not finite, or `rank` is not between 1 and ``min(m, n)``.
    TypeError
        If A has no product with its adjoint.

    See Also
    --------
    block_krylov_svd : more accurate for the same passes; keeps all blocks.

    Notes
    -----
    The products, and ``O((m + n) l^2 (power + 1))`` flops with ``l = rank + oversampling``. Memory: ``(m + n) l`` numbers.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.diag([4.0, 2.0, 1.0, 0.0, 0.0])
    >>> result = randomized_svd(A, 2, rng=0)
    >>> result.s.round(12), result.passes
    (array([4., 2.]), 6)
    """
    counted = CountedOperator(A)
    m, n = counted.shape
    rank = checked_rank(rank, counted.shape)
    size = min(rank + whole("oversampling", oversampling, 0), m, n)
    power, probes = whole("power", power, 0), whole("probes", probes, 0)
    rng = np.random.default_rng(rng)

    tests = gaussian(rng, n, size + probes, counted.dtype)
    images = counted.times(tests)
    tests = tests[:, size:].copy()
    Q = orthonormal(images[:, :size])
    for _ in range(power):
        Q = orthonormal(counted.times(orthonormal(counted.adjoint_times(Q))))
    right, core = tall_qr(counted.adjoint_times(Q))  # A^H Q = right core
    left, s, small = np.linalg.svd(core.conj().T)
    U, s, Vh = Q @ left[:, :rank], s[:rank], small[:rank] @ right.conj().T
    error = probe_error(images[:, size:], tests, U, s, Vh)
    return LowRankSVD(U, s, Vh, counted.passes, counted.products, error)


def block_krylov_svd(
    A: Any,
    rank: int,
    *,
    passes: int = 8,
    block: int | None = None,
    rtol: float | None = None,
    probes: int = 10,
    rng: Any = None,
) -> LowRankSVD:
    """Leading singular triplets from a block Krylov space: the most that a number of passes over A can give.

    Parameters
    ----------
    A : operator-like, shape (m, n)
        Dense, sparse, operator or tensor; an operator needs its adjoint.
    rank : int
        Triplets wanted.
    passes : int
        Most passes over A, at least 2.
    block : int, optional
        Vectors in a block; ``rank + 20`` by default. Fewer vectors with more passes need fewer products in all, and less
        memory for the same degree; a block smaller than a cluster of equal singular values resolves it slowly.
    rtol : float, optional
        Stop once the residuals of all wanted triplets are below ``rtol * s[0]``; the test lags one pass behind, so it is on
        the safe side. Default: use all passes.
    probes : int
        Random vectors for the estimate of the error; they take part in the first pass only.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    LowRankSVD
        With `residuals`: those of the triplets that the space gave one pass earlier.

    Raises
    ------
    ValueError
        If A is empty or not finite, `rank` is not between 1 and ``min(m, n)``, or ``block`` and ``passes`` cannot reach it.
    TypeError
        If A has no product with its adjoint.

    See Also
    --------
    randomized_svd : keeps one block only.

    Notes
    -----
    Error in the spectral norm within ``1 + eps`` of the best after ``O(log(n) / sqrt(eps))`` passes, however slowly the
    singular values fall; power iterations take ``O(log(n) / eps)`` [2]_ (of the module).

    Besides the products ``O((m + n) (block passes)^2)`` flops in matrix products. Memory: ``(m + n) block passes / 2``
    numbers.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.diag(1.0 / np.arange(1.0, 101.0))
    >>> result = block_krylov_svd(A, 3, rng=0)
    >>> np.allclose(result.s, [1, 1/2, 1/3], rtol=1e-10), result.passes
    (True, 8)
    """
    counted = CountedOperator(A)
    m, n = counted.shape
    rank = checked_rank(rank, counted.shape)
    passes, probes = whole("passes", passes, 2), whole("probes", probes, 0)
    size = min(rank + 20 if block is None else whole("block", block, 1), m, n)
    if size * ((passes + 1) // 2) < rank:
        raise ValueError(
            f"block is {size} and passes is {passes}: they span {size * ((passes + 1) // 2)} directions, and rank is "
            f"{rank}; wanted more of either"
        )
    limit = None if rtol is None else fraction("rtol", rtol)
    rng = np.random.default_rng(rng)

    tests = gaussian(rng, n, size + probes, counted.dtype)
    half = (passes + 1) // 2
    left, right = _Basis(m, max(half * size, rank), counted), _Basis(n, max((half + 1) * size, rank), counted)
    right.grow(tests[:, :size], 0.0)
    tests = tests[:, size:].copy()
    B = np.zeros((left.room, right.room), dtype=counted.dtype)  # U^H A V, exact on the side that was multiplied last
    images, scale, first = tests[:0], 0.0, 0
    residuals = np.full(rank, np.nan)
    while counted.passes < passes:
        forward = counted.passes % 2 == 0
        source, target, view = (right, left, B) if forward else (left, right, B.conj().T)
        if not counted.passes:
            both = counted.times(np.concatenate([source.columns(first), tests], axis=1))
            W, images = both[:, : source.size], both[:, source.size :]
        elif forward:
            W = counted.times(source.columns(first))
        else:
            W = counted.adjoint_times(source.columns(first))
        old = target.size
        known, rest = target.grow(W, scale)  # W = old columns @ known + new columns @ rest
        scale = max(scale, float(np.linalg.norm(known, 2)) if old else 0.0, float(np.linalg.norm(rest, 2)))
        last = counted.passes == passes or target.size == old
        if old and (last or limit is not None):
            inner = view[:old, : source.size].copy()
            inner[:, first:] = known
            residuals, largest = _residuals(inner, rest, first, rank)
            last = last or (limit is not None and bool((residuals <= limit * largest).all()))
        if forward:
            B[:old, first : source.size], B[old : target.size, first : source.size] = known, rest
        else:  # `known` is in B already: the same inner products seen from the other side
            B[first : source.size, old : target.size] = rest.conj().T
        if last:
            break
        first = old
    for basis in (left, right):  # a matrix of lower rank: singular values 0 take any orthonormal vectors
        while basis.size < rank:
            basis.grow(gaussian(rng, len(basis.vectors), rank - basis.size, counted.dtype), 0.0)
    outer, s, inner = np.linalg.svd(B[: left.size, : right.size], full_matrices=False)
    U, s, Vh = left.columns() @ outer[:, :rank], s[:rank], inner[:rank] @ right.columns().conj().T
    error = probe_error(images, tests, U, s, Vh)
    return LowRankSVD(U, s, Vh, counted.passes, counted.products, error, residuals)


class _Basis:
    """Orthonormal columns that grow block by block."""

    def __init__(self, length: int, room: int, counted: CountedOperator) -> None:
        self.room = min(room, length)
        self.vectors = np.empty((length, self.room), dtype=counted.dtype, order="F")
        self.size = 0

    def columns(self, first: int = 0) -> Array:
        """Return a view of the columns from `first` on."""
        return self.vectors[:, first : self.size]

    def grow(self, W: Array, scale: float) -> tuple[Array, Array]:
        """Add the directions of W that are new; return the coefficients of W in the old and in the new columns."""
        known, Q, rest = new_directions(self.columns(), W, scale, self.room - self.size)
        self.vectors[:, self.size : self.size + Q.shape[1]] = Q
        self.size += Q.shape[1]
        return known, rest


def _residuals(inner: Array, rest: Array, first: int, rank: int) -> tuple[Array, float]:
    """Residuals of the Ritz triplets before the newest block, and the largest Ritz value.

    The block maps the Ritz vector z to the old columns and to ``rest z[first:]`` in the new ones; the other side is exact.
    """
    _, s, right = np.linalg.svd(inner, full_matrices=False)
    residuals = np.full(rank, np.nan)
    known = min(rank, s.size)
    residuals[:known] = np.linalg.norm(rest @ right[:known, first:].conj().T, axis=0)
    return residuals, float(s[0])


def checked_rank(rank: Any, shape: tuple[int, int]) -> int:
    """Return the rank asked for, or refuse it."""
    return whole("rank", rank, 1, min(shape), f" (the smaller side of A, which has shape {shape})")
