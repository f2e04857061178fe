"""QR with column pivoting of a tall matrix: pivots from a sketch, orthogonality from Cholesky.

Source: Melnichenko, Balabanov, Murray, Demmel, Mahoney and Luszczek, CQRRPT [1]_.

Departures:

- The sketch has eight nonzeros in a column and twice as many rows as A has columns; [1]_ takes fewer of both.
- Columns beyond the numerical rank are projected on Q, where [1]_ takes their part of R from the sketch: what is left of A
  is then orthogonal to Q.
- A second round of Cholesky QR where the first one has lost more than two digits, and Householder where Cholesky fails.

References
----------
.. [1] M. Melnichenko, O. Balabanov, R. Murray, J. Demmel, M. W. Mahoney, P. Luszczek, CholeskyQR with randomization and
   pivoting for tall matrices (CQRRPT), SIAM J. Matrix Anal. Appl. 46 (2025); arXiv:2311.08316.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, qr

from ..sketch import SparseSignSketch
from .passes import CountedOperator, check_finite, fraction, solve_right
from .result import PivotedQR

__all__ = ["sketched_qr"]

Array = npt.NDArray[Any]


def sketched_qr(A: Any, *, rtol: float | None = None, rng: Any = None) -> PivotedQR:
    """Rank-revealing QR of a tall matrix, ``A[:, permutation] = Q R``, at the speed of matrix multiplication.

    Parameters
    ----------
    A : operator-like, shape (m, n)
        Dense, or anything that fits into memory as a dense matrix: Q has its shape. A wide one (``m < 2 n``) goes to LAPACK.
    rtol : float, optional
        Columns are dependent where the sketch's R falls below this times its first entry; ``n eps`` by default.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    PivotedQR
        ``|A[:, permutation] - Q R|`` is of the size of rounding at full rank, else about `error`.

    Raises
    ------
    ValueError
        If A is empty, or not finite.

    Notes
    -----
    The pivots of a sketch that distorts norms by at most ``1 + e`` reveal the rank as well as those of A, up to that factor.
    Flops: 3 m n^2 after the sketch (5 m n^2 where Q needs a second round), O(n^3) for the pivots; LAPACK's geqp3 with Q
    takes 4 m n^2, a quarter of them in matrix-vector products.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((500, 3)) @ rng.standard_normal((3, 8))
    >>> result = sketched_qr(A, rng=0)
    >>> result.rank, np.allclose(A[:, result.permutation], result.Q @ result.R)
    (3, True)
    """
    counted = CountedOperator(A)
    m, n = counted.shape
    limit = n * counted.eps if rtol is None else fraction("rtol", rtol, most=1)
    matrix = _dense(counted)
    if m < 2 * n or not matrix.any():
        return _householder(matrix, limit)
    sketch = np.asarray(SparseSignSketch(2 * n, m, rng=rng) @ matrix)
    check_finite(sketch)
    R, order = cast(tuple[Array, Array], qr(sketch, mode="r", pivoting=True, check_finite=False))
    R, order = R[:n], order.astype(np.int64)
    rank = _rank(R, limit)
    Q = solve_right(np.array(matrix[:, order[:rank]], order="C"), R[:rank, :rank])
    factor = R[:rank, :rank]
    for _ in range(3):
        gram = Q.conj().T @ Q
        try:
            step = cholesky(gram, check_finite=False)
        except np.linalg.LinAlgError:
            return _householder(matrix, limit)
        Q, factor = solve_right(Q, step), step @ factor
        sizes = np.linalg.svd(step, compute_uv=False)
        if sizes[0] < 10 * sizes[-1]:  # what is left of orthogonality is rounding times the square of this
            break
    result = np.zeros((rank, n), dtype=matrix.dtype)
    result[:, :rank] = np.triu(factor)
    if rank < n:
        result[:, rank:] = Q.conj().T @ matrix[:, order[rank:]]
    return PivotedQR(Q, result, order, rank, float(np.linalg.norm(R[rank:, rank:])), "sketched")


def _dense(counted: CountedOperator) -> Array:
    held = counted.entries()
    if held is None:
        return counted.times(np.eye(counted.shape[1], dtype=counted.dtype))
    matrix = held if isinstance(held, np.ndarray) else held.toarray()
    return np.asarray(matrix, dtype=counted.dtype)


def _rank(R: Array, limit: float) -> int:
    sizes = np.abs(np.diagonal(R))
    small = np.flatnonzero(sizes <= limit * sizes[0])
    return int(small[0]) if small.size else len(sizes)


def _householder(matrix: Array, limit: float) -> PivotedQR:
    check_finite(matrix)
    Q, R, order = cast(tuple[Array, Array, Array], qr(matrix, mode="economic", pivoting=True, check_finite=False))
    rank = _rank(R, limit)
    error = float(np.linalg.norm(R[rank:, rank:]))
    return PivotedQR(np.ascontiguousarray(Q[:, :rank]), R[:rank], order.astype(np.int64), rank, error, "householder")
