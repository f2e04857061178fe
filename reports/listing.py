"""``ritzkit list``: what there is, in plain text that pipes well, with a little weight on a terminal."""

from __future__ import annotations

import sys

from . import suites
from .suites.configurations import CONFIGURATIONS
from .suites.kernels import SUITE as KERNELS

__all__ = ["METHODS", "preconditioners", "run"]

METHODS = (
    "auto",
    "direct",
    "cg",
    "fcg",
    "minres",
    "gmres",
    "fgmres",
    "bicgstab",
    "chebyshev",
    "jacobi",
    "sor",
    "ssor",
)
"""Names that ``ritzkit solve --method`` takes."""

_NOT_FACTORIES = {"Preconditioner"}


def methods() -> list[str]:
    """Return the methods of `METHODS` that this version has."""
    from .. import solvers

    return [name for name in METHODS if name == "direct" or hasattr(solvers, "solve" if name == "auto" else name)]


def preconditioners() -> dict[str, str]:
    """Return the preconditioners by name with the first line of their docstrings."""
    from ..solvers import precond

    found = {}
    for name in sorted(getattr(precond, "__all__", ())):
        make = getattr(precond, name)
        if callable(make) and not isinstance(make, type) and name not in _NOT_FACTORIES:
            found[name] = (make.__doc__ or "").strip().partition("\n")[0]
    return found


def run() -> int:
    """Print the list; return the exit code."""
    from ..problems import FAMILIES

    bold = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")

    def section(title: str, entries: dict[str, str]) -> None:
        width = max(map(len, entries), default=0)
        sys.stdout.write(f"{bold[0]}{title}{bold[1]}\n")
        for name, text in entries.items():
            sys.stdout.write(f"  {name:<{width}}  {text}".rstrip() + "\n")
        sys.stdout.write("\n")

    section(
        "suites (ritzkit bench SUITE)",
        {name: suites.get(name).summary for name in suites.NAMES if name != KERNELS.name}
        | {KERNELS.name: KERNELS.summary},
    )
    section("solvers in suites (ritzkit bench --solver NAME)", {c.name: c.title for c in CONFIGURATIONS.values()})
    section("methods (ritzkit solve --method NAME)", dict.fromkeys(methods(), ""))
    section("preconditioners (ritzkit solve --precond NAME[:KEY=VALUE,...])", preconditioners())
    section(
        "problem families (ritzkit.problems.FAMILIES)",
        {name: family.summary() for name, family in FAMILIES.items()},
    )
    return 0
