"""One file for everything a sequence has learned: plain arrays and a JSON text in an ``.npz``, no pickles.

Preconditioners are written as the matrices they were built and last set up from; loading runs the same set-ups again.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array

from ...linalg import Grid
from ..recycling import RecycleSpace
from ..recycling.files import write_archive
from .entries import Box, Entries, Pattern
from .families import FAMILIES
from .guess import Past, Span
from .ledger import Ledger
from .state import Gain, Group, Kept, Known

__all__ = ["load", "save"]

Array = npt.NDArray[Any]
FORMAT = "ritzkit sequence"
VERSION = 1
OPTIONS = ("method", "rtol", "atol", "preconditioner", "recycle", "guess", "sniff", "decide")


class _Writer:
    """Arrays by number, and every matrix and place once."""

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}
        self.known: list[dict[str, Any]] = []
        self.places: list[dict[str, Any]] = []
        self._numbers: dict[int, int] = {}
        self._held: list[Any] = []

    def array(self, value: Array | None) -> str | None:
        """Add an array; returns its name."""
        if value is None:
            return None
        name = f"a{len(self.arrays)}"
        self.arrays[name] = np.ascontiguousarray(value)
        return name

    def place(self, place: Pattern | Box) -> int:
        """Add a place; returns its number."""
        if id(place) not in self._numbers:
            if isinstance(place, Box):
                grid = place.grid
                entry = {
                    "kind": "grid", "shape": list(grid.shape), "spacing": grid.spacing,
                    "sides": [list(pair) for pair in grid.sides], "cells": self.array(grid.cells),
                }  # fmt: skip
            else:
                entry = {
                    "kind": "pattern", "shape": list(place.shape), "indptr": self.array(place.indptr),
                    "indices": self.array(place.indices),
                }  # fmt: skip
            self._numbers[id(place)] = len(self.places)
            self._held.append(place)
            self.places.append(entry)
        return self._numbers[id(place)]

    def matrix(self, known: Known | None) -> int | None:
        """Add a known matrix; returns its number."""
        if known is None:
            return None
        if id(known) not in self._numbers:
            entries, span, null = known.entries, known.span, known.entries.nullspace
            entry = {
                "place": self.place(entries.place), "values": [self.array(v) for v in entries.values],
                "symmetric": entries.symmetric, "positive_definite": entries.positive_definite,
                "nullspace": None if null is None
                else [self.array(null.data), self.array(null.indices), self.array(null.indptr), list(null.shape)],
                "uses": known.uses, "pending": self.array(known.pending), "most": span.most, "k": span.k,
                "worth": self.array(span.worth),
                "X": self.array(None if span.X is None else span.X[: span.k]),
                "C": self.array(None if span.C is None else span.C[: span.k]),
            }  # fmt: skip
            self._numbers[id(known)] = len(self.known)
            self._held.append(known)
            self.known.append(entry)
        return self._numbers[id(known)]


def save(solver: Any, path: Any) -> None:
    """Write a solver; see `SequenceSolver.save`."""
    writer = _Writer()
    groups = []
    for key, group in solver._groups.items():
        past = group.past
        kept = {}
        for name, item in group.kept.items():
            born, now = writer.matrix(item.born), writer.matrix(item.known)
            if born is not None:
                kept[name] = {"born": born, "known": now, "rate": item.rate, "age": item.age, "cycle": item.cycle}
        groups.append(
            {
                "key": list(key), "ledger": group.ledger.state(), "kept": kept,
                "gains": {name: gain.state() for name, gain in group.gains.items()},
                "past": {"most": past.most, "k": past.k, "next": past.next,
                         "X": writer.array(None if past.X is None else past.X[: past.k])},
                "spaces": {name: _space_state(space, writer) for name, space in group.spaces.items()},
            }
        )  # fmt: skip
    header = {
        "format": FORMAT, "version": VERSION, "frozen": solver.frozen,
        "options": {name: getattr(solver, name) for name in OPTIONS},
        "remembered": [writer.matrix(known) for known in solver._known],
        "places_remembered": [writer.place(place) for place in solver._places],
        "suspects": [[*key, count] for key, count in solver._suspects.items()],
        "groups": groups, "known": writer.known, "places": writer.places,
    }  # fmt: skip
    arrays = {"header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8), **writer.arrays}
    write_archive(path, arrays)


def load(kind: type[Any], path: Any) -> Any:
    """Read a solver; see `SequenceSolver.load`."""
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:  # closed also where load fails
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays["header"].tobytes().decode())
        if header["format"] != FORMAT:
            raise ValueError("it holds something else")
        later = header["version"] > VERSION
        solver = None if later else _read(kind, header, arrays)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{os.fspath(path)} is not a saved SequenceSolver, or is damaged ({error})") from None
    if later:
        raise ValueError(f"{os.fspath(path)} was written by a later version: update ritzkit")
    return solver


def _read(kind: type[Any], header: dict[str, Any], arrays: dict[str, Array]) -> Any:
    options = dict(header["options"])
    solver = kind(options.pop("method"), **options)
    solver.frozen = header["frozen"]

    def array(name: str | None) -> Array | None:
        return None if name is None else arrays[name]

    places = [_place(entry, array) for entry in header["places"]]
    known = [_known(entry, places, array) for entry in header["known"]]
    solver._known = [known[i] for i in header["remembered"]]
    solver._places = [places[i] for i in header["places_remembered"]]
    solver._suspects = {(int(n), char): int(count) for n, char, count in header["suspects"]}
    for entry in header["groups"]:
        group = Group(Ledger.of(entry["ledger"]))
        stored = entry["past"]
        group.past = Past(stored["most"])
        X = array(stored["X"])
        if X is not None:
            group.past.X = np.empty((stored["most"], X.shape[1]), X.dtype)
            group.past.X[: stored["k"]] = X
            group.past.k, group.past.next = stored["k"], stored["next"]
        group.gains = {name: Gain.of(state) for name, state in entry["gains"].items()}
        for name, state in entry["spaces"].items():
            group.spaces[name] = _space(state, array)
        for name, state in entry["kept"].items():
            born = known[state["born"]]
            now = None if state["known"] is None else known[state["known"]]
            M = FAMILIES[name].build(born.operator)
            if now is not None and now is not born:
                M.update(now.operator)
            group.kept[name] = Kept(M, born, now, True, state["rate"], state["age"], state["cycle"])
        solver._groups[tuple(entry["key"])] = group
    return solver


def _place(entry: dict[str, Any], array: Any) -> Pattern | Box:
    if entry["kind"] == "grid":
        sides = [tuple(pair) for pair in entry["sides"]]
        return Box(Grid(tuple(entry["shape"]), entry["spacing"], sides, array(entry["cells"])))
    return Pattern(tuple(entry["shape"]), array(entry["indptr"]), array(entry["indices"]))


def _known(entry: dict[str, Any], places: list[Pattern | Box], array: Any) -> Known:
    null = entry["nullspace"]
    nullspace = None if null is None else csc_array((array(null[0]), array(null[1]), array(null[2])), shape=null[3])
    values = tuple(array(name) for name in entry["values"])
    known = Known(Entries(places[entry["place"]], values, entry["symmetric"], entry["positive_definite"], nullspace))
    known.uses, known.pending = entry["uses"], array(entry["pending"])
    known.span = Span(entry["most"])
    known.span.X, known.span.C, known.span.k = array(entry["X"]), array(entry["C"]), entry["k"]
    known.span.worth = array(entry["worth"])
    return known


def _space_state(space: RecycleSpace, writer: _Writer) -> dict[str, Any]:
    return {
        "size": space.size, "storage": space.storage, "token": space.token, "gain": writer.array(space.gain),
        "U": writer.array(space._U), "C": writer.array(space._C), "P": writer.array(space._P), "norm": space._norm,
    }  # fmt: skip


def _space(state: dict[str, Any], array: Any) -> RecycleSpace:
    space = RecycleSpace(state["size"], storage=state["storage"])
    space._U, space._C, space._P = (array(state[name]) for name in "UCP")
    space.gain, space.token, space._norm = array(state["gain"]), state["token"], state["norm"]
    return space
