"""The only place where a Krylov method touches a vector: numpy arrays and torch tensors behind the same functions.

For numpy arrays these are fused Numba kernels (`kernels.blas1`) whose results do not depend on the number of threads;
for torch tensors, on the CPU or on CUDA, the same functions call torch. A vector is one-dimensional and contiguous;
a basis is a two-dimensional array whose ROWS are vectors. Nothing here checks its arguments: `solvers.gate` has done so.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .kernels import blas1

__all__ = [
    "LONG",
    "add_two",
    "axpby",
    "axpy",
    "axpy_norm",
    "bicgstab_direction",
    "block_axpy",
    "block_dot",
    "cg_step",
    "copy",
    "copy_from_numpy",
    "dot",
    "empty",
    "empty_basis",
    "is_torch",
    "norm",
    "numpy_dtype",
    "scale",
    "step_and_turn",
    "to_numpy",
    "torch_dtype",
    "xpby",
    "zeros_like",
]


LONG = 2**18  # entries above which a plain copy is worth several threads


def is_torch(x: Any) -> bool:
    """Whether `x` is a torch tensor (without importing torch)."""
    torch = sys.modules.get("torch")
    return torch is not None and hasattr(torch, "Tensor") and isinstance(x, torch.Tensor)


def torch_dtype(dtype: Any) -> Any:
    """Return the torch type of a numpy floating or complex type."""
    import torch

    return {"f": torch.float32, "d": torch.float64, "F": torch.complex64, "D": torch.complex128}[np.dtype(dtype).char]


def numpy_dtype(x: Any) -> np.dtype[Any]:
    """Return the numpy type of an array or tensor."""
    return np.dtype(str(x.dtype).removeprefix("torch.")) if is_torch(x) else np.dtype(x.dtype)


def to_numpy(x: Any) -> Any:
    """Return a numpy view of a CPU tensor, or a host copy of one that lives elsewhere."""
    return x.detach().cpu().resolve_conj().resolve_neg().numpy() if is_torch(x) else np.asarray(x)


def copy_from_numpy(source: Any, out: Any) -> None:
    """Copy a numpy vector into `out`, an array or tensor of any device."""
    if is_torch(out):
        import torch

        out.copy_(torch.from_numpy(source))
    else:
        out[...] = source


def empty(n: int, like: Any, dtype: Any = None) -> Any:
    """Return an uninitialised vector of the array type, device and (unless given) dtype of `like`."""
    if is_torch(like):
        import torch

        return torch.empty(n, dtype=like.dtype if dtype is None else torch_dtype(dtype), device=like.device)
    return np.empty(n, dtype=like.dtype if dtype is None else dtype)


def zeros_like(x: Any) -> Any:
    """Return a zero vector like `x`."""
    if is_torch(x):
        import torch

        return torch.zeros_like(x)
    return np.zeros(x.shape, x.dtype)  # memory that is first written where it is used, by the threads that use it


def empty_basis(m: int, like: Any) -> Any:
    """Return storage for `m` vectors like `like`, shape ``(m, n)``."""
    if is_torch(like):
        import torch

        return torch.empty((m, like.shape[0]), dtype=like.dtype, device=like.device)
    return np.empty((m, like.shape[0]), dtype=like.dtype)


def copy(x: Any, out: Any) -> None:
    """Copy `x` into `out`."""
    if is_torch(x):
        out.copy_(x)
    elif x.shape[0] > LONG and x.dtype == out.dtype == np.float64 and x.flags.writeable:
        blas1.copy(x, out)
    else:
        out[:] = x


def dot(x: Any, y: Any) -> Any:
    """Return the inner product x^H y."""
    if is_torch(x):
        import torch

        return torch.vdot(x, y).item()
    return blas1.dot(x, y)


def norm(x: Any) -> float:
    """Return the Euclidean norm, safe against overflow and underflow of the squares."""
    if is_torch(x):
        import torch

        plain = float(torch.linalg.vector_norm(x).item())
        if 1e-15 < plain < 1e15 or x.numel() == 0:  # squares of float32 numbers leave their range soon after
            return plain
        largest = float(x.abs().max().item())
        if largest == 0.0 or not np.isfinite(largest):
            return largest if largest == 0.0 else float("nan")
        return largest * float(torch.linalg.vector_norm(x / largest).item())
    squared = float(blas1.dot(x, x).real)
    # float32 sums of squares leave the range early; tiny and huge float64 vectors do so too
    if (1e-200 < squared < 1e200 and x.dtype.char in "dD") or 1e-30 < squared < 1e30:
        return float(np.sqrt(squared))
    if not np.isfinite(squared) and not np.isfinite(x).all():
        return float("nan")
    largest = float(np.abs(x).max()) if x.shape[0] else 0.0
    if largest == 0.0:
        return 0.0
    scaled = x / largest if x.dtype.char in "dD" else x.astype(np.result_type(x.dtype, np.float64)) / largest
    return largest * float(np.sqrt(blas1.dot(scaled, scaled).real))


def axpby(a: Any, x: Any, b: Any, y: Any) -> None:
    """Update y <- a x + b y."""
    if is_torch(x):
        y.mul_(b).add_(x, alpha=a)
    else:
        blas1.axpby(_scalar(a, y), x, _scalar(b, y), y)


def axpy(a: Any, x: Any, y: Any) -> None:
    """Update y <- y + a x."""
    axpby(a, x, 1.0, y)


def xpby(x: Any, b: Any, y: Any) -> None:
    """Update y <- x + b y."""
    axpby(1.0, x, b, y)


def scale(a: Any, x: Any) -> None:
    """Update x <- a x."""
    x *= a


def cg_step(alpha: Any, p: Any, q: Any, x: Any, r: Any) -> float:
    """Update x <- x + alpha p and r <- r - alpha q; return the squared norm of r."""
    if is_torch(x):
        import torch

        x.add_(p, alpha=alpha)
        r.sub_(q, alpha=alpha)
        return float(torch.vdot(r, r).real.item())
    return float(blas1.cg_step(_scalar(alpha, x), p, q, x, r))


def axpy_norm(a: Any, x: Any, y: Any) -> float:
    """Update y <- y + a x and return the squared norm of y."""
    if is_torch(x):
        import torch

        y.add_(x, alpha=a)
        return float(torch.vdot(y, y).real.item())
    return float(blas1.axpy_norm(_scalar(a, y), x, y))


def step_and_turn(alpha: Any, p: Any, x: Any, z: Any, beta: Any) -> None:
    """Update x <- x + alpha p, then p <- z + beta p, reading p once."""
    if is_torch(x):
        x.add_(p, alpha=alpha)
        p.mul_(beta).add_(z)
    else:
        blas1.step_and_turn(_scalar(alpha, x), p, x, z, _scalar(beta, x))


def bicgstab_direction(r: Any, beta: Any, omega: Any, v: Any, p: Any) -> None:
    """Update p <- r + beta (p - omega v)."""
    if is_torch(p):
        p.sub_(v, alpha=omega).mul_(beta).add_(r)
    else:
        blas1.bicgstab_direction(r, _scalar(beta, p), _scalar(omega, p), v, p)


def add_two(a: Any, x: Any, b: Any, y: Any, z: Any) -> None:
    """Update z <- z + a x + b y."""
    if is_torch(z):
        z.add_(x, alpha=a).add_(y, alpha=b)
    else:
        blas1.add_two(_scalar(a, z), x, _scalar(b, z), y, z)


def block_dot(basis: Any, k: int, w: Any, h: Any) -> None:
    """Write into h[:k] (a numpy array) the inner products of the first k basis vectors with w."""
    if is_torch(w):
        h[:k] = to_numpy(basis[:k].conj() @ w)
    else:
        blas1.block_dot(basis, k, w, h)


def block_axpy(basis: Any, k: int, h: Any, sign: float, w: Any) -> None:
    """Update w <- w + sign * sum over j < k of h[j] basis[j]."""
    if is_torch(w):
        import torch

        coefficients = torch.as_tensor(h[:k] * sign, dtype=w.dtype, device=w.device)
        w.addmv_(basis[:k].T, coefficients)
    else:
        blas1.block_axpy(basis, k, h, sign, w)


def _scalar(a: Any, like: Any) -> Any:
    """Cast a coefficient to the type of the vector, so that every kernel is compiled once per vector type."""
    return like.dtype.type(a)
