"""Checks of parameters: each returns the normalised value or raises an error that names the argument."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["box_shape", "choice", "fraction_range", "integer", "real", "real_or_range"]


def integer(name: str, value: Any, low: int = 1, high: int | None = None) -> int:
    """Return `value` as an int in ``[low, high]``."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}: wanted a whole number, at least {low}") from None
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}: wanted a whole number, at least {low}")
    if number < low or (high is not None and number > high):
        wanted = f"at least {low}" if high is None else f"between {low} and {high}"
        raise ValueError(f"{name} is {number}: wanted a whole number {wanted}")
    return number


def real(
    name: str,
    value: Any,
    low: float = -np.inf,
    high: float = np.inf,
    *,
    above: bool = False,
    below: bool = False,
) -> float:
    """Return `value` as a finite float in ``[low, high]``; `above` and `below` exclude the ends."""
    if isinstance(value, bool | np.bool_ | str | complex | np.complexfloating) or np.ndim(value) != 0:
        raise TypeError(f"{name} is {value!r}: wanted a number")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}: wanted a number") from None
    inside = (number > low if above else number >= low) and (number < high if below else number <= high)
    if not (np.isfinite(number) and inside):
        bounds = []
        if low > -np.inf:
            bounds.append(f"{'above' if above else 'at least'} {low:g}")
        if high < np.inf:
            bounds.append(f"{'below' if below else 'at most'} {high:g}")
        raise ValueError(f"{name} is {number:g}: wanted a finite number{' ' if bounds else ''}{' and '.join(bounds)}")
    return number


def real_or_range(name: str, value: Any, low: float = -np.inf, high: float = np.inf) -> float | tuple[float, float]:
    """Return a number in ``[low, high]``, or a ``(smallest, largest)`` pair of such numbers to draw from."""
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        return real(name, value, low, high)
    if len(value) != 2:
        raise ValueError(f"{name} has {len(value)} entries: wanted one number, or a (smallest, largest) pair")
    first, last = (real(f"{name}[{i}]", v, low, high) for i, v in enumerate(value))
    if first > last:
        raise ValueError(f"{name} is ({first:g}, {last:g}): wanted smallest <= largest")
    return first, last


def choice(name: str, value: Any, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`."""
    options = list(options)
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}: wanted one of {', '.join(options)}")
    if value not in options:
        raise ValueError(f"{name} is {value!r}: wanted one of {', '.join(options)}")
    return value


def box_shape(name: str, value: Any, low: int = 1) -> tuple[int, ...]:
    """Return a shape of two or three axes; one number n means ``(n, n)``."""
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        value = (value, value)
    shape = tuple(integer(f"{name}[{axis}]", n, low) for axis, n in enumerate(value))
    if len(shape) not in (2, 3):
        raise ValueError(f"{name} has {len(shape)} axes: wanted two or three, for example (64, 64)")
    return shape


def fraction_range(name: str, value: Any) -> tuple[float, float]:
    """Return a ``(low, high)`` pair of fractions in ``[0, 1]``; one number means that number twice."""
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        value = (value, value)
    if len(value) != 2:
        raise ValueError(f"{name} has {len(value)} entries: wanted one fraction, or a (low, high) pair")
    low, high = (real(f"{name}[{i}]", v, 0.0, 1.0) for i, v in enumerate(value))
    if low > high:
        raise ValueError(f"{name} is ({low:g}, {high:g}): wanted low <= high")
    return low, high
