"""Helpers for the tests of discretisations."""

import numpy as np
import pytest
from scipy.sparse.linalg import splu


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    """On a busy machine BLAS threads that wait for each other slow small solves down many times."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(1, user_api="blas"):
        yield


def observed_orders(error, sizes):
    """Observed orders of convergence: error(n) is called for growing n, errors are compared pairwise."""
    errors = np.array([error(n) for n in sizes])
    assert np.isfinite(errors).all()
    assert (errors > 0).all()
    return np.log(errors[:-1] / errors[1:]) / np.log(np.array(sizes[1:]) / np.array(sizes[:-1]))


@pytest.fixture
def orders():
    return observed_orders


def direct(A, b):
    """Solve with a sparse direct factor; in a declared null space by borders."""
    matrix = A.tocsr().tocsc()
    if A.nullspace is None:
        return splu(matrix).solve(b)
    import scipy.sparse as sp

    Z = A.nullspace
    k = Z.shape[1]
    bordered = sp.block_array([[matrix, Z], [Z.T, None]], format="csc")
    return splu(bordered).solve(np.concatenate([b, np.zeros(k)]))[:-k]


@pytest.fixture
def solve():
    return direct
