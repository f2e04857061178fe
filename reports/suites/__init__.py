"""The benchmark suites by name; each is data (see `base`) and loads on first use."""

from __future__ import annotations

import importlib

from ..errors import UserError
from .base import Suite

__all__ = ["NAMES", "check", "get"]

NAMES = ("poisson", "diffusion", "nonsymmetric", "files", "kernels", "spgemm", "multigrid", "recycling", "datasets")
"""All suites, in the order in which ``ritzkit bench`` runs them."""


def check(name: str) -> None:
    """Refuse an unknown name in one line."""
    if name not in NAMES:
        raise UserError(f"unknown suite {name!r}: choose one of {', '.join(NAMES)}")


def get(name: str) -> Suite:
    """Return a suite by name.

    Raises
    ------
    UserError
        If there is no suite of that name.
    """
    check(name)
    suite = importlib.import_module(f".{name}", __name__).SUITE
    if not isinstance(suite, Suite):
        raise TypeError(f"ritzkit.reports.suites.{name}.SUITE is {type(suite).__name__}, wanted a Suite")
    return suite
