"""Work on blocks of long vectors, for numpy arrays and torch tensors alike.

A block is a two-dimensional array whose ROWS are vectors: seen from BLAS, a Fortran array whose columns they are. Inner
products and updates of one vector against a block are single calls of ``gemv``, block against block of ``gemm``.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import get_blas_funcs, qr

from ...linalg import Operator, vectors

__all__ = ["Blocks", "apply_to_rows", "fingerprint", "orthonormal_images", "probe_vector"]

Array = npt.NDArray[Any]


class Blocks:
    """The block operations for vectors of one array type, device and dtype."""

    def __init__(self, like: Any) -> None:
        self.like = like
        self.dtype = vectors.numpy_dtype(like)
        self.torch = vectors.is_torch(like)
        self.small: Any = np.complex128 if self.dtype.kind == "c" else np.float64
        self.precision = float(np.finfo(self.dtype).eps)
        self._adjoint = 2 if self.dtype.kind == "c" else 1
        self._gemv = get_blas_funcs("gemv", dtype=self.dtype)

    def dots(self, rows: Any, w: Any) -> Array:
        """Inner products of the rows with w: shape (p,)."""
        if self.torch:
            return np.asarray(vectors.to_numpy(rows.conj() @ w))
        return self._gemv(1.0, rows.T, w, trans=self._adjoint)

    def add(self, rows: Any, h: Array, w: Any, sign: float = 1.0) -> None:
        """Update w <- w + sign sum_i h[i] rows[i]."""
        if rows.shape[0] == 0:
            return
        if self.torch:
            vectors.block_axpy(rows, rows.shape[0], h, sign, w)
        else:
            self._gemv(sign, rows.T, h, beta=1.0, y=w, overwrite_y=1)

    def empty(self, count: int) -> Any:
        """Return an uninitialised block of `count` vectors."""
        return vectors.empty_basis(count, self.like)

    def combine(self, coefficients: Array, rows: Any) -> Any:
        """Combine rows: vector j is ``sum_i coefficients[i, j] rows[i]``; shape (q, n)."""
        if self.torch:
            import torch

            matrix = torch.as_tensor(np.ascontiguousarray(coefficients.T), dtype=rows.dtype, device=rows.device)
            return matrix @ rows
        return coefficients.T.astype(rows.dtype, copy=False) @ rows

    def gram(self, left: Any, right: Any) -> Array:
        """All inner products ``<left_i, right_j>``, in double precision: shape (p, q)."""
        product = vectors.to_numpy(left.conj() @ right.T)
        return product.astype(self.small, copy=False)

    def lengths(self, rows: Any) -> npt.NDArray[np.float64]:
        """Norms of the rows."""
        if self.torch:
            return np.asarray(vectors.to_numpy((rows.abs() ** 2).sum(1)) ** 0.5, dtype=np.float64)
        return np.asarray(np.linalg.norm(rows, axis=1), dtype=np.float64)

    def from_numpy(self, rows: Array) -> Any:
        """Bring a block to the array type, device and dtype of the solve (never shared with the caller's)."""
        if self.torch:
            import torch

            cast = np.array(rows, dtype=self.dtype, order="C")
            return torch.as_tensor(cast, device=self.like.device)
        return np.array(rows, dtype=self.dtype, order="C")


def apply_to_rows(A: Operator, rows: Any) -> Any:
    """Products of an operator with every row of a block."""
    if isinstance(rows, np.ndarray):
        out = np.empty((A.shape[0], rows.shape[0]), dtype=rows.dtype)
        A._apply_block(np.ascontiguousarray(rows.T), out)
        return np.ascontiguousarray(out.T)
    images = vectors.empty_basis(rows.shape[0], rows[0])
    for i in range(rows.shape[0]):
        A.apply(rows[i], images[i])
    return images


def probe_vector(n: int) -> Array:
    """Return a fixed random vector of length n, the same on every machine."""
    return np.random.default_rng(20260911).standard_normal(n)


def fingerprint(image: Any) -> str:
    """Digest of a vector's bytes: of the image of the probe, it stands for the operator."""
    array = np.ascontiguousarray(vectors.to_numpy(image))
    return hashlib.blake2b(array.tobytes() + str(array.dtype).encode(), digest_size=16).hexdigest()


def orthonormal_images(blocks: Blocks, U: Any, C: Any, size: float = 0.0) -> tuple[Any, Any, Array, Array]:
    """Turn ``C = A U`` into orthonormal rows by combining the rows of U and C alike.

    Parameters
    ----------
    blocks : Blocks
    U, C : blocks of p vectors
    size : float
        About the norm of A; images below its rounding are those of null vectors and are left out.

    Returns
    -------
    U, C : blocks of q <= p vectors
    T : ndarray, shape (p, q)
        The combination that was applied to both.
    source : ndarray, shape (q,)
        Which of the given vectors each new one comes from (the new ones span, in order, the same spaces).

    Notes
    -----
    Rank-revealing with a relative drop. Well conditioned images (the normal case) take two passes of Cholesky QR, which
    are matrix products; others a QR with column pivoting.
    """
    lengths, images = blocks.lengths(U), blocks.lengths(C)
    small = 10 * blocks.precision * U.shape[1] ** 0.5
    with np.errstate(all="ignore"):
        good = np.isfinite(lengths) & np.isfinite(images) & (lengths > 0) & (images > small * size * lengths)
        good &= images > 0
    T = np.zeros((U.shape[0], int(good.sum())), dtype=blocks.small)
    if not good.any():
        return blocks.combine(T, U), blocks.combine(T, C), T, np.empty(0, dtype=int)
    source = np.flatnonzero(good)
    T[source, np.arange(T.shape[1])] = 1.0 / images[good]
    Q = blocks.combine(T, C)
    gram = blocks.gram(Q, Q)
    eigenvalues = np.linalg.eigvalsh(gram)
    if eigenvalues[0] > max(1e-8, 100 * blocks.precision) * eigenvalues[-1]:
        for last in (False, True):  # twice: the first pass leaves the square of the condition number in the rounding
            R = np.linalg.cholesky(gram).conj().T
            inverse = np.linalg.inv(R)
            T = T @ inverse
            Q = blocks.combine(inverse, Q)
            if not last:
                gram = blocks.gram(Q, Q)
        return blocks.combine(T, U), Q, T, source
    columns = vectors.to_numpy(Q).T
    factor, R, order = qr(columns, mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diagonal(R))
    rank = int((diagonal > blocks.precision**0.625 * diagonal[0]).sum())
    inverse = np.linalg.inv(R[:rank, :rank].astype(blocks.small))
    T = T[:, order[:rank]] @ inverse
    return blocks.combine(T, U), blocks.from_numpy(factor[:, :rank].T), T, source[order[:rank]]
