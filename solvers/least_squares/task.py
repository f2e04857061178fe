"""A checked least-squares problem and the methods that can solve it; `lstsq` says where they come from."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse.linalg as sla

from ...linalg import CSROperator, DenseOperator, Operator
from ...linalg.sketch import SparseSignSketch, SRTTSketch, recommended_rows
from ..result import Outcome
from .factor import SketchedFactor, _squares
from .products import Products, _Dense, products
from .refine import Refined, check, refine
from .result import LeastSquaresResult

__all__ = ["DENSIFY", "FLOPS_PER_BYTE", "Task", "best_ratio", "steps_to_roundoff"]

Array = npt.NDArray[Any]

FLOPS_PER_BYTE = 2.0  # what a matrix product and a reading of A do in the same time: only their ratio matters
DENSIFY = 1 << 25  # numbers of A up to which a sparse matrix or an operator may be made dense
_UNITS = 10  # backward error in units of roundoff that the accurate methods reach
_MOST_ROWS = 10_000  # of a sketch, beyond which its columns leave the cache


def _part(eps: float) -> float:
    """Return the ``|A (x - x*)| / |b - A x*|`` at which ``|b - A x|`` is ``1 + eps`` times the least."""
    return float(np.sqrt((1 + eps) ** 2 - 1))


def steps_to_roundoff(ratio: float, eps: float) -> float:
    """Estimate the steps from the first guess to roundoff with a sketch of `ratio` times as many rows as columns."""
    return float(-2 * np.log(eps) / np.log(ratio))


def best_ratio(m: int, n: int, size: float, eps: float) -> int:
    """Ratio d/n that makes QR of the sketch plus steps cheapest; `size` is the number of bytes of A."""
    ratios = np.arange(4, max(5, min(64, _MOST_ROWS // n) + 1))
    cost = (
        1.5 * ratios * float(n) ** 3 / FLOPS_PER_BYTE
        + np.array([steps_to_roundoff(float(r), eps) for r in ratios]) * size
    )
    return max(4, min(int(ratios[np.argmin(cost)]), m // (2 * n)))


class Task:
    """A checked problem and the methods that can solve it."""

    def __init__(
        self, A: Operator, b: Array, damp: float, rtol: float | None, maxiter: int | None, rng: np.random.Generator,
        eps: float, guarantee: str | None, sketch: Any, rows: int | None,
    ) -> None:  # fmt: skip
        self.A, self.b, self.damp, self.rtol, self.maxiter, self.rng = A, b, damp, rtol, maxiter, rng
        self.eps, self.guarantee, self.sketch, self.rows = eps, guarantee, sketch, rows
        self.unit = float(np.finfo(b.dtype).eps)
        self.bytes = float(A.shape[0]) * A.shape[1] * b.dtype.itemsize
        if isinstance(A, CSROperator):
            self.bytes = 12.0 * A.matrix.nnz
        self.seconds: dict[str, float] = {}
        self.products: Products | None = None

    def run(self, method: str) -> LeastSquaresResult:
        """Solve by one of the methods."""
        self.seconds = {}
        if self.products is None:
            self.products = products(self.A, self.b.dtype)
        self.products.passes = 0
        if method in ("lsqr", "lsmr"):
            return self._krylov(method, self.products)
        return self._sketched(method, self.products)

    def trivial(self, restore: Any) -> LeastSquaresResult:
        """Return the result for a matrix without columns."""
        x = np.zeros((0, self.b.shape[1]), dtype=self.b.dtype)
        norms = np.sqrt(_squares(self.b))
        return LeastSquaresResult(
            restore(x), 0, Outcome.CONVERGED, 0, 0, 0.0, 0.0, norms, 0, 1.0, "none", note="A has no columns"
        )

    def _clock(self, name: str, since: float) -> float:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - since
        return now

    # --- methods around a factor ------------------------------------------------------------------------------------

    def _sketch_rows(self, method: str) -> int:
        m, n = self.A.shape
        if self.rows is not None:
            if self.rows < n:
                raise ValueError(
                    f"rows is {self.rows} for {n} columns: a sketch needs at least as many rows as columns"
                )
            return self.rows
        if method == "sketch_solve":
            if self.guarantee:
                return recommended_rows(n, self.eps, 0.01, "linf")
            # |b - A x|^2 = |b - A x*|^2 + |A (x - x*)|^2: what is asked for is a bound on the second part
            return max(recommended_rows(n, min(0.9, _part(self.eps)), 0.01, "l2"), n + 64)
        if method == "cqrrt":
            return 2 * n
        least = 12 * n if method == "fossils" else 0
        return max(least, best_ratio(m, n, self.bytes, self.unit) * n)

    def _factor(self, method: str, A: Products) -> tuple[SketchedFactor, int, str]:
        (m, n), start = self.A.shape, time.perf_counter()
        d = m if method == "qr" else self._sketch_rows(method)
        note = ""
        if method != "qr" and d >= m:
            note = f"a sketch of {d} rows is no smaller than A: A itself is factored"
            d = m
        if d == m:
            if self.sketch is None and m * n > 16 * DENSIFY and not isinstance(A, _Dense):
                raise ValueError(f"A has shape {self.A.shape} and is not dense: too large for method={method!r}")
            SA, Sb = A.dense(), self.b
        else:
            S = self._make(d, method)
            SA, Sb = A.sketched(S), np.asarray(S @ self.b)
            d = S.shape[0]
        if not np.isfinite(SA).all():
            raise ValueError("A holds NaN or infinite numbers: remove them")
        start = self._clock("sketch", start)
        factor = SketchedFactor(SA, Sb, self.damp, exact=d == m)
        self._clock("factor", start)
        return factor, (0 if d == m else d), note

    def _make(self, d: int, method: str) -> Any:
        m = self.A.shape[0]
        if isinstance(self.sketch, type):
            return self.sketch(d, m, rng=self.rng)
        if self.sketch is not None:
            if self.sketch.shape[1] != m:
                raise ValueError(f"sketch has shape {self.sketch.shape}: wanted {m} columns, as many as A has rows")
            return self.sketch
        if self.guarantee:
            return SRTTSketch(d, m, rng=self.rng)
        return SparseSignSketch(d, m, nnz=4 if method == "cqrrt" else 8, rng=self.rng)

    def _sketched(self, method: str, A: Products) -> LeastSquaresResult:
        n = self.A.shape[1]
        factor, d, note = self._factor(method, A)
        start = time.perf_counter()
        if method == "cqrrt" and d:
            if not isinstance(A, _Dense):
                raise ValueError("method='cqrrt' forms A R^-1 and needs a dense A; take 'sketch_precondition'")
            if factor.V is None:
                G, z = A.gram(factor.R, factor.scale, self.b)
                if self.damp:
                    P = factor.apply(np.eye(n, dtype=A.dtype))
                    G += self.damp**2 * (P.conj().T @ P)
                factor.improve(G, z)
        x = factor.guess
        tolerance = _UNITS * self.unit if self.rtol is None else self.rtol
        limit = 200 if self.maxiter is None else self.maxiter
        if method == "sketch_solve" and d:
            found = check(A, self.b, factor, x, self.damp)
            self._clock("check", start)
            # measured by the same sketch it comes out too large by 1 / (1 - n/d) (moments of inverse Wishart matrices)
            found.excess *= max(1 - n / d, 0.1)
            good = (found.excess <= np.sqrt(_part(self.eps) ** 2 / (1 + _part(self.eps) ** 2))) | (
                found.backward <= tolerance
            )
            good = bool(good.all() and np.isfinite(found.backward).all())
            return self._result(method, found, A, factor, d, Outcome.CONVERGED if good else Outcome.STAGNATION, note)
        momentum = n / d if method == "fossils" and d else None
        found = refine(A, self.b, factor, x, damp=self.damp, tolerance=tolerance, maxiter=limit, momentum=momentum)
        if found.backward.max(initial=0.0) > tolerance and factor.V is None and found.steps < limit:
            factor.truncate()  # R is close to singular: without its negligible part the steps are stable
            steps = found.steps
            again = refine(
                A, self.b, factor, factor.guess if method != "cqrrt" else found.x, damp=self.damp, tolerance=tolerance,
                maxiter=limit - steps, momentum=momentum,
            )  # fmt: skip
            again.steps += steps
            found = again if again.backward.max() < found.backward.max() else found
            found.steps = again.steps
        self._clock("iterate", start)
        outcome = Outcome.CONVERGED
        if not found.backward.max(initial=0.0) <= tolerance:
            outcome = Outcome.ITERATION_LIMIT if found.steps >= limit else Outcome.STAGNATION
        return self._result(method, found, A, factor, d, outcome, note)

    def _result(
        self, method: str, found: Refined, A: Products, factor: SketchedFactor, d: int, outcome: Outcome, note: str
    ) -> LeastSquaresResult:
        n = self.A.shape[1]
        if factor.rank < n:
            said = f"A has numerical rank {factor.rank} of {n}: x is the shortest solution"
            note = f"{note}; {said}" if note else said
        return LeastSquaresResult(
            x=found.x,
            info=0 if outcome is Outcome.CONVERGED else max(1, found.steps),
            outcome=outcome,
            iterations=found.steps,
            passes=A.passes,
            backward_error=float(found.backward.max(initial=0.0)),
            excess=float(found.excess.max(initial=0.0)),
            residual_norm=np.sqrt(_squares(found.r)),
            rank=factor.rank,
            condition=factor.condition,
            method=method,
            rows=d,
            seconds=dict(self.seconds),
            note=note,
        )

    # --- SciPy's ----------------------------------------------------------------------------------------------------

    def _krylov(self, method: str, A: Products) -> LeastSquaresResult:
        """LSQR or LSMR of SciPy, column by column, with the bounds of Stewart on the backward error."""
        n, start = self.A.shape[1], time.perf_counter()
        tolerance = 1e-10 if self.rtol is None else self.rtol
        limit = 2 * n if self.maxiter is None else self.maxiter
        x = np.zeros((n, self.b.shape[1]), dtype=self.b.dtype)
        steps, inner = 0, 0.1 * tolerance  # their own estimates of the norms are rough
        matrix: Any = self.A.array if isinstance(self.A, DenseOperator) else self.A
        matrix = matrix.matrix if isinstance(matrix, CSROperator) else matrix
        for j in range(x.shape[1]):
            solver = sla.lsqr if method == "lsqr" else sla.lsmr
            found = solver(matrix, self.b[:, j], self.damp, inner, inner, 0, limit)
            x[:, j], taken = found[0], found[2]
            steps = max(steps, int(taken))
        start = self._clock("iterate", start)
        A.passes += 2 * steps
        r, g = A.there_and_back(x, -1.0, self.b)
        g = g - A.dtype.type(self.damp) ** 2 * x
        rn, xn = np.sqrt(_squares(r) + self.damp**2 * _squares(x)), np.sqrt(_squares(x))
        size = np.sqrt(self._frobenius(A) ** 2 + n * self.damp**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            bounds = np.minimum(np.where(rn > 0, np.sqrt(_squares(g)) / rn, 0), np.where(xn > 0, rn / xn, np.inf))
        backward = float(np.where(rn > 0, bounds, 0).max(initial=0.0) / size) if size > 0 else 0.0
        self._clock("check", start)
        good = backward <= max(tolerance, _UNITS * self.unit)
        outcome = Outcome.CONVERGED if good else Outcome.ITERATION_LIMIT if steps >= limit else Outcome.STAGNATION
        return LeastSquaresResult(
            x, 0 if good else max(1, steps), outcome, steps, A.passes, backward, float("nan"), np.sqrt(_squares(r)), n,
            float("nan"), method, seconds=dict(self.seconds),
        )  # fmt: skip

    def _frobenius(self, A: Products) -> float:
        if isinstance(self.A, DenseOperator):
            return float(np.linalg.norm(self.A.array))
        if isinstance(self.A, CSROperator):
            return float(np.linalg.norm(self.A.matrix.data))
        probes = np.random.default_rng(0).standard_normal((self.A.shape[1], 8)).astype(A.dtype)
        return float(np.linalg.norm(self.A.matmat(probes)) / np.sqrt(8))  # unbiased for the square
