"""``ritzkit solve``: one system from files, an honest outcome, exit code 0 only if the tolerance is met."""

from __future__ import annotations

import argparse
import inspect
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .errors import UserError, need

__all__ = ["run"]

_OUTPUTS = (".mtx", ".npy", ".npz")


def run(arguments: argparse.Namespace) -> int:
    """Run ``ritzkit solve``; return the exit code (0 the tolerance is met, 1 it is not)."""
    from ..linalg.threads import set_threads

    set_threads(arguments.threads)
    out = _output(arguments.out)
    plot = _plot_path(arguments.plot, arguments.matrix)
    problem = _read(arguments.matrix)
    rows, columns = problem.A.shape
    if rows != columns:
        raise UserError(
            f"{arguments.matrix}: A is {rows} x {columns}; `ritzkit solve` wants a square matrix "
            "(for least squares: scipy.sparse.linalg.lsmr)"
        )
    b = problem.b if arguments.rhs is None else _vector(arguments.rhs, rows)
    method, call = _method(arguments)
    start = time.perf_counter()
    M = _preconditioner(arguments.precond, problem.A)
    setup = time.perf_counter() - start if M is not None else 0.0
    result = _honest(lambda: call(problem.A, b, M))
    _report(problem, result, method, arguments, setup)
    if out is not None:
        _write(out, np.asarray(result.x))
    if plot is not None:
        _draw(plot, result, arguments, setup)
    return 0 if result.success else 1


def _honest(call: Callable[[], Any]) -> Any:
    """Run a solver; what it refuses becomes one line."""
    try:
        return call()
    except (ValueError, TypeError, np.linalg.LinAlgError) as error:
        raise UserError(" ".join(str(error).split())) from None


def _read(path: str) -> Any:
    from ..problems import load

    try:
        return load(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError, ImportError) as error:
        text = " ".join(str(error).split())
        raise UserError(text if str(path) in text else f"{path}: {text}") from None


def _vector(path: str, n: int) -> Any:
    """Read a right-hand side of `n` numbers."""
    from ..problems.files import load_vector

    try:
        if path.lower().endswith(".npy"):
            vector = np.load(path, allow_pickle=False)
        else:
            vector = load_vector(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, OSError, EOFError) as error:
        text = " ".join(str(error).split())
        raise UserError(text if path in text else f"{path}: {text}") from None
    vector = np.asarray(vector).squeeze()
    if vector.shape != (n,):
        raise UserError(
            f"{path}: b has shape {'x'.join(map(str, vector.shape)) or '()'}, but A has {n} rows; give a "
            f"vector of {n} numbers"
        )
    return vector


def _method(arguments: argparse.Namespace) -> tuple[str, Callable[[Any, Any, Any], Any]]:
    """Resolve ``--method`` to a call ``(A, b, M) -> SolveResult``."""
    from .. import solvers
    from .listing import methods

    name = arguments.method
    known = methods()
    if name not in known:
        raise UserError(f"--method {name}: unknown; choose one of {', '.join(known)}")
    keywords: dict[str, Any] = {"rtol": arguments.rtol, "maxiter": arguments.maxiter}
    if name in ("auto", "direct"):
        if name == "direct" and arguments.precond is not None:
            raise UserError("--precond: a direct solve takes none; leave it out")
        return name, lambda A, b, M: solvers.solve(A, b, method=name, M=M, **keywords)
    method = getattr(solvers, name)
    if arguments.precond is not None and "M" not in inspect.signature(method).parameters:
        raise UserError(
            f"--precond: the method {name} takes no preconditioner; leave it out or use cg, minres, gmres or bicgstab"
        )
    if arguments.precond is None:
        return name, lambda A, b, M: method(A, b, **keywords)
    return name, lambda A, b, M: method(A, b, M=M, **keywords)


def _preconditioner(text: str | None, A: Any) -> Any:
    """Build the preconditioner of ``--precond NAME[:KEY=VALUE,...]``."""
    if text is None or text == "none":
        return None
    from ..solvers import precond
    from .listing import preconditioners

    name, _, rest = text.partition(":")
    known = preconditioners()
    if name not in known:
        raise UserError(f"--precond {name}: unknown; choose one of none, {', '.join(known)}")
    make = getattr(precond, name)
    allowed = list(inspect.signature(make).parameters)[1:]
    options: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals or key not in allowed:
            raise UserError(
                f"--precond {text}: {pair!r} is not an option of {name}; write KEY=VALUE with a key of "
                f"{', '.join(allowed) or '(none)'}"
            )
        options[key] = _value(value)
    return _honest(lambda: make(A, **options))


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def _report(problem: Any, result: Any, method: str, arguments: argparse.Namespace, setup: float) -> None:
    """Say what happened, on stdout."""
    from .canvas import duration, power

    A = problem.A
    csr = A.tocsr()
    facts = [f"{A.shape[0]:,} unknowns", f"{csr.nnz:,} entries"]
    facts += ["complex"] if np.iscomplexobj(csr) else []
    facts += (
        ["symmetric" if not np.iscomplexobj(csr) else "Hermitian"]
        if A.symmetric
        else ["not symmetric" if A.symmetric is False else ""]
    )
    used = result.method or method
    seconds = duration(setup or result.setup_seconds), duration(result.solve_seconds)
    lines = [
        f"system    {Path(arguments.matrix).name}: {', '.join(filter(None, facts))}",
        f"method    {used}{f' with {arguments.precond}' if arguments.precond else ''}",
        f"outcome   {'solved' if result.success else 'NOT SOLVED'}: {result.outcome.text}",
        f"residual  {result.residual:.3e} (relative, recomputed; wanted {power(arguments.rtol)})",
        f"work      {result.iterations:,} iterations, {result.matvecs:,} products with A, {result.psolves:,} with M",
        f"time      {seconds[0]} set-up, {seconds[1]} solve",
    ]
    note = getattr(result, "note", "")
    if note:
        lines.append(f"note      {note}")
    if arguments.out:
        lines.append(f"solution  {arguments.out}")
    sys.stdout.write("\n".join(lines) + "\n")


def _output(path: str | None) -> Path | None:
    """Check ``--out`` before any work is done."""
    if path is None:
        return None
    target = Path(path)
    if target.suffix.lower() not in _OUTPUTS:
        raise UserError(f"--out {path}: give a file that ends in {', '.join(_OUTPUTS[:-1])} or {_OUTPUTS[-1]}")
    _writable("--out", target)
    return target


def _writable(option: str, target: Path) -> None:
    if not target.parent.is_dir():
        raise UserError(f"{option} {target}: the folder {target.parent} does not exist; make it first")
    existed = target.exists()
    try:
        with target.open("ab"):
            pass
        if not existed:
            target.unlink()
    except OSError as error:
        raise UserError(f"{option} {target}: cannot write: {(error.strerror or str(error)).lower()}") from None


def _write(target: Path, x: Any) -> None:
    suffix = target.suffix.lower()
    try:
        if suffix == ".npy":
            np.save(target, x)
        elif suffix == ".npz":
            np.savez_compressed(target, x=x)
        else:
            from scipy.io import mmwrite

            mmwrite(target, x.reshape(-1, 1), symmetry="general")
    except OSError as error:
        raise UserError(f"--out {target}: cannot write: {(error.strerror or str(error)).lower()}") from None


def _plot_path(option: str | None, matrix: str) -> Path | None:
    """Where ``--plot`` goes; checked, with Matplotlib, before any work is done."""
    if option is None:
        return None
    need("matplotlib", "--plot")
    target = Path(option) if option else Path(f"{Path(matrix).name.partition('.')[0]}-residual.png")
    if target.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UserError(f"--plot {target}: give a file that ends in .png, .svg or .pdf")
    _writable("--plot", target)
    return target


def _draw(target: Path, result: Any, arguments: argparse.Namespace, setup: float) -> None:
    from .convergence import residual_figure

    residuals = [result.initial_residual, *result.residuals]
    products = [0, *result.products]
    seconds = [setup, *(setup + np.asarray(result.times))]
    title = f"{Path(arguments.matrix).name}: {result.method or arguments.method}"
    residual_figure(target, title, residuals, products, seconds, arguments.rtol)
    sys.stdout.write(f"figure    {target}\n")
