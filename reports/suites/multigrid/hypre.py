"""An optional opponent: conjugate gradients with hypre's BoomerAMG, on MPI ranks, through petsc4py.

It runs in processes of its own (``mpiexec -n 2 python hypre_ranks.py FILE``), one rank for each thread that the others have,
on the same matrix, to the same residual. The set-up of the hierarchy and the solve are timed between barriers; starting the
processes and reading the file are not. Where petsc4py, hypre or mpiexec is missing, the record says which.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..base import Case, Size, Terms
from .geometries import Geometry
from .growth import RTOL

__all__ = ["launcher", "measure", "missing"]

SCRIPT = Path(__file__).with_name("hypre_ranks.py")
PATIENCE = 600.0


def launcher() -> str | None:
    """Return the program that starts MPI ranks; None where there is none."""
    return next((found for name in ("mpiexec", "mpirun") if (found := shutil.which(name))), None)


def missing() -> str:
    """Say what is missing for this opponent; empty where nothing is."""
    if importlib.util.find_spec("petsc4py") is None:
        return "petsc4py is not installed"
    if launcher() is None:
        return "no mpiexec to start ranks with"
    return ""


def measure(geometry: Geometry, shape: Size, repeats: int, terms: Terms) -> dict[str, Any]:
    """Run hypre and our multigrid in turn on one problem; return the record, or why there is none."""
    reason = missing()
    head = {"kind": "hypre", "geometry": geometry.name, "shape": shape, "ranks": terms.threads}
    if reason:
        return {**head, "installed": False, "text": reason}
    from ..configurations import get

    rng = np.random.default_rng([terms.seed, zlib.crc32(geometry.name.encode()), len(shape)])
    case = Case.of(geometry.family(shape).sample(rng))
    ours = get("multigrid-cg")
    ours.solve(case, ours.setup(case), RTOL)  # compiles
    rows: dict[str, list[dict[str, Any]]] = {"hypre": [], "multigrid": []}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "system.npz"
        np.savez(file, data=case.csr.data, indices=case.csr.indices, indptr=case.csr.indptr, b=case.b)
        for _ in range(repeats):
            terms.say(f"{geometry.label}: hypre")
            try:
                answer = _ranks(file, terms.threads)
            except (OSError, subprocess.SubprocessError, ValueError) as error:
                return {**head, "installed": False, "text": f"hypre does not run: {' '.join(str(error).split())[:300]}"}
            rows["hypre"].append(answer)
            rows["multigrid"].append(_ours(ours, case))
    return {**head, "installed": True, "n": case.n, "rows": rows}


def _ours(configuration: Any, case: Case) -> dict[str, Any]:
    import time

    start = time.perf_counter()
    M = configuration.setup(case)
    middle = time.perf_counter()
    run = configuration.solve(case, M, RTOL)
    end = time.perf_counter()
    return {
        "setup_seconds": middle - start,
        "solve_seconds": end - middle,
        "iterations": run.iterations,
        "residual": case.true_residual(run.x),
    }


def _ranks(file: Path, ranks: int) -> dict[str, Any]:
    """Run the script on `ranks` processes and read the line that it prints."""
    command = [str(launcher()), "-n", str(ranks), sys.executable, str(SCRIPT), str(file), str(RTOL)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        raise ValueError(done.stderr.strip() or f"exit code {done.returncode}")
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError("it printed no result")
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer
