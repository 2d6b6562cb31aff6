"""Compiled steps of stochastic momentum for groups of equal eigenvalues, exact in law at a cost of O(groups).

Within a group of m equal eigenvalues l the noise is isotropic, so that only the lengths of the error w and of the
momentum y and the angle between them matter: p along w itself, and y = (a, b) along w and across it, with b >= 0. For
m = 1 there is no across: p and a are the numbers themselves, with their signs, and b = 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.kernels import kernel

__all__ = ["grouped_steps", "triangular"]

Array = NDArray[Any]


@kernel
def _length(x: float, y: float) -> float:
    """Return hypot(x, y), several times faster where squares are in range."""
    square = x * x + y * y
    return math.sqrt(square) if 1e-280 < square < 1e280 else math.hypot(x, y)


@kernel
def triangular(w1: float, w2: float, w3: float, y1: float, y2: float, y3: float) -> Any:
    """Return p, a, b of a frame in which w = (p, 0, 0) and y = (a, b, 0): the triangular factor of the matrix [w y].

    Two rotations take w to the first axis, first in the plane (2, 3) and then in (1, 2), and y with it; the length of
    what is left of y is b. Where w2 = w3 = 0 nothing is rotated: w has its direction already, and p may be negative.
    """
    across = _length(w2, w3)
    if across > 0.0:
        cosine, sine = w2 / across, w3 / across
        y2, y3 = cosine * y2 + sine * y3, cosine * y3 - sine * y2
        p = _length(w1, across)
        cosine, sine = w1 / p, across / p
        y1, y2 = cosine * y1 + sine * y2, cosine * y2 - sine * y1
        w1 = p
    return w1, y1, _length(y2, y3)


@kernel
def grouped_steps(
    rng: Any, curvature: Array, multiplicity: Array, state: Array, variance: float, batch: float, limit: float,
    power: float, gamma1: Any, gamma2: Any, gamma3: Any, delta: Any,
) -> int:  # fmt: skip
    """Take gamma1.size steps in place on p, a, b (3, groups); return -1 or the steps after which P > limit.

    The step sizes gamma2 and gamma3 are divided by P^power.

    Given the errors, the batch's residuals are independent N(0, P) with P = sum l p^2 + variance. With chi^2 of B
    degrees of freedom, S = P chi^2 and zeta ~ N(0, 1) twice for each group, the group's gradient is exactly in law

        x1 = (l p (chi^2 - sqrt(S) kappa) + sqrt(l S) zeta1)/B    along w,
        x2 = sqrt(l S) zeta2/B                                    along the part of y across w; none for m = 1,
        x3 = sqrt(l S) chi_(m-2)/B                                along what is left; none for m <= 2,
        kappa = sum sqrt(l) p zeta1/(P (1 + sqrt(variance/P))).

    Only the length of the m - 2 last components enters, so that m > 2 need not be whole: quadratures are groups too.
    All numbers are drawn in the order of steps, so that a run does not depend on how its steps are divided into calls.
    """
    p, a, b = state[0], state[1], state[2]
    root, zeta = np.sqrt(curvature), np.empty_like(curvature)
    total = variance
    for k in range(p.size):
        total += curvature[k] * p[k] * p[k]
    for i in range(gamma1.size):
        overlap = 0.0
        for k in range(p.size):
            zeta[k] = rng.standard_normal()
            overlap += root[k] * p[k] * zeta[k]
        squares = rng.chisquare(batch)
        along, spread = 0.0, 0.0
        if total > 0.0:  # without noise and floor the risk may reach 0, where no gradient is left
            spread = math.sqrt(total * squares)
            along = (squares - spread * overlap / (total * (1.0 + math.sqrt(variance / total)))) / batch
            spread /= batch
        scale = total**-power if power > 0.0 else 1.0
        keep, g1, g2, g3 = 1.0 - delta[i], gamma1[i], scale * gamma2[i], scale * gamma3[i]
        total = variance
        for k in range(p.size):
            noise = root[k] * spread
            x1 = curvature[k] * p[k] * along + noise * zeta[k]
            x2 = noise * rng.standard_normal() if multiplicity[k] > 1.0 else 0.0
            x3 = noise * math.sqrt(rng.chisquare(multiplicity[k] - 2.0)) if multiplicity[k] > 2.0 else 0.0
            y1, y2, y3 = keep * a[k] + g1 * x1, keep * b[k] + g1 * x2, g1 * x3
            p[k], a[k], b[k] = triangular(
                p[k] - g2 * x1 - g3 * y1, -g2 * x2 - g3 * y2, -g2 * x3 - g3 * y3, y1, y2, y3
            )  # fmt: skip
            total += curvature[k] * p[k] * p[k]
        if not total <= limit:  # also true for nan
            return i + 1
    return -1
