"""Gauss-Newton on the manifold of matrices of fixed rank, with Levenberg-Marquardt damping.

At ``X = U diag(s) V'`` the tangent vectors are ``A V' + U B'``. A step minimises the squared residual on the observed
entries after adding such a vector, by conjugate gradients on the normal equations; the sum is cut back to the rank. In
these coordinates the condition number of X does not enter, and convergence is quadratic where the residual vanishes. An
inner step costs 8 N k flops. It polishes: from a poor start it finds local minima like any local method.

Source: the LSQR-based Gauss-Newton of [1]_, in the tangent coordinates of Riemannian optimisation, with damping.

References
----------
.. [1] P. Zilber, B. Nadler, GNMR: a provable one-line algorithm for low rank matrix recovery, SIAM J. Math. Data Sci. 4
   (2022).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .entries import Entries
from .factors import retract, truncate
from .watch import Watch

__all__ = ["gauss_newton"]

Array = npt.NDArray[Any]


def _square(A: Array, B: Array) -> float:
    return float(np.vdot(A, A) + np.vdot(B, B))


def _step(entries: Entries, U: Array, V: Array, damping: float, rtol: float, most: int) -> tuple[Array, Array, int]:
    """Tangent vector that reduces ``entries.residual`` in the damped least-squares sense; overwrites that residual."""
    rest = entries.residual
    image = np.empty_like(rest)
    A, B = np.zeros_like(U), np.zeros_like(V)
    ga, gb = entries.times(rest, V), entries.transposed_times(rest, U)
    pa, pb = ga, gb
    gg = first = _square(ga, gb)
    steps = 0
    while steps < most and gg > rtol * rtol * first:
        curvature = entries.tangent(pa, V, U, pb, image) ** 2 + damping * _square(pa, pb)
        if not curvature > 0.0:
            break
        alpha = gg / curvature
        A += alpha * pa
        B += alpha * pb
        image *= alpha
        rest -= image
        ga, gb = entries.times(rest, V) - damping * A, entries.transposed_times(rest, U) - damping * B
        new = _square(ga, gb)
        pa, pb = ga + new / gg * pa, gb + new / gg * pb
        gg = new
        steps += 1
    return A, B, steps


def gauss_newton(
    entries: Entries, U: Array, V: Array, watch: Watch, *, steps: int = 30, inner: int = 300
) -> tuple[Array, Array, float]:
    """Polish ``U V'``; stops after two steps that gain less than one per cent, or when `watch` says so.

    Returns
    -------
    U : ndarray, shape (m, k)
    V : ndarray, shape (n, k)
    residual : float
        Relative residual on the observed entries; never above that of the start.
    """
    rank = U.shape[1]
    m, n = entries.shape
    damping = 1e-3 * entries.size / (m * n)
    U, s, V = truncate(U, V, rank)
    lowest = entries.residuals(U * s, V)
    idle = 0
    rtol = 0.03
    for _ in range(steps):
        A, B, count = _step(entries, U, V, damping, rtol, inner)
        watch.inner_steps += count
        trial = retract(U, s, V, A, B)
        new = entries.residuals(trial[0] * trial[1], trial[2])
        gain = 1.0 - new / lowest if lowest else 0.0
        if new < lowest:
            (U, s, V), lowest = trial, new
            damping *= 0.1
            rtol = max(1e-4, 0.3 * rtol)
        else:
            damping *= 10.0
        idle = idle + 1 if gain < 0.01 else 0
        if watch.done(U * s, V, lowest) or idle >= 2:
            break
        if gain <= 0.0:
            entries.residuals(U * s, V)
    return U * s, V, entries.residuals(U * s, V) / entries.norm
