"""Eisenstat's form: preconditioned conjugate gradients for the price of the preconditioner alone.

Let A = E + D + E^H with E strictly lower, and M = (T + E) T^{-1} (T + E)^H with T diagonal and positive:
SSOR, and incomplete Cholesky where no fill falls into the pattern. With S = T^{1/2} and C = (T + E) S^{-1},
so that M = C C^H,

    C^{-1} A C^{-H} p = t + U^{-H} (p - K t),    t = U^{-1} p,    U = I + S^{-1} E^H S^{-1},    K = 2 I -
    T^{-1} D:

two triangular solves, no product with A. Conjugate gradients on this matrix, without a preconditioner, makes
the same iterates as preconditioned conjugate gradients with A and M.

Departure from the source: everything is scaled by S, so the triangular factors have unit diagonals and no
inner preconditioner T is left over.

References
----------
.. [1] S. C. Eisenstat, Efficient implementation of a class of preconditioned conjugate gradient methods, SIAM
   Journal on Scientific and Statistical Computing 2 (1981), 1-4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import factored, triangular
from ..operators import Operator

__all__ = ["EisenstatForm"]

Array = npt.NDArray[Any]


class EisenstatForm(Operator):
    """The operator C^{-1} A C^{-H}, and the maps between its system and that of A.

    Parameters
    ----------
    ptr, idx, unit : ndarray
        Rows of T^{-1} E^H, strictly upper, sorted, unsigned indices.
    pivots : ndarray of shape (n,)
        The diagonal T.
    diagonal : ndarray of shape (n,)
        The diagonal D of A.
    positive_definite : bool, optional
        Whether A is.

    Notes
    -----
    To solve A x = b from x0: ``r_hat = C^{-1} (b - A x0)`` by `to_hat`; run conjugate gradients on this operator with
    right-hand side r_hat from zero; ``x = x0 + C^{-H} x_hat`` by `from_hat`. The residual of the given system is ``C
    r_hat`` (`residual`), at about half the price of a product with A.
    """

    def __init__(
        self,
        ptr: Array,
        idx: Array,
        unit: Array,
        pivots: Array,
        diagonal: Array,
        *,
        positive_definite: bool | None = None,
    ) -> None:
        n = pivots.shape[0]
        super().__init__(unit.dtype, (n, n), symmetric=True, positive_definite=positive_definite)
        real = unit.real.dtype
        self._ptr, self._idx = ptr, idx
        root = np.sqrt(pivots)
        signed = idx.view(np.int32 if idx.dtype.itemsize == 4 else np.int64)
        self._given = unit  # S^{-1} U S: takes the scaling before the solve
        self._unit = (unit * np.repeat(root, np.diff(ptr)) / root[signed]).astype(unit.dtype, copy=False)
        self._root = root.astype(real)
        self._inverse_root = (1.0 / root).astype(real)
        self._k = (2.0 - diagonal / pivots).astype(real)

    @property
    def memory_bytes(self) -> int:
        """Storage beyond the factor that the form was made from, in bytes."""
        return sum(int(a.nbytes) for a in (self._unit, self._root, self._inverse_root, self._k))

    def _apply(self, x: Array, out: Array) -> None:
        t = self._buffer("t" + out.dtype.char, self.shape[0], out.dtype)
        factored.eisenstat_product(self._ptr, self._idx, self._unit, self._k, x, t, out)

    def step(self, r: Array, beta: float, p: Array, out: Array) -> tuple[float, float]:
        """Advance the search direction, ``p <- r + beta p``, and write its product into `out`.

        Parameters
        ----------
        r : ndarray of shape (n,)
            Residual in this system.
        beta : float
            Coefficient of the old direction; 0 in the first step (p must be finite even then).
        p, out : ndarray of shape (n,)
            Direction (changed in place) and its product.

        Returns
        -------
        curvature : float
            The inner product of p and out.
        squared_residual : float
            Squared norm of the residual of the given system that `r` stands for: the stopping test, one step
            late, at no extra pass over the factor.
        """
        t = self._buffer("t" + out.dtype.char, self.shape[0], out.dtype)
        given = self._buffer("r" + out.dtype.char, self.shape[0], out.dtype)
        curvature, squared = factored.eisenstat_step(
            self._ptr,
            self._idx,
            self._unit,
            self._k,
            self._root,
            r,
            out.real.dtype.type(beta),
            p,
            t,
            given,
            out,
        )
        return float(curvature), float(squared)

    def to_hat(self, r: Array, out: Array) -> None:
        """Write C^{-1} r into `out` (may be `r`)."""
        np.multiply(r, self._inverse_root, out=out)
        triangular.solve_upper_scatter(self._ptr, self._idx, self._unit, out, True)

    def from_hat(self, x: Array, out: Array) -> None:
        """Write C^{-H} x into `out` (may be `x`)."""
        if out is not x:
            out[:] = x
        triangular.solve_upper_gather(self._ptr, self._idx, self._given, self._inverse_root, out)

    def residual(self, r: Array, out: Array) -> float:
        """Write the residual C r of the given system into `out` (not `r`); return its squared norm."""
        return float(factored.multiply_upper_adjoint(self._ptr, self._idx, self._unit, self._root, r, out))
