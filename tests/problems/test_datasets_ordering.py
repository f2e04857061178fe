"""Orders of related systems: greedy chains, hubs and their members."""

import numpy as np
import pytest

from ritzkit.problems import (
    ConvectionDiffusion,
    Darcy,
    Helmholtz,
    MeshPoisson,
    Obstacles,
    Poisson,
    SKRDarcy,
    order_samples,
)
from ritzkit.problems.datasets import ORDERS, low_modes, problem_features


def cloud(count=40, d=5, seed=0):
    return np.random.default_rng(seed).standard_normal((count, d))


def islands(per=6, seed=1):
    """Four clouds that lie far apart."""
    rng = np.random.default_rng(seed)
    centres = 50.0 * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    return np.concatenate([c + rng.standard_normal((per, 2)) for c in centres])[rng.permutation(4 * per)]


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("count", [1, 2, 17])
def test_every_sample_has_its_turn_once(kind, count):
    ordering = order_samples(cloud(count), kind, rng=3)
    assert sorted(ordering.order.tolist()) == list(range(count))
    told = [sample for hub, members in ordering.groups() for sample in ([hub] if hub >= 0 else []) + members]
    assert told == ordering.order.tolist()


def test_greedy_goes_on_to_the_nearest_by_the_distance_of_the_paper():
    matrices = cloud(25, 12).reshape(25, 3, 4)
    order, left = [0], list(range(1, 25))
    while left:
        gaps = [matrices[order[-1]] - matrices[j] for j in left]
        order.append(left.pop(int(np.argmin([np.sqrt(np.trace(g.T @ g)) for g in gaps]))))
    assert order_samples(matrices.reshape(25, -1), "greedy").order.tolist() == order


def test_hubs_find_the_clusters_and_come_before_their_members():
    points = islands()
    groups = order_samples(points, "hub", hubs=4).groups()
    assert len(groups) == 4
    for hub, members in groups:
        gaps = np.linalg.norm(points[members] - points[hub], axis=1)
        assert len(members) == 5
        assert gaps.max() < 10.0
        assert (np.diff(gaps) >= 0).all()
        # the medoid: no other of its cluster is nearer to all
        cluster = [hub, *members]
        sums = np.linalg.norm(points[cluster][:, None] - points[cluster][None], axis=2).sum(axis=1)
        assert sums.argmin() == 0


def test_a_chain_of_neighbours_is_shorter_than_a_random_one():
    points = cloud(60, 2)

    def length(kind):
        return np.linalg.norm(np.diff(points[order_samples(points, kind, rng=0).order], axis=0), axis=1).sum()

    assert length("greedy") < 0.4 * length("random")
    assert length("hub") < 0.8 * length("random")


def test_equal_samples_share_a_hub():
    groups = order_samples(np.repeat([[0.0], [1.0]], 5, axis=0), "hub", hubs=6).groups()
    assert [hub for hub, _ in groups] == [0, 5]
    assert order_samples(np.zeros((4, 2)), "hub").order.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("features", "kind", "words"),
    [
        (np.zeros(3), "hub", "features has shape"),
        ([[np.nan]], "greedy", "NaN"),
        ([[0.0]], "best", "kind is 'best'"),
        ([[0.0], [1.0]], "hubs=0", "hubs is 0"),
    ],
    ids=["flat", "nan", "kind", "no hubs"],
)
def test_bad_input_is_named(features, kind, words):
    hubs = 0 if kind == "hubs=0" else None
    with pytest.raises(ValueError, match=words):
        order_samples(features, kind.split("=")[0].replace("hubs", "hub"), hubs=hubs)


def test_numbers_drawn_from_a_range_are_features():
    family = ConvectionDiffusion(6, peclet=(0.0, 100.0))
    problems = [family.sample(seed) for seed in range(8)]
    order = order_samples(np.stack([problem_features(p, family) for p in problems]), "greedy").order[1:]
    rest = {p.parameters["peclet"]: i for i, p in enumerate(problems[1:], 1)}
    assert order[0] == rest[min(rest, key=lambda pe: abs(pe - problems[0].parameters["peclet"]))]


def test_low_modes_keep_distances_of_smooth_fields():
    x = (np.arange(32) + 0.5) / 32
    one, other = (np.cos(np.pi * m * x)[:, None] * np.cos(np.pi * x)[None, :] for m in (2, 5))
    gap = np.linalg.norm(low_modes(one) - low_modes(other))
    assert gap == pytest.approx(np.linalg.norm(one - other))


@pytest.mark.parametrize(
    "family",
    [
        Darcy(12),
        Darcy(6, dim=3),
        Helmholtz(8, wavenumber=5.0, variation=0.2),
        ConvectionDiffusion(8),
        Obstacles((16, 16)),
        Poisson((6, 6)),
        SKRDarcy(8),
        MeshPoisson(4, variance=1.0),
    ],
    ids=lambda f: f.family_name,
)
def test_every_family_has_features_of_one_length(family):
    sizes = {problem_features(family.sample(seed), family).shape for seed in (0, 1)}
    if family.family_name != "mesh-poisson":
        assert len(sizes) == 1
    assert all(len(size) == 1 for size in sizes)
