"""Preconditioners: set up once, apply often, update for a new matrix.

Each factory returns a `Preconditioner`, an operator whose product applies an approximate inverse.
"""

from .amg import AMG, amg
from .base import Preconditioner
from .chebyshev import ChebyshevPreconditioner, chebyshev
from .direct import Direct, direct
from .jacobi import BlockJacobi, Jacobi, block_jacobi, jacobi

__all__ = [
    "AMG",
    "BlockJacobi",
    "ChebyshevPreconditioner",
    "Direct",
    "Jacobi",
    "Preconditioner",
    "amg",
    "block_jacobi",
    "chebyshev",
    "direct",
    "jacobi",
]
