"""Tables of the suite `multigrid`: targets, growth of the iterations, seconds, traffic and memory, batches, wrong input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..canvas import duration
from ..summary import TARGETS, SuiteSummary, median
from ..tables import Table, size, times
from .numbers import NAMES, edge_text, growth, of_kind, targets, total, variants

__all__ = ["growth_table", "sections", "target_table"]

DASH = "\N{EN DASH}"
Record = Mapping[str, Any]


def target_table(summary: SuiteSummary) -> Table:
    """Return what the suite is to show, and what it shows."""
    rows = [[v.text, v.wanted, v.measured, v.word, v.note or DASH] for v in targets(summary)]
    notes = [
        "A target is judged at the sizes that it names; a quick run shows the numbers of its own sizes and judges none that "
        "needs larger ones. Set-up is counted in every ratio."
    ]
    return Table(["target", "wanted", "measured", "", "on"], rows, notes=notes, wordy=True)


def growth_table(records: Mapping[str, Sequence[Record]], dim: int) -> Table:
    """Return iterations to the three accuracies: geometries and variants down, sizes across."""
    shapes = sorted({tuple(r["shape"]) for group in records.values() for r in group}, key=math.prod)
    rows = []
    for geometry, group in records.items():
        by_shape = {tuple(r["shape"]): r for r in group}
        for name in variants(group):
            cells = [_counts(by_shape.get(shape), name) for shape in shapes]
            rows.append([f"{NAMES.get(geometry, geometry)}, {name}", *cells])
    accuracies = ", ".join(reversed(TARGETS))
    notes = [f"cg with one multigrid cycle per iteration, to true relative residuals of {accuracies}. Blank: not run."]
    notes += [
        f"{NAMES.get(g, g)} {edge_text(r['shape'])}, {name} failed: {facts.get('text') or facts.get('outcome')}."
        for g, group in records.items()
        for r in group
        for name, facts in r["variants"].items()
        if not facts["solved"]
    ]
    return Table([f"iterations, {dim}-D", *map(edge_text, shapes)], rows, notes=notes)


def _counts(record: Record | None, name: str) -> str:
    facts = None if record is None else record["variants"].get(name)
    if facts is None:
        return ""
    if not facts["solved"]:
        return "✗"
    reached = facts["reached"]
    return ", ".join(DASH if reached.get(t) is None else str(reached[t]) for t in reversed(TARGETS))


def _seconds(records: Mapping[str, Sequence[Record]], dim: int) -> Table:
    head = [
        f"seconds, {dim}-D",
        "size",
        "unknowns",
        "variant",
        "set-up",
        "solve",
        "total",
        "ns per unknown",
        "memory of M",
    ]
    head += ["over transforms", "true residual"]
    rows = []
    for geometry, group in records.items():
        for record in group[-1:] if geometry != "box" else group:
            direct = total(record["variants"].get("transforms"))
            for name, facts in record["variants"].items():
                over = times(total(facts) / direct) if name != "transforms" else DASH
                label = [NAMES.get(geometry, geometry), edge_text(record["shape"]), f"{int(record['n']):,}", name]
                if not facts["solved"]:
                    rows.append([*label, *["failed"] * 3, *[DASH] * 4])
                    continue
                both = total(facts)
                rows.append([*label, duration(median(facts["setup_seconds"])), duration(median(facts["solve_seconds"])),
                             duration(both), f"{1e9 * both / int(record['n']):.3g}", size(facts["memory_bytes"]),
                             over, f"{facts['residual']:.1e}"])  # fmt: skip
    notes = ["The largest size of every geometry; on the empty box all sizes. One run, medians of several on the box."]
    return Table(head, rows, notes=notes)


def _traffic(summary: SuiteSummary) -> Table:
    head = [
        "geometry",
        "size",
        "per iteration",
        "ns per unknown",
        "bytes per unknown",
        "bandwidth of a copy",
        "over a copy",
    ]
    head += ["operator", "preconditioner", "all, at the peak", "words per unknown"]
    rows, notes = [], []
    for record in of_kind(summary, "traffic"):
        name = NAMES.get(record["geometry"], str(record["geometry"]))
        n, moved = int(record["n"]), sum(record["bytes"].values())
        seconds, rate = median(record["iteration_seconds"]), median(record["copy_bytes_per_second"])
        held = record.get("total_bytes")
        rows.append([name, edge_text(record["shape"]), duration(seconds), f"{1e9 * seconds / n:.3g}", f"{moved:.0f}",
                     f"{rate / 1e9:.1f} GB/s", times(seconds / (moved * n / rate)),
                     size(record["operator_bytes"]), size(record["preconditioner_bytes"]), size(held),
                     f"{held / 8 / n:.1f}" if held else DASH])  # fmt: skip
        parts = "; ".join(f"{part}, {value:.3g}" for part, value in record["bytes"].items())
        notes.append(f"Bytes per unknown, {name}: {parts}.")
    notes.append(
        "Copies count bytes read and bytes written, on all threads, in turn with the iterations. The peak holds operator, "
        "right-hand side, hierarchy and all vectors of cg."
    )
    return Table(head, rows, notes=notes)


def _batch(summary: SuiteSummary) -> Table:
    head = ["systems", "together, per system", "one by one, per system", "ratio", "iterations together", "one by one"]
    rows = []
    for record in of_kind(summary, "batch"):
        each = {name: median(values) / int(record["count"]) for name, values in record["seconds"].items()}
        spans = {name: f"{min(counts)} to {max(counts)}" for name, counts in record["iterations"].items()}
        rows.append([str(record["label"]), duration(each["together"]), duration(each["one by one"]),
                     times(each["one by one"] / each["together"]) if record["solved"] else "failed",
                     spans["together"], spans["one by one"]])  # fmt: skip
    return Table(head, rows)


def _refusals(summary: SuiteSummary) -> Table:
    rows = [
        [row["case"], "clear" if row["clear"] else "✗", row["text"]]
        for record in of_kind(summary, "refusals")
        for row in record["rows"]
    ]
    return Table(["case", "", "what is said"], rows, wordy=True)


def sections(summary: SuiteSummary) -> list[tuple[str, Table]]:
    """Return all tables, each with its title; those without rows are left out."""
    lines = growth(summary)
    found = [("Targets", target_table(summary))]
    for dim in (3, 2):
        group = {geometry: records for (d, geometry), records in lines.items() if d == dim}
        found.append((f"Iterations, {dim}-D", growth_table(group, dim)))
        found.append((f"Seconds, {dim}-D", _seconds(group, dim)))
    found += [
        ("An iteration against a plain copy, and memory", _traffic(summary)),
        ("Many systems on one grid", _batch(summary)),
        ("Wrong input", _refusals(summary)),
    ]
    return [(title, table) for title, table in found if table.rows]
