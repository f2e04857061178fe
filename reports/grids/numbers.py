"""Targets of the suite `multigrid` and what the records say about each.

A target is judged on the sizes that it names; where a quick run lacks them, the number is shown and not judged. A run that
misses its tolerance misses every target that it belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..summary import Row, SuiteSummary, median
from ..verdicts import Verdict, of_kind

__all__ = ["NAMES", "Verdict", "edge_text", "growth", "of_kind", "targets", "total", "variants"]

Record = Mapping[str, Any]

NAMES = {
    "box": "empty box",
    "balls": "balls",
    "walls": "thin walls",
    "comb": "comb",
    "porous": "porous",
    "random": "random cells",
    "fno": "Darcy 12/3",
    "lognormal-1": "lognormal, variance 1",
    "lognormal-4": "lognormal, variance 4",
    "lognormal-9": "lognormal, variance 9",
}
"""Geometries for people, in the order of the tables."""

SMOOTH, THIN = ("box", "balls"), ("walls", "comb")
MOST_SMOOTH, MOST_THIN, MOST_GROWTH = 14, 30, 2
PYAMG_3D, HYPRE, PYAMG_2D, SUPERLU, BATCH = 20.0, 6.0, 5.0, 5.0, 2.0
COPIES, WORDS, TRANSFORMS = 3.0, 20.0, 4.0
EDGES = {2: (128, 4096), 3: (32, 256)}
PLAIN = "V(1,1)"
JUDGED = {
    "V(1,1)+": "V(1,1), two sweeps on coarse levels and in 3-D a band (preset v11)",
    PLAIN: "V(1,1), one plain sweep on every level",
    "default": "W(2,2), as it comes",
}
"""Variants whose iterations are judged, in words."""


def growth(summary: SuiteSummary) -> dict[tuple[int, str], list[Record]]:
    """Return the growth records by dimension and geometry, smallest size first."""
    found: dict[tuple[int, str], list[Record]] = {}
    for record in of_kind(summary, "growth"):
        found.setdefault((len(record["shape"]), str(record["geometry"])), []).append(record)
    order = list(NAMES)
    keys = sorted(found, key=lambda key: (key[0], order.index(key[1]) if key[1] in order else len(order)))
    return {key: sorted(found[key], key=lambda record: int(record["n"])) for key in keys}


def variants(records: Iterable[Record]) -> list[str]:
    """Return the names of all multigrid variants in growth records."""
    return list(dict.fromkeys(name for record in records for name in record["variants"] if name != "transforms"))


def total(facts: Record | None) -> float:
    """Median of set-up and solve together of one variant in a growth record; nan where it failed."""
    if facts is None or not facts.get("solved"):
        return math.nan
    return median(a + b for a, b in zip(facts["setup_seconds"], facts["solve_seconds"], strict=True))


def targets(summary: SuiteSummary) -> list[Verdict]:
    """Return the verdicts on all targets, in their order; those without a measurement are left out."""
    lines = growth(summary)
    found = [*_iterations(lines), *_against(summary), *_hypre(summary), *_batch(summary), *_traffic(summary)]
    found += [*_transforms(lines), *_refusals(summary)]
    return sorted(found, key=lambda verdict: verdict.number)


def edge_text(shape: Sequence[int]) -> str:
    """Write a shape for people.

    Examples
    --------
    >>> edge_text([64, 64]), edge_text([8, 4, 4])
    ('64²', '8×4×4')
    """
    if len(set(shape)) == 1:
        return f"{shape[0]}{'²' if len(shape) == 2 else '³'}"
    return "\N{MULTIPLICATION SIGN}".join(map(str, shape))


def _sizes(records: Sequence[Record]) -> str:
    return " to ".join(dict.fromkeys(edge_text(record["shape"]) for record in (records[0], records[-1])))


def _covers(records: Sequence[Record]) -> bool:
    edges = [max(record["shape"]) for record in records]
    low, high = EDGES[len(records[0]["shape"])]
    return min(edges) <= low and max(edges) >= high


def _iterations(lines: Mapping[tuple[int, str], Sequence[Record]]) -> Iterable[Verdict]:
    """Judge the largest count of iterations of every variant, and on smooth geometries its growth, on their worst inputs."""
    for variant, words in JUDGED.items():
        for kinds, where, most in ((SMOOTH, "box and balls", MOST_SMOOTH), (THIN, "walls and combs", MOST_THIN)):
            runs = {
                key: [(record, record["variants"][variant]) for record in records if variant in record["variants"]]
                for key, records in lines.items()
                if key[1] in kinds
            }
            runs = {key: line for key, line in runs.items() if line}
            if not runs:
                continue
            complete = all(_covers(lines[key]) and len(line) == len(lines[key]) for key, line in runs.items())
            yield _most(f"{words}: iterations to 1e-8, {where}", runs, most, complete)
            if kinds == SMOOTH and any(len(line) > 1 for line in runs.values()):
                yield _growing(f"{words}: their growth with the size, {where}", runs, complete)


Runs = Mapping[tuple[int, str], Sequence[tuple[Record, Record]]]


def _most(text: str, runs: Runs, most: int, complete: bool) -> Verdict:
    """Judge the largest count."""
    every = [(record, facts) for line in runs.values() for record, facts in line]
    failed = [record for record, facts in every if not facts.get("solved")]
    if failed:
        return Verdict(1, text, f"at most {most}", "fails", False, _where(failed[0]))
    worst, facts = max(every, key=lambda run: int(run[1]["iterations"]))
    count = int(facts["iterations"])
    met = False if count > most else True if complete else None
    return Verdict(1, text, f"at most {most}", f"{count}", met, _where(worst))


def _growing(text: str, runs: Runs, complete: bool) -> Verdict:
    """Judge the difference between the counts at the largest and at the smallest size."""
    growth = {
        key: int(line[-1][1]["iterations"]) - int(line[0][1]["iterations"])
        for key, line in runs.items()
        if all(facts.get("solved") for _, facts in line)
    }
    if not growth:
        return Verdict(1, text, f"at most {MOST_GROWTH}", "fails", False)
    worst = max(growth, key=lambda key: growth[key])
    sizes = _sizes([record for record, _ in runs[worst]])
    met = False if growth[worst] > MOST_GROWTH else True if complete else None
    return Verdict(1, text, f"at most {MOST_GROWTH}", f"{growth[worst]}", met, f"{NAMES[worst[1]]}, {sizes}")


def _where(record: Record) -> str:
    return f"{NAMES.get(record['geometry'], record['geometry'])}, {edge_text(record['shape'])}"


def _ratio(ours: Row | None, theirs: Sequence[Row]) -> tuple[float, str]:
    """Return the fastest opponent's total over ours, and who it is; 0 where only ours fails."""
    solved = [row for row in theirs if row.solved]
    if not solved or ours is None:
        return math.nan, ""
    best = min(solved, key=lambda row: row.total)
    return (best.total / ours.total if ours.solved else 0.0), best.solver


def _against(summary: SuiteSummary) -> Iterable[Verdict]:
    from ..style import shown

    rows: dict[str, list[Row]] = {}
    for row in summary.rows:
        rows.setdefault(row.problem, []).append(row)
    goals = (
        (2, "balls-3d-128", "3-D balls", "the best PyAMG setting", "pyamg-", PYAMG_3D),
        (3, "fno-2d-256", "2-D Darcy 12/3", "the best PyAMG setting", "pyamg-", PYAMG_2D),
        (3, "lognormal-9-2d-256", "2-D Darcy, variance 9", "the best PyAMG setting", "pyamg-", PYAMG_2D),
        (3, "fno-2d-256", "2-D Darcy 12/3", "SuperLU", "direct", SUPERLU),
        (3, "lognormal-9-2d-256", "2-D Darcy, variance 9", "SuperLU", "direct", SUPERLU),
    )
    for number, problem, where, whom, prefix, wanted in goals:
        judged = problem in rows
        if not judged:  # another size says something, but not this
            stem = problem.rpartition("-")[0]
            problem = next((name for name in reversed(rows) if name.startswith(stem + "-")), "")
        own = next((row for row in rows.get(problem, []) if row.solver == "multigrid-cg"), None)
        ratio, name = _ratio(own, [row for row in rows.get(problem, []) if row.solver.startswith(prefix)])
        if math.isnan(ratio):
            continue
        met = ratio >= wanted if judged else None
        note = f"{summary.label(problem)}; {shown(name)}" if prefix != "direct" else summary.label(problem)
        text = f"{where}: times as fast as {whom}, set-up and solve"
        yield Verdict(number, text, f"at least {wanted:g}", _factor(ratio), met, note)


def _factor(ratio: float) -> str:
    return "fails" if ratio == 0 else f"{ratio:.3g}\N{MULTIPLICATION SIGN}"


def _hypre(summary: SuiteSummary) -> Iterable[Verdict]:
    for record in of_kind(summary, "hypre"):
        text = f"3-D balls: times as fast as hypre BoomerAMG-cg on {record['ranks']} MPI ranks"
        if not record["installed"]:
            yield Verdict(2, text, f"at least {HYPRE:g}", "not run", None, str(record["text"]))
            continue
        seconds = {
            name: median(run["setup_seconds"] + run["solve_seconds"] for run in runs)
            for name, runs in record["rows"].items()
        }
        ratio = seconds["hypre"] / seconds["multigrid"]
        met = ratio >= HYPRE if int(record["shape"][0]) == 128 else None
        note = "; ".join(filter(None, [_sizes([record]), str(record.get("setting") or "")]))
        yield Verdict(2, text, f"at least {HYPRE:g}", _factor(ratio), met, note)


def _batch(summary: SuiteSummary) -> Iterable[Verdict]:
    for record in of_kind(summary, "batch"):
        ratio = median(record["seconds"]["one by one"]) / median(record["seconds"]["together"])
        ratio = ratio if record["solved"] else 0.0
        text = "Many systems on one grid: times as fast, per system, as one at a time"
        judged = tuple(record["shape"]) == (128, 128) and int(record["count"]) >= 32
        met = ratio >= BATCH if judged else None
        note = f"{record['count']} systems, {NAMES.get(record['geometry'], record['geometry'])}, {_sizes([record])}"
        yield Verdict(3, text, f"at least {BATCH:g}", _factor(ratio), met, note)


def _traffic(summary: SuiteSummary) -> Iterable[Verdict]:
    for record in of_kind(summary, "traffic"):
        judged = max(record["shape"]) >= 256
        name = NAMES.get(record["geometry"], record["geometry"])
        moved = sum(record["bytes"].values())
        copy = moved * int(record["n"]) / median(record["copy_bytes_per_second"])
        ratio = median(record["iteration_seconds"]) / copy
        text = f"Time of an iteration over a plain copy of the {moved:.0f} bytes per unknown that it must move, {name}"
        met = ratio <= COPIES if judged else None
        yield Verdict(4, text, f"at most {COPIES:g}", _factor(ratio), met, _sizes([record]))
        if record.get("total_bytes") is not None:
            words = float(record["total_bytes"]) / 8.0 / int(record["n"])
            text = f"Memory in float64 words per unknown, all counted, {name}"
            yield Verdict(
                4, text, f"at most {WORDS:g}", f"{words:.1f}", words <= WORDS if judged else None, _sizes([record])
            )


def _transforms(lines: Mapping[tuple[int, str], Sequence[Record]]) -> Iterable[Verdict]:
    for (dim, geometry), records in lines.items():
        ratios = []
        for record in records if geometry == "box" else ():
            direct = total(record["variants"].get("transforms"))
            own = [t for name in variants([record]) if math.isfinite(t := total(record["variants"][name]))]
            if math.isfinite(direct):
                ratios.append((min(own, default=math.inf) / direct, _sizes([record])))
        if not ratios:
            continue
        complete = _covers(records)
        chosen = {"at the largest size": ratios[-1], "at the worst size": max(ratios)}
        for words, (ratio, where) in chosen.items():
            met = ratio <= TRANSFORMS if complete else None
            measured = _factor(ratio) if math.isfinite(ratio) else "fails"
            text = f"Empty box, {dim}-D: times the seconds of the transform solver, {words}"
            yield Verdict(5, text, f"at most {TRANSFORMS:g}", measured, met, where)


def _refusals(summary: SuiteSummary) -> Iterable[Verdict]:
    for record in of_kind(summary, "refusals"):
        rows = record["rows"]
        unclear = [row["case"] for row in rows if not row["clear"]]
        text = "Wrong input and hopeless settings end in a clear error or outcome"
        yield Verdict(
            6, text, f"all {len(rows)}", f"{len(rows) - len(unclear)}", not unclear, "; ".join(map(str, unclear))
        )
