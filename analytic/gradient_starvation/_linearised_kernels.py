"""Compiled momentum descent of a model that is linear in its parameters, in the space of its outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.kernels import kernel, vector_kernel

__all__ = ["descend_outputs"]

Array = NDArray[Any]


@vector_kernel
def _four_products(matrix: Array, i: int, vector: Array) -> Any:
    """Return four entries of matrix @ vector from the i-th on."""
    s0 = s1 = s2 = s3 = 0.0
    for j in range(vector.size):
        s0 += matrix[i, j] * vector[j]
        s1 += matrix[i + 1, j] * vector[j]
        s2 += matrix[i + 2, j] * vector[j]
        s3 += matrix[i + 3, j] * vector[j]
    return s0, s1, s2, s3


@kernel
def descend_outputs(
    tangent: Array, start: Array, along: Array, labels: Array, beta: Array, beta_velocity: Array, gamma: Array,
    outputs: Array, epochs: int, step: float, momentum: float, decay: float, penalty: float, limit: float,
) -> int:  # fmt: skip
    """Take so many epochs in place; return -1, or the number of them after which the sum of f^2 exceeds ``limit``.

    With theta = Phi^T beta + gamma theta_0 the move from the initial parameters theta_0, f = f_0 + K beta + gamma Phi
    theta_0 (``start``, ``tangent`` and ``along``) and the gradient of the loss is Phi^T r + decay (theta_0 + theta):

        r_i = [-y_i sigma(-y_i f_i) + penalty f_i]/n,
        v <- momentum v + r + decay beta,   beta <- beta - step v,   and gamma likewise with decay (1 + gamma).

    ``gamma`` holds gamma and its velocity. There are a multiple of four samples; those beyond labels.size are padding.
    """
    n = labels.size
    for epoch in range(epochs):
        for i in range(n):
            r = (penalty * outputs[i] - labels[i] / (1.0 + np.exp(labels[i] * outputs[i]))) / n
            beta_velocity[i] = momentum * beta_velocity[i] + (r + decay * beta[i])
            beta[i] -= step * beta_velocity[i]
        gamma[1] = momentum * gamma[1] + decay * (1.0 + gamma[0])
        gamma[0] -= step * gamma[1]
        square = 0.0
        for i in range(0, tangent.shape[0], 4):
            outputs[i], outputs[i + 1], outputs[i + 2], outputs[i + 3] = _four_products(tangent, i, beta)
        for i in range(n):
            outputs[i] += start[i] + gamma[0] * along[i]
            square += outputs[i] * outputs[i]
        if not square <= limit:  # also true for nan
            return epoch + 1
    return -1
