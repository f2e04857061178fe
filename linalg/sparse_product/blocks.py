"""Rows cut in one block of equal work per thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..threads import get_threads

__all__ = ["equal_blocks"]

PARALLEL_WORK = 1 << 17  # multiply-adds below which one thread does it all


def equal_blocks(ends: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """First row of each block, and the number of rows; ``ends`` holds the running sum of the work of the rows."""
    total = int(ends[-1]) if ends.size else 0
    blocks = get_threads() if total >= PARALLEL_WORK else 1
    cuts = np.searchsorted(ends, np.linspace(0, total, blocks + 1)).astype(np.uint64)
    cuts[0], cuts[-1] = 0, ends.size
    return cuts
