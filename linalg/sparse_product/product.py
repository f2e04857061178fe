"""C = A B for sparse matrices by rows; see `kernels.spgemm` for how.

Sources: F. G. Gustavson, ACM Trans. Math. Softw. 4 (1978) 250-269 (the product by rows); Y. Nagasaka, S. Matsuoka, A. Azad,
A. Buluc, Parallel Computing 90 (2019) 102545 (accumulators and balance on CPUs); K. Shivdikar, "SMASH: Sparse Matrix Atomic
Scratchpad Hashing", MSc thesis, Northeastern University 2021, arXiv 2105.14156 (windows of rows whose products fit the
fast memory, no partial matrices).

Departures from SMASH, measured on CPUs: no shared hash table with atomic additions, since one thread owns a row, or a
range of columns of a very heavy row; a bitmap over dense values instead of hashing wherever an array per column is
affordable, which gives sorted rows; and no counting pass, see `kernels.spgemm`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ..kernels import spgemm as kernels
from ..kernels import spgemm_survey as looks
from ..kernels.words import NONE, PENDING
from ..threads import get_threads
from .operands import Operands, as_csr, operands

if TYPE_CHECKING:
    from .plan import SpGEMMPlan

__all__ = ["Chunks", "Structure", "assembled", "multiply", "release_scratch", "slabs", "spgemm", "survey"]

Array = npt.NDArray[Any]

SMALL = 1 << 17  # multiply-adds up to which one call on one thread is the fastest
SMALL_COLUMNS = 1 << 20  # the small product makes one array of this length
BLOCKS = 32  # blocks of rows for the passes that only look
SERIAL = 1 << 15  # entries below which those stay on one thread
CHUNK = 1 << 14  # multiply-adds of a chunk: its products stay in the second-level cache
SLACK = 1 << 21  # entries that a thread may hold back while earlier chunks are unfinished: a core may be taken away
ROOM = 1 << 26  # entries of the result set aside outright; beyond, storage grows with what comes out
WIDE = 1 << 24  # columns above which a hash table replaces arrays per column
CACHED = 1 << 17  # columns up to which an array of values stays in the second-level cache
FAR = 1 << 21  # columns above which a row of long rows of B is gathered range by range
FAR_ROW = 1 << 16  # work from which a row counts as heavy there
LONG = 32  # length of rows of B, per range, from which finding the ranges pays
SHORT = 256  # multiply-adds per row, and
NARROW = 96  # entries of the result per row, up to which a list of positions beats the bitmap
SAMPLE, TABLE = 64, 1 << 13  # rows looked at to estimate the latter, those of up to half as many multiply-adds
KEEP = 1 << 25  # bytes of an array of scratch up to which a thread keeps it between products

_scratch = threading.local()


@dataclass(frozen=True, eq=False)
class Structure:
    """What one look at the factors tells.

    Attributes
    ----------
    work : (n,) ndarray of uint32
        Multiply-adds of each row, cut off at 2**32 - 1.
    total : int
        Multiply-adds of the product.
    runs : int
        Stretches of columns of B that share one word of 64 columns.
    stretch : float
        Mean number of multiply-adds per entry of A: the length of the rows of B that are used.
    """

    work: Array
    total: int
    runs: int
    stretch: float


@dataclass(frozen=True, eq=False)
class Chunks:
    """Rows cut into parts of about equal work; a very heavy row is cut by columns.

    Attributes
    ----------
    firsts, lasts : ndarray of uint64
        Rows of each chunk.
    part : ndarray of uint32
        Which part of the columns of its one row; 2**32 - 1 for whole rows.
    parts : int
        Parts of a heavy row.
    bounds : ndarray of uint64
        At most so many entries come out.
    longest : int
        Work of the heaviest row that is in one chunk.
    """

    firsts: Array
    lasts: Array
    part: Array
    parts: int
    bounds: Array
    longest: int

    @classmethod
    def cut(cls, structure: Structure, columns: int, threads: int, chunk: int = CHUNK, *, sort: bool = True) -> Chunks:
        """Cut for a number of threads; where rows may come unsorted, which are split does not depend on that number."""
        total = structure.total
        target = max(1 << 11, min(chunk, total // (16 * threads)))
        threads = threads if sort else 2
        parts = max(4 * threads, min(64, columns >> 17))
        # a row that would keep one thread busy while the others have nothing left is shared
        heavy = max(chunk, min(total // (2 * threads), 1 << 20)) if threads > 1 and columns <= WIDE else 1 << 32
        if FAR < columns <= WIDE and structure.stretch > LONG * (columns >> 19):
            # an array per column is beyond the caches: go through heavy rows by ranges, where rows of B are long enough
            parts, heavy = min(64, max(2, columns >> 19)), FAR_ROW
        most = 2 * (total // target) + structure.work.size // 65536 + parts * (total // heavy + 1) + 64
        firsts, lasts, bounds = (np.empty(most, np.uint64) for _ in range(3))
        part = np.empty(most, np.uint32)
        count, longest = looks.cut(
            structure.work, np.uint64(columns), np.uint64(target), np.uint64(heavy), np.uint64(parts),
            firsts, lasts, part, bounds,
        )  # fmt: skip
        n = int(count)
        return cls(firsts[:n], lasts[:n], part[:n], parts, bounds[:n], int(longest))

    @property
    def split(self) -> bool:
        """Whether a row was cut by columns."""
        return bool((self.part != NONE).any())


def _blocks(rows: int, entries: int) -> Array:
    count = BLOCKS if entries > SERIAL and rows > BLOCKS else 1
    return np.linspace(0, rows, count + 1).astype(np.uint64)


def _outside(name: str, limit: int) -> ValueError:
    return ValueError(f"{name} holds a column index outside 0 to {limit - 1}: build the sparse array again")


def survey(o: Operands, names: tuple[str, str] = ("A", "B")) -> Structure:
    """Count the multiply-adds of every row, and look at B's columns; refuse indices out of range."""
    rows = o.shape[0]
    work = np.empty(rows, np.uint32)
    starts = _blocks(rows, o.aj.size)
    totals = np.zeros(starts.size - 1, np.uint64)
    looks.row_work(starts, o.ap, o.aj, o.bp, np.uint64(o.inner), work, totals)
    if (totals == PENDING).any():
        raise _outside(names[0], o.inner)
    runs = 0
    if o.bj.size:
        starts = _blocks(o.bj.size, o.bj.size)
        most, steps = np.zeros((2, starts.size - 1), np.uint64)
        looks.inspect(starts, o.bj, most, steps)
        if int(most.max()) >= o.shape[1]:
            raise _outside(names[1], o.shape[1])
        runs = int(steps.sum())
    total = int(totals.sum())
    return Structure(work, total, runs, total / max(1, o.aj.size))


def _kind(o: Operands, structure: Structure, sort: bool) -> np.uint8:
    """Choose the accumulator; measured on stencils, meshes, random and power-law graphs."""
    columns = o.shape[1]
    if columns > WIDE:
        return kernels.HASH
    per_row = structure.total / max(1, o.shape[0])
    # runs may go on from one row of B to the next, where rows are short
    per_word = min(o.bj.size / max(1, structure.runs), o.bj.size / max(1, o.inner))
    rows = np.linspace(0, o.shape[0] - 1, min(SAMPLE, o.shape[0])).astype(np.uint64)
    products, entries = looks.sample(rows, structure.work, o.ap, o.aj, o.bp, o.bj, np.empty(TABLE, np.uint32))
    outcome = per_row * entries / products if products else per_row  # entries in a row of the result
    if sort:
        short = outcome <= NARROW // 2 and (per_word < 3 or outcome <= NARROW // 6)
        short = short or (outcome <= NARROW and per_word < 3 and columns > CACHED)
    else:
        short = per_word < 4 and (per_row <= SHORT or outcome <= NARROW)
    if short:
        return kernels.POSITIONS
    return kernels.BITMAP if per_word >= 1.3 else kernels.BITMAP_PLAIN


def slabs(threads: int, key: str, size: int, dtype: Any, *, zero: bool = False) -> Array:
    """Scratch of this thread of Python, kept between products: one row per thread of the kernels.

    What is asked for as `zero` must be handed back zero.
    """
    table: dict[Any, Array] = _scratch.__dict__.setdefault("table", {})
    held = table.get((key, np.dtype(dtype)))
    if held is None or held.shape[0] < threads or held.shape[1] < size:
        try:
            held = (np.zeros if zero else np.empty)((threads, max(1, size)), dtype)
        except MemoryError:
            raise MemoryError(
                f"no room for {threads} times {size} numbers of scratch ({key}): use fewer threads, or drop empty columns "
                "of B"
            ) from None
        if held.nbytes <= KEEP:
            table[key, np.dtype(dtype)] = held
    return held[:threads]


def release_scratch() -> None:
    """Give back the scratch that the calling thread keeps between sparse products, at most some tens of megabytes.

    Examples
    --------
    >>> release_scratch()
    """
    _scratch.__dict__.clear()


def multiply(o: Operands, structure: Structure, sort: bool, kind: np.uint8 | None = None) -> tuple[Array, Array, Array]:
    """Row pointers, columns and entries of the product, as unsigned arrays; `kind` forces an accumulator."""
    rows, columns = o.shape
    threads = get_threads()
    kind = _kind(o, structure, sort) if kind is None else kind
    chunks = Chunks.cut(structure, columns, threads, sort=sort)
    count, parts, bounds = chunks.bounds.size, chunks.parts, chunks.bounds
    room = int(bounds.max(initial=1))
    bound = int(bounds.sum())
    entry = o.bj.dtype
    index = np.uint32 if entry == np.uint32 and bound < 2**32 else np.uint64

    ends, words, masks = np.zeros(0, o.bp.dtype), np.zeros(0, np.uint32), np.zeros(0, np.uint64)
    if kind == kernels.BITMAP:
        ends = np.empty(o.inner, o.bp.dtype)
        words, masks = np.empty(o.bj.size, np.uint32), np.empty(o.bj.size, np.uint64)
        looks.compress(_blocks(o.inner, o.bj.size), o.bp, o.bj, ends, words, masks)

    by_bits = kind in (kernels.BITMAP, kernels.BITMAP_PLAIN)
    dense = columns if by_bits else columns // parts + 1 if chunks.split else 0
    upper = (dense >> 6) + 1
    acc = slabs(threads, "values", dense, o.dtype, zero=True)
    bits1 = slabs(threads, "bits", upper, np.uint64, zero=True)
    bits2 = slabs(threads, "upper bits", (upper >> 6) + 1, np.uint64, zero=True)
    places = columns if kind == kernels.POSITIONS else 1
    if kind == kernels.HASH:
        places = 2 * max(16, 1 << (2 * chunks.longest).bit_length())
    place = slabs(threads, "places", places, np.uint32)
    sorting = sort and not by_bits
    keys = slabs(threads, "keys", room + 16 if sorting else 1, entry)  # keys are compared 16 at a time
    values = slabs(threads, "unsorted", room if sorting else 1, o.dtype)
    widest = min(chunks.longest, columns) if sorting and chunks.longest > 96 else 1
    more_keys, more_values = slabs(threads, "more keys", widest, entry), slabs(threads, "more values", widest, o.dtype)
    order = slabs(threads, "order", 96, np.uint64)
    bits = np.uint64(max(1, (columns - 1).bit_length()))
    tally = slabs(threads, "tally", max(2048, 1 << (int(bits) + 2) // 3), np.uint64)  # three passes of a radix sort
    ordered = chunks.split and bool(looks.ascending(o.bp, o.bj))
    slots = 1 if threads == 1 else max(2, min(128, SLACK // room))
    sj = slabs(threads, "held columns", slots * room, entry)
    sx = slabs(threads, "held values", slots * room, o.dtype)
    held, slab, free = (np.empty((threads, slots), np.uint64) for _ in range(3))

    rp = np.zeros(rows + 1, index)
    capacity = min(bound, max(ROOM, room))
    cj, cx = np.empty(capacity, entry), np.empty(capacity, o.dtype)
    counts = np.full(count, PENDING, np.uint64)
    start = offset = 0
    while True:
        kernels.product(
            np.uint64(start), np.uint64(offset), np.uint64(capacity), kind, sort, ordered, np.uint64(parts),
            np.uint64(room), np.uint64(count), np.uint64(columns), chunks.firsts, chunks.lasts, chunks.part, bounds,
            np.array([start], np.uint64), counts, structure.work, o.ap, o.aj, o.ax, o.bp, o.bj, o.bx, ends, words, masks,
            acc, bits1, bits2, place, keys, values, more_keys, more_values, order, tally, bits, sj, sx, held, slab, free,
            rp, cj, cx,
        )  # fmt: skip
        done = counts != PENDING
        sizes = np.cumsum(counts[: count if done.all() else int(np.argmin(done))])
        placed = int(np.searchsorted(sizes, capacity, side="right"))
        if placed == count:
            break
        # make room by what the finished part says about the rest
        start, offset = placed, int(sizes[placed - 1]) if placed else 0
        guess = int(1.2 * offset * bound / max(1, int(bounds[:start].sum()))) + 4 * room
        capacity = min(bound, max(guess, capacity + capacity // 2))
        cj, cx = _grown(cj, offset, capacity), _grown(cx, offset, capacity)
        counts[start:] = PENDING
    entries = int(sizes[-1]) if count else 0
    # gives the untouched rest back to the system; nobody else holds these arrays yet
    cj.resize(entries, refcheck=False)
    cx.resize(entries, refcheck=False)
    return rp, cj, cx


def _grown(array: Array, used: int, size: int) -> Array:
    result = np.empty(size, array.dtype)
    result[:used] = array[:used]
    return result


def assembled(shape: tuple[int, int], rp: Array, cj: Array, cx: Array, sort: bool) -> csr_array:
    """CSR array of what the kernels made, with SciPy's signed indices."""
    if cj.dtype == np.uint32 and cx.size < 2**31:
        indices, indptr = cj.view(np.int32), rp.astype(np.uint32, copy=False).view(np.int32)
    else:
        indices, indptr = cj.astype(np.int64), rp.astype(np.int64)
    result = csr_array((cx, indices, indptr), shape=shape)
    if sort:
        result.has_canonical_format = True  # sorted, no duplicates
    return result


def spgemm(
    A: Any,
    B: Any,
    *,
    sort: bool = True,
    plan: SpGEMMPlan | None = None,
    mask: Any = None,
    semiring: str = "plus_times",
) -> csr_array:
    """Sparse product C = A B.

    Parameters
    ----------
    A, B : sparse array, matrix, operator with entries, or 2-D array; shapes (n, k) and (k, m)
        Real, complex or integer (32 or 64 bits) entries. Unsorted and duplicate column indices are allowed.
    sort : bool
        Whether the columns of a row ascend. Without, they stand in the order in which they came up, where that is faster.
    plan : SpGEMMPlan, optional
        Structure of this product, made before: only the arithmetic is left to do. Its patterns must be those of A and B.
    mask : sparse array, shape (n, m), optional
        Only entries that are stored in `mask` are computed; its values do not count.
    semiring : {"plus_times", "min_plus", "or_and", "plus_pair"}
        What stands for addition and multiplication; see `ritzkit.linalg.sparse_product.semirings`.

    Returns
    -------
    csr_array, shape (n, m)
        An entry for every pair of stored entries that meet, whatever their values: entries that cancel to zero stay.

    Raises
    ------
    ValueError
        If the shapes do not fit, an index is out of range, the plan is for other patterns, or `semiring` is unknown.
    TypeError
        If the entries are of a type that the kernels do not know.

    See Also
    --------
    SpGEMMPlan : many products on the same patterns.
    rap : the triple product of multigrid.

    Notes
    -----
    Costs 2 flops and about three memory accesses per multiply-add. Every entry is summed in the order of A's row, as SciPy
    sums it: the values equal SciPy's bit for bit, for any number of threads. SciPy drops entries that cancel to exactly
    zero; here they stay, so that the pattern of the result does not depend on values (``C.eliminate_zeros()`` drops them).

    Memory beyond the result: 12 bytes per entry of B for the compressed rows where these are used, and per thread 8 bytes
    per column (4 where rows are short) and up to 24 MB for chunks in hand; matrices above 2**24 columns use hash tables.
    Scratch stays with the thread for the next product; `release_scratch` gives it back.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> A = csr_array([[1.0, -1.0], [0.0, 2.0]])
    >>> B = csr_array([[3.0, 0.0], [3.0, 4.0]])
    >>> C = spgemm(A, B)
    >>> C.toarray()
    array([[ 0., -4.],
           [ 6.,  8.]])
    >>> C.nnz  # the zero is an entry
    4
    """
    if plan is not None:
        from .plan import SpGEMMPlan

        if not isinstance(plan, SpGEMMPlan):
            raise TypeError(f"plan is {type(plan).__name__}: wanted an SpGEMMPlan")
        if mask is not None or semiring != "plus_times":
            raise ValueError("plan goes with neither mask nor another semiring: leave one of them out")
        return plan(A, B)
    A, B = as_csr(A, "A"), as_csr(B, "B")
    if mask is not None or semiring != "plus_times":
        from .masked import masked_spgemm
        from .semirings import semiring_product

        if mask is not None:
            return masked_spgemm(A, B, mask, semiring=semiring, sort=sort)
        return semiring_product(A, B, semiring, sort=sort)
    o = operands(A, B)
    if max(o.aj.size, o.bj.size, o.shape[0]) <= SMALL and o.bj.dtype == np.uint32 and o.shape[1] <= SMALL_COLUMNS:
        rp, cj, cx, work = kernels.small_product(
            o.ap, o.aj, o.ax, o.bp, o.bj, o.bx, np.uint64(o.shape[1]), sort, np.uint64(SMALL)
        )
        if work <= SMALL:
            return assembled(o.shape, rp, cj, cx, sort)
        if work >= PENDING - np.uint64(1):
            raise _outside("A", o.inner) if work == PENDING else _outside("B", o.shape[1])
    return assembled(o.shape, *multiply(o, survey(o), sort), sort)
