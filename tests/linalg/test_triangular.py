"""Triangular solves: exact answers, clear refusals, no allocation."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array, eye_array, tril, triu
from scipy.sparse.linalg import spsolve_triangular

from ritzkit.linalg.triangular import TriangularSolver, solve_triangular


def triangle(n, dtype="d", *, lower=True, seed=0):
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.3)
    if np.dtype(dtype).kind == "c":
        dense = dense + 1j * rng.standard_normal((n, n)) * (dense != 0)
    dense = (np.tril if lower else np.triu)(dense, -1 if lower else 1) / 4 + np.diag(rng.uniform(1, 2, n))
    return csr_array(dense.astype(dtype))


def shuffled(matrix, seed=0):
    """Give back the same matrix with the entries of every row in another order."""
    rng = np.random.default_rng(seed)
    order = np.concatenate(
        [rng.permutation(np.arange(a, b)) for a, b in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)]
    )
    return csr_array((matrix.data[order], matrix.indices[order], matrix.indptr), shape=matrix.shape)


@pytest.mark.parametrize("lower", [True, False], ids=["lower", "upper"])
@pytest.mark.parametrize("dtype", ["d", "f", "D"])
@pytest.mark.parametrize("shape", [(), (3,)], ids=["vector", "block"])
def test_solution_reproduces_right_hand_side(lower, dtype, shape):
    T = triangle(60, dtype, lower=lower)
    x = np.random.default_rng(1).standard_normal((60, *shape)).astype(dtype)
    found = solve_triangular(T, T @ x, lower=lower)
    assert found.dtype == T.dtype
    assert found.shape == x.shape
    np.testing.assert_allclose(found, x, rtol=0, atol=2e4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("lower", [True, False], ids=["lower", "upper"])
def test_unit_diagonal_ignores_what_is_stored(lower):
    T = triangle(40, lower=lower)
    strict = csr_array((tril if lower else triu)(T, -1 if lower else 1))
    b = np.random.default_rng(2).standard_normal(40)
    expected = np.linalg.solve((strict + eye_array(40)).toarray(), b)
    for matrix in (T, strict, shuffled(T)):
        found = solve_triangular(matrix, b, lower=lower, unit_diagonal=True)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("lower", [True, False], ids=["lower", "upper"])
def test_order_of_entries_and_duplicates_do_not_matter(lower):
    T = triangle(50, lower=lower)
    b = np.random.default_rng(3).standard_normal(50)
    expected = solve_triangular(T, b, lower=lower)
    np.testing.assert_allclose(solve_triangular(shuffled(T), b, lower=lower), expected, rtol=1e-12)
    doubled = csr_array(
        (np.repeat(T.data / 2, 2), np.repeat(T.indices, 2), 2 * T.indptr), shape=T.shape
    )  # every entry in two halves
    np.testing.assert_allclose(solve_triangular(doubled, b, lower=lower), expected, rtol=1e-12)


def test_agrees_with_scipy_and_with_wide_indices():
    T = triangle(80, seed=5)
    b = np.random.default_rng(4).standard_normal(80)
    expected = spsolve_triangular(T, b)
    np.testing.assert_allclose(solve_triangular(T, b), expected, rtol=1e-11)
    wide = csr_array((T.data, T.indices.astype(np.int64), T.indptr.astype(np.int64)), shape=T.shape)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    np.testing.assert_allclose(solve_triangular(wide, b), expected, rtol=1e-11)


def test_integers_and_mixed_types_are_promoted():
    assert solve_triangular(csr_array([[2, 0], [2, 4]]), [2, 10]).tolist() == [1.0, 2.0]
    assert solve_triangular(csr_array([[2.0, 0.0], [2.0, 4.0]]), np.array([2j, 10j])).tolist() == [1j, 2j]
    assert solve_triangular(csr_array(np.zeros((0, 0))), np.zeros(0)).shape == (0,)


@pytest.mark.parametrize(
    ("matrix", "options", "error", "message"),
    [
        (csr_array([[1.0, 0.0], [1.0, 0.0]]), {}, np.linalg.LinAlgError, "row 1"),
        (csr_array([[1.0, 2.0], [0.0, 0.0]]), {"lower": False}, np.linalg.LinAlgError, "row 1"),
        (csr_array([[1.0, 2.0], [0.0, 1.0]]), {}, ValueError, "above the diagonal in row 0"),
        (csr_array([[1.0, 0.0], [2.0, 1.0]]), {"lower": False}, ValueError, "below the diagonal in row 1"),
        (csr_array([[1.0, 0.0], [2.0, 1.0]]), {"lower": False, "unit_diagonal": True}, ValueError, "row 1"),
        (csr_array(np.ones((2, 3))), {}, ValueError, "square"),
        (np.eye(2), {}, TypeError, "ndarray"),
    ],
    ids=[
        "zero_pivot",
        "missing_pivot",
        "upper_entry",
        "lower_entry",
        "unit_lower_entry",
        "rectangular",
        "dense",
    ],
)
@pytest.mark.parametrize("shape", [(2,), (2, 2)], ids=["vector", "block"])
def test_unusable_matrix_is_refused(matrix, options, error, message, shape):
    with pytest.raises(error, match=message):
        solve_triangular(matrix, np.ones(shape), **options)
    with pytest.raises(error, match=message):
        TriangularSolver(matrix, **options)


@pytest.mark.parametrize("b", [np.ones(3), np.ones((2, 2, 2)), 1.0], ids=["long", "three_axes", "scalar"])
def test_right_hand_side_must_fit(b):
    with pytest.raises(ValueError, match=r"wanted \(2,\) or \(2, k\)"):
        solve_triangular(csr_array(np.eye(2)), b)


@pytest.mark.parametrize("lower", [True, False], ids=["lower", "upper"])
@pytest.mark.parametrize("mode", ["N", "T", "H"])
@pytest.mark.parametrize("dtype", ["d", "D"])
@pytest.mark.parametrize("unit", [False, True], ids=["pivots", "unit"])
def test_solver_inverts_matrix_transpose_and_adjoint(lower, mode, dtype, unit):
    T = triangle(50, dtype, lower=lower)
    solver = TriangularSolver(T, lower=lower, unit_diagonal=unit)
    dense = T.toarray()
    if unit:
        np.fill_diagonal(dense, 1)
    dense = {"N": dense, "T": dense.T, "H": dense.conj().T}[mode]
    x = np.random.default_rng(6).standard_normal((50, 2)).astype(dtype)
    np.testing.assert_allclose(solver.solve(dense @ x[:, 0], mode=mode), x[:, 0], rtol=1e-10)
    np.testing.assert_allclose(solver.solve(dense @ x, mode=mode), x, rtol=1e-10)


def test_solver_with_out_allocates_nothing():
    n = 20_000
    solver = TriangularSolver(csr_array(eye_array(n)))
    b, out = np.ones(n), np.empty(n)
    solver.solve(b, out)
    solver.solve(b, out, mode="T")
    tracemalloc.start()
    result = solver.solve(b, out)
    solver.solve(b, out, mode="T")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result is out
    assert peak < n  # bytes: far below one vector
    with pytest.raises(ValueError, match="out has shape"):
        solver.solve(b, np.empty(3))
    with pytest.raises(ValueError, match="mode is 'X'"):
        solver.solve(b, mode="X")
