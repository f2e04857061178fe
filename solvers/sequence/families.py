"""The preconditioners a sequence chooses from, with what each is expected to cost before anybody has measured it.

Costs are in bytes that go through memory: an iteration of almost everything here is bound by them, and a count of bytes is
the same on every machine and in every run. The constants were fitted once to measured times (16 thousand unknowns, one
core at five bytes per nanosecond) and only order the first trials; what is measured replaces them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...linalg import DiagonalOperator, Grid, Operator, StencilOperator
from .. import precond
from .state import Scaled

__all__ = ["FAMILIES", "Family", "Size", "candidates"]

DIRECT_LIMIT = 400_000  # unknowns beyond which no factorisation is tried (3-D: 40 000)


@dataclass(frozen=True)
class Size:
    """What a cost depends on: unknowns, stored entries, dimension of the grid, bytes per number."""

    n: int
    nnz: int
    ndim: int
    item: int = 8
    stencil: bool = False

    @property
    def vector(self) -> float:
        """Bytes of a vector."""
        return float(self.n * self.item)

    @property
    def matrix(self) -> float:
        """Bytes of the matrix."""
        return float(self.nnz * (self.item + 4))

    @property
    def product(self) -> float:
        """Bytes of a product with A."""
        entries = self.vector * (self.ndim + 2) if self.stencil else self.matrix
        return entries + 3 * self.vector + 20_000.0

    @property
    def line(self) -> float:
        """Unknowns along an axis."""
        return float(max(self.n, 1) ** (1.0 / self.ndim))


@dataclass(frozen=True)
class Family:
    """One kind of preconditioner.

    Attributes
    ----------
    build : callable
        Makes it from an operator.
    setup, update, apply : callable
        Expected bytes of a first set-up, of an update, and of an application, from the `Size`.
    iterations : callable
        Expected iterations per decade of the residual.
    exact : bool
        Whether it is the inverse: one application solves.
    grows : bool
        Whether a set-up from nothing may be better than updates.
    """

    name: str
    build: Callable[[Operator], Any]
    setup: Callable[[Size], float]
    update: Callable[[Size], float]
    apply: Callable[[Size], float]
    iterations: Callable[[Size], float]
    exact: bool = False
    grows: bool = False


def _absolute_jacobi(A: Operator) -> Any:
    """Return the inverse of the absolute diagonal, which is positive definite for every A."""
    diagonal = np.abs(A.diagonal())
    if not diagonal.all():
        raise np.linalg.LinAlgError("A has a zero on its diagonal")
    return DiagonalOperator(1.0 / diagonal)


def _scaled_poisson(A: Operator) -> Any:
    """Return the direct Poisson solver of the box around the grid of A, scaled by the ratio of the diagonals.

    With A = L diag(a) it is the inverse; for diffusion with a smooth coefficient, scaled on both sides by the square root,
    it takes a number of iterations that hardly depends on the contrast.
    """
    if not isinstance(A.grid, Grid):
        raise TypeError("A states no grid")
    M = precond.fast_poisson(A.grid)
    reference = StencilOperator.from_coefficient(A.grid).diagonal()
    with np.errstate(all="ignore"):
        ratio = reference / A.diagonal()
    if not np.isfinite(ratio).all() or not ratio.all():
        raise np.linalg.LinAlgError("A has a zero on its diagonal")
    if A.symmetric and (ratio > 0).all():
        root = np.sqrt(ratio)
        return Scaled(M, root, root, bool(M.positive_definite))
    return Scaled(M, ratio, None, False)


def _fill(s: Size) -> float:
    """Bytes of the factors of a sparse LU."""
    if s.nnz >= s.n * s.n // 2:
        return s.vector * s.n
    return s.vector * min(s.n, 8.0 * s.line if s.ndim > 2 else 3.0 * s.line**0.5 + 10) * (3.0 if s.ndim > 2 else 1.5)


def _factoring(s: Size) -> float:
    if s.nnz >= s.n * s.n // 2:
        return 0.1 * s.vector * s.n * s.n / 3
    return 3e5 + 12 * s.matrix + (20.0 * s.n**2 if s.ndim > 2 else 35.0 * s.n**1.5) * s.item / 8


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "multigrid", precond.multigrid, lambda s: 3e5 + 40 * s.vector, lambda s: 2e5 + 20 * s.vector,
            lambda s: 1e5 + 7 * s.vector, lambda s: 1.6,
        ),
        Family(
            "fast_poisson", precond.fast_poisson, lambda s: 2e5 + 10 * s.vector, lambda s: 2e5 + 10 * s.vector,
            lambda s: 1e5 + 9 * s.vector, lambda s: 4.0,
        ),
        Family(
            "scaled_poisson", _scaled_poisson, lambda s: 5e5 + 30 * s.vector, lambda s: 5e5 + 30 * s.vector,
            lambda s: 1e5 + 12 * s.vector, lambda s: 4.0,
        ),
        Family(
            "ic", lambda A: precond.ic(A, level=1, alpha=0.5), lambda s: 1e6 + 12 * s.matrix,
            lambda s: 5e5 + 6 * s.matrix, lambda s: 5e4 + 1.0 * s.matrix, lambda s: 0.085 * s.line + 0.5,
        ),
        Family(
            "amg", precond.amg, lambda s: 1.5e7 + 220 * s.matrix, lambda s: 5e6 + 25 * s.matrix,
            lambda s: 1.5e6 + 4.0 * s.matrix, lambda s: 1.3, grows=True,
        ),
        Family(
            "direct", precond.direct, _factoring, _factoring, lambda s: 1e5 + 3 * _fill(s), lambda s: 0.17, exact=True,
        ),
        Family(
            "ilu", precond.ilu, lambda s: 1e6 + 6 * s.matrix, lambda s: 5e5 + 4 * s.matrix,
            lambda s: 5e4 + 1.0 * s.matrix, lambda s: 0.12 * s.line + 0.5,
        ),
        Family(
            "ilu2", lambda A: precond.ilu(A, level=2), lambda s: 1.5e6 + 25 * s.matrix, lambda s: 8e5 + 15 * s.matrix,
            lambda s: 5e4 + 2.2 * s.matrix, lambda s: 0.05 * s.line + 0.5,
        ),
        Family(
            "jacobi", _absolute_jacobi, lambda s: 5e4 + 4 * s.vector, lambda s: 5e4 + 4 * s.vector,
            lambda s: 1e4 + 3 * s.vector, lambda s: 0.35 * s.line + 1,
        ),
        Family("none", lambda A: None, lambda s: 0.0, lambda s: 0.0, lambda s: 0.0, lambda s: 0.4 * s.line + 1),
    )
}  # fmt: skip


def candidates(A: Operator, kind: str, size: Size, assembled: bool) -> list[str]:
    """Names of the families that may serve an operator.

    Parameters
    ----------
    A : Operator
    kind : {"definite", "symmetric", "general"}
        Positive definite (or so hoped), symmetric, or neither.
    size : Size
    assembled : bool
        Whether its entries can be had.
    """
    real = A.dtype.kind != "c"
    names = []
    stencil = isinstance(A, StencilOperator) and real
    if stencil and kind in ("definite", "symmetric"):
        names.append("multigrid")
        if kind == "definite":
            names.append("fast_poisson")
    if assembled:
        factorable = A.nullspace is None and size.n <= (DIRECT_LIMIT if size.ndim < 3 else DIRECT_LIMIT // 10)
        if factorable:
            names.append("direct")
        if kind == "definite" and not stencil:
            names += ["ic", "amg", "jacobi"]
        elif kind == "symmetric":
            names.append("jacobi")
        elif kind == "general":
            names += ["ilu", "ilu2", "none"]
        on_box = isinstance(A.grid, Grid) and A.grid.cells is None and A.grid.size == size.n
        if real and not stencil and on_box and kind != "symmetric" and A.nullspace is None:
            names.append("scaled_poisson")
    else:
        names += ["jacobi", "none"] if kind != "general" else ["none"]
    return names
