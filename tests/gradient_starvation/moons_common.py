"""What the tests of networks share: a problem away from all defaults, and differences of its loss."""

import numpy as np

from dynamics.algorithms import Adam, MomentumDescent
from dynamics.gradient_starvation import TwoMoons
from dynamics.networks import turn
from simulations.gradient_starvation._moons import draw_sample
from simulations.gradient_starvation._network import train

#: Away from all defaults, and from multiples of vectors.
PROBLEM = TwoMoons(samples=38, hidden_units=7, margin=-0.2, noise=0.3, rotation=25.0)
MOMENTUM = MomentumDescent(learning_rate=0.2, momentum=0.7, weight_decay=0.03, output_penalty=0.15)
ADAM = Adam(learning_rate=0.02, weight_decay=0.03, output_penalty=0.3, switch=6)
POINTS = np.random.default_rng(11).standard_normal((13, 2))


def nothing():
    """A checkpoint that lets every run go on."""


def curves(*question, precision="double", seed=4, run=2):
    problem, algorithm, times = question
    return train(problem, algorithm, np.array(times), seed, run, nothing, precision)


def loss(theta, inputs, labels, decay, penalty):
    """Mean loss with penalties of the network of 7 units whose parameters are in one vector."""
    units, bias = theta[:-1].reshape(4, 7), theta[-1]
    outputs = np.maximum(inputs @ units[:2] + units[2], 0.0) @ units[3] + bias
    mean = np.log1p(np.exp(-labels * outputs)).mean() + penalty * (outputs**2).mean()
    return mean + decay / 2 * (theta**2).sum()


def gradient(theta, *rest, step=1e-6):
    """Central differences."""
    moves = step * np.eye(theta.size)
    return np.array([(loss(theta + move, *rest) - loss(theta - move, *rest)) / (2 * step) for move in moves])


def vector(network):
    return np.append(network.units.ravel(), network.bias)


def seen_sample():
    sample = draw_sample(PROBLEM, 4, 2)
    return sample.inputs @ turn(25.0).T, sample.labels
