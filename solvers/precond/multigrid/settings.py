"""The constants of a cycle: where they come from (preset files, arguments) and what is admissible."""

from __future__ import annotations

import copy
import functools
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...gate import check_count

__all__ = ["PRESETS", "Settings", "preset_table", "settings"]

PRESETS = Path(__file__).with_name("presets")
CYCLES = ("V", "W")
SMOOTHERS = ("rbsor", "chebyshev", "jacobi")
KEYS = ("cycle", "smoother", "pre", "post", "coarse_sweeps", "omega", "band")


@dataclass(frozen=True)
class Settings:
    """Constants of a cycle.

    Attributes
    ----------
    cycle : {"V", "W"}
    smoother : {"rbsor", "chebyshev", "jacobi"}
    pre, post : int
        Sweeps (polynomial degree) before and after the coarse correction on the finest level.
    coarse_sweeps : int
        The same for each of the two on all other levels, None for `pre` and `post`.
    omega : float, array or list of these
        Relaxation weights, the entries of a list going to the levels from the finest down (the last one also to the rest).
    band : int
        Extra sweeps over the cells of the finest level that touch an obstacle, before and after.
    """

    cycle: str = "V"
    smoother: str = "rbsor"
    pre: int = 1
    post: int = 1
    coarse_sweeps: int | None = None
    omega: Any = 1.0
    band: int = 0

    def __post_init__(self) -> None:
        """Check everything but the shapes of weights."""
        if self.cycle not in CYCLES:
            raise ValueError(f"cycle is {self.cycle!r}: wanted one of {', '.join(CYCLES)}")
        if self.smoother not in SMOOTHERS:
            raise ValueError(f"smoother is {self.smoother!r}: wanted one of {', '.join(SMOOTHERS)}")
        for name in ("pre", "post", "band"):
            object.__setattr__(self, name, check_count(name, getattr(self, name)))
        if self.pre + self.post == 0:
            raise ValueError(
                "pre and post are both 0: a cycle without smoothing does not converge; use at least one sweep"
            )
        if self.coarse_sweeps is not None:
            object.__setattr__(self, "coarse_sweeps", check_count("coarse_sweeps", self.coarse_sweeps, 1))
        if self.band and self.smoother != "rbsor":
            raise ValueError(f"band is {self.band} with smoother {self.smoother!r}: extra sweeps go with 'rbsor' only")
        for entry in self.omega if isinstance(self.omega, (list, tuple)) else [self.omega]:
            self._check_weights(entry)
        if isinstance(self.omega, (list, tuple)) and not self.omega:
            raise ValueError("omega is an empty list: wanted one entry per level, at least one")

    def _check_weights(self, entry: Any) -> None:
        try:
            values = np.asarray(entry, dtype=np.float64)
        except (TypeError, ValueError):
            raise TypeError(
                f"omega is {entry!r}: wanted a number, an array, or a list with one of these per level"
            ) from None
        most = 1.0 if self.smoother == "jacobi" else 2.0
        if not values.size or not np.isfinite(values).all() or not ((values > 0) & (values < most)).all():
            got = (
                f"{entry!r}"
                if values.ndim == 0
                else f"an array from {values.min():.3g} to {values.max():.3g}"
                if values.size
                else "empty"
            )
            raise ValueError(
                f"omega is {got}: {self.smoother} converges, and is positive definite, for weights between 0 and {most:g} "
                "only (both excluded)"
            )

    @property
    def symmetric(self) -> bool:
        """Whether the cycle is a symmetric map."""
        return self.pre == self.post


def preset_table(preset: str | os.PathLike[str], ndim: int) -> dict[str, Any]:
    """Return the constants that a preset file holds for 2 or 3 axes.

    Parameters
    ----------
    preset : str or path
        ``"tuned"`` (the file ``default.toml``), the name of a file in the folder of presets, or the path of a TOML file.
    ndim : {2, 3}

    Raises
    ------
    ValueError
        If there is no such preset, it is no TOML, says nothing about that many axes, or holds unknown keys.
    """
    name = "default" if preset == "tuned" else os.fspath(preset)
    path = PRESETS / f"{name}.toml"
    if not path.is_file():
        path = Path(preset)
    if path.suffix != ".toml" or not path.is_file():
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.toml")))
        raise ValueError(f"preset is {preset!r}: wanted 'tuned', one of {known}, or the path of a TOML file")
    try:
        table = _parsed(path, path.stat().st_mtime_ns).get(f"{ndim}d")
    except ValueError as error:  # no TOML, or no text
        raise ValueError(f"preset {path} cannot be read as TOML: {error}") from None
    if not isinstance(table, dict):
        raise ValueError(f"preset {path} has no table [{ndim}d]: wanted one for the {ndim} axes of this grid")
    unknown = sorted(set(table) - set(KEYS))
    if unknown:
        raise ValueError(f"preset {path} holds unknown entries {', '.join(unknown)}: wanted some of {', '.join(KEYS)}")
    return copy.deepcopy(table)


@functools.lru_cache(maxsize=16)
def _parsed(path: Path, changed: int) -> dict[str, Any]:
    """Read a file; as long as it does not change, once."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def settings(preset: str | os.PathLike[str], ndim: int, **given: Any) -> Settings:
    """Return the constants of a preset, with those arguments in place that are not None."""
    if not isinstance(preset, (str, os.PathLike)):
        raise TypeError(f"preset is {preset!r}: wanted a name or a path")
    table = preset_table(preset, ndim)
    chosen = {key: value for key, value in given.items() if value is not None}
    own = table.get("smoother", "rbsor")
    smoother = chosen.get("smoother", own)
    if smoother == "chebyshev" and "omega" in chosen:
        raise ValueError(f"omega is {chosen['omega']!r} with smoother 'chebyshev', which has no weights: leave it out")
    if smoother != own:  # weights of one smoother mean nothing to another
        table["omega"] = 0.8 if smoother == "jacobi" else 1.0
        table["band"] = 0
    return Settings(**(table | chosen))
