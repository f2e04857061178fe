"""What a sequence has done, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

__all__ = ["SequenceReport"]


@dataclass
class SequenceReport:
    """What was reused and what it saved; ``str(report)`` is a page of text.

    Attributes
    ----------
    records : list of dict
        One per system, in order: ``index``, ``unknowns``, ``relation`` to a known matrix, ``arm`` (family/mode),
        ``method``, ``guess`` (where the initial guess came from), ``guess_residual``, ``iterations``, ``matvecs``,
        ``setup_seconds``, ``seconds`` (set-up and everything else included), ``residual``, ``outcome``, ``trial``. Only the
        last ten thousand are kept.
    saved : dict of str to float
        What each ingredient saved by the running cost model, in seconds (`unit` times bytes where decisions go by counts).
        A negative number is a loss.
    unit : str
        ``"seconds"`` or ``"bytes"``: what `saved` is counted in.
    systems, failures : int
        Systems seen, and those among them that were not solved.
    """

    records: list[dict[str, Any]]
    saved: dict[str, float] = field(default_factory=dict)
    unit: str = "seconds"
    systems: int = 0
    failures: int = 0

    def counts(self, key: str) -> dict[str, int]:
        """How often each value of a field of the records occurs."""
        return dict(Counter(str(record[key]) for record in self.records))

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        return {
            "systems": self.systems, "failures": self.failures, "unit": self.unit, "saved": dict(self.saved),
            "records": [dict(record) for record in self.records],
        }  # fmt: skip

    def __str__(self) -> str:
        setup = sum(record["setup_seconds"] for record in self.records)
        total = sum(record["seconds"] for record in self.records)
        steps = sum(record["iterations"] for record in self.records)
        lines = [
            f"{self.systems} systems, {self.failures} not solved; the last {len(self.records)}: {total:.3g} s "
            f"({setup:.3g} s of set-up), {steps} iterations"
        ]
        for title, key in (("matrices", "relation"), ("solved by", "arm"), ("guesses", "guess")):
            counts = sorted(self.counts(key).items(), key=lambda item: -item[1])
            lines.append(f"  {title + ':':<11}" + ", ".join(f"{name} {count}x" for name, count in counts))
        for name, amount in self.saved.items():
            word = "saved" if amount >= 0 else "lost"
            lines.append(f"  {name}: {word} about {abs(amount):.3g} {self.unit}")
        return "\n".join(lines)
