"""Two moons: the arcs, the gap, the noise and the initial weights, drawn as they are defined; the statistics."""

import numpy as np
import pytest
from scipy import stats

from dynamics.classifiers import Sample, measure, nonlinearity, second_share
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import CoupledFeatures, TwoMoons
from dynamics.networks import TwoLayer, gated, turn
from simulations._streams import Source, stream
from simulations.gradient_starvation._moons import (
    draw_layers,
    draw_moons,
    draw_sample,
    initial_network,
    sample,
)


def moons_by_points(samples, margin, noise, rng):
    """The definition of the data, point by point."""
    half = samples // 2
    drawn = noise * rng.standard_normal((samples, 2))
    points, labels = [], []
    for i in range(samples):
        t, y = np.pi * (i % half) / (half - 1), -1 if i < half else 1
        arc = (np.cos(t), np.sin(t)) if y < 0 else (1 - np.cos(t), 0.5 - np.sin(t))
        points.append((arc[0] + drawn[i, 0] - 0.5, arc[1] + drawn[i, 1] - 0.3 * y))
        labels.append(y)
    mean = sum(v for _, v in points) / samples
    return np.array([(-y * (abs(v - mean) + margin), h) for (h, v), y in zip(points, labels, strict=True)]), labels


@pytest.mark.parametrize(("samples", "margin", "noise"), [(38, 0.17, 0.2), (4, -0.6, 0.03)])
def test_data_are_those_of_the_definition(samples, margin, noise):
    """Detects a changed centre, sign, mean or order of the classes."""
    found, labels = draw_moons(samples, margin, noise, np.random.default_rng(5))
    expected, expected_labels = moons_by_points(samples, margin, noise, np.random.default_rng(5))
    np.testing.assert_allclose(found, expected, atol=1e-14)
    np.testing.assert_array_equal(labels, expected_labels)


def test_arcs_without_noise():
    """a = -y (sin t + 1/20 + margin), h = y (1/2 - cos t): detects a wrong centre, independently of the definition."""
    found, y = draw_moons(50, 0.2, 0.0, np.random.default_rng(0))
    t = np.tile(np.linspace(0, np.pi, 25), 2)
    np.testing.assert_allclose(found[:, 0], -y * (np.sin(t) + 0.05 + 0.2), atol=1e-14)
    np.testing.assert_allclose(found[:, 1], y * (0.5 - np.cos(t)), atol=1e-14)


@pytest.mark.parametrize("margin", [0.07, -0.3])
def test_the_gap_is_twice_the_margin(margin):
    """Detects a margin on the wrong coordinate or of the wrong sign: -y a is from the margin on, and comes near it."""
    found, y = draw_moons(4000, margin, 0.1, np.random.default_rng(1))
    nearest = (-y * found[:, 0]).min()
    assert margin <= nearest < margin + 0.01


def test_noise_has_its_standard_deviation_in_both_coordinates():
    """Chi-square within its quantiles (false alarm 1e-6 in all) away from the fold of |v|."""
    sigma, n = 0.02, 20_000
    found, y = draw_moons(n, 0.0, sigma, np.random.default_rng(2))
    t = np.tile(np.linspace(0, np.pi, n // 2), 2)
    inner = np.sin(t) > 0.5  # 20 standard deviations from the fold
    for noise in ((found[:, 1] - y * (0.5 - np.cos(t)))[inner], (np.abs(found[:, 0]) - np.sin(t) - 0.05)[inner]):
        low, high = stats.chi2.interval(1 - 5e-7, noise.size)
        assert low < ((noise / sigma) ** 2).sum() < high


def test_initial_weights_are_uniform_with_the_width_of_their_inputs():
    """Kolmogorov-Smirnov at 1e-7 for each of six: detects a fan taken from the wrong side, and biases of another."""
    layers = draw_layers(TwoMoons(hidden_units=700, hidden_layers=2), 3, 4)
    assert [weights.shape for weights, _ in layers] == [(700, 2), (700, 700), (1, 700)]
    for (weights, biases), before in zip(layers, (2, 700, 700), strict=True):
        for values in (weights.ravel(), biases):
            assert np.abs(values).max() <= before**-0.5
            assert stats.kstest(values * before**0.5, stats.uniform(-1, 2).cdf).pvalue > 1e-7


def test_sampled_networks_are_those_that_training_starts_from():
    """Any subset of runs, bit for bit; what does not enter a draw does not change it."""
    problem = TwoMoons(samples=20, hidden_units=7, margin=0.3)
    data = sample(problem, runs=3, seed=8, first_run=5)
    own, network = draw_sample(problem, 8, 6), initial_network(problem, 8, 6)
    one = data.sel(run=6)
    for name, value in zip(Sample._fields, own, strict=True):
        np.testing.assert_array_equal(one[name], value)
    np.testing.assert_array_equal(one["initial_weights"], network.units)
    assert float(one["initial_bias"]) == network.bias
    wider = draw_sample(problem.model_copy(update={"hidden_units": 9, "rotation": 10.0}), 8, 6)
    np.testing.assert_array_equal(wider.inputs, own.inputs)
    np.testing.assert_array_equal(draw_sample(problem.model_copy(update={"margin": -0.2}), 8, 6)[2], own[2])
    assert not np.array_equal(data["inputs"][0], data["inputs"][1])
    assert not np.array_equal(own.inputs, draw_sample(problem, 9, 6).inputs)


def test_fresh_data_have_margin_minus_one_half():
    fresh = draw_sample(TwoMoons(noise=0.2), 1, 2)
    expected, labels = draw_moons(4000, -0.5, 0.2, stream(1, 2, Source.TEST_INPUTS))
    np.testing.assert_array_equal(fresh.shifted_inputs, expected)
    np.testing.assert_array_equal(fresh.shifted_labels, labels)


@pytest.mark.parametrize(
    ("problem", "options", "words"),
    [
        (TwoMoons(hidden_layers=2), {"runs": 1}, "hidden_layers .* must be 1"),
        (TwoMoons(), {"runs": 0}, "runs must be a whole number"),
        (TwoMoons(samples=10**6), {"runs": 10**4}, "runs, samples or hidden_units must be smaller"),
        (CoupledFeatures(strengths=[1], coupling=[[1]]), {"runs": 1}, "must be TwoMoons"),
    ],
)
def test_bad_questions(problem, options, words):
    with pytest.raises(ParameterError, match=words):
        sample(problem, **options)


ROWS = np.linspace(-1.2, 1.2, 49)


@pytest.mark.parametrize("curve", [lambda h: 0.3 * h**2 - 0.1, lambda h: 0.2 * np.sin(3 * h) + h / 2])
def test_nonlinearity_of_a_known_boundary(curve):
    """Detects a wrong grid, a missing linear fit and a standard deviation with another divisor."""
    places = curve(ROWS)
    residual = places - np.polyval(np.polyfit(ROWS, places, 1), ROWS)
    found = nonlinearity(lambda x: 5.0 * (x[:, 0] - curve(x[:, 1])))
    assert found == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-12)
    assert nonlinearity(lambda x: -2.0 * (x[:, 0] - curve(x[:, 1]))) == pytest.approx(found, rel=1e-12)


def test_the_boundary_is_the_crossing_nearest_to_zero():
    """Three lines: the middle one counts, to either side; rows that are not crossed are left out."""

    def bent(x):
        a, h = x.T
        return (a - 0.2 * h**2) * (a - 1.0 - 0.5 * h**4) * (a + 1.1)

    assert nonlinearity(bent) == pytest.approx(nonlinearity(lambda x: x[:, 0] - 0.2 * x[:, 1] ** 2), rel=1e-3)
    upper = ROWS[ROWS > 0]
    residual = upper**2 - np.polyval(np.polyfit(upper, upper**2, 1), upper)
    half = nonlinearity(lambda x: np.where(x[:, 1] > 0, x[:, 0] - x[:, 1] ** 2, 1.0))
    assert half == pytest.approx(residual.std(), rel=1e-9)
    assert nonlinearity(lambda x: x[:, 1]) == 0.0
    assert nonlinearity(lambda x: np.where(x[:, 1] > 1.12, x[:, 0] - x[:, 1] ** 4, 1.0)) == 0.0  # two rows


def test_interpolation_of_the_boundary_is_exact_for_straight_pieces():
    assert nonlinearity(lambda x: 3 * x[:, 0] + 0.7 * x[:, 1] - 0.123) == pytest.approx(0.0, abs=1e-14)


def test_second_share():
    assert second_share(np.array([[0.1, -0.3], [-0.1, 0.3], [0.0, 0.0]])) == pytest.approx(0.75)
    assert second_share(np.zeros((3, 2))) == 0.0


def test_statistics_of_a_straight_classifier():
    """By counting: the first coordinate alone is right where |v| + margin > 0, training and shifted data apart."""
    sample = draw_sample(TwoMoons(margin=-0.1, samples=500), 0, 0)
    found = measure(lambda x: -2.0 * x[:, 0], lambda x: np.tile([-2.0, 0.0], (len(x), 1)), sample)
    right = [sum(-x[0] * y > 0 for x, y in zip(*pair, strict=True)) / len(pair[1]) for pair in (sample[:2], sample[2:])]
    margins = -2.0 * sample.inputs[:, 0] * sample.labels
    assert (found.training_accuracy, found.shifted_accuracy) == tuple(right)
    assert found.training_loss == pytest.approx(np.log1p(np.exp(-margins)).mean(), rel=1e-12)
    assert found.mean_margin == pytest.approx(margins.mean(), rel=1e-12)
    assert (found.nonlinearity, found.second_share) == (0.0, 0.0)


def test_values_and_gradients_of_a_network():
    """Against the network written out, at 4 k + 3 points, turned: detects a rotation by the opposite angle."""
    rng = np.random.default_rng(7)
    network, points = TwoLayer(rng.standard_normal((4, 9)), 0.4), rng.standard_normal((11, 2))
    angle = np.deg2rad(25.0)
    turned = [(np.cos(angle) * a - np.sin(angle) * h, np.sin(angle) * a + np.cos(angle) * h) for a, h in points]

    def written(x):
        return 0.4 + sum(o * max(0.0, w * x[0] + v * x[1] + b) for w, v, b, o in network.units.T)

    function = gated(network, turn(25.0))
    np.testing.assert_allclose(function.values(points), [written(x) for x in turned], rtol=1e-13)
    for axis in (0, 1):
        step = 1e-6 * np.eye(2)[axis]
        slope = (function.values(points + step) - function.values(points - step)) / 2e-6
        np.testing.assert_allclose(function.gradient(points)[:, axis], slope, atol=1e-8)
