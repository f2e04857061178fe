"""The observed entries of a matrix: one copy by rows, one by columns, and the products of a completion method.

Per entry the copies keep a value and a 4-byte index each, a 4-byte map from the one order to the other, and one work value
for the residual: 36 bytes in double precision, where a triplet of 4-byte indices and a value takes 16 and one of NumPy's
default 8-byte indices 24. Building them needs 12 bytes more for a moment.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg.kernels import completion as kernels
from ...linalg.kernels import completion_setup as setup

__all__ = ["Entries"]

Array = npt.NDArray[Any]

_BLOCKS = 16  # parts of a parallel kernel: fixed, so that results do not depend on the number of threads
_SMALL = 20_000  # multiply-adds below which one block is faster than a parallel region
_NO_ORDER = np.empty(0, dtype=np.uint32)


def _blocks(work: int) -> int:
    return 1 if work < _SMALL else _BLOCKS


def _cut(indptr: Array, blocks: int) -> Array:
    """Rows at which blocks of equal numbers of entries (and a little work per row) begin."""
    work = indptr.astype(np.int64) + np.arange(indptr.size)
    wanted = np.linspace(0, work[-1], blocks + 1)
    starts = np.searchsorted(work, wanted).astype(np.uint64)
    starts[0], starts[-1] = 0, indptr.size - 1
    return starts


class Side:
    """One copy: compressed rows of the matrix or of its transpose."""

    def __init__(self, indptr: Array, indices: Array, values: Array, order: Array) -> None:
        self.indptr = indptr.view(np.uint64)
        self.indices = indices
        self.values = values
        self.order = order
        self._starts = {blocks: _cut(indptr, blocks) for blocks in (1, _BLOCKS)}

    def starts(self, rank: int) -> Array:
        """Blocks of rows for a kernel on factors of `rank` columns."""
        return self._starts[_blocks(self.indices.size * rank)]

    @property
    def counts(self) -> Array:
        """Entries in each row."""
        return np.diff(self.indptr.view(np.int64))


class Entries:
    """Observed entries of an m x n matrix, by rows and by columns.

    Parameters
    ----------
    rows, cols : ndarray of int, shape (N,)
        Places, inside the shape.
    values : ndarray, shape (N,)
        float32 or float64.
    shape : tuple of int
        (m, n).

    Raises
    ------
    ValueError
        If a place occurs twice; the first one is named.
    """

    def __init__(self, rows: Array, cols: Array, values: Array, shape: tuple[int, int]) -> None:
        m, n = shape
        size = values.size
        if size >= 2**32:
            raise ValueError(
                f"values has {size} entries; wanted fewer than 2**32 (maps between the copies are 4 bytes wide)"
            )
        rows = rows.astype(np.uint32, copy=False)
        cols = cols.astype(np.uint32, copy=False)
        by_column = np.empty(n + 1, dtype=np.int64)
        setup.count(cols, by_column)
        row_of = np.empty(size, dtype=np.uint32)
        column_values = np.empty(size, dtype=values.dtype)
        setup.place(cols, rows, values, by_column, row_of, column_values)
        by_row = np.empty(m + 1, dtype=np.int64)
        setup.count(rows, by_row)
        column_of = np.empty(size, dtype=np.uint32)
        row_values = np.empty(size, dtype=values.dtype)
        setup.transpose(by_column, row_of, column_values, by_row, column_of, row_values, _NO_ORDER)
        i, p = setup.first_duplicate(by_row, column_of)
        if i >= 0:
            j = int(column_of[p])
            raise ValueError(
                f"rows, cols name entry ({i}, {j}) more than once; wanted each once: drop or average duplicates"
            )
        order = np.empty(size, dtype=np.uint32)
        setup.transpose(by_row, column_of, row_values, by_column, row_of, column_values, order)
        self.shape = (m, n)
        self.size = size
        self.rows = Side(by_row, column_of, row_values, _NO_ORDER)
        self.cols = Side(by_column, row_of, column_values, order)
        self.residual = np.empty(size, dtype=values.dtype)
        self.norm = float(np.linalg.norm(row_values.astype(np.float64, copy=False)))

    @property
    def memory_bytes(self) -> int:
        """Bytes of both copies and the residual."""
        sides = (self.rows, self.cols)
        arrays = [a for s in sides for a in (s.indptr, s.indices, s.values, s.order)]
        return sum(a.nbytes for a in arrays) + self.residual.nbytes

    def residuals(self, U: Array, V: Array, values: Array | None = None) -> float:
        """Put ``values - U V'`` on the entries into `residual`; return its norm. 2 N k flops."""
        side = self.rows
        starts = side.starts(U.shape[1])
        partial = np.empty(starts.size - 1)
        values = side.values if values is None else values
        kernels.residuals(starts, side.indptr, side.indices, values, U, V, self.residual, partial)
        return float(np.sqrt(partial.sum()))

    def tangent(self, A: Array, V: Array, U: Array, B: Array, out: Array) -> float:
        """Put ``A V' + U B'`` on the entries into `out`; return its norm. 4 N k flops."""
        side = self.rows
        starts = side.starts(2 * U.shape[1])
        partial = np.empty(starts.size - 1)
        kernels.tangent(starts, side.indptr, side.indices, A, V, U, B, out, partial)
        return float(np.sqrt(partial.sum()))

    def times(self, weights: Array, V: Array) -> Array:
        """Return ``S V`` for the sparse matrix S of the weights (in row order)."""
        side = self.rows
        out = np.empty((self.shape[0], V.shape[1]))
        kernels.spread(side.starts(V.shape[1]), side.indptr, side.indices, weights, side.order, V, out)
        return out

    def transposed_times(self, weights: Array, U: Array) -> Array:
        """Return ``S' U`` for the sparse matrix S of the weights (in row order)."""
        side = self.cols
        out = np.empty((self.shape[1], U.shape[1]))
        kernels.spread(side.starts(U.shape[1]), side.indptr, side.indices, weights, side.order, U, out)
        return out
