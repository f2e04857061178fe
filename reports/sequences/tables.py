"""Tables of the suites `recycling` and `datasets`: targets, seconds by family and arm, what recycling adds, datasets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..canvas import duration
from ..summary import SuiteSummary, median
from ..tables import Table, size, times
from .numbers import (
    PAIRS,
    TOLERANCES,
    best_fixed,
    called,
    gain,
    of_kind,
    over,
    per_sample,
    published,
    rate,
    ratios,
    targets,
)

__all__ = ["sections", "target_table"]

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
Record = Mapping[str, Any]


def target_table(summary: SuiteSummary) -> Table:
    """Return what the suite is to show, and what it shows."""
    rows = [[v.text, v.wanted, v.measured, v.word, v.note or DASH] for v in targets(summary)]
    notes = ["A quick run shows the numbers of its own small sizes and judges none that needs larger ones."]
    return Table(["target", "wanted", "measured", "", "on"], rows, notes=notes, wordy=True)


def _reproduction(summary: SuiteSummary) -> Table:
    head = ["SKR's set", "unknowns", "preconditioner", "tolerance", "GMRES(40) / SKR", "systems drawn again, 90 %",
            "middle half of the systems", "in the paper", "GMRES(40) / GMRES-DR", "GMRES-DR / SKR", "GMRES", "GMRES-DR",
            "SKR", "at the cap"]  # fmt: skip
    rows = []
    for record in of_kind(summary, "reproduction"):
        name = f"{record['set'].capitalize()}, {'as released' if record['slip'] else 'slip repaired'}"
        for t in TOLERANCES:
            whole, paper = ratios(record, t), published(record, t)
            counts = record["iterations"]
            means = [sum(counts[m][t]) / len(counts[m][t]) for m in ("gmres", "gmres-dr", "skr")]
            told = (
                DASH
                if paper[0] is None
                else f"{paper[0]:.3g}" + ("" if paper[1] == record["edge"] else f" ({paper[1] ** 2:,} unknowns)")
            )
            capped = record["capped"]["gmres"][t]
            rows.append([name, f"{record['n']:,}", record["preconditioner"], t, f"{whole.mean:.3g}",
                         f"{whole.least:.3g} to {whole.most:.3g}",
                         f"{whole.low:.3g} to {whole.high:.3g}", told, f"{ratios(record, t, 'gmres', 'gmres-dr').mean:.3g}",
                         f"{ratios(record, t, 'gmres-dr', 'skr').mean:.3g}", *(f"{m:,.0f}" for m in means),
                         f"{capped} of {record['few']}" if capped else ""])  # fmt: skip
    spans = sorted({(record["count"], record["few"]) for record in of_kind(summary, "reproduction")})
    notes = [
        "Iterations alone, preconditioned from the left as the paper did, so that the tolerance is on the preconditioned "
        "residual. Ratios are of means, as in the paper; the middle half is that of the systems' own ratios. At the cap of "
        "10,000 a run counts as 10,000, as in the paper. Numbers of systems (SKR; the others): "
        + "; ".join(f"{count}; {few}" for count, few in spans)
        + ".",
        "GMRES-DR(40, 20) deflates within a solve and hands nothing on: the first quotient is what deflation within one "
        "system gains, the second what carrying the space across systems adds to it.",
    ]
    return Table(head, rows, notes=notes)


def _cell(record: Record, name: str) -> str:
    facts = record["arms"].get(name)
    if facts is None:
        return ""
    seconds = rate(record, name)
    if not math.isfinite(seconds):
        return "✗"
    few = f" ({facts['count']})" if facts["count"] < record["count"] else ""
    return duration(seconds) + few


def _names(records: Sequence[Record], wanted: Callable[[Record], bool]) -> list[str]:
    return list(dict.fromkeys(name for r in records for name, facts in r["arms"].items() if wanted(facts)))


def _seconds(records: Sequence[Record], names: Sequence[str], notes: Sequence[str]) -> Table:
    rows, shades = [], []
    for record in records:
        cells = [_cell(record, name) for name in names]
        rates = [rate(record, name) for name in names]
        least = min((value for value in rates if math.isfinite(value)), default=math.nan)
        tint: list[float | None] = [
            min(math.log(value / least) / math.log(30.0), 1.0) if math.isfinite(value) and least > 0 else None
            for value in rates
        ]
        rows.append(
            [str(record["label"]), f"{record['n']:,}", f"{record['count']}", duration(record["draw_seconds"]), *cells]
        )
        shades.append([None, None, None, None, *tint])
    return Table(["family", "unknowns", "systems", "drawing", *map(called, names)], rows, shades, list(notes))


def _by_family(summary: SuiteSummary) -> Table:
    records = of_kind(summary, "sequence")
    names = [*_names(records, lambda facts: facts["role"] == "auto"), *_names(records, lambda f: f["role"] == "fixed")]
    notes = [
        "Seconds per system: ordering, assembly, set-up, solve and check of the true residual, one thread each; drawing, "
        "the same for all, stands apart. In brackets: solved so many consecutive systems, until its time was used up, and "
        "is not charged the first of them. ✗ failed; blank: not run.",
    ]
    rest = {entry for record in records for entry in record["without"]}
    notes += [f"Not run on the largest: {'; '.join(sorted(rest))}."] if rest else []
    absent = {f"{called(name)}: {why}" for record in records for name, why in record["missing"].items()}
    notes += [f"{text}." for text in sorted(absent)]
    return _seconds(records, names, notes)


def _ingredients(summary: SuiteSummary) -> Table:
    records = of_kind(summary, "sequence")
    names = ["sequence", *_names(records, lambda facts: facts["role"] == "ingredient")]
    return _seconds(
        records, names if records else [], ["A sequence solver with all ingredients, all but one, one, or none."]
    )


def _auto(summary: SuiteSummary) -> Table:
    rows = []
    for record in of_kind(summary, "sequence"):
        best = best_fixed(record)
        skr = min((n for n in record["arms"] if n.startswith("skr-") and math.isfinite(rate(record, n))),
                  key=lambda name: rate(record, name), default=None)  # fmt: skip
        row = [str(record["label"]), duration(rate(record, "auto")), called(best) if best else DASH]
        for other in (best, skr, "sequence"):
            row.append(times(over(record, other)))
            row.append(times(rate(record, other) / rate(record, "auto")) if other else DASH)
        rows.append(row)
    head = ["family", "auto", "best fixed arm", "best fixed / auto", "without drawing", "SKR / auto", "without drawing",
            "one by one / auto", "without drawing"]  # fmt: skip
    notes = ["Above 1: auto is faster. End to end, so with the drawing of the systems; beside it the same without."]
    return Table(head, rows, notes=notes)


def _recycling(summary: SuiteSummary) -> Table:
    rows = []
    for record in of_kind(summary, "sequence"):
        cells = []
        for _, without, using in PAIRS:
            seconds, steps = gain(record, without, using)
            cells += [_signed(seconds), _signed(steps)]
        rows.append([str(record["label"]), *cells])
    head = ["family"]
    for where, _, _ in PAIRS:
        head += [f"{where}: time", "iterations"]
    notes = [
        "What recycling a subspace across systems changes when nothing else does: minus saves, plus costs. Where the "
        "sequence solver finds that recycling does not pay, it stops; only its trials are left in the first column.",
    ]
    return Table(head, rows, notes=notes)


def _signed(ratio: float) -> str:
    if not math.isfinite(ratio):
        return DASH
    change = 100.0 * (ratio - 1.0)
    text = f"{abs(change):.0f}" if abs(change) < 9950 else "9,900+"
    return "0 %" if text == "0" else f"{'+' if change > 0 else MINUS}{text} %"


def _failures(summary: SuiteSummary) -> Table:
    rows = []
    for record in of_kind(summary, "sequence"):
        for name, facts in record["arms"].items():
            if facts["solved"]:
                continue
            first = facts["failed"][0] if facts["failed"] else None
            why = facts["error"] or ""
            if first is not None:
                residual = "not finite" if first["residual"] is None else f"{first['residual']:.0e}"
                why = f"{first['outcome']}, residual {residual}"
            rows.append([str(record["label"]), called(name), f"{len(facts['failed'])} of {facts['count']}", why])
    caps = {f"{record['cap']:,}" for record in of_kind(summary, "sequence")}
    notes = [f"No more than {' or '.join(sorted(caps))} products with A are allowed for a system."] if caps else []
    return Table(["family", "arm", "failed", "the first one"], rows, notes=notes, wordy=True)


def _abrupt(summary: SuiteSummary) -> Table:
    rows = []
    for record in of_kind(summary, "abrupt"):
        for row in record["rows"]:
            residual = DASH if row["residual"] is None else f"{row['residual']:.1e}"
            after = f"{row['after']['solved']} of {record['between']}"
            rows.append([row["case"], row["outcome"], residual, "as it should" if row["as_wanted"] else "✗", after])
    return Table(["in the middle of a sequence", "outcome", "true residual", "", "solved after it"], rows, wordy=True)


def _datasets(summary: SuiteSummary) -> Table:
    records = of_kind(summary, "dataset")
    own = next((per_sample(r) for r in records if r["solver"] == "auto"), math.nan)
    rows = []
    for r in records:
        parts = {key: median(run["chunk_seconds"][key] for run in r["runs"]) for key in ("draw", "solve", "write")}
        each = per_sample(r)
        if not math.isfinite(each):
            text = next(str(run["text"]) for run in r["runs"] if not run["valid"])
            rows.append([called(r["solver"]), f"{r['count']:,}", "✗", *[DASH] * 7, text])
            continue
        rows.append([called(r["solver"]), f"{r['count']:,}", duration(each), times(each / own),
                     duration(each * r["whole"]), *(duration(parts[k] / r["count"]) for k in parts),
                     duration(median(run["validate_seconds"] for run in r["runs"]) / r["count"]),
                     f"{max(run['worst'] for run in r['runs']):.1e}", f"{r['runs'][0]['iterations']:.1f}"])  # fmt: skip
    whole = next((f"{r['whole']:,}" for r in records), "")
    head = ["arm", "samples", "per sample", "over auto", f"for {whole}", "drawing", "solving", "writing", "validating",
            "worst true residual", "iterations"]  # fmt: skip
    notes = [
        "Wall-clock seconds of generate on two workers and of validate_dataset; drawing, solving and writing are per sample "
        "on one worker. An arm that made fewer samples than a whole dataset is charged its chunks and its validation alone, "
        "not the start of the workers; its seconds for the whole are its seconds per sample times the number.",
    ]
    return Table(head, rows, notes=notes)


def _curves(summary: SuiteSummary) -> Table:
    rows = []
    for record in of_kind(summary, "curve"):
        for point in record["points"]:
            total = point["seconds"] + point["validate_seconds"]
            rows.append([called(record["solver"]), f"{point['count']:,}", duration(total), duration(total / point["count"]),
                         size(point["bytes"]), "valid" if point["valid"] else "✗"])  # fmt: skip
    notes = ["Nothing is kept from one dataset to the next; where there are several chunks, a worker is started anew."]
    return Table(["arm", "samples", "seconds", "per sample", "on disk", ""], rows, notes=notes)


def _kills(summary: SuiteSummary) -> Table:
    rows = []
    for r in of_kind(summary, "kills"):
        moments = ", ".join(str(k["after"]) for k in r["killed"])
        rows.append([f"{r['count']:,} samples at {r['edge']}², chunks of {r['chunk']}", f"{len(r['killed'])}", moments,
                     "identical" if r["identical"] else "✗ " + ", ".join(r["differing"]), f"{r['files']}",
                     size(r["bytes"])])  # fmt: skip
    return Table(["run", "kills", "chunks done at each", "against an undisturbed run", "files", "bytes"], rows)


def sections(summary: SuiteSummary) -> list[tuple[str, Table]]:
    """Return all tables, each with its title; those without rows are left out."""
    found = [
        ("Targets", target_table(summary)),
        ("Auto against the best fixed arm and against SKR", _auto(summary)),
        ("Seconds per system", _by_family(summary)),
        ("What recycling alone contributes", _recycling(summary)),
        ("Ingredients of the sequence solver", _ingredients(summary)),
        ("SKR's iteration ratios, counted again", _reproduction(summary)),
        ("Failures", _failures(summary)),
        ("Bad systems in a sequence", _abrupt(summary)),
        ("Datasets by arm", _datasets(summary)),
        ("Datasets by number of samples", _curves(summary)),
        ("Killed and resumed", _kills(summary)),
    ]
    return [(title, table) for title, table in found if table.rows]
