"""The state that a recycling method hands from one system to the next.

The space is kept in SOLUTION coordinates: the columns of U approximate directions in which x is hard to find, and
``C = A U`` has orthonormal columns. So a new matrix costs k products and no application of a preconditioner, and a new
preconditioner costs nothing. The residual of the projected guess ``x + U C^H r`` is never larger than that of x.

Source of the convention: M. L. Parks, E. de Sturler, G. Mackey, D. D. Johnson and S. Maiti, "Recycling Krylov subspaces
for sequences of linear systems", SIAM J. Sci. Comput. 28 (2006) 1651-1674. Departures from it:

1. C belongs to one matrix. The space remembers a fingerprint of it (`token`) and makes C anew for another one.
2. The number of vectors may shrink (dependent images, short solves) and grows again: `size` is what is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...linalg import as_operator, vectors
from ..gate import check_count
from .carry import Carried, as_map, look
from .dense import Blocks, orthonormal_images
from .files import read_space, write_space

__all__ = ["RecycleSpace", "enter_space"]

Array = npt.NDArray[Any]


class RecycleSpace:
    """Vectors that a recycling method carries from one system to the next.

    Hand it to ``gcrodr``, ``block_gcrodr``, ``deflated_cg`` or ``recycled_minres`` as ``recycle=``: the method starts
    from it and updates it in place when it ends well. A solve that fails leaves it as it was.

    Parameters
    ----------
    k : int
        Vectors to keep. (One more is kept where the last would be half of a complex pair.)
    storage : {"float64", "float32"}
        Precision in which vectors wait between two solves. With ``"float32"`` (half the memory) C is not kept: it would
        not be orthonormal enough.

    Attributes
    ----------
    size : int
        Vectors to keep, as asked for.
    k : int
        Vectors that are there.
    U : ndarray, shape (n, k)
        Solution coordinates, most useful first.
    C : ndarray, shape (n, k), or None
        ``A U`` with orthonormal columns, for the operator of the last solve.
    gain : ndarray, shape (k,)
        How useful each vector is expected to be: how many times farther out its harmonic Ritz value lies than those that
        the iteration meets without it. One that is not above 1 does not help.
    token : str or None
        Fingerprint of the operator that C belongs to (of ``M A`` for a method that preconditions from the left).

    Examples
    --------
    >>> import numpy as np
    >>> space = RecycleSpace(2)
    >>> space.update(np.eye(5)[:, :2])
    >>> space.k
    2
    >>> A = np.diag([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> space.guess(A, np.ones(5))
    array([1. , 0.5, 0. , 0. , 0. ])
    """

    def __init__(self, k: int, *, storage: str = "float64") -> None:
        self.size = check_count("k", k)
        if storage not in ("float64", "float32"):
            raise ValueError(f"storage is {storage!r}: wanted 'float64' or 'float32'")
        self.storage = storage
        self.clear()

    def clear(self) -> None:
        """Forget all vectors."""
        self._U: Array | None = None
        self._C: Array | None = None
        self._P: Array | None = None
        self.gain: npt.NDArray[np.float64] = np.empty(0)
        self.token: str | None = None
        self._norm = 0.0  # about the norm of the operator that the token stands for

    # --- what is there ----------------------------------------------------------------------------------------------

    @property
    def k(self) -> int:
        """Vectors that are there."""
        return 0 if self._U is None else int(self._U.shape[0])

    @property
    def n(self) -> int | None:
        """Length of the vectors, None while there are none."""
        return None if self._U is None else int(self._U.shape[1])

    @property
    def U(self) -> Array:
        """Solution coordinates, shape (n, k)."""
        return np.empty((0, 0)) if self._U is None else self._U.T

    @property
    def C(self) -> Array | None:
        """Orthonormal ``A U``, shape (n, k), or None where it is not known."""
        return None if self._C is None else self._C.T

    @property
    def memory_bytes(self) -> int:
        """Bytes held."""
        return sum(block.nbytes for block in (self._U, self._C, self._P) if block is not None)

    def __repr__(self) -> str:
        kind = "empty" if self._U is None else f"{self.k} vectors of {self.n} {self._U.dtype} numbers"
        return f"<RecycleSpace of size {self.size}: {kind}>"

    # --- between two solves -------------------------------------------------------------------------------------------

    def update(
        self, U: npt.ArrayLike, C: npt.ArrayLike | None = None, *,
        gain: npt.ArrayLike | None = None, token: str | None = None,
    ) -> None:  # fmt: skip
        """Replace the vectors.

        Parameters
        ----------
        U : array_like, shape (n, q)
            Solution coordinates, most useful first; only the first ``k + 1`` are kept. Columns are scaled to length 1
            unless C is given.
        C : array_like, shape (n, q), optional
            ``A U`` with orthonormal columns.
        gain : array_like, shape (q,), optional
            Usefulness; ones by default.
        token : str, optional
            Fingerprint of A.

        Raises
        ------
        ValueError
            If shapes do not fit or numbers are not finite: the space stays what it was.
        """
        columns = np.asarray(U)
        if columns.ndim != 2 or columns.dtype.kind not in "biufc":
            raise ValueError(f"U has shape {columns.shape} and dtype {columns.dtype}: wanted columns of shape (n, q)")
        images = None if C is None else np.asarray(C)
        if images is not None and images.shape != columns.shape:
            raise ValueError(f"C has shape {images.shape}, U has shape {columns.shape}: wanted the same")
        if not np.isfinite(columns).all() or (images is not None and not np.isfinite(images).all()):
            raise ValueError("U or C holds NaN or infinite numbers: a space must be finite")
        gains = np.ones(columns.shape[1]) if gain is None else np.asarray(gain, dtype=np.float64)
        if gains.shape != (columns.shape[1],):
            raise ValueError(f"gain has shape {gains.shape}: wanted ({columns.shape[1]},)")
        rows = np.array(columns.T, dtype=_kind(columns), order="C")
        if images is None:
            lengths = np.linalg.norm(rows, axis=1)
            rows, gains = rows[lengths > 0] / lengths[lengths > 0, None], gains[lengths > 0]
        image_rows = None if images is None else np.array(images.T, dtype=_kind(images), order="C")
        self._store(rows, image_rows, None, gains, token)

    def _store(
        self, U: Any, C: Any, P: Any, gain: npt.NDArray[np.float64], token: str | None, norm: float = 0.0
    ) -> bool:
        """Take over blocks of rows from a solver, unless something in them is not finite; says whether it did."""
        keep = self.size + 1 if self.size else 0
        U, C, P = (None if block is None else vectors.to_numpy(block)[:keep] for block in (U, C, P))
        for block in (U, C, P):
            if block is not None and not np.isfinite(block).all():
                return False
        if U.shape[0] == 0:
            self.clear()
            return True
        if self.storage == "float32":
            single = np.complex64 if U.dtype.kind == "c" else np.float32
            scale = 1.0 / np.linalg.norm(U, axis=1)[:, None]
            U, C, token = (U * scale).astype(single), None, None
            P = None if P is None else (P * scale).astype(single)
        self._U, self._C, self._P = (None if b is None else np.array(b, order="C") for b in (U, C, P))
        self.gain, self.token, self._norm = np.array(gain[:keep], dtype=np.float64), token, norm
        return True

    def truncate(self, k: int) -> None:
        """Leave only the k most useful vectors (the size asked for stays, so the next solve may fill it again)."""
        k = check_count("k", k)
        if self._U is None or k >= self.k:
            return
        if k == 0:
            self.clear()
            return
        self._U, self.gain = self._U[:k].copy(), self.gain[:k].copy()
        self._C = None if self._C is None else self._C[:k].copy()
        self._P = None if self._P is None else self._P[:k].copy()

    def merge(self, other: RecycleSpace) -> None:
        """Take in the vectors of another space: the most useful independent ones of both are kept, up to the size.

        Raises
        ------
        ValueError
            If the vectors of the two have different lengths.
        """
        if not isinstance(other, RecycleSpace):
            raise TypeError(f"other is a {type(other).__name__}: wanted a RecycleSpace")
        if other._U is None:
            return
        if self._U is not None and self.n != other.n:
            raise ValueError(f"other has vectors of length {other.n}, this space of length {self.n}: wanted the same")
        blocks = [space for space in (self, other) if space._U is not None]
        rows = np.concatenate([_unit_rows(space._U) for space in blocks])
        gains = np.concatenate([space.gain for space in blocks])
        order = np.argsort(-gains, kind="stable")
        rows, gains = rows[order], gains[order]
        # Gram-Schmidt in the order of usefulness; what the former ones span already is left out
        basis: Array = np.empty((0, rows.shape[1]), dtype=rows.dtype)
        pick: list[int] = []
        for i in range(rows.shape[0]):
            rest = rows[i]
            for _ in range(2):
                rest = rest - (basis.conj() @ rest) @ basis
            length = float(np.linalg.norm(rest))
            if length > 1e-6:
                pick.append(i)
                basis = np.concatenate([basis, rest[None, :] / length])
            if len(pick) == self.size:
                break
        self._store(rows[pick], None, None, gains[pick], None)

    def copy(self) -> RecycleSpace:
        """Return an independent copy."""
        result = RecycleSpace(self.size, storage=self.storage)
        result._U, result._C, result._P = (None if b is None else b.copy() for b in (self._U, self._C, self._P))
        result.gain, result.token, result._norm = self.gain.copy(), self.token, self._norm
        return result

    # --- for one operator -----------------------------------------------------------------------------------------

    def prepare(self, A: Any, M: Any = None, *, same_operator: bool | None = None) -> int:
        """Make C for an operator; returns the number of products made.

        Parameters
        ----------
        A : matrix or operator, shape (n, n)
        M : matrix or operator, optional
            With M the space is prepared for ``M A``, as a method needs it that preconditions from the left. (Right or
            flexible preconditioning needs none.)
        same_operator : bool, optional
            Whether A (and M) are those that C belongs to; None: find out by one product.

        Raises
        ------
        ValueError
            If A has another size than the vectors.
        """
        if self._U is None:
            return 0
        A = as_operator(A)
        self._check_size(A.shape[0])
        dtype = np.result_type(A.dtype, self._U.dtype, np.float32)
        if M is not None:
            M = as_operator(M)
            dtype = np.result_type(dtype, M.dtype)
        blocks = Blocks(np.empty(A.shape[0], dtype=_kind(np.empty(0, dtype))))
        images = as_map(A, M)
        token, norm = look(images, blocks)
        ready = self._bring(blocks, images, token, norm, same_operator)
        if ready is None:
            raise ValueError("A or M gave NaN or infinity for the vectors of this space: check their entries")
        self._store(ready.U, ready.C, ready.P, ready.gain, token, norm)
        return 1 + ready.products

    def guess(self, A: Any, b: Any) -> Any:
        """Return the best guess ``x = U C^H b`` in the space; its residual is never larger than b.

        The space is prepared for A first (at most k + 1 products).
        """
        space = self
        if self.storage == "float32":  # such a space keeps no C
            space = self.copy()
            space.storage = "float64"
        space.prepare(A)
        right = vectors.to_numpy(b)
        x = (space._C.conj() @ right) @ space._U if space._U is not None and space._C is not None else right * 0.0
        if vectors.is_torch(b):
            import torch

            return torch.as_tensor(x, device=b.device)
        return x

    def _check_size(self, n: int) -> None:
        if self._U is not None and self.n != n:
            raise ValueError(
                f"recycle holds vectors of length {self.n} and the system has {n} unknowns: use another RecycleSpace"
            )

    def _bring(
        self, blocks: Blocks, images: Callable[[Any], Any], token: str | None, norm: float, same: bool | None
    ) -> Carried | None:
        """Return U and C = A U for the operator behind `images`, as blocks of the solve; None if it gives NaN."""
        U, P, gain = self._U, self._P, self.gain
        if U is None:
            return None
        C = self._C
        mixed = U.dtype.kind == "c" and blocks.dtype.kind != "c"
        precise = np.finfo(U.dtype).eps <= 1.01 * blocks.precision
        known = same is True or (same is None and token is not None and token == self.token)
        if C is not None and known and precise and not mixed and U.dtype.kind == blocks.dtype.kind:
            P = None if P is None else blocks.from_numpy(P)
            return Carried(blocks.from_numpy(U), blocks.from_numpy(C), P, gain.copy(), 0, True)
        if mixed:  # a complex space for a real system: real and imaginary parts span it
            U = np.concatenate([U.real, U.imag])
            gain, P = np.concatenate([gain, gain]), None
        rows = blocks.from_numpy(U)
        made = images(rows)
        if not bool(np.isfinite(vectors.to_numpy(made)).all()):
            return None
        rows, made, T, source = orthonormal_images(blocks, rows, made, norm)
        keep = self.size + 1 if mixed else rows.shape[0]
        if P is not None:
            P = blocks.combine(T, blocks.from_numpy(P))[:keep]
        return Carried(rows[:keep], made[:keep], P, gain[source][:keep], U.shape[0])

    # --- elsewhere ------------------------------------------------------------------------------------------------

    def to_cu(self) -> list[tuple[Array | None, Array]]:
        """Return the list of pairs (c, u) that ``scipy.sparse.linalg.gcrotmk`` takes as ``CU``.

        Notes
        -----
        SciPy changes the list in place. For another matrix than that of the last solve call it with
        ``discard_C=True``, or hand over pairs whose c is None.
        """
        if self._U is None:
            return []
        C = [None] * self.k if self._C is None else [row.copy() for row in self._C]
        return [(c, u.copy()) for c, u in zip(C, self._U, strict=True)]

    @classmethod
    def from_cu(cls, CU: Sequence[tuple[Any, Any]], k: int | None = None, *, storage: str = "float64") -> Self:
        """Build a space from the ``CU`` of ``scipy.sparse.linalg.gcrotmk``.

        Parameters
        ----------
        CU : sequence of pairs (c, u)
            Vectors of length n; c is not used, since it is not known which matrix it belongs to.
        k : int, optional
            Size of the space; by default the number of pairs.
        storage : str
            As in `RecycleSpace`.

        Raises
        ------
        ValueError
            If an entry is not a pair of vectors of one length.
        """
        pairs = list(CU)
        for i, pair in enumerate(pairs):
            if len(pair) != 2 or np.ndim(pair[1]) != 1 or np.shape(pair[1]) != np.shape(pairs[0][1]):
                raise ValueError(f"CU[{i}] is not a pair (c, u) of vectors of one length, as gcrotmk makes them")
        space = cls(len(pairs) if k is None else k, storage=storage)
        if pairs:
            space.update(np.stack([np.asarray(u) for _, u in pairs], axis=1))
        return space

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the space to an ``.npz`` file; an interrupted write leaves the former file.

        Notes
        -----
        Plain arrays and one JSON text, no pickles. The bytes depend on the space alone.
        """
        write_space(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a space that `save` wrote.

        Raises
        ------
        ValueError
            If the file is not one, is damaged, or comes from a later version.
        """
        return read_space(cls, path)


def _kind(array: Array) -> np.dtype[Any]:
    """Return the type of the array if it is one of the four that vectors have, otherwise double precision."""
    if array.dtype.char in "fdFD":
        return array.dtype
    return np.dtype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _unit_rows(rows: Array | None) -> Array:
    block = np.asarray(rows)
    return np.asarray(block / np.linalg.norm(block, axis=1)[:, None])


def enter_space(recycle: Any, k: int | None, n: int, default: int = 20) -> RecycleSpace:
    """Check the arguments `recycle` and `k` of a method and return the space to work with."""
    if recycle is None:
        return RecycleSpace(min(default, n) if k is None else check_count("k", k))
    if not isinstance(recycle, RecycleSpace):
        raise TypeError(
            f"recycle is a {type(recycle).__name__}: wanted a RecycleSpace (or None), such as the `recycle` of a former "
            "result; RecycleSpace.from_cu takes SciPy's CU"
        )
    recycle._check_size(n)
    if k is not None:
        recycle.size = check_count("k", k)
    return recycle
