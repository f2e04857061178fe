"""Incomplete Cholesky preconditioners: IC, relaxed and modified IC, by pattern level or threshold.

The factorisation, its safeguards and sources are those of `linalg.factor.IncompleteCholesky`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import Operator
from ...linalg.factor import EisenstatForm, IncompleteCholesky
from .base import Preconditioner, assembled

__all__ = ["IncompleteCholeskyPreconditioner", "ic"]

Array = npt.NDArray[Any]


class IncompleteCholeskyPreconditioner(Preconditioner):
    """Apply (L L^H)^{-1} for an incomplete Cholesky factor; made by `ic`.

    Attributes
    ----------
    factor : IncompleteCholesky
        The factor, with a record of what was needed to keep it positive definite (`shift`, `floored_rows`).
    """

    factor: IncompleteCholesky

    def __init__(
        self,
        A: Any,
        *,
        level: int = 0,
        alpha: float | npt.ArrayLike = 0.0,
        lift: float | npt.ArrayLike = 0.0,
        drop_tol: float | None = None,
        dtype: Any = None,
    ) -> None:
        self._parameters = {
            "level": level,
            "alpha": alpha,
            "lift": lift,
            "drop_tol": drop_tol,
            "dtype": dtype,
        }
        self.name = _name(level, alpha, drop_tol)
        super().__init__(A, symmetric=True, positive_definite=True)

    def _setup(self, A: Operator, previous: bool) -> None:
        if A.symmetric is False:
            raise ValueError(
                "A states that it is not symmetric: incomplete Cholesky needs a symmetric matrix; take ilu"
            )
        matrix = assembled(A, self.name)
        known = bool(A.symmetric)
        self._form: EisenstatForm | None = None
        self._definite = A.positive_definite
        if previous:
            self.factor.assume_symmetric = known
            self.factor.update(matrix)
        else:
            self.factor = IncompleteCholesky(matrix, assume_symmetric=known, **self._parameters)
        self.memory_bytes = self.factor.memory_bytes

    def _apply(self, r: Array, out: Array) -> None:
        self.factor.apply(r, out)

    def apply_dot(self, r: Array, out: Array) -> float:
        """Write z = M^{-1} r into `out` (another vector) without checking; return the real part of r^H z."""
        return self.factor.apply(r, out)

    def eisenstat(self) -> EisenstatForm | None:
        """Return Eisenstat's form of the preconditioned matrix, or None where the factor has fill of its own.

        The form belongs to the matrix of the last set-up; `update` discards it.
        """
        if self._form is None:
            self._form = self.factor.eisenstat()
            if self._form is not None:
                self._form.positive_definite = self._definite
                self.memory_bytes = self.factor.memory_bytes + self._form.memory_bytes
        return self._form


def ic(
    A: Any,
    *,
    level: int = 0,
    alpha: float | npt.ArrayLike = 0.0,
    lift: float | npt.ArrayLike = 0.0,
    drop_tol: float | None = None,
    dtype: Any = None,
) -> IncompleteCholeskyPreconditioner:
    """Incomplete Cholesky preconditioner of a symmetric (Hermitian) matrix; always positive definite.

    Parameters
    ----------
    A : operator-like, shape (n, n)
        Symmetric, with positive diagonal, sparse or assemblable. The symmetry is tested unless the operator
        states it.
    level : int
        Levels of fill, 0 for the pattern of A.
    alpha : float or array_like of shape (n,)
        Relaxation: 0 is IC, 1 modified IC (keeps row sums). Values of 0.95 to 1 suit diffusion on grids.
    lift : float or array_like of shape (n,)
        Relative enlargement of the diagonal, at least 0.
    drop_tol : float, optional
        Drop entries up to ``drop_tol * sqrt(a_ii a_jj)`` in size, instead of going by levels.
    dtype : dtype, optional
        Type in which the factor is stored, such as float32; by default that of `A`.

    Returns
    -------
    IncompleteCholeskyPreconditioner

    Raises
    ------
    numpy.linalg.LinAlgError
        If a diagonal entry is missing or not positive.
    ValueError, TypeError
        If `A` is not symmetric, cannot be assembled, or a parameter is out of range.

    Examples
    --------
    >>> from scipy.sparse import diags_array
    >>> A = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(5, 5))
    >>> M = ic(A)                          # tridiagonal: nothing is dropped
    >>> M.matvec(A @ [1.0, 2.0, 3.0, 4.0, 5.0]).round(12)
    array([1., 2., 3., 4., 5.])
    """
    return IncompleteCholeskyPreconditioner(A, level=level, alpha=alpha, lift=lift, drop_tol=drop_tol, dtype=dtype)


def _name(level: Any, alpha: Any, drop_tol: Any) -> str:
    kind = f"{level}" if drop_tol is None else f"tol={drop_tol}"
    if np.ndim(alpha):
        return f"ric({kind}, alpha per row)"
    if not alpha:
        return f"ic({kind})"
    return f"mic({kind})" if alpha == 1 else f"ric({kind}, alpha={alpha})"
