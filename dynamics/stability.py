r"""When stochastic momentum is stable in the mean: the kernel norm.

With constant coefficients the mean squared error of a mode of curvature l responds to a constant risk P by k_l P/l, so
that its contribution to the risk is k_l P. With a = 1 - Delta, B samples a step and gamma_1, gamma_2, gamma_3,

    k_l = M/(B E - M),
    M = l [(1-a^2) gamma_2 + (1+a) gamma_1 gamma_3 + a (1+a) gamma_2^2 l + a gamma_1 gamma_2 gamma_3 l],
    E = 2 (1-a^2) + (3a-1)(1+a) gamma_2 l - (1-a) gamma_1 gamma_3 l - a (1+a) gamma_2^2 l^2
        - a gamma_1 gamma_2 gamma_3 l^2.

The mean risk converges, to P_inf/(1 - N), if and only if B E > M for every mode and the kernel norm N = sum_j k_{l_j}
is below 1. These are bounds on the mean: above them single runs may still converge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coefficients", "Curvature", "broken_bound", "kernel_norm", "largest_stable", "responses"]

Array = NDArray[np.float64]


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


def responses(eigenvalues: Array, batch_size: int, at: Coefficients) -> Array:
    """Return k_l for each curvature; inf for a mode that is unstable by itself."""
    g1, g2, g3, a = float(at.gamma1), float(at.gamma2), float(at.gamma3), 1.0 - float(at.delta)
    x = eigenvalues
    m = x * ((1 - a * a) * g2 + (1 + a) * g1 * g3 + a * (1 + a) * g2**2 * x + a * g1 * g2 * g3 * x)
    e = (
        2 * (1 - a * a) + (3 * a - 1) * (1 + a) * g2 * x - (1 - a) * g1 * g3 * x
        - a * (1 + a) * (g2 * x) ** 2 - a * g1 * g2 * g3 * x * x
    )  # fmt: skip
    room = batch_size * e - m
    idle = (m == 0) & (e >= 0)  # a mode that nothing moves
    return np.where(idle, 0.0, np.where(room > 0, m / np.where(room > 0, room, 1.0), np.inf))


def kernel_norm(curvature: Curvature, batch_size: int, at: Coefficients) -> float:
    """Return N, the sum of k_l over all modes; below 1 the mean risk converges."""
    each = responses(curvature.eigenvalues, batch_size, at)
    return float(curvature.multiplicities @ each) if np.isfinite(each).all() else np.inf


def broken_bound(curvature: Curvature, batch_size: int, at: Coefficients, step: int) -> str:
    """Say in words that the kernel norm at a step is not below 1; empty if it is."""
    norm = kernel_norm(curvature, batch_size, at)
    if norm < 1.0:
        return ""
    named = ", ".join(f"{name} = {float(value):.6g}" for name, value in zip(Coefficients._fields, at, strict=True))
    return (
        f"learning_rate or momentum_rate must be smaller: the kernel norm at step {step} must be below 1 for the mean "
        f"risk to converge, and is {norm:.6g} ({named}, batch_size {batch_size})"
    )


def largest_stable(norm: Callable[[float], float], curvature: Curvature) -> float:
    """Return the largest learning rate at which ``norm``, which grows with it, is below 1."""
    low, high = 1e-12 / curvature.trace, 4e4 / float(curvature.eigenvalues.max())
    while high / low > 1.0 + 1e-12:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if norm(middle) < 1.0 else (low, middle)
    return low
