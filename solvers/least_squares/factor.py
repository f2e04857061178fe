"""The triangular factor of a sketched matrix: preconditioner, first guess and yardstick of the backward error.

Source: Epperly, Meier and Nakatsukasa, "Fast randomized least-squares solvers can be just as accurate and stable as
classical direct solvers" (2024): scaled columns, sketch-and-solve as first guess, truncation of singular values below 30
units of roundoff, and the Karlson-Walden estimate from the sketch.

Departures: a triangular factor instead of the SVD of the sketch (the SVD costs more than all else for a thousand columns),
with the SVD of R only where R is singular to working precision. The factor comes from a Cholesky factorization of the
normal equations where the condition number leaves it a digit or more, else from a Cholesky QR that a second, smaller sketch
preconditions, else from Householder QR: a preconditioner needs few digits, and matrix products run three times as fast.
The estimate of the backward error comes from a factorization of ``R^H R + mu I``, or, for nearly consistent systems, of
``[R; sqrt(mu) I]``. Columns are scaled by their norms in the sketch, which saves a reading of A.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
from scipy.linalg import get_blas_funcs, get_lapack_funcs

from ...linalg.sketch import SparseSignSketch

__all__ = ["SketchedFactor"]

Array = npt.NDArray[Any]

_SINGULAR = 30  # units of roundoff: singular values below, relative to the largest, count as zero, by SVD of R
_POWER = 6  # steps that estimate the two ends of the spectrum


class SketchedFactor:
    """Factor of a sketched matrix whose columns are scaled: ``S A = Q R diag(scale)``.

    Parameters
    ----------
    SA : ndarray, shape (d, n)
        The sketched matrix.
    Sb : ndarray, shape (d, k)
        The sketched right-hand sides.
    damp : float
        Damping: the factor is that of ``[S A; damp I]``.
    exact : bool
        Take Householder QR in any case.

    Attributes
    ----------
    rank : int
        Numerical rank.
    condition : float
        Estimated condition number of R.
    norm : float
        Frobenius norm of the sketched matrix, damping included.
    """

    def __init__(self, SA: Array, Sb: Array, damp: float = 0.0, *, exact: bool = False) -> None:
        n = SA.shape[1]
        real = SA.real.dtype
        norms = np.sqrt(np.einsum("ij,ij->j", SA.conj(), SA).real + np.asarray(damp, real) ** 2)
        if not np.isfinite(norms).all():  # squares left the range
            norms = np.abs(SA).max(axis=0)
        self.norm = float(scipy.linalg.norm(norms.astype(np.float64)))
        self.scale = np.where(norms > 0, norms, 1).astype(real)
        W = SA / self.scale
        if damp:  # the rows of damp I
            W = np.vstack([W, np.diag((damp / self.scale).astype(SA.dtype))])
            Sb = np.vstack([Sb, np.zeros((n, Sb.shape[1]), dtype=SA.dtype)])
        self.eps = float(np.finfo(real).eps)
        found = None
        if not exact and W.shape[0] >= 3 * n:
            found = self._by_products(W, Sb) or (self._by_sketch(W, Sb) if W.shape[0] >= 4 * n else None)
        self.R, self._z = found or _householder(W, Sb)
        self.rank = n
        self._yardstick: tuple[float, Array] | None = None  # the last one, as long as residuals keep their size
        self.V: Array | None = None
        self._null = self._back = np.empty((n, 0), dtype=SA.dtype)
        rcond = _rcond(self.R)
        self.condition = 1 / rcond if rcond > 0 else float("inf")
        self._trsv, self._trsm = get_blas_funcs(("trsv", "trsm"), (self.R,))
        if rcond < _SINGULAR * self.eps:
            self.truncate()

    def _by_products(self, W: Array, Sb: Array) -> tuple[Array, Array] | None:
        """Cholesky factor of ``W^H W`` and ``R^-H W^H Sb``, or None where too many digits are lost."""
        adjoint = W.conj().T
        try:
            R = scipy.linalg.cholesky(adjoint @ W, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        if _rcond(R) < self.eps**0.4375:  # 1.4e-7 in double precision
            return None
        z = np.zeros((R.shape[0], Sb.shape[1]), dtype=W.dtype)
        for _ in range(3):  # corrections of the normal equations, each of which gains at least a digit
            x = scipy.linalg.solve_triangular(R, z, check_finite=False)
            z += scipy.linalg.solve_triangular(R, adjoint @ (Sb - W @ x), trans="C", check_finite=False)
        return np.asfortranarray(R), z

    def _by_sketch(self, W: Array, Sb: Array) -> tuple[Array, Array] | None:
        """Return the same for ``Y = W R1^-1``, with R1 from a sketch of W of half as many rows more than columns."""
        d, n = W.shape
        S = SparseSignSketch(n + n // 2 + 8, d, rng=0)
        first = _householder(S @ W, np.zeros((S.shape[0], 0), dtype=W.dtype))[0]
        if _rcond(first) < _SINGULAR * self.eps:
            return None
        Y = get_blas_funcs("trsm", (first,))(1.0, first, W.conj().T, trans_a=2)
        try:
            R = scipy.linalg.cholesky(Y @ Y.conj().T, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        z = scipy.linalg.solve_triangular(R, Y @ Sb, trans="C", check_finite=False)
        return np.asfortranarray(np.triu(R @ first)), z

    def truncate(self) -> None:
        """Go over to the singular value decomposition of R, without its negligible part."""
        U, values, Vh = scipy.linalg.svd(self.R, check_finite=False)
        self.rank = int((values > _SINGULAR * self.eps * values[0]).sum()) if values[0] > 0 else 0
        self.V = Vh[: self.rank].conj().T / values[: self.rank]
        self._back = Vh[: self.rank].conj().T * values[: self.rank]
        self._null = Vh[self.rank :].conj().T / self.scale[:, None]
        self._z = U[:, : self.rank].conj().T @ self._z

    def improve(self, G: Array, z: Array) -> bool:
        """Replace R by its product with the Cholesky factor of ``G = P^H A^H A P``, and the guess by ``P G^-1 z``.

        Returns whether G was positive definite; nothing changes where it was not.
        """
        try:
            L = np.linalg.cholesky(G)
        except np.linalg.LinAlgError:
            return False
        self._yardstick = None
        self.R = np.asfortranarray(np.triu(L.conj().T @ self.R))
        self._z = scipy.linalg.solve_triangular(L, z, lower=True, check_finite=False)
        return True

    @property
    def guess(self) -> Array:
        """The solution of the sketched problem, shape ``(n, k)``."""
        return self.shortest(self.apply(self._z))

    def apply(self, y: Array) -> Array:
        """Return ``P y`` with ``A P`` close to orthonormal."""
        if self.V is not None:
            return (self.V @ y) / self.scale[:, None]
        return self._solve(self.R, y) / self.scale[:, None]

    def adjoint(self, g: Array) -> Array:
        """Return ``P^H g``."""
        g = g / self.scale[:, None]
        return self.V.conj().T @ g if self.V is not None else self._solve(self.R, g, 2)

    def forward(self, s: Array) -> Array:
        """Return the gradient that `adjoint` takes to s."""
        return self.scale[:, None] * (self.R.conj().T @ s if self.V is None else self._back @ s)

    def _solve(self, R: Array, y: Array, trans: int = 0) -> Array:
        if y.shape[1] == 1:
            return np.asarray(self._trsv(R, y[:, 0], trans=trans))[:, None]
        return np.asarray(self._trsm(1.0, R, y, trans_a=trans))

    def shortest(self, x: Array) -> Array:
        """Remove from x what A takes to zero, so that it is the shortest solution."""
        if self.rank == self.R.shape[0]:
            return x
        basis = np.linalg.qr(self._null)[0]
        return np.asarray(x - basis @ (basis.conj().T @ x))

    def yardstick(self, r: Array, x: Array, b: Array) -> list[tuple[float, Array]]:
        """Return for each right-hand side a factor and a triangular matrix: see `backward_errors`."""
        size = self.norm if self.norm > 0 else 1.0
        found: list[tuple[float, Array]] = []
        r_norm, x_norm, b_norm = (np.sqrt(_squares(y)) for y in (r, x, b))
        last = self._yardstick
        for rn, xn, bn in zip(r_norm, x_norm, b_norm, strict=True):
            theta = size / bn if bn > 0 else 0.0
            weight = theta / np.sqrt(1 + (theta * xn) ** 2)
            root = float(weight * rn)
            if last is None or not 0.7 * last[0] <= root <= 1.4 * last[0]:
                last = (root, self._damped(max(root, self.eps * size * 1e-3), size))
            found.append((float(weight), last[1]))
        self._yardstick = last
        return found

    def _damped(self, root: float, size: float) -> Array:
        """Return the triangular factor of ``A^H A + root^2 I``, as far as the sketch knows A."""
        n = self.R.shape[0]
        whole = np.asfortranarray(self.R * self.scale)
        if (root / size) ** 2 > 100 * n * self.eps:  # the shift outweighs what squaring loses
            G = whole.conj().T @ whole
            G[np.arange(n), np.arange(n)] += G.dtype.type(root**2)
            return np.asfortranarray(scipy.linalg.cholesky(G, check_finite=False))
        shift = np.asfortranarray(np.diag(np.full(n, root, dtype=whole.dtype)))
        tpqrt = get_lapack_funcs("tpqrt", (whole,))
        return np.asfortranarray(np.triu(tpqrt(n, min(n, 32), whole, shift)[0]))

    def backward_errors(self, yardstick: list[tuple[float, Array]], g: Array) -> Array:
        """Estimate relative backward errors of solutions with gradients ``g = A^H (b - A x)``, after Karlson and Walden.

        With theta = |A| / |b| (norms of Frobenius) and ``w = theta / sqrt(1 + theta^2 |x|^2)`` the smallest change of
        (A, theta b) is within a small factor ``w |(A^H A + w^2 |r|^2 I)^(-1/2) A^H r|``.
        """
        size = self.norm if self.norm > 0 else 1.0
        return np.array(
            [w * scipy.linalg.norm(self._solve(T, g[:, [j]], 2)) / size for j, (w, T) in enumerate(yardstick)]
        )


def _rcond(R: Array) -> float:
    """Estimated reciprocal condition number of a triangular matrix, by a few steps of the power method each way."""
    n = R.shape[0]
    if n == 0:
        return 1.0
    if np.abs(np.diag(R)).min() == 0:
        return 0.0
    trsv = get_blas_funcs("trsv", (R,))
    ends = []
    for inverse in (False, True):
        v: Array = np.asarray(np.random.default_rng(0).standard_normal(n), dtype=R.dtype)
        size = 1.0
        for _ in range(_POWER):
            v = trsv(R, trsv(R, v, trans=2)) if inverse else R.conj().T @ (R @ v)
            size = float(scipy.linalg.norm(v, check_finite=False))
            if not 0 < size < np.inf:
                return 0.0
            v /= R.dtype.type(size)
        ends.append(np.sqrt(size))
    return float(1 / (ends[0] * ends[1]))


def _householder(W: Array, Sb: Array) -> tuple[Array, Array]:
    """R and ``Q^H Sb`` of the QR factorization of W, which may have fewer rows than columns."""
    (d, n), k = W.shape, Sb.shape[1]
    both = np.zeros((max(d, n), n + k), dtype=W.dtype, order="F")
    both[:d, :n], both[:d, n:] = W, Sb
    both = get_lapack_funcs("geqrf", (both,))(both, lwork=64 * (n + k), overwrite_a=True)[0]
    return np.asfortranarray(np.triu(both[:n, :n])), both[:n, n:].copy()


def _squares(y: Array) -> Array:
    """Squared norms of the columns, in double precision."""
    wide = y.astype(np.result_type(y.dtype, np.float64), copy=False)
    return np.asarray(np.einsum("ij,ij->j", wide.conj(), wide).real)
