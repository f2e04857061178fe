"""The manifest of a dataset: what was asked for, what came out, and checksums of the files; the same bytes in every run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .storage import dumps, write_bytes

__all__ = ["LOG", "MANIFEST", "Manifest"]

MANIFEST = "manifest.json"
LOG = "log.jsonl"
KIND = "ritzkit dataset 1"


@dataclass(frozen=True, eq=False)
class Manifest:
    """What a dataset is.

    Attributes
    ----------
    folder : Path
        Where it lies.
    config : dict
        Family with its parameters, count, seed, rtol, solver, order, chunk, format, number of test samples, versions.
    layout : dict
        Names and shapes of inputs, outputs and scalars.
    files : dict of str to str
        SHA-256 of each file, by its path below the folder.
    residuals : list of float
        True relative residual of every sample, recomputed in double precision before the labels are rounded.
    iterations : list of int
        Iterations of every sample.
    failed : list of dict
        Samples that missed the tolerance: ``index``, ``outcome``, ``residual``. Their labels are NaN.

    Notes
    -----
    Seconds stand in ``log.jsonl``, which is no part of the dataset: files and manifest are the same bytes in every run.
    """

    folder: Path
    config: dict[str, Any]
    layout: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)
    residuals: list[float] = field(default_factory=list, repr=False)
    iterations: list[int] = field(default_factory=list, repr=False)
    failed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def success(self) -> bool:
        """Whether every sample has a label that meets the tolerance."""
        return not self.failed

    @property
    def count(self) -> int:
        """Number of samples."""
        return int(self.config["count"])

    @property
    def paths(self) -> list[Path]:
        """The data files."""
        return [self.folder / name for name in self.files]

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} FAILED" if self.failed else ""
        worst = max(self.residuals, default=0.0)
        return (
            f"<Manifest {self.folder}: {self.count} samples of {self.config['family']['family']}{failed}, "
            f"largest residual {worst:.2e}>"
        )

    def save(self) -> None:
        """Write ``manifest.json``: the last file of a run."""
        content = {
            "kind": KIND,
            "config": self.config,
            "config_sha256": config_hash(self.config),
            "layout": self.layout,
            "files": self.files,
            "residuals": self.residuals,
            "iterations": self.iterations,
            "failed": self.failed,
        }
        write_bytes(self.folder / MANIFEST, dumps(content).encode())

    @classmethod
    def load(cls, folder: str | Path) -> Manifest:
        """Read the manifest of a dataset.

        Raises
        ------
        FileNotFoundError
            If the folder has none (the run is not finished, or it is no dataset).
        ValueError
            If it is damaged.
        """
        folder = Path(folder)
        path = folder / MANIFEST
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such file; the run that makes it is not finished, or this is no dataset"
            )
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["kind"] != KIND or config_hash(content["config"]) != content["config_sha256"]:
                raise ValueError("the configuration does not fit its checksum")
            names = ("config", "layout", "files", "residuals", "iterations", "failed")
            return cls(folder, *(content[name] for name in names))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: damaged: {error}") from None

    def with_files(self, files: Mapping[str, str]) -> Manifest:
        """Return the same with other checksums."""
        return replace(self, files=dict(files))


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of a configuration."""
    return hashlib.sha256(dumps(config).encode()).hexdigest()
