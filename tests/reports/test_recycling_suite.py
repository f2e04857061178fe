"""The suites `recycling` and `datasets`: what they run, tiny measurements, verdicts on known numbers, tables and figures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ritzkit.problems import ConvectionDiffusion, Darcy, SKRDarcy
from ritzkit.problems.datasets.chunk import draw
from ritzkit.reports.output import write_page, write_tables
from ritzkit.reports.records import Recorder, environment
from ritzkit.reports.sequences import numbers, page, plots, tables
from ritzkit.reports.suites import get
from ritzkit.reports.suites.base import SuiteOptions, Terms
from ritzkit.reports.suites.datasets import measure as datasets
from ritzkit.reports.suites.recycling import abrupt, arms, families, reproduction, sequences
from ritzkit.reports.summary import suites
from ritzkit.solvers.recycling import gcrodr

TERMS = Terms(1, 0, SuiteOptions(quick=True))


# --- what is run ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["recycling", "datasets"])
@pytest.mark.parametrize("quick", [True, False], ids=["quick", "whole"])
def test_names_are_unique(name, quick):
    measured = get(name).measurements(SuiteOptions(quick=quick))
    assert len({m.name for m in measured}) == len(measured) > 5
    for measurement in measured:
        json.dumps(measurement.parameters)


def test_families_of_a_whole_run_and_their_arms():
    names = {stream.name for stream in families.streams(quick=False)}
    assert {"skr-darcy", "skr-darcy-repaired", "skr-thermal", "skr-poisson", "skr-helmholtz", "darcy-128"} <= names
    for stream in (*families.FAMILIES, *families.QUICK):
        chosen = {arm.name for arm in sequences.arms_of(stream)}
        assert {"auto", "sequence", "sequence-no-recycling", "frozen-factor-recycling"} <= chosen
        assert ("cg-jacobi" in chosen) == (stream.kind == "definite")
        assert ("batch" in chosen) == (stream.kind == "definite" and stream.grid)
        for entry in stream.without:
            assert entry.partition(":")[0] not in chosen


def test_pairs_name_arms():
    known = {arm.name for arm in arms.ARMS}
    assert {name for _, *pair in numbers.PAIRS for name in pair} <= known


# --- sequences ------------------------------------------------------------------------------------------------------


def stream(family, kind="definite", count=6, grid=True):
    return families.Stream("tiny", "Tiny", lambda: family, kind, count=count, grid=grid)


def test_an_operator_made_fresh_has_no_caches():
    A = Darcy(8).sample(0).A
    used = sequences.fresh(A)
    used.diagonal()
    x = used.tocsr() @ np.ones(64)
    bare = sequences.fresh(used)
    assert set(bare.__dict__) <= set(A.__dict__) | {"_buffers"}
    assert np.array_equal(bare @ np.ones(64), A @ np.ones(64))
    assert np.allclose(bare @ np.ones(64), x)


ONLY = ("skr-ilu", "superlu", "cg-mic", "batch", "auto", "sequence", "frozen-factor", "frozen-factor-recycling")


@pytest.mark.parametrize(
    ("family", "kind"),
    [(Darcy(12), "definite"), (ConvectionDiffusion(8, peclet=(1.0, 9.0)), "general")],
    ids=["definite", "general"],
)
def test_every_arm_solves_every_system(family, kind, monkeypatch):
    monkeypatch.setattr(sequences, "ARMS", tuple(arm for arm in arms.ARMS if arm.name in ONLY))
    ticks = []
    terms = Terms(1, 0, SuiteOptions(quick=True), tick=lambda: ticks.append(1))
    record = sequences.measure(stream(family, kind, grid=kind == "definite"), 6, 9.0, terms)
    json.dumps(record)
    assert len(ticks) == len(record["arms"]) >= 6
    for facts in record["arms"].values():
        assert facts["solved"]
        assert facts["count"] == len(facts["seconds"]) == len(facts["iterations"]) == 6
        assert 0 < facts["worst"] <= record["rtol"]
    assert record["arms"]["skr-ilu"]["order_seconds"] > 0 == record["arms"]["superlu"]["order_seconds"]


class Fake:
    """An arm whose answers and errors are given."""

    def __init__(self, behaviour):
        self.behaviour = behaviour

    def __call__(self, rtol):
        def solve(problems):
            if self.behaviour == "raises":
                raise ValueError("no such matrix")
            exact = [np.linalg.solve(p.A.tocsr().toarray(), p.b) for p in problems]
            return [arms.Answer(x * (self.behaviour == "solves"), 3, "converged") for x in exact]

        return solve


@pytest.mark.parametrize(("behaviour", "least", "most"), [("solves", 2, 4), ("lies", 2, 2), ("raises", 0, 0)], ids=str)
def test_an_arm_stops_when_its_time_is_up_or_nothing_works(behaviour, least, most, monkeypatch):
    monkeypatch.setattr(sequences, "ARMS", (arms.Arm("fake", "a fake", Fake(behaviour)),))
    record = sequences.measure(stream(Darcy(6)), 6, 1e-9, TERMS)
    facts = record["arms"]["fake"]
    assert least <= facts["count"] <= most
    assert facts["solved"] is (behaviour == "solves")
    assert np.isnan(numbers.rate(record, "fake")) != facts["solved"]
    # success is what the true residual says
    assert [entry["outcome"] for entry in facts["failed"]] == ["converged"] * (2 if behaviour == "lies" else 0)
    assert facts["error"] == ("no such matrix" if behaviour == "raises" else None)


# --- reproduction and bad systems -----------------------------------------------------------------------------------


def test_one_history_tells_the_counts_of_all_tolerances():
    record = reproduction.measure("Darcy", 12, True, "jacobi", 4, 2, TERMS)
    json.dumps(record)
    counts = record["iterations"]
    assert {len(counts["gmres"][t]) for t in reproduction.TOLERANCES} == {2} == {record["few"]}
    assert {len(counts["skr"][t]) for t in reproduction.TOLERANCES} == {4}
    family = SKRDarcy(12)
    problem = draw(family, 0, 0)  # the first of a greedy order
    from ritzkit.solvers import precond

    M = precond.jacobi(problem.A)
    for t in reproduction.TOLERANCES:
        alone = gcrodr(problem.A, problem.b, rtol=float(t), M=M, k=0, restart=40, side="left", flexible=False)
        assert counts["gmres"][t][0] == alone.iterations
        assert counts["skr"][t][0] >= counts["skr"]["1e-2"][0]
    assert record["capped"]["gmres"]["1e-8"] == 0


def test_bad_systems_leave_the_sequence_whole():
    record = abrupt.measure(TERMS)
    json.dumps(record)
    assert len(record["rows"]) == len(abrupt.CASES)
    for row in record["rows"]:
        assert row["as_wanted"], row
        assert row["after"]["solved"] == record["between"], row
    assert record["finite"]


# --- datasets -------------------------------------------------------------------------------------------------------


def test_a_dataset_is_timed_and_validated():
    record = datasets.arm("batch", 8, 4, 4, 1, TERMS)
    json.dumps(record)
    (run,) = record["runs"]
    assert run["valid"]
    assert run["worst"] <= datasets.RTOL
    assert 0 < sum(run["chunk_seconds"].values()) <= run["seconds"]
    assert numbers.per_sample(record) == pytest.approx((run["seconds"] + run["validate_seconds"]) / 4)


def test_a_curve_has_a_point_for_each_size():
    record = datasets.curve("superlu", 8, (2, 3), TERMS)
    assert [point["count"] for point in record["points"]] == [2, 3]
    assert all(point["valid"] for point in record["points"])


def test_a_killed_run_is_resumed_to_the_same_bytes():
    record = datasets.kills(8, 600, 10, 1, TERMS)
    json.dumps(record)
    assert record["identical"]
    assert len(record["killed"]) == 1
    assert record["files"] == 2


# --- verdicts -------------------------------------------------------------------------------------------------------


def arm_of(seconds, role="fixed", count=4, solved=True, iterations=10, **more):
    facts = {
        "title": "t", "role": role, "order": "none", "external": False, "count": count, "solved": solved,
        "order_seconds": 0.0, "seconds": [seconds] * count, "iterations": [iterations] * count, "worst": 1e-7,
        "failed": [] if solved else [{"index": 1, "outcome": "iteration limit", "residual": 0.5}], "error": None,
    }  # fmt: skip
    return facts | more


def sequence_of(name="darcy-128", kind="true", *, quick=False, draw_seconds=0.0, **changes):
    found = {
        "superlu": arm_of(1.0), "skr-ilu": arm_of(5.0), "skr-jacobi": arm_of(7.0), "auto": arm_of(0.5, "auto"),
        "sequence": arm_of(0.6, "auto"), "sequence-no-recycling": arm_of(0.5, "ingredient", iterations=20),
        "frozen-factor": arm_of(2.0, "ingredient"), "frozen-factor-recycling": arm_of(1.0, "ingredient", iterations=5),
        "gmres-dr-ilu": arm_of(8.0), "skr-ilu-unsorted": arm_of(6.0),
    }  # fmt: skip
    return {
        "kind": "sequence", "suite": "recycling", "problem": f"sequence-{name}", "label": name, "family": name,
        "set": kind, "class": "definite", "n": 100, "count": 4, "rtol": 1e-6, "cap": 3000, "arm_threads": 1,
        "draw_seconds": draw_seconds, "missing": {"cholmod": "cvxopt is not installed"}, "without": ["cg: slow"],
        "arms": found | changes, "settings": {"quick": quick},
    }  # fmt: skip


def reproduction_of(gmres, skr, *, edge=78, name="ilu", slip=True, kind="darcy"):
    counts = {
        "gmres": {t: [g] * 2 for t, g in zip(numbers.TOLERANCES, gmres, strict=True)},
        "gmres-dr": {t: [2 * skr] * 2 for t in numbers.TOLERANCES},
        "skr": {t: [skr] * 4 for t in numbers.TOLERANCES},
    }
    return {
        "kind": "reproduction", "suite": "recycling", "problem": f"r-{edge}-{name}-{slip}-{kind}", "label": "again",
        "set": kind, "edge": edge, "n": edge**2, "slip": slip, "preconditioner": name, "count": 4, "few": 2,
        "some": [0, 3], "cap": 10_000, "iterations": counts,
        "capped": {m: dict.fromkeys(numbers.TOLERANCES, 0) for m in counts}, "settings": {"quick": False},
    }  # fmt: skip


def dataset_of(solver, seconds, count=10, whole=10, **more):
    run = {"seconds": seconds, "validate_seconds": 0.0, "valid": True, "text": "", "worst": 1e-7, "bytes": 9,
           "iterations": 3.0, "chunk_seconds": {"draw": 0.0, "solve": 2 * seconds, "write": 0.0}}  # fmt: skip
    return {
        "kind": "dataset", "suite": "datasets", "problem": f"d-{solver}", "label": solver, "solver": solver, "edge": 128,
        "count": count, "whole": whole, "workers": 2, "chunk": None, "rtol": 1e-6, "runs": [run | more],
        "settings": {"quick": False},
    }  # fmt: skip


def of(*records):
    return {summary.name: summary for summary in suites(records)}


def verdicts(*records):
    return {v.text: v for summary in of(*records).values() for v in numbers.targets(summary)}


EARLY = arm_of(1.0, count=3) | {"seconds": [9.0, 1.0, 2.0]}


def test_rates_and_gains():
    record = sequence_of(early=EARLY, failed=arm_of(0.1, solved=False))
    assert numbers.rate(record, "early") == 1.5
    assert np.isnan(numbers.rate(record, "failed"))
    assert "failed" not in numbers.fixed(record)
    assert numbers.best_fixed(record) == "superlu"
    assert numbers.gain(record, "frozen-factor", "frozen-factor-recycling") == (0.5, 0.5)
    assert numbers.over(record | {"draw_seconds": 0.5}, "superlu") == 1.5


def test_auto_is_judged_against_skr_and_the_best_fixed_arm():
    found = list(verdicts(sequence_of(), sequence_of("b", auto=arm_of(1.2, "auto"))).values())
    by_number = {(v.number, v.wanted): v for v in found}
    assert by_number[2, "at least 5"].measured == f"10{numbers.TIMES}"
    assert by_number[2, "at least 5"].met
    worst = by_number[3, "at most 1.1"]
    assert worst.met is False
    assert worst.measured == f"1.2{numbers.TIMES}"
    assert by_number[3, "at least 3"].measured == "1"
    assert by_number[4, "all 2"].met


def test_a_failure_of_auto_misses_and_a_quick_run_judges_nothing():
    failed = sequence_of(auto=arm_of(0.1, "auto", solved=False))
    assert [v.met for v in verdicts(failed).values() if v.number in (2, 3)] == [False, False, False]
    assert [v.met for v in verdicts(sequence_of(quick=True)).values() if v.number in (2, 3)] == [None, None, None]


@pytest.mark.parametrize(("last", "met"), [(17.2, True), (14.0, True), (13.0, False), (21.0, False)])
def test_ratios_are_held_against_the_paper(last, met):
    (verdict,) = verdicts(reproduction_of([94.4, 144, 10 * last], 10)).values()
    assert verdict.met is met
    assert verdict.measured == f"9.44, 14.4, {last:.3g}"


def test_a_size_that_the_paper_does_not_print_is_not_judged():
    (verdict,) = verdicts(reproduction_of([1, 1, 1], 1, kind="helmholtz")).values()
    assert verdict.met is None
    assert "9,604 unknowns" in verdict.note
    assert numbers.published(reproduction_of([1, 1, 1], 1, edge=9), "1e-8") == (None, 0)
    assert numbers.published(reproduction_of([1, 1, 1], 1, slip=False), "1e-8") == (None, 0)
    assert not verdicts(reproduction_of([1, 1, 1], 1, slip=False))


def test_datasets_are_compared_per_sample():
    records = [dataset_of("auto", 1.0), dataset_of("superlu", 2.0, count=2), dataset_of("skr-ilu", 2.0, count=1)]
    found = {v.wanted: v for v in verdicts(*records).values()}
    assert found["at least 5"].measured == f"10{numbers.TIMES}"
    assert found["at least 20"].measured == f"20{numbers.TIMES}"
    assert found["at least 20"].met
    broken = [dataset_of("auto", 1.0, valid=False), *records[1:]]
    assert not any(v.met for v in verdicts(*broken).values())


KILLS = {
    "kind": "kills", "suite": "datasets", "problem": "k", "label": "k", "edge": 8, "count": 9, "chunk": 3, "workers": 2,
    "wanted": 1, "killed": [{"before": 0, "after": 2}], "calm_seconds": 1.0, "files": 2, "bytes": 10, "identical": True,
    "differing": [],
}  # fmt: skip
CURVE = {
    "kind": "curve", "suite": "datasets", "problem": "c", "label": "c", "solver": "auto", "edge": 128, "workers": 2,
    "rtol": 1e-6,
    "points": [{"count": n, **dataset_of("auto", 1.0 + n)["runs"][0]} for n in (10, 100)],
}  # fmt: skip
ABRUPT = {
    "kind": "abrupt", "suite": "recycling", "problem": "a", "label": "a", "rtol": 1e-8, "between": 4, "finite": True,
    "rows": [{"case": "NaN in the matrix", "success": False, "refused": False, "outcome": "non-finite operator",
              "residual": None, "wanted": "fails", "as_wanted": True, "after": {"solved": 4, "worst": 1e-9}}],
}  # fmt: skip


@pytest.mark.parametrize("change", [{"identical": False, "differing": ["x"]}, {"killed": []}], ids=["bytes", "count"])
def test_kills_that_change_bytes_or_do_not_happen_miss(change):
    assert [v.met for v in verdicts(KILLS).values()] == [True]
    assert [v.met for v in verdicts(KILLS | change).values()] == [False]


@pytest.mark.parametrize(
    "change", [{"as_wanted": False}, {"after": {"solved": 3, "worst": 1e-9}}], ids=["outcome", "after"]
)
def test_a_bad_system_that_does_harm_misses(change):
    assert [v.met for v in verdicts(ABRUPT).values()] == [True]
    assert [v.met for v in verdicts(ABRUPT | {"rows": [ABRUPT["rows"][0] | change]}).values()] == [False]
    assert [v.met for v in verdicts(ABRUPT | {"finite": False}).values()] == [False]


# --- what is shown --------------------------------------------------------------------------------------------------

EVERYTHING = (
    sequence_of(), sequence_of("skr-darcy", "skr", superlu=arm_of(1.0, solved=False), early=arm_of(1.0, count=3)),
    reproduction_of([94.4, 144, 172], 10), reproduction_of([20, 30, 40], 10, slip=False), ABRUPT, KILLS, CURVE,
    dataset_of("auto", 1.0), dataset_of("superlu", 2.0, count=2), dataset_of("cg-ic", 2.0, valid=False, text="bad"),
)  # fmt: skip


def test_tables_tell_subsets_failures_and_signs():
    found = {title: table for summary in of(*EVERYTHING).values() for title, table in tables.sections(summary)}
    text = {title: table.markdown() for title, table in found.items()}
    assert "1.00 s (3)" in text["Seconds per system"]
    assert "cvxopt is not installed" in text["Seconds per system"]
    assert "iteration limit, residual 5e-01" in text["Failures"]
    assert "\N{MINUS SIGN}50 %" in text["What recycling alone contributes"]
    assert "+20 %" in text["What recycling alone contributes"]
    assert "9.44" in text["SKR's iteration ratios, counted again"]
    assert "✗" in text["Datasets by arm"]
    assert "identical" in text["Killed and resumed"]


def test_sentences_say_where_recycling_loses():
    summary = of(*EVERYTHING)["recycling"]
    assert any(
        s.startswith("Recycling inside the sequence solver costs time on: darcy-128") for s in page.sentences(summary)
    )
    assert any("missed" in s for s in page.findings([summary]))


def test_page_tables_and_figures_from_records_alone(tmp_path, config):
    path = tmp_path / "records.jsonl"
    with Recorder(path, config) as recorder:
        recorder.add_environment(environment(1))
        for number, record in enumerate(EVERYTHING):
            recorder.add(str(number), {"seed": 0, "threads": 1, "environment": environment(1)["id"], **record})
    write_page(path, tmp_path)
    write_tables(path, tmp_path)
    text = (tmp_path / "index.html").read_text()
    for words in ("What recycling alone contributes", "Killed and resumed", "our SKR", "two worker processes"):
        assert words in text
    names = {file.stem for file in (tmp_path / "figures").glob("*.svg")}
    assert {"recycling-seconds", "recycling-recycling", "recycling-ratios", "datasets-amortised"} <= names
    assert "Datasets by arm" in (tmp_path / "tables.md").read_text()
    assert not plots.draw(of(KILLS)["datasets"], None)
