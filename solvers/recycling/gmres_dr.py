"""GMRES-DR: GMRES with deflated restarting inside one solve, nothing carried over.

Source: R. B. Morgan, "GMRES with deflated restarting", SIAM J. Sci. Comput. 24 (2002) 20-37.

Departure from the source: it is GCRO-DR on a single system, which spans the same spaces (M. L. Parks et al., SIAM J. Sci.
Comput. 28 (2006) 1651-1674, section 3) and takes a flexible preconditioner. It is the honest opponent of recycling: what
`gcrodr` saves against it is what the former systems gave.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..gate import check_count, enter
from ..result import SolveResult
from .gcrodr import check_side, run
from .space import RecycleSpace

__all__ = ["gmres_dr"]


def gmres_dr(
    A: Any,
    b: Any,
    x0: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 0.0,
    maxiter: int | None = None,
    M: Any = None,
    callback: Callable[[Any], Any] | None = None,
    restart: int = 40,
    k: int = 20,
    flexible: bool = True,
    select: str = "sm",
    side: str = "right",
) -> SolveResult:
    """Solve A x = b by GMRES-DR(restart, k).

    Parameters
    ----------
    A, b, x0, rtol, atol, maxiter, M, callback, flexible, select, side
        As in `gcrodr`.
    restart : int
        Dimension of the space of a cycle, deflation vectors included.
    k : int
        Harmonic Ritz vectors that a restart keeps.

    Returns
    -------
    SolveResult
        ``recycle`` is None.

    Notes
    -----
    Costs of a step and of a cycle as in `gcrodr`.

    Examples
    --------
    >>> import numpy as np
    >>> from ritzkit.solvers import gmres
    >>> A, b = np.diag(np.arange(1.0, 201.0) ** 2), np.ones(200)
    >>> deflated = gmres_dr(A, b, rtol=1e-8, restart=20, k=8).iterations
    >>> deflated < 0.5 * gmres(A, b, rtol=1e-8, restart=20).iterations
    True
    """
    left, flexible = check_side(side, select, flexible)
    system = enter(
        "gmres_dr", A, b, x0, rtol=rtol, atol=atol, maxiter=maxiter, M=M, callback=callback,
        flexible=flexible and not left,
    )  # fmt: skip
    m, space = check_count("restart", restart, 1), RecycleSpace(check_count("k", k))
    return run(system, m, space, flexible=flexible, select=select, left=left, relative=rtol, keep=False)
