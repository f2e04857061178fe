"""Krylov methods, stationary methods and preconditioners, all with one call and one result."""

from . import precond
from .batch import solve_batch
from .bicgstab import bicgstab
from .cg import cg
from .chebyshev import chebyshev
from .completion import CompletionOutcome, CompletionResult, choose_rank, complete, load_completion
from .fcg import fcg
from .gmres import fgmres, gmres
from .least_squares import LSTSQ_METHODS, LeastSquaresResult, lstsq
from .minres import minres
from .recycling import RecycleSpace, block_gcrodr, deflated_cg, gcrodr, gmres_dr, recycled_minres
from .result import Outcome, SolveResult
from .sequence import SequenceReport, SequenceSolver
from .solve import METHODS, direct, solve
from .stationary import jacobi, sor, ssor

__all__ = [
    "LSTSQ_METHODS",
    "METHODS",
    "CompletionOutcome",
    "CompletionResult",
    "LeastSquaresResult",
    "Outcome",
    "RecycleSpace",
    "SequenceReport",
    "SequenceSolver",
    "SolveResult",
    "bicgstab",
    "block_gcrodr",
    "cg",
    "chebyshev",
    "choose_rank",
    "complete",
    "deflated_cg",
    "direct",
    "fcg",
    "fgmres",
    "gcrodr",
    "gmres",
    "gmres_dr",
    "jacobi",
    "load_completion",
    "lstsq",
    "minres",
    "precond",
    "recycled_minres",
    "solve",
    "solve_batch",
    "sor",
    "ssor",
]
