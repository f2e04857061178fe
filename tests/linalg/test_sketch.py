"""Every sketch against its own dense matrix: products, adjoints, kinds of input, types, seeds."""

import pickle

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from ritzkit.linalg import DenseOperator, as_operator, sketch
from ritzkit.linalg import threads as thread_counts

D, M = 24, 70
MAKERS = {
    "gaussian": lambda d=D, m=M, rng=1: sketch.GaussianSketch(d, m, rng=rng),
    "sparse-sign": lambda d=D, m=M, rng=1: sketch.SparseSignSketch(d, m, rng=rng),
    "sparse-sign-5": lambda d=D, m=M, rng=1: sketch.SparseSignSketch(d, m, nnz=5, rng=rng),
    "count": lambda d=D, m=M, rng=1: sketch.CountSketch(d, m, rng=rng),
    "srht": lambda d=D, m=M, rng=1: sketch.SRHTSketch(d, m, rng=rng),
    "srtt": lambda d=D, m=M, rng=1: sketch.SRTTSketch(d, m, rng=rng),
    "circulant": lambda d=D, m=M, rng=1: sketch.CirculantSketch(d, m, rng=rng),
    "tensor": lambda d=D, m=M, rng=1: sketch.TensorSRHT(d, (m // 7, 7), rng=rng),
    "very-sparse": lambda d=D, m=M, rng=1: sketch.VerySparseProjection(d, m, density=0.3, rng=rng),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def block(kind, rows, rng):
    x = rng.standard_normal((rows, 5))
    return {
        "vector": lambda: x[:, 0].copy(),
        "float64": lambda: x,
        "fortran": lambda: np.asfortranarray(x),
        "strided": lambda: rng.standard_normal((rows, 10))[:, ::2],
        "float32": lambda: x.astype(np.float32),
        "complex": lambda: x + 1j * rng.standard_normal((rows, 5)),
        "integers": lambda: rng.integers(-9, 9, (rows, 5)),
        "big-endian": lambda: x.astype(">f8"),
        "read-only": lambda: np.broadcast_to(x[:, :1], (rows, 3)),
        "no-columns": lambda: x[:, :0],
    }[kind]()


@every
def test_products_and_adjoints_equal_those_of_the_dense_matrix(make, rng):
    S = make()
    dense = S.toarray()
    assert dense.shape == S.shape == (D, M)
    for kind in ("vector", "float64", "fortran", "strided", "float32", "complex", "integers", "big-endian", "read-only",
                 "no-columns"):  # fmt: skip
        tolerance = 1e-5 if kind == "float32" else 1e-12
        x, y = block(kind, M, rng), block(kind, D, rng)
        wanted = {"integers": np.float64, "big-endian": np.float64}.get(kind, x.dtype)
        for got, exact in ((S @ x, dense @ x), (S.T @ y, dense.T @ y), (S.H @ y, dense.T @ y)):
            np.testing.assert_allclose(got, exact, atol=tolerance, err_msg=kind)
            assert got.dtype == wanted, kind
    left = rng.standard_normal((2, D))
    np.testing.assert_allclose(left @ S, left @ dense, atol=1e-12)
    assert S.adjoint() is S.H
    assert S.T.T is S
    np.testing.assert_allclose(S.tocsr().toarray(), dense, atol=1e-14)
    np.testing.assert_allclose(S.T.tocsr().toarray(), dense.T, atol=1e-14)


@every
def test_sparse_matrices_and_operators_give_the_dense_product(make, rng):
    S = make()
    dense = S.toarray()
    A = sp.random_array((M, 9), density=0.2, rng=rng, format="csr")
    exact = dense @ A.toarray()
    wide = rng.standard_normal((M, 2 * D))
    cases = {
        "csr": A, "csc": A.tocsc(), "coo-matrix": sp.coo_matrix(A), "csr-operator": as_operator(A),
        "scipy-operator": sla.aslinearoperator(A), "dense-operator": DenseOperator(A.toarray()),
        "no-adjoint": sla.LinearOperator(A.shape, matvec=lambda x: A @ x, dtype=float),
    }  # fmt: skip
    for kind, given in cases.items():
        got = S @ given
        assert isinstance(got, np.ndarray), kind
        np.testing.assert_allclose(got, exact, atol=1e-12, err_msg=kind)
    np.testing.assert_allclose(S @ (1j * A), 1j * exact, atol=1e-12)
    assert (S @ A.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(
        S @ sla.aslinearoperator(wide), dense @ wide, atol=1e-12
    )  # by the adjoint: fewer products
    np.testing.assert_allclose(S.T @ sp.csr_array(np.eye(D)), dense.T, atol=1e-12)


@every
def test_the_same_seed_gives_the_same_map(make, rng):
    x = rng.standard_normal((M, 3))
    first = make(rng=7) @ x
    np.testing.assert_array_equal(first, make(rng=7) @ x)
    np.testing.assert_array_equal(first, make(rng=np.random.default_rng(7)) @ x)
    assert not np.allclose(first, make(rng=8) @ x)
    S = make(rng=7)
    S.H @ np.ones(D)
    np.testing.assert_array_equal(first, pickle.loads(pickle.dumps(S)) @ x)


@every
def test_lengths_are_kept_in_expectation(make):
    # each entry of the mean of S^T S has a deviation of at most about sqrt(3 / (D trials)) = 0.026
    mean = np.mean([(S := make(rng=k).toarray()).T @ S for k in range(200)], axis=0)
    assert np.abs(mean - np.eye(M)).max() < 6 * 0.026


@every
def test_tensors_come_back_as_tensors(make, rng):
    torch = pytest.importorskip("torch")
    S, x = make(), rng.standard_normal((M, 3))
    for given in (torch.from_numpy(x), torch.from_numpy(x[:, 0].copy())):
        got = S @ given
        assert got.dtype == torch.float64
        np.testing.assert_allclose(got.numpy(), S @ given.numpy(), atol=1e-13)
    np.testing.assert_allclose((S @ torch.from_numpy(x).to_sparse()).numpy(), S @ x, atol=1e-13)
    assert (S @ torch.from_numpy(x).float()).dtype == torch.float32


@pytest.mark.parametrize("d", [1, 3, 8, 13])
def test_every_column_of_a_sparse_sign_sketch_has_one_entry_in_each_stack(d):
    S = sketch.SparseSignSketch(d, 50, rng=0).tocsr().tocsc()
    nnz = min(8, d)
    np.testing.assert_array_equal(np.diff(S.indptr), nnz)
    np.testing.assert_allclose(np.abs(S.data), 1 / np.sqrt(nnz))
    stack = np.searchsorted(np.linspace(0, d, nnz + 1).astype(int), np.sort(S.indices.reshape(50, nnz)), "right") - 1
    np.testing.assert_array_equal(stack, np.tile(np.arange(nnz), (50, 1)))


@pytest.mark.parametrize("order", [1, 2, 64, 1 << 13])
@pytest.mark.parametrize("columns", [1, 3, 40])
def test_fwht_is_the_hadamard_matrix(order, columns, rng):
    x = rng.standard_normal((order, columns))
    np.testing.assert_allclose(sketch.fwht(x), scipy.linalg.hadamard(order) @ x, atol=1e-11 * order)


def test_fwht_twice_is_a_multiple_and_types_are_kept(rng):
    x = rng.standard_normal(1 << 17)
    np.testing.assert_allclose(sketch.fwht(sketch.fwht(x)), x * x.size, rtol=1e-9, atol=1e-6)
    assert sketch.fwht(np.ones(4, dtype=np.float32)).dtype == np.float32
    np.testing.assert_array_equal(sketch.fwht([1, 0, 0, 1j]), scipy.linalg.hadamard(4) @ np.array([1, 0, 0, 1j]))


@pytest.mark.parametrize("name", ["sparse-sign", "srht", "count"])
def test_the_number_of_threads_changes_no_bit(name, rng):
    S = MAKERS[name](64, 3000, 3)
    x = rng.standard_normal((3000, 130))
    A = sp.random_array((3000, 40), density=0.05, rng=rng, format="csr")
    found = []
    for threads in (1, 2):
        with thread_counts.thread_limit(threads):
            found.append((S @ x, S @ A, S.T @ (S @ x)))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_tensor_sketch_of_factors_never_forms_the_product(rng):
    A1, A2 = rng.standard_normal((300, 3)), rng.standard_normal((500, 3))
    S = sketch.TensorSRHT(40, (300, 500), rng=1)
    np.testing.assert_allclose(S.apply_factors(A1, A2), S @ np.kron(A1, A2), atol=1e-12)
    columnwise = np.stack([np.kron(A1[:, k], A2[:, k]) for k in range(3)], axis=1)
    np.testing.assert_allclose(S.apply_factors(A1, A2, columnwise=True), S @ columnwise, atol=1e-12)
    huge = sketch.TensorSRHT(16, (1 << 16, 1 << 16), rng=1)  # the product would have four thousand million rows
    assert huge.apply_factors(np.ones(1 << 16), np.ones(1 << 16)).shape == (16, 1)
    with pytest.raises(ValueError, match=r"A2 has shape \(300, 3\): wanted 500 rows"):
        S.apply_factors(A1, A1)
    with pytest.raises(ValueError, match="columnwise=True"):
        S.apply_factors(A1, A2[:, :2], columnwise=True)


RAISES = [
    ("d-zero", lambda: sketch.GaussianSketch(0, 4), ValueError, "d is 0"),
    ("d-fraction", lambda: sketch.SRHTSketch(2.5, 4), ValueError, "d is 2.5"),
    ("m-text", lambda: sketch.SRTTSketch(2, "4"), TypeError, "m is '4'"),
    ("nnz-zero", lambda: sketch.SparseSignSketch(4, 9, nnz=0), ValueError, "nnz is 0"),
    ("density", lambda: sketch.VerySparseProjection(4, 9, density=1.5), ValueError, "density is 1.5"),
    ("srht-too-many", lambda: sketch.SRHTSketch(17, 9), ValueError, "may be 16 at most"),
    ("srtt-too-many", lambda: sketch.SRTTSketch(10, 9), ValueError, "may be 9 at most"),
    ("tensor-m", lambda: sketch.TensorSRHT(4, 9), TypeError, "m is 9: wanted a pair"),
    ("rows", lambda: MAKERS["srht"]() @ np.ones((M + 1, 2)), ValueError, "wanted 70 rows"),
    ("rows-sparse", lambda: MAKERS["count"]() @ sp.csr_array((3, 2)), ValueError, "wanted 70 rows"),
    ("rows-adjoint", lambda: MAKERS["srtt"]().T @ np.ones(M), ValueError, "wanted 24 rows"),
    ("text", lambda: MAKERS["srht"]() @ np.full(M, "x"), TypeError, "wanted numbers"),
    ("fwht-length", lambda: sketch.fwht(np.ones(6)), ValueError, "power of 2"),
]


@pytest.mark.parametrize(("call", "error", "message"), [case[1:] for case in RAISES], ids=[case[0] for case in RAISES])
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
