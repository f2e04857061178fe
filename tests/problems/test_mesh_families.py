import itertools

import numpy as np
import pytest
from scipy.linalg import eigh

from ritzkit.problems import MeshElasticity, MeshHeat, MeshPoisson, MeshWave
from ritzkit.problems.mesh import mass_matrix, stiffness_matrix


def free_part(matrix, mesh):
    return matrix.toarray()[np.ix_(mesh.free, mesh.free)]


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("domain", ["box", "ell", "ball"])
@pytest.mark.parametrize("family", [MeshPoisson, MeshElasticity, MeshHeat, MeshWave], ids=lambda f: f.family_name)
def test_symmetric_positive_definite_with_a_mesh_for_pictures(family, dim, domain):
    problem = family(n=3 if dim == 3 else 5, dim=dim, domain=domain).sample(2)
    A = problem.A.tocsr().toarray()
    assert np.array_equal(A, A.T)
    assert np.linalg.eigvalsh(A).min() > 0
    assert problem.A.symmetric
    assert problem.A.positive_definite
    assert problem.grid is None
    nodal = problem.mesh.embed(problem.b)
    components = dim if family is MeshElasticity else 1
    assert nodal.shape == ((len(problem.mesh.points),) if components == 1 else (len(problem.mesh.points), components))
    assert problem.mesh.size == len(problem.b) == problem.A.shape[0]
    low, high = family().dirichlet
    share = problem.mesh.held.sum() / problem.mesh.boundary.sum()
    assert low - 0.1 <= share <= high + 0.1


@pytest.mark.parametrize("dim", [2, 3])
def test_floating_bodies_declare_their_null_space(dim):
    for family, count in ((MeshPoisson, 1), (MeshElasticity, dim * (dim + 1) // 2)):
        for rhs in ("smooth", "random"):
            problem = family(n=3, dim=dim, dirichlet=0.0, rhs=rhs).sample(0)
            Z = problem.A.nullspace.toarray()
            assert Z.shape == (problem.A.shape[0], count)
            np.testing.assert_allclose(Z.T @ Z, np.eye(count), atol=1e-12)
            assert np.abs(problem.A.tocsr() @ Z).max() < 1e-12
            assert np.abs(Z.T @ problem.b).max() < 1e-12


def test_poisson_on_a_disc_has_the_known_solution(orders, solve):
    def error(n):
        problem = MeshPoisson(n=n, domain="ball", rhs="ones").sample(1)
        mesh = problem.mesh
        exact = 0.25 * (0.25 - ((mesh.points - 0.5) ** 2).sum(axis=1))
        return np.sqrt(np.mean((mesh.embed(solve(problem.A, problem.b)) - exact) ** 2))

    assert orders(error, (8, 32))[-1] == pytest.approx(2.0, abs=0.3)


def test_variable_coefficient_has_the_chosen_variance():
    logs = [np.log(MeshPoisson(n=12, variance=0.8, length=0.05).sample(s).fields["coefficient"]) for s in range(20)]
    assert np.var(np.concatenate(logs)) == pytest.approx(0.8, rel=0.15)
    assert not np.log(MeshPoisson(n=4).sample(0).fields["coefficient"]).any()


@pytest.mark.parametrize("poisson", [0.0, 0.3])
def test_a_hanging_body_falls_and_its_clamps_carry_the_weight(poisson, solve):
    problem = MeshElasticity(n=8, dirichlet=0.3, poisson=poisson).sample(3)
    mesh = problem.mesh
    u = mesh.embed(solve(problem.A, problem.b))
    assert not u[mesh.held].any()
    work = problem.b @ mesh.restrict(u)
    assert work > 0
    total = mass_matrix(mesh).sum()
    assert total == pytest.approx(1.0)
    assert -problem.b.sum() < 1.0  # the rest of the unit weight lies on clamped nodes


@pytest.mark.parametrize(("scheme", "order"), [("backward-euler", 1.0), ("crank-nicolson", 2.0)])
def test_heat_order_in_time(scheme, order, orders):
    time = 0.02

    def error(steps):
        family = MeshHeat(n=5, dt=time / steps, steps=steps, scheme=scheme, variance=0.3)
        problems = list(family.sequence(5))
        mesh, u0 = problems[0].mesh, problems[0].fields["previous"]
        M, K = mass_matrix(mesh), stiffness_matrix(mesh, problems[0].fields["coefficient"])
        values, vectors = eigh(free_part(K, mesh), free_part(M, mesh))
        # the held values do not move: subtract the steady state that they drive
        held = np.where(mesh.held, u0, 0.0)
        steady = -np.linalg.solve(free_part(K, mesh), (K @ held)[mesh.free])
        start = vectors.T @ free_part(M, mesh) @ (u0[mesh.free] - steady)
        exact = steady + vectors @ (np.exp(-values * time) * start)
        return np.linalg.norm(problems[-1].x - exact) / np.linalg.norm(exact)

    assert orders(error, (16, 32, 64))[-1] == pytest.approx(order, abs=0.15)


def test_wave_is_second_order_in_time(orders):
    time = 0.3

    def error(steps):
        problems = list(MeshWave(n=4, dt=time / steps, steps=steps, speed=0.7).sequence(6))
        mesh, u0 = problems[0].mesh, problems[0].fields["previous"]
        M, K = mass_matrix(mesh), 0.49 * stiffness_matrix(mesh)
        values, vectors = eigh(free_part(K, mesh), free_part(M, mesh))
        held = np.where(mesh.held, u0, 0.0)
        steady = -np.linalg.solve(free_part(K, mesh), (K @ held)[mesh.free])
        start = vectors.T @ free_part(M, mesh) @ (u0[mesh.free] - steady)
        exact = steady + vectors @ (np.cos(np.sqrt(values) * time) * start)
        return np.linalg.norm(problems[-1].x - exact) / np.linalg.norm(exact)

    assert orders(error, (64, 128, 256))[-1] == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize(
    "family",
    [MeshHeat(n=5, steps=4), MeshHeat(n=3, dim=3, steps=3, scheme="crank-nicolson"), MeshWave(n=5, steps=4)],
    ids=str,
)
def test_every_system_follows_from_the_exact_step_before(family):
    steps = list(family.sequence(1))
    assert len(steps) == family.steps
    for before, after in itertools.pairwise(steps):
        assert after.A is before.A
        assert np.array_equal(after.fields["previous"], after.mesh.embed(before.x))
    for step in steps:
        assert np.linalg.norm(step.A @ step.x - step.b) < 1e-11 * np.linalg.norm(step.b)
        held = step.mesh.held
        assert np.array_equal(step.mesh.embed(step.x)[held], steps[0].fields["previous"][held])
    assert np.array_equal(family.sample(1).b, steps[0].b)
    assert np.abs(steps[0].fields["previous"]).max() == 1.0
