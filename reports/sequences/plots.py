"""Figures of the suites `recycling` and `datasets`: seconds by family, SKR's ratios, recycling, amortised cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..canvas import HEIGHT, WIDTH, Figure, canvas, duration, save, slug
from ..style import BLUE, GREEN, GREY, INK, MUTED, OLIVE, ORANGE, PURPLE, SKY, VERMILLION
from ..summary import SuiteSummary
from .numbers import PAIRS, TIMES, TOLERANCES, best_fixed, called, gain, of_kind, published, rate, ratios

__all__ = ["draw"]

Record = Mapping[str, Any]
# arm: colour, marker, size, how far in front
DOTS = {
    "auto": (BLUE, "o", 7.5, 6),
    "sequence": (SKY, "o", 5.0, 5),
    "skr-ilu": (VERMILLION, "s", 5.0, 4),
    "skr-jacobi": (VERMILLION, "D", 4.0, 3),
    "gmres-ilu": (ORANGE, "^", 5.0, 3),
    "superlu": (INK, "x", 5.0, 3),
    "cholmod": (OLIVE, "P", 5.0, 3),
    "amg-fresh": (GREEN, "v", 5.0, 3),
    "amg-refreshed": (GREEN, "^", 5.0, 3),
    "cg-mic": (PURPLE, "d", 5.0, 3),
    "batch": (BLUE, "*", 6.0, 4),
    "cg-multigrid": (GREY, "*", 6.5, 3),
    "gcrotmk-ilu": (GREY, "h", 5.0, 3),
    "frozen-lu": (GREY, "D", 4.5, 3),
}
SETTINGS = ((BLUE, "o"), (GREEN, "s"), (ORANGE, "D"), (VERMILLION, "^"))


def draw(summary: SuiteSummary, folder: Path | None) -> list[Figure]:
    """Draw what the records of a suite allow, in the order of the page."""
    figures = []
    sequences = of_kind(summary, "sequence")
    if sequences:
        figures += [_dots(summary.name, sequences, folder), _signs(summary.name, sequences, folder)]
        lines = [r for r in sequences if r["family"] in ("skr-darcy", "helmholtz-30", "darcy-128", "darcy-32")]
        figures += [_along(summary.name, record, folder) for record in lines[:2]]
    counted = of_kind(summary, "reproduction")
    if counted:
        figures.append(_against(summary.name, counted, folder))
    if of_kind(summary, "curve"):
        figures.append(_curve(summary, folder))
    return figures


def _seconds_axis(axis: Any, *, fine: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if fine else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axis.set_minor_locator(NullLocator())


def _short(value: float) -> str:
    return duration(value).replace(".00", "").replace(".0 ", " ")


def _dots(suite: str, records: Sequence[Record], folder: Path | None) -> Figure:
    height = 1.88 + 0.215 * len(records)
    with canvas(WIDTH, height) as (drawing, _):
        axes = drawing.add_axes((0.36, 1.24 / height, 0.615, 1 - 1.56 / height))
        seen = set()
        for place, record in enumerate(records):
            y = len(records) - 1 - place
            for name in record["arms"]:
                value = rate(record, name)
                if not math.isfinite(value) or (name not in DOTS and name != best_fixed(record)):
                    continue
                colour, marker, size, front = DOTS.get(name, (GREY, "h", 5.0, 3))
                label = None if name in seen or name not in DOTS else called(name)
                seen.add(name)
                hollow = name in ("skr-jacobi", "amg-fresh", "sequence")
                axes.plot(value, y, ls="", marker=marker, ms=size, color=colour, zorder=front, label=label,
                          mfc="none" if hollow else colour, clip_on=False)  # fmt: skip
            best = best_fixed(record)
            if best is not None:
                axes.plot(rate(record, best), y, ls="", marker="o", ms=10.5, mfc="none", mec=MUTED, mew=0.9, zorder=2,
                          label="the best fixed arm" if "best" not in seen else None)  # fmt: skip
                seen.add("best")
                if best not in DOTS:
                    axes.annotate(called(best), (rate(record, best), y), (0, 7), textcoords="offset points", fontsize=6.4,
                                  color=MUTED, ha="center", va="bottom", zorder=7)  # fmt: skip
        axes.set_xscale("log")
        _seconds_axis(axes.xaxis)
        axes.set_yticks(range(len(records) - 1, -1, -1), [str(record["label"]) for record in records], fontsize=7.4)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.7, len(records) - 0.3)
        axes.set_xlabel("seconds per system, drawing not counted")
        title = axes.set_title("Seconds per system")
        title.set_in_layout(False)
        axes.legend(loc="upper center", bbox_to_anchor=(0.2, -0.5 / (height - 1.56)), ncols=4, handletextpad=0.1,
                    columnspacing=0.9, fontsize=7.8)  # fmt: skip
        name = slug(f"{suite}-seconds")
        svg = save(drawing, folder, name)
    caption = (
        "Ordering, assembly, set-up, solve and check of the true residual at 1e-6, one thread each; cold start included for "
        "arms that solved the whole sequence. Missing: does not apply, failed or was not run."
    )
    return Figure(name, "Seconds per system", caption, svg)


def _signs(suite: str, records: Sequence[Record], folder: Path | None) -> Figure:
    height = 1.42 + 0.215 * len(records)
    with canvas(WIDTH, height) as (drawing, _):
        axes = drawing.add_axes((0.36, 0.86 / height, 0.615, 1 - 1.18 / height))
        axes.axvline(1.0, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=1.5)
        least, most = 0.5, 2.0
        for place, record in enumerate(records):
            for number, ((where, without, using), (colour, marker)) in enumerate(zip(PAIRS, SETTINGS, strict=True)):
                seconds, _ = gain(record, without, using)
                y = len(records) - 1 - place + 0.24 - 0.16 * number
                if math.isfinite(seconds):
                    least, most = min(least, seconds), max(most, seconds)
                    axes.plot([1.0, seconds], [y, y], color=colour, lw=1.1, zorder=2)
                axes.plot(seconds, y, ls="", marker=marker, ms=4.2, color=colour, zorder=3,
                          label=where if place == 0 else None)  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xlim(least / 1.2, most * 1.2)
        ticks = [2.0**k for k in range(-6, 9) if least / 1.2 <= 2.0**k <= most * 1.2]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_yticks(range(len(records) - 1, -1, -1), [str(record["label"]) for record in records], fontsize=7.4)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.7, len(records) - 0.3)
        axes.set_xlabel("time with recycling over time without it (left: it pays)")
        axes.set_title("What recycling alone contributes")
        axes.legend(loc="upper center", bbox_to_anchor=(0.2, -0.46 / (height - 1.18)), ncols=2, handletextpad=0.1,
                    columnspacing=1.2, fontsize=7.8)  # fmt: skip
        name = slug(f"{suite}-recycling")
        svg = save(drawing, folder, name)
    caption = "Four settings, each with and without a subspace carried from system to system, all else equal."
    return Figure(name, "What recycling alone contributes", caption, svg)


ALONG = (("gmres-dr-ilu", ORANGE, "-"), ("skr-ilu-unsorted", VERMILLION, ":"), ("skr-ilu", VERMILLION, "-"),
         ("frozen-factor", GREY, "-"), ("frozen-factor-recycling", GREEN, "-"), ("sequence", BLUE, "-"))  # fmt: skip


def _along(suite: str, record: Record, folder: Path | None) -> Figure:
    with canvas(WIDTH, 3.3) as (drawing, _):
        axes = drawing.add_axes((0.1, 0.135, 0.575, 0.745))
        for name, colour, line in ALONG:
            facts = record["arms"].get(name)
            if facts is None or not facts["iterations"]:
                continue
            steps = [max(value, 0.7) for value in facts["iterations"]]
            axes.plot(range(1, len(steps) + 1), steps, ls=line, color=colour, lw=1.3, label=_wrapped(name))
        axes.set_yscale("log")
        from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlim(1, record["count"])
        axes.set_xlabel("place in the arm's order")
        axes.set_ylabel("iterations")
        axes.set_title(f"Iterations along the sequence: {record['label']}", fontsize=9.4)
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.02), handlelength=1.8, labelspacing=0.7, borderaxespad=0)
        name = slug(f"{suite}-along-{record['family']}")
        svg = save(drawing, folder, name)
    caption = "A line ends where the arm's time was used up. Preconditioned from the right, to a true residual of 1e-6."
    return Figure(name, f"Iterations along the sequence: {record['label']}", caption, svg)


def _wrapped(name: str) -> str:
    text = called(name)
    if len(text) < 22:
        return text
    cut = text.rfind(" ", 0, 22)
    return f"{text[:cut]}\n{text[cut + 1 :]}"


def _against(suite: str, records: Sequence[Record], folder: Path | None) -> Figure:
    cells = [(record, t) for record in records for t in TOLERANCES]
    height = 1.25 + 0.145 * (len(cells) + len(records) * 0.6)
    with canvas(WIDTH, height) as (drawing, _):
        axes = drawing.add_axes((0.36, 0.78 / height, 0.615, 1 - 1.1 / height))
        y, ticks, labels, drawn = 0.0, [], [], set()
        for record in records:
            released = bool(record["slip"])
            name = f"{record['set'].capitalize()} {record['edge']}²{'' if released else ' repaired'}, "
            for t in TOLERANCES:
                own, (paper, edge) = ratios(record, t), published(record, t)
                same = edge == record["edge"]
                colour = BLUE if released else GREEN
                kind = "as released" if released else "without the slip"
                axes.plot([own.low, own.high], [y, y], color=colour, lw=2.6, alpha=0.35, zorder=2)
                axes.plot(own.mean, y, ls="", marker="o", ms=4.6, color=colour, zorder=4,
                          label=None if kind in drawn else f"measured, {kind}")  # fmt: skip
                drawn.add(kind)
                if paper is not None:
                    word = "the paper" if same else "the paper, other size"
                    axes.plot(paper, y, ls="", marker="D", ms=5.2, mfc="none", mew=1.1,
                              mec=VERMILLION if same else ORANGE, zorder=3,
                              label=None if word in drawn else word)  # fmt: skip
                    drawn.add(word)
                ticks.append(y)
                labels.append(f"{name}{record['preconditioner']}, {t}")
                y -= 1.0
            y -= 0.6
        axes.axvline(1.0, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=1.5)
        axes.set_xscale("log")
        marks = [1, 2, 5, 10, 20, 50, 100]
        left, right = axes.get_xlim()
        axes.set_xticks([m for m in marks if left <= m <= right], [f"{m}{TIMES}" for m in marks if left <= m <= right])
        axes.minorticks_off()
        axes.set_yticks(ticks, labels, fontsize=6.8)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_ylim(y + 1.0, 0.8)
        axes.set_xlabel("iterations of GMRES(40) over those of SKR")
        axes.set_title("SKR's ratios, counted again")
        axes.legend(loc="upper center", bbox_to_anchor=(0.2, -0.4 / (height - 1.1)), ncols=2, handletextpad=0.2,
                    columnspacing=1.2, fontsize=7.8)  # fmt: skip
        name = slug(f"{suite}-ratios")
        svg = save(drawing, folder, name)
    caption = (
        "Dots: ratio of the mean iterations; bars: the middle half of the systems' own ratios, which the mean often leaves, "
        "because a few systems keep GMRES(40) busy for thousands of iterations. Preconditioned from the left, as there."
    )
    return Figure(name, "SKR's ratios, counted again", caption, svg)


def _curve(summary: SuiteSummary, folder: Path | None) -> Figure:
    with canvas(WIDTH, HEIGHT * 0.8) as (drawing, _):
        axes = drawing.add_axes((0.15, 0.15, 0.6, 0.74))
        every: list[int] = []
        tops: list[float] = []
        for record, (colour, marker) in zip(of_kind(summary, "curve"), ((BLUE, "o"), (INK, "x")), strict=False):
            points = [p for p in record["points"] if p["valid"]]
            x = [p["count"] for p in points]
            y = [(p["seconds"] + p["validate_seconds"]) / p["count"] for p in points]
            every += x
            tops += y
            axes.plot(x, y, marker=marker, ms=6.0, color=colour, label=called(record["solver"]))
            for a, b in zip(x, y, strict=True):
                axes.annotate(duration(b), (a, b), (0, 8), textcoords="offset points", fontsize=8.0, ha="center")
        axes.set_xscale("log")
        axes.set_yscale("log")
        _seconds_axis(axes.yaxis, fine=max(tops) < 30 * min(tops))
        counts = sorted(set(every))
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.minorticks_off()
        axes.margins(x=0.12, y=0.18)
        axes.set_xlabel("samples in the dataset")
        axes.set_ylabel("seconds per sample")
        axes.set_title("Cold start and what is left of it")
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.02), borderaxespad=0)
        name = slug(f"{summary.name}-amortised")
        svg = save(drawing, folder, name)
    caption = "From parameters to a validated file, processes started anew for every dataset."
    return Figure(name, "Cold start and what is left of it", caption, svg)
