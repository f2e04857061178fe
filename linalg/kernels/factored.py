"""Applications of factored preconditioners, forward and backward solve in one call, and Eisenstat's form.

The technique is that of `kernels.triangular`: strict unit factors by sorted rows, the value of the neighbour
in a register.
"""

import numpy as np
from numba import njit

_FLAGS = {"contract"}


@njit(cache=True, fastmath=_FLAGS)
def apply_ldl(indptr, indices, data, inverse, r, z):
    """Compute z <- (U^H D U)^{-1} r for U = I + N, N strictly upper by rows; `inverse` holds 1 / D.

    Returns the real part of r . z.
    """
    n = np.uint64(z.shape[0])
    one = np.uint64(1)
    zero = z.dtype.type(0)
    for i in range(n):
        z[i] = r[i]
    coef = zero
    last = zero
    lo = np.uint64(indptr[0])
    for i in range(n):
        last = z[i] - coef * last
        z[i] = last
        hi = np.uint64(indptr[i + one])
        begin = lo
        coef = zero
        if lo < hi and indices[lo] == i + one:
            begin = lo + one
            coef = z.dtype.type(np.conj(data[lo]))
        for p in range(begin, hi):
            z[indices[p]] -= np.conj(data[p]) * last
        lo = hi
    last = zero
    product = 0.0
    hi = np.uint64(indptr[n])
    for s in range(n):
        i = n - one - s
        lo = np.uint64(indptr[i])
        begin = lo
        coef = zero
        if lo < hi and indices[lo] == i + one:
            begin = lo + one
            coef = z.dtype.type(data[lo])
        acc = z[i] * inverse[i]
        for p in range(begin, hi):
            acc -= data[p] * z[indices[p]]
        last = acc - coef * last
        z[i] = last
        product += (np.conj(r[i]) * last).real
        hi = lo
    return product


@njit(cache=True, fastmath=_FLAGS)
def apply_ldu(lptr, lidx, lower, uptr, uidx, upper, inverse, r, z):
    """Compute z <- ((I + L) D (I + U))^{-1} r, both factors strict by rows; `inverse` holds 1 / D."""
    n = np.uint64(z.shape[0])
    one = np.uint64(1)
    zero = z.dtype.type(0)
    last = zero
    lo = np.uint64(lptr[0])
    for i in range(n):
        hi = np.uint64(lptr[i + one])
        end = hi
        coef = zero
        if lo < hi and lidx[hi - one] == i - one:
            end = hi - one
            coef = z.dtype.type(lower[end])
        acc = z.dtype.type(r[i])
        for p in range(lo, end):
            acc -= lower[p] * z[lidx[p]]
        last = acc - coef * last
        z[i] = last
        lo = hi
    last = zero
    hi = np.uint64(uptr[n])
    for s in range(n):
        i = n - one - s
        lo = np.uint64(uptr[i])
        begin = lo
        coef = zero
        if lo < hi and uidx[lo] == i + one:
            begin = lo + one
            coef = z.dtype.type(upper[lo])
        acc = z[i] * inverse[i]
        for p in range(begin, hi):
            acc -= upper[p] * z[uidx[p]]
        last = acc - coef * last
        z[i] = last
        hi = lo


@njit(cache=True, fastmath=_FLAGS)
def eisenstat_product(indptr, indices, data, k, p, t, out):
    """Compute out <- t + U^{-H} (p - k * t) with t = U^{-1} p, for U = I + N, N strictly upper by rows."""
    n = np.uint64(out.shape[0])
    one = np.uint64(1)
    zero = out.dtype.type(0)
    last = zero
    hi = np.uint64(indptr[n])
    for s in range(n):
        i = n - one - s
        lo = np.uint64(indptr[i])
        begin = lo
        coef = zero
        if lo < hi and indices[lo] == i + one:
            begin = lo + one
            coef = out.dtype.type(data[lo])
        acc = p[i]
        for q in range(begin, hi):
            acc -= data[q] * t[indices[q]]
        last = acc - coef * last
        t[i] = last
        out[i] = p[i] - k[i] * last
        hi = lo
    coef = zero
    last = zero
    lo = np.uint64(indptr[0])
    for i in range(n):
        last = out[i] - coef * last
        out[i] = t[i] + last
        hi = np.uint64(indptr[i + one])
        begin = lo
        coef = zero
        if lo < hi and indices[lo] == i + one:
            begin = lo + one
            coef = out.dtype.type(np.conj(data[lo]))
        for q in range(begin, hi):
            out[indices[q]] -= np.conj(data[q]) * last
        lo = hi


@njit(cache=True, fastmath=_FLAGS)
def eisenstat_step(indptr, indices, data, k, scale, r, beta, p, t, given, out):
    """Advance a direction, p <- r + beta p, and multiply it: out as in `eisenstat_product`.

    Returns p . out and the squared norm of scale * (U^H r), the residual of the given system, which costs no
    pass over the factor of its own here. `t` and `given` are scratch.
    """
    n = np.uint64(out.shape[0])
    one = np.uint64(1)
    zero = out.dtype.type(0)
    last = zero
    hi = np.uint64(indptr[n])
    for s in range(n):
        i = n - one - s
        lo = np.uint64(indptr[i])
        begin = lo
        coef = zero
        if lo < hi and indices[lo] == i + one:
            begin = lo + one
            coef = out.dtype.type(data[lo])
        direction = r[i] + beta * p[i]
        p[i] = direction
        given[i] = r[i]
        acc = direction
        for q in range(begin, hi):
            acc -= data[q] * t[indices[q]]
        last = acc - coef * last
        t[i] = last
        out[i] = direction - k[i] * last
        hi = lo
    product = 0.0
    norm = 0.0
    coef = zero
    last = zero
    before = zero
    lo = np.uint64(indptr[0])
    for i in range(n):
        last = out[i] - coef * last
        value = t[i] + last
        out[i] = value
        product += (np.conj(p[i]) * value).real
        residual = scale[i] * (given[i] + coef * before)
        norm += (np.conj(residual) * residual).real
        before = r[i]
        hi = np.uint64(indptr[i + one])
        begin = lo
        coef = zero
        if lo < hi and indices[lo] == i + one:
            begin = lo + one
            coef = out.dtype.type(np.conj(data[lo]))
        for q in range(begin, hi):
            a = np.conj(data[q])
            out[indices[q]] -= a * last
            given[indices[q]] += a * before
        lo = hi
    return product, norm


@njit(cache=True, fastmath=_FLAGS)
def multiply_upper_adjoint(indptr, indices, data, scale, x, out):
    """Compute out <- scale * (U^H x), U = I + N, N strictly upper by rows; returns the squared norm."""
    n = np.uint64(x.shape[0])
    one = np.uint64(1)
    for i in range(n):
        out[i] = x[i]
    total = 0.0
    for i in range(n):
        y = out[i] * scale[i]
        out[i] = y
        total += (y * np.conj(y)).real
        for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + one])):
            out[indices[p]] += np.conj(data[p]) * x[i]
    return total
