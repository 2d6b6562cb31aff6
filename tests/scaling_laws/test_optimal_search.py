"""The search for the best dimension, on risks that are known functions of d and t."""

import types

import numpy as np
import pytest

from analytic.scaling_laws import _optimal
from analytic.scaling_laws._optimal import compute_optimal
from dynamics.algorithms import SGD
from dynamics.errors import ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures


@pytest.fixture
def given(monkeypatch):
    """Replace the theory by a function of d and t with a floor, and count how often it is asked."""

    def replace(function, floor):
        asked = []

        def known(problem, algorithm, times, accuracy):
            asked.extend((problem.dimension, steps) for steps in times)
            values = np.array([function(float(problem.dimension), float(t)) for t in times])
            risk, error = (types.SimpleNamespace(values=share * values) for share in (1.0, 1e-3))
            return types.SimpleNamespace(risk=risk, risk_error=error)

        monkeypatch.setattr(_optimal, "solve", known)
        monkeypatch.setattr(_optimal, "limit_risk", lambda problem: floor(float(problem.dimension)))
        return asked

    return replace


@pytest.mark.parametrize("compute", [1e9, 1e13, 1e18, 1e20])
@pytest.mark.parametrize(("p", "q"), [(2.0, 0.8), (0.7, 0.6), (4.0, 3.0)])
def test_two_power_laws(given, p, q, compute):
    """d^-p + 5 t^-q has one minimum, at d^(p + q) = p f^q/(5 q); it takes a few dozen questions."""
    asked = given(lambda d, t: d**-p + 5 * t**-q, lambda d: d**-p)
    found = compute_optimal(PowerLawRandomFeatures(), SGD(), [compute])
    best = (p * compute**q / (5 * q)) ** (1 / (p + q))
    assert found.dimension[0] == pytest.approx(best, rel=0.01)
    assert found.risk[0] == pytest.approx(best**-p + 5 * (compute / best) ** -q, rel=1e-4)
    assert found.risk_error[0] == pytest.approx(1e-3 * float(found.risk[0]))
    assert found.steps[0] == int(compute) // int(found.dimension[0])
    assert len(asked) <= 70


def test_no_question_is_asked_twice_and_none_where_the_floor_is_too_high(given):
    asked = given(lambda d, t: d**-1.0 + t**-1.0, lambda d: d**-1.0)
    compute_optimal(PowerLawRandomFeatures(), SGD(), [1e10, 3e10, 1e11])
    assert len(set(asked)) == len(asked)
    assert 10**5 / 4 < min(d for d, _ in asked) < 10**5


@pytest.mark.parametrize("height", [1.0, 30.0])
@pytest.mark.parametrize("tilt", [-0.01, 0.01])
def test_two_minima(given, height, tilt):
    """A ridge where there was a minimum leaves one on each side; the lower is found, wherever the scan meets them."""
    for shift in np.arange(0.0, 1.0, 0.25):
        middle = 1.2e5 * 2**shift

        def risk(d, t, middle=middle):
            x = np.log(d / middle)
            return (d**-0.7 + 4 * t**-0.7) * (1 + height * np.exp(-2 * x**2)) * np.exp(tilt * x)

        given(risk, lambda d: 0.1 * d**-0.8)
        sizes, compute = middle * np.geomspace(0.05, 50, 10001), 1e11 * 4**shift
        curve = risk(sizes, compute / sizes)
        assert np.count_nonzero((curve[1:-1] < curve[:-2]) & (curve[1:-1] < curve[2:])) == 2
        best = sizes[curve.argmin()]
        found = compute_optimal(PowerLawRandomFeatures(), SGD(), [compute])
        assert found.dimension[0] == pytest.approx(best, rel=0.02)
        assert found.risk[0] == pytest.approx(curve.min(), rel=1e-4)


@pytest.mark.parametrize("compute", [5, 12, 100, 1234, 54321])
def test_whole_numbers(given, compute):
    """All dimensions are compared where numbers are small, and with them t, of which floor(f/d) leaves a remainder."""
    for p, q in ((1.0, 1.0), (2.0, 1.0), (1.0, 2.0), (0.5, 0.3)):
        given(lambda d, t, p=p, q=q: d**-p + t**-q, lambda d, p=p: d**-p)
        found = compute_optimal(PowerLawRandomFeatures(), SGD(), [compute])
        sizes = np.arange(1, compute + 1)
        every = sizes**-p + (compute // sizes) ** -q
        assert found.risk[0] == pytest.approx(every.min(), rel=0 if compute < 10**4 else 1e-4)


@pytest.mark.parametrize("scale", [1.3, 2.6, 3.7, 7.3, 12.6, 33.3, 88.8, 300.3])
def test_few_features_or_few_steps(given, scale):
    """Best at about as many steps as the scale, where whole numbers are far apart; then the same with features."""

    def law(few, many, compute):
        return (few / scale + scale / few) ** np.where(few > scale, 1.3, 1.0) - many / compute / 10

    steps = np.arange(1, 3000)
    for compute in (10**9 + 12345677 * np.arange(12)).tolist():
        every = law(steps, compute // steps, compute)
        best = (steps[every.argmin()], pytest.approx(every.min(), rel=1e-12))
        given(lambda d, t, f=compute: law(t, d, f), lambda d: 0.0)
        found = compute_optimal(PowerLawRandomFeatures(), SGD(), [compute])
        assert (found.steps[0], found.risk[0]) == best
        given(lambda d, t, f=compute: law(d, t, f), lambda d: 0.0)
        found = compute_optimal(PowerLawRandomFeatures(), SGD(), [compute])
        assert (found.dimension[0], found.risk[0]) == best


def test_steps_left_over(given):
    """Some thousand steps of very many features: of d with as many steps only the largest makes use of all of f."""
    for compute in (10**11 + np.arange(0, 10**9, 10**8)).tolist():
        given(lambda d, t: 2e4 / d + 1 / t, lambda d: 1e4 / d)
        found = compute_optimal(PowerLawRandomFeatures(), SGD(), [compute])
        steps = np.arange(1000, 5000)
        assert found.risk[0] == pytest.approx((2e4 / (compute // steps) + 1 / steps).min(), rel=5e-5)


def test_long_runs_that_diverge_do_not_spoil_short_ones(given):
    """Of the same dimension, asked for together: that of 1e4 is best at 100 features, with fewer than 1000 steps."""

    def risk(d, t):
        if t > 1000:
            raise ParameterError("learning_rate must be smaller")
        return d**-1.0 + t**-1.0

    given(risk, lambda d: 0.0)
    found = compute_optimal(PowerLawRandomFeatures(), SGD(), [1e4, 1e7])
    assert found.dimension[0] == 100
    assert found.dimension[1] == 10**4
    assert found.steps[1] == 1000


def test_an_accuracy_that_cannot_be_had_is_not_taken_for_divergence(monkeypatch):
    def refusing(problem, algorithm, times, accuracy):
        if accuracy < 0.05:
            raise ParameterError("accuracy must be larger")
        return "an answer"

    monkeypatch.setattr(_optimal, "solve", refusing)
    with pytest.raises(ParameterError, match=r"^accuracy must be larger"):
        compute_optimal(PowerLawRandomFeatures(), SGD(), [100.0, 1e5])


def test_the_largest_dimension_may_be_the_best(given):
    """More is always better: d is f, v - 1, or too large."""
    given(lambda d, t: d**-1.0, lambda d: 0.0)
    assert compute_optimal(PowerLawRandomFeatures(), SGD(), [100.0]).dimension[0] == 100
    problem = PowerLawRandomFeatures(dimension=5, ambient_dimension=10**6)
    assert compute_optimal(problem, SGD(), [1e12]).dimension[0] == 10**6 - 1
    with pytest.raises(ParameterError, match=r"compute must be smaller: at 1e\+17 the best dimension"):
        compute_optimal(PowerLawRandomFeatures(), SGD(), [1e17])


def test_the_most_steps_may_be_the_best(given):
    given(lambda d, t: d**0.1 / t, lambda d: 0.0)
    assert compute_optimal(PowerLawRandomFeatures(), SGD(), [1e10]).dimension[0] == 1
    with pytest.raises(ParameterError, match=r"compute must be smaller: at 1e\+20 the best dimension or its steps"):
        compute_optimal(PowerLawRandomFeatures(), SGD(), [1e20])
