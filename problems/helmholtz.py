"""The Helmholtz equation ``-Laplacian u - k^2 u = f`` on the unit square or cube.

With Dirichlet sides the matrix is real, symmetric and, beyond the first eigenvalue, indefinite; the
eigenvalues of the homogeneous box are known in closed form, so the number of negative ones is stated. With
absorbing sides (the impedance condition ``du/dn = i k u``) it is complex and equal to its transpose, not to
its conjugate transpose.

On an absorbing side the value on the face is eliminated: with the outward difference ``(u_f - u) / (h/2) = i
k u_f`` the flux out of a cell is ``-i k u / (1 - i k h / 2)``, second order like the rest.

References
----------
.. [1] O. Ernst, M. Gander, Why it is difficult to solve Helmholtz problems with classical iterative methods,
   Numerical Analysis of Multiscale Problems, Springer 2012.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..linalg import StencilOperator
from . import checks
from .base import RNG, Family, Problem, box
from .fields import gaussian_field

__all__ = ["Helmholtz"]


@dataclass(frozen=True)
class Helmholtz(Family):
    """The Helmholtz equation: real symmetric indefinite (Dirichlet), or complex with absorbing sides.

    Parameters
    ----------
    n : int
        Cells per axis. About ten cells per wave length, ``2 pi n / wavenumber >= 10``, are usual.
    wavenumber : float or (float, float)
        The wave number k, at least zero; a pair draws it from that range at each sample.
    boundary : {"dirichlet", "absorbing"}
        Value zero on all sides, or ``du/dn = i k u``.
    dim : {2, 3}
        Dimension.
    variation : float
        Relative standard deviation of k(x) around `wavenumber` (a smooth random medium); 0 is homogeneous.
    rhs : {"point", "random", "ones"}
        ``"point"``: unit source in the cell at the middle of the box.

    Notes
    -----
    Second order; the phase error grows with ``k^3 h^2``. For a homogeneous Dirichlet box,
    ``parameters["negative_eigenvalues"]`` counts the negative eigenvalues, and `sample` refuses a wave number that is
    an eigenvalue (the matrix is singular then). ``problem.fields["wavenumber"]`` holds k(x).

    Examples
    --------
    >>> problem = Helmholtz(16, wavenumber=10.0).sample(rng=0)
    >>> problem.A.symmetric, problem.A.positive_definite, problem.parameters["negative_eigenvalues"]
    (True, False, 6)
    >>> Helmholtz(16, wavenumber=10.0, boundary="absorbing").sample(rng=0).A.symmetric
    False
    """

    family_name: ClassVar[str] = "helmholtz"

    n: int = 64
    wavenumber: Any = 20.0
    boundary: str = "dirichlet"
    dim: int = 2
    variation: float = 0.0
    rhs: str = "point"

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("n", checks.integer("n", self.n))
        self._set("wavenumber", checks.real_or_range("wavenumber", self.wavenumber, 0.0))
        checks.choice("boundary", self.boundary, ("dirichlet", "absorbing"))
        if self.boundary == "absorbing" and np.min(self.wavenumber) == 0.0:
            raise ValueError("wavenumber is 0 with absorbing sides: wanted a positive one (else nothing is absorbed)")
        self._set("dim", checks.integer("dim", self.dim, 2, 3))
        self._set("variation", checks.real("variation", self.variation, 0.0, 0.5))
        checks.choice("rhs", self.rhs, ("point", "random", "ones"))

    def sample(self, rng: RNG = None) -> Problem:
        """Draw the medium and the right-hand side.

        Raises
        ------
        ValueError
            If the homogeneous Dirichlet operator is singular, i.e. the square of the wave number is an
            eigenvalue.
        """
        rng = np.random.default_rng(rng)
        if isinstance(self.wavenumber, tuple):
            return replace(self, wavenumber=float(rng.uniform(*self.wavenumber))).sample(rng)
        shape = (self.n,) * self.dim
        medium = np.full(shape, self.wavenumber)
        if self.variation:
            field = gaussian_field(shape, alpha=3.0, tau=6.0, sigma=self.variation, rng=rng)
            medium *= np.clip(1.0 + field, 0.25, 1.75)
        parameters = self.parameters()
        if self.wavenumber > 0:
            parameters["cells_per_wavelength"] = 2.0 * np.pi * self.n / self.wavenumber
        if self.boundary == "dirichlet":
            A = StencilOperator.from_coefficient(box(shape), shift=-(medium.ravel() ** 2))
            if not self.variation:
                negative = self._negative_eigenvalues()
                parameters["negative_eigenvalues"] = negative
                A.positive_definite = negative == 0
        else:
            A = StencilOperator.from_coefficient(box(shape, "neumann"), shift=self._absorbing_shift(medium))
        b: Any
        if self.rhs == "point":
            b = np.zeros(shape, dtype=A.dtype)
            b[(self.n // 2,) * self.dim] = float(self.n) ** self.dim
            b = b.ravel()
        elif self.rhs == "ones":
            b = np.ones(A.shape[0], dtype=A.dtype)
        else:
            b = rng.standard_normal(A.shape[0]).astype(A.dtype)
        name = f"helmholtz-{self.boundary}-k{self.wavenumber:g}-" + "x".join(map(str, shape))
        return Problem(A, b, None, A.grid, parameters, name, fields={"wavenumber": medium})

    def _absorbing_shift(self, medium: Any) -> Any:
        """Diagonal ``-k^2`` plus the outflow through the sides, per cell (corners have several sides)."""
        h = 1.0 / self.n
        outflow = -1j * medium / (1.0 - 0.5j * medium * h) / h
        shift = -(medium**2) + 0j
        for axis in range(self.dim):
            for end in (0, -1):
                side = (slice(None),) * axis + (end,)
                shift[side] += outflow[side]
        return shift.ravel()

    def _negative_eigenvalues(self) -> int:
        """Count the negative eigenvalues; the eigenvectors are products of ``sin(j pi x)`` at the centres."""
        one = (2.0 * self.n * np.sin(0.5 * np.pi * np.arange(1, self.n + 1) / self.n)) ** 2
        values = one
        for _ in range(self.dim - 1):
            values = np.add.outer(values, one)
        values = values - self.wavenumber**2
        if (np.abs(values) <= 1e-12 * (self.wavenumber**2 + one[0])).any():
            raise ValueError(
                f"wavenumber is {self.wavenumber!r}: its square is an eigenvalue of the box "
                f"of {self.n} cells per axis, the operator is singular; change it slightly"
            )
        return int((values < 0).sum())
