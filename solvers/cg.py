"""Conjugate gradients for symmetric (Hermitian) positive definite systems.

Source: M. R. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving linear systems", J. Res. Nat. Bur.
Standards 49 (1952) 409-436; preconditioned form as in Y. Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed.,
SIAM 2003, algorithm 9.1.

Departures from the source:

1. When the recurrence says that the tolerance is met, the true residual is computed; if it disagrees, it replaces the
   recurrence and the search restarts from it. Two replacements that do not halve the true residual end the solve as
   stagnation. So there is one product with A per iteration, plus one for the final check.
2. The norm of ``r`` is taken while ``r`` is updated, and the update of ``x`` waits for that of ``p``: each vector goes
   through memory as seldom as possible. (With a callback ``x`` is updated at once.)
3. Where A can work on vectors on its way (`StencilOperator`: nothing or little is read but the vectors), an iteration
   takes two passes. The first turns ``p`` and takes ``p . A p``; the second computes A p again, which costs less than
   to write and to read it, and updates ``x`` and ``r``. That counts as one product, and there is no vector ``q``.
4. On request and where M has the form, the iteration runs on Eisenstat's transformed system (see `linalg.factor`), where a
   step costs two triangular solves and no product with A; the norm of the true residual comes with the next step.
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
    eisenstat: bool = False,
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
    eisenstat : bool
        Use Eisenstat's form of M, set up from this very A: ``precond.ssor``, and ``precond.ic`` where its factor keeps the
        off-diagonals of A (5- and 7-point grids). The same iterates at about two thirds of the price. A step counts as
        one product with A and one application of M, and one more step is made to learn that the tolerance is met.

    Returns
    -------
    SolveResult

    Raises
    ------
    TypeError, ValueError
        For bad arguments, for an M that states that it is not fixed (use `fcg`), and for ``eisenstat=True`` with an M
        that has no such form.

    Notes
    -----
    Per iteration: one product with A, one application of M, two inner products and three vector updates; four vectors
    beside b (five with M; one less for a `StencilOperator`), and one more once the residual has risen, for the best
    iterate. The error falls in the A-norm at least by the factor
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
        return system.decided()
    form = None
    if eisenstat:
        form = M.eisenstat() if hasattr(M, "eisenstat") else None
        if form is None:
            name = getattr(M, "name", type(M).__name__)
            raise ValueError(
                f"M ({name}) has no Eisenstat form for this A: leave eisenstat at False, or use precond.ssor"
            )
        if vectors.is_torch(system.b):
            raise TypeError("eisenstat=True works on numpy arrays: pass b as an array")
    with np.errstate(all="ignore"):
        return _iterate(system) if form is None else _iterate_transformed(system, form)


def _iterate(system: System) -> SolveResult:
    x, r = system.x, vectors.empty(system.n, system.b)
    norm = system.start(r)
    if norm <= system.tolerance:
        return system.finish(x, Outcome.CONVERGED, norm=norm)
    if not np.isfinite(norm):
        return system.finish(x, Outcome.NONFINITE_OPERATOR, norm=norm)
    p = vectors.empty(system.n, r)
    q = vectors.empty(system.n, r) if system.fused is None else None
    z = r if system.M is None else vectors.empty(system.n, r)
    outcome = Outcome.ITERATION_LIMIT
    checked = np.inf  # true residual at the last replacement
    fresh = True  # whether the next direction is the preconditioned residual itself
    rho = 1.0
    owed = 0.0  # length of the step along p that x has not taken yet
    for _ in range(system.maxiter):
        if system.M is not None:
            rho_new = system.precondition_dot(r, z)
        else:
            rho_new = norm * norm
        if not rho_new > 0.0:
            outcome = Outcome.INDEFINITE_PRECONDITIONER if np.isfinite(rho_new) else Outcome.NONFINITE_PRECONDITIONER
            break
        if not np.isfinite(rho_new):
            outcome = Outcome.NONFINITE_PRECONDITIONER
            break
        beta = 0.0 if fresh else rho_new / rho
        if system.fused is not None:
            curvature = system.turn_dot(beta, z, p)
        else:
            if fresh:
                vectors.copy(z, p)
            else:
                vectors.step_and_turn(owed, p, x, z, beta)
            curvature = system.product_dot(p, q)
        rho, fresh, owed = rho_new, False, 0.0
        if not np.isfinite(curvature):
            outcome = Outcome.NONFINITE_OPERATOR
            break
        if curvature <= 0.0:
            outcome = Outcome.INDEFINITE_OPERATOR
            break
        alpha, former = rho / curvature, norm
        if system.fused is not None:
            norm = system.step_norm(alpha, p, x, r)
            system.step_up(former, norm, x, alpha, p)
        else:
            norm, owed = float(np.sqrt(vectors.axpy_norm(-alpha, q, r))), alpha
            system.step_up(former, norm, x)
        system.record(norm)
        if system.callback is not None or norm <= system.tolerance:
            if owed:
                vectors.axpy(owed, p, x)
            owed = 0.0
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
    if owed:
        vectors.axpy(owed, p, x)
    return finish_symmetric(system, x, r, outcome)


def _iterate_transformed(system: System, form: Any) -> SolveResult:
    """Conjugate gradients on C^-1 A C^-H, C C^H being the inverse of M."""
    x, r = system.x, vectors.empty(system.n, system.b)
    norm = system.start(r)
    if norm <= system.tolerance:
        return system.finish(x, Outcome.CONVERGED, norm=norm)
    x_hat, p, q, scratch = (np.zeros_like(r) for _ in range(4))
    form.to_hat(r, r)
    rho = float(np.real(vectors.dot(r, r)))
    beta = 0.0
    checked, pending = np.inf, False
    outcome = Outcome.ITERATION_LIMIT

    def gather() -> Any:
        form.from_hat(x_hat, scratch)
        return x + scratch

    for step in range(system.maxiter + 1):
        curvature, squared = form.step(r, beta, p, q)
        system.matvecs += 1
        system.psolves += 1
        norm = float(np.sqrt(squared))
        if pending:  # the residual after the former step is known now
            system.record(norm)
            if system.callback is not None and system.report(gather()):
                outcome = Outcome.STOPPED_BY_CALLBACK
                break
        if not (np.isfinite(curvature) and np.isfinite(norm)):
            outcome = Outcome.NONFINITE_OPERATOR
            break
        if norm <= system.tolerance:
            x, x_hat[:] = gather(), 0.0
            norm = system.residual_into(x, r)
            if norm <= system.tolerance:
                return system.finish(x, Outcome.CONVERGED, norm=norm)
            if norm > 1e3 * system.tolerance:
                system.note = "was M set up from this A? Eisenstat's form needs that"
            if norm > 0.5 * checked:
                outcome = Outcome.STAGNATION
                break
            checked, pending, beta = norm, False, 0.0
            form.to_hat(r, r)
            rho = float(np.real(vectors.dot(r, r)))
            continue
        if step == system.maxiter:
            break
        if curvature <= 0.0:
            outcome = Outcome.INDEFINITE_OPERATOR
            break
        rho_new = vectors.cg_step(rho / curvature, p, q, x_hat, r)
        beta, rho, pending = rho_new / rho, rho_new, True
    return finish_symmetric(system, gather(), r, outcome)


def finish_symmetric(system: System, x: Any, r: Any, outcome: Outcome) -> SolveResult:
    """Finish a method that needed symmetry, after asking why it failed where it should not have."""
    norm = system.residual_into(x, r)
    puzzling = outcome in (
        Outcome.INDEFINITE_OPERATOR, Outcome.INDEFINITE_PRECONDITIONER, Outcome.BREAKDOWN, Outcome.NONFINITE_OPERATOR,
    )  # fmt: skip
    grown = outcome is Outcome.ITERATION_LIMIT and norm > system.initial_residual * system.scale
    if not norm <= system.tolerance and (puzzling or grown):
        outcome = system.explain(outcome, r)
    if system.best is not None and not norm <= system.best_norm:
        return system.finish(system.best, outcome)
    return system.finish(x, outcome, norm=norm)
