"""The form in which symmetric factors are kept: M = U^H D U with U unit upper triangular by rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array, dia_array

from ..kernels import factored as kernels
from .checks import stored_entries, stored_inverse

__all__ = ["UnitFactor"]

Array = npt.NDArray[Any]


class UnitFactor:
    """A Hermitian positive definite product U^H D U, ready to be solved with.

    Attributes
    ----------
    n : int
        Order of the matrix.
    pivots : ndarray of float, shape (n,)
        The diagonal of D, all positive.
    dtype : dtype
        Type in which the factor is stored. The inverted pivots stay in double precision where they leave its range.

    Notes
    -----
    `solve` runs both triangular solves in one compiled call: 4 nnz + n flops, on one thread (see
    `linalg.triangular`).
    """

    def __init__(self, ptr: Array, idx: Array, unit: Array, pivots: Array, dtype: Any) -> None:
        self.n = pivots.shape[0]
        self._store(ptr, idx, unit, pivots, dtype)

    def _store(self, ptr: Array, idx: Array, unit: Array, pivots: Array, dtype: Any) -> None:
        dtype = np.dtype(dtype)
        inverse = stored_inverse(pivots, dtype.type(0).real.dtype)
        if not np.isfinite(inverse).all():
            row = int(np.flatnonzero(~np.isfinite(inverse))[0])
            raise np.linalg.LinAlgError(f"the inverse of the pivot of row {row} ({pivots[row]}) overflows: scale A")
        stored = stored_entries(unit, dtype)  # nothing of the former factor changes before all checks have passed
        self.dtype, self._unit, self._inverse, self.pivots = dtype, stored, inverse, pivots
        self._ptr, self._idx = ptr, idx

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the factored matrix."""
        return (self.n, self.n)

    @property
    def nnz(self) -> int:
        """Entries of one triangular factor, diagonal included."""
        return int(self._idx.shape[0]) + self.n

    @property
    def memory_bytes(self) -> int:
        """Storage of the factor in bytes."""
        return sum(int(a.nbytes) for a in (self._ptr, self._idx, self._unit, self._inverse, self.pivots))

    @property
    def U(self) -> csr_array:
        """The unit upper factor, with its diagonal of ones."""
        strict = csr_array(
            (self._unit, self._idx.view(_signed(self._idx)), self._ptr.view(_signed(self._ptr))),
            shape=self.shape,
        )
        ones = dia_array((np.ones((1, self.n), dtype=self.dtype), [0]), shape=self.shape)
        result = csr_array(strict + ones)
        result.sort_indices()
        return result

    @property
    def L(self) -> csr_array:
        """The lower factor with M = L L^H: rows sorted, positive diagonal."""
        scaled = self.U.conj()
        scaled.data *= np.repeat(np.sqrt(self.pivots), np.diff(scaled.indptr)).astype(scaled.data.real.dtype)
        lower = csr_array(csc_array((scaled.data, scaled.indices, scaled.indptr), shape=self.shape))
        lower.sort_indices()
        return lower

    def solve(self, b: npt.ArrayLike, out: Array | None = None) -> Array:
        """Solve M x = b.

        Parameters
        ----------
        b : array_like, shape (n,) or (n, k)
            Right-hand side, or one per column.
        out : ndarray of shape (n,), optional
            Where to write the solution of a single right-hand side; not `b` itself. With it nothing is
            allocated.

        Returns
        -------
        ndarray
            The solution; `out` if given.

        Raises
        ------
        ValueError
            If shapes do not fit.
        """
        rhs = np.asarray(b)
        if rhs.ndim not in (1, 2) or rhs.shape[0] != self.n:
            raise ValueError(f"b has shape {rhs.shape}: wanted ({self.n},) or ({self.n}, k)")
        rhs = (
            rhs.astype(np.float64)
            if rhs.dtype.char not in "fdFD"
            else rhs.astype(rhs.dtype.newbyteorder("="), copy=False)
        )
        if rhs.ndim == 2:
            return np.stack([self.solve(np.ascontiguousarray(column)) for column in rhs.T], axis=1)
        if out is None:
            out = np.empty(self.n, dtype=np.result_type(rhs.dtype, self.dtype))
        elif out.shape != rhs.shape or out is b:
            raise ValueError(f"out has shape {out.shape}: wanted another vector of shape {rhs.shape}")
        self.apply(rhs, out)
        return out

    def apply(self, r: Array, z: Array) -> float:
        """Write z = M^{-1} r into `z` (another vector) without checking; return the real part of r^H z.

        The inner product costs next to nothing here and is what conjugate gradients asks for next.
        """
        return float(kernels.apply_ldl(self._ptr, self._idx, self._unit, self._inverse, r, z))


def _signed(indices: Array) -> Any:
    return np.int32 if indices.dtype.itemsize == 4 else np.int64
