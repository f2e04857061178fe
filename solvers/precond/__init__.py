"""Preconditioners: set up once, apply often, update for a new matrix.

Each factory returns a `Preconditioner`, an operator whose product applies an approximate inverse.
"""

from .amg import AMG, amg
from .base import Preconditioner
from .chebyshev import ChebyshevPreconditioner, chebyshev
from .deflation import Deflation, deflation
from .direct import Direct, direct
from .fast_poisson import FastPoisson, fast_poisson
from .ic import IncompleteCholeskyPreconditioner, ic
from .ilu import IncompleteLUPreconditioner, ilu
from .jacobi import BlockJacobi, Jacobi, block_jacobi, jacobi
from .multigrid import Multigrid, multigrid
from .nystrom import Nystrom, nystrom
from .ssor import SSORPreconditioner, ssor

__all__ = [
    "AMG",
    "BlockJacobi",
    "ChebyshevPreconditioner",
    "Deflation",
    "Direct",
    "FastPoisson",
    "IncompleteCholeskyPreconditioner",
    "IncompleteLUPreconditioner",
    "Jacobi",
    "Multigrid",
    "Nystrom",
    "Preconditioner",
    "SSORPreconditioner",
    "amg",
    "block_jacobi",
    "chebyshev",
    "deflation",
    "direct",
    "fast_poisson",
    "ic",
    "ilu",
    "jacobi",
    "multigrid",
    "nystrom",
    "ssor",
]
