"""Stationary methods: Jacobi, successive over-relaxation (SOR) and its symmetric form (SSOR).

Source: D. M. Young, "Iterative Solution of Large Linear Systems", Academic Press 1971; R. S. Varga, "Matrix Iterative
Analysis", 2nd ed., Springer 2000. They need the entries of A. They are here as baselines, smoothers and objects of
parameter tuning; a Krylov method with ``precond.ssor`` is the better solver.

Departure from the sources: the true residual is computed after every sweep (one product with A), because the promise of
this package is about it; a residual that has grown a millionfold ends the iteration as diverged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ..linalg import Operator, as_operator, vectors
from ..linalg.operators.matrix import canonical_csr
from ..linalg.relaxation import Relaxation
from .gate import System, enter
from .result import Outcome, SolveResult

__all__ = ["jacobi", "sor", "ssor"]

_COMMON = """
    Parameters
    ----------
    A : matrix or operator that can be assembled, shape (n, n)
        With nonzero diagonal entries.
    b : array_like or tensor, shape (n,)
        Right-hand side.
    x0 : array_like, optional
        Initial guess; zero by default.
    rtol, atol : float
        Stop when ``norm(b - A x) <= max(rtol * norm(b), atol)``.
    maxiter : int, optional
        Most sweeps; default ``10 n``.
    omega : float
        Relaxation factor, {range}.
    callback : callable, optional
        Called after each sweep with a copy of the iterate; returning True stops the solve.

    Returns
    -------
    SolveResult

    Raises
    ------
    numpy.linalg.LinAlgError
        If a diagonal entry is zero.

    Notes
    -----
    {notes} A sweep costs about one product with A, and the residual after it another one, which ``matvecs`` counts.
"""


def _check_omega(omega: Any, name: str) -> float:
    if not np.isscalar(omega) or isinstance(omega, (str, bytes)) or not np.isreal(omega):
        raise ValueError(f"omega is {omega!r}: {name} wants a number in (0, 2)")
    value = float(omega)  # type: ignore[arg-type]
    if not 0.0 < value < 2.0:
        raise ValueError(f"omega is {omega!r}: {name} wants a number in (0, 2)")
    return value


def _run(name: str, A: Any, b: Any, x0: Any, omega: float, step: Any, **options: Any) -> SolveResult:
    operator = as_operator(A)
    operator = cast(Operator, getattr(operator, "host", operator))  # sweeps run in host memory, also for tensors
    system = enter(name, operator, b, x0, M=None, **options)
    if system.verdict is not None:
        return system.decided()
    if vectors.is_torch(system.b):
        raise TypeError(f"{name} works in host memory: pass b as an array or a CPU tensor")
    if system.n == 0:
        return system.finish(system.x, Outcome.CONVERGED, norm=0.0)
    relaxation = Relaxation(_entries(operator, name), omega)
    with np.errstate(all="ignore"):
        return _iterate(system, relaxation, step)


def _entries(A: Operator, name: str) -> Any:
    try:
        return canonical_csr(A.tocsr())
    except TypeError:
        raise TypeError(f"{name} needs the entries of A: pass a sparse or dense matrix") from None


def _iterate(system: System, relaxation: Relaxation, step: Any) -> SolveResult:
    x, r = system.x, np.empty_like(system.b)
    spare = np.empty_like(x)
    norm = start = system.start(r)
    if norm <= system.tolerance:
        return system.finish(x, Outcome.CONVERGED, norm=norm)
    best, best_norm = x.copy(), norm
    outcome = Outcome.ITERATION_LIMIT
    slow = 0
    for _ in range(system.maxiter):
        x, spare = step(relaxation, x, spare, system.b)
        former, norm = norm, system.residual_into(x, r)
        system.record(norm)
        if norm < 0.9 * best_norm:
            best[:], best_norm = x, norm
        if not np.isfinite(norm):
            outcome = Outcome.DIVERGED if np.isfinite(former) and former > start else Outcome.NONFINITE_OPERATOR
            break
        stopped = system.report(x)
        if norm <= system.tolerance:
            return system.finish(x, Outcome.CONVERGED, norm=norm)
        if stopped:
            outcome = Outcome.STOPPED_BY_CALLBACK
            break
        if norm > 1e6 * max(start, system.scale):
            outcome = Outcome.DIVERGED
            break
        slow = slow + 1 if abs(norm - former) <= 1e-14 * norm else 0
        if slow >= 10:
            outcome = Outcome.STAGNATION
            break
    if norm <= best_norm:
        return system.finish(x, outcome, norm=norm)
    return system.finish(best, outcome)


def _jacobi_step(relaxation: Relaxation, x: Any, spare: Any, b: Any) -> tuple[Any, Any]:
    relaxation.jacobi(x, b, spare)
    return spare, x


def _sor_step(relaxation: Relaxation, x: Any, spare: Any, b: Any) -> tuple[Any, Any]:
    relaxation.sweep(x, b)
    return x, spare


def _ssor_step(relaxation: Relaxation, x: Any, spare: Any, b: Any) -> tuple[Any, Any]:
    relaxation.symmetric_sweep(x, b)
    return x, spare


def jacobi(
    A: Any, b: Any, x0: Any = None, *, rtol: float = 1e-5, atol: float = 0.0, maxiter: int | None = None,
    omega: float = 1.0, callback: Callable[[Any], Any] | None = None,
) -> SolveResult:  # fmt: skip
    """Solve A x = b by (weighted) Jacobi iteration."""
    return _run(
        "jacobi", A, b, x0, _check_omega(omega, "jacobi"), _jacobi_step, rtol=rtol, atol=atol, maxiter=maxiter,
        callback=callback,
    )  # fmt: skip


def sor(
    A: Any, b: Any, x0: Any = None, *, rtol: float = 1e-5, atol: float = 0.0, maxiter: int | None = None,
    omega: float = 1.0, callback: Callable[[Any], Any] | None = None,
) -> SolveResult:  # fmt: skip
    """Solve A x = b by successive over-relaxation (omega = 1: Gauss-Seidel)."""
    return _run(
        "sor", A, b, x0, _check_omega(omega, "sor"), _sor_step, rtol=rtol, atol=atol, maxiter=maxiter,
        callback=callback,
    )  # fmt: skip


def ssor(
    A: Any, b: Any, x0: Any = None, *, rtol: float = 1e-5, atol: float = 0.0, maxiter: int | None = None,
    omega: float = 1.0, callback: Callable[[Any], Any] | None = None,
) -> SolveResult:  # fmt: skip
    """Solve A x = b by symmetric over-relaxation: a sweep in order, then one in reverse."""
    return _run(
        "ssor", A, b, x0, _check_omega(omega, "ssor"), _ssor_step, rtol=rtol, atol=atol, maxiter=maxiter,
        callback=callback,
    )  # fmt: skip


_NOTES = {
    jacobi: ("in (0, 2)", "Converges for symmetric positive definite A if ``omega < 2 / lambda_max(D^-1 A)``."),
    sor: ("in (0, 2)", "Converges for every symmetric positive definite A and every omega in (0, 2)."),
    ssor: ("in (0, 2)", "Converges for every symmetric positive definite A and every omega in (0, 2)."),
}
for _method, (_range, _notes) in _NOTES.items():
    _method.__doc__ = f"{_method.__doc__}\n{_COMMON.format(range=_range, notes=_notes)}"
