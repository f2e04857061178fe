"""An optional opponent: conjugate gradients with hypre's BoomerAMG, on MPI ranks, through petsc4py.

It runs in processes of its own (``mpiexec -n 2 python hypre_ranks.py FILE ...``), one rank for each thread that the others
have, on the same matrix, to the same true residual. The set-up of the hierarchy (PETSc hands the matrix over in it) and the
solve are timed between barriers; starting the processes, reading the file and a first solve in each process are not.

All `SETTINGS` are tried once on the very system; the fastest is then run in turn with ours. Where petsc4py, hypre or mpiexec
is missing, the record says which.

A petsc4py that belongs to another Python (a Debian package, a conda environment) is used through the environment variable
``RITZKIT_PETSC_PYTHON``, the path of that Python. It needs numpy beside petsc4py and nothing of this package. An ``mpiexec``
in the same folder goes before the one on the path: launcher and library must come from one MPI.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ..base import Case, Size, Terms
from .geometries import Geometry
from .growth import RTOL

__all__ = ["SETTINGS", "interpreter", "launcher", "measure", "missing"]

SCRIPT = Path(__file__).with_name("hypre_ranks.py")
PYTHON = "RITZKIT_PETSC_PYTHON"
PATIENCE = 600.0
_LAUNCHERS = ("mpiexec", "mpirun")
_PARALLEL = {"coarsen_type": "HMIS", "interp_type": "ext+i", "P_max": 4}
SETTINGS: dict[str, dict[str, Any]] = {
    "as PETSc has it, theta 0.5": {"strong_threshold": 0.5},
    "HMIS, ext+i, theta 0.25": {**_PARALLEL, "strong_threshold": 0.25},
    "HMIS, ext+i, aggressive, theta 0.25": {**_PARALLEL, "strong_threshold": 0.25, "agg_nl": 1},
    "HMIS, ext+i, aggressive, theta 0.5": {**_PARALLEL, "strong_threshold": 0.5, "agg_nl": 1},
    "HMIS, ext+i, aggressive, theta 0.25, two sweeps": {
        **_PARALLEL, "strong_threshold": 0.25, "agg_nl": 1, "grid_sweeps_all": 2,
    },
}  # fmt: skip
"""What BoomerAMG is run with, by name: PETSc's options without their prefix ``-pc_hypre_boomeramg_``."""


def interpreter() -> str:
    """Return the Python that runs the ranks: this one, or what ``RITZKIT_PETSC_PYTHON`` names."""
    return os.environ.get(PYTHON) or sys.executable


def launcher() -> str | None:
    """Return the program that starts MPI ranks, first that beside the interpreter; None where there is none."""
    names = [str(Path(interpreter()).with_name(name)) for name in _LAUNCHERS] + list(_LAUNCHERS)
    return next((found for name in names if (found := shutil.which(name))), None)


def missing() -> str:
    """Say what is missing for this opponent; empty where nothing is."""
    if os.environ.get(PYTHON):
        if shutil.which(interpreter()) is None:
            return f"{PYTHON} names no program: {interpreter()}"
    elif importlib.util.find_spec("petsc4py") is None:
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
        tried, failures = _try_all(file, terms)
        if not tried:
            return {**head, "installed": False, "text": f"hypre does not run: {next(iter(failures.values()))}"}
        best = min(tried, key=lambda name: _total(tried[name]))
        for _ in range(repeats):
            terms.say(f"{geometry.label}: hypre, {best}")
            try:
                rows["hypre"].append(_ranks(file, terms.threads, SETTINGS[best]))
            except (OSError, subprocess.SubprocessError, ValueError) as error:
                return {**head, "installed": False, "text": f"hypre does not run: {_line(error)}"}
            rows["multigrid"].append(_ours(ours, case))
    return {
        **head,
        "installed": True,
        "n": case.n,
        "rows": rows,
        "setting": best,
        "options": SETTINGS[best],
        "tried": tried,
        "failures": failures,
        "ratio": median(map(_total, rows["hypre"])) / median(map(_total, rows["multigrid"])),
    }


def _try_all(file: Path, terms: Terms) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Run every setting once; return the answers of those that run, and why the others do not."""
    tried: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}
    for name, options in SETTINGS.items():
        terms.say(f"hypre: trying {name}")
        try:
            tried[name] = _ranks(file, terms.threads, options)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            failures[name] = _line(error)
            if not tried:  # what fails at the first go fails for a reason that the others share
                break
    return tried, failures


def _total(row: dict[str, Any]) -> float:
    return float(row["setup_seconds"] + row["solve_seconds"])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


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


def _ranks(file: Path, ranks: int, options: dict[str, Any]) -> dict[str, Any]:
    """Run the script on `ranks` processes and read the line that it prints."""
    script = [interpreter(), str(SCRIPT), str(file), str(RTOL), str(ranks), json.dumps(options)]
    done = subprocess.run(
        [str(launcher()), "-n", str(ranks), *script],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},  # a rank is a thread
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    if done.returncode:
        raise ValueError(done.stderr.strip() or f"exit code {done.returncode}")
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError("it printed no result")
    answer: dict[str, Any] = json.loads(lines[-1])
    if not answer["residual"] <= 1.01 * RTOL:
        raise ValueError(f"true residual {answer['residual']:.2g} after {answer['iterations']} iterations")
    return answer
