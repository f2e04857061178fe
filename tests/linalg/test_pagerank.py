"""Personalised PageRank: exact where nothing is pruned, certified where it is, unbiased where walks stand in."""

import numpy as np
import pytest
from scipy.io import mmread
from scipy.sparse import coo_array, csr_array, diags_array

from ritzkit.linalg import (
    WalkIndex,
    pagerank_power,
    personalized_pagerank,
    threads,
    transition_matrix,
)

C = 0.15


def weighted(n=60, seed=0, *, lost=()):
    """Directed graph with weights over four decades and self loops; the vertices `lost` have no way out."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((n, n)) < 0.08) * 10 ** rng.uniform(-2, 2, (n, n))
    dense[np.arange(n), (np.arange(n) + 1) % n] += 0.5
    dense[list(lost)] = 0
    return csr_array(dense)


def web(scale, edges=8, seed=0):
    """R-MAT graph: heavy hubs, short distances, vertices without a way out."""
    rng = np.random.default_rng(seed)
    rows, columns = np.zeros((2, edges << scale), dtype=np.int64)
    for _ in range(scale):
        quarter = np.searchsorted([0.57, 0.76, 0.95], rng.random(rows.size), side="right")
        rows, columns = 2 * rows + quarter // 2, 2 * columns + quarter % 2
    graph = csr_array(coo_array((np.ones(rows.size), (rows, columns)), shape=(1 << scale, 1 << scale)))
    graph.data[:] = 1
    return graph


def road(n=3000):
    """Grid path with detours: long distances, two to four ways out."""
    ends = diags_array([1.0, 1.0], offsets=[-1, 1], shape=(n, n)).tolil()
    for i in range(0, n - 40, 7):
        ends[i, i + 40] = ends[i + 40, i] = 1.0
    return csr_array(ends)


def circulant(n, weights):
    """Every vertex sees the same graph: rows of an index are independent samples of one distribution."""
    offsets = sorted(weights)
    rows = np.repeat(np.arange(n), len(offsets))
    columns = (rows + np.tile(offsets, n)) % n
    return csr_array((np.tile([weights[o] for o in offsets], n), (rows, columns)), shape=(n, n))


def exact(P, sources, restart=C):
    """Dense solve; a walker who finds an empty row returns to the source."""
    dense = P.toarray()
    answers = []
    for s in np.atleast_2d(sources):
        moves = dense + np.outer(dense.sum(axis=1) == 0, s)
        answers.append(np.linalg.solve((np.eye(s.size) - (1 - restart) * moves).T, restart * s))
    return np.array(answers)


def one_hot(vertices, n):
    return np.eye(n)[vertices]


def apart(answer, truth):
    scores = answer.scores if isinstance(answer.scores, np.ndarray) else answer.scores.toarray()
    return np.abs(scores - truth).sum(axis=1)


def identical(a, b):
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("indptr", "indices", "data"))


METHODS = pytest.mark.parametrize("method", ["fused", "spgemm"])
LOST = pytest.mark.parametrize("lost", [(), (3, 17, 18)], ids=["ways_out", "dangling"])


# --- exact answers ------------------------------------------------------------------------------------------


@LOST
@METHODS
@pytest.mark.parametrize("small", ["drop", "hold"])
@pytest.mark.parametrize("restart", [0.15, 0.6])
def test_nothing_pruned_gives_the_exact_answer(lost, method, small, restart):
    P = transition_matrix(weighted(lost=lost))
    sources = np.vstack([one_hot([0, 3, 59], 60), np.full(60, 1 / 60)])
    options = {"threshold": 0, "rtol": 1e-15, "small": small, "method": method, "restart": restart}
    answer = personalized_pagerank(P, sources, **options)
    np.testing.assert_allclose(answer.scores.toarray(), exact(P, sources, restart), rtol=0, atol=1e-12)
    assert (answer.error_bound < 1e-13).all()
    assert (answer.dropped == 0).all()


@LOST
@pytest.mark.parametrize("restart", [0.15, 0.6])
def test_power_iteration_is_exact_to_its_tolerance(lost, restart):
    P = transition_matrix(weighted(lost=lost))
    sources = np.vstack([one_hot([0, 3, 59], 60), np.full(60, 1 / 60)])
    truth = exact(P, sources, restart)
    for rtol in (1e-2, 1e-6, 1e-13):
        answer = pagerank_power(P, sources, restart=restart, rtol=rtol)
        error = apart(answer, truth)
        assert (error <= answer.error_bound + 1e-14).all()
        assert (answer.error_bound <= rtol).all()
    short = pagerank_power(P, sources, restart=restart, maxiter=2)
    assert (short.steps == 2).all()
    assert (apart(short, truth) <= short.error_bound + 1e-14).all()
    assert short.error_bound.max() > 1e-3


def test_a_vertex_and_its_distribution_are_the_same_source():
    P = transition_matrix(weighted())
    for call in (personalized_pagerank, pagerank_power):
        a, b, c = (call(P, s).scores for s in ([7], one_hot([7], 60), csr_array(one_hot([7], 60))))
        assert (abs(a - b)).max() == (abs(a - c)).max() == 0
    assert personalized_pagerank(P, 7).scores.shape == (1, 60)


@LOST
def test_agrees_with_networkx(lost):
    networkx = pytest.importorskip("networkx")
    graph = weighted(lost=lost)
    P = transition_matrix(graph)
    peer = networkx.pagerank(
        networkx.from_scipy_sparse_array(graph, create_using=networkx.DiGraph),
        alpha=1 - C,
        personalization={4: 3.0, 9: 1.0},
        tol=1e-14,
        max_iter=1000,
    )
    source = 0.75 * one_hot([4], 60) + 0.25 * one_hot([9], 60)
    truth = [peer[v] for v in range(60)]
    np.testing.assert_allclose(pagerank_power(P, source, rtol=1e-13).scores[0], truth, atol=1e-11)
    answer = personalized_pagerank(P, source, threshold=0, rtol=1e-13)
    np.testing.assert_allclose(answer.scores.toarray()[0], truth, atol=1e-11)


# --- pruning and its certificate ----------------------------------------------------------------------------


@METHODS
@pytest.mark.parametrize("small", ["drop", "hold"])
@pytest.mark.parametrize("maxiter", [None, 0, 3])
def test_error_is_the_mass_that_is_missing(method, small, maxiter):
    P = transition_matrix(weighted(300, 1))
    sources = np.arange(0, 300, 30)
    truth = exact(P, one_hot(sources, 300))
    for threshold in (1e-2, 1e-3, 1e-4):
        answer = personalized_pagerank(
            P, sources, threshold=threshold, small=small, method=method, maxiter=maxiter, rtol=0
        )
        assert answer.error_bound.min() > 1e-4
        np.testing.assert_allclose(apart(answer, truth), answer.error_bound, rtol=1e-10)
        np.testing.assert_allclose(answer.error_bound, answer.dropped + answer.remaining, rtol=1e-12)
        np.testing.assert_allclose(answer.scores.sum(axis=1) + answer.dropped + answer.remaining, 1, rtol=1e-12)
        assert (answer.scores.toarray() <= truth + 1e-15).all()
        if small == "hold":
            assert (answer.dropped == 0).all()
        if maxiter is not None:
            assert (answer.steps == maxiter).all()


@METHODS
def test_error_bound_holds_with_dangling_vertices(method):
    P = transition_matrix(weighted(300, 1, lost=range(0, 300, 7)))
    sources = np.arange(0, 300, 30)
    truth = exact(P, one_hot(sources, 300))
    index = WalkIndex(P, walks=5, rng=0)
    for options in ({}, {"small": "hold"}, {"index": index}, {"index": index, "small": "drop", "maxiter": 2}):
        for threshold in (1e-1, 1e-3, 1e-5):
            answer = personalized_pagerank(P, sources, threshold=threshold, method=method, **options)
            assert (apart(answer, truth) <= answer.error_bound + 1e-14).all()
            np.testing.assert_allclose(answer.scores.sum(axis=1), 1, rtol=1e-12)
    assert personalized_pagerank(P, sources, maxiter=0, method=method).scores.nnz == 0


@pytest.mark.parametrize("small", ["drop", "hold"])
def test_error_falls_with_the_threshold_and_work_stays_local(small):
    P = transition_matrix(road())
    truth = pagerank_power(P, [0, 1500], rtol=1e-12).scores
    answers = [personalized_pagerank(P, [0, 1500], threshold=10.0**-k, small=small) for k in (2, 3, 4, 5, 6)]
    errors = np.array([apart(answer, truth) for answer in answers])
    largest = np.array([abs(answer.scores.toarray() - truth).max(axis=1) for answer in answers])
    assert (errors[1:] < 0.5 * errors[:-1]).all()
    assert (largest[1:] < 0.5 * largest[:-1]).all()
    assert (errors[-1] < 1e-3).all()
    for k, answer in zip((2, 3, 4, 5, 6), answers, strict=True):
        # an entry of the answer was pushed at least once, with more than the threshold
        assert (answer.scores.data >= 0.999 * C * 10.0**-k).all()
    assert answers[2].scores.nnz < 200


def test_held_entries_are_pushed_once_enough_has_come_together():
    P = transition_matrix(weighted(300, 1))
    drop, hold = (personalized_pagerank(P, [0, 150], threshold=1e-3, small=small) for small in ("drop", "hold"))
    assert (hold.error_bound < 0.8 * drop.error_bound).all()
    left = hold.remaining / 1e-3
    assert (left < 300).all()  # every entry left is below the threshold
    assert (hold.multiply_adds > drop.multiply_adds).all()


@pytest.mark.parametrize("with_index", [False, True], ids=["pushes", "index"])
@pytest.mark.parametrize("small", ["drop", "hold"])
@LOST
def test_both_methods_take_the_same_steps(with_index, small, lost):
    P = transition_matrix(weighted(300, 1, lost=lost))
    index = WalkIndex(P, walks=10, rng=0) if with_index else None
    sources = np.vstack([one_hot([5, 3], 300), np.full(300, 1 / 300)])
    for threshold, maxiter in ((1e-2, None), (1e-4, None), (1e-4, 2)):
        options = {"threshold": threshold, "maxiter": maxiter, "small": small, "index": index}
        fused, products = (personalized_pagerank(P, sources, method=m, **options) for m in ("fused", "spgemm"))
        assert np.array_equal(fused.steps, products.steps)
        assert np.array_equal(fused.multiply_adds, products.multiply_adds)
        np.testing.assert_allclose(fused.scores.toarray(), products.scores.toarray(), rtol=1e-11, atol=1e-16)
        for fact in ("dropped", "remaining", "error_bound", "spread"):
            np.testing.assert_allclose(getattr(fused, fact), getattr(products, fact), rtol=1e-9, atol=1e-13)


# --- the same answer however it is computed -----------------------------------------------------------------


@pytest.mark.parametrize("graph", [road(), web(9)], ids=["road", "web"])
def test_threads_and_batch_do_not_change_a_bit(graph):
    P = transition_matrix(graph)
    sources = np.arange(0, graph.shape[0], graph.shape[0] // 37)
    results = []
    for count in (1, 2):
        with threads.thread_limit(count):
            index = WalkIndex(P, walks=20, rng=5)
            held = personalized_pagerank(P, sources, threshold=1e-3, index=index).scores
            plain = personalized_pagerank(P, sources, threshold=1e-4).scores
            results.append((index.matrix, held, plain, csr_array(pagerank_power(P, sources).scores)))
    for one, two in zip(*results, strict=True):
        assert identical(one, two)
    for i in (0, 11, 36):
        alone = personalized_pagerank(P, [sources[i]], threshold=1e-4).scores
        assert identical(alone, plain[[i]])
        assert identical(personalized_pagerank(P, [sources[i]], threshold=1e-3, index=index).scores, held[[i]])


def test_same_seed_same_index_and_other_seed_other_index():
    P = transition_matrix(weighted())
    a, b, c = (WalkIndex(P, walks=10, rng=seed).matrix for seed in (1, np.random.default_rng(1), 2))
    assert identical(a, b)
    assert not identical(a, c)


def test_order_and_kind_of_storage_do_not_matter():
    graph = weighted()
    P = transition_matrix(graph)
    expected = personalized_pagerank(P, [0, 1]).scores.toarray()
    assert identical(transition_matrix(graph.toarray()), P)
    assert identical(transition_matrix(graph.tocoo()), P)
    halves = coo_array(
        (np.tile(graph.data / 2, 2), np.tile(graph.tocoo().coords, 2)), shape=graph.shape
    )  # every weight in two halves
    np.testing.assert_allclose(transition_matrix(halves).toarray(), P.toarray(), rtol=1e-15)
    wide = P.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    backwards = csr_array((P.data, P.indices, P.indptr), shape=P.shape)
    for i in range(60):
        row = slice(P.indptr[i], P.indptr[i + 1])
        backwards.data[row], backwards.indices[row] = P.data[row][::-1].copy(), P.indices[row][::-1].copy()
    backwards.has_sorted_indices = False
    index = WalkIndex(P, walks=5, rng=0)
    for matrix in (wide, backwards, P.tocsc(), P.tocoo()):
        np.testing.assert_allclose(personalized_pagerank(matrix, [0, 1]).scores.toarray(), expected, rtol=1e-10)
        personalized_pagerank(matrix, [0, 1], index=index)  # it is the same P


def test_arguments_are_left_alone():
    graph = weighted(lost=(3,))
    kept = graph.copy()
    P = transition_matrix(graph, dangling="loop")
    stored = P.copy()
    sources = csr_array(one_hot([0, 1], 60))
    index = WalkIndex(P, walks=5, rng=0)
    rows = index.matrix.copy()
    for method in ("fused", "spgemm"):
        personalized_pagerank(P, sources, index=index, threshold=1e-2, method=method)
    pagerank_power(P, sources)
    assert identical(graph, kept)
    assert identical(P, stored)
    assert identical(index.matrix, rows)
    assert identical(sources, csr_array(one_hot([0, 1], 60)))


@METHODS
def test_top_keeps_the_largest_and_of_equals_the_first(method):
    P = transition_matrix(road())
    full = personalized_pagerank(P, [0, 1000, 2000], threshold=1e-3, method=method)
    dense = full.scores.toarray()
    for k in (1, 5, 10**6):
        best = personalized_pagerank(P, [0, 1000, 2000], threshold=1e-3, method=method, top=k)
        assert np.array_equal(best.error_bound, full.error_bound)
        for i in range(3):
            order = np.lexsort((np.arange(3000), -dense[i]))[: min(k, np.count_nonzero(dense[i]))]
            assert np.array_equal(best.scores[[i]].indices, np.sort(order))
            assert np.array_equal(best.scores[[i]].data, dense[i, np.sort(order)])
    star = transition_matrix(coo_array((np.ones(8), ([0] * 4 + [1, 2, 3, 4], [1, 2, 3, 4] + [0] * 4)), shape=(5, 5)))
    assert personalized_pagerank(star, 0, top=3, method=method).scores.indices.tolist() == [0, 1, 2]


# --- the walk index -----------------------------------------------------------------------------------------


@LOST
def test_index_rows_converge_to_the_exact_answers(lost):
    P = transition_matrix(weighted(40, lost=lost))
    truth = C * np.linalg.inv(np.eye(40) - (1 - C) * P.toarray())  # a walk ends in an empty row
    index = WalkIndex(P, walks=40000, rng=3)
    error = np.linalg.norm(index.matrix.toarray() - truth, axis=1)
    bound = np.sqrt((2 - C) / 40000)
    assert np.sqrt((error**2).mean()) < bound
    assert error.max() < 2 * bound
    assert np.median(error) > 0.02 * bound


def test_index_error_falls_with_the_root_of_the_walks():
    P = transition_matrix(weighted(200, 2))
    truth = exact(P, np.eye(200))
    for estimator in ("unbiased", "normalised"):
        few, many = (
            np.linalg.norm(WalkIndex(P, walks=walks, rng=4, estimator=estimator).matrix.toarray() - truth)
            for walks in (40, 40 * 64)
        )
        assert 7 < few / many < 9


def test_one_estimator_is_unbiased_and_the_other_sums_to_one():
    n = 40000
    P = transition_matrix(circulant(n, {0: 1.0, 1: 5.0, 3: 2.0, n - 2: 3.0}))
    near = np.arange(-12, 25) % n  # farther out visits are too rare for a normal distribution
    truth = pagerank_power(P, [0], rtol=1e-12).scores[0, near]
    mean, deviation = {}, {}
    for estimator in ("unbiased", "normalised"):
        matrix = WalkIndex(P, walks=1, rng=6, estimator=estimator).matrix.tocoo()
        rows, columns = matrix.coords
        shift = (columns - rows) % n
        mean[estimator] = np.bincount(shift, matrix.data, n)[near] / n
        square = np.bincount(shift, matrix.data**2, n)[near] / n
        deviation[estimator] = np.sqrt((square - mean[estimator] ** 2) / n) + 1e-7
        if estimator == "normalised":
            np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)
    score = {e: abs(mean[e] - truth) / deviation[e] for e in mean}
    assert score["unbiased"].max() < 4.5
    assert score["normalised"].max() > 50  # one walk: the bias shows


def test_walks_never_take_stored_zeros():
    P = csr_array(([1.0, 0.0, 0.0, 1.0, 0.0], ([0, 0, 1, 1, 2], [1, 2, 0, 1, 0])), shape=(3, 3))
    index = WalkIndex(P, walks=500, rng=0).matrix.toarray()
    assert index[0, 2] == index[1, 0] == index[2, 0] == index[2, 1] == 0
    assert index[2, 2] == C


def test_index_removes_the_bias_of_pruning():
    P = transition_matrix(weighted(300, 1))
    sources = np.arange(0, 300, 10)
    truth = exact(P, one_hot(sources, 300))
    errors = []
    for walks in (10, 640):
        runs = [
            personalized_pagerank(P, sources, threshold=1e-2, index=WalkIndex(P, walks=walks, rng=seed))
            for seed in range(3)
        ]
        square = np.mean([((run.scores.toarray() - truth) ** 2).sum(axis=1) for run in runs], axis=0)
        assert (square <= runs[0].spread ** 2).all()
        assert square.mean() > 0.01 * (runs[0].spread ** 2).mean()
        errors.append(np.sqrt(square.mean()))
        assert all((apart(run, truth) <= run.error_bound).all() for run in runs)
    assert 6 < errors[0] / errors[1] < 10.5
    pruned = personalized_pagerank(P, sources, threshold=1e-2)
    assert (apart(runs[0], truth) < 0.2 * apart(pruned, truth)).all()


def test_no_pushes_give_the_rows_of_the_index():
    P = transition_matrix(weighted())
    index = WalkIndex(P, walks=7, rng=0)
    answer = personalized_pagerank(P, [4, 9], index=index, maxiter=0)
    assert identical(answer.scores, index.matrix[[4, 9]])
    assert (answer.remaining == 1).all()


def test_index_survives_a_file(tmp_path):
    P = transition_matrix(weighted())
    index = WalkIndex(P, walks=7, restart=0.2, rng=0, estimator="normalised")
    index.save(tmp_path / "walks")
    again = WalkIndex.load(tmp_path / "walks")
    assert identical(again.matrix, index.matrix)
    for fact in ("walks", "restart", "estimator", "fingerprint", "shape", "memory_bytes"):
        assert getattr(again, fact) == getattr(index, fact)
    answers = [personalized_pagerank(P, [0], restart=0.2, index=i).scores for i in (index, again)]
    assert identical(*answers)
    assert index.memory_bytes == 12 * index.matrix.nnz + 4 * 61


@pytest.mark.parametrize("kind", ["text", "array", "archive"])
def test_other_files_are_no_index(tmp_path, kind):
    path = tmp_path / "file.npz"
    if kind == "text":
        path.write_text("walks")
    elif kind == "array":
        with open(path, "wb") as file:
            np.save(file, np.arange(3))
    else:
        np.savez(path, data=np.arange(3))
    with pytest.raises(ValueError, match=r"not a walk index"):
        WalkIndex.load(path)


# --- transition matrices and refusals -----------------------------------------------------------------------


def test_rows_of_a_transition_matrix_are_distributions():
    graph = weighted(lost=(3, 17))
    P = transition_matrix(graph)
    total = P.sum(axis=1)
    assert np.flatnonzero(total == 0).tolist() == [3, 17]
    np.testing.assert_allclose(np.delete(total, [3, 17]), 1, rtol=1e-15)
    np.testing.assert_allclose(P.toarray()[0], graph.toarray()[0] / graph.toarray()[0].sum(), rtol=1e-15)
    loops = transition_matrix(graph, dangling="loop")
    assert loops[3, 3] == loops[17, 17] == 1
    assert abs(loops.toarray() - P.toarray()).sum() == 2
    assert transition_matrix(csr_array([[0.0, 5e-324], [1e308, 1e-308]])).toarray().tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("graph", "options", "error", "message"),
    [
        ([[0, -1], [1, 0]], {}, ValueError, r"-1\.0 at \(0, 1\)"),
        ([[0, 1], [np.nan, 0]], {}, ValueError, r"nan at \(1, 0\)"),
        ([[0, np.inf], [1, 0]], {}, ValueError, "inf at"),
        ([[1e308, 1e308], [1, 0]], {}, ValueError, "row 0 whose sum overflows"),
        (np.ones((2, 3)), {}, ValueError, "square"),
        (np.ones(3), {}, ValueError, "1 axes"),
        (np.ones((2, 2), dtype=complex), {}, TypeError, "complex128"),
        ([[0, 1], [0, 0]], {"dangling": "raise"}, ValueError, "1 vertices without outgoing weight, the first is 1"),
        ([[0, 1], [1, 0]], {"dangling": "uniform"}, ValueError, "dangling is 'uniform'"),
    ],
    ids=["negative", "nan", "inf", "overflow", "rectangular", "vector", "complex", "dangling", "option"],
)
def test_unusable_graph_is_refused(graph, options, error, message):
    with pytest.raises(error, match=message):
        transition_matrix(graph, **options)


FLIP = csr_array([[0.0, 1.0], [1.0, 0.0]])


def broken():
    matrix = FLIP.copy()
    matrix.indices[0] = 7
    return matrix


@pytest.mark.parametrize(
    ("P", "error", "message"),
    [
        (csr_array([[0.0, 1.5], [1.0, 0.0]]), ValueError, r"row 0 that sums to 1\.5"),
        (csr_array([[-1.0, 2.0], [1.0, 0.0]]), ValueError, "row 0 that is negative"),
        (csr_array([[0.0, 1.0], [np.nan, 0.0]]), ValueError, "row 1 that is negative or not finite"),
        (csr_array(np.full((2, 3), 1 / 3)), ValueError, "square"),
        (csr_array((0, 0)), ValueError, r"\(0, 0\)"),
        (np.eye(2), TypeError, "ndarray"),
        (FLIP.astype(complex), TypeError, "complex"),
        (broken(), ValueError, "column index outside 0 to 1"),
    ],
    ids=["sum", "negative", "nan", "rectangular", "empty", "dense", "complex", "index"],
)
@pytest.mark.parametrize("call", [personalized_pagerank, pagerank_power, lambda P, s: WalkIndex(P)])
def test_unusable_transitions_are_refused(P, error, message, call):
    with pytest.raises(error, match=message):
        call(P, [0])


@pytest.mark.parametrize(
    ("sources", "error", "message"),
    [
        ([2], ValueError, "vertex 2: wanted 0 to 1"),
        ([0, -1], ValueError, "vertex -1"),
        ([], ValueError, "empty"),
        (np.zeros((0, 2)), ValueError, "empty"),
        ([0.5, 0.5], TypeError, "float64"),
        ([True, False], TypeError, "bool"),
        ([[0.5, 0.4]], ValueError, r"row 0 that sums to 0\.9"),
        ([[0.5, 0.5], [0.0, 0.0]], ValueError, "row 1 that sums to 0"),
        ([[1.5, -0.5]], ValueError, "negative"),
        ([[np.nan, 1.0]], ValueError, "not finite"),
        (np.ones((1, 3)) / 3, ValueError, r"\(1, 3\)"),
        (np.zeros((1, 1, 2)), ValueError, "3 axes"),
    ],
    ids=["high", "negative", "none", "no_rows", "floats", "bools", "sum", "zero_row", "sign", "nan", "wide", "axes"],
)
@pytest.mark.parametrize("call", [personalized_pagerank, pagerank_power])
def test_unusable_sources_are_refused(sources, error, message, call):
    with pytest.raises(error, match=message):
        call(FLIP, sources)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"restart": 0}, ValueError, "strictly between 0 and 1"),
        ({"restart": 1.0}, ValueError, "strictly between 0 and 1"),
        ({"restart": np.nan}, ValueError, "strictly between 0 and 1"),
        ({"restart": "0.15"}, TypeError, "restart is '0.15'"),
        ({"threshold": -1e-3}, ValueError, "threshold is -0.001"),
        ({"threshold": None}, TypeError, "threshold is None"),
        ({"rtol": np.nan}, ValueError, "rtol is nan"),
        ({"maxiter": -1}, ValueError, "maxiter is -1: wanted at least 0"),
        ({"maxiter": 2.5}, TypeError, "whole number"),
        ({"top": 0}, ValueError, "top is 0"),
        ({"small": "keep"}, ValueError, "small is 'keep'"),
        ({"method": "dense"}, ValueError, "method is 'dense'"),
        ({"threshold": 0, "rtol": 0}, ValueError, "one of them to stop"),
        ({"index": FLIP}, TypeError, "csr_array: wanted a WalkIndex"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else None,
)
def test_unusable_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        personalized_pagerank(FLIP, [0], **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"walks": 0}, ValueError, "at least 1 walk"),
        ({"walks": 1.5}, TypeError, "whole number"),
        ({"restart": 1}, ValueError, "strictly between"),
        ({"estimator": "mean"}, ValueError, "estimator is 'mean'"),
    ],
    ids=["none", "part", "restart", "estimator"],
)
def test_unusable_index_options_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        WalkIndex(FLIP, **options)


def test_normalised_index_needs_ways_out():
    with pytest.raises(ValueError, match=r'P has empty rows.*"loop"'):
        WalkIndex(transition_matrix([[0, 1], [0, 0]]), estimator="normalised")


def test_power_iteration_needs_something_that_stops_it():
    with pytest.raises(ValueError, match="rtol is 0 and maxiter is None"):
        pagerank_power(FLIP, [0], rtol=0)
    with pytest.raises(ValueError, match="maxiter is 0: wanted at least 1"):
        pagerank_power(FLIP, [0], maxiter=0)


def test_index_of_another_graph_or_restart_is_refused():
    P = transition_matrix(weighted())
    index = WalkIndex(P, walks=2, rng=0)
    with pytest.raises(ValueError, match=r"built for restart 0\.15 and restart is 0\.2"):
        personalized_pagerank(P, [0], restart=0.2, index=index)
    with pytest.raises(ValueError, match="60 vertices and P has 2"):
        personalized_pagerank(FLIP, [0], index=index)
    other = P.copy()
    row = slice(other.indptr[5], other.indptr[6])
    other.data[row] = other.data[row][::-1].copy()  # the same pattern, other probabilities
    for Q in (other, csr_array(P[::-1]), transition_matrix(weighted(seed=1))):
        with pytest.raises(ValueError, match="another P"):
            personalized_pagerank(Q, [0], index=index)


# --- real graphs --------------------------------------------------------------------------------------------


def precise(scores, truth, k=50):
    """Share of the k best (ties count) that an answer finds among its own k best."""
    share = []
    for i, row in enumerate(truth):
        wanted = min(k, np.count_nonzero(row))
        bar = np.partition(row, -wanted)[-wanted] * (1 - 1e-9)
        mine = scores[[i]]
        best = mine.indices[np.lexsort((mine.indices, -mine.data))[:wanted]]
        share.append(np.count_nonzero(row[best] >= bar) / wanted)
    return np.mean(share)


@pytest.mark.parametrize("name", ["ca-GrQc", "luxembourg", "web"])
def test_large_graphs_agree_with_power_iteration(name, request):
    if name == "web":
        graph = web(12)
    else:
        path = request.getfixturevalue("matrix_folder") / f"{name}.mtx.gz"
        if not path.is_file():
            pytest.skip(f"{path.name} is absent")
        graph = csr_array(mmread(path))
    n = graph.shape[0]
    P = transition_matrix(graph)
    sources = np.random.default_rng(1).choice(n, 12, replace=False)
    truth = pagerank_power(P, sources, rtol=1e-11).scores
    whole = personalized_pagerank(P, sources, threshold=0, rtol=1e-12)
    np.testing.assert_allclose(whole.scores.toarray(), truth, rtol=0, atol=2e-11)
    pruned = personalized_pagerank(P, sources, threshold=1e-5)
    assert (apart(pruned, truth) <= pruned.error_bound + 1e-9).all()
    if name != "web":
        np.testing.assert_allclose(apart(pruned, truth), pruned.error_bound, rtol=1e-6)
    coarse = personalized_pagerank(P, sources, threshold=1e-3, small="hold")
    indexed = personalized_pagerank(P, sources, threshold=1e-3, index=WalkIndex(P, walks=50, rng=2))
    assert apart(indexed, truth).mean() < 0.25 * apart(coarse, truth).mean()
    assert indexed.multiply_adds.sum() > coarse.multiply_adds.sum()
    assert precise(indexed.scores, truth) > max(0.85, precise(coarse.scores, truth))
