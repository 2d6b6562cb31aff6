"""Theory of stochastic momentum on power-law random features (arXiv 2505.16098 and 2405.15074, and exactly)."""

from analytic.scaling_laws._asymptotics import asymptotics
from analytic.scaling_laws._density import spectral_density
from analytic.scaling_laws._equivalent import Edges, edges, limit_risk
from analytic.scaling_laws._exponents import Exponents, exponents, phase
from analytic.scaling_laws._formulas import exponent_formulas
from analytic.scaling_laws._groups import equivalent_groups, prepared
from analytic.scaling_laws._optimal import compute_optimal
from analytic.scaling_laws._solve import METHODS, METHODS_ON_DATA, solve
from analytic.scaling_laws._stability import Stability, stability
from analytic.scaling_laws._volterra import forcing, volterra

__all__ = [
    "METHODS",
    "METHODS_ON_DATA",
    "Edges",
    "Exponents",
    "Stability",
    "asymptotics",
    "compute_optimal",
    "edges",
    "equivalent_groups",
    "exponent_formulas",
    "exponents",
    "forcing",
    "limit_risk",
    "phase",
    "prepared",
    "solve",
    "spectral_density",
    "stability",
    "volterra",
]
