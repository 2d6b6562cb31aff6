r"""Formulas of the exponents in alpha and beta, derived and not tabulated.

The minimisation behind :func:`exponents` takes sums, products, quotients and comparisons of rational numbers. Here they
remember, beside their value, the formula that they were computed by. Comparisons (which parts exist, which of them
cross, which corner is lowest) go by value, so that what comes out is the formula that holds wherever all comparisons
come out alike: in the whole region around the point.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from analytic.scaling_laws._exponents import Exponents, Number, exponents, minimised, point_of

if TYPE_CHECKING:
    import sympy  # type: ignore[import-untyped]

__all__ = ["exponent_formulas"]

#: A step off the lines between regions, smaller than what a number with 16 digits keeps from a line that it is not on.
_OFF = Fraction(1, 10**40)
#: To all sides of these lines, and of those on which corners meet that are not the lowest: no such line is this steep.
_STEEP = Fraction(7310585, 10**7)
_BESIDE = ((1, _STEEP), (-1, -_STEEP), (1, -_STEEP), (-1, _STEEP))


class _Traced(Fraction):
    """A rational number that can tell the formula it was computed by; few of them are ever asked."""

    formula: Callable[[], Any]

    def __new__(cls, value: Fraction, formula: Callable[[], Any]) -> _Traced:
        made = super().__new__(cls, value)
        made.formula = formula
        return made


def _formula(value: Fraction) -> Any:
    import sympy

    return value.formula() if isinstance(value, _Traced) else sympy.Rational(value)


def _traced(name: str, on_formulas: Callable[..., Any]) -> Callable[..., _Traced]:
    """Return an operation of Fraction that acts on the formulas too."""
    on_values = getattr(Fraction, f"__{name}__")

    def operation(*values: Fraction) -> _Traced:
        return _Traced(on_values(*values), lambda: on_formulas(*map(_formula, values)))

    return operation


def _swapped(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda right, left: operation(left, right)


# with operations of its own, a subclass goes before Fraction on either side
for _plain in (operator.add, operator.sub, operator.mul, operator.truediv):
    setattr(_Traced, f"__{_plain.__name__}__", _traced(_plain.__name__, _plain))
    setattr(_Traced, f"__r{_plain.__name__}__", _traced(f"r{_plain.__name__}", _swapped(_plain)))
_Traced.__neg__ = _traced("neg", operator.neg)  # type: ignore[method-assign]


def exponent_formulas(alpha: Number, beta: Number, algorithm: str) -> Exponents[sympy.Expr]:
    r"""Return the formulas in alpha and beta that the exponents follow around a point.

    Parameters
    ----------
    alpha, beta : float or Fraction
        Input j has variance j^(-2 alpha), the target is b_j = j^(-beta). From 0.05 to 5, and from -5 to 5.
    algorithm : str
        "sgd", "sgd-momentum", "heavy-ball", "nesterov", "schedule-free", "dana-constant" or "dana-decaying".

    Returns
    -------
    Exponents
        ``loss``: P ~ f^(-loss), and ``size``: d* ~ f^size, as rational functions of ``sympy.symbols("alpha beta")``
        with factors that are positive at the point. They hold in the whole region of the point. On a line between
        regions they are those of a side that agrees with :func:`exponents` on the line.

    Raises
    ------
    ParameterError
        For what is no number or out of range, where there is no power law, and for an unknown algorithm.

    Examples
    --------
    >>> exponent_formulas(1.0, 0.7, "sgd")
    Exponents(loss=(2*alpha + 2*beta - 1)/(2*(alpha + beta)), size=beta/(alpha + beta))
    >>> exponent_formulas(1.5, 0.7, "dana-constant").loss
    4*alpha/(2*alpha + 3)
    """
    exponents(alpha, beta, algorithm)  # refuses what is not allowed
    a, b, _ = point_of(alpha, beta)
    exact = minimised(a, b, algorithm)
    beside = (_beside(a + right * _OFF, b + up * _OFF, algorithm) for right, up in _BESIDE)
    # the loss is continuous, but the best size may jump: then the line itself has that of one side
    return next(found for found in beside if tuple(_value(formula, a, b) for formula in found) == exact)


def _beside(a: Fraction, b: Fraction, algorithm: str) -> Exponents[sympy.Expr]:
    """Return the formulas at a point where no two corners meet by chance."""
    import sympy

    alpha, beta = sympy.symbols("alpha beta")
    found = minimised(_Traced(a, lambda: alpha), _Traced(b, lambda: beta), algorithm)
    return Exponents(*(_tidied(_formula(value), a, b) for value in found))


def _tidied(formula: sympy.Expr, a: Fraction, b: Fraction) -> sympy.Expr:
    """Write a positive rational function in lowest terms, as a product of factors that are positive at the point."""
    import sympy

    parts = []
    for polynomial, sign in zip(sympy.fraction(sympy.cancel(formula)), (1, -1), strict=True):
        number, factors = sympy.factor_list(polynomial)
        parts.append(abs(number) ** sign)
        parts += [(base if _value(base, a, b) > 0 else -base) ** (sign * power) for base, power in factors]
    return sympy.Mul(*parts)


def _value(formula: sympy.Expr, a: Fraction, b: Fraction) -> Fraction:
    """Return the value of a formula at a point."""
    import sympy

    found = formula.subs({"alpha": sympy.Rational(a), "beta": sympy.Rational(b)})
    return Fraction(int(found.p), int(found.q))
