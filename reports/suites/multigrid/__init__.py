"""Structured-grid multigrid by size and geometry, against transforms, PyAMG, SuperLU and hypre.

``geometries``
    what is solved: an empty box, obstacles, random media, in 2-D and 3-D;
``growth``
    iterations and seconds of multigrid at every size (32³ to 256³, 128² to 4096²);
``traffic``, ``batch``
    an iteration against a plain copy of what it moves, and memory; many systems together against one at a time;
``hypre``, ``refusals``
    the optional opponent on MPI ranks; wrong input.

The instances compare whole solves with the opponents, which are run where they fit time and memory: all PyAMG settings at
64³ and 256², the best three of them (by those runs and by runs at other seeds) and the Ruge-Stueben default at 128³, none
beyond; SuperLU on 256²; the other methods of this package up to 128³ and 512².
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import Instance, Measurement, Size, Suite, SuiteOptions, Terms, pick_sizes
from ..grid_configurations import PYAMG
from .geometries import GEOMETRIES, Geometry, by_name, text

__all__ = ["SUITE"]

OURS = ("multigrid-cg", "multigrid-default-cg", "multigrid-11-cg", "mic-e-cg")
BEST = ("pyamg-rs-gs", "pyamg-rs-theta", "pyamg-sa-gs", "pyamg-rs-cg")
BOX = ("fast-poisson", *OURS)

# geometry, edge, solvers; the edge says which sizes of --quick or of a whole run
FULL: tuple[tuple[str, Size, tuple[str, ...]], ...] = (
    ("box", (1024, 1024), BOX),
    ("box", (128, 128, 128), BOX),
    ("balls", (512, 512), (*OURS, *BEST)),
    ("walls", (256, 256), (*OURS, *BEST)),
    ("comb", (256, 256), (*OURS, *BEST)),
    ("fno", (256, 256), (*OURS, *PYAMG, "direct")),
    ("lognormal-9", (256, 256), (*OURS, *BEST, "direct")),
    ("balls", (64, 64, 64), (*OURS, "fast-poisson-cg", *PYAMG)),
    ("comb", (64, 64, 64), (*OURS, *BEST)),
    ("porous", (64, 64, 64), (*OURS, *BEST)),
    ("balls", (128, 128, 128), (*OURS, *BEST)),
)
QUICK: tuple[tuple[str, Size, tuple[str, ...]], ...] = (
    ("box", (256, 256), BOX),
    ("fno", (128, 128), (*OURS, "pyamg-rs-gs", "direct")),
    ("balls", (32, 32, 32), (*OURS, "fast-poisson-cg", "pyamg-rs-gs")),
    ("comb", (32, 32, 32), (*OURS, "pyamg-rs-gs")),
)
EDGES = {2: (128, 256, 512, 1024, 2048, 4096), 3: (32, 64, 128, 256)}
QUICK_EDGES = {2: (128, 256), 3: (32,)}
SMALL = 1024**2 * 2
"""Unknowns up to which all variants of multigrid are measured on every geometry."""


def _instance(geometry: Geometry, shape: Size, solvers: tuple[str, ...]) -> Instance:
    dim = len(shape)
    name = str(shape[0]) if len(set(shape)) == 1 else "x".join(map(str, shape))
    return Instance(
        name=f"{geometry.name}-{dim}d-{name}",
        label=f"{geometry.label[0].upper()}{geometry.label[1:]}, {text(shape)}",
        make=lambda rng: geometry.family(shape).sample(rng),
        warm=lambda rng: geometry.family((16,) * dim).sample(rng),
        solvers=solvers,
    )


def _instances(options: SuiteOptions) -> list[Instance]:
    chosen = QUICK if options.quick else FULL
    if options.sizes:  # every geometry once, with all its solvers, at each size that was asked for
        chosen = tuple(
            (name, shape, tuple(dict.fromkeys(s for g, other, names in chosen if g == name and len(other) == dim
                                              for s in names)))
            for dim in (2, 3)
            for shape in pick_sizes(options, dim=dim, quick=(), full=())
            for name in dict.fromkeys(g for g, other, _ in chosen if len(other) == dim)
        )  # fmt: skip
    return [_instance(by_name(name), shape, solvers) for name, shape, solvers in chosen]


def _later(module: str, *arguments: Any) -> Callable[[Terms], dict[str, Any]]:
    """Return a measurement that imports its module when it runs."""

    def run(terms: Terms) -> dict[str, Any]:
        import importlib

        result: dict[str, Any] = importlib.import_module(f".{module}", __name__).measure(*arguments, terms)
        return result

    return run


def _growth(geometry: Geometry, shape: Size, options: SuiteOptions) -> Measurement:
    n = int(np.prod(shape))
    timed = geometry.name == "box"
    repeats = options.repeats or (3 if options.quick else 5) if timed else 1
    # the goals are about V(1,1) on the box, balls, walls and combs
    judged = geometry.name in ("box", "balls", "walls", "comb")
    variants: tuple[str, ...] = ("tuned",)
    if judged or n <= SMALL:
        variants = ("tuned", "default", "V(1,1)+", "V(1,1)")
    dim = len(shape)
    return Measurement(
        f"growth-{geometry.name}-{dim}d-{'x'.join(map(str, shape))}",
        f"{geometry.label}, {text(shape)}",
        _later("growth", geometry, shape, variants, repeats),
        {"geometry": geometry.name, "shape": shape, "variants": variants, "repeats": repeats},
    )


def _measurements(options: SuiteOptions) -> list[Measurement]:
    found = []
    for dim in (2, 3):
        shapes = pick_sizes(options, dim=dim, quick=QUICK_EDGES[dim], full=EDGES[dim])
        for geometry in GEOMETRIES:
            found += [_growth(geometry, shape, options) for shape in shapes if int(np.prod(shape)) <= geometry.largest]
    if options.sizes:
        return found
    edge, repeats = (64, 3) if options.quick else (256, 5)
    repeats = options.repeats or repeats
    batch, count = (128, 8 if options.quick else 32)
    hypre = 32 if options.quick else 128
    for name in ("box", "balls"):
        shape = (edge,) * 3
        run = _later("traffic", by_name(name), shape, repeats)
        found.append(Measurement(f"traffic-{name}-{edge}", f"One iteration, {by_name(name).label}, {text(shape)}", run,
                                 {"geometry": name, "shape": shape}))  # fmt: skip
    found += [
        Measurement(f"batch-{name}-{batch}", f"{count} systems at once, {by_name(name).label}, {batch}²",
                    _later("batch", by_name(name), (batch, batch), count, repeats),
                    {"geometry": name, "edge": batch, "count": count})
        for name in ("fno",)
    ]  # fmt: skip
    found.append(Measurement(f"hypre-balls-{hypre}", f"hypre BoomerAMG, balls, {hypre}³",
                             _later("hypre", by_name("balls"), (hypre,) * 3, repeats), {"edge": hypre}))  # fmt: skip
    found.append(Measurement("refusals", "Wrong input", _later("refusals")))
    return found


SUITE = Suite(
    "multigrid",
    "Structured-grid multigrid by size and geometry, against transforms, PyAMG and SuperLU",
    _instances,
    measurements=_measurements,
)
