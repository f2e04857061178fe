"""SciPy's own test module of its iterative solvers, run with ours in their place.

The deviations stand in `docs/scipy.md`, and here as the list of tests that are allowed to differ.
"""

import pathlib
import subprocess
import sys

import pytest

DEVIATIONS: set[str] = set()

OURS = "from ritzkit.solvers import bicgstab, cg, gmres, minres\n"
SOLVERS = """_SOLVERS = [bicg, bicgstab, cg, cgs, gcrotmk, gmres, lgmres,
            minres, qmr, tfqmr]"""


def test_scipys_own_tests_pass_with_our_solvers(tmp_path):
    import scipy.sparse.linalg._isolve as isolve

    source = pathlib.Path(isolve.__file__).parent / "tests" / "test_iterative.py"
    if not source.exists():
        pytest.skip("this SciPy was installed without its tests")
    text = source.read_text()
    if SOLVERS not in text:
        pytest.skip("SciPy's test module has changed its list of solvers")
    marker = "# TODO check that method preserve"
    assert marker in text
    text = text.replace(SOLVERS, "_SOLVERS = [bicgstab, cg, gmres, minres]").replace(marker, OURS + marker, 1)
    copy = tmp_path / "test_scipy_iterative.py"
    copy.write_text(text)
    command = [sys.executable, "-m", "pytest", str(copy), "-q", "-p", "no:cacheprovider", "-rfE", "--no-header",
               "-W", "ignore::pytest.PytestUnknownMarkWarning", "--rootdir", str(tmp_path), "-c", "/dev/null"]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    lines = run.stdout.splitlines()
    failed = {line.split("::", 1)[1].split(" - ")[0] for line in lines if line.startswith(("FAILED", "ERROR"))}
    assert failed == DEVIATIONS, run.stdout[-3000:]
    passed = int(lines[-1].split(" passed")[0].split()[-1])
    assert passed > 300, "the module was really run: " + lines[-1]
