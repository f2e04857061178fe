"""Updates of algebraic multigrid: what is kept, what is made anew, and how well it then works."""

import copy
import ctypes
import itertools
import pickle
import sys
import time

import numpy as np
import pyamg
import pytest
import scipy.sparse as sp
from pyamg.gallery import linear_elasticity

from ritzkit.linalg import Grid, StencilOperator, as_operator
from ritzkit.linalg.threads import thread_limit
from ritzkit.solvers import cg, precond

SIDE = 24
N = SIDE * SIDE


def diffusion(seed=0, contrast=1.0, side=SIDE, dimensions=2):
    """Diffusion with a smooth coefficient."""
    rng = np.random.default_rng(seed)
    shape = (side,) * dimensions
    axes = np.meshgrid(*[np.linspace(0, 1, side)] * dimensions, indexing="ij")
    waves = sum(np.cos(rng.uniform(2, 9) * axis + rng.uniform(0, 6)) for axis in axes)
    return StencilOperator.from_coefficient(Grid(shape), np.exp(contrast * waves)).tocsr()


def rough(seed, contrast=1.0):
    rng = np.random.default_rng(seed)
    return StencilOperator.from_coefficient(
        Grid((SIDE, SIDE)), np.exp(contrast * rng.standard_normal((SIDE, SIDE)))
    ).tocsr()


def rotated(A, seed=1):
    """The same matrix in a complex basis: Hermitian."""
    turn = sp.diags_array(np.exp(2j * np.pi * np.random.default_rng(seed).random(A.shape[0])))
    A = turn @ A @ turn.conj()
    return sp.csr_array((A + A.conj().T) / 2)


def complex_symmetric(A):
    shift = sp.diags_array(1j * np.linspace(0, 1, A.shape[0]) * abs(A.diagonal()))
    return sp.csr_array(A + shift)


def convection(wind):
    """Upwind convection-diffusion: not symmetric."""
    A = diffusion()
    i, j = A.nonzero()
    flow = sp.csr_array((np.where(j == i - 1, -wind, np.where(j == i, wind, 0.0)), (i, j)), shape=A.shape)
    return sp.csr_array(A + flow)


def elasticity(nu):
    A, modes = linear_elasticity((10, 10), nu=nu, format="bsr")
    return sp.csr_array(A.tocsr()), modes


def scaled(A, seed):
    """Entries changed, pattern not: rows and columns scaled by factors between 1/2 and 2."""
    s = 2.0 ** np.random.default_rng(seed).uniform(-1, 1, A.shape[0])
    rows = np.repeat(s, np.diff(A.indptr))
    return sp.csr_array((rows * A.data * s[A.indices], A.indices, A.indptr), shape=A.shape)


def vector(A, seed=3):
    x = np.random.default_rng(seed).standard_normal(A.shape[0])
    return x.astype(A.dtype)


def gap(first, second):
    return np.linalg.norm(first - second) / np.linalg.norm(second)


def iterations(A, M, rtol=1e-10):
    result = cg(as_operator(A, positive_definite=True), vector(A), M=M, rtol=rtol, maxiter=500)
    assert result.success
    return result.iterations


# --- the first set-up is PyAMG's -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "builder"), [("sa", pyamg.smoothed_aggregation_solver), ("rs", pyamg.ruge_stuben_solver)]
)
def test_the_set_up_is_that_of_pyamg_bit_for_bit(kind, builder):
    A = sp.csr_matrix(diffusion())
    ours = precond.amg(A, kind, seed=5).hierarchy
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    theirs = builder(A)
    np.random.set_state(state)  # noqa: NPY002
    assert len(ours.levels) == len(theirs.levels) > 2
    for mine, other in zip(ours.levels, theirs.levels, strict=True):
        for name in ("A", "P", "R"):
            if hasattr(other, name):
                first, second = (sp.csr_array(getattr(level, name)) for level in (mine, other))
                assert np.array_equal(first.data, second.data)
                assert np.array_equal(first.indices, second.indices)
        assert not {"C", "T", "AggOp"} & set(vars(mine))


# --- what an update gives --------------------------------------------------------------------------------------------

SAME = {
    "sa": (diffusion, {}),
    "rs": (diffusion, {"kind": "rs"}),
    "rs-direct": (diffusion, {"kind": "rs", "interpolation": "direct"}),
    "rs-unmodified": (diffusion, {"kind": "rs", "interpolation": ("classical", {"modified": False})}),
    "rough": (lambda: rough(1), {}),
    "W": (diffusion, {"cycle": "W", "max_coarse": 4}),
    "theta": (diffusion, {"strength": ("symmetric", {"theta": 0.1})}),
    "evolution": (diffusion, {"strength": "evolution"}),
    "local": (diffusion, {"smooth": ("jacobi", {"weighting": "local"})}),
    "richardson": (diffusion, {"smooth": "richardson"}),
    "unsmoothed": (diffusion, {"smooth": None}),
    "by-level": (diffusion, {"smooth": ["jacobi", None], "max_coarse": 4}),
    "candidates-as-they-are": (diffusion, {"improve_candidates": None}),
    "candidates-by-jacobi": (diffusion, {"improve_candidates": ("jacobi", {"iterations": 3})}),
    "smoothers-jacobi": (diffusion, {"presmoother": "jacobi", "postsmoother": "jacobi"}),
    "smoothers-chebyshev": (diffusion, {"presmoother": "chebyshev", "postsmoother": "chebyshev"}),
    "smoothers-cf": (diffusion, {"kind": "rs", "presmoother": "cf_jacobi", "postsmoother": "fc_jacobi"}),
    "smoothers-sor": (diffusion, {"presmoother": "sor", "postsmoother": "sor"}),
    "smoothers-sor-omega": (
        diffusion,
        {"presmoother": ("sor", {"omega": 1.2}), "postsmoother": ("sor", {"omega": 1.2, "sweep": "backward"})},
    ),
    "smoothers-sor-rs": (diffusion, {"kind": "rs", "presmoother": "sor", "postsmoother": "sor"}),
    "candidates-by-sor": (diffusion, {"improve_candidates": ("sor", {"omega": 1.2})}),
    "two-candidates": (diffusion, {"near_nullspace": np.stack([np.ones(N), np.linspace(-1, 1, N)], axis=1)}),
    "elasticity": (lambda: elasticity(0.3)[0], {"near_nullspace": elasticity(0.3)[1]}),
    "hermitian": (lambda: rotated(diffusion()), {}),
    "complex-symmetric": (lambda: complex_symmetric(diffusion()), {"symmetry": "symmetric"}),
    "unsymmetric-matrix": (lambda: convection(0.5), {}),
    "negative": (lambda: -diffusion(), {}),
    "one-level": (lambda: diffusion(side=3), {}),
    "kept-diagnostics": (diffusion, {"keep": True}),
}


@pytest.mark.parametrize(("make", "options"), SAME.values(), ids=SAME)
def test_update_with_the_same_matrix_gives_the_same_map_whatever_was_between(make, options):
    A = make()
    M = precond.amg(A, **options)
    assert not M.reused
    x = vector(A)
    wanted = M @ x
    M.update(A)
    assert M.reused
    assert gap(M @ x, wanted) < 1e-12
    M.update(scaled(A, 1))
    assert M.reused
    assert gap(M @ x, wanted) > 1e-3
    M.update(A)
    assert gap(M @ x, wanted) < 1e-12


ALIKE = {
    "sa": (diffusion, {}, 1),
    "sa-contrast": (lambda seed: diffusion(seed, 2.5), {}, 1),
    "sa-rough": (lambda seed: rough(seed, 1.5), {}, 2),
    "sa-3d": (lambda seed: diffusion(seed, 1.0, 12, 3), {}, 1),
    "rs": (diffusion, {"kind": "rs"}, 2),
    "mass": (lambda dt: sp.csr_array(sp.eye_array(N) + 100.0**dt * diffusion()), {}, 1),
    "elasticity": (lambda seed: elasticity((0.3, 0.45)[seed])[0], {"near_nullspace": elasticity(0.3)[1]}, 2),
    "hermitian": (lambda seed: rotated(diffusion(seed)), {}, 1),
}


@pytest.mark.parametrize(("make", "options", "more"), ALIKE.values(), ids=ALIKE)
def test_an_updated_hierarchy_converges_as_a_fresh_one(make, options, more):
    old, new = make(0), make(1)
    M = precond.amg(old, **options)
    M.update(new)
    assert M.reused
    assert iterations(new, M) <= iterations(new, precond.amg(new, **options)) + more


def test_without_the_update_convergence_suffers():
    new = rough(2, 1.5)
    stale = precond.amg(rough(1, 1.5))
    M = copy.copy(stale)
    M.update(new)
    assert 2 * iterations(new, M) < iterations(new, stale)


def test_the_coarse_matrices_are_galerkin_products_of_the_new_ones():
    M = precond.amg(diffusion(), max_coarse=4)
    M.update(rough(1))
    levels = M.hierarchy.levels
    assert len(levels) > 2
    for fine, coarse in itertools.pairwise(levels):
        product = sp.csr_array(fine.R) @ sp.csr_array(fine.A) @ sp.csr_array(fine.P)
        assert abs(product - sp.csr_array(coarse.A)).max() <= 1e-13 * abs(product).max()
        assert abs(sp.csr_array(fine.R) - sp.csr_array(fine.P).T).max() == 0


def test_facts_and_symmetry_survive():
    M = precond.amg(as_operator(diffusion(), positive_definite=True))
    M.update(as_operator(diffusion(1), positive_definite=True))
    assert M.symmetric
    assert M.positive_definite
    x, y = vector(M), vector(M, 4)
    assert np.isclose(x @ (M @ y), y @ (M @ x), rtol=1e-12)
    M.update(diffusion(2))
    assert M.reused
    assert M.symmetric is None


# --- when there is a fresh set-up instead --------------------------------------------------------------------------

FRESH = {
    "degree": {"smooth": ("jacobi", {"degree": 2})},
    "filtered": {"smooth": ("jacobi", {"filter_entries": True})},
    "energy": {"smooth": "energy"},
    "unsymmetric": {"symmetry": "nonsymmetric"},
    "schwarz": {"presmoother": "strength_based_schwarz", "postsmoother": "strength_based_schwarz"},
    "theta-of-interpolation": {"kind": "rs", "interpolation": ("classical", {"theta": 0.5})},
}


@pytest.mark.parametrize("options", FRESH.values(), ids=FRESH)
def test_options_beyond_the_known_ones_get_a_fresh_set_up(options):
    M = precond.amg(diffusion(), **options)
    for seed in (1, 2):
        M.update(diffusion(seed))
        assert not M.reused
    x = vector(M)
    assert np.array_equal(M @ x, precond.amg(diffusion(2), **options) @ x)


def test_another_pattern_or_type_gets_a_fresh_set_up():
    M = precond.amg(diffusion())
    x = vector(M)
    wider = sp.csr_array(diffusion() + sp.diags_array(np.full(N - 7, -1e-3), offsets=7, shape=(N, N)))
    for A, reused in [(diffusion(1), True), (wider, False), (wider, True), (rotated(wider), False), (wider, False)]:
        M.update(A)
        assert M.reused == reused
        if not reused:
            assert np.array_equal(M @ x, precond.amg(A) @ x)
    M.update(wider.astype(np.float32))  # single precision is widened in any case
    assert M.reused
    assert M.dtype == np.float32


def without_neighbours(A):
    """The diagonal alone, on the pattern of A: no renewal of smoothed aggregation, but a full set-up, is possible."""
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    return sp.csr_array((np.where(A.indices == rows, 1.0, 0.0), A.indices, A.indptr), shape=A.shape)


def without_diagonal(A, rows):
    A = A.copy()
    diagonal = A.diagonal()
    diagonal[rows] = 0.0
    A.setdiag(diagonal)
    return A


def test_good_matrices_are_reused_again_after_refusals():
    good, bad = diffusion(), without_neighbours(diffusion())
    M = precond.amg(good)
    for A in (bad, good, bad, good):
        M.update(A)
        assert not M.reused
        assert np.array_equal(M @ vector(A), precond.amg(A) @ vector(A))
    reused = []
    for seed in range(1, 10):
        M.update(diffusion(seed))
        reused.append(M.reused)
    assert any(reused)
    assert all(reused[reused.index(True) :])


def test_a_new_pattern_starts_afresh_after_refusals():
    good, bad = diffusion(), without_neighbours(diffusion())
    M = precond.amg(good)
    for A in (bad, good, bad):
        M.update(A)
    wider = sp.csr_array(good + sp.diags_array(np.full(N - 7, -1e-3), offsets=7, shape=(N, N)))
    M.update(wider)
    assert not M.reused
    M.update(2 * wider)
    assert M.reused


def test_attempts_in_vain_become_rare(monkeypatch):
    module = sys.modules["ritzkit.solvers.precond.amg"]
    attempts = []

    def refuse(*arguments):
        attempts.append(update)
        raise module.NotRenewable

    M = precond.amg(diffusion(side=8))
    monkeypatch.setattr(module, "Renewal", refuse)
    for update in range(1, 21):  # noqa: B007 (`refuse` reads it)
        M.update(diffusion(side=8))
        assert not M.reused
    assert attempts == [1, 2, 4, 8, 16]


@pytest.mark.parametrize("error", [ValueError, TypeError, ArithmeticError])
def test_a_mistake_in_a_renewal_is_not_taken_for_a_refusal(monkeypatch, error):
    def fail(*arguments):
        raise error("a mistake")

    A = diffusion(side=8)
    M = precond.amg(A)
    before = M @ vector(A)
    monkeypatch.setattr(sys.modules["ritzkit.solvers.precond.amg"], "Renewal", fail)
    with pytest.raises(error, match="a mistake"):
        M.update(2 * A)
    assert np.array_equal(M @ vector(A), before)


def printed(capfd):
    """What compiled code has printed too: it has a buffer of its own."""
    ctypes.CDLL(None).fflush(None)
    return capfd.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="flushes the buffer of the C library")
@pytest.mark.parametrize(
    ("interpolation", "reason"),
    [("classical", "rows .* vanishing diagonal"), ("direct", "gives no finite hierarchy")],
    ids=["classical", "direct"],
)
def test_zeros_on_the_diagonal_are_no_flood_of_lines(capfd, interpolation, reason):
    A = diffusion()
    options = {"kind": "rs", "interpolation": interpolation}
    M = precond.amg(A, **options)
    before = M @ vector(A)
    fine = ~M.hierarchy.levels[0].splitting
    bad = without_diagonal(A, fine)  # interpolation divides by these
    with pytest.raises(np.linalg.LinAlgError, match=f"^A .*{reason}"):
        precond.amg(bad, **options)
    with pytest.raises(np.linalg.LinAlgError, match=f"^A .*{reason}"):
        M.update(bad)
    assert np.array_equal(M @ vector(A), before)
    assert printed(capfd) == ""


@pytest.mark.skipif(sys.platform == "win32", reason="flushes the buffer of the C library")
def test_zeros_on_the_diagonal_get_a_fresh_set_up_where_another_splitting_bears_them(capfd):
    new = rough(1, 2.0)
    M = precond.amg(diffusion(), "rs")
    own = precond.amg(new, "rs").hierarchy.levels[0].splitting
    bad = without_diagonal(new, np.flatnonzero(own & ~M.hierarchy.levels[0].splitting)[:1])
    M.update(bad)
    assert not M.reused
    assert np.array_equal(M @ vector(bad), precond.amg(bad, "rs") @ vector(bad))
    assert np.isfinite(M @ vector(bad)).all()
    assert printed(capfd) == ""


@pytest.mark.parametrize("kind", ["sa", "rs"])
@pytest.mark.parametrize("zero", [lambda A: 0 * A, lambda A: sp.csr_array(A.shape)], ids=["stored", "empty"])
def test_a_zero_matrix_is_refused_by_name(zero, kind):
    A = diffusion()
    with pytest.raises(np.linalg.LinAlgError, match="A has no entry other than zero"):
        precond.amg(zero(A), kind)
    M = precond.amg(A, kind)
    before = M @ vector(A)
    with pytest.raises(np.linalg.LinAlgError, match="A has no entry other than zero"):
        M.update(zero(A))
    assert np.array_equal(M @ vector(A), before)


@pytest.mark.parametrize("kind", ["sa", "rs"])
def test_entries_without_a_finite_hierarchy_leave_the_former_one(kind):
    M = precond.amg(diffusion(), kind)
    M.update(diffusion(1))
    x = vector(M)
    before = M @ x
    tiny = diffusion(2)
    tiny.setdiag(1e-310)  # its inverse overflows
    with pytest.raises(np.linalg.LinAlgError, match=r"^A "):
        M.update(tiny)
    assert np.array_equal(M @ x, before)
    assert M.reused
    M.update(diffusion(1))
    assert M.reused
    assert iterations(diffusion(1), M) <= iterations(diffusion(1), precond.amg(diffusion(1), kind)) + 2


# --- what is shared ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("updates", [0, 1, 2])
@pytest.mark.parametrize("kind", ["sa", "rs"])
@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda M: pickle.loads(pickle.dumps(M))], ids=["copy", "deepcopy", "pickle"]
)
def test_copies_are_the_same_map_and_go_their_own_ways(clone, kind, updates):
    M = precond.amg(diffusion(), kind)
    for seed in range(updates):
        M.update(rough(seed))
    x = vector(M)
    now = M @ x
    other = clone(M)
    assert np.array_equal(other @ x, now)
    assert other.reused == M.reused
    other.update(rough(8))
    assert other.reused
    assert np.array_equal(M @ x, now)
    M.update(rough(8))  # both have the same aggregates
    assert gap(M @ x, other @ x) < 1e-14
    after = other @ x
    M.update(rough(9))
    assert np.array_equal(other @ x, after)


def test_a_matrix_that_is_edited_in_place_is_read_at_the_update_only():
    A = diffusion()
    M = precond.amg(A)
    x = vector(A)
    before = M @ x
    new = rough(3)
    A.data[:] = new.data
    assert np.array_equal(M @ x, before)
    M.update(A)
    assert M.reused
    wanted = precond.amg(diffusion())
    wanted.update(new)
    assert np.array_equal(M @ x, wanted @ x)
    after = M @ x
    A.data[:] = np.nan
    with pytest.raises(np.linalg.LinAlgError):
        M.update(A)
    assert np.array_equal(M @ x, after)


def test_an_update_is_counted_in_seconds_and_bytes():
    A = diffusion(side=40)
    M = precond.amg(A)
    first = M.memory_bytes
    M.update(A)
    start = time.perf_counter()
    M.update(A)
    assert 0 < M.setup_seconds < time.perf_counter() - start
    assert first < M.memory_bytes < 8 * first


def test_updates_do_not_touch_the_global_random_state():
    M = precond.amg(diffusion(), presmoother="chebyshev", postsmoother="chebyshev")
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    M.update(diffusion(1))
    M.update(diffusion(2))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("kind", ["sa", "rs"])
def test_updates_are_the_same_for_every_number_of_threads(kind):
    A = diffusion(side=120)  # long enough for BLAS to share it out
    M = precond.amg(A, kind)
    x = vector(A)
    results = []
    for threads in (1, 2):
        other = copy.copy(M)
        with thread_limit(threads):
            other.update(diffusion(1, side=120))
        assert other.reused
        results.append(other @ x)
    assert np.array_equal(*results)
