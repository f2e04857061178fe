"""Deflation as a preconditioner: exact on its space, definite where it says so."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from ritzkit.linalg import as_operator
from ritzkit.solvers import cg, deflated_cg, gcrodr, gmres, precond

from . import makers


def dense(M):
    return np.stack([M.matvec(e) for e in np.eye(M.shape[0], dtype=M.dtype)], axis=1)


def blobs(n, k):
    """Indicator vectors of k runs of unknowns."""
    Z = np.zeros((n, k))
    Z[np.arange(n), np.arange(n) * k // n] = 1.0
    return Z


@pytest.mark.parametrize("one_level", [None, precond.ic], ids=["diagonal", "ic"])
def test_symmetric_definite_and_exact_on_the_space(one_level):
    A = as_operator(makers.poisson(8)[0], positive_definite=True)
    Z = blobs(64, 5)
    M = precond.deflation(A, Z, None if one_level is None else one_level(A))
    assert M.symmetric
    assert M.positive_definite
    matrix = dense(M)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    assert np.linalg.eigvalsh(matrix)[0] > 0
    np.testing.assert_allclose(matrix @ (A.matrix @ Z), Z, atol=1e-12)


@pytest.mark.parametrize("dtype", [float, complex, np.float32])
def test_general_matrices_take_the_other_form(dtype):
    A, b = makers.nonsymmetric(40, dtype=dtype)
    Z = np.random.default_rng(0).standard_normal((40, 4))
    M = precond.deflation(A, Z)
    assert not M.balancing
    atol = 1e-4 if dtype is np.float32 else 1e-11
    Q = np.linalg.qr(Z)[0]
    projected = A @ (M @ (A @ Q).astype(dtype))
    np.testing.assert_allclose(Q.conj().T @ projected, Q.conj().T @ (A @ Q), atol=atol * 100)
    assert gmres(A, b, M=M, rtol=1e-4, restart=40).success


def test_exact_eigenvectors_leave_the_others_alone():
    A = as_operator(makers.poisson(12)[0], positive_definite=True)
    _, Q = np.linalg.eigh(A.matrix.toarray())
    b = np.random.default_rng(0).standard_normal(144)
    M = precond.deflation(A, Q[:, :8], np.eye(144))
    projected = b - Q[:, :8] @ (Q[:, :8].T @ b)
    count = cg(A, b, M=M, rtol=1e-8).iterations
    reference = cg(A, projected, rtol=1e-8 * np.linalg.norm(b) / np.linalg.norm(projected)).iterations
    assert abs(count - reference) <= 2
    assert count < 0.7 * cg(A, b, rtol=1e-8).iterations


def test_it_is_what_deflated_cg_does():
    A = as_operator(makers.poisson(16)[0], positive_definite=True)
    space = gcrodr(A, np.ones(256), rtol=1e-8, k=8, restart=24).recycle
    b = np.random.default_rng(0).standard_normal(256)
    one = cg(A, b, M=precond.deflation(A, space, precond.jacobi(A)), rtol=1e-8).iterations
    other = deflated_cg(A, b, M=precond.jacobi(A), rtol=1e-8, recycle=space.copy()).iterations
    assert abs(one - other) <= 2


def test_update_takes_a_new_matrix_and_its_level_along():
    A = as_operator(makers.poisson(8)[0], positive_definite=True)
    B = as_operator(sp.csr_array(A.matrix + 2.0 * sp.eye_array(64)), positive_definite=True)
    Z = blobs(64, 3)
    M = precond.deflation(A, Z, precond.ic(A))
    M.update(B)
    np.testing.assert_allclose(dense(M), dense(precond.deflation(B, Z, precond.ic(B))), atol=1e-13)
    again = pickle.loads(pickle.dumps(M))
    np.testing.assert_array_equal(again.matvec(np.ones(64)), M.matvec(np.ones(64)))
    assert M.memory_bytes > 0
    assert M.setup_seconds > 0


def test_dependent_vectors_and_none_at_all():
    A = as_operator(makers.poisson(6)[0], positive_definite=True)
    Z = blobs(36, 3)
    doubled = precond.deflation(A, np.concatenate([Z, Z[:, :2], 0 * Z[:, :1]], axis=1))
    assert doubled.k == 3
    np.testing.assert_allclose(dense(doubled), dense(precond.deflation(A, Z)), atol=1e-12)
    np.testing.assert_allclose(dense(precond.deflation(A, np.empty((36, 0)))), dense(precond.jacobi(A)))


def test_bad_input_is_named():
    A = makers.poisson(4)[0]
    with pytest.raises(ValueError, match="Z has shape"):
        precond.deflation(A, np.ones((5, 2)))
    with pytest.raises(ValueError, match="NaN"):
        precond.deflation(A, np.full((16, 1), np.nan))
    with pytest.raises(ValueError, match="M has shape"):
        precond.deflation(A, np.ones((16, 1)), np.eye(3))
    with pytest.raises(TypeError, match="Z has dtype"):
        precond.deflation(A, np.full((16, 1), "x"))
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        precond.deflation(np.diag([0.0, 1.0]), np.array([[1.0], [0.0]]))
