"""The transform solver: exact on boxes for every combination of sides, a definite preconditioner elsewhere."""

import copy
import itertools
import pickle

import numpy as np
import pytest

from ritzkit.linalg import Cell, CSROperator, Grid, StencilOperator
from ritzkit.linalg.threads import thread_limit
from ritzkit.problems import Darcy, Obstacles, Poisson
from ritzkit.solvers import cg, precond
from ritzkit.solvers.precond import fast_poisson

PAIRS = {
    "D": ("dirichlet", "dirichlet"),
    "N": ("neumann", "neumann"),
    "DN": ("dirichlet", "neumann"),
    "ND": ("neumann", "dirichlet"),
    "P": ("periodic", "periodic"),
}


def combinations(dim):
    return ["-".join(names) for names in itertools.product(PAIRS, repeat=dim)]


def sides_of(name):
    return [PAIRS[part] for part in name.split("-")]


def dense(M):
    return M @ np.eye(M.shape[0])


def inverse(A):
    return np.linalg.pinv(A.tocsr().toarray(), rcond=1e-12, hermitian=True)


def close(a, b, tolerance):
    return np.linalg.norm(np.asarray(a) - b) <= tolerance * np.linalg.norm(b)


@pytest.mark.parametrize("shape", [(5, 4), (1, 7), (2, 2), (3, 1)], ids=str)
@pytest.mark.parametrize("name", combinations(2))
def test_exact_in_two_dimensions(name, shape):
    grid = Grid(shape, 0.3, sides_of(name))
    A = StencilOperator.from_coefficient(grid, np.full(shape, 2.5))
    M = fast_poisson(shape, spacing=0.3, sides=sides_of(name), coefficient=2.5)
    wanted = inverse(A)
    assert np.abs(dense(M) - wanted).max() <= 1e-13 * np.abs(wanted).max()
    assert M.exact
    assert M.symmetric
    assert M.positive_definite
    assert (M.nullspace is None) == (A.nullspace is None)


@pytest.mark.parametrize("name", combinations(3))
def test_exact_in_three_dimensions(name):
    shape = (3, 4, 5)
    A = StencilOperator.from_coefficient(Grid(shape, 0.5, sides_of(name)))
    M = fast_poisson(shape, spacing=0.5, sides=sides_of(name))
    assert close(dense(M), inverse(A), 1e-13)
    again = fast_poisson(A)
    assert again.exact
    assert again.coefficients == (1.0, 1.0, 1.0)
    b = np.random.default_rng(0).standard_normal(60)
    assert close(again @ b, M @ b, 1e-14)


@pytest.mark.parametrize("shape", [(61, 128), (24, 17, 30)], ids=str)
def test_residual_is_rounding_on_larger_boxes(shape):
    sides = ["dirichlet", "periodic", ("neumann", "dirichlet")][-len(shape) :]
    A = StencilOperator.from_coefficient(Grid(shape, sides=sides))
    b = np.random.default_rng(1).standard_normal(A.shape[0])
    assert np.linalg.norm(b - A @ (fast_poisson(shape, sides=sides) @ b)) < 1e-13 * np.linalg.norm(b)


@pytest.mark.parametrize("shift", [0.7, -0.3])
@pytest.mark.parametrize("name", ["D-D", "N-N", "P-DN"])
def test_shift_and_one_coefficient_per_axis(name, shift):
    shape, k = (6, 5), (0.5, 3.0)
    grid = Grid(shape, sides=sides_of(name))
    faces = [StencilOperator.from_coefficient(grid).conductances[axis] * k[axis] for axis in range(2)]
    A = StencilOperator(grid, faces, shift=shift)
    M = fast_poisson(shape, sides=sides_of(name), shift=shift, coefficient=k)
    assert close(dense(M), np.linalg.inv(A.tocsr().toarray()), 1e-12)
    assert M.nullspace is None
    assert M.positive_definite == (np.linalg.eigvalsh(A.tocsr().toarray()).min() > 0)
    other = fast_poisson(A)
    assert other.exact
    assert close(dense(other), dense(M), 1e-13)


def test_pseudo_inverse_drops_the_mean():
    M = fast_poisson((6, 8), sides="neumann")
    x = M @ np.random.default_rng(2).standard_normal(48)
    assert abs(x.mean()) < 1e-15
    assert np.abs(M @ np.ones(48)).max() < 1e-14


@pytest.mark.parametrize("name", ["D-DN", "P-P", "N-P"])
def test_single_precision_stays_single(name):
    shape = (16, 15)
    M = fast_poisson(shape, sides=sides_of(name))
    b = np.random.default_rng(3).standard_normal(240)
    x = M @ b.astype(np.float32)
    assert x.dtype == np.float32
    assert close(x, M @ b, 1e-6)
    assert (M @ b).dtype == np.float64


def test_complex_vectors_and_blocks_go_through_by_parts():
    M = fast_poisson((6, 5), sides=["periodic", "dirichlet"])
    x, y = np.random.default_rng(4).standard_normal((2, 30))
    assert close(M @ (x + 1j * y), M @ x + 1j * (M @ y), 1e-14)
    assert close(M @ np.stack([x, y], axis=1), np.stack([M @ x, M @ y], axis=1), 1e-14)
    assert close(M.rmatvec(x), M @ x, 1e-15)


def test_input_is_not_changed_and_copies_work():
    M = fast_poisson((9, 8), sides="periodic")
    b = np.random.default_rng(5).standard_normal(72)
    kept = b.copy()
    x = M @ b
    assert (b == kept).all()
    for other in (copy.copy(M), pickle.loads(pickle.dumps(M))):
        assert (other @ b == x).all()


def test_same_answer_on_one_and_two_threads():
    M = fast_poisson((32, 48), sides=[("neumann", "dirichlet"), "periodic"])
    b = np.random.default_rng(6).standard_normal(M.shape[0])
    with thread_limit(1):
        one = M @ b
    with thread_limit(2):
        assert (M @ b == one).all()


OPERATORS = {
    "balls, no-flux": lambda: Obstacles((14, 12), "balls", count=3),
    "balls, held": lambda: Obstacles((14, 12), "balls", "dirichlet", count=3),
    "porous, pockets": lambda: Obstacles((14, 12), "porous", grain=0.0, fraction=0.5, sides="neumann"),
    "comb": lambda: Obstacles((15, 9), "comb", count=3, sides=["periodic", "neumann"]),
    "3-D walls": lambda: Obstacles((7, 6, 5), "walls", count=2),
    "Darcy": lambda: Darcy(12, "lognormal"),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_definite_and_useful_on_other_operators(name):
    problem = OPERATORS[name]().sample(0)
    M = fast_poisson(problem)
    matrix = dense(M)
    assert not M.exact
    assert M.positive_definite
    assert close(matrix, matrix.T, 1e-13)
    assert np.linalg.eigvalsh(matrix).min() > 0
    result = cg(problem.A, problem.b, rtol=1e-8, M=M)
    assert result.success


def test_few_iterations_around_round_obstacles_at_every_size():
    counts = []
    for n in (32, 64, 128):
        problem = Obstacles((n, n), "balls", rhs="ones").sample(1)
        counts.append(cg(problem.A, problem.b, rtol=1e-8, M=fast_poisson(problem)).iterations)
    assert max(counts) <= 40
    assert max(counts) - min(counts) <= 6


def test_one_step_of_cg_where_it_is_exact():
    problem = Poisson((20, 30), sides=["neumann", "periodic"]).sample(0)
    result = cg(problem.A, problem.b, rtol=1e-10, M=fast_poisson(problem.A))
    assert result.success
    assert result.iterations == 1


def test_operator_that_states_only_its_diagonal():
    problem = Darcy(12, "fno").sample(0)
    A = problem.A.tocsr()
    M = fast_poisson(CSROperator(A, positive_definite=True, grid=problem.grid))
    assert M.positive_definite
    assert not M.exact
    assert cg(problem.A, problem.b, rtol=1e-8, M=M).success


def test_closed_axis_and_single_cells():
    grid = Grid((3, 4))
    A = StencilOperator(grid, [np.zeros((4, 4)), StencilOperator.from_coefficient(grid).conductances[1]])
    M = fast_poisson(A)
    assert not M.exact
    assert M.positive_definite
    assert fast_poisson((1, 1), sides="neumann") @ np.ones(1) == 0.0
    assert (fast_poisson((1, 1)) @ np.ones(1))[0] == pytest.approx(1 / 8)


def test_update_takes_operators_and_problems_of_the_same_size():
    M = fast_poisson((6, 8))
    problem = Poisson((8, 6), sides="neumann").sample(0)
    M.update(problem)
    assert M.nullspace is not None
    assert close(dense(M), inverse(problem.A), 1e-12)
    M.update(Poisson((6, 8)).sample(0).A)
    assert M.nullspace is None
    before = M @ np.ones(48)
    with pytest.raises(ValueError, match="set up for"):
        M.update(Poisson((6, 9)).sample(0))
    with pytest.raises(TypeError, match="no grid"):
        M.update(np.eye(48))
    with pytest.raises(TypeError, match="complex shift"):
        M.update(StencilOperator.from_coefficient(Grid((6, 8)), shift=1j))
    assert (M @ np.ones(48) == before).all()


def test_says_what_it_costs():
    M = fast_poisson((32, 32))
    assert M.memory_bytes == 8 * 32 * 32
    assert M.setup_seconds > 0


def test_known_to_the_package():
    assert precond.fast_poisson is fast_poisson
    assert isinstance(fast_poisson((4, 4)), precond.FastPoisson)


OPERATOR = StencilOperator.from_coefficient(Grid((4, 4)))
WRONG = {
    "one axis": (lambda: fast_poisson((4,)), ValueError, "shape"),
    "zero-sized side": (lambda: fast_poisson((4, 0)), ValueError, "shape"),
    "a number": (lambda: fast_poisson(4), ValueError, "shape"),
    "text": (lambda: fast_poisson("4x4"), TypeError, "A"),
    "spacing": (lambda: fast_poisson((4, 4), spacing=0.0), ValueError, "spacing"),
    "spacing of text": (lambda: fast_poisson((4, 4), spacing="1"), TypeError, "spacing"),
    "sides": (lambda: fast_poisson((4, 4), sides="open"), ValueError, "sides"),
    "shift": (lambda: fast_poisson((4, 4), shift=np.nan), ValueError, "shift"),
    "complex shift": (lambda: fast_poisson((4, 4), shift=1j), TypeError, "shift"),
    "coefficient": (lambda: fast_poisson((4, 4), coefficient=-1.0), ValueError, "coefficient"),
    "coefficients": (lambda: fast_poisson((4, 4), coefficient=(1.0, 1.0, 1.0)), ValueError, "coefficient has 3"),
    "given twice": (lambda: fast_poisson(OPERATOR, sides="neumann"), ValueError, "sides given besides"),
    "given twice, grid": (lambda: fast_poisson(Grid((4, 4)), spacing=2.0), ValueError, "spacing given besides"),
    "no grid": (lambda: fast_poisson(np.eye(4)), TypeError, "grid"),
    "an eigenvalue": (lambda: fast_poisson((4, 4), sides="periodic", shift=-2.0), np.linalg.LinAlgError, "shift"),
    "all solid": (lambda: Grid((2, 2), cells=np.full((2, 2), Cell.NOFLUX)), ValueError, "interior"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_named(name):
    call, error, text = WRONG[name]
    with pytest.raises(error, match=text):
        call()
