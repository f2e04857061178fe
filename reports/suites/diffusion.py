"""Diffusion that is hard for another reason than its size: jumps, randomness, direction."""

from __future__ import annotations

from .base import Instance, Size, Suite, SuiteOptions, edge, pick_sizes
from .poisson import PICTURES

__all__ = ["SUITE"]

SOLVERS = (
    "scipy-cg", "cg", "jacobi-cg", "ssor-cg", "ic0-cg", "mic-cg", "ic2-cg", "ict-cg",
    "sa-amg-cg", "rs-amg-cg", "pyamg-sa-cg", "pyamg-rs-cg", "direct",
)  # fmt: skip
MOST_MESH = 160  # beyond it the picture in the records grows out of proportion


def _darcy(shape: Size, law: str, label: str) -> Instance:
    from ...problems import Darcy

    n = edge(shape, "darcy")
    return Instance(
        name=f"darcy-{law}-{n}",
        label=f"Darcy flow, {label}, {n} \N{MULTIPLICATION SIGN} {n}",
        make=lambda rng: Darcy(n, law).sample(rng),
        warm=lambda rng: Darcy(12, law).sample(rng),
        solvers=(*SOLVERS, "mic-e-cg"),  # Eisenstat's form needs a five-point pattern
        pictures=PICTURES,
    )


def _anisotropic(shape: Size, epsilon: float, theta: float) -> Instance:
    from ...problems import Anisotropic

    n = edge(shape, "anisotropic")
    degrees = round(theta * 180 / 3.141592653589793)
    return Instance(
        name=f"anisotropic-{n}",
        label=f"Anisotropic diffusion, ratio {epsilon:g} at {degrees}°, {n} \N{MULTIPLICATION SIGN} {n}",
        make=lambda rng: Anisotropic(n, epsilon=epsilon, theta=theta).sample(rng),
        warm=lambda rng: Anisotropic(12, epsilon=epsilon, theta=theta).sample(rng),
        solvers=SOLVERS,
        pictures=PICTURES,
    )


def _mesh(shape: Size) -> Instance:
    from ...problems import MeshPoisson

    n = edge(shape, "mesh-poisson")
    return Instance(
        name=f"mesh-poisson-{n}",
        label=f"Finite elements on an unstructured mesh, about {n} \N{MULTIPLICATION SIGN} {n}",
        make=lambda rng: MeshPoisson(n=n, variance=1.0).sample(rng),
        warm=lambda rng: MeshPoisson(n=8).sample(rng),
        solvers=SOLVERS,
        pictures=PICTURES,
    )


def _instances(options: SuiteOptions) -> list[Instance]:
    instances = []
    for shape in pick_sizes(options, dim=2, quick=[128], full=[256, 512]):
        instances += [
            _darcy(shape, "fno", "two materials (12/3)"),
            _darcy(shape, "lognormal", "lognormal"),
            _anisotropic(shape, 0.01, 3.141592653589793 / 6),
            _mesh((min(3 * shape[0] // 4, MOST_MESH),) * 2),
        ]
    return instances


SUITE = Suite("diffusion", "Darcy flow through random media, anisotropic diffusion", _instances)
