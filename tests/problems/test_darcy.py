import numpy as np
import pytest
from scipy.ndimage import label

from ritzkit.linalg import Grid, StencilOperator
from ritzkit.problems import Darcy, gaussian_field
from ritzkit.problems.darcy import channel_field


@pytest.mark.parametrize("d", [2, 3])
def test_second_order_for_smooth_coefficients(d, orders, solve):
    def error(n):
        grid = Grid((n,) * d, 1.0 / n)
        x = grid.centres()
        k = np.exp(x[0] + 0.5 * x[1])
        u = np.prod([np.sin(np.pi * c) for c in x], axis=0)
        slope = [
            np.pi * np.prod([np.cos(np.pi * c) if a == axis else np.sin(np.pi * c) for a, c in enumerate(x)], axis=0)
            for axis in (0, 1)
        ]
        f = k * (d * np.pi**2 * u - slope[0] - 0.5 * slope[1])
        A = StencilOperator.from_coefficient(grid, k)
        return np.abs(solve(A, f.ravel()) - u.ravel()).max()

    observed = orders(error, (8, 16, 32) if d == 2 else (6, 12))
    assert observed[-1] == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("law", ["fno", "lognormal", "channels"])
@pytest.mark.parametrize("dim", [2, 3])
def test_operator_is_the_harmonic_mean_scheme(law, dim):
    n = 6
    problem = Darcy(n, law, dim=dim).sample(2)
    k = problem.fields["coefficient"]
    dense = problem.A.tocsr().toarray()
    rng = np.random.default_rng(0)
    for i in rng.integers(0, n**dim, 12):
        cell = np.unravel_index(i, k.shape)
        diagonal = 0.0
        for axis in range(dim):
            for step in (-1, 1):
                other = list(cell)
                other[axis] += step
                if not 0 <= other[axis] < n:
                    diagonal += 2 * k[cell] * n**2
                    continue
                mean = 2 / (1 / k[cell] + 1 / k[tuple(other)]) * n**2
                diagonal += mean
                assert dense[i, np.ravel_multi_index(other, k.shape)] == pytest.approx(-mean)
        assert dense[i, i] == pytest.approx(diagonal)


def test_the_fno_law_is_the_threshold_of_the_field_with_alpha_2_tau_3():
    problem = Darcy(20, "fno").sample(9)
    expected = np.where(gaussian_field((20, 20), alpha=2.0, tau=3.0, rng=9) >= 0, 12.0, 3.0)
    assert np.array_equal(problem.fields["coefficient"], expected)
    assert np.array_equal(problem.b, np.ones(400))


@pytest.mark.parametrize("variance", [0.5, 2.0])
def test_lognormal_has_the_chosen_variance_of_the_logarithm(variance):
    rng = np.random.default_rng(4)
    family = Darcy(16, "lognormal", variance=variance, length=0.08)
    logs = np.stack([np.log(family.coefficient(rng)) for _ in range(200)])
    assert logs.var() == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize("shape", [(16, 16), (40, 25), (14, 14, 14)], ids=str)
def test_a_channel_runs_uninterrupted_from_side_to_side(shape):
    for seed in range(10):
        channel = channel_field(shape, count=1, contrast=50.0, rng=seed) == 50.0
        _labels, count = label(channel)
        assert count == 1
        assert any(np.take(channel, 0, a).any() and np.take(channel, -1, a).any() for a in range(len(shape)))
        assert channel.mean() < 0.25


def test_contrast_is_stated():
    problem = Darcy(24, "channels", contrast=1e5).sample(0)
    assert problem.parameters["ratio"] == pytest.approx(1e5)
