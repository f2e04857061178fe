"""Structural checks of a single file without a manifest: keys, shapes, types, finite numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .hdf5 import STEP

__all__ = ["check_file"]


def check_file(path: Path) -> None:
    """Check a file by its ending.

    Raises
    ------
    ValueError
        What is wrong with it, and with which sample.
    """
    suffix = path.suffix.lower()
    reader = {".pt": _pt, ".mat": _mat, ".h5": _hdf5, ".hdf5": _hdf5}.get(suffix)
    if reader is None:
        raise ValueError(f"{path}: of an unknown kind; wanted .h5, .hdf5, .pt or .mat")
    try:
        reader(path)
    except (OSError, RuntimeError, EOFError, KeyError, NotImplementedError) as error:
        raise ValueError(f"{path}: cannot be read: {str(error).splitlines()[0] if str(error) else error!r}") from None


def _arrays(path: Path, entries: dict[str, Any], single: bool) -> None:
    """Check arrays of one row per sample."""
    lengths = {name: len(values) for name, values in entries.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"{path}: numbers of samples differ: {told}")
    for name, values in entries.items():
        if values.ndim < 2:
            raise ValueError(f"{path}: {name} has shape {tuple(values.shape)}: wanted one row per sample")
        dtype = str(values.dtype).removeprefix("torch.")
        if single and dtype not in ("float32", "complex64"):
            raise ValueError(f"{path}: {name} is {dtype}: wanted float32, which readers do not cast to")
        for start in range(0, len(values), STEP):
            block = np.asarray(values[start : start + STEP])
            bad = ~np.isfinite(block).reshape(len(block), -1).all(axis=1)
            if bad.any():
                raise ValueError(f"{path}: sample {start + int(np.argmax(bad))}: {name} holds NaN or infinity")


def _need(path: Path, content: Any, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in content]
    if missing:
        raise ValueError(f"{path}: has no {', '.join(missing)}; it holds {', '.join(map(str, content)) or 'nothing'}")


def _pt(path: Path) -> None:
    from .formats import _torch

    content = _torch().load(path, weights_only=True)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds a {type(content).__name__}: wanted a dict of x and y")
    _need(path, content, ("x", "y"))
    _arrays(path, {name: content[name] for name in ("x", "y")}, single=True)


def _mat(path: Path) -> None:
    from scipy.io import loadmat

    content = loadmat(path)
    _need(path, content, ("coeff", "sol"))
    _arrays(path, {name: content[name] for name in ("coeff", "sol")}, single=True)


def _hdf5(path: Path) -> None:
    from .hdf5 import _h5py

    with _h5py().File(path, "r") as file:
        if "tensor" in file:
            _need(path, file, ("tensor", "nu", "x-coordinate", "y-coordinate"))
            _arrays(path, {name: file[name] for name in ("tensor", "nu")}, single=True)
        elif "t0_fields" in file:
            _need(path, file, ("dimensions", "boundary_conditions", "scalars", "t0_fields", "t1_fields", "t2_fields"))
            fields = file["t0_fields"]
            _arrays(path, {name: fields[name] for name in fields}, single=True)
        else:
            _need(path, file, ("x", "y"))
            _arrays(path, {name: file[name] for name in ("x", "y")}, single=False)
