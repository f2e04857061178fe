"""``ritzkit tune multigrid FAMILY``: search the constants of multigrid on training systems and write the best as TOML.

The search goes coordinate by coordinate, from one start per smoother: for each constant in turn every candidate is tried
and the best kept, until a whole round changes nothing. Weights are refined by halving their step around the best.

Objective: the geometric mean over the training systems of (iterations of cg to 1e-8) x (bytes that one iteration moves per
unknown). Both are the same on every machine and at every load, unlike seconds. Iterations are taken between two whole
numbers, where the straight line through the logarithms of the last two residuals meets 1e-8, so that a weight that helps a
little is seen to help. The bytes are those of fused passes (as in the suite `multigrid`); a setting with which cg does not
converge on every system, or whose cycle is not proved to be positive definite, costs infinitely much.

Training systems are drawn from seeds of their own, which the suites never use. Every evaluation is appended to a file beside
the result, so that an interrupted search goes on where it was; Ctrl-C and the end of the time write the best so far. The
time does not count drawing the systems and compiling.
"""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import UserError
from .progress import Progress
from .records import digest
from .search import Search, Setting, toml

__all__ = ["FAMILIES", "TrainingSet", "fractional_iterations", "options", "run", "traffic"]

RTOL = 1e-8
MOST_ITERATIONS = 150
TRAINING_SEED = 20_000_000
"""First seed of the training systems. Suites draw from ``[seed, hash of a name]``, never from a single number."""

#: What is tried for each constant, in the order of the search.
CANDIDATES: dict[str, tuple[Any, ...]] = {
    "cycle": ("V", "W"),
    "pre": (1, 2, 3),
    "coarse_sweeps": (1, 2, 3),
    "omega": (0.8, 0.9, 1.0, 1.1, 1.2, 1.3),
    "coarse_omega": (0.9, 1.0, 1.1, 1.2, 1.3),
    "band": (0, 1, 2),
}
#: The smallest and the largest step with which a weight is refined around its best value.
STEPS = {"omega": (0.0125, 0.05), "coarse_omega": (0.0125, 0.05)}
STARTS: tuple[Setting, ...] = (
    {"smoother": "rbsor", "cycle": "V", "pre": 1, "coarse_sweeps": 1, "omega": 1.0, "coarse_omega": 1.0, "band": 0},
    {"smoother": "rbsor", "cycle": "V", "pre": 1, "coarse_sweeps": 2, "omega": 1.15, "coarse_omega": 1.15, "band": 0},
    {"smoother": "rbsor", "cycle": "W", "pre": 2, "coarse_sweeps": 1, "omega": 1.1, "coarse_omega": 1.0, "band": 0},
    {"smoother": "chebyshev", "cycle": "V", "pre": 2, "coarse_sweeps": 2},
    {"smoother": "jacobi", "cycle": "V", "pre": 1, "coarse_sweeps": 1, "omega": 0.8, "coarse_omega": 0.8},
)

# by dimension: geometry of the suite `multigrid`, shape, number of systems
FAMILIES: dict[str, dict[int, tuple[tuple[str, tuple[int, ...], int], ...]]] = {
    "box": {2: (("box", (128, 128), 1), ("box", (512, 512), 1)), 3: (("box", (40,) * 3, 1), ("box", (96,) * 3, 1))},
    "obstacles": {
        2: (("balls", (128, 128), 2), ("balls", (512, 512), 1)),
        3: (("balls", (48,) * 3, 2), ("balls", (96,) * 3, 1)),
    },
    "walls": {
        2: (("walls", (128, 128), 1), ("comb", (128, 128), 1), ("walls", (512, 512), 1), ("comb", (512, 512), 1)),
        3: (("walls", (48,) * 3, 1), ("comb", (48,) * 3, 1), ("walls", (96,) * 3, 1)),
    },
    "porous": {
        2: (("porous", (128, 128), 2), ("random", (128, 128), 1), ("porous", (512, 512), 1)),
        3: (("porous", (48,) * 3, 1), ("random", (48,) * 3, 1), ("porous", (80,) * 3, 1)),
    },
    "darcy": {
        2: (
            ("fno", (128, 128), 1),
            ("lognormal-4", (128, 128), 1),
            ("fno", (256, 256), 1),
            ("lognormal-9", (256, 256), 1),
        ),
        3: (("fno", (32,) * 3, 1), ("lognormal-9", (32,) * 3, 1), ("fno", (64,) * 3, 1)),
    },
}
"""Training systems by family and dimension."""

COARSE = 2.0
"""What a byte on a coarse level counts: small levels run on one thread, and starting a sweep costs as much as its bytes."""


def traffic(setting: Mapping[str, Any], dim: int, *, variable: bool) -> float:
    """Bytes per unknown that one iteration of cg with a multigrid cycle moves.

    Parameters
    ----------
    setting : mapping
        ``smoother``, ``cycle``, ``pre`` (sweeps before and after; for Chebyshev the degree), ``coarse_sweeps``, ``band``.
    dim : {2, 3}
        Dimension.
    variable : bool
        Whether conductances are stored.

    Notes
    -----
    cg and the change of precision move 84 bytes, and the operator where it is stored. In the cycle (float32), a sweep from
    zero moves 8, any other sweep 12, a step of the Chebyshev polynomial 20, a sweep over a boundary band 3, the residual
    with its restriction 8 and the prolongation 4, each with the stored conductances or one byte a cell. Level l is visited
    once (V) or ``2^l`` times (W) and has ``2^(-dim l)`` of the cells; its bytes count twice (`COARSE`).
    """
    every = 4.0 * (dim + 2)  # conductances, diagonal and weight of a cell in float32: all coarse levels store them
    outside = 84.0 + (8.0 * (dim + 1) if variable else 1.0)

    def level(sweeps: int, stored: float) -> float:
        if setting["smoother"] == "chebyshev":
            smoothing = 2 * sweeps * (20.0 + stored) - 12.0
        else:
            smoothing = 2 * sweeps * (12.0 + stored) - 4.0
        return smoothing + 8.0 + stored + 4.0 + 1.5 * 4.0 / 2**dim

    share = 0.5**dim * (2.0 if setting["cycle"] == "W" else 1.0)
    finest = every if variable else 1.0
    fine = level(int(setting["pre"]), finest) + 2 * int(setting.get("band") or 0) * (3.0 + finest)
    return outside + fine + COARSE * level(int(setting["coarse_sweeps"]), every) * share / (1.0 - share)


def fractional_iterations(residuals: npt.ArrayLike, rtol: float = RTOL) -> float:
    """Where the history, which starts at 1, goes below `rtol`, between two iterations; inf if it never does.

    Examples
    --------
    >>> fractional_iterations([1e-3, 1e-6], 1e-4), round(fractional_iterations([1e-3, 1e-6], 1e-5), 3)
    (1.3333333333333333, 1.667)
    """
    history = np.concatenate([[1.0], np.asarray(residuals, dtype=float)])
    below = np.flatnonzero(history <= rtol)
    if not below.size:
        return math.inf
    k = int(below[0])
    if k == 0:
        return 0.0
    high, low = math.log(history[k - 1]), math.log(max(float(history[k]), 1e-300))
    return k - 1 + (high - math.log(rtol)) / (high - low)


@dataclass
class TrainingSet:
    """The systems of a family in one dimension, drawn once; calling it gives the cost of a setting.

    Attributes
    ----------
    family : str
        A name of `FAMILIES`.
    dim : {2, 3}
        Dimension.
    """

    family: str
    dim: int
    systems: list[tuple[Any, bool]] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)

    def draw(self) -> Iterator[str]:
        """Draw the systems, saying which."""
        from .suites.multigrid.geometries import by_name, text

        for name, shape, count in FAMILIES[self.family][self.dim]:
            geometry = by_name(name)
            for _ in range(count):
                seed = TRAINING_SEED + len(self.seeds)
                yield f"drawing {geometry.label}, {text(shape)}"
                problem = geometry.family(shape).sample(np.random.default_rng(seed))
                self.systems.append((problem, geometry.variable))
                self.seeds.append(seed)

    def __call__(self, setting: Setting) -> float:
        """Return the cost of a setting: geometric mean of iterations x bytes; inf if it fails anywhere."""
        from ..solvers import cg, precond

        logs = []
        for problem, variable in self.systems:
            try:
                M = precond.multigrid(problem, **options(setting))
                if not M.positive_definite:  # of a shipped setting cg has to be safe for every system
                    return math.inf
                result = cg(problem.A, problem.b, rtol=RTOL, M=M, maxiter=MOST_ITERATIONS)
            except (ValueError, ArithmeticError, np.linalg.LinAlgError):
                return math.inf
            if not result.success:
                return math.inf
            count = fractional_iterations(result.residuals)
            count = count if math.isfinite(count) else float(result.iterations)
            logs.append(math.log(count * traffic(setting, self.dim, variable=variable)))
        return math.exp(sum(logs) / len(logs))


def options(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a setting of the search into keywords of `ritzkit.solvers.precond.multigrid`.

    Examples
    --------
    >>> options({"smoother": "rbsor", "pre": 2, "omega": 1.0, "coarse_omega": 1.2})
    {'smoother': 'rbsor', 'pre': 2, 'omega': [1.0, 1.2], 'post': 2}
    """
    keywords = {name: value for name, value in setting.items() if name != "coarse_omega"}
    coarse = setting.get("coarse_omega")
    if coarse is not None and coarse != setting["omega"]:
        keywords["omega"] = [setting["omega"], coarse]
    return {**keywords, "post": setting["pre"]}


class _Clock:
    """Progress by time: a search does not know how many settings it will try."""

    def __init__(self, progress: Progress, minutes: float) -> None:
        self.progress, self.seconds, self.shown = progress, 60.0 * minutes, 0
        self.spent, self.begun, self.end = 0.0, math.inf, 0.0

    def deadline(self, share: float) -> float:
        """Start the clock of a search that has a share of the time; return when it is over."""
        self.spent += max(0.0, self.end - self.begun)
        self.begun = time.monotonic()
        self.end = self.begun + share * self.seconds
        return self.end

    def say(self, dim: int, text: str) -> None:
        """Show what is tried."""
        running = min(max(0.0, time.monotonic() - self.begun), max(0.0, self.end - self.begun))
        share = min(99, int(100 * (self.spent + running) / self.seconds))
        self.progress.advance(max(0, share - self.shown))
        self.shown = max(self.shown, share)
        self.progress.say(f"{dim}-D {text}")


def run(family: str, *, minutes: float, out: str | None) -> int:
    """Tune multigrid for a family, in 2-D and then in 3-D; write the TOML file; return the exit code.

    Raises
    ------
    UserError
        If the family is unknown, or the file cannot be written.
    """
    if family not in FAMILIES:
        raise UserError(f"unknown family {family!r}: choose one of {', '.join(FAMILIES)}")
    path = Path(out) if out else Path(f"multigrid-{family}.toml")
    memory = path.with_suffix(".search.jsonl")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        memory.open("a", encoding="utf-8").close()
    except OSError as error:
        raise UserError(f"--out: cannot write {memory}: {(error.strerror or str(error)).lower()}") from None
    searches: dict[int, tuple[Search, TrainingSet]] = {}
    interrupted = False
    with Progress(100) as progress:
        clock = _Clock(progress, minutes)
        try:
            for dim in FAMILIES[family]:
                training = TrainingSet(family, dim)
                identity = digest({"systems": FAMILIES[family][dim], "rtol": RTOL, "seed": TRAINING_SEED, "model": 4})
                search = Search(training, memory, identity, say=functools.partial(clock.say, dim))
                search.load()
                searches[dim] = (search, training)
                for text in training.draw():
                    search.say(text)
                search.say("first cycles")
                training(STARTS[0])  # compiles, off the clock
                search.deadline = clock.deadline(1.0 / len(FAMILIES[family]))
                search.run(STARTS, CANDIDATES, STEPS)
        except KeyboardInterrupt:
            interrupted = True
    if not any(search.best[1] for search, _ in searches.values()):
        if not memory.stat().st_size:
            memory.unlink()
        if interrupted:
            sys.stderr.write("ritzkit: interrupted before any setting was tried; nothing is written\n")
            return 130
        raise UserError(f"no setting was tried in {minutes:g} minutes: give more with --minutes")
    _write(path, searches, family)
    sys.stdout.write(f"{path}\n")
    sys.stdout.flush()
    finished = len(searches) == len(FAMILIES[family]) and all(search.finished for search, _ in searches.values())
    if interrupted or not finished:
        why = "interrupted" if interrupted else f"the {minutes:g} minutes are over"
        tried = sum(len(search.known) for search, _ in searches.values())
        extra = f" --out {out}" if out else ""
        sys.stderr.write(
            f"ritzkit: {why}; the best of {tried} settings is in {path}; go on with: "
            f"ritzkit tune multigrid {family} --minutes {minutes:g}{extra}\n"
        )
    else:
        memory.unlink()
    return 130 if interrupted else 0


def _write(path: Path, searches: Mapping[int, tuple[Search, TrainingSet]], family: str) -> None:
    tables: dict[str, dict[str, Any]] = {}
    for dim, (search, training) in searches.items():
        cost, setting = search.best
        if not setting:
            continue
        tables[f"{dim}d"] = options(setting)
        tables[f"training.{dim}d"] = {
            "systems": [f"{name} {'x'.join(map(str, shape))}, {n}" for name, shape, n in FAMILIES[family][dim]],
            "seeds": training.seeds,
            "cost": round(cost, 2),
            "cost_untuned": round(search.known.get(digest(STARTS[0]), math.nan), 2),
            "settings_tried": len(search.known),
            "finished": search.finished,
        }
    comment = (
        f"Constants of precond.multigrid for the family {family!r}, found by `ritzkit tune multigrid {family}`.\n"
        "Cost: geometric mean over the training systems of iterations of cg to 1e-8 times bytes moved per unknown and "
        "iteration."
    )
    try:
        path.write_text(toml(dict(sorted(tables.items())), comment), encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out: cannot write {path}: {(error.strerror or str(error)).lower()}") from None
