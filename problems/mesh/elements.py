"""Linear (P1) finite elements on triangles and tetrahedra: stiffness, mass, linear elasticity.

All cells at once: the gradients of the hat functions are the rows of the inverse of the edge matrix of a
cell, every local matrix is a product of gradients, and one sparse sum assembles them. The results are
symmetric to the last bit (the mean of the assembled matrix and its transpose, because sums of the same
numbers in another order may differ).

References
----------
.. [1] S. Brenner, R. Scott, The mathematical theory of finite element methods, Springer 2008.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from .. import checks
from .generate import Mesh

__all__ = ["elasticity_matrix", "gradients", "lame", "mass_matrix", "rigid_motions", "stiffness_matrix"]

Floats = npt.NDArray[np.float64]


def gradients(mesh: Mesh) -> Floats:
    """Gradients of the hat functions on each cell, shape ``(cells, d + 1, d)``."""
    corner = mesh.points[mesh.cells]
    edges = corner[:, 1:] - corner[:, :1]
    inner = np.linalg.inv(edges).transpose(0, 2, 1)
    return np.concatenate([-inner.sum(axis=1, keepdims=True), inner], axis=1)


def _assemble(local: Floats, numbers: npt.NDArray[Any], size: int) -> csr_array:
    width = numbers.shape[1]
    rows = np.repeat(numbers, width, axis=1).ravel()
    columns = np.tile(numbers, (1, width)).ravel()
    total = csr_array(coo_array((local.ravel(), (rows, columns)), shape=(size, size)))
    total.sum_duplicates()
    return csr_array(0.5 * (total + total.T))


def _per_cell(name: str, values: npt.ArrayLike | None, mesh: Mesh) -> Floats:
    if values is None:
        return np.ones(len(mesh.cells))
    result = np.asarray(values, dtype=np.float64)
    if result.shape not in ((), (len(mesh.cells),)):
        raise ValueError(f"{name} has shape {result.shape}: wanted one number or ({len(mesh.cells)},), one per cell")
    if not (np.isfinite(result).all() and (result > 0).all()):
        raise ValueError(f"{name} must be positive and finite in every cell")
    return np.broadcast_to(result, len(mesh.cells))


def stiffness_matrix(mesh: Mesh, coefficient: npt.ArrayLike | None = None) -> csr_array:
    """Assemble ``integral of k grad u . grad v`` over all nodes.

    Parameters
    ----------
    mesh : Mesh
    coefficient : array_like, optional
        Positive k, one number or one per cell; None is 1.

    Returns
    -------
    csr_array
        Shape ``(nodes, nodes)``, symmetric; constants are its null space.
    """
    k = _per_cell("coefficient", coefficient, mesh)
    g = gradients(mesh)
    local = np.einsum("c,cai,cbi->cab", k * mesh.volumes, g, g)
    return _assemble(local, mesh.cells, len(mesh.points))


def mass_matrix(mesh: Mesh) -> csr_array:
    """Assemble ``integral of u v`` over all nodes, shape ``(nodes, nodes)``, symmetric positive definite."""
    d = mesh.ndim
    pattern = (np.ones((d + 1, d + 1)) + np.eye(d + 1)) / ((d + 1) * (d + 2))
    return _assemble(mesh.volumes[:, None, None] * pattern, mesh.cells, len(mesh.points))


def lame(young: float, poisson: float) -> tuple[float, float]:
    """Return Lame's coefficients (lambda, mu) of an elastic body (plane strain in 2-D)."""
    young = checks.real("young", young, 0.0, above=True)
    poisson = checks.real("poisson", poisson, 0.0, 0.5, below=True)
    return young * poisson / ((1.0 + poisson) * (1.0 - 2.0 * poisson)), young / (2.0 * (1.0 + poisson))


def elasticity_matrix(mesh: Mesh, young: float = 1.0, poisson: float = 0.3) -> csr_array:
    """Assemble linear elasticity ``integral of sigma(u) : epsilon(v)``.

    Parameters
    ----------
    mesh : Mesh
    young, poisson : float
        Young's modulus and Poisson's ratio in [0, 0.5); P1 elements lock near 0.5.

    Returns
    -------
    csr_array
        Shape ``(d nodes, d nodes)``, component by component within each node; its null space are the rigid
        motions.
    """
    first, mu = lame(young, poisson)
    d, g = mesh.ndim, gradients(mesh)
    dots = np.einsum("cai,cbi->cab", g, g)
    local = first * np.einsum("cai,cbj->caibj", g, g) + mu * np.einsum("caj,cbi->caibj", g, g)
    local += mu * np.einsum("cab,ij->caibj", dots, np.eye(d))
    local *= mesh.volumes[:, None, None, None, None]
    numbers = (mesh.cells[:, :, None] * d + np.arange(d, dtype=np.int32)).reshape(len(mesh.cells), -1)
    return _assemble(local, numbers, d * len(mesh.points))


def rigid_motions(points: npt.ArrayLike) -> Floats:
    """Orthonormal translations and infinitesimal rotations of a set of nodes.

    Parameters
    ----------
    points : array_like
        Shape ``(nodes, d)``, d = 2 or 3.

    Returns
    -------
    ndarray
        Shape ``(d nodes, 3)`` in 2-D, ``(d nodes, 6)`` in 3-D.
    """
    points = np.asarray(points, dtype=np.float64)
    nodes, d = points.shape
    offset = points - points.mean(axis=0)
    modes = [np.tile(unit, nodes) for unit in np.eye(d)]
    for a in range(d):
        for b in range(a):
            turn = np.zeros((nodes, d))
            turn[:, a], turn[:, b] = offset[:, b], -offset[:, a]
            modes.append(turn.ravel())
    return cast(Floats, np.linalg.qr(np.stack(modes, axis=1))[0])
