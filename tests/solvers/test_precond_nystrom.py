"""The Nystrom preconditioner: its formula, its effect, updates, refusals."""

import numpy as np
import pytest
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import aslinearoperator

from ritzkit.linalg import as_operator
from ritzkit.linalg.lowrank import KernelMatrix
from ritzkit.solvers import cg
from ritzkit.solvers.precond import nystrom


def psd(n=80, decay=0.7, dtype="d", seed=0):
    rng = np.random.default_rng(seed)
    G = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    U = np.linalg.qr(G)[0]
    A = (U * (100 * decay ** np.arange(n))) @ U.conj().T
    return ((A + A.conj().T) / 2).astype(dtype)


@pytest.mark.parametrize("dtype", list("fdD"))
@pytest.mark.parametrize("mu", [0.0, 0.1])
def test_it_is_the_formula_of_the_paper(mu, dtype):
    M = nystrom(psd(dtype=dtype), 20, mu=mu, rng=0)
    w, U = M.w.astype(float), M.U
    expected = (U * ((w[-1] + mu) / (w + mu))) @ U.conj().T + np.eye(80) - U @ U.conj().T
    tolerance = 100 * np.finfo(dtype).eps
    block = np.eye(80, dtype=dtype)
    np.testing.assert_allclose(M @ block, expected, atol=tolerance)
    np.testing.assert_allclose(np.stack([M @ column for column in block.T], axis=1), expected, atol=tolerance)
    assert M.dtype == np.dtype(dtype)
    assert (M.symmetric, M.positive_definite, M.fixed) == (True, True, True)
    assert np.linalg.eigvalsh(expected).min() > 0


def test_the_condition_number_falls_to_what_the_theory_promises():
    A, mu = psd(120), 0.01
    w = np.linalg.eigvalsh(A)
    effective = np.sum(w / (w + mu))
    conditions = []
    for seed in range(5):
        M = nystrom(A, int(2 * np.ceil(1.5 * effective) + 1), mu=mu, oversampling=0, rng=seed) @ np.eye(120)
        sizes = np.linalg.eigvals(M @ (A + mu * np.eye(120))).real
        conditions.append(sizes.max() / sizes.min())
    assert np.mean(conditions) < 28


@pytest.mark.parametrize("form", ["dense", "sparse", "operator", "products"])
def test_cg_needs_few_iterations(form):
    A, mu = psd(200, 0.9), 1e-4
    given = {"dense": A, "sparse": csr_array(A), "operator": as_operator(A), "products": aslinearoperator(A)}[form]
    system, b = as_operator(A + mu * np.eye(200), positive_definite=True), np.ones(200)
    plain = cg(system, b, rtol=1e-8, maxiter=2000)
    result = cg(system, b, rtol=1e-8, M=nystrom(given, 140, mu=mu, rng=0), maxiter=2000)
    assert result.success
    assert result.iterations < 20
    assert result.iterations < plain.iterations / 10


def test_kernel_ridge_regression_without_forming_the_kernel():
    points = np.random.default_rng(0).random((400, 2))
    K, mu = KernelMatrix(points, length=0.3), 1e-6 * 400
    system = as_operator(K, positive_definite=True) + mu * as_operator(
        diags_array(np.ones(400)), positive_definite=True
    )
    b = np.sin(5 * points[:, 0])
    M = nystrom(K, 60, mu=mu, rng=0)
    assert M.passes == 1
    assert cg(system, b, rtol=1e-8, M=M).iterations < cg(system, b, rtol=1e-8).iterations / 4


def test_an_update_serves_the_new_matrix_better_than_the_old_one():
    A = psd(decay=0.9)
    change = psd(decay=0.9, seed=1)
    new, b = A + 0.05 * change, np.ones(80)
    M = nystrom(A, 30, mu=0.1, rng=0)
    old = nystrom(A, 30, mu=0.1, rng=0)
    M.update(new)
    assert M.passes == 1
    fresh = nystrom(new, 30, mu=0.1, rng=1)
    system = as_operator(new + 0.1 * np.eye(80), positive_definite=True)
    needed = [cg(system, b, rtol=1e-8, M=P).iterations for P in (M, fresh, old)]
    assert needed[0] <= needed[1]
    assert needed[0] < needed[2]
    exact = np.sort(np.linalg.eigvalsh(new))[::-1][:30]
    assert np.abs(M.w - exact).max() < np.abs(fresh.w - exact).max()
    with pytest.raises(ValueError, match="shape"):
        M.update(np.eye(5))
    held = M.w.copy()
    with pytest.raises(ValueError, match="not positive semidefinite"):
        M.update(-new)
    np.testing.assert_array_equal(M.w, held)


def test_a_matrix_of_lower_rank_than_asked_for():
    A = np.diag([4.0, 1.0, 0, 0, 0, 0])
    M = nystrom(A, 5, rng=0)
    np.testing.assert_allclose(M.w, [4.0, 1.0], rtol=1e-12)
    np.testing.assert_allclose(M @ np.eye(6), np.diag([0.25, 1, 1, 1, 1, 1]), atol=1e-12)
    np.testing.assert_array_equal(nystrom(np.zeros((4, 4)), 2) @ np.ones(4), 1.0)


def test_the_same_seed_gives_the_same_map_and_memory_is_stated():
    A = psd()
    first, second = (nystrom(A, 10, rng=3) for _ in range(2))
    np.testing.assert_array_equal(first @ np.ones(80), second @ np.ones(80))
    assert first.name == "nystrom(10)"
    assert first.memory_bytes >= 10 * 80 * 8
    assert first.setup_seconds > 0


@pytest.mark.parametrize(
    ("A", "options", "kind", "message"),
    [
        (np.eye(4), {"rank": 5}, ValueError, "rank is 5"),
        (np.eye(4), {"rank": 0}, ValueError, "rank is 0"),
        (np.eye(4), {"rank": 2.5}, TypeError, "rank is 2.5"),
        (np.eye(4), {"rank": 2, "mu": -1.0}, ValueError, "mu is -1.0"),
        (np.ones((4, 3)), {"rank": 2}, ValueError, "square"),
        (np.diag([1.0, -1.0, 1.0]), {"rank": 3}, ValueError, "semidefinite"),
        (np.triu(np.ones((4, 4))), {"rank": 3}, ValueError, "not symmetric"),
        (np.full((4, 4), np.nan), {"rank": 3}, ValueError, "NaN"),
    ],
    ids=["rank_above", "rank_zero", "rank_float", "mu", "not_square", "indefinite", "nonsymmetric", "nan"],
)
def test_refusals(A, options, kind, message):
    with pytest.raises(kind, match=message):
        nystrom(A, **options)
