"""Tables of sparse products: targets, all inputs, one input, the SMASH ladder, update, latency, PageRank."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..canvas import duration
from ..style import shown
from ..summary import SuiteSummary, median
from ..tables import Table, size, times
from .numbers import LARGE, SMALL, Product, Verdict, extras, of_kind, products, targets

__all__ = ["THREADS_NOTE", "extra_table", "input_table", "ladder_table", "overview", "sections", "target_table"]

DASH = "\N{EN DASH}"
THREADS_NOTE = (
    "All are allowed the same number of threads, but not all use them: SciPy's product and its sort of the columns, and "
    "PyAMG's set-up, are serial."
)
LADDER = ("smash-v1", "smash-v2", "smash-v3", "spgemm")

# column title, our method, the opponent
RATIOS = (
    ("SciPy", "spgemm-any", "scipy"),
    ("SciPy + sort", "spgemm", "scipy-sort"),
    ("MKL", "spgemm-any", "mkl"),
    ("MKL + sort", "spgemm", "mkl-sort"),
    ("GraphBLAS", "spgemm-any", "graphblas"),
    ("GraphBLAS to CSR", "spgemm", "graphblas-csr"),
    ("torch", "spgemm-any", "torch"),
    ("plan: SciPy", "plan", "scipy"),
    ("plan: MKL", "plan", "mkl"),
    ("plan: MKL staged", "plan-values", "mkl-staged"),
)


def _verdicts(verdicts: Sequence[Verdict]) -> Iterator[list[str]]:
    for verdict in verdicts:
        goal, (where, least) = verdict.goal, verdict.worst
        floor, reached = DASH, DASH
        if goal.floor is not None:
            floor = times(goal.floor) + (" on every input" if goal.share == 1 else f" on {goal.share:.0%}")
            reached = f"{verdict.above:.0%}" if verdict.ratios else DASH
        worst = f"{times(least)} ({where})" if where else DASH
        if verdict.note:
            worst = verdict.note
        yield [
            goal.text,
            times(goal.target) if goal.target is not None else DASH,
            times(verdict.measured) if verdict.ratios else DASH if verdict.installed else "not installed",
            floor,
            reached,
            worst,
            str(len(verdict.ratios)) if verdict.ratios else DASH,
            verdict.text or DASH,
        ]


def target_table(summary: SuiteSummary) -> Table:
    """Return what the suite is to show, and what it shows."""
    head = ["comparison", "target", "measured", "floor", "at or above", "worst input", "inputs", ""]
    notes = [
        f"Opponent's median time over ours, geometric mean over the inputs with at least {LARGE:,} multiply-adds (small "
        f"products: under {SMALL:,}). A method that fails on an input is below the floor and in no mean. Sorted is compared "
        "with sorted, any order with any order.",
        THREADS_NOTE,
    ]
    if all(not v.ratios for v in targets(summary)):
        notes = ["Nothing to compare yet."]
    return Table(head, list(_verdicts(targets(summary))), notes=notes, wordy=True)


def extra_table(summary: SuiteSummary) -> Table:
    """Return further comparisons, without a target."""
    head = ["comparison", "measured", "worst input", "inputs"]
    rows = [[row[0], row[2], row[5], row[6]] for row in _verdicts(extras(summary))]
    notes = [
        "MKL's staged product keeps its pattern and computes values alone, as a plan does; its result stays in MKL's "
        "memory, in MKL's order, and is not copied. The numeric phase of a plan is the call plan(A, B) with its check of "
        "the patterns; values alone is plan.multiply(a, b, out)."
    ]
    notes += _left_out(products(summary))
    return Table(head, rows, notes=notes, wordy=True)


def _left_out(inputs: Sequence[Product]) -> list[str]:
    """Say which methods are left out of how many inputs, and why."""
    found: dict[tuple[str, str], int] = {}
    for product in inputs:
        for name, facts in product.methods.items():
            if facts["status"] == "left out":
                key = (shown(name), str(facts.get("text", "")))
                found[key] = found.get(key, 0) + 1
    return [f"{name} is left out of {count} of {len(inputs)} inputs: {text}." for (name, text), count in found.items()]


def _ratio(product: Product, ours: str, theirs: str) -> tuple[str, float | None]:
    """Cell and tint: only where the opponent is faster is there a tint."""
    status = product.status(theirs)
    if status in ("not installed", "failed", "left out"):
        return status, None
    ratio = product.ratio(ours, theirs)
    if math.isnan(ratio):
        return DASH, None
    if ratio == 0:
        return "failed", None
    return times(ratio), min(1.0, max(0.08, math.log(1 / ratio) / math.log(5.0))) if ratio < 1 else None


def overview(summary: SuiteSummary) -> Table:
    """Return one row per input: size, compression, cost of a multiply-add, ratios to all peers."""
    head = [
        "input",
        "multiply-adds",
        "compression",
        "ns each, sorted",
        "any order",
        "plan",
        "GFLOP/s, sorted",
        *(title for title, _, _ in RATIOS),
        "threads over 1",
    ]
    rows: list[list[str]] = []
    shades: list[list[float | None]] = []
    for product in products(summary):
        ratios = [_ratio(product, ours, theirs) for _, ours, theirs in RATIOS]
        speedup = product.ratio("spgemm", "spgemm@1")
        rows.append(
            [
                product.label,
                f"{product.multiply_adds:,}",
                _number(product.compression, ".2f"),
                *(_number(product.nanoseconds(m), ".3g") for m in ("spgemm", "spgemm-any", "plan")),
                _number(product.gigaflops("spgemm"), ".2f"),
                *(cell for cell, _ in ratios),
                times(speedup) if speedup > 0 else DASH,
            ]
        )
        shades.append([None] * 7 + [shade for _, shade in ratios] + [None])
    notes = [
        "Compression: multiply-adds over entries of C. Ratios are the opponent's median time over ours (sorted against "
        "sorted, any order against any order); tinted where the opponent is faster. GFLOP/s counts two operations for "
        "each multiply-add."
    ]
    notes += _left_out(products(summary))
    notes += [f"Skipped: {record['label']} ({record['text']})." for record in of_kind(summary, "skipped")]
    return Table(head, rows, shades, notes)


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else DASH


def input_table(product: Product) -> Table:
    """Everything about one input: a row per method."""
    head = [
        "method",
        "threads",
        "columns",
        "median",
        "fastest",
        "ns each",
        "GFLOP/s",
        "over sorted spgemm",
        "peak memory",
        "answer",
    ]
    rows, notes = [], []
    own = product.seconds("spgemm")
    for name, facts in product.methods.items():
        base, _, one = name.partition("@")
        title = shown(base) + (f", {one} thread" if one else "")
        if facts["status"] != "ok":
            rows.append([title, "", "", str(facts["status"]), *[DASH] * 6])
            if facts.get("text"):
                notes.append(f"{title} {facts['status']}: {facts['text']}.")
            continue
        held = facts.get("held_bytes")
        memory = size(facts.get("peak_bytes")) + (f" + {size(held)} held" if held else "")
        rows.append(
            [
                title,
                str(facts["threads"]),
                "sorted" if facts["order"] == "sorted" else "any order",
                duration(product.seconds(name)),
                duration(product.fastest(name)),
                _number(product.nanoseconds(name), ".3g"),
                _number(product.gigaflops(name), ".2f"),
                times(product.seconds(name) / own) if own > 0 else DASH,
                memory,
                "SciPy's to the bit" if facts["exact"] else f"differs by {facts['deviation']:.0e}",
            ]
        )
    record = product.record
    wanted, rounds = int(record["repeats"]), int(record["rounds"])
    if rounds < wanted:
        notes.append(f"{rounds} of {wanted} rounds: the input is large, or the machine was busy.")
    if record.get("cancelled"):
        notes.append(f"{int(record['cancelled']):,} entries cancel to zero: SciPy drops them, a plan has to keep them.")
    return Table(head, rows, notes=list(dict.fromkeys(notes)))


def ladder_table(summary: SuiteSummary) -> Table:
    """Return nanoseconds per multiply-add on the SMASH ladder, with the gain over the first step."""
    head = ["input", *(shown(name) for name in LADDER)]
    rows = []
    for product in ladder(summary):
        cells = []
        for name in LADDER:
            gain = product.ratio(name, "smash-v1")
            cell = f"{_number(product.nanoseconds(name), '.3g')} ns"
            cells.append(f"{cell} ({times(gain)})" if gain > 0 else product.status(name) or DASH)
        rows.append([product.label, *cells])
    return Table(
        head, rows, notes=["Nanoseconds for each multiply-add, and the gain over V1. All deliver sorted rows."]
    )


def ladder(summary: SuiteSummary) -> list[Product]:
    """Return the inputs on which the SMASH variants ran."""
    return [p for p in products(summary) if p.status("smash-v1") == "ok"]


def _update(summary: SuiteSummary) -> Table:
    head = ["matrix", "update", "our set-up", "PyAMG's set-up", "ratio", "cg after update", "cg after set-up"]
    rows = []
    for record in of_kind(summary, "update"):
        seconds = {name: median(values) for name, values in record["seconds"].items()}
        rows.append(
            [
                f"{record['label']}, {int(record['n']):,} unknowns",
                duration(seconds["update"]),
                duration(seconds["setup"]),
                duration(seconds["pyamg"]),
                times(seconds["pyamg"] / seconds["update"]),
                f"{record['iterations_update']} iterations",
                f"{record['iterations_fresh']} iterations",
            ]
        )
    notes = [
        "Same pattern, other entries: the coefficient is a smooth wave that moves on. The first update lays the plans "
        f"({duration(median(r.get('first_update_seconds') for r in of_kind(summary, 'update')))}) and is not in the median. "
        "PyAMG's set-up is serial."
    ]
    return Table(head, rows, notes=notes)


def _latency(summary: SuiteSummary) -> Table:
    head = ["call", "import", "cold", "cached", "warm", "SciPy's first"]
    rows, notes = [], []
    for record in of_kind(summary, "latency"):
        for row in record["rows"]:
            call = {"spgemm": "spgemm(A, A)", "plan": "SpGEMMPlan(A, A)(A, A)"}[row["what"]]
            size_text = f"{row['edge']}{'²' if row['points'] == 5 else '³'}"
            name = f"{call}, {row['points']}-point {size_text}"
            if "cached" not in row:
                rows.append([name, *["failed"] * 5])
                notes.append(f"{name} failed: {row.get('text', '')}.")
                continue
            cold, cached = row["cold"], row["cached"]
            rows.append([name, *map(duration, (cached["import"], cold["first"], cached["first"])),
                         duration(cached["warm"]), duration(cached["scipy"])])  # fmt: skip
    notes.append(
        "Fresh processes. Cold: nothing compiled yet; cached: the second process finds Numba's cache; warm: the fastest of "
        "the five calls that follow. Import is that of ritzkit.linalg after NumPy and SciPy."
    )
    return Table(head, rows, notes=notes)


def _pagerank(rows: Sequence[Mapping[str, Any]]) -> Table:
    head = ["graph", "vertices", "batch", "method", "index built in", "time", "error (1-norm)", "precision at 50"]
    cells = [
        [
            str(row["graph"]),
            f"{int(row['n']):,}",
            f"{int(row['batch']):,}",
            str(row["method"]),
            duration(row["build_seconds"]) if row.get("build_seconds") else "",
            duration(median([row.get("seconds")])),
            f"{row['l1_error']:.1e}" if row.get("l1_error") is not None else DASH,
            f"{row['precision_at_50']:.3f}" if row.get("precision_at_50") is not None else DASH,
        ]
        for row in rows
    ]
    notes = [
        "Below each case of ours, power iteration with as many steps as reach its error: our own fused one, and SciPy's "
        "products with a dense block. Errors are means over the batch against power iteration to 1e-10; the index is built "
        "once per graph."
    ]
    return Table(head, cells, notes=notes)


def sections(summary: SuiteSummary) -> list[tuple[str, Table]]:
    """Return all tables that are not about one input, each with its title; those without rows are left out."""
    pagerank = [row for record in of_kind(summary, "pagerank") for row in record["rows"]]
    found = [
        ("Targets", target_table(summary)),
        ("Further comparisons", extra_table(summary)),
        ("All inputs", overview(summary)),
        ("The SMASH ladder on a CPU", ladder_table(summary)),
        ("Multigrid on a fixed pattern", _update(summary)),
        ("First product of a process", _latency(summary)),
        ("Personalised PageRank", _pagerank(pagerank)),
    ]
    return [(title, table) for title, table in found if table.rows]
