"""Cell-centred grids of cubic cells: shape, outer sides, cell types, and the numbering of the unknowns.

A grid lives on the lowest floor so that a solver can ask an operator for it (``A.grid``) without knowing any
problem family. Unknowns are the interior cells in C order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Cell", "Grid"]

SIDES = ("dirichlet", "neumann", "periodic")


class Cell(IntEnum):
    """What a cell of a voxel geometry is.

    ``INTERIOR`` cells carry an unknown; ``DIRICHLET`` cells are obstacles whose surface holds the value zero;
    ``NOFLUX`` cells are obstacles whose surface lets nothing through.
    """

    INTERIOR = 0
    DIRICHLET = 1
    NOFLUX = 2


def _normalise_sides(sides: Any, ndim: int) -> tuple[tuple[str, str], ...]:
    entries = [sides] * ndim if isinstance(sides, str) else list(sides)
    if len(entries) != ndim:
        raise ValueError(
            f"sides has {len(entries)} entries for {ndim} axes: pass one string, or one entry (a string or a "
            "(low, high) pair) per axis"
        )
    pairs = []
    for axis, entry in enumerate(entries):
        pair = (entry, entry) if isinstance(entry, str) else tuple(entry)
        if len(pair) != 2 or any(side not in SIDES for side in pair):
            raise ValueError(f"sides of axis {axis} is {entry!r}: wanted {', '.join(SIDES)}, or a pair of them")
        if "periodic" in pair and pair[0] != pair[1]:
            raise ValueError(f"sides of axis {axis} is {entry!r}: a periodic axis is periodic on both sides")
        pairs.append((str(pair[0]), str(pair[1])))
    return tuple(pairs)


@dataclass(frozen=True, eq=False)
class Grid:
    """A box of cubic cells in two or three dimensions.

    Parameters
    ----------
    shape : sequence of int
        Cells per axis (2 or 3 axes, each at least 1).
    spacing : float
        Side length h of a cell.
    sides : str or sequence
        What holds on the outer sides: ``"dirichlet"`` (the value zero on the outer face), ``"neumann"`` (no flux)
        or ``"periodic"``; one string for all, or one entry per axis, each a string or a ``(low, high)`` pair.
    cells : array of uint8, optional
        `Cell` codes of shape `shape`; None means that every cell is interior.

    Examples
    --------
    >>> grid = Grid((4, 6), spacing=0.25, sides=["dirichlet", ("neumann", "dirichlet")])
    >>> grid.size, grid.sides[1]
    (24, ('neumann', 'dirichlet'))
    """

    shape: tuple[int, ...]
    spacing: float = 1.0
    sides: Any = "dirichlet"
    cells: npt.NDArray[np.uint8] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        shape = self.shape if isinstance(self.shape, Sequence) else (self.shape,)
        try:
            given, shape = tuple(shape), tuple(int(n) for n in shape)
        except TypeError:
            raise TypeError(f"shape is {self.shape!r}: wanted two or three whole numbers") from None
        if any(isinstance(n, (float, np.floating)) and n != whole for n, whole in zip(given, shape, strict=True)):
            raise ValueError(f"shape is {given}: wanted whole numbers of cells")
        if len(shape) not in (2, 3) or any(n < 1 for n in shape):
            raise ValueError(f"shape is {shape}: wanted two or three axes of at least one cell each")
        if not 1e-150 < self.spacing < 1e150:  # its square must be a number, too
            raise ValueError(f"spacing is {self.spacing!r}: wanted a positive, finite length (1e-150 to 1e150)")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "spacing", float(self.spacing))
        object.__setattr__(self, "sides", _normalise_sides(self.sides, len(shape)))
        if self.cells is not None:
            cells = np.asarray(self.cells)
            if cells.shape != shape:
                raise ValueError(f"cells has shape {cells.shape}: wanted the shape of the grid, {shape}")
            if not np.issubdtype(cells.dtype, np.integer) and cells.dtype != bool:
                raise TypeError(f"cells has dtype {cells.dtype}: wanted whole numbers (Cell codes, uint8)")
            if cells.size and (cells.min() < 0 or cells.max() > max(Cell)):
                raise ValueError("cells holds codes outside 0, 1, 2 (Cell.INTERIOR, Cell.DIRICHLET, Cell.NOFLUX)")
            if not (cells == Cell.INTERIOR).any():
                raise ValueError("cells holds no interior cell (code 0): there is nothing to solve for")
            cells = np.array(cells, dtype=np.uint8, order="C")  # a copy: the caller may go on with its own
            object.__setattr__(self, "cells", cells if cells.any() else None)

    @property
    def ndim(self) -> int:
        """Number of axes, 2 or 3."""
        return len(self.shape)

    @cached_property
    def size(self) -> int:
        """Number of unknowns."""
        return int(np.prod(self.shape)) if self.cells is None else int((self.cells == Cell.INTERIOR).sum())

    @property
    def interior(self) -> npt.NDArray[np.bool_]:
        """Boolean array of shape `shape`: which cells carry an unknown."""
        return np.ones(self.shape, bool) if self.cells is None else self.cells == Cell.INTERIOR

    @cached_property
    def positions(self) -> npt.NDArray[np.intp] | None:
        """Flat cell index of each unknown, or None when unknowns and cells coincide."""
        return None if self.cells is None else np.flatnonzero(self.cells.ravel() == Cell.INTERIOR)

    def embed(self, x: npt.ArrayLike, fill: float = np.nan) -> npt.NDArray[Any]:
        """Spread a vector of unknowns over the box; obstacles take the value `fill`."""
        x = np.asarray(x)
        if x.shape != (self.size,):
            raise ValueError(f"x has shape {x.shape}: wanted ({self.size},), one value per unknown")
        if self.positions is None:
            return x.reshape(self.shape).copy()
        full = np.full(self.shape, fill, dtype=np.result_type(x.dtype, type(fill)) if fill != 0 else x.dtype)
        full.ravel()[self.positions] = x
        return full

    def restrict(self, values: npt.ArrayLike) -> npt.NDArray[Any]:
        """Take the unknowns out of an array over the box."""
        values = np.asarray(values)
        if values.shape != self.shape:
            raise ValueError(f"values has shape {values.shape}: wanted the shape of the grid, {self.shape}")
        return values.ravel().copy() if self.positions is None else values.ravel()[self.positions]

    def centres(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Coordinates of the cell centres, one array of shape `shape` per axis."""
        axes = [(np.arange(n) + 0.5) * self.spacing for n in self.shape]
        return tuple(np.meshgrid(*axes, indexing="ij"))
