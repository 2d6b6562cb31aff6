r"""What fixed points tend to as the penalties become large or vanish."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytic.gradient_starvation._fixed_point import check_coupled, penalties
from analytic.gradient_starvation._hard_margin import separation
from analytic.gradient_starvation._scalar import scalar_root
from dynamics.gradient_starvation import Coupled

__all__ = ["LargePenalty", "large_penalty", "small_penalty"]

Array = NDArray[np.float64]


class LargePenalty(NamedTuple):
    """Responses z_j (r,), without any interaction, and dz_i/ds_j^2 (r, r)."""

    response: Array
    sensitivity: Array


def large_penalty(problem: Coupled) -> LargePenalty:
    r"""Return the leading responses and sensitivities where the penalties p_j = l2/s_j^2 + decoupling are large.

        z_j = (U^T 1)_j/(2 p_j),    dz_i/ds_j^2 = l2 z_j/(s_j^4 p_j)  for i = j, and otherwise
        dz_i/ds_j^2 = (l2 z_j/s_j^4) (sum_k U_ki U_kj u_k^2)/(16 p_i p_j),    u = U z.

    Features interact by the curvature of the loss, 1/4 - u^2/16 + ..., only where it is not the same for all samples:
    without decoupling starvation falls like 1/l2^4, but does not end. The relative error is of the order of 1/p.

    Parameters
    ----------
    problem : TwoSamples or CoupledFeatures
        At least one of l2 and decoupling above 0.

    Returns
    -------
    LargePenalty
        ``response`` and ``sensitivity``.

    Raises
    ------
    ParameterError
        As :func:`fixed_point`.

    Examples
    --------
    >>> from analytic.gradient_starvation import fixed_point
    >>> from dynamics.gradient_starvation import TwoSamples
    >>> problem = TwoSamples(l2=1e5)
    >>> (fixed_point(problem).response.values / large_penalty(problem).response).round(3)
    array([1., 1.])
    """
    check_coupled(problem)
    p, u, square = penalties(problem), problem.presence, problem.strength**2
    z = 0.5 * u.sum(axis=0) / p
    coupled = u.T @ ((u @ z)[:, None] ** 2 * u) / (16.0 * p[:, None] * p)
    np.fill_diagonal(coupled, 1.0 / p)
    return LargePenalty(z, (problem.l2 / square) * (z / square) * coupled)


def small_penalty(problem: Coupled) -> Array:
    r"""Return the responses where the penalties p_j = l2/s_j^2 + decoupling are small.

    With the solution a of the hard-margin problem, p_j z_j = (U^T a)_j and margins 1 on its support A, the margins of
    the support are u_i = W1(1/a) - log(a_i/a), a being the mean of a_i on A, and all responses follow from them: the
    smallest sum_j p_j z_j^2 with these margins. Their error is of the order of 1/log(1/p); for margins that are all
    equal, as without coupling or by spectral decoupling where n = r, there is none.

    Parameters
    ----------
    problem : TwoSamples or CoupledFeatures
        At least one of l2 and decoupling above 0.

    Returns
    -------
    array
        z, of shape (r,).

    Raises
    ------
    ParameterError, ArithmeticError
        As :func:`fixed_point` and :func:`hard_margin`.

    Examples
    --------
    >>> from analytic.gradient_starvation import fixed_point
    >>> from dynamics.gradient_starvation import TwoSamples
    >>> problem = TwoSamples(l2=1e-12)
    >>> (fixed_point(problem).response.values - small_penalty(problem)).round(2)
    array([-0.11,  0.12])
    """
    check_coupled(problem)
    p = penalties(problem)
    a = separation(problem.presence, p).weight
    support = a > 0.0
    mean = a[support].mean()
    margin = scalar_root(1.0 / mean) - np.log(a[support] / mean)
    unit = np.sqrt(p / p.max())
    return np.asarray(np.linalg.lstsq(problem.presence[support] / unit, margin, rcond=None)[0] / unit)
