"""Triple products R A P, as a multigrid hierarchy needs them, and A A^T.

R A P is formed as R (A P): P has few columns, so A P is short, and both products are ordinary ones. In a plan A P is scratch
that every call overwrites; with ``R=None`` the restriction is the conjugate transpose of P, held as a permutation of P's
entries, so that new entries of P cost one gather. A fused kernel, row by row of the result, would spare the storage of A P,
but it forms every row of A P as often as R has entries in that column: for smoothed aggregation of a 7-point operator 1.6
times as many multiply-adds on the finest level, 3.6 times on the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ..kernels.spgemm_gradient import transpose
from ..operators.matrix import check_indices, index_view
from .operands import as_csr, common_dtype, require_shapes
from .plan import SpGEMMPlan, fingerprint
from .product import spgemm

__all__ = ["RAPPlan", "aat", "rap"]

Array = npt.NDArray[Any]


def rap(R: Any, A: Any, P: Any) -> csr_array:
    """Triple product R A P of sparse matrices.

    Parameters
    ----------
    R : sparse array or matrix, shape (k, m), or None
        Restriction; None means the conjugate transpose of P.
    A : sparse array or matrix, shape (m, n)
    P : sparse array or matrix, shape (n, l)
        Prolongation. Block matrices (BSR) are converted to rows.

    Returns
    -------
    csr_array, shape (k, l)
        Columns sorted in every row. Entries that cancel to zero stay, so the pattern does not depend on values.

    Raises
    ------
    ValueError
        If shapes do not fit, or an index is out of range.
    TypeError
        If the entries are not numbers of a supported type; see `spgemm`.

    See Also
    --------
    RAPPlan : the same for many matrices with the same patterns.

    Notes
    -----
    Cost: the multiply-adds of A P and of R (A P), and storage for A P meanwhile.

    Examples
    --------
    >>> from scipy.sparse import csr_array, diags_array
    >>> A = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4), format="csr")
    >>> P = csr_array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> rap(None, A, P).toarray()
    array([[ 2., -1.],
           [-1.,  2.]])
    """
    A, P = as_csr(A, "A"), as_csr(P, "P")
    require_shapes(A.shape, P.shape, ("A", "P"))
    for matrix, name in ((A, "A"), (P, "P")):
        check_indices(
            matrix, name
        )  # under the names that the caller knows, and before a transposition that does not look
    if R is None:
        _require_square(A.shape)
        R = csr_array(P.conj().T) if P.dtype.kind == "c" else csr_array(P.T)
    R = as_csr(R, "R")
    require_shapes(R.shape, A.shape, ("R", "A"))
    check_indices(R, "R")
    # columns of the scratch product may stay in any order: only those of the result are seen
    return spgemm(R, spgemm(A, P, sort=False))


class RAPPlan:
    """Triple product R A P on fixed patterns: everything but the arithmetic is done once.

    Parameters
    ----------
    R : sparse array or matrix, shape (k, m), or None
        Restriction; None means the conjugate transpose of P, also in every call.
    A : sparse array or matrix, shape (m, n)
    P : sparse array or matrix, shape (n, l)
        Patterns count, entries do not. Block matrices (BSR) are converted to rows.

    Attributes
    ----------
    shape : tuple of int
        ``(k, l)``.
    nnz : int
        Entries of the result.
    multiply_adds : int
        Of both products together.
    indptr, indices : ndarray
        Pattern of the result, columns sorted; read-only.
    restriction_pattern : tuple of ndarray
        Row pointers and columns of R.

    Raises
    ------
    ValueError, TypeError
        As for `rap`.

    Notes
    -----
    Memory: the plans of A P and of R (A P), the entries of A P, and with ``R=None`` the pattern of R with one number per
    entry that says where it comes from; see `memory_bytes`. One plan serves one thread at a time, since A P is overwritten.
    The numbers equal those of `rap` bit for bit, for any number of threads.

    Examples
    --------
    >>> from scipy.sparse import csr_array, diags_array
    >>> A = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4), format="csr")
    >>> P = csr_array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> plan = RAPPlan(None, A, P)
    >>> plan(None, 3 * A, P).toarray()
    array([[ 6., -3.],
           [-3.,  6.]])
    """

    def __init__(self, R: Any, A: Any, P: Any) -> None:
        A, P = as_csr(A, "A"), as_csr(P, "P")
        require_shapes(A.shape, P.shape, ("A", "P"))
        for matrix, name in ((A, "A"), (P, "P")):
            check_indices(matrix, name)
        self._order: Array | None = None
        if R is None:
            _require_square(A.shape)
            R, self._order = _transposed(P)
        R = as_csr(R, "R")
        require_shapes(R.shape, A.shape, ("R", "A"))
        check_indices(R, "R")
        self._sizes = tuple(int(part.indptr[-1]) for part in (R, A, P))
        self.restriction_pattern = (
            (R.indptr, R.indices) if self._order is not None else (R.indptr.copy(), R.indices.copy())
        )
        self._first = SpGEMMPlan(A, P)
        scratch = np.empty(self._first.nnz, dtype=common_dtype(A.dtype, P.dtype, ("A", "P")))
        product = csr_array((scratch, self._first.indices, self._first.indptr), shape=self._first.shape)
        self._second = SpGEMMPlan(R, product)
        self._scratch = scratch
        self._marks = tuple(_mark(part) for part in (R, A, P))
        self.shape: tuple[int, int] = self._second.shape

    @property
    def indptr(self) -> Array:
        """Row pointers of the result; read-only."""
        return self._second.indptr

    @property
    def indices(self) -> Array:
        """Columns of the result, sorted in every row; read-only."""
        return self._second.indices

    @property
    def nnz(self) -> int:
        """Entries of the result."""
        return int(self._second.nnz)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of both products."""
        return int(self._first.multiply_adds + self._second.multiply_adds)

    @property
    def memory_bytes(self) -> int:
        """Storage of the plan, the scratch product and the pattern of R included."""
        own = sum(int(part.nbytes) for part in self.restriction_pattern) if self._order is not None else 0
        order = 0 if self._order is None else int(self._order.nbytes)
        return int(self._first.memory_bytes + self._second.memory_bytes + self._scratch.nbytes) + own + order

    def restriction(self, p: Array, *, conjugate: bool = True) -> Array:
        """Entries of R, for a plan with ``R=None``, from those of P; of the plain transpose without `conjugate`.

        Parameters
        ----------
        p : ndarray, shape (nnz of P,)

        Raises
        ------
        ValueError
            If the plan was made for a restriction of its own.
        """
        if self._order is None:
            raise ValueError("this plan was made for its own R: there is no restriction to derive from P")
        values = np.take(p, self._order)
        return np.conjugate(values, out=values) if conjugate and values.dtype.kind == "c" else values

    def multiply(self, r: Array | None, a: Array, p: Array, out: Array | None = None) -> Array:
        """Entries of R A P from those of R, A and P, in the order of the patterns of the plan.

        Parameters
        ----------
        r : ndarray, shape (nnz of R,), or None
            None, for a plan with ``R=None``, takes them from `p`.
        a, p : ndarray
            Entries of A and P.
        out : ndarray, shape (nnz,), optional
            Where to write the result.

        Returns
        -------
        ndarray, shape (nnz,)

        Raises
        ------
        ValueError
            If an array has another length than its pattern, or `r` is missing.
        TypeError
            If a type does not fit.
        """
        if r is None:
            if self._order is None:
                raise ValueError("r is None: this plan was made for its own R, whose entries it needs")
            _require_size("p", p, self._sizes[2])
            r = self.restriction(p)
        for name, values, size in zip("rap", (r, a, p), self._sizes, strict=True):
            _require_size(name, values, size)
        dtype = common_dtype(a.dtype, p.dtype, ("a", "p"))
        if self._scratch.dtype != dtype:
            self._scratch = np.empty(self._scratch.size, dtype)
        return self._second.multiply(r, self._first.multiply(a, p, out=self._scratch), out=out)

    def __call__(self, R: Any, A: Any, P: Any, *, out: csr_array | None = None) -> csr_array:
        """Triple product of matrices with the patterns of the plan.

        Parameters
        ----------
        R, A, P : sparse array or matrix
            Stored as they were for the plan: same columns in the same order. R is None where it was.
        out : csr_array, optional
            Former result of this plan, whose entries are overwritten.

        Returns
        -------
        csr_array, shape (k, l)

        Raises
        ------
        ValueError
            If a pattern is not the one of the plan; the message names the matrix.
        """
        if (R is None) != (self._order is not None):
            raise ValueError(
                f"R is {'None' if R is None else 'given'}: this plan was made "
                f"{'with R=None, for the transpose of P' if self._order is not None else 'for an R of its own'}"
            )
        values: list[Any] = []
        for name, given, mark in zip("RAP", (R, A, P), self._marks, strict=True):
            if given is None:
                values.append(None)
                continue
            matrix = as_csr(given, name)
            found = _mark(matrix)
            if found != mark:
                raise ValueError(
                    f"{name} has shape {found[0]}, {found[1]} entries and another pattern than in the plan "
                    f"(shape {mark[0]}, {mark[1]} entries): make a new RAPPlan"
                )
            values.append(matrix.data[: found[1]])
        if out is not None and not self._second._is_result(out):
            raise ValueError(f"out is {type(out).__name__}: wanted a former result of this plan, shape {self.shape}")
        data = self.multiply(values[0], values[1], values[2], None if out is None else out.data)
        if out is not None:
            return out
        result = csr_array((data, self.indices, self.indptr), shape=self.shape)
        result.has_canonical_format = True
        return result


def _mark(matrix: csr_array) -> tuple[tuple[int, ...], int, int]:
    """Shape, number of entries and fingerprint of a pattern."""
    count = int(matrix.indptr[-1]) if matrix.indptr.size else 0
    index = np.int32 if max(count, *matrix.shape) < 2**31 else np.int64
    columns = np.ascontiguousarray(matrix.indices[:count], dtype=index)
    if columns.itemsize < matrix.indices.itemsize and (columns != matrix.indices[:count]).any():
        return matrix.shape, count, -1  # a large index must not pass for a small one
    return (
        matrix.shape,
        count,
        fingerprint(index_view(np.ascontiguousarray(matrix.indptr, dtype=index)), index_view(columns)),
    )


def _require_square(shape: tuple[int, ...]) -> None:
    if shape[0] != shape[1]:
        raise ValueError(f"A has shape {shape}: with R=None (the transpose of P) it must be square")


def _require_size(name: str, values: Array, size: int) -> None:
    if values.shape != (size,):
        raise ValueError(f"{name} has shape {values.shape}: wanted ({size},), one number per stored entry")


def _transposed(P: csr_array) -> tuple[csr_array, Array]:
    """Transpose of P, and where each of its entries comes from."""
    indptr = np.zeros(P.shape[1] + 1, dtype=P.indptr.dtype)
    stored = P.indices[: P.indptr[-1]]  # the arrays may have room for more
    indices, order = np.empty_like(stored), np.empty_like(stored)
    transpose(*(index_view(part) for part in (P.indptr, stored, indptr, indices, order)))
    return csr_array((np.empty(order.size, P.dtype), indices, indptr), shape=P.shape[::-1]), order


def aat(A: Any) -> csr_array:
    """Product of a sparse matrix with its transpose.

    Parameters
    ----------
    A : sparse array or matrix, shape (m, n)
        Complex entries are not conjugated: this is ``A @ A.T``.

    Returns
    -------
    csr_array, shape (m, m)
        Columns sorted; entries that cancel to zero stay. The same bits as ``spgemm(A, A.T)``.

    Raises
    ------
    ValueError
        If an index is out of range.
    TypeError
        If the entries are not numbers of a supported type.

    Notes
    -----
    The whole product is formed, though its triangles mirror each other: the upper one and a mirror image of it took 0.9 to
    1.9 times as long on ten matrices, since moving entries about costs more than the multiply-adds saved. The result is
    symmetric to the last bit where the columns of every row of A rise strictly.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> aat(csr_array([[1.0, 2.0], [0.0, 3.0]])).toarray()
    array([[5., 6.],
           [6., 9.]])
    """
    A = as_csr(A, "A")
    check_indices(A)
    return spgemm(A, csr_array(A.T))
