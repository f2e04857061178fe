"""The incomplete Cholesky preconditioner.

Facts, no allocation, and Eisenstat's form in conjugate gradients.
"""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array, diags_array, eye_array, kron
from scipy.sparse.linalg import LinearOperator, cg

from ritzkit.linalg import as_operator
from ritzkit.solvers.precond.ic import ic


def poisson(*shape):
    total = csr_array((1, 1))
    for m in shape:
        line = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
        total = kron(total, eye_array(m)) + kron(eye_array(total.shape[0]), line)
    return csr_array(total)


def pcg(A, b, M, steps):
    """Textbook preconditioned conjugate gradients: all iterates."""
    x, r = np.zeros_like(b), b.copy()
    z = M @ r
    p, rz, iterates = z.copy(), np.vdot(r, z).real, []
    for _ in range(steps):
        q = A @ p
        alpha = rz / np.vdot(p, q).real
        x, r = x + alpha * p, r - alpha * q
        z = M @ r
        rz, old = np.vdot(r, z).real, rz
        p = z + (rz / old) * p
        iterates.append(x)
    return iterates


def eisenstat_cg(form, b, steps):
    """Conjugate gradients in Eisenstat's form from zero.

    All iterates, mapped back, and the residual norms.
    """
    r, q, p = np.empty_like(b), np.empty_like(b), np.zeros_like(b)
    form.to_hat(b, r)
    x, rr, beta, iterates, norms = np.zeros_like(b), np.vdot(r, r).real, 0.0, [], []
    for _ in range(steps):
        curvature, squared = form.step(r, beta, p, q)
        norms.append(np.sqrt(squared))
        alpha = rr / curvature
        x, r = x + alpha * p, r - alpha * q
        rr, old = np.vdot(r, r).real, rr
        beta = rr / old
        mapped = np.empty_like(x)
        form.from_hat(x, mapped)
        iterates.append(mapped)
    return iterates, norms


@pytest.mark.parametrize("alpha", [0.0, 0.95, 1.0])
@pytest.mark.parametrize("shape", [(13, 11), (6, 5, 7)], ids=["2d", "3d"])
def test_eisenstat_form_makes_the_iterates_of_pcg(alpha, shape):
    A = poisson(*shape)
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    M = ic(A, alpha=alpha)
    plain = pcg(A, b, M, 12)
    fast, norms = eisenstat_cg(M.eisenstat(), b, 12)
    for x, y in zip(plain, fast, strict=True):
        np.testing.assert_allclose(y, x, rtol=0, atol=1e-11 * np.abs(x).max())
    expected = [np.linalg.norm(b), *(np.linalg.norm(b - A @ x) for x in plain[:-1])]
    np.testing.assert_allclose(norms, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "options", [{}, {"alpha": 1.0}, {"level": 2}, {"drop_tol": 1e-2}, {"dtype": np.float32}], ids=str
)
def test_it_is_a_definite_operator_that_speeds_up_cg(options):
    A = poisson(40, 40)
    M = ic(A, **options)
    assert M.symmetric
    assert M.positive_definite
    assert M.fixed
    assert M.memory_bytes >= M.factor.nnz * 4
    assert M.setup_seconds > 0
    n = A.shape[0]
    rng = np.random.default_rng(1)
    u, v = rng.standard_normal((2, n))
    np.testing.assert_allclose(u @ (M @ v), v @ (M @ u), rtol=1e-8)
    counts = []
    for preconditioner in (None, M):
        steps = []
        _, info = cg(A, u, rtol=1e-8, M=preconditioner, callback=steps.append)
        assert info == 0
        counts.append(len(steps))
    assert counts[1] < 0.5 * counts[0]
    out = np.empty(n)
    np.testing.assert_allclose(M.apply_dot(v, out), v @ out, rtol=1e-12)


def test_apply_allocates_nothing():
    A = poisson(100, 100)
    M = ic(A, alpha=0.95)
    r, out = np.ones(A.shape[0]), np.empty(A.shape[0])
    form = M.eisenstat()
    M.apply(r, out)
    form.step(r, 0.0, r.copy(), out)
    form.apply(r, out)
    p = np.zeros_like(r)
    tracemalloc.start()
    M.apply(r, out)
    form.step(r, 0.5, p, out)
    form.apply(r, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < A.shape[0]


def test_update_follows_the_matrix():
    A = poisson(12, 12)
    other = csr_array(A + diags_array(np.linspace(0, 1, 144)))
    M = ic(A, alpha=0.9)
    first = M.eisenstat()
    assert M.eisenstat() is first
    M.update(other)
    r = np.random.default_rng(2).standard_normal(144)
    assert np.array_equal(M @ r, ic(other, alpha=0.9) @ r)
    assert M.eisenstat() is not first
    with pytest.raises(ValueError, match="shape"):
        M.update(poisson(3, 3))


def test_facts_of_the_operator_are_believed():
    A = poisson(5, 5)
    lopsided = csr_array(A + csr_array(([1.0], ([0], [7])), shape=A.shape))
    with pytest.raises(ValueError, match="not symmetric"):
        ic(lopsided)
    with pytest.raises(ValueError, match="not symmetric"):
        ic(as_operator(A, symmetric=False))
    assert ic(as_operator(lopsided, symmetric=True)).factor.shift == 0  # believed: the upper triangle alone is read


def test_unusable_operators_are_refused():
    with pytest.raises(TypeError, match="cannot be assembled"):
        ic(LinearOperator((3, 3), matvec=lambda x: x, dtype=float))
    with pytest.raises(np.linalg.LinAlgError, match="row 1"):
        ic(csr_array(np.diag([1.0, -1.0])))
    with pytest.raises(ValueError, match="square"):
        ic(csr_array(np.ones((2, 3))))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "ic(0)"),
        ({"level": 2, "alpha": 1.0}, "mic(2)"),
        ({"alpha": 0.95}, "ric(0, alpha=0.95)"),
        ({"drop_tol": 0.01}, "ic(tol=0.01)"),
    ],
    ids=["ic", "mic", "ric", "ict"],
)
def test_name_says_which_member_of_the_family(options, name):
    assert ic(poisson(4, 4), **options).name == name
