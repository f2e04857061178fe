"""The wheel: built, installed into a fresh environment outside the repository, used there."""

import os
import pathlib
import shutil
import subprocess
import sys
import venv
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

CODE = """
import pathlib, numpy as np, ritzkit
from ritzkit.solvers import cg, precond
from ritzkit.problems import Poisson
assert "site-packages" in ritzkit.solvers.__file__, ritzkit.solvers.__file__
problem = Poisson((16, 16)).sample(0)
result = cg(problem.A, problem.b, M=precond.ic(problem.A), rtol=1e-8)
assert result.success
import ritzkit.reports.cli
print("solved in", result.iterations)
"""


@pytest.mark.packaging
def test_wheel_installs_and_solves_outside_the_repository(tmp_path):
    source = tmp_path / "source"
    ignore = shutil.ignore_patterns(".*", "build", "dist", "out", "*.egg-info", "__pycache__", "tests")
    shutil.copytree(ROOT, source, ignore=ignore)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(source)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    (wheel,) = (tmp_path / "dist").glob("ritzkit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"ritzkit", wheel.name.rsplit("-py3", 1)[0] + ".dist-info"}
    assert "ritzkit/py.typed" in names
    assert "ritzkit/solvers/precond/ic.py" in names
    assert not any("test" in name for name in names)

    # a fresh environment that borrows only the third-party packages of this one
    venv.create(tmp_path / "fresh", with_pip=True)
    python = tmp_path / "fresh" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    import numpy

    borrowed = pathlib.Path(numpy.__file__).parent.parent
    site = next((tmp_path / "fresh").rglob("site-packages"))
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    (tmp_path / "elsewhere").mkdir()
    run = subprocess.run([python, "-c", CODE], capture_output=True, text=True, cwd=tmp_path / "elsewhere", check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("solved in")
    script = python.parent / "ritzkit"
    version = subprocess.run([script, "--version"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert version.stdout.split()[-1].count(".") == 2
