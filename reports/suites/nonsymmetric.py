"""Systems that are not symmetric, or not definite: convection-diffusion over Peclet numbers, Helmholtz."""

from __future__ import annotations

from .base import Instance, Size, Suite, SuiteOptions, edge, pick_sizes

__all__ = ["SUITE"]

SOLVERS = (
    "scipy-gmres", "scipy-bicgstab", "gmres", "bicgstab", "jacobi-gmres", "jacobi-bicgstab",
    "ilu0-gmres", "ilu0-bicgstab", "ilu2-fgmres", "scipy-ilu-gmres", "direct",
)  # fmt: skip
HELMHOLTZ = tuple(s for s in SOLVERS if not s.startswith("jacobi-"))  # its diagonal is constant but for the boundary
PECLET = (1.0, 100.0, 10_000.0)


def _convection(shape: Size, peclet: float) -> Instance:
    from ...problems import ConvectionDiffusion

    n = edge(shape, "convection-diffusion")
    return Instance(
        name=f"convection-pe{peclet:g}-{n}",
        label=f"Convection-diffusion, Peclet {peclet:g}, {n} \N{MULTIPLICATION SIGN} {n}",
        make=lambda rng: ConvectionDiffusion(n, peclet=peclet).sample(rng),
        warm=lambda rng: ConvectionDiffusion(12, peclet=peclet).sample(rng),
        solvers=SOLVERS,
        pictures=("gmres", "ilu0-bicgstab") if peclet == PECLET[1] else (),
    )


def _helmholtz(shape: Size, waves: float) -> Instance:
    from ...problems import Helmholtz

    n = edge(shape, "helmholtz")
    wavenumber = 2 * 3.141592653589793 * waves
    return Instance(
        name=f"helmholtz-{waves:g}waves-{n}",
        label=f"Helmholtz, absorbing boundary, {waves:g} waves across, {n} \N{MULTIPLICATION SIGN} {n}",
        make=lambda rng: Helmholtz(n, wavenumber=wavenumber, boundary="absorbing").sample(rng),
        warm=lambda rng: Helmholtz(12, wavenumber=6.0, boundary="absorbing").sample(rng),
        solvers=HELMHOLTZ,
        pictures=("ilu0-gmres",),
    )


def _instances(options: SuiteOptions) -> list[Instance]:
    instances = []
    for shape in pick_sizes(options, dim=2, quick=[96], full=[128, 256]):
        instances += [_convection(shape, peclet) for peclet in PECLET]
        instances.append(_helmholtz(shape, 3.0))
    return instances


SUITE = Suite(
    "nonsymmetric",
    "Convection-diffusion over Peclet numbers, Helmholtz with an absorbing boundary",
    _instances,
)
