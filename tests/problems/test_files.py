import builtins
import gzip
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

from ritzkit.problems import ConvectionDiffusion, Helmholtz, MeshPoisson, Poisson, load, load_vector, save

MATRICES = Path(__file__).resolve().parents[3] / "shared" / "data" / "matrices"
HEAD = "%%MatrixMarket matrix coordinate real general\n"

#: name, rows, columns, stored entries, symmetric
COLLECTION = [
    ("bcsstk16", 4884, 4884, 290378, True),
    ("bcsstk13", 2003, 2003, 83883, True),
    ("bcsstk09", 1083, 1083, 18437, True),
    ("494_bus", 494, 494, 1666, True),
    ("bayer10", 13436, 13436, 94926, False),
    ("cryg2500", 2500, 2500, 12349, False),
    ("fidapex6", 1651, 1651, 49533, False),
    ("ca-GrQc", 5242, 5242, 28980, True),
    ("luxembourg", 114599, 114599, 239332, True),
    ("adder_dcop_05", 1813, 1813, 11097, False),
    ("orsirr_1", 1030, 1030, 6858, False),
    ("Groebner_id2003_aug", 4967, 2456, 173670, False),
]


def h5py():
    return pytest.importorskip("h5py")


@pytest.mark.parametrize(
    ("name", "rows", "columns", "entries", "symmetric"), COLLECTION, ids=[c[0] for c in COLLECTION]
)
def test_the_collection_loads_with_its_facts(name, rows, columns, entries, symmetric):
    path = MATRICES / f"{name}.mtx.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    problem = load(path)
    assert problem.name == name
    assert problem.A.shape == (rows, columns)
    assert problem.A.tocsr().nnz == problem.parameters["nnz"] == entries
    assert problem.A.symmetric is symmetric
    assert problem.A.dtype == np.float64
    assert np.array_equal(problem.x, np.ones(columns))
    np.testing.assert_allclose(
        problem.b, problem.A.tocsr().sum(axis=1), rtol=1e-9, atol=1e-9 * abs(problem.A.tocsr()).max()
    )


@pytest.mark.parametrize("suffix", [".npz", ".mtx", ".mtx.gz", ".h5", ".hdf5", ".MTX"])
@pytest.mark.parametrize(
    "family",
    [
        Poisson((5, 6), rhs="solution"),
        Helmholtz(5, 6.0, "absorbing"),
        ConvectionDiffusion(5),
        MeshPoisson(n=4),
    ],
    ids=lambda family: family.family_name,
)
def test_round_trip(tmp_path, suffix, family):
    if suffix.startswith(".h"):
        h5py()
    problem = family.sample(0)
    path = tmp_path / f"one{suffix}"
    save(problem, path)
    back = load(path)
    assert back.name == "one"
    assert abs(back.A.tocsr() - problem.A.tocsr()).nnz == 0
    assert back.A.symmetric == problem.A.symmetric
    assert back.A.dtype == problem.A.dtype
    assert np.array_equal(back.b, problem.b)
    assert (problem.x is None) == (back.x is None)
    if problem.x is not None:
        assert np.array_equal(back.x, problem.x)


def test_scipy_archives_and_dense_archives(tmp_path):
    A = sp.random_array((5, 4), density=0.5, rng=0)
    for name in ("csr", "csc", "coo", "bsr"):
        sp.save_npz(tmp_path / "a.npz", A.asformat(name))
        np.testing.assert_array_equal(load(tmp_path / "a.npz").A.tocsr().toarray(), A.toarray())
    np.savez(tmp_path / "dense.npz", A=np.arange(6).reshape(2, 3), x=[1, 0, 1])
    problem = load(tmp_path / "dense.npz")
    assert problem.b.tolist() == [2.0, 8.0]
    assert problem.A.dtype == np.float64


def test_hdf5_layouts(tmp_path):
    file_type = h5py().File
    A = sp.csr_array(np.array([[2.0, 0, 1], [0, 3, 0], [1, 0, 2]]))
    for group in ("", "A", "matrix"):
        with file_type(tmp_path / "a.h5", "w") as file:
            place = file.create_group(group) if group else file
            for key in ("data", "indices", "indptr", "shape"):
                place[key] = np.asarray(getattr(A, key))
            file["b"] = [1.0, 2.0, 3.0]
        problem = load(tmp_path / "a.h5")
        np.testing.assert_array_equal(problem.A.tocsr().toarray(), A.toarray())
        assert problem.b.tolist() == [1.0, 2.0, 3.0]
        assert problem.A.symmetric
    with file_type(tmp_path / "dense.h5", "w") as file:
        file["A"] = A.toarray()
    assert load(tmp_path / "dense.h5").x.tolist() == [1.0] * 3


def test_pattern_integer_and_array_files(tmp_path):
    path = tmp_path / "a.mtx"
    path.write_text("%%MatrixMarket matrix coordinate pattern symmetric\n3 3 3\n1 1\n2 1\n3 3\n")
    assert load(path).A.tocsr().toarray().tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 1]]
    path.write_text("%%MatrixMarket matrix coordinate integer general\n2 2 2\n1 1 3\n2 1 4\n")
    assert load(path).A.dtype == np.float64
    path.write_text("%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4\n")
    assert load(path).A.tocsr().toarray().tolist() == [[1, 3], [2, 4]]


def test_symmetric_means_equal_to_the_conjugate_transpose(tmp_path):
    path = tmp_path / "a.mtx"
    head = "%%MatrixMarket matrix coordinate complex {}\n2 2 3\n1 1 1 0\n2 1 0 1\n2 2 1 0\n"
    path.write_text(head.format("symmetric"))
    assert load(path).A.symmetric is False
    path.write_text(head.format("hermitian"))
    assert load(path).A.symmetric is True


def test_harwell_boeing(tmp_path):
    path = tmp_path / "a.rb"
    A = sp.csc_array(np.array([[1.0, 2, 0], [0, 3, 0], [4, 0, 5]]))
    scipy.io.hb_write(path, A)
    np.testing.assert_array_equal(load(path).A.tocsr().toarray(), A.toarray())


def test_right_hand_side_beside_a_matrix(tmp_path):
    (tmp_path / "a.mtx").write_text(HEAD + "2 2 2\n1 1 2\n2 2 4\n")
    vector = "%%MatrixMarket matrix array real general\n{} 1\n1\n2\n"
    (tmp_path / "a_b.mtx").write_text(vector.format(2))
    assert load(tmp_path / "a.mtx").b.tolist() == [1.0, 2.0]
    (tmp_path / "a_b.mtx").write_text(vector.format(3))
    with pytest.raises(ValueError, match=r"a\.mtx: beside it, a_b\.mtx cannot be read"):
        load(tmp_path / "a.mtx")


def test_vectors(tmp_path):
    (tmp_path / "b.mtx").write_text("%%MatrixMarket matrix array real general\n2 1\n1\n2\n")
    np.save(tmp_path / "b.npy", np.array([[1.0], [2.0]]))
    np.savez(tmp_path / "b.npz", b=[1, 2], other=[3])
    for name in ("b.mtx", "b.npy", "b.npz"):
        assert load_vector(tmp_path / name).tolist() == [1.0, 2.0]
    for name, values in (("c.npy", np.eye(2)), ("d.npy", np.array([np.nan])), ("e.npy", np.array(["a"]))):
        np.save(tmp_path / name, values)
        with pytest.raises(ValueError, match=name):
            load_vector(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"none\.npy"):
        load_vector(tmp_path / "none.npy")
    (tmp_path / "f.npz").write_bytes(b"PK\x03\x04 rubbish")
    with pytest.raises(ValueError, match="not a NumPy archive"):
        load_vector(tmp_path / "f.npz")


def npz(**arrays):
    import io

    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


CSR = {"data": np.ones(3), "indices": [0, 1, 2], "indptr": [0, 1, 2, 3], "shape": [3, 3], "format": b"csr"}
GOOD = (HEAD + "3 3 3\n1 1 1.5\n2 2 2.5\n3 3 3.5\n").encode()

BROKEN = {
    "empty.mtx": (b"", "empty"),
    "text.mtx": (b"hello\n", "MatrixMarket"),
    "binary.mtx": (bytes(range(256)) * 8, "MatrixMarket"),
    "head_only.mtx": (HEAD.encode(), "cannot be read"),
    "cut.mtx": (GOOD[:-8], "cut off: 3 entries announced, 2 found"),
    "too_long.mtx": (GOOD + b"1 2 3\n", "too long"),
    "word.mtx": (GOOD.replace(b"2.5", b"two"), "could not convert"),
    "outside.mtx": (GOOD.replace(b"3 3 3.5", b"4 3 3.5"), "outside of 3 rows"),
    "nan.mtx": (GOOD.replace(b"2.5", b"nan"), "1 NaN or infinite"),
    "inf.mtx": (GOOD.replace(b"2.5", b"inf"), "1 NaN or infinite"),
    "no_rows.mtx": ((HEAD + "0 0 0\n").encode(), r"shape \(0, 0\)"),
    "compressed.mtx": (gzip.compress(GOOD), "MatrixMarket"),
    "plain.mtx.gz": (GOOD, "gzip"),
    "cut.mtx.gz": (gzip.compress(GOOD)[:-12], "cannot be read"),
    "garbage.mtx.gz": (b"\x1f\x8b" + bytes(50), "cannot be read"),
    "text.rb": (b"hello\n", "cannot be read"),
    "binary.hb": (bytes(range(256)) * 8, "cannot be read"),
    "text.npz": (b"hello", "not a NumPy archive"),
    "half.npz": (npz(**CSR)[:200], "not a NumPy archive"),
    "no_matrix.npz": (npz(z=np.ones(2)), "holds z"),
    "object.npz": (npz(A=np.array([[1, None]], dtype=object)), "cannot be read"),
    "vector.npz": (npz(A=np.ones(3)), "1 axes"),
    "words.npz": (npz(A=np.array([["a"]])), "wanted numbers"),
    "index.npz": (npz(**CSR | {"indices": [0, 1, 9]}), "cannot be read"),
    "lengths.npz": (npz(**CSR | {"data": np.ones(2)}), "cannot be read"),
    "short_b.npz": (npz(A=np.eye(3), b=np.ones(4)), r"b has shape \(4,\)"),
    "nan_b.npz": (npz(A=np.eye(2), b=[1, np.nan]), "b holds 1 NaN"),
    "short_x.npz": (npz(A=np.eye(3), b=np.ones(3), x=np.ones(2)), r"x has shape \(2,\)"),
    "wrong.txt": (b"1 2 3", "unknown kind of file"),
    "none": (b"1 2 3", "unknown kind of file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_in_one_line(tmp_path, name):
    content, words = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"hello", b"\x89HDF\r\n\x1a\n" + bytes(100)], ids=["text", "cut"])
def test_broken_hdf5_is_refused_in_one_line(tmp_path, content):
    h5py()
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_hdf5_without_a_matrix(tmp_path):
    with h5py().File(tmp_path / "a.h5", "w") as file:
        file["u"] = [1.0]
    with pytest.raises(ValueError, match="holds u: wanted datasets"):
        load(tmp_path / "a.h5")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.mtx"):
        load(tmp_path / "none.mtx")
    (tmp_path / "folder.mtx").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        load(tmp_path / "folder.mtx")


def test_hdf5_without_h5py_names_the_extra(tmp_path, monkeypatch):
    genuine = builtins.__import__

    def refuse(name, *rest, **more):
        if name == "h5py":
            raise ImportError(name)
        return genuine(name, *rest, **more)

    (tmp_path / "a.h5").write_bytes(b"x")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"ritzkit\[data\]"):
        load(tmp_path / "a.h5")


def test_saving_needs_a_known_kind_and_a_matrix(tmp_path):
    problem = Poisson((3, 3)).sample(0)
    for name in ("a.rb", "a.txt"):
        with pytest.raises(ValueError, match=r"a\.(rb|txt)"):
            save(problem, tmp_path / name)
    assert not list(tmp_path.iterdir())
