"""Low-rank completion: exact recovery, equal results however it is asked for, promised memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import coo_array

import ritzkit
from ritzkit.linalg.threads import thread_limit
from ritzkit.solvers import CompletionOutcome, choose_rank, complete, load_completion
from ritzkit.solvers.completion import METHODS
from ritzkit.solvers.completion.entries import Entries
from ritzkit.solvers.completion.factors import leading, orthonormalize, retract, truncate


def low_rank(m=120, n=90, rank=3, *, oversampling=4.0, kappa=1.0, seed=0):
    """Observed entries and the factors of a matrix of unit norm; every row and column has `rank` entries."""
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((m, rank)))
    right, _ = np.linalg.qr(rng.standard_normal((n, rank)))
    spectrum = np.logspace(0, -np.log10(kappa), rank)
    matrix = (left * spectrum / np.linalg.norm(spectrum)) @ right.T
    count = int(oversampling * rank * (m + n - rank))
    while True:
        rows, cols = np.divmod(rng.choice(m * n, count, replace=False), n)
        if min(np.bincount(rows, minlength=m).min(), np.bincount(cols, minlength=n).min()) >= rank:
            return rows, cols, matrix[rows, cols], matrix


def error(result, matrix):
    return np.linalg.norm(result.toarray() - matrix) / np.linalg.norm(matrix)


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_recovers_an_easy_matrix(method):
    rows, cols, values, matrix = low_rank(oversampling=6.0)
    result = complete(rows, cols, values, matrix.shape, 3, method=method, rng=0, rtol=1e-5)
    assert result.success, result
    assert error(result, matrix) < 1e-4
    assert result.method == method
    assert len(result.residuals) == len(result.times) == result.sweeps


@pytest.mark.parametrize(
    ("oversampling", "kappa", "rank"),
    [(2.2, 10.0, 3), (2.5, 1e5, 3), (4.0, 1e10, 4)],
    ids=["few-entries", "ill-conditioned", "condition-1e10"],
)
def test_growing_the_rank_recovers_where_fixed_rank_fails(oversampling, kappa, rank):
    rows, cols, values, matrix = low_rank(200, 150, rank, oversampling=oversampling, kappa=kappa)
    shape = matrix.shape
    result = complete(rows, cols, values, shape, rank, method="altmin_incremental", rng=0, rtol=1e-12)
    assert result.success
    assert error(result, matrix) < 1e-9
    for method in ("lmafit", "scaled_gd", "rcg"):
        other = complete(rows, cols, values, shape, rank, method=method, rng=0, sweeps=300)
        assert not other.success
        assert other.outcome.code != 0
        if kappa > 100.0:
            assert error(other, matrix) > 1e-6


@pytest.mark.parametrize("inner", ["cg", "cholesky"])
def test_inexact_row_solves_take_as_many_sweeps_as_exact_ones(inner):
    rows, cols, values, matrix = low_rank(300, 250, 10, oversampling=4.0, kappa=3.0)
    result = complete(rows, cols, values, matrix.shape, 10, inner=inner, rng=0)
    exact = complete(rows, cols, values, matrix.shape, 10, inner="cg", inner_rtol=1e-12, inner_maxiter=100, rng=0)
    assert result.success
    assert exact.success
    assert abs(result.sweeps - exact.sweeps) <= 0.1 * exact.sweeps
    assert (result.inner_steps > 0) == (inner == "cg")
    if inner == "cg":  # the point of it: a few steps per row
        assert result.inner_steps < 5 * (300 + 250) * (result.sweeps + 1)


def test_theory_setting_with_split_samples_and_clipping_converges():
    rows, cols, values, matrix = low_rank(200, 150, 1, oversampling=60.0)
    result = complete(rows, cols, values, matrix.shape, 1, split=True, clip=3.0, sweeps=3, rng=0)
    assert result.sweeps == 3
    assert (np.diff(result.residuals) < 0).all()
    assert result.residuals[-1] < 0.01


@pytest.mark.parametrize("form", ["sparse", "masked", "float32", "int8 places", "front door"])
def test_every_form_of_input_gives_the_same_matrix(form):
    rows, cols, values, matrix = low_rank()
    if form == "sparse":
        result = complete(coo_array((values, (rows, cols)), shape=matrix.shape), rank=3, rng=0)
    elif form == "masked":
        mask = np.ones(matrix.shape, dtype=bool)
        mask[rows, cols] = False
        result = complete(np.ma.MaskedArray(np.where(mask, np.nan, matrix), mask), rank=3, rng=0)
    elif form == "float32":
        result = complete(rows, cols, values.astype(np.float32), matrix.shape, 3, rng=0)
        assert result.U.dtype == result.V.dtype == result.predict([0], [0]).dtype == np.float32
        assert result.success
        assert error(result, matrix) < 1e-4
        return
    elif form == "int8 places":
        result = complete(rows.astype(np.int8), cols.astype(np.int8), values, matrix.shape, 3, rng=0)
    else:
        result = ritzkit.complete(rows, cols, values, matrix.shape, 3, rng=0)
    assert result.success
    assert error(result, matrix) < 1e-8


def test_explicit_zeros_of_a_sparse_array_are_observed():
    matrix = np.outer([1.0, 2.0, 0.0, 1.0, 3.0], [1.0, 0.0, 2.0, 1.0])
    rows, cols = np.nonzero(np.ones_like(matrix))
    result = complete(coo_array((matrix[rows, cols], (rows, cols)), shape=matrix.shape), rank=1, rng=0)
    np.testing.assert_allclose(result.toarray(), matrix, atol=1e-9)


def test_results_do_not_depend_on_threads_or_on_the_order_of_the_entries():
    rows, cols, values, matrix = low_rank(300, 250, 12, oversampling=4.0)
    shuffled = np.random.default_rng(3).permutation(values.size)
    results = []
    for threads, order in ((1, np.arange(values.size)), (2, np.arange(values.size)), (2, shuffled)):
        with thread_limit(threads):
            results.append(complete(rows[order], cols[order], values[order], matrix.shape, 12, rng=5, sweeps=6))
    for other in results[1:]:
        assert np.array_equal(results[0].U, other.U)
        assert np.array_equal(results[0].V, other.V)


def test_same_seed_same_factors():
    rows, cols, values, matrix = low_rank()
    first, second = (complete(rows, cols, values, matrix.shape, 3, rng=7, sweeps=4) for _ in range(2))
    assert np.array_equal(first.U, second.U)


def test_residual_is_recomputed_and_predictions_agree_with_the_operator(tmp_path):
    rows, cols, values, matrix = low_rank()
    result = complete(rows, cols, values, matrix.shape, 3, rng=0, sweeps=3, ridge=1e-3, biases=True)
    assert not result.success
    assert result.outcome is CompletionOutcome.ITERATION_LIMIT
    fit = result.predict(rows, cols)
    assert result.residual == pytest.approx(np.linalg.norm(values - fit) / np.linalg.norm(values), rel=1e-10)
    dense = result.toarray()
    np.testing.assert_allclose(fit, dense[rows, cols], atol=1e-13)
    operator = result.to_operator()
    x = np.random.default_rng(0).standard_normal(90)
    np.testing.assert_allclose(operator @ x, dense @ x, atol=1e-12)
    np.testing.assert_allclose(operator.rmatvec(dense @ x), dense.T @ (dense @ x), atol=1e-12)
    assert result.predict([[0], [5]], [[1, 2, 3]]).shape == (2, 3)
    result.save(tmp_path / "model.npz", names=np.arange(3))
    again = load_completion(tmp_path / "model.npz")
    assert np.array_equal(again.predict(rows, cols), fit)
    assert again.outcome is result.outcome


def test_ridge_and_biases_minimise_their_objective():
    rng = np.random.default_rng(0)
    rows, cols, values, matrix = low_rank(60, 50, 2, oversampling=6.0)
    values = 3.0 + values + 0.01 * rng.standard_normal(values.size) + 0.2 * rng.standard_normal(60)[rows]
    ridge = 0.02
    result = complete(
        rows, cols, values, matrix.shape, 2, ridge=ridge, biases=True, rng=0, inner="cholesky", stall=1e-12, sweeps=3000
    )
    assert result.outcome is CompletionOutcome.STATIONARY
    gap = coo_array((values - result.predict(rows, cols), (rows, cols)), shape=matrix.shape).tocsr()
    scale = np.abs(gap).sum(axis=1).max()
    assert np.abs(gap @ result.V - ridge * result.U).max() < 1e-4 * scale
    assert np.abs(gap.T @ result.U - ridge * result.V).max() < 1e-4 * scale
    assert np.abs(gap.sum(axis=0) - ridge * result.col_bias).max() < 1e-4 * scale
    assert np.abs(gap.sum(axis=1) - ridge * result.row_bias).max() < 1e-4 * scale


def test_gross_errors_do_not_move_the_absolute_fit():
    rows, cols, values, matrix = low_rank(150, 120, 2, oversampling=10.0)
    rng = np.random.default_rng(1)
    wrong = rng.random(values.size) < 0.1
    spoiled = values + wrong * rng.standard_normal(values.size) * 10 * np.abs(values).max()
    robust = complete(rows, cols, spoiled, matrix.shape, 2, method="subgradient", rng=0, rtol=1e-8)
    squares = complete(rows, cols, spoiled, matrix.shape, 2, rng=0, sweeps=50)
    assert robust.success
    assert error(robust, matrix) < 1e-6
    assert error(squares, matrix) > 0.1


def test_hold_out_finds_the_rank():
    rows, cols, values, matrix = low_rank(100, 80, 4, oversampling=4.0)
    noise = 1e-3 * np.abs(values).max() * np.random.default_rng(0).standard_normal(values.size)
    choice = choose_rank(rows, cols, values + noise, matrix.shape, range(1, 8), holdout=0.1, rng=0, sweeps=60)
    assert choice.rank == 4
    assert len(choice.errors) == len(choice.ranks)


def test_memory_stays_below_three_times_the_entries_plus_factors():
    m, n, rank, count = 2000, 1500, 4, 400_000
    rng = np.random.default_rng(0)
    rows, cols = (index.astype(np.uint32) for index in np.divmod(rng.choice(m * n, count, replace=False), n))
    values = np.einsum("ij,ij->i", rng.standard_normal((m, rank))[rows], rng.standard_normal((n, rank))[cols])
    observed = rows.nbytes + cols.nbytes + values.nbytes
    factors = 8 * rank * (m + n)
    for method in ("altmin", "altmin_incremental"):
        complete(rows[:5000], cols[:5000], values[:5000], (m, n), rank, method=method, sweeps=1)  # compiles
        tracemalloc.start()
        complete(rows, cols, values, (m, n), rank, method=method, rng=0, sweeps=40)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 3 * observed + 12 * factors  # a few copies of the factors


def test_callback_stops():
    rows, cols, values, matrix = low_rank()
    seen = []

    def stop(U, V, residual):
        seen.append((U.shape, V.shape, residual))
        return len(seen) == 3

    result = complete(rows, cols, values, matrix.shape, 3, rng=0, callback=stop)
    assert result.outcome is CompletionOutcome.STOPPED_BY_CALLBACK
    assert [entry[2] for entry in seen] == list(result.residuals)


def test_orthonormal_factors_at_any_condition_number():
    rng = np.random.default_rng(0)
    for kappa in (1.0, 1e8, 1e15):
        X = rng.standard_normal((200, 6)) @ np.diag(np.logspace(0, -np.log10(kappa), 6)) @ rng.standard_normal((6, 6))
        Q, R = orthonormalize(X)
        assert np.abs(Q.T @ Q - np.eye(6)).max() < 1e-13
        assert np.linalg.norm(Q @ R - X) <= 1e-13 * np.linalg.norm(X)
    Q, R = orthonormalize(np.ones((50, 3)))  # dependent columns
    assert np.abs(Q.T @ Q - np.eye(3)).max() < 1e-13
    np.testing.assert_allclose(Q @ R, np.ones((50, 3)), atol=1e-12)


def test_retraction_is_the_truncated_svd_of_the_sum():
    rng = np.random.default_rng(0)
    U, s, V = truncate(rng.standard_normal((40, 3)), rng.standard_normal((30, 3)), 3)
    A, B = 0.1 * rng.standard_normal((40, 3)), 0.1 * rng.standard_normal((30, 3))
    total = (U * s) @ V.T + A @ V.T + U @ B.T
    new_U, new_s, new_V = retract(U, s, V, A, B)
    left, values, right = np.linalg.svd(total)
    np.testing.assert_allclose((new_U * new_s) @ new_V.T, (left[:, :3] * values[:3]) @ right[:3], atol=1e-12)


def test_products_with_the_entries_are_those_of_the_sparse_matrix():
    rng = np.random.default_rng(0)
    rows, cols, values, matrix = low_rank(130, 70, 3)
    entries = Entries(rows, cols, values, matrix.shape)
    U, V, A, B = (rng.standard_normal((size, 7)) for size in (130, 70, 130, 70))
    sparse = coo_array((values, (rows, cols)), shape=matrix.shape).tocsr()
    weights = entries.rows.values
    np.testing.assert_allclose(entries.times(weights, V), sparse @ V, atol=1e-12)
    np.testing.assert_allclose(entries.transposed_times(weights, U), sparse.T @ U, atol=1e-12)
    norm = entries.residuals(U, V)
    assert norm == pytest.approx(np.linalg.norm(values - (U @ V.T)[rows, cols]), rel=1e-12)
    out = np.empty_like(weights)
    assert entries.tangent(A, V, U, B, out) == pytest.approx(np.linalg.norm(out), rel=1e-12)
    # <tangent(A, B), w> = <A, S_w V> + <B, S_w' U>: the adjoint that Gauss-Newton relies on
    w = rng.standard_normal(out.size)
    inner = np.vdot(A, entries.times(w, V)) + np.vdot(B, entries.transposed_times(w, U))
    assert out @ w == pytest.approx(inner, rel=1e-10)
    left, s, right = leading(entries, weights, 3, rng, passes=12)
    np.testing.assert_allclose(s, np.linalg.svd(sparse.toarray(), compute_uv=False)[:3], rtol=1e-6)
    np.testing.assert_allclose(sparse @ right, left * s, atol=1e-3 * s[0])
