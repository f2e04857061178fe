"""Without an extra, what needs it says so in one line that names the extra; the rest works."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sp

# runs `code` in a fresh interpreter where the named packages cannot be imported
BLOCK = """
import sys, importlib.abc
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.split(".")[0] in {blocked!r} else real(name, package)
"""


def without(packages, code, cwd):
    script = BLOCK.format(blocked=set(packages)) + code
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=cwd, check=False)


def one_line(run, extra):
    lines = (run.stderr or run.stdout).strip().splitlines()
    assert f'"ritzkit[{extra}]"' in lines[-1], run.stderr
    return lines


EVERYTHING = ["torch", "safetensors", "matplotlib", "rich", "h5py", "threadpoolctl", "pytest", "hypothesis"]


def test_the_core_solves_without_any_extra(tmp_path):
    code = """
import numpy as np, ritzkit
from ritzkit.problems import Poisson
from ritzkit.solvers import cg, precond
problem = Poisson((12, 12)).sample(0)
for make in (precond.ic, precond.amg, precond.direct):
    assert cg(problem.A, problem.b, M=make(problem.A)).success
print("solved")
"""
    run = without(EVERYTHING, code, tmp_path)
    assert run.stdout.strip() == "solved", run.stderr


def test_learned_names_its_extra(tmp_path):
    run = without(["torch"], "import ritzkit.learned", tmp_path)
    assert run.returncode != 0
    one_line(run, "learned")


def test_hdf5_names_its_extra(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    run = without(["h5py"], "from ritzkit.problems import load; load('a.h5')", tmp_path)
    assert run.returncode != 0
    one_line(run, "data")


@pytest.mark.parametrize("missing", [["matplotlib"], ["rich"], ["matplotlib", "rich"]], ids="+".join)
def test_the_command_line_lists_and_solves_without_the_report_extra(tmp_path, missing):
    scipy.io.mmwrite(tmp_path / "A.mtx", sp.coo_array(np.diag([1.0, 2.0, 3.0])))
    code = "from ritzkit.reports.cli import main; sys.exit(main(['solve', 'A.mtx']))"
    run = without(missing, code, tmp_path)
    assert run.returncode == 0, run.stderr
    assert "solved" in run.stdout
    run = without(missing, "from ritzkit.reports.cli import main; sys.exit(main(['list']))", tmp_path)
    assert run.returncode == 0
    assert "poisson" in run.stdout


def test_plots_name_their_extra(tmp_path):
    scipy.io.mmwrite(tmp_path / "A.mtx", sp.coo_array(np.diag([1.0, 2.0, 3.0])))
    code = "from ritzkit.reports.cli import main; sys.exit(main(['solve', 'A.mtx', '--plot']))"
    run = without(["matplotlib"], code, tmp_path)
    assert run.returncode == 2
    assert len(one_line(run, "report")) == 1
