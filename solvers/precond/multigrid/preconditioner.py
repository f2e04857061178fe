"""Geometric multigrid for cell-centred finite volumes on structured grids, as a preconditioner.

Source: P. Wesseling, "Cell-centered multigrid for interface problems", J. Comput. Phys. 79 (1988) 85-91 (piecewise
constant transfers between cells); A. McAdams, E. Sifakis and J. Teran, "A parallel multigrid Poisson solver for fluids
simulation on large grids", SCA 2010 (voxel domains with mixed boundary conditions, multigrid inside conjugate gradients);
J. H. Bramble, J. E. Pasciak and J. Xu, "Parallel multilevel preconditioners", Math. Comp. 55 (1990) 1-22 (the theory of
symmetric cycles as preconditioners).

Departures from the sources:

1. Coarse conductances are area averages of fine ones (finite volumes on the coarse cells), not Galerkin products: the
   right scale for piecewise constant transfers, and a wall between coarse cells stays closed. Interpolation never takes a
   value from across a wall, because it takes the value of one coarse cell.
2. Axes with weak coupling between the halves of coarse cells are not coarsened: strong anisotropy, and walls that would
   come to lie inside coarse cells.
3. The default is a W cycle: the second visit of a coarse level makes up for the poor interpolation, so that the iterations
   do not grow with the size, and costs little, because coarse levels are small. V cycles are at hand; they win where
   the coefficients are smooth.
4. The cycle runs in float32 by default and is scaled by powers of two; conjugate gradients around it carry float64
   residuals.

Positive definiteness. One sweep with weights ``w_i`` has ``M + M^T - A = diag(a_ii (2 / w_i - 1))``, so it contracts the
A-norm for 0 < w_i < 2. With the colours reversed in the sweeps after the coarse correction, and restriction the transpose of
interpolation, the cycle is ``B = S' + (I - S^T A) P B_c P^T (I - A S)`` with S' positive definite; B is so too whatever the
coarse operators are, as long as they are positive definite themselves.

That settles V cycles. A W cycle visits a coarse level twice, which makes of its cycle B the map ``2 B - B A B``, positive
definite if the eigenvalues of BA are below two. They are: area averages halve the Galerkin product, ``P^T A P <= 2 A_c``, so
if those of ``B_c A_c`` are at most one, those of ``I - B A`` are above ``1 - 2 = -1``, because the sweeps contract strictly;
and the two visits together have eigenvalues ``t (2 - t) <= 1``, which is what the next level needs. The exact coarsest solve
starts the chain.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt

from ....linalg import Grid, Operator, StencilOperator
from ....linalg.kernels import multigrid as kernels
from ....linalg.kernels.multigrid_vectors import move
from ...gate import check_count
from ..base import Preconditioner
from .hierarchy import Hierarchy
from .schedule import chebyshev_coefficients, full_multigrid, one_cycle, scratch_sizes
from .settings import Settings, settings

__all__ = ["Multigrid", "multigrid", "run_cycle", "stencil_of"]

Array = npt.NDArray[Any]
COARSEST = 150
TINY, HUGE = 1e-15, 1e15  # magnitudes beyond which a vector is scaled


def stencil_of(given: Any) -> StencilOperator:
    """Return the stencil operator that was passed, itself or as the ``A`` of a problem.

    Raises
    ------
    TypeError
        If there is none.
    ValueError
        If its shift is complex.
    """
    A = given if isinstance(given, StencilOperator) else getattr(given, "A", given)
    if not isinstance(A, StencilOperator):
        on = "" if getattr(A, "grid", None) is None else " on a grid, but without face conductances"
        raise TypeError(
            f"A is a {type(A).__name__}{on}: multigrid needs a StencilOperator, or a problem whose A is one (build it with "
            "StencilOperator.from_coefficient or problems.from_cells; for other matrices use precond.amg)"
        )
    if A.dtype.kind == "c":
        raise ValueError("A has a complex shift: multigrid is for real operators; build it for the real part")
    return A


def run_cycle(
    hierarchy: Hierarchy, steps: Array, coefficients: Array, scratch: dict[str, Array], vector: Array, result: Array,
    limit: int = kernels.SERIAL,
) -> float:  # fmt: skip
    """Run a schedule on a vector (interleaved ones for several systems); return its product with the result.

    Levels of at most `limit` entries stay on one thread.
    """
    h = hierarchy
    where = h.runs.arrays()
    b, x = scratch["b"], scratch["x"]
    unit = 1.0
    largest = move(False, h.table, h.m, h.runs.shape1, h.scale, *where, b, x, vector, 2 * limit)
    if not TINY <= largest <= HUGE:  # scaled by a power of two, so that float32 keeps its range
        exact = float(np.abs(vector).max(initial=0.0)) * h.scale
        if 0.0 < exact < np.inf:
            unit = float(2.0 ** min(-np.floor(np.log2(exact)), 1000.0))
            move(False, h.table, h.m, h.runs.shape1, h.scale * unit, *where, b, x, vector, 2 * limit)
    kernels.cycle(
        steps, h.table, h.m, h.omegas, h.dtype.type(h.shift), coefficients, h.code.reshape(-1), h.band_code.reshape(-1),
        h.band_rows, h.g, h.d, h.w, h.band_weights, b, x, scratch["r"], scratch["p"], h.inverse, limit,
    )  # fmt: skip
    inner: float = move(True, h.table, h.m, h.runs.shape1, 1.0 / unit, *where, b, x, result, 2 * limit)
    return inner / h.scale / unit / unit


def fits(vector: Any) -> bool:
    """Whether the kernels are compiled for such a vector; others go through a copy."""
    if not isinstance(vector, np.ndarray) or vector.dtype != np.float64:
        return False
    return vector.flags.c_contiguous and vector.flags.writeable


class Multigrid(Preconditioner):
    """One multigrid cycle; see `multigrid`.

    Attributes
    ----------
    settings : Settings
        The constants in force.
    levels : int
        Number of levels, the coarsest included.
    shapes : list of tuple
        Cells per axis of each level (three axes; a two-dimensional grid has one plane).
    bytes_per_cell : float
        Bytes of coefficients on the finest level, per cell: 1 for a 0/1 geometry.
    """

    name = "multigrid"

    def __init__(self, A: Any, chosen: Settings, precision: str, coarsest: int) -> None:
        if precision not in ("float32", "float64"):
            raise ValueError(f"precision is {precision!r}: wanted 'float32' or 'float64'")
        self.settings, self.precision = chosen, precision
        self.coarsest = check_count("coarsest", coarsest, 1)
        self.hierarchy: Hierarchy
        self._shared = False  # whether a copy uses the same arrays
        exact = chosen.symmetric
        super().__init__(A, symmetric=exact, positive_definite=exact)

    def __copy__(self) -> Self:
        """Return a shallow copy: the same arrays, until one of the two is updated."""
        self._shared = True
        return super().__copy__()

    def update(self, A: Any) -> None:
        """Set up again for new coefficients (or the new geometry) of a grid of the same number of unknowns."""
        super().update(stencil_of(A))

    def _setup(self, A: Operator, previous: bool) -> None:
        operator = stencil_of(A)
        if previous and not self._shared and self.hierarchy.matches(operator):
            self.hierarchy.fill([operator])
        else:
            self._shared = False
            chosen = self.settings
            weights = list(chosen.omega) if isinstance(chosen.omega, (list, tuple)) else [chosen.omega]
            if chosen.smoother == "chebyshev":
                weights = [1.0]
            plain = self.precision == "float32"
            self.hierarchy = Hierarchy(
                [operator], weights, self.precision, self.coarsest, bytes_code=plain, band=chosen.band > 0
            )
        levels = self.levels
        used = self.settings if self.hierarchy.band_rows.size else replace(self.settings, band=0)
        self._steps, self._start = one_cycle(levels, used), full_multigrid(levels, used)
        self._coefficients = chebyshev_coefficients(self.settings).astype(self.precision)
        sizes = scratch_sizes(self.hierarchy, self.settings)
        self.memory_bytes = self.hierarchy.memory_bytes + sum(sizes.values()) * np.dtype(self.precision).itemsize
        self.name = f"multigrid({self.settings.cycle}, {self.settings.smoother})"

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self.hierarchy.shapes)

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """Cells per axis of each level."""
        return self.hierarchy.shapes

    @property
    def bytes_per_cell(self) -> float:
        """Bytes of coefficients per cell of the finest level."""
        if self.hierarchy.fast:
            return 1.0
        return 5.0 * np.dtype(self.precision).itemsize

    def _scratch(self) -> dict[str, Array]:
        held = self._buffers.get("cycle")
        if held is None:
            sizes = scratch_sizes(self.hierarchy, self.settings)
            held = {key: np.zeros(size, self.precision) for key, size in sizes.items()}
            self._buffers["cycle"] = held
        return cast(dict[str, Array], held)

    def _run(self, steps: Array, x: Array, out: Array) -> None:
        if fits(x) and fits(out):
            run_cycle(self.hierarchy, steps, self._coefficients, self._scratch(), x, out)
            return
        if np.iscomplexobj(x):
            parts = []
            for part in (x.real, x.imag):
                result = np.empty(x.shape[0])
                self._run(steps, np.ascontiguousarray(part, dtype=np.float64), result)
                parts.append(result)
            out[:] = parts[0] + 1j * parts[1]
            return
        result = self._buffer("result", x.shape[0], np.float64)
        self._run(steps, x.astype(np.float64), result)
        out[:] = result

    def _apply(self, x: Array, out: Array) -> None:
        self._run(self._steps, x, out)

    def apply_dot(self, x: Any, out: Any) -> Any:
        """Write ``M x`` into `out` and return ``x^H M x``, to the precision of the cycle."""
        if fits(x) and fits(out):
            return run_cycle(self.hierarchy, self._steps, self._coefficients, self._scratch(), x, out)
        return super().apply_dot(x, out)

    def initial_guess(self, b: npt.ArrayLike) -> Array:
        """Return a full-multigrid approximation of the solution for the right-hand side `b`, to start `cg` from.

        The coarsest problem is solved first; every finer level starts from the interpolated solution and adds one cycle. It
        costs about as much as 1 + 1/7 cycles in three dimensions (1 + 1/3 in two).

        Parameters
        ----------
        b : array_like, shape (n,)

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        TypeError
            If `b` is complex.
        ValueError
            If it has another shape, or entries that are not finite.
        """
        if np.iscomplexobj(b):
            raise TypeError("b is complex: a full-multigrid start is real; take that of b.real and that of b.imag")
        vector = np.ascontiguousarray(b, dtype=np.float64)
        if vector.shape != (self.shape[0],):
            raise ValueError(f"b has shape {vector.shape}: wanted ({self.shape[0]},)")
        if not np.isfinite(vector).all():
            raise ValueError("b holds NaN or infinite numbers: remove them")
        result = np.empty_like(vector)
        self._run(self._start, vector, result)
        return result


def multigrid(
    A: Any,
    *,
    preset: str | os.PathLike[str] = "tuned",
    cycle: str | None = None,
    pre: int | None = None,
    post: int | None = None,
    smoother: str | None = None,
    omega: Any = None,
    precision: str = "float32",
    coarse_sweeps: int | None = None,
    band: int | None = None,
    coarsest: int = COARSEST,
) -> Multigrid:
    """Geometric multigrid for a stencil operator on a structured grid, 2-D or 3-D.

    Parameters
    ----------
    A : StencilOperator or problem
        Finite volumes with per-face conductances, obstacles, and any outer sides (see
        `ritzkit.linalg.StencilOperator`), or a problem whose ``A`` is one. Sides of any length.
    preset : str or path
        Where constants come from that are not given: ``"tuned"`` (the default for any geometry), the name of a shipped
        preset (``"box"``, ``"obstacles"``, ``"walls"``, ``"porous"``, ``"darcy"``: tuned for these families; ``"v11"``: one
        sweep before and after), or a TOML file as written by ``ritzkit tune multigrid``.
    cycle : {"V", "W"}, optional
        W visits every coarse level twice as often as the level above it.
    pre, post : int, optional
        Sweeps on the finest level before and after the coarse correction (for ``"chebyshev"`` the degree). The
        cycle is symmetric, as `cg` needs it, if they are equal.
    smoother : {"rbsor", "chebyshev", "jacobi"}, optional
        Red-black successive overrelaxation, Chebyshev's polynomial, or damped Jacobi.
    omega : float, array or list, optional
        Relaxation weights in (0, 2) (``"jacobi"``: in (0, 1), ``"chebyshev"``: none): one number, one per unknown for the
        finest level, or a list with one of these per level (arrays over all cells on coarse levels); levels beyond it
        take its last entry if that is a number, else 1.
    precision : {"float32", "float64"}
        What the cycle computes in. float32 does not limit the accuracy of `cg` around it, unless neighbouring coefficients
        differ by 1e7 and more: then the cycle is definite to rounding only, and float64 needs far fewer iterations.
    coarse_sweeps : int, optional
        Sweeps before and after on all other levels.
    band : int, optional
        Extra sweeps over the cells of the finest level that touch an obstacle, before and after.
    coarsest : int
        Most cells of the level that is solved exactly.

    Returns
    -------
    Multigrid
        With ``initial_guess(b)``, a full-multigrid start.

    Raises
    ------
    TypeError
        If A has no stencil on a grid.
    ValueError
        If a parameter is out of range (weights that do not converge among them), or a coefficient is not finite.

    Notes
    -----
    A cycle costs a few products with A, the set-up about as much as two or three cycles; both are linear in the number of
    unknowns. The finest level stores one byte per cell where all conductances are equal, or zero next to no-flux
    obstacles; else five numbers. Coarse levels add a seventh (in 2-D a third) of five numbers per cell.

    A negative shift is left out, so that the cycle stays positive definite; it then preconditions `minres`. Singular
    components (a box without held values, enclosed pockets) are projected out by the solvers.

    Examples
    --------
    >>> from ritzkit.problems import Poisson
    >>> from ritzkit.solvers import cg
    >>> problem = Poisson((48, 40)).sample(rng=0)
    >>> M = multigrid(problem)
    >>> result = cg(problem.A, problem.b, M=M, rtol=1e-8)
    >>> result.success, result.iterations < 15
    (True, True)
    """
    operator = stencil_of(A)
    chosen = settings(
        preset, cast(Grid, operator.grid).ndim, cycle=cycle, pre=pre, post=post, smoother=smoother, omega=omega,
        coarse_sweeps=coarse_sweeps, band=band,
    )  # fmt: skip
    return Multigrid(operator, chosen, precision, coarsest)
