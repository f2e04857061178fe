"""Soft-Impute: nuclear-norm regularised completion by shrunken singular values.

Each sweep fills the unobserved entries with the present fit and shrinks the singular values of the result, which is sparse
plus low rank and never formed. The singular vectors are updated by one step of subspace iteration per sweep from the
present ones, as in the alternating form of [2]_, cut at `rank`.

The threshold runs down geometrically from the largest singular value to `shrinkage` (a warm-started path); the default
path goes on to 1e-6 of the largest.

References
----------
.. [1] R. Mazumder, T. Hastie, R. Tibshirani, Spectral regularization algorithms for learning large incomplete matrices, J.
   Mach. Learn. Res. 11 (2010).
.. [2] T. Hastie, R. Mazumder, J. Lee, R. Zadeh, Matrix completion and low-rank SVD via fast alternating least squares, J.
   Mach. Learn. Res. 16 (2015).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .entries import Entries
from .factors import gram, leading, mix, orthonormalize
from .watch import Watch

__all__ = ["soft_impute"]

Array = npt.NDArray[Any]


def soft_impute(
    entries: Entries,
    rank: int,
    watch: Watch,
    rng: np.random.Generator,
    *,
    shrinkage: float | None = None,
    path: float = 0.9,
) -> tuple[Array, Array]:
    """Run Soft-Impute.

    Parameters
    ----------
    shrinkage : float, optional
        Last threshold on the singular values; by default 1e-6 of the largest singular value of the observed entries.
    path : float
        Factor between thresholds, one sweep each until the last.
    """
    _, s, V = leading(entries, entries.rows.values, rank, rng, passes=6 if rank <= 8 else 3)
    threshold = float(s[0]) if s.size else 0.0
    last = 1e-6 * threshold if shrinkage is None else shrinkage
    U = np.zeros((entries.shape[0], rank))
    right = V  # orthonormal basis of the row space
    V = np.zeros_like(V)
    residual = entries.residuals(U, V)
    while True:
        threshold = max(path * threshold, last)
        R = entries.residual
        basis, _ = orthonormalize(entries.times(R, right) + mix(U, gram(V, right)))
        across = entries.transposed_times(R, basis) + mix(V, gram(U, basis))  # Z' basis
        Q, T = orthonormalize(across)
        left, s, turn = np.linalg.svd(T.T)
        right = mix(Q, turn.T)
        U = mix(basis, left)
        V = right * np.maximum(s - threshold, 0.0)
        residual = entries.residuals(U, V)
        objective = None
        if shrinkage is not None and threshold <= last and entries.norm:
            nuclear = float(np.maximum(s - threshold, 0.0).sum())
            objective = (0.5 * residual**2 + threshold * nuclear) / entries.norm**2
        if watch.done(U, V, residual, objective):
            return U, V
