"""Gradients of the planned product: exact, on the patterns of the factors, duplicates included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from ritzkit.linalg import SpGEMMPlan
from ritzkit.linalg.sparse_product.gradients import PlanGradients
from ritzkit.linalg.threads import thread_limit

from . import sparse_makers as makers

QUICK = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def rows_of(matrix):
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def with_pattern(A, B, *, index=np.int32):
    """Gradients of A B, and the pattern of C."""
    indptr, indices = makers.pattern_of_product(A, B)
    shape = (A.shape[0], B.shape[1])
    patterns = (A.indptr, A.indices, A.shape), (B.indptr, B.indices, B.shape)
    return PlanGradients(*patterns, (indptr.astype(index), indices.astype(index), shape)), indptr, indices


def by_definition(A, B, grad, indptr, indices):
    """Dense dA = G B^H and dB = A^H G at the stored places."""
    G = makers.raw(grad, indices, indptr, (A.shape[0], B.shape[1])).toarray()
    da = (G @ B.toarray().conj().T)[rows_of(A), A.indices]
    db = (A.toarray().conj().T @ G)[rows_of(B), B.indices]
    return da, db


@given(
    seed=st.integers(0, 2**32), m=st.integers(0, 12), k=st.integers(0, 12), n=st.integers(0, 12),
    dtype=st.sampled_from("dD"), fill=st.sampled_from([0.1, 0.5]),
)  # fmt: skip
@QUICK
def test_exact_for_whole_numbers_with_duplicates_and_unsorted_columns(seed, m, k, n, dtype, fill):
    rng = np.random.default_rng(seed)
    A = makers.loose(rng, m, k, fill=fill, dtype=dtype, whole=True)
    B = makers.loose(rng, k, n, fill=fill, dtype=dtype, whole=True)
    gradients, indptr, indices = with_pattern(A, B)
    grad = makers.numbers(rng, indices.size, dtype, whole=True)
    found = gradients.run(grad, A.data, B.data)
    for array, expected in zip(found, by_definition(A, B, grad, indptr, indices), strict=True):
        assert array.dtype == dtype
        assert np.array_equal(array, expected)


@pytest.mark.parametrize("dtype", ["f", "d", "D"])
def test_pairs_with_every_direction_as_the_product_does(dtype, rng):
    A, B = makers.loose(rng, 40, 30, dtype=dtype), makers.loose(rng, 30, 50, dtype=dtype)
    gradients, indptr, indices = with_pattern(A, B)
    grad = makers.numbers(rng, indices.size, dtype)
    da, db = gradients.run(grad, A.data, B.data)
    va, vb = makers.numbers(rng, A.nnz, dtype), makers.numbers(rng, B.nnz, dtype)
    G = makers.raw(grad, indices, indptr, (40, 50)).toarray()
    turned_a = makers.raw(va, A.indices, A.indptr, A.shape) @ B
    turned_b = A @ makers.raw(vb, B.indices, B.indptr, B.shape)
    for gradient, direction, turned in ((da, va, turned_a), (db, vb, turned_b)):
        assert gradient.dtype == dtype
        # the derivative of <G, C> along a direction, twice
        expected = np.vdot(G, turned.toarray())
        np.testing.assert_allclose(np.vdot(gradient, direction), expected, rtol=1e4 * np.finfo(dtype).eps)


def test_gradient_with_respect_to_real_numbers_is_real(rng):
    A, B = makers.neat(rng, 20, 20), makers.neat(rng, 20, 20, dtype="D")
    gradients, indptr, indices = with_pattern(A, B)
    grad = makers.numbers(rng, indices.size, "D")
    da, db = gradients.run(grad, A.data, B.data)
    expected = by_definition(A, B, grad, indptr, indices)
    assert da.dtype == np.float64
    np.testing.assert_allclose(da, expected[0].real, atol=1e-12)
    np.testing.assert_allclose(db, expected[1], atol=1e-12)


def test_bits_do_not_depend_on_threads_or_on_the_width_of_indices(rng):
    A, B = makers.loose(rng, 300, 200, fill=0.2), makers.loose(rng, 200, 300, fill=0.2)
    assert np.diff(B.indptr)[A.indices].sum() > 1 << 17  # enough for a second thread
    gradients, _, indices = with_pattern(A, B)
    grad = makers.numbers(rng, indices.size)
    with thread_limit(1):
        one = gradients.run(grad, A.data, B.data)
    with thread_limit(2):
        two = gradients.run(grad, A.data, B.data)
    wide = with_pattern(A, B, index=np.int64)[0].run(grad, A.data, B.data)
    for a, b, c in zip(one, two, wide, strict=True):
        assert makers.same_bits(a, b)
        assert makers.same_bits(a, c)


def test_only_what_is_wanted_is_computed_and_transposes_wait_until_then(rng):
    A = makers.neat(rng, 30, 30)
    gradients, _, indices = with_pattern(A, A)
    grad = makers.numbers(rng, indices.size)
    assert gradients.memory_bytes == 0
    da, nothing = gradients.run(grad, A.data, A.data, wanted=(True, False))
    assert nothing is None
    small = gradients.memory_bytes
    both = gradients.run(grad, A.data, A.data)
    assert gradients.memory_bytes > small + 8 * indices.size
    assert np.array_equal(both[0], da)
    nothing, db = gradients.run(grad, A.data, A.data, wanted=(False, True))
    assert nothing is None
    assert np.array_equal(both[1], db)


def test_not_a_number_does_not_reach_the_next_gradient(rng):
    A = makers.neat(rng, 30, 30)
    gradients, _, indices = with_pattern(A, A)
    grad = makers.numbers(rng, indices.size)
    clean = gradients.run(grad, A.data, A.data)
    gradients.run(np.full_like(grad, np.nan), A.data, A.data)
    for array, expected in zip(gradients.run(grad, A.data, A.data), clean, strict=True):
        assert np.array_equal(array, expected)


ONE = np.array([0, 1], np.int32), np.array([0], np.int32), (1, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((np.ones(2), np.ones(1), np.ones(1)), ValueError, r"grad has shape \(2,\): wanted \(1,\)"),
        ((np.ones(1), np.ones((1, 1)), np.ones(1)), ValueError, r"a has shape \(1, 1\): wanted \(1,\)"),
        ((np.ones(1), np.ones(1), np.ones(0)), ValueError, r"b has shape \(0,\): wanted \(1,\)"),
        (
            (np.ones(1, int), np.ones(1, int), np.ones(1, int)),
            TypeError,
            "dtypes int64, int64 and int64: gradients want",
        ),
    ],
    ids=["grad", "a", "b", "whole_numbers"],
)
def test_unusable_numbers_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        PlanGradients(ONE, ONE, ONE).run(*arguments)


def test_shapes_must_fit():
    with pytest.raises(ValueError, match=r"\(1, 1\), \(1, 1\) and \(1, 2\): wanted"):
        PlanGradients(ONE, ONE, (ONE[0], ONE[1], (1, 2)))


# --- through the plan ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["vector", "matrix", "shuffled_matrix"])
def test_a_plan_hands_out_gradients_on_the_patterns_of_its_factors(form, rng):
    A, B = makers.loose(rng, 30, 20, dtype="D"), makers.loose(rng, 20, 25, dtype="D")
    plan = SpGEMMPlan(A, B)
    C = plan(A, B)
    grad = makers.numbers(rng, C.nnz, "D")
    G = makers.raw(grad, C.indices, C.indptr, C.shape)
    dA, dB = plan.backward({"vector": grad, "matrix": G, "shuffled_matrix": makers.shuffled(rng, G)}[form])
    da, db = plan.gradients(grad, A.data, B.data)
    expected = by_definition(A, B, grad, C.indptr, C.indices)
    for matrix, values, given_matrix, dense in ((dA, da, A, expected[0]), (dB, db, B, expected[1])):
        assert isinstance(matrix, csr_array)
        assert matrix.shape == given_matrix.shape
        assert np.array_equal(matrix.indptr, given_matrix.indptr)
        assert np.array_equal(matrix.indices, given_matrix.indices)
        assert np.array_equal(matrix.data, values)
        np.testing.assert_allclose(values, dense, atol=1e-12)


def test_backward_uses_the_numbers_of_the_last_call_even_if_they_were_overwritten(rng):
    A, B = makers.neat(rng, 20, 20), makers.neat(rng, 20, 20)
    plan = SpGEMMPlan(A, B)
    plan(A, B)
    new = makers.raw(makers.numbers(rng, A.nnz), A.indices, A.indptr, A.shape)
    plan(new, B)
    grad = makers.numbers(rng, plan.nnz)
    _, dB = plan.backward(grad)
    assert np.array_equal(dB.data, plan.gradients(grad, new.data, B.data)[1])


def test_backward_refuses_what_does_not_fit(rng):
    A = makers.neat(rng, 20, 20)
    plan = SpGEMMPlan(A, A)
    with pytest.raises(RuntimeError, match="the plan has not been called yet"):
        plan.backward(np.ones(plan.nnz))
    C = plan(A, A)
    with pytest.raises(ValueError, match=rf"grad has shape \({plan.nnz + 1},\): wanted \({plan.nnz},\)"):
        plan.backward(np.ones(plan.nnz + 1))
    with pytest.raises(ValueError, match=r"grad has shape \(20, 21\).*the product has shape \(20, 20\)"):
        plan.backward(csr_array((20, 21)))
    other = csr_array(C)
    other.indices = (C.indices[::-1]).copy()
    with pytest.raises(ValueError, match=f"grad has another pattern .{plan.nnz} stored entries"):
        plan.backward(other)
