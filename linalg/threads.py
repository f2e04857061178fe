"""The one place that sets and reports thread counts: Numba, the BLAS libraries, and torch when it is loaded.

Numba's OpenMP layer starts a parallel region in about two microseconds, its work queue in more than twenty, so the
layers are asked for in that order. GNU's OpenMP waits by spinning for milliseconds, which makes every parallel region slow
as soon as other programs use the cores; a thousand turns are as fast on an idle machine and give way on a busy one.
Explicit choices in the environment variables of Numba and OpenMP are respected.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import numba

__all__ = ["get_threads", "set_threads", "thread_limit", "thread_report"]

if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
    numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # read when the library loads, at the first parallel call


def _blas(n: int) -> None:
    try:
        import threadpoolctl
    except ImportError:
        return
    threadpoolctl.threadpool_limits(n, user_api="blas")


def set_threads(n: int | None = None) -> int:
    """Use `n` threads in every kernel, in BLAS and in torch from now on.

    Parameters
    ----------
    n : int, optional
        Number of threads, at least 1; more than the machine offers is cut to what it offers. None means all.

    Returns
    -------
    int
        The number that is in force.

    Raises
    ------
    ValueError
        If `n` is below 1.

    Notes
    -----
    BLAS follows only where the package threadpoolctl is installed.

    Examples
    --------
    >>> set_threads(1)
    1
    """
    most = int(numba.config.NUMBA_NUM_THREADS)
    if n is None:
        n = most
    if isinstance(n, bool) or int(n) != n or n < 1:
        raise ValueError(f"n is {n!r}: wanted a whole number of threads, at least 1")
    n = min(int(n), most)
    numba.set_num_threads(n)
    _blas(n)
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads"):
        torch.set_num_threads(n)
    return n


def get_threads() -> int:
    """Return the number of threads that the kernels use."""
    return int(numba.get_num_threads())


@contextlib.contextmanager
def thread_limit(n: int) -> Iterator[int]:
    """Context manager: `n` threads inside, the former number again outside."""
    before = get_threads()
    try:
        yield set_threads(n)
    finally:
        set_threads(before)


def thread_report() -> dict[str, Any]:
    """Say how many threads each library would use, for benchmark records."""
    report: dict[str, Any] = {"numba": get_threads(), "cores": os.cpu_count()}
    try:
        import threadpoolctl

        report["blas"] = max(
            (p["num_threads"] for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"), default=None
        )
    except ImportError:
        report["blas"] = None
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_num_threads"):
        report["torch"] = torch.get_num_threads()
    return report
