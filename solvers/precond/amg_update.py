"""A multigrid hierarchy made anew for a matrix with the same pattern, at a fraction of the cost of a set-up.

Kept: strength of connection, aggregates (or the splitting into coarse and fine unknowns), the patterns of all transfer
operators and coarse matrices, and plans of the products that make them. Made anew: candidates, prolongators (see
`amg_levels`), restrictions, coarse matrices, smoothers and the coarse solver.

A renewal proves itself before it is used: from the matrix of the set-up it must make PyAMG's prolongators to eight digits.
Whatever the options do that is not foreseen here ends there, and the update is an ordinary set-up.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import bsr_array, csr_array, csr_matrix

from ...linalg import CSROperator
from .amg_levels import ClassicalLevel, SmoothedLevel
from .amg_parts import SCALINGS, Level, NotRenewable, inverse, on_pattern, operator_of

__all__ = ["NotRenewable", "Part", "Renewal", "renewable"]

Array = npt.NDArray[Any]

# their set-up depends on more than the matrix of a level and the spectral radii that it carries
SMOOTHERS = ("strength_based_schwarz", "block_jacobi", "cf_block_jacobi", "fc_block_jacobi", "jacobi_ne")
BLOCKWISE = ("sor",)  # PyAMG ignores its omega for matrices in blocks, be they of one entry


@dataclass
class Part:
    """One level of a hierarchy.

    Attributes
    ----------
    A, R, P : CSROperator or None
        Matrix and transfers; the coarsest level has no transfers.
    matrix : csr_matrix, csr_array or bsr_array
        A as PyAMG's smoothers want it, with the spectral radii that they look for.
    B : ndarray or None
        Candidates.
    splitting : ndarray of bool or None
        Coarse unknowns of classical coarsening.
    """

    A: CSROperator
    matrix: Any
    R: CSROperator | None = None
    P: CSROperator | None = None
    B: Array | None = None
    splitting: Array | None = None


def options_of(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options with the defaults of PyAMG's builder filled in."""
    import inspect

    import pyamg

    builder = pyamg.smoothed_aggregation_solver if kind == "sa" else pyamg.ruge_stuben_solver
    defaults = {name: p.default for name, p in inspect.signature(builder).parameters.items() if p.kind != p.VAR_KEYWORD}
    return {**defaults, **options}


def per_level(choice: Any, level: int) -> tuple[Any, dict[str, Any]]:
    """Name and options that a PyAMG argument means for one level; the last of a list serves all lower ones."""
    if isinstance(choice, tuple) and choice and isinstance(choice[0], tuple):
        choice = list(choice)
    if isinstance(choice, list):
        choice = choice[min(level, len(choice) - 1)] if choice else None
    return (choice[0], dict(choice[1])) if isinstance(choice, tuple) else (choice, {})


def renewable(kind: str, options: dict[str, Any]) -> bool:
    """Whether a hierarchy with these options can be renewed, as far as the options tell."""
    every = options_of(kind, options)
    smoothers = [per_level(every[name], level)[0] for name in ("presmoother", "postsmoother") for level in range(9)]
    if any(name in SMOOTHERS for name in smoothers):
        return False
    if kind == "rs":
        name, how = per_level(every["interpolation"], 0)
        return name in ("classical", "direct") and how.get("theta") is None
    if every["symmetry"] not in ("hermitian", "symmetric"):
        return False
    relaxations = [per_level(every["improve_candidates"], level)[0] for level in range(9)]
    smooths = [per_level(every["smooth"], level) for level in range(9)]
    return not any(name in SMOOTHERS for name in relaxations) and all(_scaling(*one) != "other" for one in smooths)


def _scaling(name: Any, how: dict[str, Any], blocks: bool = False) -> str | None:
    """How the rows are weighted when a prolongator is smoothed; "other" for what is not made anew here."""
    if name is None:
        return None
    if how.get("degree", 1) != 1 or how.get("filter_entries") or name not in ("jacobi", "richardson"):
        return "other"
    if name == "richardson":
        return "identity"
    weighting = how.get("weighting", "diagonal")
    if weighting == "block" and not blocks:
        return "diagonal"
    return weighting if weighting in ("diagonal", "local") else "other"


class Renewal:
    """What makes a hierarchy anew for other entries of the matrix.

    Parameters
    ----------
    hierarchy : pyamg.MultilevelSolver
        A hierarchy as PyAMG has set it up, its finest matrix with sorted columns.
    kept : list
        Aggregates or strength of connection of every level but the coarsest.
    kind, options
        Those of the hierarchy.

    Raises
    ------
    NotRenewable
        If this hierarchy cannot be made anew from its parts.

    Notes
    -----
    Setting up costs a few times as much as a renewal: all plans are made, and the first hierarchy is made once more.
    """

    def __init__(self, hierarchy: Any, kept: list[Any], kind: str, options: dict[str, Any]) -> None:
        levels = hierarchy.levels
        every = options_of(kind, options)
        self.symmetry = every.get("symmetry")
        self._candidates = None if every.get("B") is None else every["B"]
        self.levels: list[Level] = []
        for depth, (level, part) in enumerate(zip(levels[:-1], kept, strict=True)):
            radii = {name: float(getattr(level.A, name)) for name in SCALINGS if hasattr(level.A, name)}
            if kind == "rs":
                name, how = per_level(every["interpolation"], depth)
                made: Level = ClassicalLevel(level.splitting, part, name, how.get("modified", True), radii)
            else:
                blocks = getattr(level.A, "blocksize", (1, 1))[0] > 1
                scaling = _scaling(*per_level(every["smooth"], depth), blocks)
                improve = per_level(every["improve_candidates"], depth)
                made = SmoothedLevel(part, level.B.shape[1], scaling, improve, self.symmetry == "hermitian", radii)
            self.levels.append(made)
        relaxations = [every.get(name) for name in ("presmoother", "postsmoother", "improve_candidates")]
        chosen = {per_level(choice, depth)[0] for choice in relaxations for depth in range(len(levels))}
        # blocks of one entry only where they make a difference: sweeps over them take several times as long
        self._single_blocks = [level.A.format == "bsr" and not chosen.isdisjoint(BLOCKWISE) for level in levels]
        self._lock = threading.Lock()
        self._matrices: list[_Matrix] | None = None
        with np.errstate(all="ignore"):
            self._run(levels[0].A.data, levels[0].A, levels)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the plans out: the first renewal makes them again."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_lock", "_matrices")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock, self._matrices = threading.Lock(), None

    def __call__(self, matrix: csr_array) -> list[Part]:
        """Return the levels of the hierarchy of a matrix with the known pattern; they share only patterns with former ones.

        Raises
        ------
        NotRenewable
            If the entries do not allow it (overflow, division by zero).
        """
        with self._lock, np.errstate(all="ignore"):  # what comes out is looked at
            return self._run(matrix.data, matrix)

    @property
    def memory_bytes(self) -> int:
        """Storage of the plans and of what is kept, in bytes."""
        if self._matrices is None:
            return 0
        return sum(level.memory_bytes for level in self.levels) + sum(m.memory_bytes for m in self._matrices)

    def _run(self, values: Array, matrix: Any, theirs: list[Any] | None = None) -> list[Part]:
        known = self._matrices
        matrices = known or [_Matrix(CSROperator(csr_array(matrix)), 1, self._single_blocks[0], self.symmetry)]
        B = self._first_candidates(matrix)
        parts: list[Part] = []
        for depth, level in enumerate(self.levels):
            A = on_pattern(matrices[depth].operator, values)
            inverse_diagonal = inverse(A.diagonal())
            growth = level.growth(A, inverse_diagonal) if theirs is None else {}
            pyamgs = matrices[depth].for_pyamg(A, values, level, growth)
            if known is None:
                level.plan(A)
            if theirs is not None:
                level.prove(A, pyamgs, inverse_diagonal, B, theirs[depth].P)
            p, B_here, B = level.prolong(A, pyamgs, inverse_diagonal, B, growth)
            r = level.restrict(p)
            P, R = on_pattern(level.prolongator, p), on_pattern(level.restriction, r)
            values = level.galerkin.multiply(r, values, p)
            if not (np.isfinite(p).all() and np.isfinite(values).all()):
                raise NotRenewable
            splitting = level.splitting.astype(bool) if isinstance(level, ClassicalLevel) else None
            parts.append(Part(A, pyamgs, R, P, B_here, splitting))
            if known is None:
                coarse, count = level.galerkin, level.count if isinstance(level, SmoothedLevel) else 1
                operator = operator_of(coarse.indptr, coarse.indices, coarse.shape, A.dtype)
                matrices.append(_Matrix(operator, count, self._single_blocks[depth + 1], self.symmetry))
        A = on_pattern(matrices[-1].operator, values)
        parts.append(Part(A, matrices[-1].for_pyamg(A, values, None, {}), B=B))
        self._matrices = matrices
        return parts

    def _first_candidates(self, matrix: Any) -> Array | None:
        if not self.levels or isinstance(self.levels[0], ClassicalLevel):
            return None
        if self._candidates is None:
            return np.ones((matrix.shape[0], 1), dtype=matrix.dtype)
        return np.array(self._candidates, dtype=matrix.dtype)


@dataclass
class _Matrix:
    """Pattern of the matrix of a level, and what turns its entries into blocks."""

    operator: CSROperator
    block: int
    single_blocks: bool  # whether blocks of one entry are blocks
    symmetry: str | None
    _blocks: Any = field(default=None, repr=False)
    _order: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.block > 1:
            pattern = self.operator.matrix
            numbered = csr_array(
                (np.arange(1.0, pattern.nnz + 1), pattern.indices, pattern.indptr), shape=pattern.shape
            )
            self._blocks = numbered.tobsr(blocksize=(self.block, self.block))
            self._order = self._blocks.data.astype(np.int64) - 1
            if (self._order < 0).any():
                raise NotRenewable

    @property
    def memory_bytes(self) -> int:
        return 0 if self._order is None else int(2 * self._order.nbytes + self._blocks.indices.nbytes)

    def for_pyamg(self, A: CSROperator, values: Array, level: Level | None, growth: dict[str, float]) -> Any:
        """Return a matrix for PyAMG, with the estimates that its smoothers would otherwise draw random numbers for."""
        if self.block > 1:
            pattern = (values[self._order], self._blocks.indices, self._blocks.indptr)
            matrix: Any = bsr_array(pattern, shape=A.shape, blocksize=(self.block, self.block))
        elif self.single_blocks:
            pattern = (values.reshape(-1, 1, 1), A.matrix.indices, A.matrix.indptr)
            matrix = bsr_array(pattern, shape=A.shape, blocksize=(1, 1))
        else:
            matrix = csr_matrix((values, A.matrix.indices, A.matrix.indptr), shape=A.shape)
        matrix.has_canonical_format = True
        if self.symmetry is not None:
            matrix.symmetry = self.symmetry
        for name, value in level.radii.items() if level is not None else ():
            setattr(matrix, name, value * growth.get(SCALINGS[name], 1.0))
        return matrix
