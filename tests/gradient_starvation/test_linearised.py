"""The linearised network: against descent of all its parameters, its fixed points, and the network itself."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit

from analytic.gradient_starvation._linearised import _Model, linearised
from analytic.gradient_starvation._linearised_kernels import descend_outputs
from dynamics.algorithms import Adam, MomentumDescent
from dynamics.classifiers import Statistics, measure
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import TwoMoons
from dynamics.networks import TwoLayer, gated, linearisation, tangent_features, tangent_modes, turn
from simulations.gradient_starvation._moons import draw_sample, initial_network, sample
from simulations.gradient_starvation._network import start
from simulations.gradient_starvation._observe import observe

PROBLEM = TwoMoons(samples=38, hidden_units=30, margin=-0.2, noise=0.3, rotation=25.0)
MOMENTUM = MomentumDescent(learning_rate=0.05, momentum=0.7, weight_decay=0.03, output_penalty=0.15)
TURNED = turn(25.0)
POINTS = np.random.default_rng(11).standard_normal((13, 2))


def moved(network, theta):
    """The network with theta added to its parameters."""
    return TwoLayer(network.units + theta[:-1].reshape(4, -1), network.bias + theta[-1])


def test_tangent_features_by_differences():
    """All parameters at all points: detects an order of blocks, and a gate, that is not the network's."""
    network = initial_network(PROBLEM, 1, 2)
    found, size = tangent_features(network, POINTS @ TURNED.T), 4 * 30 + 1
    for p, step in enumerate(1e-6 * np.eye(size)):
        up, down = (gated(moved(network, sign * step), TURNED).values(POINTS) for sign in (1, -1))
        np.testing.assert_allclose(found[:, p], (up - down) / 2e-6, atol=1e-9)
    assert found.shape == (13, size)


def test_modes_are_those_of_the_kernel():
    """Orthonormal, U S^2 U^T the kernel with labels, strongest first, and signed so that U^T 1 is not negative."""
    features, labels = np.random.default_rng(2).standard_normal((6, 40)), np.array([-1.0, 1, 1, -1, 1, -1])
    strengths, presence = tangent_modes(features, labels)
    np.testing.assert_allclose(presence.T @ presence, np.eye(6), atol=1e-13)
    kernel = labels[:, None] * (features @ features.T) * labels
    np.testing.assert_allclose(presence * strengths**2 @ presence.T, kernel, atol=1e-12)
    assert (np.diff(strengths) < 0).all()
    assert (presence.sum(axis=0) >= 0).all()


def test_linearisation_is_first_order():
    """f(theta_0 + e theta) - f_lin falls as e^2: detects any missing term of the model or of its derivatives."""
    network, theta = initial_network(PROBLEM, 1, 2), np.random.default_rng(3).standard_normal(121)
    for name in ("values", "gradient"):
        off = []
        for size in (1e-4, 1e-5):
            part = TwoLayer(size * theta[:-1].reshape(4, -1), size * theta[-1])
            linear = getattr(linearisation(network, part, TURNED), name)(POINTS)
            off.append(np.abs(linear - getattr(gated(moved(network, size * theta), TURNED), name)(POINTS)).max())
        assert 1e-10 < off[1] < 1e-7
        assert off[0] / off[1] == pytest.approx(100, rel=0.05)


def test_gradient_of_the_linearisation_by_differences():
    function = linearisation(initial_network(PROBLEM, 1, 2), initial_network(PROBLEM, 1, 3), TURNED)
    for axis in (0, 1):
        step = 1e-6 * np.eye(2)[axis]
        slope = (function.values(POINTS + step) - function.values(POINTS - step)) / 2e-6
        np.testing.assert_allclose(function.gradient(POINTS)[:, axis], slope, atol=1e-8)


def by_parameters(problem, algorithm, epochs, seed, run):
    """Momentum descent of every parameter of the linear model, and of nothing else."""
    sample, network = draw_sample(problem, seed, run), initial_network(problem, seed, run)
    rotation = turn(problem.rotation)
    phi = tangent_features(network, sample.inputs @ rotation.T)
    initial, first = np.append(network.units.ravel(), network.bias), gated(network, rotation).values(sample.inputs)
    theta, velocity = np.zeros_like(initial), np.zeros_like(initial)
    for _ in range(epochs):
        outputs = first + phi @ theta
        push = -sample.labels * expit(-sample.labels * outputs) + 2 * algorithm.output_penalty * outputs
        gradient = phi.T @ push / len(push) + algorithm.weight_decay * (initial + theta)
        velocity = algorithm.momentum * velocity + gradient
        theta = theta - algorithm.learning_rate * velocity
    return first + phi @ theta, TwoLayer(theta[:-1].reshape(4, -1), theta[-1])


@pytest.mark.parametrize("epochs", [0, 1, 2, 400])
def test_descent_of_the_outputs_is_descent_of_the_parameters(epochs):
    """To 1e-11, with all penalties, for samples that are no multiple of four; statistics and responses follow."""
    data = sample(PROBLEM, runs=2, seed=5, first_run=1)
    found = linearised(PROBLEM, MOMENTUM, np.unique([0, epochs]), data, features=12, pixels=3).isel(time=-1)
    for run in (1, 2):
        outputs, theta = by_parameters(PROBLEM, MOMENTUM, epochs, 5, run)
        own, network = draw_sample(PROBLEM, 5, run), initial_network(PROBLEM, 5, run)
        function = linearisation(network, theta, TURNED)
        np.testing.assert_allclose(function.values(own.inputs), outputs, atol=1e-11)
        for name, value in measure(function.values, function.gradient, own)._asdict().items():
            assert float(found[name].sel(run=run)) == pytest.approx(value, abs=1e-10), name
        corner = found["output"].sel(run=run, first_coordinate=-2.0, second_coordinate=0.0)
        assert float(corner) == pytest.approx(function.values(np.array([[-2.0, 0.0]]))[0], abs=1e-10)
        strengths, presence = tangent_modes(tangent_features(network, own.inputs @ TURNED.T), own.labels)
        np.testing.assert_allclose(found["strength"].sel(run=run), strengths[:12], rtol=1e-10)
        responses = presence.T[:12] @ (own.labels * outputs)
        np.testing.assert_allclose(found["response"].sel(run=run), responses, atol=1e-10)


def test_times_asked_for_do_not_change_the_path():
    data = sample(PROBLEM, runs=1)
    whole, part = (linearised(PROBLEM, MOMENTUM, times, data) for times in ([0, 3, 50, 90], [50, 90]))
    for name in Statistics._fields:
        np.testing.assert_array_equal(part[name], whole[name].sel(time=[50, 90]))


def run_to_rest(kernel, labels, start, along, **numbers):
    """Return outputs, beta and gamma where descent of the outputs has come to rest."""
    n = labels.size
    beta, velocity, gamma, outputs = np.zeros(n), np.zeros(n), np.zeros(2), start.copy()
    numbers = {"epochs": 200_000, "step": 0.1, "momentum": 0.9, "decay": 0.0, "penalty": 0.0, "limit": 1e20} | numbers
    at = descend_outputs(kernel, start, along, labels, beta, velocity, gamma, outputs, *numbers.values())
    assert at == -1
    return outputs, beta, gamma[0]


def test_penalty_alone_ends_at_equal_margins():
    """u (1 + e^u) = 1/(2 c) for every sample whatever the kernel: detects a factor 2 or n between c and the step."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((8, 8))
    labels = np.where(rng.random(8) < 0.5, -1.0, 1.0)
    c = 0.2
    outputs, _, gamma = run_to_rest(root @ root.T + np.eye(8), labels, np.zeros(8), np.zeros(8), penalty=2 * c)
    margin = brentq(lambda u: u * (1 + np.exp(u)) - 1 / (2 * c), 0, 10)
    np.testing.assert_allclose(labels * outputs, margin, rtol=1e-10)
    assert gamma == 0.0


def test_decay_alone_ends_at_its_fixed_point():
    """n w u = G sigma(-u) with what is left of the start: gamma = -1 takes theta_0 away."""
    rng = np.random.default_rng(1)
    root, start, along, w = rng.standard_normal((8, 5)), rng.standard_normal(8), rng.standard_normal(8), 0.07
    labels, kernel = np.where(rng.random(8) < 0.5, -1.0, 1.0), root @ root.T
    outputs, _, gamma = run_to_rest(kernel, labels, start, along, decay=w)
    assert gamma == pytest.approx(-1.0, abs=1e-10)
    expected = start - along + kernel @ (labels * expit(-labels * outputs)) / (8 * w)
    np.testing.assert_allclose(outputs, expected, rtol=1e-8)


def test_short_training_is_linear():
    """After five epochs the network is off its linearisation by the square of the step: slope 2 +- 0.1."""
    off = []
    for step in (4e-4, 2e-4, 1e-4):
        algorithm = MomentumDescent(learning_rate=step, weight_decay=0.03, output_penalty=0.15)
        network, sample = start(PROBLEM, algorithm, 5, 1, "double")
        model = _Model(initial_network(PROBLEM, 5, 1), sample, TURNED, algorithm)
        network.advance(5), model.advance(5)
        off.append(np.abs(network.values(sample.inputs) - model.outputs).max())
    np.testing.assert_allclose(np.log2(np.array(off[:-1]) / np.array(off[1:])), 2.0, atol=0.1)


def test_declared_errors():
    """At 500 units as documented; they fall as the root of the units, and grow as weight decay takes the start away."""
    times = [0, 1000]
    base, narrow = (
        linearised(one, MomentumDescent(), times, sample(one, runs=2))
        for one in (TwoMoons(samples=20), TwoMoons(samples=20, hidden_units=125))
    )
    expected = {
        "nonlinearity": 0.05, "second_share": 0.1, "shifted_accuracy": 0.05, "training_accuracy": 0.02,
        "training_loss": 0.015,
    }  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(base[f"{name}_error"], [value, value])
        np.testing.assert_allclose(narrow[f"{name}_error"], [2 * value, 2 * value])
    np.testing.assert_allclose(base["mean_margin_error"], 0.2 * np.abs(base["mean_margin"]))
    problem = TwoMoons(samples=20)
    decayed = linearised(problem, MomentumDescent(weight_decay=0.004), times, sample(problem, runs=1))
    np.testing.assert_allclose(decayed["nonlinearity_error"], [0.05, 0.05 * (1 + 0.004 * 100)])
    for one, growth in ((narrow, [2.0, 2.0]), (decayed, [1.0, 1.4])):
        np.testing.assert_allclose(one["mean_margin_error"], 0.2 * np.array(growth) * np.abs(one["mean_margin"]))


@pytest.mark.parametrize(
    ("change", "algorithm", "words"),
    [
        ({"hidden_layers": 2}, MomentumDescent(), "hidden_layers .* must be 1"),
        ({"dropout": 0.5}, MomentumDescent(), "dropout .* must be 0"),
        ({"normalization": "batch"}, MomentumDescent(), "normalization .* must be none"),
        ({}, Adam(), "algorithm must be MomentumDescent"),
        ({"margin": 0.3}, MomentumDescent(), "data must be drawn for this problem"),
        ({}, MomentumDescent(learning_rate=50.0, output_penalty=5.0), "learning_rate .* must be smaller"),
    ],
)
def test_bad_questions(change, algorithm, words):
    data = sample(PROBLEM, runs=1)
    with pytest.raises(ParameterError, match=words):
        linearised(PROBLEM.model_copy(update=change), algorithm, [0, 500], data)
    with pytest.raises(ParameterError, match="features must be at most 38"):
        linearised(PROBLEM, MOMENTUM, [1], data, features=39)
    with pytest.raises(ParameterError, match="data must be drawn"):
        linearised(PROBLEM, MOMENTUM, [1], None)


CASES = {
    "hard": (TwoMoons(margin=-0.1), MomentumDescent()),
    "easy": (TwoMoons(margin=0.1), MomentumDescent()),
    "penalty": (TwoMoons(margin=0.1), MomentumDescent(output_penalty=0.003)),
}


@pytest.mark.slow
def test_the_network_is_near_its_linearisation():
    """Every one of ten runs at all times within the declared errors; the penalty frees the weak responses in both."""
    times = np.unique(np.r_[0, 1, 3, np.geomspace(10, 10_000, 13).astype(int)])
    weak = {}
    for name, (problem, algorithm) in CASES.items():
        theory = linearised(problem, algorithm, times, sample(problem, runs=10, seed=83))
        runs = observe(problem, algorithm, times, runs=10, seed=83)
        for key in Statistics._fields:
            assert (np.abs(runs[key] - theory[key]) <= theory[f"{key}_error"]).all(), (name, key)
        weak[name] = [
            np.sqrt((answer["response"].isel(time=-1, feature=slice(5, 8)) ** 2).sum("feature"))
            for answer in (runs, theory)
        ]
    for penalised, free in zip(weak["penalty"], weak["easy"], strict=True):
        assert (penalised > 1.6 * free).all()
    ratio = {name: theory / runs for name, (runs, theory) in weak.items()}
    assert ((ratio["easy"] > 0.5) & (ratio["easy"] < 1)).all()
    assert ((ratio["penalty"] > 0.9) & (ratio["penalty"] < 1.2)).all()
