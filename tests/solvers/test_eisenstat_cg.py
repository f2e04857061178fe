import numpy as np
import pytest

from ritzkit.linalg import CSROperator, Grid, StencilOperator
from ritzkit.solvers import Outcome, cg, precond

GRID = Grid((40, 30), sides=["dirichlet", ("neumann", "dirichlet")])
COEFFICIENT = np.exp(np.random.default_rng(3).standard_normal(GRID.shape))
A = CSROperator(StencilOperator.from_coefficient(GRID, COEFFICIENT).tocsr(), positive_definite=True)
B = np.random.default_rng(4).standard_normal(A.shape[0])

FORMS = {
    "ssor": lambda: precond.ssor(A, 1.7),
    "ic": lambda: precond.ic(A),
    "mic": lambda: precond.ic(A, alpha=1.0),
    "ric": lambda: precond.ic(A, alpha=0.9, lift=0.01),
}


@pytest.mark.parametrize("name", FORMS)
def test_same_iterates_as_preconditioned_cg(name):
    M = FORMS[name]()
    plain, fast = [], []
    ordinary = cg(A, B, M=M, rtol=1e-9, callback=lambda x: plain.append(x) and None)
    transformed = cg(A, B, M=M, rtol=1e-9, eisenstat=True, callback=lambda x: fast.append(x) and None)
    assert transformed.success
    assert abs(transformed.iterations - ordinary.iterations) <= 2, "rounding parts the two in the end"
    np.testing.assert_allclose(transformed.residuals[:15], ordinary.residuals[:15], rtol=1e-6)
    for x, y in zip(plain[:15], fast[:15], strict=True):
        np.testing.assert_allclose(x, y, atol=1e-9 * np.abs(x).max())
    assert transformed.matvecs == transformed.iterations + 2


def test_warm_start_limit_callback_and_tight_tolerance():
    M = precond.ssor(A, 1.5)
    x = cg(A, B, M=M, rtol=1e-12).x
    near = cg(A, B, x * (1 + 1e-6), M=M, rtol=1e-10, eisenstat=True)
    assert near.success
    assert near.iterations < cg(A, B, M=M, rtol=1e-10).iterations
    limited = cg(A, B, M=M, rtol=1e-10, maxiter=5, eisenstat=True)
    assert limited.outcome is Outcome.ITERATION_LIMIT
    assert limited.iterations == 5
    np.testing.assert_allclose(limited.x, cg(A, B, M=M, rtol=1e-10, maxiter=5).x, rtol=1e-9)
    assert cg(A, B, M=M, eisenstat=True, callback=lambda x: True).outcome is Outcome.STOPPED_BY_CALLBACK
    assert cg(A, B, M=M, rtol=1e-18, eisenstat=True).outcome is Outcome.STAGNATION
    assert cg(A, np.zeros(A.shape[0]), M=M, eisenstat=True).iterations == 0


def test_refused_where_there_is_no_such_form():
    for M in (None, precond.jacobi(A), precond.ic(A, level=1)):
        with pytest.raises(ValueError, match="has no Eisenstat form"):
            cg(A, B, M=M, eisenstat=True)


def test_a_preconditioner_of_another_matrix_never_gives_false_success():
    other = precond.ssor(3.0 * A.matrix, 1.5)
    result = cg(A, B, M=other, rtol=1e-8, eisenstat=True)
    assert not result.success
    assert "this A" in result.note
