"""Operators, sparse kernels and incomplete factors: the lowest floor.

Everything above shares one kind of operator (`Operator`, `as_operator`), one set of vector functions (`vectors`) and one
place that sets thread counts (`threads`).
"""

from . import factor, threads, vectors
from .operators import (
    AdjointOperator,
    Cell,
    CongruenceOperator,
    CSROperator,
    DenseOperator,
    DiagonalOperator,
    ForeignOperator,
    Grid,
    IdentityOperator,
    KroneckerOperator,
    LowRankUpdate,
    Operator,
    ProductOperator,
    ScaledOperator,
    StencilOperator,
    SumOperator,
    TransposeOperator,
    as_operator,
    is_hermitian,
)
from .relaxation import Relaxation
from .triangular import TriangularSolver, solve_triangular

__all__ = [
    "AdjointOperator",
    "CSROperator",
    "Cell",
    "CongruenceOperator",
    "DenseOperator",
    "DiagonalOperator",
    "ForeignOperator",
    "Grid",
    "IdentityOperator",
    "KroneckerOperator",
    "LowRankUpdate",
    "Operator",
    "ProductOperator",
    "Relaxation",
    "ScaledOperator",
    "StencilOperator",
    "SumOperator",
    "TransposeOperator",
    "TriangularSolver",
    "as_operator",
    "factor",
    "is_hermitian",
    "solve_triangular",
    "threads",
    "vectors",
]
