"""Personalised PageRank: checks of a transition matrix, pruned pushes, random walks, steps of the power iteration.

Pushes and walks end in rows whose length nobody knows beforehand. These kernels are therefore serial, work on a range of
rows, return arrays of their own and give up the interpreter lock, so that a few Python threads can share the rows.
"""

import math

import numpy as np
from numba import njit, prange

# outcomes of check_transitions
FINE, BAD_POINTER, BAD_INDEX, BAD_VALUE, BAD_SUM = 0, 1, 2, 3, 4

# splitmix64 (Steele, Lea and Flood 2014): a Weyl sequence and a finaliser
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
ELEVEN, TWENTY_SEVEN, THIRTY, THIRTY_ONE = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
UNIT = 2.0**-53


@njit(cache=True)
def _mix(z):
    z = (z ^ (z >> THIRTY)) * MIX_1
    z = (z ^ (z >> TWENTY_SEVEN)) * MIX_2
    return z ^ (z >> THIRTY_ONE)


@njit(cache=True, nogil=True)
def check_transitions(indptr, indices, data, bits, columns, tolerance):
    """Outcome, row, whether a row is empty, all rows are uniform, zeros are stored, and 64 bits of fingerprint; one pass."""
    empty = False
    uniform, zeros = True, False
    mark = np.uint64(columns)
    if indptr[0] != 0:
        return BAD_POINTER, 0, empty, uniform, zeros, mark
    for i in range(indptr.shape[0] - 1):
        first, last = indptr[i], indptr[i + 1]
        if last < first or last > indices.shape[0]:
            return BAD_POINTER, i, empty, uniform, zeros, mark
        total = 0.0
        here = np.uint64(0)
        for k in range(first, last):
            if indices[k] >= columns:
                return BAD_INDEX, i, empty, uniform, zeros, mark
            value = data[k]
            if not (value >= 0.0 and value < np.inf):
                return BAD_VALUE, i, empty, uniform, zeros, mark
            if value != data[first]:
                uniform = False
            total += value
            if value > 0.0:
                here += _mix(bits[k] + np.uint64(indices[k]) * GOLDEN)  # a sum: the order within a row is free
            else:
                zeros = True
        mark = _mix(mark * GOLDEN + here)
        if total == 0.0:
            empty = True
        elif abs(total - 1.0) > tolerance:
            return BAD_SUM, i, empty, uniform, zeros, mark
    return FINE, 0, empty, uniform, zeros, mark


@njit(cache=True)
def _grown(indices, values, used, wanted):
    size = max(wanted, 2 * indices.shape[0])
    more_indices = np.empty(size, dtype=indices.dtype)
    more_values = np.empty(size, dtype=values.dtype)
    more_indices[:used] = indices[:used]
    more_values[:used] = values[:used]
    return more_indices, more_values


@njit(cache=True)
def _in_order(support, count, dense):
    """Put the places of the nonzeros of `dense` into support[:count] in ascending order."""
    if count * 16 < dense.shape[0]:
        support[:count].sort()
        return
    place = 0
    for v in range(dense.shape[0]):
        if dense[v] != 0:
            support[place] = v
            place += 1


@njit(cache=True)
def _length(indptr, v):
    return np.int64(indptr[np.int64(v) + 1]) - np.int64(indptr[v])


@njit(cache=True)
def running_sums(indptr, data, sums):
    """Sum up the entries within each row, from its start to each of them."""
    for i in range(indptr.shape[0] - 1):
        total = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            total += data[k]
            sums[k] = total


@njit(cache=True)
def _scatter(count, front, mass, factor, indptr, indices, data, dense, support, used):
    """Dense += factor * mass of front times the rows; the support grows by what was zero; returns its length."""
    edges = 0
    for p in range(count):
        edges += _length(indptr, front[p])
    if edges * 4 < dense.shape[0]:
        for p in range(count):
            v = np.int64(front[p])
            x = factor * mass[p]
            for k in range(indptr[v], indptr[v + 1]):
                w = indices[k]
                more = x * data[k]
                before = dense[w]
                if before == 0.0 and more > 0.0:
                    support[used] = w
                    used += 1
                dense[w] = before + more
        return used, edges
    # many edges: adding without a look and one pass over all vertices are cheaper than a branch per edge
    for p in range(count):
        v = np.int64(front[p])
        x = factor * mass[p]
        for k in range(indptr[v], indptr[v + 1]):
            dense[indices[k]] += x * data[k]
    used = 0
    for v in range(dense.shape[0]):
        if dense[v] != 0.0:
            support[used] = v
            used += 1
    return used, edges


@njit(cache=True, nogil=True)
def push_rows(
    first,
    last,
    source_ptr,
    source_idx,
    source,
    indptr,
    indices,
    data,
    index_ptr,
    index_idx,
    index,
    restart,
    threshold,
    rtol,
    maxiter,
    hold,
    residual,
    result,
    mass,
    support,
    front,
    reached,
    lengths,
    facts,
    sums,
):
    """Push the sources first to last; returns indices and values of their answers.

    residual and result are zero on entry and again on return. An index with no rows means none. lengths[i] is the
    number of entries of row i, facts[i] holds dropped mass, remaining mass, its sum of squares, steps,
    multiply-adds, mass that pushes put into the answer; sums[i] is the sum of row i.
    """
    out_indices = np.empty(256, dtype=indices.dtype)
    out_values = np.empty(256, dtype=np.float64)
    used = 0
    for i in range(first, last):
        held = 0
        for k in range(source_ptr[i], source_ptr[i + 1]):
            v = source_idx[k]
            if residual[v] == 0.0 and source[k] > 0.0:
                support[held] = v
                held += 1
            residual[v] += source[k]
        dropped, pushed = 0.0, 0.0
        count = 0  # vertices in the answer
        step = 0
        work = 0
        while True:
            # what is large enough goes on; the source itself always does
            many, kept, moving = 0, 0, 0.0
            for p in range(held):
                v = support[p]
                x = residual[v]
                if x >= threshold or step == 0:
                    front[many] = v
                    mass[many] = x
                    many += 1
                    moving += x
                elif hold:
                    support[kept] = v
                    kept += 1
                else:
                    dropped += x
                    residual[v] = 0.0
            held = kept
            if many == 0 or moving <= rtol or step == maxiter:
                for p in range(many):
                    support[held + p] = front[p]
                held += many
                break
            for p in range(many):
                v = front[p]
                residual[v] = 0.0
                part = restart * mass[p]
                pushed += part
                if result[v] == 0.0 and part > 0.0:
                    reached[count] = v
                    count += 1
                result[v] += part
            held, edges = _scatter(many, front, mass, 1.0 - restart, indptr, indices, data, residual, support, held)
            work += edges
            step += 1
        remaining, squares = 0.0, 0.0
        for p in range(held):
            x = residual[support[p]]
            residual[support[p]] = 0.0
            mass[p] = x
            remaining += x
            squares += x * x
        if index_ptr.shape[0] > 1:
            count, edges = _scatter(held, support, mass, 1.0, index_ptr, index_idx, index, result, reached, count)
            work += edges
        _in_order(reached, count, result)
        if used + count > out_indices.shape[0]:
            out_indices, out_values = _grown(out_indices, out_values, used, used + count)
        total = 0.0
        for p in range(count):
            v = reached[p]
            out_indices[used + p] = v
            out_values[used + p] = result[v]
            total += result[v]
            result[v] = 0.0
        used += count
        lengths[i] = count
        sums[i] = total
        facts[i, 0] = dropped
        facts[i, 1] = remaining
        facts[i, 2] = squares
        facts[i, 3] = step
        facts[i, 4] = work
        facts[i, 5] = pushed
    return out_indices[:used], out_values[:used]


@njit(cache=True, nogil=True)
def walk_rows(first, last, indptr, indices, sums, walks, restart, seed, normalise, counts, touched, lengths):
    """Visit counts of the walks from vertices first to last, scaled; returns indices and values of their rows.

    `sums` holds running sums of the probabilities within each row, or nothing if every row is uniform. Each vertex has a
    stream of its own, so the outcome does not depend on how the vertices are shared out. counts is zero on entry and
    again on return.
    """
    guess = min(np.int64(8 * walks), np.int64(64)) * np.int64(last - first)
    out_indices = np.empty(guess, dtype=indices.dtype)
    out_values = np.empty(guess, dtype=np.float64)
    log_stay = math.log1p(-restart)
    used = 0
    for v in range(first, last):
        state = _mix(seed + _mix(np.uint64(v) * GOLDEN + MIX_1))
        distinct, total = 0, 0
        for _ in range(walks):
            state += GOLDEN
            moves = math.log1p(-UNIT * np.float64(_mix(state) >> ELEVEN)) / log_stay
            w = indices.dtype.type(v)
            while True:
                if counts[w] == 0:
                    touched[distinct] = w
                    distinct += 1
                counts[w] += 1
                total += 1
                low, high = np.int64(indptr[w]), np.int64(indptr[np.int64(w) + 1])
                if moves < 1.0 or low == high:
                    break
                moves -= 1.0
                state += GOLDEN
                u = UNIT * np.float64(_mix(state) >> ELEVEN)
                if sums.shape[0] == 0:
                    w = indices[low + np.int64(u * (high - low))]
                    continue
                u = min(u * sums[high - 1], np.nextafter(sums[high - 1], 0.0))  # rounding must not pass the last one
                while high - low > 1:  # the first running sum above u
                    middle = (low + high) // 2
                    if sums[middle - 1] > u:
                        high = middle
                    else:
                        low = middle
                w = indices[low]
        _in_order(touched, distinct, counts)
        if used + distinct > out_indices.shape[0]:
            out_indices, out_values = _grown(out_indices, out_values, used, used + distinct)
        scale = 1.0 / total if normalise else restart / walks
        for p in range(distinct):
            w = touched[p]
            out_indices[used + p] = w
            out_values[used + p] = scale * counts[w]
            counts[w] = 0
        used += distinct
        lengths[v] = distinct
    return out_indices[:used].copy(), out_values[:used].copy()


@njit(cache=True)
def _power_rows(first, last, indptr, indices, data, factor, change, after, x, sizes):
    columns = x.shape[1]
    for j in range(columns):
        sizes[j] = 0.0
    for i in range(first, last):
        for j in range(columns):
            after[i, j] = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            a = factor * data[k]
            row = indices[k]
            for j in range(columns):
                after[i, j] += a * change[row, j]
        for j in range(columns):
            x[i, j] += after[i, j]
            sizes[j] += abs(after[i, j])


@njit(parallel=True, cache=True)
def power_step(starts, indptr, indices, data, factor, change, after, x, sizes):
    """After <- factor A change, x <- x + after; sizes[b] holds the 1-norm of every column over the rows of block b."""
    for b in prange(starts.shape[0] - 1):
        _power_rows(starts[b], starts[b + 1], indptr, indices, data, factor, change, after, x, sizes[b])
