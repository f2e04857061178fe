"""Quadratic (P2) finite elements on triangles: stiffness, load, flux through the boundary.

A quadratic element has its three corners and the middles of its three edges as nodes. The nodes and the four small triangles
between those of each element make a `Mesh` of their own, so that numbering, held nodes and pictures work as for linear
elements. Integrals of stiffness matrices are exact; loads use a rule that is exact for polynomials of degree five.

References
----------
.. [1] S. Brenner, R. Scott, The mathematical theory of finite element methods, Springer 2008.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from .elements import _assemble, _per_cell, gradients
from .generate import Mesh

__all__ = ["QuadraticMesh", "quadratic"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

EDGES = ((0, 1), (1, 2), (2, 0))


def _rule() -> tuple[Floats, Floats]:
    """Seven points and weights of degree five on the triangle (barycentric; weights sum to one)."""
    root = np.sqrt(15.0)
    inner, outer = (6.0 - root) / 21.0, (6.0 + root) / 21.0
    points = [[1.0 / 3.0] * 3]
    for a in (inner, outer):
        points += [[a, a, 1 - 2 * a], [a, 1 - 2 * a, a], [1 - 2 * a, a, a]]
    weights = [9.0 / 40.0] + [(155.0 - root) / 1200.0] * 3 + [(155.0 + root) / 1200.0] * 3
    return np.array(points), np.array(weights)


def _shapes(points: Floats) -> Floats:
    """Values of the six shape functions at barycentric points, shape ``(points, 6)``."""
    corner = points * (2.0 * points - 1.0)
    middle = np.stack([4.0 * points[:, a] * points[:, b] for a, b in EDGES], axis=1)
    return np.concatenate([corner, middle], axis=1)


@dataclass(frozen=True, eq=False)
class QuadraticMesh:
    """Quadratic elements over a mesh of triangles.

    Attributes
    ----------
    corners : Mesh
        The triangles themselves.
    mesh : Mesh
        All nodes (corners first, then middles of edges) and the small triangles between them.
    cells : ndarray of int
        Nodes of each element, shape ``(cells, 6)``: corners, then the middles of edges 0-1, 1-2, 2-0.

    Examples
    --------
    >>> from ritzkit.problems import generate_mesh
    >>> elements = quadratic(generate_mesh(4, rng=0))
    >>> elements.mesh.points.shape, elements.cells.shape
    ((81, 2), (32, 6))
    """

    corners: Mesh
    mesh: Mesh
    cells: Ints = field(repr=False)

    def stiffness(self, coefficient: npt.ArrayLike | None = None) -> csr_array:
        """Assemble ``integral of k grad u . grad v``; k is one number or one per element (None: 1).

        Returns
        -------
        csr_array
            Shape ``(nodes, nodes)``, symmetric; constants are its null space.
        """
        k = _per_cell("coefficient", coefficient, self.corners)
        return _assemble(k[:, None, None] * self.element_matrices(), self.cells, len(self.mesh.points))

    def element_matrices(self) -> Floats:
        """Stiffness of each element for k = 1, shape ``(cells, 6, 6)``, symmetric to the last bit."""
        g = gradients(self.corners)
        total = np.zeros((len(self.cells), 6, 6))
        # the middles of the edges: exact for the quadratic integrand
        for point in (0.5, 0.5, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5):
            slope = np.empty((len(self.cells), 6, 2))
            for a in range(3):
                slope[:, a] = (4.0 * point[a] - 1.0) * g[:, a]
            for number, (a, b) in enumerate(EDGES):
                slope[:, 3 + number] = 4.0 * (point[a] * g[:, b] + point[b] * g[:, a])
            total += np.einsum("c,cai,cbi->cab", self.corners.volumes / 3.0, slope, slope)
        return 0.5 * (total + total.transpose(0, 2, 1))

    def load(self, source: Callable[[Floats], npt.ArrayLike]) -> Floats:
        """Assemble ``integral of f v``; `source` maps points ``(..., 2)`` to values. Shape ``(nodes,)``."""
        points, weights = _rule()
        corner = self.corners.points[self.corners.cells]
        values = np.asarray(source(np.einsum("qa,cai->cqi", points, corner)), dtype=np.float64)
        local = np.einsum("c,q,cq,qa->ca", self.corners.volumes, weights, values, _shapes(points))
        result = np.zeros(len(self.mesh.points))
        np.add.at(result, self.cells, local)
        return result

    def flux(self, part: Callable[[Floats], npt.NDArray[np.bool_]]) -> Floats:
        """Assemble ``integral of v over a part of the boundary``, the load of a unit flux into the domain.

        Parameters
        ----------
        part : callable
            Maps the middles of the boundary edges, shape ``(edges, 2)``, to which of them belong to the part.

        Returns
        -------
        ndarray
            Shape ``(nodes,)``.
        """
        edges = self.corners.facets
        ends = self.corners.points[edges]
        chosen = np.asarray(part(ends.mean(axis=1)), bool)
        edges, ends = edges[chosen], ends[chosen]
        length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        result = np.zeros(len(self.mesh.points))
        np.add.at(result, edges, (length / 6.0)[:, None])  # Simpson's rule is exact for the shape functions
        np.add.at(result, self._middles(edges), length * (4.0 / 6.0))
        return result

    def _middles(self, edges: Ints) -> Ints:
        """Return the nodes in the middle of edges given by their ends."""
        all_edges, numbers = _edge_keys(self.corners.cells, len(self.corners.points))
        key = np.sort(edges, axis=1).astype(np.int64)
        return (len(self.corners.points) + np.searchsorted(all_edges, key[:, 0] * numbers + key[:, 1])).astype(np.int32)

    def norm(self, x: npt.ArrayLike, exact: Callable[[Floats], npt.ArrayLike]) -> float:
        """Return the L2 norm of the difference of a finite element function and `exact` (a function of points)."""
        points, weights = _rule()
        corner = self.corners.points[self.corners.cells]
        here = np.einsum("qa,ca->cq", _shapes(points), np.asarray(x, dtype=np.float64)[self.cells])
        difference = here - np.asarray(exact(np.einsum("qa,cai->cqi", points, corner)))
        return float(np.sqrt(np.einsum("c,q,cq->", self.corners.volumes, weights, difference**2)))


def _edge_keys(cells: Ints, nodes: int) -> tuple[npt.NDArray[np.int64], int]:
    ends = np.sort(np.concatenate([cells[:, list(pair)] for pair in EDGES]), axis=1).astype(np.int64)
    return np.unique(ends[:, 0] * nodes + ends[:, 1]), nodes


def quadratic(mesh: Mesh) -> QuadraticMesh:
    """Put quadratic elements on a mesh of triangles.

    Parameters
    ----------
    mesh : Mesh
        Triangles; what it holds is not looked at.

    Returns
    -------
    QuadraticMesh

    Raises
    ------
    ValueError
        If the mesh has tetrahedra.
    """
    if mesh.ndim != 2:
        raise ValueError(f"mesh has {mesh.ndim} dimensions: quadratic elements are there for triangles only")
    nodes = len(mesh.points)
    ends = np.sort(np.concatenate([mesh.cells[:, list(pair)] for pair in EDGES]), axis=1).astype(np.int64)
    keys, inverse = np.unique(ends[:, 0] * nodes + ends[:, 1], return_inverse=True)
    middle = 0.5 * (mesh.points[keys // nodes] + mesh.points[keys % nodes])
    number = (nodes + inverse.reshape(3, -1).T).astype(np.int32)
    cells = np.concatenate([mesh.cells, number], axis=1)
    small = np.concatenate([cells[:, [0, 3, 5]], cells[:, [3, 1, 4]], cells[:, [5, 4, 2]], cells[:, [3, 4, 5]]])
    fine = Mesh(np.concatenate([mesh.points, middle]), small)
    return QuadraticMesh(mesh, fine, cast(Ints, cells))
