import numpy as np
import pytest

from ritzkit.problems import Helmholtz


@pytest.mark.parametrize("dim", [2, 3])
def test_second_order_dirichlet(dim, orders, solve):
    k = 7.0

    def error(n):
        problem = Helmholtz(n, k, dim=dim).sample(0)
        u = np.prod([np.sin(np.pi * c) for c in problem.grid.centres()], axis=0).ravel()
        return np.abs(solve(problem.A, (dim * np.pi**2 - k**2) * u) - u).max()

    assert orders(error, (16, 32, 64) if dim == 2 else (8, 16))[-1] == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("dim", [2, 3])
def test_second_order_absorbing(dim, orders, solve):
    k = 5.0
    # a quadratic g with -g'(0) = i k g(0) and g'(1) = i k g(1), times a smooth factor with flat ends
    c2 = (k**2 + 2j * k) / (2 - 1j * k)

    def factor(x):
        s, s1, s2 = (
            1 + 0.3 * np.cos(np.pi * x) ** 2,
            -0.3 * np.pi * np.sin(2 * np.pi * x),
            -0.6 * np.pi**2 * np.cos(2 * np.pi * x),
        )
        g, g1, g2 = 1 - 1j * k * x + c2 * x**2, -1j * k + 2 * c2 * x, 2 * c2
        return g * s, g2 * s + 2 * g1 * s1 + g * s2

    def error(n):
        problem = Helmholtz(n, k, "absorbing", dim=dim).sample(0)
        parts = [factor(c) for c in problem.grid.centres()]
        u = np.prod([p[0] for p in parts], axis=0)
        laplacian = sum(
            np.prod([p[1] if a == axis else p[0] for a, p in enumerate(parts)], axis=0) for axis in range(dim)
        )
        return np.abs(solve(problem.A, (-laplacian - k**2 * u).ravel()) - u.ravel()).max()

    assert orders(error, (16, 32, 64) if dim == 2 else (6, 12))[-1] == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(("n", "dim", "k"), [(8, 2, 3.0), (8, 2, 10.0), (8, 2, 15.0), (4, 3, 8.0)])
def test_negative_eigenvalues_are_counted(n, dim, k):
    problem = Helmholtz(n, k, dim=dim).sample(0)
    values = np.linalg.eigvalsh(problem.A.tocsr().toarray())
    assert problem.parameters["negative_eigenvalues"] == (values < 0).sum()
    assert problem.A.positive_definite == (values.min() > 0)
    assert problem.A.symmetric


def test_absorbing_matrix_equals_its_transpose_but_not_its_adjoint():
    problem = Helmholtz(8, 10.0, "absorbing").sample(0)
    A = problem.A.tocsr().toarray()
    assert A.dtype == problem.b.dtype == np.complex128
    assert np.array_equal(A, A.T)
    assert not np.array_equal(A, A.conj().T)
    assert problem.A.symmetric is False
    x = np.random.default_rng(0).standard_normal(64) + 1j
    np.testing.assert_allclose(problem.A @ x, A @ x, rtol=1e-12)
    np.testing.assert_allclose(problem.A.H @ x, A.conj().T @ x, rtol=1e-12)


def test_absorbing_sides_take_energy_out():
    problem = Helmholtz(10, 12.0, "absorbing").sample(0)
    values = np.linalg.eigvals(problem.A.tocsr().toarray())
    assert values.imag.max() < 0


def test_an_eigenvalue_of_the_box_is_refused():
    n = 8
    k = np.sqrt(2) * 2 * n * np.sin(0.5 * np.pi / n)
    with pytest.raises(ValueError, match="wavenumber"):
        Helmholtz(n, float(k)).sample(0)


def test_random_medium_varies_around_the_wave_number():
    problem = Helmholtz(32, 20.0, variation=0.1).sample(1)
    k = problem.fields["wavenumber"]
    assert 0.02 < k.std() / 20.0 < 0.3
    assert "negative_eigenvalues" not in problem.parameters
    assert problem.A.positive_definite is None
    np.testing.assert_allclose(problem.A.diagonal() + k.ravel() ** 2, Helmholtz(32, 0.0).sample(0).A.diagonal())


def test_point_source_has_unit_strength():
    problem = Helmholtz(9, 5.0, dim=3).sample(0)
    assert problem.b.sum() / 9**3 == pytest.approx(1.0)
    assert np.count_nonzero(problem.b) == 1
