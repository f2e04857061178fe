"""One system on its way through a sequence: relations, guesses, attempts, and what is kept in the end."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import CSROperator, DenseOperator, StencilOperator, as_operator, vectors
from ..result import Outcome, SolveResult
from ..solve import solve
from .attempt import RECYCLING, Attempt, size_of
from .choice import MODES, Moment, choose
from .entries import Entries, Pattern, Relation
from .families import Size, candidates
from .ledger import Arm
from .state import Group, Known

__all__ = ["Run"]

Array = npt.NDArray[Any]

NEAR = 0.1  # a guess this good is followed by a solve to a tenth of the tolerance, to complete the span
FINAL = (Outcome.INCONSISTENT, Outcome.NONFINITE_OPERATOR)  # no other arm can change these


class Run(Attempt):
    """One system on its way through a sequence."""

    # --- the way in and out -----------------------------------------------------------------------------------------------

    def result(self) -> SolveResult:
        """Solve the system."""
        checked = self.checked
        if checked.verdict is not None or not checked.n:
            return self._out(checked.decided() if checked.verdict else checked.finish(checked.x, Outcome.CONVERGED))
        if vectors.is_torch(self.user_b) or vectors.is_torch(checked.b) or checked.unit != 1.0:
            plain = solve(self.A, self.user_b, self.x0, rtol=self.rtol, atol=self.owner.atol)
            self.setup_seconds = plain.setup_seconds
            return self._out(plain)
        entries = self._entries()
        if entries is not None and not entries.finite:
            checked.note = "A holds NaN or infinite entries"
            return self._out(checked.finish(checked.x, Outcome.NONFINITE_OPERATOR))
        with np.errstate(all="ignore"):
            return self._out(self._solve(entries))

    def _out(self, result: SolveResult) -> SolveResult:
        line = self.line
        note = "; ".join(part for part in (*self.history, result.note) if part)
        seconds = time.perf_counter() - self.start
        result = replace(
            result, setup_seconds=self.setup_seconds,
            solve_seconds=max(seconds - self.setup_seconds, 0.0),
            matvecs=self.matvecs + result.matvecs, psolves=self.psolves + result.psolves, note=note,
        )  # fmt: skip
        line.update(
            method=result.method, iterations=result.iterations, matvecs=result.matvecs,
            setup_seconds=result.setup_seconds, residual=result.residual, outcome=result.outcome.label,
        )  # fmt: skip
        return result

    def _entries(self) -> Entries | None:
        """Return the entries of A; an operator that can be assembled is replaced by its matrix."""
        if not isinstance(self.A, CSROperator | DenseOperator | StencilOperator):
            A = self.A
            try:
                self.A = CSROperator(
                    A.tocsr(), symmetric=A.symmetric, positive_definite=A.positive_definite, nullspace=A.nullspace,
                    grid=A.grid,
                )  # fmt: skip
            except TypeError:
                return None
        entries = Entries.of(self.A)
        if entries is not None:
            self.owner._intern(entries)
        return entries

    def _kind(self, entries: Entries | None) -> str:
        """Find out which methods may serve A, and let it state its symmetry."""
        A = self.A
        if A.symmetric is None and entries is not None and isinstance(entries.place, Pattern):
            entries.symmetric = entries.place.hermitian(entries.values[0])
            self.A = A = as_operator(A, symmetric=entries.symmetric)
        if not A.symmetric:
            return "general"
        if A.positive_definite is not None:
            return "definite" if A.positive_definite else "symmetric"
        if entries is not None and isinstance(entries.place, Pattern):
            diagonal = entries.diagonal()
            if diagonal is None or not (diagonal.real > 0).all():
                return "symmetric"
        key = (A.shape[0], A.dtype.char)
        suspect = self.owner._suspects.get(key, 0)
        if suspect > 0:
            if self.learning:
                self.owner._suspects[key] = suspect - 1
            return "symmetric"
        return "definite"

    # --- the solve --------------------------------------------------------------------------------------------------------

    def _solve(self, entries: Entries | None) -> SolveResult:
        owner, x0 = self.owner, self.x0
        known, relation = (None, Relation("unknown")) if entries is None else owner._find(entries)
        self.line["relation"] = relation.kind
        if known is not None and relation.kind == "same" and self.A.symmetric is None:
            self.A = as_operator(self.A, symmetric=known.entries.symmetric)
        kind = self._kind(entries)
        if known is not None and relation.exact and relation.kind != "same" and x0 is None:
            result = self._by_relation(known, relation)
            if result is not None:
                if result.success:
                    return result
                x0 = result.x
        same = known if relation.kind == "same" else None
        return self._in_group(kind, entries, same, x0)

    def _by_relation(self, known: Known, relation: Relation) -> SolveResult | None:
        """Solve with the known matrix: ``A = diag(left) A0 diag(right)``, so ``A0 y = b / left`` and ``x = y / right``."""
        left = np.abs(relation.left)
        most, least = float(np.max(left)), float(np.min(left))
        if most > 1e3 * least or not most < np.inf:
            return None  # the residual would be weighted too unevenly
        b = self.b / relation.left
        if b.dtype != self.b.dtype or known.entries.dtype != self.A.dtype:
            return None
        A, own = self.A, (self.b, self.tolerance)
        self.A, self.b, self.tolerance = known.operator, b, 0.5 * self.tolerance / most
        if not np.ndim(relation.left):
            self.tolerance *= 2.0 - 1e-6
        try:
            kind = self._kind(known.entries)
            inner = self._in_group(kind, known.entries, known, None)
        finally:
            self.A, (self.b, self.tolerance) = A, own
        self.matvecs += inner.matvecs
        self.psolves += inner.psolves
        if not inner.success:
            return None
        x = np.asarray(inner.x / relation.right, dtype=self.b.dtype)
        self.history.append(f"solved with a known matrix ({relation.kind})")
        done = self._finish(x, Outcome.CONVERGED)
        return replace(done, iterations=inner.iterations, method=inner.method, residuals=inner.residuals)

    def _finish(self, x: Array, outcome: Outcome) -> SolveResult:
        """Recompute the true residual of the given system and say how it ended."""
        checked = self.checked
        checked.matvecs = checked.psolves = 0
        checked.method = "sequence"
        return checked.finish(x, outcome, iterations=0)

    def _in_group(self, kind: str, entries: Entries | None, same: Known | None, x0: Any) -> SolveResult:
        """Solve with what is known about systems of this size, type and kind."""
        owner, A, b = self.owner, self.A, self.b
        size = size_of(A, entries)
        key = (size.n, b.dtype.char, A.dtype.char, kind, type(A).__name__)
        group = owner._group(key)
        ledger = group.ledger
        known = same
        if known is None and entries is not None:
            known = Known(entries.kept() if self.learning else entries)
        if self.learning:
            ledger.seen += 1
            ledger.matrices += same is None
            if known is not None:
                known.uses += 1
                if same is None:
                    owner._remember(known)
        self.scale = scale = float(vectors.norm(b))
        x, norm, source, price = self._guess(group, known, same is not None, x0, scale, kind)
        if norm <= self.tolerance and x is not None:
            done = self._accept(x)
            if done is not None:
                self._note_guess(group, size, kind, source, scale, norm, price, 0, 0.0, True)
                return done
        near = source == "span" and norm < NEAR * scale
        tolerance = self.tolerance * (0.1 if near else 1.0)
        if near:
            tolerance = max(tolerance, 30 * float(np.finfo(b.dtype).eps) * scale)
        decades = max(np.log10(norm / tolerance), 0.05) if tolerance > 0 else 12.0
        families = tuple(self._families(kind, size, entries))
        recycled = owner.method in RECYCLING
        forced = True if recycled or isinstance(owner.recycle, int) else (None if owner.recycle == "auto" else False)
        modes = ("refresh",) if owner._modes == ("fresh",) else owner._modes
        if owner._modes != MODES and not any(group.kept.get(f) for f in families):
            modes = ("refresh",)
        elif owner._modes in (("frozen",), ("scaled",)):  # the matrix the preconditioner is for has no other mode
            modes = (*owner._modes, "refresh") if self._stands(group, families, known) else owner._modes
        if owner.method not in ("auto", "direct") and not recycled and forced is None:
            forced = False
        moment = Moment(
            size,
            kind,
            known,
            float(decades),
            families,
            modes,
            forced,
            len(families) == len(modes) == 1,
            self.learning,
            entries,
        )
        return self._attempts(group, moment, entries, x, norm, tolerance, scale, source, price)

    def _stands(self, group: Group, families: tuple[str, ...], known: Known | None) -> bool:
        kept = [group.kept[f] for f in families if f in group.kept]
        return known is not None and any(item.known is known for item in kept)

    def _accept(self, x: Array) -> SolveResult | None:
        """Return a guess as the answer if its true residual meets the tolerance."""
        if self.b is not self.checked.b:  # a system that stands for the given one
            r = np.empty_like(self.b)
            self.A._apply(x, r)
            self.matvecs += 1
            norm = float(vectors.norm(self.b - r))
            if not norm <= self.tolerance:
                return None
            self.line["arm"] = "superposition"
            return self._finish_inner(x)
        done = self._finish(x, Outcome.CONVERGED)
        if not done.success:
            self.matvecs += done.matvecs
            return None
        self.line["arm"] = "superposition"
        return replace(done, method="superposition")

    def _finish_inner(self, x: Array) -> SolveResult:
        return SolveResult(
            x=x, info=0, outcome=Outcome.CONVERGED, iterations=0, matvecs=0, psolves=0, residuals=np.empty(0),
            residual=0.0, method="superposition",
        )  # fmt: skip

    def _families(self, kind: str, size: Size, entries: Entries | None) -> list[str]:
        owner = self.owner
        if owner.method == "direct":
            return ["direct"]
        if owner._family is not None:
            return [owner._family]
        names = candidates(self.A, kind, size, entries is not None)
        if owner.method in ("minres", "recycled_minres"):
            names = [name for name in names if name in ("multigrid", "jacobi", "none", "ic", "amg")]
        return names or ["none"]

    # --- guesses ----------------------------------------------------------------------------------------------------------

    def _guess(
        self, group: Group, known: Known | None, same: bool, x0: Any, scale: float, kind: str
    ) -> tuple[Array | None, float, str, float]:
        """Return an initial guess (None: zero), the norm of its residual, where it came from, and what it cost."""
        A, b = self.A, self.b
        if x0 is not None:
            x = np.ascontiguousarray(vectors.to_numpy(x0), dtype=b.dtype).reshape(-1)
            r = np.empty_like(b)
            A._apply(x, r)
            self.matvecs += 1
            norm = float(vectors.norm(b - r))
            self.line.update(guess="given", guess_residual=norm / scale)
            return (x, norm, "given", 0.0) if np.isfinite(norm) else (None, scale, "zero", 0.0)
        if not self.owner.guess:
            return None, scale, "zero", 0.0
        seen, start = group.ledger.seen, time.perf_counter()
        found, source, size = None, "zero", b.nbytes
        cost = 0.0
        if same and known is not None and group.gains["span"].active(seen):
            if known.pending is not None and self.learning:
                self.matvecs += known.span.learn(known.pending, A)
                known.pending = None
            found, source = known.span.guess(b), "span"
            cost = 5.0 * known.span.k * size
        elif not same and group.past.k and group.gains["past"].active(seen):
            found, source = group.past.guess(A, b, kind == "definite"), "past"
            self.matvecs += group.past.k
            cost = group.past.k * (size_of(A, None).product + 8.0 * size)
        if found is None or not np.isfinite(found[1]) or found[1] >= scale:
            if found is not None:
                self._note_useless(group, source, known, (time.perf_counter() - start) if self.clock else cost)
            return None, scale, "zero", 0.0
        self.line.update(guess=source, guess_residual=found[1] / scale)
        return found[0], found[1], source, (time.perf_counter() - start) if self.clock else cost

    def _note_useless(self, group: Group, source: str, known: Known | None, price: float) -> None:
        if self.learning and not (source == "span" and known is not None and known.span.k < 4):
            group.gains[source].note(-price, group.ledger.seen)

    def _note_guess(
        self, group: Group, size: Size, kind: str, source: str, scale: float, norm: float, price: float, steps: int,
        step: float, certain: bool,
    ) -> None:  # fmt: skip
        """Estimate what the guess saved: the iterations it took against those from zero."""
        if source not in group.gains or not self.learning:
            return
        ledger = group.ledger
        record = ledger.arms.get(self.line["arm"])
        if record is None or not record.rate or not record.step:
            measured = [r for r in ledger.arms.values() if r.rate and r.step]
            if not measured:
                return
            record = min(measured, key=lambda r: r.rate.median * r.step.median)
        full = max(np.log10(scale / self.tolerance), 0.0) if self.tolerance > 0 else 12.0
        plain = record.plain.median if record.plain else record.rate.median
        saved = (max(plain * full, 1.0) - steps) * (step or record.step.median) - price
        self.owner._saved["guesses"] += saved
        if source == "span" and not certain:  # directions are still being gathered: are there few?
            ratio = min(norm / scale, 1.0)
            if 1.0 - ratio * ratio > 1.0 / 60.0:
                saved = max(saved, 0.0)
        group.gains[source].note(saved, ledger.seen)

    # --- attempts ---------------------------------------------------------------------------------------------------------

    def _attempts(
        self, group: Group, moment: Moment, entries: Entries | None, x: Array | None, norm: float, tolerance: float,
        scale: float, source: str, price: float,
    ) -> SolveResult:  # fmt: skip
        owner, ledger, first = self.owner, group.ledger, x
        excluded: set[str] = set()
        reached = norm
        best: SolveResult | None = None
        begin = ledger.spent
        while len(excluded) < 4:
            choice = choose(group, moment, excluded)
            if choice is None:
                break
            arm = choice.arm
            excluded.add(str(arm))
            self.line.update(arm=str(arm), trial=choice.trial)
            before = ledger.spent
            result = self._attempt(group, moment, choice, entries, x, reached, tolerance)
            if result is None:
                continue
            norm_now = result.residual * scale
            if norm_now <= self.tolerance or result.outcome in FINAL:
                if choice.trial and self.learning:
                    cheapest = self._cheapest(group, moment, arm)
                    ledger.lost += max(0.0, ledger.spent - before - cheapest)
                if result.success or norm_now <= self.tolerance:
                    if not result.success:
                        result = replace(result, info=0, outcome=Outcome.CONVERGED)
                    self._learn(group, moment, result, first)
                    record = ledger.arms.get(str(arm))
                    steps = result.iterations
                    if record is not None and len(excluded) == 1:
                        step = record.step.median if record.step else 0.0
                        self._note_guess(
                            group, moment.size, moment.kind, source, scale, norm, price, steps, step, False
                        )
                else:
                    self._dismiss(group, moment, arm)
                return self._as_given(result)
            self.history.append(f"{arm}: {result.outcome.label} at {result.residual:.1e}")
            if self.learning:
                if choice.trial:
                    ledger.lost += ledger.spent - before
                ledger.sleep(arm)
                group.habit = None
            if arm.mode == "refresh":
                self._dismiss(group, moment, arm)
            if result.outcome is Outcome.INDEFINITE_OPERATOR and moment.kind == "definite":
                if self.learning:
                    owner._suspects[(moment.size.n, self.A.dtype.char)] = 8
                best = result
                break
            self.matvecs += result.matvecs
            self.psolves += result.psolves
            if np.isfinite(result.residual) and norm_now < reached:
                x, reached = np.asarray(result.x), norm_now
                moment = replace(moment, decades=float(max(np.log10(reached / tolerance), 0.05)))
            if best is None or (np.isfinite(result.residual) and not result.residual >= best.residual):
                best = result
            if moment.fixed and arm.mode == "refresh":
                break
        return self._last_resort(group, moment, x, best, scale, begin, first)

    def _cheapest(self, group: Group, moment: Moment, arm: Arm) -> float:
        choice = choose(group, replace(moment, learning=False), {str(arm)})
        return choice.expected if choice is not None else 0.0

    def _last_resort(
        self, group: Group, moment: Moment, x: Array | None, best: SolveResult | None, scale: float, begin: float,
        first: Array | None,
    ) -> SolveResult:  # fmt: skip
        """Hand the system to `solve`, which tries everything that fits."""
        self.line["arm"] = "solve"
        A = self.A
        if best is not None and best.outcome is Outcome.INDEFINITE_OPERATOR and A.positive_definite is None:
            A = as_operator(A, positive_definite=False)
        start = time.perf_counter()
        result = solve(A, self.b, x, rtol=0.0, atol=self.tolerance)
        if self.learning and self.clock:
            group.ledger.spent += time.perf_counter() - start
        self.setup_seconds += result.setup_seconds
        if result.success:
            self._learn(group, moment, result, first)
        else:
            self.owner._forget(moment.known)
            if best is not None and best.residual < result.residual:
                result = replace(best, outcome=result.outcome, info=result.info, note=result.note)
        return self._as_given(result)

    def _as_given(self, result: SolveResult) -> SolveResult:
        """Return the result with the history in it, relative to the norm of the given right-hand side."""
        return result

    def _dismiss(self, group: Group, moment: Moment, arm: Arm) -> None:
        """Forget what was made from a matrix whose system was not solved."""
        if self.learning:
            kept = group.kept.get(arm.family)
            if kept is not None and (kept.known is moment.known or moment.known is None):
                del group.kept[arm.family]
        group.work.pop(arm.family, None)
        group.spaces.pop(str(arm), None) if self.learning else None

    def _learn(self, group: Group, moment: Moment, result: SolveResult, first: Array | None) -> None:
        """Keep the solution for later guesses."""
        if not self.learning or not self.owner.guess:
            return
        x, known, seen = np.asarray(result.x), moment.known, group.ledger.seen
        if known is not None and known.uses > 1:
            if group.gains["span"].active(seen):
                d = x if first is None else x - first
                self.matvecs += known.span.learn(d, self.A)
            return
        if known is not None and (group.ledger.run_length > 1.2 or seen < 4):
            known.pending = x.copy()
        if group.gains["past"].active(seen + group.past.most):
            group.past.learn(x)
