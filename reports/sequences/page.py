"""The part of page and Markdown that shows sequences and datasets: sentences, targets, figures, tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import verdicts as shared
from ..canvas import duration
from ..summary import SuiteSummary
from .numbers import Verdict, best_fixed, called, factor, gain, of_kind, per_sample, rate, targets
from .tables import sections

__all__ = ["NAMES", "findings", "markdown", "protocol", "section", "sentences"]

NAMES = ("recycling", "datasets")
FOLDED = ("Seconds per system", "Ingredients", "counted again", "Bad systems")


def findings(summaries: Sequence[SuiteSummary]) -> list[str]:
    """Return the sentences for the head of the page."""
    found = []
    for summary in summaries:
        verdicts = [v for v in targets(summary) if v.met is not None]
        if verdicts:
            missed = [v for v in verdicts if not v.met]
            text = f"{len(verdicts) - len(missed)} of {len(verdicts)} targets of {summary.name} are met"
            found.append(text + ("." if not missed else "; missed: " + "; ".join(map(_missed, missed)) + "."))
    return found


def _missed(verdict: Verdict) -> str:
    where = f", {verdict.note}" if verdict.note else ""
    return f"{verdict.text} ({verdict.measured} instead of {verdict.wanted}{where})"


def sentences(summary: SuiteSummary) -> list[str]:
    """Return the sentences at the head of the suite: who is fastest where, where recycling loses."""
    found = []
    for record in of_kind(summary, "sequence"):
        best, own = best_fixed(record), rate(record, "auto")
        if best is None:
            found.append(f"{record['label']}: no fixed arm solves every system.")
            continue
        text = f"{record['label']}: {called(best)} is the fastest fixed arm, {duration(rate(record, best))} per system"
        if math.isfinite(own):
            text += f"; auto takes {duration(own)} ({factor(rate(record, best) / own)} as fast)"
        else:
            text += "; auto fails"
        found.append(text + ".")
    lost = [
        str(record["label"])
        for record in of_kind(summary, "sequence")
        if gain(record, "sequence-no-recycling", "sequence")[0] > 1.03
    ]
    if lost:
        found.append(f"Recycling inside the sequence solver costs time on: {'; '.join(lost)}.")
    for record in of_kind(summary, "dataset"):
        each = per_sample(record)
        if record["solver"] == "auto" and math.isfinite(each):
            found.append(
                f"A validated dataset of {record['count']:,} samples takes {duration(each)} per sample with auto."
            )
    return found


def protocol(summaries: Sequence[SuiteSummary]) -> list[str]:
    """Say how sequences and datasets were measured."""
    found = []
    if any(of_kind(summary, "sequence") for summary in summaries):
        found += [
            "Sequences: every arm gets the same systems, drawn once, in blocks of 16 that all arms take in turn; operators "
            "come without anything that another arm has cached. On the clock of an arm are ordering, assembly of a matrix "
            "from a stencil, set-up, solve, and the check of the true residual in double precision. One thread each.",
            "An arm that has used up its share of time stops, and the tables say after how many systems; seconds per system "
            "are then compared without its first one. A system that misses 1e-6 makes the arm a failure on that family.",
            "Before the clock every arm solves tiny systems of the same class and two of the sequence at a loose tolerance, "
            "so that compilation is over.",
        ]
    if any(of_kind(summary, "reproduction") for summary in summaries):
        found.append(
            "SKR's ratios: its own sets with their index slip, preconditioned from the left with the tolerance on the "
            "preconditioned residual, greedy order, as in its released programs; iterations only."
        )
    if any(of_kind(summary, "dataset") for summary in summaries):
        found.append(
            "Datasets: generate on two worker processes of one thread each, then validate_dataset, which draws every sample "
            "again and recomputes its true residual."
        )
    return found


def section(summary: SuiteSummary, figures: str) -> str:
    """Return the HTML of a suite's sequences or datasets.

    Parameters
    ----------
    summary : SuiteSummary
        The suite.
    figures : str
        Its figures, ready for the page.
    """
    return shared.cards(sections(summary), FOLDED, figures)


def markdown(summary: SuiteSummary) -> str:
    """Return all tables of a suite's sequences or datasets as Markdown."""
    return shared.markdown(sections(summary))
