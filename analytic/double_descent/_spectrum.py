"""The asymptotic spectrum of M = X^T X: averages over blocks, the map zeta -> z and the edges.

With <g> = sum_b w_b g_b, df1 = <s2/(s2+zeta)>, the resolvent's deterministic equivalent is
-z (M - z)^-1 ~ zeta (S2 + zeta)^-1 where z = -zeta (alpha - df1(zeta)), the physical solution being the one with
Im z Im zeta < 0 (theory of anisotropic sample covariance matrices; alpha = n/d).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from dynamics.double_descent import Blocks

__all__ = ["Spectrum", "merged"]

#: Of a bracket in the logarithm, whose ends are bounds up to rounding.
_WIDER = 1e-6

Array = NDArray[Any]


def merged(blocks: Blocks) -> Blocks:
    """Join blocks of equal variance (with their mean power), drop those of fraction 0, sort the largest first."""
    variance, which = np.unique(blocks.variance[blocks.fraction > 0], return_inverse=True)
    fraction: Array = np.bincount(which, blocks.fraction[blocks.fraction > 0])
    power = np.bincount(which, (blocks.fraction * blocks.power)[blocks.fraction > 0]) / fraction
    return Blocks(variance[::-1].copy(), fraction[::-1].copy(), power[::-1].copy())


class Spectrum(NamedTuple):
    """Merged blocks, alpha = n/d and surplus = (n - d)/d, with the functions of zeta that everything is made of.

    The surplus is a field because it comes from whole numbers: n/d - 1 would lose its digits near n = d.
    """

    blocks: Blocks
    alpha: float
    surplus: float

    def mean(self, values: Array) -> Any:
        """<g>: average over directions of ``values`` whose last axis is the block."""
        return values @ self.blocks.fraction

    def denominator(self, zeta: Any, other: Any) -> Any:
        """Return alpha - df2(zeta, other), in a form that does not cancel at alpha = 1 and small zeta."""
        s2 = self.blocks.variance
        a, b = np.asarray(zeta)[..., None], np.asarray(other)[..., None]
        return self.surplus + self.mean(a / (s2 + a)) + self.mean(b / (s2 + b) * (s2 / (s2 + a)))

    def z(self, zeta: Any) -> Any:
        """Return z(zeta) = -zeta (alpha - df1(zeta)), in a form that does not cancel."""
        a = np.asarray(zeta)
        return -a * (self.surplus + self.mean(a[..., None] / (self.blocks.variance + a[..., None])))

    def slope(self, zeta: Any) -> Any:
        """Return dz/dzeta = -(alpha - df2(zeta, zeta))."""
        return -self.denominator(zeta, zeta)

    def null_zeta(self) -> float:
        """Return zeta_0 > 0 with df1(zeta_0) = alpha: the null space's node, for alpha < 1."""
        s2 = self.blocks.variance
        # <zeta/(s2+zeta)> lies between zeta/(s+zeta) at the smallest and at the largest s2
        low, high = (math.log(s * (-self.surplus / self.alpha)) for s in (s2.min(), s2.max()))
        return math.exp(
            _root(
                lambda y: 1.0 + float(self.mean(1.0 / (1.0 + s2 * math.exp(-y)))) / self.surplus,
                low - _WIDER,
                high + _WIDER,
            )
        )

    def zeta_of_penalty(self, penalty: float) -> float:
        """Return the root zeta >= 0 of penalty = zeta (alpha - df1(zeta)): the zeta of z = -penalty.

        A penalty of 0 means its limit, inf that of no learning.
        """
        if penalty == 0.0:
            return self.null_zeta() if self.surplus < 0.0 else 0.0
        if penalty == math.inf:
            return math.inf
        low, high = penalty / self.alpha, (penalty + self.blocks.fraction @ self.blocks.variance) / self.alpha
        zeta = math.exp(
            _root(
                lambda y: -float(self.z(math.exp(y))) / penalty - 1.0, math.log(low) - _WIDER, math.log(high) + _WIDER
            )
        )
        for _ in range(2):  # the logarithm's rounding leaves a few units of the last digit
            zeta -= float((self.z(zeta) + penalty) / self.slope(zeta))
        return zeta

    def edges(self) -> tuple[float, float]:
        """Return the smallest and the largest edge of the bulk; the smallest is 0 at alpha = 1.

        Edges are the z at real zeta where dz/dzeta = 0: df2(zeta, zeta) = alpha. The null space at alpha < 1 is not
        part of the bulk. One block: s2 (sqrt(alpha) -+ 1)^2.
        """
        return self._left_edge(), float(self.z(self._right_zeta()))

    def _right_zeta(self) -> float:
        """Zeta below -max s2 with df2 = alpha; y = log(-zeta/max s2 - 1)."""
        s2, fraction, alpha = self.blocks.variance, self.blocks.fraction, self.alpha
        top = s2[0]
        gap = (s2 - top) / top  # s2 + zeta = top (gap - e^y), without cancellation

        def excess(y: float) -> float:
            return float(fraction @ (s2 / (top * (gap - math.exp(y)))) ** 2) / alpha - 1.0

        low, high = 0.5 * math.log(fraction[0] / alpha) - 1e-3, -0.5 * math.log(alpha) + 1e-3
        return float(-top * (1.0 + math.exp(_root(excess, low, high))))

    def _left_edge(self) -> float:
        if self.surplus == 0.0:
            return 0.0
        bottom = float(self.blocks.variance[-1])
        if self.surplus > 0.0:  # zeta = -q min s2 with 0 < q < 1
            # each variance takes at most q/(1 - q) (1 + 1/(1 - q)), less than 4 q for q < 1/4, from the surplus
            y = _root(
                lambda y: float(self.denominator(-bottom * math.exp(y), -bottom * math.exp(y))),
                math.log(min(self.surplus, 1.0) / 4.0),
                math.log(1.0 - 0.5 * math.sqrt(self.blocks.fraction[-1] / self.alpha)),
            )
            return float(self.z(-bottom * math.exp(y)))

        def rest(y: float) -> float:
            return float(self.denominator(math.exp(y), math.exp(y)))

        top, root = math.log(self.null_zeta()), math.sqrt(self.alpha)
        # of the smallest variance alone: s2 (1/sqrt(alpha) - 1)
        low = math.log(bottom * -self.surplus / (root * (1.0 + root)))
        return float(self.z(math.exp(_root(rest, low - 1e-3, top))))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the root of a monotone function to the last bits."""
    return float(brentq(function, low, high, xtol=1e-15, rtol=4 * np.finfo(float).eps, maxiter=500))
