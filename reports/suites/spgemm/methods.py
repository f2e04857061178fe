"""Every way of multiplying that is measured: this package's, the peers', the SMASH ladder.

A method is made ready for a pair of factors (formats of its own, plans, handles), which is not on the clock unless it is
what the method is about; then one call is one product.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from .peers import find
from .smash import VARIANTS

__all__ = ["EXACT", "METHODS", "Factors", "Method", "Ready", "choose"]

EXACT = ("spgemm", "spgemm-any", "plan-setup", "plan", "plan-values", *VARIANTS)
"""Methods whose values must be SciPy's to the bit on the common pattern; of the others, to rounding."""


LEAKABLE = 3_000_000  # entries of C; torch 2.13 never gives the memory of a sparse product back, 16 bytes an entry
SHARE = 1 << 16  # numbers for each thread; torch gives a thread 2**15 at least


def _same(answer: Any) -> Any:
    return answer


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Ready:
    """A method made ready for two factors.

    Attributes
    ----------
    call : callable
        One product; on the clock.
    result : callable
        ``result(answer) -> csr_array`` of what `call` returned; off the clock.
    close : callable
        Give back what is not Python's.
    held : int or None
        Bytes that the preparation holds (a plan).
    warm : callable or None
        Keeps the library's threads awake in place of `call`, where that is called as seldom as can be.
    """

    call: Callable[[], Any]
    result: Callable[[Any], csr_array] = _same
    close: Callable[[], None] = _nothing
    held: int | None = None
    warm: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Factors:
    """What is multiplied, on how many threads, and what the methods share (one plan serves all that need one)."""

    A: csr_array
    B: csr_array
    threads: int
    shared: dict[str, Any] = field(default_factory=dict)

    def plan(self) -> Any:
        """Return the plan of the product, built on first use."""
        from ....linalg import SpGEMMPlan

        if "plan" not in self.shared:
            self.shared["plan"] = SpGEMMPlan(self.A, self.B)
        return self.shared["plan"]


@dataclass(frozen=True)
class Method:
    """A way of multiplying.

    Attributes
    ----------
    name : str
        Readable id.
    prepare : callable
        ``prepare(factors) -> Ready``.
    peer : str
        The optional library that it needs; empty for none.
    single : bool
        Whether it runs on one thread whatever the number: measured there too as ``name@1`` if not.
    order : str
        "sorted" or "any": in which order the columns of a row come.
    most : int or None
        Entries of C above which it does not run: one whose memory never comes back, and which is therefore called as seldom
        as can be, once to warm and once on the clock. Its preparation gives a `Ready.warm`.
    tidy : bool
        Whether its answers lie in reference cycles, so that memory fills up unless these are looked for after each timing.
    """

    name: str
    prepare: Callable[[Factors], Ready]
    peer: str = ""
    single: bool = False
    order: str = "sorted"
    most: int | None = None
    tidy: bool = False


def _scipy(factors: Factors) -> Ready:
    A, B = factors.A, factors.B
    return Ready(lambda: A @ B)


def _scipy_sort(factors: Factors) -> Ready:
    A, B = factors.A, factors.B

    def call() -> csr_array:
        C = A @ B
        C.sort_indices()
        return C

    return Ready(call)


def _spgemm(sort: bool) -> Callable[[Factors], Ready]:
    def prepare(factors: Factors) -> Ready:
        from ....linalg import spgemm

        A, B = factors.A, factors.B
        return Ready(lambda: spgemm(A, B, sort=sort))

    return prepare


def _plan_setup(factors: Factors) -> Ready:
    from ....linalg import SpGEMMPlan

    A, B = factors.A, factors.B
    return Ready(lambda: SpGEMMPlan(A, B), lambda plan: plan(A, B))


def _plan(factors: Factors) -> Ready:
    A, B, plan = factors.A, factors.B, factors.plan()
    return Ready(lambda: plan(A, B), held=int(plan.memory_bytes))


def _plan_values(factors: Factors) -> Ready:
    A, B, plan = factors.A, factors.B, factors.plan()
    out = factors.shared.setdefault("values", np.empty(plan.nnz))

    def result(values: Any) -> csr_array:
        return csr_array((values, plan.indices, plan.indptr), shape=plan.shape)

    return Ready(lambda: plan.multiply(A.data, B.data, out), result, held=int(plan.memory_bytes))


def _mkl(reorder: bool) -> Callable[[Factors], Ready]:
    def prepare(factors: Factors) -> Ready:
        A, B = factors.A, factors.B
        multiply = find("mkl", factors.threads).module.dot_product_mkl
        return Ready(lambda: multiply(A, B, reorder_output=reorder), csr_array)

    return prepare


def _mkl_staged(factors: Factors) -> Ready:
    from .mkl import StagedProduct

    product = StagedProduct(find("mkl", factors.threads).library, factors.A, factors.B)
    return Ready(product.finalise, lambda _: product.result(), product.close)


def _graphblas(factors: Factors) -> Ready:
    A, B = factors.A, factors.B
    graphblas = find("graphblas", factors.threads).module
    left = graphblas.io.from_scipy_sparse(A)
    right = left if B is A else graphblas.io.from_scipy_sparse(B)

    def result(C: Any) -> csr_array:
        return csr_array(graphblas.io.to_scipy_sparse(C, format="csr"))

    return Ready(lambda: left.mxm(right, "plus_times").new(), result)


def _graphblas_csr(factors: Factors) -> Ready:
    A, B = factors.A, factors.B
    graphblas = find("graphblas", factors.threads).module
    left = graphblas.io.from_scipy_sparse(A)
    right = left if B is A else graphblas.io.from_scipy_sparse(B)

    def call() -> dict[str, Any]:
        # the quickest way out of GraphBLAS: its arrays are handed over, not copied
        return left.mxm(right, "plus_times").new().ss.export("csr", give_ownership=True, sort=True)

    def result(C: dict[str, Any]) -> csr_array:
        values = np.broadcast_to(C["values"], C["col_indices"].shape) if C.get("is_iso") else C["values"]
        return csr_array((values, C["col_indices"], C["indptr"]), shape=(A.shape[0], B.shape[1]))

    return Ready(call, result)


def _torch(factors: Factors) -> Ready:
    A, B = factors.A, factors.B
    torch = find("torch", factors.threads).module

    def tensor(matrix: csr_array) -> Any:
        parts = [torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data)]
        return torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=False)

    with warnings.catch_warnings():  # that the format is young is no news
        warnings.simplefilter("ignore")
        left = tensor(A)
        right = left if B is A else tensor(B)

    def result(C: Any) -> csr_array:
        parts = (C.values().numpy(), C.col_indices().numpy(), C.crow_indices().numpy())
        return csr_array(parts, shape=tuple(C.shape))

    # arithmetic on entries of its own, enough for every thread, which gives the memory of nothing away
    ones = torch.ones(SHARE * factors.threads, dtype=torch.float64)
    out = torch.empty_like(ones)
    return Ready(lambda: left @ right, result, warm=lambda: torch.mul(ones, ones, out=out))


def _smash(name: str) -> Callable[[Factors], Ready]:
    def prepare(factors: Factors) -> Ready:
        return Ready(lambda: VARIANTS[name](factors.A, factors.B, factors.threads))

    return prepare


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("spgemm", _spgemm(True)),
        Method("spgemm-any", _spgemm(False), order="any"),
        Method("plan-setup", _plan_setup),
        Method("plan", _plan),
        Method("plan-values", _plan_values),
        Method("scipy", _scipy, single=True, order="any"),
        Method("scipy-sort", _scipy_sort, single=True),
        Method("mkl", _mkl(False), "mkl", order="any"),
        Method("mkl-sort", _mkl(True), "mkl"),
        Method("mkl-staged", _mkl_staged, "mkl", order="any"),
        Method("graphblas", _graphblas, "graphblas", order="any", tidy=True),
        Method("graphblas-csr", _graphblas_csr, "graphblas"),
        Method("torch", _torch, "torch", order="any", most=LEAKABLE),
        *(Method(name, _smash(name)) for name in VARIANTS),
    )
}
"""All methods, in the order of the tables."""


def choose(ladder: bool) -> list[Method]:
    """Return the methods that run on an input."""
    return [method for name, method in METHODS.items() if ladder or name not in VARIANTS]
