import numpy as np
import pytest

from ritzkit.problems import Poisson

SINE, COSINE, HALF, WAVE = (
    ("dirichlet", np.pi),
    ("neumann", np.pi),
    (("dirichlet", "neumann"), np.pi / 2),
    ("periodic", 2 * np.pi),
)


def wave(side, k, x):
    """A function that meets the side conditions of one axis, with -u'' = k^2 u."""
    return np.cos(k * x) if side == "neumann" else np.sin(k * x)


@pytest.mark.parametrize(
    "axes",
    [
        (SINE, SINE),
        (COSINE, COSINE),
        (WAVE, WAVE),
        (SINE, COSINE),
        (HALF, WAVE),
        (HALF, HALF),
        (SINE,) * 3,
        (COSINE,) * 3,
        (WAVE,) * 3,
        (HALF, COSINE, WAVE),
    ],
    ids=lambda axes: "-".join(side if isinstance(side, str) else "+".join(side) for side, _ in axes),
)
def test_second_order(axes, orders, solve):
    def error(n):
        problem = Poisson((n,) * len(axes), sides=[side for side, _ in axes]).sample(0)
        x = problem.grid.centres()
        exact = np.prod([wave(side, k, c) for (side, k), c in zip(axes, x, strict=True)], axis=0)
        f = sum(k**2 for _, k in axes) * exact
        difference = problem.grid.embed(solve(problem.A, f.ravel())) - exact
        return np.abs(difference).max() / np.abs(exact).max()

    observed = orders(error, (8, 16, 32) if len(axes) == 2 else (8, 16))
    assert observed[-1] == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("sides", ["dirichlet", "neumann", "periodic", [("dirichlet", "neumann"), "periodic"]], ids=str)
def test_matrix_free_product_equals_an_independent_assembly(sides):
    shape = (4, 5)
    problem = Poisson(shape, sides).sample(0)
    h = 1.0 / 5
    dense = np.zeros((20, 20))
    for cell in np.ndindex(shape):
        i = np.ravel_multi_index(cell, shape)
        for axis in range(2):
            for step in (-1, 1):
                side = problem.grid.sides[axis][(step + 1) // 2]
                neighbour = list(cell)
                neighbour[axis] += step
                outside = not 0 <= neighbour[axis] < shape[axis]
                if outside and side == "neumann":
                    continue
                if outside and side == "dirichlet":
                    dense[i, i] += 2 / h**2
                    continue
                neighbour[axis] %= shape[axis]
                j = np.ravel_multi_index(neighbour, shape)
                dense[i, i] += 1 / h**2
                dense[i, j] -= 1 / h**2
    np.testing.assert_allclose(problem.A.tocsr().toarray(), dense, rtol=1e-14)
    x = np.random.default_rng(1).standard_normal(20)
    np.testing.assert_allclose(problem.A @ x, dense @ x, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("sides", ["neumann", "periodic"])
@pytest.mark.parametrize("rhs", ["random", "smooth", "solution"])
def test_closed_boxes_have_the_constant_as_null_space_and_a_consistent_load(sides, rhs):
    problem = Poisson((6, 9), sides, rhs).sample(3)
    Z = problem.A.nullspace.toarray()
    np.testing.assert_allclose(np.abs(Z), np.full((54, 1), 54**-0.5))
    assert np.abs(problem.A @ Z[:, 0]).max() < 1e-12 * problem.A.diagonal().max()
    assert abs(problem.b.sum()) < 1e-12 * np.abs(problem.b).sum()


def test_a_constant_load_in_a_closed_box_is_refused():
    with pytest.raises(ValueError, match="rhs is 'ones'"):
        Poisson((4, 4), "neumann", "ones").sample(0)


def test_known_solution_solves():
    problem = Poisson((6, 7, 5), rhs="solution").sample(0)
    np.testing.assert_allclose(problem.A @ problem.x, problem.b, rtol=1e-13)
