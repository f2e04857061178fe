"""The suite `multigrid`: what it runs, its measurements on tiny grids, verdicts on known numbers, tables and figures."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import ritzkit.solvers
from ritzkit.linalg import StencilOperator
from ritzkit.problems import Darcy, Obstacles, Poisson
from ritzkit.reports.grids import numbers, page, tables
from ritzkit.reports.output import write_page, write_tables
from ritzkit.reports.progress import Progress
from ritzkit.reports.records import Recorder, environment
from ritzkit.reports.runner import Settings, plan, run
from ritzkit.reports.suites import get
from ritzkit.reports.suites.base import Case, Suite, SuiteOptions, Terms
from ritzkit.reports.suites.configurations import get as configuration
from ritzkit.reports.suites.grid_configurations import PYAMG, tuned
from ritzkit.reports.suites.multigrid import batch, growth, hypre, refusals, traffic
from ritzkit.reports.suites.multigrid.geometries import GEOMETRIES, by_name
from ritzkit.reports.summary import suites

TIMES = "\N{MULTIPLICATION SIGN}"
TERMS = Terms(1, 0, SuiteOptions(quick=True))
SUITE = get("multigrid")


# --- what is run ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: g.name)
@pytest.mark.parametrize("shape", [(16, 16), (9, 9, 9)], ids=str)
def test_every_geometry_draws_a_stencil_in_two_and_three_dimensions(geometry, shape):
    problem = geometry.family(shape).sample(np.random.default_rng(0))
    assert isinstance(problem.A, StencilOperator)
    assert problem.grid.shape == shape
    assert (problem.fields.get("coefficient") is not None) == geometry.variable


def test_random_cells_leave_pockets_and_thin_walls_stay_thin():
    random = by_name("random").family((40, 40)).sample(np.random.default_rng(0))
    assert random.A.nullspace is not None
    assert 0.29 < 1 - random.grid.size / 1600 < 0.31
    for n in (32, 64):
        walls = by_name("walls").family((n, n)).sample(np.random.default_rng(0))
        closed = (walls.grid.cells != 0).sum(axis=1)
        assert ((closed == 0) | (closed == n - 2)).all()
        assert (closed > 0).sum() == 7
        assert (np.diff(np.flatnonzero(closed)) > 1).all()


def test_sizes_of_a_whole_run():
    measured = SUITE.measurements(SuiteOptions())
    shapes = {(m.parameters["geometry"], tuple(m.parameters["shape"])) for m in measured if m.name.startswith("growth")}
    for geometry in ("box", "balls", "walls", "comb", "porous", "fno", "lognormal-9"):
        assert {s for g, s in shapes if g == geometry and len(s) == 3} == {(n,) * 3 for n in (32, 64, 128, 256)}
        assert {s for g, s in shapes if g == geometry and len(s) == 2} == {(2**k,) * 2 for k in range(7, 13)}
    assert {"balls-3d-128", "fno-2d-256", "lognormal-9-2d-256"} <= {i.name for i in SUITE.instances(SuiteOptions())}


def test_names_are_unique_and_solvers_known():
    for options in (SuiteOptions(), SuiteOptions(quick=True), SuiteOptions(sizes=((24,), (8, 10, 12)), quick=True)):
        names = [i.name for i in SUITE.instances(options)] + [m.name for m in SUITE.measurements(options)]
        assert len(names) == len(set(names))
        for instance in SUITE.instances(options):
            assert [configuration(name).name for name in instance.solvers] == list(instance.solvers)


@pytest.mark.parametrize("name", PYAMG)
def test_every_pyamg_setting_solves(name):
    case = Case.of(Obstacles((24, 24), "balls").sample(1))
    setting = configuration(name)
    run_ = setting.solve(case, setting.setup(case), 1e-8)
    assert run_.info == 0
    assert case.true_residual(run_.x) <= 1.01e-8


@pytest.mark.parametrize("name", ["multigrid-cg", "multigrid-default-cg", "multigrid-11-cg", "fast-poisson-cg"])
def test_solvers_on_grids_leave_out_what_stands_in_no_equation(name):
    problem = by_name("random").family((24, 24)).sample(np.random.default_rng(2))
    case = Case.of(problem)
    assert case.left_out > 0
    solver = configuration(name)
    answer = solver.solve(case, solver.setup(case), 1e-8)
    assert answer.x.shape == (case.n,)
    assert case.true_residual(answer.x) <= 1.01e-8


def test_transform_solver_says_where_it_is_no_direct_solver():
    box, balls = (Case.of(family.sample(0)) for family in (Poisson((12, 10)), Obstacles((12, 12), "balls")))
    solver = configuration("fast-poisson")
    assert solver.solve(box, solver.setup(box), 1e-12).outcome == "CONVERGED"
    with pytest.raises(ValueError, match="exact on boxes"):
        solver.setup(balls)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        (Poisson((8, 8)), "box"),
        (Obstacles((16, 16), "balls"), "obstacles"),
        (Obstacles((16, 16), "comb", count=2), "walls"),
        (Obstacles((16, 16), "porous"), "porous"),
        (Darcy(8), "darcy"),
    ],
    ids=["box", "balls", "comb", "porous", "darcy"],
)
def test_tuned_is_the_preset_of_the_family(family, name, monkeypatch, tmp_path):
    from ritzkit.solvers.precond.multigrid import settings

    problem = family.sample(0)
    monkeypatch.setattr(settings, "PRESETS", tmp_path)
    assert tuned(problem) == {"preset": "tuned"}
    (tmp_path / f"{name}.toml").write_text("")
    assert tuned(problem) == {"preset": name}


# --- measurements ---------------------------------------------------------------------------------------------------


def test_growth_counts_iterations_of_every_variant_and_of_the_transforms():
    record = growth.measure(by_name("box"), (16, 16), ("tuned", "V(1,1)"), 2, TERMS)
    json.dumps(record)
    assert set(record["variants"]) == {"tuned", "V(1,1)", "transforms"}
    assert record["n"] == 256
    for facts in record["variants"].values():
        assert facts["solved"]
        assert len(facts["setup_seconds"]) == len(facts["solve_seconds"]) == 2
        assert facts["reached"]["1e-4"] <= facts["reached"]["1e-6"] <= facts["reached"]["1e-8"] == facts["iterations"]
    assert record["variants"]["transforms"]["residual"] < 1e-13


def test_growth_lists_what_fails(monkeypatch):
    def refuse(problem):
        raise ValueError("no such thing")

    monkeypatch.setitem(growth.VARIANTS, "tuned", refuse)
    record = growth.measure(by_name("comb"), (16, 16), ("tuned", "V(1,1)"), 1, TERMS)
    assert record["variants"]["tuned"] == {"solved": False, "outcome": "ERROR", "text": "no such thing"}
    assert record["variants"]["V(1,1)"]["solved"]


def test_bytes_held_counts_every_array_once():
    x = np.zeros(100)
    assert growth.bytes_held([x, x[:50], {"a": x}]) == 800
    A = Darcy(16).sample(0).A
    assert growth.bytes_held(A) >= sum(c.nbytes for c in A.conductances)


@pytest.mark.parametrize("dim", [2, 3])
def test_account_of_an_iteration(dim):
    plain = traffic.account(dim, variable=False, cells=False)
    assert sum(traffic.account(dim, variable=True, cells=False).values()) > sum(plain.values())
    with_codes = traffic.account(dim, variable=False, cells=True)
    assert {name for name in plain if with_codes[name] != plain[name]} >= {"first sweep: read r, write z"}
    cg = [value for name, value in plain.items() if name.split(":")[0].startswith(("new direction", "step"))]
    assert sum(cg) == 20 + 44  # two passes of cg over float64 vectors


def test_traffic_measures_time_copy_and_memory():
    record = traffic.measure(by_name("balls"), (24, 24), 2, TERMS)
    json.dumps(record)
    assert len(record["iteration_seconds"]) == 2
    assert min(record["copy_bytes_per_second"]) > 0
    assert record["residual"] <= 1.01e-8
    assert record["operator_bytes"] >= record["n"]  # one byte per cell


@pytest.mark.skipif(not hasattr(ritzkit.solvers, "solve_batch"), reason="no batched solver")
def test_batch_solves_the_same_systems_both_ways():
    record = batch.measure(by_name("fno"), (16, 16), 3, 2, TERMS)
    json.dumps(record)
    assert record["solved"]
    assert {len(values) for values in record["seconds"].values()} == {2}
    assert {len(counts) for counts in record["iterations"].values()} == {3}


def test_wrong_input_is_refused_clearly():
    record = refusals.measure(TERMS)
    assert [row["case"] for row in record["rows"] if not row["clear"]] == []
    assert all(row["text"] for row in record["rows"])


# --- the optional opponent ------------------------------------------------------------------------------------------


def test_absence_of_hypre_is_said(monkeypatch):
    monkeypatch.delenv(hypre.PYTHON, raising=False)
    monkeypatch.setattr(hypre.importlib.util, "find_spec", lambda name: None)
    record = hypre.measure(by_name("balls"), (8, 8, 8), 1, TERMS)
    assert record["installed"] is False
    assert record["text"] == "petsc4py is not installed"
    monkeypatch.setattr(hypre.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(hypre.shutil, "which", lambda name: None)
    assert hypre.missing() == "no mpiexec to start ranks with"


def program(path, body="#!/bin/sh\n"):
    path.write_text(body)
    path.chmod(0o755)
    return str(path)


def test_another_python_can_run_the_ranks_and_its_own_mpiexec_goes_first(monkeypatch, tmp_path):
    (tmp_path / "path").mkdir()
    on_path = program(tmp_path / "path" / "mpiexec")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv(hypre.PYTHON, str(tmp_path / "python"))
    assert hypre.missing() == f"{hypre.PYTHON} names no program: {tmp_path / 'python'}"
    program(tmp_path / "python")
    assert (hypre.missing(), hypre.interpreter()) == ("", str(tmp_path / "python"))
    assert hypre.launcher() == on_path
    beside = program(tmp_path / "mpiexec")
    assert hypre.launcher() == beside


@pytest.fixture
def launcher(monkeypatch, tmp_path):
    """A program that takes the place of mpiexec; the test writes what it does."""

    def write(body: str) -> None:
        script = program(tmp_path / "mpiexec", f"#!{sys.executable}\n{body}")
        monkeypatch.setattr(hypre, "missing", lambda: "")
        monkeypatch.setattr(hypre, "launcher", lambda: script)

    return write


def test_hypre_runs_the_ranks_on_the_system_in_turn_with_ours(launcher):
    launcher(
        "import json, sys, numpy as np\n"
        "assert sys.argv[1:3] == ['-n', '1'] and sys.argv[4].endswith('hypre_ranks.py'), sys.argv\n"
        "with np.load(sys.argv[5]) as system:\n"
        "    n = system['b'].size\n"
        "print('a line of the launcher')\n"
        "print(json.dumps({'setup_seconds': 1.0, 'solve_seconds': 2.0, 'iterations': n, 'residual': 1e-9}))\n"
    )
    record = hypre.measure(by_name("balls"), (8, 8, 8), 2, TERMS)
    assert record["installed"]
    assert [row["iterations"] for row in record["rows"]["hypre"]] == [record["n"]] * 2
    assert all(row["residual"] <= 1.01e-8 for row in record["rows"]["multigrid"])
    assert record["failures"] == {}
    assert list(record["tried"]) == list(hypre.SETTINGS)


def test_the_fastest_setting_of_hypre_runs_in_turn_and_those_that_fail_are_listed(launcher):
    launcher(
        "import json, sys\n"
        "assert sys.argv[6:8] == ['1e-08', '1'], sys.argv\n"
        "options = json.loads(sys.argv[8])\n"
        "residual = 1e-3 if 'grid_sweeps_all' in options else 1e-9\n"
        "seconds = 1.0 / (1 + options['strong_threshold'] * options.get('agg_nl', 0))\n"
        "print(json.dumps({'setup_seconds': seconds, 'solve_seconds': 0.0, 'iterations': 3, 'residual': residual}))\n"
    )
    record = hypre.measure(by_name("balls"), (8, 8, 8), 1, TERMS)
    assert record["setting"] == "HMIS, ext+i, aggressive, theta 0.5"
    assert record["options"]["strong_threshold"] == 0.5
    assert record["failures"] == {
        "HMIS, ext+i, aggressive, theta 0.25, two sweeps": "true residual 0.001 after 3 iterations"
    }
    (ours,) = record["rows"]["multigrid"]
    assert record["ratio"] == pytest.approx(1 / 1.5 / (ours["setup_seconds"] + ours["solve_seconds"]))


@pytest.mark.skipif(bool(hypre.missing()), reason="needs petsc4py and mpiexec")
def test_real_ranks_of_hypre_solve_a_small_system():
    record = hypre.measure(by_name("balls"), (8, 8, 8), 1, Terms(2, 0, SuiteOptions(quick=True)))
    assert record["installed"], record["text"]
    assert record["failures"] == {}
    assert record["rows"]["hypre"][0]["residual"] <= 1.01e-8


@pytest.mark.parametrize(
    ("body", "text"),
    [("import sys; sys.exit('no such pc: hypre')", "no such pc: hypre"), ("pass", "it printed no result")],
    ids=["fails", "is silent"],
)
def test_hypre_that_does_not_run_is_no_error(launcher, body, text):
    launcher(body)
    record = hypre.measure(by_name("balls"), (8, 8, 8), 1, TERMS)
    assert record["installed"] is False
    assert text in record["text"]


# --- verdicts -------------------------------------------------------------------------------------------------------


def variant(iterations, *, solved=True, seconds=1.0):
    reached = {"1e-4": iterations // 2, "1e-6": iterations * 3 // 4, "1e-8": iterations}
    return {
        "solved": solved, "outcome": "CONVERGED" if solved else "STAGNATION", "iterations": iterations, "reached": reached,
        "residual": 9e-9, "memory_bytes": 10**6, "setup_seconds": [0.2 * seconds], "solve_seconds": [0.8 * seconds],
    }  # fmt: skip


def growth_record(geometry, shape, plain, tuned=8, transforms=None, **keywords):
    variants = {"tuned": variant(tuned), "default": variant(plain), "V(1,1)": variant(plain, **keywords)}
    if transforms:
        variants["transforms"] = variant(1, seconds=transforms)
    return {
        "kind": "growth", "suite": "multigrid", "problem": f"{geometry}-{shape}", "label": geometry, "geometry": geometry,
        "shape": list(shape), "n": int(np.prod(shape)), "operator_bytes": 1, "rtol": 1e-8, "variants": variants,
    }  # fmt: skip


def batch_record(ratio, count=32):
    return {
        "kind": "batch", "suite": "multigrid", "problem": "batch", "label": "32 systems", "geometry": "fno",
        "shape": [128, 128], "count": count, "n": 128**2, "seconds": {"together": [1.0], "one by one": [ratio]},
        "residuals": {}, "iterations": {"together": [9, 10], "one by one": [9, 9]}, "solved": True,
    }  # fmt: skip


def traffic_record(seconds, words, edge=256):
    n = edge**3
    return {
        "kind": "traffic", "suite": "multigrid", "problem": "traffic", "label": "one", "geometry": "box",
        "shape": [edge] * 3, "n": n, "bytes": {"a": 60.0, "b": 40.0}, "iteration_seconds": [seconds],
        "copy_bytes_per_second": [100.0 * n], "iterations": 12, "residual": 1e-9, "operator_bytes": 1,
        "preconditioner_bytes": 1, "peak_bytes": 1, "total_bytes": 8 * n * words,
    }  # fmt: skip


HYPRE = {"kind": "hypre", "suite": "multigrid", "problem": "hypre", "label": "hypre", "ranks": 2, "shape": [128] * 3}
ABSENT = {**HYPRE, "installed": False, "text": "petsc4py is not installed"}
REFUSALS = {
    "kind": "refusals", "suite": "multigrid", "problem": "refusals", "label": "Wrong input",
    "rows": [{"case": "NaN", "clear": True, "text": "NaN it is"}, {"case": "zero", "clear": False, "text": "accepted"}],
}  # fmt: skip


def box_line(counts=(12, 13, 13, 13), **keywords):
    return [growth_record("box", (n,) * 3, c, **keywords) for n, c in zip((32, 64, 128, 256), counts, strict=True)]


def verdicts(*records):
    (summary,) = suites(records)
    return {v.text: v for v in numbers.targets(summary)}


def one(found, *words):
    (verdict,) = [v for text, v in found.items() if all(word in text for word in words)]
    return verdict


PLAIN = "one plain sweep on every level"


@pytest.mark.parametrize(
    ("counts", "most", "more"),
    [((12, 13, 13, 14), "met", "met"), ((12, 13, 14, 15), "missed", "missed"), ((9, 9, 10, 12), "met", "missed")],
    ids=["met", "too many", "grows"],
)
def test_iterations_are_judged_over_all_sizes(counts, most, more):
    found = verdicts(*box_line(counts))
    assert one(found, "iterations", PLAIN).word == most
    assert one(found, "growth", PLAIN).word == more
    assert one(found, "iterations", PLAIN).note == f"empty box, {(32, 64, 128, 256)[int(np.argmax(counts))]}³"


def test_small_sizes_alone_can_only_miss():
    assert one(verdicts(*box_line()[:2]), "iterations", PLAIN).word == "not judged"
    assert one(verdicts(*box_line((12, 19, 13, 13))[:2]), "iterations", PLAIN).word == "missed"


def test_thin_walls_have_their_own_bound():
    line = [growth_record("comb", (n,) * 3, 25) for n in (32, 64, 128, 256)]
    assert one(verdicts(*line), "iterations", PLAIN).word == "met"


def test_a_failure_misses():
    line = box_line()
    line[2]["variants"]["V(1,1)"]["solved"] = False
    verdict = one(verdicts(*line), "iterations", PLAIN)
    assert (verdict.word, verdict.measured) == ("missed", "fails")


def test_transforms_are_compared_at_the_largest_and_at_the_worst_size():
    line = box_line(transforms=0.5)
    line[0]["variants"]["transforms"] = variant(1, seconds=0.1)
    found = verdicts(*line)
    assert (one(found, "largest size").word, one(found, "largest size").measured) == ("met", f"2{TIMES}")
    assert (one(found, "worst size").word, one(found, "worst size").note) == ("missed", "32³")


def totals(record_of, problem, seconds, label="Balls, 128³"):
    return [
        record_of("multigrid", problem, solver, setup=0.0, solve=s, external=solver.startswith("pyamg"), label=label)
        for solver, s in seconds.items()
    ]


def test_the_best_pyamg_setting_is_the_opponent(record_of):
    rows = totals(record_of, "balls-3d-128", {"multigrid-cg": 1.0, "pyamg-sa-cg": 90.0, "pyamg-rs-gs": 15.0})
    verdict = one(verdicts(*rows), "3-D balls", "PyAMG")
    assert (verdict.measured, verdict.word, verdict.note) == (f"15{TIMES}", "missed", "Balls, 128³; PyAMG RS-cg, GS")
    rows = totals(record_of, "balls-3d-32", {"multigrid-cg": 1.0, "pyamg-sa-cg": 90.0})
    assert one(verdicts(*rows), "3-D balls", "PyAMG").word == "not judged"


def test_superlu_and_a_failure_of_ours(record_of):
    rows = totals(record_of, "fno-2d-256", {"multigrid-cg": 1.0, "direct": 6.0})
    assert one(verdicts(*rows), "SuperLU").word == "met"
    rows[0]["solved"] = False
    assert (one(verdicts(*rows), "SuperLU").word, one(verdicts(*rows), "SuperLU").measured) == ("missed", "fails")


def test_batch_traffic_memory_and_wrong_input():
    assert one(verdicts(batch_record(2.5)), "Many systems").word == "met"
    assert one(verdicts(batch_record(1.5)), "Many systems").word == "missed"
    assert one(verdicts(batch_record(2.5, count=8)), "Many systems").word == "not judged"
    found = verdicts(traffic_record(2.5, 25))  # a copy of 100 bytes takes one second
    assert (one(found, "plain copy").measured, one(found, "plain copy").word) == (f"2.5{TIMES}", "met")
    assert (one(found, "Memory").measured, one(found, "Memory").word) == ("25.0", "missed")
    assert one(verdicts(traffic_record(9.0, 10, edge=64)), "plain copy").word == "not judged"
    verdict = one(verdicts(REFUSALS), "Wrong input")
    assert (verdict.word, verdict.measured, verdict.note) == ("missed", "1", "zero")


def test_hypre_is_judged_where_it_runs():
    assert one(verdicts(ABSENT), "hypre").word == "not judged"
    run_ = {"setup_seconds": 1.0, "solve_seconds": 6.0}
    own = {"setup_seconds": 0.5, "solve_seconds": 0.5}
    record = {**HYPRE, "installed": True, "n": 8, "rows": {"hypre": [run_], "multigrid": [own]}}
    assert (one(verdicts(record), "hypre").measured, one(verdicts(record), "hypre").word) == (f"7{TIMES}", "met")


# --- what people see ------------------------------------------------------------------------------------------------


@pytest.fixture
def all_records(record_of):
    line = box_line(transforms=0.5) + [growth_record("comb", (n, n), 20 + n // 64) for n in (128, 256)]
    line[1]["variants"]["V(1,1)"]["solved"] = False
    rows = totals(record_of, "balls-3d-128", {"multigrid-cg": 1.0, "pyamg-rs-gs": 15.0, "mic-e-cg": 3.0})
    return [*rows, *line, batch_record(2.5), traffic_record(2.5, 15), ABSENT, REFUSALS]


def test_tables_and_page_come_from_the_records_alone(all_records, tmp_path):
    records = tmp_path / "records.jsonl"
    with Recorder(records, Settings(threads=2).config()) as recorder:
        recorder.add_environment(environment(2))
        for number, record in enumerate(all_records):
            recorder.add(str(number), record)
    text = write_tables(records, tmp_path).read_text()
    for wanted in (
        "### Targets",
        "### Iterations, 3-D",
        "| empty box, V(1,1) | 12, 9, 6 | ✗ |",
        f"2.50{TIMES}",
        "NaN it is",
    ):
        assert wanted in text
    html = write_page(records, tmp_path).read_text()
    for wanted in (
        "Tuned multigrid: iterations to 1e-8, 3-D",
        "Many systems on one grid",
        "matrix-free",
        "petsc4py is not installed",
    ):
        assert wanted in html
    assert (tmp_path / "figures" / "multigrid-iterations-3d.svg").exists()
    assert (tmp_path / "figures" / "multigrid-seconds-2d.png").exists()


def test_sentences_say_what_grows_and_what_is_missed(all_records):
    (summary,) = suites(all_records)
    assert "Empty box, 3-D: 8 iterations from 32³ to 256³." in page.sentences(summary)
    (head,) = page.findings([summary])
    assert "targets of multigrid on grids are met; missed:" in head
    assert "2-D Darcy" not in head
    titles = [title for title, _ in tables.sections(summary)]
    assert titles[:3] == ["Targets", "Iterations, 3-D", "Seconds, 3-D"]


def test_runs_through_the_runner(tmp_path):
    options = SuiteOptions(quick=True, sizes=((16,), (8, 8, 8)))
    own = [m for m in SUITE.measurements(options) if m.name == "growth-balls-3d-8x8x8"]
    instances = [i for i in SUITE.instances(options) if i.name in ("fno-2d-16", "balls-3d-8")]
    small = Suite("multigrid", "", lambda o: instances, measurements=lambda o: own)
    settings = Settings(threads=1, repeats=2, options=options)
    work = plan([small], settings)
    with Recorder(tmp_path / "records.jsonl", settings.config()) as recorder:
        run(work, settings, recorder, Progress(work.steps, quiet=True))
    text = write_tables(tmp_path, tmp_path).read_text()
    assert "multigrid, tuned" in text
    assert "| balls, tuned |" in text
    assert "failed" not in text.split("### Targets")[1].split("### Iterations")[0]
