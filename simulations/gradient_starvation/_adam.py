"""The steps of Adam, for any array of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["AdamSteps"]

Array = NDArray[Any]

_FIRST, _SECOND, _SMALL = 0.9, 0.999, 1e-8


class AdamSteps:
    """Two averages of the gradient of an array like this one, and steps by them; nothing is allocated in a step."""

    def __init__(self, like: Array, learning_rate: float) -> None:
        self._mean, self._square, self._room = np.zeros_like(like), np.zeros_like(like), np.empty_like(like)
        self._rate, self._taken = learning_rate, 0

    def take(self, parameters: Array, gradient: Array) -> None:
        """Move the parameters by one step."""
        self._taken += 1
        mean, square, room = self._mean, self._square, self._room
        mean *= _FIRST
        mean += np.multiply(gradient, 1.0 - _FIRST, out=room)
        square *= _SECOND
        np.multiply(gradient, gradient, out=room)
        square += np.multiply(room, 1.0 - _SECOND, out=room)
        np.sqrt(np.multiply(square, 1.0 / (1.0 - _SECOND**self._taken), out=room), out=room)
        np.divide(mean, np.add(room, _SMALL, out=room), out=room)
        parameters -= np.multiply(room, self._rate / (1.0 - _FIRST**self._taken), out=room)
