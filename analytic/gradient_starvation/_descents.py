r"""Descents with a finite step, exactly: their updates are linear in the margins' gradients, so that nothing is lost.

    z <- z + eta [S^2 (U^T sigma(-U z) - decoupling z) - l2 z]                     primal, from 0
    alpha <- alpha - eta (logit(alpha) + K alpha), kept within [1e-50, 1 - 1e-7]   dual,    z_j = (U^T alpha)_j/p_j

Rounding is all that a second implementation may differ by. How much that is, is seen from a second run in which every
s_j^2, and so K, is changed by the last bits: where steps are too large to settle, it may be everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from analytic.gradient_starvation._fixed_point import penalties
from analytic.gradient_starvation._flows import Paths
from dynamics.algorithms import DualDescent, PrimalDescent
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import Coupled
from dynamics.kernels import kernel

__all__ = ["dual_descent", "primal_descent"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

#: Relative change of s_j^2 in the second run.
_CHANGE = 2.0**-50
#: What is allowed: this many times the difference of the two, and, relative to the largest response, so much.
_DIFFERENCES, _ROUNDING = 8.0, 1e-13
_EPS = float(np.finfo(np.float64).eps)
#: Most nanoseconds, roughly, before an answer would take too long, and between looks at Ctrl-C.
_MOST, _LOOK = 1e10, 1e8


@kernel
def _primal_steps(u: Array, rows: Array, gain: Array, loss: Array, z: Array, count: int) -> bool:
    """Take steps z <- z + gain U^T sigma(-U z) - loss z in place; true where one moves nothing, as no further one will.

    ``rows`` is U^T: both orders are there so that all inner loops run along memory.
    """
    n, r = u.shape
    margin, sums = np.empty(n), np.empty(r)
    for _ in range(count):
        margin[:] = 0.0
        for j in range(r):
            for i in range(n):
                margin[i] += rows[j, i] * z[j]
        sums[:] = 0.0
        for i in range(n):
            alpha = 1.0 / (1.0 + math.exp(margin[i]))
            for j in range(r):
                sums[j] += u[i, j] * alpha
        still = True
        for j in range(r):
            new = z[j] + (gain[j] * sums[j] - loss[j] * z[j])  # 1 - loss would cost digits of a small loss
            still = still and new == z[j]
            z[j] = new
        if still:
            return True
    return False


@kernel
def _dual_steps(matrix: Array, rate: float, alpha: Array, count: int) -> bool:
    """Take steps of the dual ascent in place, with a symmetric K; true where one moves nothing."""
    n = alpha.size
    pull = np.empty(n)
    for _ in range(count):
        pull[:] = 0.0
        for i in range(n):
            for k in range(n):
                pull[k] += matrix[i, k] * alpha[i]
        still = True
        for i in range(n):
            new = alpha[i] - rate * (math.log(alpha[i]) - math.log1p(-alpha[i]) + pull[i])
            new = min(max(new, 1e-50), 1.0 - 1e-7)
            still = still and new == alpha[i]
            alpha[i] = new
        if still:
            return True
    return False


def primal_descent(problem: Coupled, algorithm: PrimalDescent, times: Steps) -> Paths:
    """Return gradient descent of the weights, from 0.

    Raises
    ------
    ParameterError
        When the penalties alone make the responses grow without end, or there are too many steps.
    """
    u, eta = problem.presence, algorithm.learning_rate
    rate = problem.l2 + problem.decoupling * problem.strength**2
    if eta * rate.max() > 2.0:
        raise ParameterError(
            f"learning_rate (step size) must be at most 2/(l2 + decoupling s^2) = {2.0 / rate.max():g} for the "
            f"strongest feature: above, responses grow without end; got {eta:g}"
        )

    def walk(square: Array) -> Array:
        gain, loss = eta * square, eta * (problem.l2 + problem.decoupling * square)
        rows, z = np.ascontiguousarray(u.T), np.zeros(square.size)
        return _walked(z, lambda count: _primal_steps(u, rows, gain, loss, z, count), times, u.shape)

    return _twice(walk, problem.strength**2, np.eye(u.shape[1]), u, _memory(times, eta * float(rate.min())))


def dual_descent(problem: Coupled, algorithm: DualDescent, times: Steps) -> Paths:
    """Return gradient ascent of the dual problem, clipped.

    Raises
    ------
    ParameterError
        When there is no dual problem, without any penalty, or there are too many steps.
    """
    u, p = problem.presence, penalties(problem)

    def walk(square: Array) -> Array:
        matrix = (u / (p * (problem.strength**2 / square))) @ u.T
        alpha = np.full(u.shape[0], algorithm.initial)
        return _walked(
            alpha, lambda count: _dual_steps(matrix, algorithm.learning_rate, alpha, count), times, matrix.shape
        )

    # logit has a slope of 4 at least; and from a matrix of features the weak ones can be told to eps s_1/s_j only
    s = problem.strength
    units = _memory(times, 4.0 * algorithm.learning_rate) + _DIFFERENCES * float((s.max() / (s * p)).max() * p.min())
    return _twice(walk, s**2, u.T / p[:, None], u, units)


def _walked(state: Array, steps: Callable[[int], bool], times: Steps, shape: tuple[int, ...]) -> Array:
    """Return the state at the times, shape (size, times); ``steps(count)`` moves it and says whether it is at rest.

    The steps are taken a few at a time, so that Ctrl-C is heard.
    """
    cost = 2 * shape[0] * shape[1] + 15 * shape[0]
    kept = np.empty((state.size, times.size))
    done, rest = 0, False
    for index, time in enumerate(times.tolist()):
        while done < time and not rest:
            count = min(time - done, max(1, int(_LOOK // cost)))
            rest = steps(count)
            done += count
            if done * cost > _MOST:
                raise ParameterError(f"times must end earlier, at about {_MOST / cost:.0e} steps; got {times[-1]}")
        kept[:, index] = state
    return kept


def _memory(times: Steps, forgotten: float) -> Array:
    """Return how many steps' rounding is still there, at the least part of it that each step forgets."""
    return np.minimum(times, 1.0 / forgotten) if forgotten > 0.0 else np.asarray(times, dtype=np.float64)


def _twice(walk: Callable[[Array], Array], square: Array, matrix: Array, presence: Array, units: Array) -> Paths:
    """Return responses ``matrix`` times the state, and what rounding may do to them, by so many units at least."""
    response = matrix @ walk(square)
    changed = matrix @ walk(square * (1.0 + _CHANGE))
    apart, largest = np.abs(response - changed).max(axis=0), np.abs(response).max(axis=0)
    # additions to a sum of this size lose half a unit in the last place each, in the worst case always the same way
    rounding = (_ROUNDING + _EPS * units) * np.maximum.accumulate(largest)
    error = _DIFFERENCES * np.maximum.accumulate(apart) + rounding
    error = np.broadcast_to(error, response.shape)
    return Paths(response, presence @ response, error, np.abs(presence) @ error)
