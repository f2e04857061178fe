"""Pictures of solutions and of what separates an answer from them: grids, slices of 3-D grids, triangle meshes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .canvas import WIDTH, Figure, canvas, power, save, slug
from .fields import decode, decode_indices
from .style import SOLID, shown

__all__ = ["picture"]


def picture(suite: str, record: Mapping[str, Any], folder: Path | None) -> Figure:
    """Draw the solution of a picture record, and the errors in it, two panels in a row."""
    solution = record["solution"]
    panels: list[tuple[str, Any, bool]] = [("Solution", decode(solution["field"]), False)]
    for error in record["errors"]:
        title = f"Error of {shown(error['solver'])}: {error['relative_error']:.1e}"
        panels.append((title, decode(error["field"]), True))
    columns = 2
    lines = -(-len(panels) // columns)
    height = 2.55 * lines + 0.1
    with canvas(WIDTH, height) as (drawing, _):
        for place, (title, values, signed) in enumerate(panels):
            left = 0.015 + 0.5 * (place % columns)
            bottom = 1 - (2.55 * (place // columns) + 2.45) / height
            axes = drawing.add_axes((left, bottom, 0.385, 2.15 / height))
            bar = drawing.add_axes((left + 0.392, bottom + 0.2 / height, 0.014, 1.75 / height))
            image = _field(axes, values, solution, signed)
            axes.set_title(title, fontsize=8.6, pad=4)
            colours = drawing.colorbar(image, cax=bar)
            colours.outline.set_visible(False)
            colours.ax.tick_params(labelsize=6.8, length=2, pad=1.5)
            colours.ax.grid(visible=False)
            from matplotlib.ticker import MaxNLocator, ScalarFormatter

            colours.ax.yaxis.set_major_locator(MaxNLocator(5))
            formatter = ScalarFormatter(useMathText=True)
            formatter.set_powerlimits((-2, 3))
            colours.ax.yaxis.set_major_formatter(formatter)
            colours.ax.yaxis.get_offset_text().set(size=6.8, ha="left", x=0)
        name = slug(f"{suite}-{record['problem']}-pictures")
        svg = save(drawing, folder, name)
    where = " (middle slice)" if "3-D" in record["label"] else ""
    caption = (
        f"{record['label']}{where}: the solution, and what is still wrong when the relative residual has "
        "come down to "
        f"{power(float(record['residual']))}. The same residual hides different errors; the number is the "
        "relative error in the 2-norm."
        if record["errors"]
        else f"{record['label']}{where}: the solution."
    )
    return Figure(name, "Solution and error", caption, svg, str(record["problem"]))


def _field(axes: Any, values: Any, solution: Mapping[str, Any], signed: bool) -> Any:
    import matplotlib

    finite = values[np.isfinite(values)]
    if signed:
        size = float(np.abs(finite).max(initial=0.0)) or 1.0
        limits, colours = (-size, size), matplotlib.colormaps["RdBu_r"]
    else:
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        limits, colours = (low, high if high > low else low + 1.0), matplotlib.colormaps["viridis"]
    axes.set_facecolor(SOLID)  # shows where there is no unknown
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if "points" in solution:
        points = decode(solution["points"])
        axes.set_facecolor("none")
        axes.set_aspect("equal")
        return axes.tripcolor(
            *points.T,
            decode_indices(solution["triangles"]),
            values,
            shading="gouraud",
            cmap=colours,
            vmin=limits[0],
            vmax=limits[1],
            rasterized=True,
        )
    return axes.imshow(
        values.T,
        origin="lower",
        cmap=colours,
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
        aspect="equal",
    )
