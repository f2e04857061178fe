"""Files of recycled spaces: plain arrays and one JSON text in an ``.npz``, no pickles; written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_space", "write_archive", "write_space"]

Array = npt.NDArray[Any]
VERSION = 1


def write_space(space: Any, path: str | os.PathLike[str]) -> None:
    """Write a space, whole or not at all."""
    header = {
        "format": "ritzkit recycle space", "version": VERSION, "size": space.size, "storage": space.storage,
        "token": space.token, "norm": space._norm,
    }  # fmt: skip
    arrays: dict[str, Array] = {"header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)}
    for name, block in (("U", space._U), ("C", space._C), ("P", space._P), ("gain", space.gain)):
        if block is not None:
            arrays[name] = block
    write_archive(path, arrays)


def write_archive(path: str | os.PathLike[str], arrays: dict[str, Array]) -> None:
    """Write arrays to a file beside its place, then put it there in one step."""
    target = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_space(cls: Any, path: str | os.PathLike[str]) -> Any:
    """Read a space of a class from a file; ValueError unless it is sound."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays["header"].tobytes().decode())
        if header["format"] != "ritzkit recycle space":
            raise KeyError("format")
        space = cls(header["size"], storage=header["storage"])
        space._U, space._C, space._P = (arrays.get(name) for name in "UCP")
        space.gain, space.token, space._norm = arrays["gain"], header["token"], float(header["norm"])
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{os.fspath(path)} is not a saved RecycleSpace, or is damaged ({error})") from None
    if header["version"] > VERSION:
        raise ValueError(f"{os.fspath(path)} was written by a later version: update ritzkit")
    held = [block for block in (space._U, space._C, space._P) if block is not None]
    shapes = {block.shape for block in held}
    if len(shapes) > 1 or (held and space.gain.shape != held[0].shape[:1]):
        raise ValueError(f"{os.fspath(path)} holds arrays that do not fit together: it is damaged")
    if any(block.ndim != 2 or not np.isfinite(block).all() for block in held):
        raise ValueError(f"{os.fspath(path)} holds NaN or infinite numbers: it is damaged")
    return space
