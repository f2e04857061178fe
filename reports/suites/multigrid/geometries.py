"""The geometries of the suite: an empty box, obstacles of every kind, random media; in two and three dimensions.

Obstacles are whole cells that let nothing through; the outer sides hold the value zero. Walls and teeth are one cell thick
at every size, the case in which coarse grids leak.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..base import Size, edge

__all__ = ["GEOMETRIES", "Geometry", "by_name", "text"]


def text(shape: Size) -> str:
    """Write a shape for people.

    Examples
    --------
    >>> text((64, 64, 64)), text((8, 4))
    ('64³', '8 × 4')
    """
    if len(set(shape)) == 1:
        return f"{shape[0]}{'²' if len(shape) == 2 else '³'}"
    return " \N{MULTIPLICATION SIGN} ".join(map(str, shape))


@dataclass(frozen=True)
class Geometry:
    """A family of problems at any size.

    Attributes
    ----------
    name, label : str
        Readable id and name for people.
    family : callable
        ``family(shape) -> Family``.
    variable : bool
        Whether the coefficient varies from cell to cell.
    largest : int
        Cells up to which the suite goes; random media take long to draw.
    """

    name: str
    label: str
    family: Callable[[Size], Any]
    variable: bool = False
    largest: int = 4096**2


def _box(shape: Size) -> Any:
    from ....problems import Poisson

    return Poisson(shape, rhs="random")


def _obstacles(kind: str, **keywords: Any) -> Callable[[Size], Any]:
    def family(shape: Size) -> Any:
        from ....problems import Obstacles

        return Obstacles(shape, kind, rhs="random", **keywords)

    return family


def _darcy(law: str, variance: float = 1.0) -> Callable[[Size], Any]:
    def family(shape: Size) -> Any:
        from ....problems import Darcy

        return Darcy(edge(shape, "darcy"), law, dim=len(shape), variance=variance)

    return family


MIDDLE = 1024**2 * 2
GEOMETRIES = (
    Geometry("box", "empty box", _box),
    Geometry("balls", "balls", _obstacles("balls")),
    Geometry("walls", "7 one-cell walls with one gap each", _obstacles("walls")),
    Geometry("comb", "comb of 15 one-cell teeth", _obstacles("comb")),
    Geometry("porous", "porous, with enclosed pockets", _obstacles("porous")),
    Geometry("random", "random cells, 30 % solid", _obstacles("porous", fraction=0.3, grain=0.0)),
    Geometry("fno", "Darcy, two materials (12/3)", _darcy("fno"), True),
    Geometry("lognormal-1", "Darcy, lognormal, variance 1", _darcy("lognormal"), True, MIDDLE),
    Geometry("lognormal-4", "Darcy, lognormal, variance 4", _darcy("lognormal", 4.0), True, MIDDLE),
    Geometry("lognormal-9", "Darcy, lognormal, variance 9", _darcy("lognormal", 9.0), True),
)
"""All geometries, in the order of the tables."""


def by_name(name: str) -> Geometry:
    """Return a geometry by name."""
    return next(geometry for geometry in GEOMETRIES if geometry.name == name)
