"""Flexible conjugate gradients: any preconditioner, also one that changes between calls.

Source: Y. Notay, "Flexible conjugate gradients", SIAM J. Sci. Comput. 22 (2000) 1444-1460.

Departures from the source: the window keeps the last `keep` directions (not Notay's periodic restarts); a direction
that is (nearly) orthogonal to the residual, or not finite, is replaced by the residual itself for that step, so that a
bad M costs steps but never the answer; the true residual is checked at the end as in `cg`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..linalg import vectors
from .cg import finish_symmetric
from .gate import System, check_count, enter
from .result import Outcome, SolveResult

__all__ = ["fcg"]


def fcg(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    keep: int = 1,
) -> SolveResult:
    """Solve A x = b by flexible conjugate gradients.

    Parameters
    ----------
    A : matrix or operator, shape (n, n)
        Symmetric (Hermitian) positive definite.
    b : array_like or tensor, shape (n,)
        Right-hand side.
    x0 : array_like, optional
        Initial guess; zero by default.
    rtol, atol : float
        Stop when ``norm(b - A x) <= max(rtol * norm(b), atol)``.
    maxiter : int, optional
        Most products with A (one per iteration, the final check not counted); default ``10 n``.
    M : operator, shape (n, n), optional
        Approximate inverse; it may be nonlinear, unsymmetric or different at every call.
    callback : callable, optional
        Called after each iteration with a copy of the iterate; returning True stops the solve.
    keep : int
        How many former directions the new one is made A-orthogonal to (at least 1).

    Returns
    -------
    SolveResult

    Notes
    -----
    Every step minimises the A-norm of the error over the new direction and those kept, so that norm never grows,
    whatever M returns. Memory: ``2 keep + 4`` vectors beside b, and one more once the residual has risen.

    Examples
    --------
    >>> import numpy as np
    >>> fcg(np.diag([1.0, 2.0, 3.0]), np.ones(3), rtol=1e-10).success
    True
    """
    keep = check_count("keep", keep, 1)
    system = enter(
        "fcg", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback,
        needs_symmetric=True, needs_definite=True, flexible=True,
    )  # fmt: skip
    if system.verdict is not None:
        return system.decided()
    with np.errstate(all="ignore"):
        return _iterate(system, keep)


def _iterate(system: System, keep: int) -> SolveResult:
    x, r = system.x, vectors.empty(system.n, system.b)
    norm = system.start(r)
    if norm <= system.tolerance:
        return system.finish(x, Outcome.CONVERGED, norm=norm)
    if not np.isfinite(norm):
        return system.finish(x, Outcome.NONFINITE_OPERATOR, norm=norm)
    directions, images = vectors.empty_basis(keep + 1, r), vectors.empty_basis(keep + 1, r)
    curvatures = np.ones(keep + 1)
    window: list[int] = []  # slots in use, oldest first
    outcome = Outcome.ITERATION_LIMIT
    checked = np.inf
    precision = float(np.finfo(vectors.numpy_dtype(r)).eps)
    replaced = 0
    for _ in range(system.maxiter):
        slot = next(s for s in range(keep + 1) if s not in window)
        p, q = directions[slot], images[slot]
        system.precondition(r, p)
        size = vectors.norm(p)
        usable = np.isfinite(size) and size > 0
        if usable:
            for s in window:
                vectors.axpy(-vectors.dot(images[s], p) / curvatures[s], directions[s], p)
            slope = vectors.dot(p, r)
            usable = abs(slope) > precision * vectors.norm(p) * norm
        if not usable:
            replaced += 1
            window.clear()
            vectors.copy(r, p)
            slope = norm * norm
        system.product(p, q)
        curvature = float(np.real(vectors.dot(p, q)))
        if not np.isfinite(curvature):
            outcome = Outcome.NONFINITE_OPERATOR
            break
        if curvature <= 0.0:
            outcome = Outcome.INDEFINITE_OPERATOR
            break
        curvatures[slot] = curvature
        window.append(slot)
        if len(window) > keep:
            window.pop(0)
        former, norm = norm, float(np.sqrt(vectors.cg_step(slope / curvature, p, q, x, r)))
        system.record(norm)
        system.step_up(former, norm, x, slope / curvature, p)
        if system.report(x):
            outcome = Outcome.STOPPED_BY_CALLBACK
            break
        if norm <= system.tolerance:
            norm = system.residual_into(x, r)
            if norm <= system.tolerance:
                break
            if norm > 0.5 * checked:
                outcome = Outcome.STAGNATION
                break
            checked = norm
            window.clear()
    if replaced:
        system.note = f"{replaced} of {len(system.residuals)} directions from M could not be used"
    if norm <= system.tolerance and outcome is Outcome.ITERATION_LIMIT:
        return system.finish(x, Outcome.CONVERGED, norm=norm)
    return finish_symmetric(system, x, r, outcome)
