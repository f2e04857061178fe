"""MINRES on the part of the space that a recycled one leaves over, for symmetric indefinite systems.

Source: S. Wang, E. de Sturler and G. H. Paulino, "Large-scale topology optimization using preconditioned Krylov subspace
methods with recycling", Int. J. Numer. Meth. Engng 69 (2007) 2441-2468; the recurrences of MINRES as in C. C. Paige and
M. A. Saunders, SIAM J. Numer. Anal. 12 (1975) 617-629.

With ``C = A U`` and ``C^H M C = I`` the Lanczos process runs on ``(I - C C^H M) A``; the recurrences stay short.

Departures from the source:

1. The parts ``C^H M A v`` that the projection takes away go through the same short recurrence as the directions, as
   k numbers each, so that x is corrected in the space U without storing the Lanczos vectors.
2. Preconditioning is that of the inner product of M (M symmetric positive definite); the space is still kept in solution
   coordinates, and a new matrix or a new M costs k applications of M.
3. The residual is projected again whenever the true one replaces the recurrence, and the true residual decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import vectors
from ..cg import finish_symmetric
from ..gate import System, check_count, enter
from ..result import Outcome, SolveResult
from .carry import as_map, look
from .dense import Blocks, apply_to_rows, orthonormal_images
from .gcrodr import FINE, with_space
from .space import RecycleSpace, enter_space
from .window import Harvest, Window

__all__ = ["recycled_minres"]

Array = npt.NDArray[Any]


def recycled_minres(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    recycle: RecycleSpace | None = None,
    k: int | None = None,
    window: int | None = None,
    same_operator: bool | None = None,
) -> SolveResult:
    """Solve A x = b, A symmetric, by MINRES that recycles a space.

    Parameters
    ----------
    A : matrix or operator, shape (n, n)
        Symmetric (Hermitian), definite or not.
    b, x0, rtol, atol, maxiter, callback
        As in `minres`.
    M : matrix or operator, shape (n, n), optional
        Approximate inverse of A (of its absolute value), symmetric positive definite and fixed.
    recycle : RecycleSpace, optional
        Space to start from; updated in place unless the solve fails. Without it a new one is made.
    k : int, optional
        Vectors to recycle; default that of `recycle`, or 10.
    window : int, optional
        Iterations between two harvests of harmonic Ritz vectors, default ``max(4 k, 60)``;
        a short one gives vectors that do not help an indefinite system.
    same_operator : bool, optional
        As in `gcrodr`.

    Returns
    -------
    SolveResult
        ``recycle`` holds the space.

    Notes
    -----
    Beyond `minres`, an iteration costs ``4 n k`` flops in two calls of BLAS-2, a harvest about ``6 n (k + window)^2``, and
    a new matrix k + 1 products and k applications of M.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.diag(np.concatenate([-np.arange(1.0, 6.0), np.arange(1.0, 300.0)]))
    >>> first = recycled_minres(A, np.ones(304), rtol=1e-8, k=8)
    >>> again = recycled_minres(A, np.ones(304) + np.eye(304)[7], rtol=1e-8, recycle=first.recycle)
    >>> again.success, again.iterations < 0.7 * first.iterations
    (True, True)
    """
    system = enter(
        "recycled_minres", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback,
        default_maxiter=lambda n: 5 * n, needs_symmetric=True,
    )  # fmt: skip
    if system.M is not None and system.M.positive_definite is False and system.verdict is None:
        system.verdict = Outcome.INDEFINITE_PRECONDITIONER
    space = enter_space(recycle, k, system.n, 10)
    length = max(4 * space.size, 60) if window is None else check_count("window", window, 1)
    if system.verdict is not None:
        return with_space(system.decided(), space)
    with np.errstate(all="ignore"):
        return _Solve(system, space, min(length, max(system.n, 1)), same_operator).result()


class _Solve:
    """One solve: set-up, iteration, harvest."""

    def __init__(self, system: System, space: RecycleSpace, length: int, same: bool | None) -> None:
        self.system, self.space, self.same, self.length = system, space, same, length
        self.blocks = Blocks(system.b)
        self.U = self.C = self.MC = self.blocks.empty(0)
        self.token: str | None = None
        self.norm_of_A = 0.0

    def _images(self, rows: Any) -> Any:
        self.system.matvecs += rows.shape[0]
        return as_map(self.system.A, None)(rows)

    def _bring(self) -> None:
        """Make ``C = A U`` orthonormal in the inner product of M."""
        space, blocks, system = self.space, self.blocks, self.system
        if self.same is None:
            self.token, self.norm_of_A = look(self._images, blocks)
        elif self.same:
            self.token, self.norm_of_A = space.token, space._norm
        carried = space._bring(blocks, self._images, self.token, self.norm_of_A, self.same)
        note = "the recycled space gave NaN or infinity with this operator or preconditioner and was left out"
        if carried is None:
            system.note = note
            return
        if carried.U.shape[0] == 0:
            return
        U, C, MC = carried.U, carried.C, carried.C
        if system.M is not None:
            system.psolves += C.shape[0]
            MC = apply_to_rows(system.M, C)
            inner = blocks.gram(C, MC)
            inner = 0.5 * (inner + inner.conj().T)
            if not np.isfinite(inner).all():
                system.note = note
                return
            values, Q = np.linalg.eigh(inner)
            good = values > 1e-12 * values[-1]  # an indefinite M shows itself in the iteration, too
            T = Q[:, good] / np.sqrt(values[good])
            U, C, MC = (blocks.combine(T, block) for block in (U, C, MC))
        self.U, self.C, self.MC = U, C, MC

    def _project(self, x: Any, r: Any) -> float:
        """Move x by the best step in the space, and r with it."""
        if self.U.shape[0]:
            h = self.blocks.dots(self.MC, r)
            self.blocks.add(self.U, h, x)
            self.blocks.add(self.C, h, r, -1.0)
        return vectors.norm(r)

    def result(self) -> SolveResult:
        system, x = self.system, self.system.x
        r = vectors.empty(system.n, system.b)
        norm = system.start(r)
        if norm <= system.tolerance or not np.isfinite(norm):
            outcome = Outcome.CONVERGED if norm <= system.tolerance else Outcome.NONFINITE_OPERATOR
            return system.finish(x, outcome, norm=norm, recycle=self.space)
        guess = x.clone() if vectors.is_torch(x) else x.copy()
        if self.space.size and self.space.k:
            self._bring()
            norm = self._project(x, r)
        outcome, true = self._iterate(x, r, norm)
        if outcome in FINE:
            self._hand_on()
        if true is None:
            true = system.residual_into(x, r)
        if not true <= system.initial_residual * system.scale:  # worse than the guess: give that back
            x = guess
            return with_space(finish_symmetric(system, x, r, outcome), self.space)
        if outcome in (Outcome.INDEFINITE_PRECONDITIONER, Outcome.BREAKDOWN):
            outcome = system.explain(outcome, r)
        return system.finish(x, outcome, norm=true, recycle=self.space)

    def _iterate(self, x: Any, r: Any, norm: float) -> tuple[Outcome, float | None]:
        system = self.system
        preconditioned = system.M is not None
        self.best = Harvest(self.blocks, self.space.size, self.U, self.C, self.MC if preconditioned else self.C)
        self.window = Window(self.blocks, self.length, self.U.shape[0], preconditioned)
        checked = np.inf
        self.directions = [vectors.zeros_like(r) for _ in range(2)]
        self.vectors = [vectors.empty(system.n, r) for _ in range(3)]
        self.y = vectors.empty(system.n, r) if preconditioned else None
        self.residual = vectors.empty(system.n, r)
        while True:
            outcome = self._lanczos(x, r, norm)
            norm = system.residual_into(x, r)
            if outcome is not None and outcome is not Outcome.CONVERGED:
                return outcome, norm
            if norm <= system.tolerance:
                return Outcome.CONVERGED, norm
            if outcome is None:
                return Outcome.ITERATION_LIMIT, norm
            if norm > 0.5 * checked:
                return self._why_stuck(r, norm), norm
            checked = norm
            norm = self._project(x, r)
            self.window.restart()

    def _why_stuck(self, r: Any, norm: float) -> Outcome:
        """Stagnation, or a least-squares solution of an inconsistent system (A r = 0)."""
        image = vectors.empty(self.system.n, r)
        self.system.product(r, image)
        size = self.norm_of_A or 1.0
        return Outcome.INCONSISTENT if vectors.norm(image) <= 1e-6 * size * norm else Outcome.STAGNATION

    def _lanczos(self, x: Any, r: Any, norm: float) -> Outcome | None:
        """Iterate from the residual r, changing x; CONVERGED when the recurrence says so, None at the limit."""
        system, blocks, held = self.system, self.blocks, self.window
        U, C, MC, count = self.U, self.C, self.MC, self.U.shape[0]
        former, current, scratch = self.vectors
        before, last = self.directions
        for vector in (before, last, former):
            vector[:] = 0.0
        vectors.copy(r, current)
        y = current if self.y is None else self.y
        if self.y is not None:
            system.precondition(current, y)
            vectors.copy(current, self.residual)
        v = vectors.zeros_like(r)
        squared = float(np.real(vectors.dot(current, y)))
        if not (np.isfinite(squared) and squared > 0.0):
            return Outcome.INDEFINITE_PRECONDITIONER if np.isfinite(squared) else Outcome.NONFINITE_PRECONDITIONER
        beta = phibar = squared**0.5
        old = dbar = epsln = sn = largest = 0.0
        cs = -1.0
        taken: Array = np.zeros(count, dtype=blocks.small)  # U^+ part of x that is owed
        part_before, part_last = np.zeros_like(taken), np.zeros_like(taken)
        outcome: Outcome | None = None
        while len(system.residuals) < system.maxiter:
            j = held.count
            held.push(current, y, 1.0 / beta)
            vectors.axpby(1.0 / beta, y, 0.0, v)
            system.product(v, scratch)
            if count:
                h = blocks.dots(MC, scratch)
                blocks.add(C, h, scratch, -1.0)
            else:
                h = taken
            if old:
                vectors.axpy(-beta / old, former, scratch)
            alpha = float(np.real(vectors.dot(v, scratch)))
            vectors.axpy(-alpha / beta, current, scratch)
            former, current, scratch = current, scratch, former
            if self.y is None:
                y = current
            else:
                system.precondition(current, y)
            squared = float(np.real(vectors.dot(current, y)))
            if not (np.isfinite(squared) and np.isfinite(alpha)):
                fine = np.isfinite(alpha) and np.isfinite(vectors.norm(current))
                outcome = (
                    Outcome.NONFINITE_PRECONDITIONER if fine and self.y is not None else Outcome.NONFINITE_OPERATOR
                )
                break
            if squared < 0.0:
                outcome = Outcome.INDEFINITE_PRECONDITIONER
                break
            self._note(j, alpha, beta if old else 0.0, squared**0.5, h)
            old, beta = beta, squared**0.5
            old_epsln = epsln
            delta = cs * dbar + sn * alpha
            gbar = sn * dbar - cs * alpha
            epsln = sn * beta
            dbar = -cs * beta
            gamma = float(np.hypot(gbar, beta))
            largest = max(largest, gamma)
            if gamma <= 10 * blocks.precision * largest:  # the next direction would be noise
                outcome = Outcome.CONVERGED
                break
            cs, sn = gbar / gamma, beta / gamma
            phi, phibar = cs * phibar, sn * phibar
            vectors.axpby(1.0 / gamma, v, -old_epsln / gamma, before)
            vectors.axpy(-delta / gamma, last, before)
            before, last = last, before
            vectors.axpy(phi, last, x)
            if count:
                part_before, part_last = part_last, (h - old_epsln * part_before - delta * part_last) / gamma
                taken = taken + phi * part_last
            if self.y is None:
                norm = abs(phibar)
            else:
                vectors.scale(sn * sn, self.residual)
                if beta > 0.0:
                    vectors.axpy(-cs * phibar / beta, current, self.residual)
                norm = vectors.norm(self.residual)
            system.record(norm)
            if system.callback is not None:
                blocks.add(U, taken, x, -1.0)
                taken = np.zeros_like(taken)
                if system.report(x):
                    outcome = Outcome.STOPPED_BY_CALLBACK
                    break
            if norm <= system.tolerance or beta <= 10 * blocks.precision * largest:
                outcome = Outcome.CONVERGED
                break
        if count:
            blocks.add(U, taken, x, -1.0)
        return outcome

    def _note(self, j: int, alpha: float, beta: float, following: float, h: Array) -> None:
        """Write down how the image of the j-th vector of the window is combined; harvest a full window."""
        held = self.window
        if held.full:
            self.best.take(held, self.C, self.MC, harmonic=True)
            held.roll()
            j = 1
        held.in_S[j, j], held.in_S[j + 1, j] = alpha, following
        if j > 0:
            held.in_S[j - 1, j] = beta
        if h.shape[0]:
            held.in_C[:, j] = h

    def _hand_on(self) -> None:
        """Harvest the last window and store the space."""
        best, blocks = self.best, self.blocks
        best.take(self.window, self.C, self.MC, harmonic=True)
        if best.W.shape[0] == 0 or self.space.size == 0:
            return
        if self.token is None and self.space.storage != "float32":
            self.token, self.norm_of_A = look(self._images, blocks)
        U, C, _, source = orthonormal_images(blocks, best.W, best.AW, self.norm_of_A)
        self.space._store(U, C, None, best.gain[source], self.token, self.norm_of_A)
