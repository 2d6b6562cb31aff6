r"""Training on coloured digits: empirical risk, spectral decoupling and invariant risk minimisation, all by Adam.

A network 128 - H - H - 1 of rectified linear units with biases gives outputs f_i; weights start uniform in
+-sqrt(6/(inputs + outputs)) of their layer, biases at 0. With l(f) = log(1 + exp(-y f)) the whole batch has the loss

    [ mean l(f) + c mean f^2 + v mean_e g_e^2 + (w/2) |theta|^2 ] / max(1, v),    g_e = mean over e of f l'(f),

where e are the two environments, equally many samples each, and g_e is the derivative of the loss in e by a common
factor of all outputs. w is ``weight_decay``; c is 0 before ``switch`` and ``output_penalty`` from it on; v is 0 where
``invariance`` is, otherwise 1 before ``switch`` and ``invariance`` from it on. The divisor keeps steps from changing
their size when v does; Adam would not see a constant one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dynamics.algorithms import Adam
from dynamics.gradient_starvation import ColoredDigits
from simulations._streams import Source, stream
from simulations.gradient_starvation._adam import AdamSteps
from simulations.gradient_starvation._digits import PIXELS, Array, Digits, draw_digits
from simulations.gradient_starvation._network import PRECISIONS

__all__ = ["CURVES", "Course", "Network", "Penalties", "initial_weights", "penalties_at", "slope", "train_digits"]

_TESTS = ("shifted", "grey", "blank", "grey_blank")
#: What is recorded.
CURVES = (
    "training_accuracy", "training_loss", *(f"{test}_{what}" for test in _TESTS for what in ("accuracy", "entropy")),
)  # fmt: skip


class Course(NamedTuple):
    """Curves by name, shape (T,), nan from the step at which the run was seen to diverge, or -1."""

    curves: dict[str, NDArray[np.float64]]
    diverged_at: int


class Penalties(NamedTuple):
    """What counts at one step: c, v, w and the divisor of the loss."""

    output: float
    invariance: float
    decay: float
    divisor: float


def penalties_at(algorithm: Adam, step: int) -> Penalties:
    """Return the penalties that the gradient of a step (the first is 0) contains.

    Examples
    --------
    >>> algorithm = Adam(invariance=1e4, switch=100, weight_decay=2e-3)
    >>> penalties_at(algorithm, 99), penalties_at(algorithm, 100).divisor
    (Penalties(output=0.0, invariance=1.0, decay=0.002, divisor=1.0), 10000.0)
    """
    if step < algorithm.switch:
        return Penalties(0.0, float(algorithm.invariance > 0.0), algorithm.weight_decay, 1.0)
    v = algorithm.invariance
    return Penalties(algorithm.output_penalty, v, algorithm.weight_decay, max(1.0, v))


def slope(outputs: Array, labels: Array, halves: Array, penalties: Penalties) -> Array:
    """Return the derivative of the loss, without weight decay and divisor, by each output, shape (n,).

    ``halves`` (2, n) holds 1 where a sample is in an environment, and 0.
    """
    n = labels.size
    wrong = expit(-labels * outputs)
    first = -labels * wrong
    total = first / n
    if penalties.output:
        total += (2.0 * penalties.output / n) * outputs
    if penalties.invariance:
        by_factor = halves @ (first * outputs) * (2.0 / n)
        # mean over two environments, of n/2 samples each; the 2 of the square cancels one of them
        total += (2.0 * penalties.invariance / n) * (by_factor @ halves) * (wrong * (1.0 - wrong) * outputs + first)
    return total


def initial_weights(hidden: int, generator: np.random.Generator, dtype: type[np.floating[Any]]) -> Array:
    """Draw all weights and biases, one after the other in a vector."""
    parameters = np.zeros(sum(int(np.prod(shape)) for shape in _shapes(hidden)), dtype)
    for layer in _split(parameters, hidden)[::2]:
        limit = np.sqrt(6.0 / (layer.shape[0] + (layer.shape[1] if layer.ndim == 2 else 1)))
        layer[...] = generator.uniform(-limit, limit, layer.shape)
    return parameters


def _shapes(hidden: int) -> Sequence[tuple[int, ...]]:
    return (2 * PIXELS, hidden), (hidden,), (hidden, hidden), (hidden,), (hidden,), (1,)


def _split(parameters: Array, hidden: int) -> list[Array]:
    """Return weights and biases of the three layers by turns, views of the vector."""
    shapes = _shapes(hidden)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(parameters, ends[:-1]), shapes, strict=True)]


class Network:
    """A network that is trained on its data: parameters, their gradient, and room for what a step computes.

    Examples
    --------
    >>> pixels = np.array([[0.0, 1.0] * 64, [0.5, 0.25] * 64])
    >>> data = Digits(pixels, np.array([1.0, -1.0]), np.array([0, 1]), 1, {}, np.array([]))
    >>> network = Network(data, 3, np.random.default_rng(0))
    >>> network.parameters.size, network.outputs(pixels).shape
    (403, (2,))
    """

    def __init__(self, data: Digits, hidden: int, generator: np.random.Generator) -> None:
        self.data = data
        dtype = data.inputs.dtype.type
        self.parameters = initial_weights(hidden, generator, dtype)
        self.gradient = np.zeros_like(self.parameters)
        self._values, self._slopes = _split(self.parameters, hidden), _split(self.gradient, hidden)
        self._halves = (data.environments == np.array([[0], [1]])).astype(dtype)
        self._room = np.empty((4, len(data.labels), hidden), dtype)
        # the half of an input that is dark adds nothing, forwards or backwards
        rows, columns = slice(None, data.in_first), slice(None, PIXELS)
        others, rest = slice(data.in_first, None), slice(PIXELS, None)
        self._bright = [(rows, columns, data.inputs[rows, columns]), (others, rest, data.inputs[others, rest])]

    def outputs(self, inputs: Array) -> Array:
        """Return the outputs (n,) for any inputs (n, 128)."""
        w1, b1, w2, b2, w3, b3 = self._values
        hidden = np.maximum(np.maximum(inputs @ w1 + b1, 0.0) @ w2 + b2, 0.0)
        result: Array = hidden @ w3 + b3
        return result

    def differentiate(self, penalties: Penalties) -> Array:
        """Fill in the gradient of the loss by all parameters and return the outputs for the training images."""
        w1, b1, w2, b2, w3, b3 = self._values
        first, second = self._room[:2]
        for rows, columns, pixels in self._bright:
            np.matmul(pixels, w1[columns], out=first[rows])
        np.maximum(np.add(first, b1, out=first), 0.0, out=first)
        np.matmul(first, w2, out=second)
        np.maximum(np.add(second, b2, out=second), 0.0, out=second)
        outputs: Array = second @ w3 + b3
        self._backwards(slope(outputs, self.data.labels, self._halves, penalties))
        if penalties.decay:
            self.gradient += penalties.decay * self.parameters
        if penalties.divisor != 1.0:
            self.gradient /= penalties.divisor
        return outputs

    def _backwards(self, by_output: Array) -> None:
        w2, w3 = self._values[2], self._values[4]
        to_w1, to_b1, to_w2, to_b2, to_w3, to_b3 = self._slopes
        first, second, back, further = self._room
        np.matmul(by_output, second, out=to_w3)
        by_output.sum(keepdims=True, out=to_b3)
        np.multiply(np.multiply(by_output[:, None], w3, out=back), second > 0.0, out=back)
        np.matmul(first.T, back, out=to_w2)
        back.sum(axis=0, out=to_b2)
        np.multiply(np.matmul(back, w2.T, out=further), first > 0.0, out=further)
        for rows, columns, pixels in self._bright:
            np.matmul(pixels.T, further[rows], out=to_w1[columns])
        further.sum(axis=0, out=to_b1)


def train_digits(
    problem: ColoredDigits, algorithm: Adam, times: NDArray[np.int64], seed: int, run: int,
    checkpoint: Callable[[], None], precision: str = "single",
) -> Course:  # fmt: skip
    """Train one run from its own streams and record at these numbers of steps.

    Data and first weights are the same for every algorithm. A run has diverged when its outputs or its squared gradient
    are not finite in its precision.

    Returns
    -------
    Course
        Of accuracies (an output of 0 counts as -1), the mean logistic loss of the training images without penalties,
        and for the test images of each name mean entropies of the prediction sigma(f), in nats.
    """
    dtype = PRECISIONS[precision]
    data = draw_digits(problem, seed, run, dtype)
    network = Network(data, problem.hidden_units, stream(seed, run, Source.FEATURES))
    steps = AdamSteps(network.parameters, algorithm.learning_rate)
    curves = {name: np.full(times.size, np.nan) for name in CURVES}
    places = {time: index for index, time in enumerate(times.tolist())}
    with np.errstate(over="ignore", invalid="ignore"):  # of a run that diverges
        for step in range(int(times[-1]) + 1):
            checkpoint()
            outputs = network.differentiate(penalties_at(algorithm, step))
            if not np.isfinite(network.gradient @ network.gradient):
                return Course(curves, step)
            if step in places and not _record(curves, places[step], network, outputs):
                return Course(curves, step)
            steps.take(network.parameters, network.gradient)
    return Course(curves, -1)


def _record(curves: dict[str, NDArray[np.float64]], place: int, network: Network, outputs: Array) -> bool:
    """Record what the network does now, and say whether all of its outputs are finite."""
    data = network.data
    tests = {name: network.outputs(inputs) for name, inputs in data.tests.items()}
    if not all(np.isfinite(values).all() for values in (outputs, *tests.values())):
        return False
    curves["training_accuracy"][place] = _accuracy(outputs, data.labels)
    curves["training_loss"][place] = np.logaddexp(0.0, -data.labels * outputs).mean(dtype=np.float64)
    for name, values in tests.items():
        curves[f"{name}_accuracy"][place] = _accuracy(values, data.test_labels)
        curves[f"{name}_entropy"][place] = _entropy(values).mean(dtype=np.float64)
    return True


def _accuracy(outputs: Array, labels: Array) -> float:
    return float(((outputs > 0.0) == (labels > 0.0)).mean())


def _entropy(outputs: Array) -> Array:
    """Return the entropy of sigma(f): log(1 + exp(-|f|)) + |f| sigma(-|f|)."""
    size = np.abs(outputs)
    result: Array = np.logaddexp(0.0, -size) + size * expit(-size)
    return result
