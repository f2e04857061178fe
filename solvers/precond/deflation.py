"""Deflation as a preconditioner: a coarse space of given vectors beside a one-level preconditioner.

Sources: J. M. Tang, R. Nabben, C. Vuik and Y. A. Erlangga, "Comparison of two-level preconditioners derived from deflation,
domain decomposition and multigrid methods", J. Sci. Comput. 39 (2009) 340-370; J. Mandel, "Balancing domain decomposition",
Comm. Numer. Methods Engrg. 9 (1993) 233-241.

With ``Q = Z E^-1 Z^H``, ``E = Z^H A Z``:

- balancing (symmetric A): ``(I - Q A) M (I - A Q) + Q``, symmetric positive definite if A and M are;
- A-DEF1 (general A): ``M (I - A Q) + Q``.

Departure from the sources: A Z is kept, so an application makes no product with A.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import get_blas_funcs

from ...linalg import CSROperator, Operator, as_operator, is_hermitian
from .base import Preconditioner, bytes_of

__all__ = ["Deflation", "deflation"]

Array = npt.NDArray[Any]


class Deflation(Preconditioner):
    """Coarse space of given vectors beside a one-level preconditioner; see `deflation`."""

    name = "deflation"

    def __init__(self, A: Any, Z: Any, M: Any = None) -> None:
        operator = as_operator(A)
        n = operator.shape[0]
        space = getattr(Z, "U", Z)  # a RecycleSpace hands over its vectors
        vectors = np.asarray(space)
        if vectors.dtype.kind not in "biufc":
            raise TypeError(f"Z has dtype {vectors.dtype}: wanted columns of numbers, shape ({n}, k)")
        if vectors.ndim == 1 and vectors.size:
            vectors = vectors[:, None]
        if vectors.size == 0:
            vectors = np.empty((n, 0))
        if vectors.ndim != 2 or vectors.shape[0] != n:
            raise ValueError(f"Z has shape {vectors.shape}, A has shape {operator.shape}: wanted columns, ({n}, k)")
        if not np.isfinite(vectors).all():
            raise ValueError("Z holds NaN or infinite numbers: leave those columns out")
        if M is not None:
            M = as_operator(M)
            if M.shape != operator.shape:
                raise ValueError(f"M has shape {M.shape}, A has shape {operator.shape}: wanted the same")
        self.Z, self._one_level = vectors, M
        super().__init__(operator)

    def _dtype_for(self, operator: Operator) -> np.dtype[Any]:
        dtype = super()._dtype_for(operator)
        for other in (self.Z, self._one_level):
            if other is not None and other.dtype.kind == "c":
                dtype = np.result_type(dtype, np.complex64)
        return np.dtype(dtype)

    def _setup(self, A: Operator, previous: bool) -> None:
        M = self._one_level
        if previous and M is not None and isinstance(M, Preconditioner):
            M.update(A)
        symmetric = A.symmetric
        if symmetric is None and isinstance(A, CSROperator):
            symmetric = is_hermitian(A.matrix)
        if M is None:
            M = _diagonal(A, self.dtype)
        Z = self.Z.astype(self.dtype)
        lengths = np.linalg.norm(Z, axis=0)
        Z = np.asfortranarray(Z[:, lengths > 0] / lengths[lengths > 0])
        if Z.shape[1]:
            Q, R = np.linalg.qr(Z)
            pivots = np.abs(np.diagonal(R))
            Z = np.asfortranarray(Q[:, pivots > 1e-6 * pivots.max()].astype(self.dtype))
        AZ = np.empty((A.shape[0], Z.shape[1]), dtype=self.dtype)
        A._apply_block(np.ascontiguousarray(Z), AZ)
        E = Z.conj().T @ AZ
        if not np.isfinite(E).all():
            raise np.linalg.LinAlgError("A gave NaN or infinity for the vectors Z: check the entries of A")
        if symmetric:
            E = 0.5 * (E + E.conj().T)
        if Z.shape[1]:
            self.inverse = _inverse(E, bool(symmetric), self.dtype)
        else:
            self.inverse = np.zeros((0, 0), dtype=self.dtype)
        self.basis, self.images, self.level = Z, np.asfortranarray(AZ), M
        self.balancing = bool(symmetric)
        self.k = Z.shape[1]
        self.fixed = M is None or M.fixed
        definite = bool(symmetric and A.positive_definite) and (M is None or bool(M.positive_definite))
        self.symmetric = True if symmetric and (M is None or M.symmetric) else None
        self.positive_definite = True if definite else None
        self._gemv = get_blas_funcs("gemv", dtype=self.dtype)
        self.memory_bytes = bytes_of(self.basis, self.images, self.inverse, M)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_gemv"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._gemv = get_blas_funcs("gemv", dtype=self.dtype)

    def _apply(self, x: Array, out: Array) -> None:
        r = x.astype(self.dtype)  # a copy
        if not self.k:
            out[:] = r if self.level is None else self._level_of(r)
            return
        adjoint = 2 if self.dtype.kind == "c" else 1
        coarse = self.inverse @ self._gemv(1.0, self.basis, r, trans=adjoint)
        self._gemv(-1.0, self.images, coarse, beta=1.0, y=r, overwrite_y=1)  # (I - A Q) x
        y = r if self.level is None else self._level_of(r)
        if self.balancing:
            coarse = coarse - self.inverse @ self._gemv(1.0, self.images, y, trans=adjoint)
        self._gemv(1.0, self.basis, coarse, beta=1.0, y=y, overwrite_y=1)
        out[:] = y if out.dtype.kind == "c" or y.dtype.kind != "c" else y.real

    def _level_of(self, r: Array) -> Array:
        y = self._buffer("level", r.shape[0], r.dtype)
        self.level._apply(r, y)
        return y


def _inverse(E: Array, symmetric: bool, dtype: Any) -> Array:
    """Inverse of the coarse matrix; LinAlgError where it is singular to rounding."""
    size = np.abs(E).max()
    if size == 0 or np.linalg.cond(E) > 0.1 / np.finfo(E.dtype).eps:
        raise np.linalg.LinAlgError(
            "Z^H A Z is singular to working precision: A (nearly) annihilates a combination of the vectors Z; leave it out"
        )
    inverse = np.linalg.inv(E.astype(np.complex128 if E.dtype.kind == "c" else np.float64))
    if symmetric:
        inverse = 0.5 * (inverse + inverse.conj().T)
    return np.asarray(inverse.astype(dtype))


def _diagonal(A: Operator, dtype: Any) -> Operator | None:
    """Inverse diagonal where A states one that is positive, otherwise None (the identity)."""
    from ...linalg import DiagonalOperator

    try:
        diagonal = A.diagonal()
    except TypeError:
        return None
    if np.iscomplexobj(diagonal):
        if np.any(diagonal.imag):
            return None
        diagonal = diagonal.real
    if not (np.isfinite(diagonal).all() and (diagonal > 0).all()):
        return None
    return DiagonalOperator((1.0 / diagonal).astype(np.empty(0, dtype).real.dtype))


def deflation(A: Any, Z: Any, M: Any = None) -> Deflation:
    """Two-level preconditioner: exact on the span of Z, M on the rest.

    Parameters
    ----------
    A : matrix or operator, shape (n, n)
    Z : array_like, shape (n, k), or RecycleSpace
        Vectors of the coarse space, for instance approximate eigenvectors of small eigenvalues or the indicator vectors of
        subdomains; dependent ones are left out.
    M : matrix or operator, optional
        One-level preconditioner. By default the inverse diagonal where A states a positive one, else the identity. On
        `update` an M that is a preconditioner of this package is updated, too.

    Returns
    -------
    Deflation
        Symmetric positive definite if A and M are.

    Raises
    ------
    ValueError
        If shapes do not fit or Z is not finite.
    numpy.linalg.LinAlgError
        If ``Z^H A Z`` is singular to working precision.

    Notes
    -----
    Set-up: k products with A and ``n k^2`` flops. An application costs one of M and ``8 n k`` flops (``6 n k`` where A is
    not symmetric), and no product with A.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.diag([1e-6, 1.0, 2.0, 3.0])
    >>> M = deflation(A, np.eye(4)[:, :1], np.eye(4))
    >>> np.linalg.eigvals(np.stack([M.matvec(column) for column in A], axis=1)).real.round(12)
    array([1., 1., 2., 3.])
    """
    return Deflation(A, Z, M)
