"""Simulation of epoch-wise double descent in a linear teacher-student model (arXiv 2112.03215)."""

from simulations.double_descent._data import sample
from simulations.double_descent._ridge import ridge
from simulations.double_descent._setting import TeacherDraws
from simulations.double_descent._simulate import METHODS, simulate

__all__ = ["METHODS", "OPTIONS", "TeacherDraws", "ridge", "sample", "simulate"]

#: What the command line offers beside the ensemble.
OPTIONS = TeacherDraws
