"""What all sketches share: the shape (d, m), the input they take, the class of precision they keep, and exact adjoints.

A sketch S is a random linear map with ``E[S^T S] = I`` that takes vectors of length m to length d. Its entries are real,
so a complex block is sketched as a real one of twice as many columns. Unlike other operators a sketch computes ``S @ A``
at once for every A, sparse matrices and operators included: what is wanted is the small matrix, not a lazy product.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, issparse
from scipy.sparse.linalg import LinearOperator

from .. import vectors
from ..operators.base import Operator
from ..operators.convert import as_operator
from ..operators.matrix import canonical_csr

__all__ = ["AdjointSketch", "Sketch"]

Array = npt.NDArray[Any]

_DENSIFY = 1 << 23  # numbers in the dense blocks that sparse matrices and operators pass through


def _count(name: str, value: Any) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is {value!r}: wanted a whole number >= 1")
    if not np.isfinite(value) or int(value) != value or value < 1:
        raise ValueError(f"{name} is {value!r}: wanted a whole number >= 1")
    return int(value)


def _floating(x: Array) -> Array:
    """Return `x` in one of the four floating types, in the byte order of the machine; integers become float64."""
    if x.dtype.kind not in "biufc":
        raise TypeError(f"the array has dtype {x.dtype}: wanted numbers (float, complex or integer)")
    if x.dtype.char in "fdFD":
        return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


class _Blockwise(Operator):
    """An operator of real entries whose one product is that with a block; see `Sketch` for the rules of types."""

    def _forward(self, x: Array) -> Array:
        """Return the product with a block of float32 or float64, C- or Fortran-contiguous, shape ``(m, k)``."""
        raise NotImplementedError

    def _forward_csr(self, x: csr_array) -> Array:
        """Return the product with a sparse matrix of real entries; by default through dense blocks of columns."""
        out = np.empty((self.shape[0], x.shape[1]), dtype=x.dtype)
        by_columns = x.tocsc()
        step = max(1, _DENSIFY // max(1, x.shape[0]))
        for first in range(0, x.shape[1], step):
            block = by_columns[:, first : first + step].toarray()
            out[:, first : first + step] = self._forward(np.ascontiguousarray(block))
        return out

    def _block(self, x: Array) -> Array:
        """Product with a dense block of any type and layout."""
        x = _floating(x)
        if x.shape[1] == 0:
            return np.empty((self.shape[0], 0), dtype=x.dtype)
        if x.dtype.kind == "c":
            x = np.ascontiguousarray(x)
            parts = x.view(x.real.dtype)
            return np.ascontiguousarray(self._forward(parts)).view(x.dtype)
        if not (x.flags.c_contiguous or x.flags.f_contiguous):
            x = np.ascontiguousarray(x)
        return self._forward(x)

    def _apply(self, x: Array, out: Array) -> None:
        out[:] = self._block(x[:, None])[:, 0]

    def _apply_block(self, x: Array, out: Array) -> None:
        out[:] = self._block(x)

    def _matvec(self, x: Array) -> Array:
        return self._block(np.asarray(x).reshape(-1, 1))[:, 0]

    def _matmat(self, x: Array) -> Array:
        return self._block(np.asarray(x))

    def dot(self, x: Any) -> Any:
        """Multiply a vector, a block, a sparse matrix, an operator or a tensor; everything but a number at once.

        Parameters
        ----------
        x : ndarray, SciPy sparse array or matrix, LinearOperator, Operator, torch tensor or number
            Of `m` rows. An operator costs as many products with it as it has columns, or, where that is fewer and it
            has an adjoint, as many products with its adjoint as the sketch has rows.

        Returns
        -------
        ndarray or tensor
            Dense, of the precision of `x`: float32 stays float32, integers become float64. A number gives an operator.
        """
        if np.isscalar(x):
            return super().dot(x)
        if vectors.is_torch(x):
            return self._dot_torch(x)
        if issparse(x) or isinstance(x, LinearOperator):
            if x.shape[0] != self.shape[1]:
                raise ValueError(
                    f"the matrix has shape {x.shape}, the sketch {self.shape}: wanted {self.shape[1]} rows"
                )
            return self._dot_sparse(canonical_csr(x)) if issparse(x) else self._dot_operator(as_operator(x))
        x = np.asarray(x)
        if x.ndim not in (1, 2) or x.shape[0] != self.shape[1]:
            raise ValueError(f"the array has shape {x.shape}, the sketch {self.shape}: wanted {self.shape[1]} rows")
        return self._matvec(x) if x.ndim == 1 else self._matmat(x)

    def _dot_sparse(self, x: csr_array) -> Array:
        if x.dtype.kind != "c":
            return self._forward_csr(x)
        result = np.empty((self.shape[0], x.shape[1]), dtype=x.dtype)
        result.real, result.imag = self._forward_csr(x.real), self._forward_csr(x.imag)
        return result

    def _dot_operator(self, x: Operator) -> Array:
        (d, m), n = self.shape, x.shape[1]
        dtype = x.dtype if x.dtype.char in "fdFD" else np.dtype(np.float64)
        result = np.empty((d, n), dtype=dtype)
        if hasattr(x, "array"):
            return self._matmat(x.array)
        if hasattr(x, "matrix"):
            return self._dot_sparse(x.matrix)
        step = max(1, _DENSIFY // max(1, m))
        if d < n and _has_adjoint(x):
            adjoint = self.H
            for first in range(0, d, step):
                count = min(step, d - first)
                unit = np.zeros((d, count), dtype=dtype)
                unit[first + np.arange(count), np.arange(count)] = 1
                result[first : first + count] = x.H.matmat(adjoint.matmat(unit)).conj().T
            return result
        for first in range(0, n, step):
            count = min(step, n - first)
            unit = np.zeros((n, count), dtype=dtype)
            unit[first + np.arange(count), np.arange(count)] = 1
            result[:, first : first + count] = self._matmat(x.matmat(unit))
        return result

    def _dot_torch(self, x: Any) -> Any:
        import torch

        if x.ndim not in (1, 2) or x.shape[0] != self.shape[1]:
            raise ValueError(
                f"the tensor has shape {tuple(x.shape)}, the sketch {self.shape}: wanted {self.shape[1]} rows"
            )
        x = x.detach().resolve_conj().resolve_neg()
        if x.layout is not torch.strided:
            from ..operators.torch import tensor_to_csr

            return torch.from_numpy(self._dot_sparse(tensor_to_csr(x))).to(x.device)
        return torch.from_numpy(np.ascontiguousarray(self.dot(x.cpu().numpy()))).to(x.device)

    def matvec(self, x: Any) -> Any:
        """Multiply a vector of shape ``(m,)`` or ``(m, 1)``, numpy array or torch tensor."""
        if vectors.is_torch(x):
            return self._dot_torch(x)
        return super().matvec(x)

    def _transpose(self) -> Operator:
        return cast(Operator, self.H)  # the entries are real


def _has_adjoint(x: Operator) -> bool:
    try:
        x.H.matvec(np.zeros(x.shape[0], dtype=x.dtype))
    except (TypeError, NotImplementedError):
        return False
    return True


class Sketch(_Blockwise):
    """A random linear map of shape ``(d, m)`` with ``E[S^T S] = I``.

    Parameters
    ----------
    d : int
        Rows of the sketch: the length that vectors are brought down to.
    m : int
        Columns: the length of the vectors that are sketched.
    rng : Generator, seed or None
        Source of the randomness, used once, here; the sketch then is one fixed map.

    Raises
    ------
    TypeError, ValueError
        If `d` or `m` is not a whole number of at least 1, or `d` is more than a sketch by sampling can draw.

    Notes
    -----
    ``S @ A`` takes arrays, sparse matrices, operators and tensors and answers with the dense product. ``S.T``, ``S.H``
    and ``S.adjoint()`` are the exact adjoint, again for every kind of input.
    """

    dense: ClassVar[bool] = False
    """Whether every entry of the sketch is nonzero, which guarantees in the maximum norm need."""

    def __init__(self, d: int, m: int, *, rng: Any = None) -> None:
        self.d, self.m = _count("d", d), _count("m", m)
        self._transposed: AdjointSketch | None = None
        super().__init__(np.float64, (self.d, self.m))

    def _need_room(self, most: int) -> None:
        """Refuse more samples than there are rows to draw from."""
        if self.d > most:
            raise ValueError(
                f"d is {self.d}, m is {self.m}: {type(self).__name__} draws d different rows of a transform, so d may be "
                f"{most} at most; take fewer rows, or GaussianSketch or SparseSignSketch"
            )

    def _backward(self, y: Array) -> Array:
        """Return the product of the transpose with a real block of shape ``(d, k)``."""
        raise NotImplementedError

    def _adjoint(self) -> Operator:
        if self._transposed is None:
            self._transposed = AdjointSketch(self)
        return self._transposed

    def toarray(self) -> Array:
        """Return the sketch as a dense array, shape ``(d, m)``; for small sizes."""
        return self._matmat(np.eye(self.m))

    def tocsr(self) -> csr_array:
        """Return the sketch as a CSR array; only sparse sketches are small in this form."""
        return csr_array(self.toarray())

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_transposed": None}


class AdjointSketch(_Blockwise):
    """The transpose of a sketch, shape ``(m, d)``."""

    def __init__(self, inner: Sketch) -> None:
        self.inner = inner
        super().__init__(np.float64, inner.shape[::-1])

    def _forward(self, x: Array) -> Array:
        return self.inner._backward(x)

    def _adjoint(self) -> Operator:
        return self.inner

    def tocsr(self) -> csr_array:
        """Return the transpose of the sketch as a CSR array."""
        return csr_array(self.inner.tocsr().T)
