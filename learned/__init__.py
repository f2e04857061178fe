"""Trained parts, and what training needs (needs the extra ``learned``).

Names load on first use: `planned_product`, `product_plan` and `sparse_product` are sparse products with gradients for torch.
"""

import importlib
from importlib.util import find_spec
from typing import Any

if find_spec("torch") is None:
    raise ImportError('ritzkit.learned needs torch: python -m pip install "ritzkit[learned]"')

_HOMES = {"planned_product": "sparse", "product_plan": "sparse", "sparse_product": "sparse"}

__all__ = ["planned_product", "product_plan", "sparse_product"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
