"""Compiled steps of stochastic momentum: literally on fresh samples, and mode by mode, exact in law."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.kernels import kernel

__all__ = ["diagonal_steps", "literal_steps"]

Array = NDArray[Any]


@kernel
def literal_steps(
    inputs: Array, labels: Array, weights: Array, momentum: Array, batch: int,
    gamma1: Any, gamma2: Any, gamma3: Any, delta: Any,
) -> None:  # fmt: skip
    """Take gamma1.size steps in place, each on the next ``batch`` rows of the features u (rows, d) and their labels."""
    gradient = np.empty_like(weights)
    for i in range(gamma1.size):
        gradient[:] = 0.0
        for row in range(i * batch, (i + 1) * batch):
            error = -labels[row]
            for j in range(weights.size):
                error += inputs[row, j] * weights[j]
            for j in range(weights.size):
                gradient[j] += error * inputs[row, j]
        for j in range(weights.size):
            g = gradient[j] / batch
            momentum[j] = (1.0 - delta[i]) * momentum[j] + gamma1[i] * g
            weights[j] -= gamma2[i] * g + gamma3[i] * momentum[j]


@kernel
def diagonal_steps(
    rng: Any, eigenvalues: Array, q: Array, y: Array, variance: float, batch: int, limit: float,
    gamma1: Any, gamma2: Any, gamma3: Any, delta: Any,
) -> int:  # fmt: skip
    """Take gamma1.size steps in place on q = sqrt(l) w and sqrt(l) y; return -1 or the steps after which P > limit.

    Given w, the batch's residuals are independent N(0, P) with P = |q|^2 + variance, and given them the features are
    Gaussian too. With chi^2 of B degrees of freedom, S = P chi^2 and zeta ~ N(0, 1) for each mode, exactly in law,

        sqrt(l) g = (l/B) [q (chi^2 - sqrt(S) kappa) + sqrt(S) zeta],
        kappa = <q, zeta>/(P (1 + sqrt(variance/P))).
    """
    zeta = np.empty_like(q)
    for i in range(gamma1.size):
        total, overlap = variance, 0.0
        for j in range(q.size):
            zeta[j] = rng.standard_normal()
            total += q[j] * q[j]
            overlap += q[j] * zeta[j]
        square = rng.chisquare(batch)
        along, across = 0.0, 0.0
        if total > 0.0:  # without noise and floor the risk may reach 0, where nothing moves any more
            across = np.sqrt(total * square)
            along = square - across * overlap / (total * (1.0 + np.sqrt(variance / total)))
        after = variance
        for j in range(q.size):
            g = eigenvalues[j] / batch * (along * q[j] + across * zeta[j])
            y[j] = (1.0 - delta[i]) * y[j] + gamma1[i] * g
            q[j] -= gamma2[i] * g + gamma3[i] * y[j]
            after += q[j] * q[j]
        if not after <= limit:  # also true for nan
            return i + 1
    return -1
