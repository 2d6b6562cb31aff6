"""Phases and exponents: against tables of closed forms, independent numbers, and a search over a fine grid."""

import itertools
import math
from fractions import Fraction as Q

import numpy as np
import pytest

from analytic.scaling_laws import limit_risk
from analytic.scaling_laws._exponents import _terms, exponents, phase
from dynamics.errors import ParameterError
from dynamics.scaling_laws import ALGORITHMS, PowerLawRandomFeatures
from tests.scaling_laws.common import REFERENCE

LIKE_SGD = ("sgd", "sgd-momentum", "heavy-ball", "nesterov", "schedule-free")
DANA = ("dana-constant", "dana-decaying")
EVERY = pytest.mark.parametrize("algorithm", LIKE_SGD + DANA)
HALF, TINY = Q(1, 2), Q(1, 10**12)
#: Rational numbers on either side of 1 - 1/sqrt 2 and of (3 + sqrt 5)/4, where the form changes.
FOUR, GOLDEN = (Q(292893, 10**6), Q(292894, 10**6)), (Q(1309016, 10**6), Q(1309017, 10**6))

# --- closed forms, as functions of a, b and k = 2 - 1/(2a)

SGD_TABLE = {
    "Ia": lambda a, b, k: ((2 * a + 2 * b - 1) / (2 * a + 1), 1 / (2 * a + 1)),
    "Ib": lambda a, b, k: (a + b - HALF, HALF),
    "Ic": lambda a, b, k: (
        a * (2 * a + 2 * b - 1) / (2 * b - 1 - a * (2 * b - 3)), (a + b - HALF) / (2 * b - 1 - a * (2 * b - 3)),
    ),
    "II": lambda a, b, k: ((2 * a + 2 * b - 1) / (2 * (a + b)), b / (a + b)),
    "III": lambda a, b, k: ((4 * a - 1) / (4 * a), HALF),
    "IVa": lambda a, b, k: (a, HALF),
    "IVb": lambda a, b, k: (
        (1 - 2 * a) * (2 * a + 2 * b - 1) / (2 * (2 * b - a - 2 * a * b)), (b - a) / (2 * b - a - 2 * a * b),
    ),
}  # fmt: skip
CONSTANT_TABLE = {
    "Ia": lambda a, b, k: (2 * (2 * a + 2 * b - 1) / (2 * a + 3), 2 / (2 * a + 3)),
    "II low": lambda a, b, k: ((2 * a + 2 * b - 1) / (a + 3 * b), 2 * b / (a + 3 * b)),
    "III low": SGD_TABLE["III"],
    "high": lambda a, b, k: (4 * a / (2 * a + 3), 2 / (2 * a + 3)),
}
DECAYING_TABLE = {
    "Ia": lambda a, b, k: ((2 * a + 2 * b - 1) * k / (k + 2 * a), k / (k + 2 * a)),
    "II low": lambda a, b, k: (k * (2 * a + 2 * b - 1) / (2 * (a + k * b)), k * b / (a + k * b)),
    "III low": lambda a, b, k: (k**2 / (1 + k), k / (1 + k)),
    "high": lambda a, b, k: (2 * a * k / (k + 2 * a), k / (k + 2 * a)),
}


def switched(table, low, high):
    """Rows of a DANA table with the ranges of alpha that they hold in."""
    return [
        (table["Ia"], "Ia", HALF, 5), (table["II low"], "II", HALF, low), (table["III low"], "III", HALF, low),
        (table["high"], "II", high, 5), (table["high"], "III", high, 5),
    ]  # fmt: skip


RANGES = {
    "Ia": (HALF, 5), "Ib": (Q(1, 20), HALF), "Ic": (Q(1, 20), Q(1, 4)), "II": (HALF, 5), "III": (HALF, 5),
    "IVa": (FOUR[1], HALF), "IVb": (Q(1, 4), FOUR[0]),
}  # fmt: skip
ROWS = [(algorithm, row, name, *RANGES[name]) for name, row in SGD_TABLE.items() for algorithm in LIKE_SGD]
ROWS += [(algorithm, SGD_TABLE[name], name, *RANGES[name]) for name in ("Ib", "Ic", "IVa", "IVb") for algorithm in DANA]
ROWS += [("dana-constant", *row) for row in switched(CONSTANT_TABLE, Q(3, 4), Q(3, 4))]
ROWS += [("dana-decaying", *row) for row in switched(DECAYING_TABLE, *GOLDEN)]


def inside(name, low, high, count=11):
    """Rational points of a phase, close to all its borders, with alpha between two numbers."""
    steps = [TINY, *(Q(i, count) for i in range(1, count)), 1 - TINY]
    borders = {"Ia": lambda a: (max(HALF - a, Q(-5)), HALF), "II": lambda a: (HALF, a), "III": lambda a: (a, Q(5))}
    borders["Ib"] = borders["Ia"]
    for u, v in itertools.product(steps, steps):
        a = low + (high - low) * u
        bottom, top = borders.get(name, lambda a: (HALF, Q(5)))(a)
        yield a, bottom + (top - bottom) * v


@pytest.mark.parametrize(("algorithm", "row", "name", "low", "high"), ROWS)
def test_the_tables_follow_from_the_minimisation(algorithm, row, name, low, high):
    """Exact equality at 12 points in alpha and in beta each, more than rational functions of this degree can share."""
    parts = {"Ic": 2, "II": 4, "III": 4}.get(name, 3)
    for a, b in inside(name, low, high):
        assert len(_terms(a, b)) == parts - (name == "Ib" and 4 * a <= 1)
        assert phase(a, b) == name
        found = exponents(a, b, algorithm)
        assert all(type(value) is Q for value in found)
        assert found == row(a, b, 2 - 1 / (2 * a)), (a, b)


# --- numbers of an independent implementation, and a search


@pytest.mark.parametrize(
    "point", REFERENCE["exponents"]["points"], ids=lambda point: f"{point['alpha']}-{point['beta']}"
)
def test_reference_numbers(point):
    a, b = point["alpha"], point["beta"]
    assert phase(a, b) == point["phase"]
    for algorithm in LIKE_SGD + DANA if point["phase"] != "none" else ():
        expected = point["SGD" if algorithm in LIKE_SGD else algorithm.replace("dana", "DANA")]
        found = exponents(a, b, algorithm)
        assert all(type(value) is float for value in found)
        assert found == pytest.approx((expected["eta"], expected["xi"]), rel=0, abs=1e-12)


def searched(a, b, algorithm, x):
    """log P/log f at d = f^x, written down from the powers of d, t, gamma2 and theta without lines or corners."""
    d, t = x, 1 - x
    gamma2 = np.minimum(0, (2 * a - 1) * d)
    theta = gamma2 + t
    if 2 * a > 1 and algorithm == "dana-constant":
        theta = np.where(t < d, t, 2 * t - d)
    elif 2 * a > 1 and algorithm == "dana-decaying":
        theta = (2 - 1 / (2 * a)) * t
    parts = [-2 * a * d if b > 0.5 else (1 - 2 * a - 2 * b) * d, (1 - 2 * a - 2 * b) / (2 * a) * theta]
    if b > 0.5 and a > 0.5:
        parts.append((1 - 2 * a) / (2 * a) * theta - d)
    if a > 0.25:
        parts.append((1 - 4 * a) / (2 * a) * theta + gamma2)
    return np.max(parts, axis=0)


@pytest.mark.parametrize("algorithm", ["sgd", *DANA])
def test_a_search_finds_nothing_better(algorithm):
    """At the returned size the risk is as returned, and on a grid it is nowhere less nor as small at a smaller size."""
    grid = np.linspace(0.0, 1.0, 4001)
    generator = np.random.default_rng(3)
    for a, b in zip(generator.uniform(0.05, 2.5, 150), generator.uniform(-1.5, 3.0, 150), strict=True):
        if phase(a, b) == "none":
            continue
        loss, size = exponents(a, b, algorithm)
        assert searched(a, b, algorithm, np.array(size)) == pytest.approx(-loss, abs=1e-13)
        risks = searched(a, b, algorithm, grid)
        steepest = np.abs(np.diff(risks)).max()
        assert -loss - 1e-13 <= risks.min() <= -loss + steepest
        assert grid[risks <= -loss + 1e-13].min(initial=1.0) >= size - grid[1]


# --- what theta and the floor stand for


@pytest.mark.parametrize("algorithm", [cls for cls in ALGORITHMS if cls.label != "general-momentum"])
@pytest.mark.parametrize(("a", "x"), [(0.8, 0.25), (0.8, 0.6), (1.2, 0.25), (1.2, 0.6), (0.3, 0.6)])
def test_effective_time_is_that_of_the_coefficients(algorithm, a, x):
    """The theta that the search above takes, from the coefficients of the algorithms themselves, as a local slope.

    The largest neglected term is d^(2a - 1) of the trace at a = 0.3, 1e-3 relative at the smaller d: 1e-3 in the slope.
    """
    assert algorithm.label in LIKE_SGD + DANA

    def log_theta(f):
        problem = PowerLawRandomFeatures(alpha=a, beta=0.7, dimension=round(f**x))
        time = f ** (1 - x)
        gamma1, gamma2, gamma3, delta = algorithm().rule(problem.curvature).at_one(time)
        return math.log(time * (gamma2 + gamma1 * gamma3 / delta))

    slope = (log_theta(1e25) - log_theta(1e20)) / math.log(1e5)
    gamma2 = min(0.0, (2 * a - 1) * x)
    expected = {"dana-constant": max(1 - x, 2 - 3 * x), "dana-decaying": (2 - 1 / (2 * a)) * (1 - x)}
    assert slope == pytest.approx(expected.get(algorithm.label, 1 - x) if a > 0.5 else gamma2 + 1 - x, abs=2e-3)


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.3), (0.4, 0.3), (0.2, 1.0), (0.35, 0.9), (0.8, 0.6), (0.8, 1.5)])
def test_floor_falls_as_assumed(a, b):
    first, second = (limit_risk(PowerLawRandomFeatures(alpha=a, beta=b, dimension=10**n)) for n in (12, 15))
    slope = math.log10(second / first) / 3
    assert slope == pytest.approx(-2 * a - min(0, 2 * b - 1), abs=0.01)


# --- lines between phases


def lines(algorithm):
    """Points on every line with the direction across it, and whether the best size jumps there."""
    for i in range(1, 9):
        yield (HALF, Q(i, 4)), (1, 0), False
        yield (Q(1, 4), HALF + Q(i, 4)), (1, 0), False
        yield (HALF - Q(i, 32), HALF), (0, 1), False
        yield (HALF + Q(i, 4), HALF), (0, 1), False
        yield (HALF + Q(i, 4), HALF + Q(i, 4)), (0, 1), False
        yield (Q(3, 4), HALF + Q(i, 5)), (1, 0), algorithm == "dana-constant"
        yield (sum(FOUR) / 2, HALF + Q(i, 4)), (1, 0), True
        yield (sum(GOLDEN) / 2, HALF + Q(i, 4)), (1, 0), algorithm == "dana-decaying"


@EVERY
def test_continuous_across_every_line(algorithm):
    """The loss everywhere, the size but for three lines. No slope in alpha or beta exceeds 10."""
    for (a, b), (da, db), jumps in lines(algorithm):
        step = Q(1, 10**6) if jumps else TINY  # two of the jumps are at irrational numbers
        below, on, above = (exponents(a + s * step * da, b + s * step * db, algorithm) for s in (-1, 0, 1))
        assert abs(above.loss - below.loss) <= 20 * step, (a, b)
        assert abs(on.loss - below.loss) <= 10 * step, (a, b)
        assert (abs(above.size - below.size) > 20 * step) == jumps, (a, b)


def test_phases_on_both_sides_of_every_line_and_on_it():
    sides = {
        (HALF, Q(1, 4)): ("Ib", "Ib", "Ia"), (HALF, Q(2)): ("IVa", "IVa", "III"), (Q(1, 4), Q(1)): ("Ic", "Ic", "IVb"),
        (Q(3, 4), Q(3, 4)): ("III", "II", "II"), (Q(1, 5), Q(3, 10)): ("none", "none", "Ib"),
    }  # fmt: skip
    for (a, b), expected in sides.items():
        assert tuple(phase(a + s * TINY, b) for s in (-1, 0, 1)) == expected
        assert tuple(phase(float(a + s * Q(1, 10**9)), float(b)) for s in (-1, 0, 1)) == expected
    across = {Q(1, 5): ("Ib", "Ib", "Ic"), Q(2, 5): ("Ib", "Ib", "IVa"), Q(1): ("Ia", "Ia", "II")}
    for a, expected in across.items():
        assert tuple(phase(a, HALF + s * TINY) for s in (-1, 0, 1)) == expected
    assert [phase(a, Q(1)) for a in FOUR] == ["IVb", "IVa"]
    root = 1 - 1 / math.sqrt(2)  # of two neighbouring floats one is below the irrational number, one above
    assert (phase(root - 1e-16, 1.0), phase(root + 1e-16, 1.0)) == ("IVb", "IVa")


def test_smallest_of_equally_good_sizes():
    assert exponents(0.75, 1.5, "dana-constant") == (2 / 3, 4 / 9)
    assert exponents(Q(3, 4), Q(3, 5), "dana-constant") == (Q(2, 3), Q(4, 9))


# --- gains


def test_gains():
    """Below 2 alpha = 1 none, above DANA-decaying > DANA-constant > SGD, but for the latter where noise prevents it."""
    for a, b in itertools.product([Q(i, 40) for i in range(2, 100, 3)], [Q(i, 16) for i in range(-12, 40, 3)]):
        if phase(a, b) == "none":
            continue
        sgd, constant, decaying = (exponents(a, b, name) for name in ("sgd", *DANA))
        if 2 * a <= 1:
            assert sgd == constant == decaying
        else:
            assert decaying.loss > constant.loss
            equal = phase(a, b) == "III" and 4 * a <= 3
            assert constant.loss == sgd.loss if equal else constant.loss > sgd.loss


# --- what is refused, and how numbers are taken


@EVERY
@pytest.mark.parametrize(("a", "b"), [(0.3, 0.2), (Q(3, 10), Q(1, 5)), (1, -0.5), (0.1, 0.4), (0.2, -3.0)])
def test_no_power_law(algorithm, a, b):
    assert phase(a, b) == "none"
    with pytest.raises(ParameterError, match=rf"^beta .*above 1/2 - alpha = {0.5 - float(a):g}: .*no power law; got"):
        exponents(a, b, algorithm)


def test_the_verdict_on_a_law_is_that_of_the_problem():
    for i, j in itertools.product(range(1, 10), range(-4, 6)):
        a, b = i / 10, j / 10
        try:
            PowerLawRandomFeatures(alpha=a, beta=b)
        except ParameterError:
            assert phase(a, b) == "none"
        else:
            assert phase(a, b) != "none"


@pytest.mark.parametrize(
    ("name", "near"), [("dana-constnt", "dana-constant"), ("SGD", None), ("momentum", "sgd-momentum"), (None, None)]
)
def test_unknown_algorithms(name, near):
    hint = rf".*did you mean {near}\?" if near else ""
    with pytest.raises(ParameterError, match=f"^algorithm must be one of sgd, .*{hint}"):
        exponents(1.0, 1.0, name)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, "1", None, True, 1j, [1.0], 5.01, 10**400, Q(10**400), Q(-501, 100)]
)
@pytest.mark.parametrize("call", [phase, lambda a, b: exponents(a, b, "sgd")])
def test_what_is_no_number_or_out_of_range(value, call):
    with pytest.raises(ParameterError, match=r"^alpha .* must be a number in \[0.05, 5\]; got"):
        call(value, 1.0)
    with pytest.raises(ParameterError, match=r"^beta .* must be a number in \[-5, 5\]; got"):
        call(1.0, value)


@pytest.mark.parametrize(("a", "b"), [(0.049, 1.0), (5.01, 1.0), (1.0, 5.01)])
def test_the_range_is_that_of_the_problem(a, b):
    for call in (lambda: PowerLawRandomFeatures(alpha=a, beta=b), lambda: phase(a, b)):
        with pytest.raises(ParameterError):
            call()
    assert (phase(0.05, 5.0), phase(5.0, 5.0), phase(5.0, -4.4)) == ("Ic", "II", "Ia")


@EVERY
def test_floats_are_the_nearest_to_the_exact_value(algorithm):
    for a, b in [(0.7, 0.9), (0.27, 1.1), (1.7, 0.6)]:
        exact = exponents(Q(a), Q(b), algorithm)
        for found in (exponents(a, b, algorithm), exponents(np.float64(a), Q(b), algorithm)):
            assert found == (float(exact.loss), float(exact.size))
            assert [type(value) for value in found] == [float, float]
    assert exponents(1, 2, algorithm) == tuple(float(value) for value in exponents(Q(1), Q(2), algorithm))
