"""Alternating least squares with a ridge and biases, for noisy data such as ratings.

Minimises ``sum (y_ij - mean - b_i - c_j - u_i' v_j)^2 + ridge (sum w_i (|u_i|^2 + b_i^2) + sum z_j (|v_j|^2 + c_j^2))`` with
weights w, z equal to one, or to the number of entries of the row or column (`scaled`). A bias is one more unknown of its
row, beside a column of ones in the fixed factor, so both are fitted together [1]_. The mean takes over what the biases
have in common, which costs no penalty.

Departure: now and then (after sweeps 1, 2, 4, 8, ...) the two factors are balanced, which lowers the penalty and leaves the
fit as it is. Without that, sweeps with a small ridge spend themselves on moving scale from one factor to the other.

References
----------
.. [1] Y. Zhou, D. Wilkinson, R. Schreiber, R. Pan, Large-scale parallel collaborative filtering for the Netflix prize,
   AAIM 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .altmin import Inner
from .entries import Entries, Side
from .factors import orthonormalize, truncate
from .watch import Watch

__all__ = ["regularized"]

Array = npt.NDArray[Any]


def _less(side: Side, shift: float, bias: Array, out: Array) -> Array:
    """Values minus the mean and the bias of the other side, in the order of this side; in chunks."""
    step = 1 << 20
    for a in range(0, out.size, step):
        part = slice(a, a + step)
        out[part] = side.values[part] - (bias[side.indices[part]] + shift)
    return out


def _balanced(U: Array, V: Array, w: Array, z: Array) -> tuple[Array, Array]:
    """Factors of the same product with the least penalty: their weighted Gram matrices are equal and diagonal."""
    w, z = (np.sqrt(np.maximum(weight, 1.0))[:, None] for weight in (w, z))  # empty rows are zero anyway
    left, s, right = truncate(w * U, z * V, U.shape[1])
    return left * np.sqrt(s) / w, right * np.sqrt(s) / z


def regularized(
    entries: Entries,
    rank: int,
    watch: Watch,
    rng: np.random.Generator,
    *,
    inner: Inner,
    ridge: float,
    biases: bool,
) -> tuple[Array, Array, float, Array | None, Array | None]:
    """Alternate with a ridge; return U, V, mean and the biases (None without)."""
    m, n = entries.shape
    mean = float(entries.rows.values.mean(dtype=np.float64)) if biases and entries.size else 0.0
    extra = int(biases)
    U, V = np.zeros((m, rank + extra)), np.zeros((n, rank + extra))
    # small random directions: the first sweep fits the biases and turns the factors to the data
    V[:, :rank] = orthonormalize(rng.standard_normal((n, rank)))[0] * np.sqrt(n) * 0.1
    weights = (entries.rows.counts, entries.cols.counts) if inner.scaled else (np.ones(m), np.ones(n))
    row_bias, col_bias = np.zeros(m), np.zeros(n)
    number, balance = 0, 1
    while True:
        for side, fixed, free, other, own in (
            (entries.rows, V, U, col_bias, row_bias),
            (entries.cols, U, V, row_bias, col_bias),
        ):
            values = None
            if biases:
                values = _less(side, mean, other, entries.residual)
                fixed[:, rank] = 1.0
                free[:, rank] = own
            watch.inner_steps += inner.solve(side, fixed, free, ridge, values)
            if biases:
                weight = weights[0] if own is row_bias else weights[1]
                shift = float(weight @ free[:, rank]) / float(weight.sum())
                own[:] = free[:, rank] - shift
                mean += shift
        if biases:
            left = np.hstack([U[:, :rank], (row_bias + mean)[:, None], np.ones((m, 1))])
            right = np.hstack([V[:, :rank], np.ones((n, 1)), col_bias[:, None]])
        else:
            left, right = U, V
        residual = entries.residuals(left, right)
        number += 1
        if number == balance:
            U[:, :rank], V[:, :rank] = _balanced(U[:, :rank], V[:, :rank], *weights)
            balance *= 2
        penalty = sum(
            float(w @ np.einsum("ij,ij->i", F[:, :rank], F[:, :rank]) + w @ bias**2)
            for w, F, bias in zip(weights, (U, V), (row_bias, col_bias), strict=True)
        )
        objective = (residual**2 + ridge * penalty) / max(entries.norm**2, np.finfo(float).tiny)
        if watch.done(left, right, residual, objective):
            break
    U, V = np.ascontiguousarray(U[:, :rank]), np.ascontiguousarray(V[:, :rank])
    return U, V, mean, row_bias if biases else None, col_bias if biases else None
