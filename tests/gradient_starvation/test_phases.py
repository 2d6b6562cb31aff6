"""Soft and hard starvation: critical ratio, phases against signs of elasticities, directions without penalties."""

from itertools import combinations

import numpy as np
import pytest

from analytic.gradient_starvation import (
    critical_ratio,
    elasticity_grid,
    fixed_point,
    hard_margin,
    phase,
    sensitivity,
    solve,
)
from dynamics.algorithms import PrimalFlow
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import ColoredDigits, CoupledFeatures, TwoMoons, TwoSamples
from tests.gradient_starvation.common import orthonormal


def direction(problem):
    z = hard_margin(problem).response.values
    return z[1] / z[0]


@pytest.mark.parametrize(("s", "ratio"), [(0.5, 6.4641), (0.1, 12.1733), (0.3, 6.0973), (0.6, 9.3333)])
def test_critical_ratios(s, ratio):
    """Detects s and c exchanged, and a ratio of strengths instead of their squares."""
    assert critical_ratio(s) == pytest.approx(ratio, abs=5e-5)
    strengths = [2.0 * np.sqrt(ratio * factor) for factor in (0.999, 1.001)]
    assert [phase(TwoSamples(strong=one, weak=2.0, coupling=s)) for one in strengths] == ["soft", "hard"]


def test_the_smallest_critical_ratio():
    """Detects a wrong minimum: 3 + 2 sqrt 2 where the features are turned by half of a half right angle."""
    assert critical_ratio(float(np.sin(np.pi / 8))) == pytest.approx(3 + 2 * np.sqrt(2), rel=1e-14)
    assert min(critical_ratio(s) for s in np.linspace(0.01, 0.7, 500)) >= 3 + 2 * np.sqrt(2)
    for bad in (0.0, -0.1, 0.71, np.nan, "a", True):
        with pytest.raises(ParameterError, match=r"coupling .* must be in \(0, 1/sqrt 2\)"):
            critical_ratio(bad)


def test_phases_are_signs_of_elasticities():
    """Detects a wrong symmetry of the plane: any coupling from -1 to 1, both penalties, either feature stronger."""
    rng = np.random.default_rng(0)
    signs = {"helping": 1, "soft": -1, "hard": -1}
    seen = set()
    for _ in range(400):
        s, strong, weak = rng.uniform(-0.99, 0.99), *np.exp(rng.uniform(-2, 2, 2))
        l2, decoupling = np.exp(rng.uniform(-5, 2)), rng.choice([0.0, np.exp(rng.uniform(-5, 2))])
        name = phase(TwoSamples(strong=strong, weak=weak, coupling=s, l2=l2, decoupling=decoupling))
        assert np.sign(elasticity_grid(strong, weak, s, l2, decoupling)) == signs[name]
        seen.add(name)
    assert seen == set(signs)


def test_hard_phases_have_one_support_vector():
    """Detects a phase boundary that is not where a sample stops being a support vector, for any coupling."""
    rng = np.random.default_rng(1)
    for _ in range(300):
        s, strong, weak = rng.uniform(-0.99, 0.99), *np.exp(rng.uniform(-2, 2, 2))
        problem = TwoSamples(strong=strong, weak=weak, coupling=s, l2=0.0)
        one = hard_margin(problem).support.values.sum() == 1
        assert one == (phase(problem) == "hard")


@pytest.mark.parametrize(
    ("problem", "name"),
    [
        (TwoSamples(coupling=0.0), "uncoupled"),
        (TwoSamples(coupling=float(np.sqrt(0.5))), "complete"),
        (TwoSamples(coupling=-float(np.sqrt(0.5))), "complete"),
        (TwoSamples(strong=2.0, weak=2.0, coupling=0.4), "balanced"),
        (TwoSamples(strong=5.0, weak=2.0, coupling=0.4, l2=0.0, decoupling=0.1), "balanced"),
        (TwoSamples(strong=5.0, weak=2.0, coupling=-0.4), "helping"),
        (TwoSamples(strong=2.0, weak=5.0, coupling=-0.4), "hard"),
        (TwoSamples(strong=5.0, weak=2.0, coupling=0.4, l2=0.0), "hard"),
        (TwoSamples(strong=5.0, weak=2.0, coupling=0.4, l2=0.01, decoupling=0.001), "soft"),
    ],
)
def test_phases_by_name(problem, name):
    """Detects an exchanged name, and decoupling that is left out."""
    assert phase(problem) == name


def test_limits_of_directions():
    """Detects wrong limits: (c - s)/(c + s) up to the critical ratio, (s_2^2/s_1^2) c/s above, approached from z*."""
    s, c = 0.5, np.sqrt(0.75)
    soft, hard = (TwoSamples(strong=one, weak=2.0, coupling=s, l2=1e-40) for one in (4.0, 6.0))
    assert direction(soft) == pytest.approx((c - s) / (c + s), rel=1e-14)
    assert direction(hard) == pytest.approx(4 / 36 * c / s, rel=1e-14)
    for problem, reached in ((soft, 0.2597), (hard, 0.192450)):
        z = fixed_point(problem).response.values
        assert z[1] / z[0] == pytest.approx(reached, abs=5e-5 if problem is soft else 5e-7)
    # the elasticity stays in the hard phase, and dies like 1/log(1/l2) in the soft one
    assert elasticity_grid(6.0, 2.0, s, 1e-40) == pytest.approx(-0.742, abs=5e-4)
    assert elasticity_grid(6.0, 2.0, s, 1e-190) == pytest.approx(-(s**2) * 36 / (s**2 * 36 + c**2 * 4), rel=5e-3)
    l2 = 10.0 ** -np.array([3, 6, 12, 24, 40])
    scaled = elasticity_grid(4.0, 2.0, s, l2) * np.log(1 / l2)
    np.testing.assert_allclose(scaled, [-1.11, -1.64, -2.09, -2.40, -2.54], atol=5e-3)


def by_enumeration(presence, penalty):
    """The smallest sum p z^2 with margins of at least 1: the best over all sets of samples whose margins are 1."""
    n, r = presence.shape
    best, found = np.inf, None
    for size in range(1, r + 1):
        for chosen in combinations(range(n), size):
            rows = presence[list(chosen)]
            gram = rows / penalty @ rows.T
            if np.linalg.cond(gram) > 1e10:
                continue
            z = rows.T @ np.linalg.solve(gram, np.ones(size)) / penalty
            value = penalty @ z**2
            if (presence @ z).min() > 1 - 1e-9 and value < best - 1e-12:
                best, found = value, z
    return found


def test_directions_of_any_coupling():
    """Detects a least-distance problem that is set up wrongly, by trying all sets of support vectors."""
    rng = np.random.default_rng(2)
    none = 0
    for _ in range(60):
        n, r = ((3, 3), (5, 3), (4, 2))[int(rng.integers(3))]
        problem = CoupledFeatures(
            strengths=rng.uniform(0.3, 3, r), coupling=orthonormal(rng, n, r).tolist(), l2=0.2, decoupling=0.05
        )
        expected = by_enumeration(problem.presence, 0.2 / problem.strength**2 + 0.05)
        if expected is None:
            none += 1
            with pytest.raises(ParameterError, match="must be separable"):
                hard_margin(problem)
            continue
        found = hard_margin(problem)
        np.testing.assert_allclose(found.response, expected, rtol=1e-10)
        np.testing.assert_allclose(found.margin, problem.presence @ expected, rtol=1e-10)
        np.testing.assert_array_equal(found.support, found.margin < 1 + 1e-9)
    assert 5 < none < 50


@pytest.mark.parametrize("strong", [3.0, 6.0])
def test_training_without_penalties_goes_there(strong):
    """Detects a direction that gradient flow does not approach: off by less and less, like 1/log t."""
    problem = TwoSamples(strong=strong, weak=2.0, coupling=0.5, l2=0.0)
    z = solve(problem, PrimalFlow(), [1e10, 1e20, 1e40, 1e80]).response.values
    off = np.abs(z[1] / z[0] - direction(problem))
    assert (off[1:] < 0.62 * off[:-1]).all()
    assert off[-1] < 0.01


def test_weak_and_strong_penalties_do_not_change_the_direction():
    """Detects a direction that depends on more than the ratio of the penalties."""
    one, two = (TwoSamples(l2=factor, decoupling=3 * factor) for factor in (1e-3, 1e3))
    np.testing.assert_allclose(hard_margin(one).response, hard_margin(two).response, rtol=1e-13)


@pytest.mark.parametrize("function", [phase, hard_margin, fixed_point, sensitivity])
@pytest.mark.parametrize("problem", [TwoMoons(), ColoredDigits()])
def test_networks_are_refused(function, problem):
    """Detects a network that is taken for coupled features."""
    with pytest.raises(ParameterError, match=f"problem must be TwoSamples.*; got {type(problem).__name__}"):
        function(problem)
