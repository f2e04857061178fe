"""Products over a semiring, full on a known pattern and masked; also the masked product of ordinary numbers.

One source serves every semiring: the first argument of a kernel is an empty array whose record type carries the name, and
`_step` turns it into the fused "add the product" of that semiring while it compiles. Unlike functions passed as
arguments this is inlined, and it is cached on disk per name.

Rows are summed in the order of the row of A, each product in the order of the row of B, whatever the blocks: a value does
not depend on the number of threads nor on the way that a masked row was computed. Accumulators are private to a block and
are set from the pattern before they are read, never cleared by value, so that a NaN cannot outlive its row.

Index arrays are unsigned views of one width; ``starts`` cuts the rows in blocks of equal work.
"""

import numpy as np
from numba import njit, prange
from numba.extending import overload

UNSORTED, SORTED, STRICT = 0, 1, 2  # what `row_order` says


def _plus_times(tag, acc, x, y):
    return acc + x * y


def _min_plus(tag, acc, x, y):
    value = x + y
    return value if value < acc or value != value else acc  # a NaN stays, as in numpy.minimum


def _or_and(tag, acc, x, y):
    return acc | (x & y)


def _plus_pair(tag, acc, x, y):
    return acc + 1


_STEPS = {"plus_times": _plus_times, "min_plus": _min_plus, "or_and": _or_and, "plus_pair": _plus_pair}

TAGS = {name: np.zeros(0, dtype=[(name, np.uint8)]) for name in _STEPS}


def _step(tag, acc, x, y):
    """Add the product of x and y to acc, in the semiring that the type of `tag` names."""
    raise NotImplementedError


@overload(_step)
def _choose_step(tag, acc, x, y):
    return _STEPS[next(iter(tag.dtype.fields))]


# --- full product on a known pattern ------------------------------------------------------------------------


@njit(cache=True)
def _full_rows(tag, first, last, columns, identity, A, B, C):
    a_ptr, a_idx, a_val = A
    b_ptr, b_idx, b_val = B
    c_ptr, c_idx, c_val = C
    one = np.uint64(1)
    acc = np.full(columns, identity, c_val.dtype)
    for i in range(first, last):
        for p in range(a_ptr[i], a_ptr[i + one]):
            x = a_val[p]
            k = np.uint64(a_idx[p])
            for q in range(b_ptr[k], b_ptr[k + one]):
                c = b_idx[q]
                acc[c] = _step(tag, acc[c], x, b_val[q])
        for q in range(c_ptr[i], c_ptr[i + one]):
            c = c_idx[q]
            c_val[q] = acc[c]
            acc[c] = identity


@njit(parallel=True, cache=True)
def full_product(tag, starts, columns, identity, A, B, C):
    """Fill the values of C, whose pattern is that of A B (columns unique in a row)."""
    if starts.shape[0] == 2:
        _full_rows(tag, starts[0], starts[1], columns, identity, A, B, C)
    else:
        for b in prange(starts.shape[0] - 1):
            _full_rows(tag, starts[b], starts[b + 1], columns, identity, A, B, C)


# --- masked product -----------------------------------------------------------------------------------------


@njit(cache=True)
def choose_dots(a_ptr, m_ptr, m_idx, column_sizes, work, by_dots):
    """Mark the rows that cost less as dot products with columns of B; returns what this saves, and lowers `work`."""
    one = np.uint64(1)
    saved = np.uint64(0)
    for i in range(np.uint64(work.shape[0])):
        cost = np.uint64(a_ptr[i + one] - a_ptr[i])
        for q in range(m_ptr[i], m_ptr[i + one]):
            cost += np.uint64(column_sizes[m_idx[q]])
            if cost >= work[i]:
                break
        by_dots[i] = cost < work[i]
        if by_dots[i]:
            saved += work[i] - cost
            work[i] = cost
    return saved


@njit(cache=True)
def row_order(indptr, indices):
    """Whether the column indices of every row rise strictly, never fall, or neither: STRICT, SORTED or UNSORTED."""
    one = np.uint64(1)
    strict = True
    for i in range(np.uint64(indptr.shape[0]) - one):
        for p in range(np.uint64(indptr[i]) + one, np.uint64(indptr[i + one])):
            if indices[p] <= indices[p - one]:
                strict = False
                if indices[p] < indices[p - one]:
                    return 0
    return 2 if strict else 1


@njit(cache=True)
def _scattered_row(tag, i, identity, A, B, m_ptr, m_idx, position, acc, hit, out_idx, out_val):
    """Give each column of the row of the mask a place, then add up every product, the unwanted ones in the spare places.

    A branch for each product would be mispredicted again and again; eight spare places, by the last bits of the column,
    keep one addition from waiting for the one before. Where the mask holds next to nothing the branch is foreseen, and
    better.
    """
    a_ptr, a_idx, a_val = A
    b_ptr, b_idx, b_val = B
    one, spare = np.uint64(1), np.uint64(8)
    places = spare
    begin = np.uint64(m_ptr[i])
    for q in range(begin, np.uint64(m_ptr[i + one])):
        c = m_idx[q]
        if position[c] < spare:  # a column that the mask holds twice counts once
            position[c] = places
            out_idx[begin + places - spare] = c
            acc[places] = identity
            hit[places] = 0
            places += one
    few = places - spare <= np.uint64(4)
    for p in range(a_ptr[i], a_ptr[i + one]):
        x = a_val[p]
        k = np.uint64(a_idx[p])
        if few:
            for q in range(b_ptr[k], b_ptr[k + one]):
                s = position[b_idx[q]]
                if s >= spare:
                    acc[s] = _step(tag, acc[s], x, b_val[q])
                    hit[s] = 1
        else:
            for q in range(b_ptr[k], b_ptr[k + one]):
                s = position[b_idx[q]]
                acc[s] = _step(tag, acc[s], x, b_val[q])
                hit[s] = 1
    to = begin
    for s in range(spare, places):
        c = out_idx[begin + s - spare]
        position[c] = c & np.uint64(7)
        if hit[s]:
            out_idx[to] = c
            out_val[to] = acc[s]
            to += one
    return to - begin


@njit(cache=True)
def _dotted_row(tag, i, identity, A, Bt, m_ptr, m_idx, position, where, out_idx, out_val):
    """Dot products of row i of A, whose columns rise strictly, with the columns of B that the mask names.

    `where` points from an inner index into A; `position` keeps a column that the mask holds twice from counting twice.
    """
    a_ptr, a_idx, a_val = A
    t_ptr, t_idx, t_val = Bt
    one, none = np.uint64(1), np.uint32(0xFFFFFFFF)
    begin = np.uint64(a_ptr[i])
    for p in range(begin, np.uint64(a_ptr[i + one])):
        where[a_idx[p]] = p - begin
    to = np.uint64(m_ptr[i])
    for q in range(m_ptr[i], m_ptr[i + one]):
        c = np.uint64(m_idx[q])
        if position[c] < np.uint32(8):
            position[c] = 8
            acc = identity
            met = False
            for r in range(t_ptr[c], t_ptr[c + one]):
                s = where[t_idx[r]]
                if s != none:
                    acc = _step(tag, acc, a_val[begin + np.uint64(s)], t_val[r])
                    met = True
            if met:
                out_idx[to] = c
                out_val[to] = acc
                to += one
    for q in range(m_ptr[i], m_ptr[i + one]):
        c = np.uint64(m_idx[q])
        position[c] = c & np.uint64(7)
    for p in range(begin, np.uint64(a_ptr[i + one])):
        where[a_idx[p]] = none
    return to - np.uint64(m_ptr[i])


@njit(cache=True)
def _masked_rows(tag, first, last, columns, identity, A, B, Bt, by_dots, m_ptr, m_idx, counts, out_idx, out_val):
    one, none = np.uint64(1), np.uint32(0xFFFFFFFF)
    longest = np.uint64(0)
    for i in range(first, last):
        longest = max(longest, np.uint64(m_ptr[i + one] - m_ptr[i]))
    dots = by_dots.shape[0] > 0
    position = np.empty(columns, np.uint32)
    for c in range(columns):
        position[c] = c & np.uint64(7)
    where = np.full(B[0].shape[0] if dots else 0, none, np.uint32)
    acc = np.full(longest + np.uint64(8), identity, out_val.dtype)
    hit = np.empty(longest + np.uint64(8), np.uint8)
    for i in range(first, last):
        if m_ptr[i] == m_ptr[i + one]:
            counts[i] = 0
        elif dots and by_dots[i]:
            counts[i] = _dotted_row(tag, i, identity, A, Bt, m_ptr, m_idx, position, where, out_idx, out_val)
        else:
            counts[i] = _scattered_row(tag, i, identity, A, B, m_ptr, m_idx, position, acc, hit, out_idx, out_val)


@njit(parallel=True, cache=True)
def masked_product(tag, starts, columns, identity, A, B, Bt, by_dots, m_ptr, m_idx, counts, out_idx, out_val):
    """Row i of A B on the mask goes to the place of row i of the mask; counts[i] tells how much of it is filled.

    Rows with ``by_dots`` use Bt, the transpose of B with rows in the order of the inner index; without such rows
    ``by_dots`` is empty.
    """
    if starts.shape[0] == 2:
        _masked_rows(
            tag, starts[0], starts[1], columns, identity, A, B, Bt, by_dots, m_ptr, m_idx, counts, out_idx, out_val
        )
    else:
        for b in prange(starts.shape[0] - 1):
            _masked_rows(
                tag, starts[b], starts[b + 1], columns, identity, A, B, Bt, by_dots, m_ptr, m_idx, counts, out_idx,
                out_val,
            )  # fmt: skip


@njit(cache=True)
def compact(m_ptr, c_ptr, old_idx, old_val, new_idx, new_val):
    """Close the gaps that a masked product left."""
    one = np.uint64(1)
    for i in range(np.uint64(c_ptr.shape[0]) - one):
        p = np.uint64(m_ptr[i])
        for q in range(c_ptr[i], c_ptr[i + one]):
            new_idx[q] = old_idx[p]
            new_val[q] = old_val[p]
            p += one
