"""Ridge regression in the limit n, d -> infinity: closed form for any spectrum, and its optimum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from analytic.double_descent._allowance import neglected
from analytic.double_descent._exact import evaluate, limit_and_correction, spectrum_of
from analytic.double_descent._spectrum import Spectrum
from dynamics.double_descent import VARIABLES, Problem, check_problem
from dynamics.errors import ParameterError
from dynamics.results import answer
from dynamics.times import check_increasing

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["OptimalRidge", "check_penalties", "limit_error", "optimal_ridge", "ridge"]

Array = NDArray[Any]

#: Per decade of zeta. The error's minima are at least about a decade wide: each block is one factor s2/(s2 + zeta).
_POINTS = 20


class OptimalRidge(NamedTuple):
    """The best penalty and the generalization error there.

    A penalty of 0.0 means that none is better than no penalty, inf (for a teacher of power 0) that there is nothing to
    learn.
    """

    penalty: float
    generalization_error: float


def check_penalties(name: str, penalties: ArrayLike, *, none: bool = True) -> Array:
    """Return the penalties as increasing floats whose squares are floats too; 0 only where ``none`` is allowed."""
    values = check_increasing(name, penalties)
    wrong = (values > 1e50) | ((values < 1e-100) & ~(none & (values == 0)))
    if wrong.any():
        raise ParameterError(
            f"{name} must be {'0 or ' if none else ''}in [1e-100, 1e50]; got {values[np.argmax(wrong)]:g}"
        )
    return values


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
        Increasing; 0 or in [1e-100, 1e50].

    Returns
    -------
    Dataset
        ``alignment``, ``norm``, ``generalization_error``, ``training_error`` on dimension ``penalty``, and for each
        what it may be off from the mean over data at this dimension, ``<name>_error``.

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
    values = check_penalties("penalties", penalties)
    spectrum, noise = spectrum_of(problem), problem.noise**2
    if values[0] == 0.0 and spectrum.surplus == 0.0 and noise > 0:
        raise ParameterError(
            "penalties must be above 0 for samples = dimension and noise > 0, where the error diverges at 0; got 0"
        )
    s2, _, power = spectrum.blocks
    zeta = np.array([spectrum.zeta_of_penalty(float(value)) for value in values])
    alignment = spectrum.mean(power * (s2 / (s2 + zeta[:, None])))
    twice = _twice_error(spectrum, noise, zeta)
    # zeta is 0 only without penalty at n >= d, where lambda/zeta = alpha - 1
    shrink = np.where(zeta > 0, values / np.where(zeta > 0, zeta, 1.0), spectrum.surplus) / spectrum.alpha
    curves = {
        "alignment": alignment,
        "norm": twice - spectrum.blocks.mean_power + 2.0 * alignment,
        "generalization_error": twice / 2.0,
        "training_error": shrink**2 * (twice + noise) / 2.0,
    }
    curves |= _allowed_errors(problem, spectrum, values)
    return answer(
        problem, None, {name: (("penalty",), curve) for name, curve in curves.items()}, {"penalty": values},
        kind="theory", method="exact", names=VARIABLES,
    )  # fmt: skip


def limit_error(spectrum: Spectrum, noise: float, penalty: float) -> float:
    """Return E_G at one penalty and label noise of variance ``noise``; infinite where n = d, noise and no penalty."""
    if penalty == 0.0 and spectrum.surplus == 0.0 and noise > 0.0:
        return math.inf
    return float(_twice_error(spectrum, noise, np.array(spectrum.zeta_of_penalty(penalty)))) / 2.0


def _twice_error(spectrum: Spectrum, noise: float, zeta: Array) -> Array:
    """Return 2 E_G at label noise of variance ``noise``; the penalty is -z(zeta)."""
    s2, _, power = spectrum.blocks
    total = s2 + zeta[..., None]
    rest = spectrum.denominator(zeta, zeta)  # alpha (1 - D)
    bias = spectrum.alpha * spectrum.mean(power * (zeta[..., None] / total) ** 2)
    variance = noise * spectrum.mean((s2 / total) ** 2)
    learned = rest == 0  # n = d, no penalty, no noise: nothing is left
    error: Array = np.where(learned, 0.0, (bias + variance) / np.where(learned, 1.0, rest))
    return error


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
    sized = penalties > 0 if spectrum.surplus == 0.0 else np.ones(penalties.shape, dtype=bool)
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

    The error can have two local minima in the penalty. It is explicit in zeta, so the best point of a dense grid in
    log zeta is refined there, and compared with no penalty at all. The error is good to rounding, the penalty to half
    as many digits, or fewer where the error hardly depends on it.

    Parameters
    ----------
    problem : TwoScale, TeacherStudent or PowerLawTeacherStudent
        Normalisations as in :mod:`dynamics.double_descent`.

    Returns
    -------
    OptimalRidge
        ``penalty`` and ``generalization_error`` (with its 1/2, noiseless labels).

    Raises
    ------
    ParameterError
        For a problem of another phenomenon, or n/d below 1e-6.

    Examples
    --------
    >>> from dynamics.double_descent import TwoScale
    >>> isotropic = TwoScale(samples=150, dimension=100, condition_number=1, noise=0.5)
    >>> round(optimal_ridge(isotropic).penalty, 6)  # sigma^2
    0.25
    """
    check_problem(problem)
    spectrum, noise = spectrum_of(problem), problem.noise**2
    if spectrum.blocks.mean_power == 0.0:
        return OptimalRidge(math.inf, 0.0)
    null = spectrum.null_zeta() if spectrum.surplus < 0.0 else 0.0

    def error(log_beyond: float) -> float:
        return float(_twice_error(spectrum, noise, np.array(null + math.exp(log_beyond)))) / 2.0

    low, high = _log_range(spectrum, noise)
    grid = np.linspace(low, high, math.ceil(_POINTS * (high - low) / math.log(10.0)))
    best = int(np.argmin([error(point) for point in grid]))
    around = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    refined = minimize_scalar(error, bounds=around, method="bounded", options={"xatol": 1e-10})
    if spectrum.surplus != 0.0 or noise == 0.0:
        none = float(_twice_error(spectrum, noise, np.array(null))) / 2.0
        if none <= refined.fun:
            return OptimalRidge(0.0, none)
    return OptimalRidge(-float(spectrum.z(null + math.exp(refined.x))), float(refined.fun))


def _log_range(spectrum: Spectrum, noise: float) -> tuple[float, float]:
    """Return between which log zeta (beyond that of no penalty) all minima lie.

    Expanding 2 E_G in small zeta at n >= d puts the first one at zeta above noise min(s2)/max(c)/max(alpha, 1), and in
    large zeta the last one at [<c s2^2> + (noise + <c>) <s2^2>/alpha]/<c s2>, or within the blocks' variances.
    """
    s2, _, power = spectrum.blocks
    # at zeta = 1e-200 an error can no longer be told from none
    share = min(1e-6, max(1e-2 * noise / power.max(), 1e-200)) if noise > 0 else 1e-6
    low = share * s2[-1] / max(spectrum.alpha, 1.0)
    squares = (
        spectrum.mean(power * s2**2) + (noise + spectrum.blocks.mean_power) * spectrum.mean(s2**2) / spectrum.alpha
    )
    return math.log(low), math.log(1e2 * (s2[0] + squares / spectrum.mean(power * s2)))
