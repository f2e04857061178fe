"""A recycled space on its way into a solve: the operator as a map of blocks, its fingerprint, the blocks themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import Operator, vectors
from .dense import Blocks, apply_to_rows, fingerprint, probe_vector

__all__ = ["Carried", "as_map", "look"]


@dataclass
class Carried:
    """A space made ready for one operator, as blocks of row vectors of the solve."""

    U: Any
    C: Any
    P: Any  # M^-1 U, or None where it is U itself or unknown
    gain: npt.NDArray[np.float64]
    products: int = 0
    reused: bool = False


def as_map(A: Operator, M: Operator | None) -> Callable[[Any], Any]:
    """Products of rows with A, or with M A."""

    def images(rows: Any) -> Any:
        result = apply_to_rows(A, rows)
        return result if M is None else apply_to_rows(M, result)

    return images


def look(images: Callable[[Any], Any], blocks: Blocks) -> tuple[str, float]:
    """Fingerprint of the operator behind `images`, and about its norm; one product."""
    probe = probe_vector(blocks.like.shape[0])
    image = images(blocks.from_numpy(probe[None, :]))
    length = float(np.linalg.norm(vectors.to_numpy(image)))
    return fingerprint(image), length / max(float(np.linalg.norm(probe)), 1e-300)
