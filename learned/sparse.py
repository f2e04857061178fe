"""Sparse times sparse with gradients: a planned product as a function of torch.

The pattern of A B is worked out once, in a `ritzkit.linalg.SpGEMMPlan`; each forward pass is then the numeric phase alone.
The gradients live on the patterns of A and B and never fill in: torch's own product of CSR tensors hands out the
gradient of A on the pattern of G B^H, which an optimiser cannot add to A.

Since the product is bilinear, the gradients of its gradients are again products and gradients of the same plan. They are
written so, hence derivatives of any order work, and `torch.autograd.gradgradcheck` passes.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from scipy.sparse import csr_array

from ..linalg.sparse_product import SpGEMMPlan

__all__ = ["planned_product", "product_plan", "sparse_product"]

_DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)


class _Product(torch.autograd.Function):
    """Values of A and of B to values of C."""

    @staticmethod
    def forward(ctx: Any, plan: SpGEMMPlan, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        ctx.plan = plan
        ctx.save_for_backward(a, b)
        return torch.from_numpy(plan.multiply(_host(a), _host(b)))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        da, db = _Gradients.apply(ctx.plan, ctx.needs_input_grad[1:], grads[0], *ctx.saved_tensors)
        return None, da, db


class _Gradients(torch.autograd.Function):
    """Gradient on C and values of A and of B to the gradients on A and on B; linear in each of the three."""

    @staticmethod
    def forward(
        ctx: Any, plan: SpGEMMPlan, wanted: tuple[bool, bool], grad: torch.Tensor, a: torch.Tensor, b: torch.Tensor
    ) -> Any:
        ctx.plan, ctx.wanted = plan, wanted
        ctx.save_for_backward(grad, a, b)
        ctx.set_materialize_grads(False)
        results = plan.gradients(_host(grad), _host(a), _host(b), wanted=wanted)
        return tuple(None if result is None else torch.from_numpy(result) for result in results)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor | None) -> Any:
        grad, a, b = ctx.saved_tensors
        va, vb = grads
        _, _, of_grad, of_a, of_b = ctx.needs_input_grad
        dgrad = da = db = None
        if of_grad:
            parts = [_Product.apply(ctx.plan, *pair) for pair, v in (((va, b), va), ((a, vb), vb)) if v is not None]
            dgrad = sum(parts[1:], parts[0]) if parts else None
        # <va, G B^H> depends on B, <vb, A^H G> on A, and both through the same pair of gradients
        if of_a and vb is not None:
            da = _Gradients.apply(ctx.plan, (True, False), grad, a, vb)[0]
        if of_b and va is not None:
            db = _Gradients.apply(ctx.plan, (False, True), grad, va, b)[1]
        return None, None, dgrad, da, db


def planned_product(plan: SpGEMMPlan, a_values: torch.Tensor, b_values: torch.Tensor) -> torch.Tensor:
    """Numbers of C = A B from the numbers of A and B, differentiable.

    Parameters
    ----------
    plan : SpGEMMPlan
        Plan of the product; it fixes the three patterns.
    a_values, b_values : Tensor, shape (nnz of A,) and (nnz of B,)
        Stored numbers in the order of the matrices that the plan was made from; float32, float64, complex64 or
        complex128. The result has their common type.

    Returns
    -------
    Tensor, shape (plan.nnz,)
        Numbers of C in the order of ``plan.indptr`` and ``plan.indices``.

    Raises
    ------
    TypeError
        If an argument is not a tensor of one of the four types.
    ValueError
        If a tensor has another length than its pattern.

    Notes
    -----
    The product runs on the CPU: tensors there are used without a copy, tensors on another device are copied to the CPU and
    the result back. Forward costs the multiply-adds of the product, backward twice that; either gradient
    alone costs once. Gradients follow the convention of torch for complex numbers (dA = G B^H). Results have the same bits
    for any number of threads.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from ritzkit.linalg import SpGEMMPlan
    >>> A = csr_array([[2.0, 1.0], [0.0, 3.0]])
    >>> plan = SpGEMMPlan(A, A)
    >>> a = torch.tensor(A.data, requires_grad=True)
    >>> c = planned_product(plan, a, a)
    >>> c.sum().backward()
    >>> c.tolist(), a.grad.tolist()
    ([4.0, 5.0, 9.0], [5.0, 5.0, 7.0])
    """
    for name, values in (("a_values", a_values), ("b_values", b_values)):
        if not isinstance(values, torch.Tensor):
            raise TypeError(f"{name} is a {type(values).__name__}: wanted a torch tensor; pass torch.from_numpy(...)")
        if values.dtype not in _DTYPES:
            raise TypeError(
                f"{name} has dtype {values.dtype}: wanted float32, float64, complex64 or complex128; "
                "convert it with .float() or .double()"
            )
    dtype = torch.promote_types(a_values.dtype, b_values.dtype)
    # copies between devices and types are differentiable too; where nothing changes they copy nothing
    a, b = (values.to(device="cpu", dtype=dtype) for values in (a_values, b_values))
    product: torch.Tensor = _Product.apply(plan, a, b)
    return product.to(a_values.device)


def product_plan(A: torch.Tensor, B: torch.Tensor) -> SpGEMMPlan:
    """Plan of the product of two sparse CSR tensors, for many calls of `sparse_product`.

    Parameters
    ----------
    A, B : Tensor
        Sparse CSR tensors of shapes (m, k) and (k, n).

    Returns
    -------
    SpGEMMPlan
        Tied to both patterns, not to the numbers.

    Raises
    ------
    TypeError
        If an argument is not a sparse CSR tensor.
    ValueError
        If the shapes do not fit.
    """
    return SpGEMMPlan(_to_scipy(A, "A"), _to_scipy(B, "B"))


def sparse_product(A: torch.Tensor, B: torch.Tensor, plan: SpGEMMPlan | None = None) -> torch.Tensor:
    """Product of two sparse CSR tensors, differentiable on their own patterns.

    Parameters
    ----------
    A, B : Tensor
        Sparse CSR tensors of shapes (m, k) and (k, n); float32, float64, complex64 or complex128.
    plan : SpGEMMPlan, optional
        From `product_plan`, for matrices of the same patterns; without it one is made for this call.

    Returns
    -------
    Tensor
        Sparse CSR tensor of shape (m, n), columns sorted, with the index type of `A` and on its device. Entries that cancel
        to zero stay stored.

    Raises
    ------
    TypeError
        If an argument is not a sparse CSR tensor of a supported type.
    ValueError
        If shapes do not fit, or a pattern differs from that of the plan.

    See Also
    --------
    planned_product : the same on plain vectors of numbers, without building sparse tensors.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from ritzkit.linalg.operators.torch import csr_tensor
    >>> A = csr_tensor(csr_array([[2.0, 1.0], [0.0, 3.0]]), torch.float64, "cpu").requires_grad_()
    >>> C = sparse_product(A, A)
    >>> C.values().sum().backward()
    >>> C.values().tolist(), A.grad.values().tolist()
    ([4.0, 5.0, 9.0], [5.0, 5.0, 7.0])
    """
    left, right = _to_scipy(A, "A"), _to_scipy(B, "B")
    if plan is None:
        plan = SpGEMMPlan(left, right)
    else:
        plan.require(left, right)
    values = planned_product(plan, A.values(), B.values())
    index = A.col_indices().dtype
    # torch tensors can be written to, the arrays of a plan must not be
    pointers, columns = (torch.tensor(part, dtype=index, device=A.device) for part in (plan.indptr, plan.indices))
    with warnings.catch_warnings():
        # torch announces that its sparse CSR layout is in beta at the first use in a process
        warnings.filterwarnings("ignore", message=".*Sparse CSR tensor support.*")
        warnings.filterwarnings("ignore", message=".*Sparse invariant checks.*")
        return torch.sparse_csr_tensor(pointers, columns, values, size=plan.shape, check_invariants=False)


def _host(values: torch.Tensor) -> Any:
    return values.detach().resolve_conj().resolve_neg().contiguous().numpy()


def _to_scipy(tensor: Any, name: str) -> csr_array:
    """Return a CSR tensor as an array that shares its numbers; order and duplicates of the columns stay."""
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.sparse_csr or tensor.ndim != 2:
        got = f"{tensor.layout} tensor" if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise TypeError(f"{name} is a {got}: wanted a two-dimensional sparse CSR tensor; use .to_sparse_csr()")
    tensor = tensor.detach().cpu()
    parts = (tensor.values().resolve_conj().numpy(), tensor.col_indices().numpy(), tensor.crow_indices().numpy())
    return csr_array(parts, shape=tuple(tensor.shape))
