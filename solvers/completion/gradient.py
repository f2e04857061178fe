"""First-order methods on the two factors: scaled gradient descent and alternating steepest descent.

`scaled_gd` [1]_ moves both factors at once, each gradient multiplied by the inverse Gram matrix of the other factor, with a
step of 0.5, which is halved when the residual rises (departure: the paper's fixed step diverges below about five times
oversampling); `asd` [2]_ moves one at a time with the exact step of the quadratic, with the same scaling where asked
(ScaledASD). A step costs 6 N k flops, or 8 N k with the two line searches.

References
----------
.. [1] T. Tong, C. Ma, Y. Chi, Accelerating ill-conditioned low-rank matrix estimation via scaled gradient descent, J.
   Mach. Learn. Res. 22 (2021).
.. [2] J. Tanner, K. Wei, Low rank matrix completion by alternating steepest descent methods, Appl. Comput. Harmon. Anal.
   40 (2016).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .entries import Entries
from .factors import gram, leading, mix
from .watch import Watch

__all__ = ["asd", "scaled_gd", "scaled_inverse", "spectral"]

Array = npt.NDArray[Any]


def spectral(entries: Entries, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Balanced factors of the best approximation of rank `rank` to the observed entries over their fraction."""
    m, n = entries.shape
    U, s, V = leading(entries, entries.rows.values, rank, rng, passes=6 if rank <= 8 else 3)
    root = np.sqrt(s * (m * n / max(entries.size, 1)))
    return U * root, V * root


def scaled_inverse(F: Array) -> Array:
    """Inverse of ``F' F``; eigenvalues at rounding level count as such."""
    values, vectors = np.linalg.eigh(gram(F, F))
    return (vectors / np.maximum(values, values[-1] * 1e-15 + 1e-300)) @ vectors.T


def scaled_gd(
    entries: Entries, rank: int, watch: Watch, rng: np.random.Generator, *, step: float = 0.5
) -> tuple[Array, Array]:
    """Scaled gradient descent; `step` is that of the paper, over the observed fraction."""
    U, V = spectral(entries, rank, rng)
    m, n = entries.shape
    scale = step * m * n / max(entries.size, 1)
    residual = entries.residuals(U, V)
    while not watch.done(U, V, residual):
        R = entries.residual
        right = U + scale * mix(entries.times(R, V), scaled_inverse(V))
        below = V + scale * mix(entries.transposed_times(R, U), scaled_inverse(U))
        new = entries.residuals(right, below)
        if new <= residual:
            U, V, residual = right, below, new
        else:
            scale *= 0.5
            entries.residuals(U, V)
    return U, V


def asd(
    entries: Entries, rank: int, watch: Watch, rng: np.random.Generator, *, scaled: bool = True
) -> tuple[Array, Array]:
    """Alternating steepest descent with exact steps; `scaled` multiplies gradients by inverse Gram matrices."""
    U, V = spectral(entries, rank, rng)
    image = np.empty_like(entries.residual)
    residual = entries.residuals(U, V)
    while not watch.done(U, V, residual):
        for left in (True, False):
            other = V if left else U
            gradient = entries.times(entries.residual, V) if left else entries.transposed_times(entries.residual, U)
            direction = mix(gradient, scaled_inverse(other)) if scaled else gradient
            if left:
                square = entries.tangent(direction, V, np.zeros_like(U), np.zeros_like(V), image) ** 2
            else:
                square = entries.tangent(np.zeros_like(U), np.zeros_like(V), U, direction, image) ** 2
            if not square > 0.0:
                continue
            length = float(np.vdot(gradient, direction)) / square
            if left:
                U = U + length * direction
            else:
                V = V + length * direction
            residual = entries.residuals(U, V)
    return U, V
