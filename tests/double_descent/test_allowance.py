"""The estimate of what the limit neglects, against its documented formula written out term by term."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from analytic.double_descent import ridge, solve
from analytic.double_descent._allowance import neglected
from analytic.double_descent._spectrum import Spectrum, merged
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import TeacherStudent
from dynamics.schedules import StepTable

PENALTIES = np.array([math.inf, 30.0, 0.7, 2.0, 0.01])  # not in order: training may go back


def by_hand(problem, curves, corrections):
    n, d = problem.samples, problem.dimension
    s2, w, c = (np.array(part) for part in problem.blocks)
    rows = []
    for penalty in PENALTIES:
        if math.isinf(penalty):
            rows.append((0.0, w @ c, 1.0))
            continue
        zeta = brentq(lambda x, p=penalty: x * (n / d - w @ (s2 / (s2 + x))) - p, 1e-9, 1e9, xtol=1e-300, rtol=1e-14)
        second = (w @ (s2 / (s2 + zeta)) ** 2) / (n / d)
        rows.append((second / (1.0 - second) / d, w @ (c * zeta / (s2 + zeta)), penalty / (n / d * zeta)))
    g, left, misfit = np.array(rows).T
    error = curves["generalization_error"]
    reach = {
        "alignment": left, "norm": 2 * (error + left), "generalization_error": error + left,
        "training_error": curves["training_error"] + misfit * (2 * error + problem.noise**2) / 2,
    }  # fmt: skip
    power = w @ c
    start = {"generalization_error": power / 2, "training_error": (power + problem.noise**2) / 2}
    expected = {}
    for name, known in corrections.items():
        before = np.array([np.abs(known[penalty <= PENALTIES]).max() for penalty in PENALTIES])
        squares = 2 * before**2 / max(start.get(name, 0.0), power)
        changed = np.abs(curves[name] - start.get(name, 0.0))
        expected[name] = 2 * g**2 * reach[name] + squares + changed / (2 * d * min(n, d))
    return expected


@pytest.mark.parametrize(("samples", "dimension"), [(30, 20), (12, 20), (20, 20)])
def test_allowance_is_the_documented_sum(samples, dimension):
    problem = TeacherStudent(
        samples=samples, dimension=dimension, variances=[1.5, 0.04], fractions=[0.3, 0.7], teacher_power=[0.5, 3.0],
        noise=0.7,
    )  # fmt: skip
    spectrum = Spectrum(merged(problem.blocks), samples / dimension, (samples - dimension) / dimension)
    rng = np.random.default_rng(5)
    names = ("alignment", "norm", "generalization_error", "training_error")
    curves = {name: rng.uniform(0.2, 2.0, PENALTIES.size) for name in names}
    corrections = {name: rng.uniform(-0.1, 0.1, PENALTIES.size) for name in names}
    found = neglected(problem, spectrum, curves, corrections, PENALTIES)
    for name, expected in by_hand(problem, curves, corrections).items():
        np.testing.assert_allclose(found[name], expected, rtol=2e-3)  # zeta is interpolated


def test_a_penalty_bounds_what_training_can_unlearn():
    """At the end of a flow with a penalty the allowance is that of ridge, not that of no penalty."""
    problem = TeacherStudent(samples=20, dimension=20, variances=[1.5, 0.04], noise=0.7)
    ended = solve(problem, GradientFlow(l2=0.3), [1e9])
    expected = ridge(problem, [0.3])
    free = solve(problem, GradientFlow(), [1e9])
    for name in ("alignment", "norm", "generalization_error"):
        assert float(ended[f"{name}_error"][0]) == pytest.approx(float(expected[f"{name}_error"][0]), rel=0.05)
        assert float(free[f"{name}_error"][0]) > 100 * float(ended[f"{name}_error"][0])


def test_of_a_scheduled_penalty_the_smallest_so_far_counts():
    problem = TeacherStudent(samples=20, dimension=20, variances=[1.5, 0.04], noise=0.7)
    rising = StepTable(steps=[0, 5], values=[0.3, 0.3 + 1e-12])
    errors = [
        solve(problem, GradientDescent(learning_rate=0.1, l2=l2), [5000]).generalization_error_error.values
        for l2 in (0.3, rising, 0.0)
    ]
    assert errors[1] == pytest.approx(errors[0], rel=1e-6)
    assert errors[2] > 5 * errors[0]
