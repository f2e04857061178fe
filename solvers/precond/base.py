"""What every preconditioner is: an operator that applies an approximate inverse, set up once and updatable.

``M = precond.ic(A)`` runs the set-up; ``M.matvec(r)`` applies it; ``M.update(A_new)`` sets it up again for a new matrix of
the same shape and keeps what depends on the pattern alone.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, diags_array

from ...linalg import CSROperator, Operator, as_operator
from ...linalg.operators.matrix import canonical_csr

__all__ = ["Preconditioner", "assembled", "bytes_of", "filled_diagonal"]


def assembled(A: Any, name: str) -> csr_array:
    """Return `A` as a canonical CSR array, or say that this preconditioner needs one."""
    operator = as_operator(A)
    if operator.shape[0] != operator.shape[1]:
        raise ValueError(f"A has shape {operator.shape}: {name} needs a square matrix")
    try:
        matrix = operator.matrix if isinstance(operator, CSROperator) else canonical_csr(operator.tocsr())
    except TypeError:
        raise TypeError(
            f"{name} needs the entries of A, and {type(A).__name__} cannot be assembled: pass a sparse or dense matrix"
        ) from None
    return matrix if operator.nullspace is None else _with_shut_in_unknowns(matrix)


def _with_shut_in_unknowns(matrix: csr_array) -> csr_array:
    """Put a 1 on the diagonal of empty rows of a matrix with a declared null space.

    An unknown without any neighbour (a cell walled in on all sides) is a null vector of its own; the solvers keep their
    residuals at zero there, so what M does to it is free, and a 1 lets every factorisation pass.
    """
    empty = (matrix.diagonal() == 0) & (np.asarray(abs(matrix).sum(axis=1)).ravel() == 0)
    if not empty.any():
        return matrix
    return canonical_csr(csr_array(matrix + diags_array(empty.astype(matrix.dtype), format="csr")))


def filled_diagonal(A: Operator) -> npt.NDArray[Any]:
    """Return the diagonal of A, with 1 in the place of zeros that a declared null space explains."""
    diagonal = A.diagonal()
    if A.nullspace is not None:
        alone = np.zeros(diagonal.size, dtype=bool)
        alone[A.nullspace.indices[np.abs(A.nullspace.data) == 1.0]] = True
        diagonal[alone & (diagonal == 0)] = 1.0
    return diagonal


def bytes_of(*held: Any) -> int:
    """Bytes held by arrays and sparse arrays (None counts nothing)."""
    total = 0
    for item in held:
        if item is None:
            continue
        if hasattr(item, "indptr"):
            total += item.data.nbytes + item.indices.nbytes + item.indptr.nbytes
        elif isinstance(item, np.ndarray):
            total += item.nbytes
        elif isinstance(item, (list, tuple)):
            total += bytes_of(*item)
        else:
            total += int(getattr(item, "memory_bytes", None) or sys.getsizeof(item))
    return total


class Preconditioner(Operator):
    """Base of all preconditioners.

    Subclasses implement ``_setup(A, previous)`` (build from the operator-like `A`; `previous` is True on an update), and
    ``_apply(r, out)``; they set ``memory_bytes`` in ``_setup``.

    Attributes
    ----------
    name : str
        Short label for tables, such as ``"ic(0)"``.
    setup_seconds : float
        Wall time of the last set-up or update.
    memory_bytes : int
        What the preconditioner holds beyond A.
    """

    name = "preconditioner"
    memory_bytes: int = 0
    setup_seconds: float = 0.0

    def __init__(self, A: Any, *, dtype: Any = None, **facts: Any) -> None:
        operator = as_operator(A)
        if operator.shape[0] != operator.shape[1]:
            raise ValueError(f"A has shape {operator.shape}: {self.name} needs a square matrix")
        self._given_dtype = None if dtype is None else np.dtype(dtype)
        super().__init__(self._dtype_for(operator), operator.shape, grid=operator.grid, **facts)
        self._run_setup(operator, previous=False)

    def _dtype_for(self, operator: Operator) -> np.dtype[Any]:
        """Type of M: the one asked for, or that of A in one of the four types that vectors have."""
        if self._given_dtype is not None:
            return self._given_dtype
        dtype = np.dtype(operator.dtype)
        if dtype.char in "fdFD":
            return dtype.newbyteorder("=")
        return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)

    def _run_setup(self, operator: Operator, *, previous: bool) -> None:
        start = time.perf_counter()
        former = dict(self.__dict__)
        self.dtype, self.grid = self._dtype_for(operator), operator.grid
        self._buffers.clear()
        try:
            self._setup(operator, previous)
        except Exception:  # a failed update leaves the former preconditioner
            self.__dict__.update(former)
            raise
        self.setup_seconds = time.perf_counter() - start

    def _setup(self, A: Operator, previous: bool) -> None:
        raise NotImplementedError

    def __copy__(self) -> Self:
        """Return a shallow copy: same factors, scratch vectors of its own (a pickle may have to build them again)."""
        result = object.__new__(type(self))
        result.__dict__.update(Operator.__getstate__(self))
        return result

    def update(self, A: Any) -> None:
        """Set up again for a new matrix of the same shape, keeping what depends on the pattern alone.

        Raises
        ------
        ValueError
            If `A` has another shape.

        Notes
        -----
        The new matrix may have another pattern, entries of another type, and another grid. If the set-up fails, the
        preconditioner stays what it was.
        """
        operator = as_operator(A)
        if operator.shape != self.shape:
            raise ValueError(
                f"A has shape {operator.shape}: this {self.name} was set up for {self.shape}; build a new one"
            )
        self._run_setup(operator, previous=True)
