"""Personalised PageRank by pruned pushes, with and without an index of walks, against power iteration at the same error.

Each case of ours gives an error in the 1-norm (mean over the batch, against power iteration to 1e-10). Its opponents, our
own fused power iteration and SciPy's products with a dense block, run as many steps as reach that error.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base import SuiteOptions, Terms

__all__ = ["graphs", "measure"]

Scores = NDArray[np.float64]
RESTART = 0.15
TOP = 50
STEPS = 128  # more than any case needs: (1 - 0.15)**128 is 1e-9


def graphs(options: SuiteOptions) -> list[tuple[str, str, int, tuple[int, ...]]]:
    """Graphs as (name, where from, sources in the batch, walks per vertex)."""
    if options.quick:
        return [("R-MAT 2¹¹", "rmat-11", 64, (20,))]
    cases: list[tuple[str, str, int, tuple[int, ...]]] = [("R-MAT 2¹⁴", "rmat-14", 256, (20, 100))]
    folder = None if options.folder is None else Path(options.folder)
    for name, batch in (("ca-GrQc", 256), ("luxembourg", 64)):
        if folder is not None:
            cases += [(name, str(path), batch, (100,)) for path in sorted(folder.glob(f"{name}.mtx*"))[:1]]
    return cases


def _graph(where: str) -> Any:
    from scipy.sparse import csr_array

    from ....problems import load
    from .inputs import rmat

    graph = (
        rmat(int(where[5:]), np.random.default_rng(0))
        if where.startswith("rmat-")
        else csr_array(load(where).A.tocsr())
    )
    return abs(graph)


def _scipy_power(P: Any, sources: NDArray[np.intp], steps: int) -> Scores:
    from scipy.sparse import csr_array

    across = csr_array(P.T) * (1 - RESTART)
    x = np.zeros((P.shape[0], sources.size))
    x[sources, np.arange(sources.size)] = 1
    start = RESTART * x
    for _ in range(steps):
        x = across @ x
        x += start
    return np.asarray((x / x.sum(axis=0) if (P.sum(axis=1) == 0).any() else x).T)


def _precision(scores: Scores, truth: Scores) -> float:
    """Share of the true first 50 among ours; ties count for us."""
    share = []
    for row, mine in zip(truth, scores, strict=True):
        wanted = min(TOP, int(np.count_nonzero(row)))
        bar = np.partition(row, -wanted)[-wanted] * (1 - 1e-9)
        share.append(np.count_nonzero(row[np.argpartition(-mine, wanted - 1)[:wanted]] >= bar) / wanted)
    return float(np.mean(share))


def _fewest_steps(error_after: Callable[[int], float], wanted: float) -> int:
    low, high = 0, STEPS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if error_after(middle) <= wanted else (middle, high)
    return high


def measure(terms: Terms) -> dict[str, Any]:
    """Run all graphs; return the record."""
    rows: list[dict[str, Any]] = []
    for name, where, batch, walks in graphs(terms.options):
        terms.say(f"Personalised PageRank: {name}")
        rows += _rows(name, _graph(where), batch, walks, terms)
        terms.tick()
    return {"kind": "pagerank", "restart": RESTART, "rows": rows}


def _rows(name: str, graph: Any, batch: int, walks: tuple[int, ...], terms: Terms) -> list[dict[str, Any]]:
    from ....linalg import WalkIndex, pagerank_power, personalized_pagerank, transition_matrix

    P = transition_matrix(graph)
    sources = np.random.default_rng(terms.seed).choice(P.shape[0], batch, replace=False)
    truth = pagerank_power(P, sources, restart=RESTART, rtol=1e-10).scores
    errors: dict[int, float] = {}

    def wrong(scores: Scores) -> float:
        return float(np.abs(scores - truth).sum(axis=1).mean())

    def error_after(steps: int) -> float:
        if steps not in errors:
            errors[steps] = wrong(pagerank_power(P, sources, restart=RESTART, maxiter=steps).scores)
        return errors[steps]

    thresholds = (1e-2, 1e-3, 1e-4)
    cases: list[tuple[str, float, dict[str, Any]]] = [
        (f"pushes, {threshold:g}", 0.0, {"threshold": threshold}) for threshold in thresholds[1:]
    ]
    for count in walks:
        start = time.perf_counter()
        index = WalkIndex(P, walks=count, restart=RESTART, rng=terms.seed)
        build = time.perf_counter() - start
        cases += [
            (f"pushes, {threshold:g}, and {count} walks", build, {"threshold": threshold, "index": index})
            for threshold in thresholds
        ]
    rows = []
    for label, build, options in cases:

        def push(options: dict[str, Any] = options) -> Any:
            return personalized_pagerank(P, sources, restart=RESTART, **options).scores

        found = push().toarray()
        error = wrong(found)
        steps = _fewest_steps(error_after, error)
        methods: dict[str, Callable[[], Any]] = {
            label: push,
            f"power iteration, {steps} steps": functools.partial(
                pagerank_power, P, sources, restart=RESTART, maxiter=steps
            ),
            f"SciPy, {steps} steps": functools.partial(_scipy_power, P, sources, steps),
        }
        seconds: dict[str, list[float]] = {key: [] for key in methods}
        for _ in range(3 if terms.options.quick else 5):
            for key, call in methods.items():
                start = time.perf_counter()
                call()
                seconds[key].append(time.perf_counter() - start)
        peer = pagerank_power(P, sources, restart=RESTART, maxiter=steps).scores
        for key in methods:
            ours = key == label
            rows.append(
                {
                    "graph": name,
                    "n": int(P.shape[0]),
                    "nnz": int(P.nnz),
                    "batch": batch,
                    "method": key,
                    "against": label,
                    "build_seconds": build if ours else 0.0,
                    "seconds": float(np.median(seconds[key])),
                    "l1_error": error if ours else error_after(steps),
                    "precision_at_50": _precision(found if ours else peer, truth),
                }
            )
    return rows
