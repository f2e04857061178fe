"""Products on a fixed pattern: the structure is worked out once, later products are arithmetic alone.

Newton and time steps, parameter sweeps and re-set-ups of multigrid multiply matrices whose entries change and whose
patterns do not. The plan keeps the sorted pattern of the result, chunks of equal work and, where that takes no more memory
than the result, the place of every product in its row of C (one, two or four bytes each). A product with new entries is
then an addition straight into the result, or else a dense accumulation per row and one gather.

The pattern is structural: an entry that happens to cancel to zero stays, so the plan fits whatever the entries are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse

from ..kernels import spgemm_plan as kernels
from ..kernels.spgemm_survey import ascending
from ..operators.matrix import index_view, unlocked
from ..threads import get_threads
from .gradients import PlanGradients
from .operands import as_csr, common_dtype, operands, require_columns
from .product import SERIAL, SMALL, Chunks, Structure, assembled, multiply, slabs, survey

__all__ = ["SpGEMMPlan"]

Array = npt.NDArray[Any]

PER_ENTRY = 12  # bytes of an entry of C with its index
COARSE = 1 << 16  # multiply-adds of a chunk: there is no scratch to keep in cache, only work to balance


def _entries_of(matrix: csr_array) -> int:
    """Count the stored entries; -1 where the arrays are too short for them or the indices are no whole numbers."""
    entries = int(matrix.indptr[-1])
    sound = matrix.indices.dtype.kind in "iu" and min(matrix.indices.size, matrix.data.size) >= entries
    return entries if sound else -1


def _apart(numbers: Array, out: Array) -> Array:
    """Return a copy of factors that share memory with the result, which is cleared before they are read."""
    return numbers.copy() if np.may_share_memory(numbers, out) else numbers


def fingerprint(indptr: Array, indices: Array) -> int:
    """64-bit fingerprint of a pattern; cost one pass over the indices."""
    partial = np.zeros(16 if indices.size > SERIAL else 1, np.uint64)
    kernels.fingerprint(indices, np.uint64(indices.size), partial)
    total = int(partial.sum(dtype=np.uint64))
    partial = np.zeros(16 if indptr.size > SERIAL else 1, np.uint64)
    kernels.fingerprint(indptr, np.uint64(total), partial)
    return (total * 3 + int(partial.sum(dtype=np.uint64))) % 2**64


class SpGEMMPlan:
    """The structure of a product C = A B, kept for products with other entries on the same patterns.

    Parameters
    ----------
    A, B : sparse array, matrix or operator with entries, shapes (n, k) and (k, m)
        Their patterns count, and their types of entries for the kernels compiled here; their values do not. Unsorted and
        duplicate column indices are allowed.

    Attributes
    ----------
    shape : tuple of int
        (n, m).
    nnz : int
        Entries of C, those that cancel to zero included.
    multiply_adds : int
        Multiply-adds of one product.
    compression : float
        Multiply-adds per entry of C.
    indptr, indices : ndarray
        Pattern of C in compressed rows, sorted, read-only.
    memory_bytes : int
        What the plan holds, in bytes.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a column index is out of range.
    TypeError
        For entries other than 32- or 64-bit integers, float and complex numbers.

    Notes
    -----
    Set-up costs one sorted product. A product by the plan costs 2 multiply_adds flops, and checks that A and B have the
    patterns of the plan by a 64-bit fingerprint, one pass over their indices. Every entry is summed in the order of A's row:
    the numbers equal those of `spgemm` bit for bit, for any number of threads.

    The results share the plan's pattern arrays, which are read-only; ``C.copy()`` gives one whose pattern can be changed.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import random_array
    >>> rng = np.random.default_rng(0)
    >>> A = random_array((50, 40), density=0.1, format="csr", rng=rng)
    >>> B = random_array((40, 30), density=0.1, format="csr", rng=rng)
    >>> plan = SpGEMMPlan(A, B)
    >>> A.data[:] = rng.standard_normal(A.nnz)
    >>> C = plan(A, B)
    >>> bool(abs(C - A @ B).max() < 1e-12)
    True
    """

    def __init__(self, A: Any, B: Any) -> None:
        A, B = as_csr(A, "A"), as_csr(B, "B")
        o = operands(A, B)
        require_columns(o.shape[1])
        structure = survey(o)
        cp, cj, _ = multiply(o, structure, True)
        pattern = assembled(o.shape, cp, cj, np.zeros(cj.size, bool), True)
        self.shape: tuple[int, int] = o.shape
        self.multiply_adds = structure.total
        self.indptr, self.indices = pattern.indptr, pattern.indices
        self._factors = (A.shape, B.shape)
        self._threads = get_threads()
        self._chunks = Chunks.cut(structure, o.shape[1], self._threads, COARSE)
        # the plan's own copies: the caller may edit his matrices
        index = np.int32 if o.bj.dtype == np.uint32 and self.indptr.dtype == np.int32 else np.int64
        self._ordered = self._chunks.split and bool(ascending(o.bp, o.bj))
        self._a, self._b = (
            tuple(index_view(part.view(f"i{part.itemsize}").astype(index)) for part in pair)
            for pair in ((o.ap, o.aj), (o.bp, o.bj))
        )
        self._lock()
        self._numbers, self._slots = self._products(structure)
        self._prints = (fingerprint(*self._a), fingerprint(*self._b))
        self._gradients: PlanGradients | None = None
        self._last: tuple[Array, Array] | None = None

    @property
    def nnz(self) -> int:
        """Entries of C, those that cancel to zero included."""
        return int(self.indices.size)

    @property
    def compression(self) -> float:
        """Multiply-adds per entry of C."""
        return self.multiply_adds / max(1, self.nnz)

    @property
    def memory_bytes(self) -> int:
        """What the plan holds, in bytes; grows by the transposed patterns at the first gradient."""
        held = (
            *self._a,
            *self._b,
            *self._c,
            self._slots,
            self._numbers,
            self._chunks.firsts,
            self._chunks.lasts,
            self._chunks.part,
        )
        return sum(int(part.nbytes) for part in held) + (self._gradients.memory_bytes if self._gradients else 0)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_c": None, "_last": None, "_gradients": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock()

    def _lock(self) -> None:
        """Take views for the kernels, and close the pattern to everyone who is handed it with a result."""
        self._c = (index_view(self.indptr), index_view(self.indices))
        self.indptr.flags.writeable = self.indices.flags.writeable = False

    def __repr__(self) -> str:
        a, b = self._factors
        return f"SpGEMMPlan({a[0]}x{a[1]} times {b[0]}x{b[1]}, {self.multiply_adds} multiply-adds, {self.nnz} entries)"

    def __call__(self, A: Any, B: Any, *, out: csr_array | None = None) -> csr_array:
        """Product of two matrices with the patterns of the plan.

        Parameters
        ----------
        A, B : sparse arrays
            The patterns of the plan, any entries.
        out : csr_array, optional
            A former result of this plan, whose entries are overwritten: saves the allocation.

        Returns
        -------
        csr_array
            Sorted; shares the plan's read-only pattern arrays.

        Raises
        ------
        ValueError
            If A or B has another shape or pattern than the plan, or `out` is no result of it.
        TypeError
            If the entries are of a type that the kernels do not know.
        """
        A, B = as_csr(A, "A"), as_csr(B, "B")
        self.require(A, B)
        dtype = common_dtype(A.dtype, B.dtype, ("A", "B"))
        a, b = (unlocked(np.ascontiguousarray(held.data[: held.indptr[-1]], dtype=dtype)) for held in (A, B))
        if out is not None:
            if not self._is_result(out) or out.data.dtype != dtype:
                raise ValueError(
                    f"out is {type(out).__name__} of {getattr(out, 'dtype', None)}: wanted a result of this plan, of {dtype}"
                )
            a, b = _apart(a, out.data), _apart(b, out.data)
            self._last = (a, b)
            self._run(a, b, out.data)
            return out
        self._last = (a, b)
        entries = np.empty(self.nnz, dtype)
        self._run(a, b, entries)
        result = csr_array((entries, self.indices, self.indptr), shape=self.shape)
        result.has_canonical_format = True
        return result

    def multiply(self, a: npt.ArrayLike, b: npt.ArrayLike, out: Array | None = None) -> Array:
        """Entries of C from the entries of A and of B, in the order in which the patterns store them.

        Parameters
        ----------
        a, b : array_like, 1-D
            Entries of A and of B.
        out : ndarray, 1-D, optional
            Where to put the result.

        Returns
        -------
        ndarray, shape (nnz,)

        Raises
        ------
        ValueError
            If the number of entries is not that of the plan, or `out` has another shape or type than the result.
        TypeError
            If the entries are of a type that the kernels do not know.
        """
        a, b = self._entries(a, "a", 0), self._entries(b, "b", 1)
        dtype = common_dtype(a.dtype, b.dtype, ("a", "b"))
        if out is None:
            out = np.empty(self.nnz, dtype)
        elif not isinstance(out, np.ndarray) or out.shape != (self.nnz,) or out.dtype != dtype or not out.flags.carray:
            raise ValueError(
                f"out is {type(out).__name__} of shape {np.shape(out)} and dtype {getattr(out, 'dtype', None)}: wanted an "
                f"array of shape ({self.nnz},) and dtype {dtype}, contiguous and writeable"
            )
        else:
            a, b = _apart(a, out), _apart(b, out)
        self._run(unlocked(np.ascontiguousarray(a, dtype=dtype)), unlocked(np.ascontiguousarray(b, dtype=dtype)), out)
        return out

    def backward(self, grad: Any) -> tuple[csr_array, csr_array]:
        """Gradients with respect to A and B of the last product, on their patterns.

        Parameters
        ----------
        grad : sparse array or array_like
            Gradient of a real loss with respect to C: on the pattern of C, or its nnz entries in that order.

        Returns
        -------
        dA, dB : csr_array
            ``grad B^H`` on the pattern of A and ``A^H grad`` on that of B; real where the factor is real.

        Raises
        ------
        RuntimeError
            If there was no product yet.
        ValueError
            If `grad` does not lie on the pattern of C.
        TypeError
            If the entries are whole numbers.

        Notes
        -----
        Each gradient costs the multiply-adds of the product. The same bits come out for any number of threads. The plan
        holds on to the entries of the last product, without a copy: do not overwrite them in between, or use `gradients`.
        See `ritzkit.linalg.sparse_product.gradients`.

        Examples
        --------
        >>> from scipy.sparse import csr_array
        >>> A = csr_array([[2.0, 1.0], [0.0, 3.0]])
        >>> plan = SpGEMMPlan(A, A)
        >>> C = plan(A, A)
        >>> dA, dB = plan.backward([1.0, 1.0, 1.0])  # of the sum of all entries of C
        >>> dA.data, dB.data
        (array([3., 3., 3.]), array([2., 2., 4.]))
        """
        if self._last is None:
            raise RuntimeError("the plan has not been called yet: backward needs the factors of a product, plan(A, B)")
        if issparse(grad):
            grad = self._on_pattern(csr_array(grad))
        da, db = self.gradients(grad, *self._last)
        results = []
        for d, (indptr, indices), shape in zip((da, db), (self._a, self._b), self._factors, strict=True):
            signed = np.int32 if indices.itemsize == 4 else np.int64
            results.append(csr_array((d, indices.astype(signed), indptr.astype(signed)), shape=shape))
        return results[0], results[1]

    def gradients(
        self, grad: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike, *, wanted: tuple[bool, bool] = (True, True)
    ) -> tuple[Array, Array]:
        """Gradients on plain entries, without memory of a former product.

        Parameters
        ----------
        grad : array_like, shape (nnz,)
            Gradient of a real loss with respect to the entries of C.
        a, b : array_like, 1-D
            Entries of A and of B.
        wanted : pair of bool
            Which of the two to compute; None stands for the other.

        Returns
        -------
        da, db : ndarray
            One number per entry of A and of B; real where these are real.

        Raises
        ------
        ValueError
            If the number of entries is not that of the plan.
        TypeError
            If the entries are whole numbers, or of a type that the kernels do not know.
        """
        a, b = self._entries(a, "a", 0), self._entries(b, "b", 1)
        grad = np.asarray(grad)
        if grad.shape != (self.nnz,):
            raise ValueError(f"grad has shape {grad.shape}: wanted ({self.nnz},), one number per entry of the product")
        if self._gradients is None:
            shapes = self._factors
            self._gradients = PlanGradients((*self._a, shapes[0]), (*self._b, shapes[1]), (*self._c, self.shape))
        return self._gradients.run(grad, a, b, wanted=wanted)  # type: ignore[return-value]

    def _products(self, structure: Structure) -> tuple[Array, Array]:
        """For each chunk the number of its first product, and for each product its place in the row of C.

        With the places a product is one load shorter and needs no second pass over C; they are kept where they take no
        more memory than C itself.
        """
        chunks = self._chunks
        ends = np.zeros(structure.work.size + 1, np.uint64)
        np.cumsum(structure.work, dtype=np.uint64, out=ends[1:])
        numbers = ends[chunks.firsts]
        widest = int(np.diff(self.indptr).max(initial=1))
        kind = np.dtype(np.uint8 if widest <= 1 << 8 else np.uint16 if widest <= 1 << 16 else np.uint32)
        if self.multiply_adds * kind.itemsize > PER_ENTRY * self.nnz:
            return numbers, np.zeros(0, kind)
        slots = np.empty(self.multiply_adds, kind)
        places = slabs(self._threads, "places", self.shape[1], np.uint32)
        kernels.find_slots(
            np.uint64(chunks.firsts.size), chunks.firsts, chunks.lasts, chunks.part, numbers, np.zeros(1, np.uint64),
            *self._a, *self._b, places, *self._c, slots,
        )  # fmt: skip
        return numbers, slots

    def require(self, A: Any, B: Any) -> None:
        """Refuse factors of other patterns than the plan was made for.

        Parameters
        ----------
        A, B : sparse arrays
            Candidates for a product by the plan.

        Raises
        ------
        ValueError
            If one has another shape or pattern; the message names it.
        """
        self._require_pattern(as_csr(A, "A"), "A", 0)
        self._require_pattern(as_csr(B, "B"), "B", 1)

    def _run(self, a: Array, b: Array, out: Array) -> None:
        threads = get_threads() if self.multiply_adds > SMALL else 1
        chunks = self._chunks
        dense = self.shape[1] if chunks.split or not self._slots.size else 0
        acc = slabs(threads, "values", dense, out.dtype, zero=True)
        kernels.planned(
            self._ordered, np.uint64(chunks.parts), np.uint64(chunks.firsts.size), np.uint64(self.shape[1]),
            chunks.firsts, chunks.lasts, chunks.part, self._numbers, np.zeros(1, np.uint64),
            *self._a, a, *self._b, b, acc, self._slots, *self._c, out,
        )  # fmt: skip

    def _is_result(self, out: Any) -> bool:
        # SciPy wraps the arrays that it is given: the same memory in another object
        held = getattr(out, "indices", None)
        return (
            isinstance(out, csr_array)
            and isinstance(held, np.ndarray)
            and held.size == self.nnz == out.data.size
            and (held.__array_interface__["data"][0] == self.indices.__array_interface__["data"][0])
        )

    def _entries(self, numbers: npt.ArrayLike, name: str, side: int) -> Array:
        numbers = np.asarray(numbers)
        wanted = (self._a, self._b)[side][1].size
        if numbers.shape != (wanted,):
            raise ValueError(f"{name} has shape {numbers.shape}: the plan is for {wanted} entries in {'AB'[side]}")
        return numbers

    def _require_pattern(self, matrix: csr_array, name: str, side: int) -> None:
        a, b = self._factors
        wanted = (a, b)[side]
        if matrix.shape != wanted:
            raise ValueError(
                f"{name} has shape {matrix.shape}: the plan is for A of shape {a} and B of shape {b}; make a new SpGEMMPlan"
            )
        indptr, indices = (self._a, self._b)[side]
        if matrix.indptr.size == indptr.size and _entries_of(matrix) == indices.size:
            index = np.int32 if indices.itemsize == 4 else np.int64
            columns = np.ascontiguousarray(matrix.indices[: indices.size], dtype=index)
            found = fingerprint(index_view(np.ascontiguousarray(matrix.indptr, dtype=index)), index_view(columns))
            wide = columns.itemsize < matrix.indices.itemsize  # a large index must not pass for a small one
            if found == self._prints[side] and not (wide and (columns != matrix.indices[: indices.size]).any()):
                return
        raise ValueError(
            f"{name} ({matrix.nnz} entries) has another pattern than the plan was made for ({indices.size} entries in "
            f"{name}, {(self._b, self._a)[side][1].size} in {'BA'[side]}): make a new SpGEMMPlan"
        )

    def _on_pattern(self, grad: csr_array) -> Array:
        """Entries of a gradient in the order of C, which is sorted."""
        if grad.shape != self.shape:
            raise ValueError(f"grad has shape {grad.shape}: the product has shape {self.shape}")
        if np.array_equal(grad.indptr, self.indptr):
            if np.array_equal(grad.indices, self.indices):
                return np.asarray(grad.data)
            grad = grad.copy()
            grad.has_sorted_indices = False
            grad.sort_indices()
            if np.array_equal(grad.indices, self.indices):
                return np.asarray(grad.data)
        raise ValueError(
            f"grad has another pattern ({grad.nnz} stored entries) than the product ({self.nnz} entries): pass its entries "
            "on plan.indptr and plan.indices"
        )
