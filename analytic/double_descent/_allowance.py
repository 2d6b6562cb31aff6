"""What the limit and its first correction neglect: an estimate of the terms beyond 1/d, for every curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytic.double_descent._spectrum import Spectrum
from dynamics.double_descent import Problem

__all__ = ["neglected"]

Array = NDArray[Any]

_GRID = 300
#: Stands for an infinite penalty, at which nothing is learned: ratios to any variance are 0 or 1.
_UNTRAINED = 1e200


def neglected(
    problem: Problem, spectrum: Spectrum, curves: dict[str, Array], corrections: dict[str, Array], penalties: Array
) -> dict[str, Array]:
    """Estimate the terms beyond C/d of each curve, where training has gone as far as ridge at ``penalties``.

    Three parts, each checked against averages over thousands of samples:

    * 2 g^2 of what ridge has still to learn. Here g = D/(d (1 - D)), D = df2(zeta, zeta)/alpha, is the parameter of
      the expansion: without penalty at n > d it is 1/(n - d), and E_G is exactly the limit times 1 + g + g^2 + ...; at
      n = d it grows without end as the penalty goes to 0. It is ridge's and not the flow's because it falls like a
      power of time, as finite samples do, whose smallest eigenvalues lie below the edge of the limit;
    * twice the square of the largest correction so far in the course of training;
    * half of 1/(d min(n, d)) of what has changed: for n << d the expansion is in 1/n.
    """
    alpha, noise, power = spectrum.alpha, problem.noise**2, problem.blocks.mean_power
    s2, _, c = spectrum.blocks
    zeta = _zeta_along(spectrum, penalties)
    with np.errstate(divide="ignore", invalid="ignore"):  # zeta is 0 without penalty at n > d
        g = spectrum.mean((s2 / (s2 + zeta[:, None])) ** 2) / (spectrum.denominator(zeta, zeta) * problem.dimension)
        left = spectrum.mean(c / (1.0 + s2 / zeta[:, None]))
        misfit = np.where(zeta > 0, np.minimum(penalties / (alpha * zeta), 1.0), spectrum.surplus / alpha)
    error = np.abs(curves["generalization_error"])
    size = {
        "alignment": left,
        "norm": 2.0 * (error + left),
        "generalization_error": error + left,
        "training_error": np.abs(curves["training_error"]) + misfit * (2.0 * error + noise) / 2.0,
    }
    start = {"generalization_error": power / 2.0, "training_error": (power + noise) / 2.0}
    course = np.argsort(-penalties, kind="stable")
    rest = {}
    for name, known in corrections.items():
        whole = max(start.get(name, 0.0), power)
        so_far = np.empty_like(known)
        so_far[course] = np.maximum.accumulate(np.abs(known)[course])
        squares = 2.0 * so_far**2 / whole if whole > 0 else 0.0
        changed = np.abs(curves[name] - start.get(name, 0.0))
        few = problem.dimension * min(problem.samples, problem.dimension)
        rest[name] = 2.0 * g**2 * size[name] + squares + 0.5 * changed / few
    return rest


def _zeta_along(spectrum: Spectrum, penalties: Array) -> Array:
    """Return zeta over the penalties, by interpolation along the explicit map zeta -> penalty.

    Since dlambda/dzeta <= alpha, lambda/alpha is below the part of zeta that lies beyond the null space's.
    """
    found = np.full(penalties.shape, _UNTRAINED)
    finite = np.isfinite(penalties)
    null = spectrum.null_zeta() if spectrum.surplus < 0 else 0.0
    found[penalties == 0.0] = null
    inside = finite & (penalties > 0)
    if not inside.any():
        return found
    low = penalties[inside].min() / spectrum.alpha
    high = (penalties[inside].max() + spectrum.mean(spectrum.blocks.variance)) / spectrum.alpha
    zeta = null + np.geomspace(low, high, _GRID)
    # close to the null space's zeta the map is lost in rounding
    map_ = np.maximum(np.maximum.accumulate(-spectrum.z(zeta)), 1e-300)
    found[inside] = np.exp(np.interp(np.log(penalties[inside]), np.log(map_), np.log(zeta)))
    return found
