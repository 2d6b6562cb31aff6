"""The family of stochastic momentum: its members are the textbook methods, its stability that of the linear system."""

import numpy as np
import pytest

from analytic.scaling_laws._recursion import recursion
from dynamics.algorithms import (
    SGD,
    DanaConstant,
    DanaDecaying,
    GeneralMomentum,
    HeavyBall,
    Nesterov,
    Rule,
    ScheduleFree,
    SGDMomentum,
)
from dynamics.errors import ParameterError
from dynamics.results import rebuild
from dynamics.scaling_laws import ALGORITHMS, PowerLawRandomFeatures, Spectrum
from dynamics.schedules import Hyperbolic, Power, RunningMean
from dynamics.stability import Coefficients, Curvature, kernel_norm, responses
from simulations.scaling_laws._kernels import literal_steps
from tests.scaling_laws.common import REFERENCE, power_nodes

CURVATURE = PowerLawRandomFeatures(alpha=0.8, beta=0.5, dimension=50).curvature


def path(algorithm, inputs, labels, batch, steps):
    """The weights after each step of the compiled literal iteration."""
    weights, momentum, kept = np.zeros(inputs.shape[1]), np.zeros(inputs.shape[1]), []
    rule = algorithm.rule(CURVATURE)
    for t in range(steps):
        rows = slice(t * batch, (t + 1) * batch)
        literal_steps(
            inputs[rows], labels[rows], weights, momentum, batch, np.zeros((1, weights.size)), np.zeros(1), 0.0, 0.0,
            *rule.at(np.array([t])),
        )  # fmt: skip
        kept.append(weights.copy())
    return np.array(kept)


@pytest.fixture
def samples():
    rng = np.random.default_rng(8)
    inputs = rng.standard_normal((90, 4)) * [1.0, 0.5, 0.3, 0.1]
    return inputs, inputs @ rng.standard_normal(4) + 0.3 * rng.standard_normal(90)


def gradient(samples, t, batch, point):
    inputs, labels = (part[t * batch : (t + 1) * batch] for part in samples)
    return inputs.T @ (inputs @ point - labels) / batch


def test_heavy_ball_is_polyaks_method(samples):
    theta, before, expected = np.zeros(4), np.zeros(4), []
    for t in range(30):
        theta, before = theta - 0.2 * gradient(samples, t, 3, theta) + 0.7 * (theta - before), theta
        expected.append(theta)
    found = path(HeavyBall(learning_rate=0.2, momentum=0.7), *samples, 3, 30)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_nesterov_takes_the_gradient_ahead(samples):
    x, theta, expected = np.zeros(4), np.zeros(4), []
    for t in range(30):
        new = theta - 0.2 * gradient(samples, t, 3, theta)
        theta, x = new + 0.7 * (new - x), new
        expected.append(theta)
    found = path(Nesterov(learning_rate=0.2, momentum=0.7), *samples, 3, 30)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_schedule_free_is_a_member(samples):
    """z <- z - g grad(theta), x the running mean of the z, theta = (1 - s) z + s x."""
    x, z, expected = np.zeros(4), np.zeros(4), []
    for t in range(30):
        theta = 0.2 * z + 0.8 * x
        z = z - 0.3 * gradient(samples, t, 3, theta)
        x = x + (z - x) / (t + 1)
        expected.append(0.2 * z + 0.8 * x)
    found = path(ScheduleFree(learning_rate=0.3, interpolation=0.8), *samples, 3, 30)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_rules_and_their_defaults():
    """gamma2 = 0.5 min(1, B/Tr); everything else as documented, away from unit values."""
    trace = (np.arange(1, 201.0) ** -1.6).sum()
    assert CURVATURE.trace == pytest.approx(trace, rel=1e-13)
    assert SGD(batch_size=2).rule(CURVATURE)[:4] == pytest.approx((0, 0.5 * 2 / trace, 0, 1), rel=1e-12)
    assert SGD(batch_size=64).rule(CURVATURE).gamma2 == 0.5
    rate = 0.5 / trace
    found = DanaConstant().rule(CURVATURE)
    assert found[:3] == pytest.approx((1, rate, 0.5 * rate / 50), rel=1e-12)
    assert found.delta == Hyperbolic(offset=4.0)
    found = DanaDecaying().rule(CURVATURE)
    assert found[:2] == pytest.approx((1, rate), rel=1e-12)
    assert found.gamma3.exponent == pytest.approx(-0.625)
    assert found.gamma3.scale == pytest.approx(0.2 * rate, rel=1e-12)
    late = PowerLawRandomFeatures(alpha=0.8, beta=1.7, dimension=50).curvature
    assert DanaDecaying().rule(late).delta.offset == pytest.approx(1 + 2 + 2.4 / 0.8)
    steep = PowerLawRandomFeatures(alpha=3.0, beta=1.0, dimension=50).curvature
    assert DanaConstant().rule(steep).delta.offset == pytest.approx(1 + max(2 + 1 / 3, 2 - 1 / 3, 3))
    assert SGDMomentum(learning_rate=0.3, decay=0.2).rule(CURVATURE)[:4] == pytest.approx((1, 0.3, 0.06, 0.2))
    assert HeavyBall(learning_rate=0.3, momentum=0.6).rule(CURVATURE)[:4] == pytest.approx((1, 0, 0.3, 0.4))
    assert Nesterov(learning_rate=0.3, momentum=0.6).rule(CURVATURE)[:4] == pytest.approx((1, 0.3, 0.18, 0.4))
    free = ScheduleFree(interpolation=0.8).rule(CURVATURE)
    assert free[:2] == pytest.approx((rate, 0.2 * rate), rel=1e-12)
    assert free[2:4] == (Power(scale=0.8, exponent=-1.0), RunningMean())
    given = DanaDecaying(learning_rate=0.1, momentum_rate=0.02, momentum_exponent=0.3, decay=7).rule(CURVATURE)
    assert given[:4] == (1.0, 0.1, Power(scale=0.02, exponent=-0.3), Hyperbolic(offset=7.0))


@pytest.mark.parametrize("cls", [SGDMomentum, HeavyBall, Nesterov])
@pytest.mark.parametrize("batch", [1, 16])
def test_other_learning_rates_are_half_of_the_largest_stable_one(cls, batch):
    algorithm = cls(batch_size=batch)
    rule = algorithm.rule(CURVATURE)
    rate = rule.gamma3 if cls is HeavyBall else rule.gamma2
    below, above = (algorithm.model_copy(update={"learning_rate": rate * factor}) for factor in (1.999, 2.001))
    assert below.norm_at(CURVATURE, 0) < 1 <= above.norm_at(CURVATURE, 0)


@pytest.mark.parametrize("case", REFERENCE["explicit_spectrum"]["cases"], ids=lambda case: f"{case['alpha']}")
def test_largest_stable_rate_of_sgd(case):
    nodes = power_nodes(case["alpha"], case["beta"], case["d"])
    curvature = Curvature(nodes.curvature, nodes.modes, case["d"])
    largest = SGD(batch_size=case["B"]).largest_rate(curvature, 0)
    assert largest == pytest.approx(case["sgd_gamma_max"], rel=1e-9)


def step_matrix(x, batch, at):
    """One step of (E w^2, E y^2, E w y) of a mode, and what a unit of risk adds."""
    g1, g2, g3, delta = at
    a, g = 1 - delta, g2 + g1 * g3
    own = (1 + 1 / batch) * x * x
    matrix = np.array([
        [1 - 2 * g * x + g * g * own, (g3 * a) ** 2, -2 * g3 * a * (1 - g * x)],
        [g1 * g1 * own, a * a, 2 * a * g1 * x],
        [g1 * x - g * g1 * own, -g3 * a * a, a * (1 - (g + g1 * g3) * x)],
    ])  # fmt: skip
    return matrix, x / batch * np.array([g * g, g1 * g1, -g * g1])


def test_responses_solve_the_linear_system_and_know_unstable_modes():
    rng = np.random.default_rng(4)
    stable = 0
    for _ in range(300):
        x, batch = rng.uniform(0.01, 1.5), int(rng.integers(1, 9))
        at = Coefficients(*rng.uniform([0, 0, 0, 0], [2.5, 2.5, 1, 1]))
        matrix, force = step_matrix(x, batch, at)
        (found,) = responses(np.array([x]), batch, at)
        assert np.isfinite(found) == (np.abs(np.linalg.eigvals(matrix)).max() < 1)
        if np.isfinite(found):
            stable += 1
            assert found == pytest.approx(x * np.linalg.solve(np.eye(3) - matrix, force)[0], rel=1e-9)
    assert 50 < stable < 250


def test_a_constant_rule_ends_at_the_floor_over_one_minus_the_norm():
    nodes = power_nodes(0.6, 0.8, 10, 0.1, 0.05)
    rule, curvature = Rule(1.0, 0.2, 0.01, 0.3), Curvature(nodes.curvature, nodes.modes, 10)
    norm = kernel_norm(curvature, 2, rule.at_one(0))
    last = recursion(nodes, rule, 2, np.array([3000]), 0.0).risk[0]
    assert 0.01 < norm < 0.9
    assert last - 0.1 == pytest.approx((0.15) * norm / (1 - norm), rel=1e-9)


def test_nothing_moves_nothing():
    assert responses(np.array([0.5]), 1, Coefficients(0.0, 0.0, 0.0, 1.0)) == 0.0


def test_what_depends_on_the_power_law_must_be_given_without_one():
    curvature = Spectrum(eigenvalues=[1, 0.5], initial_error=[1, 1]).curvature
    with pytest.raises(ParameterError, match=r"decay .* must be given for a problem that has no alpha and beta"):
        DanaConstant().rule(curvature)
    with pytest.raises(ParameterError, match=r"momentum_exponent .* must be given"):
        DanaDecaying(decay=4).rule(curvature)
    assert DanaConstant(decay=4).rule(curvature).gamma3 == pytest.approx(0.5 * 0.5 / 1.5 / 2)


@pytest.mark.parametrize("cls", ALGORITHMS)
def test_written_down_and_read_again(cls):
    assert rebuild(cls(batch_size=7).to_json()) == cls(batch_size=7)


def test_the_general_member_takes_numbers_schedules_and_text():
    one = GeneralMomentum(gradient_weight=0.5, learning_rate="power:0.1,0.2", momentum_rate=0.01, decay="running-mean")
    assert one.rule(CURVATURE) == (0.5, Power(scale=0.1, exponent=0.2), 0.01, RunningMean(), 0)
    assert rebuild(one.to_json()) == one


@pytest.mark.parametrize(
    ("cls", "values", "named"),
    [
        (SGD, {"batch_size": 0}, "batch_size"), (SGD, {"batch_size": 2.5}, "batch_size"),
        (SGD, {"learning_rate": -1}, "learning_rate"), (SGD, {"learning_rate": 0}, "learning_rate"),
        (SGDMomentum, {"decay": 0}, "decay"), (SGDMomentum, {"decay": 1.1}, "decay"),
        (HeavyBall, {"momentum": 1}, "momentum"), (Nesterov, {"momentum": -0.1}, "momentum"),
        (ScheduleFree, {"interpolation": 2}, "interpolation"), (DanaDecaying, {"momentum_exponent": -1}, "exponent"),
        (GeneralMomentum, {"decay": -1}, "decay"), (DanaConstant, {"gamma": 1}, "gamma is not a parameter"),
    ],
)  # fmt: skip
def test_bad_parameters(cls, values, named):
    with pytest.raises(ParameterError, match=named):
        cls(**values)
