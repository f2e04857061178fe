"""Node embeddings of a graph by a very sparse random projection: FastRP.

Source: Chen, Sultan, Tian, Chen and Skiena [1]_. The embedding is a random projection of powers of the transition matrix,
so its inner products approximate those of the rows of a weighted sum of these powers.

Departure: rows of each power are scaled to norm one before they are added (an option of the authors' code), unless
``normalize=False``; a few vertices of high degree dominate the sum otherwise.

References
----------
.. [1] H. Chen, S. F. Sultan, Y. Tian, M. Chen, S. Skiena, Fast and accurate network embeddings via very sparse random
   projection, CIKM 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ..operators import CSROperator
from ..pagerank import transition_matrix
from ..sketch import VerySparseProjection
from .passes import whole

__all__ = ["fastrp"]

WEIGHTS = (1.0, 1.0, 7.81, 45.28)  # of the powers 1 to 4, and the exponent: the authors' tuned setting for BlogCatalog
EXPONENT = -0.628


def fastrp(
    graph: Any,
    dim: int = 128,
    *,
    weights: Sequence[float] = WEIGHTS,
    exponent: float = EXPONENT,
    normalize: bool = True,
    rng: Any = None,
) -> npt.NDArray[np.float64]:
    """Embed the vertices of a graph: near vectors for vertices with similar neighbourhoods.

    Parameters
    ----------
    graph : sparse array or matrix, or array_like, shape (n, n)
        Weights of the edges, not negative; see `linalg.transition_matrix`. Symmetric for an undirected graph.
    dim : int
        Length of the embedding.
    weights : sequence of float
        Weights of the powers 1, 2, ... of the transition matrix.
    exponent : float
        Column j of a power is scaled by ``(degree_j / sum of degrees)^exponent``: below zero, vertices of high degree
        count less, since every long walk meets them.
    normalize : bool
        Scale the rows of each power to norm one before adding.
    rng : seed or numpy.random.Generator, optional

    Returns
    -------
    ndarray, shape (n, dim)
        Compare rows by their cosine. Rows of vertices without edges are zero.

    Raises
    ------
    ValueError
        If the graph is empty, not square, or has negative weights; if `weights` are none, or not finite.

    Notes
    -----
    O(dim (nnz + n) len(weights)) flops: no walks, no training.

    Examples
    --------
    >>> import numpy as np
    >>> cliques = np.kron(np.eye(2), np.ones((5, 5)) - np.eye(5))   # two groups without an edge between them
    >>> E = fastrp(cliques, 64, rng=0)
    >>> E /= np.linalg.norm(E, axis=1, keepdims=True)
    >>> bool((E[:5] @ E[:5].T).min() > 0.9), bool(abs(E[:5] @ E[5:].T).max() < 0.5)
    (True, True)
    """
    P = transition_matrix(graph)
    n = P.shape[0]
    if not n:
        raise ValueError("graph has no vertices: wanted at least one")
    dim = whole("dim", dim, 1)
    powers = np.asarray(weights, dtype=np.float64)
    if powers.ndim != 1 or not powers.size or not np.isfinite(powers).all():
        raise ValueError(f"weights is {weights!r}: wanted at least one finite number")
    if not np.isfinite(exponent):
        raise ValueError(f"exponent is {exponent!r}: wanted a finite number")
    degree = np.asarray(csr_array(graph).sum(axis=0), dtype=np.float64).ravel()  # into a vertex: what walks meet
    share = np.where(degree > 0, degree, 1.0) / (float(degree.sum()) or 1.0)
    projection = VerySparseProjection(dim, n, rng=rng).tocsr()
    power = np.ascontiguousarray((projection.toarray() * np.where(degree > 0, share**exponent, 0.0)).T)
    step = CSROperator(P)
    result = np.zeros((n, dim))
    for weight in powers:
        power = step.matmat(power)
        rows = np.linalg.norm(power, axis=1, keepdims=True) if normalize else np.ones((n, 1))
        result += weight * power / np.where(rows > 0, rows, 1.0)
    return result
