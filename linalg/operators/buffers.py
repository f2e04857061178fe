"""Scratch vectors that an operator keeps between products, one set per thread."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["Buffers"]


class Buffers:
    """A dictionary that every thread sees for itself; copies and pickles start empty.

    Products of one operator may run in several threads at once, and a scratch vector must belong to one of them.
    """

    def __init__(self) -> None:
        self._local = threading.local()

    @property
    def _table(self) -> dict[Any, Any]:
        table: dict[Any, Any] | None = getattr(self._local, "table", None)
        if table is None:
            table = self._local.table = {}
        return table

    def __contains__(self, key: Any) -> bool:
        return key in self._table

    def __getitem__(self, key: Any) -> Any:
        return self._table[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._table[key] = value

    def get(self, key: Any) -> Any:
        """Return what this thread holds under `key`, or None."""
        return self._table.get(key)

    def clear(self) -> None:
        """Forget everything, in all threads."""
        self._local = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return (Buffers, ())
