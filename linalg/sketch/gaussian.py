"""The Gaussian sketch: independent normal entries, the yardstick of all others."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from .base import Sketch

__all__ = ["GaussianSketch"]

Array = npt.NDArray[Any]

_KEEP = 1 << 25  # entries up to which the sketch is kept (256 MiB); a larger one is drawn anew at every product
_COLUMNS = 4096  # columns that are drawn from one stream


class GaussianSketch(Sketch):
    """Independent normal entries of variance ``1/d``.

    Parameters
    ----------
    d, m : int
        Rows and columns of the sketch.
    rng : Generator, seed or None
        Source of the randomness.

    Notes
    -----
    2 d m flops per column of A, by BLAS. Entries are drawn by blocks of columns, each from a stream of its own, so a large
    sketch needs no memory and is still one fixed map; drawing it anew then costs more than the product with few columns.
    """

    dense = True

    def __init__(self, d: int, m: int, *, rng: Any = None) -> None:
        super().__init__(d, m)
        self._seed = int(np.random.default_rng(rng).integers(0, 2**63))
        self._kept: list[Array] | None = None

    def _pieces(self) -> list[tuple[int, int]]:
        return [(first, min(self.m, first + _COLUMNS)) for first in range(0, self.m, _COLUMNS)]

    def _piece(self, number: int, dtype: Any) -> Array:
        """Columns 4096 j to 4096 (j + 1) of the sketch, stored by columns."""
        if self._kept is None and self.d * self.m <= _KEEP:
            self._kept = [self._draw(j) for j in range(len(self._pieces()))]
        piece = self._draw(number) if self._kept is None else self._kept[number]
        return piece.astype(dtype, copy=False)

    def _draw(self, number: int) -> Array:
        first, last = self._pieces()[number]
        stream = np.random.Generator(np.random.SFC64([self._seed, number]))
        return (stream.standard_normal((last - first, self.d)) / np.sqrt(self.d)).T

    def _forward(self, x: Array) -> Array:
        out = np.zeros((self.d, x.shape[1]), dtype=x.dtype)
        for j, (first, last) in enumerate(self._pieces()):
            out += self._piece(j, x.dtype) @ x[first:last]
        return out

    def _forward_csr(self, x: csr_array) -> Array:
        out = np.zeros((self.d, x.shape[1]), dtype=x.dtype)
        for j, (first, last) in enumerate(self._pieces()):
            out += self._piece(j, x.dtype) @ x[first:last]
        return out

    def _backward(self, y: Array) -> Array:
        out = np.empty((self.m, y.shape[1]), dtype=y.dtype)
        for j, (first, last) in enumerate(self._pieces()):
            out[first:last] = self._piece(j, y.dtype).T @ y
        return out
