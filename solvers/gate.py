"""The one gate: checks and normalises A, b, x0, M and the tolerances; nothing below it checks again.

`enter` turns what the user passed into a `System`: an operator, vectors of one type, an absolute tolerance, and the
counters. `System.finish` is the one way out: it recomputes the true residual and only then says whether the solve
succeeded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from ..linalg import Operator, as_operator, vectors
from .result import Outcome, SolveResult

__all__ = ["System", "check_count", "check_tolerance", "enter"]


def check_tolerance(name: str, value: Any) -> float:
    """Return a tolerance as a float; ValueError unless it is a number >= 0."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, (bool, np.bool_)) or not np.isscalar(value) or isinstance(value, (str, bytes, complex)):
        raise ValueError(f"{name} is {value!r}: wanted a number >= 0")
    result = float(value)
    if not result >= 0:
        raise ValueError(f"{name} is {value!r}: wanted a number >= 0")
    return result


def check_count(name: str, value: Any, least: int = 0) -> int:
    """Return a count as an int; raise unless it is a whole number >= `least`."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} is {value!r}: wanted a whole number >= {least}")
    if not np.isfinite(value) or int(value) != value or value < least:
        raise ValueError(f"{name} is {value!r}: wanted a whole number >= {least}")
    return int(value)


def _check_vector(name: str, value: Any, n: int, shape: tuple[int, int]) -> Any:
    """Return a one-dimensional array or tensor of n finite numbers."""
    torch_given = vectors.is_torch(value)
    if torch_given:
        kind = str(value.dtype).removeprefix("torch.")
        if kind not in _TORCH_DTYPES or str(value.layout) != "torch.strided":
            raise TypeError(
                f"{name} is a {value.layout} tensor of {kind}: wanted a dense one of float or complex numbers"
            )
        value = value.detach().resolve_conj().resolve_neg()
    else:
        if issparse(value):
            raise TypeError(f"{name} is sparse: wanted a dense vector (pass {name}.toarray().ravel())")
        if isinstance(value, np.ma.MaskedArray):
            raise TypeError(f"{name} is a masked array: fill it first ({name}.filled(0.0))")
        value = np.asarray(value)
        if value.dtype.kind not in "biufc":
            raise TypeError(f"{name} has dtype {value.dtype}: wanted numbers")
    got = tuple(value.shape)
    if got not in ((n,), (n, 1)):
        many = len(got) == 2 and got[0] == n and got[1] > 1
        cure = "; this method takes one right-hand side, so pass the columns one at a time" if many else ""
        raise ValueError(f"{name} has shape {got}, A has shape {shape}: wanted ({n},){cure}")
    value = value.reshape(n)
    finite = vectors.to_numpy(value) if torch_given else value
    if finite.dtype.kind in "fc" and not _all_finite(finite):
        bad = np.flatnonzero(~np.isfinite(finite))
        raise ValueError(f"{name} holds {bad.size} NaN or infinite numbers (the first at index {bad[0]}): remove them")
    return value


def _all_finite(x: npt.NDArray[Any]) -> bool:
    """Whether all entries are finite; a long vector is judged by its sum of squares, which reads it once, on all threads."""
    plain = x.dtype == np.float64 and x.flags.c_contiguous and x.flags.writeable
    if plain and x.size > vectors.LONG and np.isfinite(vectors.dot(x, x)):
        return True
    return bool(np.isfinite(x).all())


_TORCH_DTYPES = ("float32", "float64", "complex64", "complex128", "int32", "int64", "int16", "int8", "uint8", "bool")


class _Projected(Operator):
    """M between projections onto the range of a singular A, so that iterates do not drift along its null space."""

    def __init__(self, M: Operator, owner: Operator) -> None:
        super().__init__(M.dtype, M.shape, symmetric=M.symmetric, fixed=M.fixed)
        self.inner, self.owner = M, owner

    def _apply(self, x: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
        self._between(self.inner._apply, x, out)

    def apply_dot(self, x: Any, out: Any) -> Any:
        """Write ``P M P x`` into `out`; return its inner product with x, which is that of ``M P x`` with ``P x``."""
        return self._between(self.inner.apply_dot, x, out)

    def _between(self, apply: Callable[[Any, Any], Any], x: npt.NDArray[Any], out: npt.NDArray[Any]) -> Any:
        """Run `apply` on the part of `x` in the range of A, and project what it writes."""
        where = cast(Any, self.owner.nullspace).indices
        if 4 * where.size < x.shape[0] and x.flags.writeable:  # a few entries change: to put them back is no work
            kept = np.take(x, where)
            self.owner.project_in_place(x)
            result = apply(x, out)
            x[where] = kept
        else:
            inside = self._buffer("inside", x.shape[0], x.dtype)
            vectors.copy(x, inside)
            self.owner.project_in_place(inside)
            result = apply(inside, out)
        self.owner.project_in_place(out)
        return result


class System:
    """A checked system, its counters and its history."""

    def __init__(
        self, method: str, A: Operator, b: Any, x: Any, M: Operator | None, tolerance: float, maxiter: int,
        callback: Callable[[Any], Any] | None, zero_guess: bool, user_b: Any, b_norm: float,
    ) -> None:  # fmt: skip
        self.method, self.A, self.b, self.x, self.M = method, A, b, x, M
        self.tolerance, self.maxiter, self.callback = tolerance, maxiter, callback
        self.zero_guess, self._user_b = zero_guess, user_b
        self.unit = 1.0  # power of two by which b and x are scaled inside, so that squared norms stay in range
        self.n = A.shape[0]
        # what A can do together with vector updates (see `StencilOperator.turn_dot`), for vectors like b
        self.fused = A if callable(getattr(A, "can_fuse", None)) and cast(Any, A).can_fuse(b) else None
        self.b_norm = b_norm
        self.scale = self.b_norm if self.b_norm > 0 else 1.0
        self.matvecs = self.psolves = 0
        self.residuals: list[float] = []
        self.times: list[float] = []
        self.products: list[int] = []
        self.initial_residual = 1.0
        self.note = ""
        self.verdict: Outcome | None = None  # decided before the first iteration
        self.stopped = False
        self.best: Any = None  # copy of the iterate with the smallest residual, once the residual has risen
        self.best_norm = np.inf
        self._start = time.perf_counter()

    # --- inside the loop -------------------------------------------------------------------------------------------

    def product(self, x: Any, out: Any) -> None:
        """Out <- A x, counted."""
        self.matvecs += 1
        self.A.apply(x, out)

    def product_dot(self, x: Any, out: Any) -> float:
        """Out <- A x, counted; returns the real part of x^H A x."""
        self.matvecs += 1
        return float(np.real(self.A.apply_dot(x, out)))

    def turn_dot(self, beta: float, z: Any, p: Any) -> float:
        """P <- z + beta p; returns p^H A p, for which a product is counted, in one pass. Only where A is `fused`."""
        self.matvecs += 1
        return float(cast(Any, self.fused).turn_dot(beta, z, p))

    def step_norm(self, alpha: float, p: Any, x: Any, r: Any) -> float:
        """X <- x + alpha p, r <- r - alpha A p; returns the norm of r.

        The product is the one that `turn_dot` has counted: it was not stored, because to compute it again takes less time
        than to write and to read it.
        """
        return float(np.sqrt(cast(Any, self.fused).step_norm(alpha, p, x, r)))

    def precondition(self, r: Any, out: Any) -> None:
        """Out <- M r, counted (a copy without M)."""
        if self.M is None:
            vectors.copy(r, out)
        else:
            self.psolves += 1
            self.M.apply(r, out)

    def precondition_dot(self, r: Any, out: Any) -> float:
        """Out <- M r, counted; returns the real part of their inner product, in the same pass where M offers it."""
        if hasattr(self.M, "apply_dot") and isinstance(r, np.ndarray):
            self.psolves += 1
            return float(np.real(self.M.apply_dot(r, out)))  # type: ignore[union-attr]
        self.precondition(r, out)
        return float(np.real(vectors.dot(r, out)))

    def residual_into(self, x: Any, r: Any) -> float:
        """R <- b - A x; returns its norm."""
        if self.fused is not None:
            self.matvecs += 1
            squared = self.fused.residual_norm(self.b, x, r)
            return float(np.sqrt(squared)) if 1e-200 < squared < 1e200 else vectors.norm(r)
        self.product(x, r)
        vectors.axpby(1.0, self.b, -1.0, r)
        return vectors.norm(r)

    def start(self, r: Any) -> float:
        """R <- the residual of the initial guess (no product for a zero guess); returns its norm."""
        if self.zero_guess:
            vectors.copy(self.b, r)
            norm = self.b_norm
        else:
            norm = self.residual_into(self.x, r)
        self.initial_residual = norm / self.scale
        return norm

    def record(self, norm: float) -> None:
        """Add the norm of the residual after an iteration to the history."""
        self.residuals.append(norm / self.scale)
        self.times.append(time.perf_counter() - self._start)
        self.products.append(self.matvecs)

    def step_up(self, former: float, norm: float, x: Any, alpha: Any = 0.0, p: Any = None) -> None:
        """Keep the iterate before a step that raised the residual, if it was the best so far.

        That iterate is `x`, or ``x - alpha p`` where the step has been taken already.
        """
        if norm > former and former < 0.9 * self.best_norm:
            if self.best is None:
                self.best = vectors.empty(self.n, x)
            vectors.copy(x, self.best)
            if alpha:
                vectors.axpy(-alpha, p, self.best)
            self.best_norm = former

    def report(self, x: Any) -> bool:
        """Call the user's callback with a copy of the iterate; True if it asks to stop."""
        if self.callback is None:
            return False
        self.stopped = asks_to_stop(self.callback((x.clone() if vectors.is_torch(x) else x.copy()) / self.unit))
        return self.stopped

    def decided(self) -> SolveResult:
        """Return the result of a system whose outcome was plain before the first iteration."""
        outcome = cast(Outcome, self.verdict)
        return self.finish(self.x, outcome, norm=0.0 if outcome is Outcome.CONVERGED else None)

    # --- the way out -----------------------------------------------------------------------------------------------

    def finish(
        self, x: Any, outcome: Outcome, *, iterations: int | None = None, info: int | None = None,
        norm: float | None = None, recycle: Any = None,
    ) -> SolveResult:  # fmt: skip
        """Recompute the true residual (unless `norm` is already that of x) and build the result."""
        if norm is None:
            norm = self.residual_into(x, vectors.empty(self.n, self.b)) if self.n else 0.0
        if not np.isfinite(norm) and outcome in (Outcome.CONVERGED, Outcome.ITERATION_LIMIT, Outcome.STAGNATION):
            outcome = Outcome.NONFINITE_OPERATOR
        if self.unit != 1.0:
            x = x / self.unit
            if not np.isfinite(vectors.to_numpy(x)).all():
                outcome, norm = Outcome.BREAKDOWN, float("inf")
                self.note = "the solution leaves the range of this precision: rescale the system"
        if norm <= self.tolerance:
            outcome = Outcome.CONVERGED
        elif outcome is Outcome.CONVERGED:
            outcome = Outcome.STAGNATION
        if iterations is None:
            iterations = len(self.residuals)
        code = outcome.code
        if code > 0:
            code = max(1, iterations if info is None else info)
        return SolveResult(
            x=self._restore(x),
            info=code,
            outcome=outcome,
            iterations=iterations,
            matvecs=self.matvecs,
            psolves=self.psolves,
            residuals=np.array(self.residuals, dtype=np.float64),
            residual=float(norm / self.scale),
            initial_residual=float(self.initial_residual),
            times=np.array(self.times, dtype=np.float64),
            products=np.array(self.products, dtype=np.int64),
            setup_seconds=float(getattr(self.M, "setup_seconds", 0.0) or 0.0),
            solve_seconds=time.perf_counter() - self._start,
            method=self.method,
            recycle=recycle,
            note=self.note,
        )

    def _restore(self, x: Any) -> Any:
        if vectors.is_torch(self._user_b) and not vectors.is_torch(x):
            import torch

            return torch.from_numpy(x)
        return x

    def explain(self, outcome: Outcome, r: Any) -> Outcome:
        """Find out why a method that needs a symmetric A and a fixed M failed; costs up to two products."""
        probe = np.random.default_rng(0).standard_normal((2, self.n))
        u, v = (vectors.empty(self.n, r) for _ in range(2))
        vectors.copy_from_numpy(probe[0].astype(vectors.numpy_dtype(r)), u)
        vectors.copy_from_numpy(probe[1].astype(vectors.numpy_dtype(r)), v)
        Au, Av = (vectors.empty(self.n, r) for _ in range(2))
        if self.M is not None:
            self.M.apply(u, Au)
            self.M.apply(u, Av)
            self.psolves += 2
            size = vectors.norm(Au)
            vectors.axpby(1.0, Au, -1.0, Av)
            if not np.isfinite(size):
                return Outcome.NONFINITE_PRECONDITIONER
            if vectors.norm(Av) > 1e-6 * size:
                return Outcome.VARIABLE_PRECONDITIONER
        if self.A.symmetric is None:
            self.product(u, Au)
            self.product(v, Av)
            left, right = vectors.dot(u, Av), vectors.dot(Au, v)
            size = vectors.norm(Au) * vectors.norm(v) + vectors.norm(Av) * vectors.norm(u)
            precision = float(np.finfo(vectors.numpy_dtype(r)).eps)
            if abs(left - right) > 100 * precision * np.sqrt(self.n) * size / max(1.0, np.sqrt(self.n)):
                return Outcome.NOT_SYMMETRIC
        return outcome


def asks_to_stop(answer: Any) -> bool:
    """Whether a callback returned True (also a numpy one); anything else does not stop a solve."""
    return isinstance(answer, (bool, np.bool_)) and bool(answer)


def enter(
    method: str,
    A: Any,
    b: Any,
    x0: Any,
    *,
    rtol: float,
    atol: float,
    maxiter: int | None,
    M: Any,
    callback: Callable[[Any], Any] | None,
    default_maxiter: Callable[[int], int] = lambda n: 10 * n,
    needs_symmetric: bool = False,
    needs_definite: bool = False,
    flexible: bool = False,
) -> System:
    """Check everything the user passed and return the system to iterate on.

    Raises
    ------
    TypeError, ValueError
        For anything that cannot be a system: the message names the argument, what was got and what was wanted.
    """
    psolve = None
    if M is None and callable(getattr(A, "psolve", None)):  # SciPy's old way of handing over a preconditioner
        psolve = A.psolve
    if isinstance(M, (str, bytes)):
        raise TypeError(f"M is {M!r}: wanted a preconditioner object, such as ritzkit.solvers.precond.ic(A)")
    A = as_operator(A)
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"A has shape {A.shape}: {method} needs a square matrix (least squares is another problem)")
    n = A.shape[0]
    if not A.fixed:
        raise ValueError(f"A states that it is not fixed: {method} needs the same linear map at every product")
    user_b = b
    b = _check_vector("b", b, n, A.shape)
    rtol, atol = check_tolerance("rtol", rtol), check_tolerance("atol", atol)
    limit = default_maxiter(n) if maxiter is None else check_count("maxiter", maxiter)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is a {type(callback).__name__}: wanted a function of the current iterate")

    from ..linalg.operators.torch import TorchOperator  # cheap: torch itself is loaded only by a tensor

    on_torch = vectors.is_torch(b) and (isinstance(A, TorchOperator) or b.device.type != "cpu")
    dtype = np.result_type(A.dtype, vectors.numpy_dtype(b))
    if dtype.char not in "fdFD":
        dtype = np.dtype(np.complex128 if dtype.kind == "c" else np.float64)
    b = b.detach().to(vectors.torch_dtype(dtype)).contiguous() if on_torch else vectors.to_numpy(b)
    if not on_torch:
        b = np.ascontiguousarray(b, dtype=dtype)

    if psolve is not None:
        from scipy.sparse.linalg import LinearOperator

        M = LinearOperator(A.shape, matvec=psolve, dtype=A.dtype)
    if M is not None:
        M = as_operator(M)
        if M.shape != A.shape:
            raise ValueError(
                f"M has shape {M.shape}, A has shape {A.shape}: wanted an approximate inverse of A's shape"
            )
        if not (M.fixed or flexible):
            cure = "fcg" if needs_symmetric else "fgmres"
            raise ValueError(
                f"M states that it is not fixed (it may change between calls): use {cure} instead of {method}"
            )
        if M.dtype.kind == "c" and dtype.kind != "c":
            raise TypeError(f"M has dtype {M.dtype} and the system {dtype}: a complex M needs a complex A or b")

    zero_guess = x0 is None
    if x0 is None:
        x = vectors.zeros_like(b)
    elif isinstance(x0, str):
        if x0 != "Mb":
            raise ValueError(f"x0 is {x0!r}: wanted a vector, None, or the string 'Mb' (which means M @ b)")
        x = vectors.empty(n, b)
        if M is None:
            vectors.copy(b, x)
        else:
            M.apply(b, x)
    else:
        guess = _check_vector("x0", x0, n, A.shape)
        if vectors.numpy_dtype(guess).kind == "c" and dtype.kind != "c":
            raise TypeError(f"x0 has dtype {guess.dtype} and the system {dtype}: a complex x0 needs a complex A or b")
        x = vectors.empty(n, b)
        host = np.ascontiguousarray(vectors.to_numpy(guess), dtype=dtype)
        zero_guess = not host.any()
        vectors.copy_from_numpy(host, x)

    b_norm = vectors.norm(b)
    unit = 1.0 if 1e-9 < b_norm < 1e9 else _unit(b)
    if unit != 1.0:
        b, x = b * unit, x * unit
        b_norm = vectors.norm(b)
    system = System(method, A, b, x, M, 0.0, limit, callback, zero_guess, user_b, b_norm)
    system.unit = unit
    system.tolerance = max(rtol * system.b_norm if system.b_norm else 0.0, atol * unit)
    if isinstance(x0, str) and M is not None:
        system.psolves += 1
    if system.b_norm == 0.0:
        system.x = vectors.zeros_like(b)
        system.zero_guess = True
        system.initial_residual = 0.0
        system.verdict = Outcome.CONVERGED
    elif needs_symmetric and A.symmetric is False:
        system.verdict = Outcome.NOT_SYMMETRIC
    elif needs_definite and A.positive_definite is False:
        system.verdict = Outcome.INDEFINITE_OPERATOR
    elif needs_definite and not flexible and M is not None and M.positive_definite is False:
        system.verdict = Outcome.INDEFINITE_PRECONDITIONER
    if A.nullspace is not None and system.verdict is None and not on_torch:
        _enter_singular(system)
    return system


def _unit(b: Any) -> float:
    """Power of two that brings b to the order of 1, where the squares of its entries would leave their range."""
    if not b.shape[0]:
        return 1.0
    largest = float(b.abs().max().item()) if vectors.is_torch(b) else float(np.abs(b).max())
    limit = 1e10 if vectors.numpy_dtype(b).char in "fF" else 1e100
    if largest == 0.0 or 1.0 / limit < largest < limit:
        return 1.0
    most = 120 if vectors.numpy_dtype(b).char in "fF" else 1000
    return float(2.0 ** -np.clip(np.floor(np.log2(largest)), -most, most))


def _enter_singular(system: System) -> None:
    """Take care of a declared null space: refuse an inconsistent b, keep the iterates out of the null space."""
    null = cast(Any, system.A.nullspace)
    outside = float(np.linalg.norm(null.conj().T @ system.b))
    noise = 100 * float(np.finfo(system.b.dtype).eps) * system.b_norm
    if outside > max(system.tolerance, noise):
        system.verdict = Outcome.INCONSISTENT
        system.note = f"the part of b outside the range of A is {outside / system.b_norm:.1e} of its norm"
        return
    if system.M is not None:
        seconds = getattr(system.M, "setup_seconds", 0.0)
        system.M = _Projected(system.M, system.A)
        system.M.setup_seconds = seconds
