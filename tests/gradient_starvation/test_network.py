"""Training on two moons: gradients by differences, twins of other code, and what the trained networks must show."""

import threading
from concurrent.futures import CancelledError

import numpy as np
import pytest

from dynamics.algorithms import Adam, MomentumDescent
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import TwoMoons
from dynamics.networks import TwoLayer, tangent_features, turn
from simulations._ensemble import raise_if_set, run_all
from simulations.gradient_starvation import _network
from simulations.gradient_starvation._moons import draw_sample, initial_network
from simulations.gradient_starvation._network import Fused, check_training, start, train
from simulations.gradient_starvation._observe import observe
from simulations.gradient_starvation._variants import Plain
from tests.gradient_starvation.moons_common import (
    ADAM,
    MOMENTUM,
    POINTS,
    PROBLEM,
    curves,
    gradient,
    nothing,
    seen_sample,
    vector,
)


def test_momentum_descent_by_differences_of_the_loss():
    """Ten steps of compiled code: detects a wrong gradient of any parameter, penalty, or order of the momentum."""
    network, _ = start(PROBLEM, MOMENTUM, 4, 2, "double")
    theta, velocity = vector(initial_network(PROBLEM, 4, 2)), 0.0
    for _ in range(10):
        velocity = 0.7 * velocity + gradient(theta, *seen_sample(), 0.03, 0.15)
        theta = theta - 0.2 * velocity
        assert network.advance(1) == -1
        np.testing.assert_allclose(vector(network.network), theta, atol=1e-7)


@pytest.mark.parametrize(("precision", "tolerance"), [("double", 1e-12), ("single", 1e-4)])
@pytest.mark.parametrize("size", [(38, 7), (64, 8), (34, 30)])
def test_compiled_and_plain_code_agree(precision, tolerance, size):
    """Detects wrong padding of samples and units, and a factor that lost its precision."""
    samples, units = size
    problem = PROBLEM.model_copy(update={"samples": samples, "hidden_units": units})
    sample, dtype = draw_sample(problem, 4, 2), {"single": np.float32, "double": np.float64}[precision]
    fused, _ = start(problem, MOMENTUM, 4, 2, precision)
    plain = Plain(problem, MOMENTUM, sample.inputs, sample.labels, 4, 2, dtype, 1e10)
    assert isinstance(fused, Fused)
    for _ in range(3):
        assert fused.advance(20) == plain.advance(20) == -1
        for name in ("values", "gradient"):
            expected = getattr(plain, name)(POINTS)
            np.testing.assert_allclose(getattr(fused, name)(POINTS), expected, atol=tolerance * np.abs(expected).max())
        assert np.abs(fused.gradient(POINTS)).max() > 0.1


def test_single_precision_is_single():
    """Its curves are near those in double precision and not the same."""
    single, double = (curves(PROBLEM, MOMENTUM, [200], precision=name).curves for name in ("single", "double"))
    off = abs(single["mean_margin"] / double["mean_margin"] - 1)
    assert 1e-12 < off < 1e-3


@pytest.mark.parametrize("algorithm", [MOMENTUM, ADAM])
@pytest.mark.parametrize("change", [{}, {"hidden_layers": 3, "normalization": "batch"}, {"dropout": 0.4}])
def test_times_asked_for_do_not_change_the_path(monkeypatch, algorithm, change):
    """Pieces of any length, time 0 included, give the same bits; the checkpoint is called."""
    problem = PROBLEM.model_copy(update=change)
    whole = curves(problem, algorithm, [0, 1, 17, 40])
    monkeypatch.setattr(_network, "_LOOK", 1)
    calls = []
    parts = train(problem, algorithm, np.array([17, 40]), 4, 2, lambda: calls.append(1), "double")
    assert len(calls) >= 40
    for name, values in parts.curves.items():
        np.testing.assert_array_equal(values, whole.curves[name][2:])
    assert whole.curves["training_loss"][3] < whole.curves["training_loss"][0]


def test_a_checkpoint_ends_a_run():
    stop = threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        train(PROBLEM, MOMENTUM, np.array([10]), 0, 0, lambda: raise_if_set(stop), "double")


def test_rotated_inputs_are_rotated_weights():
    """Momentum descent commutes with rotations: detects statistics that are taken of the rotated coordinates."""
    angle = 25.0
    plain = initial_network(PROBLEM, 4, 2)
    sample = draw_sample(PROBLEM, 4, 2)
    units = np.vstack([turn(angle).T @ plain.units[:2], plain.units[2:]])
    other = Fused(TwoLayer(units, plain.bias), sample.inputs, sample.labels, turn(0.0), MOMENTUM, np.float64)
    network, _ = start(PROBLEM, MOMENTUM, 4, 2, "double")
    assert network.advance(60) == other.advance(60) == -1
    np.testing.assert_allclose(network.values(POINTS), other.values(POINTS), rtol=1e-10)
    np.testing.assert_allclose(network.gradient(POINTS), other.gradient(POINTS), atol=1e-10)


@pytest.mark.parametrize("change", [{}, {"hidden_layers": 2, "hidden_units": 5}])
@pytest.mark.parametrize("precision", ["single", "double"])
def test_divergence_is_seen(change, precision):
    """An unstable penalty: curves end before it, at whatever time it is asked for; detects nan that pass."""
    problem = PROBLEM.model_copy(update=change)
    wild = MomentumDescent(learning_rate=3.0, output_penalty=50.0)
    found = curves(problem, wild, [0, 1, 2, 500], precision=precision)
    assert 0 < found.diverged_at <= 500
    assert found.curves["mean_margin"].size == (np.array([0, 1, 2, 500]) < found.diverged_at).sum()
    assert all(np.isfinite(values).all() for values in found.curves.values())
    again = curves(problem, wild, [found.diverged_at], precision=precision)
    assert (again.diverged_at, again.curves["mean_margin"].size) == (found.diverged_at, 0)


def test_the_number_of_threads_does_not_matter():
    """Bit for bit, and any subset of the runs."""
    question = TwoMoons(hidden_units=50), MomentumDescent(), [0, 200]
    one, two = (observe(*question, runs=4, seed=3, workers=workers, pixels=9) for workers in (1, 2))
    assert one.identical(two)
    assert observe(*question, runs=2, seed=3, first_run=2, pixels=9).equals(one.sel(run=[2, 3]))
    direct, _ = run_all(
        lambda run, stop: train(*question[:2], np.array([0, 200]), 3, run, nothing), range(4), workers=2,
        progress=False, label="",
    )  # fmt: skip
    np.testing.assert_array_equal([run.curves["second_share"] for run in direct], one["second_share"])


def test_what_is_observed():
    """Responses through singular vectors found otherwise, outputs of the network itself, nan after divergence."""
    seen = observe(PROBLEM, MOMENTUM, [0, 30], runs=2, seed=4, features=29, pixels=5, precision="double")
    network, sample = start(PROBLEM, MOMENTUM, 4, 1, "double")
    network.advance(30)
    margins = network.values(sample.inputs) * sample.labels
    features = tangent_features(initial_network(PROBLEM, 4, 1), sample.inputs @ turn(25.0).T)
    _, _, vectors = np.linalg.svd(features.T * sample.labels, full_matrices=False)
    responses = seen["response"].sel(run=1, time=30)
    assert responses.size == 29
    np.testing.assert_allclose(np.abs(responses[:15]), np.abs(vectors @ margins)[:15], rtol=1e-6)
    corner = seen["output"].sel(run=1, first_coordinate=-2.0, second_coordinate=1.0)
    assert float(corner) == pytest.approx(network.values(np.array([[-2.0, 1.0]]))[0], rel=1e-12)
    wild = observe(PROBLEM, MomentumDescent(learning_rate=3.0, output_penalty=50.0), [1, 500], runs=1, pixels=3)
    assert wild["outcome"].item() == "diverged"
    assert np.isnan(wild["response"].sel(time=500)).all()
    assert np.isnan(wild["output"]).all()
    assert "response" not in observe(PROBLEM.model_copy(update={"hidden_layers": 2}), MOMENTUM, [1], runs=1)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: check_training(PROBLEM, Adam(invariance=1.0), 1), "invariance .* must be 0"),
        (lambda: check_training(TwoMoons(hidden_units=10**5, hidden_layers=2), MOMENTUM, 1), "hidden_units, hidden_l"),
        (lambda: start(PROBLEM, MOMENTUM, 0, 0, "half"), "precision must be"),
        (lambda: observe(PROBLEM, MOMENTUM, [1], runs=1, features=30), "features must be at most 29, of 38"),
        (lambda: observe(PROBLEM, MOMENTUM, [1.5], runs=1), "whole numbers of steps"),
    ],
)  # fmt: skip
def test_bad_questions(ask, words):
    with pytest.raises(ParameterError, match=words):
        ask()


@pytest.mark.slow
@pytest.mark.parametrize("run", range(10))
def test_what_trained_networks_show(run):
    """Known of 28 seeds of other code, with room: starvation, its cure by the penalty on outputs, and what is none."""
    easy, hard = TwoMoons(margin=0.1), TwoMoons(margin=-0.1)
    asked = {
        "none": (easy, MomentumDescent()), "penalty": (easy, MomentumDescent(output_penalty=0.003)),
        "decay": (easy, MomentumDescent(weight_decay=0.01)), "hard": (hard, MomentumDescent()),
        "turned": (easy.model_copy(update={"rotation": 45.0}), MomentumDescent()),
    }  # fmt: skip
    found = {
        key: curves(*pair, [1000, 10_000], precision="single", seed=71, run=run).curves for key, pair in asked.items()
    }
    early, late = ({key: {name: v[i] for name, v in one.items()} for key, one in found.items()} for i in (0, 1))
    assert all(one["training_accuracy"] == 1.0 for one in late.values())
    assert late["penalty"]["nonlinearity"] > 4 * late["none"]["nonlinearity"]
    assert late["penalty"]["second_share"] > 0.40
    assert late["penalty"]["shifted_accuracy"] > 0.86
    assert 3.7 <= late["penalty"]["mean_margin"] <= 3.8
    for name in ("none", "turned"):
        assert late[name]["second_share"] < 0.12
        assert late[name]["shifted_accuracy"] < 0.80
    assert late["decay"]["nonlinearity"] < 0.005
    assert late["hard"]["nonlinearity"] > 0.10
    assert late["hard"]["shifted_accuracy"] > 0.84
    assert early["hard"]["nonlinearity"] > 2 * early["none"]["nonlinearity"]
    assert early["hard"]["shifted_accuracy"] > early["none"]["shifted_accuracy"] + 0.02
