"""Rank-incremental alternating minimisation: recovers near the sampling limit and at large condition numbers.

From a spectral start at full rank, alternating minimisation fails near the sampling limit, and so do better local
solvers: the start is the bottleneck. So the rank grows one by one. Each stage appends the leading right singular vector
of the residual and sweeps with a ridge that is tied to the residual and shrinks, until the residual falls no more. The
ridge must lie well below the next singular value when a stage ends. How far below depends on the spectrum, which nobody
knows beforehand, so a few ratios are tried until one recovers: a failed try shows in the residual and costs little.

In the last stage convergence is linear, and slow where entries are few; there Gauss-Newton steps on the manifold of
matrices of fixed rank take over (`gauss_newton`).

The idea of growing the rank is that of rank-one pursuit and of rank-updated Riemannian methods [1]_; the schedule of the
ridge and the retries are this module's own.

References
----------
.. [1] B. Mishra, R. Sepulchre, R3MC: a Riemannian three-factor algorithm for low-rank matrix completion, CDC 2014.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .altmin import Inner, sweep
from .entries import Entries
from .factors import leading, mix, orthonormalize
from .gauss_newton import gauss_newton
from .result import CompletionOutcome
from .watch import Watch

__all__ = ["RATIOS", "altmin_incremental"]

Array = npt.NDArray[Any]

RATIOS = (0.03, 0.003, 0.0003, 0.1)  # ridge over the relative residual, one after the other until one recovers
_SHRINK = 0.9  # of the ridge, per sweep
_GAIN = 0.01  # a sweep that gains less than this is idle
_IDLE = 10  # idle sweeps that end a stage
_LINEAR = 12  # sweeps of steady decay that call in Gauss-Newton
_CAP = 2000  # sweeps per stage, beyond all measured needs


def altmin_incremental(
    entries: Entries,
    rank: int,
    watch: Watch,
    rng: np.random.Generator,
    *,
    inner: Inner,
    ratios: tuple[float, ...] = RATIOS,
    polish: bool = True,
) -> tuple[Array, Array]:
    """Grow the rank from one; `watch` sees every sweep.

    Parameters
    ----------
    ratios : tuple of float
        First ridge of a stage over ``p`` times the relative residual, one try each (p is the observed fraction).
    polish : bool
        Whether Gauss-Newton may finish.
    """
    best: tuple[float, Array, Array] | None = None
    for attempt, ratio in enumerate(ratios):
        watch.outcome = None
        U, V, residual = _grow(entries, rank, watch, rng, inner, ratio, polish)
        if best is None or residual < best[0]:
            best = (residual, U, V)
        if watch.outcome is not None:
            break
        if attempt + 1 < len(ratios):
            watch.notes.append(f"try {attempt + 1} (ridge ratio {ratio:g}) stalled at {residual:.1e}")
    else:
        watch.outcome = CompletionOutcome.STAGNATION
    return best[1], best[2]  # type: ignore[index]


def _grow(
    entries: Entries, rank: int, watch: Watch, rng: np.random.Generator, inner: Inner, ratio: float, polish: bool
) -> tuple[Array, Array, float]:
    m, n = entries.shape
    observed = entries.size / (m * n)
    U, V = np.zeros((m, 0)), np.zeros((n, 0))
    np.copyto(entries.residual, entries.rows.values)
    relative = 1.0
    for k in range(1, rank + 1):
        _, _, fresh = leading(entries, entries.residual, 1, rng, passes=12)
        V, R = orthonormalize(np.ascontiguousarray(np.hstack([V, fresh])))
        U = mix(np.ascontiguousarray(np.hstack([U, np.zeros((m, 1))])), R.T)
        ridge = ratio * observed * relative
        lowest, idle, steady = relative, 0, 0
        for _ in range(_CAP):
            U, V, steps = sweep(entries, U, V, inner, ridge)
            watch.inner_steps += steps
            ridge *= _SHRINK
            former, residual = relative, entries.residuals(U, V)
            relative = residual / entries.norm if entries.norm else 0.0
            if watch.done(U, V, residual):
                return U, V, relative
            if relative < lowest * (1 - _GAIN):
                lowest, idle = relative, 0
            else:
                idle += 1
            # a steady linear decay, not the fall of the ridge and not the long flat of a bad minimum
            decay = relative / former if former else 1.0
            steady = steady + 1 if 0.6 < decay < 0.995 and ridge < 1e-3 * observed * relative else 0
            if polish and k == rank and steady >= _LINEAR:
                U, V, relative = gauss_newton(entries, U, V, watch)
                if watch.outcome is not None:
                    return U, V, relative
                steady = -10 * _LINEAR
                lowest = min(lowest, relative)
            if idle >= _IDLE or not math.isfinite(relative):
                break
    return U, V, relative
