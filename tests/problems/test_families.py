import dataclasses
import json

import numpy as np
import pytest

from ritzkit.linalg import Operator
from ritzkit.problems import FAMILIES, Problem

SMALL = {
    "poisson": {"shape": (6, 7)},
    "obstacles": {"shape": (20, 20)},
    "darcy": {"n": 7},
    "anisotropic": {"n": 6},
    "convection-diffusion": {"n": 6},
    "helmholtz": {"n": 6, "wavenumber": 7.0},
    "heat": {"shape": (6, 6)},
    "mesh-poisson": {"n": 5},
    "mesh-heat": {"n": 5},
    "mesh-wave": {"n": 5},
    "mesh-elasticity": {"n": 4},
    "slotted-block": {"n": 5},
    "skr-darcy": {"n": 6},
    "skr-thermal": {"n": 5},
    "skr-poisson": {"n": 4},
    "skr-helmholtz": {"n": 6},
}
NAMES = list(SMALL)
by_name = pytest.mark.parametrize("name", NAMES)


def test_every_family_is_listed():
    assert list(FAMILIES) == NAMES
    assert all(family.family_name == name for name, family in FAMILIES.items())


@by_name
def test_defaults_work_and_the_summary_is_one_sentence(name):
    family = FAMILIES[name]
    problem = family().sample(0)
    assert isinstance(problem, Problem)
    assert isinstance(problem.A, Operator)
    assert 100 <= problem.A.shape[0] <= 5000
    assert family.summary().endswith(".")
    assert 20 < len(family.summary()) < 110
    assert problem.parameters["family"] == name
    assert name in problem.name or problem.name.startswith(name.split("-")[0])


@by_name
def test_one_seed_is_one_problem(name):
    family = FAMILIES[name](**SMALL[name])
    np.random.default_rng(0).standard_normal(3)
    one, same, generator = family.sample(11), family.sample(11), family.sample(np.random.default_rng(11))
    for other in (same, generator):
        assert np.array_equal(one.b, other.b)
        assert abs(one.A.tocsr() - other.A.tocsr()).nnz == 0
    if name not in ("darcy", "helmholtz", "skr-darcy", "skr-helmholtz"):  # a fixed source
        other = family.sample(12)
        assert other.b.shape != one.b.shape or not np.array_equal(other.b, one.b)


@by_name
def test_facts_are_true(name):
    problem = FAMILIES[name](**SMALL[name]).sample(3)
    A = problem.A.tocsr().toarray()
    assert problem.A.symmetric == np.array_equal(A, A.conj().T)
    if problem.A.positive_definite is not None:
        values = np.linalg.eigvalsh(A)
        null = 0 if problem.A.nullspace is None else problem.A.nullspace.shape[1]
        assert problem.A.positive_definite == (values[null] > 1e-10 * values[-1])
    x = np.random.default_rng(0).standard_normal(len(A))
    np.testing.assert_allclose(problem.A @ x, A @ x, rtol=1e-11, atol=1e-11 * np.abs(A).max())


@by_name
def test_parameters_are_plain_and_rebuild_the_family(name):
    family = FAMILIES[name](**SMALL[name])
    json.dumps(family.sample(0).parameters, allow_nan=False)
    parameters = family.parameters()
    assert parameters.pop("family") == name
    assert FAMILIES[name](**parameters) == family
    assert hash(FAMILIES[name](**parameters)) == hash(family)


@by_name
def test_size_can_be_changed(name):
    family = FAMILIES[name]().with_size(9)
    size = family.shape if hasattr(family, "shape") else (family.n,)
    assert set(size) == {9}
    assert {f.name for f in dataclasses.fields(family)} == set(family.parameters()) - {"family"}


@by_name
def test_unknowns_can_be_drawn(name):
    problem = FAMILIES[name](**SMALL[name]).sample(0)
    place = problem.grid if problem.grid is not None else problem.mesh
    assert place.size == problem.A.shape[0]
    field = place.embed(problem.b)
    np.testing.assert_array_equal(place.restrict(field), problem.b)


@pytest.mark.parametrize("name", ["heat", "mesh-heat", "mesh-wave"])
def test_sequences_are_reproducible(name):
    family = FAMILIES[name](**SMALL[name], steps=3)
    one, other = ([p.b for p in family.sequence(5)] for _ in range(2))
    assert len(one) == 3
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("name", "parameters", "key"),
    [
        ("convection-diffusion", {"peclet": (10.0, 100.0)}, "peclet"),
        ("helmholtz", {"wavenumber": (10.0, 50.0), "boundary": "absorbing"}, "wavenumber"),
    ],
    ids=["peclet", "wavenumber"],
)
def test_ranges_are_drawn_from(name, parameters, key):
    family = FAMILIES[name](**SMALL[name] | parameters)
    problems = [family.sample(seed) for seed in range(50)]
    values = np.array([p.parameters[key] for p in problems])
    low, high = parameters[key]
    assert low <= values.min() < low + 0.2 * (high - low)
    assert high >= values.max() > high - 0.2 * (high - low)
    fixed = FAMILIES[name](**SMALL[name] | parameters | {key: float(values[3])}).sample(0)
    assert abs(fixed.A.tocsr() - problems[3].A.tocsr()).nnz == 0


BAD = [
    ("poisson", {"shape": (8,)}, ValueError, "shape has 1 axes"),
    ("poisson", {"shape": (8, 8, 8, 8)}, ValueError, "shape has 4 axes"),
    ("poisson", {"shape": (8, 0)}, ValueError, r"shape\[1\] is 0"),
    ("poisson", {"shape": (8, 2.5)}, TypeError, r"shape\[1\] is 2.5"),
    ("poisson", {"shape": (8, True)}, TypeError, r"shape\[1\] is True"),
    ("poisson", {"shape": "8x8"}, TypeError, "shape"),
    ("poisson", {"sides": "robin"}, ValueError, "sides"),
    ("poisson", {"rhs": "zero"}, ValueError, "rhs is 'zero'"),
    ("poisson", {"rhs": 3}, TypeError, "rhs is 3"),
    ("obstacles", {"kind": "spiral"}, ValueError, "kind is 'spiral'"),
    ("obstacles", {"obstacle": "neumann"}, ValueError, "obstacle"),
    ("obstacles", {"count": -1}, ValueError, "count is -1"),
    ("obstacles", {"size": (0.2, 0.1)}, ValueError, "size"),
    ("obstacles", {"size": 0.0}, ValueError, "size"),
    ("obstacles", {"size": (0.1, 0.2, 0.3)}, ValueError, "size has 3"),
    ("obstacles", {"gap": 0}, ValueError, "gap is 0"),
    ("obstacles", {"fraction": 1.0}, ValueError, "fraction is 1"),
    ("obstacles", {"grain": -0.1}, ValueError, "grain"),
    ("darcy", {"law": "gauss"}, ValueError, "law is 'gauss'"),
    ("darcy", {"n": 0}, ValueError, "n is 0"),
    ("darcy", {"dim": 1}, ValueError, "dim is 1"),
    ("darcy", {"variance": -1.0}, ValueError, "variance"),
    ("darcy", {"variance": np.nan}, ValueError, "variance is nan"),
    ("darcy", {"length": 0.0}, ValueError, "length"),
    ("darcy", {"contrast": np.inf}, ValueError, "contrast is inf"),
    ("anisotropic", {"epsilon": 0.0}, ValueError, "epsilon is 0"),
    ("anisotropic", {"theta": "flat"}, TypeError, "theta is 'flat'"),
    ("anisotropic", {"theta": 1j}, TypeError, "theta"),
    ("convection-diffusion", {"peclet": -1.0}, ValueError, "peclet is -1"),
    ("convection-diffusion", {"peclet": (1.0, 2.0, 3.0)}, ValueError, "peclet has 3 entries"),
    ("convection-diffusion", {"peclet": (2.0, 1.0)}, ValueError, r"peclet is \(2, 1\)"),
    ("convection-diffusion", {"wind": "storm"}, ValueError, "wind is 'storm'"),
    ("convection-diffusion", {"wind": (1.0, 0.0, 0.0)}, ValueError, "wind has 3"),
    ("convection-diffusion", {"wind": (0.0, 0.0)}, ValueError, "wind is zero"),
    ("convection-diffusion", {"wind": 1.0}, TypeError, "wind is 1.0"),
    ("convection-diffusion", {"scheme": "quick"}, ValueError, "scheme"),
    ("helmholtz", {"wavenumber": -2.0}, ValueError, "wavenumber"),
    ("helmholtz", {"wavenumber": 0.0, "boundary": "absorbing"}, ValueError, "wavenumber is 0"),
    ("helmholtz", {"wavenumber": (0.0, 1.0), "boundary": "absorbing"}, ValueError, "wavenumber is 0"),
    ("helmholtz", {"boundary": "open"}, ValueError, "boundary"),
    ("helmholtz", {"variation": 0.9}, ValueError, "variation"),
    ("heat", {"dt": 0.0}, ValueError, "dt is 0"),
    ("heat", {"steps": 0}, ValueError, "steps is 0"),
    ("heat", {"scheme": "euler"}, ValueError, "scheme"),
    ("heat", {"drift": np.inf}, ValueError, "drift"),
    ("mesh-poisson", {"n": 1}, ValueError, "n is 1"),
    ("mesh-poisson", {"domain": "klein"}, ValueError, "domain"),
    ("mesh-poisson", {"jitter": 0.5}, ValueError, "jitter"),
    ("mesh-poisson", {"dirichlet": 1.2}, ValueError, "dirichlet"),
    ("mesh-poisson", {"dirichlet": (0.5, 0.1)}, ValueError, "dirichlet"),
    ("mesh-heat", {"diffusivity": 0.0}, ValueError, "diffusivity"),
    ("mesh-wave", {"speed": -1.0}, ValueError, "speed"),
    ("mesh-elasticity", {"poisson": 0.5}, ValueError, "poisson is 0.5"),
    ("mesh-elasticity", {"young": 0}, ValueError, "young is 0"),
    ("mesh-elasticity", {"rhs": "wind"}, ValueError, "rhs"),
]


@pytest.mark.parametrize(
    ("name", "parameters", "error", "words"),
    BAD,
    ids=[f"{n}-{next(iter(p))}-{i}" for i, (n, p, _, _) in enumerate(BAD)],
)
def test_bad_parameters_are_named(name, parameters, error, words):
    with pytest.raises(error, match=words):
        FAMILIES[name](**parameters)
