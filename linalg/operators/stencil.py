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
from .base import Operator
from .grid import Cell, Grid

__all__ = ["StencilOperator", "face_conductances"]

Array = npt.NDArray[Any]


def _along(axis: int, ndim: int, index: Any) -> tuple[Any, ...]:
    """Index tuple that selects `index` along one axis and everything along the others."""
    return (slice(None),) * axis + (index,) + (slice(None),) * (ndim - axis - 1)


def face_conductances(
    grid: Grid, coefficient: npt.ArrayLike | None = None, mean: str = "harmonic"
) -> tuple[Array, ...]:
    """Return the conductances of all faces, one array per axis.

    Parameters
    ----------
    grid : Grid
    coefficient : array_like, optional
        Positive diffusion coefficient per cell, shape ``grid.shape``; default 1 everywhere. What stands in obstacle
        cells is not looked at.
    mean : {"harmonic", "arithmetic"}
        How the two cells of an interior face are averaged; the harmonic mean is exact for layers along an axis.

    Returns
    -------
    tuple of ndarray
        The array of axis k has ``shape[k] + 1`` entries along axis k. In units of 1 / spacing^2: the mean of the two
        coefficients between interior cells, twice the coefficient where the value is held on the face (a Dirichlet
        side or cell), zero where nothing flows.

    Raises
    ------
    ValueError
        If the coefficient has another shape than the grid, or is not positive and finite in an interior cell.
    """
    if mean not in ("harmonic", "arithmetic"):
        raise ValueError(f"mean is {mean!r}: wanted 'harmonic' or 'arithmetic'")
    interior = grid.interior
    k = np.ones(grid.shape) if coefficient is None else np.array(coefficient, dtype=np.float64)
    if k.shape != grid.shape:
        raise ValueError(f"coefficient has shape {k.shape}: wanted the shape of the grid, {grid.shape}")
    if not (np.isfinite(k[interior]).all() and (k[interior] > 0).all()):
        raise ValueError("coefficient must be positive and finite in every interior cell")
    k[~interior] = 0.0
    held = np.zeros(grid.shape, bool) if grid.cells is None else grid.cells == Cell.DIRICHLET
    result = []
    for axis in range(grid.ndim):
        faces = np.zeros(tuple(n + (a == axis) for a, n in enumerate(grid.shape)))
        first, last = _along(axis, grid.ndim, slice(None, -1)), _along(axis, grid.ndim, slice(1, None))
        low, high = k[first], k[last]
        total = low + high
        if mean == "harmonic":
            between = np.divide(2.0 * low * high, total, out=np.zeros_like(total), where=total > 0)
        else:
            between = np.where((low > 0) & (high > 0), 0.5 * total, 0.0)
        between += 2.0 * (low * held[last] + high * held[first])
        faces[_along(axis, grid.ndim, slice(1, -1))] = between
        for side, cell, face in zip(grid.sides[axis], (0, -1), (0, -1), strict=True):
            here, there = _along(axis, grid.ndim, cell), _along(axis, grid.ndim, -1 - cell)
            if side == "dirichlet":
                faces[_along(axis, grid.ndim, face)] = 2.0 * k[here]
            elif side == "periodic":
                sums = k[here] + k[there]
                if mean == "harmonic":
                    joined = np.divide(2.0 * k[here] * k[there], sums, out=np.zeros_like(sums), where=sums > 0)
                else:
                    joined = np.where((k[here] > 0) & (k[there] > 0), 0.5 * sums, 0.0)
                joined += 2.0 * (k[here] * held[there] + k[there] * held[here])
                faces[_along(axis, grid.ndim, face)] = joined
        result.append(faces / grid.spacing**2)
    return tuple(result)


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
        the last face are the same one and must agree.
    shift : float or array_like, optional
        Added to the diagonal (a reaction term, or the mass term of a time step), one number or one per unknown.

    Notes
    -----
    Symmetric; positive definite (outside the declared null space) if the shift is nowhere negative, else unknown. Connected
    components of unknowns that touch no Dirichlet face and have no shift are singular: their normalised indicators
    are the columns of ``nullspace``. A product reads d + 1 numbers per cell, and none but the vectors where the
    coefficient is constant and the box has no obstacles.

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
        self.conductances = tuple(np.ascontiguousarray(c, dtype=np.float64) for c in conductances)
        for axis, faces in enumerate(self.conductances):
            wanted = tuple(n + (a == axis) for a, n in enumerate(grid.shape))
            if faces.shape != wanted:
                raise ValueError(f"conductances of axis {axis} have shape {faces.shape}: wanted {wanted}")
            if not np.isfinite(faces).all() or (faces < 0).any():
                raise ValueError(f"conductances of axis {axis} must be finite and nowhere negative")
        self.shift = _check_shift(shift, grid)
        self._couplings, diagonal, self._held = self._split(grid)
        self._diagonal = diagonal
        nonnegative = not np.iscomplexobj(self.shift) and bool(np.all(np.asarray(self.shift).real >= 0))
        hermitian = not np.any(np.asarray(self.shift).imag)
        super().__init__(
            diagonal.dtype,
            (grid.size, grid.size),
            symmetric=hermitian,
            positive_definite=True if nonnegative else None,
            grid=grid,
        )
        self.nullspace = self._find_nullspace() if nonnegative else None
        self._constant = self._find_constant()

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
        return cls(grid, face_conductances(grid, coefficient, mean), shift=shift)

    # --- set-up ---------------------------------------------------------------------------------------------------

    def _split(self, grid: Grid) -> tuple[tuple[Array, ...], Array, Array]:
        """Separate the faces that couple two unknowns from the diagonal; say which cells have a face that holds a value."""
        interior = grid.interior
        diagonal, anchored = np.zeros(grid.shape), np.zeros(grid.shape, bool)
        couplings = []
        held = np.zeros(grid.shape, bool) if grid.cells is None else grid.cells == Cell.DIRICHLET
        for axis, faces in enumerate(self.conductances):
            ndim = grid.ndim
            low, high = _along(axis, ndim, slice(None, -1)), _along(axis, ndim, slice(1, None))
            coupling = np.zeros_like(faces)
            if grid.shape[axis] == 1 and grid.sides[axis][0] == "periodic":
                couplings.append(coupling)  # a cell that is its own neighbour exchanges nothing
                continue
            diagonal += faces[low] + faces[high]
            inner = _along(axis, ndim, slice(1, -1))
            both = interior[low] & interior[high]
            coupling[inner] = np.where(both, faces[inner], 0.0)
            walled = faces[inner][~both & ~(held[low] & interior[high]) & ~(held[high] & interior[low])]
            if np.any(walled):
                raise ValueError(f"conductances of axis {axis} are not zero on a face to a no-flux cell")
            first, last = _along(axis, ndim, 0), _along(axis, ndim, -1)
            for side, face in zip(grid.sides[axis], (first, last), strict=True):
                if side == "neumann" and np.any(faces[face]):
                    raise ValueError(f"conductances of axis {axis} are not zero on a no-flux side")
            if grid.sides[axis][0] == "periodic":
                if not np.array_equal(faces[first], faces[last]):
                    raise ValueError(f"conductances of axis {axis} differ between the two ends of a periodic axis")
                joined = np.where(interior[first] & interior[last], faces[first], 0.0)
                coupling[first] = coupling[last] = joined
            couplings.append(coupling)
            anchored |= ((faces[low] > 0) & (coupling[low] == 0)) | ((faces[high] > 0) & (coupling[high] == 0))
        if grid.positions is None:
            diagonal = diagonal + np.broadcast_to(self.shift, (grid.size,)).reshape(grid.shape)
        else:
            kept = diagonal.ravel()[grid.positions] + self.shift
            diagonal = np.zeros(grid.shape, dtype=kept.dtype)
            diagonal.ravel()[grid.positions] = kept
        return tuple(couplings), diagonal, grid.restrict(anchored)

    def _find_nullspace(self) -> csc_array | None:
        grid = cast(Grid, self.grid)
        inner = [faces[_along(a, grid.ndim, slice(1, -1))] for a, faces in enumerate(self.conductances)]
        if grid.cells is None and all((faces > 0).all() for faces in inner):  # one component: no need to search
            sides = [faces[_along(a, grid.ndim, i)] for a, faces in enumerate(self.conductances) for i in (0, -1)
                     if grid.sides[a][0] != "periodic"]  # fmt: skip
            if np.any(self.shift) or any(np.any(side) for side in sides):
                return None
            return csc_array(np.full((grid.size, 1), 1.0 / np.sqrt(grid.size)))
        anchored = self._held | (np.asarray(np.broadcast_to(self.shift, (grid.size,))) > 0)
        if anchored.all():
            return None
        count, labels = self._components()
        free = np.ones(count, dtype=bool)
        free[labels[anchored]] = False
        if not free.any():
            return None
        members = free[labels]
        column = (np.cumsum(free) - 1)[labels[members]]
        rows = np.flatnonzero(members)
        sizes = np.bincount(column)
        return csc_array((1.0 / np.sqrt(sizes[column]), (rows, column)), shape=(grid.size, int(free.sum())))

    def _components(self) -> tuple[int, Array]:
        """Return how many connected components the unknowns have, and each one's component, in the order of their firsts."""
        grid = cast(Grid, self.grid)
        interior = grid.interior
        for axis, g in enumerate(self._couplings):
            low, high = _along(axis, grid.ndim, slice(None, -1)), _along(axis, grid.ndim, slice(1, None))
            if (interior[low] & interior[high] & (g[_along(axis, grid.ndim, slice(1, -1))] == 0)).any():
                return connected_components(self.tocsr(), directed=False)  # a face between two unknowns is closed
        parts, count = label(interior)  # the matrix of a large grid takes ten times the memory
        pairs = []
        for axis, g in enumerate(self._couplings):
            if grid.sides[axis][0] == "periodic":
                first, last = _along(axis, grid.ndim, 0), _along(axis, grid.ndim, -1)
                joined = g[first] > 0
                pairs.append(np.unique(np.stack([parts[first][joined], parts[last][joined]]) - 1, axis=1))
        if pairs:
            i, j = np.concatenate(pairs, axis=1)
            links = coo_array((np.ones(i.size, dtype=bool), (i, j)), shape=(count, count))
            count, merged = connected_components(links, directed=False)
            return count, merged[grid.restrict(parts) - 1]
        return count, grid.restrict(parts) - 1

    def _find_constant(self) -> tuple[Any, ...] | None:
        """Recognise one conductance everywhere (outer faces aside), no obstacles, one shift."""
        grid = cast(Grid, self.grid)
        if grid.cells is not None or np.ndim(self.shift) or np.iscomplexobj(self.shift):
            return None
        inner = [faces[_along(a, grid.ndim, slice(1, -1))] for a, faces in enumerate(self.conductances)]
        values = [faces.flat[0] for faces in inner if faces.size]
        if not values or any(faces.size and (faces != values[0]).any() for faces in inner):
            return None
        c = values[0]
        ends = np.zeros((3, 2))
        wraps = [False] * 3
        if c == 0.0:
            return None
        for axis, faces in enumerate(self.conductances):
            a = axis + 3 - grid.ndim
            wraps[a] = grid.sides[axis][0] == "periodic"
            for end, index in enumerate((0, -1)):
                outer = faces[_along(axis, grid.ndim, index)]
                if (outer != outer.flat[0]).any() or (wraps[a] and outer.flat[0] != c):
                    return None
                ends[a, end] = 0.0 if wraps[a] else outer.flat[0] / c
        if any(wraps[a + 3 - grid.ndim] and grid.shape[a] == 1 for a in range(grid.ndim)):
            return None
        return c, *wraps, ends, float(self.shift)

    # --- products -------------------------------------------------------------------------------------------------

    @cached_property
    def _box(self) -> tuple[int, int, int]:
        shape = cast(Grid, self.grid).shape
        return (1, *shape) if len(shape) == 2 else shape  # type: ignore[return-value]

    @cached_property
    def _faces(self) -> tuple[Array, Array, Array, Array]:
        """Couplings and diagonal as three-dimensional arrays."""
        if cast(Grid, self.grid).ndim == 2:
            _, n1, n2 = self._box
            return (np.zeros((2, n1, n2)), *(g[None] for g in self._couplings), self._diagonal[None])  # type: ignore[return-value]
        return (*self._couplings, self._diagonal)  # type: ignore[return-value]

    def _apply(self, x: Array, out: Array) -> None:
        positions = cast(Grid, self.grid).positions
        if positions is None:
            source, target = x.reshape(self._box), out.reshape(self._box)
        else:
            full = self._buffer("full", int(np.prod(self._box)), x.dtype)
            if self._buffers.get("cleared") != (x.dtype, id(full)):
                full[:] = 0
                self._buffers["cleared"] = (x.dtype, id(full))
            full[positions] = x
            source = full.reshape(self._box)
            target = self._buffer("result", full.size, out.dtype).reshape(self._box)
        if self._constant is not None:
            c, wrap0, wrap1, wrap2, ends, shift = self._constant
            kernels.apply_constant(c, wrap0, wrap1, wrap2, ends, shift, source, target)
        else:
            kernels.apply_variable(*self._faces, source, target)
        if positions is not None:
            np.take(target.reshape(-1), positions, out=out, mode="clip")

    def _adjoint(self) -> Operator:
        if self.symmetric:
            return self
        return StencilOperator(cast(Grid, self.grid), self.conductances, shift=np.conj(self.shift))

    def _transpose(self) -> Operator:
        return self

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return cast(Grid, self.grid).restrict(self._diagonal)

    def tocsr(self) -> csr_array:
        """Assemble the matrix (cached; 5 or 7 entries per row)."""
        return self._assembled

    @cached_property
    def _assembled(self) -> csr_array:
        grid = cast(Grid, self.grid)
        number = np.full(grid.shape, -1, dtype=np.int32)
        positions = np.arange(grid.size) if grid.positions is None else grid.positions
        number.ravel()[positions] = np.arange(grid.size, dtype=np.int32)
        rows, columns, values = [np.arange(grid.size, dtype=np.int32)], [np.arange(grid.size, dtype=np.int32)], []
        values.append(grid.restrict(self._diagonal))
        for axis, g in enumerate(self._couplings):
            ndim = grid.ndim
            pairs = [(slice(None, -1), slice(1, None), slice(1, -1))]
            if grid.sides[axis][0] == "periodic":
                pairs.append((slice(-1, None), slice(0, 1), slice(0, 1)))
            for low, high, face in pairs:
                weight = g[_along(axis, ndim, face)].ravel()
                used = weight != 0
                i, j = number[_along(axis, ndim, low)].ravel()[used], number[_along(axis, ndim, high)].ravel()[used]
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
