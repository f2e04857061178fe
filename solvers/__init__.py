"""Krylov methods, stationary methods and preconditioners, all with one call and one result."""

from . import precond
from .batch import solve_batch
from .bicgstab import bicgstab
from .cg import cg
from .chebyshev import chebyshev
from .fcg import fcg
from .gmres import fgmres, gmres
from .minres import minres
from .result import Outcome, SolveResult
from .solve import METHODS, direct, solve
from .stationary import jacobi, sor, ssor

__all__ = [
    "METHODS",
    "Outcome",
    "SolveResult",
    "bicgstab",
    "cg",
    "chebyshev",
    "direct",
    "fcg",
    "fgmres",
    "gmres",
    "jacobi",
    "minres",
    "precond",
    "solve",
    "solve_batch",
    "sor",
    "ssor",
]
