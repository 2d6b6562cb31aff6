"""Times as they are written on the command line."""

from __future__ import annotations

from typing import Any

import numpy as np

from dynamics.algorithms import Algorithm
from dynamics.errors import ParameterError
from dynamics.times import check_times

__all__ = ["read_times"]

#: For a flow and for an iteration.
_DEFAULTS = {False: "1e-2:1e6:100", True: "1:1e5:60"}


def read_times(text: str | None, algorithm: Algorithm) -> Any:
    """Read ``first:last:count`` (evenly in the logarithm; whole steps for an iteration) or ``0,1,10``.

    Raises
    ------
    ParameterError
        When it is neither, or not allowed as times for the algorithm.
    """
    text = _DEFAULTS[algorithm.discrete] if text is None else text
    shape = f"times must be first:last:count, evenly in the logarithm, or numbers with commas; got {text!r}"
    try:
        numbers = [float(part) for part in text.replace(":", ",").split(",")]
    except ValueError:
        raise ParameterError(shape) from None
    if ":" not in text:
        return check_times(numbers, algorithm)
    if len(numbers) != 3 or not 0 < numbers[0] < numbers[1] or numbers[2] < 2 or numbers[2] != int(numbers[2]):
        raise ParameterError(shape)
    first, last, count = numbers[0], numbers[1], int(numbers[2])
    times = np.geomspace(first, last, count)
    return check_times(np.unique(np.rint(times)) if algorithm.discrete else times, algorithm)
