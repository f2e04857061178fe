"""Datasets end to end, from parameters to a validated file, and killed runs that are resumed.

A dataset arm is one call of ``generate`` with two worker processes, and of ``validate_dataset`` on what it wrote. An arm
that takes too long for all samples makes a subset of them; its seconds per sample are those of its chunks (drawing, solving,
writing, shared by the workers) and of the validation, so that the start of the processes, which a long run does not feel, is
not charged to it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..base import Terms

__all__ = ["arm", "contents", "curve", "kills"]

RTOL = 1e-6
LAW = "fno"


def _family(edge: int) -> Any:
    from ....problems import Darcy

    return Darcy(edge, LAW)


def _generate(edge: int, count: int, solver: str, folder: Path, terms: Terms, chunk: int | None, workers: int) -> float:
    """Make a dataset; returns seconds."""
    from ....problems import generate

    start = time.perf_counter()
    generate(_family(edge), count, folder, seed=terms.seed, rtol=RTOL, solver=solver, workers=workers, chunk=chunk)
    return time.perf_counter() - start


def _once(edge: int, count: int, solver: str, terms: Terms, chunk: int | None, workers: int) -> dict[str, Any]:
    from ....problems import validate_dataset
    from ....problems.datasets.manifest import LOG

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "dataset"
        seconds = _generate(edge, count, solver, folder, terms, chunk, workers)
        start = time.perf_counter()
        try:
            manifest = validate_dataset(folder)
            text = ""
        except ValueError as error:
            manifest, text = None, str(error)
        checking = time.perf_counter() - start
        log = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    parts = {key: sum(entry[f"{key}_seconds"] for entry in log) for key in ("draw", "solve", "write")}
    return {
        "seconds": seconds, "validate_seconds": checking, "chunk_seconds": parts, "bytes": size,
        "valid": manifest is not None, "text": text,
        "worst": max(manifest.residuals) if manifest is not None else None,
        "iterations": sum(manifest.iterations) / count if manifest is not None else None,
    }  # fmt: skip


def arm(solver: str, edge: int, count: int, whole: int, repeats: int, terms: Terms) -> dict[str, Any]:
    """Make and validate a dataset with one arm; return the record.

    Parameters
    ----------
    solver : str
        Arm of ``generate``.
    edge, count, whole : int
        Cells per axis, samples of this arm, samples of a whole dataset.
    repeats : int
        How often.
    terms : Terms
        Seed, and the number of workers.
    """
    workers = max(terms.threads, 1)
    chunk = None if count >= 64 * workers else -(-count // workers)
    with tempfile.TemporaryDirectory() as name:  # compiles
        terms.say(f"{solver}: untimed")
        _generate(16, 2, solver, Path(name) / "d", terms, 1, 1)
    runs = []
    for _ in range(repeats):
        terms.say(f"{solver}: {count} samples")
        runs.append(_once(edge, count, solver, terms, chunk, workers))
        terms.tick()
    return {
        "kind": "dataset", "solver": solver, "edge": edge, "count": count, "whole": whole, "workers": workers,
        "chunk": chunk, "rtol": RTOL, "runs": runs,
    }  # fmt: skip


def curve(solver: str, edge: int, counts: tuple[int, ...], terms: Terms) -> dict[str, Any]:
    """Make datasets of several sizes, each from a cold start; return the record."""
    workers = max(terms.threads, 1)
    points = []
    for count in counts:
        terms.say(f"{solver}: {count} samples")
        points.append({"count": count, **_once(edge, count, solver, terms, None, workers)})
        terms.tick()
    return {"kind": "curve", "solver": solver, "edge": edge, "workers": workers, "rtol": RTOL, "points": points}


SCRIPT = """
import sys
from ritzkit.problems import Darcy, generate
if __name__ == "__main__":
    generate(Darcy({edge}, "{law}"), {count}, sys.argv[1], seed={seed}, rtol={rtol}, workers={workers}, chunk={chunk})
"""


def contents(folder: Path) -> Mapping[str, bytes]:
    """Return all files of a dataset except its log of seconds."""
    from ....problems.datasets.manifest import LOG

    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LOG and not path.name.startswith(".")
    }


def kills(edge: int, count: int, chunk: int, wanted: int, terms: Terms) -> dict[str, Any]:
    """Kill a run at random moments and resume it; compare with an undisturbed one, byte by byte; return the record.

    The moments are random numbers of finished chunks and up to 0.3 seconds more: kills meet start, work and writing.

    Parameters
    ----------
    edge, count, chunk : int
        Cells per axis, samples, samples per chunk.
    wanted : int
        Times it is to be killed while it works.
    terms : Terms
    """
    workers = max(terms.threads, 1)
    chunks = -(-count // chunk)
    chance = random.Random(terms.seed)
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        script = base / "make.py"
        script.write_text(
            SCRIPT.format(edge=edge, law=LAW, count=count, seed=terms.seed, rtol=RTOL, workers=workers, chunk=chunk)
        )
        terms.say("an undisturbed run")
        start = time.perf_counter()
        _process(script, base / "calm").wait()
        calm = time.perf_counter() - start
        terms.tick()
        killed: list[dict[str, Any]] = []
        moments = sorted(chance.sample(range(chunks), min(wanted, chunks)))
        while moments:
            terms.say(f"kill {len(killed) + 1} of {wanted}")
            before = _shards(base / "shaken")
            process = _process(script, base / "shaken")
            if _wait(process, base / "shaken", moments[0], chance.uniform(0.0, 0.3)):
                break  # it ended before the moment came
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed.append({"before": before, "after": _shards(base / "shaken")})
            del moments[0]
            terms.tick()
        terms.say("the last resume")
        _process(script, base / "shaken").wait()
        one, other = contents(base / "calm"), contents(base / "shaken")
        differing = sorted(path for path in {*one, *other} if one.get(path) != other.get(path))
    return {
        "kind": "kills", "edge": edge, "count": count, "chunk": chunk, "workers": workers, "wanted": wanted,
        "killed": killed, "calm_seconds": calm, "files": len(one), "bytes": sum(map(len, one.values())),
        "identical": bool(one) and not differing, "differing": differing,
    }  # fmt: skip


def _process(script: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start a run in a session of its own, so that its workers can be killed with it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(
        [sys.executable, str(script), str(out)],
        start_new_session=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _wait(process: subprocess.Popen[bytes], folder: Path, shards: int, more: float) -> bool:
    """Wait until so many shards are there, and so many seconds more; says whether the process has ended."""
    while _shards(folder) < shards and process.poll() is None:
        time.sleep(0.005)
    time.sleep(more)
    return process.poll() is not None


def _shards(folder: Path) -> int:
    return len(list((folder / "shards").glob("*.shard"))) if folder.exists() else 0
