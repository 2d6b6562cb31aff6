"""Timings of double descent by themselves, one thread: theory curves, draws, steps. Ratios are in the script beside."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from analytic.double_descent import critical_condition_number, edges, solve
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import PowerLawTeacherStudent, TwoScale
from simulations.double_descent import sample, simulate

TIMES = np.geomspace(1e-2, 1e6, 300)
PROBLEM = TwoScale(samples=150, dimension=100, fast=60, condition_number=50.0)


@pytest.fixture(autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


@pytest.mark.parametrize("method", ["exact", "finite", "published"])
def test_300_times_of_theory(benchmark, method):
    data = {"data": sample(PROBLEM, runs=1)} if method == "finite" else {}
    benchmark(solve, PROBLEM, GradientFlow(), TIMES, method=method, **data)


def test_300_times_of_a_power_law_of_1000_directions(benchmark):
    benchmark(solve, PowerLawTeacherStudent(samples=1400, dimension=1000), GradientFlow(), TIMES)


def test_critical_condition_number(benchmark):
    benchmark(critical_condition_number, PROBLEM)


@pytest.mark.parametrize("d", [100, 200, 400])
def test_one_averaged_draw(benchmark, d):
    problem = TwoScale(samples=3 * d // 2, dimension=d, fast=6 * d // 10)
    benchmark(simulate, problem, GradientFlow(), TIMES[::3], runs=1, workers=1, teacher="averaged")


def test_10000_literal_steps(benchmark):
    descent = GradientDescent(learning_rate=1.0 / edges(PROBLEM)[1])
    benchmark(simulate, PROBLEM, descent, [10_000], runs=1, method="literal", workers=1)
