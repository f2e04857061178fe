"""One attempt at one system: bring a preconditioner to the matrix, iterate, and enter what it cost into the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...linalg import CSROperator, DenseOperator, Operator, StencilOperator
from ..bicgstab import bicgstab
from ..cg import cg
from ..fcg import fcg
from ..gate import System
from ..gmres import fgmres, gmres
from ..minres import minres
from ..recycling import RecycleSpace, deflated_cg, gcrodr, recycled_minres
from ..result import SolveResult
from .choice import Choice, Moment, step_bytes
from .entries import Entries, distance
from .families import FAMILIES, Size
from .ledger import Arm
from .state import Group, Kept, scaling

if TYPE_CHECKING:
    from .solver import SequenceSolver

__all__ = ["METHODS", "RECYCLING", "Attempt", "size_of"]

Array = npt.NDArray[Any]

METHODS: dict[str, Callable[..., SolveResult]] = {
    "cg": cg, "fcg": fcg, "minres": minres, "gmres": gmres, "fgmres": fgmres, "bicgstab": bicgstab, "gcrodr": gcrodr,
    "deflated_cg": deflated_cg, "recycled_minres": recycled_minres,
}  # fmt: skip
RECYCLING = ("gcrodr", "deflated_cg", "recycled_minres")


class Attempt:
    """One system on its way through a sequence: what its attempts share."""

    def __init__(self, owner: SequenceSolver, checked: System, user_b: Any, x0: Any, rtol: float, start: float) -> None:
        self.owner, self.checked, self.user_b, self.x0, self.rtol, self.start = owner, checked, user_b, x0, rtol, start
        self.A: Operator = checked.A
        self.b: Any = checked.b
        self.tolerance = checked.tolerance
        self.learning = not owner.frozen
        self.clock = owner.decide == "time"
        self.scale = checked.scale
        self.setup_seconds = 0.0
        self.matvecs = self.psolves = self.iterations = 0
        self.history: list[str] = []
        self.line: dict[str, Any] = {
            "index": 0, "unknowns": checked.n, "relation": "unknown", "arm": "", "method": "", "guess": "zero",
            "guess_residual": 1.0, "iterations": 0, "matvecs": 0, "setup_seconds": 0.0, "seconds": 0.0,
            "residual": 0.0, "outcome": "", "trial": False,
        }  # fmt: skip

    def _attempt(
        self, group: Group, moment: Moment, choice: Choice, entries: Entries | None, x: Array | None, norm: float,
        tolerance: float,
    ) -> SolveResult | None:  # fmt: skip
        """Bring a preconditioner to this matrix and iterate; None if it cannot be set up."""
        arm, ledger = choice.arm, group.ledger
        record = ledger.record(arm) if self.learning else None
        start = time.perf_counter()
        try:
            M, built = self._prepare(group, moment, arm, entries)
        except (np.linalg.LinAlgError, TypeError, ValueError, MemoryError, RuntimeError) as error:
            self.history.append(f"{arm}: {error}")
            self.setup_seconds += time.perf_counter() - start
            if self.learning:
                ledger.sleep(arm)
                if self.clock:
                    ledger.spent += time.perf_counter() - start
            group.kept.pop(arm.family, None) if self.learning and arm.mode == "refresh" else None
            return None
        seconds = time.perf_counter() - start
        self.setup_seconds += seconds
        setup = seconds if self.clock else self._setup_bytes(moment.size, arm, built, M)
        space = self._space(group, arm)
        fresh = space is not None and space.k == 0
        start = time.perf_counter()
        try:
            result = self._iterate(moment.kind, arm, M, x, tolerance, choice.cap, space)
        except (TypeError, ValueError) as error:  # an M or a method that does not fit this A
            self.history.append(f"{arm}: {error}")
            if self.learning:
                ledger.sleep(arm)
            return None
        seconds = time.perf_counter() - start
        if record is None:
            return result
        steps = max(result.iterations, 1)
        if self.clock:
            cost = seconds
        else:
            held = float(getattr(M, "memory_bytes", 0) or 0)
            cost = steps * step_bytes(moment.size, arm.family, moment.kind, held)
            if space is not None:
                cost += steps * 6.0 * space.k * moment.size.vector + space.k * moment.size.product
        ledger.spent += setup + cost
        record.uses += 1
        self._measure(group, moment, choice, record, result, built, setup, cost / steps, norm, tolerance, fresh)
        self._tend(group, arm, record, space)
        return result

    def _space(self, group: Group, arm: Arm) -> RecycleSpace | None:
        if not arm.recycle:
            return None
        space = group.spaces.get(str(arm))
        if space is None:
            given = self.owner.recycle
            space = RecycleSpace(given if isinstance(given, int) else 10)
            if self.learning:
                group.spaces[str(arm)] = space
        if space.n is not None and space.n != self.A.shape[0]:
            space.clear()
        return space if self.learning else space.copy()

    def _tend(self, group: Group, arm: Arm, record: Any, space: RecycleSpace | None) -> None:
        """Let the recycled space grow or shrink: a vector stays while it earns its cost."""
        if space is None or self.owner.recycle != "auto":
            return
        plain = group.ledger.arms.get(str(Arm(arm.family, arm.mode)))
        if plain is None or not plain.rate or not record.rate or record.uses < 3:
            return
        mine = record.rate.median * record.step.median
        theirs = plain.rate.median * plain.step.median
        self.owner._saved["recycling"] += (theirs - mine) * 6.0
        useful = int((space.gain > 1.05).sum())
        if mine > theirs:
            group.ledger.sleep(arm)
            space.size = max(space.size // 2, 2)
            space.truncate(space.size)
            record.rate.values.clear()
            record.rate._median = None
            record.uses = 0
        elif useful < space.k and record.uses % 8 == 0:
            space.size = max(useful, 2)
            space.truncate(space.size)
        elif useful == space.k == space.size < 24 and record.uses % 8 == 0:
            space.size += 4

    def _prepare(self, group: Group, moment: Moment, arm: Arm, entries: Entries | None) -> tuple[Any, str]:
        """Return M, and how it was made: ``build``, ``update`` or nothing."""
        family, known, owner = FAMILIES[arm.family], moment.known, self.owner
        kept = group.kept.get(arm.family)
        if kept is not None and known is not None and kept.known is known:
            return kept.M, ""
        if arm.mode == "frozen" and kept is not None:
            return kept.M, ""
        if arm.mode == "scaled" and kept is not None and entries is not None:
            M = scaling(kept, self.A, entries, moment.kind)
            if M is None:
                raise ValueError("the diagonals of the two matrices do not allow a scaling")
            return M, ""
        if arm.family == "none":
            return None, ""
        if not self.learning:
            return self._prepare_frozen(group, moment, arm)
        fresh = owner._modes == ("fresh",) or kept is None or not hasattr(kept.M, "update")
        if fresh or kept is None or not kept.own:
            M = family.build(self.A)
            group.kept[arm.family] = Kept(M, known, known)
            return M, "build"
        try:
            kept.M.update(self.A)
        except BaseException:
            del group.kept[arm.family]
            raise
        if getattr(kept.M, "reused", True) is False:
            kept.born = known
        kept.known, kept.age, kept.cycle = known, 0, 0.0
        return kept.M, "update"

    def _prepare_frozen(self, group: Group, moment: Moment, arm: Arm) -> tuple[Any, str]:
        """Set up for this system from the frozen state, the same way whatever came before."""
        family, kept, work = FAMILIES[arm.family], group.kept.get(arm.family), group.work.get(arm.family)
        if kept is None or kept.born is None or not hasattr(kept.M, "update"):
            return family.build(self.A), "build"
        if work is None:
            work = group.work[arm.family] = Kept(family.build(kept.born.operator), kept.born, None)
        try:
            work.M.update(self.A)
        except BaseException:
            group.work.pop(arm.family, None)
            raise
        if getattr(work.M, "reused", True) is False:
            group.work.pop(arm.family, None)
        return work.M, "update"

    def _iterate(
        self,
        kind: str,
        arm: Arm,
        M: Any,
        x: Array | None,
        tolerance: float,
        cap: int | None,
        space: RecycleSpace | None,
    ) -> SolveResult:
        """Run the method that fits."""
        A, b, name = self.A, self.b, self.owner.method
        options: dict[str, Any] = {"rtol": 0.0, "atol": tolerance, "M": M}
        positive = M is None or getattr(M, "positive_definite", None) is True or arm.family in ("jacobi", "multigrid")
        if name in ("auto", "direct"):
            fixed = M is None or M.fixed
            if kind == "definite" and (getattr(M, "positive_definite", None) is not False):
                name = "cg" if fixed else "fcg"
            elif kind == "symmetric" and positive and fixed:
                name = "minres"
            else:
                name = "gmres" if fixed else "fgmres"
            if space is not None:
                name = {"cg": "deflated_cg", "minres": "recycled_minres"}.get(name, "gcrodr")
        elif space is not None and name not in RECYCLING:
            name = {"cg": "deflated_cg", "minres": "recycled_minres"}.get(name, "gcrodr")
        long = {"ic": 2000, "jacobi": 5000, "none": 5000, "multigrid": 300, "amg": 300, "direct": 20}
        limit = long.get(arm.family, 500) if cap is None else cap
        if arm.mode != "refresh" and cap is None:
            limit = max(limit, 500)
        if name in ("gmres", "fgmres"):
            restart = min(50, limit)
            options |= {"restart": restart, "maxiter": -(-limit // restart)}
        else:
            options["maxiter"] = limit
        if space is not None:
            options["recycle"] = space
            if name == "gcrodr":
                options |= {"restart": 50, "flexible": False}
        return METHODS[name](A, b, x, **options)

    def _setup_bytes(self, size: Size, arm: Arm, built: str, M: Any) -> float:
        if built == "":
            return 0.0
        family = FAMILIES[arm.family]
        if arm.family == "direct":
            held = float(getattr(M, "memory_bytes", 0) or 0)
            return 3e5 + 2.0 * held + 0.02 * held * held / max(size.vector * 12, 1.0)
        return family.setup(size) if built == "build" else family.update(size)

    def _measure(
        self, group: Group, moment: Moment, choice: Choice, record: Any, result: SolveResult, built: str, setup: float,
        step: float, norm: float, tolerance: float, fresh: bool,
    ) -> None:  # fmt: skip
        """Enter costs and iterations into the ledger."""
        arm, ledger, scale = choice.arm, group.ledger, self.scale
        prior = ledger.unit * step_bytes(moment.size, arm.family, moment.kind)
        first_use = self.clock and record.uses == 1
        refreshed = ledger.record(Arm(arm.family))
        if built == "build":
            expected = ledger.unit * FAMILIES[arm.family].setup(moment.size)
            refreshed.build.add(expected if first_use and not refreshed.build and setup > 2 * expected else setup)
        elif built == "update":
            refreshed.setup.add(setup)
        record.step.add(prior if first_use and step > 2 * prior else step)  # a first use may load compiled code
        if self.clock and record.uses > 1 and not arm.recycle:
            ledger.per_byte.add(ledger.unit * step / prior if prior else ledger.unit)
        end = max(result.residual * scale, 1e-300)
        gone = np.log10(norm / end) if end < norm else 0.0
        if result.success or end <= tolerance:
            gone = max(gone, moment.decades)
        if not fresh or not arm.recycle:
            rate = max(result.iterations, 1) / gone if gone > 0.05 else 20.0 * max(result.iterations, 1)
            record.rate.add(min(rate, 1e6))
            kept, entries = group.kept.get(arm.family), moment.entries
            if arm.mode != "refresh" and kept is not None and kept.known is not None and entries is not None:
                record.near.append((distance(kept.known.entries, entries), min(rate, 1e6)))
            if norm >= 0.99 * scale:
                record.plain.add(rate)
        kept = group.kept.get(arm.family)
        if kept is None:
            return
        total = setup + step * max(result.iterations, 1)
        kept.age += 1
        kept.cycle += total
        if built == "" or arm.mode != "refresh":
            other = _price_of_refresh(group, moment, arm)
            self.owner._saved["kept preconditioners"] += other - total
            if arm.mode != "refresh" and total > other > 0 and not moment.fixed:
                ledger.sleep(arm)
            elif arm.mode != "refresh":
                record.rest = 2
        elif arm.mode == "refresh" and built == "build":
            kept.rate = record.rate.median if record.rate else 0.0
        elif FAMILIES[arm.family].grows and kept.rate and record.rate and record.rate.median > 1.5 * kept.rate:
            extra = (record.rate.median - kept.rate) * moment.decades * record.step.median
            builds = refreshed.build.median if refreshed.build else 0.0
            if extra * kept.age > builds:
                del group.kept[arm.family]  # updates have drifted away: the next set-up is from nothing


def _price_of_refresh(group: Group, moment: Moment, arm: Arm) -> float:
    """Return what the same family would have cost with a set-up for this matrix."""
    record = group.ledger.arms.get(str(Arm(arm.family)))
    if record is None or not record.rate or not record.step:
        return 0.0
    setup = record.setup.median if record.setup else (record.build.median if record.build else 0.0)
    return setup + max(1.0, record.rate.median * moment.decades) * record.step.median


def size_of(A: Operator, entries: Entries | None) -> Size:
    """Return what the expected costs of an operator depend on."""
    n = A.shape[0]
    ndim = 2 if A.grid is None else A.grid.ndim
    if isinstance(A, CSROperator):
        nnz = A.matrix.nnz
    elif isinstance(A, DenseOperator):
        nnz = n * n
    else:
        nnz = (2 * ndim + 1) * n if entries is not None else 8 * n
    return Size(n, nnz, ndim, A.dtype.itemsize, isinstance(A, StencilOperator))
