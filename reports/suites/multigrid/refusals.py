"""Wrong input and hopeless settings: each has to end in an error that names its cause, or in an honest outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import Terms

__all__ = ["CASES", "measure"]


def _multigrid(A: Any, **options: Any) -> Any:
    from ....solvers import precond

    return precond.multigrid(A, **options)


def _box(shape: tuple[int, ...] = (8, 8)) -> Any:
    from ....problems import Poisson

    return Poisson(shape).sample(0)


def _all_solid() -> Any:
    from ....problems import from_cells

    return _multigrid(from_cells(np.full((8, 8), 2, dtype=np.uint8)))


def _nan_coefficient() -> Any:
    from ....problems import from_cells

    return _multigrid(from_cells(np.zeros((8, 8), dtype=np.uint8), coefficient=np.full((8, 8), np.nan)))


def _zero_side() -> Any:
    from ....linalg import Grid, StencilOperator

    return _multigrid(StencilOperator.from_coefficient(Grid((8, 0))))


def _update_of_another_grid() -> Any:
    M = _multigrid(_box())
    M.update(_box((6, 8)).A)


def _divergent() -> Any:
    from ....solvers import cg

    problem = _box((32, 32))
    M = _multigrid(problem, smoother="jacobi", omega=1.9)  # no longer positive definite
    return cg(problem.A, problem.b, rtol=1e-8, M=M, maxiter=200)


CASES: tuple[tuple[str, Callable[[], Any]], ...] = (
    ("an assembled matrix without a grid", lambda: _multigrid(_box().A.tocsr())),
    ("an unknown smoother", lambda: _multigrid(_box(), smoother="magic")),
    ("an unknown cycle", lambda: _multigrid(_box(), cycle="X")),
    ("a weight outside (0, 2)", lambda: _multigrid(_box(), omega=2.5)),
    ("a negative number of sweeps", lambda: _multigrid(_box(), pre=-1)),
    ("an unknown preset", lambda: _multigrid(_box(), preset="nonsense")),
    ("update for another grid", _update_of_another_grid),
    ("a domain that is all solid", _all_solid),
    ("a NaN coefficient", _nan_coefficient),
    ("a side of zero cells", _zero_side),
    ("a weight with which Jacobi diverges", _divergent),
)
"""What is tried, each with a call that must be refused or end in an outcome other than success."""


def measure(terms: Terms) -> dict[str, Any]:
    """Try every case; return the record."""
    rows = []
    for what, call in CASES:
        terms.say(what)
        try:
            answer = call()
        except (ValueError, TypeError, np.linalg.LinAlgError) as error:
            rows.append({"case": what, "clear": bool(str(error)), "text": " ".join(str(error).split())})
        except Exception as error:  # any other kind says nothing to the user
            rows.append({"case": what, "clear": False, "text": f"{type(error).__name__}: {error}"})
        else:
            success = getattr(answer, "success", True)
            outcome = getattr(getattr(answer, "outcome", None), "text", "accepted")
            rows.append({"case": what, "clear": not success, "text": str(outcome)})
    return {"kind": "refusals", "rows": rows}
