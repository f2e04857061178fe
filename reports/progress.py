"""Progress with the time left on a terminal; nothing at all when the output goes to a file or a pipe."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

__all__ = ["Progress"]


class Progress:
    """A bar on stderr if that is a terminal and `rich` is there; silent otherwise.

    Parameters
    ----------
    total : int
        Number of steps (measurements) ahead.
    quiet : bool, optional
        Force silence; by default decided by whether stderr is a terminal.

    Examples
    --------
    >>> with Progress(2, quiet=True) as progress:
    ...     progress.say("first")
    ...     progress.advance()
    """

    def __init__(self, total: int, *, quiet: bool | None = None) -> None:
        self._bar: Any = None
        self._task: Any = None
        if quiet is None:
            quiet = not sys.stderr.isatty()
        if quiet:
            return
        try:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as Bar
        except ImportError:
            return
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=14),
            MofNCompleteColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=total)

    def say(self, text: str) -> None:
        """Show what is being done."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"{text:<40.40}")

    def advance(self, steps: int = 1) -> None:
        """Count finished steps."""
        if self._bar is not None:
            self._bar.advance(self._task, steps)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
