"""What each MPI rank runs: ``python hypre_ranks.py SYSTEM.npz RTOL`` solves with cg and BoomerAMG, prints one line of JSON.

Stands alone (it imports nothing of this package), because it runs in processes that `hypre` starts.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

__all__ = ["main"]


def main(file: str, rtol: float) -> dict[str, Any]:
    """Solve the system in `file` on all ranks; return what rank 0 is to print."""
    import petsc4py  # type: ignore[import-not-found,unused-ignore]

    petsc4py.init(sys.argv[:1])
    from petsc4py import PETSc

    world = PETSc.COMM_WORLD
    with np.load(file) as system:
        data, indices, indptr, b = (system[name] for name in ("data", "indices", "indptr", "b"))
    n, rank, size = b.size, world.getRank(), world.getSize()
    first, last = n * rank // size, n * (rank + 1) // size
    rows = slice(indptr[first], indptr[last])
    own = (indptr[first : last + 1] - indptr[first]).astype(PETSc.IntType)
    A = PETSc.Mat().createAIJ(
        ((last - first, n), (last - first, n)), csr=(own, indices[rows].astype(PETSc.IntType), data[rows]), comm=world
    )
    A.assemble()
    right, x = A.createVecLeft(), A.createVecRight()
    right.setArray(b[first:last])
    solver = PETSc.KSP().create(world)
    solver.setOperators(A)
    solver.setType("cg")
    solver.getPC().setType("hypre")
    solver.getPC().setHYPREType("boomeramg")
    options = PETSc.Options()
    options["pc_hypre_boomeramg_strong_threshold"] = 0.5  # what its manual says for three dimensions
    solver.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    solver.setTolerances(rtol=rtol, atol=0.0, max_it=1000)
    solver.setFromOptions()
    world.barrier()
    start = time.perf_counter()
    solver.setUp()
    world.barrier()
    middle = time.perf_counter()
    solver.solve(right, x)
    world.barrier()
    end = time.perf_counter()
    rest = right.duplicate()
    A.mult(x, rest)
    rest.aypx(-1.0, right)
    return {
        "setup_seconds": middle - start,
        "solve_seconds": end - middle,
        "iterations": int(solver.getIterationNumber()),
        "residual": float(rest.norm() / right.norm()),
        "rank": int(rank),
    }


if __name__ == "__main__":
    answer = main(sys.argv[1], float(sys.argv[2]))
    if answer.pop("rank") == 0:
        sys.stdout.write(json.dumps(answer) + "\n")
