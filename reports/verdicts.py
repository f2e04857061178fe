"""What the suites that judge their own measurements share: verdicts on targets, and the cards of a page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .summary import SuiteSummary
from .tables import Table

__all__ = ["Verdict", "cards", "markdown", "of_kind"]

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """One target and what became of it.

    Attributes
    ----------
    number : int
        Which of the targets it belongs to.
    text : str
        What is asked, in words.
    wanted, measured : str
        Both numbers, as shown.
    met : bool or None
        None where it is not judged.
    note : str
        On what it was measured, or why it was not.
    """

    number: int
    text: str
    wanted: str
    measured: str
    met: bool | None
    note: str = ""

    @property
    def word(self) -> str:
        """Return "met", "missed" or "not judged"."""
        return "not judged" if self.met is None else "met" if self.met else "missed"


def of_kind(summary: SuiteSummary, kind: str) -> list[Record]:
    """Return the records of one kind among those that the suite wrote in its own way."""
    return [record for record in summary.others if record["kind"] == kind]


def cards(sections: Iterable[tuple[str, Table]], folded: tuple[str, ...], figures: str) -> str:
    """Return the HTML of titled tables; those with a word of `folded` in the title open on a click.

    The figures, ready for the page, follow the targets.
    """
    parts = []
    for title, table in sections:
        inner = table.html()
        if any(word in title for word in folded):
            parts.append(f"<div class='card'><details><summary>{html.escape(title)}</summary>{inner}</details></div>")
        else:
            parts.append(f"<div class='card'><h3>{html.escape(title)}</h3>{inner}</div>")
        if title == "Targets" and figures:
            parts.append(f"<div class='card'><div class='figures'>{figures}</div></div>")
    return "\n".join(parts)


def markdown(sections: Iterable[tuple[str, Table]]) -> str:
    """Return titled tables as Markdown."""
    return "\n".join(f"### {title}\n\n{table.markdown()}" for title, table in sections)
