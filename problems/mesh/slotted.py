"""The block with a slot, a domain with a hole, and heat conduction in it with a random conductivity.

The block is ``[-0.5, 0.5] x [-0.8, 0.8]``, the slot ``[-0.05, 0.05] x [-0.4, 0.4]`` in its middle is cut out; it is the
domain of SKR's thermal set [1]_. The mesh is the Delaunay triangulation of a jittered lattice whose lines include the
sides of the slot; that it fills the domain is checked by area.

References
----------
.. [1] H. Wang et al., Accelerating data generation for neural operators via Krylov subspace recycling, ICLR 2024.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ...linalg import CSROperator
from .. import checks
from ..base import RNG, Family, Problem
from ..fields import scattered_field
from .generate import Mask, Mesh, _triangulate
from .quadratic import QuadraticMesh, quadratic

__all__ = ["SlottedBlock", "slotted_block"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

HALF_WIDTH, HALF_HEIGHT, SLOT_WIDTH, SLOT_HEIGHT = 0.5, 0.8, 0.05, 0.4
AREA = 4.0 * (HALF_WIDTH * HALF_HEIGHT - SLOT_WIDTH * SLOT_HEIGHT)
MESH_SEED = 20240
MODES = 128


def _ticks(inner: float, outer: float, n: int) -> Floats:
    """Lattice lines from -outer to outer, those of the slot included, about n per unit length."""
    side = np.linspace(inner, outer, max(round((outer - inner) * n), 1) + 1)
    middle = np.linspace(-inner, inner, max(round(2.0 * inner * n), 1) + 1)
    return np.concatenate([-side[::-1], middle[1:-1], side])


def slotted_block(n: int, *, jitter: float = 0.2, rng: RNG = None) -> Mesh:
    """Mesh the block with a slot.

    Parameters
    ----------
    n : int
        Intervals per unit length, at least 4.
    jitter : float
        Largest displacement of a node inside the domain, as a share of the spacing; between 0 and 0.3.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    Mesh
        Triangles; no node is held.

    Raises
    ------
    ArithmeticError
        If the triangulation does not fill the domain (a jitter that is too large for a coarse mesh).

    Examples
    --------
    >>> mesh = slotted_block(10, rng=0)
    >>> round(float(mesh.volumes.sum()), 12)
    1.52
    """
    n = checks.integer("n", n, 4)
    jitter = checks.real("jitter", jitter, 0.0, 0.3)
    rng = np.random.default_rng(rng)
    x, y = _ticks(SLOT_WIDTH, HALF_WIDTH, n), _ticks(SLOT_HEIGHT, HALF_HEIGHT, n)
    points = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    size = np.abs(points)
    in_slot = (size[:, 0] < SLOT_WIDTH * (1 - 1e-9)) & (size[:, 1] < SLOT_HEIGHT * (1 - 1e-9))
    points, size = points[~in_slot], size[~in_slot]
    on_slot = (size[:, 0] <= SLOT_WIDTH * (1 + 1e-9)) & (size[:, 1] <= SLOT_HEIGHT * (1 + 1e-9))
    fixed = on_slot | (size[:, 0] == HALF_WIDTH) | (size[:, 1] == HALF_HEIGHT)
    smallest = min(np.diff(x).min(), np.diff(y).min())
    step = rng.uniform(-jitter * smallest, jitter * smallest, points.shape)
    points = points + np.where(fixed[:, None], 0.0, step)
    cells = _triangulate(points, "box", n)
    middle = np.abs(points[cells].mean(axis=1))
    cells = cells[~((middle[:, 0] < SLOT_WIDTH) & (middle[:, 1] < SLOT_HEIGHT))]
    mesh = Mesh(points, cells)
    if abs(mesh.volumes.sum() - AREA) > 1e-10:
        raise ArithmeticError(f"no valid mesh of the slotted block with n={n} was found: use a smaller jitter")
    return mesh


@dataclass(frozen=True, eq=False)
class _System:
    """What all draws on one mesh share: numbering, pattern, and where each entry of an element matrix goes."""

    elements: QuadraticMesh
    mesh: Mesh
    right: Mask
    middle: Floats
    local: Floats
    indptr: Ints
    indices: Ints
    place: npt.NDArray[np.intp]
    pulls: Floats

    def assemble(self, k: Floats, left: float, right: float) -> tuple[csr_array, Floats]:
        """Assemble matrix and right-hand side; entries are summed element by element, so the matrix is symmetric."""
        size = self.mesh.size
        data = np.bincount(self.place, (k[:, None, None] * self.local).ravel(), self.indices.size + 1)[:-1]
        matrix = csr_array((data, self.indices.copy(), self.indptr.copy()), shape=(size, size))
        pull = k[:, None] * (left * self.pulls[0] + right * self.pulls[1])
        load = np.bincount(self.elements.cells.ravel(), pull.ravel(), len(self.mesh.points))
        return matrix, np.asarray(-load[self.mesh.free], dtype=np.float64)


@lru_cache(maxsize=4)
def _system(n: int, jitter: float) -> _System:
    """Prepare the one mesh of a family: the same at every draw."""
    elements = quadratic(slotted_block(n, jitter=jitter, rng=MESH_SEED))
    x = elements.mesh.points[:, 0]
    mesh = replace(elements.mesh, held=np.abs(x) == HALF_WIDTH)
    local, cells = elements.element_matrices(), elements.cells
    number = np.full(len(x), -1, dtype=np.int64)
    number[mesh.free] = np.arange(mesh.size)
    rows, columns = np.repeat(number[cells], 6, axis=1).ravel(), np.tile(number[cells], (1, 6)).ravel()
    inside = (rows >= 0) & (columns >= 0)
    keys, slots = np.unique((rows * mesh.size + columns)[inside], return_inverse=True)
    place = np.full(rows.size, keys.size)  # what belongs to held nodes goes behind the last entry
    place[inside] = slots
    indptr = np.searchsorted(keys, np.arange(mesh.size + 1) * mesh.size).astype(np.int32)
    sides = [(x == -HALF_WIDTH).astype(np.float64), (x == HALF_WIDTH).astype(np.float64)]
    pulls = np.stack([np.einsum("cab,cb->ca", local, side[cells]) for side in sides])
    middle = elements.corners.points[elements.corners.cells].mean(axis=1)
    return _System(elements, mesh, x > 0, middle, local, indptr, (keys % mesh.size).astype(np.int32), place, pulls)


@dataclass(frozen=True)
class SlottedBlock(Family):
    """Heat conduction in a block with a slot, random conductivity, quadratic finite elements.

    Parameters
    ----------
    n : int
        Intervals per unit length, at least 4; 20 gives 2442 unknowns.
    variance, length : float
        Variance and correlation length of log k, a random conductivity per element; variance 0 means k = 1.
    jitter : float
        Irregularity of the mesh, see `slotted_block`.

    Notes
    -----
    ``-div(k grad u) = 0``; the left side has a temperature from U(-100, 0), the right side one from U(0, 100), the
    others are insulated. The mesh is the same at every draw, so the pattern of the matrix is. Third order in L2.
    ``problem.fields["coefficient"]`` holds k per element.

    Examples
    --------
    >>> problem = SlottedBlock(8).sample(rng=0)
    >>> problem.A.positive_definite, problem.mesh.embed(problem.b).shape == (len(problem.mesh.points),)
    (True, True)
    """

    family_name: ClassVar[str] = "slotted-block"

    n: int = 20
    variance: float = 1.0
    length: float = 0.2
    jitter: float = 0.2

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("n", checks.integer("n", self.n, 4))
        self._set("variance", checks.real("variance", self.variance, 0.0))
        self._set("length", checks.real("length", self.length, 0.0, above=True))
        self._set("jitter", checks.real("jitter", self.jitter, 0.0, 0.3))

    def sample(self, rng: RNG = None) -> Problem:
        """Draw the conductivity and the two temperatures."""
        rng = np.random.default_rng(rng)
        system = _system(self.n, self.jitter)
        left, right = float(rng.uniform(-100.0, 0.0)), float(rng.uniform(0.0, 100.0))
        field = scattered_field(system.middle, variance=self.variance, length=self.length, modes=MODES, rng=rng)
        k = np.exp(field)
        matrix, b = system.assemble(k, left, right)
        mesh = replace(system.mesh, values=np.where(system.right, right, left))
        A = CSROperator(matrix, symmetric=True, positive_definite=True)
        facts: dict[str, Any] = {"left": left, "right": right}
        name = f"{self.family_name}-{mesh.size}"
        return Problem(A, b, None, None, self.parameters() | facts, name, mesh=mesh, fields={"coefficient": k})

    def features(self, problem: Problem) -> Floats:
        """Logarithm of the conductivity: what the matrix depends on."""
        return cast(Floats, np.log(problem.fields["coefficient"]))
