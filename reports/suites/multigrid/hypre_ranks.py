"""What each MPI rank runs: ``python hypre_ranks.py SYSTEM.npz RTOL RANKS OPTIONS`` solves with cg and BoomerAMG.

``OPTIONS`` is JSON, ``{"coarsen_type": "HMIS"}`` for ``-pc_hypre_boomeramg_coarsen_type HMIS``. Rank 0 prints one line of
JSON. Stands alone (it imports nothing of this package), because it runs in processes that `hypre` starts, with a Python that
may be another one.

The system is solved twice and the second time counts: the first one loads libraries and touches memory, which the others
did in their run before the clock.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

__all__ = ["main"]

PREFIX = "pc_hypre_boomeramg_"
ROUNDS = 2


def main(file: str, rtol: float, ranks: int, chosen: dict[str, Any]) -> dict[str, Any]:
    """Solve the system in `file` on all ranks; return what rank 0 is to print."""
    import petsc4py  # type: ignore[import-not-found,unused-ignore]

    petsc4py.init(sys.argv[:1])
    from petsc4py import PETSc

    world = PETSc.COMM_WORLD
    rank, size = world.getRank(), world.getSize()
    if size != ranks:  # each process for itself: a launcher of another MPI than PETSc's
        sys.exit(f"{size} rank(s) instead of {ranks}: mpiexec belongs to another MPI library than petsc4py")
    with np.load(file) as system:
        data, indices, indptr, b = (system[name] for name in ("data", "indices", "indptr", "b"))
    n = b.size
    first, last = n * rank // size, n * (rank + 1) // size
    rows = slice(indptr[first], indptr[last])
    own = (indptr[first : last + 1] - indptr[first]).astype(PETSc.IntType)
    A = PETSc.Mat().createAIJ(
        ((last - first, n), (last - first, n)), csr=(own, indices[rows].astype(PETSc.IntType), data[rows]), comm=world
    )
    A.assemble()
    A.setOption(PETSc.Mat.Option.SPD, True)
    right, x = A.createVecLeft(), A.createVecRight()
    right.setArray(b[first:last])
    options = PETSc.Options()
    for name, value in chosen.items():
        options[PREFIX + name] = value
    answer: dict[str, Any] = {}
    for _ in range(ROUNDS):
        solver = PETSc.KSP().create(world)
        solver.setOperators(A)
        solver.setType("cg")
        solver.getPC().setType("hypre")
        solver.getPC().setHYPREType("boomeramg")
        solver.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        solver.setTolerances(rtol=rtol, atol=0.0, max_it=1000)
        solver.setFromOptions()
        x.set(0.0)
        world.barrier()
        start = time.perf_counter()
        solver.setUp()
        world.barrier()
        middle = time.perf_counter()
        solver.solve(right, x)
        world.barrier()
        end = time.perf_counter()
        answer = {
            "setup_seconds": middle - start,
            "solve_seconds": end - middle,
            "iterations": int(solver.getIterationNumber()),
        }
        solver.destroy()
    rest = right.duplicate()
    A.mult(x, rest)
    rest.aypx(-1.0, right)
    version = ".".join(map(str, PETSc.Sys.getVersion()))
    return {**answer, "residual": float(rest.norm() / right.norm()), "petsc": version, "rank": int(rank)}


if __name__ == "__main__":
    answer = main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
    if answer.pop("rank") == 0:
        sys.stdout.write(json.dumps(answer) + "\n")
