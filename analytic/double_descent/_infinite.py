"""Two phases of learning at an infinite condition number, and which minimum wins there.

For kappa -> infinity the fast features are learned first, with the slow ones as label noise, and these at times of
order kappa^2, from the n - p samples left. Each phase is one integral over a Marchenko-Pastur law (arXiv 2112.03215).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar

from dynamics.algorithms import GradientFlow
from dynamics.double_descent import VARIABLES, TwoScale
from dynamics.errors import ParameterError
from dynamics.parameters import check_between
from dynamics.results import Variable, answer
from dynamics.times import check_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["critical_noise", "infinite_condition_number", "winning_minimum"]

Array = NDArray[np.float64]

_FEWEST, _MOST = 2**5, 2**16
#: Nodes times times held at once, so that late times at n = d do not need gigabytes.
_AT_ONCE = 2**20
#: Of the integrals behind a minimum: its value is then good to about this, and the critical noise to 1e-8.
_MINIMUM_ACCURACY = 1e-13

_NAMES = {
    **VARIABLES,
    "first_phase": Variable("E_G^{(1)}", "generalization error while only fast features are learned"),
    "second_phase": Variable("E_G^{(2)}", "generalization error once fast features are learned"),
    "plateau": Variable("E_G^{*}", "generalization error between the two phases"),
}


class _Phase(NamedTuple):
    """One isotropic block of unit variance and teacher power: samples and directions per dimension, their difference.

    The difference is a field because it comes from whole numbers: the left edge of the spectrum needs all its digits.
    """

    samples: float
    width: float
    surplus: float

    @property
    def edges(self) -> tuple[float, float]:
        """Edges (sqrt(samples) -+ sqrt(width))^2 of the spectrum."""
        total = math.sqrt(self.samples) + math.sqrt(self.width)
        return (self.surplus / total) ** 2, total**2


def _phases(problem: TwoScale) -> tuple[_Phase, _Phase]:
    """Return both phases, or say why the problem has none."""
    if not isinstance(problem, TwoScale):
        raise ParameterError(f"problem must be a TwoScale for two phases of learning; got {type(problem).__name__}")
    n, d, p = problem.samples, problem.dimension, problem.fast
    if not 0 < p < d:
        raise ParameterError(
            f"fast (number of fast feature directions) must be above 0 and below dimension = {d} for two phases of "
            f"learning; got {p}"
        )
    if n <= p:
        raise ParameterError(
            f"samples (number of training samples) must be above fast = {p}; got {n}: the fast features then fit every "
            "sample, the error between the phases diverges or stays, and there is no second phase"
        )
    return _Phase(n / d, p / d, (n - p) / d), _Phase((n - p) / d, (d - p) / d, (n - d) / d)


def _iso(phase: _Phase, times: Array, noise: float, accuracy: float) -> Array:
    """Return 2 E_G of gradient flow on one block with label noise of variance ``noise``, null space included.

    With rho the eigenvalue density per dimension, zeros apart, it is

        width + INT rho(L) [(e^{-2 tau L} - 1) + noise (1 - e^{-tau L})^2 / L] dL,

    by Gauss-Chebyshev (second kind), L = L_- + 4 sqrt(samples width) sin(psi/2)^2 at psi = pi k/M. The width stands
    apart because rho ~ L^{-1/2} at n = d, where e^{-2 tau L} rho alone would converge like 1/M, and because nodes that
    miss a narrow e^{-2 tau L} then disagree instead of agreeing on zero. M is doubled, on nested nodes, for those times
    where two sums still differ by ``accuracy`` (relative where the value is above 1).
    """
    value = np.zeros(times.shape)
    pending = np.arange(times.size)
    count, sums = _FEWEST, _sum(phase, times, noise, np.arange(1, _FEWEST), _FEWEST)
    while True:
        odd = np.arange(1, 2 * count, 2)
        finer = sums / 2.0 + _sum(phase, times[pending], noise, odd, 2 * count)
        count *= 2
        # exactly, the integral is not below the null space it leaves; rounding is
        value[pending] = np.maximum(phase.width + finer, max(-phase.surplus, 0.0))
        differ = np.abs(finer - sums) / np.maximum(1.0, value[pending])
        open_ = ~(differ <= accuracy)
        if not open_.any():
            return value
        pending, sums = pending[open_], finer[open_]
        if count >= _MOST:
            raise ArithmeticError(
                f"{_MOST} nodes leave a difference of {differ[open_].max():.1e} above accuracy = {accuracy:g}, first "
                f"at time {times[pending[0]]:g} of a phase: n is too close to p or d for it; ask for earlier times"
            )


def _sum(phase: _Phase, times: Array, noise: float, k: NDArray[np.int64], count: int) -> Array:
    """Return the quadrature's sum over nodes ``k`` of a rule of ``count`` intervals, at each time."""
    psi = np.pi * k / count
    product = phase.samples * phase.width
    eigenvalue = phase.edges[0] + 4.0 * math.sqrt(product) * np.sin(psi / 2.0) ** 2
    weight = 2.0 * product * np.sin(psi) ** 2 / (count * eigenvalue)
    step = max(1, _AT_ONCE // k.size)
    sums = np.empty(times.size)
    for start in range(0, times.size, step):
        with np.errstate(over="ignore"):  # tau L beyond the largest float is a mode learned long ago
            learned = np.expm1(-times[start : start + step, None] * eigenvalue)
        sums[start : start + step] = (learned * (2.0 + learned)) @ weight + noise * (learned**2 @ (weight / eigenvalue))
    return sums


def infinite_condition_number(problem: TwoScale, times: ArrayLike, *, accuracy: float = 1e-12) -> xr.Dataset:
    r"""Return E_G of gradient flow for a large condition number, as two phases with a plateau between them.

    With alpha = n/d, phi = p/d, and Iso(tau; alpha, phi, v) twice the error of an isotropic block of phi d directions
    and unit variance on n samples with label noise of variance v,

        first_phase(tau):    2 E_G = 1 - phi + Iso(tau; alpha, phi, sigma^2 + 1 - phi)
        plateau:             2 E_G = 1 - phi + (sigma^2 + 1 - phi) p/(n - p)
        second_phase(tau):   2 E_G = sigma^2 p/(n - p) + n/(n - p) Iso(tau/kappa^2; alpha - phi, 1 - phi, sigma^2)

    and ``generalization_error`` = first_phase + second_phase - plateau, at the problem's own kappa. It is off by
    O(kappa^-2) from the limit n, d -> infinity, which ``solve`` has for any kappa.

    Parameters
    ----------
    problem : TwoScale
        With 0 < p < d and n > p; n < d is allowed. Normalisations as in :mod:`dynamics.double_descent`.
    times : array
        Flow times tau, increasing, not negative.
    accuracy : float
        Largest difference between two node counts of the integrals Iso, relative where they are above 1; in
        [1e-14, 1e-3]. The error of what is returned is that of the finer count, and smaller.

    Returns
    -------
    Dataset
        ``generalization_error``, ``first_phase``, ``second_phase`` on dimension ``time``, and ``plateau``; all are
        E_G, with its 1/2.

    Raises
    ------
    ParameterError
        For input that is not allowed.
    ArithmeticError
        When 2^16 nodes do not reach the accuracy; the message says what was reached. Only for n within a thousandth
        of p or d, at a phase's times above about 1e7.

    References
    ----------
    Pezeshki et al., arXiv 2112.03215; for the isotropic block Advani and Saxe, arXiv 1710.03667.

    Examples
    --------
    >>> problem = TwoScale(samples=150, dimension=100, fast=60, condition_number=1e4)
    >>> two_phases = infinite_condition_number(problem, [0, 1.5, 1e4, 1e12])
    >>> two_phases.generalization_error.values.round(4)  # untrained, first minimum, plateau, learned
    array([0.5   , 0.2848, 0.3333, 0.    ])
    """
    first, second = _phases(problem)
    when = np.asarray(check_times(times, GradientFlow()), dtype=np.float64)
    accuracy = check_between("accuracy", "largest difference between two node counts", accuracy, 1e-14, 1e-3)
    noise, slow = problem.noise**2, second.width
    before = slow + _iso(first, when, noise + slow, accuracy)
    after = _second_error(problem, _iso(second, when / problem.condition_number**2, noise, accuracy), noise)
    between = slow + (noise + slow) * problem.fast / (problem.samples - problem.fast)
    twice = {"generalization_error": before + (after - between), "first_phase": before, "second_phase": after}
    variables = {name: (("time",), error / 2.0) for name, error in twice.items()}
    return answer(
        problem, GradientFlow(), {**variables, "plateau": ((), np.float64(between / 2.0))}, {"time": when},
        kind="theory", method="infinite_condition_number", names=_NAMES,
    )  # fmt: skip


def _second_error(problem: TwoScale, slow_error: Array, noise: float) -> Array:
    """Return 2 E_G in the second phase: the fast features pass on the slow ones' error and the noise."""
    left = problem.samples - problem.fast
    error: Array = noise * problem.fast / left + problem.samples / left * slow_error
    return error


def _minimum(phase: _Phase, noise: float) -> float:
    """Return the smallest 2 E_G of a phase over all times, tau -> infinity included.

    A mode of eigenvalue L alone is best at tau_L = log(1 + L/noise)/L, which falls with L: before that of the right
    edge every mode improves, after that of the left edge every mode gets worse. Without noise nothing gets worse.
    """
    if noise == 0.0:
        return max(-phase.surplus, 0.0)
    left, right = phase.edges
    latest = math.log1p(left / noise) / left if left > 0.0 else 1.0 / noise
    logs = np.linspace(math.log(math.log1p(right / noise) / right), math.log(latest), 65)

    def error(log_time: float) -> float:
        return float(_iso(phase, np.exp([log_time]), noise, _MINIMUM_ACCURACY)[0])

    best = int(np.argmin(_iso(phase, np.exp(logs), noise, _MINIMUM_ACCURACY)))
    around = logs[max(best - 1, 0)], logs[min(best + 1, 64)]
    refined = minimize_scalar(error, bounds=around, method="bounded", options={"xatol": 1e-8})
    return min(error(logs[best]), float(refined.fun))


def critical_noise(problem: TwoScale) -> float:
    """Return the noise sigma* at which both minima of E_G in time are equally low, for kappa -> infinity.

    Below it the second minimum is the lower one, from it on the first. There is only one such noise: in sigma^2 the
    second minimum rises at least as p/(n - p), the first by less. 0.0 means that the first wins at every noise (it can
    for n < d). The problem's own noise and condition number play no part.

    Parameters
    ----------
    problem : TwoScale
        With 0 < p < d and n > p.

    Returns
    -------
    float
        sigma*, a standard deviation, to about 1e-8.

    Raises
    ------
    ParameterError
        For another problem, or one without two phases.

    Examples
    --------
    >>> round(critical_noise(TwoScale(samples=150, dimension=100, fast=50)), 3)
    0.863
    """
    first, second = _phases(problem)

    def lead(noise: float) -> float:
        slow = _second_error(problem, np.array(_minimum(second, noise)), noise)
        return float(slow) - (second.width + _minimum(first, noise + second.width))

    if lead(0.0) >= 0.0:
        return 0.0
    certain = (problem.samples - problem.fast) / problem.fast  # the second is above 1 here, the first never
    return math.sqrt(brentq(lead, 0.0, certain, xtol=1e-14))


def winning_minimum(problem: TwoScale) -> str:
    """Return which minimum of E_G in time is lower for kappa -> infinity at the problem's noise: "first" or "second".

    The second wins below :func:`critical_noise`; at equality the first, which comes sooner.

    Parameters
    ----------
    problem : TwoScale
        With 0 < p < d and n > p; its condition number plays no part.

    Returns
    -------
    str
        "first" or "second".

    Raises
    ------
    ParameterError
        For another problem, or one without two phases.

    Examples
    --------
    >>> winning_minimum(TwoScale(samples=150, dimension=100, fast=50, noise=0.8))
    'second'
    """
    critical = critical_noise(problem)
    return "second" if problem.noise < critical else "first"
