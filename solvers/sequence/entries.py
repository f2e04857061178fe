"""The numbers of an operator apart from where they stand, and how those of two operators are related.

Two systems of a sequence often differ by less than they seem to: the same matrix comes again, times a number, times a
diagonal matrix, or with something added to its diagonal. `relate` finds out by comparing entries: a few dozen of
them first, which tells most unrelated matrices apart in microseconds, then all of them. A match is exact up to the rounding
of one multiplication per entry, and whoever uses it still checks the true residual.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ...linalg import CSROperator, DenseOperator, Grid, Operator, StencilOperator

__all__ = ["Box", "Entries", "Pattern", "Relation", "distance", "relate", "spread"]

Array = npt.NDArray[Any]
SAMPLES = 61  # entries of each array that are compared first
ROUGH = 1e-5  # relative difference of plain numbers beyond which no look at the arrays is needed
SLACK = 16  # units of rounding by which entries may differ that were multiplied


class Pattern:
    """Where the entries of a sparse (or dense) matrix stand, and what follows from that alone."""

    def __init__(self, shape: tuple[int, int], indptr: Array | None, indices: Array | None) -> None:
        self.shape, self.indptr, self.indices = shape, indptr, indices  # both None: dense, row by row

    @property
    def count(self) -> int:
        """Number of entries."""
        return self.shape[0] * self.shape[1] if self.indices is None else int(self.indices.size)

    def fits(self, other: Pattern) -> bool:
        """Whether the entries of another matrix stand in the same places."""
        if self.shape != other.shape or self.count != other.count or (self.indices is None) != (other.indices is None):
            return False
        if self.indices is None or self.indptr is None:
            return True
        return np.array_equal(self.indices, other.indices) and np.array_equal(self.indptr, other.indptr)  # type: ignore[arg-type]

    def kept(self) -> Pattern:
        """Return a copy that later edits by the caller do not reach."""
        if self.indices is None or self.indptr is None:
            return self
        return Pattern(self.shape, self.indptr.copy(), self.indices.copy())

    @cached_property
    def rows(self) -> Array:
        """Row of each entry."""
        n, m = self.shape
        if self.indptr is None:
            return np.repeat(np.arange(n), m)
        return np.repeat(np.arange(n, dtype=np.int32), np.diff(self.indptr))

    @cached_property
    def columns(self) -> Array:
        """Column of each entry."""
        return np.tile(np.arange(self.shape[1]), self.shape[0]) if self.indices is None else self.indices

    @cached_property
    def picked(self) -> tuple[Array, Array, Array, Array]:
        """A few places, their rows and columns, and which of them are off the diagonal."""
        place = np.arange(0, self.count, max(1, self.count // SAMPLES))
        rows, columns = self.rows[place], self.columns[place]
        return place, rows, columns, rows != columns

    @cached_property
    def diagonal(self) -> Array | None:
        """Places of the diagonal entries, None where one is not stored."""
        found = np.flatnonzero(self.rows == self.columns)
        return found if found.size == self.shape[0] == self.shape[1] else None

    @cached_property
    def mirror(self) -> Array | None:
        """For each entry the place of its mirror image, None if the pattern is not symmetric."""
        n = self.shape[0]
        if n != self.shape[1]:
            return None
        if self.indices is None or self.indptr is None:
            return np.arange(n * n).reshape(n, n).T.ravel()
        numbered = csr_array((np.arange(1, self.count + 1), self.indices, self.indptr), shape=self.shape)
        other = csr_array(numbered.T)
        other.sort_indices()
        if not (np.array_equal(other.indptr, self.indptr) and np.array_equal(other.indices, self.indices)):
            return None
        return np.asarray(other.data - 1)

    def hermitian(self, data: Array) -> bool:
        """Whether a matrix with this pattern equals its conjugate transpose, up to the rounding of its assembly."""
        if self.mirror is None:
            return False
        sample = self._mirror_sample
        if (np.abs(data[sample[0]] - data[sample[1]].conj()) > 1e-6 * np.abs(data[sample[0]])).any():
            return False  # most matrices that are not symmetric show it at once
        other = data[self.mirror].conj()
        gap = np.abs(data - other)
        if not gap.any():
            return True
        size = np.abs(data)
        if self.diagonal is not None:
            root = np.sqrt(size[self.diagonal])
            size = size + root[self.rows] * root[self.columns]
        return bool((gap <= 64 * np.finfo(data.dtype).eps * size).all())

    @cached_property
    def _mirror_sample(self) -> tuple[Array, Array]:
        place = np.arange(0, self.count, max(1, self.count // SAMPLES))
        return place, np.asarray(self.mirror)[place]


class Box:
    """Where the conductances of a stencil stand: its grid."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    @property
    def count(self) -> int:
        """Number of matrix entries, about."""
        return (2 * self.grid.ndim + 1) * self.grid.size

    def fits(self, other: Box) -> bool:
        """Whether two grids have the same shape, spacing, sides and cells."""
        a, b = self.grid, other.grid
        if a is b:
            return True
        if (a.shape, a.spacing, a.sides) != (b.shape, b.spacing, b.sides):
            return False
        if a.cells is None or b.cells is None:
            return a.cells is b.cells
        return np.array_equal(a.cells, b.cells)

    def kept(self) -> Box:
        """Return the grid itself, which nobody can change."""
        return self


@dataclass
class Relation:
    """How a matrix follows from a known one: ``A = diag(left) A0 diag(right)``, with the kinds below.

    ``same``, ``scaled`` (a number), ``columns``, ``rows``, ``both`` (left = right), ``diagonal`` (something is added to the
    diagonal of A0; `left` and `right` are not used) and ``pattern`` (only the places agree).
    """

    kind: str
    left: Any = 1.0
    right: Any = 1.0

    @property
    def exact(self) -> bool:
        """Whether A follows from A0 by scaling."""
        return self.kind in ("same", "scaled", "columns", "rows", "both")


@dataclass
class Entries:
    """The arrays of numbers of one operator, with what it states about itself."""

    place: Pattern | Box
    values: tuple[Array, ...]
    symmetric: bool | None = None
    positive_definite: bool | None = None
    nullspace: Any = None
    sample: Array = field(default_factory=lambda: np.empty(0))
    tail: int = 1  # entries of the sample that belong to the last array
    probe: tuple[Any, ...] = ()  # three entries of the sample, as plain numbers

    def __post_init__(self) -> None:
        """Take the sample."""
        if not self.sample.size:
            parts = [v.reshape(-1)[:: max(1, v.size // SAMPLES)] for v in self.values]
            self.sample, self.tail = np.concatenate(parts), parts[-1].size
        if self.sample.size:
            self.probe = tuple(self.sample[[0, self.sample.size // 3, self.sample.size // 2]].tolist())

    @classmethod
    def of(cls, A: Operator) -> Entries | None:
        """Return the entries of an operator (not copied), None where it has none that can be read."""
        facts = (A.symmetric, A.positive_definite, A.nullspace)
        if isinstance(A, StencilOperator) and A.grid is not None:
            return cls(Box(A.grid), (*A.conductances, np.atleast_1d(A.shift)), *facts)
        if isinstance(A, CSROperator):
            m = A.matrix
            return cls(Pattern(m.shape, m.indptr, m.indices), (m.data,), *facts)
        if isinstance(A, DenseOperator):
            return cls(Pattern(A.shape, None, None), (np.ravel(A.array),), *facts)
        return None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the entries."""
        return np.dtype(np.result_type(*self.values))

    @property
    def finite(self) -> bool:
        """Whether all entries are finite (one pass; a sum of finite numbers that overflows is looked at again)."""
        with np.errstate(all="ignore"):
            return all(bool(np.isfinite(v.sum())) or bool(np.isfinite(v).all()) for v in self.values)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the values."""
        return sum(v.nbytes for v in self.values)

    def kept(self) -> Entries:
        """Return a copy that later edits by the caller do not reach; the place is shared."""
        values = tuple(np.array(v) for v in self.values)
        return Entries(
            self.place, values, self.symmetric, self.positive_definite, self.nullspace, self.sample, self.tail
        )

    def operator(self) -> Operator:
        """Build the operator again."""
        place = self.place
        if isinstance(place, Box):
            shift: Any = self.values[-1]
            return StencilOperator(place.grid, self.values[:-1], shift=shift[0] if shift.size == 1 else shift)
        facts: dict[str, Any] = {"symmetric": self.symmetric, "positive_definite": self.positive_definite}
        if place.indices is None:
            return DenseOperator(self.values[0].reshape(place.shape), **facts)
        matrix = csr_array((self.values[0], place.indices, place.indptr), shape=place.shape)
        return CSROperator(matrix, nullspace=self.nullspace, **facts)

    def diagonal(self) -> Array | None:
        """Return the diagonal, None where it is not stored (a stencil states it itself)."""
        if isinstance(self.place, Box):
            return self.operator().diagonal()
        return None if self.place.diagonal is None else self.values[0][self.place.diagonal]


def relate(known: Entries, new: Entries) -> Relation:
    """Find out how `new` follows from `known`, an operator whose entries stand in the same places.

    Notes
    -----
    About a hundred operations where the two are unrelated; one to three passes over the entries where they are not.
    """
    with np.errstate(all="ignore"):
        return _relate(known, new)


def _relate(known: Entries, new: Entries) -> Relation:
    a, b = known.sample, new.sample
    if a.size != b.size or a.dtype != b.dtype:
        return Relation("pattern")
    p, q = known.probe, new.probe
    if p == q:
        if np.array_equal(a, b) and all(np.array_equal(v, w) for v, w in zip(known.values, new.values, strict=True)):
            return Relation("same")
    elif abs(p[0] * q[1] - q[0] * p[1]) <= ROUGH * abs(q[0] * p[1]) and (
        abs(p[0] * q[2] - q[0] * p[2]) <= ROUGH * abs(q[0] * p[2])
    ):
        top = int(np.abs(a).argmax())
        factor = b[top] / a[top]
        whole = np.isfinite(factor) and factor != 0
        if whole and all(_close(v * factor, w) for v, w in zip(known.values, new.values, strict=True)):
            return Relation("scaled", factor)
    if isinstance(new.place, Box):
        still = np.array_equal(a[: -new.tail], b[: -new.tail]) and all(
            np.array_equal(v, w) for v, w in zip(known.values[:-1], new.values[:-1], strict=True)
        )
        return Relation("diagonal" if still else "pattern")
    return _by_diagonals(known.values[0], new.values[0], new.place)


def distance(known: Entries, new: Entries) -> float:
    """About how far two sets of entries are apart, relative to their size (from the sample)."""
    a, b = known.sample, new.sample
    if a.size != b.size:
        return 1.0
    size = float(np.abs(a).sum() + np.abs(b).sum())
    return 2.0 * float(np.abs(a - b).sum()) / size if size > 0 else 0.0


def spread(known: Entries, new: Entries) -> float:
    """Ratio of the largest to the smallest factor between the entries of two matrices (from the sample).

    For diffusion it bounds the condition number that a preconditioner of the one leaves for the other.
    """
    a, b = np.abs(known.sample), np.abs(new.sample)
    if a.size != b.size:
        return np.inf
    both = (a > 0) & (b > 0)
    if not both.any():
        return np.inf
    ratio = b[both] / a[both]
    return float(ratio.max() / ratio.min())


def _close(a: Array, b: Array) -> bool:
    """Whether two arrays agree up to the rounding of a product."""
    gap = np.abs(a - b)
    return bool((gap <= SLACK * np.finfo(gap.dtype).eps * np.abs(b)).all())


def _by_diagonals(a: Array, b: Array, place: Pattern) -> Relation:
    """Look for diagonal matrices that turn the entries `a` into `b`."""
    where = place.diagonal
    if where is None:
        return Relation("pattern")
    sample, rows, columns, off = place.picked
    if np.array_equal(a[sample[off]], b[sample[off]]):
        rest = a != b
        rest[where] = False
        if not rest.any():
            return Relation("diagonal")
    old, new = a[sample], b[sample]
    quotient = new / old
    by_row, by_column = b[where[rows]] / a[where[rows]], b[where[columns]] / a[where[columns]]
    if not any(_close(q, quotient) for q in (by_column, by_row)) and not _close(by_row * by_column, quotient**2):
        return Relation("pattern")
    ratio = b[where] / a[where]
    if not np.isfinite(ratio).all() or (ratio == 0).any():
        return Relation("pattern")
    if _close(a[sample] * ratio[columns], b[sample]) and _close(a * ratio[place.columns], b):
        return Relation("columns", 1.0, ratio)
    if _close(a[sample] * ratio[rows], b[sample]) and _close(a * ratio[place.rows], b):
        return Relation("rows", ratio, 1.0)
    if ratio.dtype.kind != "c" and (ratio > 0).all():
        root = np.sqrt(ratio)
        if _close(a[sample] * root[rows] * root[columns], b[sample]) and _close(
            a * root[place.rows] * root[place.columns], b
        ):
            return Relation("both", root, root)
    return Relation("pattern")
