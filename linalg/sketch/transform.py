"""Sketches by fast transforms: Hadamard, cosine, circulant, and the tensor form of the Hadamard sketch.

Sources: SRHT after Ailon and Chazelle (2006) and Tropp, "Improved analysis of the subsampled randomized Hadamard
transform" (2011); cosine transform after Avron, Maymounkov and Toledo, "Blendenpik" (2010); circulant and tensor forms as
Song, Ye, Yin and Zhang, "A Nearly-Optimal Bound for Fast Regression with l_infinity Guarantee" (ICML 2023), use them.

Departures: rows are drawn without replacement. Lengths are filled up with zeros, to a power of two (Hadamard) or to a
length that the FFT likes (circulant), inside; the filled-up part is never stored for more than a few columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from ..kernels import hadamard
from ..operators.matrix import unlocked
from ..threads import get_threads
from .base import Sketch, _count, _floating

__all__ = ["CirculantSketch", "SRHTSketch", "SRTTSketch", "TensorSRHT", "fwht"]

Array = npt.NDArray[Any]

_BLOCK = 1 << 22  # numbers that a transform by FFT works on at a time


def _power_of_two(n: int) -> int:
    return 1 << max(0, n - 1).bit_length()


def _signs(n: int, rng: np.random.Generator) -> Array:
    return 1.0 - 2.0 * rng.integers(0, 2, size=n, dtype=np.int8)


def _sample(d: int, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    return np.sort(rng.choice(n, size=d, replace=False, shuffle=False))


class _Transform:
    """Gather rows, transform (Hadamard, unscaled), scatter rows, with factors; its transpose swaps the two ends."""

    def __init__(self, order: int, places_in: Array, factor_in: Array, places_out: Array, factor_out: Array) -> None:
        self.order = order
        self.ends = [self._end(places, factor) for places, factor in ((places_in, factor_in), (places_out, factor_out))]

    def _end(self, places: Array, factor: Array) -> tuple[Array, Array, int]:
        index, full = np.full(self.order, -1, dtype=np.int64), np.zeros(self.order)
        index[places] = np.arange(len(places))
        full[places] = factor
        return index, full, len(places)

    def __call__(self, x: Array, backward: bool = False) -> Array:
        (source, factor_in, _), (target, factor_out, count) = reversed(self.ends) if backward else self.ends
        x = unlocked(np.ascontiguousarray(x))  # one layout: each compiles the kernel anew
        out = np.empty((count, x.shape[1]), dtype=x.dtype)
        kind = x.dtype.type
        hadamard.gather_transform_scatter(
            x, self.order, source, factor_in.astype(kind, copy=False), target, factor_out.astype(kind, copy=False), out
        )
        return out


def fwht(x: npt.ArrayLike) -> Array:
    """Walsh-Hadamard transform along the first axis: the product with ``scipy.linalg.hadamard(m)``, unscaled.

    Parameters
    ----------
    x : array_like, shape (m,) or (m, k)
        Real or complex; `m` is a power of two.

    Returns
    -------
    ndarray
        Of the shape of `x`; float32 stays float32, integers become float64.

    Raises
    ------
    ValueError
        If `m` is not a power of two, or `x` has other than one or two axes.

    Notes
    -----
    m log2(m) additions per column; blocks of 16 columns go through the cache together, on all threads.

    Examples
    --------
    >>> fwht([1.0, 0.0, 0.0, 1.0])
    array([2., 0., 0., 2.])
    """
    array = _floating(np.asarray(x))
    m = array.shape[0] if array.ndim else 0
    if array.ndim not in (1, 2) or m < 1 or m & (m - 1):
        raise ValueError(
            f"x has shape {array.shape}: wanted one or two axes, the first of a length that is a power of 2"
        )
    block = np.ascontiguousarray(array.reshape(m, -1))
    parts = block.view(block.real.dtype)
    out = _Transform(m, np.arange(m), np.ones(m), np.arange(m), np.ones(m))(parts)
    return out.view(block.dtype).reshape(array.shape)


class SRHTSketch(Sketch):
    """Subsampled randomized Hadamard transform: random signs, Walsh-Hadamard transform, d of its rows.

    Parameters
    ----------
    d, m : int
        Rows and columns of the sketch; `d` is at most `m` filled up to a power of two.
    rng : Generator, seed or None
        Source of the randomness.

    Notes
    -----
    ``S @ A`` costs M log2(M) additions per column, M the power of two at or above m. Dense: every entry is
    ``+-1/sqrt(d)``, which is what guarantees in the maximum norm need.

    Examples
    --------
    >>> import numpy as np
    >>> S = SRHTSketch(8, 100, rng=0)
    >>> bool(np.allclose(np.abs(S.toarray()), 1 / np.sqrt(8)))
    True
    """

    dense = True

    def __init__(self, d: int, m: int, *, rng: Any = None) -> None:
        super().__init__(d, m)
        order = _power_of_two(self.m)
        self._need_room(order)
        rng = np.random.default_rng(rng)
        signs = _signs(self.m, rng)
        rows = _sample(self.d, order, rng)
        self._map = _Transform(order, np.arange(self.m), signs, rows, np.full(self.d, 1 / np.sqrt(self.d)))

    def _forward(self, x: Array) -> Array:
        return self._map(x)

    def _backward(self, y: Array) -> Array:
        return self._map(y, backward=True)


class _FFTSketch(Sketch):
    """Columns go through the FFT as rows of a small block, which pocketfft reads in order."""

    dense = True

    def _rows(self, x: Array) -> Array:
        """Sketch the rows of a C-contiguous block that may be overwritten."""
        raise NotImplementedError

    def _rows_back(self, y: Array) -> Array:
        raise NotImplementedError

    def _blocks(self, x: Array, rows: int, work: Any) -> Array:
        columns = x.shape[1]
        out = np.empty((columns, rows), dtype=x.dtype)
        step = max(1, _BLOCK // max(x.shape[0], rows))
        for first in range(0, columns, step):
            block = np.array(x[:, first : first + step].T, order="C")
            out[first : first + step] = work(block)
        return np.ascontiguousarray(out.T) if x.flags.c_contiguous and columns > 1 else out.T

    def _forward(self, x: Array) -> Array:
        return self._blocks(x, self.d, self._rows)

    def _backward(self, y: Array) -> Array:
        return self._blocks(y, self.m, self._rows_back)


class SRTTSketch(_FFTSketch):
    """Subsampled randomized cosine transform: random signs, orthonormal DCT-II, d of its rows.

    Parameters
    ----------
    d, m : int
        Rows and columns of the sketch; `d` is at most `m`.
    rng : Generator, seed or None
        Source of the randomness.

    Notes
    -----
    O(m log m) per column by ``scipy.fft`` on all threads; no filling up to a power of two, so it is the better choice
    where m lies just above one.
    """

    def __init__(self, d: int, m: int, *, rng: Any = None) -> None:
        super().__init__(d, m)
        self._need_room(self.m)
        rng = np.random.default_rng(rng)
        self._flips = _signs(self.m, rng)
        self._sampled = _sample(self.d, self.m, rng)
        self._scale = float(np.sqrt(self.m / self.d))

    def _rows(self, x: Array) -> Array:
        x *= self._flips.astype(x.dtype)
        out = scipy.fft.dct(x, type=2, axis=1, norm="ortho", overwrite_x=True, workers=get_threads())
        return out[:, self._sampled] * out.dtype.type(self._scale)

    def _rows_back(self, y: Array) -> Array:
        full = np.zeros((y.shape[0], self.m), dtype=y.dtype)
        full[:, self._sampled] = y * y.dtype.type(self._scale)
        out = scipy.fft.idct(full, type=2, axis=1, norm="ortho", overwrite_x=True, workers=get_threads())
        out *= self._flips.astype(y.dtype)
        return out


class CirculantSketch(_FFTSketch):
    """Subsampled random circulant matrix: random signs, circulant of random signs, d of its rows.

    Parameters
    ----------
    d, m : int
        Rows and columns of the sketch; `d` is at most the length of the FFT, which is at least `m`.
    rng : Generator, seed or None
        Source of the randomness.

    Notes
    -----
    Two real FFTs per column. Every entry is ``+-1/sqrt(d)``, from 2 m random bits.
    """

    def __init__(self, d: int, m: int, *, rng: Any = None) -> None:
        super().__init__(d, m)
        self._order = int(scipy.fft.next_fast_len(self.m, real=True))
        self._need_room(self._order)
        rng = np.random.default_rng(rng)
        self._flips = _signs(self.m, rng)
        self._symbol = scipy.fft.rfft(_signs(self._order, rng))
        self._sampled = _sample(self.d, self._order, rng)
        self._scale = float(1 / np.sqrt(self.d))

    def _convolve(self, x: Array, symbol: Array) -> Array:
        spectrum = scipy.fft.rfft(x, n=self._order, axis=1, workers=get_threads())
        spectrum *= symbol.astype(spectrum.dtype)
        return np.asarray(scipy.fft.irfft(spectrum, n=self._order, axis=1, overwrite_x=True, workers=get_threads()))

    def _rows(self, x: Array) -> Array:
        x *= self._flips.astype(x.dtype)
        return self._convolve(x, self._symbol)[:, self._sampled] * x.dtype.type(self._scale)

    def _rows_back(self, y: Array) -> Array:
        full = np.zeros((y.shape[0], self._order), dtype=y.dtype)
        full[:, self._sampled] = y * y.dtype.type(self._scale)
        return self._convolve(full, self._symbol.conj())[:, : self.m] * self._flips.astype(y.dtype)


class TensorSRHT(Sketch):
    """Hadamard sketch of a tensor product: d rows of ``(H D1) kron (H D2)``, whose product is never formed.

    Parameters
    ----------
    d : int
        Rows of the sketch.
    m : tuple of int
        ``(m1, m2)``: lengths of the two factors. The sketch takes vectors of length ``m1 * m2`` in the order of
        ``numpy.kron``.
    rng : Generator, seed or None
        Source of the randomness.

    Notes
    -----
    Rows are pairs drawn independently from the product of the two index sets. `apply_factors` costs two transforms of the
    factors and d rows of their product; a plain ``S @ x`` transforms along both axes.

    References
    ----------
    .. [1] Z. Song, M. Ye, J. Yin and L. Zhang, "A nearly-optimal bound for fast regression with l_infinity guarantee",
       ICML 2023.

    Examples
    --------
    >>> import numpy as np
    >>> A1, A2 = np.arange(12.0).reshape(6, 2), np.arange(15.0).reshape(5, 3)
    >>> S = TensorSRHT(4, (6, 5), rng=0)
    >>> bool(np.allclose(S.apply_factors(A1, A2), S @ np.kron(A1, A2)))
    True
    """

    dense = True

    def __init__(self, d: int, m: tuple[int, int], *, rng: Any = None) -> None:
        try:
            m1, m2 = m
        except TypeError:
            raise TypeError(f"m is {m!r}: wanted a pair (m1, m2), the lengths of the two factors") from None
        self.factors = (_count("m[0]", m1), _count("m[1]", m2))
        super().__init__(d, self.factors[0] * self.factors[1])
        rng = np.random.default_rng(rng)
        self._maps, self._picks = [], []
        for length in self.factors:
            order = _power_of_two(length)
            rows, pick = np.unique(rng.integers(0, order, size=self.d), return_inverse=True)
            signs = _signs(length, rng)
            self._maps.append(_Transform(order, np.arange(length), signs, rows, np.ones(rows.size)))
            self._picks.append(pick)
        self._scale = float(1 / np.sqrt(self.d))

    def apply_factors(self, A1: npt.ArrayLike, A2: npt.ArrayLike, *, columnwise: bool = False) -> Array:
        """Sketch the product of two factors without forming it.

        Parameters
        ----------
        A1, A2 : array_like, shapes (m1, n1) and (m2, n2)
            The factors; vectors count as one column.
        columnwise : bool
            False: their Kronecker product. True: their Khatri-Rao product, the Kronecker products of equal columns
            (then ``n1 == n2``).

        Returns
        -------
        ndarray, shape (d, n1 n2) or (d, n)
            The same as ``S @ numpy.kron(A1, A2)``.

        Raises
        ------
        ValueError
            If a factor has another number of rows, or the numbers of columns differ in a Khatri-Rao product.
        """
        parts = []
        for name, A, length, transform, pick in zip(
            ("A1", "A2"), (A1, A2), self.factors, self._maps, self._picks, strict=True
        ):
            array = _floating(np.asarray(A))
            array = np.ascontiguousarray(array[:, None] if array.ndim == 1 else array)
            if array.ndim != 2 or array.shape[0] != length:
                raise ValueError(f"{name} has shape {np.shape(A)}: wanted {length} rows")
            parts.append(transform(array.view(array.real.dtype)).view(array.dtype)[pick])
        left, right = parts
        if columnwise:
            if left.shape[1] != right.shape[1]:
                raise ValueError(f"A1 has {left.shape[1]} columns, A2 {right.shape[1]}: columnwise=True needs as many")
            product = left * right
        else:
            product = (left[:, :, None] * right[:, None, :]).reshape(self.d, -1)
        return product * product.real.dtype.type(self._scale)

    def _forward(self, x: Array) -> Array:
        (m1, m2), k = self.factors, x.shape[1]
        first = self._maps[0](np.ascontiguousarray(x).reshape(m1, m2 * k))
        first = np.ascontiguousarray(first.reshape(-1, m2, k).transpose(1, 0, 2))
        both = self._maps[1](first.reshape(m2, -1)).reshape(-1, first.shape[1], k)
        return np.ascontiguousarray(both[self._picks[1], self._picks[0]] * x.dtype.type(self._scale))

    def _backward(self, y: Array) -> Array:
        (m1, m2), k = self.factors, y.shape[1]
        rows1, rows2 = self._maps[0].ends[1][2], self._maps[1].ends[1][2]
        both = np.zeros((rows2, rows1, k), dtype=y.dtype)
        np.add.at(both, (self._picks[1], self._picks[0]), y * y.dtype.type(self._scale))
        second = self._maps[1](both.reshape(rows2, -1), backward=True).reshape(m2, rows1, k)
        first = np.ascontiguousarray(second.transpose(1, 0, 2)).reshape(rows1, m2 * k)
        return self._maps[0](first, backward=True).reshape(m1 * m2, k)
