"""Makers of small systems, named after the property they have. Each returns (A, b)."""

import numpy as np
import scipy.sparse as sp

from ritzkit.linalg import Grid, StencilOperator


def spd(n=60, dtype=float, seed=0):
    """Symmetric (Hermitian) positive definite, condition number about 100."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(
        rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    )[0]
    A = (Q * np.linspace(1, 100, n)) @ Q.conj().T
    A = (0.5 * (A + A.conj().T)).astype(dtype)
    return A, (A @ rng.standard_normal(n)).astype(dtype)


def poisson(n=20):
    """Five-point Laplacian, as a sparse array."""
    A = StencilOperator.from_coefficient(Grid((n, n))).tocsr()
    return A, A @ np.random.default_rng(1).standard_normal(n * n)


def indefinite(n=60, dtype=float, seed=2):
    """Symmetric, eigenvalues of both signs away from zero."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    values = np.concatenate([np.linspace(-20, -1, n // 3), np.linspace(1, 50, n - n // 3)])
    A = ((Q * values) @ Q.T).astype(dtype)
    A = 0.5 * (A + A.T)
    return A, (A @ rng.standard_normal(n)).astype(dtype)


def nonsymmetric(n=60, dtype=float, seed=3):
    """Diagonally dominant, far from symmetric."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    A = (A + 2 * n**0.5 * np.eye(n) * 1.5).astype(dtype)
    return A, (A @ rng.standard_normal(n)).astype(dtype)


def singular_consistent(n=30):
    """Neumann Laplacian as a plain matrix (nothing declared), b in its range."""
    A = StencilOperator.from_coefficient(Grid((n, n), sides="neumann")).tocsr()
    b = np.random.default_rng(4).standard_normal(n * n)
    return A, b - b.mean()


def singular_inconsistent(n=30):
    """The same with a right-hand side outside the range."""
    A, b = singular_consistent(n)
    return A, b + 1.0


def zero_rhs(n=20):
    """A definite system with b = 0."""
    return spd(n)[0], np.zeros(n)


def diagonal(n=30):
    """Well separated positive eigenvalues."""
    return sp.diags_array(np.arange(1.0, n + 1), format="csr"), np.ones(n)


def skew(n=20):
    """Identity plus a skew part: plain CG makes no sense of it, GMRES does."""
    S = np.triu(np.random.default_rng(5).standard_normal((n, n)), 1)
    return np.eye(n) + S - S.T, np.ones(n)


def cyclic_shift(n=12):
    """The shift by one place: GMRES makes no progress before step n."""
    return np.roll(np.eye(n), 1, axis=0), np.eye(n)[0]
