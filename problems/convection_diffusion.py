"""Convection-diffusion: ``-Laplacian u + Pe div(w u) = f`` on the unit square or cube, u = 0 on all sides.

Cell-centred finite volumes; the wind is given by its face values, which are discretely free of divergence. Pe
is the Peclet number for unit length, diffusion one and ``max |w| = 1``; the Peclet number of a cell is ``Pe /
n``.

Schemes for the flux through a face:

- ``"upwind"``: first order, an M-matrix for every Peclet number.
- ``"central"``: second order; oscillates and loses the M-matrix beyond a cell Peclet number of 2.
- ``"fitted"``: exponentially fitted (Scharfetter and Gummel): exact for one-dimensional constant flux, second
  order for a fixed Peclet number, turns into upwind for large cell Peclet numbers, an M-matrix always.

References
----------
.. [1] H.-G. Roos, M. Stynes, L. Tobiska, Robust numerical methods for singularly perturbed differential
   equations, Springer 2008.
.. [2] D. Scharfetter, H. Gummel, Large-signal analysis of a silicon Read diode oscillator, IEEE Trans.
   Electron Devices 16, 1969.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from ..linalg import CSROperator
from . import checks
from .base import RNG, Family, Problem, box
from .fields import gaussian_field

__all__ = ["ConvectionDiffusion"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ConvectionDiffusion(Family):
    """Convection-diffusion with a constant or recirculating wind; upwind, central or exponentially fitted.

    Parameters
    ----------
    n : int
        Cells per axis.
    peclet : float or (float, float)
        Peclet number of the whole domain, any size, at least zero; a pair draws it from that range at each sample.
    wind : {"constant", "recirculating"} or sequence of float
        ``"constant"``: along ``(1, 1/2)`` (``(1, 1/2, 1/4)`` in 3-D), normalised. ``"recirculating"``: one
        vortex ``(d psi / d y, -d psi / d x)`` with ``psi = sin(pi x) sin(pi y) / pi`` (in 3-D the same in
        every layer). A sequence of `dim` numbers: that direction, normalised.
    scheme : {"upwind", "central", "fitted"}
        Flux through a face.
    dim : {2, 3}
        Dimension.
    rhs : {"random", "smooth", "ones"}
        Right-hand side.

    Notes
    -----
    Not symmetric for a positive Peclet number. ``problem.fields`` holds the wind at the cell centres as ``"wind"``,
    shape ``(dim, n, ..., n)``.

    Examples
    --------
    >>> problem = ConvectionDiffusion(8, peclet=50.0, wind="recirculating").sample(rng=0)
    >>> problem.A.shape, problem.A.symmetric
    ((64, 64), False)
    """

    family_name: ClassVar[str] = "convection-diffusion"

    n: int = 64
    peclet: Any = 100.0
    wind: Any = "constant"
    scheme: str = "upwind"
    dim: int = 2
    rhs: str = "random"

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("n", checks.integer("n", self.n))
        self._set("peclet", checks.real_or_range("peclet", self.peclet, 0.0))
        self._set("dim", checks.integer("dim", self.dim, 2, 3))
        checks.choice("scheme", self.scheme, ("upwind", "central", "fitted"))
        checks.choice("rhs", self.rhs, ("random", "smooth", "ones"))
        if isinstance(self.wind, str):
            checks.choice("wind", self.wind, ("constant", "recirculating"))
        elif not isinstance(self.wind, Sequence | np.ndarray):
            raise TypeError(f"wind is {self.wind!r}: wanted 'constant', 'recirculating' or {self.dim} numbers")
        else:
            if len(self.wind) != self.dim:
                raise ValueError(f"wind has {len(self.wind)} entries: wanted {self.dim} numbers, one per axis")
            wind = tuple(checks.real(f"wind[{i}]", w) for i, w in enumerate(self.wind))
            if not any(wind):
                raise ValueError("wind is zero: wanted a direction; for no wind set peclet=0")
            self._set("wind", wind)

    def face_wind(self) -> tuple[Floats, ...]:
        """Return the normal wind on the faces, one array per axis with ``n + 1`` entries along that axis."""
        n, d = self.n, self.dim
        if self.wind == "recirculating":
            corner = np.sin(np.pi * np.arange(n + 1) / n)
            corner[[0, -1]] = 0.0
            psi = np.outer(corner, corner) / np.pi
            # differences of one stream function: the net flux out of a cell is zero up to rounding
            planes = [np.diff(psi, axis=1) * n, -np.diff(psi, axis=0) * n]
            if d == 2:
                return tuple(planes)
            return (*(np.repeat(p[:, :, None], n, axis=2) for p in planes), np.zeros((n, n, n + 1)))
        direction = np.array((1.0, 0.5, 0.25)[:d] if isinstance(self.wind, str) else self.wind)
        direction = direction / np.linalg.norm(direction)
        return tuple(
            np.full([n + (a == axis) for a in range(d)], component) for axis, component in enumerate(direction)
        )

    def matrix(self) -> csr_array:
        """Assemble the matrix, shape ``(n^dim, n^dim)``."""
        if isinstance(self.peclet, tuple):
            raise ValueError(f"peclet is the range {self.peclet}: sample() draws from it, matrix() needs one number")
        n, d = self.n, self.dim
        h = 1.0 / n
        number = np.arange(n**d, dtype=np.int32).reshape((n,) * d)
        diagonal = np.zeros((n,) * d)
        rows, columns, values = [number.ravel()], [number.ravel()], []
        for axis, wind in enumerate(self.face_wind()):
            v = np.moveaxis(self.peclet * wind, axis, 0)
            outflow = np.moveaxis(diagonal, axis, 0)
            inner = v[1:-1]
            # flux through a face in the positive direction: give * (cell before) - take * (cell after)
            give, take = self._flux(inner, h)
            outflow[:-1] += give / h
            outflow[1:] += take / h
            before, after = (
                np.moveaxis(number, axis, 0)[:-1].ravel(),
                np.moveaxis(number, axis, 0)[1:].ravel(),
            )
            rows += [before, after]
            columns += [after, before]
            values += [-take.ravel() / h, -give.ravel() / h]
            # outer faces: the value zero stands half a cell away, on the face itself
            outflow[0] += self._side(-v[0], h) / h
            outflow[-1] += self._side(v[-1], h) / h
        values.insert(0, diagonal.ravel())
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return csr_array(coo_array(entries, shape=(n**d, n**d)))

    def _flux(self, v: Floats, distance: float) -> tuple[Floats, Floats]:
        """Return the coefficients (give, take) of the flux between two values that stand `distance` apart."""
        diffusion = np.full_like(v, 1.0 / distance)
        if self.scheme == "upwind":
            return diffusion + np.maximum(v, 0.0), diffusion + np.maximum(-v, 0.0)
        if self.scheme == "central":
            return diffusion + 0.5 * v, diffusion - 0.5 * v
        return _bernoulli(-v * distance) / distance, _bernoulli(v * distance) / distance

    def _side(self, v: Floats, h: float) -> Floats:
        """Return the outflow coefficient through an outer face; `v` is positive where the wind leaves."""
        if self.scheme == "central":
            return np.full_like(v, 2.0 / h)  # convects the value on the face, which is zero
        return self._flux(v, 0.5 * h)[0]

    def sample(self, rng: RNG = None) -> Problem:
        """Draw a right-hand side, and the Peclet number from its range; without one the operator is always the same."""
        rng = np.random.default_rng(rng)
        if isinstance(self.peclet, tuple):
            return replace(self, peclet=float(rng.uniform(*self.peclet))).sample(rng)
        grid = box((self.n,) * self.dim)
        no_wind = self.peclet == 0.0
        A = CSROperator(self.matrix(), symmetric=no_wind, positive_definite=True if no_wind else None, grid=grid)
        if self.rhs == "ones":
            b = np.ones(grid.size)
        elif self.rhs == "smooth":
            b = gaussian_field(grid.shape, alpha=3.0, tau=5.0, sigma=1.0, rng=rng).ravel()
        else:
            b = rng.standard_normal(grid.size)
        faces = self.face_wind()
        d = self.dim
        low = [tuple(slice(None, -1) if a == axis else slice(None) for a in range(d)) for axis in range(d)]
        high = [tuple(slice(1, None) if a == axis else slice(None) for a in range(d)) for axis in range(d)]
        centre = np.stack([0.5 * (w[i] + w[j]) for w, i, j in zip(faces, low, high, strict=True)])
        parameters = self.parameters() | {"cell_peclet": self.peclet / self.n}
        name = f"convection-diffusion-{self.scheme}-pe{self.peclet:g}-" + "x".join(map(str, grid.shape))
        return Problem(A, b, None, grid, parameters, name, fields={"wind": centre})


def _bernoulli(z: Floats) -> Floats:
    """``z / (exp(z) - 1)``, one at zero, without overflow."""
    small = np.abs(z) < 1e-8
    safe = np.where(small, 1.0, np.clip(z, -700.0, 700.0))
    fitted = np.where(small, 1.0 - 0.5 * z, safe / np.expm1(safe))
    return np.where(z < -700.0, -z, fitted)
