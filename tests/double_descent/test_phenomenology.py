"""Extrema in time and the critical condition number."""

import itertools
import math

import numpy as np
import pytest

from analytic.double_descent import (
    critical_condition_number,
    edges,
    extrema,
    optimal_stopping,
    ridge,
)
from analytic.double_descent._phenomenology import _Course
from dynamics import ParameterError
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import PowerLawTeacherStudent, TeacherStudent, TwoScale
from dynamics.results import rebuild
from tests.double_descent.common import BLOCKS, REFERENCE, error_at

# --- extrema


@pytest.mark.parametrize("entry", REFERENCE["entries"], ids=[e["params"]["id"] for e in REFERENCE["entries"]])
def test_extrema_of_the_reference(entry):
    """Times to 1e-9: the slope is good to some 1e-13, a flat extremum's curvature is 1e-4 or more in log tau.

    The stored search ended at the last time stored with the curves; at kappa = 1e5 the plateau's peak is 1e4 times
    flatter, and its time is good to 1e-6. Errors there do not feel the time: the accuracy of the curves, 1e-11.
    """
    p = entry["params"]
    problem = TeacherStudent(
        samples=round(1000 * p["alpha"]), dimension=1000, variances=p["s2"], fractions=p["w"], noise=p["noise"],
        teacher_power=p["c"],
    )  # fmt: skip
    found, stored = extrema(problem, GradientFlow(l2=p["l2"]), last=p["tau"][-1]), entry["gf"]["extrema"]
    assert found["kind"].values.tolist() == [{"min": "minimum", "max": "maximum"}[item["kind"]] for item in stored]
    tolerance = 1e-6 if p["id"] == "fig3_k1e5" else 1e-9
    assert found["time"].values == pytest.approx([item["tau"] for item in stored], rel=tolerance)
    assert found["generalization_error"].values == pytest.approx([item["EG"] for item in stored], abs=1e-11)


def test_figure_4_has_a_double_descent_at_seven():
    """The paper's formula gives a monotone curve there. Four digits."""
    found = extrema(TwoScale(samples=110, dimension=100, fast=70, condition_number=7))
    assert found["kind"].values.tolist() == ["minimum", "maximum"]
    assert found["time"].values == pytest.approx([2.59, 12.63], abs=5e-3)
    assert found["generalization_error"].values == pytest.approx([0.2541, 0.2739], abs=5e-5)


def test_three_separated_blocks_give_three_descents():
    problem = TeacherStudent(
        samples=130, dimension=100, variances=[1, 1e-2, 1e-4], fractions=[0.5, 0.3, 0.2], noise=0.2
    )
    kinds = extrema(problem)["kind"].values.tolist()
    assert kinds == ["minimum", "maximum", "minimum", "maximum", "minimum"]


CASES = {
    "3 blocks, n<d": (TeacherStudent(samples=8, dimension=10, **BLOCKS), GradientFlow()),
    "3 blocks, n=d": (TeacherStudent(samples=10, dimension=10, **BLOCKS), GradientFlow()),
    "3 blocks, n>d, l2": (TeacherStudent(samples=13, dimension=10, **BLOCKS), GradientFlow(l2=1e-3)),
    "rates": (TeacherStudent(samples=13, dimension=10, **BLOCKS), GradientFlow(rates=[1.0, 0.3, 0.5])),
    "power law": (PowerLawTeacherStudent(samples=130, dimension=100, variance_exponent=3, noise=1.0), GradientFlow()),
}


@pytest.mark.parametrize(("problem", "flow"), CASES.values(), ids=CASES)
def test_extrema_are_those_of_a_fine_curve(problem, flow):
    """The extrema of E_G itself on 4,000 times: the same kinds, each within one spacing, no others above rounding."""
    found = extrema(problem, flow)
    times = np.geomspace(1e-2, 1e7, 4000)
    curve = error_at(problem, times, flow)
    step = np.diff(curve)
    step[np.abs(step) < 1e-12] = 0.0
    moving = np.flatnonzero(step)
    turns = [(i, j) for i, j in itertools.pairwise(moving) if step[i] * step[j] < 0]
    assert len(turns) >= 1
    assert found["kind"].values.tolist() == ["minimum" if step[i] < 0 else "maximum" for i, _ in turns]
    for (i, j), time in zip(turns, found["time"].values, strict=True):
        assert times[i] <= time <= times[j + 1]
    assert found["generalization_error"].values == pytest.approx(
        error_at(problem, found["time"].values, flow), abs=1e-11
    )


@pytest.mark.parametrize("case", [name for name in CASES if name != "power law"])
def test_extrema_keep_units(case):
    """Variances times k and time over k; teacher power and noise variance times 9 (tolerance: that of the times)."""
    problem, flow = CASES[case]
    first = extrema(problem, flow)
    values = problem.model_dump()
    values["variances"] = [250.0 * value for value in values["variances"]]
    values["teacher_power"] = [9.0 * value for value in values["teacher_power"]]
    values["noise"] *= 3.0
    other = extrema(TeacherStudent(**values), GradientFlow(l2=250.0 * flow.l2, rates=flow.rates))
    assert other["kind"].values.tolist() == first["kind"].values.tolist()
    assert 250.0 * other["time"].values == pytest.approx(first["time"].values, rel=1e-9)
    assert other["generalization_error"].values == pytest.approx(9.0 * first["generalization_error"].values, abs=1e-10)


@pytest.mark.parametrize("flow", [GradientFlow(), GradientFlow(l2=0.3), GradientFlow(rates=[1.0, 0.3, 0.5])])
@pytest.mark.parametrize("samples", [8, 10, 13])
def test_slope_is_the_derivative(samples, flow):
    """Of E_G over log tau, by central differences at two spacings, extrapolated: 1e-11 of rounding, 1e-8 left over."""
    problem = TeacherStudent(samples=samples, dimension=10, **BLOCKS)
    times = np.geomspace(0.03, 300.0, 25)
    fine, wide = (
        (error_at(problem, times * math.exp(step), flow) - error_at(problem, times * math.exp(-step), flow))
        / (2 * step)
        for step in (0.01, 0.02)
    )
    slope = _Course(problem, flow, times, 1e-12).slope(times)
    assert np.abs(slope - (4 * fine - wide) / 3).max() < 2e-8
    assert np.abs(slope).max() > 0.02


def test_late_minimum_at_little_noise():
    """The last minimum is where e^{-tau L} of the slowest modes falls below sigma^2: many relaxation times late."""
    problem = TwoScale(samples=150, dimension=100, condition_number=20, noise=0.03)
    found = extrema(problem)
    assert found["kind"].values.tolist() == ["minimum", "maximum", "minimum"]
    assert found["time"].values[-1] > 3 / edges(problem)[0]
    assert found["generalization_error"].values[-1] < ridge(problem, [0.0])["generalization_error"].item()


@pytest.mark.parametrize(
    ("problem", "flow"),
    [
        (TwoScale(samples=150, dimension=100, condition_number=1), GradientFlow()),
        (TwoScale(samples=150, dimension=100, condition_number=3), GradientFlow()),
        (TwoScale(samples=60, dimension=100, condition_number=1), GradientFlow()),
        (TwoScale(samples=100, dimension=100, condition_number=4), GradientFlow()),
        (TwoScale(samples=150, dimension=100, condition_number=1, noise=0.5), GradientFlow(l2=2.0)),
    ],
)  # fmt: skip
def test_monotone_curves_have_no_extrema(problem, flow):
    assert (np.diff(error_at(problem, np.geomspace(1e-2, 1e3, 300), flow)) < 1e-13).all()
    assert extrema(problem, flow).sizes["extremum"] == 0


@pytest.mark.parametrize("samples", [0.7, 1.0, 1.0 + 1e-6, 1.5])
@pytest.mark.parametrize("ratio", [1e3, 1e5])
def test_no_spurious_extrema_on_long_plateaus(samples, ratio):
    """Times to 1e12 and beyond: a fall, a rise and a fall, and with noise a rise again."""
    problem = TwoScale(
        samples=round(samples * 10**6), dimension=10**6, fast=5 * 10**5, condition_number=ratio, noise=0.3
    )
    assert extrema(problem)["kind"].values.tolist() == ["minimum", "maximum", "minimum"]
    quiet = TwoScale(**{**problem.model_dump(), "noise": 0.0})
    assert extrema(quiet)["kind"].values.tolist() == ["minimum", "maximum"]


def test_last_time():
    problem = TwoScale(samples=150, dimension=100, noise=0.2)
    every = extrema(problem)
    assert every.sizes["extremum"] == 3
    for count in (1, 2):
        between = math.sqrt(every["time"].values[count - 1] * every["time"].values[count])
        part = extrema(problem, last=between)
        assert part["time"].values == pytest.approx(every["time"].values[:count], rel=1e-9)
    for last in (0.0, -1.0, math.inf, math.nan, 1e-6):
        with pytest.raises(ParameterError, match="last"):
            extrema(problem, last=last)


def test_descent_is_refused():
    for function in (extrema, optimal_stopping):
        with pytest.raises(ParameterError, match=r"algorithm must be GradientFlow.* GradientDescent"):
            function(TwoScale(), GradientDescent())


# --- critical condition number


def cell(alpha, fraction, noise):
    return TwoScale(samples=round(100 * alpha), dimension=100, fast=round(100 * fraction), noise=noise)


CELLS = [
    (row["alpha"], fraction, row["noise"], threshold)
    for row in REFERENCE["kappa_c"]
    for fraction, threshold in zip(row["phi"], row["kappa_c"], strict=True)
]
QUICK = [
    (0.5, 0.5, 0.0), (0.5, 0.3, 1.0), (0.8, 0.7, 0.3), (1.0, 0.5, 0.3),
    (1.1, 0.7, 0.0), (1.5, 0.9, 0.3), (3.0, 0.7, 1.0), (5.0, 0.9, 0.0),
]  # fmt: skip


def check_cell(alpha, fraction, noise, threshold):
    """Half a unit of the six digits stored is 5e-6 at most; ours are good to 1e-7."""
    found = critical_condition_number(cell(alpha, fraction, noise))
    assert found == (math.inf if threshold is None else pytest.approx(threshold, rel=5.1e-6))


@pytest.mark.parametrize("case", [case for case in CELLS if case[:3] in QUICK], ids=str)
def test_critical_condition_number(case):
    check_cell(*case)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CELLS if case[:3] not in QUICK], ids=str)
def test_critical_condition_number_elsewhere(case):
    check_cell(*case)


@pytest.mark.parametrize(("alpha", "fraction", "noise"), [(0.8, 0.5, 0.3), (1.0, 0.7, 0.0), (1.5, 0.3, 1.0)])
def test_extrema_appear_at_the_threshold(alpha, fraction, noise):
    """None just below, a minimum and a maximum more just above; extrema this close are a pair in one grid spacing."""
    threshold = critical_condition_number(cell(alpha, fraction, noise))
    counts = [
        extrema(TwoScale(**{**cell(alpha, fraction, noise).model_dump(), "condition_number": threshold * factor}))
        .sizes["extremum"]
        for factor in (1 - 1e-6, 1 + 1e-6)
    ]  # fmt: skip
    assert counts[1] - counts[0] == 2


def test_threshold_depends_on_neither_the_problems_ratio_nor_its_size():
    first = critical_condition_number(TwoScale(samples=11, dimension=10, fast=7, condition_number=1))
    assert first == pytest.approx(
        critical_condition_number(TwoScale(samples=1100, dimension=1000, fast=700, condition_number=1e4)), rel=1e-12
    )


def test_largest_condition_number():
    problem = cell(1.1, 0.7, 0.0)  # 5.19985
    assert critical_condition_number(problem, largest=5.19) == math.inf
    assert critical_condition_number(problem, largest=5.21) == pytest.approx(5.19985, rel=1.1e-6)
    for largest in (1.0, math.nan, math.inf, -3.0):
        with pytest.raises(ParameterError, match="largest"):
            critical_condition_number(problem, largest=largest)
    with pytest.raises(ParameterError, match="TwoScale"):
        critical_condition_number(TeacherStudent())


def test_answers_say_where_they_come_from():
    problem, flow = TwoScale(samples=150, dimension=100, noise=0.2), GradientFlow(l2=1e-5)
    found = extrema(problem, flow)
    assert rebuild(found.attrs["problem"]) == problem
    assert rebuild(found.attrs["algorithm"]) == flow
