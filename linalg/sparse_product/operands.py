"""The two factors of a sparse product, checked and brought to one type of entries and one type of indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse

from ..operators.matrix import index_view, unlocked

__all__ = ["Operands", "as_csr", "common_dtype", "operands", "require_shapes"]

Array = npt.NDArray[Any]

ENTRY_TYPES = "ilqfdFD"  # what the kernels are compiled for: int32, int64, float and complex
SMALLEST = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Operands:
    """Two CSR matrices as plain arrays: unsigned views of the indices, entries of one type.

    Attributes
    ----------
    shape : tuple of int
        Shape of the product.
    ap, aj, ax, bp, bj, bx : ndarray
        Row pointers, column indices and entries of A and of B.
    """

    shape: tuple[int, int]
    inner: int
    dtype: np.dtype[Any]
    ap: Array
    aj: Array
    ax: Array
    bp: Array
    bj: Array
    bx: Array


def as_csr(matrix: Any, name: str) -> csr_array:
    """Return any sparse container, CSR operator or dense 2-D array as a CSR array, without a copy where it is one."""
    if type(matrix) is csr_array:
        if matrix.ndim != 2:
            raise ValueError(f"{name} has {matrix.ndim} dimension: wanted a matrix")
        return matrix
    held = getattr(matrix, "matrix", None)  # CSROperator
    if isinstance(held, csr_array):
        return held
    if not issparse(matrix):
        if hasattr(matrix, "tocsr"):  # another operator with entries
            return csr_array(matrix.tocsr())
        array = np.asarray(matrix)
        if array.dtype == object or array.ndim != 2:
            raise TypeError(
                f"{name} is {type(matrix).__name__}: wanted a sparse array, a 2-D array or an operator with entries"
            )
        matrix = array
    elif matrix.ndim != 2:
        raise ValueError(f"{name} has {matrix.ndim} dimension: wanted a matrix")
    return csr_array(matrix)


def require_shapes(left: tuple[int, ...], right: tuple[int, ...], names: tuple[str, str]) -> None:
    """Refuse factors whose inner dimensions differ."""
    if left[1] != right[0]:
        a, b = names
        raise ValueError(
            f"{a} has shape {left} and {b} has shape {right}: {a} @ {b} needs as many columns in {a} as rows in {b}"
        )


def require_columns(columns: int) -> None:
    """Refuse a product for which an array with a number per column cannot be meant seriously."""
    if columns > 1 << 32:
        raise ValueError(
            f"B has {columns} columns: plans, gradients, masks and min_plus hold a number per column and take up to 2**32; "
            "drop the empty columns, or use spgemm without these"
        )


def common_dtype(left: np.dtype[Any], right: np.dtype[Any], names: tuple[str, str]) -> np.dtype[Any]:
    """Type of the entries of a product: NumPy's promotion, within the types that the kernels know."""
    if left is right and left.char in ENTRY_TYPES and left.isnative:
        return left
    dtype = np.result_type(left, right) if left.kind in "biufc" and right.kind in "biufc" else np.dtype(object)
    if dtype.char not in ENTRY_TYPES:
        a, b = names
        raise TypeError(
            f"{a} has dtype {left} and {b} has dtype {right}: the product takes int32, int64, float32, float64, complex64 "
            "and complex128; convert with .astype"
        )
    return dtype.newbyteorder("=")


def _pointers(matrix: csr_array, name: str) -> int:
    """Check the row pointers; the number of entries, for which the arrays may have more room than needed."""
    indptr = matrix.indptr
    if matrix.indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise TypeError(
            f"{name} has indices of dtype {matrix.indices.dtype} and indptr of dtype {indptr.dtype}: wanted int32 or int64"
        )
    n = matrix.shape[0]
    entries = int(indptr[-1]) if indptr.size == n + 1 else -1
    if (
        entries < 0
        or int(indptr[0]) != 0
        or entries > matrix.indices.size
        or entries > matrix.data.size
        or (n > 1 and bool((indptr[1:] < indptr[:-1]).any()))
    ):
        raise ValueError(f"{name} has row pointers (indptr) that do not fit its entries: build the sparse array again")
    return entries


def _same_index(matrix: csr_array, entries: int, dtype: Any, name: str) -> tuple[Array, Array]:
    indices = matrix.indices[:entries]
    narrow = np.ascontiguousarray(indices, dtype=dtype)
    if narrow.itemsize < indices.itemsize and not np.array_equal(narrow, indices):  # would pass for another column
        raise ValueError(
            f"{name} holds a column index outside 0 to {matrix.shape[1] - 1}: build the sparse array again"
        )
    indptr = np.ascontiguousarray(matrix.indptr, dtype=dtype)
    return index_view(indptr), index_view(narrow)


def operands(A: csr_array, B: csr_array, names: tuple[str, str] = ("A", "B")) -> Operands:
    """Check shapes, types and row pointers of two CSR arrays and view them as the kernels need them.

    Column indices are checked by the kernels that read them first.
    """
    require_shapes(A.shape, B.shape, names)
    dtype = common_dtype(A.dtype, B.dtype, names)
    a, b = _pointers(A, names[0]), _pointers(B, names[1])
    large = max(A.shape[0], A.shape[1], B.shape[1], a, b) > SMALLEST
    index = np.int64 if large else np.int32
    ap, aj = _same_index(A, a, index, names[0])
    bp, bj = _same_index(B, b, index, names[1])
    return Operands(
        (A.shape[0], B.shape[1]),
        A.shape[1],
        dtype,
        ap,
        aj,
        unlocked(np.ascontiguousarray(A.data[:a], dtype=dtype)),
        bp,
        bj,
        unlocked(np.ascontiguousarray(B.data[:b], dtype=dtype)),
    )
