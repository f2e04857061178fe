"""What a batch of personalised PageRank answers comes with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PageRankResult", "fraction", "whole"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class PageRankResult:
    """Personalised PageRank of a batch of sources, one row each, and what is known about its error.

    Attributes
    ----------
    scores : csr_array or ndarray, shape (batch, n)
        The answers.
    error_bound : ndarray, shape (batch,)
        No row is farther than this from the exact one in the 1-norm (of all entries, before `top` takes its pick),
        up to rounding. For pushes without an index and P without empty rows it is the error itself.
    dropped : ndarray, shape (batch,)
        Mass that pruning dropped.
    remaining : ndarray, shape (batch,)
        Mass that was not pushed; it met the index, or is missing in `scores`.
    spread : ndarray, shape (batch,)
        Bound of the root mean square, over the walks of an (unbiased) index, of the error in the 2-norm, apart from
        what was dropped; zero without an index.
    steps : ndarray, shape (batch,)
        Pushes of the whole frontier, or steps of the power iteration.
    multiply_adds : ndarray, shape (batch,)
        Work in products with P and with the index.
    """

    scores: Any
    error_bound: Array
    dropped: Array
    remaining: Array
    spread: Array
    steps: Array
    multiply_adds: Array


def fraction(name: str, value: float) -> float:
    """Return a fraction of the mass of a source, or refuse it."""
    if isinstance(value, bool) or not isinstance(value, (float, int, np.floating, np.integer)):
        raise TypeError(f"{name} is {value!r}: wanted a number from 0 to 1")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value!r}: wanted a fraction of the mass of a source, from 0 to 1")
    return float(value)


def whole(name: str, value: int, least: int) -> None:
    """Refuse what is not a whole number of at least so much."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}: wanted a whole number")
    if value < least:
        raise ValueError(f"{name} is {value!r}: wanted at least {least}")
