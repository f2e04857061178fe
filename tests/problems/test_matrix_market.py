import gzip

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from ritzkit.problems import ConvectionDiffusion, load, save
from ritzkit.problems.matrix_market import read_matrix_market

LOWER = np.array([[2.0, 0, 0], [-1.5, 3, 0], [0, 4, 0]])
FULL = {
    "general": LOWER,
    "symmetric": LOWER + np.tril(LOWER, -1).T,
    "skew-symmetric": np.tril(LOWER, -1) - np.tril(LOWER, -1).T,
    "hermitian": LOWER + 1j * np.tril(LOWER, -1) + (np.tril(LOWER, -1) - 1j * np.tril(LOWER, -1)).T,
}


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


@pytest.mark.parametrize("layout", ["coordinate", "array"])
@pytest.mark.parametrize(
    ("symmetry", "field"),
    [(s, f) for s in FULL for f in ("real", "complex", "integer") if s != "hermitian" or f == "complex"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_reads_what_scipy_writes(tmp_path, symmetry, layout, field, packed):
    matrix = FULL[symmetry]
    if field == "integer":
        matrix = np.round(2 * matrix).astype(int)
    elif field == "complex" and symmetry != "hermitian":
        matrix = matrix * (1 + 2j)
    path = tmp_path / "a.mtx"
    scipy.io.mmwrite(path, sp.coo_array(matrix) if layout == "coordinate" else matrix, symmetry=symmetry)
    if packed:
        path = tmp_path / "a.mtx.gz"
        path.write_bytes(gzip.compress((tmp_path / "a.mtx").read_bytes()))
    np.testing.assert_array_equal(dense(read_matrix_market(path)), matrix)


def test_comments_blank_lines_capitals_and_fortran_spacing(tmp_path):
    path = tmp_path / "a.mtx"
    path.write_text(
        "%%MatrixMarket MATRIX Coordinate Real General\r\n% a comment\r\n\r\n%\r\n  2   3  2 \r\n"
        "  1   1   1.0E+00\r\n%between\r\n\r\n  2   3  -2.5e-1"
    )
    assert dense(read_matrix_market(path)).tolist() == [[1, 0, 0], [0, 0, -0.25]]


def test_patterns_and_empty_matrices(tmp_path):
    path = tmp_path / "a.mtx"
    path.write_text("%%MatrixMarket matrix coordinate pattern skew-symmetric\n2 2 1\n2 1\n")
    assert dense(read_matrix_market(path)).tolist() == [[0, -1], [1, 0]]
    path.write_text("%%MatrixMarket matrix coordinate real general\n2 3 0\n")
    assert dense(read_matrix_market(path)).tolist() == [[0] * 3] * 2


HEAD = "%%MatrixMarket matrix coordinate real general\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not start"),
        ("%%MatrixMarket matrix coordinate real\n1 1 1\n1 1 1\n", "first line is"),
        ("%%MatrixMarket tensor coordinate real general\n", "first line is"),
        ("%%MatrixMarket matrix coordinate quaternion general\n", "first line says"),
        ("%%MatrixMarket matrix array pattern general\n", "array pattern"),
        (HEAD, "before the line of sizes"),
        (HEAD + "2 2\n", "line of sizes"),
        (HEAD + "2 2 -1\n", "line of sizes"),
        (HEAD + "2 2 1.5\n", "line of sizes"),
        (HEAD + "2 2 99999999999999999999\n", "too large"),
        (HEAD + "2 2 1\n", "1 entries announced, 0 found"),
        (HEAD + "2 2 2\n1 1 1\n", "2 entries announced, 1 found"),
        (HEAD + "2 2 1\n1 1 1\n2 2 1\n", "1 entries announced, 2 found"),
        (HEAD + "2 2 1\n1 1 1e+", "could not convert"),
        (HEAD + "2 2 1\n1 1\n", "2 numbers each: wanted 3"),
        (HEAD + "2 2 1\n1 1 1 1\n", "4 numbers each: wanted 3"),
        (HEAD + "2 2 1\n0 1 1\n", "entry 1 stands at"),
        (HEAD + "2 2 2\n1 1 1\n1 3 1\n", "entry 2 stands at"),
        (HEAD + "2 2 1\n1.5 1 1\n", "entry 1 stands at"),
        (HEAD + "2 2 1\nnan 1 1\n", "entry 1 stands at"),
        (HEAD.replace("general", "symmetric") + "2 3 1\n1 1 1\n", "cannot have 2 rows and 3 columns"),
        (HEAD.replace("general", "skew-symmetric") + "2 2 1\n1 1 1\n", "on its diagonal"),
        ("%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n", "4 entries announced, 3 found"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, words):
    path = tmp_path / "a.mtx"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_matrix_market(path)


@pytest.mark.parametrize("suffix", [".mtx", ".mtx.gz", ".npz", ".h5"])
def test_damaged_files_raise_nothing_but_value_errors(tmp_path, suffix):
    if suffix == ".h5":
        pytest.importorskip("h5py")
    save(ConvectionDiffusion(3).sample(0), tmp_path / f"good{suffix}")
    (tmp_path / f"good_b{suffix}").unlink(missing_ok=True)
    good = (tmp_path / f"good{suffix}").read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / f"bad{suffix}"
    refused = []
    for _ in range(150):
        bad = bytearray(good)
        match rng.integers(3):
            case 0:
                bad = bad[: rng.integers(1, len(bad))]
            case 1:
                for _ in range(rng.integers(1, 6)):
                    bad[rng.integers(len(bad))] = rng.integers(256)
            case _:
                at = rng.integers(len(bad))
                del bad[at : at + rng.integers(1, 20)]
        path.write_bytes(bad)
        try:
            load(path)
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 75
    assert all(str(path) in message and "\n" not in message for message in refused)
