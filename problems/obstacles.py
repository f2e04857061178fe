"""Poisson and diffusion around internal obstacles on voxel grids, random ones and the user's own.

Obstacles are whole cells. The surface of a Dirichlet obstacle holds the value zero; a no-flux obstacle lets
nothing through, so a wall of one cell separates. Fluid that no-flux obstacles enclose (a pocket without any
Dirichlet face) is a singular component of its own: the operator declares the indicator of each as a null
vector, and right-hand sides are made orthogonal to all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..linalg import Cell, Grid, StencilOperator
from . import checks, geometry
from .base import RIGHT_HAND_SIDES, RNG, Family, Problem, box, consistent, right_hand_side

__all__ = ["Obstacles", "from_cells"]


@dataclass(frozen=True)
class Obstacles(Family):
    """Poisson's equation around voxel obstacles: balls, boxes, capsules, thin walls, combs, porous noise.

    Parameters
    ----------
    shape : tuple of int
        Cells per axis (2-D or 3-D); the longest edge has length one.
    kind : {"balls", "boxes", "capsules", "walls", "comb", "porous", "mixed"}
        ``"walls"``: one-cell walls, each with one gap. ``"comb"``: one-cell teeth from alternating sides.
        ``"porous"``: thresholded noise, with enclosed pockets. ``"mixed"``: a union of several kinds.
    obstacle : {"noflux", "dirichlet"}
        What holds on the surface of the obstacles.
    sides : str or sequence
        Outer sides, as for `ritzkit.linalg.Grid`.
    count : int, optional
        Number of balls, boxes, capsules, walls or teeth; None takes a number that suits the kind
        (`geometry.COUNTS`; in 3-D four times as many bodies; fewer walls and teeth on grids without room for
        them).
    size : (float, float)
        Range of radii and half-widths, as fractions of the shortest side.
    gap : int
        Width of the gaps of walls and combs, in cells.
    fraction : float
        Solid fraction of porous noise.
    grain : float
        Smoothing length of porous noise, as a fraction of the shortest side.
    rhs : {"random", "smooth", "ones", "solution"}
        Right-hand side, see `right_hand_side`.

    Examples
    --------
    >>> problem = Obstacles((16, 16), "comb", count=3, gap=2).sample(rng=0)
    >>> problem.A.shape[0], problem.grid.size
    (214, 214)
    """

    family_name: ClassVar[str] = "obstacles"

    shape: tuple[int, ...] = (64, 64)
    kind: str = "balls"
    obstacle: str = "noflux"
    sides: Any = "dirichlet"
    count: int | None = None
    size: tuple[float, float] = (0.05, 0.15)
    gap: int = 2
    fraction: float = 0.4
    grain: float = 0.03
    rhs: str = "random"

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("shape", checks.box_shape("shape", self.shape, low=2))
        checks.choice("kind", self.kind, geometry.KINDS)
        checks.choice("obstacle", self.obstacle, ("noflux", "dirichlet"))
        self._set("sides", box(self.shape, self.sides).sides)
        if self.count is not None:
            self._set("count", checks.integer("count", self.count, 0))
        self._set("size", checks.fraction_range("size", self.size))
        checks.real("size[0]", self.size[0], 0.0, above=True)
        self._set("gap", checks.integer("gap", self.gap, 1))
        self._set("fraction", checks.real("fraction", self.fraction, 0.0, 1.0, below=True))
        self._set("grain", checks.real("grain", self.grain, 0.0, 1.0))
        checks.choice("rhs", self.rhs, RIGHT_HAND_SIDES)

    def solid(self, rng: RNG = None) -> npt.NDArray[np.bool_]:
        """Draw the geometry alone: True where a cell belongs to an obstacle."""
        rng = np.random.default_rng(rng)
        count = geometry.COUNTS[self.kind] if self.count is None else self.count
        if self.count is None and self.kind in ("walls", "comb"):
            count = min(count, (self.shape[0] - 1) // 4)
        elif self.count is None and len(self.shape) == 3:
            count *= 4  # the same radii fill less of a box of more dimensions
        if self.kind == "walls":
            return geometry.walls(self.shape, rng, count, self.gap)
        if self.kind == "comb":
            return geometry.comb(self.shape, rng, count, self.gap)
        if self.kind == "porous":
            return geometry.porous(self.shape, rng, self.fraction, self.grain)
        if self.kind == "mixed":
            return geometry.mixed(self.shape, rng, count, self.size, self.gap)
        maker = {"balls": geometry.balls, "boxes": geometry.boxes, "capsules": geometry.capsules}[self.kind]
        return maker(self.shape, rng, count, self.size)

    def sample(self, rng: RNG = None) -> Problem:
        """Draw obstacles and a right-hand side.

        Raises
        ------
        ValueError
            If the obstacles fill the whole box.
        """
        rng = np.random.default_rng(rng)
        solid = self.solid(rng)
        if solid.all():
            raise ValueError("the obstacles fill the whole box: use a smaller size, count or fraction")
        code = Cell.NOFLUX if self.obstacle == "noflux" else Cell.DIRICHLET
        grid = box(self.shape, self.sides, np.where(solid, code, Cell.INTERIOR).astype(np.uint8))
        A = StencilOperator.from_coefficient(grid)
        b, x = right_hand_side(A, self.rhs, rng)
        pockets = 0 if A.nullspace is None else A.nullspace.shape[1]
        parameters = self.parameters() | {"unknowns": grid.size, "singular_components": pockets}
        name = f"obstacles-{self.kind}-{self.obstacle}-" + "x".join(map(str, self.shape))
        return Problem(A, b, x, grid, parameters, name)


def from_cells(
    cells: npt.ArrayLike,
    *,
    coefficient: npt.ArrayLike | None = None,
    sides: Any = "dirichlet",
    b: npt.ArrayLike | None = None,
) -> Problem:
    """Make a diffusion problem ``-div(k grad u) = b`` from a user's own voxel geometry.

    Parameters
    ----------
    cells : array_like of int or bool
        2-D or 3-D array of `ritzkit.linalg.Cell` codes: 0 interior, 1 Dirichlet obstacle, 2 no-flux obstacle.
        (A boolean mask is refused: say which kind of obstacle it is, for example ``np.where(mask,
        Cell.NOFLUX, 0)``.)
    coefficient : array_like, optional
        k per cell, of the shape of `cells`, positive and finite in the interior cells (what stands in
        obstacles is not looked at). None means one.
    sides : str or sequence
        Outer sides, as for `ritzkit.linalg.Grid`.
    b : array_like, optional
        Right-hand side per unit volume: one value per unknown (interior cells in C order), or an array of the
        shape of `cells`. None means ones. It is taken as given; if a singular component makes it
        inconsistent, the solvers say so.

    Returns
    -------
    Problem
        Cells have unit side length; unknowns are the interior cells in C order. Without `b`, the ones are
        made orthogonal to the declared null space (nothing is left in a closed box).

    Raises
    ------
    TypeError
        If an argument has a type that cannot be right (text, complex numbers, fractions as cell codes, ...).
    ValueError
        If a shape does not fit, a code is unknown, no cell is interior, a coefficient is not positive and
        finite, or `b` holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> cells = np.zeros((4, 4), np.uint8)
    >>> cells[1:3, 2] = 2
    >>> problem = from_cells(cells)
    >>> problem.A.shape, problem.A.symmetric
    ((14, 14), True)
    """
    codes = np.asarray(cells)
    if codes.dtype == bool:
        raise TypeError(
            "cells has dtype bool: wanted Cell codes; say what the obstacles are, for example "
            "np.where(mask, Cell.NOFLUX, Cell.INTERIOR)"
        )
    if codes.dtype.kind not in "iu":
        raise TypeError(f"cells has dtype {codes.dtype}: wanted whole numbers (Cell codes 0, 1, 2, for example uint8)")
    if codes.ndim not in (2, 3):
        raise ValueError(f"cells has {codes.ndim} axes: wanted a 2-D or 3-D array")
    if codes.size == 0:
        raise ValueError(f"cells has shape {codes.shape}: wanted at least one cell along every axis")
    wrong = (codes < 0) | (codes > max(Cell))
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"cells holds the code {codes[where]} at {where}: wanted 0 (interior), 1 (Dirichlet), 2 (no-flux)"
        )
    if not (codes == Cell.INTERIOR).any():
        raise ValueError("cells holds no interior cell (code 0): there is nothing to solve for")
    grid = Grid(codes.shape, 1.0, sides, codes.astype(np.uint8))
    k = None if coefficient is None else _coefficient(coefficient, grid)
    A = StencilOperator.from_coefficient(grid, k)
    rhs = consistent(A, np.ones(grid.size)) if b is None else _load(b, grid)
    pockets = 0 if A.nullspace is None else A.nullspace.shape[1]
    parameters: dict[str, Any] = {
        "family": "cells",
        "shape": grid.shape,
        "sides": grid.sides,
        "unknowns": grid.size,
        "singular_components": pockets,
    }
    fields = {} if k is None else {"coefficient": k}
    return Problem(A, rhs, None, grid, parameters, "cells-" + "x".join(map(str, grid.shape)), fields=fields)


def _reals(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} has dtype {array.dtype}: wanted real numbers")
    return array.astype(np.float64)


def _coefficient(values: npt.ArrayLike, grid: Grid) -> npt.NDArray[np.float64]:
    k = _reals("coefficient", values)
    if k.shape != grid.shape:
        raise ValueError(f"coefficient has shape {k.shape}: wanted the shape of cells, {grid.shape}")
    wrong = ~(np.isfinite(k) & (k > 0)) & grid.interior
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"coefficient is {k[where]:g} at {where}: wanted positive, finite values in every interior cell"
        )
    return k


def _load(values: npt.ArrayLike, grid: Grid) -> npt.NDArray[np.float64]:
    b = _reals("b", values)
    if b.shape == grid.shape:
        b = grid.restrict(b)
    if b.shape != (grid.size,):
        raise ValueError(
            f"b has shape {b.shape}: wanted ({grid.size},), one value per interior cell in C order, "
            f"or the shape of cells, {grid.shape}"
        )
    if not np.isfinite(b).all():
        raise ValueError(f"b holds {int((~np.isfinite(b)).sum())} NaN or infinite values: wanted finite ones")
    return b
