"""How a configuration is made: a method of ours, one of SciPy or PyAMG, the sparse direct solver.

All start from zero, with the same stopping rule ``norm(b - A x) <= rtol * norm(b)``, and have the same cap on products with
A. The timed run of somebody else's method is the plain call; its residual history comes from a run of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Case, Configuration, Run

__all__ = ["MOST_PRODUCTS", "direct", "external", "external_run", "ours", "pyamg_method", "scipy_method"]

MOST_PRODUCTS = 6000
"""Cap on products with A for every iterative method."""

RESTART = 30

Vector = NDArray[Any]


def ours(
    name: str,
    title: str,
    method: str,
    make: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    on_grid: bool = False,
    chosen: Callable[[Any], Mapping[str, Any]] | None = None,
    **keywords: Any,
) -> Configuration:
    """Configure a method of `ritzkit.solvers` with a preconditioner of `ritzkit.solvers.precond`.

    With `on_grid` both work on the problem's own operator, matrix-free, and not on its assembled matrix. ``chosen(problem)``
    gives options that depend on the problem.
    """
    options = dict(parameters or {})

    def setup(case: Case) -> Any:
        if make is None:
            return None
        from ...solvers import precond

        more = {} if chosen is None else chosen(case.problem)
        return getattr(precond, make)(case.problem.A if on_grid else case.A, **options, **more)

    def solve(case: Case, M: Any, rtol: float) -> Run:
        from ... import solvers

        extra = dict(keywords)
        if method in ("gmres", "fgmres"):  # there maxiter counts restart cycles
            extra.update(restart=RESTART, maxiter=math.ceil(MOST_PRODUCTS / RESTART))
        elif method == "bicgstab":  # two products in each iteration
            extra.update(maxiter=MOST_PRODUCTS // 2)
        elif method != "solve":
            extra.update(maxiter=MOST_PRODUCTS)
        start = time.perf_counter()
        A, b = (case.problem.A, case.problem.b) if on_grid else (case.A, case.b)
        result = getattr(solvers, method)(A, b, rtol=rtol, M=M, **extra)
        times = np.concatenate([[0.0], result.times])
        if method == "solve":  # what it tried and set up before the method that counts is part of its time
            times += max(0.0, time.perf_counter() - start - times[-1])
        return Run(
            x=case.part(result.x) if on_grid else result.x,
            info=int(result.info),
            outcome=result.outcome.name,
            text=result.outcome.text,
            iterations=int(result.iterations),
            matvecs=int(result.matvecs),
            psolves=int(result.psolves),
            residuals=[getattr(result, "initial_residual", 1.0), *result.residuals],
            products=[0, *result.products],
            times=times.tolist(),
        )

    shown = {**options, **keywords}
    if method in ("gmres", "fgmres"):
        shown["restart"] = RESTART
    return Configuration(name, title, shown, setup, solve)


class _Counting:
    """A SciPy operator that counts its products."""

    def __init__(self, csr: Any) -> None:
        from scipy.sparse.linalg import LinearOperator

        self.count = 0

        def product(x: Vector) -> Vector:
            self.count += 1
            return csr @ x

        self.operator = LinearOperator(csr.shape, matvec=product, dtype=csr.dtype)


def external(
    name: str,
    title: str,
    parameters: Mapping[str, Any],
    call: Callable[[Any, Case, Any, float, Callable[[Vector], None] | None], tuple[Vector, int]],
    setup: Callable[[Case], Any] = lambda case: None,
) -> Configuration:
    """Configure somebody else's iterative method.

    ``call(A, case, M, rtol, callback) -> (x, info)``. The timed run has no callback and the plain matrix.
    The trace wraps the matrix to count products, computes the true residual in the callback, and stops the
    clock meanwhile.
    """

    def solve(case: Case, M: Any, rtol: float) -> Run:
        x, info = call(case.csr, case, M, rtol, None)
        return external_run(x, info, 0, 0)

    def trace(case: Case, M: Any, rtol: float) -> Run:
        counting = _Counting(case.csr)
        residuals, products, times = [1.0], [0], [0.0]
        aside = 0.0
        start = time.perf_counter()

        def callback(x: Vector) -> None:
            nonlocal aside
            now = time.perf_counter()
            residuals.append(case.true_residual(x))
            products.append(counting.count)
            times.append(now - start - aside)
            aside += time.perf_counter() - now

        x, info = call(counting.operator, case, M, rtol, callback)
        run = external_run(x, info, len(residuals) - 1, counting.count)
        return Run(**{**vars(run), "residuals": residuals, "products": products, "times": times})

    return Configuration(name, title, dict(parameters), setup, solve, trace, external=True)


def external_run(x: Vector, info: int, iterations: int, products: int) -> Run:
    """Say in the terms of the records what somebody else's method returned."""
    outcome = "CONVERGED" if info == 0 else "ITERATION_LIMIT" if info > 0 else "BREAKDOWN"
    text = {
        "CONVERGED": "it reports convergence",
        "ITERATION_LIMIT": "it reports that it stopped at the cap on iterations",
        "BREAKDOWN": "it reports a breakdown",
    }[outcome]
    return Run(x, info, outcome, text, iterations, products, 0)


def scipy_method(method: str, title: str, *, ilu: bool = False) -> Configuration:
    """Configure a Krylov method of SciPy."""

    def call(A: Any, case: Case, M: Any, rtol: float, callback: Any) -> tuple[Vector, int]:
        from scipy.sparse import linalg

        options: dict[str, Any] = {"rtol": rtol, "atol": 0.0, "M": M, "callback": callback}
        if method == "gmres":
            options.update(restart=RESTART, maxiter=math.ceil(MOST_PRODUCTS / RESTART))
            if callback is not None:
                options["callback_type"] = "x"
        else:
            options["maxiter"] = MOST_PRODUCTS // (2 if method == "bicgstab" else 1)
        if method == "minres":  # it knows no atol
            del options["atol"]
        x, info = getattr(linalg, method)(A, case.b, **options)
        return x, int(info)

    def setup(case: Case) -> Any:
        from scipy.sparse import linalg

        if not ilu:
            return None
        factor = linalg.spilu(case.csr.tocsc(), drop_tol=1e-3, fill_factor=10)
        return linalg.LinearOperator(case.csr.shape, matvec=factor.solve, dtype=case.csr.dtype)

    parameters: dict[str, Any] = {"restart": RESTART} if method == "gmres" else {}
    if ilu:
        parameters.update(drop_tol=1e-3, fill_factor=10)
    return external(f"scipy-{'ilu-' if ilu else ''}{method}", title, parameters, call, setup)


def pyamg_method(
    name: str, kind: str, title: str, options: Mapping[str, Any] | None = None, cycle: str = "V"
) -> Configuration:
    """Configure cg of PyAMG with one of its hierarchies, smoothed aggregation ("sa") or Ruge-Stueben ("rs")."""
    builder = {"sa": "smoothed_aggregation_solver", "rs": "ruge_stuben_solver"}[kind]
    keywords = dict(options or {})

    def setup(case: Case) -> Any:
        import pyamg
        from scipy.sparse import csr_matrix

        state = np.random.get_state()  # noqa: NPY002  # PyAMG draws from the global state: leave it as it was
        try:
            np.random.seed(0)  # noqa: NPY002
            return getattr(pyamg, builder)(csr_matrix(case.csr), **keywords)
        finally:
            np.random.set_state(state)  # noqa: NPY002

    def call(A: Any, case: Case, M: Any, rtol: float, callback: Any) -> tuple[Vector, int]:
        from pyamg.krylov import cg

        x, info = cg(A, case.b, tol=rtol, maxiter=MOST_PRODUCTS, M=M.aspreconditioner(cycle), callback=callback)
        return x, int(info)

    shown = {"kind": kind, **keywords, **({"cycle": cycle} if cycle != "V" else {})}
    return external(name, f"PyAMG: {title} with its own cg", shown, call, setup)


def direct() -> Configuration:
    """Configure the sparse direct solver."""

    def setup(case: Case) -> Any:
        from ...solvers import precond

        return precond.direct(case.A)

    def solve(case: Case, M: Any, rtol: float) -> Run:
        start = time.perf_counter()
        x = M @ case.b
        seconds = time.perf_counter() - start
        residual = case.true_residual(x)
        met = residual <= rtol
        text = "solved by the factors" if met else "the factors do not reach the tolerance"
        return Run(
            x,
            0 if met else 1,
            "CONVERGED" if met else "STAGNATION",
            text,
            1,
            1,
            1,
            [1.0, residual],
            [0, 1],
            [0.0, seconds],
        )

    return Configuration("direct", "SuperLU, sparse direct, through SciPy", {}, setup, solve, external=True)
