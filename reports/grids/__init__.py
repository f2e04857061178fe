"""What is shown of multigrid on grids: targets, growth with the size, traffic, batches, from the records alone.

The suite `multigrid` writes records of these kinds, besides those of `records`:

``growth``
    one geometry at one size: ``geometry``, ``shape``, ``n``, ``operator_bytes``, and under ``variants``, by name,
    ``solved``, ``iterations``, ``reached`` (iterations by accuracy), ``residual``, ``setup_seconds``,
    ``solve_seconds`` (a list each), ``memory_bytes``;
``traffic``
    ``bytes`` (moved per unknown and iteration, by part), ``iteration_seconds``, ``copy_bytes_per_second``, ``total_bytes``;
``batch``
    ``count`` systems: ``seconds`` of ``together`` and ``one by one``, ``iterations``, ``residuals``;
``hypre``
    ``rows`` of ``hypre`` and ``multigrid``, or ``installed`` false and why;
``refusals``
    ``rows``: ``case``, ``clear``, ``text``.
"""

from __future__ import annotations

__all__: list[str] = []
