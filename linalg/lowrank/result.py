"""What the functions of this room return: the factors, what they cost, and how far they are from A."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CUR", "LowRankEigh", "LowRankSVD", "PivotedCholesky", "PivotedQR"]

Array = npt.NDArray[Any]


class _Factored:
    """A matrix given by factors, with products: `as_operator` takes it."""

    def _factors(self) -> tuple[Array, ...]:
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the matrix."""
        factors = self._factors()
        return (factors[0].shape[0], factors[-1].shape[-1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the entries."""
        return np.dtype(self._factors()[0].dtype)

    def matvec(self, x: npt.ArrayLike) -> Array:
        """Multiply a vector (or a block of columns) by the factors, from the right to the left."""
        y = np.asarray(x)
        for factor in reversed(self._factors()):
            y = _times(factor, y)
        return y

    def rmatvec(self, x: npt.ArrayLike) -> Array:
        """Multiply a vector (or a block of columns) by the conjugate transpose."""
        y = np.asarray(x)
        for factor in self._factors():
            y = _times(factor.conj().T, y)
        return y

    def toarray(self) -> Array:
        """Multiply the factors out: a dense array of the full shape."""
        *left, last = self._factors()
        result = last
        for factor in reversed(left):
            result = _times(factor, result)
        return result


def _times(factor: Array, y: Array) -> Array:
    if factor.ndim == 2:
        return np.asarray(factor @ y)
    return np.asarray(factor * y if y.ndim == 1 else factor[:, None] * y)


@dataclass(frozen=True, eq=False)
class LowRankSVD(_Factored):
    """A truncated singular value decomposition, A about ``U @ diag(s) @ Vh``; unpacks as ``U, s, Vh``.

    Attributes
    ----------
    U : ndarray, shape (m, k)
        Orthonormal columns.
    s : ndarray, shape (k,)
        Singular values, not increasing.
    Vh : ndarray, shape (k, n)
        Orthonormal rows.
    passes : int
        Times that A was read (multiplied, or its conjugate transpose, by a block of vectors).
    products : int
        Single vectors that A or its conjugate transpose multiplied.
    error : float
        Estimate of the Frobenius norm of ``A - U diag(s) Vh`` from random probes that took part in the first pass:
        its square is unbiased, and with ten probes it is within about 30 % for a single direction of error and within
        a few per cent for many. NaN where no probes were asked for. It cannot see below rounding, eps times the norm of A.
    residuals : ndarray or None
        Where the method knows it: bounds of ``|A v - s u|`` and ``|A^H u - s v|``, one for each triplet.
    """

    U: Array
    s: Array
    Vh: Array
    passes: int = 0
    products: int = 0
    error: float = float("nan")
    residuals: Array | None = None

    def _factors(self) -> tuple[Array, ...]:
        return (self.U, self.s, self.Vh)

    @property
    def rank(self) -> int:
        """Number of triplets."""
        return int(self.s.size)

    def __iter__(self) -> Iterator[Array]:
        return iter((self.U, self.s, self.Vh))


@dataclass(frozen=True, eq=False)
class LowRankEigh(_Factored):
    """Leading eigenpairs of a positive semidefinite matrix, A about ``U @ diag(w) @ U^H``; unpacks as ``w, U``.

    Attributes
    ----------
    w : ndarray, shape (k,)
        Eigenvalues, not increasing, none negative.
    U : ndarray, shape (n, k)
        Orthonormal columns.
    passes, products, error
        As in `LowRankSVD`.
    """

    w: Array
    U: Array
    passes: int = 0
    products: int = 0
    error: float = float("nan")

    def _factors(self) -> tuple[Array, ...]:
        return (self.U, self.w, self.U.conj().T)

    @property
    def rank(self) -> int:
        """Number of pairs."""
        return int(self.w.size)

    def __iter__(self) -> Iterator[Array]:
        return iter((self.w, self.U))


@dataclass(frozen=True, eq=False)
class PivotedCholesky(_Factored):
    """A partial Cholesky factor, A about ``F @ F^H``, exact in the rows and columns of the pivots.

    Attributes
    ----------
    F : ndarray, shape (n, k)
        The factor; its rows `pivots` are lower triangular.
    pivots : ndarray of int, shape (k,)
        Columns of A that were read, in order.
    entries : int
        Entries of A that were read, those of the diagonal included.
    error : float
        Trace of ``A - F F^H``, which is its nuclear norm since it is positive semidefinite; exact but for rounding, about
        n eps times the largest diagonal entry.
    """

    F: Array
    pivots: npt.NDArray[np.int64]
    entries: int
    error: float

    def _factors(self) -> tuple[Array, ...]:
        return (self.F, self.F.conj().T)

    @property
    def rank(self) -> int:
        """Number of columns of the factor."""
        return int(self.F.shape[1])

    def eigh(self) -> LowRankEigh:
        """Return the eigenpairs of ``F F^H``; costs O(n k^2)."""
        left, sizes, _ = np.linalg.svd(self.F, full_matrices=False)
        return LowRankEigh(sizes**2, left, error=self.error)


@dataclass(frozen=True, eq=False)
class CUR(_Factored):
    """A about ``C @ U @ R`` with columns and rows of A itself.

    Attributes
    ----------
    C : ndarray, shape (m, k)
        ``A[:, columns]``.
    U : ndarray, shape (k, k)
        The core.
    R : ndarray, shape (k, n)
        ``A[rows]``.
    rows, columns : ndarray of int, shape (k,)
        Which rows and columns; the most telling first.
    passes, products, error
        As in `LowRankSVD`.
    """

    C: Array
    U: Array
    R: Array
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    passes: int = 0
    products: int = 0
    error: float = float("nan")

    def _factors(self) -> tuple[Array, ...]:
        return (self.C, self.U, self.R)

    @property
    def rank(self) -> int:
        """Number of rows and columns kept."""
        return int(self.U.shape[0])


@dataclass(frozen=True, eq=False)
class PivotedQR:
    """QR with column pivoting of a tall matrix, ``A[:, permutation]`` about ``Q @ R``; unpacks as ``Q, R, permutation``.

    Attributes
    ----------
    Q : ndarray, shape (m, rank)
        Orthonormal columns.
    R : ndarray, shape (rank, n)
        Upper trapezoidal.
    permutation : ndarray of int, shape (n,)
        Order of the columns.
    rank : int
        Numerical rank.
    error : float
        Frobenius norm of what was cut off below the rank, as the sketch sees it; 0 at full rank.
    method : {"sketched", "householder"}
        The second where the first would have lost accuracy, or cannot pay.
    """

    Q: Array
    R: Array
    permutation: npt.NDArray[np.int64]
    rank: int
    error: float
    method: str

    def __iter__(self) -> Iterator[Array]:
        return iter((self.Q, self.R, self.permutation))
