"""Boundary value problems on unstructured meshes: Poisson (or variable diffusion) and linear elasticity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array

from ...linalg import CSROperator
from .. import checks
from ..base import RNG, Family, Problem, consistent
from ..fields import scattered_field
from .elements import elasticity_matrix, lame, mass_matrix, rigid_motions, stiffness_matrix
from .generate import DOMAINS, Mesh, generate_mesh

__all__ = ["MeshElasticity", "MeshFamily", "MeshPoisson"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MeshFamily(Family):
    """What the families on meshes share: the mesh and the held part of its boundary.

    Parameters
    ----------
    n : int
        Intervals along the unit edge.
    dim : {2, 3}
        Triangles or tetrahedra.
    domain : {"box", "ell", "ball"}
        See `generate_mesh`.
    jitter : float
        Irregularity of the mesh, see `generate_mesh`.
    dirichlet : float or (float, float)
        Share of the boundary nodes that is held: a random contiguous part (an arc in 2-D); a pair draws the
        share from that range. 1 holds the whole boundary.
    """

    n: int = 16
    dim: int = 2
    domain: str = "box"
    jitter: float = 0.2
    dirichlet: Any = 1.0

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("n", checks.integer("n", self.n, 2))
        self._set("dim", checks.integer("dim", self.dim, 2, 3))
        checks.choice("domain", self.domain, DOMAINS)
        self._set("jitter", checks.real("jitter", self.jitter, 0.0, 0.4))
        self._set("dirichlet", checks.fraction_range("dirichlet", self.dirichlet))

    def mesh(self, rng: RNG = None) -> Mesh:
        """Draw the mesh and the held part of its boundary."""
        rng = np.random.default_rng(rng)
        mesh = generate_mesh(self.n, dim=self.dim, domain=self.domain, jitter=self.jitter, rng=rng)
        return replace(mesh, held=mesh.patch(rng.uniform(*self.dirichlet), rng))

    def _label(self, mesh: Mesh) -> str:
        return f"{self.family_name}-{self.domain}-{self.dim}d-{mesh.size}"

    def _facts(self, mesh: Mesh) -> dict[str, Any]:
        return self.parameters() | {
            "nodes": len(mesh.points),
            "cells": len(mesh.cells),
            "held_nodes": int(mesh.held.sum()),
            "worst_quality": float(mesh.quality().min()),
        }


def free_block(matrix: csr_array, mesh: Mesh) -> csr_array:
    """Rows and columns of the unknowns."""
    if not mesh.held.any():
        return matrix
    return csr_array(matrix[mesh.free][:, mesh.free])


@dataclass(frozen=True)
class MeshPoisson(MeshFamily):
    """Poisson's equation on an unstructured mesh of triangles or tetrahedra, P1 finite elements.

    Parameters
    ----------
    n, dim, domain, jitter, dirichlet
        See `MeshFamily`. The held part has the value zero, the rest no flux. ``dirichlet=0``: pure Neumann,
        singular; the constant is declared and the load made consistent.
    variance, length : float
        Variance and correlation length of log k, a random diffusion coefficient per cell; variance 0 means k
        = 1.
    rhs : {"smooth", "ones", "random"}
        Load of a smooth random source, of the source 1, or independent standard normal entries.

    Notes
    -----
    Second order in L2. ``problem.mesh`` holds the mesh (see `Problem` for a picture of the solution).

    Examples
    --------
    >>> problem = MeshPoisson(n=6).sample(rng=0)
    >>> problem.A.shape, problem.mesh.embed(problem.b).shape
    ((25, 25), (49,))
    """

    family_name: ClassVar[str] = "mesh-poisson"

    variance: float = 0.0
    length: float = 0.2
    rhs: str = "smooth"

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        super().__post_init__()
        self._set("variance", checks.real("variance", self.variance, 0.0))
        self._set("length", checks.real("length", self.length, 0.0, above=True))
        checks.choice("rhs", self.rhs, ("smooth", "ones", "random"))

    def sample(self, rng: RNG = None) -> Problem:
        """Draw a mesh, a coefficient and a load."""
        rng = np.random.default_rng(rng)
        mesh = self.mesh(rng)
        middle = mesh.points[mesh.cells].mean(axis=1)
        k = np.exp(scattered_field(middle, variance=self.variance, length=self.length, rng=rng))
        nullspace = None
        if not mesh.held.any():
            nullspace = csc_array(np.full((mesh.size, 1), mesh.size**-0.5))
        A = CSROperator(
            free_block(stiffness_matrix(mesh, k), mesh),
            symmetric=True,
            positive_definite=True,
            nullspace=nullspace,
        )
        if self.rhs == "random":
            b = rng.standard_normal(mesh.size)
        else:
            ones = self.rhs == "ones"
            source = np.ones(len(mesh.points)) if ones else scattered_field(mesh.points, length=0.2, rng=rng)
            b = mesh.restrict(mass_matrix(mesh) @ source)
        return Problem(
            A,
            consistent(A, b),
            None,
            None,
            self._facts(mesh),
            self._label(mesh),
            mesh=mesh,
            fields={"coefficient": k},
        )


@dataclass(frozen=True)
class MeshElasticity(MeshFamily):
    """Linear elasticity on an unstructured mesh, vector unknowns, P1 finite elements (plane strain in 2-D).

    Parameters
    ----------
    n, dim, domain, jitter, dirichlet
        See `MeshFamily`. The held part is clamped, the rest free of traction. ``dirichlet=0``: a floating
        body; the rigid motions are declared as null space and the load made consistent.
    young, poisson : float
        Young's modulus and Poisson's ratio, the latter in [0, 0.5).
    rhs : {"gravity", "smooth", "random"}
        Load of a unit force against the last axis, of a smooth random force, or independent standard normal
        entries.

    Notes
    -----
    Second order in L2. Unknowns are numbered node by node, component by component; ``problem.mesh.embed(x)`` gives
    the displacements, shape ``(nodes, dim)``.

    Examples
    --------
    >>> problem = MeshElasticity(n=6).sample(rng=0)
    >>> problem.mesh.embed(problem.b).shape, problem.A.positive_definite
    ((49, 2), True)
    """

    family_name: ClassVar[str] = "mesh-elasticity"

    dirichlet: Any = (0.2, 0.4)
    young: float = 1.0
    poisson: float = 0.3
    rhs: str = "gravity"

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        super().__post_init__()
        lame(self.young, self.poisson)
        self._set("young", float(self.young))
        self._set("poisson", float(self.poisson))
        checks.choice("rhs", self.rhs, ("gravity", "smooth", "random"))

    def sample(self, rng: RNG = None) -> Problem:
        """Draw a mesh, its clamped part and a load."""
        rng = np.random.default_rng(rng)
        mesh = replace(self.mesh(rng), components=self.dim)
        nullspace = None if mesh.held.any() else csc_array(rigid_motions(mesh.points))
        stiffness = elasticity_matrix(mesh, self.young, self.poisson)
        A = CSROperator(free_block(stiffness, mesh), symmetric=True, positive_definite=True, nullspace=nullspace)
        if self.rhs == "random":
            b = rng.standard_normal(mesh.size)
        else:
            force = np.zeros((len(mesh.points), self.dim))
            if self.rhs == "gravity":
                force[:, -1] = -1.0
            else:
                for axis in range(self.dim):
                    force[:, axis] = scattered_field(mesh.points, length=0.3, rng=rng)
            b = mesh.restrict(mass_matrix(mesh) @ force)
        return Problem(A, consistent(A, b), None, None, self._facts(mesh), self._label(mesh), mesh=mesh)
