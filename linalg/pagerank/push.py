"""Pruned pushes of a batch of sources: one at a time in dense arrays, or all together by sparse products."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, vstack

from ..kernels import pagerank as kernels
from ..operators.matrix import index_view
from ..sparse_product import spgemm
from ..threads import get_threads
from .transitions import Transitions, in_threads
from .walk_index import WalkIndex, joined

__all__ = ["push_fused", "push_products"]

Array = npt.NDArray[Any]


# --- one source at a time -----------------------------------------------------------------------------------


def push_fused(
    chain: Transitions,
    sources: csr_array,
    index: WalkIndex | None,
    restart: float,
    threshold: float,
    rtol: float,
    maxiter: int,
    hold: bool,
    top: int | None,
) -> tuple[csr_array, Array, Array]:
    """Return answers, facts (see `kernels.pagerank.push_rows`) and sums of the answers, sources shared among threads."""
    n, batch = chain.size, sources.shape[0]
    kind = chain.rows[1].dtype
    source = (sources.indptr.astype(kind), sources.indices.astype(kind), np.ascontiguousarray(sources.data))
    if index is None:
        table = (np.zeros(1, dtype=kind), np.empty(0, dtype=kind), np.empty(0))
    else:
        table = (index_view(index.matrix.indptr), index_view(index.matrix.indices), index.matrix.data)
    lengths = np.zeros(batch, dtype=np.int64)
    facts, sums = np.zeros((batch, 6)), np.zeros(batch)
    scratch: queue.SimpleQueue[tuple[Array, ...]] = queue.SimpleQueue()
    size = max(1, -(-batch // (16 * get_threads())))

    def piece(first: int) -> tuple[Array, Array]:
        last = min(first + size, batch)
        try:
            room = scratch.get_nowait()
        except queue.Empty:
            room = (*(np.zeros(n) for _ in range(2)), np.empty(n), *(np.empty(n, dtype=kind) for _ in range(3)))
        indices, values = kernels.push_rows(
            first,
            last,
            *source,
            *chain.rows,
            *table,
            restart,
            threshold,
            rtol,
            maxiter,
            hold,
            *room,
            lengths,
            facts,
            sums,
        )
        scratch.put(room)
        return (indices, values) if top is None else _largest(indices, values, lengths[first:last], top)

    scores = joined(in_threads(piece, range(0, batch, size)), lengths, n)
    return scores, facts, sums


# --- all sources together -----------------------------------------------------------------------------------


def push_products(
    chain: Transitions,
    sources: csr_array,
    index: WalkIndex | None,
    restart: float,
    threshold: float,
    rtol: float,
    maxiter: int,
    hold: bool,
    top: int | None,
) -> tuple[csr_array, Array, Array]:
    """Return the same as `push_fused`, with one sparse product per step for all sources."""
    batch = sources.shape[0]
    facts = np.zeros((batch, 6))
    degree = np.diff(chain.matrix.indptr)
    frontier = sources
    answer: list[csr_array] = []
    weight = waiting = 0
    step = 0
    while True:
        owner = _owners(frontier)
        large = (frontier.data >= threshold) | (step == 0)
        moving = np.bincount(owner, frontier.data * large, batch)
        goes = (moving > rtol) & (step != maxiter)
        if not hold:
            facts[:, 0] += np.bincount(owner, frontier.data * ~large, batch)
        pushed = large & goes[owner]
        kept = ~pushed if hold else ~pushed & large
        rest = _select(frontier, kept)
        if not pushed.any():
            frontier = rest
            break
        part = _select(frontier, pushed)
        facts[:, 3] += goes
        facts[:, 4] += np.bincount(_owners(part), degree[part.indices], batch)
        facts[:, 5] += restart * np.bincount(_owners(part), part.data, batch)
        frontier = spgemm(part, chain.matrix)
        frontier.data *= 1 - restart
        if rest.nnz:
            frontier = csr_array(frontier + rest)
        part.data *= restart
        answer.append(part)
        waiting += part.nnz
        if waiting > 4 * weight:  # parts take at most a few times the room of their sum
            answer = [_sum(answer)]
            weight = waiting = answer[0].nnz
        step += 1
    owner = _owners(frontier)
    facts[:, 1] = np.bincount(owner, frontier.data, batch)
    facts[:, 2] = np.bincount(owner, frontier.data**2, batch)
    if index is not None:
        facts[:, 4] += np.bincount(owner, np.diff(index.matrix.indptr)[frontier.indices], batch)
        answer.append(spgemm(frontier, index.matrix))
    scores = _sum(answer) if answer else csr_array(sources.shape)
    sums = np.asarray(scores.sum(axis=1))
    if top is not None:
        lengths = np.diff(scores.indptr).astype(np.int64)
        scores = joined([_largest(scores.indices, scores.data, lengths, top)], lengths, chain.size)
    return scores, facts, sums


def _owners(matrix: csr_array) -> Array:
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _select(matrix: csr_array, chosen: Array) -> csr_array:
    """Keep the chosen entries, in their order."""
    ends = np.concatenate([[0], np.cumsum(chosen)])
    parts = (matrix.data[chosen], matrix.indices[chosen], ends[matrix.indptr].astype(matrix.indptr.dtype))
    return csr_array(parts, shape=matrix.shape)


def _sum(parts: list[csr_array]) -> csr_array:
    """Sum of sparse matrices, as the product of a row of identities with their stack."""
    batch = parts[0].shape[0]
    ones, ends = np.ones(batch * len(parts)), np.arange(batch + 1) * len(parts)
    places = np.arange(batch * len(parts)).reshape(len(parts), batch).T.ravel()
    return spgemm(csr_array((ones, places, ends), shape=(batch, batch * len(parts))), vstack(parts, format="csr"))


# --- the largest of each row --------------------------------------------------------------------------------


def _largest(indices: Array, values: Array, lengths: Array, top: int) -> tuple[Array, Array]:
    """Reduce each of some rows to its largest entries; `lengths` is updated."""
    keep = np.ones(values.size, dtype=bool)
    last = 0
    for i, length in enumerate(lengths.tolist()):
        first, last = last, last + length
        if length <= top:
            continue
        row = values[first:last]
        bar = np.partition(row, length - top)[length - top]
        above = row > bar
        level = np.flatnonzero(row == bar)[: top - np.count_nonzero(above)]
        above[level] = True
        keep[first:last] = above
        lengths[i] = top
    return indices[keep], values[keep]
