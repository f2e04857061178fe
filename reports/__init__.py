"""Command line, benchmark suites, records, tables, figures and pages: the top floor.

Records come first (`records`): everything that is shown is made from them alone.

``runner``
    runs the problems x solvers of a suite under the evidence rules and appends one record per finished run;
``suites``
    what is run: problem instances, named solver configurations, kernel ratios;
``summary``, ``findings``
    medians, ratios and performance profiles; the sentences that head the page;
``tables``, ``plots`` (``convergence``, ``pictures``, on ``canvas``), ``html``
    what a person sees (figures need the extra ``report``);
``cli`` (``solve_command``, ``listing``)
    ``ritzkit bench``, ``plot``, ``solve``, ``list``.
"""

from __future__ import annotations

__all__: list[str] = []
