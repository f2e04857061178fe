"""Anything that multiplies a vector, as an `Operator`."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse

from .. import vectors
from .base import Operator
from .matrix import CSROperator, DenseOperator, ForeignOperator

__all__ = ["as_operator"]


def as_operator(A: Any, *, symmetric: bool | None = None, positive_definite: bool | None = None) -> Operator:
    """Return `A` as an operator, with the facts that the caller declares.

    Parameters
    ----------
    A : ndarray, SciPy sparse array or matrix, LinearOperator, torch tensor, Operator, or object
        The last kind is anything with ``shape``, ``matvec`` and, where known, ``dtype``.
    symmetric : bool, optional
        Declare that A equals (or does not equal) its conjugate transpose.
    positive_definite : bool, optional
        Declare that A is (or is not) positive definite; True implies symmetric.

    Returns
    -------
    Operator
        Entries are shared with `A`, not copied, unless indices had to be sorted or integers converted.

    Raises
    ------
    TypeError
        If `A` is nothing of these.
    ValueError
        If `A` is not two-dimensional, or the facts contradict each other or what `A` already states.

    Examples
    --------
    >>> import numpy as np
    >>> A = as_operator(np.diag([1.0, 2.0]), positive_definite=True)
    >>> A.symmetric, (2 * A).positive_definite, (-A).positive_definite
    (True, True, False)
    """
    if isinstance(A, Operator):
        return _declare(A, symmetric, positive_definite)
    facts: dict[str, Any] = {"symmetric": symmetric, "positive_definite": positive_definite}
    if issparse(A):
        if len(A.shape) != 2:
            raise ValueError(f"A has {len(A.shape)} axes: wanted a matrix (two axes)")
        return CSROperator(A, **facts)
    if vectors.is_torch(A):
        from .torch import TorchOperator

        return TorchOperator(A, **facts)
    if isinstance(A, np.ma.MaskedArray):
        raise TypeError("A is a masked array: fill it (A.filled(0.0)) or complete it first")
    if isinstance(A, np.ndarray):
        return DenseOperator(A, **facts)
    if callable(getattr(A, "matvec", None)) and hasattr(A, "shape"):
        if len(A.shape) != 2:
            raise ValueError(f"A has shape {A.shape}: wanted two axes")
        return ForeignOperator(A, **facts)
    if isinstance(A, (list, tuple)):
        return DenseOperator(np.asarray(A), **facts)
    raise TypeError(
        f"A is a {type(A).__name__}: wanted a matrix (numpy, SciPy sparse, torch), a LinearOperator, or an object with "
        "shape, dtype and matvec"
    )


def _declare(A: Operator, symmetric: bool | None, positive_definite: bool | None) -> Operator:
    """Add facts to an operator, on a copy, unless it states them already."""
    for name, fact in (("symmetric", symmetric), ("positive_definite", positive_definite)):
        stated = getattr(A, name)
        if fact is not None and stated is not None and fact != stated:
            raise ValueError(f"{name}={fact} contradicts the operator, which states {name}={stated}")
    if positive_definite and symmetric is False:
        raise ValueError("positive_definite=True with symmetric=False: definite means symmetric (Hermitian) here")
    new_symmetric = (
        A.symmetric if symmetric is None and not positive_definite else (symmetric or bool(positive_definite))
    )
    new_definite = A.positive_definite if positive_definite is None else positive_definite
    if (new_symmetric, new_definite) == (A.symmetric, A.positive_definite):
        return A
    import copy

    result = copy.copy(A)
    result.symmetric, result.positive_definite = new_symmetric, new_definite
    return result
