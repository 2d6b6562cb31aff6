r"""Stochastic gradient descent with momentum: one family, from SGD to DANA.

With the gradient g_t of half the squared error, averaged over a fresh batch of B samples, and y_{-1} = 0, theta_0 = 0,

    y_t = (1 - Delta_t) y_{t-1} + gamma1_t g_t,    theta_{t+1} = theta_t - gamma2_t g_t - gamma3_t y_t.

The update uses the *new* y_t. A member is a rule for the four coefficients; what is left open (None) is chosen from the
curvature of the problem, so that theory and simulation are given the same numbers.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

from pydantic import Field

from dynamics.algorithms._base import Algorithm
from dynamics.algorithms._rule import Rule
from dynamics.errors import ParameterError
from dynamics.parameters import parameter
from dynamics.schedules import Coefficient, Hyperbolic, Power, RunningMean, StepSize
from dynamics.stability import Curvature, kernel_norm, largest_stable

__all__ = [
    "SGD",
    "DanaConstant",
    "DanaDecaying",
    "GeneralMomentum",
    "HeavyBall",
    "Nesterov",
    "OneRate",
    "SGDMomentum",
    "ScheduleFree",
    "StochasticAlgorithm",
]

Rate = Annotated[float, Field(gt=0.0, le=1e50)]


class StochasticAlgorithm(Algorithm):
    """Base of the family: the batch size, and the rule for the four coefficients."""

    discrete: ClassVar[bool] = True
    batch_size: int = parameter(
        1, symbol="B", meaning="fresh samples in each step", at_least=1, at_most=2**53, scale="log", explore=(1, 1000)
    )

    @abstractmethod
    def rule(self, curvature: Curvature) -> Rule:
        """Return the coefficients for a problem of this curvature."""

    def norm_at(self, curvature: Curvature, step: float) -> float:
        """Return the kernel norm of the coefficients at one step: see :mod:`dynamics.stability`."""
        return kernel_norm(curvature, self.batch_size, self.rule(curvature).at_one(step))


def _half(curvature: Curvature, batch_size: int) -> float:
    """Return 0.5 min(1, B/Tr)."""
    return 0.5 * min(1.0, batch_size / curvature.trace)


class OneRate(StochasticAlgorithm):
    """Members with one learning rate."""

    learning_rate: Rate | None = parameter(
        None, symbol=r"\gamma_2", meaning="step size; none means a stable one", scale="log", explore=(1e-3, 1.0)
    )

    def largest_rate(self, curvature: Curvature, step: float) -> float:
        """Return the largest learning rate whose kernel norm at a step is below 1, the other parameters as given."""

        def norm(rate: float) -> float:
            return self.model_copy(update={"learning_rate": rate}).norm_at(curvature, step)

        return largest_stable(norm, curvature)


class SGD(OneRate):
    """Stochastic gradient descent: gamma1 = gamma3 = 0, gamma2 = ``learning_rate``, by default 0.5 min(1, B/Tr).

    Examples
    --------
    >>> SGD(batch_size=64)
    SGD(batch_size=64, learning_rate=None)
    """

    def rule(self, curvature: Curvature) -> Rule:
        """Return the coefficients for a problem of this curvature."""
        rate = _half(curvature, self.batch_size) if self.learning_rate is None else self.learning_rate
        return Rule(0.0, rate, 0.0, 1.0)


class SGDMomentum(OneRate):
    """SGD-M: gamma1 = 1 and constant gamma2, gamma3 and Delta; gamma3 is by default Delta gamma2.

    With that the momentum moves the weights as much as the gradient does. ``learning_rate=None`` is half of the largest
    stable one.
    """

    momentum_rate: Rate | None = parameter(
        None, symbol=r"\gamma_3", meaning="step size of the momentum; none means a stable one", scale="log",
        explore=(1e-5, 1.0),
    )  # fmt: skip
    decay: float = parameter(
        0.1, symbol=r"\Delta", meaning="weight that the momentum loses in each step", above=0.0, at_most=1.0,
        scale="log", explore=(1e-3, 1.0),
    )  # fmt: skip

    def rule(self, curvature: Curvature) -> Rule:
        """Return the coefficients for a problem of this curvature."""
        rate = 0.5 * self.largest_rate(curvature, 0.0) if self.learning_rate is None else self.learning_rate
        momentum = self.decay * rate if self.momentum_rate is None else self.momentum_rate
        return Rule(1.0, rate, momentum, self.decay)


class _Momentum(OneRate):
    """Heavy ball and Nesterov: a learning rate eta and a momentum factor rho."""

    momentum: float = parameter(
        0.9, symbol=r"\rho", meaning="momentum factor", at_least=0.0, at_most=1.0 - 1e-12, explore=(0.0, 0.999)
    )

    def _rate(self, curvature: Curvature) -> float:
        return 0.5 * self.largest_rate(curvature, 0.0) if self.learning_rate is None else self.learning_rate


class HeavyBall(_Momentum):
    """Polyak's method, theta <- theta - eta g + rho (theta - theta before): gamma1 = 1, gamma2 = 0, gamma3 = eta.

    Delta = 1 - rho. ``learning_rate=None`` is half of the largest stable one.
    """

    def rule(self, curvature: Curvature) -> Rule:
        """Return the coefficients for a problem of this curvature."""
        return Rule(1.0, 0.0, self._rate(curvature), 1.0 - self.momentum)


class Nesterov(_Momentum):
    """Nesterov's method at the point where the gradient is taken: gamma1 = 1, gamma2 = eta, gamma3 = eta rho.

    Delta = 1 - rho. ``learning_rate=None`` is half of the largest stable one.
    """

    def rule(self, curvature: Curvature) -> Rule:
        """Return the coefficients for a problem of this curvature."""
        rate = self._rate(curvature)
        return Rule(1.0, rate, rate * self.momentum, 1.0 - self.momentum)


class _Dana(OneRate):
    """What both kinds of DANA share: gamma1 = 1, gamma2 as SGD, Delta_t = delta/(delta + t)."""

    momentum_rate: Rate | None = parameter(
        None, symbol=r"\gamma_3", meaning="step size of the momentum; none means a stable one", scale="log",
        explore=(1e-5, 1.0),
    )  # fmt: skip
    decay: Rate | None = parameter(
        None, symbol=r"\delta", meaning="offset of the momentum's decay delta/(delta + t); none: from the power law",
        scale="log", explore=(1.0, 100.0),
    )  # fmt: skip

    def _gamma2(self, curvature: Curvature) -> float:
        return _half(curvature, self.batch_size) if self.learning_rate is None else self.learning_rate

    def _delta(self, curvature: Curvature) -> Hyperbolic:
        """Return delta/(delta + t), where delta exceeds the bounds 2 + (2 beta - 1)/alpha and 4 - 1/alpha, or both."""
        if self.decay is not None:
            return Hyperbolic(offset=self.decay)
        alpha, beta = self._power_law("decay", curvature)
        return Hyperbolic(offset=1.0 + max(2.0 + (2.0 * beta - 1.0) / alpha, 2.0 - 1.0 / alpha, 3.0))

    def _power_law(self, name: str, curvature: Curvature) -> tuple[float, float]:
        if curvature.alpha is None or curvature.beta is None:
            meaning = type(self).model_fields[name].description
            raise ParameterError(f"{name} ({meaning}) must be given for a problem that has no alpha and beta")
        return curvature.alpha, curvature.beta


class DanaConstant(_Dana):
    """DANA-constant: gamma3 = ``momentum_rate``, by default 0.5 gamma2/d, the largest power of d that is stable.

    Delta_t = delta/(delta + t), by default with delta = 1 + max(2 + (2 beta - 1)/alpha, 2 - 1/alpha, 3).
    """

    def rule(self, curvature: Curvature) -> Rule:
        """Return the coefficients for a problem of this curvature."""
        rate = self._gamma2(curvature)
        momentum = 0.5 * rate / curvature.dimension if self.momentum_rate is None else self.momentum_rate
        return Rule(1.0, rate, momentum, self._delta(curvature))


class DanaDecaying(_Dana):
    """DANA-decaying: gamma3 = ``momentum_rate`` (1 + t)^(-kappa3), by default 0.2 gamma2 and kappa3 = 1/(2 alpha).

    Delta_t = delta/(delta + t), by default with delta = 1 + max(2 + (2 beta - 1)/alpha, 2 - 1/alpha, 3).
    """

    momentum_exponent: Annotated[float, Field(ge=0.0, le=10.0)] | None = parameter(
        None, symbol=r"\kappa_3", meaning="exponent of the decay of the momentum's step size; none means 1/(2 alpha)",
        explore=(0.0, 1.0),
    )  # fmt: skip

    def rule(self, curvature: Curvature) -> Rule:
        """Return the coefficients for a problem of this curvature."""
        rate = self._gamma2(curvature)
        momentum = 0.2 * rate if self.momentum_rate is None else self.momentum_rate
        exponent = self.momentum_exponent
        if exponent is None:
            exponent = 0.5 / self._power_law("momentum_exponent", curvature)[0]
        return Rule(1.0, rate, Power(scale=momentum, exponent=-exponent), self._delta(curvature))


class ScheduleFree(OneRate):
    """Schedule-Free SGD with learning rate g and interpolation s, written for the point where the gradient is taken.

    gamma1 = g, gamma2 = (1-s) g, gamma3 = s/(t+1), Delta = 1/t (1 at t = 0): no approximation. The running mean x that
    the method reports is another point, x = theta + (1-s)(1-Delta_t) y_{t-1}. ``learning_rate=None`` is that of SGD.
    """

    interpolation: float = parameter(
        0.9, symbol="s", meaning="weight of the running mean in the point where the gradient is taken", at_least=0.0,
        at_most=1.0, explore=(0.0, 1.0),
    )  # fmt: skip

    def rule(self, curvature: Curvature) -> Rule:
        """Return the coefficients for a problem of this curvature."""
        rate = _half(curvature, self.batch_size) if self.learning_rate is None else self.learning_rate
        mean = Power(scale=self.interpolation, exponent=-1.0)
        return Rule(rate, (1.0 - self.interpolation) * rate, mean, RunningMean())


class GeneralMomentum(StochasticAlgorithm):
    """Any member of the family: four coefficients, each a number or a declared schedule of :mod:`dynamics.schedules`.

    With ``risk_exponent`` r both step sizes are divided by (P + s^2)^r, where P is the risk before the step and s^2 the
    label noise's variance; r = 1/2 normalises them. That is no linear algorithm: its theory takes the mean risk for
    that of each run. arXiv 2602.05298 divides by the root of the same number, which it calls twice the loss.

    Examples
    --------
    >>> GeneralMomentum(learning_rate=0.1, momentum_rate="power:0.01,-0.5", decay="hyperbolic:5").momentum_rate
    Power(scale=0.01, exponent=-0.5)
    """

    gradient_weight: Coefficient = parameter(1.0, symbol=r"\gamma_1", meaning="weight of the gradient in the momentum")
    learning_rate: StepSize = parameter(0.1, symbol=r"\gamma_2", meaning="step size", scale="log", explore=(1e-3, 1.0))
    momentum_rate: StepSize = parameter(
        0.0, symbol=r"\gamma_3", meaning="step size of the momentum", scale="log", explore=(1e-5, 1.0)
    )
    decay: Coefficient = parameter(1.0, symbol=r"\Delta", meaning="weight that the momentum loses in each step")
    risk_exponent: float = parameter(
        0.0, symbol="r", meaning="power of the current risk that both step sizes are divided by; 1/2 normalises them",
        at_least=0.0, at_most=1.0, explore=(0.0, 0.5),
    )  # fmt: skip

    def rule(self, curvature: Curvature) -> Rule:
        """Return the coefficients for a problem of this curvature."""
        return Rule(self.gradient_weight, self.learning_rate, self.momentum_rate, self.decay, self.risk_exponent)
