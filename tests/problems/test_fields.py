import numpy as np
import pytest
from scipy.fft import dctn

from ritzkit.problems import gaussian_field, lognormal_field, scattered_field, smooth_field, threshold_field


@pytest.mark.parametrize(("shape", "alpha", "tau"), [((16, 16), 2.0, 3.0), ((16, 16), 2.5, 7.0), ((8, 8, 8), 2.0, 3.0)])
def test_modes_have_the_variance_of_the_fno_law(shape, alpha, tau):
    d, size = len(shape), np.prod(shape)
    rng = np.random.default_rng(0)
    draws = 400
    square = np.zeros(shape)
    for _ in range(draws):
        # coefficients against cosines of unit L2 norm on the unit box
        square += dctn(gaussian_field(shape, alpha=alpha, tau=tau, rng=rng), norm="ortho") ** 2 / size
    k2 = sum(k.astype(float) ** 2 for k in np.indices(shape))
    law = tau ** (2 * alpha - d) * (np.pi**2 * k2 + tau**2) ** (-alpha)
    ratio = square / draws / law
    assert square.flat[0] < 1e-20
    low = (k2 > 0) & (k2 < 30)
    # a chi-square mean of 400 draws has standard deviation sqrt(2 / 400) = 0.07
    assert np.abs(ratio[low] - 1).max() < 0.35
    assert abs(ratio[k2 > 0].mean() - 1) < 0.02


@pytest.mark.parametrize("d", [2, 3])
def test_one_seed_is_one_field_at_every_resolution(d):
    coarse, fine = (gaussian_field((n,) * d, rng=7) for n in (8, 16))
    held = (slice(0, 8),) * d
    modes_coarse = dctn(coarse, norm="ortho") / np.sqrt(coarse.size)
    modes_fine = dctn(fine, norm="ortho") / np.sqrt(fine.size)
    np.testing.assert_allclose(modes_fine[held], modes_coarse, atol=1e-14)


@pytest.mark.parametrize("shape", [(24, 24), (12, 24), (8, 8, 12)])
def test_sigma_is_the_standard_deviation(shape):
    rng = np.random.default_rng(1)
    mean_square = np.mean(
        [np.mean(gaussian_field(shape, alpha=3.0, tau=4.0, sigma=0.7, rng=rng) ** 2) for _ in range(400)]
    )
    assert mean_square == pytest.approx(0.49, rel=0.1)


@pytest.mark.parametrize("shape", [(20, 20), (10, 20), (10, 10, 10)])
def test_smooth_field_has_its_covariance(shape):
    rng = np.random.default_rng(2)
    variance, length = 0.7, 0.25
    h = 1.0 / max(shape)
    samples = np.stack([smooth_field(shape, variance=variance, length=length, rng=rng) for _ in range(3000)])
    origin = samples[(slice(None), *(0,) * len(shape))]
    for step in (0, 1, 3, 5):
        for axis in range(len(shape)):
            other = samples[(slice(None), *(step * (a == axis) for a in range(len(shape))))]
            expected = variance * np.exp(-0.5 * (step * h / length) ** 2)
            # standard deviation of the estimate: variance * sqrt(2 / 3000) = 0.018
            assert np.mean(origin * other) == pytest.approx(expected, abs=0.075)


def test_scattered_field_has_its_covariance():
    points = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.3], [0.8, 0.8]])
    rng = np.random.default_rng(3)
    samples = np.stack([scattered_field(points, variance=2.0, length=0.2, modes=64, rng=rng) for _ in range(4000)])
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.testing.assert_allclose(samples.T @ samples / 4000, 2.0 * np.exp(-(distance**2) / 0.08), atol=0.18)


def test_lognormal_field_is_the_exponential():
    assert np.array_equal(
        np.log(lognormal_field((9, 9), variance=2.0, rng=4)).round(12),
        smooth_field((9, 9), variance=2.0, rng=4).round(12),
    )


def test_threshold_field_has_the_fno_values_in_equal_shares():
    rng = np.random.default_rng(5)
    fields = np.stack([threshold_field((16, 16), rng=rng) for _ in range(300)])
    assert set(np.unique(fields)) == {3.0, 12.0}
    assert np.mean(fields == 12.0) == pytest.approx(0.5, abs=0.05)
    assert np.array_equal(threshold_field((16, 16), rng=6) == 12.0, gaussian_field((16, 16), rng=6) >= 0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gaussian_field((8, 8), alpha=1.0), ValueError, "alpha"),
        (lambda: gaussian_field((8, 8), tau=0.0), ValueError, "tau"),
        (lambda: gaussian_field((8,) * 4), ValueError, "shape"),
        (lambda: gaussian_field((8, 0)), ValueError, r"shape\[1\]"),
        (lambda: gaussian_field((8, 8.5)), TypeError, r"shape\[1\]"),
        (lambda: gaussian_field((8, 8), sigma=-1.0), ValueError, "sigma"),
        (lambda: smooth_field((8, 8), variance=-1.0), ValueError, "variance"),
        (lambda: smooth_field((8, 8), length=np.nan), ValueError, "length"),
        (lambda: smooth_field((8, 8), length="long"), TypeError, "length"),
        (lambda: threshold_field((8, 8), low=0.0), ValueError, "low"),
        (lambda: scattered_field([0.0, 1.0]), ValueError, "points"),
    ],
)
def test_bad_parameters_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
