"""The simulation of double descent against plain linear algebra on the data that ``sample`` gives."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import expm

import analytic.double_descent
from dynamics import ParameterError
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import TeacherStudent, TwoScale
from dynamics.schedules import SoftplusDecay
from simulations.double_descent import ridge, sample, simulate
from tests.double_descent.common import CURVES, TALL, WIDE, same_bits, scale_of

EPS = np.finfo(float).eps
SQUARE = WIDE.model_copy(update={"samples": 20})
PROBLEMS = {"n<d": WIDE, "n=d": SQUARE, "n>d": TALL}
EVERY = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def curves_of(problem, weights, teacher, inputs, labels):
    """R, Q, E_G, E_T of weights (d,), in the words of the definitions."""
    seen = scale_of(problem) * weights
    d = problem.dimension
    residual = inputs @ weights - labels
    return {
        "alignment": teacher @ seen / d,
        "norm": seen @ seen / d,
        "generalization_error": (teacher - seen) @ (teacher - seen) / (2 * d),
        "training_error": residual @ residual / (2 * problem.samples),
    }


def assert_curves(got, expected, tolerance):
    for name in CURVES:
        assert got[name].values == pytest.approx(expected[name], abs=tolerance), name


# --- data


# --- one run against linear algebra


@EVERY
@pytest.mark.parametrize("rates", [None, (0.5, 2.0, 7.0)], ids=["equal rates", "rates"])
def test_gradient_flow_is_the_matrix_exponential(problem, rates):
    """dw/dtau = P [X^T y - (X^T X + l2) w], solved by one exponential of the augmented matrix.

    Tolerance: the exponential of a matrix of norm ||A|| tau <= 25 is good to about 100 eps ||A|| tau < 1e-12 relative.
    """
    l2 = 0.0 if rates else 0.05
    algorithm = GradientFlow(rates=rates, l2=l2)
    times = [0.3, 1.0, 4.0]
    runs = simulate(problem, algorithm, times, runs=2, seed=4)
    data = sample(problem, runs=2, seed=4)
    p = np.repeat(rates or (1.0, 1.0, 1.0), problem.directions())
    d = problem.dimension
    for r in range(2):
        x, y, teacher = (data[name].values[r] for name in ("inputs", "labels", "teacher_weights"))
        generator = np.zeros((d + 1, d + 1))
        generator[:d, :d] = -p[:, None] * (x.T @ x + l2 * np.eye(d))
        generator[:d, d] = p * (x.T @ y)
        largest = np.linalg.eigvals(-generator[:d, :d]).real.max() - l2
        assert runs.largest_eigenvalue.values[r] == pytest.approx(largest, rel=1e-12)
        for t, tau in enumerate(times):
            expected = curves_of(problem, expm(tau * generator)[:d, d], teacher, x, y)
            assert_curves(runs.isel(run=r, time=t), expected, 2e-12)


@EVERY
def test_ridge_solves_the_normal_equations(problem):
    """Tolerance: eps times the condition of X^T X + penalty, at most 5 / 1e-3, times sizes of order 10."""
    penalties = [1e-3, 0.1, 3.0]
    got = ridge(problem, penalties, runs=2, seed=9, teachers=2)
    data = sample(problem, runs=2, seed=9, teachers=2)
    assert got.norm.dims == ("run", "teacher", "penalty")
    for r in range(2):
        x = data.inputs.values[r]
        for m in range(2):
            y, teacher = data.labels.values[r, m], data.teacher_weights.values[r, m]
            for k, penalty in enumerate(penalties):
                weights = np.linalg.solve(x.T @ x + penalty * np.eye(problem.dimension), x.T @ y)
                expected = curves_of(problem, weights, teacher, x, y)
                assert_curves(got.isel(run=r, teacher=m, penalty=k), expected, 1e-10)


@EVERY
def test_ridge_without_penalty_is_the_minimum_norm_solution(problem):
    """Both go through an SVD; the solution is good to eps times the square of the condition of X, below 1e4 here."""
    got = ridge(problem, [0.0], runs=3, seed=1).isel(penalty=0)
    data = sample(problem, runs=3, seed=1)
    for r in range(3):
        x, y, teacher = (data[name].values[r] for name in ("inputs", "labels", "teacher_weights"))
        weights = np.linalg.pinv(x, rcond=1e-14) @ y
        assert np.linalg.cond(x) < 1e4
        expected = curves_of(problem, weights, teacher, x, y)
        for name in CURVES:
            assert float(got[name][r]) == pytest.approx(expected[name], rel=1e-7, abs=1e-16), name


def test_ridge_refuses_a_minimum_norm_solution_lost_in_rounding():
    flat = TeacherStudent(samples=15, dimension=10, variances=[1.0, 1e-32])
    with pytest.raises(ParameterError, match="penalties must be above 0 here: the smallest singular value"):
        ridge(flat, [0.0, 1.0], runs=1)
    assert np.isfinite(ridge(flat, [1e-3], runs=1).generalization_error).all()


@EVERY
@pytest.mark.parametrize(
    "algorithm",
    [GradientFlow(l2=0.02), GradientDescent(output_penalty=0.3), GradientFlow(rates=[1, 3, 9])],
    ids=["flow", "descent", "rates"],
)
def test_errors_are_those_of_the_realised_teacher(problem, algorithm):
    """E_G = (|W|^2/d - 2R + Q)/2, term by term; rounding of sums of d = 20 terms of order 1."""
    runs = simulate(problem, algorithm, [0, 1, 7, 1000], runs=4, seed=6, teachers=3)
    power = (sample(problem, runs=4, seed=6, teachers=3).teacher_weights ** 2).sum("direction") / problem.dimension
    identity = (power - 2 * runs.alignment + runs.norm) / 2
    assert np.abs(runs.generalization_error - identity).max() < 200 * EPS
    assert power.std() > 0.1  # so a nominal |W|^2 would be seen


@EVERY
def test_nothing_is_learned_at_time_zero(problem):
    data = sample(problem, runs=3, seed=7)
    for algorithm in (GradientFlow(), GradientDescent(), GradientDescent(output_penalty=SoftplusDecay())):
        start = simulate(problem, algorithm, [0], runs=3, seed=7).isel(time=0)
        assert (start.alignment == 0).all()
        assert (start.norm == 0).all()
        power = (data.teacher_weights**2).sum("direction") / problem.dimension
        assert start.generalization_error.values == pytest.approx(power.values / 2, rel=50 * EPS)
        fit = (data.labels**2).sum("sample") / (2 * problem.samples)
        assert start.training_error.values == pytest.approx(fit.values, rel=50 * EPS)


def test_late_times_without_noise_recover_the_teacher():
    """With n > d and no noise E_G -> 0: what remains is the square of a rounding error eps kappa^2, 1e-13 here."""
    problem = TwoScale(samples=40, dimension=20, fast=12, condition_number=20)
    for algorithm in (GradientFlow(), GradientDescent()):
        end = simulate(problem, algorithm, [10**9], runs=5)
        assert float(end.generalization_error.max()) < 1e-24
        assert float(end.training_error.max()) < 1e-24
        assert float(end.alignment.min()) > 0.2


@EVERY
def test_late_times_end_at_the_minimum_norm_solution(problem):
    late, limit = simulate(problem, GradientFlow(), [1e12], runs=2), ridge(problem, [0.0], runs=2)
    for name in CURVES:
        assert late[name].values[:, 0] == pytest.approx(limit[name].values[:, 0], rel=1e-8, abs=1e-16)


def test_default_step_is_each_samples_own():
    algorithm = GradientDescent(l2=0.3)
    runs = simulate(TALL, algorithm, [1], runs=3)
    assert runs.learning_rate.values == pytest.approx(1 / (runs.largest_eigenvalue.values + 0.3), rel=4 * EPS)
    assert len(set(runs.learning_rate.values)) == 3
    assert (simulate(TALL, GradientDescent(learning_rate=0.1), [1], runs=3).learning_rate == 0.1).all()
    for without in (GradientFlow(), GradientDescent(learning_rate=SoftplusDecay(initial=0.1))):
        assert "learning_rate" not in simulate(TALL, without, [1], runs=1)


# --- averages over teacher and noise


def brute_average(problem, inputs, step, steps):
    """Iterate descent for every unit teacher and every unit noise: the average is the sum over them, no formulas."""
    n, d = inputs.shape
    power = np.repeat(problem.blocks.power, problem.directions())
    teachers = np.hstack([np.diag(np.sqrt(power)), np.zeros((d, n))])
    labels = inputs / scale_of(problem) @ teachers
    labels[:, d:] += problem.noise * np.eye(n)
    weights = np.zeros((d, d + n))
    for _ in range(steps):
        weights -= step * inputs.T @ (inputs @ weights - labels)
    seen, residual = scale_of(problem)[:, None] * weights, inputs @ weights - labels
    return {
        "alignment": (teachers * seen).sum() / d,
        "norm": (seen**2).sum() / d,
        "generalization_error": ((teachers - seen) ** 2).sum() / (2 * d),
        "training_error": (residual**2).sum() / (2 * n),
    }


@EVERY
def test_average_is_the_sum_over_all_unit_teachers_and_noises(problem):
    """100 contracting steps with sums of up to 53 terms: 100 * 53 eps < 2e-12."""
    times = [0, 1, 10, 100]
    runs = simulate(problem, GradientDescent(learning_rate=0.2), times, runs=2, seed=8, teacher="averaged")
    data = sample(problem, runs=2, seed=8)
    for r in range(2):
        for t, steps in enumerate(times):
            assert_curves(runs.isel(run=r, time=t), brute_average(problem, data.inputs.values[r], 0.2, steps), 2e-12)


@EVERY
@pytest.mark.parametrize(
    "algorithm",
    [
        GradientFlow(l2=0.03),
        GradientFlow(rates=[1.0, 4.0, 30.0]),
        GradientDescent(l2=0.1, output_penalty=0.4),
        GradientDescent(output_penalty=SoftplusDecay(initial=0.6, rate=0.1)),
    ],
    ids=["flow", "rates", "descent", "schedule"],
)
def test_average_equals_the_theory_for_given_data(problem, algorithm):
    times = [0, 1, 5, 30, 1000]
    runs = simulate(problem, algorithm, times, runs=2, seed=5, teacher="averaged")
    theory = analytic.double_descent.solve(
        problem, algorithm, times, method="finite", data=sample(problem, runs=2, seed=5)
    )
    assert_curves(runs, theory, 1e-12)


@EVERY
def test_sampled_teachers_average_to_the_average(problem):
    """600 teachers for one X: t-test at 1e-6 over all 12 comparisons; sees a quarter of one teacher's deviation.

    The errors are sums of about 20 weighted squares, skewness below 2: at 600 draws that no more than triples the rate.
    """
    count, times = 600, [1.0, 10.0, 100.0]
    drawn = simulate(problem, GradientFlow(), times, runs=1, seed=21, teachers=count).isel(run=0)
    mean = simulate(problem, GradientFlow(), times, runs=1, seed=21, teacher="averaged").isel(run=0)
    critical = stats.t.isf(1e-6 / 24, count - 1)
    for name in CURVES:
        error = drawn[name].std("teacher", ddof=1) / math.sqrt(count) + 1e-15  # E_T is 0 at late times if n <= d
        assert (np.abs(drawn[name].mean("teacher") - mean[name]) < critical * error).all(), name


# --- test error on fresh inputs


def test_fresh_inputs_estimate_the_exact_error():
    """Given the student, the mean of m squares (z.e)^2/2, z ~ N(0, I/d), is E_G chi2_m/m: two-sided 1e-6 over all."""
    m, runs, times = WIDE.samples, 200, [0.0, 3.0, 50.0]  # as many as were trained on: those would do far better
    exact = simulate(WIDE, GradientFlow(), times, runs=runs, seed=2, teachers=2)
    fresh = simulate(WIDE, GradientFlow(), times, runs=runs, seed=2, teachers=2, test_samples=m)
    ratio = (fresh.generalization_error / exact.generalization_error).values
    low, high = (q(0.5e-6 / ratio.size, m) / m for q in (stats.chi2.ppf, stats.chi2.isf))
    assert low < ratio.min()
    assert ratio.max() < high
    # over the independent runs together the same law with 2,400 degrees: sees 14 % in the mean
    degrees = runs * m
    for mean in ratio[:, 0].mean(axis=0):
        assert stats.chi2.ppf(5e-7 / 3, degrees) / degrees < mean < stats.chi2.isf(5e-7 / 3, degrees) / degrees
    assert same_bits(exact.drop_vars("generalization_error"), fresh.drop_vars("generalization_error"))
    assert fresh.attrs["test_samples"] == m
