"""What a sample contributes to a dataset: input, solution, scalars; and back from the solution to the unknowns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..base import Family, Problem

__all__ = ["Content", "label", "unknowns"]

Array = npt.NDArray[Any]

#: Right-hand sides that are the same at every draw.
FIXED_SOURCES = ("ones", "point", "gravity")
#: Fields of a problem that are inputs of the map to be learned, in the order of channels.
INPUTS = ("coefficient", "wavenumber", "wind", "series", "previous")


@dataclass(frozen=True, eq=False)
class Content:
    """The input side of one sample.

    Attributes
    ----------
    x : ndarray
        One input as it is, several of one shape stacked as channels in front.
    inputs : tuple of str
        Names of the channels of `x`.
    scalars : dict of str to float
        Numbers that belong to this draw alone.
    """

    x: Array
    inputs: tuple[str, ...]
    scalars: dict[str, float]

    @classmethod
    def of(cls, problem: Problem, family: Family) -> Content:
        """Collect the inputs of a problem.

        Raises
        ------
        ValueError
            If the inputs have different shapes and make no common array.
        """
        parts: list[tuple[str, Array]] = []
        for name in INPUTS:
            if name not in problem.fields:
                continue
            values = np.asarray(problem.fields[name])
            if name == "wind":
                parts += [(f"wind_{axis}", component) for axis, component in zip("xyz", values, strict=False)]
            elif name == "previous" and problem.grid is not None and values.shape == (problem.grid.size,):
                parts.append((name, problem.grid.embed(values, 0.0)))
            else:
                parts.append((name, values))
        if problem.grid is not None and problem.grid.cells is not None:
            parts.append(("cells", problem.grid.cells.astype(np.float64)))
        scalars = _scalars(problem, family)
        if getattr(family, "rhs", FIXED_SOURCES[0]) not in FIXED_SOURCES or not (parts or scalars):
            parts.append(("source", label(problem, problem.b)))
        if not parts:
            parts = [("scalars", np.array(list(scalars.values())))]
        shapes = {values.shape for _, values in parts}
        if len(shapes) > 1:
            told = ", ".join(f"{name} {values.shape}" for name, values in parts)
            raise ValueError(f"family {family.family_name} has inputs of different shapes ({told}): no common array")
        x = parts[0][1] if len(parts) == 1 else np.stack([values for _, values in parts])
        return cls(x, tuple(name for name, _ in parts), scalars)


def _scalars(problem: Problem, family: Family) -> dict[str, float]:
    known = family.parameters()
    mine = {key: value for key, value in problem.parameters.items() if key not in known or known[key] != value}
    return {key: float(value) for key, value in sorted(mine.items()) if isinstance(value, int | float)}


def label(problem: Problem, x: Array) -> Array:
    """Spread unknowns over the box or the nodes of the mesh; what lies outside of the domain is zero."""
    if problem.grid is not None:
        return problem.grid.embed(x, 0.0)
    if problem.mesh is not None:
        return problem.mesh.embed(x)
    return x


def unknowns(problem: Problem, values: Array) -> Array:
    """Take the unknowns out of what `label` made."""
    if problem.grid is not None:
        return problem.grid.restrict(values)
    if problem.mesh is not None:
        return problem.mesh.restrict(values)
    return values
