"""Sliders: their positions are allowed, written and read exactly, and never beyond what is declared."""

import math
from itertools import pairwise
from typing import get_args

import pytest

from dynamics.errors import ParameterError
from dynamics.parameters import Declared, declarations, parameter
from dynamics.schedules import Power
from figures.asking import Ensemble
from figures.explorer.tracks import NONE, choices_of, text_of, track_of
from tests.explorer.views import CLASSES, PARAMETERS


def optional(cls, name):
    return type(None) in get_args(cls.model_fields[name].annotation)


def whole(cls, name):
    annotation = cls.model_fields[name].annotation
    return annotation is int or int in get_args(annotation)


RANGED = [(cls, name) for cls, name in PARAMETERS if declarations(cls)[name].explore is not None]
EACH = pytest.mark.parametrize(("cls", "name"), RANGED, ids=lambda item: getattr(item, "label", item))
#: Parameters that several classes share once.
_ONCE = {(declarations(cls)[name], str(cls.model_fields[name].annotation)): (cls, name) for cls, name in RANGED}
EACH_ONCE = pytest.mark.parametrize(("cls", "name"), _ONCE.values(), ids=lambda item: getattr(item, "label", item))
#: Values of the other parameters that fit every position of one.
OTHERS = {
    ("two-scale", "dimension"): {"fast": 1},
    ("two-scale", "fast"): {"dimension": 1000},
    ("flow-times", "first"): {"last": 1e8},
    ("flow-times", "last"): {"first": 1e-4},
    ("power-law-random-features", "alpha"): {"beta": 1.0},
    ("power-law-random-features", "beta"): {"alpha": 1.0},
    ("power-law-random-features", "ambient_dimension"): {"dimension": 10},
    ("spectrum", ""): {"eigenvalues": (1.0,), "initial_error": (1.0,)},
    ("coupled-features", ""): {"strengths": (1.0,), "coupling": ((1.0,),)},
}


def made(cls, name, value):
    others = OTHERS.get((cls.label, ""), {}) | OTHERS.get((cls.label, name), {})
    return cls(**others | {name: value})


def numbers(track):
    return [value for value in track.values if value is not None]


def test_there_is_something_to_test():
    assert len(CLASSES) > 25
    assert len(RANGED) > 90


@EACH_ONCE
def test_positions(cls, name):
    item, track = declarations(cls)[name], track_of(cls, name)
    assert (track.values[0] is None) == optional(cls, name)
    values = numbers(track)
    assert None not in track.values[1:]
    assert (values[0], values[-1]) == item.explore == track.bounds
    assert all(one < other for one, other in pairwise(values))
    assert 5 <= len(values) <= 202
    assert {type(value) for value in values} == {int if whole(cls, name) else float}
    if item.scale == "log" and not whole(cls, name):  # even in the logarithm, after 0
        steps = [other / one for one, other in pairwise(values[1:])]
        assert max(steps) / min(steps) < 1.02
        assert len(values) >= 200
    if item.scale == "linear":
        steps = [other - one for one, other in pairwise(values)]
        assert max(steps) < 2.5 * min(steps)


def test_zero_comes_first_on_a_logarithmic_scale():
    logarithmic = [(cls, name) for cls, name in RANGED if declarations(cls)[name].explore[0] == 0.0]
    logarithmic = [(cls, name) for cls, name in logarithmic if declarations(cls)[name].scale == "log"]
    assert len(logarithmic) > 5
    for cls, name in logarithmic:
        values = numbers(track_of(cls, name))
        assert values[0] == 0.0
        assert values[1] == pytest.approx(1e-5 * values[-1])


@EACH
def test_every_position_is_allowed_and_read_back_exactly(cls, name):
    """A problem of two moons takes even samples only: the page says so at the odd ones."""
    track = track_of(cls, name)
    for value in track.values:
        if (cls.label, name) == ("two-moons", "samples") and value % 2:
            continue
        track.check(getattr(made(cls, name, value), name))
        text = text_of(value)
        if value is None:
            assert text == NONE
            continue
        read = getattr(made(cls, name, text), name)
        assert read == value
        assert type(read) is type(value)
        assert len(text) < 25


@EACH_ONCE
def test_nearest_is_the_inverse_on_positions_and_monotone(cls, name):
    track = track_of(cls, name)
    assert [track.nearest(value) for value in track.values] == list(range(len(track.values)))
    low, high = track.bounds
    values = numbers(track)
    between = sorted([*values, *((one + other) / 2 for one, other in pairwise(values))])
    places = [track.nearest(value) for value in (low - 1.0, *between, high + 1.0, 10.0 * high)]
    assert places == sorted(places)
    assert places[0] == len(track.values) - len(values)
    assert places[-1] == len(track.values) - 1
    for value, place in zip(between, places[1:], strict=False):
        assert abs(values.index(track.values[place]) - sum(one <= value for one in values)) <= 1


def test_nearest_of_what_is_no_number():
    track = track_of(CLASSES[-1], next(name for cls, name in RANGED if cls is CLASSES[-1]))
    assert [track.nearest(value) for value in (None, "abc", (1.0,), Power())] == [0] * 4


@EACH_ONCE
def test_numbers_beyond_the_ends_are_refused_by_name(cls, name):
    track = track_of(cls, name)
    low, high = track.bounds
    step = 1 if whole(cls, name) else 1e-9 * high
    for value in (low - step, high + step, math.inf, -math.inf, 10**400):
        with pytest.raises(ParameterError) as caught:
            track.check(value)
        words = str(caught.value)
        assert words.startswith(f"{name} ({declarations(cls)[name].meaning}) must be from {low:g} to {high:g} here")
        assert f"--{name.replace('_', '-')}" in words
        assert len(words) < 400
    with pytest.raises(ParameterError):
        track.check(math.nan)
    for value in (low, high, None, Power(), (1e300,)):
        track.check(value)


@EACH_ONCE
def test_the_start_widens_the_range(cls, name):
    low, high = declarations(cls)[name].explore
    kind = int if whole(cls, name) else float
    above = kind(3 * high + 7)
    assert track_of(cls, name, start=above).bounds == (low, above)
    if low > 1:
        assert track_of(cls, name, start=kind(1)).bounds == (1, high)
    if low > 0:
        widened = track_of(cls, name, start=kind(0))
        assert numbers(widened)[0] == 0
        assert [widened.nearest(value) for value in widened.values] == list(range(len(widened.values)))
    for start in (None, Power(), low, high):
        assert track_of(cls, name, start=start) == track_of(cls, name)


@pytest.mark.parametrize(
    ("explore", "scale"),
    [
        ((0.9, 1.009), "linear"), ((0.9, 1.009), "log"), ((1000, 1004), "linear"), ((1000, 1004), "log"),
        ((1000, 1236), "linear"), ((1000, 1236), "log"), ((1e-12, 3e-9), "log"), ((0.0, 1e-9), "linear"),
        ((0.0, 1e-9), "log"), ((-2.0, -1.5), "linear"),
    ],
)  # fmt: skip
def test_narrow_and_odd_ranges(explore, scale):
    """Rounding leads neither beyond the ends nor to equal positions."""
    kind = type(explore[0])

    class Narrow(Declared):
        size: kind = parameter(explore[0], symbol="x", meaning="a size", scale=scale, explore=explore)

    track = track_of(Narrow, "size")
    assert track.bounds == explore
    assert list(track.values) == sorted(set(track.values))
    assert [track.nearest(value) for value in track.values] == list(range(len(track.values)))


def test_no_page_can_ask_for_unbounded_work():
    """Every whole number that a page can set has a range, but the seed, on which no work depends."""
    free = {(cls.label, name) for cls, name in PARAMETERS if whole(cls, name) and track_of(cls, name) is None}
    assert free == {("ensemble", "seed"), ("ensemble", "workers")}  # workers are not on the page


def test_parameters_without_a_slider_are_vectors_coefficients_or_choices():
    for cls, name in PARAMETERS:
        if declarations(cls)[name].explore is None:
            assert track_of(cls, name) is None
            annotation = str(cls.model_fields[name].annotation)
            kinds = ("Sequence", "Schedule", "Literal")
            assert any(kind in annotation for kind in kinds) or cls is Ensemble, (cls, name)


def test_choices():
    found = {(cls.label, name): choices_of(cls, name) for cls, name in PARAMETERS if choices_of(cls, name)}
    assert found == {
        ("two-moons", "normalization"): ("none", "batch"), ("teacher-draws", "teacher"): ("sampled", "averaged"),
        ("precision", "precision"): ("single", "double"),
    }  # fmt: skip
    assert all(track_of(cls, name) is None for cls, name in PARAMETERS if choices_of(cls, name))
