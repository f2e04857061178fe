"""Measures every method on one pair of factors: agreement, memory, and seconds in turn.

- Each method first runs once, off the clock (compilation and loading; how long that took is recorded), and its answer is
  compared with SciPy's. Values of this package and of the SMASH variants must be SciPy's to the bit once entries that
  cancelled to zero are dropped, which SciPy drops and the others keep; peers add in another order and agree to rounding.
- A second call says what memory the method takes at its peak: the kernel's high-water mark of resident memory is set back
  before it and read after it (Linux). What the method holds already, a plan or handles, is not in it. With more than `HUGE`
  multiply-adds the first call tells that too: smaller inputs have seen to compilation.
- Then the rounds: every method once in each round, with warming calls of the method itself before the timed one, for `WARM`
  seconds where it has several threads (a second core needs a tenth of a second to wake), once where it has one. Whoever
  ran before leaves neither its caches nor a sleeping core. A call longer than `LONG` needs no warming. Short ones are
  repeated until a sample lasts `SAMPLE` seconds, and the sample is their mean. A method that keeps the memory of every
  product (torch) wakes its threads with other arithmetic for as long, then runs once to warm and once on the clock.
- An input that is not float64, or whose answers would not fit the memory that is free, is skipped; the record says so.
- Rounds end early when the clock exceeds the patience for one input, never before the third.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ....linalg.threads import thread_limit
from ..base import Terms
from ..timing import LONG, WARM_QUICK
from ..timing import WARM_SECONDS as WARM
from .inputs import Pair
from .methods import EXACT, Factors, Method, Ready, choose
from .peers import find

__all__ = ["AGREEMENT", "available_bytes", "compare", "measure", "peak_bytes", "repeats"]

AGREEMENT = 1e-12
"""Largest relative difference in the Frobenius norm that counts as rounding."""

HUGE = 5 * 10**7
SAMPLE = 0.004
PATIENCE, PATIENCE_QUICK = 25.0, 2.0
FEWEST = 3
BYTES = 110  # for each entry of C, when the last answers are compared while plans and handles are held
TWICE = ("spgemm", "spgemm-any", "plan-values")  # also measured on one thread


@dataclass
class _Entry:
    """One method on this input, with what was found so far."""

    method: Method
    threads: int
    all_threads: int
    ready: Ready | None = None
    calls: int = 1
    expected: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.method.name if self.threads == self.all_threads else f"{self.method.name}@{self.threads}"


def repeats(terms: Terms) -> int:
    """How often each method is timed: seven times, three in a quick run, or what the command line says."""
    return terms.options.repeats or (3 if terms.options.quick else 7)


def measure(pair: Pair, terms: Terms, rng: np.random.Generator) -> dict[str, Any]:
    """Run all methods on a pair of factors; return the record."""
    if pair.left_out:
        return {"kind": "skipped", "text": pair.left_out}
    A, B = pair.make(rng)
    reference = A @ B
    reference.sort_indices()
    needed = BYTES * int(reference.nnz)
    if needed > available_bytes():
        amount = f"{needed / 2**30:.1f} GB" if needed >= 2**30 else f"{math.ceil(needed / 2**20)} MB"
        text = f"all methods together need about {amount} of memory, more than the machine has to spare"
        return {"kind": "skipped", "text": text}
    products = int(np.bincount(A.indices, minlength=A.shape[1]) @ np.diff(B.indptr).astype(np.int64))
    entries = [_Entry(method, terms.threads, terms.threads) for method in choose(pair.ladder)]
    if terms.threads > 1 and pair.group != "small":
        entries += [_Entry(entry.method, 1, terms.threads) for entry in entries if entry.method.name in TWICE]
    stored = nonzero = int(reference.nnz)
    shared: dict[str, Any] = {}
    gc.collect()
    gc.disable()
    try:
        for entry in entries:
            terms.say(f"{pair.label}: {entry.name}, untimed")
            nnz = _first(entry, Factors(A, B, entry.threads, shared), reference, products > HUGE)
            if entry.name == "spgemm" and nnz is not None:
                stored = nnz  # SciPy drops entries that cancel
        terms.tick()
        del reference  # large ones are short of memory
        rounds = _rounds([entry for entry in entries if entry.ready is not None], pair, terms)
    finally:
        gc.enable()
        for entry in entries:
            if entry.ready is not None:
                entry.ready.close()
    return {
        "kind": "product",
        "group": pair.group,
        "rows": A.shape[0],
        "inner": A.shape[1],
        "columns": B.shape[1],
        "nnz_A": int(A.nnz),
        "nnz_B": int(B.nnz),
        "multiply_adds": products,
        "nnz_C": stored,
        "cancelled": stored - nonzero,
        "compression": products / stored if stored else None,
        "repeats": repeats(terms),
        "rounds": rounds,
        "methods": {entry.name: entry.facts for entry in entries},
    }


def _rounds(entries: list[_Entry], pair: Pair, terms: Terms) -> int:
    """Time every method once in each round; return the number of rounds."""
    quick, wanted = terms.options.quick, repeats(terms)
    clock, rounds = 0.0, 0
    while rounds < wanted and (clock < (PATIENCE_QUICK if quick else PATIENCE) or rounds < FEWEST):
        gc.collect()  # once in a round: with several libraries loaded it takes tenths of a second
        for entry in entries:
            terms.say(f"{pair.label}: {entry.name}")
            start = time.perf_counter()
            entry.facts["seconds"].append(_sample(entry, WARM_QUICK if quick else WARM))
            clock += time.perf_counter() - start
        rounds += 1
        terms.tick()
    return rounds


def _first(entry: _Entry, factors: Factors, reference: csr_array, huge: bool) -> int | None:
    """Prepare a method, run it once, check its answer, run it once more for its memory; return the entries of C."""
    method, facts = entry.method, entry.facts
    facts.update(threads=1 if method.single else entry.threads, order=method.order, seconds=[])
    if method.peer:
        peer = find(method.peer, entry.all_threads)
        if peer.module is None:
            facts.update(status="not installed", text=peer.reason)
            return None
    if method.most is not None and reference.nnz > method.most:
        facts.update(
            status="left out", text=f"it keeps the memory of every product; run up to {method.most:,} entries of C"
        )
        return None
    with _on(entry), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            start = time.perf_counter()
            entry.ready = method.prepare(factors)
            facts["prepare_seconds"] = time.perf_counter() - start
            start = time.perf_counter()
            answer, facts["peak_bytes"] = peak_bytes(entry.ready.call)
            facts["first_seconds"] = entry.expected = time.perf_counter() - start
            C = entry.ready.result(answer)
            nnz = int(C.nnz)
            facts.update(compare(C, reference))
            del answer, C
            if method.tidy:
                gc.collect()
            if not huge:
                start = time.perf_counter()
                _, facts["peak_bytes"] = peak_bytes(entry.ready.call)
                entry.expected = time.perf_counter() - start
        except (ArithmeticError, ValueError, TypeError, RuntimeError, MemoryError, OSError) as error:
            _fail(entry, " ".join(str(error).split()) or type(error).__name__)
            return None
    if entry.ready.held is not None:
        facts["held_bytes"] = entry.ready.held
    exact = method.name in EXACT
    facts["must_be_exact"] = exact
    if (exact and not facts["exact"]) or not facts["deviation"] <= AGREEMENT:
        _fail(entry, f"its answer differs from SciPy's by {facts['deviation']:.1e}")
        return nnz
    facts["status"] = "ok"
    entry.calls = max(1, min(200, round(SAMPLE / max(entry.expected, 1e-7)))) if method.most is None else 1
    return nnz


def _fail(entry: _Entry, text: str) -> None:
    if entry.ready is not None:
        entry.ready.close()
    entry.ready = None
    entry.facts.update(status="failed", text=text)


@contextlib.contextmanager
def _on(entry: _Entry) -> Iterator[None]:
    """Run on the entry's own number of threads."""
    if entry.threads == entry.all_threads:
        yield
    else:
        with thread_limit(entry.threads):
            yield


def _sample(entry: _Entry, warm: float) -> float:
    """Seconds of one call, after warming ones."""
    if entry.ready is None:
        return math.nan
    call, other = entry.ready.call, entry.ready.warm
    with _on(entry):
        if entry.expected < LONG:
            awake = time.perf_counter() + (0.0 if entry.facts["threads"] == 1 else warm)
            while other is not None and time.perf_counter() < awake:
                other()
            call()
            while other is None and time.perf_counter() < awake:
                call()
        if entry.calls == 1:
            start = time.perf_counter()
            answer = call()
            seconds = time.perf_counter() - start
            del answer  # giving memory back is not on the clock
            if entry.method.tidy:
                gc.collect()
            return seconds
        start = time.perf_counter()
        for _ in range(entry.calls):
            call()
        return (time.perf_counter() - start) / entry.calls


def compare(C: csr_array, reference: csr_array) -> dict[str, Any]:
    """Compare a product with SciPy's, whose columns are sorted; `C` may be changed.

    Returns
    -------
    dict
        ``exact``: whether pattern and values are the same to the bit, zeros dropped; ``deviation``: relative difference in
        the Frobenius norm; ``ordered``: whether the columns came sorted.
    """
    if C.shape != reference.shape:
        raise ValueError(f"its answer has shape {C.shape}, wanted {reference.shape}")
    mine = csr_array((C.data, C.indices, C.indptr), shape=C.shape)
    mine.has_sorted_indices = bool(_ordered(mine))
    facts: dict[str, Any] = {"ordered": bool(mine.has_sorted_indices)}
    if not mine.has_sorted_indices or not mine.data.all():
        if not all(part.flags.writeable for part in (mine.data, mine.indices, mine.indptr)):
            mine = mine.copy()  # a plan lends its pattern
        mine.sort_indices()
        mine.eliminate_zeros()
    same = mine.nnz == reference.nnz and np.array_equal(mine.indptr, reference.indptr)
    same = same and np.array_equal(mine.indices, reference.indices)
    if same and np.array_equal(mine.data, reference.data):
        return {**facts, "exact": True, "deviation": 0.0}
    difference = mine.data - reference.data if same else (mine - reference).data
    size, rest = float(np.linalg.norm(reference.data)), float(np.linalg.norm(difference))
    return {**facts, "exact": False, "deviation": rest / size if size else rest}


def _ordered(matrix: csr_array) -> bool:
    """Whether the columns ascend in every row, looked up in the arrays and not in a flag that somebody set."""
    if matrix.nnz < 2:
        return True
    descents = np.flatnonzero(matrix.indices[1:] <= matrix.indices[:-1]) + 1
    return bool(np.isin(descents, matrix.indptr).all())


def peak_bytes(call: Callable[[], Any]) -> tuple[Any, int | None]:
    """Call, and say what memory that takes at its peak above what was resident before, the answer included.

    Returns
    -------
    tuple
        The answer, and the number of bytes; None where it cannot be told.

    Notes
    -----
    Pages that the C library keeps for reuse are given back first, or the call would find them resident. Setting the
    high-water mark back is a feature of Linux.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
    except OSError:
        return call(), None
    answer = call()
    return answer, max(0, _status("VmHWM") - before)


def available_bytes() -> float:
    """Memory that the machine has to spare; infinite where it does not say."""
    try:
        return _status("MemAvailable", "/proc/meminfo")
    except OSError:
        return math.inf


def _status(name: str, file: str = "/proc/self/status") -> int:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {name}")
