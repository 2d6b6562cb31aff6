r"""The two scalar functions behind every closed form: W1, and the margin of a feature that is on its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, wrightomega

from dynamics.errors import ParameterError, shown
from dynamics.parameters import check_between
from dynamics.times import check_increasing

__all__ = ["scalar_root", "uncoupled_flow"]

Array = NDArray[np.float64]

#: Newton's method doubles the number of right digits; from the starts below five steps are enough.
_STEPS = 8


def scalar_root(c: ArrayLike) -> Array:
    r"""Return W1(c), the positive root u of u (1 + exp(u)) = c.

    A feature on its own, or any number of features of equal strength s, gives every sample the margin W1(s^2/l2) at
    rest; spectral decoupling gives W1(1/decoupling). Lambert's W(c), the root of u exp(u) = c, is what is left of W1
    for large c, W1(c) = W(c) - W(c)^2/(c (1 + W(c))) + ...; for small c, W1(c) = c/2 - c^2/8 + ...

    Parameters
    ----------
    c : array
        Positive, of any shape.

    Returns
    -------
    array
        W1(c), of the same shape, to a few units in the last place.

    Raises
    ------
    ParameterError
        When a value is not a positive finite number.

    Examples
    --------
    >>> scalar_root([1.0, 500.0]).round(6)
    array([0.401058, 4.66512 ])
    """
    values = _positive("c", c)
    small = values < 2.0
    u = np.where(small, 0.5 * values, np.log1p(values))
    scale = np.where(small, values, 1.0)
    for _ in range(_STEPS):
        # log u + log(1 + e^u) = log c neither overflows nor loses digits, but where log c is large and negative
        off = np.where(small, u * (1.0 + np.exp(np.where(small, u, 0.0))) - scale, 0.0)
        slope = np.where(small, 1.0 + (1.0 + u) * np.exp(np.where(small, u, 0.0)), 1.0)
        far = np.log(u) + np.logaddexp(0.0, u) - np.log(values)
        u = u - np.where(small, off / slope, far / (1.0 / u + expit(u)))
    return np.asarray(u, dtype=np.float64)


def uncoupled_flow(strength: float, times: ArrayLike, *, initial: float = 0.0) -> Array:
    r"""Return the margin u over time of a feature on its own, without any penalty: du/dt = s^2 sigma(-u).

    u + exp(u) grows like s^2 t, so that u = log omega(u_0 + exp(u_0) + s^2 t) with Wright's omega. Features of equal
    strength, whatever their coupling, give this margin to every sample.

    Parameters
    ----------
    strength : float
        s, from 1e-50 to 1e50.
    times : array
        Flow times, increasing, not negative, up to 1e200.
    initial : float
        The margin u_0 at time 0, from -700 to 700.

    Returns
    -------
    array
        u at each time.

    Raises
    ------
    ParameterError
        For input that is not allowed.

    Examples
    --------
    >>> uncoupled_flow(2.0, [0.0, 1.0, 100.0]).round(6)
    array([0.      , 1.306559, 5.978939])
    """
    s = check_between("strength", "strength of the feature", strength, 1e-50, 1e50)
    start = check_between("initial", "margin at time 0", initial, -700.0, 700.0)
    when = check_increasing("times", times)
    if when[-1] > 1e200:
        raise ParameterError(f"times must be at most 1e200; got {when[-1]:g}")
    grown = start + np.expm1(start) + s * s * when
    u = np.log(np.real(wrightomega(1.0 + grown)))
    for _ in range(2):  # for small margins, whose digits are not in the sum
        u = u - (u + np.expm1(u) - grown) / (1.0 + np.exp(u))
    return np.asarray(u, dtype=np.float64)


def _positive(name: str, values: ArrayLike) -> Array:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} must be numbers; got {shown(values)}") from None
    bad = ~((array > 0.0) & np.isfinite(array))
    if bad.any():
        raise ParameterError(f"{name} must be positive and finite; got {array[bad][0]:g}")
    return array
