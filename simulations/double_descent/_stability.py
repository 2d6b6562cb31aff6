"""Step sizes of gradient descent on one sample: the default, the stability bound, and when an unstable run diverges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from dynamics.algorithms import GradientDescent
from dynamics.filters import spectral_filters
from dynamics.schedules import Schedule, values_at
from simulations.double_descent._eigenbasis import Amplitudes
from simulations.double_descent._kernels import first_above

__all__ = ["DIVERGED", "Descent"]

#: A run has diverged at the first step after which |Xw - y| is more than this many times |y|.
DIVERGED = 1e10
_CHUNK = 1 << 16

Array = NDArray[np.float64]


class Descent(NamedTuple):
    """Gradient descent on one sample: the algorithm, the step size it takes, the sample's largest eigenvalue L_max."""

    algorithm: GradientDescent
    step: float | Schedule
    largest: float

    @classmethod
    def on(cls, algorithm: GradientDescent, largest: float) -> Self:
        """Make it with the given learning rate, or 1/(L_max + l2) with l2 at step 0."""
        step = algorithm.learning_rate
        if step is None:
            step = 1.0 / (largest + float(values_at(algorithm.l2, np.zeros(1, dtype=np.int64))[0]))
        return cls(algorithm, step, largest)

    def coefficients(self, begin: int, end: int) -> tuple[Array, Array, Array]:
        """Return step size, output penalty and l2 of the steps begin <= i < end."""
        steps = np.arange(begin, end)
        penalty, l2 = self.algorithm.output_penalty, self.algorithm.l2
        return values_at(self.step, steps), values_at(penalty, steps), values_at(l2, steps)

    def broken_bound(self, last: int) -> str:
        """Say in words which stability bound a step before ``last`` breaks; empty if none does.

        Without an eta_i ((1 + a_i) L_max + l_i) > 2 the factor of every mode is in [-1, 1], and a residual grows by no
        more than 2 |y| per step.
        """
        for begin, end in _chunks(last if self.algorithm.scheduled else min(last, 1)):
            eta, penalty, l2 = self.coefficients(begin, end)
            bound = 2.0 / ((1.0 + penalty) * self.largest + l2)
            if (eta > bound).any():
                i = int(np.argmax(eta > bound))
                when = f" at step {begin + i}" if self.algorithm.scheduled else ""
                return (
                    f"learning_rate must be below 2/((1 + output_penalty) L_max + l2) = {bound[i]:.6g}{when} for this "
                    f"sample (L_max = {self.largest:.6g}); it is {eta[i]:.6g}"
                )
        return ""

    def first_divergence(self, eigenvalues: Array, labels: Amplitudes, last: int) -> int:
        """Return the first step t <= last after which |Xw - y| > DIVERGED |y|, or -1; for a step size that is unstable.

        With constant coefficients the residual, once it is large, grows at every step: bisection on the closed form. A
        schedule may be unstable for a while only and is followed step by step.
        """
        limit = DIVERGED**2 * (float(labels.modes.sum()) + labels.rest)
        if self.algorithm.scheduled:
            h = np.ones_like(eigenvalues)
            for begin, end in _chunks(last):
                found = first_above(h, eigenvalues, labels.modes, limit, *self.coefficients(begin, end))
                if found >= 0:
                    return begin + found
            return -1

        def diverged(time: int) -> bool:
            _, h = spectral_filters(self.algorithm, eigenvalues, np.array([time]), self.step)  # type: ignore[arg-type]
            with np.errstate(over="ignore", invalid="ignore"):  # overflow is divergence, and so is inf - inf
                return not labels.residual(h)[0] <= limit

        if not diverged(last):
            return -1
        below, above = 0, last
        while above - below > 1:
            middle = (below + above) // 2
            below, above = (below, middle) if diverged(middle) else (middle, above)
        return above


def _chunks(last: int) -> Iterator[tuple[int, int]]:
    return ((begin, min(begin + _CHUNK, last)) for begin in range(0, last, _CHUNK))
