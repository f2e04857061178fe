"""What the levels of a renewable multigrid hierarchy share: fixed patterns, and spectral radii that follow the entries.

Departure from PyAMG: smoothing and smoothers divide by a spectral radius, and its estimate (restarted Arnoldi from a random
vector) takes most of a set-up. Here the value of the set-up is scaled by the ratio of two short Lanczos estimates, for the
former matrix and the new one, from the same start: what they lack in accuracy cancels where the matrices are alike, and the
matrix of the set-up gets the value of the set-up.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ...linalg import CSROperator
from ...linalg.kernels import hierarchy as kernels
from ...linalg.operators.matrix import index_view
from ...linalg.sparse_product import RAPPlan

__all__ = [
    "SCALINGS",
    "Level",
    "NotRenewable",
    "inner",
    "inverse",
    "on_pattern",
    "operator_of",
    "places_in",
    "refusing",
]

Array = npt.NDArray[Any]

LANCZOS_STEPS = 6
SCALINGS = {"rho_D_inv": "diagonal", "rho": "identity"}  # by the names under which PyAMG stores spectral radii
AGREEMENT = 1e-8  # relative: what was computed in another order agrees with PyAMG's prolongator to this


class NotRenewable(Exception):
    """The hierarchy cannot be made anew from its parts."""


@contextmanager
def refusing() -> Iterator[None]:
    """Take what a library raises for numbers that it cannot work with as a refusal; for such calls and nothing else."""
    try:
        yield
    except (ArithmeticError, ValueError) as error:
        raise NotRenewable from error


def inner(x: Array, y: Array) -> float:
    """Real part of the inner product; not BLAS's, whose order of summation depends on the number of threads."""
    return float((x.conj() * y).sum().real)


def on_pattern(operator: CSROperator, values: Array) -> CSROperator:
    """Return the operator with other entries; the pattern is shared and was checked when the operator was made."""
    matrix = csr_array((values, operator.matrix.indices, operator.matrix.indptr), shape=operator.shape)
    matrix.has_canonical_format = True
    result = object.__new__(CSROperator)
    result.__dict__.update(operator.__getstate__())
    result.matrix, result._conjugate_transpose = matrix, None
    return result


def operator_of(indptr: Array, indices: Array, shape: tuple[int, int], dtype: Any) -> CSROperator:
    """Return an operator of zeros on a pattern, to be filled by `on_pattern`."""
    # copies: the read-only arrays of a plan would have every kernel compiled once more
    operator = CSROperator(csr_array((np.zeros(indices.size, dtype), indices.copy(), indptr.copy()), shape=shape))
    if operator.matrix.nnz != indices.size or not np.array_equal(operator.matrix.indices, indices):
        raise NotRenewable  # columns in disorder: the entries would not stay where they are
    return operator


def places_in(inner: csr_array, outer: csr_array) -> Array:
    """Places of the entries of one pattern in another one that holds it."""
    result = np.empty(inner.nnz, dtype=np.int64 if outer.nnz >= 2**31 else np.int32)
    patterns = (inner.indptr, inner.indices, outer.indptr, outer.indices)
    if kernels.places(*(index_view(part) for part in patterns), index_view(result)):
        raise NotRenewable
    return result


class Level:
    """What an update keeps of one level.

    Attributes
    ----------
    prolongator, restriction : CSROperator
        Patterns of P and of its adjoint.
    galerkin : RAPPlan
        Makes the next coarser matrix.
    estimates : dict
        First estimates of the spectral radius: of A under "identity", of D^-1 A under "diagonal".
    radii : dict
        Values that PyAMG's smoothers have put on the matrix of the set-up, by the name of the attribute.
    """

    prolongator: CSROperator
    restriction: CSROperator
    galerkin: RAPPlan
    conjugate = True  # whether R is the conjugate transpose of P; else the transpose

    def __init__(self, radii: dict[str, float]) -> None:
        self.radii = radii
        self.estimates: dict[str, float] = {}
        self._start: Array | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what `plan` makes."""
        made = ("prolongator", "restriction", "galerkin", "_start", *self.made)
        return {**{k: v for k, v in self.__dict__.items() if k not in made}, "_start": None}

    made: tuple[str, ...] = ()  # attributes of a subclass that come from its `plan`

    def _plan_galerkin(self, A: CSROperator, P: csr_array) -> None:
        self.prolongator = operator_of(P.indptr, P.indices, P.shape, A.dtype)
        self.galerkin = RAPPlan(None, A.matrix, self.prolongator.matrix)
        indptr, indices = self.galerkin.restriction_pattern
        self.restriction = operator_of(indptr, indices, (P.shape[1], P.shape[0]), A.dtype)

    def restrict(self, p: Array) -> Array:
        """Entries of R from those of P."""
        return self.galerkin.restriction(p, conjugate=self.conjugate)

    @property
    def memory_bytes(self) -> int:
        """Storage of plans and patterns, in bytes."""
        return int(self.galerkin.memory_bytes + (0 if self._start is None else self._start.nbytes))

    # --- spectral radii ---------------------------------------------------------------------------------------------

    def learn(self, A: CSROperator, inverse_diagonal: Array, scalings: set[Any]) -> None:
        """Take the estimates for the matrix of the set-up."""
        for scaling in scalings | {SCALINGS[name] for name in self.radii}:
            self.estimates[scaling] = self._estimate(A, scaling, inverse_diagonal)

    def growth(self, A: CSROperator, inverse_diagonal: Array) -> dict[str, float]:
        """Spectral radii over those of the set-up, by scaling."""
        result = {}
        for scaling, former in self.estimates.items():
            now = self._estimate(A, scaling, inverse_diagonal)
            if not (np.isfinite(now) and now > 0 and former > 0):
                raise NotRenewable
            result[scaling] = now / former
        return result

    def _estimate(self, A: CSROperator, scaling: str, inverse_diagonal: Array) -> float:
        diagonal = inverse_diagonal if scaling == "diagonal" else np.ones(A.shape[0])
        if (diagonal.real < 0).any() or (diagonal.dtype.kind == "c" and diagonal.imag.any()):
            return self._general_estimate(A, diagonal)
        start = self._start_vector(A)
        scale = np.sqrt(diagonal.real)
        main, beside, mirrored = np.zeros((3, min(LANCZOS_STEPS, A.shape[0])))
        arrays = (A._starts, A._indptr, A._indices, A.matrix.data)
        steps = kernels.lanczos(
            *arrays, scale, start.copy(), np.zeros_like(start), np.empty_like(start), main, beside, mirrored
        )
        main, beside, mirrored = main[:steps], beside[: steps - 1], mirrored[1:steps]
        if not (np.isfinite(main).all() and np.isfinite(beside).all()):
            raise NotRenewable
        size = float(max(np.abs(main).max(initial=0.0), beside.max(initial=0.0)))
        if (np.abs(mirrored - beside) > 1e-8 * size).any():  # not Hermitian
            return self._general_estimate(A, diagonal)
        with refusing():  # no convergence
            return float(np.abs(np.linalg.eigvalsh(np.diag(main) + np.diag(beside, -1))).max(initial=0.0))

    def _general_estimate(self, A: CSROperator, diagonal: Array) -> float:
        """PyAMG's estimate, from a fixed start."""
        from pyamg.util.linalg import approximate_spectral_radius

        rows = np.repeat(diagonal, np.diff(A.matrix.indptr))
        scaled = csr_array((rows * A.matrix.data, A.matrix.indices, A.matrix.indptr), shape=A.shape)
        start = self._start_vector(A)
        with refusing():
            return float(approximate_spectral_radius(scaled, initial_guess=start))

    def _start_vector(self, A: CSROperator) -> Array:
        if self._start is None or self._start.dtype != A.dtype:
            rng = np.random.default_rng(0)
            self._start = rng.standard_normal(A.shape[0]).astype(A.dtype)
        return self._start

    # --- prolongators -------------------------------------------------------------------------------------------------

    def _entries_of(self, P: Any) -> Array:
        """Entries of PyAMG's prolongator on the pattern of this level."""
        wanted, pattern = csr_array(P), self.prolongator.matrix
        wanted.sum_duplicates()
        if wanted.shape != pattern.shape:
            raise NotRenewable
        result = np.zeros(pattern.nnz, dtype=pattern.dtype)
        result[places_in(wanted, pattern)] = wanted.data
        return result

    @staticmethod
    def _require_agreement(ours: Array, theirs: Array) -> None:
        if not np.abs(ours - theirs).max(initial=0.0) <= AGREEMENT * np.abs(theirs).max(initial=0.0):
            raise NotRenewable

    def plan(self, A: CSROperator) -> None:
        """Make everything that depends on patterns alone."""
        raise NotImplementedError

    def prolong(
        self, A: CSROperator, matrix: Any, inverse_diagonal: Array, B: Array | None, growth: dict[str, float]
    ) -> tuple[Any, ...]:
        """Return the entries of P and the candidates of this level and the next; `matrix` is A as PyAMG wants it."""
        raise NotImplementedError

    def prove(self, A: CSROperator, matrix: Any, inverse_diagonal: Array, B: Array | None, P: Any) -> None:
        """Learn what the entries of A and P of the set-up tell, and see that P is what this level makes of A."""
        raise NotImplementedError


def inverse(diagonal: Array) -> Array:
    """Return 1 / d, and 0 where d is 0, as PyAMG does."""
    result = np.zeros_like(diagonal)
    np.divide(1.0, diagonal, out=result, where=diagonal != 0)
    return result
