"""Files that are whole or not there: atomic writes, shards with a checksum of their own, one writer per folder.

A shard is one line of JSON that describes its arrays, their bytes one after the other, and the 32 bytes of the SHA-256
of all that (a NumPy archive would cost several copies and a second checksum). It appears under its name only after
all of it has reached the disk, so a run that is killed at any moment leaves whole shards and a file that is thrown away.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "PARTIAL",
    "checksum",
    "clean",
    "dumps",
    "locked",
    "read_shard",
    "write_atomic",
    "write_bytes",
    "write_shard",
]

PARTIAL = ".partial-"
DIGEST = 32


def dumps(content: Any) -> str:
    """Write JSON in one canonical way: sorted keys, no NaN."""
    return json.dumps(content, sort_keys=True, indent=1, allow_nan=False) + "\n"


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, bring it to the disk, then give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}{PARTIAL}{os.getpid()}")
    try:
        write(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""

    def write(partial: Path) -> None:
        partial.write_bytes(content)

    write_atomic(path, write)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_shard(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays as one shard."""
    whole = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    header = [[name, values.dtype.str, list(values.shape)] for name, values in whole.items()]

    def write(partial: Path) -> None:
        digest = hashlib.sha256()
        with partial.open("wb", buffering=0) as file:
            flat = [values.reshape(-1).view(np.uint8).data for values in whole.values()]
            for view in (memoryview(json.dumps(header).encode() + b"\n"), *flat):
                digest.update(view)
                rest = view
                while rest:
                    rest = rest[file.write(rest) :]
            file.write(digest.digest())

    write_atomic(path, write)


def read_shard(path: Path) -> dict[str, npt.NDArray[Any]] | None:
    """Read a shard; None if it is not there, cut off or changed."""
    try:
        content = memoryview(path.read_bytes())
    except OSError:
        return None
    body, digest = content[:-DIGEST], content[-DIGEST:]
    if len(content) <= DIGEST or hashlib.sha256(body).digest() != digest:
        return None
    at = bytes(body[:4096]).find(b"\n") + 1
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, kind, shape in json.loads(bytes(body[:at])):
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(body, np.dtype(kind), count, at).reshape(shape)
        at += arrays[name].nbytes
    return arrays


def clean(folder: Path) -> None:
    """Throw away what writers that were killed left behind."""
    for leftover in folder.rglob(f"*{PARTIAL}*"):
        leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder: a second run into it is refused. The system lets go when the process ends, however it ends.

    Raises
    ------
    ValueError
        If another run holds it.
    """
    try:
        import fcntl
    except ImportError:  # a system without such locks
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ValueError(f"out: another run is writing into {folder}; wait for it, or give another folder") from None
    except OSError:  # a file system without such locks
        os.close(handle)
        yield
        return
    try:
        yield
    finally:
        os.close(handle)
