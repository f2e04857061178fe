"""What an iteration of multigrid-cg moves, how long it takes, and what a plain copy of as many bytes would take.

The byte count is that of an iteration whose passes are fused as far as their data allow: vectors of cg in float64, the
cycle V(1,1) in float32, one byte a cell for the geometry on the finest level and stored coefficients on the others, every
array read or written once per pass, caches good for the neighbours. No implementation can do with less traffic without
blocking in time, so the ratio says how far the code is from the bandwidth of the machine; a copy counts the bytes that it
reads and those that it writes.
"""

from __future__ import annotations

import gc
import itertools
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ....linalg.threads import get_threads
from ..base import Size, Terms
from ..spgemm.measure import peak_bytes
from .geometries import Geometry
from .growth import RTOL, VARIANTS, bytes_held, true_residual

__all__ = ["account", "copy_bandwidth", "measure"]

COPIED = 2**28
"""Bytes of a copy: far more than caches hold."""


def account(dim: int, *, variable: bool, cells: bool) -> dict[str, float]:
    """Return the bytes per unknown that each part of an iteration moves.

    Parameters
    ----------
    dim : {2, 3}
        Dimension: sets the share of the coarser levels, ``1 / (2^dim - 1)``.
    variable : bool
        Whether conductances are stored (dim of them for each cell, and the diagonal), or are one number.
    cells : bool
        Whether there are obstacles, told by one byte for each cell.

    Examples
    --------
    >>> sum(account(3, variable=False, cells=True).values())
    109.0
    """
    code = 1.0 if cells and not variable else 0.0
    wide, narrow = (8.0 * (dim + 1), 4.0 * (dim + 1)) if variable else (0.0, 0.0)
    fine = {
        "first sweep: read r, write z": 4 + 4 + narrow + code,
        "residual and restriction: read z, r, write coarse r": 4 + 4 + 4 / 2**dim + narrow + code,
        "prolongation and second sweep: read z, r, coarse z, write z": 4 + 4 + 4 / 2**dim + 4 + narrow + code,
    }
    stored = 4.0 * (dim + 1)  # coarse levels have coefficients of their own
    series = (sum(fine.values()) + 3 * (stored - narrow - code)) / (2**dim - 1)
    return {
        "new direction p, and p A p: read z, p, write p": 4 + 8 + 8 + wide + code,
        "step, with A p once more: read x, p, r, write x, r, r in float32": 24 + 16 + 4 + wide + code,
        **fine,
        "coarser levels": series,
    }


def copy_bandwidth(repeats: int, size: int = COPIED) -> list[float]:
    """Bytes a second, read and written, of a plain copy of `size` bytes on all threads; one number per repeat.

    NumPy lets go of the interpreter while it copies, so Python's threads share the work.
    """
    parts = get_threads()
    x, y = np.ones(size // 8), np.ones(size // 8)
    cuts = np.linspace(0, x.size, parts + 1).astype(int)
    pieces = [(y[i:j], x[i:j]) for i, j in itertools.pairwise(cuts)]
    rates = []
    with ThreadPoolExecutor(parts) as pool:
        for _ in range(repeats):
            start = time.perf_counter()
            list(pool.map(np.copyto, *zip(*pieces, strict=True)))
            rates.append(2.0 * x.nbytes / (time.perf_counter() - start))
    return rates


def measure(geometry: Geometry, shape: Size, repeats: int, terms: Terms) -> dict[str, Any]:
    """Time iterations of V(1,1)-cg and copies in turn; account for the memory; return the record."""
    from ....solvers import cg, precond

    rng = np.random.default_rng([terms.seed, zlib.crc32(geometry.name.encode()), len(shape)])
    terms.say(f"{geometry.label}: drawing")
    problem = geometry.family(shape).sample(rng)
    A, b, n = problem.A, problem.b, int(problem.A.shape[0])
    parts = account(len(shape), variable=geometry.variable, cells=problem.grid.cells is not None)
    options = VARIANTS["V(1,1)"](problem)

    def whole() -> Any:
        M = precond.multigrid(problem, **options)
        return cg(A, b, rtol=RTOL, M=M)

    terms.say(f"{geometry.label}: memory")
    whole()  # compiles
    _, peak = peak_bytes(whole)
    M = precond.multigrid(problem, **options)
    seconds: list[float] = []
    rates: list[float] = []
    result = None
    gc.collect()
    for _ in range(repeats):
        terms.say(f"{geometry.label}: iterations and copies in turn")
        result = cg(A, b, rtol=RTOL, M=M)
        steps = np.diff(np.concatenate([[0.0], result.times]))
        seconds.append(float(np.median(steps)))
        rates += copy_bandwidth(3)
    operator_bytes = bytes_held(A)
    return {
        "kind": "traffic",
        "geometry": geometry.name,
        "shape": shape,
        "n": n,
        "bytes": parts,
        "iteration_seconds": seconds,
        "copy_bytes_per_second": rates,
        "iterations": int(result.iterations) if result is not None else 0,
        "residual": true_residual(problem, result.x) if result is not None else None,
        "operator_bytes": operator_bytes,
        "preconditioner_bytes": int(M.memory_bytes),
        "peak_bytes": peak,
        "total_bytes": None if peak is None else peak + operator_bytes + b.nbytes,
    }
