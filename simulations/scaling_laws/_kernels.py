"""Compiled steps of stochastic momentum: literally on fresh samples, and mode by mode, exact in law."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.kernels import kernel, vector_kernel
from simulations._normals import normal_pair

__all__ = ["diagonal_steps", "literal_steps"]

Array = NDArray[Any]


@kernel
def literal_steps(
    inputs: Array, labels: Array, weights: Array, momentum: Array, batch: int, matrix: Array, wanted: Array,
    noise: float, power: float, gamma1: Any, gamma2: Any, gamma3: Any, delta: Any,
) -> None:  # fmt: skip
    """Take gamma1.size steps in place, each on the next ``batch`` rows of the features u (rows, d) and their labels.

    The step sizes are divided by (P + noise^2)^power, with P = |matrix weights - wanted|^2.
    """
    gradient = np.empty_like(weights)
    for i in range(gamma1.size):
        scale = 1.0
        if power > 0.0:
            scale = (((matrix @ weights - wanted) ** 2).sum() + noise * noise) ** -power
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
            weights[j] -= scale * (gamma2[i] * g + gamma3[i] * momentum[j])


@vector_kernel
def diagonal_steps(
    keys: Array, first: int, squares: Array, curvature: Array, q: Array, y: Array, variance: float, batch: float,
    limit: float, power: float, gamma1: Any, gamma2: Any, gamma3: Any, delta: Any,
) -> int:  # fmt: skip
    """Take squares.size steps in place on q = sqrt(l) w and sqrt(l) y; return -1 or the steps after which P > limit.

    The step sizes gamma2 and gamma3 are divided by P^power.

    Given w, the batch's residuals are independent N(0, P) with P = |q|^2 + variance, and given them the features are
    Gaussian too. With chi^2 of B degrees of freedom (``squares``), S = P chi^2 and zeta ~ N(0, 1) for each mode, it is
    exact in law that

        sqrt(l) g = (l/B) [q (chi^2 - sqrt(S) kappa) + sqrt(S) zeta],
        kappa = <q, zeta>/(P (1 + sqrt(variance/P))).

    The numbers zeta of step ``first`` + i come from ``keys``, for two modes at a time: there is an even number of them.
    A loop over the modes finishes a step and draws the numbers of the next.
    """
    half = q.size // 2
    pair = (keys[0], keys[1])
    place = np.uint64(first) * np.uint64(half)
    zeta = np.empty_like(q)
    total, overlap = variance, 0.0
    for j in range(half):
        k = j + half
        zeta[j], zeta[k] = normal_pair(pair, place + np.uint64(j))
        total += q[j] * q[j] + q[k] * q[k]
        overlap += q[j] * zeta[j] + q[k] * zeta[k]
    for i in range(squares.size):
        along, across = 0.0, 0.0
        if total > 0.0:  # without noise and floor the risk may reach 0, where nothing moves any more
            across = np.sqrt(total * squares[i])
            along = (squares[i] - across * overlap / (total * (1.0 + np.sqrt(variance / total)))) / batch
            across /= batch
        scale = total**-power if power > 0.0 else 1.0
        keep, g1, g2, g3 = 1.0 - delta[i], gamma1[i], scale * gamma2[i], scale * gamma3[i]
        place += np.uint64(half)
        total, overlap = variance, 0.0
        for j in range(half):
            k = j + half
            one = curvature[j] * (along * q[j] + across * zeta[j])
            two = curvature[k] * (along * q[k] + across * zeta[k])
            y[j] = keep * y[j] + g1 * one
            y[k] = keep * y[k] + g1 * two
            q[j] -= g2 * one + g3 * y[j]
            q[k] -= g2 * two + g3 * y[k]
            zeta[j], zeta[k] = normal_pair(pair, place + np.uint64(j))
            total += q[j] * q[j] + q[k] * q[k]
            overlap += q[j] * zeta[j] + q[k] * zeta[k]
        if not total <= limit:  # also true for nan
            return i + 1
    return -1
