"""When the error falls, rises and falls again: extrema in time, the threshold of double descent, when to stop.

All of it is read off the closed-form slope dE_G/dlog tau of gradient flow in the limit, never off differences of curves.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from threadpoolctl import threadpool_limits

from analytic.double_descent._exact import Evaluation, prepare, spectrum_of
from analytic.double_descent._ridge import ridge
from dynamics.algorithms import Algorithm, GradientFlow
from dynamics.double_descent import VARIABLES, Problem, TwoScale, check_pair, trained_blocks
from dynamics.errors import ParameterError
from dynamics.results import Variable, answer, rebuild

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["OptimalStopping", "critical_condition_number", "extrema", "optimal_stopping", "shrinkage"]

Array = NDArray[np.float64]

#: Slopes below this are taken for zero: rounding of the final plateau, where the true slope dies exponentially.
_FLAT = 1e-10

_NAMES = {
    **VARIABLES,
    "kind": Variable("", "minimum or maximum in time"),
    "extremum": Variable("", "extremum, in order of time"),
    "factor": Variable("1/(1+a)", "factor by which the student is shrunk"),
}


class OptimalStopping(NamedTuple):
    """When to stop (``inf``: never; 0.0: do not train) and the generalization error then."""

    time: float
    generalization_error: float


class _Slope:
    """dE_G/dlog tau of gradient flow, for the times of a range."""

    def __init__(self, problem: Problem, algorithm: GradientFlow, times: Array, accuracy: float) -> None:
        ready: Evaluation = prepare(problem, algorithm, times, accuracy=accuracy, correction=False)
        self.kernels, self.filters = ready.limit, ready.filters
        self.l2, self.noise = algorithm.l2, problem.noise**2

    def __call__(self, times: Any) -> Array:
        r"""Return tau [<bias>' + sigma^2 V']/2 with h' = -z e^(-tau(z + l2)), f' = e^(-tau(z + l2))."""
        times = np.atleast_1d(np.asarray(times, dtype=np.float64))
        f, h = self.filters(self.kernels.z, times)
        decay = np.exp(-np.multiply.outer(times, self.kernels.z + self.l2))
        plain, conjugate = self.kernels.pairs
        change = -self.kernels.z * decay
        bias = 4.0 * ((change @ plain) * h + (change @ conjugate) * h.conj()).sum(axis=1).real
        variance = 4.0 * ((self.kernels.z * f * decay) @ self.kernels.variance).real
        slope: Array = times * (bias + self.noise * variance) / 2.0
        return slope


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
        Of the contour integrals. Slopes |dE_G/dlog tau| below 1e-10 count as zero.

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
    (['minimum', 'maximum'], [2.59, 12.55])
    """
    flow = _flow(problem, algorithm)
    first, end = _range(problem, flow)
    end = end if last is None else float(last)
    if not first < end < math.inf:
        raise ParameterError(f"last (longest flow time) must be above {first:g} and finite; got {last!r}")
    grid = np.geomspace(first, end, 1000)
    ready = prepare(problem, flow, grid, accuracy=accuracy, correction=False)
    with threadpool_limits(1):
        slope = _Slope(problem, flow, grid, accuracy)
        values = slope(grid)
        solid = np.abs(values) > _FLAT
        times, signs = grid[solid], np.sign(values[solid])
        turns = np.flatnonzero(signs[1:] != signs[:-1])
        found = [
            brentq(lambda u: slope(math.exp(u))[0], *np.log(times[[i, i + 1]]), xtol=1e-14, rtol=1e-14) for i in turns
        ]
        at = np.exp(np.array(found))
        limit = ready.limit.curves(*ready.filters(ready.limit.z, at)) if at.size else None
    error = (limit.bias + problem.noise**2 * limit.variance) / 2.0 if limit is not None else np.empty(0)
    kinds = np.array(["minimum" if signs[i] < 0 else "maximum" for i in turns], dtype="<U7")
    variables = {
        name: (("extremum",), item) for name, item in (("kind", kinds), ("time", at), ("generalization_error", error))
    }
    numbers = {"extremum": np.arange(at.size)}
    return answer(problem, flow, variables, numbers, kind="theory", method="extrema", names=_NAMES)


def critical_condition_number(problem: TwoScale, *, largest: float = 300.0) -> float:
    """Return kappa_c: the smallest condition number at which E_G over flow time has a local maximum (no penalty).

    The problem's own condition number plays no part. At kappa_c a local extremum of dE_G/dlog tau touches zero; above it
    E_G falls, rises and falls again. For p < n there is always such a number; for n < p training interpolates in the fast
    phase, and often there is none. Scans show the double descent to persist above kappa_c.

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

    Examples
    --------
    >>> round(critical_condition_number(TwoScale(samples=110, dimension=100, fast=70)), 3)
    5.2
    """
    if not isinstance(problem, TwoScale):
        raise ParameterError(f"problem must be TwoScale for a condition number; got {type(problem).__name__}")
    if not 1.0 < largest < math.inf:
        raise ParameterError(f"largest (largest condition number tried) must be above 1 and finite; got {largest!r}")

    def margin(log_ratio: float) -> float:
        return _margin(TwoScale(**{**problem.model_dump(), "condition_number": math.exp(log_ratio)}))

    low, high = 0.0, math.log(largest)
    value_high = margin(high)
    if value_high <= 0:
        return math.inf
    value_low = -math.inf
    # bisect until the margin is finite at both ends and the bracket short: there it is smooth and crosses zero once
    while high - low > 0.1 or value_low == -math.inf:
        middle = 0.5 * (low + high)
        value = margin(middle)
        if value > 0:
            high = middle
        else:
            low, value_low = middle, value
        if high - low < 1e-9:
            return math.exp(high)
    return math.exp(brentq(margin, low, high, xtol=1e-8, rtol=1e-12))


def _margin(problem: TwoScale) -> float:
    """Return max over a < b of min(slope(a), -slope(b)) over the slope's own extrema: above 0 iff there is a maximum.

    It is continuous in the parameters and crosses zero where an extremum of the slope touches zero; -inf when the slope
    has no rise followed by a dip at all.
    """
    flow = GradientFlow()
    grid = np.geomspace(*_range(problem, flow), 300)
    with threadpool_limits(1):
        slope = _Slope(problem, flow, grid, accuracy=1e-11)
        values = slope(grid)
        inner = np.abs(values[1:-1]) > _FLAT
        tops = 1 + np.flatnonzero(inner & (values[1:-1] >= values[:-2]) & (values[1:-1] > values[2:]))
        dips = 1 + np.flatnonzero(inner & (values[1:-1] <= values[:-2]) & (values[1:-1] < values[2:]))
        high = {int(i): _refined(slope, grid, i, 1.0) for i in tops if (dips > i).any()}
        low = {int(i): _refined(slope, grid, i, -1.0) for i in dips if (tops < i).any()}
    return max((min(up, -down) for i, up in high.items() for j, down in low.items() if i < j), default=-math.inf)


def _refined(slope: _Slope, grid: Array, index: int, sign: float) -> float:
    """Return the slope's extremum next to a grid point: a parabola through three of 17 finer points."""
    fine = np.geomspace(grid[index - 1], grid[index + 1], 17)
    values = sign * slope(fine)
    best = min(max(int(np.argmax(values)), 1), 15)
    left, middle, right = values[best - 1 : best + 2]
    bend = left - 2.0 * middle + right
    peak = middle if bend == 0 else middle - (right - left) ** 2 / (8.0 * bend)
    return sign * float(peak)


def optimal_stopping(problem: Problem, algorithm: Algorithm | None = None) -> OptimalStopping:
    """Return the flow time with the smallest E_G, and that error: the best of all minima and of the limit tau -> infinity.

    Examples
    --------
    >>> optimal_stopping(TwoScale(samples=150, dimension=100)).time  # without noise all is learned in the end
    inf
    """
    flow = _flow(problem, algorithm)
    candidates = [OptimalStopping(0.0, problem.blocks.mean_power / 2.0)]
    found = extrema(problem, flow)
    for kind, time, error in zip(
        found["kind"].values, found["time"].values, found["generalization_error"].values, strict=True
    ):
        if kind == "minimum":
            candidates.append(OptimalStopping(float(time), float(error)))
    if flow.l2 > 0 or problem.sampling_ratio != 1.0 or problem.noise == 0:  # else the error diverges as tau -> infinity
        end = ridge(problem, [flow.l2])["generalization_error"].item()
        candidates.append(OptimalStopping(math.inf, end))
    return min(candidates, key=lambda candidate: candidate.generalization_error)


def shrinkage(solution: xr.Dataset) -> xr.Dataset:
    """Return what shrinking the student by the best single factor at each time would give: w -> w/(1 + a).

    E_G = <c>/2 - R/(1 + a) + Q/(2(1 + a)^2) is smallest at 1/(1 + a) = R/Q, where E_G = <c>/2 - R^2/(2Q).

    Parameters
    ----------
    solution : Dataset
        An answer of ``solve`` or ``ridge`` with alignment and norm.

    Returns
    -------
    Dataset
        ``factor`` R/Q and ``generalization_error``, on the dimensions of the answer. An untrained student (Q = 0) is
        shrunk by a factor 1.
    """
    problem = rebuild(solution.attrs["problem"])
    if not isinstance(problem, Problem) or "norm" not in solution:
        raise ParameterError("solution must be an answer of double descent with alignment and norm")
    overlap, norm = solution["alignment"], solution["norm"]
    still = norm == 0
    factor = (overlap / norm.where(~still, 1.0)).where(~still, 1.0)
    error = problem.blocks.mean_power / 2.0 - factor * overlap / 2.0
    values = {"factor": (overlap.dims, factor.values), "generalization_error": (overlap.dims, error.values)}
    algorithm = rebuild(solution.attrs["algorithm"]) if "algorithm" in solution.attrs else None
    coordinates = {str(dim): solution[dim].values for dim in overlap.dims}
    return answer(problem, algorithm, values, coordinates, kind="theory", method="shrinkage", names=_NAMES)


def _flow(problem: Problem, algorithm: Algorithm | None) -> GradientFlow:
    flow = GradientFlow() if algorithm is None else algorithm
    check_pair(problem, flow)
    if not isinstance(flow, GradientFlow):
        raise ParameterError(
            f"algorithm must be GradientFlow for extrema in continuous time; got {type(flow).__name__}"
        )
    return flow


def _range(problem: Problem, flow: GradientFlow) -> tuple[float, float]:
    """Return flow times before anything and after everything has happened."""
    spectrum = spectrum_of(problem, flow)
    left, right = spectrum.edges()
    slowest = left if left > 0 else 1e-3 * float(trained_blocks(problem, flow).variance.min())
    return 0.02 / right, 200.0 / slowest
