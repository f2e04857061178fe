"""Darcy flow: ``-div(k grad u) = f`` on the unit square or cube, u = 0 on all sides, random k.

Finite volumes with harmonic means of k across faces, which are exact for layers parallel to the faces. The
12/3 law is the one of the Fourier neural operator's data (threshold of a Gaussian field with alpha = 2, tau =
3; f = 1).

Departures from that source: cell-centred finite volumes instead of a five-point scheme with averaged
coefficients on nodes, and k is never interpolated.

References
----------
.. [1] Z. Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..linalg import StencilOperator
from . import checks
from .base import RIGHT_HAND_SIDES, RNG, Family, Problem, box, right_hand_side
from .fields import lognormal_field, threshold_field

__all__ = ["Darcy", "channel_field"]


@dataclass(frozen=True)
class Darcy(Family):
    """Darcy flow in a random medium: 12/3 thresholded field, lognormal, or channels of high contrast.

    Parameters
    ----------
    n : int
        Cells per axis.
    law : {"fno", "lognormal", "channels"}
        ``"fno"``: k is 12 or 3. ``"lognormal"``: log k is Gaussian with covariance ``variance * exp(-r^2 / (2
        length^2))``. ``"channels"``: k is `contrast` in winding channels and 1 elsewhere.
    dim : {2, 3}
        Dimension.
    variance, length : float
        Variance and correlation length of log k (``"lognormal"``).
    contrast : float
        Ratio of the channels to the rest (``"channels"``).
    count : int
        Number of channels.
    rhs : {"ones", "random", "smooth", "solution"}
        Right-hand side; the source ``f = 1`` by default.

    Notes
    -----
    ``problem.fields["coefficient"]`` holds k. Second order for smooth k, and exact across layers.

    Examples
    --------
    >>> problem = Darcy(16, "fno").sample(rng=0)
    >>> sorted(set(problem.fields["coefficient"].ravel().tolist()))
    [3.0, 12.0]
    """

    family_name: ClassVar[str] = "darcy"

    n: int = 64
    law: str = "fno"
    dim: int = 2
    variance: float = 1.0
    length: float = 0.1
    contrast: float = 1e4
    count: int = 3
    rhs: str = "ones"

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("n", checks.integer("n", self.n))
        checks.choice("law", self.law, ("fno", "lognormal", "channels"))
        self._set("dim", checks.integer("dim", self.dim, 2, 3))
        self._set("variance", checks.real("variance", self.variance, 0.0))
        self._set("length", checks.real("length", self.length, 0.0, above=True))
        self._set("contrast", checks.real("contrast", self.contrast, 0.0, above=True))
        self._set("count", checks.integer("count", self.count, 0))
        checks.choice("rhs", self.rhs, RIGHT_HAND_SIDES)

    def coefficient(self, rng: RNG = None) -> npt.NDArray[np.float64]:
        """Draw k alone, shape ``(n,) * dim``."""
        shape = (self.n,) * self.dim
        if self.law == "fno":
            return threshold_field(shape, rng=rng)
        if self.law == "lognormal":
            return lognormal_field(shape, variance=self.variance, length=self.length, rng=rng)
        return channel_field(shape, count=self.count, contrast=self.contrast, rng=rng)

    def sample(self, rng: RNG = None) -> Problem:
        """Draw k and the right-hand side."""
        rng = np.random.default_rng(rng)
        k = self.coefficient(rng)
        grid = box(k.shape)
        A = StencilOperator.from_coefficient(grid, k)
        b, x = right_hand_side(A, self.rhs, rng)
        parameters = self.parameters() | {"ratio": float(k.max() / k.min())}
        name = f"darcy-{self.law}-" + "x".join(map(str, k.shape))
        return Problem(A, b, x, grid, parameters, name, fields={"coefficient": k})


def channel_field(
    shape: tuple[int, ...], *, count: int = 3, contrast: float = 1e4, width: float = 0.04, rng: RNG = None
) -> npt.NDArray[np.float64]:
    """Draw a field that is `contrast` in winding channels from side to side and 1 elsewhere.

    Parameters
    ----------
    shape : tuple of int
        Cells per axis (2 or 3 axes); the longest edge has length one.
    count : int
        Number of channels; each runs along a random axis.
    contrast : float
        Value in the channels.
    width : float
        Diameter of a channel; more on coarse grids, where it takes a cell or two to be connected.
    rng : seed or numpy.random.Generator, optional

    Examples
    --------
    >>> field = channel_field((32, 32), contrast=100.0, rng=0)
    >>> bool((field == 100.0).any(axis=0).all() or (field == 100.0).any(axis=1).all())
    True
    """
    shape = checks.box_shape("shape", shape)
    rng = np.random.default_rng(rng)
    d, h = len(shape), 1.0 / max(shape)
    k = np.ones(shape)
    for _ in range(count):
        along = int(rng.integers(d))
        t = (np.arange(shape[along]) + 0.5) * h
        distance = np.zeros(shape)
        slope = np.zeros(shape[along])
        for axis in range(d):
            if axis == along:
                continue
            length = shape[axis] * h
            middle = rng.uniform(0.2, 0.8) * length
            swing = rng.uniform(0.05, 0.15) * length
            line = middle + swing * np.sin(2 * np.pi * (rng.uniform(0.5, 2.0) * t + rng.uniform()))
            line = np.clip(line, h / 2, length - h / 2)
            step = np.abs(np.diff(line, append=line[-1]))
            slope += np.maximum(step, np.roll(step, 1)) / h
            here = (np.arange(shape[axis]) + 0.5) * h
            distance += (_along(here, axis, d) - _along(line, along, d)) ** 2
        # thick enough for neighbouring cross sections to share a face, so that no channel is interrupted
        radius = np.maximum(width / 2, 0.5 * h * (np.sqrt(d - 1.0) + slope))
        k[distance <= _along(radius, along, d) ** 2] = contrast
    return k


def _along(values: npt.NDArray[Any], axis: int, d: int) -> npt.NDArray[Any]:
    return values.reshape([-1 if a == axis else 1 for a in range(d)])
