"""The high-dimensional limit of every curve, and its first correction in 1/d, for any spectrum, filter and schedule."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytic.double_descent._allowance import neglected
from analytic.double_descent._contour import choose_nodes, contour
from analytic.double_descent._kernels import Curves, Kernels, kernels
from analytic.double_descent._spectrum import Spectrum, merged
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import Problem, check_problem, trained_blocks
from dynamics.errors import ParameterError
from dynamics.filters import spectral_filters
from dynamics.memory import check_memory
from dynamics.parameters import check_between
from dynamics.schedules import Schedule, sum_of, values_at
from dynamics.threads import single_threaded

__all__ = [
    "ASYMPTOTIC",
    "Evaluation",
    "asymptotic_learning_rate",
    "check_accuracy",
    "edges",
    "evaluate",
    "exact",
    "limit_and_correction",
    "prepare",
    "settled",
    "spectrum_of",
]

Array = NDArray[Any]
Filters = Callable[[Array, Array], tuple[Array, Array]]

#: The methods of ``solve`` that are made here.
ASYMPTOTIC = ("exact", "next_order")
#: Of the check at h = 1, where the null space's zeta is of order d/n.
_ROUNDING = 1e-14
#: Smallest n/d: below it the integrals lose too many digits, and no limit is near.
_FEWEST = 1e-6


def spectrum_of(problem: Problem, algorithm: GradientFlow | GradientDescent | None = None) -> Spectrum:
    """Return the asymptotic spectrum as the algorithm sees it."""
    check_problem(problem)
    blocks = problem.blocks if algorithm is None else trained_blocks(problem, algorithm)
    if problem.sampling_ratio < _FEWEST:
        raise ParameterError(
            f"samples must be at least {_FEWEST:g} of the dimension for the limit; got {problem.samples} of "
            f"{problem.dimension}"
        )
    surplus = (problem.samples - problem.dimension) / problem.dimension
    return Spectrum(merged(blocks), problem.sampling_ratio, surplus)


def edges(problem: Problem) -> tuple[float, float]:
    """Return the edges (lambda_-, lambda_+) of the asymptotic spectrum of X^T X, the null space at n < d apart.

    lambda_- is 0 at n = d. One block of variance s^2: s^2 (sqrt(n/d) -+ 1)^2. The largest eigenvalue of a sample lies
    below lambda_+ by O(d^(-2/3)).

    Parameters
    ----------
    problem : TwoScale, TeacherStudent or PowerLawTeacherStudent
        X has entries of variance s^2/d, and X^T X is not divided by n.

    Returns
    -------
    lambda_-, lambda_+ : floats

    Raises
    ------
    ParameterError
        For a problem of another phenomenon, or n/d below 1e-6.

    Examples
    --------
    >>> from dynamics.double_descent import TwoScale
    >>> left, right = edges(TwoScale(samples=400, dimension=100, condition_number=1))
    >>> round(left, 12), round(right, 12)
    (1.0, 9.0)
    """
    return spectrum_of(problem).edges()


def asymptotic_learning_rate(problem: Problem, algorithm: GradientDescent) -> float | Schedule:
    """Return the step size, or what ``learning_rate=None`` means in theory: 1/(lambda_+ + l2).

    Raises
    ------
    ParameterError
        When constant coefficients break the stability bound, with the default step too (a > 1).
    """
    largest = spectrum_of(problem, algorithm).edges()[1]
    step = algorithm.step_size(largest)
    if not algorithm.scheduled and (broken := algorithm.broken_bound(step, largest, 1)):
        raise ParameterError(f"{broken}. Lower it, or simulate with on_divergence='mark'")
    return step


def settled(
    problem: Problem, algorithm: GradientFlow | GradientDescent, method: str = "exact"
) -> GradientFlow | GradientDescent:
    """Return the algorithm with the step size that ``learning_rate=None`` stands for in theory, 1/(lambda_+ + l2).

    What is to be compared needs the same number on both sides: left open, each run takes its own sample's. The other
    methods of ``solve`` leave it open themselves: for given data it is the sample's own, too, and the published formula
    has no step size.

    Parameters
    ----------
    problem : TwoScale, TeacherStudent or PowerLawTeacherStudent
        Whose lambda_+ counts.
    algorithm : GradientFlow or GradientDescent
        Returned as it is unless its ``learning_rate`` is None.
    method : str
        Of ``solve``.

    Returns
    -------
    GradientFlow or GradientDescent

    Raises
    ------
    ParameterError
        When the default step is unstable (output_penalty > 1).

    Examples
    --------
    >>> from dynamics.double_descent import TwoScale
    >>> algorithm = settled(TwoScale(samples=400, dimension=100, condition_number=1), GradientDescent())
    >>> round(algorithm.learning_rate, 9)  # lambda_+ = 9
    0.111111111
    """
    if isinstance(algorithm, GradientFlow) or algorithm.learning_rate is not None or method not in ASYMPTOTIC:
        return algorithm
    return algorithm.model_copy(update={"learning_rate": asymptotic_learning_rate(problem, algorithm)})


class Evaluation(NamedTuple):
    """Filters of an algorithm with the kernels of a problem: whatever is asked of the limit is made from these."""

    spectrum: Spectrum
    limit: Kernels
    correction: Kernels | None
    filters: Filters
    quadrature_error: float


def check_accuracy(accuracy: float) -> float:
    """Return the accuracy asked for, or say what is allowed."""
    return check_between("accuracy", "largest error of the contour integrals", accuracy, 1e-14, 1e-3)


def prepare(
    problem: Problem,
    algorithm: GradientFlow | GradientDescent,
    times: Array,
    *,
    accuracy: float,
    correction: bool = True,
) -> Evaluation:
    """Choose a contour that serves all ``times`` to ``accuracy``, and evaluate the kernels on it."""
    accuracy = check_accuracy(accuracy)
    step = asymptotic_learning_rate(problem, algorithm) if isinstance(algorithm, GradientDescent) else None
    spectrum = spectrum_of(problem, algorithm)

    def filters(eigenvalues: Array, at: Array) -> tuple[Array, Array]:
        return spectral_filters(algorithm, eigenvalues, at, step)

    slowest = float(_flow_times(step, times[-1:])[0])
    # a schedule is stepped one by one, each step with its rounding
    rounding = 4.0 * np.finfo(float).eps * float(times[-1]) if algorithm.scheduled else 0.0
    try:
        return evaluate(spectrum, filters, times, slowest, accuracy=accuracy, correction=correction, rounding=rounding)
    except ParameterError as error:  # a schedule may be unstable for a while only, and then often can be integrated
        broken = ""
        if step is not None and isinstance(algorithm, GradientDescent):
            broken = algorithm.broken_bound(step, spectrum.edges()[1], int(times[-1]))
        if not broken:
            raise
        raise ParameterError(f"{broken}. Lower it, or simulate ({error})") from None


def _flow_times(step: float | Schedule | None, times: Array) -> Array:
    """Return flow time: the sum of the step sizes until each of ``times`` (itself for a flow, whose step is None)."""
    if not isinstance(step, Schedule):
        flow: Array = (1.0 if step is None else step) * np.asarray(times, dtype=np.float64)
        return flow
    ends = np.asarray(times, dtype=np.int64)
    pieces = [sum_of(step, begin, end) for begin, end in itertools.pairwise([0, *ends.tolist()])]
    return np.cumsum(pieces)


def evaluate(
    spectrum: Spectrum, filters: Filters, times: Array, slowest: float, *, accuracy: float, correction: bool,
    rounding: float = 0.0,
) -> Evaluation:  # fmt: skip
    """Evaluate the kernels for any ``filters(eigenvalues, times) -> (f, h)``; ``slowest`` is the longest flow time."""
    few = times[np.unique(np.linspace(0, times.size - 1, 40).astype(int))]
    with single_threaded():
        nodes, error, encloses = choose_nodes(spectrum, lambda x: filters(x, few), slowest, accuracy, rounding=rounding)
        check_memory(6 * times.size * nodes.z.size, "times must be fewer")
        around = contour(spectrum, nodes, encloses)
        limit = kernels(around, correction=False)
        next_order = kernels(around, correction=True) if correction else None
        untrained = limit.curves(np.zeros((1, around.z.size)), np.ones((1, around.z.size)))
    # at h = 1 the exact answer is R = 0 and bias = <c>: a wrong zeta anywhere shows here
    mean_power = spectrum.blocks.mean_power
    slip = max(abs(float(untrained.alignment[0])), abs(float(untrained.bias[0]) - mean_power))
    if not slip <= 10.0 * accuracy * max(1.0, mean_power) + _ROUNDING / spectrum.alpha:
        raise ParameterError(
            f"accuracy {accuracy:g} cannot be reached for this problem: rounding makes the integrals miss a known "
            f"answer by {slip:.1e}; ask for {min(slip, 1e-3):.0e} or so"
        )
    return Evaluation(spectrum, limit, next_order, filters, 3.0 * (error + slip))


def _errors(problem: Problem, curves: Curves, constant: float) -> dict[str, Array]:
    """Turn the parts into R, Q, E_G and E_T; ``constant`` is <c> for the limit and 0 for a correction."""
    variance = problem.noise**2
    twice = curves.bias + variance * curves.variance
    alignment = curves.alignment
    return {
        "alignment": alignment,
        "norm": twice - constant + 2.0 * alignment,
        "generalization_error": twice / 2.0,
        "training_error": (curves.fit + variance * curves.fit_noise) / (2.0 * problem.sampling_ratio),
    }


def exact(
    problem: Problem, algorithm: GradientFlow | GradientDescent, times: Array, *, accuracy: float, next_order: bool
) -> dict[str, Array]:
    """Return R, Q, E_G, E_T and what each may be off by (``<name>_error``).

    The limit n, d -> infinity at fixed n/d is off by C(t)/d + O(1/d^2) from the mean over data, and C is known: it is
    the limit's allowance, or (``next_order``) added. :func:`neglected` estimates what remains; the error of the
    quadrature is always part of the allowance.
    """
    ready = prepare(problem, algorithm, times, accuracy=accuracy)
    curves, corrections = limit_and_correction(problem, ready, times)
    step = asymptotic_learning_rate(problem, algorithm) if isinstance(algorithm, GradientDescent) else None
    # of a scheduled penalty the smallest one counts
    l2 = np.minimum.accumulate(values_at(algorithm.l2, times)) if isinstance(algorithm.l2, Schedule) else algorithm.l2
    with np.errstate(divide="ignore", over="ignore"):  # time 0 is an infinite penalty
        penalties = 1.0 / _flow_times(step, times) + l2
    remaining = neglected(problem, ready.spectrum, curves, corrections, penalties)
    numerical = ready.quadrature_error * max(1.0, ready.spectrum.blocks.mean_power + problem.noise**2)
    answer = {}
    for name, value in curves.items():
        known = corrections[name]
        answer[name] = value + known if next_order else value
        answer[f"{name}_error"] = numerical + remaining[name] + (np.zeros_like(known) if next_order else np.abs(known))
    return answer


def limit_and_correction(
    problem: Problem, ready: Evaluation, times: Array
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return R, Q, E_G, E_T in the limit, and the first correction C/d of each."""
    assert ready.correction is not None
    with single_threaded():
        f, h = ready.filters(ready.limit.z, times)
        limit, first = ready.limit.curves(f, h), ready.correction.curves(f, h)
    corrections = {name: item / problem.dimension for name, item in _errors(problem, first, 0.0).items()}
    return _errors(problem, limit, ready.spectrum.blocks.mean_power), corrections
