"""Who runs the chunks: this process, a pool of processes, or any executor of ``concurrent.futures``, clusters by name."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any

from .. import checks
from .chunk import Job, run

__all__ = ["EXECUTORS", "available_cores", "check_executor", "run_jobs"]

EXECUTORS = ("processes", "serial", "mpi4py", "dask")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_executor(executor: Executor | str | None) -> None:
    """Refuse what is no executor, and one by name whose package is missing, before any work is done."""
    if executor is None or isinstance(executor, Executor):
        return
    if not isinstance(executor, str):
        if hasattr(executor, "submit"):
            return
        raise TypeError(f"executor is {executor!r}: wanted one of {', '.join(EXECUTORS)}, or an object with submit()")
    checks.choice("executor", executor, EXECUTORS)
    _module(executor)


def _module(name: str) -> Any:
    where = {"mpi4py": "mpi4py.futures", "dask": "distributed"}.get(name)
    if where is None:
        return None
    try:
        return importlib.import_module(where)
    except ImportError:
        package = where.partition(".")[0]
        raise ImportError(
            f"executor is {name!r}, but the package {package} is not installed: install it, or leave "
            "executor=None for processes on this machine"
        ) from None


def _watch_parent() -> None:
    """End a worker whose parent was killed: nobody waits for it, and its pipe would keep it alive."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    connection.wait([parent.sentinel])
    os._exit(1)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which tells the workers
    threading.Thread(target=_watch_parent, daemon=True).start()
    from ...linalg.threads import set_threads

    set_threads(1)


def run_jobs(jobs: Iterable[Job], workers: int, executor: Executor | str | None) -> Iterator[dict[str, Any]]:
    """Run jobs and yield what each reports, in the order in which they finish.

    Raises
    ------
    RuntimeError
        If a process of the pool dies.
    """
    jobs = list(jobs)
    if executor == "serial" or (executor in (None, "processes") and (workers == 1 or len(jobs) == 1)):
        yield from map(run, jobs)
    elif executor in (None, "processes"):
        yield from _processes(jobs, min(workers, len(jobs)) - 1)
    elif executor == "mpi4py":
        with _module("mpi4py").MPIPoolExecutor(max_workers=workers) as pool:
            yield from _collect(pool, jobs)
    elif executor == "dask":
        with _module("dask").Client() as client:
            yield from _collect(client.get_executor(), jobs)
    else:
        yield from _collect(executor, jobs)


def _processes(jobs: list[Job], helpers: int) -> Iterator[dict[str, Any]]:
    """Share the jobs with `helpers` processes; this one works too, so nobody waits for them to start."""
    pool = ProcessPoolExecutor(
        helpers, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker
    )  # spawned: a forked copy of compiled, threaded code may hang
    waiting = deque(jobs)
    running: set[Future[dict[str, Any]]] = set()
    try:
        while waiting or running:
            # one under way and one in store for each helper, the last one for this process
            while len(waiting) > 1 and len(running) < 2 * helpers:
                running.add(pool.submit(run, waiting.popleft()))
            done = {future for future in running if future.done()}
            if not done and waiting:
                yield run(waiting.popleft())
                continue
            if not done:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
            running -= done
            for future in done:
                yield future.result()
        pool.shutdown()
    except BrokenProcessPool:
        raise RuntimeError(
            "a worker process died: out of memory, killed, or the calling script starts work when it is imported "
            '(put it under if __name__ == "__main__":). Finished chunks are kept; call again with resume=True'
        ) from None
    except BaseException:
        # chunks under way are lost, which takes nothing from the finished ones
        alive = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in alive:
            process.terminate()
        for process in alive:
            process.join(10.0)
        raise


def _collect(pool: Any, jobs: list[Job]) -> Iterator[dict[str, Any]]:
    futures: list[Future[dict[str, Any]]] = [pool.submit(run, job) for job in jobs]
    try:
        for future in _finished(futures):
            yield future.result()
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _finished(futures: list[Future[dict[str, Any]]]) -> Iterator[Future[dict[str, Any]]]:
    if all(isinstance(future, Future) for future in futures):
        return as_completed(futures)
    return iter(futures)  # futures of a kind of their own: in order
