"""Sums of smooth functions over the whole numbers up to v, at a cost that does not grow with v.

For equal unit masses at the whole numbers of a panel the Gauss rule is known in closed form (its Jacobi matrix is that
of the discrete Chebyshev polynomials): positive weights, nodes between the whole numbers, exact for polynomials of
degree 2n - 1. Panels grow geometrically, so that a power law is a polynomial to rounding on each of them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Counting", "counting_rule", "panel", "singly"]

Array = NDArray[np.float64]

#: Nodes on each panel.
_NODES = 24


class Counting(NamedTuple):
    """Nodes x_i and weights W_i with sum_i W_i f(x_i) = sum_{j<=v} f(j)."""

    nodes: Array
    weights: Array


def counting_rule(last: int, angle: float, *, direct: int = 32) -> Counting:
    """Return the rule for j = 1 ... ``last`` and functions analytic for |arg j| < ``angle``.

    Up to ``direct`` every number is a node of weight 1.

    Examples
    --------
    >>> rule = counting_rule(10**12, 1.0)
    >>> bool(abs(rule.weights @ rule.nodes**-2.0 - np.pi**2 / 6 + 1e-12) < 1e-14), rule.nodes.size
    (True, 343)
    """
    growth = math.exp(2.4 * min(0.8, angle))  # errors like 2.13^(-2 nodes), from the nearest pole
    parts, first = [], 1
    while first <= last:
        end = min(last, direct - 1 if first < direct else int(first * growth))
        parts.append(singly(first, end) if first < direct or end - first < _NODES else panel(first, end))
        first = end + 1
    return Counting(np.concatenate([part.nodes for part in parts]), np.concatenate([part.weights for part in parts]))


def singly(first: int, last: int) -> Counting:
    """Return every number from ``first`` to ``last`` as a node of weight 1."""
    nodes = np.arange(first, last + 1, dtype=np.float64)
    return Counting(nodes, np.ones_like(nodes))


def panel(first: int, last: int, count: int = _NODES) -> Counting:
    """Return the Gauss rule of ``count`` nodes for unit masses at first ... last, of which there are more."""
    from scipy.linalg import eigh_tridiagonal

    masses = float(last - first + 1)
    k = np.arange(1, count, dtype=np.float64)
    off = k / 2.0 * np.sqrt((masses - k) * (masses + k) / (4.0 * k * k - 1.0))
    # around the middle of the panel, for digits; the first components of the eigenvectors give the weights
    values, vectors = eigh_tridiagonal(np.zeros(count), off)
    nodes = np.asarray((first + last) / 2.0 + values, dtype=np.float64)
    weights = np.asarray(masses * vectors[0] ** 2, dtype=np.float64)
    return Counting(nodes, weights)
