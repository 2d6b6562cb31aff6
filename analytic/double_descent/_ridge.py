"""Ridge regression in the limit n, d -> infinity: closed form for any spectrum, and its optimum."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from analytic.double_descent._exact import spectrum_of
from dynamics.double_descent import PROBLEMS, VARIABLES, Problem
from dynamics.errors import ParameterError
from dynamics.results import answer
from dynamics.times import check_increasing

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["OptimalRidge", "optimal_ridge", "ridge"]


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
    >>> ridge(TwoScale(samples=300, dimension=100, noise=0.2), [0.0]).generalization_error.item()  # sigma^2/(2(alpha - 1))
    0.01
    """
    if not isinstance(problem, PROBLEMS):
        have = ", ".join(cls.__name__ for cls in PROBLEMS)
        raise ParameterError(f"problem must be one of {have} for double descent; got {type(problem).__name__}")
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
    return answer(
        problem, None, {name: (("penalty",), curve) for name, curve in curves.items()}, {"penalty": values},
        kind="theory", method="ridge", names=VARIABLES,
    )  # fmt: skip


def optimal_ridge(problem: Problem) -> OptimalRidge:
    """Return the penalty with the smallest generalization error in the limit, and that error.

    The error can have two local minima in the penalty: the best point of a dense logarithmic grid is refined, and
    compared with no penalty at all.

    Examples
    --------
    >>> from dynamics.double_descent import TwoScale
    >>> optimal_ridge(TwoScale(samples=150, dimension=100, condition_number=1, noise=0.5)).penalty.__round__(6)  # sigma^2
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
