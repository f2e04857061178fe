"""One table of problems x solvers; every expected failure stands in it."""

import numpy as np
import pytest
import scipy.sparse.linalg as sla

from ritzkit import solve
from ritzkit.linalg import Grid, StencilOperator, as_operator
from ritzkit.solvers import METHODS, Outcome, SolveResult, precond

from . import makers

SYMMETRIC = {"cg", "fcg", "minres", "chebyshev"}
KRYLOV = ["cg", "fcg", "minres", "gmres", "fgmres", "bicgstab"]

# problem, its maker, the methods it is for
TABLE = [
    ("spd", makers.spd, [*KRYLOV, "chebyshev", "direct", "sor", "ssor"]),
    ("spd-float32", lambda: makers.spd(dtype=np.float32), [*KRYLOV, "chebyshev", "direct"]),
    ("spd-complex", lambda: makers.spd(dtype=complex), [*KRYLOV, "direct"]),
    ("spd-complex64", lambda: makers.spd(dtype=np.complex64), ["cg", "gmres", "bicgstab"]),
    ("poisson", makers.poisson, [*KRYLOV, "chebyshev", "direct", "sor", "ssor", "jacobi"]),
    ("diagonal", makers.diagonal, [*KRYLOV, "chebyshev", "direct", "sor", "ssor", "jacobi"]),
    ("indefinite", makers.indefinite, ["minres", "gmres", "fgmres", "direct"]),
    ("nonsymmetric", makers.nonsymmetric, ["gmres", "fgmres", "bicgstab", "direct"]),
    ("nonsymmetric-complex", lambda: makers.nonsymmetric(dtype=complex), ["gmres", "fgmres", "bicgstab", "direct"]),
    ("nonsymmetric-float32", lambda: makers.nonsymmetric(dtype=np.float32), ["gmres", "fgmres", "bicgstab", "direct"]),
    ("singular-consistent", makers.singular_consistent, ["cg", "fcg", "minres", "gmres", "fgmres"]),
    ("skew", makers.skew, ["gmres", "fgmres"]),
]
CASES = [(name, maker, method) for name, maker, methods in TABLE for method in methods]


def true_residual(A, b, x):
    return float(np.linalg.norm(b - A @ x) / np.linalg.norm(b))


@pytest.mark.parametrize(("name", "maker", "method"), CASES, ids=[f"{n}-{m}" for n, _, m in CASES])
def test_solves_to_the_tolerance(name, maker, method):
    A, b = maker()
    rtol = 1e-4 if b.dtype.char in "fF" else 1e-8
    options = {"restart": 60} if "gmres" in method else {}
    result = METHODS[method](A, b, rtol=rtol, **options)
    assert result.outcome is Outcome.CONVERGED, repr(result)
    assert result.info == 0
    assert result.success
    assert result.x.dtype == np.result_type(A.dtype, b.dtype)
    assert true_residual(A, b, result.x) <= 1.01 * rtol
    assert result.residual == pytest.approx(true_residual(A, b, result.x), rel=0.05, abs=1e-6 * rtol)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "direct"])
def test_the_record_of_a_solve_is_consistent(method):
    A, b = makers.poisson(12)
    result = METHODS[method](A, b, rtol=1e-6)
    k = result.iterations
    assert len(result.residuals) == len(result.times) == len(result.products) == k > 0
    assert (np.diff(result.times) >= 0).all()
    assert (np.diff(result.products) > 0).all()
    assert result.products[-1] <= result.matvecs
    assert result.initial_residual == 1.0
    assert result.residuals[-1] <= 1e-6
    assert result.method == method
    x, info = result
    assert x is result.x
    assert info == result.info == result[1]
    assert len(result) == 2
    assert method in repr(result)


@pytest.mark.parametrize("method", METHODS)
def test_zero_right_hand_side_gives_a_fresh_zero(method):
    A, b = makers.zero_rhs()
    result = METHODS[method](A, b, np.ones(b.size))
    assert result.success
    assert result.x is not b
    assert not result.x.any()
    assert result.iterations == 0


@pytest.mark.parametrize("method", METHODS)
def test_an_exact_guess_is_returned_at_once(method):
    A, b = makers.spd()
    x = np.linalg.solve(A, b)
    result = METHODS[method](A, b, x, rtol=1e-8)
    assert result.success
    assert result.iterations == 0
    np.testing.assert_array_equal(result.x, x)
    assert result.x is not x


@pytest.mark.parametrize("method", METHODS)
def test_arguments_are_left_alone(method):
    A, b = makers.poisson(8)
    x0 = np.full(b.size, 0.5)
    kept = A.copy(), b.copy(), x0.copy()
    METHODS[method](A, b, x0, rtol=1e-8)
    assert abs(A - kept[0]).max() == 0
    np.testing.assert_array_equal(b, kept[1])
    np.testing.assert_array_equal(x0, kept[2])


@pytest.mark.parametrize("method", METHODS)
def test_empty_system(method):
    result = METHODS[method](np.zeros((0, 0)), np.zeros(0))
    assert result.success
    assert result.x.shape == (0,)


@pytest.mark.parametrize("method", KRYLOV)
def test_tolerance_is_relative_to_b_not_to_the_first_residual(method):
    A, b = makers.spd()
    near = np.linalg.solve(A, b) + 1e-5
    result = METHODS[method](A, b, near, rtol=1e-6)
    assert result.success
    assert true_residual(A, b, result.x) <= 1e-6
    loose = METHODS[method](A, b, near, rtol=1e-2)
    assert loose.iterations == 0


@pytest.mark.parametrize("method", KRYLOV)
def test_atol_counts_where_it_is_larger(method):
    A, b = makers.spd()
    result = METHODS[method](A, b, rtol=0.0, atol=1e-3)
    assert result.success
    assert np.linalg.norm(b - A @ result.x) <= 1.01e-3


@pytest.mark.parametrize("method", [m for m in METHODS if m != "direct"])
def test_iteration_limit_is_an_outcome_not_an_exception(method):
    A, b = makers.poisson(12)
    options = {"restart": 3} if "gmres" in method else {}
    result = METHODS[method](A, b, rtol=1e-12, maxiter=3, **options)
    assert result.outcome is Outcome.ITERATION_LIMIT
    assert result.info == 3
    assert not result.success
    assert np.isfinite(result.x).all()
    assert result.residual == pytest.approx(true_residual(A, b, result.x))
    zero = METHODS[method](A, b, rtol=1e-12, maxiter=0)
    assert zero.info > 0
    assert not zero.x.any()


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("direct", "gmres")])
def test_callback_gets_fresh_iterates_and_can_stop(method):
    A, b = makers.poisson(10)
    seen = []
    options = {"restart": 2} if method in ("fgmres", "gcrodr", "gmres_dr") else {}

    def callback(x):
        seen.append(x)
        return len(seen) == 3

    result = METHODS[method](A, b, rtol=1e-12, callback=callback, **options)
    assert result.outcome is Outcome.STOPPED_BY_CALLBACK
    assert result.info > 0
    assert len(seen) == 3
    assert not np.array_equal(seen[0], seen[1]), "each call gets its own copy"


def test_callback_that_returns_something_else_does_not_stop():
    A, b = makers.poisson(10)
    assert solve(A, b, method="cg", callback=lambda x: 1).success


@pytest.mark.parametrize("method", KRYLOV)
def test_every_preconditioner_helps_or_at_least_works(method):
    A, b = makers.poisson(24)
    plain = METHODS[method](A, b, rtol=1e-8, **({"restart": 100} if "gmres" in method else {}))
    for make in (
        precond.jacobi,
        precond.block_jacobi,
        precond.ssor,
        precond.ic,
        precond.amg,
        precond.direct,
        precond.chebyshev,
    ):
        M = make(as_operator(A, positive_definite=True))
        result = METHODS[method](A, b, rtol=1e-8, M=M, **({"restart": 100} if "gmres" in method else {}))
        assert result.success, (M.name, repr(result))
        assert result.iterations <= plain.iterations + 1, M.name
        assert result.psolves >= result.iterations
        assert result.setup_seconds == M.setup_seconds > 0


def test_cg_and_minres_follow_theory_on_few_eigenvalues():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((50, 50)))[0]
    A = (Q * np.repeat([1.0, 3.0, 9.0, 40.0, 100.0], 10)) @ Q.T
    A, b = 0.5 * (A + A.T), rng.standard_normal(50)
    for method in ("cg", "fcg", "minres", "gmres", "fgmres"):
        assert METHODS[method](A, b, rtol=1e-9).iterations <= 5, method


def test_minres_residuals_never_grow_and_beat_cg():
    A, b = makers.poisson(20)
    small, cg = METHODS["minres"](A, b, rtol=1e-8), METHODS["cg"](A, b, rtol=1e-8)
    assert (np.diff(small.residuals) <= 1e-12).all()
    k = min(small.iterations, cg.iterations)
    assert (small.residuals[:k] <= cg.residuals[:k] * (1 + 1e-9)).all()


def test_minres_tracks_the_true_residual_under_a_preconditioner():
    A, b = makers.poisson(20)
    iterates = []
    result = METHODS["minres"](A, b, rtol=1e-8, M=precond.ssor(A, 1.5), callback=lambda x: iterates.append(x) and None)
    exact = [true_residual(A, b, x) for x in iterates]
    np.testing.assert_allclose(result.residuals, exact, rtol=1e-4)


def test_minres_shift_and_check():
    A, b = makers.spd()
    result = METHODS["minres"](A, b, shift=50.0, rtol=1e-8, maxiter=2000)
    assert true_residual(A - 50.0 * np.eye(60), b, result.x) <= 1.01e-8
    with pytest.raises(ValueError, match="A is not symmetric"):
        METHODS["minres"](makers.skew()[0], np.ones(20), check=True)
    assert METHODS["minres"](A, b, check=True).success


def test_fcg_takes_any_preconditioner():
    A, b = makers.poisson(20)
    state = {"k": 0}

    def changing(r):
        state["k"] += 1
        return r * (1 + 0.5 * np.sin(state["k"])) + 0.01 * np.sign(r)

    M = as_operator(sla.LinearOperator(A.shape, matvec=changing, dtype=float))
    for keep in (1, 3):
        assert METHODS["fcg"](A, b, M=M, rtol=1e-8, keep=keep).success


def test_fcg_survives_a_preconditioner_that_lies():
    A, b = makers.poisson(12)
    calls = {"k": 0}

    def lying(r):
        calls["k"] += 1
        if calls["k"] % 3 == 0:
            return np.full_like(r, np.nan)
        return np.zeros_like(r) if calls["k"] % 3 == 1 else -r

    M = sla.LinearOperator(A.shape, matvec=lying, dtype=float)
    result = METHODS["fcg"](A, b, M=M, rtol=1e-6)
    assert result.success
    assert "could not be used" in result.note


def test_fcg_never_raises_the_energy_of_the_error():
    A, b = makers.spd()
    x = np.linalg.solve(A, b)
    rng, energies = np.random.default_rng(0), []

    def watch(y):
        energies.append((y - x) @ A @ (y - x))

    M = sla.LinearOperator(A.shape, matvec=lambda r: rng.standard_normal(r.size), dtype=float)
    METHODS["fcg"](A, b, M=M, maxiter=30, rtol=1e-12, callback=watch)
    assert (np.diff(energies) <= 1e-9 * energies[0]).all()


def test_fgmres_takes_a_changing_preconditioner_and_gmres_refuses_a_declared_one():
    A, b = makers.nonsymmetric()
    M = as_operator(sla.LinearOperator(A.shape, matvec=lambda r: r / 10, dtype=float))
    M.fixed = False
    assert METHODS["fgmres"](A, b, M=M, rtol=1e-8).success
    for method, cure in (
        ("gmres", "fgmres"),
        ("bicgstab", "fgmres"),
        ("cg", "fcg"),
        ("minres", "fcg"),
        ("chebyshev", "fcg"),
    ):
        with pytest.raises(ValueError, match=f"use {cure} instead"):
            METHODS[method](A, b, M=M)


def test_gmres_full_equals_the_least_squares_minimum():
    A, b = makers.nonsymmetric(30)
    result = METHODS["gmres"](A, b, restart=8, maxiter=1, rtol=1e-14)
    K = np.stack([np.linalg.matrix_power(A, k) @ b for k in range(8)], axis=1)
    Q = np.linalg.qr(A @ K)[0]
    best = np.linalg.norm(b - Q @ (Q.T @ b)) / np.linalg.norm(b)
    assert result.residual == pytest.approx(best, rel=1e-6)


def test_chebyshev_with_exact_bounds_keeps_its_promise():
    A, b = makers.spd()
    k = METHODS["chebyshev"](A, b, bounds=(1.0, 100.0), rtol=1e-8).iterations
    rate = (np.sqrt(100) - 1) / (np.sqrt(100) + 1)
    assert k <= np.ceil(np.log(1e-8 / 2) / np.log(rate))


def test_chebyshev_repairs_a_bad_estimate():
    A, b = makers.poisson(30)
    result = METHODS["chebyshev"](A, b, rtol=1e-6, lanczos_steps=3)
    assert result.success
    assert result.iterations < 5 * METHODS["cg"](A, b, rtol=1e-6).iterations


def test_stationary_methods_have_their_spectral_rates():
    A, b = makers.poisson(10)
    D = np.diag(A.toarray().diagonal())
    rho = np.abs(np.linalg.eigvals(np.eye(100) - np.linalg.inv(D) @ A.toarray())).max()
    slow = METHODS["jacobi"](A, b, rtol=1e-9)
    observed = (slow.residuals[-1] / slow.residuals[-21]) ** (1 / 20)
    assert observed == pytest.approx(rho, rel=1e-3)
    optimal = 2 / (1 + np.sqrt(1 - rho**2))
    assert METHODS["sor"](A, b, rtol=1e-9, omega=optimal).iterations < 0.4 * METHODS["sor"](A, b, rtol=1e-9).iterations


def test_declared_null_space_is_respected():
    A = StencilOperator.from_coefficient(Grid((20, 20), sides="neumann"))
    b = np.random.default_rng(0).standard_normal(400)
    for method in ("cg", "minres", "gmres", "fcg", "bicgstab"):
        bad = METHODS[method](A, b)
        assert bad.outcome is Outcome.INCONSISTENT
        assert bad.info < 0
        for M in (None, precond.ic(A), precond.amg(A), precond.jacobi(A)):
            good = METHODS[method](A, A.project(b), M=M, rtol=1e-10, **({"restart": 50} if method == "gmres" else {}))
            assert good.success, (method, M, repr(good))
            assert true_residual(A, A.project(b), good.x) <= 1.01e-10


def test_result_of_every_array_type():
    torch = pytest.importorskip("torch")
    A, b = makers.poisson(12)
    wanted = np.linalg.solve(A.toarray(), b)
    dense = torch.from_numpy(A.toarray())
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matrices = {"dense": dense, "csr": dense.to_sparse_csr(), "coo": dense.to_sparse_coo(), "numpy": A}
    for method in ("cg", "fcg", "minres", "gmres", "fgmres", "bicgstab", "chebyshev"):
        for kind, matrix in matrices.items():
            result = METHODS[method](matrix, torch.from_numpy(b), rtol=1e-9)
            assert isinstance(result.x, torch.Tensor), (method, kind)
            assert result.x.dtype == torch.float64
            np.testing.assert_allclose(result.x.numpy(), wanted, atol=1e-6)
            back = METHODS[method](matrix, b, rtol=1e-9)
            assert isinstance(back.x, np.ndarray)
        with_m = METHODS[method](dense, torch.from_numpy(b), M=precond.ssor(A), rtol=1e-9, x0=torch.ones(144))
        np.testing.assert_allclose(with_m.x.numpy(), wanted, atol=1e-6)


def test_torch_and_numpy_take_the_same_path():
    torch = pytest.importorskip("torch")
    A, b = makers.spd()
    for method in ("cg", "minres", "gmres", "bicgstab"):
        ours = METHODS[method](A, b, rtol=1e-8)
        theirs = METHODS[method](torch.from_numpy(A), torch.from_numpy(b), rtol=1e-8)
        assert abs(ours.iterations - theirs.iterations) <= 1
        k = min(ours.iterations, theirs.iterations) // 2
        np.testing.assert_allclose(ours.residuals[:k], theirs.residuals[:k], rtol=1e-5)


def test_column_vector_right_hand_side_is_taken_as_scipy_does():
    A, b = makers.spd()
    assert METHODS["cg"](A, b[:, None]).x.shape == sla.cg(A, b[:, None])[0].shape


def test_x0_mb_means_m_times_b():
    A, b = makers.poisson(10)
    M = precond.direct(A)
    assert METHODS["cg"](A, b, "Mb", M=M, rtol=1e-8).iterations == 0


def test_outcomes_have_codes_and_advice():
    for outcome in Outcome:
        assert outcome.text.endswith(".")
        assert outcome.label in str(outcome)
    assert {o for o in Outcome if o.code == 0} == {Outcome.CONVERGED}
    assert isinstance(METHODS["cg"](np.eye(2), np.ones(2)), SolveResult)
