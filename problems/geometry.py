"""Random voxel obstacles: boolean masks of solid cells on a box of cells.

Every maker takes the shape of the box and a ``numpy.random.Generator`` and returns a mask. Lengths are
fractions of the shortest side, so that a geometry looks alike at every resolution, except for the thickness
of walls (one cell: the hard case for coarse grids) and their gaps (given in cells).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

__all__ = ["COUNTS", "KINDS", "balls", "boxes", "capsules", "comb", "mixed", "porous", "walls"]

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Rng = np.random.Generator


def _centres(shape: tuple[int, ...]) -> list[Floats]:
    """Broadcastable cell-centre coordinates, in units of the shortest side."""
    shortest = min(shape)
    d = len(shape)
    return [
        ((np.arange(n) + 0.5) / shortest).reshape([-1 if a == axis else 1 for a in range(d)])
        for axis, n in enumerate(shape)
    ]


def _point(shape: tuple[int, ...], rng: Rng) -> Floats:
    return rng.uniform(0.0, np.array(shape) / min(shape))


def balls(shape: tuple[int, ...], rng: Rng, count: int, size: tuple[float, float]) -> Mask:
    """Union of balls with radii drawn from `size`."""
    solid = np.zeros(shape, bool)
    axes = _centres(shape)
    for _ in range(count):
        centre, radius = _point(shape, rng), rng.uniform(*size)
        distance = np.zeros(shape)
        for x, c in zip(axes, centre, strict=True):
            distance += (x - c) ** 2
        solid |= distance <= radius**2
    return solid


def boxes(shape: tuple[int, ...], rng: Rng, count: int, size: tuple[float, float]) -> Mask:
    """Union of axis-parallel boxes with half-widths drawn from `size`, each axis its own."""
    solid = np.zeros(shape, bool)
    axes = _centres(shape)
    for _ in range(count):
        centre, half = _point(shape, rng), rng.uniform(*size, len(shape))
        inside = np.ones(shape, bool)
        for x, c, w in zip(axes, centre, half, strict=True):
            inside &= np.abs(x - c) <= w
        solid |= inside
    return solid


def capsules(shape: tuple[int, ...], rng: Rng, count: int, size: tuple[float, float]) -> Mask:
    """Union of capsules (segments with round ends): radii a third of `size`, axes up to six radii long."""
    solid = np.zeros(shape, bool)
    axes = _centres(shape)
    for _ in range(count):
        centre, radius = _point(shape, rng), rng.uniform(*size) / 3.0
        direction = rng.standard_normal(len(shape))
        half = 3.0 * rng.uniform(0.5, 1.0) * radius * direction / np.linalg.norm(direction)
        along = sum(h * (x - c) for x, c, h in zip(axes, centre, half, strict=True)) / (half @ half)
        t = np.clip(along, -1.0, 1.0)
        distance = sum((x - c - t * h) ** 2 for x, c, h in zip(axes, centre, half, strict=True))
        solid |= distance <= radius**2
    return solid


def _wall_positions(length: int, count: int) -> npt.NDArray[np.intp]:
    """`count` different planes, evenly spread, none on the outer planes and none next to another."""
    if 2 * count + 1 > length:
        raise ValueError(f"count is {count}: {length} cells have room for {max((length - 1) // 2, 0)} one-cell walls")
    return np.round((np.arange(count) + 1) * length / (count + 1) - 0.5).astype(np.intp)


def walls(shape: tuple[int, ...], rng: Rng, count: int, gap: int) -> Mask:
    """`count` one-cell walls across axis 0, each with one gap of `gap` cells per axis at a random place."""
    if gap > min(shape[1:]):
        raise ValueError(f"gap is {gap}: a wall of {shape[1:]} cells has no room for it")
    solid = np.zeros(shape, bool)
    for plane in _wall_positions(shape[0], count):
        solid[plane] = True
        corner = [int(rng.integers(0, n - gap + 1)) for n in shape[1:]]
        solid[(plane, *(slice(c, c + gap) for c in corner))] = False
    return solid


def comb(shape: tuple[int, ...], rng: Rng, count: int, gap: int) -> Mask:
    """`count` one-cell teeth across axis 0 with a passage of `gap` cells at alternating ends of axis 1."""
    if gap >= shape[1]:
        raise ValueError(f"gap is {gap}: a tooth of {shape[1]} cells has no room for it")
    solid = np.zeros(shape, bool)
    first = int(rng.integers(0, 2))
    for tooth, plane in enumerate(_wall_positions(shape[0], count)):
        if (tooth + first) % 2:
            solid[plane, gap:] = True
        else:
            solid[plane, : shape[1] - gap] = True
    return solid


def porous(shape: tuple[int, ...], rng: Rng, fraction: float, grain: float) -> Mask:
    """Smoothed white noise, cut at the level that makes the fraction `fraction` of the cells solid.

    `grain` is the standard deviation of the Gaussian filter as a fraction of the shortest side. Enclosed
    pockets of fluid are part of the geometry.
    """
    noise = gaussian_filter(rng.standard_normal(shape), sigma=grain * min(shape), mode="wrap")
    solid = np.zeros(noise.size, bool)
    solid[np.argsort(noise, axis=None, kind="stable")[: round(fraction * noise.size)]] = True
    return solid.reshape(shape)


def mixed(shape: tuple[int, ...], rng: Rng, count: int, size: tuple[float, float], gap: int) -> Mask:
    """Union of `count` balls, boxes and capsules in turn, and of one wall with one gap."""
    solid = walls(shape, rng, 1, gap)
    makers: list[Callable[[tuple[int, ...], Rng, int, tuple[float, float]], Mask]] = [balls, boxes, capsules]
    for k in range(count):
        solid |= makers[k % 3](shape, rng, 1, size)
    return solid


#: Number of shapes where the caller names none.
COUNTS = {"balls": 8, "boxes": 8, "capsules": 12, "walls": 7, "comb": 15, "porous": 0, "mixed": 6}
KINDS = tuple(COUNTS)
