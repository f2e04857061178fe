"""SKR's four sets as released, and what they are made of."""

import numpy as np
import pytest
from scipy.sparse import diags_array, eye_array, kron
from scipy.sparse.linalg import splu

from ritzkit.problems import SKRDarcy, SKRHelmholtz, SKRPoisson, SKRThermal, SlottedBlock, generate_mesh
from ritzkit.problems.mesh import quadratic, slotted_block
from ritzkit.problems.skr import periodic_field
from ritzkit.problems.skr_elements import _poisson


def laplacian(n):
    T = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    return (kron(T, eye_array(n)) + kron(eye_array(n), T)).tocsr()


def test_without_the_slip_darcy_is_the_laplacian_with_scaled_columns():
    problem = SKRDarcy(9, slip=False).sample(3)
    a = problem.fields["coefficient"].ravel()
    expected = laplacian(9) @ diags_array(a)
    assert np.array_equal(problem.A.tocsr().toarray(), expected.toarray())
    # so one Poisson solve gives every sample
    y = splu(laplacian(9).tocsc()).solve(problem.b)
    assert np.linalg.norm(problem.b - problem.A @ (y / a)) < 1e-12 * np.linalg.norm(problem.b)


def test_the_slip_moves_the_upper_neighbours_by_two_and_nothing_else():
    n = 9
    one, other = (SKRDarcy(n, slip=slip).sample(3) for slip in (True, False))
    A, B = one.A.tocsr().toarray(), other.A.tocsr().toarray()
    rows, columns = np.nonzero(A - B)
    assert (rows - columns == n).all()
    a = one.fields["coefficient"].ravel()
    for row in range(n, n * n):
        if (row - 2) % n <= n - 1 and row - 2 >= n:  # the neighbour above row - 2 is an unknown
            assert A[row, row - n] == -a[row - 2 - n]
    gap = np.linalg.norm(A - B) / np.linalg.norm(B)
    assert 1e-3 < gap < 0.1


@pytest.mark.parametrize("slip", [True, False])
def test_rows_at_the_top_of_the_slip_read_the_line_outside_of_the_unknowns(slip):
    n = 6
    problem = SKRDarcy(n, slip=slip).sample(0)
    padded = np.exp(periodic_field(n + 2, rng=0))
    assert np.array_equal(problem.fields["coefficient"], padded[1:-1, 1:-1])
    A = problem.A.tocsr().toarray()
    # the first row with an upper neighbour: two entries before it lies the end of the line above all unknowns
    assert A[n, 0] == -(padded[0, n - 1] if slip else padded[1, 1])


def test_helmholtz_shifts_the_diagonal_by_one_small_number():
    problem = SKRHelmholtz(8).sample(5)
    k = problem.parameters["wavenumber"]
    assert 0.0 <= k < 1.0
    rng = np.random.default_rng(5)
    rng.uniform()
    darcy = SKRDarcy(8).sample(rng)
    gap = (darcy.A.tocsr() - problem.A.tocsr()).toarray()
    np.testing.assert_allclose(gap, (k / 7.0) ** 2 * np.eye(64), atol=1e-15)
    assert np.linalg.eigvals(problem.A.tocsr().toarray()).real.min() > 0


def test_the_periodic_field_has_the_variance_of_its_spectrum():
    k = np.fft.fftfreq(32) * 32
    square = k[:, None] ** 2 + k[None, :] ** 2
    density = 7.0**3 * (4 * np.pi**2 * square + 49.0) ** -2.5
    fields = np.stack([periodic_field(32, rng=seed) for seed in range(200)])
    assert fields.var() == pytest.approx(density.sum() - density[0, 0], rel=0.1)
    seam = np.abs(fields[:, 0] - fields[:, -1]).mean()
    inner = np.abs(np.diff(fields, axis=1)).mean()
    assert seam == pytest.approx(inner, rel=0.1)


@pytest.mark.parametrize(("family", "rank"), [(SKRThermal(6), 2), (SKRPoisson(6), 20)], ids=["thermal", "poisson"])
def test_one_matrix_and_few_right_hand_sides_make_the_whole_set(family, rank):
    problems = [family.sample(seed) for seed in range(rank + 6)]
    first = problems[0].A.tocsr()
    assert all(abs(p.A.tocsr() - first).nnz == 0 for p in problems)
    assert np.linalg.matrix_rank(np.stack([p.b for p in problems]), tol=1e-8) == rank


@pytest.mark.parametrize("family", [SKRDarcy, SKRHelmholtz, SKRThermal, SKRPoisson, SlottedBlock])
def test_features_tell_samples_apart(family):
    family = family(6)
    features = [np.asarray(family.features(family.sample(seed))) for seed in (0, 0, 1)]
    assert np.array_equal(features[0], features[1])
    assert not np.array_equal(features[0], features[2])


# --- quadratic elements


def test_quadratic_elements_are_of_third_order(orders):
    def error(n):
        elements = quadratic(generate_mesh(n, rng=1))
        x, y = elements.mesh.points.T
        free = ~((x == 0) | (x == 1) | (y == 0) | (y == 1))
        load = elements.load(lambda p: 2 * np.pi**2 * np.sin(np.pi * p[..., 0]) * np.sin(np.pi * p[..., 1]))
        u = np.zeros(len(x))
        u[free] = splu(elements.stiffness()[free][:, free].tocsc()).solve(load[free])
        return elements.norm(u, lambda p: np.sin(np.pi * p[..., 0]) * np.sin(np.pi * p[..., 1]))

    assert orders(error, (6, 12, 24))[-1] == pytest.approx(3.0, abs=0.3)


def test_quadratic_elements_are_exact_for_quadratic_solutions_with_jumping_coefficient():
    elements = quadratic(generate_mesh(6, jitter=0.0, rng=0))
    x = elements.mesh.points[:, 0]
    k = np.where(elements.corners.points[elements.corners.cells][:, :, 0].mean(axis=1) < 0.5, 1.0, 4.0)
    # k u' continuous across x = 1/2, -(k u')' = 2
    exact = np.where(x < 0.5, -(x**2) + 3 * x, -(x**2) / 4 + 3 * x / 4 + 15 / 16)
    held = (x == 0) | (x == 1)
    stiffness, load = elements.stiffness(k), elements.load(lambda p: np.full(p.shape[:-1], 2.0))
    u = np.where(held, exact, 0.0)
    rest = load - stiffness @ u
    u[~held] = splu(stiffness[~held][:, ~held].tocsc()).solve(rest[~held])
    np.testing.assert_allclose(u, exact, atol=1e-11)


def test_a_flux_through_one_side_gives_a_linear_solution():
    elements = quadratic(slotted_block(6, rng=0))
    flux = elements.flux(lambda middle: middle[:, 0] == 0.5)
    assert flux.sum() == pytest.approx(1.6, abs=1e-12)
    assert flux[elements.mesh.points[:, 0] < 0.5].max() == 0.0
    elements = quadratic(generate_mesh(5, rng=0))
    x = elements.mesh.points[:, 0]
    held = x == 0
    load = -3.0 * elements.flux(lambda middle: middle[:, 0] == 1.0)
    u = np.zeros(len(x))
    u[~held] = splu(elements.stiffness()[~held][:, ~held].tocsc()).solve(load[~held])
    np.testing.assert_allclose(u, -3.0 * x, atol=1e-12)


def test_loads_integrate_polynomials_of_degree_three_exactly():
    elements = quadratic(slotted_block(5, rng=0))
    # shape functions sum to one, so the entries sum to the integral over the block without the slot
    load = elements.load(lambda p: p[..., 0] ** 2 + p[..., 1] ** 3)
    assert load.sum() == pytest.approx(1.6 / 12 - 0.8 * 2 * 0.05**3 / 3, abs=1e-12)


@pytest.mark.parametrize("jitter", [0.0, 0.2, 0.3])
@pytest.mark.parametrize("n", [4, 7, 20])
def test_the_slotted_block_is_meshed_with_one_hole(n, jitter):
    mesh = slotted_block(n, jitter=jitter, rng=n)
    assert mesh.volumes.min() > 0
    assert mesh.volumes.sum() == pytest.approx(1.52, abs=1e-10)
    edges = len(np.unique(np.sort(mesh.cells[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0))
    assert len(mesh.points) - edges + len(mesh.cells) == 0  # Euler's number of a ring
    assert np.abs(np.abs(mesh.points[mesh.boundary]) - 0.0).max() == 0.8


def test_the_poisson_set_solves_its_boundary_value_problem():
    # u = p(x) with p = T_2 - T_1 / 2: -u'' = -4, both vertical sides constant
    matrix, loads, mesh, held = _poisson(7)
    series = np.zeros((5, 6))
    p = np.array([0.0, -0.5, 1.0])
    series[0, 0] = -4.0
    series[1, :3] = series[3, :3] = p
    series[2, 0], series[4, 0] = 0.5, -1.0
    b, values = np.einsum("ik,ikn->n", series, loads), np.einsum("ik,ikn->n", series, held)
    u = np.where(mesh.held, values, 0.0)
    u[mesh.free] = splu(matrix.tocsc()).solve(b)
    x = mesh.points[:, 0]
    np.testing.assert_allclose(u, 2 * x**2 - 1 - 0.5 * x, atol=1e-12)


def test_temperatures_of_the_slotted_block_stay_between_those_of_its_sides(solve):
    problem = SlottedBlock(8, variance=0.5).sample(4)
    left, right = problem.parameters["left"], problem.parameters["right"]
    u = problem.mesh.embed(solve(problem.A, problem.b))
    span = right - left
    assert u.min() > left - 0.02 * span
    assert u.max() < right + 0.02 * span
    np.testing.assert_array_equal(u[problem.mesh.points[:, 0] == -0.5], left)
    np.testing.assert_array_equal(u[problem.mesh.points[:, 0] == 0.5], right)


def test_the_slotted_block_is_assembled_as_by_the_elements_themselves():
    problem = SlottedBlock(6).sample(2)
    mesh = problem.mesh
    stiffness = quadratic(slotted_block(6, rng=20240)).stiffness(problem.fields["coefficient"])
    A = problem.A.tocsr()
    assert abs(A - A.T).nnz == 0
    assert abs(A - stiffness[mesh.free][:, mesh.free]).max() < 1e-13 * abs(A).max()
    lifted = np.where(mesh.held, mesh.values, 0.0)
    np.testing.assert_allclose(problem.b, -mesh.restrict(stiffness @ lifted), atol=1e-11 * np.abs(problem.b).max())


def test_the_thermal_set_loses_what_flows_in(solve):
    problem = SKRThermal(8).sample(1)
    u = problem.mesh.embed(solve(problem.A, problem.b))
    elements = quadratic(slotted_block(8, rng=20240))
    reaction = elements.stiffness() @ u
    assert reaction[problem.mesh.held].sum() == pytest.approx(-1.6 * problem.parameters["flux"], rel=1e-9)
    assert (u[problem.mesh.held] == problem.parameters["temperature"]).all()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: SKRDarcy(1), ValueError, "n is 1"),
        (lambda: SKRDarcy(8, slip=1), TypeError, "slip is 1"),
        (lambda: SKRThermal(3), ValueError, "n is 3"),
        (lambda: SKRPoisson(1), ValueError, "n is 1"),
        (lambda: SlottedBlock(8, variance=-1.0), ValueError, "variance"),
        (lambda: slotted_block(8, jitter=0.4), ValueError, "jitter"),
        (lambda: quadratic(generate_mesh(2, dim=3, rng=0)), ValueError, "3 dimensions"),
    ],
    ids=["n", "slip", "thermal n", "poisson n", "variance", "jitter", "tetrahedra"],
)
def test_bad_parameters_are_named(make, error, words):
    with pytest.raises(error, match=words):
        make()
