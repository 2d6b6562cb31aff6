"""The picture of a screen shows the numbers of the screen."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from dynamics.algorithms import GradientDescent
from dynamics.double_descent import TeacherStudent
from dynamics.schedules import SoftplusDecay
from figures import compare
from figures.asking import Ensemble
from figures.explored import FlowTimes, begin
from figures.explorer.controller import MOST_KEPT, Screen
from figures.explorer.curves import bands, curves, deviations
from figures.explorer.naming import difference
from figures.explorer.picture import KEPT_STYLES, picture
from figures.explorer.streaming import stream, theory_of
from figures.style import COLOURS, picture_bytes
from tests.made_up import simulated, theory

BOTH = ("generalization_error", "training_error")
SHOWN = begin("double-descent", times=FlowTimes(first=0.1, last=1e4, count=60), ensemble=Ensemble(runs=12))


def with_(shown, part, **values):
    changed = getattr(shown.question, part).model_copy(update=values)
    return replace(shown, question=replace(shown.question, **{part: changed}))


@pytest.fixture(scope="module")
def screen():
    kept = [with_(SHOWN, "problem", condition_number=5.0), with_(SHOWN, "algorithm", l2=0.1)]
    *_, last = stream(SHOWN, threading.Event())
    answer = theory_of(SHOWN)
    return Screen(
        shown=SHOWN, theory=answer, seen="It costs 5 $ or $ 6.", runs=last.runs, comparison=compare(answer, last.runs),
        kept=tuple((one, theory_of(one)) for one in kept),
    )  # fmt: skip


def drawn(axes, style="-"):
    return [line for line in axes.lines if line.get_linestyle() == style and line.get_marker() == "None"]


def points(axes):
    return [line for line in axes.lines if line.get_marker() == "o"]


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def caption(figure):
    """The caption without line breaks."""
    return " ".join(figure.get_supxlabel().split())


def check_lines(lines, answer, colours):
    for line, one, colour in zip(lines, curves(answer, BOTH), colours, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), one.time)
        np.testing.assert_array_equal(line.get_ydata(), one.value)
        assert line.get_color() == colour


def test_above_are_theory_kept_theory_and_the_runs(screen):
    top, _ = picture(screen, BOTH, logarithmic=False).axes
    check_lines(drawn(top), screen.theory, COLOURS[:2])
    for style, (_, answer) in zip(("--", ":"), screen.kept, strict=True):
        check_lines(drawn(top, style), answer, COLOURS[:2])
    found = bands(screen.runs, BOTH)
    for line, area, band, colour in zip(points(top), top.collections, found, COLOURS[:2], strict=True):
        np.testing.assert_array_equal(line.get_ydata(), band.mean[::2])
        assert line.get_color() == colour
        edges = area.get_paths()[0].vertices
        for time, low, high in zip(band.time, band.low, band.high, strict=True):
            y = edges[edges[:, 0] == time, 1]
            assert (y.min(), y.max()) == (low, high)
    assert top.get_xscale() == "log"
    assert top.get_yscale() == "linear"


def test_the_band_is_two_standard_errors_wide(screen):
    top, _ = picture(screen, BOTH[:1], logarithmic=False).axes
    values = screen.runs[BOTH[0]].transpose("run", "time").values
    error = values.std(axis=0, ddof=1) / np.sqrt(12)
    edges = top.collections[0].get_paths()[0].vertices
    first = edges[edges[:, 0] == screen.runs["time"].values[0], 1]
    assert np.ptp(first) == pytest.approx(4.0 * error[0])


def test_below_are_deviations_between_their_limits(screen):
    _, bottom = picture(screen, BOTH, logarithmic=True).axes
    found = deviations(screen.comparison, BOTH)
    for at, (one, colour) in enumerate(zip(found, COLOURS, strict=False)):
        for line, values in zip(bottom.lines[3 * at : 3 * at + 3], one[2:], strict=True):
            np.testing.assert_array_equal(line.get_xdata(), one.time)
            np.testing.assert_array_equal(line.get_ydata(), values)
            assert line.get_color() == colour
    assert len(drawn(bottom, ":")) == 2 * len(found)
    assert bottom.get_yscale() == "symlog"
    assert "standard errors" in bottom.get_ylabel()
    assert bottom.get_xlabel() == r"flow time $\tau$"


def test_words_say_what_is_drawn(screen):
    figure = picture(screen, BOTH, logarithmic=False)
    top, _ = figure.axes
    words = [one.name for one in curves(screen.theory, BOTH)]
    assert legend(top) == [*words, "condition_number 5", "l2 0.1"]
    assert top.get_title().endswith(f": {screen.comparison.attrs['verdict']}")
    written = caption(figure)
    for part in (r"$\kappa = 50$", r"$\lambda = 0$", "two-scale", "exact", "eigenbasis", r"5 \$ or \$ 6.", "12 runs"):
        assert part in written
    assert "left out" not in written


def test_without_comparison_there_is_one_panel_and_the_number_of_runs(screen):
    part = replace(screen, comparison=None, runs=screen.runs.isel(run=slice(0, 5)))
    (top,) = picture(part, BOTH, logarithmic=False).axes
    assert top.get_title().endswith(": 5 of 12 runs")
    assert top.get_xlabel() == r"flow time $\tau$"
    (top,) = picture(replace(part, runs=None), BOTH, logarithmic=False).axes
    assert not points(top)
    one = replace(part, runs=screen.runs.isel(run=[0]))
    picture_bytes(picture(one, BOTH, logarithmic=True), "png")  # a band without a width


def test_what_has_no_spread_leaves_the_lower_panel_out():
    answer, runs = theory([1.0, 2.0, 3.0]), simulated([[1.0, 2.0, 3.0]] * 3, outcome=["finished"] * 3)
    screen = Screen(shown=SHOWN, theory=answer, runs=runs, comparison=compare(answer, runs))
    assert len(picture(screen, ("alignment",), logarithmic=False).axes) == 1


def test_a_logarithmic_axis_leaves_out_what_is_not_above_zero_and_says_so():
    runs = simulated([[1.0, -3.0, 4.0], [1.5, 1.0, 4.0]], outcome=["finished"] * 2)
    screen = Screen(shown=SHOWN, theory=theory([0.0, 2.0, 3.0]), runs=runs, kept=((SHOWN, theory([1.0, 2.0, 3.0])),))
    figure = picture(screen, ("alignment",), logarithmic=True)
    (top,) = figure.axes
    np.testing.assert_array_equal(drawn(top)[0].get_ydata(), [np.nan, 2.0, 3.0])
    np.testing.assert_array_equal(points(top)[0].get_ydata(), [1.25, np.nan, 4.0])
    assert top.get_yscale() == "log"
    assert top.get_ylim()[0] > 0.01
    assert "2 curves have values that are not above 0" in caption(figure)
    picture_bytes(figure, "png")
    linear = picture(screen, ("alignment",), logarithmic=False)
    np.testing.assert_array_equal(drawn(linear.axes[0])[0].get_ydata(), [0.0, 2.0, 3.0])
    assert "above 0" not in caption(linear)


def test_curves_that_are_zero_can_be_drawn():
    for values in ([0.0] * 3, [np.nan] * 3, [1.0, np.inf, 1.0]):
        figure = picture(Screen(shown=SHOWN, theory=theory(values)), ("alignment",), logarithmic=True)
        picture_bytes(figure, "png")
    assert "1 curve has" not in caption(figure)


def test_without_theory_the_runs_are_drawn_and_the_caption_says_why(screen):
    part = replace(screen, theory="it costs $ 5", comparison=None, kept=((screen.kept[0][0], "not $ either"),))
    figure = picture(part, BOTH, logarithmic=False)
    (top,) = figure.axes
    assert not drawn(top)
    assert [line.get_color() for line in points(top)] == list(COLOURS[:2])
    assert legend(top) == [one.name for one in curves(screen.theory, BOTH)]
    assert r"No theory: it costs \$ 5" in caption(figure)
    assert r"No theory for condition_number 5: not \$ either" in caption(figure)
    picture_bytes(figure, "png")


@pytest.mark.parametrize("empty", [Screen(), Screen(shown=SHOWN, theory="none"), Screen(shown=SHOWN)])
def test_nothing_is_said_in_a_sentence(empty):
    figure = picture(empty, BOTH, logarithmic=False)
    (top,) = figure.axes
    assert [text.get_text() for text in top.texts] == ["There are no curves to be seen."]
    assert not top.lines
    assert caption(figure)


def test_every_kept_view_has_lines_of_its_own(screen):
    assert len(KEPT_STYLES) == len(set(KEPT_STYLES)) == MOST_KEPT
    kept = tuple((with_(SHOWN, "problem", condition_number=2.0 + at), screen.theory) for at in range(MOST_KEPT))
    (top,) = picture(replace(screen, kept=kept, runs=None, comparison=None), BOTH[:1], logarithmic=False).axes
    assert len(top.lines) == 1 + MOST_KEPT
    patterns = {str(line._unscaled_dash_pattern) for line in top.lines}
    assert len(patterns) == 1 + MOST_KEPT


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_screen_is_the_same_file(screen, kind):
    first, second = (picture_bytes(picture(screen, BOTH, logarithmic=True), kind) for _ in range(2))
    assert first == second


def test_the_difference_of_views_is_what_changes_theory():
    assert difference(SHOWN, SHOWN) == "as shown"
    assert difference(SHOWN, with_(SHOWN, "ensemble", runs=3, seed=7)) == "as shown"
    assert (
        difference(SHOWN, with_(SHOWN, "problem", condition_number=5.0, noise=0.25)) == "noise 0.25, condition_number 5"
    )
    published = replace(SHOWN, question=replace(SHOWN.question, method="published"))
    assert difference(SHOWN, published) == "method published"
    assert difference(published, SHOWN) == "method exact"
    assert difference(SHOWN, replace(SHOWN, times=FlowTimes(first=0.1, last=10.0, count=60))) == "last 10"


def test_another_class_is_named_with_what_is_special_about_it():
    problem = TeacherStudent(samples=SHOWN.question.problem.samples, dimension=100, variances=(1.0,) * 6, noise=0.2)
    descent = GradientDescent(learning_rate=0.5, output_penalty=SoftplusDecay(initial=0.5, rate=0.01))
    said = difference(SHOWN, begin("double-descent", problem, descent))
    assert said == (
        "teacher-student, variances 1,1,...,1, gradient-descent, learning_rate 0.5, "
        "output_penalty softplus-decay (initial 0.5, rate 0.01)"
    )
    shown = begin("scaling-laws")
    assert difference(shown, begin("scaling-laws", algorithm=algorithm_of("heavy-ball", momentum=0.5))) == (
        "heavy-ball, momentum 0.5"
    )
    assert difference(begin("scaling-laws", algorithm=algorithm_of("sgd", learning_rate=0.1)), shown) == (
        "learning_rate none"
    )


def algorithm_of(label, **values):
    offered = begin("scaling-laws").question.phenomenon.dynamics.ALGORITHMS
    return next(cls for cls in offered if cls.label == label)(**values)


def test_a_seed_matters_where_theory_answers_for_data():
    finite = replace(SHOWN, question=replace(SHOWN.question, method="finite"))
    expected = "seed 7" if finite.question.on_data else "as shown"
    assert difference(finite, with_(finite, "ensemble", seed=7)) == expected
    assert finite.question.on_data
    assert isinstance(theory_of(finite), xr.Dataset)
