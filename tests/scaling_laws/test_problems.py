"""Problems of scaling laws: what they are made of, what is refused, sums over very many inputs."""

import math

import numpy as np
import pytest

from dynamics.algorithms import SGD, GradientFlow
from dynamics.counting import counting_rule
from dynamics.double_descent import TwoScale
from dynamics.errors import ParameterError
from dynamics.results import rebuild
from dynamics.scaling_laws import PowerLawRandomFeatures, Spectrum, check_pair
from tests.scaling_laws.common import REFERENCE


@pytest.mark.parametrize("last", [1, 31, 32, 33, 100, 4000, 123_457])
@pytest.mark.parametrize("angle", [0.03, 0.125, 0.5, 2.0])
def test_counting_rule_sums_like_all_numbers(last, angle):
    """Powers, and functions with a pole on the border of the sector."""
    nodes, weights = counting_rule(last, angle)
    j = np.arange(1, last + 1.0)
    for power in (0.0, -0.4, -1.3, -4.0):
        assert weights @ nodes**power == pytest.approx((j**power).sum(), rel=3e-14)
    if angle < math.pi:
        for size in (3.0, 70.0, 5e4):
            pole = size * np.exp(1j * angle)
            assert abs((weights / (1 - nodes / pole)).sum() / (1 / (1 - j / pole)).sum() - 1) < 1e-13
    assert (weights > 0).all()


@pytest.mark.parametrize("case", REFERENCE["power_sum"]["cases"], ids=lambda case: f"{case['alpha']}-{case['c']}")
def test_sums_with_a_pole_near_the_axis_are_direct(case):
    """Against 30 digits; up to ``direct`` every number is a node."""
    nodes, weights = counting_rule(case["v"], 0.1, direct=case["v"] + 1)
    found = (weights * nodes ** -case["c"] / (1 - complex(*case["s"]) * nodes ** (2 * case["alpha"]))).sum()
    assert abs(found - complex(*case["S"])) <= REFERENCE["power_sum"]["rel_tol"] * abs(complex(*case["S"]))


def test_random_features_by_hand():
    problem = PowerLawRandomFeatures(alpha=0.8, beta=-0.2, dimension=300, noise=0.5)
    j = np.arange(1, 1201.0)
    assert problem.ambient == 1200
    assert problem.curvature.trace == pytest.approx((j**-1.6).sum(), rel=1e-13)
    assert problem.initial_risk == pytest.approx((j**-1.2).sum(), rel=1e-13)
    assert (problem.curvature.dimension, problem.curvature.alpha, problem.curvature.beta) == (300, 0.8, -0.2)
    assert rebuild(problem.to_json()) == problem


@pytest.mark.parametrize(
    ("values", "inputs"),
    [
        ({"dimension": 1000}, 4000), ({"dimension": 1000, "ambient_ratio": 4}, 4000),
        ({"dimension": 30, "ambient_ratio": 2.5}, 75), ({"dimension": 7, "ambient_ratio": 1.2}, 8),
        ({"dimension": 7, "ambient_ratio": 1.24}, 9), ({"dimension": 100, "ambient_ratio": "1.006"}, 101),
        ({"dimension": 2**51, "ambient_ratio": 4.0}, 2**53), ({"dimension": 30, "ambient_dimension": 31}, 31),
    ],
)  # fmt: skip
def test_number_of_inputs(values, inputs):
    """As given, or the ratio times d, rounded (7 x 1.2 = 8.4, 7 x 1.24 = 8.68), or 4 d; and after writing it down."""
    problem = PowerLawRandomFeatures(**values)
    assert problem.ambient == inputs
    assert rebuild(problem.to_json()) == problem
    assert problem.curvature.multiplicities.sum() == pytest.approx(inputs, rel=1e-12)


def test_a_ratio_follows_the_dimension_and_may_be_given_up():
    problem = PowerLawRandomFeatures(dimension=10, ambient_ratio=3)
    assert problem.model_copy(update={"dimension": 50}).ambient == 150
    assert problem.model_copy(update={"ambient_ratio": None, "ambient_dimension": 11}).ambient == 11
    with pytest.raises(ParameterError, match="ambient_ratio"):
        problem.model_copy(update={"ambient_dimension": 11})


def test_very_many_inputs_cost_nothing():
    problem = PowerLawRandomFeatures(alpha=1.0, beta=1.0, dimension=10, ambient_dimension=1e12)
    assert problem.curvature.trace == pytest.approx(math.pi**2 / 6 - 1e-12, rel=1e-14)
    assert problem.initial_risk == pytest.approx(math.pi**4 / 90, rel=1e-14)
    assert problem.curvature.eigenvalues.size < 2000


def test_a_spectrum_by_hand():
    problem = Spectrum(eigenvalues=[2, 0.5], initial_error=[3, 4], floor=0.1, noise=0.2)
    assert problem.initial_risk == pytest.approx(8.1)
    assert problem.curvature.trace == 2.5
    assert problem.curvature.alpha is None
    assert rebuild(problem.to_json()) == problem


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"alpha": 0.3, "beta": 0.2}, "there is no power law"),
        ({"alpha": 0.2, "beta": 0.3}, "must be above 1/2 - alpha = 0.3"),
        ({"alpha": 0}, "alpha"),
        ({"alpha": math.nan}, "alpha"),
        ({"beta": math.inf}, "beta"),
        ({"dimension": 0}, "dimension"),
        ({"dimension": 100, "ambient_dimension": 100}, "ambient_dimension .* must be above dimension = 100"),
        ({"dimension": 100, "ambient_dimension": 50}, "must be above dimension"),
        ({"ambient_dimension": math.inf}, "ambient_dimension .*finite"),
        ({"ambient_dimension": 1e17}, "ambient_dimension"),
        ({"noise": -1}, "noise"),
        (
            {"dimension": 10, "ambient_dimension": 30, "ambient_ratio": 3},
            "ambient_ratio .* must be left out where ambient_dimension is given, 30; got 3",
        ),
        ({"ambient_ratio": 1}, "ambient_ratio .* above 1"),
        ({"ambient_ratio": -2}, "ambient_ratio .* above 1"),
        ({"dimension": 10, "ambient_ratio": 1.04}, "ambient_ratio .* more than dimension = 10 inputs.* gives 10; got"),
        ({"dimension": 2**52, "ambient_ratio": 3}, r"ambient_ratio .* at most 2\^53"),
        ({"ambient_ratio": math.nan}, "ambient_ratio .*finite"),
    ],
)
def test_bad_random_features(values, words):
    with pytest.raises(ParameterError, match=words):
        PowerLawRandomFeatures(**values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"eigenvalues": [1, 0], "initial_error": [1, 1]}, "eigenvalues"),
        ({"eigenvalues": [1, -2], "initial_error": [1, 1]}, "eigenvalues"),
        ({"eigenvalues": [], "initial_error": []}, "eigenvalues"),
        ({"eigenvalues": [1, 2], "initial_error": [1]}, "initial_error .* one value for each eigenvalue, 2"),
        ({"eigenvalues": [1], "initial_error": [-1]}, "initial_error"),
        ({"eigenvalues": [1], "initial_error": [1], "floor": -1}, "floor"),
        ({"eigenvalues": [1]}, "initial_error .* must be given"),
    ],
)
def test_bad_spectra(values, words):
    with pytest.raises(ParameterError, match=words):
        Spectrum(**values)


def test_other_phenomena_are_refused():
    with pytest.raises(ParameterError, match="problem must be one of PowerLawRandomFeatures, PowerLawSpectrum"):
        check_pair(TwoScale(), SGD())
    with pytest.raises(ParameterError, match="algorithm must be one of SGD, SGDMomentum"):
        check_pair(PowerLawRandomFeatures(), GradientFlow())
