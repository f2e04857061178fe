"""Operators: linear maps that state facts (symmetric, positive definite, fixed, null space, grid)."""

from .base import Operator
from .compose import (
    AdjointOperator,
    CongruenceOperator,
    KroneckerOperator,
    LowRankUpdate,
    ProductOperator,
    ScaledOperator,
    SumOperator,
    TransposeOperator,
)
from .convert import as_operator
from .grid import Cell, Grid
from .matrix import CSROperator, DenseOperator, DiagonalOperator, ForeignOperator, IdentityOperator, is_hermitian
from .stencil import StencilOperator

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
]
