"""What every preconditioner is: an operator that applies an approximate inverse, set up once and updatable.

``M = precond.ic(A)`` runs the set-up; ``M.matvec(r)`` applies it; ``M.update(A_new)`` sets it up again for a new matrix of
the same shape and keeps what depends on the pattern alone.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ...linalg import CSROperator, Operator, as_operator
from ...linalg.operators.matrix import canonical_csr

__all__ = ["Preconditioner", "assembled", "bytes_of"]


def assembled(A: Any, name: str) -> csr_array:
    """Return `A` as a canonical CSR array, or say that this preconditioner needs one."""
    operator = as_operator(A)
    if operator.shape[0] != operator.shape[1]:
        raise ValueError(f"A has shape {operator.shape}: {name} needs a square matrix")
    try:
        return operator.matrix if isinstance(operator, CSROperator) else canonical_csr(operator.tocsr())
    except TypeError:
        raise TypeError(
            f"{name} needs the entries of A, and {type(A).__name__} cannot be assembled: pass a sparse or dense matrix"
        ) from None


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
        super().__init__(operator.dtype if dtype is None else dtype, operator.shape, grid=operator.grid, **facts)
        self._run_setup(operator, previous=False)

    def _run_setup(self, operator: Operator, *, previous: bool) -> None:
        start = time.perf_counter()
        self._setup(operator, previous)
        self.setup_seconds = time.perf_counter() - start

    def _setup(self, A: Operator, previous: bool) -> None:
        raise NotImplementedError

    def update(self, A: Any) -> None:
        """Set up again for a new matrix of the same shape, keeping what depends on the pattern alone.

        Raises
        ------
        ValueError
            If `A` has another shape.
        """
        operator = as_operator(A)
        if operator.shape != self.shape:
            raise ValueError(
                f"A has shape {operator.shape}: this {self.name} was set up for {self.shape}; build a new one"
            )
        self._run_setup(operator, previous=True)
