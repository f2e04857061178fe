"""Active regression: a polynomial surrogate of a quantity of a parametric PDE, from few solves at well chosen parameters.

The source is Shimizu, Cheng, Musco and Weare [1]_: parameters are drawn by the leverage scores of the polynomial basis, and
drawing them so that neighbours seldom come together (the pivotal method over a binary tree) needs fewer solves than drawing
them independently.

Departure: the example of [1]_ is a damped oscillator, an ordinary differential equation. Here a bar of two materials is
shaken at one end (a damped Helmholtz equation in one dimension, by finite elements): the parameters are the frequency and
the stiffness of the far half, and resonances run across the square of parameters.

References
----------
.. [1] A. Shimizu, X. Cheng, C. Musco, J. Weare, Improved active learning via dependent leverage score sampling, ICLR 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..linalg import sampling
from . import checks

__all__ = ["ActiveRegression", "active_regression", "bar_response", "legendre_basis"]

Floats = npt.NDArray[np.float64]

SAMPLINGS = ("uniform", "independent", "pivotal")
PER_UNKNOWN = (1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0)  # samples per coefficient of the polynomial


def bar_response(
    frequency: npt.ArrayLike, stiffness: npt.ArrayLike, *, cells: int = 128, damping: float = 0.5
) -> Floats:
    """Amplitude at the driven end of a bar of two materials.

    Solves ``-(k u')' - w^2 u + i w c u = 0`` on (0, 1) with ``k u'(0) = -1``, ``u(1) = 0`` and k = 1 on the left half,
    `stiffness` on the right one; returns ``|u(0)|``.

    Parameters
    ----------
    frequency, stiffness : array_like
        w and k; broadcast against each other.
    cells : int
        Linear elements, an even number.
    damping : float
        c.

    Returns
    -------
    ndarray
        The amplitudes.

    Notes
    -----
    Lumped mass; second order in the width of a cell. One elimination from the held end, for all parameters together:
    O(cells) operations for each.

    Examples
    --------
    >>> float(bar_response(1e-6, 1.0).round(6))      # pushed slowly, a bar of length one and stiffness one yields by one
    1.0
    """
    cells = checks.integer("cells", cells, 2)
    if cells % 2:
        raise ValueError(f"cells is {cells}: wanted an even number, so that the materials meet between two cells")
    damping = checks.real("damping", damping, 0.0)
    w, far = np.broadcast_arrays(np.asarray(frequency, dtype=np.float64), np.asarray(stiffness, dtype=np.float64))
    if not (far > 0).all():
        raise ValueError("stiffness holds numbers that are not positive: wanted stiffnesses > 0")
    mass = (w**2 - 1j * w * damping) / cells
    pivot = 2 * far * cells - mass  # node cells - 1, between two cells of the far half
    for node in range(cells - 2, -1, -1):
        here = far * cells if node >= cells // 2 else cells  # stiffness of the cell to the right of the node
        before = 0.0 if node == 0 else (far * cells if node > cells // 2 else cells)
        pivot = before + here - (mass if node else mass / 2) - here**2 / pivot
    return np.asarray(np.abs(1 / pivot))


def legendre_basis(points: npt.ArrayLike, degree: int) -> Floats:
    """Products of Legendre polynomials up to a total degree, at points of the square ``[-1, 1]^2``.

    Parameters
    ----------
    points : array_like, shape (m, 2)
    degree : int

    Returns
    -------
    ndarray, shape (m, (degree + 1)(degree + 2)/2)

    Examples
    --------
    >>> legendre_basis([[0.5, -1.0]], 1)
    array([[ 1. , -1. ,  0.5]])
    """
    degree = checks.integer("degree", degree, 0)
    held = np.asarray(points, dtype=np.float64)
    if held.ndim != 2 or held.shape[1] != 2:
        raise ValueError(f"points has shape {held.shape}: wanted (m, 2)")
    first, second = (np.polynomial.legendre.legvander(held[:, axis], degree) for axis in (0, 1))
    return np.stack([first[:, i] * second[:, j] for i in range(degree + 1) for j in range(degree + 1 - i)], axis=1)


@dataclass(frozen=True, eq=False)
class ActiveRegression:
    """Errors of a fit against the number of samples, for each way to draw them.

    Attributes
    ----------
    unknowns : int
        Coefficients of the polynomial.
    samples : ndarray, shape (k,)
        Samples asked for; independent sampling draws so many on average.
    errors : dict of str to ndarray, shape (k, trials)
        For "uniform", "independent" and "pivotal": the error of the fit on the whole grid in the 2-norm, divided by
        that of the best fit (to all points of the grid).
    best : float
        Error of the best fit, relative to the quantity.
    """

    unknowns: int
    samples: npt.NDArray[np.int64]
    errors: dict[str, Floats]
    best: float

    def median(self, sampling: str) -> Floats:
        """Return the median errors of one way to sample, shape (k,)."""
        checks.choice("sampling", sampling, self.errors)
        return np.asarray(np.median(self.errors[sampling], axis=1))

    def needed(self, sampling: str, level: float) -> float:
        """Return the samples that bring the median error down to `level` times the best; NaN outside what was measured.

        Interpolates the excess error between the numbers of samples, both on logarithmic scales.
        """
        level = checks.real("level", level, 1.0, above=True)
        excess = np.log(np.minimum.accumulate(self.median(sampling)) - 1)
        wanted = np.log(level - 1)
        if not excess[-1] <= wanted <= excess[0]:
            return float("nan")
        return float(np.exp(np.interp(-wanted, -excess, np.log(self.samples))))

    def saved(self, level: float) -> float:
        """Return the share of samples that pivotal sampling saves against independent sampling at the same median error."""
        return 1 - self.needed("pivotal", level) / self.needed("independent", level)


def active_regression(
    degree: int = 8,
    *,
    grid: int = 64,
    samples: Sequence[int] | None = None,
    trials: int = 100,
    quantity: Callable[[Floats], npt.ArrayLike] | None = None,
    rng: Any = None,
) -> ActiveRegression:
    """Measure how many solves a polynomial surrogate needs when parameters are drawn in three ways.

    Parameters
    ----------
    degree : int
        Total degree of the polynomial in two parameters.
    grid : int
        The candidates are ``grid * grid`` points of the square ``[-1, 1]^2``.
    samples : sequence of int, optional
        Numbers of samples; 1.1 to 6 times the number of coefficients by default.
    trials : int
        Draws for each number of samples.
    quantity : callable, optional
        Takes points, shape (m, 2), returns m numbers. By default `bar_response` with frequencies from 1 to 5 and
        stiffnesses from 1/2 to 2.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    ActiveRegression

    Raises
    ------
    ValueError
        If a number of samples is below the number of coefficients, or above that of the candidates; if the quantity is not
        finite, or is itself a polynomial of the degree (then any samples are enough).

    Examples
    --------
    >>> result = active_regression(4, grid=24, samples=(20, 30, 40), trials=20, rng=0)
    >>> bool((result.median("pivotal") < result.median("independent")).all())
    True
    """
    grid, trials = checks.integer("grid", grid, 2), checks.integer("trials", trials)
    line = np.linspace(-1, 1, grid)
    points = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    basis = np.linalg.qr(legendre_basis(points, degree))[0]
    total, unknowns = basis.shape
    counts = [round(share * unknowns) for share in PER_UNKNOWN] if samples is None else list(samples)
    counts = [checks.integer(f"samples[{i}]", count, unknowns, total) for i, count in enumerate(sorted(counts))]
    if quantity is None:
        values = bar_response(3 + 2 * points[:, 0], 2 ** points[:, 1])
    else:
        values = np.asarray(quantity(points), dtype=np.float64)
    if values.shape != (total,) or not np.isfinite(values).all():
        raise ValueError(f"quantity returned shape {values.shape}: wanted {total} finite numbers")
    size, best = float(np.linalg.norm(values)), float(np.linalg.norm(values - basis @ (basis.T @ values)))
    if best <= 1e-12 * size:
        raise ValueError(
            f"quantity is a polynomial of degree {degree}: any {unknowns} samples fit it; lower the degree"
        )
    scores = {"uniform": np.ones(total)}
    scores["independent"] = scores["pivotal"] = sampling.leverage_scores(basis)
    order = sampling.spatial_order(points)
    rng = np.random.default_rng(rng)
    errors = {kind: np.empty((len(counts), trials)) for kind in SAMPLINGS}
    for i, count in enumerate(counts):
        for kind in SAMPLINGS:
            probabilities = sampling.inclusion_probabilities(scores[kind], count)
            for trial in range(trials):
                if kind == "pivotal":
                    drawn = sampling.pivotal_sample(probabilities, order, rng=rng)
                else:
                    drawn = sampling.independent_sample(probabilities, rng=rng)
                fit = np.linalg.lstsq(drawn.apply(basis), drawn.apply(values), rcond=None)[0]
                errors[kind][i, trial] = np.linalg.norm(values - basis @ fit) / best
    return ActiveRegression(unknowns, np.array(counts), errors, best / size)
