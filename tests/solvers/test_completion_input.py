"""Bad input of matrix completion: clear errors, and outcomes that name what cannot be known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import coo_array

from ritzkit.solvers import CompletionOutcome, choose_rank, complete

ROWS = np.array([0, 0, 1, 1, 2, 2, 3, 3])
COLS = np.array([0, 1, 0, 2, 1, 2, 0, 1])
VALUES = np.arange(1.0, 9.0)
GOOD = {"rows": ROWS, "cols": COLS, "values": VALUES, "shape": (4, 3), "rank": 1}


def changed(array, place, value):
    out = np.array(array, dtype=None if isinstance(value, int) else float)
    out[place] = value
    return out


BAD = {
    "duplicate": ({"cols": changed(COLS, 1, 0)}, ValueError, r"entry \(0, 0\) more than once"),
    "row above": ({"rows": changed(ROWS, 3, 4)}, ValueError, r"rows\[3\] is 4: wanted 0 to 3"),
    "column below": ({"cols": changed(COLS, 2, -1)}, ValueError, r"cols\[2\] is -1: wanted 0 to 2"),
    "nan": ({"values": changed(VALUES, 4, np.nan)}, ValueError, r"values\[4\], entry \(2, 1\), is nan"),
    "inf": ({"values": changed(VALUES, 0, np.inf)}, ValueError, r"values\[0\], entry \(0, 0\), is inf"),
    "complex": ({"values": VALUES * 1j}, TypeError, "values has dtype complex128"),
    "fractional rows": ({"rows": ROWS + 0.5}, TypeError, "rows has dtype float64"),
    "lengths": ({"values": VALUES[:-1]}, ValueError, "8, 8, 7 entries"),
    "two-dimensional": ({"rows": ROWS[None]}, ValueError, r"rows has shape \(1, 8\)"),
    "empty": ({"rows": ROWS[:0], "cols": COLS[:0], "values": VALUES[:0]}, ValueError, "values is empty"),
    "rank above": ({"rank": 4}, ValueError, "rank is 4: wanted at most 3"),
    "rank zero": ({"rank": 0}, ValueError, "rank is 0"),
    "rank fraction": ({"rank": 1.5}, TypeError, "rank is 1.5"),
    "no rank": ({"rank": None}, TypeError, "rank is missing"),
    "no values": ({"values": None}, TypeError, "values is missing"),
    "shape": ({"shape": (4,)}, TypeError, "shape is"),
    "shape zero": ({"shape": (4, 0)}, ValueError, "at least one row"),
    "method": ({"method": "magic"}, ValueError, "method is 'magic': wanted one of altmin"),
    "inner": ({"inner": "lu"}, ValueError, "inner is 'lu'"),
    "ridge": ({"ridge": -1.0}, ValueError, "ridge is -1.0"),
    "ridge elsewhere": ({"ridge": 1.0, "method": "rcg"}, ValueError, "only altmin takes them"),
    "biases alone": ({"biases": True}, ValueError, "biases=True with ridge=0"),
    "sweeps": ({"sweeps": 0}, ValueError, "sweeps is 0"),
    "rtol": ({"rtol": np.nan}, ValueError, "rtol is nan"),
    "option": ({"step": 1.0}, TypeError, "step is no option of method 'altmin'"),
    "init": ({"init": "zero"}, ValueError, "init is 'zero'"),
    "split too far": ({"split": True, "sweeps": 10}, ValueError, "21 parts"),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_refused_by_name(case):
    change, kind, text = BAD[case]
    with pytest.raises(kind, match=text):
        complete(**(GOOD | change))


def test_a_sparse_array_comes_alone():
    with pytest.raises(TypeError, match="holds places and values already"):
        complete(coo_array((VALUES, (ROWS, COLS))), COLS, rank=1)
    with pytest.raises(ValueError, match=r"entry \(0, 1\) more than once"):
        complete(coo_array((np.ones(2), ([0, 0], [1, 1])), shape=(2, 2)), rank=1)


@pytest.mark.parametrize("ranks", [(), (2, 1)], ids=["none", "descending"])
def test_ranks_are_checked(ranks):
    with pytest.raises(ValueError, match="ascending order"):
        choose_rank(ROWS, COLS, VALUES, (4, 3), ranks)


def rank_one(keep):
    """Observed entries of a 6 x 5 matrix of rank one, where `keep` says."""
    matrix = np.outer(np.arange(1.0, 7.0), np.arange(1.0, 6.0))
    rows, cols = np.nonzero([[bool(keep(i, j)) for j in range(5)] for i in range(6)])
    return rows, cols, matrix[rows, cols], matrix.shape


WEAK = {
    "empty row": (lambda i, j: i != 2, 1, CompletionOutcome.UNDERDETERMINED, "rows without entries: 2"),
    "empty column": (lambda i, j: j != 4, 1, CompletionOutcome.UNDERDETERMINED, "columns without entries: 4"),
    "thin row": (
        lambda i, j: i != 3 or j == 0,
        2,
        CompletionOutcome.UNDERDETERMINED,
        "rows with fewer than 2 entries: 3",
    ),
    "two parts": (
        lambda i, j: (i < 4) == (j < 3),
        1,
        CompletionOutcome.DISCONNECTED,
        "2 components: {rows 0, 1, 2, 3; columns 0, 1, 2} {rows 4, 5; columns 3, 4}",
    ),
}


@pytest.mark.parametrize("method", ["altmin", "altmin_incremental"])
@pytest.mark.parametrize("case", list(WEAK))
def test_what_cannot_be_known_is_named(case, method):
    keep, rank, outcome, text = WEAK[case]
    result = complete(*rank_one(keep), rank, method=method, rng=0)
    assert result.outcome is outcome
    assert not result.success
    assert text in result.note
    assert result.residual <= 1e-10  # the fit itself is there
    assert np.isfinite(result.toarray()).all()


def test_a_ridge_makes_weak_data_well_posed():
    result = complete(*rank_one(lambda i, j: i != 2), 1, ridge=1e-3, rng=0)
    assert result.outcome is CompletionOutcome.STATIONARY
    assert result.success
    assert "rows without entries: 2" in result.note


def test_zero_data_is_completed_by_zero():
    result = complete(ROWS, COLS, np.zeros(8), (4, 3), 1, rng=0)
    assert not result.toarray().any()
    assert result.residual == 0.0


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)], ids=str)
def test_the_smallest_shapes(shape):
    rows, cols = np.nonzero(np.ones(shape))
    for method in ("altmin", "altmin_incremental"):
        result = complete(rows, cols, np.arange(1.0, rows.size + 1), shape, 1, method=method, rng=0)
        assert result.success
        np.testing.assert_allclose(result.toarray()[rows, cols], np.arange(1.0, rows.size + 1))


def test_a_matrix_of_higher_rank_is_no_success():
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((30, 25))
    rows, cols = np.nonzero(rng.random(matrix.shape) < 0.8)
    for method in ("altmin", "altmin_incremental", "rcg"):
        result = complete(rows, cols, matrix[rows, cols], matrix.shape, 2, method=method, rng=0, sweeps=300)
        assert not result.success
        assert result.outcome in (CompletionOutcome.STAGNATION, CompletionOutcome.ITERATION_LIMIT)
