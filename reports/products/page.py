"""The part of page and Markdown that shows sparse products: sentences, targets, figures, tables, one fold per input."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

from ..style import shown
from ..summary import SuiteSummary
from ..tables import times
from .numbers import LARGE, Product, Verdict, of_kind, products, targets
from .tables import LADDER, THREADS_NOTE, input_table, ladder, sections

__all__ = ["findings", "markdown", "peers", "protocol", "section", "sentences"]

LADDER_NOTE = (
    "The SMASH thesis (arXiv 2105.14156) reports a factor of 9.4. It was measured on a simulated accelerator, between "
    "variants of its own; it is not a gain over CPU libraries. The analogues here keep the ideas (shared atomic hash table; "
    "tokens of rows and high-order-bit hashing; private table in fragments) and run them on this processor, so that each "
    "step can be seen; they are slower than an accumulator that fits a cache, and are not part of the library."
)


def findings(summaries: Sequence[SuiteSummary]) -> list[str]:
    """Return the sentences for the head of the page."""
    found = []
    for summary in summaries:
        verdicts = [v for v in targets(summary) if v.text]
        if not verdicts:
            continue
        missed = [v for v in verdicts if v.text != "met"]
        text = f"{len(verdicts) - len(missed)} of {len(verdicts)} targets of the sparse product are met"
        found.append(text + ("." if not missed else "; missed: " + "; ".join(map(_missed, missed)) + "."))
    return found


def _missed(verdict: Verdict) -> str:
    goal, (where, least) = verdict.goal, verdict.worst
    parts = []
    if "target" in verdict.text:
        parts.append(f"{times(verdict.measured)} instead of {times(goal.target or math.nan)}")
    if "floor" in verdict.text and goal.floor is not None:
        wanted = "every input" if goal.share == 1 else f"{goal.share:.0%} of the inputs"
        parts.append(f"{times(least)} on {where}, the floor is {times(goal.floor)} on {wanted}")
    if "condition" in verdict.text:
        parts.append(verdict.note)
    return f"{goal.text} ({'; '.join(parts)})"


def sentences(summary: SuiteSummary) -> list[str]:
    """Return the sentences at the head of the suite."""
    inputs = products(summary)
    found = []
    gains = {
        p.label: p.ratio("plan", "spgemm") for p in inputs if p.multiply_adds >= LARGE and p.ratio("plan", "spgemm") > 0
    }
    if gains:
        least, most = min(gains, key=lambda k: gains[k]), max(gains, key=lambda k: gains[k])
        found.append(
            f"With a plan, a product with new values is {times(gains[least])} ({least}) to {times(gains[most])} ({most}) as "
            "fast as the same product without."
        )
    for opponent, ours, theirs in (("MKL", "spgemm-any", "mkl"), ("SciPy", "spgemm-any", "scipy")):
        lost = [p for p in inputs if 0 <= p.ratio(ours, theirs) < 1]
        if lost:
            named = ", ".join(f"{p.label} ({times(p.ratio(ours, theirs))})" for p in lost)
            found.append(f"{opponent} is faster, any order, on {len(lost)} of {len(inputs)} inputs: {named}.")
    for product in ladder(summary)[:1]:
        steps = [product.ratio(name, "smash-v1") for name in LADDER[1:]]
        if all(step > 0 for step in steps):
            found.append(
                f"The SMASH ladder on {product.label}: tokens gain {times(steps[0])} over the shared atomic table, private "
                f"fragments {times(steps[1])}, this package's product {times(steps[2])}. The thesis's factor of 9.4 was "
                "measured on a simulated accelerator between its own variants and is another matter."
            )
    failed = [(p, m) for p in inputs for m, facts in p.methods.items() if facts["status"] == "failed"]
    found += [f"{p.label}: {shown(m.partition('@')[0])} fails: {p.methods[m].get('text', '')}." for p, m in failed]
    if inputs and not failed:
        found.append("All answers agree: those of this package with SciPy's to the bit, the others' to rounding.")
    return found


def protocol(summaries: Sequence[SuiteSummary]) -> list[str]:
    """Say how products were measured."""
    inputs = [p for s in summaries for p in products(s)]
    if not inputs:
        return []
    rounds = sorted({int(p.record["rounds"]) for p in inputs})
    span = f"{rounds[0]}" if rounds[0] == rounds[-1] else f"{rounds[0]} to {rounds[-1]}"
    points = [
        f"Sparse products: all libraries multiply the same factors in one process, in turn ({span} rounds; fewer where an "
        "input takes long). Before a timed call a method runs untimed, for 0.15 s where it has several threads (0.03 s in "
        "a quick run), once where it has one, and not where a call takes more than half a second. Calls of under 4 ms are "
        "repeated and averaged. Numbers are medians.",
        *_threads(summaries, inputs),
        "Every answer is compared with SciPy's once entries that cancelled to zero are dropped: this package's and the "
        "SMASH variants' have to be the same to the bit, a peer's to a relative 1e-12.",
        "Factors are CSR with sorted columns, float64, 32-bit indices. Libraries with a format of their own get it before "
        "the clock starts; MKL's wrapper copies its result to NumPy on the clock, GraphBLAS hands its arrays over.",
        "Peak memory is the rise of the resident high-water mark during a call, the result included (Linux only).",
    ]
    if any(int(p.record["repeats"]) < 5 for p in inputs):
        points.append(
            "Products in a quick run: few inputs, short warming, three rounds. Small differences mean nothing."
        )
    return points


def _threads(summaries: Sequence[SuiteSummary], inputs: Sequence[Product]) -> list[str]:
    """Say who uses how many threads, and what is other with MKL and torch."""
    counts = " or ".join(str(n) for n in sorted({int(p.record["threads"]) for p in inputs}))
    text = f"{THREADS_NOTE} That number is {counts}; each method's own stands in its row."
    known = [record["peers"].get("mkl", {}) for s in summaries for record in of_kind(s, "peers")]
    if any(facts.get("dynamic") for facts in known):
        text += " MKL keeps its default of deciding on fewer by itself (MKL_DYNAMIC)."
    points = [text]
    if any(p.status("torch") == "ok" for p in inputs):
        rest = " It is left out of the largest inputs." if any(p.status("torch") == "left out" for p in inputs) else ""
        points.append(
            "torch never gives the memory of a sparse product back and is called as seldom as can be: other arithmetic "
            "wakes its threads for as long, then one product warms and one is timed." + rest
        )
    return points


def peers(summaries: Sequence[SuiteSummary]) -> list[tuple[str, str]]:
    """Return name and version of every peer, or why it is absent."""
    found = {}
    for summary in summaries:
        for record in of_kind(summary, "peers"):
            for facts in record["peers"].values():
                found[str(facts["title"])] = str(facts["version"]) if facts["installed"] else "not installed"
    return list(found.items())


def section(summary: SuiteSummary, figures: str) -> str:
    """Return the HTML of a suite's products.

    Parameters
    ----------
    summary : SuiteSummary
        The suite.
    figures : str
        Its figures, ready for the page.
    """
    parts = []
    for title, table in sections(summary):
        note = f"<p class='intro'>{html.escape(LADDER_NOTE)}</p>" if title.startswith("The SMASH") else ""
        parts.append(f"<div class='card'><h3>{html.escape(title)}</h3>{note}{table.html()}</div>")
        if title == "Further comparisons" and figures:
            parts.append(f"<div class='card'><div class='figures'>{figures}</div></div>")
    folds = "".join(
        f"<details><summary>{html.escape(p.label)}</summary><p class='facts'>{html.escape(_facts(p))}</p>"
        f"{input_table(p).html()}</details>"
        for p in products(summary)
    )
    if folds:
        parts.append(f"<div class='card'><h3>Every method on every input</h3>{folds}</div>")
    return "\n".join(parts)


def _facts(product: Product) -> str:
    record: Any = product.record
    rows, inner, columns = (f"{int(record[name]):,}" for name in ("rows", "inner", "columns"))
    shape = f"{rows} x {inner} times {inner} x {columns}".replace(" x ", " \N{MULTIPLICATION SIGN} ")
    compression = f", compression {product.compression:.2f}" if math.isfinite(product.compression) else ""
    return (
        f"{shape}, {int(record['nnz_A']):,} and {int(record['nnz_B']):,} entries; {product.multiply_adds:,} multiply-adds, "
        f"{int(record['nnz_C']):,} entries in the product{compression}."
    )


def markdown(summary: SuiteSummary) -> str:
    """Return all tables of a suite's products as Markdown."""
    parts = []
    for title, table in sections(summary):
        parts.append(f"### {title}\n")
        if title.startswith("The SMASH"):
            parts.append(LADDER_NOTE + "\n")
        parts.append(table.markdown())
    for product in products(summary):
        parts.append(f"### {product.label}\n\n{_facts(product)}\n")
        parts.append(input_table(product).markdown())
    points = protocol([summary])
    if points:
        parts.append("### How it was measured\n\n" + "\n".join(f"- {point}" for point in points) + "\n")
    return "\n".join(parts)
