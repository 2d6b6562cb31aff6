"""Theory of epoch-wise double descent in a linear teacher-student model (arXiv 2112.03215, and exactly)."""

from analytic.double_descent._bayes import bayes_error
from analytic.double_descent._exact import edges, settled
from analytic.double_descent._infinite import critical_noise, infinite_condition_number, winning_minimum
from analytic.double_descent._phenomenology import (
    OptimalStopping,
    critical_condition_number,
    extrema,
    optimal_stopping,
)
from analytic.double_descent._published import PAPER_SCALE, published_ridge
from analytic.double_descent._ridge import OptimalRidge, optimal_ridge, ridge
from analytic.double_descent._shrinkage import shrinkage
from analytic.double_descent._solve import METHODS, METHODS_ON_DATA, solve

__all__ = [
    "METHODS",
    "METHODS_ON_DATA",
    "PAPER_SCALE",
    "OptimalRidge",
    "OptimalStopping",
    "bayes_error",
    "critical_condition_number",
    "critical_noise",
    "edges",
    "extrema",
    "infinite_condition_number",
    "optimal_ridge",
    "optimal_stopping",
    "published_ridge",
    "ridge",
    "settled",
    "shrinkage",
    "solve",
    "winning_minimum",
]
