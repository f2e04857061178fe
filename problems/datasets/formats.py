"""File formats: a plain one, and those that the libraries of neural operators load as they are.

============  ==================================================  =============================================
name          files                                               read by
============  ==================================================  =============================================
``h5``        ``<name>.h5``                                       anything; double precision, meshes too
``pt``        ``<name>_train_<res>.pt``, ``..._test_<res>.pt``    neuraloperator, ``PTDataset``
``mat``       ``<name>_r<res>_N<count>.mat`` (parts of 2 GB)      scripts of the Fourier neural operator, MATLAB
``pdebench``  ``2D_<name>_Train.hdf5``                            PDEBench, ``FNODatasetSingle``
``well``      ``data/train/<name>.hdf5``, ``data/test/...``       The Well, ``WellDataset``
============  ==================================================  =============================================

All but ``h5`` hold single precision (their readers cast the input but not the label). No file holds a date, a name of a
machine or anything else that differs between two runs.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import hdf5
from .layout import Layout
from .storage import write_bytes

__all__ = ["FORMATS", "Format", "Shard"]

Array = npt.NDArray[Any]
Shard = Mapping[str, Array]
MAT_LIMIT = 2**31 - 2**20


@dataclass(frozen=True)
class Format:
    """How a dataset is written and read.

    Attributes
    ----------
    write : callable
        ``write(folder, layout, shards)``: shards in order, whole files at the end; returns their names.
    read : callable
        ``read(folder, layout)`` yields ``(index, x, y)`` sample by sample, as a reader of the format sees them, real and
        imaginary parts joined again.
    grids, planar, real : bool
        Whether it needs a grid, one in two dimensions, real labels.
    exact : bool
        Whether labels are kept in double precision.
    split : bool
        Whether samples are parted into training and test.
    """

    name: str
    write: Callable[[Path, Layout, Iterable[Shard]], list[str]]
    read: Callable[[Path, Layout], Iterator[tuple[int, Array, Array]]]
    grids: bool = True
    planar: bool = True
    real: bool = False
    exact: bool = False
    split: bool = False
    single: bool = field(default=False)

    def check(self, layout: Layout) -> None:
        """Refuse data that the format cannot hold."""
        cure = "use format 'h5'"
        if self.grids and not layout.grid:
            raise ValueError(f"format is {self.name!r}, which needs a grid, but {layout.name} has none: {cure}")
        if self.planar and len(layout.grid) == 3:
            raise ValueError(
                f"format is {self.name!r}, which is for two dimensions, but {layout.name} has three: {cure}"
            )
        if self.real and layout.complex:
            raise ValueError(
                f"format is {self.name!r}, which holds real labels, but those of {layout.name} are complex: {cure}"
            )
        if self.single and len(layout.inputs) > 1:
            raise ValueError(
                f"format is {self.name!r}, which holds one input, but {layout.name} has {len(layout.inputs)} "
                f"({', '.join(layout.inputs)}): {cure}"
            )


def _columns(shards: Iterable[Shard], layout: Layout) -> tuple[Array, Array]:
    """All inputs and labels in single precision; complex ones as two channels, real and imaginary part."""
    x = np.empty((layout.count, *layout.x_shape), np.float32)
    y_shape = (2, *layout.y_shape) if layout.complex else layout.y_shape
    y = np.empty((layout.count, *y_shape), np.float32)
    at = 0
    for shard in shards:
        here = slice(at, at + len(shard["x"]))
        x[here] = shard["x"]
        y[here] = np.stack([shard["y"].real, shard["y"].imag], axis=1) if layout.complex else shard["y"]
        at = here.stop
    return x, y


def _pt_files(layout: Layout) -> list[tuple[str, slice]]:
    resolution = layout.grid[0]
    train = layout.count - layout.test
    names = [(f"{layout.name}_train_{resolution}.pt", slice(0, train))]
    return names + ([(f"{layout.name}_test_{resolution}.pt", slice(train, layout.count))] if layout.test else [])


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise ImportError("format is 'pt', which needs torch: pip install \"ritzkit[learned]\"") from None
    return torch


def _write_pt(folder: Path, layout: Layout, shards: Iterable[Shard]) -> list[str]:
    torch = _torch()
    x, y = _columns(shards, layout)
    for name, part in _pt_files(layout):
        buffer = io.BytesIO()  # a file on disk would put its own name into the archive
        # copies: a view would be saved with all of the memory behind it
        torch.save({"x": torch.from_numpy(x[part].copy()), "y": torch.from_numpy(y[part].copy())}, buffer)
        write_bytes(folder / name, buffer.getvalue())
    return [name for name, _ in _pt_files(layout)]


def _read_pt(folder: Path, layout: Layout) -> Iterator[tuple[int, Array, Array]]:
    torch = _torch()
    for name, part in _pt_files(layout):
        content = torch.load(folder / name, weights_only=True)
        x, y = content["x"].numpy(), content["y"].numpy()
        _same_length(folder / name, part.stop - part.start, x, y)
        for k, index in enumerate(range(part.start, part.stop)):
            yield index, x[k], y[k][0] + 1j * y[k][1] if layout.complex else y[k]


def _same_length(path: Path, count: int, *arrays: Array) -> None:
    for values in arrays:
        if len(values) != count:
            raise ValueError(f"{path}: holds {len(values)} samples, wanted {count}")


def _mat_files(layout: Layout) -> list[tuple[str, slice]]:
    one = 4 * max(int(np.prod(layout.x_shape)), (2 if layout.complex else 1) * int(np.prod(layout.y_shape)))
    most = max(MAT_LIMIT // one, 1)
    base = f"{layout.name}_r{layout.grid[0]}_N{layout.count}"
    if layout.count <= most:
        return [(f"{base}.mat", slice(0, layout.count))]
    starts = range(0, layout.count, most)
    return [(f"{base}_{k + 1}.mat", slice(s, min(s + most, layout.count))) for k, s in enumerate(starts)]


def _write_mat(folder: Path, layout: Layout, shards: Iterable[Shard]) -> list[str]:
    from scipy.io import savemat

    coeff = np.empty((layout.count, *layout.x_shape), np.float32)
    sol = np.empty((layout.count, *layout.y_shape), np.complex64 if layout.complex else np.float32)
    at = 0
    for shard in shards:
        here = slice(at, at + len(shard["x"]))
        coeff[here], sol[here] = shard["x"], shard["y"]
        at = here.stop
    header = b"MATLAB 5.0 MAT-file, written by ritzkit"
    for name, part in _mat_files(layout):
        buffer = io.BytesIO()
        savemat(buffer, {"coeff": coeff[part], "sol": sol[part]})
        # the first 116 bytes are free text, where SciPy writes the date
        write_bytes(folder / name, header.ljust(116) + buffer.getvalue()[116:])
    return [name for name, _ in _mat_files(layout)]


def _read_mat(folder: Path, layout: Layout) -> Iterator[tuple[int, Array, Array]]:
    from scipy.io import loadmat

    for name, part in _mat_files(layout):
        content = loadmat(folder / name)
        x, y = content["coeff"], content["sol"]
        _same_length(folder / name, part.stop - part.start, x, y)
        for k, index in enumerate(range(part.start, part.stop)):
            yield index, x[k], y[k]


#: Formats by name.
FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format("h5", hdf5.write_plain, hdf5.read_plain, grids=False, planar=False, exact=True),
        Format("pt", _write_pt, _read_pt, planar=False, split=True),
        Format("mat", _write_mat, _read_mat, single=True),
        Format("pdebench", hdf5.write_pdebench, hdf5.read_pdebench, real=True, single=True),
        Format("well", hdf5.write_well, hdf5.read_well, planar=False, split=True),
    )
}
