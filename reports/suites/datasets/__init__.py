"""Datasets for neural operators, from parameters to a validated file, by every arm of ``generate``; kills and resumes.

``measure.arm``
    a dataset of two-material Darcy problems at 128² on two workers, all samples or a stated subset;
``measure.curve``
    10, 100 and 1 000 samples, each from a cold start;
``measure.kills``
    a run killed at random moments and resumed, compared with an undisturbed one byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base import Measurement, Suite, SuiteOptions, Terms, edge

__all__ = ["SUITE"]

WHOLE, QUICK_WHOLE = 1000, 24
# arm of generate, samples in a whole and in a quick run, repeats
ARMS = (
    ("auto", 1000, 24, 3),
    ("batch", 1000, 24, 1),
    ("sequence", 1000, 24, 1),
    ("cg-multigrid", 1000, 24, 1),
    ("cg-ic", 256, 12, 1),
    ("cg-amg", 256, 12, 1),
    ("superlu", 256, 12, 1),
    ("skr-ilu", 64, 6, 1),
    ("skr-jacobi", 16, 4, 1),
    ("gmres-ilu", 16, 4, 1),
)
CURVES = (("auto", (10, 100, 1000), (4, 24)), ("superlu", (10, 100), (4,)))


def _later(name: str, *arguments: Any) -> Callable[[Terms], dict[str, Any]]:
    def run(terms: Terms) -> dict[str, Any]:
        from . import measure

        return dict(getattr(measure, name)(*arguments, terms))

    return run


def _measurements(options: SuiteOptions) -> list[Measurement]:
    n, whole = (32, QUICK_WHOLE) if options.quick else (128, WHOLE)
    edges = [edge(size, "darcy") for size in options.sizes] or [n]
    return [measurement for n in edges for measurement in _at(n, whole, options)]


def _at(n: int, whole: int, options: SuiteOptions) -> list[Measurement]:
    """Return the measurements at one size."""
    found = []
    for solver, many, few, repeats in ARMS:
        count = few if options.quick else many
        times = 1 if options.quick else repeats
        facts = {"edge": n, "count": count, "repeats": times}
        found.append(
            Measurement(f"dataset-{solver}-{n}", f"Darcy 12/3, {n}², {solver}",
                        _later("arm", solver, n, count, whole, times), facts, times)
        )  # fmt: skip
    for solver, full, few_counts in CURVES:
        counts = few_counts if options.quick else full
        found.append(
            Measurement(f"curve-{solver}-{n}", f"{solver}: datasets of several sizes",
                        _later("curve", solver, n, counts), {"edge": n, "counts": counts}, len(counts))
        )  # fmt: skip
    kills, chunk = (3, 4) if options.quick else (10, 25)
    found.append(
        Measurement(f"kills-{n}", f"Killed {kills} times and resumed",
                    _later("kills", n, whole, chunk, kills), {"edge": n, "count": whole, "kills": kills}, kills + 1)
    )  # fmt: skip
    return found


SUITE = Suite(
    "datasets",
    "Datasets of solved problems by every arm, from parameters to a validated file; killed runs resumed",
    measurements=_measurements,
)
