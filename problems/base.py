"""What a problem and a family of problems are.

A `Problem` is one linear system with everything that is known about where it came from. A `Family` is a
frozen dataclass of parameters whose ``sample(rng)`` draws a problem; the same parameters and the same seed
give the same problem, whatever was drawn before.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ..linalg import Grid, Operator
from . import checks

if TYPE_CHECKING:
    from .mesh import Mesh

__all__ = ["RNG", "Family", "Problem", "box", "consistent", "right_hand_side"]

Array = npt.NDArray[Any]
RNG = np.random.Generator | np.random.SeedSequence | int | None

RIGHT_HAND_SIDES = ("random", "smooth", "ones", "solution")


@dataclass(frozen=True, eq=False)
class Problem:
    """One linear system ``A x = b`` and where it came from.

    Attributes
    ----------
    A : Operator
        The operator, shape ``(n, n)`` (rectangular for some files).
    b : ndarray
        Right-hand side, shape ``(n,)``.
    x : ndarray or None
        Exact solution where it is known.
    grid : Grid or None
        The grid that the unknowns live on; ``grid.embed(x)`` gives the picture.
    parameters : dict
        The parameters of the family (plain numbers, strings and tuples) and facts of this draw.
    name : str
        Short name, for tables.
    mesh : Mesh or None
        The mesh of a finite element problem; ``mesh.embed(x)`` gives the nodal values with the boundary
        values in place, ``mesh.points`` and ``mesh.cells`` the picture (in 2-D:
        ``axes.tripcolor(*mesh.points.T, mesh.cells, mesh.embed(x))``).
    fields : dict of str to ndarray
        Arrays behind the operator, over the whole box (``"coefficient"``, ``"wind"``, ...) or over the nodes.
    """

    A: Operator
    b: Array
    x: Array | None = None
    grid: Grid | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    name: str = "problem"
    mesh: Mesh | None = None
    fields: Mapping[str, Array] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        rows, columns = self.A.shape
        known = "" if self.x is None else ", solution known"
        return f"<Problem {self.name}: {rows}x{columns} of {self.A.dtype}{known}>"


@dataclass(frozen=True)
class Family(abc.ABC):
    """Base class of all families: a frozen dataclass of parameters that draws problems.

    Subclasses set `family_name` (the name on the command line), check their parameters in ``__post_init__``
    and implement `sample`. A family that is a stream of related systems also has ``sequence(rng)``.
    """

    family_name: ClassVar[str]

    @abc.abstractmethod
    def sample(self, rng: RNG = None) -> Problem:
        """Draw one problem; `rng` is a seed or a ``numpy.random.Generator``."""

    @classmethod
    def summary(cls) -> str:
        """Return one line that says what the family is (the first line of its docstring)."""
        return (cls.__doc__ or "").strip().partition("\n")[0]

    def parameters(self) -> dict[str, Any]:
        """Return the parameters as a plain dictionary, the name of the family included."""
        return {"family": self.family_name} | {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def with_size(self, n: int) -> Self:
        """Return the same family with `n` cells (or mesh intervals) along every axis."""
        parameters = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        size = {"shape": (n,) * len(parameters["shape"])} if "shape" in parameters else {"n": n}
        return type(self)(**parameters | size)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)


def box(shape: tuple[int, ...], sides: Any = "dirichlet", cells: Array | None = None) -> Grid:
    """Make a grid whose longest edge has length one."""
    return Grid(shape, 1.0 / max(shape), sides, cells)


def consistent(A: Operator, b: Array) -> Array:
    """Remove from `b` its part in the declared null space; what rounding leaves of a removed part is zero."""
    if A.nullspace is None:
        return b
    rest = A.project(b)
    rest[np.abs(rest) <= 1e-13 * np.abs(b).max()] = 0.0
    return rest


def right_hand_side(A: Operator, kind: str, rng: np.random.Generator) -> tuple[Array, Array | None]:
    """Make a right-hand side in the range of a symmetric `A` whose null space is declared.

    Parameters
    ----------
    A : Operator
        Square operator; the smooth kind needs ``A.grid``.
    kind : {"random", "smooth", "ones", "solution"}
        ``"random"``: independent standard normal entries. ``"smooth"``: a Gaussian random field. ``"ones"``:
        the constant one. ``"solution"``: ``A x`` for a standard normal ``x``, which is then known. A white
        ``A x`` holds almost only high frequencies and flatters every smoother; prefer the others for
        measurements.
    rng : numpy.random.Generator

    Returns
    -------
    b : ndarray
        Orthogonal to the declared null space.
    x : ndarray or None
        The solution (orthogonal to the null space) for ``"solution"``.

    Raises
    ------
    ValueError
        If nothing is left of the right-hand side (``"ones"`` on a box without any held value).
    """
    from .fields import gaussian_field

    n = A.shape[0]
    checks.choice("rhs", kind, RIGHT_HAND_SIDES)
    if kind == "ones":
        b = np.ones(n)
    elif kind == "smooth":
        if A.grid is None:
            raise ValueError("rhs is 'smooth' for an operator without a grid: wanted one of random, ones, solution")
        b = A.grid.restrict(gaussian_field(A.grid.shape, alpha=3.0, tau=5.0, sigma=1.0, rng=rng))
    else:
        b = rng.standard_normal(n)
    size = np.abs(b).max()
    b = consistent(A, b)
    if not b.any() and size > 0:
        raise ValueError(
            f"rhs is {kind!r}: nothing of it is left in the range of an operator that holds no value "
            "anywhere; use 'random' or a Dirichlet side"
        )
    if kind == "solution":
        return A @ b, b
    return b, None
