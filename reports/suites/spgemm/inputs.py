"""Pairs of factors: grid stencils, random graphs, Galerkin products of multigrid, matrix files.

All are CSR arrays of float64 with int32 indices, columns sorted and unique. R-MAT graphs follow D. Chakrabarti,
Y. Zhan and C. Faloutsos, "R-MAT: a recursive model for graph mining", SDM 2004, with the probabilities 0.57, 0.19,
0.19, 0.05 of the Graph500 benchmark; edges that fall on each other are summed, vertices are not renumbered.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array, diags_array, eye_array, kron

from ...errors import UserError
from ..base import SuiteOptions

__all__ = ["Pair", "erdos_renyi", "pairs", "rmat", "stencil"]

RMAT = (0.57, 0.19, 0.19, 0.05)


@dataclass(frozen=True)
class Pair:
    """Two factors to multiply.

    Attributes
    ----------
    name, label, group : str
        Readable id, name for people, and one of "grid", "graph", "multigrid", "small", "file".
    make : callable
        ``make(rng) -> (A, B)``.
    parameters : mapping
        What the factors depend on besides the seed.
    ladder : bool
        Whether the SMASH variants run too.
    left_out : str
        Why the input is skipped; empty where it is not.
    """

    name: str
    label: str
    group: str
    make: Callable[[np.random.Generator], tuple[csr_array, csr_array]]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    ladder: bool = False
    left_out: str = ""


def _clean(matrix: Any) -> csr_array:
    """Return a matrix of one's own with sorted, unique columns, float64 entries and int32 indices."""
    result = csr_array(matrix, copy=True)
    result.sum_duplicates()
    if result.nnz >= 2**31:
        raise UserError("a factor has 2³¹ entries or more: the peers take 32-bit indices only")
    parts = (result.data.astype(np.float64), result.indices.astype(np.int32), result.indptr.astype(np.int32))
    return csr_array(parts, shape=result.shape)


def stencil(edge: int, points: int) -> csr_array:
    """Return the 5-, 7- or 27-point Laplacian of a square or a cube.

    Parameters
    ----------
    edge : int
        Unknowns along an edge.
    points : int
        5 (two dimensions), 7 or 27 (three).

    Examples
    --------
    >>> stencil(10, 27).nnz == 28**3
    True
    """
    line = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(edge, edge))
    one = eye_array(edge)
    if points == 5:
        return _clean(kron(line, one) + kron(one, line))
    if points == 7:
        plane = kron(line, one) + kron(one, line)
        return _clean(kron(plane, one) + kron(eye_array(edge**2), line))
    if points == 27:  # 26 on the diagonal, -1 to every neighbour
        near = diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(edge, edge))
        return _clean(27.0 * eye_array(edge**3) - kron(kron(near, near), near))
    raise ValueError(f"points is {points}: wanted 5, 7 or 27")


def rmat(scale: int, rng: np.random.Generator, edge_factor: int = 8) -> csr_array:
    """Return the adjacency matrix of an R-MAT graph with uniform weights.

    Parameters
    ----------
    scale : int
        The graph has ``2**scale`` vertices.
    rng : numpy.random.Generator
        Source of edges and weights.
    edge_factor : int
        Edges drawn per vertex, those that fall on each other counted.

    Examples
    --------
    >>> G = rmat(6, np.random.default_rng(0))
    >>> G.shape, bool(G.nnz < 8 * 64), bool(np.diff(G.indptr)[0] > 8)
    ((64, 64), True, True)
    """
    a, b, c, _ = RMAT
    edges = edge_factor << scale
    rows, columns = np.zeros(edges, dtype=np.int64), np.zeros(edges, dtype=np.int64)
    for _ in range(scale):
        quadrant = rng.random(edges)
        lower = quadrant >= a + b
        right = ((quadrant >= a) & ~lower) | (quadrant >= a + b + c)
        rows, columns = 2 * rows + lower, 2 * columns + right
    return _clean(csr_array((rng.random(edges), (rows, columns)), shape=(1 << scale, 1 << scale)))


def erdos_renyi(scale: int, rng: np.random.Generator, degree: int = 8) -> csr_array:
    """Return a random matrix with ``2**scale`` rows and about `degree` entries in each, anywhere."""
    n = 1 << scale
    rows, columns = rng.integers(0, n, (2, degree * n))
    return _clean(csr_array((rng.random(degree * n), (rows, columns)), shape=(n, n)))


@functools.lru_cache(maxsize=1)
def _hierarchy(kind: str, family: str, edge: int) -> tuple[csr_array, csr_array, csr_array]:
    """Return the finest A, P and R of a hierarchy."""
    from ....problems import Darcy, Poisson
    from ....solvers import precond

    problem: Any = {
        "poisson-2d": lambda: Poisson((edge, edge)),
        "poisson-3d": lambda: Poisson((edge,) * 3),
        "darcy": lambda: Darcy(edge, "lognormal"),
    }[family]().sample(np.random.default_rng(0))
    level = precond.amg(problem.A, kind=kind).hierarchy.levels[0]
    return _clean(level.A), _clean(level.P), _clean(level.R)


def _multigrid(kind: str, family: str, edge: int, what: str, label: str, ladder: bool = False) -> Pair:
    def make(rng: np.random.Generator) -> tuple[csr_array, csr_array]:
        A, P, R = _hierarchy(kind, family, edge)
        return (A, P) if what == "AP" else (R, _clean(A @ P))

    name = f"{'ap' if what == 'AP' else 'rap'}-{kind}-{family}-{edge}"
    title = f"{'A P' if what == 'AP' else 'R (A P)'}, {label}"
    return Pair(name, title, "multigrid", make, {"kind": kind, "family": family, "edge": edge, "what": what}, ladder)


def _grid(points: int, edge: int, group: str = "grid", ladder: bool = False) -> Pair:
    size = f"{edge}{'²' if points == 5 else '³'}"

    def make(rng: np.random.Generator) -> tuple[csr_array, csr_array]:
        A = stencil(edge, points)
        return A, A

    return Pair(f"{points}-point-{edge}", f"{points}-point, {size}", group, make, {"edge": edge}, ladder)


def _graph(kind: str, scale: int, group: str = "graph", ladder: bool = False) -> Pair:
    power = f"2{''.join('⁰¹²³⁴⁵⁶⁷⁸⁹'[int(d)] for d in str(scale))}"

    def make(rng: np.random.Generator) -> tuple[csr_array, csr_array]:
        A = rmat(scale, rng) if kind == "rmat" else erdos_renyi(scale, rng)
        return A, A

    label, given = (
        ("R-MAT", {"probabilities": RMAT, "edge_factor": 8}) if kind == "rmat" else ("Erdős-Rényi", {"degree": 8})
    )
    return Pair(f"{kind}-{scale}", f"{label}, {power}", group, make, {"scale": scale, **given}, ladder)


def _files(folder: str | None) -> list[Pair]:
    """Pair every square file with itself, every rectangular one with its transpose in both orders."""
    if folder is None:
        return []
    from ....problems import load
    from ..files import _stem, matrix_files

    found = []
    for path in matrix_files(folder):
        try:
            matrix = load(path).A.tocsr()
        except (ValueError, OSError) as error:
            raise UserError(f"--folder: {' '.join(str(error).split())}") from None
        name, square = _stem(path), matrix.shape[0] == matrix.shape[1]
        if matrix.dtype.kind == "c":
            text = "its entries are complex, and every input is float64"
            found.append(Pair(name, name, "file", functools.partial(_from_file, path, "AA"), left_out=text))
            continue
        for order in ("AA",) if square else ("AAt", "AtA"):
            title = {"AA": name, "AAt": f"{name}, A Aᵀ", "AtA": f"{name}, Aᵀ A"}[order]
            products = int(_products(matrix, order))
            ladder = 10**6 <= products <= 2 * 10**7
            make = functools.partial(_from_file, path, order)
            found.append(Pair(name if square else f"{name}-{order}", title, "file", make, {"order": order}, ladder))
    return found


def _products(matrix: csr_array, order: str) -> int:
    left, right = {"AA": (matrix, matrix), "AAt": (matrix, matrix.T), "AtA": (matrix.T, matrix)}[order]
    return int(np.bincount(csr_array(left).indices, minlength=left.shape[1]) @ np.diff(csr_array(right).indptr))


def _from_file(path: Path, order: str, rng: np.random.Generator) -> tuple[csr_array, csr_array]:
    from ....problems import load

    A = _clean(load(path).A.tocsr())
    if order == "AA":
        return A, A
    transposed = _clean(A.T)
    return (A, transposed) if order == "AAt" else (transposed, A)


def pairs(options: SuiteOptions) -> list[Pair]:
    """All inputs of the suite, for a full or a quick run."""
    files = _files(options.folder)
    if options.quick:
        return [
            _grid(5, 16, "small"),
            _graph("rmat", 6, "small"),
            _grid(5, 300),
            _grid(27, 20),
            _graph("rmat", 12, ladder=True),
            _multigrid("sa", "poisson-3d", 24, "RAP", "smoothed aggregation, Poisson 24³"),
            *files,
        ]
    return [
        *(_grid(5, edge, "small") for edge in (10, 20, 30, 40)),
        _grid(7, 8, "small"),
        _grid(27, 4, "small"),
        _graph("rmat", 6, "small"),
        _graph("rmat", 8, "small"),
        _graph("erdos-renyi", 10, "small"),
        _grid(5, 1000, ladder=True),
        _grid(7, 100),
        _grid(27, 64),
        _graph("rmat", 14, ladder=True),
        *(_graph("rmat", scale) for scale in (15, 16, 17)),
        _graph("erdos-renyi", 16, ladder=True),
        *(_graph("erdos-renyi", scale) for scale in (17, 18)),
        *(
            _multigrid(kind, family, edge, what, label, ladder=what == "RAP" and family == "poisson-3d")
            for kind, family, edge, label in (
                ("sa", "poisson-2d", 512, "smoothed aggregation, Poisson 512²"),
                ("sa", "poisson-3d", 64, "smoothed aggregation, Poisson 64³"),
                ("rs", "darcy", 512, "Ruge-Stueben, lognormal Darcy 512²"),
            )
            for what in ("AP", "RAP")
        ),
        *files,
    ]
