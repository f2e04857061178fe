"""Hierarchies from PyAMG: a full set-up, or its solver object around levels that are already there.

PyAMG draws random numbers from numpy's global state, so it runs with that state saved, seeded and restored.
"""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
from scipy.sparse import csr_array, csr_matrix

from ...linalg import CSROperator
from .amg_levels import VANISHING, ClassicalLevel
from .amg_update import Part, options_of, per_level, renewable

__all__ = ["build", "rebuild"]

_GLOBAL_STATE = threading.Lock()  # numpy's global random state is one for all threads

DIAGNOSTICS = ("C", "AggOp", "Cnodes", "T")  # what PyAMG's option `keep` leaves on a level
UNFIT = (
    "A gives no finite hierarchy: its entries overflow, or it has zeros on its diagonal; scale it, or take another "
    "preconditioner"
)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with _GLOBAL_STATE:
        former = np.random.get_state()  # noqa: NPY002
        try:
            np.random.seed(seed)  # noqa: NPY002
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PyAMG announces conversions of formats; the result is what counts
                yield
        finally:
            np.random.set_state(cast(Any, former))  # noqa: NPY002


def _check_options(builder: Any, options: dict[str, Any]) -> None:
    """Refuse options whose names PyAMG does not know."""
    import pyamg

    known = {*inspect.signature(builder).parameters, *inspect.signature(pyamg.MultilevelSolver).parameters}
    known -= {"A", "levels", "kwargs", "self"}
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ValueError(
            f"PyAMG does not take these options: {', '.join(unknown)}; it knows {', '.join(sorted(known))}"
        )


def _check_diagonal(builder: Any, matrix: csr_matrix, seed: int, options: dict[str, Any]) -> None:
    """Refuse vanishing diagonal entries that classical interpolation would divide by.

    PyAMG would print a line for each weight and go on with infinite ones. The first level of direct interpolation, which
    prints nothing, has the same splitting.
    """
    name, how = per_level(options_of("rs", options)["interpolation"], 0)
    sizes = abs(matrix) @ np.ones(matrix.shape[0])
    if name != "classical" or not ((np.abs(matrix.diagonal()) <= VANISHING * sizes) & (sizes > 0)).any():
        return
    most = min(2, options_of("rs", options)["max_levels"])
    quiet = {**options, "interpolation": "direct", "max_levels": most, "keep": True}
    with _seeded(seed), np.errstate(all="ignore"):
        level = builder(matrix, **quiet).levels[0]
    if not hasattr(level, "C"):  # there is no coarse level
        return
    A = CSROperator(csr_array(matrix))
    first = ClassicalLevel(level.splitting, level.C, name, how.get("modified", True), {})
    first.find_strong(A)
    rows = first.vanishing_rows(A)
    if rows.size:
        raise np.linalg.LinAlgError(
            f"A has {rows.size} rows (the first is {rows[0]}) with a vanishing diagonal entry or sum of diagonal and weak "
            "entries, by which kind='rs' interpolates: take kind='sa' or another preconditioner"
        )


def build(matrix: csr_matrix, kind: str, seed: int, options: dict[str, Any]) -> tuple[Any, list[Any] | None]:
    """Run PyAMG's set-up.

    Returns
    -------
    hierarchy : pyamg.MultilevelSolver
    kept : list or None
        Aggregates (or strength of connection) by level, from which the hierarchy can be renewed; None where the options
        rule that out.

    Raises
    ------
    ValueError
        If PyAMG refuses the options.
    numpy.linalg.LinAlgError
        If the entries give no finite hierarchy.
    """
    import pyamg

    builder = pyamg.smoothed_aggregation_solver if kind == "sa" else pyamg.ruge_stuben_solver
    _check_options(builder, options)
    try:
        keep = renewable(kind, options)
        if keep and kind == "rs":
            _check_diagonal(builder, matrix, seed, options)
        with _seeded(seed):
            hierarchy = builder(matrix, **{**options, "keep": True} if keep else options)
    except (TypeError, ValueError) as error:
        if isinstance(error, np.linalg.LinAlgError):
            raise
        if "infs or NaNs" in str(error):  # SciPy's words, from an estimate of a spectral radius
            raise np.linalg.LinAlgError(UNFIT) from error
        if not options:
            raise
        raise ValueError(f"PyAMG refuses these options ({', '.join(options)}): {error}") from error
    if not all(np.isfinite(level.A.data).all() for level in hierarchy.levels):
        raise np.linalg.LinAlgError(UNFIT)
    if not keep:
        return hierarchy, None
    kept = [level.AggOp if kind == "sa" else level.C for level in hierarchy.levels[:-1]]
    if not options.get("keep"):
        for level in hierarchy.levels:
            for name in DIAGNOSTICS:
                level.__dict__.pop(name, None)
    return hierarchy, kept


def rebuild(parts: list[Part], kind: str, seed: int, options: dict[str, Any]) -> Any:
    """Return PyAMG's solver object, with smoothers and coarse solver, for the given levels."""
    import pyamg
    from pyamg.relaxation.smoothing import change_smoothers

    levels = []
    for part in parts:
        level = pyamg.MultilevelSolver.Level()
        level.A = part.matrix
        if part.P is not None and part.R is not None:
            level.P, level.R = csr_matrix(part.P.matrix), csr_matrix(part.R.matrix)
        if part.B is not None:
            level.B = part.B
        if part.splitting is not None:
            level.splitting = part.splitting
        levels.append(level)
    every = options_of(kind, options)
    own = set(inspect.signature(pyamg.MultilevelSolver).parameters) - {"levels"}
    with _seeded(seed):
        hierarchy = pyamg.MultilevelSolver(levels, **{name: options[name] for name in own & set(options)})
        change_smoothers(hierarchy, every["presmoother"], every["postsmoother"])
    return hierarchy
