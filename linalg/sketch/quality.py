"""How good a sketch is: distortion of a subspace, error of single coordinates, and how many rows to take.

Sources: Song, Ye, Yin and Zhang (ICML 2023) and Price, Song and Woodruff (ICALP 2017) for regression in the maximum norm;
Song and Yu (ICML 2021) for coordinate-wise embeddings; Davidson and Szarek, "Local operator theory, random matrices and
Banach spaces" (2001, theorem II.13) for the extreme singular values of Gaussian matrices.

Departures: `recommended_rows` states what holds for the Gaussian sketch, with explicit constants that follow from
Davidson and Szarek and a union bound (see its Notes), not the asymptotic bounds of the papers, whose constants and powers
of logarithms are far from what dense sketches are seen to need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.stats
from scipy.sparse import issparse

from .base import Sketch, _count
from .gaussian import GaussianSketch
from .sparse import SparseSignSketch

__all__ = [
    "CoordinateStatistics",
    "coordinate_deviations",
    "coordinate_statistics",
    "embedding_distortion",
    "linf_experiment",
    "recommended_rows",
]

Array = npt.NDArray[Any]
Goal = Literal["l2", "linf", "precondition"]


def _dense(A: Any) -> Array:
    array = A.toarray() if issparse(A) else np.asarray(A)
    if array.ndim != 2:
        raise ValueError(f"A has {array.ndim} axes: wanted a matrix (two axes)")
    if not np.isfinite(array).all():
        raise ValueError("A holds NaN or infinite numbers: remove them")
    return array


def embedding_distortion(S: Any, A: Any) -> float:
    """Largest relative change of the length of a vector in the range of A under S.

    Parameters
    ----------
    S : Sketch or Operator, shape (d, m)
        The sketch.
    A : array_like or sparse, shape (m, n)
        Its columns span the subspace; they may be dependent.

    Returns
    -------
    float
        The smallest eps such that ``(1 - eps) |y| <= |S y| <= (1 + eps) |y|`` for all y in the range of A; 1 or more
        means that S may take a vector to zero.

    Raises
    ------
    ValueError
        If the shapes do not fit, or A holds NaN.

    Notes
    -----
    One pivoted QR of A, 2 m n^2 flops or so, and the singular values of S Q. About ``sqrt(n / d)`` for a good sketch.

    Examples
    --------
    >>> import numpy as np
    >>> from ritzkit.linalg.sketch import GaussianSketch
    >>> A = np.random.default_rng(0).standard_normal((500, 4))
    >>> embedding_distortion(GaussianSketch(400, 500, rng=1), A) < 0.25
    True
    """
    array = _dense(A)
    if S.shape[1] != array.shape[0]:
        raise ValueError(f"S has shape {S.shape}, A {array.shape}: wanted as many columns of S as rows of A")
    Q, R, _ = scipy.linalg.qr(array, mode="economic", pivoting=True)
    size = np.abs(np.diag(R))
    rank = int((size > size[:1].max(initial=0.0) * max(array.shape) * np.finfo(R.dtype).eps).sum())
    if rank == 0:
        return 0.0
    values = scipy.linalg.svdvals(S @ np.ascontiguousarray(Q[:, :rank]))
    least = float(values[-1]) if S.shape[0] >= rank else 0.0
    return float(max(values[0] - 1, 1 - least))


@dataclass(frozen=True)
class CoordinateStatistics:
    """Errors of sketch-and-solve over several draws of the sketch; each array has one entry per draw.

    Attributes
    ----------
    l2 : ndarray
        ``|x' - x*|_2`` relative to ``|b - A x*| |A^+|``.
    linf : ndarray
        ``sqrt(n) |x' - x*|_inf`` relative to the same: what a guarantee in the maximum norm bounds by eps.
    ratio : ndarray
        ``sqrt(n) |x' - x*|_inf / |x' - x*|_2``, between 1 and sqrt(n); about ``sqrt(2 ln 2n)`` where the error has no
        preferred direction. Draws without any error (a sparse sketch may miss b altogether) are left out.
    """

    l2: Array
    linf: Array
    ratio: Array

    def summary(self) -> dict[str, float]:
        """Return means and 90 % and 99 % quantiles by name."""
        found: dict[str, float] = {}
        for name in ("l2", "linf", "ratio"):
            values = getattr(self, name)
            for label, take in (
                ("mean", np.mean), ("p90", lambda v: np.quantile(v, 0.9)), ("p99", lambda v: np.quantile(v, 0.99)),
            ):  # fmt: skip
                found[f"{name}_{label}"] = float(take(values)) if values.size else float("nan")
        return found


def coordinate_statistics(
    make: Callable[[np.random.Generator], Any], A: Any, b: npt.ArrayLike, *, trials: int = 20, rng: Any = None
) -> CoordinateStatistics:
    """Measure how the error of sketch-and-solve spreads over the coordinates of the solution.

    Parameters
    ----------
    make : callable
        Takes a Generator, returns a sketch of as many columns as A has rows.
    A : array_like or sparse, shape (m, n)
        Matrix of full column rank.
    b : array_like, shape (m,)
        Right-hand side outside the range of A.
    trials : int
        Sketches to draw.
    rng : Generator, seed or None
        Source of the randomness.

    Returns
    -------
    CoordinateStatistics

    Raises
    ------
    ValueError
        If A has not full column rank or b lies in its range.

    Notes
    -----
    The sketched problems are solved by a rank-safe method: S A is singular now and then for sparse sketches of few rows.
    """
    array, rhs = _dense(A), np.asarray(b, dtype=np.float64)
    if rhs.shape != array.shape[:1]:
        raise ValueError(f"b has shape {rhs.shape}, A {array.shape}: wanted ({array.shape[0]},)")
    exact, _, rank, values = scipy.linalg.lstsq(array, rhs)
    unit = float(np.linalg.norm(rhs - array @ exact) / values[-1]) if rank == array.shape[1] else 0.0
    if rank < array.shape[1] or unit <= 1e-13 * float(np.linalg.norm(rhs)):
        raise ValueError("A has dependent columns, or b lies in its range: the errors have no scale then")
    both = np.column_stack([array, rhs])
    return _statistics(make, both, exact, unit, trials, rng)


def _statistics(make: Any, both: Array, exact: Array, unit: float, trials: int, rng: Any) -> CoordinateStatistics:
    rng, n = np.random.default_rng(rng), exact.size
    errors = np.empty((_count("trials", trials), n))
    for t in range(trials):
        sketched = make(rng) @ both
        errors[t] = _solve_small(sketched[:, :n], sketched[:, n]) - exact
    l2, linf = np.linalg.norm(errors, axis=1), np.sqrt(n) * np.abs(errors).max(axis=1)
    seen = l2 > 1e-12 * unit
    return CoordinateStatistics(l2 / unit, linf / unit, linf[seen] / l2[seen])


def _solve_small(A: Array, b: Array) -> Array:
    """Least squares by normal equations where these are harmless (a sketched orthonormal basis), else by SVD."""
    G = A.T @ A
    try:
        factor = scipy.linalg.cho_factor(G, check_finite=False)
    except np.linalg.LinAlgError:
        return np.asarray(scipy.linalg.lstsq(A, b)[0])
    diagonal = np.diag(factor[0])
    if diagonal.min() < 1e-3 * diagonal.max():
        return np.asarray(scipy.linalg.lstsq(A, b)[0])
    return np.asarray(scipy.linalg.cho_solve(factor, A.T @ b, check_finite=False))


def linf_experiment(
    kind: Callable[..., Any], n: int, *, rows: int | None = None, spread: int = 16, trials: int = 20, rng: Any = None
) -> CoordinateStatistics:
    """Sketch-and-solve on the problem that tells dense sketches from sparse ones.

    ``A = [I; 0]`` with n columns, and b spread over `spread` rows just below the identity, so that x* = 0, the residual and
    ``|A^+|`` are one, and x' is the error.

    Parameters
    ----------
    kind : callable
        A class of sketches, or any function of ``(d, m, rng=)``.
    n : int
        Columns of A.
    rows : int, optional
        Rows of the sketch, by default 16 n (eps = 0.25).
    spread : int
        Rows that b touches. With 1 a CountSketch errs seldom but then in one coordinate only.
    trials, rng
        See `coordinate_statistics`.

    Returns
    -------
    CoordinateStatistics

    Notes
    -----
    For sparse sign sketches and ``spread=1`` the ratio is about ``max(sqrt(2 ln 2n), sqrt(rows) / nnz)``: its knee in nnz
    is where a sketch becomes dense enough. Sketches with independent columns see the n + spread rows that matter only; the
    others a matrix with twice as many rows as the sketch.
    """
    n = _count("n", n)
    rows = 16 * n if rows is None else _count("rows", rows)
    spread = _count("spread", spread)
    independent = isinstance(kind, type) and issubclass(kind, (GaussianSketch, SparseSignSketch))
    m = n + spread if independent else max(2 * rows, n + spread)
    both = np.zeros((m, n + 1))
    both[np.arange(n), np.arange(n)] = 1
    both[n : n + spread, n] = 1 / np.sqrt(spread)
    return _statistics(lambda g: kind(rows, m, rng=g), both, np.zeros(n), 1.0, trials, rng)


def coordinate_deviations(S: Sketch, G: npt.ArrayLike, H: npt.ArrayLike) -> Array:
    """Return ``sqrt(d) |(S g).(S h) - g.h| / (|g| |h|)`` for the pairs of equal columns g of G and h of H.

    Parameters
    ----------
    S : Sketch, shape (d, m)
        The sketch.
    G, H : array_like, shape (m, k)
        Pairs of vectors.

    Returns
    -------
    ndarray, shape (k,)
        Their tail over draws of S is the beta of an oblivious coordinate-wise embedding. For Gaussian sketches and
        orthogonal pairs they are absolute values of standard normal numbers, to first order in ``1/sqrt(d)``.
    """
    left, right = np.asarray(G, dtype=np.float64), np.asarray(H, dtype=np.float64)
    if left.ndim != 2 or left.shape != right.shape:
        raise ValueError(f"G has shape {left.shape}, H {right.shape}: wanted two equal ones with two axes")
    inner = np.einsum("ij,ij->j", S @ left, S @ right) - np.einsum("ij,ij->j", left, right)
    size = np.linalg.norm(left, axis=0) * np.linalg.norm(right, axis=0)
    return np.asarray(np.sqrt(S.shape[0]) * np.abs(inner) / size)


def recommended_rows(d: int, eps: float | None = None, delta: float = 0.01, goal: Goal = "l2") -> int:
    """Rows that a dense sketch needs for a subspace of dimension d.

    Parameters
    ----------
    d : int
        Dimension of the subspace: columns of A.
    eps : float, optional
        ``"l2"``: error ``|A (x' - x*)|`` of sketch-and-solve relative to ``|b - A x*|``; ``"linf"``: error of any
        coordinate, times ``sqrt(d)``, relative to ``|b - A x*| |A^+|``; ``"precondition"``: factor by which a Krylov method
        reduces the error in a step. By default 0.25, 0.25 and 0.5. Between 0 and 1.
    delta : float
        Probability of failure, between 0 and 1.
    goal : {"l2", "linf", "precondition"}
        What the sketch is for.

    Returns
    -------
    int
        Number of rows, whatever the number of rows of A.

    Raises
    ------
    ValueError
        If a number is out of range or the goal unknown.

    Notes
    -----
    For a Gaussian sketch of r rows the squared error of sketch-and-solve is ``d / (r - d + 1)`` times a variable with the F
    distribution of d and r - d + 1 degrees of freedom (S b - S A x* is normal and independent of S A: this is
    Hotelling's statistic); ``"l2"`` takes the smallest r whose quantile meets eps, which is about ``d / eps^2 + d``.
    The singular values of ``S Q`` lie in ``1 +- (sqrt(d/r) + t)`` with probability at least ``1 - 2 exp(-r t^2 / 2)``
    [1]_, and a Krylov method on a preconditioned matrix of condition (1 + eps) / (1 - eps) gains the factor eps in a
    step, hence ``r = ((sqrt(d) + sqrt(2 ln(2/delta))) / eps)^2`` for ``"precondition"``. For ``"linf"``: S r is again
    independent of S A, and each coordinate of the error is normal with deviation at most ``|r| |A^+| / (sqrt(r) (1 -
    distortion))``; a union bound over 2 d tails, with delta halved between the two events, gives ``r (1 - distortion)^2
    = 2 d ln(4 d / delta) / eps^2``. SRHT, cosine and circulant sketches are seen to behave the same; what is proven for
    the SRHT is ``O(eps^-2 d ln^3(m / delta))`` [2]_. Sparse sign sketches: see `SparseSignSketch`.

    References
    ----------
    .. [1] K. R. Davidson and S. J. Szarek, "Local operator theory, random matrices and Banach spaces", 2001, thm II.13.
    .. [2] Z. Song, M. Ye, J. Yin and L. Zhang, "A nearly-optimal bound for fast regression with l_infinity guarantee",
       ICML 2023.

    Examples
    --------
    >>> recommended_rows(100, 0.25), recommended_rows(100, 0.25, goal="linf"), recommended_rows(100, goal="precondition")
    (2291, 39049, 703)
    """
    d = _count("d", d)
    if goal not in ("l2", "linf", "precondition"):
        raise ValueError(f"goal is {goal!r}: wanted 'l2', 'linf' or 'precondition'")
    eps = (0.5 if goal == "precondition" else 0.25) if eps is None else float(eps)
    for name, value in (("eps", eps), ("delta", delta)):
        if not 0 < value < 1:
            raise ValueError(f"{name} is {value!r}: wanted a number between 0 and 1")
    if goal == "l2":
        least, most = d, int(8 * (np.sqrt(d) + np.sqrt(2 * np.log(2 / delta))) ** 2 * (1 + eps**-2))
        while most - least > 1:  # the quantile falls as rows are added
            middle = (least + most) // 2
            quantile = scipy.stats.f.isf(delta, d, middle - d + 1) * d / (middle - d + 1)
            least, most = (least, middle) if quantile <= eps**2 else (middle, most)
        return most
    if goal == "precondition":
        return int(np.ceil(((np.sqrt(d) + np.sqrt(2 * np.log(2 / delta))) / eps) ** 2))
    root = np.sqrt(2 * d * np.log(4 * d / delta)) / eps + np.sqrt(d) + np.sqrt(2 * np.log(4 / delta))
    return int(np.ceil(root**2))
