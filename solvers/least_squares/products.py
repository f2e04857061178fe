"""Products with a tall matrix for least squares: the residual and its image under the adjoint, in one reading of A."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import get_blas_funcs

from ...linalg import CSROperator, DenseOperator, Operator
from ...linalg.kernels import tall
from ...linalg.operators.matrix import index_view, unlocked

__all__ = ["Products", "products"]

Array = npt.NDArray[Any]

_CACHED = 1 << 19  # numbers of A in a block of rows that is used twice while it is in the cache


class Products:
    """Products with any operator that has an adjoint; subclasses know the entries.

    Attributes
    ----------
    shape : tuple of int
        ``(m, n)``.
    dtype : dtype
        Type in which to compute.
    passes : int
        Readings of A so far.
    """

    def __init__(self, A: Operator, dtype: Any) -> None:
        self.A, self.shape, self.dtype, self.passes = A, A.shape, np.dtype(dtype), 0

    def sketched(self, S: Any) -> Array:
        """Return ``S A``, dense."""
        return np.asarray(S @ self.A).astype(self.dtype, copy=False)

    def dense(self) -> Array:
        """Return A as an array."""
        return np.asarray(self.A.matmat(np.eye(self.shape[1], dtype=self.dtype)))

    def there_and_back(self, v: Array, alpha: float = 1.0, b: Array | None = None) -> tuple[Array, Array]:
        """Return ``r = b + alpha A v`` and ``A^H r`` for a block v of shape ``(n, k)``."""
        self.passes += 1
        r = self.dtype.type(alpha) * np.asarray(self.A.matmat(v)).astype(self.dtype, copy=False)
        if b is not None:
            r += b
        return r, np.asarray(self.A.H.matmat(r)).astype(self.dtype, copy=False)

    def normal(self, v: Array) -> Array:
        """Return ``A^H A v``."""
        return self.there_and_back(v)[1]


class _Dense(Products):
    def __init__(self, A: DenseOperator, dtype: Any) -> None:
        super().__init__(A, dtype)
        self.array = unlocked(A.array.astype(dtype, copy=False))
        if not (self.array.flags.c_contiguous or self.array.flags.f_contiguous):
            self.array = np.ascontiguousarray(self.array)
        self._fused = self.array.flags.c_contiguous and self.dtype.kind == "f"
        self._zero = np.zeros(0, dtype=self.dtype)

    def sketched(self, S: Any) -> Array:
        return np.asarray(S @ self.array)

    def dense(self) -> Array:
        return self.array

    def gram(self, R: Array, scale: Array, b: Array) -> tuple[Array, Array]:
        """Return ``Y^H Y`` and ``Y^H b`` for ``Y = A diag(1/scale) R^-1``, by blocks of rows that stay in the cache."""
        self.passes += 1
        m, n = self.shape
        trsm, gemm = get_blas_funcs(("trsm", "gemm"), (R,))
        rank_k = get_blas_funcs("syrk" if self.dtype.kind == "f" else "herk", (R,))
        G = np.zeros((n, n), dtype=self.dtype, order="F")
        z = np.zeros((n, b.shape[1]), dtype=self.dtype, order="F")
        step = max(2 * n, _CACHED // n)
        for first in range(0, m, step):
            block = np.divide(self.array[first : first + step], scale).conj().T  # n x rows, stored by columns
            Y = trsm(1.0, R, np.asfortranarray(block), trans_a=2, overwrite_b=True)
            G = rank_k(1.0, Y, beta=1.0, c=G, lower=True, overwrite_c=True)
            z = gemm(1.0, Y, b[first : first + step], beta=1.0, c=z, overwrite_c=True)
        lower = np.tril(G)
        return lower + np.tril(G, -1).conj().T, z

    def there_and_back(self, v: Array, alpha: float = 1.0, b: Array | None = None) -> tuple[Array, Array]:
        self.passes += 1
        (m, n), k, a = self.shape, v.shape[1], self.dtype.type(alpha)
        if k == 1 and self._fused:
            if b is None:
                self._zero = b = self._zero if self._zero.size == m else np.zeros(m, dtype=self.dtype)
            r, g = np.empty(m, dtype=self.dtype), np.empty(n, dtype=self.dtype)
            rhs = unlocked(np.ascontiguousarray(b.reshape(-1)))
            tall.dense_there_and_back(self.array, np.ascontiguousarray(v[:, 0]), a, rhs, r, g)
            return r[:, None], g[:, None]
        r = np.empty((m, k), dtype=self.dtype)
        g = np.zeros((n, k), dtype=self.dtype)
        step = m if not self.array.flags.c_contiguous else max(256, _CACHED // n)
        for first in range(0, m, step):
            block = self.array[first : first + step]
            part = block @ v
            part *= a
            if b is not None:
                part += b[first : first + step]
            r[first : first + step] = part
            g += (block.T @ part) if self.dtype.kind == "f" else (block.T @ part.conj()).conj()
        return r, g


class _Sparse(Products):
    def __init__(self, A: CSROperator, dtype: Any) -> None:
        super().__init__(A, dtype)
        self._parts = (A._starts, index_view(A.matrix.indptr), index_view(A.matrix.indices))
        self._data = unlocked(A.matrix.data.astype(dtype, copy=False))

    def dense(self) -> Array:
        return np.asarray(self.A.tocsr().toarray(), dtype=self.dtype)

    def there_and_back(self, v: Array, alpha: float = 1.0, b: Array | None = None) -> tuple[Array, Array]:
        if self.dtype.kind != "f":
            return super().there_and_back(v, alpha, b)
        self.passes += 1
        (m, n), k = self.shape, v.shape[1]
        r, g = np.empty((k, m), dtype=self.dtype), np.empty((k, n), dtype=self.dtype)
        zero = np.zeros(m, dtype=self.dtype) if b is None else None
        for j in range(k):
            rhs = zero if b is None else unlocked(np.ascontiguousarray(b[:, j]))
            vector = np.ascontiguousarray(v[:, j])
            tall.sparse_there_and_back(*self._parts, self._data, vector, self.dtype.type(alpha), rhs, r[j], g[j])
        return r.T, g.T


def products(A: Operator, dtype: Any) -> Products:
    """Return the products that suit an operator."""
    if isinstance(A, DenseOperator):
        return _Dense(A, dtype)
    return _Sparse(A, dtype) if isinstance(A, CSROperator) else Products(A, dtype)
