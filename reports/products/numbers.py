"""Ratios of medians, geometric means over inputs, targets with their floors.

A method that failed on an input has no time there: it is below every floor and in no mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..summary import SuiteSummary, median

__all__ = [
    "GOALS",
    "LARGE",
    "MORE_GOALS",
    "SMALL",
    "Goal",
    "Product",
    "Verdict",
    "extras",
    "of_kind",
    "products",
    "shares",
    "targets",
]

LARGE = 10**6
"""Multiply-adds from which on an input counts for the targets."""

SMALL = 10**5
"""Multiply-adds below which an input counts as a small product."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Product:
    """One input with all that was measured on it."""

    record: Record

    @property
    def label(self) -> str:
        """Name for people."""
        return str(self.record["label"])

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the product."""
        return int(self.record["multiply_adds"])

    @property
    def compression(self) -> float:
        """Multiply-adds over entries of C."""
        value = self.record.get("compression")
        return float(value) if value is not None else math.nan

    @property
    def methods(self) -> Mapping[str, Record]:
        """What is known of each method, by name."""
        methods: Mapping[str, Record] = self.record["methods"]
        return methods

    def status(self, method: str) -> str:
        """Return what became of a method.

        "ok"; "failed", with a reason in the record; "not installed"; "left out", where it runs on smaller products only;
        "" where it was not tried.
        """
        return str(self.methods[method]["status"]) if method in self.methods else ""

    def seconds(self, method: str) -> float:
        """Median seconds of a method; nan where it has none."""
        return median(self.methods[method]["seconds"]) if self.status(method) == "ok" else math.nan

    def fastest(self, method: str) -> float:
        """Least seconds of a method; nan where it has none."""
        return min(self.methods[method]["seconds"], default=math.nan) if self.status(method) == "ok" else math.nan

    def ratio(self, ours: str, theirs: str) -> float:
        """Seconds of `theirs` over seconds of `ours`: 0 where only ours failed, nan where there is nothing to compare."""
        if self.status(ours) == "failed" and self.status(theirs) == "ok":
            return 0.0
        mine, other = self.seconds(ours), self.seconds(theirs)
        return other / mine if mine > 0 else math.nan

    def nanoseconds(self, method: str) -> float:
        """Nanoseconds for each multiply-add."""
        return 1e9 * self.seconds(method) / self.multiply_adds if self.multiply_adds else math.nan

    def gigaflops(self, method: str) -> float:
        """Twice the multiply-adds over the seconds, in units of 1e9 a second."""
        return 2e-9 * self.multiply_adds / self.seconds(method)


@dataclass(frozen=True)
class Goal:
    """A comparison with what it is to show.

    Attributes
    ----------
    text : str
        The comparison in words.
    ours, theirs : str
        Names of methods.
    target : float or None
        Geometric mean to reach; None for a comparison without one.
    floor : float or None
        Ratio that single inputs are to reach.
    share : float
        Share of inputs on which the floor is to hold.
    small : bool
        Whether it is about small products instead of large ones.
    """

    text: str
    ours: str
    theirs: str
    target: float | None = None
    floor: float | None = None
    share: float = 1.0
    small: bool = False


GOALS = (
    Goal("sorted, against SciPy + sort", "spgemm", "scipy-sort", 4.0, 2.0),
    Goal("any order, against SciPy", "spgemm-any", "scipy", 3.0, 1.2),
    Goal("any order, against MKL", "spgemm-any", "mkl", 1.4, 1.0, 0.9),
    Goal("sorted, against MKL + sort", "spgemm", "mkl-sort", 2.0, 1.0, 0.95),
    Goal("sorted, against GraphBLAS to CSR", "spgemm", "graphblas-csr", 3.5, 1.0, 0.9),
    Goal("plan, numeric phase, against SciPy", "plan", "scipy", 6.0),
    Goal("plan, numeric phase, against MKL", "plan", "mkl", 3.0),
    Goal("small products, any order, against SciPy", "spgemm-any", "scipy", 0.95, 0.8, small=True),
)
"""The targets, in the order of the table; update and threads follow from other numbers."""

MORE_GOALS = (
    Goal("any order, against GraphBLAS (rows may be jumbled)", "spgemm-any", "graphblas"),
    Goal("any order, against torch", "spgemm-any", "torch"),
    Goal("plan, numeric phase, against MKL's staged product", "plan", "mkl-staged"),
    Goal("plan, values alone, against MKL's staged product", "plan-values", "mkl-staged"),
    Goal("small products, sorted, against SciPy + sort", "spgemm", "scipy-sort", small=True),
)

THREADS_TARGET = 1.7
UPDATE_TARGET, UPDATE_UNKNOWNS = 5.0, 64**3
UPDATE_ITERATIONS = 1.1


@dataclass(frozen=True)
class Verdict:
    """What became of a goal.

    Attributes
    ----------
    goal : Goal
        The goal.
    ratios : dict of str to float
        Ratio on every input where there is one; 0 where this package's method failed.
    installed : bool
        False where the peer is not there.
    note : str
        A second condition in words, with its measured value ("iterations 8, fresh 8").
    extra_met : bool
        Whether the second condition holds.
    """

    goal: Goal
    ratios: dict[str, float] = field(default_factory=dict)
    installed: bool = True
    note: str = ""
    extra_met: bool = True

    @property
    def measured(self) -> float:
        """Geometric mean of the ratios; nan where there is none."""
        logs = [math.log(r) for r in self.ratios.values() if r > 0]
        return math.exp(sum(logs) / len(logs)) if logs else math.nan

    @property
    def worst(self) -> tuple[str, float]:
        """Input with the least ratio."""
        return min(self.ratios.items(), key=lambda item: item[1], default=("", math.nan))

    @property
    def above(self) -> float:
        """Share of inputs that reach the floor; nan without a floor or an input."""
        if self.goal.floor is None or not self.ratios:
            return math.nan
        return sum(r >= self.goal.floor for r in self.ratios.values()) / len(self.ratios)

    @property
    def text(self) -> str:
        """Return "met", or which of target, floor and condition is missed; "" where nothing was asked or measured."""
        if not self.ratios or self.goal.target is None:
            return ""
        missed = []
        if not self.measured >= self.goal.target:
            missed.append("target")
        if self.goal.floor is not None and self.above < self.goal.share:
            missed.append("floor")
        if not self.extra_met:
            missed.append("condition")
        return f"missed ({' and '.join(missed)})" if missed else "met"


def of_kind(summary: SuiteSummary, kind: str) -> list[Record]:
    """Return the records of one kind among those that the suite wrote in its own way.

    Of several records of one input, whatever their kinds, the last one holds; it stands where the first did.
    """
    last = {record["problem"]: record for record in summary.others}
    return [record for record in last.values() if record["kind"] == kind]


def products(summary: SuiteSummary) -> list[Product]:
    """Return all inputs of a suite, in the order of the records."""
    return [Product(record) for record in of_kind(summary, "product")]


def targets(summary: SuiteSummary) -> list[Verdict]:
    """Return the verdicts on all targets, in the order of the table."""
    inputs = products(summary)
    verdicts = [_verdict(goal, inputs) for goal in GOALS] if inputs else []
    verdicts += [_update(record) for record in of_kind(summary, "update")]
    threads = max((int(p.record["threads"]) for p in inputs), default=1)
    if threads > 1:
        verdicts.append(_threads("sorted", "spgemm", threads, inputs, THREADS_TARGET))
    return verdicts


def extras(summary: SuiteSummary) -> list[Verdict]:
    """Return further comparisons, for which no target is set."""
    inputs = products(summary)
    if not inputs:
        return []
    verdicts = [_verdict(goal, inputs) for goal in MORE_GOALS]
    threads = max(int(p.record["threads"]) for p in inputs)
    if threads > 1:
        for name, method in (("any order", "spgemm-any"), ("plan, values alone", "plan-values")):
            verdicts.append(_threads(name, method, threads, inputs, None))
    return verdicts


def _verdict(goal: Goal, inputs: Sequence[Product]) -> Verdict:
    chosen = [p for p in inputs if (p.multiply_adds < SMALL if goal.small else p.multiply_adds >= LARGE)]
    ratios = {p.label: p.ratio(goal.ours, goal.theirs) for p in chosen}
    installed = not inputs or any(p.status(goal.theirs) not in ("", "not installed") for p in inputs)
    return Verdict(goal, {k: r for k, r in ratios.items() if not math.isnan(r)}, installed)


def _threads(name: str, method: str, threads: int, inputs: Sequence[Product], target: float | None) -> Verdict:
    goal = Goal(f"{name}, {threads} threads over 1", method, f"{method}@1", target)
    return _verdict(goal, inputs)


def _update(record: Record) -> Verdict:
    target = UPDATE_TARGET if record["n"] >= UPDATE_UNKNOWNS else None
    goal = Goal(f"AMG update, against a fresh PyAMG set-up, {record['n']:,} unknowns", "update", "pyamg", target)
    ratio = median(record["seconds"]["pyamg"]) / median(record["seconds"]["update"])
    updated, fresh = int(record["iterations_update"]), int(record["iterations_fresh"])
    note = f"cg needs {updated} iterations, with a fresh hierarchy {fresh}"
    converged = all(record[f"residual_{which}"] <= 1.01 * record["rtol"] for which in ("update", "fresh"))
    return Verdict(
        goal,
        {str(record["label"]): ratio},
        note=note,
        extra_met=bool(converged and updated <= UPDATE_ITERATIONS * fresh),
    )


def shares(inputs: Sequence[Product], methods: Sequence[str]) -> dict[str, tuple[list[float], list[float]]]:
    """Return the performance profile: ascending factors of the fastest for every method, and the share of inputs within.

    Only inputs on which every method was run count; a failure is infinitely slow. A method that is left out of some inputs
    would take them from all others, so that it is better not among `methods`.
    """
    common = [p for p in inputs if all(p.status(m) in ("ok", "failed") for m in methods)]
    ratios: dict[str, list[float]] = {m: [] for m in methods}
    for product in common:
        times = {m: product.seconds(m) for m in methods}
        best = min((t for t in times.values() if not math.isnan(t)), default=math.nan)
        for m, t in times.items():
            ratios[m].append(math.inf if math.isnan(t) else t / best)
    curves = {}
    for m, values in ratios.items():
        factors = sorted({1.0, *(r for r in values if math.isfinite(r))})
        curves[m] = (factors, [sum(r <= f for r in values) / len(values) for f in factors] if values else [0.0])
    return curves
