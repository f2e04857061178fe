"""Triple products and products with the transpose: SciPy's numbers, on a pattern that no value changes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import mmread
from scipy.sparse import bsr_array, csr_array, csr_matrix, random_array

from ritzkit.linalg import spgemm
from ritzkit.linalg.sparse_product import RAPPlan, aat, rap
from ritzkit.linalg.threads import thread_limit

from . import sparse_makers as makers

QUICK = settings(max_examples=40, deadline=None, derandomize=True, database=None)
sizes = st.integers(0, 9)
seeds = st.integers(0, 2**32 - 1)


def with_values(matrix, seed):
    """The same pattern, other entries."""
    values = makers.numbers(np.random.default_rng(seed), matrix.indices.size, matrix.dtype)
    return makers.raw(values, matrix.indices, matrix.indptr, matrix.shape, matrix.indices.dtype)


def triple(rng, k, m, n, columns, dtype="d", make=makers.loose):
    return make(rng, k, m, dtype=dtype), make(rng, m, n, dtype=dtype), make(rng, n, columns, dtype=dtype)


def big(seed=0, n=700):
    rng = np.random.default_rng(seed)
    A = csr_array(random_array((n, n), density=0.03, rng=rng))
    P = csr_array(random_array((n, n // 3), density=0.02, rng=rng))
    return A, P


# --- R A P ---------------------------------------------------------------------------------------------------------


@QUICK
@given(sizes, sizes, sizes, sizes, seeds)
def test_the_product_is_scipys_for_any_patterns(k, m, n, columns, seed):
    R, A, P = triple(np.random.default_rng(seed), k, m, n, columns)
    found = rap(R, A, P)
    assert found.shape == (k, columns)
    assert makers.rows_are_sorted(found)
    np.testing.assert_allclose(found.toarray(), R.toarray() @ A.toarray() @ P.toarray(), atol=1e-13)


@QUICK
@given(sizes, sizes, sizes, sizes, seeds)
def test_the_pattern_is_structural(k, m, n, columns, seed):
    R, A, P = triple(np.random.default_rng(seed), k, m, n, columns)
    ones = [makers.of_ones(part) for part in (R, A, P)]
    expected = csr_array(ones[0] @ ones[1] @ ones[2])
    expected.sort_indices()
    for found in (rap(R, A, P), RAPPlan(R, A, P)):
        assert np.array_equal(found.indptr, expected.indptr)
        assert np.array_equal(found.indices, expected.indices)


@QUICK
@given(sizes, sizes, seeds, st.sampled_from("dD"), st.booleans())
def test_a_plan_gives_the_bits_of_the_product(n, columns, seed, dtype, own):
    rng = np.random.default_rng(seed)
    R, A, P = triple(rng, columns, n, n, columns, dtype)
    R = R if own else None
    plan = RAPPlan(R, A, P)
    for again in range(3):
        R = R if R is None else with_values(R, seed // 2 + again)
        A, P = with_values(A, seed // 3 + again), with_values(P, seed // 5 + again)
        makers.assert_same_matrix(csr_array(plan(R, A, P)), rap(R, A, P))
        p = P.data
        found = plan.multiply(None if R is None else R.data, A.data, p)
        assert makers.same_bits(found, plan(R, A, P).data)
        if R is None:
            np.testing.assert_allclose(rap(None, A, P).toarray(), P.toarray().conj().T @ (A @ P).toarray(), atol=1e-12)


def test_without_r_it_is_the_conjugate_transpose_or_the_transpose_on_demand():
    rng = np.random.default_rng(1)
    A, P = makers.neat(rng, 6, 6, dtype="D"), makers.neat(rng, 6, 3, dtype="D")
    plan = RAPPlan(None, A, P)
    indptr, indices = plan.restriction_pattern
    for conjugate, expected in ((True, P.toarray().conj().T), (False, P.toarray().T)):
        R = csr_array((plan.restriction(P.data, conjugate=conjugate), indices, indptr), shape=(3, 6))
        assert np.array_equal(R.toarray(), expected)
        assert makers.same_bits(plan.multiply(R.data, A.data, P.data), rap(R, A, P).data)


def test_block_matrices_and_the_old_matrix_classes_are_taken():
    rng = np.random.default_rng(2)
    P = rng.standard_normal((8, 4)) * np.kron(rng.random((4, 2)) < 0.6, np.ones((2, 2)))
    A = rng.standard_normal((8, 8))
    blocks = bsr_array(P, blocksize=(2, 2))
    expected = P.T @ A @ P
    np.testing.assert_allclose(rap(None, csr_matrix(A), blocks).toarray(), expected, atol=1e-13)
    plan = RAPPlan(blocks.T, A, blocks)
    np.testing.assert_allclose(plan(blocks.T, A, blocks).toarray(), expected, atol=1e-13)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_result_does_not_depend_on_the_number_of_threads(threads):
    A, P = big()
    expected = RAPPlan(None, A, P)(None, A, P)
    with thread_limit(threads):
        makers.assert_same_matrix(RAPPlan(None, A, P)(None, A, P), expected)
        assert makers.same_bits(rap(None, A, P).data, expected.data)


def test_results_are_written_where_asked():
    A, P = big(1, 60)
    plan = RAPPlan(None, A, P)
    first = plan(None, A, P)
    expected = 2 * first.data
    assert plan(None, 2 * A, P, out=first) is first
    assert np.array_equal(first.data, expected)
    values = np.empty(plan.nnz)
    assert plan.multiply(None, A.data, P.data, out=values) is values
    assert np.array_equal(2 * values, expected)


def test_single_precision_stays_single():
    A, P = (part.astype(np.float32) for part in big(2, 60))
    plan = RAPPlan(None, A, P)
    assert plan(None, A, P).dtype == rap(None, A, P).dtype == np.float32
    assert plan(None, A.astype(float), P).dtype == np.float64


def test_a_plan_states_what_it_does_and_holds():
    A, P = big(3, 60)
    plan = RAPPlan(None, A, P)
    AP = spgemm(A, P)
    work = np.diff(P.indptr)[A.indices].sum() + np.diff(AP.indptr)[csr_array(P.T).indices].sum()
    assert plan.multiply_adds == work
    assert plan.shape == (20, 20)
    assert plan.nnz == rap(None, A, P).nnz
    assert plan.memory_bytes > 4 * (A.nnz + 3 * P.nnz) + 12 * AP.nnz
    assert not plan.indices.flags.writeable


REFUSED = {
    "inner-right": (lambda A, P: rap(None, A, P[:-1]), ValueError, r"A has shape .* and P has shape"),
    "inner-left": (lambda A, P: rap(P, A, P), ValueError, r"R has shape .* and A has shape"),
    "no-r-and-not-square": (lambda A, P: rap(None, A[:-1], P), ValueError, "must be square"),
    "plan-no-r-and-not-square": (lambda A, P: RAPPlan(None, A[:-1], P), ValueError, "must be square"),
    "plan-a": (lambda A, P: RAPPlan(None, A, P)(None, A[::-1], P), ValueError, "A has shape .* another pattern"),
    "plan-p": (lambda A, P: RAPPlan(None, A, P)(None, A, P[:, ::-1]), ValueError, "P has shape .* another pattern"),
    "plan-shape": (lambda A, P: RAPPlan(None, A, P)(None, A, P[:-1]), ValueError, "P has shape .* another pattern"),
    "plan-r": (lambda A, P: RAPPlan(P.T, A, P)(2 * P.T[::-1], A, P), ValueError, "R has shape .* another pattern"),
    "plan-r-given": (lambda A, P: RAPPlan(None, A, P)(P.T, A, P), ValueError, "R is given"),
    "plan-r-missing": (lambda A, P: RAPPlan(P.T, A, P)(None, A, P), ValueError, "R is None"),
    "values-r-missing": (lambda A, P: RAPPlan(P.T, A, P).multiply(None, A.data, P.data), ValueError, "r is None"),
    "values-a": (lambda A, P: RAPPlan(None, A, P).multiply(None, A.data[1:], P.data), ValueError, "a has shape"),
    "values-p": (lambda A, P: RAPPlan(None, A, P).multiply(None, A.data, P.data[1:]), ValueError, "p has shape"),
    "restriction": (lambda A, P: RAPPlan(P.T, A, P).restriction(P.data), ValueError, "its own R"),
    "out": (lambda A, P: RAPPlan(None, A, P)(None, A, P, out=A), ValueError, "former result"),
    "dtype": (lambda A, P: rap(None, A.astype(np.longdouble), P), TypeError, "longdouble|float128"),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused_with_reasons(call, error, message):
    A, P = big(4, 30)
    with pytest.raises(error, match=message):
        call(A, P)


@pytest.mark.parametrize("make", [rap, RAPPlan])
@pytest.mark.parametrize("column", [-1, 10, 10**8], ids=["negative", "next", "far"])
def test_broken_indices_of_p_are_refused_before_it_is_transposed(make, column):
    A, P = big(6, 30)
    P.indices[3] = column
    with pytest.raises(ValueError, match="P holds a column index outside 0 to 9"):
        make(None, A, P)


# --- A A^T ---------------------------------------------------------------------------------------------------------


@QUICK
@given(sizes, sizes, seeds, st.sampled_from("dD"), st.sampled_from(["loose", "neat"]))
def test_a_times_its_transpose_has_the_bits_of_the_product(m, n, seed, dtype, maker):
    A = getattr(makers, maker)(np.random.default_rng(seed), m, n, dtype=dtype)
    found = aat(A)
    makers.assert_same_matrix(found, spgemm(A, csr_array(A.T)))
    if maker == "neat":  # each pair of mirrored entries adds the same products in the same order
        assert np.array_equal(found.toarray(), found.toarray().T)


def test_a_times_its_transpose_of_whole_numbers_is_exact(rng):
    A = makers.loose(rng, 9, 30, dtype="l")
    found = aat(A)
    assert found.dtype == np.int64
    assert np.array_equal(found.toarray(), A.toarray() @ A.toarray().T)


def test_a_times_its_transpose_on_a_real_matrix(matrix_folder):
    path = matrix_folder / "bcsstk09.mtx.gz"
    if not path.exists():
        pytest.skip(f"no {path.name}")
    A = csr_array(mmread(path))
    A.sort_indices()
    expected = csr_array(A @ A.T)
    expected.sort_indices()
    found = aat(A)
    found.eliminate_zeros()
    makers.assert_same_matrix(found, expected)


def test_a_times_its_transpose_refuses_broken_indices():
    A = big(5, 30)[0]
    A.indices[3] = 1000
    with pytest.raises(ValueError, match="column index outside"):
        aat(A)
