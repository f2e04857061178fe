"""Colours, line styles and names of solvers: the same in every figure and every table.

The series colours are those of Okabe and Ito, which stay apart for the common forms of colour blindness; a
line style and a marker say the same a second time. Opponents are grey; libraries that stand beside SciPy have dashed
colours. Ink, grid and surface are fixed colours too, so that the page can put its own light or dark ones in their place
(`CSS`).

References
----------
M. Okabe, K. Ito, "Color universal design", 2008, https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["CSS", "GRID", "INK", "MUTED", "SOLID", "SURFACE", "Look", "look", "shown"]

INK, MUTED, GRID, SURFACE, SOLID = "#1f2530", "#667084", "#e3e6eb", "#fdfdfe", "#c6cbd3"

BLUE, SKY, ORANGE, VERMILLION, GREEN, PURPLE, OLIVE, GREY = (
    "#0072b2", "#3fa4dd", "#d98c00", "#d55e00", "#009e73", "#b6609a", "#8a7a1f", "#7a828f",
)  # fmt: skip

CSS = {
    # light colour: (name of the variable, its value on a dark page)
    INK: ("ink", "#e8eaee"),
    MUTED: ("muted", "#9aa3b2"),
    GRID: ("grid", "#2e3541"),
    SURFACE: ("surface", "#171b22"),
    SOLID: ("solid", "#4a5262"),
    BLUE: ("blue", "#4ba3e3"),
    SKY: ("sky", "#7fd0f7"),
    ORANGE: ("orange", "#f0b43c"),
    VERMILLION: ("vermillion", "#ff8448"),
    GREEN: ("green", "#2fc79b"),
    PURPLE: ("purple", "#e08fc4"),
    OLIVE: ("olive", "#c8b84e"),
    GREY: ("grey", "#98a1b0"),
}
"""Every colour of a figure with the page's variable for it."""


@dataclass(frozen=True)
class Look:
    """How a solver is drawn: colour, dash pattern and marker."""

    colour: str
    line: str | tuple[int, tuple[float, ...]]
    marker: str


_DASH, _DOT, _MIX = (0, (5, 2)), (0, (1.4, 1.6)), (0, (5, 1.6, 1.2, 1.6))

_LOOKS: dict[str, Look] = {
    "cg": Look(BLUE, "-", "o"),
    "jacobi-cg": Look(SKY, "-", "s"),
    "ssor-cg": Look(PURPLE, "-", "D"),
    "chebyshev-cg": Look(OLIVE, "-", "P"),
    "ic0-cg": Look(ORANGE, "-", "^"),
    "mic-cg": Look(VERMILLION, "-", "v"),
    "ic2-cg": Look(ORANGE, _DASH, "<"),
    "ict-cg": Look(VERMILLION, _DASH, ">"),
    "sa-amg-cg": Look(GREEN, "-", "h"),
    "rs-amg-cg": Look(GREEN, _DASH, "H"),
    "mic-e-cg": Look(VERMILLION, _DOT, "v"),
    "ssor-e-cg": Look(PURPLE, _DASH, "D"),
    "pyamg-sa-cg": Look(GREY, _MIX, "X"),
    "pyamg-rs-cg": Look(GREY, _DOT, "X"),
    "multigrid-cg": Look(BLUE, "-", "*"),
    "multigrid-default-cg": Look(BLUE, _DASH, "*"),
    "multigrid-11-cg": Look(BLUE, _DOT, "*"),
    "fast-poisson": Look(PURPLE, "-", "p"),
    "fast-poisson-cg": Look(PURPLE, _DASH, "p"),
    "pyamg-sa-gs": Look(GREY, "-", "1"),
    "pyamg-sa-lean": Look(GREY, _DASH, "1"),
    "pyamg-sa-w": Look(GREY, _DOT, "1"),
    "pyamg-sa-theta": Look(GREY, _MIX, "1"),
    "pyamg-sa-jacobi": Look(GREY, _MIX, "2"),
    "pyamg-rs-gs": Look(GREY, "-", "X"),
    "pyamg-rs-theta": Look(GREY, _DASH, "X"),
    "pyamg-rs-pmis": Look(GREY, _MIX, "3"),
    "scipy-cg": Look(GREY, _DASH, "x"),
    "direct": Look(INK, _DOT, "*"),
    "minres": Look(PURPLE, "-", "D"),
    "scipy-minres": Look(GREY, _DASH, "x"),
    "gmres": Look(BLUE, "-", "o"),
    "bicgstab": Look(SKY, "-", "s"),
    "jacobi-gmres": Look(BLUE, _DASH, "d"),
    "jacobi-bicgstab": Look(SKY, _DASH, "p"),
    "ilu0-gmres": Look(ORANGE, "-", "^"),
    "ilu0-bicgstab": Look(VERMILLION, "-", "v"),
    "ilu2-fgmres": Look(GREEN, "-", "h"),
    "scipy-gmres": Look(GREY, _DASH, "x"),
    "scipy-bicgstab": Look(GREY, _DOT, "+"),
    "scipy-ilu-gmres": Look(GREY, _MIX, "X"),
    "auto": Look(PURPLE, "-", "D"),
    "spgemm": Look(BLUE, "-", "o"),
    "spgemm-any": Look(SKY, "-", "s"),
    "plan": Look(GREEN, "-", "^"),
    "plan-values": Look(GREEN, _DASH, "v"),
    "plan-setup": Look(GREEN, _DOT, "<"),
    "scipy": Look(GREY, _DASH, "x"),
    "scipy-sort": Look(GREY, _DASH, "x"),
    "mkl": Look(ORANGE, _DASH, "D"),
    "mkl-sort": Look(ORANGE, _DASH, "D"),
    "mkl-staged": Look(ORANGE, _DOT, "d"),
    "graphblas": Look(PURPLE, _MIX, "P"),
    "graphblas-csr": Look(PURPLE, _MIX, "P"),
    "torch": Look(OLIVE, _DOT, "X"),
    "smash-v1": Look(SOLID, "-", "o"),
    "smash-v2": Look(ORANGE, "-", "o"),
    "smash-v3": Look(VERMILLION, "-", "o"),
}
_OTHERS = [
    Look(c, line, "o") for line in ("-", _DASH, _DOT) for c in (BLUE, ORANGE, GREEN, PURPLE, OLIVE, SKY, VERMILLION)
]

_NAMES = {
    "scipy-cg": "SciPy cg",
    "scipy-gmres": "SciPy gmres",
    "scipy-bicgstab": "SciPy bicgstab",
    "scipy-minres": "SciPy minres",
    "scipy-ilu-gmres": "SciPy ILU-gmres",
    "pyamg-sa-cg": "PyAMG SA-cg",
    "pyamg-rs-cg": "PyAMG RS-cg",
    "pyamg-sa-gs": "PyAMG SA-cg, GS",
    "pyamg-sa-lean": "PyAMG SA-cg, lean",
    "pyamg-sa-w": "PyAMG SA-cg, W",
    "pyamg-sa-theta": "PyAMG SA-cg, theta",
    "pyamg-sa-jacobi": "PyAMG SA-cg, Jacobi",
    "pyamg-rs-gs": "PyAMG RS-cg, GS",
    "pyamg-rs-theta": "PyAMG RS-cg, theta",
    "pyamg-rs-pmis": "PyAMG RS-cg, PMIS",
    "multigrid-cg": "multigrid, tuned",
    "multigrid-default-cg": "multigrid",
    "multigrid-11-cg": "multigrid, V(1,1)",
    "fast-poisson": "fast Poisson",
    "fast-poisson-cg": "fast-Poisson-cg",
    "mic-e-cg": "MIC(0)-E-cg",
    "ssor-e-cg": "SSOR-E-cg",
    "jacobi-cg": "Jacobi-cg",
    "ssor-cg": "SSOR-cg",
    "chebyshev-cg": "Chebyshev-cg",
    "ic0-cg": "IC(0)-cg",
    "mic-cg": "MIC(0)-cg",
    "ic2-cg": "IC(2)-cg",
    "ict-cg": "MICT-cg",
    "sa-amg-cg": "SA-AMG-cg",
    "rs-amg-cg": "RS-AMG-cg",
    "direct": "SuperLU",
    "jacobi-gmres": "Jacobi-gmres",
    "jacobi-bicgstab": "Jacobi-bicgstab",
    "ilu0-gmres": "ILU(0)-gmres",
    "ilu0-bicgstab": "ILU(0)-bicgstab",
    "ilu2-fgmres": "ILU(2)-fgmres",
    "auto": "solve (auto)",
    "spgemm": "spgemm",
    "spgemm-any": "spgemm, any order",
    "plan": "plan, new values",
    "plan-values": "plan, values alone",
    "plan-setup": "plan, set-up",
    "scipy": "SciPy",
    "scipy-sort": "SciPy + sort",
    "mkl": "MKL",
    "mkl-sort": "MKL + sort",
    "mkl-staged": "MKL staged",
    "graphblas": "GraphBLAS",
    "graphblas-csr": "GraphBLAS to CSR",
    "torch": "torch",
    "gmres-ilu": "GMRES, ILU(0)",
    "gmres-dr-ilu": "GMRES-DR, ILU(0)",
    "skr-ilu": "SKR, ILU(0)",
    "skr-ilu-unsorted": "SKR, ILU(0), unsorted",
    "skr-jacobi": "SKR, Jacobi",
    "gcrotmk-ilu": "SciPy gcrotmk, ILU(0)",
    "cg-jacobi": "CG, Jacobi",
    "cg-mic": "CG, MIC(0)",
    "cg-ic": "CG, MIC(0)",
    "cg-dst": "CG, sine transforms",
    "cg-multigrid": "CG, multigrid",
    "cg-amg": "CG, AMG",
    "amg-fresh": "AMG, fresh",
    "amg-frozen": "AMG, frozen",
    "amg-refreshed": "AMG, refreshed",
    "superlu": "SuperLU",
    "frozen-lu": "GMRES, frozen LU",
    "cholmod": "CHOLMOD, symbolic kept",
    "batch": "batched multigrid",
    "sequence": "one by one",
    "sequence-no-recycling": "without recycling",
    "only-nothing": "no reuse",
    "only-recycling": "recycling alone",
    "only-guess": "guesses alone",
    "only-frozen": "frozen M alone",
    "only-sniff": "relations alone",
    "frozen-factor": "one IC/ILU for all",
    "frozen-factor-recycling": "one IC/ILU, recycling",
    "rebuilt-factor": "IC/ILU rebuilt",
    "rebuilt-factor-recycling": "IC/ILU rebuilt, recycling",
    "smash-v1": "V1 shared atomic",
    "smash-v2": "V2 tokens",
    "smash-v3": "V3 private",
}


def look(solver: str) -> Look:
    """Return a solver's look; an unknown name always gets the same one of a reserve."""
    return _LOOKS.get(solver) or _OTHERS[sum(solver.encode()) % len(_OTHERS)]


def shown(solver: str) -> str:
    """Name of a solver for people.

    Examples
    --------
    >>> shown("mic-cg"), shown("my-solver")
    ('MIC(0)-cg', 'my-solver')
    """
    return _NAMES.get(solver, solver)


_ALWAYS = (
    "scipy-cg",
    "cg",
    "ic0-cg",
    "mic-cg",
    "sa-amg-cg",
    "mic-e-cg",
    "multigrid-cg",
    "multigrid-11-cg",
    "fast-poisson",
    "pyamg-sa-cg",
    "gmres",
    "ilu0-gmres",
    "scipy-ilu-gmres",
    "auto",
)


def choose(solvers: Sequence[str], order: Sequence[str], most: int = 8) -> list[str]:
    """Pick what a crowded figure shows: the well-known solvers, then the fastest of `order`."""
    picked = [s for s in _ALWAYS if s in solvers][:most]
    for solver in order:
        if len(picked) >= most:
            break
        if solver not in picked:
            picked.append(solver)
    return [s for s in solvers if s in picked]
