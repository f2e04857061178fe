"""The drawing surface: house style for Matplotlib, reproducible SVG and PNG, and how numbers are written.

Matplotlib without a display; the same content gives the same bytes (fixed salt, no date). Figures are one column
wide, so that two stand side by side on a screen and one fills a phone.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import need
from .style import GRID, INK, MUTED, SURFACE

__all__ = ["DPI", "HEIGHT", "WIDTH", "Figure", "canvas", "duration", "power", "save", "slug"]


WIDTH, HEIGHT = 5.6, 4.1


DPI = 130


STYLE = {
    "svg.hashsalt": "ritzkit",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 9.0,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.facecolor": SURFACE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "figure.facecolor": SURFACE,
    "savefig.facecolor": SURFACE,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


@dataclass(frozen=True)
class Figure:
    """A finished figure.

    Attributes
    ----------
    name : str
        File name without suffix.
    title, caption : str
        What the page says above and below.
    svg : str
        The drawing.
    problem : str
        Problem it belongs to; empty for a whole suite.
    """

    name: str
    title: str
    caption: str
    svg: str
    problem: str = ""


@contextmanager
def canvas(width: float = WIDTH, height: float = HEIGHT) -> Iterator[tuple[Any, Any]]:
    """Yield a Matplotlib figure and its renderer under the house style; nothing global changes."""
    need("matplotlib", "figures")
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **STYLE}):
        drawing = Drawing(figsize=(width, height), dpi=72)
        yield drawing, FigureCanvasAgg(drawing).get_renderer()


def save(drawing: Any, folder: Path | None, name: str) -> str:
    """Return the SVG text; write SVG and PNG if there is a folder."""
    stream = io.StringIO()
    drawing.savefig(stream, format="svg", metadata={"Date": None, "Creator": "ritzkit"})
    svg = "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"
    if folder is not None:
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        drawing.savefig(folder / f"{name}.png", dpi=DPI, metadata={"Software": "ritzkit"})
    return svg


def power(value: float) -> str:
    """Write a tolerance the way people do.

    Examples
    --------
    >>> power(1e-8), power(0.002), power(2.5e-4)
    ('1e-8', '0.002', '2.5e-4')
    """
    if 1e-3 < value < 1e5:
        return f"{value:g}"
    mantissa, _, exponent = f"{value:.6e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def slug(text: str) -> str:
    """Return a name that is safe for files and page anchors.

    Examples
    --------
    >>> slug("Poisson 2-D, 64 x 64")
    'poisson-2-d-64-x-64'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "figure"


def duration(seconds: float) -> str:
    """Seconds in a form that a person reads at once.

    Examples
    --------
    >>> duration(0.01234), duration(2.5), duration(0.0000042)
    ('12.3 ms', '2.50 s', '4.2 µs')
    """
    if not math.isfinite(seconds):
        return "\N{EN DASH}"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs" if seconds >= 1e-4 else f"{seconds * 1e6:.2g} µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s" if seconds >= 10 else f"{seconds:.2f} s"
