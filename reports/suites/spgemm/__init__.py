"""Sparse times sparse, against SciPy, MKL, GraphBLAS and torch, with the targets that the project sets itself.

``inputs``
    what is multiplied: grids, graphs, Galerkin products, matrix files (``--folder``);
``methods`` (``peers``, ``mkl``, ``smash``)
    every way of multiplying: ours, the libraries', the CPU analogues of the SMASH variants;
``measure``
    agreement, memory and interleaved seconds of all methods on one input;
``latency``, ``update``, ``pagerank``
    the first product of a process; the re-setup of a multigrid hierarchy against a fresh one; an application.

Full matrices of real problems come in with ``--folder``, as in the suite `files`.
"""

from __future__ import annotations

import functools

from ..base import Measurement, Suite, SuiteOptions, Terms
from .inputs import Pair, pairs
from .pagerank import graphs

__all__ = ["SUITE"]


def _peers(terms: Terms) -> dict[str, object]:
    from .peers import report

    return {"kind": "peers", "peers": report(terms.threads)}


def _product(pair: Pair, terms: Terms) -> dict[str, object]:
    import zlib

    import numpy as np

    from .measure import measure

    return measure(pair, terms, np.random.default_rng([terms.seed, zlib.crc32(pair.name.encode())]))


def _latency(terms: Terms) -> dict[str, object]:
    from .latency import measure

    return measure(terms)


def _pagerank(terms: Terms) -> dict[str, object]:
    from .pagerank import measure

    return measure(terms)


def _update(edge: int, terms: Terms) -> dict[str, object]:
    from .update import measure

    return measure(edge, terms)


def _measurements(options: SuiteOptions) -> list[Measurement]:
    rounds = options.repeats or (3 if options.quick else 7)
    edge = 20 if options.quick else 64
    products = [
        Measurement(pair.name, pair.label, functools.partial(_product, pair), pair.parameters, rounds + 1)
        for pair in pairs(options)
    ]
    measurements = [
        Measurement("peers", "Libraries to compare with", _peers),
        *products,
        Measurement(
            f"update-{edge}", f"AMG update, Poisson {edge}³", functools.partial(_update, edge), {"edge": edge}, 3
        ),
    ]
    measurements.append(
        Measurement("pagerank", "Personalised PageRank", _pagerank, {"restart": 0.15}, steps=len(graphs(options)))
    )
    if not options.quick:  # eight processes that compile
        measurements.append(Measurement("latency", "First product of a process", _latency, steps=4))
    return measurements


SUITE = Suite(
    "spgemm",
    "Sparse times sparse: products, plans and the SMASH ladder against SciPy, MKL, GraphBLAS, torch",
    measurements=_measurements,
)
