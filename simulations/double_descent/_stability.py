"""Step sizes of gradient descent on one sample: the default, the stability bound, and when an unstable run diverges."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from dynamics.algorithms import GradientDescent
from dynamics.filters import spectral_filters
from dynamics.schedules import Schedule, chunks, unchecked, values_at
from simulations.double_descent._eigenbasis import Amplitudes
from simulations.double_descent._kernels import first_above

__all__ = ["DIVERGED", "Descent"]

#: A run has diverged at the first step after which |Xw - y| is more than this many times |y|.
DIVERGED = 1e10

Array = NDArray[np.float64]


class Descent(NamedTuple):
    """Gradient descent on one sample: the algorithm, the step size it takes, the sample's largest eigenvalue L_max."""

    algorithm: GradientDescent
    step: float | Schedule
    largest: float

    @classmethod
    def on(cls, algorithm: GradientDescent, largest: float) -> Self:
        """Make it with the given learning rate, or 1/(L_max + l2) with l2 at step 0."""
        return cls(algorithm, algorithm.step_size(largest), largest)

    def coefficients(self, steps: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """Return step size, output penalty and l2 at each of ``steps``."""
        penalty, l2 = self.algorithm.output_penalty, self.algorithm.l2
        return values_at(self.step, steps), values_at(penalty, steps), values_at(l2, steps)

    def broken_bound(self, last: int, checkpoint: Callable[[], None] = unchecked) -> str:
        """Say in words which stability bound a step before ``last`` breaks; empty if none does."""
        return self.algorithm.broken_bound(self.step, self.largest, last, checkpoint)

    def first_divergence(
        self, eigenvalues: Array, labels: Amplitudes, last: int, checkpoint: Callable[[], None] = unchecked
    ) -> int:
        """Return the first step t <= last after which |Xw - y| > DIVERGED |y|, or -1; for a step size that is unstable.

        With constant coefficients the residual, once it is large, grows at every step: bisection on the closed form. A
        schedule may be unstable for a while only and is followed step by step.
        """
        limit = DIVERGED**2 * (float(labels.modes.sum()) + labels.rest)
        if self.algorithm.scheduled:
            h = np.ones_like(eigenvalues)
            for steps in chunks(0, last):
                checkpoint()
                found = first_above(h, eigenvalues, labels.modes, limit, *self.coefficients(steps))
                if found >= 0:
                    return int(steps[0]) + found
            return -1

        def diverged(time: int) -> bool:
            _, h = spectral_filters(self.algorithm, eigenvalues, np.array([time]), self.step)
            with np.errstate(over="ignore", invalid="ignore"):  # overflow is divergence, and so is inf - inf
                return not labels.residual(h)[0] <= limit

        if not diverged(last):
            return -1
        below, above = 0, last
        while above - below > 1:
            middle = (below + above) // 2
            below, above = (below, middle) if diverged(middle) else (middle, above)
        return above
