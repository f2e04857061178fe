"""Which arm is next: predictions from the ledger, and trials of what is not known yet (the rules are in `ledger`)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .entries import Entries, distance, spread
from .families import FAMILIES, Size
from .ledger import Arm, ArmRecord
from .state import Group, Habit, Kept, Known

__all__ = ["Choice", "Moment", "choose"]

MODES = ("refresh", "frozen", "scaled")
WORTH_RECYCLING = 12  # iterations below which no recycled space is tried
HABIT = 12  # systems at most for which a choice that was made over and over is not thought over again
SPARE = 1.3  # a trial may take this many times the iterations that the best arm's cost buys


@dataclass(frozen=True)
class Moment:
    """What is known about the system that is to be solved next."""

    size: Size
    kind: str
    known: Known | None
    decades: float  # of the residual that are still to go
    families: tuple[str, ...]
    modes: tuple[str, ...]
    recycle: bool | None  # None: find out whether it pays
    fixed: bool  # one family and one mode: no trials
    learning: bool
    entries: Entries | None = None


@dataclass
class Choice:
    """An arm, the most iterations it may take, and what it is expected to cost."""

    arm: Arm
    cap: int | None
    expected: float
    trial: bool = False


@dataclass
class _Offer:
    arm: Arm
    cost: float  # with the set-up shared by the systems that are expected to use it
    price: float  # of this solve, set-up included
    step: float
    measured: bool
    exploring: bool  # takes its chance on another matrix: stop it early


def choose(group: Group, moment: Moment, excluded: Collection[str]) -> Choice | None:
    """Return the arm for the next solve, None if all are excluded."""
    habit = group.habit
    kept = group.kept.get(habit.arm.family) if habit is not None else None
    here = kept is not None and kept.known is moment.known
    signature = (moment.families, moment.modes, moment.recycle, here)
    if habit is not None and not excluded and moment.learning and habit.left > 0 and habit.signature == signature:
        habit.left -= 1
        return Choice(habit.arm, None, habit.expected)
    choice = _choose(group, moment, excluded)
    if not moment.learning or excluded or choice is None:
        return choice
    kept = group.kept.get(choice.arm.family)
    signature = (*signature[:3], kept is not None and kept.known is moment.known)
    if choice.trial or choice.cap is not None or choice.arm.recycle:
        group.habit = None
    elif habit is not None and habit.arm == choice.arm and habit.signature == signature:
        habit.streak = min(habit.streak + 1, HABIT)
        habit.left, habit.expected = habit.streak, choice.expected
    else:
        group.habit = Habit(choice.arm, signature, choice.expected)
    return choice


def _choose(group: Group, moment: Moment, excluded: Collection[str]) -> Choice | None:
    offers = [offer for offer in _offers(group, moment) if str(offer.arm) not in excluded]
    if not offers:
        return None
    ledger = group.ledger
    rested = [offer for offer in offers if not ledger.rests(offer.arm)] or offers
    measured = [offer for offer in rested if offer.measured]
    if not measured or moment.fixed:
        best = min(measured or rested, key=lambda offer: offer.cost)
        return Choice(best.arm, None, best.price)
    best = min(measured, key=lambda offer: offer.cost)
    if moment.learning and not excluded:
        horizon = max(ledger.seen - 1, 1)
        for offer in sorted((o for o in rested if not o.measured), key=lambda o: o.cost):
            if offer.cost >= best.cost:
                break
            promised = (best.cost - offer.cost) * horizon
            price = min(offer.price, best.cost) if offer.exploring else offer.price - 0.5 * best.cost
            if ledger.may_lose(price, best.cost, promised):
                return Choice(offer.arm, _cap(best.cost, offer.step), offer.price, trial=True)
    cap = _cap(max(best.price, _cheapest_refresh(measured, best)), best.step) if best.exploring else None
    return Choice(best.arm, cap, best.price)


def _cap(cost: float, step: float) -> int:
    return max(3, math.ceil(SPARE * cost / step)) if step > 0 else 50


def _cheapest_refresh(measured: list[_Offer], best: _Offer) -> float:
    prices = [offer.price for offer in measured if not offer.exploring]
    return min(prices) if prices else 2.0 * best.price


def step_bytes(size: Size, family: str, kind: str, M_bytes: float | None = None) -> float:
    """Bytes of an iteration."""
    vectors = 10.0 if kind == "definite" else 30.0
    apply = FAMILIES[family].apply(size)
    if M_bytes is not None and family in ("direct", "ic", "ilu", "ilu2"):
        apply = M_bytes + 4 * size.vector
    return size.product + apply + vectors * size.vector + 50_000.0


def _offers(group: Group, moment: Moment) -> Iterator[_Offer]:
    for family in moment.families:
        for mode in moment.modes:
            base = _offer(group, moment, Arm(family, mode))
            if base is None:
                continue
            if moment.recycle is not True:
                yield base
            if moment.recycle is None and base.measured:
                record = group.ledger.arms[str(base.arm)]
                if record.rate.median * moment.decades >= WORTH_RECYCLING if record.rate else False:
                    other = _offer(group, moment, Arm(family, mode, recycle=True))
                    if other is not None:
                        yield other
            elif moment.recycle is True:
                other = _offer(group, moment, Arm(family, mode, recycle=True))
                if other is not None:
                    yield other


def _offer(group: Group, moment: Moment, arm: Arm) -> _Offer | None:
    ledger, family, size = group.ledger, FAMILIES[arm.family], moment.size
    kept = group.kept.get(arm.family)
    here = kept is not None and moment.known is not None and kept.known is moment.known
    if arm.mode in ("frozen", "scaled"):
        if kept is None or here or arm.family == "none":
            return None
        if arm.family in ("jacobi", "fast_poisson", "scaled_poisson") and not moment.fixed:
            return None  # as cheap to set up as to scale
    record = ledger.arms.get(str(arm)) or ArmRecord()
    plain = ledger.arms.get(str(Arm(arm.family, arm.mode))) or ArmRecord()
    refreshed = ledger.arms.get(str(Arm(arm.family))) or ArmRecord()
    step = next((r.step.median for r in (record, plain, refreshed) if r.step), None)
    if step is None:
        step = ledger.unit * step_bytes(size, arm.family, moment.kind)
    elif arm.recycle and not record.step:
        step += ledger.unit * size.vector * (100.0 if moment.kind == "definite" else 40.0)  # deflation and harvest
    measured = bool(record.rate)
    if measured and record.near and kept is not None and kept.known is not None and moment.entries is not None:
        rate = record.rate_at(distance(kept.known.entries, moment.entries))
    elif measured:
        rate = record.rate.median
    elif arm.recycle:
        rate = 0.5 * (plain.rate.median if plain.rate else family.iterations(size))
    elif arm.mode in ("frozen", "scaled"):
        rate = refreshed.rate.median if refreshed.rate else family.iterations(size)
        far = 1.0
        if kept is not None and kept.known is not None and moment.entries is not None:
            far = spread(kept.known.entries, moment.entries) ** 0.5
        rate = max(rate, 0.3) * max(1.2, (0.7 if arm.mode == "frozen" else 0.3) * far)
    else:
        rate = (0.9 if family.exact else 0.6 if ledger.seen > 1 else 1.0) * family.iterations(size)
    steps = max(1.0, math.ceil(rate * moment.decades - 1e-9))
    solve = steps * step + (record.fixed.median if record.fixed else 0.0)
    if arm.mode in ("frozen", "scaled"):
        return _Offer(arm, solve, solve, step, measured, True)
    setup = 0.0 if here else _setup_cost(ledger.unit, refreshed, kept, arm.family, size)
    uses = ledger.run_length
    if moment.known is not None:
        uses = max(uses, float(moment.known.uses))
    return _Offer(arm, solve + setup / max(uses, 1.0), solve + setup, step, measured, False)


def _setup_cost(unit: float, record: ArmRecord, kept: Kept | None, name: str, size: Size) -> float:
    """Cost of a set-up: from nothing, or an update."""
    family = FAMILIES[name]
    if kept is None:
        return record.build.median if record.build else unit * family.setup(size)
    if record.setup:
        return record.setup.median
    guess = unit * family.update(size)
    if record.build:  # scale by what the first set-up turned out to cost
        guess = record.build.median * family.update(size) / max(family.setup(size), 1.0)
    return guess
