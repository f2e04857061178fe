"""Masked products: the entries of A B at the places that a mask stores, and no others.

Two ways to compute a row, chosen by their exact cost. Scattering marks the row of the mask in a dense array and runs
through the rows of B as an ordinary product does, skipping what has no mark. Dot products run through the columns of B that
the mask names; they win where the mask is much sparser than the work of the row, and need the transpose of B. Rows without
an entry in the mask cost nothing either way.

Source: mask-driven accumulators and inner products for masked products, Milakovic, Selvitopi, Nisa, Budimlic and Buluc,
arXiv 2111.09947. Departures: the choice is made for each row and not for the whole product; dots gather from a dense array
instead of merging two lists; they are only taken where the columns in each row of A rise strictly, because then both
ways add in the same order and give the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ..kernels import semiring as kernels
from ..kernels.spgemm_gradient import transpose
from ..operators.matrix import check_indices, index_view
from .blocks import equal_blocks
from .operands import Operands, as_csr, operands, require_columns
from .product import Structure, assembled, survey
from .semirings import Numbers, check_semiring, numbers, with_data

__all__ = ["masked_spgemm"]

Array = npt.NDArray[Any]

TRANSPOSE_WORK = 8  # steps of a product that take as long as transposing one entry of B


def masked_spgemm(A: Any, B: Any, mask: Any, *, semiring: str = "plus_times", sort: bool = True) -> csr_array:
    """Product of two sparse matrices at the places that a mask stores.

    Parameters
    ----------
    A : sparse array or matrix, shape (m, k)
        Left factor.
    B : sparse array or matrix, shape (k, n)
        Right factor.
    mask : sparse array or matrix, shape (m, n)
        Its stored entries are the places that are wanted, whatever their values; a place that is stored twice counts once.
        Of a dense array, the nonzero places.
    semiring : {"plus_times", "min_plus", "or_and", "plus_pair"}
        What adds and multiplies; see `spgemm`.
    sort : bool
        Whether the columns of the result rise in every row. Without it they follow the order of the mask.

    Returns
    -------
    csr_array, shape (m, n)
        Its pattern is that of A B, entries that cancel to zero included, intersected with that of the mask; its values
        have the same bits as those of the product without mask.

    Raises
    ------
    ValueError
        If shapes do not fit, or an index is out of range.
    TypeError
        If an argument is not a matrix, or entries are not numbers of a supported type.

    See Also
    --------
    spgemm : the product without a mask.

    Notes
    -----
    The cost of a row is the smaller of: its multiply-adds in A B and its entries in the mask; or the lengths of the
    columns of B that the mask names. Scratch: 4 bytes per column for each thread, and the entries of the mask.

    References
    ----------
    S. Milakovic, O. Selvitopi, I. Nisa, Z. Budimlic, A. Buluc, "Parallel Algorithms for Masked Sparse Matrix-Matrix
    Products", arXiv 2111.09947.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> A = csr_array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])  # a triangle
    >>> int(masked_spgemm(A, A, A).sum()) // 6
    1
    """
    check_semiring(semiring)
    A, B = as_csr(A, "A"), as_csr(B, "B")
    values = numbers(semiring, A, B)
    # entries of any type: only the indices are wanted, and as many entries as there are
    o = operands(*(with_data(M, M.indices[: M.data.size]) for M in (A, B)))
    structure = survey(o)
    mask = _checked_mask(mask, A, B)
    order = int(kernels.row_order(index_view(mask.indptr), index_view(mask.indices)))
    if sort and order == kernels.UNSORTED:
        mask = with_data(mask, np.empty(mask.indices.size, bool)).copy()
        mask.has_sorted_indices = False
        mask.sort_indices()
        order = kernels.SORTED
    return _product(o, structure, values, mask, order != kernels.UNSORTED)


def _product(o: Operands, structure: Structure, values: Numbers, mask: csr_array, ordered: bool) -> csr_array:
    rows, columns = o.shape
    require_columns(columns)
    wide = o.aj.dtype != np.uint32 or mask.indices.size > np.iinfo(np.int32).max
    kind = np.uint64 if wide else np.uint32
    a_ptr, a_idx, b_ptr, b_idx, m_ptr, m_idx = (
        np.ascontiguousarray(x, dtype=kind) for x in (o.ap, o.aj, o.bp, o.bj, mask.indptr, mask.indices)
    )
    sizes = np.diff(m_ptr)
    work = np.where(sizes > 0, structure.work + sizes.astype(np.uint64), np.uint64(0))
    total = int(work.sum())

    left = (a_ptr, a_idx, a_idx if values.a is None else values.a)  # the numbers may be followed by unused ones
    right = (b_ptr, b_idx, b_idx if values.b is None else values.b)
    transposed, by_dots = right, np.empty(0, bool)
    if total > TRANSPOSE_WORK * b_idx.size and kernels.row_order(a_ptr, a_idx) == kernels.STRICT:
        column_sizes = np.bincount(b_idx, minlength=columns)
        chosen, cost = np.empty(rows, bool), work.copy()
        saved = int(kernels.choose_dots(a_ptr, m_ptr, m_idx, column_sizes, cost, chosen))
        if saved > TRANSPOSE_WORK * b_idx.size:
            transposed, by_dots, work = _transpose(*right, columns), chosen, cost

    counts = np.empty(rows, kind)
    indices, data = np.empty_like(m_idx), np.empty(m_idx.size, values.dtype)
    kernels.masked_product(
        values.tag, equal_blocks(np.cumsum(work)), np.uint64(columns), values.zero, left, right, transposed, by_dots,
        m_ptr, m_idx, counts, indices, data,
    )  # fmt: skip
    indptr = np.zeros(rows + 1, kind)
    np.cumsum(counts, out=indptr[1:])
    count = int(indptr[-1])
    if count < indices.size:
        gaps, indices, data = (indices, data), np.empty(count, kind), np.empty(count, values.dtype)
        kernels.compact(m_ptr, indptr, *gaps, indices, data)
    return assembled(o.shape, indptr, indices, values.finished(data), ordered)


def _checked_mask(mask: Any, A: csr_array, B: csr_array) -> csr_array:
    mask = as_csr(mask, "mask")
    if mask.shape != (A.shape[0], B.shape[1]):
        raise ValueError(
            f"mask has shape {mask.shape}, A has shape {A.shape} and B has shape {B.shape}: wanted a mask of the shape of "
            f"A @ B, {(A.shape[0], B.shape[1])}"
        )
    if mask.indices.dtype.kind not in "iu" or mask.indptr.dtype.kind not in "iu":
        raise TypeError(
            f"mask has indices of dtype {mask.indices.dtype} and indptr of dtype {mask.indptr.dtype}: wanted int32 or int64"
        )
    check_indices(mask, "mask")
    return mask


def _transpose(indptr: Array, indices: Array, values: Array, columns: int) -> tuple[Array, Array, Array]:
    t_ptr, t_idx, order = np.zeros(columns + 1, indptr.dtype), np.empty_like(indices), np.empty_like(indices)
    transpose(indptr, indices, t_ptr, t_idx, order)
    return t_ptr, t_idx, values[order]
