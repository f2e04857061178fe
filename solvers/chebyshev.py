"""Chebyshev iteration for symmetric positive definite systems: no inner products, given bounds of the spectrum.

Source: G. H. Golub and R. S. Varga, "Chebyshev semi-iterative methods, successive overrelaxation iterative methods, and
second order Richardson iterative methods", Numer. Math. 3 (1961) 147-168; recurrence as in R. Barrett et al., "Templates
for the Solution of Linear Systems", SIAM 1994, section 2.3.8.

Departures from the source: without given bounds, a few Lanczos steps estimate them (their products are counted). Lanczos
sees the lower end late, so when the residual falls more slowly than the bounds promise, its Rayleigh quotient (the
residual has then turned towards the low end) becomes the new lower bound; and if the residual grows, the upper bound is
raised and the iteration starts again from the best iterate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..linalg import vectors
from .gate import System, check_count, enter
from .result import Outcome, SolveResult

__all__ = ["chebyshev", "lanczos_bounds"]


def lanczos_bounds(product: Callable[[Any, Any], None], start: Any, steps: int) -> tuple[float, float]:
    """Estimate the extreme eigenvalues of a symmetric operator by plain Lanczos.

    Parameters
    ----------
    product : callable
        ``product(x, out)`` writes the operator times x.
    start : vector
        Start vector; it is overwritten.
    steps : int
        Lanczos steps, each one product.

    Returns
    -------
    tuple of float
        Smallest and largest Ritz value: inside the spectrum, the largest usually within a few per cent after ten steps.
    """
    from scipy.linalg import eigvalsh_tridiagonal

    n = start.shape[0]
    former, current, following = vectors.zeros_like(start), start, vectors.empty(n, start)
    vectors.scale(1.0 / vectors.norm(current), current)
    alphas, betas = [], []
    beta = 0.0
    for _ in range(min(steps, n)):
        product(current, following)
        vectors.axpy(-beta, former, following)
        alpha = float(np.real(vectors.dot(current, following)))
        vectors.axpy(-alpha, current, following)
        alphas.append(alpha)
        beta = vectors.norm(following)
        if not np.isfinite(beta) or not np.isfinite(alpha):
            return float("nan"), float("nan")
        if beta <= 1e-12 * abs(alpha):
            break
        betas.append(beta)
        vectors.scale(1.0 / beta, following)
        former, current, following = current, following, former
    values = eigvalsh_tridiagonal(np.array(alphas), np.array(betas[: len(alphas) - 1]))
    return float(values[0]), float(values[-1])


def chebyshev(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    bounds: tuple[float, float] | None = None,
    lanczos_steps: int = 20,
) -> SolveResult:
    """Solve A x = b by the Chebyshev iteration.

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
        Most products with A, those of the Lanczos estimate not counted; default ``10 n``.
    M : matrix or operator, shape (n, n), optional
        Approximate inverse of A, symmetric positive definite and fixed.
    callback : callable, optional
        Called after each iteration with a copy of the iterate; returning True stops the solve.
    bounds : tuple of float, optional
        ``(a, b)`` with ``0 < a < b`` around the spectrum of A (of M A with a preconditioner).
    lanczos_steps : int
        Steps of the estimate when no bounds are given.

    Returns
    -------
    SolveResult

    Notes
    -----
    Per iteration one product with A, one application of M and one norm (for the stopping test, which could be made
    rarer); six vectors beside b (seven with M), four more during the estimate. With exact bounds the
    residual falls as fast as the bound of CG says.

    Examples
    --------
    >>> import numpy as np
    >>> chebyshev(np.diag([1.0, 2.0, 3.0]), np.ones(3), bounds=(1.0, 3.0), rtol=1e-8).success
    True
    """
    steps = check_count("lanczos_steps", lanczos_steps, 1)
    if bounds is not None:
        try:
            low, high = (float(v) for v in bounds)
        except (TypeError, ValueError):
            low = high = 0.0
        if not (0.0 < low < high < np.inf):
            raise ValueError(f"bounds is {bounds!r}: wanted (a, b) with 0 < a < b, around the spectrum of M A")
    system = enter(
        "chebyshev", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback,
        needs_symmetric=True, needs_definite=True,
    )  # fmt: skip
    if system.verdict is not None:
        return system.decided()
    with np.errstate(all="ignore"):
        return _iterate(system, bounds, steps)


def _estimate(system: System, steps: int) -> tuple[float, float]:
    """Bounds of the spectrum of M A, by Lanczos in the inner product that M defines."""
    n = system.n
    probe = np.random.default_rng(0).standard_normal(n).astype(vectors.numpy_dtype(system.b))
    r, z, v, w = (vectors.empty(n, system.b) for _ in range(4))
    if system.A.nullspace is not None and not vectors.is_torch(r):
        probe = system.A.project(probe).astype(probe.dtype)
    vectors.copy_from_numpy(probe, r)
    if system.M is None:
        return lanczos_bounds(system.product, r, steps)
    # the coefficients of preconditioned CG are those of Lanczos for M A
    from scipy.linalg import eigvalsh_tridiagonal

    diagonal, off = [], []
    alpha = rho = 0.0
    for _ in range(min(steps, n)):
        system.precondition(r, z)
        rho_new = float(np.real(vectors.dot(r, z)))
        if not rho_new > 0.0:
            break
        beta_new = rho_new / rho if rho else 0.0
        vectors.xpby(z, beta_new, v) if rho else vectors.copy(z, v)
        system.product(v, w)
        curvature = float(np.real(vectors.dot(v, w)))
        if not curvature > 0.0:
            break
        alpha_new = rho_new / curvature
        diagonal.append(1.0 / alpha_new + (beta_new / alpha if rho else 0.0))
        if rho:
            off.append(np.sqrt(beta_new) / alpha)
        vectors.axpy(-alpha_new, w, r)
        alpha, rho = alpha_new, rho_new
        if vectors.norm(r) <= 1e-12 * system.b_norm:
            break
    if not diagonal:
        return float("nan"), float("nan")
    values = eigvalsh_tridiagonal(np.array(diagonal), np.array(off))
    return float(values[0]), float(values[-1])


def _iterate(system: System, bounds: tuple[float, float] | None, steps: int) -> SolveResult:
    n, x = system.n, system.x
    r, d, q = (vectors.empty(n, system.b) for _ in range(3))
    norm = start = system.start(r)
    if norm <= system.tolerance:
        return system.finish(x, Outcome.CONVERGED, norm=norm)
    if bounds is None:
        low, high = _estimate(system, steps)
        if not (np.isfinite(low) and np.isfinite(high)):
            return system.finish(x, _blame(system, r, d, q), norm=norm)
        if low <= 0.0 or high <= 0.0:
            return system.finish(x, Outcome.INDEFINITE_OPERATOR, norm=norm)
        low, high = 0.9 * low, 1.05 * high
    else:
        low, high = bounds
    z = r if system.M is None else vectors.empty(n, r)
    best, best_norm = x.clone() if vectors.is_torch(x) else x.copy(), norm
    outcome = Outcome.ITERATION_LIMIT
    fresh, raised = True, 0
    rho = 1.0
    since, norm_then = 0, norm  # steps and residual since the recurrence started
    for _ in range(system.maxiter):
        system.precondition(r, z) if system.M is not None else None
        centre, half = 0.5 * (high + low), 0.5 * (high - low)
        if fresh:
            vectors.copy(z, d)
            vectors.scale(1.0 / centre, d)
            rho = half / centre
            fresh = False
            since, norm_then = 0, norm
        else:
            rho_new = 1.0 / (2.0 * centre / half - rho)
            vectors.axpby(2.0 * rho_new / half, z, rho_new * rho, d)
            rho = rho_new
        system.product(d, q)
        norm = float(np.sqrt(vectors.cg_step(1.0, d, q, x, r)))
        since += 1
        system.record(norm)
        if not np.isfinite(norm):
            outcome = Outcome.DIVERGED if raised else _blame(system, system.b, d, q)
            break
        if norm < 0.9 * best_norm:
            vectors.copy(x, best)
            best_norm = norm
        if system.report(x):
            outcome = Outcome.STOPPED_BY_CALLBACK
            break
        if norm <= system.tolerance:
            norm = system.residual_into(x, r)
            if norm <= system.tolerance:
                return system.finish(x, Outcome.CONVERGED, norm=norm)
            fresh = True
            raised += 1
            if raised > 3:
                outcome = Outcome.STAGNATION
                break
        elif bounds is None and since >= 10 and _too_slow(norm / norm_then, since, low, high):
            quotient = _rayleigh(system, r, z, q)
            if 0.0 < quotient < 0.95 * low:
                low, fresh = 0.8 * quotient, True
            since, norm_then = 0, norm
        elif norm > 100.0 * max(start, best_norm):
            if raised >= 3 or bounds is not None:
                outcome = Outcome.DIVERGED
                break
            raised, high, fresh = raised + 1, 2.0 * high, True
            vectors.copy(best, x)
            norm = system.residual_into(x, r)
    if system.residual_into(x, r) <= best_norm:
        return system.finish(x, outcome)
    return system.finish(best, outcome)


def _too_slow(drop: float, steps: int, low: float, high: float) -> bool:
    """Whether the residual fell less than half (in the exponent) of what the bounds promise."""
    root = np.sqrt(high / low)
    return bool(drop > (2.0 * ((root - 1.0) / (root + 1.0)) ** steps) ** 0.5) and steps >= root


def _rayleigh(system: System, r: Any, z: Any, q: Any) -> float:
    """Rayleigh quotient of M A at M r, in the inner product of M^-1; one product."""
    if system.M is not None:
        system.precondition(r, z)
    system.product(z, q)
    return float(np.real(vectors.dot(z, q)) / np.real(vectors.dot(z, r)))


def _blame(system: System, r: Any, z: Any, q: Any) -> Outcome:
    """Say whether A or M gives numbers that are not finite."""
    if system.M is not None:
        system.precondition(r, z)
        if not np.isfinite(vectors.norm(z)):
            return Outcome.NONFINITE_PRECONDITIONER
    system.product(r, q)
    return Outcome.DIVERGED if np.isfinite(vectors.norm(q)) else Outcome.NONFINITE_OPERATOR
