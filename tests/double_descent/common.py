"""What the tests of double descent share.

``reference.json`` holds values of an independent implementation of the limit (contour integrals with two contours and
node counts compared; its ``tolerance`` and ``schema`` say how good they are and what they mean), each checked there
against simulations at d = 400.
"""

import json
from pathlib import Path

from analytic.double_descent import solve
from dynamics.algorithms import GradientFlow

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())
CURVES = ("alignment", "norm", "generalization_error", "training_error")

#: Away from all unit defaults: three scales, unequal fractions and teacher powers, noise.
BLOCKS = {"variances": [1.0, 0.09, 0.002], "fractions": [0.5, 0.3, 0.2], "teacher_power": [0.7, 1.6, 3.1], "noise": 0.4}


def error_at(problem, times, flow=None):
    """E_G in the limit."""
    return solve(problem, flow or GradientFlow(), times)["generalization_error"].values
