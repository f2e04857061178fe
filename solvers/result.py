"""What every solver returns: the answer, how it ended and why, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Outcome", "SolveResult"]


class Outcome(Enum):
    """How a solve ended; `text` says what happened and what to try, `code` gives the sign of ``info``."""

    CONVERGED = ("converged", 0, "The true residual meets the tolerance.")
    ITERATION_LIMIT = (
        "iteration limit",
        1,
        "The iteration limit came before the tolerance: raise maxiter, or use a (stronger) preconditioner M.",
    )
    STAGNATION = (
        "stagnation",
        1,
        "The true residual stopped falling above the tolerance: the tolerance may be below what this precision and "
        "conditioning allow; loosen rtol, use float64, scale the system, or use a stronger preconditioner.",
    )
    STOPPED_BY_CALLBACK = ("stopped by callback", 1, "The callback returned True before the tolerance was met.")
    BREAKDOWN = (
        "breakdown",
        -1,
        "A scalar of the recurrence vanished, so the method cannot go on: try gmres, a preconditioner, or another "
        "initial guess.",
    )
    INDEFINITE_OPERATOR = (
        "indefinite operator",
        -2,
        "A is not positive definite on the Krylov space, which this method needs: use minres (symmetric) or gmres.",
    )
    INDEFINITE_PRECONDITIONER = (
        "indefinite preconditioner",
        -3,
        "M is not positive definite on the Krylov space, which this method needs: use a definite M (ic, amg, ssor), or "
        "fgmres with this one.",
    )
    NOT_SYMMETRIC = (
        "not symmetric",
        -4,
        "A is not symmetric (Hermitian), which this method needs: use gmres or bicgstab.",
    )
    VARIABLE_PRECONDITIONER = (
        "variable preconditioner",
        -5,
        "M gives different results for the same vector, which this method does not allow: use fcg or fgmres.",
    )
    NONFINITE_OPERATOR = (
        "non-finite operator",
        -6,
        "A product with A gave NaN or infinity: check the entries of A, or rescale the system.",
    )
    NONFINITE_PRECONDITIONER = (
        "non-finite preconditioner",
        -7,
        "M gave NaN or infinity: check its set-up (zero pivots, overflow), or use another one.",
    )
    INCONSISTENT = (
        "inconsistent",
        -8,
        "A is singular and b has a part outside its range, so no x meets the tolerance: project b onto the range "
        "(A.project(b) where the null space is declared), or ask for a least-squares solution.",
    )
    SINGULAR = (
        "singular",
        -9,
        "A is singular to working precision, so no factorisation can solve with it: check for empty rows, equal rows or "
        "missing boundary values.",
    )
    DIVERGED = (
        "diverged",
        -10,
        "The residual grew beyond all bounds: this iteration does not converge for A; use a Krylov method, or a smaller "
        "relaxation factor.",
    )

    def __init__(self, label: str, code: int, text: str) -> None:
        self.label = label
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.label}: {self.text}"


def _no_numbers() -> npt.NDArray[np.float64]:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class SolveResult:
    """Result of a solve; iterating yields ``(x, info)``, so SciPy code keeps working.

    Attributes
    ----------
    x : ndarray or tensor
        The solution, or the best iterate so far, of the array type of b.
    info : int
        0 converged, > 0 not converged (the number of iterations), < 0 breakdown (see `Outcome`).
    outcome : Outcome
        What happened; ``outcome.text`` says what to try.
    iterations : int
        Steps of the method.
    matvecs, psolves : int
        Products with A, applications of M.
    residuals : ndarray, shape (iterations,)
        Norm of the true residual of the given system after each iteration, divided by the norm of b. Methods that
        carry the residual by a recurrence report its norm; the last word is `residual`.
    residual : float
        The same at the end, recomputed from x.
    initial_residual : float
        The same before the first iteration (1 for a zero guess).
    times : ndarray, shape (iterations,)
        Seconds since the start of the solve.
    products : ndarray, shape (iterations,)
        Products with A since the start of the solve.
    setup_seconds, solve_seconds : float
        Time that the preconditioner took to set up (as it states), and time of the solve itself.
    method : str
        Name of the method.
    recycle : object
        What the method hands on to the next solve, or None.
    note : str
        What else there is to say, for instance which attempts came before this one.
    """

    x: Any
    info: int
    outcome: Outcome
    iterations: int
    matvecs: int
    psolves: int
    residuals: npt.NDArray[np.float64]
    residual: float
    initial_residual: float = 1.0
    times: npt.NDArray[np.float64] = field(default_factory=_no_numbers)
    products: npt.NDArray[np.float64] = field(default_factory=_no_numbers)
    setup_seconds: float = 0.0
    solve_seconds: float = 0.0
    method: str = ""
    recycle: Any = None
    note: str = ""

    @property
    def success(self) -> bool:
        """Whether the true residual meets the tolerance."""
        return self.info == 0

    def __iter__(self) -> Iterator[Any]:
        yield self.x
        yield self.info

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: Any) -> Any:
        return (self.x, self.info)[index]

    def __repr__(self) -> str:
        seconds = f"{self.setup_seconds:.3g} + {self.solve_seconds:.3g} s"
        return (
            f"<SolveResult {self.method}: {self.outcome.label}, {self.iterations} iterations, {self.matvecs} products, "
            f"residual {self.residual:.2e}, {seconds}>"
        )
