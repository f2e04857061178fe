"""Implicit steps of the heat equation ``u_t = div(k grad u) + f``: a sequence of related systems.

Cell-centred finite volumes in space, backward Euler or Crank-Nicolson in time. Each step solves

    (1/dt + theta L_new) u_new = (1/dt - (1 - theta) L_old) u_old + f,      theta = 1 or 1/2,

and the right-hand side is made from the exact previous step, so that the systems of a sequence do not depend
on who solves them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..linalg import Grid, StencilOperator
from . import checks
from .base import RNG, Family, Problem, box
from .exact import ReferenceSolver
from .fields import gaussian_field, smooth_field

__all__ = ["Heat"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Heat(Family):
    """Implicit heat steps on a box, variable diffusivity, backward Euler or Crank-Nicolson (a sequence).

    Parameters
    ----------
    shape : tuple of int
        Cells per axis (2-D or 3-D); the longest edge has length one.
    dt : float
        Time step.
    steps : int
        Number of systems in a sequence.
    scheme : {"backward-euler", "crank-nicolson"}
        First or second order in time.
    variance, length : float
        Variance and correlation length of log k; variance 0 means k = 1.
    drift : float
        Angle, in radians per step, by which log k turns from one random field into another one; 0 keeps the
        matrix the same in all steps.
    source : float
        Constant source f.
    sides : str or sequence
        Outer sides, as for `ritzkit.linalg.Grid`.

    Notes
    -----
    `sequence` yields `steps` problems, each with its exact solution in ``x``; ``fields["previous"]`` is the step
    before (the natural initial guess), ``fields["coefficient"]`` the diffusivity. `sample` is the first of them
    without ``x``, which saves the exact solve. Every system is positive definite, whatever the sides.

    Examples
    --------
    >>> steps = list(Heat((8, 8), steps=3).sequence(rng=0))
    >>> len(steps), bool(abs(steps[2].A @ steps[2].x - steps[2].b).max() < 1e-9)
    (3, True)
    """

    family_name: ClassVar[str] = "heat"

    shape: tuple[int, ...] = (64, 64)
    dt: float = 1e-2
    steps: int = 10
    scheme: str = "backward-euler"
    variance: float = 1.0
    length: float = 0.1
    drift: float = 0.0
    source: float = 0.0
    sides: Any = "dirichlet"

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("shape", checks.box_shape("shape", self.shape))
        self._set("dt", checks.real("dt", self.dt, 0.0, above=True))
        self._set("steps", checks.integer("steps", self.steps))
        checks.choice("scheme", self.scheme, ("backward-euler", "crank-nicolson"))
        self._set("variance", checks.real("variance", self.variance, 0.0))
        self._set("length", checks.real("length", self.length, 0.0, above=True))
        self._set("drift", checks.real("drift", self.drift))
        self._set("source", checks.real("source", self.source))
        self._set("sides", box(self.shape, self.sides).sides)

    def sample(self, rng: RNG = None) -> Problem:
        """Draw the first step of a sequence, without its exact solution."""
        return next(self._march(np.random.default_rng(rng), exact=False))

    def sequence(self, rng: RNG = None) -> Iterator[Problem]:
        """Draw a diffusivity and an initial state, and yield one system per time step."""
        return self._march(np.random.default_rng(rng), exact=True)

    def _march(self, rng: np.random.Generator, *, exact: bool) -> Iterator[Problem]:
        grid = box(self.shape, self.sides)
        u = gaussian_field(self.shape, alpha=4.0, tau=5.0, sigma=1.0, rng=rng).ravel()
        ends = [smooth_field(self.shape, variance=self.variance, length=self.length, rng=rng) for _ in range(2)]
        theta = 1.0 if self.scheme == "backward-euler" else 0.5
        A: StencilOperator | None = None
        solver: ReferenceSolver | None = None
        k = self._diffusivity(ends, 0)
        for step in range(1, self.steps + 1):
            old, k = k, self._diffusivity(ends, step)
            if A is None or self.drift:
                A = StencilOperator.from_coefficient(grid, theta * k, shift=1.0 / self.dt)
                solver = None
            b = self._load(grid, u, old, theta)
            if exact and solver is None:
                solver = ReferenceSolver(A.tocsr(), grid.ndim)
            x = solver.solve(b, u) if solver is not None else None
            parameters = self.parameters() | {"step": step, "time": step * self.dt}
            name = f"heat-{'x'.join(map(str, self.shape))}-step{step}"
            yield Problem(A, b, x, grid, parameters, name, fields={"coefficient": k, "previous": u})
            if x is None:
                return
            u = x

    def _diffusivity(self, ends: list[Floats], step: int) -> Floats:
        angle = self.drift * step
        return np.asarray(np.exp(np.cos(angle) * ends[0] + np.sin(angle) * ends[1]))

    def _load(self, grid: Grid, u: Floats, k: Floats, theta: float) -> Floats:
        b = u / self.dt + self.source
        if theta < 1.0:
            b -= StencilOperator.from_coefficient(grid, (1.0 - theta) * k) @ u
        return np.asarray(b)
