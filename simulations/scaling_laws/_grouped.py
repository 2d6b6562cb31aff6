"""Runs group by group: exact in law, at the cost of three random numbers for each group of equal eigenvalues."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dynamics.algorithms import Rule
from dynamics.groups import Groups, check_groups
from dynamics.stability import Curvature
from simulations.scaling_laws._grouped_kernels import grouped_steps
from simulations.scaling_laws._runs import DIVERGED, Path, Steps, pieces

__all__ = ["grouped"]

#: Steps of groups between looks at the request to stop: about a third of a second.
_LOOK = 10**7


def grouped(
    groups: Groups, noise: float, rule: Rule, batch_size: int, times: Steps, rng: np.random.Generator,
    checkpoint: Callable[[], None],
) -> Path:  # fmt: skip
    r"""Train group by group, with ``noise`` the standard deviation of the labels' noise; all numbers come from ``rng``.

    P = floor + sum l p^2 and \|y\|^2 = sum a^2 + b^2. The cost of a step is that of 3 random numbers for each group.
    """
    check_groups(groups)
    curvature, multiplicity, error, floor = groups
    state = np.array([error, np.zeros_like(error), np.zeros_like(error)])
    variance = floor + noise**2
    limit = DIVERGED * (float(curvature @ error**2) + floor) + noise**2
    kept = np.empty((2, times.size))
    for index, steps in pieces(times, max(1, _LOOK // error.size), checkpoint):
        at = grouped_steps(
            rng, curvature, multiplicity, state, variance, float(batch_size), limit, rule.risk_exponent, *rule.at(steps)
        )  # fmt: skip
        if at >= 0:
            modes = Curvature(curvature, multiplicity, round(multiplicity.sum()))
            return Path(kept[0, :index], kept[1, :index], int(steps[0]) + at, modes)
        kept[:, index] = floor + float(curvature @ state[0] ** 2), float((state[1:] ** 2).sum())
    return Path(kept[0], kept[1])
