"""Generalised minimal residuals, restarted: fixed (`gmres`) and flexible (`fgmres`) right preconditioning.

Sources: Y. Saad and M. H. Schultz, "GMRES: a generalized minimal residual algorithm for solving nonsymmetric linear
systems", SIAM J. Sci. Stat. Comput. 7 (1986) 856-869; Y. Saad, "A flexible inner-outer preconditioned GMRES algorithm",
SIAM J. Sci. Comput. 14 (1993) 461-469.

Departures from the sources:

1. Preconditioning is from the right, so that the residual that is minimised is the true one.
2. Vectors are orthogonalised by classical Gram-Schmidt, twice: two passes over the basis at memory speed, and
   orthogonality to rounding level.
3. After a breakdown (exhausted Krylov space) with a singular Hessenberg matrix, directions with a vanishing pivot are
   left out of the update, so that x stays finite.
4. The true residual is recomputed after every cycle; three cycles without progress end the solve as stagnation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..linalg import vectors
from .gate import System, asks_to_stop, check_count, enter
from .result import Outcome, SolveResult

__all__ = ["fgmres", "gmres"]

_LEGACY = (
    "gmres was called without specifying `callback_type`: pass 'x' (called after each restart cycle with the iterate), "
    "'pr_norm' (called after each inner step with the relative preconditioned residual norm) or 'legacy' (the same, and "
    "maxiter counts inner steps)"
)


def gmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int | None = None,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    callback_type: str | None = None,
) -> SolveResult:
    """Solve A x = b by restarted GMRES.

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
    restart : int, optional
        Steps per cycle, default ``min(20, n)``.
    maxiter : int, optional
        Most restart CYCLES (as in SciPy), default ``10 n``.
    M : matrix or operator, shape (n, n), optional
        Approximate inverse of A, fixed; applied from the right.
    callback : callable, optional
        See `callback_type`. Returning True stops the solve.
    callback_type : {"x", "pr_norm", "legacy"}, optional
        ``"x"``: called after each cycle with the iterate; ``"pr_norm"``: called after each step with the norm of
        ``M r`` divided by that of b; ``"legacy"``: the same, and `maxiter` counts steps (SciPy's default, with a
        warning).

    Returns
    -------
    SolveResult
        ``info`` counts cycles if the limit was reached, ``iterations`` counts steps.

    Notes
    -----
    ``restart + 5`` vectors beside b; step j of a cycle costs one product with A, one application of M and 4 j n flops twice.

    Examples
    --------
    >>> import numpy as np
    >>> gmres(np.array([[2.0, 1.0], [0.0, 1.0]]), np.ones(2), rtol=1e-10).success
    True
    """
    if callback is not None and callback_type is None:
        warnings.warn(_LEGACY, DeprecationWarning, stacklevel=2)
        callback_type = "legacy"
    if callback_type not in (None, "x", "pr_norm", "legacy"):
        raise ValueError(f"callback_type is {callback_type!r}: wanted 'x', 'pr_norm' or 'legacy'")
    system = enter("gmres", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback)
    return _run(system, restart, callback_type if callback is not None else None, flexible=False)


def fgmres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    restart: int | None = None,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
) -> SolveResult:
    """Solve A x = b by flexible GMRES: M may change between calls.

    Parameters
    ----------
    A, b, x0, rtol, atol
        As in `gmres`.
    restart : int, optional
        Steps per cycle, default ``min(20, n)``.
    maxiter : int, optional
        Most products with A inside the cycles (the residuals between them not counted), default ``10 n``.
    M : operator, shape (n, n), optional
        Approximate inverse; it may be nonlinear or different at every call.
    callback : callable, optional
        Called after each cycle with the iterate; returning True stops the solve.

    Returns
    -------
    SolveResult

    Notes
    -----
    ``2 restart + 5`` vectors beside b: beside the basis it keeps what M made of each basis vector.

    Examples
    --------
    >>> import numpy as np
    >>> fgmres(np.array([[2.0, 1.0], [0.0, 1.0]]), np.ones(2), rtol=1e-10).success
    True
    """
    system = enter("fgmres", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback, flexible=True)
    return _run(system, restart, "x" if callback is not None else None, flexible=True)


def _run(system: System, restart: int | None, callback_type: str | None, *, flexible: bool) -> SolveResult:
    m = min(20, system.n) if restart is None else min(check_count("restart", restart, 1), max(system.n, 1))
    if system.verdict is not None:
        return system.decided()
    with np.errstate(all="ignore"):
        return _iterate(system, m, callback_type, flexible)


class _Hessenberg:
    """The small least-squares problem, updated column by column with Givens rotations."""

    def __init__(self, m: int, dtype: Any) -> None:
        self.R = np.zeros((m + 1, m), dtype=dtype)
        self.cosines = np.zeros(m)
        self.sines = np.zeros(m, dtype=dtype)
        self.g = np.zeros(m + 1, dtype=dtype)

    def start(self, beta: float) -> None:
        self.g[:] = 0
        self.g[0] = beta

    def column(self, j: int, h: npt.NDArray[Any]) -> float:
        """Rotate column j (h has j + 2 entries) and return the norm of the residual."""
        for i in range(j):
            c, s = self.cosines[i], self.sines[i]
            h[i], h[i + 1] = c * h[i] + s * h[i + 1], -np.conj(s) * h[i] + c * h[i + 1]
        a, b = h[j], h[j + 1]
        length = np.hypot(abs(a), abs(b))
        if length == 0.0:
            c, s = 1.0, 0.0 * a
        elif a == 0:
            c, s = 0.0, np.conj(b) / abs(b)
        else:
            c, s = abs(a) / length, a / abs(a) * np.conj(b) / length
        self.cosines[j], self.sines[j] = c, s
        h[j], h[j + 1] = c * a + s * b, 0.0
        self.R[: j + 1, j] = h[: j + 1]
        self.g[j + 1] = -np.conj(s) * self.g[j]
        self.g[j] = c * self.g[j]
        return float(abs(self.g[j + 1]))

    def solve(self, k: int) -> npt.NDArray[Any]:
        """Coefficients of the update from the first k columns; vanishing pivots are left out."""
        y = np.zeros(k, dtype=self.R.dtype)
        if k == 0:
            return y
        floor = 1e-14 * np.abs(np.diagonal(self.R[:k, :k])).max()
        for i in range(k - 1, -1, -1):
            pivot = self.R[i, i]
            y[i] = 0.0 if abs(pivot) <= floor else (self.g[i] - self.R[i, i + 1 : k] @ y[i + 1 :]) / pivot
        return y

    def residual_coefficients(self, k: int) -> npt.NDArray[Any]:
        """Coefficients of the current residual in the first k + 1 basis vectors."""
        t = np.zeros(k + 1, dtype=self.R.dtype)
        t[k] = self.g[k]
        for i in range(k - 1, -1, -1):
            c, s = self.cosines[i], self.sines[i]
            t[i], t[i + 1] = c * t[i] - s * t[i + 1], np.conj(s) * t[i] + c * t[i + 1]
        return t


def _iterate(system: System, m: int, callback_type: str | None, flexible: bool) -> SolveResult:
    n, x = system.n, system.x
    r = vectors.empty(n, system.b)
    norm = system.start(r)
    if norm <= system.tolerance:
        return system.finish(x, Outcome.CONVERGED, norm=norm)
    keep_images = flexible and system.M is not None
    basis = vectors.empty_basis(m + 1, r)
    images = vectors.empty_basis(m, r) if keep_images else None
    z, kept = vectors.empty(n, r), vectors.empty(n, r)
    kind = vectors.numpy_dtype(r).kind
    small = np.complex128 if kind == "c" else np.float64
    problem = _Hessenberg(m, small)
    h: npt.NDArray[Any] = np.zeros(m + 2, dtype=small)
    extra: npt.NDArray[Any] = np.zeros(m + 2, dtype=small)
    precision = float(np.finfo(vectors.numpy_dtype(r)).eps)
    counts_steps = flexible or callback_type == "legacy"
    outcome = Outcome.ITERATION_LIMIT
    cycles = idle = 0

    while (len(system.residuals) if counts_steps else cycles) < system.maxiter:
        if not np.isfinite(norm):
            outcome = Outcome.NONFINITE_OPERATOR
            break
        vectors.copy(r, basis[0])
        vectors.scale(1.0 / norm, basis[0])
        problem.start(norm)
        k = 0
        exhausted = False
        for j in range(m):
            if images is not None:
                direction = images[j]
                system.precondition(basis[j], direction)
            elif system.M is not None:
                direction = z
                system.precondition(basis[j], direction)
            else:
                direction = basis[j]
            w = basis[j + 1]
            system.product(direction, w)
            before = vectors.norm(w)
            if not np.isfinite(before):
                finite = np.isfinite(vectors.norm(direction))
                outcome = Outcome.NONFINITE_OPERATOR if finite else Outcome.NONFINITE_PRECONDITIONER
                break
            vectors.block_dot(basis, j + 1, w, h)
            vectors.block_axpy(basis, j + 1, h, -1.0, w)
            vectors.block_dot(basis, j + 1, w, extra)
            vectors.block_axpy(basis, j + 1, extra, -1.0, w)
            h[: j + 1] += extra[: j + 1]
            after = vectors.norm(w)
            exhausted = after <= 10 * precision * before
            h[j + 1] = 0.0 if exhausted else after
            if not exhausted:
                vectors.scale(1.0 / after, w)
            estimate = problem.column(j, h)
            k = j + 1
            system.record(estimate)
            if callback_type in ("legacy", "pr_norm"):
                answer = system.callback(_preconditioned_norm(system, problem, basis, k, exhausted, z))  # type: ignore[misc]
                system.stopped = asks_to_stop(answer)
            full = counts_steps and len(system.residuals) >= system.maxiter
            if estimate <= system.tolerance or exhausted or full or system.stopped:
                break
        vectors.copy(x, kept)
        y = problem.solve(k)
        if np.isfinite(y).all() and k:
            if images is not None:
                vectors.block_axpy(images, k, y, 1.0, x)
            elif system.M is not None:
                vectors.scale(0.0, r)
                vectors.block_axpy(basis, k, y, 1.0, r)
                system.precondition(r, z)
                vectors.axpy(1.0, z, x)
            else:
                vectors.block_axpy(basis, k, y, 1.0, x)
        before_cycle, norm = norm, system.residual_into(x, r)
        cycles += 1
        if not norm <= (1.0 + 1e-8) * before_cycle:  # rounding, or an M that is not linear, spoiled the update
            vectors.copy(kept, x)
            norm = system.residual_into(x, r)
        if outcome is not Outcome.ITERATION_LIMIT:
            break
        if callback_type == "x":
            system.report(x)
        if norm <= system.tolerance:
            outcome = Outcome.CONVERGED
            break
        if system.stopped:
            outcome = Outcome.STOPPED_BY_CALLBACK
            break
        idle = idle + 1 if norm >= (1.0 - 1e-8) * before_cycle else 0
        if idle >= 3 or (idle and exhausted):
            outcome = _why_stuck(system, r, norm, z)
            break
    if outcome is Outcome.NONFINITE_OPERATOR and not np.isfinite(norm):
        norm = float("nan")
    return system.finish(x, outcome, norm=norm, info=system.maxiter)


def _why_stuck(system: System, r: Any, norm: float, z: Any) -> Outcome:
    """Stagnation, or a least-squares solution of an inconsistent symmetric system (A^H r = 0)."""
    if system.A.symmetric:
        system.product(r, z)
        size = vectors.norm(system.b)
        if size > 0 and vectors.norm(z) <= 1e-10 * norm:
            return Outcome.INCONSISTENT
    return Outcome.STAGNATION


def _preconditioned_norm(
    system: System, problem: _Hessenberg, basis: Any, k: int, exhausted: bool, z: Any
) -> np.float64:
    """Norm of M r over that of b, a numpy scalar as SciPy hands it to a callback; costs one application of M."""
    if system.M is None or exhausted:
        return np.float64(abs(problem.g[k]) / system.scale)
    coefficients = problem.residual_coefficients(k)
    residual = vectors.zeros_like(system.b)
    vectors.block_axpy(basis, k + 1, coefficients, 1.0, residual)
    system.precondition(residual, z)
    return np.float64(vectors.norm(z) / system.scale)
