"""Operators made of operators: adjoint, sum, scaling, product, congruence, Kronecker, low-rank update.

Facts follow these rules (None = unknown):

============================  =======================================  ==========================================
form                          symmetric                                positive definite
============================  =======================================  ==========================================
adjoint, transpose            as the operator                          as the operator
scaling by s                  kept for real s                          kept for s > 0, False for s < 0
sum                           True if all are; False if all but one    True if all are (a declared null space is
                              are and that one is not                  allowed only beside a definite term)
product                       None                                     None
congruence P^H A P            True if A is                             True if A is and P has full column rank
Kronecker                     True if both are                         True if both are, without null spaces
A + U C U^H                   True if A and C are                      True if A and C are
============================  =======================================  ==========================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, kron

from .base import Operator
from .convert import as_operator

__all__ = [
    "AdjointOperator", "CongruenceOperator", "KroneckerOperator", "LowRankUpdate", "ProductOperator", "ScaledOperator",
    "SumOperator", "TransposeOperator",
]  # fmt: skip

Array = npt.NDArray[Any]


def _all(facts: Sequence[bool | None]) -> bool | None:
    """Conjunction: True if all are, else unknown (a sum of non-symmetric terms may well be symmetric)."""
    return True if all(fact is True for fact in facts) else None


def _definite_beside(operators: Sequence[Operator]) -> bool | None:
    """Definiteness of a sum: every term semidefinite, and at least one definite everywhere."""
    if any(A.positive_definite is not True for A in operators):
        return None
    return True if any(A.nullspace is None for A in operators) else None


class AdjointOperator(Operator):
    """Conjugate transpose of an operator that has ``rmatvec`` of its own."""

    def __init__(self, inner: Operator) -> None:
        super().__init__(
            inner.dtype, inner.shape[::-1], symmetric=inner.symmetric, positive_definite=inner.positive_definite,
            fixed=inner.fixed, nullspace=inner.nullspace if inner.symmetric else None, grid=inner.grid,
        )  # fmt: skip
        self.inner = inner

    def _apply(self, x: Array, out: Array) -> None:
        own = type(self.inner)._rmatvec
        if own is Operator._rmatvec:
            raise TypeError(
                f"{type(self.inner).__name__} has no product with its adjoint: pass a matrix, or a LinearOperator with "
                "rmatvec"
            )
        out[:] = self.inner._rmatvec(x)

    def _adjoint(self) -> Operator:
        return self.inner

    def diagonal(self) -> Array:
        """Return the conjugated main diagonal."""
        return self.inner.diagonal().conj()

    def tocsr(self) -> csr_array:
        """Return the conjugate transpose as a CSR array."""
        return csr_array(self.inner.tocsr().conj().T)


class TransposeOperator(Operator):
    """Transpose: conjugate, adjoint, conjugate."""

    def __init__(self, inner: Operator) -> None:
        null = inner.nullspace.conj() if inner.symmetric and inner.nullspace is not None else None
        super().__init__(
            inner.dtype, inner.shape[::-1], symmetric=inner.symmetric, positive_definite=inner.positive_definite,
            fixed=inner.fixed, nullspace=null, grid=inner.grid,
        )  # fmt: skip
        self.inner = inner

    def _apply(self, x: Array, out: Array) -> None:
        self.inner.H._apply(np.conj(x), out)
        np.conjugate(out, out=out)

    def _transpose(self) -> Operator:
        return self.inner

    def _adjoint(self) -> Operator:
        return TransposeOperator(self.inner.H)

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        return self.inner.diagonal()

    def tocsr(self) -> csr_array:
        """Return the transpose as a CSR array."""
        return csr_array(self.inner.tocsr().T)


class ScaledOperator(Operator):
    """A number times an operator."""

    def __init__(self, inner: Operator, factor: complex) -> None:
        real = np.isreal(factor) and not isinstance(factor, str)
        definite = inner.positive_definite if real and np.real(factor) > 0 else None
        if real and np.real(factor) < 0 and inner.positive_definite:
            definite = False
        super().__init__(
            np.result_type(inner.dtype, type(factor) if np.iscomplexobj(factor) else inner.dtype),
            inner.shape,
            symmetric=inner.symmetric if real else None,
            positive_definite=definite,
            fixed=inner.fixed,
            nullspace=inner.nullspace,
            grid=inner.grid,
        )
        self.inner, self.factor = inner, factor

    def _apply(self, x: Array, out: Array) -> None:
        self.inner._apply(x, out)
        out *= self.factor

    def _apply_torch(self, x: Any, out: Any) -> None:
        self.inner._apply_torch(x, out)
        out *= self.factor

    def _apply_block(self, x: Array, out: Array) -> None:
        self.inner._apply_block(x, out)
        out *= self.factor

    def _adjoint(self) -> Operator:
        return self if self.symmetric else ScaledOperator(self.inner.H, np.conj(self.factor))

    def _transpose(self) -> Operator:
        return ScaledOperator(self.inner.T, self.factor)

    def diagonal(self) -> Array:
        """Return the scaled main diagonal."""
        return cast(Array, self.factor * self.inner.diagonal())

    def tocsr(self) -> csr_array:
        """Return the scaled CSR array."""
        return csr_array(self.inner.tocsr() * self.factor)


class SumOperator(Operator):
    """Sum of operators of one shape."""

    def __init__(self, terms: Sequence[Operator]) -> None:
        flat: list[Operator] = []
        for term in terms:
            flat.extend(term.terms if isinstance(term, SumOperator) else [term])
        if len({term.shape for term in flat}) != 1:
            raise ValueError(f"operators of shapes {', '.join(str(term.shape) for term in flat)} cannot be added")
        known = [term.symmetric for term in flat]
        one_odd = known.count(False) == 1 and known.count(True) == len(known) - 1
        super().__init__(
            np.result_type(*[term.dtype for term in flat]),
            flat[0].shape,
            symmetric=False if one_odd else _all(known),
            positive_definite=_definite_beside(flat),
            fixed=all(term.fixed for term in flat),
            grid=next((term.grid for term in flat if term.grid is not None), None),
        )
        self.terms: list[Operator] = flat

    def _apply(self, x: Array, out: Array) -> None:
        self.terms[0]._apply(x, out)
        scratch = self._buffer("sum", out.shape[0], out.dtype)
        for term in self.terms[1:]:
            term._apply(x, scratch)
            out += scratch

    def _apply_block(self, x: Array, out: Array) -> None:
        self.terms[0]._apply_block(x, out)
        scratch = np.empty_like(out)
        for term in self.terms[1:]:
            term._apply_block(x, scratch)
            out += scratch

    def _adjoint(self) -> Operator:
        return self if self.symmetric else SumOperator([term.H for term in self.terms])

    def _transpose(self) -> Operator:
        return SumOperator([term.T for term in self.terms])

    def diagonal(self) -> Array:
        """Return the sum of the diagonals."""
        return cast(Array, sum(term.diagonal() for term in self.terms))

    def tocsr(self) -> csr_array:
        """Return the sum as a CSR array."""
        return csr_array(sum((term.tocsr() for term in self.terms[1:]), self.terms[0].tocsr()))


class ProductOperator(Operator):
    """Product A B."""

    def __init__(self, left: Operator, right: Operator) -> None:
        if left.shape[1] != right.shape[0]:
            raise ValueError(f"operators of shapes {left.shape} and {right.shape} cannot be multiplied")
        super().__init__(
            np.result_type(left.dtype, right.dtype), (left.shape[0], right.shape[1]), fixed=left.fixed and right.fixed
        )
        self.left, self.right = left, right

    def _apply(self, x: Array, out: Array) -> None:
        middle = self._buffer("product", self.right.shape[0], out.dtype)
        self.right._apply(x, middle)
        self.left._apply(middle, out)

    def _apply_block(self, x: Array, out: Array) -> None:
        middle = np.empty((self.right.shape[0], x.shape[1]), dtype=out.dtype)
        self.right._apply_block(x, middle)
        self.left._apply_block(middle, out)

    def _adjoint(self) -> Operator:
        return ProductOperator(self.right.H, self.left.H)

    def _transpose(self) -> Operator:
        return ProductOperator(self.right.T, self.left.T)

    def diagonal(self) -> Array:
        """Return the main diagonal (through the assembled product)."""
        return cast(Array, self.tocsr().diagonal())

    def tocsr(self) -> csr_array:
        """Return the product as a CSR array."""
        return csr_array(self.left.tocsr() @ self.right.tocsr())


class CongruenceOperator(Operator):
    """Congruence P^H A P.

    Parameters
    ----------
    A : operator-like, shape (n, n)
    P : operator-like, shape (n, k)
    full_rank : bool, optional
        Declare that P has full column rank; then definiteness is inherited.
    """

    def __init__(self, A: Any, P: Any, *, full_rank: bool | None = None) -> None:
        self.A, self.P = as_operator(A), as_operator(P)
        if self.A.shape != (self.P.shape[0], self.P.shape[0]):
            raise ValueError(f"A has shape {self.A.shape} and P {self.P.shape}: wanted (n, n) and (n, k)")
        k = self.P.shape[1]
        definite = True if full_rank and self.A.positive_definite and self.A.nullspace is None else None
        super().__init__(
            np.result_type(self.A.dtype, self.P.dtype), (k, k),
            symmetric=True if self.A.symmetric else None, positive_definite=definite,
            fixed=self.A.fixed and self.P.fixed,
        )  # fmt: skip
        self._PH = self.P.H

    def _apply(self, x: Array, out: Array) -> None:
        n = self.P.shape[0]
        first, second = self._buffer("Px", n, out.dtype), self._buffer("APx", n, out.dtype)
        self.P._apply(x, first)
        self.A._apply(first, second)
        self._PH._apply(second, out)

    def _adjoint(self) -> Operator:
        return self if self.symmetric else CongruenceOperator(self.A.H, self.P)

    def diagonal(self) -> Array:
        """Return the main diagonal (through the assembled product)."""
        return cast(Array, self.tocsr().diagonal())

    def tocsr(self) -> csr_array:
        """Return the triple product as a CSR array."""
        P = self.P.tocsr()
        return csr_array(csr_array(P.conj().T) @ self.A.tocsr() @ P)


class KroneckerOperator(Operator):
    """Kronecker product A (x) B, applied as ``B X A^T`` without forming it.

    Notes
    -----
    For A of shape (m, n) and B of shape (p, q), a product costs n products with B and p products with A.
    """

    def __init__(self, A: Any, B: Any) -> None:
        self.A, self.B = as_operator(A), as_operator(B)
        plain = self.A.nullspace is None and self.B.nullspace is None
        both_known = [self.A.symmetric, self.B.symmetric]
        super().__init__(
            np.result_type(self.A.dtype, self.B.dtype),
            (self.A.shape[0] * self.B.shape[0], self.A.shape[1] * self.B.shape[1]),
            symmetric=_all(both_known),
            positive_definite=_all([self.A.positive_definite, self.B.positive_definite]) if plain else None,
            fixed=self.A.fixed and self.B.fixed,
        )

    def _apply(self, x: Array, out: Array) -> None:
        rows = x.reshape(self.A.shape[1], self.B.shape[1])  # row j is the j-th block of x
        middle = np.empty((self.B.shape[0], self.A.shape[1]), dtype=out.dtype)
        self.B._apply_block(np.ascontiguousarray(rows.T), middle)
        result = np.empty((self.A.shape[0], self.B.shape[0]), dtype=out.dtype)
        self.A._apply_block(np.ascontiguousarray(middle.T), result)
        out[:] = result.ravel()

    def _adjoint(self) -> Operator:
        return self if self.symmetric else KroneckerOperator(self.A.H, self.B.H)

    def _transpose(self) -> Operator:
        return KroneckerOperator(self.A.T, self.B.T)

    def diagonal(self) -> Array:
        """Return the main diagonal (both factors must be square)."""
        if self.A.shape[0] != self.A.shape[1] or self.B.shape[0] != self.B.shape[1]:
            return cast(Array, self.tocsr().diagonal())
        return np.kron(self.A.diagonal(), self.B.diagonal())

    def tocsr(self) -> csr_array:
        """Return the Kronecker product as a CSR array."""
        return csr_array(kron(self.A.tocsr(), self.B.tocsr(), format="csr"))


class LowRankUpdate(Operator):
    """An operator plus a matrix of low rank, A + U C V^H.

    Parameters
    ----------
    A : operator-like, shape (m, n)
    U : ndarray, shape (m, k)
    V : ndarray, shape (n, k), optional
        Default: U, which makes the update symmetric if C is.
    C : ndarray, shape (k, k), optional
        Default: the identity.
    """

    def __init__(
        self, A: Any, U: npt.ArrayLike, V: npt.ArrayLike | None = None, C: npt.ArrayLike | None = None
    ) -> None:
        self.A = as_operator(A)
        self.U = np.atleast_2d(np.asarray(U))
        self.V = self.U if V is None else np.atleast_2d(np.asarray(V))
        k = self.U.shape[1]
        self.C = np.eye(k) if C is None else np.atleast_2d(np.asarray(C))
        wanted = ((self.A.shape[0], k), (self.A.shape[1], k), (k, k))
        if (self.U.shape, self.V.shape, self.C.shape) != wanted:
            raise ValueError(
                f"U, V, C have shapes {self.U.shape}, {self.V.shape}, {self.C.shape} for A of shape {self.A.shape}: "
                f"wanted {wanted[0]}, {wanted[1]}, {wanted[2]}"
            )
        symmetric = definite = None
        if self.V is self.U and np.array_equal(self.C, self.C.conj().T):
            symmetric = self.A.symmetric
            if self.A.positive_definite and self.A.nullspace is None and np.linalg.eigvalsh(self.C).min() >= 0:
                definite = True
        super().__init__(
            np.result_type(self.A.dtype, self.U.dtype, self.V.dtype, self.C.dtype), self.A.shape,
            symmetric=symmetric, positive_definite=definite, fixed=self.A.fixed, grid=self.A.grid,
        )  # fmt: skip

    def _apply(self, x: Array, out: Array) -> None:
        self.A._apply(x, out)
        out += self.U @ (self.C @ (self.V.conj().T @ x))

    def _apply_block(self, x: Array, out: Array) -> None:
        self.A._apply_block(x, out)
        out += self.U @ (self.C @ (self.V.conj().T @ x))

    def _adjoint(self) -> Operator:
        return self if self.symmetric else LowRankUpdate(self.A.H, self.V, self.U, self.C.conj().T)

    def diagonal(self) -> Array:
        """Return the main diagonal."""
        n = min(self.shape)
        return cast(Array, self.A.diagonal() + np.einsum("ik,kl,il->i", self.U[:n], self.C, self.V[:n].conj()))

    def tocsr(self) -> csr_array:
        """Return the sum as a CSR array; it is full, so this is for small operators."""
        return csr_array(self.A.tocsr() + csr_array(self.U @ self.C @ self.V.conj().T))
