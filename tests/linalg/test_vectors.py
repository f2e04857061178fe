import numpy as np
import pytest

from ritzkit.linalg import threads, vectors

KINDS = ["float64", "float32", "complex128", "torch"]
LENGTHS = [0, 1, 5, 4096, 40_000, 100_001]


def make(kind, n, rng, count):
    out = []
    for _ in range(count):
        x = rng.standard_normal(n)
        if kind == "complex128":
            x = x + 1j * rng.standard_normal(n)
        if kind == "torch":
            torch = pytest.importorskip("torch")
            out.append(torch.from_numpy(x))
        else:
            out.append(x.astype(kind))
    return out


def close(found, wanted, kind, n):
    tolerance = (1e-4 if kind == "float32" else 1e-11) * max(1, np.sqrt(n))
    np.testing.assert_allclose(vectors.to_numpy(found), wanted, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_vector_functions_do_what_they_say(kind, rng):
    for n in LENGTHS:
        x, y, z, w = make(kind, n, rng, 4)
        X, Y, Z, W = (vectors.to_numpy(v).copy() for v in (x, y, z, w))
        close(vectors.dot(x, y), np.vdot(X, Y), kind, n)
        close(vectors.norm(x), np.linalg.norm(X), kind, n)
        vectors.axpby(2.0, x, -0.5, y)
        Y = 2.0 * X - 0.5 * Y
        close(y, Y, kind, n)
        vectors.axpy(0.25, x, y)
        vectors.xpby(x, 0.5, y)
        Y = X + 0.5 * (Y + 0.25 * X)
        close(y, Y, kind, n)
        squared = vectors.cg_step(0.3, x, y, z, w)
        Z, W = Z + 0.3 * X, W - 0.3 * Y
        close(z, Z, kind, n)
        close(w, W, kind, n)
        close(squared, np.vdot(W, W).real, kind, n)
        squared = vectors.axpy_norm(-0.3, x, w)
        W = W - 0.3 * X
        close(w, W, kind, n)
        close(squared, np.vdot(W, W).real, kind, n)
        vectors.step_and_turn(0.4, y, z, w, 0.6)
        Z, Y = Z + 0.4 * Y, W + 0.6 * Y
        close(z, Z, kind, n)
        close(y, Y, kind, n)
        vectors.bicgstab_direction(x, 0.7, 0.2, y, z)
        Z = X + 0.7 * (Z - 0.2 * Y)
        close(z, Z, kind, n)
        vectors.add_two(0.1, x, -0.2, y, z)
        Z = Z + 0.1 * X - 0.2 * Y
        close(z, Z, kind, n)


@pytest.mark.parametrize("kind", KINDS)
def test_block_functions(kind, rng):
    for n in (3, 50_000):
        (w,) = make(kind, n, rng, 1)
        rows = make(kind, n, rng, 4)
        basis = vectors.empty_basis(5, w)
        for j, row in enumerate(rows):
            basis[j] = row
        V, W = np.array([vectors.to_numpy(row) for row in rows]), vectors.to_numpy(w).copy()
        h = np.zeros(5, dtype=np.complex128 if kind == "complex128" else np.float64)
        vectors.block_dot(basis, 4, w, h)
        close(h[:4], V.conj() @ W, kind, n)
        vectors.block_axpy(basis, 4, h, -1.0, w)
        np.testing.assert_allclose(
            vectors.to_numpy(w),
            W - V.T @ h[:4],
            rtol=1e-2 if kind == "float32" else 1e-9,
            atol=1e-2 if kind == "float32" else 1e-9,
        )


def test_results_do_not_depend_on_the_number_of_threads(rng):
    x, y = rng.standard_normal(300_001), rng.standard_normal(300_001)
    found = []
    for n in (1, 2):
        with threads.thread_limit(n):
            found.append((vectors.dot(x, y), vectors.norm(x)))
    assert found[0] == found[1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_norm_survives_overflow_and_underflow(dtype):
    for factor in (1e-30, 1e30) if dtype == np.float32 else (1e-300, 1e300):
        x = np.full(16, factor, dtype=dtype)
        assert vectors.norm(x) == pytest.approx(4 * float(dtype(factor)), rel=1e-5)
    assert np.isnan(vectors.norm(np.array([1.0, np.inf])))
    assert vectors.norm(np.zeros(3)) == 0.0


def test_threads_are_set_in_one_place():
    before = threads.get_threads()
    with threads.thread_limit(1) as n:
        assert n == threads.get_threads() == 1
        assert threads.thread_report()["numba"] == 1
    assert threads.get_threads() == before
    assert threads.set_threads(10**6) <= 10**6
    threads.set_threads(before)
    for bad in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="whole number of threads"):
            threads.set_threads(bad)


def test_long_copies_are_copies(rng):
    x, out = rng.standard_normal(vectors.LONG + 5), np.full(vectors.LONG + 5, np.nan)
    vectors.copy(x, out)
    np.testing.assert_array_equal(out, x)
