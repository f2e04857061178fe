"""Implicit time steps on unstructured meshes: heat and wave sequences.

The Dirichlet part of the boundary is a random contiguous arc (2-D) or patch (3-D) that keeps the initial
values, as in the data of learned preconditioners [1]_; the initial state is a smooth random function scaled
to [-1, 1].

Departures from that source: any of the domains of `generate_mesh` at any size, Crank-Nicolson beside backward
Euler, and Newmark's average acceleration for waves; the right-hand sides are made from exact previous steps.

References
----------
.. [1] Y. Li, P. Y. Chen, T. Du, W. Matusik, Learning preconditioners for conjugate gradient PDE solvers, ICML
  2023.
.. [2] N. Newmark, A method of computation for structural dynamics, J. Eng. Mech. 85, 1959.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ...linalg import CSROperator
from .. import checks
from ..base import RNG, Problem
from ..exact import ReferenceSolver
from ..fields import scattered_field
from .elements import mass_matrix, stiffness_matrix
from .generate import Mesh
from .static import MeshFamily, free_block

__all__ = ["MeshHeat", "MeshWave"]

Floats = npt.NDArray[np.float64]


def _initial_state(mesh: Mesh, rng: np.random.Generator) -> Floats:
    """Smooth random nodal values between -1 and 1."""
    u = scattered_field(mesh.points, length=0.15, rng=rng)
    return np.asarray(2.0 * (u - u.min()) / (u.max() - u.min()) - 1.0)


class _Step:
    """One matrix, many right-hand sides with held values: ``(matrix u)_free = load_free``."""

    def __init__(self, matrix: csr_array, mesh: Mesh, *, exact: bool) -> None:
        self.mesh = mesh
        self.A = CSROperator(free_block(matrix, mesh), symmetric=True, positive_definite=True)
        held = np.zeros(len(mesh.points)) if mesh.values is None else np.where(mesh.held, mesh.values, 0.0)
        self._lift = mesh.restrict(matrix @ held)
        self._solver = ReferenceSolver(self.A.tocsr(), mesh.ndim) if exact else None

    def system(self, load: Floats, guess: Floats) -> tuple[Floats, Floats | None]:
        """Right-hand side and, if wanted, the exact solution."""
        b = self.mesh.restrict(load) - self._lift
        return b, None if self._solver is None else self._solver.solve(b, self.mesh.restrict(guess))


@dataclass(frozen=True)
class MeshHeat(MeshFamily):
    """Implicit heat steps on an unstructured mesh, part of the boundary held (a sequence).

    Parameters
    ----------
    n, dim, domain, jitter, dirichlet
        See `MeshFamily`; the held part keeps the initial values, the rest is insulated.
    dt : float
        Time step.
    steps : int
        Number of systems in a sequence.
    scheme : {"backward-euler", "crank-nicolson"}
        First or second order in time.
    diffusivity : float
        Mean diffusivity; ``dt * diffusivity * n^2`` says how far a step is from the identity.
    variance, length : float
        Variance and correlation length of its logarithm, per cell; variance 0 means constant.

    Notes
    -----
    The systems are ``(M + theta dt K) u_new = (M - (1 - theta) dt K) u_old``. `sequence` yields problems with the
    exact solution in ``x`` and the step before in ``fields["previous"]`` (over all nodes); `sample` is the first of
    them, without ``x``.

    Examples
    --------
    >>> steps = list(MeshHeat(n=6, steps=2).sequence(rng=0))
    >>> len(steps), bool(abs(steps[1].mesh.embed(steps[1].x)).max() <= 1.0)
    (2, True)
    """

    family_name: ClassVar[str] = "mesh-heat"

    dirichlet: Any = (0.3, 0.5)
    dt: float = 1e-2
    steps: int = 10
    scheme: str = "backward-euler"
    diffusivity: float = 1.0
    variance: float = 0.0
    length: float = 0.2

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        super().__post_init__()
        self._set("dt", checks.real("dt", self.dt, 0.0, above=True))
        self._set("steps", checks.integer("steps", self.steps))
        checks.choice("scheme", self.scheme, ("backward-euler", "crank-nicolson"))
        self._set("diffusivity", checks.real("diffusivity", self.diffusivity, 0.0, above=True))
        self._set("variance", checks.real("variance", self.variance, 0.0))
        self._set("length", checks.real("length", self.length, 0.0, above=True))

    def sample(self, rng: RNG = None) -> Problem:
        """Draw the first step of a sequence, without its exact solution."""
        return next(self._march(np.random.default_rng(rng), exact=False))

    def sequence(self, rng: RNG = None) -> Iterator[Problem]:
        """Draw a mesh and an initial state, and yield one system per time step."""
        return self._march(np.random.default_rng(rng), exact=True)

    def _march(self, rng: np.random.Generator, *, exact: bool) -> Iterator[Problem]:
        mesh = self.mesh(rng)
        u = _initial_state(mesh, rng)
        mesh = replace(mesh, values=u)
        middle = mesh.points[mesh.cells].mean(axis=1)
        k = self.diffusivity * np.exp(scattered_field(middle, variance=self.variance, length=self.length, rng=rng))
        M, K = mass_matrix(mesh), stiffness_matrix(mesh, k)
        theta = 1.0 if self.scheme == "backward-euler" else 0.5
        step = _Step(csr_array(M + theta * self.dt * K), mesh, exact=exact)
        facts = self._facts(mesh)
        for number in range(1, self.steps + 1):
            load = M @ u
            if theta < 1.0:
                load -= (1.0 - theta) * self.dt * (K @ u)
            b, x = step.system(load, u)
            parameters = facts | {"step": number, "time": number * self.dt}
            fields = {"coefficient": k, "previous": u}
            name = f"{self._label(mesh)}-step{number}"
            yield Problem(step.A, b, x, None, parameters, name, mesh=mesh, fields=fields)
            if x is None:
                return
            u = mesh.embed(x)


@dataclass(frozen=True)
class MeshWave(MeshFamily):
    """Implicit wave steps (Newmark) on an unstructured mesh, part of the boundary held (a sequence).

    Parameters
    ----------
    n, dim, domain, jitter, dirichlet
        See `MeshFamily`; the held part keeps the initial values, the rest reflects.
    dt : float
        Time step.
    steps : int
        Number of systems in a sequence.
    speed : float
        Wave speed c; ``c * dt * n`` is the number of intervals that a wave runs in a step.

    Notes
    -----
    Average acceleration (beta = 1/4, gamma = 1/2): second order in time, keeps the energy. The systems are ``(M +
    dt^2 c^2 / 4 K) u_new = M (u + dt v + dt^2 a / 4)``; the start is at rest. `sequence` yields problems with the
    exact solution in ``x`` and ``fields["previous"]`` (over all nodes); `sample` is the first of them, without ``x``.

    Examples
    --------
    >>> [problem.parameters["step"] for problem in MeshWave(n=6, steps=2).sequence(rng=0)]
    [1, 2]
    """

    family_name: ClassVar[str] = "mesh-wave"

    dirichlet: Any = (0.5, 0.8)
    dt: float = 5e-2
    steps: int = 10
    speed: float = 1.0

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        super().__post_init__()
        self._set("dt", checks.real("dt", self.dt, 0.0, above=True))
        self._set("steps", checks.integer("steps", self.steps))
        self._set("speed", checks.real("speed", self.speed, 0.0, above=True))

    def sample(self, rng: RNG = None) -> Problem:
        """Draw the first step of a sequence, without its exact solution."""
        return next(self._march(np.random.default_rng(rng), exact=False))

    def sequence(self, rng: RNG = None) -> Iterator[Problem]:
        """Draw a mesh and an initial state, and yield one system per time step."""
        return self._march(np.random.default_rng(rng), exact=True)

    def _march(self, rng: np.random.Generator, *, exact: bool) -> Iterator[Problem]:
        mesh = self.mesh(rng)
        u = _initial_state(mesh, rng)
        mesh = replace(mesh, values=u)
        M, K = mass_matrix(mesh), csr_array(self.speed**2 * stiffness_matrix(mesh))
        quarter = 0.25 * self.dt**2
        step = _Step(csr_array(M + quarter * K), mesh, exact=exact)
        v, a = np.zeros(len(u)), self._start(M, K, u, mesh)
        facts = self._facts(mesh)
        for number in range(1, self.steps + 1):
            guess = u + self.dt * v + quarter * a
            b, x = step.system(M @ guess, guess)
            parameters = facts | {"step": number, "time": number * self.dt}
            name = f"{self._label(mesh)}-step{number}"
            yield Problem(step.A, b, x, None, parameters, name, mesh=mesh, fields={"previous": u})
            if x is None:
                return
            u = mesh.embed(x)
            a, old = (u - guess) / quarter, a
            v = v + 0.5 * self.dt * (old + a)

    @staticmethod
    def _start(M: csr_array, K: csr_array, u: Floats, mesh: Mesh) -> Floats:
        """Solve ``M a = -K u`` on the free nodes for the initial acceleration (zero at held ones)."""
        a = np.zeros(len(u))
        a[mesh.free] = ReferenceSolver(free_block(M, mesh), mesh.ndim).solve(-mesh.restrict(K @ u))
        return a
