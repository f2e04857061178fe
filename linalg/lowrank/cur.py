"""CUR: a matrix from some of its own rows and columns.

Sources: DEIM selection, Sorensen and Embree [1]_; leverage scores, Mahoney and Drineas [2]_; pivots of a sketch, Voronin and
Martinsson [3]_.

Departures: singular vectors for the first two come from `block_krylov_svd`; leverage scores are drawn without
replacement; the core is ``C^+ A R^+`` (the best one in the Frobenius norm, [1]_) through QR factors of C and R, with small
singular values of the triangular factors cut off.

References
----------
.. [1] D. C. Sorensen, M. Embree, A DEIM induced CUR factorization, SIAM J. Sci. Comput. 38 (2016), A1454-A1482.
.. [2] M. W. Mahoney, P. Drineas, CUR matrix decompositions for improved data analysis, PNAS 106 (2009), 697-702.
.. [3] S. Voronin, P.-G. Martinsson, Efficient algorithms for CUR and interpolative matrix decompositions, Adv. Comput.
   Math. 43 (2017), 495-516.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import lu_factor, qr
from scipy.sparse import csc_array, csr_array

from .passes import CountedOperator, gaussian, probe_error, tall_qr, whole
from .result import CUR
from .svd import block_krylov_svd, checked_rank

__all__ = ["cur"]

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]


def cur(
    A: Any,
    rank: int,
    *,
    select: Literal["deim", "leverage", "qr"] = "deim",
    oversampling: int = 10,
    passes: int = 4,
    probes: int = 10,
    rng: Any = None,
) -> CUR:
    """Approximate a matrix by a few of its columns and rows, ``C U R``.

    Parameters
    ----------
    A : operator-like, shape (m, n)
        Rows and columns of an operator without entries come from products with unit vectors.
    rank : int
        Rows and columns wanted; fewer are taken where A is of lower rank.
    select : {"deim", "leverage", "qr"}
        "deim": pivots of the leading singular vectors; the most accurate, and without chance beyond that of the vectors.
        "leverage": drawn in proportion to the squared row norms of the vectors. "qr": pivoted QR of a sketch of A for the
        columns, then of these columns for the rows; no singular vectors, the fewest passes.
    oversampling : int
        Additional vectors in the block ("deim", "leverage") or rows of the sketch ("qr").
    passes : int
        Passes of `block_krylov_svd` ("deim", "leverage").
    probes : int
        Random vectors for the estimate of the error; they take part in the pass for the core.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    CUR
        C and R dense.

    Raises
    ------
    ValueError
        If A is empty or not finite, or `rank` is not between 1 and ``min(m, n)``.
    TypeError
        If A has no product with its adjoint.

    Notes
    -----
    With k exact singular vectors, DEIM's spectral error is within ``|(rows of U)^-1| + |(rows of V)^-1|`` of the best
    (theorem 4.1 of [1]_ (of the module)). The core costs one more pass, and O((m + n) k^2) flops.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.outer(np.arange(1.0, 6.0), np.ones(4)) + np.outer(np.ones(5), np.arange(4.0))
    >>> result = cur(A, 2, rng=0)
    >>> np.allclose(result.toarray(), A), np.array_equal(result.C, A[:, result.columns])
    (True, True)
    """
    counted = CountedOperator(A)
    m, n = counted.shape
    rank = checked_rank(rank, counted.shape)
    oversampling, probes = whole("oversampling", oversampling, 0), whole("probes", probes, 0)
    passes = whole("passes", passes, 2)
    if select not in ("deim", "leverage", "qr"):
        raise ValueError(f'select is {select!r}: wanted "deim", "leverage" or "qr"')
    rng = np.random.default_rng(rng)
    if select == "qr":
        sketch = counted.adjoint_times(gaussian(rng, m, min(rank + oversampling, m, n), counted.dtype))
        columns = _pivots(sketch.conj().T, rank, counted.eps)
        C = _columns(counted, columns)
        rows = _pivots(C.conj().T, len(columns), counted.eps)
        columns, C = columns[: len(rows)], C[:, : len(rows)]
    else:
        triplets = block_krylov_svd(
            counted.operator, rank, passes=passes, block=min(rank + oversampling, m, n), probes=0, rng=rng
        )
        counted.passes, counted.products = triplets.passes, triplets.products
        keep = triplets.s > counted.eps * max(m, n) * triplets.s[0]
        U, V = triplets.U[:, keep], triplets.Vh[keep].conj().T
        choose = _deim if select == "deim" else _by_leverage
        rows, columns = choose(U, rng), choose(V, rng)
        C = _columns(counted, columns)
    R = _rows(counted, rows)
    left, lower = tall_qr(C)
    right, upper = tall_qr(R.conj().T)  # R = upper^H right^H
    tests = gaussian(rng, n, probes, counted.dtype)
    images = counted.times(np.concatenate([right, tests], axis=1))
    middle = left.conj().T @ images[:, : len(rows)]
    cut = 10 * counted.eps
    core = np.linalg.pinv(lower, rcond=cut) @ middle @ np.linalg.pinv(upper.conj().T, rcond=cut)
    error = probe_error(images[:, len(rows) :], tests, C, core, R)
    return CUR(C, core, R, rows, columns, counted.passes, counted.products, error)


def _deim(vectors: Array, rng: np.random.Generator) -> Index:
    """Return the pivots of elimination with partial pivoting: the greedy interpolation points of the columns."""
    if not vectors.shape[1]:
        return np.empty(0, dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an exact zero pivot: the vectors are orthonormal, so only by underflow
        swaps = lu_factor(vectors, check_finite=False)[1]
    order = np.arange(len(vectors))
    for i, j in enumerate(swaps):
        order[i], order[j] = order[j], order[i]
    return order[: vectors.shape[1]].astype(np.int64)


def _by_leverage(vectors: Array, rng: np.random.Generator) -> Index:
    """Draw as many different rows as there are columns, in proportion to their squared norms."""
    scores = np.sum(np.abs(vectors) ** 2, axis=1, dtype=np.float64)
    count = min(vectors.shape[1], int(np.count_nonzero(scores)))
    if not count:
        return np.empty(0, dtype=np.int64)
    return rng.choice(len(vectors), size=count, replace=False, p=scores / scores.sum()).astype(np.int64)


def _pivots(matrix: Array, count: int, eps: float) -> Index:
    """Return the first pivots of a column-pivoted QR, as many as are not rounding."""
    if not count:
        return np.empty(0, dtype=np.int64)
    R, order = qr(matrix, mode="r", pivoting=True, check_finite=False)
    sizes = np.abs(np.diagonal(R))[:count]
    return order[: np.count_nonzero(sizes > eps * max(matrix.shape) * sizes[0])].astype(np.int64)


def _columns(counted: CountedOperator, index: Index) -> Array:
    held = counted.entries()
    if held is None:
        return counted.times(_unit(counted.shape[1], index, counted.dtype))
    part = held[:, index] if isinstance(held, np.ndarray) else csc_array(held)[:, index].toarray()
    return np.asarray(part, dtype=counted.dtype)


def _rows(counted: CountedOperator, index: Index) -> Array:
    held = counted.entries()
    if held is None:
        return counted.adjoint_times(_unit(counted.shape[0], index, counted.dtype)).conj().T
    part = held[index] if isinstance(held, np.ndarray) else csr_array(held)[index].toarray()
    return np.asarray(part, dtype=counted.dtype)


def _unit(length: int, index: Index, dtype: np.dtype[Any]) -> Array:
    unit = np.zeros((length, len(index)), dtype=dtype)
    unit[index, np.arange(len(index))] = 1
    return unit
