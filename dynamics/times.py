"""Times at which an answer is wanted: flow time for a flow, completed steps for an iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamics.errors import ParameterError, shown
from dynamics.parameters import check_whole

if TYPE_CHECKING:
    from dynamics.algorithms import Algorithm

__all__ = ["check_increasing", "check_times", "log_steps"]

#: Up to here all whole numbers are floats; above it steps would be moved without a word.
_LIMIT = 2**53


def check_increasing(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return ``values`` as a float array, or say which of them is missing, not finite, negative or out of order."""
    try:
        array = _as_floats(values)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"{name} must be numbers; got {shown(values)}") from None
    if array.ndim != 1 or array.size == 0:
        raise ParameterError(f"{name} must be a non-empty list of numbers; got shape {array.shape}")
    _refuse(name, array, ~np.isfinite(array), "finite")
    _refuse(name, array, array < 0, "not negative")
    _refuse(name, array, np.diff(array, prepend=-np.inf) <= 0, "strictly increasing")
    return array


def _as_floats(values: ArrayLike) -> NDArray[np.float64]:
    """Refuse truth values, texts, dates, complex and masked numbers, though numpy would convert them."""
    array = np.atleast_1d(np.asanyarray(values))
    mixed = isinstance(values, (list, tuple)) and any(isinstance(item, (bool, np.bool_)) for item in values)
    if array.dtype.kind == "O":  # whole numbers beyond 64 bits, and what is no number
        mixed = mixed or not all(isinstance(item, (int, float, np.number)) for item in array.flat)
    if mixed or array.dtype.kind not in "iufO" or np.ma.is_masked(array):
        raise TypeError
    return np.asarray(array).astype(np.float64)


def _refuse(name: str, array: NDArray[np.float64], bad: NDArray[np.bool_], allowed: str) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        raise ParameterError(f"{name} must be {allowed}; got {array[first]:g} at index {first}")


def check_times(times: ArrayLike, algorithm: Algorithm) -> NDArray[np.float64] | NDArray[np.int64]:
    """Return the times that ``algorithm`` can be asked for: floats for a flow, whole int64 steps for an iteration.

    Raises
    ------
    ParameterError
        When they are empty, not finite, negative, not strictly increasing, or (for an iteration) not whole or not below
        2^53.
    """
    array = check_increasing("times", times)
    if not algorithm.discrete:
        return array
    _refuse("times", array, array != np.rint(array), f"whole numbers of steps for {algorithm.label}")
    _refuse("times", array, array >= _LIMIT, "below 2^53 steps")
    return array.astype(np.int64)


def log_steps(last: int, count: int) -> NDArray[np.int64]:
    """Return at most ``count`` distinct whole steps from 1 to ``last``, as even in the logarithm as they can be.

    ``last`` is below 2^53, up to which all whole numbers are floats.

    Examples
    --------
    >>> log_steps(1000, 7)
    array([   1,    3,   10,   32,  100,  316, 1000])
    """
    last, count = check_whole("last", last, at_least=1), check_whole("count", count, at_least=1)
    if last >= _LIMIT:
        raise ParameterError(f"last must be below 2^53; got {last}")
    if count > 10**7:
        raise ParameterError(f"count must be at most 10^7; got {count}")
    if count == 1:
        return np.array([last], dtype=np.int64)
    return np.unique(np.rint(np.geomspace(1, last, count)).astype(np.int64))
