"""Operators over torch tensors (dense, CSR or COO, on any device). Loaded only when a tensor comes in."""

from __future__ import annotations

from typing import Any, cast

import numpy.typing as npt
from scipy.sparse import csr_array

from .. import vectors
from .base import Operator
from .matrix import canonical_csr

__all__ = ["TorchOperator", "csr_tensor", "tensor_to_csr"]

Array = npt.NDArray[Any]


def csr_tensor(matrix: csr_array, dtype: Any, device: Any) -> Any:
    """Return a CSR array as a sparse CSR tensor on `device`."""
    import warnings

    import torch

    with warnings.catch_warnings():
        # torch announces that its sparse CSR layout is in beta at the first use in a process
        warnings.filterwarnings("ignore", message=".*Sparse CSR tensor support.*")
        warnings.filterwarnings("ignore", message=".*Sparse invariant checks.*")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr), torch.from_numpy(matrix.indices), torch.from_numpy(matrix.data),
            size=matrix.shape, check_invariants=False,
        ).to(device=device, dtype=dtype)  # fmt: skip


def tensor_to_csr(tensor: Any) -> csr_array:
    """Return a sparse or dense tensor as a canonical CSR array."""
    tensor = tensor.detach().cpu()
    if tensor.layout == _torch().sparse_csr:
        parts = (tensor.values().numpy(), tensor.col_indices().numpy(), tensor.crow_indices().numpy())
        return canonical_csr(csr_array(parts, shape=tuple(tensor.shape)))
    if tensor.layout == _torch().sparse_coo:
        tensor = tensor.coalesce()
        rows, columns = tensor.indices().numpy()
        from scipy.sparse import coo_array

        return canonical_csr(coo_array((tensor.values().numpy(), (rows, columns)), shape=tuple(tensor.shape)))
    return canonical_csr(csr_array(tensor.numpy()))


def _torch() -> Any:
    import torch

    return torch


class TorchOperator(Operator):
    """A two-dimensional tensor as an operator on tensors; numpy vectors go through an equal CSR or dense copy."""

    def __init__(self, tensor: Any, *, symmetric: bool | None = None, positive_definite: bool | None = None) -> None:
        if tensor.ndim != 2:
            raise ValueError(f"A has {tensor.ndim} axes: wanted a matrix (two axes)")
        tensor = tensor.detach().resolve_conj().resolve_neg()
        if tensor.layout not in (_torch().strided, _torch().sparse_csr, _torch().sparse_coo):
            try:
                tensor = tensor.to_sparse_csr()
            except RuntimeError:  # torch cannot go straight from every blocked layout
                tensor = tensor.to_dense()
        if not (tensor.dtype.is_floating_point or tensor.dtype.is_complex):
            tensor = tensor.to(_torch().float64)
        if str(tensor.dtype) not in ("torch.float32", "torch.float64", "torch.complex64", "torch.complex128"):
            raise TypeError(f"A has dtype {tensor.dtype}: wanted float32, float64, complex64 or complex128")
        self.tensor = tensor
        self._host: Operator | None = None
        super().__init__(
            vectors.numpy_dtype(tensor), tuple(tensor.shape), symmetric=symmetric, positive_definite=positive_definite
        )

    @property
    def host(self) -> Operator:
        """The same operator over numpy arrays."""
        if self._host is None:
            from .matrix import CSROperator, DenseOperator

            facts: dict[str, Any] = {"symmetric": self.symmetric, "positive_definite": self.positive_definite}
            if self.tensor.layout == _torch().strided:
                self._host = DenseOperator(self.tensor.cpu().numpy(), **facts)
            else:
                self._host = CSROperator(tensor_to_csr(self.tensor), **facts)
        return self._host

    def _apply(self, x: Array, out: Array) -> None:
        self.host._apply(x, out)

    def _apply_block(self, x: Array, out: Array) -> None:
        self.host._apply_block(x, out)

    def _apply_torch(self, x: Any, out: Any) -> None:
        key = ("tensor", x.device, x.dtype)
        if key not in self._buffers:
            self._buffers[key] = self.tensor.to(
                device=x.device, dtype=_torch().promote_types(x.dtype, self.tensor.dtype)
            )
        tensor = self._buffers[key]
        if tensor.layout == _torch().strided and tensor.dtype == x.dtype == out.dtype:
            _torch().mv(tensor, x, out=out)
        else:
            out.copy_(tensor @ x.to(tensor.dtype))

    def _adjoint(self) -> Operator:
        return self if self.symmetric else self.host.H

    def _transpose(self) -> Operator:
        return self if self.symmetric and self.dtype.kind != "c" else self.host.T

    def diagonal(self) -> Array:
        """Return the main diagonal as a numpy array."""
        return self.host.diagonal()

    def tocsr(self) -> csr_array:
        """Return the tensor as a CSR array."""
        return cast(csr_array, self.host.tocsr())
