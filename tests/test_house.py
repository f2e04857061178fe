"""The house itself: floors, imports, packaging lists, doctests."""

import ast
import doctest
import importlib
import pathlib
import pkgutil
import subprocess
import sys
import tomllib

import pytest

FLOORS = {"linalg": 1, "solvers": 2, "problems": 3, "learned": 4, "reports": 5}
ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def imports(path):
    """Pairs (line, absolute dotted name) of everything a source file imports, relative imports resolved."""
    package = list(path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                yield node.lineno, node.module or ""
            else:
                base = package[: len(package) - node.level + 1]
                if base:
                    yield node.lineno, ".".join(["ritzkit", *base, node.module or ""]).rstrip(".")
                else:
                    for name in [node.module] if node.module else [alias.name for alias in node.names]:
                        yield node.lineno, f"ritzkit.{name}"


def test_imports_point_downwards_only():
    upward = []
    for path in SOURCES:
        floor = path.relative_to(ROOT).parts[0]
        for line, name in imports(path):
            parts = name.split(".")
            if parts[0] == "ritzkit" and len(parts) > 1 and parts[1] in FLOORS and FLOORS[parts[1]] > FLOORS[floor]:
                upward.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
            if parts[0] in FLOORS:
                upward.append(f"{path.relative_to(ROOT)}:{line} imports the bare folder {name}")
    assert not upward, "\n".join(upward)


def top_level_imports(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


def test_only_the_learned_floor_imports_torch_at_module_level():
    for path in SOURCES:
        if path.relative_to(ROOT).parts[0] != "learned":
            assert "torch" not in set(top_level_imports(path)), path


def test_the_lowest_floor_stands_on_numpy_scipy_and_numba_alone():
    allowed = {"numpy", "scipy", "numba", "llvmlite"} | set(sys.stdlib_module_names)
    for path in (ROOT / "linalg").rglob("*.py"):
        assert set(top_level_imports(path)) <= allowed, path


def test_every_package_folder_is_listed_for_the_wheel():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {"ritzkit"}
    for floor in FLOORS:
        for init in (ROOT / floor).rglob("__init__.py"):
            folders.add("ritzkit." + ".".join(init.parent.relative_to(ROOT).parts))
    assert listed == folders


def fresh(code):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    return run.stdout.strip()


def test_import_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, time; start = time.perf_counter(); import ritzkit; seconds = time.perf_counter() - start; "
        "print(seconds, [m for m in ('numba', 'torch', 'matplotlib', 'pyamg', 'numpy', 'scipy') if m in sys.modules])"
    )
    outputs = [fresh(code).split(" ", 1) for _ in range(3)]
    assert min(float(seconds) for seconds, _ in outputs) < 0.05
    assert outputs[0][1] == "[]"


def test_solving_loads_neither_torch_nor_matplotlib_nor_pyamg():
    code = (
        "import sys, numpy, ritzkit; from ritzkit.solvers import cg; cg(numpy.eye(3), numpy.ones(3)); "
        "print([m for m in ('torch', 'matplotlib', 'pyamg', 'rich', 'h5py') if m in sys.modules])"
    )
    assert fresh(code) == "[]"


def test_no_bare_folder_name_is_importable_after_ritzkit():
    code = (
        "import sys, ritzkit.linalg, ritzkit.solvers, ritzkit.problems; "
        "print([m for m in ('linalg', 'solvers', 'problems', 'learned', 'reports') if m in sys.modules])"
    )
    assert fresh(code) == "[]"


def test_front_door():
    import ritzkit

    assert ritzkit.__version__.count(".") == 2
    assert set(dir(ritzkit)) >= {"linalg", "solvers", "problems", "reports", "solve"}
    assert ritzkit.solve is ritzkit.solvers.solve
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ritzkit.nothing


def modules():
    """Every module of the floors that this environment can import."""
    names = []
    for floor in FLOORS:
        package = importlib.import_module(f"ritzkit.{floor}")
        names.append(package.__name__)
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not info.name.endswith("__main__") and ".kernels" not in info.name:
                names.append(info.name)
    return names


@pytest.mark.parametrize("name", modules())
def test_docstring_examples_run(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


@pytest.mark.parametrize("name", ["linalg", "solvers", "solvers.precond", "problems"])
def test_everything_public_is_documented(name):
    package = importlib.import_module(f"ritzkit.{name}")
    assert package.__all__
    for attribute in package.__all__:
        thing = getattr(package, attribute)
        if callable(thing):
            text = thing.__doc__ or ""
            assert len(text) > 10, f"{name}.{attribute} has no docstring"
