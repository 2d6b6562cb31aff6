"""A closed contour around the spectrum with the resolvent's zeta at its nodes, to a requested accuracy.

In u = log(z - origin) the contour is an ellipse around [log of the left edge, log of the right edge]; the trapezoidal
rule on it converges geometrically. The number of nodes follows from the scalar error of the rule for the filters asked
for, which is known before any zeta is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytic.double_descent._march import march
from analytic.double_descent._spectrum import Spectrum
from dynamics.errors import ParameterError

__all__ = ["Contour", "Nodes", "choose_nodes", "contour"]

Array = NDArray[Any]
Filters = Callable[[Array], tuple[Array, Array]]

#: Half heights of the ellipse to try: flatter ones for steps that grow away from the spectrum.
_HEIGHTS = (0.8, 0.5, 0.3, 0.15, 0.06)
_MAX_NODES = 6000


class Nodes(NamedTuple):
    """Upper half of the contour: z and dz/(2 pi i) at each node, and the real point where it crosses on the right."""

    z: Array
    weight: Array
    right: float


class Contour(NamedTuple):
    """Upper nodes z with zeta and the weights q = dz/(2 pi i) zeta/z: an integral is twice the real part of the sum.

    Without enclosing z = 0 the null space at alpha < 1 is a node of its own, z = 0 with zeta_0 and q = zeta_0 / 2
    (half, because it has no conjugate): filters there are f(0) and h(0).
    """

    spectrum: Spectrum
    z: Array
    zeta: Array
    q: Array


def _ellipse(origin: float, low: float, high: float, height: float, count: int) -> Nodes:
    half = max((high - low) / 2.0, 1e-3)
    rho = math.asinh(height / half)
    theta = (np.arange(count) + 0.5) * (math.pi / count)
    centre = (low + high) / 2.0
    z = np.exp(centre + half * np.cosh(rho + 1j * theta))
    weight = z * half * np.sinh(rho + 1j * theta) * (0.5 / count)
    return Nodes(origin + z, weight, origin + math.exp(centre + half * math.cosh(rho)))


def _frame(spectrum: Spectrum, slowest: float) -> tuple[float, float, float]:
    """Return origin and ends [low, high] in u; ``slowest`` is the longest flow time asked for."""
    left, right = spectrum.edges()
    if left > 0.0 and math.log(right / left) <= math.log(max(right * slowest, 2.0)):
        return 0.0, math.log(left), math.log(right)
    origin = -1.0 / max(slowest, 1.0 / right)
    return origin, math.log((left if spectrum.surplus > 0.0 else 0.0) - origin), math.log(right - origin)


def _scalar_error(nodes: Nodes, filters: Filters, points: Array) -> float:
    """Return the largest error of the rule for h(z)/(z - x) and h(z)^2/(z - x), over real x in the spectrum and times.

    The error of R is an average of the first over the spectrum, those of the variance and of the training error are of
    the second (an unsteady filter is much larger on the contour, its square again). Infinite when a filter overflows.
    """
    on_nodes, on_points = filters(nodes.z)[1], filters(points)[1]
    with np.errstate(all="ignore"):  # a filter that overflows on the contour fails the test below
        kernel = nodes.weight[:, None] / (nodes.z[:, None] - points)
        errors = [np.abs(2.0 * (on_nodes**power @ kernel).real - on_points**power).max() for power in (1, 2)]
    return float(max(errors)) if np.isfinite(errors).all() else math.inf


def choose_nodes(
    spectrum: Spectrum, filters: Filters, slowest: float, accuracy: float, *, rounding: float = 0.0
) -> tuple[Nodes, float, bool]:
    """Return nodes that integrate ``filters`` to ``accuracy``, the error estimated, and whether they enclose z = 0.

    Parameters
    ----------
    filters : callable
        Maps eigenvalues (k,) to (f, h), each (times, k).
    slowest : float
        The longest flow time among the times (step size times steps).
    accuracy : float
        Largest allowed error of the scalar rule; it bounds the error of R and, within a small factor, of E_G (where
        E_G is above 1, relative to it).
    rounding : float
        What the filters themselves are off by: an error below it is accepted where more nodes do not lower it.

    Raises
    ------
    ParameterError
        When no contour reaches it; the message says what was reached.
    """
    origin, low, high = _frame(spectrum, slowest)
    left, right = spectrum.edges()
    bottom = max(left, right * math.exp(low - high))
    points = np.geomspace(bottom, right, 25)
    if origin != 0.0:
        points = np.concatenate([[0.0], points]) if spectrum.surplus <= 0.0 else points
    best = math.inf
    for height in _HEIGHTS:
        count = max(48, math.ceil(7.2 / height * (high - low)))
        previous = math.inf
        while count <= _MAX_NODES:
            nodes = _ellipse(origin, low, high, height, count)
            error = _scalar_error(nodes, filters, points)
            if error <= accuracy:
                return nodes, error, origin != 0.0
            best = min(best, error)
            if not error < 0.5 * previous:  # no longer converging: a flatter ellipse, or rounding
                if error <= rounding:
                    return nodes, error, origin != 0.0
                break
            previous, count = error, math.ceil(1.3 * count)
    raise ParameterError(
        f"accuracy {accuracy:g} cannot be reached for these times and this step size; the best contour reached "
        f"{best:.1e}"
    )


def contour(spectrum: Spectrum, nodes: Nodes, encloses_zero: bool) -> Contour:
    """Solve for zeta at every node by marching from the right end, and put the null space in as a real node."""
    zeta = _march(spectrum, nodes)
    z, q = nodes.z, nodes.weight * zeta / nodes.z
    if spectrum.surplus < 0.0 and not encloses_zero:
        null = spectrum.null_zeta()
        z, zeta, q = np.append(z, 0.0), np.append(zeta, null), np.append(q, null / 2.0)
    return Contour(spectrum, z, zeta, q)


def _march(spectrum: Spectrum, nodes: Nodes) -> Array:
    """Return zeta at every node."""
    variance, fraction, _ = spectrum.blocks
    found = np.empty(nodes.z.size, dtype=np.complex128)
    lost = march(variance, fraction, spectrum.alpha, spectrum.surplus, nodes.right, nodes.z, found)
    if lost >= 0:
        raise ArithmeticError(
            f"the resolvent could not be followed to z = {nodes.z[lost]}; please report this spectrum: {spectrum!r}"
        )
    return found
