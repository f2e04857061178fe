"""Rates and ratios of sequences, the published figures, and verdicts on the targets.

A rate is seconds per system: ordering, assembly, set-up, solve and check. An arm that was stopped early is not charged its
first system, on which arms that learn spend more: what is compared with it is never flattered by that. Where a ratio is "end
to end", drawing the system is added to both sides. An arm with a failure has no rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..summary import SuiteSummary, median
from ..verdicts import Verdict, of_kind

__all__ = [
    "PAIRS",
    "PUBLISHED",
    "Ratio",
    "Verdict",
    "best_fixed",
    "called",
    "fixed",
    "gain",
    "of_kind",
    "per_sample",
    "published",
    "rate",
    "ratios",
    "solving",
    "targets",
]

Record = Mapping[str, Any]
TIMES = "\N{MULTIPLICATION SIGN}"
TOLERANCES = ("1e-2", "1e-5", "1e-8")
WITHIN = 0.2
OVER_SKR, OVER_SKR_DARCY, WORST, BETTER, FAMILIES = 10.0, 5.0, 1.1, 1.5, 3
RESAMPLED = 2000
OVER_SUPERLU, OVER_SKR_DATASET = 5.0, 20.0

PUBLISHED: dict[tuple[str, int, str], tuple[float | None, float | None, float | None]] = {
    ("darcy", 48, "none"): (None, None, 4963 / 227),
    ("darcy", 78, "none"): (19.2, 21.1, 19.1),
    ("darcy", 78, "jacobi"): (22.6, 24.5, 22.9),
    ("darcy", 78, "ilu"): (9.44, 14.4, 17.2),
    ("helmholtz", 98, "none"): (17.3, 16.5, 13.7),
    ("helmholtz", 98, "jacobi"): (20.3, 20.0, 18.1),
    ("helmholtz", 98, "ilu"): (17.6, 27.2, 28.0),
}
"""Iteration ratios GMRES/SKR that the paper prints (Tables 1 and 3), by set, unknowns per axis and preconditioner, at 1e-2,
1e-5 and 1e-8 (Helmholtz: 1e-7)."""

PAIRS = (
    ("auto, one by one", "sequence-no-recycling", "sequence"),
    ("one frozen incomplete factor", "frozen-factor", "frozen-factor-recycling"),
    ("rebuilt incomplete factor", "rebuilt-factor", "rebuilt-factor-recycling"),
    ("restarted GMRES, ILU(0) rebuilt", "gmres-dr-ilu", "skr-ilu-unsorted"),
)
"""Pairs of arms that differ in recycling across systems alone: where, without, with."""


def quick(record: Record) -> bool:
    """Whether a record comes from a quick run, whose sizes are judged by no target."""
    return bool((record.get("settings") or {}).get("quick"))


def rate(record: Record, name: str) -> float:
    """Seconds per system of an arm, drawing not counted; nan where it failed or was not run.

    Examples
    --------
    >>> arm = {"solved": True, "count": 2, "seconds": [3.0, 1.0], "order_seconds": 0.0}
    >>> rate({"count": 2, "arms": {"cg": arm}}, "cg"), rate({"count": 9, "arms": {"cg": arm}}, "cg")
    (2.0, 1.0)
    """
    facts = record["arms"].get(name)
    if facts is None or not facts["solved"]:
        return math.nan
    seconds = facts["seconds"]
    if facts["count"] < record["count"] and len(seconds) > 1:
        seconds = seconds[1:]
    return float(sum(seconds) / len(seconds) + facts["order_seconds"] / record["count"])


def called(name: str | None) -> str:
    """Name of an arm for people.

    Examples
    --------
    >>> called("auto"), called("superlu"), called(None)
    ('auto', 'SuperLU', '')
    """
    from ..style import shown

    return "auto" if name == "auto" else "" if name is None else shown(name)


def fixed(record: Record) -> list[str]:
    """Return the fixed arms that solved everything they were given, fastest first."""
    names = [name for name, facts in record["arms"].items() if facts["role"] == "fixed"]
    return sorted((name for name in names if math.isfinite(rate(record, name))), key=lambda name: rate(record, name))


def best_fixed(record: Record) -> str | None:
    """Return the fastest fixed arm."""
    return next(iter(fixed(record)), None)


def over(record: Record, slow: str | None, fast: str = "auto") -> float:
    """How many times as fast one arm is as another, end to end; nan where one failed."""
    if slow is None:
        return math.nan
    draw = float(record["draw_seconds"])
    return (rate(record, slow) + draw) / (rate(record, fast) + draw)


def gain(record: Record, without: str, using: str) -> tuple[float, float]:
    """Seconds and iterations of an arm with recycling over those of its twin without; nan where one is missing."""
    seconds = rate(record, using) / rate(record, without)
    counts = [record["arms"].get(name, {}).get("iterations") or [] for name in (using, without)]
    common = min(map(len, counts))  # both have solved these systems
    sums = [sum(values[:common]) for values in counts]
    steps = sums[0] / sums[1] if sums[1] else math.nan
    return seconds, steps if math.isfinite(seconds) else math.nan


@dataclass(frozen=True)
class Ratio:
    """Iterations of two methods in one cell of the reproduction.

    Attributes
    ----------
    mean : float
        Ratio of the means.
    low, high : float
        Quartiles of the systems' own ratios.
    least, most : float
        Where 90 % of the ratios of means lie when the systems are drawn again from those that were measured.
    """

    mean: float
    low: float
    high: float
    least: float
    most: float


def ratios(record: Record, tolerance: str, slow: str = "gmres", fast: str = "skr") -> Ratio:
    """Ratio of two methods' iterations at a tolerance; quartiles from the systems that both have solved."""
    top, bottom = record["iterations"][slow][tolerance], record["iterations"][fast][tolerance]
    some = record["some"]
    paired = _pair(top, some, record["count"]), _pair(bottom, some, record["count"])
    each = sorted(a / b for a, b in zip(*paired, strict=True) if b)
    mean = (sum(top) / len(top)) / (sum(bottom) / len(bottom))
    chance = np.random.default_rng(0)
    means = [chance.choice(values, (RESAMPLED, len(values))).mean(axis=1) for values in (top, bottom)]
    again = np.sort(means[0] / means[1]).tolist()
    return Ratio(mean, *(_quantile(v, q) for v, q in ((each, 0.25), (each, 0.75), (again, 0.05), (again, 0.95))))


def _pair(values: Sequence[int], some: Sequence[int], count: int) -> list[int]:
    return [values[place] for place in some] if len(values) == count else list(values)


def _quantile(values: Sequence[float], share: float) -> float:
    if not values:
        return math.nan
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def published(record: Record, tolerance: str) -> tuple[float | None, int]:
    """Return the paper's ratio for a cell, and for how many unknowns per axis: this size, or the nearest that is printed."""
    place = TOLERANCES.index(tolerance)
    exact = PUBLISHED.get((record["set"], record["edge"], record["preconditioner"]))
    if not record["slip"]:
        return None, 0
    if exact is not None and exact[place] is not None:
        return exact[place], int(record["edge"])
    near = [
        (abs(edge - record["edge"]), edge, values[place])
        for (kind, edge, name), values in PUBLISHED.items()
        if (kind, name) == (record["set"], record["preconditioner"])
        and values[place] is not None
        and edge <= 3 * record["edge"]  # tiny sets of a quick run have nothing in common with it
    ]
    return (min(near)[2], min(near)[1]) if near else (None, 0)


def per_sample(record: Record) -> float:
    """Seconds per sample of a dataset, validation counted; nan if it is not valid.

    A subset has the seconds of its chunks, shared by the workers, and those of its validation.
    """
    if not all(run["valid"] for run in record["runs"]):
        return math.nan
    if record["count"] == record["whole"]:
        return median(run["seconds"] + run["validate_seconds"] for run in record["runs"]) / record["count"]
    return median(
        sum(run["chunk_seconds"].values()) / record["workers"] + run["validate_seconds"] for run in record["runs"]
    ) / int(record["count"])


def solving(record: Record) -> float:
    """Seconds per sample of ordering and solving on one worker."""
    return median(run["chunk_seconds"]["solve"] for run in record["runs"]) / int(record["count"])


def factor(ratio: float) -> str:
    """Write a ratio; "fails" where there is none."""
    return f"{ratio:.3g}{TIMES}" if math.isfinite(ratio) else "fails"


def targets(summary: SuiteSummary) -> list[Verdict]:
    """Return the verdicts on all targets, in their order; those without a measurement are left out."""
    found = [*_reproduced(summary), *_over_skr(summary), *_over_fixed(summary), *_recycling(summary)]
    found += [*_datasets(summary), *_kills(summary), *_abrupt(summary)]
    return sorted(found, key=lambda verdict: verdict.number)


def _reproduced(summary: SuiteSummary) -> Iterable[Verdict]:
    for record in of_kind(summary, "reproduction"):
        cells = [(t, *published(record, t)) for t in TOLERANCES]
        cells = [cell for cell in cells if cell[1] is not None]
        if not cells or quick(record):
            continue
        same = [cell for cell in cells if cell[2] == record["edge"]]
        compared = same or cells
        found = [ratios(record, t) for t, _, _ in compared]
        measured = [ratio.mean for ratio in found]
        wanted = [float(paper or math.nan) for _, paper, _ in compared]
        met = all(abs(m / w - 1.0) <= WITHIN for m, w in zip(measured, wanted, strict=True)) if same else None
        text = (
            f"SKR {record['set'].capitalize()} with {record['n']:,} unknowns, {_preconditioner(record)}: iterations of "
            f"GMRES(40) over SKR at {', '.join(t for t, _, _ in compared)}"
        )
        far = max(abs(m / w - 1.0) for m, w in zip(measured, wanted, strict=True))
        spans = ", ".join(f"{ratio.least:.3g} to {ratio.most:.3g}" for ratio in found)
        note = f"farthest off by {far:.0%}; over {record['few']} systems drawn again, 90 % lie in {spans}"
        if not same:
            sizes = sorted({edge**2 for _, _, edge in compared})
            note = f"the paper prints this for {', '.join(f'{size:,}' for size in sizes)} unknowns"
        note += "; there the last is for 1e-7" if record["set"] == "helmholtz" else ""
        yield Verdict(1, text, "within 20 % of " + _list(wanted), _list(measured), met, note)


def _preconditioner(record: Record) -> str:
    return {"none": "no preconditioner", "jacobi": "Jacobi", "ilu": "ILU(0)"}[record["preconditioner"]]


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def _over_skr(summary: SuiteSummary) -> Iterable[Verdict]:
    for record in of_kind(summary, "sequence"):
        goal = OVER_SKR if record["set"] == "skr" else OVER_SKR_DARCY if record["family"] == "darcy-128" else None
        if goal is None:
            continue
        skr = next((name for name in fixed(record) if name.startswith("skr-")), None)
        ratio = over(record, skr)
        text = f"{record['label']}: auto, times as fast as our SKR, end to end"
        met = None if quick(record) else bool(ratio >= goal)
        note = f"{called(skr)}; drawing not counted {factor(rate(record, skr) / rate(record, 'auto'))}" if skr else ""
        yield Verdict(2, text, f"at least {goal:g}", factor(ratio), met, note)


def _over_fixed(summary: SuiteSummary) -> Iterable[Verdict]:
    records = of_kind(summary, "sequence")
    if not records:
        return
    judged = None if quick(records[0]) else True
    slow = {id(r): 1.0 / over(r, best_fixed(r)) for r in records if best_fixed(r) is not None}
    lost = [r for r in records if id(r) in slow and not slow[id(r)] <= WORST]
    worst = max((r for r in records if id(r) in slow), key=lambda r: _no_nan(slow[id(r)]), default=None)
    if worst is not None:
        names = ", ".join(f"{r['label']} {factor(slow[id(r)])} ({called(best_fixed(r))})" for r in lost)
        text = "auto over the best fixed arm, end to end, on the worst family"
        yield Verdict(3, text, f"at most {WORST:g}", factor(slow[id(worst)]), judged and not lost,
                      names or str(worst["label"]))  # fmt: skip
    won = [r for r in records if r["set"] == "true" and id(r) in slow and slow[id(r)] <= 1.0 / BETTER]
    names = ", ".join(f"{r['label']} {factor(1.0 / slow[id(r)])}" for r in won)
    text = f"True families on which auto is at least {BETTER:g} times as fast as the best fixed arm"
    yield Verdict(3, text, f"at least {FAMILIES}", f"{len(won)}", judged and len(won) >= FAMILIES, names)


def _no_nan(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _recycling(summary: SuiteSummary) -> Iterable[Verdict]:
    records = of_kind(summary, "sequence")
    if not records:
        return
    signs = [[gain(r, without, using)[0] for _, without, using in PAIRS] for r in records]
    told = sum(any(math.isfinite(value) for value in row) for row in signs)
    pays = sum(any(value < 0.97 for value in row) for row in signs)
    loses = sum(any(value > 1.03 for value in row) for row in signs)
    text = "Families whose table says what recycling alone contributes, with its sign"
    note = f"it saves time in some setting on {pays} and costs time in some setting on {loses} of them"
    yield Verdict(4, text, f"all {len(records)}", f"{told}", told == len(records), note)


def _datasets(summary: SuiteSummary) -> Iterable[Verdict]:
    records = {record["solver"]: record for record in of_kind(summary, "dataset")}
    if "auto" not in records:
        return
    own = per_sample(records["auto"])
    goals = (("SuperLU", ("superlu",), OVER_SUPERLU), ("our SKR", ("skr-ilu", "skr-jacobi", "skr"), OVER_SKR_DATASET))
    for words, names, goal in goals:
        rates = {name: per_sample(records[name]) for name in names if name in records}
        rates = {name: value for name, value in rates.items() if math.isfinite(value)}
        if not rates:
            continue
        best = min(rates, key=lambda name: rates[name])
        auto = records["auto"]
        text = f"{auto['whole']:,} Darcy samples at {auto['edge']}²: auto, times as fast as {words}, per sample"
        judged = auto["edge"] == 128 and not quick(auto)
        alone = solving(records[best]) / solving(auto)
        note = f"{called(best)}, {records[best]['count']:,} samples; solving alone {factor(alone)}"
        ratio = rates[best] / own
        yield Verdict(5, text, f"at least {goal:g}", factor(ratio), bool(ratio >= goal) if judged else None, note)


def _kills(summary: SuiteSummary) -> Iterable[Verdict]:
    for record in of_kind(summary, "kills"):
        text = f"{record['count']:,} samples, killed {record['wanted']} times at random moments and resumed: same bytes"
        measured = "identical" if record["identical"] else "differ"
        done = len(record["killed"])
        met = bool(record["identical"]) and done >= record["wanted"]
        yield Verdict(5, text, "identical", f"{measured}, {done} kills", met, f"{record['files']} files")


def _abrupt(summary: SuiteSummary) -> Iterable[Verdict]:
    for record in of_kind(summary, "abrupt"):
        rows = record["rows"]
        good = [r for r in rows if r["as_wanted"] and r["after"]["solved"] == record["between"]]
        bad = "; ".join(str(r["case"]) for r in rows if r not in good)
        text = "Bad systems in a sequence: honest outcome, the systems after it solved"
        yield Verdict(6, text, f"all {len(rows)}", f"{len(good)}", len(good) == len(rows) and record["finite"],
                      bad or "everything that is kept at the end is finite" * bool(record["finite"]))  # fmt: skip
