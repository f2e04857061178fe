"""Preconditioners: set up once, apply often, update for a new matrix.

Each factory returns a `Preconditioner`, an operator whose product applies an approximate inverse.
"""

from .amg import AMG, amg
from .base import Preconditioner
from .chebyshev import ChebyshevPreconditioner, chebyshev
from .direct import Direct, direct
from .fast_poisson import FastPoisson, fast_poisson
from .ic import IncompleteCholeskyPreconditioner, ic
from .ilu import IncompleteLUPreconditioner, ilu
from .jacobi import BlockJacobi, Jacobi, block_jacobi, jacobi
from .multigrid import Multigrid, multigrid
from .ssor import SSORPreconditioner, ssor

__all__ = [
    "AMG",
    "BlockJacobi",
    "ChebyshevPreconditioner",
    "Direct",
    "FastPoisson",
    "IncompleteCholeskyPreconditioner",
    "IncompleteLUPreconditioner",
    "Jacobi",
    "Multigrid",
    "Preconditioner",
    "SSORPreconditioner",
    "amg",
    "block_jacobi",
    "chebyshev",
    "direct",
    "fast_poisson",
    "ic",
    "ilu",
    "jacobi",
    "multigrid",
    "ssor",
]
