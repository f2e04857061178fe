"""Least squares with a check: sketching where it pays, LAPACK where it does not, and a measured accuracy always.

Sources: sketch and precondition after Rokhlin and Tygert (2008) and Blendenpik (Avron, Maymounkov and Toledo, 2010), made
backward stable by the refinement of Epperly, Meier and Nakatsukasa (FOSSILS and SPIR, 2024); CQRRT after Melnichenko et
al., "CholeskyQR with randomization and pivoting for tall matrices" (2023); sketch-and-solve in the maximum norm after Song,
Ye, Yin and Zhang (ICML 2023).

Departures: A is read once per step (residual and its gradient come from the same rows); the number of rows of the sketch
balances the cost of its QR against that of the steps; CQRRT uses its factor as a preconditioner for refinement, since the
normal equations in the new basis alone lose accuracy; every answer, of LAPACK too, passes the same check.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...linalg import DenseOperator, Operator, as_operator, vectors
from ...linalg.sketch import Sketch
from ..gate import check_count, check_tolerance
from .result import LeastSquaresResult
from .task import DENSIFY, FLOPS_PER_BYTE, Task, best_ratio, steps_to_roundoff

__all__ = ["LSTSQ_METHODS", "lstsq"]

Array = npt.NDArray[Any]

LSTSQ_METHODS = ("auto", "sketch_precondition", "fossils", "cqrrt", "sketch_solve", "qr", "lsqr", "lsmr")
"""Names that `lstsq` takes as its `method`."""


def lstsq(
    A: Any,
    b: Any,
    *,
    method: str = "auto",
    rtol: float | None = None,
    damp: float = 0.0,
    guarantee: Literal["linf"] | None = None,
    eps: float = 0.25,
    sketch: type[Sketch] | Sketch | None = None,
    rows: int | None = None,
    maxiter: int | None = None,
    rng: Any = None,
) -> LeastSquaresResult:
    """Solve ``min |b - A x|^2 + damp^2 |x|^2`` and say how accurately.

    Parameters
    ----------
    A : ndarray, sparse matrix, LinearOperator, Operator or tensor, shape (m, n)
        At least as many rows as columns, unless `damp` is positive. It may be rank-deficient: x is then the shortest
        solution, up to the tolerance at which singular values count as zero.
    b : array_like or tensor, shape (m,) or (m, k)
        One right-hand side or several.
    method : str
        ``"auto"``: what the sizes suggest. ``"sketch_precondition"``: conjugate gradients, preconditioned by a sketch, in
        rounds of refinement. ``"fossils"``: the same with heavy-ball steps. ``"cqrrt"``: Cholesky QR after a sketch (dense
        A). ``"sketch_solve"``: the solution of the sketched problem, accurate to `eps`. ``"qr"``: LAPACK on A itself.
        ``"lsqr"``, ``"lsmr"``: those of SciPy.
    rtol : float, optional
        Backward error to reach, relative to A and b in the Frobenius norm. By default ten units of roundoff; 1e-10 for lsqr
        and lsmr. Sketch-and-solve goes by `eps` instead.
    damp : float
        Weight of ``|x|^2``, at least 0.
    guarantee : {"linf"}, optional
        For ``"sketch_solve"`` (which "auto" then takes): a dense sketch with so many rows that every coordinate of x is
        off by at most ``eps |b - A x*| |A^+| / sqrt(n)``.
    eps : float
        Error of sketch-and-solve, between 0 and 1: ``|b - A x| <= (1 + eps) |b - A x*|``, or that of the guarantee.
    sketch : Sketch or class of sketches, optional
        By default `SparseSignSketch`; `SRTTSketch` for ``guarantee="linf"``.
    rows : int, optional
        Rows of the sketch.
    maxiter : int, optional
        Most steps in all; 200 by default, for lsqr and lsmr ``2 n``.
    rng : Generator, seed or None
        Source of the randomness of the sketch.

    Returns
    -------
    LeastSquaresResult
        ``info`` is 0 only if the recomputed accuracy meets what was asked for.

    Raises
    ------
    TypeError, ValueError
        For anything that cannot be a least-squares problem: the message names the argument.

    Notes
    -----
    For dense A of shape (m, n) sketching costs 8 m n additions, a factor of the sketch of d rows d n^2 to 2 d n^2 flops, a
    step one reading of A and 4 m n flops; each step gains a factor ``sqrt(n/d)``. LAPACK's QR costs 2 m n^2 flops.
    Where sketching cannot pay (m below 4 n, small problems) "auto" takes "qr"; there, and only there, sparse A and
    operators are made dense if they are small, else "lsmr" is taken. An accurate method that misses its tolerance on a
    dense A under "auto" is followed by "qr".

    References
    ----------
    .. [1] E. N. Epperly, M. Meier and Y. Nakatsukasa, "Fast randomized least-squares solvers can be just as accurate and
       stable as classical direct solvers", 2024.
    .. [2] Z. Song, M. Ye, J. Yin and L. Zhang, "A nearly-optimal bound for fast regression with l_infinity guarantee",
       ICML 2023.

    Examples
    --------
    >>> import numpy as np
    >>> g = np.random.default_rng(0)
    >>> A, b = g.standard_normal((2000, 20)), g.standard_normal(2000)
    >>> result = lstsq(A, b, method="sketch_precondition", rng=1)
    >>> result.success, bool(np.allclose(result.x, np.linalg.lstsq(A, b)[0]))
    (True, True)
    """
    if method not in LSTSQ_METHODS:
        raise ValueError(f"method is {method!r}: wanted one of {', '.join(LSTSQ_METHODS)}")
    if guarantee not in (None, "linf"):
        raise ValueError(f"guarantee is {guarantee!r}: wanted None or 'linf'")
    if guarantee and method not in ("auto", "sketch_solve"):
        raise ValueError(f"guarantee='linf' with method={method!r}: it speaks about 'sketch_solve' (or 'auto')")
    if not 0 < eps < 1:
        raise ValueError(f"eps is {eps!r}: wanted a number between 0 and 1")
    damp = check_tolerance("damp", damp)
    tolerance = None if rtol is None else check_tolerance("rtol", rtol)
    limit = None if maxiter is None else check_count("maxiter", maxiter)
    if rows is not None:
        rows = check_count("rows", rows, 1)
    operator, rhs, restore = _enter(A, b, damp)
    task = Task(operator, rhs, damp, tolerance, limit, np.random.default_rng(rng), eps, guarantee, sketch, rows)
    if operator.shape[1] == 0:
        return task.trivial(restore)
    chosen = _choose(task) if method == "auto" else method
    result = task.run(chosen)
    if method == "auto" and not result.success and chosen in _REFINED and isinstance(operator, DenseOperator):
        former = result
        result = task.run("qr")
        note = f"{former.method} reached {former.backward_error:.1e} only ({former.outcome.label}); {result.note}"
        result = replace(result, note=note.rstrip("; "))
    one = (b.ndim if vectors.is_torch(b) else np.ndim(b)) == 1
    norms = np.asarray(result.residual_norm[0]) if one else result.residual_norm
    return replace(result, x=restore(result.x), residual_norm=norms)


_REFINED = ("sketch_precondition", "fossils", "cqrrt")


def _enter(A: Any, b: Any, damp: float) -> tuple[Operator, Array, Any]:
    """Check A and b; return an operator, a block and the way back to the user's kind of array."""
    operator = as_operator(A)
    if vectors.is_torch(A):
        operator = operator.host if hasattr(operator, "host") else operator
    m, n = operator.shape
    if m < n and damp == 0:
        raise ValueError(
            f"A has shape {operator.shape}: fewer rows than columns leave x undetermined; pass damp > 0, or more rows"
        )
    on_torch = vectors.is_torch(b)
    device = b.device if on_torch else None
    values = b.detach().resolve_conj().resolve_neg().cpu().numpy() if on_torch else np.asarray(b)
    if values.dtype.kind not in "biufc":
        raise TypeError(f"b has dtype {values.dtype}: wanted numbers")
    if values.ndim not in (1, 2) or values.shape[0] != m:
        raise ValueError(f"b has shape {values.shape}, A has shape {operator.shape}: wanted ({m},) or ({m}, k)")
    if not np.isfinite(values).all():
        raise ValueError("b holds NaN or infinite numbers: remove them")
    dtype = np.result_type(operator.dtype, values.dtype)
    if dtype.char not in "fdFD":
        dtype = np.dtype(np.complex128 if dtype.kind == "c" else np.float64)
    block = np.asarray(values.reshape(m, -1), dtype=dtype)
    one = values.ndim == 1

    def restore(x: Array) -> Any:
        x = np.ascontiguousarray(x[:, 0] if one else x)
        if not on_torch:
            return x
        import torch

        return torch.from_numpy(x).to(device)

    return operator, block, restore


def _choose(task: Task) -> str:
    A, (m, n) = task.A, task.A.shape
    if task.guarantee:
        return "sketch_solve"
    small = m * n <= DENSIFY
    if m >= 8 * n and not isinstance(A, DenseOperator) and n <= 4000:
        return "sketch_precondition" if m * n > 1 << 20 else "qr"
    if not isinstance(A, DenseOperator):
        return "qr" if small else "lsmr"
    ratio = best_ratio(m, n, task.bytes, task.unit)
    sketched = (
        (1.5 * ratio * float(n) ** 3) / FLOPS_PER_BYTE + (steps_to_roundoff(ratio, task.unit) + 10) * task.bytes + 1e8
    )
    direct = 3 * m * float(n) ** 2 / FLOPS_PER_BYTE
    return "sketch_precondition" if m >= 8 * n and sketched < direct else "qr"
