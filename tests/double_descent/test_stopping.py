"""Optimal stopping and the best shrinkage of a student."""

import math

import numpy as np
import pytest

from analytic.double_descent import extrema, optimal_ridge, optimal_stopping, ridge, shrinkage, solve
from dynamics import ParameterError
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import TeacherStudent, TwoScale
from simulations.double_descent import simulate
from tests.double_descent.common import BLOCKS, error_at

# --- optimal stopping


def bayes_floor(alpha, noise):
    """Return the smallest E_G of any estimator: ridge in latent space at penalty sigma^2 (one block of variance 1)."""
    b, c = alpha - 1 - noise**2, -(noise**2)
    zeta = (-b + math.sqrt(b * b - 4 * alpha * c)) / (2 * alpha)
    return zeta / (1 + zeta) / 2


@pytest.mark.parametrize("ratio", [1.0, 4.0, 50.0])
@pytest.mark.parametrize(("samples", "noise"), [(70, 0.5), (100, 0.3), (150, 0.3), (400, 1.5)])
def test_optimal_stopping(samples, noise, ratio):
    """The best of a fine curve, at its time, and never below the Bayes floor."""
    problem = TwoScale(samples=samples, dimension=100, condition_number=ratio, noise=noise)
    stop = optimal_stopping(problem)
    curve = error_at(problem, np.geomspace(1e-2, 1e7, 2000))
    assert stop.generalization_error <= curve.min() + 1e-12
    assert stop.generalization_error == pytest.approx(curve.min(), abs=1e-4)
    assert stop.generalization_error >= bayes_floor(samples / 100, noise)
    assert error_at(problem, [stop.time]).item() == pytest.approx(stop.generalization_error, abs=1e-12)


def test_bayes_floor():
    """For one block the best ridge is Bayes-optimal, and early stopping comes within 10 % (never below)."""
    for samples, noise in ((150, 0.3), (70, 0.5)):
        problem = TwoScale(samples=samples, dimension=100, condition_number=1, noise=noise)
        assert optimal_ridge(problem).generalization_error == pytest.approx(
            bayes_floor(samples / 100, noise), abs=1e-10
        )
        assert 1.0 < optimal_stopping(problem).generalization_error / bayes_floor(samples / 100, noise) < 1.1


@pytest.mark.parametrize(
    ("problem", "flow", "penalty"),
    [
        (TwoScale(samples=150, dimension=100), GradientFlow(), 0.0),
        (TwoScale(samples=100, dimension=100), GradientFlow(), 0.0),
        (TwoScale(samples=150, dimension=100, condition_number=1, noise=0.5), GradientFlow(l2=0.5), 0.5),
        (TwoScale(samples=60, dimension=100, condition_number=1), GradientFlow(), 0.0),
    ],
)
def test_stopping_never_is_best(problem, flow, penalty):
    time, error = optimal_stopping(problem, flow)
    assert time == math.inf
    assert error == pytest.approx(ridge(problem, [penalty])["generalization_error"].item(), abs=1e-15)


def test_rates_decide_what_is_learned_in_the_end_with_few_samples():
    """n < d: the flow ends at the interpolator of smallest norm in the rescaled features."""
    problem = TwoScale(samples=60, dimension=100, fast=30, condition_number=2)
    flow = GradientFlow(rates=[1.0, 4.0])
    time, error = optimal_stopping(problem, flow)
    assert time == math.inf
    end = solve(problem, flow, [1e4])["generalization_error"].item()
    assert error == pytest.approx(end, abs=1e-11)
    assert abs(error - optimal_stopping(problem).generalization_error) > 1e-3


def test_last_time_of_optimal_stopping():
    problem = TwoScale(samples=150, dimension=100)
    assert optimal_stopping(problem, last=100.0).time == pytest.approx(1.35734286, rel=1e-8)  # the first minimum
    early = optimal_stopping(problem, last=0.7)
    assert early == (0.7, pytest.approx(error_at(problem, [0.7]).item(), abs=1e-12))


def test_pure_noise_is_best_left_alone():
    problem = TwoScale(samples=150, dimension=100, noise=0.5).blocks
    nothing = TeacherStudent(samples=150, variances=problem.variance, teacher_power=[0.0, 0.0], noise=0.5)
    assert optimal_stopping(nothing) == (0.0, 0.0)


# --- shrinkage


def test_shrinkage_is_the_best_factor():
    """On a line of factors around it the error is smallest in the middle, and there it is <c>/2 - R^2/(2Q)."""
    problem = TeacherStudent(samples=13, dimension=10, **BLOCKS)
    solution = solve(problem, GradientFlow(), [0.01, 0.5, 10.0, 1e4])
    found = shrinkage(solution)
    alignment, norm = solution["alignment"].values, solution["norm"].values
    factors = np.linspace(0.5, 1.5, 101)[:, None] * found["factor"].values
    errors = (problem.blocks.mean_power - 2 * factors * alignment + factors**2 * norm) / 2
    assert (errors.argmin(axis=0) == 50).all()
    assert np.abs(found["generalization_error"].values - errors[50]).max() < 1e-12
    best = problem.blocks.mean_power / 2 - alignment**2 / (2 * norm)
    assert np.abs(found["generalization_error"].values - best).max() < 1e-12


def test_shrinkage_of_figure_6():
    """Plain descent at n = 120, p = 70, kappa = 30: four digits."""
    problem = TwoScale(samples=120, dimension=100, fast=70, condition_number=30)
    found = shrinkage(solve(problem, GradientDescent(), [10, 108, 287, 925]))
    assert found["generalization_error"].values == pytest.approx([0.2541, 0.2733, 0.2663, 0.2367], abs=6e-5)


def test_shrinkage_of_an_untrained_student():
    """At t = 0 nothing is scaled; just after, the best length is the first step's direction's, at any time."""
    problem = TeacherStudent(samples=13, dimension=10, **BLOCKS)
    s2, w, c = problem.blocks
    found = shrinkage(solve(problem, GradientFlow(), [0.0, 1e-3, 2e-3]))
    assert found["factor"].values[0] == 1.0
    assert found["generalization_error"].values[0] == pytest.approx(w @ c / 2, abs=1e-11)
    # R = tau alpha <c s2>, Q = tau^2 [alpha^2 <c s2^2> + alpha (<c> + sigma^2) <s2^2>], to first order in tau
    alpha = 1.3
    norm = alpha**2 * (w @ (c * s2**2)) + alpha * (w @ c + 0.16) * (w @ s2**2)
    limit = w @ c / 2 - (alpha * (w @ (c * s2))) ** 2 / (2 * norm)
    one, two = found["generalization_error"].values[1:]
    assert 2 * one - two == pytest.approx(limit, abs=1e-5)


def test_shrinkage_of_ridge_and_of_given_data():
    problem = TwoScale(samples=30, dimension=20, fast=10, noise=0.3)
    path = ridge(problem, [1e-3, 0.1, 2.0])
    assert shrinkage(path)["factor"].dims == ("penalty",)
    assert (shrinkage(path)["generalization_error"] <= path["generalization_error"] + 1e-15).all()
    with pytest.raises(ParameterError, match="theory"):
        shrinkage(simulate(problem, GradientFlow(), [1.0], runs=2))
    with pytest.raises(ParameterError, match="theory"):
        shrinkage(extrema(problem))
