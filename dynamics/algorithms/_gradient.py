"""Full-batch training: gradient flow and gradient descent, with the coefficients that a user may turn.

The loss is a *sum* over samples, 1/2 |Xw - y|^2 + (l2/2) |w|^2, never a mean: a learning rate of a mean-squared-error
convention is n times the one here, and so is its l2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from dynamics.algorithms._base import Algorithm
from dynamics.parameters import PositiveVector, parameter
from dynamics.schedules import Coefficient, Schedule, StepSize, chunks, unchecked, values_at

__all__ = ["GradientDescent", "GradientFlow"]


class _Gradient(Algorithm):
    """What gradient flow and descent share: relative learning rates."""

    rates: PositiveVector | None = parameter(
        None, symbol=r"\rho_b", meaning="relative learning rate of each block, all above 0; none means 1"
    )


class GradientFlow(_Gradient):
    """Gradient flow dw/dtau = -P [X^T (X w - y) + l2 w] from w = 0, time in units of flow time tau.

    P = diag(rates) acts on the features, block by block. Gradient descent with step eta approaches the flow at
    tau = eta t as eta -> 0.

    Examples
    --------
    >>> GradientFlow(l2=0.1, rates=[1, 2500])
    GradientFlow(rates=(1.0, 2500.0), l2=0.1)
    """

    discrete: ClassVar[bool] = False
    l2: float = parameter(
        0.0, symbol=r"\lambda", meaning="L2 penalty on the weights", at_least=0.0, at_most=1e50, scale="log",
        explore=(0.0, 1.0),
    )  # fmt: skip


class GradientDescent(_Gradient):
    """Gradient descent w <- w - eta_i P [(1 + a_i) X^T X w - X^T y + l_i w] from w = 0, time in completed steps.

    eta is ``learning_rate``, l is ``l2``, a is ``output_penalty`` (the Q-regularisation (a/2) |Xw|^2) and
    P = diag(rates). Each of the three coefficients is a number or a schedule of :mod:`dynamics.schedules`.
    ``learning_rate=None`` means 1 / (largest eigenvalue of X^T X + l2), with a scheduled l2 at its step 0: theory takes
    the edge of the asymptotic spectrum, a simulation the largest eigenvalue of its own sample. The two differ by
    O(d^(-2/3)); give a number where theory and simulation are to be compared.

    Examples
    --------
    >>> from dynamics.schedules import SoftplusDecay
    >>> GradientDescent(learning_rate=0.2, output_penalty=SoftplusDecay(initial=0.6)).scheduled
    True
    """

    discrete: ClassVar[bool] = True
    learning_rate: StepSize | None = parameter(
        None, symbol=r"\eta", meaning="step size; none means 1/(largest eigenvalue + l2)", scale="log",
        explore=(1e-3, 1),
    )  # fmt: skip
    l2: Coefficient = parameter(
        0.0, symbol=r"\lambda", meaning="L2 penalty on the weights", scale="log", explore=(0.0, 1.0)
    )
    output_penalty: Coefficient = parameter(
        0.0, symbol="a", meaning="penalty on the squared outputs (Q-regularisation)", explore=(0.0, 0.9)
    )

    def step_size(self, largest: float) -> float | Schedule:
        """Return ``learning_rate``, or what None stands for at this largest eigenvalue of X^T X."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 1.0 / (largest + float(values_at(self.l2, np.zeros(1, dtype=np.int64))[0]))

    def broken_bound(
        self, step_size: float | Schedule, largest: float, last: int, checkpoint: Callable[[], None] = unchecked
    ) -> str:
        """Say in words which stability bound a step before ``last`` breaks at this largest eigenvalue; empty if none.

        Without an eta_i ((1 + a_i) largest + l_i) > 2 the factor of every mode is in [-1, 1], and a residual grows by
        no more than 2 |y| per step.
        """
        for steps in chunks(0, last if self.scheduled else min(last, 1)):
            checkpoint()
            eta = values_at(step_size, steps)
            bound = 2.0 / ((1.0 + values_at(self.output_penalty, steps)) * largest + values_at(self.l2, steps))
            if (eta > bound).any():
                i = int(np.argmax(eta > bound))
                when = f" at step {steps[i]}" if self.scheduled else ""
                return (
                    f"learning_rate (step size) must be at most 2/((1 + output_penalty) L + l2) = {bound[i]:.6g}{when},"
                    f" above which gradient descent diverges (largest eigenvalue L = {largest:.6g}); it is {eta[i]:.6g}"
                )
        return ""
