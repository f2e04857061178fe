"""Transition probabilities of random walks, and distributions to start from: made, checked, shared among threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse

from .. import threads
from ..kernels import pagerank as kernels
from ..operators.matrix import canonical_csr, check_indices, index_view

__all__ = ["Transitions", "checked_restart", "in_threads", "source_rows", "transition_matrix", "transitions"]

Array = npt.NDArray[Any]
T = TypeVar("T")
R = TypeVar("R")

TOLERANCE = 1e-9  # how far the sum of a distribution may be from one


def transition_matrix(graph: Any, *, dangling: Literal["source", "loop", "raise"] = "source") -> csr_array:
    """Probabilities of the moves of a random walker, in proportion to the weights of the edges.

    Parameters
    ----------
    graph : sparse array or matrix, or array_like, shape (n, n)
        Weights: entry (i, j) is the weight of the edge from i to j, finite and not negative. Duplicates add up. A
        NetworkX graph G comes in as ``networkx.to_scipy_sparse_array(G)``.
    dangling : {"source", "loop", "raise"}
        What the walker does in a vertex without outgoing weight. "source": returns to where it started; the row stays
        empty, which every function of this room takes to mean that. "loop": stays there. "raise": refuse such a graph.

    Returns
    -------
    csr_array, shape (n, n)
        float64, sorted; rows sum to one, or are empty.

    Raises
    ------
    ValueError
        If the graph is not square, has a negative or non-finite weight, or `dangling` refuses it.
    TypeError
        If the weights are not real numbers.

    Examples
    --------
    >>> transition_matrix([[0, 1, 3], [1, 0, 0], [0, 0, 0]]).toarray()
    array([[0.  , 0.25, 0.75],
           [1.  , 0.  , 0.  ],
           [0.  , 0.  , 0.  ]])
    >>> transition_matrix([[0, 1], [0, 0]], dangling="loop").toarray()
    array([[0., 1.],
           [0., 1.]])
    """
    if dangling not in ("source", "loop", "raise"):
        raise ValueError(f'dangling is {dangling!r}: wanted "source", "loop" or "raise"')
    matrix = _real_csr(graph, "graph")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"graph has shape {matrix.shape}: wanted a square matrix of weights, one row per vertex")
    check_indices(matrix, "graph")
    wrong = ~((matrix.data >= 0) & (matrix.data < np.inf))
    if wrong.any():
        k = int(np.argmax(wrong))
        row = int(np.searchsorted(matrix.indptr, k, side="right")) - 1
        raise ValueError(
            f"graph has the weight {matrix.data[k]} at ({row}, {matrix.indices[k]}): wanted finite weights, not negative"
        )
    matrix = matrix.copy()
    matrix.has_canonical_format = matrix.has_sorted_indices = False
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    with np.errstate(over="ignore"):
        weight = np.asarray(matrix.sum(axis=1))
    if not np.isfinite(weight).all():
        row = int(np.argmin(np.isfinite(weight)))
        raise ValueError(f"graph has weights in row {row} whose sum overflows: scale the weights down")
    lost = np.flatnonzero(weight == 0)
    if lost.size and dangling == "raise":
        raise ValueError(
            f"graph has {lost.size} vertices without outgoing weight, the first is {lost[0]}: "
            'pass dangling="source" or dangling="loop"'
        )
    matrix.data /= np.repeat(weight, np.diff(matrix.indptr))
    matrix.data /= np.repeat(np.asarray(matrix.sum(axis=1)), np.diff(matrix.indptr))  # weights may be subnormal
    if lost.size and dangling == "loop":
        matrix = csr_array(matrix + csr_array((np.ones(lost.size), (lost, lost)), shape=matrix.shape))
        matrix.sort_indices()
    return matrix


@dataclass(frozen=True)
class Transitions:
    """A checked transition matrix, ready for the kernels.

    Attributes
    ----------
    matrix : csr_array
        float64; order and duplicates as given.
    rows : tuple of ndarray
        Row pointers and indices as unsigned views, probabilities.
    empty, uniform : bool
        Whether a row is empty; whether the entries of every row are equal.
    fingerprint : int
        64 bits that depend on the size and on every index and probability, not on the order of a row.
    """

    matrix: csr_array
    rows: tuple[Array, Array, Array]
    empty: bool
    uniform: bool
    fingerprint: int

    @property
    def size(self) -> int:
        """Number of vertices."""
        return int(self.matrix.shape[0])


def transitions(P: Any) -> Transitions:
    """Check a transition matrix, in one pass over it."""
    if not issparse(P):
        raise TypeError(f"P is a {type(P).__name__}: wanted a sparse transition matrix; see transition_matrix")
    matrix = _real_csr(P, "P")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise ValueError(f"P has shape {matrix.shape}: wanted a square matrix, one row per vertex")
    n = matrix.shape[0]
    indptr, indices = matrix.indptr, matrix.indices
    if indptr.size != n + 1 or matrix.data.size != indices.size or indices.dtype.itemsize > 4:
        check_indices(matrix, "P")
    narrow = max(indices.size, n) < 2**31
    kind = np.int32 if narrow else np.int64
    indptr, indices = index_view(indptr.astype(kind, copy=False)), index_view(indices.astype(kind, copy=False))
    data = np.ascontiguousarray(matrix.data)
    code, row, empty, uniform, zeros, mark = kernels.check_transitions(
        indptr, indices, data, data.view(np.uint64), n, TOLERANCE
    )
    if code in (kernels.BAD_POINTER, kernels.BAD_INDEX):
        check_indices(matrix, "P")
    if code == kernels.BAD_VALUE:
        raise ValueError(
            f"P has an entry in row {row} that is negative or not finite: wanted probabilities; "
            "transition_matrix makes them from weights"
        )
    if code == kernels.BAD_SUM:
        total = float(data[indptr[row] : indptr[row + 1]].sum())
        raise ValueError(
            f"P has row {row} that sums to {total:.12g}: wanted 1 (or an empty row, from where the walker returns to "
            "its source); transition_matrix makes such a matrix from weights"
        )
    if zeros:  # walks would take them for edges
        matrix = matrix.copy()
        matrix.eliminate_zeros()
        return transitions(matrix)
    return Transitions(matrix, (indptr, indices, data), bool(empty), bool(uniform), int(mark))


def source_rows(sources: Any, n: int) -> csr_array:
    """Bring sources to a sparse matrix of one distribution per row."""
    if issparse(sources) or np.ndim(sources) == 2:
        matrix = _real_csr(sources, "sources")
        if matrix.ndim != 2 or matrix.shape[1] != n:
            raise ValueError(f"sources has shape {matrix.shape}: wanted (batch, {n}), one distribution per row")
        if matrix.shape[0] == 0:
            raise ValueError("sources is empty: wanted at least one row")
        check_indices(matrix, "sources")
        matrix = canonical_csr(matrix)
        if not ((matrix.data >= 0) & (matrix.data < np.inf)).all():
            raise ValueError("sources has an entry that is negative or not finite: wanted distributions")
        total = np.asarray(matrix.sum(axis=1))
        if (abs(total - 1) > TOLERANCE).any():
            row = int(np.argmax(abs(total - 1) > TOLERANCE))
            raise ValueError(
                f"sources has row {row} that sums to {total[row]:.12g}: wanted distributions that sum to 1; divide "
                "each row by its sum"
            )
        return matrix
    vertices = np.atleast_1d(np.asarray(sources))
    if vertices.ndim != 1:
        raise ValueError(f"sources has {vertices.ndim} axes: wanted vertices, or a matrix of one distribution per row")
    if vertices.size == 0:
        raise ValueError("sources is empty: wanted at least one vertex")
    if vertices.dtype.kind not in "iu":
        raise TypeError(
            f"sources has dtype {vertices.dtype}: wanted vertex numbers, or a matrix of one distribution per row "
            "(a single one as shape (1, n))"
        )
    if vertices.min() < 0 or vertices.max() >= n:
        worst = vertices.min() if vertices.min() < 0 else vertices.max()
        raise ValueError(f"sources holds vertex {worst}: wanted 0 to {n - 1}")
    kind = np.int32 if n < 2**31 else np.int64
    batch = vertices.size
    parts = (np.ones(batch), vertices.astype(kind), np.arange(batch + 1, dtype=kind))
    return csr_array(parts, shape=(batch, n))


def checked_restart(restart: float) -> float:
    """Return a restart probability strictly between 0 and 1, or refuse it."""
    if isinstance(restart, bool) or not isinstance(restart, (float, int, np.floating, np.integer)):
        raise TypeError(f"restart is {restart!r}: wanted a number between 0 and 1")
    if not 0 < restart < 1:
        raise ValueError(f"restart is {restart!r}: wanted a probability strictly between 0 and 1, usually 0.15")
    return float(restart)


def in_threads(work: Callable[[T], R], pieces: Iterable[T]) -> list[R]:
    """Do pieces of work that give up the interpreter lock, in as many threads as the kernels use; results in order."""
    todo = list(pieces)
    workers = min(threads.get_threads(), len(todo), os.cpu_count() or 1)
    if workers <= 1:
        return [work(piece) for piece in todo]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, todo))


def _real_csr(matrix: Any, name: str) -> csr_array:
    """Return a float64 CSR array that shares what it can."""
    if not issparse(matrix):
        matrix = np.asarray(matrix)
        if matrix.ndim != 2:
            raise ValueError(f"{name} has {matrix.ndim} axes: wanted a matrix (two axes)")
    if np.dtype(matrix.dtype).kind not in "biuf":
        raise TypeError(f"{name} has dtype {matrix.dtype}: wanted real numbers")
    return cast(csr_array, csr_array(matrix).astype(np.float64, copy=False))
