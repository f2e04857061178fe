"""Krylov methods that recycle: what one solve learns about the operator makes the next one cheaper."""

from .block_gcrodr import block_gcrodr
from .deflated_cg import deflated_cg
from .gcrodr import gcrodr
from .gmres_dr import gmres_dr
from .recycled_minres import recycled_minres
from .space import RecycleSpace

__all__ = ["RecycleSpace", "block_gcrodr", "deflated_cg", "gcrodr", "gmres_dr", "recycled_minres"]
