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
from .pagerank import PageRankResult, WalkIndex, pagerank_power, personalized_pagerank, transition_matrix
from .relaxation import Relaxation
from .sparse_product import RAPPlan, SpGEMMPlan, aat, masked_spgemm, rap, spgemm
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
    "PageRankResult",
    "ProductOperator",
    "RAPPlan",
    "Relaxation",
    "ScaledOperator",
    "SpGEMMPlan",
    "StencilOperator",
    "SumOperator",
    "TransposeOperator",
    "TriangularSolver",
    "WalkIndex",
    "aat",
    "as_operator",
    "factor",
    "is_hermitian",
    "masked_spgemm",
    "pagerank_power",
    "personalized_pagerank",
    "rap",
    "solve_triangular",
    "spgemm",
    "threads",
    "transition_matrix",
    "vectors",
]
