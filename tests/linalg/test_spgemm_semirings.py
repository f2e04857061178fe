"""Semirings: values by the definition, patterns by structure alone, and what people use them for."""

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csgraph, csr_array, eye_array

from ritzkit.linalg import spgemm
from ritzkit.linalg.threads import thread_limit

from . import sparse_makers as makers

QUICK = settings(max_examples=40, deadline=None, derandomize=True, database=None)
RESULTS = {"min_plus": np.float64, "or_and": np.bool_, "plus_pair": np.int64}


@given(
    seed=st.integers(0, 2**32), m=st.integers(0, 10), k=st.integers(0, 10), n=st.integers(0, 10),
    semiring=st.sampled_from(sorted(RESULTS)), sort=st.booleans(),
)  # fmt: skip
@QUICK
def test_entries_by_the_definition(seed, m, k, n, semiring, sort):
    rng = np.random.default_rng(seed)
    A, B = makers.loose(rng, m, k, whole=True), makers.loose(rng, k, n, whole=True)
    found = spgemm(A, B, semiring=semiring, sort=sort)
    assert found.shape == (m, n)
    assert makers.rows_are_sorted(found) or not sort
    makers.assert_same_table(makers.as_table(found), makers.by_definition(A, B, semiring, RESULTS[semiring]))


@pytest.mark.parametrize(
    ("semiring", "dtypes", "result"),
    [
        ("min_plus", "ff", np.float32),
        ("min_plus", "fd", np.float64),
        ("min_plus", "i?", np.float64),
        ("or_and", "?D", np.bool_),
        ("plus_pair", "DB", np.int64),
    ],
    ids=["single", "mixed", "whole", "or_and", "plus_pair"],
)
def test_type_of_the_result(semiring, dtypes, result, rng):
    A, B = makers.neat(rng, 25, 20, dtype=dtypes[0]), makers.neat(rng, 20, 30, dtype=dtypes[1])
    found = spgemm(A, B, semiring=semiring)
    assert found.dtype == result
    makers.assert_same_table(makers.as_table(found), makers.by_definition(A, B, semiring, result))


def test_what_stored_zeros_mean():
    A = csr_array(([0.0, 2.0], [0, 1], [0, 2]), shape=(1, 2))
    B = csr_array(([3.0, 0.0, 5.0], [0, 1, 1], [0, 2, 3]), shape=(2, 2))
    expected = {
        "plus_times": [0.0, 10.0],
        "min_plus": [3.0, 0.0],
        "or_and": [False, True],
        "plus_pair": [1, 2],
    }
    for semiring, values in expected.items():
        assert spgemm(A, B, semiring=semiring).data.tolist() == values, semiring


def test_a_missing_distance_is_infinite_and_a_stored_infinity_stays_stored():
    A = csr_array(([np.inf], [0], [0, 1]), shape=(1, 2))
    B = csr_array(([1.0, 1.0], [0, 1], [0, 1, 2]), shape=(2, 2))
    found = spgemm(A, B, semiring="min_plus")
    assert found.indices.tolist() == [0]
    assert found.data.tolist() == [np.inf]


def test_a_minimum_with_nan_is_nan_and_the_next_product_is_clean(rng):
    A, B = makers.neat(rng, 40, 40), makers.neat(rng, 40, 40)
    clean = spgemm(A, B, semiring="min_plus")
    spoiled = A.copy()
    spoiled.data[:7] = np.nan
    found = spgemm(spoiled, B, semiring="min_plus")
    assert 0 < np.isnan(found.data).sum() < found.nnz
    makers.assert_same_table(makers.as_table(found), makers.by_definition(spoiled, B, "min_plus"))
    makers.assert_same_matrix(spgemm(A, B, semiring="min_plus"), clean)


@pytest.mark.parametrize("semiring", sorted(RESULTS))
def test_bits_do_not_depend_on_threads_and_the_pattern_not_on_values(semiring, rng):
    A = makers.loose(rng, 300, 300, fill=0.15)
    assert np.diff(A.indptr)[A.indices].sum() > 1 << 17  # enough for a second thread
    with thread_limit(1):
        one = spgemm(A, A, semiring=semiring)
    with thread_limit(2):
        makers.assert_same_matrix(spgemm(A, A, semiring=semiring), one)
    indptr, indices = makers.pattern_of_product(A, A)
    assert np.array_equal(one.indptr, indptr)
    assert np.array_equal(one.indices, indices)
    zeros = spgemm(0 * A, A, semiring=semiring)
    assert np.array_equal(zeros.indices, one.indices)


# --- what they are for --------------------------------------------------------------------------------------


def test_squaring_distances_gives_shortest_paths(rng):
    n = 60
    roads = makers.neat(rng, n, n, fill=0.04)
    roads.data = rng.integers(1, 20, roads.nnz).astype(float)  # sums are exact
    rows = np.repeat(np.arange(n), np.diff(roads.indptr))
    away = rows != roads.indices
    stay = np.arange(n)
    places = np.r_[rows[away], stay], np.r_[roads.indices[away], stay]
    distances = csr_array(coo_array((np.r_[roads.data[away], np.zeros(n)], places), shape=(n, n)))
    for _ in range(6):  # 2**6 >= n
        distances = spgemm(distances, distances, semiring="min_plus")
    full = np.full((n, n), np.inf)
    full[np.repeat(np.arange(n), np.diff(distances.indptr)), distances.indices] = distances.data
    expected = csgraph.shortest_path(roads)
    assert np.isinf(expected).any()
    assert np.array_equal(full, expected)


def test_squaring_reachability_gives_the_transitive_closure(rng):
    n = 80
    arrows = makers.neat(rng, n, n, fill=0.02)
    reached = csr_array(arrows != 0) + csr_array(eye_array(n, dtype=bool))
    for _ in range(7):  # 2**7 >= n
        reached = spgemm(reached, reached, semiring="or_and")
    expected = np.isfinite(csgraph.shortest_path(abs(arrows), unweighted=True))
    assert 0.1 < expected.mean() < 0.9
    assert np.array_equal(reached.toarray(), expected)


def test_common_neighbours_of_a_collaboration_graph(matrix_folder):
    A = csr_array(scipy.io.mmread(matrix_folder / "ca-GrQc.mtx.gz"))
    A.data = np.ones(A.nnz, np.int64)
    expected = csr_array(A @ A)
    expected.sort_indices()
    A.data = np.random.default_rng(0).standard_normal(A.nnz)  # never looked at
    found = spgemm(A, A, semiring="plus_pair")
    assert np.array_equal(found.indices, expected.indices)
    assert np.array_equal(found.data, expected.data)


@pytest.mark.parametrize(
    ("dtype", "semiring", "error", "message"),
    [
        ("d", "times_plus", ValueError, "semiring is 'times_plus': wanted one of plus_times, min_plus, or_and, plus_p"),
        ("d", None, ValueError, "semiring is None"),
        ("D", "min_plus", TypeError, "A has dtype complex128 and B has dtype float64: complex numbers have no minimum"),
        ("g", "min_plus", TypeError, "A has dtype longdouble|A has dtype float128"),
        ("O", "or_and", TypeError, "A has dtype object and B has dtype float64"),
    ],
    ids=["unknown", "none", "complex", "longdouble", "object"],
)
def test_unusable_input_is_refused(dtype, semiring, error, message):
    A = csr_array(np.eye(2))
    other = makers.raw(A.data.astype(dtype), A.indices, A.indptr, A.shape)
    with pytest.raises(error, match=message):
        spgemm(other, A, semiring=semiring)
