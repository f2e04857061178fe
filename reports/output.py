"""From a records file to everything a person looks at: ``tables.md``, ``figures/``, ``index.html``."""

from __future__ import annotations

import os
from pathlib import Path

from . import html, plots, tables
from .errors import UserError, need
from .findings import headline
from .records import by_kind, read
from .summary import suites

__all__ = ["write_page", "write_tables"]


def write_tables(records: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """Write ``tables.md`` from the records alone; needs no extra."""
    summaries = suites(_some(records))
    path = _folder(folder) / "tables.md"
    _write(path, tables.markdown(summaries, headline(summaries)))
    return path


def write_page(records: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """Write the figures (SVG and PNG) and ``index.html`` from the records alone.

    Raises
    ------
    UserError
        If Matplotlib is missing, the records hold nothing, or the folder cannot be written.
    """
    need("matplotlib", "figures")
    content = _some(records)
    summaries = suites(content)
    target = _folder(folder)
    drawings = _folder(target / "figures")
    try:
        figures = plots.draw(summaries, drawings)
    except OSError as error:
        raise UserError(f"--out: cannot write {drawings}: {error.strerror or error}") from None
    path = target / "index.html"
    _write(path, html.page(summaries, figures, by_kind(content, "environment")))
    return path


def _some(records: str | os.PathLike[str]) -> list[dict]:
    content = read(records)
    if not any(record["kind"] != "environment" for record in content):
        raise UserError(f"{records}: no finished measurement in it; run `ritzkit bench` first")
    return content


def _folder(folder: str | os.PathLike[str]) -> Path:
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--out: cannot write {path}: {(error.strerror or str(error)).lower()}; give a folder that you may write to"
        ) from None
    return path


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out: cannot write {path}: {(error.strerror or str(error)).lower()}") from None
