"""A sequence that misbehaves: the operator changes abruptly, is singular, indefinite, holds NaN; the solver must go on.

Every bad system has good ones after it, solved by the same sequence solver. Judged are: the outcome of each (success only
with a true residual below the tolerance; no success where there is no solution), whether the good ones are all solved, and
whether everything the solver holds at the end is finite.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ..base import Terms

__all__ = ["CASES", "RTOL", "measure"]

RTOL = 1e-8
EDGE, BETWEEN = 20, 4


def _matrix(problem: Any) -> csr_array:
    return csr_array(problem.A.tocsr())


def _good(seed: int) -> tuple[Any, Any]:
    from ....problems import Darcy

    problem = Darcy(EDGE).sample(seed)
    return _matrix(problem), problem.b


def _jump() -> tuple[Any, Any]:
    A, b = _good(0)
    return csr_array(A * 1e6 + 1e7 * np.eye(A.shape[0])), b


def _singular(consistent: bool) -> Callable[[], tuple[Any, Any]]:
    def make() -> tuple[Any, Any]:
        from ....problems import Poisson

        A = _matrix(Poisson((EDGE, EDGE), "neumann").sample(0))
        b = np.random.default_rng(0).standard_normal(A.shape[0])
        return A, b - b.mean() if consistent else b + 1.0

    return make


def _indefinite() -> tuple[Any, Any]:
    from ....problems import Helmholtz

    problem = Helmholtz(EDGE, wavenumber=15.0).sample(0)
    return _matrix(problem), problem.b


def _nan() -> tuple[Any, Any]:
    A, b = _good(0)
    A = A.copy()
    A.data[A.nnz // 2] = np.nan
    return A, b


def _nan_in_b() -> tuple[Any, Any]:
    A, b = _good(0)
    b = b.copy()
    b[3] = np.nan
    return A, b


CASES: tuple[tuple[str, Callable[[], tuple[Any, Any]], str], ...] = (
    ("another operator, a million times as large", _jump, "solved"),
    ("singular and consistent, not declared", _singular(True), "either"),
    ("singular and inconsistent", _singular(False), "fails"),
    ("symmetric and indefinite", _indefinite, "solved"),
    ("NaN in the matrix", _nan, "fails"),
    ("NaN in the right-hand side", _nan_in_b, "refused"),
)
"""What comes in the middle, and what is to become of it."""


def measure(terms: Terms) -> dict[str, Any]:
    """Run the sequence; return the record."""
    from ....linalg.threads import thread_limit
    from ....solvers import SequenceSolver

    rows = []
    with thread_limit(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solver = SequenceSolver(rtol=RTOL)
        _between(solver, 100)
        for number, (what, make, wanted) in enumerate(CASES):
            terms.say(what)
            A, b = make()
            row = _one(solver, A, b)
            good = row["residual"] is not None and row["residual"] <= RTOL
            honest = bool(row["success"]) == good
            row |= {"case": what, "wanted": wanted}
            row["as_wanted"] = honest and {"solved": good, "either": True}.get(wanted, not good)
            row["as_wanted"] = row["as_wanted"] and (wanted == "refused") is row["refused"]
            row["after"] = _between(solver, 200 + 10 * number)
            rows.append(row)
        finite = _finite(solver)
    return {"kind": "abrupt", "rtol": RTOL, "rows": rows, "between": BETWEEN, "finite": finite}


def _one(solver: Any, A: Any, b: Any) -> dict[str, Any]:
    try:
        result = solver.solve(A, b)
    except (TypeError, ValueError) as error:
        return {"success": False, "refused": True, "outcome": str(error), "residual": None}
    with np.errstate(all="ignore"):
        residual = float(np.linalg.norm(b - A @ result.x) / np.linalg.norm(b))
    value = residual if np.isfinite(residual) else None
    return {"success": result.success, "refused": False, "outcome": result.outcome.label, "residual": value}


def _between(solver: Any, seed: int) -> dict[str, Any]:
    """Solve good systems; how many of them are solved, and the worst true residual."""
    rows = [_one(solver, *_good(seed + k)) for k in range(BETWEEN)]
    solved = [row for row in rows if row["success"] and row["residual"] is not None and row["residual"] <= RTOL]
    return {"solved": len(solved), "worst": max((row["residual"] for row in solved), default=None)}


def _finite(solver: Any) -> bool:
    """Whether every number that the solver would save is finite."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        solver.save(path)
        with np.load(path) as file:
            return all(bool(np.isfinite(file[name]).all()) for name in file.files if file[name].dtype.kind in "fc")
