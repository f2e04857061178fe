"""Iterations, seconds and memory of multigrid by size and geometry; on the empty box beside the transform solver.

One record per geometry and size. Each variant is set up and runs cg to 1e-8; the iterations to 1e-4 and 1e-6 are read off
its history. The residual is recomputed from the answer with the operator's own product in float64, because the matrix of
the largest sizes would take more memory than everything else together. On the empty box, where times are compared, the
repeats are interleaved and medians count; elsewhere one run says the iterations. Untimed calls come first (see `timing`).

Variants: ``tuned`` is the shipped setting of the geometry's family, ``default`` what multigrid does where nobody says
anything (W(2,2)), ``V(1,1)+`` one sweep before and after on the finest level, two on the others and in 3-D one more beside
obstacles (the preset ``v11``), ``V(1,1)`` the setting without any tuning: V cycle, one red-black Gauss-Seidel
sweep before and one after on every level.
"""

from __future__ import annotations

import functools
import gc
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...summary import TARGETS
from .. import timing
from ..base import Size, Terms
from ..grid_configurations import UNTUNED, tuned
from .geometries import Geometry

__all__ = ["RTOL", "VARIANTS", "bytes_held", "measure", "true_residual"]

RTOL = 1e-8
VARIANTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "tuned": tuned,
    "default": lambda problem: {},
    "V(1,1)+": lambda problem: {"preset": "v11"},
    "V(1,1)": lambda problem: UNTUNED,
}
"""What gives the options of `ritzkit.solvers.precond.multigrid` for a problem, by the name of the variant."""

MOST_ITERATIONS = 400


@dataclass
class _Answer:
    x: Any
    info: int
    outcome: str
    iterations: int
    reached: dict[str, int | None]
    seconds: tuple[float, float]
    memory: int
    setting: str = ""


def true_residual(problem: Any, x: Any) -> float:
    """Relative residual of an answer, in float64 with the problem's own operator."""
    with np.errstate(all="ignore"):
        return float(np.linalg.norm(problem.b - problem.A @ x) / np.linalg.norm(problem.b))


def bytes_held(thing: Any) -> int:
    """Bytes of all arrays that an operator or a preconditioner holds, each counted once."""
    seen: dict[int, int] = {}

    def visit(item: Any, depth: int) -> None:
        if isinstance(item, np.ndarray):
            base = item
            while isinstance(base.base, np.ndarray):
                base = base.base
            seen[id(base)] = base.nbytes
        elif isinstance(item, dict):
            for value in item.values():
                visit(value, depth + 1)
        elif isinstance(item, list | tuple):
            for value in item:
                visit(value, depth + 1)
        elif depth < 6 and hasattr(item, "__dict__") and not isinstance(item, type):
            visit(vars(item), depth + 1)

    visit(thing, 0)
    return sum(seen.values())


def _multigrid(problem: Any, variant: str) -> _Answer:
    from ....solvers import cg, precond

    start = time.perf_counter()
    M = precond.multigrid(problem, **VARIANTS[variant](problem))
    middle = time.perf_counter()
    result = cg(problem.A, problem.b, rtol=RTOL, M=M, maxiter=MOST_ITERATIONS)
    end = time.perf_counter()
    below = {t: np.flatnonzero(np.asarray(result.residuals) <= float(t)) for t in TARGETS}
    reached = {t: int(at[0]) + 1 if at.size else None for t, at in below.items()}
    if result.success:
        reached[TARGETS[-1]] = result.iterations
    seconds = (middle - start, end - middle)
    return _Answer(
        result.x,
        int(result.info),
        result.outcome.name,
        result.iterations,
        reached,
        seconds,
        M.memory_bytes,
        str(M.settings),
    )


def _transforms(problem: Any) -> _Answer:
    from ....solvers import precond

    start = time.perf_counter()
    M = precond.fast_poisson(problem)
    middle = time.perf_counter()
    x = M @ problem.b
    end = time.perf_counter()
    reached: dict[str, int | None] = dict.fromkeys(TARGETS, 1)
    return _Answer(x, 0, "CONVERGED", 1, reached, (middle - start, end - middle), M.memory_bytes)


def measure(geometry: Geometry, shape: Size, variants: tuple[str, ...], repeats: int, terms: Terms) -> dict[str, Any]:
    """Solve one geometry at one size with every variant; return the record."""
    rng = np.random.default_rng([terms.seed, zlib.crc32(geometry.name.encode()), len(shape)])
    terms.say(f"{geometry.label}: drawing")
    problem = geometry.family(shape).sample(rng)
    runs: dict[str, Callable[[], _Answer]] = {name: functools.partial(_multigrid, problem, name) for name in variants}
    if geometry.name == "box":
        runs["transforms"] = functools.partial(_transforms, problem)
    rows: dict[str, dict[str, Any]] = {}
    last: dict[str, float] = {}
    for repeat in range(repeats):
        for name, run in runs.items():
            if name in rows and not rows[name]["solved"]:
                continue
            terms.say(f"{geometry.label}: {name}")
            gc.collect()
            try:
                if last.get(name, 0.0) < timing.LONG:  # the first call may compile
                    timing.wake(run, timing.WARM_QUICK if terms.options.quick else timing.WARM_SECONDS)
                answer = run()
            except (ArithmeticError, ValueError, TypeError, RuntimeError, MemoryError, np.linalg.LinAlgError) as error:
                rows[name] = {"solved": False, "outcome": "ERROR", "text": " ".join(str(error).split())}
                continue
            last[name] = sum(answer.seconds)
            if repeat == 0:
                residual = true_residual(problem, answer.x)
                rows[name] = {
                    "solved": bool(answer.info == 0 and residual <= 1.01 * RTOL),
                    "outcome": answer.outcome,
                    "iterations": answer.iterations,
                    "reached": answer.reached,
                    "residual": residual,
                    "memory_bytes": answer.memory,
                    "setting": answer.setting,
                    "setup_seconds": [],
                    "solve_seconds": [],
                }
            rows[name]["setup_seconds"].append(answer.seconds[0])
            rows[name]["solve_seconds"].append(answer.seconds[1])
    null = problem.A.nullspace
    return {
        "kind": "growth",
        "geometry": geometry.name,
        "shape": shape,
        "n": int(problem.A.shape[0]),
        "singular_components": 0 if null is None else int(null.shape[1]),
        "operator_bytes": bytes_held(problem.A),
        "rtol": RTOL,
        "variants": rows,
    }
