"""Incomplete factors: Cholesky (levels, threshold, relaxed), LU (the same), SSOR, Eisenstat's form."""

from .cholesky import IncompleteCholesky
from .eisenstat import EisenstatForm
from .lu import IncompleteLU
from .ssor import SSORFactor
from .unit import UnitFactor

__all__ = ["EisenstatForm", "IncompleteCholesky", "IncompleteLU", "SSORFactor", "UnitFactor"]
