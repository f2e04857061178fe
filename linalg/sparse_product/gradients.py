"""Gradients of a planned product C = A B on the fixed patterns of A and B.

With the gradient G of a real loss on the pattern of C (for complex numbers dL/dRe + i dL/dIm, the convention of torch)

    dA = (G B^H) on the pattern of A,    dB = (A^H G) on the pattern of B,

both sums of the very products that the product itself forms, so each costs as many multiply-adds. dA is a dot product per
entry, local to a row. dB is the same for the transposed problem C^T = B^T A^T: the three transposed patterns and the
permutations of their entries are made once, at the first gradient that asks for them, so nothing is added up from two
threads and the result has the same bits for any number of them.

An entry that a pattern holds twice gets its gradient twice: the loss depends on both stored numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels import spgemm_gradient as kernels
from ..operators.matrix import index_view
from .blocks import equal_blocks

__all__ = ["PlanGradients"]

Array = npt.NDArray[Any]
Pattern = tuple[Array, Array, tuple[int, int]]  # row pointers, column indices, shape


class _Transposed:
    """Pattern of a transpose, with the place of each entry in the original."""

    def __init__(self, indptr: Array, indices: Array, columns: int) -> None:
        self.indptr = np.zeros(columns + 1, indptr.dtype)
        self.indices = np.empty_like(indices)
        self.order = np.empty_like(indices)
        kernels.transpose(indptr, indices, self.indptr, self.indices, self.order)

    @property
    def pattern(self) -> tuple[Array, Array]:
        return self.indptr, self.indices

    @property
    def nbytes(self) -> int:
        return int(self.indptr.nbytes + self.indices.nbytes + self.order.nbytes)


class _Side:
    """One of the two problems: row pointers and indices of X, Y and G with X Y inside G, and the work of each row."""

    def __init__(self, X: tuple[Array, Array], Y: tuple[Array, Array], G: tuple[Array, Array], columns: int) -> None:
        self.patterns = (*X, *Y, *G)
        self.columns = np.uint64(columns)
        work = np.empty(X[0].size - 1, np.uint64)
        kernels.row_work(X[0], X[1], Y[0], G[0], work)
        self.ends = np.cumsum(work)


class PlanGradients:
    """Both gradients of C = A B for numbers on fixed patterns.

    Parameters
    ----------
    a_pattern, b_pattern, c_pattern : tuple of (indptr, indices, shape)
        Patterns of A, B and C in compressed rows. Columns of C are unique in a row and hold the pattern of A B; A and B
        may hold a column twice, in any order. The arrays are kept, not copied.

    Attributes
    ----------
    memory_bytes : int
        What was made beyond the given patterns, so far.

    Raises
    ------
    ValueError
        If the shapes do not fit each other.

    Notes
    -----
    Each of the two gradients costs the multiply-adds of A B and a pass over the entries of C. The transposed patterns
    take 8 bytes per entry of A, B and C with 32-bit indices.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.array([0, 1], np.int32), np.array([0], np.int32), (1, 1)
    >>> PlanGradients(one, one, one).run(np.array([1.0]), np.array([2.0]), np.array([3.0]))
    (array([3.]), array([2.]))
    """

    def __init__(self, a_pattern: Pattern, b_pattern: Pattern, c_pattern: Pattern) -> None:
        (rows, inner), (inner_b, columns) = a_pattern[2], b_pattern[2]
        if inner != inner_b or c_pattern[2] != (rows, columns):
            raise ValueError(
                f"patterns of shapes {a_pattern[2]}, {b_pattern[2]} and {c_pattern[2]}: wanted (m, k), (k, n) and (m, n)"
            )
        self._shape = (rows, inner, columns)
        self._a, self._b, self._c = _unsigned(a_pattern[:2], b_pattern[:2], c_pattern[:2])
        self._sides: list[_Side | None] = [None, None]
        self._transposed: tuple[_Transposed, _Transposed, _Transposed] | None = None

    @property
    def memory_bytes(self) -> int:
        """Storage of what was made beyond the given patterns, in bytes."""
        work = sum(int(side.ends.nbytes) for side in self._sides if side is not None)
        return work + sum(t.nbytes for t in self._transposed or ())

    def run(
        self, grad: Array, a: Array, b: Array, *, wanted: tuple[bool, bool] = (True, True)
    ) -> tuple[Array | None, Array | None]:
        """Gradients with respect to the stored numbers of A and of B.

        Parameters
        ----------
        grad : ndarray, shape (nnz of C,)
            Gradient of the loss with respect to the stored numbers of C.
        a : ndarray, shape (nnz of A,)
            Numbers of A.
        b : ndarray, shape (nnz of B,)
            Numbers of B.
        wanted : pair of bool
            Which of the two gradients to compute; None stands for the other.

        Returns
        -------
        da : ndarray, shape (nnz of A,)
            In the common type of the three; its real part where A is real.
        db : ndarray, shape (nnz of B,)
            The same for B.

        Raises
        ------
        ValueError
            If an array has another length than its pattern.
        TypeError
            If the numbers are neither floating nor complex.
        """
        for name, values, pattern in (("grad", grad, self._c), ("a", a, self._a), ("b", b, self._b)):
            if values.shape != (pattern[1].size,):
                raise ValueError(
                    f"{name} has shape {values.shape}: wanted ({pattern[1].size},), one number per stored entry"
                )
        dtype = np.result_type(grad, a, b)
        if dtype.char not in "fdFD":
            raise TypeError(
                f"grad, a and b have dtypes {grad.dtype}, {a.dtype} and {b.dtype}: gradients want float32, float64, "
                "complex64 or complex128; convert the matrices first"
            )
        grad = np.ascontiguousarray(grad, dtype)
        da = _like(self._gradient_of_a(grad, np.ascontiguousarray(b, dtype)), a) if wanted[0] else None
        db = _like(self._gradient_of_b(grad, np.ascontiguousarray(a, dtype)), b) if wanted[1] else None
        return da, db

    def _gradient_of_a(self, grad: Array, b: Array) -> Array:
        side = self._sides[0]
        if side is None:
            side = self._sides[0] = _Side(self._a, self._b, self._c, self._shape[2])
        out = np.empty(self._a[1].size, grad.dtype)
        none = self._a[1][:0]
        x_ptr, x_idx, y_ptr, y_idx, g_ptr, g_idx = side.patterns
        kernels.pattern_gradient(
            equal_blocks(side.ends),
            side.columns,
            x_ptr,
            x_idx,
            y_ptr,
            y_idx,
            _conjugate(b),
            g_ptr,
            g_idx,
            grad,
            none,
            none,
            out,
        )
        return out

    def _gradient_of_b(self, grad: Array, a: Array) -> Array:
        if self._transposed is None:
            _, inner, columns = self._shape
            self._transposed = (
                _Transposed(*self._a, inner), _Transposed(*self._b, columns), _Transposed(*self._c, columns)
            )  # fmt: skip
        at, bt, ct = self._transposed
        side = self._sides[1]
        if side is None:
            side = self._sides[1] = _Side(bt.pattern, at.pattern, ct.pattern, self._shape[0])
        out = np.empty(self._b[1].size, grad.dtype)
        x_ptr, x_idx, y_ptr, y_idx, g_ptr, g_idx = side.patterns
        y = _conjugate(a[at.order])
        kernels.pattern_gradient(
            equal_blocks(side.ends),
            side.columns,
            x_ptr,
            x_idx,
            y_ptr,
            y_idx,
            y,
            g_ptr,
            g_idx,
            grad,
            ct.order,
            bt.order,
            out,
        )
        return out


def _unsigned(*patterns: tuple[Array, Array]) -> list[tuple[Array, Array]]:
    """Index arrays as unsigned views of one width."""
    wide = any(array.dtype.itemsize != 4 for pattern in patterns for array in pattern)
    if wide:
        patterns = tuple((p.astype(np.int64, copy=False), i.astype(np.int64, copy=False)) for p, i in patterns)
    return [(index_view(np.ascontiguousarray(p)), index_view(np.ascontiguousarray(i))) for p, i in patterns]


def _conjugate(values: Array) -> Array:
    return values.conj() if values.dtype.kind == "c" else values


def _like(gradient: Array, values: Array) -> Array:
    """Gradient with respect to real numbers: the real part."""
    return gradient.real.copy() if gradient.dtype.kind == "c" and values.dtype.kind != "c" else gradient
