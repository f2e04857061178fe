"""Multigrid for a matrix that changes on a fixed pattern: ``update`` against a set-up from nothing.

The matrices are diffusion operators on a cube whose coefficient is a smooth wave that moves on, as in a time step: the
pattern stays and the entries change by tens of per cent. The hierarchy is built for the first; one update lays the plans;
the timed ones go back and forth between two later matrices, in turn with PyAMG's own set-up of the same matrix and with
ours from nothing. Both hierarchies then solve the same system with the same cg to the same tolerance.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import Case, Terms
from ..configurations import get

__all__ = ["measure"]

RTOL = 1e-8
PHASES = (0.0, 0.2, 0.4)


def _case(edge: int, phase: float) -> Case:
    from ....problems import from_cells

    t = (np.arange(edge) + 0.5) / edge
    x, y, z = np.meshgrid(t, t, t, indexing="ij", sparse=True)
    wave = np.sin(2 * np.pi * (x + phase)) * np.sin(2 * np.pi * (y - phase)) * np.cos(np.pi * z)
    return Case.of(from_cells(np.zeros((edge,) * 3, dtype=np.uint8), coefficient=np.exp(0.5 * wave)))


def _seconds(call: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    finally:
        gc.enable()


def measure(edge: int, terms: Terms) -> dict[str, Any]:
    """Time updates and set-ups in turn; return the record."""
    from ....solvers import cg, precond

    cases = [_case(edge, phase) for phase in PHASES]
    fresh = get("pyamg-sa-cg")
    terms.say("AMG update: hierarchy and plans")
    M = precond.amg(cases[0].A)
    first = _seconds(lambda: M.update(cases[2].A))
    M.update(cases[1].A)
    fresh.setup(cases[0])
    terms.tick()
    seconds: dict[str, list[float]] = {"update": [], "pyamg": [], "setup": []}
    for turn in range(terms.options.repeats or (3 if terms.options.quick else 7)):
        case = cases[2 - turn % 2]
        terms.say("AMG update: in turn with a fresh set-up")
        seconds["update"].append(_seconds(lambda case=case: M.update(case.A)))  # type: ignore[misc]
        seconds["pyamg"].append(_seconds(lambda case=case: fresh.setup(case)))  # type: ignore[misc]
        seconds["setup"].append(_seconds(lambda case=case: precond.amg(case.A)))  # type: ignore[misc]
    terms.tick()
    last = cases[1]
    M.update(last.A)
    updated = cg(last.A, last.b, rtol=RTOL, M=M)
    built = cg(last.A, last.b, rtol=RTOL, M=precond.amg(last.A))
    return {
        "kind": "update",
        "n": last.n,
        "nnz": int(last.csr.nnz),
        "rtol": RTOL,
        "seconds": seconds,
        "first_update_seconds": first,
        "iterations_update": int(updated.iterations),
        "iterations_fresh": int(built.iterations),
        "residual_update": last.true_residual(updated.x),
        "residual_fresh": last.true_residual(built.x),
        "change": float(np.abs(cases[1].csr.data / cases[0].csr.data - 1).max()),
    }
