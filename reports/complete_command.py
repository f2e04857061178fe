"""``ritzkit complete``: low-rank completion of a triplet file, with the error on entries held out.

The file has one observed entry per line: name of the row, name of the column, value, and whatever follows is ignored (a time
stamp, say). Separators are commas, tabs, semicolons, double colons or blanks; a first line without a number in the third
place is a header; lines that start with ``#`` or ``%`` are comments. Names may be whole numbers or any text without
separators.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from .errors import UserError
from .progress import Progress

__all__ = ["Triplets", "read_triplets", "run"]

Array = npt.NDArray[Any]

_LINES = 1 << 18  # lines that are parsed at a time
_SEPARATORS = ("\t", ";", ",", None)


@dataclass(frozen=True, eq=False)
class Triplets:
    """A triplet file in memory.

    Attributes
    ----------
    rows, cols : ndarray of uint32, shape (N,)
        Places, counted from 0 in the order of the sorted names.
    values : ndarray, shape (N,)
    row_names, col_names : ndarray
        Sorted names, whole numbers or text.
    """

    rows: Array
    cols: Array
    values: Array
    row_names: Array
    col_names: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of different rows and columns."""
        return self.row_names.size, self.col_names.size


def _separator(line: str) -> str | None:
    return next(s for s in _SEPARATORS if s is None or s in line)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _content(file: TextIO) -> Iterator[str]:
    return (line.replace("::", "\t") for line in file if line.strip() and line[0] not in "#%")


def _chunk(lines: list[str], separator: str | None, first: int, path: str) -> tuple[Array, Array, Array]:
    """Parse some lines; names that are whole numbers come back as int64, others as text."""
    try:
        table = np.loadtxt(lines, delimiter=separator, usecols=(0, 1, 2), ndmin=2, comments=None, dtype=np.float64)
        keys = table[:, :2].astype(np.int64)
        if (keys == table[:, :2]).all() and np.abs(table[:, :2]).max() < 2**53:
            return keys[:, 0], keys[:, 1], table[:, 2]
    except (ValueError, OverflowError):
        pass
    rows, cols, values = [], [], np.empty(len(lines))
    for number, line in enumerate(lines):
        parts = line.split(separator)
        if len(parts) < 3 or not _is_number(parts[2]):
            raise UserError(
                f"{path}: entry {first + number + 1} is {line.strip()[:60]!r}; wanted a row, a column and a number"
            )
        rows.append(parts[0].strip())
        cols.append(parts[1].strip())
        values[number] = float(parts[2])
    return np.array(rows), np.array(cols), values


class _Names:
    """Numbers names in the order of appearance, chunk by chunk; sorted numbers at the end."""

    def __init__(self) -> None:
        self.known: dict[Any, int] = {}
        self.codes: list[Array] = []
        self.text = False

    def add(self, keys: Array) -> None:
        if keys.dtype.kind in "US" and not self.text:
            self.text = True
            self.known = {str(name): code for name, code in self.known.items()}
        elif self.text:
            keys = keys.astype(str)
        unique, inverse = np.unique(keys, return_inverse=True)
        codes = np.array([self.known.setdefault(name, len(self.known)) for name in unique.tolist()], dtype=np.uint32)
        self.codes.append(codes[inverse.ravel()])

    def finish(self) -> tuple[Array, Array]:
        names = np.array(list(self.known))
        order = np.argsort(names)
        place = np.empty(names.size, dtype=np.uint32)
        place[order] = np.arange(names.size, dtype=np.uint32)
        codes = np.concatenate(self.codes)
        self.codes = []
        return place[codes], names[order]


def read_triplets(path: str, *, float32: bool = False, progress: Progress | None = None) -> Triplets:
    """Read a triplet file.

    Parameters
    ----------
    path : str
    float32 : bool
        Keep the values in single precision.
    progress : Progress, optional
        Told how many entries have been read.

    Returns
    -------
    Triplets

    Raises
    ------
    UserError
        If the file is missing, empty, or a line is not a triplet.
    """
    rows, cols = _Names(), _Names()
    values: list[Array] = []
    count = 0
    try:
        with open(path, encoding="utf-8") as file:
            lines = _content(file)
            head = next(lines, None)
            if head is None:
                raise UserError(f"{path}: no entries; wanted lines of row, column, value")
            separator = _separator(head)
            parts = head.split(separator)
            if len(parts) < 3:
                raise UserError(f"{path}: first line is {head.strip()[:60]!r}; wanted a row, a column and a number")
            whole = lines if not _is_number(parts[2]) else chain([head], lines)
            while part := list(islice(whole, _LINES)):
                i, j, y = _chunk(part, separator, count, path)
                rows.add(i)
                cols.add(j)
                values.append(y.astype(np.float32) if float32 else y)
                count += y.size
                if progress is not None:
                    progress.say(f"read {count:,} entries")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from None
    if not count:
        raise UserError(f"{path}: a header but no entries; wanted lines of row, column, value")
    row_of, row_names = rows.finish()
    col_of, col_names = cols.finish()
    return Triplets(row_of, col_of, np.concatenate(values), row_names, col_names)


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Keywords of `complete`: a fit for ratings by default, exact completion with ``--ridge 0``."""
    from ..solvers.completion import METHODS

    if arguments.method not in METHODS:
        raise UserError(f"--method {arguments.method}: unknown; choose one of {', '.join(METHODS)}")
    ridge = arguments.ridge
    if ridge is None:
        ridge = 0.1 if arguments.method == "altmin" else 0.0
    if ridge and arguments.method != "altmin":
        raise UserError(f"--ridge: only the method altmin takes one, not {arguments.method}; leave it out")
    keywords: dict[str, Any] = {
        "method": arguments.method,
        "inner": arguments.inner,
        "rng": arguments.seed,
        "ridge": ridge,
    }
    if ridge:
        keywords |= {"ridge_scaling": "entries", "biases": not arguments.no_biases}
    if arguments.sweeps is not None or ridge:
        keywords["sweeps"] = arguments.sweeps or 30
    return keywords


def _output(path: str | None) -> Path | None:
    if path is None:
        return None
    out = Path(path)
    if out.suffix != ".npz":
        raise UserError(f"--out {path}: wanted a file name that ends in .npz")
    if not out.parent.is_dir():
        raise UserError(f"--out {path}: the folder {out.parent} does not exist")
    return out


def run(arguments: argparse.Namespace) -> int:
    """Run ``ritzkit complete``; return the exit code (0 success, 1 an honest failure)."""
    from ..linalg.threads import set_threads
    from ..solvers.completion import complete

    set_threads(arguments.threads)
    out = _output(arguments.out)
    keywords = _settings(arguments)
    steps = keywords.get("sweeps", 0)
    report: list[str] = []
    with Progress(max(1, steps)) as progress:
        data = read_triplets(arguments.file, float32=arguments.float32, progress=progress)
        test = np.zeros(data.values.size, dtype=bool)
        if arguments.holdout:
            held = max(1, round(arguments.holdout * data.values.size))
            test[np.random.default_rng(arguments.seed).permutation(data.values.size)[:held]] = True
        if test.all():
            raise UserError(f"--holdout {arguments.holdout:g}: leaves none of the {test.size} entries to fit")
        fit = ~test

        def watch(_u: Array, _v: Array, residual: float) -> None:
            progress.say(f"residual {residual:.3e}")
            progress.advance()

        try:
            result = complete(
                data.rows[fit],
                data.cols[fit],
                data.values[fit],
                data.shape,
                arguments.rank,
                callback=watch,
                **keywords,
            )
        except (ValueError, TypeError) as error:
            raise UserError(f"{arguments.file}: {_named(str(error), data)}") from None
    m, n = data.shape
    report.append(f"{arguments.file}: {m:,} rows, {n:,} columns, {data.values.size:,} entries")
    report.append(
        f"{arguments.method} of rank {arguments.rank}: {result.outcome.label}, {result.sweeps} sweeps, "
        f"{result.setup_seconds:.2f} + {result.solve_seconds:.2f} s"
    )
    report.append(f"error on {int(fit.sum()):,} fitted entries: {_rmse(result, data, fit):.4g} (root mean square)")
    if arguments.holdout:
        report.append(f"error on {int(test.sum()):,} held-out entries: {_rmse(result, data, test):.4g}")
    if result.note:
        report.append(f"note (numbers count sorted names from 0): {result.note}")
    if out is not None:
        result.save(out, row_names=data.row_names, col_names=data.col_names)
        report.append(str(out))
    sys.stdout.write("\n".join(report) + "\n")
    if not _accepted(result, bool(keywords["ridge"])):
        sys.stderr.write(f"ritzkit: {result.outcome}\n")
        return 1
    return 0


def _accepted(result: Any, ridge: bool) -> bool:
    """Success, or the sweeps that were asked for: with a ridge the hold-out error judges, not a tolerance."""
    return bool(result.success or (ridge and result.outcome.name == "ITERATION_LIMIT"))


def _named(text: str, data: Triplets) -> str:
    """Put the names of the file where the message names a place."""
    found = re.search(r"entry \((\d+), (\d+)\)", text)
    if found is None:
        return " ".join(text.split())
    i, j = data.row_names[int(found[1])], data.col_names[int(found[2])]
    return " ".join(text.replace(found[0], f"entry ({i}, {j})").split())


def _rmse(result: Any, data: Triplets, chosen: Array) -> float:
    total = 0.0
    places = np.flatnonzero(chosen)
    for a in range(0, places.size, 1 << 20):
        part = places[a : a + (1 << 20)]
        error = result.predict(data.rows[part], data.cols[part]).astype(np.float64) - data.values[part]
        total += float(error @ error)
    return float(np.sqrt(total / max(1, places.size)))
