"""What the first product of a process costs: compiled (cold), loaded from Numba's cache (cached), and later ones (warm).

Each line of the record is two fresh processes with a cache folder of their own: the first finds it empty, the second finds
what the first left. Import time stands apart; building the factors is not counted.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from ..base import Terms

__all__ = ["measure"]

# points of the stencil, unknowns along an edge
SMALL = (5, 30)
MIDDLING = (27, 32)
CASES = tuple(itertools.product(("spgemm", "plan"), (SMALL, MIDDLING)))

_CHILD = """
import json, sys, time
import numpy, scipy.sparse
what, points, edge, threads = sys.argv[2], *map(int, sys.argv[3:])
package = __import__("importlib").import_module
start = time.perf_counter()
linalg = package(sys.argv[1] + ".linalg")
imported = time.perf_counter() - start
package(sys.argv[1] + ".linalg.threads").set_threads(threads)
A = package(sys.argv[1] + ".reports.suites.spgemm.inputs").stencil(edge, points)
start = time.perf_counter()
A @ A
scipy_first = time.perf_counter() - start
def product():
    return linalg.spgemm(A, A)
def planned():
    return linalg.SpGEMMPlan(A, A)(A, A)
call = product if what == "spgemm" else planned
seconds = []
for _ in range(6):
    start = time.perf_counter()
    call()
    seconds.append(time.perf_counter() - start)
print(json.dumps({"import": imported, "first": seconds[0], "warm": min(seconds[1:]), "scipy": scipy_first}))
"""


def _child(what: str, points: int, edge: int, threads: int, cache: str) -> dict[str, float]:
    package = __name__.partition(".")[0]
    command = [sys.executable, "-c", _CHILD, package, what, str(points), str(edge), str(threads)]
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        if done.returncode < 0:  # Ctrl-C reaches both processes
            raise KeyboardInterrupt
        raise RuntimeError((done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    return {str(k): float(v) for k, v in json.loads(done.stdout).items()}


def measure(terms: Terms) -> dict[str, Any]:
    """Run the processes; return the record."""
    rows = []
    for what, (points, edge) in CASES:
        row: dict[str, Any] = {"what": what, "points": points, "edge": edge}
        with tempfile.TemporaryDirectory(prefix="ritzkit-cache-") as cache:
            try:
                for name in ("cold", "cached"):
                    terms.say(f"First product of a process: {what}, {points}-point, {name}")
                    row[name] = _child(what, points, edge, terms.threads, cache)
            except RuntimeError as error:
                row["text"] = str(error)
        rows.append(row)
        terms.tick()
    return {"kind": "latency", "rows": rows}
