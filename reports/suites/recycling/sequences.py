"""All arms on one sequence, in turn block by block, end to end; one record.

What is on the clock of an arm: putting the systems in its order (features included), assembly of a matrix from a stencil,
set-up, solve, and the check of the true residual. Drawing a system is the same for all and timed once. Each arm runs on one
thread, as a worker of ``generate`` does; independent sequences fill the other cores.

An arm that has used up its share of time stops after the current system (what is judged, ``auto``, has a larger share, so
that it sees the whole sequence), and one whose first systems all fail stops, too; the record holds how many it solved.
Failures are listed and have no time.
"""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..base import Terms
from .arms import ARMS, MOST_PRODUCTS, Arm, applies, missing
from .families import BLOCK, Stream

__all__ = ["RTOL", "arms_of", "fresh", "measure"]

RTOL = 1e-6
LEAST, HOPELESS = 4, 2
SHARE_OF_AUTO = 8.0
WARM = 10**6
"""Index of the systems of the untimed first runs, far from those of the sequence."""


def arms_of(stream: Stream) -> list[Arm]:
    """Return the arms that fit a sequence, whether they are installed or not."""
    barred = {entry.partition(":")[0] for entry in stream.without}
    return [arm for arm in ARMS if applies(arm, stream.kind, stream.grid) and arm.name not in barred]


class _Bare:
    """A problem whose operator holds nothing that somebody else has worked out."""

    def __init__(self, problem: Any) -> None:
        self.A, self.b = fresh(problem.A), problem.b
        self.grid, self.fields = problem.grid, problem.fields


def fresh(A: Any) -> Any:
    """Return an operator with the same arrays, without what it has cached.

    Examples
    --------
    >>> from ritzkit.problems import Poisson
    >>> A = Poisson((4, 4)).sample(0).A
    >>> fresh(A) is A, fresh(A).shape
    (False, (16, 16))
    """
    cached = {name for kind in type(A).__mro__ for name, value in vars(kind).items()
              if isinstance(value, cached_property)}  # fmt: skip
    copy = object.__new__(type(A))
    copy.__dict__.update({name: value for name, value in A.__getstate__().items() if name not in cached})
    return copy


class _Lane:
    """One arm on its way through the sequence."""

    def __init__(self, arm: Arm, order: Sequence[int], order_seconds: float, rtol: float) -> None:
        self.arm, self.order, self.order_seconds, self.rtol = arm, order, order_seconds, rtol
        self.seconds: list[float] = []
        self.iterations: list[int] = []
        self.failed: list[dict[str, Any]] = []
        self.worst = 0.0
        self.error: str | None = None
        start = time.perf_counter()
        self.solve = arm.make(rtol)
        self.made = time.perf_counter() - start

    @property
    def count(self) -> int:
        return len(self.seconds)

    def over(self, budget: float) -> bool:
        """Whether it should stop: no time left, or no hope."""
        if self.error is not None or (len(self.failed) == self.count >= HOPELESS):
            return True
        share = SHARE_OF_AUTO if self.arm.role == "auto" else 1.0
        used = sum(self.seconds)
        return (self.count >= LEAST and used > share * budget) or (self.count >= HOPELESS and used > 3 * share * budget)

    def run(self, problems: Sequence[Any], places: Sequence[int], budget: float) -> None:
        """Solve the systems at some places of the order."""
        step = len(places) if self.arm.together else 1
        for first in range(0, len(places), step):
            if self.over(budget):
                return
            chosen = [self.order[place] for place in places[first : first + step]]
            self._solve([_Bare(problems[index]) for index in chosen], chosen)

    def _solve(self, systems: list[Any], indices: list[int]) -> None:
        start = time.perf_counter()
        try:
            answers = self.solve(systems)
        except (ArithmeticError, ValueError, TypeError, RuntimeError, MemoryError, np.linalg.LinAlgError) as error:
            self.error = " ".join(str(error).split()) or type(error).__name__
            return
        residuals = [_residual(system, answer.x) for system, answer in zip(systems, answers, strict=True)]
        share = (time.perf_counter() - start) / len(systems)
        for index, answer, residual in zip(indices, answers, residuals, strict=True):
            self.seconds.append(share)
            self.iterations.append(answer.iterations)
            if residual <= self.rtol:
                self.worst = max(self.worst, residual)
            else:
                number = residual if np.isfinite(residual) else None
                self.failed.append({"index": index, "outcome": answer.outcome, "residual": number})

    def record(self) -> dict[str, Any]:
        """Return what the record says of it."""
        return {
            "title": self.arm.title, "role": self.arm.role, "order": self.arm.order, "external": self.arm.external,
            "count": self.count, "solved": self.count > 0 and not self.failed and self.error is None,
            "order_seconds": self.order_seconds, "seconds": [float(f"{s:.3g}") for s in self.seconds],
            "iterations": self.iterations, "worst": self.worst, "failed": self.failed, "error": self.error,
        }  # fmt: skip


def _residual(system: Any, x: Any) -> float:
    with np.errstate(all="ignore"):
        value = float(np.linalg.norm(system.b - system.A.matvec(np.asarray(x))) / np.linalg.norm(system.b))
    return value if np.isfinite(value) else np.inf


def measure(stream: Stream, count: int, budget: float, terms: Terms) -> dict[str, Any]:
    """Solve `count` systems with every arm; return the record.

    Parameters
    ----------
    stream : Stream
    count : int
        Systems.
    budget : float
        Seconds after which an arm stops.
    terms : Terms
        Seed; one tick per arm and block.
    """
    import scipy.linalg
    import scipy.sparse.linalg  # noqa: F401  (a BLAS that loads later would not hear of the limit)

    from ....linalg.threads import thread_limit

    absent = missing()
    with thread_limit(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        terms.say(f"{stream.label}: drawing")
        family = stream.family()
        problems, draw_seconds = _draw(family, terms.seed, count)
        arms = [arm for arm in arms_of(stream) if arm.name not in absent]
        orders = {kind: _order(kind, problems, family) for kind in dict.fromkeys(arm.order for arm in arms)}
        for arm in arms:
            terms.say(f"{stream.label}: {arm.name}, untimed")
            _first_run(arm, family, problems[:2], terms.seed)
        lanes = [_Lane(arm, *orders[arm.order], RTOL) for arm in arms]
        for places in _blocks(count):
            for lane in lanes:
                terms.say(f"{stream.label}: {lane.arm.name}")
                gc.collect()
                gc.disable()
                try:
                    lane.run(problems, places, budget)
                finally:
                    gc.enable()
                terms.tick()
    return {
        "kind": "sequence", "family": stream.name, "set": stream.set, "class": stream.kind,
        "of": family.parameters(), "n": int(problems[0].A.shape[0]), "count": count, "rtol": RTOL, "arm_threads": 1,
        "cap": MOST_PRODUCTS, "budget": budget, "draw_seconds": draw_seconds, "missing": absent,
        "without": list(stream.without), "arms": {lane.arm.name: lane.record() for lane in lanes},
    }  # fmt: skip


def _draw(family: Any, seed: int, count: int) -> tuple[list[Any], float]:
    from ....problems.datasets.chunk import draw

    draw(family, seed, WARM)
    start = time.perf_counter()
    problems = [draw(family, seed, index) for index in range(count)]
    return problems, (time.perf_counter() - start) / count


def _order(kind: str, problems: Sequence[Any], family: Any) -> tuple[list[int], float]:
    from ....problems.datasets import order_samples, problem_features

    if kind == "none":
        return list(range(len(problems))), 0.0
    start = time.perf_counter()
    features = np.stack([problem_features(problem, family) for problem in problems])
    order = order_samples(features, kind).order.tolist()
    return order, time.perf_counter() - start


def _blocks(count: int) -> Iterator[range]:
    for start in range(0, count, BLOCK):
        yield range(start, min(start + BLOCK, count))


def _first_run(arm: Arm, family: Any, problems: Sequence[Any], seed: int) -> None:
    """Compile: solve tiny systems of the same class (more where an arm tries methods), and two of the sequence loosely."""
    from ....problems.datasets.chunk import draw

    tiny = [draw(family.with_size(8), seed, WARM + k) for k in range(2 if arm.role == "fixed" else 12)]
    for rtol, systems in ((RTOL, tiny), (0.5, problems)):
        try:
            solve = arm.make(rtol)
            bare = [_Bare(problem) for problem in systems]
            for chunk in [bare] if arm.together else [[problem] for problem in bare]:
                solve(chunk)
        except (ArithmeticError, ValueError, TypeError, RuntimeError, MemoryError, np.linalg.LinAlgError):
            return  # it will fail on the clock, too, and say why there
