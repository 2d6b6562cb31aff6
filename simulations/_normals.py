"""Normal numbers inside compiled loops, each from a key and its place in the sequence.

There is no state: the numbers of any step can be drawn again, do not depend on how steps are grouped, and the loop
vectorises. Words come from the finaliser of the splitmix64 generator (Steele, Lea and Flood, OOPSLA 2014) applied to a
counter, with a second key before its two multiplications, so that sequences of two runs that overlap by chance are not
the same. Two words make a pair of normal numbers by the method of Box and Muller.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from dynamics.kernels import vector_kernel

__all__ = ["key_of", "normal_pair"]

_GOLDEN, _FIRST, _SECOND = (
    np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB),
)  # fmt: skip


def key_of(generator: np.random.Generator) -> Any:
    """Return two keys, drawn from a run's own stream, as an array."""
    return generator.integers(0, 2**64, 2, dtype=np.uint64)


def _reinterpreted(result: Any, form: Any) -> Any:
    """Return an intrinsic that reads the 64 bits of a number as one of another type."""

    def build(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], form)

    def typed(_: Any, number: Any) -> Any:
        return result(number), build

    return intrinsic(typed)


_bits = _reinterpreted(types.int64, ir.IntType(64))
_double = _reinterpreted(types.float64, ir.DoubleType())


@vector_kernel
def _word(key: Any, other: Any, place: Any) -> Any:
    """Return 64 random bits."""
    z = key + place * _GOLDEN
    z = (z ^ (z >> np.uint64(30)) ^ other) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


@vector_kernel
def _log(x: float) -> float:
    """Return log x for a normal positive x: its exponent, and 2 atanh((m-1)/(m+1)) of its mantissa around 1."""
    bits = _bits(x) - 0x3FE6A09E667F3BCD  # so that m lies in [1/sqrt 2, sqrt 2)
    exponent = bits >> 52
    m = _double(_bits(x) - (exponent << 52))
    s = (m - 1.0) / (m + 1.0)
    w = s * s
    series = 1 / 3 + w * (1 / 5 + w * (1 / 7 + w * (1 / 9 + w * (1 / 11 + w * (1 / 13 + w * (1 / 15 + w * (1 / 17)))))))
    logarithm: float = exponent * 0.6931471805599453 + 2.0 * s * (1.0 + w * series)
    return logarithm


@vector_kernel
def normal_pair(keys: Any, place: Any) -> Any:
    """Return two independent normal numbers, the ones of ``place`` (0, 1, 2, ...) of the sequence of ``keys``.

    With u uniform in (0, 1], phi uniform in [-pi/4, pi/4) and two signs, they are
    sqrt(-log u) (+-(cos phi - sin phi), +-(cos phi + sin phi)): the angle phi + pi/4 in its quadrant.
    """
    first = _word(keys[0], keys[1], np.uint64(2) * place)
    second = _word(keys[0], keys[1], np.uint64(2) * place + np.uint64(1))
    u = (np.float64(np.int64(first >> np.uint64(11))) + 1.0) * 2.0**-53
    phi = (np.float64(np.int64(second >> np.uint64(12))) * 2.0**-52 - 0.5) * (math.pi / 2.0)
    w = phi * phi
    sine = phi * (1.0 + w * (-1 / 6 + w * (1 / 120 + w * (-1 / 5040 + w * (
        1 / 362880 + w * (-1 / 39916800 + w * (1 / 6227020800 - w / 1307674368000)))))))  # fmt: skip
    cosine = 1.0 + w * (-1 / 2 + w * (1 / 24 + w * (-1 / 720 + w * (1 / 40320 + w * (
        -1 / 3628800 + w * (1 / 479001600 + w * (-1 / 87178291200 + w / 20922789888000)))))))  # fmt: skip
    radius = np.sqrt(-_log(u))
    one = 1.0 - 2.0 * np.float64(np.int64(second & np.uint64(1)))
    two = 1.0 - 2.0 * np.float64(np.int64((second >> np.uint64(1)) & np.uint64(1)))
    return one * radius * (cosine - sine), two * radius * (cosine + sine)
