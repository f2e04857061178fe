"""Structured-grid geometric multigrid."""

from .preconditioner import Multigrid, multigrid
from .settings import PRESETS, Settings

__all__ = ["PRESETS", "Multigrid", "Settings", "multigrid"]
