"""Sampling rows of a tall matrix: scores that say how much a row matters, and ways to draw rows by them.

Sources: leverage scores by sketching after Drineas, Magdon-Ismail, Mahoney and Woodruff, "Fast approximation of matrix
coherence and statistical leverage" (JMLR 2012); Lewis weights by the fixed-point iteration of Cohen and Peng, "l_p row
sampling by Lewis weights" (STOC 2015); root-leverage sampling after Woodruff and Yasuda, "Sharper bounds for l_p sensitivity
sampling" (ICML 2023); pivotal sampling over a binary tree after Shimizu, Cheng, Musco and Weare, "Improved active learning
via dependent leverage score sampling" (ICLR 2024).

Departures: sensitivities for p other than 2 are bounded by Lewis weights (exact ones would take a convex problem per row).
The pivotal method plays all matches of one level of the tree at once. Probabilities above one are cut and the rest scaled up
until they sum to the number of samples that was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.linalg
from scipy.sparse import csr_array, issparse

from .sketch import SparseSignSketch

__all__ = [
    "RowSample",
    "inclusion_probabilities",
    "independent_sample",
    "leverage_scores",
    "lewis_weights",
    "lp_sensitivities",
    "pivotal_sample",
    "sample_rows",
    "spatial_order",
]

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowSample:
    """Rows that were drawn, and the probabilities with which they could be.

    Attributes
    ----------
    rows : ndarray of int
        Indices of the rows, ascending.
    probabilities : ndarray
        Probability of each drawn row to be in the sample.
    total : int
        Rows of the matrix.
    """

    rows: Indices
    probabilities: Array
    total: int

    def weights(self, p: float = 2.0) -> Array:
        """Return ``probability^(-1/p)``: with it ``|W A x|_p^p`` has the expectation ``|A x|_p^p``."""
        return np.asarray(self.probabilities ** (-1 / p))

    def apply(self, A: Any, p: float = 2.0) -> Any:
        """Return the drawn rows of `A` (or entries of a vector), times their weights."""
        picked = A[self.rows]
        if issparse(picked):
            return csr_array(picked.multiply(self.weights(p)[:, None]))
        return picked * (self.weights(p) if picked.ndim == 1 else self.weights(p)[:, None])


def _matrix(A: Any) -> Any:
    A = csr_array(A) if issparse(A) else np.asarray(A)
    if A.ndim != 2 or 0 in A.shape:
        raise ValueError(f"A has shape {A.shape}: wanted a matrix with rows and columns")
    if A.dtype.kind not in "biufc":
        raise TypeError(f"A has dtype {A.dtype}: wanted numbers")
    if A.dtype.char not in "fdFD":
        A = A.astype(np.complex128 if A.dtype.kind == "c" else np.float64)
    if not np.isfinite(A.data if issparse(A) else A).all():
        raise ValueError("A holds NaN or infinite numbers: remove them")
    return A


def leverage_scores(
    A: Any, *, method: Literal["exact", "sketch"] = "exact", probes: int | None = None, rng: Any = None
) -> Array:
    """Leverage scores: squared row norms of an orthonormal basis of the range of A.

    Parameters
    ----------
    A : array_like or sparse, shape (m, n)
        Any rank; a sparse one is made dense by ``"exact"``.
    method : {"exact", "sketch"}
        By pivoted QR of A, or from a triangular factor of a sketch of A.
    probes : int, optional
        For ``"sketch"``: length to which the rows of ``A R^-1`` are projected, which gives relative errors of about
        ``sqrt(2 / probes)`` on top of those of the sketch; all n columns by default.
    rng : Generator, seed or None
        Source of the randomness.

    Returns
    -------
    ndarray, shape (m,)
        Between 0 and 1 (``"exact"``); their sum is the rank of A.

    Raises
    ------
    ValueError
        If A is empty or holds NaN.

    Notes
    -----
    About ``4 m n^2`` flops; with a sketch ``2 m n probes``, and scores within 15 % or so (a sketch of 16 n rows).

    Examples
    --------
    >>> import numpy as np
    >>> leverage_scores(np.array([[1.0, 0.0], [0.0, 3.0], [0.0, 4.0]])).round(2)
    array([1.  , 0.36, 0.64])
    """
    A = _matrix(A)
    if method not in ("exact", "sketch"):
        raise ValueError(f"method is {method!r}: wanted 'exact' or 'sketch'")
    m, n = A.shape
    if method == "exact" or m <= 16 * n:
        Q, R, _ = scipy.linalg.qr(A.toarray() if issparse(A) else A, mode="economic", pivoting=True)
        return _square_rows(Q[:, : _rank(np.abs(np.diag(R)), A)])
    rng = np.random.default_rng(rng)
    _, values, Vh = scipy.linalg.svd(SparseSignSketch(16 * n, m, rng=rng) @ A, full_matrices=False)
    rank = _rank(values, A)
    P = Vh[:rank].conj().T / values[:rank]
    if probes is not None and probes < rank:
        P = P @ (rng.standard_normal((rank, probes)) / np.sqrt(probes)).astype(P.real.dtype)
    return np.minimum(_square_rows(A @ P), 1)


def _rank(sizes: Array, A: Any) -> int:
    return int((sizes > sizes[:1].max(initial=0.0) * max(A.shape) * np.finfo(A.dtype).eps).sum())


def _square_rows(Y: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", Y.conj(), Y).real)


def lewis_weights(A: Any, p: float, *, rtol: float = 1e-6, maxiter: int = 200) -> Array:
    """l_p Lewis weights: the w with ``w_i = leverage_i(W^(1/2 - 1/p) A)``.

    Parameters
    ----------
    A : array_like or sparse, shape (m, n)
        The matrix.
    p : float
        Exponent, in (0, 4): there the fixed-point iteration contracts, by the factor ``|p - 2| / 2``.
    rtol : float
        Relative change of the weights at which to stop.
    maxiter : int
        Most iterations, each with one QR.

    Returns
    -------
    ndarray, shape (m,)
        Their sum is the rank of A. For p = 2 they are the leverage scores.

    Raises
    ------
    ValueError
        If `p` is out of range, or the iteration does not settle within `maxiter`.

    References
    ----------
    .. [1] M. B. Cohen and R. Peng, "l_p row sampling by Lewis weights", STOC 2015.
    """
    if not 0 < p < 4:
        raise ValueError(
            f"p is {p!r}: wanted a number between 0 and 4, where the iteration for Lewis weights contracts"
        )
    A = _matrix(A)
    A = A.toarray() if issparse(A) else A
    w = np.maximum(leverage_scores(A), np.finfo(np.float64).tiny ** 0.25)
    if p == 2:
        return w
    for _ in range(maxiter):
        scores = leverage_scores(w[:, None] ** (0.5 - 1 / p) * A)  # w^(1 - 2/p) a^T M^-1 a
        new = np.maximum((scores * w ** (2 / p - 1)) ** (p / 2), np.finfo(np.float64).tiny ** 0.25)
        change = float(np.abs(new - w).max() / new.max())
        w = new
        if change <= rtol:
            return np.asarray(w)
    raise ValueError(
        f"Lewis weights did not settle within maxiter={maxiter} iterations at p={p}: raise maxiter or rtol"
    )


def lp_sensitivities(A: Any, p: float) -> Array:
    """Upper bounds on the l_p sensitivities ``max_x |a_i x|^p / |A x|_p^p``.

    Parameters
    ----------
    A : array_like or sparse, shape (m, n)
        The matrix.
    p : float
        Exponent, in [1, 4).

    Returns
    -------
    ndarray, shape (m,)
        Exact for p = 2 (leverage scores); for p < 2 the Lewis weights w, for p > 2 ``n^(p/2 - 1) w``; at most 1.

    Raises
    ------
    ValueError
        If `p` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> lp_sensitivities(np.array([[2.0], [1.0], [1.0]]), 1).round(3)
    array([0.5 , 0.25, 0.25])
    """
    if not 1 <= p < 4:
        raise ValueError(f"p is {p!r}: wanted a number of at least 1 and below 4")
    w = lewis_weights(A, p)
    return np.minimum(w * max(1.0, np.shape(A)[1] ** (p / 2 - 1)), 1)


def inclusion_probabilities(scores: npt.ArrayLike, k: float) -> Array:
    """Probabilities ``min(1, c s_i)`` that sum to k.

    Parameters
    ----------
    scores : array_like, shape (m,)
        Nonnegative scores.
    k : float
        Expected number of samples: above 0, at most the number of positive scores.

    Returns
    -------
    ndarray, shape (m,)

    Raises
    ------
    ValueError
        If a score is negative or not finite, or `k` is out of range.

    Examples
    --------
    >>> inclusion_probabilities([4.0, 1.0, 1.0, 0.0], 2)
    array([1. , 0.5, 0.5, 0. ])
    """
    s = np.asarray(scores, dtype=np.float64)
    if s.ndim != 1 or not np.isfinite(s).all() or (s < 0).any():
        raise ValueError("scores must be a vector of finite numbers, none of them negative")
    positive = int((s > 0).sum())
    if not 0 < k <= positive:
        raise ValueError(f"k is {k!r}: wanted more than 0 and at most {positive}, the number of positive scores")
    order = np.argsort(-s, kind="stable")
    rest = np.append(np.cumsum(s[order][::-1])[::-1], 0.0)
    # the largest j scores are certain, for the least j at which the next one is not
    certain = np.arange(min(int(k), s.size - 1) + 1)
    j = int(np.argmax((k - certain) * s[order][certain] <= rest[certain] * (1 + 1e-15)))
    probabilities = np.ones(s.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        probabilities[order[j:]] = np.nan_to_num((k - j) * s[order[j:]] / rest[j])
    return np.minimum(probabilities, 1)


def independent_sample(probabilities: npt.ArrayLike, *, rng: Any = None) -> RowSample:
    """Draw every row by itself with its probability; the number of rows is random."""
    p = np.asarray(probabilities, dtype=np.float64)
    rows = np.flatnonzero(np.random.default_rng(rng).random(p.size) < p)
    return RowSample(rows, p[rows], p.size)


def pivotal_sample(probabilities: npt.ArrayLike, order: npt.ArrayLike | None = None, *, rng: Any = None) -> RowSample:
    """Draw rows so that neighbours seldom come together: the pivotal method over a binary tree.

    Parameters
    ----------
    probabilities : array_like, shape (m,)
        Probability of each row to be in the sample.
    order : array_like of int, shape (m,), optional
        The leaves of the tree from left to right: rows that are alike stand together (see `spatial_order`). By default as
        they come.
    rng : Generator, seed or None
        Source of the randomness.

    Returns
    -------
    RowSample
        If the probabilities sum to a whole number, the sample has exactly that many rows.

    Raises
    ------
    ValueError
        If a probability is outside [0, 1], or `order` is no permutation.

    Notes
    -----
    At each node the two that came up play a match: their probabilities merge, one of the two becomes 0 or 1 and the other
    goes on with the rest. Each row keeps its probability, and draws are negatively correlated. O(m) after the ordering.

    References
    ----------
    .. [1] A. Shimizu, X. Cheng, C. Musco and J. Weare, "Improved active learning via dependent leverage score sampling",
       ICLR 2024.

    Examples
    --------
    >>> pivotal_sample([0.5] * 6, rng=0).rows.size
    3
    """
    p = np.array(probabilities, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must be a vector of numbers between 0 and 1")
    given = p.copy()
    up = np.arange(p.size) if order is None else np.array(order, dtype=np.int64)
    if up.shape != p.shape or not np.array_equal(np.sort(up), np.arange(p.size)):
        raise ValueError(f"order has shape {up.shape}: wanted a permutation of 0 to {p.size - 1}")
    rng = np.random.default_rng(rng)
    tiny = 1e-12 * max(1.0, float(p.sum()))
    while up.size > 1:
        odd = up[-1:] if up.size % 2 else up[:0]
        left, right = up[: up.size - odd.size : 2].copy(), up[1 : up.size : 2].copy()
        a, b = p[left], p[right]
        settled_a = (a <= tiny) | (a >= 1 - tiny)
        settled_b = (b <= tiny) | (b >= 1 - tiny)
        both = a + b
        # either one of the two is out (their sum stays below one) or one of the two is in
        out = both <= 1
        with np.errstate(invalid="ignore", divide="ignore"):
            first = rng.random(left.size) < np.where(out, a / both, (1 - b) / (2 - both))
        play = ~(settled_a | settled_b)
        # the first stays open after a match it wins below one, or loses above one
        p[left[play]] = np.where(out, np.where(first, both, 0), np.where(first, 1, both - 1))[play]
        p[right[play]] = np.where(out, np.where(first, 0, both), np.where(first, both - 1, 1))[play]
        go_left = np.where(play, first == out, ~settled_a)
        up = np.concatenate([np.where(go_left, left, right), odd])
    if up.size:
        last = up[0]
        if tiny < p[last] < 1 - tiny:
            p[last] = float(rng.random() < p[last])
    rows = np.flatnonzero(p > 0.5)
    return RowSample(rows, given[rows], p.size)


def spatial_order(points: npt.ArrayLike, *, split: Literal["coordinate", "pca"] = "coordinate") -> Indices:
    """Order points as the leaves of a balanced binary tree whose nodes split at the median.

    Parameters
    ----------
    points : array_like, shape (m, dimension) or (m,)
        The points: where rows were measured, or the rows of A themselves.
    split : {"coordinate", "pca"}
        Split a node along its widest coordinate, or along its direction of largest variance.

    Returns
    -------
    ndarray of int, shape (m,)
        Order for `pivotal_sample`.

    Raises
    ------
    ValueError
        If the points are not finite, or `split` is unknown.

    Notes
    -----
    O(m log^2 m), all nodes of one level at a time.
    """
    x = np.asarray(points, dtype=np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or not np.isfinite(x).all():
        raise ValueError("points must be a finite array with one row for each point")
    if split not in ("coordinate", "pca"):
        raise ValueError(f"split is {split!r}: wanted 'coordinate' or 'pca'")
    m = x.shape[0]
    order = np.arange(m)
    starts = np.array([0, m])
    while m and np.diff(starts).max() > 1:
        sizes = np.diff(starts)
        node = np.repeat(np.arange(sizes.size), sizes)
        here = x[order]
        if split == "coordinate":
            spread = np.maximum.reduceat(here, starts[:-1]) - np.minimum.reduceat(here, starts[:-1])
            key = here[np.arange(m), spread.argmax(axis=1)[node]]
        else:
            centred = here - (np.add.reduceat(here, starts[:-1]) / sizes[:, None])[node]
            moments = np.add.reduceat(centred[:, :, None] * centred[:, None, :], starts[:-1])
            key = np.einsum("ij,ij->i", centred, np.linalg.eigh(moments)[1][:, :, -1][node])
        order = order[np.lexsort((key, node))]
        # the left half of a tree whose leaves come in pairs: a whole number of the next power of two
        middle = starts[:-1] + _left(sizes)
        starts = np.unique(np.concatenate([starts, middle]))
    return order


def _left(sizes: Indices) -> Indices:
    """Leaves in the left part: the largest power of two below the size, as `pivotal_sample` pairs them."""
    return np.where(sizes > 1, 2 ** np.ceil(np.log2(np.maximum(sizes, 2)) - 1), sizes).astype(np.int64)


def sample_rows(
    A: Any,
    k: float,
    *,
    scores: Literal["leverage", "root_leverage", "uniform"] | npt.ArrayLike = "leverage",
    method: Literal["independent", "pivotal"] = "independent",
    points: npt.ArrayLike | None = None,
    rng: Any = None,
) -> RowSample:
    """Draw about k rows of A for regression.

    Parameters
    ----------
    A : array_like or sparse, shape (m, n)
        The matrix.
    k : float
        Expected number of rows.
    scores : {"leverage", "root_leverage", "uniform"} or array_like
        What the probabilities are proportional to; root leverage is the choice for l_p regression with p < 2.
    method : {"independent", "pivotal"}
        How to draw.
    points : array_like, shape (m, dimension), optional
        For ``"pivotal"``: where the rows belong in space; by default the rows of A themselves.
    rng : Generator, seed or None
        Source of the randomness.

    Returns
    -------
    RowSample

    Raises
    ------
    ValueError
        If a name is unknown or `k` out of range.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.linspace(-1, 1, 1000)
    >>> A = np.polynomial.legendre.legvander(t, 5)
    >>> sample = sample_rows(A, 20, method="pivotal", points=t, rng=0)
    >>> sample.rows.size, sample.apply(A).shape
    (20, (20, 6))
    """
    if method not in ("independent", "pivotal"):
        raise ValueError(f"method is {method!r}: wanted 'independent' or 'pivotal'")
    if isinstance(scores, str):
        if scores not in ("leverage", "root_leverage", "uniform"):
            raise ValueError(f"scores is {scores!r}: wanted 'leverage', 'root_leverage', 'uniform' or an array")
        values = np.ones(A.shape[0]) if scores == "uniform" else leverage_scores(A)
        values = np.sqrt(values) if scores == "root_leverage" else values
    else:
        values = np.asarray(scores, dtype=np.float64)
    if values.shape != (np.shape(A)[0],):
        raise ValueError(f"scores has shape {values.shape}: wanted one number for each of {np.shape(A)[0]} rows")
    probabilities = inclusion_probabilities(values, k)
    if method == "independent":
        return independent_sample(probabilities, rng=rng)
    if points is None:
        points = A.toarray() if issparse(A) else np.asarray(A)
    return pivotal_sample(probabilities, spatial_order(points), rng=rng)
