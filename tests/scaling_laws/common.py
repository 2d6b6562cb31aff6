"""What the tests of scaling laws share.

``reference.json`` holds values of independent implementations: sums with 30 digits, recursions and quadratures of other
code, confirmed by contour integrals; each block says how good it is.
"""

import json
from pathlib import Path

import numpy as np

from analytic.scaling_laws._recursion import Nodes
from dynamics.algorithms import Rule
from dynamics.schedules import Hyperbolic, Power

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())


def rule_of(hyper):
    """The rule of a run of the reference."""
    delta = hyper["Delta"] if hyper["Delta_mode"] == "constant" else Hyperbolic(offset=hyper["Delta"])
    gamma3 = Power(scale=hyper["gamma3"], exponent=-hyper["kappa3"]) if hyper["kappa3"] else hyper["gamma3"]
    return Rule(hyper["gamma1"], hyper["gamma2"], gamma3, delta)


def power_nodes(alpha, beta, count, floor=0.0, variance=0.0):
    """Modes j^(-2 alpha) with squared errors j^(-2 beta), each once."""
    j = np.arange(1, count + 1, dtype=np.float64)
    return Nodes(j ** (-2 * alpha), j ** (-2 * beta), np.ones(count), floor, variance)
