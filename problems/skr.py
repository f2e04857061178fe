"""SKR's Darcy and Helmholtz sets as their released generator builds them, index slip and all.

The paper [1]_ speaks of ``-div(K grad h) = f`` and of ``lap u + k^2 u = 0`` with a random k. Its released programs
build something simpler, and these families follow the programs, because the published iteration counts belong to them:

- The rows are ``4 a_i u_i - sum over neighbours of a_j u_j``: the coefficient of the NEIGHBOUR. That is
  ``A = L diag(a)`` with the plain five-point Laplacian L, so without the slip ``x = (L^-1 b) / a``: one Poisson solve gives
  every sample.
- The diagonal of the upper neighbours is cut two entries too early: row r holds the value that belongs to row r - 2
  (of the same grid line, or the end of the one before). This option, ``slip``, is on by default.
- ``f = 1``, scaled by ``h^2`` with ``h = 1 / (n - 1)``, whatever the distance of the nodes is.
- Helmholtz subtracts ``h^2 k^2`` from the diagonal, with one number k, uniform in [0, 1]: the set is never indefinite.
- a is the exponential of a PERIODIC Gaussian field with alpha = 2.5, tau = 7 (standard deviation of log a about 0.18),
  drawn with one node more on each side.

Departures: the sizes are named by the unknowns (n = 48 is what the paper calls 2500 and the programs solve with 2304), any n
is possible, the generator of random numbers is NumPy's, and a stays as drawn (the program sets two columns outside
the unknowns to zero while it builds the matrix, and sorts by what is left).

References
----------
.. [1] H. Wang et al., Accelerating data generation for neural operators via Krylov subspace recycling, ICLR 2024; released
   programs: github.com/wanghong1700/NO-DataGen-SKR.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ..linalg import CSROperator
from . import checks
from .base import RNG, Family, Problem, box

__all__ = ["SKRDarcy", "SKRHelmholtz", "periodic_field"]

Floats = npt.NDArray[np.float64]


def periodic_field(n: int, *, alpha: float = 2.5, tau: float = 7.0, rng: RNG = None) -> Floats:
    """Draw a periodic Gaussian field on the unit square, covariance ``tau^(2 alpha - 2) (-Laplacian + tau^2)^(-alpha)``.

    Parameters
    ----------
    n : int
        Nodes per axis.
    alpha, tau : float
        Smoothness and inverse correlation length.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    ndarray
        Shape ``(n, n)``, mean zero over the square.

    Examples
    --------
    >>> field = periodic_field(50, rng=0)
    >>> field.shape, bool(abs(field.mean()) < 1e-12)
    ((50, 50), True)
    """
    n = checks.integer("n", n)
    rng = np.random.default_rng(rng)
    k = np.fft.fftfreq(n) * n
    square = k[:, None] ** 2 + k[None, :] ** 2
    deviation = tau ** (alpha - 1.0) * (4.0 * np.pi**2 * square + tau**2) ** (-alpha / 2.0)
    deviation[0, 0] = 0.0
    # the real part of a sum over complex modes: each carries its variance in two halves
    modes = rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))
    return np.fft.ifft2(n**2 * deviation * modes).real


@lru_cache(maxsize=4)
def _pattern(n: int, slip: bool) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.intp], Floats]:
    """Row pointers, columns, place of each entry's coefficient in the padded field, and its factor (4 or -1)."""
    row = np.arange(n * n)
    i, j = row // n, row % n
    q = np.maximum(row - 2, 0) if slip else row  # whose upper neighbour is taken
    width = n + 2
    # in order of columns: up, left, itself, right, down
    columns = row[:, None] + np.array([-n, -1, 0, 1, n])
    place = (i[:, None] + np.array([0, 1, 1, 1, 2])) * width + j[:, None] + np.array([1, 0, 1, 2, 1])
    place[:, 0] = (q // n) * width + q % n + 1
    there = np.stack([i > 0, j > 0, np.ones(n * n, bool), j < n - 1, i < n - 1], axis=1)
    factor = np.broadcast_to([-1.0, -1.0, 4.0, -1.0, -1.0], there.shape)
    indptr = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    return indptr, columns[there].astype(np.int32), place[there], np.ascontiguousarray(factor[there])


@dataclass(frozen=True)
class SKRDarcy(Family):
    """SKR's Darcy set as released: ``A = L diag(a)``, with an index slip in one diagonal.

    Parameters
    ----------
    n : int
        Unknowns per axis, at least 2. The set's sizes are 48, 78, 98, 148 and 198.
    slip : bool
        Keep the misplaced diagonal of the released program; False repairs it.

    Notes
    -----
    Not symmetric. ``problem.fields["coefficient"]`` holds a at the unknowns, shape ``(n, n)``. Not a discretisation of Darcy
    flow with variable coefficients; for that see `Darcy`. The module's docstring says what is built.

    Examples
    --------
    >>> problem = SKRDarcy(48).sample(rng=0)
    >>> problem.A.shape, problem.A.symmetric
    ((2304, 2304), False)
    """

    family_name: ClassVar[str] = "skr-darcy"

    n: int = 48
    slip: bool = True

    def __post_init__(self) -> None:
        """Normalise and check the parameters."""
        self._set("n", checks.integer("n", self.n, 2))
        if not isinstance(self.slip, bool | np.bool_):
            raise TypeError(f"slip is {self.slip!r}: wanted True or False")
        self._set("slip", bool(self.slip))

    def sample(self, rng: RNG = None) -> Problem:
        """Draw the coefficient."""
        return self._problem(np.random.default_rng(rng), shift=0.0, facts={})

    def features(self, problem: Problem) -> Floats:
        """Return what the paper sorts by: the whole coefficient."""
        return problem.fields["coefficient"].ravel()

    def _problem(self, rng: np.random.Generator, shift: float, facts: dict[str, Any]) -> Problem:
        n = self.n
        a = np.exp(periodic_field(n + 2, rng=rng))
        indptr, indices, place, factor = _pattern(n, self.slip)
        data = factor * a.ravel()[place]
        spacing = 1.0 / (n - 1)
        if shift:
            data[factor > 0] -= spacing**2 * shift
        grid = box((n, n))
        matrix = csr_array((data, indices.copy(), indptr.copy()), shape=(n * n, n * n))
        A = CSROperator(matrix, symmetric=False, grid=grid)
        b = np.full(n * n, spacing**2)
        inner = np.ascontiguousarray(a[1:-1, 1:-1])
        name = f"{self.family_name}-{n}x{n}"
        return Problem(A, b, None, grid, self.parameters() | facts, name, fields={"coefficient": inner})


@dataclass(frozen=True)
class SKRHelmholtz(SKRDarcy):
    """SKR's Helmholtz set as released: ``A = L diag(a) - h^2 k^2 I`` with one k in [0, 1].

    Parameters
    ----------
    n, slip
        See `SKRDarcy`. The set's sizes are 48, 78, 98 and 148.

    Notes
    -----
    Never indefinite: k^2 is at most 1 and the lowest eigenvalue of the Laplacian about 20. For true Helmholtz problems
    see `Helmholtz`. ``problem.parameters["wavenumber"]`` is k.

    Examples
    --------
    >>> problem = SKRHelmholtz(48).sample(rng=0)
    >>> 0.0 <= problem.parameters["wavenumber"] < 1.0
    True
    """

    family_name: ClassVar[str] = "skr-helmholtz"

    def sample(self, rng: RNG = None) -> Problem:
        """Draw the wave number and the coefficient."""
        rng = np.random.default_rng(rng)
        k = float(rng.uniform())
        return self._problem(rng, shift=k**2, facts={"wavenumber": k})

    def features(self, problem: Problem) -> Floats:
        """Coefficient and wave number (the paper adds the two distances; here they are one Euclidean distance)."""
        return np.append(problem.fields["coefficient"].ravel(), problem.parameters["wavenumber"])
