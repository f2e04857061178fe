"""Sparse direct factorisation (SuperLU through SciPy): the exact inverse, as far as rounding allows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from ...linalg import Operator
from .base import Preconditioner, assembled, bytes_of

__all__ = ["Direct", "direct"]

Array = npt.NDArray[Any]


class Direct(Preconditioner):
    """LU factors of A; see `direct`."""

    name = "direct"

    def _setup(self, A: Operator, previous: bool) -> None:
        matrix = csc_array(assembled(A, "direct"))
        if not matrix.shape[0]:
            raise ValueError("A has shape (0, 0): direct needs at least one unknown")
        if not np.isfinite(matrix.data).all():
            raise np.linalg.LinAlgError("A holds NaN or infinite entries: it cannot be factored")
        definite = bool(A.positive_definite) and A.nullspace is None
        options: dict[str, Any] = {"permc_spec": "COLAMD"}
        self.scaling: tuple[Array, Array] | None = None
        if definite:  # no pivoting needed, and an ordering of the symmetric pattern fills in less
            options = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
        else:
            matrix, self.scaling = _equilibrate(matrix)
        try:
            self.factor = _factor(matrix, options)
        except (RuntimeError, Warning):  # SuperLU names only a line of its own source
            raise np.linalg.LinAlgError("A cannot be factored: it is singular to working precision") from None
        except MemoryError:
            raise MemoryError(
                f"the factors of this {self.shape[0]} x {self.shape[0]} matrix do not fit in memory"
            ) from None
        self.symmetric = True if A.symmetric else None
        self.positive_definite = True if definite else None
        self._matrix, self._options = matrix, options
        entries = int(self.factor.nnz)
        self.memory_bytes = entries * (matrix.dtype.itemsize + 4) + bytes_of(matrix, self.scaling)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "factor"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.factor = _factor(self._matrix, self._options)

    def _apply(self, x: Array, out: Array) -> None:
        out[:] = self._solve(x, "N")

    def _apply_block(self, x: Array, out: Array) -> None:
        out[:] = self._solve(x, "N")

    def _solve(self, x: Array, trans: str) -> Array:
        if x.dtype.kind == "c" and self.dtype.kind != "c":
            return self._solve(np.ascontiguousarray(x.real), trans) + 1j * self._solve(
                np.ascontiguousarray(x.imag), trans
            )
        x = x.astype(self.dtype, copy=False)
        if self.scaling is None:
            return np.asarray(self.factor.solve(x, trans))
        before, after = self.scaling if trans == "N" else self.scaling[::-1]
        if x.ndim == 2:
            before, after = before[:, None], after[:, None]
        return np.asarray(after * self.factor.solve((before * x).astype(self.dtype, copy=False), trans))

    def _rmatvec(self, x: Array) -> Array:
        return self._solve(np.ravel(x), "H")


def _factor(matrix: csc_array, options: dict[str, Any]) -> Any:
    """Run SuperLU, with its warnings as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return splu(matrix, **options)


def _equilibrate(matrix: csc_array) -> tuple[csc_array, tuple[Array, Array]]:
    """Scale rows and columns by powers of two so that their largest entries come near 1.

    Partial pivoting compares entries of different rows, so badly scaled equations cost accuracy without this.
    """
    scaled = matrix.copy()
    rows, columns = (np.ones(n) for n in matrix.shape)
    for _ in range(3):  # Ruiz: both sides at once, by square roots, so that a symmetric matrix stays symmetric
        size = abs(scaled)
        by_row, by_column = (np.sqrt(size.max(axis=axis).toarray().ravel()) for axis in (1, 0))
        by_row[by_row == 0] = by_column[by_column == 0] = 1.0
        rows /= by_row
        columns /= by_column
        scaled.data = matrix.data * rows[scaled.indices] * np.repeat(columns, np.diff(scaled.indptr))
    most = np.finfo(matrix.dtype).maxexp - 4
    rows, columns = (2.0 ** np.clip(np.round(np.log2(f)), -most, most) for f in (rows, columns))  # exact in binary
    scaled.data = (matrix.data * rows[scaled.indices] * np.repeat(columns, np.diff(scaled.indptr))).astype(matrix.dtype)
    real = matrix.data.real.dtype
    return scaled, (rows.astype(real), columns.astype(real))


def direct(A: Any) -> Direct:
    """Factor A by SuperLU and apply its inverse.

    Parameters
    ----------
    A : matrix or operator that can be assembled, shape (n, n)

    Raises
    ------
    numpy.linalg.LinAlgError
        If A is singular to working precision, or holds NaN.

    Notes
    -----
    Symmetric mode without pivoting where A states that it is definite, otherwise rows and columns are scaled by powers of
    two and factored with partial pivoting and a column ordering.
    CHOLMOD, which is faster on definite matrices, is outside the dependencies.

    SuperLU's factors cannot be pickled, so the (scaled) matrix is kept beside them and counted in ``memory_bytes``; loading
    a pickle factors it again.

    Examples
    --------
    >>> import numpy as np
    >>> direct(np.array([[0.0, 2.0], [4.0, 0.0]])).matvec(np.array([2.0, 4.0]))
    array([1., 1.])
    """
    return Direct(A)
