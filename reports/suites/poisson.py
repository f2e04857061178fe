"""Poisson's equation: squares, cubes, and voxel grids with obstacles in the way."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Instance, Size, Suite, SuiteOptions, pick_sizes

__all__ = ["SUITE"]

SOLVERS = (
    "scipy-cg", "cg", "jacobi-cg", "ssor-cg", "chebyshev-cg", "ic0-cg", "mic-cg", "mic-e-cg", "ssor-e-cg",
    "ic2-cg", "ict-cg", "sa-amg-cg", "rs-amg-cg", "pyamg-sa-cg", "pyamg-rs-cg", "direct",
)  # fmt: skip
PICTURES = ("cg", "mic-cg", "sa-amg-cg")


def _text(shape: Size) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(map(str, shape))


def _id(shape: Size) -> str:
    return str(shape[0]) if len(set(shape)) == 1 else "x".join(map(str, shape))


def _poisson(shape: Size) -> Instance:
    from ...problems import Poisson

    dim = len(shape)
    solvers = (
        SOLVERS if dim == 2 else tuple(s for s in SOLVERS if s != "direct")
    )  # its fill in 3-D is out of proportion
    return Instance(
        name=f"poisson-{dim}d-{_id(shape)}",
        label=f"Poisson {dim}-D, {_text(shape)}",
        make=lambda rng: Poisson(shape, rhs="smooth").sample(rng),
        warm=lambda rng: Poisson((12,) * dim).sample(rng),
        solvers=solvers,
        pictures=PICTURES,
    )


def _obstacles(shape: Size, kind: str) -> Instance:
    from ...problems import Obstacles

    dim = len(shape)

    def make(rng: np.random.Generator) -> Any:
        return Obstacles(shape, kind, rhs="ones").sample(rng)

    return Instance(
        name=f"obstacles-{kind}-{dim}d-{_id(shape)}",
        label=f"Obstacles ({kind}) {dim}-D, {_text(shape)}",
        make=make,
        warm=lambda rng: Obstacles((16,) * dim, kind).sample(rng),
        solvers=tuple(s for s in SOLVERS if s != "direct"),  # enclosed pockets make some of them singular
        pictures=PICTURES,
    )


def _instances(options: SuiteOptions) -> list[Instance]:
    flat = pick_sizes(options, dim=2, quick=[192], full=[256, 512])
    solid = pick_sizes(options, dim=3, quick=[32], full=[48, 80])
    instances = [_poisson(shape) for shape in flat + solid]
    kinds = (("balls", "walls"), ("balls",)) if options.quick else (("balls", "walls", "porous"), ("balls", "porous"))
    instances += [_obstacles(shape, kind) for shape in flat[:1] for kind in kinds[0]]
    instances += [_obstacles(shape, kind) for shape in solid[:1] for kind in kinds[1]]
    return instances


SUITE = Suite("poisson", "Poisson's equation in 2-D and 3-D, plain and around obstacles", _instances)
