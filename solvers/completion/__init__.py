"""Low-rank matrix completion: robust alternating minimisation, and the methods to compare it with."""

from . import sensing
from .complete import METHODS, RankChoice, choose_rank, complete
from .result import CompletionOutcome, CompletionResult, load_completion

__all__ = [
    "METHODS",
    "CompletionOutcome",
    "CompletionResult",
    "RankChoice",
    "choose_rank",
    "complete",
    "load_completion",
    "sensing",
]
