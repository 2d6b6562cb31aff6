"""What trains: gradient flow and gradient descent, with the coefficients that a user may turn.

The loss is a *sum* over samples, 1/2 |Xw - y|^2 + (l2/2) |w|^2, never a mean: a learning rate of a mean-squared-error
convention is n times the one here, and so is its l2.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import model_validator

from dynamics.parameters import Declared, PositiveVector, parameter
from dynamics.schedules import Coefficient, StepSize, is_constant

__all__ = ["Algorithm", "GradientDescent", "GradientFlow"]


class Algorithm(Declared):
    """Base of all algorithms; ``discrete`` tells whether time counts steps (True) or is flow time (False)."""

    discrete: ClassVar[bool]


class _RateMixin(Algorithm):
    """Algorithms that take one relative learning rate per block of feature directions."""

    rates: PositiveVector | None = parameter(
        None, symbol=r"\rho_b", meaning="relative learning rate of each block, all above 0; none means 1"
    )

    @model_validator(mode="after")
    def _check_rates(self) -> _RateMixin:
        if self.rates is not None and getattr(self, "l2", 0.0) != 0.0:
            raise ValueError(
                "rates and l2 cannot be combined: with unequal rates the penalty is no longer isotropic in the "
                f"rescaled features and there is no closed form; got rates {self.rates}, l2 {getattr(self, 'l2', 0.0)}"
            )
        return self


class GradientFlow(_RateMixin):
    """Gradient flow dw/dtau = -P [X^T (X w - y) + l2 w] from w = 0, time in units of flow time tau.

    P = diag(rates) acts on the features, block by block. Gradient descent with step eta approaches the flow at
    tau = eta t as eta -> 0.
    """

    discrete: ClassVar[bool] = False
    l2: float = parameter(
        0.0,
        symbol=r"\lambda",
        meaning="L2 penalty on the weights",
        at_least=0.0,
        at_most=1e50,
        scale="log",
        explore=(0.0, 1.0),
    )


class GradientDescent(_RateMixin):
    """Gradient descent w <- w - eta_i P [(1 + a_i) X^T X w - X^T y + l_i w] from w = 0, time in completed steps.

    eta is ``learning_rate``, l is ``l2``, a is ``output_penalty`` (the Q-regularisation (a/2) |Xw|^2) and
    P = diag(rates). Each of the three coefficients is a number or a schedule of :mod:`dynamics.schedules`.
    ``learning_rate=None`` means 1 / (largest eigenvalue of X^T X + l2), with a scheduled l2 at its step 0: theory takes
    the edge of the asymptotic spectrum, a simulation the largest eigenvalue of its own sample. The two differ by
    O(d^(-2/3)); give a number where theory and simulation are to be compared.

    A constant step is stable iff eta [(1 + a) lambda_max + l2] < 2.
    """

    discrete: ClassVar[bool] = True
    learning_rate: StepSize | None = parameter(
        None,
        symbol=r"\eta",
        meaning="step size; none means 1/(largest eigenvalue + l2)",
        scale="log",
        explore=(1e-3, 1),
    )
    l2: Coefficient = parameter(
        0.0, symbol=r"\lambda", meaning="L2 penalty on the weights", scale="log", explore=(0.0, 1.0)
    )
    output_penalty: Coefficient = parameter(
        0.0, symbol="a", meaning="penalty on the squared outputs (Q-regularisation)", explore=(0.0, 0.9)
    )

    @property
    def scheduled(self) -> bool:
        """Whether any coefficient changes with the step."""
        coefficients = (self.learning_rate, self.l2, self.output_penalty)
        return not all(value is None or is_constant(value) for value in coefficients)
