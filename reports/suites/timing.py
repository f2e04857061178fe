"""Calls before the one that is timed: whoever ran before must leave neither its caches nor a sleeping core behind.

After single-threaded work a second thread can take a tenth of a second to arrive on the second core, which is more than
most solves here last.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["LONG", "WARM_QUICK", "WARM_SECONDS", "wake"]

WARM_SECONDS, WARM_QUICK = 0.15, 0.03
"""Seconds of untimed calls, in a full and in a quick run."""

LONG = 0.5
"""Seconds from which a call is long enough to need none."""


def wake(call: Callable[[], object], seconds: float = WARM_SECONDS) -> None:
    """Call at least once, until that many seconds have passed."""
    awake = time.perf_counter() + seconds
    call()
    while time.perf_counter() < awake:
        call()
