"""A Matrix Market reader that survives any input.

Written here because the reader of SciPy 1.17 ends the process (segmentation fault) on some files that are cut
off inside a number. The numbers are parsed by ``numpy.loadtxt``, at about a third of the speed.

References
----------
.. [1] R. Boisvert, R. Pozo, K. Remington, The Matrix Market exchange formats: initial design, NISTIR 5935,
  1996.
"""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

__all__ = ["read_matrix_market"]

#: Numbers per entry of a field.
FIELDS = {"real": 1, "double": 1, "integer": 1, "unsigned-integer": 1, "complex": 2, "pattern": 0}
SYMMETRIES = ("general", "symmetric", "skew-symmetric", "hermitian")


def read_matrix_market(path: str | Path) -> Any:
    """Read a Matrix Market file, gzip-compressed or not.

    Parameters
    ----------
    path : str or path
        A name that ends in ``.gz`` is decompressed.

    Returns
    -------
    coo_array or ndarray
        Both triangles of a symmetric matrix; float64 or complex128. A pattern has ones.

    Raises
    ------
    ValueError
        If the file does not follow the format: what is wrong, without the path.
    OSError, EOFError
        If it cannot be read or decompressed.
    """
    path = Path(path)
    packed = path.name.lower().endswith(".gz")
    opener: Any = gzip.open if packed else open
    with opener(path, "rt", encoding="latin-1") as stream:
        layout, field, symmetry = _header(stream)
        sizes = _sizes(stream, 3 if layout == "coordinate" else 2)
        if symmetry != "general" and sizes[0] != sizes[1]:
            raise ValueError(f"a {symmetry} matrix cannot have {sizes[0]} rows and {sizes[1]} columns")
        if layout == "coordinate":
            return _coordinate(stream, sizes, field, symmetry)
        return _array(stream, sizes, field, symmetry)


def _header(stream: TextIO) -> tuple[str, str, str]:
    line = stream.readline(1000)
    if not line.lower().startswith("%%matrixmarket"):
        raise ValueError("it does not start with '%%MatrixMarket': not a Matrix Market file")
    words = line.lower().split()
    if len(words) != 5 or words[1] != "matrix":
        raise ValueError(f"the first line is {line.strip()[:80]!r}: wanted '%%MatrixMarket matrix' and three words")
    layout, field, symmetry = words[2:]
    if layout not in ("coordinate", "array") or field not in FIELDS or symmetry not in SYMMETRIES:
        raise ValueError(f"the first line says {layout} {field} {symmetry}: wanted coordinate or array, a known field")
    if layout == "array" and field == "pattern":
        raise ValueError("the first line says array pattern: a pattern has coordinates")
    return layout, field, symmetry


def _sizes(stream: TextIO, count: int) -> list[int]:
    for line in stream:
        if line.strip() and not line.lstrip().startswith("%"):
            words = line.split()
            if len(words) != count or not all(word.isascii() and word.isdigit() for word in words):
                raise ValueError(f"the line of sizes is {line.strip()[:80]!r}: wanted {count} whole numbers")
            sizes = [int(word) for word in words]
            if max(sizes) >= 2**62:
                raise ValueError(f"the line of sizes is {line.strip()[:80]!r}: too large")
            return sizes
    raise ValueError("it ends before the line of sizes")


def _table(stream: TextIO, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Read all numbers that are left, `columns` in each of `rows` lines."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "loadtxt: input contained no data")
        table = np.loadtxt(stream, comments="%", ndmin=2, dtype=np.float64)
    found = len(table) if table.size else 0
    if found and table.shape[1] != columns:
        raise ValueError(f"its entries have {table.shape[1]} numbers each: wanted {columns}")
    if found < rows:
        raise ValueError(f"it is cut off: {rows} entries announced, {found} found")
    if found > rows:
        raise ValueError(f"it is too long: {rows} entries announced, {found} found")
    return table.reshape(rows, columns)


def _values(table: npt.NDArray[np.float64], field: str) -> npt.NDArray[Any]:
    if field == "pattern":
        return np.ones(len(table))
    return table[:, -2] + 1j * table[:, -1] if field == "complex" else table[:, -1].copy()


def _mirror(values: npt.NDArray[Any], symmetry: str) -> npt.NDArray[Any]:
    return {"symmetric": values, "skew-symmetric": -values, "hermitian": values.conj()}[symmetry]


def _coordinate(stream: TextIO, sizes: list[int], field: str, symmetry: str) -> coo_array:
    rows, columns, count = sizes
    table = _table(stream, count, 2 + FIELDS[field])
    values = _values(table, field)
    place = table[:, :2]
    wrong = ~((place >= 1) & (place <= [rows, columns]) & (place == np.floor(place)))
    if wrong.any():
        k = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise ValueError(
            f"entry {k + 1} stands at ({place[k, 0]:g}, {place[k, 1]:g}): outside of {rows} rows and {columns} columns"
        )
    i, j = (place - 1).astype(np.int64).T
    if symmetry != "general":
        off = i != j
        if symmetry == "skew-symmetric" and not off.all():
            raise ValueError("a skew-symmetric matrix has entries on its diagonal")
        i, j = np.concatenate([i, j[off]]), np.concatenate([j, i[off]])
        values = np.concatenate([values, _mirror(values[off], symmetry)])
    small = np.int32 if max(rows, columns, len(values)) < 2**31 else np.int64
    return coo_array((values, (i.astype(small), j.astype(small))), shape=(rows, columns))


def _array(stream: TextIO, sizes: list[int], field: str, symmetry: str) -> npt.NDArray[Any]:
    rows, columns = sizes
    if symmetry == "general":
        return _values(_table(stream, rows * columns, FIELDS[field]), field).reshape(columns, rows).T
    first = 1 if symmetry == "skew-symmetric" else 0
    values = _values(_table(stream, (rows - first) * (rows - first + 1) // 2, FIELDS[field]), field)
    full = np.zeros((rows, rows), dtype=values.dtype)
    j, i = np.triu_indices(rows, first)  # the lower triangle, column by column
    full[i, j] = values
    full[j, i] = np.where(i == j, values, _mirror(values, symmetry))
    return full
