"""Algebraic multigrid: PyAMG builds the hierarchy, ritzkit's kernels run the cycle.

Sources: P. Vanek, J. Mandel and M. Brezina, Computing 56 (1996) 179-196 (smoothed aggregation); J. Ruge and K. Stueben, in
"Multigrid Methods", SIAM 1987 (classical coarsening); N. Bell, L. N. Olson, J. Schroder and B. Southworth, "PyAMG", J. Open
Source Softw. 8 (2023) 5495.

Departures: PyAMG draws random numbers from numpy's global state, so its set-up runs with that state saved, seeded and
restored, which makes it reproducible; and its ``aspreconditioner`` computes two residual norms per application that
nobody reads, so the cycle is run here, with the same smoothers, transfers and coarse solver. Its smoothers demand one
type of everything and its aggregation turns float32 into float64 half-way, so the hierarchy is always in double
precision; vectors of other types are converted on the way in and out. Updates keep the coarsening and make the rest anew
without PyAMG's set-up, see `amg_update`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, csr_matrix

from ...linalg import CSROperator, Operator
from .amg_setup import build, rebuild
from .amg_update import NotRenewable, Part, Renewal
from .base import Preconditioner, assembled

__all__ = ["AMG", "amg"]

Array = npt.NDArray[Any]

KINDS = ("sa", "rs")
LONGEST_PAUSE = 31  # updates without an attempt to renew, at most, after many attempts in vain

# with PyAMG's own choice of these the cycle is symmetric; what the user puts there need not be
CYCLE_OPTIONS = ("presmoother", "postsmoother", "coarse_solver", "symmetry")
# smoothers and coarse solvers that depend on their right-hand side in other ways than linearly
NONLINEAR = ("cg", "gmres", "cgne", "cgnr", "cgs", "bicg", "bicgstab", "qmr", "minres", "krylov")


class AMG(Preconditioner):
    """One multigrid cycle; see `amg`.

    Attributes
    ----------
    hierarchy : pyamg.MultilevelSolver
        Levels, smoothers and coarse solver, in double precision whatever the type of A.
    reused : bool
        Whether the last `update` kept the coarsening and all patterns; False after a full set-up.
    """

    hierarchy: Any
    reused: bool
    _work: np.dtype[Any]
    _renewal: Renewal | None = None
    _renewable = False
    _refusals = 0  # attempts in vain since the last one that went well
    _pause = 0  # updates to come without an attempt

    def __init__(
        self, A: Any, kind: str, cycle: str, near_nullspace: npt.ArrayLike | None, seed: int, options: dict[str, Any]
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}: wanted 'sa' (smoothed aggregation) or 'rs' (Ruge-Stueben)")
        if cycle not in ("V", "W"):
            raise ValueError(f"cycle is {cycle!r}: wanted 'V' or 'W'")
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
            raise ValueError(f"seed is {seed!r}: wanted a whole number from 0 to 2**32 - 1")
        self.kind, self.cycle, self.seed, self.options = kind, cycle, int(seed), dict(options)
        if near_nullspace is not None:
            if kind != "sa":
                raise ValueError("near_nullspace is for kind='sa' only")
            candidates = np.array(near_nullspace)  # a copy: updates and pickles build from it again
            if candidates.ndim not in (1, 2) or candidates.dtype.kind not in "biufc" or candidates.size == 0:
                raise ValueError(
                    f"near_nullspace has shape {candidates.shape}, dtype {candidates.dtype}: wanted numbers, (n,) or (n, k)"
                )
            if not np.isfinite(candidates).all():
                raise ValueError("near_nullspace holds NaN or infinite numbers: wanted finite vectors")
            self.options["B"] = candidates[:, None] if candidates.ndim == 1 else candidates
        self.name = f"{kind}-amg"
        super().__init__(A)

    def _setup(self, A: Operator, previous: bool) -> None:
        matrix = assembled(A, "amg")
        if not matrix.shape[0]:
            raise ValueError("A has shape (0, 0): amg needs at least one unknown")
        work = np.dtype(np.complex128 if matrix.dtype.kind == "c" else np.float64)
        if self.kind == "rs" and work.kind == "c":
            raise ValueError("A is complex: kind='rs' coarsens real matrices only; take kind='sa'")
        candidates = self.options.get("B")
        if candidates is not None:
            if candidates.shape[0] != self.shape[0]:
                raise ValueError(f"near_nullspace has {candidates.shape[0]} rows, A has {self.shape[0]}")
            if candidates.dtype.kind == "c" and work.kind != "c":
                raise ValueError("near_nullspace is complex and A is real: pass real vectors")
        if not np.isfinite(matrix.data).all():
            raise np.linalg.LinAlgError("A holds NaN or infinite entries: no hierarchy can be built")
        if not matrix.data.any():
            raise np.linalg.LinAlgError("A has no entry other than zero: amg needs a matrix that is not zero")
        self._facts = (True if A.symmetric else None, True if A.positive_definite else None)
        if previous and work == self._work and self._has_pattern(matrix):
            if self._renew(matrix):
                return
        else:
            self._refusals = self._pause = 0  # they were those of another pattern
        # copies: the caller may edit A in place, before an update with it that fails or asks what A was
        self._matrix = csr_matrix(matrix, dtype=work, copy=True)
        self._work = work
        self._assemble()

    def _assemble(self) -> None:
        """Build the hierarchy from the matrix in hand; the same matrix gives the same hierarchy, bit for bit."""
        hierarchy, kept = build(self._matrix, self.kind, self.seed, self.options)
        self._kept: list[Any] = kept or []
        self._renewable = kept is not None
        self._renewal = None  # the first update that can use it makes it
        levels = []
        for level in hierarchy.levels[:-1]:
            level.A = _of_type(level.A, self._work)
            A, R, P = (CSROperator(csr_array(_of_type(part, self._work))) for part in (level.A, level.R, level.P))
            levels.append((A, R, P))
        self._parts: list[Part] | None = None
        self.reused = False
        self._take(hierarchy, levels)

    def _has_pattern(self, matrix: csr_array) -> bool:
        known = self._matrix
        return np.array_equal(matrix.indptr, known.indptr) and np.array_equal(matrix.indices, known.indices)

    def _renew(self, matrix: csr_array) -> bool:
        """Make the hierarchy anew from its parts, if options and entries allow it; the pattern is the known one."""
        if not self._renewable:
            return False
        if self._pause:
            self._pause -= 1
            return False
        known, renewal = self._matrix, self._renewal
        try:
            if renewal is None:
                renewal = Renewal(self.hierarchy, self._kept, self.kind, self.options)
            entries = matrix.data.astype(self._work)  # a copy, see above
            parts = renewal(csr_matrix((entries, known.indices, known.indptr), shape=known.shape))
        except NotRenewable:
            # an attempt costs about a set-up: pauses of 0, 1, 3, 7... updates, as later matrices may do again
            self._pause = min(2**self._refusals - 1, LONGEST_PAUSE)
            self._refusals += 1
            return False
        self._refusals = 0
        self._matrix, self._parts, self._renewal, self._kept = parts[0].matrix, parts, renewal, []
        self.reused = True
        self._restore(parts)
        return True

    def _restore(self, parts: list[Part]) -> None:
        hierarchy = rebuild(parts, self.kind, self.seed, self.options)
        self._take(hierarchy, [(part.A, part.R, part.P) for part in parts[:-1]])

    def _take(self, hierarchy: Any, levels: list[Any]) -> None:
        """Run the cycle on this hierarchy from now on."""
        self.hierarchy = hierarchy
        self._levels = []
        held: list[Any] = [hierarchy.levels[-1].A, *self._kept]
        for level, (A, R, P) in zip(hierarchy.levels[:-1], levels, strict=True):
            self._levels.append((A, R, P, level.A, level.presmoother, level.postsmoother))
            held += [A.matrix, R.matrix, P.matrix, level.A, level.R, level.P, getattr(level, "B", None)]
        self._coarsest = _of_type(hierarchy.levels[-1].A, self._work)
        own_cycle = not any(option in self.options for option in CYCLE_OPTIONS)
        self.symmetric, self.positive_definite = self._facts if own_cycle else (None, None)
        chosen = [name for option in CYCLE_OPTIONS[:3] for name in _names(self.options.get(option))]
        self.fixed = not any(name in NONLINEAR for name in chosen)
        self.memory_bytes = _distinct_bytes(held) + (self._renewal.memory_bytes if self._renewal else 0)

    def __getstate__(self) -> dict[str, Any]:
        # PyAMG keeps its coarse solver in a local class, which cannot be pickled: the copy builds the hierarchy anew
        state = {
            k: v for k, v in super().__getstate__().items() if k not in ("hierarchy", "_levels", "_coarsest", "_kept")
        }
        if self._parts is None:
            state["_renewal"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._parts is None:
            self._assemble()
        else:  # a set-up would not give the hierarchy that updates have led to
            self._kept = []
            self._restore(self._parts)

    @property
    def operator_complexity(self) -> float:
        """Entries of all levels over entries of the finest."""
        return float(self.hierarchy.operator_complexity())

    def _apply(self, x: Array, out: Array) -> None:
        if x.dtype.kind == "c" and self._work.kind != "c":
            self._apply_complex(x, out)
            return
        b = np.ascontiguousarray(x, dtype=self._work)
        if out.dtype == self._work and out.flags.c_contiguous:
            self._run(b, out)
        else:
            result = self._buffer("result", b.shape[0], self._work)
            self._run(b, result)
            out[:] = result if out.dtype.kind == "c" or self._work.kind != "c" else result.real

    def _apply_complex(self, x: Array, out: Array) -> None:
        """Apply a real cycle to the real and the imaginary part in turn."""
        result = self._buffer("result", x.shape[0], self._work)
        for part, into in ((x.real, out.real), (x.imag, out.imag)):
            self._run(np.ascontiguousarray(part, dtype=self._work), result)
            into[:] = result

    def _run(self, b: Array, x: Array) -> None:
        if not self._levels:
            x[:] = np.ravel(self.hierarchy.coarse_solver(self._coarsest, b))
            return
        x[:] = 0
        self._cycle(0, b, x)

    def _cycle(self, depth: int, b: Array, x: Array) -> None:
        A, R, P, matrix, presmoother, postsmoother = self._levels[depth]
        presmoother(matrix, x, b)
        residual = self._buffer(f"r{depth}", b.shape[0], b.dtype)
        A._apply(x, residual)
        np.subtract(b, residual, out=residual)
        coarse_b = self._buffer(f"b{depth}", R.shape[0], b.dtype)
        coarse_x = self._buffer(f"x{depth}", R.shape[0], b.dtype)
        R._apply(residual, coarse_b)
        coarse_x[:] = 0
        if depth == len(self._levels) - 1:
            coarse_x[:] = np.ravel(self.hierarchy.coarse_solver(self._coarsest, coarse_b))
        else:
            for _ in range(2 if self.cycle == "W" else 1):
                self._cycle(depth + 1, coarse_b, coarse_x)
        P._apply(coarse_x, residual)
        x += residual
        postsmoother(matrix, x, b)


def _of_type(matrix: Any, dtype: np.dtype[Any]) -> Any:
    """Return a sparse matrix in the type of the hierarchy; PyAMG's smoothers take no mixture."""
    return matrix if matrix.dtype == dtype else matrix.astype(dtype)


def _names(choice: Any) -> list[str]:
    """All strings in a smoother or solver option: a name, a pair of name and parameters, or a list of these."""
    if isinstance(choice, str):
        return [choice]
    return [name for part in choice for name in _names(part)] if isinstance(choice, (list, tuple)) else []


def _distinct_bytes(held: list[Any]) -> int:
    """Bytes of sparse and dense arrays, those that several hold counted once."""
    sizes: dict[int, int] = {}
    for item in held:
        arrays = (item.data, item.indices, item.indptr) if hasattr(item, "indptr") else (item,)
        for array in arrays:
            if isinstance(array, np.ndarray):
                sizes[array.__array_interface__["data"][0]] = array.nbytes
    return sum(sizes.values())


def amg(
    A: Any,
    kind: str = "sa",
    *,
    cycle: str = "V",
    near_nullspace: npt.ArrayLike | None = None,
    seed: int = 0,
    **options: Any,
) -> AMG:
    """Algebraic multigrid preconditioner: one cycle from a zero guess.

    Parameters
    ----------
    A : matrix or operator that can be assembled, shape (n, n)
    kind : {"sa", "rs"}
        Smoothed aggregation or classical (Ruge-Stueben) coarsening.
    cycle : {"V", "W"}
        Shape of the cycle.
    near_nullspace : array_like, shape (n,) or (n, k), optional
        Vectors that A nearly annihilates, for ``kind="sa"`` (for elasticity: the rigid body modes); default constants.
    seed : int
        Seed of the random numbers in PyAMG's set-up, which is thereby reproducible.
    **options
        Passed to ``pyamg.smoothed_aggregation_solver`` or ``pyamg.ruge_stuben_solver``.

    Raises
    ------
    ValueError
        For an unknown kind, cycle or option, a complex matrix with ``kind="rs"``, or an empty matrix.
    numpy.linalg.LinAlgError
        If A holds NaN or infinite entries, is zero, or has entries that give no finite hierarchy (vanishing diagonals, for
        one).

    Notes
    -----
    With PyAMG's default smoothers (symmetric Gauss-Seidel) and a symmetric A the cycle is symmetric, and positive definite
    where A is. Where ``presmoother``, ``postsmoother``, ``coarse_solver`` or ``symmetry`` is passed, nothing is stated about
    it, and a Krylov method among them makes it a map that is not `fixed`: use fcg or fgmres.

    The hierarchy is in double precision, for a float32 matrix too. A pickle holds the matrix and the options; loading it
    runs the set-up again, which gives the same hierarchy. After an update that reused the hierarchy it holds all levels.

    ``M.update(A_new)`` with a matrix of the same pattern (the same stored places, zeros included, and entries of the same
    kind, real or complex) keeps strength of connection, aggregates or splitting, and all patterns. It makes anew:
    candidates, prolongators, restrictions, coarse matrices by planned products, smoothers and the coarse solver.
    ``M.reused`` then is True, and `setup_seconds` is that of the update. The first such update also makes the plans, which
    takes several times as long as the next ones, and about as much memory as the hierarchy: see `memory_bytes`. For a
    Hermitian A with a positive diagonal an update gives the same hierarchy, bit for bit, for any number of threads; in a
    full set-up PyAMG calls BLAS, whose sums depend on it.

    With PyAMG's default strength (no threshold) aggregates depend on the pattern alone, so an updated hierarchy differs
    from a fresh one only in its estimates of spectral radii (by about a percent) and converges as fast, however different
    the entries are. With a threshold, and for ``kind="rs"``, coarsening belongs to the matrix of the last full set-up:
    that suits time steps and Newton steps; after changes of another kind, such as a turned anisotropy, build a new one.

    Updates are full set-ups (``M.reused`` is False) for another pattern or kind of entries; for prolongators smoothed
    otherwise than by one unfiltered Jacobi or Richardson step or not at all; for ``symmetry="nonsymmetric"``; for
    interpolation with a threshold of its own; with block Jacobi, ``jacobi_ne`` or strength-based Schwarz smoothers; and
    where the entries give no finite hierarchy on the kept coarsening. After several of the last kind in a row, some updates
    are full set-ups without a try.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import diags_array
    >>> A = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(200, 200), format="csr")
    >>> M = amg(A)
    >>> M.shape
    (200, 200)
    >>> M.update(3 * A)
    >>> M.reused
    True
    """
    return AMG(A, kind, cycle, near_nullspace, seed, options)
