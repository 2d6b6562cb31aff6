"""What gradient flow and descent do to one eigenvalue of X^T X: the spectral filter and its residual.

Every algorithm of :mod:`dynamics.algorithms` that starts at w = 0 gives weights w = V f(L) V^T X^T y in the eigenbasis
X^T X = V L V^T; h = 1 - L f is the residual filter. Theory evaluates both on a contour, a simulation on its sampled
eigenvalues.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log1p

from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.errors import ParameterError
from dynamics.kernels import kernel
from dynamics.schedules import Schedule, chunks, unchecked, values_at

__all__ = ["MAX_SCHEDULED_STEPS", "spectral_filters"]

#: A schedule is stepped one by one; more steps than this are refused (a few minutes of work).
MAX_SCHEDULED_STEPS = 10**9
#: exp of it is infinite and exp of minus it is 0, and 0 times it is 0: log 0 would give nan at t = 0.
_SURE = 800.0

Array = NDArray[Any]


def spectral_filters(
    algorithm: GradientFlow | GradientDescent,
    eigenvalues: Array,
    times: Array,
    learning_rate: float | Schedule | None = None,
    checkpoint: Callable[[], None] = unchecked,
) -> tuple[Array, Array]:
    """Return filter f and residual filter h = 1 - L f, both of shape (times, eigenvalues).

    Parameters
    ----------
    algorithm : GradientFlow or GradientDescent
        Gradient flow: f = (1 - e^(-tau (l2 + L))) / (l2 + L). Gradient descent with constant coefficients:
        f = (1 - (1 - eta ((1 + a) L + l2))^t) / ((1 + a) L + l2); with schedules the recursion
        f <- (1 - eta_i ((1 + a_i) L + l_i)) f + eta_i from f = 0. ``rates`` are the caller's: they change L.
    eigenvalues : array, real or complex, shape (k,)
        L; a zero is allowed and gives f = tau (or eta t) and h = 1 when l2 = 0.
    times : array, shape (t,)
        Flow times or whole steps, increasing.
    learning_rate : float, optional
        What ``algorithm.learning_rate=None`` stands for; needed only then.
    checkpoint : callable, optional
        Called now and then while a schedule is stepped; what it raises ends the work.

    Returns
    -------
    f, h : arrays, shape (t, k)

    Raises
    ------
    ParameterError
        When the step size is left open, or a schedule has too many steps.

    Examples
    --------
    >>> f, h = spectral_filters(GradientDescent(learning_rate=0.5), np.array([0.0, 1.0, 2.0]), np.array([2]))
    >>> f, h
    (array([[1.  , 0.75, 0.5 ]]), array([[1.  , 0.25, 0.  ]]))
    """
    eigenvalues = np.asarray(eigenvalues, dtype=np.result_type(eigenvalues, np.float64))
    if isinstance(algorithm, GradientFlow):
        rate = eigenvalues + algorithm.l2
        return _saturate(-np.multiply.outer(times, rate), rate, eigenvalues, algorithm.l2, times)
    step = learning_rate if algorithm.learning_rate is None else algorithm.learning_rate
    if step is None:
        raise ParameterError("learning_rate (step size) must be given where no spectrum defines its default")
    l2, penalty = algorithm.l2, algorithm.output_penalty
    if isinstance(step, Schedule) or isinstance(l2, Schedule) or isinstance(penalty, Schedule):
        return _scheduled(algorithm, step, eigenvalues, np.asarray(times, dtype=np.int64), checkpoint)
    rate = (1.0 + penalty) * eigenvalues + l2
    exponent, sign = _log_power(step * rate, times)
    return _saturate(exponent, rate, eigenvalues, l2, step * times, penalty=penalty, sign=sign)


def _log_power(drop: Array, times: Array) -> tuple[Array, Array | float]:
    """Return t log(1 - drop), accurate for small drops at any t, and the sign of a real (1 - drop)^t."""
    sign: Array | float = 1.0
    with np.errstate(divide="ignore"):
        if np.iscomplexobj(drop):
            logarithm = np.where(drop == 1.0, -_SURE, log1p(-drop))
        else:
            base = 1.0 - drop
            small = np.abs(drop) < 0.5
            logarithm = np.where(small, np.log1p(-np.where(small, drop, 0.0)), np.log(np.abs(base)))
            logarithm = np.clip(logarithm, -_SURE, _SURE)
            odd = np.asarray(times, dtype=np.int64)[:, None] % 2 == 1
            sign = np.where(odd & (base < 0), -1.0, 1.0)
    return np.multiply.outer(times, logarithm), sign


def _saturate(
    exponent: Array, rate: Array, eigenvalues: Array, l2: float, slope: Array, penalty: float = 0.0, sign: Any = 1.0
) -> tuple[Array, Array]:
    """Return f = (1 - decay)/rate and h = decay + (a L + l2) f for decay = sign * exp(exponent)."""
    with np.errstate(over="ignore", invalid="ignore"):  # an unstable step overflows: the caller reports divergence
        decay = sign * np.exp(exponent)
        lost = np.where(sign == 1.0, -np.expm1(exponent), 1.0 - decay)
        still = rate == 0
        f = np.where(still, np.asarray(slope)[:, None], lost / np.where(still, 1.0, rate))
        return f, decay + (penalty * eigenvalues + l2) * f


def _scheduled(
    algorithm: GradientDescent,
    step: float | Schedule,
    eigenvalues: Array,
    times: Array,
    checkpoint: Callable[[], None],
) -> tuple[Array, Array]:
    """Step the recursions for f and h, keeping the requested times."""
    if times[-1] > MAX_SCHEDULED_STEPS:
        raise ParameterError(
            f"times must be at most {MAX_SCHEDULED_STEPS} with a schedule, which is stepped one by one; got {times[-1]}"
        )
    f, h = np.zeros_like(eigenvalues), np.ones_like(eigenvalues)
    kept_f = np.empty((times.size, eigenvalues.size), dtype=eigenvalues.dtype)
    kept_h = np.empty_like(kept_f)
    index = int(times[0] == 0)
    kept_f[:index], kept_h[:index] = f, h
    for steps in chunks(0, int(times[-1])):
        checkpoint()
        index = _advance(
            f, h, eigenvalues, values_at(step, steps), values_at(algorithm.output_penalty, steps),
            values_at(algorithm.l2, steps), steps[0], times, index, kept_f, kept_h,
        )  # fmt: skip
    return kept_f, kept_h


@kernel
def _advance(
    f: Array, h: Array, eigenvalues: Array, step: Array, penalty: Array, l2: Array,
    begin: int, times: Array, index: int, kept_f: Array, kept_h: Array,
) -> int:  # fmt: skip
    """Advance f and h in place, step ``begin`` being the first, and keep them at ``times`` from ``index`` on.

    Return the index of the next time. h has a recursion of its own because 1 - L f loses late digits.
    """
    for i in range(step.size):
        for k in range(eigenvalues.size):
            kept = penalty[i] * eigenvalues[k] + l2[i]
            drop = step[i] * (eigenvalues[k] + kept)
            f[k] = (1.0 - drop) * f[k] + step[i]
            h[k] = (1.0 - drop) * h[k] + step[i] * kept
        if index < times.size and times[index] == begin + i + 1:
            kept_f[index], kept_h[index] = f, h
            index += 1
    return index
