"""One chunk of a dataset: draw its samples, order them, solve them, check each true residual, write one shard.

A chunk is the unit of work. It depends on the configuration and its own range of indices alone, and runs on one thread,
so its bytes are the same on every worker and in every run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import vectors
from ...linalg.threads import thread_limit
from ..base import Family, Problem
from .arms import SystemSolver, arm
from .content import Content, label
from .ordering import Ordering, order_samples, problem_features
from .storage import write_shard

__all__ = ["Job", "draw", "run", "shard_path", "true_residual"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Job:
    """What a worker needs to make one chunk: samples `start` to `stop` - 1."""

    number: int
    start: int
    stop: int
    family: Family
    seed: int
    rtol: float
    solver: str | Callable[[float], SystemSolver]
    order: str
    folder: str


def draw(family: Family, seed: int, index: int) -> Problem:
    """Sample `index` of the stream `seed`; no other sample has an influence on it.

    Examples
    --------
    >>> from ritzkit.problems import Poisson
    >>> one, other = (draw(Poisson((4, 4)), seed=7, index=i).b[0] for i in (0, 1))
    >>> bool(one != other)
    True
    """
    child = np.random.SeedSequence(seed, spawn_key=(index,))  # the child that spawn() gives at this place
    return family.sample(np.random.default_rng(child))


def shard_path(folder: Path, number: int) -> Path:
    """Where the shard of a chunk lies."""
    return folder / f"chunk-{number:06d}.shard"


def true_residual(problem: Problem, x: Array) -> float:
    """``norm(b - A x) / norm(b)``, infinite where x is not finite."""
    if not np.isfinite(x).all():
        return float("inf")
    size = float(vectors.norm(problem.b))
    rest = float(vectors.norm(problem.b - problem.A.matvec(x)))
    return rest / size if size > 0 else rest


def run(job: Job) -> dict[str, Any]:
    """Make a chunk and write its shard.

    Returns
    -------
    dict
        ``chunk``, ``samples``, ``failed``, and the seconds of drawing, solving and writing.
    """
    begin = time.perf_counter()
    with thread_limit(1):
        problems = [draw(job.family, job.seed, index) for index in range(job.start, job.stop)]
        contents = [Content.of(problem, job.family) for problem in problems]
        _check(job, problems, contents)
        drawn = time.perf_counter()
        ordering = _order(job, problems)
        results = arm(job.solver)(problems, ordering, job.rtol)
        residuals = np.array([true_residual(p, np.asarray(r.x)) for p, r in zip(problems, results, strict=True)])
    solved = time.perf_counter()
    good = residuals <= job.rtol
    labels = [
        label(problem, np.asarray(result.x) if fine else np.full(problem.b.shape, np.nan, problem.b.dtype))
        for problem, result, fine in zip(problems, results, good.tolist(), strict=True)
    ]
    names = sorted(contents[0].scalars)
    arrays = {
        "x": np.stack([content.x for content in contents]),
        "y": np.stack(labels),
        "scalars": _table(contents, names),
        "residuals": np.minimum(residuals, np.finfo(float).max),
        "iterations": np.array([result.iterations for result in results], dtype=np.int64),
        "good": good,
        "outcomes": np.array([result.outcome.label for result in results], dtype="U64"),
    }
    if problems[0].mesh is not None:
        arrays |= {"points": problems[0].mesh.points, "cells": problems[0].mesh.cells}
    write_shard(shard_path(Path(job.folder), job.number), arrays)
    return {
        "chunk": job.number,
        "samples": job.stop - job.start,
        "failed": int((~good).sum()),
        "draw_seconds": drawn - begin,
        "solve_seconds": solved - drawn,
        "write_seconds": time.perf_counter() - solved,
    }


def _table(contents: list[Content], names: list[str]) -> Array:
    rows = [[content.scalars[name] for name in names] for content in contents]
    return np.array(rows, dtype=np.float64).reshape(len(contents), len(names))


def _order(job: Job, problems: list[Problem]) -> Ordering:
    if job.order in ("none", "random"):
        blank = np.zeros((len(problems), 1))
        return order_samples(blank, job.order, rng=np.random.SeedSequence(job.seed, spawn_key=(job.start, 1)))
    return order_samples(np.stack([problem_features(p, job.family) for p in problems]), job.order)


def _check(job: Job, problems: list[Problem], contents: list[Content]) -> None:
    """Refuse samples that do not fit into one array."""
    first, mesh = contents[0], problems[0].mesh
    for index, (problem, content) in enumerate(zip(problems, contents, strict=True), job.start):
        same = content.x.shape == first.x.shape and content.inputs == first.inputs
        if same and mesh is not None and problem.mesh is not None:
            points = problem.mesh.points
            same = points is mesh.points or np.array_equal(points, mesh.points)
        if not same or sorted(content.scalars) != sorted(first.scalars):
            raise ValueError(
                f"family {job.family.family_name}: sample {index} has another mesh or shape than sample "
                f"{job.start}; a dataset needs one for all: take a family on a grid, or slotted-block"
            )
