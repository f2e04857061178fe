"""Sparse sketches: sparse sign, CountSketch, and very sparse projections.

Sources: sparse sign embeddings in the "stack" layout (one nonzero in each of `nnz` blocks of rows), after Kane and Nelson,
"Sparser Johnson-Lindenstrauss transforms" (J. ACM 2014, the block construction), and Epperly, "Fast and forward stable
randomized algorithms for linear least-squares problems" (2023), who takes eight nonzeros; CountSketch after Charikar,
Chen and Farach-Colton (2002), Clarkson and Woodruff (2013); very sparse projections after Li, Hastie and Church (KDD 2006).

Departures: blocks of d / nnz rows differ by one row where nnz does not divide d; row numbers come from 32 random bits by
multiplication, which prefers some rows by at most d / 2^32, and the sign is the lowest of the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ..kernels import sketch as kernels
from ..operators.matrix import CSROperator, index_view, unlocked
from .base import Sketch, _count

__all__ = ["CountSketch", "SparseSignSketch", "VerySparseProjection"]

Array = npt.NDArray[Any]


class SparseSignSketch(Sketch):
    """Each column of the sketch holds `nnz` entries ``+-1/sqrt(nnz)``, one in each of `nnz` blocks of rows.

    Parameters
    ----------
    d, m : int
        Rows and columns of the sketch.
    nnz : int
        Nonzeros in a column, at most `d` (more are cut to `d`). Eight are enough for a subspace embedding with d = 2n
        up to n of some thousands; one gives the CountSketch.
    rng : Generator, seed or None
        Source of the randomness.

    Notes
    -----
    ``S @ A`` costs nnz additions per entry of A (nonzero entry, for a sparse A) and runs on all threads; its bits do not
    depend on their number. The best choice for preconditioning. For sketch-and-solve with guarantees in the maximum
    norm it is too sparse unless nnz is at least ``sqrt(d / (2 ln 2n))``: see `coordinate_statistics`.

    References
    ----------
    .. [1] E. N. Epperly, "Fast and forward stable randomized algorithms for linear least-squares problems", 2023.

    Examples
    --------
    >>> import numpy as np
    >>> S = SparseSignSketch(64, 1000, rng=0)
    >>> A = np.ones((1000, 3))
    >>> (S @ A).shape, S.tocsr().nnz, bool(np.allclose(S @ A, S.toarray() @ A))
    ((64, 3), 8000, True)
    """

    def __init__(self, d: int, m: int, *, nnz: int = 8, rng: Any = None) -> None:
        super().__init__(d, m)
        if self.d >= 2**31:
            raise ValueError(f"d is {d}: wanted less than 2**31")
        self.nnz = min(_count("nnz", nnz), self.d)
        cuts = np.linspace(0, self.d, self.nnz + 1).astype(np.uint32)
        words = np.random.default_rng(rng).integers(0, 2**32, size=(self.m, self.nnz), dtype=np.uint32)
        self._code = np.empty_like(words)
        kernels.draw(words, cuts, self._code)

    def _value(self, dtype: Any) -> Any:
        return dtype.type(1 / np.sqrt(self.nnz))

    def _forward(self, x: Array) -> Array:
        x, columns = unlocked(x), x.shape[1]
        if x.flags.f_contiguous:
            out = np.empty((columns, self.d), dtype=x.dtype)
            kernels.apply_columns(self._code, x.T, self._value(x.dtype), out)
            return out.T
        out = np.zeros((self.d, columns), dtype=x.dtype)
        kernels.apply_rows(self._code, x, self._value(x.dtype), out)
        return out

    def _forward_csr(self, x: csr_array) -> Array:
        out = np.zeros((self.d, x.shape[1]), dtype=x.dtype)
        data = unlocked(x.data)
        kernels.apply_csr(self._code, index_view(x.indptr), index_view(x.indices), data, self._value(x.dtype), out)
        return out

    def _backward(self, y: Array) -> Array:
        out = np.empty((self.m, y.shape[1]), dtype=y.dtype)
        kernels.apply_adjoint(self._code, unlocked(np.ascontiguousarray(y)), self._value(y.dtype), out)
        return out

    def tocsr(self) -> csr_array:
        """Return the sketch as a CSR array."""
        signs = (1.0 - 2.0 * (self._code & 1).ravel()) / np.sqrt(self.nnz)
        rows, columns = (self._code >> 1).ravel().astype(np.int64), np.repeat(np.arange(self.m), self.nnz)
        return csr_array((signs, (rows, columns)), shape=self.shape)


class CountSketch(SparseSignSketch):
    """One entry +-1 in each column: the cheapest sketch, and the one that needs about n^2 rows for n columns.

    Parameters
    ----------
    d, m : int
        Rows and columns of the sketch.
    rng : Generator, seed or None
        Source of the randomness.

    Notes
    -----
    Two columns that share a row cannot be told apart, so S A may be singular for d well above n. It gives no guarantee
    in the maximum norm (Price, Song and Woodruff, ICALP 2017, have the counter-example).
    """

    def __init__(self, d: int, m: int, *, rng: Any = None) -> None:
        super().__init__(d, m, nnz=1, rng=rng)


class VerySparseProjection(Sketch):
    """Independent entries: zero, except with probability `density`, then ``+-1/sqrt(density d)``.

    Parameters
    ----------
    d, m : int
        Rows and columns of the sketch.
    density : float, optional
        Probability of a nonzero entry, in (0, 1]; ``1/sqrt(m)`` by default, as Li, Hastie and Church advise; 1/3 is
        Achlioptas's.
    rng : Generator, seed or None
        Source of the randomness.

    Notes
    -----
    Distances between many points are kept, as in node embeddings; it is no subspace embedding for coherent matrices,
    since a row of A may meet no nonzero entry at all.

    References
    ----------
    .. [1] P. Li, T. J. Hastie and K. W. Church, "Very sparse random projections", KDD 2006.
    """

    def __init__(self, d: int, m: int, *, density: float | None = None, rng: Any = None) -> None:
        super().__init__(d, m)
        self.density = float(1 / np.sqrt(self.m) if density is None else density)
        if not 0 < self.density <= 1:
            raise ValueError(f"density is {density!r}: wanted a number in (0, 1]")
        rng = np.random.default_rng(rng)
        places = _hits(self.d * self.m, self.density, rng)
        signs = (1.0 - 2.0 * rng.integers(0, 2, size=places.size)) / np.sqrt(self.density * self.d)
        matrix = csr_array((signs, (places // self.m, places % self.m)), shape=self.shape)
        self._rows, self._columns = CSROperator(matrix), CSROperator(matrix.T)

    def _times(self, operator: CSROperator, x: Array) -> Array:
        out = np.empty((operator.shape[0], x.shape[1]), dtype=x.dtype)
        operator._apply_block(unlocked(np.ascontiguousarray(x)), out)
        return out

    def _forward(self, x: Array) -> Array:
        return self._times(self._rows, x)

    def _forward_csr(self, x: csr_array) -> Array:
        return (self._rows.matrix.astype(x.dtype) @ x).toarray()

    def _backward(self, y: Array) -> Array:
        return self._times(self._columns, y)

    def tocsr(self) -> csr_array:
        """Return the sketch as a CSR array (shared, not copied)."""
        return self._rows.matrix


def _hits(count: int, probability: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw indices below `count`, each with the given probability: by the gaps between them, which are geometric."""
    parts, last = [], -1
    while last < count:
        expected = (count - last) * probability
        places = last + np.cumsum(rng.geometric(probability, size=int(expected + 4 * np.sqrt(expected) + 16)))
        parts.append(places)
        last = int(places[-1])
    places = np.concatenate(parts)
    return places[places < count]
