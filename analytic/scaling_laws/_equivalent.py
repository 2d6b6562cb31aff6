r"""The deterministic equivalent of the random features: the spectrum of K for d, v -> infinity, with no random matrix.

With s = z/m(z) as the parameter all is explicit: with lambda_j = j^(-2 alpha) and phi_j = lambda_j/(lambda_j - s),

    S(s) = (1/d) sum_j phi_j,   z(s) = s (1 - S),   dz/ds = 1 - (1/d) sum_j phi_j^2,

and on the physical sheet (Im s > 0, (1/d) sum_j |phi_j|^2 < 1) the eigenvalue density nu (mass d) and the density mu of
the squared target (mass P(0) - P_inf) are Im f/pi of

    f_nu = d S/z,    f_mu = [s sum_j b_j^2/(lambda_j - s) + S sum_j b_j^2]/(1 - S),    b_j = j^(-beta),

where sum_j b_j^2 may be added to f_mu, which makes it sum_j b_j^2 lambda_j/(lambda_j - s)/(1 - S). The floor is
P_inf = sum_j b_j^2 lambda_j/(1 + kp lambda_j), where s_0 = -1/kp is the point with S = 1. As a model of random matrices
it is off by O(1/d) in the mean over W.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from dynamics.counting import counting_rule
from dynamics.errors import ParameterError
from dynamics.scaling_laws import SECTOR, PowerLawRandomFeatures

__all__ = ["Edges", "Inputs", "check_features", "edges", "image", "inputs_of", "limit_risk", "plane"]

Array = NDArray[np.float64]


class Inputs(NamedTuple):
    """Variances lambda of the inputs, how many have each, their summed b^2, the dimension d, and the surplus v - d."""

    variance: Array
    weight: Array
    target: Array
    dimension: int
    surplus: int


class Edges(NamedTuple):
    """Smallest and largest eigenvalue of K in the deterministic equivalent, excluding the v - d zeros of K's dual."""

    lowest: float
    highest: float


class Plane(NamedTuple):
    """Where the spectrum lies in the s plane: kp = -1/s_0, and the images s_e < 0 and s_top - 1 > 0 of its edges."""

    kp: float
    lower: float
    above: float


def inputs_of(problem: PowerLawRandomFeatures, direct: int = 32) -> Inputs:
    """Return the inputs; those beyond ``direct`` as a few hundred nodes that sum like them.

    Sums are exact for s off the positive axis, and also on it between the first ``direct`` variances.
    """
    nodes, weights = counting_rule(problem.ambient, SECTOR / (2.0 * problem.alpha), direct=direct)
    variance, target = nodes ** (-2.0 * problem.alpha), weights * nodes ** (-2.0 * problem.beta)
    return Inputs(variance, weights, target, problem.dimension, problem.ambient - problem.dimension)


def _missing(inputs: Inputs, share: Array, rest: Array) -> float:
    """Return sum count share - d where share + rest = 1, from the smaller of the two sums."""
    if inputs.surplus < inputs.dimension:
        return inputs.surplus - float(inputs.weight @ rest)
    return float(inputs.weight @ share) - inputs.dimension


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the root of a monotone function of a positive number, to rounding."""
    found = brentq(lambda x: function(math.exp(x)), math.log(low), math.log(high), xtol=1e-300, rtol=1e-15)
    return math.exp(float(found))


@functools.lru_cache(maxsize=64)
def plane(problem: PowerLawRandomFeatures) -> Plane:
    """Find kp and the edges, each the root of a monotone function."""
    inputs = inputs_of(problem)
    variance, weight, d = inputs.variance, inputs.weight, inputs.dimension

    def of_kp(kp: float) -> float:
        return _missing(inputs, kp * variance / (1.0 + kp * variance), 1.0 / (1.0 + kp * variance))

    last = float(problem.ambient)
    kp = _root(of_kp, (1.0 - 1e-9) * d / float(weight @ variance), 2.0 * last ** (2.0 * problem.alpha + 1.0))

    def of_lower(size: float) -> float:
        phi = variance / (variance + size)
        return _missing(inputs, phi**2, size / (variance + size) * (1.0 + phi))

    low = 1.0 / kp
    while of_lower(low) <= 0.0:  # all phi tend to 1, and v > d
        low /= 16.0
    lower = _root(of_lower, low, (1.0 + 1e-12) / kp)

    def of_above(above: float) -> float:
        return float(weight @ (variance / (variance - 1.0 - above)) ** 2) - d

    most = math.sqrt(float(weight @ variance**2) / d)
    above = _root(of_above, (1.0 - 1e-12) * d**-0.5, (1.0 + 1e-12) * most)
    return Plane(kp, -lower, above)


def image(inputs: Inputs, s: float) -> float:
    """Return z(s) at a real point outside the spectrum."""
    phi = inputs.variance / (inputs.variance - s)
    return s * -_missing(inputs, phi, -s / (inputs.variance - s)) / inputs.dimension


def limit_risk(problem: PowerLawRandomFeatures) -> float:
    """Return P_inf, the risk of the best weights, in the deterministic equivalent.

    Parameters
    ----------
    problem : PowerLawRandomFeatures
        P is without 1/2 and without the label noise's variance.

    Returns
    -------
    float
        sum_j j^(-2 alpha - 2 beta)/(1 + kp j^(-2 alpha)), where sum_j 1/(1 + j^(2 alpha)/kp) = d over j = 1 ... v.

    Raises
    ------
    ParameterError
        When the problem is no PowerLawRandomFeatures.

    Examples
    --------
    >>> round(limit_risk(PowerLawRandomFeatures(alpha=0.7, beta=0.8, dimension=1000)), 12)
    0.000304623561
    """
    check_features(problem)
    inputs = inputs_of(problem)
    return float((inputs.target * inputs.variance / (1.0 + plane(problem).kp * inputs.variance)).sum())


def edges(problem: PowerLawRandomFeatures) -> Edges:
    """Return the smallest and the largest eigenvalue of K in the deterministic equivalent.

    Parameters
    ----------
    problem : PowerLawRandomFeatures
        The eigenvalues of its features' covariance.

    Returns
    -------
    Edges
        ``lowest`` and ``highest``.

    Raises
    ------
    ParameterError
        When the problem is no PowerLawRandomFeatures.

    Examples
    --------
    >>> edges(PowerLawRandomFeatures(alpha=0.7, beta=0.8, dimension=1000)).highest
    1.06659828...
    """
    check_features(problem)
    inputs, found = inputs_of(problem), plane(problem)
    return Edges(image(inputs, found.lower), image(inputs, 1.0 + found.above))


def check_features(problem: PowerLawRandomFeatures) -> None:
    """Refuse what is no PowerLawRandomFeatures."""
    if not isinstance(problem, PowerLawRandomFeatures):
        raise ParameterError(f"problem must be PowerLawRandomFeatures; got {type(problem).__name__}")
