"""Rotated anisotropic diffusion: ``-div(K grad u) = f`` with ``K = R(theta) diag(1, epsilon) R(theta)^T``.

Bilinear (Q1) finite elements on squares give a nine-point stencil. It is written down in closed form: with
the one-dimensional stiffness ``(-1, 2, -1)``, mass ``(1, 4, 1) / 6`` and skew part ``(-1, 0, 1) / 2`` the
matrix is ``K_11 S x M + K_22 M x S - 2 K_12 C x C`` (Kronecker products; the spacing cancels in 2-D).

References
----------
.. [1] U. Trottenberg, C. Oosterlee, A. Schueller, Multigrid, Academic Press 2001 (rotated anisotropy as the
   test that pointwise smoothing and standard coarsening do not pass).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array, diags_array, kron

from ..linalg import CSROperator, Grid
from . import checks
from .base import RNG, Family, Problem

__all__ = ["Anisotropic"]


@dataclass(frozen=True)
class Anisotropic(Family):
    """Rotated anisotropic diffusion on the unit square, nine-point Q1 finite elements, Dirichlet sides.

    Parameters
    ----------
    n : int
        Interior nodes per axis; the spacing is ``1 / (n + 1)``.
    epsilon : float
        Ratio of the weak to the strong diffusion, positive.
    theta : float
        Angle of the strong direction against the first axis, in radians.
    rhs : {"random", "ones"}
        Load per node: standard normal numbers, or the lumped load of ``f = 1``.

    Notes
    -----
    Second order. Unknowns are the interior nodes in C order, node ``(i, j)`` at ``((i + 1) h, (j + 1) h)``.
    ``problem.grid`` numbers them and serves for pictures; its cells are the boxes around the nodes, so the boundary
    lies a whole spacing from the first nodes (the operator itself states no grid).

    Examples
    --------
    >>> problem = Anisotropic(8, epsilon=0.01, theta=0.5).sample(rng=0)
    >>> problem.A.shape, problem.A.positive_definite
    ((64, 64), True)
    """

    family_name: ClassVar[str] = "anisotropic"

    n: int = 64
    epsilon: float = 1e-3
    theta: float = np.pi / 6
    rhs: str = "random"

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("n", checks.integer("n", self.n))
        self._set("epsilon", checks.real("epsilon", self.epsilon, 0.0, above=True))
        self._set("theta", checks.real("theta", self.theta))
        checks.choice("rhs", self.rhs, ("random", "ones"))

    def matrix(self) -> csr_array:
        """Assemble the stiffness matrix, shape ``(n^2, n^2)``."""
        c, s = np.cos(self.theta), np.sin(self.theta)
        k11, k22, k12 = c**2 + self.epsilon * s**2, s**2 + self.epsilon * c**2, (1.0 - self.epsilon) * c * s
        stiffness = _band(self.n, -1.0, 2.0, -1.0)
        mass = _band(self.n, 1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0)
        skew = _band(self.n, -0.5, 0.0, 0.5)
        total = k11 * kron(stiffness, mass) + k22 * kron(mass, stiffness) - 2.0 * k12 * kron(skew, skew)
        result = csr_array(total)
        result.sum_duplicates()
        return result

    def sample(self, rng: RNG = None) -> Problem:
        """Draw a right-hand side; the operator is the same at every draw."""
        A = CSROperator(self.matrix(), symmetric=True, positive_definite=True)
        h = 1.0 / (self.n + 1)
        if self.rhs == "ones":
            b = np.full(self.n**2, h**2)
        else:
            b = np.random.default_rng(rng).standard_normal(self.n**2)
        name = f"anisotropic-{self.epsilon:g}-{self.n}x{self.n}"
        return Problem(A, b, None, Grid((self.n, self.n), h), self.parameters(), name)


def _band(n: int, low: float, middle: float, high: float) -> csr_array:
    """Tridiagonal Toeplitz matrix."""
    values = [np.full(n - 1, low), np.full(n, middle), np.full(n - 1, high)]
    return csr_array(diags_array(values, offsets=[-1, 0, 1], shape=(n, n)))
