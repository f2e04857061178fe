"""Randomized Nystrom preconditioner: the leading eigenvalues of a positive definite matrix, pressed down to one level.

Source: Frangella, Tropp and Udell [1]_. With the leading pairs (Lambda, U) of rank l and the smallest of them lambda_l,

    M = (lambda_l + mu) U (Lambda + mu)^{-1} U^H + (I - U U^H)

is applied for the system ``(A + mu I) x = b``.

Departures: pairs come from `linalg.lowrank.nystrom_eigh`, truncated from a few more vectors than the rank; pairs whose
``lambda + mu`` is rounding are left out; an update starts from the former eigenvectors in place of random vectors.

References
----------
.. [1] Z. Frangella, J. A. Tropp, M. Udell, Randomized Nystrom preconditioning, SIAM J. Matrix Anal. Appl. 44 (2023),
   718-752.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import Operator
from ...linalg.lowrank import nystrom_eigh
from ...linalg.lowrank.passes import fraction, whole
from .base import Preconditioner, bytes_of

__all__ = ["Nystrom", "nystrom"]

Array = npt.NDArray[Any]


class Nystrom(Preconditioner):
    """Low-rank correction of the identity; made by `nystrom`.

    Attributes
    ----------
    w : ndarray, shape (l,)
        Approximate leading eigenvalues of A (without `mu`), not increasing.
    U : ndarray, shape (n, l)
        Their vectors, orthonormal.
    passes : int
        Passes over A of the last set-up.
    """

    name = "nystrom"
    w: Array
    U: Array
    passes: int

    def __init__(
        self, A: Any, rank: int, *, mu: float = 0.0, oversampling: int = 10, power: int = 0, rng: Any = None
    ) -> None:
        self.mu = fraction("mu", mu)
        self.rank = whole("rank", rank, 1)
        self.name = f"nystrom({self.rank})"
        self._oversampling, self._power = whole("oversampling", oversampling, 0), whole("power", power, 0)
        self._rng = np.random.default_rng(rng)
        super().__init__(A, symmetric=True, positive_definite=True)

    def _setup(self, A: Operator, previous: bool) -> None:
        if A.positive_definite is False:
            raise ValueError("A states that it is not positive definite: nystrom needs that it is; take ilu or direct")
        if self.rank > A.shape[0]:
            raise ValueError(f"rank is {self.rank} and A has shape {A.shape}: wanted at most {A.shape[0]}")
        pairs = nystrom_eigh(
            A, self.rank, oversampling=self._oversampling, power=self._power, probes=0,
            start=self.U if previous else None, rng=self._rng,
        )  # fmt: skip
        self.passes = pairs.passes
        top = float(pairs.w[0])
        keep = pairs.w + self.mu > 10 * np.finfo(pairs.w.dtype).eps * top
        w, U = pairs.w[keep].astype(np.float64), pairs.U[:, keep]
        # M = I + U (scales - 1) U^H
        self._factors = (
            np.ascontiguousarray(U.conj().T, dtype=self.dtype),
            ((w[-1:] + self.mu) / (w + self.mu) - 1).astype(self.dtype),
        )
        self.w, self.U = pairs.w[keep], self._factors[0].conj().T
        self.memory_bytes = bytes_of(*self._factors, self.w)

    def _apply(self, r: Array, out: Array) -> None:
        rows, scales = self._factors
        out[:] = r
        out += (scales * (rows @ r)) @ rows.conj()

    def _apply_block(self, r: Array, out: Array) -> None:
        rows, scales = self._factors
        out[:] = r
        out += rows.conj().T @ (scales[:, None] * (rows @ r))


def nystrom(A: Any, rank: int, *, mu: float = 0.0, oversampling: int = 10, power: int = 0, rng: Any = None) -> Nystrom:
    """Randomized Nystrom preconditioner of a symmetric positive (semi)definite matrix, for systems with ``A + mu I``.

    Parameters
    ----------
    A : operator-like, shape (n, n)
        Only products with blocks are needed. Without the shift: pass the kernel or Gram matrix itself.
    rank : int
        Leading eigenvalues to press down. It pays to cover all eigenvalues well above `mu`: twice the effective dimension
        ``sum lambda / (lambda + mu)`` gives a condition number below 28 on average [1]_ (of the module).
    mu : float
        The system is ``(A + mu I) x = b``; 0 for a system with A itself.
    oversampling : int
        Additional random vectors at set-up.
    power : int
        Subspace iterations at set-up, of one pass each; for spectra that fall slowly.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    Nystrom
        ``update(A)`` takes the former eigenvectors in place of random vectors: for a matrix nearby that is as good as one
        subspace iteration, in one pass.

    Raises
    ------
    ValueError
        If A is not square, not finite, is seen not to be symmetric or semidefinite, or `rank` or `mu` is out of range.

    See Also
    --------
    ritzkit.linalg.lowrank.nystrom_eigh : the decomposition.

    Notes
    -----
    Set-up: ``rank + oversampling`` products with A in one pass, and O(n rank^2) flops. Application: 4 n rank flops.
    Memory: n rank numbers.

    It helps where few eigenvalues are large: kernel ridge regression, Gram matrices, inverse problems. A discretised
    Laplacian has a flat spectrum, and plain CG is faster there.

    Examples
    --------
    >>> import numpy as np
    >>> from ritzkit.linalg import as_operator
    >>> from ritzkit.solvers import cg
    >>> A = np.diag(1e6 * 0.5 ** np.arange(60.0))
    >>> M = nystrom(A, 30, mu=1.0, rng=0)
    >>> cg(as_operator(A + np.eye(60), positive_definite=True), np.ones(60), rtol=1e-8, M=M).iterations < 10
    True
    """
    return Nystrom(A, rank, mu=mu, oversampling=oversampling, power=power, rng=rng)
