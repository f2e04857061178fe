"""Solvers that need a grid, and the grid of PyAMG settings that they are compared with.

PyAMG has no one best setting, so its defaults and eight variations of them are run, and the best counts as the opponent:
smoothed aggregation and Ruge-Stueben, with symmetric sweeps before and after (the defaults: four sweeps a level) or one
forward and one backward sweep, with and without improved candidates, V and W cycles, Jacobi smoothing, thresholds of
strength, parallel coarsening.
"""

from __future__ import annotations

import time
from typing import Any

from .base import Case, Configuration, Run
from .builders import ours, pyamg_method

__all__ = ["PYAMG", "UNTUNED", "on_grids", "pyamg_grid", "tuned"]

UNTUNED: dict[str, Any] = {
    "cycle": "V", "smoother": "rbsor", "pre": 1, "post": 1, "coarse_sweeps": 1, "omega": 1.0, "band": 0,
}  # fmt: skip
"""V(1,1) of multigrid with red-black Gauss-Seidel, nothing tuned."""

KINDS = {"walls": "walls", "comb": "walls", "porous": "porous"}

PYAMG = (
    "pyamg-sa-cg", "pyamg-rs-cg", "pyamg-sa-gs", "pyamg-sa-lean", "pyamg-sa-w", "pyamg-sa-theta", "pyamg-sa-jacobi",
    "pyamg-rs-gs", "pyamg-rs-theta", "pyamg-rs-pmis",
)  # fmt: skip
"""Names of all PyAMG settings, the defaults first."""

SWEEPS = {
    "presmoother": ("gauss_seidel", {"sweep": "forward"}),
    "postsmoother": ("gauss_seidel", {"sweep": "backward"}),
}
LEAN: dict[str, Any] = {**SWEEPS, "improve_candidates": None}


def pyamg_grid() -> list[Configuration]:
    """Return the settings of PyAMG, its defaults first."""
    sa, rs = "smoothed aggregation", "Ruge-Stueben"
    jacobi = {"presmoother": "jacobi", "postsmoother": "jacobi", "improve_candidates": None}
    weak = {"strength": ("symmetric", {"theta": 0.08})}
    strong = {"strength": ("classical", {"theta": 0.5})}
    return [
        pyamg_method("pyamg-sa-cg", "sa", sa),
        pyamg_method("pyamg-rs-cg", "rs", rs),
        pyamg_method("pyamg-sa-gs", "sa", f"{sa}, one sweep forward, one backward,", SWEEPS),
        pyamg_method("pyamg-sa-lean", "sa", f"{sa}, the same without improved candidates,", LEAN),
        pyamg_method("pyamg-sa-w", "sa", f"{sa}, the same as a W cycle,", LEAN, "W"),
        pyamg_method("pyamg-sa-theta", "sa", f"{sa}, threshold 0.08,", {**LEAN, **weak}),
        pyamg_method("pyamg-sa-jacobi", "sa", f"{sa}, Jacobi smoothing,", jacobi),
        pyamg_method("pyamg-rs-gs", "rs", f"{rs}, one sweep forward, one backward,", SWEEPS),
        pyamg_method("pyamg-rs-theta", "rs", f"{rs}, the same with threshold 0.5,", {**SWEEPS, **strong}),
        pyamg_method("pyamg-rs-pmis", "rs", f"{rs}, the same with parallel coarsening,", {**SWEEPS, "CF": "PMIS"}),
    ]


def tuned(problem: Any) -> dict[str, Any]:
    """Return the options of tuned multigrid for a problem: the preset of its family, or the general one."""
    from ...solvers.precond.multigrid.settings import PRESETS

    family = str(problem.parameters.get("family"))
    name = {"poisson": "box", "darcy": "darcy"}.get(family, "tuned")
    if family == "obstacles":
        name = KINDS.get(str(problem.parameters.get("kind")), "obstacles")
    return {"preset": name if (PRESETS / f"{name}.toml").is_file() else "tuned"}


def on_grids() -> list[Configuration]:
    """Return our solvers for operators with a grid: multigrid as tuned and as V(1,1), and the transform solver."""
    return [
        ours("multigrid-cg", "cg with tuned multigrid", "cg", "multigrid", on_grid=True, chosen=tuned),
        ours("multigrid-default-cg", "cg with multigrid as it comes", "cg", "multigrid", on_grid=True),
        ours("multigrid-11-cg", "cg with multigrid, V(1,1) untuned", "cg", "multigrid", UNTUNED, on_grid=True),
        _fast_poisson(),
        ours("fast-poisson-cg", "cg with the transform solver of the whole box", "cg", "fast_poisson", on_grid=True),
    ]


def _fast_poisson() -> Configuration:
    def setup(case: Case) -> Any:
        from ...solvers import precond

        M = precond.fast_poisson(case.problem.A)
        if not M.exact:
            raise ValueError("the transform solver is exact on boxes with constant coefficients only")
        return M

    def solve(case: Case, M: Any, rtol: float) -> Run:
        start = time.perf_counter()
        x = M @ case.problem.b
        seconds = time.perf_counter() - start
        residual = case.true_residual(x)
        met = residual <= rtol
        text = "solved by transforms" if met else "the transforms do not reach the tolerance"
        outcome = "CONVERGED" if met else "STAGNATION"
        return Run(x, 0 if met else 1, outcome, text, 1, 1, 1, [1.0, residual], [0, 1], [0.0, seconds])

    return Configuration("fast-poisson", "sine and cosine transforms, direct", {}, setup, solve)
