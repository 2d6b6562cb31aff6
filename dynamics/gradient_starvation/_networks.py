"""Data on which networks are trained: two arcs in the plane, and coloured digits."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from dynamics.gradient_starvation._coupled import Problem
from dynamics.parameters import parameter

__all__ = ["ColoredDigits", "TwoMoons"]


class TwoMoons(Problem):
    """Two interlocking arcs in the plane and a network of rectified linear units.

    Class -1 is (cos t, sin t) and class 1 is (1 - cos t, 1/2 - sin t), t evenly spaced from 0 to pi, both coordinates
    with Gaussian noise. With h = first - 1/2 and v = second - 0.3 y, less its mean, the inputs are (a, h) with
    a = -y (|v| + margin): the first coordinate separates the classes linearly by a gap of 2 ``margin``, or, where that
    is negative, fails to.

    The network has ``hidden_layers`` layers of ``hidden_units`` units with biases; weights and biases start uniform in
    +-1/sqrt(inputs of the layer).
    """

    margin: float = parameter(
        0.1, symbol=r"\Delta", meaning="half of the gap between the classes along the first coordinate", at_least=-1.0,
        at_most=1.0, explore=(-0.3, 0.3),
    )  # fmt: skip
    samples: int = parameter(
        300, symbol="n", meaning="number of samples, half of them of each class", at_least=4, at_most=10**6,
        scale="log", explore=(50, 1000),
    )  # fmt: skip
    noise: float = parameter(
        0.1, symbol=r"\sigma", meaning="standard deviation of the noise in both coordinates", at_least=0.0,
        at_most=10.0, explore=(0.0, 0.3),
    )  # fmt: skip
    rotation: float = parameter(
        0.0, symbol=r"\varphi", meaning="angle in degrees by which the network sees the inputs rotated", at_least=-360,
        at_most=360, explore=(0.0, 90.0),
    )  # fmt: skip
    hidden_units: int = parameter(
        500, symbol="H", meaning="units of each hidden layer", at_least=1, at_most=10**5, scale="log",
        explore=(50, 1000),
    )  # fmt: skip
    hidden_layers: int = parameter(1, symbol="D", meaning="hidden layers", at_least=1, at_most=20, explore=(1, 5))
    dropout: float = parameter(
        0.0, symbol="p", meaning="probability that a hidden pre-activation is dropped in a step", at_least=0.0,
        at_most=1.0 - 1e-6, explore=(0.0, 0.9),
    )  # fmt: skip
    normalization: Literal["none", "batch"] = parameter(
        "none", symbol=r"\mathrm{norm}", meaning="normalization of the hidden pre-activations"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.samples % 2:
            raise self.refused("samples", "must be even", self.samples)
        return self


class ColoredDigits(Problem):
    """Real images of digits, 8 x 8, whose colour says more about the label than their shape does.

    The label says whether the digit is below 5, and is flipped with probability ``flip``; the colour is the label,
    flipped with probability ``first_flip`` in one half of the training images, ``second_flip`` in the other and
    ``test_flip`` in the test images. Inputs are two copies of the image, the one of the colour that is not there being
    0; two hidden layers of ``hidden_units`` rectified linear units.
    """

    flip: float = parameter(
        0.25, symbol="q", meaning="probability that a label is wrong", at_least=0.0, at_most=0.5, explore=(0.0, 0.4)
    )
    first_flip: float = parameter(
        0.2, symbol="e_1", meaning="probability that the colour is not the label's, first half of training",
        at_least=0.0, at_most=1.0, explore=(0.0, 1.0),
    )  # fmt: skip
    second_flip: float = parameter(
        0.1, symbol="e_2", meaning="probability that the colour is not the label's, second half of training",
        at_least=0.0, at_most=1.0, explore=(0.0, 1.0),
    )  # fmt: skip
    test_flip: float = parameter(
        0.9, symbol="e_t", meaning="probability that the colour is not the label's in the test", at_least=0.0,
        at_most=1.0, explore=(0.0, 1.0),
    )  # fmt: skip
    hidden_units: int = parameter(
        64, symbol="H", meaning="units of each hidden layer", at_least=1, at_most=10**4, scale="log", explore=(16, 256)
    )
