r"""The best dimension for a compute budget: the mean risk of the deterministic equivalent, minimised over d.

A budget of f features times steps allows t = floor(f/d) steps with d features. The risk P(d, floor(f/d)) is smooth in
log d but for two things: it may have several local minima (DANA changes its pace at t ~ d), and whole numbers of d and
t do not use up all of f. So P is first scanned at d = 1, 2, 4, ..., from above: the floor P_inf(d) bounds P from below,
and where it is above what was found there is no need to go on. Then it is searched around each local minimum, only at
the d that are the largest for their number of steps, and close to the best at one such d after the other.

Around the minimum log P = log P* + (k/2) (log d - log d*)^2 with k from 0.5 to 2.5 (measured), so that a relative error
e of the integrator moves d* by a share of 2 (e/k)^(1/2). Of accuracy 1e-3 the integrator is off by 1e-4 at most, and by
2e-5 between neighbours: d* is right to 1 per cent, and P* to 1e-4.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from analytic.scaling_laws._equivalent import limit_risk
from analytic.scaling_laws._solve import solve
from dynamics.algorithms import StochasticAlgorithm
from dynamics.errors import ParameterError
from dynamics.parameters import check_between
from dynamics.results import answer
from dynamics.scaling_laws import VARIABLES, PowerLawRandomFeatures, check_pair
from dynamics.times import check_increasing

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["compute_optimal"]

#: The most features that a problem has, and a number of steps that is too large.
_FEATURES, _STEPS = 2**52, 2**53
#: Local minima of the scan that are within this factor of the lowest are searched.
_RIVAL = 3.0
#: Where the smaller of d and t is below this, neighbours are so far apart that they are compared one by one.
_SPARSE = 10**3
#: How many neighbours on either side are compared there.
_NEAR = 6
#: The accuracy at which it is found out whether the risk converges.
_LOOSEST = 0.1
#: Above the logarithms of all floats: of what diverges, but finite, so that a parabola can be laid through it.
_NONE = 710.0
#: Width of log d at which the search ends.
_WIDTH = 0.01


class _Found(NamedTuple):
    """Risk of one dimension at one time, with what it may be off by."""

    risk: float
    error: float


def compute_optimal(
    problem: PowerLawRandomFeatures, algorithm: StochasticAlgorithm, compute: ArrayLike, *, accuracy: float = 1e-3
) -> xr.Dataset:
    r"""Return the dimension that gives the smallest mean risk for each compute budget f = d t.

    Parameters
    ----------
    problem : PowerLawRandomFeatures
        All but its dimension, which is varied: the number of inputs is kept if it is given, else their ratio to the
        features. P is without 1/2 and without the label noise's variance.
    algorithm : SGD, SGDMomentum, HeavyBall, Nesterov, DanaConstant, DanaDecaying, ScheduleFree or GeneralMomentum
        What is left open is chosen from the problem of each dimension.
    compute : array
        Budgets f in features times steps, at least 1, increasing. With d features, floor(f/d) steps are taken.
    accuracy : float
        Largest relative error of the integrator (see :func:`solve`), from 1e-9 to 0.1. With the default, d* is right to
        1 per cent and the risk to 1e-4 for large f. For small f there are whole numbers d far from d* that do almost as
        well: up to f = 1e4 the best was always found, at f = 1e5 one that is at most 2e-4 above it.

    Returns
    -------
    Dataset
        ``dimension`` d*, ``steps`` floor(f/d*), ``risk`` and its ``risk_error`` (as of :func:`solve`) on dimension
        ``compute``, from the deterministic equivalent. d* < v where the number of inputs is given.

    Raises
    ------
    ParameterError
        For input that is not allowed, an algorithm that is unstable in the mean at all dimensions (others are left
        out), and where the best dimension or number of steps is beyond 2^52.

    Examples
    --------
    >>> from dynamics.algorithms import SGD
    >>> found = compute_optimal(PowerLawRandomFeatures(alpha=1.0, beta=0.7), SGD(), [1000, 100_000])
    >>> found.dimension.values, found.steps.values, found.risk.values.round(4)
    (array([ 25, 168]), array([ 40, 595]), array([0.0425, 0.0018]))
    """
    check_pair(problem, algorithm)
    if not isinstance(problem, PowerLawRandomFeatures):
        raise ParameterError(f"problem must be PowerLawRandomFeatures; got {type(problem).__name__}")
    budgets = check_increasing("compute", compute)
    if budgets[0] < 1.0:
        raise ParameterError(f"compute (features times steps) must be at least 1; got {budgets[0]:g}")
    accuracy = check_between("accuracy", "largest relative error of the integrator", accuracy, 1e-9, _LOOSEST)
    risks = _Risks(problem, algorithm, accuracy)
    whole = [int(budget) for budget in budgets]  # floor(f/d) is the same
    if whole[-1] >= risks.most * _STEPS:
        raise ParameterError(f"compute must be below {risks.most * _STEPS:g}: t < 2^53, d <= {risks.most}")
    each = {budget: _best(risks, scanned, budget) for budget, scanned in _scan(risks, sorted(set(whole))).items()}
    best = [each[budget] for budget in whole]
    steps = [budget // d for budget, d in zip(whole, best, strict=True)]
    found = [risks.found[pair] for pair in zip(best, steps, strict=True)]
    values = {"dimension": best, "steps": steps, "risk": [one.risk for one in found]}
    values["risk_error"] = [one.error for one in found]
    return answer(
        problem, algorithm, {name: (("compute",), np.array(value)) for name, value in values.items()},
        {"compute": budgets}, kind="theory", method="deterministic_equivalent", names=VARIABLES,
    )  # fmt: skip


class _Risks:
    """The risk by dimension and steps, each found once."""

    def __init__(self, problem: PowerLawRandomFeatures, algorithm: StochasticAlgorithm, accuracy: float) -> None:
        self.problem, self.algorithm, self.accuracy = problem, algorithm, accuracy
        self.most = _FEATURES if problem.ambient_dimension is None else min(_FEATURES, problem.ambient_dimension - 1)
        self.found: dict[tuple[int, int], _Found] = {}
        self.refusal = ParameterError()

    def sized(self, d: int) -> PowerLawRandomFeatures | None:
        """Return the problem with d features; none where their ratio to the inputs gives no whole number above d."""
        try:
            return self.problem.model_copy(update={"dimension": d})
        except ParameterError:
            return None

    def find(self, d: int, budgets: list[int]) -> None:
        """Find the risk of d features for all of these budgets; inf where it diverges."""
        missing = sorted({budget // d for budget in budgets if (d, budget // d) not in self.found})
        problem = self.sized(d)
        if not missing or problem is None:
            return
        if (solved := self._solved(problem, missing, self.accuracy)) is not None:
            for steps, risk, error in zip(missing, solved.risk.values, solved.risk_error.values, strict=True):
                self.found[d, steps] = _Found(float(risk), float(error))
        elif len(missing) > 1:  # short runs may not have diverged yet
            for steps in missing:
                self.find(d, [steps * d])
        elif self._solved(problem, missing, _LOOSEST) is None:
            self.found[d, missing[0]] = _Found(math.inf, math.inf)
        else:  # it is the accuracy that cannot be had
            raise self.refusal

    def _solved(self, problem: PowerLawRandomFeatures, times: list[int], accuracy: float) -> xr.Dataset | None:
        """Return the answer of the theory, or none if it is refused."""
        try:
            return solve(problem, self.algorithm, times, accuracy=accuracy)
        except ParameterError as refusal:
            self.refusal = refusal
            return None

    def of(self, d: int, budget: int) -> float:
        """Return the risk of d features; inf where there cannot be as many, or the mean risk diverges."""
        self.find(d, [budget])
        return self.found[d, budget // d].risk if (d, budget // d) in self.found else math.inf


def _scan(risks: _Risks, budgets: list[int]) -> dict[int, dict[int, float]]:
    """Return for each budget the risk at d = 1, 2, 4, ..., from above, without those whose floor is higher already."""
    scanned: dict[int, dict[int, float]] = {budget: {} for budget in budgets}
    top = min(risks.most, budgets[-1])
    for d in sorted({min(top, 3)} | {2**k for k in range(top.bit_length())}, reverse=True):  # 1 and 2 may diverge
        if (problem := risks.sized(d)) is None:
            continue
        floor = limit_risk(problem)
        wanted = [f for f in budgets if d <= f < d * _STEPS and floor < min(scanned[f].values(), default=math.inf)]
        risks.find(d, wanted)
        for budget in wanted:
            scanned[budget][d] = risks.of(d, budget)
    return scanned


def _best(risks: _Risks, scanned: dict[int, float], budget: int) -> int:
    """Return the best dimension that a search around each local minimum of the scan finds."""
    if not math.isfinite(min(scanned.values(), default=math.inf)):
        raise ParameterError(f"compute {budget:g} allows no dimension that converges: {risks.refusal}")
    lowest, around = min(scanned.values()), {d: scanned.get(d, math.inf) for e in scanned for d in (e // 2, e, 2 * e)}
    tried: set[int] = set()
    most = min(budget, risks.most)
    for d, risk in scanned.items():
        if risk <= min(_RIVAL * lowest, around[d // 2], around[2 * d]):
            low, high = max(1, d // 2, budget // _STEPS + 1), min(2 * d, most)
            if math.isinf(risks.of(high, budget)):
                high = most = _border(risks, budget, d, high)
            tried |= _searched(risks, budget, low, high) | {d}
    best = min(tried, key=lambda d: (risks.of(d, budget), d))
    if min(best, budget // best) < _SPARSE:
        best = _polished(risks, budget, best, most)
    if best == _FEATURES or budget // max(1, best // 2) >= _STEPS:
        raise ParameterError(f"compute must be smaller: at {budget:g} the best dimension or its steps exceed 2^52")
    return best


def _border(risks: _Risks, budget: int, stable: int, unstable: int) -> int:
    """Return the largest dimension that converges, to one in a thousand."""
    while unstable - stable > max(1, stable // 1000):
        middle = (stable + unstable) // 2
        stable, unstable = (stable, middle) if math.isinf(risks.of(middle, budget)) else (middle, unstable)
    return stable


def _searched(risks: _Risks, budget: int, low: int, high: int) -> set[int]:
    """Return the dimensions tried in a search between two: all of them if they are few."""
    if high - low <= 2 * _NEAR:
        return set(range(low, high + 1))
    tried = {low, high}

    def risk(log_d: float) -> float:
        d = min(max(low, round(math.exp(log_d))), high)
        d = min(budget // (budget // d), high)  # the largest with as many steps
        tried.add(d)
        return min(math.log(risks.of(d, budget)), _NONE)

    minimize_scalar(risk, bounds=(math.log(low), math.log(high)), method="bounded", options={"xatol": _WIDTH})
    return tried


def _polished(risks: _Risks, budget: int, best: int, most: int) -> int:
    """Move to the best of the nearest dimensions, each the largest for its steps, until there is no better."""
    while True:
        near = {best}
        up = down = best
        for _ in range(_NEAR):
            up = min(budget // (budget // min(up + 1, most)), most)
            down = max(budget // (budget // down + 1), 1)
            near |= {up, down}
        found = min(near, key=lambda d: (risks.of(d, budget), d))
        if found == best:
            return best
        best = found
