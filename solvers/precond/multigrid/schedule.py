"""A cycle as a list of steps that the compiled driver runs: (step, level, colour or degree, flag)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ....linalg.kernels import multigrid as kernels
from .settings import Settings

__all__ = ["chebyshev_coefficients", "full_multigrid", "one_cycle"]

Steps = list[tuple[int, int, int, int]]
RATIO = 4.0  # largest over smallest eigenvalue that a Chebyshev smoother aims at


def chebyshev_coefficients(settings: Settings) -> npt.NDArray[np.float64]:
    """Return, for each step of a polynomial smoother, the factors of ``D^-1 r`` and of the former step.

    The eigenvalues of ``D^-1 A`` are at most two (Gershgorin); Chebyshev's polynomial of any degree then stays below one in
    magnitude on all of (0, 2], and the cycle is positive definite.
    """
    degree = max(settings.pre, settings.post, settings.coarse_sweeps or 0, 1)
    table = np.zeros((degree, 2))
    if settings.smoother != "chebyshev":
        table[:, 0] = 1.0
        return table
    high = 2.0 * (1.0 + 1e-6)
    low = high / RATIO
    centre, half = 0.5 * (high + low), 0.5 * (high - low)
    rho = half / centre
    table[0, 0] = 1.0 / centre
    for k in range(1, degree):
        following = 1.0 / (2.0 * centre / half - rho)
        table[k] = 2.0 * following / half, following * rho
        rho = following
    return table


def _smooth(steps: Steps, level: int, count: int, settings: Settings, *, zero: bool, backwards: bool) -> None:
    if settings.smoother != "rbsor":
        if zero:
            steps.append((kernels.CLEAR, level, 0, 0))
        if count:
            steps.append((kernels.POLYNOMIAL, level, count, 0))
        return
    if zero and not count:
        steps.append((kernels.CLEAR, level, 0, 0))
    band = settings.band if level == 0 else 0
    first, second = (1, 0) if backwards else (0, 1)
    sweeps = [kernels.RELAX] * count
    extra = [kernels.BANDED] * band
    for number, step in enumerate(extra + sweeps if backwards else sweeps + extra):
        fresh = zero and number == 0
        steps.append((step, level, first, kernels.ALL if fresh else kernels.NOTHING))
        steps.append((step, level, second, kernels.OWN if fresh else kernels.NOTHING))


def _visit(steps: Steps, level: int, last: int, settings: Settings, *, zero: bool) -> None:
    if level == last:
        steps.append((kernels.SOLVE, level, 0, 0))
        return
    pre, post = settings.pre, settings.post
    if level and settings.coarse_sweeps is not None:
        pre = post = settings.coarse_sweeps
    _smooth(steps, level, pre, settings, zero=zero, backwards=False)
    once = zero and pre == 1 and settings.smoother == "rbsor" and not settings.band
    steps.append((kernels.RESTRICT, level, 0, kernels.SHORT if once else kernels.FULL))
    _visit(steps, level + 1, last, settings, zero=True)
    if settings.cycle == "W" and level + 1 < last:
        _visit(steps, level + 1, last, settings, zero=False)
    steps.append((kernels.PROLONG, level, 0, 0))
    _smooth(steps, level, post, settings, zero=False, backwards=True)


def one_cycle(levels: int, settings: Settings) -> npt.NDArray[np.int64]:
    """Return the steps of one cycle from a zero guess."""
    steps: Steps = []
    _visit(steps, 0, levels - 1, settings, zero=True)
    return np.array(steps, dtype=np.int64)


def full_multigrid(levels: int, settings: Settings) -> npt.NDArray[np.int64]:
    """Return the steps of a full-multigrid start: solve coarse, interpolate, one cycle on every level on the way up."""
    last = levels - 1
    steps: Steps = [(kernels.RESTRICT, level, 0, kernels.PLAIN) for level in range(last)]
    steps.append((kernels.SOLVE, last, 0, 0))
    for level in range(last - 1, -1, -1):
        steps.append((kernels.PROLONG, level, 0, 1))
        _visit(steps, level, last, settings, zero=False)
    return np.array(steps, dtype=np.int64)


def scratch_sizes(hierarchy: Any, settings: Settings) -> dict[str, int]:
    """Entries of the scratch vectors that a cycle needs."""
    polynomial = settings.smoother != "rbsor"
    return {
        "b": hierarchy.cells_size,
        "x": hierarchy.x_size,
        "r": hierarchy.top_cells if polynomial else 0,
        "p": hierarchy.top_cells if polynomial else 0,
    }
