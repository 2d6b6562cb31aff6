"""One- and two-resolvent averages on the nodes of a contour: the limit, and its first correction in 1/d.

The equations of the resolvent G(z) = (M - z)^-1 follow from Gaussian integration by parts; normalised traces factorise
up to O(1/d^2), and for *real* data the transposed term leaves a correction of relative order 1/d. With r = 1/(S2 +
zeta), rho = zeta/z, zeta' = dzeta/dz, mu = <s2^2 r^3>, u_12 = 1/(1 - df2(zeta_1, zeta_2)/alpha), averages over X are

    E G      = -rho r + (rho/d) [ zeta zeta'^2 mu s2 r^2 + zeta' s2^2 r^3 ] + O(1/d^2)
    E G S2 G = rho_1 rho_2 { u s2 r_1 r_2 + (1/d) [ Y + q s2 r_1 r_2 ] } + O(1/d^2)
    Y = -u [ zeta_1 zeta_1'^2 mu_1 s2^2 r_1^2 r_2 + zeta_1' s2^3 r_1^3 r_2 + (1 <-> 2) ]
        + (u^2/alpha) [ zeta_1 zeta_1' <s2^2 r_1^2 r_2> s2^2 r_1^2 r_2 + (1 <-> 2) + s2^3 r_1^2 r_2^2 ]
    q = -(u/alpha) [ zeta_2 zeta_2'^2 mu_2 <s2^2 r_2^2> + zeta_2' <s2^3 r_2^3> + zeta_1 <Y> ]

(the correction is this package's own; the limit is the standard anisotropic sample-covariance result).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytic.double_descent._contour import Contour
from analytic.double_descent._spectrum import Spectrum

__all__ = ["Curves", "Kernels", "kernels"]

Array = NDArray[Any]


class Curves(NamedTuple):
    """Alignment R, 2 E_G split into bias and variance per sigma^2, 2 alpha E_T split likewise; each (times,)."""

    alignment: Array
    bias: Array
    variance: Array
    fit: Array
    fit_noise: Array


class Kernels(NamedTuple):
    """What multiplies the filters: ``bias`` over pairs of nodes (plain and conjugate), the rest over nodes.

    R = constant + 2 Re sum h alignment, and so on; see :meth:`curves`.
    """

    z: Array
    constant: Curves
    pairs: tuple[Array, Array]
    alignment: Array
    variance: Array
    fit: Array
    fit_noise: Array

    def curves(self, f: Array, h: Array) -> Curves:
        """Return R, bias, V and the training parts for filters f, h of shape (times, nodes)."""
        plain, conjugate = self.pairs
        bias = ((h @ plain) * h + (h @ conjugate) * h.conj()).sum(axis=1)
        sums = (h @ self.alignment, bias, (self.z * f**2) @ self.variance, h**2 @ self.fit, h**2 @ self.fit_noise)
        return Curves(*(start + 2.0 * part.real for start, part in zip(self.constant, sums, strict=True)))


class _Points(NamedTuple):
    """Nodes with powers of r (index 1 to 3, each (nodes, blocks)), zeta' and zeta zeta'^2 mu."""

    zeta: Array
    powers: tuple[Array, Array, Array, Array]
    slope: Array
    twist: Array

    def conj(self) -> _Points:
        """Return the mirrored nodes in the lower half plane."""
        return _Points(
            self.zeta.conj(),
            tuple(power.conj() for power in self.powers),  # type: ignore[arg-type]
            self.slope.conj(),
            self.twist.conj(),
        )


def kernels(contour: Contour, *, correction: bool) -> Kernels:
    """Return the kernels of the limit or (``correction``) of its term in 1/d, on the contour's nodes."""
    spectrum, q, z = contour.spectrum, contour.q, contour.z
    s2, _, power = spectrum.blocks
    points = _points(spectrum, contour.zeta)
    pair = _pair_correction if correction else _pair_limit
    pairs = tuple(
        np.multiply.outer(q, q if other is points else q.conj()) * pair(spectrum, points, other)
        for other in (points, points.conj())
    )
    zeta, (_, r, r2, r3), slope, twist = points
    if correction:
        first, second = twist[:, None] * s2 * r2, slope[:, None] * s2**2 * r3
        resolvent = first + second  # E G = rho [-r + resolvent/d]
        constant = Curves(*np.zeros(5))
    else:
        resolvent = -r
        constant = Curves(*np.array([spectrum.blocks.mean_power, 0.0, 0.0, 0.0, spectrum.surplus]))
    # c/s2 resolvent, with the part that integrates to zero left out of the limit: zeta r/s2 = 1/s2 - r
    fit = zeta[:, None] * (resolvent * power / s2) if correction else power * r
    weight = q * z / zeta  # dz/(2 pi i)
    return Kernels(
        z, constant, pairs,  # type: ignore[arg-type]
        alignment=q * spectrum.mean(power * resolvent), variance=-q * spectrum.mean(s2 * resolvent),
        fit=-weight * spectrum.mean(fit), fit_noise=-q * spectrum.mean(resolvent),
    )  # fmt: skip


def _points(spectrum: Spectrum, zeta: Array) -> _Points:
    r = 1.0 / (spectrum.blocks.variance + zeta[:, None])
    slope = 1.0 / spectrum.slope(zeta)
    mu = spectrum.mean(spectrum.blocks.variance**2 * r**3)
    return _Points(zeta, (np.ones_like(r), r, r**2, r**3), slope, zeta * slope**2 * mu)


def _pair_mean(spectrum: Spectrum, values: Array, one: Array, two: Array) -> Array:
    """<values one two> over all pairs of nodes; one and two are (nodes, blocks)."""
    return (one * (spectrum.blocks.fraction * values)) @ two.T


def _u(spectrum: Spectrum, one: _Points, two: _Points) -> Array:
    """1/(1 - df2/alpha) over all pairs, without the cancellation at alpha = 1."""
    s2 = spectrum.blocks.variance
    rest = one.zeta * spectrum.mean(one.powers[1])
    cross = two.zeta * _pair_mean(spectrum, s2, one.powers[1], two.powers[1])
    pairs: Array = spectrum.alpha / (spectrum.surplus + rest[:, None] + cross)
    return pairs


def _pair_limit(spectrum: Spectrum, one: _Points, two: _Points) -> Array:
    return _u(spectrum, one, two) * _pair_mean(spectrum, spectrum.blocks.power, one.powers[1], two.powers[1])


def _pair_correction(spectrum: Spectrum, one: _Points, two: _Points) -> Any:
    """<(c/s2) (Y + q s2 r_1 r_2)> over all pairs."""
    s2, c = spectrum.blocks.variance, spectrum.blocks.power
    u = _u(spectrum, one, two)

    def mean(values: Array, first: int, second: int) -> Array:
        return _pair_mean(spectrum, values, one.powers[first], two.powers[second])

    left, right = mean(s2**2, 2, 1), mean(s2**2, 1, 2)
    grow = u**2 / spectrum.alpha

    def weighted(weight: Array) -> Any:
        """<weight Y>."""
        first = one.twist[:, None] * mean(weight * s2**2, 2, 1) + one.slope[:, None] * mean(weight * s2**3, 3, 1)
        second = two.twist * mean(weight * s2**2, 1, 2) + two.slope * mean(weight * s2**3, 1, 3)
        ladder = (one.zeta * one.slope)[:, None] * left * mean(weight * s2**2, 2, 1)
        ladder = ladder + two.zeta * two.slope * right * mean(weight * s2**2, 1, 2) + mean(weight * s2**3, 2, 2)
        return grow * ladder - u * (first + second)

    own = two.twist * spectrum.mean(s2**2 * two.powers[2]) + two.slope * spectrum.mean(s2**3 * two.powers[3])
    q = -(u / spectrum.alpha) * (own + one.zeta[:, None] * weighted(np.ones_like(s2)))
    return weighted(c / s2) + q * mean(c, 1, 1)
