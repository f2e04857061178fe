"""Low-rank recovery from dense measurements with too large a rank: the experiments of two papers at small scale.

The unknown is ``X* = Z Z'`` of rank r, the measurements are ``y_i = <A_i, X*>`` with Gaussian A_i, and the factor has k > r
columns. `scaled_gd_lambda` [1]_ starts from tiny random numbers and multiplies the gradient by ``(X'X + lambda I)^-1``: the
number of steps grows with the logarithm of the condition number only, while plain gradient descent needs the order of the
condition number. `subgradient_sensing` [2]_ minimises the absolute residual, again from a tiny start, with a step that
shrinks geometrically: gross errors in a part of the measurements do no harm.

References
----------
.. [1] X. Xu, Y. Shen, Y. Chi, C. Ma, The power of preconditioning in overparameterized low-rank matrix sensing, ICML 2023,
   arXiv 2302.01186.
.. [2] J. Ma, S. Fattahi, Global convergence of sub-gradient method for robust matrix recovery: small initialization, noisy
   measurements, and over-parameterization, J. Mach. Learn. Res. 24 (2023), arXiv 2202.08788.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import check_count, check_number

__all__ = [
    "SensingExperiment",
    "SensingProblem",
    "overparametrised_experiment",
    "robust_experiment",
    "scaled_gd_lambda",
    "sensing_problem",
    "subgradient_sensing",
]

Array = npt.NDArray[Any]

_LOST = 1e6  # relative error at which a run has diverged


@dataclass(frozen=True, eq=False)
class SensingProblem:
    """Measurements of a positive semidefinite matrix of low rank.

    Attributes
    ----------
    matrices : ndarray, shape (N, n * n)
        Gaussian measurement matrices, symmetric, flattened.
    y : ndarray, shape (N,)
        Measurements, some of them grossly wrong where asked.
    truth : ndarray, shape (n, n)
    outliers : ndarray of bool, shape (N,)
    """

    matrices: Array
    y: Array
    truth: Array
    outliers: Array


def sensing_problem(
    n: int, rank: int, count: int, *, kappa: float = 1.0, outliers: float = 0.0, size: float = 10.0, rng: Any = None
) -> SensingProblem:
    """Draw a problem: X* of unit norm with singular values evenly spaced on a logarithmic scale.

    Parameters
    ----------
    n, rank, count : int
        Size of X*, its rank, number of measurements.
    kappa : float
        Condition number of X*.
    outliers, size : float
        Fraction of measurements with an error, and its standard deviation.
    rng : None, int or numpy.random.Generator

    Raises
    ------
    ValueError
        For counts below one, a rank above n, a condition number below one or a fraction outside 0 to 1.
    """
    n = check_count("n", n)
    rank = check_count("rank", rank, n)
    count = check_count("count", count)
    check_number("kappa", kappa, 1.0)
    check_number("outliers", outliers, 0.0, 1.0)
    generator = np.random.default_rng(rng)
    basis, _ = np.linalg.qr(generator.standard_normal((n, rank)))
    truth = (basis * np.logspace(0, -np.log10(kappa), rank)) @ basis.T
    A = generator.standard_normal((count, n, n))
    A = (A + A.transpose(0, 2, 1)) / 2
    matrices = np.ascontiguousarray(A.reshape(count, n * n))
    y = matrices @ truth.ravel()
    wrong = generator.permutation(count) < round(outliers * count)
    y[wrong] += size * generator.standard_normal(int(wrong.sum()))
    return SensingProblem(matrices, y, truth, wrong)


def _padded(errors: list[float], steps: int) -> Array:
    """Errors with infinity for the steps that a diverged run did not take."""
    return np.array(errors + [np.inf] * (steps + 1 - len(errors)))


def _error(X: Array, truth: Array) -> float:
    return float(np.linalg.norm(X @ X.T - truth) / np.linalg.norm(truth))


def scaled_gd_lambda(
    problem: SensingProblem,
    rank: int,
    *,
    damping: float,
    step: float = 0.3,
    start: float = 1e-6,
    steps: int = 500,
    scaled: bool = True,
    rng: Any = None,
) -> tuple[Array, Array]:
    """ScaledGD(lambda); with ``scaled=False`` plain gradient descent, its opponent.

    Parameters
    ----------
    problem : SensingProblem
    rank : int
        Columns of the factor, at least the true rank.
    damping : float
        lambda, of the order of the least singular value of X*.
    step, start : float
        Step length; size of the start.
    steps : int
    scaled : bool
    rng : None, int or numpy.random.Generator

    Returns
    -------
    X : ndarray, shape (n, rank)
    errors : ndarray, shape (steps + 1,)
        ``norm(X X' - X*) / norm(X*)`` after each step.
    """
    n = problem.truth.shape[0]
    rank = check_count("rank", rank, n)
    check_number("damping", damping, 0.0, open_low=True)
    count = problem.y.size
    X = start * np.random.default_rng(rng).standard_normal((n, rank)) / np.sqrt(n)
    errors = [_error(X, problem.truth)]
    for _ in range(check_count("steps", steps)):
        misfit = problem.matrices @ (X @ X.T).ravel() - problem.y
        gradient = (misfit @ problem.matrices).reshape(n, n) @ X / count
        if scaled:
            gradient = np.linalg.solve(X.T @ X + damping * np.eye(rank), gradient.T).T
        X = X - step * gradient
        errors.append(_error(X, problem.truth))
        if errors[-1] > _LOST:
            break
    return X, _padded(errors, steps)


def subgradient_sensing(
    problem: SensingProblem,
    rank: int,
    *,
    step: float = 1.0,
    decay: float = 0.98,
    start: float = 1e-4,
    steps: int = 500,
    squares: bool = False,
    rng: Any = None,
) -> tuple[Array, Array]:
    """Subgradient descent on the absolute residual; with ``squares=True`` gradient descent on the squares, its opponent.

    Parameters
    ----------
    problem : SensingProblem
    rank : int
        Columns of the factor, at least the true rank.
    step, decay : float
        First step and its factor per step; the squares keep the first step.
    start : float
        Size of the start.
    steps : int
    squares : bool
    rng : None, int or numpy.random.Generator

    Returns
    -------
    X : ndarray, shape (n, rank)
    errors : ndarray, shape (steps + 1,)
    """
    n = problem.truth.shape[0]
    rank = check_count("rank", rank, n)
    check_number("decay", decay, 0.0, 1.0, open_low=True)
    count = problem.y.size
    X = start * np.random.default_rng(rng).standard_normal((n, rank)) / np.sqrt(n)
    errors = [_error(X, problem.truth)]
    length = step
    for _ in range(check_count("steps", steps)):
        misfit = problem.matrices @ (X @ X.T).ravel() - problem.y
        weights = misfit if squares else np.sign(misfit)
        X = X - length * (weights @ problem.matrices).reshape(n, n) @ X / count
        errors.append(_error(X, problem.truth))
        if errors[-1] > _LOST:
            break
        if not squares:
            length *= decay
    return X, _padded(errors, steps)


@dataclass(frozen=True, eq=False)
class SensingExperiment:
    """Curves of one experiment.

    Attributes
    ----------
    curves : dict of str to ndarray
        Relative error after each step, by label.
    steps_to : dict of str to int or None
        Steps to a relative error of 1e-3, None where that was not reached.
    """

    curves: dict[str, Array]
    steps_to: dict[str, int | None]


def _experiment(curves: dict[str, Array]) -> SensingExperiment:
    reached: dict[str, int | None] = {}
    for label, errors in curves.items():
        below = np.flatnonzero(errors <= 1e-3)
        reached[label] = int(below[0]) if below.size else None
    return SensingExperiment(curves, reached)


def overparametrised_experiment(
    n: int = 40,
    true_rank: int = 3,
    rank: int = 6,
    kappas: tuple[float, ...] = (1.0, 10.0, 100.0),
    *,
    steps: int = 600,
    rng: Any = 0,
) -> SensingExperiment:
    """ScaledGD(lambda) and plain gradient descent at several condition numbers, from 10 n r measurements each.

    Examples
    --------
    >>> result = overparametrised_experiment(16, 2, 4, (1.0, 20.0), steps=200)
    >>> all(result.steps_to[f"scaled, condition {c}"] is not None for c in (1, 20))
    True
    >>> result.steps_to["plain, condition 20"] is None
    True
    """
    generator = np.random.default_rng(rng)
    curves = {}
    for kappa in kappas:
        problem = sensing_problem(n, true_rank, 10 * n * true_rank, kappa=kappa, rng=generator)
        seed = int(generator.integers(2**32))
        for label, scaled in (("scaled", True), ("plain", False)):
            _, errors = scaled_gd_lambda(problem, rank, damping=0.1 / kappa, steps=steps, scaled=scaled, rng=seed)
            curves[f"{label}, condition {kappa:g}"] = errors
    return _experiment(curves)


def robust_experiment(
    n: int = 20,
    true_rank: int = 3,
    rank: int = 6,
    fractions: tuple[float, ...] = (0.0, 0.1, 0.3),
    *,
    steps: int = 600,
    rng: Any = 0,
) -> SensingExperiment:
    """Absolute residual and squares with a part of the measurements grossly wrong, from 20 n r measurements each.

    Examples
    --------
    >>> result = robust_experiment(16, 2, 4, (0.2,), steps=500)
    >>> result.steps_to["absolute, 20 % wrong"] is not None, result.steps_to["squares, 20 % wrong"] is None
    (True, True)
    """
    generator = np.random.default_rng(rng)
    curves = {}
    for fraction in fractions:
        problem = sensing_problem(n, true_rank, 20 * n * true_rank, outliers=fraction, rng=generator)
        seed = int(generator.integers(2**32))
        for label, squares in (("absolute", False), ("squares", True)):
            step = 0.3 if squares else 1.0
            _, errors = subgradient_sensing(problem, rank, step=step, steps=steps, squares=squares, rng=seed)
            curves[f"{label}, {100 * fraction:.0f} % wrong"] = errors
    return _experiment(curves)
