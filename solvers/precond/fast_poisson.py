"""Direct Poisson solver on boxes by sine, cosine and Fourier transforms; a preconditioner everywhere else.

The finite-volume Laplacian of a box with one coefficient per axis is a sum of one-dimensional operators, and each of these
is diagonal in one of the sixteen discrete trigonometric transforms. Values are held on the outer faces, half a cell from
the first centre, so the transforms are those with half-sample symmetry:

=====================  =============  ==============================================
sides (low, high)      transform      eigenvalues, in units of coefficient/spacing^2
=====================  =============  ==============================================
dirichlet, dirichlet   DST-II         2 - 2 cos(pi (j + 1) / n)
neumann, neumann       DCT-II         2 - 2 cos(pi j / n)
dirichlet, neumann     DST-IV         2 - 2 cos(pi (j + 1/2) / n)
neumann, dirichlet     DCT-IV         2 - 2 cos(pi (j + 1/2) / n)
periodic               real FFT       2 - 2 cos(2 pi j / n)
=====================  =============  ==============================================

Sources: R. W. Hockney, A fast direct solution of Poisson's equation using Fourier analysis, J. ACM 12, 1965; the table of
symmetries is G. Strang, The discrete cosine transform, SIAM Review 41, 1999.

Departures: every axis is transformed (Hockney solves tridiagonal systems along one), and the transforms are SciPy's. Where
the domain has obstacles or the coefficient varies, the solver of the whole box with mean coefficients is restricted to the
unknowns, ``M = R B^-1 R^T``: the domain is embedded in the box with zeros outside. A principal part of a positive definite
operator is positive definite, so cg takes M for every geometry.
"""

from __future__ import annotations

import operator as op
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.sparse import csc_array

from ...linalg import Grid, Operator, StencilOperator, as_operator
from ...linalg.threads import get_threads
from .base import Preconditioner

__all__ = ["FastPoisson", "fast_poisson"]

Array = npt.NDArray[Any]

#: Family and type of the transform along an axis, by its sides.
TRANSFORMS = {
    ("dirichlet", "dirichlet"): ("dst", 2),
    ("neumann", "neumann"): ("dct", 2),
    ("dirichlet", "neumann"): ("dst", 4),
    ("neumann", "dirichlet"): ("dct", 4),
}


class _Box(Operator):
    """Stands for the Laplacian of the box of a grid: its numbers without its arrays."""

    def __init__(self, grid: Grid, coefficients: tuple[float, ...], shift: float) -> None:
        super().__init__(np.float64, (grid.size, grid.size), symmetric=True, grid=grid)
        self.coefficients, self.shift = coefficients, shift


class FastPoisson(Preconditioner):
    """Inverse of the Laplacian of a box by fast transforms; see `fast_poisson`.

    Attributes
    ----------
    exact : bool
        Whether M is the inverse (the pseudo-inverse where the operator is singular) of the operator it was made for;
        otherwise it is a preconditioner.
    coefficients : tuple of float
        The constant coefficient along each axis.
    shift : float
        What is added to the diagonal.
    """

    name = "fast poisson"

    def _setup(self, A: Operator, previous: bool) -> None:
        box, constant = (A, True) if isinstance(A, _Box) else _mean_box(A)
        grid = cast(Grid, box.grid)
        self.exact = constant and grid.cells is None
        self.coefficients, self.shift = box.coefficients, box.shift
        self._shape, self._positions = grid.shape, grid.positions
        self._real: list[tuple[str, int, tuple[int, ...]]] = []
        self._periodic: tuple[int, ...] = ()
        lines = []
        for axis, (n, sides) in enumerate(zip(grid.shape, grid.sides, strict=True)):
            if sides[0] == "periodic":
                self._periodic += (axis,)
                angles = 2.0 * np.arange(n)
            else:
                family, kind = TRANSFORMS[sides]
                self._add_real(family, kind, axis)
                angles = np.arange(n) + {("dst", 2): 1.0, ("dct", 2): 0.0}.get((family, kind), 0.5)
            # 2 - 2 cos t, without the cancellation at small t
            lines.append(4.0 * self.coefficients[axis] * np.sin(0.5 * np.pi * angles / n) ** 2 / grid.spacing**2)
        if self._periodic:  # real input: half of the last periodic axis says all
            last = self._periodic[-1]
            lines[last] = lines[last][: grid.shape[last] // 2 + 1]
        values = np.full(tuple(line.size for line in lines), self.shift)
        for axis, line in enumerate(lines):
            values += line.reshape([-1 if a == axis else 1 for a in range(grid.ndim)])
        singular = self.shift == 0.0 and values.flat[0] == 0.0
        if self.shift < 0 and np.abs(values).min() <= 8 * np.finfo(float).eps * np.abs(values).max():
            raise np.linalg.LinAlgError(
                f"shift is {self.shift:g}, which makes the operator singular: an eigenvalue of the box is zero to rounding; "
                "use another shift"
            )
        if singular:
            values.flat[0] = np.inf  # its inverse is zero: the answer has no constant part
        np.divide(1.0, values, out=values)
        self._inverse: dict[str, Array] = {"d": values}
        self.symmetric = True
        self.positive_definite = bool(values.min() >= 0.0)
        whole = singular and self._positions is None
        self.nullspace = csc_array(np.full((grid.size, 1), 1.0 / np.sqrt(grid.size))) if whole else None
        self.memory_bytes = values.nbytes + (0 if self.nullspace is None else 12 * grid.size)

    def _add_real(self, family: str, kind: int, axis: int) -> None:
        """Take an axis into the group of the same transform: one call transforms all of them."""
        for place, (other, same, axes) in enumerate(self._real):
            if (other, same) == (family, kind):
                self._real[place] = (family, kind, (*axes, axis))
                return
        self._real.append((family, kind, (axis,)))

    def _matvec(self, x: Array) -> Array:
        if x.dtype == np.float32:  # stays what it is: the transforms know single precision
            out = np.empty(self.shape[0], dtype=np.float32)
            self._apply(np.ascontiguousarray(x.reshape(-1)), out)
            return out
        return super()._matvec(x)

    def _apply(self, x: Array, out: Array) -> None:
        if x.dtype.kind == "c":
            part = np.empty(x.size, dtype=x.real.dtype)
            for source, target in ((x.real, out.real), (x.imag, out.imag)):
                self._apply(np.ascontiguousarray(source), part)
                target[:] = part
            return
        single = x.dtype == np.float32 and out.dtype == np.float32
        dtype = np.float32 if single else np.float64
        if self._positions is None:
            field = x.astype(dtype).reshape(self._shape)
        else:
            field = np.zeros(self._shape, dtype=dtype)
            field.reshape(-1)[self._positions] = x
        result = self._solve(field, "f" if single else "d").reshape(-1)
        out[:] = result if self._positions is None else result[self._positions]

    def _solve(self, field: Array, code: str) -> Array:
        """Solve on the whole box; `field` is overwritten."""
        if code not in self._inverse:
            self._inverse[code] = self._inverse["d"].astype(code)
        workers = get_threads()
        for family, kind, axes in self._real:
            field = getattr(fft, family + "n")(field, kind, axes=axes, overwrite_x=True, workers=workers)
        if self._periodic:
            field = fft.rfftn(field, axes=self._periodic, overwrite_x=True, workers=workers)
        field *= self._inverse[code]
        if self._periodic:
            sizes = [self._shape[axis] for axis in self._periodic]
            field = fft.irfftn(field, sizes, axes=self._periodic, overwrite_x=True, workers=workers)
        for family, kind, axes in reversed(self._real):
            field = getattr(fft, "i" + family + "n")(field, kind, axes=axes, overwrite_x=True, workers=workers)
        return field

    def _adjoint(self) -> Operator:
        return self

    def update(self, A: Any) -> None:
        """Set up again for a new operator with a grid, or a problem, of the same number of unknowns.

        Raises
        ------
        ValueError
            If the operator has another shape.
        TypeError
            If it has no grid.
        """
        super().update(_operator_of(A))


def _operator_of(A: Any) -> Operator:
    """Return the operator with a grid that was given or that a problem holds."""
    inner = A.A if getattr(A, "grid", None) is not None and hasattr(A, "A") else A
    operator = as_operator(inner)
    if operator.grid is None:
        raise TypeError(
            f"{type(A).__name__} states no grid: wanted a shape, or an operator (or problem) with a grid such as "
            "StencilOperator.from_coefficient(Grid(shape))"
        )
    return operator


def _mean_box(A: Operator) -> tuple[_Box, bool]:
    """Return the box with mean coefficients around an operator, and whether it is the operator itself."""
    grid = cast(Grid, A.grid)
    if A.shape[0] != grid.size:
        raise ValueError(f"A has shape {A.shape} on a grid of {grid.size} unknowns: wanted one unknown per cell")
    if not isinstance(A, StencilOperator):  # only the diagonal is known: it sets the scale
        mean = float(np.mean(np.abs(A.diagonal())))
        if not np.isfinite(mean) or mean == 0.0:
            raise ValueError(f"the diagonal of A has the mean {mean}: wanted finite entries, not all zero")
        return _Box(grid, (mean * grid.spacing**2 / (2 * grid.ndim),) * grid.ndim, 0.0), False
    shift = np.asarray(A.shift)
    if np.iscomplexobj(shift):
        raise TypeError("A has a complex shift: fast_poisson knows real ones; pass the operator without its shift")
    exact = bool((shift == shift.flat[0]).all())
    means = []
    for axis in range(grid.ndim):
        mean, constant = _mean_face(A.conductances[axis], axis, grid)
        means.append(mean * grid.spacing**2)
        exact &= constant
    fill = [mean for mean in means if mean > 0] or [1.0]
    means = [mean if mean > 0 else float(np.mean(fill)) for mean in means]  # an axis along which nothing flows
    return _Box(grid, tuple(means), float(shift.mean())), exact


def _mean_face(faces: Array, axis: int, grid: Grid) -> tuple[float, bool]:
    """Return the mean conductance of the inner faces of an axis that are open, and whether all are what it says."""
    lines = np.moveaxis(faces, axis, 0)
    inner = lines[1:-1]
    held = [line for line, side in zip((lines[0], lines[-1]), grid.sides[axis], strict=True) if side == "dirichlet"]
    if not inner.size:  # one layer of cells: the outer faces are half a cell away
        mean = float(np.mean(held)) / 2 if held else 0.0
    elif inner.all():
        mean = float(inner.mean())
    else:
        mean = float(inner[inner > 0].mean()) if inner.any() else 0.0
    parts = [(inner, 1.0)] + [(line, 2.0) for line in held]
    if grid.sides[axis][0] == "periodic" and len(lines) > 2:
        parts.append((lines[0], 1.0))
    constant = all(bool((np.abs(part - factor * mean) <= 1e-13 * mean).all()) for part, factor in parts)
    return mean, constant and (mean > 0 or not inner.size)


def fast_poisson(
    shape: Any,
    *,
    spacing: float = 1.0,
    sides: Any = "dirichlet",
    shift: float = 0.0,
    coefficient: float | Sequence[float] = 1.0,
) -> FastPoisson:
    """Direct solver of ``-div(coefficient grad u) + shift u`` on a box; a preconditioner for other operators on grids.

    Parameters
    ----------
    shape : sequence of int, Grid, operator or problem
        Cells per axis (2 or 3 axes). Or an operator with a grid, or an object with such an ``A`` and its ``grid``: then
        the box around its unknowns, the mean coefficient of each axis and the mean shift are taken, and the other
        arguments stay at their defaults. (With a `Grid`, spacing and sides are the grid's.)
    spacing : float
        Side length of a cell.
    sides : str or sequence
        Outer sides, as for `ritzkit.linalg.Grid`: all combinations of dirichlet (the value zero on the outer face),
        neumann and periodic.
    shift : float
        Added to the diagonal. A negative one makes an indefinite, but still direct, solver.
    coefficient : float or sequence of float
        Positive coefficient: one number, or one per axis.

    Returns
    -------
    FastPoisson
        ``M @ b`` is the solution, in float32 for float32 input. Without any Dirichlet side and without shift the operator
        is singular; M is then its pseudo-inverse (the answer has mean zero, the mean of b does not matter).

    Raises
    ------
    ValueError
        If a parameter is out of range or given twice.
    TypeError
        If the operator has no grid, or its shift is complex.
    numpy.linalg.LinAlgError
        If a negative shift is an eigenvalue.

    Notes
    -----
    Exact to rounding for constant coefficients without obstacles (``M.exact``). ``O(N log N)`` for N cells, one array of N
    numbers held; runs on all threads that `ritzkit.linalg.threads` sets. Around obstacles M solves on the whole box with
    the obstacles filled in: good where they are few and round, poor for thin walls.

    References
    ----------
    .. [1] R. W. Hockney, A fast direct solution of Poisson's equation using Fourier analysis, J. ACM 12, 1965.
    .. [2] G. Strang, The discrete cosine transform, SIAM Review 41, 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from ritzkit.linalg import Grid, StencilOperator
    >>> A = StencilOperator.from_coefficient(Grid((8, 6), sides=["periodic", ("neumann", "dirichlet")]))
    >>> M = fast_poisson((8, 6), sides=["periodic", ("neumann", "dirichlet")])
    >>> b = np.arange(48.0)
    >>> bool(np.linalg.norm(b - A @ (M @ b)) < 1e-13 * np.linalg.norm(b))
    True
    """
    others = {"spacing": spacing != 1.0, "sides": sides != "dirichlet", "shift": shift != 0.0}
    if isinstance(shape, Grid):
        given = [name for name in ("spacing", "sides") if others[name]]
        if given:
            raise ValueError(f"{' and '.join(given)} given besides a grid, which states them: leave them out")
        grid = shape
    elif _is_shape(shape):
        grid = Grid(shape, _real("spacing", spacing), sides)
    else:
        others["coefficient"] = not np.array_equal(coefficient, 1.0)
        given = [name for name, set_ in others.items() if set_]
        if given:
            raise ValueError(f"{' and '.join(given)} given besides an operator, which states them: leave them out")
        return FastPoisson(_operator_of(shape))
    values = [coefficient] * grid.ndim if np.ndim(coefficient) == 0 else list(cast(Any, coefficient))
    if len(values) != grid.ndim:
        raise ValueError(
            f"coefficient has {len(values)} entries for {grid.ndim} axes: wanted one number, or one per axis"
        )
    coefficients = tuple(_real("coefficient", value) for value in values)
    if min(coefficients) <= 0:
        raise ValueError(f"coefficient is {coefficient!r}: wanted positive numbers")
    return FastPoisson(_Box(grid, coefficients, _real("shift", shift)))


def _is_shape(shape: Any) -> bool:
    """Whether this is meant as cells per axis (also where `Grid` will refuse it)."""
    try:
        op.index(shape)
    except TypeError:
        return isinstance(shape, tuple | list) or (isinstance(shape, np.ndarray) and shape.ndim == 1)
    return True


def _real(name: str, value: Any) -> float:
    if isinstance(value, bool | str) or np.ndim(value) or np.iscomplexobj(value):
        raise TypeError(f"{name} is {value!r}: wanted a real number")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}: wanted a real number") from None
    if not np.isfinite(number):
        raise ValueError(f"{name} is {value!r}: wanted a finite number")
    return number
