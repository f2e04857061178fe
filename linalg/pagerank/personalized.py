"""Personalised PageRank by pruned pushes and an index: the call, its checks and its error bounds."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from .push import push_fused, push_products
from .result import PageRankResult, fraction, whole
from .transitions import Transitions, checked_restart, source_rows, transitions
from .walk_index import WalkIndex

__all__ = ["personalized_pagerank"]


def personalized_pagerank(
    P: Any,
    sources: Any,
    *,
    restart: float = 0.15,
    threshold: float = 1e-6,
    index: WalkIndex | None = None,
    maxiter: int | None = None,
    rtol: float = 1e-10,
    small: Literal["drop", "hold"] | None = None,
    top: int | None = None,
    method: Literal["fused", "spgemm"] = "fused",
) -> PageRankResult:
    """Personalised PageRank of a batch of sources by pruned sparse pushes.

    Parameters
    ----------
    P : sparse array or matrix, shape (n, n)
        Transition probabilities, see `transition_matrix`: rows sum to one, or are empty (back to the source).
    sources : int, sequence of int, or matrix of shape (batch, n)
        Vertices to start from, or distributions: rows of a dense or sparse matrix that sum to one.
    restart : float
        Probability to stop before every move, between 0 and 1. NetworkX's alpha is ``1 - restart``.
    threshold : float
        Entries of the frontier below it are not pushed. It counts mass, of which every source has 1 in all; the first push
        takes every entry of the source.
    index : WalkIndex, optional
        Stands for the exact answers of the vertices where mass is left. It must come from the same P and `restart`.
    maxiter : int, optional
        Most pushes of a row; None means until `threshold` or `rtol` stops it. 0 leaves everything to the index.
    rtol : float
        A row is finished once the mass of entries that could be pushed is at most this.
    small : {"drop", "hold"}, optional
        What happens to entries below the threshold. "drop": they are lost (and counted). "hold": they wait, are pushed
        once enough has come together, and meet the index in the end. Default: "hold" with an index, else "drop".
    top : int, optional
        Return only the so many largest scores of each row (of equal ones, those of the smallest vertices).
    method : {"fused", "spgemm"}
        "fused": each source is pushed to its end in arrays of n numbers, sources shared among threads; row i is bitwise
        the same in any batch and for any number of threads. "spgemm": all sources step together, by sparse products of
        the frontiers with P. Both agree to rounding; "fused" was 2 to 13 times faster on the graphs measured.

    Returns
    -------
    PageRankResult
        `scores` is a csr_array of shape (batch, n), sorted. Without an index its entries are lower bounds (if P has no
        empty row), and a row sums to one minus what was dropped and remains.

    Raises
    ------
    ValueError
        If a matrix is not stochastic, a source does not exist or does not sum to one, an option is out of range, or the
        index belongs to another P or restart.
    TypeError
        If P is not sparse, or numbers are not real.

    Notes
    -----
    A push step of a source costs the entries of P in the rows of its frontier, and with threshold e at most ``1 / e``
    vertices are in a frontier. "fused" needs 36 n bytes per thread beside the answers.

    With ``small="drop"`` a row takes at most ``log(e) / log(1 - c) + 1`` steps. Dropping an entry of mass x costs at most x
    of the answer's 1-norm, and exactly x where P has no empty row; that makes the bound.

    See Also
    --------
    pagerank_power : faster where answers are dense.

    Examples
    --------
    >>> from ritzkit.linalg import transition_matrix
    >>> P = transition_matrix([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> answer = personalized_pagerank(P, [0, 2], threshold=0.01)
    >>> answer.scores.toarray().round(2)
    array([[0.34, 0.45, 0.19],
           [0.19, 0.45, 0.34]])
    >>> answer.error_bound.round(2)
    array([0.01, 0.01])
    """
    chain = transitions(P)
    restart = checked_restart(restart)
    rows = source_rows(sources, chain.size)
    threshold, rtol = fraction("threshold", threshold), fraction("rtol", rtol)
    if maxiter is not None:
        whole("maxiter", maxiter, 0)
    if top is not None:
        whole("top", top, 1)
    if small not in (None, "drop", "hold"):
        raise ValueError(f'small is {small!r}: wanted "drop", "hold" or None')
    if method not in ("fused", "spgemm"):
        raise ValueError(f'method is {method!r}: wanted "fused" or "spgemm"')
    if threshold == 0 and rtol == 0 and maxiter is None:
        raise ValueError("threshold and rtol are 0 and maxiter is None: wanted one of them to stop the pushes")
    if index is not None:
        _check_index(index, chain, restart)
    hold = small == "hold" or (small is None and index is not None)
    push = push_fused if method == "fused" else push_products
    most = -1 if maxiter is None else int(maxiter)
    scores, facts, sums = push(chain, rows, index, restart, threshold, rtol, most, hold, top)
    dropped, remaining, squares, steps, work, pushed = facts.T
    bound, spread = dropped + remaining, np.zeros_like(dropped)
    if index is not None:
        bound = bound + np.maximum(sums - pushed, 0)  # mass that the index put somewhere, wherever it belongs
        spread = np.sqrt((2 - restart) / index.walks * squares)
    if chain.empty:
        scale = 1 / np.where(sums > 0, sums, 1.0)
        scores.data *= np.repeat(scale, np.diff(scores.indptr))
        most_apart = 2 * bound / np.where(sums > 0, sums + bound if index is None else sums, 1.0)
        bound = np.where(sums > 0, np.minimum(most_apart, 2.0), 1.0)
        spread = spread * scale
    return PageRankResult(scores, bound, dropped, remaining, spread, steps.astype(np.int64), work.astype(np.int64))


def _check_index(index: WalkIndex, chain: Transitions, restart: float) -> None:
    if not isinstance(index, WalkIndex):
        raise TypeError(f"index is a {type(index).__name__}: wanted a WalkIndex")
    if index.shape[0] != chain.size:
        raise ValueError(
            f"index has {index.shape[0]} vertices and P has {chain.size}: build it again, WalkIndex(P, restart={restart})"
        )
    if index.restart != restart:
        raise ValueError(
            f"index was built for restart {index.restart} and restart is {restart}: pass restart={index.restart}, or "
            "build it again"
        )
    if index.fingerprint != chain.fingerprint:
        raise ValueError("index was built for another P of the same size: build it again, WalkIndex(P)")
