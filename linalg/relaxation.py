"""Relaxation of a sparse system: Gauss-Seidel, SOR and weighted Jacobi sweeps, in natural or red-black order.

Source: Y. Saad, Iterative Methods for Sparse Linear Systems, 2nd edition (2003), chapter 4. Departure:
relaxation factors may differ from row to row, and the coloured order is found from the pattern, not from a
grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .kernels import relaxation as kernels
from .operators.matrix import canonical_csr, index_view

__all__ = ["Relaxation", "colour_order"]

Array = npt.NDArray[Any]


def colour_order(A: Any) -> tuple[Array, int]:
    """Order the rows of a matrix by colour: no row is coupled to another one of its colour.

    Parameters
    ----------
    A : sparse array or matrix, shape (n, n)
        Only the pattern matters; it should be symmetric.

    Returns
    -------
    rows : ndarray of int64, shape (n,)
        All rows of the first colour, then of the second, and so on; increasing inside a colour.
    colours : int
        Number of colours: two (red and black) on 5- and 7-point grids.

    Notes
    -----
    First fit along a breadth-first search; a bipartite pattern gets two colours. Cost proportional to nnz.
    """
    matrix = canonical_csr(A)
    colours = np.empty(matrix.shape[0], dtype=np.uint32)
    count = kernels.greedy_colours(index_view(matrix.indptr), index_view(matrix.indices), colours)
    return np.argsort(colours, kind="stable"), int(count)


class Relaxation:
    """Sweeps over the rows of a fixed matrix, in place on the current solution.

    Parameters
    ----------
    A : sparse array or matrix, shape (n, n)
        CSR for speed; the entries are shared, not copied.
    omega : float or array_like of shape (n,)
        Relaxation factor, one for all rows or one per row; 1 is Gauss-Seidel (or plain Jacobi).
    order : {"natural", "coloured"}
        Row order of the Gauss-Seidel sweeps; "coloured" is red-black on 5- and 7-point grids.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a diagonal entry is missing or zero; the message names the row.
    ValueError
        If `A` is not square, or `omega` or `order` is unusable.

    Notes
    -----
    A sweep costs one pass over the matrix and allocates nothing. Vectors are one-dimensional, contiguous, of the type
    of the matrix or a wider one; they are not checked.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> relaxation = Relaxation(csr_array([[2.0, -1.0], [-1.0, 2.0]]))
    >>> x = np.zeros(2)
    >>> relaxation.sweep(x, np.array([2.0, 2.0]))
    >>> x
    array([1. , 1.5])
    """

    def __init__(self, A: Any, omega: float | npt.ArrayLike = 1.0, order: str = "natural") -> None:
        matrix = canonical_csr(A)
        n = matrix.shape[0]
        if matrix.shape != (n, n):
            raise ValueError(f"A has shape {matrix.shape}: wanted a square matrix")
        if order not in ("natural", "coloured"):
            raise ValueError(f'order is {order!r}: wanted "natural" or "coloured"')
        weights = np.asarray(omega, dtype=np.float64)
        if weights.shape not in ((), (n,)) or not np.isfinite(weights).all():
            raise ValueError(f"omega has shape {weights.shape}: wanted one finite number, or one per row ({n})")
        self.matrix = matrix
        self.inverse_diagonal = inverse_diagonal(matrix)
        if weights.ndim:
            self.inverse_diagonal = (self.inverse_diagonal * weights).astype(matrix.dtype)
        self._omega = matrix.dtype.type(1.0 if weights.ndim else float(weights)).real
        self._rows = (index_view(matrix.indptr), index_view(matrix.indices), matrix.data)
        self._order = None if order == "natural" else colour_order(matrix)[0].view(np.uint64)
        self._reverse = None if self._order is None else self._order[::-1].copy()

    def sweep(self, x: Array, b: Array, *, forward: bool = True) -> None:
        """Relax every row once, in order (or in reverse), in place on `x`."""
        if self._order is None:
            kernels.sor_sweep(*self._rows, self.inverse_diagonal, x, b, self._omega, forward)
        else:
            rows = self._order if forward else self._reverse
            kernels.sor_sweep_rows(*self._rows, self.inverse_diagonal, x, b, self._omega, rows)

    def symmetric_sweep(self, x: Array, b: Array) -> None:
        """One sweep in order, then one in reverse."""
        self.sweep(x, b, forward=True)
        self.sweep(x, b, forward=False)

    def jacobi(self, x: Array, b: Array, out: Array) -> None:
        """Write one weighted Jacobi step from `x` into `out` (another vector)."""
        kernels.jacobi_sweep(*self._rows, self.inverse_diagonal, x, b, self._omega, out)


def inverse_diagonal(matrix: Any) -> Array:
    """Return 1 / diagonal of a sparse matrix.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a diagonal entry is missing, zero or not finite; the message names the row.
    """
    diagonal = matrix.diagonal()
    bad = np.flatnonzero((diagonal == 0) | ~np.isfinite(diagonal))
    if bad.size:
        raise np.linalg.LinAlgError(
            f"A has a zero, missing or non-finite diagonal entry in row {bad[0]} ({bad.size} such rows): "
            "relaxation divides by the diagonal; permute the rows, or take another method"
        )
    return np.asarray(1 / diagonal, dtype=matrix.dtype)
