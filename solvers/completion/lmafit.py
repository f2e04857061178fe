"""LMaFit: successive over-relaxation of the low-rank fit.

Alternates least squares on ``Z = X Y' + omega S``, the fit with its scaled residual S on the observed entries, which is
sparse plus low rank and never formed. The weight omega grows while the residual falls slowly and returns to one after a
rise, which is taken back. A sweep costs 6 N k + O((m + n) k^2) flops.

References
----------
.. [1] Z. Wen, W. Yin, Y. Zhang, Solving a low-rank factorization model for matrix completion by a nonlinear successive
   over-relaxation algorithm, Math. Program. Comput. 4 (2012).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .entries import Entries
from .factors import gram, leading, mix, orthonormalize
from .watch import Watch

__all__ = ["lmafit"]

Array = npt.NDArray[Any]


def lmafit(
    entries: Entries, rank: int, watch: Watch, rng: np.random.Generator, *, most: float = 20.0
) -> tuple[Array, Array]:
    """Run LMaFit from a spectral start; `most` caps omega."""
    U, s, V = leading(entries, entries.rows.values, rank, rng, passes=6 if rank <= 8 else 3)
    X, Y = U, V * s  # not over the observed fraction: a small start recovers from fewer entries
    omega, growth = 1.0, 1.0
    residual = entries.residuals(X, Y)
    while not watch.done(X, Y, residual):
        S = entries.residual
        new_X, _ = orthonormalize(mix(X, gram(Y, Y)) + omega * entries.times(S, Y))
        new_Y = mix(Y, gram(X, new_X)) + omega * entries.transposed_times(S, new_X)
        new = entries.residuals(new_X, new_Y)
        ratio = new / residual if residual else 0.0
        if ratio >= 1.0 and omega > 1.0:
            omega, growth = 1.0, max(0.1 * growth, 0.01)
            entries.residuals(X, Y)
            continue
        X, Y, residual = new_X, new_Y, new
        if ratio > 0.7:
            growth = max(growth, 0.25 * (omega - 1.0))
            omega = min(omega + growth, most)
    return X, Y
