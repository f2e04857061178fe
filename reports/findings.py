"""What the records say, in sentences: who wins, by how much, where a method loses, what failed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from .canvas import duration
from .grids import page as grids
from .products import page as products
from .sequences import page as sequences
from .style import shown
from .summary import Row, SuiteSummary, median
from .tables import kernel_ratio, reason, times

__all__ = ["headline", "of_suite"]


def headline(summaries: Sequence[SuiteSummary]) -> list[str]:
    """Return the few sentences at the head of the page, over all suites."""
    sentences = []
    wins: Counter[str] = Counter()
    problems = 0
    lost: list[tuple[str, Row, float]] = []
    gains: list[tuple[float, str, Row]] = []
    failures: list[Row] = []
    for summary in summaries:
        failures += summary.failures()
        for problem in summary.problems:
            best, scipy = summary.best(problem), summary.scipy(problem)
            problems += 1
            if best is None:
                continue
            wins[best.solver] += 1
            if scipy is not None and not best.external:
                gains.append((scipy.total / best.total, summary.label(problem), best))
            if best.external:
                own = min(
                    (r for r in summary.of(problem) if r.solved and not r.external),
                    key=lambda r: r.total,
                    default=None,
                )
                lost.append((summary.label(problem), best, own.total / best.total if own else math.inf))
    if wins:
        named = [f"{shown(solver)} ({count})" for solver, count in wins.most_common()]
        sentences.append(f"Fastest in total time on {problems} problem{'s' * (problems != 1)}: {_list(named)}.")
    if gains:
        gains.sort(key=lambda gain: gain[0])
        factors, (most, where, winner) = [gain[0] for gain in gains], gains[-1]
        if len(gains) == 1:
            sentences.append(
                f"{shown(winner.solver)} is {most:.3g} times as fast as SciPy's own unpreconditioned method on {where}."
            )
        else:
            sentences.append(
                f"The fastest method of this package is {factors[0]:.3g} to {most:.3g} times as fast as "
                "SciPy's own unpreconditioned method "
                f"({median(factors):.3g} times in the middle); most so {shown(winner.solver)} on {where}."
            )
    sentences += [
        f"Here an opponent wins: on {label}, {shown(best.solver)} is {times(ratio)[:-1]} times as fast as "
        "the best method of this package."
        if math.isfinite(ratio)
        else f"Here an opponent wins: on {label}, only {shown(best.solver)} and other opponents reach the tolerance."
        for label, best, ratio in lost
    ]
    if problems and not lost:
        sentences.append("On no problem was an opponent (SciPy, SuperLU, PyAMG) the fastest.")
    for summary in summaries:
        missed = [r for r in summary.kernels if kernel_ratio(r) < float(r["target"])]
        if summary.kernels:
            met = len(summary.kernels) - len(missed)
            text = f"{met} of {len(summary.kernels)} single-operation targets are met"
            text += "." if not missed else "; missed: " + _list(
                [
                    f"{r['label']} ({times(kernel_ratio(r))} instead of {times(float(r['target']))})"
                    for r in missed
                ]
            ) + "."  # fmt: skip
            sentences.append(text)
    sentences += grids.findings(summaries) + products.findings(summaries) + sequences.findings(summaries)
    if failures:
        counted = Counter(shown(row.solver) for row in failures)
        runs = sum(len(summary.rows) for summary in summaries)
        named = [name if count == 1 else f"{name} ({count})" for name, count in counted.most_common()]
        sentences.append(
            f"{len(failures)} of {runs} combinations of problem and method miss the tolerance and are listed "
            f"as failures: {_list(named)}."
        )
    elif problems:
        sentences.append("Every method met the tolerance on every problem it was run on.")
    return sentences


def of_suite(summary: SuiteSummary) -> list[str]:
    """Return the sentences at the head of a suite: one or two per problem, then its failures."""
    sentences = []
    for problem in summary.problems:
        label = summary.label(problem)
        solved = sorted((row for row in summary.of(problem) if row.solved), key=lambda row: row.total)
        if not solved:
            sentences.append(f"{label}: no method reaches the tolerance.")
            continue
        best = solved[0]
        text = f"{label}: {shown(best.solver)} is the fastest, {duration(best.total)}"
        text += f" with {best.products:,} products"
        if len(solved) > 1:
            text += f"; {shown(solved[1].solver)} follows at {times(solved[1].total / best.total)}"
        scipy = summary.scipy(problem)
        if scipy is not None and scipy is not best:
            text += f", {shown(scipy.solver)} at {times(scipy.total / best.total)}"
        slowest = solved[-1]
        if slowest not in (best, solved[min(1, len(solved) - 1)], scipy):
            text += f"; the slowest to arrive is {shown(slowest.solver)} at {times(slowest.total / best.total)}"
        text += "."
        iterative = [row for row in solved if row.solver != "direct"]
        fewest = min(iterative, key=lambda row: row.products, default=None)
        if fewest is not None and fewest is not best and fewest.total > best.total * 1.2:
            share = fewest.setup / fewest.total if fewest.total > 0 else 0.0
            why = f"its set-up is {share:.0%} of its time" if share >= 0.4 else "each of them costs more"
            text += (
                f" The fewest products are those of {shown(fewest.solver)} ({fewest.products:,}), but it "
                "takes "
                f"{times(fewest.total / best.total)} the time; {why}."
            )
        sentences.append(text)
    for row in summary.failures():
        sentences.append(f"{summary.label(row.problem)}: {shown(row.solver)} fails: {reason(row)}")
    return sentences + grids.sentences(summary) + products.sentences(summary) + sequences.sentences(summary)


def _list(names: Sequence[str]) -> str:
    """Write 'a, b and c'.

    Examples
    --------
    >>> _list(["a", "b", "c"])
    'a, b and c'
    """
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else ""
