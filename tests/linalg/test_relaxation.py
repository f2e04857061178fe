"""Relaxation sweeps against their definition, dense and slow."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array, diags_array, eye_array, kron

from ritzkit.linalg.relaxation import Relaxation, colour_order


def poisson(*shape):
    total = csr_array((1, 1))
    for m in shape:
        line = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
        total = kron(total, eye_array(m)) + kron(eye_array(total.shape[0]), line)
    return csr_array(total)


def irregular(n, dtype="d"):
    rng = np.random.default_rng(7)
    dense = rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.2)
    if dtype == "D":
        dense = dense * (1 + 0.5j)
    return csr_array((dense + np.diag(rng.uniform(3, 5, n))).astype(dtype))


def reference_sweep(A, x, b, omega, rows):
    A, x = A.toarray(), x.copy()
    omega = np.broadcast_to(omega, x.shape)
    for i in rows:
        x[i] += omega[i] * (b[i] - A[i] @ x) / A[i, i]
    return x


MATRICES = {
    "grid_2d": poisson(7, 9),
    "grid_3d": poisson(4, 3, 5),
    "irregular": irregular(40),
    "complex": irregular(30, "D"),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("omega", [1.0, 1.5, "per_row"])
@pytest.mark.parametrize("forward", [True, False], ids=["forward", "backward"])
def test_sweep_is_successive_relaxation(name, omega, forward):
    A = MATRICES[name]
    n = A.shape[0]
    rng = np.random.default_rng(8)
    x, b = rng.standard_normal(n).astype(A.dtype), rng.standard_normal(n).astype(A.dtype)
    if omega == "per_row":
        omega = rng.uniform(0.5, 1.5, n)
    rows = range(n) if forward else range(n - 1, -1, -1)
    expected = reference_sweep(A, x, b, omega, rows)
    Relaxation(A, omega).sweep(x, b, forward=forward)
    np.testing.assert_allclose(x, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("shape", [(6, 7), (4, 5, 3)], ids=["2d", "3d"])
def test_coloured_order_is_red_black_on_grids(shape):
    A = poisson(*shape)
    rows, colours = colour_order(A)
    assert colours == 2
    parity = sum(np.indices(shape)).ravel() % 2
    assert np.array_equal(parity[rows], np.sort(parity))
    rng = np.random.default_rng(9)
    x, b = rng.standard_normal(A.shape[0]), rng.standard_normal(A.shape[0])
    relaxation = Relaxation(A, 1.3, order="coloured")
    there, back = x.copy(), x.copy()
    relaxation.sweep(there, b)
    relaxation.sweep(back, b, forward=False)
    np.testing.assert_allclose(there, reference_sweep(A, x, b, 1.3, rows), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(back, reference_sweep(A, x, b, 1.3, rows[::-1]), rtol=1e-11, atol=1e-13)


def test_colouring_separates_neighbours_on_any_pattern():
    rng = np.random.default_rng(10)
    dense = rng.random((120, 120)) < 0.05
    A = csr_array((dense | dense.T | np.eye(120, dtype=bool)).astype(float))
    rows, colours = colour_order(A)
    colour = np.empty(120, dtype=int)
    ends = []
    current, used = 0, set()
    for i in rows:  # a new colour starts where a row meets a neighbour of the current one
        if used & set(A.indices[A.indptr[i] : A.indptr[i + 1]]):
            ends.append(i)
            current, used = current + 1, set()
        colour[i] = current
        used.add(i)
    assert sorted(rows) == list(range(120))
    assert current + 1 <= colours
    assert colour_order(csr_array(np.ones((70, 70))))[1] == 70  # a clique needs them all


def test_symmetric_sweep_and_jacobi_follow_their_definitions():
    A = MATRICES["irregular"]
    n = A.shape[0]
    rng = np.random.default_rng(11)
    x, b, out = rng.standard_normal(n), rng.standard_normal(n), np.empty(n)
    relaxation = Relaxation(A, 0.7)
    relaxation.jacobi(x, b, out)
    np.testing.assert_allclose(out, x + 0.7 * (b - A @ x) / A.diagonal(), rtol=1e-12)
    expected = reference_sweep(A, reference_sweep(A, x, b, 0.7, range(n)), b, 0.7, range(n - 1, -1, -1))
    relaxation.symmetric_sweep(x, b)
    np.testing.assert_allclose(x, expected, rtol=1e-11)


def test_sweeps_allocate_nothing():
    A = poisson(120, 120)
    relaxation = Relaxation(A)
    x, b, out = np.zeros(A.shape[0]), np.ones(A.shape[0]), np.empty(A.shape[0])
    relaxation.symmetric_sweep(x, b)
    relaxation.jacobi(x, b, out)
    tracemalloc.start()
    relaxation.symmetric_sweep(x, b)
    relaxation.jacobi(x, b, out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < A.shape[0]


@pytest.mark.parametrize(
    ("matrix", "options", "error", "message"),
    [
        (csr_array([[1.0, 1.0], [1.0, 0.0]]), {}, np.linalg.LinAlgError, "row 1"),
        (csr_array(np.ones((2, 3))), {}, ValueError, "square"),
        (csr_array(np.eye(2)), {"omega": [1.0, 1.0, 1.0]}, ValueError, "omega has shape"),
        (csr_array(np.eye(2)), {"omega": np.nan}, ValueError, "omega"),
        (csr_array(np.eye(2)), {"order": "random"}, ValueError, "order is 'random'"),
    ],
    ids=["zero_diagonal", "rectangular", "omega_shape", "omega_nan", "order"],
)
def test_unusable_input_is_refused(matrix, options, error, message):
    with pytest.raises(error, match=message):
        Relaxation(matrix, **options)
