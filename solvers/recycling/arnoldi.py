"""The augmented Arnoldi process of GCRO-DR: one cycle, its least-squares problem, and the next recycled space.

With U (k vectors) and orthonormal ``C = A U``, a cycle of j steps builds ``A [U Z] = [C V] G``, G = [[I, B], [0, H]],
where ``Z = M V`` (Z = V without a preconditioner) and [C V] has orthonormal columns.

Departures from the sources named in `gcrodr`:

1. [C V] is one array, so that orthogonalising a vector against both takes one product of ``gemv`` kind (and one for the
   update), twice: classical Gram-Schmidt repeated once keeps orthogonality to rounding.
2. The norm of the residual during a cycle comes from the left null vector of the Hessenberg matrix, one short inner
   product per step; the least-squares problem is solved once, at the end of the cycle.
3. ``P = M^-1 U`` is carried along beside U where there is a preconditioner: the harmonic Ritz problem of A M needs it. For
   a space from elsewhere it is fitted (see `fit_preimages`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import vectors
from ..gate import System
from .carry import Carried
from .dense import Blocks
from .harmonic import harmonic_ritz

__all__ = ["Cycle", "fit_preimages", "next_space"]

Array = npt.NDArray[Any]


class Cycle:
    """Storage and steps of the cycles of one solve.

    Parameters
    ----------
    system : System
    blocks : Blocks
    m : int
        Dimension of the whole space of a cycle, recycled vectors included.
    k : int
        Recycled vectors to keep.
    left : bool
        Whether M is applied from the left (the operator is M A then, and its images are what is orthogonalised).
    flexible : bool
        Whether to store what M makes of each basis vector.
    """

    def __init__(
        self, system: System, blocks: Blocks, m: int, k: int, *, left: bool, flexible: bool, select: str
    ) -> None:
        self.system, self.blocks, self.m, self.k, self.select = system, blocks, m, k, select
        self.left = left and system.M is not None
        self.right = system.M is not None and not self.left
        self.limit = k + 1 if k else 0
        self.basis = blocks.empty(self.limit + m + 1)  # C at the end of the first `limit` rows, then V
        self.images = blocks.empty(m) if self.right and flexible else None
        self.hermitian = bool(system.A.symmetric) and system.M is None
        self.scratch = vectors.empty(system.n, blocks.like)
        self.z = vectors.empty(system.n, blocks.like)
        self.U: Any = blocks.empty(0)
        self.P: Any = None
        self.kept = 0
        self.gain: npt.NDArray[np.float64] = np.empty(0)
        self.G: Array = np.zeros((m + self.limit + 1, m + self.limit), dtype=blocks.small)
        self.failed_in_M = False

    # --- the recycled space -----------------------------------------------------------------------------------------

    def adopt(self, U: Any, C: Any, P: Any, gain: npt.NDArray[np.float64]) -> None:
        """Take over a recycled space (at most k + 1 vectors, and few enough to leave room for two steps)."""
        room = max(min(self.limit, self.m - 2), 0)
        self.kept = min(U.shape[0], room)
        if self.kept:
            self.basis[self.limit - self.kept : self.limit] = C[: self.kept]
        self.U = U[: self.kept]
        self.P = None if P is None else P[: self.kept]
        self.gain = gain[: self.kept]

    @property
    def C(self) -> Any:
        """Rows of the basis that hold C."""
        return self.basis[self.limit - self.kept : self.limit]

    def project(self, x: Any, r: Any) -> float:
        """Move x by the best step in the recycled space, and r with it; returns the norm of r."""
        if self.kept:
            h = self.blocks.dots(self.C, r)
            self.blocks.add(self.U, h, x)
            self.blocks.add(self.C, h, r, -1.0)
        return vectors.norm(r)

    # --- one cycle ----------------------------------------------------------------------------------------------------

    def _image(self, v: Any, j: int, w: Any) -> None:
        """W <- A M v (right) or M A v (left)."""
        if self.left:
            self.system.product(v, self.scratch)
            self.system.precondition(self.scratch, w)
        elif self.right:
            z = self.z if self.images is None else self.images[j]
            self.system.precondition(v, z)
            self.system.product(z, w)
        else:
            self.system.product(v, w)

    def run(self, r: Any, norm: float, tolerance: float, most: int) -> tuple[int, bool, bool]:
        """Expand the space from r until the residual meets the tolerance; returns (steps, exhausted, finite).

        The columns of G that belong to the steps are filled; those of U are filled by `update`.
        """
        system, blocks, first = self.system, self.blocks, self.limit - self.kept
        rows, kept = self.basis[first:], self.kept
        vectors.copy(r, rows[kept])
        vectors.scale(1.0 / norm, rows[kept])
        steps = min(self.m - kept, most)
        null = np.zeros(steps + 1, dtype=blocks.small)  # left null vector of the Hessenberg matrix
        null[0], squared = 1.0, 1.0
        G = self.G
        G[:] = 0.0
        for j in range(steps):
            p = kept + j + 1
            w = rows[p]
            self._image(rows[p - 1], j, w)
            part = rows[:p]
            h = blocks.dots(part, w)
            blocks.add(part, h, w, -1.0)
            again = blocks.dots(part, w)
            blocks.add(part, again, w, -1.0)
            h = h + again
            after = vectors.norm(w)
            if not np.isfinite(after):
                self._blame(rows[p - 1])
                return j, False, False
            column = G[:, kept + j]
            column[:p] = h
            before = float(np.hypot(np.linalg.norm(h), after))
            if after <= 10 * blocks.precision * before:
                system.record(self._exhausted_norm(j + 1, norm))
                return j + 1, True, True
            column[p] = after
            vectors.scale(1.0 / after, w)
            entry = -(null[: j + 1] @ column[kept:p]) / after
            null[j + 1] = entry
            squared += float(abs(entry)) ** 2
            estimate = norm / squared**0.5
            system.record(estimate)
            if estimate <= tolerance:
                return j + 1, False, True
        return steps, False, True

    def _exhausted_norm(self, j: int, norm: float) -> float:
        return float(np.linalg.norm(self._coefficients(j, norm)[1]))

    def _blame(self, v: Any) -> None:
        """Find out whether A or M made the NaN."""
        if self.right or self.left:
            probe = vectors.empty(self.system.n, v)
            source = v
            if self.left:
                self.system.product(v, self.scratch)
                source = self.scratch
            if np.isfinite(vectors.norm(source)):
                self.system.precondition(source, probe)
                self.failed_in_M = not np.isfinite(vectors.norm(probe))

    def _coefficients(self, j: int, norm: float) -> tuple[Array, Array]:
        """Coefficients of the step in Z, and of the residual in V, after j steps from a residual of this norm."""
        kept = self.kept
        H = self.G[kept : kept + j + 1, kept : kept + j]
        right = np.zeros(j + 1, dtype=H.dtype)
        right[0] = norm
        Q, R = np.linalg.qr(H)
        y = np.zeros(j, dtype=H.dtype)
        c = Q.conj().T @ right
        floor = 1e-14 * np.abs(np.diagonal(R)).max() if j else 0.0
        for i in range(j - 1, -1, -1):  # vanishing pivots are left out
            pivot = R[i, i]
            y[i] = 0.0 if abs(pivot) <= floor else (c[i] - R[i, i + 1 :] @ y[i + 1 :]) / pivot
        return y, right - H @ y

    def step(self, x: Any, r: Any, j: int, norm: float, exhausted: bool) -> float:
        """Move x by the least-squares step of j columns, r with it; returns the norm of r."""
        if j == 0:
            return norm
        kept, blocks = self.kept, self.blocks
        y, rest = self._coefficients(j, norm)
        if not np.isfinite(y).all():
            return norm
        first = self.basis[self.limit :]
        if self.right and self.images is None:
            r[:] = 0.0
            blocks.add(first[:j], y, r)
            self.system.precondition(r, self.z)
            vectors.axpy(1.0, self.z, x)
        else:
            blocks.add(first[:j] if self.images is None else self.images[:j], y, x)
        if kept:
            blocks.add(self.U, self.G[:kept, kept : kept + j] @ y, x, -1.0)
        used = j if exhausted else j + 1
        r[:] = 0.0
        blocks.add(first[:used], rest[:used], r)
        return vectors.norm(r)

    def update(self, j: int, exhausted: bool) -> None:
        """Replace the recycled space by harmonic Ritz vectors of the whole space of a cycle of j steps."""
        if self.k == 0 or j == 0:
            return
        kept = self.kept
        q = kept + j + (0 if exhausted else 1)
        basis = self.basis[self.limit - kept :][:q]
        V = self.basis[self.limit :][:j]
        Z = V if self.images is None else self.images[:j]
        found = next_space(
            self.blocks, self.G[:q, : kept + j], basis, V, Z, self.U, self.P, min(self.k, max(self.m - 3, 1)), self.select,
            hermitian=self.hermitian, precondition=self._precondition_rows if self.right else None,
            stored=self.images is not None,
        )  # fmt: skip
        if found is not None:
            self.adopt(*found)

    def _precondition_rows(self, rows: Any) -> Any:
        out = self.blocks.empty(rows.shape[0])
        for i in range(rows.shape[0]):
            self.system.precondition(rows[i], out[i])
        return out


def next_space(
    blocks: Blocks, G: Array, basis: Any, V: Any, Z: Any, U: Any, P: Any, k: int, select: str, *, hermitian: bool,
    precondition: Callable[[Any], Any] | None, stored: bool,
) -> tuple[Any, Any, Any, npt.NDArray[np.float64]] | None:  # fmt: skip
    """Choose harmonic Ritz vectors of ``A [U Z] = basis G`` and form the next U, C, P and their gain.

    The columns of G that belong to U are filled here. `precondition` is None without a right preconditioner; with one,
    ``Z = M V`` is either `stored` or made anew for the chosen combinations.
    """
    kept, j = U.shape[0], V.shape[0]
    S = np.zeros(G.shape, dtype=blocks.small)
    S[kept + np.arange(j), kept + np.arange(j)] = 1.0
    scale = 1.0 / blocks.lengths(U)  # columns of U of length 1, so that G is well scaled
    if kept:
        G[np.arange(kept), np.arange(kept)] = scale
        S[:, :kept] = blocks.gram(basis, U if P is None else P) * scale
    chosen = harmonic_ritz(G, S, k, select, hermitian=hermitian)
    if chosen is None or chosen.T.shape[1] == 0 or not np.isfinite(chosen.T).all():
        return None
    upper, lower = chosen.T[:kept] * scale[:, None], chosen.T[kept:]
    new_P = None
    if precondition is None:
        new_U = blocks.combine(lower, V)
    else:
        mixed = blocks.combine(lower, V)
        new_P = mixed if not kept or P is None else mixed + blocks.combine(upper, P)
        new_U = blocks.combine(lower, Z) if stored else precondition(mixed)
    if kept:
        new_U = new_U + blocks.combine(upper, U)
    return new_U, blocks.combine(chosen.F, basis), new_P, chosen.gain


def fit_preimages(system: System, blocks: Blocks, carried: Carried) -> Any:
    """Return P, about ``M^-1 U``, for a recycled space that comes without one or from another M.

    The P that came along is kept if M maps it near U (one application). Otherwise, on an invariant subspace ``M C = U T``
    with a small matrix T, so that ``P = C T^-1`` (k applications). Only the choice of the next vectors depends on P.
    """
    if system.M is None or carried.U.shape[0] == 0:
        return None
    count = carried.U.shape[0]
    if carried.P is not None:
        mixture = np.ones((count, 1)) / blocks.lengths(carried.U)[:, None]
        there, image = blocks.combine(mixture, carried.U)[0], vectors.empty(system.n, blocks.like)
        system.precondition(blocks.combine(mixture, carried.P)[0], image)
        vectors.axpby(1.0, there, -1.0, image)
        if vectors.norm(image) <= 0.5 * vectors.norm(there):
            return carried.P
    made = blocks.empty(count)
    for i in range(count):
        system.precondition(carried.C[i], made[i])
    inner = blocks.gram(carried.U, carried.U)
    with np.errstate(all="ignore"):
        fitted = np.linalg.lstsq(inner, blocks.gram(carried.U, made), rcond=1e-12)[0]
        if not np.isfinite(fitted).all() or np.linalg.cond(fitted) > 1e10:
            return None
        return blocks.combine(np.linalg.inv(fitted), carried.C)
