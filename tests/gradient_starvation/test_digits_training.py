"""Training on coloured digits: exact gradients, Adam's steps, whole runs."""

from concurrent.futures import CancelledError

import numpy as np
import pytest
from scipy import stats

from dynamics.algorithms import Adam
from dynamics.gradient_starvation import ColoredDigits
from simulations._ensemble import run_all
from simulations._streams import Source, stream
from simulations.gradient_starvation._adam import AdamSteps
from simulations.gradient_starvation._digits import Digits, draw_digits, painted
from simulations.gradient_starvation._digits_training import (
    CURVES,
    Network,
    Penalties,
    _entropy,
    initial_weights,
    penalties_at,
    train_digits,
)
from tests.gradient_starvation.digits_common import FAST_SD, IRM, needs_digits, trained


def made_up():
    """A small training set without scikit-learn, in both colours and both environments."""
    rng = np.random.default_rng(3)
    count, first = 12, 5
    light = np.repeat(np.eye(2), [first, count - first], axis=0)
    labels = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    environments = np.array([0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1, 0])
    return Digits(painted(rng.random((count, 64)), light), labels, environments, first, {}, labels)


PENALTIES = {
    "risk": Penalties(0.0, 0.0, 0.0, 1.0), "outputs": Penalties(0.7, 0.0, 0.0, 1.0),
    "invariance": Penalties(0.0, 3.0, 0.0, 3.0), "decay": Penalties(0.0, 0.0, 0.3, 1.0),
    "all": Penalties(1.3, 20.0, 0.05, 20.0),
}  # fmt: skip


def loss(vector, hidden, data, penalties):
    """The definition, with g_e as a complex-step derivative by the common factor of the outputs."""
    shapes = [(128, hidden), (hidden,), (hidden, hidden), (hidden,), (hidden,), (1,)]
    parts, start = [], 0
    for shape in shapes:
        parts.append(vector[start : start + int(np.prod(shape))].reshape(shape))
        start += parts[-1].size
    value = data.inputs
    for weight, bias in ((parts[0], parts[1]), (parts[2], parts[3])):
        value = value @ weight + bias
        value = value * (value > 0)
    f = value @ parts[4] + parts[5]
    total = np.log1p(np.exp(-data.labels * f)).mean() + penalties.output * (f**2).mean()
    for e in (0, 1):
        own = data.environments == e
        g = np.log(1 + np.exp(-data.labels[own] * f[own] * (1 + 1e-30j))).mean().imag / 1e-30
        total += penalties.invariance * g**2 / 2
    return (total + penalties.decay / 2 * vector @ vector) / penalties.divisor


@pytest.mark.parametrize("penalties", PENALTIES.values(), ids=PENALTIES)
def test_gradients_are_those_of_the_loss(penalties):
    """Detects any wrong term, sign or factor; central differences of h = 1e-5 are off by 1e-9."""
    data, hidden = made_up(), 4
    network = Network(data, hidden, np.random.default_rng(0))
    network.parameters += np.random.default_rng(1).normal(scale=0.3, size=network.parameters.size)  # biases too
    outputs = network.differentiate(penalties)
    np.testing.assert_allclose(outputs, network.outputs(data.inputs), rtol=1e-12)
    base = network.parameters.copy()
    for place in [*range(0, 512, 11), *range(512, base.size)]:
        step = np.zeros(base.size)
        step[place] = 1e-5
        slope = (loss(base + step, hidden, data, penalties) - loss(base - step, hidden, data, penalties)) / 2e-5
        assert network.gradient[place] == pytest.approx(slope, rel=1e-6, abs=2e-9)


def test_penalties_count_from_the_switch_on():
    """Detects a switch off by one, a forgotten weight 1 before it, and a divisor below 1."""
    assert penalties_at(FAST_SD, 99) == (0.0, 0.0, 0.0, 1.0)
    assert penalties_at(FAST_SD, 100) == (1.0, 0.0, 0.0, 1.0)
    assert penalties_at(IRM, 99) == (0.0, 1.0, 2e-3, 1.0)
    assert penalties_at(IRM, 100) == (0.0, 1e4, 2e-3, 1e4)
    assert penalties_at(Adam(invariance=0.25), 0) == (0.0, 0.25, 0.0, 1.0)


def test_steps_are_adams():
    """Against both averages written out as sums over all gradients so far."""
    rng = np.random.default_rng(2)
    gradients, rate = rng.normal(size=(30, 7)) * np.logspace(-9, 3, 7), 0.03
    steps, at, expected = AdamSteps(np.zeros(7), rate), np.ones(7), np.ones(7)
    for t in range(1, 31):
        steps.take(at, gradients[t - 1])
        ages = np.arange(t)[::-1, None]
        mean = (0.9**ages * gradients[:t]).sum(0) / (0.9**ages).sum()
        square = (0.999**ages * gradients[:t] ** 2).sum(0) / (0.999**ages).sum()
        expected = expected - rate * mean / (np.sqrt(square) + 1e-8)
        np.testing.assert_allclose(at, expected, rtol=1e-10)


def test_first_weights_fill_their_intervals():
    """Detects another limit, another layer's, biases that are not 0; false alarm below 1e-7 in all."""
    h = 50
    parts = np.split(initial_weights(h, np.random.default_rng(8), np.float64), np.cumsum([128 * h, h, h * h, h, h]))
    for weights, limit in zip(parts[::2], (6 / (128 + h), 6 / (2 * h), 6 / (h + 1)), strict=True):
        assert stats.kstest(weights / np.sqrt(limit), stats.uniform(-1, 2).cdf).pvalue > 1e-8
        assert np.abs(weights).max() <= np.sqrt(limit)
    assert [part.any() for part in parts[1::2]] == [False] * 3
    assert [part.size for part in parts] == [128 * h, h, h * h, h, h, 1]


def test_entropy_of_predictions():
    """Detects bits for nats, a wrong branch, and nan at outputs beyond the range of exp."""
    outputs = np.array([0.0, 0.3, -0.3, 5.0, -1e3, 1e30])
    p = 1 / (1 + np.exp(-np.clip(outputs, -700, 700)))
    np.testing.assert_allclose(_entropy(outputs), stats.entropy([p, 1 - p]), rtol=1e-10, atol=1e-200)


# ----------------------------------------------------------------------------------------------------------- whole runs


@needs_digits
@pytest.mark.parametrize("algorithm", [
    Adam(learning_rate=0.02, output_penalty=0.4, switch=3, weight_decay=0.01),
    Adam(learning_rate=0.01, invariance=50.0, switch=3, weight_decay=0.01, output_penalty=0.2),
])  # fmt: skip
def test_a_run_is_what_its_parts_say(algorithm):
    """Detects stale gradients, a step too many, swapped records."""
    problem, times = ColoredDigits(hidden_units=6), np.array([0, 1, 3, 4, 9])
    found = train_digits(problem, algorithm, times, 3, 5, lambda: None, precision="double").curves
    data = draw_digits(problem, 3, 5, np.float64)
    network = Network(data, 6, stream(3, 5, Source.FEATURES))
    steps = AdamSteps(network.parameters, algorithm.learning_rate)
    for t in range(10):
        if t in times:
            place = int(np.flatnonzero(times == t)[0])
            f = network.outputs(data.inputs)
            assert found["training_loss"][place] == pytest.approx(np.log1p(np.exp(-data.labels * f)).mean(), rel=1e-9)
            assert found["training_accuracy"][place] == np.mean((f > 0) == (data.labels > 0))
            for name, inputs in data.tests.items():
                f = network.outputs(inputs)
                p = 1 / (1 + np.exp(-f))
                assert found[f"{name}_accuracy"][place] == np.mean((f > 0) == (data.test_labels > 0)), name
                entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean()
                assert found[f"{name}_entropy"][place] == pytest.approx(entropy, rel=1e-9)
        network.differentiate(penalties_at(algorithm, t))
        steps.take(network.parameters, network.gradient)
    assert set(found) == set(CURVES)


@needs_digits
def test_single_precision_is_enough():
    """Detects sums that lose digits: 60 steps, the penalties switched on at 30, within 1e-3 of double precision."""
    for algorithm in (Adam(output_penalty=1.0, switch=30), Adam(invariance=1e4, switch=30, weight_decay=2e-3)):
        single, double = (trained(algorithm, [29, 60], 0, precision=name) for name in ("single", "double"))
        for name in ("training_loss", "shifted_entropy", "blank_entropy"):
            np.testing.assert_allclose(single[name], double[name], atol=1e-3)


@needs_digits
def test_bits_depend_on_neither_threads_nor_times():
    problem = ColoredDigits(hidden_units=16)

    def one(run, stop):
        curves = train_digits(problem, FAST_SD, np.array([2, 7]), 1, run, lambda: None).curves
        return np.array(list(curves.values())).tobytes()

    first, _ = run_all(one, range(4), workers=2, progress=False, label="")
    again, _ = run_all(one, [3, 1], workers=1, progress=False, label="")
    assert again == [first[3], first[1]]
    assert len(set(first)) == 4
    other = train_digits(problem, FAST_SD, np.array([0, 1, 2, 3, 7, 8]), 1, 1, lambda: None).curves
    assert np.array([values[[2, 4]] for values in other.values()]).tobytes() == first[1]


@needs_digits
def test_a_run_that_diverges_says_when():
    """Detects infinite or missing numbers without a word."""
    for times in (np.arange(6), np.array([0, 5])):
        course = train_digits(ColoredDigits(hidden_units=8), Adam(learning_rate=1e30), times, 0, 0, lambda: None)
        assert course.diverged_at == 1
        for values in course.curves.values():
            assert np.isfinite(values[0])
            assert np.isnan(values[1:]).all()


@needs_digits
def test_a_run_can_be_stopped():
    def stop():
        raise CancelledError

    with pytest.raises(CancelledError):
        train_digits(ColoredDigits(), Adam(), np.array([200]), 0, 0, stop)
