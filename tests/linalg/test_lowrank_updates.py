"""Updated singular values, sketched QR with pivoting, node embeddings."""

import gzip
import pathlib

import numpy as np
import pytest
from scipy.io import mmread
from scipy.linalg import qr
from scipy.sparse import csr_array, hstack, random_array, vstack

from ritzkit.linalg import as_operator
from ritzkit.linalg.lowrank import LowRankSVD, StreamingSVD, block_krylov_svd, fastrp, sketched_qr, update_svd

MATRICES = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data" / "matrices"


def exact(A, rank):
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    return LowRankSVD(U[:, :rank], s[:rank], Vh[:rank], error=float(np.linalg.norm(s[rank:])))


def sparse(m, n, rng, dtype="d"):
    A = random_array((m, n), density=0.1, rng=rng, data_sampler=rng.standard_normal)
    if dtype in "FD":
        A = A + 1j * random_array((m, n), density=0.1, rng=rng, data_sampler=rng.standard_normal)
    return csr_array(A.astype(dtype))


def changes(A, rng, dtype):
    """One change of each kind: (keyword, value, matrix afterwards)."""
    m, n = A.shape
    E, F = sparse(4, n, rng, dtype), sparse(m, 3, rng, dtype)
    B, C = sparse(m, 2, rng, dtype), sparse(n, 2, rng, dtype)
    return {
        "rows": (E, vstack([A, E])),
        "columns": (F, hstack([A, F])),
        "change": ((B, C), A + B @ C.conj().T),
    }


def off(Q):
    return np.abs(Q.conj().T @ Q - np.eye(Q.shape[1])).max()


# --- update_svd and StreamingSVD ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rows", "columns", "change"])
@pytest.mark.parametrize("dtype", list("fdD"))
def test_an_update_is_the_decomposition_of_the_truncated_matrix_changed(kind, dtype):
    rng = np.random.default_rng(0)
    A = sparse(40, 30, rng, dtype).toarray()
    start = exact(A, 8)
    part, after = changes(csr_array(start.toarray()), rng, dtype)[kind]
    result = update_svd(start, **{kind: part})
    best = exact(after.toarray(), 8)
    eps = np.finfo(dtype).eps
    assert result.U.dtype == np.dtype(dtype)
    np.testing.assert_allclose(result.s, best.s, rtol=100 * eps)
    np.testing.assert_allclose(result.toarray(), best.toarray(), atol=1e3 * eps)
    assert max(off(result.U), off(result.Vh.conj().T)) < 50 * eps
    np.testing.assert_allclose(result.error, np.hypot(start.error, best.error), rtol=1e-5)


def test_an_update_may_raise_the_rank_and_meets_full_and_repeated_directions():
    rng = np.random.default_rng(1)
    A = sparse(20, 10, rng).toarray()
    start = exact(A, 10)
    E = np.vstack([A[3], A[3], np.zeros(10)])  # nothing new
    result = update_svd(start, rows=E)
    np.testing.assert_allclose(result.toarray(), np.vstack([A, E]), atol=1e-13)
    assert off(result.U) < 1e-13
    grown = update_svd(exact(A, 4), columns=np.eye(20)[:, :2], rank=6)
    np.testing.assert_allclose(grown.toarray(), np.hstack([exact(A, 4).toarray(), np.eye(20)[:, :2]]), atol=1e-13)


@pytest.mark.parametrize("dtype", list("fdD"))
def test_a_stream_of_sparse_updates_follows_the_dense_one(dtype):
    rng = np.random.default_rng(2)
    A = sparse(60, 40, rng, dtype)
    start = block_krylov_svd(A, 10, rng=0)
    stream, dense = StreamingSVD(start), start
    for turn in range(12):
        A = dense.toarray()
        kind = ["rows", "columns", "change"][turn % 3]
        part, _ = changes(csr_array(A), rng, dtype)[kind]
        dense = update_svd(dense, **{kind: part})
        {"rows": stream.append_rows, "columns": stream.append_columns, "change": lambda p: stream.add(*p)}[kind](part)
    result = stream.svd()
    eps = np.finfo(dtype).eps
    assert stream.shape == dense.shape == result.shape
    assert result.dtype == np.dtype(dtype)
    np.testing.assert_allclose(result.s, dense.s, rtol=1e4 * eps)
    np.testing.assert_allclose(result.toarray(), dense.toarray(), atol=1e5 * eps)
    assert off(result.U) < 1e3 * eps
    np.testing.assert_allclose(result.error, dense.error, rtol=1e-4)


def test_a_stream_stays_orthonormal_when_new_rows_dwarf_the_old_ones():
    rng = np.random.default_rng(3)
    A = sparse(30, 50, rng).toarray()
    stream = StreamingSVD(exact(A, 6))
    rows = [A]
    for power in (2, 4, 6):
        rows.append(10.0**power * sparse(6, 50, rng).toarray())
        stream.append_rows(rows[-1])
    assert stream.refreshes > 0
    result = stream.svd()
    assert off(result.U) < 1e-7
    np.testing.assert_allclose(result.s, np.linalg.svd(np.vstack(rows), compute_uv=False)[:6], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({}, ValueError, "no update"),
        ({"rows": np.ones((1, 4)), "columns": np.ones((5, 1))}, ValueError, "rows and columns"),
        ({"rows": np.ones((1, 3))}, ValueError, r"rows has shape \(1, 3\): wanted \(p, 4\)"),
        ({"columns": np.ones((4, 1))}, ValueError, r"wanted \(5, p\)"),
        ({"change": (np.ones((5, 1)), np.ones((4, 2)))}, ValueError, "change has shapes"),
        ({"change": np.ones((5, 1))}, TypeError, "pair"),
        ({"rows": [[1.0, np.nan, 0, 0]]}, ValueError, "NaN"),
        ({"rows": [["a", "b", "c", "d"]]}, TypeError, "numbers"),
        ({"rows": np.ones((1, 4)), "rank": 9}, ValueError, "rank is 9"),
    ],
    ids=["none", "two", "rows", "columns", "widths", "no_pair", "nan", "text", "rank"],
)
def test_updates_refuse_what_does_not_fit(options, kind, message):
    start = exact(np.arange(20.0).reshape(5, 4), 2)
    with pytest.raises(kind, match=message):
        update_svd(start, **options)
    if "rows" in options and "columns" not in options and "rank" not in options:
        with pytest.raises(kind, match=message):
            StreamingSVD(start).append_rows(options["rows"])


# --- sketched_qr ----------------------------------------------------------------------------------------------


def conditioned(m, n, condition, dtype, rng):
    G = rng.standard_normal((m, n)).astype(dtype)
    H = rng.standard_normal((n, n)).astype(dtype)
    if np.dtype(dtype).kind == "c":
        G = G + 1j * rng.standard_normal((m, n)).astype(G.real.dtype)
    return ((np.linalg.qr(G)[0] * np.geomspace(1, 1 / condition, n)) @ np.linalg.qr(H)[0]).astype(dtype)


@pytest.mark.parametrize("dtype", list("fD"))
@pytest.mark.parametrize("digits", [0.0, 0.5, 0.9, 1.1])
def test_sketched_qr_is_orthonormal_and_complete_for_every_condition(digits, dtype):
    eps = np.finfo(dtype).eps
    A = conditioned(600, 40, eps**-digits, dtype, np.random.default_rng(0))
    result = sketched_qr(A, rng=1)
    assert result.method == "sketched"
    assert result.Q.dtype == np.dtype(dtype)
    assert off(result.Q) < 20 * eps
    gap = np.linalg.norm(A[:, result.permutation] - result.Q @ result.R) / np.linalg.norm(A)
    assert gap < (20 * eps if digits < 0.9 else 200 * eps)
    np.testing.assert_array_equal(np.tril(result.R[:, : result.rank], -1), 0)
    assert sorted(result.permutation) == list(range(40))


def test_sketched_qr_reveals_the_rank_like_lapack():
    rng = np.random.default_rng(1)
    A = rng.standard_normal((500, 12)) @ rng.standard_normal((12, 30))
    A[:, 4] = 0
    result = sketched_qr(A, rng=0)
    assert result.rank == 12
    assert result.error < 1e-12
    np.testing.assert_allclose(result.Q @ result.R, A[:, result.permutation], atol=1e-12)
    kahan = conditioned(500, 30, 1e10, "d", rng)
    ours, theirs = (
        np.abs(np.diagonal(sketched_qr(kahan, rng=0).R)),
        np.abs(np.diagonal(qr(kahan, mode="r", pivoting=True)[0])),
    )
    assert (ours > theirs / 4).all()
    assert (ours < theirs * 4).all()
    cut = sketched_qr(kahan, rtol=1e-5, rng=0)
    assert 10 <= cut.rank <= 20
    error = np.linalg.norm(kahan[:, cut.permutation] - cut.Q @ cut.R)
    assert cut.error / 2 < error < 2 * cut.error


def test_sketched_qr_of_wide_zero_sparse_and_operator_input():
    A = np.random.default_rng(2).standard_normal((200, 20))
    wide = sketched_qr(A.T, rng=0)
    assert (wide.method, wide.rank) == ("householder", 20)
    np.testing.assert_allclose(wide.Q @ wide.R, A.T[:, wide.permutation], atol=1e-13)
    zero = sketched_qr(np.zeros((50, 3)))
    assert (zero.rank, zero.Q.shape) == (0, (50, 0))
    for form in (csr_array(A), as_operator(A)):
        np.testing.assert_allclose(sketched_qr(form, rng=0).R, sketched_qr(A, rng=0).R, atol=1e-12)
    assert sketched_qr(A.astype(int), rng=0).Q.dtype == np.float64


@pytest.mark.parametrize(
    ("A", "message"),
    [(np.zeros((0, 3)), "shape"), (np.full((9, 2), np.nan), "NaN"), (np.full((2, 9), np.inf), "NaN or infinite")],
    ids=["empty", "nan", "infinite_wide"],
)
def test_sketched_qr_refuses(A, message):
    with pytest.raises(ValueError, match=message):
        sketched_qr(A)


# --- fastrp ---------------------------------------------------------------------------------------------------


def test_an_embedding_is_the_projection_of_weighted_powers():
    rng = np.random.default_rng(4)
    W = np.triu(rng.random((30, 30)) * (rng.random((30, 30)) < 0.3), 1)
    W = W + W.T
    wide = fastrp(W, 4000, weights=(0.5, 2.0), exponent=0.0, normalize=False, rng=0)
    P = W / np.maximum(W.sum(axis=1, keepdims=True), 1e-300)
    N = 0.5 * P + 2.0 * P @ P
    np.testing.assert_allclose(wide @ wide.T, N @ N.T, atol=0.1 * np.abs(N @ N.T).max())
    np.testing.assert_array_equal(fastrp(W, 8, rng=1), fastrp(csr_array(W), 8, rng=1))


def test_vertices_without_edges_and_bad_graphs():
    lonely = fastrp([[0, 1, 0], [1, 0, 0], [0, 0, 0]], 16, rng=0)
    np.testing.assert_array_equal(lonely[2], 0)
    assert np.isfinite(lonely).all()
    for bad, message in (
        ([[0, -1], [-1, 0]], "not negative"),
        (np.ones((2, 3)), "square"),
        (np.zeros((0, 0)), "no vertices"),
    ):
        with pytest.raises(ValueError, match=message):
            fastrp(bad)
    with pytest.raises(ValueError, match="weights is"):
        fastrp(np.ones((2, 2)), weights=())


@pytest.mark.skipif(not (MATRICES / "ca-GrQc.mtx.gz").exists(), reason="the folder of real matrices is absent")
def test_hidden_collaborations_are_predicted():
    """A fifth of the edges of a collaboration network is hidden and told from pairs without an edge."""
    with gzip.open(MATRICES / "ca-GrQc.mtx.gz") as file:
        rows, columns = mmread(file).coords
    edges = np.unique(np.sort(np.stack([rows, columns])[:, rows != columns], axis=0), axis=1)
    n = int(edges.max()) + 1
    rng = np.random.default_rng(0)
    hidden = rng.random(edges.shape[1]) < 0.2
    seen = csr_array((np.ones((~hidden).sum()), tuple(edges[:, ~hidden])), shape=(n, n))
    E = fastrp(seen + seen.T, 128, rng=0)
    E /= np.maximum(np.linalg.norm(E, axis=1, keepdims=True), 1e-300)
    pairs = rng.integers(0, n, (2, 2 * hidden.sum()))  # hardly any is an edge: 14484 of 13.7 million pairs are
    good, bad = (np.einsum("ij,ij->i", E[i], E[j]) for i, j in (edges[:, hidden], pairs))
    chance = np.mean(np.searchsorted(np.sort(bad), good)) / bad.size  # area under the curve
    assert chance > 0.87
