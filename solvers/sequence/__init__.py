"""A solver for streams of related systems."""

from .report import SequenceReport
from .solver import SequenceSolver

__all__ = ["SequenceReport", "SequenceSolver"]
