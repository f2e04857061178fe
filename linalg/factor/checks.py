"""What the factorisations ask of a matrix and of their parameters."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ..kernels import incomplete as kernels
from ..operators.matrix import canonical_csr, index_view

__all__ = [
    "drop_tolerance", "fill_bound", "fill_level", "narrow", "not_finite", "per_row", "require_hermitian",
    "require_positive_diagonal", "square", "storage", "stored_entries", "stored_inverse", "too_much_fill",
]  # fmt: skip

Array = npt.NDArray[Any]

_MOST_FILL = 25


def square(A: Any) -> csr_array:
    """Return `A` in canonical CSR, or raise ValueError if it is not square."""
    matrix = canonical_csr(A)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"A has shape {matrix.shape}: wanted a square matrix")
    return matrix


def fill_level(level: Any) -> int:
    """Return a number of fill levels, or raise ValueError."""
    if isinstance(level, bool) or not isinstance(level, (int, np.integer)) or level < 0:
        raise ValueError(f"level is {level!r}: wanted a whole number of fill levels, 0 or more")
    return int(level)


def drop_tolerance(drop_tol: float | None, level: int) -> float | None:
    """Return a drop tolerance or None, or raise ValueError."""
    if drop_tol is None:
        return None
    if not isinstance(drop_tol, Real) or not 0.0 <= drop_tol < 1.0:
        raise ValueError(f"drop_tol is {drop_tol!r}: wanted a number from 0 (keep all) to below 1")
    if level:
        raise ValueError(f"drop_tol={drop_tol} and level={level}: fill goes by one of the two; leave level at 0")
    return float(drop_tol)


def per_row(value: Any, n: int, name: str) -> Array:
    """Return one float per row from a number or an array, or raise ValueError."""
    array = np.asarray(value, dtype=np.float64)
    if array.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {array.shape}: wanted one number, or one per row ({n})")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has a NaN or infinite entry: wanted finite numbers")
    return np.ascontiguousarray(np.broadcast_to(array, (n,)))


def storage(dtype: Any, matrix: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type to store a factor in, or raise TypeError."""
    result = np.dtype(dtype)
    if result.char not in "fdFD":
        raise TypeError(f"dtype is {result}: wanted float32, float64, complex64 or complex128")
    if matrix.kind == "c" and result.kind != "c":
        raise TypeError(f"dtype is {result} for a complex matrix: wanted complex64 or complex128")
    return result


def stored_inverse(pivots: Array, dtype: Any) -> Array:
    """Return 1 / pivots in `dtype`, or in double precision where `dtype` has not the range for them."""
    with np.errstate(over="ignore", under="ignore"):
        inverse = 1.0 / pivots
        narrow_one = inverse.astype(dtype, copy=False)
    size = np.abs(narrow_one)
    # subnormal numbers count as out of range: they have lost digits
    fits = np.isfinite(narrow_one).all() and (size >= np.finfo(dtype).tiny).all()
    return narrow_one if fits else inverse


def stored_entries(values: Array, dtype: Any) -> Array:
    """Return the entries of a unit factor in `dtype`, or raise LinAlgError where they overflow in it."""
    if values.dtype == dtype:
        return values
    with np.errstate(over="ignore", under="ignore"):
        result = values.astype(dtype)
    if not np.isfinite(result).all() and np.isfinite(values).all():
        raise np.linalg.LinAlgError(
            f"entries of the factor overflow in {np.dtype(dtype)}: scale the rows and columns of A to a diagonal near 1, "
            "or store the factor in double precision"
        )
    return result


def require_positive_diagonal(diagonal: Array, what: str) -> None:
    """Raise LinAlgError naming the first row whose diagonal entry is not positive and finite (0: missing)."""
    bad = np.flatnonzero(~((diagonal > 0) & np.isfinite(diagonal)))
    if bad.size:
        raise np.linalg.LinAlgError(
            f"the diagonal entry of row {bad[0]} is {diagonal[bad[0]]} or missing ({bad.size} such rows): "
            f"{what} needs a positive diagonal; the matrix is not positive definite, take ilu, minres or "
            "a direct solver"
        )


def require_hermitian(matrix: csr_array, diagonal: Array, what: str) -> None:
    """Raise ValueError naming the first row that differs from its column by more than rounding."""
    tolerance = 1e-8 if matrix.dtype.char in "dD" else 1e-4
    row = int(
        kernels.hermitian_defect(
            index_view(matrix.indptr), index_view(matrix.indices), matrix.data, diagonal, tolerance
        )
    )
    if row < matrix.shape[0]:
        kind = "Hermitian" if matrix.dtype.kind == "c" else "symmetric"
        raise ValueError(
            f"A is not {kind}: row {row} differs from column {row}; {what} needs a {kind} matrix, take ilu"
        )


def not_finite(matrix: csr_array) -> Exception:
    """Make the error that names the first row with a NaN or infinite entry."""
    where = np.searchsorted(matrix.indptr, np.flatnonzero(~np.isfinite(matrix.data))[0], side="right") - 1
    return np.linalg.LinAlgError(f"A has a NaN or infinite entry in row {where}: wanted finite entries")


def fill_bound(matrix: csr_array) -> int:
    """Return the number of entries beyond which a threshold factorisation gives up."""
    return _MOST_FILL * (int(matrix.nnz) + int(matrix.shape[0]))


def too_much_fill(drop_tol: float | None, matrix: csr_array) -> Exception:
    """Make the error that says that a threshold keeps too much."""
    return np.linalg.LinAlgError(
        f"drop_tol={drop_tol} keeps more than {_MOST_FILL} times the {matrix.nnz} entries of A: raise it, "
        "go by level, or take a direct solver"
    )


def narrow(ptr: Array, idx: Array) -> tuple[Array, Array]:
    """Row pointers in the width of the column indices, or both in 64 bits where the entries are too many."""
    if int(ptr[-1]) < 2**31 and idx.dtype.itemsize == 4:
        return ptr.astype(np.uint32), idx
    return ptr.astype(np.uint64), idx.astype(np.uint64)
