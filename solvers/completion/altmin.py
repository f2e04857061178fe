"""Alternating minimisation with exact or inexact row solves.

Each half sweep fixes one factor and solves one small least-squares problem per row of the other. The theory [1]_ allows
these solves to be approximate, so that a sweep costs the order of N k instead of N k^2 for N entries and rank k.

Departures from the paper:

- No sketch and no factorisation per row: a row has only a few times k entries, so those cost more than the exact solve. The
  fixed factor is kept orthonormal instead (one thin factorisation per half sweep), so that every row problem is well
  conditioned, and a few steps of conjugate gradients from the present row reduce its gradient by `inner_rtol`. The change
  of basis is carried over to the other factor: otherwise the steps would start from a rotated iterate.
- All entries are used in every half sweep; ``split=True`` draws the disjoint parts of the analysis instead.
- With a ridge the penalty ``ridge (|U|^2 + |V|^2)`` depends on the basis, so the factors stay as they are.

References
----------
.. [1] Y. Gu, Z. Song, J. Yin, L. Zhang, Low rank matrix completion via robust alternating minimization in nearly linear
   time, ICLR 2024, arXiv 2302.11068.
.. [2] P. Jain, P. Netrapalli, S. Sanghavi, Low-rank matrix completion using alternating minimization, STOC 2013.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg.kernels import completion as kernels
from .entries import Entries, Side
from .factors import leading, mix, orthonormalize
from .watch import Watch

__all__ = ["Inner", "altmin", "start_factor", "sweep"]

Array = npt.NDArray[Any]

CROSSOVER = 8  # rank from which conjugate gradients beat normal equations, measured


@dataclass(frozen=True)
class Inner:
    """How the row problems are solved.

    Parameters
    ----------
    kind : {"auto", "cg", "cholesky"}
    rtol : float
        Reduction of each row's gradient by conjugate gradients.
    maxiter : int
        Cap on their steps.
    scaled : bool
        Whether a ridge is multiplied by the number of entries of the row.
    """

    kind: str = "auto"
    rtol: float = 0.1
    maxiter: int = 20
    scaled: bool = False

    def solve(self, side: Side, fixed: Array, free: Array, ridge: float = 0.0, values: Array | None = None) -> int:
        """Update `free` in place; return the number of conjugate gradient steps."""
        rank = fixed.shape[1]
        starts = side.starts(rank)
        data = side.values if values is None else values
        if self.kind == "cholesky" or (self.kind == "auto" and rank < CROSSOVER):
            kernels.solve_cholesky(starts, side.indptr, side.indices, data, fixed, free, ridge, self.scaled)
            return 0
        steps = np.zeros(starts.size - 1, dtype=np.int64)
        kernels.solve_cg(
            starts,
            side.indptr,
            side.indices,
            data,
            fixed,
            free,
            ridge,
            self.scaled,
            self.rtol,
            self.maxiter,
            steps,
        )
        return int(steps.sum())


def sweep(entries: Entries, U: Array, V: Array, inner: Inner, ridge: float = 0.0) -> tuple[Array, Array, int]:
    """One sweep in orthonormal bases: rows of U for fixed V, then rows of V for fixed U.

    Returns
    -------
    U : ndarray, shape (m, k)
        Orthonormal columns.
    V : ndarray, shape (n, k)
    steps : int
        Inner steps.
    """
    V, R = orthonormalize(V)
    U = mix(U, R.T)
    steps = inner.solve(entries.rows, V, U, ridge)
    U, R = orthonormalize(U)
    V = mix(V, R.T)
    steps += inner.solve(entries.cols, U, V, ridge)
    return U, V, steps


def start_factor(entries: Entries, rank: int, init: str, rng: np.random.Generator, clip: float | None = None) -> Array:
    """First V, orthonormal: leading right singular vectors of the observed entries, or random.

    `clip` is mu of the analysis: entries above ``2 mu sqrt(k / n)`` become zero before the basis is formed again.
    """
    n = entries.shape[1]
    if init == "random":
        V = rng.standard_normal((n, rank))
    else:
        V = leading(entries, entries.rows.values, rank, rng, passes=6 if rank <= 8 else 3)[2]
    if clip is not None:
        V = np.where(np.abs(V) > 2 * clip * np.sqrt(rank / n), 0.0, V)
    return orthonormalize(V)[0]


def altmin(
    entries: Entries,
    rank: int,
    watch: Watch,
    rng: np.random.Generator,
    *,
    inner: Inner,
    init: str = "spectral",
    clip: float | None = None,
    split: bool = False,
) -> tuple[Array, Array]:
    """Alternate without a ridge; `watch` decides when to stop."""
    m, n = entries.shape
    if split:
        return _split(entries, rank, watch, rng, inner, init, clip)
    V = start_factor(entries, rank, init, rng, clip)
    U = np.zeros((m, rank))
    watch.inner_steps += inner.solve(entries.rows, V, U)
    U, _ = orthonormalize(U)
    V = np.zeros((n, rank))
    watch.inner_steps += inner.solve(entries.cols, U, V)
    while not watch.done(U, V, entries.residuals(U, V)):
        U, V, steps = sweep(entries, U, V, inner)
        watch.inner_steps += steps
    return U, V


def _split(
    entries: Entries, rank: int, watch: Watch, rng: np.random.Generator, inner: Inner, init: str, clip: float | None
) -> tuple[Array, Array]:
    """Sample splitting: one part of the entries for the start, a fresh part for each half sweep."""
    parts = 2 * watch.sweeps + 1
    if entries.size < parts:
        raise ValueError(
            f"split=True cuts the {entries.size} entries into 2 sweeps + 1 = {parts} parts; wanted at least one each: "
            "fewer sweeps"
        )
    part_of = rng.permutation(entries.size) % parts
    rows = np.repeat(np.arange(entries.shape[0], dtype=np.uint32), entries.rows.counts)

    def part(number: int) -> Entries:
        chosen = part_of == number
        return Entries(rows[chosen], entries.rows.indices[chosen], entries.rows.values[chosen], entries.shape)

    V = start_factor(part(0), rank, init, rng, clip)
    U = np.zeros((entries.shape[0], rank))
    for t in range(watch.sweeps):
        V, R = orthonormalize(V)
        U = mix(U, R.T)
        watch.inner_steps += inner.solve(part(1 + t).rows, V, U)
        U, R = orthonormalize(U)
        V = mix(V, R.T)
        watch.inner_steps += inner.solve(part(1 + watch.sweeps + t).cols, U, V)
        if watch.done(U, V, entries.residuals(U, V)):
            break
    return U, V
