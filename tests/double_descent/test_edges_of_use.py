"""Where it is easily lost: schedules that warm up, n close to d, much and little noise, ill-conditioned averages."""

import numpy as np
import pytest

from analytic.double_descent import (
    bayes_error,
    critical_condition_number,
    edges,
    extrema,
    optimal_ridge,
    optimal_stopping,
    ridge,
    shrinkage,
    solve,
    winning_minimum,
)
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import PowerLawTeacherStudent, TeacherStudent, TwoScale
from dynamics.errors import ParameterError
from dynamics.schedules import StepTable
from simulations.double_descent import sample, simulate
from tests.double_descent.common import BLOCKS, CURVES, error_at


@pytest.mark.parametrize("samples", [50, 100, 170])
def test_idle_first_steps_change_nothing_but_the_time(samples):
    """A step size of 0 for five steps: the contour must not take its size from the first step."""
    problem = TeacherStudent(samples=samples, dimension=100, **BLOCKS)
    late = GradientDescent(learning_rate=StepTable(steps=[0, 5], values=[0.0, 0.25]))
    times = np.array([0, 5, 30, 1000, 30_000])
    found = solve(problem, late, times)
    expected = solve(problem, GradientDescent(learning_rate=0.25), [0, 25, 995, 29_995])
    for name in CURVES:
        np.testing.assert_allclose(found[name][1:], expected[name], atol=1e-11)
        assert found[name][0] == pytest.approx(found[name][1].item(), abs=1e-12)
        # the same training has the same allowance, up to the quadrature's own error
        np.testing.assert_allclose(found[f"{name}_error"][1:], expected[f"{name}_error"], rtol=1e-3, atol=1e-9)


def test_a_constant_written_as_a_schedule_is_the_constant():
    """Stepped one by one, with the rounding of 10^5 steps: no better accuracy than 1e-11 or so, and none is claimed."""
    problem, steps = TwoScale(), [10, 1000, 100_000]
    stepped = solve(problem, GradientDescent(learning_rate=StepTable(values=[0.3])), steps)
    closed = solve(problem, GradientDescent(learning_rate=0.3), steps)
    for name in CURVES:
        np.testing.assert_allclose(stepped[name], closed[name], atol=2e-10)


@pytest.mark.parametrize("dimension", [10**3, 10**6, 10**9, 10**12, 2**53 - 1])
def test_one_sample_more_than_unknowns(dimension):
    """Least squares: 2 E_G = sigma^2/(alpha - 1) = d, from whole numbers, without rounding n/d first."""
    one_more = TwoScale(samples=dimension + 1, dimension=dimension, fast=dimension // 2, noise=1.0)
    assert ridge(one_more, [0.0])["generalization_error"].item() == pytest.approx(dimension / 2, rel=1e-12)
    one_fewer = one_more.model_copy(update={"samples": dimension - 1})
    # minimal norm: zeta_0 = (1 - alpha)/<1/s^2> up to O(1/d), and 2 E_G = sigma^2 D/(1 - D) up to O(1)
    assert ridge(one_fewer, [0.0])["generalization_error"].item() == pytest.approx(dimension / 2, rel=1e4 / dimension)


def test_flow_next_to_as_many_samples_as_unknowns():
    """The end of training is least squares, at 10^6 directions and one sample more: 5e5, relative to which is 1e-9."""
    problem = TwoScale(samples=10**6 + 1, dimension=10**6, fast=5 * 10**5, condition_number=2.0, noise=1.0)
    late = solve(problem, GradientFlow(), [1e15])["generalization_error"].item()
    assert late == pytest.approx(5e5, rel=1e-9)


@pytest.mark.parametrize(
    ("problem", "time", "error"),
    [
        (TwoScale(samples=100, dimension=100, condition_number=1.0, noise=1e-3), 6.0e5, 5.13e-4),
        (TwoScale(samples=100, dimension=100, condition_number=10.0, noise=1e-3), 5.9e7, 8.0e-4),
        (PowerLawTeacherStudent(samples=100, dimension=100, noise=1e-3), 4.0e7, 5.9e-4),
        (TwoScale(samples=150, dimension=100, condition_number=10.0, noise=15.0), 0.00445, 0.49800),
        (TwoScale(samples=150, dimension=100, condition_number=10.0, noise=30.0), 0.00112, 0.49949),
    ],
    ids=["n = d, isotropic", "n = d", "n = d, power law", "noise 15", "noise 30"],
)
def test_the_best_time_is_found_however_late_or_early(problem, time, error):
    """Against the lowest point of a dense grid; the times and errors are those of an independent evaluation."""
    found = optimal_stopping(problem)
    assert found.time == pytest.approx(time, rel=2e-2)
    assert found.generalization_error == pytest.approx(error, rel=1e-2)
    grid = np.geomspace(time / 100, time * 100, 400)
    assert found.generalization_error <= error_at(problem, grid).min() * (1 + 1e-12)


def test_allowance_does_not_depend_on_later_times():
    problem = TwoScale(samples=110, dimension=100, fast=60, noise=1.0)
    early, late = (solve(problem, GradientFlow(), np.geomspace(1e-2, last, 9)) for last in (1.0, 1e6))
    both = solve(problem, GradientFlow(), np.unique([*early["time"].values, *late["time"].values]))
    for name in CURVES:
        ours, theirs = early[f"{name}_error"].values, both[f"{name}_error"].sel(time=early["time"]).values
        # more early times may raise the running maximum a little; the quadrature has its own error
        np.testing.assert_allclose(ours, theirs, rtol=0.5, atol=1e-10)
    assert both["generalization_error_error"].sel(time=1.0) < 0.05 * both["generalization_error"].sel(time=1.0)


def test_unstable_coefficients_are_named_with_their_bound():
    problem, largest = TwoScale(), edges(TwoScale())[1]
    for algorithm, bound in (
        (GradientDescent(output_penalty=1.5), 2 / (2.5 * largest)),
        (GradientDescent(learning_rate=3.0, l2=0.1), 2 / (largest + 0.1)),
    ):
        with pytest.raises(ParameterError, match=rf"learning_rate .* at most .* = {bound:.6g}, above which"):
            solve(problem, algorithm, [1, 10, 1000])
    later = GradientDescent(learning_rate=StepTable(steps=[0, 7], values=[0.1, 3.0]))
    with pytest.raises(ParameterError, match=r"= 0\.5\d* at step 7, above which .*accuracy 1e-12 cannot be reached"):
        solve(problem, later, [1, 10, 1000])
    data = sample(problem, runs=2)
    for algorithm in (GradientDescent(learning_rate=3.0), later):
        with pytest.raises(ParameterError, match=r"learning_rate .* above which gradient descent diverges"):
            solve(problem, algorithm, [1, 1000], method="finite", data=data)


def test_averages_that_rounding_would_drown_are_refused():
    problem = TwoScale(samples=15, dimension=10, fast=5, condition_number=1e12)
    for ask in (
        lambda: simulate(problem, GradientFlow(), [0.0], runs=1, teacher="averaged"),
        lambda: solve(problem, GradientFlow(), [0.0], method="finite", data=sample(problem, runs=1)),
    ):
        with pytest.raises(ParameterError, match=r"standard deviations must be at most 1e\+11 .* got 1e\+12"):
            ask()
    close = problem.model_copy(update={"condition_number": 9e10})
    untrained = simulate(close, GradientFlow(), [0.0], runs=20, teacher="averaged")["generalization_error"]
    np.testing.assert_allclose(untrained, 0.5, atol=1e-9)


def test_extremes_have_answers_without_warnings():
    """Legal problems far from everyday ones (warnings are errors here)."""
    for problem in (
        TwoScale(samples=60, dimension=100, fast=60, condition_number=1e5),
        TwoScale(samples=100, dimension=10**7, fast=10**6, condition_number=1e5),
        TwoScale(samples=1, dimension=1, fast=0, noise=1e10),
        TwoScale(samples=10**15, dimension=100, fast=100),
    ):
        answer = solve(problem, GradientFlow(), [0.0, 1e-300, 1.0, 1e15])
        assert all(np.isfinite(answer[name]).all() for name in answer)
        assert answer["generalization_error"][0] == pytest.approx(0.5, rel=1e-9)
    critical = TwoScale(samples=60, dimension=100, fast=60, condition_number=1e8)
    with pytest.raises(ParameterError, match=r"accuracy 1e-12 cannot be reached .* ask for \de-10 or so"):
        solve(critical, GradientFlow(), [1e15])
    answer = solve(critical, GradientFlow(), [0.0, 1.0, 1e15], accuracy=1e-9)["generalization_error"]
    np.testing.assert_allclose(answer[:2], error_at(critical.model_copy(update={"condition_number": 1e5}), [0.0, 1.0]))
    few = TwoScale(samples=100, dimension=1000, fast=500, condition_number=1e5)
    assert np.isfinite(ridge(few, [0.0, 1e-3])["generalization_error_error"]).all()
    assert optimal_ridge(TwoScale(noise=1e-160)).generalization_error < 1e-200
    assert optimal_stopping(PowerLawTeacherStudent(samples=150, variance_exponent=20.0)).time == np.inf
    with pytest.raises(ParameterError, match="samples must be at least 1e-06 of the dimension"):
        edges(TwoScale(samples=1, dimension=10**9))


def test_what_is_no_question_is_refused_in_words():
    problem, flow = TwoScale(), GradientFlow()
    for ask, said in (
        (lambda: edges("x"), "problem must be one of TwoScale"),
        (lambda: bayes_error(None), "problem must be one of TwoScale"),
        (lambda: winning_minimum(flow), "problem must be a TwoScale"),
        (lambda: critical_condition_number(flow), "problem must be TwoScale"),
        (lambda: solve(problem, flow, [1.0], accuracy="high"), r"accuracy .* must be a number in \[1e-14, 0\.001\]"),
        (lambda: solve(problem, flow, [1.0], method="published", accuracy=0.1), "accuracy"),
        (lambda: critical_condition_number(problem, largest=None), r"largest .* must be a number in"),
        (lambda: critical_condition_number(problem, largest=1e50), r"largest .* must be a number in"),
        (lambda: extrema(problem, last=True), r"last .* must be a number in"),
        (lambda: optimal_stopping(problem, last="10"), r"last .* must be a number in"),
        (lambda: shrinkage("x"), "solution must be a Dataset; got str"),
        (lambda: shrinkage(solve(problem, flow, [1.0]).drop_vars("alignment")), "with alignment and norm"),
        (lambda: solve(problem, flow, [True, 2.0]), "times must be numbers"),
        (lambda: solve(problem, flow, np.ma.array([1.0, 2.0], mask=[0, 1])), "times must be numbers"),
        (lambda: simulate(problem, flow, [1.0], runs=2, teacher=np.array(["sampled"])), "teacher must be one of"),
        (lambda: simulate(problem, flow, [1.0], runs=np.timedelta64(3)), "runs must be a whole number"),
        (lambda: simulate(problem, flow, [1.0], runs=2, first_run=2**32 - 1), r"at most 2\^32"),
    ):
        with pytest.raises(ParameterError, match=said):
            ask()
