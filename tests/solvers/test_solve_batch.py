"""Batched solves: the same answers as one at a time, whatever the mixture."""

import numpy as np
import pytest
from scipy.sparse import csr_array, diags_array

from ritzkit.linalg import Grid, StencilOperator, threads
from ritzkit.problems import Darcy, Obstacles, Poisson
from ritzkit.solvers import Outcome, cg, precond, solve_batch


def true_residual(problem, x):
    return np.linalg.norm(problem.b - problem.A @ x) / np.linalg.norm(problem.b)


@pytest.mark.parametrize("rtol", [1e-4, 1e-10])
@pytest.mark.parametrize(
    "family",
    [
        Darcy(20, "lognormal", variance=4.0),
        Darcy(17, "fno"),
        Darcy(7, "lognormal", dim=3),
        Obstacles((13, 11, 9), "balls", sides=["dirichlet", "neumann", ("neumann", "dirichlet")]),
        Poisson((15, 14), sides=["periodic", "dirichlet"], rhs="random"),
    ],
    ids=lambda family: family.sample(0).name,
)
def test_every_system_meets_the_tolerance(family, rtol):
    problems = [family.sample(seed) for seed in range(5)]
    results = solve_batch(problems, rtol=rtol)
    for problem, result in zip(problems, results, strict=True):
        assert result.success
        assert true_residual(problem, result.x) <= rtol
        assert result.residual == pytest.approx(true_residual(problem, result.x), rel=1e-3, abs=1e-15)
        assert len(result.residuals) == result.iterations == result.matvecs - 1


def test_a_batch_takes_the_steps_that_each_system_takes_alone():
    problems = [Darcy(40, "lognormal", variance=1.0, rhs=rhs).sample(s) for s in range(3) for rhs in ("ones", "random")]
    results = solve_batch(problems, rtol=1e-8)
    counts = [cg(p.A, p.b, rtol=1e-8, M=precond.multigrid(p, coarsest=64)).iterations for p in problems]
    assert {result.method for result in results} == {"batched cg"}
    assert all(abs(result.iterations - count) <= 1 for result, count in zip(results, counts, strict=True))
    assert len({result.iterations for result in results}) > 1  # systems leave the batch at different times


@pytest.mark.parametrize("width", [1, 2, 3, 16])
def test_the_width_does_not_change_the_answers(width):
    problems = [Darcy(18, "lognormal").sample(seed) for seed in range(7)]
    results = solve_batch(problems, rtol=1e-10, width=width)
    for problem, result in zip(problems, results, strict=True):
        assert true_residual(problem, result.x) <= 1e-10


@pytest.mark.parametrize(
    "family",
    [Darcy(18, "lognormal", variance=4.0), Obstacles((12, 10), "balls")],
    ids=lambda family: family.family_name,
)
def test_a_batch_leaves_nothing_to_the_next(family):
    shape = family.sample(0).A
    problems = [family.sample(seed) for seed in range(6)]
    if family.family_name == "obstacles":  # one geometry, or they would not share a batch
        problems = [(shape, np.random.default_rng(seed).standard_normal(shape.shape[0])) for seed in range(6)]
    with threads.thread_limit(1):
        results = solve_batch(problems, rtol=1e-9, width=2)
        pairs = [solve_batch(problems[at : at + 2], rtol=1e-9, width=2) for at in (0, 2, 4)]
    for result, alone in zip(results, (r for pair in pairs for r in pair), strict=True):
        assert result.method == alone.method == "batched cg"
        assert np.array_equal(result.x, alone.x)


@pytest.mark.parametrize("grid", [(260, 260), (10, 10)], ids=["beyond caches", "small"])
def test_systems_of_large_grids_are_solved_one_by_one(grid):
    problems = [Darcy(grid[0], "lognormal").sample(seed) for seed in range(2)]
    methods = {result.method for result in solve_batch(problems, rtol=1e-4)}
    assert methods == ({"batched cg"} if grid[0] < 256 else {"cg"})


def test_mixtures_come_back_in_order():
    closed = Poisson((9, 9), sides="neumann", rhs="random").sample(0)
    matrix = csr_array(diags_array([np.full(8, -1.0), np.full(9, 3.0), np.full(8, -1.0)], offsets=[-1, 0, 1]))
    shifted = StencilOperator.from_coefficient(Grid((10, 10), 0.1), shift=-30.0)
    mixture = [
        Darcy(16).sample(0),
        (matrix, np.ones(9)),
        closed,
        Darcy(12).sample(1),
        (shifted, np.ones(100)),
        Darcy(16).sample(2),
        (Darcy(16).sample(3).A, np.zeros(256)),
        (np.diag([1.0, -2.0, 3.0]), np.ones(3)),
    ]
    results = solve_batch(mixture, rtol=1e-8)
    assert len(results) == len(mixture)
    for entry, result in zip(mixture, results, strict=True):
        A, b = (entry.A, entry.b) if hasattr(entry, "A") else entry
        assert result.success
        assert np.linalg.norm(b - A @ result.x) <= 1e-8 * np.linalg.norm(b)
    assert [r.method for r in results].count("batched cg") == 3
    assert not results[6].x.any()


def test_sizes_of_right_hand_sides_do_not_matter():
    A = [Darcy(16, "lognormal").sample(seed).A for seed in range(3)]
    b = np.random.default_rng(0).standard_normal(256)
    results = solve_batch([(A[0], 1e-200 * b), (A[1], b), (A[2], 1e200 * b)], rtol=1e-9)
    assert all(result.success for result in results)


def test_sizes_of_operators_do_not_matter():
    k = [np.exp(np.random.default_rng(seed).standard_normal((16, 16))) for seed in range(4)]
    b = np.random.default_rng(0).standard_normal(256)
    A = [
        StencilOperator.from_coefficient(Grid((16, 16)), s * c) for s, c in zip((1e-50, 1, 1e-10, 1e5), k, strict=True)
    ]
    for operator, result in zip(A, solve_batch([(a, b) for a in A], rtol=1e-9), strict=True):
        assert result.success
        assert np.linalg.norm(b - operator @ result.x) <= 1.001e-9 * np.linalg.norm(b)


def test_a_hopeless_member_spoils_no_other():
    problems = [Darcy(16).sample(seed) for seed in range(3)]
    rough = np.where(np.random.default_rng(0).random((16, 16)) < 0.5, 1e-14, 1e14)
    hopeless = StencilOperator.from_coefficient(Grid((16, 16), 1 / 16), rough)
    results = solve_batch([problems[0], (hopeless, problems[0].b), problems[1], problems[2]], rtol=1e-8)
    for problem, result in zip(problems, [results[0], results[2], results[3]], strict=True):
        assert result.success
        assert true_residual(problem, result.x) <= 1e-8
    said = results[1]
    residual = np.linalg.norm(problems[0].b - hopeless @ said.x) / np.linalg.norm(problems[0].b)
    assert said.success == (residual <= 1e-8)


def test_threads_do_not_change_the_answers():
    problems = [Darcy(24, "lognormal").sample(seed) for seed in range(6)]
    together = solve_batch(problems, rtol=1e-8, width=2)
    with threads.thread_limit(1):
        alone = solve_batch(problems, rtol=1e-8, width=2)
    assert all(np.array_equal(a.x, b.x) for a, b in zip(together, alone, strict=True))


def test_loose_tolerance_needs_no_step():
    problem = Darcy(12).sample(0)
    for result in solve_batch([problem, problem], rtol=1.0):
        assert result.success
        assert result.iterations == 0


def test_inconsistent_systems_say_so():
    closed = Poisson((6, 6), sides="neumann", rhs="random").sample(0)
    assert solve_batch([(closed.A, np.ones(36))])[0].outcome is Outcome.INCONSISTENT


def test_nothing_in_nothing_out():
    assert solve_batch([]) == []


@pytest.mark.parametrize(
    ("problems", "options", "error", "text"),
    [
        ([3], {}, TypeError, r"problems\[0\] is a int"),
        ([(np.eye(2), np.ones(2)), (np.eye(2), np.ones(3))], {}, ValueError, r"problems\[1\]: b has shape"),
        ([(np.eye(2), np.array([1.0, np.nan]))], {}, ValueError, r"problems\[0\]: b must hold finite"),
        ([("x", np.ones(1))], {}, TypeError, r"problems\[0\]"),
        ([], {"rtol": -1}, ValueError, "rtol"),
        ([], {"width": 0}, ValueError, "width"),
    ],
)
def test_bad_input_is_named(problems, options, error, text):
    with pytest.raises(error, match=text):
        solve_batch(problems, **options)
