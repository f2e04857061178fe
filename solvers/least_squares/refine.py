"""Refinement of a first guess with a sketched factor: rounds of a Krylov (or heavy-ball) solve on the normal equations.

Source: Epperly, Meier and Nakatsukasa (2024), algorithms FOSSILS (heavy ball with momentum n/d and damping (1 - n/d)^2) and
SPIR (conjugate gradients): at least two rounds, each from the recomputed residual, give backward stability.

Departures: rounds go on until the estimated backward error of the recomputed residual is small enough or stops falling;
inside a round the same estimate, applied to the residual of the recurrence, tells when to stop. Several right-hand sides
go through together, so that A is read once for all. Damping adds ``damp^2 I`` to the normal matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .factor import SketchedFactor, _squares
from .products import Products

__all__ = ["Refined", "refine"]

Array = npt.NDArray[Any]

_ROUNDS = 8
_CHECK = 4  # steps between two looks at the estimated backward error
_GAIN = 1e-9  # what one round may gain at most, relative to double precision, before the residual is recomputed


@dataclass
class Refined:
    """A refined solution, its residual, and how good it is."""

    x: Array
    r: Array
    backward: Array
    excess: Array
    c: Array
    yardstick: list[tuple[float, Array]]
    steps: int = 0
    stagnated: bool = False


def refine(
    A: Products, b: Array, factor: SketchedFactor, x: Array, *, damp: float, tolerance: float, maxiter: int,
    momentum: float | None = None,
) -> Refined:  # fmt: skip
    """Improve x until the backward error of every right-hand side is at most `tolerance`.

    `momentum` is n/d for the heavy ball, None for conjugate gradients.
    """
    steps, stale = 0, 0
    best: Refined | None = None
    for _ in range(_ROUNDS):
        found = check(A, b, factor, x, damp)
        found.steps = steps
        worst = float(found.backward.max(initial=0.0))
        if not np.isfinite(worst):
            break
        if best is None or worst < 0.5 * float(best.backward.max(initial=0.0)):
            stale = 0
        else:
            stale += 1
        if best is None or worst < float(best.backward.max(initial=0.0)):
            best = found
        best.steps = steps
        if worst <= tolerance or steps >= maxiter:
            return best
        if stale >= 2:
            best.stagnated = True
            return best
        update, taken = _solve(A, factor, found.c, found.yardstick, damp, 0.3 * tolerance, maxiter - steps, momentum)
        steps += taken
        x = factor.shortest(found.x + factor.apply(update))
    if best is None:
        best = found
    best.steps, best.stagnated = steps, True
    return best


def check(A: Products, b: Array, factor: SketchedFactor, x: Array, damp: float) -> Refined:
    """Recompute the residual and its gradient, in one reading of A, and estimate the backward errors."""
    r, g = A.there_and_back(x, -1.0, b)
    if damp:
        g = g - A.dtype.type(damp) ** 2 * x
    c = factor.adjoint(g)
    squares = _squares(r) + damp**2 * _squares(x)
    whole = r if not damp else np.sqrt(squares)[None, :].astype(r.dtype)
    yardstick = factor.yardstick(whole, x, b)
    backward = factor.backward_errors(yardstick, g)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.sqrt(np.where(squares > 0, _squares(c) / squares, 0.0))
    return Refined(x, r, backward, excess, c, yardstick)


def _solve(
    A: Products, factor: SketchedFactor, c: Array, yardstick: list[tuple[float, Array]], damp: float, tolerance: float,
    maxiter: int, momentum: float | None,
) -> tuple[Array, int]:  # fmt: skip
    """Solve ``P^H (A^H A + damp^2) P y = c`` for all columns; returns y and the number of steps."""
    y, s, p = np.zeros_like(c), c.copy(), c.copy()
    rho = _squares(s)
    floor = max(_GAIN, 1e-2 * factor.eps**0.5) ** 2 * rho
    former = y
    for step in range(1, maxiter + 1):
        if momentum is not None and step == 1:
            q = y
        else:
            v = factor.apply(p if momentum is None else y)
            w = A.normal(v)
            if damp:
                w = w + A.dtype.type(damp) ** 2 * v
            q = factor.adjoint(w)
        if momentum is None:
            curvature = np.einsum("ij,ij->j", p.conj(), q).real
            alpha = np.where(curvature > 0, rho / np.where(curvature > 0, curvature, 1), 0).astype(s.real.dtype)
            y = y + alpha * p
            s = s - alpha * q
            new = _squares(s)
            p = s + np.where(rho > 0, new / np.where(rho > 0, rho, 1), 0).astype(s.real.dtype) * p
            rho = new
        else:
            s = c - q
            rho = _squares(s)
            y, former = (
                y + s.dtype.type((1 - momentum) ** 2) * s + s.dtype.type(momentum) * (y - former),
                y,
            )
        if not np.isfinite(rho).all():
            return former if momentum is not None else np.zeros_like(c), step
        if (rho <= floor).all():
            break
        if step % _CHECK == 0 and factor.backward_errors(yardstick, factor.forward(s)).max() <= tolerance:
            break
    return y, step
