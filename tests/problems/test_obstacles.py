import itertools

import numpy as np
import pytest
from scipy.ndimage import label

from ritzkit.linalg import Cell
from ritzkit.problems import Obstacles, from_cells, geometry

SHAPES = [(24, 24), (17, 30), (14, 12, 13)]


def fluid_components(problem):
    """Singular components of the fluid: connected parts without a face to anything that holds a value."""
    grid = problem.grid
    labels, count = label(grid.interior)
    held = set()
    padded = np.pad(grid.cells if grid.cells is not None else np.zeros(grid.shape, np.uint8), 1, constant_values=9)
    inner = (slice(1, -1),) * grid.ndim
    for axis in range(grid.ndim):
        for step in (-1, 1):
            neighbour = np.roll(padded, -step, axis)[inner]
            outer = (neighbour == 9) & (grid.sides[axis][(step + 1) // 2] == "dirichlet")
            held |= set(labels[outer | (neighbour == Cell.DIRICHLET)]) - {0}
    return labels, [k for k in range(1, count + 1) if k not in held]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", geometry.KINDS)
@pytest.mark.parametrize("obstacle", ["noflux", "dirichlet"])
def test_unknowns_are_the_fluid_cells_and_pockets_are_null_vectors(kind, shape, obstacle):
    family = Obstacles(shape, kind, obstacle)
    problem = family.sample(5)
    solid = family.solid(5)
    assert np.array_equal(problem.grid.interior, ~solid)
    assert 0 < solid.sum() < solid.size
    assert problem.A.shape == (problem.grid.size,) * 2
    labels, free = fluid_components(problem)
    columns = 0 if problem.A.nullspace is None else problem.A.nullspace.shape[1]
    assert columns == len(free) == problem.parameters["singular_components"]
    for k in free:
        indicator = problem.grid.restrict((labels == k).astype(float))
        assert np.abs(problem.A @ indicator).max() < 1e-9
        assert abs(indicator @ problem.b) < 1e-9 * np.abs(problem.b).max() * indicator.sum()


def test_porous_noise_makes_pockets_that_dirichlet_obstacles_do_not():
    pockets = [
        Obstacles((48, 48), "porous", fraction=0.5).sample(s).parameters["singular_components"] for s in range(5)
    ]
    assert sum(pockets) >= 5
    assert Obstacles((48, 48), "porous", "dirichlet", fraction=0.5).sample(0).A.nullspace is None


def test_closed_box_with_walls_has_one_null_vector_per_room():
    cells = np.zeros((9, 7), np.uint8)
    cells[3], cells[6] = Cell.NOFLUX, Cell.NOFLUX
    problem = from_cells(cells, sides="neumann")
    assert problem.A.nullspace.shape == (49, 3)
    assert problem.parameters["singular_components"] == 3
    cells[3, 2] = Cell.INTERIOR
    assert from_cells(cells, sides="neumann").A.nullspace.shape == (50, 2)


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.4, 0.75])
def test_porous_noise_has_its_solid_fraction(fraction):
    solid = Obstacles((30, 30), "porous", fraction=fraction).solid(1)
    assert solid.sum() == round(900 * fraction)


@pytest.mark.parametrize("shape", [(33, 20), (21, 9, 8)], ids=str)
@pytest.mark.parametrize("gap", [1, 2, 3])
def test_walls_are_one_cell_thick_with_one_gap_each(shape, gap):
    solid = Obstacles(shape, "walls", count=4, gap=gap).solid(2)
    layers = solid.reshape(shape[0], -1)
    walls = np.flatnonzero(layers.any(axis=1))
    assert len(walls) == 4
    assert (np.diff(walls) > 1).all()
    for wall in walls:
        holes, count = label(~solid[wall])
        assert count == 1
        assert (holes > 0).sum() == gap ** (len(shape) - 1)
    assert label(~solid)[1] == 1


@pytest.mark.parametrize("shape", [(33, 20), (21, 9, 8)], ids=str)
def test_comb_is_a_serpentine(shape):
    solid = Obstacles(shape, "comb", count=5, gap=2).solid(3)
    teeth = np.flatnonzero(solid.reshape(shape[0], -1).any(axis=1))
    assert len(teeth) == 5
    openings = [np.flatnonzero(~solid[t].reshape(shape[1], -1).any(axis=1)) for t in teeth]
    assert all(len(o) == 2 for o in openings)
    starts = [int(o[0]) for o in openings]
    assert set(starts) == {0, shape[1] - 2}
    assert all(a != b for a, b in itertools.pairwise(starts))
    assert label(~solid)[1] == 1


def test_bodies_have_sizes_in_the_range():
    rng = np.random.default_rng(0)
    for _ in range(20):
        ball = geometry.balls((60, 60), rng, 1, (0.1, 0.1))
        assert ball.sum() <= np.pi * 7**2  # less where the box cuts it
        extent = max(np.ptp(i) + 1 for i in np.nonzero(geometry.boxes((60, 60), rng, 1, (0.1, 0.1))))
        assert extent <= 13
    capsule = geometry.capsules((200, 200), np.random.default_rng(8), 1, (0.15, 0.15))
    assert label(capsule)[1] == 1


def test_geometry_is_the_same_at_two_resolutions():
    coarse = Obstacles((40, 40), "balls", size=(0.1, 0.2)).solid(4)
    fine = Obstacles((160, 160), "balls", size=(0.1, 0.2)).solid(4)
    pooled = fine.reshape(40, 4, 40, 4).mean(axis=(1, 3))
    assert np.mean((pooled > 0.5) != coarse) < 0.02


def test_a_wall_between_two_held_values_is_not_crossed(solve):
    cells = np.zeros((7, 5), np.uint8)
    cells[3] = Cell.NOFLUX
    b = np.zeros((7, 5))
    b[:3] = 1.0
    problem = from_cells(cells, b=b)
    x = problem.grid.embed(solve(problem.A, problem.b), fill=0.0)
    assert (x[:3] > 0).all()
    assert not x[4:].any()


def test_layers_in_series_are_exact(solve):
    # one-dimensional flow through layers: the flux is constant, the potential is piecewise linear
    k = np.array([1.0, 10.0, 0.1, 3.0, 7.0])
    cells = np.zeros((5, 4), np.uint8)
    b = np.zeros((5, 4))
    b[2] = 1.0
    problem = from_cells(cells, coefficient=np.repeat(k[:, None], 4, axis=1), sides=["dirichlet", "neumann"], b=b)
    x = problem.grid.embed(solve(problem.A, problem.b))
    left = 1 / k[0] + 1 / k[1] + 0.5 / k[2]
    right = 0.5 / k[2] + 1 / k[3] + 1 / k[4]
    up = left * right / (left + right)  # potential at the source, resistances in parallel
    flux = up / left
    expected = [
        0.5 * flux / k[0],
        flux * (1 / k[0] + 0.5 / k[1]),
        up,
        up / right * (0.5 / k[3] + 1 / k[4]),
        up / right * 0.5 / k[4],
    ]
    np.testing.assert_allclose(x, np.repeat(np.array(expected)[:, None], 4, axis=1), rtol=1e-12)


def test_from_cells_takes_what_it_is_given():
    cells = np.array([[0, 1, 0], [2, 0, 0]])
    b = np.arange(6.0).reshape(2, 3)
    problem = from_cells(cells, b=b)
    assert problem.b.tolist() == [0.0, 2.0, 4.0, 5.0]
    assert np.array_equal(from_cells(cells, b=[0, 2, 4, 5]).b, problem.b)
    assert from_cells(cells.tolist()).b.tolist() == [1.0] * 4
    assert problem.grid.spacing == 1.0
    k = np.arange(1, 7).reshape(2, 3)
    assert np.array_equal(from_cells(cells, coefficient=k).fields["coefficient"], k)


def test_coefficients_inside_obstacles_are_not_looked_at():
    cells = np.zeros((3, 4), int)
    cells[1, 1], cells[1, 2] = Cell.NOFLUX, Cell.DIRICHLET
    k = np.full((3, 4), 2.0)
    k[1, 1], k[1, 2] = np.nan, 0.0
    A = from_cells(cells, coefficient=k).A.tocsr().toarray()
    np.testing.assert_array_equal(A, 2.0 * from_cells(cells).A.tocsr().toarray())


def test_a_closed_box_without_a_load_rests():
    assert not from_cells(np.zeros((3, 5), int), sides="neumann").b.any()


def ok(**changes):
    return from_cells(**({"cells": np.zeros((4, 4), np.uint8)} | changes))


NAN = np.full((4, 4), 1.0)
NAN[2, 1] = np.nan
CODE = np.zeros((4, 4), int)
CODE[1, 2] = 3


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"cells": np.zeros((4, 4))}, TypeError, "cells has dtype float64"),
        ({"cells": np.zeros((4, 4), bool)}, TypeError, "cells has dtype bool"),
        ({"cells": np.full((2, 2), "a")}, TypeError, "cells has dtype"),
        ({"cells": np.zeros((4, 4), complex)}, TypeError, "cells has dtype"),
        ({"cells": CODE}, ValueError, r"code 3 at \(1, 2\)"),
        ({"cells": -CODE}, ValueError, "code -3"),
        ({"cells": np.zeros(4, np.uint8)}, ValueError, "1 axes"),
        ({"cells": np.zeros((2, 2, 2, 2), np.uint8)}, ValueError, "4 axes"),
        ({"cells": np.zeros((0, 4), np.uint8)}, ValueError, "at least one cell"),
        ({"cells": np.full((4, 4), 2, np.uint8)}, ValueError, "no interior cell"),
        ({"coefficient": np.ones((4, 5))}, ValueError, "coefficient has shape"),
        ({"coefficient": np.zeros((4, 4))}, ValueError, r"coefficient is 0 at \(0, 0\)"),
        ({"coefficient": -np.ones((4, 4))}, ValueError, "coefficient is -1"),
        ({"coefficient": NAN}, ValueError, r"coefficient is nan at \(2, 1\)"),
        ({"coefficient": np.full((4, 4), np.inf)}, ValueError, "coefficient is inf"),
        ({"coefficient": np.ones((4, 4), complex)}, TypeError, "coefficient has dtype"),
        ({"coefficient": 2.0}, ValueError, "coefficient has shape"),
        ({"b": np.ones(15)}, ValueError, "b has shape"),
        ({"b": np.ones((16, 1))}, ValueError, "b has shape"),
        ({"b": NAN}, ValueError, "b holds 1 NaN"),
        ({"b": ["x"] * 16}, TypeError, "b has dtype"),
        ({"sides": "open"}, ValueError, "sides"),
        ({"sides": ["dirichlet"]}, ValueError, "sides"),
        ({"sides": ["dirichlet", ("periodic", "neumann")]}, ValueError, "sides"),
    ],
    ids=lambda value: None if isinstance(value, type) else (next(iter(value)) if isinstance(value, dict) else None),
)
def test_from_cells_names_what_is_wrong(changes, error, words):
    with pytest.raises(error, match=words):
        ok(**changes)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"kind": "walls", "count": 12}, "count is 12"),
        ({"kind": "walls", "gap": 25}, "gap is 25"),
        ({"kind": "comb", "gap": 24}, "gap is 24"),
        ({"kind": "boxes", "count": 60, "size": (0.9, 0.9)}, "fill the whole box"),
    ],
)
def test_geometry_without_room_is_refused(parameters, words):
    with pytest.raises(ValueError, match=words):
        Obstacles((24, 24), **parameters).sample(0)
