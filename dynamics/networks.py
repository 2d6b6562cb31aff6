r"""Networks of one hidden layer in the plane, and their linearisation.

The network of H rectified linear units has parameters w_k (in the plane), b_k, o_k and o,

    f(x) = sum_k o_k max(0, w_k . x + b_k) + o.

It and its linearisation, f_0(x) + phi(x) . theta with phi the gradient of f by the parameters, are both *gated*:

    f(x) = sum_k 1[w_k . x + b_k > 0] (a_k . x + c_k) + d.

Import it only where networks are evaluated: it imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.errors import ParameterError
from dynamics.kernels import kernel, vector_kernel
from dynamics.parameters import check_whole

__all__ = [
    "Gated",
    "TwoLayer",
    "check_features",
    "gated",
    "linearisation",
    "tangent_features",
    "tangent_modes",
    "turn",
]

Array = NDArray[np.float64]


class TwoLayer(NamedTuple):
    """A network of one hidden layer: ``units`` (4, H) with the rows w_k1, w_k2, b_k and o_k, and ``bias`` o."""

    units: Array
    bias: float


class Gated(NamedTuple):
    """A gated function: ``gates`` (3, H) with the rows w_k1, w_k2, b_k, ``lines`` (3, H): a_k1, a_k2, c_k, and d."""

    gates: Array
    lines: Array
    constant: float

    def values(self, points: Array) -> Array:
        """Return f at the points, shape (m, 2)."""
        found = np.empty(points.shape[0])
        _gated_values(np.ascontiguousarray(points), self.gates, self.lines, self.constant, found)
        return found

    def gradient(self, points: Array) -> Array:
        """Return the derivatives of f by both coordinates, shape (m, 2); 0 for a unit that is just not active."""
        active = points @ self.gates[:2] + self.gates[2] > 0.0
        return np.asarray(active @ self.lines[:2].T, dtype=np.float64)


def turn(degrees: float) -> Array:
    """Return the matrix R that turns a column vector by an angle; rows of points are turned by ``points @ R.T``.

    Examples
    --------
    >>> (np.array([[1.0, 0.0]]) @ turn(90.0).T).round(12)
    array([[0., 1.]])
    """
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def gated(network: TwoLayer, rotation: Array) -> Gated:
    """Return the network as a function of x, its inputs being R x with R the ``rotation``.

    Its gates are R^T w_k and b_k, and its lines are o_k times these.

    Examples
    --------
    >>> network = TwoLayer(np.array([[1.0], [0.0], [0.5], [2.0]]), 0.1)  # 2 max(0, x_1 + 1/2) + 1/10
    >>> gated(network, turn(0.0)).values(np.array([[1.0, 7.0], [-1.0, 7.0]]))
    array([3.1, 0.1])
    """
    gates = _seen(network.units, rotation)
    return Gated(gates, network.units[3] * gates, network.bias)


def linearisation(network: TwoLayer, theta: TwoLayer, rotation: Array) -> Gated:
    """Return f_0 + phi . theta as a function of x: a_k = R^T [o_k w'_k + (o_k + o'_k) w_k], c_k likewise with b.

    The primed are the parts of ``theta``, and the gates those of the network.
    """
    gates, moved = _seen(network.units, rotation), _seen(theta.units, rotation)
    out, change = network.units[3], theta.units[3]
    return Gated(gates, out * moved + (out + change) * gates, network.bias + theta.bias)


def _seen(units: Array, rotation: Array) -> Array:
    return np.vstack([rotation.T @ units[:2], units[2:3]])


def tangent_features(network: TwoLayer, inputs: Array) -> Array:
    """Return the derivatives phi of the outputs by all parameters, shape (n, 4 H + 1): blocks w_1, w_2, b, o, and o.

    ``inputs`` are those that the network sees. phi phi^T is the tangent kernel.
    """
    before = inputs @ network.units[:2] + network.units[2]
    active = before > 0.0
    out = active * network.units[3]
    blocks = [inputs[:, :1] * out, inputs[:, 1:] * out, out, active * before, np.ones((inputs.shape[0], 1))]
    return np.hstack(blocks)


def tangent_modes(features: Array, labels: Array) -> tuple[Array, Array]:
    """Return strengths s_j, largest first, and the matrix U of the decomposition Y Phi = U S V^T, shape (n, r).

    Columns are signed so that the sum of their entries is not negative. Responses are z = U^T Y f, margins U z, and the
    columns of strength 0, up to rounding, arbitrary.
    """
    # with (Y Phi)^T = Q R, Q orthonormal, these are the right vectors of R, which is far smaller
    triangle = np.linalg.qr((labels[:, None] * features).T, mode="r")
    _, strengths, vectors = np.linalg.svd(triangle, full_matrices=False)
    presence = vectors.T
    return strengths, presence * np.where(presence.sum(axis=0) < 0.0, -1.0, 1.0)


def check_features(features: int, samples: int, units: int) -> int:
    """Check a number of features that is asked for: there are as many as samples, or as parameters if these are fewer.

    Examples
    --------
    >>> check_features(8, samples=300, units=500)
    8
    """
    features = check_whole("features", features, at_least=1)
    if features > (most := min(samples, 4 * units + 1)):
        raise ParameterError(f"features must be at most {most}, of {samples} samples; got {features}")
    return features


@vector_kernel
def _four_values(points: Array, p: int, gates: Array, lines: Array, constant: float, out: Array) -> None:
    """Set four values from point p on; units are read once for all of them."""
    w, v, b, a, e, c = gates[0], gates[1], gates[2], lines[0], lines[1], lines[2]
    x0, x1, x2, x3 = points[p, 0], points[p + 1, 0], points[p + 2, 0], points[p + 3, 0]
    y0, y1, y2, y3 = points[p, 1], points[p + 1, 1], points[p + 2, 1], points[p + 3, 1]
    f0, f1, f2, f3 = constant, constant, constant, constant
    for k in range(w.size):
        f0 += a[k] * x0 + e[k] * y0 + c[k] if w[k] * x0 + v[k] * y0 + b[k] > 0.0 else 0.0
        f1 += a[k] * x1 + e[k] * y1 + c[k] if w[k] * x1 + v[k] * y1 + b[k] > 0.0 else 0.0
        f2 += a[k] * x2 + e[k] * y2 + c[k] if w[k] * x2 + v[k] * y2 + b[k] > 0.0 else 0.0
        f3 += a[k] * x3 + e[k] * y3 + c[k] if w[k] * x3 + v[k] * y3 + b[k] > 0.0 else 0.0
    out[p], out[p + 1], out[p + 2], out[p + 3] = f0, f1, f2, f3


@kernel
def _gated_values(points: Array, gates: Array, lines: Array, constant: float, out: Array) -> None:
    """Set out to the values of a gated function."""
    count, units = points.shape[0], gates.shape[1]
    whole = count - count % 4
    for p in range(0, whole, 4):
        _four_values(points, p, gates, lines, constant, out)
    for p in range(whole, count):
        total = constant
        for k in range(units):
            if gates[0, k] * points[p, 0] + gates[1, k] * points[p, 1] + gates[2, k] > 0.0:
                total += lines[0, k] * points[p, 0] + lines[1, k] * points[p, 1] + lines[2, k]
        out[p] = total
