"""Riemannian conjugate gradients on the manifold of matrices of fixed rank (LRGeomCG).

Tangent vectors at ``X = U diag(s) V'`` are kept as ``A V' + U B'`` with ``V' B = 0``. The gradient is the projection of the
sparse residual; directions are carried to the next point by projection and combined by the Polak-Ribiere+ rule; the step
is the exact one of the model without retraction; the retraction is the truncated SVD of rank 2 k factors. A step costs
12 N k + O((m + n) k^2) flops.

References
----------
.. [1] B. Vandereycken, Low-rank matrix completion by Riemannian optimization, SIAM J. Optim. 23 (2013).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .entries import Entries
from .factors import gram, leading, mix, retract
from .watch import Watch

__all__ = ["rcg"]

Array = npt.NDArray[Any]


def _project(columns: Array, rows: Array, U: Array, V: Array) -> tuple[Array, Array]:
    """Tangent vector at (U, V) of a matrix Z given by ``Z V`` and ``Z' U``."""
    return columns, rows - mix(V, gram(V, rows))


def rcg(entries: Entries, rank: int, watch: Watch, rng: np.random.Generator) -> tuple[Array, Array]:
    """Run LRGeomCG from a spectral start."""
    m, n = entries.shape
    U, s, V = leading(entries, entries.rows.values, rank, rng, passes=6 if rank <= 8 else 3)
    s = s * (m * n / max(entries.size, 1))
    image = np.empty_like(entries.residual)
    residual = entries.residuals(U * s, V)
    A = B = old_A = old_B = None
    old_square = 0.0
    while not watch.done(U * s, V, residual):
        R = entries.residual
        GA, GB = _project(entries.times(R, V), entries.transposed_times(R, U), U, V)  # minus the gradient
        square = float(np.vdot(GA, GA) + np.vdot(GB, GB))
        if A is None or B is None or old_A is None or old_B is None:
            A, B = GA, GB
        else:
            beta = max(0.0, (square - float(np.vdot(GA, old_A) + np.vdot(GB, old_B))) / old_square)
            A, B = GA + beta * A, GB + beta * B
            slope = float(np.vdot(GA, A) + np.vdot(GB, B))
            if slope <= 0.1 * np.sqrt(square * float(np.vdot(A, A) + np.vdot(B, B))):
                A, B = GA, GB
        length = entries.tangent(A, V, U, B, image) ** 2
        if not length > 0.0:
            length = 1.0
        step = float(np.vdot(GA, A) + np.vdot(GB, B)) / length
        for _ in range(10):  # the model step nearly always lowers the residual
            new_U, new_s, new_V = retract(U, s, V, step * A, step * B)
            new = entries.residuals(new_U * new_s, new_V)
            if new < residual or residual == 0.0:
                break
            step *= 0.5
        # Z V+ and Z' U+ of the direction and of the gradient, Z = A V' + U B'
        VV, BV, AU, UU = gram(V, new_V), gram(B, new_V), gram(A, new_U), gram(U, new_U)
        A, B = _project(mix(A, VV) + mix(U, BV), mix(V, AU) + mix(B, UU), new_U, new_V)
        BV, AU = gram(GB, new_V), gram(GA, new_U)
        old_A, old_B = _project(mix(GA, VV) + mix(U, BV), mix(V, AU) + mix(GB, UU), new_U, new_V)
        old_square = square if square > 0.0 else 1.0
        U, s, V, residual = new_U, new_s, new_V, new
    return U * s, V
