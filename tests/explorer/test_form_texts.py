"""Texts that are typed or come with an address, and choices: read, or refused in words."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dynamics.algorithms import SGD, GeneralMomentum, GradientDescent
from dynamics.double_descent import PowerLawTeacherStudent, TeacherStudent, TwoScale
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import CoupledFeatures
from dynamics.scaling_laws import PowerLawSpectrum
from dynamics.schedules import Hyperbolic, Power, SoftplusDecay, StepTable
from figures.asking import Ensemble
from figures.explored import FlowTimes, begin
from figures.explorer.form import CHOICES, Form
from figures.phenomena import phenomena
from simulations.double_descent import TeacherDraws
from tests.explorer.views import double, filled, pairs, scaling

PAIRS = list(pairs())


def _of(shown, field):
    asked = shown.question
    parts = (asked.problem, asked.algorithm, shown.times, asked.ensemble, asked.options)
    return next(getattr(part, field) for part in parts if field in type(part).model_fields)


def attempt(form):
    """What a form reads, or None and why it does not."""
    try:
        return form.read(), ""
    except ParameterError as error:
        return None, str(error)


@pytest.mark.parametrize(
    ("start", "name", "text", "value"),
    [
        (double(), "noise", " 0.25 ", 0.25), (double(), "noise", "1e-3", 1e-3), (double(), "samples", "1e2", 100),
        (double(), "samples", "12.0", 12), (double(), "rates", "1,0.01", (1.0, 0.01)), (double(), "rates", "", None),
        (double(), "rates", "[1, 0.5]", (1.0, 0.5)), (double(), "rates", "none", None),
        (double(), "rates", "2", (2.0,)),
        (double(), "test_samples", "none", None), (double(), "test_samples", "99", 99),
        (double(), "teacher", "averaged", "averaged"), (double(), "noise", "١", 1.0), (double(), "noise", "0_1", 1.0),
        (double(TeacherStudent()), "variances", "1,0.1", (1.0, 0.1)),
        (double(TeacherStudent()), "fractions", "0.25, 0.75", (0.25, 0.75)),
        (double(algorithm=GradientDescent()), "l2", "power:0.01,-0.5", Power(scale=0.01, exponent=-0.5)),
        (double(algorithm=GradientDescent()), "learning_rate", "none", None),
        (double(algorithm=GradientDescent()), "learning_rate", "0.5", 0.5),
        (double(algorithm=GradientDescent()), "output_penalty", "step-table:0,10;0.3,0.1",
         StepTable(steps=(0, 10), values=(0.3, 0.1))),
        (double(algorithm=GradientDescent()), "output_penalty",
         '{"schedule": "softplus-decay", "initial": 0.6, "rate": 0.001}', SoftplusDecay()),
        (scaling(algorithm=GeneralMomentum()), "decay", "hyperbolic:5", Hyperbolic(offset=5.0)),
        (scaling(algorithm=GeneralMomentum()), "momentum_rate", "0", 0.0),
        (scaling(PowerLawSpectrum()), "floor", "0", 0.0), (scaling(algorithm=SGD()), "learning_rate", "", None),
        (begin("gradient-starvation", CoupledFeatures(strengths=(1.0,), coupling=((1.0,),))), "coupling",
         "[[0.6], [0.8]]", ((0.6,), (0.8,))),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)  # fmt: skip
def test_texts_that_are_read(start, name, text, value):
    form = Form(start)
    form.type(name, text)
    assert _of(form.read(), name) == value
    assert type(_of(form.read(), name)) is type(value)


NONSENSE = [
    "nan", "inf", "-inf", "1e999", "-1", "9" * 390, "1e-400000", "abc", "\0", "1\0", "'", '"', "';drop table", "<b>",
    "__import__('os')", "__import__('os').system('true')", "{}", "[]", "[[[[", '{"schedule": "power"',
    '{"schedule": []}', '{"schedule": "power", "self": 1}', "power:", "power:nan", "power:1,2,3", "true", "None",
    "1;2", "0x10", "1 2", "１２３４５６７", "½", "\ud800", "\u202e1", "1,,2", ",", "NaN,1", "[1e400]", "null", "[null]",
    "[" * 200 + "]" * 200, '{"a": ' * 50 + "1" + "}" * 50, "%00", "\n", "1\n2", "-0",
]  # fmt: skip
FUZZED = [
    double(), double(TeacherStudent(), GradientDescent()), scaling(algorithm=GeneralMomentum()),
    begin("gradient-starvation"),
]  # fmt: skip


@pytest.mark.parametrize("text", NONSENSE, ids=lambda text: text[:12].encode("ascii", "replace").decode())
def test_nonsense_is_refused_in_words_or_harmless(text):
    for start in FUZZED:
        form = Form(start)
        for name in form.texts:
            form = Form(start)
            form.type(name, text)
            shown, refusal = attempt(form)
            if shown is None:
                assert refusal.startswith(name)
                assert len(refusal) < 500
                assert not {"\n", "\0"} & set(refusal)
            else:
                assert _of(shown, name) == _of(Form(shown).read(), name)
            restored = Form(start)
            notices = restored.restore({name: text})
            assert all(name in notice for notice in notices)
            restored.read()


@settings(max_examples=150, deadline=None)
@given(
    start=st.sampled_from(FUZZED), place=st.integers(0, 20),
    text=st.one_of(st.text(max_size=30), st.text("0123456789.,-+e[]{}:;\"'none", max_size=25)),
)  # fmt: skip
@example(start=FUZZED[0], place=0, text="1" * 401)
def test_only_parameter_errors_come_of_any_text(start, place, text):
    names = list(Form(start).texts)
    form, name = Form(start), names[place % len(names)]
    if len(text) <= 400:
        form.type(name, text)
        shown, refusal = attempt(form)
        assert shown is not None or refusal.startswith(name)
    form.fill(start)
    for notice in form.restore({name: text, text: text}):
        assert isinstance(notice, str)
    shown = form.read()
    assert Form(shown).read() == shown


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(phenomena()),
    query=st.dictionaries(
        st.sampled_from(
            [*CHOICES, "noise", "samples", "dimension", "fast", "l2", "runs", "seed", "last", "count", "x"]
        ),
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(["1", "1e9", "0", "nan", *sorted({word for pair in PAIRS for word in pair})]),
        ),
        max_size=6,
    ),
)
def test_any_address_leaves_a_form_that_can_be_read(name, query):
    form = Form(begin(name))
    notices = form.restore(query)
    shown = form.read()
    again = Form(begin(name))
    assert again.restore(form.query()) == []
    assert again.read() == shown
    assert len(notices) <= 2 * len(query)


def test_too_long_and_unknown():
    form = Form(double())
    form.type("noise", "0" * 399 + "1")
    assert form.read().question.problem.noise == 1.0
    with pytest.raises(ParameterError, match="noise must be given in at most 400 characters; got 401"):
        form.type("noise", "1" * 401)
    with pytest.raises(ParameterError, match=r"parameter must be one of .* got 'nose' \(did you mean noise\?\)"):
        form.type("nose", "1")
    with pytest.raises(ParameterError, match="parameter must be one of"):
        form.type("workers", "1")
    assert form.texts["noise"] == "0" * 399 + "1"
    (notice,) = form.restore({"noise": "1" * 10**6})
    assert len(notice) < 200


def test_a_refused_text_can_be_corrected():
    """The view stays what it was, and so does everything that was typed."""
    form = Form(double())
    before = form.read()
    form.type("noise", "loud")
    form.type("samples", "31")
    with pytest.raises(ParameterError, match="noise"):
        form.read()
    assert form.texts["noise"] == "loud"
    form.type("noise", "0.5")
    expected = before.question.problem.model_copy(update={"noise": 0.5, "samples": 31})
    assert form.read().question.problem == expected


def test_schedules_have_no_range_and_numbers_have():
    form = Form(double(algorithm=GradientDescent()))
    form.type("l2", "power:30,-0.5")
    assert form.read().question.algorithm.l2 == Power(scale=30.0, exponent=-0.5)
    form.type("l2", "30")
    with pytest.raises(ParameterError, match=r"l2 .* must be from 0 to 1 here; got 30"):
        form.read()


def test_times_must_be_in_order():
    """Where the ranges of the first and the last time overlap."""
    form = Form(double(times=FlowTimes(first=20.0)))
    form.type("first", "15")
    form.type("last", "12")
    with pytest.raises(ParameterError, match=r"first .* must be below last = 12; got 15"):
        form.read()


# --- choices


def test_choosing_an_algorithm_keeps_all_the_rest():
    start = double(
        TwoScale(samples=33, dimension=22, fast=11), method="published", ensemble=Ensemble(runs=9, seed=8),
        options=TeacherDraws(teacher="averaged"),
    )  # fmt: skip
    form = Form(start)
    form.choose("simulation", "literal")
    form.choose("algorithm", "gradient-descent")
    shown = form.read()
    assert shown.question.algorithm == GradientDescent()
    asked = start.question
    assert shown.question.problem == asked.problem
    assert shown.question.ensemble == asked.ensemble
    assert shown.question.options == asked.options
    assert (shown.question.method, shown.question.simulation) == ("published", "literal")
    assert shown.times != start.times  # steps are no flow times
    form.type("last", "77")
    times = form.read().times
    form.choose("algorithm", "gradient-descent")
    assert form.read().times == times


def test_choosing_a_problem_takes_all_that_suits_it():
    form = Form(double(ensemble=Ensemble(runs=9, seed=8)))
    form.choose("problem", "power-law-teacher-student")
    shown = form.read()
    begun = begin("double-descent", PowerLawTeacherStudent)
    assert shown == replace(filled(begun), question=replace(filled(begun).question, ensemble=Ensemble(runs=9, seed=8)))


def test_choosing_methods():
    form = Form(scaling())
    form.choose("method", "recursion")
    form.choose("simulation", "grouped")
    assert (form.read().question.theory_method, form.read().question.simulation_method) == ("recursion", "grouped")
    assert form.options("method") == form.phenomenon.analytic.METHODS
    assert form.options("simulation") == form.phenomenon.simulations.METHODS


@pytest.mark.parametrize(
    ("choice", "name"),
    [("problem", "two-moons"), ("algorithm", "adam"), ("method", "exakt"), ("simulation", "exact"), ("colour", "red"),
     ("method", ""), ("problem", None), ("algorithm", "\0")],
)  # fmt: skip
def test_choices_that_do_not_exist(choice, name):
    form = Form(double())
    before = form.query()
    with pytest.raises(ParameterError, match=f"{'choice' if choice == 'colour' else choice} must be one of"):
        form.choose(choice, name)
    assert form.query() == before


def test_algorithms_are_those_that_fit_the_problem():
    form = Form(begin("gradient-starvation"))
    assert "adam" not in form.options("algorithm")
    form.choose("problem", "two-moons")
    assert form.options("algorithm") == ("momentum-descent", "adam")
