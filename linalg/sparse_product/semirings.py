"""Products over other semirings: shortest paths, reachability, common neighbours.

====================  ===========  ================  =============  =========================================
name                  add          multiply          result         a stored zero
====================  ===========  ================  =============  =========================================
``plus_times``        +            x                 common type    is a zero
``min_plus``          minimum      +                 float          is a distance of zero
``or_and``            or           and               bool           is False: it reaches nothing
``plus_pair``         +            1                 int64          counts like any other entry
====================  ===========  ================  =============  =========================================

An entry that is not stored is the zero of the semiring: +inf for ``min_plus``, False, 0. The pattern of a result depends on
the patterns of the factors alone, as everywhere in this package: ``or_and`` may store False, ``min_plus`` may store +inf
where a factor did. A column that a factor holds twice stands for two parallel entries: the minimum, the disjunction, or both
counted. A NaN in ``min_plus`` makes every minimum that it enters NaN, as in `numpy.minimum`; GraphBLAS leaves this open.

``plus_pair`` and ``or_and`` without a mask are ordinary products of ones and zeros. ``min_plus`` takes its pattern from an
ordinary product and fills in the values in a second pass.

Source: the GraphBLAS C API specification, version 2.1; the names are those of SuiteSparse:GraphBLAS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ..kernels import semiring as kernels
from ..kernels.spgemm_gradient import row_work
from ..operators.matrix import index_view
from .blocks import equal_blocks
from .operands import common_dtype, operands, require_columns
from .product import spgemm

__all__ = ["SEMIRINGS", "Numbers", "check_semiring", "numbers", "semiring_product", "with_data"]

Array = npt.NDArray[Any]

SEMIRINGS = tuple(kernels.TAGS)


@dataclass(frozen=True, eq=False)
class Numbers:
    """What the kernels of a semiring compute with: numbers of both factors, the zero, and the type of the result.

    The numbers are None where the semiring never looks at them; a kernel then takes any arrays of the right lengths.
    """

    tag: Array
    a: Array | None
    b: Array | None
    zero: Any
    dtype: np.dtype[Any]

    def finished(self, data: Array) -> Array:
        """Return results as the user gets them."""
        return data.view(bool) if self.tag is kernels.TAGS["or_and"] else data


def check_semiring(name: Any) -> None:
    """Refuse an unknown semiring."""
    if not isinstance(name, str) or name not in SEMIRINGS:
        raise ValueError(f"semiring is {name!r}: wanted one of {', '.join(SEMIRINGS)}")


def numbers(name: str, A: csr_array, B: csr_array) -> Numbers:
    """Numbers of two factors for the kernels of a semiring; see the table of this module."""
    tag = kernels.TAGS[name]
    if name == "plus_times":
        dtype = common_dtype(A.dtype, B.dtype, ("A", "B"))
    elif name == "min_plus":
        dtype = _distances(A.dtype, B.dtype)
    else:
        _require_numbers(A.dtype, B.dtype)
        if name == "or_and":
            truth = np.dtype(np.uint8)
            return Numbers(tag, (A.data != 0).view(truth), (B.data != 0).view(truth), truth.type(0), truth)
        return Numbers(tag, None, None, np.int64(0), np.dtype(np.int64))
    a, b = (np.ascontiguousarray(M.data, dtype=dtype) for M in (A, B))
    return Numbers(tag, a, b, dtype.type(np.inf if name == "min_plus" else 0), dtype)


def semiring_product(A: csr_array, B: csr_array, name: str, *, sort: bool = True) -> csr_array:
    """Product of two CSR arrays over a semiring, as `spgemm` returns it."""
    check_semiring(name)
    if name == "plus_times":
        return spgemm(A, B, sort=sort)
    if name == "min_plus":
        dtype = _distances(A.dtype, B.dtype)
        A, B = (with_data(M, M.data.astype(dtype, copy=False)) for M in (A, B))
        result = spgemm(A, B, sort=sort)
        _fill(name, A, B, result)
        return result
    _require_numbers(A.dtype, B.dtype)
    if name == "plus_pair":
        return spgemm(*(with_data(M, np.ones(M.data.size, np.int64)) for M in (A, B)), sort=sort)
    result = spgemm(*(with_data(M, (M.data != 0).astype(np.int64)) for M in (A, B)), sort=sort)
    result.data = result.data != 0
    return result


def _fill(name: str, A: csr_array, B: csr_array, result: csr_array) -> None:
    """Overwrite the entries of a product by those of another semiring."""
    o = operands(A, B)
    require_columns(o.shape[1])
    kind = o.aj.dtype
    rp, cj = (np.ascontiguousarray(index_view(part), dtype=kind) for part in (result.indptr, result.indices))
    work = np.empty(o.shape[0], np.uint64)
    row_work(o.ap, o.aj, o.bp, rp, work)
    kernels.full_product(
        kernels.TAGS[name], equal_blocks(np.cumsum(work)), np.uint64(o.shape[1]), result.dtype.type(np.inf),
        (o.ap, o.aj, o.ax), (o.bp, o.bj, o.bx), (rp, cj, result.data),
    )  # fmt: skip


def with_data(matrix: csr_array, data: Array) -> csr_array:
    """Return a matrix of the same pattern; nothing is copied or checked."""
    result = csr_array(matrix.shape, dtype=data.dtype)
    result.indptr, result.indices, result.data = matrix.indptr, matrix.indices, data
    return result


def _distances(left: np.dtype[Any], right: np.dtype[Any]) -> np.dtype[Any]:
    """Type of distances: floats stay, whole numbers become float64."""
    if "c" in (left.kind, right.kind):
        raise TypeError(
            f"A has dtype {left} and B has dtype {right}: complex numbers have no minimum; pass their real parts"
        )
    left, right = (np.dtype(np.float64) if d.kind in "biu" else d for d in (left, right))
    return common_dtype(left, right, ("A", "B"))


def _require_numbers(left: np.dtype[Any], right: np.dtype[Any]) -> None:
    if left.kind not in "biufc" or right.kind not in "biufc":
        raise TypeError(f"A has dtype {left} and B has dtype {right}: wanted numbers or bool; convert with .astype")
