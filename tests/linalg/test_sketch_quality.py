"""Distortion, spread of the error over coordinates, and numbers of rows: theory against draws."""

from functools import partial

import numpy as np
import pytest
import scipy.stats

from ritzkit.linalg import sketch

DENSE = {
    "gaussian": sketch.GaussianSketch, "srht": sketch.SRHTSketch, "srtt": sketch.SRTTSketch,
    "circulant": sketch.CirculantSketch,
}  # fmt: skip


@pytest.mark.parametrize("kind", [*DENSE.values(), sketch.SparseSignSketch], ids=[*DENSE, "sparse-sign"])
def test_distortion_is_about_the_root_of_the_aspect_ratio(kind, rng):
    A = rng.standard_normal((2000, 20)) * np.logspace(0, -9, 20)  # scaling of columns does not change the range
    found = [sketch.embedding_distortion(kind(500, 2000, rng=k), A) for k in range(5)]
    assert 0.6 * np.sqrt(20 / 500) < np.mean(found) < 1.3 * np.sqrt(20 / 500)


def test_distortion_of_dependent_columns_and_of_too_few_rows(rng):
    A = rng.standard_normal((200, 3))
    S = sketch.GaussianSketch(50, 200, rng=0)
    assert sketch.embedding_distortion(S, np.hstack([A, A])) == pytest.approx(sketch.embedding_distortion(S, A))
    assert sketch.embedding_distortion(sketch.GaussianSketch(2, 200, rng=0), A) >= 1
    assert sketch.embedding_distortion(S, np.zeros((200, 2))) == 0


@pytest.mark.parametrize("kind", DENSE.values(), ids=DENSE)
def test_errors_of_dense_sketches_have_no_preferred_direction(kind):
    # mean of sqrt(n) max|g_i| / |g| for a Gaussian vector g, measured: 2.10 at n = 16, 3.06 at n = 256
    for n, plain in ((16, 2.10), (256, 3.06)):
        ratio = sketch.linf_experiment(kind, n, trials=12, rng=0).ratio
        assert abs(ratio.mean() / plain - 1) < 0.15


def test_error_of_a_count_sketch_sits_in_few_coordinates():
    small, large = (sketch.linf_experiment(sketch.CountSketch, n, trials=40, rng=0).ratio.mean() for n in (16, 64))
    assert 0.35 < np.log(large / small) / np.log(4) < 0.65  # grows as the root of n


def test_a_sparse_sign_sketch_turns_dense_at_the_predicted_number_of_entries():
    n, rows = 128, 16 * 128
    sparse = sketch.linf_experiment(partial(sketch.SparseSignSketch, nnz=4), n, spread=1, trials=40, rng=0)
    dense = sketch.linf_experiment(sketch.GaussianSketch, n, spread=1, trials=40, rng=0)
    # the ratio falls like 1/nnz until it meets that of dense sketches
    knee = 4 * sparse.ratio.mean() / dense.ratio.mean()
    assert knee == pytest.approx(np.sqrt(rows / (2 * np.log(2 * n))), rel=0.15)


def test_statistics_of_a_given_problem_match_the_law_of_the_gaussian_sketch(rng):
    A, b = rng.standard_normal((300, 10)), rng.standard_normal(300)
    Q = np.linalg.qr(A)[0]
    found = sketch.coordinate_statistics(lambda g: sketch.GaussianSketch(60, 300, rng=g), Q, b, trials=200, rng=1)
    # squared errors are Hotelling's: mean n / (d - n - 1)
    assert np.mean(found.l2**2) == pytest.approx(10 / 49, rel=0.15)
    assert found.summary()["ratio_p90"] <= np.sqrt(10)
    assert (found.linf >= found.l2 - 1e-12).all()


@pytest.mark.parametrize(("goal", "part"), [("l2", 2), ("linf", 5), ("precondition", 4)])
def test_recommended_rows_are_enough_but_not_many_more(goal, part):
    n, eps, delta = 12, 0.5, 0.05
    rows = sketch.recommended_rows(n, eps, delta, goal)

    def failures(rows):
        found = sketch.linf_experiment(sketch.GaussianSketch, n, rows=rows, trials=300, rng=2)
        if goal == "l2":
            return np.mean(found.l2 > eps)
        if goal == "linf":
            return np.mean(found.linf > eps)
        A = np.eye(40, n)
        return np.mean(
            [sketch.embedding_distortion(sketch.GaussianSketch(rows, 40, rng=k), A) > eps for k in range(200)]
        )

    assert failures(rows) <= delta + 3 * np.sqrt(delta / 200)
    assert failures(rows // part) > 0.2


def test_rows_for_l2_invert_the_quantile_of_the_error():
    for n, eps in ((1, 0.1), (50, 0.25), (1000, 0.75)):
        rows = sketch.recommended_rows(n, eps)
        for count, holds in ((rows, True), (rows - 1, False)):
            free = count - n + 1
            assert (scipy.stats.f.isf(0.01, n, free) * n / free <= eps**2) == holds


def test_tails_of_the_tensor_sketch_are_those_of_the_gaussian_one(rng):
    G, H = rng.standard_normal((2, 256, 100))
    H -= G * np.einsum("ij,ij->j", G, H) / np.einsum("ij,ij->j", G, G)
    makers = (lambda k: sketch.TensorSRHT(128, (16, 16), rng=k), lambda k: sketch.GaussianSketch(128, 256, rng=k))
    tensor, plain = (
        np.quantile(np.concatenate([sketch.coordinate_deviations(make(k), G, H) for k in range(40)]), [0.5, 0.9, 0.99])
        for make in makers
    )
    assert (tensor < 1.2 * plain).all()


RAISES = [
    ("goal", lambda: sketch.recommended_rows(4, 0.5, goal="speed"), "goal is 'speed'"),
    ("eps", lambda: sketch.recommended_rows(4, 1.5), "eps is 1.5"),
    ("delta", lambda: sketch.recommended_rows(4, 0.5, 0.0), "delta is 0.0"),
    (
        "shapes",
        lambda: sketch.embedding_distortion(sketch.CountSketch(3, 9, rng=0), np.ones((8, 2))),
        "as many columns",
    ),
    ("nan", lambda: sketch.embedding_distortion(sketch.CountSketch(3, 9, rng=0), np.full((9, 2), np.nan)), "holds NaN"),
    ("in-range", lambda: sketch.coordinate_statistics(None, np.eye(9, 2), np.eye(9)[0]), "lies in its range"),
    (
        "pairs",
        lambda: sketch.coordinate_deviations(sketch.CountSketch(3, 9, rng=0), np.ones((9, 2)), np.ones(9)),
        "equal",
    ),
]


@pytest.mark.parametrize(("call", "message"), [case[1:] for case in RAISES], ids=[case[0] for case in RAISES])
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
