"""``ritzkit generate``: what it prints, how it fails, and that no kill at any moment shows in the files."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ritzkit.problems import validate_dataset
from ritzkit.reports import cli
from ritzkit.reports.errors import UserError
from ritzkit.reports.generate_command import family

pytest.importorskip("h5py")

TINY = ["generate", "darcy:n=12", "--count", "9", "--chunk", "2", "--workers", "1"]


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = cli.main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def contents(folder: Path) -> dict[str, bytes]:
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "log.jsonl"]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_a_dataset_is_made_and_its_files_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *TINY, "--out", "data")
    assert (code, err) == (0, "")
    assert out.split() == ["data/darcy.h5", "data/manifest.json"]
    assert validate_dataset("data").count == 9


def test_arguments_reach_the_manifest(tmp_path, capsys):
    import json

    options = ["--seed", "4", "--rtol", "1e-4", "--solver", "cg-ic", "--order", "greedy", "--format", "mat"]
    assert run(capsys, *TINY, "--out", str(tmp_path), *options)[0] == 0
    config = json.loads((tmp_path / "manifest.json").read_text())["config"]
    wanted = {"seed": 4, "rtol": 1e-4, "solver": "cg-ic", "order": "greedy", "format": "mat", "chunk": 2, "count": 9}
    assert {key: config[key] for key in wanted} == wanted
    assert config["family"]["n"] == 12


@pytest.mark.parametrize(
    ("text", "attribute", "value"),
    [
        ("darcy", "n", 64),
        ("darcy:n=9,law=lognormal,variance=2.5", "variance", 2.5),
        ("poisson:shape=4x6x5", "shape", (4, 6, 5)),
        ("helmholtz:wavenumber=10..50.5", "wavenumber", (10.0, 50.5)),
        ("skr-darcy:slip=false", "slip", False),
        ("skr-darcy:", "slip", True),
    ],
    ids=["default", "numbers", "shape", "range", "truth", "empty"],
)
def test_families_are_spelled_with_their_parameters(text, attribute, value):
    assert getattr(family(text), attribute) == value


BAD = {
    "no family": (["generate"], "FAMILY"),
    "no count": (["generate", "darcy", "--out", "x"], "--count"),
    "no folder": (["generate", "darcy", "--count", "3"], "--out"),
    "unknown family": (["generate", "darzy", "--count", "3", "--out", "x"], "unknown family 'darzy': choose one"),
    "unknown parameter": ([*TINY[:1], "darcy:m=3", *TINY[2:], "--out", "x"], "'m=3' is no parameter of darcy"),
    "parameter without value": ([*TINY[:1], "darcy:n", *TINY[2:], "--out", "x"], "'n' is no parameter"),
    "bad parameter": ([*TINY[:1], "darcy:n=-3", *TINY[2:], "--out", "x"], "darcy:n=-3: n is -3"),
    "unknown solver": ([*TINY, "--out", "x", "--solver", "magic"], "--solver 'magic'"),
    "unknown format": ([*TINY, "--out", "x", "--format", "csv"], "argument --format"),
    "unknown order": ([*TINY, "--out", "x", "--order", "best"], "argument --order"),
    "no workers": ([*TINY, "--out", "x", "--workers", "0"], "argument --workers"),
    "a mesh for a grid": (["generate", "skr-thermal", "--count", "3", "--out", "x", "--format", "mat"], "--format h5"),
    "test without a test set": ([*TINY, "--out", "x", "--test", "3"], "--test 3: format 'h5' has no test set"),
    "out is a file": ([*TINY, "--out", "a-file"], "--out 'a-file': there is a file of that name"),
    "out below a file": ([*TINY, "--out", "a-file/deep"], "--out a-file/deep: cannot write"),
    "a dataset is there": ([*TINY, "--out", "there"], "--out 'there': there is a dataset in it; pass --resume"),
    "another dataset is there": ([*TINY, "--out", "there", "--resume", "--seed", "3"], "(seed: 0, now 3)"),
}  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("here")
    (folder / "a-file").write_text("not a folder")
    assert cli.main([*TINY, "--out", str(folder / "there")]) == 0
    return folder


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_exit_code_2(here, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(here)
    before = contents(here)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("ritzkit: ")
    assert err.count("\n") == 1
    assert said in err
    assert contents(here) == before


def test_failed_samples_are_told_by_the_exit_code(tmp_path, capsys):
    # an unpreconditioned Krylov method for symmetric matrices cannot solve a nonsymmetric system
    arguments = ["generate", "skr-darcy:n=8", "--count", "3", "--workers", "1", "--solver", "cg-jacobi"]
    code, _, err = run(capsys, *arguments, "--out", str(tmp_path), "--rtol", "1e-12")
    assert code == 1
    assert "missed the tolerance and have no label (NaN): 0, 1, 2" in err
    with pytest.raises(ValueError, match="sample 0 has no label"):
        validate_dataset(tmp_path)


def test_unknown_families_are_named_by_the_parser():
    with pytest.raises(UserError, match="unknown family"):
        family("poison")


# --- killed and interrupted


def start(out: Path, *more: str) -> subprocess.Popen[str]:
    code = "import sys; from ritzkit.reports.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["generate", "darcy:n=12", "--count", "60", "--chunk", "2", "--out", str(out), "--resume", *more]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def shards(out: Path) -> int:
    return len(list((out / "shards").glob("*.shard"))) if (out / "shards").is_dir() else 0


def wait_for_shards(process: subprocess.Popen[str], out: Path, count: int) -> None:
    limit = time.monotonic() + 60
    while process.poll() is None and shards(out) < count and time.monotonic() < limit:
        time.sleep(0.002)


def children(pid: int) -> list[int]:
    """Processes that a process has started; nothing where the system does not tell."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def wait_until_gone(pids: list[int]) -> None:
    limit = time.monotonic() + 30
    while (left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]) and time.monotonic() < limit:
        time.sleep(0.02)
    assert left == []


def finish(process: subprocess.Popen[str]) -> None:
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    finish(start(out, "--workers", "1"))
    return contents(out)


@pytest.mark.parametrize(("workers", "kills"), [("1", 3), ("2", 1)], ids=["one worker", "two workers"])
def test_killed_at_random_moments_and_resumed_the_files_are_the_same(undisturbed, tmp_path, workers, kills):
    chance = random.Random(7)
    kept = 0
    for _ in range(kills):
        process = start(tmp_path, "--workers", workers)
        wait_for_shards(process, tmp_path, kept + chance.randint(1, 8))
        time.sleep(chance.uniform(0.0, 0.02))
        helpers = children(process.pid)
        process.kill()
        process.communicate()
        wait_until_gone(helpers)
        assert process.returncode in (-signal.SIGKILL, 0)
        assert shards(tmp_path) >= kept or (tmp_path / "manifest.json").exists()
        kept = shards(tmp_path)
        if (tmp_path / "manifest.json").exists():
            break
    assert kept > 0 or (tmp_path / "manifest.json").exists()
    finish(start(tmp_path, "--workers", workers))
    assert contents(tmp_path) == undisturbed


@pytest.mark.skipif(not hasattr(signal, "SIGINT"), reason="needs signals")
def test_ctrl_c_says_how_to_go_on_and_leaves_no_process(undisturbed, tmp_path):
    process = start(tmp_path, "--workers", "2")
    wait_for_shards(process, tmp_path, 3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("the run was faster than the signal")
    assert process.returncode == 130
    assert err.count("\n") == 1
    assert err.startswith("ritzkit: interrupted; ")
    assert f"go on with: ritzkit generate darcy:n=12 --count 60 --out {tmp_path} --workers 2 --chunk 2 --resume" in err
    assert shards(tmp_path) >= 3
    finish(start(tmp_path, "--workers", "1"))
    assert contents(tmp_path) == undisturbed
