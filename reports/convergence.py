"""The residual against products with A and against seconds, every curve named at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .canvas import DPI, HEIGHT, WIDTH, Figure, canvas, power, save, slug
from .style import MUTED, SURFACE, choose, look, shown
from .summary import Row

__all__ = ["convergence", "flag_rows", "line_style", "residual_figure"]


def convergence(suite: str, problem: str, label: str, rows: Sequence[Row], folder: Path | None, what: str) -> Figure:
    """Draw the residuals of one problem against `what`, "products" or "seconds"."""
    order = sorted(rows, key=lambda row: (not row.solved, row.total))
    names = choose([row.solver for row in rows], [row.solver for row in order])
    kept = [row for row in rows if row.solver in names and row.middle.get("history")]
    rtol = float(rows[0].first.get("rtol") or 1e-8)
    seconds = what == "seconds"
    with canvas() as (drawing, renderer):
        axes = drawing.add_axes((0.115, 0.13, 0.865, 0.765))
        ends, drawn = [], []
        left = math.inf
        for row in kept:
            history = row.middle["history"]
            x = np.array([math.nan if v is None else v for v in history[what]], dtype=float)
            y = np.array([math.nan if v is None else v for v in history["residual"]], dtype=float)
            keep = (x > 0) & np.isfinite(y)
            x, y = x[keep], np.maximum(y[keep], rtol * 1e-2)  # a direct solver falls out of the picture
            if not len(x):
                continue
            axes.plot(
                x,
                y,
                **line_style(row.solver),
                ms=5.0,
                markevery=_every(x, y),
                zorder=3 if not row.external else 2.5,
            )
            halved = np.flatnonzero(y < 0.5)
            if seconds and halved.size:
                left = min(left, float(x[halved[0]]), float(x[0]) if row.setup > 0.05 * row.total else math.inf)
            name = shown(row.solver) + ("" if row.solved else " (failed)")
            ends.append((x[-1], y[-1], name, look(row.solver).colour))
            drawn.append((x, y))
        axes.set_xscale("log")
        axes.set_yscale("log")
        first, last, highest = _range(drawn, rtol)
        if seconds and math.isfinite(left):  # the flat start of the slow ones is of no interest
            first = left * 0.75
        axes.set_xlim(first * 0.85, max(last, first) * 1.15)
        axes.set_ylim(rtol * 0.1, highest * 1.6)
        axes.axhline(rtol, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=1.5)
        axes.set_title("Residual against " + ("seconds, set-up included" if seconds else "products with A"))
        axes.set_xlabel("seconds" if seconds else "products with A, outside the preconditioner")
        axes.set_ylabel("relative true residual")
        plain_ticks(axes)
        _flags(axes, renderer, ends, rtol)
        name = slug(f"{suite}-{problem}-residual-{what}")
        svg = save(drawing, folder, name)
    if seconds:
        caption = (
            f"{label}: a curve begins where its set-up ends. The lower left is better; the dashed line is "
            "the tolerance "
            f"{power(rtol)}. The repeat with the median total time is drawn."
        )
    else:
        caption = (
            f"{label}: work in products with the matrix. A product inside a preconditioner (a multigrid "
            "cycle has several) "
            "does not count here; the clock on the right counts everything."
        )
    if len(kept) < len(rows):
        caption += " Not all methods are drawn; the table has the rest."
    return Figure(name, f"Residual against {what}", caption, svg, problem)


def line_style(solver: str) -> dict[str, Any]:
    """Return a solver's line and marker as Matplotlib keywords."""
    style = look(solver)
    open_marker = style.marker in "x+"
    return {
        "color": style.colour,
        "ls": style.line,
        "marker": style.marker,
        "mew": 1.2 if open_marker else 0.6,
        "mec": style.colour if open_marker else SURFACE,
    }


def _range(curves: Sequence[tuple[Any, Any]], rtol: float) -> tuple[float, float, float]:
    """Return the first and the last x and the highest y of all curves."""
    if not curves:
        return 1.0, 10.0, 1.0
    xs, ys = (np.concatenate(part) for part in zip(*curves, strict=True))
    return float(xs.min()), float(xs.max()), max(1.0, float(ys.max()), rtol)


def _every(x: Any, y: Any) -> list[int]:
    """Pick a few markers, evenly along the residual's descent; the last point is one."""
    depth = -np.log10(y)
    wanted = np.linspace(depth[0], depth[-1], 6)[1:]
    picks = {int(np.argmax(depth >= w - 1e-12)) if (depth >= w - 1e-12).any() else len(x) - 1 for w in wanted}
    return sorted(picks | {len(x) - 1})


def _flags(axes: Any, renderer: Any, ends: Sequence[tuple[float, float, str, str]], floor: float) -> None:
    """Name each curve with a flag that hangs from its end, below the tolerance, in as many rows as it takes.

    Placed from right to left: the pole of a flag further left never runs through a flag that is already
    there.
    """
    if not ends:
        return
    line = 12.5
    box = axes.get_window_extent(renderer)
    low, high = axes.get_xlim()
    widths = []
    for _, _, name, _ in ends:
        text = axes.text(0, 0, name, fontsize=8.0)
        widths.append(text.get_window_extent(renderer).width + 9.0)
        text.remove()
    # room on the right for the last flag: stretch the axis until every flag fits
    span = math.log10(high / low)
    for (x, _, _, _), width in zip(ends, widths, strict=True):
        share = 1.0 - width / box.width
        span = max(span, math.log10(x / low) / share if x > low else 0.0)
    high = low * 10**span
    axes.set_xlim(low, high)
    place = [math.log10(max(x, low) / low) / span * box.width for x, _, _, _ in ends]
    chosen = flag_rows(place, widths, [end[1] for end in ends])
    rows = 1 + max(row for row, _ in chosen)
    band = (rows * line + 9.0) / box.height
    top = math.log10(axes.get_ylim()[1])
    # what lies more than two decades below the tolerance (a direct solver) is cut off
    bottom = math.log10(max(min(floor, min(end[1] for end in ends)), floor * 1e-2))
    depth = (top - bottom) / (1.0 - band)
    axes.set_ylim(10 ** (top - depth), 10**top)
    decades = range(math.ceil(bottom - 1e-9), math.floor(top) + 1)
    step = 2 if len(decades) > 6 else 1
    axes.set_yticks([10.0**d for d in decades if d % step == 0])
    axes.minorticks_off()
    for i, (_, y, name, colour) in enumerate(ends):
        row, side = chosen[i]
        height = band - (row * line + line / 2 + 6.0) / box.height
        at = place[i] / box.width
        start = max((math.log10(y) - (top - depth)) / depth, band)
        axes.plot([at, at], [start, height], transform=axes.transAxes, color=colour, lw=0.8, alpha=0.75, zorder=1.8)
        axes.plot(
            [at, at + side * 4.5 / box.width],
            [height] * 2,
            transform=axes.transAxes,
            color=colour,
            lw=1.6,
            zorder=1.8,
        )
        axes.text(
            at + side * 6.5 / box.width,
            height,
            name,
            transform=axes.transAxes,
            fontsize=8.0,
            va="center_baseline",
            ha="left" if side > 0 else "right",
            zorder=4,
        )


def flag_rows(place: Sequence[float], widths: Sequence[float], heights: Sequence[float]) -> list[tuple[int, int]]:
    """Choose for each flag its row and its side (1: to the right of its pole, -1: to the left).

    To the right, a flag goes below all flags whose poles would cut it, which works from right to left. To
    the left only where no other pole stands in the way and that saves rows.
    """
    chosen: dict[int, tuple[int, int]] = {}
    taken: list[tuple[int, float, float]] = []
    for i in sorted(range(len(place)), key=lambda i: (-place[i], -heights[i])):
        right = place[i] + widths[i]
        row = 1 + max((r for j, (r, _) in chosen.items() if place[j] - 2.0 < right), default=-1)
        row = max(row, 1 + max((r for r, a, b in taken if a < right and b > place[i]), default=-1))
        side = 1
        alone = all(
            (abs(place[i] - p) < 1e-9 and j == i) or not place[i] - widths[i] - 4.0 < p <= place[i]
            for j, p in enumerate(place)
        )
        if row > 0 and alone and place[i] - widths[i] > 0:
            row, side = 0, -1
        left, end = (place[i], right) if side > 0 else (place[i] - widths[i], place[i])
        taken.append((row, left, end))
        chosen[i] = (row, side)
    return [chosen[i] for i in range(len(place))]


def plain_ticks(axes: Any) -> None:
    """Write the ticks of a logarithmic x axis as plain numbers where they are readable ones."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    axes.xaxis.set_major_locator(LogLocator(base=10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}" if 1e-3 <= v < 1e5 else power(v)))


def residual_figure(
    path: Path,
    title: str,
    residuals: Sequence[float],
    products: Sequence[float],
    seconds: Sequence[float],
    rtol: float,
) -> None:
    """Draw the residual of one solve against products with A and against seconds, side by side, into a file.

    Parameters
    ----------
    path : Path
        Target; its suffix chooses the format.
    title : str
        Title of the figure.
    residuals, products, seconds : sequence of float
        The history, one entry per iteration, the start included.
    rtol : float
        Tolerance, drawn as a line.
    """
    with canvas(2 * WIDTH, HEIGHT) as (drawing, _):
        for place, (x, label) in enumerate(((products, "products with A"), (seconds, "seconds, set-up included"))):
            axes = drawing.add_axes((0.065 + 0.495 * place, 0.13, 0.42, 0.765))
            style = look("cg")
            y = np.asarray(residuals, dtype=float)
            keep = y > 0
            dots = "o" if np.count_nonzero(keep) < 30 else None
            axes.plot(np.asarray(x, dtype=float)[keep], y[keep], color=style.colour, marker=dots, ms=4)
            axes.axhline(rtol, color=MUTED, lw=0.9, ls=(0, (2, 2)))
            axes.text(
                0.995,
                rtol,
                f"tolerance {power(rtol)}",
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="bottom",
                fontsize=8.0,
                color=MUTED,
            )
            axes.set_yscale("log")
            axes.set_xlim(left=0)
            axes.set_xlabel(label)
            if place == 0:
                axes.set_ylabel("relative true residual")
                axes.set_title(title)
        metadata = {"Date": None, "Creator": "ritzkit"} if path.suffix.lower() == ".svg" else None
        drawing.savefig(path, dpi=DPI, metadata=metadata)
