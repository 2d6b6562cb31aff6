r"""Full-batch training in plain numpy of what has no compiled code: Adam, several layers, dropout, batch normalization.

Each hidden layer is h = max(0, keep * normalized(W x + b)). With dropout, ``keep`` is 1/(1 - p) or, with probability p,
0; it is drawn in each epoch for each sample and unit. Batch normalization is gamma (z - mean z)/sqrt(var z + 1e-5) +
beta with the moments of z over the training inputs, gamma from 1 and beta from 0.

Outputs, elsewhere than in a step of training, are without dropout and, with batch normalization, with the moments of
the present parameters on the training inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.algorithms import Adam, MomentumDescent
from dynamics.gradient_starvation import TwoMoons
from dynamics.networks import turn
from simulations._streams import Source, stream
from simulations.gradient_starvation._adam import AdamSteps
from simulations.gradient_starvation._moons import draw_layers

__all__ = ["Layer", "Plain", "backward", "forward"]

Array = NDArray[Any]

#: What batch normalization adds to variances.
_VARIANCE = 1e-5
#: Points whose outputs are computed at a time.
_BLOCK = 2048


class Layer(NamedTuple):
    """A hidden layer in the forward pass, for the backward pass: what came in, and what was made of it."""

    inputs: Array
    normalized: Array
    mean: Array
    scale: Array
    factor: Array | float
    before: Array


def forward(
    parameters: Sequence[Sequence[Array]], inputs: Array, keep: Sequence[Array | float],
    moments: Sequence[tuple[Array, Array]] | None,
) -> tuple[Array, list[Layer]]:  # fmt: skip
    """Return the outputs (m,) and what the hidden layers made; ``moments`` none means those of the inputs themselves.

    ``parameters`` of a hidden layer are W (after, before) and b, and with normalization gamma and beta.
    """
    layers: list[Layer] = []
    x = inputs
    for number, (weights, bias, *normal) in enumerate(parameters[:-1]):
        z = x @ weights.T + bias
        mean, scale, hat = np.zeros_like(bias), np.ones_like(bias), z
        if normal:
            mean, scale = (z.mean(axis=0), np.sqrt(z.var(axis=0) + z.dtype.type(_VARIANCE))) if moments is None else (
                moments[number]
            )  # fmt: skip
            hat = (z - mean) / scale
            z = normal[0] * hat + normal[1]
        layers.append(Layer(x, hat, mean, scale, keep[number], z))
        x = np.maximum(z, z.dtype.type(0)) * keep[number]
    weights, bias = parameters[-1]
    layers.append(Layer(x, x, bias, bias, 1.0, x))  # only its inputs are looked at
    return x @ weights[0] + bias[0], layers


def backward(
    parameters: Sequence[Sequence[Array]], layers: Sequence[Layer], residual: Array, *, moving: bool
) -> tuple[list[list[Array]], Array]:
    """Return the derivatives of sum_i residual_i f_i by all parameters, and by the inputs (m, 2).

    ``moving`` says whether the moments of batch normalization are those of these inputs, or are held.
    """
    weights, _ = parameters[-1]
    found = [[(residual @ layers[-1].inputs)[None], residual.sum(keepdims=True)]]
    d = residual[:, None] * weights
    for (weights, _, *normal), layer in zip(parameters[-2::-1], layers[-2::-1], strict=True):
        d = d * (layer.before > 0) * layer.factor
        more = []
        if normal:
            more = [(d * layer.normalized).sum(axis=0), d.sum(axis=0)]
            d = d * normal[0]
            if moving:
                d = d - d.mean(axis=0) - layer.normalized * (d * layer.normalized).mean(axis=0)
            d = d / layer.scale
        found.append([d.T @ layer.inputs, d.sum(axis=0), *more])
        d = d @ weights
    return found[::-1], d


class Plain:
    """A network in training, with any of the variants."""

    def __init__(
        self, problem: TwoMoons, algorithm: MomentumDescent | Adam, inputs: Array, labels: Array, seed: int, run: int,
        dtype: type[np.floating[Any]], limit: float,
    ) -> None:  # fmt: skip
        self._problem, self._algorithm, self._limit = problem, algorithm, limit
        self._rotation = turn(problem.rotation).astype(dtype)
        self._inputs, self._labels = inputs.astype(dtype) @ self._rotation.T, labels.astype(dtype)
        self._random = stream(seed, run, Source.PATH)
        normal = problem.normalization == "batch"
        drawn = [[weights, bias] for weights, bias in draw_layers(problem, seed, run)]
        for layer in drawn[:-1] if normal else []:
            layer += [np.ones_like(layer[1]), np.zeros_like(layer[1])]
        self._parameters = [[values.astype(dtype) for values in layer] for layer in drawn]
        rate = algorithm.learning_rate
        self._velocity = [[np.zeros_like(values) for values in layer] for layer in self._parameters]
        self._adam = [[AdamSteps(values, rate) for values in layer] for layer in self._parameters]
        self._whole: list[Array | float] = [1.0] * problem.hidden_layers
        self._moments: list[tuple[Array, Array]] | None = None
        self._done = 0

    def advance(self, epochs: int) -> int:
        """Take so many epochs; return -1, or the number of them after which it diverged."""
        self._moments = None
        with np.errstate(over="ignore", invalid="ignore"):  # of a run that diverges
            for epoch in range(epochs):
                outputs, layers = forward(self._parameters, self._inputs, self._keep(), None)
                if not self._within(outputs):
                    return epoch
                found, _ = backward(self._parameters, layers, self._residual(outputs), moving=True)
                self._done += 1
                for place, gradients in enumerate(found):
                    for number, gradient in enumerate(gradients):
                        self._move(place, number, gradient)
            outputs, _ = forward(self._parameters, self._inputs, self._whole, None)
        return -1 if self._within(outputs) else epochs

    def _within(self, outputs: Array) -> bool:
        """Whether the root of the mean squared output is below the limit; not so for nan."""
        return bool(np.square(outputs, dtype=np.float64).mean() <= self._limit**2)

    def _keep(self) -> list[Array | float]:
        """Draw the factors of this epoch: the same numbers in any precision."""
        p = self._problem.dropout
        if p == 0.0:
            return self._whole
        shape, dtype = (self._labels.size, self._problem.hidden_units), self._labels.dtype.type
        drawn = (self._random.random(shape, dtype=np.float32) >= p for _ in self._whole)
        return [kept * dtype(1.0 / (1.0 - p)) for kept in drawn]

    def _residual(self, outputs: Array) -> Array:
        """Return the derivatives of the mean loss by the outputs, the penalty on them included when it counts."""
        algorithm, y = self._algorithm, self._labels
        counts = not isinstance(algorithm, Adam) or self._done >= algorithm.switch
        penalty = 2.0 * algorithm.output_penalty if counts else 0.0
        return np.asarray((penalty * outputs - y / (1 + np.exp(y * outputs))) / y.size, dtype=y.dtype)

    def _move(self, place: int, number: int, gradient: Array) -> None:
        """Move one array of parameters."""
        algorithm, theta = self._algorithm, self._parameters[place][number]
        g = gradient + algorithm.weight_decay * theta
        if isinstance(algorithm, Adam):
            self._adam[place][number].take(theta, g)
            return
        velocity = self._velocity[place][number]
        velocity *= algorithm.momentum
        velocity += g
        theta -= algorithm.learning_rate * velocity

    def values(self, points: Array) -> Array:
        """Return the outputs at points (m, 2)."""
        blocks = [self._pass(points[i : i + _BLOCK])[0] for i in range(0, len(points), _BLOCK)]
        return np.concatenate(blocks).astype(np.float64)

    def gradient(self, points: Array) -> Array:
        """Return the derivatives of the outputs by both coordinates, shape (m, 2)."""
        blocks = []
        for i in range(0, len(points), _BLOCK):
            outputs, layers = self._pass(points[i : i + _BLOCK])
            blocks.append(backward(self._parameters, layers, np.ones_like(outputs), moving=False)[1] @ self._rotation)
        return np.concatenate(blocks).astype(np.float64)

    def _pass(self, points: Array) -> tuple[Array, list[Layer]]:
        if self._moments is None:
            _, layers = forward(self._parameters, self._inputs, self._whole, None)
            self._moments = [(layer.mean, layer.scale) for layer in layers]
        seen = points.astype(self._labels.dtype) @ self._rotation.T
        return forward(self._parameters, seen, self._whole, self._moments)
