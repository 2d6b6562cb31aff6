"""Gradient starvation: compiled training of networks against the same steps in plain numpy.

One thread, paired runs, medians of CPU times; each row prints its ratio.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from analytic.gradient_starvation._linearised import linearised
from dynamics.algorithms import MomentumDescent
from dynamics.classifiers import nonlinearity
from dynamics.gradient_starvation import TwoMoons
from dynamics.networks import Gated, gated, turn
from simulations.gradient_starvation._moons import draw_sample, initial_network, sample
from simulations.gradient_starvation._network import PRECISIONS, start

PROBLEM = TwoMoons()
TRAINING = MomentumDescent(weight_decay=2e-4, output_penalty=0.003)


def seconds(function: Callable[[], Any]) -> float:
    start_of_it = time.process_time()
    function()
    return time.process_time() - start_of_it


def paired(slow: Callable[[], Any], fast: Callable[[], Any], repeats: int = 7) -> tuple[float, float]:
    """Return the median CPU times of the two, run in turn after one run of each."""
    slow(), fast()
    times = [(seconds(slow), seconds(fast)) for _ in range(repeats)]
    return statistics.median(t for t, _ in times), statistics.median(t for _, t in times)


def numpy_loop(dtype: Any, epochs: int) -> Callable[[], Any]:
    """Return the same descent as one would write it in numpy, the activations stored."""
    sample, network = draw_sample(PROBLEM, 0, 0), initial_network(PROBLEM, 0, 0)
    inputs, labels = sample.inputs.astype(dtype), sample.labels.astype(dtype)
    eta, mu = dtype(TRAINING.learning_rate), dtype(TRAINING.momentum)
    w, c = dtype(TRAINING.weight_decay), dtype(2.0 * TRAINING.output_penalty)

    def loop() -> Any:
        theta = [network.units[:2].astype(dtype), *network.units[2:].astype(dtype), np.full(1, network.bias, dtype)]
        velocity = [np.zeros_like(values) for values in theta]
        for _ in range(epochs):
            weights, biases, out, bias = theta
            hidden = np.maximum(inputs @ weights + biases, 0)
            f = hidden @ out + bias
            r = (c * f - labels / (1 + np.exp(labels * f))) / labels.size
            back = np.outer(r, out) * (hidden > 0)
            gradients = inputs.T @ back, back.sum(axis=0), r @ hidden, r.sum(keepdims=True)
            for part, gradient in enumerate(gradients):
                velocity[part] *= mu
                velocity[part] += gradient + w * theta[part]
                theta[part] -= eta * velocity[part]
        return theta

    return loop


def training() -> None:
    for name, dtype in PRECISIONS.items():
        network, _ = start(PROBLEM, TRAINING, 0, 0, name)
        slow, fast = paired(numpy_loop(dtype, 200), lambda: network.advance(4000))  # noqa: B023
        slow, fast = slow / 200, fast / 4000
        print(
            f"300 points, 500 units, {name} precision: {1e6 * fast:.1f} us an epoch, {1e6 * slow:.0f} us in numpy, "
            f"ratio {slow / fast:.1f}"
        )
        last = network.network
        first = initial_network(PROBLEM, 0, 0)
        theta = numpy_loop(dtype, 200)()
        network, _ = start(PROBLEM, TRAINING, 0, 0, name)
        network.advance(200)
        off = np.abs(theta[0] - network.network.units[:2]).max() / np.abs(first.units[:2] - last.units[:2]).max()
        print(f"    after 200 epochs the weights of the two are off by {off:.1g} of how far they move")


def numbers() -> None:
    network = initial_network(PROBLEM, 0, 0)
    function: Gated = gated(network, turn(0.0))
    points = np.random.default_rng(0).standard_normal((49 * 401, 2))

    def plain() -> Any:
        return np.maximum(points @ network.units[:2] + network.units[2], 0.0) @ network.units[3] + network.bias

    slow, fast = paired(plain, lambda: function.values(points))
    print(
        f"outputs at {len(points)} points: {1e3 * fast:.1f} ms, {1e3 * slow:.0f} ms in numpy, ratio {slow / fast:.0f}"
    )
    data = sample(PROBLEM, runs=1)
    nonlinear, linear = paired(
        lambda: nonlinearity(function.values), lambda: linearised(PROBLEM, TRAINING, [10_000], data), 3
    )
    print(f"nonlinearity: {1e3 * nonlinear:.1f} ms; linearised, 10^4 epochs of a run: {linear:.2f} s")


if __name__ == "__main__":
    with threadpool_limits(1):
        training()
        numbers()
