"""One table over all preconditioners: what each promises, checked against dense algebra."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator

from ritzkit.linalg import Grid, StencilOperator, TriangularSolver, as_operator, solve_triangular
from ritzkit.solvers import cg, precond

SIDE = 9
N = SIDE * SIDE

TABLE = {
    "jacobi": precond.jacobi,
    "block_jacobi": lambda A: precond.block_jacobi(A, 4),  # 81 rows: the last block is smaller
    "ssor": precond.ssor,
    "ssor(1.4)": lambda A: precond.ssor(A, 1.4),
    "ic(0)": precond.ic,
    "ic(1)": lambda A: precond.ic(A, level=1),
    "ric": lambda A: precond.ic(A, alpha=0.9),
    "mic": lambda A: precond.ic(A, alpha=1.0),
    "ic-lift": lambda A: precond.ic(A, lift=0.1),
    "ict": lambda A: precond.ic(A, drop_tol=0.01),
    "ilu(0)": precond.ilu,
    "ilu(1)": lambda A: precond.ilu(A, level=1),
    "ilut": lambda A: precond.ilu(A, drop_tol=0.01),
    "chebyshev(3)": precond.chebyshev,
    "chebyshev(2)": lambda A: precond.chebyshev(A, 2),
    "amg-sa": precond.amg,
    "amg-sa-W": lambda A: precond.amg(A, cycle="W", max_coarse=4),
    "amg-rs": lambda A: precond.amg(A, "rs"),
    "direct": precond.direct,
}
GENERAL = ["jacobi", "block_jacobi", "ilu(0)", "ilu(1)", "ilut", "direct"]
REAL_ONLY = ["amg-rs"]
each = pytest.mark.parametrize("name", TABLE)


def diffusion(seed=0, dtype=float, side=SIDE):
    """Five-point diffusion with a rough coefficient; for complex types in a rotated basis, so that it is Hermitian."""
    rng = np.random.default_rng(seed)
    grid = Grid((side, side))
    A = StencilOperator.from_coefficient(grid, np.exp(rng.standard_normal((side, side)))).tocsr()
    if np.dtype(dtype).kind == "c":
        turn = sp.diags_array(np.exp(2j * np.pi * rng.random(side * side)))
        A = turn @ A @ turn.conj()
        A = (A + A.conj().T) / 2
    return sp.csr_array(A).astype(dtype)


def other_pattern(dtype=float):
    """A definite matrix of the same size that couples other unknowns."""
    rng = np.random.default_rng(5)
    B = sp.random_array((N, N), density=0.03, rng=rng)
    return sp.csr_array(B + B.T + 10 * sp.eye_array(N)).astype(dtype)


def convection(dtype=float):
    """Not symmetric, dominant diagonal."""
    rng = np.random.default_rng(6)
    B = sp.random_array((N, N), density=0.05, rng=rng, dtype=dtype)
    return sp.csr_array(B + 6 * sp.eye_array(N))


def declared(A):
    return as_operator(A, positive_definite=True)


def dense(M):
    return M @ np.eye(N)


def vector(dtype=float, seed=9):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(N)
    return (x + 1j * rng.standard_normal(N) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def close(a, b, tolerance=1e-10):
    return np.linalg.norm(np.asarray(a) - b) <= tolerance * np.linalg.norm(b)


# --- the map -------------------------------------------------------------------------------------------------------


@each
def test_product_is_linear_and_complex_vectors_go_through_by_parts(name):
    M = TABLE[name](declared(diffusion()))
    x, y = vector(seed=1), vector(seed=2)
    assert close(M @ (2 * x - 3 * y), 2 * (M @ x) - 3 * (M @ y))
    assert close(M @ (x + 1j * y), M @ x + 1j * (M @ y))
    assert close(M @ np.stack([x, y], axis=1), np.stack([M @ x, M @ y], axis=1))


@each
def test_adjoint_and_facts_are_those_of_the_dense_matrix(name):
    for dtype in (float,) if name in REAL_ONLY else (float, complex):
        M = TABLE[name](declared(diffusion(dtype=dtype)))
        matrix = dense(M)
        if M.symmetric or name in GENERAL:
            assert close(dense(M.H), matrix.conj().T)
            assert close(M.rmatvec(vector(complex)), matrix.conj().T @ vector(complex))
        if M.symmetric:
            assert close(matrix, matrix.conj().T)
        if M.positive_definite:
            assert np.linalg.eigvalsh((matrix + matrix.conj().T) / 2).min() > 0
        assert M.positive_definite or name.startswith(("ilu", "chebyshev(2)"))
        assert M.fixed


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("name", GENERAL)
def test_adjoint_without_symmetry(name, dtype):
    M = TABLE[name](convection(dtype))
    matrix = dense(M)
    assert close(dense(M.H), matrix.conj().T)
    assert close(M.rmatvec(vector(complex)), matrix.conj().T @ vector(complex))
    if not (M.symmetric and name == "jacobi"):
        assert M.symmetric is None or M.symmetric is False
        assert not M.positive_definite


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize("name", [name for name in TABLE if not name.startswith("ilu")])
def test_cg_converges_in_every_type(name, dtype):
    if np.dtype(dtype).kind == "c" and name in REAL_ONLY:
        with pytest.raises(ValueError, match="complex"):
            TABLE[name](diffusion(dtype=dtype))
        return
    A = diffusion(dtype=dtype)
    b = (A @ vector(dtype)).astype(dtype)
    M = TABLE[name](declared(A))
    assert M.dtype == np.dtype(dtype)
    assert (M @ b).dtype == np.dtype(dtype)
    result = cg(declared(A), b, M=M, rtol=1e-4, maxiter=300)
    assert result.success, result.outcome.text
    assert result.iterations < cg(declared(A), b, rtol=1e-4, maxiter=3000).iterations or name == "jacobi"


@each
def test_shapes_memory_and_time(name):
    M = TABLE[name](declared(diffusion()))
    with pytest.raises(ValueError, match="dimension mismatch"):
        M @ np.ones(N + 1)
    with pytest.raises(ValueError, match=r"A has shape \(16, 16\)"):
        M.update(diffusion(side=4))
    with pytest.raises(ValueError, match="square"):
        TABLE[name](np.ones((3, 4)))
    assert M.memory_bytes >= 8 * N
    assert M.setup_seconds > 0
    assert M.name


@each
def test_set_up_is_reproducible_and_leaves_the_global_random_state(name):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    A = declared(diffusion())
    first, second = TABLE[name](A), TABLE[name](A)
    assert np.array_equal(dense(first), dense(second))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


# --- update, copies ------------------------------------------------------------------------------------------------


@each
def test_update_equals_a_fresh_build(name):
    make = TABLE[name]
    M = make(declared(diffusion(0)))
    former = dense(M)
    matrices = [diffusion(1), other_pattern(), diffusion(2, np.float32), diffusion(3)]
    if name not in REAL_ONLY:
        matrices += [diffusion(4, complex), diffusion(5, np.complex64), diffusion(6)]
    for A in matrices:
        A = declared(A)
        M.update(A)
        fresh = make(A)
        assert M.dtype == fresh.dtype == A.dtype
        assert M.facts() == fresh.facts()
        now = dense(M)
        # amg keeps the aggregates where the pattern stays: see test_amg_update
        assert close(now, dense(fresh), 0.5 if getattr(M, "reused", False) else 1e-13)
        assert not close(now, former, 1e-3)
        former = now


@each
def test_update_takes_over_the_grid(name):
    grid = Grid((SIDE, SIDE))
    M = TABLE[name](declared(diffusion()))
    M.update(StencilOperator.from_coefficient(grid))
    assert M.grid == grid


@each
def test_a_failed_update_changes_nothing(name):
    M = TABLE[name](declared(diffusion()))
    before = dense(M)
    bad = other_pattern(np.float32)
    bad.data[:] = np.nan
    with pytest.raises(np.linalg.LinAlgError):
        M.update(declared(bad))
    assert np.array_equal(dense(M), before)
    assert M.dtype == np.float64


@pytest.mark.parametrize("clone", [lambda M: pickle.loads(pickle.dumps(M)), copy.deepcopy], ids=["pickle", "deepcopy"])
@each
def test_copies_are_the_same_map_and_independent(name, clone):
    M = TABLE[name](declared(diffusion()))
    M @ vector()  # with scratch vectors in use
    other = clone(M)
    assert np.array_equal(dense(other), dense(M))
    assert other.facts() == M.facts()
    other.update(declared(diffusion(1)))
    assert not close(dense(other), dense(M), 1e-3)
    assert close(dense(M), dense(TABLE[name](declared(diffusion()))), 1e-14)


@each
def test_a_shallow_copy_shares_what_was_set_up(name):
    M = TABLE[name](declared(diffusion()))
    other = copy.copy(M)
    assert all(getattr(other, key) is value for key, value in vars(M).items() if key != "_buffers")
    assert np.array_equal(dense(other), dense(M))


# --- options -------------------------------------------------------------------------------------------------------

OPTIONS = {
    "amg-kind": (precond.amg, {}, {"kind": "rs"}),
    "amg-cycle": (precond.amg, {"max_coarse": 4}, {"max_coarse": 4, "cycle": "W"}),
    "amg-near-nullspace": (precond.amg, {}, {"near_nullspace": np.linspace(1, 2, N)}),
    "amg-two-candidates": (precond.amg, {}, {"near_nullspace": np.stack([np.ones(N), np.linspace(-1, 1, N)], axis=1)}),
    "amg-seed": (precond.amg, {"seed": 0}, {"seed": 1}),
    "amg-passed-on": (precond.amg, {}, {"presmoother": "jacobi", "postsmoother": "jacobi"}),
    "chebyshev-degree": (precond.chebyshev, {}, {"degree": 4}),
    "chebyshev-ratio": (precond.chebyshev, {}, {"ratio": 5.0}),
    "chebyshev-steps": (precond.chebyshev, {}, {"lanczos_steps": 2}),
    "block-size": (precond.block_jacobi, {}, {"block_size": 9}),
    "ssor-omega": (precond.ssor, {}, {"omega": 1.5}),
    "ic-level": (precond.ic, {}, {"level": 2}),
    "ic-alpha": (precond.ic, {}, {"alpha": 0.5}),
    "ic-lift": (precond.ic, {}, {"lift": 0.2}),
    "ic-drop": (precond.ic, {}, {"drop_tol": 0.1}),
    "ic-dtype": (precond.ic, {}, {"dtype": "f"}),
    "ilu-level": (precond.ilu, {}, {"level": 1}),
    "ilu-drop": (precond.ilu, {}, {"drop_tol": 0.1}),
    "ilu-dtype": (precond.ilu, {}, {"dtype": "f"}),
}


@pytest.mark.parametrize(("make", "one", "two"), OPTIONS.values(), ids=OPTIONS)
def test_every_option_changes_the_map(make, one, two):
    A = declared(diffusion())
    assert not np.array_equal(dense(make(A, **one)), dense(make(A, **two)))


def test_equilibration_makes_direct_accurate_on_badly_scaled_rows():
    rng = np.random.default_rng(3)
    A = sp.csr_array(sp.diags_array(10.0 ** rng.uniform(-12, 12, N)) @ convection())
    exact = vector()
    x = precond.direct(A) @ (A @ exact)
    assert np.linalg.norm(x - exact) <= 1e-12 * np.linalg.norm(exact)


# --- multigrid -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"presmoother": "gauss_seidel"}, {"coarse_solver": "splu"}, {"symmetry": "nonsymmetric"}],
    ids=lambda options: next(iter(options)),
)
def test_amg_states_nothing_about_a_cycle_of_the_users_making(options):
    M = precond.amg(declared(diffusion()), **options)
    assert M.symmetric is None
    assert M.positive_definite is None
    assert M.fixed


def test_amg_with_a_krylov_smoother_is_not_fixed():
    M = precond.amg(declared(diffusion()), presmoother=("cg", {"maxiter": 2}), postsmoother="gauss_seidel")
    assert not M.fixed


@pytest.mark.parametrize("side", [1, 2, 3])
def test_amg_of_a_single_level_is_exact(side):
    A = diffusion(side=side, dtype=np.float32)
    assert close(precond.amg(A) @ A.toarray(), np.eye(side * side), 1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothness": 3}, "does not take these options: smoothness"),
        ({"presmoother": "rubbing"}, "refuses these options .*rubbing"),
        ({"near_nullspace": np.ones(3)}, "near_nullspace has 3 rows"),
        ({"near_nullspace": 1j * np.ones(N)}, "near_nullspace is complex"),
        ({"near_nullspace": np.full(N, np.nan)}, "near_nullspace holds NaN"),
        ({"seed": -1}, "seed is -1"),
    ],
    ids=["unknown", "value", "rows", "complex", "nan", "seed"],
)
def test_amg_refuses_options_with_reasons(options, message):
    with pytest.raises(ValueError, match=message):
        precond.amg(diffusion(), **options)


# --- polynomials ---------------------------------------------------------------------------------------------------


def test_chebyshev_takes_an_integer_operator():
    A = np.diag(np.full(N, 4)) - np.eye(N, k=1, dtype=int) - np.eye(N, k=-1, dtype=int)
    M, wanted = (
        precond.chebyshev(LinearOperator((N, N), matvec=lambda x: A @ x, dtype=dtype)) for dtype in (int, float)
    )
    assert M.dtype == np.float64
    assert np.array_equal(M @ vector(), wanted @ vector())
    assert np.linalg.norm(A @ (M @ vector()) - vector()) < 0.5 * np.linalg.norm(vector())


def test_chebyshev_high_end_stays_below_the_bound_from_the_entries():
    for A in (diffusion(), declared(diffusion()), StencilOperator.from_coefficient(Grid((SIDE, SIDE)))):
        M = precond.chebyshev(A, lanczos_steps=40)
        matrix = as_operator(A).tocsr().toarray()
        root = 1 / np.sqrt(matrix.diagonal())
        exact = np.linalg.eigvalsh(root[:, None] * matrix * root).max()
        assert exact <= M.high <= min(1.1 * exact, 2.0) * (1 + 1e-9)


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 5])
def test_chebyshev_is_definite_where_it_says_so_however_short_the_estimate(degree):
    A = declared(diffusion())
    for steps in (1, 2, 12):
        M = precond.chebyshev(A, degree, ratio=2.0, lanczos_steps=steps)
        smallest = np.linalg.eigvalsh(dense(M)).min()
        assert M.positive_definite or degree % 2 == 0
        assert smallest > 0 or not M.positive_definite
    assert precond.chebyshev(declared(diffusion()), 2, ratio=1.2, lanczos_steps=40).positive_definite


@pytest.mark.parametrize("make", [precond.chebyshev, precond.amg, precond.direct])
def test_an_empty_matrix_is_refused(make):
    with pytest.raises(ValueError, match="at least one unknown"):
        make(sp.csr_array((0, 0)))


# --- range, non-finite entries -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e60, 1e-60, 1e-40])
@pytest.mark.parametrize("make", [precond.ic, precond.ilu])
def test_single_precision_factors_serve_matrices_outside_its_range(make, scale):
    A = diffusion()
    plain, scaled = make(A, dtype="f"), make(A * scale, dtype="f")
    assert scaled.factor.dtype == np.float32
    assert close(scaled @ vector() * scale, plain @ vector(), 1e-5)


def test_a_factor_that_overflows_its_storage_says_so():
    far = sp.diags_array(10.0 ** np.linspace(-30, 30, N))
    A = sp.csr_array(far @ other_pattern() @ far)
    with pytest.raises(np.linalg.LinAlgError, match="overflow in float32"):
        precond.ic(A, dtype="f")
    assert np.isfinite(precond.ic(A) @ vector()).all()


PLACES = [(name, place) for name in TABLE for place in ("diagonal", "beside") if (name, place) != ("jacobi", "beside")]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(("name", "place"), PLACES)
def test_non_finite_entries_are_refused(name, place, bad):
    A = diffusion()
    i, j = (7, 7) if place == "diagonal" else (5, 6)
    A[i, j] = A[j, i] = bad
    for given in (A, as_operator(A, symmetric=True)):
        with pytest.raises(np.linalg.LinAlgError):
            TABLE[name](given)


@pytest.mark.parametrize("make", [precond.ic, precond.ilu])
def test_a_real_factor_does_not_swallow_a_complex_matrix(make):
    M = make(diffusion(), dtype="f")
    with pytest.raises(TypeError, match="complex matrix"):
        M.update(diffusion(dtype=complex))
    assert M.dtype == np.float64


def test_jacobi_keeps_one_tensor_per_type():
    torch = pytest.importorskip("torch")
    M = precond.jacobi(diffusion())
    x = torch.from_numpy(vector())
    single = M.matvec(x.to(torch.float32))
    double = M.matvec(x)
    assert close(double.numpy(), M @ vector(), 1e-15)
    assert close(single.numpy(), M @ vector(), 1e-6)
    M.update(diffusion(1))
    assert close(M.matvec(x).numpy(), M @ vector(), 1e-15)


# --- triangular systems --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">c16"])
def test_foreign_byte_order_is_no_obstacle(dtype):
    L = sp.csr_array(sp.tril(diffusion()))
    b = vector(np.dtype(dtype).newbyteorder("=")).astype(dtype)
    native = b.astype(b.dtype.newbyteorder("="))
    wanted = solve_triangular(L, native)
    assert np.array_equal(solve_triangular(L, b), wanted)
    assert np.array_equal(TriangularSolver(L).solve(b), TriangularSolver(L).solve(native))
    L.data = L.data.astype(">f8")
    assert np.array_equal(solve_triangular(L, b), wanted)
    for make in (precond.ic, precond.ilu):
        factor = make(diffusion()).factor
        assert np.array_equal(factor.solve(b), factor.solve(native))


def broken(part, position, value):
    L = sp.csr_array(sp.tril(diffusion()))
    getattr(L, part)[position] = value
    return L


@pytest.mark.parametrize(
    ("part", "position", "value"),
    [
        ("indices", 4, N),
        ("indices", 4, -1),
        ("indices", -1, 2**30),
        ("indptr", -1, 10**6),
        ("indptr", 3, 200),
        ("indptr", 0, 1),
    ],
)
@pytest.mark.parametrize("lower", [True, False])
def test_indices_out_of_range_never_reach_a_kernel(part, position, value, lower):
    L = broken(part, position, value)
    for call in (lambda: solve_triangular(L, np.ones(N), lower=lower), lambda: TriangularSolver(L, lower=lower)):
        with pytest.raises(ValueError, match="build the sparse array again"):
            call()
