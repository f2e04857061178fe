"""Initial guesses from past solutions.

For one matrix that comes again with other right-hand sides: P. F. Fischer, "Projection techniques for iterative solution of
A x = b with successive right-hand sides", Comput. Methods Appl. Mech. Engrg. 163 (1998) 193-204. The images of past
corrections are kept orthonormal, so the guess is the best one in the 2-norm of the residual; where the right-hand
sides span few dimensions, it soon is the solution itself (superposition).

For matrices that change: projection onto the last solutions, in the energy norm where A is positive definite and by least
squares otherwise.

Departures: the direction that helped least of late makes room for a new one (instead of a restart of the whole basis); a
Galerkin guess whose residual exceeds the least squares one by much is replaced by it. No guess is handed on that is worse
than zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import Operator, vectors

__all__ = ["Past", "Span"]

Array = npt.NDArray[Any]


class Span:
    """Corrections d and their orthonormal images ``A d`` for one matrix, as rows."""

    def __init__(self, most: int = 48) -> None:
        self.most = most
        self.X: Array | None = None
        self.C: Array | None = None
        self.k = 0
        self.worth: npt.NDArray[np.float64] = np.zeros(0)

    def guess(self, b: Array) -> tuple[Array, float] | None:
        """Return a guess and the norm of its residual, None while nothing is known."""
        if self.k == 0 or self.X is None or self.C is None or b.dtype != self.C.dtype or b.size != self.C.shape[1]:
            return None
        C, X = self.C[: self.k], self.X[: self.k]
        c = C.conj() @ b if C.dtype.kind == "c" else C @ b
        r = b - c @ C
        norm = float(vectors.norm(r))
        share = np.abs(c) / max(float(vectors.norm(b)), 1e-300)
        self.worth[: self.k] = np.maximum(0.8 * self.worth[: self.k], share)
        return c @ X, norm

    def learn(self, d: Array, A: Operator) -> int:
        """Take in a correction; returns the products made."""
        image = np.empty_like(d)
        A._apply(d, image)
        size = float(vectors.norm(image))
        if not 0.0 < size < np.inf:
            return 1
        if self.X is None or self.C is None or self.X.shape[1] != d.size or self.X.dtype != d.dtype:
            self.X, self.C, self.k = np.empty((4, d.size), d.dtype), np.empty((4, d.size), d.dtype), 0
            self.worth = np.zeros(self.most)
        X, C = self.X, self.C
        d = d / size
        image /= size
        for _ in range(2):
            c = C[: self.k].conj() @ image
            image -= c @ C[: self.k]
            d = d - c @ X[: self.k]
        rest = float(vectors.norm(image))
        if not rest > 1e-10:
            return 1
        if self.k == self.most:
            weakest = int(np.argmin(self.worth[: self.k]))
            X[weakest], C[weakest], place = X[self.k - 1], C[self.k - 1], self.k - 1
            self.worth[weakest] = self.worth[place]
        else:
            place = self.k
            if place == X.shape[0]:
                rows = min(2 * place, self.most)
                self.X, self.C = (np.resize(block, (rows, d.size)) for block in (X, C))
                X, C = self.X, self.C
            self.k += 1
        X[place], C[place] = d / rest, image / rest
        self.worth[place] = 1.0
        return 1

    def copy(self) -> Span:
        """Return an independent copy."""
        result = Span(self.most)
        result.X, result.C = (None if block is None else block.copy() for block in (self.X, self.C))
        result.k, result.worth = self.k, self.worth.copy()
        return result


class Past:
    """The last solutions of systems whose matrices differ, as rows of length 1."""

    def __init__(self, most: int = 8) -> None:
        self.most = most
        self.X: Array | None = None
        self.k = 0
        self.next = 0

    def learn(self, x: Array) -> None:
        """Keep a solution."""
        size = float(vectors.norm(x))
        if not 0.0 < size < np.inf:
            return
        if self.X is None or self.X.shape[1] != x.size or self.X.dtype != x.dtype:
            self.X, self.k, self.next = np.empty((self.most, x.size), x.dtype), 0, 0
        np.divide(x, size, out=self.X[self.next])
        self.next = (self.next + 1) % self.most
        self.k = min(self.k + 1, self.most)

    def guess(self, A: Operator, b: Array, definite: bool) -> tuple[Array, float] | None:
        """Return a guess and the norm of its residual; makes one product per solution."""
        if self.k == 0 or self.X is None or self.X.dtype != b.dtype or self.X.shape[1] != b.size:
            return None
        X = self.X[: self.k]
        images = np.empty_like(X)
        for x, image in zip(X, images, strict=True):
            A._apply(x, image)
        left = images.conj() @ b
        c = _solve(images.conj() @ images.T, left)
        best: tuple[Array, float] | None = None
        if c is not None:
            best = c, float(vectors.norm(b - c @ images))
        if definite:
            energy = _solve(X.conj() @ images.T, X.conj() @ b)
            if energy is not None:
                norm = float(vectors.norm(b - energy @ images))
                if best is None or norm <= 3.0 * best[1]:  # the energy norm is what cg goes by
                    best = energy, norm
        return None if best is None else (best[0] @ X, best[1])

    def copy(self) -> Past:
        """Return an independent copy."""
        result = Past(self.most)
        result.X = None if self.X is None else self.X.copy()
        result.k, result.next = self.k, self.next
        return result


def _solve(gram: Array, right: Array) -> Array | None:
    """Solve small normal equations, directions below the rounding left out."""
    gram = 0.5 * (gram + gram.conj().T)
    if not (np.isfinite(gram).all() and np.isfinite(right).all()):
        return None
    values, Q = np.linalg.eigh(gram)
    good = values > max(1e-13, 10 * float(np.finfo(gram.dtype).eps)) * values[-1]
    if not good.any() or values[-1] <= 0:
        return None
    return np.asarray(Q[:, good] @ ((Q[:, good].conj().T @ right) / values[good]), dtype=gram.dtype)
