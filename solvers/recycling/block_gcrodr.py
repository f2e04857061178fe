"""GCRO-DR for several right-hand sides at once.

Sources: M. L. Parks, K. M. Soodhalter and D. B. Szyld, "A block recycled GMRES method with investigations into aspects of
solver performance", arXiv 1604.01713 (2016); the single-vector form as in `gcrodr`.

Departures from the source:

1. Blocks shrink: right-hand sides that have converged leave, and combinations of the others that are dependent to rounding
   are left out by a rank-revealing QR, at the start of a cycle and in every step.
2. The preconditioner is flexible, and U is kept in solution coordinates (see `space`).
3. A cycle ends when the residual of every right-hand side meets its own tolerance; the true residuals decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import qr

from ...linalg import vectors
from ..gate import System, asks_to_stop, check_count, check_tolerance, enter
from ..gate import _check_vector as check_vector
from ..result import Outcome, SolveResult
from .arnoldi import fit_preimages, next_space
from .carry import look
from .dense import Blocks, apply_to_rows
from .gcrodr import FINE, check_side
from .space import RecycleSpace, enter_space

__all__ = ["block_gcrodr"]

Array = npt.NDArray[Any]


def block_gcrodr(
    A: Any,
    B: Any,
    X0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    restart: int = 40,
    k: int | None = None,
    recycle: RecycleSpace | None = None,
    select: str = "sm",
    same_operator: bool | None = None,
) -> SolveResult:
    """Solve A X = B for several right-hand sides by block GCRO-DR.

    Parameters
    ----------
    A : matrix or operator, shape (n, n)
    B : array_like or tensor, shape (n, s)
        Right-hand sides; a vector counts as one.
    X0 : array_like, shape (n, s), optional
        Initial guesses; zero by default.
    rtol, atol : float
        Stop when ``norm(b - A x) <= max(rtol * norm(b), atol)`` for every column.
    maxiter : int, optional
        Most products with A inside the cycles, default ``10 n s``.
    M : matrix or operator, shape (n, n), optional
        Approximate inverse of A; it may change at every call.
    callback : callable, optional
        Called after each cycle with all iterates, shape (n, s); returning True stops the solve.
    restart : int
        Dimension of the space of a cycle, recycled vectors included; raised to ``k + 2 s`` if below.
    k, recycle, select, same_operator
        As in `gcrodr`.

    Returns
    -------
    SolveResult
        ``x`` has the shape of B; ``iterations`` counts steps of the block, ``residuals`` and ``residual`` are the largest
        of the columns; ``recycle`` holds the space.

    Raises
    ------
    TypeError, ValueError
        For bad arguments.

    Notes
    -----
    A step costs s products with A, s applications of M and ``8 n s p`` flops of BLAS-3, p being the dimension so far.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.diag(np.arange(1.0, 101.0))
    >>> result = block_gcrodr(A, np.eye(100)[:, :3] + 1.0, rtol=1e-8, k=5)
    >>> result.success, result.x.shape
    (True, (100, 3))
    """
    check_side("right", select, True)
    ndim = getattr(B, "ndim", None)
    if ndim is None:
        B = np.asarray(B)
        ndim = B.ndim
    if ndim not in (1, 2):
        raise ValueError(f"B has {ndim} axes: wanted right-hand sides as columns, shape (n, s)")
    columns = vectors.to_numpy(B).reshape(B.shape[0], -1)
    given = np.ones(columns.shape[0], dtype=columns.dtype if columns.dtype.kind in "fc" else np.float64)
    system = enter(
        "block_gcrodr", A, given, None, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback, flexible=True,
        default_maxiter=lambda n: 10 * n * max(columns.shape[1], 1),
    )  # fmt: skip
    n, shape = system.n, system.A.shape
    rows = np.empty((columns.shape[1], n), dtype=system.b.dtype)
    for i in range(columns.shape[1]):
        rows[i] = check_vector(f"B[:, {i}]", columns[:, i], n, shape)
    X = np.zeros_like(rows)
    if X0 is not None:
        guess = np.asarray(vectors.to_numpy(X0))
        if guess.reshape(guess.shape[0], -1).shape != columns.shape:
            raise ValueError(f"X0 has shape {guess.shape}, B has shape {tuple(B.shape)}: wanted the same")
        for i in range(columns.shape[1]):
            X[i] = check_vector(f"X0[:, {i}]", guess.reshape(columns.shape)[:, i], n, shape)
    space = enter_space(recycle, k, n)
    m = check_count("restart", restart, 1)
    with np.errstate(all="ignore"):
        solve = _Solve(system, rows, X, space, m, select, same_operator)
        solve.tolerances = np.maximum(check_tolerance("rtol", rtol) * solve.sizes, check_tolerance("atol", atol))
        return solve.result(B)


class _Solve:
    """One solve; blocks are rows of length n."""

    def __init__(
        self, system: System, B: Array, X: Array, space: RecycleSpace, m: int, select: str, same: bool | None
    ) -> None:
        self.system, self.B, self.X, self.space, self.select, self.same = system, B, X, space, select, same
        self.blocks = Blocks(np.empty(system.n, dtype=B.dtype))
        self.k = space.size
        self.m = max(m, self.k + 2 * B.shape[0])
        self.sizes = np.linalg.norm(B, axis=1)
        self.tolerances = self.sizes
        self.U = self.C = self.blocks.empty(0)
        self.P: Any = None
        self.gain: npt.NDArray[np.float64] = np.empty(0)
        self.token: str | None = None
        self.norm_of_A = 0.0
        self.steps = 0  # products inside the cycles
        self.start = time.perf_counter()

    def _images(self, rows: Any) -> Any:
        self.system.matvecs += rows.shape[0]
        return apply_to_rows(self.system.A, rows)

    def _precondition(self, rows: Any) -> Any:
        if self.system.M is None:
            return rows
        self.system.psolves += rows.shape[0]
        return apply_to_rows(self.system.M, rows)

    def _residuals(self) -> Array:
        return np.asarray(self.B - self._images(self.X))

    def _relative(self, norms: Array) -> float:
        scale = np.where(self.sizes > 0, self.sizes, 1.0)
        return float((norms / scale).max()) if norms.size else 0.0

    def _bring(self) -> None:
        if self.same is None:
            self.token, self.norm_of_A = look(self._images, self.blocks)
        elif self.same:
            self.token, self.norm_of_A = self.space.token, self.space._norm
        carried = self.space._bring(self.blocks, self._images, self.token, self.norm_of_A, self.same)
        if carried is None:
            self.system.note = "the recycled space gave NaN or infinity with this operator and was left out"
            return
        self.U, self.C, self.gain = carried.U, carried.C, carried.gain
        self.P = fit_preimages(self.system, self.blocks, carried)

    def _project(self, R: Array) -> Array:
        if self.U.shape[0]:
            H = self.blocks.gram(self.C, R)
            self.X += self.blocks.combine(H, self.U)
            R = R - self.blocks.combine(H, self.C)
        return R

    def result(self, B: Any) -> SolveResult:
        system = self.system
        R = self.B.copy() if not self.X.any() else self._residuals()
        norms = np.linalg.norm(R, axis=1)
        self.initial = self._relative(norms)
        outcome = Outcome.ITERATION_LIMIT
        if not np.isfinite(norms).all():
            outcome = Outcome.NONFINITE_OPERATOR
        elif (norms <= self.tolerances).all():
            outcome = Outcome.CONVERGED
        else:
            if self.k and self.space.k:
                self._bring()
                R = self._project(R)
            outcome, norms = self._iterate(R)
        if outcome in FINE and self.U.shape[0] and self.k and system.residuals:
            if self.token is None and self.space.storage != "float32":
                self.token, self.norm_of_A = look(self._images, self.blocks)
            self.space._store(self.U, self.C, self.P, self.gain, self.token, self.norm_of_A)
        return self._finish(B, outcome, norms)

    def _iterate(self, R: Array) -> tuple[Outcome, Array]:
        system = self.system
        checked, idle = np.inf, 0
        norms = np.linalg.norm(R, axis=1)
        while True:
            if (norms <= self.tolerances).all():
                R = self._residuals()
                norms = np.linalg.norm(R, axis=1)
                if (norms <= self.tolerances).all():
                    return Outcome.CONVERGED, norms
                worst = self._relative(norms)
                if not worst <= 0.5 * checked:
                    return Outcome.STAGNATION, norms
                checked = worst
            if self.steps >= system.maxiter:
                return Outcome.ITERATION_LIMIT, self._true_norms()
            R = self._project(R)
            norms = np.linalg.norm(R, axis=1)
            active = np.flatnonzero(norms > self.tolerances)
            if not active.size:
                continue
            before, former = self.X.copy(), norms
            moved = self._cycle(R, active)
            R = moved if moved is not None else self._residuals()
            norms = np.linalg.norm(R, axis=1)
            if moved is None or not np.isfinite(norms).all():
                self.X[:] = before
                in_M = moved is None and self.failed_in_M
                return (Outcome.NONFINITE_PRECONDITIONER if in_M else Outcome.NONFINITE_OPERATOR), self._true_norms()
            if system.callback is not None and asks_to_stop(system.callback(self.X.T.copy())):
                return Outcome.STOPPED_BY_CALLBACK, self._true_norms()
            idle = idle + 1 if (norms[active] >= (1.0 - 1e-8) * former[active]).all() else 0
            if idle >= 3:
                return Outcome.STAGNATION, self._true_norms()

    def _true_norms(self) -> Array:
        return np.asarray(np.linalg.norm(self._residuals(), axis=1))

    def _independent(self, rows: Array, basis: Array, floor: float) -> tuple[Array, Array, Array]:
        """Rows = T^T Q + H^T basis with orthonormal rows of Q; directions below the floor are left out of T.

        Small pivots magnify what rounding left along the basis: Q is orthogonalised against it again.
        """
        blocks = self.blocks
        Q, T = _ranked(rows, floor, blocks.small)
        H = np.zeros((basis.shape[0], rows.shape[0]), dtype=blocks.small)
        for _ in range(2):
            if Q.shape[0] and basis.shape[0]:
                part = blocks.gram(basis, Q)
                H += part @ T
                Q, turn = _ranked(Q - blocks.combine(part, basis), 1e-3, blocks.small)
                T = turn @ T
        return Q, T, H

    def _cycle(self, R: Array, active: Array) -> Array | None:
        """One cycle for the active right-hand sides; returns all residuals, or None after NaN."""
        system, blocks, kept = self.system, self.blocks, self.U.shape[0]
        self.failed_in_M = False
        floor = max(
            10 * blocks.precision * float(np.linalg.norm(R[active])), 1e-3 * float(self.tolerances[active].min())
        )
        block, right, _ = self._independent(R[active], self.C, floor)
        left_out = R[active] - blocks.combine(right, block)
        size = self.m - kept
        Z: list[Array] = []
        basis = np.concatenate([self.C, block])
        G = np.zeros((self.m + self.B.shape[0] + 1, self.m), dtype=blocks.small)
        done = 0  # columns of Z
        rest = right
        y = np.zeros((0, active.size), dtype=blocks.small)
        while block.shape[0] and done + block.shape[0] <= size and self.steps < system.maxiter:
            p = block.shape[0]
            z = self._precondition(block)
            w = self._images(z)
            if not np.isfinite(w).all():
                self.failed_in_M = not np.isfinite(z).all()
                return None
            before = float(np.linalg.norm(w))
            rows, columns = basis.shape[0], slice(kept + done, kept + done + p)
            for _ in range(2):
                H = blocks.gram(basis, w)
                G[:rows, columns] += H
                w = w - blocks.combine(H, basis)
            fresh, T, H = self._independent(w, basis, 10 * blocks.precision * before)
            G[:rows, columns] += H
            G[rows : rows + fresh.shape[0], columns] = T
            Z.append(z)
            basis = np.concatenate([basis, fresh])
            done += p
            self.steps += p
            H = G[kept : basis.shape[0], kept : kept + done]
            wanted = np.zeros((H.shape[0], active.size), dtype=blocks.small)
            wanted[: right.shape[0]] = right
            y = np.linalg.lstsq(H, wanted, rcond=1e-14)[0]
            rest = wanted - H @ y
            norms = np.linalg.norm(R, axis=1)
            norms[active] = np.linalg.norm(rest, axis=0)
            system.residuals.append(self._relative(norms))
            system.times.append(time.perf_counter() - self.start)
            system.products.append(system.matvecs)
            block = fresh
            if (norms <= self.tolerances).all():
                break
        if done:
            stacked = np.concatenate(Z)
            step = blocks.combine(y, stacked)
            if kept:
                step = step - blocks.combine(G[:kept, kept : kept + done] @ y, self.U)
            self.X[active] += step
            R = R.copy()
            R[active] = left_out + blocks.combine(rest, basis[kept:])
            if self.k:
                inner = basis[kept : kept + done]
                found = next_space(
                    blocks, G[: basis.shape[0], : kept + done], basis, inner, stacked, self.U, self.P, self.k,
                    self.select, hermitian=bool(system.A.symmetric) and system.M is None,
                    precondition=None if system.M is None else self._precondition, stored=True,
                )  # fmt: skip
                if found is not None:
                    self.U, self.C, self.P, self.gain = found
        return R

    def _finish(self, B: Any, outcome: Outcome, norms: Array) -> SolveResult:
        system = self.system
        if outcome is Outcome.CONVERGED and not (norms <= self.tolerances).all():
            outcome = Outcome.STAGNATION
        elif (norms <= self.tolerances).all():
            outcome = Outcome.CONVERGED
        x: Any = np.ascontiguousarray(self.X.T).reshape(tuple(B.shape))
        if vectors.is_torch(B):
            import torch

            x = torch.as_tensor(x, device=B.device)
        steps = len(system.residuals)
        return SolveResult(
            x=x, info=max(1, steps) if outcome.code > 0 else outcome.code, outcome=outcome, iterations=steps,
            matvecs=system.matvecs, psolves=system.psolves, residuals=np.array(system.residuals, dtype=np.float64),
            residual=self._relative(norms), initial_residual=self.initial,
            times=np.array(system.times, dtype=np.float64), products=np.array(system.products, dtype=np.int64),
            setup_seconds=float(getattr(system.M, "setup_seconds", 0.0) or 0.0),
            solve_seconds=time.perf_counter() - self.start, method="block_gcrodr", recycle=self.space, note=system.note,
        )  # fmt: skip


def _ranked(rows: Array, floor: float, small: Any) -> tuple[Array, Array]:
    """Rows = T^T Q by a rank-revealing QR; pivots below the floor are left out."""
    Q, T, order = qr(rows.T, mode="economic", pivoting=True, check_finite=False)
    rank = int((np.abs(np.diagonal(T)) > floor).sum())
    turned = np.empty((rank, rows.shape[0]), dtype=small)
    turned[:, order] = T[:rank]
    return np.ascontiguousarray(Q[:, :rank].T), turned
