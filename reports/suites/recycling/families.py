"""The sequences of the suite: SKR's four sets as released, and true families; what is drawn, how many, of which kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["BLOCK", "FAMILIES", "QUICK", "Stream", "by_name", "streams"]

BLOCK = 16
"""Systems that an arm solves before the next arm has its turn."""

COUNT, LARGE_COUNT = 96, 32
LARGE = 40_000
"""Unknowns beyond which a sequence is shorter: drawing alone would take longer than all solves."""


@dataclass(frozen=True)
class Stream:
    """A sequence of systems of one family.

    Attributes
    ----------
    name, label : str
        Readable id and name for people.
    family : callable
        ``family() -> Family``.
    kind : {"definite", "general"}
        Positive definite, or neither symmetric nor definite (also: complex).
    set : {"skr", "true"}
        One of SKR's own sets, or a family of true problems.
    count : int
        Systems in a whole run.
    grid : bool
        Whether the operators are stencils on a grid.
    without : tuple of str
        Arms that do not fit, and why: ``"arm: reason"``.
    """

    name: str
    label: str
    family: Callable[[], Any]
    kind: str = "definite"
    set: str = "true"
    count: int = COUNT
    grid: bool = True
    without: tuple[str, ...] = ()

    def at(self, n: int) -> Stream:
        """Return the same sequence at another size."""
        return replace(
            self, name=f"{self.name}-at-{n}", label=f"{self.label}, at {n}", family=lambda: self.family().with_size(n)
        )


def _skr(what: str, n: int, **options: Any) -> Callable[[], Any]:
    def family() -> Any:
        from .... import problems

        return getattr(problems, f"SKR{what}")(n, **options)

    return family


def _darcy(n: int, law: str = "fno", **options: Any) -> Callable[[], Any]:
    def family() -> Any:
        from ....problems import Darcy

        return Darcy(n, law, **options)

    return family


def _helmholtz(low: float, high: float, n: int) -> Callable[[], Any]:
    def family() -> Any:
        from ....problems import Helmholtz

        return Helmholtz(n, wavenumber=(low, high), boundary="absorbing", variation=0.1)

    return family


def _wind(n: int, scheme: str = "upwind") -> Callable[[], Any]:
    def family() -> Any:
        from ....problems import ConvectionDiffusion

        return ConvectionDiffusion(n, peclet=(10.0, 100.0), wind="recirculating", scheme=scheme)

    return family


def _block(n: int) -> Callable[[], Any]:
    def family() -> Any:
        from ....problems import SlottedBlock

        return SlottedBlock(n)

    return family


FILL = "the factors take gigabytes and minutes"
SLOW = "minutes per system"
DIRECT_3D = (f"superlu: {FILL}", f"frozen-lu: {FILL}", f"cholmod: {FILL}")
RESTARTED = tuple(f"{arm}: {SLOW}" for arm in ("gmres-ilu", "gmres-dr-ilu", "skr-ilu", "skr-ilu-unsorted",
                                                "skr-jacobi", "gcrotmk-ilu"))  # fmt: skip

FAMILIES = (
    Stream("skr-darcy", "SKR Darcy 78², as released", _skr("Darcy", 78), "general", "skr", grid=False),
    Stream("skr-darcy-repaired", "SKR Darcy 78², slip repaired", _skr("Darcy", 78, slip=False), "general", "skr",
           grid=False),
    Stream("skr-thermal", "SKR Thermal, n = 36", _skr("Thermal", 36), set="skr", grid=False),
    Stream("skr-poisson", "SKR Poisson, n = 43", _skr("Poisson", 43), set="skr", grid=False),
    Stream("skr-helmholtz", "SKR Helmholtz 78², as released", _skr("Helmholtz", 78), "general", "skr", grid=False),
    Stream("darcy-64", "Darcy 12/3, 64²", _darcy(64)),
    Stream("darcy-128", "Darcy 12/3, 128²", _darcy(128)),
    Stream("darcy-256", "Darcy 12/3, 256²", _darcy(256), count=LARGE_COUNT, without=RESTARTED),
    Stream("lognormal-64", "Lognormal, 64²", _darcy(64, "lognormal")),
    Stream("lognormal-128", "Lognormal, 128²", _darcy(128, "lognormal")),
    Stream("lognormal-256", "Lognormal, 256²", _darcy(256, "lognormal"), count=LARGE_COUNT, without=RESTARTED),
    Stream("contrast-128", "Channels, contrast 1e4, 128²", _darcy(128, "channels")),
    Stream("contrast-9-128", "Lognormal, variance 9, 128²", _darcy(128, "lognormal", variance=9.0)),
    Stream("helmholtz-10-50", "Helmholtz, k 10 to 50, 80²", _helmholtz(10.0, 50.0, 80), "general"),
    Stream("helmholtz-30", "Helmholtz, k 29 to 31, 64²", _helmholtz(29.0, 31.0, 64), "general"),
    Stream("convection-64", "Convection-diffusion, 64²", _wind(64), "general", grid=False),
    Stream("convection-128", "Convection-diffusion, 128²", _wind(128), "general", grid=False),
    Stream("block-40", "Finite elements, n = 40", _block(40), grid=False),
    Stream("darcy-3d-32", "Darcy 12/3, 32³", _darcy(32, dim=3)),
    Stream("darcy-3d-48", "Lognormal, 48³", _darcy(48, "lognormal", dim=3), count=LARGE_COUNT,
           without=(*RESTARTED, *DIRECT_3D)),
)  # fmt: skip
"""All sequences, in the order of the tables."""

QUICK = (
    Stream("skr-darcy", "SKR Darcy 24², as released", _skr("Darcy", 24), "general", "skr", 6, grid=False),
    Stream("skr-thermal", "SKR Thermal, small", _skr("Thermal", 8), set="skr", count=6, grid=False),
    Stream("darcy-32", "Darcy 12/3, 32²", _darcy(32), count=6),
    Stream("helmholtz-10-20", "Helmholtz, k 10 to 20, 24²", _helmholtz(10.0, 20.0, 24), "general", count=6),
    Stream("convection-32", "Convection-diffusion, 32²", _wind(32), "general", count=6, grid=False),
)
"""What ``--quick`` runs."""


def streams(quick: bool) -> tuple[Stream, ...]:
    """Return the sequences of a quick or of a whole run."""
    return QUICK if quick else FAMILIES


def by_name(name: str, quick: bool = False) -> Stream:
    """Return a sequence by name."""
    return next(stream for stream in streams(quick) if stream.name == name)
