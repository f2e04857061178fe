import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from ritzkit.linalg import (
    CongruenceOperator,
    CSROperator,
    DiagonalOperator,
    Grid,
    IdentityOperator,
    KroneckerOperator,
    LowRankUpdate,
    Operator,
    StencilOperator,
    as_operator,
    is_hermitian,
)


def spd(n=12, seed=0, dtype=float):
    rng = np.random.default_rng(seed)
    B = rng.standard_normal((n, n)).astype(dtype)
    if np.dtype(dtype).kind == "c":
        B = B + 1j * rng.standard_normal((n, n))
    return B @ B.conj().T + n * np.eye(n)


def sparse(m=9, n=7, seed=1, complex_entries=False):
    A = sp.random_array((m, n), density=0.4, rng=np.random.default_rng(seed), format="csr")
    if complex_entries:
        A = A + 1j * sp.random_array((m, n), density=0.4, rng=np.random.default_rng(seed + 1), format="csr")
    return sp.csr_array(A)


def forms():
    """Every operator form, with the dense matrix that it stands for."""
    A, C = sparse(), sparse(complex_entries=True)
    square, hermitian = spd(), spd(5, 3, complex)
    rng = np.random.default_rng(5)
    U, V, K = rng.standard_normal((12, 2)), rng.standard_normal((12, 2)), rng.standard_normal((2, 2))
    P = rng.standard_normal((12, 3))
    grid = Grid(
        (3, 4), 0.5, ["dirichlet", ("neumann", "dirichlet")], np.array([[0, 0, 1, 0], [0, 2, 0, 0], [0, 0, 0, 0]])
    )
    stencil = StencilOperator.from_coefficient(grid, rng.uniform(1, 3, grid.shape), shift=0.3)
    return {
        "csr": (CSROperator(A), A.toarray()),
        "csr-complex": (CSROperator(C), C.toarray()),
        "csr-int": (CSROperator(sp.csr_array(np.array([[1, 2], [0, 3]]))), np.array([[1.0, 2], [0, 3]])),
        "coo-duplicates": (
            CSROperator(sp.coo_array(([1.0, 2.0, 4.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))),
            np.array([[0.0, 3.0], [4.0, 0.0]]),
        ),
        "dense": (as_operator(square), square),
        "dense-hermitian": (as_operator(hermitian, symmetric=True), hermitian),
        "list": (as_operator([[1, 2], [3, 4]]), np.array([[1.0, 2], [3, 4]])),
        "diagonal": (DiagonalOperator(np.array([1.0, -2.0, 3.0])), np.diag([1.0, -2.0, 3.0])),
        "diagonal-complex": (DiagonalOperator(np.array([1.0j, 2.0])), np.diag([1.0j, 2.0])),
        "identity": (IdentityOperator(4), np.eye(4)),
        "foreign": (as_operator(sla.aslinearoperator(A)), A.toarray()),
        "stencil": (stencil, stencil.tocsr().toarray()),
        "scaled": (2.5 * CSROperator(A), 2.5 * A.toarray()),
        "scaled-complex": (CSROperator(A) * 1j, 1j * A.toarray()),
        "negated": (-CSROperator(A), -A.toarray()),
        "divided": (CSROperator(A) / 4, A.toarray() / 4),
        "sum": (CSROperator(A) + A + 2 * CSROperator(A), 4 * A.toarray()),
        "difference": (as_operator(square) - IdentityOperator(12), square - np.eye(12)),
        "product": (CSROperator(A) @ CSROperator(sp.csr_array(A.T)), A.toarray() @ A.toarray().T),
        "product-sparse": (CSROperator(A) @ A.T, A.toarray() @ A.toarray().T),
        "congruence": (CongruenceOperator(square, P), P.T @ square @ P),
        "kronecker": (KroneckerOperator(A, C), np.kron(A.toarray(), C.toarray())),
        "low-rank": (LowRankUpdate(square, U, V, K), square + U @ K @ V.T),
        "low-rank-symmetric": (LowRankUpdate(as_operator(square, positive_definite=True), U), square + U @ U.T),
        "adjoint": (CSROperator(C).H, C.toarray().conj().T),
        "transpose": (CSROperator(C).T, C.toarray().T),
        "transpose-of-foreign": (as_operator(sla.aslinearoperator(C)).T, C.toarray().T),
        "adjoint-of-product": (
            (CSROperator(A) @ CSROperator(sp.csr_array(C.T))).H,
            (A.toarray() @ C.toarray().T).conj().T,
        ),
    }


FORMS = forms()


@pytest.mark.parametrize("name", FORMS)
def test_every_form_multiplies_as_its_matrix(name, rng):
    A, dense = FORMS[name]
    assert A.shape == dense.shape
    x, X = rng.standard_normal(dense.shape[1]), rng.standard_normal((dense.shape[1], 3))
    y, Y = rng.standard_normal(dense.shape[0]), rng.standard_normal((dense.shape[0], 2))
    scale = np.abs(dense).sum()
    np.testing.assert_allclose(A @ x, dense @ x, atol=1e-13 * scale)
    np.testing.assert_allclose(A @ X, dense @ X, atol=1e-13 * scale)
    np.testing.assert_allclose(
        A.matvec(x[:, None])[:, 0] if A.matvec(x[:, None]).ndim == 2 else A.matvec(x[:, None]),
        dense @ x,
        atol=1e-13 * scale,
    )
    np.testing.assert_allclose(A.rmatvec(y), dense.conj().T @ y, atol=1e-13 * scale)
    np.testing.assert_allclose(A.H @ Y, dense.conj().T @ Y, atol=1e-13 * scale)
    np.testing.assert_allclose(A.T @ y, dense.T @ y, atol=1e-13 * scale)
    np.testing.assert_allclose(A @ (x + 1j * X[:, 0]), dense @ (x + 1j * X[:, 0]), atol=1e-13 * scale)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_that_states_its_entries_states_them_right(name):
    A, dense = FORMS[name]
    if "foreign" in name:
        with pytest.raises(TypeError, match=r"cannot (state|be assembled)"):
            A.tocsr()
        return
    np.testing.assert_allclose(A.tocsr().toarray(), dense, atol=1e-12)
    np.testing.assert_allclose(A.diagonal(), np.diagonal(dense), atol=1e-12)


@pytest.mark.parametrize("name", [k for k, (A, _) in FORMS.items() if A.shape[0] == A.shape[1]])
def test_declared_facts_are_true_of_the_matrix(name):
    A, dense = FORMS[name]
    if A.symmetric is not None:
        assert A.symmetric == np.allclose(dense, dense.conj().T)
    if A.positive_definite:
        assert np.linalg.eigvalsh(dense).min() > 0


def test_apply_writes_into_the_callers_vector(rng):
    A = CSROperator(sparse())
    x, out = rng.standard_normal(7), np.full(9, np.nan)
    A.apply(x, out)
    np.testing.assert_array_equal(out, A.matrix @ x)


def test_csr_product_is_bitwise_scipys_for_any_number_of_blocks(rng):
    A = sp.csr_array(sp.random_array((3000, 3000), density=0.02, rng=rng, format="csr"))
    x = rng.standard_normal(3000)
    operator = CSROperator(A)
    assert operator._starts.size > 2, "large enough to be cut into blocks"
    np.testing.assert_array_equal(operator @ x, A @ x)
    operator._starts = operator._starts[[0, -1]]
    np.testing.assert_array_equal(operator @ x, A @ x)


def test_the_users_matrix_is_never_changed():
    A = sp.csr_array((np.array([1.0, 2.0, 3.0]), np.array([2, 0, 2]), np.array([0, 3, 3])), shape=(2, 3))
    data, indices = A.data.copy(), A.indices.copy()
    operator = CSROperator(A)
    np.testing.assert_array_equal(operator @ np.array([1.0, 1.0, 10.0]), [42.0, 0.0])
    np.testing.assert_array_equal(A.data, data)
    np.testing.assert_array_equal(A.indices, indices)


def test_a_matrix_edited_after_scipy_cached_its_state_is_still_read_right():
    A = sp.csr_array(np.array([[1.0, 2.0], [0.0, 3.0]]))
    assert A.has_canonical_format
    A.indices[:2] = [1, 0]
    np.testing.assert_array_equal(CSROperator(A) @ np.array([1.0, 10.0]), [12.0, 30.0])


def test_int64_indices_beyond_need_are_narrowed_and_work(rng):
    A = sparse()
    wide = sp.csr_array((A.data, A.indices.astype(np.int64), A.indptr.astype(np.int64)), shape=A.shape)
    x = rng.standard_normal(7)
    np.testing.assert_array_equal(CSROperator(wide) @ x, A @ x)


FACT_TABLE = [
    ("scaling keeps", lambda A, B: 2 * A, (True, True)),
    ("negative scaling turns", lambda A, B: -3 * A, (True, False)),
    ("complex scaling forgets", lambda A, B: 1j * A, (None, None)),
    ("sum of definite", lambda A, B: A + B, (True, True)),
    ("sum with unknown", lambda A, B: A + np.eye(12), (None, None)),
    ("sum with unsymmetric", lambda A, B: A + as_operator(np.triu(np.ones((12, 12))), symmetric=False), (False, None)),
    ("difference", lambda A, B: A - B, (True, None)),
    ("transpose", lambda A, B: A.T, (True, True)),
    ("adjoint", lambda A, B: A.H, (True, True)),
    ("product", lambda A, B: A @ B, (None, None)),
    ("kronecker", lambda A, B: KroneckerOperator(A, B), (True, True)),
    ("kronecker with unknown", lambda A, B: KroneckerOperator(A, np.eye(2)), (None, None)),
    ("congruence", lambda A, B: CongruenceOperator(A, np.eye(12)[:, :3]), (True, None)),
    ("congruence of full rank", lambda A, B: CongruenceOperator(A, np.eye(12)[:, :3], full_rank=True), (True, True)),
    ("low-rank update", lambda A, B: LowRankUpdate(A, np.ones((12, 1))), (True, True)),
    ("low-rank downdate", lambda A, B: LowRankUpdate(A, np.ones((12, 1)), C=[[-1.0]]), (True, None)),
]


@pytest.mark.parametrize(("make", "wanted"), [row[1:] for row in FACT_TABLE], ids=[row[0] for row in FACT_TABLE])
def test_facts_propagate(make, wanted):
    A, B = as_operator(spd(), positive_definite=True), as_operator(spd(seed=9), positive_definite=True)
    result = make(A, B)
    assert (result.symmetric, result.positive_definite) == wanted


def test_a_sum_of_singular_operators_is_not_called_definite():
    A = StencilOperator.from_coefficient(Grid((4, 4), sides="neumann"))
    assert A.positive_definite
    assert (A + A).positive_definite is None
    assert (A + IdentityOperator(16)).positive_definite
    assert (A + IdentityOperator(16)).nullspace is None


def test_facts_can_be_declared_later_but_not_contradicted():
    A = as_operator(spd())
    assert as_operator(A, positive_definite=True).symmetric
    assert A.symmetric is None, "the operator itself stays as it was"
    with pytest.raises(ValueError, match="contradicts"):
        as_operator(as_operator(spd(), symmetric=True), symmetric=False)
    with pytest.raises(ValueError, match="definite means symmetric"):
        as_operator(spd(), symmetric=False, positive_definite=True)
    with pytest.raises(ValueError, match="only a square one"):
        as_operator(np.ones((2, 3)), symmetric=True)


def test_is_hermitian_looks_at_values_not_patterns():
    A = sp.csr_array(spd(6, 1, complex))
    assert is_hermitian(A)
    assert not is_hermitian(sp.csr_array(A.T) * 1j)
    explicit_zero = sp.csr_array((np.array([1.0, 0.0, 1.0]), np.array([0, 1, 1]), np.array([0, 2, 3])), shape=(2, 2))
    assert is_hermitian(explicit_zero)


class Minimal:
    shape, dtype = (3, 3), np.dtype(float)

    def matvec(self, x):
        return 2 * x


def test_any_object_with_shape_dtype_and_matvec_will_do(rng):
    x = rng.standard_normal(3)
    np.testing.assert_array_equal(as_operator(Minimal()) @ x, 2 * x)
    with pytest.raises(TypeError, match="no product with its adjoint"):
        as_operator(Minimal()).rmatvec(x)


@pytest.mark.parametrize("bad", [None, "matrix", 3.0, object(), {"a": 1}], ids=repr)
def test_what_is_no_operator_is_refused(bad):
    with pytest.raises(TypeError, match="wanted a matrix"):
        as_operator(bad)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_operator(np.ones(3)), "wanted a matrix"),
        (lambda: as_operator(np.array([["a"]])), "wanted numbers"),
        (lambda: as_operator(np.ones((2, 2))) + np.ones((3, 3)), "cannot be added"),
        (lambda: as_operator(np.ones((2, 2))) @ as_operator(np.ones((3, 3))), "cannot be multiplied"),
        (lambda: LowRankUpdate(np.eye(3), np.ones((4, 1))), "wanted"),
        (lambda: CongruenceOperator(np.eye(3), np.ones((4, 1))), "wanted"),
        (lambda: as_operator(np.eye(2)) / np.eye(2), "a number only"),
        (lambda: as_operator(np.eye(2)) @ 2.0, r"use \*"),
    ],
)
def test_bad_combinations_name_what_is_wrong(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


@pytest.mark.parametrize("method", ["cg", "gmres", "bicgstab", "minres", "lgmres"])
def test_our_operators_go_into_scipys_solvers(method, rng):
    grid = Grid((8, 8))
    b = rng.standard_normal(64)
    for A in (
        StencilOperator.from_coefficient(grid),
        KroneckerOperator(as_operator(spd(8), positive_definite=True), IdentityOperator(8)),
        as_operator(spd(64), positive_definite=True) + IdentityOperator(64),
    ):
        x, info = getattr(sla, method)(A, b, rtol=1e-8)
        assert info == 0
        assert np.linalg.norm(A @ x - b) <= 1e-7 * np.linalg.norm(b)


def test_eigsh_takes_an_operator():
    A = StencilOperator.from_coefficient(Grid((10, 9), 0.1))
    found = sla.eigsh(A, k=2, which="LM", return_eigenvectors=False, v0=np.random.default_rng(0).random(90))
    exact = np.linalg.eigvalsh(A.tocsr().toarray())[-2:]
    np.testing.assert_allclose(np.sort(found), exact, rtol=1e-8)


def test_project_removes_the_null_space(rng):
    A = StencilOperator.from_coefficient(Grid((5, 5), sides="neumann"))
    x = rng.standard_normal(25)
    assert abs(A.project(x).sum()) < 1e-12
    np.testing.assert_allclose(A @ A.project(x), A @ x, atol=1e-12)


def test_repr_names_the_facts():
    text = repr(as_operator(np.eye(3), positive_definite=True))
    assert "3x3" in text
    assert "positive_definite" in text
    assert isinstance(as_operator(np.eye(2)), Operator)


def singular_hermitian():
    Z = sp.csr_array(np.array([[1, -1j], [1j, 1]]))
    null = sp.csc_array(np.linalg.eigh(Z.toarray())[1][:, :1])
    return CSROperator(Z, positive_definite=True, nullspace=null)


def test_a_null_space_travels_with_transpose_and_scaling():
    A = singular_hermitian()
    for B in (A.T, A.H, 2 * A, A.T.T):
        np.testing.assert_allclose(B.tocsr() @ B.nullspace.toarray(), 0, atol=1e-14)
    assert (A.T + A.T).positive_definite is None


def test_facts_that_a_null_space_forbids():
    A = singular_hermitian()
    assert KroneckerOperator(A, np.eye(2)).positive_definite is None
    assert KroneckerOperator(A, as_operator(np.eye(2), positive_definite=True)).positive_definite is None
    assert CongruenceOperator(A, np.eye(2), full_rank=True).positive_definite is None
    assert LowRankUpdate(A, np.ones((2, 1))).positive_definite is None


def test_indefiniteness_does_not_pass_through_a_congruence():
    A = as_operator(np.diag([1.0, -1.0]), symmetric=True, positive_definite=False)
    assert CongruenceOperator(A, np.eye(2)[:, :1], full_rank=True).positive_definite is None


def test_what_is_not_fixed_stays_so():
    A = as_operator(sla.aslinearoperator(np.eye(3)))
    A.fixed = False
    for B in (A + np.eye(3), 2 * A, A.H, A.T, A @ np.eye(3).view(), CongruenceOperator(A, np.eye(3))):
        assert not as_operator(B).fixed if not isinstance(B, np.ndarray) else True
    assert not (A + as_operator(np.eye(3))).fixed
    assert not A.H.fixed


def test_the_grid_survives_sums_and_scaling():
    A = StencilOperator.from_coefficient(Grid((3, 3)))
    assert (A + IdentityOperator(9)).grid is A.grid
    assert (2 * A).grid is A.grid
    assert A.T.grid is A.grid


def test_a_subclass_that_changes_the_product_changes_the_fused_one():
    class Shifted(CSROperator):
        def _apply(self, x, out):
            super()._apply(x, out)
            out += x

    A = Shifted(sp.csr_array(np.diag([1.0, 2.0])))
    out = np.empty(2)
    assert A.apply_dot(np.ones(2), out) == 5.0
    np.testing.assert_array_equal(out, [2.0, 3.0])


def test_array_minus_operator():
    A = as_operator(np.diag([1.0, 2.0]))
    np.testing.assert_array_equal((np.eye(2) - A) @ np.ones(2), [0.0, -1.0])
