"""Randomly pivoted Cholesky: a positive semidefinite matrix from its diagonal and few of its columns.

Source: Chen, Epperly, Tropp and Webber [1]_; the accelerated form with rejections is Epperly, Tropp and Webber [2]_. It
proposes pivots in blocks and draws exactly from the distribution of the method that takes them one by one.

Departure: a pivot is refused as well where its remaining diagonal is rounding.

References
----------
.. [1] Y. Chen, E. N. Epperly, J. A. Tropp, R. J. Webber, Randomly pivoted Cholesky: practical approximation of a kernel
   matrix with few entry evaluations, Comm. Pure Appl. Math. 78 (2025), 995-1041.
.. [2] E. N. Epperly, J. A. Tropp, R. J. Webber, Embrace rejection: kernel matrix approximation by accelerated randomly
   pivoted Cholesky, arXiv:2410.03969 (2024).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular
from scipy.sparse import csr_array, issparse

from ..operators import Operator, as_operator
from .passes import fraction, held_entries, whole, working_dtype
from .result import PivotedCholesky

__all__ = ["KernelMatrix", "rpcholesky"]

Array = npt.NDArray[Any]

ROWS = 1024  # rows of a kernel matrix that are formed at a time in a product


def gaussian_kernel(squares: Array) -> Array:
    """Return exp(-r^2 / 2)."""
    return np.exp(-0.5 * squares)


def laplace_kernel(squares: Array) -> Array:
    """Return exp(-r)."""
    return np.exp(-np.sqrt(squares))


KERNELS: dict[str, Callable[[Array], Array]] = {"gaussian": gaussian_kernel, "laplace": laplace_kernel}


class KernelMatrix(Operator):
    """Matrix of a radial kernel between points, formed entry by entry where it is asked for.

    Parameters
    ----------
    points : array_like, shape (n, d)
    kernel : {"gaussian", "laplace"} or callable
        ``exp(-r^2/2)``, ``exp(-r)``, or a positive definite function of the squared scaled distance, an array to an array.
    length : float
        Distances are divided by it.

    Examples
    --------
    >>> K = KernelMatrix([[0.0], [1.0], [2.0]], length=1.0)
    >>> K.entries([0], [0, 1]).round(3)
    array([[1.   , 0.607]])
    """

    def __init__(
        self, points: npt.ArrayLike, kernel: str | Callable[[Array], Array] = "gaussian", *, length: float = 1.0
    ) -> None:
        held = np.asarray(points)
        if held.ndim != 2 or not held.size or held.dtype.kind not in "biuf":
            raise ValueError(f"points has shape {held.shape} and dtype {held.dtype}: wanted (n, d) real numbers")
        if not np.isfinite(held).all():
            raise ValueError("points holds NaN or infinite numbers: remove them")
        if isinstance(kernel, str):
            if kernel not in KERNELS:
                raise ValueError(f"kernel is {kernel!r}: wanted one of {', '.join(KERNELS)}, or a function")
        elif not callable(kernel):
            raise TypeError(f"kernel is a {type(kernel).__name__}: wanted one of {', '.join(KERNELS)}, or a function")
        if fraction("length", length) == 0:
            raise ValueError("length is 0: wanted a number > 0")
        self.points = held.astype(held.dtype if held.dtype.char in "fd" else np.float64) / float(length)
        self._kernel = KERNELS[kernel] if isinstance(kernel, str) else kernel
        self._squares = np.einsum("ij,ij->i", self.points, self.points)
        super().__init__(self.points.dtype, (len(held), len(held)), symmetric=True)

    def entries(self, rows: Any, columns: Any) -> Array:
        """Return the submatrix of the given rows and columns (index arrays or slices); dense."""
        left, right = self.points[rows], self.points[columns]
        squares = left @ right.T
        squares *= -2
        squares += self._squares[rows][:, None]
        squares += self._squares[columns]
        np.maximum(squares, 0, out=squares)
        return np.asarray(self._kernel(squares), dtype=self.dtype)

    def _apply(self, x: Array, out: Array) -> None:
        for start in range(0, self.shape[0], ROWS):
            out[start : start + ROWS] = self.entries(slice(start, start + ROWS), slice(None)) @ x

    _apply_block = _apply

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        value = self._kernel(np.zeros(1, dtype=self.dtype))
        return np.full(self.shape[0], value[0], dtype=self.dtype)


def rpcholesky(A: Any, rank: int, *, rtol: float = 0.0, block: int | None = None, rng: Any = None) -> PivotedCholesky:
    """Partial Cholesky factor of a positive semidefinite matrix, pivots drawn in proportion to the diagonal that is left.

    Parameters
    ----------
    A : operator-like, shape (n, n)
        Symmetric (Hermitian), positive semidefinite: a dense or sparse matrix, or an object with ``shape``, ``dtype``,
        ``diagonal()`` and ``entries(rows, columns)`` such as `KernelMatrix`, of which ``(rank + 1) n`` entries and those
        of the proposals are read. Any other operator that knows its diagonal is multiplied by unit vectors.
    rank : int
        Most columns of the factor.
    rtol : float
        Stop once the trace of what is left is at most this times the trace of A.
    block : int, optional
        Pivots proposed at a time; the default grows with the rank, up to 128. The law of the result does not depend on it.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    PivotedCholesky
        ``error`` is exact: the trace of the remainder. Fewer than `rank` columns if A is of lower rank.

    Raises
    ------
    ValueError
        If A is empty, not square, not finite, or is seen not to be positive semidefinite.
    TypeError
        If neither entries nor a diagonal can be had.

    Notes
    -----
    O(n k^2) flops for rank k. The expected trace of the remainder is within ``1 + eps`` of that of the best rank-r
    approximation after ``k >= r / eps + r log(1 / (eps eta))`` columns, where eta is the best relative error of rank r
    (theorem 1.1 of [1]_ (of the module)).

    Examples
    --------
    >>> import numpy as np
    >>> points = np.linspace(0, 1, 200)[:, None]
    >>> result = rpcholesky(KernelMatrix(points, length=0.5), 12, rng=0)
    >>> result.F.shape, bool(result.error < 1e-5 * 200)
    ((200, 12), True)
    """
    source = _Entries(A)
    n = source.n
    rank = whole("rank", rank, 1, n, f" (the size of A, which has shape ({n}, {n}))")
    rtol = fraction("rtol", rtol)
    step = min(128, max(8, rank // 4)) if block is None else whole("block", block, 1)
    rng = np.random.default_rng(rng)
    left = source.diagonal()
    trace, top = float(left.sum()), float(left.max())
    rounding = float(np.finfo(source.dtype).eps) * top * 10
    if left.min() < 0:
        worst = int(left.argmin())
        raise ValueError(f"A is not positive semidefinite: its diagonal holds {left[worst]:.3g} at {worst}")
    F = np.zeros((n, rank), dtype=source.dtype, order="F")
    pivots: list[int] = []
    while len(pivots) < rank:
        weight = np.where(left > rounding, left, 0.0)
        total = float(weight.sum())
        if total == 0 or total <= rtol * trace:
            break
        k = len(pivots)
        proposed = rng.choice(n, size=step, p=weight / total)
        H = source.block(proposed) - F[proposed, :k] @ F[proposed, :k].conj().T
        accepted, L = _accept(H, rounding, rank - k, rng)
        chosen = proposed[accepted]
        columns = source.columns(chosen) - F[:, :k] @ F[chosen, :k].conj().T
        new = solve_triangular(L, columns.conj().T, lower=True, check_finite=False).conj().T
        new[pivots], new[chosen] = 0, L  # exactly, where the solve leaves rounding
        F[:, k : k + len(chosen)] = new
        pivots += chosen.tolist()
        left -= np.einsum("ij,ij->i", new.real, new.real) + (
            np.einsum("ij,ij->i", new.imag, new.imag) if new.dtype.kind == "c" else 0
        )
        if left.min() < -1e3 * rounding * len(pivots):
            worst = int(left.argmin())
            raise ValueError(
                f"A is not positive semidefinite: elimination leaves {left[worst]:.3g} on its diagonal at {worst}"
            )
        np.maximum(left, 0, out=left)
        left[pivots] = 0
    return PivotedCholesky(F[:, : len(pivots)], np.array(pivots, dtype=np.int64), source.read, float(left.sum()))


def _accept(H: Array, rounding: float, most: int, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], Array]:
    """Go through proposals in order, accept each with the probability that its diagonal is left; factor the accepted.

    `H` is the remainder between the proposals. Returns their indices (at least one) and the lower factor.
    """
    H = (H + H.conj().T) / 2
    first = np.maximum(H.diagonal().real.copy(), 0)
    draws = rng.random(len(H))
    accepted: list[int] = []
    L = np.zeros_like(H)
    for i in range(len(H)):
        here = float(H[i, i].real)
        if here <= rounding or (accepted and draws[i] * first[i] > here):
            continue
        L[:, i] = H[:, i] / np.sqrt(here)
        H = H - np.outer(L[:, i], L[:, i].conj())
        accepted.append(i)
        if len(accepted) == most:
            break
    if not accepted:  # the diagonal said more than the entries: only rounding or an indefinite A can do that
        raise ValueError("A is not positive semidefinite, or its diagonal does not belong to its entries")
    index = np.array(accepted, dtype=np.int64)
    return index, np.tril(L[np.ix_(index, index)])


class _Entries:
    """Diagonal, columns and small blocks of a matrix, counted."""

    def __init__(self, A: Any) -> None:
        self.read = 0
        self.held: Any = A
        self.asked = callable(getattr(A, "entries", None)) and callable(getattr(A, "diagonal", None))
        if not self.asked:
            operator = as_operator(A)
            held = held_entries(operator)
            self.held = operator if held is None else held
        shape = tuple(self.held.shape)
        if len(shape) != 2 or shape[0] != shape[1] or not shape[0]:
            raise ValueError(f"A has shape {shape}: wanted a square matrix of at least one row")
        self.n = int(shape[0])
        self.dtype = working_dtype(getattr(self.held, "dtype", np.float64))

    def diagonal(self) -> Array:
        """Return the diagonal, real, as a new float64 array."""
        self.read += self.n
        diagonal = np.asarray(self.held.diagonal())
        if not np.isfinite(diagonal).all():
            raise ValueError("A holds NaN or infinite entries on its diagonal: remove them")
        real = diagonal.real.astype(np.float64)
        if diagonal.dtype.kind == "c" and (np.abs(diagonal.imag) > np.finfo(self.dtype).eps * np.abs(real)).any():
            raise ValueError("A is not Hermitian: its diagonal is not real")
        return real

    def columns(self, index: npt.NDArray[np.int64]) -> Array:
        """Return full columns."""
        self.read += self.n * len(index)
        if self.asked:
            result = np.asarray(self.held.entries(slice(None), index))
        elif isinstance(self.held, np.ndarray):
            result = self.held[:, index]
        elif issparse(self.held):  # columns of a Hermitian matrix from its rows
            result = csr_array(self.held)[index].toarray().conj().T
        else:
            unit = np.zeros((self.n, len(index)), dtype=self.dtype)
            unit[index, np.arange(len(index))] = 1
            result = self.held.matmat(unit)
        if not np.isfinite(result).all():
            raise ValueError("A holds NaN or infinite entries: remove them")
        return np.asarray(result, dtype=self.dtype)

    def block(self, index: npt.NDArray[np.int64]) -> Array:
        """Return the entries between some rows and the same columns."""
        if not (self.asked or isinstance(self.held, np.ndarray) or issparse(self.held)):
            return self.columns(index)[index]
        self.read += len(index) ** 2
        if self.asked:
            result = np.asarray(self.held.entries(index, index))
        elif isinstance(self.held, np.ndarray):
            result = self.held[np.ix_(index, index)]
        else:
            result = csr_array(self.held)[index][:, index].toarray()
        if not np.isfinite(result).all():
            raise ValueError("A holds NaN or infinite entries: remove them")
        return np.asarray(result, dtype=self.dtype)
