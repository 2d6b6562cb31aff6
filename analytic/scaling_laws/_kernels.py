"""Compiled second-moment recursions of stochastic momentum: step by step, and whole blocks of steps at once.

A node stands for modes of one curvature l: rho, xi, chi are the sums over them of E w^2, E y^2 and E w y, and ``count``
is how many they are (any real number). The risk P = floor + sum l rho couples the nodes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.kernels import vector_kernel

__all__ = ["advance", "advance_block", "march", "narrowed", "new_search"]

Array = NDArray[Any]


@vector_kernel
def advance(
    curvature: Array, count: Array, moments: Array, floor: float, batch: float, power: float,
    gamma1: Array, gamma2: Array, gamma3: Array, delta: Array,
) -> float:  # fmt: skip
    """Advance ``moments`` (3, nodes) in place by gamma1.size exact steps and return the sum of l rho.

    The step sizes gamma2 and gamma3 are divided by P^power first.

    With s = E g^2 = (1 + 1/B) l^2 rho + count l P/B, a = 1 - Delta and G = gamma2 + gamma1 gamma3,

        rho' = rho + G^2 s + gamma3^2 a^2 xi - 2 G l rho - 2 gamma3 a chi + 2 G gamma3 a l chi
        xi'  = a^2 xi + gamma1^2 s + 2 a gamma1 l chi
        chi' = a chi + gamma1 l rho - G a l chi - G gamma1 s - gamma3 a^2 xi - gamma3 a gamma1 l chi.
    """
    rho, xi, chi = moments[0], moments[1], moments[2]
    excess = 0.0
    for k in range(curvature.size):
        excess += curvature[k] * rho[k]
    for i in range(gamma1.size):
        scale = (floor + excess) ** -power if power > 0.0 else 1.0
        g1, g3, a = gamma1[i], scale * gamma3[i], 1.0 - delta[i]
        g = scale * gamma2[i] + g1 * g3
        total = (floor + excess) / batch
        excess = 0.0
        for k in range(curvature.size):
            x = curvature[k]
            s = (1.0 + 1.0 / batch) * x * x * rho[k] + count[k] * x * total
            carried, pushed, mixed = a * a * xi[k], x * rho[k], a * chi[k]
            rho[k] += g * (g * s - 2.0 * pushed) + g3 * (g3 * carried - 2.0 * mixed * (1.0 - g * x))
            xi[k] = carried + g1 * (g1 * s + 2.0 * x * mixed)
            chi[k] = mixed * (1.0 - (g + g3 * g1) * x) + g1 * (pushed - g * s) - g3 * carried
            excess += x * rho[k]
    return excess


@vector_kernel
def _product(x: Any, y: Any) -> Any:
    """Return the product of two 3 x 3 matrices, as tuples of rows one after the other: scalars stay in registers."""
    return (
        x[0] * y[0] + x[1] * y[3] + x[2] * y[6], x[0] * y[1] + x[1] * y[4] + x[2] * y[7],
        x[0] * y[2] + x[1] * y[5] + x[2] * y[8], x[3] * y[0] + x[4] * y[3] + x[5] * y[6],
        x[3] * y[1] + x[4] * y[4] + x[5] * y[7], x[3] * y[2] + x[4] * y[5] + x[5] * y[8],
        x[6] * y[0] + x[7] * y[3] + x[8] * y[6], x[6] * y[1] + x[7] * y[4] + x[8] * y[7],
        x[6] * y[2] + x[7] * y[5] + x[8] * y[8],
    )  # fmt: skip


@vector_kernel
def _affine(x: Any, y: Any, times: float, z: Any) -> Any:
    """Return x y + times z for a 3 x 3 matrix and vectors."""
    return (
        x[0] * y[0] + x[1] * y[1] + x[2] * y[2] + times * z[0],
        x[3] * y[0] + x[4] * y[1] + x[5] * y[2] + times * z[1],
        x[6] * y[0] + x[7] * y[1] + x[8] * y[2] + times * z[2],
    )


@vector_kernel
def _power(matrix: Any, force: Any, steps: int) -> Any:
    """Return A^n, S0 = sum_i A^(n-1-i) h and S1 = sum_i i A^(n-1-i) h by binary doubling, from the top bit down.

    Of an earlier part of m steps and a later one, S0 = A_2 S0_1 + S0_2 and S1 = A_2 S1_1 + S1_2 + m S0_2.
    """
    bit = 1
    while 2 * bit <= steps:
        bit *= 2
    power, s0, s1, done = matrix, force, (0.0, 0.0, 0.0), 1
    while bit > 1:
        bit //= 2
        s1 = _affine(power, s1, 1.0, (s1[0] + done * s0[0], s1[1] + done * s0[1], s1[2] + done * s0[2]))
        s0 = _affine(power, s0, 1.0, s0)
        power = _product(power, power)
        done *= 2
        if steps & bit:
            s1 = _affine(matrix, s1, done, force)
            s0 = _affine(matrix, s0, 1.0, force)
            power = _product(matrix, power)
            done += 1
    return power, s0, s1


@vector_kernel
def advance_block(
    curvature: Array, count: Array, moments: Array, ramps: Array, floor: float, batch: float, steps: int,
    g1: float, g2: float, g3: float, delta: float,
) -> float:  # fmt: skip
    """Advance ``moments`` in place by a block of n steps with constant coefficients and return the sum of l rho.

    The risk is taken to be linear within the block, P_s + (i/n)(P_e - P_s). For each node, one step v' = A v + h P,

        v_e = A^n v_s + S0 P_s + S1 (P_e - P_s)/n,

    and P_e solves one linear equation. Exact for n = 1, of second order in the length. ``ramps`` (3, nodes) is space.
    """
    a, g = 1.0 - delta, g2 + g1 * g3
    start = floor
    for k in range(curvature.size):
        start += curvature[k] * moments[0, k]
    flat, slope = 0.0, 0.0
    for k in range(curvature.size):
        x, own, force = curvature[k], (1.0 + 1.0 / batch) * curvature[k] * curvature[k], curvature[k] * count[k] / batch
        matrix = (
            1.0 - 2.0 * g * x + g * g * own, g3 * g3 * a * a, -2.0 * g3 * a * (1.0 - g * x),
            g1 * g1 * own, a * a, 2.0 * a * g1 * x,
            g1 * x - g * g1 * own, -g3 * a * a, a * (1.0 - (g + g3 * g1) * x),
        )  # fmt: skip
        power, s0, s1 = _power(matrix, (g * g * force, g1 * g1 * force, -g * g1 * force), steps)
        v = _affine(power, (moments[0, k], moments[1, k], moments[2, k]), start, s0)
        moments[0, k], moments[1, k], moments[2, k] = v
        ramps[0, k], ramps[1, k], ramps[2, k] = s1
        flat += x * v[0]
        slope += x * s1[0]
    rise = (floor + flat - start) / (steps - slope)  # (P_e - P_s)/n
    excess = 0.0
    for k in range(curvature.size):
        for i in range(3):
            moments[i, k] += ramps[i, k] * rise
        excess += curvature[k] * moments[0, k]
    return excess


@vector_kernel
def new_search() -> Any:
    """Return the state of a search for the risk that step sizes are divided by: bounds, and the last guess and gap."""
    return np.array([0.0, np.inf, 0.0, 0.0])


@vector_kernel
def narrowed(search: Array, risk: float, found: float) -> float:
    """Return the next guess for a risk, when steps of the guess ``risk`` have led to ``found``; equal ones end it.

    Too small a risk makes steps too large: what they lead to is larger, or beyond all bounds, then of any sign. A
    secant through the last two guesses is taken where it stays between the bounds known so far, else their middle.
    """
    sound = 0.0 < found < np.inf
    if sound and found <= risk:
        search[1] = min(search[1], risk)
    else:
        search[0] = max(search[0], risk)
    gap = found - risk
    guess = found if search[2] == 0.0 else risk - gap * (risk - search[2]) / (gap - search[3])
    search[2], search[3] = risk, gap
    low, high = float(search[0]), float(search[1])
    if sound and low < guess < high:
        return float(guess)
    if high == np.inf:
        return 2.0 * low
    return 0.5 * high if low == 0.0 else math.sqrt(low * high)


@vector_kernel
def _advance_scaled(
    curvature: Array, count: Array, moments: Array, ramps: Array, floor: float, batch: float, power: float, steps: int,
    g1: float, g2: float, g3: float, delta: float,
) -> float:  # fmt: skip
    """Advance by a block whose step sizes are divided by P^power in its middle."""
    begun, search = moments.copy(), new_search()
    start = floor
    for k in range(curvature.size):
        start += curvature[k] * moments[0, k]
    middle, excess = start, 0.0
    for _ in range(200):
        moments[:] = begun
        scale = middle**-power
        excess = advance_block(
            curvature, count, moments, ramps, floor, batch, steps, g1, scale * g2, scale * g3, delta
        )  # fmt: skip
        end = floor + excess
        found = start + (end - start) * (steps - 1) / (2.0 * steps) if end > 0.0 else end
        if abs(found - middle) <= 1e-13 * middle:
            break
        middle = narrowed(search, middle, found)
    return excess


@vector_kernel
def march(
    curvature: Array, count: Array, moments: Array, floor: float, batch: float, power: float, lengths: Array,
    gamma1: Any, gamma2: Any, gamma3: Any, delta: Any, excess: Any, momentum: Any,
) -> None:  # fmt: skip
    """Advance ``moments`` in place by blocks of the given lengths; keep sum l rho and sum xi after each of them."""
    ramps = np.empty_like(moments)
    for i in range(lengths.size):
        if lengths[i] == 1:
            here = slice(i, i + 1)
            excess[i] = advance(
                curvature, count, moments, floor, batch, power, gamma1[here], gamma2[here], gamma3[here], delta[here]
            )
        elif power > 0.0:
            excess[i] = _advance_scaled(
                curvature, count, moments, ramps, floor, batch, power, lengths[i], gamma1[i], gamma2[i], gamma3[i],
                delta[i],
            )  # fmt: skip
        else:
            excess[i] = advance_block(
                curvature, count, moments, ramps, floor, batch, lengths[i], gamma1[i], gamma2[i], gamma3[i], delta[i]
            )
        momentum[i] = moments[1].sum()
