"""Low rank: near the best error, orthonormal factors, honest estimates and counts, clear refusals."""

import numpy as np
import pytest
from scipy.sparse import csc_array, csr_array, diags_array
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from ritzkit.linalg import as_operator
from ritzkit.linalg.lowrank import (
    KernelMatrix,
    block_krylov_svd,
    cur,
    generalized_nystrom,
    nystrom_eigh,
    randomized_svd,
    rpcholesky,
)
from ritzkit.linalg.lowrank.passes import tall_qr

SVDS = {"randomized": randomized_svd, "krylov": block_krylov_svd, "generalized_nystrom": generalized_nystrom}
FACTORED = SVDS | {"nystrom_eigh": nystrom_eigh, "cur": cur}
DTYPES = list("fdFD")


def spectrum(s, m=160, n=120, dtype="d", seed=0):
    """Matrix with given singular values and random vectors."""
    rng = np.random.default_rng(seed)
    parts = [rng.standard_normal((size, len(s))) for size in (m, n)]
    if np.dtype(dtype).kind == "c":
        parts = [part + 1j * rng.standard_normal(part.shape) for part in parts]
    U, V = (np.linalg.qr(part)[0] for part in parts)
    return ((U * s) @ V.conj().T).astype(dtype)


def psd(w, n=120, dtype="d", seed=0):
    rng = np.random.default_rng(seed)
    part = rng.standard_normal((n, len(w)))
    if np.dtype(dtype).kind == "c":
        part = part + 1j * rng.standard_normal(part.shape)
    U = np.linalg.qr(part)[0]
    A = (U * w) @ U.conj().T
    return ((A + A.conj().T) / 2).astype(dtype)


SLOW = 1 / np.arange(1, 101.0)
EXACT = np.array([5.0, 4.0, 3.0, 2.0, 1.0])


def off(Q):
    """How far the columns of Q are from orthonormal."""
    return np.abs(Q.conj().T @ Q - np.eye(Q.shape[1])).max()


# --- accuracy -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SVDS)
def test_a_matrix_of_low_rank_is_recovered_to_rounding(name, dtype):
    A = spectrum(EXACT, dtype=dtype)
    result = SVDS[name](A, 5, rng=1)
    eps = np.finfo(dtype).eps
    assert result.U.dtype == result.Vh.dtype == np.dtype(dtype)
    assert result.s.dtype == A.real.dtype
    np.testing.assert_allclose(result.s, EXACT, rtol=50 * eps)
    assert np.linalg.norm(A - result.toarray()) < 100 * eps
    assert max(off(result.U), off(result.Vh.conj().T)) < 20 * eps


@pytest.mark.parametrize("name", SVDS)
def test_more_triplets_than_the_rank_of_the_matrix_are_still_orthonormal(name):
    A = spectrum(EXACT)
    result = SVDS[name](A, 20, rng=2)
    assert result.rank == 20
    np.testing.assert_allclose(result.s, np.concatenate([EXACT, np.zeros(15)]), atol=1e-13)
    assert max(off(result.U), off(result.Vh.T)) < 1e-13


FACTORS = {"randomized": 1.03, "krylov": 1.001, "generalized_nystrom": 3.0, "nystrom_eigh": 2.5, "cur": 3.0}


@pytest.mark.parametrize("name", FACTORED)
def test_the_error_is_near_the_best_and_the_estimate_near_the_error(name):
    A = psd(SLOW) if name == "nystrom_eigh" else spectrum(SLOW)
    best = np.sqrt(np.sum(SLOW[15:] ** 2))
    ratios = []
    for seed in range(5):
        result = FACTORED[name](A, 15, rng=seed)
        error = np.linalg.norm(A - result.toarray())
        assert best * (1 - 1e-12) <= error < FACTORS[name] * best
        ratios.append(result.error / error)
    assert 0.85 < np.mean(ratios) < 1.15


def test_krylov_spaces_gain_on_power_iterations_with_the_same_passes():
    s = np.arange(1, 301.0) ** -0.5
    A = diags_array(s)
    for passes in (4, 6):
        power = randomized_svd(A, 10, power=(passes - 2) // 2, rng=0, probes=0)
        krylov = block_krylov_svd(A, 10, passes=passes, rng=0, probes=0)
        assert power.passes == krylov.passes == passes
        gap = np.max(s[:10] - power.s), np.max(s[:10] - krylov.s)
        assert gap[1] < gap[0] / (1.5 if passes == 4 else 2.5)


@pytest.mark.parametrize("passes", [5, 6])
def test_krylov_residuals_are_those_of_the_space_one_pass_before(passes):
    A = spectrum(SLOW)
    before = block_krylov_svd(A, 8, passes=passes - 1, rng=3)
    after = block_krylov_svd(A, 8, passes=passes, rng=3)
    left = np.linalg.norm(A @ before.Vh.T - before.U * before.s, axis=0)
    right = np.linalg.norm(A.T @ before.U - before.Vh.T * before.s, axis=0)
    np.testing.assert_allclose(after.residuals, np.maximum(left, right), rtol=1e-6)
    assert min(left.max(), right.max()) < 1e-13  # one of the two sides is exact


def test_krylov_stops_at_the_tolerance_and_small_blocks_need_fewer_products():
    A = spectrum(SLOW)
    wide = block_krylov_svd(A, 10, passes=60, rtol=1e-6, rng=0)
    narrow = block_krylov_svd(A, 10, passes=60, rtol=1e-6, block=4, rng=0)
    for result in (wide, narrow):
        assert result.passes < 60
        assert (result.residuals <= 1e-6 * result.s[0]).all()
        np.testing.assert_allclose(result.s, SLOW[:10], rtol=1e-9)
    assert wide.passes < narrow.passes
    assert narrow.products < wide.products


def test_krylov_stops_where_the_space_is_exhausted():
    result = block_krylov_svd(np.eye(40), 5, passes=30, rng=0)
    assert result.passes <= 3
    np.testing.assert_allclose(result.s, 1.0, rtol=1e-14)
    assert block_krylov_svd(np.zeros((30, 20)), 4, rng=0).s.tolist() == [0.0] * 4
    full = block_krylov_svd(spectrum(SLOW[:30], 40, 30), 30, rng=0)
    assert off(full.U) < 1e-13


def test_nystrom_never_exceeds_the_matrix():
    A = psd(SLOW)
    w, U = nystrom_eigh(A, 100, oversampling=20, rng=0)
    assert np.linalg.eigvalsh(A - (U * w) @ U.T).min() > -1e-14
    exact = psd(SLOW[:100])
    better = nystrom_eigh(exact, 10, power=3, rng=0)
    assert better.passes == 4
    np.testing.assert_allclose(better.w, SLOW[:10], rtol=1e-2)
    np.testing.assert_allclose(nystrom_eigh(exact, 10, start=better.U, rng=1).w, SLOW[:10], rtol=2e-2)


@pytest.mark.parametrize("shape", [(400, 30), (60, 30)])
@pytest.mark.parametrize("power", [0, 6, 15, 200])
def test_tall_qr_is_orthonormal_for_every_condition_and_scale(shape, power):
    W = spectrum(10.0 ** -np.linspace(0, power, 30), *shape) if power < 100 else 1e200 * spectrum(np.ones(30), *shape)
    Q, R = tall_qr(W)
    assert off(Q) < 1e-14
    assert np.linalg.norm(W / np.abs(W).max() - Q @ (R / np.abs(W).max())) < 1e-13
    np.testing.assert_array_equal(R, np.triu(R))


# --- input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FACTORED)
def test_all_forms_of_a_matrix_give_the_same_result(name):
    A = psd(SLOW[:60], 60) if name == "nystrom_eigh" else spectrum(SLOW[:50], 60, 50)
    method = FACTORED[name]
    expected = method(A, 6, rng=4).toarray()
    operator = LinearOperator(A.shape, matvec=lambda x: A @ x, rmatvec=lambda x: A.T @ x, dtype=float)
    for form in (csr_array(A), csc_array(A), as_operator(A), aslinearoperator(A), operator):
        np.testing.assert_allclose(method(form, 6, rng=4).toarray(), expected, atol=1e-10)


@pytest.mark.torch
def test_tensors_come_in_and_arrays_go_out():
    torch = pytest.importorskip("torch")
    A = spectrum(EXACT)
    result = randomized_svd(torch.from_numpy(A), 5, rng=0)
    assert isinstance(result.U, np.ndarray)
    np.testing.assert_allclose(result.s, EXACT, rtol=1e-12)


COUNTS = {
    "randomized": (dict(power=2, oversampling=3, probes=2), 6, 6 * 8 + 2),
    "krylov": (dict(passes=5, block=8, probes=2), 5, 5 * 8 + 2),
    "generalized_nystrom": (dict(oversampling=3, probes=2), 2, 8 + 12 + 2),
    "nystrom_eigh": (dict(oversampling=3, power=2, probes=2), 3, 3 * 8 + 2),
    "cur": (dict(oversampling=3, passes=4, probes=2), 7, 4 * 8 + 5 + 5 + 5 + 2),
}


@pytest.mark.parametrize("name", FACTORED)
def test_passes_and_products_are_what_the_operator_saw(name):
    A = psd(SLOW)
    seen = []

    def product(X):
        seen.append(X.shape[1])
        return A @ X

    operator = LinearOperator(
        A.shape, matvec=lambda x: product(x.reshape(-1, 1)).ravel(), matmat=product, rmatmat=product, dtype=float
    )
    options, passes, products = COUNTS[name]
    result = FACTORED[name](operator, 5, rng=0, **options)
    assert (result.passes, result.products) == (passes, products)
    assert (len(seen), sum(seen)) == (passes, products)


def test_entries_are_read_in_one_pass_by_generalized_nystrom():
    assert generalized_nystrom(spectrum(SLOW), 5).passes == 1
    assert generalized_nystrom(csr_array(spectrum(SLOW)), 5).passes == 1


@pytest.mark.parametrize("name", FACTORED)
def test_integers_are_computed_in_double_precision(name):
    A = np.diag(np.arange(1, 31))
    result = FACTORED[name](A, 4, rng=0)
    assert result.dtype == np.float64


def test_results_unpack_multiply_and_become_operators():
    A = spectrum(EXACT)
    result = randomized_svd(A, 5, rng=0)
    U, s, Vh = result
    np.testing.assert_allclose((U * s) @ Vh, A, atol=1e-13)
    x, y = np.ones(120), np.ones((160, 2))
    np.testing.assert_allclose(as_operator(result) @ x, A @ x, atol=1e-12)
    np.testing.assert_allclose(result.rmatvec(y), A.T @ y, atol=1e-12)
    assert result.shape == A.shape


@pytest.mark.parametrize("name", FACTORED)
def test_zero_rows_and_columns_stay_zero(name):
    A = psd(SLOW[:50], 60)
    A[7], A[:, 7] = 0, 0
    result = FACTORED[name](A, 6, rng=0).toarray()
    assert np.isfinite(result).all()
    assert max(np.abs(result[7]).max(), np.abs(result[:, 7]).max()) < 1e-14


@pytest.mark.parametrize("name", FACTORED)
def test_the_same_seed_gives_the_same_bits(name):
    A = psd(SLOW)
    results = [FACTORED[name](A, 6, rng=5).toarray() for _ in range(2)]
    np.testing.assert_array_equal(*results)


# --- refusals -------------------------------------------------------------------------------------------------

BAD = {
    "nan": (lambda A: np.where(np.eye(*A.shape) > 0, np.nan, A), 3, ValueError, "NaN or infinite"),
    "infinite": (lambda A: np.where(np.eye(*A.shape) > 0, np.inf, A), 3, ValueError, "NaN or infinite"),
    "empty": (lambda A: A[:0, :0], 3, ValueError, r"shape \(0, 0\)"),
    "rank_zero": (lambda A: A, 0, ValueError, "rank is 0: wanted a whole number from 1 to 30"),
    "rank_above": (lambda A: A, 31, ValueError, "rank is 31"),
    "rank_float": (lambda A: A, 2.0, TypeError, "rank is 2.0"),
    "vector": (lambda A: A[0], 3, ValueError, "axes"),
    "text": (lambda A: "A", 3, TypeError, "A is a str"),
    "objects": (lambda A: A.astype(object), 3, TypeError, "dtype object"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", FACTORED)
def test_bad_input_is_refused_by_name(name, case):
    change, rank, kind, message = BAD[case]
    with pytest.raises(kind, match=message):
        FACTORED[name](change(psd(SLOW[:30], 30)), rank)


@pytest.mark.parametrize("name", ["randomized", "krylov", "generalized_nystrom", "cur"])
def test_an_operator_without_adjoint_is_refused_unless_it_states_symmetry(name):
    A = psd(SLOW[:30], 30)
    bare = LinearOperator(A.shape, matvec=lambda x: A @ x, dtype=float)
    with pytest.raises(TypeError, match="rmatvec"):
        FACTORED[name](bare, 3)
    assert FACTORED[name](as_operator(bare, symmetric=True), 3, rng=0).rank == 3


def test_nystrom_sees_matrices_that_are_not_semidefinite():
    with pytest.raises(ValueError, match="not positive semidefinite"):
        nystrom_eigh(np.diag(np.linspace(-1, 1, 40)), 10, rng=0)
    with pytest.raises(ValueError, match="not symmetric"):
        nystrom_eigh(np.triu(np.ones((40, 40))), 10, rng=0)
    with pytest.raises(ValueError, match="square"):
        nystrom_eigh(np.ones((4, 3)), 2)
    with pytest.raises(ValueError, match="start has shape"):
        nystrom_eigh(np.eye(4), 2, start=np.ones((3, 1)))


def test_a_krylov_space_too_small_for_the_rank_is_refused():
    with pytest.raises(ValueError, match="they span 4 directions"):
        block_krylov_svd(np.eye(30), 10, block=2, passes=4)


# --- randomly pivoted Cholesky --------------------------------------------------------------------------------


def grid_kernel(n=200, length=0.4, dtype="d"):
    return KernelMatrix(np.linspace(0, 1, n, dtype=dtype)[:, None], length=length)


@pytest.mark.parametrize("dtype", DTYPES)
def test_partial_cholesky_is_exact_at_its_pivots_and_knows_its_error(dtype):
    A = psd(SLOW, dtype=dtype)
    result = rpcholesky(A, 12, rng=0)
    eps = np.finfo(dtype).eps
    rest = A - result.toarray()
    assert result.dtype == np.dtype(dtype)
    assert np.abs(rest[:, result.pivots]).max() < 50 * eps
    np.testing.assert_allclose(result.error, np.trace(rest).real, rtol=100 * eps)
    assert np.linalg.eigvalsh(rest).min() > -50 * eps
    np.testing.assert_array_equal(np.triu(result.F[result.pivots], 1), 0)


@pytest.mark.parametrize("form", ["object", "dense", "sparse", "operator"])
def test_partial_cholesky_of_every_form(form):
    K = grid_kernel(60, 0.2)
    dense = K.entries(slice(None), slice(None))
    twice = as_operator(0.5 * dense)  # a sum knows products and its diagonal only
    forms = {"object": K, "dense": dense, "sparse": csr_array(dense), "operator": twice + twice}
    expected = rpcholesky(K, 8, rng=1)
    result = rpcholesky(forms[form], 8, rng=1)
    np.testing.assert_array_equal(result.pivots, expected.pivots)
    np.testing.assert_allclose(result.F, expected.F, atol=1e-9)


def test_blocks_of_proposals_do_not_change_the_law():
    A = psd(SLOW)
    means = [np.mean([rpcholesky(A, 20, block=block, rng=seed).error for seed in range(60)]) for block in (1, 8, 50)]
    assert max(means) < 1.06 * min(means)
    assert min(means) < 2.5 * SLOW[20:].sum()


def test_partial_cholesky_reads_few_entries_and_stops_at_rank_and_tolerance():
    K = grid_kernel(400, 0.4)
    result = rpcholesky(K, 100, rtol=1e-6, rng=0)
    assert result.rank < 20
    assert result.error <= 1e-6 * 400
    assert result.entries < 1.3 * 400 * (result.rank + 1) + 2000
    assert rpcholesky(psd(EXACT), 50, rng=0).rank == 5
    assert rpcholesky(np.zeros((4, 4)), 2).rank == 0
    w, U = rpcholesky(psd(EXACT), 50, rng=0).eigh()
    np.testing.assert_allclose(w[:5], EXACT, rtol=1e-12)
    assert off(U) < 1e-14


@pytest.mark.parametrize(
    ("A", "kind", "message"),
    [
        (np.array([[1.0, 2.0], [2.0, 1.0]]), ValueError, "not positive semidefinite"),
        (np.diag([1.0, -1.0]), ValueError, "diagonal holds -1 at 1"),
        (np.diag([1.0, np.nan]), ValueError, "NaN"),
        (np.ones((2, 3)), ValueError, "square"),
        (np.zeros((0, 0)), ValueError, "at least one row"),
        (aslinearoperator(np.eye(2)), TypeError, "diagonal"),
    ],
    ids=["indefinite", "negative_diagonal", "nan", "not_square", "empty", "no_diagonal"],
)
def test_partial_cholesky_refuses(A, kind, message):
    with pytest.raises(kind, match=message):
        rpcholesky(A, 2, rng=0)


def test_kernel_matrices_multiply_like_their_entries():
    rng = np.random.default_rng(0)
    points = rng.random((50, 3))
    distances = np.linalg.norm(points[:, None] - points, axis=2) / 0.7
    for kernel, entries in (("gaussian", np.exp(-(distances**2) / 2)), ("laplace", np.exp(-distances))):
        K = KernelMatrix(points, kernel, length=0.7)
        np.testing.assert_allclose(K @ np.eye(50), entries, atol=1e-7)
        np.testing.assert_allclose(K @ np.ones(50), entries.sum(axis=1), atol=1e-6)
        np.testing.assert_array_equal(K.diagonal(), 1.0)
    for bad, kind in ((dict(kernel="box"), ValueError), (dict(kernel=3), TypeError), (dict(length=0), ValueError)):
        with pytest.raises(kind):
            KernelMatrix(points, **bad)


# --- CUR ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("select", ["deim", "leverage", "qr"])
def test_cur_is_made_of_rows_and_columns_and_recovers_low_rank(select):
    A = spectrum(EXACT, dtype="D")
    result = cur(A, 9, select=select, rng=0)
    assert result.rank == 5
    np.testing.assert_array_equal(result.C, A[:, result.columns])
    np.testing.assert_array_equal(result.R, A[result.rows])
    assert np.linalg.norm(A - result.toarray()) < 1e-11
    assert len(set(result.rows)) == len(set(result.columns)) == 5
    assert cur(np.zeros((7, 5)), 3, select=select).rank == 0
    with pytest.raises(ValueError, match="select is"):
        cur(A, 3, select="other")


def test_deim_finds_the_rows_that_stand_out():
    A = 1e-3 * spectrum(SLOW)
    A[[7, 50, 100]] += 10 * np.eye(3, 120)
    result = cur(A, 3, rng=0)
    assert set(result.rows) == {7, 50, 100}
    assert set(result.columns) == {0, 1, 2}
