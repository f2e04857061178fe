"""Datasets for neural operators: drawn, ordered, solved, checked, written in the formats that their libraries load."""

from .arms import ARMS
from .formats import FORMATS
from .generate import generate
from .manifest import Manifest
from .ordering import ORDERS, Ordering, low_modes, order_samples, problem_features
from .validate import validate_dataset

__all__ = [
    "ARMS",
    "FORMATS",
    "ORDERS",
    "Manifest",
    "Ordering",
    "generate",
    "low_modes",
    "order_samples",
    "problem_features",
    "validate_dataset",
]
