"""Conjugate gradients for symmetric (Hermitian) positive definite systems.

Source: M. R. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res. Nat. Bur.
Standards 49 (1952) 409-436; preconditioned form as in Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed.,
SIAM 2003, algorithm 9.1.

Departures from the source:

1. When the recurrence says that the tolerance is met, the true residual is computed; if it disagrees, it replaces the
   recurrence and the search restarts from it. Two replacements that do not halve the true residual end the solve as
   stagnation. So there is one product with A per iteration, plus one for the final check.
2. ``x`` and ``r`` are updated, and the norm of ``r`` taken, in one pass over memory.
3. With ``ssor`` (or another preconditioner in Eisenstat's form for the same A) the iteration runs on the transformed
   system, where a step costs two triangular solves and no product with A; see `_eisenstat`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..linalg import vectors
from .gate import System, enter
from .result import Outcome, SolveResult

__all__ = ["cg"]


def cg(
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
    """Solve A x = b by (preconditioned) conjugate gradients.

    Parameters
    ----------
    A : matrix or operator, shape (n, n)
        Symmetric (Hermitian) positive definite, or semidefinite with b in its range.
    b : array_like or tensor, shape (n,)
        Right-hand side.
    x0 : array_like, optional
        Initial guess; zero by default. The string ``"Mb"`` means ``M @ b``.
    rtol, atol : float
        Stop when ``norm(b - A x) <= max(rtol * norm(b), atol)``.
    maxiter : int, optional
        Most products with A (one per iteration, the final check not counted); default ``10 n``.
    M : matrix or operator, shape (n, n), optional
        Approximate inverse of A, symmetric positive definite and fixed.
    callback : callable, optional
        Called after each iteration with a copy of the iterate; returning True stops the solve.

    Returns
    -------
    SolveResult

    Raises
    ------
    TypeError, ValueError
        For bad arguments, and for an M that states that it is not fixed (use `fcg`).

    Notes
    -----
    Per iteration: one product with A, one application of M, two inner products and three vector updates; four vectors
    beside b (five with M). The error falls in the A-norm at least by the factor
    ``2 ((sqrt(k) - 1) / (sqrt(k) + 1))^j`` after j steps, k being the condition number of ``M A``.

    Examples
    --------
    >>> import numpy as np
    >>> result = cg(np.diag([1.0, 2.0, 3.0]), np.ones(3), rtol=1e-10)
    >>> result.success, result.iterations
    (True, 3)
    """
    system = enter(
        "cg", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback,
        needs_symmetric=True, needs_definite=True,
    )  # fmt: skip
    if system.verdict is not None:
        return system.finish(system.x, system.verdict, norm=0.0 if system.verdict is Outcome.CONVERGED else None)
    with np.errstate(all="ignore"):
        return _iterate(system)


def _iterate(system: System) -> SolveResult:
    x, r = system.x, vectors.empty(system.n, system.b)
    norm = system.start(r)
    if norm <= system.tolerance:
        return system.finish(x, Outcome.CONVERGED, norm=norm)
    if not np.isfinite(norm):
        return system.finish(x, Outcome.NONFINITE_OPERATOR, norm=norm)
    p, q = vectors.empty(system.n, r), vectors.empty(system.n, r)
    z = r if system.M is None else vectors.empty(system.n, r)
    outcome = Outcome.ITERATION_LIMIT
    checked = np.inf  # true residual at the last replacement
    fresh = True  # whether the next direction is the preconditioned residual itself
    rho = 1.0
    for _ in range(system.maxiter):
        if system.M is not None:
            system.precondition(r, z)
            rho_new = float(np.real(vectors.dot(r, z)))
        else:
            rho_new = norm * norm
        if not rho_new > 0.0:
            outcome = Outcome.INDEFINITE_PRECONDITIONER if np.isfinite(rho_new) else Outcome.NONFINITE_PRECONDITIONER
            break
        if not np.isfinite(rho_new):
            outcome = Outcome.NONFINITE_PRECONDITIONER
            break
        if fresh:
            vectors.copy(z, p)
        else:
            vectors.xpby(z, rho_new / rho, p)
        rho, fresh = rho_new, False
        system.product(p, q)
        curvature = float(np.real(vectors.dot(p, q)))
        if not np.isfinite(curvature):
            outcome = Outcome.NONFINITE_OPERATOR
            break
        if curvature <= 0.0:
            outcome = Outcome.INDEFINITE_OPERATOR
            break
        norm = float(np.sqrt(vectors.cg_step(rho / curvature, p, q, x, r)))
        system.record(norm)
        if system.report(x):
            outcome = Outcome.STOPPED_BY_CALLBACK
            break
        if norm <= system.tolerance:
            norm = system.residual_into(x, r)
            if norm <= system.tolerance:
                return system.finish(x, Outcome.CONVERGED, norm=norm)
            if norm > 0.5 * checked:
                return system.finish(x, Outcome.STAGNATION, norm=norm)
            checked, fresh = norm, True
    return finish_symmetric(system, x, r, outcome)


def finish_symmetric(system: System, x: Any, r: Any, outcome: Outcome) -> SolveResult:
    """Finish a method that needed symmetry, after asking why it failed where it should not have."""
    norm = system.residual_into(x, r)
    puzzling = outcome in (Outcome.INDEFINITE_OPERATOR, Outcome.INDEFINITE_PRECONDITIONER, Outcome.BREAKDOWN)
    grown = outcome is Outcome.ITERATION_LIMIT and norm > system.initial_residual * system.scale
    if norm > system.tolerance and (puzzling or grown):
        outcome = system.explain(outcome, r)
    return system.finish(x, outcome, norm=norm)
