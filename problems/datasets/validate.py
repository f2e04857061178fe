"""Is a dataset what its manifest says? Checksums, shapes, and the true residual of every label with A built again.

The problems are drawn anew from the family and the seed in the manifest. A label in single precision cannot meet a small
tolerance in ``norm(b - A x)``: rounding x by a relative ``u = 2^-24`` per entry may change ``A x`` by ``u |A| |x|``,
entry by entry. So this much, and no more, is allowed on top of the tolerance.

All of it runs on one thread: the arrays of a sample are too small to be shared, and threads of BLAS that wait for each other
cost more than they do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import vectors
from ...linalg.threads import thread_limit
from ..base import Family, Problem
from .chunk import draw
from .content import Content, unknowns
from .formats import FORMATS
from .layout import Layout
from .loose import check_file
from .manifest import MANIFEST, Manifest
from .storage import checksum

__all__ = ["validate_dataset"]

Array = npt.NDArray[Any]

SINGLE, DOUBLE = 2.0**-24, 2.0**-53


def validate_dataset(
    path: str | Path,
    *,
    family: Family | None = None,
    callback: Callable[[int, int], None] | None = None,
) -> Manifest | None:
    """Check a dataset, down to the true residual of every sample.

    Parameters
    ----------
    path : path
        Folder that `generate` wrote; or a single file of one of its formats (``.h5``, ``.hdf5``, ``.pt``, ``.mat``)
        without a manifest beside it, of which only structure and finiteness can be checked.
    family : Family, optional
        The family, if it is not one of `FAMILIES`; without it such a dataset gets no check of residuals.
    callback : callable, optional
        Called as ``callback(done, count)`` after each sample, in order.

    Returns
    -------
    Manifest or None
        The manifest; None for a file without one.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        Names the first bad sample: its index, what is wrong with it, and its residual; or the file that is damaged or
        missing.

    Notes
    -----
    One draw and one product with A per sample; no solves. If the bytes of a file have changed and no sample is to blame (a
    changed attribute), the file is named.

    Examples
    --------
    >>> import tempfile
    >>> from ritzkit.problems import Darcy, generate
    >>> folder = tempfile.mkdtemp()
    >>> _ = generate(Darcy(8), 3, folder, seed=1, workers=1)
    >>> validate_dataset(folder).count
    3
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    folder = path if path.is_dir() else next((p for p in path.parents if (p / MANIFEST).is_file()), path.parent)
    if path.is_file() and not (folder / MANIFEST).is_file():
        check_file(path)
        return None
    manifest = Manifest.load(folder)
    layout = Layout.from_json(manifest.layout)
    chosen = FORMATS[manifest.config["format"]]
    if manifest.failed:
        bad = manifest.failed[0]
        raise ValueError(
            f"{folder}: sample {bad['index']} has no label: {bad['outcome']}, residual {bad['residual']:.2e} "
            f"({len(manifest.failed)} of {manifest.count} samples failed)"
        )
    damaged = []
    for name, wanted in manifest.files.items():
        if not (folder / name).is_file():
            raise ValueError(f"{folder / name}: missing; generate with resume=True makes it again")
        if checksum(folder / name) != wanted:
            damaged.append(folder / name)
    family = family if family is not None else _family(manifest.config["family"])
    seen = 0
    try:
        with thread_limit(1):
            for index, x, y in chosen.read(folder, layout):
                _check_sample(manifest, layout, chosen.exact, family, index, x, y)
                seen += 1
                if callback is not None:
                    callback(seen, manifest.count)
    except (OSError, KeyError, RuntimeError, EOFError) as error:
        where = damaged[0] if damaged else folder
        raise ValueError(f"{where}: cannot be read as {chosen.name}, sample {seen} and on: {error}") from None
    if seen != manifest.count:
        raise ValueError(f"{folder}: holds {seen} samples, the manifest says {manifest.count}")
    if damaged:
        raise ValueError(
            f"{damaged[0]}: its bytes are not those of the manifest, although every sample passes its checks"
        )
    return manifest


def _family(parameters: dict[str, Any]) -> Family | None:
    from .. import FAMILIES

    rest = {key: _tuple(value) for key, value in parameters.items() if key != "family"}
    maker = FAMILIES.get(parameters["family"])
    try:
        return None if maker is None else maker(**rest)
    except TypeError:  # a family of one's own with a name that is taken
        return None


def _tuple(value: Any) -> Any:
    return tuple(_tuple(entry) for entry in value) if isinstance(value, list) else value


def _check_sample(
    manifest: Manifest, layout: Layout, exact: bool, family: Family | None, index: int, x: Array, y: Array
) -> None:
    where = f"{manifest.folder}: sample {index}"
    for name, values, shape in (("input", x, layout.x_shape), ("label", y, layout.y_shape)):
        if values.shape != shape:
            raise ValueError(f"{where}: its {name} has shape {values.shape}, wanted {shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"{where}: its {name} holds NaN or infinity")
    if family is None:
        return
    problem = draw(family, manifest.config["seed"], index)
    wanted = Content.of(problem, family).x
    if not np.array_equal(x, wanted if exact else wanted.astype(x.dtype)):
        raise ValueError(f"{where}: its input is not the one that its seed gives")
    rtol = manifest.config["rtol"]
    residual, rounding = _residual(problem, y, exact)
    if not residual <= rtol and not residual <= (allowed := rtol + rounding()):
        raise ValueError(f"{where}: its residual is {residual:.2e}, allowed are {allowed:.2e}")


def _residual(problem: Problem, y: Array, exact: bool) -> tuple[float, Callable[[], float]]:
    """Return the relative residual of a label, and what rounding may add to it."""
    x = unknowns(problem, y).astype(np.result_type(problem.A.dtype, np.float64), copy=False)
    size = float(vectors.norm(problem.b)) or 1.0
    residual = float(vectors.norm(problem.b - problem.A.matvec(x))) / size

    def rounding() -> float:
        total = float(np.linalg.norm(abs(problem.A.tocsr()) @ np.abs(x))) / size
        # complex entries: both parts are rounded; products in double precision may be summed in another order
        return total * (16.0 * DOUBLE if exact else 1.5 * SINGLE)

    return residual, rounding
