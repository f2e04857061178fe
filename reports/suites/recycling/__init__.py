"""Sequences of systems: Krylov recycling, reuse of everything else, and the methods that reuse nothing.

``families``, ``arms``, ``sequences``
    what is solved, by whom, and all arms in turn along a sequence, end to end;
``reproduction``
    SKR's published iteration ratios, counted again in SKR's own terms;
``abrupt``
    a sequence with abrupt changes, singular and indefinite systems and NaN in it.

What recycling alone contributes is read off pairs of arms that differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base import Measurement, Suite, SuiteOptions, Terms, edge
from .families import BLOCK, Stream, streams
from .reproduction import PRECONDITIONERS
from .sequences import arms_of

__all__ = ["SUITE"]

BUDGET, QUICK_BUDGET = 1.5, 0.3
# set, unknowns per axis, slip, systems for SKR, systems for the methods that carry nothing
REPRODUCED = (
    ("Darcy", 48, True, 100, 100),
    ("Darcy", 78, True, 60, 40),
    ("Helmholtz", 48, True, 100, 50),
    ("Helmholtz", 78, True, 60, 20),
    ("Helmholtz", 98, True, 24, 8),
    ("Darcy", 48, False, 40, 20),
    ("Helmholtz", 48, False, 40, 20),
)
QUICK_REPRODUCED = (("Darcy", 24, True, 8, 4), ("Darcy", 24, False, 8, 4))


def _sequence(stream: Stream, budget: float) -> Callable[[Terms], dict[str, Any]]:
    def run(terms: Terms) -> dict[str, Any]:
        from .sequences import measure

        return measure(stream, stream.count, budget, terms)

    return run


def _counted(what: str, n: int, slip: bool, name: str, count: int, few: int) -> Callable[[Terms], dict[str, Any]]:
    def run(terms: Terms) -> dict[str, Any]:
        from .reproduction import measure

        return measure(what, n, slip, name, count, few, terms)

    return run


def _abrupt(terms: Terms) -> dict[str, Any]:
    from .abrupt import measure

    return measure(terms)


def _measurements(options: SuiteOptions) -> list[Measurement]:
    found = []
    budget = QUICK_BUDGET if options.quick else BUDGET
    chosen = streams(options.quick)
    if options.sizes:
        chosen = tuple(stream.at(edge(size, stream.name)) for size in options.sizes for stream in chosen)
    for stream in chosen:
        steps = len(arms_of(stream)) * -(-stream.count // BLOCK)
        facts = {"count": stream.count, "budget": budget, "arms": [arm.name for arm in arms_of(stream)]}
        found.append(Measurement(f"sequence-{stream.name}", stream.label, _sequence(stream, budget), facts, steps))
    if options.sizes:
        return found
    found.append(Measurement("abrupt", "A sequence with bad systems in it", _abrupt))
    for what, n, slip, count, few in QUICK_REPRODUCED if options.quick else REPRODUCED:
        for name in PRECONDITIONERS:
            found.append(
                Measurement(
                    f"reproduction-{what.lower()}-{n}-{'released' if slip else 'repaired'}-{name}",
                    f"SKR {what} {n}², {'as released' if slip else 'without the slip'}, {name}",
                    _counted(what, n, slip, name, count, few),
                    {"count": count, "few": few},
                    few + 3,
                )
            )
    return found


SUITE = Suite(
    "recycling",
    "Sequences of systems: SKR and its published ratios, reuse of every kind, and the methods that reuse nothing",
    measurements=_measurements,
)
