"""Sparse times sparse: one-shot products, plans for many products on one pattern, triple products, semirings."""

from .masked import masked_spgemm
from .plan import SpGEMMPlan
from .product import release_scratch, spgemm
from .rap import RAPPlan, aat, rap

__all__ = ["RAPPlan", "SpGEMMPlan", "aat", "masked_spgemm", "rap", "release_scratch", "spgemm"]
