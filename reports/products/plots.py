"""Figures of sparse products: targets, performance profiles, speed-up against compression, the SMASH ladder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..canvas import HEIGHT, WIDTH, Figure, canvas, save, slug
from ..convergence import line_style
from ..style import INK, MUTED, SURFACE, look, shown
from ..summary import SuiteSummary
from .numbers import LARGE, Product, Verdict, products, shares, targets
from .tables import LADDER, ladder

__all__ = ["draw"]

TIMES = "\N{MULTIPLICATION SIGN}"
ANY = ("spgemm-any", "spgemm", "scipy", "mkl", "graphblas")  # torch does not run on the largest
SORTED = ("spgemm", "scipy-sort", "mkl-sort", "graphblas-csr")

BEHIND = {"boxstyle": "square,pad=0.12", "fc": SURFACE, "ec": "none"}

# our method, opponent, in which panel
CLOUDS = (
    ("spgemm", "scipy-sort", "scipy"),
    ("spgemm-any", "scipy", "scipy"),
    ("plan", "scipy", "scipy"),
    ("spgemm", "mkl-sort", "mkl"),
    ("spgemm-any", "mkl", "mkl"),
    ("plan", "mkl", "mkl"),
)


def draw(summary: SuiteSummary, folder: Path | None) -> list[Figure]:
    """Draw what the records of a suite allow, in the order of the page."""
    inputs = products(summary)
    if not inputs:
        return []
    figures = [_targets(summary.name, targets(summary), folder)]
    large = [p for p in inputs if p.multiply_adds >= LARGE]
    for methods, what in ((SORTED, "sorted"), (ANY, "any order")):
        present = [m for m in methods if any(p.status(m) == "ok" for p in large)]
        if len(large) > 1 and len(present) > 1:
            figures.append(_profile(summary.name, large, present, what, folder))
    for opponent, title in (("scipy", "SciPy"), ("mkl", "MKL")):
        if any(p.status(opponent) == "ok" for p in inputs):
            figures.append(_scatter(summary.name, inputs, opponent, title, folder))
    steps = ladder(summary)
    if steps:
        figures.append(_ladder(summary.name, steps, folder))
    return figures


def _bars_of_gains(axes: Any, least: float, most: float) -> None:
    """Prepare axes for horizontal bars of factors: a line at 1, no scale beside the bars."""
    axes.axvline(1.0, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=1)
    axes.set_xscale("log")
    axes.set_xlim(least, most)
    _factor_axis(axes.xaxis, least, most)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)


def _factor_axis(axis: Any, low: float, high: float) -> None:
    """Ticks of a logarithmic axis of factors."""
    steps = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)
    ticks = [t for t in steps if low <= t <= high]
    if high / low < 12:
        ticks = sorted({*ticks, *(t for t in (0.7, 1.5, 3, 4, 7) if low <= t <= high)})
    axis.set_ticks(ticks, [f"{t:g}{TIMES}" for t in ticks])
    axis.minorticks_off()


def _targets(suite: str, verdicts: Sequence[Verdict], folder: Path | None) -> Figure:
    shown_ones = [v for v in verdicts if v.ratios and v.goal.target is not None]
    count = max(1, len(shown_ones))
    height = 0.95 + 0.5 * count
    with canvas(WIDTH, height) as (drawing, _):
        axes = drawing.add_axes((0.05, 0.5 / height, 0.915, 1 - 0.92 / height))
        values = [r for v in shown_ones for r in v.ratios.values() if r > 0]
        wanted = [v.goal.target for v in shown_ones if v.goal.target]
        least, most = min([*values, 0.9]) / 1.15, max([*values, *wanted, 2.0]) * 1.25
        for place, verdict in enumerate(shown_ones):
            y = count - 1 - place
            target = verdict.goal.target or math.nan
            colour = look("sa-amg-cg" if verdict.text == "met" else "mic-cg").colour
            axes.barh(y - 0.16, verdict.measured - least, left=least, color=colour, height=0.3)
            singles = [r for r in verdict.ratios.values() if r > 0]
            if len(singles) > 1:
                axes.plot(singles, [y - 0.16] * len(singles), "|", color=INK, ms=6.5, mew=0.9, alpha=0.6, zorder=5)
            axes.plot([target] * 2, [y - 0.36, y + 0.04], color=INK, lw=2.2, zorder=6)
            text = f"{verdict.goal.text}: {verdict.measured:.3g}{TIMES} (target {target:g}{TIMES})"
            axes.text(least * 1.005, y + 0.22, text, fontsize=8.3, va="center", zorder=7, bbox=BEHIND)
        _bars_of_gains(axes, least, most)
        axes.set_ylim(-0.55, count - 0.5)
        axes.set_xlabel("times as fast as the opponent")
        axes.set_title("Targets")
        name = slug(f"{suite}-targets")
        svg = save(drawing, folder, name)
    caption = (
        "Bar: geometric mean over the inputs, each of which is a thin stroke; thick stroke: the target; dashed: equality. "
        "Green where target and floor are met."
    )
    return Figure(name, "Targets", caption, svg)


def _profile(suite: str, inputs: Sequence[Product], methods: Sequence[str], what: str, folder: Path | None) -> Figure:
    curves = shares(inputs, methods)
    finite = [f for factors, _ in curves.values() for f in factors]
    most = min(2.0 ** math.ceil(math.log2(max([*finite, 2.0]) * 1.05)), 64.0)
    common = sum(all(p.status(m) in ("ok", "failed") for m in methods) for p in inputs)
    with canvas(WIDTH, HEIGHT * 0.86) as (drawing, _):
        axes = drawing.add_axes((0.125, 0.15, 0.555, 0.735))
        for place, method in enumerate(methods):
            factors, reached = curves[method]
            # from the axis up at its first factor, and on to the right edge; marks only where it rises
            points = [(f, s) for f, s in zip(factors, reached, strict=False) if s > 0 and f <= most] or [(most, 0.0)]
            foot = [(points[0][0], 0.0)] if points[0][0] > 1 else []  # no line on top of the left edge
            x, y = zip(*foot, *points, (most, points[-1][1]), strict=True)
            marks = list(range(len(foot), len(x) - 1)) if y[-1] > 0 else []
            axes.step(
                x, y, where="post", ms=4.2, zorder=5 - place * 0.05, label=shown(method), clip_on=False,
                markevery=marks, **line_style(method),
            )  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xlim(1.0, most)
        axes.set_ylim(0.0, 1.02)
        ticks = [2.0**k for k in range(int(math.log2(most)) + 1)]
        axes.set_xticks(ticks, [f"{t:g}{TIMES}" for t in ticks])
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
        axes.minorticks_off()
        axes.set_title(f"Who is within a factor of the fastest: {what}")
        axes.set_xlabel("factor of the fastest time")
        axes.set_ylabel("share of inputs")
        axes.legend(loc="upper left", bbox_to_anchor=(1.03, 1.02), handlelength=2.6, labelspacing=0.6, borderaxespad=0)
        name = slug(f"{suite}-profile-{what}")
        svg = save(drawing, folder, name)
    order = (
        "All deliver rows with sorted columns."
        if what == "sorted"
        else "Columns may come in any order; what is sorted all the same takes part too, torch, which is left out of the "
        "largest inputs, does not."
    )
    caption = (
        f"Performance profile over {common} inputs with at least {LARGE:,} multiply-adds: the share of them on which a "
        f"method is within the given factor of the fastest. {order}"
    )
    return Figure(name, f"Performance profile, {what}", caption, svg)


def _scatter(suite: str, inputs: Sequence[Product], opponent: str, title: str, folder: Path | None) -> Figure:
    with canvas(WIDTH, HEIGHT * 0.95) as (drawing, _):
        axes = drawing.add_axes((0.115, 0.235, 0.855, 0.665))
        low, high = 0.8, 2.0
        for ours, theirs, panel in CLOUDS:
            if panel != opponent:
                continue
            points = [(p.compression, p.ratio(ours, theirs), p.multiply_adds >= LARGE) for p in inputs]
            points = [point for point in points if point[1] > 0 and math.isfinite(point[0])]
            style = look(ours)
            for large, alpha in ((True, 0.95), (False, 0.42)):
                chosen = [point for point in points if point[2] is large]
                axes.plot(
                    [point[0] for point in chosen],
                    [point[1] for point in chosen],
                    ls="none",
                    marker=style.marker,
                    ms=6.0 if large else 4.2,
                    color=style.colour,
                    mec=SURFACE,
                    mew=0.6,
                    alpha=alpha,
                    label=f"{shown(ours)} over {shown(theirs)}" if large else None,
                    zorder=4,
                )
            low = min([low, *(point[1] for point in points)])
            high = max([high, *(point[1] for point in points)])
        axes.axhline(1.0, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=2)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_ylim(low / 1.2, high * 1.25)
        _factor_axis(axes.yaxis, low / 1.2, high * 1.25)
        left, right = axes.get_xlim()
        ticks = [2.0**k for k in range(8) if left <= 2.0**k <= right]
        axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axes.minorticks_off()
        axes.set_xlabel("compression (multiply-adds over entries of C)")
        axes.set_ylabel(f"times as fast as {title}")
        axes.set_title(f"Speed-up over {title} against compression")
        axes.legend(loc="upper center", bbox_to_anchor=(0.46, -0.19), ncols=2, handletextpad=0.2, columnspacing=1.4)
        name = slug(f"{suite}-speedup-{opponent}")
        svg = save(drawing, folder, name)
    caption = (
        f"One mark per input and comparison; large marks: at least {LARGE:,} multiply-adds. Below the dashed line "
        f"{title} is faster."
    )
    return Figure(name, f"Speed-up over {title}", caption, svg)


def _ladder(suite: str, steps: Sequence[Product], folder: Path | None) -> Figure:
    bars = len(LADDER)
    room = bars + 2.1  # of a group: its bars, the label above them, a gap
    span = room * len(steps) + 0.2
    height = 1.22 + 0.148 * span
    with canvas(WIDTH, height) as (drawing, _):
        axes = drawing.add_axes((0.03, 0.5 / height, 0.94, 1 - 1.22 / height))
        gains = [p.ratio(m, "smash-v1") for p in steps for m in LADDER]
        highest = max([*(g for g in gains if g > 0), 2.0])
        least = min([*(g for g in gains if g > 0), 1.0]) / 1.6
        most = highest * (highest / least) ** 0.27  # room for the text behind the longest bar
        for place, product in enumerate(steps):
            bottom = (len(steps) - 1 - place) * room
            where = (least * 1.02, bottom + bars + 0.3)
            axes.text(*where, product.label, fontsize=8.6, fontweight="bold", va="center", bbox=BEHIND, zorder=5)
            for number, method in enumerate(LADDER):
                gain = product.ratio(method, "smash-v1")
                if not gain > 0:
                    continue
                y = bottom + bars - 1 - number
                bar = axes.barh(y, gain - least, left=least, height=0.84, color=look(method).colour)
                if place == 0:
                    bar.set_label(shown(method))
                text = f"{gain:.3g}{TIMES}   {product.nanoseconds(method):.3g} ns"
                axes.text(gain * 1.03, y, text, fontsize=8.0, va="center", bbox={**BEHIND, "boxstyle": "square,pad=0"})
        _bars_of_gains(axes, least, most)
        axes.set_ylim(-0.8, span - 0.8)
        axes.set_xlabel("times as fast as V1")
        title = axes.set_title("The SMASH ladder on a CPU", pad=25)
        title.set_in_layout(False)
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, handlelength=1.0, handletextpad=0.4,
            columnspacing=1.2, borderaxespad=0.1,
        )  # fmt: skip
        name = slug(f"{suite}-ladder")
        svg = save(drawing, folder, name)
    caption = (
        "CPU analogues of the three variants, and this package's product: gain over V1 and nanoseconds per multiply-add. "
        "The thesis's 9.4\N{MULTIPLICATION SIGN} was measured on a simulated accelerator between its own variants; nothing "
        "here repeats or checks that number."
    )
    return Figure(name, "The SMASH ladder on a CPU", caption, svg)
