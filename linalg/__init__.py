"""Operators, sparse kernels and incomplete factors: the lowest floor.

Everything above shares one kind of operator (`Operator`, `as_operator`), one set of vector functions (`vectors`) and one
place that sets thread counts (`threads`).
"""

from . import threads, vectors
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
    "ScaledOperator",
    "StencilOperator",
    "SumOperator",
    "TransposeOperator",
    "as_operator",
    "is_hermitian",
    "threads",
    "vectors",
]
