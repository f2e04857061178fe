"""Figures and page come from the records alone, the same to the byte, with nothing from elsewhere."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from ritzkit.reports.convergence import flag_rows
from ritzkit.reports.html import inline_svg, page
from ritzkit.reports.output import write_page, write_tables
from ritzkit.reports.records import read
from ritzkit.reports.summary import suites

VOID = {"meta", "br", "img", "link", "hr", "input", "path", "use", "rect", "image"}


@pytest.fixture(scope="module")
def made(benchmark_records, tmp_path_factory):
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("page")
    write_page(benchmark_records, folder)
    write_tables(benchmark_records, folder)
    return folder


@pytest.fixture(scope="module")
def text(made):
    return (made / "index.html").read_text(encoding="utf-8")


def test_the_same_records_give_the_same_bytes(made, benchmark_records, tmp_path):
    write_page(benchmark_records, tmp_path)
    files = sorted(p.name for p in (made / "figures").iterdir())
    assert sum(name.endswith(".svg") for name in files) == sum(name.endswith(".png") for name in files) > 10
    for name in files:
        assert (made / "figures" / name).read_bytes() == (tmp_path / "figures" / name).read_bytes(), name
    assert (made / "index.html").read_bytes() == (tmp_path / "index.html").read_bytes()


def test_every_svg_is_well_formed_and_dateless(made):
    for path in (made / "figures").glob("*.svg"):
        content = path.read_text(encoding="utf-8")
        ET.fromstring(content)
        assert "dc:date" not in content


def test_page_refers_to_nothing_outside(text):
    assert not re.findall(r"https?://", text)
    assert not re.findall(r"<script|<link|@import|<iframe|javascript:", text)
    assert all(ref.startswith(("#", "data:")) for ref in re.findall(r'(?:href|src)=["\']([^"\']*)', text))


def test_page_holds_every_suite_problem_and_solver(text, benchmark_records):
    for summary in suites(read(benchmark_records)):
        assert f"id='{summary.name}'" in text
        for problem in summary.problems:
            assert summary.label(problem) in text


def test_links_have_targets_and_ids_are_unique(text):
    ids = re.findall(r"\bid=[\"']([^\"']+)", text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"href=[\"']#([^\"']+)", text)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_page_tags_are_balanced(text):
    class Balance(HTMLParser):
        open: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag, attrs):
            if tag not in VOID:
                self.open.append(tag)

        def handle_endtag(self, tag):
            if tag not in VOID:
                assert self.open.pop() == tag

    parser = Balance()
    parser.feed(text)
    assert parser.open == []


def test_figures_follow_the_colours_of_the_page(text):
    assert "var(--f-ink)" in text
    drawings = "".join(re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL))
    assert "#1f2530" not in drawings
    assert "prefers-color-scheme:dark" in text


def test_inlining_keeps_scales_and_shortens_lengths():
    svg = '<?xml version="1.0"?><svg width="1pt" height="2pt" viewBox="0 0 1 2" xmlns="http://x"><g id="a">'
    svg += '<path d="M 1.23456 2" transform="scale(0.015625)"/></g></svg>'
    body = inline_svg(svg, "p", 'a "label"')
    assert body == (
        '<svg viewBox="0 0 1 2" role="img" aria-label="a &quot;label&quot;"><g id="p-a">'
        '<path d="M 1.23 2" transform="scale(0.015625)"/></g></svg>'
    )


def test_page_without_figures_still_has_its_tables(benchmark_records):
    records = read(benchmark_records)
    text = page(suites(records), {}, [])
    assert "<svg" not in text
    assert text.count("<table>") >= 6


@pytest.mark.parametrize(
    "place",
    [
        [0.0, 1.0, 2.0],
        [10.0, 10.0, 10.0, 10.0],
        [5.0, 60.0, 61.0, 62.0, 200.0],
        [300.0, 20.0, 150.0, 149.0, 90.0, 210.0],
    ],
)
def test_flags_neither_overlap_nor_are_cut_by_poles(place):
    width = 50.0
    chosen = flag_rows(place, [width] * len(place), [0.0] * len(place))
    spans = [(p, p + width) if side > 0 else (p - width, p) for p, (_, side) in zip(place, chosen, strict=True)]
    for i, (row, _) in enumerate(chosen):
        for j, (other, _) in enumerate(chosen):
            if i == j:
                continue
            if row == other:
                assert spans[i][1] <= spans[j][0] or spans[j][1] <= spans[i][0]
            if other > row:  # the pole of j passes the row of i
                assert not spans[i][0] + 1e-9 < place[j] < spans[i][1]
