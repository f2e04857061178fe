"""Structured-grid multigrid: positive definite for any admissible weights, size-independent, robust to geometry."""

import numpy as np
import pytest
from scipy.sparse import eye_array

from ritzkit.linalg import Cell, Grid, StencilOperator, as_operator
from ritzkit.problems import Darcy, Obstacles, Poisson
from ritzkit.solvers import Outcome, cg, minres, precond
from ritzkit.solvers.precond.multigrid import Settings

SIDES = {
    "dirichlet": "dirichlet",
    "mixed": [("neumann", "dirichlet"), "neumann"],
    "periodic": ["periodic", "dirichlet"],
    "torus": "periodic",
    "closed": "neumann",
}


def random_operator(shape, sides="dirichlet", *, solid=0.25, jumps=2.0, shift=None, seed=0):
    """Rough coefficients around random obstacles of both kinds, with a few faces closed on top."""
    rng = np.random.default_rng(seed)
    cells = rng.choice([0, 1, 2], size=shape, p=[1 - solid, solid / 2, solid / 2]).astype(np.uint8)
    cells.flat[0] = 0
    grid = Grid(shape, 0.1, sides, cells if solid else None)
    A = StencilOperator.from_coefficient(grid, np.exp(jumps * rng.standard_normal(shape)))
    faces = []
    for axis, c in enumerate(A.conductances):
        c = c * (rng.random(c.shape) > 0.1)
        if grid.sides[axis][0] == "periodic":
            last = [slice(None)] * len(shape)
            first = list(last)
            last[axis], first[axis] = -1, 0
            c[tuple(last)] = c[tuple(first)]
        faces.append(c)
    return StencilOperator(grid, faces, shift=None if shift is None else shift * rng.random(grid.size))


def dense(M):
    return np.stack([M @ row for row in np.eye(M.shape[0])], axis=1)


def weights_for(A, kind, rng):
    if kind == "scalar":
        return float(rng.uniform(0.05, 1.95))
    if kind == "cells":
        return rng.uniform(0.05, 1.95, A.shape[0])
    return [rng.uniform(0.05, 1.95, A.shape[0]), 1.9, 0.1]


# --- positive definite, provably ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["scalar", "cells", "levels"])
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("shape", [(13, 10), (7, 5, 6)], ids=["2d", "3d"])
def test_cycle_is_symmetric_positive_definite_for_any_admissible_weights(shape, sides, weights):
    sides_given = SIDES[sides]
    if len(shape) == 3 and not isinstance(sides_given, str):
        sides_given = [*sides_given, "periodic"]
    for seed in range(3):
        rng = np.random.default_rng(seed)
        A = random_operator(shape, sides_given, seed=seed, shift=5.0 if seed == 2 else None)
        M = precond.multigrid(
            A, omega=weights_for(A, weights, rng), pre=1 + seed % 2, post=1 + seed % 2, precision="float64", coarsest=8,
            band=seed, cycle="VW"[seed % 2],
        )  # fmt: skip
        B = dense(M)
        assert M.symmetric
        assert M.positive_definite
        assert np.abs(B - B.T).max() <= 1e-13 * np.abs(B).max()
        assert np.linalg.eigvalsh(0.5 * (B + B.T)).min() > 0


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("shape", [(16, 13), (8, 5, 6)], ids=["2d", "3d"])
def test_cycles_with_exact_or_doubled_coarse_corrections_have_eigenvalues_below_two(shape, sides):
    sides_given = SIDES[sides]
    if len(shape) == 3 and not isinstance(sides_given, str):
        sides_given = [*sides_given, "periodic"]
    for seed in range(3):  # what the proof that a W cycle is positive definite rests on
        A = random_operator(shape, sides_given, seed=seed, jumps=1.0 + seed)
        M = precond.multigrid(A, cycle="W", omega=[1.5, 0.7, 1.9], precision="float64", coarsest=4)
        L = np.linalg.cholesky(dense(M))
        assert np.linalg.eigvalsh(L.T @ A.tocsr().toarray() @ L).max() < 2.0


@pytest.mark.parametrize("smoother", ["chebyshev", "jacobi"])
@pytest.mark.parametrize("sweeps", [1, 2, 3])
def test_polynomial_smoothers_are_positive_definite(smoother, sweeps):
    for A in (random_operator((11, 8), seed=4), random_operator((4, 5, 6), "neumann", seed=5)):
        B = dense(precond.multigrid(A, smoother=smoother, pre=sweeps, post=sweeps, precision="float64", coarsest=8))
        assert np.abs(B - B.T).max() <= 1e-13 * np.abs(B).max()
        assert np.linalg.eigvalsh(B).min() > 0


@pytest.mark.parametrize("kind", ["balls", "walls", "porous"])
@pytest.mark.parametrize("obstacle", ["noflux", "dirichlet"])
def test_byte_codes_and_float_coefficients_give_the_same_cycle(kind, obstacle):
    A = Obstacles((14, 11, 13), kind, obstacle=obstacle, sides=["dirichlet", "neumann", "dirichlet"]).sample(0).A
    coded, plain = precond.multigrid(A, coarsest=20), precond.multigrid(A, precision="float64", coarsest=20)
    assert coded.hierarchy.fast
    assert coded.bytes_per_cell == 1.0
    assert not plain.hierarchy.fast
    x = A.project(np.random.default_rng(0).standard_normal(A.shape[0]))  # what M does to a walled-in cell is free
    assert np.linalg.norm(coded @ x - plain @ x) <= 2e-6 * np.linalg.norm(plain @ x)


@pytest.mark.parametrize(
    ("shape", "sides", "shift"),
    [
        ((12, 8), "periodic", None),
        ((6, 8, 4), "periodic", 0.5),
        ((9, 7, 5), "dirichlet", 3.0),
        ((9, 8), "neumann", None),
        ((1, 17), ["periodic", "dirichlet"], None),
        ((6, 1, 8), ["neumann", "periodic", ("neumann", "dirichlet")], None),
    ],
)
def test_constant_boxes_are_coded_and_exact_to_rounding(shape, sides, shift):
    A = StencilOperator.from_coefficient(Grid(shape, 1.0, sides), shift=shift)
    for options in (
        {},
        {"band": 2},
        {"smoother": "chebyshev", "pre": 2, "post": 2},
        {"smoother": "jacobi"},
        {"cycle": "W"},
    ):
        coded = precond.multigrid(A, coarsest=8, **options)
        plain = precond.multigrid(A, precision="float64", coarsest=8, **options)
        assert coded.hierarchy.fast
        x = A.project(np.random.default_rng(0).standard_normal(A.shape[0]))
        assert np.linalg.norm(coded @ x - plain @ x) <= 1e-5 * np.linalg.norm(plain @ x)


def test_float32_cycle_is_symmetric_to_its_precision():
    A = Darcy(24, "lognormal", variance=4.0).sample(0).A
    M = precond.multigrid(A)
    rng = np.random.default_rng(1)
    for _ in range(5):
        x, y = rng.standard_normal((2, A.shape[0]))
        Mx, My = M @ x, M @ y
        assert abs(y @ Mx - x @ My) <= 1e-5 * np.sqrt((x @ Mx) * (y @ My))
        assert x @ Mx > 0


def test_unequal_sweeps_are_not_symmetric_and_cg_says_so():
    problem = Poisson((12, 12)).sample(0)
    M = precond.multigrid(problem, pre=2, post=1, coarsest=20)
    B = dense(M)
    assert not M.symmetric
    assert np.abs(B - B.T).max() > 1e-4 * np.abs(B).max()
    assert cg(problem.A, problem.b, M=M).outcome is Outcome.INDEFINITE_PRECONDITIONER


# --- convergence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "limit"),
    [
        (Poisson((32,) * 3), 8),
        (Obstacles((32,) * 3, "balls"), 9),
        (Obstacles((32,) * 3, "balls", obstacle="dirichlet"), 8),
        (Obstacles((32,) * 3, "walls"), 8),
        (Obstacles((32,) * 3, "comb"), 8),
        (Obstacles((33, 31, 29), "mixed", sides=["neumann", ("dirichlet", "neumann"), "periodic"]), 10),
        (Obstacles((32,) * 3, "porous"), 13),
        (Obstacles((96, 96), "comb", count=23), 8),
        (Obstacles((97, 60), "walls", sides=["dirichlet", "neumann"]), 12),
        (Poisson((1, 300)), 5),
        (Poisson((200, 3)), 7),
        (Darcy(96, "fno"), 9),
        (Darcy(96, "lognormal", variance=9.0), 9),
    ],
    ids=lambda value: value.sample(0).name if hasattr(value, "sample") else str(value),
)
def test_few_iterations(family, limit):
    problem = family.sample(0)
    result = cg(problem.A, problem.b, rtol=1e-8, M=precond.multigrid(problem))
    assert result.success
    assert result.iterations <= limit


@pytest.mark.parametrize(("preset", "limit", "growth"), [("tuned", 11, 1), ("v11", 18, 3)])
@pytest.mark.parametrize("kind", ["box", "balls", "walls", "comb", "porous"])
def test_iterations_do_not_grow_with_the_size(kind, preset, limit, growth):
    counts = []
    for n in (32, 64, 128, 256):
        problem = (Poisson((n, n)) if kind == "box" else Obstacles((n, n), kind)).sample(1)
        counts.append(cg(problem.A, problem.b, rtol=1e-8, M=precond.multigrid(problem, preset=preset)).iterations)
    assert max(counts) <= counts[0] + growth
    assert max(counts) <= limit


@pytest.mark.parametrize("n", [40, 96, 100])
def test_walls_inside_coarse_cells_slow_a_w_cycle_little(n):
    problem = Obstacles((n, n), "comb").sample(0)  # teeth at no power of two: they come to lie inside coarse cells
    counts = {
        cycle: cg(problem.A, problem.b, rtol=1e-8, M=precond.multigrid(problem, cycle=cycle)).iterations
        for cycle in ("V", "W")
    }
    assert counts["W"] <= 24
    assert counts["W"] <= counts["V"]


@pytest.mark.parametrize("ratio", [1e-4, 1e4])
def test_strong_anisotropy_is_coarsened_along_the_strong_axis(ratio):
    grid = Grid((48, 48))
    faces = [np.ones((49, 48)), np.full((48, 49), ratio)]
    A = StencilOperator(grid, faces)
    M = precond.multigrid(A)
    weak = 1 if ratio < 1 else 0
    assert M.shapes[1][1 + weak] == 48
    assert M.shapes[1][2 - weak] == 24
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    assert cg(A, b, rtol=1e-8, M=M).iterations <= 14


def test_enclosed_pockets_do_not_stall():
    cells = np.zeros((48, 48), np.uint8)
    for corner in range(4, 40, 9):
        cells[corner, corner : corner + 6] = cells[corner + 5, corner : corner + 6] = Cell.NOFLUX
        cells[corner : corner + 6, corner] = cells[corner : corner + 6, corner + 5] = Cell.NOFLUX
    cells[1, 0] = cells[0, 1] = Cell.NOFLUX  # a pocket of one cell
    grid = Grid(cells.shape, 1.0, "neumann", cells)
    A = StencilOperator.from_coefficient(grid)
    assert A.nullspace.shape[1] == 6
    b = A.project(np.random.default_rng(0).standard_normal(A.shape[0]))
    b[0] = 0.0
    result = cg(A, b, rtol=1e-10, M=precond.multigrid(A))
    assert result.success
    assert result.iterations <= 25


def test_residuals_reach_twelve_digits_around_a_float32_cycle():
    problem = Obstacles((24, 24, 24), "balls").sample(3)
    result = cg(problem.A, problem.b, rtol=1e-12, M=precond.multigrid(problem))
    assert result.success
    assert np.linalg.norm(problem.b - problem.A @ result.x) <= 1e-12 * np.linalg.norm(problem.b)


@pytest.mark.parametrize("scale", [1e-60, 1e-30, 1.0, 1e30, 1e60])
def test_scale_of_the_operator_and_of_the_vector_does_not_matter(scale):
    grid = Grid((20, 17))
    k = np.exp(np.random.default_rng(0).standard_normal(grid.shape))
    x = np.random.default_rng(1).standard_normal(grid.size)
    one = precond.multigrid(StencilOperator.from_coefficient(grid, k))
    other = precond.multigrid(StencilOperator.from_coefficient(grid, k * scale))
    assert np.linalg.norm(scale * (other @ x) - one @ x) <= 1e-5 * np.linalg.norm(one @ x)
    assert np.linalg.norm((one @ (scale * x)) / scale - one @ x) <= 1e-5 * np.linalg.norm(one @ x)
    assert not (one @ np.zeros(grid.size)).any()


def test_negative_shift_is_left_out_and_preconditions_minres():
    grid = Grid((40, 40), 1 / 40)
    A = StencilOperator.from_coefficient(grid, shift=-60.0)
    M = precond.multigrid(A)
    assert M.positive_definite
    b = np.random.default_rng(0).standard_normal(A.shape[0])
    assert minres(A, b, rtol=1e-8, M=M, maxiter=60).success


# --- full multigrid, update, options -----------------------------------------------------------------------------------


def test_full_multigrid_start_is_close_to_the_solution():
    problem = Poisson((64, 64), rhs="smooth").sample(0)
    M = precond.multigrid(problem)
    x0 = M.initial_guess(problem.b)
    start = cg(problem.A, problem.b, x0, rtol=1e-8, M=M)
    assert start.initial_residual < 0.2
    assert start.success
    assert start.iterations < cg(problem.A, problem.b, rtol=1e-8, M=M).iterations
    with pytest.raises(ValueError, match="b has shape"):
        M.initial_guess(np.ones(3))
    with pytest.raises(ValueError, match="NaN"):
        M.initial_guess(np.full(problem.b.size, np.nan))
    with pytest.raises(TypeError, match="b is complex"):
        M.initial_guess(1j * problem.b)


def test_update_is_a_new_set_up_on_the_same_arrays():
    first, second = (Darcy(40, "lognormal", variance=2.0).sample(seed).A for seed in (0, 1))
    M = precond.multigrid(first)
    held = M.hierarchy.g
    x = np.random.default_rng(0).standard_normal(first.shape[0])
    M.update(second)
    assert M.hierarchy.g is held
    assert np.array_equal(M @ x, precond.multigrid(second) @ x)
    M.update(Poisson((40, 40)).sample(0).A)  # from float coefficients to byte codes
    assert np.array_equal(M @ x, precond.multigrid(Poisson((40, 40)).sample(0)) @ x)
    with pytest.raises(ValueError, match="shape"):
        M.update(Poisson((8, 8)).sample(0).A)


def test_band_sweeps_damp_errors_along_the_boundary():
    problem = Obstacles((48, 48), "balls").sample(0)
    A = problem.A
    degrees = np.diff(A.tocsr().indptr)
    x = np.random.default_rng(0).standard_normal(A.shape[0]) * (degrees < 5)

    def energy(band):
        rest = x - precond.multigrid(problem, band=band) @ (A @ x)
        return rest @ (A @ rest)

    assert energy(1) < 0.8 * energy(0)
    assert energy(3) < energy(1)


def test_weights_may_come_as_a_list_with_arrays_for_coarse_levels():
    problem = Poisson((24, 24)).sample(0)
    M = precond.multigrid(problem, coarsest=40)
    assert M.shapes == [(1, 24, 24), (1, 12, 12), (1, 6, 6)]
    weights = [1.1, np.full((12, 12), 0.9)]
    assert cg(problem.A, problem.b, rtol=1e-8, M=precond.multigrid(problem, omega=weights, coarsest=40)).success
    with pytest.raises(ValueError, match="level 1"):
        precond.multigrid(problem, omega=[1.1, np.full((5, 5), 0.9)])


def test_same_result_with_one_thread_and_two():
    from ritzkit.linalg import threads

    problem = Obstacles((40, 40, 40), "balls").sample(0)
    M = precond.multigrid(problem)
    both = M @ problem.b
    with threads.thread_limit(1):
        assert np.array_equal(both, M @ problem.b)


def test_copies_and_other_types_of_vectors():
    import copy
    import pickle

    problem = Poisson((20, 20)).sample(0)
    M = precond.multigrid(problem)
    x = problem.b
    for other in (copy.copy(M), pickle.loads(pickle.dumps(M))):
        assert np.array_equal(other @ x, M @ x)
    assert (M @ x.astype(np.float32)).dtype == np.float64
    assert np.allclose(M @ (x + 2j * x), (1 + 2j) * (M @ x), rtol=1e-6)


def test_copies_do_not_change_with_an_update_of_the_other():
    import copy

    first, second = (Darcy(20, "lognormal").sample(seed).A for seed in (0, 1))
    x = np.random.default_rng(0).standard_normal(400)
    before, after = precond.multigrid(first) @ x, precond.multigrid(second) @ x
    for changed in ("copy", "original"):
        M = precond.multigrid(first)
        other = copy.copy(M)
        one, kept = (other, M) if changed == "copy" else (M, other)
        one.update(second)
        assert np.array_equal(one @ x, after)
        assert np.array_equal(kept @ x, before)


@pytest.mark.parametrize("kind", ["readonly", "strided"])
def test_vectors_that_kernels_do_not_take_are_copied(kind):
    problem = Poisson((12, 12)).sample(0)
    M = precond.multigrid(problem)
    x = problem.b.copy() if kind == "readonly" else np.repeat(problem.b, 2)[::2]
    x.flags.writeable = kind != "readonly"
    out = np.empty(x.size)
    inner = M.apply_dot(x, out)
    assert np.array_equal(M @ x, M @ problem.b)
    assert np.array_equal(out, M @ problem.b)
    assert inner == pytest.approx(x @ out, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_vectors_at_the_ends_of_the_range_are_taken(scale):
    problem = Poisson((12, 12)).sample(0)
    M = precond.multigrid(problem)
    x = problem.b / np.abs(problem.b).max()
    assert np.allclose((M @ (scale * x)) / scale, M @ x, rtol=1e-5)


@pytest.mark.parametrize("coarsest", [4, 150], ids=["levels", "one-level"])
@pytest.mark.parametrize("shift", [None, -0.3], ids=["walled-in", "negative-shift"])
def test_cycle_is_definite_on_cells_without_neighbours(shift, coarsest):
    cells = np.zeros((9, 8), np.uint8)
    cells[2, 3] = cells[4, 3] = cells[3, 2] = cells[3, 4] = Cell.NOFLUX
    for coefficient in (None, np.exp(np.random.default_rng(0).standard_normal(cells.shape))):
        A = StencilOperator.from_coefficient(Grid(cells.shape, cells=cells), coefficient, shift=shift)
        for precision in ("float32", "float64"):
            B = dense(precond.multigrid(A, coarsest=coarsest, precision=precision))
            assert np.linalg.eigvalsh(B + B.T).min() > 0


@pytest.mark.parametrize("contrast", [1e14, 1e20, 1e30])
def test_contrasts_beyond_double_precision_give_finite_cycles_and_no_false_success(contrast):
    k = np.where(np.random.default_rng(0).random((24, 24)) < 0.5, 1.0, contrast)
    A = StencilOperator.from_coefficient(Grid((24, 24)), k)
    b = np.random.default_rng(1).standard_normal(A.shape[0])
    M = precond.multigrid(A, precision="float64")
    assert np.isfinite(M @ b).all()
    result = cg(A, b, M=M, rtol=1e-8, maxiter=60)
    assert result.success == (np.linalg.norm(b - A @ result.x) <= 1e-8 * np.linalg.norm(b))


def test_jumps_between_neighbours_beyond_float32_want_a_float64_cycle():
    k = np.where(np.random.default_rng(1).random((24, 24)) < 0.5, 1.0, 1e8)
    A = StencilOperator.from_coefficient(Grid((24, 24)), k)
    b = np.random.default_rng(1).standard_normal(A.shape[0])
    single, double = (cg(A, b, M=precond.multigrid(A, precision=p), rtol=1e-8) for p in ("float32", "float64"))
    assert double.success
    assert 2 * double.iterations < single.iterations


def test_presets_are_files(tmp_path):
    problem = Poisson((16, 16)).sample(0)
    path = tmp_path / "mine.toml"
    path.write_text('[2d]\ncycle = "W"\npre = 2\npost = 2\nomega = 1.2\n', encoding="utf-8")
    M = precond.multigrid(problem, preset=str(path), post=2)
    assert (M.settings.cycle, M.settings.pre, M.settings.omega) == ("W", 2, 1.2)
    assert precond.multigrid(problem, preset="v11").settings.cycle == "V"
    path.write_text("[2d]\nsweeps = 2\n", encoding="utf-8")
    with pytest.raises(ValueError, match="unknown entries sweeps"):
        precond.multigrid(problem, preset=str(path))
    with pytest.raises(ValueError, match="preset is 'nothing'"):
        precond.multigrid(problem, preset="nothing")
    path.write_text("[3d]\npre = 2\n", encoding="utf-8")
    assert precond.multigrid(Poisson((4, 4, 4)).sample(0), preset=path).settings.pre == 2
    with pytest.raises(ValueError, match=r"mine.toml has no table \[2d\]"):
        precond.multigrid(problem, preset=path)
    path.write_text("[2d", encoding="utf-8")
    with pytest.raises(ValueError, match=r"mine\.toml cannot be read as TOML"):
        precond.multigrid(problem, preset=path)


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"omega": 2.0}, ValueError, "between 0 and 2"),
        ({"omega": 0.0}, ValueError, "between 0 and 2"),
        ({"omega": np.nan}, ValueError, "between 0 and 2"),
        ({"omega": 1.0, "smoother": "jacobi"}, ValueError, "between 0 and 1"),
        ({"omega": np.ones(5)}, ValueError, "omega has shape"),
        ({"omega": []}, ValueError, "omega is"),
        ({"omega": "fast"}, TypeError, "omega is 'fast'"),
        ({"omega": 1.0, "smoother": "chebyshev"}, ValueError, "which has no weights"),
        ({"cycle": "F"}, ValueError, "cycle is 'F'"),
        ({"smoother": "gs"}, ValueError, "smoother is 'gs'"),
        ({"pre": 0, "post": 0}, ValueError, "both 0"),
        ({"pre": -1}, ValueError, "pre is -1"),
        ({"coarse_sweeps": 0}, ValueError, "coarse_sweeps is 0"),
        ({"precision": "float16"}, ValueError, "precision is 'float16'"),
        ({"band": 1, "smoother": "jacobi"}, ValueError, "band is 1"),
        ({"coarsest": 0}, ValueError, "coarsest is 0"),
        ({"preset": 3}, TypeError, "preset is 3"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_bad_parameters_are_named(options, error, text):
    with pytest.raises(error, match=text):
        precond.multigrid(Poisson((9, 9)).sample(0), **options)


@pytest.mark.parametrize("A", [eye_array(16, format="csr"), np.eye(16), as_operator(np.eye(16)), 3, None])
def test_operators_without_a_stencil_are_refused(A):
    with pytest.raises(TypeError, match="StencilOperator"):
        precond.multigrid(A)


def test_impossible_grids_never_reach_the_cycle():
    with pytest.raises(ValueError, match="at least one cell"):
        Grid((0, 4))
    with pytest.raises(ValueError, match="no interior cell"):
        Grid((2, 2), cells=np.full((2, 2), Cell.NOFLUX))
    with pytest.raises(ValueError, match="finite"):
        StencilOperator.from_coefficient(Grid((2, 2)), [[1.0, np.nan], [1.0, 1.0]])
    with pytest.raises(ValueError, match="complex"):
        precond.multigrid(StencilOperator.from_coefficient(Grid((4, 4)), shift=1j))
    with pytest.raises(ValueError, match="below 1e-308"):
        precond.multigrid(StencilOperator.from_coefficient(Grid((4, 4)), np.full((4, 4), 1e-320)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 1, 1), (1, 5, 1), (3, 1, 2)])
@pytest.mark.parametrize("sides", ["dirichlet", "periodic", "neumann"])
def test_tiny_grids(shape, sides):
    A = StencilOperator.from_coefficient(Grid(shape, 1.0, sides), shift=1.0)
    x = np.arange(1.0, A.shape[0] + 1)
    assert np.allclose(precond.multigrid(A, precision="float64") @ (A @ x), x, rtol=1e-9)
    chopped = precond.multigrid(A, coarsest=1)
    assert cg(A, x, rtol=1e-9, M=chopped).success


def test_settings_state_what_they_are():
    assert Settings().symmetric
    assert not Settings(pre=1, post=2).symmetric
