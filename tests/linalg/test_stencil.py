import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from ritzkit.linalg import Cell, Grid, StencilOperator
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


def test_constant_boxes_store_no_coefficients_in_the_product():
    assert StencilOperator.from_coefficient(Grid((9, 9)))._constant is not None
    assert StencilOperator.from_coefficient(Grid((9, 9)), 2 * np.ones((9, 9)))._constant is not None
    varied = np.ones((9, 9))
    varied[3, 3] = 2
    assert StencilOperator.from_coefficient(Grid((9, 9)), varied)._constant is None


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
