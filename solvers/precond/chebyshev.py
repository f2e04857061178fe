"""Chebyshev polynomials around the diagonal, as a preconditioner without inner products or triangular solves.

Source: Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., SIAM 2003, section 12.3; the interval
``[high / ratio, high]`` as in M. Adams, M. Brezina, J. Hu and R. Tuminaro, J. Comput. Phys. 188 (2003) 593-610.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import CSROperator, DenseOperator, Operator, StencilOperator, vectors
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
        n = A.shape[0]
        if not n:
            raise ValueError("A has shape (0, 0): chebyshev needs at least one unknown")
        try:
            diagonal = filled_diagonal(A).real
        except TypeError:
            diagonal = np.ones(n)
        if not np.isfinite(diagonal).all():
            row = int(np.argmin(np.isfinite(diagonal)))
            raise np.linalg.LinAlgError(f"A has a NaN or infinite diagonal entry (row {row}): wanted finite entries")
        if (diagonal <= 0).any():
            row = int(np.argmax(diagonal <= 0))
            raise np.linalg.LinAlgError(
                f"A has a diagonal entry that is not positive (row {row}): chebyshev needs a positive definite matrix"
            )
        work = self.dtype  # floating, whatever the type of A
        scaling = 1.0 / np.sqrt(diagonal, dtype=np.float64)
        narrow = scaling.astype(work)
        scaled = np.empty(n, dtype=work)

        def product(x: Array, out: Array) -> None:
            np.multiply(narrow, x, out=scaled)
            A._apply(scaled, out)
            np.multiply(narrow, out, out=out)

        start = np.random.default_rng(0).standard_normal(n).astype(work)
        _, high = lanczos_bounds(product, start, self.steps)
        if not np.isfinite(high) or high <= 0:
            raise np.linalg.LinAlgError(
                "A gave no positive, finite eigenvalue estimate: chebyshev needs a definite matrix"
            )
        bound = _norm_bound(A, diagonal)
        self.A = A
        self.high = min(1.1 * high, bound)
        self.low = self.high / self.ratio
        self.inverse = (1.0 / diagonal).astype(narrow.real.dtype)
        self.symmetric = True
        # the polynomial is (1 - T(t)) / (eigenvalue) up to scale, with |t| < t(0) while eigenvalues stay below high + low:
        # positive there; further up T grows, to minus infinity for an odd degree (harmless), else to plus infinity
        certain = self.degree % 2 == 1 or bound < self.high + self.low
        self.positive_definite = True if A.positive_definite and certain else None
        self.memory_bytes = self.inverse.nbytes + 3 * n * work.itemsize

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


def _norm_bound(A: Operator, diagonal: Array) -> float:
    """Upper bound of the eigenvalues of D^-1 A from its entries, infinite where these are out of reach.

    For any positive w the largest of ``(|A| w)_i / (d_i w_i)`` is one (Collatz and Wielandt).
    """
    bound = np.inf
    for weights in (np.ones(diagonal.shape), 1.0 / np.sqrt(diagonal, dtype=np.float64)):
        if isinstance(A, CSROperator):
            sums = abs(A.matrix) @ weights
        elif isinstance(A, DenseOperator):
            sums = abs(A.array) @ weights
        elif isinstance(A, StencilOperator) and A.dtype.kind != "c":
            product = np.empty(diagonal.shape)  # all entries beside the diagonal are negative or zero
            A._apply(weights, product)
            sums = 2.0 * diagonal * weights - product
        else:
            return float("inf")
        bound = min(bound, float((sums / (diagonal * weights)).max()))
    return bound * (1.0 + 100.0 * float(np.finfo(np.dtype(A.dtype)).eps))


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
        of the scaled matrix plus a tenth, or a bound from the entries of A where that is smaller.
    lanczos_steps : int
        Products spent on that estimate in the set-up.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a diagonal entry is not positive, or entries are NaN or infinite.
    ValueError
        If A states that it is not symmetric, is empty, or a parameter is out of range.

    Notes
    -----
    The estimate may fall short of the largest eigenvalue. An odd degree stays positive definite even so; an even one is
    stated to be only where the entries of A bound the spectrum below ``high + high / ratio``.

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
