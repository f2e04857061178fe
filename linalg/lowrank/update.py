"""Truncated singular value decompositions of a matrix that grows or changes.

Sources: Zha and Simon [1]_ for the update of the factors; Deng, Yang, Yang and Li [2]_ for the two ideas that make sparse
updates cheap: orthogonalise the new vectors in an inner-product space, without writing out their dense remainders, and keep
each side as a tall base times a small mixing matrix, so that the base changes only where the new vectors have entries.

Departures of `StreamingSVD` from [2]_:

- Remainders are orthogonalised through the eigenvectors of their Gram matrix, not by Gram-Schmidt or Lanczos; directions
  below the square root of rounding, where the Gram matrix knows nothing, are dropped.
- The tall base is written anew (one product of 2 m k^2 flops) when the mixing matrix has become ill conditioned.

References
----------
.. [1] H. Zha, H. D. Simon, On updating problems in latent semantic indexing, SIAM J. Sci. Comput. 21 (1999), 782-791.
.. [2] H. Deng, Y. Yang, J. Li, C. Chen, W. Jiang, S. Pu, Fast updating truncated SVD for representation learning with
   sparse matrices, ICLR 2024; arXiv:2401.09703.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array, issparse

from .passes import new_directions, whole
from .result import LowRankSVD

__all__ = ["StreamingSVD", "update_svd"]

Array = npt.NDArray[Any]

WORST_CONDITION = 1e4  # of a mixing matrix; costs as many digits of the orthogonality of a base
FEWEST_ROWS = 256  # room that a base starts with


def update_svd(
    svd: LowRankSVD,
    *,
    rows: Any = None,
    columns: Any = None,
    change: tuple[Any, Any] | None = None,
    rank: int | None = None,
) -> LowRankSVD:
    """Update a truncated SVD for new rows, new columns or a change of low rank, without going over the old matrix.

    Parameters
    ----------
    svd : LowRankSVD
        Of the matrix so far; what it cut off stays cut off.
    rows : dense or sparse, shape (p, n), optional
        Rows to append.
    columns : dense or sparse, shape (m, p), optional
        Columns to append.
    change : pair of (m, p) and (n, p), dense or sparse, optional
        (B, C): the matrix becomes ``A + B C^H``. Exactly one of the three is given.
    rank : int, optional
        Triplets to keep; as many as before by default.

    Returns
    -------
    LowRankSVD
        ``passes`` and ``products`` as before; ``error`` is the former one together with what this update cut off (an
        estimate for two orthogonal errors).

    Raises
    ------
    ValueError
        If none or more than one kind of update is given, shapes do not fit, or an entry is not finite.
    TypeError
        If `svd` is not a `LowRankSVD`.

    See Also
    --------
    StreamingSVD : for many sparse updates of a large matrix: an update costs what its entries cost.

    Notes
    -----
    O((m + n)(k + p)^2) flops for rank k. New vectors are orthogonalised twice: the factors stay orthonormal to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from ritzkit.linalg.lowrank import randomized_svd
    >>> A = np.diag([3.0, 2.0, 1.0])
    >>> svd = update_svd(randomized_svd(A, 3, rng=0), rows=[[0.0, 4.0, 0.0]])
    >>> np.allclose(svd.s, np.linalg.svd(np.vstack([A, [0, 4, 0]]), compute_uv=False))
    True
    """
    given = [name for name, part in (("rows", rows), ("columns", columns), ("change", change)) if part is not None]
    if len(given) != 1:
        raise ValueError(f"got {' and '.join(given) or 'no update'}: wanted exactly one of rows, columns and change")
    if not isinstance(svd, LowRankSVD):
        raise TypeError(f"svd is a {type(svd).__name__}: wanted a LowRankSVD, as randomized_svd returns it")
    m, n = svd.shape
    k = svd.rank
    if rows is not None:
        part = _block("rows", rows, (None, n))
        return _flip(update_svd(_flip(svd), columns=part.conj().T, rank=rank))
    if columns is not None:
        left = _block("columns", columns, (m, None))
        p = left.shape[1]
        dtype = np.result_type(svd.U, left)
        Q_left, R_left = _extended(svd.U.astype(dtype, copy=False), _dense(left))
        Q_right = np.zeros((n + p, k + p), dtype=dtype)
        Q_right[:n, :k], Q_right[n:, k:] = svd.Vh.conj().T, np.eye(p)
        R_right = np.eye(k + p, dtype=dtype)[:, k:]
    else:
        if not isinstance(change, tuple) or len(change) != 2:
            raise TypeError("change is not a pair: wanted (B, C), matrices of shapes (m, p) and (n, p)")
        B, C = _block("change[0]", change[0], (m, None)), _block("change[1]", change[1], (n, None))
        if B.shape[1] != C.shape[1]:
            raise ValueError(f"change has shapes {B.shape} and {C.shape}: wanted (m, p) and (n, p)")
        dtype = np.result_type(svd.U, B, C)
        Q_left, R_left = _extended(svd.U.astype(dtype, copy=False), _dense(B))
        Q_right, R_right = _extended(svd.Vh.conj().T.astype(dtype, copy=False), _dense(C))
    core = R_left @ R_right.conj().T
    core[:k, :k] += np.diag(svd.s)
    outer, sizes, inner = np.linalg.svd(core, full_matrices=False)
    keep = min(k, len(sizes)) if rank is None else whole("rank", rank, 1, len(sizes))
    return LowRankSVD(
        Q_left @ outer[:, :keep], sizes[:keep], inner[:keep] @ Q_right.conj().T, svd.passes, svd.products,
        float(np.hypot(svd.error, np.linalg.norm(sizes[keep:]))),
    )  # fmt: skip


def _flip(svd: LowRankSVD) -> LowRankSVD:
    return LowRankSVD(svd.Vh.conj().T, svd.s, svd.U.conj().T, svd.passes, svd.products, svd.error)


def _block(name: str, part: Any, shape: tuple[int | None, int | None]) -> Any:
    """Return a checked dense or CSR block of numbers."""
    block = csr_array(part) if issparse(part) else np.asarray(part)
    wanted = tuple("p" if side is None else side for side in shape)
    if block.ndim != 2 or any(w is not None and w != g for w, g in zip(shape, block.shape, strict=True)):
        raise ValueError(f"{name} has shape {block.shape}: wanted {wanted}".replace("'", ""))
    if block.dtype.kind not in "biufc":
        raise TypeError(f"{name} has dtype {block.dtype}: wanted numbers")
    if block.dtype.char not in "fdFD":
        block = block.astype(np.complex128 if block.dtype.kind == "c" else np.float64)
    if not np.isfinite(block.data if issparse(block) else block).all():
        raise ValueError(f"{name} holds NaN or infinite entries: remove them")
    return block


def _dense(part: Any) -> Array:
    return np.asarray(part.toarray() if issparse(part) else part)


def _extended(basis: Array, part: Array) -> tuple[Array, Array]:
    """Return an orthonormal basis that begins with `basis` and holds `part`, and the coefficients of `part` in it."""
    known, Q, rest = new_directions(basis, part.astype(basis.dtype, copy=False), 0.0, len(basis))
    return np.concatenate([basis, Q], axis=1), np.concatenate([known, rest])


class StreamingSVD:
    """Truncated SVD that follows a stream of sparse updates; an update costs what its entries cost, not the matrix.

    Parameters
    ----------
    start : LowRankSVD
        Decomposition to start from; its rank is kept.

    Attributes
    ----------
    s : ndarray, shape (k,)
        Singular values.
    refreshes : int
        Times that a tall base had to be written anew.

    Notes
    -----
    Each side is kept as ``base @ mixing``. Appending p rows with z entries costs ``O(k z + (k + p)^3)`` flops besides the
    room for the new rows; writing the factors out (`svd`) costs O((m + n) k^2).

    Remainders of new vectors are known through their Gram matrix, so directions below about 1e-8 of the norm of a new
    vector are dropped, and the factors are orthonormal to about 1e-8: `update_svd` is accurate to rounding, and dense.
    Computed in double precision whatever the type of the factors.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from ritzkit.linalg.lowrank import randomized_svd
    >>> A = np.diag([3.0, 2.0, 1.0])
    >>> stream = StreamingSVD(randomized_svd(A, 3, rng=0))
    >>> stream.append_rows(csr_array([[0.0, 4.0, 0.0]]))
    >>> np.allclose(stream.svd().s, np.linalg.svd(np.vstack([A, [0, 4, 0]]), compute_uv=False))
    True
    """

    def __init__(self, start: LowRankSVD) -> None:
        if not isinstance(start, LowRankSVD):
            raise TypeError(f"start is a {type(start).__name__}: wanted a LowRankSVD, as randomized_svd returns it")
        self._left, self._right = _Side(start.U), _Side(start.Vh.conj().T)
        self.s: Array = start.s.astype(np.float64)
        self._dtype = np.dtype(start.U.dtype)
        self._error, self._cost = start.error, (start.passes, start.products)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the matrix so far."""
        return (self._left.length, self._right.length)

    @property
    def refreshes(self) -> int:
        """Times that a tall base had to be written anew."""
        return self._left.refreshes + self._right.refreshes

    def append_rows(self, rows: Any) -> None:
        """Append rows, shape (p, n), dense or sparse; best in batches of about as many rows as the rank."""
        part = _block("rows", rows, (None, self.shape[1]))
        self._append(self._right, csr_array(part).conj().T)

    def append_columns(self, columns: Any) -> None:
        """Append columns, shape (m, p), dense or sparse."""
        part = _block("columns", columns, (self.shape[0], None))
        self._append(self._left, part)

    def add(self, B: Any, C: Any) -> None:
        """Change the matrix to ``A + B C^H`` with B of shape (m, p) and C of shape (n, p), dense or sparse."""
        left, right = _block("B", B, (self.shape[0], None)), _block("C", C, (self.shape[1], None))
        if left.shape[1] != right.shape[1]:
            raise ValueError(f"B and C have shapes {left.shape} and {right.shape}: wanted (m, p) and (n, p)")
        self._dtype = np.result_type(self._dtype, left, right)
        new_left, new_right = self._left.remainder(left), self._right.remainder(right)
        self._turn(new_left.coefficients @ new_right.coefficients.conj().T, new_left, new_right)

    def svd(self) -> LowRankSVD:
        """Write the factors out; ``error`` counts what the start and every update cut off, as orthogonal errors."""
        U, V = (side.written().astype(self._dtype, copy=False) for side in (self._left, self._right))
        return LowRankSVD(U, self.s.astype(U.real.dtype), V.conj().T, *self._cost, self._error)

    def _append(self, inside: _Side, part: Any) -> None:
        """Append vectors that lie in the space of one side as new indices of the other."""
        self._dtype = np.result_type(self._dtype, part)
        new = inside.remainder(part)
        p = part.shape[1]
        corner = _Remainder(None, np.eye(p), np.concatenate([np.zeros((self.s.size, p)), np.eye(p)]))
        core = new.coefficients @ corner.coefficients.T
        if inside is self._left:
            self._turn(core, new, corner)
        else:
            self._turn(core.conj().T, corner, new)

    def _turn(self, core: Array, left: _Remainder, right: _Remainder) -> None:
        k = self.s.size
        core = core.copy()
        core[:k, :k] += np.diag(self.s)
        outer, sizes, inner = np.linalg.svd(core, full_matrices=False)
        self._error = float(np.hypot(self._error, np.linalg.norm(sizes[k:])))
        self.s = sizes[:k]
        self._left.turn(outer[:, :k], left)
        self._right.turn(inner[:k].conj().T, right)


class _Remainder:
    """New vectors against a side: ``part = side @ coefficients[:k] + Q @ coefficients[k:]``.

    ``Q = (part - side (side^H part)) weights`` has orthonormal columns and is never written out; a `part` of None stands for
    new indices of the side itself.
    """

    def __init__(self, part: csc_array | None, weights: Array, coefficients: Array) -> None:
        self.part, self.weights, self.coefficients = part, weights, coefficients


class _Side:
    """Orthonormal columns kept as ``base @ mixing``."""

    def __init__(self, vectors: Array) -> None:
        self.length, k = vectors.shape
        dtype = np.result_type(
            vectors, np.float64
        )  # Gram matrices take half of the digits: single precision has too few
        self._base = vectors.astype(dtype)
        self._mixing = np.eye(k, dtype=dtype)
        self.refreshes = 0

    def written(self) -> Array:
        """Return the columns as one array."""
        return np.asarray(self._base[: self.length] @ self._mixing)

    def remainder(self, part: Any) -> _Remainder:
        """Orthogonalise sparse vectors against this side, in coefficients only."""
        part = csc_array(part, dtype=np.result_type(part, np.float64))
        base = self._base[: self.length]
        known = self._mixing.conj().T @ np.asarray(part.conj().T @ base).conj().T
        inner = (part.conj().T @ part).toarray()
        gram = inner - known.conj().T @ known
        values, vectors = np.linalg.eigh((gram + gram.conj().T) / 2)
        most = float(np.trace(inner).real)
        keep = values > 10 * np.finfo(gram.dtype).eps * most  # below, the difference is rounding
        roots = np.sqrt(values[keep])
        weights = vectors[:, keep] / roots
        return _Remainder(part, weights, np.concatenate([known, roots[:, None] * vectors[:, keep].conj().T]))

    def turn(self, rotation: Array, new: _Remainder) -> None:
        """Replace the columns by ``[columns, Q] @ rotation``, touching the base only where Q's vectors have entries."""
        k = self._mixing.shape[0]
        top, bottom = rotation[:k], rotation[k:]
        dtype = np.result_type(self._base, rotation)
        grown = new.part is None
        if grown:
            mixing, change = self._mixing @ top, bottom
        else:
            change = new.weights @ bottom  # columns @ (top - known change) + part @ change
            mixing = self._mixing @ (top - new.coefficients[:k] @ change)
        sizes = np.linalg.svd(mixing, compute_uv=False)
        old, length = self.length, self.length + (len(bottom) if grown else 0)
        if length > len(self._base) or dtype != self._base.dtype:
            room = length if length == old else max(2 * old, length + FEWEST_ROWS)
            base = np.zeros((room, k), dtype=dtype)
            base[:old] = self._base[:old]
            self._base = base
        self.length = length
        if sizes[0] > WORST_CONDITION * sizes[-1]:
            self._base[:old] = self._base[:old] @ mixing
            self._mixing, inverse = np.eye(k, dtype=dtype), np.eye(k, dtype=dtype)
            self.refreshes += 1
        else:
            self._mixing, inverse = mixing, np.linalg.inv(mixing)
        step = change @ inverse
        if grown:
            self._base[old:length] = step
        else:
            rows = csr_array(new.part)
            touched = np.flatnonzero(np.diff(rows.indptr))
            self._base[touched] += rows[touched] @ step
