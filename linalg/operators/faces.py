"""Conductances of the faces of a cell-centred grid, and what they are where the coefficient is the same everywhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .grid import Cell, Grid

__all__ = [
    "along",
    "check_closed",
    "face_conductances",
    "held_cells",
    "recognise",
    "uniform_code",
    "uniform_faces",
    "usual_outer",
]

Array = npt.NDArray[Any]


def along(axis: int, ndim: int, index: Any) -> tuple[Any, ...]:
    """Index tuple that selects `index` along one axis and everything along the others."""
    return (slice(None),) * axis + (index,) + (slice(None),) * (ndim - axis - 1)


def face_conductances(
    grid: Grid, coefficient: npt.ArrayLike | None = None, mean: str = "harmonic"
) -> tuple[Array, ...]:
    """Return the conductances of all faces, one array per axis.

    Parameters
    ----------
    grid : Grid
    coefficient : array_like, optional
        Positive diffusion coefficient per cell, shape ``grid.shape``; default 1 everywhere. What stands in obstacle
        cells is not looked at.
    mean : {"harmonic", "arithmetic"}
        How the two cells of an interior face are averaged; the harmonic mean is exact for layers along an axis.

    Returns
    -------
    tuple of ndarray
        The array of axis k has ``shape[k] + 1`` entries along axis k. In units of 1 / spacing^2: the mean of the two
        coefficients between interior cells, twice the coefficient where the value is held on the face (a Dirichlet
        side or cell), zero where nothing flows.

    Raises
    ------
    ValueError
        If the coefficient has another shape than the grid, or is not positive and finite in an interior cell.
    """
    if mean not in ("harmonic", "arithmetic"):
        raise ValueError(f"mean is {mean!r}: wanted 'harmonic' or 'arithmetic'")
    interior = grid.interior
    k = np.ones(grid.shape) if coefficient is None else np.array(coefficient, dtype=np.float64)
    if k.shape != grid.shape:
        raise ValueError(f"coefficient has shape {k.shape}: wanted the shape of the grid, {grid.shape}")
    if not (np.isfinite(k[interior]).all() and (k[interior] > 0).all()):
        raise ValueError("coefficient must be positive and finite in every interior cell")
    whole = grid.cells is None
    if not whole:
        k[~interior] = 0.0
    largest = float(k.max())
    unit = 1.0 if 1e-100 < largest < 1e100 else 2.0 ** math.floor(math.log2(largest))  # products of two must be numbers
    if unit != 1.0:
        k /= unit
    held = held_cells(grid)
    result = []
    for axis in range(grid.ndim):
        faces = np.zeros(tuple(n + (a == axis) for a, n in enumerate(grid.shape)))
        first, last = along(axis, grid.ndim, slice(None, -1)), along(axis, grid.ndim, slice(1, None))
        low, high = k[first], k[last]
        total = low + high
        if whole and unit == 1.0:  # all cells are positive and none is held: the same numbers in fewer passes
            between = 2.0 * low * high / total if mean == "harmonic" else 0.5 * total
        elif mean == "harmonic":
            between = np.divide(2.0 * low * high, total, out=np.zeros_like(total), where=total > 0)
        else:
            between = np.where((low > 0) & (high > 0), 0.5 * total, 0.0)
        if not whole:
            between += 2.0 * (low * held[last] + high * held[first])
        faces[along(axis, grid.ndim, slice(1, -1))] = between
        for side, cell, face in zip(grid.sides[axis], (0, -1), (0, -1), strict=True):
            here, there = along(axis, grid.ndim, cell), along(axis, grid.ndim, -1 - cell)
            if side == "dirichlet":
                faces[along(axis, grid.ndim, face)] = 2.0 * k[here]
            elif side == "periodic":
                sums = k[here] + k[there]
                if mean == "harmonic":
                    joined = np.divide(2.0 * k[here] * k[there], sums, out=np.zeros_like(sums), where=sums > 0)
                else:
                    joined = np.where((k[here] > 0) & (k[there] > 0), 0.5 * sums, 0.0)
                joined += 2.0 * (k[here] * held[there] + k[there] * held[here])
                faces[along(axis, grid.ndim, face)] = joined
        with np.errstate(over="ignore"):
            result.append(faces / grid.spacing**2 * unit)
    return tuple(result)


def held_cells(grid: Grid) -> Array:
    """Boolean array of the shape of the grid: which cells are obstacles that hold the value zero."""
    return np.zeros(grid.shape, bool) if grid.cells is None else grid.cells == Cell.DIRICHLET


def uniform_faces(grid: Grid, c: float, axis: int) -> Array:
    """Return the conductances of an axis where that between any two unknowns is `c`: twice as much to held values."""
    weight = _weights(grid)
    faces = np.zeros(tuple(n + (a == axis) for a, n in enumerate(grid.shape)))
    low, high = weight[along(axis, grid.ndim, slice(None, -1))], weight[along(axis, grid.ndim, slice(1, None))]
    np.multiply(_between(low, high), c, out=faces[along(axis, grid.ndim, slice(1, -1))])
    for side, cell in zip(grid.sides[axis], (0, -1), strict=True):
        here = weight[along(axis, grid.ndim, cell)]
        there = weight[along(axis, grid.ndim, -1 - cell)]
        if side == "dirichlet":
            faces[along(axis, grid.ndim, cell)] = (here == 1) * (2.0 * c)
        elif side == "periodic":
            faces[along(axis, grid.ndim, cell)] = _between(here, there) * c
    return faces


def uniform_code(grid: Grid) -> tuple[Array, Array]:
    """Return the diagonal where the conductance between any two unknowns is 1, and which cells touch a held value.

    Both have the shape of the grid; the first is uint8 and zero in obstacles.
    """
    weight = _weights(grid)
    code, held = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, bool)
    for axis in range(grid.ndim):
        n = grid.shape[axis]
        low, high = along(axis, grid.ndim, slice(None, -1)), along(axis, grid.ndim, slice(1, None))
        pairs = [(low, high), (high, low)]
        for side, cell in zip(grid.sides[axis], (0, -1), strict=True):
            here = along(axis, grid.ndim, cell)
            if side == "dirichlet":
                code[here] += 2
                held[here] = True
            elif side == "periodic" and n > 1:
                pairs.append((here, along(axis, grid.ndim, -1 - cell)))
        for here, there in pairs:
            code[here] += weight[there]
            if grid.cells is not None:
                held[here] |= weight[there] == 2
    if grid.cells is not None:
        code *= weight == 1
        held &= weight == 1
    return code, held


def usual_outer(grid: Grid, c: float) -> list[list[float]]:
    """Conductances of the outer faces of each axis, `c` being that between unknowns."""
    return [[{"dirichlet": 2.0, "neumann": 0.0, "periodic": 1.0}[side] * c for side in pair] for pair in grid.sides]


def check_closed(arrays: tuple[Array, ...], grid: Grid) -> None:
    """Raise where something flows through a no-flux cell or side, or the ends of a periodic axis differ."""
    interior, held = grid.interior, held_cells(grid)
    for axis, faces in enumerate(arrays):
        ndim = grid.ndim
        if grid.shape[axis] == 1 and grid.sides[axis][0] == "periodic":
            continue  # a cell that is its own neighbour exchanges nothing
        low, high = along(axis, ndim, slice(None, -1)), along(axis, ndim, slice(1, None))
        if grid.cells is not None:
            open_ = (interior[low] & (interior | held)[high]) | (interior[high] & held[low])
            if np.any(faces[along(axis, ndim, slice(1, -1))][~open_]):
                raise ValueError(f"conductances of axis {axis} are not zero on a face to a no-flux cell")
        first, last = along(axis, ndim, 0), along(axis, ndim, -1)
        for side, face in zip(grid.sides[axis], (first, last), strict=True):
            if side == "neumann" and np.any(faces[face]):
                raise ValueError(f"conductances of axis {axis} are not zero on a no-flux side")
        if grid.sides[axis][0] == "periodic" and not np.array_equal(faces[first], faces[last]):
            raise ValueError(f"conductances of axis {axis} differ between the two ends of a periodic axis")


def recognise(arrays: tuple[Array, ...], grid: Grid, shift: Any) -> tuple[float, Any, tuple[Array, ...]]:
    """Find out whether there is one conductance `c` between unknowns; return it with the outer ones, or all arrays.

    Without obstacles the outer faces of each axis may conduct anything, as long as all of one side conduct the same.
    """
    most = [
        float(faces.max())
        for faces in (g[along(a, grid.ndim, slice(1, -1))] for a, g in enumerate(arrays))
        if faces.size
    ]
    c = max(most, default=0.0)
    if c == 0.0:
        return 0.0, None, arrays
    if grid.cells is not None or np.ndim(shift):
        for value in (c, c / 2.0):  # every inner face of a domain may lead to a held value
            if all(np.array_equal(g, uniform_faces(grid, value, axis)) for axis, g in enumerate(arrays)):
                return value, usual_outer(grid, value), ()
        return 0.0, None, arrays
    outer = []
    for axis, g in enumerate(arrays):
        inner = g[along(axis, grid.ndim, slice(1, -1))]
        pair = [float(g[along(axis, grid.ndim, end)].flat[0]) for end in (0, -1)]
        same = all((g[along(axis, grid.ndim, end)] == value).all() for end, value in zip((0, -1), pair, strict=True))
        wrap = grid.sides[axis][0] == "periodic" and grid.shape[axis] > 1
        if (inner != c).any() or not same or (wrap and pair[0] != c):
            return 0.0, None, arrays
        outer.append(pair)
    return c, outer, ()


def _weights(grid: Grid) -> Array:
    """Conductance from an unknown to each cell, if it is 1 between unknowns."""
    if grid.cells is None:
        return np.ones(grid.shape, np.uint8)
    return np.array([1, 2, 0], np.uint8)[grid.cells]


def _between(low: Array, high: Array) -> Array:
    return low * high * ((low == 1) | (high == 1))
