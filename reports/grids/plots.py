"""Figures of the suite `multigrid`: iterations and seconds per unknown against the size, one curve per geometry."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..canvas import HEIGHT, WIDTH, Figure, canvas, save, slug
from ..style import BLUE, GREEN, GREY, MUTED, OLIVE, ORANGE, PURPLE, SKY, VERMILLION
from ..summary import SuiteSummary
from .numbers import MOST_SMOOTH, MOST_THIN, NAMES, PLAIN, edge_text, growth, total

__all__ = ["draw"]

Record = Mapping[str, Any]
LOOKS = {
    "box": (GREY, "o", "-"),
    "balls": (BLUE, "o", "-"),
    "walls": (ORANGE, "s", "-"),
    "comb": (VERMILLION, "D", "-"),
    "porous": (GREEN, "^", "-"),
    "random": (OLIVE, "v", "-"),
    "fno": (SKY, "P", "-"),
    "lognormal-1": (PURPLE, "<", ":"),
    "lognormal-4": (PURPLE, ">", "--"),
    "lognormal-9": (PURPLE, "X", "-"),
}


def draw(summary: SuiteSummary, folder: Path | None) -> list[Figure]:
    """Draw what the records of a suite allow, in the order of the page."""
    figures = []
    for dim in (3, 2):
        lines = {geometry: records for (d, geometry), records in growth(summary).items() if d == dim}
        lines = {geometry: records for geometry, records in lines.items() if len(records) > 1}
        if lines:
            figures += [_curves(summary.name, dim, lines, what, folder) for what in ("iterations", "seconds")]
    return figures


def _value(record: Record, what: str) -> float:
    """Return iterations or nanoseconds per unknown of the tuned setting; nan where it failed."""
    facts = record["variants"].get("tuned") or record["variants"].get(PLAIN)
    if facts is None or not facts["solved"]:
        return math.nan
    return float(facts["iterations"]) if what == "iterations" else 1e9 * total(facts) / int(record["n"])


def _curves(suite: str, dim: int, lines: Mapping[str, Sequence[Record]], what: str, folder: Path | None) -> Figure:
    counts = what == "iterations"
    with canvas(WIDTH, HEIGHT) as (drawing, _):
        axes = drawing.add_axes((0.115, 0.13, 0.575, 0.765))
        shapes: dict[int, str] = {}
        most = 2.0
        for geometry, records in lines.items():
            colour, marker, line = LOOKS.get(geometry, (GREY, "x", "-"))
            x = [max(record["shape"]) for record in records]
            y = [_value(record, what) for record in records]
            shapes |= {edge: edge_text(record["shape"]) for edge, record in zip(x, records, strict=True)}
            most = max([most, *(v for v in y if math.isfinite(v))])
            axes.plot(x, y, ls=line, marker=marker, ms=5.0, color=colour, label=NAMES.get(geometry, geometry))
        axes.set_xscale("log", base=2)
        axes.set_xticks(sorted(shapes), [shapes[edge] for edge in sorted(shapes)])
        axes.minorticks_off()
        if counts:
            left = min(shapes)
            for goal, where in ((MOST_SMOOTH, "box and balls"), (MOST_THIN, "walls and combs")):
                axes.axhline(goal, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=1.5)
                axes.annotate(
                    f"goal for {where}", (left, goal), (0, 3), textcoords="offset points", color=MUTED, fontsize=9
                )
            axes.set_ylim(0, max(most, MOST_THIN) * 1.08)
        else:
            from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axes.yaxis.set_minor_locator(NullLocator())
        title = (
            "Tuned multigrid: iterations to 1e-8" if counts else "Tuned multigrid: ns per unknown to 1e-8, with set-up"
        )
        axes.set_title(f"{title}, {dim}-D")
        axes.set_xlabel("cells")
        axes.set_ylabel("iterations of cg" if counts else "ns per unknown")
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.02), handlelength=2.0, labelspacing=0.5, borderaxespad=0)
        name = slug(f"{suite}-{what}-{dim}d")
        svg = save(drawing, folder, name)
    caption = (
        f"Tuned multigrid on grids of growing size in {dim} dimensions. A flat line is what multigrid promises; walls, "
        "teeth and random cells stay one cell thick while the grid is refined: another problem at every size."
    )
    if counts:
        caption += f" Dashed: the targets, {MOST_SMOOTH} on box and balls, {MOST_THIN} on walls and combs."
    return Figure(name, f"{title}, {dim}-D", caption, svg)
