import itertools

import numpy as np
import pytest

from ritzkit.problems import Heat


def exact_state(family, time, rng):
    """Semi-discrete solution by the eigenvectors of the operator (constant source, fixed matrix)."""
    first = family.sample(rng)
    u0 = first.fields["previous"]
    theta = 1.0 if family.scheme == "backward-euler" else 0.5
    L = (first.A.tocsr().toarray() - np.eye(len(u0)) / family.dt) / theta
    values, vectors = np.linalg.eigh(L)
    c, f = vectors.T @ u0, vectors.T @ np.full(len(u0), family.source)
    decay = np.exp(-values * time)
    return vectors @ (decay * c + f * np.where(values > 1e-9, (1 - decay) / np.maximum(values, 1e-9), time))


@pytest.mark.parametrize(("scheme", "order"), [("backward-euler", 1.0), ("crank-nicolson", 2.0)])
@pytest.mark.parametrize("shape", [(8, 8), (4, 5, 4)], ids=str)
@pytest.mark.parametrize("sides", ["dirichlet", "neumann"])
def test_order_in_time(scheme, order, shape, sides, orders):
    time = 0.02

    def error(steps):
        family = Heat(shape, time / steps, steps, scheme, variance=0.3, length=0.3, source=2.0, sides=sides)
        last = list(family.sequence(3))[-1]
        exact = exact_state(family, time, 3)
        return np.linalg.norm(last.x - exact) / np.linalg.norm(exact)

    assert orders(error, (16, 32, 64))[-1] == pytest.approx(order, abs=0.12)


@pytest.mark.parametrize("scheme", ["backward-euler", "crank-nicolson"])
@pytest.mark.parametrize("drift", [0.0, 0.3])
def test_every_system_follows_from_the_exact_step_before(scheme, drift):
    family = Heat((6, 7), 0.01, 4, scheme, drift=drift, source=1.0)
    steps = list(family.sequence(1))
    assert len(steps) == 4
    for before, after in itertools.pairwise(steps):
        assert np.array_equal(after.fields["previous"], before.x)
        assert (after.A is before.A) == (drift == 0.0)
    for step in steps:
        assert np.linalg.norm(step.A @ step.x - step.b) < 1e-12 * np.linalg.norm(step.b)
        assert step.A.positive_definite
        assert step.A.nullspace is None


def test_sample_is_the_first_step_of_the_sequence():
    family = Heat((6, 6))
    sample, first = family.sample(4), next(family.sequence(4))
    assert np.array_equal(sample.b, first.b)
    assert sample.x is None
    assert first.x is not None


def test_a_closed_box_keeps_its_heat():
    steps = list(Heat((8, 8), sides="neumann", drift=0.2).sequence(0))
    start = steps[0].fields["previous"].sum()
    assert all(step.x.sum() == pytest.approx(start, abs=1e-9) for step in steps)


def test_a_drifting_diffusivity_keeps_its_variance():
    logs = [
        np.log(p.fields["coefficient"])
        for p in Heat((24, 24), steps=20, drift=0.3, variance=0.5, length=0.05).sequence(2)
    ]
    assert np.var(logs) == pytest.approx(0.5, rel=0.2)
    assert np.abs(logs[0] - logs[-1]).max() > 0.5


def test_large_systems_are_solved_iteratively(monkeypatch):
    from ritzkit.problems import exact

    direct = list(Heat((9, 9), steps=3).sequence(0))[-1].x
    monkeypatch.setattr(exact, "DIRECT_LIMIT", {2: 10, 3: 10})
    iterative = list(Heat((9, 9), steps=3).sequence(0))[-1].x
    np.testing.assert_allclose(iterative, direct, rtol=1e-9, atol=1e-11)
