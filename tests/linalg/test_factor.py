"""Incomplete factors: exact on their pattern, complete with full fill, always definite, updatable."""

import numpy as np
import pytest
from scipy.linalg import cholesky
from scipy.sparse import csr_array, diags_array, eye_array, kron, random_array

from ritzkit.linalg.factor import IncompleteCholesky, IncompleteLU, SSORFactor


def poisson(*shape):
    total = csr_array((1, 1))
    for m in shape:
        line = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
        total = kron(total, eye_array(m)) + kron(eye_array(total.shape[0]), line)
    return csr_array(total)


def rotated_anisotropic(m, strength=1e-3, angle=0.6):
    """Nine-point finite differences with positive off-diagonal entries: not an M-matrix."""
    c, s = np.cos(angle), np.sin(angle)
    a, b, d = c * c + strength * s * s, s * s + strength * c * c, (1 - strength) * c * s
    first = diags_array([-0.5, 0.5], offsets=[-1, 1], shape=(m, m))
    second = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
    eye = eye_array(m)
    return csr_array(a * kron(eye, second) + b * kron(second, eye) - 2 * d * kron(first, first))


def random_spd(n, rng, dtype="d"):
    """G G^H + small multiple of I: positive and negative off-diagonals, nearly singular."""
    G = random_array((n, n), density=3.0 / n, rng=rng, data_sampler=rng.standard_normal)
    if dtype == "D":
        G = G + 1j * random_array((n, n), density=2.0 / n, rng=rng, data_sampler=rng.standard_normal)
    return csr_array(G @ G.conj().T + 1e-3 * eye_array(n))


def unsymmetric(n, dtype="d", seed=0):
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((n, n)) * (rng.random((n, n)) < 5.0 / n)
    if dtype == "D":
        dense = dense + 1j * rng.standard_normal((n, n)) * (dense != 0)
    return csr_array((dense + np.diag(rng.uniform(3, 4, n))).astype(dtype))


def product(factor):
    return (factor.L @ factor.L.conj().T).toarray()


SPD = {
    "grid_2d": poisson(9, 7),
    "grid_3d": poisson(4, 5, 3),
    "rotated": rotated_anisotropic(8),
    "random": random_spd(60, np.random.default_rng(0)),
    "hermitian": random_spd(50, np.random.default_rng(1), "D"),
    "diagonal": csr_array(np.diag([1.0, 2.0, 3.0])),
}
GRIDS = ["grid_2d", "grid_3d"]


# --- Cholesky -----------------------------------------------------------------------------------------------


def test_constant_five_point_pivots_tend_to_their_limits():
    A = poisson(60, 60)
    assert IncompleteCholesky(A).pivots[-1] > 2 + np.sqrt(2) - 1e-12  # the corner is still above the limit
    interior = IncompleteCholesky(A).pivots.reshape(60, 60)[40:50, 40:50]
    np.testing.assert_allclose(interior, 2 + np.sqrt(2), rtol=1e-10)
    modified = IncompleteCholesky(poisson(400, 400), alpha=1.0).pivots.reshape(400, 400)
    diagonal = np.diag(modified)
    assert (np.diff(diagonal[1:-1]) < 0).all()  # falls like 2 + O(1/j)
    assert 2.0 < diagonal[-2] < 2.02


@pytest.mark.parametrize("name", SPD)
@pytest.mark.parametrize("level", [0, 1, 3])
def test_cholesky_equals_matrix_on_its_pattern(name, level):
    A = SPD[name]
    factor = IncompleteCholesky(A, level=level)
    if factor.shift:
        A = A + factor.shift * diags_array(A.diagonal())
    kept = (factor.U + factor.U.T).toarray() != 0
    kept |= A.toarray() != 0
    error = np.where(kept, product(factor) - A.toarray(), 0)
    assert np.abs(error).max() < 1e-12 * np.abs(A).max()


@pytest.mark.parametrize("name", SPD)
@pytest.mark.parametrize("options", [{"level": 60}, {"drop_tol": 0.0}], ids=["levels", "threshold"])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_cholesky_with_all_fill_is_complete(name, options, alpha):
    A = SPD[name]
    factor = IncompleteCholesky(A, alpha=alpha, **options)
    np.testing.assert_allclose(factor.L.toarray(), cholesky(A.toarray(), lower=True), atol=1e-10)
    assert factor.attempts == 1


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("options", [{}, {"level": 1}, {"level": 2}, {"drop_tol": 0.05}], ids=str)
def test_modified_cholesky_keeps_row_sums(name, options):
    A = SPD[name]
    factor = IncompleteCholesky(A, alpha=1.0, **options)
    assert factor.floored_rows.size == 0
    np.testing.assert_allclose(product(factor).sum(axis=1), A.sum(axis=1), atol=1e-12)


def test_relaxation_and_lift_per_row_enter_where_they_should():
    A = SPD["grid_2d"]
    n = A.shape[0]
    rng = np.random.default_rng(3)
    alpha, lift = rng.random(n), rng.random(n)
    factor = IncompleteCholesky(A, alpha=alpha, lift=lift)
    M = product(factor)
    dropped = np.where(A.toarray() == 0, M, 0)  # what the factor has where A has nothing
    expected = A.diagonal() * (1 + lift) - alpha * dropped.sum(axis=1)
    np.testing.assert_allclose(np.diag(M), expected, rtol=1e-12)
    off = np.where((A.toarray() != 0) & ~np.eye(n, dtype=bool), M - A.toarray(), 0)
    assert np.abs(off).max() < 1e-13


@pytest.mark.parametrize("seed", range(8))
def test_cholesky_is_positive_definite_whatever_the_parameters(seed):
    rng = np.random.default_rng(seed)
    matrices = [
        random_spd(40, rng),
        random_spd(30, rng, "D"),
        rotated_anisotropic(7, 1e-4, rng.uniform(0, 3)),
    ]
    for A in matrices:
        n = A.shape[0]
        for options in ({}, {"level": 1}, {"level": 3}, {"drop_tol": 0.1}, {"drop_tol": 0.4}):
            alpha = rng.choice([0.0, 0.5, 1.0]) if rng.random() < 0.5 else rng.random(n)
            lift = 0.0 if rng.random() < 0.5 else rng.random(n)
            factor = IncompleteCholesky(A, alpha=alpha, lift=lift, **options)
            assert (factor.pivots > 0).all()
            assert np.isfinite(factor.U.data).all()
            M = product(factor)
            np.testing.assert_allclose(M, M.conj().T, atol=1e-10 * np.abs(M).max())
            b = rng.standard_normal(n)
            x = factor.solve(b)
            assert np.vdot(b, x).real > 0
            np.testing.assert_allclose(M @ x, b, atol=1e-6 * np.abs(M).max() * np.abs(x).max())


def test_breakdown_is_cured_and_recorded():
    # positive definite, but level 0 drops the one entry that keeps the last pivot positive
    A = csr_array([[3.0, -2.0, 0.0, 2.0], [-2.0, 3.0, -2.0, 0.0], [0.0, -2.0, 3.0, -2.0], [2.0, 0.0, -2.0, 3.0]])
    assert np.linalg.eigvalsh(A.toarray()).min() > 0.1
    factor = IncompleteCholesky(A)
    assert factor.shift > 0
    assert factor.attempts > 1
    assert np.linalg.eigvalsh(product(factor)).min() > 0
    shifted = A + factor.shift * diags_array(A.diagonal())
    assert np.abs(np.where(A.toarray() != 0, product(factor) - shifted.toarray(), 0)).max() < 1e-12
    assert IncompleteCholesky(A, level=2).shift == 0


def test_singular_neumann_matrix_floors_only_what_it_must():
    A = poisson(12, 12)
    A = csr_array(A - diags_array(A.sum(axis=1)))  # row sums zero: modified IC has a last pivot of zero
    factor = IncompleteCholesky(A, alpha=1.0)
    assert factor.floored_rows.tolist() == [143]
    assert factor.shift == 0
    assert factor.pivots.min() > 1e-8


def test_off_diagonals_are_kept_only_without_fill_in_the_pattern():
    assert IncompleteCholesky(SPD["grid_2d"], alpha=0.9).keeps_offdiagonals
    assert IncompleteCholesky(SPD["grid_3d"]).keeps_offdiagonals
    assert not IncompleteCholesky(SPD["rotated"]).keeps_offdiagonals
    assert IncompleteCholesky(SPD["rotated"]).eisenstat() is None
    assert IncompleteCholesky(SPD["grid_2d"], level=1).eisenstat() is None
    assert IncompleteCholesky(SPD["grid_2d"], dtype=np.float32).eisenstat() is None


@pytest.mark.parametrize("options", [{}, {"level": 1}, {"drop_tol": 0.05}], ids=str)
@pytest.mark.parametrize("kind", [IncompleteCholesky, IncompleteLU])
def test_update_equals_a_new_factor(options, kind):
    A = SPD["rotated"]
    factor = kind(A, **options)
    scaling = diags_array(np.random.default_rng(5).uniform(0.5, 2.0, A.shape[0]))
    other = csr_array(scaling @ A @ scaling)  # same pattern
    wider = csr_array(A + 0.01 * A @ A)  # another one
    for matrix in (other, A, wider, A):
        factor.update(matrix)
        fresh = kind(matrix, **options)
        assert np.array_equal(factor.U.data, fresh.U.data)
        assert np.array_equal(factor.U.indices, fresh.U.indices)
        assert np.array_equal(factor.pivots, fresh.pivots)
    with pytest.raises(ValueError, match="set up for"):
        factor.update(poisson(3, 3))


def test_threshold_is_blind_to_symmetric_scaling():
    A = SPD["rotated"]
    scaling = diags_array(2.0 ** np.random.default_rng(6).integers(-10, 10, A.shape[0]))
    plain, scaled = (
        IncompleteCholesky(A, drop_tol=0.03),
        IncompleteCholesky(scaling @ A @ scaling, drop_tol=0.03),
    )
    assert np.array_equal(plain.U.indices, scaled.U.indices)
    np.testing.assert_allclose(scaled.L.toarray(), (scaling @ plain.L).toarray(), rtol=1e-14)


def test_smaller_threshold_and_more_levels_come_closer():
    A = SPD["rotated"]
    for family in ([{"drop_tol": t} for t in (0.2, 0.05, 0.01, 0.001)], [{"level": k} for k in (1, 2, 4, 8)]):
        factors = [IncompleteCholesky(A, **options) for options in family]
        errors = [np.linalg.norm(product(f) - A.toarray()) for f in factors]
        assert errors == sorted(errors, reverse=True)
        assert [f.nnz for f in factors] == sorted(f.nnz for f in factors)


def test_narrow_storage_stays_definite_and_close():
    A = SPD["grid_2d"]
    b = np.random.default_rng(8).standard_normal(A.shape[0])
    wide, narrow = IncompleteCholesky(A, alpha=0.95), IncompleteCholesky(A, alpha=0.95, dtype=np.float32)
    assert narrow.memory_bytes < wide.memory_bytes
    np.testing.assert_allclose(narrow.solve(b), wide.solve(b), rtol=1e-4)
    assert IncompleteCholesky(A.astype(np.float32)).solve(b.astype(np.float32)).dtype == np.float32


def with_entry(A, i, j, value):
    dense = A.toarray()
    dense = dense.astype(np.result_type(dense, value))
    dense[i, j] = value
    return csr_array(dense)


def with_pair(A, i, j, value):
    return with_entry(with_entry(A, i, j, value), j, i, value)


SMALL = poisson(3, 3)


@pytest.mark.parametrize(
    ("matrix", "options", "error", "message"),
    [
        (with_entry(SMALL, 4, 4, 0.0), {}, np.linalg.LinAlgError, "row 4"),
        (with_entry(SMALL, 4, 4, -1.0), {}, np.linalg.LinAlgError, "row 4"),
        (with_entry(SMALL, 2, 2, np.nan), {}, np.linalg.LinAlgError, "row 2"),
        (with_entry(SMALL, 1, 2, -0.5), {}, ValueError, "not symmetric: row 1"),
        (with_entry(SMALL, 8, 0, 1.0), {}, ValueError, "not symmetric: row 8"),
        (with_entry(SMALL, 0, 8, 1.0), {}, ValueError, "not symmetric: row 0"),
        (with_pair(SMALL, 0, 1, np.inf), {"assume_symmetric": True}, ValueError, "infinite entry in row 0"),
        (with_pair(SMALL, 0, 1, 1j), {}, ValueError, "not Hermitian"),
        (csr_array(np.ones((2, 3))), {}, ValueError, "square"),
        (SMALL, {"level": -1}, ValueError, "level is -1"),
        (SMALL, {"level": 1.5}, ValueError, "level is 1.5"),
        (SMALL, {"drop_tol": -0.1}, ValueError, "drop_tol is -0.1"),
        (SMALL, {"drop_tol": "tight"}, ValueError, "drop_tol is 'tight'"),
        (SMALL, {"drop_tol": 0.1, "level": 1}, ValueError, "one of the two"),
        (SMALL, {"lift": -0.1}, ValueError, "lift"),
        (SMALL, {"alpha": [0.5, 0.5]}, ValueError, r"alpha has shape \(2,\)"),
        (SMALL, {"alpha": np.inf}, ValueError, "alpha"),
        (SMALL, {"floor": 2.0}, ValueError, "floor is 2.0"),
        (SMALL, {"dtype": np.int32}, TypeError, "dtype is int32"),
        (SMALL.astype(complex), {"dtype": np.float32}, TypeError, "complex"),
    ],
    ids=[
        "zero_diagonal", "negative_diagonal", "nan_diagonal", "unequal", "lower_only", "upper_only",
        "infinite", "complex_symmetric", "rectangular", "level_negative", "level_float", "drop_negative",
        "drop_text", "level_and_drop", "lift_negative", "alpha_shape", "alpha_infinite", "floor",
        "dtype_integer", "dtype_real",
    ],
)  # fmt: skip
def test_cholesky_refuses_unusable_input(matrix, options, error, message):
    with pytest.raises(error, match=message):
        IncompleteCholesky(matrix, **options)


# --- LU -----------------------------------------------------------------------------------------------------


GENERAL = {
    "real": unsymmetric(60),
    "complex": unsymmetric(50, "D"),
    "grid": SPD["grid_3d"],
    "convection": csr_array(
        poisson(8, 8) + kron(eye_array(8), diags_array([-1.5, 1.5], offsets=[-1, 1], shape=(8, 8)))
    ),
}


@pytest.mark.parametrize("name", GENERAL)
@pytest.mark.parametrize("level", [0, 1, 2])
def test_lu_equals_matrix_on_its_pattern(name, level):
    A = GENERAL[name]
    factor = IncompleteLU(A, level=level)
    assert factor.replaced_rows.size == 0
    kept = ((factor.L.toarray() != 0) | (factor.U.toarray() != 0)) | (A.toarray() != 0)
    error = np.where(kept, (factor.L @ factor.U - A).toarray(), 0)
    assert np.abs(error).max() < 1e-12 * np.abs(A).max()


@pytest.mark.parametrize("name", GENERAL)
@pytest.mark.parametrize("options", [{"level": 64}, {"drop_tol": 0.0}], ids=["levels", "threshold"])
def test_lu_with_all_fill_is_complete(name, options):
    A = GENERAL[name]
    factor = IncompleteLU(A, **options)
    assert abs(factor.L @ factor.U - A).max() < 1e-11 * abs(A).max()
    x = np.random.default_rng(9).standard_normal(A.shape[0]).astype(A.dtype)
    np.testing.assert_allclose(factor.solve(A @ x), x, rtol=1e-8)


@pytest.mark.parametrize("name", ["real", "complex"])
@pytest.mark.parametrize("mode", ["N", "H"])
def test_lu_solves_with_factor_and_adjoint(name, mode):
    factor = IncompleteLU(GENERAL[name])
    M = (factor.L @ factor.U).toarray()
    M = M.conj().T if mode == "H" else M
    b = np.random.default_rng(10).standard_normal((M.shape[0], 2)).astype(M.dtype)
    np.testing.assert_allclose(M @ factor.solve(b, mode=mode), b, atol=1e-10)
    out = np.empty(M.shape[0], dtype=M.dtype)
    assert factor.solve(b[:, 0], out, mode=mode) is out
    np.testing.assert_allclose(M @ out, b[:, 0], atol=1e-10)


@pytest.mark.parametrize("options", [{}, {"level": 2}, {"drop_tol": 0.01}], ids=str)
def test_lu_fills_missing_diagonals_or_replaces_them(options):
    saddle = csr_array([[2.0, 0.0, 1.0], [0.0, 2.0, 1.0], [1.0, 1.0, 0.0]])
    saddle.eliminate_zeros()
    factor = IncompleteLU(saddle, **options)  # fill arrives at the missing diagonal entry
    assert factor.replaced_rows.size == 0
    np.testing.assert_allclose(factor.pivots, [2.0, 2.0, -1.0])
    swap = csr_array([[0.0, 3.0], [5.0, 0.0]])
    swap.eliminate_zeros()
    factor = IncompleteLU(swap, **options)  # nothing arrives
    assert factor.replaced_rows[0] == 0
    assert np.isfinite(factor.solve(np.ones(2))).all()


def test_lu_refuses_what_it_cannot_factor():
    with pytest.raises(np.linalg.LinAlgError, match="row 1 holds no nonzero"):
        IncompleteLU(csr_array([[1.0, 0.0], [0.0, 0.0]]))
    with pytest.raises(np.linalg.LinAlgError, match="row 1 holds no nonzero"):
        IncompleteLU(csr_array([[1.0, 0.0], [0.0, 0.0]]), drop_tol=0.1)
    with pytest.raises(ValueError, match="infinite entry in row 0"):
        IncompleteLU(csr_array([[1.0, np.nan], [1.0, 1.0]]))
    with pytest.raises(ValueError, match="square"):
        IncompleteLU(csr_array(np.ones((2, 3))))
    with pytest.raises(ValueError, match="mode is 'T'"):
        IncompleteLU(SMALL).solve(np.ones(9), mode="T")
    with pytest.raises(ValueError, match="b has shape"):
        IncompleteLU(SMALL).solve(np.ones(8))


@pytest.mark.parametrize("kind", [IncompleteCholesky, IncompleteLU])
def test_threshold_that_keeps_too_much_is_refused(kind):
    arrow = 600.0 * np.eye(300)  # eliminating the first row fills the whole matrix
    arrow[0, 1:] = arrow[1:, 0] = -1.0
    with pytest.raises(np.linalg.LinAlgError, match=r"drop_tol=0\.0 keeps more than"):
        kind(csr_array(arrow), drop_tol=0.0)
    assert kind(csr_array(arrow), drop_tol=1e-4).nnz < 1000


# --- SSOR and Eisenstat's form ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPD)
@pytest.mark.parametrize("omega", [0.6, 1.0, 1.7])
def test_ssor_factor_is_its_formula(name, omega):
    A = SPD[name].toarray()
    T, E = np.diag(np.diag(A)) / omega, np.tril(A, -1)
    M = (T + E) @ np.linalg.inv(T) @ (T + E).conj().T / (2 - omega)
    np.testing.assert_allclose(product(SSORFactor(SPD[name], omega)), M, atol=1e-12 * np.abs(M).max())


def forms():
    for name in ("grid_2d", "random", "hermitian"):
        yield pytest.param(SPD[name], SSORFactor(SPD[name], 1.3), 1 / 0.7, id=f"ssor-{name}")
    lifted = IncompleteCholesky(SPD["grid_3d"], alpha=0.9, lift=0.1)
    yield pytest.param(SPD["grid_3d"], lifted, 1.0, id="ric-grid_3d")


@pytest.mark.parametrize(("A", "factor", "scale"), list(forms()))
def test_eisenstat_form_is_the_split_preconditioned_matrix(A, factor, scale):
    form = factor.eisenstat()
    dense = A.toarray()
    n = dense.shape[0]
    C = np.linalg.cholesky(product(factor) / scale)  # the unique factor with positive diagonal: (T + E) T^{-1/2}
    expected = np.linalg.solve(C, np.linalg.solve(C, dense).conj().T)
    rng = np.random.default_rng(12)
    p, r = rng.standard_normal((2, n)).astype(dense.dtype)
    out, direction = np.empty_like(p), p.copy()
    bound = {"rtol": 1e-9, "atol": 1e-9}
    form.apply(p, out)
    np.testing.assert_allclose(out, expected @ p, **bound)
    curvature, squared = form.step(r, 0.3, direction, out)
    np.testing.assert_allclose(direction, r + 0.3 * p, rtol=1e-14)
    np.testing.assert_allclose(out, expected @ direction, **bound)
    np.testing.assert_allclose(curvature, np.vdot(direction, expected @ direction).real, rtol=1e-9)
    np.testing.assert_allclose(squared, np.linalg.norm(C @ r) ** 2, rtol=1e-10)
    np.testing.assert_allclose(form.residual(r, out), squared, rtol=1e-12)
    np.testing.assert_allclose(out, C @ r, **bound)
    form.to_hat(r, out)
    np.testing.assert_allclose(C @ out, r, **bound)
    form.from_hat(r, out)
    np.testing.assert_allclose(C.conj().T @ out, r, **bound)
