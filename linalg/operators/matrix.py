"""Operators that hold their entries: CSR, dense, diagonal, identity; and the wrapper of a foreign operator."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array, eye_array
from scipy.sparse.linalg import LinearOperator

from ..kernels import spmv
from .base import Operator
from .grid import Grid

__all__ = [
    "CSROperator",
    "DenseOperator",
    "DiagonalOperator",
    "ForeignOperator",
    "IdentityOperator",
    "canonical_csr",
    "check_indices",
    "index_view",
    "is_hermitian",
]

Array = npt.NDArray[Any]

BLOCKS = 32  # parts of equal work; a fixed number, so that fused sums do not depend on the number of threads


def canonical_csr(matrix: Any) -> csr_array:
    """Return `matrix` as a CSR array with sorted, unique column indices and floating or complex entries.

    The user's matrix is never changed; a canonical one is shared, not copied.
    """
    result = csr_array(matrix)
    if result.dtype.char not in "fdFD":
        wanted = np.complex128 if result.dtype.kind == "c" else np.float64
        if result.dtype.kind not in "biufc":
            raise TypeError(f"A has dtype {result.dtype}: wanted numbers (float, complex or integer)")
        result = result.astype(wanted)
    if not result.data.dtype.isnative:
        result = result.astype(result.dtype.newbyteorder("="))
    check_indices(result)
    # SciPy caches its answers on the object, and another copy may have been edited since: look at the indices themselves
    result.has_canonical_format = bool(_canonical(result))
    if not result.has_canonical_format:
        result = result.copy()
        result.has_canonical_format = False
        result.has_sorted_indices = False
        result.sum_duplicates()
    if result.indices.dtype != np.int32 and max(result.nnz, *result.shape) < 2**31:
        result = csr_array(
            (result.data, result.indices.astype(np.int32), result.indptr.astype(np.int32)), shape=result.shape
        )
    return result


def check_indices(matrix: csr_array, name: str = "A") -> None:
    """Refuse indices that would read outside the arrays: compiled kernels do not look."""
    indptr, indices, (rows, columns) = matrix.indptr, matrix.indices, matrix.shape
    count = indices.size
    if indptr.size != rows + 1 or indptr[0] != 0 or not indptr[-1] <= count or matrix.data.size != count:
        raise ValueError(f"{name} has row pointers (indptr) that do not fit its entries: build the sparse array again")
    if (indptr[1:] < indptr[:-1]).any():
        raise ValueError(f"{name} has row pointers (indptr) that decrease: build the sparse array again")
    # one pass: a negative index is a huge unsigned one
    if count and index_view(indices).max() >= columns:
        raise ValueError(f"{name} holds a column index outside 0 to {columns - 1}: build the sparse array again")


def _canonical(matrix: csr_array) -> bool:
    if matrix.nnz < 2:
        return True
    steps = np.diff(matrix.indices)
    starts = matrix.indptr[1:-1]
    inner = np.ones(matrix.nnz - 1, dtype=bool)
    inner[starts[(starts > 0) & (starts < matrix.nnz)] - 1] = False  # a step from one row to the next may go down
    return bool((steps[inner] > 0).all())


class _Alias:
    """The memory of a read-only array under another flag."""

    def __init__(self, array: Array) -> None:
        self.held = array
        self.__array_interface__ = {**array.__array_interface__, "data": (array.__array_interface__["data"][0], False)}


def unlocked(array: Array) -> Array:
    """Return the array, or where it is read-only an alias that is not.

    For kernels that do not write to it: Numba compiles anew for read-only arrays.
    """
    return array if array.flags.writeable else np.asarray(_Alias(array))


def index_view(indices: Array) -> Array:
    """Unsigned view of an index array: without it Numba guards every access against negative indices."""
    return unlocked(indices).view(f"u{indices.dtype.itemsize}")


def is_hermitian(matrix: csr_array) -> bool:
    """Whether a CSR array equals its conjugate transpose up to the rounding of its assembly; cost one transposition.

    Entry (i, j) may differ from its mirror image by 64 units of rounding of itself and of ``sqrt(a_ii a_jj)``.
    """
    if matrix.shape[0] != matrix.shape[1]:
        return False
    other = csr_array(matrix.conj().T)
    other.sort_indices()
    if np.array_equal(matrix.indptr, other.indptr) and np.array_equal(matrix.indices, other.indices):
        if np.array_equal(matrix.data, other.data):
            return True
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        columns, difference, size = matrix.indices, np.abs(matrix.data - other.data), np.abs(matrix.data)
    else:
        gap = (matrix - other).tocoo()
        rows, columns = gap.coords
        difference, size = np.abs(gap.data), np.zeros(gap.nnz)
    root = np.sqrt(np.abs(matrix.diagonal()))
    allowed = 64 * np.finfo(matrix.dtype).eps * (size + root[rows] * root[columns])
    return bool((difference <= allowed).all())


class CSROperator(Operator):
    """Sparse matrix in compressed rows; the product runs in parallel over rows of equal work.

    Parameters
    ----------
    matrix : sparse array or matrix
        Any SciPy sparse container; unsorted or duplicate indices are put in order in a copy.
    symmetric, positive_definite, nullspace, grid
        See `Operator`.

    Attributes
    ----------
    matrix : csr_array
        Sorted, without duplicates.

    Notes
    -----
    A product costs 2 nnz flops and reads 12 nnz bytes (float64 entries). Its value in a row is summed in the order of
    the column indices, whatever the number of threads.
    """

    def __init__(
        self,
        matrix: Any,
        *,
        symmetric: bool | None = None,
        positive_definite: bool | None = None,
        nullspace: csc_array | None = None,
        grid: Grid | None = None,
    ) -> None:
        self.matrix = canonical_csr(matrix)
        super().__init__(
            self.matrix.dtype,
            self.matrix.shape,
            symmetric=symmetric,
            positive_definite=positive_definite,
            nullspace=nullspace,
            grid=grid,
        )
        self._indptr = index_view(self.matrix.indptr)
        self._indices = index_view(self.matrix.indices)
        blocks = 1 if self.matrix.nnz < 1 << 16 else BLOCKS
        cuts = np.searchsorted(self.matrix.indptr, np.linspace(0, self.matrix.nnz, blocks + 1))
        cuts[0], cuts[-1] = 0, self.shape[0]
        self._starts = cuts.astype(self._indptr.dtype)
        self._conjugate_transpose: CSROperator | None = None

    def _apply(self, x: Array, out: Array) -> None:
        spmv.csr_matvec(self._starts, self._indptr, self._indices, self.matrix.data, x, out)

    def apply_dot(self, x: Any, out: Any) -> Any:
        """Write ``A x`` into `out` and return ``x^H A x``, in one pass."""
        overridden = type(self)._apply is not CSROperator._apply
        if overridden or not isinstance(x, np.ndarray) or self.shape[0] != self.shape[1]:
            return super().apply_dot(x, out)
        return spmv.csr_matvec_dot(self._starts, self._indptr, self._indices, self.matrix.data, x, out)

    def _apply_block(self, x: Array, out: Array) -> None:
        spmv.csr_matmat(self._starts, self._indptr, self._indices, self.matrix.data, x, out)

    def _apply_torch(self, x: Any, out: Any) -> None:
        if x.device.type == "cpu":
            super()._apply_torch(x, out)
            return
        key = ("torch", x.device, x.dtype)
        if key not in self._buffers:
            from .torch import csr_tensor

            self._buffers[key] = csr_tensor(self.matrix, x.dtype, x.device)
        out.copy_(self._buffers[key] @ x)

    def _adjoint(self) -> Operator:
        if self.symmetric:
            return self
        if self._conjugate_transpose is None:
            self._conjugate_transpose = CSROperator(
                self.matrix.conj().T, symmetric=self.symmetric, positive_definite=self.positive_definite
            )
        return self._conjugate_transpose

    def _transpose(self) -> Operator:
        if self.dtype.kind != "c":
            return self._adjoint()
        null = self.nullspace.conj() if self.symmetric and self.nullspace is not None else None
        return CSROperator(
            self.matrix.T,
            symmetric=self.symmetric,
            positive_definite=self.positive_definite,
            nullspace=null,
            grid=self.grid,
        )

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return cast(Array, self.matrix.diagonal())

    def tocsr(self) -> csr_array:
        """Return the matrix itself (shared, not copied)."""
        return self.matrix


class DenseOperator(Operator):
    """Dense matrix; products go to BLAS."""

    def __init__(
        self, array: npt.ArrayLike, *, symmetric: bool | None = None, positive_definite: bool | None = None
    ) -> None:
        array = np.asarray(array)
        if array.ndim != 2:
            raise ValueError(f"A has {array.ndim} axes: wanted a matrix (two axes)")
        if array.dtype.kind not in "biufc":
            raise TypeError(f"A has dtype {array.dtype}: wanted numbers (float, complex or integer)")
        self.array = (
            array if array.dtype.char in "fdFD" else array.astype(complex if array.dtype.kind == "c" else float)
        )
        super().__init__(self.array.dtype, self.array.shape, symmetric=symmetric, positive_definite=positive_definite)

    def _apply(self, x: Array, out: Array) -> None:
        if x.dtype == self.dtype == out.dtype:
            np.dot(self.array, x, out=out)
        else:
            out[:] = self.array @ x

    def _apply_block(self, x: Array, out: Array) -> None:
        out[:] = self.array @ x

    def _adjoint(self) -> Operator:
        if self.symmetric:
            return self
        return DenseOperator(self.array.conj().T, symmetric=self.symmetric, positive_definite=self.positive_definite)

    def _transpose(self) -> Operator:
        if self.symmetric and self.dtype.kind != "c":
            return self
        return DenseOperator(self.array.T, symmetric=self.symmetric, positive_definite=self.positive_definite)

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return self.array.diagonal().copy()

    def tocsr(self) -> csr_array:
        """Return the nonzero entries as a CSR array."""
        return csr_array(self.array)


class DiagonalOperator(Operator):
    """Diagonal matrix; facts follow from the entries."""

    def __init__(self, entries: npt.ArrayLike) -> None:
        entries = np.asarray(entries)
        self.entries = entries if entries.dtype.char in "fdFD" else entries.astype(float)
        if self.entries.ndim != 1:
            raise ValueError(f"entries has shape {self.entries.shape}: wanted a vector")
        real = not np.any(self.entries.imag)
        super().__init__(
            self.entries.dtype,
            (self.entries.size, self.entries.size),
            symmetric=real,
            positive_definite=bool(real and (self.entries.real > 0).all()),
        )

    def _apply(self, x: Array, out: Array) -> None:
        np.multiply(self.entries, x, out=out)

    def _apply_block(self, x: Array, out: Array) -> None:
        np.multiply(self.entries[:, None], x, out=out)

    def _adjoint(self) -> Operator:
        return self if self.symmetric else DiagonalOperator(self.entries.conj())

    def _transpose(self) -> Operator:
        return self

    def diagonal(self) -> Array:
        """Return the entries."""
        return self.entries.copy()

    def tocsr(self) -> csr_array:
        """Return the entries as a CSR array."""
        n = self.entries.size
        return csr_array((self.entries, np.arange(n, dtype=np.int32), np.arange(n + 1, dtype=np.int32)), shape=(n, n))


class IdentityOperator(Operator):
    """The identity of a given size."""

    def __init__(self, n: int, dtype: Any = np.float64) -> None:
        super().__init__(dtype, (n, n), symmetric=True, positive_definite=True)

    def _apply(self, x: Array, out: Array) -> None:
        out[:] = x

    def _apply_torch(self, x: Any, out: Any) -> None:
        out.copy_(x)

    def _apply_block(self, x: Array, out: Array) -> None:
        out[:] = x

    def diagonal(self) -> Array:
        """Return ones."""
        return np.ones(self.shape[0], dtype=self.dtype)

    def tocsr(self) -> csr_array:
        """Return the identity as a CSR array."""
        return csr_array(eye_array(self.shape[0], dtype=self.dtype, format="csr"))


class ForeignOperator(Operator):
    """A SciPy LinearOperator, or any object with ``shape``, ``dtype`` and ``matvec``."""

    def __init__(self, inner: Any, *, symmetric: bool | None = None, positive_definite: bool | None = None) -> None:
        self.inner = inner
        dtype = getattr(inner, "dtype", None)
        super().__init__(
            np.float64 if dtype is None else dtype,
            inner.shape,
            symmetric=symmetric,
            positive_definite=positive_definite,
            fixed=bool(getattr(inner, "fixed", True)),
            grid=getattr(inner, "grid", None),
        )

    def _apply(self, x: Array, out: Array) -> None:
        y = self.inner.matvec(x)
        if y is None:
            raise TypeError(f"matvec of {type(self.inner).__name__} returned None: it must return the product")
        y = np.asarray(y)
        if y.shape != out.shape:
            y = y.reshape(-1)
            if y.shape != out.shape:
                raise ValueError(
                    f"matvec of {type(self.inner).__name__} returned {y.size} numbers for an operator of shape "
                    f"{self.shape}: wanted {out.size}"
                )
        out[:] = y if out.dtype.kind == "c" or y.dtype.kind != "c" else _real(y)

    def _adjoint(self) -> Operator:
        if self.symmetric:
            return self
        facts: dict[str, Any] = {"symmetric": self.symmetric, "positive_definite": self.positive_definite}
        result: Operator | None = None
        if isinstance(self.inner, LinearOperator):
            result = ForeignOperator(self.inner.H, **facts)
        elif hasattr(self.inner, "rmatvec"):
            inner = self.inner
            result = ForeignOperator(
                LinearOperator(
                    (self.shape[1], self.shape[0]), matvec=inner.rmatvec, rmatvec=inner.matvec, dtype=self.dtype
                ),
                **facts,
            )
        if result is None:
            return super()._adjoint()
        result.fixed, result.grid = self.fixed, self.grid
        return result

    def diagonal(self) -> Array:
        """Return the main diagonal, where the wrapped object states it."""
        if hasattr(self.inner, "diagonal"):
            return np.asarray(self.inner.diagonal())
        return super().diagonal()

    def tocsr(self) -> csr_array:
        """Return a CSR array, where the wrapped object can be assembled."""
        if hasattr(self.inner, "tocsr"):
            return csr_array(self.inner.tocsr())
        return super().tocsr()


def _real(y: Array) -> Array:
    """Drop the imaginary part of a product that had to be real."""
    if np.any(y.imag):
        raise TypeError("the operator returned complex numbers for a real vector: give it a complex dtype")
    return y.real
