"""Datasets of solved problems: every sample a function of its seed and index, every run the same bytes.

How a run goes: the samples are cut into chunks of consecutive indices; each chunk is drawn, ordered, solved and checked
on one thread by one worker, and becomes a shard in ``<out>/shards``. The shards are verified and put together in the
chosen format as they come; when the whole is on the disk, the manifest is written and the shards are removed. A run that
was killed goes on with the chunks whose shards are missing or damaged.

The size of a chunk depends on the number of unknowns alone. So two datasets of one seed and different counts share their
whole chunks.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np

from .. import checks
from ..base import Family, Problem
from .arms import SystemSolver, arm
from .chunk import Job, draw, shard_path
from .formats import FORMATS, Shard
from .layout import Layout
from .manifest import LOG, MANIFEST, Manifest
from .ordering import ORDERS
from .storage import checksum, clean, dumps, locked, read_shard, write_bytes
from .workers import available_cores, check_executor, run_jobs

__all__ = ["generate"]

PLAN = "plan.json"
SHARDS = "shards"
CHUNK, CHUNK_UNKNOWNS = 64, 2**22


def generate(
    family: Family | str,
    count: int,
    out: str | os.PathLike[str],
    *,
    seed: int,
    rtol: float = 1e-6,
    solver: str | Callable[[float], SystemSolver] = "auto",
    order: str = "hub",
    workers: int | None = None,
    executor: Executor | str | None = None,
    resume: bool = True,
    format: str = "h5",
    chunk: int | None = None,
    test: int | None = None,
    callback: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Draw problems, solve them, check every answer, and write them as a dataset.

    Parameters
    ----------
    family : Family or str
        What to sample, or the name of a family with its default parameters.
    count : int
        Number of samples. Sample i depends on `seed` and i alone and is stored at index i.
    out : path
        Folder for the dataset; made if it is not there.
    seed : int
        At least 0.
    rtol : float
        Every label meets ``norm(b - A x) <= rtol * norm(b)``, recomputed in double precision.
    solver : str or callable
        ``"auto"``; a fixed arm, see `ARMS` in ``ritzkit.problems.datasets.arms`` (``"superlu"``, ``"cg-multigrid"``,
        ``"cg-amg"``, ``"gmres"``, ``"skr"``, ...); or a callable that maps rtol to an object with ``solve(A, b)``, made
        anew for each chunk (for worker processes it must be importable).
    order : {"hub", "greedy", "random", "none"}
        In which order the systems of a chunk are solved, see `order_samples`.
    workers : int, optional
        Number of processes, each on one thread; by default one per core. 1 works in this process.
    executor : concurrent.futures.Executor or str, optional
        Who runs the chunks: None or ``"processes"`` (spawned, on this machine), ``"serial"``, ``"mpi4py"``, ``"dask"``,
        or an executor. Workers on other machines must see the same `out`.
    resume : bool
        Go on with an unfinished run of the same configuration. False: refuse a folder that has one.
    format : {"h5", "pt", "mat", "pdebench", "well"}
        See `FORMATS` in ``ritzkit.problems.datasets.formats``.
    chunk : int, optional
        Samples per chunk; by default 64, fewer for large problems. Part of the configuration: it changes the last bits.
    test : int, optional
        Samples at the end that become the test set (``"pt"``, ``"well"``); by default a tenth.
    callback : callable, optional
        Called as ``callback(done, count)`` at the start and after each chunk.

    Returns
    -------
    Manifest
        What ``manifest.json`` holds. Samples that missed the tolerance are listed in ``failed`` and have NaN for a label.

    Raises
    ------
    TypeError, ValueError
        Bad arguments, a format that cannot hold the data, a folder with another dataset or another run in it.
    ImportError
        If a package that was asked for is missing.
    RuntimeError
        If a worker process dies.
    KeyboardInterrupt
        After Ctrl-C; its text says how to go on. Finished chunks are kept.

    Notes
    -----
    Scripts that use processes need the usual ``if __name__ == "__main__":``. Seconds per chunk are appended to
    ``log.jsonl``, which is the only file that differs between two runs.

    Examples
    --------
    >>> import tempfile
    >>> from ritzkit.problems import Darcy
    >>> manifest = generate(Darcy(16), 4, tempfile.mkdtemp(), seed=0, workers=1)
    >>> manifest.success, sorted(manifest.files)
    (True, ['darcy.h5'])
    """
    family = _family(family)
    count = checks.integer("count", count)
    seed = checks.integer("seed", seed, 0)
    rtol = checks.real("rtol", rtol, 0.0, 1.0, above=True, below=True)
    arm(solver)
    checks.choice("order", order, ORDERS)
    workers = available_cores() if workers is None else checks.integer("workers", workers)
    check_executor(executor)
    checks.choice("format", format, FORMATS)
    first = draw(family, seed, 0)
    if chunk is None:
        chunk = min(max(CHUNK_UNKNOWNS // max(first.A.shape[0], 1), 1), CHUNK)
    chunk = checks.integer("chunk", chunk)
    layout = _layout(first, family, count, test, format)
    config = {
        "family": _plain(family.parameters()),
        "count": count,
        "seed": seed,
        "rtol": rtol,
        "solver": solver if isinstance(solver, str) else f"{solver.__module__}.{getattr(solver, '__qualname__', '?')}",
        "order": order,
        "chunk": chunk,
        "format": format,
        "test": layout.test,
        "versions": _versions(),
    }
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out is {str(folder)!r}: there is a file of that name; give a folder")
    with locked(folder):
        found = _found(folder, config, resume)
        if found is not None:
            if callback is not None:
                callback(count, count)
            return found
        write_bytes(folder / PLAN, dumps(config).encode())
        bounds = [(k, s, min(s + chunk, count)) for k, s in enumerate(range(0, count, chunk))]
        shards = folder / SHARDS
        missing = [entry for entry in bounds if read_shard(shard_path(shards, entry[0])) is None]
        done = count - sum(stop - start for _, start, stop in missing)
        if callback is not None:
            callback(done, count)
        jobs = [Job(k, a, b, family, seed, rtol, solver, order, str(shards)) for k, a, b in missing]

        def reports() -> Generator[int, None, None]:
            """Work, and tell the number of each chunk that is finished."""
            nonlocal done
            for report in run_jobs(jobs, workers, executor):
                done += report["samples"]
                _log(folder, report)
                if callback is not None:
                    callback(done, count)
                yield report["chunk"]

        try:
            with contextlib.closing(reports()) as finished:
                ready = {entry[0] for entry in bounds} - {entry[0] for entry in missing}
                return _assemble(folder, config, layout, len(bounds), ready, finished)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted: {done} of {count} samples are in {folder}; the same call with resume=True goes on"
            ) from None


def _family(family: Family | str) -> Family:
    from .. import FAMILIES

    if isinstance(family, str):
        checks.choice("family", family, FAMILIES)
        return FAMILIES[family]()
    if not isinstance(family, Family):
        raise TypeError(f"family is a {type(family).__name__}: wanted a family such as Darcy(64), or the name of one")
    return family


def _layout(first: Problem, family: Family, count: int, test: int | None, format: str) -> Layout:
    if test is not None and not FORMATS[format].split:
        raise ValueError(f"test is {test}: format {format!r} has no test set; leave it out, or use pt or well")
    if not FORMATS[format].split:
        test = 0
    elif test is None:
        test = max(count // 10, 1) if count > 1 else 0
    layout = Layout.of(first, family, count, checks.integer("test", test, 0, count - 1))
    FORMATS[format].check(layout)
    return layout


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def _versions() -> dict[str, str]:
    """Everything that the last bits of an answer may depend on."""
    import numba
    import scipy

    from ritzkit import __version__

    return {
        "ritzkit": __version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "numba": numba.__version__,
        "machine": platform.machine(),
    }


def _found(folder: Path, config: dict[str, Any], resume: bool) -> Manifest | None:
    """Look at what is in the folder: a whole dataset of this configuration, an unfinished one, or something else."""
    before: dict[str, Any] | None = None
    manifest: Manifest | None = None
    if (folder / MANIFEST).exists():
        with contextlib.suppress(ValueError):
            manifest = Manifest.load(folder)
            before = manifest.config
    if before is None and (folder / PLAN).exists():
        with contextlib.suppress(ValueError):
            before = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    if not resume and ((folder / MANIFEST).exists() or (folder / PLAN).exists()):
        raise ValueError(
            f"out is {str(folder)!r}: there is a dataset in it; pass resume=True to go on with it, or remove it"
        )
    if before is not None and before != config:
        changed = ", ".join(_differences(before, config))
        raise ValueError(
            f"out is {str(folder)!r}: the dataset in it was made with another configuration ({changed}); use the same, "
            "or give another folder"
        )
    clean(folder)
    if manifest is not None and all(
        (folder / n).is_file() and checksum(folder / n) == s for n, s in manifest.files.items()
    ):
        shutil.rmtree(folder / SHARDS, ignore_errors=True)
        (folder / PLAN).unlink(missing_ok=True)
        return manifest
    return None


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted({*before, *now}):
        one, other = before.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _differences(one, other, f"{key}.")
        elif one != other:
            yield f"{prefix}{key}: {one!r}, now {other!r}"


def _assemble(
    folder: Path, config: dict[str, Any], layout: Layout, chunks: int, ready: set[int], finished: Iterator[int]
) -> Manifest:
    """Put the shards together while they are made, write the manifest, remove the shards."""
    residuals: list[float] = []
    iterations: list[int] = []
    failed: list[dict[str, Any]] = []

    def shards() -> Iterator[Shard]:
        for number in range(chunks):
            while number not in ready:
                ready.add(next(finished))
            shard = read_shard(shard_path(folder / SHARDS, number))
            if shard is None:
                raise RuntimeError(
                    f"the shard of chunk {number} is damaged: call again with resume=True to make it anew"
                )
            for k in np.flatnonzero(~shard["good"]).tolist():
                value = float(shard["residuals"][k])
                failed.append({"index": len(residuals) + k, "outcome": str(shard["outcomes"][k]), "residual": value})
            residuals.extend(shard["residuals"].tolist())
            iterations.extend(shard["iterations"].tolist())
            yield shard

    names = FORMATS[config["format"]].write(folder, layout, shards())
    files = {name: checksum(folder / name) for name in sorted(names)}
    manifest = Manifest(folder, config, layout.to_json(), files, residuals, iterations, failed)
    manifest.save()
    # read back: the same lists and tuples as after loading
    manifest = Manifest.load(folder)
    shutil.rmtree(folder / SHARDS, ignore_errors=True)
    (folder / PLAN).unlink(missing_ok=True)
    return manifest


def _log(folder: Path, report: dict[str, Any]) -> None:
    with (folder / LOG).open("a", encoding="utf-8") as file:
        file.write(json.dumps(report) + "\n")
