"""Sparse products and their plans: SciPy's values bit for bit, a pattern that no value changes, clear refusals."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array, csr_matrix

from ritzkit.linalg import CSROperator, SpGEMMPlan, spgemm
from ritzkit.linalg.kernels import spgemm as kernels
from ritzkit.linalg.sparse_product import operands as gate
from ritzkit.linalg.sparse_product import product
from ritzkit.linalg.threads import thread_limit

from . import sparse_makers as makers

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)
KINDS = {
    "bitmap": kernels.BITMAP, "plain_bitmap": kernels.BITMAP_PLAIN, "positions": kernels.POSITIONS, "hash": kernels.HASH
}  # fmt: skip


def assert_is_product(found, A, B, *, sort=True):
    """SciPy's values on its pattern, bit for bit, zeros elsewhere; the pattern of all ones; sorted where asked for."""
    with np.errstate(all="ignore"):
        expected = csr_array(A @ B)  # SciPy drops what cancels
    expected.sort_indices()
    indptr, indices = makers.pattern_of_product(A, B)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    if sort:
        assert makers.rows_are_sorted(found)
        assert found.has_sorted_indices
    else:
        makers.as_table(found)  # no column twice in a row
        found = found.copy()
        found.has_sorted_indices = False
        found.sort_indices()
    assert np.array_equal(found.indptr, indptr)
    assert np.array_equal(found.indices, indices)
    found = found.copy()
    found.eliminate_zeros()
    assert np.array_equal(found.indices, expected.indices)
    assert np.array_equal(found.data, expected.data, equal_nan=found.dtype.kind in "fc")


def with_dense_row(rng, n, *, fill=0.002):
    matrix = makers.neat(rng, n, n, fill=fill).toarray()
    matrix[n // 2] = rng.standard_normal(n)
    return csr_array(matrix)


def with_dense_column(rng, n, *, fill=0.002):
    return csr_array(with_dense_row(rng, n, fill=fill).T)


# --- the product --------------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32), m=st.integers(0, 12), k=st.integers(0, 12), n=st.integers(0, 12),
    dtypes=st.sampled_from(["dd", "ff", "DD", "FF", "ii", "ll", "fd", "if", "dF", "bd"]),
    widths=st.sampled_from([(np.int32, np.int32), (np.int64, np.int64), (np.int32, np.int64)]),
    neat=st.booleans(), whole=st.booleans(), sort=st.booleans(),
)  # fmt: skip
@QUICK
def test_small_products_of_any_shape_and_type(seed, m, k, n, dtypes, widths, neat, whole, sort):
    rng = np.random.default_rng(seed)
    make = makers.neat if neat else makers.loose
    A = make(rng, m, k, dtype=dtypes[0], whole=whole, index=widths[0])
    B = make(rng, k, n, dtype=dtypes[1], whole=whole, index=widths[1])
    assert_is_product(spgemm(A, B, sort=sort), A, B, sort=sort)


@given(
    seed=st.integers(0, 2**32), m=st.integers(0, 150), k=st.integers(0, 150), n=st.integers(1, 400),
    fill=st.sampled_from([0.01, 0.05, 0.3]), neat=st.booleans(), whole=st.booleans(), sort=st.booleans(),
    kind=st.sampled_from(sorted(KINDS)), threads=st.sampled_from([1, 2]),
)  # fmt: skip
@QUICK
def test_every_accumulator(seed, m, k, n, fill, neat, whole, sort, kind, threads):
    rng = np.random.default_rng(seed)
    make = makers.neat if neat else makers.loose
    A, B = make(rng, m, k, fill=fill, whole=whole), make(rng, k, n, fill=fill, whole=whole)
    with thread_limit(threads):
        assert_is_product(forced(A, B, kind, sort=sort), A, B, sort=sort)


def forced(A, B, kind, *, sort=True):
    """Product through the parallel kernels, whatever its size, by one accumulator."""
    o = gate.operands(A, B)
    arrays = product.multiply(o, product.survey(o), sort, KINDS[kind] if kind else None)
    return product.assembled(o.shape, *arrays, sort)


@pytest.mark.parametrize("kind", [*KINDS, None], ids=[*KINDS, "chosen"])
@pytest.mark.parametrize("make", [with_dense_row, with_dense_column], ids=["dense_row", "dense_column"])
def test_one_row_or_column_with_most_of_the_work(make, kind, rng):
    A, B = make(rng, 500), makers.neat(rng, 500, 500)
    products = []
    for threads in (1, 2):
        with thread_limit(threads):
            products.append(forced(A, B, kind))
    assert_is_product(products[0], A, B)
    makers.assert_same_matrix(*products)
    with thread_limit(2):
        A, B = makers.shuffled(rng, A), makers.shuffled(rng, B)
        assert_is_product(forced(A, B, kind, sort=False), A, B, sort=False)


def test_a_row_that_outweighs_the_others_is_shared_by_threads(rng):
    structure = product.survey(gate.operands(with_dense_row(rng, 500), makers.neat(rng, 500, 500)))
    assert product.Chunks.cut(structure, 500, 2).split
    assert not product.Chunks.cut(structure, 500, 1).split


@pytest.mark.parametrize("dtype", ["d", "D", "l"])
def test_large_products_of_several_types_do_not_depend_on_threads(dtype, rng):
    A = makers.loose(rng, 300, 300, fill=0.15, dtype=dtype)
    assert np.diff(A.indptr)[A.indices].sum() > product.SMALL
    with thread_limit(1):
        one = spgemm(A, A)
    with thread_limit(2):
        makers.assert_same_matrix(spgemm(A, A), one)
        makers.assert_same_matrix(SpGEMMPlan(A, A)(A, A), one)
    assert_is_product(one, A, A)


@pytest.mark.parametrize("kind", [*KINDS, None], ids=[*KINDS, "chosen"])
def test_a_result_that_outgrows_the_first_guess(kind, rng, monkeypatch):
    A = makers.loose(rng, 300, 300, fill=0.05)
    expected = forced(A, A, kind)
    monkeypatch.setattr(product, "ROOM", 500)
    monkeypatch.setattr(product, "SLACK", 1)
    monkeypatch.setattr(product, "CHUNK", 1 << 11)
    for threads in (1, 2):
        with thread_limit(threads):
            makers.assert_same_matrix(forced(A, A, kind), expected)


def test_wide_indices(rng, monkeypatch):
    A = makers.loose(rng, 120, 120)
    expected = spgemm(A, A)
    monkeypatch.setattr(gate, "SMALLEST", 100)  # as if the matrix were too large for 32 bits
    assert gate.operands(A, A).aj.dtype == np.uint64
    for found in (spgemm(A, A), SpGEMMPlan(A, A)(A, A), forced(A, A, "hash")):
        assert np.array_equal(found.indptr, expected.indptr)
        assert np.array_equal(found.indices, expected.indices)
        assert makers.same_bits(found.data, expected.data)


@pytest.mark.parametrize("power", [34, 40])
def test_long_rows_of_more_columns_than_32_bits_count(power, rng):
    columns = np.sort(rng.choice(1 << 33, 300, replace=False)) << (power - 33)
    B = makers.raw(np.arange(300.0), rng.permutation(columns), np.arange(301), (300, 1 << power), np.int64)
    found = spgemm(csr_array(np.ones((1, 300))), B)
    order = np.argsort(B.indices)
    assert np.array_equal(found.indices, columns)
    assert np.array_equal(found.data, B.data[order])


def test_cancelled_entries_stay():
    C = spgemm(csr_array([[1.0, -1.0]]), csr_array([[2.0, 1.0], [2.0, 0.0]]))
    assert C.indices.tolist() == [0, 1]
    assert C.data.tolist() == [0.0, 1.0]
    stored = csr_array((np.zeros(2), [0, 1], [0, 1, 2]), shape=(2, 2))
    assert spgemm(stored, stored).nnz == 2


@pytest.mark.parametrize("kind", [*KINDS, None], ids=[*KINDS, "small"])
def test_not_a_number_stays_in_its_product(kind, rng):
    A, B = makers.loose(rng, 60, 60, fill=0.2), makers.loose(rng, 60, 60, fill=0.2)
    multiply = (lambda X, Y: forced(X, Y, kind)) if kind else spgemm
    clean = multiply(A, B)
    spoiled = A.copy()
    spoiled.data[::7] = np.nan
    spoiled.data[3::11] = np.inf
    found = multiply(spoiled, B)
    assert_is_product(found, spoiled, B)
    assert np.isnan(found.data).any()
    makers.assert_same_matrix(multiply(A, B), clean)


@pytest.mark.parametrize(
    "convert",
    [csc_array, csr_matrix, csr_array.tocoo, csr_array.toarray, CSROperator],
    ids=["csc", "matrix", "coo", "dense", "operator"],
)
def test_other_containers(convert, rng):
    A = makers.neat(rng, 30, 30)
    makers.assert_same_matrix(spgemm(convert(A), convert(A)), spgemm(A, A))


def test_factors_are_left_alone(rng):
    A = makers.loose(rng, 40, 40)
    before = A.indptr.copy(), A.indices.copy(), A.data.copy()
    C = spgemm(A, A)
    SpGEMMPlan(A, A)(A, A)
    for array, old in zip((A.indptr, A.indices, A.data), before, strict=True):
        assert np.array_equal(array, old)
        assert not any(np.shares_memory(array, part) for part in (C.indptr, C.indices, C.data))


@pytest.mark.parametrize("size", [30, 250], ids=["small", "large"])
def test_arrays_with_room_for_more_entries(size, rng):
    A, B = makers.loose(rng, size, size), makers.loose(rng, size, size)
    wide_a, wide_b = makers.roomy(A), makers.roomy(B)
    expected = spgemm(A, B)
    makers.assert_same_matrix(spgemm(wide_a, wide_b), expected)
    for plan in (SpGEMMPlan(A, B), SpGEMMPlan(wide_a, wide_b)):
        makers.assert_same_matrix(plan(A, B), expected)
        makers.assert_same_matrix(plan(wide_a, wide_b), expected)
        dA, dB = plan.backward(expected)
        assert dA.nnz == A.nnz
        assert dB.nnz == B.nnz


def test_products_in_several_threads_of_python_at_once(rng):
    matrices = [makers.loose(rng, 200, 200, fill=0.2) for _ in range(4)]
    expected = [spgemm(A, A) for A in matrices]
    plan = SpGEMMPlan(matrices[0], matrices[0])
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(lambda A: spgemm(A, A), matrices * 3), expected * 3, strict=True):
            makers.assert_same_matrix(found, wanted)
        for found in pool.map(lambda _: plan(matrices[0], matrices[0]), range(8)):
            makers.assert_same_matrix(found, expected[0])


# --- the plan -----------------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32), m=st.integers(0, 40), k=st.integers(0, 40), n=st.integers(0, 40),
    fill=st.sampled_from([0.05, 0.3]), neat=st.booleans(), width=st.sampled_from([np.int32, np.int64]),
)  # fmt: skip
@QUICK
def test_a_plan_multiplies_new_numbers_as_a_fresh_product_does(seed, m, k, n, fill, neat, width):
    rng = np.random.default_rng(seed)
    make = makers.neat if neat else makers.loose
    A, B = make(rng, m, k, fill=fill, index=width), make(rng, k, n, fill=fill, index=width)
    plan = SpGEMMPlan(A, B)
    for _ in range(2):
        A.data, B.data = makers.numbers(rng, A.nnz), makers.numbers(rng, B.nnz)
        expected = spgemm(A, B)
        makers.assert_same_matrix(plan(A, B), expected)
        assert makers.same_bits(plan.multiply(A.data, B.data), expected.data)
    assert plan.shape == (m, n)
    assert plan.nnz == expected.nnz
    assert np.array_equal(plan.indptr, expected.indptr)
    assert np.array_equal(plan.indices, expected.indices)
    assert plan.multiply_adds == np.diff(B.indptr)[A.indices].sum()
    assert plan.compression * max(1, plan.nnz) == pytest.approx(plan.multiply_adds)


def test_a_plan_for_one_type_serves_others(rng):
    A = makers.neat(rng, 30, 30)
    plan = SpGEMMPlan(A, A)
    turned = 1j * A
    makers.assert_same_matrix(plan(turned, A), spgemm(turned, A))


@pytest.mark.parametrize("order", [makers.neat, makers.loose], ids=["sorted", "unsorted"])
def test_a_heavy_row_in_a_plan(order, rng):
    A, B = with_dense_row(rng, 800), order(rng, 800, 800)
    expected = spgemm(A, B)
    for made in (1, 2):
        with thread_limit(made):
            plan = SpGEMMPlan(A, B)
        assert plan._chunks.split == (made == 2)
        for used in (1, 2):
            with thread_limit(used):
                makers.assert_same_matrix(plan(A, B), expected)


def test_results_of_a_plan_are_independent(rng):
    A = makers.neat(rng, 30, 30)
    plan = SpGEMMPlan(A, A)
    first = plan(A, A)
    kept = first.data.copy()
    second = plan(2 * A, A)
    assert not np.shares_memory(first.data, second.data)
    assert np.array_equal(first.data, kept)
    assert np.array_equal(second.data, 2 * kept)
    copy = second.copy()
    copy.indices[:] = 0
    copy.data[:] = np.nan
    makers.assert_same_matrix(plan(A, A), spgemm(A, A))
    for pattern in (first.indptr, first.indices, plan.indptr, plan.indices):
        with pytest.raises(ValueError, match="read-only"):
            pattern[0] = 1


def test_the_plan_keeps_its_own_patterns(rng):
    A = makers.neat(rng, 30, 30)
    kept = A.copy()
    plan = SpGEMMPlan(A, A)
    A.indices[:] = 0
    with pytest.raises(ValueError, match=r"A .* has another pattern"):
        plan(A, kept)
    makers.assert_same_matrix(plan(kept, kept), spgemm(kept, kept))
    arrays = (kept.indptr, kept.indices, kept.indptr, kept.indices, plan.indptr, plan.indices)
    assert plan.memory_bytes >= sum(array.nbytes for array in arrays)


def test_out_is_overwritten_and_handed_back(rng):
    A = makers.neat(rng, 30, 30)
    plan = SpGEMMPlan(A, A)
    out = plan(A, A)
    buffer = out.data
    assert plan(3 * A, A, out=out) is out
    assert out.data is buffer
    makers.assert_same_matrix(out, spgemm(3 * A, A))
    numbers = np.full(plan.nnz, np.nan)
    assert plan.multiply(A.data, A.data, out=numbers) is numbers
    assert np.array_equal(numbers, spgemm(A, A).data)
    with pytest.raises(ValueError, match="out is"):
        plan(A, A, out=spgemm(A, A))
    with pytest.raises(ValueError, match="out is"):
        plan(1j * A, A, out=out)
    cut = plan(A, A)
    cut.data = cut.data[:-1]
    with pytest.raises(ValueError, match="out is"):
        plan(A, A, out=cut)
    for wrong in (np.empty(plan.nnz + 1), np.empty(plan.nnz, np.float32), np.empty(2 * plan.nnz)[::2]):
        with pytest.raises(ValueError, match=rf"out is .* wanted an array of shape \({plan.nnz},\) and dtype float64"):
            plan.multiply(A.data, A.data, out=wrong)


def test_not_a_number_does_not_stay_in_a_plan(rng):
    A = makers.neat(rng, 30, 30)
    plan = SpGEMMPlan(A, A)
    clean = plan(A, A)
    assert np.isnan(plan(np.nan * A, A).data).all()
    makers.assert_same_matrix(plan(A, A), clean)


def moved(matrix):
    """As many entries, one of them in another column."""
    row = np.flatnonzero(np.diff(matrix.indptr) < matrix.shape[1])[0]
    begin, end = matrix.indptr[row : row + 2]
    free = np.setdiff1d(np.arange(matrix.shape[1]), matrix.indices[begin:end])[0]
    other = matrix.copy()
    other.indices[begin] = free
    return other


def carried(matrix):
    """As many entries in the same columns, one of them in the next row."""
    other = matrix.copy()
    row = np.flatnonzero(np.diff(matrix.indptr)[:-1])[0]
    other.indptr[row + 1] -= 1
    return other


def reordered(matrix):
    """Equal as a matrix; its numbers stand in another order."""
    return makers.shuffled(np.random.default_rng(0), matrix)


def longer(matrix):
    """One entry more."""
    added = matrix.toarray()
    added[tuple(np.argwhere(added == 0)[0])] = 1.0
    return csr_array(added)


@pytest.mark.parametrize("change", [moved, carried, reordered, longer])
@pytest.mark.parametrize("side", ["A", "B"])
def test_a_stale_plan_names_the_changed_factor(change, side, rng):
    A, B = makers.neat(rng, 30, 20), makers.neat(rng, 20, 25)
    plan = SpGEMMPlan(A, B)
    factors = {"A": A, "B": B}
    factors[side] = change(factors[side])
    with pytest.raises(ValueError, match=rf"^{side} .* has another pattern than the plan.*make a new SpGEMMPlan"):
        plan(*factors.values())
    with pytest.raises(ValueError, match=rf"^{side} .* has another pattern"):
        spgemm(*factors.values(), plan=plan)


@pytest.mark.parametrize("side", ["A", "B"])
def test_a_plan_refuses_other_shapes(side, rng):
    A, B = makers.neat(rng, 30, 20), makers.neat(rng, 20, 25)
    plan = SpGEMMPlan(A, B)
    factors = {"A": A, "B": B}
    factors[side] = csr_array(factors[side].T)
    message = rf"^{side} has shape .* the plan is for A of shape \(30, 20\) and B of shape \(20, 25\)"
    with pytest.raises(ValueError, match=message):
        plan(*factors.values())


def test_a_plan_refuses_too_few_numbers(rng):
    A = makers.neat(rng, 30, 30)
    plan = SpGEMMPlan(A, A)
    n = A.nnz
    with pytest.raises(ValueError, match=rf"a has shape \({n - 1},\): the plan is for {n} entries in A"):
        plan.multiply(A.data[1:], A.data)
    with pytest.raises(ValueError, match=rf"b has shape \({n}, 1\): the plan is for {n} entries in B"):
        plan.multiply(A.data, A.data[:, None])
    short = A.copy()
    short.data = A.data[:-1]
    with pytest.raises(ValueError, match="A "):
        plan(short, A)


# --- refusals -----------------------------------------------------------------------------------------------

A22, A23 = csr_array(np.eye(2)), csr_array(np.ones((2, 3)))


def typed(dtype):
    return makers.raw(np.ones(2, dtype), [0, 1], [0, 1, 2], (2, 2))


def broken(indices=(0, 1), indptr=(0, 1, 2), *, data=(1.0, 1.0), index=np.int32):
    return makers.raw(np.array(data), indices, indptr, (2, 2), index)


REFUSED = [
    ("inner", (A23, A22), {}, ValueError, r"A has shape \(2, 3\) and B has shape \(2, 2\)"),
    ("a_index", (broken([0, 2]), A22), {}, ValueError, "A holds a column index outside 0 to 1"),
    ("b_index", (A22, broken([0, 2])), {}, ValueError, "B holds a column index outside 0 to 1"),
    ("a_negative", (broken([-1, 0]), A22), {}, ValueError, "A holds a column index outside 0 to 1"),
    ("b_negative", (A22, broken([-1, 0])), {}, ValueError, "B holds a column index outside 0 to 1"),
    ("a_beyond_32_bits", (broken([0, 2**32 + 1], index=np.int64), A22), {}, ValueError, "A holds a column index outside"),
    ("b_beyond_32_bits", (A22, broken([2**32, 1], index=np.int64)), {}, ValueError, "B holds a column index outside"),
    ("b_unused_row", (csr_array((2, 2)), broken([0, 7])), {}, ValueError, "B holds a column index outside 0 to 1"),
    ("float_index", (broken([0.0, np.nan], index=np.float64), A22), {}, TypeError, "A has indices of dtype float64"),
    ("falling", (broken(indptr=[0, 2, 1]), A22), {}, ValueError, "A has row pointers"),
    ("overrun", (A22, broken(indptr=[0, 1, 3])), {}, ValueError, "B has row pointers"),
    ("no_origin", (A22, broken(indptr=[1, 1, 2])), {}, ValueError, "B has row pointers"),
    ("few_numbers", (broken(data=[1.0]), A22), {}, ValueError, "A has row pointers .* do not fit its entries"),
    ("half", (typed("e"), typed("e")), {}, TypeError, "A has dtype float16 and B has dtype float16"),
    ("longdouble", (A22, typed("g")), {}, TypeError, "A has dtype float64 and B has dtype (longdouble|float128)"),
    ("object", (typed("O"), A22), {}, TypeError, "A has dtype object and B has dtype float64"),
    ("semiring", (A22, A22), {"semiring": "plus"}, ValueError, "semiring is 'plus': wanted one of plus_times, min_plus"),
    ("mask_shape", (A22, A23), {"mask": A22}, ValueError, r"mask has shape \(2, 2\).*\(2, 3\)"),
    ("plan_and_mask", (A22, A22), {"plan": SpGEMMPlan(A22, A22), "mask": A22}, ValueError, "plan .*mask"),
    ("plan_and_semiring", (A22, A22), {"plan": SpGEMMPlan(A22, A22), "semiring": "or_and"}, ValueError, "plan .*semiring"),
    ("text", ("A", A22), {}, TypeError, "A is "),
    ("vector", (A22, np.ones(2)), {}, TypeError, "B is ndarray"),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=[case[0] for case in REFUSED])
def test_unusable_input_is_refused(case):
    _, factors, options, error, message = case
    with pytest.raises(error, match=message):
        spgemm(*factors, **options)
    if not options:
        with pytest.raises(error, match=message):
            SpGEMMPlan(*factors)


@pytest.mark.parametrize("side", ["A", "B"])
def test_an_index_out_of_range_in_a_large_product_is_refused(side, rng):
    factors = {"A": makers.loose(rng, 300, 300, fill=0.15), "B": makers.loose(rng, 300, 300, fill=0.15)}
    factors[side].indices[1234] = 300
    with pytest.raises(ValueError, match=f"{side} holds a column index outside 0 to 299"):
        spgemm(*factors.values())
