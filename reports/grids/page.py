"""The part of page and Markdown that shows multigrid on grids: sentences, targets, figures, tables."""

from __future__ import annotations

from collections.abc import Sequence

from .. import verdicts as shared
from ..summary import SuiteSummary
from .numbers import NAMES, Verdict, edge_text, growth, of_kind, targets
from .tables import sections

__all__ = ["findings", "markdown", "protocol", "section", "sentences"]

FOLDED = ("Seconds", "Wrong input")


def findings(summaries: Sequence[SuiteSummary]) -> list[str]:
    """Return the sentences for the head of the page."""
    found = []
    for summary in summaries:
        verdicts = [v for v in targets(summary) if v.met is not None]
        if verdicts:
            missed = [v for v in verdicts if not v.met]
            text = f"{len(verdicts) - len(missed)} of {len(verdicts)} targets of multigrid on grids are met"
            found.append(text + ("." if not missed else "; missed: " + "; ".join(map(_missed, missed)) + "."))
    return found


def _missed(verdict: Verdict) -> str:
    where = f", {verdict.note}" if verdict.note else ""
    return f"{verdict.text} ({verdict.measured} instead of {verdict.wanted}{where})"


def sentences(summary: SuiteSummary) -> list[str]:
    """Return the sentences at the head of the suite: growth of the iterations, then what fails."""
    found = []
    for (dim, geometry), records in growth(summary).items():
        runs = [(r["shape"], r["variants"].get("tuned")) for r in records]
        counts = [int(facts["iterations"]) for _, facts in runs if facts is not None and facts["solved"]]
        if counts:
            span = " to ".join(dict.fromkeys(edge_text(shape) for shape in (runs[0][0], runs[-1][0])))
            least, most = min(counts), max(counts)
            many = f"{least}" if least == most else f"{least} to {most}"
            found.append(f"{NAMES.get(geometry, geometry).capitalize()}, {dim}-D: {many} iterations from {span}.")
        failed = [edge_text(shape) for shape, facts in runs if facts is not None and not facts["solved"]]
        if failed:
            found.append(f"{NAMES.get(geometry, geometry).capitalize()}, {dim}-D: fails at {', '.join(failed)}.")
    return found


def protocol(summaries: Sequence[SuiteSummary]) -> list[str]:
    """Say how multigrid was measured."""
    if not any(of_kind(summary, "growth") for summary in summaries):
        return []
    return [
        "Multigrid and the transform solver work on the problem's own operator, matrix-free, in float64 outside and float32 "
        "inside the cycle; the other methods get its assembled matrix, whose assembly is not counted.",
        "PyAMG: its defaults and eight variations are run at 64³ and 256²; at 128³ the best three of them and the "
        "Ruge-Stueben default. Beyond that it takes too long, and SuperLU in 3-D too much memory. The best setting counts "
        "as the opponent.",
        "Tuned constants come from training seeds, which are never those of the benchmark. Beside them: multigrid as "
        "it comes (W(2,2), the same for every geometry), V(1,1)+ (the preset v11), and V(1,1) without any tuning.",
        "At the sizes of the growth tables the residual is recomputed with the operator's own float64 product, because the "
        "matrix of the largest would not fit beside the rest.",
    ]


def section(summary: SuiteSummary, figures: str) -> str:
    """Return the HTML of a suite's measurements on grids.

    Parameters
    ----------
    summary : SuiteSummary
        The suite.
    figures : str
        Its figures, ready for the page.
    """
    return shared.cards(sections(summary), FOLDED, figures)


def markdown(summary: SuiteSummary) -> str:
    """Return all tables of a suite's measurements as Markdown."""
    return shared.markdown(sections(summary))
