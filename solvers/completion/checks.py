"""What `complete` accepts, in one place: triplets, sparse arrays and masked arrays become checked triplets."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from ...linalg.kernels import completion_setup as setup
from .entries import Entries

__all__ = ["Weakness", "check_count", "check_number", "triplets", "weakness"]

Array = npt.NDArray[Any]


def check_count(name: str, value: Any, most: int | None = None) -> int:
    """Whole number of at least one, and at most `most`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}: wanted a whole number of at least 1") from None
    if isinstance(value, bool) or number < 1:
        raise ValueError(f"{name} is {value!r}: wanted a whole number of at least 1")
    if most is not None and number > most:
        raise ValueError(f"{name} is {number}: wanted at most {most}, the smaller side of the matrix")
    return number


def check_number(name: str, value: Any, low: float, high: float = np.inf, *, open_low: bool = False) -> float:
    """Finite number in a range."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}: wanted a number") from None
    if not np.isfinite(number) or number < low or number > high or (open_low and number == low):
        limit = f"above {low:g}" if open_low else f"of at least {low:g}"
        limit += f", at most {high:g}" if high < np.inf else ""
        raise ValueError(f"{name} is {value!r}: wanted a finite number {limit}")
    return number


def _index(name: str, given: Any) -> Array:
    index = np.asarray(given)
    if index.ndim != 1:
        raise ValueError(f"{name} has shape {index.shape}: wanted a vector with one number per observed entry")
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {index.dtype}: wanted whole numbers, counted from 0")
    return index


def _shape(shape: Any) -> tuple[int, int]:
    try:
        m, n = (operator.index(size) for size in shape)
    except (TypeError, ValueError):
        raise TypeError(f"shape is {shape!r}: wanted two whole numbers (rows, columns)") from None
    if min(m, n) < 1:
        raise ValueError(f"shape is {(m, n)}: wanted at least one row and one column")
    if max(m, n) >= 2**32 - 1:
        raise ValueError(f"shape is {(m, n)}: wanted fewer than 2**32 - 1 rows and columns (indices are 4 bytes wide)")
    return m, n


def triplets(rows: Any, cols: Any, values: Any, shape: Any) -> tuple[Array, Array, Array, tuple[int, int]]:
    """Rows, columns, values (float32 or float64) and shape, checked."""
    if issparse(rows) or isinstance(rows, np.ma.MaskedArray):
        if cols is not None or values is not None:
            raise TypeError(
                f"rows is a {type(rows).__name__}, which holds places and values already; wanted it alone, with rank=..."
            )
        if rows.ndim != 2:
            raise ValueError(f"rows has {rows.ndim} dimensions: wanted a matrix")
        if shape is None:
            shape = rows.shape
        if issparse(rows):
            matrix = rows.tocoo()  # keeps explicit zeros: they are observed
            rows, cols, values = matrix.row, matrix.col, matrix.data
        else:
            masked = rows
            rows, cols = np.nonzero(~np.ma.getmaskarray(masked))
            values = np.asarray(masked.data)[rows, cols]
    elif cols is None or values is None or shape is None:
        missing = next(n for n, v in (("cols", cols), ("values", values), ("shape", shape)) if v is None)
        raise TypeError(
            f"{missing} is missing: wanted rows, cols, values and shape, or a SciPy sparse array or a masked array alone"
        )
    m, n = _shape(shape)
    rows, cols = _index("rows", rows), _index("cols", cols)
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f"values has shape {values.shape}: wanted a vector with one number per observed entry")
    if values.dtype.kind not in "fiub":
        raise TypeError(f"values has dtype {values.dtype}: wanted real numbers")
    if not rows.size == cols.size == values.size:
        raise ValueError(
            f"rows, cols, values have {rows.size}, {cols.size}, {values.size} entries: wanted equal numbers"
        )
    if not values.size:
        raise ValueError("values is empty: wanted at least one observed entry")
    for name, index, size in (("rows", rows, m), ("cols", cols, n)):
        low, high = int(index.min()), int(index.max())
        if low < 0 or high >= size:
            bad = low if low < 0 else high
            at = int(np.argmax(index == bad))
            raise ValueError(f"{name}[{at}] is {bad}: wanted 0 to {size - 1} (shape is {(m, n)}; places count from 0)")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        at = int(np.argmin(finite))
        raise ValueError(
            f"values[{at}], entry ({rows[at]}, {cols[at]}), is {values[at]}: wanted finite numbers; leave out the unknown"
        )
    return rows, cols, values, (m, n)


class Weakness:
    """What keeps the entries from determining a matrix of this rank.

    Attributes
    ----------
    thin : bool
        Some row or column has fewer entries than the rank.
    components : int
        Connected components of the bipartite graph of the entries.
    text : str
        Both in words, with names.
    """

    def __init__(self, thin: bool, components: int, text: str) -> None:
        self.thin = thin
        self.components = components
        self.text = text


def _few(numbers: Array) -> str:
    listed = ", ".join(map(str, numbers[:4]))
    return listed if numbers.size <= 4 else f"{listed}, ... ({numbers.size} in all)"


def weakness(entries: Entries, rank: int) -> Weakness:
    """Find empty and thin rows and columns, and the connected components."""
    m, n = entries.shape
    texts = []
    thin = False
    for name, counts in (("row", entries.rows.counts), ("column", entries.cols.counts)):
        empty = np.flatnonzero(counts == 0)
        if empty.size:
            texts.append(f"{name}s without entries: {_few(empty)}")
        short = np.flatnonzero((counts > 0) & (counts < rank))
        if short.size:
            texts.append(f"{name}s with fewer than {rank} entries: {_few(short)}")
        thin = thin or bool(empty.size or short.size)
    labels = setup.components(entries.rows.indptr.view(np.int64), entries.rows.indices, n)
    names, sizes = np.unique(labels, return_counts=True)
    if names.size > 1:
        parts = []
        for name in names[np.argsort(-sizes, kind="stable")][:4]:
            members = np.flatnonzero(labels == name)
            inside = [("rows", members[members < m]), ("columns", members[members >= m] - m)]
            parts.append("{" + "; ".join(f"{kind} {_few(list_)}" for kind, list_ in inside if list_.size) + "}")
        more = f" and {names.size - 4} more" if names.size > 4 else ""
        texts.append(f"{names.size} components: {' '.join(parts)}{more}")
    return Weakness(thin, int(names.size), "; ".join(texts))
