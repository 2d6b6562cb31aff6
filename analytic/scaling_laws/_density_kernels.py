r"""Compiled search for the points s = sigma + i y whose images x are given points of the spectrum, and the sums there.

Sums over all inputs j take Gauss rules of the counting measure on panels that shrink towards the pole of 1/(lambda_j -
s) at j = s^(-1/(2 alpha)), down to single numbers where it is near the axis. So nothing is subtracted.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics.counting import panel
from dynamics.kernels import kernel, vector_kernel

__all__ = ["cover", "rules", "trace"]

Array = NDArray[np.float64]

#: Nodes on a panel, and the size 2^k below which every number is a node.
_NODES, _SMALLEST = 16, 5
#: Length of a panel over its distance to the pole: errors like 3^(-2 nodes).
_LENGTH = 1.5
#: Up to here x/lambda is kept, so that no product overflows; inputs beyond it count for nothing.
_MOST = 1e130
#: Half of the last digit of a number of size 1.
_DIGIT = 2.0**-53
#: More nodes than there can be: at most ten panels of each size, fewer than 60 sizes.
ROOM = 2**14


@functools.cache
def rules() -> tuple[Array, Array]:
    """Return nodes around the middle and weights of panels of 2^k numbers, at index k."""
    nodes, weights = np.zeros((54, _NODES)), np.zeros((54, _NODES))
    for k in range(_SMALLEST, 54):
        half = 2 ** (k - 1)
        nodes[k], weights[k] = panel(-half, half - 1, _NODES)
    return nodes, weights


@kernel
def cover(pole: complex, slack: float, last: int, nodes: Array, weights: Array, place: Array, weight: Array) -> int:
    """Fill ``place`` and ``weight`` with a rule for j = 1 ... last that holds while the pole moves by ``slack``.

    Panels begin at multiples of their size 2^k and are halved until they are short. Return the number of nodes.
    """
    start, size = np.empty(64, dtype=np.int64), np.empty(64, dtype=np.int64)
    count, octave = 0, 0
    while 1 << octave <= last:
        start[0], size[0], waiting = 1 << octave, octave, 1
        octave += 1
        while waiting > 0:
            waiting -= 1
            first, k = start[waiting], size[waiting]
            end = first + (1 << k) - 1
            if first > last:
                continue
            away = math.hypot(max(first - pole.real, pole.real - end, 0.0), pole.imag)
            if k < _SMALLEST:
                for j in range(first, min(end, last) + 1):
                    place[count], weight[count] = j, 1.0
                    count += 1
            elif end > last or 1 << k > _LENGTH * (away - slack):
                start[waiting], start[waiting + 1] = first + (1 << (k - 1)), first
                size[waiting] = size[waiting + 1] = k - 1
                waiting += 2
            else:
                for i in range(_NODES):
                    place[count], weight[count] = first + (1 << (k - 1)) + nodes[k, i], weights[k, i]
                    count += 1
    return count


@vector_kernel
def _excess(close: bool, u: float, w: float, inverse_q: float) -> float:
    """Return q, or q - 1 without a difference; that is -1 where 1/q overflows."""
    if not close:
        return 1.0 / inverse_q
    return (u * (2.0 - u) - w * w) / inverse_q if inverse_q < 1e300 else -1.0


@vector_kernel
def _sums(p: float, height: float, inverse: Array, weight: Array, count: int, d: float, surplus: float) -> Any:
    """Return sum q - d, the sums of (a q)^2, (1 - p a) a q^2 and a q, with q = |phi|^2, a = 1/lambda, and a rounding.

    Where there are less than 2 d inputs the first is surplus + sum (q - 1): near the lowest edge all q are near 1. The
    last is half of the last digit of the sum of its parts' sizes.
    """
    close = surplus < d
    excess, square, mixed, single = surplus if close else -d, 0.0, 0.0, 0.0
    largest = abs(excess)
    root = math.sqrt(height)
    for k in range(count):
        a, many = inverse[k], weight[k]
        u, w = p * a, root * a
        inverse_q = (1.0 - u) ** 2 + w * w
        q = 1.0 / inverse_q
        part = many * _excess(close, u, w, inverse_q)
        excess += part
        largest += abs(part)
        square += many * (a * q) ** 2
        mixed += many * ((1.0 - u) * q) * (a * q)
        single += many * a * q
    return excess, square, mixed, single, _DIGIT * largest


@kernel
def _pole(p: float, height: float, x: float, alpha: float) -> complex:
    """Return j = s^(-1/(2 alpha)), or the branch cut's nearest point where it is on another sheet."""
    root = math.sqrt(height)
    size = (x * math.hypot(p, root)) ** (-0.5 / alpha)
    angle = min(math.atan2(root, p) / (2.0 * alpha), math.pi)
    return complex(size * math.cos(angle), -size * math.sin(angle))


@kernel
def _rise(
    p: float, height: float, x: float, alpha: float, last: int, d: float, surplus: float, nodes: Array, weights: Array,
    place: Array, inverse: Array, weight: Array,
) -> Any:  # fmt: skip
    """Return height = y^2 at sigma = p, from a guess, whether it was found, the number of nodes, and the sums there.

    1/sum q is concave in y^2, so that Newton's method for it goes up to the root from any point below, and from above
    does not stay above. A pole near by gives a lower bound; without one the sums are finite at y = 0 as well.
    """
    left = 0.0
    if p > 0.0:
        nearest = min(max(np.rint((p * x) ** (-0.5 / alpha)), 1.0), float(last))
        variance = nearest ** (-2.0 * alpha) / x
        left = max(0.0, variance**2 / d - (variance - p) ** 2)
    height = max(height, left)
    pole, slack, count, risen, settled = 0.0j, -1.0, 0, False, False
    excess, square, mixed, single = 0.0, 0.0, 0.0, 0.0
    for _ in range(200):
        now = _pole(p, height, x, alpha)
        if abs(now - pole) > slack:
            pole, slack = now, 2.0 + 0.25 * abs(now.imag)
            count = cover(pole, slack, last, nodes, weights, place, weight)
            for k in range(count):
                inverse[k] = min(x * place[k] ** (2.0 * alpha), _MOST)
        excess, square, mixed, single, digit = _sums(p, height, inverse, weight, count, d, surplus)
        new = max(left, height + (1.0 + excess / d) * excess / square)
        gap = height == 0.0 and excess <= 0.0
        rounding = (risen and new <= height) or abs(excess) <= digit
        settled = gap or rounding or abs(new - height) <= 1e-15 * height
        if settled:
            break
        height, risen = new, new > height
    return height, settled, count, excess, square, mixed, single


@kernel
def _middle(low: float, high: float, unit: float) -> float:
    """Halve a bracket that may span many powers of ten on either side of 0: linear below ``unit``, then logarithmic."""
    if high - low < 0.1 * max(abs(low), abs(high)):
        return 0.5 * (low + high)
    return unit * math.sinh(0.5 * (math.asinh(low / unit) + math.asinh(high / unit)))


@kernel
def _integrals(
    p: float, height: float, beta: float, d: float, surplus: float, place: Array, inverse: Array, weight: Array,
    count: int,
) -> Any:  # fmt: skip
    """Return mu' and the numbers of eigenvalues below and above.

    These move by -(d/s) dz/ds with s, so that its last digit would count: where z(s) - x is not 0, by the arithmetic
    that is used here, they are moved by as much.
    """
    root, size = math.sqrt(height), p * p + height
    target, turned, imaginary, single = 0.0, 0.0, 0.0, 0.0
    close = surplus < d
    excess = surplus if close else -d
    for k in range(count):
        a, many = inverse[k], weight[k]
        u, w = p * a, root * a
        inverse_q = (1.0 - u) ** 2 + w * w
        q = 1.0 / inverse_q
        target += many * place[k] ** (-2.0 * beta) * q
        turned += many * math.atan2(root, size * a - p)  # arg(1 - lambda/s)
        imaginary += many * w * q
        single += many * a * q
        excess += many * _excess(close, u, w, inverse_q)
    real = (-p * excess + size * single) / d - 1.0
    moved = -(p * root * excess + root * real * d) / size
    below = (d * math.atan2(root, -p) - turned + imaginary + moved) / math.pi
    above = (d * math.atan2(root, p) + turned - imaginary - moved) / math.pi
    return root * target / math.pi, below, above


@kernel
def trace(
    points: Array, lowest: float, highest: float, alpha: float, beta: float, last: int, d: float, surplus: float,
    nodes: Array, weights: Array,
) -> Any:  # fmt: skip
    """Return nu', mu', N and d - N (4, points) at points inside the spectrum, and whether all were found.

    ``lowest`` and ``highest`` are the edges' sigma. Otherwise sigma and y are in units of each point x.
    """
    found, solved = np.empty((4, points.size)), True
    place, inverse, weight = np.empty(ROOM), np.empty(ROOM), np.empty(ROOM)
    sigma, height, slope, before = 0.0, 0.0, 1.0, 0.0
    for i in range(points.size):
        x = points[i]
        low, high, unit = lowest / x, highest / x, -lowest / x
        p = min(max((sigma + (x - before) / slope) / x, low), high)
        height *= (before / x) ** 2
        trial, reached = 0, False
        while trial < 300:
            trial += 1
            height, settled, count, excess, square, mixed, single = _rise(
                p, height, x, alpha, last, d, surplus, nodes, weights, place, inverse, weight
            )
            image = (-p * excess + (p * p + height) * single) / d
            slope = 2.0 / d * (height * square + mixed * mixed / square) if height > 0.0 else -excess / d
            if reached:
                break
            low, high = (p, high) if image < 1.0 else (low, p)
            scale = math.hypot(p, math.sqrt(height))
            change = (1.0 - image) / slope
            reached = abs(change) <= 1e-12 * scale or high - low <= 1e-15 * scale
            p += change
            if not low <= p <= high or (trial > 12 and trial % 2 == 0 and not reached):
                p = _middle(low, high, unit)
        solved &= reached and settled
        sigma, before = p * x, x
        found[0, i] = d * math.sqrt(height) / (math.pi * x * (p * p + height))
        found[1, i], found[2, i], found[3, i] = _integrals(p, height, beta, d, surplus, place, inverse, weight, count)
    return found, solved
