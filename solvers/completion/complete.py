"""The front of low-rank matrix completion: `complete`, and the choice of the rank by hold-out."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .altmin import Inner, altmin
from .checks import check_count, check_number, triplets, weakness
from .entries import Entries
from .gradient import asd, scaled_gd
from .incremental import altmin_incremental
from .lmafit import lmafit
from .rcg import rcg
from .regularized import regularized
from .result import CompletionOutcome, CompletionResult
from .soft_impute import soft_impute
from .subgradient import subgradient
from .watch import Watch

__all__ = ["METHODS", "RankChoice", "choose_rank", "complete"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Method:
    run: Callable[..., tuple[Array, Array]]
    sweeps: int
    stall: float
    window: int


METHODS: dict[str, Any] = {
    "altmin": _Method(altmin, 500, 1e-5, 10),
    "altmin_incremental": _Method(altmin_incremental, 20_000, 0.0, 10),
    "soft_impute": _Method(soft_impute, 2000, 1e-6, 200),
    "lmafit": _Method(lmafit, 2000, 1e-6, 50),
    "scaled_gd": _Method(scaled_gd, 2000, 1e-6, 50),
    "asd": _Method(asd, 2000, 1e-6, 50),
    "rcg": _Method(rcg, 2000, 1e-6, 50),
    "subgradient": _Method(subgradient, 2000, 1e-6, 100),
}
_OWN = ("entries", "rank", "watch", "rng", "inner")


def _options(method: str, given: dict[str, Any]) -> dict[str, Any]:
    known = [name for name in inspect.signature(METHODS[method].run).parameters if name not in _OWN]
    for name in given:
        if name not in known:
            raise TypeError(
                f"{name} is no option of method {method!r}: wanted one of {', '.join(known) or 'none'}, or one of "
                "those of every method"
            )
    if given.get("init", "spectral") not in ("spectral", "random"):
        raise ValueError(f"init is {given['init']!r}: wanted 'spectral' or 'random'")
    if given.get("clip") is not None:
        check_number("clip", given["clip"], 0.0, open_low=True)
    if "ratios" in given:
        ratios = tuple(check_number("ratios", ratio, 0.0, open_low=True) for ratio in given["ratios"])
        if not ratios:
            raise ValueError("ratios is empty: wanted at least one number")
        given = {**given, "ratios": ratios}
    for name in ("step", "most"):
        if name in given:
            check_number(name, given[name], 0.0, open_low=True)
    for name in ("decay", "cut", "path"):
        if name in given:
            check_number(name, given[name], 0.0, 1.0, open_low=True)
    if given.get("shrinkage") is not None:
        check_number("shrinkage", given["shrinkage"], 0.0)
    return given


def complete(
    rows: Any,
    cols: npt.ArrayLike | None = None,
    values: npt.ArrayLike | None = None,
    shape: tuple[int, int] | None = None,
    rank: int | None = None,
    *,
    method: str = "altmin",
    inner: str = "auto",
    sweeps: int | None = None,
    rng: Any = None,
    rtol: float | None = None,
    ridge: float = 0.0,
    ridge_scaling: str = "constant",
    biases: bool = False,
    inner_rtol: float = 0.1,
    inner_maxiter: int = 20,
    stall: float | None = None,
    callback: Callable[[Array, Array, float], Any] | None = None,
    **options: Any,
) -> CompletionResult:
    """Complete a matrix of low rank from some of its entries.

    Parameters
    ----------
    rows, cols : array_like of int, shape (N,)
        Places of the observed entries, each at most once. `rows` may instead be a SciPy sparse array (every stored entry is
        observed, zeros included) or a two-dimensional masked array (what is not masked is observed); then `cols`, `values`
        and `shape` stay away.
    values : array_like of real numbers, shape (N,)
        Observed entries. float32 is kept; all else becomes float64.
    shape : (int, int)
        Rows and columns of the matrix.
    rank : int
        Rank of the completion, at most the smaller side; `choose_rank` finds one by hold-out.
    method : str
        ``altmin``: alternating minimisation from a spectral start, the fast one where entries are plenty (oversampling
        above about 2.5, condition number below about 10); with `ridge` or `biases` the fit for noisy data.
        ``altmin_incremental``: grows the rank; recovers from few entries and at condition numbers up to 1e10.
        ``soft_impute``, ``lmafit``, ``scaled_gd``, ``asd``, ``rcg``: known methods, to compare with.
        ``subgradient``: absolute residual, for gross outliers.
    inner : {"auto", "cg", "cholesky"}
        Row solves of the altmin methods: conjugate gradients to `inner_rtol`, N k flops per step, or normal equations,
        N k^2 flops; auto takes the latter for rank below 8.
    sweeps : int, optional
        Cap on sweeps (steps, for gradient methods); by default 500 for altmin, 20000 for altmin_incremental (a sweep is
        cheap in its early stages), 2000 for the others.
    rng : None, int or numpy.random.Generator
        Randomness of starts, by way of `numpy.random.default_rng`.
    rtol : float, optional
        Stop at this residual on the observed entries relative to their norm: 1e-10, or 1e-5 for float32.
    ridge : float
        Weight of the penalty on the factors; altmin only.
    ridge_scaling : {"constant", "entries"}
        Penalise each row alike, or by its number of entries.
    biases : bool
        Fit a mean and a bias for each row and column; altmin only, wants a positive ridge.
    inner_rtol, inner_maxiter : float, int
        Reduction of the gradient that conjugate gradients aim at in each row, and cap on their steps.
    stall : float, optional
        Stop when the objective falls by less than this fraction per sweep; 0 never.
    callback : callable, optional
        Called as ``callback(U, V, residual)`` after each sweep; returning True stops.
    **options
        Of the method. altmin: ``init`` ("spectral" or "random"), ``clip`` (mu: clip the start as in the analysis), ``split``
        (disjoint samples for each half sweep, the setting of the theory). altmin_incremental: ``ratios`` (ridge over
        residual, one try each), ``polish`` (Gauss-Newton at the end). soft_impute: ``shrinkage``, ``path``. lmafit:
        ``most``. scaled_gd: ``step``. asd: ``scaled``. subgradient: ``step``, ``decay``, ``cut``.

    Returns
    -------
    CompletionResult
        Factors, history, outcome. ``success`` needs the recomputed residual below `rtol` (with a ridge: a stationary
        objective; for subgradient: the median residual over the median entry) and entries that determine the answer: rows
        with fewer entries than the rank and graphs that fall apart are named in ``note``.

    Raises
    ------
    ValueError, TypeError
        For duplicate entries, places outside the shape, NaN or infinity, a rank above the smaller side, unknown names.

    Notes
    -----
    Memory: 36 bytes per entry in double precision (44 while Gauss-Newton polishes), that is less than three times the
    triplets with 4-byte indices, and a few copies of the factors. Arithmetic is double throughout. Results do not depend
    on the number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> M = rng.standard_normal((60, 2)) @ rng.standard_normal((2, 50))
    >>> rows, cols = np.nonzero(rng.random(M.shape) < 0.3)
    >>> result = complete(rows, cols, M[rows, cols], M.shape, 2, rng=0)
    >>> result.success, bool(np.allclose(result.toarray(), M))
    (True, True)
    """
    start = time.perf_counter()
    i, j, y, size = triplets(rows, cols, values, shape)
    if rank is None:
        raise TypeError("rank is missing: wanted a whole number; choose_rank(...) finds one by hold-out")
    rank = check_count("rank", rank, min(size))
    if method not in METHODS:
        raise ValueError(f"method is {method!r}: wanted one of {', '.join(METHODS)}")
    for name, value, known in (
        ("inner", inner, ("auto", "cg", "cholesky")),
        ("ridge_scaling", ridge_scaling, ("constant", "entries")),
    ):
        if value not in known:
            raise ValueError(f"{name} is {value!r}: wanted one of {', '.join(known)}")
    ridge = check_number("ridge", ridge, 0.0)
    rtol = (1e-5 if y.dtype == np.float32 else 1e-10) if rtol is None else check_number("rtol", rtol, 0.0)
    if (ridge or biases) and method != "altmin":
        raise ValueError(f"ridge={ridge:g}, biases={biases} with method={method!r}: only altmin takes them")
    if biases and not ridge:
        raise ValueError(
            "biases=True with ridge=0: the biases and the factors would not be unique; wanted a ridge above 0"
        )
    options = _options(method, options)
    if ridge and options:
        raise TypeError(f"{next(iter(options))} is no option of altmin with a ridge: wanted none")
    chosen: _Method = METHODS[method]
    solver = Inner(
        inner,
        check_number("inner_rtol", inner_rtol, 0.0, 1.0, open_low=True),
        check_count("inner_maxiter", inner_maxiter),
        ridge_scaling == "entries",
    )
    watch = Watch(
        norm=0.0,
        rtol=rtol,
        sweeps=chosen.sweeps if sweeps is None else check_count("sweeps", sweeps),
        stall=(1e-4 if ridge else chosen.stall) if stall is None else check_number("stall", stall, 0.0),
        window=3 if ridge else chosen.window,
        stationary=CompletionOutcome.STATIONARY if ridge or options.get("shrinkage") else CompletionOutcome.STAGNATION,
        callback=callback,
    )
    generator = np.random.default_rng(rng)
    entries = Entries(i, j, y, size)
    del i, j, y
    weak = weakness(entries, rank)
    watch.norm = entries.norm
    setup = time.perf_counter() - start
    watch.start = time.perf_counter()
    mean, row_bias, col_bias = 0.0, None, None
    try:
        if ridge:
            U, V, mean, row_bias, col_bias = regularized(
                entries, rank, watch, generator, inner=solver, ridge=ridge, biases=bool(biases)
            )
        elif method in ("altmin", "altmin_incremental"):
            U, V = chosen.run(entries, rank, watch, generator, inner=solver, **options)
        else:
            U, V = chosen.run(entries, rank, watch, generator, **options)
    except np.linalg.LinAlgError:  # NaN in a small factorisation
        watch.outcome = CompletionOutcome.DIVERGED
        U, V = watch.best or (np.zeros((size[0], rank)), np.zeros((size[1], rank)))
    converged = watch.outcome is CompletionOutcome.CONVERGED
    if not converged and watch.best is not None and not ridge and not options.get("shrinkage"):
        U, V = watch.best
    solve = time.perf_counter() - watch.start
    outcome = watch.outcome or CompletionOutcome.STAGNATION
    U, V = _padded(U, rank), _padded(V, rank)
    if row_bias is None:
        residual = entries.residuals(U, V)
    else:
        left = np.hstack([U, (row_bias + mean)[:, None], np.ones((size[0], 1))])
        residual = entries.residuals(left, np.hstack([V, np.ones((size[1], 1)), np.asarray(col_bias)[:, None]]))
    relative = residual / entries.norm if entries.norm else residual
    if outcome is CompletionOutcome.CONVERGED and method != "subgradient" and not relative <= rtol:
        outcome = CompletionOutcome.STAGNATION
    if outcome.code == 0 and not ridge:
        if weak.thin:
            outcome = CompletionOutcome.UNDERDETERMINED
        elif weak.components > 1:
            outcome = CompletionOutcome.DISCONNECTED
    if weak.text:
        watch.notes.insert(0, weak.text)
    dtype = entries.rows.values.dtype
    residuals, times = watch.history()
    return CompletionResult(
        U=U.astype(dtype, copy=False),
        V=V.astype(dtype, copy=False),
        outcome=outcome,
        sweeps=residuals.size,
        residuals=residuals,
        residual=relative,
        mean=mean,
        row_bias=None if row_bias is None else row_bias.astype(dtype, copy=False),
        col_bias=None if col_bias is None else col_bias.astype(dtype, copy=False),
        inner_steps=watch.inner_steps,
        times=times,
        setup_seconds=setup,
        solve_seconds=solve,
        method=method,
        components=weak.components,
        note="; ".join(watch.notes),
    )


def _padded(F: Array, rank: int) -> Array:
    """Factors of a growth that stopped early, with columns of zeros up to the rank."""
    if F.shape[1] == rank:
        return np.ascontiguousarray(F)
    return np.ascontiguousarray(np.hstack([F, np.zeros((F.shape[0], rank - F.shape[1]))]))


@dataclass(frozen=True)
class RankChoice:
    """Result of `choose_rank`.

    Attributes
    ----------
    rank : int
        The least rank whose hold-out error is within `slack` of the best.
    ranks : tuple of int
        Ranks that were tried.
    errors : ndarray
        Root mean square error on the held-out entries, one per rank.
    """

    rank: int
    ranks: tuple[int, ...]
    errors: Array


def choose_rank(
    rows: Any,
    cols: npt.ArrayLike | None = None,
    values: npt.ArrayLike | None = None,
    shape: tuple[int, int] | None = None,
    ranks: Sequence[int] = (),
    *,
    holdout: float = 0.05,
    slack: float = 0.01,
    rng: Any = None,
    **keywords: Any,
) -> RankChoice:
    """Choose the rank by the error on entries held out.

    Parameters
    ----------
    rows, cols, values, shape
        As for `complete`.
    ranks : sequence of int
        Ranks to try, in ascending order; the search ends once the error has risen by half over the best.
    holdout : float
        Fraction of the entries that is held out, between 0 and 1.
    slack : float
        Relative distance from the least error that still counts as equal.
    rng : None, int or numpy.random.Generator
        Draws the held-out entries and the starts.
    **keywords
        Passed on to `complete`.

    Returns
    -------
    RankChoice

    Raises
    ------
    ValueError
        If `ranks` is empty or the hold-out leaves nothing to test or to fit.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> M = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 50))
    >>> rows, cols = np.nonzero(rng.random(M.shape) < 0.5)
    >>> choose_rank(rows, cols, M[rows, cols], M.shape, (1, 2, 3, 4, 5), rng=0).rank
    3
    """
    i, j, y, size = triplets(rows, cols, values, shape)
    fraction = check_number("holdout", holdout, 0.0, 1.0, open_low=True)
    check_number("slack", slack, 0.0)
    tried = [check_count("ranks", rank, min(size)) for rank in ranks]
    if not tried or tried != sorted(tried):
        raise ValueError(f"ranks is {tuple(ranks)}: wanted at least one rank, in ascending order")
    generator = np.random.default_rng(rng)
    test = np.zeros(y.size, dtype=bool)
    test[generator.permutation(y.size)[: max(1, round(fraction * y.size))]] = True
    if test.all():
        raise ValueError(f"holdout is {holdout}: wanted some of the {y.size} entries left to fit")
    errors: list[float] = []
    for rank in tried:
        result = complete(i[~test], j[~test], y[~test], size, rank, rng=generator.integers(2**32), **keywords)
        error = np.asarray(result.predict(i[test], j[test]), dtype=np.float64) - y[test]
        errors.append(float(np.sqrt(np.mean(error**2))))
        if not errors[-1] <= 1.5 * min(errors):
            break
    scale = max(min(errors) * (1 + slack), 1e-8 * float(np.sqrt(np.mean(y.astype(np.float64) ** 2))))
    best = next(rank for rank, error in zip(tried, errors, strict=False) if error <= scale)
    return RankChoice(best, tuple(tried[: len(errors)]), np.array(errors))
