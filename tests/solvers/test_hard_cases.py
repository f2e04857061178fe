"""Cases that broke earlier versions, or would break a careless one: scales, threads, callbacks, costs, singularity."""

import copy
import pickle
import sys
import threading

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from ritzkit import solve
from ritzkit.linalg import CSROperator, Grid, StencilOperator, as_operator
from ritzkit.solvers import METHODS, Outcome, cg, fcg, minres, precond
from ritzkit.solvers.gate import enter

from . import makers

ITERATIVE = [m for m in METHODS if m != "direct"]


# --- scales ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("scale", [1e-310, 1e-170, 1e170, 1e300, 1e308])
@pytest.mark.parametrize("method", METHODS)
def test_any_finite_right_hand_side_is_solved_in_its_own_scale(method, scale):
    A = np.diag([2.0, 3.0, 4.0, 5.0])
    result = METHODS[method](A, scale * np.ones(4), rtol=1e-8)
    assert result.success
    np.testing.assert_allclose(result.x / scale, 1 / np.diagonal(A), rtol=1e-6)
    seen = []
    if method not in ("direct", "gmres"):
        METHODS[method](A, scale * np.ones(4), np.zeros(4), rtol=1e-8, callback=lambda x: seen.append(x) and None)
        np.testing.assert_allclose(seen[-1] / scale, 1 / np.diagonal(A), rtol=1e-6)


@pytest.mark.parametrize("kind", ["float32", "float64", "complex64"])
def test_any_finite_tensor_is_solved_in_its_own_scale(kind):
    torch = pytest.importorskip("torch")
    dtype = getattr(torch, kind)
    A = torch.diag(torch.arange(1.0, 7.0)).to(dtype)
    for scale in (1e-25, 1e25) if kind != "float64" else (1e-200, 1e200):
        for method in ("cg", "fcg", "minres", "gmres", "bicgstab", "chebyshev", "sor"):
            result = METHODS[method](A, scale * torch.ones(6, dtype=dtype), rtol=1e-4)
            assert result.success, (method, scale, repr(result))
            np.testing.assert_allclose(result.x.numpy() / scale, 1 / np.arange(1.0, 7.0), rtol=1e-3)


# --- the promise itself ---------------------------------------------------------------------------------------------
def test_finish_believes_only_the_residual():
    A, b = makers.spd()
    system = enter("test", A, b, None, rtol=1e-8, atol=0.0, maxiter=None, M=None, callback=None)
    lie = system.finish(np.zeros(b.size), Outcome.CONVERGED)
    assert lie.outcome is Outcome.STAGNATION
    assert lie.info > 0
    truth = system.finish(np.linalg.solve(A, b), Outcome.ITERATION_LIMIT)
    assert truth.success
    assert system.finish(np.full(b.size, np.nan), Outcome.CONVERGED).outcome is Outcome.NONFINITE_OPERATOR


class Drifting(CSROperator):
    """Multiplies a little wrongly, except when asked about the final answer: a recurrence would not notice."""

    exact = False

    def _apply(self, x, out):
        super()._apply(x, out)
        if not self.exact:
            out *= 1 + 1e-5 * np.sin(np.arange(out.size))


@pytest.mark.parametrize("method", ["cg", "fcg", "minres", "gmres", "fgmres", "bicgstab", "chebyshev"])
def test_a_drifted_recurrence_is_not_success(method):
    A, b = makers.poisson(12)
    operator = Drifting(A)
    result = METHODS[method](operator, b, rtol=1e-12, **({"bounds": (0.05, 8.0)} if method == "chebyshev" else {}))
    residual = np.linalg.norm(b - operator @ result.x) / np.linalg.norm(b)
    assert result.success == (residual <= 1e-12)
    assert result.residual == pytest.approx(residual, rel=0.5, abs=1e-15)


FAILING = [
    ("inconsistent-cg", lambda: (cg, *makers.singular_inconsistent())),
    ("skew-fcg", lambda: (fcg, *makers.skew())),
    ("skew-cg", lambda: (cg, *makers.skew())),
    ("skew-minres", lambda: (minres, *makers.skew())),
    ("indefinite-cg", lambda: (cg, *makers.indefinite())),
    ("indefinite-fcg", lambda: (fcg, *makers.indefinite())),
    ("divergent-jacobi", lambda: (METHODS["jacobi"], np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([1.0, 3.0]))),
]


@pytest.mark.parametrize("guess", [False, True], ids=["zero", "guess"])
@pytest.mark.parametrize("case", [row[1] for row in FAILING], ids=[row[0] for row in FAILING])
def test_failure_returns_the_best_iterate(case, guess):
    method, A, b = case()
    x0 = 0.01 * np.arange(b.size) if guess else None
    result = method(A, b, x0, rtol=1e-12)
    assert not result.success
    best = min([result.initial_residual, *result.residuals[np.isfinite(result.residuals)]])
    reached = np.linalg.norm(b - A @ result.x) / np.linalg.norm(b)
    assert reached <= (1.12 if method is not minres else 10) * best
    assert reached <= result.initial_residual * (1 + 1e-9)


def test_gmres_gives_up_an_update_that_makes_things_worse():
    A, b = makers.nonsymmetric()
    rng = np.random.default_rng(0)
    M = sla.LinearOperator(A.shape, matvec=lambda r: rng.standard_normal(r.size), dtype=float)  # undeclared nonsense
    result = METHODS["gmres"](A, b, M=M, rtol=1e-10, maxiter=5)
    assert not result.success
    assert result.residual <= 1 + 1e-9


@pytest.mark.parametrize("shrink", [1e-9, 1e-11])
def test_minres_does_not_call_an_ill_conditioned_system_singular(shrink):
    A = np.diag([1.0, 2.0, 3.0, shrink])
    assert minres(A, np.ones(4), rtol=1e-8).success


def test_minres_least_squares_solution_of_an_inconsistent_system():
    A, b = makers.singular_inconsistent()
    result = minres(A, b, rtol=1e-10)
    assert result.outcome is Outcome.INCONSISTENT
    r = b - A @ result.x
    assert np.linalg.norm(A @ r) <= 1e-5 * np.linalg.norm(r)


# --- callbacks ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", [m for m in ITERATIVE if m != "gmres"])
def test_a_numpy_true_stops_too(method):
    A, b = makers.poisson(10)
    options = {"restart": 2} if method in ("fgmres", "gcrodr", "gmres_dr") else {}
    result = METHODS[method](A, b, rtol=1e-10, callback=lambda x: np.linalg.norm(x) > 0, **options)
    assert result.outcome is Outcome.STOPPED_BY_CALLBACK


@pytest.mark.parametrize("method", ["auto", "cg", "gmres", "direct"])
def test_an_error_in_the_callback_is_the_users_to_see(method):
    A, b = makers.poisson(60)

    def callback(x):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        solve(A, b, method=method, callback=callback)


# --- solve(method="auto") -------------------------------------------------------------------------------------------
def big(maker):
    A, b = maker()
    return sp.csr_array(A), b


AUTO = [
    ("m-matrix", lambda: makers.poisson(60), "cg", "sa-amg"),
    ("spd with positive off-diagonals", lambda: _spd_big(), "cg", "ic"),
    ("indefinite", lambda: _shifted_big(), ("minres", "direct"), None),
    ("nonsymmetric", lambda: _convection_big(), "gmres", "ilu"),
]


def _spd_big():
    n = 4000
    A = sp.diags_array([0.9, 2.0, 0.9], offsets=[-1, 0, 1], shape=(n, n), format="csr")
    return A, A @ np.ones(n)


def _shifted_big():
    A, b = makers.poisson(60)
    return sp.csr_array(A - 1.0 * sp.eye_array(A.shape[0])), b


def _convection_big():
    from ritzkit.problems import ConvectionDiffusion

    problem = ConvectionDiffusion(64, peclet=50.0).sample(0)
    return problem.A.tocsr(), problem.b


@pytest.mark.parametrize(("maker", "method"), [row[1:3] for row in AUTO], ids=[row[0] for row in AUTO])
def test_auto_takes_the_documented_way_beyond_small_systems(maker, method):
    A, b = maker()
    assert A.shape[0] > 3000
    result = solve(A, b, rtol=1e-8)
    assert result.success
    assert result.method in ((method,) if isinstance(method, str) else method), (result, result.note)


def test_auto_uses_the_preconditioner_it_documents(monkeypatch):
    made = []
    for name in ("amg", "ic", "ilu", "direct"):
        real = getattr(precond, name)
        monkeypatch.setattr(precond, name, lambda *a, name=name, real=real, **k: made.append(name) or real(*a, **k))
    for maker, wanted in ((lambda: makers.poisson(60), "amg"), (_spd_big, "ic"), (_convection_big, "ilu")):
        made.clear()
        solve(*maker(), rtol=1e-8)
        assert made[0] == wanted
    made.clear()
    assert solve(*makers.poisson(20), rtol=1e-8).method == "direct"
    assert made == ["direct"]


def test_auto_counts_the_attempts_that_failed():
    A, b = _shifted_big()
    counting = CSROperator(A, symmetric=True)
    result = solve(counting, b, rtol=1e-8)
    assert result.note
    last = METHODS[result.method](counting, b, rtol=1e-8)
    assert result.matvecs > last.matvecs
    assert result.setup_seconds > 0


def test_auto_with_the_callers_preconditioner():
    A, b = _convection_big()
    changing = as_operator(sla.LinearOperator(A.shape, matvec=lambda r: r / 4, dtype=float))
    changing.fixed = False
    spd, c = makers.poisson(20)
    variable = as_operator(sla.LinearOperator(spd.shape, matvec=lambda r: r / 4, dtype=float))
    variable.fixed = False
    for matrix, right, M, method in (
        (A, b, precond.ilu(A), "gmres"),
        (A, b, changing, "fgmres"),
        (spd, c, precond.ssor(spd), "cg"),
        (spd, c, variable, "fcg"),
    ):
        result = solve(matrix, right, M=M, rtol=1e-6)
        assert result.success
        assert result.method == method


def test_auto_without_entries(rng):
    A, b = makers.poisson(20)
    for operator, method in (
        (as_operator(sla.aslinearoperator(A), positive_definite=True), "cg"),
        (as_operator(sla.aslinearoperator(A), symmetric=True), "cg"),
        (as_operator(sla.aslinearoperator(-A), symmetric=True, positive_definite=False), "minres"),
        (sla.aslinearoperator(A), "gmres"),
    ):
        result = solve(operator, b, rtol=1e-8)
        assert result.success
        assert result.method == method


# --- threads, copies, pickles ---------------------------------------------------------------------------------------
def test_one_operator_and_one_preconditioner_serve_several_threads():
    cells = np.zeros((40, 40), np.uint8)
    cells[10:20, 12:30] = 2
    A = StencilOperator.from_coefficient(Grid((40, 40), cells=cells), shift=0.1)
    total = A + 0.5 * A
    M = precond.chebyshev(A, 3)
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(A.shape[0]) for _ in range(4)]
    wanted = [(A @ x, total @ x, M @ x) for x in inputs]
    wrong = []

    def work(k):
        for _ in range(150):
            found = (A @ inputs[k], total @ inputs[k], M @ inputs[k])
            wrong.extend(1 for f, w in zip(found, wanted[k], strict=True) if not np.array_equal(f, w))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


def test_copies_share_no_scratch_and_pickles_work():
    A = StencilOperator.from_coefficient(Grid((6, 6), cells=np.eye(6, dtype=np.uint8)), shift=0.1)
    x = np.arange(float(A.shape[0]))
    wanted = A @ x
    for twin in (copy.copy(A), copy.deepcopy(A), pickle.loads(pickle.dumps(A))):
        assert twin._buffers is not A._buffers
        np.testing.assert_array_equal(twin @ x, wanted)


# --- singular systems -----------------------------------------------------------------------------------------------
def pocketed():
    """A Dirichlet box with a walled-in cell and a walled-in room: two singular components."""
    cells = np.zeros((20, 20), np.uint8)
    cells[9:12, 9:12], cells[10, 10] = 2, 0
    cells[3:7, 3:7], cells[4:6, 4:6] = 2, 0
    return StencilOperator.from_coefficient(Grid((20, 20), cells=cells))


MAKERS = [
    None, precond.jacobi, precond.block_jacobi, precond.ssor, precond.ic, precond.chebyshev, precond.amg, precond.direct,
]  # fmt: skip


@pytest.mark.parametrize("make", MAKERS, ids=lambda m: getattr(m, "__name__", "none"))
@pytest.mark.parametrize("method", ["cg", "fcg", "minres", "gmres", "bicgstab", "chebyshev"])
def test_pockets_are_handled_by_every_method_and_preconditioner(method, make):
    A = pocketed()
    assert A.nullspace.shape[1] == 2
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    assert METHODS[method](A, b).outcome is Outcome.INCONSISTENT
    b = A.project(b)
    M = None if make is None else make(A)
    result = METHODS[method](A, b, M=M, rtol=1e-8, **({"restart": 200} if method == "gmres" else {}))
    assert result.success, repr(result)
    drift = abs(A.nullspace.T @ result.x).max()
    assert drift <= 1e-8 * np.linalg.norm(result.x), "the iterates stayed out of the null space"


def test_projection_between_products_allocates_nothing():
    import tracemalloc

    A = StencilOperator.from_coefficient(Grid((120, 120), sides="neumann"))
    x = np.random.default_rng(0).standard_normal(A.shape[0])
    A.project_in_place(x)
    assert abs(x.sum()) < 1e-9
    tracemalloc.start()
    A.project_in_place(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < x.nbytes / 10


def test_minres_shift_moves_the_null_space_away():
    A = StencilOperator.from_coefficient(Grid((8, 8), sides="neumann"))
    b = np.random.default_rng(0).standard_normal(64)
    result = minres(A, b, shift=0.5, rtol=1e-8, M=precond.jacobi(A))
    assert result.success
    assert np.linalg.norm(b - A @ result.x + 0.5 * result.x) <= 1.01e-8 * np.linalg.norm(b)


def test_minres_check_finds_an_unsymmetric_matrix_and_a_changing_preconditioner():
    with pytest.raises(ValueError, match="A is not symmetric"):
        minres(makers.skew()[0], np.ones(20), check=True)
    A, b = makers.spd()
    rng = np.random.default_rng(0)
    M = sla.LinearOperator(A.shape, matvec=lambda r: rng.uniform(1, 2) * r, dtype=float)
    with pytest.raises(ValueError, match="different results"):
        minres(A, b, M=M, check=True)


# --- input that is nearly right -------------------------------------------------------------------------------------
def test_vectors_of_any_layout_and_byte_order():
    A, b = makers.poisson(10)
    wanted = cg(A, b, rtol=1e-10).x
    strided = np.zeros(2 * b.size)
    strided[::2] = b
    for same in (b.astype(">f8"), strided[::2], list(b), np.asfortranarray(b[:, None])):
        np.testing.assert_allclose(cg(A, same, rtol=1e-10).x, wanted, atol=1e-9)
    read_only = b.copy()
    read_only.flags.writeable = False
    np.testing.assert_allclose(cg(A, read_only, read_only, rtol=1e-10).x, wanted, atol=1e-9)
    np.testing.assert_array_equal(CSROperator(A) @ b.astype(">f8"), A @ b)


@pytest.mark.parametrize("fmt", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
def test_every_sparse_format(fmt):
    A, b = makers.poisson(8)
    for kind in (A.asformat(fmt), getattr(sp, f"{fmt}_matrix")(A)):
        assert cg(kind, b, rtol=1e-8).success


def test_every_torch_layout():
    torch = pytest.importorskip("torch")
    import warnings

    A, b = makers.poisson(6)
    dense = torch.from_numpy(A.toarray())
    complex_a = dense.to(torch.complex128) + 1j * torch.triu(dense, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layouts = [
            dense,
            dense.to_sparse_csr(),
            dense.to_sparse_csc(),
            dense.to_sparse_coo(),
            dense.to_sparse_bsr((2, 2)),
        ]
    for tensor in layouts:
        for right in (b, torch.from_numpy(b)):
            assert METHODS["gmres"](tensor, right, rtol=1e-8, restart=36).success
    assert METHODS["gmres"](complex_a.conj(), b, rtol=1e-8, restart=36).success
    assert METHODS["direct"](complex_a.mH, b, rtol=1e-8).success
    grad = torch.from_numpy(b).requires_grad_()
    assert (as_operator(dense) @ grad).shape == (36,)
    for method in ("sor", "ssor", "jacobi"):
        assert isinstance(METHODS[method](dense, torch.from_numpy(b), rtol=1e-3).x, torch.Tensor)


class _Silent:
    shape, dtype = (16, 16), np.dtype(float)

    def matvec(self, x):
        return None


BROKEN = [
    ("column-out-of-range", lambda A: A.indices.__setitem__(-1, 5_000_000), "column index outside"),
    ("column-negative", lambda A: A.indices.__setitem__(0, -1), "column index outside"),
    ("indptr-falls", lambda A: A.indptr.__setitem__(2, 999), "row pointers"),
]


@pytest.mark.parametrize(("damage", "message"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_corrupt_sparse_arrays_are_refused_before_any_kernel_reads_them(damage, message):
    A = sp.csr_array(np.eye(6) + 0.1)
    damage(A)
    with pytest.raises(ValueError, match=message):
        cg(A, np.ones(6))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda A, b: cg(np.ma.masked_array(A.toarray()), b), "masked array"),
        (lambda A, b: cg(A, np.ma.masked_array(b)), "masked array"),
        (lambda A, b: cg(A, sp.csr_array(b[:, None])), "b is sparse"),
        (lambda A, b: cg(A, b, M="ic"), "M is 'ic'"),
        (lambda A, b: cg(_Silent(), b), "returned None"),
    ],
    ids=["masked-A", "masked-b", "sparse-b", "named-M", "matvec-none"],
)
def test_nearly_right_arguments_get_a_clear_error(call, message):
    with pytest.raises(TypeError, match=message):
        call(*makers.poisson(4))


def test_bfloat16_is_refused_by_name():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="b is a"):
        cg(np.eye(3), torch.ones(3, dtype=torch.bfloat16))
