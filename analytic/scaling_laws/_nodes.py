"""The spectrum of a problem as nodes for the equations of second moments."""

from __future__ import annotations

import numpy as np

from analytic.scaling_laws._recursion import Nodes
from analytic.scaling_laws._strip import equivalent_nodes
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Problem, Spectrum

__all__ = ["nodes_of"]

#: What groups of a power law may be off by from its modes, relative to the risk (measured: 1e-10).
_GROUPED = 1e-9
#: What the mean over W may be off by from the deterministic equivalent, times d, relative to the risk.
_FINITE_SIZE = 8.0


def nodes_of(problem: Problem) -> tuple[Nodes, float]:
    """Return the nodes of a problem, and by how much (relatively) their mean risk may be off."""
    if isinstance(problem, PowerLawRandomFeatures):
        return equivalent_nodes(problem), _FINITE_SIZE / problem.dimension
    if isinstance(problem, PowerLawSpectrum):
        nodes, weights = problem.counting()
        curvature, error = nodes ** (-2.0 * problem.alpha), weights * nodes ** (-2.0 * problem.beta)
        return Nodes(curvature, error, weights, problem.floor, problem.noise**2), _GROUPED
    assert isinstance(problem, Spectrum)  # there are no others
    curvature, error = (np.array(values, dtype=np.float64) for values in (problem.eigenvalues, problem.initial_error))
    return Nodes(curvature, error, np.ones_like(error), problem.floor, problem.noise**2), 0.0
