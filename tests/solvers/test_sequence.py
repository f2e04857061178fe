"""Sequences of systems: what is reused, what is never reused, and that no answer depends on it beyond the tolerance."""

import json

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator

from ritzkit.linalg import CSROperator, Grid, StencilOperator, as_operator
from ritzkit.solvers import Outcome, SequenceSolver, solve
from ritzkit.solvers.sequence.entries import Entries, relate

from . import makers

RNG = np.random.default_rng(7)


def diffusion(n=24, seed=0, spread=0.5):
    """Five-point matrix with a random coefficient."""
    k = np.exp(spread * np.random.default_rng(seed).standard_normal((n, n)))
    return StencilOperator.from_coefficient(Grid((n, n)), k)


def wind(n=20, seed=0, peclet=1.0):
    """Nonsymmetric five-point matrix."""
    one = sp.diags_array([-1.0, 1.0], offsets=[-1, 0], shape=(n, n))
    return sp.csr_array(diffusion(n, seed).tocsr() + peclet * sp.kron(one, sp.eye_array(n)))


def true_residual(A, b, x):
    """Relative residual, recomputed in double precision."""
    return np.linalg.norm(b - A @ x) / np.linalg.norm(b)


def solved(result, A, b, rtol):
    """The result says converged, and it is true."""
    assert result.success, result.note
    assert result.residual <= rtol * (1 + 1e-6)
    return true_residual(A, b, result.x) <= rtol * (1 + 1e-6)


FORMS = {
    "csr_array": lambda A: A.tocsr(),
    "csr_matrix": lambda A: sp.csr_matrix(A.tocsr()),
    "coo": lambda A: A.tocsr().tocoo(),
    "dense": lambda A: A.tocsr().toarray(),
    "stencil": lambda A: A,
    "linear operator": lambda A: LinearOperator(A.shape, matvec=A.tocsr().__matmul__, dtype=float),
    "scaled operator": lambda A: 2.0 * A,
    "sum of operators": lambda A: A + as_operator(sp.eye_array(A.shape[0], format="csr")),
    "float32": lambda A: A.tocsr().astype(np.float32),
    "hermitian": lambda A: sp.csr_array(A.tocsr() + 0.1j * sp.diags_array([1.0, -1.0], offsets=[1, -1], shape=A.shape)),
    "complex": lambda A: sp.csr_array(A.tocsr() + 0.3j * sp.eye_array(A.shape[0])),
    "integers": lambda A: np.rint(1e3 * A.tocsr().toarray()).astype(int),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_kinds_of_operators(form):
    solver, rtol = SequenceSolver(rtol=1e-5), 1e-5
    for seed in range(4):
        A = FORMS[form](diffusion(12, seed))
        b = np.random.default_rng(seed).standard_normal(144)
        b = b.astype(np.float32) if form == "float32" else b
        result = solver.solve(A, b)
        assert solved(result, as_operator(A), b, rtol)
        assert result.x.dtype == np.result_type(as_operator(A).dtype, b.dtype)
    assert solver.report().systems == 4


RELATIONS = {
    "same": (lambda A, d: A.copy(), True),
    "scaled": (lambda A, d: A * -3.7, True),
    "columns": (lambda A, d: sp.csr_array(A @ sp.diags_array(d)), True),
    "rows": (lambda A, d: sp.csr_array(sp.diags_array(d) @ A), True),
    "both": (lambda A, d: sp.csr_array(sp.diags_array(d) @ A @ sp.diags_array(d)), True),
    "diagonal": (lambda A, d: sp.csr_array(A + sp.diags_array(d)), False),
    "pattern": (lambda A, d: diffusion(24, 5).tocsr(), False),
}


@pytest.mark.parametrize("kind", RELATIONS)
def test_relations_are_found_and_the_answer_belongs_to_the_given_system(kind):
    make, exact = RELATIONS[kind]
    A = diffusion(24).tocsr()
    d = np.exp(0.4 * RNG.standard_normal(A.shape[0]))
    B = make(A, d)
    found = relate(Entries.of(as_operator(A)), Entries.of(as_operator(B)))
    assert (found.kind, found.exact) == (kind, exact)
    solver = SequenceSolver(rtol=1e-9, decide="count", preconditioner="ic")
    assert solver.solve(A, np.ones(A.shape[0])).success
    b = RNG.standard_normal(A.shape[0])
    result = solver.solve(B, b)
    assert solved(result, B, b, 1e-9)
    assert solver.report().records[1]["relation"] == kind
    assert ("known matrix" in result.note) == (exact and kind != "same")


@pytest.mark.parametrize("place", [0, 137, -1])
@pytest.mark.parametrize("kind", ["same", "scaled", "columns", "rows", "both"])
def test_one_entry_that_differs_breaks_a_relation(kind, place):
    A = diffusion(24).tocsr()
    d = np.exp(0.4 * RNG.standard_normal(A.shape[0]))
    B = RELATIONS[kind][0](A, d).copy()
    B.data[place] *= 1 + 1e-9
    assert not relate(Entries.of(as_operator(A)), Entries.of(as_operator(B))).exact


def test_a_stencil_that_is_scaled_or_shifted_is_recognised():
    grid, k = Grid((16, 12)), np.exp(RNG.standard_normal((16, 12)))
    base, scaled, shifted = (
        StencilOperator.from_coefficient(grid, c * k, shift=s) for c, s in ((1, 0.5), (3, 1.5), (1, 2.0))
    )
    first = Entries.of(base)
    assert relate(first, Entries.of(scaled)).kind == "scaled"
    assert relate(first, Entries.of(shifted)).kind == "diagonal"


def test_column_scaling_of_a_known_matrix_costs_no_further_set_up():
    """A = L diag(a) with one right-hand side: one solve with L gives every sample."""
    L = StencilOperator.from_coefficient(Grid((30, 30))).tocsr()
    solver, b = SequenceSolver(rtol=1e-8, decide="count"), np.ones(900)
    for seed in range(5):
        a = np.exp(0.3 * np.random.default_rng(seed).standard_normal(900))
        A = sp.csr_array(L @ sp.diags_array(a))
        result = solver.solve(A, b)
        assert solved(result, A, b, 1e-8)
        assert seed == 0 or result.psolves <= 2


def test_an_edit_in_place_is_noticed():
    A = diffusion(20).tocsr()
    b = np.ones(400)
    solver = SequenceSolver(rtol=1e-10)
    solver.solve(A, b)
    A.data[A.indices == np.repeat(np.arange(400), np.diff(A.indptr))] += 5.0
    assert solved(solver.solve(A, b), A, b, 1e-10)
    assert solver.report().records[1]["relation"] == "diagonal"


@pytest.mark.parametrize("operator", ["csr", "stencil", "nonsymmetric"])
def test_right_hand_sides_of_few_dimensions_need_no_iterations_in_the_end(operator):
    A = {"csr": diffusion(24).tocsr(), "stencil": diffusion(24), "nonsymmetric": wind(24)}[operator]
    basis = RNG.standard_normal((A.shape[0], 6))
    family = {"csr": "ic", "stencil": "multigrid", "nonsymmetric": "ilu"}[operator]
    solver = SequenceSolver(rtol=1e-6, preconditioner=family, decide="count")
    steps = []
    for _ in range(24):
        b = basis @ RNG.standard_normal(6)
        result = solver.solve(A, b)
        assert solved(result, A, b, 1e-6)
        steps.append(result.iterations)
    assert max(steps[-6:]) == 0
    assert steps[0] > 0


def test_no_guess_is_worse_than_zero():
    solver = SequenceSolver(rtol=1e-8, decide="count", preconditioner="ic")
    for seed in range(12):
        A = diffusion(20, seed, spread=2.0).tocsr()
        result = solver.solve(A, np.random.default_rng(seed).standard_normal(400))
        assert result.initial_residual <= 1.0
    assert all(record["guess_residual"] <= 1.0 for record in solver.report().records)


def test_a_slow_sweep_needs_fewer_iterations_than_single_solves():
    rng = np.random.default_rng(3)
    p, q, load = rng.standard_normal((24, 24)), rng.standard_normal((24, 24)), rng.standard_normal(576)
    alone, together = 0, 0
    solver = SequenceSolver(rtol=1e-8, preconditioner="ic", decide="count")
    for step in range(12):
        A = StencilOperator.from_coefficient(Grid((24, 24)), np.exp(np.cos(0.02 * step) * p + np.sin(0.02 * step) * q))
        alone += SequenceSolver(rtol=1e-8, preconditioner="ic", decide="count").solve(A.tocsr(), load).iterations
        result = solver.solve(A.tocsr(), load)
        assert solved(result, A, load, 1e-8)
        together += result.iterations
    assert together < 0.7 * alone


# --- what goes wrong in the middle -------------------------------------------------------------------------------------


def with_nan(A):
    A = A.copy()
    A.data[A.nnz // 2] = np.nan
    return A


BAD = {
    "NaN in A": (lambda: with_nan(diffusion(18).tocsr()), None, {Outcome.NONFINITE_OPERATOR}),
    "infinity in A": (lambda: diffusion(18).tocsr() * np.inf, None, {Outcome.NONFINITE_OPERATOR}),
    "singular, inconsistent": (
        lambda: StencilOperator.from_coefficient(Grid((18, 18), sides="neumann")).tocsr(),
        np.ones(324),
        {Outcome.SINGULAR, Outcome.STAGNATION, Outcome.ITERATION_LIMIT, Outcome.INCONSISTENT, Outcome.BREAKDOWN,
         Outcome.INDEFINITE_OPERATOR},
    ),
    "singular and declared, inconsistent": (
        lambda: StencilOperator.from_coefficient(Grid((18, 18), sides="neumann")),
        np.ones(324),
        {Outcome.INCONSISTENT},
    ),
    "zero matrix": (
        lambda: diffusion(18).tocsr() * 0.0, None,
        {Outcome.SINGULAR, Outcome.BREAKDOWN, Outcome.STAGNATION, Outcome.INDEFINITE_OPERATOR},
    ),
    "indefinite": (lambda: sp.csr_array(diffusion(18).tocsr() - 3.0 * sp.eye_array(324)), None, {Outcome.CONVERGED}),
    "abrupt change": (lambda: diffusion(18, 99, spread=4.0).tocsr(), None, {Outcome.CONVERGED}),
    "other sign": (lambda: -diffusion(18, 3).tocsr(), None, {Outcome.CONVERGED}),
    "another size": (lambda: diffusion(11).tocsr(), np.ones(121), {Outcome.CONVERGED}),
    "another type": (lambda: diffusion(18).tocsr().astype(np.complex64), None, {Outcome.CONVERGED}),
    "not symmetric": (lambda: wind(18, peclet=20.0), None, {Outcome.CONVERGED}),
    "zero right-hand side": (lambda: diffusion(18).tocsr(), np.zeros(324), {Outcome.CONVERGED}),
}  # fmt: skip


@pytest.mark.parametrize(
    "options", [{}, {"recycle": 6}, {"preconditioner": "amg/frozen"}], ids=["auto", "recycle", "frozen"]
)
@pytest.mark.parametrize("bad", BAD)
def test_the_sequence_goes_on_after(bad, options):
    make, b, outcomes = BAD[bad]
    A, rtol = make(), 1e-5
    b = RNG.standard_normal(A.shape[0]) if b is None else b
    solver = SequenceSolver(rtol=rtol, **options)
    good = [(diffusion(18, seed).tocsr(), RNG.standard_normal(324)) for seed in range(6)]
    for pair in good[:3]:
        assert solved(solver.solve(*pair), *pair, rtol)
    result = solver.solve(A, b)
    assert result.outcome in outcomes
    assert result.success == (true_residual(A, b, result.x) <= rtol * 1.001 if b.any() else True)
    for pair in good[3:]:
        after = solver.solve(*pair)
        assert solved(after, *pair, rtol)
        assert "NaN" not in after.note
    fresh = solve(*good[-1], rtol=rtol)
    np.testing.assert_allclose(after.x, fresh.x, rtol=0, atol=1e-2 * np.abs(fresh.x).max())


def test_bad_arguments_raise_and_change_nothing():
    A, b = makers.poisson(10)
    solver = SequenceSolver()
    solver.solve(A, b)
    with pytest.raises(ValueError, match="NaN"):
        solver.solve(A, np.full(100, np.nan))
    with pytest.raises(ValueError, match="shape"):
        solver.solve(A, np.ones(7))
    with pytest.raises(ValueError, match=r"problems\[1\].*NaN"):
        solver.solve_many([(A, b), (A, b * np.nan)])
    with pytest.raises(TypeError, match=r"problems\[0\]"):
        solver.solve_many([A])
    assert solver.report().systems == 2
    assert solved(solver.solve(A, b), A, b, 1e-6)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"method": "lsqr"}, "method"), ({"preconditioner": "magic"}, "preconditioner"), ({"decide": "dice"}, "decide"),
        ({"recycle": -1}, "recycle"), ({"guess": 1}, "guess"), ({"rtol": -1.0}, "rtol"),
        ({"preconditioner": "frozen/amg/ic"}, "preconditioner"),
    ],
)  # fmt: skip
def test_options_are_checked(options, name):
    with pytest.raises((TypeError, ValueError), match=name):
        SequenceSolver(**options)


# --- ingredients alone ------------------------------------------------------------------------------------------------

ALONE = [
    "amg/fresh",
    "amg/refresh",
    "amg/frozen",
    "ic/scaled",
    "direct",
    "direct/frozen",
    "jacobi",
    "none",
    "frozen",
    "refresh",
]


@pytest.mark.parametrize("preconditioner", ALONE)
def test_preconditioners_can_be_named(preconditioner):
    solver = SequenceSolver(rtol=1e-6, preconditioner=preconditioner, recycle=None, guess=False, sniff=False)
    for seed in range(4):
        A, b = diffusion(16, seed, 0.2).tocsr(), np.ones(256)
        assert solved(solver.solve(A, b), A, b, 1e-6)
    records = solver.report().records
    family, _, mode = preconditioner.partition("/")
    if mode:
        wanted = {"fresh": "refresh"}.get(mode, mode)
        assert {record["arm"] for record in records[1:]} == {f"{family}/{wanted}"}
    assert {record["guess"] for record in records} == {"zero"}
    assert {record["relation"] for record in records} == {"new"}


@pytest.mark.parametrize(
    ("method", "make"),
    [("cg", diffusion), ("fcg", diffusion), ("minres", diffusion), ("gmres", wind), ("fgmres", wind),
     ("bicgstab", wind), ("gcrodr", wind), ("deflated_cg", diffusion), ("recycled_minres", diffusion), ("direct", wind)],
)  # fmt: skip
def test_methods_can_be_named(method, make):
    solver = SequenceSolver(method, rtol=1e-6)
    for seed in range(3):
        A = as_operator(make(16, seed)).tocsr()
        b = np.random.default_rng(seed).standard_normal(256)
        result = solver.solve(A, b)
        assert solved(result, A, b, 1e-6)
        assert result.method in (
            method,
            "gmres" if method == "direct" else method,
            "cg" if method == "direct" else method,
        )


def test_recycling_alone_saves_iterations():
    options = {"preconditioner": "none", "guess": False, "sniff": False, "rtol": 1e-8}
    plain, recycling = SequenceSolver(recycle=None, **options), SequenceSolver(recycle=8, **options)
    for seed in range(4):
        A = CSROperator(diffusion(24, 0, 1.0).tocsr() + 1e-3 * seed * sp.eye_array(576), positive_definite=True)
        b = np.random.default_rng(seed).standard_normal(576)
        last = [solver.solve(A, b) for solver in (plain, recycling)]
        assert all(solved(result, A, b, 1e-8) for result in last)
    assert last[1].iterations < 0.8 * last[0].iterations


def test_a_given_initial_guess_is_used():
    A, b = makers.poisson(16)
    x = np.linalg.solve(A.toarray(), b)
    solver = SequenceSolver(rtol=1e-8)
    assert solver.solve(A, b, x).iterations == 0
    assert solver.report().records[0]["guess"] == "given"


# --- state ------------------------------------------------------------------------------------------------------------

SEQUENCES = {
    "stencil": lambda seed: diffusion(20, seed),
    "amg": lambda seed: diffusion(20, seed).tocsr(),
    "nonsymmetric": lambda seed: wind(20, seed),
    "complex": lambda seed: sp.csr_array(diffusion(16, seed).tocsr() - (2 - 0.5j) * sp.eye_array(256)),
}


@pytest.mark.parametrize("kind", SEQUENCES)
@pytest.mark.parametrize("recycle", ["auto", 5])
def test_a_frozen_solver_gives_the_same_bits_in_any_order_and_after_loading(kind, recycle, tmp_path):
    systems = [SEQUENCES[kind](seed) for seed in range(7)]
    b = np.random.default_rng(0).standard_normal(systems[0].shape[0])
    family = "amg" if kind == "amg" else "auto"
    hub = SequenceSolver(rtol=1e-7, decide="count", preconditioner=family, recycle=recycle)
    for A in systems[:3]:
        hub.solve(A, b)
    hub.save(tmp_path / "hub.npz")
    members = systems[2:]
    forward = [hub.freeze().solve(A, b).x for A in members]
    one = hub.freeze()
    backward = [one.solve(A, b).x for A in reversed(members)][::-1]
    loaded = SequenceSolver.load(tmp_path / "hub.npz").freeze()
    again = [loaded.solve(A, b).x for A in members]
    for A, x, y, z in zip(members, forward, backward, again, strict=True):
        assert true_residual(A, b, x) <= 1e-7 * (1 + 1e-6)
        assert np.array_equal(x, y)
        assert np.array_equal(x, z)


def test_counting_gives_the_same_bits_twice():
    def run():
        solver = SequenceSolver(rtol=1e-7, decide="count")
        return [solver.solve(wind(20, seed, 5.0), np.ones(400)).x for seed in range(10)]

    assert all(np.array_equal(x, y) for x, y in zip(run(), run(), strict=True))


def test_saved_files_hold_no_pickles_and_damaged_ones_are_refused(tmp_path):
    path = tmp_path / "state.npz"
    solver = SequenceSolver(rtol=1e-7)
    for seed in range(3):
        solver.solve(diffusion(12, seed).tocsr(), np.ones(144))
    solver.save(path)
    with np.load(path, allow_pickle=False) as file:
        header = json.loads(file["header"].tobytes())
        assert header["options"]["rtol"] == 1e-7
        assert all(file[name].dtype != object for name in file.files)
    loaded = SequenceSolver.load(path)
    A = diffusion(12, 2).tocsr()
    assert solved(loaded.solve(A, np.ones(144)), A, np.ones(144), 1e-7)
    assert loaded.report().records[0]["relation"] == "same"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="damaged"):
        SequenceSolver.load(path)
    with pytest.raises(FileNotFoundError):
        SequenceSolver.load(tmp_path / "nothing.npz")


def test_a_copy_learns_on_its_own():
    solver = SequenceSolver(rtol=1e-8, preconditioner="ic", decide="count")
    A, B, b = diffusion(16, 0).tocsr(), diffusion(16, 1).tocsr(), np.ones(256)
    solver.solve(A, b)
    other = solver.copy()
    other.solve(B, b)
    other.forget()
    assert solved(solver.solve(A, 2 * b), A, 2 * b, 1e-8)
    assert (solver.report().systems, other.report().systems) == (2, 1)


def test_tensors_are_solved_too():
    torch = pytest.importorskip("torch")
    A, b = makers.poisson(10)
    solver = SequenceSolver(rtol=1e-8)
    x = solver.solve(A, torch.from_numpy(b)).x
    assert isinstance(x, torch.Tensor)
    assert true_residual(A, b, x.numpy()) <= 1e-8


def test_report_adds_up_and_reads_well():
    solver = SequenceSolver(rtol=1e-6)
    for seed in (0, 0, 1):
        solver.solve(diffusion(16, seed).tocsr(), np.random.default_rng(seed).standard_normal(256))
    report = solver.report()
    assert report.counts("relation") == {"new": 1, "same": 1, "pattern": 1}
    assert [record["index"] for record in report.records] == [0, 1, 2]
    assert "3 systems, 0 not solved" in str(report)
    assert json.loads(json.dumps(report.as_dict()))["systems"] == 3
    assert all(record["seconds"] >= record["setup_seconds"] >= 0 for record in report.records)
