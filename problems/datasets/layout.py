"""Names and shapes of everything in a dataset: what a writer needs to know before the first sample."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..base import Family, Problem
from .content import Content, label

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """The shape of a dataset.

    Attributes
    ----------
    name : str
        Of the family.
    count, test : int
        Samples, and how many of them at the end are for testing.
    inputs, scalars : tuple of str
        Channels of the input, and the numbers beside it.
    x_shape, y_shape : tuple of int
        Of one sample.
    grid : tuple of int
        Cells per axis; empty for a mesh.
    spacing : float
        Side length of a cell.
    sides : tuple
        Conditions on the outer sides, one pair per axis.
    complex : bool
        Whether labels are complex.
    """

    name: str
    count: int
    test: int
    inputs: tuple[str, ...]
    scalars: tuple[str, ...]
    x_shape: tuple[int, ...]
    y_shape: tuple[int, ...]
    grid: tuple[int, ...]
    spacing: float
    sides: tuple[tuple[str, str], ...]
    complex: bool

    @classmethod
    def of(cls, problem: Problem, family: Family, count: int, test: int) -> Layout:
        """Read the layout off one sample."""
        content = Content.of(problem, family)
        grid = problem.grid
        kind = np.result_type(problem.A.dtype, problem.b.dtype).kind
        return cls(
            family.family_name,
            count,
            test,
            content.inputs,
            tuple(sorted(content.scalars)),
            content.x.shape,
            label(problem, problem.b).shape,
            () if grid is None else tuple(grid.shape),
            1.0 if grid is None else grid.spacing,
            () if grid is None else grid.sides,
            kind == "c",
        )

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Layout:
        """Undo `to_json`."""
        values = {key: _tuples(value) for key, value in content.items()}
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings."""
        return asdict(self)

    def coordinates(self, axis: int) -> Any:
        """Cell centres along an axis, single precision."""
        return ((np.arange(self.grid[axis]) + 0.5) * self.spacing).astype(np.float32)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list | tuple) else value
