"""Conjugate gradients on an operator that takes vector updates into its passes: the same steps, fewer passes."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sparse

from ritzkit.linalg import CSROperator, Grid, StencilOperator, as_operator
from ritzkit.solvers import Outcome, cg, precond
from ritzkit.solvers.gate import _Projected


@pytest.mark.parametrize("sides", ["dirichlet", "neumann"], ids=["definite", "singular"])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_cg_in_two_passes_makes_the_steps_that_it_makes_in_five(preconditioned, sides):
    rng = np.random.default_rng(0)
    A = StencilOperator.from_coefficient(Grid((40, 30), 1.0, sides, (rng.uniform(size=(40, 30)) < 0.2).astype(int) * 2))
    matrix = CSROperator(A.tocsr(), positive_definite=True, nullspace=A.nullspace)
    b = A @ rng.standard_normal(A.shape[0])
    M = precond.jacobi(A + 1e-3 * sparse.eye_array(A.shape[0])) if preconditioned else None
    for options in ({}, {"maxiter": 9}, {"x0": np.ones(b.size)}, {"callback": lambda x: None}):
        fused, plain = cg(A, b, rtol=1e-8, M=M, **options), cg(matrix, b, rtol=1e-8, M=M, **options)
        assert fused.outcome is plain.outcome
        assert abs(fused.iterations - plain.iterations) <= 1
        assert fused.matvecs - fused.iterations == plain.matvecs - plain.iterations
        np.testing.assert_allclose(fused.residuals[:20], plain.residuals[:20], rtol=1e-6)
        np.testing.assert_allclose(fused.x, plain.x, atol=1e-6 * np.abs(plain.x).max())


def test_the_residual_is_as_it_was_after_a_projected_preconditioner():
    cells = np.zeros((12, 12), int)
    cells[3:6, 3:6], cells[4, 4] = 2, 0
    A = StencilOperator.from_coefficient(Grid((12, 12), cells=cells))
    seen = []

    def remember(x, out):
        seen.append(x)
        out[:] = x

    r = np.random.default_rng(0).standard_normal(A.shape[0])
    given, out, where = r.copy(), np.empty_like(r), A.nullspace.indices
    _Projected(as_operator(np.eye(r.size)), A)._between(remember, r, out)
    np.testing.assert_array_equal(r, given)
    assert seen[0] is r
    assert where.size == 1
    assert out[where[0]] == 0.0


def test_cg_on_a_stencil_needs_one_vector_less():
    A = StencilOperator.from_coefficient(Grid((100, 100)))
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    cg(A, b, maxiter=3)
    tracemalloc.start()
    try:
        cg(A, b, rtol=1e-12, maxiter=30)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 4.5 * b.nbytes, "x, p, r and the best iterate"


def test_numbers_that_are_not_finite_are_found_in_long_vectors_and_large_ones_are_let_through():
    A = StencilOperator.from_coefficient(Grid((600, 600)))
    b = np.zeros(A.shape[0])
    b[:3] = 1e200, np.nan, -np.inf
    with pytest.raises(ValueError, match=r"b holds 2 NaN or infinite numbers .*index 1"):
        cg(A, b)
    b[1:3] = 0.0
    assert cg(A, b, maxiter=1).outcome is Outcome.ITERATION_LIMIT
