"""Compiled steps in logarithmic time of the flow of second moments of stochastic momentum.

The flow dv/dt = M v + h P of each node's v = (rho, xi, chi) is stiff and coupled only through the risk P, so that a
stage of an implicit Runge-Kutta method is one 3 x 3 system for each node and one equation for P.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic.scaling_laws._kernels import narrowed, new_search
from dynamics.kernels import vector_kernel

__all__ = ["STAGES", "WEIGHTS", "flow_steps"]

Array = NDArray[Any]

#: The method SDIRK4 of Hairer and Wanner (Solving Ordinary Differential Equations II, table IV.6.5): order 4, stable
#: for any stiffness (L-stable), and the last stage is the step. Times of the stages, and weights of those before.
STAGES = np.array([1 / 4, 3 / 4, 11 / 20, 1 / 2, 1.0])
WEIGHTS = np.array(
    [
        [1 / 4, 0.0, 0.0, 0.0, 0.0],
        [1 / 2, 1 / 4, 0.0, 0.0, 0.0],
        [17 / 50, -1 / 25, 1 / 4, 0.0, 0.0],
        [371 / 1360, -137 / 2720, 15 / 544, 1 / 4, 0.0],
        [25 / 24, -49 / 48, 125 / 16, -85 / 12, 1 / 4],
    ]
)


@vector_kernel
def _full(batch: float, g1: float, g2: float, g3: float, delta: float) -> Any:
    """Return M = A - 1 and h of one exact step v' = A v + h P, as :func:`_stage` takes them."""
    a, g, own = 1.0 - delta, g2 + g1 * g3, 1.0 + 1.0 / batch
    return (
        -2.0 * g, g * g * own, g3 * g3 * a * a, -2.0 * g3 * a, 2.0 * g3 * a * g,
        g1 * g1 * own, -delta * (1.0 + a), 2.0 * a * g1,
        g1, -g * g1 * own, -g3 * a * a, -delta, -a * (g + g3 * g1),
        g * g / batch, g1 * g1 / batch, -g * g1 / batch,
    )  # fmt: skip


@vector_kernel
def _simplified(batch: float, g1: float, g2: float, g3: float, delta: float) -> Any:
    """Return M and h to lowest order in the coefficients."""
    return (
        -2.0 * g2, 0.0, 0.0, -2.0 * g3, 0.0,
        0.0, -2.0 * delta, 2.0 * g1,
        g1, 0.0, -g3, -delta, -g2,
        g2 * g2 / batch, g1 * g1 / batch, 0.0,
    )  # fmt: skip


@vector_kernel
def _stage(
    curvature: Array, count: Array, floor: float, c: float, flow: Any, right: Array, found: Array, response: Array
) -> float:
    """Solve x = right + c (M x + h P(x)) for all nodes into ``found``, by cofactors, and return P(x).

    Of a node of curvature l, with the numbers of ``flow`` in their order, h = l count (h0, h1, h2) and

        M = [m0 l + m1 l^2,    m2,         m3 + m4 l  ]
            [m5 l^2,           m6,         m7 l       ]
            [m8 l + m9 l^2,    m10,        m11 + m12 l].
    """
    m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, h0, h1, h2 = flow
    rho, xi, chi = right[0], right[1], right[2]
    x0, x1, x2 = found[0], found[1], found[2]
    y0, y1, y2 = response[0], response[1], response[2]
    flat, slope = floor, 0.0
    for k in range(curvature.size):
        x, force = curvature[k], c * curvature[k] * count[k]
        m00, m01, m02 = 1.0 - c * (m0 + m1 * x) * x, -c * m2, -c * (m3 + m4 * x)
        m10_, m11_, m12_ = -c * m5 * x * x, 1.0 - c * m6, -c * m7 * x
        m20, m21, m22 = -c * (m8 + m9 * x) * x, -c * m10, 1.0 - c * (m11 + m12 * x)
        c00, c01, c02 = m11_ * m22 - m12_ * m21, m02 * m21 - m01 * m22, m01 * m12_ - m02 * m11_
        c10, c11, c12 = m12_ * m20 - m10_ * m22, m00 * m22 - m02 * m20, m02 * m10_ - m00 * m12_
        c20, c21, c22 = m10_ * m21 - m11_ * m20, m01 * m20 - m00 * m21, m00 * m11_ - m01 * m10_
        one = 1.0 / (m00 * c00 + m01 * c10 + m02 * c20)
        kick = one * force
        x0[k] = one * (c00 * rho[k] + c01 * xi[k] + c02 * chi[k])
        x1[k] = one * (c10 * rho[k] + c11 * xi[k] + c12 * chi[k])
        x2[k] = one * (c20 * rho[k] + c21 * xi[k] + c22 * chi[k])
        y0[k] = kick * (c00 * h0 + c01 * h1 + c02 * h2)
        y1[k] = kick * (c10 * h0 + c11 * h1 + c12 * h2)
        y2[k] = kick * (c20 * h0 + c21 * h1 + c22 * h2)
        flat += x * x0[k]
        slope += x * y0[k]
    risk = flat / (1.0 - slope)
    for k in range(curvature.size):
        x0[k] += risk * y0[k]
        x1[k] += risk * y1[k]
        x2[k] += risk * y2[k]
    return risk


@vector_kernel
def _add(values: Array, factor: float, more: Array) -> None:
    """Add ``factor`` times ``more`` in place; array expressions would make copies."""
    for i in range(values.shape[0]):
        one, other = values[i], more[i]
        for k in range(one.size):
            one[k] += factor * other[k]


@vector_kernel
def flow_steps(
    curvature: Array, count: Array, moments: Array, floor: float, batch: float, power: float, full: bool,
    weights: Array, steps: Array, clock: Array, gamma1: Any, gamma2: Any, gamma3: Any, delta: Any,
    excess: Any, momentum: Any,
) -> None:  # fmt: skip
    """Advance ``moments`` (3, nodes) in place by ``steps`` of log(1 + t); keep sum l rho and sum xi after each.

    ``clock`` holds 1 + t, and the gammas and ``delta`` the coefficients, at (step, stage). Those that are divided by
    P^power make each stage an equation for its P.
    """
    slopes = np.empty((weights.shape[0], *moments.shape))
    begun, right, response = np.empty_like(moments), np.empty_like(moments), np.empty_like(moments)
    risk = floor
    for k in range(curvature.size):
        risk += curvature[k] * moments[0, k]
    for i in range(steps.size):
        begun[:] = moments
        for j in range(weights.shape[0]):
            right[:] = begun
            for other in range(j):
                _add(right, steps[i] * weights[j, other], slopes[other])
            implicit = steps[i] * weights[j, j]
            search = new_search()
            for _ in range(200):
                scale = risk**-power if power > 0.0 else 1.0
                g1, g2, g3 = gamma1[i, j], scale * gamma2[i, j], scale * gamma3[i, j]
                flow = _full(batch, g1, g2, g3, delta[i, j]) if full else _simplified(batch, g1, g2, g3, delta[i, j])
                found = _stage(curvature, count, floor, implicit * clock[i, j], flow, right, moments, response)
                if power == 0.0 or abs(found - risk) <= 1e-13 * risk:
                    break
                risk = narrowed(search, risk, found)
            slopes[j] = 0.0
            _add(slopes[j], 1.0 / implicit, moments)
            _add(slopes[j], -1.0 / implicit, right)
        excess[i] = curvature @ moments[0]
        momentum[i] = moments[1].sum()
