"""``ritzkit tune``: the search, its memory, what it writes, and how it ends when it is cut short."""

from __future__ import annotations

import json
import math
import tomllib

import numpy as np
import pytest

from ritzkit.problems import Poisson
from ritzkit.reports import cli, tune
from ritzkit.reports.search import Search, toml
from ritzkit.solvers import cg, precond

STARTS = ({"kind": "a", "n": 1, "w": 1.0}, {"kind": "b", "n": 1})
CANDIDATES = {"n": (1, 2, 3), "w": (0.5, 1.0, 1.5)}
STEPS = {"w": (0.05, 0.2)}


class Bowl:
    """A cost with its minimum at kind a, n = 2, w = 1.27, which counts its calls."""

    def __init__(self):
        self.calls = []

    def __call__(self, setting):
        self.calls.append(dict(setting))
        if setting["kind"] == "b":
            return 50.0 + setting["n"]
        return 1.0 + abs(setting["n"] - 2) + (setting["w"] - 1.27) ** 2


def search(tmp_path, cost, **keywords):
    return Search(cost, tmp_path / "memory.jsonl", **keywords)


def test_finds_the_minimum_of_all_constants_and_starts(tmp_path):
    found = search(tmp_path, Bowl())
    found.run(STARTS, CANDIDATES, STEPS)
    cost, setting = found.best
    assert found.finished
    assert (setting["kind"], setting["n"]) == ("a", 2)
    assert abs(setting["w"] - 1.27) <= 0.025 + 1e-12
    assert cost == Bowl()(setting)


def test_no_setting_is_tried_twice(tmp_path):
    bowl = Bowl()
    search(tmp_path, bowl).run(STARTS, CANDIDATES, STEPS)
    assert len(bowl.calls) == len({json.dumps(setting, sort_keys=True) for setting in bowl.calls})


def test_goes_on_where_it_was(tmp_path):
    whole, first, second = Bowl(), Bowl(), Bowl()
    search(tmp_path / "..", whole).memory.unlink(missing_ok=True)
    uncut = search(tmp_path, whole)
    uncut.memory = tmp_path / "uncut.jsonl"
    uncut.run(STARTS, CANDIDATES, STEPS)

    def stops(setting):
        if len(first.calls) == 5:
            raise KeyboardInterrupt
        return first(setting)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, stops).run(STARTS, CANDIDATES, STEPS)
    again = search(tmp_path, second)
    assert again.load() == 5
    again.run(STARTS, CANDIDATES, STEPS)
    assert again.best == uncut.best
    assert first.calls + second.calls == whole.calls


def test_memory_of_other_systems_and_broken_lines_are_left_aside(tmp_path):
    search(tmp_path, Bowl(), identity="old").run(STARTS, CANDIDATES, STEPS)
    with (tmp_path / "memory.jsonl").open("a") as file:
        file.write('{"setting": {"kind": "a"}, "ident')
    fresh = search(tmp_path, Bowl(), identity="new")
    assert fresh.load() == 0
    assert search(tmp_path, Bowl(), identity="old").load() > 5


def test_the_end_of_the_time_leaves_the_best_so_far(tmp_path):
    found = search(tmp_path, Bowl(), deadline=-math.inf)
    found.run(STARTS, CANDIDATES, STEPS)
    assert not found.finished
    assert found.best == (math.inf, {})


def test_a_setting_that_fails_everywhere_is_never_the_best(tmp_path):
    found = search(tmp_path, lambda setting: math.inf)
    found.run(STARTS, CANDIDATES, STEPS)
    assert found.finished
    assert found.best == (math.inf, {})
    assert search(tmp_path, Bowl()).load() == len(found.known)  # infinity survives the file


def test_toml_is_read_back_as_it_was():
    tables = {
        "2d": {"cycle": "V", "pre": 2, "omega": [1.0, 1.15], "band": 0},
        "training.2d": {"text": 'a "quoted" ä\\', "finished": True, "cost": math.inf, "seeds": [], "small": 1e-08},
    }
    read = tomllib.loads(toml(tables, "one line\n\nanother"))
    assert read == {"2d": tables["2d"], "training": {"2d": tables["training.2d"]}}


@pytest.mark.parametrize(
    ("residuals", "wanted"),
    [([1e-4, 1e-8], 2.0), ([1e-4, 1e-10], 1 + 4 / 6), ([1e-9], 8 / 9), ([0.1, 0.01], math.inf), ([], math.inf)],
    ids=["hit", "between", "at once", "never", "nothing"],
)
def test_iterations_between_two_whole_numbers(residuals, wanted):
    assert tune.fractional_iterations(residuals) == pytest.approx(wanted)


def test_more_work_moves_more_bytes():
    plain = dict(tune.STARTS[0])
    for dim in (2, 3):
        base = tune.traffic(plain, dim, variable=False)
        for more in ({"pre": 2}, {"coarse_sweeps": 2}, {"cycle": "W"}, {"band": 1}, {"smoother": "chebyshev"}):
            assert tune.traffic({**plain, **more}, dim, variable=False) > base
        assert tune.traffic(plain, dim, variable=True) > base


TINY = {2: (("box", (16, 16), 1), ("balls", (16, 16), 1)), 3: (("comb", (9, 9, 9), 1),)}


@pytest.fixture
def tiny(monkeypatch):
    """One small family and a short search."""
    monkeypatch.setattr(tune, "FAMILIES", {"tiny": TINY})
    monkeypatch.setattr(tune, "STARTS", (tune.STARTS[0],))
    monkeypatch.setattr(tune, "CANDIDATES", {"pre": (1, 2), "cycle": ("V", "W")})
    monkeypatch.setattr(tune, "STEPS", {})


def test_a_whole_search_writes_a_preset_that_multigrid_reads(tiny, tmp_path, capsys):
    out = tmp_path / "sub" / "tiny.toml"
    assert cli.main(["tune", "multigrid", "tiny", "--minutes", "2", "--out", str(out), "--threads", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{out}\n"
    assert captured.err == ""
    tables = tomllib.loads(out.read_text())
    assert tables["training"]["2d"]["finished"]
    assert tables["training"]["2d"]["cost"] <= tables["training"]["2d"]["cost_untuned"]
    assert tables["2d"]["cycle"] == tables["3d"]["cycle"] == "V"  # W saves nothing on so few cells
    assert not list(out.parent.glob("*.jsonl"))
    for shape in ((12, 12), (8, 8, 8)):
        problem = Poisson(shape).sample(0)
        M = precond.multigrid(problem, preset=str(out))
        assert M.settings.pre == tables[f"{len(shape)}d"]["pre"]
        assert cg(problem.A, problem.b, rtol=1e-8, M=M).success


def test_ctrl_c_writes_the_best_and_says_how_to_go_on(tiny, tmp_path, capsys, monkeypatch):
    calls = []

    def cost(self, setting):
        calls.append(setting)
        if len(calls) == 4:  # the first is off the clock
            raise KeyboardInterrupt
        return float(len(calls))

    monkeypatch.setattr(tune.TrainingSet, "__call__", cost)
    out = tmp_path / "tiny.toml"
    assert cli.main(["tune", "multigrid", "tiny", "--out", str(out), "--threads", "1"]) == 130
    err = capsys.readouterr().err
    assert "interrupted; the best of 2 settings" in err
    assert f"ritzkit tune multigrid tiny --minutes 5 --out {out}" in err
    assert tomllib.loads(out.read_text())["training"]["2d"] | {"systems": 0, "seeds": 0} == {
        "systems": 0, "seeds": 0, "cost": 2.0, "cost_untuned": 2.0, "settings_tried": 2, "finished": False,
    }  # fmt: skip
    assert len((tmp_path / "tiny.search.jsonl").read_text().splitlines()) == 2


def test_ctrl_c_before_the_first_setting_leaves_nothing_behind(tiny, tmp_path, capsys, monkeypatch):
    def cost(self, setting):
        raise KeyboardInterrupt

    monkeypatch.setattr(tune.TrainingSet, "__call__", cost)
    out = tmp_path / "tiny.toml"
    assert cli.main(["tune", "multigrid", "tiny", "--out", str(out), "--threads", "1"]) == 130
    assert "interrupted before any setting was tried" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_end_of_the_time_says_how_to_go_on(tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tune.TrainingSet, "__call__", lambda self, setting: 1.0)
    out = tmp_path / "tiny.toml"
    assert cli.main(["tune", "multigrid", "tiny", "--minutes", "1e-9", "--out", str(out), "--threads", "1"]) == 2
    assert "no setting was tried in 1e-09 minutes: give more with --minutes" in capsys.readouterr().err


WRONG = {
    "family": (["tune", "multigrid", "boxes"], "unknown family 'boxes': choose one of box, obstacles"),
    "what": (["tune", "grids", "box"], "invalid choice: 'grids'"),
    "minutes": (["tune", "multigrid", "box", "--minutes", "0"], "'0' is not a number of minutes above 0"),
    "minutes of text": (["tune", "multigrid", "box", "--minutes", "long"], "'long' is not a number of minutes"),
    "no family": (["tune", "multigrid"], "FAMILY"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_line(name, capsys):
    arguments, text = WRONG[name]
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert text in err
    assert err.count("\n") == 1


def test_out_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["tune", "multigrid", "box", "--out", str(tmp_path / "file" / "box.toml")]) == 2
    assert "--out: cannot write" in capsys.readouterr().err


def test_the_help_names_the_families():
    families = ", ".join(tune.FAMILIES)
    assert any(families in (action.help or "") for action in _actions(cli._build([])))


def _actions(parser):
    for action in parser._actions:
        yield action
        for child in (getattr(action, "choices", None) or {}).values() if hasattr(action, "add_parser") else ():
            yield from _actions(child)


def test_training_systems_are_none_of_the_suites():
    training = tune.TrainingSet("walls", 2)
    training.systems.clear()
    shapes = tune.FAMILIES["walls"]
    tune.FAMILIES["walls"] = {2: (("walls", (32, 32), 1),)}
    try:
        list(training.draw())
    finally:
        tune.FAMILIES["walls"] = shapes
    (problem, _), (seed,) = training.systems[0], training.seeds
    from ritzkit.reports.suites.base import SuiteOptions
    from ritzkit.reports.suites.multigrid import SUITE

    instance = next(i for i in SUITE.instances(SuiteOptions(sizes=((32,),))) if i.name == "walls-2d-32")
    assert seed >= tune.TRAINING_SEED
    assert not np.array_equal(instance.make(instance.rng(0)).grid.cells, problem.grid.cells)
