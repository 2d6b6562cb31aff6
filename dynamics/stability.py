r"""When stochastic momentum is stable in the mean: the kernel norm.

With constant coefficients a mode of curvature l answers a constant risk P with a mean squared error of k_l P/l, so that
its contribution to the risk is k_l P. With a = 1 - Delta, B samples a step, x = gamma_2 l and y = gamma_1 gamma_3 l,

    k_l = q/(2 B - B u - q),    u = x + y/(1+a),    q = x + y (1 + a x/(1+a))/(Delta + a x).

A mode is stable by itself if B u + q < 2 B: gradient descent if u < 2, and the noise of a batch takes q/B of the room.
The mean risk converges, to P_inf/(1 - N), if and only if all modes are stable by themselves and the kernel norm
N = sum_j k_{l_j} is below 1. To leading order in l times the step sizes, for any Delta,

    N = (1/2B) sum_l l [gamma_2 + gamma_1 gamma_3/(Delta + gamma_2 l)]:

gamma Tr/(2B) of SGD, eta Tr/(2B (1-rho)) of heavy ball, (gamma_2 Tr + d gamma_1 gamma_3/gamma_2)/(2B) where the
momentum never ends. These are bounds on the mean: above them single runs may still converge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.errors import ParameterError

__all__ = [
    "Coefficients",
    "Curvature",
    "broken_bound",
    "kernel_norm",
    "largest_below_one",
    "largest_stable",
    "leading_kernel_norm",
    "responses",
]

Array = NDArray[np.float64]

#: Ratios of neighbouring values in the search for a stable one. The stable values are an interval, seldom a narrow one.
_RATIOS = (2.0, 1.05)


class Curvature(NamedTuple):
    """What default coefficients depend on: curvatures with multiplicities, d, and the power law if there is one."""

    eigenvalues: Array
    multiplicities: Array
    dimension: int
    alpha: float | None = None
    beta: float | None = None

    @property
    def trace(self) -> float:
        """Tr = sum of all curvatures."""
        return float(self.multiplicities @ self.eigenvalues)


class Coefficients(NamedTuple):
    """gamma_1, gamma_2, gamma_3 and Delta at one step, or each over many steps."""

    gamma1: float | Array
    gamma2: float | Array
    gamma3: float | Array
    delta: float | Array


def _loads(eigenvalues: Array, at: Coefficients) -> tuple[Array, Array]:
    """Return u and q of each curvature: what gradient descent and the noise take of the room 2 and 2 B."""
    g1, g2, g3, delta = (float(value) for value in at)
    a, x, y = 1.0 - delta, g2 * eigenvalues, g1 * g3 * eigenvalues
    if g1 * g3 == 0.0:  # the momentum moves no weights, however long it lasts
        return x, x
    if a <= -1.0:
        return np.full_like(x, np.inf), np.full_like(x, np.inf)
    kept = np.full_like(x, np.inf)
    lag = delta + a * x
    np.divide(y * (1.0 + a * x / (1.0 + a)), lag, out=kept, where=lag > 0)
    return x + y / (1.0 + a), x + kept


def responses(eigenvalues: Array, batch_size: int, at: Coefficients) -> Array:
    """Return k_l for each curvature; inf for a mode that is unstable by itself.

    Examples
    --------
    >>> responses(np.array([1.0, 0.5]), 1, Coefficients(0.0, 0.4, 0.0, 1.0))  # gamma l/(2 - 2 gamma l)
    array([0.33333333, 0.125     ])
    """
    drift, noise = _loads(eigenvalues, at)
    room = 2.0 * batch_size - batch_size * drift - noise
    stable = (room > 0) & (drift < 2.0)
    return np.divide(noise, room, out=np.full_like(room, np.inf), where=stable)


def kernel_norm(curvature: Curvature, batch_size: int, at: Coefficients) -> float:
    """Return N, the sum of k_l over all modes; below 1 the mean risk converges."""
    each = responses(curvature.eigenvalues, batch_size, at)
    return float(curvature.multiplicities @ each) if np.isfinite(each).all() else np.inf


def leading_kernel_norm(curvature: Curvature, batch_size: int, at: Coefficients) -> float:
    """Return N to leading order in l times the step sizes; inf for momentum that neither Delta nor gamma_2 l ends.

    Examples
    --------
    >>> curvature = Curvature(np.array([1.0, 0.5]), np.array([1.0, 2.0]), 3)
    >>> round(leading_kernel_norm(curvature, 4, Coefficients(1.0, 0.0, 0.01, 0.1)), 12)  # eta Tr/(2 B (1 - rho))
    0.025
    """
    g1, g2, g3, delta = (float(value) for value in at)
    x = g2 * curvature.eigenvalues
    if g1 * g3 == 0.0:
        return float(curvature.multiplicities @ x) / (2.0 * batch_size)
    lag = delta + x
    if (lag == 0).any():
        return np.inf
    return float(curvature.multiplicities @ (x + g1 * g3 * curvature.eigenvalues / lag)) / (2.0 * batch_size)


def broken_bound(curvature: Curvature, batch_size: int, at: Coefficients, step: int) -> str:
    """Say in words that the kernel norm at a step is not below 1, by what factor, and what helps; empty if it is."""
    norm = kernel_norm(curvature, batch_size, at)
    if norm < 1.0:
        return ""
    drift, noise = _loads(curvature.eigenvalues, at)
    used = (drift + noise / batch_size) / 2.0  # B u + q against 2 B
    worst = int(np.argmax(used))
    alone = f", for the mode of curvature {curvature.eigenvalues[worst]:.6g} alone exceeds its limit"
    why = f"{alone} {used[worst]:.6g} times" if norm == np.inf else ""
    what = ", or batch_size larger" if (drift < 2.0).all() else ""
    named = ", ".join(f"{name} = {float(value):.6g}" for name, value in zip(Coefficients._fields, at, strict=True))
    return (
        f"learning_rate or momentum_rate must be smaller{what}: the kernel norm at step {step} must be below 1 for the "
        f"mean risk to converge, and is {norm:.6g}{why} ({named}, batch_size {batch_size})"
    )


def largest_below_one(norm: Callable[[float], float], low: float, high: float) -> float | None:
    """Return the largest value from ``low`` to ``high`` at which ``norm`` is below 1: inf if ``high`` is, None if none.

    The values at which it is may begin above ``low``, but must be one interval; one whose ends differ by less than 5 %
    may be missed.

    Examples
    --------
    >>> largest = largest_below_one(lambda x: x / 4 + 0.25 / x, 1e-9, 1e9)
    >>> round(largest, 9)  # below 1 between 2 - sqrt(3) and 2 + sqrt(3)
    3.732050808
    """
    for ratio in _RATIOS:
        below, above = high, math.inf
        while below >= low:
            if norm(below) < 1.0:
                return _border(norm, below, above) if math.isfinite(above) else math.inf
            below, above = below / ratio, below
    return None


def _border(norm: Callable[[float], float], low: float, high: float) -> float:
    """Halve an interval at whose ends the norm is below 1 and is not."""
    while high / low > 1.0 + 1e-12:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if norm(middle) < 1.0 else (low, middle)
    return low


def largest_stable(norm: Callable[[float], float], curvature: Curvature) -> float:
    """Return the largest learning rate at which ``norm`` is below 1.

    Raises
    ------
    ParameterError
        Where none is stable, for the momentum alone is too strong.
    """
    found = largest_below_one(norm, 1e-12 / curvature.trace, 4e4 / float(curvature.eigenvalues.max()))
    if found is None or found == math.inf:
        raise ParameterError(
            "momentum_rate or momentum must be smaller, or learning_rate given: with them as they are the kernel norm "
            "is below 1 for no learning rate"
        )
    return found
