"""The suite `spgemm`: inputs, SMASH analogues, agreement, measuring, verdicts, tables and figures."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import mmwrite
from scipy.sparse import coo_array, csr_array, random_array

from ritzkit.reports.output import write_page, write_tables
from ritzkit.reports.products import numbers, page, plots, tables
from ritzkit.reports.progress import Progress
from ritzkit.reports.records import Recorder, environment, read
from ritzkit.reports.runner import Plan, Settings, run
from ritzkit.reports.suites.base import Measurement, Suite, SuiteOptions, Terms
from ritzkit.reports.suites.spgemm import inputs, latency, measure, methods, pagerank, peers, update
from ritzkit.reports.suites.spgemm.smash import VARIANTS
from ritzkit.reports.summary import suites


def as_factor(matrix) -> csr_array:
    A = csr_array(matrix)
    A.sum_duplicates()
    return csr_array((A.data.astype(float), A.indices.astype(np.int32), A.indptr.astype(np.int32)), shape=A.shape)


def one_dense_row(n: int = 300) -> csr_array:
    A = coo_array(np.eye(n)).tolil()
    A[7, :] = np.arange(1.0, n + 1)
    A[:, 3] = 2.0
    return as_factor(A)


def cancelling() -> csr_array:
    return as_factor(np.array([[1.0, -1.0, 0.0], [1.0, 1.0, 2.0], [1.0, 1.0, 0.0]]))


def empty_rows(shape=(40, 60), seed=1) -> csr_array:
    A = random_array(shape, density=0.05, rng=np.random.default_rng(seed)).tolil()
    A[3:9, :] = 0
    A[:, 5:9] = 0
    return as_factor(A)


PAIRS = {
    "grid": lambda: (inputs.stencil(12, 7),) * 2,
    "R-MAT": lambda: (inputs.rmat(9, np.random.default_rng(0)),) * 2,
    "one dense row": lambda: (one_dense_row(),) * 2,
    "empty rows, rectangular": lambda: (empty_rows(), empty_rows((60, 35), 2)),
    "cancelling": lambda: (cancelling(),) * 2,
    "no entry": lambda: (as_factor((4, 3)), as_factor((3, 5))),
    "no row": lambda: (as_factor((0, 3)), as_factor((3, 5))),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_smash_variants_are_scipy_to_the_bit(make, variant, threads):
    A, B = make()
    reference = A @ B
    reference.sort_indices()
    facts = measure.compare(VARIANTS[variant](A, B, threads), reference)
    assert facts == {"ordered": True, "exact": True, "deviation": 0.0}


@pytest.mark.parametrize(
    ("points", "entries"), [(5, 5 * 81 - 4 * 9), (7, 7 * 729 - 6 * 81), (27, 25**3)], ids=["5", "7", "27"]
)
def test_stencils_have_the_entries_of_their_grid(points, entries):
    A = inputs.stencil(9, points)
    assert A.nnz == entries
    assert abs(A - A.T).nnz == 0
    assert (A.sum(axis=1) >= 0).all()
    assert (A.dtype, A.indices.dtype, A.indptr.dtype) == (np.float64, np.int32, np.int32)


def test_rmat_follows_its_seed_and_its_probabilities():
    first, again = (inputs.rmat(10, np.random.default_rng(5)) for _ in range(2))
    assert (first != again).nnz == 0
    assert (first != inputs.rmat(10, np.random.default_rng(6))).nnz > 0
    assert first.has_canonical_format
    # a quarter of the vertices, those with two leading zero bits, holds 0.57 squared of the edges that stay single
    edges = inputs.rmat(14, np.random.default_rng(0), 1)
    corner = edges[: 1 << 13, : 1 << 13].nnz / edges.nnz
    assert abs(corner - 0.57) < 0.02


def test_random_matrix_has_its_degree():
    A = inputs.erdos_renyi(12, np.random.default_rng(0), 6)
    assert 0.98 * 6 < A.nnz / A.shape[0] <= 6


def test_files_are_squared_or_multiplied_with_their_transpose(tmp_path):
    mmwrite(tmp_path / "square.mtx", coo_array(np.eye(4)))
    mmwrite(tmp_path / "tall.mtx", coo_array(np.ones((5, 2))))
    found = inputs.pairs(SuiteOptions(quick=True, folder=str(tmp_path)))
    own = {pair.name: pair.make(np.random.default_rng(0)) for pair in found if pair.group == "file"}
    assert {name: (A.shape, B.shape) for name, (A, B) in own.items()} == {
        "square": ((4, 4), (4, 4)),
        "tall-AAt": ((5, 2), (2, 5)),
        "tall-AtA": ((2, 5), (5, 2)),
    }
    assert all(M.indices.dtype == np.int32 and M.dtype == np.float64 for pair in own.values() for M in pair)


def test_a_complex_file_is_skipped_with_a_line(tmp_path):
    mmwrite(tmp_path / "waves.mtx", coo_array(1j * np.eye(4)))
    (pair,) = (p for p in inputs.pairs(SuiteOptions(quick=True, folder=str(tmp_path))) if p.group == "file")
    record = measure.measure(pair, Terms(1, 0, SuiteOptions(quick=True)), np.random.default_rng(0))
    text = "its entries are complex, and every input is float64"
    assert record == {"kind": "skipped", "text": text}
    line = {**record, "suite": "spgemm", "problem": pair.name, "label": pair.label}
    notes = tables.overview(summary_of(product_record("a", 10**6), line)).notes
    assert f"Skipped: waves ({text})." in notes


@pytest.fixture
def reference() -> csr_array:
    A = inputs.stencil(8, 5)
    C = A @ A
    C.sort_indices()
    return C


def test_comparison_forgives_order_and_explicit_zeros(reference):
    order = np.concatenate(
        [np.arange(a, b)[::-1] for a, b in zip(reference.indptr, reference.indptr[1:], strict=False)]
    )
    turned = csr_array((reference.data[order], reference.indices[order], reference.indptr), shape=reference.shape)
    assert measure.compare(turned, reference) == {"ordered": False, "exact": True, "deviation": 0.0}
    padded = csr_array(
        (
            np.append(reference.data, 0.0),
            np.append(reference.indices, 2),
            np.append(reference.indptr[:-1], reference.nnz + 1),
        ),
        shape=reference.shape,
    )
    assert measure.compare(padded, reference)["exact"]


def test_comparison_finds_a_wrong_value_a_wrong_place_and_a_wrong_shape(reference):
    wrong = reference.copy()
    wrong.data[17] *= 1 + 1e-9
    facts = measure.compare(wrong, reference)
    assert not facts["exact"]
    assert 0 < facts["deviation"] < 1e-8
    moved = csr_array(
        (reference.data, (reference.indices + 1) % reference.shape[1], reference.indptr), shape=reference.shape
    )
    assert measure.compare(moved, reference)["deviation"] > 0.1
    with pytest.raises(ValueError, match=r"shape \(3, 3\), wanted \(64, 64\)"):
        measure.compare(csr_array((3, 3)), reference)


def test_peak_memory_is_that_of_the_call():
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("no high-water mark that can be set back")
    answer, peak = measure.peak_bytes(lambda: np.ones(4_000_000))
    assert answer.size == 4_000_000
    assert peak is not None
    assert 30e6 < peak < 50e6


@pytest.fixture
def no_peers(monkeypatch):
    """An environment in which no optional library is installed."""
    real = importlib.import_module

    def refuse(name, *rest):
        if name.partition(".")[0] in ("sparse_dot_mkl", "graphblas", "torch"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", refuse)
    peers.find.cache_clear()
    yield
    peers.find.cache_clear()


def test_a_missing_peer_is_no_error(no_peers):
    report = peers.report(1)
    assert {name: facts["installed"] for name, facts in report.items()} == dict.fromkeys(peers.PEERS, False)
    assert report["mkl"]["reason"] == "No module named 'sparse_dot_mkl'"


def tiny_pair(name="tiny", ladder=False) -> inputs.Pair:
    def make(rng):
        A = inputs.stencil(8, 7)
        return A, A

    return inputs.Pair(name, "7-point, 8³", "grid", make, {}, ladder)


def test_a_measurement_has_all_methods_and_agrees(no_peers):
    ticks: list[int] = []
    terms = Terms(1, 0, SuiteOptions(quick=True, repeats=2), tick=lambda: ticks.append(1))
    record = measure.measure(tiny_pair(ladder=True), terms, np.random.default_rng(0))
    json.dumps(record)
    A = inputs.stencil(8, 7)
    assert record["multiply_adds"] == int((A.astype(bool).astype(int) @ A.astype(bool).astype(int)).sum())
    assert record["compression"] == record["multiply_adds"] / record["nnz_C"]
    status = {name: facts["status"] for name, facts in record["methods"].items()}
    missing = {"mkl", "mkl-sort", "mkl-staged", "graphblas", "graphblas-csr", "torch"}
    assert {name for name, s in status.items() if s == "not installed"} == missing
    assert {s for name, s in status.items() if name not in missing} == {"ok"}
    for name, facts in record["methods"].items():
        if facts["status"] == "ok":
            assert facts["exact"], name
            assert len(facts["seconds"]) == record["rounds"] == 2
    assert record["methods"]["plan"]["held_bytes"] > 0
    assert len(ticks) == 3


def test_a_wrong_answer_is_a_failure_without_a_time(no_peers, monkeypatch):
    def broken(A, B, threads):
        C = A @ B
        C.data[0] += 1.0
        return C

    monkeypatch.setitem(VARIANTS, "smash-v1", broken)
    terms = Terms(1, 0, SuiteOptions(quick=True, repeats=1))
    facts = measure.measure(tiny_pair(ladder=True), terms, np.random.default_rng(0))["methods"]["smash-v1"]
    assert facts["status"] == "failed"
    assert facts["seconds"] == []
    assert facts["text"].startswith("its answer differs from SciPy's by")


def test_an_input_that_does_not_fit_the_memory_is_skipped(monkeypatch):
    monkeypatch.setattr(measure, "available_bytes", lambda: 1000)
    record = measure.measure(tiny_pair(), Terms(1, 0, SuiteOptions(quick=True)), np.random.default_rng(0))
    assert record["kind"] == "skipped"
    assert " MB of memory" in record["text"]


@pytest.mark.parametrize(
    ("threads", "keeps", "own", "other"),
    [
        (2, False, (3, 10**6), (0, 0)),
        (2, True, (2, 2), (1, 10**6)),
        (1, True, (2, 2), (0, 0)),
        (1, False, (2, 2), (0, 0)),
    ],
    ids=["threads", "threads, keeps memory", "one, keeps memory", "one thread"],
)
def test_a_method_that_keeps_memory_is_warmed_by_other_work(threads, keeps, own, other):
    counts = {"own": 0, "other": 0}

    def counted(name):
        counts[name] += 1

    ready = methods.Ready(lambda: counted("own"), warm=(lambda: counted("other")) if keeps else None)
    method = methods.Method("m", lambda factors: ready, most=10 if keeps else None)
    entry = measure._Entry(method, threads, threads, ready, facts={"threads": threads})
    assert measure._sample(entry, 0.02) >= 0
    assert own[0] <= counts["own"] <= own[1]
    assert other[0] <= counts["other"] <= other[1]


def test_torch_keeps_its_threads_awake_without_a_product():
    peer = peers.find("torch", 2)
    if peer.module is None:
        pytest.skip(f"torch: {peer.reason}")
    A = inputs.stencil(4, 5)
    ready = methods.METHODS["torch"].prepare(methods.Factors(A, A, 2))
    first, again = ready.warm(), ready.warm()
    assert first.data_ptr() == again.data_ptr()  # nothing new is laid out
    assert first.numel() >= 2 * 2**15  # fewer numbers torch leaves to one thread
    assert measure.compare(ready.result(ready.call()), csr_array(A @ A))["deviation"] < measure.AGREEMENT


def test_peers_say_what_threads_they_may_use():
    report = peers.report(1)
    assert {facts["threads"] for facts in report.values() if facts["installed"]} <= {1}
    if report["mkl"]["installed"]:
        assert isinstance(report["mkl"]["dynamic"], bool)


def test_update_is_measured_against_set_ups_and_converges_like_them():
    record = update.measure(6, Terms(1, 0, SuiteOptions(quick=True, repeats=2)))
    json.dumps(record)
    assert {name: len(values) for name, values in record["seconds"].items()} == dict.fromkeys(
        ("update", "pyamg", "setup"), 2
    )
    assert record["n"] == 216
    assert 0.1 < record["change"] < 10
    assert max(record["residual_update"], record["residual_fresh"]) <= 1.01 * record["rtol"]
    assert record["iterations_update"] <= record["iterations_fresh"] + 1
    with_names = {**record, "suite": "spgemm", "problem": "update-6", "label": "AMG update"}
    assert numbers.targets(summary_of(with_names))[-1].goal.target is None  # too small to count


def test_pagerank_is_measured_against_power_iteration_of_the_same_error(monkeypatch):
    monkeypatch.setattr(pagerank, "graphs", lambda options: [("R-MAT", "rmat-7", 4, (5,))])
    record = pagerank.measure(Terms(1, 0, SuiteOptions(quick=True)))
    json.dumps(record)
    rows = record["rows"]
    assert len(rows) == 3 * (2 + 3)
    for ours, power, scipy in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        assert ours["method"] == power["against"] == scipy["against"]
        assert power["l1_error"] == scipy["l1_error"] <= ours["l1_error"] < 0.5
        assert all(row["seconds"] > 0 and 0 <= row["precision_at_50"] <= 1 for row in (ours, power, scipy))
    coarse, fine = (row["l1_error"] for row in rows[:6:3])
    assert fine < coarse


def test_first_products_are_those_of_fresh_processes(monkeypatch):
    # the usual cache instead of an empty one, where compilation would take its seconds
    usual = os.environ.get("NUMBA_CACHE_DIR", "")
    monkeypatch.setattr(tempfile, "TemporaryDirectory", lambda **_: contextlib.nullcontext(usual))
    monkeypatch.setattr(latency, "CASES", (("spgemm", (5, 4)), ("plan", (6, 4))))
    record = latency.measure(Terms(1, 0, SuiteOptions(quick=True)))
    good, bad = record["rows"]
    for facts in (good["cold"], good["cached"]):
        assert set(facts) == {"import", "first", "warm", "scipy"}
        assert all(value > 0 for value in facts.values())
        assert facts["warm"] <= facts["first"]
    assert bad == {"what": "plan", "points": 6, "edge": 4, "text": "ValueError: points is 6: wanted 5, 7 or 27"}


def test_mkl_staged_product_takes_new_values():
    peer = peers.find("mkl", 1)
    if peer.module is None:
        pytest.skip(f"MKL: {peer.reason}")
    from ritzkit.reports.suites.spgemm.mkl import StagedProduct

    A, B = empty_rows(), empty_rows((60, 35), 2)
    product = StagedProduct(peer.library, A, B)
    try:
        for factor in (1.0, -3.0):
            A.data[:] = factor
            product.finalise()
            assert abs(product.result() - A @ B).max() < 1e-12
    finally:
        product.close()
        product.close()
    with pytest.raises(ValueError, match="int32 indices and float64"):
        StagedProduct(peer.library, A.astype(np.float32), B)


def test_a_measurement_is_recorded_once_and_resumed(tmp_path):
    calls: list[int] = []

    def once(terms):
        calls.append(terms.threads)
        terms.tick()
        return {"kind": "latency", "rows": []}

    suite = Suite("spgemm", "")
    work = Plan([(suite, [], [], [Measurement("one", "One", once, {"a": 1}, steps=3)])], 1)
    assert work.steps == 3
    settings = Settings(threads=1, options=SuiteOptions(quick=True))
    for resume in (False, True):
        with Recorder(tmp_path / "records.jsonl", settings.config(), resume=resume) as recorder:
            run(work, settings, recorder, Progress(work.steps, quiet=True))
    assert calls == [1]
    (record,) = (r for r in read(tmp_path) if r["kind"] == "latency")
    assert (record["suite"], record["problem"], record["label"], record["parameters"]) == (
        "spgemm",
        "one",
        "One",
        {"a": 1},
    )


SPEED = {
    "spgemm": 1.0, "spgemm-any": 0.5, "plan-setup": 1.0, "plan": 0.25, "plan-values": 0.2, "scipy": 2.0, "scipy-sort": 4.0,
    "mkl": 1.0, "mkl-sort": 2.0, "mkl-staged": 0.3, "graphblas": 1.5, "graphblas-csr": 3.0, "torch": 1.2,
    "spgemm@1": 1.8, "spgemm-any@1": 0.9, "plan-values@1": 0.4,
}  # fmt: skip
STEPS = {"smash-v1": 40.0, "smash-v2": 10.0, "smash-v3": 4.0}


def product_record(
    label: str, multiply_adds: int, *, ladder=False, absent=(), failed=(), left_out=(), **factors
) -> dict:
    methods = {}
    for name, speed in {**SPEED, **(STEPS if ladder else {})}.items():
        facts = {"order": "any" if name.startswith("spgemm-any") else "sorted", "seconds": []}
        facts["threads"] = 1 if name.endswith("@1") or name.startswith("scipy") else 2
        if name in absent:
            facts.update(status="not installed", text="No module")
        elif name in failed:
            facts.update(status="failed", text="out of memory")
        elif name in left_out:
            facts.update(status="left out", text="it keeps the memory of every product")
        else:
            seconds = speed * factors.get(name.replace("-", "_"), 1.0) * 1e-9 * multiply_adds
            facts.update(status="ok", seconds=[seconds, 1.1 * seconds, 0.9 * seconds], exact=True, deviation=0.0)
            facts["peak_bytes"] = 10**6
        methods[name] = facts
    return {
        "kind": "product", "suite": "spgemm", "problem": label, "label": label, "group": "grid", "threads": 2,
        "rows": 10, "inner": 10, "columns": 10, "nnz_A": 50, "nnz_B": 50, "multiply_adds": multiply_adds,
        "nnz_C": multiply_adds // 2, "cancelled": 3, "compression": 2.0, "repeats": 7, "rounds": 7, "methods": methods,
    }  # fmt: skip


def update_record(iterations: int) -> dict:
    return {
        "kind": "update", "suite": "spgemm", "problem": "update-64", "label": "AMG update, 64³", "n": 64**3, "nnz": 1,
        "rtol": 1e-8, "seconds": {"update": [0.1] * 3, "pyamg": [0.6] * 3, "setup": [0.7] * 3}, "first_update_seconds": 1.0,
        "iterations_update": iterations, "iterations_fresh": 10, "residual_update": 9e-9, "residual_fresh": 9e-9,
    }  # fmt: skip


LATENCY = {
    "kind": "latency", "suite": "spgemm", "problem": "latency", "label": "first",
    "rows": [{"what": "spgemm", "points": 5, "edge": 30,
              "cold": {"import": 0.5, "first": 4.0, "warm": 1e-3, "scipy": 2e-3},
              "cached": {"import": 0.4, "first": 0.1, "warm": 1e-3, "scipy": 2e-3}}],
}  # fmt: skip
PAGERANK = {
    "kind": "pagerank", "suite": "spgemm", "problem": "pagerank", "label": "PageRank",
    "rows": [{"graph": "ca-GrQc", "n": 5242, "batch": 64, "method": "pushes", "seconds": 0.01, "l1_error": 1e-3,
              "precision_at_50": 0.98}],
}  # fmt: skip
PEERS = {
    "kind": "peers", "suite": "spgemm", "problem": "peers", "label": "peers",
    "peers": {"mkl": {"title": "Intel MKL", "installed": True, "version": "2026.2", "reason": ""},
              "torch": {"title": "torch", "installed": False, "version": "", "reason": "No module"}},
}  # fmt: skip


def summary_of(*records: dict):
    return suites(records)[0]


def test_targets_are_geometric_means_over_large_products():
    summary = summary_of(
        product_record("a", 10**6, scipy_sort=4.0),
        product_record("b", 2 * 10**6),
        product_record("c", 10**6 - 1, scipy_sort=1e-3),
        product_record("d", 10**5 - 1, scipy=0.45),
    )
    verdicts = {v.goal.text: v for v in numbers.targets(summary)}
    first = verdicts["sorted, against SciPy + sort"]
    assert math.isclose(first.measured, math.sqrt(16.0 * 4.0))
    assert (first.worst, first.above, first.text) == (("b", 4.0), 1.0, "met")
    assert verdicts["any order, against MKL"].measured == pytest.approx(2.0)
    small = verdicts["small products, any order, against SciPy"]
    assert (small.measured, small.text) == (pytest.approx(1.8), "met")
    assert verdicts["sorted, 2 threads over 1"].measured == pytest.approx(1.8)


def test_floors_are_shares_of_inputs_and_misses_are_named():
    slow = [product_record(f"slow {i}", 10**6, mkl=0.4) for i in range(2)]
    summary = summary_of(*slow, *(product_record(f"fast {i}", 10**6) for i in range(8)))
    verdict = next(v for v in numbers.targets(summary) if v.goal.theirs == "mkl" and v.goal.floor)
    assert verdict.above == pytest.approx(0.8)
    assert verdict.text == "missed (floor)"
    assert verdict.worst[1] == pytest.approx(0.8)


def test_a_failed_method_is_below_the_floor_and_in_no_mean():
    summary = summary_of(product_record("a", 10**6, failed=("spgemm",)), product_record("b", 10**6))
    verdict = numbers.targets(summary)[0]
    assert verdict.measured == pytest.approx(4.0)
    assert verdict.worst == ("a", 0.0)
    assert (verdict.above, verdict.text) == (0.5, "missed (floor)")


@pytest.mark.parametrize(("iterations", "text"), [(11, "met"), (12, "missed (condition)")])
def test_update_has_to_converge_like_a_fresh_hierarchy(iterations, text):
    verdict = numbers.targets(summary_of(update_record(iterations)))[-1]
    assert verdict.measured == pytest.approx(6.0)
    assert verdict.text == text


def test_profile_counts_failures_as_infinitely_slow():
    products = numbers.products(summary_of(product_record("a", 10**6, failed=("mkl",)), product_record("b", 10**6)))
    curves = numbers.shares(products, ["spgemm-any", "mkl"])
    assert curves["spgemm-any"] == ([1.0], [1.0])
    assert curves["mkl"] == ([1.0, 2.0], [0.0, 0.5])


def test_a_method_left_out_of_the_largest_takes_no_input_from_the_profile(monkeypatch):
    drawn: dict[str, str] = {}
    monkeypatch.setattr(plots, "save", lambda drawing, folder, name: drawn.setdefault(name, ""))
    summary = summary_of(
        *(product_record(f"{n}", n * 10**6, left_out=("torch",) if n > 3 else ()) for n in range(1, 6))
    )
    (profile,) = (f for f in plots.draw(summary, None) if f.name == "spgemm-profile-any-order")
    assert "over 5 inputs" in profile.caption
    assert "torch" not in plots.ANY
    overview = tables.overview(summary)
    torch = overview.head.index("torch")
    assert [row[torch] for row in overview.rows] == ["2.40\N{MULTIPLICATION SIGN}"] * 3 + ["left out"] * 2
    wanted = "torch is left out of 2 of 5 inputs: it keeps the memory of every product."
    assert wanted in overview.notes
    assert wanted in tables.extra_table(summary).notes
    assert numbers.products(summary)[-1].status("torch") == "left out"


def test_the_later_record_of_an_input_holds():
    skipped = {"kind": "skipped", "suite": "spgemm", "problem": "b", "label": "b", "text": "no memory"}
    slow, fast = product_record("a", 10**6, scipy_sort=1e-3), product_record("a", 10**6)
    summary = summary_of(slow, skipped, fast, product_record("b", 2 * 10**6))
    assert [p.label for p in numbers.products(summary)] == ["a", "b"]
    assert numbers.targets(summary)[0].ratios == {"a": pytest.approx(4.0), "b": pytest.approx(4.0)}
    assert not any("Skipped" in note for note in tables.overview(summary).notes)
    assert numbers.of_kind(summary, "skipped") == []


def test_threads_of_every_method_are_told():
    summary = summary_of(
        {**PEERS, "peers": {"mkl": {**PEERS["peers"]["mkl"], "dynamic": True}}}, product_record("a", 10**6)
    )
    table = tables.input_table(numbers.products(summary)[0])
    told = {row[0]: row[table.head.index("threads")] for row in table.rows}
    assert (told["spgemm"], told["spgemm, 1 thread"], told["SciPy"], told["MKL"]) == ("2", "1", "1", "2")
    assert tables.THREADS_NOTE in tables.target_table(summary).notes
    protocol = " ".join(page.protocol([summary]))
    for part in (tables.THREADS_NOTE, "That number is 2;", "MKL_DYNAMIC", "torch never gives the memory"):
        assert part in protocol
        assert part in page.markdown(summary)


@pytest.mark.parametrize("groups", [1, 2, 9])
def test_labels_of_the_ladder_do_not_overlap(groups, monkeypatch):
    pytest.importorskip("matplotlib")
    boxes: list = []

    def save(drawing, folder, name):
        renderer = drawing.canvas.get_renderer()
        drawing.draw(renderer)
        (axes,) = drawing.axes
        boxes.extend(text.get_window_extent(renderer) for text in (*axes.texts, axes.title))
        boxes.extend(text.get_window_extent(renderer) for text in axes.get_legend().get_texts())
        edge = drawing.bbox
        assert all(edge.x0 <= b.x0 and b.x1 <= edge.x1 and edge.y0 <= b.y0 and b.y1 <= edge.y1 for b in boxes)
        return ""

    monkeypatch.setattr(plots, "save", save)
    steps = [product_record(f"A product with a long name, {n}", 10**6, ladder=True) for n in range(groups)]
    plots._ladder("spgemm", numbers.products(summary_of(*steps)), None)
    assert len(boxes) == 5 * groups + 5
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("spgemm") / "records.jsonl"
    content = [
        PEERS, product_record("large", 3 * 10**6, ladder=True, absent=("torch",)),
        product_record("huge", 3 * 10**8, mkl=0.3, absent=("torch",), failed=("graphblas",)),
        product_record("small", 5000, absent=("torch",)), update_record(10), LATENCY, PAGERANK,
    ]  # fmt: skip
    with Recorder(path, {"threads": 2}) as recorder:
        recorder.add_environment(environment(2))
        for number, record in enumerate(content):
            recorder.add(str(number), record)
    return path


def test_tables_show_absent_peers_failures_and_every_part(records, tmp_path):
    text = write_tables(records, tmp_path).read_text(encoding="utf-8")
    for part in (
        "### Targets",
        "### All inputs",
        "### The SMASH ladder",
        "### Multigrid",
        "### First product",
        "PageRank",
    ):
        assert part in text
    assert "| not installed |" in text
    assert "GraphBLAS failed: out of memory." in text
    assert "simulated accelerator" in text
    overview = tables.overview(suites(read(records))[0])
    torch = overview.head.index("torch")
    assert {row[torch] for row in overview.rows} == {"not installed"}
    mkl = overview.head.index("MKL")
    assert [row[mkl][:-1] for row in overview.rows] == ["2.00", "0.60", "2.00"]
    assert [shade[mkl] is not None for shade in overview.shades] == [False, True, False]


def test_sentences_name_where_an_opponent_wins(records):
    text = " ".join(page.sentences(suites(read(records))[0]))
    assert "MKL is faster, any order, on 1 of 3 inputs: huge (0.60\N{MULTIPLICATION SIGN})." in text
    assert "huge: GraphBLAS fails: out of memory." in text


def test_page_and_figures_come_from_the_records_alone(records, tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("one", "two"):
        write_page(records, tmp_path / name)
    drawn = sorted(p.name for p in (tmp_path / "one" / "figures").glob("*.png"))
    assert drawn == [
        f"spgemm-{name}.png"
        for name in ("ladder", "profile-any-order", "profile-sorted", "speedup-mkl", "speedup-scipy", "targets")
    ]
    pages = [(tmp_path / name / "index.html").read_text(encoding="utf-8") for name in ("one", "two")]
    assert pages[0] == pages[1]
    assert "#1f2530" not in pages[0].partition("<main>")[2]
    for part in ("not installed", "Personalised PageRank", "simulated accelerator", "SpGEMM"):
        assert part in pages[0]
