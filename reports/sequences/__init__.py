"""What is shown of sequences and datasets, from the records alone: targets, seconds by arm, ratios against the paper.

The suites `recycling` and `datasets` write records of these kinds:

``sequence``
    one family: ``n``, ``count``, ``draw_seconds``, and under ``arms``, by name, ``role``, ``count``, ``solved``, ``seconds``
    and ``iterations`` (one per system, in the order of the arm), ``order_seconds``, ``failed``, ``error``;
``reproduction``
    iterations of ``gmres``, ``gmres-dr`` and ``skr`` by tolerance on one of SKR's sets;
``abrupt``
    ``rows``: what came in the middle of a sequence and what became of it;
``dataset``, ``curve``, ``kills``
    datasets by arm, by number of samples, and killed and resumed.
"""

from __future__ import annotations

__all__: list[str] = []
