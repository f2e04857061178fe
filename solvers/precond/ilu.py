"""Incomplete LU preconditioners, by pattern level or threshold.

The factorisation, its safeguards and sources are those of `linalg.factor.IncompleteLU`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import Operator
from ...linalg.factor import IncompleteLU
from .base import Preconditioner, assembled

__all__ = ["IncompleteLUPreconditioner", "ilu"]

Array = npt.NDArray[Any]


class IncompleteLUPreconditioner(Preconditioner):
    """Apply (L U)^{-1} for an incomplete LU factor, or its adjoint; made by `ilu`.

    Attributes
    ----------
    factor : IncompleteLU
        The factor, with `replaced_rows` (pivots that were too small) and `growth` (huge where it will not
        help).
    """

    factor: IncompleteLU

    def __init__(self, A: Any, *, level: int = 0, drop_tol: float | None = None, dtype: Any = None) -> None:
        self._parameters = {"level": level, "drop_tol": drop_tol, "dtype": dtype}
        kind = f"{level}" if drop_tol is None else f"tol={drop_tol}"
        self.name = f"ilu({kind})"
        super().__init__(A)

    def _setup(self, A: Operator, previous: bool) -> None:
        matrix = assembled(A, self.name)
        if previous:
            self.factor.update(matrix)
        else:
            self.factor = IncompleteLU(matrix, **self._parameters)
        self.memory_bytes = self.factor.memory_bytes

    def _apply(self, r: Array, out: Array) -> None:
        self.factor.apply(r, out)

    def _rmatvec(self, x: Array) -> Array:
        x = np.ascontiguousarray(np.asarray(x).reshape(-1))
        return self.factor.solve(x, mode="H")


def ilu(A: Any, *, level: int = 0, drop_tol: float | None = None, dtype: Any = None) -> IncompleteLUPreconditioner:
    """Incomplete LU preconditioner of a general matrix, real or complex.

    Parameters
    ----------
    A : operator-like, shape (n, n)
        Sparse or assemblable. There are no row exchanges: a good diagonal is the user's business.
    level : int
        Levels of fill, 0 for the pattern of A.
    drop_tol : float, optional
        Drop entries up to `drop_tol` times the root mean square of their row, instead of going by levels.
    dtype : dtype, optional
        Type in which the factor is stored; by default that of `A`.

    Returns
    -------
    IncompleteLUPreconditioner
        Its adjoint is available too (``M.H``, ``M.rmatvec``).

    Raises
    ------
    numpy.linalg.LinAlgError
        If a row holds no nonzero entry, or the factor is not finite.
    ValueError, TypeError
        If `A` is not square, cannot be assembled, or a parameter is out of range.

    Examples
    --------
    >>> from scipy.sparse import diags_array
    >>> A = diags_array([-2.0, 4.0, -1.0], offsets=[-1, 0, 1], shape=(5, 5))
    >>> M = ilu(A)                         # tridiagonal: nothing is dropped
    >>> M.matvec(A @ [1.0, 2.0, 3.0, 4.0, 5.0]).round(12)
    array([1., 2., 3., 4., 5.])
    """
    return IncompleteLUPreconditioner(A, level=level, drop_tol=drop_tol, dtype=dtype)
