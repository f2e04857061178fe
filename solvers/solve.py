"""One call that picks a method and a preconditioner from what A states about itself.

The rules are few and written down in `solve`; each attempt is an ordinary solve with its own honest outcome, and the note
of the result lists the attempts that came before the one that is returned.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..linalg import CSROperator, Operator, as_operator, is_hermitian
from . import precond
from .bicgstab import bicgstab
from .cg import cg
from .chebyshev import chebyshev
from .fcg import fcg
from .gate import enter
from .gmres import fgmres, gmres
from .minres import minres
from .recycling import deflated_cg, gcrodr, gmres_dr, recycled_minres
from .result import Outcome, SolveResult
from .stationary import jacobi, sor, ssor

__all__ = ["METHODS", "direct", "solve"]

SMALL = 3000  # unknowns up to which a factorisation is cheaper than thinking about it
DIRECT_LIMIT = 400_000  # unknowns beyond which the fallback factorisation is not tried


def direct(
    A: Any, b: Any, x0: Any = None, *, rtol: float = 1e-5, atol: float = 0.0, maxiter: int | None = None,
    M: Any = None, callback: Callable[[Any], Any] | None = None,
) -> SolveResult:  # fmt: skip
    """Solve A x = b by a sparse factorisation (SuperLU), refined by GMRES until the true residual meets the tolerance.

    Parameters
    ----------
    A : matrix or operator that can be assembled, shape (n, n)
    b : array_like or tensor, shape (n,)
    x0 : array_like, optional
        Initial guess; zero by default.
    rtol, atol : float
        Stop when ``norm(b - A x) <= max(rtol * norm(b), atol)``.
    maxiter : int, optional
        Most refinement cycles; default 3.
    M : object
        Must be None: the factors are the preconditioner. (A `precond.Direct` is accepted and used instead.)
    callback : callable, optional
        Called after each refinement cycle with the iterate; returning True stops the solve.

    Returns
    -------
    SolveResult
        A singular matrix gives the outcome ``SINGULAR``.

    Examples
    --------
    >>> import numpy as np
    >>> direct(np.array([[0.0, 2.0], [4.0, 0.0]]), np.array([2.0, 4.0])).x
    array([1., 1.])
    """
    system = enter("direct", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=None, callback=callback)
    if M is None:
        try:
            M = precond.direct(system.A) if system.verdict is None and system.n else None
        except np.linalg.LinAlgError as error:
            system.note = str(error)
            finite = "NaN" not in str(error)
            return system.finish(system.x, Outcome.SINGULAR if finite else Outcome.NONFINITE_OPERATOR)
    elif not isinstance(M, precond.Direct):
        raise ValueError("M must be None (or the result of precond.direct) for the method direct")
    result = gmres(
        system.A, b, x0, rtol=rtol, atol=atol, restart=5, maxiter=3 if maxiter is None else maxiter, M=M,
        callback=callback, callback_type=None if callback is None else "x",
    )  # fmt: skip
    outcome = result.outcome
    note = ""
    if M is not None and outcome in (Outcome.ITERATION_LIMIT, Outcome.STAGNATION, Outcome.NONFINITE_PRECONDITIONER):
        condition = _condition(system.A, M)
        if not condition < 0.1 / np.finfo(M.dtype).eps:
            outcome = Outcome.SINGULAR
        note = f"estimated condition number {condition:.0e}"
    code = outcome.code if outcome.code <= 0 else result.info
    return _replace(result, method="direct", outcome=outcome, info=code, note=note)


def _condition(A: Operator, M: Any) -> float:
    """Estimate the condition number in the 1-norm from the factors (Higham and Tisseur's block estimator)."""
    from scipy.sparse.linalg import onenormest

    with np.errstate(all="ignore"):
        try:
            return float(abs(A.tocsr()).sum(axis=0).max() * onenormest(M))
        except (ValueError, FloatingPointError):
            return float("inf")


METHODS: dict[str, Callable[..., SolveResult]] = {
    "bicgstab": bicgstab, "cg": cg, "chebyshev": chebyshev, "deflated_cg": deflated_cg, "direct": direct, "fcg": fcg,
    "fgmres": fgmres, "gcrodr": gcrodr, "gmres": gmres, "gmres_dr": gmres_dr, "jacobi": jacobi, "minres": minres,
    "recycled_minres": recycled_minres, "sor": sor, "ssor": ssor,
}  # fmt: skip


def _replace(result: SolveResult, **changes: Any) -> SolveResult:
    import dataclasses

    return dataclasses.replace(result, **changes)


def solve(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    method: str = "auto",
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    **options: Any,
) -> SolveResult:
    """Solve A x = b with a method chosen from what A states, or with a named one.

    Parameters
    ----------
    A : matrix or operator, shape (n, n)
    b : array_like or tensor, shape (n,)
    x0 : array_like, optional
        Initial guess; zero by default.
    method : str
        ``"auto"``, or one of ``METHODS`` (``"cg"``, ``"gmres"``, ``"direct"``, ...).
    rtol, atol : float
        Stop when ``norm(b - A x) <= max(rtol * norm(b), atol)``.
    maxiter : int, optional
        As the method counts it; with ``"auto"`` it bounds every attempt.
    M : matrix or operator, optional
        Approximate inverse. With ``"auto"`` and None, one is set up (see Notes).
    callback : callable, optional
        Handed to the method.
    **options
        Handed to the named method (``restart=`` and the like); not allowed with ``"auto"``.

    Returns
    -------
    SolveResult
        ``note`` lists the attempts made before this one; seconds, products and applications of M are those of all
        attempts together.

    Raises
    ------
    ValueError
        For an unknown method.

    Notes
    -----
    ``"auto"`` tries in this order, each only where it applies, until one succeeds:

    1. entries known and at most 3000 unknowns: ``direct``;
    2. symmetric, not known to be indefinite, diagonal positive: ``cg`` with smoothed aggregation (off-diagonals nowhere
       positive) or relaxed incomplete Cholesky (otherwise); without entries, with the diagonal;
    3. symmetric: ``minres`` with the absolute diagonal;
    4. otherwise: ``gmres(50)`` with ILU(0), then ILU(2), or without entries with none;
    5. entries known: ``direct``.

    Symmetry of an explicit matrix is tested (one transposition) unless it is declared.

    Examples
    --------
    >>> import numpy as np
    >>> solve(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([3.0, 4.0])).method
    'direct'
    """
    if method != "auto":
        if method not in METHODS:
            raise ValueError(f"method is {method!r}: wanted 'auto' or one of {', '.join(sorted(METHODS))}")
        if method in ("jacobi", "sor", "ssor"):
            if M is not None:
                raise ValueError(f"{method} takes no preconditioner: leave M at None")
            return METHODS[method](A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, callback=callback, **options)
        if method == "gmres" and callback is not None:
            options.setdefault("callback_type", "x")
        return METHODS[method](A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback, **options)
    if options:
        raise ValueError(f"options {', '.join(sorted(options))} need a named method: 'auto' takes none")
    checked = enter("solve", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback, flexible=True)
    operator = _with_facts(checked.A)
    if checked.verdict is not None or checked.n == 0:
        return checked.finish(checked.x, checked.verdict or Outcome.CONVERGED, norm=None if checked.verdict else 0.0)
    spent: dict[str, Any] = {"setup_seconds": 0.0, "solve_seconds": 0.0, "matvecs": 0, "psolves": 0}
    best: SolveResult | None = None
    history: list[str] = []
    for name, make, run in _attempts(operator, M, maxiter, callback):
        start = time.perf_counter()
        try:
            preconditioner = make()
        except (np.linalg.LinAlgError, TypeError, ValueError, MemoryError) as error:
            history.append(f"{name}: {error}")
            spent["setup_seconds"] += time.perf_counter() - start
            continue
        result = run(b, x0, rtol, atol, preconditioner)
        for field in spent:
            spent[field] += getattr(result, field)
        result = _replace(result, **spent)
        if result.success or result.outcome is Outcome.STOPPED_BY_CALLBACK:
            return _replace(result, note="; ".join([*history, result.note] if result.note else history))
        said = f", {result.note}" if result.note else ""
        history.append(f"{name}: {result.outcome.label} at {result.residual:.1e}{said}")
        if best is None or (np.isfinite(result.residual) and not result.residual >= best.residual):
            best = result
    if best is None:
        checked.note = "; ".join(history)
        singular = any("singular" in line for line in history)
        return checked.finish(checked.x, Outcome.SINGULAR if singular else Outcome.BREAKDOWN)
    return _replace(best, note="; ".join(history), **spent)


def _with_facts(A: Operator) -> Operator:
    """Test the symmetry of an explicit matrix whose maker has not stated it."""
    if A.symmetric is None:
        try:
            symmetric = is_hermitian(A.tocsr() if not isinstance(A, CSROperator) else A.matrix)
        except TypeError:
            return A
        return as_operator(A, symmetric=symmetric)
    return A


Make = Callable[[], Any]
Run = Callable[[Any, Any, float, float, Any], SolveResult]


def _attempts(
    A: Operator, M: Any, maxiter: int | None, callback: Callable[[Any], Any] | None
) -> Iterator[tuple[str, Make, Run]]:
    n = A.shape[0]
    matrix = None
    with contextlib.suppress(TypeError):
        matrix = A.tocsr()
    try:
        diagonal = A.diagonal()
    except TypeError:
        diagonal = None

    def run(method: Callable[..., SolveResult], make: Make, limit: int, **options: Any) -> tuple[Make, Run]:
        def attempt(b: Any, x0: Any, rtol: float, atol: float, preconditioner: Any) -> SolveResult:
            most = limit if maxiter is None else maxiter
            return method(A, b, x0, rtol=rtol, atol=atol, maxiter=most, M=preconditioner, callback=callback, **options)

        return make, attempt

    small = matrix is not None and n <= SMALL and M is None and A.nullspace is None
    if small:
        yield "direct", *run(direct, lambda: None, 3)
    if M is not None:  # the caller's preconditioner: one attempt with the method that fits
        given = as_operator(M)
        if A.symmetric and A.positive_definite is not False:
            name = "cg with M" if given.fixed else "fcg with M"
            yield name, *run(cg if given.fixed else fcg, lambda: M, 10 * n)
        else:
            extra = {"callback_type": "x"} if callback is not None and given.fixed else {}
            method = gmres if given.fixed else fgmres
            yield "gmres with M", *run(method, lambda: M, max(100, n // 10), restart=50, **extra)
        return
    positive = diagonal is not None and bool((np.real(diagonal) > 0).all())
    if A.symmetric and A.positive_definite is not False and (positive or diagonal is None):
        if matrix is not None:
            off = matrix.data[matrix.indices != np.repeat(np.arange(n), np.diff(matrix.indptr))]
            m_matrix = off.dtype.kind != "c" and bool((off <= 0).all())
            if m_matrix:
                yield "cg with smoothed aggregation", *run(cg, lambda: precond.amg(A), 300)
            else:
                yield "cg with incomplete Cholesky", *run(cg, lambda: precond.ic(A, level=1, alpha=0.5), 2000)
        else:
            scaling = (lambda: precond.jacobi(A)) if positive else (lambda: None)
            yield "cg", *run(cg, scaling, 10 * n)
    elif A.symmetric and matrix is None:
        yield "minres", *run(minres, lambda: None, 5 * n)
    if not A.symmetric:
        extra = {"callback_type": "x"} if callback is not None else {}
        if matrix is not None:
            yield "gmres with ILU(0)", *run(gmres, lambda: precond.ilu(A), 10, restart=50, **extra)
            yield "gmres with ILU(2)", *run(gmres, lambda: precond.ilu(A, level=2), 6, restart=50, **extra)
        else:
            yield "gmres", *run(gmres, lambda: None, max(100, n // 10), restart=50, **extra)
    if matrix is not None and not small and n <= DIRECT_LIMIT and A.nullspace is None:
        yield "direct", *run(direct, lambda: None, 3)
    if A.symmetric and matrix is not None:  # also where the factorisation met a singular matrix
        yield "minres", *run(minres, lambda: _absolute_diagonal(diagonal, A), 5 * n)
    elif matrix is not None:
        extra = {"callback_type": "x"} if callback is not None else {}
        yield "gmres", *run(gmres, lambda: None, 20, restart=min(n, 100), **extra)


def _absolute_diagonal(diagonal: Any, A: Operator) -> Any:
    """Positive definite scaling for minres: the absolute diagonal, where it is nowhere zero."""
    from ..linalg import DiagonalOperator

    if diagonal is None or (np.abs(diagonal) == 0).any() or A.nullspace is not None:
        return None
    return DiagonalOperator(1.0 / np.abs(diagonal))
