"""Harvest of a recycled space from the short recurrences of conjugate gradients and MINRES.

A window keeps some consecutive Lanczos vectors: s_j (residual side) and ``v_j = M s_j`` (solution side), and how
``A v_j`` is combined from neighbouring s and from the images C of the deflation vectors. When it is full, the best k
vectors in the span of those harvested so far and of the window are taken by a Rayleigh-Ritz process.

Sources: A. Stathopoulos and K. Orginos, "Computing and deflating eigenvalues while solving multiple right-hand side linear
systems with an application to quantum chromodynamics", SIAM J. Sci. Comput. 32 (2010) 439-462; S. Wang, E. de Sturler and
G. H. Paulino, "Large-scale topology optimization using preconditioned Krylov subspace methods with recycling", Int. J.
Numer. Meth. Engng 69 (2007) 2441-2468.

Departure from both: nothing is assumed about orthogonality (a long recurrence loses it); all small matrices are inner
products of the vectors at hand, and dependent combinations are dropped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import vectors
from .dense import Blocks
from .harmonic import gain_of

__all__ = ["Harvest", "Window", "definite_pencil"]

Array = npt.NDArray[Any]


class Window:
    """The last Lanczos vectors of a solve: at most `length` of them whose images are known."""

    def __init__(self, blocks: Blocks, length: int, k: int, preconditioned: bool) -> None:
        self.blocks, self.length = blocks, length
        self.S = blocks.empty(length + 2)
        self.V = blocks.empty(length + 2) if preconditioned else self.S
        self.in_S: Array = np.zeros((length + 2, length + 1), dtype=blocks.small)  # A v_j = sum_i in_S[i, j] s_i + ...
        self.in_C: Array = np.zeros((k, length + 1), dtype=blocks.small)  # ... + sum_i in_C[i, j] C_i
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        self.count = 0  # vectors held
        self.first = 0  # the first of them whose image is known
        self.in_S[:] = 0.0
        self.in_C[:] = 0.0

    @property
    def full(self) -> bool:
        """Whether the image of no further vector can be held."""
        return self.count >= self.length + 2

    def push(self, s: Any, v: Any, scale: float) -> None:
        """Add the next pair, both times `scale`."""
        for source, block in ((s, self.S), (v, self.V)) if self.V is not self.S else ((s, self.S),):
            vectors.copy(source, block[self.count])
            vectors.scale(scale, block[self.count])
        self.count += 1

    def roll(self) -> None:
        """Keep the last two vectors, so that the recurrence goes on into the next window."""
        for block in (self.S, self.V) if self.V is not self.S else (self.S,):
            for i in range(2):
                vectors.copy(block[self.length + i], block[i])
        tail = self.in_S[self.length :, self.length].copy()
        self.in_S[:] = 0.0
        self.in_S[:2, 0] = tail
        self.in_C[:] = 0.0
        self.count, self.first = 2, 1

    def known(self) -> slice:
        """Return the range of vectors whose images are known."""
        return slice(self.first, max(self.count - 1, self.first))


class Harvest:
    """The best vectors so far: rows W, their images ``A W``, and a third block that the method needs."""

    def __init__(self, blocks: Blocks, k: int, W: Any, AW: Any, third: Any) -> None:
        self.blocks, self.k = blocks, k
        self.W, self.AW, self.third = W, AW, third
        self.gain: npt.NDArray[np.float64] = np.ones(W.shape[0])

    def take(self, window: Window, C: Any, MC: Any, *, harmonic: bool) -> None:
        """Refresh from a window; C are the images of the deflation vectors, MC these multiplied by M.

        Ritz (not `harmonic`): the third block is ``M^-1 W``, the pencil ``(W^H A W, W^H M^-1 W)``. Harmonic: the third
        block is ``M A W``, the pencil ``((A W)^H W, (A W)^H M A W)`` with inverse values.
        """
        blocks, known = self.blocks, window.known()
        size = known.stop - known.start
        if size <= 0 or self.k == 0:
            return
        k, count, c = self.W.shape[0], window.count, C.shape[0]
        # [A W, A V] in terms of [A W, S, C]: no image is formed
        images: Array = np.zeros((k + count + c, k + size), dtype=blocks.small)
        images[:k, :k] = np.eye(k)
        images[k : k + count, k:] = window.in_S[:count, known]
        images[k + count :, k:] = window.in_C[:c, known]
        Z = [self.W, window.V[known]]
        AZ = [self.AW, window.S[:count], C]
        if harmonic:
            third, combination = [self.third, window.V[:count], MC], images
        else:
            third, combination = [self.third, window.S[known]], np.eye(k + size, dtype=blocks.small)
        left = images.conj().T @ _gram(blocks, AZ, Z)
        if harmonic:
            right = images.conj().T @ _gram(blocks, AZ, third) @ images
        else:
            right = _gram(blocks, Z, third)
        found = definite_pencil(left, right)
        if found is None:
            return
        values, T = found
        with np.errstate(all="ignore"):
            sizes = 1.0 / np.abs(values) if harmonic else np.abs(values)
        order = np.argsort(sizes, kind="stable")
        chosen = order[: self.k]
        self.gain = gain_of(sizes[chosen], sizes[order[self.k :]])
        T = T[:, chosen]
        same = self.third is self.W
        W, AW = _combine(blocks, T, Z), _combine(blocks, images @ T, AZ)
        if harmonic and self.third is self.AW:
            self.third = AW
        else:
            self.third = W if same else _combine(blocks, combination @ T, third)
        self.W, self.AW = W, AW


def _gram(blocks: Blocks, left: list[Any], right: list[Any]) -> Array:
    """Inner products of all rows of some blocks with those of others."""
    return np.block([[blocks.gram(a, b) for b in right] for a in left])


def _combine(blocks: Blocks, T: Array, pieces: list[Any]) -> Any:
    """Combine the rows of several blocks as if they were one."""
    result: Any = None
    first = 0
    for piece in pieces:
        rows = piece.shape[0]
        if rows:
            part = blocks.combine(T[first : first + rows], piece)
            result = part if result is None else result.__iadd__(part)
        first += rows
    return result


def definite_pencil(left: Array, right: Array) -> tuple[npt.NDArray[np.float64], Array] | None:
    """Eigenvalues and vectors of ``left z = value right z`` for a Hermitian left and a semidefinite right side.

    Directions in which the right side vanishes to rounding are left out. None if nothing remains.
    """
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return None
    left, right = 0.5 * (left + left.conj().T), 0.5 * (right + right.conj().T)
    scale = np.sqrt(np.abs(np.diagonal(right)))
    if not (scale > 0).all():
        return None
    right = right / scale[:, None] / scale
    lengths, Q = np.linalg.eigh(right)
    good = lengths > 1e-12 * lengths[-1]
    Q = Q[:, good] / np.sqrt(lengths[good]) / scale[:, None]
    try:
        values, Z = np.linalg.eigh(Q.conj().T @ left @ Q)
    except np.linalg.LinAlgError:
        return None
    return values, Q @ Z
