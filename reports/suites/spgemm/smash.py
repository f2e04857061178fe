"""CPU analogues of the three variants of SMASH, so that its ladder can be climbed step by step; a benchmark, not a library.

All three form the product row by row and merge partial products in a hash table while they are made, window by window: a
window is a run of rows whose multiply-adds fill at most half the table. All deliver rows with sorted columns.

``shared_atomic`` (V1)
    One table for all threads, pairs of tag and value side by side. The low-order bits of the tag (row of the window times
    columns, plus column) are the place. A place is claimed by compare-and-swap, a value added by an atomic addition. Each
    thread has an equal number of the window's rows. What comes out of the table is in no order: every row is sorted.
``shared_tokens`` (V2)
    The same table with the same atomics, but threads draw blocks of rows dynamically, and the high-order bits of the
    column are the place, counted from the row's first column inside a stretch of the table as long as twice the row's
    bound. So the table is nearly in order, and an insertion sort finishes each row in little more than one pass.
``private_fragments`` (V3)
    Every thread has a table of its own, so that no atomics are left but the one that draws tokens, and the table is cut
    in a fragment of tags and one of values, which are streamed out row by row.

What the rows of C need is bounded by the multiply-adds, so index and value arrays have that length; only what is written
becomes resident. V3 writes each block where its bound begins and closes the gaps in a last pass.

Departures: the thesis runs on a simulated accelerator with scratchpads, atomics at the memory and copy engines. Here a
table of a megabyte stands for the scratchpad and the caches for all the rest. Its kernels serve sparse, scattered graphs;
the analogues count columns from the first of a row, or meshes would all fall in one place. A row has one owner in
every variant, so the additions are those of the row-wise product in its own order and the values are SciPy's to the bit;
the atomics of V1 and V2 are the price of a shared table, not of shared sums.

References
----------
K. Shivdikar, "SMASH: Sparse Matrix Atomic Scratchpad Hashing", MSc thesis, Northeastern University, 2021,
arXiv:2105.14156. Its factor of 9.4 was measured on a simulated accelerator (Intel PIUMA) between variants mapped to that
accelerator; it says nothing about CPU libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from . import smash_kernels as kernels

__all__ = ["VARIANTS", "private_fragments", "shared_atomic", "shared_tokens"]

PLACES = 1 << 16  # of a shared table: 16 bytes each make a megabyte, the size of a second-level cache
BLOCK = 1 << 13  # multiply-adds of a block of rows that a thread with its own table draws at a time


def _prepare(A: csr_array, B: csr_array) -> tuple[tuple[Any, ...], Any, Any]:
    """Return the arrays of A and B, prefix sums of what each row of C can hold at most, and the largest of these."""
    # unsigned indices spare the test for negative ones at every access
    factors = tuple(
        part for M in (A, B) for part in (M.indptr.view(np.uint32), M.indices.view(np.uint32), M.data)
    )  # fmt: skip
    products = np.zeros(A.nnz + 1, dtype=np.int64)
    np.cumsum(np.diff(B.indptr)[A.indices], out=products[1:])
    rows = np.minimum(np.diff(products[A.indptr]), B.shape[1])
    bounds = np.zeros(A.shape[0] + 1, dtype=np.int64)
    np.cumsum(rows, out=bounds[1:])
    return factors, bounds, int(rows.max(initial=1))


def _table(largest: int) -> Any:
    """Return an empty shared table in which the longest row fills at most half."""
    places = max(PLACES, 1 << (2 * largest - 1).bit_length())
    table = np.zeros(2 * places, dtype=np.int64)
    table[::2] = -1
    return table


def _result(A: csr_array, B: csr_array, counts: Any, columns: Any, values: Any) -> csr_array:
    nnz = int(counts[-1])
    C = csr_array((A.shape[0], B.shape[1]), dtype=np.float64)
    C.indptr = counts.astype(np.int32) if nnz < 2**31 else counts
    C.indices, C.data = columns[:nnz], values[:nnz]
    return C


def _shared(A: csr_array, B: csr_array, threads: int, steps: tuple[int, ...]) -> csr_array:
    factors, bounds, largest = _prepare(A, B)
    table = _table(largest)
    counts, cursors = np.zeros(A.shape[0] + 1, dtype=np.int64), np.zeros(A.shape[0], dtype=np.int64)
    C = (np.empty(bounds[-1], dtype=np.int32), np.empty(bounds[-1]))
    cuts = kernels.windows(bounds, table.size // 4)
    tags, sums = np.empty((0, 0), dtype=np.int32), np.empty((0, 0))
    tokens = np.zeros(1, dtype=np.int64)
    kernels.shared(
        steps, threads, factors, B.shape[1], table, tags, sums, cuts, bounds, counts, cursors, tokens, C
    )  # fmt: skip
    return _result(A, B, counts, *C)


def shared_atomic(A: csr_array, B: csr_array, threads: int) -> csr_array:
    """Multiply with one shared table, low-order bits, static rows (V1).

    Parameters
    ----------
    A, B : csr_array of float64
        Factors with sorted, unique columns and int32 indices.
    threads : int
        Number of workers.

    Returns
    -------
    csr_array
        The product, columns sorted, cancelled entries kept.
    """
    return _shared(A, B, threads, (kernels.HASH_LOW, kernels.WRITE_ALL, kernels.SORT))


def shared_tokens(A: csr_array, B: csr_array, threads: int) -> csr_array:
    """Multiply with one shared table, high-order bits, rows drawn as tokens (V2); see `shared_atomic`."""
    return _shared(A, B, threads, (kernels.HASH_HIGH, kernels.WRITE_ROWS, kernels.FINISH))


def private_fragments(A: csr_array, B: csr_array, threads: int) -> csr_array:
    """Multiply with a table of tags and one of values for every thread (V3); see `shared_atomic`."""
    factors, bounds, largest = _prepare(A, B)
    size = 1 << (2 * largest - 1).bit_length()
    tags, sums = np.full((threads, size), -1, dtype=np.int32), np.empty((threads, size))
    counts, cursors = np.zeros(A.shape[0] + 1, dtype=np.int64), np.zeros(0, dtype=np.int64)
    C = (np.empty(bounds[-1], dtype=np.int32), np.empty(bounds[-1]))
    cuts = kernels.windows(bounds, BLOCK)
    table, tokens = np.empty(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
    state = (B.shape[1], 0, A.shape[0], table, tags, sums, cuts, bounds, counts, cursors, tokens)
    kernels.region(kernels.STREAM, threads, factors, *state, C, C)
    np.cumsum(counts, out=counts)
    packed = (np.empty(counts[-1], dtype=np.int32), np.empty(counts[-1]))
    kernels.region(kernels.PACK, threads, factors, *state, C, packed)
    return _result(A, B, counts, *packed)


VARIANTS: dict[str, Callable[[csr_array, csr_array, int], csr_array]] = {
    "smash-v1": shared_atomic,
    "smash-v2": shared_tokens,
    "smash-v3": private_fragments,
}
"""The variants by the name of their column."""
