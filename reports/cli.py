"""The command line: ``ritzkit bench``, ``plot``, ``solve``, ``generate``, ``complete``, ``tune``, ``list``.

Exit codes: 0 success; 1 an honest failure (a solve that misses its tolerance, a page without its figures); 2
bad input, with one line on stderr that names the argument or file and the cure; 130 after Ctrl-C. Results go
to stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from .errors import UserError

__all__ = ["main"]

DESCRIPTION = "Numerical linear algebra for learned solvers: solve systems, measure solvers, draw what came out."


class _Parser(argparse.ArgumentParser):
    """argparse, but with one line instead of the whole usage on a mistake."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see `{self.prog} --help`)")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1, such as 1e-8")
    return value


def _weight(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1e300:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return value


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0 and below 1")
    return value


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes above 0")
    return value


def _size(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+(x\d+){0,2}", text) or min(map(int, text.split("x"))) < 4:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size: wanted N, NxN or NxNxN with edges of at least 4, such as 128 or 32x32x32"
        )
    return tuple(map(int, text.split("x")))


def _build(argv: Sequence[str]) -> argparse.ArgumentParser:
    from .. import __version__

    parser = _Parser(prog="ritzkit", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"ritzkit {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    bench = commands.add_parser(
        "bench", help="run a benchmark suite, or all of them", description="Run a suite; without one, all."
    )
    bench.add_argument(
        "suite",
        nargs="*",
        metavar="SUITE",
        help="any of poisson, diffusion, nonsymmetric, files, kernels, spgemm, multigrid, recycling, datasets",
    )
    bench.add_argument("--quick", action="store_true", help="small sizes, three repeats")
    bench.add_argument(
        "--out",
        metavar="DIR",
        default="out",
        help="folder for records, tables, figures and page (default: out)",
    )
    bench.add_argument("--solver", metavar="NAME", nargs="+", action="extend", default=[], help="only these solvers")
    bench.add_argument(
        "--size",
        metavar="N",
        nargs="+",
        action="extend",
        default=[],
        type=_size,
        help="grid sizes: 128, 64x64, 32x32x32",
    )
    bench.add_argument("--threads", metavar="N", type=_positive, help="threads for everything (default: all cores)")
    bench.add_argument("--seed", metavar="N", type=_seed, default=0, help="seed of all random draws (default: 0)")
    bench.add_argument(
        "--repeats", metavar="N", type=_positive, help="interleaved repeats (default: 5, spgemm 7, with --quick 3)"
    )
    bench.add_argument("--folder", metavar="DIR", help="folder of matrix files for the suites `files`, `spgemm`")
    bench.add_argument("--resume", action="store_true", help="go on with the records in --out")

    solve = commands.add_parser(
        "solve", help="solve one system from files", description="Solve A x = b for a matrix from a file."
    )
    solve.add_argument("matrix", metavar="A", help="matrix file: .mtx, .mtx.gz, .npz, .h5")
    solve.add_argument(
        "rhs",
        metavar="b",
        nargs="?",
        help="right-hand side: .mtx or .npy (default: the file's own, else A times ones)",
    )
    solve.add_argument("--method", default="auto", help="auto, direct, cg, minres, gmres, ... (see `ritzkit list`)")
    solve.add_argument(
        "--precond",
        default=None,
        metavar="NAME[:KEY=VALUE,...]",
        help="preconditioner, such as ic:alpha=0.95",
    )
    solve.add_argument("--rtol", type=_tolerance, default=1e-8, help="relative true residual to reach (default: 1e-8)")
    solve.add_argument(
        "--maxiter", type=_positive, metavar="N", help="cap on products with A (gmres: on restart cycles)"
    )
    solve.add_argument(
        "--plot", nargs="?", const="", metavar="FILE", help="draw the residual (default: <A>-residual.png)"
    )
    solve.add_argument("--out", metavar="FILE", help="write the solution: .mtx, .npy or .npz")
    solve.add_argument("--threads", metavar="N", type=_positive, help="threads for everything (default: all cores)")

    plot = commands.add_parser(
        "plot", help="make tables, figures and page from records", description="Make the page again."
    )
    plot.add_argument("records", metavar="RECORDS", help="records.jsonl, or the folder that holds it")
    plot.add_argument("--out", metavar="DIR", help="folder for what is made (default: that of the records)")

    generate = commands.add_parser(
        "generate",
        help="draw and solve samples, write them as a dataset",
        description="Write a dataset of solved samples for the libraries of neural operators.",
    )
    if "generate" in argv:  # its choices are those of the package `problems`, which takes a moment to load
        from .generate_command import add_arguments

        add_arguments(generate, positive=_positive, seed=_seed, tolerance=_tolerance)

    complete = commands.add_parser(
        "complete",
        help="complete a matrix from a file of observed entries",
        description="Low-rank completion of a file of row, column, value lines, such as ratings; shows the hold-out error.",
    )
    complete.add_argument(
        "file", metavar="FILE", help="lines of row, column, value (CSV, tabs, blanks); more is ignored"
    )
    complete.add_argument("--rank", metavar="N", type=_positive, required=True, help="rank of the completion")
    complete.add_argument("--method", default="altmin", help="altmin (default), altmin_incremental, lmafit, ...")
    complete.add_argument(
        "--inner", choices=("auto", "cg", "cholesky"), default="auto", help="row solves (default: auto)"
    )
    complete.add_argument(
        "--ridge",
        type=_weight,
        metavar="X",
        help="penalty per entry (default: 0.1 for altmin; 0 asks for an exact fit)",
    )
    complete.add_argument("--no-biases", action="store_true", help="no mean and no biases of rows and columns")
    complete.add_argument("--sweeps", type=_positive, metavar="N", help="cap on sweeps (default: 30 with a ridge)")
    complete.add_argument(
        "--holdout", type=_fraction, metavar="X", default=0.05, help="fraction held out (default: 0.05; 0 fits all)"
    )
    complete.add_argument("--float32", action="store_true", help="keep values in single precision")
    complete.add_argument("--seed", metavar="N", type=_seed, default=0, help="seed of all random draws (default: 0)")
    complete.add_argument("--out", metavar="FILE", help="write the model: .npz")
    complete.add_argument("--threads", metavar="N", type=_positive, help="threads for everything (default: all cores)")

    tune = commands.add_parser(
        "tune",
        help="search the constants of a solver on training systems",
        description="Search smoother, weights, sweeps and cycle of multigrid on training systems; write the best as TOML.",
    )
    tune.add_argument("what", choices=("multigrid",), help="what to tune")
    tune.add_argument("family", metavar="FAMILY", help="any of box, obstacles, walls, porous, darcy")
    tune.add_argument("--minutes", metavar="N", type=_minutes, default=5.0, help="time to spend (default: 5)")
    tune.add_argument("--out", metavar="FILE", help="the TOML file to write (default: multigrid-FAMILY.toml)")
    tune.add_argument("--threads", metavar="N", type=_positive, help="threads for everything (default: all cores)")

    commands.add_parser("list", help="list suites, solvers, methods, preconditioners, problem families")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit code: 0 success, 1 honest failure, 2 bad input, 130 interrupted.
    """
    try:
        argv = sys.argv[1:] if argv is None else argv
        parser = _build(argv)
        arguments = parser.parse_args(argv)
        if arguments.command == "bench":
            return _bench(arguments)
        if arguments.command == "plot":
            return _plot(arguments)
        if arguments.command == "solve":
            from .solve_command import run

            return run(arguments)
        if arguments.command == "generate":
            from .generate_command import run as run_generate

            return run_generate(arguments)
        if arguments.command == "complete":
            from .complete_command import run as complete

            return complete(arguments)
        if arguments.command == "tune":
            from .tune import run as tune

            _threads(arguments.threads)
            return tune(arguments.family, minutes=arguments.minutes, out=arguments.out)
        if arguments.command == "list":
            from .listing import run as run_list

            return run_list()
        parser.print_help()
        return 2
    except UserError as error:
        _tell(f"ritzkit: {error}")
        return 2
    except KeyboardInterrupt:
        _tell("ritzkit: interrupted")
        return 130
    except BrokenPipeError:  # the reader of a pipe (head, less) has enough
        sys.stderr.close()
        return 0
    except SystemExit as leave:  # --help and --version
        return int(leave.code or 0)


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _bench(arguments: argparse.Namespace) -> int:
    from . import suites
    from .progress import Progress
    from .records import Recorder
    from .runner import Settings, plan, run
    from .suites.base import SuiteOptions
    from .suites.configurations import get

    names = list(dict.fromkeys(arguments.suite)) or list(suites.NAMES)
    for name in names:
        suites.check(name)
    for solver in arguments.solver:
        get(solver)
    options = SuiteOptions(arguments.quick, tuple(arguments.size), arguments.folder, arguments.repeats)
    if arguments.folder is not None:
        from .suites.files import matrix_files

        matrix_files(arguments.folder)
        if not {"files", "spgemm"} & set(names):
            raise UserError(f"--folder goes with the suites `files` and `spgemm`, not with {', '.join(names)}")
    out = Path(arguments.out)
    records = out / "records.jsonl"
    settings = Settings(
        threads=_threads(arguments.threads),
        seed=arguments.seed,
        repeats=arguments.repeats or (3 if arguments.quick else 5),
        options=options,
        solvers=tuple(arguments.solver),
    )
    with Recorder(records, settings.config(), resume=arguments.resume) as recorder:
        try:
            work = plan([suites.get(name) for name in names], settings)
            if not work.steps:
                raise UserError(
                    f"nothing to run: no problem of {', '.join(names)} has the solver or size that was asked for"
                )
            with Progress(work.steps) as progress:
                run(work, settings, recorder, progress)
        except KeyboardInterrupt:
            _tell(
                f"ritzkit: interrupted; {recorder.finished} finished measurements are in {records}; go on "
                f"with: {_again(arguments)}"
            )
            return 130
    return _outputs(records, out)


def _again(arguments: argparse.Namespace) -> str:
    """Write the command that goes on with an interrupted benchmark."""
    parts = ["ritzkit bench"]
    parts += arguments.suite
    if arguments.quick:
        parts.append("--quick")
    parts.append(f"--out {arguments.out}")
    if arguments.solver:
        parts.append("--solver " + " ".join(arguments.solver))
    if arguments.size:
        parts.append("--size " + " ".join("x".join(map(str, size)) for size in arguments.size))
    parts += [
        f"--{k} {getattr(arguments, k)}" for k in ("threads", "seed", "repeats", "folder") if getattr(arguments, k)
    ]
    return " ".join([*parts, "--resume"])


def _threads(wanted: int | None) -> int:
    from ..linalg.threads import set_threads

    return int(set_threads(wanted))


def _outputs(records: Path, out: Path) -> int:
    """Make tables and page and print where they are; without Matplotlib tables, one line and exit code 1."""
    from .output import write_page, write_tables

    _say(records)
    _say(write_tables(records, out))
    try:
        _say(write_page(records, out))
    except UserError as error:
        _tell(f"ritzkit: {error}")
        return 1
    return 0


def _plot(arguments: argparse.Namespace) -> int:
    from .output import write_page, write_tables

    records = Path(arguments.records)
    out = Path(arguments.out) if arguments.out else records if records.is_dir() else records.parent
    _say(write_tables(records, out))
    _say(write_page(records, out))
    return 0
