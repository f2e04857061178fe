"""The part that every method of this room shares: counted products, checks, random blocks, tall QR."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, get_blas_funcs, qr
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from ..operators import ForeignOperator, Operator, as_operator

__all__ = [
    "CountedOperator",
    "fraction",
    "gaussian",
    "held_entries",
    "new_directions",
    "orthonormal",
    "probe_error",
    "solve_right",
    "tall_qr",
    "whole",
    "working_dtype",
]

Array = npt.NDArray[Any]


def whole(name: str, value: Any, least: int, most: int | None = None, why: str = "") -> int:
    """Return a whole number in a range, or refuse it."""
    wanted = f"a whole number, at least {least}" if most is None else f"a whole number from {least} to {most}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} is {value!r}: wanted {wanted}{why}")
    if value < least or (most is not None and value > most):
        raise ValueError(f"{name} is {value}: wanted {wanted}{why}")
    return int(value)


def fraction(name: str, value: Any, *, most: float = np.inf) -> float:
    """Return a number >= 0 and at most `most`, or refuse it."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is {value!r}: wanted a number >= 0")
    if not 0 <= value <= most or not np.isfinite(value):
        raise ValueError(f"{name} is {value!r}: wanted a number >= 0" + (f" and <= {most:g}" if most < np.inf else ""))
    return float(value)


def working_dtype(dtype: Any) -> np.dtype[Any]:
    """Type in which factors of a matrix of `dtype` are computed: one of the four that vectors have."""
    dtype = np.dtype(dtype)
    if dtype.char in "fdFD":
        return dtype.newbyteorder("=")
    if dtype.kind not in "biufc":
        raise TypeError(f"A has dtype {dtype}: wanted numbers (float, complex or integer)")
    return np.dtype(np.complex128 if dtype.kind == "c" else np.float64)


class CountedOperator:
    """A checked operator that multiplies blocks of columns and counts what that takes.

    Attributes
    ----------
    passes : int
        Blocks that A or its conjugate transpose multiplied.
    products : int
        Columns of all these blocks.
    """

    def __init__(self, A: Any) -> None:
        self.operator: Operator = as_operator(A)
        if not all(self.operator.shape):
            raise ValueError(f"A has shape {self.operator.shape}: wanted at least one row and one column")
        if not self.operator.fixed:
            raise ValueError("A states that it is not fixed: wanted the same linear map at every product")
        self.shape: tuple[int, int] = self.operator.shape
        self.dtype = working_dtype(self.operator.dtype)
        self.passes = self.products = 0

    @property
    def eps(self) -> float:
        """Unit of rounding of the working type."""
        return float(np.finfo(self.dtype).eps)

    def times(self, X: Array) -> Array:
        """Return A X and count a pass."""
        return self._product(self.operator, X)

    def adjoint_times(self, Y: Array) -> Array:
        """Return A^H Y and count a pass."""
        try:
            return self._product(self.operator.H, Y)
        except (NotImplementedError, AttributeError, TypeError) as error:
            if isinstance(error, TypeError) and "NoneType" not in str(error):  # SciPy calls the rmatvec that it lacks
                raise
            raise TypeError(
                f"A is a {type(getattr(self.operator, 'inner', self.operator)).__name__} without a product with its "
                "conjugate transpose: give it rmatvec, or declare it symmetric: as_operator(A, symmetric=True)"
            ) from error

    def entries(self) -> Any:
        """Return A as a dense array or a CSR array, or None where it does not hold its entries."""
        return held_entries(self.operator)

    def _product(self, operator: Operator, X: Array) -> Array:
        self.passes += 1
        self.products += X.shape[1]
        inner = operator.inner if isinstance(operator, ForeignOperator) else None
        if isinstance(inner, LinearOperator):  # it may have a product with blocks that is faster than column by column
            product = inner.matmat(X)
        else:
            product = operator.matmat(np.ascontiguousarray(X))
        product = np.asarray(product)
        if product.dtype.kind == "c" and self.dtype.kind != "c":
            raise TypeError("A returned complex numbers for real vectors: give it a complex dtype")
        check_finite(product)
        return product.astype(self.dtype, copy=False)


def held_entries(operator: Operator) -> Any:
    """Return the dense array or CSR array that an operator holds, or None: nothing is assembled."""
    host = getattr(operator, "host", operator)  # of a tensor
    return getattr(host, "array", getattr(host, "matrix", None))


def check_finite(product: Any) -> None:
    """Refuse the product of a random block with a matrix that is not finite."""
    if not np.isfinite(product.data if issparse(product) else product).all():
        raise ValueError(
            "A holds NaN or infinite entries, or its products overflow: remove them, or scale A down "
            "(fill missing entries with solvers.complete)"
        )


def gaussian(rng: np.random.Generator, rows: int, columns: int, dtype: np.dtype[Any]) -> Array:
    """Draw a block of independent normal numbers of variance one (complex ones for complex types)."""
    real = np.float32 if dtype.char in "fF" else np.float64
    if dtype.kind != "c":
        return rng.standard_normal((rows, columns), dtype=real)
    parts = rng.standard_normal((rows, columns, 2), dtype=real)
    return parts.view(dtype)[..., 0] * real(np.sqrt(0.5))


def tall_qr(W: Array) -> tuple[Array, Array]:
    """QR factors of a block with few columns, orthonormal to rounding whatever its condition.

    Cholesky QR twice, checked after the first round; Householder where that check fails.

    Notes
    -----
    Three products of 2 m l^2 flops at the speed of matrix multiplication, against 4 m l^2 of Householder at a fraction
    of it. If the first round leaves ``|Q^H Q - I| < 1/2``, the second one makes Q orthonormal to rounding [1]_.

    References
    ----------
    .. [1] Y. Yamamoto, Y. Nakatsukasa, Y. Yanagisawa, T. Fukaya, Roundoff error analysis of the CholeskyQR2 algorithm,
       Electron. Trans. Numer. Anal. 44 (2015), 306-326.
    """
    if W.shape[0] > 4 * W.shape[1] > 0:
        factors = _cholesky_qr_twice(W)
        if factors is not None:
            return factors
    return cast(tuple[Array, Array], qr(W, mode="economic", check_finite=False))


def _cholesky_qr_twice(W: Array) -> tuple[Array, Array] | None:
    total = None
    for turn in range(2):
        with np.errstate(over="ignore", invalid="ignore"):
            gram = W.conj().T @ W
        if not np.isfinite(gram).all():
            return None
        if turn and np.linalg.norm(gram - np.eye(len(gram), dtype=gram.dtype)) >= 0.5:
            return None
        try:
            R = cholesky(gram, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        sizes = np.abs(np.diagonal(R))
        if sizes.min() <= 100 * np.sqrt(np.finfo(W.dtype).eps) * sizes.max():  # spares the round that would fail
            return None
        W = solve_right(W if turn else np.array(W, order="C"), R)
        total = R if total is None else R @ total
    return W, cast(Array, total)


def solve_right(block: Array, R: Array) -> Array:
    """Return ``block R^-1`` for a C-contiguous block and an upper triangular R, in the place of the block."""
    (solve,) = get_blas_funcs(("trsm",), (R, block))
    return cast(Array, solve(1.0, R, block.T, side=0, lower=0, trans_a=1, overwrite_b=1).T)


def orthonormal(W: Array) -> Array:
    """Return an orthonormal basis of the columns of a block (with random directions where they are dependent)."""
    return tall_qr(W)[0]


def new_directions(basis: Array, W: Array, scale: float, most: int) -> tuple[Array, Array, Array]:
    """Split a block between an orthonormal basis and new orthonormal columns: ``W = basis @ known + Q @ rest``.

    Directions below the rounding of a matrix of norm `scale` are noise and stay out of Q; so do those beyond `most`.
    """
    adjoint = basis.conj().T
    known = adjoint @ W
    Q, rest = tall_qr(W - basis @ known)
    outer, sizes, inner = np.linalg.svd(rest, full_matrices=False)
    eps = float(np.finfo(W.dtype).eps)
    largest = float(np.linalg.norm(known, 2)) if known.size else 0.0
    keep = sizes > eps * float(np.sqrt(len(W))) * max(scale, largest, float(sizes.max(initial=0.0)))
    keep[most:] = False
    if not keep.all():
        Q, rest = Q @ outer[:, keep], sizes[keep, None] * inner[keep]
    for _ in range(3):  # what was small has lost digits of its orthogonality to the basis
        lost = adjoint @ Q
        size = float(np.linalg.norm(lost)) if lost.size else 0.0
        if size == 0:
            break
        Q -= basis @ lost
        known += lost @ rest
        if size < np.sqrt(eps):  # then Q is orthonormal still: the squares of its changes are rounding
            break
        Q, R = tall_qr(Q)
        rest = R @ rest
    return known, Q, rest


def probe_error(images: Array, probes: Array, *factors: Array) -> float:
    """Estimate |A - F_1 F_2 ... |_F from the images of random probes under A; its square is unbiased."""
    if not probes.shape[1]:
        return float("nan")
    guess = probes
    for factor in reversed(factors):
        guess = factor @ guess if factor.ndim == 2 else factor[:, None] * guess
    return float(np.linalg.norm(images - guess) / np.sqrt(probes.shape[1]))
