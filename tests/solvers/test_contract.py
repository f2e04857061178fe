"""What the design promises of every Krylov method: counted work, no allocation inside the loop, one truth at the end."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse.linalg as sla

from ritzkit.linalg import CSROperator, Grid, StencilOperator
from ritzkit.solvers import METHODS, Outcome, cg, precond

from . import makers

RECYCLING = ["gcrodr", "gmres_dr", "deflated_cg", "recycled_minres"]
KRYLOV = ["cg", "fcg", "minres", "gmres", "fgmres", "bicgstab", "chebyshev", *RECYCLING]


class Counting:
    """An operator that counts its products itself."""

    def __init__(self, A):
        self.A, self.shape, self.dtype, self.count = A, A.shape, A.dtype, 0

    def matvec(self, x):
        self.count += 1
        return self.A @ x


@pytest.mark.parametrize("maxiter", [1, 5, None])
@pytest.mark.parametrize("method", KRYLOV)
def test_stated_products_are_the_products_made(method, maxiter):
    A, b = makers.poisson(12)
    counter, M = Counting(A), Counting(np.diag(1.0 / A.diagonal()))
    result = METHODS[method](counter, b, rtol=1e-8, maxiter=maxiter, M=M)
    assert result.matvecs == counter.count
    assert result.psolves == M.count


@pytest.mark.parametrize("preconditioned", [False, True])
def test_cg_makes_one_product_per_iteration_and_one_check(preconditioned):
    A, b = makers.poisson(30)
    M = precond.ssor(A) if preconditioned else None
    result = cg(A, b, rtol=1e-8, M=M)
    assert result.success
    assert result.matvecs == result.iterations + 1
    assert result.psolves == (result.iterations if preconditioned else 0)
    limited = cg(A, b, rtol=1e-12, maxiter=7, M=M)
    assert (limited.iterations, limited.matvecs) == (7, 8)
    warm = cg(A, b, np.ones(b.size), rtol=1e-8, M=M)
    assert warm.matvecs == warm.iterations + 2, "a guess that is not zero costs its residual"


@pytest.mark.parametrize(("method", "per_step"), [("fcg", 1), ("minres", 1), ("bicgstab", 2)])
def test_products_per_iteration(method, per_step):
    A, b = makers.poisson(20)
    result = METHODS[method](A, b, rtol=1e-8)
    assert result.success
    assert per_step * result.iterations - 1 <= result.matvecs - 1 <= per_step * result.iterations


class Peaks:
    """Callback that notes the memory in use and the peak since its last call."""

    def __init__(self):
        self.current, self.peak = [], []

    def __call__(self, x):
        now, peak = tracemalloc.get_traced_memory()
        self.current.append(now)
        self.peak.append(peak)
        tracemalloc.reset_peak()


class Watched(CSROperator):
    """Looks at the allocations once per product (a callback would make the solver copy its iterate)."""

    watch = None

    def _apply(self, x, out):
        super()._apply(x, out)
        if self.watch is not None:
            self.watch(None)

    def apply_dot(self, x, out):
        result = super().apply_dot(x, out)
        if self.watch is not None:
            self.watch(None)
        return result


@pytest.mark.parametrize("preconditioned", [False, True], ids=["plain", "preconditioned"])
@pytest.mark.parametrize("method", KRYLOV)
def test_no_vector_is_allocated_inside_the_loop(method, preconditioned):
    grid = Grid((100, 100))
    A = Watched(StencilOperator.from_coefficient(grid).tocsr(), positive_definite=True)
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    M = precond.ssor(A) if preconditioned else None
    options = {"restart": 200} if "gmres" in method else {}
    if method == "chebyshev":
        options["bounds"] = (1e-3, 8.0)
    METHODS[method](A, b, rtol=1e-3, maxiter=40, M=M, **options)  # compilation and buffers
    A.watch = Peaks()
    tracemalloc.start()
    try:
        METHODS[method](A, b, rtol=1e-14, maxiter=40, M=M, **options)
    finally:
        tracemalloc.stop()
    one_vector = b.nbytes
    growth = np.array(A.watch.peak[4:38]) - np.array(A.watch.current[3:37])
    assert growth.size > 20
    once = 1 if method in ("cg", "fcg", "deflated_cg") else 0  # the best iterate, when the residual first rises
    assert (growth >= one_vector / 4).sum() <= once, "between two products nothing as large as a vector was allocated"
    assert A.watch.current[37] - A.watch.current[4] < (once + 0.25) * one_vector, "and nothing accumulates"


@pytest.mark.parametrize("method", KRYLOV)
def test_memory_is_the_promised_number_of_vectors(method):
    promised = {"cg": 5, "fcg": 6, "minres": 8, "gmres": 25, "fgmres": 25, "bicgstab": 8, "chebyshev": 6}
    promised |= {"gcrodr": 128, "gmres_dr": 128, "deflated_cg": 105, "recycled_minres": 132}  # with their defaults
    A = CSROperator(StencilOperator.from_coefficient(Grid((100, 100))).tocsr(), positive_definite=True)
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    options = {"bounds": (1e-3, 8.0)} if method == "chebyshev" else {}
    METHODS[method](A, b, maxiter=3, **options)
    tracemalloc.start()
    try:
        METHODS[method](A, b, rtol=1e-12, maxiter=30, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= (promised[method] + 1.2) * b.nbytes, peak / b.nbytes


LIES = ["cg", "fcg", "minres", "gmres", "fgmres", "bicgstab", *RECYCLING]


@pytest.mark.parametrize("method", LIES)
def test_success_is_never_reported_against_the_true_residual(method):
    """Fuzz: random systems, random (also senseless) preconditioners and tolerances."""
    rng = np.random.default_rng(99)
    successes = 0
    for trial in range(60):
        n = int(rng.integers(1, 25))
        A = rng.standard_normal((n, n))
        kind = trial % 4
        if kind < 2:
            A = A @ A.T + 10.0 ** -rng.integers(0, 14) * np.eye(n)
        elif kind == 2:
            A = A + A.T
        b = rng.standard_normal(n) * 10.0 ** rng.integers(-8, 8)
        M = None if trial % 3 else rng.standard_normal((n, n)) * 10.0 ** rng.integers(-6, 6)
        rtol = 10.0 ** -rng.integers(1, 15)
        result = METHODS[method](A, b, rng.standard_normal(n) if trial % 2 else None, rtol=rtol, M=M, maxiter=200)
        residual = np.linalg.norm(b - A @ result.x)
        assert np.isfinite(result.x).all()
        if result.success:
            successes += 1
            assert residual <= rtol * np.linalg.norm(b) * (1 + 1e-6) + 1e-14 * np.linalg.norm(A) * np.linalg.norm(
                result.x
            )
        else:
            assert result.outcome is not Outcome.CONVERGED
        # the residual that is stated is the true one, up to the rounding of computing it
        noise = 1e-13 * (np.linalg.norm(A) * np.linalg.norm(result.x) + np.linalg.norm(b))
        assert abs(result.residual * np.linalg.norm(b) - residual) <= noise + 1e-6 * residual
    assert successes > 0


def test_same_answer_as_scipy_where_scipy_converges():
    A, b = makers.poisson(20)
    for method in ("cg", "minres", "gmres", "bicgstab"):
        ours, _ = METHODS[method](A, b, rtol=1e-10)
        theirs, info = getattr(sla, method)(A, b, rtol=1e-10)
        assert info == 0
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_iteration_counts_match_scipys():
    A, b = makers.poisson(40)
    for method in ("cg", "bicgstab"):
        count = []
        getattr(sla, method)(A, b, rtol=1e-8, callback=count.append)
        ours = METHODS[method](A, b, rtol=1e-8).iterations
        assert abs(ours - len(count)) <= 0.15 * len(count) + 1, method


def test_results_are_reproducible_to_the_bit():
    A, b = makers.poisson(30)
    for method in KRYLOV:
        first, second = METHODS[method](A, b, rtol=1e-8), METHODS[method](A, b, rtol=1e-8)
        np.testing.assert_array_equal(first.x, second.x)
        np.testing.assert_array_equal(first.residuals, second.residuals)
