"""Theory of stochastic momentum on power-law random features (arXiv 2505.16098 and 2405.15074, and exactly)."""

from analytic.scaling_laws._equivalent import Edges, edges, limit_risk
from analytic.scaling_laws._exponents import Exponents, exponents, phase
from analytic.scaling_laws._solve import METHODS, METHODS_ON_DATA, solve
from analytic.scaling_laws._stability import Stability, stability

__all__ = [
    "METHODS",
    "METHODS_ON_DATA",
    "Edges",
    "Exponents",
    "Stability",
    "edges",
    "exponents",
    "limit_risk",
    "phase",
    "solve",
    "stability",
]
