"""How double descent is explored: views that show it, and what the curve of E_G on the screen does, in words."""

from __future__ import annotations

import functools
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytic.double_descent import critical_condition_number, edges
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import PowerLawTeacherStudent, Problem, TeacherStudent, TwoScale
from dynamics.errors import ParameterError
from dynamics.schedules import SoftplusDecay
from figures.asking import Ensemble, Question
from figures.explored import Explored, FlowTimes, Preset, Shown, StepTimes
from figures.phenomena import phenomenon
from simulations.double_descent import TeacherDraws

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["EXPLORED", "seen"]

Array = NDArray[np.float64]

#: Steps of a curve that are smaller than this part of its largest value are no rise and no fall.
_FLAT = 1e-9
#: More descents than this are those of a step that is too long for the fast features.
_MOST = 4
_NAMES = {1: "Single", 2: "Double", 3: "Triple", 4: "Quadruple"}
#: Condition numbers up to here are tried for the threshold.
_LARGEST = 300.0


class _Turn(NamedTuple):
    """A local minimum or maximum of the curve, or one of its ends."""

    time: float
    error: float


def seen(problem: Problem, algorithm: GradientFlow | GradientDescent, theory: xr.Dataset | None) -> str:
    """Say where E_G on the screen falls, rises and falls again, when to stop, and what a second descent needs.

    Everything is read off the curve but the threshold, which costs a tenth of a second the first time: it is looked for
    only where the curve has no second descent, and kept as long as nothing but the condition number changes.
    """
    parts, single = [], True
    if theory is None:
        parts.append(_unstable(problem, algorithm) or "There is no curve of theory to be read here.")
    else:
        turns = _turns(theory, between=not algorithm.discrete)
        single = _falls(turns) <= 1
        parts.append(_course(turns, "t" if algorithm.discrete else "τ"))
    if single and isinstance(problem, TwoScale) and algorithm == GradientFlow():
        parts.append(_against_threshold(problem))
    return " ".join(parts)


def _turns(theory: xr.Dataset, *, between: bool) -> list[_Turn]:
    """Return the first point of E_G, its local extrema in order, and the last point; of several runs, of their mean.

    ``between`` says whether extrema may lie between the times of the curve.
    """
    error = theory["generalization_error"]
    values = np.asarray(error.mean("run") if "run" in error.dims else error, dtype=np.float64)
    times = np.asarray(theory["time"], dtype=np.float64)
    steps = np.diff(values)
    solid = np.flatnonzero(np.abs(steps) > _FLAT * np.abs(values).max())
    inner = []
    for one, other in pairwise(solid):
        if steps[one] * steps[other] < 0:
            place = 1 + int(one) + int(np.argmax(values[one + 1 : other + 1] * np.sign(steps[one])))
            inner.append(_vertex(times, values, place) if between else _Turn(times[place], values[place]))
    return [_Turn(times[0], values[0]), *inner, _Turn(times[-1], values[-1])]


def _vertex(times: Array, values: Array, place: int) -> _Turn:
    """Return the vertex of the parabola in log time through a point and its neighbours."""
    around = slice(place - 1, place + 2)
    if (times[around] <= 0).any():
        return _Turn(times[place], values[place])
    left, right = np.log(times[[place - 1, place + 1]] / times[place])
    down, up = values[[place - 1, place + 1]] - values[place]
    bend = (up / right - down / left) / (right - left)
    slope = up / right - bend * right
    if bend == 0.0:
        return _Turn(times[place], values[place])
    shift = float(np.clip(-slope / (2.0 * bend), left, right))
    return _Turn(float(times[place] * math.exp(shift)), float(values[place] + shift * (slope + bend * shift)))


def _falls(turns: list[_Turn]) -> int:
    """Count the descents."""
    return sum(other.error < one.error for one, other in pairwise(turns))


def _course(turns: list[_Turn], clock: str) -> str:
    """Tell the descents and rises in order, and when it is best to stop."""
    first, last = turns[0], turns[-1]
    best, falls = min(turns, key=lambda turn: turn.error), _falls(turns)
    if falls > _MOST:
        return (
            f"E_G oscillates, with {falls} descents from {first.error:.3g} to {last.error:.3g} at {clock} = "
            f"{last.time:.3g}: the step is about as long as it can be. It is least, {best.error:.3g}, at {clock} = "
            f"{best.time:.3g}."
        )
    name = f"{_NAMES[falls]} descent of E_G" if falls else "No descent of E_G"
    moves = [f"{name}: {first.error:.3g} at {clock} = {first.time:.3g}"]
    for one, other in pairwise(turns):
        change = other.error - one.error
        way = "down to" if change < 0 else f"up by {change:.2g} to" if change > 0 else "still"
        where = "in the end," if other is last else "at"
        moves.append(f"{way} {other.error:.3g} {where} {clock} = {other.time:.3g}")
    return f"{', '.join(moves)}. {_stopping(turns, best, clock)}"


def _stopping(turns: list[_Turn], best: _Turn, clock: str) -> str:
    first, last = turns[0], turns[-1]
    if first.error <= best.error:
        return "It is best not to train."
    if last.error <= best.error:
        return "It is best not to stop."
    which = "first" if best is turns[1] and len(turns) > 3 else "last" if len(turns) > 3 else "only"
    return f"It is best to stop at the {which} minimum, {clock} = {best.time:.3g}."


def _unstable(problem: Problem, algorithm: GradientFlow | GradientDescent) -> str:
    """Say which bound the step breaks, if it does so at the start."""
    if not isinstance(algorithm, GradientDescent) or algorithm.rates is not None:
        return ""
    try:
        largest = edges(problem)[1]
        broken = algorithm.broken_bound(algorithm.step_size(largest), largest, 1)
    except ParameterError:
        return ""
    return f"Unstable: {broken}." if broken else ""


def _against_threshold(problem: TwoScale) -> str:
    """Say how far the condition number is from where a second descent begins (gradient flow without penalty)."""
    if problem.fast in {0, problem.dimension}:
        return "All features have one scale, so that nothing can be learned second."
    if problem.samples <= problem.fast:
        return f"With n = {problem.samples} ≤ p = {problem.fast} training interpolates with the fast features alone."
    kappa = problem.condition_number
    critical = _threshold(problem.samples, problem.dimension, problem.fast, problem.noise)
    if critical == math.inf:
        return f"No κ up to {_LARGEST:g} gives a second descent at n/d = {problem.sampling_ratio:.3g}."
    if kappa <= critical:
        return f"κ = {kappa:.3g} is not above κ_c = {critical:.3g}, where a second descent begins."
    return f"κ = {kappa:.3g} is above κ_c = {critical:.3g}: the second descent is later than shown, or too small."


@functools.lru_cache(maxsize=256)
def _threshold(samples: int, dimension: int, fast: int, noise: float) -> float:
    at = TwoScale(samples=samples, dimension=dimension, fast=fast, noise=noise, condition_number=1.0)
    return critical_condition_number(at, largest=_LARGEST)


def _shown(problem: Problem, algorithm: Any = None, times: Any = None, **choices: Any) -> Shown:
    flow = GradientFlow() if algorithm is None else algorithm
    choices = {"ensemble": Ensemble(runs=64), "options": TeacherDraws()} | choices
    asked = Question(phenomenon("double-descent"), problem, flow, **choices)
    return Shown(asked, times or (StepTimes() if flow.discrete else FlowTimes(last=1e5)))


def _presets() -> tuple[Preset, ...]:
    first = TwoScale(samples=130, dimension=100, fast=70, condition_number=100.0)
    third = TwoScale(samples=150, dimension=100, fast=60, condition_number=50.0)
    fourth = TwoScale(samples=110, dimension=100, fast=70, condition_number=7.0)
    fifth = TwoScale(samples=120, dimension=100, fast=80, condition_number=40.0, noise=0.2)
    sixth = TwoScale(samples=120, dimension=100, fast=70, condition_number=30.0)
    small = TwoScale(samples=22, dimension=20, fast=14, condition_number=50.0)
    descent, six = GradientDescent(), StepTimes(last=10**6)
    return (
        Preset(
            "figure 1 of arXiv 2112.03215: both features, against fast ones only and slow ones only",
            _shown(first),
            (_shown(first, GradientFlow(rates=(1.0, 1e-30))), _shown(first, GradientFlow(rates=(1e9, 1.0)))),
        ),
        Preset(
            "figure 3: gradient descent at κ = 50, against κ = 1 and κ = 10⁵",
            _shown(third, descent, six),
            tuple(_shown(third.model_copy(update={"condition_number": k}), descent, six) for k in (1.0, 1e5)),
        ),
        Preset(
            "figure 4: κ = 7, exact against the published curve, which misses the double descent",
            _shown(fourth, descent, StepTimes(last=10**4)),
            (_shown(fourth, descent, StepTimes(last=10**4), method="published"),),
        ),
        Preset(
            "figure 5d: an L2 penalty removes the second descent",
            # four times the penalties of the formula, whose singular values are half the problem's
            _shown(fifth, GradientDescent(l2=0.506), StepTimes(last=10**4)),
            (_shown(fifth, GradientDescent(l2=4e-8), StepTimes(last=10**4)),),
        ),
        Preset(
            "figure 6, left: a decaying penalty on the outputs against plain descent",
            _shown(sixth, GradientDescent(output_penalty=SoftplusDecay(initial=0.6, rate=1e-3)), StepTimes(last=10**4)),
            (_shown(sixth, descent, StepTimes(last=10**4)),),
        ),
        Preset(
            "label noise 0.8: the second descent ends in overfitting; without noise it does not",
            _shown(third.model_copy(update={"noise": 0.8})),
            (_shown(third),),
        ),
        Preset(
            "20 dimensions: with the first 1/d correction, against the limit; runs averaged over teachers",
            _shown(small, method="next_order", ensemble=Ensemble(runs=200), options=TeacherDraws(teacher="averaged")),
            (_shown(small),),
        ),
    )


EXPLORED = Explored(
    starts=(
        _shown(TwoScale(samples=130, dimension=100, fast=70, condition_number=50.0, noise=0.2)),
        # three scales, three descents
        _shown(
            TeacherStudent(samples=120, dimension=100, variances=(1.0, 1e-3, 1e-6), fractions=(0.5, 0.3, 0.2)),
            times=FlowTimes(last=1e7),
        ),
        _shown(PowerLawTeacherStudent(samples=150, dimension=100, noise=0.3)),
    ),
    presets=_presets(),
    axis="linear",
    curves=(("generalization_error", "training_error"),),
    seen=seen,
)
