"""Named solver configurations: ours, and those of SciPy and PyAMG as opponents.

All start from zero, with the same stopping rule ``norm(b - A x) <= rtol * norm(b)``, and have the same cap
on products with A. Opponents run as their documentation says to run them; where a solver of theirs takes our
declared facts as options (symmetric mode of SuperLU), it gets them.

Fixed parameters, one value for all problems. They have the fewest iterations in the geometric mean over
Poisson (150^2, 300^2, 28^3), Darcy (100^2) and obstacles (150^2) at other seeds than those of the suites:

- ``mic-cg``: ``alpha = 0.995`` out of 0, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 1 (1 itself loses around
  obstacles);
- ``ict-cg``: ``alpha = 0.98`` out of 0, 0.9, 0.98, 1 at the drop tolerance 1e-2;
- ``ssor-cg``: ``omega = 1.8`` out of 1, 1.3, 1.5, 1.7, 1.8, 1.9.
"""

from __future__ import annotations

from ..errors import UserError
from .base import Configuration
from .builders import direct, ours, scipy_method
from .grid_configurations import on_grids, pyamg_grid

__all__ = ["CONFIGURATIONS", "get"]

MIC_ALPHA = 0.995
MICT_ALPHA = 0.98
SSOR_OMEGA = 1.8


def _all() -> dict[str, Configuration]:
    mic = {"alpha": MIC_ALPHA}
    configurations = [
        scipy_method("cg", "SciPy: cg"),
        ours("cg", "cg without preconditioner", "cg"),
        ours("jacobi-cg", "cg with the diagonal", "cg", "jacobi"),
        ours("ssor-cg", "cg with SSOR", "cg", "ssor", {"omega": SSOR_OMEGA}),
        ours("chebyshev-cg", "cg with a Chebyshev polynomial", "cg", "chebyshev"),
        ours("ic0-cg", "cg with IC(0)", "cg", "ic"),
        ours("mic-cg", f"cg with modified IC(0), alpha {MIC_ALPHA}", "cg", "ic", mic),
        ours("mic-e-cg", f"the same in Eisenstat's form, alpha {MIC_ALPHA}", "cg", "ic", mic, eisenstat=True),
        ours("ssor-e-cg", "cg with SSOR in Eisenstat's form", "cg", "ssor", {"omega": SSOR_OMEGA}, eisenstat=True),
        ours("ic2-cg", "cg with IC(2)", "cg", "ic", {"level": 2}),
        ours("ict-cg", "cg with threshold IC, modified", "cg", "ic", {"drop_tol": 1e-2, "alpha": MICT_ALPHA}),
        ours("sa-amg-cg", "cg with smoothed aggregation AMG", "cg", "amg", {"kind": "sa"}),
        ours("rs-amg-cg", "cg with Ruge-Stueben AMG", "cg", "amg", {"kind": "rs"}),
        *pyamg_grid(),
        direct(),
        ours("minres", "minres without preconditioner", "minres"),
        scipy_method("minres", "SciPy: minres"),
        ours("gmres", "restarted gmres", "gmres"),
        ours("bicgstab", "bicgstab without preconditioner", "bicgstab"),
        ours("jacobi-gmres", "gmres with the diagonal", "gmres", "jacobi"),
        ours("jacobi-bicgstab", "bicgstab with the diagonal", "bicgstab", "jacobi"),
        ours("ilu0-gmres", "gmres with ILU(0)", "gmres", "ilu"),
        ours("ilu0-bicgstab", "bicgstab with ILU(0)", "bicgstab", "ilu"),
        ours("ilu2-fgmres", "fgmres with ILU(2)", "fgmres", "ilu", {"level": 2}),
        scipy_method("gmres", "SciPy: gmres"),
        scipy_method("bicgstab", "SciPy: bicgstab"),
        scipy_method("gmres", "SciPy: gmres with SuperLU's incomplete LU", ilu=True),
        ours("auto", "solve(method='auto')", "solve"),
        *on_grids(),
    ]
    return {c.name: c for c in configurations}


CONFIGURATIONS = _all()
"""All configurations by name."""


def get(name: str) -> Configuration:
    """Return a configuration by name.

    Raises
    ------
    UserError
        If there is none of that name.
    """
    try:
        return CONFIGURATIONS[name]
    except KeyError:
        raise UserError(f"unknown solver {name!r}: choose from {', '.join(CONFIGURATIONS)}") from None
