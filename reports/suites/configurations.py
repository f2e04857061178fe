"""Named solver configurations: ours, and those of SciPy and PyAMG as opponents.

All start from zero, with the same stopping rule ``norm(b - A x) <= rtol * norm(b)``, and have the same cap
on products with A. Opponents run as their documentation says to run them; where a solver of theirs takes our
declared facts as options (symmetric mode of SuperLU), it gets them.

Fixed parameters, one value for all problems. They have the fewest iterations in the geometric mean over
Poisson (150^2, 300^2, 28^3), Darcy (100^2) and obstacles (150^2) at other seeds than those of the suites:

- ``mic-cg``: ``alpha = 0.995`` out of 0, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 1 (1 itself loses around
  obstacles);
- ``ict-cg``: ``alpha = 0.98`` out of 0, 0.9, 0.98, 1 at the drop tolerance 1e-2;
- ``ssor-cg``: ``omega = 1.8`` out of 1, 1.3, 1.5, 1.7, 1.8, 1.9.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .base import Case, Configuration, Run

__all__ = ["CONFIGURATIONS", "MOST_PRODUCTS", "get"]

MOST_PRODUCTS = 6000
"""Cap on products with A for every iterative method."""

RESTART = 30
MIC_ALPHA = 0.995
MICT_ALPHA = 0.98
SSOR_OMEGA = 1.8

Vector = NDArray[Any]


def _ours(
    name: str,
    title: str,
    method: str,
    make: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    **keywords: Any,
) -> Configuration:
    """Configure a method of `ritzkit.solvers` with a preconditioner of `ritzkit.solvers.precond`."""
    options = dict(parameters or {})

    def setup(case: Case) -> Any:
        if make is None:
            return None
        from ...solvers import precond

        return getattr(precond, make)(case.A, **options)

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
        result = getattr(solvers, method)(case.A, case.b, rtol=rtol, M=M, **extra)
        times = np.concatenate([[0.0], result.times])
        if method == "solve":  # what it tried and set up before the method that counts is part of its time
            times += max(0.0, time.perf_counter() - start - times[-1])
        return Run(
            x=result.x,
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


def _external(
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
        return _external_run(x, info, 0, 0)

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
        run = _external_run(x, info, len(residuals) - 1, counting.count)
        return Run(**{**vars(run), "residuals": residuals, "products": products, "times": times})

    return Configuration(name, title, dict(parameters), setup, solve, trace, external=True)


def _external_run(x: Vector, info: int, iterations: int, products: int) -> Run:
    outcome = "CONVERGED" if info == 0 else "ITERATION_LIMIT" if info > 0 else "BREAKDOWN"
    text = {
        "CONVERGED": "it reports convergence",
        "ITERATION_LIMIT": "it reports that it stopped at the cap on iterations",
        "BREAKDOWN": "it reports a breakdown",
    }[outcome]
    return Run(x, info, outcome, text, iterations, products, 0)


def _scipy(method: str, title: str, *, ilu: bool = False) -> Configuration:
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
    return _external(f"scipy-{'ilu-' if ilu else ''}{method}", title, parameters, call, setup)


def _pyamg(kind: str) -> Configuration:
    builder, title = {
        "sa": ("smoothed_aggregation_solver", "smoothed aggregation"),
        "rs": ("ruge_stuben_solver", "Ruge-Stueben"),
    }[kind]

    def setup(case: Case) -> Any:
        import pyamg
        from scipy.sparse import csr_matrix

        state = np.random.get_state()  # noqa: NPY002  # PyAMG draws from the global state: leave it as it was
        try:
            np.random.seed(0)  # noqa: NPY002
            return getattr(pyamg, builder)(csr_matrix(case.csr))
        finally:
            np.random.set_state(state)  # noqa: NPY002

    def call(A: Any, case: Case, M: Any, rtol: float, callback: Any) -> tuple[Vector, int]:
        from pyamg.krylov import cg

        x, info = cg(A, case.b, tol=rtol, maxiter=MOST_PRODUCTS, M=M.aspreconditioner(), callback=callback)
        return x, int(info)

    return _external(f"pyamg-{kind}-cg", f"PyAMG: {title} with its own cg", {"kind": kind}, call, setup)


def _direct() -> Configuration:
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


def _all() -> dict[str, Configuration]:
    mic = {"alpha": MIC_ALPHA}
    configurations = [
        _scipy("cg", "SciPy: cg"),
        _ours("cg", "cg without preconditioner", "cg"),
        _ours("jacobi-cg", "cg with the diagonal", "cg", "jacobi"),
        _ours("ssor-cg", "cg with SSOR", "cg", "ssor", {"omega": SSOR_OMEGA}),
        _ours("chebyshev-cg", "cg with a Chebyshev polynomial", "cg", "chebyshev"),
        _ours("ic0-cg", "cg with IC(0)", "cg", "ic"),
        _ours("mic-cg", f"cg with modified IC(0), alpha {MIC_ALPHA}", "cg", "ic", mic),
        _ours("mic-e-cg", f"the same in Eisenstat's form, alpha {MIC_ALPHA}", "cg", "ic", mic, eisenstat=True),
        _ours("ssor-e-cg", "cg with SSOR in Eisenstat's form", "cg", "ssor", {"omega": SSOR_OMEGA}, eisenstat=True),
        _ours("ic2-cg", "cg with IC(2)", "cg", "ic", {"level": 2}),
        _ours("ict-cg", "cg with threshold IC, modified", "cg", "ic", {"drop_tol": 1e-2, "alpha": MICT_ALPHA}),
        _ours("sa-amg-cg", "cg with smoothed aggregation AMG", "cg", "amg", {"kind": "sa"}),
        _ours("rs-amg-cg", "cg with Ruge-Stueben AMG", "cg", "amg", {"kind": "rs"}),
        _pyamg("sa"),
        _pyamg("rs"),
        _direct(),
        _ours("minres", "minres without preconditioner", "minres"),
        _scipy("minres", "SciPy: minres"),
        _ours("gmres", "restarted gmres", "gmres"),
        _ours("bicgstab", "bicgstab without preconditioner", "bicgstab"),
        _ours("jacobi-gmres", "gmres with the diagonal", "gmres", "jacobi"),
        _ours("jacobi-bicgstab", "bicgstab with the diagonal", "bicgstab", "jacobi"),
        _ours("ilu0-gmres", "gmres with ILU(0)", "gmres", "ilu"),
        _ours("ilu0-bicgstab", "bicgstab with ILU(0)", "bicgstab", "ilu"),
        _ours("ilu2-fgmres", "fgmres with ILU(2)", "fgmres", "ilu", {"level": 2}),
        _scipy("gmres", "SciPy: gmres"),
        _scipy("bicgstab", "SciPy: bicgstab"),
        _scipy("gmres", "SciPy: gmres with SuperLU's incomplete LU", ilu=True),
        _ours("auto", "solve(method='auto')", "solve"),
    ]
    return {c.name: c for c in configurations}


CONFIGURATIONS = _all()
"""All configurations by name."""


def get(name: str) -> Configuration:
    """Return a configuration by name.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    try:
        return CONFIGURATIONS[name]
    except KeyError:
        raise UserError(f"unknown solver {name!r}: choose from {', '.join(CONFIGURATIONS)}") from None
