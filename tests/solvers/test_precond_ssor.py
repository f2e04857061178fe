"""The SSOR preconditioner: two sweeps from zero, and Eisenstat's form in conjugate gradients."""

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from ritzkit.linalg.relaxation import Relaxation
from ritzkit.solvers.precond.ssor import ssor


def spd(n, dtype="d"):
    rng = np.random.default_rng(3)
    G = random_array((n, n), density=3.0 / n, rng=rng, data_sampler=rng.standard_normal)
    if dtype == "D":
        G = G + 1j * random_array((n, n), density=2.0 / n, rng=rng, data_sampler=rng.standard_normal)
    G = G @ G.conj().T
    return csr_array(G + csr_array(np.diag(np.linspace(0.5, 1, n))))


@pytest.mark.parametrize("omega", [0.7, 1.0, 1.6])
@pytest.mark.parametrize("dtype", ["d", "D"])
def test_it_is_a_symmetric_sweep_from_zero(omega, dtype):
    A = spd(60, dtype)
    r = np.random.default_rng(4).standard_normal(60).astype(dtype)
    x = np.zeros_like(r)
    Relaxation(A, omega).symmetric_sweep(x, r)
    np.testing.assert_allclose(ssor(A, omega) @ r, x, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("omega", [1.0, 1.5])
@pytest.mark.parametrize("dtype", ["d", "D"])
def test_eisenstat_form_makes_the_iterates_of_pcg(omega, dtype):
    A = spd(60, dtype)
    M = ssor(A, omega)
    form = M.eisenstat()
    b = np.random.default_rng(5).standard_normal(60).astype(dtype)
    x, r, z = np.zeros_like(b), b.copy(), M @ b
    p, rz = z.copy(), np.vdot(b, z).real
    hat_x, hat_r, hat_p, hat_q, mapped = (np.zeros_like(b) for _ in range(5))
    form.to_hat(b, hat_r)
    hat_rr, beta = np.vdot(hat_r, hat_r).real, 0.0
    for _ in range(10):
        q = A @ p
        alpha = rz / np.vdot(p, q).real
        x, r = x + alpha * p, r - alpha * q
        z = M @ r
        rz, old = np.vdot(r, z).real, rz
        p = z + (rz / old) * p

        curvature, _ = form.step(hat_r, beta, hat_p, hat_q)
        hat_x, hat_r = hat_x + (hat_rr / curvature) * hat_p, hat_r - (hat_rr / curvature) * hat_q
        hat_rr, old = np.vdot(hat_r, hat_r).real, hat_rr
        beta = hat_rr / old
        form.from_hat(hat_x, mapped)
        np.testing.assert_allclose(mapped, x, rtol=0, atol=1e-9 * np.abs(x).max())


def test_facts_update_and_refusals():
    A = spd(40)
    M = ssor(A, 1.2)
    assert M.symmetric
    assert M.positive_definite
    assert M.name == "ssor(1.2)"
    assert M.memory_bytes > 0
    first = M.eisenstat()
    M.update(csr_array(2.0 * A))
    r = np.random.default_rng(6).standard_normal(40)
    np.testing.assert_allclose(M @ r, (ssor(A, 1.2) @ r) / 2, rtol=1e-13)
    assert M.eisenstat() is not first
    for omega in (0.0, 2.0, -1.0, np.nan, "1", None, [1.0]):
        with pytest.raises(ValueError, match="omega is"):
            ssor(A, omega)
    with pytest.raises(np.linalg.LinAlgError, match="row 1"):
        ssor(csr_array(np.diag([1.0, 0.0])))
    with pytest.raises(ValueError, match="not symmetric"):
        ssor(csr_array([[2.0, 1.0], [0.0, 2.0]]))
    with pytest.raises(ValueError, match="shape"):
        M.update(spd(10))
