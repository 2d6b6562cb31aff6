"""Following the physical solution zeta(z) of z = -zeta (alpha - df1(zeta)) from node to node, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.kernels import kernel

__all__ = ["march"]

Array = NDArray[Any]
_DEEPEST = 60


@kernel
def _map(variance: Array, fraction: Array, excess: float, zeta: complex) -> tuple[complex, complex]:
    """Return z(zeta) and dz/dzeta; ``excess`` is alpha - 1.

    Blocks well below zeta count as learned by subtraction, w - w s2/(s2 + zeta): then neither form cancels where alpha
    is the fraction of all larger blocks, be they all of them (n = d) or the fast ones (n = p).
    """
    counted, rest, cross = excess, 0j, 0j
    for b in range(variance.size):
        share = fraction[b] / (variance[b] + zeta)
        if abs(zeta) > variance[b]:
            counted += fraction[b]
            rest -= share * variance[b]
        else:
            rest += share * zeta
        cross += share * variance[b] / (variance[b] + zeta)
    inner = counted + rest
    return -zeta * inner, -(inner + zeta * cross)


@kernel
def _mirror(variance: Array, fraction: Array, excess: float, zeta: complex) -> float:
    """Return alpha - df2(zeta, conj zeta), positive on the physical branch."""
    rest, cross = 0j, 0j
    other = zeta.conjugate()
    for b in range(variance.size):
        r = 1.0 / (variance[b] + zeta)
        rest += fraction[b] * r
        cross += fraction[b] * variance[b] * r / (variance[b] + other)
    return (excess + zeta * rest + other * cross).real


@kernel
def _newton(
    variance: Array, fraction: Array, excess: float, z: complex, zeta: complex, radius: float
) -> tuple[complex, bool]:
    """Newton for z(zeta) = z; settled when it converged within ``radius`` of the start."""
    start, last = zeta, np.inf
    for _ in range(100):
        value, slope = _map(variance, fraction, excess, zeta)
        change = (value - z) / slope
        zeta = zeta - change
        size, scale = abs(change), abs(zeta)
        if abs(zeta - start) > radius:
            return zeta, False
        # converged, or down at the rounding of z(zeta), which near alpha = 1 is larger
        if size <= 1e-15 * scale or (size < 1e-9 * scale and size > 0.5 * last):
            return zeta, True
        last = size
    return zeta, False


@kernel
def march(
    variance: Array, fraction: Array, alpha: float, excess: float, right: float, nodes: Array, found: Array
) -> int:
    """Fill ``found`` with zeta at each of ``nodes`` and return -1, or the node that could not be reached.

    Starts at the real point ``right`` of the spectrum, where Newton from -z/alpha - max s2 (1 + 1/alpha) converges
    monotonically, and moves by predictor (dzeta = dz/slope) and Newton. A move is kept when zeta changed by less than
    30 %, Newton stayed near the predictor, and the result is on the physical branch (Im z > 0 > Im zeta, df2(zeta,
    conj zeta) < alpha); otherwise a shorter one is tried.
    """
    z = complex(right)
    zeta = complex(-right / alpha - variance.max() * (1.0 + 1.0 / alpha))
    zeta, _ = _newton(variance, fraction, excess, z, zeta, np.inf)
    for j in range(nodes.size):
        depth = 0
        while depth >= 0:
            if depth > _DEEPEST:
                return j
            target = nodes[j] if depth == 0 else z + (nodes[j] - z) * 0.5**depth
            move = (target - z) / _map(variance, fraction, excess, zeta)[1]
            kept = False
            if abs(move) < 0.3 * abs(zeta):
                new, settled = _newton(variance, fraction, excess, target, zeta + move, 0.3 * abs(move))
                kept = settled and new.imag < 0.0 and _mirror(variance, fraction, excess, new) > 0.0
            if kept:
                z, zeta = target, new
                depth -= 1
            else:
                depth += 1
        found[j] = zeta
    return -1
