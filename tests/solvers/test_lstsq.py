"""Least squares: the backward error of every method, against LAPACK, on the whole range of condition numbers."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as sla

import ritzkit
from ritzkit.linalg import sketch
from ritzkit.solvers import LeastSquaresResult, Outcome, lstsq

EPS = np.finfo(float).eps
ACCURATE = ["sketch_precondition", "fossils", "cqrrt", "qr"]


def problem(rng, m=3000, n=20, condition=1e4, residual=1e-2, k=None):
    left, right = (np.linalg.qr(rng.standard_normal((size, n)))[0] for size in (m, n))
    A = (left * np.logspace(0, -np.log10(condition), n)) @ right.T
    x = rng.standard_normal((n, k) if k else n)
    noise = rng.standard_normal((m, k) if k else m)
    return A, A @ x / np.linalg.norm(A @ x) + residual * noise / np.sqrt(m)


def backward_error(A, b, x):
    """Karlson and Walden's estimate, from the SVD of A itself, relative to A."""
    _, s, Vh = np.linalg.svd(A, full_matrices=False)
    r = b - A @ x
    theta = np.linalg.norm(A) / np.linalg.norm(b)
    weight = theta / np.sqrt(1 + (theta * np.linalg.norm(x)) ** 2)
    gradient = Vh @ (A.conj().T @ r)
    size = np.linalg.norm(gradient / np.sqrt(s**2 + (weight * np.linalg.norm(r)) ** 2))
    return weight * size / np.linalg.norm(A)


@pytest.mark.parametrize("residual", [1e-12, 1.0], ids=["consistent", "large-residual"])
@pytest.mark.parametrize("condition", [1, 1e5, 1e9, 1e14])
@pytest.mark.parametrize("method", ACCURATE)
def test_accurate_methods_are_backward_stable(method, condition, residual, rng):
    A, b = problem(rng, condition=condition, residual=residual)
    result = lstsq(A, b, method=method, rng=0)
    assert result.success
    assert result.method == method
    assert backward_error(A, b, result.x) <= 10 * EPS
    assert result.backward_error == pytest.approx(backward_error(A, b, result.x), rel=0.5, abs=0.2 * EPS)
    assert result.residual_norm == pytest.approx(np.linalg.norm(b - A @ result.x), rel=1e-3, abs=1e-15)
    assert result.rank == 20
    exact = scipy.linalg.lstsq(A, b, lapack_driver="gelsd")[0]
    wedin = 100 * EPS * condition * (np.linalg.norm(exact) + condition * np.linalg.norm(b - A @ exact))
    assert np.linalg.norm(result.x - exact) <= max(wedin, 1e-12)


def test_sketched_methods_read_the_matrix_a_few_times_only(rng):
    A, b = problem(rng, m=20000, n=10, residual=1.0)
    assert lstsq(A, b, method="sketch_precondition", rng=0).passes <= 25
    assert lstsq(A, b, method="cqrrt", rng=0).passes <= 4
    assert lstsq(A, b, method="sketch_solve", rng=0).passes == 1


@pytest.mark.parametrize("eps", [0.1, 0.5])
def test_sketch_and_solve_keeps_its_word(eps, rng):
    A, b = problem(rng, residual=1.0)
    least = np.linalg.norm(b - A @ np.linalg.lstsq(A, b)[0])
    misses = 0
    for seed in range(60):
        result = lstsq(A, b, method="sketch_solve", eps=eps, rng=seed)
        ratio = np.linalg.norm(b - A @ result.x) / least
        misses += not result.success
        assert ratio <= 1 + (eps if result.success else 2 * eps)
    assert misses <= 4  # made for one in a hundred


def test_guarantee_in_the_maximum_norm(rng):
    A = np.linalg.qr(rng.standard_normal((8000, 4)))[0]
    b = rng.standard_normal(8000)
    exact, eps = A.T @ b, 0.5
    unit = np.linalg.norm(b - A @ exact)
    for seed in range(5):
        result = lstsq(A, b, guarantee="linf", eps=eps, rng=seed)
        assert result.method == "sketch_solve"
        assert 0 < result.rows < 8000
        assert np.abs(result.x - exact).max() <= eps * unit / 2


@pytest.mark.parametrize("kind", ["csr", "operator", "scipy-operator", "fortran", "torch"])
def test_kinds_of_matrix_give_the_same_solution(kind, rng):
    A = sp.random_array((4000, 15), density=0.3, rng=rng, format="csr")
    b = rng.standard_normal((4000, 2))
    exact = np.linalg.lstsq(A.toarray(), b)[0]
    given = {"csr": A, "operator": ritzkit.linalg.as_operator(A), "scipy-operator": sla.aslinearoperator(A)}.get(kind)
    given = np.asfortranarray(A.toarray()) if kind == "fortran" else given
    if kind == "torch":
        torch = pytest.importorskip("torch")
        given, b = torch.from_numpy(A.toarray()), torch.from_numpy(b)
    for method in ("auto", "sketch_precondition"):
        result = ritzkit.lstsq(given, b, method=method, rng=0)
        assert result.success
        assert type(result.x) is type(b)
        np.testing.assert_allclose(np.asarray(result.x), exact, atol=1e-12)
        one = lstsq(given, b[:, 0], method=method, rng=0)
        assert tuple(one.x.shape) == (15,)
        np.testing.assert_allclose(np.asarray(one.x), exact[:, 0], atol=1e-12)


@pytest.mark.parametrize("method", [*ACCURATE, "lsqr", "lsmr"])
@pytest.mark.parametrize("columns", [1, 3])
def test_damping_is_that_of_the_stacked_problem(method, columns, rng):
    A, b = problem(rng, condition=1e3, k=columns)
    stacked = np.vstack([A, 0.1 * np.eye(20)])
    exact = np.linalg.lstsq(stacked, np.vstack([b, np.zeros((20, columns))]))[0]
    result = lstsq(A, b, damp=0.1, method=method, rng=0)
    assert result.success
    np.testing.assert_allclose(result.x, exact, atol=1e-7 * np.abs(exact).max())


def test_damping_makes_wide_matrices_solvable(rng):
    A, b = rng.standard_normal((10, 30)), rng.standard_normal(10)
    result = lstsq(A, b, damp=0.5)
    assert result.success
    np.testing.assert_allclose(A.T @ (b - A @ result.x), 0.25 * result.x, atol=1e-12)


@pytest.mark.parametrize("method", ACCURATE)
def test_rank_deficient_matrices_give_the_shortest_solution(method, rng):
    A, b = problem(rng, n=15, condition=100)
    A = np.hstack([A, A[:, :3] + A[:, 3:6], np.zeros((3000, 2))])
    result = lstsq(A, b, method=method, rng=0)
    exact = np.linalg.lstsq(A, b)[0]
    assert result.success
    assert result.rank == 15
    assert "rank 15 of 20" in result.note
    np.testing.assert_allclose(result.x, exact, atol=1e-9 * np.linalg.norm(exact))


def test_zero_matrix_and_zero_right_hand_side(rng):
    A, b = problem(rng)
    for given, rhs in ((np.zeros((500, 3)), b[:500]), (A, np.zeros(3000))):
        for method in ("sketch_precondition", "qr"):
            result = lstsq(given, rhs, method=method, rng=0)
            assert result.success
            np.testing.assert_array_equal(result.x, 0)


@pytest.mark.parametrize("method", ACCURATE)
def test_types_are_kept(method, rng):
    A, b = problem(rng, condition=10)
    single = lstsq(A.astype(np.float32), b.astype(np.float32), method=method, rng=0)
    assert single.success
    assert single.x.dtype == np.float32
    assert backward_error(A, b, single.x.astype(float)) <= 20 * np.finfo(np.float32).eps
    counts = rng.integers(-9, 9, (3000, 5))
    whole = lstsq(counts, counts @ np.arange(5), method=method, rng=0)
    assert whole.x.dtype == np.float64
    np.testing.assert_allclose(whole.x, np.arange(5), atol=1e-12)
    z = A + 1j * rng.standard_normal(A.shape)
    found = lstsq(z, b, method=method, rng=0)
    assert found.success
    np.testing.assert_allclose(found.x, np.linalg.lstsq(z, b.astype(complex))[0], atol=1e-12)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_scales_of_columns_do_not_matter(scale, rng):
    A, b = problem(rng, condition=10)
    A = A * np.append(np.ones(19), 1e-8)
    result = lstsq(A * scale, b * scale, method="sketch_precondition", rng=0)
    np.testing.assert_allclose(result.x, np.linalg.lstsq(A, b)[0], rtol=1e-6)


def test_an_accuracy_out_of_reach_is_owned_up_to(rng):
    A, b = problem(rng, residual=1.0)
    few = lstsq(A, b, method="sketch_precondition", maxiter=3, rng=0)
    assert few.outcome is Outcome.ITERATION_LIMIT
    assert few.info > 0
    assert few.backward_error > 10 * EPS
    assert lstsq(A, b, method="qr", rtol=1e-30).outcome is Outcome.STAGNATION
    capped = lstsq(sp.csr_array(A), b, method="lsmr", maxiter=2)
    assert capped.outcome is Outcome.ITERATION_LIMIT
    poor = lstsq(A, b, method="sketch_solve", eps=0.01, rows=40, rng=0)  # far too few rows for that
    assert not poor.success
    rescued = lstsq(A, b, rtol=10 * EPS, maxiter=0, method="auto", rng=0)
    assert rescued.success  # small problems go to LAPACK


def test_results_read_like_those_of_other_solvers(rng):
    A, b = problem(rng)
    result = lstsq(A, b, method="sketch_precondition", rng=0)
    x, info = result
    assert isinstance(result, LeastSquaresResult)
    assert info == 0
    assert x is result.x is result[0]
    assert len(result) == 2
    assert "sketch_precondition: converged" in repr(result)
    assert result.excess < 1e-6
    assert set(result.seconds) == {"sketch", "factor", "iterate"}
    assert 1e3 < result.condition < 1e5
    again = lstsq(A, b, method="sketch_precondition", rng=0)
    np.testing.assert_array_equal(again.x, x)


@pytest.mark.parametrize("kind", [sketch.GaussianSketch, sketch.SRTTSketch, sketch.SRHTSketch, sketch.CirculantSketch])
def test_any_sketch_preconditions(kind, rng):
    A, b = problem(rng, residual=1.0)
    for given in (kind, kind(200, 3000, rng=1)):
        result = lstsq(A, b, method="sketch_precondition", sketch=given, rng=0)
        assert result.success
        assert result.iterations < 40


def test_empty_problems():
    assert lstsq(np.zeros((4, 0)), np.ones(4)).x.shape == (0,)
    assert lstsq(np.zeros((4, 2)), np.zeros((4, 0))).x.shape == (2, 0)


ONES = np.ones(9)
RAISES = [
    ("wide", lambda: lstsq(np.ones((2, 3)), np.ones(2)), ValueError, "fewer rows than columns.*damp > 0"),
    ("b-length", lambda: lstsq(np.eye(9, 2), np.ones(8)), ValueError, r"b has shape \(8,\), A has shape \(9, 2\)"),
    ("b-axes", lambda: lstsq(np.eye(9, 2), np.ones((9, 1, 1))), ValueError, "b has shape"),
    ("b-nan", lambda: lstsq(np.eye(9, 2), ONES * np.nan), ValueError, "b holds NaN"),
    ("b-text", lambda: lstsq(np.eye(9, 2), ["x"] * 9), TypeError, "b has dtype"),
    ("A-nan", lambda: lstsq(np.eye(9, 2) * np.nan, ONES), ValueError, "A holds NaN"),
    ("A-inf", lambda: lstsq(np.full((900, 2), np.inf), np.ones(900), method="fossils"), ValueError, "A holds NaN"),
    ("A-none", lambda: lstsq(None, ONES), TypeError, "A is a NoneType"),
    ("method", lambda: lstsq(np.eye(9, 2), ONES, method="svd"), ValueError, "method is 'svd'"),
    ("damp", lambda: lstsq(np.eye(9, 2), ONES, damp=-1), ValueError, "damp is -1"),
    ("rtol", lambda: lstsq(np.eye(9, 2), ONES, rtol=-1), ValueError, "rtol is -1"),
    ("eps", lambda: lstsq(np.eye(9, 2), ONES, eps=2), ValueError, "eps is 2"),
    ("guarantee", lambda: lstsq(np.eye(9, 2), ONES, guarantee="l1"), ValueError, "guarantee is 'l1'"),
    ("guarantee-method", lambda: lstsq(np.eye(9, 2), ONES, guarantee="linf", method="qr"), ValueError, "'sketch_solve'"),
    ("rows", lambda: lstsq(np.eye(99, 5), np.ones(99), method="fossils", rows=3), ValueError, "rows is 3 for 5 columns"),
    ("sketch", lambda: lstsq(np.eye(99, 2), np.ones(99), method="fossils", rows=9,
                             sketch=sketch.CountSketch(9, 8, rng=0)), ValueError, "wanted 99 columns"),
    ("cqrrt-sparse", lambda: lstsq(sp.csr_array(np.eye(99, 2)), np.ones(99), method="cqrrt"), ValueError, "dense A"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), [case[1:] for case in RAISES], ids=[case[0] for case in RAISES])
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
