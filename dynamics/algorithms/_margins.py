r"""Training on the logistic loss: flows and descents of coupled features, and full-batch training of networks.

For coupled features (:mod:`dynamics.gradient_starvation`) the loss is a sum over samples, L2 penalty and spectral
decoupling are part of the problem, and G = U S^2 U^T. For networks it is the *mean* over samples, and the penalties are
the framework's: ``weight_decay`` w adds w theta to the gradient of every parameter, ``output_penalty`` c adds
c mean(output^2) to the loss.
"""

from __future__ import annotations

from typing import ClassVar

from dynamics.algorithms._base import Algorithm
from dynamics.parameters import parameter

__all__ = ["Adam", "DualDescent", "DualFlow", "MomentumDescent", "PrimalDescent", "PrimalFlow"]


class PrimalFlow(Algorithm):
    r"""Gradient flow of the weights from 0: dz/dt = S^2 (U^T sigma(-U z) - decoupling z) - l2 z, in flow time."""

    discrete: ClassVar[bool] = False


class PrimalDescent(Algorithm):
    """Gradient descent of the weights from 0 with step eta: the flow's derivative is a difference divided by eta."""

    discrete: ClassVar[bool] = True
    learning_rate: float = parameter(
        0.05, symbol=r"\eta", meaning="step size", above=0.0, at_most=1e50, scale="log", explore=(1e-3, 1.0)
    )


class _Dual(Algorithm):
    initial: float = parameter(
        0.01, symbol=r"\alpha_0", meaning="dual variable of every sample at the start", above=0.0, at_most=1.0 - 1e-12,
        scale="log", explore=(1e-6, 0.5),
    )  # fmt: skip


class DualFlow(_Dual):
    """Gradient flow of the concave dual problem, d alpha/dt = -logit(alpha) - K alpha, in flow time.

    The margins that belong to alpha are u = K alpha, where K = U (l2 S^-2 + decoupling)^-1 U^T. It ends where the
    primal flow ends, along another path and by another clock.
    """

    discrete: ClassVar[bool] = False


class DualDescent(_Dual):
    """Gradient ascent of the dual problem with step eta, alpha kept within [1e-50, 1 - 1e-7]."""

    discrete: ClassVar[bool] = True
    learning_rate: float = parameter(
        3e-6, symbol=r"\eta", meaning="step size", above=0.0, at_most=1e50, scale="log", explore=(1e-7, 1e-2)
    )


class _Network(Algorithm):
    """What full-batch training of networks shares; time in epochs, each of which is one step."""

    discrete: ClassVar[bool] = True
    weight_decay: float = parameter(
        0.0, symbol="w", meaning="weight decay of all parameters", at_least=0.0, at_most=1e3, scale="log",
        explore=(0.0, 0.1),
    )  # fmt: skip
    output_penalty: float = parameter(
        0.0, symbol="c", meaning="weight of the mean squared output in the loss (spectral decoupling)", at_least=0.0,
        at_most=1e3, scale="log", explore=(0.0, 1.0),
    )  # fmt: skip


class MomentumDescent(_Network):
    """Full-batch gradient descent with momentum: v <- momentum v + g, theta <- theta - learning_rate v."""

    learning_rate: float = parameter(
        0.01, symbol=r"\eta", meaning="step size", above=0.0, at_most=1e50, scale="log", explore=(1e-3, 1.0)
    )
    momentum: float = parameter(
        0.9, symbol=r"\mu", meaning="momentum factor", at_least=0.0, at_most=1.0 - 1e-6, explore=(0.0, 0.99)
    )


class Adam(_Network):
    """Full-batch Adam with factors 0.9 and 0.999 and 1e-8; weight decay is added to the gradient.

    The penalty on outputs counts in all steps but the first ``switch``. With ``invariance`` v > 0 the penalty of
    invariant risk minimisation, the squared derivative of each half's loss by the scale of the outputs, is added: with
    weight 1 in the first ``switch`` steps, and after them with weight v, the whole loss divided by max(1, v).
    """

    learning_rate: float = parameter(
        1e-3, symbol=r"\eta", meaning="step size", above=0.0, at_most=1e50, scale="log", explore=(1e-4, 1e-1)
    )
    switch: int = parameter(
        0, symbol=r"t_s", meaning="epoch from which the penalties on outputs count", at_least=0, at_most=2**53,
        explore=(0, 1000),
    )  # fmt: skip
    invariance: float = parameter(
        0.0, symbol=r"\lambda_{\mathrm{IRM}}", meaning="weight of the invariance penalty from the switch on",
        at_least=0.0, at_most=1e12, scale="log", explore=(0.0, 1e5),
    )  # fmt: skip
