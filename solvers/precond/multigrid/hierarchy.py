"""Levels of the structured-grid multigrid: sizes, coefficients, coarsest inverse, all in flat arrays.

Coarsening halves every axis along which neighbours are coupled about as strongly as along the strongest axis; strongly
anisotropic coefficients are coarsened along the strong axes alone. An axis along which many coarse cells would have a
thin wall inside, whose two sides one value cannot tell apart, is left as it is, too.

Odd sizes are padded (see `levels`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ....linalg import Grid, StencilOperator
from ....linalg.kernels import multigrid_codes as codes
from ....linalg.kernels import multigrid_setup as setup
from .levels import Coded, Level, Runs, box, coded_level, even, finest_level, pad, wraps_of

__all__ = ["Hierarchy"]

Array = npt.NDArray[Any]
Triple = tuple[int, int, int]
WEAK = 0.3  # an axis coupled less than this part of the strongest one is not coarsened
# nor is one along which more than this part of the coarse cells would have a wall inside, if another is left
WALLED = 0.04


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
    faces : sequence, optional
        Couplings and diagonal of every operator, where they are known.
    """

    def __init__(
        self, operators: Sequence[StencilOperator], weights: Sequence[Any], dtype: Any, coarsest: int,
        bytes_code: bool = True, band: bool = False, runs: Runs | None = None, faces: Sequence[Any] | None = None,
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
        self.fill(operators, faces)

    # --- set-up ---------------------------------------------------------------------------------------------------

    def fill(self, operators: Sequence[StencilOperator], faces: Sequence[Any] | None = None) -> None:
        """Compute all coefficients; arrays of the right size are used again."""
        top: Level | Coded | None = None
        if self.bytes_code and np.ndim(self._weight(0)) == 0:
            top = coded_level(operators[0])
        self.fast = isinstance(top, Coded)
        self.shift = 0.0
        if isinstance(top, Coded):
            self.scale, self.shift = 1.0 / top.conductance, top.shift
            tops: list[Any] = [top]
            self.code = np.empty((2, even(top.shape[0]), even(top.shape[1]), (top.shape[2] + 1) // 2), np.uint8)
            codes.paint(top.code, self.code)
        else:
            tops = [finest_level(A, faces[t] if faces else None) for t, A in enumerate(operators)]
            largest = max(float(top.link.max()) for top in tops)
            if not np.isfinite(largest):
                raise ValueError("A has NaN or infinite coefficients: multigrid needs finite ones")
            self.scale = 1.0 / largest if largest > 0 else 1.0
            self.code = np.zeros((2, 1, 1, 1), np.uint8)
        if not np.isfinite(self.scale):
            raise ValueError("A has coefficients below 1e-308 only, whose inverse is infinite: rescale the system")
        first = self._coarsen_all(tops[0], None)
        factors = [level.factors for level in first[:-1]]
        self._allocate([level.shape for level in first], factors)
        inverses = []
        for t, top in enumerate(tops):
            levels = first if t == 0 else self._coarsen_all(top, factors)
            for index, level in enumerate(levels):
                if isinstance(level, Level):
                    self._fill_level(index, level, t)
            last = levels[-1]
            inverses.append(self._inverse(last if isinstance(last, Level) else finest_level(operators[0])))
        with np.errstate(over="ignore"):  # beyond the range of float32: the solvers say so
            self.inverse = np.ascontiguousarray(np.stack(inverses, axis=2), dtype=self.dtype)
        self._mend_isolated(tops)
        self._find_band(first[0])

    def _weight(self, index: int) -> Any:
        if index < len(self.weights):
            return self.weights[index]
        return self.weights[-1] if np.ndim(self.weights[-1]) == 0 else 1.0

    def _choose(self, level: Level | Coded) -> Triple:
        """Choose the axes to coarsen."""
        able = np.array([n > 1 for n in level.shape])
        if isinstance(level, Coded):
            return cast(Triple, tuple(1 + able.astype(int)))
        total, count, closed = setup.strengths(*level.g, level.diagonal())
        strength = np.where(able & (count > 0), total / np.maximum(count, 1.0), 0.0)
        most = strength.max()
        chosen = able & ((strength >= WEAK * most) | (count == 0)) if most > 0 else able
        walled = closed > WALLED * np.maximum(count, 1.0)
        if walled.any() and (chosen & ~walled).any():
            chosen &= ~walled
        return cast(Triple, tuple(1 + chosen.astype(int)))

    def _coarsen_all(self, top: Any, factors: list[Triple] | None) -> list[Any]:
        levels = [pad(top, self.wraps)]
        while True:
            level, index = levels[-1], len(levels) - 1
            cells = int(np.prod([even(n) if a < 2 else n + n % 2 for a, n in enumerate(level.shape)]))
            if factors is None:
                if cells <= self.coarsest or max(level.shape) == 1:
                    return levels
                f = self._choose(level)
                if f == (1, 1, 1):
                    return levels
            elif index == len(factors):
                return levels
            else:
                f = factors[index]
            levels.append(pad(level.coarsened(f, self.scale if index == 0 else 1.0), self.wraps))

    def _allocate(self, shapes: list[Triple], factors: list[Triple]) -> None:
        if shapes == self.shapes and factors == self.factors and self._layout == self.fast:
            return
        self.shapes, self.factors, self._layout = shapes, factors, self.fast
        table = np.zeros((len(shapes), 14), np.uint64)
        x_at = cells_at = data_at = faces_at = 0
        for index, shape in enumerate(shapes):
            n0, n1, h = even(shape[0]), even(shape[1]), (shape[2] + 1) // 2
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
        return cast(Array, setup.invert_level(scale, *level.g, level.diagonal(), even(n1), (n2 + 1) // 2))

    def _mend_isolated(self, tops: Sequence[Level | Coded]) -> None:
        """Let the cycle be the identity on unknowns without neighbours, up to scale, where it would be zero."""
        for t, top in enumerate(tops):
            diagonal = top.code if isinstance(top, Coded) else top.link
            if np.count_nonzero(diagonal) == self.grid.size:
                continue
            i, j, k = np.nonzero((diagonal == 0) & self.grid.interior.reshape(diagonal.shape))
            colour, half = (i + j + k) % 2, k // 2
            if len(self.shapes) == 1:
                n0, n1, h = (int(n) for n in self.table[0, :3])
                place = ((colour * n0 + i) * n1 + j) * h + half
                self.inverse[place, place, t] = 1.0
            if self.fast:
                self.code[colour, i, j, half] = 13
                continue
            _, d, w = self.parts(0)
            omega = np.asarray(self._weight(0), dtype=np.float64)
            d[colour, i, j, half * self.m + t] = 1.0
            w[colour, i, j, half * self.m + t] = omega if omega.ndim == 0 else 1.0

    def keep(self, active: Array) -> None:
        """Drop all of several systems but the active ones."""
        m, rest = self.m, int(active.size)
        self.g, self.d, self.w = (
            np.ascontiguousarray(held.reshape(-1, m)[:, active]).ravel() for held in (self.g, self.d, self.w)
        )
        self.band_weights = np.ascontiguousarray(self.band_weights.reshape(-1, m)[:, active]).ravel()
        self.inverse = np.ascontiguousarray(self.inverse[:, :, active])
        self.table = self.table.copy()  # copies of this object share it
        self.table[:, 9:13] = self.table[:, 9:13] // m * rest
        self.x_size, self.cells_size = self.x_size // m * rest, self.cells_size // m * rest
        self.top_cells = self.top_cells // m * rest
        self.m = rest

    def _find_band(self, top: Level | Coded) -> None:
        """Keep codes (weights) of the finest level that are zero in all cells but those that touch an obstacle."""
        self.band_code, self.band_weights, self.band_rows = self.code, self.w, np.empty(0, np.uint64)
        if not self.with_band or (self.fast and self.grid.cells is None):
            return
        n0, n1, h, *_ = self.table[0]
        mask, rows = np.empty((2, n0, n1, h), bool), np.zeros(int(n0 * n1), bool)
        if isinstance(top, Coded):
            codes.mark_band(top.code, mask, rows)
            self.band_code = self.code * mask
        else:
            setup.mark_band(*top.g, top.link, mask, rows)
            self.band_weights = (self.parts(0)[2] * np.repeat(mask, self.m, axis=3)).ravel()
        self.band_rows = np.flatnonzero(rows).view(np.uint64)

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
