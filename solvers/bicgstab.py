"""Stabilised bi-conjugate gradients for general systems.

Source: H. A. van der Vorst, "Bi-CGSTAB: a fast and smoothly converging variant of Bi-CG for the solution of nonsymmetric
linear systems", SIAM J. Sci. Stat. Comput. 13 (1992) 631-644.

Departures from the source:

1. Preconditioning is from the right; the residual of the recurrence is the true one.
2. When a scalar of the recurrence vanishes, the method starts again from the true residual with a new shadow vector;
   a breakdown that comes back at once ends the solve.
3. The residual is not monotone, so the best iterate is kept and returned if the tolerance is not met.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..linalg import vectors
from .gate import System, enter
from .result import Outcome, SolveResult

__all__ = ["bicgstab"]


def bicgstab(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
) -> SolveResult:
    """Solve A x = b by BiCGSTAB.

    Parameters
    ----------
    A : matrix or operator, shape (n, n)
        Any square operator.
    b : array_like or tensor, shape (n,)
        Right-hand side.
    x0 : array_like, optional
        Initial guess; zero by default. The string ``"Mb"`` means ``M @ b``.
    rtol, atol : float
        Stop when ``norm(b - A x) <= max(rtol * norm(b), atol)``.
    maxiter : int, optional
        Most ITERATIONS (as in SciPy), each with two products with A; default ``10 n``.
    M : matrix or operator, shape (n, n), optional
        Approximate inverse of A, fixed.
    callback : callable, optional
        Called after each iteration with a copy of the iterate; returning True stops the solve.

    Returns
    -------
    SolveResult

    Notes
    -----
    Nine vectors beside b with M (seven without); two products with A and two applications of M per iteration.

    Examples
    --------
    >>> import numpy as np
    >>> bicgstab(np.array([[2.0, 1.0], [0.0, 1.0]]), np.ones(2), rtol=1e-10).success
    True
    """
    system = enter("bicgstab", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback)
    if system.verdict is not None:
        return system.decided()
    with np.errstate(all="ignore"):
        return _iterate(system)


class _Best:
    """Copy of the iterate with the smallest residual, renewed only when it falls by a tenth."""

    def __init__(self, x: Any, norm: float) -> None:
        self.x, self.norm = x.clone() if vectors.is_torch(x) else x.copy(), norm

    def see(self, x: Any, norm: float) -> None:
        if norm < 0.9 * self.norm:
            vectors.copy(x, self.x)
            self.norm = norm


def _iterate(system: System) -> SolveResult:
    n, x = system.n, system.x
    r = vectors.empty(n, system.b)
    norm = system.start(r)
    if norm <= system.tolerance:
        return system.finish(x, Outcome.CONVERGED, norm=norm)
    shadow, p, v, t = (vectors.zeros_like(r) for _ in range(4))
    preconditioned = system.M is not None
    p_hat = vectors.empty(n, r) if preconditioned else p
    s_hat = vectors.empty(n, r) if preconditioned else r  # s overwrites r
    best = _Best(x, norm)
    tiny = float(np.finfo(vectors.numpy_dtype(r)).eps) ** 2
    outcome = Outcome.ITERATION_LIMIT
    fresh, last_restart, checked = True, -2, np.inf
    rho = alpha = omega = 1.0
    for step in range(system.maxiter):
        if fresh:
            vectors.copy(r, shadow)
            vectors.copy(r, p)
            shadow_norm = norm
            rho = norm * norm
            fresh = False
        else:
            rho_new = vectors.dot(shadow, r)
            if abs(rho_new) <= tiny * shadow_norm * norm or omega == 0.0:
                if step - last_restart <= 1:
                    outcome = Outcome.BREAKDOWN
                    break
                norm, fresh, last_restart = system.residual_into(x, r), True, step
                vectors.copy(r, shadow)
                vectors.copy(r, p)
                shadow_norm, rho, fresh = norm, norm * norm, False
            else:
                vectors.bicgstab_direction(r, (rho_new / rho) * (alpha / omega), omega, v, p)
                rho = rho_new
        if preconditioned:
            system.precondition(p, p_hat)
        system.product(p_hat, v)
        sigma = vectors.dot(shadow, v)
        if not np.isfinite(sigma):
            outcome = _blame(p_hat)
            break
        if abs(sigma) <= tiny * shadow_norm * vectors.norm(v):
            outcome = Outcome.BREAKDOWN
            break
        alpha = rho / sigma
        vectors.axpy(-alpha, v, r)
        norm = vectors.norm(r)
        omega = 0.0
        if norm > system.tolerance:
            if preconditioned:
                system.precondition(r, s_hat)
            system.product(s_hat, t)
            t_squared = float(np.real(vectors.dot(t, t)))
            if not np.isfinite(t_squared):
                outcome = _blame(s_hat)
                break
            if t_squared > 0.0:
                omega = vectors.dot(t, r) / t_squared
        if omega == 0.0:
            vectors.axpy(alpha, p_hat, x)
        else:
            vectors.add_two(alpha, p_hat, omega, s_hat, x)
            vectors.axpy(-omega, t, r)
            norm = vectors.norm(r)
        system.record(norm)
        if not np.isfinite(norm):
            outcome = Outcome.BREAKDOWN
            break
        if system.report(x):
            outcome = Outcome.STOPPED_BY_CALLBACK
            break
        if norm <= system.tolerance:
            norm = system.residual_into(x, r)
            if norm <= system.tolerance:
                return system.finish(x, Outcome.CONVERGED, norm=norm)
            best.see(x, norm)
            if norm > 0.5 * checked:
                outcome = Outcome.STAGNATION
                break
            checked, fresh = norm, True
        else:
            best.see(x, norm)
    last = system.residual_into(x, r)
    if last <= best.norm:
        return system.finish(x, outcome, norm=last)
    return system.finish(best.x, outcome)


def _blame(argument: Any) -> Outcome:
    """Say whether A or M is to blame for a product that is not finite."""
    return Outcome.NONFINITE_OPERATOR if np.isfinite(vectors.norm(argument)) else Outcome.NONFINITE_PRECONDITIONER
