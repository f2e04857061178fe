"""What solves a sequence: fixed methods, ``auto``, and a sequence solver with one ingredient at a time.

An arm is made anew for every sequence and keeps what it likes from one system to the next. It gets operators without
anything another arm may have left in them. Everything it does is on its clock: ordering, assembly of a stencil where a
method needs a matrix, set-up, solve, and the check of the true residual.

Methods that restart (GMRES(40), GMRES-DR(40, 20), SKR) are preconditioned from the right here, so that all stop at the same
true residual; the runs that repeat the paper's counts (`reproduction`) precondition from the left, as it did.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ARMS", "MOST_PRODUCTS", "RESTART", "VECTORS", "Answer", "Arm", "applies", "missing"]

RESTART, VECTORS = 40, 20
MOST_PRODUCTS = 3000
"""Cap on products with A for each system; more is listed as a failure."""


@dataclass(frozen=True)
class Answer:
    """What an arm says about one system."""

    x: Any
    iterations: int
    outcome: str


Solve = Callable[[Sequence[Any]], list[Answer]]


@dataclass(frozen=True)
class Arm:
    """A way of solving a sequence.

    Attributes
    ----------
    name, title : str
        Readable id, and what it is in a few words.
    make : callable
        ``make(rtol) -> solve``, and ``solve(problems) -> answers``; what it keeps lives as long as the sequence.
    kinds : tuple of str
        Kinds of systems that it is for.
    role : {"fixed", "auto", "ingredient"}
        A fixed method, one that chooses, or a sequence solver with all but some of its ingredients switched off.
    order : {"none", "greedy", "hub"}
        The order in which it wants the systems.
    together : bool
        Whether it wants a whole block at once.
    grid : bool
        Whether it needs stencils on a grid.
    external : bool
        Whether it is somebody else's.
    """

    name: str
    title: str
    make: Callable[[float], Solve]
    kinds: tuple[str, ...] = ("definite", "general")
    role: str = "fixed"
    order: str = "none"
    together: bool = False
    grid: bool = False
    external: bool = False


def _answer(result: Any) -> Answer:
    return Answer(result.x, int(result.iterations), str(result.outcome.label))


def _each(make: Callable[[float], Callable[[Any, Any], Answer]]) -> Callable[[float], Solve]:
    """Turn a maker of ``solve(A, b)`` into one of ``solve(problems)``."""

    def made(rtol: float) -> Solve:
        solve = make(rtol)
        return lambda problems: [solve(problem.A, problem.b) for problem in problems]

    return made


def _fresh(method: str, setup: str, *, cap: str = "maxiter", most: int = MOST_PRODUCTS, **options: Any) -> Any:
    """Configure a method with a preconditioner that is built anew for every system."""

    def make(rtol: float) -> Callable[[Any, Any], Answer]:
        from .... import solvers
        from ....solvers import precond, recycling

        run = getattr(solvers, method, None) or getattr(recycling, method)
        extra = {"alpha": 0.95} if setup == "ic" else {}

        def solve(A: Any, b: Any) -> Answer:
            M = getattr(precond, setup)(A, **extra)
            return _answer(run(A, b, rtol=rtol, M=M, **{cap: most}, **options))

        return solve

    return _each(make)


def _skr(setup: str) -> Callable[[float], Solve]:
    def make(rtol: float) -> Callable[[Any, Any], Answer]:
        from ....solvers import precond
        from ....solvers.recycling import RecycleSpace, gcrodr

        space = RecycleSpace(VECTORS)

        def solve(A: Any, b: Any) -> Answer:
            M = getattr(precond, setup)(A)
            return _answer(gcrodr(A, b, rtol=rtol, restart=RESTART, k=VECTORS, M=M, recycle=space,
                                  maxiter=MOST_PRODUCTS))  # fmt: skip

        return solve

    return _each(make)


def _gcrotmk(rtol: float) -> Callable[[Any, Any], Answer]:
    """SciPy's method with the vectors of one solve handed to the next, their images made anew."""
    from scipy.sparse.linalg import LinearOperator, gcrotmk

    from ....solvers import precond

    kept: list[Any] = []

    def solve(A: Any, b: Any) -> Answer:
        matrix, M = A.tocsr(), precond.ilu(A)
        count = 0

        def product(x: Any) -> Any:
            nonlocal count
            count += 1
            return matrix @ x

        operator = LinearOperator(A.shape, matvec=product, dtype=A.dtype)
        cycles = MOST_PRODUCTS // VECTORS
        x, info = gcrotmk(operator, b, rtol=rtol, atol=0.0, maxiter=cycles, M=M, m=VECTORS, k=VECTORS, CU=kept,
                          discard_C=True)  # fmt: skip
        return Answer(x, count, "converged" if info == 0 else f"info {info}")

    return solve


def _amg(mode: str) -> Callable[[float], Solve]:
    def make(rtol: float) -> Callable[[Any, Any], Answer]:
        from ....solvers import cg, precond

        M: Any = None

        def solve(A: Any, b: Any) -> Answer:
            nonlocal M
            if M is None or mode == "fresh":
                M = precond.amg(A)
            elif mode == "refreshed":
                M.update(A)
            return _answer(cg(A, b, rtol=rtol, M=M, maxiter=MOST_PRODUCTS))

        return solve

    return _each(make)


def _direct(rtol: float) -> Callable[[Any, Any], Answer]:
    from ....solvers import direct

    return lambda A, b: _answer(direct(A, b, rtol=rtol))


def _frozen_factors(rtol: float) -> Callable[[Any, Any], Answer]:
    from ....solvers import gmres, precond

    M: Any = None

    def solve(A: Any, b: Any) -> Answer:
        nonlocal M
        M = precond.direct(A) if M is None else M
        return _answer(gmres(A, b, rtol=rtol, M=M, restart=RESTART, maxiter=MOST_PRODUCTS // RESTART))

    return solve


def _cholmod(rtol: float) -> Callable[[Any, Any], Answer]:
    """CHOLMOD through cvxopt: the symbolic factorisation is made once for each pattern."""
    from scipy.sparse import tril

    cvxopt, cholmod = (importlib.import_module(name) for name in ("cvxopt", "cvxopt.cholmod"))

    symbolic: Any = None
    pattern: tuple[Any, Any] | None = None

    def solve(A: Any, b: Any) -> Answer:
        nonlocal symbolic, pattern
        lower = tril(A.tocsr(), format="coo")
        entries = cvxopt.spmatrix(lower.data, lower.row.astype(np.int64), lower.col.astype(np.int64), A.shape)
        same = pattern is not None and np.array_equal(pattern[0], lower.row) and np.array_equal(pattern[1], lower.col)
        if not same:
            symbolic, pattern = cholmod.symbolic(entries), (lower.row, lower.col)
        cholmod.numeric(entries, symbolic)
        x = cvxopt.matrix(b)
        cholmod.solve(symbolic, x)
        return Answer(np.array(x).ravel(), 1, "converged")

    return solve


def _batch(rtol: float) -> Solve:
    from ....solvers import solve_batch

    return lambda problems: [_answer(result) for result in solve_batch(problems, rtol=rtol)]


def _sequence(**options: Any) -> Callable[[float], Solve]:
    def make(rtol: float) -> Callable[[Any, Any], Answer]:
        from ....solvers import SequenceSolver

        solver = SequenceSolver(rtol=rtol, **options)
        return lambda A, b: _answer(solver.solve(A, b))

    return _each(make)


def _auto(rtol: float) -> Solve:
    """Do what ``generate(solver="auto")`` does in a chunk: a batch where the systems allow it, else a sequence solver."""
    from ....problems.datasets import arms

    together, one_by_one = _batch(rtol), _sequence()(rtol)
    chosen: Solve | None = None

    def solve(problems: Sequence[Any]) -> list[Answer]:
        nonlocal chosen
        if chosen is None and len(problems) > 1:
            fits = all(arms.batchable(problem) for problem in problems) and arms.coefficients_differ(
                problems[0], problems[1]
            )
            chosen = together if fits else one_by_one
        return (chosen or one_by_one)(problems)

    return solve


def _factor(mode: str, recycle: int | None) -> Callable[[float], Solve]:
    """Make a sequence solver with an incomplete factor, kept or made anew: no guesses, no relations."""

    def made(rtol: float) -> Solve:
        chosen: Solve | None = None

        def solve(problems: Sequence[Any]) -> list[Answer]:
            nonlocal chosen
            if chosen is None:
                name = "ic" if problems[0].A.positive_definite else "ilu"
                chosen = _sequence(preconditioner=f"{name}/{mode}", recycle=recycle, **OFF)(rtol)
            return chosen(problems)

        return solve

    return made


OFF: dict[str, Any] = {"guess": False, "sniff": False}
NOTHING: dict[str, Any] = {"preconditioner": "fresh", "recycle": None, **OFF}
SPD, GENERAL = ("definite",), ("general",)

ARMS = (
    Arm("gmres-ilu", "GMRES(40), ILU(0)", _fresh("gmres", "ilu", most=MOST_PRODUCTS // RESTART, restart=RESTART)),
    Arm("gmres-dr-ilu", "GMRES-DR(40, 20), ILU(0)", _fresh("gmres_dr", "ilu", restart=RESTART, k=VECTORS)),
    Arm("skr-ilu", "SKR: GCRO-DR(40, 20), greedy order, ILU(0) rebuilt", _skr("ilu"), order="greedy"),
    Arm("skr-ilu-unsorted", "the same, unsorted", _skr("ilu")),
    Arm("skr-jacobi", "SKR with Jacobi", _skr("jacobi"), order="greedy"),
    Arm("gcrotmk-ilu", "SciPy gcrotmk(20, 20) carrying its space, ILU(0)", _each(_gcrotmk), external=True),
    Arm("cg-jacobi", "CG, Jacobi", _fresh("cg", "jacobi"), SPD),
    Arm("cg-mic", "CG, modified incomplete Cholesky", _fresh("cg", "ic"), SPD),
    Arm("cg-dst", "CG, sine transforms", _fresh("cg", "fast_poisson"), SPD, grid=True),
    Arm("cg-multigrid", "CG, multigrid, one by one", _fresh("cg", "multigrid"), SPD, grid=True),
    Arm("amg-fresh", "CG, algebraic multigrid, fresh", _amg("fresh"), SPD),
    Arm("amg-frozen", "the same, that of the first system", _amg("frozen"), SPD),
    Arm("amg-refreshed", "the same, refreshed on its coarsening", _amg("refreshed"), SPD),
    Arm("superlu", "SuperLU", _each(_direct)),
    Arm("frozen-lu", "GMRES(40), SuperLU of the first system", _each(_frozen_factors), GENERAL),
    Arm("cholmod", "CHOLMOD (cvxopt), symbolic factor kept", _each(_cholmod), SPD, external=True),
    Arm("batch", "batched multigrid", _batch, SPD, together=True, grid=True),
    Arm("auto", "auto, as generate has it", _auto, role="auto", order="hub", together=True),
    Arm("sequence", "SequenceSolver(auto), one by one", _sequence(), role="auto"),
    Arm("sequence-no-recycling", "the same without recycling", _sequence(recycle=None), role="ingredient"),
    Arm("only-nothing", "sequence solver without any reuse", _sequence(**NOTHING), role="ingredient"),
    Arm("only-recycling", "recycling alone (10 vectors)", _sequence(**{**NOTHING, "recycle": 10}), role="ingredient"),
    Arm("only-guess", "guesses alone", _sequence(**{**NOTHING, "guess": True}), role="ingredient"),
    Arm("only-frozen", "a frozen preconditioner alone", _sequence(**{**NOTHING, "preconditioner": "frozen"}),
        role="ingredient"),
    Arm("only-sniff", "relations between matrices alone", _sequence(**{**NOTHING, "sniff": True}), role="ingredient"),
    Arm("frozen-factor", "one incomplete factor for all", _factor("frozen", None), role="ingredient"),
    Arm("frozen-factor-recycling", "the same with 10 recycled vectors", _factor("frozen", 10), role="ingredient"),
    Arm("rebuilt-factor", "an incomplete factor for each", _factor("fresh", None), role="ingredient"),
    Arm("rebuilt-factor-recycling", "the same with 10 recycled vectors", _factor("fresh", 10), role="ingredient"),
)  # fmt: skip
"""All arms, in the order in which they take their turns."""


def missing() -> dict[str, str]:
    """Return the arms whose package is not installed, and which package that is."""
    try:
        importlib.import_module("cvxopt.cholmod")
    except ImportError:
        return {"cholmod": "cvxopt is not installed"}
    return {}


def applies(arm: Arm, kind: str, grid: bool) -> bool:
    """Whether an arm is for systems of a kind."""
    return kind in arm.kinds and (grid or not arm.grid)
