"""Theory of epoch-wise double descent in a linear teacher-student model (arXiv 2112.03215, and exactly)."""

from analytic.double_descent._solve import METHODS, solve

__all__ = ["METHODS", "solve"]
