"""Chebyshev polynomials around the diagonal, as a preconditioner without inner products or triangular solves.

Source: Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., SIAM 2003, section 12.3; the interval
``[high / ratio, high]`` as in M. Adams, M. Brezina, J. Hu and R. Tuminaro, J. Comput. Phys. 188 (2003) 593-610.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import Operator, vectors
from ..chebyshev import lanczos_bounds
from ..gate import check_count
from .base import Preconditioner, filled_diagonal

__all__ = ["ChebyshevPreconditioner", "chebyshev"]

Array = npt.NDArray[Any]


class ChebyshevPreconditioner(Preconditioner):
    """Fixed number of Chebyshev steps from zero; see `chebyshev`."""

    def __init__(self, A: Any, degree: int, ratio: float, steps: int) -> None:
        self.degree = check_count("degree", degree, 1)
        self.steps = check_count("lanczos_steps", steps, 1)
        if not (isinstance(ratio, (int, float)) and np.isfinite(ratio) and ratio > 1):
            raise ValueError(f"ratio is {ratio!r}: wanted a number above 1 (largest over smallest eigenvalue aimed at)")
        self.ratio = float(ratio)
        self.name = f"chebyshev({self.degree})"
        super().__init__(A)

    def _setup(self, A: Operator, previous: bool) -> None:
        if A.symmetric is False:
            raise ValueError("A states that it is not symmetric: chebyshev needs a symmetric positive definite matrix")
        self.A = A
        try:
            diagonal = filled_diagonal(A).real
        except TypeError:
            diagonal = np.ones(A.shape[0])
        if (diagonal <= 0).any():
            row = int(np.argmax(diagonal <= 0))
            raise np.linalg.LinAlgError(
                f"A has a diagonal entry that is not positive (row {row}): chebyshev needs a positive definite matrix"
            )
        self.scaling = (1.0 / np.sqrt(diagonal)).astype(A.dtype)
        n = A.shape[0]
        scaled = np.empty(n, dtype=A.dtype)

        def product(x: Array, out: Array) -> None:
            np.multiply(self.scaling, x, out=scaled)
            A._apply(scaled, out)
            np.multiply(self.scaling, out, out=out)

        start = np.random.default_rng(0).standard_normal(n).astype(A.dtype)
        _, high = lanczos_bounds(product, start, self.steps)
        if not np.isfinite(high) or high <= 0:
            raise np.linalg.LinAlgError(
                "A gave no positive, finite eigenvalue estimate: chebyshev needs a definite matrix"
            )
        self.high = 1.1 * high
        self.low = self.high / self.ratio
        self.inverse = self.scaling * self.scaling
        self.symmetric = True
        # the polynomial stays positive on (0, high]; it is definite as long as the estimate bounds the spectrum
        self.positive_definite = True if A.positive_definite else None
        self.memory_bytes = self.scaling.nbytes + self.inverse.nbytes + 3 * n * A.dtype.itemsize

    def _apply(self, x: Array, out: Array) -> None:
        n = x.shape[0]
        r, d, q = (self._buffer(key, n, out.dtype) for key in "rdq")
        centre, half = 0.5 * (self.high + self.low), 0.5 * (self.high - self.low)
        np.multiply(self.inverse, x, out=d)
        vectors.scale(1.0 / centre, d)
        vectors.copy(d, out)
        vectors.copy(x, r)
        rho = half / centre
        for _ in range(self.degree - 1):
            self.A._apply(d, q)
            vectors.axpy(-1.0, q, r)
            rho_new = 1.0 / (2.0 * centre / half - rho)
            np.multiply(self.inverse, r, out=q)
            vectors.axpby(2.0 * rho_new / half, q, rho_new * rho, d)
            vectors.axpy(1.0, d, out)
            rho = rho_new


def chebyshev(A: Any, degree: int = 3, *, ratio: float = 30.0, lanczos_steps: int = 12) -> ChebyshevPreconditioner:
    """Polynomial preconditioner: `degree` Chebyshev steps around the diagonal of A.

    Parameters
    ----------
    A : matrix or operator, shape (n, n)
        Symmetric positive definite; matrix-free operators are welcome.
    degree : int
        Number of steps; an application costs ``degree - 1`` products with A.
    ratio : float
        The polynomial is built for the interval ``[high / ratio, high]``, high being the estimated largest eigenvalue
        of the scaled matrix plus a tenth.
    lanczos_steps : int
        Products spent on that estimate in the set-up.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a diagonal entry is not positive.

    Notes
    -----
    In exact arithmetic polynomial preconditioning never reduces the number of products with A below that of plain CG;
    it saves inner products, which pays where these are dear.

    Examples
    --------
    >>> import numpy as np
    >>> M = chebyshev(np.diag([1.0, 2.0, 3.0]), degree=2)
    >>> M.symmetric, M.fixed
    (True, True)
    """
    return ChebyshevPreconditioner(A, degree, ratio, lanczos_steps)
