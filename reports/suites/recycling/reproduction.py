"""SKR's published iteration ratios again: GMRES(40) against GCRO-DR(40, 20) along SKR's own sets, in its own terms.

As in the released programs: preconditioner from the left and rebuilt for every system, so that the tolerance is on the
preconditioned residual; zero initial guesses; greedy order; no more than 10 000 iterations, which count as taken. GMRES(40)
and GMRES-DR(40, 20) carry nothing from one system to the next, so a few systems, evenly spaced along the order, stand for
all, and one run to the smallest tolerance tells the counts of all tolerances. SKR solves every system, once per tolerance.

Counts of GMRES have heavy tails (tens to thousands of iterations on neighbouring systems), and so have the ratios: quartiles
are recorded beside the means that the paper gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import Terms
from .arms import RESTART, VECTORS

__all__ = ["CAP", "PRECONDITIONERS", "TOLERANCES", "measure"]

CAP = 10_000
TOLERANCES = ("1e-2", "1e-5", "1e-8")
PRECONDITIONERS = ("none", "jacobi", "ilu")


def measure(what: str, n: int, slip: bool, preconditioner: str, count: int, few: int, terms: Terms) -> dict[str, Any]:
    """Count the iterations of GMRES, GMRES-DR and SKR on one set; return the record.

    Parameters
    ----------
    what : {"Darcy", "Helmholtz"}
        Which of SKR's sets.
    n : int
        Unknowns per axis.
    slip : bool
        As released, with the misplaced diagonal, or without.
    preconditioner : {"none", "jacobi", "ilu"}
    count, few : int
        Systems for SKR, and those among them for the methods that carry nothing.
    terms : Terms
    """
    import scipy.linalg  # noqa: F401  (a BLAS that loads later would not hear of the limit)

    from .... import problems as families
    from ....linalg.threads import thread_limit
    from ....problems.datasets import order_samples, problem_features
    from ....problems.datasets.chunk import draw
    from ....solvers import precond
    from ....solvers.recycling import RecycleSpace, gcrodr, gmres_dr

    family = getattr(families, f"SKR{what}")(n, slip=slip)
    label = f"{what} {n}², {preconditioner}"
    options: dict[str, Any] = {"restart": RESTART, "side": "left", "maxiter": CAP, "flexible": False}
    with thread_limit(1):
        terms.say(f"{label}: drawing")
        drawn = [draw(family, terms.seed, index) for index in range(count)]
        features = np.stack([problem_features(problem, family) for problem in drawn])
        line = [drawn[i] for i in order_samples(features, "greedy").order]
        makes: dict[str, Callable[[Any], Any]] = {"none": lambda A: None, "jacobi": precond.jacobi, "ilu": precond.ilu}
        made = [makes[preconditioner](problem.A) for problem in line]
        some = np.unique(np.linspace(0, count - 1, few).round().astype(int)).tolist()
        counts: dict[str, dict[str, list[int]]] = {
            name: {t: [] for t in TOLERANCES} for name in ("gmres", "gmres-dr", "skr")
        }
        capped = {name: {t: 0 for t in TOLERANCES} for name in counts}

        def note(name: str, problem: Any, M: Any, result: Any, tolerances: tuple[str, ...]) -> None:
            size = 1.0 if M is None else float(np.linalg.norm(M @ problem.b) / np.linalg.norm(problem.b))
            history = np.asarray(result.residuals) / size
            for t in tolerances:
                # rounding between the recurrence and its check is no reason to call the last step a miss
                below = np.flatnonzero(history <= float(t) * (1 + 1e-6))
                counts[name][t].append(int(below[0]) + 1 if below.size else int(result.iterations))
                capped[name][t] += not below.size

        for place in some:
            problem, M = line[place], made[place]
            for name, run, k in (("gmres", gcrodr, 0), ("gmres-dr", gmres_dr, VECTORS)):
                terms.say(f"{label}: {name}")
                note(name, problem, M, run(problem.A, problem.b, rtol=float(TOLERANCES[-1]), M=M, k=k, **options),
                     TOLERANCES)  # fmt: skip
            terms.tick()
        for t in TOLERANCES:
            space = RecycleSpace(VECTORS)
            for place, problem in enumerate(line):
                terms.say(f"{label}: SKR, {t}")
                note("skr", problem, made[place],
                     gcrodr(problem.A, problem.b, rtol=float(t), M=made[place], recycle=space, k=VECTORS, **options),
                     (t,))  # fmt: skip
            terms.tick()
    return {
        "kind": "reproduction", "set": what.lower(), "edge": n, "n": n * n, "slip": slip,
        "preconditioner": preconditioner, "count": count, "few": len(some), "some": some, "cap": CAP,
        "iterations": counts, "capped": capped,
    }  # fmt: skip
