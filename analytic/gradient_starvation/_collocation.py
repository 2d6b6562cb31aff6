r"""An integrator for stiff flows d psi(w)/dt = g(w) whose values psi may not leave their range.

psi acts on each component. A step of length h from w_0 finds the w_i at the right Radau points c_i of [0, 1],

    psi(w_i) - psi(w_0) = h sum_j A_ij g(w_j),    A_ij the integral of the j-th Lagrange polynomial from 0 to c_i,

by Newton's method (collocation, L-stable, of order 17 at the ends). As w is the unknown, psi(w) = sigma(-w) stays
within (0, 1) also where it all but touches 0, and w jumps there as it must. Steps are so long that the last Legendre
coefficient of psi over a step, of degree 9, is below the tolerance; between, the polynomial is the answer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.polynomial.legendre import legvander
from numpy.typing import NDArray
from scipy.special import roots_jacobi

__all__ = ["Flow", "collocate"]

Array = NDArray[np.float64]

_STAGES = 9
_MOST_STEPS = 100_000
_MOST_ITERATIONS = 15
#: Corrections, relative to w, from which the next would be below rounding.
_CONVERGED = 1e-9
#: Shortest step relative to the time.
_SHORTEST = 4.0 * float(np.finfo(np.float64).eps)
#: How much a step may grow and shrink, and how far below the tolerance it aims.
_GROW, _SHRINK, _AIM = 5.0, 0.1, 0.8


class Flow(NamedTuple):
    """What the integrator needs to know of a flow; all functions take w (stages, size), but ``psi`` any shape.

    ``growth(w, w_0)`` is psi(w) - psi(w_0) without cancellation, ``rise`` psi' (stages, size), ``slope`` g and
    ``jacobian`` dg/dw (stages, size, size). ``size_of(w)`` is what errors of w are relative to; psi below ``least`` and
    times below ``first`` need no digits; errors of w below ``unit`` times a tolerance are nothing.
    """

    start: Array
    psi: Callable[[Array], Array]
    growth: Callable[[Array, Array], Array]
    rise: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    jacobian: Callable[[Array], Array]
    size_of: Callable[[Array], Array]
    least: float
    first: float
    unit: float


class _Rule(NamedTuple):
    nodes: Array  # 0 and the Radau points, on [0, 1]
    integrals: Array  # A
    coefficients: Array  # from values at the nodes to those of Legendre polynomials


@functools.cache
def _rule() -> _Rule:
    s = _STAGES
    inner = np.append(np.sort(roots_jacobi(s - 1, 1.0, 0.0)[0]), 1.0)
    powers = legvander(inner, s)
    sums = np.empty((s, s))  # of Legendre polynomials from -1, P_k by (P_(k+1) - P_(k-1))/(2k+1)
    sums[:, 0] = inner + 1.0
    for k in range(1, s):
        sums[:, k] = (powers[:, k + 1] - powers[:, k - 1]) / (2 * k + 1)
    every = np.append(-1.0, inner)
    return _Rule(0.5 * (every + 1.0), 0.5 * sums @ np.linalg.inv(powers[:, :s]), np.linalg.inv(legvander(every, s)))


def collocate(flow: Flow, times: Array, tolerance: float) -> Array:
    """Return psi(w) at the times, increasing, shape (size, times), each step resolved to a relative tolerance.

    Raises
    ------
    ArithmeticError
        When steps become too short, or too many.
    """
    rule = _rule()
    found = np.empty((flow.start.size, times.size))
    done, now, w, last = int(np.searchsorted(times, 0.0, side="right")), 0.0, flow.start, float(times[-1])
    found[:, :done] = flow.psi(w)[:, None]
    length = min(last, flow.first)
    for _ in range(_MOST_STEPS):
        if done == times.size:
            return found
        length = last - now if last - now <= length * (1.0 + 1e-10) else length
        if length < _SHORTEST * now:
            break
        stages = _stages(flow, w, length, rule)
        if stages is None:
            length *= 2.0 * _SHRINK
            continue
        values = np.concatenate([flow.psi(w)[None], flow.psi(stages)])
        terms = rule.coefficients @ values
        scale = max(float(np.abs(values[-1]).max()), flow.least)
        error = float(np.abs(terms[-1]).max()) / scale if scale > 0.0 else 0.0
        factor = min(_GROW, _AIM * (tolerance / error) ** (1.0 / _STAGES)) if error > 0.0 else _GROW
        if error > tolerance:
            length *= max(_SHRINK, factor)
            continue
        end = times.size if length == last - now else int(np.searchsorted(times, now + length, side="right"))
        found[:, done:end] = (legvander(2.0 * (times[done:end] - now) / length - 1.0, _STAGES) @ terms).T
        done, now, w = end, now + length, stages[-1]
        length *= factor
    raise ArithmeticError(f"the flow could not be followed beyond time {now:g} with a tolerance of {tolerance:.1g}")


def _stages(flow: Flow, w: Array, length: float, rule: _Rule) -> Array | None:
    """Return w at the Radau points of a step, or none where Newton's method does not converge."""
    s, n = _STAGES, w.size
    stages = np.repeat(w[None], s, axis=0)
    index = np.arange(s * n)
    with np.errstate(over="ignore", invalid="ignore"):  # of corrections that go astray, and are refused
        for _ in range(_MOST_ITERATIONS):
            off = flow.growth(stages, w) - length * (rule.integrals @ flow.slope(stages))
            matrix = -length * np.einsum("ij,jkl->ikjl", rule.integrals, flow.jacobian(stages)).reshape(s * n, s * n)
            matrix[index, index] += flow.rise(stages).ravel()
            try:
                correction = np.linalg.solve(matrix, off.ravel()).reshape(s, n)
            except np.linalg.LinAlgError:
                return None
            stages = stages - correction
            if not np.isfinite(stages).all():
                return None
            if (np.abs(correction) <= _CONVERGED * flow.size_of(stages)).all():
                return stages
    return None
