"""Compiled loops: the explicit gradient-descent iteration, and the residual filter of an unstable schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.kernels import kernel

__all__ = ["descend", "first_above"]

Array = NDArray[Any]


@kernel
def _combine(rows: Array, factors: Array, out: Array) -> None:
    """Set out to the sum of factors[i] rows[i]: four rows at a time, each entry on its own, so that it vectorises."""
    count, length = rows.shape
    out[:] = 0.0
    whole = count - count % 4
    for i in range(0, whole, 4):
        a, b, c, e = factors[i], factors[i + 1], factors[i + 2], factors[i + 3]
        one, two, three, four = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for j in range(length):
            out[j] += (a * one[j] + b * two[j]) + (c * three[j] + e * four[j])
    for i in range(whole, count):
        a, one = factors[i], rows[i]
        for j in range(length):
            out[j] += a * one[j]


@kernel
def descend(
    inputs: Array, transposed: Array, labels: Array, rates: Array, weights: Array, outputs: Array, limit: float,
    step: Array, penalty: Array, l2: Array,
) -> int:  # fmt: skip
    """Advance weights w (d,) and outputs Xw (n,) in place by step.size steps of explicit gradient descent.

        w <- w - eta_i P [X^T ((1 + a_i) X w - y) + l_i w].

    ``inputs`` X and ``transposed`` X^T are both contiguous. Return -1, or the number of steps after which
    |Xw - y|^2 was first not below ``limit``.
    """
    n, d = inputs.shape
    force, gradient = np.empty(n), np.empty(d)
    for i in range(step.size):
        for s in range(n):
            force[s] = (1.0 + penalty[i]) * outputs[s] - labels[s]
        _combine(inputs, force, gradient)
        for j in range(d):
            weights[j] -= step[i] * rates[j] * (gradient[j] + l2[i] * weights[j])
        _combine(transposed, weights, outputs)
        residual = 0.0
        for s in range(n):
            residual += (outputs[s] - labels[s]) ** 2
        if not residual <= limit:  # also true for nan
            return i + 1
    return -1


@kernel
def first_above(
    h: Array, eigenvalues: Array, squares: Array, limit: float, step: Array, penalty: Array, l2: Array
) -> int:
    """Advance the residual filter h in place; return the number of steps after which sum h^2 squares > limit, or -1."""
    for i in range(step.size):
        total = 0.0
        for k in range(eigenvalues.size):
            kept = penalty[i] * eigenvalues[k] + l2[i]
            h[k] = (1.0 - step[i] * (eigenvalues[k] + kept)) * h[k] + step[i] * kept
            total += h[k] * h[k] * squares[k]
        if not total <= limit:
            return i + 1
    return -1
