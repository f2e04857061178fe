"""Ratios of single operations against SciPy and PyAMG, with the targets that the project sets itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Case, KernelCase, Suite, SuiteOptions
from .configurations import get
from .timing import wake

__all__ = ["SUITE"]

Vector = NDArray[Any]
Sample = Callable[[], float]


def _seconds(call: Callable[[], object], times: int = 1) -> float:
    """Time a call after untimed ones."""
    wake(call)
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def _difference(ours: Vector, theirs: Vector) -> float:
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def _case(shape: tuple[int, ...]) -> Case:
    from ...problems import Poisson

    return Case.of(Poisson(shape).sample(np.random.default_rng(0)))


def _spmv(n: int) -> tuple[Sample, Sample, float]:
    case = _case((n, n, n))
    x = np.random.default_rng(1).standard_normal(case.n)
    out = np.empty_like(x)
    case.A.apply(x, out)  # compiles
    deviation = _difference(out, case.csr @ x)
    return (
        lambda: _seconds(lambda: case.A.apply(x, out), 10),
        lambda: _seconds(lambda: case.csr @ x, 10),
        deviation,
    )


def _triangular(n: int, *, prepared: bool) -> tuple[Sample, Sample, float]:
    from scipy.sparse import csr_array, tril
    from scipy.sparse.linalg import spsolve_triangular

    from ...linalg import TriangularSolver, solve_triangular

    case = _case((n, n, n))
    L = csr_array(tril(case.csr))
    b = np.random.default_rng(1).standard_normal(case.n)
    deviation = _difference(solve_triangular(L, b), spsolve_triangular(L, b, lower=True))
    solver, out = TriangularSolver(L), np.empty_like(b)
    return (
        lambda: _seconds((lambda: solver.solve(b, out)) if prepared else (lambda: solve_triangular(L, b)), 3),
        lambda: _seconds(lambda: spsolve_triangular(L, b, lower=True)),
        deviation,
    )


def _cg(n: int, iterations: int) -> tuple[Sample, Sample, float]:
    from scipy.sparse.linalg import cg as scipy_cg

    from ...solvers import cg

    case = _case((n, n, n))
    cg(case.A, case.b, rtol=1e-14, maxiter=2)  # compiles
    ours = cg(case.A, case.b, rtol=1e-14, maxiter=iterations)
    theirs, _ = scipy_cg(case.csr, case.b, rtol=1e-14, maxiter=iterations)
    deviation = _difference(ours.x, theirs)
    return (
        lambda: _seconds(lambda: cg(case.A, case.b, rtol=1e-14, maxiter=iterations)) / iterations,
        lambda: _seconds(lambda: scipy_cg(case.csr, case.b, rtol=1e-14, maxiter=iterations)) / iterations,
        deviation,
    )


def _total(n: int, mine: str, other: str) -> tuple[Sample, Sample, float]:
    case = _case((n, n))
    tiny = _case((12, 12))
    ours, theirs = get(mine), get(other)
    rtol = 1e-8

    def run(configuration: Any, on: Case) -> Vector:
        return configuration.solve(on, configuration.setup(on), rtol).x

    run(ours, tiny), run(theirs, tiny)
    # two answers to 1e-8 in the residual: compared by what is left of the system, not by each other
    deviation = max(case.true_residual(run(ours, case)), case.true_residual(run(theirs, case)))
    return lambda: _seconds(lambda: run(ours, case)), lambda: _seconds(lambda: run(theirs, case)), deviation


def _kernels(options: SuiteOptions) -> list[KernelCase]:
    iterations = 15 if options.quick else 40
    return [
        KernelCase(
            "spmv-80",
            "Product A x, 7 points, 80³",
            "CSR kernel",
            "SciPy csr @ x",
            1.5,
            lambda: _spmv(80),
            1e-13,
        ),
        KernelCase(
            "triangular-80",
            "Lower triangular solve, 7 points, 80³",
            "solve_triangular",
            "SciPy spsolve_triangular",
            20.0,
            lambda: _triangular(80, prepared=False),
            1e-10,
        ),
        KernelCase(
            "triangular-80-prepared",
            "The same with a solver prepared once",
            "TriangularSolver",
            "SciPy spsolve_triangular",
            20.0,
            lambda: _triangular(80, prepared=True),
            1e-10,
        ),
        KernelCase(
            "cg-100",
            "cg, one iteration, Poisson 100³",
            "cg",
            "SciPy cg",
            2.0,
            lambda: _cg(100, iterations),
            1e-8,
        ),
        *(
            KernelCase(
                f"{mine}-{kind}-512",
                "Poisson 512² to 1e-8, set-up and solve",
                label,
                f"PyAMG-cg, {opponent}",
                1.0,
                partial(_total, 512, mine, f"pyamg-{kind}-cg"),
                1.01e-8,
            )
            for mine, label in (("mic-cg", "MIC(0)-cg"), ("mic-e-cg", "MIC(0)-cg, Eisenstat"))
            for kind, opponent in (("sa", "smoothed aggregation"), ("rs", "Ruge-Stueben"))
        ),
    ]


SUITE = Suite("kernels", "Single operations as ratios to SciPy and PyAMG, against targets", kernels=_kernels)
