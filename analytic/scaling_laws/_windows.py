r"""Gauss rules for parts of the deterministic equivalent's spectrum: positive numbers of modes, at any dimension.

* The largest eigenvalues stand alone, in bands with gaps between them. In the s plane, where z(s) is explicit, the half
  circle from one point s_j = (j + 1/2)^(-2 alpha) in a gap to the next gives mass 1, mean and target of band j.
* Below the last gap g smooth steps at u_1 > u_2 > ... in u = log(z/g),

      Theta_k(u) = erfc((u - u_k)/w)/2,    Theta_0 = 1,

  cut out windows Theta_k - Theta_(k+1) that sum to 1. They are entire, so that their moments are integrals along a line
  above the spectrum, like the weights of the strip. Moments 0 ... 2n-1 under nu give n eigenvalues with multiplicities,
  and moments 0 ... n-1 under mu the targets l p^2 there; n is the largest number up to 6 for which all multiplicities
  are above 2 and all targets above 0.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.special import erfc

from analytic.scaling_laws._equivalent import Inputs, edges, image, inputs_of
from analytic.scaling_laws._strip import down_the_line, start_above, transforms
from dynamics.errors import ParameterError
from dynamics.kernels import kernel
from dynamics.scaling_laws import SECTOR, PowerLawRandomFeatures

__all__ = ["Parts", "gauss_parts", "no_groups"]

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

#: Eigenvalues alone, divided by 1 + alpha: at most so many, and only while (1/d) sum phi^2 in the gap is at most this.
_ALONE, _GAP = 60.0, 0.5
#: Windows: shortest length in u (and divided by alpha), fewest modes, most nodes; width of their ends over the length.
_LENGTH, _LENGTH_BY_ALPHA, _MODES, _NODES, _WIDTH = 0.6, 3.0, 25.0, 6, 0.25
#: Narrowest end of a window: erfc grows like exp(Im u^2/w^2) on the line. Beyond _FAR w it is 0 or 2 to rounding.
_NARROWEST, _FAR = 0.07, 6.5
#: Half circles: step of the trapezoidal rule in log((s - low)/(high - s)), and where it ends.
_STEP, _END = 0.3, 36.0
#: What the mass of a band may be off by.
_BAND = 1e-3


class Parts(NamedTuple):
    """Eigenvalues l, numbers of modes m and targets l p^2, largest eigenvalue first."""

    eigenvalue: Array
    multiplicity: Array
    target: Array


class _Line(NamedTuple):
    """u along the line above the spectrum; weights of which the imaginary parts of sums are integrals; width w."""

    u: Complex
    nu: Complex
    mu: Complex
    width: float


def gauss_parts(problem: PowerLawRandomFeatures) -> Parts:
    """Return groups for the whole spectrum: bands one by one, and windows below them.

    Raises
    ------
    ParameterError
        When there are no such groups.
    """
    most = min(math.ceil(_ALONE * (1.0 + problem.alpha)), problem.dimension // 4)
    inputs = inputs_of(problem, 2 * most + 20)
    gaps = _gaps(problem, inputs, most)
    length = min(_LENGTH, _LENGTH_BY_ALPHA * problem.alpha)
    line, lowest = _line(problem, inputs, gaps[-1], max(_NARROWEST, _WIDTH * length))
    cuts = [math.inf, *_cuts(line, lowest, length), lowest - _FAR * line.width]
    windows = [_rule(line, high, low) for high, low in itertools.pairwise(cuts)]
    last = image(inputs, gaps[-1])
    windows = [part._replace(eigenvalue=last * np.exp(part.eigenvalue)) for part in windows]
    parts = [_bands(problem, inputs, gaps), *windows]
    found = [np.concatenate(values) for values in zip(*parts, strict=True)]
    order = np.argsort(-found[0])  # windows overlap
    return Parts(*(values[order] for values in found))


def no_groups(why: str) -> ParameterError:
    """Return the error that says why a problem has no groups, for the caller to raise."""
    return ParameterError(f"problem must be one that groups describe: {why}; method='diagonal' takes small dimensions")


def _gaps(problem: PowerLawRandomFeatures, inputs: Inputs, most: int) -> Array:
    """Return a real s above the spectrum and one in each of the gaps, up to ``most``, that are wide enough."""
    s = np.arange(1.5, most + 1.0) ** (-2.0 * problem.alpha)
    share = (inputs.variance / (inputs.variance - s[:, None])) ** 2 @ inputs.weight / inputs.dimension
    narrow = np.flatnonzero(share > _GAP)
    return np.concatenate([[start_above(problem)], s[: narrow[0] if narrow.size else most]])


def _bands(problem: PowerLawRandomFeatures, inputs: Inputs, gaps: Array) -> Parts:
    """Return the bands between the gaps, each as a group of one mode."""
    e = np.exp(np.arange(-_END, _END + _STEP / 2.0, _STEP))
    circle, turn = (e * e + 1j * e) / (1.0 + e * e), _STEP / np.pi * 1j * e / (1.0 + 1j * e) ** 2
    mass, first, target = np.empty((3, gaps.size - 1))
    for j, (high, low) in enumerate(itertools.pairwise(gaps)):
        s = low + (high - low) * circle
        z, slope, nu, mu = _at(
            s, inputs.variance, inputs.weight, inputs.target, problem.beta > 0.5, float(inputs.dimension)
        )
        weight = (high - low) * turn * slope
        mass[j], first[j], target[j] = ((weight * f).imag.sum() for f in (nu, nu * z, mu))
        if not (z.imag > 0.0).all() or not abs(mass[j] - 1.0) < _BAND:
            raise no_groups(f"band {j + 1} of the spectrum holds {mass[j]:.6g} eigenvalues instead of 1")
    return Parts(first / mass, np.ones_like(mass), target)


@kernel
def _at(s: Any, variance: Array, count: Array, target: Array, falls: bool, d: float) -> Any:
    """Return z, dz/ds, f_nu and f_mu at many s, (4, points)."""
    found = np.empty((4, s.size), np.complex128)
    for i in range(s.size):
        found[0, i], found[1, i], found[2, i], found[3, i] = transforms(s[i], variance, count, target, falls, d)
    return found


def _line(problem: PowerLawRandomFeatures, inputs: Inputs, start: float, width: float) -> tuple[_Line, float]:
    """Return the line over the spectrum below z(start), and u at the lower edge of the spectrum."""
    last = image(inputs, start)
    lowest = math.log(edges(problem).lowest / last)
    step = width / 3.0
    y = np.arange(_END, lowest - 2.0 * _FAR * width - 1.0, -step) + 1j * SECTOR
    ratio = 1.0 / (1.0 + np.exp(-y))
    nu, mu = down_the_line(problem, inputs, start, last * ratio)
    weight = step / np.pi * last * ratio * (1.0 - ratio)
    return _Line(np.log(ratio), weight * nu, weight * mu, width), lowest


def _window(line: _Line, high: float, low: float) -> _Line:
    """Return the line with the weights of the window between two steps, where it is not 0."""
    far = _FAR * line.width
    inside = slice(*np.searchsorted(-line.u.real, [-high - far, -low + far]))
    u = line.u[inside]
    window = erfc((low - u) / line.width) / 2.0
    if high < math.inf:
        window = window - erfc((high - u) / line.width) / 2.0
    return _Line(u, window * line.nu[inside], window * line.mu[inside], line.width)


def _modes(line: _Line, high: float, low: float) -> float:
    return float(_window(line, high, low).nu.imag.sum())


def _cuts(line: _Line, lowest: float, length: float) -> list[float]:
    """Return where windows meet: each is long enough and has modes enough."""
    found: list[float] = []
    begin, high, modes = 0.0, math.inf, 0.0
    for low in np.arange(-length / 3.0, lowest, -length / 3.0):
        modes += _modes(line, high, low)
        high = low
        if modes >= _MODES and begin - low >= 0.99 * length:
            found.append(float(low))
            begin, modes = low, 0.0
    while found and _modes(line, found[-1], lowest - _FAR * line.width) < _MODES:
        found.pop()
    return found


def _rule(line: _Line, high: float, low: float) -> Parts:
    """Return the groups for one window, with u in the place of the eigenvalue."""
    part = _window(line, high, low)
    middle, size = (min(high, 0.0) + low) / 2.0, (min(high, 0.0) - low) / 2.0 + line.width
    powers = ((part.u - middle) / size) ** np.arange(2 * _NODES)[:, None]
    count, target = (powers @ part.nu).imag, (powers @ part.mu).imag
    for n in range(_NODES, 0, -1):
        rule = _gauss(count[: 2 * n])
        if rule is None or rule[1].min() <= 2.0:
            continue
        at = np.asarray(np.linalg.solve(np.vander(rule[0], increasing=True).T, target[:n]), dtype=np.float64)
        if at.min() > 0.0:
            return Parts(middle + size * rule[0][::-1], rule[1][::-1], at[::-1])
    raise no_groups(f"a part of the spectrum holds only {count[0]:.3g} eigenvalues")


def _gauss(moments: Array) -> tuple[Array, Array] | None:
    """Return nodes and weights of the rule with these moments 0 ... 2n-1; none where rounding leaves no rule."""
    n = moments.size // 2
    hankel = np.array([moments[i : i + n + 1] for i in range(n)])
    try:
        root = np.linalg.cholesky(hankel[:, :n])
    except np.linalg.LinAlgError:
        return None
    factor = np.linalg.solve(root, hankel)  # upper triangular, (n, n + 1)
    diagonal = np.diag(factor)
    nodes, vectors = eigh_tridiagonal(np.diff(np.diag(factor, 1) / diagonal, prepend=0.0), diagonal[1:] / diagonal[:-1])
    weights: Array = moments[0] * np.asarray(vectors[0], dtype=np.float64) ** 2
    return np.asarray(nodes, dtype=np.float64), weights
