r"""Nodes and weights of the deterministic equivalent, by integrals along a line above the spectrum.

Wanted are integrals of functions Phi of the curvature (a mode's response at some time) over two densities, nu and mu,
which span many powers of ten. In y = log(x/(x_cap - x)), with x_cap just above the spectrum, Phi is analytic in a
strip, so that it is interpolated from a grid y_k = k h by windowed sinc functions psi with exponentially small error;
and as psi is entire, the weight of a node is an integral over a line above the spectrum, not over its bands and gaps,

    w_k = (1/pi) Im int f(z) (dz/dy) psi((y - y_k)/h) dy,    z = x_cap/(1 + e^(-y)),   Im y = eta,

by the trapezoidal rule. On either end the line runs out of Im f by itself. The weights have both signs.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytic.scaling_laws._equivalent import Inputs, edges, image, inputs_of, limit_risk, plane
from analytic.scaling_laws._recursion import Nodes
from dynamics.errors import ParameterError
from dynamics.kernels import kernel
from dynamics.scaling_laws import SECTOR, PowerLawRandomFeatures

__all__ = ["down_the_line", "equivalent_nodes", "start_above", "strip", "transforms"]

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

#: Grid step h, window width r in steps, step of the trapezoidal rule, and s_cap - s_top.
_STEP, _WIDTH, _TRAPEZE, _CAP = 0.1, 4.0, 0.05, 0.01


class Strip(NamedTuple):
    """Nodes x with the weights of nu (number of modes) and of mu (squared target)."""

    curvature: Array
    modes: Array
    target: Array


def equivalent_nodes(problem: PowerLawRandomFeatures, step: float = _STEP) -> Nodes:
    """Return the nodes that the recursion takes for the deterministic equivalent of a problem."""
    found = strip(problem.model_copy(update={"noise": 0.0}), step)
    error = found.target / found.curvature
    return Nodes(found.curvature, error, found.modes, limit_risk(problem), problem.noise**2)


@functools.lru_cache(maxsize=16)
def strip(problem: PowerLawRandomFeatures, step: float = _STEP, width: float = _WIDTH) -> Strip:
    """Return the quadrature; a finer ``step`` makes it more exact, down to 0.07 where rounding takes over."""
    inputs = inputs_of(problem)
    lowest, highest = edges(problem)
    start = start_above(problem)
    cap = image(inputs, start)
    outside = math.ceil(1.6 * width**2 + 2)
    first = math.floor(_logit(lowest, cap) / step) - outside
    last = math.ceil(_logit(highest, cap) / step) + outside
    grid = step * np.arange(first, last + 1)
    reach = 1.3 * outside * step
    line = np.arange(grid[-1] + reach, grid[0] - reach, -_TRAPEZE) + 1j * SECTOR
    z = cap / (1.0 + np.exp(-line))
    nu, mu = down_the_line(problem, inputs, start, z)
    slope = _TRAPEZE / np.pi * z * (1.0 - z / cap)
    count, target = np.empty(grid.size), np.empty(grid.size)
    for k, y in enumerate(grid):
        near = np.abs(line.real - y) <= 1.5 * outside * step
        window = slope[near] * _window((line[near] - y) / step, width)
        count[k], target[k] = (window @ nu[near]).imag, (window @ mu[near]).imag
    return Strip(cap / (1.0 + np.exp(-grid)), count, target)


def _logit(x: float, cap: float) -> float:
    return math.log(x / (cap - x))


def _window(u: Complex, width: float) -> Complex:
    """Return psi(u) = sin(pi u)/(pi u) exp(-u^2/(2 r^2)); u is never 0, for the line is above the axis."""
    values: Complex = np.sin(np.pi * u) / (np.pi * u) * np.exp(-(u**2) / (2.0 * width**2))
    return values


def start_above(problem: PowerLawRandomFeatures) -> float:
    """Return a real s whose image z(s) lies just above the spectrum."""
    return 1.0 + plane(problem).above + _CAP


def down_the_line(problem: PowerLawRandomFeatures, inputs: Inputs, start: float, z: Any) -> tuple[Complex, Complex]:
    """Return f_nu and f_mu along a line of ``z`` that begins near the image of the real number ``start``."""
    falls, d = problem.beta > 0.5, float(inputs.dimension)
    nu, mu, on_sheet = _trace(z, start, inputs.variance, inputs.weight, inputs.target, falls, d)
    if not on_sheet:
        raise ParameterError(f"problem {problem!r}: the deterministic equivalent left its physical sheet")
    return nu, mu


@kernel
def _trace(z: Any, start: float, variance: Array, count: Array, target: Array, falls: bool, d: float) -> Any:
    """Follow s(z) down the line by Newton's method and return f_nu, f_mu, and whether all is on the physical sheet."""
    nu, mu = np.empty_like(z), np.empty_like(z)
    s = start * (1.0 + 1e-9j)
    on_sheet = True
    for i in range(z.size):
        for _ in range(100):
            first, second = 0.0j, 0.0j
            for k in range(variance.size):
                phi = variance[k] / (variance[k] - s)
                first += count[k] * phi
                second += count[k] * phi * phi
            change = (s * (1.0 - first / d) - z[i]) / (1.0 - second / d)
            while (s - change).imag <= 0.0:
                change *= 0.5
            s -= change
            if abs(change) < 1e-14 * abs(s):
                break
        found, _, nu[i], mu[i] = transforms(s, variance, count, target, falls, d)
        on_sheet &= found.imag > 0.0
    return nu, mu, on_sheet


@kernel
def transforms(s: Any, variance: Array, count: Array, target: Array, falls: bool, d: float) -> Any:
    """Return z, dz/ds, f_nu and f_mu at one s.

    f_mu may be taken with or without the real constant sum_j b_j^2, which its integrals do not see. Where b_j^2
    ``falls`` faster than 1/j it is taken without, and else with it: so neither end of the spectrum drowns in rounding.
    """
    first, second, weighted = 0.0j, 0.0j, 0.0j
    for k in range(variance.size):
        inverse = 1.0 / (variance[k] - s)
        phi = variance[k] * inverse
        first += count[k] * phi
        second += count[k] * phi * phi
        weighted += target[k] * (s * inverse if falls else phi)
    share = first / d
    z = s * (1.0 - share)
    if falls:
        weighted += share * target.sum()
    return z, 1.0 - second / d, first / z, weighted / (1.0 - share)
