"""What a suite is made of: problem instances, configurations, kernel comparisons, measurements. Data; `runner` runs it.

Every configuration starts from the same assembled matrix (canonical CSR, facts declared), so that no method
is charged for, or spared, an assembly. What a method derives from the matrix (a copy, a transpose, a factor)
is its own set-up.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

__all__ = [
    "Case",
    "Configuration",
    "Instance",
    "KernelCase",
    "Measurement",
    "Run",
    "Size",
    "Suite",
    "SuiteOptions",
    "Terms",
    "pick_sizes",
]

Vector = NDArray[Any]
Size = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A problem made ready for the solvers.

    Attributes
    ----------
    problem : ritzkit.problems.Problem
        The problem as its family made it.
    A : ritzkit.linalg.CSROperator
        Its assembled matrix with the declared facts.
    csr : scipy.sparse.csr_array
        The same matrix for SciPy and PyAMG.
    b : (n,) ndarray
        Right-hand side.
    kept : (n,) ndarray of int, optional
        The unknowns of the problem that are in the system; None for all.
    """

    problem: Any
    A: Any
    csr: Any
    b: Vector
    kept: NDArray[np.intp] | None = None

    @classmethod
    def of(cls, problem: Any) -> Case:
        """Assemble the problem's operator once, keeping what it states.

        Unknowns that stand in no equation (a cell that obstacles shut in on all sides has an empty row, and
        zero on the right) are left out: any value solves them, and no preconditioner has anything to hold on
        to.
        """
        from scipy.sparse import csr_array

        from ...linalg import CSROperator

        operator = problem.A
        csr = csr_array(operator.tocsr())
        b = np.ascontiguousarray(problem.b)
        null = operator.nullspace
        kept = None
        if null is not None:
            empty = (abs(csr).sum(axis=1) == 0) & (abs(csr).sum(axis=0) == 0) & (b == 0)
            if empty.any():
                kept = np.flatnonzero(~empty)
                csr = csr[kept][:, kept]
                b = b[kept]
                null = null.tocsr()[kept].tocsc()
                null = null[:, np.diff(null.indptr) > 0]
        A = CSROperator(
            csr,
            symmetric=operator.symmetric,
            positive_definite=operator.positive_definite,
            nullspace=null if null is not None and null.shape[1] else None,
        )
        return cls(problem, A, A.matrix, b, kept)

    @property
    def left_out(self) -> int:
        """Number of unknowns that stand in no equation."""
        return 0 if self.kept is None else int(self.problem.A.shape[0] - self.kept.size)

    def part(self, x: Vector) -> Vector:
        """Return the entries of a vector over the problem's unknowns that are in the system."""
        return x if self.kept is None else x[self.kept]

    def whole(self, x: Vector) -> Vector:
        """Return a vector over all unknowns of the problem; nan where one was left out."""
        if self.kept is None:
            return x
        full = np.full(self.problem.A.shape[0], np.nan, dtype=x.dtype)
        full[self.kept] = x
        return full

    @property
    def n(self) -> int:
        """Number of unknowns."""
        return int(self.csr.shape[0])

    def true_residual(self, x: Vector) -> float:
        """Relative true residual, recomputed with SciPy's product: the same yardstick for every method."""
        size = float(np.linalg.norm(self.b))
        with np.errstate(all="ignore"):
            rest = float(np.linalg.norm(self.b - self.csr @ np.asarray(x).ravel()))
        return rest / size if size > 0 else rest


@dataclass(frozen=True)
class Run:
    """What one solve gave, in the terms of the records."""

    x: Vector
    info: int
    outcome: str
    text: str
    iterations: int
    matvecs: int
    psolves: int
    residuals: Sequence[float] = ()
    products: Sequence[int] = ()
    times: Sequence[float] = ()


@dataclass(frozen=True)
class Configuration:
    """A named solver with all its parameters.

    Attributes
    ----------
    name : str
        Short readable id such as "mic-cg".
    title : str
        What it is, in a few words.
    parameters : mapping
        Every parameter that is not a default; goes into the records.
    setup : callable
        ``setup(case) -> M``; its time is the set-up time.
    solve : callable
        ``solve(case, M, rtol) -> Run``; its time is the solve time.
    trace : callable, optional
        ``trace(case, M, rtol) -> Run``: the same solve with its residual history, not timed. For solvers of
        others, whose history costs extra products.
    external : bool
        Whether the solver is somebody else's.
    """

    name: str
    title: str
    parameters: Mapping[str, Any]
    setup: Callable[[Case], Any]
    solve: Callable[[Case, Any, float], Run]
    trace: Callable[[Case, Any, float], Run] | None = None
    external: bool = False


@dataclass(frozen=True)
class Instance:
    """One problem of a suite.

    Attributes
    ----------
    name : str
        Readable id, unique in the suite.
    label : str
        Name for people.
    make : callable
        ``make(rng) -> Problem``.
    warm : callable
        ``warm(rng) -> Problem``: a tiny problem of the same class, on which every solver runs once untimed.
    solvers : tuple of str
        Names of the configurations to run.
    pictures : tuple of str
        Configurations whose error at a relative residual of 1e-4 is drawn; empty for no pictures.
    """

    name: str
    label: str
    make: Callable[[np.random.Generator], Any]
    warm: Callable[[np.random.Generator], Any]
    solvers: tuple[str, ...]
    pictures: tuple[str, ...] = ()

    def rng(self, seed: int) -> np.random.Generator:
        """Return the generator that makes this instance, independent of what ran before it."""
        return np.random.default_rng([seed, zlib.crc32(self.name.encode())])


@dataclass(frozen=True)
class KernelCase:
    """A comparison of one operation with an opponent.

    Attributes
    ----------
    name, label, ours, theirs : str
        Names for ids and for people.
    target : float
        The ratio (their seconds over ours) that the project asks of itself.
    make : callable
        ``make() -> (run_ours, run_theirs, deviation)``; the first two return the seconds of one sample,
        `deviation` is the largest relative difference of the two answers.
    tolerance : float
        Largest `deviation` that counts as the same answer.
    """

    name: str
    label: str
    ours: str
    theirs: str
    target: float
    make: Callable[[], tuple[Callable[[], float], Callable[[], float], float]]
    tolerance: float = 1e-10


@dataclass(frozen=True)
class Terms:
    """On what terms a measurement runs.

    Attributes
    ----------
    threads : int
        Threads of every library.
    seed : int
        Seed of all random draws.
    options : SuiteOptions
        What the command line says.
    say : callable
        ``say(text)`` shows what is being done.
    tick : callable
        ``tick()`` counts one of the measurement's steps as done.
    """

    threads: int
    seed: int
    options: SuiteOptions
    say: Callable[[str], None] = lambda text: None
    tick: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Measurement:
    """Something that a suite measures in its own way; one record comes out.

    Attributes
    ----------
    name, label : str
        Readable id, unique in the suite, and name for people.
    run : callable
        ``run(terms) -> record``; the record has a ``kind`` of the suite's own and what its tables need.
    parameters : mapping
        What the result depends on; part of the key of the record.
    steps : int
        Steps for the progress bar; what `run` does not tick counts at its end.
    """

    name: str
    label: str
    run: Callable[[Terms], Mapping[str, Any]]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 1


@dataclass(frozen=True)
class SuiteOptions:
    """What the command line says about a suite; `repeats` is None where it says nothing."""

    quick: bool = False
    sizes: tuple[Size, ...] = ()
    folder: str | None = None
    repeats: int | None = None


@dataclass(frozen=True)
class Suite:
    """A named list of instances, kernel comparisons and measurements.

    Attributes
    ----------
    name, summary : str
        Name and one line on what it shows.
    instances : callable
        ``instances(options) -> list of Instance``.
    kernels : callable, optional
        ``kernels(options) -> list of KernelCase``.
    measurements : callable, optional
        ``measurements(options) -> list of Measurement``.
    """

    name: str
    summary: str
    instances: Callable[[SuiteOptions], list[Instance]] = field(default=lambda options: [])
    kernels: Callable[[SuiteOptions], list[KernelCase]] = field(default=lambda options: [])
    measurements: Callable[[SuiteOptions], list[Measurement]] = field(default=lambda options: [])


def pick_sizes(options: SuiteOptions, *, dim: int, quick: Sequence[int], full: Sequence[int]) -> list[Size]:
    """Grid shapes of one dimension: from ``--size`` where given, else the suite's own.

    A plain number N means N x N in two dimensions, and in three the cube with about as many cells; a shape
    such as 64x64x32 means what it says and counts for its own dimension only.

    Examples
    --------
    >>> pick_sizes(SuiteOptions(quick=True), dim=2, quick=[32], full=[256])
    [(32, 32)]
    >>> pick_sizes(SuiteOptions(sizes=((64,),)), dim=3, quick=[], full=[])
    [(16, 16, 16)]
    """
    if not options.sizes:
        return [(n,) * dim for n in (quick if options.quick else full)]
    shapes: list[Size] = []
    for size in options.sizes:
        if len(size) == 1:
            shapes.append((size[0],) * 2 if dim == 2 else (max(4, round(size[0] ** (2 / 3))),) * 3)
        elif len(size) == dim:
            shapes.append(size)
    return shapes


def edge(shape: Size, what: str) -> int:
    """Return the edge of a square or cubic grid; refuse another shape in one line."""
    if len(set(shape)) != 1:
        raise UserError(
            f"--size {'x'.join(map(str, shape))}: {what} needs equal edges, for example {'x'.join(['64'] * len(shape))}"
        )
    return shape[0]
