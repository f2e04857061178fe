"""The SSOR splitting as a factor.

For A = E + D + E^H: M = (T + E) T^{-1} (T + E)^H / (2 - omega) with T = D / omega.

Source: O. Axelsson, A generalized SSOR method, BIT 12 (1972), 443-467. Departure: the upper rows are scaled
by T once, so that the solves run on unit factors (see `linalg.factor.unit`).
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import incomplete as kernels
from ..operators.matrix import index_view
from .checks import not_finite, require_hermitian, require_positive_diagonal, square
from .eisenstat import EisenstatForm
from .unit import UnitFactor

__all__ = ["SSORFactor"]

Array = npt.NDArray[Any]


class SSORFactor(UnitFactor):
    """Symmetric successive over-relaxation in factored form.

    One solve with M equals one forward and one backward sweep of SOR from zero.

    Parameters
    ----------
    A : sparse array or matrix, shape (n, n)
        Symmetric (Hermitian) with positive diagonal.
    omega : float
        Relaxation factor, strictly between 0 and 2.
    assume_symmetric : bool
        Skip the test whether `A` is symmetric; only its upper triangle is read then.

    Raises
    ------
    numpy.linalg.LinAlgError
        If an entry is NaN or infinite, or a diagonal entry is missing or not positive; the message names the row.
    ValueError
        If `A` is not square or not symmetric, or `omega` is out of range.
    """

    omega: float
    assume_symmetric: bool
    _indptr: Array
    _indices: Array

    def __init__(self, A: Any, omega: float = 1.0, *, assume_symmetric: bool = False) -> None:
        if not isinstance(omega, Real) or not 0.0 < omega < 2.0:
            raise ValueError(f"omega is {omega!r}: SSOR is positive definite for 0 < omega < 2 only")
        self.omega = float(omega)
        self.assume_symmetric = bool(assume_symmetric)
        self._indptr = self._indices = np.empty(0, dtype=np.int32)
        self.n = square(A).shape[0]
        self.update(A)

    def update(self, A: Any) -> None:
        """Take another matrix; where the pattern is the same, the analysis is kept."""
        matrix = square(A)
        if matrix.shape != self.shape:
            raise ValueError(f"A has shape {matrix.shape}: this factor was set up for {self.shape}; build a new one")
        if not (np.array_equal(matrix.indptr, self._indptr) and np.array_equal(matrix.indices, self._indices)):
            indptr, indices = index_view(matrix.indptr), index_view(matrix.indices)
            ptr, diagonal = np.empty_like(indptr), np.empty(self.n, dtype=indices.dtype)
            idx, source = np.empty_like(indices), np.empty_like(indices)
            count = int(kernels.upper_pattern(indptr, indices, ptr, idx, source, diagonal))
            self._pattern = (ptr, idx[:count].copy(), source[:count].copy())
            self._indptr, self._indices = matrix.indptr.copy(), matrix.indices.copy()
        if not np.isfinite(matrix.data).all():
            raise not_finite(matrix)
        diagonal = matrix.diagonal().real.astype(np.float64)
        require_positive_diagonal(diagonal, "SSOR")
        if not self.assume_symmetric:
            require_hermitian(matrix, diagonal, "SSOR")
        ptr, idx, source = self._pattern
        t = diagonal / self.omega
        with np.errstate(over="ignore"):
            unit = matrix.data[source] / np.repeat(t, np.diff(ptr))
        if not np.isfinite(unit).all():
            raise np.linalg.LinAlgError("entries of A overflow when divided by its diagonal: scale A")
        self._store(ptr, idx, unit, t / (2.0 - self.omega), matrix.dtype)
        self._t, self._diagonal = t, diagonal

    def eisenstat(self) -> EisenstatForm:
        """Return Eisenstat's form of the preconditioned matrix (without 2 - omega, which CG does not see)."""
        return EisenstatForm(self._ptr, self._idx, self._unit, self._t, self._diagonal)
