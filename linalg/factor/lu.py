"""Incomplete LU factorisations of general matrices: by pattern level, and by threshold.

Source: Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd edition (2003), sections 10.3 (levels) and
10.4 (threshold). Departures:

- The factor is kept as (I + L) D (I + U), so both solves run on unit factors.
- A pivot below 1e-8 times the largest entry of its row is replaced by 1e-2 times that entry, with the phase
  of the pivot; the rows are recorded in `replaced_rows`. There is no row exchange: rows without a usable
  diagonal want a permutation first.
- The threshold version drops by size alone, relative to the root mean square of the row. Instead of a bound
  on the entries per row it has one on the whole: it gives up beyond 25 times the entries of A.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, dia_array

from ..kernels import factored, triangular
from ..kernels import incomplete_lu as kernels
from ..operators.matrix import index_view
from .checks import (
    drop_tolerance,
    fill_bound,
    fill_level,
    narrow,
    not_finite,
    square,
    storage,
    stored_entries,
    stored_inverse,
    too_much_fill,
)

__all__ = ["IncompleteLU"]

Array = npt.NDArray[Any]

_SMALLEST = 1e-8
_REPLACEMENT = 1e-2


class IncompleteLU:
    """Incomplete LU factor, M = (I + L) D (I + U) with L and U sparse and strictly triangular.

    Parameters
    ----------
    A : sparse array or matrix, shape (n, n)
        Any square matrix, real or complex.
    level : int
        Levels of fill: 0 keeps the pattern of A (and the diagonal); n or more gives the complete factor.
    drop_tol : float, optional
        Drop entries up to `drop_tol` times the root mean square of their row of A, instead of going by
        levels.
    dtype : dtype, optional
        Type in which the factor is stored; by default that of `A`.

    Attributes
    ----------
    pivots : ndarray of shape (n,)
        The diagonal of D.
    replaced_rows : ndarray of int
        Rows whose pivot was too small and was replaced.
    growth : float
        Largest entry of M^{-1} applied to the vector of row norms of A (largest entries): near 1 for a
        dominant diagonal, huge for a factor whose solves are unstable and that will not help.

    Raises
    ------
    numpy.linalg.LinAlgError
        If an entry is NaN or infinite, a row holds no nonzero entry, the factor is not finite, or a threshold keeps more
        than 25 times the entries of `A`.
    ValueError
        If `A` is not square, or a parameter is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> A = csr_array([[4.0, -1.0, 0.0], [-2.0, 4.0, -1.0], [0.0, -2.0, 4.0]])
    >>> factor = IncompleteLU(A)          # tridiagonal: nothing is dropped
    >>> bool(np.allclose(A @ factor.solve(np.array([1.0, 2.0, 3.0])), [1.0, 2.0, 3.0]))
    True
    """

    def __init__(self, A: Any, *, level: int = 0, drop_tol: float | None = None, dtype: Any = None) -> None:
        matrix = square(A)
        self.n = matrix.shape[0]
        self.level = fill_level(level)
        self.drop_tol = drop_tolerance(drop_tol, self.level)
        self._wanted = None if dtype is None else storage(dtype, matrix.dtype)
        self.replaced_rows: Array = np.empty(0, dtype=np.intp)
        self.growth = 0.0
        self._analyse(matrix)
        self._factor(matrix)

    def update(self, A: Any) -> None:
        """Factor another matrix, same parameters; where the pattern is the same, the analysis is kept.

        Raises
        ------
        ValueError
            If `A` has another shape; otherwise as for the constructor.
        """
        matrix = square(A)
        if matrix.shape != self.shape:
            raise ValueError(f"A has shape {matrix.shape}: this factor was set up for {self.shape}; build a new one")
        if self._wanted is not None:
            storage(self._wanted, matrix.dtype)  # a complex matrix does not fit into a real factor
        former = dict(self.__dict__)
        try:
            if not (np.array_equal(matrix.indptr, self._indptr) and np.array_equal(matrix.indices, self._indices)):
                self._analyse(matrix)
            self._factor(matrix)
        except Exception:  # the former factor stays usable
            self.__dict__.update(former)
            raise

    def _analyse(self, matrix: csr_array) -> None:
        self._indptr, self._indices = matrix.indptr.copy(), matrix.indices.copy()
        if self.drop_tol is not None:
            return
        indptr, indices = index_view(matrix.indptr), index_view(matrix.indices)
        if self.level == 0:
            lptr, lidx, uptr, uidx = kernels.lu_split(indptr, indices)
        else:
            lptr, lidx, uptr, uidx = kernels.lu_levels(indptr, indices, min(self.level, 2**30))
        (lptr, lidx), (uptr, uidx) = narrow(lptr, lidx), narrow(uptr, uidx)
        lsource, usource = (
            np.empty(lidx.shape[0], dtype=indices.dtype),
            np.empty(uidx.shape[0], dtype=indices.dtype),
        )
        dsource = np.empty(self.n, dtype=indices.dtype)
        kernels.lu_sources(indptr, indices, lptr, lidx, uptr, uidx, lsource, usource, dsource)
        self._pattern = (lptr, lidx, uptr, uidx)
        self._sources = (lsource, usource, dsource)

    def _factor(self, matrix: csr_array) -> None:
        values = matrix.data.astype(np.complex128 if matrix.dtype.kind == "c" else np.float64, copy=False)
        inverse = np.empty(self.n, dtype=values.dtype)
        replaced = np.empty(self.n, dtype=np.uint8)
        if self.drop_tol is not None:
            row, lptr, lidx, lower, uptr, uidx, upper = kernels.lu_threshold(
                index_view(matrix.indptr), index_view(matrix.indices), values, self.drop_tol,
                fill_bound(matrix), _SMALLEST, _REPLACEMENT, inverse, replaced,
            )  # fmt: skip
            (lptr, lidx), (uptr, uidx) = narrow(lptr, lidx), narrow(uptr, uidx)
        else:
            lptr, lidx, uptr, uidx = self._pattern
            lower, upper = (
                np.empty(lidx.shape[0], dtype=values.dtype),
                np.empty(uidx.shape[0], dtype=values.dtype),
            )
            row = kernels.lu_numeric(
                lptr,
                lidx,
                uptr,
                uidx,
                values,
                *self._sources,
                _SMALLEST,
                _REPLACEMENT,
                lower,
                upper,
                inverse,
                replaced,
            )
        if row > self.n:
            raise too_much_fill(self.drop_tol, matrix)
        if row < self.n:
            if not np.isfinite(values).all():
                raise not_finite(matrix)
            raise np.linalg.LinAlgError(f"A is singular: row {int(row)} holds no nonzero entry")
        dtype = matrix.dtype if self._wanted is None else self._wanted
        self.dtype = np.dtype(dtype)
        self._lower = (lptr, lidx, stored_entries(lower, self.dtype))
        self._upper = (uptr, uidx, stored_entries(upper, self.dtype))
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            self.pivots = 1.0 / inverse
        self._inverse = stored_inverse(self.pivots, self.dtype) if np.isfinite(inverse).all() else inverse
        self.replaced_rows = np.flatnonzero(replaced)
        sizes = abs(matrix).max(axis=1)
        sizes = np.asarray(sizes.toarray() if hasattr(sizes, "toarray") else sizes).reshape(-1)
        if sizes.dtype.kind != self.dtype.kind:
            sizes = sizes.astype(np.result_type(sizes.dtype, self.dtype))
        with np.errstate(over="ignore", invalid="ignore"):
            self.growth = float(np.abs(self.solve(sizes)).max(initial=0.0))
        if not np.isfinite(self.growth):
            if not np.isfinite(values).all():
                raise not_finite(matrix)
            raise np.linalg.LinAlgError(
                "the incomplete factor overflows: its pivots are too small for this matrix; permute large "
                "entries to the diagonal (scipy.sparse.csgraph.min_weight_full_bipartite_matching), keep "
                "more fill, or take a direct solver"
            )

    # --- use ------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the factored matrix."""
        return (self.n, self.n)

    @property
    def nnz(self) -> int:
        """Entries of both factors and the pivots."""
        return int(self._lower[1].shape[0] + self._upper[1].shape[0]) + self.n

    @property
    def memory_bytes(self) -> int:
        """Storage of the factor in bytes."""
        return sum(int(a.nbytes) for a in (*self._lower, *self._upper, self._inverse, self.pivots))

    @property
    def L(self) -> csr_array:
        """The unit lower factor, with its diagonal of ones."""
        return self._unit(*self._lower)

    @property
    def U(self) -> csr_array:
        """The upper factor with the pivots on its diagonal: M = L U."""
        result = self._unit(*self._upper)
        result.data *= np.repeat(self.pivots, np.diff(result.indptr)).astype(result.dtype)
        return result

    def _unit(self, ptr: Array, idx: Array, values: Array) -> csr_array:
        kind = np.int32 if idx.dtype.itemsize == 4 else np.int64
        strict = csr_array((values, idx.view(kind), ptr.view(kind)), shape=self.shape)
        result = csr_array(strict + dia_array((np.ones((1, self.n), dtype=self.dtype), [0]), shape=self.shape))
        result.sort_indices()
        return result

    def solve(self, b: npt.ArrayLike, out: Array | None = None, *, mode: Literal["N", "H"] = "N") -> Array:
        """Solve M x = b, or M^H x = b.

        Parameters
        ----------
        b : array_like, shape (n,) or (n, k)
            Right-hand side, or one per column.
        out : ndarray of shape (n,), optional
            Where to write the solution of a single right-hand side; not `b` itself. With it nothing is
            allocated.
        mode : {"N", "H"}
            The factor as it is, or its conjugate transpose.

        Returns
        -------
        ndarray
            The solution; `out` if given.

        Raises
        ------
        ValueError
            If shapes do not fit, or the mode is unknown.
        """
        if mode not in ("N", "H"):
            raise ValueError(f'mode is {mode!r}: wanted "N" or "H" (conjugate transpose)')
        rhs = np.asarray(b)
        if rhs.ndim not in (1, 2) or rhs.shape[0] != self.n:
            raise ValueError(f"b has shape {rhs.shape}: wanted ({self.n},) or ({self.n}, k)")
        rhs = (
            rhs.astype(np.float64)
            if rhs.dtype.char not in "fdFD"
            else rhs.astype(rhs.dtype.newbyteorder("="), copy=False)
        )
        if rhs.ndim == 2:
            return np.stack([self.solve(np.ascontiguousarray(column), mode=mode) for column in rhs.T], axis=1)
        if out is None:
            out = np.empty(self.n, dtype=np.result_type(rhs.dtype, self.dtype))
        elif out.shape != rhs.shape or out is b:
            raise ValueError(f"out has shape {out.shape}: wanted another vector of shape {rhs.shape}")
        if mode == "N":
            self.apply(rhs, out)
        else:
            self.apply_adjoint(rhs, out)
        return out

    def apply(self, r: Array, z: Array) -> None:
        """Write M^{-1} r into `z` (another vector) without checking."""
        factored.apply_ldu(*self._lower, *self._upper, self._inverse, r, z)

    def apply_adjoint(self, r: Array, z: Array) -> None:
        """Write M^{-H} r into `z` without checking: (I + U)^H first, as a scatter over the rows of U."""
        z[:] = r
        triangular.solve_upper_scatter(*self._upper, z, True)
        np.multiply(z, self._inverse.conj() if self.dtype.kind == "c" else self._inverse, out=z)
        triangular.solve_lower_scatter(*self._lower, z, True)

    def __repr__(self) -> str:
        kind = f"drop_tol={self.drop_tol}" if self.drop_tol is not None else f"level={self.level}"
        done = f", {self.replaced_rows.size} pivots replaced" if self.replaced_rows.size else ""
        return f"<{self.n}x{self.n} IncompleteLU {kind}: {self.nnz} entries{done}>"
