"""A stream of related systems, each solved with what the ones before have left.

What is reused, and where it comes from:

- relations between matrices, found by comparing entries (`entries`);
- initial guesses from past solutions, superposition included (`guess`: Fischer 1998);
- preconditioners, left as they are, scaled, or set up again on the known pattern, whichever the measured costs favour
  (`ledger`, `choice`);
- recycled subspaces (`solvers.recycling`).

Every answer is checked against the true residual of the given system, whatever it came from, and what a system leaves behind
is kept only if the system was solved. Where nothing kept helps, the system goes to `solve`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from ..gate import check_count, check_tolerance, enter
from ..result import SolveResult
from .attempt import METHODS
from .choice import MODES
from .entries import Box, Entries, Pattern, Relation, relate
from .families import FAMILIES
from .ledger import Ledger
from .report import SequenceReport
from .run import Run
from .state import Group, Known

__all__ = ["SequenceSolver"]

MATRICES = 3  # matrices remembered at once
GROUPS = 8  # classes of systems remembered at once
RECORDS = 10_000


class SequenceSolver:
    """Solves a stream of related systems one by one, each cheaper because of the ones before.

    Parameters
    ----------
    method : str
        ``"auto"``, or a Krylov method to use for every system: cg, fcg, minres, gmres, fgmres, bicgstab, gcrodr,
        deflated_cg, recycled_minres; or ``"direct"`` (one factorisation per matrix).
    rtol, atol : float
        Every system is solved until ``norm(b - A x) <= max(rtol * norm(b), atol)``.
    preconditioner : str
        ``"auto"``; how to bring it to a new matrix (``"refresh"``: set it up again on the known pattern, ``"frozen"``:
        never, ``"scaled"``: never, but scale it by the ratio of the diagonals, ``"fresh"``: from nothing each time); which
        one (multigrid, fast_poisson, scaled_poisson, ic, amg, direct, ilu, ilu2, jacobi, none); or both, as in
        ``"amg/frozen"``.
    recycle : {"auto", None} or int
        Whether to recycle a subspace: if it pays, never, or always with that many vectors.
    guess : bool
        Start from past solutions where that pays.
    sniff : bool
        Look for relations between matrices. Without it every matrix counts as a new one.
    decide : {"time", "count"}
        Whether measured seconds or counted bytes decide what is used. With ``"count"`` the same systems in the same order
        give the same answers bit for bit on one number of threads.

    Attributes
    ----------
    frozen : bool
        Whether it has stopped to learn, see `freeze`.

    Notes
    -----
    Overhead per system: one pass over the entries to look at them, one to keep a copy, and about a tenth of a millisecond.
    Memory: up to three matrices, eight solutions, and whatever the preconditioners hold.

    Torch tensors are handed to `solve`; nothing is learned from them.

    Examples
    --------
    >>> import numpy as np
    >>> from ritzkit.problems import Heat
    >>> solver = SequenceSolver(rtol=1e-8)
    >>> results = [solver.solve(p.A, p.b) for p in Heat((24, 24), steps=6).sequence(rng=0)]
    >>> all(result.success for result in results), results[-1].setup_seconds < results[0].setup_seconds
    (True, True)
    >>> solver.report().counts("relation")
    {'new': 1, 'same': 5}
    """

    def __init__(
        self,
        method: str = "auto",
        *,
        rtol: float = 1e-6,
        atol: float = 0.0,
        preconditioner: str = "auto",
        recycle: Any = "auto",
        guess: bool = True,
        sniff: bool = True,
        decide: str = "time",
    ) -> None:
        if method not in ("auto", "direct", *METHODS):
            raise ValueError(f"method is {method!r}: wanted 'auto', 'direct' or one of {', '.join(METHODS)}")
        if decide not in ("time", "count"):
            raise ValueError(f"decide is {decide!r}: wanted 'time' or 'count'")
        for name, value in (("guess", guess), ("sniff", sniff)):
            if not isinstance(value, (bool, np.bool_)):
                raise TypeError(f"{name} is {value!r}: wanted True or False")
        if not (recycle is None or recycle == "auto"):
            recycle = check_count("recycle", recycle) or None
        self.method, self.decide = method, decide
        self.rtol, self.atol = check_tolerance("rtol", rtol), check_tolerance("atol", atol)
        self.preconditioner, self.recycle = preconditioner, recycle
        self.guess, self.sniff = bool(guess), bool(sniff)
        self._family, self._modes = _parse(preconditioner)
        self.frozen = False
        self._groups: dict[Any, Group] = {}
        self._known: list[Known] = []
        self._places: list[Pattern | Box] = []
        self._suspects: dict[Any, int] = {}
        self._records: deque[dict[str, Any]] = deque(maxlen=RECORDS)
        self._saved = {"kept preconditioners": 0.0, "guesses": 0.0, "recycling": 0.0}
        self._systems = self._failures = 0

    def __repr__(self) -> str:
        state = "frozen, " if self.frozen else ""
        return f"<SequenceSolver {self.method}: {state}{self._systems} systems, {len(self._known)} matrices known>"

    # --- the calls ----------------------------------------------------------------------------------------------------

    def solve(self, A: Any, b: Any, x0: Any = None, *, rtol: float | None = None) -> SolveResult:
        """Solve the next system of the sequence.

        Parameters
        ----------
        A : matrix or operator, shape (n, n)
            Anything the other solvers take; it may have nothing to do with the ones before.
        b : array_like or tensor, shape (n,)
        x0 : array_like, optional
            Initial guess, used instead of one from past solutions.
        rtol : float, optional
            For this system only.

        Returns
        -------
        SolveResult
            Its seconds, products and applications are those of all attempts; ``note`` says what was reused.

        Raises
        ------
        TypeError, ValueError
            For bad arguments, NaN in b among them; the state of the sequence does not change.
        """
        start = time.perf_counter()
        rtol = self.rtol if rtol is None else check_tolerance("rtol", rtol)
        checked = enter("sequence", A, b, x0, rtol=rtol, atol=self.atol, maxiter=None, M=None, callback=None)
        run = Run(self, checked, b, None if checked.zero_guess else x0, rtol, start)
        result = run.result()
        self._systems += 1
        self._failures += not result.success
        run.line["index"] = self._systems - 1
        run.line["seconds"] = time.perf_counter() - start
        self._records.append(run.line)
        return result

    def solve_many(self, problems: Iterable[Any]) -> list[SolveResult]:
        """Solve problems (objects with ``A`` and ``b``) or pairs ``(A, b)`` in the order given.

        Raises
        ------
        TypeError, ValueError
            If an entry is no system; the message names its index. The ones before it have been solved.
        """
        results = []
        for index, entry in enumerate(problems):
            pair = (entry.A, entry.b) if hasattr(entry, "A") and hasattr(entry, "b") else entry
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(
                    f"problems[{index}] is a {type(entry).__name__}: wanted a problem with A and b, or a pair (A, b)"
                )
            try:
                results.append(self.solve(*pair))
            except (TypeError, ValueError) as error:
                raise type(error)(f"problems[{index}]: {error}") from None
        return results

    def report(self) -> SequenceReport:
        """Return what was reused and what it saved."""
        unit = "seconds" if self.decide == "time" else "bytes"
        return SequenceReport(list(self._records), dict(self._saved), unit, self._systems, self._failures)

    def copy(self) -> Self:
        """Return an independent copy with everything learned so far and an empty report."""
        result = type(self)(
            self.method, rtol=self.rtol, atol=self.atol, preconditioner=self.preconditioner, recycle=self.recycle,
            guess=self.guess, sniff=self.sniff, decide=self.decide,
        )  # fmt: skip
        table: dict[int, Known] = {}

        def known(old: Known | None) -> Known | None:
            if old is None:
                return None
            if id(old) not in table:
                table[id(old)] = old.copy()
            return table[id(old)]

        result.frozen = self.frozen
        result._known = [copied for old in self._known if (copied := known(old)) is not None]
        result._places = list(self._places)
        result._groups = {key: group.copy(known) for key, group in self._groups.items()}
        result._suspects = dict(self._suspects)
        return result

    def freeze(self) -> Self:
        """Return a copy that does not learn.

        It solves every system from the same state, so its answers do not depend on which systems it has solved before:
        bit for bit, whatever their order, on one number of threads.
        """
        result = self.copy()
        result.frozen = True
        return result

    def forget(self) -> None:
        """Drop everything learned; the report stays."""
        self._groups.clear()
        self._known.clear()
        self._places.clear()
        self._suspects.clear()

    def save(self, path: Any) -> None:
        """Write everything learned to one ``.npz`` file (plain arrays and a JSON text, no pickles).

        Notes
        -----
        Of a preconditioner the matrices are written that it was built and last set up from; loading sets it up again the
        same way. An interrupted write leaves the former file.
        """
        from .storage import save

        save(self, path)

    @classmethod
    def load(cls, path: Any) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If the file is not one, is damaged, or comes from a later version.
        """
        from .storage import load

        return load(cls, path)

    # --- what a system leaves behind ------------------------------------------------------------------------------------

    def _intern(self, entries: Entries) -> None:
        """Let the entries share the place of former ones, with all that was worked out for it."""
        for place in self._places:
            if type(place) is type(entries.place) and place.fits(entries.place):  # type: ignore[arg-type]
                entries.place = place
                return
        entries.place = entries.place.kept()
        if not self.frozen:
            self._places.append(entries.place)
            del self._places[:-MATRICES]

    def _find(self, entries: Entries) -> tuple[Known | None, Relation]:
        """Return the known matrix that is closest, and how the new one follows from it."""
        best: tuple[Known | None, Relation] = (None, Relation("new"))
        if not self.sniff:
            return best
        for known in reversed(self._known):
            if known.entries.place is not entries.place:
                continue
            if (known.entries.nullspace is None) is not (entries.nullspace is None):
                continue
            relation = relate(known.entries, entries)
            if relation.kind == "same":
                return known, relation
            if best[0] is None or (relation.exact and not best[1].exact):
                best = known, relation
        return best

    def _remember(self, known: Known) -> None:
        """Keep a matrix: the first one, and the latest ones."""
        if len(self._known) >= MATRICES:
            del self._known[1]
        self._known.append(known)

    def _forget(self, known: Known | None) -> None:
        if known is not None and known in self._known:
            self._known.remove(known)

    def _group(self, key: Any) -> Group:
        group = self._groups.get(key)
        if group is None:
            group = Group(Ledger(self.decide == "time"))
            if not self.frozen:
                while len(self._groups) >= GROUPS:
                    del self._groups[next(iter(self._groups))]
                self._groups[key] = group
        return group


def _parse(text: Any) -> tuple[str | None, tuple[str, ...]]:
    """Read the argument `preconditioner`: a family or None, and the modes allowed."""
    every = (*MODES, "fresh")
    parts = text.split("/") if isinstance(text, str) else [text]
    family: str | None = None
    modes: tuple[str, ...] = MODES
    for part in parts:
        if part == "auto" and len(parts) == 1:
            continue
        if part in every:
            modes = (part,)
        elif part in FAMILIES and family is None:
            family = part
        else:
            raise ValueError(
                f"preconditioner is {text!r}: wanted 'auto', one of {', '.join(FAMILIES)}, one of {', '.join(every)}, or "
                "both as 'amg/frozen'"
            )
    return family, modes
