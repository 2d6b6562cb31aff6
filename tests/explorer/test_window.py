"""The explorer's window does with sliders and buttons what the page does, and ends with all its threads."""

import os
import subprocess
import sys
import threading
from unittest.mock import Mock

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot
from matplotlib.backend_bases import CloseEvent, MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg

import analytic.double_descent
import figures.explorer.window as module
from dynamics.errors import ParameterError
from figures.asking import Ensemble
from figures.explored import FlowTimes, StepTimes, begin
from figures.explorer.curves import curves
from figures.explorer.window import Window, window
from figures.phenomena import phenomena, phenomenon
from tests.explorer.views import until

QUICK = {"times": FlowTimes(first=0.1, last=1e4, count=20), "ensemble": Ensemble(runs=8)}


@pytest.fixture(autouse=True)
def without_a_screen(monkeypatch):
    before, threads = pyplot.get_fignums(), at_work()
    monkeypatch.setattr(FigureCanvasAgg, "draw_idle", lambda _: None)  # where it is, it draws at once
    pyplot.switch_backend("agg")
    yield
    assert pyplot.get_fignums() == before
    until(lambda: at_work() <= threads)


@pytest.fixture
def opened():
    made = []

    def open_(start):
        made.append(Window(start))
        return answered(made[-1])

    yield open_
    for one in made:
        one.close()


def at_work():
    """The threads of controllers."""
    return {thread for thread in threading.enumerate() if thread.name in ("theory", "simulation")}


def answered(opened):
    """Wait until what theory answers to the form is shown, or why that is refused."""
    until(lambda: opened.refresh() or "being asked" not in opened.status.get_text())
    return opened


def simulated(opened, how):
    """Wait until the simulation has ended and that is shown."""
    until(lambda: opened.refresh() or f"simulation {how}" in opened.status.get_text())
    until(lambda: not opened.controller.screen.simulating)
    return opened.controller.screen


def click(opened, axes):
    x, y = axes.transAxes.transform((0.5, 0.5))
    for name in ("button_press_event", "button_release_event"):
        opened.figure.canvas.callbacks.process(name, MouseEvent(name, opened.figure.canvas, x, y, button=1))


def lines(opened):
    return [line.get_ydata() for line in opened.plots.axes[0].lines if line.get_linestyle() == "-"]


def same(opened, answer):
    """Whether the lines drawn are those of an answer."""
    found = curves(answer, opened.variables(opened.controller.screen))
    return len(found) == len(lines(opened)) and all(
        np.array_equal(one.value, line, equal_nan=True) for one, line in zip(found, lines(opened), strict=True)
    )


def test_it_shows_what_theory_says_and_a_slider_moves_it(opened):
    one = opened(begin("double-descent", **QUICK))
    asked = one.form.read().question
    assert same(one, analytic.double_descent.solve(asked.problem, asked.algorithm, QUICK["times"].values()))
    slider, track = one.sliders["condition_number"], one.form.track("condition_number")
    assert slider.label.get_text() == r"$\kappa$"
    for position in (40, 150):
        slider.set_val(position)
        problem = asked.problem.model_copy(update={"condition_number": track.values[position]})
        assert same(answered(one), analytic.double_descent.solve(problem, asked.algorithm, QUICK["times"].values()))
        assert float(slider.valtext.get_text()) == track.values[position]


def test_a_slider_is_moved_with_the_mouse_and_begins_at_the_exact_value(opened):
    one = opened(begin("double-descent", problem_with(condition_number=50.123), **QUICK))
    slider = one.sliders["condition_number"]
    assert slider.valtext.get_text() == "50.123"
    assert slider.val == one.form.track("condition_number").nearest(50.123)
    click(one, slider.ax)
    middle = one.form.track("condition_number").values[round(slider.val)]
    assert slider.val == pytest.approx(slider.valmax / 2, abs=1)
    assert answered(one).controller.screen.shown.question.problem.condition_number == middle


def problem_with(**values):
    return begin("double-descent").question.problem.model_copy(update=values)


def test_the_last_of_many_moves_wins(opened):
    one = opened(begin("double-descent", **QUICK))
    for position in range(0, 180, 6):
        one.sliders["noise"].set_val(position)
        one.refresh()
    answered(one)
    expected = one.form.track("noise").values[174]
    assert one.controller.screen.shown.question.problem.noise == expected
    assert same(one, one.controller.screen.theory)


def test_a_method_is_chosen(opened):
    one = opened(begin("double-descent", **QUICK))
    one.methods.set_active(list(one.form.options("method")).index("published"))
    assert answered(one).controller.screen.theory.attrs["method"] == "published"
    assert same(one, one.controller.screen.theory)


def test_what_is_not_allowed_is_said_in_red_and_the_curves_stay(opened):
    one = opened(begin("double-descent", **QUICK))
    before = one.controller.screen
    one.sliders["fast"].set_val(one.sliders["fast"].valmax)
    answered(one)
    assert "fast" in one.warning.get_text()
    assert mpl.colors.to_rgb(one.warning.get_color())[0] > 0.5
    assert same(one, before.theory)
    one.simulate()
    assert not one.controller.screen.simulating
    one.sliders["fast"].set_val(10)
    assert answered(one).warning.get_text() == ""
    assert one.controller.screen.seen[:20] in one.status.get_text()


def test_a_theory_that_gives_no_answer_says_why_in_red(opened):
    moons = next(one for one in phenomenon("gradient-starvation").dynamics.PROBLEMS if one.label == "two-moons")
    one = opened(begin("gradient-starvation", moons, times=StepTimes(last=10), method="responses"))
    assert one.warning.get_text().startswith("No theory: method 'responses'")
    assert [text.get_text() for text in one.plots.axes[0].texts] == ["There are no curves to be seen."]


def test_runs_are_simulated_and_compared(opened):
    one = opened(begin("double-descent", **QUICK))
    assert len(one.plots.axes) == 1
    click(one, one.buttons["Simulate"].ax)
    screen = simulated(one, "finished: 8 of 8 runs")
    assert screen.runs.sizes["run"] == 8
    top, bottom = one.plots.axes
    assert top.get_title().endswith(screen.comparison.attrs["verdict"])
    assert "standard errors" in bottom.get_ylabel()
    one.sliders["noise"].set_val(0)
    assert len(answered(one).plots.axes) == 1


def test_runs_are_stopped_and_stay(opened):
    one = opened(begin("double-descent", **QUICK | {"ensemble": Ensemble(runs=1000)}))
    one.simulate()
    until(lambda: one.controller.screen.runs is not None)
    one.simulate()
    until(lambda: one.controller.screen.messages)
    assert "still at work" in one.controller.screen.messages[-1]
    click(one, one.buttons["Stop"].ax)
    assert 2 <= simulated(one, "stopped").runs.sizes["run"] < 1000


def test_the_vertical_axis_is_made_logarithmic(opened):
    one = opened(begin("double-descent", **QUICK))
    for scale in ("log", "linear"):
        one.logarithmic.set_active(0)
        one.refresh()
        assert one.plots.axes[0].get_yscale() == scale
    one.figure.canvas.draw()


def test_nothing_is_drawn_while_nothing_changes(opened, monkeypatch):
    one = opened(begin("double-descent", **QUICK))
    calls = []
    monkeypatch.setattr(module, "draw_screen", lambda *_, **__: calls.append(1))
    one.refresh()
    one.controller.say("a message")
    one.refresh()
    assert "a message" in one.status.get_text()
    assert calls == []


def test_what_changes_while_it_is_drawn_is_not_missed(opened, monkeypatch):
    one = opened(begin("double-descent", **QUICK))
    monkeypatch.setattr(module, "draw_screen", lambda *_, **__: one.controller.say("meanwhile"))
    one.logarithmic.set_active(0)
    one.refresh()
    one.refresh()
    assert "meanwhile" in one.status.get_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", phenomena())
def test_every_slider_of_every_phenomenon_works_from_end_to_end(opened, name):
    one = opened(begin(name))
    ranged = [part for _, names in one.form.groups().values() for part in names if one.form.track(part)]
    assert list(one.sliders) == ranged
    for slider in one.sliders.values():
        begun = slider.val
        for position in (slider.valmin, slider.valmax, slider.valmax // 2, begun):
            slider.set_val(position)
            answered(one)
            screen, red = one.controller.screen, one.warning.get_text()
            assert "fault" not in red
            if red.startswith("No theory"):
                assert isinstance(screen.theory, str)
            else:
                assert isinstance(screen.theory, xr.Dataset)
                assert same(one, screen.theory)
        assert red == ""
    one.figure.canvas.draw()


def test_many_sliders_stand_side_by_side(opened):
    moons = next(one for one in phenomenon("gradient-starvation").dynamics.PROBLEMS if one.label == "two-moons")
    one = opened(begin("gradient-starvation", moons, times=StepTimes(last=10)))
    boxes = [slider.ax.get_position() for slider in one.sliders.values()]
    assert len(boxes) > 12
    assert not any(a.overlaps(b) for at, a in enumerate(boxes) for b in boxes[:at])


def test_closing_ends_all_work(opened):
    one = opened(begin("double-descent", **QUICK | {"ensemble": Ensemble(runs=1000)}))
    one.simulate()
    assert {thread.name for thread in at_work()} == {"theory", "simulation"}
    one.figure.canvas.callbacks.process("close_event", CloseEvent("close_event", one.figure.canvas))
    until(lambda: not at_work())


def test_without_windows_it_is_refused_in_words():
    with pytest.raises(ParameterError, match=r"got agg\. Install a GUI toolkit .* MPLBACKEND .* extra 'explore'"):
        window(begin("double-descent"))
    assert not at_work()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_a_backend_that_finds_no_display_is_refused():
    code = "import figures.explored as e, figures.explorer.window as w; w.window(e.begin('double-descent'))"
    without = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**without, "MPLBACKEND": "tkagg"},
        check=False,
    )
    assert "ParameterError: the backend of matplotlib must be one that opens windows; got agg" in done.stderr


def test_a_backend_that_cannot_be_loaded_is_refused_in_words(monkeypatch):
    def missing(**_):
        raise ImportError("no module named toolkit")

    monkeypatch.setattr(pyplot, "get_backend", lambda: "TkAgg")
    monkeypatch.setattr(pyplot, "figure", missing)
    with pytest.raises(ParameterError, match=r"got TkAgg \(no module named toolkit\)"):
        window(begin("double-descent"))


def test_it_looks_for_news_until_it_is_closed(monkeypatch):
    timer, seen = Mock(), []

    def show(*, block):
        assert block
        timer.start.assert_called_once()
        figure, tick = pyplot.figure(*pyplot.get_fignums()), timer.add_callback.call_args.args[0]
        until(lambda: tick() or any(len(axes.lines) > 1 for axes in figure.axes))
        timer.stop.assert_not_called()
        seen.append(figure)

    monkeypatch.setattr(pyplot, "get_backend", lambda: "TkAgg")
    monkeypatch.setattr(pyplot, "show", show)
    monkeypatch.setattr(FigureCanvasAgg, "new_timer", lambda _, interval: timer if interval <= 50 else None)
    window(begin("double-descent", **QUICK))
    assert len(seen) == 1
    timer.stop.assert_called()
