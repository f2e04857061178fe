"""What each way of solving has cost so far, and which one to take next.

A way of solving (an `Arm`) is a family of preconditioners, how it is brought to the new matrix (``refresh``: set up again;
``frozen``: left as it is; ``scaled``: left as it is between scalings by the ratio of the diagonals), and whether a subspace
is recycled. For each the ledger keeps what a set-up costs, what an iteration costs, and how many iterations a decade of the
residual takes, as medians of the last few values. So the same numbers predict a solve from a good guess and from a
bad one.

Which arm is next: the cheapest by prediction, a set-up being shared by as many systems as the matrix is expected to serve
(as many as it has served, or as former ones did on average). An arm without measurements is tried when what it promises
to save over as many systems again as have been seen exceeds what the trial may lose, and while all trials together have
lost little of what was spent; a trial may take no more iterations than the best arm would cost, and what it reached is the
guess of the solve that follows. So the regret is bounded by a few hundredths of the total and a few solves.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Arm", "ArmRecord", "Ledger", "Track"]

SECONDS_PER_BYTE = 2e-10  # before anything is measured
SHARE = 0.03  # part of the total that trials may lose
HEAD_START = 1.5  # and this many times the cost of the best arm
LONGEST_REST = 512
TRACKS = ("build", "setup", "step", "fixed", "rate", "plain")


class Track:
    """The last few values of a quantity and their median."""

    __slots__ = ("_median", "values")

    def __init__(self, values: Any = ()) -> None:
        self.values: deque[float] = deque(values, maxlen=5)
        self._median: float | None = None

    def add(self, value: float) -> None:
        """Add a value."""
        self.values.append(float(value))
        self._median = None

    def __bool__(self) -> bool:
        return bool(self.values)

    @property
    def median(self) -> float:
        """The (lower) median: a single slow run does not move it."""
        if self._median is None:
            ordered = sorted(self.values)
            self._median = ordered[(len(ordered) - 1) // 2]
        return self._median


@dataclass(frozen=True)
class Arm:
    """A way of solving."""

    family: str
    mode: str = "refresh"
    recycle: bool = False

    def __str__(self) -> str:
        return f"{self.family}/{self.mode}" + ("+recycle" if self.recycle else "")

    @classmethod
    def parse(cls, text: str) -> Arm:
        """Read what `str` wrote."""
        name, _, extra = text.partition("+")
        family, _, mode = name.partition("/")
        return cls(family, mode, bool(extra))


@dataclass
class ArmRecord:
    """What was measured of one arm."""

    build: Track = field(default_factory=Track)  # cost of a set-up from nothing
    setup: Track = field(default_factory=Track)  # cost of bringing it to a new matrix
    step: Track = field(default_factory=Track)  # cost of an iteration
    fixed: Track = field(default_factory=Track)  # cost of a solve beside its iterations
    rate: Track = field(default_factory=Track)  # iterations per decade
    near: deque[tuple[float, float]] = field(
        default_factory=lambda: deque(maxlen=16)
    )  # (distance, rate) of frozen solves
    plain: Track = field(default_factory=Track)  # the same in solves from a zero guess
    uses: int = 0
    rest: int = 2  # systems to wait before the next trial of a frozen or failed arm
    wait: int = 0  # the number of the system before which it is not tried again

    def rate_at(self, distance: float) -> float:
        """Return iterations per decade of a frozen preconditioner: the mean over the three nearest distances so far."""
        if not self.near:
            return self.rate.median
        ranked = sorted(self.near, key=lambda pair: abs(pair[0] - distance))[:3]
        return sum(rate for _, rate in ranked) / len(ranked)

    def state(self) -> dict[str, Any]:
        """Plain numbers for a file."""
        tracks = {name: list(getattr(self, name).values) for name in TRACKS}
        return tracks | {
            "near": [list(pair) for pair in self.near],
            "uses": self.uses,
            "rest": self.rest,
            "wait": self.wait,
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> ArmRecord:
        """Read what `state` wrote."""
        record = cls()
        for name in TRACKS:
            setattr(record, name, Track(state[name]))
        record.uses, record.rest, record.wait = (int(state[name]) for name in ("uses", "rest", "wait"))
        record.near.extend((float(d), float(r)) for d, r in state["near"])
        return record


class Ledger:
    """Records of all arms for one class of systems."""

    def __init__(self, clock: bool) -> None:
        self.clock = clock  # costs are seconds, else bytes
        self.arms: dict[str, ArmRecord] = {}
        self.seen = 0  # systems
        self.matrices = 0  # different ones among them
        self.spent = 0.0
        self.lost = 0.0  # by trials
        self.suspect = 0  # the last systems that were not positive definite although they might have been
        self.per_byte = Track()

    @property
    def unit(self) -> float:
        """Cost of a byte."""
        if not self.clock:
            return 1.0
        return self.per_byte.median if self.per_byte else SECONDS_PER_BYTE

    def record(self, arm: Arm) -> ArmRecord:
        """Return the record of an arm."""
        key = str(arm)
        found = self.arms.get(key)
        if found is None:
            found = self.arms[key] = ArmRecord()
        return found

    def rests(self, arm: Arm) -> bool:
        """Whether an arm is not to be tried now."""
        record = self.arms.get(str(arm))
        return record is not None and self.seen < record.wait

    def sleep(self, arm: Arm) -> None:
        """Let an arm that did badly rest, twice as long as the last time."""
        record = self.record(arm)
        record.wait = self.seen + record.rest
        record.rest = min(2 * record.rest, LONGEST_REST)

    @property
    def run_length(self) -> float:
        """Systems per matrix so far."""
        return self.seen / max(self.matrices, 1)

    def may_lose(self, price: float, best: float, promised: float) -> bool:
        """Whether a trial of this price fits into the allowance; `promised` is what it would save in the long run."""
        allowance = SHARE * self.spent + HEAD_START * best - self.lost
        return price < promised and (price <= allowance or price <= 0.25 * promised - self.lost)

    def state(self) -> dict[str, Any]:
        """Plain numbers for a file."""
        return {
            "clock": self.clock, "seen": self.seen, "matrices": self.matrices, "spent": self.spent, "lost": self.lost,
            "suspect": self.suspect, "per_byte": list(self.per_byte.values),
            "arms": {key: record.state() for key, record in self.arms.items()},
        }  # fmt: skip

    @classmethod
    def of(cls, state: dict[str, Any]) -> Ledger:
        """Read what `state` wrote."""
        ledger = cls(bool(state["clock"]))
        for name in ("seen", "matrices", "suspect"):
            setattr(ledger, name, int(state[name]))
        ledger.spent, ledger.lost = float(state["spent"]), float(state["lost"])
        ledger.per_byte = Track(state["per_byte"])
        ledger.arms = {key: ArmRecord.of(value) for key, value in state["arms"].items()}
        return ledger
