"""Simulation of stochastic momentum on power-law random features (arXiv 2505.16098 and 2405.15074)."""

from dynamics.scaling_laws import PowerLawRandomFeatures
from simulations.scaling_laws._sample import sample
from simulations.scaling_laws._simulate import METHODS, simulate

__all__ = ["METHODS", "SAMPLED", "sample", "simulate"]

#: The problems that have data to be sampled.
SAMPLED = (PowerLawRandomFeatures,)
