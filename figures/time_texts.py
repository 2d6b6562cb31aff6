"""Times as they are written on the command line."""

from __future__ import annotations

from typing import Any

import numpy as np

from dynamics.algorithms import Algorithm
from dynamics.errors import ParameterError, shown
from dynamics.times import check_times

__all__ = ["read_times"]

#: For a flow and for an iteration.
_DEFAULTS = {False: "1e-2:1e6:100", True: "1:1e5:60"}
_MOST = 10**6


def read_times(text: str | None, algorithm: Algorithm) -> Any:
    """Read ``first:last:count`` (evenly in the logarithm; whole steps for an iteration) or ``0,1,10``.

    Raises
    ------
    ParameterError
        When it is neither, or not allowed as times for the algorithm.
    """
    text = _DEFAULTS[algorithm.discrete] if text is None else text
    shape = (
        f"times must be first:last:count, evenly in the logarithm, with a count of 2 to {_MOST}, or numbers with "
        f"commas; got {shown(text)}"
    )
    mark = ":" if ":" in text else ","
    try:
        numbers = [float(part) for part in text.split(mark)]
    except ValueError:
        raise ParameterError(shape) from None
    if mark == ",":
        return check_times(numbers, algorithm)
    if len(numbers) != 3 or not 0 < numbers[0] < numbers[1] < np.inf or numbers[2] not in range(2, _MOST + 1):
        raise ParameterError(shape)
    times = np.geomspace(numbers[0], numbers[1], int(numbers[2]))
    return check_times(np.unique(np.rint(times)) if algorithm.discrete else times, algorithm)
