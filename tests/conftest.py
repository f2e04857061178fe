"""Shared fixtures. Matrix makers are named after the property they have (see `makers`)."""

import os

# tiny dense products need no threads, and OpenBLAS's wait for each other by spinning, which is slow on a busy machine
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pathlib

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


@pytest.fixture(scope="session")
def repository():
    return ROOT


@pytest.fixture(scope="session")
def matrix_folder():
    """Folder of real matrices beside a checkout; tests that want it are skipped where it is absent."""
    folder = pathlib.Path(os.environ.get("RITZKIT_MATRICES", ROOT.parent / "shared" / "data" / "matrices"))
    if not folder.is_dir():
        pytest.skip("no folder of matrices (set RITZKIT_MATRICES)")
    return folder
