"""GCRO-DR: GMRES with deflated restarting that recycles its deflation space for the next system.

Sources: M. L. Parks, E. de Sturler, G. Mackey, D. D. Johnson and S. Maiti, "Recycling Krylov subspaces for sequences of
linear systems", SIAM J. Sci. Comput. 28 (2006) 1651-1674; flexible form: L. M. Carvalho, S. Gratton, R. Lago and
X. Vasseur, "A flexible generalized conjugate residual method with inner orthogonalization and deflated restarting", SIAM
J. Matrix Anal. Appl. 32 (2011) 1212-1235.

Departures from the sources:

1. Preconditioning is from the right, and U is kept in solution coordinates (see `space`), so that the residual that is
   minimised is the true one and a new preconditioner costs nothing. (``side="left"`` is there to reproduce others' runs.)
2. The space is refreshed after every cycle, also a short last one, and k grows back after short solves.
3. When the recurrence says that the tolerance is met, the true residual is computed. If it disagrees, it replaces the
   recurrence and C is made anew; two replacements that do not halve the true residual end the solve as stagnation.
4. A recycled space that brings NaN is dropped and the solve starts again without it; the note of the result says so.
5. Harmonic Ritz vectors come from an ordered Schur form (see `harmonic`), orthogonalisation is done twice (see `arnoldi`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ...linalg import vectors
from ..gate import System, check_count, enter
from ..result import Outcome, SolveResult
from .arnoldi import Cycle, fit_preimages
from .carry import Carried, as_map, look
from .dense import Blocks
from .harmonic import SELECT
from .space import RecycleSpace, enter_space

__all__ = ["FINE", "check_side", "gcrodr", "run", "with_space"]

FINE = (Outcome.CONVERGED, Outcome.ITERATION_LIMIT, Outcome.STOPPED_BY_CALLBACK)  # ends after which a space is kept


def gcrodr(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    restart: int = 40,
    k: int | None = None,
    recycle: RecycleSpace | None = None,
    flexible: bool = True,
    select: str = "sm",
    same_operator: bool | None = None,
    side: str = "right",
) -> SolveResult:
    """Solve A x = b by GCRO-DR(restart, k), starting from a recycled space and leaving a better one.

    Parameters
    ----------
    A : matrix or operator, shape (n, n)
        Any square operator. If it is declared symmetric and M is None, harmonic Ritz vectors come from a Hermitian
        eigenproblem.
    b : array_like or tensor, shape (n,)
        Right-hand side.
    x0 : array_like, optional
        Initial guess; zero by default. It is improved by the recycled space at once.
    rtol, atol : float
        Stop when ``norm(b - A x) <= max(rtol * norm(b), atol)``.
    maxiter : int, optional
        Most products with A inside the cycles, default ``10 n``.
    M : matrix or operator, shape (n, n), optional
        Approximate inverse of A, from the right; it may change at every call if `flexible`.
    callback : callable, optional
        Called after each cycle with the iterate; returning True stops the solve.
    restart : int
        Dimension of the space of a cycle, recycled vectors included: a cycle takes ``restart - k`` steps, or `restart`
        while there are none.
    k : int, optional
        Vectors to recycle; default that of `recycle`, or 20. With 0 the method is GMRES(restart).
    recycle : RecycleSpace, optional
        Space to start from; updated in place unless the solve fails. Without it a new one is made.
    flexible : bool
        Keep what M made of each basis vector (``restart`` more vectors), so that M may change between calls. If False, M
        must be fixed, and a cycle costs up to ``k + 2`` applications of M more.
    select : {"sm", "lm", "sr", "lr", "si", "li"}
        Which harmonic Ritz values to keep: smallest or largest in magnitude, real part or imaginary part.
    same_operator : bool, optional
        Whether A is that of the solve that left the space (so that C needs not be made anew); None: find out, by one
        product.
    side : {"right", "left"}
        With ``"left"`` the method runs on ``M A x = M b`` and stops when ``norm(M (b - A x)) <= rtol * norm(M b)``, as
        the authors of some published runs did. The result still tells the true residual and reports success only if that
        meets the tolerance. M must be fixed.

    Returns
    -------
    SolveResult
        ``recycle`` holds the space.

    Raises
    ------
    TypeError, ValueError
        For bad arguments, and for a space whose vectors do not have n entries.

    Notes
    -----
    Per step one product with A, one application of M and ``8 n p`` flops, p being the dimension so far, in four calls of
    BLAS-2; per cycle ``2 n k (2 restart + k)`` flops for the new space; per new matrix k + 1 products. Memory: at most
    ``restart + 4 k + 8`` vectors beside b, and ``restart + 2 k`` more with M.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.diag(np.arange(1.0, 101.0))
    >>> first = gcrodr(A, np.ones(100), rtol=1e-8, restart=20, k=5)
    >>> again = gcrodr(A, np.ones(100) + np.eye(100)[7], rtol=1e-8, restart=20, recycle=first.recycle)
    >>> again.success, again.iterations < 0.7 * first.iterations
    (True, True)
    """
    left, flexible = check_side(side, select, flexible)
    system = enter(
        "gcrodr",
        A,
        b,
        x0,
        rtol=rtol,
        atol=atol,
        maxiter=maxiter,
        M=M,
        callback=callback,
        flexible=flexible and not left,
    )
    m = check_count("restart", restart, 1)
    space = enter_space(recycle, k, system.n)
    if same_operator not in (None, True, False):
        raise ValueError(f"same_operator is {same_operator!r}: wanted True, False or None (find out)")
    return run(system, m, space, flexible=flexible, select=select, same=same_operator, left=left, relative=rtol)


def check_side(side: str, select: str, flexible: bool) -> tuple[bool, bool]:
    """Check three options that several methods share; returns (left, flexible)."""
    if side not in ("right", "left"):
        raise ValueError(f"side is {side!r}: wanted 'right' or 'left'")
    if select not in SELECT:
        raise ValueError(f"select is {select!r}: wanted one of {', '.join(SELECT)}")
    if not isinstance(flexible, (bool, np.bool_)):
        raise TypeError(f"flexible is {flexible!r}: wanted True or False")
    return side == "left", bool(flexible)


def run(
    system: System, m: int, space: RecycleSpace, *, flexible: bool, select: str, same: bool | None = None,
    left: bool = False, relative: float = 0.0, keep: bool = True,
) -> SolveResult:  # fmt: skip
    """Solve a checked system; with `keep` False the space is not handed on."""
    if system.verdict is not None:
        result = system.decided()
        return with_space(result, space if keep else None)
    m = max(1, min(m, max(system.n, 1)))
    with np.errstate(all="ignore"):
        return _Solve(system, m, space, flexible, select, same, left, relative, keep).result()


def with_space(result: SolveResult, space: RecycleSpace | None) -> SolveResult:
    """Return the result with the space in it."""
    return dataclasses.replace(result, recycle=space)


class _Solve:
    """One solve: set-up, cycles, the end."""

    def __init__(
        self, system: System, m: int, space: RecycleSpace, flexible: bool, select: str, same: bool | None,
        left: bool, relative: float, keep: bool,
    ) -> None:  # fmt: skip
        self.system, self.space, self.same, self.keep, self.relative = system, space, same, keep, relative
        self.blocks = Blocks(system.b)
        self.left = left and system.M is not None
        self.token: str | None = None
        self.norm_of_A = 0.0
        k = min(space.size, max(m - 2, 0))
        self.cycle = Cycle(system, self.blocks, m, k, left=self.left, flexible=flexible, select=select)
        self.tolerance = system.tolerance

    def result(self) -> SolveResult:
        system, x = self.system, self.system.x
        r = vectors.empty(system.n, system.b)
        norm = system.start(r)
        if norm <= system.tolerance or not np.isfinite(norm):
            outcome = Outcome.CONVERGED if norm <= system.tolerance else Outcome.NONFINITE_OPERATOR
            return system.finish(x, outcome, norm=norm, recycle=self.space if self.keep else None)
        if self.left:
            norm = self._from_the_left(r)
            if not np.isfinite(norm):
                return self._end(x, Outcome.NONFINITE_PRECONDITIONER, None, False)
        if self.cycle.k and self.space.k:
            start = x.clone() if vectors.is_torch(x) else x.copy()
            residual = r.clone() if vectors.is_torch(r) else r.copy()
            if self._bring():
                projected = self.cycle.project(x, r)
                if np.isfinite(projected):
                    norm = projected
                else:
                    self._drop()
            if self.cycle.kept == 0:
                vectors.copy(start, x)
                vectors.copy(residual, r)
        return self._iterate(x, r, norm)

    # --- set-up -----------------------------------------------------------------------------------------------------

    def _from_the_left(self, r: Any) -> float:
        """Precondition the residual and the tolerance."""
        system = self.system
        scratch = vectors.empty(system.n, r)
        system.precondition(system.b, scratch)
        self.tolerance = max(self.relative * vectors.norm(scratch), 0.0)
        system.precondition(r, scratch)
        vectors.copy(scratch, r)
        return vectors.norm(r)

    def _images(self, rows: Any) -> Any:
        self.system.matvecs += rows.shape[0]
        if self.left:
            self.system.psolves += rows.shape[0]
        return as_map(self.system.A, self.system.M if self.left else None)(rows)

    def _bring(self) -> bool:
        """Make the recycled space ready for this operator; says whether it can be used."""
        if self.same is None:
            self.token, self.norm_of_A = look(self._images, self.blocks)
        elif self.same:
            self.token, self.norm_of_A = self.space.token, self.space._norm
        carried = self.space._bring(self.blocks, self._images, self.token, self.norm_of_A, self.same)
        if carried is None:
            self._drop()
            return False
        cycle = self.cycle
        P = None if self.left else fit_preimages(self.system, self.blocks, carried)
        cycle.adopt(carried.U, carried.C, P, carried.gain)
        return cycle.kept > 0

    def _drop(self) -> None:
        """Leave the recycled space out of this solve."""
        self.cycle.adopt(self.blocks.empty(0), self.blocks.empty(0), None, np.empty(0))
        self.system.note = "the recycled space gave NaN or infinity with this operator and was left out"

    # --- the iteration -------------------------------------------------------------------------------------------------

    def _true(self, x: Any, r: Any) -> float:
        """Recompute the residual that the iteration sees; returns its norm."""
        norm = self.system.residual_into(x, r)
        if self.left:
            self.system.precondition(r, self.cycle.scratch)
            vectors.copy(self.cycle.scratch, r)
            norm = vectors.norm(r)
        return norm

    def _iterate(self, x: Any, r: Any, norm: float) -> SolveResult:
        system, cycle = self.system, self.cycle
        outcome = Outcome.ITERATION_LIMIT
        kept = vectors.empty(system.n, r)
        checked, idle, exhausted, redone = np.inf, 0, False, False
        true: float | None = None
        while True:
            if norm <= self.tolerance or exhausted:
                before, norm = norm, self._true(x, r)
                true = norm
                if norm <= self.tolerance:
                    outcome = Outcome.CONVERGED
                    break
                if not norm <= 0.5 * checked:
                    outcome = Outcome.STAGNATION
                    break
                checked, exhausted = norm, False
                if norm > 2.0 * before and cycle.kept:
                    self._renew()
            if len(system.residuals) >= system.maxiter:
                break
            norm = cycle.project(x, r)  # a residual that has fallen far in one cycle is not orthogonal to C to rounding
            if norm <= self.tolerance:
                continue
            vectors.copy(x, kept)
            steps, exhausted, finite = cycle.run(r, norm, self.tolerance, system.maxiter - len(system.residuals))
            former, norm = norm, cycle.step(x, r, steps, norm, exhausted)
            true = None
            if finite and norm <= (1.0 + 1e-8) * former:
                cycle.update(steps, exhausted)
            elif finite or not self._redo(redone):  # rounding, or an M that is not linear, spoiled the update
                vectors.copy(kept, x)
                norm = self._true(x, r)
                if not finite:
                    outcome = Outcome.NONFINITE_PRECONDITIONER if cycle.failed_in_M else Outcome.NONFINITE_OPERATOR
                    break
            else:  # NaN while a recycled space was in use: once more without it
                redone = True
                self._drop()
                vectors.copy(kept, x)
                norm = self._true(x, r)
                continue
            if system.callback is not None and system.report(x):
                outcome = Outcome.STOPPED_BY_CALLBACK
                break
            idle = idle + 1 if norm >= (1.0 - 1e-8) * former else 0
            if idle >= 3:
                outcome = Outcome.STAGNATION
                break
        return self._end(x, outcome, None if self.left else true, True)

    def _redo(self, redone: bool) -> bool:
        return not redone and self.cycle.kept > 0

    def _renew(self) -> None:
        """Make C = A U anew: the recurrences have drifted."""
        cycle = self.cycle
        now = RecycleSpace(self.space.size)
        now._store(cycle.U, None, cycle.P, cycle.gain, None)
        carried: Carried | None = now._bring(self.blocks, self._images, None, self.norm_of_A, False)
        if carried is None:
            self._drop()
        else:
            cycle.adopt(carried.U, carried.C, carried.P, carried.gain)

    def _end(self, x: Any, outcome: Outcome, norm: float | None, iterated: bool) -> SolveResult:
        system, cycle = self.system, self.cycle
        if iterated and self.keep and cycle.k and cycle.kept and outcome in FINE:
            if self.token is None and self.space.storage != "float32":
                self.token, self.norm_of_A = look(self._images, self.blocks)
            self.space._store(cycle.U, cycle.C, cycle.P, cycle.gain, self.token, self.norm_of_A)
        if self.left and outcome is Outcome.CONVERGED:
            norm = system.residual_into(x, vectors.empty(system.n, system.b))
            if norm > system.tolerance:
                system.note = "the preconditioned residual met the tolerance, the true one did not"
        if outcome is Outcome.STAGNATION and system.A.symmetric and norm is not None and norm > system.tolerance:
            outcome = _why_stuck(system, x, norm)
        return system.finish(x, outcome, norm=norm, recycle=self.space if self.keep else None)


def _why_stuck(system: System, x: Any, norm: float) -> Outcome:
    """Stagnation, or a least-squares solution of an inconsistent symmetric system (A r = 0)."""
    r, image = vectors.empty(system.n, x), vectors.empty(system.n, x)
    system.residual_into(x, r)
    system.product(r, image)
    return Outcome.INCONSISTENT if vectors.norm(image) <= 1e-10 * norm else Outcome.STAGNATION
