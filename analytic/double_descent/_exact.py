"""The high-dimensional limit of every curve, and its first correction in 1/d, for any spectrum, filter and schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytic.double_descent._contour import choose_nodes, contour
from analytic.double_descent._kernels import Curves, Kernels, kernels
from analytic.double_descent._spectrum import Spectrum, merged
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import Problem, trained_blocks
from dynamics.errors import ParameterError
from dynamics.filters import spectral_filters
from dynamics.schedules import Schedule, values_at
from dynamics.threads import single_threaded

__all__ = [
    "Evaluation",
    "asymptotic_learning_rate",
    "edges",
    "evaluate",
    "exact",
    "limit_and_correction",
    "neglected",
    "prepare",
    "spectrum_of",
]

Array = NDArray[Any]
Filters = Callable[[Array, Array], tuple[Array, Array]]


def spectrum_of(problem: Problem, algorithm: GradientFlow | GradientDescent | None = None) -> Spectrum:
    """Return the asymptotic spectrum as the algorithm sees it."""
    blocks = problem.blocks if algorithm is None else trained_blocks(problem, algorithm)
    return Spectrum(merged(blocks), problem.sampling_ratio)


def edges(problem: Problem) -> tuple[float, float]:
    """Return the edges (lambda_-, lambda_+) of the asymptotic spectrum of X^T X, the null space at n < d apart.

    lambda_- is 0 at n = d. One block of variance s^2: s^2 (sqrt(n/d) -+ 1)^2. The largest eigenvalue of a sample lies
    below lambda_+ by O(d^(-2/3)).

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
        When a constant step is above the stability bound 2/((1 + a) lambda_+ + l2).
    """
    largest = spectrum_of(problem, algorithm).edges()[1]
    if algorithm.learning_rate is None:
        return 1.0 / (largest + float(values_at(algorithm.l2, np.zeros(1, dtype=np.int64))[0]))
    if algorithm.scheduled:
        return algorithm.learning_rate
    coefficients: Any = (algorithm.learning_rate, algorithm.l2, algorithm.output_penalty)
    step, l2, penalty = (float(value) for value in coefficients)
    bound = 2.0 / ((1.0 + penalty) * largest + l2)
    if step > bound:
        raise ParameterError(
            f"learning_rate (step size) must be at most 2/((1 + output_penalty) lambda_+ + l2) = {bound:.6g}, above "
            f"which gradient descent diverges (lambda_+ = {largest:.6g}); got {step:g}. Lower it, or simulate with "
            "on_divergence='mark'"
        )
    return step


class Evaluation(NamedTuple):
    """Filters of an algorithm with the kernels of a problem: whatever is asked of the limit is made from these."""

    spectrum: Spectrum
    limit: Kernels
    correction: Kernels | None
    filters: Filters
    quadrature_error: float


def prepare(
    problem: Problem,
    algorithm: GradientFlow | GradientDescent,
    times: Array,
    *,
    accuracy: float,
    correction: bool = True,
) -> Evaluation:
    """Choose a contour that serves all ``times`` to ``accuracy``, and evaluate the kernels on it."""
    if not 1e-14 <= accuracy <= 1e-3:
        raise ParameterError(
            f"accuracy (largest error of the contour integrals) must be in [1e-14, 1e-3]; got {accuracy!r}"
        )
    step: Any = asymptotic_learning_rate(problem, algorithm) if isinstance(algorithm, GradientDescent) else None
    fastest = 1.0 if step is None else float(values_at(step, np.arange(1)).max())

    def filters(eigenvalues: Array, at: Array) -> tuple[Array, Array]:
        return spectral_filters(algorithm, eigenvalues, at, step)

    slowest = fastest * float(times[-1])
    return evaluate(spectrum_of(problem, algorithm), filters, times, slowest, accuracy=accuracy, correction=correction)


def evaluate(
    spectrum: Spectrum, filters: Filters, times: Array, slowest: float, *, accuracy: float, correction: bool
) -> Evaluation:
    """Evaluate the kernels for any ``filters(eigenvalues, times) -> (f, h)``; ``slowest`` is the longest flow time."""
    few = times[np.unique(np.linspace(0, times.size - 1, 40).astype(int))]
    with single_threaded():
        nodes, error, encloses = choose_nodes(spectrum, lambda x: filters(x, few), slowest, accuracy)
        around = contour(spectrum, nodes, encloses)
        limit = kernels(around, correction=False)
        next_order = kernels(around, correction=True) if correction else None
        untrained = limit.curves(np.zeros((1, around.z.size)), np.ones((1, around.z.size)))
    # at h = 1 the exact answer is R = 0 and bias = <c>: a wrong zeta anywhere shows here
    mean_power = spectrum.blocks.mean_power
    slip = max(abs(float(untrained.alignment[0])), abs(float(untrained.bias[0]) - mean_power))
    if not slip <= 10.0 * accuracy * max(1.0, mean_power):
        raise ArithmeticError(
            f"the contour integral misses its check by {slip:.1e}; please report this spectrum: {spectrum!r}"
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
    step, l2 = 1.0, algorithm.l2
    if isinstance(algorithm, GradientDescent):
        step = float(values_at(asymptotic_learning_rate(problem, algorithm), np.arange(1))[0])
    with np.errstate(divide="ignore"):  # time 0 is an infinite penalty
        penalties = 1.0 / (step * np.asarray(times, dtype=np.float64)) + (
            0.0 if isinstance(l2, Schedule) else float(l2)
        )
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


def neglected(
    problem: Problem, spectrum: Spectrum, curves: dict[str, Array], corrections: dict[str, Array], penalties: Array
) -> dict[str, Array]:
    """Estimate the terms beyond 1/d of each curve, where training has gone as far as ridge at ``penalties``.

    The expansion is in g = D/(d (1 - D)) with D = df2(zeta, zeta)/alpha at the ridge's zeta: without penalty at n > d
    it is 1/(n - d), and E_G is exactly the limit times 1 + g + g^2 + ...; at n = d it grows without end as the penalty
    goes to 0. Two g^2 of what is still to learn, and twice the square of the largest first correction, are allowed for.
    """
    g = _expansion_parameter(problem, spectrum, penalties)
    power = problem.blocks.mean_power
    unlearned = np.abs(power - curves["alignment"])
    size = {"alignment": unlearned, "norm": 2.0 * (unlearned + curves["generalization_error"])}
    scale = {"generalization_error": power / 2.0, "training_error": (power + problem.noise**2) / 2.0}
    rest = {}
    for name, known in corrections.items():
        whole = scale.get(name, power)
        squared = 2.0 * float(np.abs(known).max()) ** 2 / whole if whole > 0 else 0.0
        rest[name] = 2.0 * g**2 * np.abs(size.get(name, curves[name])) + squared
    return rest


def _expansion_parameter(problem: Problem, spectrum: Spectrum, penalties: Array) -> Array:
    """Return g over the penalties, by interpolation along the explicit map zeta -> penalty."""
    finite = penalties[np.isfinite(penalties)]
    if not finite.size:
        return np.zeros(penalties.shape)
    null = spectrum.null_zeta() if spectrum.alpha < 1.0 else 0.0
    low = max(finite.min() / spectrum.alpha, 1e-12 * spectrum.blocks.variance[-1])
    high = (finite.max() + spectrum.mean(spectrum.blocks.variance)) / spectrum.alpha
    zeta = null + np.geomspace(low, high, 300)
    variance = spectrum.blocks.variance
    df2 = spectrum.mean((variance / (variance + zeta[:, None])) ** 2)
    g = df2 / (spectrum.denominator(zeta, zeta) * problem.dimension)
    found = np.interp(np.log(np.maximum(penalties, low)), np.log(-spectrum.z(zeta)), np.log(g))
    return np.where(np.isfinite(penalties), np.exp(found), 0.0)
