"""Planned products in torch: derivatives of every order, on the patterns of the factors."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csr_array

torch = pytest.importorskip("torch")

from ritzkit.learned import planned_product, product_plan, sparse_product  # noqa: E402
from ritzkit.linalg import SpGEMMPlan, spgemm  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:.*Sparse CSR tensor support.*"),  # announced once per process
    pytest.mark.filterwarnings("ignore:.*Sparse invariant checks.*"),
]


def loose(rng, m, n, fill=0.3):
    """Columns in any order, some of them twice."""
    lengths = rng.binomial(n, fill, m)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return csr_array((rng.standard_normal(indptr[-1]), rng.integers(0, n, indptr[-1]), indptr), shape=(m, n))


def numbers(rng, size, dtype=torch.float64):
    values = torch.from_numpy(rng.standard_normal(size))
    if dtype.is_complex:
        values = torch.complex(values, torch.from_numpy(rng.standard_normal(size)))
    return values.to(dtype).requires_grad_()


def tensor(matrix, dtype=torch.float64, index=torch.int64):
    parts = (torch.tensor(part, dtype=index) for part in (matrix.indptr, matrix.indices))
    return torch.sparse_csr_tensor(*parts, torch.tensor(matrix.data, dtype=dtype), size=matrix.shape)


@pytest.mark.parametrize(
    "dtypes",
    [(torch.float64, torch.float64), (torch.complex128, torch.complex128), (torch.float64, torch.complex128)],
    ids=["real", "complex", "mixed"],
)
def test_first_and_second_derivatives(dtypes, rng):
    A, B = loose(rng, 5, 4), loose(rng, 4, 6)
    plan = SpGEMMPlan(A, B)
    a, b = numbers(rng, A.nnz, dtypes[0]), numbers(rng, B.nnz, dtypes[1])
    assert torch.autograd.gradcheck(lambda x, y: planned_product(plan, x, y), (a, b))
    assert torch.autograd.gradgradcheck(lambda x, y: planned_product(plan, x, y), (a, b))


def test_third_derivatives_of_a_cube(rng):
    A = loose(rng, 4, 4, 0.6)
    plan = SpGEMMPlan(A, A)
    a = numbers(rng, A.nnz)
    value = (planned_product(plan, a, a) ** 3).sum()
    for degree in (6, 5, 4):
        (slope,) = torch.autograd.grad(value, a, create_graph=True)
        torch.testing.assert_close((slope * a).sum(), degree * value)  # Euler, for functions of that degree in a
        value = (slope * a.detach()).sum()  # a derivative along a fixed direction: one degree less


def test_agrees_with_the_product_of_numpy_arrays(rng):
    A, B = loose(rng, 30, 20), loose(rng, 20, 25)
    plan = SpGEMMPlan(A, B)
    for dtype in (torch.float32, torch.float64):
        a, b = (torch.tensor(M.data, dtype=dtype) for M in (A, B))
        found = planned_product(plan, a, b)
        assert found.dtype == dtype
        assert np.array_equal(found.numpy(), plan.multiply(a.numpy(), b.numpy()))


def test_one_gradient_alone_costs_one_product(rng, monkeypatch):
    A = loose(rng, 20, 20)
    plan = SpGEMMPlan(A, A)
    asked = []
    original = plan.gradients
    monkeypatch.setattr(plan, "gradients", lambda *args, wanted: asked.append(wanted) or original(*args, wanted=wanted))
    a, b = numbers(rng, A.nnz), numbers(rng, A.nnz).detach()
    planned_product(plan, a, b).sum().backward()
    planned_product(plan, b, a).sum().backward()
    assert asked == [(True, False), (False, True)]


def test_tensors_on_the_cpu_are_not_copied(rng, monkeypatch):
    A = loose(rng, 20, 20)
    plan = SpGEMMPlan(A, A)
    seen = []
    original = plan.multiply
    monkeypatch.setattr(plan, "multiply", lambda a, b: seen.extend((a, b)) or original(a, b))
    a, b = numbers(rng, A.nnz), numbers(rng, A.nnz)
    planned_product(plan, a, b)
    assert np.shares_memory(seen[0], a.detach().numpy())
    assert np.shares_memory(seen[1], b.detach().numpy())


def test_conjugated_and_strided_views(rng):
    A = loose(rng, 20, 20)
    plan = SpGEMMPlan(A, A)
    a = numbers(rng, 2 * A.nnz, torch.complex128).detach()
    view = a[::2].conj()
    expected = plan.multiply(a.numpy()[::2].conj(), a.numpy()[::2].conj())
    assert np.array_equal(planned_product(plan, view, view).numpy(), expected)


@pytest.mark.parametrize("index", [torch.int32, torch.int64], ids=["int32", "int64"])
def test_sparse_tensors_keep_their_patterns_in_the_gradient(index, rng):
    A, B = loose(rng, 12, 10), loose(rng, 10, 14)
    A.sum_duplicates()  # torch allows no column twice, and wants them sorted
    B.sum_duplicates()
    left, right = tensor(A, index=index).requires_grad_(), tensor(B, index=index).requires_grad_()
    plan = product_plan(left, right)
    expected = spgemm(A, B)
    for C in (sparse_product(left, right), sparse_product(left, right, plan=plan)):
        assert C.layout == torch.sparse_csr
        assert tuple(C.shape) == (12, 14)
        assert C.crow_indices().dtype == C.col_indices().dtype == index
        assert np.array_equal(C.col_indices().numpy(), expected.indices)
        assert np.array_equal(C.values().detach().numpy(), expected.data)
    weights = torch.from_numpy(rng.standard_normal(expected.nnz))
    (C.values() * weights).sum().backward()
    da, db = plan.gradients(weights.numpy(), A.data, B.data)
    for sparse, gradient, matrix in ((left, da, A), (right, db, B)):
        assert np.array_equal(sparse.grad.col_indices().numpy(), matrix.indices)
        assert np.array_equal(sparse.grad.crow_indices().numpy(), matrix.indptr)
        assert np.array_equal(sparse.grad.values().numpy(), gradient)


def test_a_chain_of_sparse_products_against_the_dense_gradient(rng):
    A = loose(rng, 8, 8)
    A.sum_duplicates()
    sparse, dense = tensor(A).requires_grad_(), torch.tensor(A.toarray()).requires_grad_()
    target = torch.from_numpy(rng.standard_normal((8, 8)))
    (sparse_product(sparse_product(sparse, sparse), sparse).to_dense() * target).sum().backward()
    ((dense @ dense @ dense) * target).sum().backward()
    rows = np.repeat(np.arange(8), np.diff(A.indptr))
    torch.testing.assert_close(sparse.grad.values(), dense.grad[rows, A.indices])


def test_what_torch_writes_into_a_result_leaves_the_plan_alone(rng):
    A = loose(rng, 10, 10)
    A.sum_duplicates()
    plan = product_plan(tensor(A), tensor(A))
    before = plan.indices.copy()
    sparse_product(tensor(A), tensor(A), plan=plan).col_indices().zero_()
    assert np.array_equal(plan.indices, before)


A22 = csr_array(np.array([[1.0, 2.0], [0.0, 3.0]]))


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        (np.ones(3), torch.ones(3), TypeError, "a_values is a ndarray: wanted a torch tensor"),
        (torch.ones(3), torch.ones(3, dtype=torch.int64), TypeError, "b_values has dtype torch.int64: wanted float32"),
        (torch.ones(3).half(), torch.ones(3), TypeError, "a_values has dtype torch.float16: .*float"),
        (torch.ones(2), torch.ones(3), ValueError, r"a has shape \(2,\): the plan is for 3 entries in A"),
    ],
    ids=["numpy", "whole", "half", "short"],
)
def test_unusable_numbers_are_refused(a, b, error, message):
    with pytest.raises(error, match=message):
        planned_product(SpGEMMPlan(A22, A22), a, b)


def test_unusable_tensors_are_refused():
    good, turned = tensor(A22), tensor(csr_array(A22.T))
    with pytest.raises(TypeError, match=r"A is a torch.strided tensor: wanted .* CSR tensor; use \.to_sparse_csr"):
        sparse_product(good.to_dense(), good)
    with pytest.raises(TypeError, match="B is a csr_array"):
        sparse_product(good, A22)
    with pytest.raises(ValueError, match=r"B .* has another pattern than the plan"):
        sparse_product(good, turned, plan=product_plan(good, good))
    wide = tensor(csr_array(np.ones((2, 3))))
    with pytest.raises(ValueError, match=r"A has shape \(2, 3\) and B has shape \(2, 2\)"):
        sparse_product(wide, good)


def test_the_floor_itself_loads_no_torch_before_it_is_used():
    code = "import sys, ritzkit.learned; print('torch' in sys.modules, dir(ritzkit.learned))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("False ['planned_product'")
