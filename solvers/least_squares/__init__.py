"""Least squares: one call, several methods, and a backward error that is measured."""

from .lstsq import LSTSQ_METHODS, lstsq
from .result import LeastSquaresResult

__all__ = ["LSTSQ_METHODS", "LeastSquaresResult", "lstsq"]
