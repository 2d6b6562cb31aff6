"""Groups of equal eigenvalues: runs that are exact in law and cost as many random numbers as there are groups.

Groups come from a spectrum whose eigenvalues repeat, or stand for the smooth part of one that does not: a Gauss rule
of the counting measure has positive weights, and a weight above 2 may be a multiplicity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.algorithms import Rule
from dynamics.errors import ParameterError
from dynamics.scaling_laws import Spectrum
from simulations.scaling_laws._grouped_kernels import grouped_steps
from simulations.scaling_laws._runs import DIVERGED, Path, Steps, _pieces

__all__ = ["Groups", "check_groups", "grouped", "groups_of", "power_law_groups"]

#: Steps of groups between looks at the request to stop: about a third of a second.
_LOOK = 10**7

Array = NDArray[np.float64]


class Groups(NamedTuple):
    """Eigenvalues l, how many modes share each (m: 1, 2 or any real number above 2), errors p, and P_inf.

    p is the length of the group's error w at step 0: p^2 is the sum of w_j^2 over its modes.
    """

    eigenvalue: Array
    multiplicity: Array
    error: Array
    floor: float


def check_groups(groups: Groups) -> None:
    """Refuse multiplicities without a law: the directions across w are none, one, or one and m - 2 more."""
    m = groups.multiplicity
    wrong = ~((m == 1.0) | (m >= 2.0))
    if wrong.any():
        raise ParameterError(f"multiplicity of a group must be 1 or at least 2; got {m[wrong][0]:g}")


def groups_of(problem: Spectrum) -> Groups:
    """Return the groups of exactly equal eigenvalues, the largest first; nothing is approximated.

    Examples
    --------
    >>> groups = groups_of(Spectrum(eigenvalues=[0.5, 1.0, 0.5], initial_error=[9.0, 1.0, 16.0]))
    >>> groups.eigenvalue, groups.multiplicity, groups.error
    (array([1. , 0.5]), array([1., 2.]), array([1., 5.]))
    """
    values, place, count = np.unique(problem.eigenvalues, return_inverse=True, return_counts=True)
    squares = np.bincount(place, weights=problem.initial_error)
    return Groups(values[::-1], count[::-1].astype(np.float64), np.sqrt(squares)[::-1], problem.floor)


def power_law_groups(
    alpha: float, beta: float, dimension: int, floor: float = 0.0, *, direct: int = 32, ratio: float = 1.3,
    nodes: int = 4,
) -> Groups:  # fmt: skip
    """Return groups for the modes l_j = j^(-2 alpha) with squared errors j^(-2 beta), j = 1 ... ``dimension``.

    The modes up to ``direct`` are groups of their own. On each panel a <= j <= ``ratio`` a of the others stand the
    nodes x_i and weights W_i of the Gauss rule of the counting measure, l = x_i^(-2 alpha), m = W_i and
    p^2 = W_i x_i^(-2 beta): sums over j of polynomials of degree 2 nodes - 1 are exact, and power laws nearly are.
    Panels too short for weights above 2 are kept mode by mode.

    Examples
    --------
    >>> groups = power_law_groups(1.0, 0.7, 10**9)
    >>> groups.eigenvalue.size, round(groups.multiplicity.sum())
    (302, 1000000000)
    """
    parts, first = [], 1
    while first <= dimension:
        last = min(dimension, direct if first <= direct else max(first, int(first * ratio)))
        parts.append(_singly(first, last) if first <= direct else _panel(first, last, nodes))
        first = last + 1
    place, weight = np.hstack(parts)
    return Groups(place ** (-2.0 * alpha), weight, np.sqrt(weight) * place**-beta, floor)


def _singly(first: int, last: int) -> Array:
    places = np.arange(first, last + 1, dtype=np.float64)
    return np.array([places, np.ones_like(places)])


def _panel(first: int, last: int, nodes: int) -> Array:
    """Return nodes and weights of the Gauss rule of unit masses at first ... last, or these where a weight is small."""
    count = float(last - first + 1)
    if count <= nodes:
        return _singly(first, last)
    k = np.arange(1, nodes, dtype=np.float64)
    off = k / 2.0 * np.sqrt((count - k) * (count + k) / (4.0 * k * k - 1.0))
    # around the middle of the panel, for digits; the first components of the eigenvectors give the weights
    values, vectors = np.linalg.eigh(np.diag(off, 1) + np.diag(off, -1))
    weights = count * vectors[0] ** 2
    return np.array([(first + last) / 2.0 + values, weights]) if weights.min() > 2.0 else _singly(first, last)


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
    for index, steps in _pieces(times, max(1, _LOOK // error.size), checkpoint):
        at = grouped_steps(
            rng, curvature, multiplicity, state, variance, float(batch_size), limit, *rule.at(steps)
        )  # fmt: skip
        if at >= 0:
            return Path(kept[0, :index], kept[1, :index], int(steps[0]) + at, curvature)
        kept[:, index] = floor + float(curvature @ state[0] ** 2), float((state[1:] ** 2).sum())
    return Path(kept[0], kept[1], -1, curvature)
