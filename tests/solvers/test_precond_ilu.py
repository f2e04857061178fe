"""The incomplete LU preconditioner: inverse, adjoint, update."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.linalg import gmres

from ritzkit.solvers.precond.ilu import ilu


def unsymmetric(n, dtype="d", seed=0):
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((n, n)) * (rng.random((n, n)) < 5.0 / n)
    if dtype == "D":
        dense = dense + 1j * rng.standard_normal((n, n)) * (dense != 0)
    return csr_array((dense + np.diag(rng.uniform(2, 3, n))).astype(dtype))


@pytest.mark.parametrize("dtype", ["d", "D"])
@pytest.mark.parametrize("options", [{}, {"level": 1}, {"drop_tol": 0.01}], ids=str)
def test_it_applies_the_inverse_of_its_factors_and_the_adjoint(dtype, options):
    A = unsymmetric(80, dtype)
    M = ilu(A, **options)
    product = (M.factor.L @ M.factor.U).toarray()
    b = np.random.default_rng(1).standard_normal(80).astype(dtype)
    np.testing.assert_allclose(product @ (M @ b), b, atol=1e-10)
    np.testing.assert_allclose(product.conj().T @ M.rmatvec(b), b, atol=1e-10)
    np.testing.assert_allclose(product.conj().T @ (M.H @ b), b, atol=1e-10)
    assert M.memory_bytes > 0
    assert M.symmetric is None


def test_it_speeds_up_gmres():
    A = unsymmetric(400)
    b = np.ones(400)
    counts = []
    for M in (None, ilu(A)):
        steps = []
        _, info = gmres(A, b, rtol=1e-8, restart=50, M=M, callback=steps.append, callback_type="pr_norm")
        assert info == 0
        counts.append(len(steps))
    assert counts[1] < 0.5 * counts[0]


def test_update_and_apply_reuse_their_storage():
    A = unsymmetric(400)
    M = ilu(A)
    other = A.copy()
    other.data = other.data * np.linspace(1, 2, other.nnz)
    M.update(other)
    r = np.random.default_rng(2).standard_normal(A.shape[0])
    assert np.array_equal(M @ r, ilu(other) @ r)
    with pytest.raises(ValueError, match="shape"):
        M.update(unsymmetric(10))
    big = csr_array(np.diag(np.ones(2000)))
    M, r, out = ilu(big), np.ones(2000), np.empty(2000)
    M.apply(r, out)
    tracemalloc.start()
    M.apply(r, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2000


@pytest.mark.parametrize(
    ("options", "name"),
    [({}, "ilu(0)"), ({"level": 2}, "ilu(2)"), ({"drop_tol": 0.01}, "ilu(tol=0.01)")],
    ids=str,
)
def test_name_says_which_member_of_the_family(options, name):
    assert ilu(unsymmetric(10), **options).name == name


def test_unusable_input_is_refused():
    with pytest.raises(np.linalg.LinAlgError, match="no nonzero"):
        ilu(csr_array(np.diag([1.0, 0.0])))
    with pytest.raises(ValueError, match="level is -2"):
        ilu(unsymmetric(10), level=-2)
    with pytest.raises(ValueError, match="square"):
        ilu(csr_array(np.ones((2, 3))))
