"""One page that holds everything: sentences, tables, figures, how it was measured; nothing from elsewhere.

Figures are inline SVG whose fixed colours are replaced by the page's variables, so that they follow a light
or dark page.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .canvas import Figure, duration, power, slug
from .findings import headline, of_suite
from .grids import page as grids
from .page_style import STYLESHEET
from .products import page as products
from .products.numbers import products as inputs_of
from .sequences import page as sequences
from .style import CSS, shown
from .summary import SuiteSummary
from .tables import kernel_table, overview, problem_table

__all__ = ["inline_svg", "page"]

SUMMARIES = {
    "poisson": "Poisson's equation on squares, cubes and around obstacles: the classical yardstick.",
    "diffusion": "Diffusion made hard by its coefficient (two materials, random, directed) or its mesh.",
    "nonsymmetric": "Not for conjugate gradients: transport against diffusion, and waves.",
    "files": "Matrices from files, read and solved as they come.",
    "kernels": "Single operations, measured against the same operation of SciPy or PyAMG in the same run.",
    "multigrid": "Diffusion on regular grids by size and geometry: geometric multigrid and the methods to beat.",
    "recycling": "Streams of related systems: subspace recycling, reuse of everything else, and methods that reuse nothing.",
    "datasets": "Datasets of solved problems, from parameters to a validated file.",
    "spgemm": "Sparse times sparse, and plans for products whose pattern stays, against the compiled libraries.",
}


TITLES = {"spgemm": "SpGEMM"}


def inline_svg(svg: str, prefix: str, label: str, glyphs: dict[str, str] | None = None) -> str:
    """Make a Matplotlib SVG part of a page: no prologue, no name spaces; ids, colours and width of the page.

    Parameters
    ----------
    svg : str
        A whole SVG file.
    prefix : str
        Put before every id, so that two figures never share one.
    label : str
        What a screen reader says.
    glyphs : dict, optional
        Takes the outlines of letters out of the figure, by id, so that the page holds each only once.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"\s(xmlns(:\w+)?)=\"[^\"]*\"", "", body)
    body = body.replace("xlink:href", "href")
    if glyphs is not None:

        def keep(match: re.Match[str]) -> str:
            glyphs[match[1]] = " ".join(match[0].split())
            return ""

        body = re.sub(r'\s*<path id="(DejaVu[^"]+)"[^>]*/>', keep, body)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', body)
    own = r'href="#(?!DejaVu)([^"]+)"' if glyphs is not None else r'href="#([^"]+)"'
    body = re.sub(own, rf'href="#{prefix}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", body)
    for colour, (name, _) in CSS.items():
        body = body.replace(colour, f"var(--f-{name})")
    head, _, rest = body.partition(">")
    head = re.sub(r'\s(width|height|version)="[^"]*"', "", head)
    # a hundredth of a point is enough on a page; the scales of glyphs are not lengths and stay
    rest = re.sub(r"scale\([^)]*\)|(\d+\.\d{2})\d+", lambda match: match[1] or match[0], rest)
    return f'{head} role="img" aria-label="{html.escape(label, quote=True)}">{rest}'


def page(
    summaries: Sequence[SuiteSummary],
    figures: Mapping[str, Sequence[Figure]],
    environments: Sequence[Mapping[str, Any]],
    *,
    title: str = "ritzkit benchmark",
) -> str:
    """Return the page as one self-contained HTML text.

    Parameters
    ----------
    summaries : sequence of SuiteSummary
        What to show, suite by suite.
    figures : mapping of str to sequence of Figure
        Figures by suite; may be empty (tables only).
    environments : sequence of mapping
        The environment records.
    title : str
        Title of the page.
    """
    glyphs: dict[str, str] = {}
    sections = [_suite(summary, figures.get(summary.name, ()), glyphs) for summary in summaries]
    letters = "".join(glyphs[name] for name in sorted(glyphs))
    if letters:
        hidden = '<svg width="0" height="0" style="position:absolute" aria-hidden="true">'
        letters = f"{hidden}<defs>{letters}</defs></svg>"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{html.escape(title)}</title>",
        f"<style>{STYLESHEET}{_colours()}</style></head><body>",
        _header(summaries, environments, title),
        letters,
        "<main>",
        _findings(headline(summaries)),
        _contents(summaries),
        _protocol(summaries),
        *sections,
        _environment(summaries, environments),
        "</main>",
        "<footer><p>Made by <code>ritzkit</code> from the records alone; <code>ritzkit plot RECORDS</code> "
        "makes it again.</p></footer>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _colours() -> str:
    light = "".join(f"--f-{name}:{colour};" for colour, (name, _) in CSS.items())
    dark = "".join(f"--f-{name}:{colour};" for name, colour in CSS.values())
    return f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def _header(summaries: Sequence[SuiteSummary], environments: Sequence[Mapping[str, Any]], title: str) -> str:
    problems = sum(len(s.problems) for s in summaries)
    methods = len({row.solver for s in summaries for row in s.rows})
    runs = sum(len(row.runs) for s in summaries for row in s.rows)
    solved = sum(row.solved for s in summaries for row in s.rows)
    pairs = sum(len(s.rows) for s in summaries)
    tiles = []
    if pairs:
        tiles = [
            (f"{problems}", "problems"),
            (f"{methods}", "methods"),
            (f"{runs:,}", "timed runs"),
            (f"{solved} of {pairs}", "combinations solved"),
        ]
    kernels = sum(len(s.kernels) for s in summaries)
    if kernels:
        tiles.append((f"{kernels}", "operations compared"))
    multiplied = [p for s in summaries for p in inputs_of(s)]
    if multiplied:
        tiles.append((f"{len(multiplied)}", "sparse products"))
        tiles.append((f"{sum(p.multiply_adds for p in multiplied) / 1e6:,.0f} million", "multiply-adds"))
    cpu = next((str(e.get("cpu")) for e in environments), "unknown processor")
    threads = sorted({str(e.get("threads")) for e in environments}) or ["?"]
    line = f"{cpu}, {' and '.join(threads)} thread{'s' * (threads != ['1'])}"
    boxes = "".join(f"<div><b>{html.escape(n)}</b><span>{html.escape(what)}</span></div>" for n, what in tiles)
    about = "Krylov methods and preconditioners on the same systems, to the same true residual, on the same clock."
    if multiplied and not pairs:
        about = "Sparse products of the same factors, checked against each other, on the same clock."
    return (
        f"<header><h1>{html.escape(title)}</h1><p>{about} {html.escape(line)}.</p>"
        f"<div class='tiles'>{boxes}</div></header>"
    )


def _items(sentences: Iterable[str], labels: Sequence[str] = ()) -> str:
    """List items; one that begins with a label and a colon has the label in bold."""
    items = []
    for sentence in sentences:
        label = next((x for x in labels if sentence.startswith(f"{x}: ")), None)
        text = html.escape(sentence if label is None else sentence[len(label) + 2 :])
        items.append(
            f"<li>{text}</li>"
            if label is None
            else f"<li><b>{html.escape(label)}.</b> {text[:1].upper()}{text[1:]}</li>"
        )
    return "".join(items)


def _findings(sentences: Sequence[str]) -> str:
    inside = f"<h2>What came out</h2><ul>{_items(sentences)}</ul>"
    return f"<section id='findings' class='card lead'>{inside}</section>"


def _contents(summaries: Sequence[SuiteSummary]) -> str:
    entries = []
    for summary in summaries:
        inner = "".join(
            f"<li><a href='#{slug(summary.name + ' ' + p)}'>{html.escape(summary.label(p))}</a></li>"
            for p in summary.problems
        )
        entries.append(
            f"<li><a href='#{slug(summary.name)}'>{html.escape(summary.name)}</a>"
            f"{f'<ul>{inner}</ul>' if inner else ''}</li>"
        )
    return (
        f"<nav class='card' aria-label='Contents'><h2>Contents</h2><ul class='toc'>{''.join(entries)}"
        "<li><a href='#protocol'>How it was measured</a></li><li><a "
        "href='#environment'>Environment</a></li></ul></nav>"
    )


def _protocol(summaries: Sequence[SuiteSummary]) -> str:
    runs = [run for s in summaries for row in s.rows for run in row.runs]
    repeats = sorted({int(run["repeats"]) for run in runs}) or [0]
    rtol = sorted({power(run["rtol"]) for run in runs}) or ["1e-8"]
    few = (
        " Fewer than five, because this is a quick run: small differences mean nothing."
        if runs and repeats[0] < 5
        else ""
    )
    own = [record for s in summaries for record in s.others if "seed" in record]
    seeds = sorted({str(run["seed"]) for run in [*runs, *own]}) or ["0"]
    points = [
        "Every method starts from zero, gets the same assembled matrix, and stops at a true relative "
        f"residual of {' and '.join(rtol)}. The "
        "residual is recomputed from each answer with SciPy's product; a method that claims success without "
        "it is a failure.",
        "Set-up (factors, hierarchies, copies of the matrix) and solve are both counted in every total.",
        f"Times are medians of {' and '.join(map(str, repeats))} interleaved repeats (A B C, A B C, …), "
        "with the same number of threads allowed to all; the sparse kernels of SciPy and PyAMG, SuperLU among them, "
        f"are serial.{few}",
        "Compilation is not counted: each method first runs once on a tiny problem and once, at a loose "
        "tolerance, on the problem itself. How long that took is listed under Environment.",
        "Failures are listed with their reason, never averaged in, and not repeated. In a performance "
        "profile they count as infinitely slow.",
        "SciPy's methods and PyAMG are run as their documentation says, on the same matrix. Their residual "
        "histories come from a separate run "
        "off the clock. PyAMG is one implementation of algebraic multigrid; beating it is not beating "
        "algebraic multigrid.",
        "Compare ratios, not seconds: another machine has other seconds.",
        f"Random draws use seed {' and '.join(seeds)}; the same seed gives the same systems.",
    ]
    of_products = products.protocol(summaries) + sequences.protocol(summaries)
    if of_products and not runs and not any(s.kernels for s in summaries):
        points = points[-2:]
    items = _items(of_products + grids.protocol(summaries) + points)
    return f"<section id='protocol' class='card'><h2>How it was measured</h2><ul>{items}</ul></section>"


def _figure(figure: Figure, glyphs: dict[str, str]) -> str:
    prefix = slug(figure.name)
    picture = inline_svg(figure.svg, prefix, f"{figure.title}. {figure.caption}", glyphs)
    return f"<figure>{picture}<figcaption>{html.escape(figure.caption)}</figcaption></figure>"


def _suite(summary: SuiteSummary, figures: Sequence[Figure], glyphs: dict[str, str]) -> str:
    title = TITLES.get(summary.name, summary.name)
    parts = [f"<section class='suite' id='{slug(summary.name)}'><h2>{html.escape(title)}</h2>"]
    if summary.name in SUMMARIES:
        parts.append(f"<p class='intro'>{html.escape(SUMMARIES[summary.name])}</p>")
    sentences = of_suite(summary)
    if sentences:
        parts.append(
            "<div class='card'><h3>In "
            f"short</h3><ul>{_items(sentences, [*map(summary.label, summary.problems)])}</ul></div>"
        )
    if summary.rows:
        parts.append(f"<div class='card'><h3>Total time over the fastest</h3>{overview(summary).html()}</div>")
    common = [figure for figure in figures if not figure.problem]
    pictures = "".join(_figure(f, glyphs) for f in common)
    if summary.others:
        parts.append(_room(summary).section(summary, pictures))
    elif summary.kernels:
        parts.append(f"<div class='card'>{kernel_table(summary).html()}<div class='figures'>{pictures}</div></div>")
    elif common:
        parts.append(f"<div class='card'><div class='figures'>{pictures}</div></div>")
    for problem in summary.problems:
        rows = summary.of(problem)
        first = rows[0].first
        own = "".join(_figure(f, glyphs) for f in figures if f.problem == problem)
        facts = f"{int(first['n']):,} unknowns, {int(first['nnz']):,} entries"
        if first.get("left_out"):
            facts += f"; {first['left_out']} more stand in no equation (shut in on all sides) and are left out"
        parts.append(
            "<article class='card' "
            f"id='{slug(summary.name + ' ' + problem)}'><h3>{html.escape(summary.label(problem))}</h3>"
            f"<p class='facts'>{facts}</p>"
            f"<div class='figures'>{own}</div>"
            f"<details{'' if own else ' open'}><summary>All numbers, {len(rows)} "
            f"methods</summary>{problem_table(summary, problem).html()}"
            "<p "
            f"class='note'>{html.escape(_parameters(first.get('parameters') or {}))}</p></details></article>"
        )
    parts.append("</section>")
    return "\n".join(parts)


def _room(summary: SuiteSummary) -> Any:
    """Return the module that shows the measurements that a suite has of its own."""
    return grids if summary.name == "multigrid" else sequences if summary.name in sequences.NAMES else products


def _parameters(parameters: Mapping[str, Any]) -> str:
    shown_ones = [f"{k} = {_value(v)}" for k, v in parameters.items() if v is not None]
    return "Parameters: " + ", ".join(shown_ones) + "." if shown_ones else ""


def _value(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _environment(summaries: Sequence[SuiteSummary], environments: Sequence[Mapping[str, Any]]) -> str:
    boxes = []
    for record in environments:
        pairs = [
            ("processor", record.get("cpu")),
            ("cores", record.get("cores")),
            ("threads", record.get("threads")),
            ("system", record.get("system")),
        ]
        pairs += list((record.get("versions") or {}).items())
        cells = "".join(f"<dt>{html.escape(str(k))}</dt><dd>{html.escape(str(v))}</dd>" for k, v in pairs)
        boxes.append(f"<dl>{cells}</dl>")
    libraries = products.peers(summaries)
    if libraries:
        cells = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in libraries)
        boxes.append(f"<h3>Libraries beside them</h3><dl>{cells}</dl>")
    first: dict[str, float] = {}
    clock = 0.0
    for summary in summaries:
        for row in summary.rows:
            clock += sum(row.totals)
            seconds = row.first.get("first_run_seconds")
            if seconds is not None and math.isfinite(seconds):
                first[row.solver] = max(first.get(row.solver, 0.0), float(seconds))
    compiled = ""
    if first:
        named = ", ".join(f"{shown(s)} {duration(t)}" for s, t in sorted(first.items(), key=lambda item: -item[1]))
        compiled = (
            "<p class='note'>First runs of each method (on a tiny problem, and loosely on the first one), "
            "compilation included or loaded from Numba's cache: "
            f"{html.escape(named)}. Kernels that methods share are compiled by whichever came first. "
            f"On the clock in all: {html.escape(duration(clock))}.</p>"
        )
    return f"<section id='environment' class='card'><h2>Environment</h2>{''.join(boxes)}{compiled}</section>"
