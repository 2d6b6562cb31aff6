r"""The mean risk of stochastic momentum as a flow in time: what discrete steps become when their number is continuous.

One exact step takes the second moments v = (E w^2, E y^2, E w y) of a mode to A v + h P. The flow

    dv/dt = (A - 1) v + h P

has the same coefficients and the same stationary points: it is the mean of the algorithm whose steps come at the random
times of a Poisson process of rate 1. It differs from the discrete algorithm where gamma2 l is not small: for a step
size of half the inverse trace by 10 to 20 % at t = 10. The simplified flow keeps only the lowest orders in Delta, the
step sizes and gamma1 and drops the noise of gradients that comes from the mode's own error:

    d/dt E w^2 = -2 gamma2 l E w^2 - 2 gamma3 E w y + gamma2^2 l P/B,
    d/dt E y^2 = -2 Delta E y^2 + 2 gamma1 l E w y + gamma1^2 l P/B,
    d/dt E w y = gamma1 l E w^2 - gamma3 E y^2 - (Delta + gamma2 l) E w y.

Both are those of the public code of arXiv 2505.16098, there by the implicit Euler method. Here log(1 + t) takes the
place of t, the method is of order 4, and steps are halved until the accuracy asked for is reached.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analytic.scaling_laws._flow_kernels import STAGES, WEIGHTS, flow_steps
from analytic.scaling_laws._recursion import Curves, Nodes, Steps, check_finite, check_size, check_stable, deviations
from dynamics.algorithms import Rule

__all__ = ["flow"]

Array = NDArray[np.float64]

#: Longest of the first steps in log(1 + t).
_FIRST = 0.25


def flow(nodes: Nodes, rule: Rule, batch_size: int, times: Steps, accuracy: float, *, simplified: bool) -> Curves:
    """Return the risk and the momentum norm of the flow at ``times``, to a relative ``accuracy`` above 0.

    Raises
    ------
    ParameterError
        When the risk diverges, or the accuracy would need too many steps.
    """
    check_stable(nodes, rule, batch_size, times)
    edges = _edges(times, rule.jumps)
    found = _through(nodes, rule, batch_size, edges, times, simplified)
    while True:
        edges = _halved(edges, np.full(edges.size - 1, True))
        before, found = found, _through(nodes, rule, batch_size, edges, times, simplified)
        error = deviations(before, found)  # of fourth order: this is about fifteen times the error left
        if (error <= accuracy * np.abs(found)).all():
            return Curves(*found, *error)


def _edges(times: Steps, jumps: tuple[float, ...]) -> Array:
    """Return the times at which the first steps begin and end: all that are asked for, all jumps, and between."""
    last = float(times[-1])
    edges = np.unique(np.concatenate([[0.0], times, [step for step in jumps if 0 < step < last]]))
    while (long := np.diff(np.log1p(edges)) > _FIRST).any():
        edges = _halved(edges, long)
    return edges


def _halved(edges: Array, which: NDArray[np.bool_]) -> Array:
    """Put the middle, in log(1 + t), into those steps."""
    logs = np.log1p(edges)
    middles = np.expm1((logs[1:] + logs[:-1]) / 2.0)
    return np.insert(edges, np.flatnonzero(which) + 1, middles[which])


def _through(nodes: Nodes, rule: Rule, batch_size: int, edges: Array, times: Steps, simplified: bool) -> Array:
    """Take all steps and return P and E |y|^2 at those of the edges that are times, (2, times)."""
    check_size(edges.size * STAGES.size)
    moments = np.zeros((3, nodes.curvature.size))
    moments[0] = nodes.error
    kept = np.empty((2, edges.size))
    kept[:, 0] = nodes.curvature @ moments[0], 0.0
    logs = np.log1p(edges)
    stages = np.expm1(logs[:-1, None] + np.diff(logs)[:, None] * STAGES)
    # a coefficient that jumps at the end of a step has not yet done so at its last stage
    stages = np.clip(stages, edges[:-1, None], np.nextafter(edges[1:, None], 0.0))
    flow_steps(
        nodes.curvature, nodes.modes, moments, nodes.floor + nodes.variance, float(batch_size), rule.risk_exponent,
        not simplified, WEIGHTS, np.diff(logs), 1.0 + stages, *rule.at(stages),
        kept[0, 1:], kept[1, 1:],
    )  # fmt: skip
    kept[0] += nodes.floor
    check_finite(kept[0], float(nodes.curvature @ nodes.error) + nodes.floor, edges)
    return kept[:, np.searchsorted(edges, times)]
