"""Systems in files: Matrix Market, Harwell-Boeing, NumPy archives and HDF5.

Layouts:

- ``.mtx``, ``.mtx.gz``: Matrix Market, coordinate or array. As in the SuiteSparse collection, ``name_b.mtx``
  and ``name_x.mtx`` beside ``name.mtx`` (gzip-compressed or not) are taken as right-hand side and solution.
- ``.rb``, ``.hb``, ``.rua``: Harwell-Boeing, as far as SciPy reads it (real, assembled, unsymmetric).
- ``.npz``: the keys of ``scipy.sparse.save_npz``, or a dense array ``A``; with optional vectors ``b`` and
  ``x``.
- ``.h5``, ``.hdf5``: datasets ``data``, ``indices``, ``indptr``, ``shape`` (CSR) in the root, in a group
  ``A``, or in the only group; or a dense dataset ``A``; with optional vectors ``b`` and ``x`` beside them.

Whether a matrix is symmetric is decided by comparing it with its conjugate transpose entry by entry; headers
are not believed (and "symmetric" in the header of a complex file does not mean equal to its CONJUGATE
transpose).
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io
from scipy.sparse import coo_array, csr_array, issparse, load_npz

from ..linalg import CSROperator, is_hermitian
from .base import Problem
from .matrix_market import read_matrix_market

__all__ = ["load", "load_vector", "save"]

Array = npt.NDArray[Any]
SUFFIXES = (".mtx", ".mtx.gz", ".rb", ".hb", ".rua", ".npz", ".h5", ".hdf5")
#: What readers raise on a file that is not what its name says.
READER_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
SPARSE_KEYS = ("data", "indices", "indptr", "shape")


def load(path: str | Path) -> Problem:
    r"""Read a matrix, and a right-hand side if the file holds one.

    Parameters
    ----------
    path : str or path
        Matrix Market (``.mtx``, ``.mtx.gz``), Harwell-Boeing (``.rb``, ``.hb``, ``.rua``), ``.npz`` or HDF5
        (``.h5``, ``.hdf5``); the layouts are listed at the head of `ritzkit.problems.files`.

    Returns
    -------
    Problem
        ``A`` is a `CSROperator` (explicit zeros kept, whole numbers as float64, ones for files that hold a
        pattern only), square or rectangular, with ``symmetric`` decided by exact comparison. Without a
        right-hand side in the file, ``b = A @ ones`` and ``x = ones``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, cut off, malformed, of an unknown kind, or holds NaN or infinity; one line that
        says what is wrong and where.
    ImportError
        For HDF5 without the extra ``data``.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.mtx"
    >>> _ = path.write_text("%%MatrixMarket matrix coordinate real symmetric\n2 2 3\n1 1 2\n2 1 -1\n2 2 2\n")
    >>> problem = load(path)
    >>> problem.A.tocsr().toarray().tolist(), problem.A.symmetric, problem.b.tolist()
    ([[2.0, -1.0], [-1.0, 2.0]], True, [1.0, 1.0])
    """
    path = Path(path)
    suffix = _suffix(path)
    _check_file(path)
    reader = {
        ".mtx": _read_mtx,
        ".mtx.gz": _read_mtx,
        ".npz": _read_npz,
        ".h5": _read_hdf5,
        ".hdf5": _read_hdf5,
    }.get(suffix, _read_harwell_boeing)
    with _reading(path, suffix):
        return _problem(*reader(path), path.name[: -len(suffix)], suffix)


def load_vector(path: str | Path) -> Array:
    """Read a right-hand side of its own.

    Parameters
    ----------
    path : str or path
        Matrix Market (a matrix of one column or one row, array or coordinate), ``.npy``, ``.npz`` (key ``b``,
        or the only array) or HDF5 (dataset ``b``).

    Returns
    -------
    ndarray
        Floating or complex, shape ``(n,)``.

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        As for `load`.

    Examples
    --------
    >>> import tempfile, pathlib, numpy as np
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "b.npy"
    >>> np.save(path, np.arange(3))
    >>> load_vector(path).tolist()
    [0.0, 1.0, 2.0]
    """
    path = Path(path)
    suffix = _suffix(path, (".mtx", ".mtx.gz", ".npy", ".npz", ".h5", ".hdf5"))
    _check_file(path)
    with _reading(path, suffix):
        if suffix in (".mtx", ".mtx.gz"):
            values = read_matrix_market(path)
        elif suffix == ".npy":
            with open(path, "rb") as stream:
                values = np.load(stream, allow_pickle=False)
        elif suffix == ".npz":
            with _archive(path) as archive:
                key = archive.files[0] if len(archive.files) == 1 else "b"
                values = archive[key]
        else:
            with _h5py().File(path, "r") as file:
                values = file["b"][()]
        shape = tuple(values.shape)
        if len(shape) not in (1, 2) or (len(shape) == 2 and 1 not in shape):
            raise _Complaint(f"has shape {shape}: wanted a vector, one column or one row")
        return _vector("it", values, int(np.prod(shape)), "entries")


def _check_file(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, wanted a file")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty")


@contextmanager
def _reading(path: Path, suffix: str) -> Iterator[None]:
    """Turn whatever a reader raises into one line with the path."""
    try:
        yield
    except (ImportError, PermissionError):
        raise
    except _Complaint as error:
        raise ValueError(f"{path}: {error}") from None
    except READER_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: cannot be read as {suffix} ({reason})") from None


class _Complaint(ValueError):
    """What is wrong with a file, without its path."""


def _suffix(path: Path, known: tuple[str, ...] = SUFFIXES) -> str:
    for suffix in sorted(known, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return suffix
    raise ValueError(f"{path}: unknown kind of file: wanted a name that ends in {', '.join(known)}")


def _problem(matrix: Any, b: Any, x: Any, name: str, suffix: str) -> Problem:
    A = _canonical(matrix)
    rows, columns = A.shape
    if b is not None:
        b = _vector("b", b, rows, "rows")
        if x is not None:
            x = _vector("x", x, columns, "columns")
    elif x is not None:
        x = _vector("x", x, columns, "columns")
        b = A @ x
    else:
        x = np.ones(columns, dtype=A.dtype)
        b = A @ x
    operator = CSROperator(A, symmetric=is_hermitian(A))
    parameters = {
        "family": "file",
        "format": suffix.removeprefix("."),
        "shape": (rows, columns),
        "nnz": int(A.nnz),
        "symmetric": operator.symmetric,
    }
    return Problem(operator, b, x, None, parameters, name)


def _canonical(matrix: Any) -> csr_array:
    if not issparse(matrix):
        matrix = np.asarray(matrix)
        if matrix.ndim != 2:
            raise _Complaint(f"A has {matrix.ndim} axes: wanted a matrix")
    if matrix.dtype.kind not in "biufc":
        raise _Complaint(f"A has entries of type {matrix.dtype}: wanted numbers")
    if min(matrix.shape) == 0:
        raise _Complaint(f"A has shape {tuple(matrix.shape)}: wanted at least one row and one column")
    A = csr_array(matrix)
    if A.dtype.char not in "fdFD":
        A = A.astype(np.complex128 if A.dtype.kind == "c" else np.float64)
    A.sum_duplicates()
    bad = int((~np.isfinite(A.data)).sum())
    if bad:
        raise _Complaint(f"A holds {bad} NaN or infinite entries")
    return A


def _vector(name: str, values: Any, length: int, what: str) -> Array:
    if issparse(values):
        values = values.toarray()
    v = np.asarray(values)
    if v.dtype.kind not in "biufc":
        raise _Complaint(f"{name} has entries of type {v.dtype}: wanted numbers")
    if v.ndim == 2 and 1 in v.shape:
        v = v.reshape(-1)
    if v.shape != (length,):
        raise _Complaint(f"{name} has shape {v.shape}: wanted ({length},), the number of {what} of A")
    if not np.isfinite(v).all():
        raise _Complaint(f"{name} holds {int((~np.isfinite(v)).sum())} NaN or infinite entries")
    return v if v.dtype.char in "fdFD" else v.astype(np.float64)


# --- readers: each returns (matrix, b or None, x or None) ---


def _read_mtx(path: Path) -> tuple[Any, Any, Any]:
    stem = path.name[: -len(_suffix(path))]
    found: dict[str, Any] = {}
    if not stem.endswith(("_b", "_x")):
        for key in ("b", "x"):
            for suffix in (".mtx", ".mtx.gz"):
                beside = path.with_name(f"{stem}_{key}{suffix}")
                if key not in found and beside.is_file():
                    try:
                        found[key] = read_matrix_market(beside)
                    except (ValueError, OSError, EOFError, zlib.error) as error:
                        raise _Complaint(f"beside it, {beside.name} cannot be read ({error})") from None
    return read_matrix_market(path), found.get("b"), found.get("x")


def _read_harwell_boeing(path: Path) -> tuple[Any, Any, Any]:
    try:
        return scipy.io.hb_read(path, spmatrix=False), None, None
    except Exception as error:  # the reader has exception classes of its own
        raise ValueError(error) from None


@contextmanager
def _archive(path: Path) -> Iterator[Any]:
    """Open a NumPy archive; the stream is ours, because NumPy leaves it open when the archive is broken."""
    if not zipfile.is_zipfile(path):
        raise _Complaint("it is not a NumPy archive (no zip file, or one that is cut off)")
    with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
        yield archive


def _read_npz(path: Path) -> tuple[Any, Any, Any]:
    with _archive(path) as archive:
        names = set(archive.files)
        b = archive["b"] if "b" in names else None
        x = archive["x"] if "x" in names else None
        if "A" in names:
            return archive["A"], b, x
        if "format" not in names:
            raise _Complaint(
                f"holds {', '.join(sorted(names)) or 'nothing'}: wanted the keys of scipy.sparse.save_npz, "
                "or a dense array A"
            )
    with open(path, "rb") as stream:
        matrix = load_npz(stream)
    if hasattr(matrix, "indptr"):
        matrix.check_format(full_check=True)
    return matrix, b, x


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise ImportError('HDF5 files need h5py: python -m pip install "ritzkit[data]"') from None
    return h5py


def _read_hdf5(path: Path) -> tuple[Any, Any, Any]:
    h5py = _h5py()
    with h5py.File(path, "r") as file:
        group = file
        if "A" in file and isinstance(file["A"], h5py.Group):
            group = file["A"]
        elif not (set(SPARSE_KEYS[:3]) <= set(file) or "A" in file):
            groups = [file[key] for key in file if isinstance(file[key], h5py.Group)]
            if len(groups) == 1:
                group = groups[0]
        vectors = {key: place[key][()] for key in ("b", "x") for place in (group, file) if key in place}
        if "A" in group:
            return group["A"][()], vectors.get("b"), vectors.get("x")
        if not set(SPARSE_KEYS[:3]) <= set(group):
            raise _Complaint(
                f"holds {', '.join(sorted(group)) or 'nothing'}: wanted datasets data, indices, indptr and "
                "shape, or a dense dataset A"
            )
        parts = {key: group[key][()] for key in SPARSE_KEYS[:3]}
        shape = group["shape"][()] if "shape" in group else group.attrs.get("shape")
        if shape is None:
            raise _Complaint("holds no shape: wanted a dataset 'shape' with the numbers of rows and columns")
    rows, columns = (int(n) for n in shape)
    matrix = csr_array((parts["data"], parts["indices"], parts["indptr"]), shape=(rows, columns))
    matrix.check_format(full_check=True)
    return matrix, vectors.get("b"), vectors.get("x")


# --- writing ---


def save(problem: Problem, path: str | Path) -> None:
    """Write a problem so that `load` reads it back.

    Parameters
    ----------
    problem : Problem
        Its operator must be able to assemble itself (``tocsr``).
    path : str or path
        A name that ends in ``.mtx``, ``.mtx.gz``, ``.npz``, ``.h5`` or ``.hdf5``. Matrix Market holds one
        matrix, so the vectors go into ``name_b.mtx`` and ``name_x.mtx`` beside it.

    Raises
    ------
    ValueError
        If the kind of file cannot be written.
    TypeError
        If the operator has no matrix.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from ritzkit.problems import Poisson
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "poisson.npz"
    >>> save(Poisson((4, 4)).sample(rng=0), path)
    >>> load(path).A.shape
    (16, 16)
    """
    path = Path(path)
    suffix = _suffix(path)
    A = problem.A.tocsr()
    vectors = {key: value for key, value in (("b", problem.b), ("x", problem.x)) if value is not None}
    if suffix in (".mtx", ".mtx.gz"):
        stem = path.name[: -len(suffix)]
        _write_matrix_market(
            path, coo_array(A), "symmetric" if problem.A.symmetric and A.dtype.kind == "f" else "general"
        )
        for key, value in vectors.items():
            _write_matrix_market(path.with_name(f"{stem}_{key}{suffix}"), value[:, None], "general")
    elif suffix == ".npz":
        _write_npz(path, A, vectors)
    elif suffix in (".h5", ".hdf5"):
        with _h5py().File(path, "w") as file:
            for key in SPARSE_KEYS[:3]:
                file.create_dataset(key, data=getattr(A, key))
            file.create_dataset("shape", data=np.array(A.shape, np.int64))
            for key, value in vectors.items():
                file.create_dataset(key, data=value)
    else:
        raise ValueError(f"{path}: cannot write {suffix} files: wanted .mtx, .mtx.gz, .npz, .h5 or .hdf5")


def _write_matrix_market(path: Path, matrix: Any, symmetry: str) -> None:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "wb") as stream:
        scipy.io.mmwrite(stream, matrix, symmetry=symmetry, precision=17)


def _write_npz(path: Path, A: csr_array, vectors: Mapping[str, Array]) -> None:
    arrays: dict[str, Any] = {key: getattr(A, key) for key in SPARSE_KEYS} | dict(vectors)
    arrays["format"] = np.array("csr".encode("ascii"))
    arrays["_is_array"] = np.array(True)
    with open(path, "wb") as stream:
        np.savez_compressed(stream, **arrays)
