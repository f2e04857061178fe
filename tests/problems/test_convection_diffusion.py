import numpy as np
import pytest

from ritzkit.problems import ConvectionDiffusion


def manufactured(problem, peclet):
    """Product of sines and the f that belongs to it, for any divergence-free wind given at the centres."""
    x = problem.grid.centres()
    d = len(x)
    u = np.prod([np.sin(np.pi * c) for c in x], axis=0)
    slopes = [
        np.pi * np.prod([np.cos(np.pi * c) if a == axis else np.sin(np.pi * c) for a, c in enumerate(x)], axis=0)
        for axis in range(d)
    ]
    return u, slopes


def exact_wind(problem, kind):
    x = problem.grid.centres()
    if kind == "recirculating":
        flat = [np.sin(np.pi * x[0]) * np.cos(np.pi * x[1]), -np.cos(np.pi * x[0]) * np.sin(np.pi * x[1])]
        return flat + [np.zeros_like(x[0])] * (len(x) - 2)
    direction = np.array(kind) / np.linalg.norm(kind)
    return [np.full_like(x[0], c) for c in direction]


@pytest.mark.parametrize("scheme", ["upwind", "central", "fitted"])
@pytest.mark.parametrize("wind", ["recirculating", (1.0, -2.0), (0.0, 1.0, 0.5)], ids=str)
def test_order_of_convergence(scheme, wind, orders, solve):
    peclet, dim = 10.0, 3 if len(wind) == 3 else 2

    def error(n):
        problem = ConvectionDiffusion(n, peclet, wind, scheme, dim).sample(0)
        u, slopes = manufactured(problem, peclet)
        f = dim * np.pi**2 * u + peclet * sum(w * s for w, s in zip(exact_wind(problem, wind), slopes, strict=True))
        difference = solve(problem.A, f.ravel()) - u.ravel()
        return np.sqrt(np.mean(difference**2))

    observed = orders(error, (16, 32, 64) if dim == 2 else (8, 16))
    expected = 1.0 if scheme == "upwind" else 2.0
    assert observed[-1] == pytest.approx(expected, abs=0.25 if scheme == "upwind" else 0.2)


@pytest.mark.parametrize("scheme", ["upwind", "central", "fitted"])
def test_the_second_order_schemes_agree_with_the_fine_limit_at_peclet_100(scheme, solve):
    def at_centre(n, scheme):
        problem = ConvectionDiffusion(n, 100.0, "recirculating", scheme, rhs="ones").sample(0)
        x = problem.grid.embed(solve(problem.A, problem.b))
        return x.reshape(n // 8, 8, n // 8, 8).mean(axis=(1, 3)) if n > 8 else x

    fine, here = at_centre(128, "central"), at_centre(64, scheme)
    pooled = fine.reshape(8, 2, 8, 2).mean(axis=(1, 3))
    gap = np.abs(pooled - here).max() / np.abs(pooled).max()
    assert gap < (0.3 if scheme == "upwind" else 0.02)


@pytest.mark.parametrize("peclet", [1.0, 100.0, 1e4, 1e8])
@pytest.mark.parametrize("scheme", ["upwind", "fitted"])
@pytest.mark.parametrize("wind", ["constant", "recirculating"])
def test_m_matrix_at_every_peclet_number(peclet, scheme, wind, solve):
    problem = ConvectionDiffusion(12, peclet, wind, scheme).sample(0)
    A = problem.A.tocsr().toarray()
    assert np.isfinite(A).all()
    assert (np.diag(A) > 0).all()
    assert (A - np.diag(np.diag(A)) <= 0).all()
    assert (A.sum(axis=0) >= -1e-9 * np.diag(A)).all()  # columns: nothing is created
    assert (solve(problem.A, np.ones(144)) > 0).all()


@pytest.mark.parametrize("dim", [2, 3])
def test_recirculating_wind_has_no_divergence_and_stays_inside(dim):
    family = ConvectionDiffusion(10, wind="recirculating", dim=dim)
    faces = family.face_wind()
    divergence = sum(np.diff(w, axis=a) for a, w in enumerate(faces))
    assert np.abs(divergence).max() < 1e-14
    for axis, w in enumerate(faces):
        assert not np.take(w, [0, -1], axis).any()
    speed = np.linalg.norm(family.sample(0).fields["wind"], axis=0)
    assert 0.9 < speed.max() <= 1.0


def test_fitted_scheme_is_exact_for_one_dimensional_constant_flux():
    # u = a + b exp(Pe x) has constant flux, so rows away from the sides annihilate it
    n, peclet = 16, 30.0
    problem = ConvectionDiffusion(n, peclet, (1.0, 0.0), "fitted").sample(0)
    x = problem.grid.centres()[0]
    u = 2.0 - np.exp(peclet * (x - 1.0))
    residual = problem.grid.embed(problem.A @ u.ravel())
    assert np.abs(residual[1:-1, 1:-1]).max() < 1e-11 * problem.A.diagonal().max()


@pytest.mark.parametrize("scheme", ["upwind", "central", "fitted"])
def test_without_wind_it_is_poisson(scheme):
    from ritzkit.problems import Poisson

    problem = ConvectionDiffusion(6, 0.0, scheme=scheme).sample(0)
    np.testing.assert_allclose(problem.A.tocsr().toarray(), Poisson((6, 6)).sample(0).A.tocsr().toarray(), rtol=1e-14)
    assert problem.A.symmetric
    assert problem.A.positive_definite
