"""What goes in wrong comes out named: one table, each case with its exact class of error or outcome."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from ritzkit import solve
from ritzkit.linalg import as_operator
from ritzkit.solvers import METHODS, Outcome, bicgstab, cg, chebyshev, direct, fcg, fgmres, gmres, minres, precond, sor

from . import makers

N = 16
A, B = makers.poisson(4)
ONES = np.ones(N)


def poisoned(value, where=5):
    x = ONES.copy()
    x[where] = value
    return x


def matrix_with(value):
    M = A.copy()
    M.data[7] = value
    return M


def operator(function, dtype=float, n=N):
    return sla.LinearOperator((n, n), matvec=function, dtype=dtype)


# --- exceptions: id, call, class, part of the message --------------------------------------------------------------
RAISES = [
    ("A-rectangular", lambda: cg(np.ones((4, 3)), np.ones(4)), ValueError, "cg needs a square matrix"),
    ("A-rectangular-sparse", lambda: gmres(sp.csr_array((3, 4)), np.ones(3)), ValueError, r"A has shape \(3, 4\)"),
    ("A-rectangular-solve", lambda: solve(np.ones((4, 3)), np.ones(4)), ValueError, "square"),
    ("A-one-axis", lambda: cg(np.ones(4), np.ones(4)), (TypeError, ValueError), "matrix"),
    ("A-three-axes", lambda: cg(np.ones((2, 2, 2)), np.ones(2)), ValueError, "two axes"),
    ("A-none", lambda: cg(None, ONES), TypeError, "A is a NoneType"),
    ("A-text", lambda: cg("laplace", ONES), TypeError, "A is a str"),
    ("A-dtype-object", lambda: cg(np.array([[object()]]), np.ones(1)), TypeError, "wanted numbers"),
    ("A-dtype-text", lambda: cg(np.array([["1"]]), np.ones(1)), TypeError, "wanted numbers"),
    ("A-no-matvec", lambda: cg(object(), ONES), TypeError, "shape, dtype and matvec"),
    ("A-returns-wrong-length", lambda: cg(_Wrong(), np.ones(3)), ValueError, "returned 2 numbers"),
    ("b-too-long", lambda: cg(A, np.ones(N + 1)), ValueError, r"b has shape \(17,\), A has shape \(16, 16\)"),
    ("b-too-short", lambda: minres(A, np.ones(3)), ValueError, r"b has shape \(3,\)"),
    ("b-scalar", lambda: cg(A, 1.0), ValueError, r"b has shape \(\)"),
    ("b-row", lambda: cg(A, np.ones((1, N))), ValueError, r"b has shape \(1, 16\)"),
    ("b-block", lambda: cg(A, np.ones((N, 2))), ValueError, "one at a time"),
    ("b-nan", lambda: cg(A, poisoned(np.nan)), ValueError, "b holds 1 NaN or infinite numbers .*index 5"),
    ("b-inf", lambda: gmres(A, poisoned(np.inf)), ValueError, "b holds 1 NaN"),
    ("b-nan-complex", lambda: bicgstab(A, poisoned(1.0) * complex(np.nan, 1)), ValueError, "b holds 16 NaN"),
    ("b-text", lambda: cg(A, ["x"] * N), TypeError, "b has dtype"),
    ("b-none", lambda: cg(A, None), TypeError, "b has dtype object"),
    ("b-object", lambda: cg(A, np.array([object()] * N)), TypeError, "b has dtype object"),
    ("x0-too-long", lambda: cg(A, ONES, np.ones(N + 1)), ValueError, r"x0 has shape \(17,\)"),
    ("x0-nan", lambda: cg(A, ONES, poisoned(np.nan)), ValueError, "x0 holds 1 NaN"),
    ("x0-inf", lambda: fgmres(A, ONES, poisoned(-np.inf, 0)), ValueError, "x0 holds 1 NaN .*index 0"),
    ("x0-word", lambda: cg(A, ONES, "zero"), ValueError, "x0 is 'zero'"),
    ("x0-complex-for-real", lambda: cg(A, ONES, 1j * ONES), TypeError, "complex x0 needs a complex A or b"),
    ("x0-object", lambda: cg(A, ONES, np.array([None] * N)), TypeError, "x0 has dtype"),
    ("M-wrong-shape", lambda: cg(A, ONES, M=np.eye(N + 1)), ValueError, r"M has shape \(17, 17\)"),
    ("M-rectangular", lambda: gmres(A, ONES, M=np.ones((N, 2))), ValueError, r"M has shape \(16, 2\)"),
    ("M-text", lambda: cg(A, ONES, M="ic"), TypeError, "M is 'ic': wanted a preconditioner object"),
    ("M-complex-for-real", lambda: cg(A, ONES, M=1j * np.eye(N)), TypeError, "complex M needs"),
    ("M-declared-variable-cg", lambda: cg(A, ONES, M=_variable()), ValueError, "use fcg instead of cg"),
    ("M-declared-variable-gmres", lambda: gmres(A, ONES, M=_variable()), ValueError, "use fgmres instead of gmres"),
    ("A-declared-variable", lambda: fcg(_variable(), ONES), ValueError, "same linear map"),
    ("rtol-negative", lambda: cg(A, ONES, rtol=-1e-3), ValueError, "rtol is -0.001"),
    ("rtol-nan", lambda: cg(A, ONES, rtol=np.nan), ValueError, "rtol is nan"),
    ("rtol-text", lambda: cg(A, ONES, rtol="tight"), ValueError, "rtol is 'tight'"),
    ("rtol-none", lambda: cg(A, ONES, rtol=None), ValueError, "rtol is None"),
    ("rtol-vector", lambda: cg(A, ONES, rtol=ONES), ValueError, "rtol is"),
    ("atol-negative", lambda: cg(A, ONES, atol=-1), ValueError, "atol is -1"),
    ("atol-legacy", lambda: gmres(A, ONES, atol="legacy"), ValueError, "atol is 'legacy'"),
    ("maxiter-negative", lambda: cg(A, ONES, maxiter=-1), ValueError, "maxiter is -1"),
    ("maxiter-fraction", lambda: cg(A, ONES, maxiter=2.5), ValueError, "maxiter is 2.5"),
    ("maxiter-text", lambda: cg(A, ONES, maxiter="many"), TypeError, "maxiter is 'many'"),
    ("maxiter-bool", lambda: cg(A, ONES, maxiter=True), TypeError, "maxiter is True"),
    ("callback-no-function", lambda: cg(A, ONES, callback=3), TypeError, "callback is a int"),
    ("callback-type", lambda: gmres(A, ONES, callback=print, callback_type="y"), ValueError, "callback_type is 'y'"),
    ("restart-zero", lambda: gmres(A, ONES, restart=0), ValueError, "restart is 0"),
    ("keep-zero", lambda: fcg(A, ONES, keep=0), ValueError, "keep is 0"),
    ("bounds-reversed", lambda: chebyshev(A, ONES, bounds=(2.0, 1.0)), ValueError, "0 < a < b"),
    ("bounds-negative", lambda: chebyshev(A, ONES, bounds=(-1.0, 1.0)), ValueError, "0 < a < b"),
    ("omega-zero", lambda: sor(A, ONES, omega=0.0), ValueError, r"omega is 0.0: sor wants a number in \(0, 2\)"),
    ("omega-two", lambda: sor(A, ONES, omega=2.0), ValueError, r"\(0, 2\)"),
    ("omega-text", lambda: sor(A, ONES, omega="best"), ValueError, "omega is 'best'"),
    ("shift-complex", lambda: minres(A, ONES, shift=1j), ValueError, "finite real number"),
    ("sor-zero-diagonal", lambda: sor(np.array([[0.0, 1.0], [1.0, 0.0]]), np.ones(2)), np.linalg.LinAlgError, "row 0"),
    ("sor-without-entries", lambda: sor(operator(lambda x: x), ONES), TypeError, "needs the entries of A"),
    ("method-unknown", lambda: solve(A, ONES, method="conjugate"), ValueError, "method is 'conjugate'"),
    ("auto-with-options", lambda: solve(A, ONES, restart=3), ValueError, "need a named method"),
    ("stationary-with-M", lambda: solve(A, ONES, method="sor", M=np.eye(N)), ValueError, "takes no preconditioner"),
    ("positional-rtol", lambda: cg(A, ONES, None, 1e-3), TypeError, "positional"),
    ("jacobi-zero-diagonal", lambda: precond.jacobi(np.diag([1.0, 0.0])), np.linalg.LinAlgError, "row 1"),
    ("jacobi-rectangular", lambda: precond.jacobi(np.ones((2, 3))), ValueError, "square"),
    ("block-jacobi-singular", lambda: precond.block_jacobi(np.ones((4, 4)), 2), np.linalg.LinAlgError, "block 0"),
    ("block-jacobi-size", lambda: precond.block_jacobi(A, 0), ValueError, "block_size is 0"),
    ("amg-kind", lambda: precond.amg(A, "classical"), ValueError, "kind is 'classical'"),
    ("amg-option", lambda: precond.amg(A, smoothness=3), ValueError, "smoothness"),
    ("amg-nan", lambda: precond.amg(matrix_with(np.nan)), np.linalg.LinAlgError, "NaN"),
    ("direct-singular", lambda: precond.direct(np.zeros((3, 3))), np.linalg.LinAlgError, "singular"),
    ("chebyshev-negative-diagonal", lambda: precond.chebyshev(-A), np.linalg.LinAlgError, "not positive"),
    ("chebyshev-degree", lambda: precond.chebyshev(A, 0), ValueError, "degree is 0"),
    ("chebyshev-ratio", lambda: precond.chebyshev(A, 2, ratio=1.0), ValueError, "ratio is 1.0"),
    ("ic-of-an-operator-without-entries", lambda: precond.ic(operator(lambda x: x)), TypeError, "cannot be assembled"),
    ("update-other-shape", lambda: precond.ic(A).update(np.eye(3)), ValueError, r"set up for \(16, 16\)"),
]


class _Wrong:
    shape, dtype = (3, 3), np.dtype(float)

    def matvec(self, x):
        return x[:2]


def _variable():
    M = as_operator(np.eye(N))
    M.fixed = False
    return M


@pytest.mark.parametrize(("call", "kind", "message"), [row[1:] for row in RAISES], ids=[row[0] for row in RAISES])
def test_bad_arguments_raise_and_say_what_was_wanted(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# --- outcomes: id, call, outcome -----------------------------------------------------------------------------------
counter = {"k": 0}


def changing(r):
    counter["k"] += 1
    return r * (1.0 if counter["k"] % 2 else -1.0) if counter["k"] % 3 else r + 0.3 * np.roll(r, counter["k"])


def nan_operator(x):
    y = A @ x
    y[3] = np.nan
    return y


def first_fine_then_nan():
    state = {"k": 0}

    def product(x):
        state["k"] += 1
        return A @ x if state["k"] < 4 else np.full_like(x, np.nan)

    return operator(product)


OUTCOMES = [
    ("nan-in-A-cg", lambda: cg(matrix_with(np.nan), B), Outcome.NONFINITE_OPERATOR),
    ("inf-in-A-cg", lambda: cg(matrix_with(np.inf), B), Outcome.NONFINITE_OPERATOR),
    ("nan-in-A-minres", lambda: minres(matrix_with(np.nan), B), Outcome.NONFINITE_OPERATOR),
    ("nan-in-A-gmres", lambda: gmres(matrix_with(np.nan), B), Outcome.NONFINITE_OPERATOR),
    ("nan-in-A-fgmres", lambda: fgmres(matrix_with(np.nan), B), Outcome.NONFINITE_OPERATOR),
    ("nan-in-A-bicgstab", lambda: bicgstab(matrix_with(np.nan), B), Outcome.NONFINITE_OPERATOR),
    ("nan-in-A-fcg", lambda: fcg(matrix_with(np.nan), B), Outcome.NONFINITE_OPERATOR),
    ("nan-in-A-chebyshev", lambda: chebyshev(matrix_with(np.nan), B), Outcome.NONFINITE_OPERATOR),
    ("nan-in-A-direct", lambda: direct(matrix_with(np.nan), B), Outcome.NONFINITE_OPERATOR),
    ("nan-in-A-sor", lambda: sor(matrix_with(np.nan), B), Outcome.NONFINITE_OPERATOR),
    ("operator-returns-nan", lambda: cg(operator(nan_operator), B), Outcome.NONFINITE_OPERATOR),
    ("operator-turns-nan", lambda: cg(first_fine_then_nan(), B), Outcome.NONFINITE_OPERATOR),
    ("operator-turns-nan-gmres", lambda: gmres(first_fine_then_nan(), B), Outcome.NONFINITE_OPERATOR),
    ("operator-turns-nan-bicgstab", lambda: bicgstab(first_fine_then_nan(), B), Outcome.NONFINITE_OPERATOR),
    ("M-nan-cg", lambda: cg(A, B, M=operator(lambda r: r * np.nan)), Outcome.NONFINITE_PRECONDITIONER),
    ("M-inf-minres", lambda: minres(A, B, M=operator(lambda r: r * np.inf)), Outcome.NONFINITE_PRECONDITIONER),
    ("M-nan-gmres", lambda: gmres(A, B, M=operator(lambda r: r * np.nan)), Outcome.NONFINITE_PRECONDITIONER),
    ("M-nan-bicgstab", lambda: bicgstab(A, B, M=operator(lambda r: r * np.nan)), Outcome.NONFINITE_PRECONDITIONER),
    ("M-negative-cg", lambda: cg(A, B, M=-np.eye(N)), Outcome.INDEFINITE_PRECONDITIONER),
    ("M-negative-minres", lambda: minres(A, B, M=-np.eye(N)), Outcome.INDEFINITE_PRECONDITIONER),
    (
        "M-indefinite-cg",
        lambda: cg(A, B, M=np.diag(np.where(np.arange(N) % 2, 1.0, -1.0)), rtol=1e-12),
        Outcome.INDEFINITE_PRECONDITIONER,
    ),
    ("M-zero-cg", lambda: cg(A, B, M=np.zeros((N, N))), Outcome.INDEFINITE_PRECONDITIONER),
    (
        "M-declared-indefinite",
        lambda: cg(A, B, M=as_operator(-np.eye(N), positive_definite=False)),
        Outcome.INDEFINITE_PRECONDITIONER,
    ),
    ("M-changes-cg", lambda: cg(A, B, M=operator(changing), rtol=1e-12), Outcome.VARIABLE_PRECONDITIONER),
    ("indefinite-cg", lambda: cg(*makers.indefinite()), Outcome.INDEFINITE_OPERATOR),
    ("indefinite-fcg", lambda: fcg(*makers.indefinite()), Outcome.INDEFINITE_OPERATOR),
    ("indefinite-chebyshev", lambda: chebyshev(*makers.indefinite()), Outcome.INDEFINITE_OPERATOR),
    ("negative-definite-cg", lambda: cg(-A, B), Outcome.INDEFINITE_OPERATOR),
    ("declared-indefinite-cg", lambda: cg(as_operator(A, positive_definite=False), B), Outcome.INDEFINITE_OPERATOR),
    ("declared-unsymmetric-cg", lambda: cg(as_operator(A, symmetric=False), B), Outcome.NOT_SYMMETRIC),
    ("declared-unsymmetric-minres", lambda: minres(as_operator(A, symmetric=False), B), Outcome.NOT_SYMMETRIC),
    ("unsymmetric-cg", lambda: cg(*makers.skew(), maxiter=200), Outcome.NOT_SYMMETRIC),
    ("zero-matrix-cg", lambda: cg(np.zeros((4, 4)), np.ones(4)), Outcome.INDEFINITE_OPERATOR),
    ("zero-matrix-minres", lambda: minres(np.zeros((4, 4)), np.ones(4)), Outcome.INCONSISTENT),
    ("zero-matrix-gmres", lambda: gmres(np.zeros((4, 4)), np.ones(4)), Outcome.STAGNATION),
    ("zero-matrix-bicgstab", lambda: bicgstab(np.zeros((4, 4)), np.ones(4)), Outcome.BREAKDOWN),
    ("zero-row-gmres", lambda: gmres(np.diag([1.0, 2.0, 0.0]), np.ones(3)), Outcome.STAGNATION),
    ("zero-row-direct", lambda: direct(np.diag([1.0, 2.0, 0.0]), np.ones(3)), Outcome.SINGULAR),
    ("zero-row-auto", lambda: solve(np.diag([1.0, 2.0, 0.0]), np.ones(3)), Outcome.INCONSISTENT),
    ("zero-row-consistent-auto", lambda: solve(np.diag([1.0, 2.0, 0.0]), np.array([1.0, 1.0, 0.0])), Outcome.CONVERGED),
    ("singular-direct", lambda: direct(np.ones((3, 3)), np.array([1.0, 2.0, 3.0])), Outcome.SINGULAR),
    ("inconsistent-minres", lambda: minres(*makers.singular_inconsistent(), rtol=1e-10), Outcome.INCONSISTENT),
    ("shift-matrix-gmres", lambda: gmres(*makers.cyclic_shift(), restart=4), Outcome.STAGNATION),
    ("shift-matrix-bicgstab", lambda: bicgstab(*makers.cyclic_shift()), Outcome.BREAKDOWN),
    (
        "divergent-jacobi",
        lambda: METHODS["jacobi"](np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([1.0, 3.0])),
        Outcome.DIVERGED,
    ),
    ("divergent-sor", lambda: sor(np.array([[1.0, 3.0], [3.0, 1.0]]), np.ones(2)), Outcome.DIVERGED),
    ("chebyshev-bounds-too-small", lambda: chebyshev(A, B, bounds=(1.0, 2.0)), Outcome.DIVERGED),
    ("tolerance-below-rounding-cg", lambda: cg(*makers.poisson(20), rtol=1e-18), Outcome.STAGNATION),
    ("tolerance-below-rounding-minres", lambda: minres(*makers.poisson(20), rtol=1e-18), Outcome.STAGNATION),
    ("tolerance-below-rounding-gmres", lambda: gmres(*makers.spd(), rtol=1e-18, restart=60), Outcome.STAGNATION),
    ("tolerance-below-rounding-bicgstab", lambda: bicgstab(*makers.spd(), rtol=1e-18), Outcome.STAGNATION),
    ("tolerance-below-float32", lambda: cg(*makers.spd(dtype=np.float32), rtol=1e-12), Outcome.STAGNATION),
    ("one-by-one", lambda: cg(np.array([[4.0]]), np.array([2.0])), Outcome.CONVERGED),
    ("empty", lambda: cg(np.zeros((0, 0)), np.zeros(0)), Outcome.CONVERGED),
]


@pytest.mark.parametrize(("call", "wanted"), [row[1:] for row in OUTCOMES], ids=[row[0] for row in OUTCOMES])
def test_bad_systems_end_in_the_outcome_that_names_them(call, wanted):
    result = call()
    assert result.outcome is wanted, (result, result.note)
    assert np.sign(result.info) == np.sign(wanted.code)
    assert np.isfinite(result.x).all(), "the best iterate so far stays finite"
    assert result.success == (wanted is Outcome.CONVERGED)


def test_the_table_is_long_enough():
    assert len(RAISES) + len(OUTCOMES) >= 60
    assert len({row[0] for row in RAISES + OUTCOMES}) == len(RAISES) + len(OUTCOMES)
