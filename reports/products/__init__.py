"""What is shown of sparse products: numbers, tables, figures and the part of the page, from the records alone.

The suite `spgemm` writes records of these kinds, besides those of `records`:

``product``
    one input, all methods: facts of the factors and, under ``methods``, status, seconds of every round, peak memory,
    agreement with SciPy; a name that ends in ``@1`` is the method on one thread;
``skipped``
    an input that is not measured, with the reason under ``text``: the memory does not do, or it is not float64;
``peers``
    which libraries are there, in which version, and why the others are not;
``update``
    a multigrid hierarchy updated for a new matrix against one built from nothing;
``latency``
    the first product of a process, cold and cached;
``pagerank``
    personalised PageRank: ``rows``, a list of mappings with ``graph``, ``n``, ``batch``, ``method``, ``seconds``,
    ``l1_error``, ``precision_at_50``.

Where there are several records of one input, as after an input was skipped and measured later, the last one holds.
"""

from __future__ import annotations

__all__: list[str] = []
