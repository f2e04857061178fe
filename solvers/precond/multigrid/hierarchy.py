"""Levels of the structured-grid multigrid: sizes, coefficients, coarsest inverse, all in flat arrays.

Coarsening halves every axis along which neighbours are coupled about as strongly as along the strongest axis; strongly
anisotropic coefficients are coarsened along the strong axes alone. An axis along which many coarse cells would have a
thin wall inside, whose two sides one value cannot tell apart, is left as it is, too.

Odd sizes are padded: by a solid cell at the end, or on a periodic axis by a cell in the middle of the joining face,
coupled twice as strongly to both its neighbours. Eliminating that cell gives the given operator back, and since its part
of a right-hand side is zero, the cycle stays a symmetric positive definite map between the unknowns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ....linalg import Grid, StencilOperator
from ....linalg.kernels import multigrid as kernels
from ....linalg.kernels import multigrid_setup as setup

__all__ = ["Hierarchy", "Level", "Runs"]

Array = npt.NDArray[Any]
Triple = tuple[int, int, int]
WEAK = 0.3  # an axis coupled less than this part of the strongest one is not coarsened
WALLED = (
    0.15  # nor one along which more than this part of the coarse cells would have a wall inside, while there is another
)
LARGEST = 400  # level that is solved exactly rather than to coarsen across walls


@dataclass
class Level:
    """Coefficients of one level in natural order."""

    g: tuple[Array, Array, Array]
    link: Array  # the whole diagonal on the finest level
    mass: Array
    finest: bool = False

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
            return cls(n1, heads, np.zeros(rows, np.int64), heads[:-1] * n2, np.full(rows, n2))
        cells = grid.cells.reshape(rows, n2)
        heads = np.empty(rows + 1, np.int64)
        setup.count_runs(cells, heads)
        starts, sources, lengths = (np.empty(int(heads[-1]), np.int64) for _ in range(3))
        setup.list_runs(cells, starts, sources, lengths)
        return cls(n1, heads, starts, sources, lengths)

    def arrays(self) -> tuple[Array, ...]:
        """Return what the kernels take."""
        return self.heads, self.starts, self.sources, self.lengths


def box(grid: Grid) -> Triple:
    """Return the shape of a grid with three axes."""
    return cast(Triple, grid.shape if grid.ndim == 3 else (1, *grid.shape))


def wraps_of(grid: Grid) -> tuple[bool, bool, bool]:
    """Say which of three axes are periodic."""
    periodic = [side[0] == "periodic" for side in grid.sides]
    return cast(tuple[bool, bool, bool], tuple([False] * (3 - grid.ndim) + periodic))


def finest_level(A: StencilOperator) -> Level:
    """Return the coefficients of an operator as a level; a negative part of the shift is left out."""
    grid = cast(Grid, A.grid)
    g0, g1, g2, diagonal = A._faces
    shift = np.asarray(A.shift, dtype=np.float64)
    if (shift < 0).any():
        diagonal = diagonal - grid_field(grid, np.broadcast_to(np.minimum(shift, 0.0), (grid.size,)))
        shift = np.maximum(shift, 0.0)
    mass = np.full((1, 1, 1), float(shift)) if shift.ndim == 0 else grid_field(grid, shift)
    return Level((g0, g1, g2), diagonal, mass, finest=True)


def grid_field(grid: Grid, values: Array) -> Array:
    """Spread values of unknowns over the box, zero in obstacles."""
    return grid.embed(values, 0.0).reshape(box(grid))


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


class Hierarchy:
    """Levels of one system, or of `m` interleaved systems on one grid.

    Parameters
    ----------
    operators : sequence of StencilOperator
        The systems, all on grids of one shape, kind of sides and cell types.
    weights : list
        Relaxation weights per level, numbers or arrays over the unknowns (finest level) or the cells (other levels).
    dtype : dtype
        float32 or float64.
    coarsest : int
        Most cells of the level that is solved exactly.
    bytes_code : bool
        Whether a 0/1 geometry may be stored as one byte per cell.
    band : bool
        Whether to keep what sweeps over the cells that touch obstacles need.
    runs : Runs, optional
        Where the unknowns stand in a vector; by default as the grid numbers them.
    """

    def __init__(
        self, operators: Sequence[StencilOperator], weights: Sequence[Any], dtype: Any, coarsest: int,
        bytes_code: bool = True, band: bool = False, runs: Runs | None = None,
    ) -> None:  # fmt: skip
        self.grid = cast(Grid, operators[0].grid)
        self.dtype = np.dtype(dtype)
        self.m = len(operators)
        self.coarsest = coarsest
        self.weights = list(weights)
        self.bytes_code = bytes_code and self.m == 1
        self.runs = Runs.of(self.grid) if runs is None else runs
        self.wraps = wraps_of(self.grid)
        self.shapes: list[Triple] = []
        self.factors: list[Triple] = []
        self.with_band = band
        self.band_code: Array
        self.band_weights: Array
        self.band_rows: Array
        self.fill(operators)

    # --- set-up ---------------------------------------------------------------------------------------------------

    def fill(self, operators: Sequence[StencilOperator]) -> None:
        """Compute all coefficients; arrays of the right size are used again."""
        tops = [finest_level(A) for A in operators]
        largest = max(float(top.link.max()) for top in tops)
        if not np.isfinite(largest):
            raise ValueError("A has NaN or infinite coefficients: multigrid needs finite ones")
        self.scale = 1.0 / largest if largest > 0 else 1.0
        self.shift = 0.0
        code = self._encode(tops[0]) if self.bytes_code and np.ndim(self._weight(0)) == 0 else None
        self.fast = code is not None
        self.code = np.zeros((2, 1, 1, 1), np.uint8) if code is None else code
        first = self._coarsen_all(tops[0], None)
        factors = [self._factors(level) for level in first[:-1]]
        self._allocate([level.shape for level in first], factors)
        inverses = []
        for t, top in enumerate(tops):
            levels = first if t == 0 else self._coarsen_all(top, factors)
            for index, level in enumerate(levels):
                if not (index == 0 and self.fast):
                    self._fill_level(index, level, t)
            inverses.append(self._inverse(levels[-1]))
        self.inverse = np.ascontiguousarray(np.stack(inverses, axis=2), dtype=self.dtype)
        self._mend_isolated(operators)
        self._find_band(first[0])

    def _weight(self, index: int) -> Any:
        if index < len(self.weights):
            return self.weights[index]
        return self.weights[-1] if np.ndim(self.weights[-1]) == 0 else 1.0

    def _prepare(self, level: Level) -> Level:
        for axis in range(3):
            if self.wraps[axis] and level.shape[axis] > 1 and level.shape[axis] % 2:
                level = pad_periodic(level, axis)
        return level

    def _encode(self, top: Level) -> Array | None:
        """Return the byte codes of a 0/1 geometry, or None."""
        n0, n1, n2 = top.shape
        if top.mass.size > 1 or any(wrap and n % 2 for wrap, n in zip(self.wraps, top.shape, strict=True)):
            return None
        c = max((float(g[n0 // 2 : n0 // 2 + 1].max()) for g in top.g if g.size), default=0.0)
        if c == 0.0:
            c = max(float(g.max()) for g in top.g)
        if c == 0.0:
            return None
        code = np.zeros((2, _even(n0), _even(n1), (n2 + 1) // 2), np.uint8)
        fits = np.zeros(min(kernels.BLOCKS, n0 * n1), bool)
        setup.encode(c, float(top.mass.flat[0]), self.wraps, *top.g, top.link, code, fits)
        if not fits.all():
            return None
        self.scale, self.shift = 1.0 / c, float(top.mass.flat[0]) / c
        return code

    def _factors(self, level: Level) -> Triple:
        return cast(Triple, getattr(level, "factors", (1, 1, 1)))

    def _choose(self, level: Level, index: int) -> Triple:
        """Choose the axes to coarsen."""
        able = np.array([n > 1 for n in level.shape])
        if index == 0 and self.fast:
            return cast(Triple, tuple(1 + able.astype(int)))
        total, count, closed = setup.strengths(*level.g, level.diagonal())
        strength = np.where(able & (count > 0), total / np.maximum(count, 1.0), 0.0)
        most = strength.max()
        chosen = able & ((strength >= WEAK * most) | (count == 0)) if most > 0 else able
        walled = closed > WALLED * np.maximum(count, 1.0)
        if walled.any() and (chosen & ~walled).any():
            chosen &= ~walled
        elif (walled & chosen).any() and level.link.size <= LARGEST:
            return (1, 1, 1)
        return cast(Triple, tuple(1 + chosen.astype(int)))

    def _coarsen_all(self, top: Level, factors: list[Triple] | None) -> list[Level]:
        levels = [self._prepare(top)]
        while True:
            level, index = levels[-1], len(levels) - 1
            cells = int(np.prod([_even(n) if a < 2 else n + n % 2 for a, n in enumerate(level.shape)]))
            if factors is None:
                if cells <= self.coarsest or max(level.shape) == 1:
                    return levels
                f = self._choose(level, index)
                if f == (1, 1, 1):
                    return levels
            elif index == len(factors):
                return levels
            else:
                f = factors[index]
            level.factors = f  # type: ignore[attr-defined]
            shape = tuple(-(-n // k) for n, k in zip(level.shape, f, strict=True))
            g = [np.zeros(tuple(n + (a == axis) for a, n in enumerate(shape))) for axis in range(3)]
            link, mass = np.zeros(shape), np.zeros(shape)
            scale = self.scale if index == 0 else 1.0
            setup.coarsen(level.finest, scale, *f, *level.g, level.link, level.mass, *g, link, mass)
            levels.append(self._prepare(Level((g[0], g[1], g[2]), link, mass)))

    def _allocate(self, shapes: list[Triple], factors: list[Triple]) -> None:
        if shapes == self.shapes and factors == self.factors and self._layout == self.fast:
            return
        self.shapes, self.factors, self._layout = shapes, factors, self.fast
        table = np.zeros((len(shapes), 14), np.int64)
        x_at = cells_at = data_at = faces_at = 0
        for index, shape in enumerate(shapes):
            n0, n1, h = _even(shape[0]), _even(shape[1]), (shape[2] + 1) // 2
            f = factors[index] if index < len(factors) else (1, 1, 1)
            fast = index == 0 and self.fast
            table[index] = (n0, n1, h, *f, *self.wraps, x_at, cells_at, data_at, faces_at, fast)
            cells = 2 * n0 * n1 * h * self.m
            x_at += 2 * (n0 + 1) * (n1 + 1) * (h + 2) * self.m
            cells_at += cells
            if not fast:
                data_at += cells
                faces_at += 6 * n0 * n1 * (h + 2) * self.m
        self.table = table
        self.x_size, self.cells_size = x_at, cells_at
        top = table[0]
        self.top_cells = int(2 * top[0] * top[1] * top[2]) * self.m
        self.g = np.zeros(faces_at, self.dtype)
        self.d, self.w = np.zeros(data_at, self.dtype), np.zeros(data_at, self.dtype)

    _layout: bool | None = None

    def parts(self, index: int) -> tuple[Array, Array, Array]:
        """Return views of the conductances, diagonal and weights of a level."""
        n0, n1, h, *_ = self.table[index]
        _, _, data_at, faces_at = self.table[index, 9:13]
        m = self.m
        cells, faces = 2 * n0 * n1 * h * m, 6 * n0 * n1 * (h + 2) * m
        shape = (2, n0, n1, h * m)
        return (
            self.g[faces_at : faces_at + faces].reshape(6, n0, n1, (h + 2) * m),
            self.d[data_at : data_at + cells].reshape(shape),
            self.w[data_at : data_at + cells].reshape(shape),
        )

    def _fill_level(self, index: int, level: Level, t: int) -> None:
        omega = np.atleast_1d(np.asarray(self._weight(index), dtype=np.float64))
        if omega.size > 1:
            omega = self._level_weights(index, level, omega)
        g, d, w = self.parts(index)
        scale = self.scale if level.finest else 1.0
        setup.fill(level.finest, scale, self.m, t, *level.g, level.link, level.mass, self.wraps, omega, g, d, w)

    def _level_weights(self, index: int, level: Level, omega: Array) -> Array:
        given = self.grid.shape if index == 0 else tuple(n for n in level.shape)
        wanted = f"{self.grid.size} entries, one per unknown" if index == 0 else f"shape {given}, that of level {index}"
        if index == 0 and omega.shape == (self.grid.size,):
            natural = self.grid.embed(omega, 1.0).reshape(box(self.grid))
        elif omega.size == int(np.prod(given)):
            natural = omega.reshape(box(self.grid) if index == 0 else level.shape)
        else:
            raise ValueError(f"omega has shape {omega.shape} for level {index}: wanted one number, or {wanted}")
        width = [(0, n - k) for n, k in zip(level.shape, natural.shape, strict=True)]
        return np.pad(natural, width, constant_values=1.0).ravel()

    def _inverse(self, level: Level) -> Array:
        """Return the inverse on the coarsest level in coloured order (waking the threads of LAPACK takes longer)."""
        n1, n2 = level.shape[1:]
        scale = self.scale if level.finest else 1.0
        return cast(Array, setup.invert_level(scale, *level.g, level.diagonal(), _even(n1), (n2 + 1) // 2))

    def _mend_isolated(self, operators: Sequence[StencilOperator]) -> None:
        """Let the cycle be the identity on unknowns without neighbours, up to scale, where it would be zero."""
        for t, A in enumerate(operators):
            null = A.nullspace
            if null is None:
                continue
            alone = null.indices[np.abs(null.data) == 1.0]
            if not alone.size:
                continue
            positions = alone if self.grid.positions is None else self.grid.positions[alone]
            i, j, k = np.unravel_index(positions, box(self.grid))
            colour = (i + j + k) % 2
            if self.fast:
                self.code[colour, i, j, k // 2] = 13
                continue
            _, d, w = self.parts(0)
            omega = np.asarray(self._weight(0), dtype=np.float64)
            d[colour, i, j, (k // 2) * self.m + t] = 1.0
            w[colour, i, j, (k // 2) * self.m + t] = omega if omega.ndim == 0 else 1.0

    def keep(self, active: Array) -> None:
        """Drop all of several systems but the active ones."""
        m, rest = self.m, int(active.size)
        self.g, self.d, self.w = (
            np.ascontiguousarray(held.reshape(-1, m)[:, active]).ravel() for held in (self.g, self.d, self.w)
        )
        self.band_weights = np.ascontiguousarray(self.band_weights.reshape(-1, m)[:, active]).ravel()
        self.inverse = np.ascontiguousarray(self.inverse[:, :, active])
        self.table[:, 9:13] = self.table[:, 9:13] // m * rest
        self.x_size, self.cells_size = self.x_size // m * rest, self.cells_size // m * rest
        self.top_cells = self.top_cells // m * rest
        self.m = rest

    def _find_band(self, top: Level) -> None:
        """Keep codes (weights) of the finest level that are zero in all cells but those that touch an obstacle."""
        self.band_code, self.band_weights, self.band_rows = self.code, self.w, np.empty(0, np.int64)
        if not self.with_band or (self.fast and self.grid.cells is None):
            return
        n0, n1, h, *_ = self.table[0]
        mask, rows = np.empty((2, n0, n1, h), bool), np.zeros(n0 * n1, bool)
        setup.mark_band(*top.g, top.link, mask, rows)
        self.band_rows = np.flatnonzero(rows)
        if self.fast:
            self.band_code = np.where(mask, self.code, 0).astype(np.uint8)
        else:
            self.band_weights = (self.parts(0)[2] * np.repeat(mask, self.m, axis=3)).ravel()

    # --- what the cycle needs ----------------------------------------------------------------------------------------

    @property
    def omegas(self) -> Array:
        """Weight of each level, for the kernels that hold no weights per cell."""
        values = [self._weight(k) if np.ndim(self._weight(k)) == 0 else 1.0 for k in range(len(self.shapes))]
        return np.array(values, dtype=self.dtype)

    def matches(self, A: StencilOperator) -> bool:
        """Whether `A` lives on a grid of the same shape, sides and cells."""
        grid = cast(Grid, A.grid)
        same = grid.shape == self.grid.shape and wraps_of(grid) == self.wraps
        if grid is self.grid or not same:
            return same
        if grid.cells is None or self.grid.cells is None:
            return grid.cells is self.grid.cells
        return np.array_equal(grid.cells, self.grid.cells)

    @property
    def memory_bytes(self) -> int:
        """Bytes of all coefficients."""
        held = [self.code, self.g, self.d, self.w, self.inverse, self.band_rows, *self.runs.arrays()]
        if self.band_rows.size:
            held.append(self.band_code if self.fast else self.band_weights)
        return sum(array.nbytes for array in held)


def _even(n: int) -> int:
    return n + n % 2 if n > 1 else 1
