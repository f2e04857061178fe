"""Many systems on one grid: solved together by ``solve_batch``, and one at a time by cg with the same tuned multigrid."""

from __future__ import annotations

import gc
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import timing
from ..base import Size, Terms
from ..grid_configurations import tuned
from .geometries import Geometry
from .growth import RTOL, true_residual

__all__ = ["measure"]


def measure(geometry: Geometry, shape: Size, count: int, repeats: int, terms: Terms) -> dict[str, Any]:
    """Solve `count` systems together and one by one, in turn; return the record."""
    from ....solvers import cg, precond, solve_batch

    seeds = np.random.SeedSequence([terms.seed, zlib.crc32(geometry.name.encode()), count]).spawn(count)
    family = geometry.family(shape)
    problems = [family.sample(np.random.default_rng(seed)) for seed in seeds]

    options = tuned(problems[0])

    def together() -> list[Any]:
        return list(solve_batch(problems, rtol=RTOL, **options))

    def one_by_one() -> list[Any]:
        return [cg(p.A, p.b, rtol=RTOL, M=precond.multigrid(p, **options)) for p in problems]

    calls: dict[str, Callable[[], list[Any]]] = {"together": together, "one by one": one_by_one}
    answers = {}
    for name, call in calls.items():  # compiles
        terms.say(f"{count} systems {name}, untimed")
        answers[name] = call()
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            terms.say(f"{count} systems {name}")
            gc.collect()
            timing.wake(call, timing.WARM_QUICK if terms.options.quick else timing.WARM_SECONDS)
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    residuals = {
        name: max(true_residual(p, r.x) for p, r in zip(problems, results, strict=True))
        for name, results in answers.items()
    }
    return {
        "kind": "batch",
        "geometry": geometry.name,
        "shape": shape,
        "count": count,
        "n": int(problems[0].A.shape[0]),
        "rtol": RTOL,
        "seconds": seconds,
        "residuals": residuals,
        "iterations": {name: [int(r.iterations) for r in results] for name, results in answers.items()},
        "solved": all(r.success for results in answers.values() for r in results)
        and max(residuals.values()) <= 1.01 * RTOL,
    }
