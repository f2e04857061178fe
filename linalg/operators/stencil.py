"""Matrix-free finite volumes on a cell-centred grid with per-face conductances and cell types."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.ndimage import label
from scipy.sparse import coo_array, csc_array, csr_array
from scipy.sparse.csgraph import connected_components

from ..kernels import stencil as kernels
from ..threads import get_threads
from .base import Operator
from .faces import along, check_closed, face_conductances, recognise, uniform_code, uniform_faces, usual_outer
from .grid import Grid

__all__ = ["StencilOperator", "face_conductances"]

Array = npt.NDArray[Any]
_NO_CODE = np.zeros((0, 0, 0), np.uint8)
_NO_FACES = np.zeros((0, 0, 0))
_NO_RUNS = (*(np.zeros(0, kind) for kind in (np.int64, np.int32, np.int32, np.int64)), np.zeros((0, 0), np.uint8))


class StencilOperator(Operator):
    """Finite volumes without a matrix: ``(A u)_i = sum over faces of c_f (u_i - u_j) + shift_i u_i``.

    Parameters
    ----------
    grid : Grid
        Shape, sides and cell types; the unknowns are its interior cells in C order.
    conductances : sequence of array_like
        One array per axis with ``shape[k] + 1`` entries along axis k: face j lies between the cells j - 1 and j, the
        first and the last are the outer faces. Nonnegative. On a face to a Dirichlet cell or side only the diagonal
        is touched; on a face to a no-flux cell or side the conductance must be zero; on a periodic axis the first and
        the last face are the same one and must agree. float64 arrays are kept, not copied: leave them alone.
    shift : float or array_like, optional
        Added to the diagonal (a reaction term, or the mass term of a time step), one number or one per unknown.

    Notes
    -----
    Symmetric; positive definite (outside the declared null space) if the shift is nowhere negative, else unknown. Connected
    components of unknowns that touch no Dirichlet face and have no shift are singular: their normalised indicators
    are the columns of ``nullspace``. A product reads d numbers per cell and the vectors; where the conductance between any
    two unknowns is the same, one byte per cell, and without obstacles nothing but the vectors. That is also what the
    operator holds: everything else is worked out when somebody asks for it.

    Examples
    --------
    >>> import numpy as np
    >>> A = StencilOperator.from_coefficient(Grid((3, 3), sides="neumann"))
    >>> A.matvec(np.ones(9)).tolist() == [0.0] * 9, A.nullspace.shape
    (True, (9, 1))
    """

    def __init__(
        self, grid: Grid, conductances: Sequence[npt.ArrayLike], *, shift: npt.ArrayLike | None = None
    ) -> None:
        if len(conductances) != grid.ndim:
            raise ValueError(f"conductances holds {len(conductances)} arrays for {grid.ndim} axes: wanted one per axis")
        arrays = tuple(np.ascontiguousarray(c, dtype=np.float64) for c in conductances)
        for axis, faces in enumerate(arrays):
            wanted = tuple(n + (a == axis) for a, n in enumerate(grid.shape))
            if faces.shape != wanted:
                raise ValueError(f"conductances of axis {axis} have shape {faces.shape}: wanted {wanted}")
            if not np.isfinite(faces).all() or (faces < 0).any():
                raise ValueError(f"conductances of axis {axis} must be finite and nowhere negative")
        check_closed(arrays, grid)
        self._build(grid, _check_shift(shift, grid), *recognise(arrays, grid, shift))

    def _build(self, grid: Grid, shift: Any, c: float, outer: Any, arrays: tuple[Array, ...]) -> None:
        """Start from one conductance `c` and what the outer faces are, or (where c is zero) from all faces."""
        self.shift = shift
        self._c, self._outer, self._arrays = c, outer, arrays
        self._code = _NO_CODE
        simple = grid.cells is None and not np.ndim(shift)
        self._kind = kernels.FACES if c == 0.0 else kernels.BOX if simple else kernels.CODED
        nonnegative = not np.iscomplexobj(shift) and bool(np.all(np.asarray(shift).real >= 0))
        super().__init__(
            np.asarray(shift).dtype,
            (grid.size, grid.size),
            symmetric=not np.any(np.asarray(shift).imag),
            positive_definite=True if nonnegative else None,
            grid=grid,
        )
        held = None
        if self._kind == kernels.CODED:
            self._code, held = uniform_code(grid)
        self.nullspace = self._find_nullspace(held) if nonnegative else None

    @classmethod
    def from_coefficient(
        cls,
        grid: Grid,
        coefficient: npt.ArrayLike | None = None,
        *,
        shift: npt.ArrayLike | None = None,
        mean: str = "harmonic",
    ) -> StencilOperator:
        """Discretise ``-div(coefficient grad u) + shift u`` (see `face_conductances`)."""
        value = 1.0
        if mean not in ("harmonic", "arithmetic"):
            raise ValueError(f"mean is {mean!r}: wanted 'harmonic' or 'arithmetic'")
        if coefficient is not None:
            inside = np.asarray(coefficient, dtype=np.float64)
            known = inside.shape == grid.shape
            inside = inside[grid.interior] if known else np.zeros(1)
            value = float(inside[0])
            if not 0.0 < value < np.inf or (inside != value).any():
                return cls(grid, face_conductances(grid, coefficient, mean), shift=shift)
        c = value / grid.spacing**2
        if not 0.0 < c < 1e307:  # the diagonal has up to twelve of these
            raise ValueError(
                f"coefficient / spacing^2 is {c:g}: wanted a number between 0 and 1e307; rescale the system"
            )
        return cls._uniform(grid, c, _check_shift(shift, grid))

    @classmethod
    def _uniform(cls, grid: Grid, c: float, shift: Any) -> StencilOperator:
        """Build the operator with the conductance `c` between any two unknowns and ``2 c`` to held values."""
        made = cls.__new__(cls)
        made._build(grid, shift, c, usual_outer(grid, c), ())
        return made

    # --- set-up ---------------------------------------------------------------------------------------------------

    def _find_nullspace(self, held: Array | None) -> csc_array | None:
        grid = cast(Grid, self.grid)
        if grid.cells is None and self._joined():  # one component: no need to search
            sides = [
                face for axis, pair in enumerate(self._ends()) for face in pair if grid.sides[axis][0] != "periodic"
            ]
            if np.any(self.shift) or any(np.any(side) for side in sides):
                return None
            return csc_array(np.full((grid.size, 1), 1.0 / np.sqrt(grid.size)))
        interior = grid.interior
        anchored = self._anchored(held)[interior]
        anchored |= np.asarray(np.broadcast_to(self.shift, (grid.size,))) > 0
        if anchored.all():
            return None
        count, labels = self._components(interior)
        free = np.ones(count, dtype=bool)
        free[labels[anchored]] = False
        if not free.any():
            return None
        members = free[labels]
        column = (np.cumsum(free) - 1)[labels[members]]
        rows = np.flatnonzero(members)
        sizes = np.bincount(column)
        return csc_array((1.0 / np.sqrt(sizes[column]), (rows, column)), shape=(grid.size, int(free.sum())))

    def _joined(self) -> bool:
        """Whether no face inside the box is closed."""
        ndim = cast(Grid, self.grid).ndim
        return self._c > 0.0 or all((g[along(a, ndim, slice(1, -1))] > 0).all() for a, g in enumerate(self._arrays))

    def _ends(self) -> list[tuple[Any, Any]]:
        """Conductances of the two outer faces of each axis, arrays or numbers."""
        if self._c > 0.0:
            return [(pair[0], pair[1]) for pair in self._outer]
        ndim = cast(Grid, self.grid).ndim
        return [(g[along(a, ndim, 0)], g[along(a, ndim, -1)]) for a, g in enumerate(self._arrays)]

    def _anchored(self, held: Array | None) -> Array:
        """Return which cells have a face to a held value."""
        grid = cast(Grid, self.grid)
        if held is not None:
            return held
        held = np.zeros(grid.shape, bool)
        for axis, (faces, coupling) in enumerate(zip(self.conductances, self._couplings(), strict=True)):
            if grid.shape[axis] == 1 and grid.sides[axis][0] == "periodic":
                continue
            loose = (faces > 0) & (coupling == 0)
            held |= loose[along(axis, grid.ndim, slice(None, -1))] | loose[along(axis, grid.ndim, slice(1, None))]
        return held

    def _components(self, interior: Array) -> tuple[int, Array]:
        """Return how many connected components the unknowns have, and each one's component, in the order of their firsts."""
        grid = cast(Grid, self.grid)
        if self._c == 0.0:
            for axis, g in enumerate(self._arrays):
                low, high = along(axis, grid.ndim, slice(None, -1)), along(axis, grid.ndim, slice(1, None))
                if (interior[low] & interior[high] & (g[along(axis, grid.ndim, slice(1, -1))] == 0)).any():
                    return connected_components(self.tocsr(), directed=False)  # a face between two unknowns is closed
        parts, count = label(interior)  # the matrix of a large grid takes ten times the memory
        pairs = []
        for axis in range(grid.ndim):
            if grid.sides[axis][0] == "periodic" and grid.shape[axis] > 1:
                first, last = along(axis, grid.ndim, 0), along(axis, grid.ndim, -1)
                joined = interior[first] & interior[last]
                if self._c == 0.0:
                    joined &= self._arrays[axis][first] > 0
                pairs.append(np.unique(np.stack([parts[first][joined], parts[last][joined]]) - 1, axis=1))
        labels = parts[interior] - 1
        if pairs:
            i, j = np.concatenate(pairs, axis=1)
            links = coo_array((np.ones(i.size, dtype=bool), (i, j)), shape=(count, count))
            count, merged = connected_components(links, directed=False)
            return count, merged[labels]
        return count, labels

    # --- coefficients ---------------------------------------------------------------------------------------------

    @property
    def conductances(self) -> tuple[Array, ...]:
        """Conductances of all faces, one array per axis; worked out anew where the operator does not store them."""
        grid = cast(Grid, self.grid)
        if self._c == 0.0:
            return self._arrays
        if grid.cells is not None:
            return tuple(uniform_faces(grid, self._c, axis) for axis in range(grid.ndim))
        made = []
        for axis, (low, high) in enumerate(self._outer):
            line = np.full(grid.shape[axis] + 1, self._c)
            line[0], line[-1] = low, high
            shape = tuple(n + (a == axis) for a, n in enumerate(grid.shape))
            made.append(np.broadcast_to(line.reshape(tuple(-1 if a == axis else 1 for a in range(grid.ndim))), shape))
        return tuple(made)

    def _couplings(self) -> tuple[Array, ...]:
        """Return the conductances of the faces between two unknowns, zero on all others."""
        grid = cast(Grid, self.grid)
        interior = grid.interior
        made = []
        for axis in range(grid.ndim):
            if self._c == 0.0 and grid.cells is None:
                coupling = self._arrays[axis].copy()
                if grid.sides[axis][0] != "periodic" or grid.shape[axis] == 1:
                    coupling[along(axis, grid.ndim, 0)] = coupling[along(axis, grid.ndim, -1)] = 0.0
                made.append(coupling)
                continue
            coupling = np.zeros(tuple(n + (a == axis) for a, n in enumerate(grid.shape)))
            given = self._c if self._c > 0.0 else self._arrays[axis][along(axis, grid.ndim, slice(1, -1))]
            both = interior[along(axis, grid.ndim, slice(None, -1))] & interior[along(axis, grid.ndim, slice(1, None))]
            np.multiply(both, given, out=coupling[along(axis, grid.ndim, slice(1, -1))])
            if grid.sides[axis][0] == "periodic" and grid.shape[axis] > 1:
                first, last = along(axis, grid.ndim, 0), along(axis, grid.ndim, -1)
                given = self._c if self._c > 0.0 else self._arrays[axis][first]
                coupling[first] = coupling[last] = (interior[first] & interior[last]) * given
            made.append(coupling)
        return tuple(made)

    def _box_diagonal(self) -> Array:
        """Diagonal over the box, zero in obstacles."""
        grid = cast(Grid, self.grid)
        if self._kind == kernels.CODED:
            diagonal = self._code * self._c
        else:
            diagonal = np.zeros(grid.shape)
            for axis, faces in enumerate(self.conductances):
                if grid.shape[axis] > 1 or grid.sides[axis][0] != "periodic":  # a cell is not its own neighbour
                    diagonal += faces[along(axis, grid.ndim, slice(None, -1))]
                    diagonal += faces[along(axis, grid.ndim, slice(1, None))]
        if grid.cells is None:
            return diagonal + np.broadcast_to(self.shift, (grid.size,)).reshape(grid.shape)
        interior = grid.interior
        whole = np.zeros(grid.shape, self.dtype)
        whole[interior] = diagonal[interior] + self.shift
        return whole

    @property
    def _faces(self) -> tuple[Array, Array, Array, Array]:
        """Couplings and diagonal as three-dimensional arrays, worked out anew."""
        couplings, diagonal = self._couplings(), self._box_diagonal()
        if cast(Grid, self.grid).ndim == 2:
            n1, n2 = diagonal.shape
            return (np.zeros((2, n1, n2)), *(g[None] for g in couplings), diagonal[None])  # type: ignore[return-value]
        return (*couplings, diagonal)  # type: ignore[return-value]

    # --- products -------------------------------------------------------------------------------------------------

    @cached_property
    def _shape(self) -> tuple[int, int, int]:
        """Cells of the box; rows of a two-dimensional grid are planes of one row."""
        shape = cast(Grid, self.grid).shape
        return (shape[0], 1, shape[1]) if len(shape) == 2 else cast(tuple[int, int, int], shape)

    @cached_property
    def _runs(self) -> tuple[Array, ...]:
        """Runs of unknowns in the rows: first run of each row; starts; lengths; first unknown of each row; cells."""
        n0, n1, n2 = self._shape
        cells = cast(Grid, self.grid).cells
        if cells is None:
            return _NO_RUNS
        inside = (cells == 0).reshape(n0 * n1, n2)
        edge = inside.copy()
        edge[:, 1:] &= ~inside[:, :-1]
        begin = np.flatnonzero(edge)
        edge[:] = inside
        edge[:, :-1] &= ~inside[:, 1:]
        lengths = (np.flatnonzero(edge) - begin + 1).astype(np.int32)
        heads = np.searchsorted(begin, np.arange(n0 * n1 + 1) * n2)
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])[heads]
        return heads, (begin % n2).astype(np.int32), lengths, offsets, cells.reshape(n0 * n1, n2)

    @cached_property
    def _coefficients(self) -> tuple[Any, ...]:
        """What the kernel takes, from `wraps` to the runs."""
        grid = cast(Grid, self.grid)
        faces: tuple[Array, ...] = (_NO_FACES,) * 3
        code = _NO_CODE
        wraps, ends = [False] * 3, np.zeros((3, 2))
        for axis, pair in enumerate(grid.sides):
            a = axis if grid.ndim == 3 else 2 * axis
            wraps[a] = pair[0] == "periodic" and (grid.shape[axis] > 1 or self._kind == kernels.FACES)
            if self._kind == kernels.BOX and (pair[0] != "periodic" or wraps[a]):
                ends[a] = np.asarray(self._outer[axis]) / self._c
        if self._kind == kernels.FACES:
            first, *middle, last = self._arrays
            n0, n1, n2 = self._shape
            faces = (first.reshape(n0 + 1, n1, n2), *(middle or [_NO_FACES]), last.reshape(n0, n1, n2 + 1))
        elif self._kind == kernels.CODED:
            code = self._code.reshape(self._shape)
        one = not np.ndim(self.shift)
        shift, shifts = (self.shift, np.zeros(0, self.dtype)) if one else (self.dtype.type(0), self.shift)
        return tuple(wraps), self._c, shift, shifts, ends, code, *faces, *self._runs

    def _sweep(self, what: int, scalar: float, source: Array, p: Array, z: Array, x: Array, out: Array) -> float:
        """Run one of the sweeps of `kernels.stencil`."""
        n0, n1, n2 = shape = self._shape
        threads = min(get_threads(), n0) if n0 * n1 * n2 > kernels.SERIAL else 1
        scratch = self._buffers.get((out.dtype.char, threads))
        if scratch is None:
            packed = cast(Grid, self.grid).cells is not None
            windows = np.empty((threads, 3, n1, n2) if packed else (threads, 0, 0, 0), source.dtype)
            wraps, c, shift, shifts, *rest = self._coefficients
            if out.dtype.kind == "c":
                shift, shifts = complex(shift), shifts.astype(np.complex128, copy=False)
            scratch = (shape, self._kind, wraps, c, shift, shifts, *rest), windows, np.empty(n0)
            self._buffers[out.dtype.char, threads] = scratch
        coefficients, windows, partial = scratch
        return float(kernels.sweep(what, *coefficients, scalar, source, p, z, x, out, windows, partial))

    def _apply(self, x: Array, out: Array) -> None:
        kind = np.complex128 if out.dtype.kind == "c" else np.float64  # the two that the kernel is compiled for
        source, target = x, out
        if x.dtype != kind or not (x.flags.writeable and x.flags.c_contiguous):
            source = self._buffer("source", x.shape[0], kind)
            source[:] = x
        if out.dtype != kind or not out.flags.c_contiguous:
            target = self._buffer("target", out.shape[0], kind)
        self._sweep(kernels.APPLY, 0.0, source, source, source, source, target)
        if target is not out:
            out[:] = target

    def can_fuse(self, like: Any) -> bool:
        """Whether `turn_dot`, `step_norm` and `residual_norm` work on vectors like this one."""
        if not isinstance(like, np.ndarray) or self.dtype != np.float64:
            return False
        return like.dtype == np.float64 and like.flags.c_contiguous and like.flags.writeable

    def turn_dot(self, beta: float, z: Array, p: Array) -> float:
        """Update ``p <- z + beta p`` (z where beta is zero, whatever p held); return ``p . A p``; one pass."""
        return self._sweep(kernels.TURN, beta, p, p, z, p, p)

    def step_norm(self, alpha: float, p: Array, x: Array, r: Array) -> float:
        """Update ``x <- x + alpha p`` and ``r <- r - alpha A p``; return the squared norm of r; one pass."""
        return self._sweep(kernels.STEP, alpha, p, p, p, x, r)

    def residual_norm(self, b: Array, x: Array, r: Array) -> float:
        """Write ``b - A x`` into `r`; return its squared norm; one pass."""
        return self._sweep(kernels.RESIDUAL, 0.0, x, x, b, x, r)

    def _adjoint(self) -> Operator:
        if self.symmetric:
            return self
        made = StencilOperator.__new__(StencilOperator)
        made._build(cast(Grid, self.grid), np.conj(self.shift), self._c, self._outer, self._arrays)
        return made

    def _transpose(self) -> Operator:
        return self

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return self._box_diagonal()[cast(Grid, self.grid).interior]

    def tocsr(self) -> csr_array:
        """Assemble the matrix (cached; 5 or 7 entries per row)."""
        return self._assembled

    @cached_property
    def _assembled(self) -> csr_array:
        grid = cast(Grid, self.grid)
        number = np.full(grid.shape, -1, dtype=np.int32)
        number[grid.interior] = np.arange(grid.size, dtype=np.int32)
        rows, columns, values = [np.arange(grid.size, dtype=np.int32)], [np.arange(grid.size, dtype=np.int32)], []
        values.append(self.diagonal())
        for axis, g in enumerate(self._couplings()):
            ndim = grid.ndim
            pairs = [(slice(None, -1), slice(1, None), slice(1, -1))]
            if grid.sides[axis][0] == "periodic":
                pairs.append((slice(-1, None), slice(0, 1), slice(0, 1)))
            for low, high, face in pairs:
                weight = g[along(axis, ndim, face)].ravel()
                used = weight != 0
                i, j = number[along(axis, ndim, low)].ravel()[used], number[along(axis, ndim, high)].ravel()[used]
                rows += [i, j]
                columns += [j, i]
                values += [-weight[used]] * 2
        matrix = coo_array(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(grid.size, grid.size)
        ).tocsr()
        matrix.sum_duplicates()
        return csr_array(matrix)


def _check_shift(shift: npt.ArrayLike | None, grid: Grid) -> Any:
    if shift is None:
        return 0.0
    result = np.asarray(shift)
    if result.dtype.kind not in "biufc" or not np.isfinite(result).all():
        raise ValueError("shift must be finite numbers")
    result = result.astype(np.complex128 if np.any(result.imag) else np.float64)
    if result.shape not in ((), (grid.size,)):
        raise ValueError(f"shift has shape {result.shape}: wanted one number or ({grid.size},), one per unknown")
    return result if result.ndim else result.item()
