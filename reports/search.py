"""Coordinate search over settings of a solver, with a memory on disk, and the writing of what it found as TOML."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .records import digest, plain

__all__ = ["Search", "Setting", "toml"]

Setting = dict[str, Any]


@dataclass
class Search:
    """Coordinate search with a memory on disk.

    Attributes
    ----------
    cost : callable
        ``cost(setting) -> float``; inf for a setting that fails.
    memory : Path
        JSON Lines file of the evaluations; read at the start, appended to.
    identity : str
        What the costs in the memory depend on; those of another identity are not used.
    deadline : float
        On the clock of ``time.monotonic``.
    say : callable
        Shows what is being tried.
    """

    cost: Callable[[Setting], float]
    memory: Path
    identity: str = ""
    deadline: float = math.inf
    say: Callable[[str], None] = lambda text: None
    known: dict[str, float] = field(default_factory=dict)
    best: tuple[float, Setting] = (math.inf, {})
    finished: bool = False

    def load(self) -> int:
        """Read earlier evaluations; return how many there are."""
        if self.memory.exists():
            for line in self.memory.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    setting, identity, value = dict(entry["setting"]), entry["identity"], entry["cost"]
                except (ValueError, KeyError, TypeError):
                    continue  # a line cut off in the middle
                if identity == self.identity:
                    self._note(setting, math.inf if value is None else float(value))
        return len(self.known)

    def _note(self, setting: Setting, value: float) -> None:
        self.known[digest(setting)] = value
        if value < self.best[0]:
            self.best = (value, dict(setting))

    def evaluate(self, setting: Setting) -> float:
        """Return the cost of a setting, from memory if it is there.

        Raises
        ------
        TimeoutError
            If the time is over.
        """
        key = digest(setting)
        if key not in self.known:
            if time.monotonic() > self.deadline:
                raise TimeoutError
            self.say(", ".join(f"{name} {value}" for name, value in setting.items()))
            value = self.cost(setting)
            entry = {"identity": self.identity, "setting": setting, "cost": value}
            with self.memory.open("a", encoding="utf-8") as file:
                file.write(json.dumps(plain(entry)) + "\n")
            self._note(setting, value)
        return self.known[key]

    def run(
        self,
        starts: Sequence[Setting],
        candidates: Mapping[str, Sequence[Any]],
        steps: Mapping[str, tuple[float, float]],
    ) -> None:
        """Search from every start; the best is in ``best``, also when the time ends it.

        Parameters
        ----------
        starts : sequence of settings
            Every constant of a start that has candidates is moved; others stay.
        candidates : mapping
            Values that are tried, by constant.
        steps : mapping
            Smallest and largest step of the constants that are refined around their best value.
        """
        try:
            for start in starts:
                self._descend(dict(start), candidates, steps)
            self.finished = True
        except TimeoutError:
            pass

    def _descend(
        self,
        setting: Setting,
        candidates: Mapping[str, Sequence[Any]],
        steps: Mapping[str, tuple[float, float]],
    ) -> None:
        value, before = self.evaluate(setting), math.inf
        while value < before:
            before = value
            for name in [name for name in candidates if name in setting]:
                for candidate in candidates[name]:
                    value, setting = self._better(value, setting, {**setting, name: candidate})
            for name in [name for name in steps if name in setting]:
                least, step = steps[name]
                while step >= least:
                    old = setting[name]
                    for trial in (old - step, old + step):
                        value, setting = self._better(value, setting, {**setting, name: round(trial, 4)})
                    if setting[name] == old:
                        step /= 2

    def _better(self, value: float, setting: Setting, trial: Setting) -> tuple[float, Setting]:
        cost = self.evaluate(trial)
        return (cost, trial) if cost < value else (value, setting)


def toml(tables: Mapping[str, Mapping[str, Any]], comment: str) -> str:
    """Write tables of constants as TOML; the standard library only reads it.

    Examples
    --------
    >>> print(toml({"2d": {"cycle": "V", "omega": [1.0, 1.15]}, "training.2d": {"seeds": [1, 2]}}, "Made by hand."))
    # Made by hand.
    <BLANKLINE>
    [2d]
    cycle = "V"
    omega = [1.0, 1.15]
    <BLANKLINE>
    [training.2d]
    seeds = [1, 2]
    <BLANKLINE>
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    for title, entries in tables.items():
        lines += ["", f"[{title}]", *(f"{name} = {_toml(value)}" for name, value in entries.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ("nan" if math.isnan(value) else f"{'-' * (value < 0)}inf")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)
