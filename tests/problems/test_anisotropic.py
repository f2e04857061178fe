import numpy as np
import pytest

from ritzkit.problems import Anisotropic


@pytest.mark.parametrize(("epsilon", "theta"), [(1.0, 0.0), (0.1, 0.5), (0.01, np.pi / 4), (5.0, 2.0)])
def test_second_order(epsilon, theta, orders, solve):
    c, s = np.cos(theta), np.sin(theta)
    K = np.array([[c, -s], [s, c]]) @ np.diag([1.0, epsilon]) @ np.array([[c, s], [-s, c]])

    def error(n):
        A = Anisotropic(n, epsilon, theta).sample(0).A
        h = 1 / (n + 1)
        x, y = np.meshgrid(*[np.arange(1, n + 1) * h] * 2, indexing="ij")
        u = np.sin(np.pi * x) * np.sin(2 * np.pi * y)
        mixed = 2 * np.pi**2 * np.cos(np.pi * x) * np.cos(2 * np.pi * y)
        f = (K[0, 0] + 4 * K[1, 1]) * np.pi**2 * u - 2 * K[0, 1] * mixed
        return np.abs(solve(A, h**2 * f.ravel()) - u.ravel()).max()

    assert orders(error, (15, 31, 63))[-1] == pytest.approx(2.0, abs=0.1)


def test_isotropic_stencil_is_the_known_one():
    A = Anisotropic(5, epsilon=1.0, theta=0.3).sample(0).A.tocsr().toarray()
    row = A[12].reshape(5, 5)[1:4, 1:4]
    np.testing.assert_allclose(row, np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]) / 3, atol=1e-15)


def test_elements_are_exact_for_linear_functions():
    n = 7
    A = Anisotropic(n, epsilon=0.03, theta=0.7).matrix()
    t = np.arange(1, n + 1) / (n + 1)
    x, y = np.meshgrid(t, t, indexing="ij")
    away = np.zeros((n, n), bool)
    away[1:-1, 1:-1] = True  # rows that do not see the boundary
    residual = A @ (1.0 + 2.0 * x - 3.0 * y).ravel()
    assert np.abs(residual[away.ravel()]).max() < 1e-13


@pytest.mark.parametrize("epsilon", [1e-6, 1e-2, 100.0])
@pytest.mark.parametrize("theta", [0.0, 0.6, np.pi / 4, 3.0])
def test_symmetric_positive_definite(epsilon, theta):
    A = Anisotropic(6, epsilon, theta).sample(0).A.tocsr().toarray()
    assert np.array_equal(A, A.T)
    assert np.linalg.eigvalsh(A).min() > 0


def test_turning_by_a_right_angle_exchanges_the_axes():
    n = 6
    swap = np.arange(n * n).reshape(n, n).T.ravel()
    one = Anisotropic(n, 0.1, 0.0).matrix().toarray()
    other = Anisotropic(n, 0.1, np.pi / 2).matrix().toarray()
    np.testing.assert_allclose(other, one[np.ix_(swap, swap)], atol=1e-15)
