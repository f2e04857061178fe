"""Records: JSON Lines, one line per finished run, appended and flushed as soon as it is there.

A file holds four kinds of lines (key ``kind``):

``environment``
    versions, processor, threads; once per distinct environment, other lines refer to its ``id``;
``solve``
    one run of one solver configuration on one problem (one of the interleaved repeats);
``kernel``
    one comparison of a kernel with its opponent, all interleaved repeats in the line;
``picture``
    a solution or error field, thinned and quantised, so that pictures too come from the records alone.

The file is the only state of a benchmark. A line carries ``key``, which names what was measured, and
``config``, the digest of how (threads, seed, tolerance, repeats, versions, processor). Resuming skips the
keys that are there and refuses a file with another ``config``: measurements made in two ways never end up in
one median.

A process that is killed in the middle of a write leaves a truncated last line; `Recorder` cuts it off before
it appends, and `read` ignores it. Not-a-number and infinity are not JSON; they are written as ``null`` and
read as ``nan``.

References
----------
The format is JSON Lines, https://jsonlines.org.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import json
import math
import os
import platform
import zlib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import UserError

__all__ = [
    "SCHEMA",
    "Recorder",
    "by_kind",
    "digest",
    "dumps",
    "environment",
    "plain",
    "read",
    "repair",
    "thin",
]

SCHEMA = 1
"""Version of the record format; part of every configuration digest."""

_PACKAGES = ("numpy", "scipy", "numba", "pyamg")

Record = dict[str, Any]


def plain(value: Any) -> Any:
    """Turn a value into what JSON knows; NaN and inf become None, what is unknown becomes its text.

    Examples
    --------
    >>> import numpy as np
    >>> plain({"n": np.int32(3), "r": (1.0, float("inf"))})
    {'n': 3, 'r': [1.0, None]}
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, complex | np.complexfloating):
        return [plain(value.real), plain(value.imag)]
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    return str(value)


def dumps(record: Mapping[str, Any]) -> str:
    """One record as one line of strict JSON (no line end)."""
    return json.dumps(plain(record), allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def digest(value: Any) -> str:
    """Twelve hex digits that stay the same for the same content, whatever the order of its keys.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(plain(value), sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def thin(columns: Mapping[str, ArrayLike], most: int = 300) -> dict[str, list[float | None]]:
    """Thin the columns of a history together to at most `most` rows, the first and the last always kept.

    Rows are spread evenly over the logarithm of their position for the first half and evenly for the rest:
    the steep start and the long tail both survive.

    Parameters
    ----------
    columns : mapping of str to (k,) array_like
        Columns of one length.
    most : int
        Largest number of rows, at least 2.

    Examples
    --------
    >>> thin({"r": [1.0, 0.5, float("nan")]})
    {'r': [1.0, 0.5, None]}
    """
    arrays = {name: np.asarray(column, dtype=float) for name, column in columns.items()}
    length = min((len(a) for a in arrays.values()), default=0)
    if length <= most:
        keep: NDArray[np.intp] = np.arange(length)
    else:
        even = np.linspace(0, length - 1, most - most // 2)
        logarithmic = np.geomspace(1, length, most // 2) - 1
        keep = np.unique(np.concatenate([even, logarithmic]).round().astype(np.intp))
    return {name: [_short(v) for v in a[keep]] for name, a in arrays.items()}


def _short(value: float) -> float | None:
    """Six significant digits: enough for a figure, a third of the bytes."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def environment(threads: int | None = None) -> Record:
    """Versions, processor and threads of this process (free of dates and of machine names).

    Parameters
    ----------
    threads : int, optional
        Number of threads that the run uses.
    """
    return dict(_environment(threads))


@functools.lru_cache
def _environment(threads: int | None) -> Record:
    from .. import __version__

    versions = {"python": platform.python_version(), "ritzkit": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    facts: Record = {
        "versions": versions,
        "cpu": _cpu(),
        "cores": _cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": threads,
    }
    return {"kind": "environment", "id": digest(facts), **facts}


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def read(path: str | os.PathLike[str]) -> list[Record]:
    """Read all records of a file; a truncated last line is left out.

    Parameters
    ----------
    path : path
        The file (also compressed, ``.jsonl.gz``), or a folder that holds one.

    Raises
    ------
    UserError
        If the file is missing, cannot be read, or has a line that is not a record (its number is named).
    """
    path = Path(path)
    if path.is_dir():
        plain = path / "records.jsonl"
        path = plain if plain.exists() or not (path / "records.jsonl.gz").exists() else path / "records.jsonl.gz"
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except FileNotFoundError:
        raise UserError(f"no records at {path}: give the file that `ritzkit bench` wrote") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UserError(f"{path} is not a whole gzip file: compress the records again") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    lines = content.split(b"\n")
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or "kind" not in record:
                raise ValueError
        except ValueError:
            if number == len(lines):  # no line end after it: the writer was killed
                break
            raise UserError(f"{path}, line {number}: not a benchmark record; remove the line, or run again") from None
        records.append(record)
    return records


class Recorder:
    """Appends records to a file and knows which ones are there already.

    Parameters
    ----------
    path : path
        The JSON Lines file; made (with its folder) if missing.
    config : mapping
        How things are measured; its digest goes into every line.
    resume : bool
        Go on with the records in the file. Otherwise an older file is set aside as ``*.previous.jsonl``.

    Raises
    ------
    UserError
        If the folder cannot be written, or `resume` meets records of another configuration.
    """

    def __init__(self, path: str | os.PathLike[str], config: Mapping[str, Any], *, resume: bool = False) -> None:
        self.path = Path(path)
        self.config = plain(config)
        self.config_id = digest({"schema": SCHEMA, **config})
        self.written = 0
        self._keys: set[str] = set()
        self._environments: set[str] = set()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and not resume:
                self.path.replace(self.path.with_suffix(".previous.jsonl"))
            if self.path.exists():
                self._load()
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise UserError(
                f"--out: cannot write {self.path.parent}: {(error.strerror or str(error)).lower()}; "
                "give a folder that you may write to"
            ) from None

    def _load(self) -> None:
        repair(self.path)
        for record in read(self.path):
            if record["kind"] == "environment":
                self._environments.add(record["id"])
                continue
            if record.get("config") != self.config_id:
                raise UserError(
                    f"--resume: {self.path} was measured in another way ({self._difference(record)}); "
                    "use the same options, or another --out, or leave --resume out to start afresh"
                )
            if record["kind"] != "skipped":  # for lack of memory, say: try again
                self._keys.update([record["key"], *record.get("closes", ())])

    def _difference(self, record: Mapping[str, Any]) -> str:
        """Say which settings differ, as far as the record shows them."""
        settings = record.get("settings") or {}
        changed = [
            f"{name} {settings[name]} -> {self.config[name]}"
            for name in sorted(self.config)
            if name in settings and settings[name] != self.config[name]
        ]
        return ", ".join(changed) or "other versions or record format"

    @property
    def finished(self) -> int:
        """Number of measurements in the file."""
        return len(self._keys)

    def has(self, key: str) -> bool:
        """Whether the measurement `key` is in the file."""
        return key in self._keys

    def add_environment(self, record: Mapping[str, Any]) -> str:
        """Write an environment line unless it is there; return its id."""
        if record["id"] not in self._environments:
            self._append(record)
            self._environments.add(record["id"])
        return str(record["id"])

    def add(self, key: str, record: Mapping[str, Any]) -> None:
        """Append one finished measurement; when the call returns, the line is in the file.

        Other keys that need no measurement any more stand in ``record["closes"]``.
        """
        self._append({**record, "key": key, "config": self.config_id, "settings": self.config})
        self._keys.update([key, *record.get("closes", ())])
        self.written += 1

    def _append(self, record: Mapping[str, Any]) -> None:
        # one write call per line: an interrupt falls before or after a line, not inside
        data = (dumps(record) + "\n").encode()
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {(error.strerror or str(error)).lower()}") from None

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def repair(path: str | os.PathLike[str]) -> bool:
    """Cut a truncated last line off a records file; return whether there was one.

    A last line that is whole but lacks its line end gets it instead.
    """
    path = Path(path)
    content = path.read_bytes()
    if not content or content.endswith(b"\n"):
        return False
    head, _, tail = content.rpartition(b"\n")
    try:
        json.loads(tail)
    except ValueError:
        path.write_bytes(head + b"\n" if head else b"")
        return True
    with path.open("ab") as file:
        file.write(b"\n")
    return False


def by_kind(records: Iterable[Record], kind: str) -> list[Record]:
    """All records of one kind, in the order of the file."""
    return [record for record in records if record["kind"] == kind]
