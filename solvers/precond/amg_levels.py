"""How one level of a multigrid hierarchy makes its prolongator anew for other entries on the same pattern.

`SmoothedLevel` keeps the aggregates: it relaxes and fits the candidates again and smooths the tentative prolongator T to
``P = T - w D^-1 A T`` on the pattern of A T. `ClassicalLevel` keeps the splitting and the strong connections and lets PyAMG
compute the weights.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ...linalg import CSROperator
from ...linalg.kernels import hierarchy as kernels
from ...linalg.kernels.relaxation import sor_sweep
from ...linalg.operators.matrix import index_view
from ...linalg.sparse_product import SpGEMMPlan
from .amg_parts import Level, NotRenewable, inner, inverse, on_pattern, operator_of, places_in, refusing

__all__ = ["ClassicalLevel", "SmoothedLevel"]

Array = npt.NDArray[Any]

VANISHING = 1e-13  # relative to the row: divisors below it are rounding errors


class SmoothedLevel(Level):
    """Level of smoothed aggregation: candidates, tentative prolongator, one Jacobi or Richardson step.

    Parameters
    ----------
    aggregates : csr_array, shape (nodes, aggregates)
        Stored entries say which node belongs where; at most one in a row.
    count : int
        Number of candidates.
    scaling : {"diagonal", "local", "identity", None}
        Weights of the rows in the smoothing of T, up to a factor: inverse diagonal, inverse sum of absolute values, or one;
        None leaves T as it is.
    improve : tuple of (str or None, dict)
        PyAMG's name of the relaxation that improves the candidates, and its options.
    """

    made = ("_tentative", "_order", "_products", "_places")

    def __init__(
        self,
        aggregates: csr_array,
        count: int,
        scaling: str | None,
        improve: tuple[str | None, dict[str, Any]],
        conjugate: bool,
        radii: dict[str, float],
    ) -> None:
        super().__init__(radii)
        if np.diff(aggregates.indptr).max(initial=0) > 1:
            raise NotRenewable
        pattern = csr_array((np.ones(aggregates.nnz, np.int8), aggregates.indices, aggregates.indptr), aggregates.shape)
        columns = pattern.tocsc()
        self.aggregates = (columns.indptr.copy(), columns.indices.copy())  # by columns
        self.nodes, self.count = aggregates.shape[0], count
        self.scaling, self.improve, self.conjugate = scaling, improve, conjugate
        self.weight = 0.0

    def plan(self, A: CSROperator) -> None:
        """Make the patterns of T, A T and P, and the plans of the products."""
        members = self.aggregates[1]
        inner = A.shape[0] // self.nodes  # unknowns of a node
        block = inner * self.count
        slot = np.full(self.nodes, -1, dtype=np.int64)
        slot[members] = np.arange(members.size)
        owner = np.zeros(self.nodes, dtype=np.int64)
        owner[members] = np.repeat(np.arange(self.aggregates[0].size - 1), np.diff(self.aggregates[0]))
        used = np.flatnonzero(slot >= 0)
        index_type = A.matrix.indices.dtype
        indptr = np.zeros(A.shape[0] + 1, dtype=index_type)
        np.cumsum(np.repeat(np.where(slot >= 0, self.count, 0), inner), out=indptr[1:])
        columns = np.repeat(owner[used] * self.count, inner)[:, None] + np.arange(self.count)
        shape = (A.shape[0], (self.aggregates[0].size - 1) * self.count)
        indices = columns.ravel().astype(index_type)
        self._order = (slot[used, None] * block + np.arange(block)).ravel()
        self._tentative = operator_of(indptr, indices, shape, A.dtype)
        tentative = self._tentative.matrix
        if self.scaling is None:
            self._plan_galerkin(A, tentative)
            return
        self._products = SpGEMMPlan(A.matrix, tentative)
        product = csr_array((np.empty(self._products.nnz), self._products.indices, self._products.indptr), shape=shape)
        self._places = places_in(tentative, product)
        self._plan_galerkin(A, product)

    @property
    def memory_bytes(self) -> int:
        """Storage of plans and patterns, in bytes."""
        T = self._tentative.matrix
        arrays = (*self.aggregates, self._order, T.data, T.indices, T.indptr)
        plan = 0 if self.scaling is None else self._products.memory_bytes + self._places.nbytes
        return super().memory_bytes + int(plan) + sum(int(array.nbytes) for array in arrays)

    def prove(self, A: CSROperator, matrix: Any, inverse_diagonal: Array, B: Array | None, P: Any) -> None:
        """Find the weight that PyAMG took, and see that P is what this level makes of it."""
        self.learn(A, inverse_diagonal, {self.scaling} & {"diagonal", "identity"})
        theirs = self._entries_of(P)
        tentative = self._fit(self._improved(A, matrix, inverse_diagonal, cast(Array, B)))[0]
        if self.scaling is not None:
            step = self._smooth(A, inverse_diagonal, tentative, 1.0)
            unsmoothed = self._smooth(A, inverse_diagonal, tentative, 0.0)
            step -= unsmoothed
            square = inner(step, step)
            self.weight = inner(step, theirs - unsmoothed) / square if square else 0.0
            tentative = self._smooth(A, inverse_diagonal, tentative, self.weight)
        self._require_agreement(tentative, theirs)

    def prolong(
        self, A: CSROperator, matrix: Any, inverse_diagonal: Array, B: Array | None, growth: dict[str, float]
    ) -> tuple[Any, ...]:
        """Return the entries of P and the candidates of this level and the next."""
        B = self._improved(A, matrix, inverse_diagonal, cast(Array, B))
        tentative, coarse = self._fit(B)
        if self.scaling is None:
            return tentative, B, coarse
        weight = self.weight / growth.get(self.scaling, 1.0)
        return self._smooth(A, inverse_diagonal, tentative, weight), B, coarse

    def _improved(self, A: CSROperator, matrix: Any, inverse_diagonal: Array, B: Array) -> Array:
        """Relax A B = 0 as PyAMG does."""
        name, options = self.improve
        if name is None:
            return B
        single = matrix.format == "csr" or matrix.blocksize == (1, 1)
        pointwise = single and set(options) <= {"sweep", "iterations"}
        if name not in ("gauss_seidel", "block_gauss_seidel") or not pointwise:
            from pyamg.relaxation.utils import relaxation_as_linear_operator

            b = np.zeros((A.shape[0], 1), dtype=A.dtype)
            with refusing():
                return np.asarray(relaxation_as_linear_operator((name, options), matrix, b) @ B)
        ways = {"forward": (True,), "backward": (False,), "symmetric": (True, False)}[options.get("sweep", "forward")]
        zero = np.zeros(A.shape[0], dtype=A.dtype)
        result = np.empty_like(B)
        for j in range(B.shape[1]):
            x = np.ascontiguousarray(B[:, j]).copy()
            for forward in ways * options.get("iterations", 1):
                sor_sweep(A._indptr, A._indices, A.matrix.data, inverse_diagonal, x, zero, 1.0, forward)
            result[:, j] = x
        return result

    def _fit(self, B: Array) -> tuple[Array, Array]:
        """Entries of T, orthonormal on every aggregate, and the candidates in its basis."""
        from pyamg import amg_core

        starts, members = self.aggregates
        inner, coarse = B.shape[0] // self.nodes, starts.size - 1
        fitted = np.empty(members.size * inner * self.count, dtype=B.dtype)
        basis = np.empty((coarse * self.count, self.count), dtype=B.dtype)
        flat = np.ascontiguousarray(B).ravel()
        amg_core.fit_candidates(
            self.nodes, coarse, inner, self.count, starts, members, fitted, flat, basis.ravel(), 1e-10
        )
        return fitted[self._order], basis

    def _smooth(self, A: CSROperator, inverse_diagonal: Array, tentative: Array, weight: float) -> Array:
        products = self._products.multiply(A.matrix.data, tentative)
        if self.scaling == "diagonal":
            weights = weight * inverse_diagonal
        elif self.scaling == "local":
            weights = weight * inverse(abs(A.matrix) @ np.ones(A.shape[0]))
        else:
            weights = np.full(A.shape[0], weight)
        out = np.empty(products.size, dtype=A.dtype)
        pattern = self.prolongator.matrix
        kernels.prolongator(index_view(pattern.indptr), products, weights, tentative, index_view(self._places), out)
        return out


class ClassicalLevel(Level):
    """Level of classical coarsening: PyAMG's weights for a kept splitting and kept strong connections.

    Parameters
    ----------
    splitting : ndarray of bool, shape (n,)
        Which unknowns are on the coarse grid.
    strength : csr_array, shape (n, n)
        Strength of connection in the set-up.
    interpolation : {"classical", "direct"}
    modified : bool
        PyAMG's option of the former.
    """

    made = ("_places", "_indices")

    def __init__(
        self, splitting: Array, strength: csr_array, interpolation: str, modified: bool, radii: dict[str, float]
    ) -> None:
        super().__init__(radii)
        self.splitting = splitting.astype(np.int32)
        self.interpolation, self.modified = interpolation, modified
        self._strength: csr_array | None = strength
        self.strong: tuple[Array, Array] | None = None

    def plan(self, A: CSROperator) -> None:
        """Make the patterns of the strong connections and of P, and the plan of the triple product."""
        from pyamg import amg_core

        indptr, indices = self.find_strong(A)
        first_pass = getattr(amg_core, f"rs_{self.interpolation}_interpolation_pass1")
        starts = np.empty_like(indptr)
        first_pass(A.shape[0], indptr, indices, self.splitting, starts)
        self._indices = np.empty(int(starts[-1]), dtype=indices.dtype)
        ones = on_pattern(A, np.ones(A.matrix.nnz, dtype=A.dtype))
        self._weights(ones, starts, self._indices)
        shape = (A.shape[0], int(self.splitting.sum()))
        self._plan_galerkin(A, csr_array((np.zeros(self._indices.size), self._indices, starts), shape=shape))

    def find_strong(self, A: CSROperator) -> tuple[Array, Array]:
        """Strong connections and their places in the matrix."""
        if self.strong is None:
            self.strong = self._strong_connections(A)
        indptr, indices = self.strong
        strong = csr_array((np.ones(indices.size, A.dtype), indices, indptr), shape=A.shape)
        self._places = places_in(strong, A.matrix)
        return self.strong

    def _strong_connections(self, A: CSROperator) -> tuple[Array, Array]:
        """Pattern from which PyAMG interpolates: as in its `classical_interpolation` and `direct_interpolation`."""
        from pyamg import amg_core

        strength = csr_array(self._strength, copy=True)
        if self.interpolation == "classical" and self.modified:
            arrays = (strength.indptr, strength.indices, strength.data)
            amg_core.remove_strong_FF_connections(A.shape[0], *arrays, self.splitting)
        strength.eliminate_zeros()
        strength.data[:] = 1.0
        strength = csr_array(strength.multiply(A.matrix))
        strength.sum_duplicates()
        self._strength = None
        return strength.indptr, strength.indices

    @property
    def memory_bytes(self) -> int:
        """Storage of plans and patterns, in bytes."""
        arrays = (self.splitting, *(self.strong or ()), self._places, self._indices)
        return super().memory_bytes + sum(int(array.nbytes) for array in arrays)

    def prove(self, A: CSROperator, matrix: Any, inverse_diagonal: Array, B: Array | None, P: Any) -> None:
        """See that P is what this level makes."""
        self.learn(A, inverse_diagonal, set())
        theirs = self._entries_of(P)
        ours = self.prolong(A, None, inverse_diagonal, None, {})[0]
        self._require_agreement(ours, theirs)

    def prolong(
        self, A: CSROperator, matrix: Any, inverse_diagonal: Array, B: Array | None, growth: dict[str, float]
    ) -> tuple[Any, ...]:
        """Return the entries of P; there are no candidates."""
        if self.vanishing_rows(A).size:
            raise NotRenewable
        indices = np.empty_like(self._indices)
        values = self._weights(A, self.prolongator.matrix.indptr, indices)
        if not np.array_equal(indices, self._indices):
            raise NotRenewable
        return values, None, None

    def vanishing_rows(self, A: CSROperator) -> Array:
        """Rows whose weights would be quotients by (nearly) zero.

        Only for classical interpolation, where PyAMG prints a line for each such weight and goes on, and only for matrices
        with a diagonal entry near zero.
        """
        if self.interpolation != "classical":
            return np.empty(0, dtype=np.intp)
        bound = np.abs(A.matrix.data).max(initial=0.0) * np.diff(A.matrix.indptr).max(initial=0)  # on sums of rows
        if np.abs(A.diagonal()).min(initial=np.inf) > VANISHING * bound:
            return np.empty(0, dtype=np.intp)
        indptr, columns = cast(tuple[Array, Array], self.strong)
        strong = csr_array((A.matrix.data[self._places], columns, indptr), shape=A.shape)
        ones = np.ones(A.shape[0])
        coarse = csr_array((np.ones(columns.size), columns, indptr), shape=A.shape) @ self.splitting
        interpolated = (self.splitting == 0) & (coarse > 0)
        divisors = A.matrix @ ones - strong @ ones + strong.diagonal()
        return np.flatnonzero(interpolated & ~(np.abs(divisors) > VANISHING * (abs(A.matrix) @ ones)))

    def _weights(self, A: CSROperator, starts: Array, indices: Array) -> Array:
        from pyamg import amg_core

        indptr, columns = cast(tuple[Array, Array], self.strong)
        values = np.empty(indices.size, dtype=A.dtype)
        matrix = A.matrix
        arguments = [
            A.shape[0], matrix.indptr, matrix.indices, matrix.data, indptr, columns, matrix.data[self._places],
            self.splitting, starts, indices, values,
        ]  # fmt: skip
        if self.interpolation == "classical":
            amg_core.rs_classical_interpolation_pass2(*arguments, self.modified)
        else:
            amg_core.rs_direct_interpolation_pass2(*arguments)
        return values
