"""Schedules: their values, their text, and what files keep of them and of all that can be declared."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import PowerLawTeacherStudent, TeacherStudent, TwoScale
from dynamics.errors import ParameterError
from dynamics.results import rebuild
from dynamics.schedules import Schedule, SoftplusDecay, StepTable, values_at

EPS = np.finfo(np.float64).eps
FEW = settings(deadline=None, derandomize=True, max_examples=50)


def test_softplus_decay_against_the_formula():
    """a_i = a_0 log(1 + e^(-r i)) / log 2; each of the four functions rounds once: a few units of the last digit.

    The rounding of r i <= 200 costs e^(-r i) another 200 units.
    """
    schedule = SoftplusDecay(initial=0.35, rate=0.02)
    steps = np.array([0, 1, 7, 100, 3000, 10_000])
    expected = [0.35 * math.log1p(math.exp(-0.02 * int(i))) / math.log(2) for i in steps]
    np.testing.assert_allclose(schedule.at(steps), expected, rtol=210 * EPS)


def test_softplus_decay_begins_and_ends_as_it_should():
    """At i = 0 it is a_0; its slope there is -a_0 r / (2 log 2); late it is a_0 e^(-r i) / log 2, then 0.

    The slope over one step is off by its curvature, r^2 a_0 / (8 log 2), and rounding, eps a_0; late the next term of
    log(1 + x) = x - x^2/2 is x/2 = e^(-30)/2 of the first, and the rounding of 30 costs 30 units.
    """
    schedule = SoftplusDecay(initial=0.35, rate=1e-5)
    first, second = schedule.at(np.array([0, 1]))
    assert first == pytest.approx(0.35, rel=2 * EPS)
    assert second - first == pytest.approx(-0.35e-5 / (2 * math.log(2)), abs=0.35e-10 / (8 * math.log(2)) + 2 * EPS)
    late = schedule.at(np.array([3_000_000]))[0]
    assert late == pytest.approx(0.35 * math.exp(-30) / math.log(2), rel=math.exp(-30) + 40 * EPS)
    assert schedule.at(np.array([10**9]))[0] == 0.0
    assert np.all(np.diff(schedule.at(np.arange(0, 10**6, 997))) < 0)


def test_step_table_against_a_search_by_hand():
    steps, values = [0, 3, 4, 1000], [0.5, 0.0, 2.5, 0.125]
    table = StepTable(steps=steps, values=values)
    for i in (0, 1, 2, 3, 4, 5, 999, 1000, 1001, 2**62):
        expected = next(v for s, v in zip(steps[::-1], values[::-1], strict=True) if s <= i)
        assert table.at(np.array([i])) == [expected]
    assert table.at(np.array([], dtype=np.int64)).size == 0


@st.composite
def tables(draw):
    """A table, and a piece of it of at least two steps with a place to cut it."""
    gaps = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    starts = [0, *np.cumsum(gaps).tolist()]
    values = draw(st.lists(st.floats(0, 9), min_size=len(starts), max_size=len(starts)))
    piece = draw(st.integers(0, len(starts) - 1))
    end = starts[piece + 1] if piece + 1 < len(starts) else starts[piece] + 9
    return starts, values, piece, draw(st.integers(starts[piece], end))


@FEW
@given(tables())
def test_splitting_a_piece_changes_nothing(case):
    starts, values, piece, cut = case
    whole = StepTable(steps=starts, values=values)
    steps = np.arange(starts[-1] + 12)
    if cut in starts:
        with pytest.raises(ParameterError, match="increase"):
            StepTable(steps=[*starts[: piece + 1], cut, *starts[piece + 1 :]], values=[*values, 0.0])
        return
    split = StepTable(
        steps=[*starts[: piece + 1], cut, *starts[piece + 1 :]], values=[*values[: piece + 1], *values[piece:]]
    )
    np.testing.assert_array_equal(split.at(steps), whole.at(steps))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps": [1], "values": [1]}, "start at 0"),
        ({"steps": [0, 5, 5], "values": [1, 2, 3]}, "increase"),
        ({"steps": [0, 5, 4], "values": [1, 2, 3]}, "increase"),
        ({"steps": [0, 1.5], "values": [1, 2]}, "whole"),
        ({"steps": [0, 5], "values": [1]}, r"values .* must be as many as the steps, 2; got \(1\.0,\)"),
        ({"steps": [], "values": []}, "steps .* must be a list of numbers; got"),
        ({"steps": [0, 5], "values": [1, -0.5]}, "values .* must be at least 0; got -0.5 at index 1"),
    ],
)
def test_tables_that_are_none(values, words):
    with pytest.raises(ParameterError, match=words):
        StepTable(**values)


def test_values_at_of_numbers_and_schedules():
    steps = np.array([0, 2, 9])
    np.testing.assert_array_equal(values_at(0.25, steps), [0.25, 0.25, 0.25])
    np.testing.assert_array_equal(values_at(StepTable(steps=[0, 2], values=[3, 4]), steps), [3, 4, 4])
    assert not GradientDescent(l2=0.1, learning_rate=0.2).scheduled
    for name in ("learning_rate", "l2", "output_penalty"):
        assert GradientDescent(**{name: StepTable()}).scheduled


def test_a_schedule_that_leaves_the_finite_range_is_refused():
    class Pole(Schedule):
        def at(self, steps):
            with np.errstate(divide="ignore"):
                return 1.0 / (steps - 3.0)

    with pytest.raises(ParameterError, match="finite at every step"):
        values_at(Pole(), np.arange(5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5", 0.5),
        (".5", 0.5),
        ("5e-1", 0.5),
        ("softplus-decay", SoftplusDecay()),
        ("softplus-decay:", SoftplusDecay()),
        ("softplus-decay:0.25", SoftplusDecay(initial=0.25)),
        ("softplus-decay:0.25,2e-3", SoftplusDecay(initial=0.25, rate=0.002)),
        ({"schedule": "softplus-decay", "rate": 0.5}, SoftplusDecay(rate=0.5)),
        ({"schedule": "step-table", "steps": [0, 5], "values": [1, 2]}, StepTable(steps=[0, 5], values=[1, 2])),
        ('{"schedule": "step-table", "steps": [0, 5], "values": [1, 2]}', StepTable(steps=[0, 5], values=[1, 2])),
        (np.float64(0.5), 0.5),
        (np.str_("0.5"), 0.5),
        ("step-table:0,5;1,.2", StepTable(steps=[0, 5], values=[1, 0.2])),
        (SoftplusDecay(rate=0.5), SoftplusDecay(rate=0.5)),
    ],
)
@pytest.mark.parametrize("name", ["learning_rate", "l2", "output_penalty"])
def test_forms_of_a_coefficient(name, text, expected):
    read = getattr(GradientDescent(**{name: text}), name)
    assert read == expected
    assert type(read) is type(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("softplus-decay:1,2,3", "at most 2 numbers for softplus-decay; got 'softplus-decay:1,2,3'"),
        ("softplus-decay:a", "initial .value at step 0. must be a number; got 'a'"),
        ("softplus-decay:1,0", "rate .decay rate per step. must be above 0; got 0"),
        ("nothing:1", "schedules softplus-decay, step-table, power, hyperbolic, running-mean; got 'nothing:1'"),
        ({"schedule": "nothing"}, "got {'schedule': 'nothing'}"),
        ({"schedule": [1]}, r"got {'schedule': \[1\]}"),
        ({"a": 1}, "schedules softplus-decay, step-table, power, hyperbolic, running-mean; got {'a': 1}"),
        ([0.5], r"schedules softplus-decay, step-table, power, hyperbolic, running-mean; got \[0\.5\]"),
        (None, "schedules softplus-decay, step-table, power, hyperbolic, running-mean; got None"),
        ({"schedule": "softplus-decay", "speed": 1}, "speed is not a parameter of SoftplusDecay"),
        (-0.5, "must be at least 0; got -0.5"),
    ],
)
def test_text_that_is_no_coefficient(text, words):
    with pytest.raises(ParameterError, match=words) as caught:
        GradientDescent(output_penalty=text)
    assert str(caught.value).startswith("output_penalty (penalty on the squared outputs (Q-regularisation))")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["l2", "output_penalty"])
def test_only_a_step_size_may_be_beyond_all_bounds(name):
    """A step that is too large is a divergence, to be seen as such; a penalty that overflows is a mistake."""
    assert GradientDescent(learning_rate=1e200).learning_rate == 1e200
    assert getattr(GradientDescent(**{name: 1e50}), name) == 1e50
    with pytest.raises(ParameterError, match=rf"^{name} .* must be at most 1e\+50; got 1e\+51$"):
        GradientDescent(**{name: 1e51})
    with pytest.raises(ParameterError, match=r"^learning_rate .* must be at least 0; got -1$"):
        GradientDescent(learning_rate=-1)


DECLARED = [
    TwoScale(),
    TwoScale(samples=7, dimension=3, noise=1 / 3, fast=0, condition_number=1e5 / 7),
    TeacherStudent(),
    TeacherStudent(samples=9, variances=[1 / 3, 1e-17], fractions=[0.1, 0.9], teacher_power=[0.0, 2 / 7]),
    PowerLawTeacherStudent(),
    PowerLawTeacherStudent(dimension=10**5, variance_exponent=1 / 3, teacher_exponent=2.5),
    GradientFlow(),
    GradientFlow(l2=1 / 3),
    GradientFlow(rates=[0.1, 1e3]),
    GradientDescent(),
    GradientDescent(rates=[0.1, 1e3], learning_rate=0.7, output_penalty=SoftplusDecay(initial=1 / 3, rate=1e-7)),
    GradientDescent(learning_rate=StepTable(steps=[0, 10**15], values=[1 / 3, 0.1]), l2=SoftplusDecay()),
    SoftplusDecay(),
    SoftplusDecay(initial=1 / 3, rate=1e-300),
    StepTable(),
    StepTable(steps=[0, 10**15], values=[5e-324, 1e50]),
]


@pytest.mark.parametrize("declared", DECLARED, ids=lambda item: type(item).__name__)
def test_json_round_trip_is_exact(declared):
    back = rebuild(declared.to_json())
    assert back == declared
    assert type(back) is type(declared)
    assert back.to_json() == declared.to_json()


def test_objects_that_differ_have_texts_that_differ():
    assert len({declared.to_json() for declared in DECLARED}) == len(DECLARED)


@FEW
@given(st.floats(0, 1e50), st.floats(1e-50, 1e50), st.integers(1, 2**53))
def test_json_round_trip_of_any_numbers(initial, rate, samples):
    algorithm = GradientDescent(l2=initial, output_penalty=SoftplusDecay(initial=initial, rate=rate))
    assert rebuild(algorithm.to_json()) == algorithm
    problem = TeacherStudent(samples=samples, variances=[rate])
    assert rebuild(problem.to_json()) == problem
