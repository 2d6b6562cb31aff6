"""What is filled in: read as begun, restored from an address, and anything else refused in words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import TeacherStudent, TwoScale
from dynamics.errors import ParameterError
from figures.asking import Ensemble
from figures.explored import begin
from figures.explorer.form import CHOICES, Form
from figures.explorer.tracks import text_of
from figures.phenomena import phenomena
from simulations.double_descent import TeacherDraws
from tests.explorer.views import VIEWS, double, filled, pairs, presets

PAIRS = list(pairs())
EVERY_PAIR = pytest.mark.parametrize(("name", "problem", "algorithm"), PAIRS)
EVERY_PHENOMENON = pytest.mark.parametrize("name", phenomena())


def chosen(name, problem, algorithm):
    form = Form(begin(name))
    form.choose("problem", problem)
    form.choose("algorithm", algorithm)
    return form


def attempt(form):
    """What a form reads, or None and why it does not."""
    try:
        return form.read(), ""
    except ParameterError as error:
        return None, str(error)


def test_there_is_something_to_test():
    assert len(PAIRS) > 25
    assert {name for name, _, _ in PAIRS} == set(phenomena())


@EVERY_PAIR
def test_names_never_collide(name, problem, algorithm):
    form = chosen(name, problem, algorithm)
    names = [field for _, fields in form.groups().values() for field in fields]
    assert len(set(names)) == len(names)
    assert set(form.texts) == set(names)
    assert not {*CHOICES, "kept", "phenomenon", "preset"} & set(names)
    assert set(form.query()) == {*CHOICES, *names}
    assert all(name.isidentifier() and name.islower() for name in names)
    assert "workers" not in names


@EVERY_PAIR
def test_a_fresh_form_reads_as_begun(name, problem, algorithm):
    """What is chosen is allowed at once, and says what was chosen."""
    form = chosen(name, problem, algorithm)
    shown = form.read()
    assert (shown.question.problem.label, shown.question.algorithm.label) == (problem, algorithm)
    assert form.read() == shown
    assert form.chosen["problem"] == problem
    assert form.chosen["algorithm"] == algorithm
    begun = begin(name, type(shown.question.problem))
    assert shown.question.problem == begun.question.problem
    assert Form(shown).read() == shown
    for field, text in form.texts.items():  # and the slider of each parameter reaches it
        track, value = form.track(field), _of(shown, field)
        if track is not None and isinstance(value, (int, float)):
            assert track.bounds[0] <= value <= track.bounds[1]
        assert text == text_of(value)


def _of(shown, field):
    asked = shown.question
    parts = (asked.problem, asked.algorithm, shown.times, asked.ensemble, asked.options)
    return next(getattr(part, field) for part in parts if field in type(part).model_fields)


@EVERY_PHENOMENON
def test_the_first_view(name):
    begun = begin(name)
    assert Form(begun).read() == filled(begun)


@pytest.mark.parametrize("key", VIEWS)
def test_views_are_read_and_restored_exactly(key):
    shown = VIEWS[key]
    assert Form(shown).read() == filled(shown)
    other = Form(shown)
    assert other.restore(Form(shown).query()) == []
    assert other.read() == filled(shown)


@pytest.mark.parametrize("shown", list(presets()))
def test_what_phenomena_offer_can_be_filled_in_and_addressed(shown):
    """On the page as it begins, by its menu and by an address, without a word."""
    begun = begin(shown.question.phenomenon.name)
    form, other = Form(begun), Form(begun)
    form.fill(shown)
    assert form.read() == filled(shown)
    assert other.restore(form.query()) == []
    assert other.read() == filled(shown)
    assert other.query() == form.query()


def test_a_start_from_the_command_line_widens_all_ranges():
    start = double(
        TwoScale(samples=5000, dimension=3000, fast=2000, noise=7.5), GradientDescent(learning_rate=2.5, l2=30.0),
        ensemble=Ensemble(runs=5000, seed=10**12, workers=1), options=TeacherDraws(teachers=500, test_samples=10**5),
        times=None,
    )  # fmt: skip
    form = Form(start)
    assert form.read() == filled(start)  # the threads, too
    assert form.track("teachers").bounds == (1, 500)
    assert form.track("noise").bounds == (0.0, 7.5)
    other = Form(start)
    assert other.restore(form.query()) == []
    assert other.read() == filled(start)
    narrow = Form(begin("double-descent"))
    narrow.type("runs", "5000")
    with pytest.raises(ParameterError, match=r"runs .* must be from 2 to 1000 here; got 5000"):
        narrow.read()


def test_a_vector_that_is_too_long_to_type_stays():
    """That of the start is in the address, too, and nothing is said about it."""
    variances = tuple(1 / (3 + k) for k in range(60))
    form = Form(double(TeacherStudent(variances=variances)))
    assert len(form.texts["variances"]) > 400
    other = Form(form.start)
    assert other.restore(form.query() | {"noise": "0.5"}) == []
    assert other.read().question.problem == TeacherStudent(variances=variances, noise=0.5)


# --- all sliders


@EVERY_PAIR
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_position_of_all_sliders_is_allowed_or_refused_by_name_and_can_be_addressed(name, problem, algorithm, data):
    form = chosen(name, problem, algorithm)
    for field in form.texts:
        if track := form.track(field):
            form.type(field, text_of(data.draw(st.sampled_from(track.values), field)))
    shown, refusal = attempt(form)
    if shown is None:  # they must fit each other
        assert refusal.split(" ")[0] in form.texts
        return
    other = Form(begin(name))
    assert other.restore(form.query()) == []
    assert other.read() == shown
    assert other.query() == form.query()


# --- an address that does not fit


def test_out_of_range_is_moved_to_the_nearer_end_and_said():
    form = Form(begin("double-descent"))
    notices = form.restore({"noise": "7", "samples": "1", "condition_number": "-inf", "l2": "1e999", "count": "1e400"})
    assert notices == [
        "noise = '7' of the address is out of range; moved to 1",
        "samples = '1' of the address is out of range; moved to 10",
        "condition_number = '-inf' of the address is out of range; moved to 1",
        "l2 = '1e999' of the address is out of range; moved to 1",
        "count = '1e400' of the address is out of range; moved to 500",
    ] or any("fast" in notice for notice in notices)
    shown = form.read()
    assert (shown.question.problem.noise, shown.question.problem.samples) == (1.0, 10)
    assert (shown.question.problem.condition_number, shown.question.algorithm.l2, shown.times.count) == (1.0, 1.0, 500)
    assert form.texts["noise"] == "1"


def test_ends_of_large_whole_ranges_are_read():
    form = Form(begin("scaling-laws"))
    assert len(form.restore({"dimension": "1e30", "ambient_dimension": "1e31", "last": "1e9"})) == 3
    shown = form.read()
    assert (shown.question.problem.dimension, shown.question.problem.ambient_dimension) == (10**9, 10**12)
    assert shown.times.last == 10**6


@pytest.mark.parametrize("order", [1, -1])
def test_nonsense_is_refused_by_name_and_nothing_else_is_lost(order):
    """Not even what must be changed together: 20 dimensions and 14 fast ones, from 100 and 70."""
    good = {"samples": "22", "dimension": "20", "fast": "14", "runs": "7", "last": "1e4", "l2": "0.25"}
    bad = {"noise": "loud", "condition_number": "nan", "count": "12.5", "seed": "-1", "rates": "1,2,", "nosuch": "1"}
    query = dict(list({**good, **bad, "algorithm": "gradient-flow", "method": "finite"}.items())[::order])
    form = Form(begin("double-descent"))
    before = form.read()
    notices = form.restore(query)
    assert sorted(notice.split(": ")[1].split(" ")[0] for notice in notices) == [
        "condition_number", "count", "noise", "parameter", "rates", "seed",
    ]  # fmt: skip
    assert all(notice.startswith("not taken from the address: ") for notice in notices)
    assert "nosuch" in next(notice for notice in notices if "parameter must" in notice)
    shown = form.read()
    asked = shown.question.problem
    assert (asked.samples, asked.dimension, asked.fast) == (22, 20, 14)
    assert asked.noise == before.question.problem.noise
    assert (shown.question.ensemble.runs, shown.times.last, shown.question.algorithm.l2) == (7, 1e4, 0.25)
    assert shown.question.theory_method == "finite"


def test_vectors_that_fit_each_other_only():
    form = Form(begin("double-descent", TeacherStudent, GradientFlow()))
    query = {"variances": "1,0.1,0.01,1e-3", "fractions": "0.4,0.3,0.2,0.1", "teacher_power": "none", "noise": "x"}
    notices = form.restore(query)
    assert len(notices) == 1
    assert "noise" in notices[0]
    assert form.read().question.problem.variances == (1.0, 0.1, 0.01, 1e-3)


def test_what_does_not_fit_the_rest_is_left_as_it_was():
    form = Form(begin("double-descent"))
    before = form.read()
    notices = form.restore({"fast": "900", "noise": "0.5"})
    assert len(notices) == 1
    assert notices[0].startswith("not taken from the address: fast (number of fast feature directions) must be at most")
    assert form.read().question.problem == before.question.problem.model_copy(update={"noise": 0.5})
    notices = form.restore({"dimension": "10"})  # what the address does not name does not fit
    assert len(notices) == 1
    assert "fast" in notices[0]
    assert form.read().question.problem.dimension == before.question.problem.dimension


@pytest.mark.parametrize("choice", CHOICES)
def test_unknown_choices_of_an_address(choice):
    form = Form(begin("double-descent"))
    before = form.read()
    (notice,) = form.restore({choice: "perpetual", "noise": "0.5"})
    assert notice.startswith(f"not taken from the address: {choice} must be one of ")
    assert form.read().question.problem.noise == 0.5 != before.question.problem.noise
    assert form.chosen == Form(begin("double-descent")).chosen


def test_an_empty_address_changes_nothing():
    form = Form(begin("scaling-laws"))
    before = form.read()
    assert form.restore({}) == []
    assert form.read() == before
