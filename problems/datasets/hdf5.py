"""The HDF5 formats: the plain one, PDEBench's and The Well's.

Datasets are laid out in one piece, without compression and without times of creation, so the bytes depend on the data alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .layout import Layout
from .storage import write_atomic

__all__ = [
    "plain_name",
    "read_pdebench",
    "read_plain",
    "read_well",
    "write_pdebench",
    "write_plain",
    "write_well",
]

Array = npt.NDArray[Any]
Shard = Mapping[str, Array]
STEP = 16  # samples that are read at once


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise ImportError('HDF5 files need h5py: pip install "ritzkit[data]"') from None
    return h5py


def _dataset(group: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    return group.create_dataset(name, shape=shape, dtype=dtype, track_times=False)


def _put(group: Any, name: str, values: Any) -> Any:
    values = np.asarray(values)
    dataset = _dataset(group, name, values.shape, values.dtype)
    dataset[...] = values
    return dataset


def _strings(names: Iterable[str]) -> Any:
    return np.array(list(names), dtype=_h5py().string_dtype())


def _pieces(shards: Iterable[Shard]) -> Iterator[tuple[slice, Shard]]:
    at = 0
    for shard in shards:
        here = slice(at, at + len(shard["x"]))
        yield here, shard
        at = here.stop


def _rows(x: Any, y: Any, first: int = 0) -> Iterator[tuple[int, Array, Array]]:
    for start in range(0, len(x), STEP):
        part = slice(start, start + STEP)
        for k, (one, other) in enumerate(zip(x[part], y[part], strict=True)):
            yield first + start + k, one, other


def plain_name(layout: Layout) -> str:
    """Name of the one file of the plain format."""
    return f"{layout.name}.h5"


def write_plain(folder: Path, layout: Layout, shards: Iterable[Shard]) -> list[str]:
    """Datasets ``x``, ``y``, ``scalars``, ``residuals`` with one row per sample; attributes name inputs and scalars."""
    h5py = _h5py()

    def write(path: Path) -> None:
        with h5py.File(path, "w", libver="v110") as file:
            n = layout.count
            x = _dataset(file, "x", (n, *layout.x_shape), np.float64)
            y = _dataset(file, "y", (n, *layout.y_shape), np.complex128 if layout.complex else np.float64)
            scalars = _dataset(file, "scalars", (n, len(layout.scalars)), np.float64)
            residuals = _dataset(file, "residuals", (n,), np.float64)
            file.attrs["family"] = layout.name
            x.attrs["inputs"] = _strings(layout.inputs)
            scalars.attrs["names"] = _strings(layout.scalars)
            for here, shard in _pieces(shards):
                x[here], y[here] = shard["x"], shard["y"]
                residuals[here] = shard["residuals"]
                if layout.scalars:
                    scalars[here] = shard["scalars"]
                if "points" in shard and "points" not in file:
                    _put(file, "points", shard["points"])
                    _put(file, "cells", shard["cells"])

    write_atomic(folder / plain_name(layout), write)
    return [plain_name(layout)]


def read_plain(folder: Path, layout: Layout) -> Iterator[tuple[int, Array, Array]]:
    """Yield the samples of the plain format."""
    with _h5py().File(folder / plain_name(layout), "r") as file:
        yield from _rows(file["x"], file["y"])


def _pdebench_name(layout: Layout) -> str:
    return f"2D_{layout.name}_Train.hdf5"


def write_pdebench(folder: Path, layout: Layout, shards: Iterable[Shard]) -> list[str]:
    """Write PDEBench's Darcy layout: ``tensor`` (N, 1, H, W), ``nu`` (N, H, W), coordinates, attribute ``beta``."""
    h5py = _h5py()

    def write(path: Path) -> None:
        with h5py.File(path, "w", libver="v110") as file:
            tensor = _dataset(file, "tensor", (layout.count, 1, *layout.y_shape), np.float32)
            nu = _dataset(file, "nu", (layout.count, *layout.x_shape), np.float32)
            for axis, name in enumerate(("x-coordinate", "y-coordinate")):
                _put(file, name, layout.coordinates(axis))
            file.attrs["beta"] = 1.0
            for here, shard in _pieces(shards):
                tensor[here] = shard["y"][:, None]
                nu[here] = shard["x"]

    write_atomic(folder / _pdebench_name(layout), write)
    return [_pdebench_name(layout)]


def read_pdebench(folder: Path, layout: Layout) -> Iterator[tuple[int, Array, Array]]:
    """Yield the samples of PDEBench's layout."""
    with _h5py().File(folder / _pdebench_name(layout), "r") as file:
        for index, x, y in _rows(file["nu"], file["tensor"]):
            yield index, x, y[0]


def _well_files(layout: Layout) -> list[tuple[str, slice]]:
    train = layout.count - layout.test
    files = [(f"data/train/{layout.name}.hdf5", slice(0, train))]
    return files + ([(f"data/test/{layout.name}.hdf5", slice(train, layout.count))] if layout.test else [])


def _well_skeleton(file: Any, layout: Layout, count: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Create groups, attributes and empty fields of one file; return the inputs, the solutions and the scalars."""
    axes = "xyz"[: len(layout.grid)]
    file.attrs["dataset_name"] = layout.name
    file.attrs["grid_type"] = "cartesian"
    file.attrs["n_spatial_dims"] = len(axes)
    file.attrs["n_trajectories"] = count
    file.attrs["simulation_parameters"] = _strings(())
    dimensions = file.create_group("dimensions")
    dimensions.attrs["spatial_dims"] = _strings(axes)
    _put(dimensions, "time", np.zeros(1, np.float32)).attrs["sample_varying"] = False
    boundaries = file.create_group("boundary_conditions")
    for axis, name in enumerate(axes):
        line = _put(dimensions, name, layout.coordinates(axis))
        line.attrs["sample_varying"] = line.attrs["time_varying"] = False
        condition = boundaries.create_group(f"{name}_boundary")
        kinds = {"dirichlet": "WALL", "neumann": "OPEN", "periodic": "PERIODIC"}
        condition.attrs["bc_type"] = kinds[layout.sides[axis][0]]
        condition.attrs["associated_dims"] = _strings(name)
        condition.attrs["associated_fields"] = _strings(())
        condition.attrs["sample_varying"] = condition.attrs["time_varying"] = False
        mask = np.zeros(layout.grid[axis], bool)
        mask[[0, -1]] = True
        _put(condition, "mask", mask)
        _put(condition, "values", np.zeros(int(mask.sum()), np.float32))
    scalars = file.create_group("scalars")
    scalars.attrs["field_names"] = _strings(layout.scalars)
    numbers = []
    for name in layout.scalars:
        values = _dataset(scalars, name, (count,), np.float32)
        values.attrs["sample_varying"], values.attrs["time_varying"] = True, False
        numbers.append(values)
    fields = file.create_group("t0_fields")
    solutions = ("u_real", "u_imag") if layout.complex else ("u",)
    fields.attrs["field_names"] = _strings((*layout.inputs, *solutions))
    inputs, outputs = [], []
    for name in layout.inputs:
        inputs.append(_dataset(fields, name, (count, *layout.grid), np.float32))
    for name in solutions:
        outputs.append(_dataset(fields, name, (count, 1, *layout.grid), np.float32))
    for values, moving in [*((v, False) for v in inputs), *((v, True) for v in outputs)]:
        values.attrs["dim_varying"] = np.ones(len(axes), bool)
        values.attrs["sample_varying"], values.attrs["time_varying"] = True, moving
    for order in ("t1_fields", "t2_fields"):
        file.create_group(order).attrs["field_names"] = _strings(())
    return inputs, outputs, numbers


def write_well(folder: Path, layout: Layout, shards: Iterable[Shard]) -> list[str]:
    """Write The Well's layout: one time step per sample, inputs as constant fields, the solution as the varying one."""
    h5py = _h5py()
    pieces = _pieces(shards)
    rest: list[tuple[slice, Shard]] = []
    for name, part in _well_files(layout):

        def write(path: Path, part: slice = part) -> None:
            with h5py.File(path, "w", libver="v110") as file:
                inputs, outputs, numbers = _well_skeleton(file, layout, part.stop - part.start)
                while True:
                    piece = rest.pop() if rest else next(pieces, None)
                    if piece is None:
                        return
                    here, shard = piece
                    low, high = max(here.start, part.start), min(here.stop, part.stop)
                    if low < high:
                        _fill(layout, inputs, outputs, numbers, shard, here, slice(low, high), part.start)
                    if here.stop > part.stop:  # the rest belongs to the next file
                        rest.append(piece)
                        return

        write_atomic(folder / name, write)
    return [name for name, _ in _well_files(layout)]


def _fill(
    layout: Layout,
    inputs: list[Any],
    outputs: list[Any],
    numbers: list[Any],
    shard: Shard,
    here: slice,
    wanted: slice,
    start: int,
) -> None:
    source = slice(wanted.start - here.start, wanted.stop - here.start)
    target = slice(wanted.start - start, wanted.stop - start)
    x, y = shard["x"][source], shard["y"][source]
    for channel, values in enumerate(inputs):
        values[target] = x if len(inputs) == 1 else x[:, channel]
    parts = (y.real, y.imag) if layout.complex else (y,)
    for values, part in zip(outputs, parts, strict=True):
        values[target] = part[:, None]
    for column, values in enumerate(numbers):
        values[target] = shard["scalars"][source, column]


def read_well(folder: Path, layout: Layout) -> Iterator[tuple[int, Array, Array]]:
    """Yield the samples of The Well's layout."""
    h5py = _h5py()
    for name, part in _well_files(layout):
        with h5py.File(folder / name, "r") as file:
            fields = file["t0_fields"]
            for k in range(part.stop - part.start):
                x = [fields[one][k] for one in layout.inputs]
                y = fields["u_real"][k, 0] + 1j * fields["u_imag"][k, 0] if layout.complex else fields["u"][k, 0]
                yield part.start + k, x[0] if len(x) == 1 else np.stack(x), y
