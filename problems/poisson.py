"""Poisson's equation on a box: ``-Laplacian u = f`` by cell-centred finite volumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..linalg import StencilOperator
from . import checks
from .base import RIGHT_HAND_SIDES, RNG, Family, Problem, box, right_hand_side

__all__ = ["Poisson"]


@dataclass(frozen=True)
class Poisson(Family):
    """Poisson's equation on a box in 2-D or 3-D, with Dirichlet, Neumann, mixed or periodic sides.

    Parameters
    ----------
    shape : tuple of int
        Cells per axis; the longest edge has length one. One number n means ``(n, n)``.
    sides : str or sequence
        As for `ritzkit.linalg.Grid`: ``"dirichlet"``, ``"neumann"``, ``"periodic"``, or one entry per axis,
        each a string or a ``(low, high)`` pair.
    rhs : {"random", "smooth", "ones", "solution"}
        Right-hand side, see `right_hand_side`. Without any Dirichlet side the operator is singular; then the
        constant is declared as its null space and the right-hand side is made consistent.

    Notes
    -----
    Second order in the maximum norm. Values of Dirichlet sides hold on the outer faces, half a cell from the first
    centres.

    Examples
    --------
    >>> problem = Poisson((8, 8)).sample(rng=0)
    >>> problem.A.shape, problem.A.positive_definite
    ((64, 64), True)
    """

    family_name: ClassVar[str] = "poisson"

    shape: tuple[int, ...] = (64, 64)
    sides: Any = "dirichlet"
    rhs: str = "random"

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("shape", checks.box_shape("shape", self.shape))
        self._set("sides", box(self.shape, self.sides).sides)
        checks.choice("rhs", self.rhs, RIGHT_HAND_SIDES)

    def sample(self, rng: RNG = None) -> Problem:
        """Draw a right-hand side; the operator is the same at every draw."""
        grid = box(self.shape, self.sides)
        A = StencilOperator.from_coefficient(grid)
        b, x = right_hand_side(A, self.rhs, np.random.default_rng(rng))
        return Problem(A, b, x, grid, self.parameters(), name="poisson-" + "x".join(map(str, self.shape)))
