"""Recovery from dense measurements with too large a rank: what the two papers claim, at small scale."""

from __future__ import annotations

import numpy as np
import pytest

from ritzkit.linalg.threads import thread_limit
from ritzkit.solvers.completion.sensing import (
    overparametrised_experiment,
    robust_experiment,
    scaled_gd_lambda,
    sensing_problem,
    subgradient_sensing,
)


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small are slower on two threads, much slower on a busy machine."""
    with thread_limit(1):
        yield


def test_scaling_makes_the_steps_nearly_independent_of_the_condition_number():
    result = overparametrised_experiment(20, 2, 5, (1.0, 10.0, 100.0), steps=250)
    scaled = [result.steps_to[f"scaled, condition {c}"] for c in (1, 10, 100)]
    assert max(scaled) <= 2 * min(scaled)
    plain = [result.steps_to[f"plain, condition {c}"] for c in (1, 10, 100)]
    assert plain[0] is not None
    assert plain[1] is None or plain[1] > 3 * plain[0]
    assert plain[2] is None


def test_gross_errors_spoil_squares_but_not_the_absolute_residual():
    result = robust_experiment(16, 2, 4, (0.0, 0.2), steps=500)
    assert result.steps_to["squares, 0 % wrong"] is not None
    for fraction in (0, 20):
        assert result.steps_to[f"absolute, {fraction} % wrong"] is not None
    assert result.steps_to["squares, 20 % wrong"] is None


def test_a_problem_is_what_it_says():
    problem = sensing_problem(12, 3, 50, kappa=8.0, outliers=0.2, rng=0)
    values = np.linalg.eigvalsh(problem.truth)[::-1]
    np.testing.assert_allclose(values[:3], [1.0, 8.0**-0.5, 0.125], rtol=1e-10)
    np.testing.assert_allclose(values[3:], 0.0, atol=1e-14)
    assert problem.outliers.sum() == 10
    clean = problem.matrices @ problem.truth.ravel()
    assert ((problem.y == clean) == ~problem.outliers).all()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda p: sensing_problem(4, 5, 10), "rank is 5: wanted at most 4"),
        (lambda p: sensing_problem(4, 2, 10, kappa=0.5), "kappa is 0.5"),
        (lambda p: scaled_gd_lambda(p, 2, damping=0.0), "damping is 0.0"),
        (lambda p: subgradient_sensing(p, 2, decay=1.5), "decay is 1.5"),
    ],
    ids=["rank", "kappa", "damping", "decay"],
)
def test_bad_numbers_are_named(call, text):
    with pytest.raises(ValueError, match=text):
        call(sensing_problem(4, 2, 10, rng=0))
