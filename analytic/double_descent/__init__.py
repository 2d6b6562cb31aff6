"""Theory of epoch-wise double descent in a linear teacher-student model (arXiv 2112.03215, and exactly)."""

from analytic.double_descent._exact import edges
from analytic.double_descent._phenomenology import (
    OptimalStopping,
    critical_condition_number,
    extrema,
    optimal_stopping,
)
from analytic.double_descent._published import published_ridge
from analytic.double_descent._ridge import OptimalRidge, optimal_ridge, ridge
from analytic.double_descent._shrinkage import shrinkage
from analytic.double_descent._solve import METHODS, METHODS_ON_DATA, solve

__all__ = [
    "METHODS",
    "METHODS_ON_DATA",
    "OptimalRidge",
    "OptimalStopping",
    "critical_condition_number",
    "edges",
    "extrema",
    "optimal_ridge",
    "optimal_stopping",
    "published_ridge",
    "ridge",
    "shrinkage",
    "solve",
]
