"""Reference solutions of the steps of a sequence, as exact as double precision allows."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from ..linalg import CSROperator
from ..solvers import cg, precond

__all__ = ["ReferenceSolver"]

#: Entries beyond which a sparse direct factor costs more than it is worth: in 3-D it fills in fast.
DIRECT_LIMIT = {2: 400_000, 3: 12_000}


class ReferenceSolver:
    """Solves with one symmetric positive definite matrix, many right-hand sides.

    A sparse direct factor with one step of refinement for small systems, else conjugate gradients with a
    relaxed incomplete Cholesky factor to a relative residual of 1e-12 (no worse than 1e-10 where rounding
    stops it earlier).

    Parameters
    ----------
    matrix : sparse array
        Symmetric positive definite.
    dim : {2, 3}
        Dimension of the domain, which decides how much a factor fills in.
    """

    def __init__(self, matrix: Any, dim: int) -> None:
        self.matrix = matrix
        self._factor = None
        if matrix.shape[0] <= DIRECT_LIMIT[dim]:
            options = {"SymmetricMode": True}
            self._factor = splu(csc_array(matrix), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
        else:
            self._operator = CSROperator(matrix, symmetric=True, positive_definite=True)
            self._preconditioner = precond.ic(self._operator, alpha=0.95)

    def solve(
        self, b: npt.NDArray[np.float64], guess: npt.NDArray[np.float64] | None = None
    ) -> npt.NDArray[np.float64]:
        """Return the solution of ``matrix x = b``."""
        if self._factor is not None:
            x = self._factor.solve(b)
            return cast(npt.NDArray[np.float64], x + self._factor.solve(b - self.matrix @ x))
        result = cg(self._operator, b, guess, rtol=1e-12, maxiter=20_000, M=self._preconditioner)
        if not result.residual <= 1e-10:
            raise ArithmeticError(
                f"the exact step could not be computed ({result.outcome.name}): use a smaller time step"
            )
        return np.asarray(result.x)
