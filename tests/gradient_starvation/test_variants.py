"""Variants of training: gradients by differences, Adam, dropout and normalization written out, other code's numbers."""

import numpy as np
import pytest

from dynamics.algorithms import Adam, MomentumDescent
from dynamics.gradient_starvation import TwoMoons
from dynamics.networks import TwoLayer, gated, turn
from simulations.gradient_starvation._moons import draw_layers, initial_network
from simulations.gradient_starvation._network import start
from simulations.gradient_starvation._variants import backward, forward
from tests.gradient_starvation.moons_common import (
    ADAM,
    MOMENTUM,
    POINTS,
    PROBLEM,
    curves,
    gradient,
    seen_sample,
    vector,
)


def test_adam_by_differences_of_the_loss():
    """Detects a missing correction of the start, a wrong factor, and a switch that comes a step early or late."""
    network, _ = start(PROBLEM, ADAM, 4, 2, "double")
    theta, first, second = vector(initial_network(PROBLEM, 4, 2)), 0.0, 0.0
    for t in range(1, 11):
        g = gradient(theta, *seen_sample(), 0.03, 0.3 if t - 1 >= 6 else 0.0)
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        theta = theta - 0.02 * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
        assert network.advance(1) == -1
        expected = gated(TwoLayer(theta[:-1].reshape(4, 7), theta[-1]), turn(25.0)).values(POINTS)
        np.testing.assert_allclose(network.values(POINTS), expected, atol=1e-6)


@pytest.mark.parametrize("normal", [False, True])
@pytest.mark.parametrize("moving", [False, True])
def test_gradients_of_deep_networks_by_differences(normal, moving):
    """All parameters and the inputs, with dropped units, and with moments that move and that are held."""
    rng = np.random.default_rng(0)
    shapes = [[(5, 2), (5,)], [(5, 5), (5,)], [(1, 5), (1,)]]
    parameters = [[rng.standard_normal(shape) for shape in layer] for layer in shapes]
    if normal:
        for layer in parameters[:-1]:
            layer += [rng.standard_normal(5), rng.standard_normal(5)]
    inputs, weights = rng.standard_normal((9, 2)), rng.standard_normal(9)
    keep = [(rng.random((9, 5)) > 0.3) / 0.7 for _ in range(2)]
    outputs, layers = forward(parameters, inputs, keep, None)
    held = None if moving else [(layer.mean, layer.scale) for layer in layers]
    found, by_inputs = backward(parameters, layers, weights, moving=moving)

    def total():
        return float(weights @ forward(parameters, inputs, keep, held)[0])

    assert total() == pytest.approx(float(weights @ outputs))
    pairs = [pair for both in zip(parameters, found, strict=True) for pair in zip(*both, strict=True)]
    for values, derivative in [*pairs, (inputs, by_inputs)]:
        for place in np.ndindex(values.shape):
            kept = values[place]
            values[place] = kept + 1e-6
            up = total()
            values[place] = kept - 1e-6
            down = total()
            values[place] = kept
            assert derivative[place] == pytest.approx((up - down) / 2e-6, abs=2e-7)


def test_batch_normalization_normalizes():
    """At the start hidden pre-activations have mean 0 and variance 1 over the data; detects a variance over n - 1."""
    problem = PROBLEM.model_copy(update={"normalization": "batch", "rotation": 0.0})
    network, sample = start(problem, MOMENTUM, 4, 2, "double")
    (weights, bias), (out, constant) = draw_layers(problem, 4, 2)
    z = sample.inputs @ weights.T + bias
    hat = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)
    np.testing.assert_allclose(network.values(sample.inputs), np.maximum(hat, 0) @ out[0] + constant, rtol=1e-12)
    # an affine function of the inputs, whatever other points come along
    np.testing.assert_allclose(network.values(POINTS)[:3], network.values(POINTS[:3]), rtol=1e-12)
    network.advance(30)
    for axis in (0, 1):
        step = 1e-6 * np.eye(2)[axis]
        slope = (network.values(POINTS + step) - network.values(POINTS - step)) / 2e-6
        np.testing.assert_allclose(network.gradient(POINTS)[:, axis], slope, atol=1e-7)


def test_dropout_drops_anew_and_keeps_the_mean():
    """The part dropped is p (binomial, false alarm 1e-6), the rest is scaled up; outputs are without it."""
    problem = TwoMoons(samples=300, hidden_units=200, dropout=0.3)
    network, sample = start(problem, MomentumDescent(), 1, 0, "single")
    (first,), (second,) = network._keep(), network._keep()
    assert set(np.unique(first)) == {np.float32(0.0), np.float32(1 / 0.7)}
    dropped, n = (first == 0).mean(), first.size
    assert abs(dropped - 0.3) < 4.9 * np.sqrt(0.3 * 0.7 / n)
    assert (first.std(axis=0) > 0).all()  # not the same units of all samples
    assert (first.std(axis=1) > 0).all()
    both = ((first == 0) & (second == 0)).mean()
    assert abs(both - 0.09) < 4.9 * np.sqrt(0.09 * 0.91 / n)
    plain = start(problem.model_copy(update={"dropout": 0.0}), MomentumDescent(), 1, 0, "single")[0]
    np.testing.assert_allclose(network.values(POINTS), plain.values(POINTS), rtol=1e-5)
    double = start(problem, MomentumDescent(), 1, 0, "double")[0]
    np.testing.assert_array_equal(double._keep()[0] == 0, first == 0)
    network.advance(3), plain.advance(3)
    assert not np.allclose(network.values(sample.inputs), plain.values(sample.inputs), rtol=1e-3)


def test_dropout_is_training_on_masked_units():
    """One step written out; detects a mask that is applied forward only, or drawn anew for the way back."""
    problem = PROBLEM.model_copy(update={"dropout": 0.5, "rotation": 0.0})
    step = MomentumDescent(learning_rate=0.1)
    network, sample = start(problem, step, 4, 2, "double")
    (keep,) = start(problem, step, 4, 2, "double")[0]._keep()
    theta = initial_network(problem, 4, 2)
    hidden = np.maximum(sample.inputs @ theta.units[:2] + theta.units[2], 0) * keep
    r = -sample.labels / (1 + np.exp(sample.labels * (hidden @ theta.units[3] + theta.bias))) / 38
    back = r[:, None] * theta.units[3] * keep * (sample.inputs @ theta.units[:2] + theta.units[2] > 0)
    moved = theta.units - 0.1 * np.vstack([(sample.inputs.T @ back), back.sum(axis=0), r @ hidden])
    network.advance(1)
    expected = gated(TwoLayer(moved, theta.bias - 0.1 * r.sum()), turn(0.0)).values(POINTS)
    np.testing.assert_allclose(network.values(POINTS), expected, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "change", "low", "high"), [
    (Adam(learning_rate=1e-4), {}, (0.055, 0.145, 0.78), (0.105, 0.20, 0.83)),
    (MomentumDescent(), {"dropout": 0.7}, (0.02, 0.08, 0.73), (0.05, 0.16, 0.79)),
])  # fmt: skip
def test_variants_against_other_code(algorithm, change, low, high):
    """NL, GS and OOD within the range of other code's seeds and a margin: detects a wrong step size or scaling."""
    found = curves(TwoMoons(**change), algorithm, [10_000], precision="single", seed=71).curves
    values = [found[name][0] for name in ("nonlinearity", "second_share", "shifted_accuracy")]
    assert all(a < value < b for a, value, b in zip(low, values, high, strict=True)), values
