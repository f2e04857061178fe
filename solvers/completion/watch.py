"""What all completion methods share while they run: history, tolerance, stall, callback, limits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .result import CompletionOutcome

__all__ = ["Watch"]

Array = npt.NDArray[Any]


@dataclass
class Watch:
    """Decides after each sweep whether to go on, and remembers the best factors.

    Parameters
    ----------
    norm : float
        Norm of the observed entries.
    rtol : float
        Relative residual on the observed entries at which to stop with success.
    sweeps : int
        Sweep limit.
    stall : float
        Relative fall per sweep, averaged over `window` sweeps, below which the iteration has stalled; 0 never stalls.
    stationary : CompletionOutcome
        What a stall means: success with a ridge, stagnation without.
    callback : callable, optional
        Called as ``callback(U, V, residual)`` after each sweep; True stops.
    """

    norm: float
    rtol: float
    sweeps: int
    stall: float = 1e-4
    window: int = 10
    stationary: CompletionOutcome = CompletionOutcome.STAGNATION
    callback: Callable[[Array, Array, float], Any] | None = None
    outcome: CompletionOutcome | None = None
    residuals: list[float] = field(default_factory=list)
    objectives: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    inner_steps: int = 0
    best: tuple[Array, Array] | None = None
    lowest: float = math.inf
    notes: list[str] = field(default_factory=list)
    start: float = field(default_factory=time.perf_counter)

    def done(self, U: Array, V: Array, residual: float, objective: float | None = None) -> bool:
        """Record a sweep that ended at ``U V'`` with this residual norm; True means stop and `outcome` says why.

        `objective` is what the method minimises where that is not the residual. The arrays are kept, not copied.
        """
        relative = residual / self.norm if self.norm else residual
        value = relative if objective is None else objective
        self.residuals.append(relative)
        self.objectives.append(value)
        self.times.append(time.perf_counter() - self.start)
        if not math.isfinite(value) or value > 1e6 * max(self.objectives[0], 1.0):
            self.outcome = CompletionOutcome.DIVERGED
            return True
        if value <= self.lowest:
            self.lowest, self.best = value, (U, V)
        if relative <= self.rtol:
            self.best = (U, V)
            self.outcome = CompletionOutcome.CONVERGED
        elif self.callback is not None and self.callback(U, V, relative) is True:
            self.outcome = CompletionOutcome.STOPPED_BY_CALLBACK
        elif len(self.residuals) >= self.sweeps:
            self.outcome = CompletionOutcome.ITERATION_LIMIT
        elif self.stall and self.stalled():
            self.outcome = self.stationary
        return self.outcome is not None

    def stalled(self) -> bool:
        """Whether the objective fell by less than `stall` per sweep over the last `window` sweeps."""
        if len(self.objectives) <= self.window:
            return False
        before = min(self.objectives[: -self.window])
        return before - min(self.objectives[-self.window :]) < self.window * self.stall * before

    def history(self) -> tuple[Array, Array]:
        """Residuals and times as arrays."""
        return np.array(self.residuals), np.array(self.times)
