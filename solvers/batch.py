"""Many systems at once: those on one grid run side by side through conjugate gradients and multigrid.

The numbers of m systems stand interleaved, entry by entry, so every inner loop runs over whole vector registers whatever the
length of a row, and one compiled call serves all of them. Each system keeps its own step lengths; one that has
converged stands still, and leaves the batch as soon as half of the batch has. The true residual of every system is computed
at the end with its own operator; where it misses the tolerance, the system is solved once more on its own.

Grids too small to be worth several threads (`SMALL`) leave these to the batches: every thread has a batch of its own,
and none ever waits for another. Its arrays are used again for the next batch of the same size.
"""

from __future__ import annotations

import copy
import os
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..linalg import Grid, Operator, StencilOperator, as_operator, vectors
from ..linalg.kernels import batch as kernels
from ..linalg.kernels.multigrid import SERIAL
from ..linalg.threads import get_threads
from . import precond
from .cg import cg
from .gate import check_count, check_tolerance
from .precond.multigrid.hierarchy import Hierarchy
from .precond.multigrid.levels import Runs, box, wraps_of
from .precond.multigrid.preconditioner import run_cycle
from .precond.multigrid.schedule import chebyshev_coefficients, one_cycle, scratch_sizes
from .precond.multigrid.settings import Settings, settings
from .result import Outcome, SolveResult
from .solve import solve

__all__ = ["solve_batch"]

Array = npt.NDArray[Any]
Preset = str | os.PathLike[str]
COARSEST = 64
MAXITER = 200
SMALL = SERIAL  # cells (of an even number along each axis) up to which a batch stays on one thread, its set-up included
LARGE = 3 * 2**14  # cells beyond which systems side by side are no faster than one by one
WORTH = 2.0  # steps that a system must have before it to be worth the copies of a smaller batch
ALONE = 2**60  # entries up to which one thread does the work: all there are


def solve_batch(
    problems: Iterable[Any],
    *,
    rtol: float = 1e-6,
    atol: float = 0.0,
    width: int | None = None,
    preset: Preset = "tuned",
) -> list[SolveResult]:
    """Solve many systems, those that share a grid together.

    Parameters
    ----------
    problems : iterable
        Problems (objects with ``A`` and ``b``) or pairs ``(A, b)``, of any mixture.
    rtol, atol : float
        Stop each system when ``norm(b - A x) <= max(rtol * norm(b), atol)``.
    width : int, optional
        Most systems that run side by side; by default 8 on grids of up to 8,192 cells, 4 up to 49,152, and one by one
        beyond, where neighbours in memory gain nothing.
    preset : str or path
        Constants of the multigrid cycle, see `precond.multigrid`.

    Returns
    -------
    list of SolveResult
        In the order of the problems. Seconds are the share of each system in those of its batch; ``method`` is
        ``"batched cg"`` for the systems of a batch.

    Raises
    ------
    TypeError, ValueError
        If an entry is no system; the message names its index.

    Notes
    -----
    Batches are made of real `StencilOperator` systems without null space and without negative shift, on grids of the
    same shape, sides and cells. Other stencil systems that are positive definite are solved one by one
    by `cg` with multigrid, and all others by `solve`. Which systems share a batch decides about the last digits of an
    answer, never about its tolerance; the default `width` depends on the number of threads.

    Examples
    --------
    >>> from ritzkit.problems import Darcy
    >>> results = solve_batch([Darcy(32).sample(rng=seed) for seed in range(4)], rtol=1e-8)
    >>> [result.success for result in results]
    [True, True, True, True]
    """
    rtol, atol = check_tolerance("rtol", rtol), check_tolerance("atol", atol)
    if width is not None:
        width = check_count("width", width, 1)
    systems = [_system(entry, index) for index, entry in enumerate(problems)]
    results: list[SolveResult | None] = [None] * len(systems)
    groups: dict[Any, list[int]] = {}
    for index, (A, b) in enumerate(systems):
        key = _key(A, b)
        if key is None:
            results[index] = _alone(A, b, rtol, atol, preset)
        else:
            groups.setdefault(key, []).append(index)
    for members in groups.values():
        if len(members) == 1:
            results[members[0]] = _alone(*systems[members[0]], rtol, atol, preset)
        else:
            _solve_group(systems, members, results, width, rtol, atol, preset)
    return [result for result in results if result is not None]


def _solve_group(
    systems: list[tuple[Any, Any]], members: list[int], results: list[SolveResult | None], width: int | None, rtol: float,
    atol: float, preset: Preset,
) -> None:  # fmt: skip
    """Solve the systems of one grid."""
    padded = int(np.prod([n + n % 2 for n in systems[members[0]][0].grid.shape]))
    workers = get_threads() if padded <= SMALL else 1
    most = width
    if most is None:  # more would leave the cache
        most = 8 if padded <= SMALL // 2 else 4 if padded <= LARGE else 1
    if width is None and workers > 1:  # something for every thread
        most = min(most, -(-len(members) // workers))
    chunks = [members[start : start + most] for start in range(0, len(members), most)]
    limit, store = ALONE if workers > 1 else SERIAL, threading.local()

    def run(chunk: list[int]) -> list[SolveResult | None]:
        if len(chunk) == 1 and padded > SMALL:
            return [None]
        return _together([systems[index] for index in chunk], rtol, atol, preset, limit, store)

    if workers > 1 and len(chunks) > 1:
        with ThreadPoolExecutor(workers) as pool:
            answers = list(pool.map(run, chunks))
    else:
        answers = [run(chunk) for chunk in chunks]
    for chunk, batch in zip(chunks, answers, strict=True):
        for index, result in zip(chunk, batch, strict=True):
            results[index] = _alone(*systems[index], rtol, atol, preset) if result is None else result


def _system(entry: Any, index: int) -> tuple[Operator, Any]:
    if hasattr(entry, "A") and hasattr(entry, "b"):
        A, b = entry.A, entry.b
    elif isinstance(entry, Sequence) and len(entry) == 2 and not isinstance(entry, str):
        A, b = entry
    else:
        raise TypeError(
            f"problems[{index}] is a {type(entry).__name__}: wanted a problem with A and b, or a pair (A, b)"
        )
    try:
        A = as_operator(A)
    except (TypeError, ValueError) as error:
        raise type(error)(f"problems[{index}]: {error}") from None
    if not vectors.is_torch(b):
        b = np.asarray(b)
        if b.shape != (A.shape[0],):
            raise ValueError(f"problems[{index}]: b has shape {b.shape}, A has shape {A.shape}: wanted ({A.shape[0]},)")
        if b.dtype.kind not in "biufc" or not np.isfinite(b).all():
            raise ValueError(f"problems[{index}]: b must hold finite numbers")
    return A, b


def _key(A: Operator, b: Any) -> Any:
    """Return what systems of one batch have in common, or None for a system that belongs to none."""
    if not isinstance(A, StencilOperator) or vectors.is_torch(b) or A.dtype.kind == "c" or b.dtype.kind == "c":
        return None
    if A.nullspace is not None or not A.positive_definite:
        return None
    grid = cast(Grid, A.grid)
    return grid.shape, grid.sides, None if grid.cells is None else grid.cells.tobytes()


def _alone(A: Operator, b: Any, rtol: float, atol: float, preset: Preset) -> SolveResult:
    if isinstance(A, StencilOperator) and A.positive_definite and not vectors.is_torch(b) and A.dtype.kind != "c":
        result = cg(A, b, rtol=rtol, atol=atol, M=precond.multigrid(A, preset=preset), maxiter=MAXITER)
        if result.success or result.outcome is Outcome.INCONSISTENT:
            return result
    return solve(A, b, rtol=rtol, atol=atol)


class _Batch:
    """Interleaved arrays of m systems on one grid and the steps of conjugate gradients on them."""

    def __init__(self, operators: list[StencilOperator], sides: list[Array], preset: Preset, limit: int) -> None:
        grid = cast(Grid, operators[0].grid)
        self.grid, self.m, self.limit = grid, len(operators), limit
        self.shape = box(grid)
        self.wrap = wraps_of(grid)[2]
        chosen = settings(preset, grid.ndim)
        weights = list(chosen.omega) if isinstance(chosen.omega, (list, tuple)) else [chosen.omega]
        if chosen.smoother == "chebyshev":
            weights = [1.0]
        parts = [A._faces for A in operators]
        self.hierarchy = Hierarchy(
            operators, weights, "float32", COARSEST, bytes_code=False, band=chosen.band > 0, runs=Runs.of(Grid(grid.shape)),
            faces=parts,
        )  # fmt: skip
        n0, n1, n2 = self.shape
        self.arrays = [np.empty((n0 + (a == 0), n1 + (a == 1), (n2 + (a == 2)) * self.m)) for a in range(4)]
        if n0 == 1:  # a plane has no faces between planes, and the kernels look at none
            self.arrays[0] = np.empty((1, 1, self.m))
        line = (n0, n1, n2 * self.m)
        self.x, self.p = np.zeros(line), np.zeros(line)
        self.r, self.q, self.z = np.empty(line), np.empty(line), np.empty(line)
        self._load(parts, sides)
        self.given = chosen
        self._schedule(chosen)

    def refill(self, operators: list[StencilOperator], sides: list[Array]) -> None:
        """Take other systems of the same grid, as many, into the same arrays."""
        parts = [A._faces for A in operators]
        former = self.hierarchy.shapes
        self.hierarchy.fill(operators, parts)
        self.x[:] = 0.0
        self.p[:] = 0.0
        self._load(parts, sides)
        if self.hierarchy.shapes is not former:
            self._schedule(self.given)

    def _load(self, parts: Sequence[tuple[Array, ...]], sides: list[Array]) -> None:
        positions = self.grid.positions
        for t, (part, b) in enumerate(zip(parts, sides, strict=True)):
            for a in range(self.shape[0] == 1, 4):
                kernels.put(t, self.m, np.ascontiguousarray(part[a]).reshape(-1), self.arrays[a].reshape(-1))
            if positions is None:
                kernels.put(t, self.m, b, self.r.reshape(-1))
            else:
                column = self.r.reshape(-1, self.m)[:, t]
                column[:] = 0.0
                column[positions] = b

    def _schedule(self, chosen: Settings) -> None:
        self.chosen = chosen if self.hierarchy.band_rows.size else replace(chosen, band=0)
        self.steps = one_cycle(len(self.hierarchy.shapes), self.chosen)
        self.coefficients = chebyshev_coefficients(chosen).astype(np.float32)
        self._scratch()

    def _scratch(self) -> None:
        sizes = scratch_sizes(self.hierarchy, self.chosen)
        self.scratch = {key: np.zeros(size, np.float32) for key, size in sizes.items()}

    def step(self, what: int, scale: Array | None = None) -> Array:
        """Run a step of `kernels.run`; returns one sum per system."""
        sums = np.empty(self.m)
        factors = np.zeros(self.m) if scale is None else scale
        kernels.run(
            what, self.m, self.wrap, *self.arrays, factors, self.p, self.q, self.x, self.r, self.z, sums,
            max(self.limit, kernels.SERIAL),
        )  # fmt: skip
        return sums

    def precondition(self) -> None:
        """Z <- one cycle on r."""
        run_cycle(
            self.hierarchy, self.steps, self.coefficients, self.scratch, self.r.reshape(-1), self.z.reshape(-1),
            self.limit,
        )  # fmt: skip

    def solution(self, t: int) -> Array:
        """Return x of system t."""
        column = self.x.reshape(-1, self.m)[:, t]
        return column.copy() if self.grid.positions is None else column[self.grid.positions]

    def reduced(self, active: Array) -> _Batch:
        """Return a batch of the active systems alone."""
        m, smaller = self.m, copy.copy(self)

        def taken(array: Array) -> Array:
            shape = (*array.shape[:-1], array.shape[-1] // m * active.size)
            return np.ascontiguousarray(array.reshape(-1, m)[:, active]).reshape(shape)

        smaller.arrays = [taken(array) for array in self.arrays]
        smaller.x, smaller.r, smaller.p, smaller.q, smaller.z = (
            taken(v) for v in (self.x, self.r, self.p, self.q, self.z)
        )
        smaller.hierarchy = copy.copy(self.hierarchy)
        smaller.hierarchy.keep(active)
        smaller.m = active.size
        smaller._scratch()
        return smaller


def _far(histories: list[list[float]], tolerances: Array, numbers: Array) -> bool:
    """Whether any of some systems has so many steps before it that a smaller batch is worth the copies."""
    for number in numbers.tolist():
        history = histories[number]
        if len(history) < 2 or not 0.0 < history[-1] < history[0]:
            return True
        rate = np.log(history[0] / history[-1]) / (len(history) - 1)
        if np.log(history[-1] / tolerances[number]) > WORTH * rate:
            return True
    return False


def _together(
    systems: list[tuple[Any, Any]], rtol: float, atol: float, preset: Preset, limit: int, store: threading.local
) -> list[SolveResult | None]:
    """Conjugate gradients on systems of one grid, side by side; None for those that miss the tolerance.

    What the former batch of this thread has left in `store` is used again.
    """
    start = time.perf_counter()
    count = len(systems)
    sides = [np.ascontiguousarray(b, dtype=np.float64) for _, b in systems]
    norms = np.array([vectors.norm(b) for b in sides])
    units = np.where(norms > 0, norms, 1.0)
    tolerances = np.maximum(rtol, atol / units)  # relative to the norm of b, to which each system is scaled
    operators, scaled = [A for A, _ in systems], [b / unit for b, unit in zip(sides, units, strict=True)]
    batch: _Batch | None = getattr(store, "batch", None)
    if batch is None or batch.m != count:
        store.batch = batch = _Batch(operators, scaled, preset, limit)
    else:
        batch.refill(operators, scaled)
    ready = time.perf_counter()
    numbers = np.arange(count)  # systems in the batch
    done = (norms == 0.0) | (tolerances >= 1.0)
    failed = np.zeros(count, bool)
    answers: dict[int, Array] = {}
    histories: list[list[float]] = [[] for _ in range(count)]
    times: list[list[float]] = [[] for _ in range(count)]
    former = np.ones(count)
    first = True
    with np.errstate(all="ignore"):
        for _ in range(MAXITER):
            still = ~done & ~failed
            if not still.any():
                break
            if 2 * still[numbers].sum() <= numbers.size and _far(histories, tolerances, np.flatnonzero(still)):
                for t, number in enumerate(numbers.tolist()):
                    if not still[number]:
                        answers[number] = batch.solution(t)
                batch = batch.reduced(np.flatnonzero(still[numbers]))
                numbers = numbers[still[numbers]]
            run = still[numbers]
            batch.precondition()
            rho = batch.step(kernels.DOT)
            beta = np.zeros(numbers.size) if first else rho / former[numbers]
            batch.step(kernels.TURN, np.where(run & np.isfinite(beta), beta, 0.0))
            first = False
            curvature = batch.step(kernels.PRODUCT)
            alpha = rho / curvature
            broken = run & ~((rho > 0) & (curvature > 0) & np.isfinite(alpha))
            failed[numbers[broken]] = True
            run &= ~broken
            squares = batch.step(kernels.UPDATE, np.where(run, alpha, 0.0))
            former[numbers] = rho
            now = time.perf_counter() - ready
            for t in np.flatnonzero(run).tolist():
                number = int(numbers[t])
                norm = float(np.sqrt(squares[t]))
                histories[number].append(norm)
                times[number].append(now)
                if norm <= tolerances[number]:
                    done[number] = True
    for t, number in enumerate(numbers.tolist()):
        answers[number] = batch.solution(t)
    shared = (time.perf_counter() - ready) / count
    results: list[SolveResult | None] = []
    for number, (A, _) in enumerate(systems):
        b, unit = sides[number], units[number]
        x = answers[number] * unit
        if norms[number] == 0.0:
            x[:] = 0.0
        rest = np.empty_like(b)
        A.apply(x, rest)
        residual = float(vectors.norm(b - rest) / unit)
        if not residual <= tolerances[number]:  # rounding, a hard system, or a broken one
            results.append(None)
            continue
        steps = len(histories[number])
        results.append(
            SolveResult(
                x=x,
                info=0,
                outcome=Outcome.CONVERGED,
                iterations=steps,
                matvecs=steps + 1,
                psolves=steps,
                residuals=np.array(histories[number]),
                residual=residual,
                initial_residual=float(norms[number] > 0),
                times=np.array(times[number]),
                products=np.arange(1.0, steps + 1),
                setup_seconds=(ready - start) / count,
                solve_seconds=shared,
                method="batched cg",
            )
        )
    return results
