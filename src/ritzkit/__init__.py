"""ritzkit: a numerical linear algebra toolkit for learned solvers.

The subpackages load on first use, so ``import ritzkit`` itself stays free of numba, torch, matplotlib and pyamg:

``linalg``
    operators that state facts, sparse kernels, incomplete factors;
``solvers``
    Krylov methods, stationary methods, preconditioners, one result type;
``problems``
    families of systems to solve, and files;
``learned``
    trained parts (needs the extra ``learned``);
``reports``
    command line, benchmark suites, figures, pages (needs the extra ``report``).
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_SUBPACKAGES = ("learned", "linalg", "problems", "reports", "solvers")
_CALLS = {"complete": "solvers", "lstsq": "solvers", "solve": "solvers"}

__all__ = ["__version__", "complete", "learned", "linalg", "lstsq", "problems", "reports", "solve", "solvers"]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f".{name}", __name__)
    if name in _CALLS:
        return getattr(importlib.import_module(f".{_CALLS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
