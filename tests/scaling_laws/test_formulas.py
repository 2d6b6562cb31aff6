"""Formulas of the exponents: against the tables, exact at other points of the region, and what lies between regions."""

import itertools
from fractions import Fraction as Q

import pytest
import sympy

from analytic.scaling_laws._exponents import exponents
from analytic.scaling_laws._formulas import exponent_formulas
from dynamics.errors import ParameterError
from tests.scaling_laws.test_exponents import DANA, LIKE_SGD, ROWS, inside

ALPHA, BETA = sympy.symbols("alpha beta")
GOLDEN, FOUR = (3 + sympy.sqrt(5)) / 4, 1 - 1 / sympy.sqrt(2)


def rational(value):
    return sympy.Rational(value.numerator, value.denominator)


def at(formula, a, b):
    return formula.subs({ALPHA: rational(a), BETA: rational(b)})


@pytest.mark.parametrize(("algorithm", "row", "name", "low", "high"), [row for row in ROWS if row[0] in ("sgd", *DANA)])
def test_derived_formulas_are_those_of_the_tables(algorithm, row, name, low, high):
    """In the middle of each region and close to its corners; exact at the other points of the region."""
    table = [sympy.sympify(value) for value in row(ALPHA, BETA, 2 - 1 / (2 * ALPHA))]
    points = list(inside(name, low, high))
    for a, b in (points[0], points[len(points) // 2]):
        found = exponent_formulas(a, b, algorithm)
        assert [sympy.cancel(one - other) for one, other in zip(found, table, strict=True)] == [0, 0]
    for a, b in points[3::29]:
        assert [at(one, a, b) for one in found] == [rational(value) for value in exponents(a, b, algorithm)]


def test_formulas_agree_with_the_numbers_everywhere():
    """At rational points of a grid with many lines and corners between regions, and at floats."""
    for a, b in itertools.product([Q(1, 4), Q(1, 2), Q(3, 4)], [Q(1, 2), Q(3, 4)]):
        for algorithm in ("sgd", *DANA):
            found = exponent_formulas(a, b, algorithm)
            assert [at(one, a, b) for one in found] == [rational(value) for value in exponents(a, b, algorithm)]
    found = exponent_formulas(0.7, 0.9, "dana-decaying")
    assert tuple(float(at(one, Q(0.7), Q(0.9))) for one in found) == exponents(0.7, 0.9, "dana-decaying")


#: Algorithm, what is fixed, the border of the other coordinate in exact numbers.
BORDERS = [
    ("sgd", {BETA: Q(1, 4)}, ALPHA, sympy.Rational(1, 2)),
    ("sgd", {BETA: Q(2)}, ALPHA, sympy.Rational(1, 2)),
    ("sgd", {BETA: Q(4, 3)}, ALPHA, sympy.Rational(1, 4)),
    ("sgd", {BETA: Q(4, 3)}, ALPHA, FOUR),
    ("sgd", {BETA: Q(4, 5)}, ALPHA, sympy.Rational(4, 5)),
    ("sgd", {ALPHA: Q(1, 5)}, BETA, sympy.Rational(1, 2)),
    ("sgd", {ALPHA: Q(2, 5)}, BETA, sympy.Rational(1, 2)),
    ("sgd", {ALPHA: Q(4, 5)}, BETA, sympy.Rational(1, 2)),
    ("dana-constant", {BETA: Q(3, 5)}, ALPHA, sympy.Rational(3, 4)),
    ("dana-constant", {BETA: Q(3, 2)}, ALPHA, sympy.Rational(3, 4)),
    ("dana-constant", {BETA: Q(2, 3)}, ALPHA, sympy.Rational(2, 3)),
    ("dana-constant", {ALPHA: Q(1)}, BETA, sympy.Rational(1, 2)),
    ("dana-decaying", {BETA: Q(3, 5)}, ALPHA, GOLDEN),
    ("dana-decaying", {BETA: Q(5, 2)}, ALPHA, GOLDEN),
    ("dana-decaying", {BETA: Q(1)}, ALPHA, sympy.Integer(1)),
    ("dana-decaying", {ALPHA: Q(3, 2)}, BETA, sympy.Rational(1, 2)),
]


@pytest.mark.parametrize(("algorithm", "fixed", "free", "border"), BORDERS)
def test_borders_are_where_the_formulas_of_both_sides_meet(algorithm, fixed, free, border):
    """The losses just below and just above are different functions, equal at the border to the last digit of it."""
    sides = []
    for step in (Q(-1, 10**9), Q(1, 10**9)):
        place = {**fixed, free: Q(sympy.Rational(sympy.N(border, 30)).p, sympy.Rational(sympy.N(border, 30)).q) + step}
        sides.append(exponent_formulas(place[ALPHA], place[BETA], algorithm).loss)
    low, high = (side.subs({name: rational(value) for name, value in fixed.items()}) for side in sides)
    assert sympy.cancel(low - high) != 0
    assert any(sympy.expand(root - border) == 0 for root in sympy.solve(low - high, free))


def test_where_two_corners_meet_that_are_not_the_lowest():
    """Of DANA-decaying two corners have the size 3/5 at (1, 3/2), and all along beta = 2 alpha - 1/2."""
    assert exponent_formulas(1, 1.5, "dana-decaying") == exponent_formulas(1.01, 1.6, "dana-decaying")


def test_on_a_line_where_the_best_size_jumps():
    """The smaller size is that of alpha > 3/4."""
    for b in (Q(3, 5), Q(3, 4), Q(3, 2)):
        assert exponent_formulas(Q(3, 4), b, "dana-constant").size == 2 / (2 * ALPHA + 3)


@pytest.mark.parametrize(("a", "b"), [(5, 5), (5, -4.4), (0.05, 5), (0.05, 0.451), (1, 0.7), (0.35, 1)])
def test_factors_are_positive(a, b):
    """Also at the ends of what is allowed."""
    for algorithm in ("sgd", *DANA):
        for formula in exponent_formulas(a, b, algorithm):
            here = {ALPHA: rational(Q(a)), BETA: rational(Q(b))}
            assert all(factor.subs(here) > 0 for factor in sympy.Mul.make_args(formula))


def test_the_forms_that_are_printed():
    found = exponent_formulas(1.0, 0.7, "sgd")
    assert str(found) == "Exponents(loss=(2*alpha + 2*beta - 1)/(2*(alpha + beta)), size=beta/(alpha + beta))"
    assert [str(exponent_formulas(0.4, 0.3, name).loss) for name in LIKE_SGD] == ["alpha + beta - 1/2"] * 5
    assert found._fields == ("loss", "size")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.3, 0.2, "sgd"), "beta .*no power law"), ((1.0, 0.7, "dana"), "algorithm must be one of"),
        ((5.1, 0.7, "sgd"), "alpha"), ((1.0, True, "sgd"), "beta"), ((Q(1, 30), Q(1), "sgd"), "alpha"),
    ],
)  # fmt: skip
def test_what_is_refused(arguments, words):
    with pytest.raises(ParameterError, match=words):
        exponent_formulas(*arguments)
