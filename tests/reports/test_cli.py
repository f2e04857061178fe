"""The command line: exit codes, one line for a mistake, silence in a pipe, Ctrl-C, resuming."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.io import mmread, mmwrite
from scipy.sparse import coo_array, csr_array, diags_array

from ritzkit.reports import cli
from ritzkit.reports.errors import UserError, need
from ritzkit.reports.records import read

TINY = ["bench", "poisson", "--quick", "--solver", "cg", "scipy-cg", "--threads", "1"]


def spd(n: int = 30) -> csr_array:
    return csr_array(diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(n, n)))


def nonsymmetric(n: int = 30) -> csr_array:
    return csr_array(diags_array([-1.5, 2.5, -0.5], offsets=[-1, 0, 1], shape=(n, n)))


def singular_inconsistent(n: int = 30) -> csr_array:
    """Free ends: the constant is in the null space."""
    A = diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tolil()
    A[0, 0] = A[n - 1, n - 1] = 1.0
    return csr_array(A)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A folder with small files of every kind, as the current one."""
    monkeypatch.chdir(tmp_path)
    mmwrite("spd.mtx", coo_array(spd()))
    mmwrite("nonsymmetric.mtx", coo_array(nonsymmetric()))
    mmwrite("singular.mtx", coo_array(singular_inconsistent()))
    mmwrite("rectangular.mtx", coo_array(np.ones((3, 5))))
    mmwrite("b.mtx", np.arange(1.0, 31.0).reshape(-1, 1))
    mmwrite("short.mtx", np.ones((4, 1)))
    np.save("b.npy", np.arange(1.0, 31.0))
    np.save("centred.npy", np.arange(30.0) - 14.5)
    Path("garbage.mtx").write_bytes(b"\x00\x01\x02 nothing")
    Path("empty.mtx").write_text("")
    Path("truncated.mtx").write_text("%%MatrixMarket matrix coordinate real general\n3 3 9\n1 1 1.0\n")
    Path("matrix.xyz").write_text("1 2 3")
    Path("a-file").write_text("not a folder")
    Path("empty-folder").mkdir()
    Path("bad-records.jsonl").write_text('{"no": "kind"}\n{"kind": "solve"}\n')
    Path("no-records.jsonl").write_text("")
    return tmp_path


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = cli.main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


BAD = {
    "no command-ish": (["frobnicate"], "invalid choice: 'frobnicate'"),
    "unknown option": (["bench", "--frobnicate"], "--frobnicate"),
    "unknown suite": (["bench", "poison"], "unknown suite 'poison': choose one of poisson, diffusion"),
    "unknown solver": (["bench", "poisson", "--solver", "cgg"], "unknown solver 'cgg': choose from"),
    "size not a number": (["bench", "--size", "big"], "argument --size: 'big' is not a size"),
    "size negative": (["bench", "--size=-3"], "argument --size: '-3' is not a size"),
    "size too small": (["bench", "--size", "2"], "edges of at least 4"),
    "size of four axes": (["bench", "--size", "8x8x8x8"], "argument --size"),
    "size that the family cannot": (["bench", "diffusion", "--size", "8x16"], "darcy needs equal edges"),
    "size that no problem has": (["bench", "diffusion", "--size", "8x8x8"], "nothing to run"),
    "solver that no problem has": (["bench", "poisson", "--quick", "--solver", "bicgstab"], "nothing to run"),
    "zero threads": (["bench", "--threads", "0"], "argument --threads"),
    "threads not a number": (["bench", "--threads", "two"], "argument --threads"),
    "zero repeats": (["bench", "--repeats", "0"], "argument --repeats"),
    "negative seed": (["bench", "--seed=-1"], "argument --seed"),
    "out is a file": (["bench", "poisson", "--out", "a-file"], "--out: cannot write a-file"),
    "out below a file": (["bench", "poisson", "--out", "a-file/deep"], "--out: cannot write a-file/deep"),
    "folder missing": (["bench", "files", "--folder", "nowhere"], "--folder nowhere: not a folder"),
    "folder empty": (["bench", "files", "--folder", "empty-folder"], "no matrix in it"),
    "folder with bad file": (["bench", "files", "--folder", "."], "empty.mtx"),
    "folder for another suite": (["bench", "poisson", "--folder", "."], "--folder goes with"),
    "plot nothing": (["plot"], "RECORDS"),
    "plot missing file": (["plot", "nowhere.jsonl"], "no records at nowhere.jsonl"),
    "plot folder without records": (["plot", "empty-folder"], "no records at empty-folder"),
    "plot garbage": (["plot", "bad-records.jsonl"], "bad-records.jsonl, line 1: not a benchmark record"),
    "plot empty file": (["plot", "no-records.jsonl"], "no finished measurement in it"),
    "solve nothing": (["solve"], "A"),
    "solve missing file": (["solve", "nowhere.mtx"], "nowhere.mtx: no such file"),
    "solve garbage": (["solve", "garbage.mtx"], "garbage.mtx"),
    "solve empty file": (["solve", "empty.mtx"], "empty.mtx"),
    "solve truncated file": (["solve", "truncated.mtx"], "truncated.mtx"),
    "solve unknown kind of file": (["solve", "matrix.xyz"], "matrix.xyz"),
    "solve a folder": (["solve", "empty-folder"], "empty-folder"),
    "solve rectangular": (["solve", "rectangular.mtx"], "rectangular.mtx: A is 3 x 5"),
    "b missing": (["solve", "spd.mtx", "nowhere.mtx"], "nowhere.mtx: no such file"),
    "b too short": (["solve", "spd.mtx", "short.mtx"], "short.mtx: b has shape 4, but A has 30 rows"),
    "b is a matrix": (["solve", "spd.mtx", "spd.mtx"], "spd.mtx"),
    "unknown method": (["solve", "spd.mtx", "--method", "magic"], "unknown; choose one of auto, direct, cg"),
    "unknown preconditioner": (["solve", "spd.mtx", "--precond", "magic"], "--precond magic: unknown"),
    "unknown precond option": (["solve", "spd.mtx", "--precond", "ic:beta=1"], "is not an option of ic"),
    "bad precond value": (["solve", "spd.mtx", "--precond", "ssor:omega=5"], "omega"),
    "rtol zero": (["solve", "spd.mtx", "--rtol", "0"], "argument --rtol"),
    "rtol above one": (["solve", "spd.mtx", "--rtol", "2"], "argument --rtol"),
    "rtol not a number": (["solve", "spd.mtx", "--rtol", "tiny"], "argument --rtol"),
    "maxiter zero": (["solve", "spd.mtx", "--maxiter", "0"], "argument --maxiter"),
    "out of unknown kind": (["solve", "spd.mtx", "--out", "x.txt"], "--out x.txt: give a file that ends in"),
    "out in missing folder": (["solve", "spd.mtx", "--out", "nowhere/x.npy"], "does not exist"),
    "plot of unknown kind": (["solve", "spd.mtx", "--plot", "x.gif"], "--plot x.gif"),
    "direct with precond": (["solve", "spd.mtx", "--method", "direct", "--precond", "ic"], "--precond"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_exit_code_2(here, capsys, arguments, said):
    before = sorted(here.rglob("*"))
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("ritzkit: ")
    assert err.count("\n") == 1
    assert said in err
    assert [p for p in here.rglob("*") if p not in before and p.suffix != ".jsonl" and p.name != "out"] == []


SOLVES = {
    "definite": (["spd.mtx"], 0),
    "definite, cg with ic": (["spd.mtx", "--method", "cg", "--precond", "ic:alpha=0.9"], 0),
    "nonsymmetric": (["nonsymmetric.mtx"], 0),
    "nonsymmetric, bicgstab with ilu": (["nonsymmetric.mtx", "--method", "bicgstab", "--precond", "ilu"], 0),
    "with b": (["spd.mtx", "b.mtx"], 0),
    "with b from numpy": (["spd.mtx", "b.npy"], 0),
    "consistent singular": (["singular.mtx", "centred.npy", "--method", "minres"], 0),
    "inconsistent singular": (["singular.mtx", "b.mtx", "--method", "minres"], 1),
    "too few iterations": (["spd.mtx", "b.mtx", "--method", "cg", "--maxiter", "1"], 1),
    "cg on nonsymmetric": (["nonsymmetric.mtx", "b.mtx", "--method", "cg"], 1),
}


@pytest.mark.parametrize(("arguments", "expected"), SOLVES.values(), ids=SOLVES)
def test_solve_tells_the_truth_by_its_exit_code(here, capsys, arguments, expected):
    code, out, err = run(capsys, "solve", *arguments, "--out", "x.npy")
    assert (code, err) == (expected, "")
    assert ("NOT SOLVED" in out) == (expected == 1)
    A = csr_array(mmread(arguments[0]))
    given = {
        "b.mtx": np.arange(1.0, 31.0),
        "b.npy": np.arange(1.0, 31.0),
        "centred.npy": np.arange(30.0) - 14.5,
    }
    b = given.get(arguments[1] if len(arguments) > 1 else "", A @ np.ones(30))
    residual = np.linalg.norm(b - A @ np.load("x.npy")) / np.linalg.norm(b)
    assert (residual <= 1.001e-8) == (expected == 0)


@pytest.mark.parametrize("name", ["x.mtx", "x.npy", "x.npz"])
def test_solution_is_written_in_every_format(here, capsys, name):
    code, out, _ = run(capsys, "solve", "spd.mtx", "--out", name)
    assert code == 0
    assert name in out
    content = mmread(name) if name.endswith("mtx") else np.load(name)
    x = content["x"] if name.endswith("npz") else content
    np.testing.assert_allclose(np.ravel(x), 1.0, atol=1e-7)


@pytest.mark.parametrize("option", [["--plot"], ["--plot", "r.svg"]], ids=["default name", "svg"])
def test_solve_draws_its_residual(here, capsys, option):
    pytest.importorskip("matplotlib")
    code, out, _ = run(capsys, "solve", "spd.mtx", "--method", "cg", *option)
    name = option[1] if len(option) > 1 else "spd-residual.png"
    assert code == 0
    assert f"figure    {name}" in out
    assert Path(name).stat().st_size > 5000


def test_list_names_everything(capsys):
    code, out, err = run(capsys, "list")
    assert (code, err) == (0, "")
    for name in ("poisson", "kernels", "mic-cg", "pyamg-sa-cg", "gmres", "ic", "obstacles", "mesh-elasticity"):
        assert re.search(rf"^  {name}\b", out, flags=re.MULTILINE), name


def test_version_and_help(capsys):
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert re.fullmatch(r"ritzkit \d+\.\d+\.\d+\n", out)
    assert run(capsys, "bench", "--help")[0] == 0
    assert run(capsys)[0] == 2


def test_a_missing_extra_is_one_line_that_names_it():
    with pytest.raises(UserError, match=r'figures needs nosuchmodule, .*pip install "ritzkit\[report\]"'):
        need("nosuchmodule.deep", "figures")


def test_without_matplotlib_records_and_tables_are_made(here, capsys, monkeypatch, benchmark_records):
    for name in list(sys.modules):
        if name.partition(".")[0] == "matplotlib":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = run(capsys, *TINY, "--size", "12x12", "--out", "bench")
    assert code == 1
    assert out.splitlines() == ["bench/records.jsonl", "bench/tables.md"]
    assert err == 'ritzkit: figures needs matplotlib, which is not installed: pip install "ritzkit[report]"\n'
    assert run(capsys, "solve", "spd.mtx")[0] == 0
    code, _, err = run(capsys, "solve", "spd.mtx", "--plot")
    assert (code, err.count("\n")) == (2, 1)
    assert run(capsys, "list")[0] == 0


def _start(folder, *arguments):
    """Run the command line as a terminal would: whoever starts the tests in the background makes children ignore Ctrl-C."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from ritzkit.reports.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_piped_benchmark_is_silent_and_resume_has_nothing_left_to_do(tmp_path, capsys, monkeypatch):
    process = _start(tmp_path, *TINY, "--size", "16", "--out", "bench")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines() == ["bench/records.jsonl", "bench/tables.md", "bench/index.html"]
    records = tmp_path / "bench" / "records.jsonl"
    before = records.read_bytes()
    solves = [r for r in read(records) if r["kind"] == "solve"]
    assert {r["solver"] for r in solves} == {"cg", "scipy-cg"}
    assert {r["repeat"] for r in solves} == {0, 1, 2}
    # A B A B, not A A B B
    assert [r["solver"] for r in solves[:4]] == ["scipy-cg", "cg", "scipy-cg", "cg"]
    assert all(r["solved"] and r["residual"] <= 1.01e-8 and r["first_run_seconds"] > 0 for r in solves)
    monkeypatch.chdir(tmp_path)
    assert run(capsys, *TINY, "--size", "16", "--out", "bench", "--resume")[0] == 0
    assert records.read_bytes() == before
    code, _, err = run(capsys, *TINY, "--size", "16", "--out", "bench", "--resume", "--seed", "5")
    assert code == 2
    assert "seed 0 -> 5" in err
    assert err.count("\n") == 1
    assert records.read_bytes() == before


def test_interrupt_keeps_finished_records_and_says_how_to_go_on(tmp_path):
    arguments = [
        "bench",
        "poisson",
        "--solver",
        "cg",
        "--size",
        "200",
        "--repeats",
        "500",
        "--threads",
        "1",
        "--out",
        "bench",
    ]
    process = _start(tmp_path, *arguments)
    records = tmp_path / "bench" / "records.jsonl"
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and process.poll() is None:
        if records.exists() and records.read_bytes().count(b'"kind":"solve"') >= 2:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    kept = [r for r in read(records) if r["kind"] == "solve"]
    assert len(kept) >= 2
    assert err.count("\n") == 1
    assert f"{len(kept)} finished measurements are in bench{os.sep}records.jsonl" in err
    assert f"ritzkit {' '.join(['bench', 'poisson', '--out', 'bench'])}" in err
    assert "--resume" in err


def test_files_suite_reads_a_folder(here, capsys):
    folder = here / "matrices"
    folder.mkdir()
    for name in ("spd.mtx", "nonsymmetric.mtx", "rectangular.mtx"):
        (here / name).rename(folder / name)
    code, _, err = run(
        capsys,
        "bench",
        "files",
        "--quick",
        "--folder",
        "matrices",
        "--out",
        "bench",
        "--solver",
        "auto",
        "scipy-cg",
    )
    assert (code, err) == (0, "")
    pairs = {(r["problem"], r["solver"]) for r in read(here / "bench") if r["kind"] == "solve"}
    assert pairs == {("spd", "auto"), ("spd", "scipy-cg"), ("nonsymmetric", "auto")}
