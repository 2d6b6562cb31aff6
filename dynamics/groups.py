"""Groups of modes of one curvature, which are all that the law of stochastic momentum knows of them.

Groups come from a spectrum whose eigenvalues repeat, or stand for the smooth part of one that does not: a Gauss rule
of the counting measure has positive weights, and a weight above 2 may be a multiplicity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamics.counting import panel, singly
from dynamics.errors import ParameterError, shown

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Groups", "check_groups", "groups_in", "groups_of", "power_law_groups"]

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


def groups_in(data: xr.Dataset, problem: str) -> Groups:
    """Return the groups in a Dataset that theory made for a problem, given as the text that answers hold.

    ``data`` has ``eigenvalues``, ``multiplicity`` and ``initial_error`` p^2 on dimension ``group``, and ``floor``.

    Raises
    ------
    ParameterError
        When it has not, or is of another problem, or a number in it has no meaning.
    """
    names = ("eigenvalues", "multiplicity", "initial_error")
    held = getattr(data, "data_vars", ())
    if not all(name in held and data[name].dims == ("group",) for name in names) or "floor" not in held:
        raise ParameterError(
            f"groups must be a Dataset with {', '.join(names)} on dimension group, and floor, as "
            f"analytic.scaling_laws.equivalent_groups returns it; got {shown(type(data).__name__)}"
        )
    if data.attrs.get("problem") != problem:
        raise ParameterError(f"groups must be of this problem, {problem}; got {shown(data.attrs.get('problem'))}")
    eigenvalues, multiplicity, squares = (np.array(data[name].values, dtype=np.float64) for name in names)
    floor = float(data["floor"])
    values = np.concatenate([eigenvalues, multiplicity, squares, [floor]])
    if not np.isfinite(values).all() or not eigenvalues.size or eigenvalues.min() <= 0.0 or values.min() < 0.0:
        raise ParameterError("groups must hold finite numbers, eigenvalues above 0, errors and floor not below 0")
    groups = Groups(eigenvalues, multiplicity, np.sqrt(squares), floor)
    check_groups(groups)
    return groups


def groups_of(eigenvalues: ArrayLike, initial_error: ArrayLike, floor: float) -> Groups:
    """Return the groups of exactly equal eigenvalues, the largest first; nothing is approximated.

    Examples
    --------
    >>> groups = groups_of([0.5, 1.0, 0.5], [9.0, 1.0, 16.0], 0.0)
    >>> groups.eigenvalue, groups.multiplicity, groups.error
    (array([1. , 0.5]), array([1., 2.]), array([1., 5.]))
    """
    values, place, count = np.unique(eigenvalues, return_inverse=True, return_counts=True)
    squares = np.bincount(place, weights=np.asarray(initial_error))
    return Groups(values[::-1].copy(), count[::-1].astype(np.float64), np.sqrt(squares)[::-1], floor)


def power_law_groups(
    alpha: float, beta: float, dimension: int, floor: float = 0.0, *, direct: int = 32, ratio: float = 1.4,
    nodes: int = 6,
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
    (365, 1000000000)
    """
    parts, first = [], 1
    while first <= dimension:
        last = min(dimension, direct if first <= direct else max(first, int(first * ratio)))
        alone = first <= direct or last - first < nodes
        part = singly(first, last) if alone else panel(first, last, nodes)
        parts.append(part if alone or part.weights.min() > 2.0 else singly(first, last))
        first = last + 1
    place, weight = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Groups(place ** (-2.0 * alpha), weight, np.sqrt(weight) * place**-beta, floor)
