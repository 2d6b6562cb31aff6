"""The limit does not depend on how blocks and units are written, states its own error and refuses what has none."""

import math

import numpy as np
import pytest

from analytic.double_descent import edges, solve
from dynamics import ParameterError
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import PowerLawTeacherStudent, TeacherStudent, TwoScale
from dynamics.schedules import StepTable
from tests.double_descent.common import BLOCKS, CURVES

CLOSE = 1e-11  #: two evaluations at the default accuracy, 1e-12 for R and a factor of a few more for the rest
PROBLEMS = {
    name: TeacherStudent(samples=n, dimension=10, **BLOCKS) for name, n in (("n<d", 7), ("n=d", 10), ("n>d", 17))
}
EVERY = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def largest(difference):
    return float(np.abs(difference).max())


def assert_same(one, two, tolerance):
    for name in CURVES:
        assert largest(one[name].values - two[name].values) < tolerance, name


ALGORITHMS = {
    "flow": (GradientFlow(l2=0.02), np.array([0.1, 3.0, 50.0, 1e4])),
    "descent": (GradientDescent(learning_rate=0.3, l2=0.02, output_penalty=0.2), np.array([1, 7, 100, 5000])),
}
BOTH = pytest.mark.parametrize(("algorithm", "times"), ALGORITHMS.values(), ids=ALGORITHMS)


@EVERY
@BOTH
def test_blocks_may_be_split_permuted_and_empty(problem, algorithm, times):
    first = solve(problem, algorithm, times)
    for variances, fractions, power in (
        ([1.0, 1.0, 0.09, 0.002], [0.2, 0.3, 0.3, 0.2], [0.7, 0.7, 1.6, 3.1]),
        ([1.0, 1.0, 0.09, 0.002], [0.25, 0.25, 0.3, 0.2], [0.1, 1.3, 1.6, 3.1]),  # only the mean power counts
        ([0.002, 1.0, 0.09], [0.2, 0.5, 0.3], [3.1, 0.7, 1.6]),
        ([1.0, 0.09, 0.002, 9.0], [0.5, 0.3, 0.2, 0.0], [0.7, 1.6, 3.1, 5.0]),
    ):
        other = problem.model_copy(update={"variances": variances, "fractions": fractions, "teacher_power": power})
        assert edges(other) == pytest.approx(edges(problem), rel=1e-13)
        assert_same(first, solve(other, algorithm, times), CLOSE)


@EVERY
def test_scale_of_variances_is_a_unit_of_time(problem):
    scale = 37.0
    scaled = problem.model_copy(update={"variances": [scale * value for value in BLOCKS["variances"]]})
    times = np.array([0.1, 3.0, 50.0, 1e4])
    one = solve(problem, GradientFlow(l2=0.02), times)
    assert_same(one, solve(scaled, GradientFlow(l2=0.02 * scale), times / scale), CLOSE)
    steps = np.array([1, 7, 100, 5000])
    one = solve(problem, GradientDescent(learning_rate=0.3, l2=0.02), steps)
    two = solve(scaled, GradientDescent(learning_rate=0.3 / scale, l2=0.02 * scale), steps)
    assert_same(one, two, CLOSE)


@EVERY
@BOTH
def test_common_scale_of_teacher_and_noise_is_the_unit_of_error(problem, algorithm, times):
    louder = problem.model_copy(
        update={"teacher_power": [9 * value for value in BLOCKS["teacher_power"]], "noise": 3 * problem.noise}
    )
    one, nine = solve(problem, algorithm, times), solve(louder, algorithm, times)
    for name in CURVES:
        assert largest(nine[name].values - 9 * one[name].values) < 9 * CLOSE, name


@EVERY
@pytest.mark.parametrize("kind", [GradientFlow, GradientDescent])
def test_rates_are_rescaled_variances(problem, kind):
    rates = [0.5, 2.0, 40.0]
    rescaled = problem.model_copy(
        update={"variances": [s2 * rate for s2, rate in zip(BLOCKS["variances"], rates, strict=True)]}
    )
    times = [1, 10, 500]
    assert_same(solve(problem, kind(rates=rates), times), solve(rescaled, kind(), times), CLOSE)


def test_power_law_is_its_blocks():
    problem = PowerLawTeacherStudent(samples=180, dimension=300, variance_exponent=1.2, teacher_exponent=0.7, noise=0.5)
    variances, fractions, power = (values.tolist() for values in problem.blocks)
    blocks = TeacherStudent(
        samples=180, dimension=300, noise=0.5, variances=variances, fractions=fractions, teacher_power=power
    )
    times = [0.5, 20.0, 1e3]
    assert_same(solve(problem, GradientFlow(), times), solve(blocks, GradientFlow(), times), 1e-15)
    k = np.arange(1, 301)
    assert largest(problem.blocks.variance - k**-1.2) < 1e-15
    assert largest(problem.blocks.power - k**-0.7 / np.mean(k**-0.7)) < 1e-14


@EVERY
def test_constant_output_penalty_shrinks_plain_descent(problem):
    """f = (1 - (1 - eta(1 + a) L)^t)/((1 + a) L): plain descent at step eta(1 + a), divided by 1 + a."""
    steps, a, c = [1, 5, 40, 1000], 0.4, problem.blocks.mean_power
    found = solve(problem, GradientDescent(learning_rate=0.2, output_penalty=a), steps)
    plain = solve(problem, GradientDescent(learning_rate=0.2 * (1 + a)), steps)
    alignment, norm = plain["alignment"] / (1 + a), plain["norm"] / (1 + a) ** 2
    assert largest((found["alignment"] - alignment).values) < CLOSE
    assert largest((found["norm"] - norm).values) < CLOSE
    assert largest((found["generalization_error"] - (c - 2 * alignment + norm) / 2).values) < CLOSE


@EVERY
def test_schedules_of_constants_are_constants(problem):
    steps = [1, 2, 9, 70, 600]
    plain = GradientDescent(learning_rate=0.25, l2=0.03, output_penalty=0.1)
    tables = {name: StepTable(steps=[0, 5, 60], values=[value] * 3) for name, value in
              (("learning_rate", 0.25), ("l2", 0.03), ("output_penalty", 0.1))}  # fmt: skip
    assert_same(solve(problem, plain, steps), solve(problem, GradientDescent(**tables), steps), CLOSE)


# --- accuracy and refusals


@pytest.mark.parametrize("accuracy", [1e-4, 1e-7, 1e-10, 1e-12])
@pytest.mark.parametrize("samples", [0.6, 0.95, 1.4])
@pytest.mark.parametrize("ratio", [3.0, 1e5])
def test_stated_error_bounds_the_distance_to_a_finer_contour(samples, ratio, accuracy):
    """At d = 1e15 the finite-size part of ``<name>_error`` is below 1e-12: what is left is the quadrature's."""
    size = 10**15
    problem = TwoScale(samples=round(samples * size), dimension=size, fast=size // 2, condition_number=ratio, noise=0.5)
    step = 1.6 / edges(problem)[1]
    for algorithm, times in (
        (GradientFlow(), np.geomspace(1e-2, 1e12, 40)),
        (GradientFlow(l2=1e-4), np.geomspace(1e-2, 1e6, 40)),
        (GradientDescent(learning_rate=step), np.unique(np.geomspace(1, 1e5, 30).astype(int))),
    ):
        fine = solve(problem, algorithm, times, accuracy=1e-13)
        found = solve(problem, algorithm, times, accuracy=accuracy)
        for name in CURVES:
            stated = found[f"{name}_error"].values + fine[f"{name}_error"].values
            assert stated.max() < 20 * accuracy
            assert (np.abs(found[name].values - fine[name].values) <= stated).all(), name


def test_accuracy_that_cannot_be_had_is_refused():
    for accuracy in (0.0, 1e-15, 0.1, math.nan):
        with pytest.raises(ParameterError, match="accuracy"):
            solve(PROBLEMS["n>d"], GradientFlow(), [1.0], accuracy=accuracy)


@EVERY
@pytest.mark.parametrize(("l2", "penalty"), [(0.0, 0.0), (0.3, 0.0), (0.2, 0.5)])
def test_step_above_the_bound_is_refused(problem, l2, penalty):
    bound = 2.0 / ((1 + penalty) * edges(problem)[1] + l2)
    with pytest.raises(ParameterError, match=f"learning_rate.* = {bound:.6g},"):
        solve(problem, GradientDescent(learning_rate=1.0001 * bound, l2=l2, output_penalty=penalty), [10])
    below = solve(problem, GradientDescent(learning_rate=0.99 * bound, l2=l2, output_penalty=penalty), [1, 10, 1000])
    assert 0 < below["generalization_error"].values[-1] < 3  # the flipping modes have died out


@EVERY
def test_default_step(problem):
    found = solve(problem, GradientDescent(l2=0.3), [1, 10])
    step = 1.0 / (edges(problem)[1] + 0.3)
    assert found["learning_rate"].item() == pytest.approx(step, rel=1e-14)
    assert_same(found, solve(problem, GradientDescent(learning_rate=step, l2=0.3), [1, 10]), 1e-14)
