"""The Bayes error: against the posterior mean, known values, and everything else that learns."""

import math

import numpy as np
import pytest

from analytic.double_descent import bayes_error, ridge, solve
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import PowerLawTeacherStudent, TeacherStudent, TwoScale

UNEVEN = {"variances": [1, 0.03, 0.5, 1e-4], "fractions": [0.3, 0.25, 0.2, 0.25], "teacher_power": [0.4, 2, 0, 1.52]}


def two_scale(samples, fast, noise=0.0, ratio=30.0):
    return TwoScale(samples=samples, dimension=100, fast=fast, noise=noise, condition_number=ratio)


@pytest.mark.parametrize(("samples", "noise"), [(150, 0.3), (70, 0.5), (100, 0.4), (100, 3.0), (30, 0.05)])
def test_bayes_error_is_ridge_on_inputs_of_the_teachers_variance(samples, noise):
    """W_i = sqrt(c_i) u_i with isotropic u: the posterior mean is ridge at sigma^2 on inputs of variance c.

    And the posterior's own covariance, averaged over 40 draws at d = 100: within six standard errors (39 degrees of
    freedom: false alarm 5e-7) of the limit, beyond what ridge allows for the size of d.
    """
    problem = TeacherStudent(samples=samples, dimension=100, noise=noise, **UNEVEN)
    found, c = bayes_error(problem), np.repeat(UNEVEN["teacher_power"], problem.directions())
    # a variance of 0 is no feature: the block of power 0 becomes one so weak that it does not count
    inputs = {"variances": [0.4, 2, 1e-30, 1.52], "fractions": UNEVEN["fractions"], "teacher_power": [0.4, 2, 0, 1.52]}
    same = ridge(TeacherStudent(samples=samples, dimension=100, noise=noise, **inputs), [noise**2])
    assert found == pytest.approx(same["generalization_error"].item(), rel=1e-12)
    rng, traces = np.random.default_rng(7), []
    for _ in range(40):
        z = rng.standard_normal((samples, 100)) / 10 * np.sqrt(c)
        posterior = np.linalg.inv(np.eye(100) + z.T @ z / noise**2)
        traces.append(np.sum(c * np.diag(posterior)) / 200)
    allowed = same["generalization_error_error"].item() + 6 * np.std(traces, ddof=1) / math.sqrt(40)
    assert np.mean(traces) == pytest.approx(found, abs=allowed)
    assert allowed < 0.03 * found + 0.002  # so that it can fail


def test_bayes_error_known_and_limits():
    """Stated values; no noise; and small and large noise without cancellation, to the last digits.

    zeta -> sigma^2/(alpha - 1) for small noise, up to a relative sigma^2; for large noise 2 E_G = 1 - alpha/sigma^2.
    Without noise n < d learns alpha of what is taught, the strongest inputs first if they are much stronger.
    """
    assert bayes_error(TwoScale(samples=150, dimension=100, noise=0.3)) == pytest.approx(0.06287, abs=5e-6)
    assert bayes_error(TwoScale(samples=70, dimension=100, noise=0.5)) == pytest.approx(0.26281, abs=5e-6)
    assert [bayes_error(TwoScale(samples=n, dimension=100)) for n in (150, 100)] == [0.0, 0.0]
    assert bayes_error(TwoScale(samples=70, dimension=100)) == pytest.approx(0.15, rel=1e-14)
    assert bayes_error(TwoScale(samples=130, dimension=100, noise=1e-9)) == pytest.approx(1e-18 / 0.6, rel=1e-13)
    assert bayes_error(TwoScale(samples=100, dimension=100, noise=1e-9)) == pytest.approx(0.5e-9, rel=2e-9)
    assert 0.5 - bayes_error(TwoScale(samples=130, dimension=100, noise=1e3)) == pytest.approx(0.65e-6, rel=1e-5)
    assert bayes_error(TwoScale(samples=130, dimension=100, noise=1e50)) == 0.5
    assert bayes_error(TeacherStudent(samples=100, dimension=100, fractions=[1, 0], teacher_power=[1, 3])) == 0.0
    half = {"samples": 30, "dimension": 100}
    assert bayes_error(TeacherStudent(teacher_power=[2, 0], **half)) == pytest.approx(2 * 0.2 / 2, rel=1e-14)
    assert bayes_error(TeacherStudent(teacher_power=[2, 0], samples=60, dimension=100)) == 0.0
    assert bayes_error(TeacherStudent(teacher_power=[1e9, 1], **half)) == pytest.approx(2e8 / 2, rel=1e-8)
    assert bayes_error(TeacherStudent(teacher_power=[0, 0], noise=1.0)) == 0.0


@pytest.mark.parametrize("samples", [60, 100, 170])
@pytest.mark.parametrize("noise", [0.2, 1.0])
def test_nothing_beats_bayes(samples, noise):
    """Flow, descent with and without penalty, and ridge, on any spectrum and teacher."""
    size = {"samples": samples, "dimension": 100, "noise": noise}
    three = TeacherStudent(**size, variances=[1, 0.1, 0.003], fractions=[0.5, 0.3, 0.2])
    power_law = PowerLawTeacherStudent(**size, variance_exponent=0.5, teacher_exponent=0.8)
    uneven = TeacherStudent(**size, **UNEVEN)
    for problem in (two_scale(samples, 50, noise, 1.0), two_scale(samples, 50, noise, 8.0), three, uneven, power_law):
        floor = bayes_error(problem)
        times = np.geomspace(1e-2, 1e5, 120)
        answers = [solve(problem, GradientFlow(l2=l2), times) for l2 in (0.0, noise**2)]
        answers += [solve(problem, GradientDescent(), np.arange(60)), ridge(problem, np.geomspace(1e-6, 1e3, 100))]
        assert all(found["generalization_error"].min() >= floor - 1e-12 for found in answers)
