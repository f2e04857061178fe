"""The operator that everything shares: a SciPy LinearOperator that also states facts about itself.

A fact is True, False or None (unknown). Facts are declared by whoever knows them and travel through transpose, sum,
scaling, Kronecker product and congruence by the rules in this package; nothing is guessed.

Departures from ``scipy.sparse.linalg.LinearOperator``: the lazily combined operators are ritzkit's own (they carry
facts and reuse their buffers), and ``apply(x, out)`` writes a product into a vector that the caller owns, which is what
lets a Krylov loop run without allocating.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array
from scipy.sparse.linalg import LinearOperator

from .. import vectors
from ..kernels.spmv import project_out
from .buffers import Buffers
from .grid import Grid

__all__ = ["Operator"]

Array = npt.NDArray[Any]


class Operator(LinearOperator):
    """A linear map with declared facts.

    Subclasses implement ``_apply(x, out)`` for one-dimensional arrays, and where they can ``_apply_block``,
    ``_adjoint``, ``diagonal`` and ``tocsr``.

    Parameters
    ----------
    dtype : dtype
        Type of the entries.
    shape : tuple of int
        ``(rows, columns)``.
    symmetric : bool, optional
        Whether the operator equals its conjugate transpose (for real entries: its transpose).
    positive_definite : bool, optional
        Whether ``x^H A x > 0`` for every nonzero x outside the declared null space; implies `symmetric`.
    fixed : bool
        Whether it is the same linear map at every call. ``False`` for a nonlinear or changing preconditioner.
    nullspace : csc_array, optional
        Known null vectors as orthonormal columns, shape ``(n, k)``.
    grid : Grid, optional
        The grid whose unknowns the operator acts on.
    """

    def __init__(
        self,
        dtype: Any,
        shape: tuple[int, int],
        *,
        symmetric: bool | None = None,
        positive_definite: bool | None = None,
        fixed: bool = True,
        nullspace: csc_array | None = None,
        grid: Grid | None = None,
    ) -> None:
        super().__init__(np.dtype(dtype), (int(shape[0]), int(shape[1])))
        if positive_definite:
            if symmetric is False:
                raise ValueError(
                    "positive_definite=True with symmetric=False: definite means symmetric (Hermitian) here; drop "
                    "one of the two"
                )
            symmetric = True
        if symmetric and shape[0] != shape[1]:
            raise ValueError(f"symmetric=True for an operator of shape {tuple(shape)}: only a square one can be")
        if nullspace is not None and nullspace.shape[0] != shape[1]:
            raise ValueError(f"nullspace has {nullspace.shape[0]} rows for an operator of shape {tuple(shape)}")
        self.symmetric = symmetric
        self.positive_definite = positive_definite
        self.fixed = fixed
        self.nullspace = nullspace
        self.grid = grid
        self._buffers = Buffers()

    # --- products -------------------------------------------------------------------------------------------------

    def apply(self, x: Any, out: Any) -> None:
        """Write ``A x`` into `out` without checking; both are vectors of the same array type (numpy or torch)."""
        if isinstance(x, np.ndarray):
            self._apply(x, out)
        else:
            self._apply_torch(x, out)

    def apply_dot(self, x: Any, out: Any) -> Any:
        """Write ``A x`` into `out` and return ``x^H A x``, in one pass where the operator can."""
        self.apply(x, out)
        return vectors.dot(x, out)

    def _apply(self, x: Array, out: Array) -> None:
        raise NotImplementedError(f"{type(self).__name__} defines no product")

    def _apply_torch(self, x: Any, out: Any) -> None:
        """Default: through host memory (shared, not copied, for tensors on the CPU)."""
        result = np.empty(self.shape[0], dtype=vectors.numpy_dtype(out))
        self._apply(vectors.to_numpy(x), result)
        vectors.copy_from_numpy(result, out)

    def _apply_block(self, x: Array, out: Array) -> None:
        for j in range(x.shape[1]):
            column = np.empty(self.shape[0], dtype=out.dtype)
            self._apply(np.ascontiguousarray(x[:, j]), column)
            out[:, j] = column

    def matvec(self, x: Any) -> Any:
        """Multiply a vector of shape ``(n,)`` or ``(n, 1)``, numpy array or torch tensor.

        Raises
        ------
        ValueError
            If the length of `x` is not the number of columns.
        """
        if vectors.is_torch(x):
            if tuple(x.shape) != (self.shape[1],):
                raise ValueError(f"x has shape {tuple(x.shape)}: wanted ({self.shape[1]},)")
            out = vectors.empty(self.shape[0], x, np.result_type(self.dtype, vectors.numpy_dtype(x)))
            self.apply(x.detach().resolve_conj().resolve_neg().contiguous(), out)
            return out
        return super().matvec(x)

    def _matvec(self, x: Array) -> Array:
        x = np.ascontiguousarray(np.asarray(x).reshape(-1))
        x = _native(x)
        out = np.empty(self.shape[0], dtype=np.result_type(self.dtype, x.dtype))
        self._apply(x, out)
        return out

    def _matmat(self, x: Array) -> Array:
        x = _native(np.ascontiguousarray(x))
        out = np.empty((self.shape[0], x.shape[1]), dtype=np.result_type(self.dtype, x.dtype))
        self._apply_block(x, out)
        return out

    def _rmatvec(self, x: Array) -> Array:
        return cast(Array, self.H.matvec(x))

    def _rmatmat(self, x: Array) -> Array:
        return cast(Array, self.H.matmat(x))

    def _buffer(self, key: str, n: int, dtype: Any) -> Array:
        """Scratch vector that lives as long as the operator."""
        held = self._buffers.get(key)
        if held is None or held.shape != (n,) or held.dtype != dtype:
            held = self._buffers[key] = np.empty(n, dtype=dtype)
        return cast(Array, held)

    # --- what an operator may know of itself ------------------------------------------------------------------------

    def diagonal(self) -> Array:
        """Return the main diagonal, shape ``(min(shape),)``.

        Raises
        ------
        TypeError
            If the operator cannot state it.
        """
        raise TypeError(f"{type(self).__name__} cannot state its diagonal: pass an assembled (sparse or dense) matrix")

    def tocsr(self) -> csr_array:
        """Return the operator as a CSR array.

        Raises
        ------
        TypeError
            If the operator cannot be assembled.
        """
        raise TypeError(f"{type(self).__name__} cannot be assembled: pass a sparse or dense matrix instead")

    def project(self, x: Array) -> Array:
        """Remove from `x` its component in the declared null space; returns a new vector."""
        x = np.array(x, dtype=np.result_type(x, np.float32))
        self.project_in_place(x)
        return x

    def project_in_place(self, x: Array) -> None:
        """Remove from `x`, without allocating, its component in the declared null space."""
        if self.nullspace is not None:
            project_out(self.nullspace.indptr, self.nullspace.indices, self.nullspace.data, x)

    def facts(self) -> dict[str, bool | None]:
        """Return the declared facts by name."""
        return {"symmetric": self.symmetric, "positive_definite": self.positive_definite, "fixed": self.fixed}

    # --- combinations: see compose.py -----------------------------------------------------------------------------

    def _adjoint(self) -> Operator:
        from .compose import AdjointOperator

        return self if self.symmetric else AdjointOperator(self)

    def _transpose(self) -> Operator:
        from .compose import TransposeOperator

        if self.symmetric and self.dtype.kind != "c":
            return self
        return TransposeOperator(self)

    def __add__(self, other: Any) -> Operator:
        from .compose import SumOperator
        from .convert import as_operator

        return SumOperator([self, as_operator(other)])

    __radd__ = __add__

    def __sub__(self, other: Any) -> Operator:
        from .compose import ScaledOperator, SumOperator
        from .convert import as_operator

        return SumOperator([self, ScaledOperator(as_operator(other), -1.0)])

    def __rsub__(self, other: Any) -> Operator:
        from .compose import ScaledOperator, SumOperator
        from .convert import as_operator

        return SumOperator([as_operator(other), ScaledOperator(self, -1.0)])

    def __neg__(self) -> Operator:
        return self * -1.0

    def __mul__(self, other: Any) -> Any:
        from .compose import ScaledOperator

        return ScaledOperator(self, cast(complex, other)) if np.isscalar(other) else self.dot(other)

    def __rmul__(self, other: Any) -> Any:
        from .compose import ScaledOperator

        return ScaledOperator(self, cast(complex, other)) if np.isscalar(other) else super().__rmul__(other)

    def __truediv__(self, other: Any) -> Operator:
        from .compose import ScaledOperator

        if not np.isscalar(other):
            raise ValueError("an operator can be divided by a number only")
        return ScaledOperator(self, 1.0 / other)  # type: ignore[operator]

    def dot(self, x: Any) -> Any:
        """Multiply a vector, a block of columns, a number or another operator."""
        from scipy.sparse import issparse

        if vectors.is_torch(x) and x.ndim == 1:
            return self.matvec(x)
        if isinstance(x, LinearOperator) or issparse(x):
            from .compose import ProductOperator
            from .convert import as_operator

            return ProductOperator(self, as_operator(x))
        return super().dot(x)

    def __matmul__(self, other: Any) -> Any:
        if np.isscalar(other):
            raise ValueError("a number on the right of @: use * for scaling")
        return self.dot(other)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the scratch vectors out of copies and pickles."""
        return {**self.__dict__, "_buffers": Buffers()}

    def __repr__(self) -> str:
        facts = [name for name in ("symmetric", "positive_definite") if getattr(self, name)]
        facts += [] if self.fixed else ["not fixed"]
        said = f": {', '.join(facts)}" if facts else ""
        return f"<{self.shape[0]}x{self.shape[1]} {type(self).__name__} of {self.dtype}{said}>"


def _native(x: Array) -> Array:
    """Return `x` in one of the four types that kernels are compiled for, in the byte order of the machine."""
    if x.dtype.char not in "fdFD":
        return x.astype(np.float64)
    return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))
