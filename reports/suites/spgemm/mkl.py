"""MKL's staged product through ctypes: the one compiled peer that, like a plan, computes new values on a known pattern.

``mkl_sparse_sp2m`` splits a product in stages: count the entries of C, find its pattern, compute its values; the last can be
repeated for other values on the same patterns. No Python package wraps the stages. Here C stays in MKL's memory and
its columns in MKL's order: nothing is copied and nothing sorted on MKL's clock.

A handle made by ``mkl_sparse_d_create_csr`` points into the caller's arrays, so `StagedProduct` holds them as long as the
handles; C is MKL's own and goes with its handle. Each handle is destroyed once, by `close`.

References
----------
Intel oneAPI Math Kernel Library, Developer Reference for C: "Two-stage Algorithm in Inspector-executor Sparse BLAS
Routines", ``mkl_sparse_sp2m``.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, byref, c_double, c_int, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["StagedProduct"]

# values of the C enumerations in mkl_spblas.h
NON_TRANSPOSE = 10
GENERAL = 20
INDEX_BASE_ZERO = 0
NNZ_COUNT, FINALIZE_MULT, FINALIZE_MULT_NO_VAL = 91, 92, 94
STATUS = ("success", "not initialised", "out of memory", "invalid value", "execution failed", "internal error",
          "not supported")  # fmt: skip


class _Description(Structure):
    _fields_ = (("type", c_int), ("mode", c_int), ("diag", c_int))


class StagedProduct:
    """C = A B, pattern once, values as often as wanted.

    Parameters
    ----------
    library : ctypes.CDLL
        The loaded MKL run-time library, in its 32-bit interface.
    A, B : csr_array of float64
        Factors with int32 indices; their value arrays may be rewritten in place between calls of `finalise`.

    Raises
    ------
    RuntimeError
        If MKL refuses a call.
    """

    def __init__(self, library: ctypes.CDLL, A: csr_array, B: csr_array) -> None:
        self._library = library
        self._handles: list[c_void_p] = []
        self._held: list[Any] = []
        self._description = _Description(GENERAL, 0, 0)
        self.shape = (A.shape[0], B.shape[1])
        try:
            self._A, self._B = self._factor(A), self._factor(B)
            self._C = c_void_p()
            self._stage(NNZ_COUNT)
            self._handles.append(self._C)
            self._stage(FINALIZE_MULT_NO_VAL)
        except BaseException:
            self.close()
            raise

    def _factor(self, matrix: csr_array) -> c_void_p:
        arrays = (matrix.indptr, matrix.indices, matrix.data)
        if [a.dtype for a in arrays] != [np.int32, np.int32, np.float64] or not all(
            a.flags.c_contiguous for a in arrays
        ):
            raise ValueError("a factor is not CSR with contiguous int32 indices and float64 values")
        self._held.append(arrays)
        start = arrays[0].ctypes.data
        handle = c_void_p()
        self._call(
            "mkl_sparse_d_create_csr",
            byref(handle), c_int(INDEX_BASE_ZERO), c_int(matrix.shape[0]), c_int(matrix.shape[1]),
            c_void_p(start), c_void_p(start + 4), c_void_p(arrays[1].ctypes.data), c_void_p(arrays[2].ctypes.data),
        )  # fmt: skip
        self._handles.append(handle)
        return handle

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name)
        function.restype = c_int
        status = function(*arguments)
        if status:
            raise RuntimeError(f"{name}: {STATUS[status] if status < len(STATUS) else status}")

    def _stage(self, request: int) -> None:
        self._call(
            "mkl_sparse_sp2m",
            c_int(NON_TRANSPOSE), self._description, self._A,
            c_int(NON_TRANSPOSE), self._description, self._B, c_int(request), byref(self._C),
        )  # fmt: skip

    def finalise(self) -> None:
        """Compute the values of C from those that stand in the factors' arrays now."""
        self._stage(FINALIZE_MULT)

    def result(self) -> csr_array:
        """Return C as it is, in a copy."""
        base, rows, columns = c_int(), c_int(), c_int()
        starts, ends, indices, values = (c_void_p() for _ in range(4))
        self._call(
            "mkl_sparse_d_export_csr",
            self._C, byref(base), byref(rows), byref(columns), byref(starts), byref(ends), byref(indices), byref(values),
        )  # fmt: skip
        start, end = (_array(pointer, c_int, rows.value) for pointer in (starts, ends))
        indptr = np.append(start, end[-1:]) if rows.value else np.zeros(1, dtype=np.int32)
        nnz = int(indptr[-1])
        parts = (_array(values, c_double, nnz), _array(indices, c_int, nnz), indptr)
        return csr_array(parts, shape=self.shape)

    def close(self) -> None:
        """Give everything back; further calls do nothing."""
        while self._handles:
            self._library.mkl_sparse_destroy(self._handles.pop())
        self._held.clear()


def _array(pointer: c_void_p, kind: Any, length: int) -> NDArray[Any]:
    if not length:
        return np.empty(0, dtype=np.dtype(kind))
    return np.ctypeslib.as_array(ctypes.cast(pointer, POINTER(kind)), (length,)).copy()
