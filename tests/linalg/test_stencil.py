import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from ritzkit.linalg import Cell, Grid, StencilOperator, threads
from ritzkit.linalg.operators.stencil import face_conductances


def assembled_slowly(grid, faces, shift=0.0):
    """The same matrix from the definition, cell by cell."""
    cells = np.zeros(grid.shape, int) if grid.cells is None else grid.cells
    number = {tuple(index): k for k, index in enumerate(np.argwhere(cells == Cell.INTERIOR))}
    A = np.zeros((grid.size, grid.size))
    for index, i in number.items():
        for axis in range(grid.ndim):
            for step in (-1, 1):
                face = list(index)
                face[axis] += step == 1
                c = faces[axis][tuple(face)]
                other = list(index)
                other[axis] += step
                if grid.sides[axis][0] == "periodic":
                    other[axis] %= grid.shape[axis]
                if tuple(other) == index:
                    continue
                A[i, i] += c
                if tuple(other) in number:
                    A[i, number[tuple(other)]] -= c
    return A + np.diag(np.broadcast_to(shift, grid.size))


SHAPES = [(5, 7), (1, 6), (6, 1), (2, 2), (3, 4, 5), (1, 1, 3), (2, 1, 2)]
SIDES = ["dirichlet", "neumann", "periodic", "mixed"]


def make_grid(shape, sides, obstacles):
    if sides == "mixed":
        sides = ["periodic", ("neumann", "dirichlet"), "dirichlet"][: len(shape)]
    cells = None
    if obstacles:
        cells = np.random.default_rng(sum(shape)).integers(0, 3, shape).astype(np.uint8)
        cells.flat[0] = Cell.INTERIOR
    return Grid(shape, 0.3, sides, cells)


@pytest.mark.parametrize("obstacles", [False, True], ids=["box", "obstacles"])
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_product_diagonal_and_assembly_agree_with_the_definition(shape, sides, obstacles, rng):
    grid = make_grid(shape, sides, obstacles)
    for coefficient, shift in itertools.product(
        (None, rng.uniform(0.5, 2.0, shape)), (None, 0.7, rng.uniform(size=grid.size))
    ):
        A = StencilOperator.from_coefficient(grid, coefficient, shift=shift)
        dense = assembled_slowly(grid, A.conductances, 0.0 if shift is None else shift)
        tolerance = 1e-13 * max(1.0, np.abs(dense).max())
        np.testing.assert_allclose(A.tocsr().toarray(), dense, atol=tolerance)
        np.testing.assert_allclose(A.diagonal(), np.diagonal(dense), atol=tolerance)
        x = rng.standard_normal(grid.size)
        np.testing.assert_allclose(A @ x, dense @ x, atol=20 * tolerance)


@pytest.mark.parametrize("obstacles", [False, True], ids=["box", "obstacles"])
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_declared_null_space_is_the_null_space(shape, sides, obstacles):
    A = StencilOperator.from_coefficient(make_grid(shape, sides, obstacles))
    values = np.linalg.eigvalsh(A.tocsr().toarray())
    found = 0 if A.nullspace is None else A.nullspace.shape[1]
    assert found == int((values < 1e-9).sum())
    assert values.min() > -1e-9
    if found:
        N = A.nullspace.toarray()
        np.testing.assert_allclose(N.T @ N, np.eye(found), atol=1e-12)
        np.testing.assert_allclose(A.tocsr() @ N, 0, atol=1e-10)


def test_large_boxes_take_the_parallel_path_and_agree(rng):
    for grid in (Grid((260, 260), 1.0, ["periodic", ("neumann", "dirichlet")]), Grid((20, 40, 60))):
        for coefficient in (None, rng.uniform(1, 2, grid.shape)):
            A = StencilOperator.from_coefficient(grid, coefficient)
            x = rng.standard_normal(grid.size)
            np.testing.assert_allclose(A @ x, A.tocsr() @ x, atol=1e-12)


def stored_bytes(A):
    return sum(v.nbytes for v in itertools.chain(vars(A).values(), A._arrays) if isinstance(v, np.ndarray))


@pytest.mark.parametrize("sides", SIDES)
def test_what_is_stored_per_cell(sides, rng):
    shape = (9, 8, 7)
    cells = (rng.uniform(size=shape) < 0.2).astype(int) * rng.integers(1, 3, shape)
    varied = rng.uniform(1, 2, shape)
    open_box, obstacles = make_grid(shape, sides, False), Grid(shape, 0.3, "neumann", cells)
    for coefficient in (None, 2.0 * np.ones(shape)):
        assert stored_bytes(StencilOperator.from_coefficient(open_box, coefficient)) == 0
        assert stored_bytes(StencilOperator.from_coefficient(obstacles, coefficient)) == 9 * 8 * 7
    faces = StencilOperator.from_coefficient(obstacles, varied).conductances
    assert stored_bytes(StencilOperator(obstacles, faces)) == sum(c.nbytes for c in faces)


@pytest.mark.parametrize("obstacles", [False, True], ids=["box", "obstacles"])
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_operators_from_a_coefficient_and_from_its_faces_are_the_same(shape, sides, obstacles, rng):
    grid = make_grid(shape, sides, obstacles)
    for shift in (None, rng.uniform(size=grid.size)):
        A = StencilOperator.from_coefficient(grid, np.full(shape, 0.7), shift=shift)
        for mine, plain in zip(A.conductances, face_conductances(grid, np.full(shape, 0.7)), strict=True):
            np.testing.assert_allclose(mine, plain, rtol=1e-15)
        B = StencilOperator(grid, A.conductances, shift=shift)
        np.testing.assert_array_equal(A.tocsr().toarray(), B.tocsr().toarray())
        for one, other in zip(A._faces, B._faces, strict=True):
            np.testing.assert_array_equal(one, other)


def test_outer_faces_of_a_box_may_conduct_anything(rng):
    grid = Grid((3, 4, 5))
    faces = [c.copy() for c in StencilOperator.from_coefficient(grid).conductances]
    faces[0][0], faces[1][:, -1], faces[2][:, :, 0] = 0.3, 0.0, 7.0
    A = StencilOperator(grid, faces)
    assert stored_bytes(A) == 0
    np.testing.assert_allclose(A.tocsr().toarray(), assembled_slowly(grid, faces), atol=1e-14)
    x = rng.standard_normal(60)
    np.testing.assert_allclose(A @ x, A.tocsr() @ x, atol=1e-13)
    np.testing.assert_allclose(A.conductances[0], faces[0], rtol=1e-15)


SWEPT = [
    ("plane", (6, 40), 0.1),
    ("rows of few runs", (3, 4, 61), 0.02),
    ("rows of many runs", (4, 3, 30), 0.4),
    ("one plane", (1, 5, 50), 0.03),
    ("box", (4, 5, 6), 0.0),
]


@pytest.mark.parametrize("coefficient", ["constant", "shifted", "varied"])
@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize(("shape", "solid"), [row[1:] for row in SWEPT], ids=[row[0] for row in SWEPT])
def test_fused_sweeps_are_their_parts(shape, solid, sides, coefficient, rng):
    cells = np.where(rng.uniform(size=shape) < solid, rng.integers(1, 3, shape), 0)
    cells.flat[0] = 0
    named = ["periodic", ("neumann", "dirichlet"), "dirichlet"][: len(shape)] if sides == "mixed" else sides
    grid = Grid(shape, 0.5, named, cells)
    A = StencilOperator.from_coefficient(
        grid,
        rng.uniform(1, 2, shape) if coefficient == "varied" else None,
        shift=rng.uniform(size=grid.size) if coefficient == "shifted" else None,
    )
    matrix = A.tocsr()
    assert A.can_fuse(np.ones(grid.size))
    z, x, b = rng.standard_normal((3, grid.size))
    p = np.full(grid.size, np.nan)
    curvature = A.turn_dot(0.0, z, p)
    np.testing.assert_array_equal(p, z)
    assert curvature == pytest.approx(z @ (matrix @ z), rel=1e-12)
    turned = x + 0.7 * p
    assert A.turn_dot(0.7, x, p) == pytest.approx(turned @ (matrix @ turned), rel=1e-12)
    np.testing.assert_allclose(p, turned, rtol=1e-14)
    r = b.copy()
    moved, rest = x + 0.3 * p, b - 0.3 * (matrix @ p)
    assert A.step_norm(0.3, p, x, r) == pytest.approx(rest @ rest, rel=1e-12)
    np.testing.assert_allclose(x, moved, atol=1e-14)
    np.testing.assert_allclose(r, rest, atol=1e-12)
    left = b - matrix @ x
    assert A.residual_norm(b, x, r) == pytest.approx(left @ left, rel=1e-12)
    np.testing.assert_allclose(r, left, atol=1e-12)
    np.testing.assert_allclose(A @ x, matrix @ x, atol=1e-12)


@pytest.mark.parametrize("solid", [0.0, 0.02, 0.4], ids=["box", "long runs", "short runs"])
def test_sweeps_do_not_depend_on_the_number_of_threads(solid, rng):
    shape = (33, 32, 40)
    cells = (rng.uniform(size=shape) < solid).astype(int)
    A = StencilOperator.from_coefficient(Grid(shape, 1.0, ["periodic", "neumann", "dirichlet"], cells))
    z, p, x, r = rng.standard_normal((4, A.shape[0]))
    found = []
    for count in (1, 2):
        with threads.thread_limit(count):
            q, y, s, t = p.copy(), x.copy(), r.copy(), np.empty_like(r)
            numbers = [A.turn_dot(0.3, z, q), A.step_norm(0.1, q, y, s), A.residual_norm(r, y, t)]
            found.append([numbers, q, y, s, t, A @ z])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_vectors_that_the_kernel_is_not_compiled_for(rng):
    grid = Grid((5, 9), cells=(rng.uniform(size=(5, 9)) < 0.2).astype(int))
    A = StencilOperator.from_coefficient(grid)
    x = rng.standard_normal(grid.size)
    wanted = A.tocsr() @ x
    frozen = x.copy()
    frozen.flags.writeable = False
    assert not A.can_fuse(frozen)
    np.testing.assert_allclose(A @ frozen, wanted, atol=1e-13)
    out = np.zeros(2 * grid.size)
    A.apply(np.repeat(x, 2)[::2], out[::2])
    np.testing.assert_allclose(out[::2], wanted, atol=1e-13)
    small = np.empty(grid.size, np.float32)
    A.apply(x.astype(np.float32), small)
    np.testing.assert_allclose(small, wanted, atol=1e-5)


def test_harmonic_mean_and_held_faces():
    grid = Grid((1, 3), 0.5, [("neumann", "neumann"), ("dirichlet", "neumann")], np.array([[0, 0, 1]]))
    vertical, across = face_conductances(grid, np.array([[1.0, 3.0, 7.0]]))
    np.testing.assert_allclose(across, [[2 * 1.0 / 0.25, 1.5 / 0.25, 2 * 3.0 / 0.25, 0.0]])
    assert not vertical.any()


def test_float32_and_complex_vectors(rng):
    A = StencilOperator.from_coefficient(Grid((6, 5)))
    x = rng.standard_normal(30)
    assert (A @ (x + 2j * x)).dtype == np.complex128
    np.testing.assert_allclose(A @ (x + 2j * x), (A @ x) * (1 + 2j), atol=1e-12)


def test_complex_shift_is_not_hermitian(rng):
    A = StencilOperator.from_coefficient(Grid((4, 4)), shift=1j)
    assert A.symmetric is False
    x = rng.standard_normal(16)
    np.testing.assert_allclose(A.H @ x, A.tocsr().conj().T @ x, atol=1e-12)
    np.testing.assert_allclose(A.T @ x, A.tocsr().T @ x, atol=1e-12)


def test_negative_shift_claims_nothing():
    A = StencilOperator.from_coefficient(Grid((4, 4)), shift=-5.0)
    assert A.symmetric
    assert A.positive_definite is None


GOOD = (Grid((3, 4)), [np.ones((4, 4)), np.ones((3, 5))])
BAD = [
    ("too few arrays", lambda: StencilOperator(GOOD[0], GOOD[1][:1]), ValueError, "one per axis"),
    ("wrong shape", lambda: StencilOperator(GOOD[0], [np.ones((3, 4)), np.ones((3, 5))]), ValueError, "have shape"),
    ("negative", lambda: StencilOperator(GOOD[0], [-np.ones((4, 4)), np.ones((3, 5))]), ValueError, "nowhere negative"),
    ("nan", lambda: StencilOperator(GOOD[0], [np.full((4, 4), np.nan), np.ones((3, 5))]), ValueError, "finite"),
    ("shift shape", lambda: StencilOperator(*GOOD, shift=np.ones(3)), ValueError, "shift has shape"),
    ("shift nan", lambda: StencilOperator(*GOOD, shift=np.nan), ValueError, "finite"),
    (
        "coefficient shape",
        lambda: StencilOperator.from_coefficient(GOOD[0], np.ones(3)),
        ValueError,
        "coefficient has shape",
    ),
    ("coefficient zero", lambda: StencilOperator.from_coefficient(GOOD[0], np.zeros((3, 4))), ValueError, "positive"),
    ("mean", lambda: StencilOperator.from_coefficient(GOOD[0], mean="median"), ValueError, "mean is"),
    (
        "flux through a neumann side",
        lambda: StencilOperator(Grid((3, 4), sides="neumann"), GOOD[1]),
        ValueError,
        "no-flux side",
    ),
    (
        "flux into a wall",
        lambda: StencilOperator(Grid((3, 4), cells=np.eye(3, 4, dtype=int) * 2), GOOD[1]),
        ValueError,
        "no-flux cell",
    ),
    (
        "periodic ends differ",
        lambda: StencilOperator(Grid((3, 4), sides="periodic"), [np.arange(16.0).reshape(4, 4), np.ones((3, 5))]),
        ValueError,
        "periodic axis",
    ),
    ("grid one axis", lambda: Grid((3,)), ValueError, "two or three"),
    ("grid zero", lambda: Grid((3, 0)), ValueError, "at least one"),
    ("grid text", lambda: Grid("ab"), ValueError, "invalid literal"),
    ("grid none", lambda: Grid((None, 2)), TypeError, "whole numbers"),
    ("spacing", lambda: Grid((3, 3), spacing=0.0), ValueError, "spacing"),
    ("part of a cell", lambda: Grid((3.5, 3)), ValueError, "whole numbers of cells"),
    ("sides unknown", lambda: Grid((3, 3), sides="robin"), ValueError, "sides of axis 0"),
    ("sides count", lambda: Grid((3, 3), sides=["dirichlet"]), ValueError, "per axis"),
    ("half periodic", lambda: Grid((3, 3), sides=[("periodic", "dirichlet"), "dirichlet"]), ValueError, "both sides"),
    ("cells shape", lambda: Grid((3, 3), cells=np.zeros((2, 2), int)), ValueError, "cells has shape"),
    ("cells float", lambda: Grid((3, 3), cells=np.zeros((3, 3))), TypeError, "whole numbers"),
    ("cells code", lambda: Grid((3, 3), cells=np.full((3, 3), 7)), ValueError, "codes outside"),
    ("cells solid", lambda: Grid((3, 3), cells=np.ones((3, 3), int)), ValueError, "no interior cell"),
]


@pytest.mark.parametrize(("call", "kind", "message"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_names_the_argument(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_embed_and_restrict_are_inverse(rng):
    grid = Grid((4, 5), cells=rng.integers(0, 2, (4, 5)))
    x = rng.standard_normal(grid.size)
    full = grid.embed(x)
    assert np.isnan(full[~grid.interior]).all()
    np.testing.assert_array_equal(grid.restrict(full), x)
    assert (grid.embed(x, fill=0.0)[~grid.interior] == 0).all()
    with pytest.raises(ValueError, match="one value per unknown"):
        grid.embed(np.ones(3))
    with pytest.raises(ValueError, match="shape of the grid"):
        grid.restrict(np.ones((2, 2)))


def test_centres_lie_inside_the_box():
    x, y = Grid((4, 8), spacing=1 / 8).centres()
    assert x.shape == y.shape == (4, 8)
    assert (x[0, 0], x[-1, 0], y[0, -1]) == (1 / 16, 7 / 16, 15 / 16)


def test_symmetric_matrix():
    A = StencilOperator.from_coefficient(Grid((5, 6), sides=["periodic", "dirichlet"])).tocsr()
    assert abs(A - A.T).max() == 0
    assert sp.issparse(A)


@pytest.mark.parametrize("sides", ["neumann", "periodic", "mixed"])
@pytest.mark.parametrize("dim", [2, 3])
def test_null_vectors_are_the_components_of_the_matrix_without_a_held_value(dim, sides, rng):
    for _ in range(15):
        shape = tuple(int(n) for n in rng.integers(1, 7, dim))
        cells = rng.choice([0, 0, 1, 2, 2, 2], size=shape).astype(np.uint8)
        cells.flat[0] = Cell.INTERIOR
        ends = [("periodic", "periodic"), ("neumann", "neumann"), ("neumann", "dirichlet")][:dim]
        A = StencilOperator.from_coefficient(Grid(shape, 1.0, ends if sides == "mixed" else sides, cells))
        matrix = A.tocsr()
        count, labels = sp.csgraph.connected_components(matrix, directed=False)
        loose = [k for k in range(count) if abs(matrix[labels == k].sum()) < 1e-12]
        if not loose:
            assert A.nullspace is None
            continue
        wanted = np.stack([(labels == k) / np.sqrt((labels == k).sum()) for k in loose], axis=1)
        np.testing.assert_allclose(A.nullspace.toarray(), wanted, atol=1e-15)


def test_a_closed_face_inside_the_domain_separates():
    grid = Grid((3, 4), sides="neumann")
    faces = [c.copy() for c in StencilOperator.from_coefficient(grid).conductances]
    faces[1][:, 2] = 0.0
    assert StencilOperator(grid, faces).nullspace.shape == (12, 2)
    faces[1][1, 2] = 1e-3
    assert StencilOperator(grid, faces).nullspace.shape == (12, 1)


@pytest.mark.parametrize("scale", [1e-250, 1e250])
def test_coefficients_of_any_size_keep_their_means(scale):
    k = np.exp(np.random.default_rng(0).standard_normal((6, 5)))
    plain, scaled = (StencilOperator.from_coefficient(Grid((6, 5)), s * k) for s in (1.0, scale))
    assert scaled.nullspace is None
    for one, other in zip(plain.conductances, scaled.conductances, strict=True):
        np.testing.assert_allclose(other / scale, one, rtol=1e-14)


def test_a_grid_does_not_change_with_the_array_of_cells_it_was_made_from():
    cells = np.zeros((6, 6), np.uint8)
    cells[2:4, 2:4] = 2
    A = StencilOperator.from_coefficient(Grid(cells.shape, cells=cells))
    before = A @ np.ones(A.shape[0])
    cells[:] = 0
    cells[0] = 1
    B = StencilOperator.from_coefficient(A.grid)
    np.testing.assert_array_equal(A @ np.ones(A.shape[0]), before)
    np.testing.assert_array_equal(B @ np.ones(A.shape[0]), before)


def test_sizes_whose_squares_are_no_numbers_are_refused():
    for spacing in (1e-200, 1e200):
        with pytest.raises(ValueError, match="spacing is"):
            Grid((4, 4), spacing)
    with pytest.raises(ValueError, match="coefficient / spacing"):
        StencilOperator.from_coefficient(Grid((4, 4), 0.1), np.full((4, 4), 1e308))
