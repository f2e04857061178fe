"""SKR's Thermal and Poisson sets as their released generators build them: one matrix, few right-hand sides.

Both are quadratic finite elements on a fixed mesh with conductivity 1, so every sample has the SAME matrix:

- Thermal: the block with a slot, a temperature on its left side from U(0, 100), a heat flux through its right side from
  U(-100, 0), no flux elsewhere. Two numbers vary: two solves give every sample. (The paper [1]_ speaks of temperatures on
  both sides; the program sets a flux.)
- Poisson: the unit square, five Chebyshev series of degree 5 with coefficients from U(-1, 1): the source and one Dirichlet
  value per side. The program evaluates all of them at the FIRST coordinate, so the series of the two vertical sides are
  constants there: right-hand sides in a space of dimension 20, and 20 solves give every sample.

Departures: the meshes are jittered lattices (the programs use a mesh generator of their own), with sizes near the set's; a
corner of the square has the mean of its two sides' values.

References
----------
.. [1] H. Wang et al., Accelerating data generation for neural operators via Krylov subspace recycling, ICLR 2024; released
   programs: github.com/wanghong1700/NO-DataGen-SKR.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, cast

import numpy as np
import numpy.typing as npt
from numpy.polynomial import chebyshev
from scipy.sparse import csr_array

from ..linalg import CSROperator
from . import checks
from .base import RNG, Family, Problem
from .mesh import Mesh, generate_mesh
from .mesh.quadratic import quadratic
from .mesh.slotted import HALF_WIDTH, MESH_SEED, slotted_block
from .mesh.static import free_block

__all__ = ["SKRPoisson", "SKRThermal"]

Floats = npt.NDArray[np.float64]

DEGREE = 5


@lru_cache(maxsize=4)
def _thermal(n: int) -> tuple[csr_array, Floats, Mesh]:
    """Matrix, the right-hand sides of unit temperature and unit flux (two rows), and the mesh."""
    elements = quadratic(slotted_block(n, rng=MESH_SEED))
    mesh = replace(elements.mesh, held=elements.mesh.points[:, 0] == -HALF_WIDTH)
    stiffness = elements.stiffness()
    flux = elements.flux(lambda middle: middle[:, 0] == HALF_WIDTH)
    loads = np.stack([-(stiffness @ mesh.held.astype(np.float64)), flux])
    return free_block(stiffness, mesh), np.ascontiguousarray(loads[:, mesh.free]), mesh


@dataclass(frozen=True)
class SKRThermal(Family):
    """SKR's Thermal set as released: one matrix, two random boundary numbers, a block with a slot.

    Parameters
    ----------
    n : int
        Mesh intervals per unit length, at least 4. Near the set's sizes 2755, 7821, 11063, 17593, 31157, 70031: n = 21,
        36, 43, 54, 72, 108.

    Notes
    -----
    ``problem.parameters`` holds the two numbers as ``"temperature"`` and ``"flux"``. The solution is a combination of two
    fixed functions. For varying conductivity see `SlottedBlock`.

    Examples
    --------
    >>> problem = SKRThermal(8).sample(rng=0)
    >>> problem.A.symmetric, problem.mesh.ndim
    (True, 2)
    """

    family_name: ClassVar[str] = "skr-thermal"

    n: int = 21

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("n", checks.integer("n", self.n, 4))

    def sample(self, rng: RNG = None) -> Problem:
        """Draw the two numbers."""
        rng = np.random.default_rng(rng)
        temperature, flux = 100.0 * float(rng.uniform()), -100.0 * float(rng.uniform())
        matrix, loads, mesh = _thermal(self.n)
        A = CSROperator(matrix, symmetric=True, positive_definite=True)
        b = temperature * loads[0] + flux * loads[1]
        mesh = replace(mesh, values=np.full(len(mesh.points), temperature))
        facts = {"temperature": temperature, "flux": flux}
        return Problem(A, b, None, None, self.parameters() | facts, f"{self.family_name}-{mesh.size}", mesh=mesh)

    def features(self, problem: Problem) -> Floats:
        """Return the two numbers."""
        return np.array([problem.parameters["temperature"], problem.parameters["flux"]])


@lru_cache(maxsize=4)
def _poisson(n: int) -> tuple[csr_array, Floats, Mesh, Floats]:
    """Matrix, loads of the basis (5 series x 6 polynomials), the mesh, and the held values of the basis."""
    elements = quadratic(generate_mesh(n, rng=MESH_SEED))
    x, y = elements.mesh.points.T
    mesh = replace(elements.mesh, held=(x == 0) | (x == 1) | (y == 0) | (y == 1))
    stiffness = elements.stiffness()
    sides = np.stack([y == 0, x == 1, y == 1, x == 0])
    share = sides / np.maximum(sides.sum(axis=0), 1)
    held = np.zeros((5, DEGREE + 1, len(x)))
    loads = np.zeros((5, DEGREE + 1, mesh.size))
    for k in range(DEGREE + 1):
        one = np.eye(DEGREE + 1)[k]
        loads[0, k] = mesh.restrict(elements.load(lambda p, one=one: chebyshev.chebval(p[..., 0], one)))  # type: ignore[misc]
        for side in range(4):
            held[1 + side, k] = chebyshev.chebval(x, one) * share[side]
            loads[1 + side, k] = -mesh.restrict(stiffness @ held[1 + side, k])
    return free_block(stiffness, mesh), loads, mesh, held


@dataclass(frozen=True)
class SKRPoisson(Family):
    """SKR's Poisson set as released: one matrix, source and sides from random Chebyshev series.

    Parameters
    ----------
    n : int
        Mesh intervals along the unit edge, at least 2; ``(2 n - 1)^2`` unknowns. Near the set's sizes 7153, 11237,
        20245, 45337, 71313: n = 43, 53, 72, 107, 134.

    Notes
    -----
    ``-Laplacian u = f`` on the unit square. ``problem.fields["series"]`` holds the coefficients, shape ``(5, 6)``:
    source, lower, right, upper, left side. Third order in L2.

    Examples
    --------
    >>> problem = SKRPoisson(6).sample(rng=0)
    >>> problem.A.shape, problem.fields["series"].shape
    ((121, 121), (5, 6))
    """

    family_name: ClassVar[str] = "skr-poisson"

    n: int = 30

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("n", checks.integer("n", self.n, 2))

    def sample(self, rng: RNG = None) -> Problem:
        """Draw the five series."""
        series = np.random.default_rng(rng).uniform(-1.0, 1.0, (5, DEGREE + 1))
        matrix, loads, mesh, held = _poisson(self.n)
        # sums in a fixed order: a product by BLAS may depend on the number of threads
        b, values = np.zeros(mesh.size), np.zeros(len(mesh.points))
        for i in range(5):
            for k in range(DEGREE + 1):
                b += series[i, k] * loads[i, k]
                values += series[i, k] * held[i, k]
        A = CSROperator(matrix, symmetric=True, positive_definite=True)
        mesh = replace(mesh, values=values)
        name = f"{self.family_name}-{mesh.size}"
        return Problem(A, b, None, None, self.parameters(), name, mesh=mesh, fields={"series": series})

    def features(self, problem: Problem) -> Floats:
        """Return the coefficients of the five series."""
        return cast(Floats, problem.fields["series"].ravel())
