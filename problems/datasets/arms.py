"""The solvers that fill a dataset: ``"auto"``, and fixed arms to compare it with.

An arm gets all systems of a chunk and their order, and answers with one result per system. Everything that it keeps
lives as long as the chunk, so no answer depends on the number of workers or on where a run was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ... import solvers
from ...linalg import StencilOperator
from ...solvers import SolveResult, precond
from ..base import Problem
from .ordering import Ordering

__all__ = ["ARMS", "Arm", "SystemSolver", "arm", "batchable", "coefficients_differ"]

MAXITER = 10_000  # products with A; SKR's own cap
RESTART, RECYCLED = 40, 20


class SystemSolver(Protocol):
    """What a solver of one's own must have."""

    def solve(self, A: Any, b: Any) -> SolveResult:
        """Solve one system."""


#: Solves the problems in the given order; results in the order of the problems.
Arm = Callable[[Sequence[Problem], Ordering, float], list[SolveResult]]


def _one_by_one(make: Callable[[float], Callable[[Any, Any], SolveResult]]) -> Arm:
    """Turn a maker of ``solve(A, b)`` into an arm; what is made lives for one chunk."""

    def run(problems: Sequence[Problem], ordering: Ordering, rtol: float) -> list[SolveResult]:
        solve = make(rtol)
        results = {int(i): solve(problems[i].A, problems[i].b) for i in ordering.order}
        return [results[i] for i in range(len(problems))]

    return run


def _preconditioned(method: Callable[..., SolveResult], setup: Callable[[Any], Any] | None, **options: Any) -> Arm:
    def make(rtol: float) -> Callable[[Any, Any], SolveResult]:
        def solve(A: Any, b: Any) -> SolveResult:
            return method(A, b, rtol=rtol, M=None if setup is None else setup(A), **options)

        return solve

    return _one_by_one(make)


def _sequence(rtol: float) -> Callable[[Any, Any], SolveResult]:
    # decisions by counted work: those by measured seconds would make the last bits depend on the machine
    return solvers.SequenceSolver(method="auto", rtol=rtol, decide="count").solve


def _direct(rtol: float) -> Callable[[Any, Any], SolveResult]:
    return lambda A, b: solvers.direct(A, b, rtol=rtol)


def _recycled(setup: Callable[[Any], Any] | None) -> Arm:
    """SKR: GCRO-DR(40, 20) that carries its space on, the preconditioner built anew for every system."""

    def make(rtol: float) -> Callable[[Any, Any], SolveResult]:
        from ...solvers.recycling import RecycleSpace, gcrodr

        space = RecycleSpace(RECYCLED)

        def solve(A: Any, b: Any) -> SolveResult:
            M = None if setup is None else setup(A)
            return gcrodr(A, b, rtol=rtol, restart=RESTART, k=RECYCLED, M=M, recycle=space, maxiter=MAXITER)

        return solve

    return _one_by_one(make)


def _batch(problems: Sequence[Problem], ordering: Ordering, rtol: float) -> list[SolveResult]:
    del ordering  # all run side by side
    return solvers.solve_batch(problems, rtol=rtol)


def _auto(problems: Sequence[Problem], ordering: Ordering, rtol: float) -> list[SolveResult]:
    """Batched multigrid for different positive definite systems on one grid, a sequence solver for all others."""
    if (
        len(problems) > 1
        and all(batchable(problem) for problem in problems)
        and coefficients_differ(problems[0], problems[1])
    ):
        return _batch(problems, ordering, rtol)
    return ARMS["sequence"](problems, ordering, rtol)


def batchable(problem: Problem) -> bool:
    """Whether `solve_batch` takes the system: a real positive definite stencil operator without a null space.

    Examples
    --------
    >>> from ritzkit.problems import Poisson
    >>> batchable(Poisson((4, 4)).sample(0))
    True
    """
    A = problem.A
    return (
        isinstance(A, StencilOperator)
        and bool(A.positive_definite)
        and A.nullspace is None
        and A.dtype.kind == "f"
        and problem.b.dtype.kind == "f"
    )


def coefficients_differ(one: Problem, other: Problem) -> bool:
    """Whether two draws have different matrices, read off their coefficients, or off the domain where they have none.

    Examples
    --------
    >>> from ritzkit.problems import Poisson
    >>> coefficients_differ(Poisson((4, 4)).sample(0), Poisson((4, 4)).sample(1))
    False
    """
    fields, others = one.fields.get("coefficient"), other.fields.get("coefficient")
    if fields is None or others is None:
        return one.grid is None or one.grid.cells is not None
    return not np.array_equal(fields, others)


#: Arms by name.
ARMS: dict[str, Arm] = {
    "auto": _auto,
    "sequence": _one_by_one(_sequence),
    "batch": _batch,
    "cg-multigrid": _preconditioned(solvers.cg, precond.multigrid),
    "cg-amg": _preconditioned(solvers.cg, precond.amg),
    "cg-ic": _preconditioned(solvers.cg, lambda A: precond.ic(A, alpha=0.95)),
    "cg-jacobi": _preconditioned(solvers.cg, precond.jacobi, maxiter=MAXITER),
    "gmres": _preconditioned(solvers.gmres, None, restart=RESTART, maxiter=MAXITER // RESTART),
    "gmres-jacobi": _preconditioned(solvers.gmres, precond.jacobi, restart=RESTART, maxiter=MAXITER // RESTART),
    "gmres-ilu": _preconditioned(solvers.gmres, precond.ilu, restart=RESTART, maxiter=MAXITER // RESTART),
    "superlu": _one_by_one(_direct),
    "skr": _recycled(None),
    "skr-jacobi": _recycled(precond.jacobi),
    "skr-ilu": _recycled(precond.ilu),
}


def arm(solver: str | Callable[[float], SystemSolver]) -> Arm:
    """Return the arm of a name, or one around ``solver(rtol)``, an object with ``solve(A, b)``.

    Raises
    ------
    TypeError, ValueError
        If there is no such arm.

    Examples
    --------
    >>> arm("superlu") is ARMS["superlu"]
    True
    """
    if isinstance(solver, str):
        if solver not in ARMS:
            raise ValueError(f"solver is {solver!r}: wanted one of {', '.join(ARMS)}, or a callable")
        return ARMS[solver]
    if not callable(solver):
        raise TypeError(f"solver is {solver!r}: wanted the name of an arm, or a callable that maps rtol to a solver")
    return _one_by_one(lambda rtol: solver(rtol).solve)
