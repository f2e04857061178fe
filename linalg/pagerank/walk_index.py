"""An index of random walks: estimated personalised PageRank of every single vertex."""

from __future__ import annotations

import os
import queue
import zipfile
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ..kernels import pagerank as kernels
from ..operators.matrix import check_indices
from .transitions import Transitions, checked_restart, in_threads, transitions

__all__ = ["WalkIndex"]

Array = npt.NDArray[Any]
FORMAT = "ritzkit walk index 1"
BLOCK = 1024  # vertices per piece of work


class WalkIndex:
    """Visit counts of random walks from every vertex, scaled to estimates of personalised PageRank.

    Parameters
    ----------
    P : sparse array or matrix, shape (n, n)
        Transition probabilities, see `transition_matrix`.
    walks : int
        Walks per vertex, R.
    restart : float
        Probability c to stop before every move.
    rng : None, int or Generator
        Seed. The index is the same for any number of threads.
    estimator : {"unbiased", "normalised"}
        "unbiased": count times c / R. "normalised": count over the number of all visits of the R walks, so that rows sum
        to one; it has less variance and a bias of order 1 / R. It needs a P without empty rows.

    Attributes
    ----------
    matrix : csr_array, shape (n, n)
        The estimates; sorted.
    walks, restart, estimator
        As given.
    fingerprint : int
        64 bits that name P.

    Raises
    ------
    ValueError
        If `walks` is below 1, `restart` not between 0 and 1, P not a transition matrix, or P has an empty row and the
        estimator is "normalised".

    Notes
    -----
    A walk visits 1 / c vertices on average (its start included) and all of them count, which needs fewer walks than
    counting where they end. Building costs ``n R / c`` moves; the index holds at most as many entries of 12 bytes, far
    fewer where walks meet again.

    For one row, ``E |row - exact|_2^2 <= (2 - c) / R``: a walk of L visits contributes a vector of 2-norm at most c L,
    and ``E L^2 = (2 - c) / c^2``. Rows are independent of one another.

    References
    ----------
    K. Avrachenkov, N. Litvak, D. Nemirovsky, N. Osipova, "Monte Carlo methods in PageRank computation: when one
    iteration is sufficient", SIAM Journal on Numerical Analysis 45, 2007 (walks whose every visit counts). Q. Liu, Z. Li,
    J. C. S. Lui, J. Cheng, "PowerWalk", CIKM 2016 (an index of them).

    Examples
    --------
    >>> from ritzkit.linalg import pagerank_power, transition_matrix
    >>> P = transition_matrix([[0, 1, 1], [1, 0, 0], [1, 0, 0]])
    >>> index = WalkIndex(P, walks=1000, rng=1)
    >>> exact = pagerank_power(P, [0]).scores
    >>> bool(abs(index.matrix.toarray()[0] - exact[0]).max() < 0.03)
    True
    """

    def __init__(
        self,
        P: Any,
        *,
        walks: int = 100,
        restart: float = 0.15,
        rng: np.random.Generator | int | None = None,
        estimator: Literal["unbiased", "normalised"] = "unbiased",
    ) -> None:
        chain = transitions(P)
        self.restart = checked_restart(restart)
        if isinstance(walks, bool) or not isinstance(walks, (int, np.integer)):
            raise TypeError(f"walks is {walks!r}: wanted a whole number of walks per vertex")
        if not 1 <= walks < 2**31:
            raise ValueError(f"walks is {walks!r}: wanted at least 1 walk per vertex")
        if estimator not in ("unbiased", "normalised"):
            raise ValueError(f'estimator is {estimator!r}: wanted "unbiased" or "normalised"')
        if estimator == "normalised" and chain.empty:
            raise ValueError(
                "P has empty rows, where walks end early and rows must not sum to one: wanted the estimator "
                '"unbiased", or P of transition_matrix(graph, dangling="loop")'
            )
        self.walks = int(walks)
        self.estimator = estimator
        self.fingerprint = chain.fingerprint
        self.matrix = _walk(chain, self.walks, self.restart, np.random.default_rng(rng), estimator == "normalised")

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the index, that of P."""
        return (int(self.matrix.shape[0]), int(self.matrix.shape[1]))

    @property
    def memory_bytes(self) -> int:
        """Storage of the estimates in bytes."""
        return sum(int(a.nbytes) for a in (self.matrix.data, self.matrix.indices, self.matrix.indptr))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to a NumPy archive (.npz)."""
        with open(path, "wb") as file:
            np.savez(
                file,
                format=np.array(FORMAT),
                data=self.matrix.data,
                indices=self.matrix.indices,
                indptr=self.matrix.indptr,
                walks=self.walks,
                restart=self.restart,
                estimator=np.array(self.estimator),
                fingerprint=np.uint64(self.fingerprint),
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> WalkIndex:
        """Read an index that `save` wrote; it runs no code from the file.

        Raises
        ------
        ValueError
            If the file is not such an index.
        """
        try:
            with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:
                parts = dict(file) if str(file["format"]) == FORMAT else {}
        except (ValueError, TypeError, AttributeError, KeyError, zipfile.BadZipFile, EOFError):
            parts = {}
        if not parts:
            raise ValueError(f"{path} is not a walk index: wanted a file of WalkIndex.save")
        self = cls.__new__(cls)
        self.walks, self.restart = int(parts["walks"]), float(parts["restart"])
        self.estimator = "normalised" if str(parts["estimator"]) == "normalised" else "unbiased"
        self.fingerprint = int(parts["fingerprint"])
        n = parts["indptr"].size - 1
        self.matrix = csr_array((parts["data"], parts["indices"], parts["indptr"]), shape=(n, n))
        check_indices(self.matrix, "the index in the file")
        return self

    def __repr__(self) -> str:
        n = self.shape[0]
        return (
            f"<WalkIndex of {n} vertices: {self.walks} walks each, restart {self.restart}, {self.matrix.nnz} entries>"
        )


def _walk(chain: Transitions, walks: int, restart: float, rng: np.random.Generator, normalise: bool) -> csr_array:
    n = chain.size
    indptr, indices, data = chain.rows
    sums = np.empty(0 if chain.uniform else data.size)
    if not chain.uniform:
        kernels.running_sums(indptr, data, sums)
    seed = np.uint64(rng.integers(2**64, dtype=np.uint64))
    lengths = np.zeros(n, dtype=np.int64)
    scratch: queue.SimpleQueue[tuple[Array, Array]] = queue.SimpleQueue()

    def piece(first: int) -> tuple[Array, Array]:
        try:
            counts, touched = scratch.get_nowait()
        except queue.Empty:
            counts, touched = np.zeros(n, dtype=np.int64), np.empty(n, dtype=indices.dtype)
        result = kernels.walk_rows(
            first,
            min(first + BLOCK, n),
            indptr,
            indices,
            sums,
            walks,
            restart,
            seed,
            normalise,
            counts,
            touched,
            lengths,
        )
        scratch.put((counts, touched))
        return result

    return joined(in_threads(piece, range(0, n, BLOCK)), lengths, n)


def joined(parts: list[tuple[Array, Array]], lengths: Array, columns: int) -> csr_array:
    """One CSR array out of the rows that the pieces of work returned in order."""
    total = int(lengths.sum())
    kind = np.int32 if max(total, columns) < 2**31 else np.int64
    indptr = np.zeros(lengths.size + 1, dtype=kind)
    np.cumsum(lengths, out=indptr[1:])
    indices, values = np.empty(total, dtype=kind), np.empty(total)
    place = 0
    for part_indices, part_values in parts:
        indices[place : place + part_indices.size] = part_indices
        values[place : place + part_values.size] = part_values
        place += part_indices.size
    result = csr_array((values, indices, indptr), shape=(lengths.size, columns))
    result.has_canonical_format = True
    return result
