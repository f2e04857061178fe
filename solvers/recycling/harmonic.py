"""Harmonic Ritz vectors of an augmented Krylov space, from its small matrices.

Sources: R. B. Morgan, "GMRES with deflated restarting", SIAM J. Sci. Comput. 24 (2002) 20-37; M. L. Parks, E. de Sturler,
G. Mackey, D. D. Johnson and S. Maiti, "Recycling Krylov subspaces for sequences of linear systems", SIAM J. Sci. Comput.
28 (2006) 1651-1674.

With ``A W = Y G`` (Y orthonormal) and ``S = Y^H W``, the harmonic Ritz pairs solve ``G^H G z = theta G^H S z``.

Departures from the sources:

1. The QR factorisation ``G = Q R`` turns the pencil into ``R z = theta (Q^H S) z``: condition numbers are not squared.
2. The invariant subspace is taken from an ordered real Schur form, not from eigenvectors: conjugate pairs stay real and
   whole, and nearly defective eigenvalues do no harm. Where R is well conditioned this is the Schur form of
   ``Q^H S R^-1``, whose vectors make the new C orthonormal by themselves; elsewhere the ordered QZ form of the pencil.
3. A pair that would be cut in two is kept whole, so that one vector more than asked for may come back.
4. The vectors come in the order of their usefulness, so that leaving out the last ones leaves the best space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import get_lapack_funcs, ordqz, qr, schur

__all__ = ["SELECT", "Selection", "gain_of", "harmonic_ritz"]

Array = npt.NDArray[Any]

#: Which harmonic Ritz values to keep: smallest or largest in magnitude, real part or imaginary part.
SELECT = ("sm", "lm", "sr", "lr", "si", "li")


@dataclass(frozen=True)
class Selection:
    """What to combine: new ``U = W T``, new ``C = Y F`` with orthonormal columns, and how useful each is."""

    T: Array
    F: Array
    gain: npt.NDArray[np.float64]


def _rank(values: Array, which: str) -> Array:
    """Return a number for each value, smallest for those wanted first."""
    if which[1] == "m":
        size = np.abs(values)
    elif which[1] == "r":
        size = values.real
    else:
        size = np.abs(values.imag)
    return -size if which[0] == "l" else size


def _choose(values: Array, k: int, which: str, whole: bool) -> npt.NDArray[np.bool_]:
    """Mark the first k values; with `whole`, neighbours that are conjugates go together (then perhaps k + 1)."""
    rank = _rank(values, which)
    rank = np.where(np.isnan(rank), np.inf, rank)
    chosen = np.zeros(values.size, dtype=bool)
    i, units = 0, []
    while i < values.size:
        pair = whole and values[i].imag != 0 and i + 1 < values.size
        units.append((rank[i : i + 2].min() if pair else rank[i], i, 2 if pair else 1))
        i += units[-1][2]
    for _, first, length in sorted(units):
        if chosen.sum() >= k:
            break
        chosen[first : first + length] = True
    return chosen


def gain_of(kept: Array, rest: Array) -> npt.NDArray[np.float64]:
    """How far each kept value lies outside the others: the nearest one not kept, over it (in magnitude).

    The nearest is at most twice as far in as the innermost kept one: a short space knows little of what lies beyond.
    """
    sizes = np.abs(kept)
    if sizes.size == 0 or rest.size == 0:
        return np.ones(sizes.size)
    with np.errstate(all="ignore"):
        inner = np.abs(rest)
        low, high = min(inner.min(), 2.0 * sizes.max()), max(inner.max(), 0.5 * sizes.min())
        ratio = np.maximum(low / sizes, sizes / high)
    return np.clip(np.nan_to_num(ratio, nan=1.0, posinf=1e12), 0.0, 1e12)


def harmonic_ritz(G: Array, S: Array, k: int, which: str = "sm", *, hermitian: bool = False) -> Selection | None:
    """Select k harmonic Ritz vectors (or k + 1, where the last is half of a conjugate pair).

    Parameters
    ----------
    G : ndarray, shape (q, p)
        ``A W = Y G`` with orthonormal Y.
    S : ndarray, shape (q, p)
        ``Y^H W`` (with a preconditioner: ``Y^H M^-1 W``).
    k : int
        Vectors to keep.
    which : str
        One of `SELECT`.
    hermitian : bool
        Whether A is Hermitian: then the problem is, too, and is solved as such.

    Returns
    -------
    Selection or None
        None if the matrices hold NaN or are zero.

    Notes
    -----
    Of the order of ``25 p^3`` operations.
    """
    if not (np.isfinite(G).all() and np.isfinite(S).all()):
        return None
    Q, R = qr(G, mode="economic", check_finite=False)
    pencil = Q.conj().T @ S
    pivots = np.abs(np.diagonal(R))
    if pivots.size == 0 or pivots.max() == 0.0:
        return None
    k = min(k, R.shape[0])
    try:
        if pivots.min() > 1e-9 * pivots.max():
            return _by_schur(Q, R, pencil, k, which, hermitian)
        return _by_qz(Q, R, pencil, k, which)
    except (np.linalg.LinAlgError, ValueError):  # no convergence of the eigenvalue iteration: keep the former space
        return None


def _by_schur(Q: Array, R: Array, pencil: Array, k: int, which: str, hermitian: bool) -> Selection:
    # A small triangular solve of LAPACK starts threads; a general one of this size does not, and pivots nowhere.
    K = np.linalg.solve(R.T, pencil.T).T  # pencil R^-1: eigenvalues 1/theta
    if hermitian:
        inverse, Y = np.linalg.eigh(0.5 * (K + K.conj().T))
        with np.errstate(divide="ignore"):
            values = 1.0 / inverse
        order = np.argsort(_rank(values, which), kind="stable")
        chosen, rest = order[:k], order[k:]
        Y, gain = Y[:, chosen], gain_of(values[chosen], values[rest])
    else:
        form, Y = schur(K, output="complex" if np.iscomplexobj(K) else "real", check_finite=False)
        Y, gain = _leading(form, Y, k, which)
    T = np.linalg.solve(R, Y)
    return Selection(T, Q @ Y, gain)


def _leading(form: Array, Y: Array, k: int, which: str) -> tuple[Array, npt.NDArray[np.float64]]:
    """Move the wanted eigenvalues of a Schur form to the front; returns their Schur vectors, best first."""
    inverse = _diagonal(form)
    with np.errstate(all="ignore"):
        values = np.where(inverse == 0, np.inf, 1.0 / np.where(inverse == 0, 1.0, inverse))
    chosen = _choose(values, k, which, not np.iscomplexobj(form))
    count = int(chosen.sum())
    if not chosen[:count].all():
        (trsen,) = get_lapack_funcs(("trsen",), (form,))
        result = trsen(chosen.astype(np.int32), form, Y, job="N", wantq=1)
        if result[-1] != 0:
            raise np.linalg.LinAlgError("the Schur form could not be ordered")
        form, Y = result[0], result[1]
        inverse = _diagonal(form)
        with np.errstate(all="ignore"):
            values = np.where(inverse == 0, np.inf, 1.0 / np.where(inverse == 0, 1.0, inverse))
    Y = Y[:, :count]
    # order inside the selected space, best first
    inner, vectors = np.linalg.eig(form[:count, :count])
    with np.errstate(all="ignore"):
        inner = np.where(inner == 0, np.inf, 1.0 / np.where(inner == 0, 1.0, inner))
    order = np.argsort(_rank(inner, which), kind="stable")
    gain = gain_of(inner[order], values[count:])
    vectors = vectors[:, order]
    if not np.iscomplexobj(form) and np.iscomplexobj(vectors):
        second = np.zeros(count, dtype=bool)  # the conjugate of the one before: its imaginary part takes its place
        i = 0
        while i < count:
            if inner[order[i]].imag != 0 and i + 1 < count:
                second[i + 1] = True
                i += 1
            i += 1
        vectors = np.where(second, vectors.imag, vectors.real)
    turn = np.linalg.qr(vectors)[0]
    return (Y @ turn if np.isfinite(turn).all() else Y), gain


def _diagonal(form: Array) -> Array:
    """Eigenvalues of a complex or real Schur form, pairs as neighbours."""
    values = np.diagonal(form).astype(np.complex128)
    if np.iscomplexobj(form):
        return values
    below = np.diagonal(form, -1)
    for i in np.flatnonzero(below):
        block = form[i : i + 2, i : i + 2]
        centre = 0.5 * (block[0, 0] + block[1, 1])
        root = np.sqrt(complex(0.25 * (block[0, 0] - block[1, 1]) ** 2 + block[0, 1] * block[1, 0]))
        values[i], values[i + 1] = centre + root, centre - root
    return values


def _by_qz(Q: Array, R: Array, pencil: Array, k: int, which: str) -> Selection:
    """Solve the pencil (R, Q^H S) itself, for an R that is singular to rounding."""
    real = not (np.iscomplexobj(R) or np.iscomplexobj(pencil))
    kept: dict[str, Array] = {}

    def wanted(alpha: Array, beta: Array) -> npt.NDArray[np.bool_]:
        with np.errstate(all="ignore"):
            values = np.where(beta == 0, np.inf, np.asarray(alpha, dtype=np.complex128) / np.where(beta == 0, 1, beta))
        kept["values"], kept["chosen"] = values, _choose(values, k, which, real)
        return kept["chosen"]

    *_, Z = ordqz(R, pencil, sort=wanted, output="real" if real else "complex", check_finite=False)
    chosen, values = kept["chosen"], kept["values"]
    T = Z[:, : int(chosen.sum())]
    gain = np.sort(gain_of(values[chosen], values[~chosen]))[::-1]
    # rank-revealing: images of null vectors are left out, C must be orthonormal
    F, triangle, order = qr(R @ T, mode="economic", pivoting=True, check_finite=False)
    pivots = np.abs(np.diagonal(triangle))
    rank = int((pivots > 1e-12 * max(np.abs(R).max(), pivots[0])).sum())
    T = np.linalg.solve(triangle[:rank, :rank].T, T[:, order[:rank]].T).T
    return Selection(T, Q @ F[:, :rank], gain[:rank])
