"""Solution and error fields inside the records: thinned, quantised to 16 bits, compressed, as text.

A field of 128 x 128 values takes some 20 kB in its line; its values are right to 1/65000 of their range,
finer than any picture.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode", "decode_indices", "encode", "encode_indices", "picture_of", "thinned"]

_MASKED = 65535
MOST_CELLS = 128
MOST_POINTS = 40_000


def encode(field: NDArray[Any]) -> dict[str, Any]:
    """Pack a real array; values that are not finite are masked.

    Examples
    --------
    >>> import numpy as np
    >>> decode(encode(np.array([[0.0, 1.0], [np.nan, 0.5]]))).round(3).tolist()
    [[0.0, 1.0], [nan, 0.5]]
    """
    field = np.asarray(field, dtype=float)
    good = np.isfinite(field)
    low = float(field[good].min()) if good.any() else 0.0
    high = float(field[good].max()) if good.any() else 0.0
    scale = (high - low) / (_MASKED - 1) or 1.0
    codes = np.full(field.shape, _MASKED, dtype="<u2")
    codes[good] = np.rint((field[good] - low) / scale).astype("<u2")
    packed = base64.b64encode(zlib.compress(codes.tobytes(), 9)).decode("ascii")
    return {"shape": list(field.shape), "low": low, "high": high, "data": packed}


def decode(packed: Mapping[str, Any]) -> NDArray[np.float64]:
    """Unpack what `encode` packed; masked values are nan."""
    codes = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), dtype="<u2").reshape(packed["shape"])
    low, high = float(packed["low"]), float(packed["high"])
    scale = (high - low) / (_MASKED - 1) or 1.0
    values = low + codes * scale
    values[codes == _MASKED] = np.nan
    return values


def encode_indices(indices: NDArray[Any]) -> dict[str, Any]:
    """Pack an array of node numbers.

    Examples
    --------
    >>> import numpy as np
    >>> decode_indices(encode_indices(np.array([[0, 1, 2], [2, 1, 70_000]]))).tolist()
    [[0, 1, 2], [2, 1, 70000]]
    """
    indices = np.asarray(indices, dtype="<i4")
    packed = base64.b64encode(zlib.compress(indices.tobytes(), 9)).decode("ascii")
    return {"shape": list(indices.shape), "data": packed}


def decode_indices(packed: Mapping[str, Any]) -> NDArray[np.int32]:
    """Unpack what `encode_indices` packed."""
    raw = zlib.decompress(base64.b64decode(packed["data"]))
    return np.frombuffer(raw, dtype="<i4").reshape(packed["shape"])


def thinned(field: NDArray[Any], step: int) -> NDArray[Any]:
    """Average over blocks of `step` x `step` cells; a block that a wall of one cell crosses is masked.

    Examples
    --------
    >>> import numpy as np
    >>> thinned(np.array([[0.0, 1.0, np.nan, 5.0], [1.0, 2.0, np.nan, 7.0]]), 2).tolist()
    [[1.0, nan]]
    """
    if step <= 1:
        return field
    rows, columns = (n // step * step for n in field.shape)
    split = field[:rows, :columns].reshape(rows // step, step, columns // step, step).swapaxes(1, 2)
    blocks = split.reshape(rows // step, columns // step, step * step)
    good = np.isfinite(blocks)
    count = good.sum(axis=2)
    means = np.where(good, blocks, 0.0).sum(axis=2) / np.maximum(count, 1)
    return np.where(count > step * step - step, means, np.nan)


def picture_of(problem: Any, x: NDArray[Any]) -> dict[str, Any] | None:
    """Return `x` over the problem's grid or mesh as record entries, or None where there is neither.

    Parameters
    ----------
    problem : ritzkit.problems.Problem
        Its `grid` (of a 3-D one the middle slice across the last axis) or its triangle `mesh` is drawn on.
    x : (n,) ndarray
        A vector over the unknowns; of a complex one the real part is shown.
    """
    x = np.real(x)
    if problem.grid is not None:
        field = problem.grid.embed(x)
        if field.ndim == 3:
            field = field[:, :, field.shape[2] // 2]
        return {"field": encode(thinned(field, -(-max(field.shape) // MOST_CELLS)))}
    mesh = getattr(problem, "mesh", None)
    if mesh is not None and mesh.points.shape[1] == 2 and len(mesh.points) <= MOST_POINTS:
        values = mesh.embed(x)
        if values.ndim == 1:
            return {
                "field": encode(values),
                "points": encode(mesh.points),
                "triangles": encode_indices(mesh.cells),
            }
    return None
