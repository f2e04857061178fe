import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from ritzkit.problems import Mesh, generate_mesh
from ritzkit.problems.mesh import (
    elasticity_matrix,
    gradients,
    lame,
    mass_matrix,
    rigid_motions,
    stiffness_matrix,
)

DOMAINS = ["box", "ell", "ball"]
SIZES = {2: 9, 3: 4}


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("jitter", [0.0, 0.2, 0.4])
def test_meshes_are_valid(domain, dim, jitter):
    for seed in range(3):
        mesh = generate_mesh(SIZES[dim], dim=dim, domain=domain, jitter=jitter, rng=seed)
        assert (mesh.volumes > 0).all()
        assert mesh.quality().min() > 0.02
        assert mesh.quality().max() <= 1.0 + 1e-12
        assert len(np.unique(mesh.cells)) == len(mesh.points)
        boundary = int(mesh.boundary.sum())
        # Euler: the surface is one closed curve, or one closed surface without holes
        assert len(mesh.facets) == (boundary if dim == 2 else 2 * boundary - 4)


@pytest.mark.parametrize(
    ("domain", "dim", "whole"), [("box", 2, 1.0), ("box", 3, 1.0), ("ell", 2, 0.75), ("ell", 3, 0.875)]
)
def test_boxes_are_filled_exactly(domain, dim, whole):
    mesh = generate_mesh(SIZES[dim], dim=dim, domain=domain, rng=1)
    assert mesh.volumes.sum() == pytest.approx(whole, abs=1e-12)
    p = mesh.points[mesh.boundary]
    on_side = (p == 0.0) | (p == 1.0)
    if domain == "ell":
        on_side |= (p == 0.5) & (p >= 0.5).all(axis=1, keepdims=True)
    assert on_side.any(axis=1).all()


@pytest.mark.parametrize("dim", [2, 3])
def test_the_ball_fills_up_with_second_order(dim, orders):
    whole = {2: np.pi / 4, 3: np.pi / 6}[dim]
    observed = orders(
        lambda n: whole - generate_mesh(n, dim=dim, domain="ball", rng=0).volumes.sum(),
        (4, 8, 16) if dim == 2 else (4, 8),
    )
    assert observed[-1] == pytest.approx(2.0, abs=0.4)
    mesh = generate_mesh(6, dim=dim, domain="ball", rng=0)
    np.testing.assert_allclose(np.linalg.norm(mesh.points[mesh.boundary] - 0.5, axis=1), 0.5, rtol=1e-12)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("fraction", [0.0, 1e-6, 0.3, 0.8, 1.0])
def test_patches_are_contiguous_parts_of_the_boundary(dim, domain, fraction):
    mesh = generate_mesh(SIZES[dim], dim=dim, domain=domain, rng=2)
    chosen = mesh.patch(fraction, 3)
    assert not (chosen & ~mesh.boundary).any()
    assert chosen.sum() == (0 if fraction == 0 else max(round(fraction * mesh.boundary.sum()), dim))
    if fraction:
        f = mesh.facets
        edges = np.concatenate([f[:, [a, b]] for a in range(dim) for b in range(a)])
        edges = edges[chosen[edges].all(axis=1)]
        graph = coo_array((np.ones(len(edges)), edges.T), shape=(len(chosen),) * 2).tocsr()[chosen][:, chosen]
        assert connected_components(graph, directed=False)[0] == 1


def test_patches_differ_between_draws():
    mesh = generate_mesh(8, rng=0)
    assert len({mesh.patch(0.3, seed).tobytes() for seed in range(8)}) > 3


def test_embed_and_restrict_are_inverse():
    mesh = generate_mesh(4, rng=0)
    values = np.arange(2.0 * len(mesh.points)).reshape(-1, 2)
    mesh = Mesh(mesh.points, mesh.cells, mesh.boundary, values, components=2)
    x = np.random.default_rng(0).standard_normal(mesh.size)
    full = mesh.embed(x)
    assert np.array_equal(mesh.restrict(full), x)
    assert np.array_equal(full[mesh.held], values[mesh.held])


@pytest.mark.parametrize("dim", [2, 3])
def test_matrices_are_exactly_symmetric_and_integrate_exactly(dim):
    mesh = generate_mesh(SIZES[dim], dim=dim, rng=4)
    k = np.random.default_rng(0).uniform(0.1, 10, len(mesh.cells))
    M, K, E = mass_matrix(mesh), stiffness_matrix(mesh, k), elasticity_matrix(mesh)
    for matrix in (M, K, E):
        assert abs(matrix - matrix.T).nnz == 0
    ones, p = np.ones(len(mesh.points)), mesh.points
    assert ones @ M @ ones == pytest.approx(1.0)
    assert p[:, 0] @ M @ p[:, 1] == pytest.approx(0.25)
    assert p[:, 0] @ M @ p[:, 0] == pytest.approx(1 / 3)
    assert p[:, 0] @ K @ p[:, 0] == pytest.approx(k @ mesh.volumes)
    assert np.abs(K @ ones).max() < 1e-11


def test_one_triangle_and_one_tetrahedron():
    triangle = Mesh(np.array([[0.0, 0], [1, 0], [0, 1]]), np.array([[0, 1, 2]]))
    np.testing.assert_allclose(stiffness_matrix(triangle).toarray(), [[1, -0.5, -0.5], [-0.5, 0.5, 0], [-0.5, 0, 0.5]])
    np.testing.assert_allclose(mass_matrix(triangle).toarray(), (np.ones((3, 3)) + np.eye(3)) / 24)
    corner = Mesh(np.vstack([np.zeros(3), np.eye(3)]), np.array([[0, 1, 2, 3]]))
    np.testing.assert_allclose(gradients(corner)[0], np.vstack([-np.ones(3), np.eye(3)]))
    np.testing.assert_allclose(np.diag(stiffness_matrix(corner).toarray()), [0.5, 1 / 6, 1 / 6, 1 / 6])


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("domain", DOMAINS)
def test_patch_test(dim, domain):
    mesh = generate_mesh(SIZES[dim], dim=dim, domain=domain, rng=5)
    inner = ~mesh.boundary
    rng = np.random.default_rng(0)
    K, E = stiffness_matrix(mesh), elasticity_matrix(mesh, 2.0, 0.4)
    linear = 1.0 + mesh.points @ rng.standard_normal(dim)
    assert np.abs((K @ linear)[inner]).max() < 1e-12
    displacement = mesh.points @ rng.standard_normal((dim, dim)) + rng.standard_normal(dim)
    force = (E @ displacement.ravel()).reshape(-1, dim)
    assert np.abs(force[inner]).max() < 1e-11
    assert np.abs(force.sum(axis=0)).max() < 1e-11


@pytest.mark.parametrize(("dim", "count"), [(2, 3), (3, 6)])
def test_rigid_motions_are_the_null_space_of_elasticity(dim, count):
    mesh = generate_mesh(4 if dim == 2 else 2, dim=dim, rng=6)
    E = elasticity_matrix(mesh).toarray()
    R = rigid_motions(mesh.points)
    assert R.shape == (dim * len(mesh.points), count)
    np.testing.assert_allclose(R.T @ R, np.eye(count), atol=1e-13)
    assert np.abs(E @ R).max() < 1e-12
    values = np.linalg.eigvalsh(E)
    assert (values < 1e-10 * values.max()).sum() == count
    assert values.min() > -1e-12 * values.max()


def l2(mesh, difference):
    M = mass_matrix(mesh)
    return np.sqrt(sum(d @ M @ d for d in np.atleast_2d(difference.T)))


@pytest.mark.parametrize("dim", [2, 3])
def test_poisson_is_second_order_in_l2(dim, orders):
    def error(n):
        mesh = generate_mesh(n, dim=dim, rng=n)
        exact = np.prod(np.sin(np.pi * mesh.points), axis=1)
        free = ~mesh.boundary
        load = mass_matrix(mesh) @ (dim * np.pi**2 * exact)
        u = np.zeros(len(exact))
        u[free] = splu(stiffness_matrix(mesh)[free][:, free].tocsc()).solve(load[free])
        return l2(mesh, u - exact)

    assert orders(error, (8, 32) if dim == 2 else (5, 10))[-1] == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("dim", [2, 3])
def test_elasticity_is_second_order_in_l2(dim, orders):
    first, mu = lame(1.0, 0.3)

    def error(n):
        mesh = generate_mesh(n, dim=dim, rng=n)
        sines, cosines = np.sin(np.pi * mesh.points), np.cos(np.pi * mesh.points)
        bubble = np.prod(sines, axis=1)
        # u = bubble * e_1: -div sigma = -(lambda + mu) grad(du_1/dx_1) - mu Laplacian(u_1) e_1
        exact = np.zeros_like(mesh.points)
        exact[:, 0] = bubble
        force = np.zeros_like(exact)
        force[:, 0] = (first + mu + dim * mu) * np.pi**2 * bubble
        for b in range(1, dim):
            others = np.prod(np.delete(sines, [0, b], axis=1), axis=1)
            force[:, b] = -(first + mu) * np.pi**2 * cosines[:, 0] * cosines[:, b] * others
        free = np.repeat(~mesh.boundary, dim)
        load = (mass_matrix(mesh) @ force).ravel()
        u = np.zeros(exact.size)
        u[free] = splu(elasticity_matrix(mesh)[free][:, free].tocsc()).solve(load[free])
        return l2(mesh, u.reshape(-1, dim) - exact)

    assert orders(error, (8, 32) if dim == 2 else (4, 8))[-1] == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: generate_mesh(1), ValueError, "n is 1"),
        (lambda: generate_mesh(4, dim=4), ValueError, "dim is 4"),
        (lambda: generate_mesh(4, domain="torus"), ValueError, "domain"),
        (lambda: generate_mesh(4, jitter=0.6), ValueError, "jitter"),
        (lambda: generate_mesh(4).patch(1.5), ValueError, "fraction"),
        (lambda: generate_mesh(4).embed(np.zeros(3)), ValueError, "x has shape"),
        (lambda: generate_mesh(4).restrict(np.zeros(3)), ValueError, "values has 3"),
        (lambda: Mesh(np.zeros((3, 1)), np.array([[0, 1]])), ValueError, "points"),
        (lambda: Mesh(np.zeros((3, 2)), np.array([[0, 1]])), ValueError, "cells has shape"),
        (lambda: Mesh(np.zeros((3, 2)), np.array([[0, 1, 3]])), ValueError, "cells names nodes"),
        (lambda: Mesh(np.zeros((3, 2)), np.array([[0, 1, 2]]), np.zeros(4, bool)), ValueError, "held"),
        (lambda: stiffness_matrix(generate_mesh(2), np.zeros(8)), ValueError, "coefficient"),
        (lambda: stiffness_matrix(generate_mesh(2), np.ones(3)), ValueError, "coefficient has shape"),
        (lambda: lame(1.0, 0.5), ValueError, "poisson"),
    ],
)
def test_bad_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
