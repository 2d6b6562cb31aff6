"""What the tests of double descent share.

``reference.json`` holds values of an independent implementation of the limit (contour integrals with two contours and
node counts compared; its ``tolerance`` and ``schema`` say how good they are and what they mean), each checked there
against simulations at d = 400.
"""

import functools
import json
from pathlib import Path

import numpy as np

from analytic.double_descent import solve
from dynamics.algorithms import GradientFlow
from dynamics.double_descent import TeacherStudent
from figures import reproduce

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())
CURVES = ("alignment", "norm", "generalization_error", "training_error")

#: Away from all unit defaults: three scales, unequal fractions and teacher powers, noise.
BLOCKS = {"variances": [1.0, 0.09, 0.002], "fractions": [0.5, 0.3, 0.2], "teacher_power": [0.7, 1.6, 3.1], "noise": 0.4}

#: Small enough for plain linear algebra, with whole directions in each block; n < d and n > d.
WIDE = TeacherStudent(
    samples=12, dimension=20, variances=[1.0, 0.09, 0.01], fractions=[0.5, 0.3, 0.2], teacher_power=[0.7, 1.6, 2.5],
    noise=0.4,
)  # fmt: skip
TALL = WIDE.model_copy(update={"samples": 33})


def scale_of(problem):
    """The diagonal of F."""
    return np.sqrt(np.repeat(problem.blocks.variance, problem.directions()))


def same_bits(one, two):
    return all(one[name].values.tobytes() == two[name].values.tobytes() for name in one.data_vars)


def error_at(problem, times, flow=None):
    """E_G in the limit."""
    return solve(problem, flow or GradientFlow(), times)["generalization_error"].values


@functools.cache
def quick(label):
    """A figure in its quick preset, made once for all tests: picture and data."""
    return reproduce(f"double-descent/{label}", seed=3)
