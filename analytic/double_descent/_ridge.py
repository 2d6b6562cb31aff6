"""Ridge regression in the limit n, d -> infinity: closed form for any spectrum, and its optimum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from analytic.double_descent._exact import evaluate, limit_and_correction, neglected, spectrum_of
from analytic.double_descent._spectrum import Spectrum
from dynamics.double_descent import VARIABLES, Problem, check_problem
from dynamics.errors import ParameterError
from dynamics.results import answer
from dynamics.times import check_increasing

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["OptimalRidge", "optimal_ridge", "ridge"]

Array = NDArray[Any]


class OptimalRidge(NamedTuple):
    """The best penalty (0.0: no penalty is better than any) and the generalization error there."""

    penalty: float
    generalization_error: float


def ridge(problem: Problem, penalties: ArrayLike) -> xr.Dataset:
    r"""Return R, Q, E_G and E_T of ridge regression, min 1/2 \|Xw - y\|^2 + (lambda/2) \|w\|^2, over the penalty.

    With zeta > 0 the root of lambda = zeta (alpha - df1(zeta)), r = 1/(s^2 + zeta) and D = <s^4 r^2>/alpha,

        R = <c s^2 r>
        2 E_G = [<c zeta^2 r^2> + sigma^2 D]/(1 - D)
        Q = 2 E_G - <c> + 2R
        2 E_T = (lambda/(alpha zeta))^2 (2 E_G + sigma^2)

    A penalty of 0 is the limit lambda -> 0: least squares, of minimal norm where n < d.

    Parameters
    ----------
    problem : TwoScale, TeacherStudent or PowerLawTeacherStudent
        Normalisations as in :mod:`dynamics.double_descent`.
    penalties : array
        Increasing, not negative.

    Returns
    -------
    Dataset
        ``alignment``, ``norm``, ``generalization_error``, ``training_error`` on dimension ``penalty``.

    Raises
    ------
    ParameterError
        For input that is not allowed; at n = d with label noise the error diverges as the penalty goes to 0.

    Examples
    --------
    >>> from dynamics.double_descent import TwoScale
    >>> least_squares = ridge(TwoScale(samples=300, dimension=100, noise=0.2), [0.0])
    >>> round(least_squares.generalization_error.item(), 12)  # sigma^2/(2(alpha - 1))
    0.01
    """
    check_problem(problem)
    values = check_increasing("penalties", penalties)
    spectrum, noise = spectrum_of(problem), problem.noise**2
    if values[0] == 0.0 and spectrum.alpha == 1.0 and noise > 0:
        raise ParameterError(
            "penalties must be above 0 for samples = dimension and noise > 0, where the error diverges at 0"
        )
    s2, _, power = spectrum.blocks
    zeta = np.array([spectrum.zeta_of_penalty(value) for value in values])
    r = 1.0 / (s2 + zeta[:, None])
    alignment = spectrum.mean(power * s2 * r)
    rest = spectrum.denominator(zeta, zeta)  # alpha (1 - D)
    bias = spectrum.alpha * zeta**2 * spectrum.mean(power * r**2)
    variance = noise * spectrum.mean((s2 * r) ** 2)
    interpolates = rest == 0  # n = d, no penalty, no noise: the bias is 0
    twice = np.where(interpolates, 0.0, (bias + variance) / np.where(interpolates, 1.0, rest))
    shrink = ((spectrum.alpha - 1.0) + zeta * spectrum.mean(r)) / spectrum.alpha  # lambda/(alpha zeta) = 1 - df1/alpha
    curves = {
        "alignment": alignment,
        "norm": twice - spectrum.blocks.mean_power + 2.0 * alignment,
        "generalization_error": twice / 2.0,
        "training_error": np.where(values == 0, np.maximum(shrink, 0.0), shrink) ** 2 * (twice + noise) / 2.0,
    }
    curves |= _allowed_errors(problem, spectrum, values)
    return answer(
        problem, None, {name: (("penalty",), curve) for name, curve in curves.items()}, {"penalty": values},
        kind="theory", method="exact", names=VARIABLES,
    )  # fmt: skip


def _allowed_errors(problem: Problem, spectrum: Spectrum, penalties: Array) -> dict[str, Array]:
    """Return what each curve may be off from the mean over data at this dimension: the known C/d and the next order.

    The closed form has no correction of its own, so it comes from the contour integral with f = 1/(z + lambda).
    """

    def filters(eigenvalues: Array, at: Array) -> tuple[Array, Array]:
        total = eigenvalues + at[:, None]
        still = total == 0  # the null space without penalty: w stays 0 there
        whole = np.where(still, 1.0, total)
        return np.where(still, 0.0, 1.0 / whole), np.where(still, 1.0, at[:, None] / whole)

    # n = d without penalty and noise is learned without error at any size
    sized = penalties > 0 if spectrum.alpha == 1.0 else np.ones(penalties.shape, dtype=bool)
    if not sized.any():
        return {}
    at = penalties[sized]
    slowest = 4.0 / at[0] if at[0] > 0 else math.inf
    ready = evaluate(spectrum, filters, at, slowest, accuracy=1e-9, correction=True)
    limit, corrections = limit_and_correction(problem, ready, at)
    remaining = neglected(problem, spectrum, limit, corrections, at)
    errors = {}
    for name, known in corrections.items():
        errors[f"{name}_error"] = np.full(penalties.shape, 1e-12)
        errors[f"{name}_error"][sized] += np.abs(known) + remaining[name]
    return errors


def optimal_ridge(problem: Problem) -> OptimalRidge:
    """Return the penalty with the smallest generalization error in the limit, and that error.

    The error can have two local minima in the penalty: the best point of a dense logarithmic grid is refined, and
    compared with no penalty at all.

    Examples
    --------
    >>> from dynamics.double_descent import TwoScale
    >>> isotropic = TwoScale(samples=150, dimension=100, condition_number=1, noise=0.5)
    >>> round(optimal_ridge(isotropic).penalty, 6)  # sigma^2
    0.25
    """
    spectrum = spectrum_of(problem)
    right, slowest = spectrum.edges()[1], float(spectrum.blocks.variance[-1])
    grid = np.geomspace(1e-6 * slowest * min(1.0, spectrum.alpha), 1e4 * right * (1.0 + problem.noise**2), 400)

    def error(log_penalty: float) -> float:
        return float(ridge(problem, [np.exp(log_penalty)])["generalization_error"][0])

    errors = ridge(problem, grid)["generalization_error"].values
    best = int(np.argmin(errors))
    found = OptimalRidge(float(grid[best]), float(errors[best]))
    if 0 < best < grid.size - 1:
        low, high = np.log(grid[[best - 1, best + 1]])
        refined = minimize_scalar(error, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
        found = OptimalRidge(float(np.exp(refined.x)), float(refined.fun))
    if spectrum.alpha != 1.0 or problem.noise == 0.0:
        none = float(ridge(problem, [0.0])["generalization_error"][0])
        if none <= found.generalization_error:
            return OptimalRidge(0.0, none)
    return found
