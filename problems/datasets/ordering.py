"""The order in which related systems are solved: greedy chain, hub and spoke, random, none.

- ``"greedy"``: SKR's sorting [1]_: from sample 0 always on to the nearest sample not yet taken. The released program
  computes each distance anew from whole fields; here all squared distances come from one Gram matrix.
- ``"hub"``: the samples are grouped around medoids (k-medoids [2]_: farthest-point start, then alternating assignment
  and update); hub by hub, the medoid first and its members by distance. A state prepared at the medoid serves all of its
  members.
- ``"random"``: a permutation. ``"none"``: as they come.

All of it is a function of the features (and the seed of ``"random"``) alone: ties go to the smaller index, and sums are
taken in one fixed order, so that no result depends on the number of threads.

References
----------
.. [1] H. Wang et al., Accelerating data generation for neural operators via Krylov subspace recycling, ICLR 2024.
.. [2] L. Kaufman, P. Rousseeuw, Finding groups in data, Wiley 1990.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn

from .. import checks
from ..base import RNG, Family, Problem

__all__ = ["ORDERS", "Ordering", "low_modes", "order_samples", "problem_features"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

ORDERS = ("hub", "greedy", "random", "none")
MODES = 12
SWEEPS = 10


@dataclass(frozen=True, eq=False)
class Ordering:
    """An order of samples and the hubs in it.

    Attributes
    ----------
    order : ndarray of int
        Samples in the order in which they are to be solved.
    hub : ndarray of int
        For each entry of `order` the sample that is its hub; the hub itself comes before its members. Without hubs: -1.
    """

    order: Ints
    hub: Ints

    def groups(self) -> list[tuple[int, list[int]]]:
        """Return ``(hub, members)`` in order; without hubs one group with the hub -1 and all samples."""
        result: list[tuple[int, list[int]]] = []
        for sample, hub in zip(self.order.tolist(), self.hub.tolist(), strict=True):
            if not result or result[-1][0] != hub:
                result.append((hub, []))
            if sample != hub:
                result[-1][1].append(sample)
        return result


def order_samples(features: npt.ArrayLike, kind: str = "hub", *, hubs: int | None = None, rng: RNG = None) -> Ordering:
    """Put samples in an order in which neighbours resemble each other.

    Parameters
    ----------
    features : array_like
        One row per sample, shape ``(samples, d)``; distances are Euclidean.
    kind : {"hub", "greedy", "random", "none"}
        See the head of the module.
    hubs : int, optional
        Number of hubs (``"hub"``); by default the root of half the number of samples, rounded.
    rng : seed or numpy.random.Generator, optional
        For ``"random"``.

    Returns
    -------
    Ordering

    Raises
    ------
    ValueError
        If the features are no finite table or the kind is unknown.

    Notes
    -----
    ``O(samples^2 d)`` operations and ``O(samples^2)`` memory for ``"greedy"`` and ``"hub"``.

    Examples
    --------
    >>> order_samples([[0.0], [9.0], [1.0], [8.0]], "greedy").order.tolist()
    [0, 2, 3, 1]
    >>> order_samples([[0.0], [9.0], [1.0], [8.0], [0.4]], "hub", hubs=2).groups()
    [(1, [3]), (4, [0, 2])]
    """
    checks.choice("kind", kind, ORDERS)
    table = np.asarray(features, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"features has shape {table.shape}: wanted one row per sample, (samples, d)")
    if not np.isfinite(table).all():
        raise ValueError("features holds NaN or infinity")
    count = len(table)
    alone = np.full(count, -1, dtype=np.intp)
    if kind == "none" or count < 2:
        return Ordering(np.arange(count, dtype=np.intp), alone)
    if kind == "random":
        return Ordering(np.random.default_rng(rng).permutation(count).astype(np.intp), alone)
    distance = _distances(table)
    if kind == "greedy":
        return Ordering(_greedy(distance), alone)
    number = round(float(np.sqrt(count / 2.0))) if hubs is None else checks.integer("hubs", hubs, 1)
    return _hubs(distance, min(max(number, 1), count))


def _distances(table: Floats) -> Floats:
    """Squared distances of all pairs, through the Gram matrix of the centred rows."""
    centred = table - table.mean(axis=0)
    # not by BLAS: its sums may depend on the number of threads, and a tie must fall the same way everywhere
    gram = np.einsum("id,jd->ij", centred, centred, optimize=False)
    norms = gram.diagonal()
    return cast(Floats, np.maximum(norms[:, None] + norms[None, :] - 2.0 * gram, 0.0))


def _greedy(distance: Floats) -> Ints:
    count = len(distance)
    order = np.zeros(count, dtype=np.intp)
    free = np.ones(count, dtype=bool)
    free[0] = False
    for step in range(1, count):
        order[step] = np.argmin(np.where(free, distance[order[step - 1]], np.inf))
        free[order[step]] = False
    return order


def _hubs(distance: Floats, number: int) -> Ordering:
    medoids = [int(np.argmin(np.sqrt(distance).sum(axis=1)))]
    nearest = distance[medoids[0]].copy()
    while len(medoids) < number:
        far = int(np.argmax(nearest))
        if nearest[far] == 0.0:  # the rest are copies of samples that are hubs already
            break
        medoids.append(far)
        nearest = np.minimum(nearest, distance[far])
    centres = np.array(sorted(medoids), dtype=np.intp)
    for _ in range(SWEEPS):
        owner = np.argmin(distance[centres], axis=0)
        owner[centres] = np.arange(len(centres))
        better = centres.copy()
        for c in range(len(centres)):
            members = np.flatnonzero(owner == c)
            better[c] = members[np.argmin(np.sqrt(distance[np.ix_(members, members)]).sum(axis=1))]
        if (better == centres).all():
            break
        centres = better
    owner = np.argmin(distance[centres], axis=0)
    owner[centres] = np.arange(len(centres))
    order: list[int] = []
    # hubs one after the other by greedy distance, so that a solver that keeps learning also goes by short steps
    for c in _greedy(distance[np.ix_(centres, centres)]).tolist():
        members = np.flatnonzero(owner == c)
        near = np.argsort(distance[centres[c], members], kind="stable")
        rest = [int(m) for m in members[near] if m != centres[c]]
        order += [int(centres[c]), *rest]
    where = np.array(order, dtype=np.intp)
    return Ordering(where, centres[owner[where]])


def low_modes(field: npt.ArrayLike, modes: int = MODES) -> Floats:
    """Return the lowest cosine modes of a field over a box, flat; orthonormal, so distances of smooth fields are kept.

    Examples
    --------
    >>> low_modes([[1.0, 1.0], [1.0, 1.0]], modes=1).round(12).tolist()
    [2.0]
    """
    values = np.asarray(field, dtype=np.float64)
    spectrum = dctn(values, norm="ortho")
    return cast(Floats, spectrum[tuple(slice(modes) for _ in range(values.ndim))].ravel())


def problem_features(problem: Problem, family: Family | None = None) -> Floats:
    """Say what tells a problem from others of its family: its own ``features``, or the low modes of its fields.

    Parameters
    ----------
    problem : Problem
    family : Family, optional
        Asked first, if it has a method ``features(problem)``.

    Returns
    -------
    ndarray
        Flat. The low modes of ``log`` of a positive coefficient, of the wave number, of the wind; for a problem with none of
        them and a grid, of the right-hand side; else the right-hand side itself. Obstacles add the low modes of their
        cell codes.
    """
    own: Any = getattr(family, "features", None)
    if own is not None:
        return np.asarray(own(problem), dtype=np.float64).ravel()
    parts = list(_field_parts(problem))
    if family is not None:
        drawn = [problem.parameters.get(key) for key, value in family.parameters().items() if isinstance(value, tuple)]
        numbers = [value for value in drawn if isinstance(value, int | float)]  # drawn from a range
        parts += [np.array(numbers)] if numbers else []
    if parts:
        return np.concatenate(parts)
    return low_modes(_real(problem.grid.embed(problem.b, 0.0))) if problem.grid is not None else _real(problem.b)


def _field_parts(problem: Problem) -> Iterable[Floats]:
    on_box = problem.grid is not None
    for name in ("coefficient", "wavenumber", "wind"):
        if name not in problem.fields:
            continue
        values = np.asarray(problem.fields[name], dtype=np.float64)
        values = np.log(values) if name == "coefficient" and (values > 0).all() else values
        if name == "wind":
            yield from (low_modes(component) for component in values)
        else:
            yield low_modes(values) if on_box and values.ndim > 1 else values.ravel()
    if problem.grid is not None and problem.grid.cells is not None:
        yield low_modes(problem.grid.cells)


def _real(values: npt.NDArray[Any]) -> Floats:
    return np.concatenate([values.real, values.imag]) if np.iscomplexobj(values) else values
