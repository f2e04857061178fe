"""Numbers by hand: medians, ratios, failures, performance profiles, tables, sentences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ritzkit.reports.findings import headline, of_suite
from ritzkit.reports.plots import suite_profile
from ritzkit.reports.summary import profile, suites
from ritzkit.reports.tables import kernel_ratio, markdown, overview, problem_table

X, DASH = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"


@pytest.fixture
def three(record_of):
    """Two problems, three solvers; b fails on q.

    total   a   b   scipy-cg
    p       1   2   4
    q       6   -   3
    """
    totals = {
        ("p", "a"): 1.0,
        ("p", "b"): 2.0,
        ("p", "scipy-cg"): 4.0,
        ("q", "a"): 6.0,
        ("q", "b"): 1.0,
        ("q", "scipy-cg"): 3.0,
    }
    return [
        record_of(
            problem=problem,
            solver=solver,
            repeat=repeat,
            setup=0.25 * total,
            solve=0.75 * total * factor,
            products=10,
            decay=0.09,
            solved=(problem, solver) != ("q", "b"),
            external=solver == "scipy-cg",
        )
        for (problem, solver), total in totals.items()
        for repeat, factor in enumerate([1.0, 9.0, 0.5])
    ]


def test_medians_are_over_repeats_and_setup_counts(three):
    row = next(r for r in suites(three)[0].rows if (r.problem, r.solver) == ("p", "b"))
    assert (row.setup, row.solve, row.total) == (0.5, 1.5, 2.0)
    assert row.spread == pytest.approx((0.5 + 13.5) / (0.5 + 0.75))


def test_reached_is_infinite_where_a_target_was_missed(three):
    rows = {(r.problem, r.solver): r for r in suites(three)[0].rows}
    assert rows["q", "b"].reached("1e-4", "seconds") == math.inf
    assert rows["p", "a"].reached("1e-4", "products") == 4
    assert rows["p", "a"].reached("1e-8", "seconds") == pytest.approx(0.25 + 0.75 * 0.8)


def test_best_and_scipy_leave_failures_out(three):
    summary = suites(three)[0]
    assert summary.best("q").solver == "scipy-cg"  # not b, which is faster but failed
    assert summary.scipy("p").total == 4.0
    assert [(r.problem, r.solver) for r in summary.failures()] == [("q", "b")]


def test_profile_by_hand(three):
    data = suite_profile(suites(three)[0], "seconds")
    assert data.solvers == ["a", "b", "scipy-cg"]
    np.testing.assert_array_equal(data.ratios, [[1, 2], [2, np.inf], [4, 1]])
    assert [data.share(s, 1.0) for s in data.solvers] == [0.5, 0.0, 0.5]
    assert [data.share(s, 2.0) for s in data.solvers] == [1.0, 0.5, 0.5]
    assert data.share("b", 1e9) == 0.5  # a failure never arrives
    factors, shares = data.curve("scipy-cg")
    assert (factors.tolist(), shares.tolist()) == ([1.0, 4.0], [0.5, 1.0])


def test_profile_where_nobody_arrives_and_where_somebody_was_not_asked(record_of):
    records = [record_of(problem="p", solver=s, solved=False) for s in "ab"]
    records += [record_of(problem="q", solver=s, solve=v) for s, v in (("a", 1.0), ("b", 3.0), ("c", 0.1))]
    data = profile(suites(records)[0].rows, lambda row: row.total)
    assert data.solvers == ["a", "b"]  # c ran on one problem only
    np.testing.assert_array_equal(data.ratios, [[np.inf, 1], [np.inf, 3]])
    assert data.share("a", 100.0) == 0.5


def test_table_ratios_by_hand(three):
    summary = suites(three)[0]
    table = problem_table(summary, "p")
    best, scipy = table.head.index("to the best"), table.head.index("to SciPy")
    cells = {row[0]: (row[best], row[scipy]) for row in table.rows}
    assert cells == {
        "a": (f"1.00{X}", f"0.25{X}"),
        "b": (f"2.00{X}", f"0.50{X}"),
        "SciPy cg": (f"4.00{X}", f"1.00{X}"),
    }
    assert [row[0] for row in table.rows] == ["a", "b", "SciPy cg"]


def test_table_lists_failures_last_with_their_reason(three):
    table = problem_table(suites(three)[0], "q")
    assert table.rows[-1][0] == "b"
    assert table.rows[-1][table.head.index("total")] == "failed"
    assert table.rows[-1][table.head.index("to the best")] == DASH
    assert table.notes[0] == "b failed: stagnation after 10 products (the residual no longer falls)."


def test_overview_by_hand(three):
    table = overview(suites(three)[0])
    assert table.head == ["problem", "a", "b", "SciPy cg", "fastest"]
    assert table.rows == [
        ["p", f"1.00{X}", f"2.00{X}", f"4.00{X}", "1.00 s"],
        ["q", f"2.00{X}", "\N{BALLOT X}", f"1.00{X}", "3.00 s"],
    ]


def test_markdown_tables_have_as_many_cells_as_columns(three):
    text = markdown(suites(three), ["One sentence."])
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines
    assert {line.count("|") for line in lines} <= {6, 13}
    assert "- One sentence." in text


def test_headline_says_where_an_opponent_wins_and_what_failed(three):
    text = " ".join(headline(suites(three)))
    assert "Fastest in total time on 2 problems: a (1) and SciPy cg (1)." in text
    assert "Here an opponent wins: on q, SciPy cg is 2.00 times as fast as the best method of this package." in text
    assert "1 of 6 combinations of problem and method miss the tolerance and are listed as failures: b." in text
    assert "a is 4 times as fast as SciPy's own unpreconditioned method on p" in text


def test_suite_sentences_name_the_failure(three):
    sentences = of_suite(suites(three)[0])
    assert "p: a is the fastest, 1.00 s with 10 products; b follows at 2.00" in sentences[0]
    assert sentences[-1].startswith("q: b fails: stagnation")


@pytest.mark.parametrize(("same", "ratio"), [(True, 3.0), (False, 0.0)])
def test_a_kernel_with_another_answer_has_no_ratio(same, ratio):
    assert kernel_ratio({"ours_seconds": [2.0, 1.0, 9.0], "theirs_seconds": [6.0], "same_answer": same}) == ratio


def test_a_missed_target_is_a_finding(benchmark_records):
    from ritzkit.reports.records import read

    assert (
        f"missed: Lower triangular solve, 7 points, 80\N{SUPERSCRIPT THREE} (15.0{X} instead of 20.0{X})"
        in " ".join(headline(suites(read(benchmark_records))))
    )
