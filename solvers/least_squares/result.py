"""What `lstsq` returns: the solution, how good it is and how that is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..result import Outcome

__all__ = ["LeastSquaresResult"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class LeastSquaresResult:
    """Result of a least-squares solve; iterating yields ``(x, info)`` like that of every solver.

    Attributes
    ----------
    x : ndarray or tensor, shape (n,) or (n, k)
        The solution, or the best found, of the array type of b.
    info : int
        0 if the accuracy asked for is reached, > 0 if not.
    outcome : Outcome
        What happened.
    iterations : int
        Steps of the inner method; 0 for direct ones.
    passes : int
        Times that A was read after sketching it (a product with A and one with its adjoint in one reading count once).
    backward_error : float
        Estimate of the smallest relative change of (A, b) in the Frobenius norm that makes x an exact solution; the
        largest over the right-hand sides. Recomputed from x and the given A at the end, never carried along.
    excess : float
        Estimate of ``|A (x - x*)| / |b - A x|``, the largest over the right-hand sides: how far x is from the minimum. NaN
        where the method has no sketch to tell.
    residual_norm : ndarray, shape () or (k,)
        Norm of ``b - A x``.
    rank : int
        Numerical rank of A with its columns scaled to equal length (damping included); n where the method does not
        look.
    condition : float
        Estimate of the condition number of A with its columns scaled to equal length; NaN where unknown.
    method : str
        The method that gave x.
    rows : int
        Rows of the sketch, 0 without one.
    seconds : dict
        Time by part: ``sketch``, ``factor``, ``iterate``, ``check``.
    note : str
        What else there is to say.
    """

    x: Any
    info: int
    outcome: Outcome
    iterations: int
    passes: int
    backward_error: float
    excess: float
    residual_norm: Array
    rank: int
    condition: float
    method: str
    rows: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def success(self) -> bool:
        """Whether the accuracy asked for is reached."""
        return self.info == 0

    def __iter__(self) -> Iterator[Any]:
        yield self.x
        yield self.info

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: Any) -> Any:
        return (self.x, self.info)[index]

    def __repr__(self) -> str:
        size = float(np.max(self.residual_norm, initial=0.0))
        return (
            f"<LeastSquaresResult {self.method}: {self.outcome.label}, {self.iterations} iterations, {self.passes} passes, "
            f"backward error {self.backward_error:.2e}, residual {size:.2e}, {sum(self.seconds.values()):.3g} s>"
        )
