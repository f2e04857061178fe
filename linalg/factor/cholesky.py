"""Incomplete Cholesky factorisations of Hermitian matrices: by level of fill, by threshold, relaxed.

One recursion covers the family. Whatever the elimination produces outside the pattern at (i, j) is dropped,
and alpha_i (alpha_j) times it is subtracted from pivot i (j): alpha = 0 is IC [1]_, 1 is modified IC, which
keeps row sums [2]_, between them lies relaxed IC [3]_. With a threshold, what is small is dropped the same
way.

Departures from the sources:

- The result is always positive definite. A pivot below `floor` times its diagonal entry first goes without
  its relaxation term. If it vanishes even so (within that floor of zero, as the last pivot of a singular
  Neumann matrix under alpha = 1), it is set to the diagonal entry, which touches only the component along the
  null vector. If it is negative, the factorisation starts again with the diagonal enlarged by a relative
  shift [4]_, which doubles until it succeeds. What was done is recorded (`shift`, `attempts`,
  `floored_rows`).
- Entries are judged against ``drop_tol * sqrt(a_ii a_jj)``, not against the norm of a column: symmetric
  diagonal scaling then changes nothing.
- Arithmetic is in double precision whatever the type of the matrix; only the stored factor is narrower.

References
----------
.. [1] J. A. Meijerink, H. A. van der Vorst, An iterative solution method for linear systems of which the
   coefficient matrix is a symmetric M-matrix, Mathematics of Computation 31 (1977), 148-162.
.. [2] I. Gustafsson, A class of first order factorization methods, BIT 18 (1978), 142-156.
.. [3] O. Axelsson, G. Lindskog, On the eigenvalue distribution of a class of preconditioning methods,
   Numerische Mathematik 48 (1986), 479-498.
.. [4] T. A. Manteuffel, An incomplete factorization technique for positive definite linear systems,
   Mathematics of Computation 34 (1980), 473-497.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ..kernels import incomplete as kernels
from ..operators.matrix import index_view
from .checks import (
    drop_tolerance,
    fill_bound,
    fill_level,
    narrow,
    not_finite,
    per_row,
    require_hermitian,
    require_positive_diagonal,
    square,
    storage,
    too_much_fill,
)
from .eisenstat import EisenstatForm
from .unit import UnitFactor

__all__ = ["IncompleteCholesky"]

Array = npt.NDArray[Any]

_FIRST_SHIFT = 1e-3
_ATTEMPTS = 60  # 1e-3 doubled 60 times: any finite matrix is diagonally dominant by then
_PLAN_LIMIT = 32  # products per entry of the factor up to which their positions are stored for updates


class IncompleteCholesky(UnitFactor):
    """Incomplete Cholesky factor, M = L L^H with L sparse; always positive definite.

    Parameters
    ----------
    A : sparse array or matrix, shape (n, n)
        Symmetric (Hermitian) matrix with positive diagonal.
    level : int
        Levels of fill: 0 keeps the pattern of A; n or more gives the complete factor.
    alpha : float or array_like of shape (n,)
        Relaxation: the share of the dropped fill that moves to the pivots. 0 is IC, 1 modified IC.
    lift : float or array_like of shape (n,)
        Relative enlargement of the diagonal, at least 0.
    drop_tol : float, optional
        Drop entries up to ``drop_tol * sqrt(a_ii a_jj)`` in size, instead of going by levels.
    floor : float
        Smallest pivot allowed, relative to its diagonal entry.
    dtype : dtype, optional
        Type in which the factor is stored; by default that of `A`. A real narrower type saves memory traffic.
    assume_symmetric : bool
        Skip the test whether `A` is symmetric; only its upper triangle is read then.

    Attributes
    ----------
    shift : float
        Relative diagonal shift that was needed, 0 if none.
    attempts : int
        Factorisations that were started.
    floored_rows : ndarray of int
        Rows whose pivot went without its relaxation term, or vanished and was set to the diagonal entry.
    keeps_offdiagonals : bool
        Whether every off-diagonal entry of A is in M unchanged up to the pivots, M = (T + E) T^{-1} (T + E)^H
        with E the strict lower part of A: true where no fill falls into the pattern, as on 5- and 7-point
        grids at level 0.

    Raises
    ------
    numpy.linalg.LinAlgError
        If an entry is NaN or infinite, a diagonal entry is missing or not positive (the message names the row), the
        factor overflows in the type it is stored in, or a threshold keeps more than 25 times the entries of `A`.
    ValueError
        If `A` is not square or not symmetric, or a parameter is out of range.

    Notes
    -----
    Level 0 costs sum_k c_k^2 flops, with c_k entries in column k of the factor; nothing is parallel. `update`
    refactors a matrix of the same pattern with positions stored at the first update.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> A = csr_array([[4.0, -1.0, -1.0], [-1.0, 4.0, 0.0], [-1.0, 0.0, 4.0]])
    >>> factor = IncompleteCholesky(A, alpha=1.0)
    >>> bool(np.allclose((factor.L @ factor.L.T).sum(axis=1), A.sum(axis=1)))
    True
    """

    def __init__(
        self,
        A: Any,
        *,
        level: int = 0,
        alpha: float | npt.ArrayLike = 0.0,
        lift: float | npt.ArrayLike = 0.0,
        drop_tol: float | None = None,
        floor: float = 1e-8,
        dtype: Any = None,
        assume_symmetric: bool = False,
    ) -> None:
        matrix = square(A)
        self.n = matrix.shape[0]
        self.level = fill_level(level)
        self.drop_tol = drop_tolerance(drop_tol, self.level)
        if not 0.0 < floor < 1.0:
            raise ValueError(f"floor is {floor!r}: wanted a number between 0 and 1, such as 1e-8")
        self.floor = float(floor)
        self.alpha = per_row(alpha, self.n, "alpha")
        if (np.abs(self.alpha) > 1).any():
            raise ValueError("alpha must lie in [-1, 1]: 0 is plain, 1 modified incomplete Cholesky")
        self.lift = per_row(lift, self.n, "lift")
        if (self.lift < 0).any():
            raise ValueError(f"lift has a negative entry ({self.lift.min()}): wanted 0 or more")
        self._wanted = dtype if dtype is None else storage(dtype, matrix.dtype)
        self.assume_symmetric = bool(assume_symmetric)
        self.shift = 0.0
        self.attempts = 0
        self.floored_rows: Array = np.empty(0, dtype=np.intp)
        self.keeps_offdiagonals = False
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
        if not (np.array_equal(matrix.indptr, self._indptr) and np.array_equal(matrix.indices, self._indices)):
            self._analyse(matrix)
        elif self._slots is None and self.drop_tol is None:
            self._plan()
        self._factor(matrix)

    # --- symbolic -------------------------------------------------------------------------------------------

    def _analyse(self, matrix: csr_array) -> None:
        indptr, indices = index_view(matrix.indptr), index_view(matrix.indices)
        ptr, diagonal = np.empty_like(indptr), np.empty(self.n, dtype=indices.dtype)
        idx, source = np.empty_like(indices), np.empty_like(indices)
        count = int(kernels.upper_pattern(indptr, indices, ptr, idx, source, diagonal))
        present = np.where(diagonal < indices.shape[0], 1.0, 0.0)
        require_positive_diagonal(present, "incomplete Cholesky")
        idx, source = idx[:count].copy(), source[:count].copy()
        if self.level > 0:
            wide_ptr, full_idx = kernels.cholesky_levels(ptr, idx, min(self.level, 2**30))
            full_ptr, full_idx = narrow(wide_ptr, full_idx)
            ptr, idx, from_ptr, from_idx = full_ptr, full_idx, ptr.astype(full_ptr.dtype), idx
            from_source, source = source, np.empty(idx.shape[0], dtype=indices.dtype)
            kernels.match_rows(ptr, idx, from_ptr, from_idx, from_source, indices.shape[0], source)
        # shared with the matrix on purpose: a pattern that is edited in place is a new one
        self._indptr, self._indices = matrix.indptr.copy(), matrix.indices.copy()
        self._pattern = (ptr, idx, source, diagonal)
        self._slots: Array | None = None

    def _plan(self) -> None:
        ptr, idx = self._pattern[:2]
        products = kernels.count_products(ptr)
        if products <= _PLAN_LIMIT * max(idx.shape[0], 1):
            self._slots = np.empty(int(products), dtype=idx.dtype)
            kernels.product_slots(ptr, idx, self._slots)

    # --- numeric --------------------------------------------------------------------------------------------

    def _factor(self, matrix: csr_array) -> None:
        ptr, idx, source, diagonal = self._pattern
        values = matrix.data.astype(np.complex128 if matrix.dtype.kind == "c" else np.float64, copy=False)
        size = np.ascontiguousarray(values[diagonal].real)
        require_positive_diagonal(size, "incomplete Cholesky")
        if not self.assume_symmetric:
            require_hermitian(matrix, size, "incomplete Cholesky")
        pivots = np.empty(self.n)
        floored = np.empty(self.n, dtype=np.uint8)
        kept = True
        self.shift = 0.0
        for attempt in range(_ATTEMPTS + 1):
            if self.drop_tol is not None:
                row, wide_ptr, new_idx, unit = kernels.cholesky_threshold(
                    ptr, idx, source, values, diagonal, self.alpha, self.lift, self.shift, self.floor,
                    self.drop_tol, pivots, floored, 2 * idx.shape[0] + 16,
                    fill_bound(matrix),
                )  # fmt: skip
            else:
                unit = np.empty(idx.shape[0], dtype=values.dtype)
                planned = self._slots is not None
                slots = self._slots if self._slots is not None else np.empty(0, dtype=idx.dtype)
                row, kept = kernels.cholesky_numeric(
                    ptr, idx, slots, planned, values, source, diagonal, self.alpha, self.lift, self.shift,
                    self.floor, unit, pivots, np.empty(self.n), floored,
                )  # fmt: skip
            if row == self.n:
                break
            if row > self.n:
                raise too_much_fill(self.drop_tol, matrix)
            if attempt == 0 and not np.isfinite(values).all():
                raise not_finite(matrix)
            self.shift = _FIRST_SHIFT if attempt == 0 else 2.0 * self.shift
        else:
            raise np.linalg.LinAlgError(f"no shift makes the pivot of row {int(row)} positive: entries of A overflow")
        if self.drop_tol is not None:
            ptr, idx = narrow(wide_ptr, new_idx)
        self._store(ptr, idx, unit, pivots, matrix.dtype if self._wanted is None else self._wanted)
        self.attempts = attempt + 1
        self.floored_rows = np.flatnonzero(floored)
        self.keeps_offdiagonals = self.drop_tol is None and self.level == 0 and not kept
        self._diagonal = size
        self._rounded = self._wanted is not None and self._wanted.itemsize < matrix.dtype.itemsize

    def eisenstat(self) -> EisenstatForm | None:
        """Return Eisenstat's form of the preconditioned matrix.

        None where M does not keep the off-diagonals of A, be it for fill or for a narrower type of the stored
        factor.
        """
        if not self.keeps_offdiagonals or self._rounded:
            return None
        return EisenstatForm(self._ptr, self._idx, self._unit, self.pivots, self._diagonal)

    def __repr__(self) -> str:
        kind = f"drop_tol={self.drop_tol}" if self.drop_tol is not None else f"level={self.level}"
        done = f", shift={self.shift:g}" if self.shift else ""
        return f"<{self.n}x{self.n} IncompleteCholesky {kind}: {self.nnz} entries{done}>"
