"""What sparse products share, keep and hand out: memory of results, scratch, copies of plans, kinds of input."""

import copy
import pickle

import numpy as np
import pytest
from scipy.sparse import block_diag, csr_array, diags_array

from ritzkit.linalg import DenseOperator, DiagonalOperator, RAPPlan, SpGEMMPlan, rap, spgemm
from ritzkit.linalg.sparse_product import product, release_scratch
from ritzkit.linalg.threads import thread_limit

from . import sparse_makers as makers


@pytest.fixture
def rng():
    return np.random.default_rng(5)


# --- results that overlap their factors ------------------------------------------------------------------------------


def test_a_product_may_be_written_over_a_factor(rng):
    A = makers.neat(rng, 60, 60)
    D = csr_array(diags_array(rng.standard_normal(60)))
    plan = SpGEMMPlan(A, D)
    expected = plan.multiply(A.data, D.data)
    a = A.data.copy()
    assert makers.same_bits(plan.multiply(a, D.data, out=a), expected)


def test_powers_of_a_matrix_in_place(rng):
    blocks = csr_array(block_diag([rng.standard_normal((3, 3)) for _ in range(20)]))
    plan = SpGEMMPlan(blocks, blocks)
    power = plan(blocks, blocks)
    expected = (blocks @ blocks @ blocks).toarray()
    power = plan(power, blocks, out=power)
    assert np.allclose(power.toarray(), expected, rtol=1e-13)
    dA, _ = plan.backward(np.ones(plan.nnz))  # of the last product, whose left factor was overwritten
    other = SpGEMMPlan(blocks, blocks)
    other(plan(blocks, blocks), blocks)
    assert makers.same_bits(dA.data, other.backward(np.ones(plan.nnz))[0].data)


def test_a_triple_product_may_be_written_over_its_restriction(rng):
    A, eye = makers.neat(rng, 30, 30), csr_array(diags_array(np.ones(30)))
    plan = RAPPlan(A, eye, eye)
    r = A.data.copy()
    assert makers.same_bits(plan.multiply(r, eye.data, eye.data, out=r), A.data)


# --- copies of plans -------------------------------------------------------------------------------------------------

COPIES = {"pickle": lambda plan: pickle.loads(pickle.dumps(plan)), "deepcopy": copy.deepcopy, "copy": copy.copy}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_of_a_plan_works_and_keeps_its_pattern(way, rng):
    A, B = makers.neat(rng, 80, 70), makers.neat(rng, 70, 90)
    plan = SpGEMMPlan(A, B)
    expected = plan(A, B)
    other = COPIES[way](plan)
    found = other(A, B)
    makers.assert_same_matrix(found, expected)
    with pytest.raises(ValueError, match="read-only"):
        found.eliminate_zeros()
    with pytest.raises(RuntimeError, match="backward needs"):
        COPIES[way](plan).backward(np.ones(plan.nnz))
    triple = COPIES[way](RAPPlan(None, csr_array(A @ A.T), A))
    assert not triple(None, csr_array(A @ A.T), A).indices.flags.writeable


# --- threads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["heavy_row", "scattered"])
def test_unsorted_products_do_not_depend_on_the_number_of_threads(kind, rng, monkeypatch):
    monkeypatch.setattr(product, "CHUNK", 64)
    monkeypatch.setattr(product, "SMALL", 0)
    A = makers.neat(rng, 300, 300, fill=0.002).tolil()
    if kind == "heavy_row":
        A[7] = rng.standard_normal(300)
    A, B = csr_array(A), makers.shuffled(rng, makers.neat(rng, 300, 400, fill=0.02))
    results = []
    for threads in (1, 2):
        with thread_limit(threads):
            results.append(spgemm(A, B, sort=False))
    assert np.array_equal(results[0].indices, results[1].indices)
    assert makers.same_bits(results[0].data, results[1].data)


# --- choices that large matrices make --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits", [{"WIDE": 100}, {"FAR": 100, "FAR_ROW": 500, "LONG": 0}], ids=["hash_tables", "ranges_of_columns"]
)
@pytest.mark.parametrize("sort", [True, False])
def test_wide_matrices_give_the_same_product(limits, sort, rng, monkeypatch):
    A, B = makers.neat(rng, 100, 120, fill=0.2), makers.neat(rng, 120, 900, fill=0.1)
    expected = spgemm(A, B)
    monkeypatch.setattr(product, "SMALL", 0)
    for name, value in limits.items():
        monkeypatch.setattr(product, name, value)
    found = spgemm(A, B, sort=sort)
    assert found.has_sorted_indices or not sort
    found.has_sorted_indices = False
    found.sort_indices()
    makers.assert_same_matrix(found, expected)


def test_a_number_per_column_is_refused_where_there_are_too_many(rng):
    wide = csr_array((np.ones(2), np.array([0, 2**36], np.int64), np.array([0, 1, 2], np.int64)), shape=(2, 2**37))
    A = csr_array(np.eye(2))
    assert spgemm(A, wide).nnz == 2
    with pytest.raises(ValueError, match=f"B has {2**37} columns"):
        SpGEMMPlan(A, wide)
    with pytest.raises(ValueError, match=f"B has {2**37} columns"):
        spgemm(A, wide, semiring="min_plus")
    with pytest.raises(ValueError, match=f"B has {2**37} columns"):
        spgemm(A, wide, mask=wide)


# --- scratch ---------------------------------------------------------------------------------------------------------


def test_scratch_is_given_back(rng):
    A = makers.neat(rng, 300, 300, fill=0.1)
    expected = spgemm(A, A)
    assert product._scratch.__dict__
    release_scratch()
    assert not product._scratch.__dict__
    makers.assert_same_matrix(spgemm(A, A), expected)


# --- kinds of input --------------------------------------------------------------------------------------------------


def test_operators_with_entries_are_factors(rng):
    dense, diagonal = rng.standard_normal((5, 5)), rng.standard_normal(5)
    found = spgemm(DenseOperator(dense), DiagonalOperator(diagonal))
    assert np.array_equal(found.toarray(), dense * diagonal)


def test_read_only_and_mapped_factors(rng, tmp_path):
    A = makers.neat(rng, 200, 200, fill=0.1)
    expected = spgemm(A, A)
    np.save(tmp_path / "data.npy", A.data)
    mapped = csr_array((np.load(tmp_path / "data.npy", mmap_mode="r"), A.indices, A.indptr), shape=A.shape)
    locked = A.copy()
    for part in (locked.data, locked.indices, locked.indptr):
        part.flags.writeable = False
    for factor in (mapped, locked):
        makers.assert_same_matrix(spgemm(factor, A), expected)
        makers.assert_same_matrix(SpGEMMPlan(factor, factor)(factor, factor), expected)


def test_arrays_with_room_for_more_entries_in_a_triple_product(rng):
    A, P = makers.neat(rng, 40, 40), makers.neat(rng, 40, 9)
    expected = rap(None, A, P)
    roomy = makers.roomy(P)
    makers.assert_same_matrix(RAPPlan(None, A, roomy)(None, A, roomy), expected)


@pytest.mark.parametrize("out", [[1.0], "text", np.zeros(3)], ids=["list", "text", "short"])
def test_unusable_storage_for_a_result_is_refused(out, rng):
    A = makers.neat(rng, 10, 10)
    plan = SpGEMMPlan(A, A)
    with pytest.raises(ValueError, match="out is"):
        plan.multiply(A.data, A.data, out=out)
    with pytest.raises(ValueError, match="out is"):
        plan(A, A, out=out)
    locked = np.zeros(plan.nnz)
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="writeable"):
        plan.multiply(A.data, A.data, out=locked)


def test_something_else_than_a_plan_is_refused(rng):
    A = makers.neat(rng, 4, 4)
    with pytest.raises(TypeError, match="plan is int: wanted an SpGEMMPlan"):
        spgemm(A, A, plan=3)
