"""What a sequence remembers: matrices, preconditioners, solutions, and whether guessing pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import Grid, Operator, StencilOperator
from ..precond import FastPoisson
from ..recycling import RecycleSpace
from .entries import Box, Entries
from .guess import Past, Span
from .ledger import Arm, Ledger

__all__ = ["Gain", "Group", "Habit", "Kept", "Known", "Scaled", "scaling"]

Array = npt.NDArray[Any]


class Known:
    """A matrix that was met: its entries, and what solves with it have left."""

    def __init__(self, entries: Entries) -> None:
        self.entries = entries
        self.span = Span()
        self.uses = 0
        self.pending: Array | None = None  # the solution of its first solve, until it is met again
        self._operator: Operator | None = None
        self._diagonal: Array | None = None

    @property
    def operator(self) -> Operator:
        """The operator, built from the entries."""
        if self._operator is None:
            self._operator = self.entries.operator()
        return self._operator

    @property
    def diagonal(self) -> Array | None:
        """The diagonal, None where it cannot be had."""
        if self._diagonal is None:
            self._diagonal = self.entries.diagonal()
        return self._diagonal

    def copy(self) -> Known:
        """Return a copy that shares the entries, which nobody changes."""
        result = Known(self.entries)
        result.span, result.uses, result.pending = self.span.copy(), self.uses, self.pending
        result._operator, result._diagonal = self._operator, self._diagonal
        return result


@dataclass
class Kept:
    """A preconditioner with the matrices it was built and last set up for."""

    M: Any
    born: Known | None
    known: Known | None
    own: bool = True  # False: another sequence holds it too, so it must not be set up again in place
    rate: float = 0.0  # iterations per decade when it was built
    age: int = 0  # systems solved with it since it was set up
    cycle: float = 0.0  # what they cost, set-up included

    def reference(self) -> Array | None:
        """Return the diagonal of what M inverts."""
        if isinstance(self.M, FastPoisson) and isinstance(self.M.grid, Grid):
            box = StencilOperator.from_coefficient(self.M.grid).diagonal()
            return np.asarray(box * float(np.mean(self.M.coefficients)) + self.M.shift)
        return None if self.known is None else self.known.diagonal


class Gain:
    """Whether an ingredient pays: a running mean of what it saved less what it cost."""

    def __init__(self) -> None:
        self.value, self.notes, self.rest, self.wait = 0.0, 0, 8, 0

    def active(self, seen: int) -> bool:
        """Whether to use it for this system."""
        return seen >= self.wait

    def note(self, net: float, seen: int) -> None:
        """Add what it brought this time; after three times a loss it rests, three times as long as before."""
        self.value = net if self.notes == 0 else 0.7 * self.value + 0.3 * net
        self.notes += 1
        if self.value < 0 and self.notes >= (3 if self.rest == 8 else 1):
            self.wait, self.rest, self.notes = seen + self.rest, min(3 * self.rest, 512), 0

    def state(self) -> list[float]:
        """Plain numbers for a file."""
        return [self.value, self.notes, self.rest, self.wait]

    @classmethod
    def of(cls, state: list[float]) -> Gain:
        """Read what `state` wrote."""
        gain = cls()
        gain.value, gain.notes, gain.rest, gain.wait = state[0], int(state[1]), int(state[2]), int(state[3])
        return gain


@dataclass
class Habit:
    """A choice that was the same several times in a row, and for how many systems it stands."""

    arm: Arm
    signature: Any
    expected: float
    streak: int = 0
    left: int = 0


@dataclass
class Group:
    """Everything about systems of one size, type and kind."""

    ledger: Ledger
    past: Past = field(default_factory=Past)
    kept: dict[str, Kept] = field(default_factory=dict)
    spaces: dict[str, RecycleSpace] = field(default_factory=dict)
    gains: dict[str, Gain] = field(default_factory=lambda: {"span": Gain(), "past": Gain()})
    habit: Habit | None = None
    work: dict[str, Kept] = field(default_factory=dict)  # set up again by a frozen sequence, for one member each

    def copy(self, known: Callable[[Known | None], Known | None]) -> Group:
        """Return a copy; both sides then own no preconditioner alone. `known` maps old matrices to new ones."""
        result = Group(Ledger.of(self.ledger.state()), self.past.copy())
        for name, kept in self.kept.items():
            kept.own = False
            result.kept[name] = Kept(
                kept.M, known(kept.born), known(kept.known), False, kept.rate, kept.age, kept.cycle
            )
        result.spaces = {name: space.copy() for name, space in self.spaces.items()}
        result.gains = {name: Gain.of(gain.state()) for name, gain in self.gains.items()}
        return result


class Scaled(Operator):
    """``diag(left) M diag(right)``: a preconditioner of one matrix brought near to another one."""

    def __init__(self, M: Any, left: Array | None, right: Array | None, definite: bool) -> None:
        super().__init__(
            M.dtype, M.shape, symmetric=True if definite else None, positive_definite=True if definite else None,
            fixed=M.fixed,
        )  # fmt: skip
        self.M, self.left, self.right = M, left, right
        self.setup_seconds = 0.0
        self.memory_bytes = getattr(M, "memory_bytes", 0)

    def _apply(self, x: Array, out: Array) -> None:
        if self.right is None:
            self.M._apply(x, out)
        else:
            inside = self._buffer("inside", x.shape[0], x.dtype)
            np.multiply(self.right, x, out=inside)
            self.M._apply(inside, out)
        if self.left is not None:
            np.multiply(self.left, out, out=out)


def scaling(kept: Kept, A: Operator, entries: Entries, kind: str) -> Scaled | None:
    """Return the kept preconditioner between scalings by the ratio of the diagonals, or None where that is no help."""
    old = kept.reference()
    try:
        new = A.diagonal() if entries.diagonal() is None or isinstance(A, StencilOperator) else entries.diagonal()
    except TypeError:
        return None
    if old is None or new is None or old.shape != new.shape:
        return None
    with np.errstate(all="ignore"):
        ratio = old / new
    if not np.isfinite(ratio).all() or (ratio == 0).any():
        return None
    if kind == "definite":
        if ratio.dtype.kind == "c":
            ratio = ratio.real
        if (ratio <= 0).any():
            return None
        root = np.sqrt(ratio)
        return Scaled(kept.M, root, root, bool(getattr(kept.M, "positive_definite", None)))
    place, known = entries.place, kept.known
    if known is None or known.entries.place is not place or isinstance(place, Box):
        return Scaled(kept.M, ratio, None, False)
    a, b = known.entries.values[0], entries.values[0]
    by_column = float(np.linalg.norm(a - b * ratio[place.columns]))
    by_row = float(np.linalg.norm(a - b * ratio[place.rows]))
    return Scaled(kept.M, ratio, None, False) if by_column <= by_row else Scaled(kept.M, None, ratio, False)
