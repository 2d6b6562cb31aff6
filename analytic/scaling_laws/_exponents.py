r"""Phases of the plane (alpha, beta), and how risk and best dimension scale with the compute f = d t.

Up to constants the risk is P = F_0 + F_pp + F_ac + K_pp/gamma2, which depend on the dimension d and on an effective
time theta (a = alpha, b = beta, fixed batch size and v/d, gamma2 ~ d^(-max(0, 1 - 2a))):

    F_0  ~ d^(-2a - min(0, 2b - 1))                 the floor
    F_pp ~ theta^(-1 - (2b - 1)/(2a))               the target's power law, not learned yet
    F_ac ~ d^(-1) theta^(-1 + 1/(2a))               what features distort, for 2a > 1 and 2b > 1
    K_pp/gamma2 ~ gamma2 theta^(-2 + 1/(2a))        the gradients' noise, for a > 1/4

A mode of curvature l is forgotten as soon as gamma2 l t or l t times the momentum's own step, gamma1 gamma3/Delta, is
of order 1, so that

    theta = (gamma2 + gamma1 gamma3(t)/Delta(t)) t.

Fixed momentum and Schedule-Free (gamma3 and Delta ~ 1/t) thus only change the constant before SGD's gamma2 t; with
Delta ~ 1/t, DANA-constant adds gamma2 t^2/d and DANA-decaying gamma2 t^(2 - 1/(2a)). With d = f^x and t = f^(1 - x)
all these are straight lines in units of log f, of which sums keep the largest: the best x is one of the finitely many
corners. Logarithms, as on the lines between phases, are left out.

Sources: arXiv 2405.15074 for phases and SGD, arXiv 2505.16098 for DANA. Only derived here, not taken from there: theta
as above, with it all exponents of DANA and where they change their form (a = 3/4 for DANA-constant,
a = (3 + sqrt 5)/4 for DANA-decaying). That no noise counts for a < 1/4 is not proved anywhere.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from typing import Generic, NamedTuple, TypeVar

from dynamics.errors import ParameterError, known, shown
from dynamics.parameters import check_between, declarations
from dynamics.scaling_laws import PowerLawRandomFeatures

__all__ = ["Exponents", "Number", "exponents", "minimised", "phase", "point_of"]

Number = float | Fraction
Value_co = TypeVar("Value_co", covariant=True)

#: What the effective time can grow like at best: its powers are taken in :func:`_times`.
_FIXED, _CONSTANT, _DECAYING = "gamma2 t", "gamma2 t^2/d", "gamma2 t^(2 - 1/(2a))"

#: Algorithms by their names in files and on the command line.
_ALGORITHMS = {
    "sgd": _FIXED, "sgd-momentum": _FIXED, "heavy-ball": _FIXED, "nesterov": _FIXED, "schedule-free": _FIXED,
    "dana-constant": _CONSTANT, "dana-decaying": _DECAYING,
}  # fmt: skip


class Exponents(NamedTuple, Generic[Value_co]):
    """P ~ f^(-loss) at the best dimension d* ~ f^size, as numbers or as formulas."""

    loss: Value_co
    size: Value_co


class Point(NamedTuple):
    """A point (alpha, beta) as rational numbers, which floats are too."""

    alpha: Fraction
    beta: Fraction
    has_law: bool


class _Line(NamedTuple):
    """A straight line in x."""

    start: Fraction
    slope: Fraction

    def at(self, x: Fraction) -> Fraction:
        """Return the height at x."""
        return self.start + self.slope * x


class _Term(NamedTuple):
    """A part of the risk: d^power theta^(-decay)."""

    power: Fraction
    decay: Fraction

    def along(self, time: _Line) -> _Line:
        """Return its exponent in f as a line in x, where theta is f^time."""
        return _Line(-self.decay * time.start, self.power - self.decay * time.slope)


def phase(alpha: Number, beta: Number) -> str:
    r"""Return the phase of SGD that the exponents of inputs and target are in.

    ===== ============================================ ========================================
    phase region                                       parts of the risk, one after the other
    ===== ============================================ ========================================
    none  alpha + beta <= 1/2                          the floor does not fall: no power law
    Ia    2 alpha > 1, 2 beta < 1                      F_pp, F_0
    Ib    2 alpha < 1, 2 beta < 1                      F_pp, F_0
    Ic    alpha < 1/4, 2 beta > 1                      F_pp, F_0
    II    2 alpha > 1, 1/2 < beta < alpha              F_pp, F_ac, F_0
    III   2 alpha > 1, beta > alpha                    F_pp, K_pp, F_ac, F_0
    IVa   1 - 1/sqrt 2 < alpha < 1/2, 2 beta > 1       F_pp, K_pp, F_0; best at K_pp = F_0
    IVb   1/4 < alpha < 1 - 1/sqrt 2, 2 beta > 1       F_pp, K_pp, F_0; best at F_pp = K_pp
    ===== ============================================ ========================================

    A point on a line belongs to the side with fewer parts, and to Ib or IVa where 2 alpha = 1.

    Parameters
    ----------
    alpha, beta : float or Fraction
        Input j has variance j^(-2 alpha), the target is b_j = j^(-beta). From 0.05 to 5, and from -5 to 5.

    Returns
    -------
    str
        One of the names above (arXiv 2405.15074).

    Raises
    ------
    ParameterError
        For what is no number or out of range.

    Examples
    --------
    >>> phase(1.0, 0.3), phase(1.0, 0.7), phase(1.0, 1.5), phase(0.2, 0.2)
    ('Ia', 'II', 'III', 'none')
    """
    a, b, has_law = point_of(alpha, beta)
    if not has_law:
        return "none"
    if 2 * b <= 1:
        return "Ia" if 2 * a > 1 else "Ib"
    if 2 * a > 1:
        return "III" if b > a else "II"
    if 4 * a <= 1:
        return "Ic"
    # a > 1 - 1/sqrt 2 without a root, so that it is exact
    return "IVa" if 2 * (1 - a) ** 2 < 1 else "IVb"


def exponents(alpha: Number, beta: Number, algorithm: str) -> Exponents[Number]:
    r"""Return how the risk falls with the compute f = d t at the best dimension, and how that dimension grows.

    With d = f^x the parts of the risk are powers of f (see :func:`phase` for the parts),

        -(2 alpha + min(0, 2 beta - 1)) x,  -(1 + (2 beta - 1)/(2 alpha)) h,  -x - (1 - 1/(2 alpha)) h,
        g - (2 - 1/(2 alpha)) h,

    where g = -max(0, 1 - 2 alpha) x and h is the largest of the algorithm's times

        g + 1 - x,    and for DANA-constant g + 2 - 3 x,    for DANA-decaying g + (2 - 1/(2 alpha)) (1 - x).

    The largest part is minimised over x in [0, 1], exactly, from its corners.

    Parameters
    ----------
    alpha, beta : float or Fraction
        Input j has variance j^(-2 alpha), the target is b_j = j^(-beta). From 0.05 to 5, and from -5 to 5.
    algorithm : str
        "sgd", "sgd-momentum", "heavy-ball", "nesterov", "schedule-free", "dana-constant" or "dana-decaying", with
        coefficients that scale like the defaults. Fixed momentum and averaging do not change SGD's exponents.

    Returns
    -------
    Exponents
        ``loss``: P ~ f^(-loss), and ``size``: d* ~ f^size; the smallest where several are equally good, as for
        DANA-constant at alpha = 3/4. Fractions for two Fractions, else the floats nearest to them.

    Raises
    ------
    ParameterError
        For what is no number or out of range, where there is no power law, and for an unknown algorithm.

    Notes
    -----
    Of SGD they are those of arXiv 2405.15074. Of DANA (arXiv 2505.16098) they are only derived here, from the effective
    time theta = f^h, and so are the borders alpha = 3/4 and (3 + sqrt 5)/4 at which they change their form.

    Examples
    --------
    >>> exponents(1.0, 1.5, "sgd")
    Exponents(loss=0.75, size=0.5)
    >>> exponents(Fraction(1), Fraction(3, 2), "dana-decaying")
    Exponents(loss=Fraction(9, 10), size=Fraction(3, 5))
    """
    known("algorithm", algorithm, _ALGORITHMS)
    point = point_of(alpha, beta)
    if not point.has_law:
        must = f"must be above 1/2 - alpha = {float(Fraction(1, 2) - point.alpha):g}"
        why = "at it and below, the floor does not fall with the dimension, and there is no power law"
        raise ParameterError(f"beta ({_meaning('beta')}) {must}: {why}; got {shown(beta)}")
    found = minimised(point.alpha, point.beta, algorithm)
    if isinstance(alpha, Fraction) and isinstance(beta, Fraction):
        return found
    return Exponents(*(float(value) for value in found))


def minimised(a: Fraction, b: Fraction, algorithm: str) -> Exponents[Fraction]:
    """Return the exponents at a point that is allowed, from sums, products, quotients and comparisons of a and b."""
    return _minimum(_times(a, _ALGORITHMS[algorithm]), _terms(a, b))


def _times(a: Fraction, fastest: str) -> list[_Line]:
    """Return the times whose largest is theta."""
    rate = min(Fraction(0), 2 * a - 1)
    times = [_Line(Fraction(1), rate - 1)]
    if fastest == _CONSTANT:
        times.append(_Line(Fraction(2), rate - 3))
    elif fastest == _DECAYING:
        speed = 2 - 1 / (2 * a)
        times.append(_Line(speed, rate - speed))
    return times


def _terms(a: Fraction, b: Fraction) -> list[_Term]:
    """Return the parts of the risk that exist (where one does not, its power law would not change the best x)."""
    rate, zero = min(Fraction(0), 2 * a - 1), Fraction(0)
    terms = [_Term(-2 * a - min(zero, 2 * b - 1), zero), _Term(zero, 1 + (2 * b - 1) / (2 * a))]
    if 2 * a > 1 and 2 * b > 1:
        terms.append(_Term(Fraction(-1), 1 - 1 / (2 * a)))
    if 4 * a > 1:
        terms.append(_Term(rate, 2 - 1 / (2 * a)))
    return terms


def _minimum(times: list[_Line], terms: list[_Term]) -> Exponents[Fraction]:
    """Minimise the largest term over x in [0, 1].

    Minima lie at the ends or where, along one time, two terms cross. Where two times cross, every term is concave, for
    it falls with the largest time: there is no minimum, but the whole need not be convex, so that all corners compete.
    """
    crossing = [pair for time in times for pair in combinations([term.along(time) for term in terms], 2)]
    corners = {Fraction(0), Fraction(1)}
    for one, other in crossing:
        if one.slope != other.slope:
            x = (other.start - one.start) / (one.slope - other.slope)
            if 0 < x < 1:
                corners.add(x)

    def largest(x: Fraction) -> Fraction:
        theta = max(time.at(x) for time in times)
        return max(term.power * x - term.decay * theta for term in terms)

    lowest, best = min((largest(x), x) for x in corners)
    return Exponents(-lowest, best)


def point_of(alpha: Number, beta: Number) -> Point:
    """Check a point, and take floats for the rational numbers that they are."""
    a, b = _number("alpha", alpha, Fraction(1, 20)), _number("beta", beta, Fraction(-5))
    # floats are added as floats, so that the verdict is that of PowerLawRandomFeatures also at 0.1 + 0.4
    total = a + b if isinstance(alpha, Fraction) and isinstance(beta, Fraction) else float(a) + float(b)
    return Point(a, b, total > Fraction(1, 2))


def _number(name: str, value: Number, low: Fraction) -> Fraction:
    """Check one number, in the range that PowerLawRandomFeatures allows."""
    if isinstance(value, Fraction) and low <= value <= 5:
        return value
    return Fraction(check_between(name, _meaning(name), value, float(low), 5.0))


def _meaning(name: str) -> str:
    return declarations(PowerLawRandomFeatures)[name].meaning
