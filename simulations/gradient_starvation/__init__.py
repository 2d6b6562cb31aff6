"""Simulation of gradient starvation: weights of linear models, and trainings of networks (arXiv 2011.09468)."""

from dynamics.gradient_starvation import TwoMoons
from simulations.gradient_starvation._moons import sample
from simulations.gradient_starvation._observe import observe
from simulations.gradient_starvation._simulate import METHODS, Precision, simulate

__all__ = ["METHODS", "OPTIONS", "SAMPLED", "Precision", "observe", "sample", "simulate"]

#: What the command line offers beside the ensemble.
OPTIONS = Precision
#: The problems that have data to be sampled.
SAMPLED = (TwoMoons,)
