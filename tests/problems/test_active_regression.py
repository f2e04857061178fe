"""Active regression: the example is solved to second order, and pivotal sampling saves what it promises."""

import numpy as np
import pytest

from ritzkit.problems.active_regression import active_regression, bar_response, legendre_basis


def exact_response(w, far, damping):
    """Closed form for the bar of two materials, by the impedance of the far half."""
    near_wave = np.sqrt(w**2 - 1j * w * damping)
    far_wave = near_wave / np.sqrt(far)
    impedance = far * far_wave / np.tan(far_wave / 2)
    sine, cosine = np.sin(near_wave / 2), np.cos(near_wave / 2)
    return np.abs((impedance * sine + near_wave * cosine) / (near_wave * (near_wave * sine - impedance * cosine)))


def test_the_bar_converges_to_second_order():
    w, far = np.array([1.0, 2.5, 4.9])[:, None], np.array([0.5, 1.0, 2.0])
    exact = exact_response(w, far, 0.3)
    errors = [np.abs(bar_response(w, far, cells=cells, damping=0.3) - exact).max() for cells in (64, 128, 256)]
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 2.0, atol=0.05)


def test_the_basis_is_orthogonal_on_the_square():
    nodes, weights = np.polynomial.legendre.leggauss(8)
    points = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 2)
    basis = legendre_basis(points, 5)
    gram = basis.T @ (np.outer(weights, weights).ravel()[:, None] * basis)
    assert basis.shape[1] == 21
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-13)


def test_pivotal_sampling_needs_a_third_fewer_solves():
    result = active_regression(6, grid=48, samples=(40, 50, 60, 80, 110, 150, 200), trials=100, rng=0)
    for level in (1.1, 1.15):
        assert result.saved(level) >= 0.3
    assert (result.median("pivotal") < result.median("independent")).all()
    assert (result.median("independent") < result.median("uniform")).all()
    assert all((errors >= 1 - 1e-9).all() for errors in result.errors.values())
    assert np.isnan(result.needed("pivotal", 1.0001))


def test_the_same_seed_gives_the_same_table():
    tables = [active_regression(3, grid=16, samples=(14, 20), trials=4, rng=1).errors for _ in range(2)]
    for kind in tables[0]:
        np.testing.assert_array_equal(tables[0][kind], tables[1][kind])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": (5,)}, r"samples\[0\] is 5"),
        ({"samples": (300,)}, r"samples\[0\] is 300"),
        ({"quantity": lambda p: p[:, 0]}, "is a polynomial of degree 3"),
        ({"quantity": lambda p: np.full(len(p), np.nan)}, "finite"),
        ({"quantity": lambda p: p}, "returned shape"),
        ({"grid": 1}, "grid is 1"),
    ],
    ids=["few", "many", "polynomial", "nan", "shape", "grid"],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        active_regression(3, **{"grid": 16, "trials": 2} | options)


def test_refusals_of_the_bar():
    with pytest.raises(ValueError, match="even number"):
        bar_response(1.0, 1.0, cells=3)
    with pytest.raises(ValueError, match="not positive"):
        bar_response(1.0, [1.0, -1.0])
    with pytest.raises(ValueError, match="points has shape"):
        legendre_basis([1.0, 2.0], 2)
