"""Diagonal and block-diagonal scaling."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import Operator
from ..gate import check_count
from .base import Preconditioner, assembled, filled_diagonal

__all__ = ["BlockJacobi", "Jacobi", "block_jacobi", "jacobi"]

Array = npt.NDArray[Any]


class Jacobi(Preconditioner):
    """Inverse of the diagonal; see `jacobi`."""

    name = "jacobi"

    def _setup(self, A: Operator, previous: bool) -> None:
        try:
            diagonal = filled_diagonal(A)
        except TypeError as error:
            raise TypeError(f"jacobi needs the diagonal of A: {error}") from None
        bad = np.flatnonzero(~np.isfinite(diagonal))
        if bad.size:
            raise np.linalg.LinAlgError(
                f"A has {bad.size} diagonal entries that are NaN or infinite (the first in row {bad[0]}): wanted finite "
                "entries"
            )
        zero = np.flatnonzero(diagonal == 0)
        if zero.size:
            raise np.linalg.LinAlgError(
                f"A has {zero.size} zero diagonal entries (the first in row {zero[0]}): jacobi cannot divide by them; use "
                "ilu or direct, or permute the rows"
            )
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            inverse = (1.0 / diagonal).astype(self.dtype, copy=False)
        if not np.isfinite(inverse).all():
            row = int(np.flatnonzero(~np.isfinite(inverse))[0])
            raise np.linalg.LinAlgError(
                f"the diagonal entry of row {row} is {diagonal[row]}, whose inverse overflows in {self.dtype}: scale A"
            )
        self.inverse = inverse
        self.symmetric = not np.any(self.inverse.imag)
        self.positive_definite = bool(self.symmetric and (self.inverse.real > 0).all())
        self.memory_bytes = self.inverse.nbytes

    def _apply(self, x: Array, out: Array) -> None:
        np.multiply(self.inverse, x, out=out)

    def _apply_torch(self, x: Any, out: Any) -> None:
        key = ("torch", x.device, x.dtype)
        if key not in self._buffers:
            import torch

            self._buffers[key] = torch.from_numpy(self.inverse).to(device=x.device, dtype=x.dtype)
        out.copy_(self._buffers[key] * x)

    def _adjoint(self) -> Operator:
        from ...linalg import DiagonalOperator

        return self if self.symmetric else DiagonalOperator(self.inverse.conj())

    def diagonal(self) -> Array:
        """Return the inverse diagonal."""
        return self.inverse.copy()


def jacobi(A: Any) -> Jacobi:
    """Diagonal preconditioner ``M = diag(A)^-1``.

    Parameters
    ----------
    A : matrix or operator that states its diagonal, shape (n, n)

    Raises
    ------
    numpy.linalg.LinAlgError
        If a diagonal entry is zero, NaN or infinite.
    TypeError
        If A cannot state its diagonal.

    Notes
    -----
    Set-up and application cost n operations.

    Examples
    --------
    >>> import numpy as np
    >>> jacobi(np.diag([2.0, 4.0])).matvec(np.ones(2))
    array([0.5 , 0.25])
    """
    return Jacobi(A)


class BlockJacobi(Preconditioner):
    """Inverses of the diagonal blocks; see `block_jacobi`."""

    name = "block jacobi"

    def __init__(self, A: Any, block_size: int) -> None:
        self.block_size = check_count("block_size", block_size, 1)
        super().__init__(A)

    def _setup(self, A: Operator, previous: bool) -> None:
        matrix = assembled(A, "block_jacobi").tocoo()
        n, k = self.shape[0], self.block_size
        count = -(-n // k)
        blocks = np.zeros((count, k, k), dtype=matrix.dtype)
        row, column = matrix.coords
        inside = row // k == column // k
        row, column = row[inside], column[inside]
        np.add.at(blocks, (row // k, row % k, column % k), matrix.data[inside])
        spoilt = np.flatnonzero(~np.isfinite(blocks).all(axis=(1, 2)))
        if spoilt.size:
            raise np.linalg.LinAlgError(
                f"diagonal block {spoilt[0]} of A (rows {spoilt[0] * k} to {min(n, (spoilt[0] + 1) * k) - 1}) holds NaN or "
                "infinite entries: wanted finite ones"
            )
        for i in range(n - (count - 1) * k, k):  # the last block is filled up with the identity
            blocks[-1, i, i] = 1.0
        try:
            inverses = np.linalg.inv(blocks)
            singular = not np.isfinite(inverses).all()
        except np.linalg.LinAlgError:
            singular = True
        if singular:
            bad = next((i for i, block in enumerate(blocks) if np.linalg.matrix_rank(block) < k), 0)
            raise np.linalg.LinAlgError(
                f"diagonal block {bad} of A (rows {bad * k} to {min(n, (bad + 1) * k) - 1}) is singular: choose another "
                "block_size, or use ilu or direct"
            )
        self.symmetric = True if A.symmetric else None
        self.positive_definite = True if A.positive_definite and A.nullspace is None else None
        if self.symmetric:
            inverses = 0.5 * (inverses + inverses.conj().transpose(0, 2, 1))
        self.inverses = inverses
        self.memory_bytes = self.inverses.nbytes
        self.name = f"block jacobi({k})"

    def _apply(self, x: Array, out: Array) -> None:
        count, k, n = *self.inverses.shape[:2], x.shape[0]
        padded = self._buffer("in", count * k, x.dtype)
        padded[:n], padded[n:] = x, 0
        result = self._buffer("out", count * k, np.result_type(x.dtype, self.inverses.dtype))
        np.matmul(self.inverses, padded.reshape(count, k, 1), out=result.reshape(count, k, 1))
        out[:] = result[:n]

    def _rmatvec(self, x: Array) -> Array:
        count, k = self.inverses.shape[:2]
        padded = np.zeros(count * k, dtype=np.result_type(x.dtype, self.inverses.dtype))
        padded[: x.size] = np.ravel(x)
        adjoint = self.inverses.conj().transpose(0, 2, 1)
        return np.ravel(adjoint @ padded.reshape(count, k, 1))[: x.size]


def block_jacobi(A: Any, block_size: int = 4) -> BlockJacobi:
    """Block-diagonal preconditioner: the inverses of consecutive diagonal blocks.

    Parameters
    ----------
    A : matrix or operator that can be assembled, shape (n, n)
    block_size : int
        Rows per block (for elasticity: the unknowns per node); the last block may be smaller.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a block is singular, or holds NaN or infinite entries.

    Notes
    -----
    Set-up costs ``n block_size^2`` operations, an application ``n block_size``.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 4.0]])
    >>> block_jacobi(A, 2).matvec(np.array([3.0, 3.0, 4.0]))
    array([1., 1., 1.])
    """
    return BlockJacobi(A, block_size)
