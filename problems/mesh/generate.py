"""Unstructured meshes of triangles and tetrahedra: Delaunay triangulations of jittered lattices.

Nodes on the boundary of the domain are jittered along the boundary only, so that boxes and L-shapes are
filled exactly (checked by volume); the ball is filled up to its inscribed polyhedron. In 3-D the lattice is
body-centred cubic, whose Delaunay cells are well shaped and not degenerate, which avoids nearly all slivers;
those that jitter or a round boundary make are dealt with: flat ones on the surface are peeled off, inner ones
get their inner nodes jittered again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import factorial
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order
from scipy.spatial import Delaunay

from .. import checks

__all__ = ["DOMAINS", "Mesh", "generate_mesh"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

DOMAINS = ("box", "ell", "ball")
SLIVER = 0.1


@dataclass(frozen=True, eq=False)
class Mesh:
    """A mesh of simplices and the numbering of the unknowns on it.

    Attributes
    ----------
    points : ndarray
        Coordinates of the nodes, shape ``(nodes, d)``, d = 2 or 3.
    cells : ndarray of int
        Nodes of each triangle or tetrahedron, shape ``(cells, d + 1)``, positively oriented.
    held : ndarray of bool
        Nodes whose value is given (Dirichlet), shape ``(nodes,)``; they carry no unknown.
    values : ndarray or None
        Values of all nodes of which those of the held ones are used, shape ``(nodes,)`` or ``(nodes,
        components)``; None is zero.
    components : int
        Unknowns per free node, stored node by node.

    Examples
    --------
    >>> mesh = generate_mesh(4, rng=0)
    >>> mesh.points.shape, round(float(mesh.volumes.sum()), 12)
    ((25, 2), 1.0)
    """

    points: Floats = field(repr=False)
    cells: Ints = field(repr=False)
    held: Mask = field(default=cast(Mask, None), repr=False)
    values: Floats | None = field(default=None, repr=False)
    components: int = 1

    def __post_init__(self) -> None:
        """Check the shapes."""
        points = np.ascontiguousarray(self.points, dtype=np.float64)
        cells = np.ascontiguousarray(self.cells, dtype=np.int32)
        if points.ndim != 2 or points.shape[1] not in (2, 3):
            raise ValueError(f"points has shape {points.shape}: wanted (nodes, 2) or (nodes, 3)")
        if cells.ndim != 2 or cells.shape[1] != points.shape[1] + 1 or len(cells) == 0:
            raise ValueError(f"cells has shape {cells.shape}: wanted (cells, {points.shape[1] + 1}), at least one cell")
        if cells.min() < 0 or cells.max() >= len(points):
            raise ValueError(f"cells names nodes from {cells.min()} to {cells.max()}: there are {len(points)} nodes")
        held = np.zeros(len(points), bool) if self.held is None else np.asarray(self.held, bool)
        if held.shape != (len(points),):
            raise ValueError(f"held has shape {held.shape}: wanted ({len(points)},), one per node")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "cells", cells)
        object.__setattr__(self, "held", held)

    @property
    def ndim(self) -> int:
        """Dimension of space."""
        return int(self.points.shape[1])

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return int((~self.held).sum()) * self.components

    @cached_property
    def free(self) -> npt.NDArray[np.intp]:
        """Indices of the unknowns among all nodal values (node by node, component by component)."""
        return np.flatnonzero(np.repeat(~self.held, self.components))

    @cached_property
    def volumes(self) -> Floats:
        """Areas or volumes of the cells, positive."""
        corner = self.points[self.cells]
        return cast(Floats, np.linalg.det(corner[:, 1:] - corner[:, :1]) / factorial(self.ndim))

    @cached_property
    def facets(self) -> Ints:
        """Edges or triangles on the boundary, shape ``(facets, d)``."""
        faces, outer = _faces(self.cells)
        return faces[outer]

    @cached_property
    def boundary(self) -> Mask:
        """Which nodes lie on the boundary, shape ``(nodes,)``."""
        mask = np.zeros(len(self.points), bool)
        mask[self.facets.ravel()] = True
        return mask

    def quality(self) -> Floats:
        """Shape of the cells: 1 for a regular simplex, 0 for a flat one."""
        return _quality(self.points, self.cells)

    def embed(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """Give the values at all nodes, ``(nodes,)`` or ``(nodes, components)``, held ones in place."""
        x = np.asarray(x)
        if x.shape != (self.size,):
            raise ValueError(f"x has shape {x.shape}: wanted ({self.size},), one value per unknown")
        full = np.zeros(len(self.points) * self.components, dtype=x.dtype)
        if self.values is not None:
            full[:] = self.values.ravel()
        full[self.free] = x
        return full if self.components == 1 else full.reshape(-1, self.components)

    def restrict(self, values: npt.ArrayLike) -> npt.NDArray[Any]:
        """Take the unknowns out of an array over all nodes."""
        flat = np.asarray(values).ravel()
        if flat.size != len(self.points) * self.components:
            raise ValueError(f"values has {flat.size} entries: wanted {len(self.points) * self.components}")
        return flat[self.free]

    def patch(self, fraction: float, rng: Any = None) -> Mask:
        """Draw a contiguous part of the boundary: an arc in 2-D, a patch in 3-D.

        Parameters
        ----------
        fraction : float
            Share of the boundary nodes, in [0, 1]. A positive one takes at least the nodes of one facet.
        rng : seed or numpy.random.Generator, optional

        Returns
        -------
        ndarray of bool
            Shape ``(nodes,)``.
        """
        fraction = checks.real("fraction", fraction, 0.0, 1.0)
        chosen = np.zeros(len(self.points), bool)
        if fraction == 0.0:
            return chosen
        count = round(fraction * int(self.boundary.sum()))
        seed = self.facets[int(np.random.default_rng(rng).integers(len(self.facets)))]
        pairs = np.concatenate([self.facets[:, [a, b]] for a in range(self.ndim) for b in range(a)])
        size = len(self.points)
        graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size)).tocsr()
        order = breadth_first_order(graph, int(seed[0]), directed=False, return_predecessors=False)
        chosen[seed] = True
        rest = order[~chosen[order]]
        chosen[rest[: max(count - len(seed), 0)]] = True
        return chosen


def _quality(points: Floats, cells: Ints) -> Floats:
    d = points.shape[1]
    corner = points[cells]
    volume = np.abs(np.linalg.det(corner[:, 1:] - corner[:, :1])) / factorial(d)
    square = np.zeros(len(cells))
    for a in range(d + 1):
        for b in range(a):
            square += ((corner[:, a] - corner[:, b]) ** 2).sum(axis=1)
    scale = 4.0 * np.sqrt(3.0) if d == 2 else 12.0 * 3.0 ** (2.0 / 3.0)
    return cast(Floats, scale * volume ** (2.0 / d) / square)


def generate_mesh(n: int, *, dim: int = 2, domain: str = "box", jitter: float = 0.2, rng: Any = None) -> Mesh:
    """Make an unstructured mesh of triangles or tetrahedra.

    Parameters
    ----------
    n : int
        Intervals along the unit edge; nodes are about ``1 / n`` apart.
    dim : {2, 3}
        Triangles or tetrahedra.
    domain : {"box", "ell", "ball"}
        Unit square or cube; the same without its upper quadrant or octant (n is made even); ball of diameter
        one.
    jitter : float
        Largest displacement of a node per axis, in intervals, from 0 to 0.4 (2-D) or 0.2 (3-D, where larger
        values are cut to 0.2: slivers).
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    Mesh
        Without held nodes; every node belongs to a cell.

    Notes
    -----
    ``O(N log N)`` for N nodes (Delaunay triangulation).

    Examples
    --------
    >>> mesh = generate_mesh(6, dim=3, domain="ball", rng=0)
    >>> mesh.cells.shape[1], bool(mesh.quality().min() > 0.05)
    (4, True)
    """
    n = checks.integer("n", n, 2)
    dim = checks.integer("dim", dim, 2, 3)
    checks.choice("domain", domain, DOMAINS)
    jitter = checks.real("jitter", jitter, 0.0, 0.4)
    rng = np.random.default_rng(rng)
    if domain == "ell":
        n += n % 2
    if dim == 3:
        jitter = min(jitter, 0.2)
    for attempt in range(12):
        reach = jitter * 0.8**attempt / n  # a bad draw is followed by a tamer one
        points, movable = _ball(n, dim, reach, rng) if domain == "ball" else _lattice(n, dim, domain, reach, rng)
        cells = _triangulate(points, domain, n)
        for _ in range(10):
            bad = Mesh(points, cells).boundary  # an inner node on a facet: a flat cell was dropped there
            bad[cells[_quality(points, cells) < SLIVER]] = True
            bad &= movable
            if not bad.any():
                break
            points[bad] += rng.uniform(-0.1, 0.1, (int(bad.sum()), dim)) / n
            cells = _triangulate(points, domain, n)
        if _quality(points, cells).min() > 0.25 * SLIVER and _fills(points, cells, domain, movable):
            return Mesh(points, cells)
    raise ArithmeticError(f"no valid mesh of {domain} with n={n}, dim={dim} was found: use a smaller jitter")


def _lattice(n: int, dim: int, domain: str, reach: float, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Nodes of the box or the L-shape; the second array says which may move freely."""
    ticks = np.arange(n + 1) / n
    ticks[-1] = 1.0
    points = np.stack(np.meshgrid(*[ticks] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    fixed = (points == 0.0) | (points == 1.0)
    if dim == 3:
        middle = (np.arange(n) + 0.5) / n
        centres = np.stack(np.meshgrid(*[middle] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
        points, fixed = (
            np.concatenate([points, centres]),
            np.concatenate([fixed, np.zeros(centres.shape, bool)]),
        )
    at = n // 2 / n
    if domain == "ell":
        keep = ~(points > at).all(axis=1)
        points, fixed = points[keep], fixed[keep]
        upper = np.all(points >= at, axis=1, keepdims=True)  # on the surface of the corner that is cut out
        fixed |= upper & (points == at)
    movable = ~fixed.any(axis=1)
    step = np.where(fixed, 0.0, rng.uniform(-reach, reach, points.shape))
    if dim == 3 and domain == "ell":
        # at the re-entrant edges cells soon reach across the surface
        step[(np.abs(points - at) < 1.01 / n).sum(axis=1) >= 2] *= 0.3
    return points + step, movable


def _ball(n: int, dim: int, reach: float, rng: np.random.Generator) -> tuple[Floats, Mask]:
    inner, _ = _lattice(n, dim, "box", reach, rng)
    inner = inner[np.linalg.norm(inner - 0.5, axis=1) < 0.5 - 0.6 / n]
    if dim == 2:
        count = max(round(np.pi * n), 6)
        angle = 2.0 * np.pi * (np.arange(count) + rng.uniform()) / count + 2.0 * rng.uniform(-reach, reach, count)
        surface = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    else:
        # a spiral of equal areas: nearly uniform on the sphere
        count = max(round(4.0 * n**2), 12)
        height = 1.0 - 2.0 * (np.arange(count) + 0.5) / count
        turn = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(count) + 2.0 * np.pi * rng.uniform()
        radius = np.sqrt(1.0 - height**2)
        surface = np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1)
    points = np.concatenate([inner, 0.5 + 0.5 * surface])
    movable = np.zeros(len(points), bool)
    movable[: len(inner)] = True
    return points, movable


def _triangulate(points: Floats, domain: str, n: int) -> Ints:
    """Delaunay cells of the domain, positively oriented, without flat ones on the surface."""
    cells = Delaunay(points).simplices.astype(np.int32)
    dim = points.shape[1]
    corner = points[cells]
    volume = np.linalg.det(corner[:, 1:] - corner[:, :1]) / factorial(dim)
    keep = np.abs(volume) > 1e-8 / n**dim
    if domain == "ell":
        keep &= ~(corner.mean(axis=1) > n // 2 / n).all(axis=1)
    flip = volume < 0
    cells[flip, 0], cells[flip, 1] = cells[flip, 1], cells[flip, 0]
    cells = cells[keep]
    while domain == "ball" and dim == 3:
        surface = Mesh(points, cells).boundary
        flat = (_quality(points, cells) < SLIVER) & surface[cells].all(axis=1)
        flat &= _faces(cells)[1].reshape(dim + 1, -1).sum(axis=0) >= 2
        if not flat.any():
            break
        cells = cells[~flat]
    return cells


def _faces(cells: Ints) -> tuple[Ints, Mask]:
    """All faces, those opposite to the first node of each cell first; which of them occur only once."""
    width = cells.shape[1]
    faces = np.concatenate([np.delete(cells, k, axis=1) for k in range(width)])
    ordered = np.sort(faces, axis=1).astype(np.int64)
    key = ordered[:, 0]
    for k in range(1, width - 1):
        key = key * (int(cells.max()) + 1) + ordered[:, k]
    _, inverse, count = np.unique(key, return_inverse=True, return_counts=True)
    return faces, (count == 1)[inverse]


def _fills(points: Floats, cells: Ints, domain: str, movable: Mask) -> bool:
    """Whether the cells fill the domain (the ball: its polyhedron) and their surface is one closed surface.

    A surface without holes has as many edges as nodes in 2-D, and ``2 nodes - 4`` triangles in 3-D (Euler);
    its nodes must be the ones that were placed on the boundary.
    """
    dim = points.shape[1]
    mesh = Mesh(points, cells)
    placed = int((~movable).sum())
    closed = len(mesh.facets) == (placed if dim == 2 else 2 * placed - 4)
    if not closed or (mesh.boundary == movable).any() or len(np.unique(cells)) < len(points):
        return False
    if domain == "ball":
        return True
    whole = 1.0 if domain == "box" else 1.0 - 0.5**dim
    return bool(abs(mesh.volumes.sum() - whole) < 1e-10)
