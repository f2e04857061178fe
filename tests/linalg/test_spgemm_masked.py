"""Masked products: the places of the mask, the bits of the full product."""

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array, tril

from ritzkit.linalg.sparse_product import masked
from ritzkit.linalg.sparse_product.masked import masked_spgemm
from ritzkit.linalg.threads import thread_limit

from . import sparse_makers as makers

QUICK = settings(max_examples=40, deadline=None, derandomize=True, database=None)
NEVER, ALWAYS = 1e18, 0  # cost of a transpose that forbids dot products, or makes them free


def expected_table(A, B, mask, semiring="plus_times", dtype=None):
    rows = np.repeat(np.arange(mask.shape[0]), np.diff(mask.indptr))
    places = set(zip(rows.tolist(), mask.indices.tolist(), strict=True))
    table = makers.by_definition(A, B, semiring, dtype)
    return {place: value for place, value in table.items() if place in places}


@given(
    seed=st.integers(0, 2**32), m=st.integers(0, 12), k=st.integers(0, 12), n=st.integers(0, 12),
    fill=st.sampled_from([0.1, 0.4, 1.0]), neat=st.booleans(), cost=st.sampled_from([NEVER, ALWAYS]),
)  # fmt: skip
@QUICK
def test_entries_of_the_product_at_the_places_of_the_mask(seed, m, k, n, fill, neat, cost):
    rng = np.random.default_rng(seed)
    make = makers.neat if neat else makers.loose
    A, B = make(rng, m, k, whole=True), make(rng, k, n, whole=True)
    mask = makers.loose(rng, m, n, fill=fill, dtype="?")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masked, "TRANSPOSE_WORK", cost)
        found = masked_spgemm(A, B, mask)
    assert found.shape == (m, n)
    assert makers.rows_are_sorted(found)
    makers.assert_same_table(makers.as_table(found), expected_table(A, B, mask))


@pytest.mark.parametrize(
    ("semiring", "dtype", "result"),
    [("min_plus", "d", "d"), ("or_and", "i", "?"), ("plus_pair", "d", np.int64), ("plus_times", "D", "D")],
    ids=["min_plus", "or_and", "plus_pair", "complex"],
)
def test_other_semirings_and_types(semiring, dtype, result, rng, monkeypatch):
    A, B = (makers.neat(rng, 30, 30, fill=0.2, dtype=dtype) for _ in range(2))
    mask = makers.loose(rng, 30, 30, fill=0.3)
    expected = expected_table(A, B, mask, semiring, result)
    for cost in (NEVER, ALWAYS):
        monkeypatch.setattr(masked, "TRANSPOSE_WORK", cost)
        makers.assert_same_table(makers.as_table(masked_spgemm(A, B, mask, semiring=semiring)), expected)


def test_dot_products_give_the_bits_of_the_scattered_rows(rng, monkeypatch):
    A, B = makers.neat(rng, 120, 150, fill=0.3), makers.loose(rng, 150, 140, fill=0.3)
    mask = makers.neat(rng, 120, 140, fill=0.05)
    transposed = []
    original = masked._transpose
    monkeypatch.setattr(masked, "_transpose", lambda *arrays: transposed.append(1) or original(*arrays))
    monkeypatch.setattr(masked, "TRANSPOSE_WORK", NEVER)
    scattered = masked_spgemm(A, B, mask)
    assert not transposed
    monkeypatch.setattr(masked, "TRANSPOSE_WORK", ALWAYS)
    makers.assert_same_matrix(masked_spgemm(A, B, mask), scattered)
    assert transposed
    # the order of summation would differ from that of an unsorted row
    transposed.clear()
    makers.assert_same_matrix(masked_spgemm(loose := makers.shuffled(rng, A), B, mask), expected_full(loose, B, mask))
    assert not transposed


def expected_full(A, B, mask):
    """Bits of SciPy's product at the places of a mask without duplicates; nothing here cancels to zero."""
    product = csr_array(A @ B)
    product.sort_indices()
    width = mask.shape[1]

    def places(matrix):
        return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * width + matrix.indices

    kept = np.isin(places(product), places(mask))
    rows = places(product)[kept] // width
    indptr = np.searchsorted(rows, np.arange(mask.shape[0] + 1))
    return makers.raw(product.data[kept], product.indices[kept], indptr, mask.shape)


def test_an_undemanding_mask_takes_dot_products_by_itself(rng, monkeypatch):
    A = makers.neat(rng, 200, 200, fill=0.3)
    transposed = []
    original = masked._transpose
    monkeypatch.setattr(masked, "_transpose", lambda *arrays: transposed.append(1) or original(*arrays))
    masked_spgemm(A, A, csr_array(np.eye(200)))
    assert transposed == [1]
    masked_spgemm(A, A, makers.neat(rng, 200, 200, fill=0.9))
    assert transposed == [1]


def test_sorted_if_asked_for_else_in_the_order_of_the_mask(rng):
    A = makers.neat(rng, 20, 20, fill=0.5)
    mask = makers.shuffled(rng, makers.neat(rng, 20, 20, fill=0.5))
    before = mask.indices.copy()
    ordered, given_order = masked_spgemm(A, A, mask), masked_spgemm(A, A, mask, sort=False)
    assert makers.rows_are_sorted(ordered)
    assert ordered.has_sorted_indices
    assert not makers.rows_are_sorted(given_order)
    assert not given_order.has_sorted_indices
    makers.assert_same_table(makers.as_table(given_order), makers.as_table(ordered))
    for i in range(20):
        row = given_order.indices[given_order.indptr[i] : given_order.indptr[i + 1]]
        wanted = mask.indices[mask.indptr[i] : mask.indptr[i + 1]]
        assert row.tolist() == [c for c in wanted if c in row]
    assert np.array_equal(mask.indices, before)


def test_cancelled_entries_stay_and_entries_outside_the_product_do_not_come():
    A = csr_array([[1.0, -1.0], [0.0, 0.0]])
    B = csr_array([[1.0, 0.0, 2.0], [1.0, 0.0, 1.0]])
    found = masked_spgemm(A, B, csr_array([[7.0, 7.0, 0.0], [7.0, 7.0, 7.0]]))
    assert found.indices.tolist() == [0]
    assert found.data.tolist() == [0.0]
    assert found.indptr.tolist() == [0, 1, 1]


def test_zeros_that_the_mask_stores_are_places_too_but_a_dense_mask_names_its_nonzeros():
    A = csr_array([[2.0, 0.0], [0.0, 3.0]])
    stored = csr_array((np.zeros(2), [0, 1], [0, 1, 2]), shape=(2, 2))
    assert masked_spgemm(A, A, stored).data.tolist() == [4.0, 9.0]
    assert masked_spgemm(A, A, np.array([[False, True], [False, True]])).toarray().tolist() == [[0, 0], [0, 9]]


@pytest.mark.parametrize("cost", [NEVER, ALWAYS], ids=["scattered", "dots"])
def test_not_a_number_stays_where_it_belongs(cost, rng, monkeypatch):
    monkeypatch.setattr(masked, "TRANSPOSE_WORK", cost)
    A, B = makers.neat(rng, 60, 60, fill=0.3), makers.neat(rng, 60, 60, fill=0.3)
    mask = makers.neat(rng, 60, 60, fill=0.2)
    clean = masked_spgemm(A, B, mask)
    spoiled = B.copy()
    spoiled.data[:5] = [np.nan, np.inf, -np.inf, np.nan, 1e308]
    makers.assert_same_table(makers.as_table(masked_spgemm(A, spoiled, mask)), expected_table(A, spoiled, mask))
    makers.assert_same_matrix(masked_spgemm(A, B, mask), clean)


def test_bits_do_not_depend_on_threads_or_on_the_width_of_indices(rng):
    A, mask = makers.neat(rng, 300, 300, fill=0.15), makers.neat(rng, 300, 300, fill=0.1)
    A.data[:10] = 0  # stored zeros
    assert np.diff(A.indptr)[A.indices].sum() > 1 << 17  # enough for a second thread
    with thread_limit(1):
        one = masked_spgemm(A, A, mask)
    with thread_limit(2):
        two = masked_spgemm(A, A, mask)
    makers.assert_same_matrix(one, two)
    wide = makers.raw(mask.data, mask.indices, mask.indptr, mask.shape, np.int64)
    makers.assert_same_matrix(masked_spgemm(A, A, wide), one)
    wide = makers.raw(A.data, A.indices, A.indptr, A.shape, np.int64)
    makers.assert_same_matrix(masked_spgemm(wide, A, mask), one)


@pytest.mark.parametrize("cost", [NEVER, ALWAYS], ids=["scattered", "dots"])
def test_arrays_with_room_for_more_entries(cost, rng, monkeypatch):
    monkeypatch.setattr(masked, "TRANSPOSE_WORK", cost)
    A, B, mask = (makers.neat(rng, 60, 60, fill=fill) for fill in (0.3, 0.3, 0.1))
    found = masked_spgemm(*(makers.roomy(matrix) for matrix in (A, B, mask)))
    makers.assert_same_matrix(found, masked_spgemm(A, B, mask))


def test_a_full_product_is_never_formed():
    n = 200_000  # a star: the full square has n * n entries
    hub, leaves = np.zeros(n - 1, dtype=int), np.arange(1, n)
    star = csr_array(coo_array((np.ones(2 * n - 2), (np.r_[hub, leaves], np.r_[leaves, hub])), shape=(n, n)))
    found = masked_spgemm(star, star, csr_array(([1.0, 1.0], ([0, 5], [0, 9])), shape=(n, n)))
    assert found.nnz == 2
    assert found.data.tolist() == [n - 1.0, 1.0]


def test_triangles_of_a_collaboration_graph(matrix_folder):
    A = csr_array(scipy.io.mmread(matrix_folder / "ca-GrQc.mtx.gz"))
    A.setdiag(0)
    A.eliminate_zeros()
    A.data = np.ones(A.nnz)
    lower = csr_array(tril(A, -1))
    lower.sort_indices()
    counted = masked_spgemm(lower, lower, lower, semiring="plus_pair")
    assert counted.dtype == np.int64
    assert counted.sum() == (A @ A @ A).trace() / 6 > 1000


A22, A23 = csr_array(np.eye(2)), csr_array(np.ones((2, 3)))
BROKEN = makers.raw([1.0], [2], [0, 1, 1], (2, 2))
FLOATING = makers.raw([1.0], [0.0], [0, 1, 1], (2, 2), np.float64)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((A22, A22, A23), {}, ValueError, r"mask has shape \(2, 3\).*A has shape \(2, 2\).*\(2, 2\)"),
        ((A23, A22, A22), {}, ValueError, r"A has shape \(2, 3\) and B has shape \(2, 2\)"),
        ((A22, A22, BROKEN), {}, ValueError, "mask holds a column index outside 0 to 1"),
        ((BROKEN, A22, A22), {}, ValueError, "A holds a column index"),
        ((A22, BROKEN, A22), {}, ValueError, "B holds a column index"),
        ((A22, A22, FLOATING), {}, TypeError, "mask has indices of dtype float64"),
        ((A22, A22, "A"), {}, TypeError, "mask is"),
        ((A22, A22, A22), {"semiring": "max_plus"}, ValueError, "semiring is 'max_plus': wanted one of plus_times"),
        ((A22, A22.astype(complex), A22), {"semiring": "min_plus"}, TypeError, "A has dtype float64 and B has dtype comp"),
    ],
    ids=["mask_shape", "inner", "mask_index", "a_index", "b_index", "float_index", "no_matrix", "semiring", "complex"],
)  # fmt: skip
def test_unusable_input_is_refused(arguments, options, error, message):
    with pytest.raises(error, match=message):
        masked_spgemm(*arguments, **options)
