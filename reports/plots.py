"""All figures of a suite from its records: performance profiles, set-up and solve bars, ratios, and the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .canvas import WIDTH, Figure, canvas, duration, power, save, slug
from .convergence import convergence, line_style
from .grids import plots as grids
from .pictures import picture
from .products import plots as products
from .sequences import plots as sequences
from .style import INK, MUTED, SURFACE, look, shown
from .summary import Profile, Row, SuiteSummary, profile
from .tables import kernel_ratio

__all__ = ["draw", "draw_suite", "suite_profile"]


def draw(summaries: Sequence[SuiteSummary], folder: Path | None) -> dict[str, list[Figure]]:
    """Draw all figures of all suites; return them by suite."""
    return {summary.name: draw_suite(summary, folder) for summary in summaries}


def draw_suite(summary: SuiteSummary, folder: Path | None) -> list[Figure]:
    """Draw all figures of one suite, in the order in which the page shows them."""
    figures: list[Figure] = []
    if summary.kernels:
        figures.append(_kernels(summary, folder))
    figures += grids.draw(summary, folder) + products.draw(summary, folder) + sequences.draw(summary, folder)
    if len(summary.problems) > 1 and len(suite_profile(summary, "seconds").solvers) > 2:
        figures += [_profile(summary, folder, what) for what in ("seconds", "products")]
    for problem in summary.problems:
        rows = summary.of(problem)
        label = summary.label(problem)
        if any(row.middle.get("history") for row in rows):
            figures += [
                convergence(summary.name, problem, label, rows, folder, what) for what in ("products", "seconds")
            ]
        figures.append(_bars(summary.name, problem, label, rows, folder))
        figures += [picture(summary.name, p, folder) for p in summary.pictures if p["problem"] == problem]
    return figures


def _cost(row: Row, what: str) -> float:
    return row.total if what == "seconds" else float(row.products)


def suite_profile(summary: SuiteSummary, what: str) -> Profile:
    """Return the profile of a suite on seconds, or on products (without the direct solver)."""
    rows = [row for row in summary.rows if what == "seconds" or row.solver != "direct"]
    return profile(rows, lambda row: _cost(row, what))


def _profile(summary: SuiteSummary, folder: Path | None, what: str) -> Figure:
    data = suite_profile(summary, what)
    finite = data.ratios[np.isfinite(data.ratios)]
    most = min(2.0 ** math.ceil(math.log2(max(finite.max(initial=2.0), 2.0) * 1.05)), 256.0)
    problems = data.ratios.shape[1]
    with canvas() as (drawing, _):
        axes = drawing.add_axes((0.135, 0.13, 0.585, 0.765))
        curves = []
        for solver in data.solvers:
            factors, shares = data.curve(solver)
            x = np.concatenate([factors, [most]])
            y = np.concatenate([shares, shares[-1:]])
            inside = x <= most
            x, y = x[inside], y[inside]
            area = float(np.sum(np.diff(np.log(x)) * y[:-1]))
            curves.append((area, float(y[-1]), solver, x, y))
        curves.sort(key=lambda c: (-c[0], c[2]))
        for place, (_, _, solver, x, y) in enumerate(curves):
            axes.step(
                x,
                y,
                where="post",
                ms=4.4,
                zorder=4 - place * 0.05,
                label=shown(solver),
                clip_on=False,
                **line_style(solver),
            )
        axes.set_xscale("log", base=2)
        axes.set_xlim(1.0, most)
        axes.set_ylim(0.0, 1.02)
        ticks = [2.0**k for k in range(0, int(math.log2(most)) + 1, 1 if most <= 64 else 2)]
        axes.set_xticks(ticks, [f"{t:g}\N{MULTIPLICATION SIGN}" for t in ticks])
        axes.set_yticks(np.linspace(0, 1, 5), ["0", "25 %", "50 %", "75 %", "100 %"])
        axes.minorticks_off()
        axes.set_title(
            "Who is within a factor of the best" + (": total time" if what == "seconds" else ": products with A")
        )
        axes.set_xlabel("factor of the best " + ("time" if what == "seconds" else "number of products"))
        axes.set_ylabel("share of problems solved")
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(1.03, 1.02),
            handlelength=2.6,
            labelspacing=0.55,
            borderaxespad=0,
        )
        name = slug(f"{summary.name}-profile-{what}")
        svg = save(drawing, folder, name)
    caption = (
        f"Performance profile over {problems} problem{'s' * (problems != 1)}: the share of them that a "
        "method solves to "
        f"{_rtol(summary)} within the given factor of the "
        + ("fastest time, set-up included" if what == "seconds" else "fewest products")
        + ". The height at 1\N{MULTIPLICATION SIGN} says how often it is the best; a curve that ends below "
        "100 % failed somewhere. Best first in the legend."
    )
    return Figure(name, "Performance profile, " + ("time" if what == "seconds" else "products"), caption, svg)


def _rtol(summary: SuiteSummary) -> str:
    return power(float(summary.rows[0].first.get("rtol") or 1e-8))


def _bars(suite: str, problem: str, label: str, rows: Sequence[Row], folder: Path | None) -> Figure:
    done = sorted((row for row in rows if row.solved), key=lambda row: row.total)
    failed = [row for row in rows if not row.solved]
    count = max(1, len(done) + len(failed))
    height = 0.85 + 0.27 * count
    cut = done[0].total * 12.0 if done else 1.0
    most = min(max((row.total for row in done), default=1.0), cut)
    with canvas(WIDTH, height) as (drawing, _):
        axes = drawing.add_axes((0.235, 0.5 / height, 0.745, 1 - 0.92 / height))
        for place, row in enumerate(done + failed):
            y = count - 1 - place
            colour = look(row.solver).colour
            if not row.solved:
                axes.text(
                    most * 0.006,
                    y,
                    f"failed at {row.residual:.0e}" if math.isfinite(row.residual) else "failed",
                    va="center",
                    color=MUTED,
                    fontsize=8.0,
                )
                continue
            setup = min(row.setup, most)
            total = min(row.total, most)
            axes.barh(y, setup, color=SURFACE, edgecolor=colour, hatch="//////", lw=0.8, height=0.66)
            axes.barh(y, max(total - setup, 0.0), left=setup, color=colour, edgecolor=colour, lw=0.8, height=0.66)
            beyond = row.total > most * 1.0001
            text = duration(row.total) + (" →" if beyond else "")
            if total > 0.8 * most:
                axes.text(
                    total - most * 0.012,
                    y,
                    text,
                    va="center",
                    ha="right",
                    fontsize=8.0,
                    color=INK,
                    bbox={"boxstyle": "round,pad=0.18", "fc": SURFACE, "ec": "none"},
                )
            else:
                axes.text(total + most * 0.012, y, text, va="center", fontsize=8.0)
        axes.set_yticks(range(count - 1, -1, -1), [shown(row.solver) for row in done + failed])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, most * 1.02)
        axes.set_ylim(-0.6, count - 0.4)
        axes.set_xlabel("seconds (hatched: set-up, solid: solve)")
        axes.set_title("Time to the tolerance")
        name = slug(f"{suite}-{problem}-bars")
        svg = save(drawing, folder, name)
    caption = f"{label}: median set-up and solve time, fastest first."
    if done and done[-1].total > cut:
        caption += " Bars with an arrow are cut at twelve times the fastest."
    return Figure(name, "Set-up and solve", caption, svg, problem)


def _kernels(summary: SuiteSummary, folder: Path | None) -> Figure:
    count = len(summary.kernels)
    height = 0.95 + 0.56 * count
    with canvas(WIDTH, height) as (drawing, _):
        axes = drawing.add_axes((0.05, 0.5 / height, 0.915, 1 - 0.92 / height))
        ratios = [kernel_ratio(record) for record in summary.kernels]
        most = max([*ratios, *(float(r["target"]) for r in summary.kernels), 2.0]) * 1.5
        least = min([*ratios, 1.0]) / 1.3
        for place, (record, ratio) in enumerate(zip(summary.kernels, ratios, strict=True)):
            y = count - 1 - place
            good = ratio >= float(record["target"])
            style = look("sa-amg-cg" if good else "mic-cg")
            axes.barh(y - 0.14, ratio - least, left=least, color=style.colour, height=0.36)
            axes.plot([record["target"]] * 2, [y - 0.36, y + 0.08], color=INK, lw=2.2, zorder=4)
            target = f"{float(record['target']):g}\N{MULTIPLICATION SIGN}"
            text = f"{record['label']}: {ratio:.3g}\N{MULTIPLICATION SIGN} (target {target})"
            axes.text(
                least * 1.005,
                y + 0.24,
                text,
                fontsize=8.3,
                va="center",
                zorder=5,
                bbox={"boxstyle": "square,pad=0.12", "fc": SURFACE, "ec": "none"},
            )
        axes.axvline(1.0, color=MUTED, lw=0.9, ls=(0, (2, 2)))
        axes.set_xscale("log")
        axes.set_xlim(least, most)
        ticks = [t for t in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if least <= t <= most]
        axes.set_xticks(ticks, [f"{t:g}\N{MULTIPLICATION SIGN}" for t in ticks])
        axes.minorticks_off()
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        axes.set_ylim(-0.55, count - 0.45)
        axes.set_xlabel("times as fast as the opponent")
        axes.set_title("Single operations against SciPy and PyAMG")
        name = slug(f"{summary.name}-ratios")
        svg = save(drawing, folder, name)
    caption = "Their median time over ours, measured in turn. Upright line: the target; dashed: equality."
    return Figure(name, "Ratios", caption, svg)
