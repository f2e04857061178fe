"""Scaled subgradient descent on the absolute residual: completion when some entries are grossly wrong.

Minimises ``sum |y - U V'|`` over the observed entries. The subgradient is the sign of the residual, multiplied by the
inverse Gram matrix of the other factor so that the condition number does not enter [1]_; the step shrinks geometrically,
which gives linear convergence for sharp problems (also [2]_). The start is spectral, from entries cut at a quantile of their
size, so that outliers do not choose it.

The tolerance applies to the median size of the residual over the median size of the entries: it vanishes at the right
matrix as long as fewer than half of the entries are wrong, whatever these are. (The sum would stall at the size of the
errors.)

Departure: the step length is relative to the present fit and its scale found by trial at the start, since the constants of
the analysis are unknown in practice.

References
----------
.. [1] T. Tong, C. Ma, Y. Chi, Low-rank matrix recovery with scaled subgradient methods: fast and robust convergence without
   the condition number, IEEE Trans. Signal Process. 69 (2021).
.. [2] J. Ma, S. Fattahi, Global convergence of sub-gradient method for robust matrix recovery: small initialization, noisy
   measurements, and over-parameterization, J. Mach. Learn. Res. 24 (2023), arXiv 2202.08788.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .entries import Entries
from .factors import leading, mix
from .gradient import scaled_inverse
from .watch import Watch

__all__ = ["subgradient"]

Array = npt.NDArray[Any]


def subgradient(
    entries: Entries,
    rank: int,
    watch: Watch,
    rng: np.random.Generator,
    *,
    step: float = 0.5,
    decay: float = 0.97,
    cut: float = 0.75,
) -> tuple[Array, Array]:
    """Run the scaled subgradient method.

    Parameters
    ----------
    step : float
        Length of the first step, relative to the factors' own size.
    decay : float
        Factor between steps.
    cut : float
        Quantile of the sizes of the entries above which the start caps them.
    """
    m, n = entries.shape
    values = entries.rows.values
    typical = max(float(np.median(np.abs(values))), np.finfo(float).tiny)
    cap = np.quantile(np.abs(values), cut) if values.size else 0.0
    U, s, V = leading(entries, np.clip(values, -cap, cap), rank, rng, passes=6 if rank <= 8 else 3)
    root = np.sqrt(s * (m * n / max(entries.size, 1)))
    U, V = U * root, V * root
    length = step
    while True:
        entries.residuals(U, V)
        middle = float(np.median(np.abs(entries.residual))) / typical
        if watch.done(U, V, entries.norm * middle):
            return U, V
        signs = np.sign(entries.residual)
        A = mix(entries.times(signs, V), scaled_inverse(V))
        B = mix(entries.transposed_times(signs, U), scaled_inverse(U))
        # the step changes the fit by `length` of its size
        change = np.sqrt(np.vdot(A @ (V.T @ V), A) + np.vdot(B @ (U.T @ U), B))
        size = np.sqrt(np.trace((U.T @ U) @ (V.T @ V)))
        if not change > 0.0:
            continue
        U, V = U + length * size / change * A, V + length * size / change * B
        length *= decay
