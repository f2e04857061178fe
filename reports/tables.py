"""Tables from the records: Markdown for files, HTML for the page, both from the same cells.

One table per problem: iterations, products with A, set-up, solve, total, the ratio to the best and to
SciPy's own method. Failures are rows too, with their reason in place of a time. One overview per suite:
ratios to the best, problem by problem.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .canvas import duration
from .style import shown
from .summary import Row, SuiteSummary, median

__all__ = ["Table", "kernel_ratio", "kernel_table", "markdown", "overview", "problem_table", "size", "times"]


@dataclass(frozen=True)
class Table:
    """Cells as text, with what the two outputs need to know about them.

    Attributes
    ----------
    head : list of str
        Column titles.
    rows : list of list of str
        Cells.
    shades : list of list of float or None
        For each cell a tint from 0 (best) to 1 (worst), or None.
    notes : list of str
        Lines below the table.
    wordy : bool
        Whether cells hold words that may wrap, rather than numbers.
    """

    head: list[str]
    rows: list[list[str]]
    shades: list[list[float | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    wordy: bool = False

    def markdown(self) -> str:
        """Return a Markdown table: first column to the left, the others to the right."""
        lines = [self.head, [":--", *["--:"] * (len(self.head) - 1)], *self.rows]
        text = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return text + "".join(f"\n\n{note}" for note in self.notes) + "\n"

    def html(self) -> str:
        """Return an HTML table inside a box that scrolls by itself."""
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.head)
        body = []
        for i, row in enumerate(self.rows):
            cells = [f'<th scope="row">{html.escape(row[0])}</th>']
            for j, cell in enumerate(row[1:], start=1):
                shade = self.shades[i][j] if self.shades else None
                style = "" if shade is None else f' style="--t:{shade:.2f}"'
                mark = ' class="best"' if shade == 0 else ' class="shade"' if shade is not None else ""
                mark = ' class="bad"' if cell.startswith(("failed", "missed")) or cell == "✗" else mark
                cells.append(f"<td{mark}{style}>{html.escape(cell)}</td>")
            body.append(f"<tr>{''.join(cells)}</tr>")
        notes = "".join(f"<p class='note'>{html.escape(note)}</p>" for note in self.notes)
        kind = ' class="wordy"' if self.wordy else ""
        table = f"<table{kind}><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        return f'<div class="scroll">{table}</div>{notes}'


def times(ratio: float) -> str:
    """Write a ratio.

    Examples
    --------
    >>> times(2.345)[:-1], times(123.4)[:-1]
    ('2.35', '123')
    """
    if not math.isfinite(ratio):
        return "\N{EN DASH}"
    return (
        f"{ratio:.2f}\N{MULTIPLICATION SIGN}"
        if ratio < 9.995
        else f"{ratio:.1f}\N{MULTIPLICATION SIGN}"
        if ratio < 99.95
        else f"{ratio:,.0f}\N{MULTIPLICATION SIGN}"
    )


def _shade(ratio: float) -> float:
    """Tint of a ratio to the best: nothing at 1, full at 30."""
    return 0.0 if ratio <= 1.0 else min(1.0, max(0.05, math.log(ratio) / math.log(30.0)))


def size(count: float | None) -> str:
    """Write a number of bytes.

    Examples
    --------
    >>> size(3 * 2**20), size(2048), size(None)
    ('3.0 MB', '2.0 kB', '?')
    """
    if count is None:
        return "?"
    if count == 0:
        return "\N{EN DASH}"
    return f"{count / 2**20:.1f} MB" if count >= 2**20 / 10 else f"{count / 2**10:.1f} kB"


def problem_table(summary: SuiteSummary, problem: str) -> Table:
    """Everything about one problem: a row per solver, fastest first, failures last."""
    rows = sorted(summary.of(problem), key=lambda row: (not row.solved, row.total if row.solved else 0.0))
    best, scipy = summary.best(problem), summary.scipy(problem)
    head = [
        "solver",
        "iterations",
        "products",
        "set-up",
        "solve",
        "total",
        "to the best",
        "to SciPy",
        "to 1e-4",
        "to 1e-6",
        "memory of M",
        "true residual",
    ]
    cells: list[list[str]] = []
    shades: list[list[float | None]] = []
    for row in rows:
        line = [
            shown(row.solver),
            f"{row.iterations:,}",
            f"{row.products:,}",
            duration(row.setup),
            duration(row.solve),
        ]
        tint: list[float | None] = [None] * len(head)
        if row.solved and best is not None:
            ratio = row.total / best.total if best.total > 0 else 1.0
            tint[6] = _shade(ratio)
            line += [
                duration(row.total),
                times(ratio),
                times(row.total / scipy.total) if scipy else "\N{EN DASH}",
            ]
        else:
            line += ["failed", "\N{EN DASH}", "\N{EN DASH}"]
        line += [duration(row.reached(target, "seconds")) for target in ("1e-4", "1e-6")]
        line += [
            size(row.first.get("memory_bytes")),
            f"{row.residual:.1e}" if math.isfinite(row.residual) else "not finite",
        ]
        cells.append(line)
        shades.append(tint)
    notes = [f"{shown(row.solver)} failed: {reason(row)}" for row in rows if not row.solved]
    wanted = max(int(row.first.get("repeats") or 1) for row in rows)
    fewest = min((len(row.runs) for row in rows if row.solved), default=wanted)
    if fewest < wanted:
        notes.append(
            f"Only {fewest} of {wanted} repeats: the problem was slow for a quick run, or the run was interrupted."
        )
    spread = [row.spread for row in rows if row.solved and math.isfinite(row.spread)]
    if spread:
        notes.append(f"Slowest over fastest repeat: {median(spread):.2f} in the middle, {max(spread):.2f} at worst.")
    return Table(head, cells, shades, notes)


def reason(row: Row) -> str:
    """Why a row counts as failed, in one sentence."""
    failed = next(run for run in row.runs if not run["solved"])
    name = str(failed["outcome"]).replace("_", " ").lower()
    text = str(failed.get("text") or "").rstrip(".")
    return f"{name} after {int(failed['matvecs'] or 0):,} products ({text})."


def overview(summary: SuiteSummary) -> Table:
    """Return total time over the best total time: problems down, solvers across."""
    solvers = summary.solvers
    table = {(row.problem, row.solver): row for row in summary.rows}
    cells: list[list[str]] = []
    shades: list[list[float | None]] = []
    for problem in summary.problems:
        best = summary.best(problem)
        line = [summary.label(problem)]
        tint: list[float | None] = [None]
        for solver in solvers:
            row = table.get((problem, solver))
            if row is None:
                line.append("")
                tint.append(None)
            elif not row.solved or best is None:
                line.append("✗")
                tint.append(None)
            else:
                ratio = row.total / best.total if best.total > 0 else 1.0
                line.append(times(ratio))
                tint.append(_shade(ratio))
        line.append(duration(best.total) if best else "\N{EN DASH}")
        cells.append(line)
        shades.append([*tint, None])
    notes = [
        "Total time, set-up included, over the fastest on that problem (whose time is in the last column). ✗ "
        "failed; blank: not run."
    ]
    return Table(["problem", *map(shown, solvers), "fastest"], cells, shades, notes)


def kernel_ratio(record: Any) -> float:
    """How many times as fast as the opponent (medians); 0 where the answers differ."""
    if not record.get("same_answer", True):
        return 0.0
    ours, theirs = median(record["ours_seconds"]), median(record["theirs_seconds"])
    return theirs / ours if ours > 0 else math.inf


def kernel_table(summary: SuiteSummary) -> Table:
    """Return the kernel comparisons with their targets."""
    cells = []
    for record in summary.kernels:
        ratio = kernel_ratio(record)
        met = "met" if ratio >= float(record["target"]) else "missed"
        if not record.get("same_answer", True):
            met = "answers differ"
        cells.append(
            [
                str(record["label"]),
                f"{record['ours']}: {duration(median(record['ours_seconds']))}",
                f"{record['theirs']}: {duration(median(record['theirs_seconds']))}",
                times(ratio),
                times(float(record["target"])),
                met,
            ]
        )
    return Table(["operation", "ours", "opponent", "ratio", "target", ""], cells)


def markdown(summaries: Sequence[SuiteSummary], findings: Sequence[str]) -> str:
    """All tables of all suites as one Markdown document."""
    from .grids.page import markdown as grids  # their tables are made with those of this module
    from .products.page import markdown as products
    from .sequences import page as sequences

    parts = ["# Benchmark results\n"]
    parts += [f"- {sentence}" for sentence in findings]
    for summary in summaries:
        parts.append(f"\n## {summary.name}\n")
        if summary.kernels:
            parts.append(kernel_table(summary).markdown())
        if summary.others:
            own = sequences.markdown if summary.name in sequences.NAMES else products
            parts.append(grids(summary) if summary.name == "multigrid" else own(summary))
        if summary.rows:
            parts.append(overview(summary).markdown())
        for problem in summary.problems:
            first = summary.of(problem)[0].first
            parts.append(
                f"\n### {summary.label(problem)}\n\n{int(first['n']):,} unknowns, {int(first['nnz']):,} entries.\n"
            )
            parts.append(problem_table(summary, problem).markdown())
    return "\n".join(parts).rstrip() + "\n"
