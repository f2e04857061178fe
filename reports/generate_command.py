"""``ritzkit generate``: a dataset of solved samples, with progress; exit code 0 only if every sample has its label."""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from typing import Any

from .errors import UserError
from .progress import Progress

__all__ = ["add_arguments", "family", "run"]


def add_arguments(parser: argparse.ArgumentParser, *, positive: Any, seed: Any, tolerance: Any) -> None:
    """Declare the options; the converters are those of the command line."""
    from ..problems.datasets import FORMATS, ORDERS

    parser.add_argument(
        "family",
        metavar="FAMILY[:KEY=VALUE,...]",
        help="such as darcy:n=128,law=lognormal or helmholtz:wavenumber=10..50",
    )
    parser.add_argument("--count", metavar="N", type=positive, required=True, help="number of samples")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder for the dataset")
    parser.add_argument("--seed", metavar="N", type=seed, default=0, help="seed of the samples (default: 0)")
    parser.add_argument(
        "--rtol", type=tolerance, default=1e-6, help="relative true residual of every label (default: 1e-6)"
    )
    parser.add_argument("--format", choices=tuple(FORMATS), default="h5", help="format of the files (default: h5)")
    parser.add_argument("--solver", metavar="NAME", default="auto", help="auto, superlu, cg-multigrid, skr, ...")
    parser.add_argument("--order", choices=ORDERS, default="hub", help="order within a chunk (default: hub)")
    parser.add_argument("--workers", metavar="N", type=positive, help="processes of one thread (default: all cores)")
    parser.add_argument("--executor", choices=("processes", "serial", "mpi4py", "dask"), help="who runs the chunks")
    parser.add_argument("--chunk", metavar="N", type=positive, help="samples per unit of work (default: at most 64)")
    parser.add_argument("--test", metavar="N", type=seed, help="samples of the test set (pt, well; default: a tenth)")
    parser.add_argument("--resume", action="store_true", help="go on with an unfinished run in --out")


def run(arguments: argparse.Namespace) -> int:
    """Run ``ritzkit generate``; return the exit code (0 all samples, 1 some failed, 130 interrupted)."""
    from ..problems import generate

    chosen = family(arguments.family)
    progress = Progress(arguments.count)
    before = 0

    def show(done: int, count: int) -> None:
        nonlocal before
        progress.say(f"{chosen.family_name}: {done} of {count} samples")
        progress.advance(done - before)
        before = done

    try:
        with progress:
            manifest = generate(
                chosen,
                arguments.count,
                arguments.out,
                seed=arguments.seed,
                rtol=arguments.rtol,
                solver=arguments.solver,
                order=arguments.order,
                workers=arguments.workers,
                executor=arguments.executor,
                resume=arguments.resume,
                format=arguments.format,
                chunk=arguments.chunk,
                test=arguments.test,
                callback=show,
            )
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        raise UserError(_options(str(error))) from None
    except OSError as error:
        raise UserError(f"--out {arguments.out}: cannot write: {(error.strerror or str(error)).lower()}") from None
    except KeyboardInterrupt:
        sys.stderr.write(
            f"ritzkit: interrupted; {before} of {arguments.count} samples are in {arguments.out}; go on with: "
            f"{_again(arguments)}\n"
        )
        return 130
    for path in (*manifest.paths, manifest.folder / "manifest.json"):
        sys.stdout.write(f"{path}\n")
    if manifest.failed:
        told = ", ".join(str(entry["index"]) for entry in manifest.failed[:5])
        more = ", ..." if len(manifest.failed) > 5 else ""
        sys.stderr.write(
            f"ritzkit: {len(manifest.failed)} of {manifest.count} samples missed the tolerance and have no label (NaN): "
            f"{told}{more}; see manifest.json, try another --solver\n"
        )
        return 1
    return 0


def family(text: str) -> Any:
    """Make a family from ``NAME[:KEY=VALUE,...]``.

    Raises
    ------
    UserError
        If there is no such family or parameter, or its value is out of range.

    Examples
    --------
    >>> family("darcy:n=32,law=lognormal").law
    'lognormal'
    """
    from ..problems import FAMILIES

    name, _, rest = text.partition(":")
    if name not in FAMILIES:
        raise UserError(f"unknown family {name!r}: choose one of {', '.join(FAMILIES)}")
    maker: Any = FAMILIES[name]
    allowed = [entry.name for entry in dataclasses.fields(maker)]
    options: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or key not in allowed:
            raise UserError(f"{text}: {part!r} is no parameter of {name}: choose from {', '.join(allowed)}")
        options[key] = _value(value)
    try:
        return maker(**options)
    except (ValueError, TypeError) as error:
        raise UserError(f"{text}: {error}") from None


def _value(text: str) -> Any:
    if re.fullmatch(r"\d+(x\d+)+", text):
        return tuple(map(int, text.split("x")))
    if ".." in text:
        return tuple(map(_value, text.split("..", 1)))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def _options(text: str) -> str:
    """Speak of options instead of arguments."""
    text = re.sub(r"^(out|format|solver|executor|test|chunk|order|workers|count) is ", r"--\1 ", text)
    return text.replace("resume=True", "--resume").replace("use format 'h5'", "use --format h5")


def _again(arguments: argparse.Namespace) -> str:
    parts = [f"ritzkit generate {arguments.family} --count {arguments.count} --out {arguments.out}"]
    defaults = {"seed": 0, "rtol": 1e-6, "format": "h5", "solver": "auto", "order": "hub"}
    for name in ("seed", "rtol", "format", "solver", "order", "workers", "executor", "chunk", "test"):
        value = getattr(arguments, name)
        if value is not None and value != defaults.get(name):
            parts.append(f"--{name} {value}")
    return " ".join([*parts, "--resume"])
