"""When the error falls, rises and falls again: extrema in time, the threshold of double descent, when to stop.

All of it is read off the closed-form slope dE_G/dlog tau of gradient flow in the limit, not off differences of curves.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from analytic.double_descent._exact import prepare, spectrum_of
from analytic.double_descent._ridge import limit_error
from dynamics.algorithms import Algorithm, GradientFlow
from dynamics.double_descent import VARIABLES, Problem, TwoScale, check_pair
from dynamics.errors import ParameterError
from dynamics.parameters import check_between
from dynamics.results import Variable, answer
from dynamics.threads import single_threaded

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["OptimalStopping", "critical_condition_number", "extrema", "optimal_stopping"]

Array = NDArray[np.float64]

#: Slopes below this times <c> + sigma^2 count as zero: the final plateau, whose slope dies exponentially, is rounding.
_FLAT = 1e-10

_NAMES = {
    **VARIABLES,
    "kind": Variable("", "minimum or maximum in time"),
    "extremum": Variable("", "extremum, in order of time"),
}


class OptimalStopping(NamedTuple):
    """When to stop (``inf``: never; 0.0: do not train) and the generalization error then."""

    time: float
    generalization_error: float


class _Course:
    """E_G of gradient flow and its slope dE_G/dlog tau, for any times of a range."""

    def __init__(self, problem: Problem, flow: GradientFlow, times: Array, accuracy: float) -> None:
        ready = prepare(problem, flow, times, accuracy=accuracy, correction=False)
        self.kernels, self.filters = ready.limit, ready.filters
        self.l2, self.noise = flow.l2, problem.noise**2
        self.flat = _FLAT * (problem.blocks.mean_power + self.noise)

    def error(self, times: Array) -> Array:
        """Return E_G."""
        curves = self.kernels.curves(*self.filters(self.kernels.z, times))
        error: Array = (curves.bias + self.noise * curves.variance) / 2.0
        return error

    def slope(self, times: Array) -> Array:
        r"""Return tau [bias' + sigma^2 V']/2 with h' = -z e^(-tau(z + l2)) and f' = e^(-tau(z + l2))."""
        z = self.kernels.z
        f, h = self.filters(z, times)
        decay = np.exp(-np.multiply.outer(times, z + self.l2))
        plain, conjugate = self.kernels.pairs
        bias = ((-z * decay @ plain) * h + (-z * decay @ conjugate) * h.conj()).sum(axis=1)
        slope: Array = 2.0 * times * (bias + self.noise * ((z * f * decay) @ self.kernels.variance)).real
        return slope

    def turns(self, grid: Array) -> tuple[Array, Array, Array]:
        """Return the slope on the grid, and times and values of its own extrema (vertices of parabolas)."""
        values = self.slope(grid)
        rises, solid = np.diff(values) > 0, np.abs(values) > self.flat
        # two of three must be solid: an extremum may be zero itself, a flat end has noise only
        two = np.sum([solid[:-2], solid[1:-1], solid[2:]], axis=0) >= 2
        index = 1 + np.flatnonzero((rises[:-1] != rises[1:]) & two)
        if not index.size:
            return values, np.empty(0), np.empty(0)
        sign = np.where(rises[index - 1], 1.0, -1.0)
        fine = np.geomspace(grid[index - 1], grid[index + 1], 17, axis=1)
        heights = sign[:, None] * self.slope(fine.ravel()).reshape(fine.shape)
        best = np.clip(heights.argmax(axis=1), 1, 15)[:, None]
        left, top, right = np.take_along_axis(heights, best + np.array([-1, 0, 1]), axis=1).T
        bend = left - 2.0 * top + right
        bend = np.where(bend < 0, bend, -np.inf)  # three equal values: their middle
        at = np.take_along_axis(fine, best, axis=1)[:, 0] * (fine[:, 1] / fine[:, 0]) ** ((left - right) / (2.0 * bend))
        return values, at, sign * (top - (left - right) ** 2 / (8.0 * bend))


def extrema(
    problem: Problem, algorithm: Algorithm | None = None, *, last: float | None = None, accuracy: float = 1e-12
) -> xr.Dataset:
    """Return the local minima and maxima of E_G over flow time, in order.

    Parameters
    ----------
    problem : TwoScale, TeacherStudent or PowerLawTeacherStudent
        In the limit n, d -> infinity at fixed n/d.
    algorithm : GradientFlow, optional
        With rates or l2 if wanted.
    last : float, optional
        Longest flow time looked at; by default long after the slowest mode has relaxed.
    accuracy : float
        Of the contour integrals. Slopes |dE_G/dlog tau| below 1e-10 (<c> + sigma^2) count as zero. At condition numbers
        above 1e7 the plateau between two descents is flat to rounding: there the time of its maximum means little.

    Returns
    -------
    Dataset
        ``kind`` ("minimum" or "maximum"), ``time`` and ``generalization_error`` on dimension ``extremum``.

    Raises
    ------
    ParameterError
        For gradient descent: extrema over whole steps are no roots of a slope.

    Examples
    --------
    >>> found = extrema(TwoScale(samples=110, dimension=100, fast=70, condition_number=7))
    >>> found.kind.values.tolist(), found.time.values.round(2).tolist()
    (['minimum', 'maximum'], [2.59, 12.63])
    """
    flow = _flow(problem, algorithm)
    first, end = _range(problem, flow)
    if last is not None:
        end = check_between("last", "longest flow time", last, first * (1 + 1e-9), 1e300)
    grid = np.geomspace(first, end, 1000)
    with single_threaded():
        course = _Course(problem, flow, grid, accuracy)
        values, between, _ = course.turns(grid)  # a close pair hides between grid points, around a turn of the slope
        grid, order = np.unique(np.concatenate([grid, between]), return_index=True)
        values = np.concatenate([values, course.slope(between)])[order]
        solid = np.abs(values) > course.flat
        times, signs = grid[solid], np.sign(values[solid])
        turns = np.flatnonzero(signs[1:] != signs[:-1])
        ends = np.log(times).tolist()
        found = [
            brentq(lambda u: float(course.slope(np.exp([u]))[0]), ends[i], ends[i + 1], xtol=1e-14, rtol=1e-14)
            for i in turns
        ]
        at = np.exp(np.array(found))
        error = course.error(at) if at.size else at
    kinds = np.array(["minimum" if signs[i] < 0 else "maximum" for i in turns], dtype="<U7")
    columns = {"kind": kinds, "time": at, "generalization_error": error}
    variables = {name: (("extremum",), item) for name, item in columns.items()}
    numbers = {"extremum": np.arange(at.size)}
    return answer(problem, flow, variables, numbers, kind="theory", method="extrema", names=_NAMES)


def critical_condition_number(problem: TwoScale, *, largest: float = 300.0) -> float:
    """Return kappa_c: the smallest condition number at which E_G over flow time has a local maximum (no penalty).

    The problem's own condition number plays no part. At kappa_c a local extremum of dE_G/dlog tau touches zero; above
    it E_G falls, rises and falls again, and in scans does so at every larger condition number. For p < n there is
    always a kappa_c; for p >= n training interpolates in the fast phase, and scans found none.

    Parameters
    ----------
    problem : TwoScale
        n/d, p/d and noise matter.
    largest : float
        Condition numbers up to here are tried.

    Returns
    -------
    float
        kappa_c to about seven digits; ``inf`` when there is none up to ``largest``.

    Raises
    ------
    ParameterError
        For another problem, or a ``largest`` that is not in (1, 1e6].

    Examples
    --------
    >>> round(critical_condition_number(TwoScale(samples=110, dimension=100, fast=70)), 3)
    5.2
    """
    if not isinstance(problem, TwoScale):
        raise ParameterError(f"problem must be TwoScale for a condition number; got {type(problem).__name__}")
    largest = check_between("largest", "largest condition number tried", largest, 1.0 + 1e-6, 1e6)

    def margin(log_ratio: float) -> float:
        return _margin(problem.model_copy(update={"condition_number": math.exp(log_ratio)}))

    low, high = 0.0, math.log(largest)
    if margin(high) <= 0:
        return math.inf
    # bisect until the bracket is short and the margin finite at its lower end too: there it is smooth
    value_low = -math.inf
    while high - low > 0.1 or value_low == -math.inf:
        middle = 0.5 * (low + high)
        value = margin(middle)
        if value > 0:
            high = middle
        else:
            low, value_low = middle, value
        if high - low < 1e-8:  # rise and dip are born at a slope of zero
            return math.exp(high)
    return math.exp(brentq(margin, low, high, xtol=1e-8, rtol=1e-12))


def _margin(problem: TwoScale) -> float:
    """Return max over a < b of min(slope(a), -slope(b)) over the slope's own extrema: above 0 iff there is a maximum.

    Continuous, and zero where an extremum of the slope touches zero; -inf when no dip of the slope follows a top.
    """
    flow = GradientFlow()
    grid = np.geomspace(*_range(problem, flow), 300)
    with single_threaded():
        _, _, slopes = _Course(problem, flow, grid, accuracy=1e-11).turns(grid)
    before = np.maximum.accumulate(slopes[:-1])
    return float(np.minimum(before, -slopes[1:]).max(initial=-math.inf))


def optimal_stopping(
    problem: Problem, algorithm: Algorithm | None = None, *, last: float | None = None
) -> OptimalStopping:
    """Return the flow time with the smallest E_G, and that error.

    The best of all minima, of the start and of the end, which is ``last`` or, by default, the limit tau -> infinity:
    ridge at penalty l2, on the features as the rates scale them (at n = d without penalty, noise makes it diverge).

    Parameters
    ----------
    problem : TwoScale, TeacherStudent or PowerLawTeacherStudent
        In the limit n, d -> infinity at fixed n/d.
    algorithm : GradientFlow, optional
        With rates or l2 if wanted.
    last : float, optional
        Longest flow time allowed; by default there is none.

    Returns
    -------
    OptimalStopping
        ``time`` (``inf``: never stop; 0.0: do not train) and ``generalization_error`` (with its 1/2, noiseless labels).

    Raises
    ------
    ParameterError
        As for :func:`extrema`.

    Examples
    --------
    >>> optimal_stopping(TwoScale(samples=150, dimension=100)).time  # without noise all is learned in the end
    inf
    >>> time, error = optimal_stopping(TwoScale(samples=150, dimension=100), last=100.0)  # the first minimum
    >>> round(time, 3), round(error, 4)
    (1.357, 0.2842)
    """
    flow = _flow(problem, algorithm)
    found = extrema(problem, flow, last=last)
    minima = found.isel(extremum=np.flatnonzero(found["kind"].values == "minimum"))
    candidates = [OptimalStopping(0.0, problem.blocks.mean_power / 2.0)]
    pairs = zip(minima["time"].values, minima["generalization_error"].values, strict=True)
    candidates += [OptimalStopping(float(time), float(error)) for time, error in pairs]
    if last is None:
        candidates.append(OptimalStopping(math.inf, limit_error(spectrum_of(problem, flow), problem.noise**2, flow.l2)))
    else:
        end = np.array([float(last)])
        candidates.append(OptimalStopping(float(last), float(_Course(problem, flow, end, 1e-12).error(end)[0])))
    return min(candidates, key=lambda candidate: candidate.generalization_error)


def _flow(problem: Problem, algorithm: Algorithm | None) -> GradientFlow:
    flow = GradientFlow() if algorithm is None else algorithm
    check_pair(problem, flow)
    if not isinstance(flow, GradientFlow):
        name = type(flow).__name__
        raise ParameterError(f"algorithm must be GradientFlow for extrema in continuous time; got {name}")
    return flow


def _range(problem: Problem, flow: GradientFlow) -> tuple[float, float]:
    """Return flow times before anything and after everything has happened."""
    spectrum = spectrum_of(problem, flow)
    left, right = spectrum.edges()
    variance, _, power = spectrum.blocks
    noise, mean_power = problem.noise**2, spectrum.blocks.mean_power
    # much noise brings the minimum of a mode forward, to tau = log(1 + c alpha/noise)/L or so
    first = 0.02 / (right * (1.0 + noise / mean_power)) if mean_power > 0 else 0.02 / right
    if left > 0:
        return first, 200.0 / left
    last = 2e5 / float(variance.min())
    if noise > 0:  # at n = d eigenvalues reach down to 0, and a mode is best at tau = c/(s2 noise)
        last = max(last, 20.0 * float((power / variance).max()) / noise)
    return first, last
