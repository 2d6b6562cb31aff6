"""Simulation where other tests would let a small mistake pass: fresh inputs, divergence, memory."""

import math

import numpy as np
import pytest

from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import TwoScale
from dynamics.errors import Interrupted, ParameterError
from dynamics.schedules import SoftplusDecay
from simulations._streams import Source, stream
from simulations.double_descent import _simulate, simulate
from simulations.double_descent._data import fresh_inputs
from simulations.double_descent._kernels import descend

SMALL = TwoScale(samples=15, dimension=10, fast=4, noise=0.3)


def test_fresh_inputs_have_a_stream_of_their_own():
    expected = stream(5, 3, Source.TEST_INPUTS).standard_normal((40, 10)) / math.sqrt(10)
    np.testing.assert_array_equal(fresh_inputs(SMALL, 5, 3, 40), expected)


def test_fresh_inputs_are_really_used():
    """Given the student, E_G on m fresh inputs is E_G chi2_m/m: over 400 runs its relative scatter is sqrt(2/m).

    That of the scatter itself is 1/sqrt(2 * 400) times a factor below 2 (kurtosis 3 + 12/m): within 25 %, which is
    seven of them; another seed has other inputs, uncorrelated within five standard errors.
    """
    m, ratios = 20, []
    for seed in (2, 3):
        exact = simulate(SMALL, GradientFlow(), [3.0], runs=400, seed=seed)
        fresh = simulate(SMALL, GradientFlow(), [3.0], runs=400, seed=seed, test_samples=m)
        ratios.append((fresh.generalization_error / exact.generalization_error).values[:, 0])
        assert ratios[-1].std() == pytest.approx(math.sqrt(2 / m), rel=0.25)
    assert abs(np.corrcoef(*ratios)[0, 1]) < 5 / math.sqrt(400)


def test_a_residual_that_is_no_number_has_diverged():
    huge = GradientDescent(learning_rate=1e308)
    runs = simulate(SMALL, huge, [0, 5], runs=2, method="literal", on_divergence="mark")
    assert (runs.outcome == "diverged").all()
    x, once = np.array([[1.0]]), (np.array([0.1]), np.zeros(1), np.zeros(1))
    assert descend(x, x.T.copy(), np.array([np.nan]), np.ones(1), np.zeros(1), np.zeros(1), 1e20, *once) == 1


def test_threshold_of_divergence_is_in_units_of_all_labels():
    """n = 400, d = 4, sigma = 30: the part of y that no weights can fit is 100 times the rest.

    At a growth of 1.1 a step it is worth log(10)/log(1.1) = 24 steps. Both methods find the same step.
    """
    problem = TwoScale(samples=400, dimension=4, fast=2, condition_number=1, noise=30.0)
    largest = float(simulate(problem, GradientDescent(), [0], runs=1).largest_eigenvalue[0])
    unstable = GradientDescent(learning_rate=2.1 / largest)
    literal, closed = (
        int(simulate(problem, unstable, [2000], runs=1, method=method, on_divergence="mark").diverged_at[0])
        for method in ("literal", "eigenbasis")
    )
    assert literal > 0
    assert abs(literal - closed) <= 1


def test_fresh_inputs_count_in_the_memory():
    with pytest.raises(ParameterError, match=r"test_samples.* this would need"):
        simulate(SMALL, GradientFlow(), [1.0], runs=1, workers=1, test_samples=10**9)


def test_ctrl_c_ends_a_long_schedule_at_once(monkeypatch):
    """10^9 steps of a schedule would take minutes: the request to stop is looked at between pieces."""
    looked = []

    def stop(event):
        looked.append(event)
        if len(looked) == 5:
            raise KeyboardInterrupt
        return _simulate_stop(event)

    _simulate_stop = _simulate.raise_if_set
    monkeypatch.setattr(_simulate, "raise_if_set", stop)
    slow = GradientDescent(learning_rate=0.1, l2=SoftplusDecay(rate=1e-9))
    with pytest.raises(Interrupted) as stopped:
        simulate(SMALL, slow, [10**9], runs=1, workers=1)
    assert stopped.value.partial.outcome.values.tolist() == ["cancelled"]
    assert len(looked) == 5
