"""Coefficients of single levels, and where the unknowns stand.

Odd sizes are padded: by a solid cell at the end, or on a periodic axis by a cell in the middle of the joining face,
coupled twice as strongly to both its neighbours. Eliminating that cell gives the given operator back, and since its part
of a right-hand side is zero, the cycle stays a symmetric positive definite map between the unknowns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ....linalg import Grid, StencilOperator
from ....linalg.kernels import multigrid_codes as codes
from ....linalg.kernels import multigrid_setup as setup
from ....linalg.operators.faces import uniform_code

__all__ = ["Coded", "Level", "Runs", "box", "coded_level", "even", "finest_level", "grid_field", "pad", "wraps_of"]

Array = npt.NDArray[Any]
Triple = tuple[int, int, int]


def even(n: int) -> int:
    """Return the cells that are stored along an axis of `n`."""
    return n + n % 2 if n > 1 else 1


@dataclass
class Level:
    """Coefficients of one level in natural order."""

    g: tuple[Array, Array, Array]
    link: Array  # the whole diagonal on the finest level
    mass: Array
    finest: bool = False
    factors: Triple = (1, 1, 1)

    @property
    def shape(self) -> Triple:
        """Cells per axis."""
        return cast(Triple, self.link.shape)

    def diagonal(self) -> Array:
        """Return the diagonal of the level's operator."""
        if self.finest:
            return self.link
        g0, g1, g2 = self.g
        total = self.link + self.mass + g0[:-1] + g0[1:] + g1[:, :-1] + g1[:, 1:] + g2[:, :, :-1] + g2[:, :, 1:]
        return total

    def coarsened(self, factors: Triple, scale: float) -> Level:
        """Return the next level, in units of ``1 / scale``."""
        self.factors = factors
        coarse = empty_level(self.shape, factors)
        setup.coarsen(
            self.finest, scale, *factors, *self.g, self.link, self.mass, *coarse.g, coarse.link, coarse.mass
        )  # fmt: skip
        return coarse


@dataclass
class Coded:
    """The finest level of a 0/1 geometry: its diagonal in units of the one conductance, one byte per cell."""

    code: Array
    conductance: float
    shift: float  # in the same units
    wraps: tuple[bool, bool, bool]
    factors: Triple = (1, 1, 1)

    @property
    def shape(self) -> Triple:
        """Cells per axis."""
        return cast(Triple, self.code.shape)

    def coarsened(self, factors: Triple, scale: float) -> Level:
        """Return the next level, in units of the conductance."""
        self.factors = factors
        coarse = empty_level(self.shape, factors)
        codes.coarsen(*factors, self.wraps, self.shift, self.code, *coarse.g, coarse.link, coarse.mass)
        return coarse


def empty_level(shape: Triple, factors: Triple) -> Level:
    """Return a level of zeros, `factors` times as coarse as `shape`."""
    coarse = tuple(-(-n // k) for n, k in zip(shape, factors, strict=True))
    g = [np.zeros(tuple(n + (a == axis) for a, n in enumerate(coarse))) for axis in range(3)]
    return Level((g[0], g[1], g[2]), np.zeros(coarse), np.zeros(coarse))


@dataclass(frozen=True)
class Runs:
    """Where the unknowns stand: runs of interior cells, row by row."""

    shape1: int
    heads: Array
    starts: Array
    sources: Array
    lengths: Array

    @classmethod
    def of(cls, grid: Grid) -> Runs:
        """Find the runs of a grid."""
        n0, n1, n2 = box(grid)
        rows = n0 * n1
        if grid.cells is None:
            heads = np.arange(rows + 1)
            return cls(n1, *_unsigned(heads, np.zeros(rows, np.int64), heads[:-1] * n2, np.full(rows, n2)))
        cells = grid.cells.reshape(rows, n2)
        heads = np.empty(rows + 1, np.int64)
        setup.count_runs(cells, heads)
        starts, sources, lengths = (np.empty(int(heads[-1]), np.int64) for _ in range(3))
        setup.list_runs(cells, starts, sources, lengths)
        return cls(n1, *_unsigned(heads, starts, sources, lengths))

    def arrays(self) -> tuple[Array, ...]:
        """Return what the kernels take."""
        return self.heads, self.starts, self.sources, self.lengths


def _unsigned(*arrays: Array) -> list[Array]:
    return [array.view(np.uint64) for array in arrays]


def box(grid: Grid) -> Triple:
    """Return the shape of a grid with three axes."""
    return cast(Triple, grid.shape if grid.ndim == 3 else (1, *grid.shape))


def wraps_of(grid: Grid) -> tuple[bool, bool, bool]:
    """Say which of three axes are periodic (of more than one cell: a cell is not its own neighbour)."""
    periodic = [side[0] == "periodic" and n > 1 for side, n in zip(grid.sides, grid.shape, strict=True)]
    return cast(tuple[bool, bool, bool], tuple([False] * (3 - grid.ndim) + periodic))


def coded_level(A: StencilOperator) -> Coded | None:
    """Return an operator as byte codes; None if it has more than one conductance, or an odd number of cells on a loop."""
    grid = cast(Grid, A.grid)
    c, shift = float(A._c), np.asarray(A.shift, dtype=np.float64)
    wraps = wraps_of(grid)
    if c == 0.0 or shift.ndim or any(wrap and n > 1 and n % 2 for wrap, n in zip(wraps, box(grid), strict=True)):
        return None
    if grid.cells is None:
        usual = {"dirichlet": 2.0 * c, "neumann": 0.0, "periodic": c}
        for given, pair in zip(A._outer, grid.sides, strict=True):
            if any(value != usual[side] for value, side in zip(given, pair, strict=True)):
                return None
    code = A._code if A._code.size else uniform_code(grid)[0]
    units = max(float(shift), 0.0) / c
    if units > 0.0 and np.count_nonzero(code) < grid.size:  # the shift is all that an isolated cell has
        return None
    return Coded(code.reshape(box(grid)), c, units, wraps)


def finest_level(A: StencilOperator, faces: tuple[Array, ...] | None = None) -> Level:
    """Return the coefficients of an operator as a level (`faces`, if known); a negative part of the shift is left out."""
    grid = cast(Grid, A.grid)
    g0, g1, g2, diagonal = A._faces if faces is None else faces
    shift = np.asarray(A.shift, dtype=np.float64)
    if (shift < 0).any():
        diagonal = diagonal - grid_field(grid, np.broadcast_to(np.minimum(shift, 0.0), (grid.size,)))
        shift = np.maximum(shift, 0.0)
    mass = np.full((1, 1, 1), float(shift)) if shift.ndim == 0 else grid_field(grid, shift)
    return Level((g0, g1, g2), diagonal, mass, finest=True)


def grid_field(grid: Grid, values: Array) -> Array:
    """Spread values of unknowns over the box, zero in obstacles."""
    return grid.embed(values, 0.0).reshape(box(grid))


def pad(level: Level, wraps: tuple[bool, bool, bool]) -> Level:
    """Make the number of cells even on periodic axes."""
    for axis in range(3):
        if wraps[axis] and level.shape[axis] > 1 and level.shape[axis] % 2:
            level = pad_periodic(level, axis)
    return level


def pad_periodic(level: Level, axis: int) -> Level:
    """Put a cell in the middle of the joining face of a periodic axis."""
    n = level.shape[axis]
    at = [slice(None)] * 3

    def part(index: Any) -> tuple[Any, ...]:
        return (*at[:axis], index, *at[axis + 1 :])

    grown = []
    for a, faces in enumerate(level.g):
        width = [(0, 0)] * 3
        width[axis] = (0, 1)
        new = np.pad(faces, width)
        if a == axis:
            for face in (0, n, n + 1):
                new[part(face)] = 2.0 * faces[part(0)]
        grown.append(new)
    width = [(0, 0)] * 3
    width[axis] = (0, 1)
    mass = level.mass
    if mass.shape != level.shape:
        mass = np.where(level.link != 0, mass.item(), 0.0)
    link = np.pad(level.link, width)
    if level.finest:
        join = level.g[axis][part(0)]
        link[part(n)] = 4.0 * join
        link[part(0)] += join
        link[part(n - 1)] += join
    return Level((grown[0], grown[1], grown[2]), link, np.pad(mass, width), level.finest)
