"""Makers of small sparse matrices, named after the property they have, and a product by the definition."""

import numpy as np
from scipy.sparse import csr_array


def numbers(rng, size, dtype="d", *, whole=False):
    """Normal deviates, or small whole numbers whose sums are exact and often cancel."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(size) < 0.7
    if whole or dtype.kind in "iu":
        values = rng.integers(0 if dtype.kind == "u" else -3, 4, size)
        return (values + 1j * rng.integers(-3, 4, size) if dtype.kind == "c" else values).astype(dtype)
    values = rng.standard_normal(size)
    return (values + 1j * rng.standard_normal(size) if dtype.kind == "c" else values).astype(dtype)


def raw(data, indices, indptr, shape, index=np.int32):
    """CSR array of exactly these arrays, in the index type asked for (the constructor would choose its own)."""
    matrix = csr_array(shape)
    matrix.data = np.asarray(data)
    matrix.indices, matrix.indptr = np.asarray(indices, index), np.asarray(indptr, index)
    return matrix


def loose(rng, m, n, *, fill=0.3, dtype="d", whole=False, index=np.int32):
    """Rows of random length, some empty; columns in any order, some twice."""
    lengths = rng.binomial(n, fill, m) * (rng.random(m) < 0.8)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    indices = rng.integers(0, max(n, 1), indptr[-1])
    return raw(numbers(rng, indptr[-1], dtype, whole=whole), indices, indptr, (m, n), index)


def neat(rng, m, n, *, fill=0.3, dtype="d", whole=False, index=np.int32):
    """Random entries with columns that rise strictly in every row."""
    places = rng.random((m, n)) < fill
    indptr = np.concatenate([[0], np.cumsum(places.sum(axis=1))])
    return raw(numbers(rng, indptr[-1], dtype, whole=whole), np.nonzero(places)[1], indptr, (m, n), index)


def roomy(matrix, spare=7):
    """Give back the same matrix in arrays that are longer than its entries, as SciPy allows."""
    data = np.concatenate([matrix.data, np.full(spare, np.nan, matrix.dtype)])
    indices = np.concatenate([matrix.indices, np.zeros(spare, matrix.indices.dtype)])
    return raw(data, indices, matrix.indptr, matrix.shape, matrix.indices.dtype)


def of_ones(matrix):
    """Give every stored entry the value one."""
    return raw(np.ones(matrix.indices.size), matrix.indices, matrix.indptr, matrix.shape, matrix.indices.dtype)


def pattern_of_product(A, B):
    """Row pointers and sorted columns of A B, whatever the values."""
    product = csr_array(of_ones(A) @ of_ones(B))
    product.sort_indices()
    return product.indptr, product.indices


def shuffled(rng, matrix):
    """Give back the same matrix with the entries of every row in another order."""
    bounds = zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    order = np.concatenate([np.arange(0), *(rng.permutation(np.arange(a, b)) for a, b in bounds)]).astype(np.int64)
    return raw(matrix.data[order], matrix.indices[order], matrix.indptr, matrix.shape, matrix.indices.dtype)


STEPS = {
    "plus_times": (lambda s, x, y: s + x * y),
    "min_plus": (lambda s, x, y: np.minimum(s, x + y)),
    "or_and": (lambda s, x, y: s or (x != 0 and y != 0)),
    "plus_pair": (lambda s, x, y: s + 1),
}


def by_definition(A, B, semiring="plus_times", dtype=None):
    """Product entry by entry, summed in the order of A's row and then of B's: a table {(row, column): value}."""
    dtype = np.dtype(np.result_type(A.dtype, B.dtype) if dtype is None else dtype)
    zero = dtype.type(np.inf if semiring == "min_plus" else 0)
    step, table = STEPS[semiring], {}
    with np.errstate(all="ignore"):
        for i in range(A.shape[0]):
            for p in range(A.indptr[i], A.indptr[i + 1]):
                k = A.indices[p]
                for q in range(B.indptr[k], B.indptr[k + 1]):
                    place = i, int(B.indices[q])
                    x, y = A.data[p], B.data[q]
                    if semiring in ("plus_times", "min_plus"):
                        x, y = dtype.type(x), dtype.type(y)
                    table[place] = dtype.type(step(table.get(place, zero), x, y))
    return table


def as_table(matrix):
    """Stored entries of a matrix without duplicates: a table {(row, column): value}."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    places = list(zip(rows.tolist(), matrix.indices.tolist(), strict=True))
    table = dict(zip(places, matrix.data, strict=True))
    assert len(table) == matrix.nnz
    return table


def rows_are_sorted(matrix):
    """Whether columns rise strictly in every row, by the indices themselves."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    return bool((np.diff(rows * (matrix.shape[1] + 1) + matrix.indices) > 0).all())


def same_bits(x, y):
    """Whether two arrays hold the same bytes and type (NaN equals NaN)."""
    return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()


def assert_same_table(found, expected):
    """Same places, same bits (any NaN equals any other)."""
    assert found.keys() == expected.keys()
    for place, value in expected.items():
        np.testing.assert_array_equal(found[place], value, err_msg=str(place))
        assert type(found[place]) is type(value)


def assert_same_matrix(found, expected):
    """Same arrays, bit by bit."""
    assert found.shape == expected.shape
    for name in ("indptr", "indices", "data"):
        assert same_bits(getattr(found, name), getattr(expected, name)), name
