"""Algebraic multigrid: PyAMG builds the hierarchy, ritzkit's kernels run the cycle.

Sources: P. Vanek, J. Mandel and M. Brezina, Computing 56 (1996) 179-196 (smoothed aggregation); J. Ruge and K. Stueben, in
"Multigrid Methods", SIAM 1987 (classical coarsening); N. Bell, L. N. Olson, J. Schroder and B. Southworth, "PyAMG", J. Open
Source Softw. 8 (2023) 5495.

Departures: PyAMG draws random numbers from numpy's global state, so its set-up runs with that state saved, seeded and
restored, which makes it reproducible; and its ``aspreconditioner`` computes two residual norms per application that
nobody reads, so the cycle is run here, with the same smoothers, transfers and coarse solver.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, csr_matrix

from ...linalg import CSROperator, Operator
from .base import Preconditioner, assembled, bytes_of

__all__ = ["AMG", "amg"]

Array = npt.NDArray[Any]

KINDS = ("sa", "rs")


class AMG(Preconditioner):
    """One multigrid cycle; see `amg`."""

    def __init__(
        self, A: Any, kind: str, cycle: str, near_nullspace: npt.ArrayLike | None, seed: int, options: dict[str, Any]
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}: wanted 'sa' (smoothed aggregation) or 'rs' (Ruge-Stueben)")
        if cycle not in ("V", "W"):
            raise ValueError(f"cycle is {cycle!r}: wanted 'V' or 'W'")
        self.kind, self.cycle, self.seed, self.options = kind, cycle, seed, dict(options)
        if near_nullspace is not None:
            if kind != "sa":
                raise ValueError("near_nullspace is for kind='sa' only")
            candidates = np.asarray(near_nullspace)
            self.options["B"] = candidates[:, None] if candidates.ndim == 1 else candidates
        self.name = f"{kind}-amg"
        super().__init__(A)

    def _setup(self, A: Operator, previous: bool) -> None:
        matrix = assembled(A, "amg")
        if "B" in self.options and self.options["B"].shape[0] != self.shape[0]:
            raise ValueError(f"near_nullspace has {self.options['B'].shape[0]} rows, A has {self.shape[0]}")
        if not np.isfinite(matrix.data).all():
            raise np.linalg.LinAlgError("A holds NaN or infinite entries: no hierarchy can be built")
        try:
            self.hierarchy = _build(matrix, self.kind, self.seed, self.options)
        except TypeError as error:
            raise ValueError(f"PyAMG does not take these options: {error}") from None
        self._levels = []
        for level in self.hierarchy.levels[:-1]:
            self._levels.append(
                (CSROperator(csr_array(level.A)), CSROperator(csr_array(level.R)), CSROperator(csr_array(level.P)),
                 level.A, level.presmoother, level.postsmoother)
            )  # fmt: skip
        self._coarsest = self.hierarchy.levels[-1].A
        hermitian = True if A.symmetric else None
        self.symmetric = hermitian
        self.positive_definite = True if A.positive_definite else None
        self.memory_bytes = sum(
            bytes_of(csr_array(level.A))
            + (bytes_of(csr_array(level.R), csr_array(level.P)) if hasattr(level, "P") else 0)
            for level in self.hierarchy.levels
        )

    @property
    def operator_complexity(self) -> float:
        """Entries of all levels over entries of the finest."""
        return float(self.hierarchy.operator_complexity())

    def _apply(self, x: Array, out: Array) -> None:
        if not self._levels:
            out[:] = np.ravel(self.hierarchy.coarse_solver(self._coarsest, x))
            return
        out[:] = 0
        self._cycle(0, np.ascontiguousarray(x), out)

    def _cycle(self, depth: int, b: Array, x: Array) -> None:
        A, R, P, matrix, presmoother, postsmoother = self._levels[depth]
        presmoother(matrix, x, b)
        residual = self._buffer(f"r{depth}", b.shape[0], b.dtype)
        A._apply(x, residual)
        np.subtract(b, residual, out=residual)
        coarse_b = self._buffer(f"b{depth}", R.shape[0], b.dtype)
        coarse_x = self._buffer(f"x{depth}", R.shape[0], b.dtype)
        R._apply(residual, coarse_b)
        coarse_x[:] = 0
        if depth == len(self._levels) - 1:
            coarse_x[:] = np.ravel(self.hierarchy.coarse_solver(self._coarsest, coarse_b))
        else:
            for _ in range(2 if self.cycle == "W" else 1):
                self._cycle(depth + 1, coarse_b, coarse_x)
        P._apply(coarse_x, residual)
        x += residual
        postsmoother(matrix, x, b)


def _build(matrix: csr_array, kind: str, seed: int, options: dict[str, Any]) -> Any:
    """Run PyAMG's set-up with numpy's global random state saved, seeded and restored."""
    import warnings

    import pyamg

    builder = pyamg.smoothed_aggregation_solver if kind == "sa" else pyamg.ruge_stuben_solver
    former = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(seed)  # noqa: NPY002
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyAMG announces conversions of formats; the result is what counts
            return builder(csr_matrix(matrix), **options)
    finally:
        np.random.set_state(cast(Any, former))  # noqa: NPY002


def amg(
    A: Any,
    kind: str = "sa",
    *,
    cycle: str = "V",
    near_nullspace: npt.ArrayLike | None = None,
    seed: int = 0,
    **options: Any,
) -> AMG:
    """Algebraic multigrid preconditioner: one cycle from a zero guess.

    Parameters
    ----------
    A : matrix or operator that can be assembled, shape (n, n)
    kind : {"sa", "rs"}
        Smoothed aggregation or classical (Ruge-Stueben) coarsening.
    cycle : {"V", "W"}
        Shape of the cycle.
    near_nullspace : array_like, shape (n,) or (n, k), optional
        Vectors that A nearly annihilates, for ``kind="sa"`` (for elasticity: the rigid body modes); default constants.
    seed : int
        Seed of the random numbers in PyAMG's set-up, which is thereby reproducible.
    **options
        Passed to ``pyamg.smoothed_aggregation_solver`` or ``pyamg.ruge_stuben_solver``.

    Raises
    ------
    ValueError
        For an unknown kind, cycle or option.

    Notes
    -----
    With PyAMG's default smoothers (symmetric Gauss-Seidel) and a symmetric A the cycle is symmetric positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import diags_array
    >>> A = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(200, 200), format="csr")
    >>> amg(A).shape
    (200, 200)
    """
    return AMG(A, kind, cycle, near_nullspace, seed, options)
