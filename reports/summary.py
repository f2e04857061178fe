"""From records to numbers: medians over repeats, ratios to the best and to SciPy, performance profiles.

Only runs whose recomputed true residual meets the tolerance have a time; all others are failures, which are
listed and are infinitely slow in a profile, never averaged in.

References
----------
E. D. Dolan, J. J. More, "Benchmarking optimization software with performance profiles", Mathematical
Programming 91 (2002), 201-213. Departure: a problem that no solver solves has no
ratios but stays in the count, so that a profile never reaches one where nothing worked.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TARGETS", "Profile", "Row", "SuiteSummary", "median", "profile", "suites"]

TARGETS = ("1e-4", "1e-6", "1e-8")
"""The relative residuals at which every run is read off."""

Record = Mapping[str, Any]


def median(values: Iterable[float | None]) -> float:
    """Median of what is there; ``nan`` when nothing is.

    Examples
    --------
    >>> median([3.0, None, 1.0])
    2.0
    """
    numbers = [float(v) for v in values if v is not None and math.isfinite(v)]
    return statistics.median(numbers) if numbers else math.nan


@dataclass(frozen=True)
class Row:
    """One solver on one problem: what its repeats say together.

    Attributes
    ----------
    suite, problem, solver : str
        Names as in the records.
    runs : tuple of mapping
        The records of all repeats, in order.
    """

    suite: str
    problem: str
    solver: str
    runs: tuple[Record, ...]

    @property
    def first(self) -> Record:
        """The record of the first repeat."""
        return self.runs[0]

    @property
    def middle(self) -> Record:
        """The record of the repeat with the median total time, whose history is drawn."""
        drawn = [
            run for run in self.runs if run.get("history") and None not in (run["setup_seconds"], run["solve_seconds"])
        ]
        order = sorted(drawn, key=lambda run: run["setup_seconds"] + run["solve_seconds"])
        return order[(len(order) - 1) // 2] if order else self.first

    @property
    def solved(self) -> bool:
        """Whether every repeat met the tolerance with its recomputed residual."""
        return all(run["solved"] for run in self.runs)

    @property
    def external(self) -> bool:
        """Whether the solver is somebody else's."""
        return bool(self.first.get("external"))

    @property
    def setup(self) -> float:
        """Median set-up seconds."""
        return median(run["setup_seconds"] for run in self.runs)

    @property
    def solve(self) -> float:
        """Median seconds of the solve itself."""
        return median(run["solve_seconds"] for run in self.runs)

    @property
    def totals(self) -> list[float]:
        """Set-up and solve together, one number per repeat."""
        return [
            run["setup_seconds"] + run["solve_seconds"]
            for run in self.runs
            if run["setup_seconds"] is not None and run["solve_seconds"] is not None
        ]

    @property
    def total(self) -> float:
        """Median of set-up and solve together."""
        return median(self.totals)

    @property
    def spread(self) -> float:
        """Slowest over fastest repeat."""
        return max(self.totals) / min(self.totals) if self.totals and min(self.totals) > 0 else math.nan

    @property
    def iterations(self) -> int:
        """Iterations of the first repeat."""
        return int(self.first["iterations"] or 0)

    @property
    def products(self) -> int:
        """Products with A outside the preconditioner, of the first repeat."""
        return int(self.first["matvecs"] or 0)

    @property
    def residual(self) -> float:
        """Largest recomputed true relative residual of the repeats."""
        values = [math.inf if run["residual"] is None else run["residual"] for run in self.runs]
        return max(values)

    def reached(self, target: str, what: str) -> float:
        """Median `what` ("seconds" with set-up, or "products") down to `target`; inf where missed."""
        values = [((run.get("reached") or {}).get(target) or {}).get(what) for run in self.runs]
        values = [v for v in values if v is not None]
        return median(values) if len(values) == len(self.runs) else math.inf


@dataclass(frozen=True)
class SuiteSummary:
    """All rows, kernel comparisons, pictures and records of other kinds of one suite, in the order of the records."""

    name: str
    rows: list[Row] = field(default_factory=list)
    kernels: list[Record] = field(default_factory=list)
    pictures: list[Record] = field(default_factory=list)
    others: list[Record] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """Problem names, in order."""
        return list(dict.fromkeys(row.problem for row in self.rows))

    @property
    def solvers(self) -> list[str]:
        """Solver names, in order of their first appearance."""
        return list(dict.fromkeys(row.solver for row in self.rows))

    def of(self, problem: str) -> list[Row]:
        """Return the rows of one problem."""
        return [row for row in self.rows if row.problem == problem]

    def label(self, problem: str) -> str:
        """Return the problem's name for people."""
        return next((str(row.first.get("label") or problem) for row in self.rows if row.problem == problem), problem)

    def best(self, problem: str) -> Row | None:
        """Return the fastest row (set-up and solve) that met the tolerance."""
        return min((row for row in self.of(problem) if row.solved), key=lambda row: row.total, default=None)

    def scipy(self, problem: str) -> Row | None:
        """Return SciPy's own method on the problem, if it solved it (the fastest, if several)."""
        rows = [row for row in self.of(problem) if row.solver.startswith("scipy-") and row.solved]
        return min(rows, key=lambda row: row.total, default=None)

    def failures(self) -> list[Row]:
        """Return the rows with a repeat that missed the tolerance."""
        return [row for row in self.rows if not row.solved]


def suites(records: Iterable[Record]) -> list[SuiteSummary]:
    """Gather records into one summary per suite, in the order of the file."""
    grouped: dict[str, dict[tuple[str, str], list[Record]]] = {}
    kernels: dict[str, list[Record]] = {}
    pictures: dict[str, list[Record]] = {}
    others: dict[str, list[Record]] = {}
    order: dict[str, None] = {}
    for record in records:
        if record["kind"] == "environment":
            continue
        suite = str(record["suite"])
        order[suite] = None
        if record["kind"] == "solve":
            key = (str(record["problem"]), str(record["solver"]))
            grouped.setdefault(suite, {}).setdefault(key, []).append(record)
        elif record["kind"] == "kernel":
            kernels.setdefault(suite, []).append(record)
        elif record["kind"] == "picture":
            pictures.setdefault(suite, []).append(record)
        else:
            others.setdefault(suite, []).append(record)
    summaries = []
    for suite in order:
        rows = [
            Row(suite, problem, solver, tuple(sorted(runs, key=lambda run: run["repeat"])))
            for (problem, solver), runs in grouped.get(suite, {}).items()
        ]
        parts = (kernels.get(suite, []), pictures.get(suite, []), others.get(suite, []))
        summaries.append(SuiteSummary(suite, rows, *parts))
    return summaries


@dataclass(frozen=True)
class Profile:
    """Dolan-More performance profile.

    Attributes
    ----------
    solvers : list of str
        Names, one per row of `ratios`.
    ratios : (solvers, problems) ndarray
        Cost over the least cost of any solver on that problem; inf for a failure.
    """

    solvers: list[str]
    ratios: NDArray[np.float64]

    def share(self, solver: str, factor: float) -> float:
        """Share of all problems that `solver` solves within `factor` times the best cost."""
        row = self.ratios[self.solvers.index(solver)]
        return float(np.count_nonzero(row <= factor) / row.size)

    def curve(self, solver: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return factors (ascending, from 1) and shares of a step curve (value holds from its factor on)."""
        row = self.ratios[self.solvers.index(solver)]
        finite = np.unique(row[np.isfinite(row)])
        factors = np.unique(np.concatenate([[1.0], finite]))
        return factors, np.array([np.count_nonzero(row <= f) / row.size for f in factors])


def profile(rows: Sequence[Row], cost: Callable[[Row], float], solvers: Sequence[str] | None = None) -> Profile:
    """Build a performance profile over the problems on which every one of `solvers` was run.

    Parameters
    ----------
    rows : sequence of Row
        One per problem and solver.
    cost : callable
        Cost of a row, for example ``lambda row: row.total``; asked only for rows that are solved.
    solvers : sequence of str, optional
        Which solvers take part; by default those that were run on the most problems.

    Notes
    -----
    A solver that was never tried on a problem did not fail there: comparing over the common problems keeps
    the profile fair.
    """
    problems = list(dict.fromkeys((row.suite, row.problem) for row in rows))
    table = {((row.suite, row.problem), row.solver): row for row in rows}
    if solvers is None:
        names = list(dict.fromkeys(row.solver for row in rows))
        most = max((sum((p, s) in table for p in problems) for s in names), default=0)
        solvers = [s for s in names if sum((p, s) in table for p in problems) == most]
    common = [p for p in problems if all((p, s) in table for s in solvers)]
    costs = np.full((len(solvers), len(common)), np.inf)
    for i, solver in enumerate(solvers):
        for j, problem in enumerate(common):
            row = table[problem, solver]
            if row.solved:
                costs[i, j] = cost(row)
    costs[~np.isfinite(costs)] = np.inf
    least = costs.min(axis=0, initial=np.inf)
    solved = np.isfinite(least)
    ratios = np.full_like(costs, np.inf)
    # a cost of zero (faster than the clock) counts as best
    scale = np.where(least[solved] > 0, least[solved], 1.0)
    ratios[:, solved] = np.where(costs[:, solved] == least[solved], 1.0, costs[:, solved] / scale)
    return Profile(list(solvers), ratios)
