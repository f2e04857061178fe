"""Deflated conjugate gradients: a recycled space as the second level of the preconditioner.

Sources: Y. Saad, M. Yeung, J. Erhel and F. Guyomarc'h, "A deflated version of the conjugate gradient algorithm", SIAM J.
Sci. Comput. 21 (2000) 1909-1926; the form A-DEF2 of the deflation: J. M. Tang, R. Nabben, C. Vuik and Y. A. Erlangga,
"Comparison of two-level preconditioners derived from deflation, domain decomposition and multigrid methods", J. Sci.
Comput. 39 (2009) 340-370.

Departures from the sources:

1. Deflation enters through the preconditioner, ``z = (I - Q A) M r + Q r`` with ``Q = W W^H``, ``W^H A W = I``. The last
   term vanishes in exact arithmetic and takes out what rounding brings back: the residual stays orthogonal to W.
2. Ritz vectors of M A are harvested from windows of preconditioned residuals all along the solve (see `window`), not only
   from its first directions.
3. The true residual decides, as in `cg`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...linalg import vectors
from ..cg import finish_symmetric
from ..gate import System, check_count, enter
from ..result import Outcome, SolveResult
from .arnoldi import fit_preimages
from .carry import as_map, look
from .dense import Blocks, orthonormal_images
from .gcrodr import FINE, with_space
from .space import RecycleSpace, enter_space
from .window import Harvest, Window

__all__ = ["deflated_cg"]

HARVEST = ("ritz", "first", "none")


def deflated_cg(
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
    harvest: str = "ritz",
    same_operator: bool | None = None,
) -> SolveResult:
    """Solve A x = b by conjugate gradients that deflate a recycled space and harvest the next one.

    Parameters
    ----------
    A : matrix or operator, shape (n, n)
        Symmetric (Hermitian) positive definite.
    b, x0, rtol, atol, maxiter, M, callback
        As in `cg`; M must be fixed, symmetric and positive definite.
    recycle : RecycleSpace, optional
        Space to deflate; updated in place unless the solve fails. Without it a new one is made.
    k : int, optional
        Vectors to recycle; default that of `recycle`, or 10. With 0 the method is `cg`.
    window : int, optional
        Iterations between two harvests, default ``max(2 k, 40)``; as many vectors are stored (twice that with M).
    harvest : {"ritz", "first", "none"}
        Refresh the space after every window (and at the end), after the first only, or never.
    same_operator : bool, optional
        As in `gcrodr`.

    Returns
    -------
    SolveResult
        ``recycle`` holds the space. ``INDEFINITE_OPERATOR`` if A is not positive definite on the recycled space.

    Notes
    -----
    Beyond `cg`, an iteration costs ``6 n k`` flops in three calls of BLAS-2 (four with M), a harvest about
    ``4 n (k + window)^2``, and a new matrix k + 1 products (and one application of M).

    Examples
    --------
    >>> import numpy as np
    >>> A = np.diag(np.arange(1.0, 401.0) ** 1.5)
    >>> first = deflated_cg(A, np.ones(400), rtol=1e-8, k=8)
    >>> again = deflated_cg(A, np.ones(400) + np.eye(400)[7], rtol=1e-8, recycle=first.recycle)
    >>> again.success, again.iterations < 0.7 * first.iterations
    (True, True)
    """
    if harvest not in HARVEST:
        raise ValueError(f"harvest is {harvest!r}: wanted one of {', '.join(HARVEST)}")
    system = enter(
        "deflated_cg", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback,
        needs_symmetric=True, needs_definite=True,
    )  # fmt: skip
    space = enter_space(recycle, k, system.n, 10)
    length = max(2 * space.size, 40) if window is None else check_count("window", window, 1)
    if system.verdict is not None:
        return with_space(system.decided(), space)
    with np.errstate(all="ignore"):
        return _Solve(system, space, length, harvest, same_operator).result()


class _Solve:
    """One solve: set-up, iteration, harvest."""

    def __init__(self, system: System, space: RecycleSpace, length: int, harvest: str, same: bool | None) -> None:
        self.system, self.space, self.same, self.harvest = system, space, same, harvest
        self.blocks = Blocks(system.b)
        self.W, self.AW = self.blocks.empty(0), self.blocks.empty(0)
        self.P: Any = self.W
        self.token: str | None = None
        self.norm_of_A = 0.0
        self.length = min(length, max(system.n, 1))
        self.gathered = False

    def _images(self, rows: Any) -> Any:
        self.system.matvecs += rows.shape[0]
        return as_map(self.system.A, None)(rows)

    def _bring(self) -> Outcome | None:
        """Make the space A-orthonormal; INDEFINITE_OPERATOR if that shows A to be indefinite."""
        space, blocks = self.space, self.blocks
        if self.same is None:
            self.token, self.norm_of_A = look(self._images, blocks)
        elif self.same:
            self.token, self.norm_of_A = space.token, space._norm
        carried = space._bring(blocks, self._images, self.token, self.norm_of_A, self.same)
        if carried is None:
            self.system.note = "the recycled space gave NaN or infinity with this operator and was left out"
            return None
        if carried.U.shape[0] == 0:
            return None
        energy = blocks.gram(carried.U, carried.C)
        lengths = blocks.lengths(carried.U)
        energy = 0.5 * (energy + energy.conj().T) / lengths[:, None] / lengths
        values, Q = np.linalg.eigh(energy)
        floor = 100 * blocks.precision * max(self.norm_of_A, float(np.abs(values).max()))
        if values[0] < -floor:
            return Outcome.INDEFINITE_OPERATOR
        good = values > floor
        T = Q[:, good] / np.sqrt(values[good]) / lengths[:, None]
        P = fit_preimages(self.system, blocks, carried)
        self.P = None if P is None else blocks.combine(T, P)
        self.W, self.AW = blocks.combine(T, carried.U), blocks.combine(T, carried.C)
        return None

    def _project(self, x: Any, r: Any) -> float:
        """Move x by the best step in the space; afterwards r is orthogonal to W."""
        if self.W.shape[0]:
            h = self.blocks.dots(self.W, r)
            self.blocks.add(self.W, h, x)
            self.blocks.add(self.AW, h, r, -1.0)
        return vectors.norm(r)

    def result(self) -> SolveResult:
        system, x = self.system, self.system.x
        r = vectors.empty(system.n, system.b)
        norm = system.start(r)
        if norm <= system.tolerance or not np.isfinite(norm):
            outcome = Outcome.CONVERGED if norm <= system.tolerance else Outcome.NONFINITE_OPERATOR
            return system.finish(x, outcome, norm=norm, recycle=self.space)
        if self.space.size and self.space.k:
            outcome_of_space = self._bring()
            if outcome_of_space is not None:
                return with_space(finish_symmetric(system, x, r, outcome_of_space), self.space)
            norm = self._project(x, r)
        outcome, norm_of_x = self._iterate(x, r, norm)
        if outcome in FINE:
            self._hand_on()
        if outcome is Outcome.CONVERGED or outcome is Outcome.STAGNATION:
            return system.finish(x, outcome, norm=norm_of_x, recycle=self.space)
        return with_space(finish_symmetric(system, x, r, outcome), self.space)

    def _iterate(self, x: Any, r: Any, norm: float) -> tuple[Outcome, float]:
        system, blocks, W, AW = self.system, self.blocks, self.W, self.AW
        deflating = W.shape[0] > 0
        y = r if system.M is None else vectors.empty(system.n, r)
        z = vectors.empty(system.n, r) if deflating else y
        p, q = vectors.empty(system.n, r), vectors.empty(system.n, r)
        preconditioned = system.M is not None
        third = W if not preconditioned else self.P
        if third is None:  # nothing is known of M^-1 W: harvest from this solve alone
            self.best = Harvest(blocks, self.space.size, *(blocks.empty(0) for _ in range(3)))
        else:
            self.best = Harvest(blocks, self.space.size, W, AW, third)
        harvesting = self.harvest != "none" and self.space.size > 0
        held = self.window = Window(blocks, self.length, W.shape[0], preconditioned)
        checked, fresh, rho, h = np.inf, True, 1.0, None
        former_step = 0.0
        for _ in range(system.maxiter):
            if norm <= system.tolerance:
                norm = system.residual_into(x, r)
                if norm <= system.tolerance:
                    return Outcome.CONVERGED, norm
                if norm > 0.5 * checked:
                    return Outcome.STAGNATION, norm
                checked, fresh = norm, True
                norm = self._project(x, r)
            if preconditioned:
                system.precondition(r, y)
            if deflating:
                h = blocks.dots(W, r) - blocks.dots(AW, y)
                vectors.copy(y, z)
                blocks.add(W, h, z)
            rho_new = float(np.real(vectors.dot(r, z))) if preconditioned or deflating else norm * norm
            if not (np.isfinite(rho_new) and rho_new > 0.0):
                finite = np.isfinite(rho_new)
                return Outcome.INDEFINITE_PRECONDITIONER if finite else Outcome.NONFINITE_PRECONDITIONER, norm
            turn = 0.0 if fresh else rho_new / rho
            if fresh:
                vectors.copy(z, p)
                held.restart()
            else:
                vectors.xpby(z, turn, p)
            curvature = system.product_dot(p, q)
            if not np.isfinite(curvature):
                return Outcome.NONFINITE_OPERATOR, norm
            if curvature <= 0.0:
                return Outcome.INDEFINITE_OPERATOR, norm
            step = rho_new / curvature
            if harvesting:
                # v_j = y_j / sqrt(rho_j); A y_j = q_j - turn_j q_(j-1) - A W h_j and q_j = (r_j - r_(j+1)) / step_j
                root, j = rho_new**0.5, held.count
                held.push(r, y, 1.0 / root)
                if j < held.length + 1:
                    held.in_S[j, j] = 1.0 / step + (0.0 if fresh else turn / former_step)
                    if j > 0:
                        held.in_S[j - 1, j] = held.in_S[j, j - 1] = -(turn**0.5) / former_step
                    if h is not None:
                        held.in_C[:, j] = -h / root
                elif j == held.length + 1:
                    held.in_S[j, j - 1] = -(turn**0.5) / former_step
                    self._gather()
                    held.roll()
                    held.in_S[0, 1] = held.in_S[1, 0]
                    held.in_S[1, 1] = 1.0 / step + turn / former_step
                    if h is not None:
                        held.in_C[:, 1] = -h / root
                    harvesting = self.harvest == "ritz"
            rho, fresh, former_step = rho_new, False, step
            former, norm = norm, float(np.sqrt(vectors.cg_step(step, p, q, x, r)))
            system.record(norm)
            system.step_up(former, norm, x, step, p)
            if system.report(x):
                return Outcome.STOPPED_BY_CALLBACK, norm
        if norm <= system.tolerance:
            norm = system.residual_into(x, r)
            return (Outcome.CONVERGED if norm <= system.tolerance else Outcome.STAGNATION), norm
        return Outcome.ITERATION_LIMIT, norm

    def _gather(self) -> None:
        self.best.take(self.window, self.AW, None, harmonic=False)
        self.gathered = True

    def _hand_on(self) -> None:
        """Harvest the last window and store the space."""
        if self.harvest == "ritz" or (self.harvest == "first" and not self.gathered):
            self._gather()
        best, blocks = self.best, self.blocks
        if self.harvest == "none" or best.W.shape[0] == 0 or self.space.size == 0:
            return
        if self.token is None and self.space.storage != "float32":
            self.token, self.norm_of_A = look(self._images, blocks)
        U, C, T, source = orthonormal_images(blocks, best.W, best.AW, self.norm_of_A)
        P = blocks.combine(T, best.third) if self.system.M is not None else None
        self.space._store(U, C, P, best.gain[source], self.token, self.norm_of_A)
