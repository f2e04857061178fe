"""Gaussian random fields on cell-centred boxes and at scattered points.

On boxes:

- `gaussian_field`: covariance ``(-Laplacian + tau^2)^(-alpha)`` with zero Neumann conditions, drawn by one
  inverse cosine transform. With ``sigma=None`` the scaling is the one of the Darcy data of the Fourier neural
  operator: mode k has standard deviation ``tau^(alpha - d/2) (pi^2 |k|^2 + tau^2)^(-alpha/2)`` against basis
  functions of unit L2 norm, and no constant mode.
- `smooth_field`: covariance ``variance * exp(-r^2 / (2 length^2))``, stationary and exact on the grid.

Departures from the source of the first law: any dimension, boxes that are not cubes, and the modes are drawn
shell by shell, so that on cubes one seed gives the same field at every resolution (cut off at that
resolution).

References
----------
.. [1] Z. Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021.
.. [2] F. Lindgren, H. Rue, J. Lindstrom, An explicit link between Gaussian fields and Gaussian Markov random
   fields, J. R. Stat. Soc. B 73, 2011 (the operator form of Matern covariances).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.fft import idctn
from scipy.linalg import eigh, toeplitz

from . import checks

__all__ = ["gaussian_field", "lognormal_field", "scattered_field", "smooth_field", "threshold_field"]

Floats = npt.NDArray[np.float64]


def _nested_normals(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Draw standard normal coefficients in shells of equal largest index.

    A shell holds the same modes at every resolution of a cube, so a finer grid continues the stream of a
    coarser one.
    """
    order = _shells(shape)
    xi = np.empty(order.size)
    xi[order] = rng.standard_normal(order.size)
    return xi.reshape(shape)


@lru_cache(maxsize=4)
def _shells(shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """Return the flat indices of a box, sorted by their largest index; kept, for streams of fields of one shape."""
    shell = np.zeros(shape, np.int32)
    for axis, n in enumerate(shape):
        index = np.arange(n, dtype=np.int32).reshape([-1 if k == axis else 1 for k in range(len(shape))])
        np.maximum(shell, index, out=shell)
    return np.argsort(shell, axis=None, kind="stable")


@lru_cache(maxsize=4)
def _deviations(shape: tuple[int, ...], alpha: float, tau: float) -> Floats:
    """Return the standard deviation of every mode of `gaussian_field`; kept, read-only, for streams of one law."""
    longest, d = max(shape), len(shape)
    square = np.zeros(shape)
    for axis, n in enumerate(shape):
        # the edge has length n / longest, so mode k oscillates k longest / n times per unit length
        k = np.arange(n) * (longest / n)
        square += (k**2).reshape([-1 if a == axis else 1 for a in range(d)])
    deviation = tau ** (alpha - d / 2) * (np.pi**2 * square + tau**2) ** (-alpha / 2)
    deviation.flat[0] = 0.0
    deviation.flags.writeable = False
    return cast(Floats, deviation)


def gaussian_field(
    shape: int | tuple[int, ...],
    *,
    alpha: float = 2.0,
    tau: float = 3.0,
    sigma: float | None = None,
    rng: Any = None,
) -> Floats:
    """Draw a Gaussian field of mean zero and covariance ``(-Laplacian + tau^2)^(-alpha)`` (Neumann).

    Parameters
    ----------
    shape : tuple of int
        Cells per axis (2 or 3 axes; one number n means ``(n, n)``). The longest edge has length one.
    alpha : float
        Smoothness; a field with finite variance needs ``alpha > d/2``.
    tau : float
        Inverse correlation length.
    sigma : float, optional
        Standard deviation (root of the expected mean square over the box). None: the scaling of [1]_.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    ndarray
        Values at the cell centres, shape `shape`.

    Notes
    -----
    ``O(N log N)`` for N cells. On a cube, one seed gives the same function at every resolution up to the modes that
    the grid cannot hold.

    References
    ----------
    .. [1] Z. Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021.

    Examples
    --------
    >>> field = gaussian_field((32, 32), rng=0)
    >>> field.shape, bool(abs(field.mean()) < 1e-12)
    ((32, 32), True)
    """
    shape = checks.box_shape("shape", shape)
    d = len(shape)
    alpha = checks.real("alpha", alpha, d / 2, above=True)
    tau = checks.real("tau", tau, 0.0, above=True)
    longest = max(shape)
    deviation = _deviations(shape, alpha, tau)
    xi = _nested_normals(shape, np.random.default_rng(rng))
    volume = np.prod([n / longest for n in shape])
    if sigma is not None:
        sigma = checks.real("sigma", sigma, 0.0)
        total = np.sqrt(np.sum(deviation**2) / volume)
        deviation = deviation * (sigma / total if total > 0 else 0.0)
    # orthonormal transform: basis vectors of unit Euclidean norm, times sqrt(N / volume) for unit L2 norm
    return cast(Floats, idctn(deviation * xi, norm="ortho") * np.sqrt(xi.size / volume))


def smooth_field(
    shape: int | tuple[int, ...], *, variance: float = 1.0, length: float = 0.1, rng: Any = None
) -> Floats:
    """Draw a Gaussian field with covariance ``variance * exp(-r^2 / (2 length^2))`` and mean zero.

    Parameters
    ----------
    shape : tuple of int
        Cells per axis (2 or 3 axes; one number n means ``(n, n)``). The longest edge has length one.
    variance : float
        Pointwise variance.
    length : float
        Correlation length.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    ndarray
        Values at the cell centres, shape `shape`.

    Notes
    -----
    The covariance is a product over the axes, so the symmetric root of the covariance matrix is a Kronecker product
    of small roots: exact for every length, no padding. ``O(sum n_k^3 + N sum n_k)``.

    Examples
    --------
    >>> smooth_field((16, 16), variance=0.5, length=0.2, rng=0).shape
    (16, 16)
    """
    shape = checks.box_shape("shape", shape)
    variance = checks.real("variance", variance, 0.0)
    length = checks.real("length", length, 0.0, above=True)
    field = np.random.default_rng(rng).standard_normal(shape)
    spacing = 1.0 / max(shape)
    roots: dict[int, Floats] = {}
    for axis, n in enumerate(shape):
        if n not in roots:
            values, vectors = eigh(toeplitz(np.exp(-0.5 * (np.arange(n) * spacing / length) ** 2)))
            roots[n] = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        field = np.moveaxis(np.tensordot(roots[n], field, axes=(1, axis)), 0, axis)
    return cast(Floats, np.ascontiguousarray(np.sqrt(variance) * field))


def lognormal_field(
    shape: int | tuple[int, ...], *, variance: float = 1.0, length: float = 0.1, rng: Any = None
) -> Floats:
    """Draw ``exp(g)`` for a `smooth_field` g: median one, `variance` is that of the logarithm.

    Examples
    --------
    >>> bool((lognormal_field((8, 8), variance=4.0, rng=0) > 0).all())
    True
    """
    return cast(Floats, np.exp(smooth_field(shape, variance=variance, length=length, rng=rng)))


def threshold_field(
    shape: int | tuple[int, ...],
    *,
    high: float = 12.0,
    low: float = 3.0,
    alpha: float = 2.0,
    tau: float = 3.0,
    rng: Any = None,
) -> Floats:
    """Draw a two-valued field: `high` where a `gaussian_field` is at least zero, `low` elsewhere.

    The defaults are the 12/3 law of the Darcy data of the Fourier neural operator.

    Examples
    --------
    >>> sorted(set(threshold_field((32, 32), rng=1).ravel().tolist()))
    [3.0, 12.0]
    """
    high = checks.real("high", high, 0.0, above=True)
    low = checks.real("low", low, 0.0, above=True)
    return np.where(gaussian_field(shape, alpha=alpha, tau=tau, rng=rng) >= 0.0, high, low)


def scattered_field(
    points: npt.ArrayLike, *, variance: float = 1.0, length: float = 0.2, modes: int = 256, rng: Any = None
) -> Floats:
    """Draw a field with covariance close to ``variance * exp(-r^2 / (2 length^2))`` at scattered points.

    A sum of `modes` cosines with random wave vectors and phases: the covariance holds exactly in expectation
    over the wave vectors, and the field is close to Gaussian for many modes.

    Parameters
    ----------
    points : array_like
        Shape ``(n, d)``.
    variance, length : float
        Pointwise variance and correlation length.
    modes : int
        Number of cosines.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    ndarray
        Shape ``(n,)``.

    References
    ----------
    .. [1] A. Rahimi, B. Recht, Random features for large-scale kernel machines, NIPS 2007.

    Examples
    --------
    >>> scattered_field([[0.0, 0.0], [0.5, 0.5]], rng=0).shape
    (2,)
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2:
        raise ValueError(f"points has shape {points.shape}: wanted (number of points, dimension)")
    variance = checks.real("variance", variance, 0.0)
    length = checks.real("length", length, 0.0, above=True)
    modes = checks.integer("modes", modes)
    rng = np.random.default_rng(rng)
    waves = rng.standard_normal((points.shape[1], modes)) / length
    phases = rng.uniform(0.0, 2.0 * np.pi, modes)
    result = np.zeros(len(points))
    for start in range(0, len(points), 65536):  # bounds the memory of the table of cosines
        block = slice(start, start + 65536)
        result[block] = np.cos(points[block] @ waves + phases).sum(axis=1)
    return cast(Floats, np.sqrt(2.0 * variance / modes) * result)
