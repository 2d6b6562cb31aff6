"""One run of full-batch training on two moons, with the numbers that tell what the network has learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from dynamics.algorithms import Adam, Algorithm, MomentumDescent
from dynamics.classifiers import Sample, Statistics, measure
from dynamics.errors import known
from dynamics.gradient_starvation import TwoMoons
from dynamics.memory import check_memory
from dynamics.networks import TwoLayer, gated, turn
from simulations.gradient_starvation._moons import draw_sample, initial_network
from simulations.gradient_starvation._network_kernels import SAMPLES, UNITS, descend, forward
from simulations.gradient_starvation._variants import Plain

__all__ = ["PRECISIONS", "Fused", "Network", "Trained", "check_training", "start", "train", "trajectory"]

Array = NDArray[Any]

#: Names of the floating-point types that networks are trained in, the default first.
PRECISIONS: Mapping[str, type[np.floating[Any]]] = {"single": np.float32, "double": np.float64}
#: A run has diverged when the root of its mean squared output is above this.
DIVERGED = 1e10
#: Products of samples and units between looks at the request to stop: a fraction of a second.
_LOOK = 10**9


class Network(Protocol):
    """A network in training; points and their derivatives are those before the rotation."""

    def advance(self, epochs: int) -> int:
        """Take so many epochs; return -1, or the number of them after which it diverged."""

    def values(self, points: Array) -> Array:
        """Return the outputs at points (m, 2)."""

    def gradient(self, points: Array) -> Array:
        """Return the derivatives of the outputs by both coordinates, shape (m, 2)."""


class Trained(NamedTuple):
    """The statistics by name at the times before divergence, the epoch at which that was seen (or -1), and the rest.

    ``watched`` is what the caller's own function returned at each of these times, ``network`` the network at the end.
    """

    curves: dict[str, Array]
    diverged_at: int
    watched: list[Any]
    network: Network


class Fused:
    """A network of one hidden layer that is trained by momentum descent in compiled code."""

    def __init__(
        self, network: TwoLayer, inputs: Array, labels: Array, rotation: Array, algorithm: MomentumDescent,
        dtype: type[np.floating[Any]],
    ) -> None:  # fmt: skip
        self._rotation, self._width = rotation, network.units.shape[1]
        self._units = np.zeros((4, _whole(self._width, UNITS)), dtype)
        self._units[:, : self._width] = network.units
        self._velocity = np.zeros_like(self._units)
        self._bias = np.array([network.bias, 0.0], dtype)
        self._x, self._y = np.zeros((2, _whole(labels.size, SAMPLES)), dtype)
        self._x[: labels.size], self._y[: labels.size] = (inputs @ rotation.T).T
        self._labels = labels.astype(dtype)
        self._outputs, self._residual = np.zeros((2, self._x.size), dtype)
        self._step, self._momentum = dtype(algorithm.learning_rate), dtype(algorithm.momentum)
        self._decay, self._penalty = dtype(algorithm.weight_decay), dtype(2.0 * algorithm.output_penalty)
        self._limit = dtype(DIVERGED**2 * labels.size)
        forward(self._units, self._bias, self._x, self._y, self._outputs)

    def advance(self, epochs: int) -> int:
        """Take so many epochs; return -1, or the number of them after which it diverged."""
        return int(
            descend(
                self._units, self._velocity, self._bias, self._x, self._y, self._labels, self._outputs, self._residual,
                epochs, self._step, self._momentum, self._decay, self._penalty, self._limit,
            )
        )  # fmt: skip

    @property
    def network(self) -> TwoLayer:
        """The parameters, in double precision."""
        return TwoLayer(self._units[:, : self._width].astype(np.float64), float(self._bias[0]))

    def values(self, points: Array) -> Array:
        """Return the outputs at points (m, 2), in double precision."""
        return gated(self.network, self._rotation).values(points)

    def gradient(self, points: Array) -> Array:
        """Return the derivatives of the outputs by both coordinates, shape (m, 2)."""
        return gated(self.network, self._rotation).gradient(points)


def _whole(number: int, unit: int) -> int:
    return -(-number // unit) * unit


def check_training(problem: TwoMoons, algorithm: Algorithm, at_once: int) -> None:
    """Refuse what has no meaning for two moons, and arrays beyond the memory budget, ``at_once`` runs of them."""
    if isinstance(algorithm, Adam) and algorithm.invariance > 0.0:
        raise algorithm.refused("invariance", "must be 0: two moons are one environment", algorithm.invariance)
    width, depth = problem.hidden_units, problem.hidden_layers
    numbers = 30 * width + 20 * problem.samples
    if not _is_fused(problem, algorithm):
        numbers += depth * width * (6 * problem.samples + 4 * width * (depth > 1))
    check_memory(at_once * numbers, "hidden_units, hidden_layers, samples or workers must be smaller")


def _is_fused(problem: TwoMoons, algorithm: Algorithm) -> bool:
    plain = problem.hidden_layers == 1 and problem.dropout == 0.0 and problem.normalization == "none"
    return plain and isinstance(algorithm, MomentumDescent)


def start(
    problem: TwoMoons, algorithm: MomentumDescent | Adam, seed: int, run: int, precision: str
) -> tuple[Network, Sample]:
    """Return the network before training, and the run's data."""
    dtype = PRECISIONS[known("precision", precision, PRECISIONS)]
    sample = draw_sample(problem, seed, run)
    if _is_fused(problem, algorithm):
        assert isinstance(algorithm, MomentumDescent)
        network = initial_network(problem, seed, run)
        return Fused(network, sample.inputs, sample.labels, turn(problem.rotation), algorithm, dtype), sample
    return Plain(problem, algorithm, sample.inputs, sample.labels, seed, run, dtype, DIVERGED), sample


def trajectory(
    network: Network, times: NDArray[np.int64], work: int, checkpoint: Callable[[], None]
) -> Iterator[tuple[int, int]]:
    """Train, and yield (index of the time, -1) whenever one is reached, or (index, epoch) and no more on divergence.

    ``work`` is the number of products of an epoch, and ``checkpoint`` called now and then; what it raises ends the run.
    """
    done, most = 0, max(1, _LOOK // work)
    for index, time in enumerate(times.tolist()):
        checkpoint()
        while done < time:
            epochs = min(most, time - done)
            at = network.advance(epochs)
            if at >= 0:
                yield index, done + at
                return
            done += epochs
            checkpoint()
        yield index, -1


def _work(problem: TwoMoons, algorithm: Algorithm) -> int:
    """Return what an epoch costs, in products of the compiled code (plain numpy takes 30 times longer for each)."""
    inner = problem.hidden_units * (problem.hidden_layers - 1)
    return problem.samples * problem.hidden_units * ((1 if _is_fused(problem, algorithm) else 30) + inner)


def train(
    problem: TwoMoons, algorithm: MomentumDescent | Adam, times: NDArray[np.int64], seed: int, run: int,
    checkpoint: Callable[[], None], precision: str = "single",
    watch: Callable[[Network, Sample], Any] = lambda network, sample: None,
) -> Trained:  # fmt: skip
    """Train one run and return its statistics after so many epochs (increasing, int64).

    Parameters
    ----------
    problem, algorithm
        Momentum descent of one hidden layer without dropout and normalization is compiled; the rest is plain numpy.
    times : array
        Numbers of completed epochs.
    seed, run : int
        Address of the run's streams.
    checkpoint : callable
        Called a few times a second; what it raises ends the run.
    precision : str
        ``"single"`` or ``"double"``, of training; statistics of a compiled run are in double precision.
    watch : callable
        Called with network and data at each time.

    Returns
    -------
    Trained
        For each field of :class:`dynamics.classifiers.Statistics` its values at the times; there are none from
        divergence on, when the root of the mean squared output exceeds 1e10.
    """
    network, sample = start(problem, algorithm, seed, run, precision)
    found, watched, diverged_at = [], [], -1
    for _, at in trajectory(network, times, _work(problem, algorithm), checkpoint):
        diverged_at = at
        if at < 0:
            found.append(measure(network.values, network.gradient, sample))
            watched.append(watch(network, sample))
    table = np.array(found, dtype=np.float64).reshape(len(found), len(Statistics._fields))
    return Trained(dict(zip(Statistics._fields, table.T, strict=True)), diverged_at, watched, network)
