"""Sparse triangular systems: one call, and an object for many right-hand sides.

`solve_triangular` checks the matrix and solves in the same pass over it, so a single call costs little more
than reading the matrix once. `TriangularSolver` splits the matrix into its diagonal and a strict unit factor
first; each solve, plain, transposed or conjugate transposed, then runs over the same arrays and allocates
nothing.

Substitution runs on one thread: on grid matrices in natural order it already moves data at about the speed of
the memory, and a level of the dependency graph holds a microsecond of work, less than a barrier between
threads costs.

Departure from the textbook: pivots are inverted once and multiplied with, which costs one rounding more per
row.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse

from .kernels import triangular as kernels
from .operators.matrix import check_indices

__all__ = ["TriangularSolver", "solve_triangular"]

Array = npt.NDArray[Any]


def solve_triangular(L: Any, b: npt.ArrayLike, *, lower: bool = True, unit_diagonal: bool = False) -> Array:
    """Solve a sparse triangular system.

    Parameters
    ----------
    L : sparse array or matrix, shape (n, n)
        Triangular matrix, CSR for speed (other formats are converted). Rows need not be sorted; duplicates
        add up.
    b : array_like, shape (n,) or (n, k)
        Right-hand side, or one per column.
    lower : bool
        Whether `L` is lower triangular (else upper).
    unit_diagonal : bool
        Take every diagonal entry as 1, whatever is stored there.

    Returns
    -------
    ndarray
        The solution, shape of `b`, of the common floating or complex type of `L` and `b`.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a diagonal entry is missing or zero; the message names the row.
    ValueError
        If `L` is not square, has an entry in the other triangle or indices out of range, or `b` does not fit.
    TypeError
        If `L` is not sparse or entries are not numbers.

    See Also
    --------
    TriangularSolver : for many solves with one matrix.

    Notes
    -----
    2 nnz flops and one pass over the matrix, on one thread.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> solve_triangular(csr_array([[2.0, 0.0], [1.0, 4.0]]), [2.0, 9.0])
    array([1., 2.])
    """
    matrix = _square_csr(L, trusted=np.ndim(b) == 1)
    rhs = _right_hand_side(b, matrix.shape[0])
    dtype = np.result_type(matrix.dtype, rhs.dtype)
    data = matrix.data if matrix.data.dtype.kind == dtype.kind else matrix.data.astype(dtype)
    x = np.empty(rhs.shape, dtype=dtype)
    indptr, indices = _index_views(matrix)
    if rhs.ndim == 1:
        solve = kernels.checked_solve_lower if lower else kernels.checked_solve_upper
        code, row = solve(indptr, indices, data, np.ascontiguousarray(rhs), x, unit_diagonal)
    else:
        code, row = kernels.checked_solve_block(
            indptr, indices, data, np.ascontiguousarray(rhs), x, not lower, unit_diagonal
        )
    if code != kernels.SOLVED:
        check_indices(matrix, "L")
        raise _failure(code, int(row), lower)
    return x


class TriangularSolver:
    """A sparse triangular matrix, prepared for many solves.

    Parameters
    ----------
    L : sparse array or matrix, shape (n, n)
        Triangular matrix; it is copied, so later changes to it do not matter.
    lower : bool
        Whether `L` is lower triangular (else upper).
    unit_diagonal : bool
        Take every diagonal entry as 1, whatever is stored there.

    Attributes
    ----------
    shape, dtype
        Of the matrix.
    memory_bytes : int
        Storage of the prepared arrays.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a diagonal entry is missing or zero; the message names the row.
    ValueError
        If `L` is not square, has an entry in the other triangle, or indices out of range.
    TypeError
        If `L` is not sparse or entries are not numbers.

    Notes
    -----
    Stored as D (I + N) with N strictly triangular. The transposed solves scatter over the rows of N, so there is no
    second copy. With float64 data a solve reads 12 bytes per off-diagonal entry and 28 per row.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> solver = TriangularSolver(csr_array([[2.0, 0.0], [1.0, 4.0]]))
    >>> solver.solve(np.array([2.0, 9.0]))
    array([1., 2.])
    >>> solver.solve(np.array([4.0, 8.0]), mode="T")
    array([1., 2.])
    """

    def __init__(self, L: Any, *, lower: bool = True, unit_diagonal: bool = False) -> None:
        matrix = _square_csr(L)
        if not matrix.has_sorted_indices:
            matrix = matrix.copy()
            matrix.sort_indices()
        n = matrix.shape[0]
        self.shape: tuple[int, int] = (n, n)
        self.dtype = matrix.dtype
        self.lower = bool(lower)
        self.unit_diagonal = bool(unit_diagonal)
        indptr, indices = _index_views(matrix)
        strict_ptr, strict_idx, strict = (
            np.empty_like(indptr),
            np.empty_like(indices),
            np.empty_like(matrix.data),
        )
        inverse = np.empty(n, dtype=matrix.dtype)
        code, row = kernels.split_rows(
            indptr, indices, matrix.data, not lower, unit_diagonal, strict_ptr, strict_idx, strict, inverse
        )
        if code != kernels.SOLVED:
            raise _failure(code, int(row), lower)
        count = int(strict_ptr[-1])
        if count < strict.shape[0]:
            strict_idx, strict = strict_idx[:count].copy(), strict[:count].copy()
        self._rows = (strict_ptr, strict_idx, strict)
        self._inverse = inverse

    @property
    def memory_bytes(self) -> int:
        """Storage of the prepared arrays in bytes."""
        return sum(int(a.nbytes) for a in (*self._rows, self._inverse))

    def solve(self, b: npt.ArrayLike, out: Array | None = None, *, mode: Literal["N", "T", "H"] = "N") -> Array:
        """Solve with the matrix, its transpose or its conjugate transpose.

        Parameters
        ----------
        b : array_like, shape (n,) or (n, k)
            Right-hand side, or one per column.
        out : ndarray, optional
            Where to write the solution (may be `b` itself): C-contiguous, shape of `b`, of the common type of
            the matrix and `b`. With it nothing is allocated for one right-hand side.
        mode : {"N", "T", "H"}
            The matrix as it is, transposed, or conjugate transposed.

        Returns
        -------
        ndarray
            The solution; `out` if given.

        Raises
        ------
        ValueError
            If shapes or types do not fit, or the mode is unknown.
        """
        if mode not in ("N", "T", "H"):
            raise ValueError(f'mode is {mode!r}: wanted "N", "T" (transpose) or "H" (conjugate transpose)')
        rhs = _right_hand_side(b, self.shape[0])
        dtype = np.result_type(self.dtype, rhs.dtype)
        if out is None:
            out = np.empty(rhs.shape, dtype=dtype)
        elif out.shape != rhs.shape or out.dtype != dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"out has shape {out.shape}, dtype {out.dtype}: wanted a C-contiguous array of shape "
                f"{rhs.shape} and dtype {dtype}"
            )
        if rhs.ndim == 1:
            out[:] = rhs
            self._solve_in_place(out, mode)
        else:
            column = np.empty(rhs.shape[0], dtype=dtype)
            for j in range(rhs.shape[1]):
                column[:] = rhs[:, j]
                self._solve_in_place(column, mode)
                out[:, j] = column
        return out

    def _solve_in_place(self, x: Array, mode: str) -> None:
        if mode == "N":
            gather = kernels.solve_lower_gather if self.lower else kernels.solve_upper_gather
            gather(*self._rows, self._inverse, x)
            return
        scatter = kernels.solve_lower_scatter if self.lower else kernels.solve_upper_scatter
        scatter(*self._rows, x, mode == "H")
        np.multiply(x, self._inverse.conj() if mode == "H" and self.dtype.kind == "c" else self._inverse, out=x)

    def __repr__(self) -> str:
        side = "lower" if self.lower else "upper"
        return f"<{self.shape[0]}x{self.shape[1]} {side} TriangularSolver of {self.dtype}>"


# --- checks -------------------------------------------------------------------------------------------------


def _square_csr(L: Any, *, trusted: bool = False) -> csr_array:
    """Return L as a square CSR array; `trusted` leaves the look at every index to the kernel."""
    if not issparse(L):
        raise TypeError(f"L is a {type(L).__name__}: wanted a SciPy sparse array or matrix, best csr_array")
    if L.ndim != 2 or L.shape[0] != L.shape[1]:
        raise ValueError(f"L has shape {L.shape}: wanted a square matrix")
    matrix = L if L.format == "csr" else csr_array(L)
    if not trusted or matrix.indptr.size != matrix.shape[0] + 1 or matrix.data.size != matrix.indices.size:
        check_indices(matrix, "L")
    if matrix.dtype.char in "fdFD":
        return matrix if matrix.dtype.isnative else matrix.astype(matrix.dtype.newbyteorder("="))
    if matrix.dtype.kind not in "biufc":
        raise TypeError(f"L has dtype {matrix.dtype}: wanted numbers")
    return matrix.astype(np.complex128 if matrix.dtype.kind == "c" else np.float64)


def _right_hand_side(b: npt.ArrayLike, n: int) -> Array:
    rhs = np.asarray(b)
    if rhs.ndim not in (1, 2) or rhs.shape[0] != n:
        raise ValueError(f"b has shape {rhs.shape}: wanted ({n},) or ({n}, k) to fit the matrix")
    if rhs.dtype.char in "fdFD":
        return rhs.astype(rhs.dtype.newbyteorder("="), copy=False)
    if rhs.dtype.kind not in "biufc":
        raise TypeError(f"b has dtype {rhs.dtype}: wanted numbers")
    return rhs.astype(np.complex128 if rhs.dtype.kind == "c" else np.float64)


def _index_views(matrix: Any) -> tuple[Array, Array]:
    """Both index arrays as unsigned views of one width."""
    indptr, indices = matrix.indptr, matrix.indices
    if indptr.dtype != indices.dtype:
        indptr, indices = indptr.astype(np.int64), indices.astype(np.int64)
    kind = np.uint32 if indices.dtype.itemsize == 4 else np.uint64
    return indptr.view(kind), indices.view(kind)


def _failure(code: int, row: int, lower: bool) -> Exception:
    if code == kernels.WRONG_TRIANGLE:
        kept, other, function = ("lower", "above", "tril") if lower else ("upper", "below", "triu")
        return ValueError(
            f"L has an entry {other} the diagonal in row {row}: wanted {kept} triangular; take "
            f"scipy.sparse.{function}(L), or pass lower={not lower}"
        )
    return cast(
        Exception,
        np.linalg.LinAlgError(
            f"L is singular: the diagonal entry of row {row} is missing or zero; pass "
            "unit_diagonal=True if it stands for 1"
        ),
    )
