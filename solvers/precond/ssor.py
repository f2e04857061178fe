"""Symmetric successive over-relaxation as a preconditioner.

Factor and sources are those of `linalg.factor.SSORFactor`; Eisenstat's form comes with it.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from ...linalg import Operator
from ...linalg.factor import EisenstatForm, SSORFactor
from .base import Preconditioner, assembled

__all__ = ["SSORPreconditioner", "ssor"]

Array = npt.NDArray[Any]


class SSORPreconditioner(Preconditioner):
    """Apply one forward and one backward sweep of SOR from zero; made by `ssor`.

    Attributes
    ----------
    factor : SSORFactor
        The two sweeps in factored form.
    """

    factor: SSORFactor

    def __init__(self, A: Any, omega: float = 1.0) -> None:
        self.omega = omega
        self.name = f"ssor({omega:g})" if isinstance(omega, float | int) else "ssor"
        super().__init__(A, symmetric=True, positive_definite=True)

    def _setup(self, A: Operator, previous: bool) -> None:
        matrix = assembled(A, self.name)
        self._form: EisenstatForm | None = None
        self._definite = A.positive_definite
        known = bool(A.symmetric)
        if A.symmetric is False:
            raise ValueError("A states that it is not symmetric: the ssor preconditioner needs symmetry; take ilu")
        if previous:
            self.factor.assume_symmetric = known
            self.factor.update(matrix)
        else:
            self.factor = SSORFactor(matrix, self.omega, assume_symmetric=known)
        self.memory_bytes = self.factor.memory_bytes

    def _apply(self, r: Array, out: Array) -> None:
        self.factor.apply(r, out)

    def apply_dot(self, r: Array, out: Array) -> float:
        """Write z = M^{-1} r into `out` (another vector) without checking; return the real part of r^H z."""
        return self.factor.apply(r, out)

    def eisenstat(self) -> EisenstatForm:
        """Return Eisenstat's form of the preconditioned matrix: the same CG iterates without products with A.

        The form belongs to the matrix of the last set-up; `update` discards it.
        """
        if self._form is None:
            self._form = self.factor.eisenstat()
            self._form.positive_definite = self._definite
            self.memory_bytes = self.factor.memory_bytes + self._form.memory_bytes
        return self._form


def ssor(A: Any, omega: float = 1.0) -> SSORPreconditioner:
    """SSOR preconditioner of a symmetric (Hermitian) matrix with positive diagonal; positive definite.

    Parameters
    ----------
    A : operator-like, shape (n, n)
        Sparse or assemblable; its symmetry is tested unless the operator states it.
    omega : float
        Relaxation factor, strictly between 0 and 2; 1 is symmetric Gauss-Seidel.

    Returns
    -------
    SSORPreconditioner
        M^{-1} = (2 - omega) (T + E)^{-H} T (T + E)^{-1} with T = D / omega and E the strict lower part of A.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a diagonal entry is missing or not positive, or an entry is NaN or infinite.
    ValueError, TypeError
        If `A` is not symmetric, cannot be assembled, or `omega` is out of range.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> M = ssor(csr_array([[2.0, -1.0], [-1.0, 2.0]]))
    >>> M.matvec([2.0, 2.0])               # forward: 1, 1.5; backward: 1.75, 1.5
    array([1.75, 1.5 ])
    """
    return SSORPreconditioner(A, omega)
