"""Scores and samples of rows: exact sums, kept probabilities, and fewer samples by the pivotal method."""

import numpy as np
import pytest
import scipy.sparse as sp

from ritzkit.linalg import sampling


def tall(rng, m=800, n=5):
    return rng.standard_normal((m, n)) * rng.random((m, 1)) ** 2


def test_leverage_scores_are_the_diagonal_of_the_projector(rng):
    A = tall(rng, 60)
    projector = A @ np.linalg.pinv(A)
    np.testing.assert_allclose(sampling.leverage_scores(A), np.diag(projector), atol=1e-13)
    np.testing.assert_allclose(sampling.leverage_scores(sp.csr_array(A)), np.diag(projector), atol=1e-13)
    np.testing.assert_allclose(sampling.leverage_scores(np.hstack([A, A[:, :2]])), np.diag(projector), atol=1e-12)
    assert sampling.leverage_scores(A.astype(np.float32)).dtype == np.float32


def test_sketched_scores_are_close(rng):
    A = tall(rng, 5000)
    exact = sampling.leverage_scores(A)
    assert np.abs(sampling.leverage_scores(A, method="sketch", rng=0) / exact - 1).max() < 0.5
    rough = sampling.leverage_scores(tall(rng, 5000, 40), method="sketch", probes=20, rng=0)
    assert rough.sum() == pytest.approx(40, rel=0.15)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0])
def test_lewis_weights_are_a_fixed_point_and_bound_sensitivities(p, rng):
    A = tall(rng)
    w = sampling.lewis_weights(A, p)
    assert w.sum() == pytest.approx(5, rel=1e-4)
    np.testing.assert_allclose(sampling.leverage_scores(w[:, None] ** (0.5 - 1 / p) * A), w, atol=1e-5)
    values = np.abs(A @ rng.standard_normal((5, 500))) ** p
    assert (values / values.sum(axis=0) <= sampling.lp_sensitivities(A, p)[:, None] * (1 + 1e-9)).all()


@pytest.mark.parametrize("k", [0.5, 3, 9, 19.5, 20])
def test_probabilities_sum_to_the_number_of_samples(k, rng):
    scores = np.append(rng.random(20) ** 4, 0.0)
    p = sampling.inclusion_probabilities(scores, k)
    assert p.sum() == pytest.approx(k)
    assert (p <= 1).all()
    assert p[-1] == 0
    ratio = (p / np.where(scores > 0, scores, 1))[:-1]
    np.testing.assert_allclose(ratio[p[:-1] < 1], ratio.max(initial=0, where=p[:-1] < 1))


@pytest.mark.parametrize("ordered", [False, True], ids=["as-they-come", "by-space"])
def test_pivotal_sampling_keeps_every_probability_and_the_count(ordered, rng):
    p = sampling.inclusion_probabilities(rng.random(37), 12)
    order = sampling.spatial_order(rng.random((37, 2))) if ordered else None
    hits, trials = np.zeros(37), 3000
    for k in range(trials):
        sample = sampling.pivotal_sample(p, order, rng=k)
        assert sample.rows.size == 12
        hits[sample.rows] += 1
    assert np.abs(hits / trials - p).max() < 4 * np.sqrt(0.25 / trials)


def test_neighbours_seldom_come_together():
    p = np.full(64, 0.25)
    together = [np.diff(sampling.pivotal_sample(p, rng=k).rows).min() for k in range(200)]
    independent = [np.diff(sampling.independent_sample(p, rng=k).rows).min(initial=64) for k in range(200)]
    assert np.mean(together) > 1.2 * np.mean(independent)
    for k in range(50):  # a quarter of each pair of siblings at every level: four rows hold exactly one
        np.testing.assert_array_equal(np.bincount(sampling.pivotal_sample(p, rng=k).rows // 4, minlength=16), 1)


@pytest.mark.parametrize("split", ["coordinate", "pca"])
def test_spatial_order_puts_halves_on_either_side(split, rng):
    x = np.sort(rng.random(33))
    order = sampling.spatial_order(x, split=split)
    np.testing.assert_array_equal(np.sort(order), np.arange(33))
    first = order[:32]
    assert set(first) in (set(range(32)), set(range(1, 33)))
    grid = np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(-1, 2)
    quarter = grid[sampling.spatial_order(grid, split="coordinate")[:16]]
    assert np.ptp(quarter, axis=0).max() == 3


def test_weighted_rows_estimate_norms_without_bias(rng):
    A = tall(rng, 200)
    x = rng.standard_normal(5)
    for p in (1.0, 2.0):
        found = [
            (np.abs(sampling.sample_rows(A, 60, rng=k, scores="root_leverage").apply(A, p) @ x) ** p).sum()
            for k in range(400)
        ]
        assert np.mean(found) == pytest.approx((np.abs(A @ x) ** p).sum(), rel=0.06)


def test_pivotal_sampling_needs_fewer_rows_for_the_same_error():
    axis = np.linspace(-1, 1, 40)
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    u, v = (np.polynomial.legendre.legvander(points[:, i], 5) for i in range(2))
    A = np.stack([u[:, i] * v[:, j] for i in range(6) for j in range(6 - i)], axis=1)  # 21 polynomials
    f = np.exp(points[:, 0] * points[:, 1]) / (1 + 4 * points[:, 0] ** 2)

    def error(k, method):
        samples = (sampling.sample_rows(A, k, method=method, points=points, rng=seed) for seed in range(60))
        return np.median([np.linalg.norm(A @ np.linalg.lstsq(s.apply(A), s.apply(f))[0] - f) for s in samples])

    assert error(42, "pivotal") < error(60, "independent")  # 30 % fewer


RAISES = [
    ("k-too-large", lambda: sampling.inclusion_probabilities([1.0, 0.0], 2), "k is 2"),
    ("scores-negative", lambda: sampling.inclusion_probabilities([1.0, -1.0], 1), "none of them negative"),
    ("scores-name", lambda: sampling.sample_rows(np.eye(3), 2, scores="best"), "scores is 'best'"),
    ("scores-length", lambda: sampling.sample_rows(np.eye(3), 2, scores=[1.0]), "one number for each of 3 rows"),
    ("method", lambda: sampling.sample_rows(np.eye(3), 2, method="poisson"), "method is 'poisson'"),
    ("p", lambda: sampling.lewis_weights(np.eye(3), 4), "p is 4"),
    ("p-sensitivity", lambda: sampling.lp_sensitivities(np.eye(3), 0.5), "p is 0.5"),
    ("nan", lambda: sampling.leverage_scores(np.full((3, 2), np.nan)), "A holds NaN"),
    ("empty", lambda: sampling.leverage_scores(np.ones((0, 2))), r"A has shape \(0, 2\)"),
    ("order", lambda: sampling.pivotal_sample([0.5, 0.5], [0, 0]), "permutation"),
    ("probability", lambda: sampling.pivotal_sample([1.5]), "between 0 and 1"),
    ("split", lambda: sampling.spatial_order([1.0], split="random"), "split is 'random'"),
]


@pytest.mark.parametrize(("call", "message"), [case[1:] for case in RAISES], ids=[case[0] for case in RAISES])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
