"""Runs a suite under the evidence rules and appends records.

- Every method starts from the same assembled matrix and from zero, and stops at the same relative true
  residual, which is recomputed here from the answer with SciPy's product. That number alone decides whether
  a run counts as solved.
- Set-up and solve are both on the clock. Before the clock, every solver runs once on a tiny problem of the
  same class, and once at a loose tolerance on the problem itself, so that compilation is over (some kernels
  have a second form for large arrays). How long these first runs took is recorded as ``first_run_seconds``.
- Untimed calls of the method itself, for a tenth of a second, come before a short one on the clock (see `timing`).
- Repeats are interleaved (A B C A B C ...), so that a slow spell of the machine meets all methods. The
  garbage collector is off on the clock.
- A quick run drops the further repeats of a problem that is slow; the tables say so.
- A run that fails is recorded with its reason and is not repeated: it has no time to take a median of.
- The residual history of a method of others costs extra products; it comes from one run off the clock, whose
  seconds are scaled to the timed run.
"""

from __future__ import annotations

import gc
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .fields import picture_of
from .progress import Progress
from .records import Recorder, digest, environment, plain, thin
from .suites import timing
from .suites.base import Case, Configuration, Instance, KernelCase, Measurement, Run, Suite, SuiteOptions, Terms
from .suites.configurations import get
from .summary import TARGETS

__all__ = ["PICTURE_RESIDUAL", "ROUNDING", "Plan", "Settings", "plan", "run"]

ROUNDING = 1.01
"""Slack on the tolerance for the recomputed residual: another order of summation, not another answer."""

PICTURE_RESIDUAL = 1e-4
"""Relative residual at which the error pictures are taken."""


@dataclass(frozen=True)
class Settings:
    """How a benchmark measures; its digest guards the records against mixing.

    Attributes
    ----------
    threads : int
        Threads of every library.
    seed : int
        Seed of all random draws.
    repeats : int
        Interleaved repeats.
    rtol : float
        Relative true residual to reach.
    options : SuiteOptions
        Sizes and folder.
    solvers : tuple of str
        Only these configurations, where a problem has them; empty for all.
    """

    threads: int
    seed: int = 0
    repeats: int = 5
    rtol: float = 1e-8
    options: SuiteOptions = field(default_factory=SuiteOptions)
    solvers: tuple[str, ...] = ()

    @property
    def patience(self) -> float:
        """Seconds on the clock after which a problem gets no further repeat: a quick run stays quick on a busy machine."""
        return 10.0 if self.options.quick else math.inf

    @property
    def warm(self) -> float:
        """Seconds of untimed calls before a short one on the clock."""
        return timing.WARM_QUICK if self.options.quick else timing.WARM_SECONDS

    def config(self) -> dict[str, Any]:
        """Return what must not differ between records that are compared."""
        return {
            "threads": self.threads,
            "seed": self.seed,
            "repeats": self.repeats,
            "rtol": self.rtol,
            "quick": self.options.quick,
            "environment": environment(self.threads)["id"],
        }


@dataclass(frozen=True)
class Plan:
    """What is going to be run, suite by suite: instances with their configurations, kernel comparisons, measurements."""

    suites: list[tuple[Suite, list[tuple[Instance, list[Configuration]]], list[KernelCase], list[Measurement]]]
    repeats: int

    @property
    def steps(self) -> int:
        """Number of measurements ahead, for the progress bar."""
        solves = sum(len(c) for _, instances, _, _ in self.suites for _, c in instances) * self.repeats
        measurements = sum(m.steps for _, _, _, own in self.suites for m in own)
        return solves + sum(len(kernels) for _, _, kernels, _ in self.suites) + measurements


def plan(suites: Sequence[Suite], settings: Settings) -> Plan:
    """Lay out all measurements before the first one runs."""
    chosen = []
    for suite in suites:
        instances = []
        for instance in suite.instances(settings.options):
            names = [s for s in instance.solvers if not settings.solvers or s in settings.solvers]
            if names:
                instances.append((instance, [get(name) for name in names]))
        kernels = [] if settings.solvers else suite.kernels(settings.options)
        measurements = [] if settings.solvers else suite.measurements(settings.options)
        chosen.append((suite, instances, kernels, measurements))
    return Plan(chosen, settings.repeats)


def run(work: Plan, settings: Settings, recorder: Recorder, progress: Progress) -> None:
    """Run everything in `work` that the recorder does not have yet."""
    from ..linalg.threads import set_threads

    set_threads(settings.threads)
    recorder.add_environment(environment(settings.threads))
    warmed: dict[tuple[str, str], float] = {}
    for suite, instances, kernels, measurements in work.suites:
        for instance, configurations in instances:
            _instance(suite, instance, configurations, settings, recorder, progress, warmed)
        for kernel in kernels:
            _kernel(suite, kernel, settings, recorder, progress)
        for measurement in measurements:
            _measurement(suite, measurement, settings, recorder, progress)


def _instance(
    suite: Suite,
    instance: Instance,
    configurations: Sequence[Configuration],
    settings: Settings,
    recorder: Recorder,
    progress: Progress,
    warmed: dict[tuple[str, str], float],
) -> None:
    keys = {
        (c.name, repeat): digest([suite.name, instance.name, instance.label, c.name, c.parameters, repeat])
        for c in configurations
        for repeat in range(settings.repeats)
    }
    drawn = [c.name for c in configurations if c.name in instance.pictures]
    picture_key = digest([suite.name, instance.name, instance.label, "picture", drawn])
    failed: set[str] = set()
    open_runs = [pair for pair, key in keys.items() if not recorder.has(key)]
    if not open_runs:
        progress.advance(len(keys))
        if not instance.pictures or recorder.has(picture_key):
            return
    progress.say(f"{instance.label}: building")
    problem = instance.make(instance.rng(settings.seed))
    case = Case.of(problem)
    shared = {
        "kind": "solve",
        "suite": suite.name,
        "problem": instance.name,
        "label": instance.label,
        "family": problem.parameters.get("family", "file"),
        "parameters": problem.parameters,
        "n": case.n,
        "nnz": int(case.csr.nnz),
        "left_out": case.left_out,
        "environment": environment(settings.threads)["id"],
        **{name: getattr(settings, name) for name in ("seed", "threads", "rtol", "repeats")},
    }
    tiny: Case | None = None
    traces: dict[str, Run] = {}
    first_here: dict[str, float] = {}
    # what Numba compiles depends on these
    number_kind = f"{case.csr.dtype} {case.csr.indices.dtype} {case.A.nullspace is not None}"
    for configuration in configurations:
        if not any((configuration.name, repeat) in open_runs for repeat in range(settings.repeats)):
            continue
        warm_key = (configuration.name, number_kind)
        if warm_key not in warmed:
            progress.say(f"{configuration.name}: first run")
            tiny = tiny or Case.of(instance.warm(np.random.default_rng(settings.seed)))
            warmed[warm_key] = _first_run(configuration, tiny, settings.rtol)
        # some kernels have a second form for large arrays, compiled on first use
        progress.say(f"{instance.label}: {configuration.name}, untimed")
        first_here[configuration.name] = warmed[warm_key] + _first_run(configuration, case, 0.5)
        if configuration.trace is not None:
            progress.say(f"{instance.label}: {configuration.name}, history")
            traces[configuration.name] = _trace(configuration, case, settings.rtol)
    last: dict[str, float] = {}
    clock = 0.0
    for repeat in range(settings.repeats):
        if clock > settings.patience:
            progress.advance(len(configurations))
            continue
        for configuration in configurations:
            key = keys[configuration.name, repeat]
            if recorder.has(key) or configuration.name in failed:
                progress.advance()
                continue
            progress.say(f"{instance.label}: {configuration.name}")
            warm = settings.warm if last.get(configuration.name, 0.0) < timing.LONG else 0.0
            record = _solve(configuration, case, settings.rtol, traces.get(configuration.name), warm)
            last[configuration.name] = record["setup_seconds"] + record["solve_seconds"]
            if not record["solved"]:
                failed.add(configuration.name)
                # a resumed benchmark need not try the other repeats either
                record["closes"] = [keys[configuration.name, later] for later in range(repeat + 1, settings.repeats)]
            clock += record["setup_seconds"] + record["solve_seconds"]
            record["first_run_seconds"] = first_here.get(configuration.name)
            recorder.add(key, {**shared, "repeat": repeat, **record})
            progress.advance()
    if instance.pictures and not recorder.has(picture_key):
        progress.say(f"{instance.label}: pictures")
        record_of_picture = _picture(case, [get(name) for name in drawn])
        if record_of_picture is not None:
            head = {k: shared[k] for k in ("suite", "problem", "label", "n")}
            recorder.add(picture_key, {"kind": "picture", **head, **record_of_picture})


def _first_run(configuration: Configuration, tiny: Case, rtol: float) -> float:
    start = time.perf_counter()
    _guarded(configuration, tiny, rtol)
    return time.perf_counter() - start


def _guarded(configuration: Configuration, case: Case, rtol: float) -> tuple[Any, Run, float, float]:
    """Set up and solve on the clock; what raises becomes an outcome and does not end the benchmark."""
    M = None
    start = middle = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what is worth knowing is in the outcome
        try:
            M = configuration.setup(case)
            middle = time.perf_counter()
            result = configuration.solve(case, M, rtol)
        except (
            ArithmeticError,
            ValueError,
            TypeError,
            RuntimeError,
            MemoryError,
            np.linalg.LinAlgError,
        ) as error:
            text = " ".join(str(error).split()) or type(error).__name__
            result = Run(np.zeros(case.n), -1, "ERROR", text, 0, 0, 0)
    return M, result, middle - start, time.perf_counter() - middle


def _solve(configuration: Configuration, case: Case, rtol: float, trace: Run | None, warm: float) -> dict[str, Any]:
    gc.collect()
    if warm:
        timing.wake(lambda: _guarded(configuration, case, rtol), warm)
    gc.disable()
    try:
        M, result, setup_seconds, solve_seconds = _guarded(configuration, case, rtol)
    finally:
        gc.enable()
    residual = case.true_residual(result.x)
    solved = bool(np.isfinite(residual) and residual <= rtol * ROUNDING)
    outcome, text = result.outcome, result.text
    if not solved and outcome == "CONVERGED":
        outcome, text = (
            "FALSE_SUCCESS",
            f"it reports success, but its true relative residual is {residual:.1e}",
        )
    source = trace or result
    times = np.asarray(source.times, dtype=float)
    if trace is not None and len(times) and times[-1] > 0:
        times = times * (solve_seconds / times[-1])
    columns: dict[str, Any] = {
        "residual": source.residuals,
        "products": source.products,
        "seconds": times + setup_seconds,
    }
    return {
        "solver": configuration.name,
        "title": configuration.title,
        "solver_parameters": configuration.parameters,
        "external": configuration.external,
        "iterations": source.iterations,
        "matvecs": source.matvecs,
        "psolves": source.psolves,
        "info": result.info,
        "outcome": outcome,
        "text": text,
        "residual": residual,
        "solved": solved,
        "setup_seconds": setup_seconds,
        "solve_seconds": solve_seconds,
        "reached": _reached(columns, source.matvecs, setup_seconds + solve_seconds, residual),
        "memory_bytes": _memory(M),
        "history": thin(columns),
    }


def _reached(columns: Mapping[str, Any], products: int, total: float, residual: float) -> dict[str, Any]:
    """Products and seconds (with set-up) at the first point of the history below each target."""
    history = np.asarray(columns["residual"], dtype=float)
    reached: dict[str, Any] = {}
    for target in TARGETS:
        below = np.flatnonzero(history <= float(target))
        if below.size:
            at = int(below[0])
            reached[target] = {
                "products": int(columns["products"][at]),
                "seconds": float(columns["seconds"][at]),
            }
        elif residual <= float(target) * ROUNDING:
            reached[target] = {"products": products, "seconds": total}
        else:
            reached[target] = None
    return reached


def _trace(configuration: Configuration, case: Case, rtol: float) -> Run:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            trace = configuration.trace
            if trace is None:
                raise ValueError("this configuration has no trace")
            return trace(case, configuration.setup(case), rtol)
        except (
            ArithmeticError,
            ValueError,
            TypeError,
            RuntimeError,
            MemoryError,
            np.linalg.LinAlgError,
        ) as error:
            return Run(np.zeros(case.n), -1, "ERROR", str(error), 0, 0, 0)


def _memory(M: Any) -> int | None:
    """Bytes that the preconditioner holds, where it can be told."""
    if M is None:
        return 0
    size = getattr(M, "memory_bytes", None)
    if size is not None:
        return int(size)
    if hasattr(M, "levels"):  # a PyAMG hierarchy
        matrices = [getattr(level, name, None) for level in M.levels for name in ("A", "P", "R")]
        return sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in matrices if m is not None)
    return None


def _picture(case: Case, configurations: Sequence[Configuration]) -> dict[str, Any] | None:
    """Draw the solution, and what separates each configuration's answer from it at the same residual."""
    reference = _reference(case)
    solution = None if reference is None else picture_of(case.problem, case.whole(reference))
    if reference is None or solution is None:
        return None
    errors = []
    for configuration in configurations:
        _, result, _, _ = _guarded(configuration, case, PICTURE_RESIDUAL)
        residual = case.true_residual(result.x)
        if not residual <= PICTURE_RESIDUAL * ROUNDING:
            continue
        error = _without_null(case, np.asarray(result.x) - reference)
        field = picture_of(case.problem, case.whole(error))
        if field is not None:
            size = float(np.linalg.norm(error) / np.linalg.norm(reference))
            errors.append(
                {
                    "solver": configuration.name,
                    "relative_error": size,
                    "products": result.matvecs,
                    "field": field["field"],
                }
            )
    return {
        "solution": solution,
        "errors": errors,
        "residual": PICTURE_RESIDUAL,
        "parameters": plain(case.problem.parameters),
    }


def _without_null(case: Case, x: Any) -> Any:
    null = case.A.nullspace
    return x if null is None else x - null @ (null.conj().T @ x)


def _reference(case: Case) -> Any:
    """Return the known solution if it solves the discrete system, else one to nearly full precision."""
    problem = case.problem
    known = None if problem.x is None else case.part(problem.x)
    if known is not None and case.true_residual(known) < 1e-11:
        return _without_null(case, known)
    definite = case.A.symmetric and case.A.positive_definite
    _, result, _, _ = _guarded(get("sa-amg-cg" if definite else "direct"), case, 1e-12)
    return _without_null(case, result.x) if case.true_residual(result.x) < 1e-9 else None


def _kernel(suite: Suite, kernel: KernelCase, settings: Settings, recorder: Recorder, progress: Progress) -> None:
    key = digest([suite.name, kernel.name, kernel.label, kernel.target])
    if not recorder.has(key):
        progress.say(f"{kernel.label}")
        ours, theirs, deviation = kernel.make()
        seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
        gc.collect()
        gc.disable()
        try:
            for _ in range(settings.repeats):
                seconds["ours"].append(ours())
                seconds["theirs"].append(theirs())
        finally:
            gc.enable()
        recorder.add(
            key,
            {
                "kind": "kernel",
                "suite": suite.name,
                "problem": kernel.name,
                "label": kernel.label,
                "ours": kernel.ours,
                "theirs": kernel.theirs,
                "target": kernel.target,
                "ours_seconds": seconds["ours"],
                "theirs_seconds": seconds["theirs"],
                "deviation": deviation,
                "same_answer": bool(deviation <= kernel.tolerance),
                "threads": settings.threads,
                "environment": environment(settings.threads)["id"],
            },
        )
    progress.advance()


def _measurement(
    suite: Suite, measurement: Measurement, settings: Settings, recorder: Recorder, progress: Progress
) -> None:
    key = digest([suite.name, measurement.name, measurement.label, measurement.parameters])
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        if ticks < measurement.steps:
            ticks += 1
            progress.advance()

    if not recorder.has(key):
        progress.say(measurement.label)
        terms = Terms(settings.threads, settings.seed, settings.options, progress.say, tick)
        record = {
            "suite": suite.name,
            "problem": measurement.name,
            "label": measurement.label,
            "parameters": measurement.parameters,
            "seed": settings.seed,
            "threads": settings.threads,
            "environment": environment(settings.threads)["id"],
        }
        recorder.add(key, {**record, **measurement.run(terms)})
    progress.advance(measurement.steps - ticks)
