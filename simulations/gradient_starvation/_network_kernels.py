"""Compiled full-batch training of a network of one hidden layer in the plane, in single or double precision.

Every number has the type of the arrays. Samples and units come padded, so that loops end on whole vectors: a sample
beyond the last has input 0 and its residual stays 0, a unit beyond the last has parameters 0 and never moves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.kernels import kernel, vector_kernel

__all__ = ["SAMPLES", "UNITS", "descend", "forward"]

Array = NDArray[Any]

#: What the numbers of samples and of units must be multiples of.
SAMPLES = 32
UNITS = 4


@vector_kernel
def _moved(units: Array, velocity: Array, k: int, g: Any, step: Any, momentum: Any, decay: Any) -> None:
    """Move the parameters of unit k; ``g`` are the sums of the residuals over the samples it is active on, (1, x, y).

    The gradient by (w_1, w_2, b) is o g, and that by o is the output of the unit summed with them: w . g + b g.
    """
    one, first, second = g
    w, v, b, o = units[0, k], units[1, k], units[2, k], units[3, k]
    along = w * first + v * second + b * one
    velocity[0, k] = momentum * velocity[0, k] + (o * first + decay * w)
    velocity[1, k] = momentum * velocity[1, k] + (o * second + decay * v)
    velocity[2, k] = momentum * velocity[2, k] + (o * one + decay * b)
    velocity[3, k] = momentum * velocity[3, k] + (along + decay * o)
    for row in range(4):
        units[row, k] -= step * velocity[row, k]


@vector_kernel
def _sums(units: Array, k: int, x: Array, y: Array, residual: Array) -> Any:
    """Return the sums of the residuals, times 1, x and y, over the samples on which each of four units is active."""
    zero = residual.dtype.type(0)
    w0, w1, w2, w3 = units[0, k], units[0, k + 1], units[0, k + 2], units[0, k + 3]
    v0, v1, v2, v3 = units[1, k], units[1, k + 1], units[1, k + 2], units[1, k + 3]
    b0, b1, b2, b3 = units[2, k], units[2, k + 1], units[2, k + 2], units[2, k + 3]
    s0 = s1 = s2 = s3 = p0 = p1 = p2 = p3 = q0 = q1 = q2 = q3 = zero
    for i in range(x.size):
        r = residual[i]
        r0 = r if w0 * x[i] + v0 * y[i] + b0 > zero else zero
        r1 = r if w1 * x[i] + v1 * y[i] + b1 > zero else zero
        r2 = r if w2 * x[i] + v2 * y[i] + b2 > zero else zero
        r3 = r if w3 * x[i] + v3 * y[i] + b3 > zero else zero
        s0, s1, s2, s3 = s0 + r0, s1 + r1, s2 + r2, s3 + r3
        p0, p1, p2, p3 = p0 + r0 * x[i], p1 + r1 * x[i], p2 + r2 * x[i], p3 + r3 * x[i]
        q0, q1, q2, q3 = q0 + r0 * y[i], q1 + r1 * y[i], q2 + r2 * y[i], q3 + r3 * y[i]
    return (s0, p0, q0), (s1, p1, q1), (s2, p2, q2), (s3, p3, q3)


@vector_kernel
def _add_outputs(units: Array, k: int, x: Array, y: Array, outputs: Array) -> None:
    """Add the outputs of four units."""
    zero = outputs.dtype.type(0)
    w0, w1, w2, w3 = units[0, k], units[0, k + 1], units[0, k + 2], units[0, k + 3]
    v0, v1, v2, v3 = units[1, k], units[1, k + 1], units[1, k + 2], units[1, k + 3]
    b0, b1, b2, b3 = units[2, k], units[2, k + 1], units[2, k + 2], units[2, k + 3]
    o0, o1, o2, o3 = units[3, k], units[3, k + 1], units[3, k + 2], units[3, k + 3]
    for i in range(x.size):
        h0, h1 = w0 * x[i] + v0 * y[i] + b0, w1 * x[i] + v1 * y[i] + b1
        h2, h3 = w2 * x[i] + v2 * y[i] + b2, w3 * x[i] + v3 * y[i] + b3
        h0, h1 = h0 if h0 > zero else zero, h1 if h1 > zero else zero
        h2, h3 = h2 if h2 > zero else zero, h3 if h3 > zero else zero
        outputs[i] += (o0 * h0 + o1 * h1) + (o2 * h2 + o3 * h3)


@kernel
def forward(units: Array, bias: Array, x: Array, y: Array, outputs: Array) -> None:
    """Set the outputs of the network; ``bias`` holds the output's bias and its velocity."""
    outputs[:] = bias[0]
    for k in range(0, units.shape[1], 4):
        _add_outputs(units, k, x, y, outputs)


@kernel
def descend(
    units: Array, velocity: Array, bias: Array, x: Array, y: Array, labels: Array, outputs: Array, residual: Array,
    epochs: int, step: Any, momentum: Any, decay: Any, penalty: Any, limit: Any,
) -> int:  # fmt: skip
    """Take so many epochs in place; return -1, or the number of them after which the sum of f^2 exceeds ``limit``.

        r_i = [-y_i sigma(-y_i f_i) + 2 c f_i]/n,   v <- momentum v + (g + decay theta),   theta <- theta - step v.

    ``outputs`` are those of the parameters, before and after; ``labels`` (n,) has as many entries as there are samples.
    Four units at a time are moved, and their new outputs added, while the residuals of the old ones are still at hand.
    """
    one = outputs.dtype.type(1)
    count = outputs.dtype.type(labels.size)
    for epoch in range(epochs):
        total = outputs.dtype.type(0)
        for i in range(labels.size):
            f = outputs[i]
            residual[i] = (penalty * f - labels[i] / (one + np.exp(labels[i] * f))) / count
            total += residual[i]
        bias[1] = momentum * bias[1] + (total + decay * bias[0])
        bias[0] -= step * bias[1]
        outputs[:] = bias[0]
        for k in range(0, units.shape[1], 4):
            g0, g1, g2, g3 = _sums(units, k, x, y, residual)
            _moved(units, velocity, k, g0, step, momentum, decay)
            _moved(units, velocity, k + 1, g1, step, momentum, decay)
            _moved(units, velocity, k + 2, g2, step, momentum, decay)
            _moved(units, velocity, k + 3, g3, step, momentum, decay)
            _add_outputs(units, k, x, y, outputs)
        square = outputs.dtype.type(0)
        for i in range(labels.size):
            square += outputs[i] * outputs[i]
        if not square <= limit:  # also true for nan
            return epoch + 1
    return -1
