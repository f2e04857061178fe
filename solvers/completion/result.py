"""What a completion returns: two factors (and biases), how it ended and why, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import Operator, as_operator

__all__ = ["CompletionOutcome", "CompletionResult", "load_completion"]

Array = npt.NDArray[Any]


class CompletionOutcome(Enum):
    """How a completion ended; `text` says what happened and what to try, `code` is 0 for success."""

    CONVERGED = ("converged", 0, "The residual on the observed entries meets the tolerance.")
    STATIONARY = (
        "stationary",
        0,
        "The regularised objective no longer falls: this is the fit that the ridge asks for.",
    )
    ITERATION_LIMIT = ("iteration limit", 1, "The sweep limit came before the tolerance: raise sweeps.")
    STAGNATION = (
        "stagnation",
        1,
        "The residual on the observed entries stopped falling above the tolerance: noisy data (set a ridge, loosen rtol), "
        "a rank too small, or a local minimum near the sampling limit (method='altmin_incremental').",
    )
    UNDERDETERMINED = (
        "underdetermined",
        2,
        "Some rows or columns have fewer entries than the rank, so their part of the completion is one of many: drop them, "
        "lower the rank, or set a ridge.",
    )
    DISCONNECTED = (
        "disconnected",
        3,
        "The graph of observed entries falls apart, so entries between its components cannot be known: complete each "
        "component on its own, or set a ridge.",
    )
    STOPPED_BY_CALLBACK = ("stopped by callback", 1, "The callback returned True before the tolerance was met.")
    DIVERGED = (
        "diverged",
        -1,
        "The residual grew beyond all bounds or became NaN: use a smaller step, a ridge, or method='altmin_incremental'.",
    )

    def __init__(self, label: str, code: int, text: str) -> None:
        self.label = label
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.label}: {self.text}"


def _no_numbers() -> Array:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class CompletionResult:
    """Result of `complete`: the matrix is ``mean + row_bias[i] + col_bias[j] + U[i] @ V[j]``.

    Iterating yields ``(U, V)``.

    Attributes
    ----------
    U : ndarray, shape (m, k)
    V : ndarray, shape (n, k)
        Factors, of the data's type.
    mean : float
    row_bias : ndarray, shape (m,), or None
    col_bias : ndarray, shape (n,), or None
        Biases; None where the fit has none.
    outcome : CompletionOutcome
        What happened; ``outcome.text`` says what to try.
    sweeps : int
        Passes over both factors (for gradient methods: steps).
    inner_steps : int
        Conjugate gradient steps over all rows, 0 for direct inner solves.
    residuals : ndarray, shape (sweeps,)
        Norm of the residual on the observed entries after each sweep, divided by the norm of the observed entries.
    residual : float
        The same at the end, recomputed from the factors that are returned.
    times : ndarray, shape (sweeps,)
        Seconds since the start of the iteration.
    setup_seconds, solve_seconds : float
        Checking and sorting of the entries; iteration.
    method : str
        Name of the method.
    components : int
        Connected components of the graph of observed entries (empty rows and columns count as their own).
    note : str
        What else there is to say: thin rows, components, retries.
    """

    U: Array
    V: Array
    outcome: CompletionOutcome
    sweeps: int
    residuals: Array
    residual: float
    mean: float = 0.0
    row_bias: Array | None = None
    col_bias: Array | None = None
    inner_steps: int = 0
    times: Array = field(default_factory=_no_numbers)
    setup_seconds: float = 0.0
    solve_seconds: float = 0.0
    method: str = ""
    components: int = 1
    note: str = ""

    @property
    def info(self) -> int:
        """0 success, > 0 not converged or not determined, < 0 breakdown."""
        return self.outcome.code

    @property
    def success(self) -> bool:
        """Whether the tolerance is met, or the regularised objective is stationary, and the answer is determined."""
        return self.outcome.code == 0

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (m, n) of the completed matrix."""
        return self.U.shape[0], self.V.shape[0]

    @property
    def rank(self) -> int:
        """Columns of the factors."""
        return int(self.U.shape[1])

    def predict(self, rows: npt.ArrayLike, cols: npt.ArrayLike) -> Array:
        """Entries of the completed matrix at the given places.

        Parameters
        ----------
        rows, cols : array_like of int
            Places; the two broadcast against each other.

        Returns
        -------
        ndarray
            The entries, of the broadcast shape.

        Raises
        ------
        ValueError
            If a place lies outside the matrix.
        TypeError
            If rows or cols are not whole numbers.

        Notes
        -----
        2 k flops per entry; works in chunks, so memory beyond the answer stays below a few megabytes.
        """
        places = []
        for name, given, size in (("rows", rows, self.shape[0]), ("cols", cols, self.shape[1])):
            index = np.asarray(given)
            if index.size == 0:
                index = index.astype(np.int64)
            if index.dtype.kind not in "iu":
                raise TypeError(f"{name} has dtype {index.dtype}: wanted whole numbers")
            if index.size and (index.min() < 0 or index.max() >= size):
                raise ValueError(
                    f"{name} runs from {index.min()} to {index.max()}: wanted 0 to {size - 1}, the size of the matrix"
                )
            places.append(index)
        i, j = np.broadcast_arrays(*places)
        shape = i.shape
        i, j = i.ravel(), j.ravel()
        out = np.empty(i.size, dtype=self.U.dtype)
        step = max(1, 200_000 // max(1, self.rank))
        for a in range(0, i.size, step):
            part = slice(a, a + step)
            out[part] = np.einsum("ij,ij->i", self.U[i[part]], self.V[j[part]])
        out += self.U.dtype.type(self.mean)
        if self.row_bias is not None:
            out += self.row_bias[i]
        if self.col_bias is not None:
            out += self.col_bias[j]
        return out.reshape(shape)

    def _wide(self) -> tuple[Array, Array]:
        """Factors with mean and biases as extra columns."""
        m, n = self.shape
        left, right = [self.U], [self.V]
        if self.mean or self.row_bias is not None:
            rows = np.zeros(m) if self.row_bias is None else self.row_bias
            left.append((rows + self.mean)[:, None])
            right.append(np.ones((n, 1)))
        if self.col_bias is not None:
            left.append(np.ones((m, 1)))
            right.append(self.col_bias[:, None])
        dtype = self.U.dtype
        return np.hstack(left).astype(dtype, copy=False), np.hstack(right).astype(dtype, copy=False)

    def to_operator(self) -> Operator:
        """Return the completed matrix as an `Operator`, never formed: a product costs ``2 k (m + n)`` flops."""
        from scipy.sparse.linalg import LinearOperator

        left, right = self._wide()
        return as_operator(
            LinearOperator(
                self.shape,
                matvec=lambda x: left @ (right.T @ x),
                rmatvec=lambda x: right @ (left.T @ x),
                matmat=lambda X: left @ (right.T @ X),
                rmatmat=lambda X: right @ (left.T @ X),
                dtype=left.dtype,
            )
        )

    def toarray(self) -> Array:
        """Return the completed matrix as an (m, n) array."""
        left, right = self._wide()
        return np.asarray(left @ right.T)

    def save(self, path: str | Path, **extra: npt.ArrayLike) -> None:
        """Write the model to an ``.npz`` file; `extra` arrays (names of rows and columns, say) go along.

        Raises
        ------
        ValueError
            If the path does not end in ``.npz`` or an extra array has the name of a part of the model.
        """
        if Path(path).suffix != ".npz":
            raise ValueError(f"path is {str(path)!r}: wanted a name that ends in .npz")
        parts: dict[str, Any] = {
            "U": self.U,
            "V": self.V,
            "mean": np.float64(self.mean),
            "residual": np.float64(self.residual),
            "residuals": self.residuals,
            "outcome": np.array(self.outcome.name),
            "method": np.array(self.method),
        }
        if self.row_bias is not None:
            parts["row_bias"] = self.row_bias
        if self.col_bias is not None:
            parts["col_bias"] = self.col_bias
        clash = sorted(parts.keys() & extra.keys())
        if clash:
            raise ValueError(f"extra array {clash[0]!r} has the name of a part of the model; wanted another name")
        parts |= {name: np.asarray(array) for name, array in extra.items()}
        np.savez(path, **parts)

    def __iter__(self) -> Iterator[Array]:
        yield self.U
        yield self.V

    def __repr__(self) -> str:
        m, n = self.shape
        return (
            f"<CompletionResult {self.method}: {self.outcome.label}, {m} x {n} of rank {self.rank}, {self.sweeps} sweeps, "
            f"residual {self.residual:.2e}, {self.setup_seconds:.3g} + {self.solve_seconds:.3g} s>"
        )


def load_completion(path: str | Path) -> CompletionResult:
    """Read a model that `CompletionResult.save` wrote.

    Raises
    ------
    ValueError
        If the file is not such a model.
    """
    with np.load(path, allow_pickle=False) as data:
        missing = sorted({"U", "V", "mean", "residual", "residuals", "outcome", "method"} - set(data.files))
        if missing:
            raise ValueError(f"{path} lacks {', '.join(missing)}: wanted a file written by CompletionResult.save")
        return CompletionResult(
            U=data["U"],
            V=data["V"],
            outcome=CompletionOutcome[str(data["outcome"])],
            sweeps=int(data["residuals"].size),
            residuals=data["residuals"],
            residual=float(data["residual"]),
            mean=float(data["mean"]),
            row_bias=data["row_bias"] if "row_bias" in data.files else None,
            col_bias=data["col_bias"] if "col_bias" in data.files else None,
            method=str(data["method"]),
        )
