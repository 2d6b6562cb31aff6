r"""Gradient flows of coupled features: primal in the responses, dual in v = -logit(alpha).

    dz/dt = S^2 (U^T sigma(-U z) - decoupling z) - l2 z,
    d alpha/dt = v - K alpha,    alpha = sigma(-v),    z_j = (U^T alpha)_j/p_j,

K = U diag(1/p) U^T, p_j = l2/s_j^2 + decoupling. Where one sample's alpha is large at first, that of another may be
pressed down to exp(-K alpha), far below the smallest float, and come back: therefore v. Both flows are integrated
twice, and the difference says what the integrator's errors are.
"""

from __future__ import annotations

import threading
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.special import expit

from analytic.gradient_starvation._collocation import Flow, collocate
from analytic.gradient_starvation._fixed_point import penalties
from dynamics.algorithms import DualFlow
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import Coupled

__all__ = ["Paths", "dual_flow", "primal_flow"]

Array = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
#: The second tolerance in units of the first, and the smallest one that is above rounding.
_FINER, _LEAST_TOLERANCE = 0.01, 1e-13
#: The first tolerance at most, below which errors follow tolerances; and what their difference is multiplied by.
_FIRST, _SAFETY = 1e-6, 3.0
#: Most unknowns for which matrices nine times as large are no trouble.
_SMALL = 40
#: Some versions of the integrator for more keep its state in one place for all of a process.
_LOCK = threading.Lock()


class Paths(NamedTuple):
    """Responses (r, times), margins (n, times), and what they may be off by."""

    response: Array
    margin: Array
    response_error: Array
    margin_error: Array


def primal_flow(problem: Coupled, times: Array, accuracy: float) -> Paths:
    """Return the gradient flow of the weights, from 0."""
    u, square = problem.presence, problem.strength**2
    rate = problem.decoupling * square + problem.l2

    def slope(z: Array) -> Array:
        return np.asarray(square * (expit(-(z @ u.T)) @ u) - rate * z)

    def jacobian(z: Array) -> Array:
        margin = z @ u.T
        curved = (u.T * (expit(margin) * expit(-margin))[:, None, :]) @ u
        return np.asarray(-square[:, None] * curved - np.diag(rate))

    first = float(times[times > 0.0].min(initial=np.inf))
    # the largest response at the first time, at most 1
    grown = 0.5 * np.abs(u.sum(axis=0)) * square * np.minimum(first, 1.0 / (rate + square))
    flow = Flow(
        start=np.zeros_like(square), psi=lambda z: z, growth=lambda z, at: z - at, rise=np.ones_like, slope=slope,
        jacobian=jacobian, size_of=lambda z: np.abs(z).max(keepdims=True), least=min(1.0, float(grown.max())),
        first=first, unit=min(1.0, float(grown.max())),
    )  # fmt: skip
    return _twice(flow, times, accuracy, np.eye(square.size), u)


def dual_flow(problem: Coupled, algorithm: DualFlow, times: Array, accuracy: float) -> Paths:
    """Return the gradient flow of the dual variables."""
    u, p = problem.presence, penalties(problem)
    kernel = (u / p) @ u.T

    def growth(v: Array, at: Array) -> Array:
        # sigma(-v) - sigma(-at), of which expm1 sees negative numbers only
        return np.asarray(
            np.where(v > at, expit(v) * expit(-at), -expit(-v) * expit(at)) * np.expm1(-np.abs(v - at))
        )  # fmt: skip

    first = float(times[times > 0.0].min(initial=np.inf))
    flow = Flow(
        start=np.full(u.shape[0], np.log1p(-algorithm.initial) - np.log(algorithm.initial)),
        psi=lambda v: np.asarray(expit(-v)), growth=growth, rise=lambda v: -np.asarray(expit(v) * expit(-v)),
        slope=lambda v: v - np.asarray(expit(-v)) @ kernel,
        jacobian=lambda v: np.eye(u.shape[0]) + kernel * (expit(v) * expit(-v))[:, None, :],
        size_of=lambda v: 1.0 + np.abs(v), least=min(first, 1.0 / (1.0 + float(kernel.max()))), first=first,
        unit=1.0,
    )  # fmt: skip
    return _twice(flow, times, accuracy, u.T / p[:, None], u)


def _twice(flow: Flow, times: Array, accuracy: float, matrix: Array, presence: Array) -> Paths:
    """Integrate with ever smaller tolerances until responses ``matrix`` psi(w) differ by less than is asked for."""
    integrate = collocate if flow.start.size <= _SMALL else _by_multistep
    tolerance = min(max(accuracy, _LEAST_TOLERANCE / _FINER), _FIRST)
    before = matrix @ integrate(flow, times, tolerance)
    while True:
        tolerance *= _FINER
        values = integrate(flow, times, tolerance)
        now = matrix @ values
        error = _SAFETY * np.abs(now - before).max(axis=0) + 64.0 * _EPS * (np.abs(matrix) @ np.abs(values)).max(axis=0)
        largest = np.abs(now).max(axis=0)
        # relative errors as they were at this time or before, also where the two answers happen to cross
        relative = np.maximum.accumulate(error / np.where(largest > 0.0, largest, 1.0))
        if relative[-1] <= accuracy:
            break
        if tolerance * _FINER < _LEAST_TOLERANCE:
            raise ParameterError(
                f"accuracy must be larger: rounding leaves an error of {relative[-1]:.1g}; got {accuracy:g}"
            )
        before = now
    error = np.broadcast_to(relative * largest, now.shape)
    return Paths(now, presence @ now, error, np.abs(presence) @ error)


def _by_multistep(flow: Flow, times: Array, tolerance: float) -> Array:
    """Integrate dw/dt = g/psi' by multistep formulas, whose matrices are no larger than the flow."""

    def slope(_: float, w: Array) -> Array:
        return np.asarray((flow.slope(w[None]) / flow.rise(w[None]))[0])

    if times[-1] == 0.0:
        return flow.psi(flow.start)[:, None]
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what went wrong is said below
        found = solve_ivp(
            slope, (0.0, times[-1]), flow.start, method="LSODA", t_eval=times, rtol=0.1 * tolerance,
            atol=1e-3 * tolerance * flow.unit,
        )  # fmt: skip
    if not (found.success and np.isfinite(found.y).all()):
        raise ArithmeticError(f"the flow could not be followed with a tolerance of {tolerance:.1g}: {found.message}")
    return flow.psi(np.asarray(found.y, dtype=np.float64))
