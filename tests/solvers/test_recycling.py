"""What recycling promises: exact algebra of the space, honest ends, and iteration counts that theory foretells."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from ritzkit.linalg import as_operator
from ritzkit.solvers import (
    Outcome,
    RecycleSpace,
    block_gcrodr,
    cg,
    deflated_cg,
    gcrodr,
    gmres,
    gmres_dr,
    minres,
    precond,
    recycled_minres,
)  # fmt: skip
from ritzkit.solvers.recycling.harmonic import harmonic_ritz

from . import makers

FORMS = {"gcrodr": gcrodr, "block_gcrodr": block_gcrodr, "deflated_cg": deflated_cg, "recycled_minres": recycled_minres}
each_form = pytest.mark.parametrize("name", FORMS)


def laplacian(n=24):
    return sp.csr_array(makers.poisson(n)[0])


def upwind(n=24, speed=0.4):
    """Convection-diffusion: real, nonsymmetric, with complex pairs of eigenvalues."""
    T = sp.diags_array([-1.0 - speed, 2.0, -1.0 + speed], offsets=[-1, 0, 1], shape=(n, n))
    identity = sp.eye_array(n)
    return sp.csr_array(sp.kron(T, identity) + sp.kron(identity, T))


def rotated(n=24):
    """Complex and not Hermitian."""
    return sp.csr_array(laplacian(n) + 0.3j * sp.eye_array(n * n) * np.linspace(0, 1, n * n))


def right(A, seed=0):
    rng = np.random.default_rng(seed)
    b = rng.standard_normal(A.shape[0])
    return b + 1j * rng.standard_normal(A.shape[0]) if A.dtype.kind == "c" else b


def true_residual(A, b, x):
    return np.linalg.norm(b - A @ x) / np.linalg.norm(b)


def subspace_error(A, U):
    """How far the span of U is from being invariant under A."""
    Q = np.linalg.qr(U)[0]
    return np.linalg.norm(A @ Q - Q @ (Q.conj().T @ (A @ Q))) / np.linalg.norm(A @ Q)


MATRICES = {"symmetric": laplacian, "nonsymmetric": upwind, "complex": rotated}


# --- the space -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flexible", [True, False], ids=["stored", "applied"])
@pytest.mark.parametrize("preconditioned", [False, True], ids=["plain", "ilu"])
@pytest.mark.parametrize("kind", MATRICES)
def test_images_are_orthonormal_and_belong_to_the_vectors(kind, preconditioned, flexible):
    A = MATRICES[kind]()
    M = precond.ilu(A) if preconditioned else None
    space = RecycleSpace(6)
    for seed in range(3):
        result = gcrodr(A, right(A, seed), rtol=1e-8, restart=16, recycle=space, M=M, flexible=flexible)
        assert result.success
        assert result.recycle is space
        assert space.k in (6, 7)
        np.testing.assert_allclose(space.C.conj().T @ space.C, np.eye(space.k), atol=1e-10)
        assert np.linalg.norm(A @ space.U - space.C) <= 1e-11 * np.linalg.norm(space.U) * sla.norm(A)


def test_recycled_span_becomes_invariant():
    A = laplacian()
    space, errors = RecycleSpace(6), []
    for seed in range(5):
        gcrodr(A, right(A, seed), rtol=1e-10, restart=20, recycle=space)
        errors.append(subspace_error(A, space.U[:, :1]))
    assert errors[-1] < 1e-5, "the vector of the smallest eigenvalue is found"
    smallest = np.linalg.eigvalsh(A.toarray())[0]
    u = space.U[:, 0] / np.linalg.norm(space.U[:, 0])
    assert u @ (A @ u) == pytest.approx(smallest, rel=1e-6)


def test_complex_pairs_stay_whole_and_real():
    A = upwind(20, 0.9)
    result = gcrodr(A, right(A), rtol=1e-12, restart=30, k=7, maxiter=300, select="li")
    U = result.recycle.U
    assert U.dtype == np.float64
    Q = np.linalg.qr(U)[0]
    values = np.linalg.eigvals(Q.T @ (A @ Q))
    assert U.shape[1] == 8, "seven would cut a pair"
    np.testing.assert_allclose(np.sort_complex(values), np.sort_complex(values.conj()))
    assert (np.abs(values.imag) > 0).sum() % 2 == 0


def test_hermitian_and_general_selection_agree():
    A = laplacian()
    declared = as_operator(A, symmetric=True)
    one, two = (gmres_dr(B, right(A), rtol=1e-9, restart=20, k=8) for B in (A, declared))
    assert abs(one.iterations - two.iterations) <= 1


# --- iteration counts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preconditioned", [False, True], ids=["plain", "ilu"])
@pytest.mark.parametrize("kind", MATRICES)
def test_without_vectors_it_is_restarted_gmres(kind, preconditioned):
    A = MATRICES[kind]()
    M = precond.ilu(A) if preconditioned else None
    b = right(A)
    ours = gcrodr(A, b, rtol=1e-8, restart=11, k=0, M=M)
    theirs = gmres(A, b, rtol=1e-8, restart=11, M=M)
    assert ours.iterations == theirs.iterations
    np.testing.assert_allclose(ours.residuals, theirs.residuals, rtol=1e-5)


def test_gmres_dr_is_gcrodr_on_one_system_and_beats_gmres():
    values = np.concatenate([10.0 ** -np.arange(1.0, 6.0), np.linspace(1, 2, 195)])
    A, b = np.diag(values), np.ones(200)
    ours, same, plain = (
        f(A, b, rtol=1e-10, restart=20, **o) for f, o in ((gmres_dr, {"k": 6}), (gcrodr, {"k": 6}), (gmres, {}))
    )
    assert ours.iterations == same.iterations
    assert ours.recycle is None
    assert ours.iterations < 60
    assert not plain.success or plain.iterations > 5 * ours.iterations


@pytest.mark.parametrize("method", ["gcrodr", "deflated_cg", "recycled_minres"])
def test_exact_deflation_removes_eigenvalues(method):
    A = laplacian()
    _, Q = np.linalg.eigh(A.toarray())
    Z, b = Q[:, :10], right(A)
    space = RecycleSpace(10)
    space.update(Z)
    operator = as_operator(A, positive_definite=True)
    options = {"restart": 100} if method == "gcrodr" else {}
    deflated = FORMS[method](operator, b, rtol=1e-8, recycle=space, **options)
    projected = b - Z @ (Z.T @ b)
    plain = {"gcrodr": lambda *a, **o: gmres(*a, restart=100, **o), "deflated_cg": cg, "recycled_minres": minres}
    reference = plain[method](operator, projected, rtol=1e-8 * np.linalg.norm(b) / np.linalg.norm(projected))
    full = plain[method](operator, b, rtol=1e-8)
    assert abs(deflated.iterations - reference.iterations) <= 1
    assert deflated.iterations < 0.6 * full.iterations


@each_form
def test_a_sequence_gets_cheaper(name):
    A = as_operator(laplacian(), positive_definite=True)
    space, counts = RecycleSpace(10), []
    for seed in range(5):
        result = FORMS[name](A, right(A, seed), rtol=1e-8, recycle=space)
        assert result.success
        counts.append(result.iterations)
    assert counts[-1] < 0.72 * counts[0], counts


@each_form
def test_the_same_system_again_is_nearly_free(name):
    """A right-hand side whose solution lies in the space is solved without an iteration."""
    A = as_operator(laplacian(), positive_definite=True)
    space = RecycleSpace(10)
    FORMS[name](A, right(A), rtol=1e-8, recycle=space)
    b = A.matvec(np.ascontiguousarray(space.U @ np.arange(1.0, space.k + 1)))
    result = FORMS[name](A, b, rtol=1e-8, recycle=space)
    assert result.success
    assert result.iterations <= 2


@pytest.mark.parametrize("make", [precond.jacobi, precond.ic], ids=["jacobi", "ic"])
@each_form
def test_a_preconditioner_that_changes_with_the_matrix(name, make):
    base, place = laplacian(), np.linspace(0, 1, 24)
    space, counts, fresh = RecycleSpace(8), [], []
    for seed in range(4):
        scale = sp.diags_array(np.exp(0.1 * np.add.outer(np.sin(3 * place + seed), place)).ravel())
        A = as_operator(sp.csr_array(scale @ base @ scale), positive_definite=True)
        M, b = make(A), right(base, seed)
        result = FORMS[name](A, b, rtol=1e-8, M=M, recycle=space, **({"restart": 30} if "gcro" in name else {}))
        assert result.success
        assert true_residual(A.matrix, b, result.x) <= 1e-8
        counts.append(result.iterations)
        fresh.append(FORMS[name](A, b, rtol=1e-8, M=M, k=8, **({"restart": 30} if "gcro" in name else {})).iterations)
    assert sum(counts[2:]) < 0.9 * sum(fresh[2:]), (counts, fresh)


def test_a_changing_preconditioner_is_taken():
    A, b, calls = laplacian(), right(laplacian()), []

    def changing(r):
        calls.append(0)
        return r * (1.0 + 0.3 * np.sin(len(calls)))

    M = as_operator(sla.LinearOperator(A.shape, matvec=changing, dtype=float))
    M.fixed = False
    space = RecycleSpace(6)
    for seed in range(2):
        assert gcrodr(A, right(A, seed), M=M, rtol=1e-8, restart=20, recycle=space).success
    assert block_gcrodr(A, np.stack([b, b + 1], axis=1), M=M, rtol=1e-8, recycle=space).success
    with pytest.raises(ValueError, match="not fixed"):
        gcrodr(A, b, M=M, flexible=False)


def test_side_left_stops_on_the_preconditioned_residual_and_tells_the_true_one():
    A = laplacian()
    A = sp.csr_array(sp.diags_array(np.logspace(0, 3, A.shape[0])) @ A)
    b, M = right(A), precond.jacobi(A)
    result = gcrodr(A, b, rtol=1e-3, M=M, side="left", k=8)
    assert result.residual == pytest.approx(true_residual(A, b, result.x), rel=1e-6)
    inner = np.linalg.norm(M @ (b - A @ result.x)) / np.linalg.norm(M @ b)
    assert inner <= 1e-3
    assert result.success == (result.residual <= 1e-3)
    without = gcrodr(A, b, rtol=1e-3, side="left", k=8)
    assert without.iterations == gcrodr(A, b, rtol=1e-3, k=8).iterations


# --- the space over time ---------------------------------------------------------------------------------------------


def test_k_grows_again_after_a_short_solve():
    A = laplacian()
    space = RecycleSpace(8)
    gcrodr(A, right(A), rtol=0.5, restart=20, recycle=space)
    assert 0 < space.k < 8
    gcrodr(A, right(A, 1), rtol=1e-8, restart=20, recycle=space)
    assert space.k in (8, 9)
    space.truncate(2)
    assert space.k == 2
    gcrodr(A, right(A, 2), rtol=1e-8, restart=20, recycle=space)
    assert space.k in (8, 9)


def test_stale_images_are_noticed_by_the_token():
    A, B = laplacian(), upwind()
    space = gcrodr(A, right(A), rtol=1e-8, k=6, restart=20).recycle
    token = space.token
    same = gcrodr(A, right(A, 1), rtol=1e-8, restart=20, recycle=space.copy())
    other = gcrodr(B, right(A, 1), rtol=1e-8, restart=20, recycle=space)
    assert same.matvecs == same.iterations + 2, "one product for the token, one for the true residual"
    assert other.matvecs == other.iterations + 2 + same.recycle.k, "and k for the new images"
    assert other.success
    assert space.token != token
    A.data[3] *= 1.5  # in place: no object is a new one
    assert gcrodr(A, right(A, 2), rtol=1e-8, restart=20, recycle=same.recycle).success
    np.testing.assert_allclose(A @ same.recycle.U, same.recycle.C, atol=1e-8)


def test_same_operator_is_trusted_but_the_true_residual_decides():
    A, b = laplacian(), right(laplacian())
    space = gcrodr(A, b, rtol=1e-8, k=6, restart=20).recycle
    trusted = gcrodr(A, right(A, 1), rtol=1e-8, restart=20, recycle=space.copy(), same_operator=True)
    assert trusted.matvecs == trusted.iterations + 1
    lied = gcrodr(upwind(), b, rtol=1e-8, restart=20, recycle=space, same_operator=True)
    assert lied.residual == pytest.approx(true_residual(upwind(), b, lied.x), rel=1e-6)
    assert lied.success == (lied.residual <= 1e-8)


@each_form
def test_abrupt_changes_and_hopeless_systems_leave_the_space_alone(name):
    base = laplacian(12)
    n = base.shape[0]
    method = FORMS[name]
    space = RecycleSpace(6)

    def good(scale=1.0, seed=0):
        A = as_operator(sp.csr_array(scale * base), positive_definite=True)
        b = right(base, seed)
        result = method(A, b, rtol=1e-8, recycle=space)
        assert result.success
        assert true_residual(scale * base, b, result.x) <= 1e-8

    good()
    good(1e6, 1)
    before = space.copy()

    spoilt = base.copy()
    spoilt.data[7] = np.nan
    result = method(spoilt, right(base), rtol=1e-8, recycle=space)
    assert result.info < 0
    assert result.outcome is Outcome.NONFINITE_OPERATOR
    np.testing.assert_array_equal(space.U, before.U)

    singular = sp.csr_array(sp.diags_array(np.r_[0.0, np.linspace(1, 2, n - 1)]))
    result = method(singular, np.ones(n), rtol=1e-8, recycle=space)
    assert not result.success
    assert np.isfinite(result.x).all()
    assert np.isfinite(space.U).all()

    result = method(sp.csr_array(base - 3.0 * sp.eye_array(n)), right(base), rtol=1e-8, recycle=space, maxiter=2000)
    assert result.success or result.outcome is not Outcome.CONVERGED
    if name == "deflated_cg":
        assert result.outcome is Outcome.INDEFINITE_OPERATOR
    assert np.isfinite(space.U).all()
    good(1.0, 2)
    good(1.0, 3)


def test_nan_in_the_recycled_directions_drops_the_space():
    """The operator fails on what the space holds, not on the Krylov space: solved without it, and said so."""
    A = np.diag(np.arange(1.0, 31.0))

    def product(x):
        return np.where(np.abs(x[-1]) > 0, np.nan, A @ x)

    operator = sla.LinearOperator(A.shape, matvec=product, dtype=float)
    b = np.r_[np.ones(29), 0.0]
    for method in (gcrodr, recycled_minres, deflated_cg, block_gcrodr):
        space = RecycleSpace(2)
        space.update(np.eye(30)[:, -2:])
        result = method(operator, b, rtol=1e-8, recycle=space, same_operator=False)
        assert result.success, (method, result)
        assert "left out" in result.note


def test_a_failing_preconditioner_is_named():
    A = laplacian(10)
    M = sla.LinearOperator(A.shape, matvec=lambda r: np.full_like(r, np.nan), dtype=float)
    for method in FORMS.values():
        assert method(A, right(A), M=M).outcome is Outcome.NONFINITE_PRECONDITIONER, method
    assert gcrodr(A, right(A), M=M, side="left").outcome is Outcome.NONFINITE_PRECONDITIONER


# --- several right-hand sides -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MATRICES)
def test_block_solves_every_column(kind):
    A = MATRICES[kind](16)
    B = np.stack([right(A, seed) * 10.0**seed for seed in range(3)], axis=1)
    result = block_gcrodr(A, B, rtol=1e-8, k=6)
    assert result.x.shape == B.shape
    for j in range(3):
        assert true_residual(A, B[:, j], result.x[:, j]) <= 1e-8
    np.testing.assert_allclose(result.recycle.C.conj().T @ result.recycle.C, np.eye(result.recycle.k), atol=1e-10)


def test_block_shares_the_krylov_space():
    A = laplacian(14)
    B = np.stack([right(A, seed) for seed in range(4)], axis=1)
    together = block_gcrodr(A, B, rtol=1e-8, restart=200, k=0)
    alone = max(gmres(A, B[:, j], rtol=1e-8, restart=200).iterations for j in range(4))
    assert together.iterations < 0.8 * alone


def test_block_takes_dependent_and_zero_columns():
    A, b = laplacian(16), right(laplacian(16))
    result = block_gcrodr(A, np.stack([b, 2 * b, 0 * b, b], axis=1), rtol=1e-8, k=5)
    assert result.success
    assert not result.x[:, 2].any()
    np.testing.assert_allclose(result.x[:, 1], 2 * result.x[:, 0], atol=1e-5 * np.abs(result.x).max())
    single = gcrodr(A, b, rtol=1e-8, k=5)
    assert result.matvecs <= 1.3 * single.matvecs + 10, "dependent columns cost nothing"
    vector = block_gcrodr(A, b, rtol=1e-8, k=5)
    assert vector.x.shape == b.shape


# --- precision, array types ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@each_form
def test_single_precision(name, dtype):
    A = laplacian(12).astype(dtype)
    space = RecycleSpace(5)
    for seed in range(2):
        b = right(A, seed).astype(dtype)
        result = FORMS[name](A, b, rtol=1e-4, recycle=space)
        assert result.success
        assert result.x.dtype == dtype
        assert space.U.dtype == dtype


def test_a_real_space_serves_a_complex_system_and_back():
    A, b = laplacian(), right(laplacian())
    space = gcrodr(A, b, rtol=1e-8, k=6, restart=20).recycle
    assert gcrodr(rotated(), right(rotated()), rtol=1e-8, restart=20, recycle=space).success
    assert space.U.dtype == np.complex128
    assert gcrodr(A, right(A, 3), rtol=1e-8, restart=20, recycle=space).success
    assert space.U.dtype == np.float64


def test_storage_in_single_precision_halves_the_memory_and_still_helps():
    A = laplacian()
    counts = {}
    for storage in ("float64", "float32"):
        space = RecycleSpace(8, storage=storage)
        runs = [gcrodr(A, right(A, seed), rtol=1e-10, restart=20, recycle=space) for seed in range(3)]
        assert all(run.success for run in runs)
        counts[storage] = runs[-1].iterations, space.memory_bytes
    assert space.U.dtype == np.float32
    assert space.C is None
    assert counts["float32"][1] < 0.3 * counts["float64"][1]
    assert abs(counts["float32"][0] - counts["float64"][0]) <= 3


@each_form
def test_torch_tensors_go_in_and_come_out(name):
    torch = pytest.importorskip("torch")
    A, b = laplacian(10), right(laplacian(10))
    space = RecycleSpace(5)
    for matrix in (A, torch.from_numpy(A.toarray())):
        result = FORMS[name](matrix, torch.from_numpy(b), rtol=1e-8, recycle=space)
        assert isinstance(result.x, torch.Tensor)
        assert true_residual(A, b, result.x.numpy()) <= 1e-8
    assert isinstance(space.U, np.ndarray)


def test_results_are_reproducible_to_the_bit():
    A, b = upwind(), right(upwind())

    def two():
        space = RecycleSpace(6)
        return [gcrodr(A, right(A, s), rtol=1e-8, restart=18, recycle=space).x for s in range(2)]

    for one, other in zip(two(), two(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert b.shape == one.shape


# --- RecycleSpace by itself ------------------------------------------------------------------------------------------


def test_save_and_load_keep_every_bit(tmp_path):
    A = upwind()
    space = gcrodr(A, right(A), rtol=1e-8, k=6, restart=20, M=precond.ilu(A)).recycle
    path = tmp_path / "space.npz"
    space.save(path)
    loaded = RecycleSpace.load(path)
    for name in ("U", "C", "gain"):
        np.testing.assert_array_equal(getattr(space, name), getattr(loaded, name))
    assert (loaded.token, loaded.size, loaded.storage) == (space.token, space.size, space.storage)
    first = path.read_bytes()
    loaded.save(path)
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left"
    one, two = (gcrodr(A, right(A, 1), rtol=1e-8, restart=20, recycle=s, M=precond.ilu(A)) for s in (space, loaded))
    np.testing.assert_array_equal(one.x, two.x)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "space.npz"
    path.write_bytes(b"not a space")
    with pytest.raises(ValueError, match="not a saved RecycleSpace"):
        RecycleSpace.load(path)
    np.savez(path, U=np.ones((2, 3)))
    with pytest.raises(ValueError, match="not a saved RecycleSpace"):
        RecycleSpace.load(path)
    with pytest.raises(FileNotFoundError):
        RecycleSpace.load(tmp_path / "nowhere.npz")


def test_merge_keeps_the_most_useful_of_both():
    one, two = RecycleSpace(3), RecycleSpace(3)
    identity = np.eye(8)
    one.update(identity[:, :3], gain=[9.0, 2.0, 1.0])
    two.update(identity[:, [0, 4, 5]], gain=[8.0, 5.0, 1.5])
    one.merge(two)
    assert one.k == 3
    np.testing.assert_array_equal(one.gain, [9.0, 5.0, 2.0])
    np.testing.assert_array_equal(np.abs(one.U).sum(axis=1) > 0, [True, True, False, False, True, False, False, False])
    assert one.C is None
    two.merge(RecycleSpace(2))
    assert two.k == 3


def test_merged_spaces_help_both_problems():
    A = laplacian()
    B = sp.csr_array(A + sp.diags_array(np.linspace(0, 0.5, A.shape[0])))
    spaces = []
    for matrix in (A, B):
        space = RecycleSpace(8)
        for seed in range(3):
            gcrodr(matrix, right(A, seed), rtol=1e-8, restart=24, recycle=space)
        spaces.append(space)
    merged = spaces[0].copy()
    merged.merge(spaces[1])
    for matrix in (A, B):
        cold = gcrodr(matrix, right(A, 9), rtol=1e-8, restart=24, k=8).iterations
        assert gcrodr(matrix, right(A, 9), rtol=1e-8, restart=24, recycle=merged.copy()).iterations < 0.95 * cold


def test_guess_is_never_worse_than_zero():
    A = laplacian()
    for storage in ("float64", "float32"):
        space = RecycleSpace(6, storage=storage)
        np.testing.assert_array_equal(space.guess(A, right(A)), np.zeros(A.shape[0]))
        gcrodr(A, right(A), rtol=1e-8, restart=20, recycle=space)
        for matrix in (A, upwind()):
            b = right(A, 5)
            assert np.linalg.norm(b - matrix @ space.guess(matrix, b)) <= np.linalg.norm(b)


def test_prepare_counts_its_products_and_leaves_dependent_vectors_out():
    A = laplacian()
    U = np.random.default_rng(0).standard_normal((A.shape[0], 4))
    space = RecycleSpace(6)
    space.update(np.concatenate([U, U[:, :1] + 1e-13 * U[:, 1:2], 0 * U[:, :1]], axis=1))
    assert space.k == 5
    assert space.prepare(A) == 6
    assert space.k == 4
    np.testing.assert_allclose(A @ space.U, space.C, atol=1e-9)
    np.testing.assert_allclose(space.C.T @ space.C, np.eye(4), atol=1e-10)
    assert space.prepare(A) == 1
    M = precond.jacobi(A)
    space.prepare(A, M)
    np.testing.assert_allclose(M @ (A @ space.U), space.C, atol=1e-9)


def test_null_vectors_are_left_out():
    A = np.diag([0.0, 1.0, 2.0, 3.0])
    space = RecycleSpace(2)
    space.update(np.eye(4)[:, :2])
    space.prepare(A)
    assert space.k == 1
    np.testing.assert_allclose(np.abs(space.U.ravel()), [0, 1, 0, 0])


def test_scipys_gcrotmk_takes_and_gives_spaces():
    A, b = upwind(), right(upwind())
    space = gcrodr(A, b, rtol=1e-8, k=8, restart=24).recycle
    calls = []
    operator = sla.LinearOperator(A.shape, matvec=lambda x: calls.append(0) or A @ x, dtype=float)
    CU = []
    sla.gcrotmk(operator, right(A, 1), rtol=1e-8, m=16, k=8, CU=CU, maxiter=100)
    cold = len(calls)
    calls.clear()
    pairs = space.to_cu()
    x, info = sla.gcrotmk(operator, right(A, 1), rtol=1e-8, m=16, k=8, CU=pairs, maxiter=100)
    assert info == 0
    assert true_residual(A, right(A, 1), x) <= 1e-8
    assert len(calls) < cold
    np.testing.assert_allclose(space.C.T @ space.C, np.eye(space.k), atol=1e-10, err_msg="SciPy works on copies")

    back = RecycleSpace.from_cu(CU)
    assert back.k == len(CU)
    result = gcrodr(A, b, rtol=1e-8, restart=24, recycle=back)
    assert result.success
    assert RecycleSpace.from_cu([]).k == 0


BAD = {
    "k-negative": (lambda: RecycleSpace(-1), ValueError, "k is -1"),
    "storage": (lambda: RecycleSpace(3, storage="half"), ValueError, "storage is 'half'"),
    "nan": (lambda: RecycleSpace(3).update(np.full((4, 1), np.nan)), ValueError, "NaN"),
    "one-axis": (lambda: RecycleSpace(3).update(np.ones(4)), ValueError, "U has shape"),
    "c-shape": (lambda: RecycleSpace(3).update(np.eye(4), np.eye(3)), ValueError, "C has shape"),
    "gain-shape": (lambda: RecycleSpace(3).update(np.eye(4), gain=[1.0]), ValueError, "gain has shape"),
    "merge-type": (lambda: RecycleSpace(3).merge(3), TypeError, "wanted a RecycleSpace"),
    "cu": (lambda: RecycleSpace.from_cu([(None, np.eye(2))]), ValueError, "not a pair"),
    "recycle-type": (lambda: gcrodr(np.eye(3), np.ones(3), recycle=[]), TypeError, "recycle is a list"),
    "select": (lambda: gcrodr(np.eye(3), np.ones(3), select="xx"), ValueError, "select is 'xx'"),
    "side": (lambda: gcrodr(np.eye(3), np.ones(3), side="both"), ValueError, "side is 'both'"),
    "same": (lambda: gcrodr(np.eye(3), np.ones(3), same_operator="yes"), ValueError, "same_operator is 'yes'"),
    "restart": (lambda: gcrodr(np.eye(3), np.ones(3), restart=0), ValueError, "restart is 0"),
    "harvest": (lambda: deflated_cg(np.eye(3), np.ones(3), harvest="all"), ValueError, "harvest is 'all'"),
    "window": (lambda: recycled_minres(np.eye(3), np.ones(3), window=0), ValueError, "window is 0"),
    "block-axes": (lambda: block_gcrodr(np.eye(3), np.ones((3, 1, 1))), ValueError, "B has 3 axes"),
    "block-x0": (lambda: block_gcrodr(np.eye(3), np.ones((3, 2)), np.ones((3, 1))), ValueError, "X0 has shape"),
    "block-nan": (lambda: block_gcrodr(np.eye(3), np.full((3, 2), np.nan)), ValueError, "NaN"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()


def test_a_space_of_another_size_is_refused():
    space = RecycleSpace(2)
    space.update(np.eye(5)[:, :2])
    for method in FORMS.values():
        with pytest.raises(ValueError, match="length 5 and the system has 4 unknowns"):
            method(np.eye(4), np.ones(4), recycle=space)
    other = RecycleSpace(2)
    other.update(np.eye(4)[:, :2])
    with pytest.raises(ValueError, match="length 4"):
        space.merge(other)


@pytest.mark.parametrize("select", ["sm", "lm", "sr", "lr", "si", "li"])
def test_every_selection_converges(select):
    A, b = upwind(16), right(upwind(16))
    assert gcrodr(A, b, rtol=1e-8, restart=24, k=6, select=select).success


def test_symmetric_facts_are_respected():
    A = makers.skew()[0]
    for method in (deflated_cg, recycled_minres):
        assert method(as_operator(A, symmetric=False), np.ones(20)).outcome is Outcome.NOT_SYMMETRIC
    indefinite, b = makers.indefinite()
    assert deflated_cg(indefinite, b, k=5).outcome is Outcome.INDEFINITE_OPERATOR
    assert recycled_minres(indefinite, b, k=5, rtol=1e-8).success


@pytest.mark.parametrize("harvest", ["ritz", "first", "none"])
def test_harvest_settings(harvest):
    A = as_operator(laplacian(), positive_definite=True)
    space = RecycleSpace(8)
    counts = [
        deflated_cg(A, right(A, s), rtol=1e-8, recycle=space, harvest=harvest, window=30).iterations for s in range(3)
    ]
    assert space.k == (0 if harvest == "none" else 8)
    if harvest != "none":
        assert counts[-1] < 0.9 * counts[0]


@pytest.mark.parametrize("method", [deflated_cg, recycled_minres])
def test_callback_sees_every_iterate(method):
    A = as_operator(laplacian(12), positive_definite=True)
    space = RecycleSpace(5)
    method(A, right(A), rtol=1e-8, recycle=space)
    b, seen = right(A, 1), []
    result = method(A, b, rtol=1e-8, recycle=space, callback=lambda x: seen.append(true_residual(A.matrix, b, x)))
    assert len(seen) == result.iterations
    np.testing.assert_allclose(result.residuals, seen, rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("smallest", [1.0, 1e-11], ids=["schur", "qz"])
def test_selected_vectors_span_the_wanted_invariant_subspace(smallest):
    """Against the pencil itself, also where G is singular to rounding and the ordered QZ form has to do it."""
    rng = np.random.default_rng(3)
    G = np.triu(rng.standard_normal((9, 8)), -1)
    G[:, 2] *= smallest
    S = np.eye(9, 8)
    chosen = harmonic_ritz(G, S, 3)
    values, Z = scipy.linalg.eig(G.T @ G, G.T @ S)
    order = np.argsort(np.abs(values))
    wanted = Z[:, order[: chosen.T.shape[1]]]
    wanted = np.linalg.svd(np.concatenate([wanted.real, wanted.imag], axis=1))[0][:, : chosen.T.shape[1]]
    if smallest == 1.0:
        assert scipy.linalg.subspace_angles(chosen.T, wanted).max() < 1e-6
    else:
        null = np.zeros(8)
        null[2] = 1.0
        assert scipy.linalg.subspace_angles(chosen.T, null[:, None]).max() < 1e-6
    np.testing.assert_allclose(chosen.F.T @ chosen.F, np.eye(chosen.F.shape[1]), atol=1e-12)
    np.testing.assert_allclose(G @ chosen.T, chosen.F, atol=1e-6)
