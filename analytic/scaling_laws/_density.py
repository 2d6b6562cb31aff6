r"""The densities of eigenvalues and of the squared target in the deterministic equivalent, point by point.

Above the real axis x = z(s) has one solution s = sigma + i y on the physical sheet (``_equivalent``), and its limit on
the axis lies on a graph y(sigma) >= 0: y = 0 where the spectrum has a gap, and elsewhere the only y with

    sum_j |phi_j|^2 = d,   phi_j = lambda_j/(lambda_j - s).

Along it x grows with sigma. So two nested roots of monotone functions find s for any x, with no path to follow and no
branch to choose, and all that is wanted is a sum of positive terms:

    x = sigma (1 - sum |phi_j|^2/d) + |s|^2 sum |phi_j|^2/(lambda_j d),
    nu'(x) = d y/(pi |s|^2),   mu'(x) = y sum_j b_j^2 |phi_j|^2/(pi x).

As d/ds [(v - d) log s - sum_j log(lambda_j - s) + sum_j phi_j] = -(d/s) dz/ds, the numbers of eigenvalues are closed:

    pi above(x) = sum_j arg(1 - lambda_j/s) + d arg s - Im sum_j phi_j = pi (d - below(x)).

Sums over all j take Gauss rules of the counting measure on panels that shrink towards the pole j = s^(-1/(2 alpha)),
down to single numbers if it is near the axis. So nothing is subtracted, and their cost grows like log v.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from analytic.scaling_laws._density_kernels import rules, trace
from analytic.scaling_laws._equivalent import edges, plane
from dynamics.errors import ParameterError
from dynamics.results import answer
from dynamics.scaling_laws import VARIABLES, PowerLawRandomFeatures
from dynamics.times import check_increasing

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["spectral_density"]


def spectral_density(problem: PowerLawRandomFeatures, curvatures: ArrayLike) -> xr.Dataset:
    r"""Return the densities of the eigenvalues of K and of the squared target at given curvatures.

    In the deterministic equivalent the top eigenvalues, about (2 alpha/pi) sqrt(d) of them, are bands of one eigenvalue
    each: semicircles around about j^(-2 alpha) of half the width 2 j^(-2 alpha)/sqrt(d). Below, a continuous bulk
    reaches down to x_min ~ d^(-2 alpha). Mean numbers of eigenvalues of random matrices in bins were found within 0.25
    of it; but within its band a single eigenvalue is distributed otherwise, with variance 2 j^(-4 alpha)/d.

    Parameters
    ----------
    problem : PowerLawRandomFeatures
        K is the covariance of its features.
    curvatures : array
        Points x, above 0 and increasing. The cost of each grows like log v.

    Returns
    -------
    Dataset
        On dimension ``curvature``:

        * ``eigenvalue_density`` nu'(x), with integral d;
        * ``target_density`` mu'(x), the same with the squared target along each eigenvector, l_j w_j^2, as its mass:
          the integral is P(0) - P_inf. Both are exactly 0 in gaps and outside the spectrum;
        * ``eigenvalues_below`` and ``eigenvalues_above``, the integrals of nu' on either side, in closed form: whole
          numbers in gaps. Their rounding is about 1e-15 times the larger of the two.

    Raises
    ------
    ParameterError
        When the problem is no PowerLawRandomFeatures, or the points are not above 0 and increasing.

    Examples
    --------
    >>> problem = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=10**9)
    >>> found = spectral_density(problem, [0.1, 0.25])
    >>> found.eigenvalue_density.values.round(), found.eigenvalues_above.values.round(6)
    (array([    0., 40263.]), array([3.      , 1.500004]))
    """
    lowest, highest = edges(problem)  # refuses what is no problem of random features
    x = check_increasing("curvatures", curvatures)
    if x[0] == 0:
        raise ParameterError("curvatures must be above 0; got 0 at index 0")
    d = float(problem.dimension)
    density, target, below, above = np.zeros((4, x.size))
    inside = (x > lowest) & (x < highest)
    below[x >= highest] = above[x <= lowest] = d
    where = plane(problem)
    found, solved = trace(
        x[inside], where.lower, 1.0 + where.above, problem.alpha, problem.beta, problem.ambient, d,
        float(problem.ambient - problem.dimension), *rules(),
    )  # fmt: skip
    if not solved:
        raise ParameterError(f"problem {problem!r}: the density was not found at some of the curvatures")
    density[inside], target[inside], below[inside], above[inside] = found
    values = {
        "eigenvalue_density": density, "target_density": target, "eigenvalues_below": below, "eigenvalues_above": above,
    }  # fmt: skip
    return answer(
        problem, None, {name: (("curvature",), one) for name, one in values.items()}, {"curvature": x},
        kind="theory", method="deterministic_equivalent", names=VARIABLES,
    )  # fmt: skip
