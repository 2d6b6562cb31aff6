"""Made-up answers of theory and of simulations, of one curve."""

import numpy as np

from dynamics.algorithms import GradientFlow
from dynamics.double_descent import VARIABLES, TwoScale
from dynamics.results import answer

PROBLEM = TwoScale(samples=30, dimension=20, fast=12, noise=0.2)
TIMES = np.array([1.0, 10.0, 100.0])


def theory(curve, error=None, algorithm=None, problem=PROBLEM, **attributes):
    variables = {"alignment": (("time",), np.asarray(curve, dtype=float))}
    if error is not None:
        variables["alignment_error"] = (("time",), np.broadcast_to(error, (len(curve),)).astype(float))
    return answer(
        problem, algorithm or GradientFlow(), variables, {"time": TIMES[: len(curve)]},
        kind="theory", method="exact", names=VARIABLES, **attributes,
    )  # fmt: skip


def simulated(values, dims=("run", "time"), algorithm=None, outcome=None, **attributes):
    values = np.asarray(values, dtype=float)
    variables = {"alignment": (dims, values)}
    if outcome is not None:
        variables["outcome"] = (("run",), np.array(outcome))
    coordinates = {"run": np.arange(values.shape[0]), "time": TIMES[: values.shape[-1]]}
    return answer(
        PROBLEM, algorithm or GradientFlow(), variables, coordinates, kind="simulation", method="literal", seed=3,
        names=VARIABLES, random_dimensions="run teacher noise", **attributes,
    )  # fmt: skip
