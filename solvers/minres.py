"""Minimal residuals for symmetric (Hermitian) systems, definite or not, singular or not.

Source: C. C. Paige and M. A. Saunders, "Solution of sparse indefinite systems of linear equations", SIAM J. Numer. Anal.
12 (1975) 617-629.

Departures from the source:

1. With a preconditioner the method minimises the residual in the norm of M, but stops on the Euclidean norm of the true
   residual, for which one more vector is carried: ``r_k = s_k^2 r_{k-1} - c_k phi_k v_{k+1}``.
2. The true residual is checked at the end as in `cg`, with a restart from it if the recurrence had drifted.
3. When ``norm(A r)`` is at rounding level, the Krylov space exhausted or its triangular factor singular, that norm tells
   a least-squares solution of an inconsistent system, which is reported as such, from a drifted recurrence, which is
   restarted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..linalg import vectors
from .gate import System, enter
from .result import Outcome, SolveResult

__all__ = ["minres"]


def minres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    shift: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    check: bool = False,
) -> SolveResult:
    """Solve (A - shift I) x = b for symmetric A by minimal residuals.

    Parameters
    ----------
    A : matrix or operator, shape (n, n)
        Symmetric (Hermitian); it may be indefinite or singular.
    b : array_like or tensor, shape (n,)
        Right-hand side.
    x0 : array_like, optional
        Initial guess; zero by default. The string ``"Mb"`` means ``M @ b``.
    rtol, atol : float
        Stop when the true residual has ``norm(r) <= max(rtol * norm(b), atol)``.
    shift : float
        Solve with ``A - shift I`` in the place of A.
    maxiter : int, optional
        Most iterations, each with one product with A; default ``5 n``.
    M : matrix or operator, shape (n, n), optional
        Approximate inverse of A, symmetric positive definite and fixed.
    callback : callable, optional
        Called after each iteration with a copy of the iterate; returning True stops the solve.
    check : bool
        First test on random vectors that A is symmetric (unless it is declared) and that M is fixed; ValueError if not.

    Returns
    -------
    SolveResult

    Notes
    -----
    Eight vectors beside b (nine with M), one more for an initial guess; one product with A and one application of M per
    iteration.

    Examples
    --------
    >>> import numpy as np
    >>> minres(np.diag([1.0, -2.0, 3.0]), np.ones(3), rtol=1e-10).success
    True
    """
    if not np.isscalar(shift) or not np.isreal(shift) or not np.isfinite(shift):
        raise ValueError(f"shift is {shift!r}: wanted a finite real number")
    if shift:
        from ..linalg import IdentityOperator, as_operator

        A = as_operator(A)
        A = A - float(shift) * IdentityOperator(A.shape[0], A.dtype)  # a declared null space is not that of the sum
    system = enter(
        "minres", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback,
        default_maxiter=lambda n: 5 * n, needs_symmetric=True,
    )  # fmt: skip
    if system.M is not None and system.M.positive_definite is False and system.verdict is None:
        system.verdict = Outcome.INDEFINITE_PRECONDITIONER
    if check:
        _check_symmetry(system)
    if system.verdict is not None:
        return system.decided()
    with np.errstate(all="ignore"):
        return _iterate(system)


def _check_symmetry(system: System) -> None:
    found = system.explain(Outcome.BREAKDOWN, vectors.zeros_like(system.b))
    if found is Outcome.NOT_SYMMETRIC:
        raise ValueError("A is not symmetric: use gmres or bicgstab")
    if found is Outcome.VARIABLE_PRECONDITIONER:
        raise ValueError("M gives different results for the same vector: use fgmres")


def _iterate(system: System) -> SolveResult:
    n, x = system.n, system.x
    r2 = vectors.empty(n, system.b)
    norm = system.start(r2)
    if norm <= system.tolerance:
        return system.finish(x, Outcome.CONVERGED, norm=norm)
    preconditioned = system.M is not None
    r1, v, w, w2, scratch = (vectors.zeros_like(r2) for _ in range(5))
    y = vectors.empty(n, r2) if preconditioned else r2
    residual = vectors.empty(n, r2)
    checked = np.inf
    guess = None if system.zero_guess else (x.clone() if vectors.is_torch(x) else x.copy())
    candidate, candidate_norm, patience = None, np.inf, 0  # perhaps a least-squares solution of an inconsistent system
    unit = 0.0  # size of the first entries, so that squares stay in range
    least = max(1e-8, 10 * float(np.finfo(vectors.numpy_dtype(r2)).eps)) if not preconditioned else 0.0
    outcome = Outcome.ITERATION_LIMIT
    fresh = True
    precision = float(np.finfo(vectors.numpy_dtype(r2)).eps)
    beta = cs = sn = dbar = epsln = phibar = oldb = size2 = size = largest = smallest = 0.0
    for _ in range(system.maxiter):
        if fresh:  # start, or restart from a true residual in r2
            if preconditioned:
                system.precondition(r2, y)
                vectors.copy(r2, residual)
            beta2 = float(np.real(vectors.dot(r2, y)))
            if not np.isfinite(beta2):
                outcome = Outcome.NONFINITE_PRECONDITIONER if np.isfinite(norm) else Outcome.NONFINITE_OPERATOR
                break
            if beta2 <= 0.0:
                outcome = Outcome.INDEFINITE_PRECONDITIONER
                break
            beta = phibar = float(np.sqrt(beta2))
            oldb = dbar = epsln = sn = size2 = 0.0
            cs, largest, smallest = -1.0, 0.0, np.inf
            for vector in (w, w2, r1):
                vectors.scale(0.0, vector)
            fresh = False
        vectors.axpby(1.0 / beta, y, 0.0, v)
        system.product(v, scratch)
        first = not oldb
        if not first:
            vectors.axpy(-beta / oldb, r1, scratch)
        alpha = float(np.real(vectors.dot(v, scratch)))
        vectors.axpy(-alpha / beta, r2, scratch)
        r1, r2, scratch = r2, scratch, r1
        if preconditioned:
            system.precondition(r2, y)
        else:
            y = r2
        beta2 = float(np.real(vectors.dot(r2, y)))
        if not (np.isfinite(beta2) and np.isfinite(alpha)):
            finite = np.isfinite(alpha) and np.isfinite(vectors.norm(r2))
            outcome = Outcome.NONFINITE_PRECONDITIONER if finite and preconditioned else Outcome.NONFINITE_OPERATOR
            break
        if beta2 < 0.0:
            outcome = Outcome.INDEFINITE_PRECONDITIONER
            break
        oldb, beta = beta, float(np.sqrt(beta2))
        unit = unit or (abs(alpha) + beta) or 1.0
        size2 += (alpha / unit) ** 2 + (0.0 if first else oldb / unit) ** 2 + (beta / unit) ** 2

        old_epsln = epsln
        delta = cs * dbar + sn * alpha
        gbar = sn * dbar - cs * alpha
        epsln = sn * beta
        dbar = -cs * beta
        gamma = float(np.hypot(gbar, beta))
        largest, smallest = max(largest, gamma), min(smallest, gamma)
        size = unit * float(np.sqrt(size2))  # estimates the norm of A from below
        waiting = candidate is not None or len(system.residuals) < patience
        if not waiting and np.hypot(gbar, dbar) <= least * size:  # norm(A r) over norm(A) norm(r), before this step
            true = system.residual_into(x, scratch)
            patience = len(system.residuals) + 50
            if _least_squares(system, scratch, true, size) is Outcome.INCONSISTENT:
                candidate, candidate_norm = (x.clone() if vectors.is_torch(x) else x.copy()), true
        if gamma == 0.0 or smallest <= 10 * precision * largest:  # the next direction would be noise
            norm = system.residual_into(x, residual)
            outcome = _least_squares(system, residual, norm, size)
            if outcome is Outcome.STAGNATION and norm <= 0.5 * checked:
                outcome, fresh, checked = Outcome.ITERATION_LIMIT, True, norm
                vectors.copy(residual, r2)
                y = y if preconditioned else r2
                continue
            break
        cs, sn = gbar / gamma, beta / gamma
        phi = cs * phibar
        phibar = sn * phibar

        # new direction (v - old_epsln * w_{k-2} - delta * w_{k-1}) / gamma, written over w_{k-2}
        vectors.axpby(1.0 / gamma, v, -old_epsln / gamma, w2)
        vectors.axpy(-delta / gamma, w, w2)
        w, w2 = w2, w
        vectors.axpy(phi, w, x)
        if preconditioned:
            vectors.scale(sn * sn, residual)
            if beta > 0.0:
                vectors.axpy(-cs * phibar / beta, r2, residual)
            norm = vectors.norm(residual)
        else:
            norm = abs(phibar)
        system.record(norm)
        if system.report(x):
            outcome = Outcome.STOPPED_BY_CALLBACK
            break
        if candidate is not None and len(system.residuals) >= patience:
            if norm > 0.5 * candidate_norm:
                outcome = Outcome.INCONSISTENT
                break
            candidate = None  # it did go on falling
        if norm <= system.tolerance or beta == 0.0:
            true = system.residual_into(x, residual)
            if true <= system.tolerance:
                return system.finish(x, Outcome.CONVERGED, norm=true)
            if beta == 0.0:
                outcome = _least_squares(system, residual, true, size)
                if outcome is Outcome.INCONSISTENT:
                    break
                outcome = Outcome.ITERATION_LIMIT
            if true > 0.5 * checked:
                outcome = Outcome.STAGNATION
                break
            norm = checked = true
            vectors.copy(residual, r2)
            if not preconditioned:
                y = r2
            fresh = True
    final = system.residual_into(x, residual)
    if candidate is not None and not final <= candidate_norm:
        outcome, x, final = Outcome.INCONSISTENT, candidate, candidate_norm
    if not final <= system.initial_residual * system.scale:
        outcome = system.explain(outcome, residual) if outcome is not Outcome.INCONSISTENT else outcome
        x = vectors.zeros_like(x) if guess is None else guess
        final = system.initial_residual * system.scale
    elif outcome in (Outcome.INDEFINITE_PRECONDITIONER, Outcome.BREAKDOWN):
        outcome = system.explain(outcome, residual)
    return system.finish(x, outcome, norm=final)


def _least_squares(system: System, r: Any, norm: float, size: float) -> Outcome:
    """Tell a least-squares solution (A r = 0, r not) from a drifted recurrence; `size` estimates the norm of A."""
    image = vectors.empty(system.n, r)
    system.product(r, image)
    return Outcome.INCONSISTENT if vectors.norm(image) <= 1e-6 * size * norm else Outcome.STAGNATION
