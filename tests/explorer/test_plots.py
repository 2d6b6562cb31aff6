"""What the page's plots are fed with, its sentences, and its files, without a browser."""

import threading
import time
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

import figures
from dynamics.algorithms import SGD, GradientFlow
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import CoupledFeatures
from dynamics.memory import check_memory, memory_budget
from dynamics.scaling_laws import Spectrum
from dynamics.stopping import checkpoint
from figures.asking import Ensemble
from figures.cli import run
from figures.explored import FlowTimes, StepTimes, begin
from figures.explorer.controller import Controller, Screen
from figures.explorer.curves import Deviation
from figures.explorer.files import produce
from figures.explorer.plots import DASHES, Plots, _range_of
from figures.explorer.streaming import theory_of
from figures.explorer.words import seen_html
from tests.explorer.views import until


def few(runs, last=1000):
    """A screen of scaling laws with so many runs."""
    shown = begin("scaling-laws", times=StepTimes(last=last, count=10))
    asked = replace(shown.question, ensemble=Ensemble(runs=runs)).settled()
    return Screen(shown, theory_of(shown), runs=asked.simulated(shown.times.values()))


def fed(screen, *, logarithmic):
    plots = Plots({"risk": "risk"}, logarithmic=logarithmic, time="steps t")
    plots.update(screen, ("risk",))
    return {name: source.data for name, source in plots._sources.items()}, plots


def test_one_run_has_no_band():
    data, _ = fed(few(1), logarithmic=True)
    assert np.isnan(data["band risk"]["low"]).all()
    assert np.isnan(data["band risk"]["high"]).all()
    assert np.isfinite(data["points risk"]["mean"]).all()


def test_a_band_that_reaches_zero_goes_down_on_a_logarithmic_axis():
    screen = few(3)
    runs = screen.runs.copy(deep=True)
    runs["risk"][0] *= 100.0
    data, _ = fed(replace(screen, runs=runs), logarithmic=True)
    mean = runs["risk"].mean("run").values
    np.testing.assert_allclose(data["band risk"]["low"], 0.1 * mean)
    assert (fed(replace(screen, runs=runs), logarithmic=False)[0]["band risk"]["low"] < 0).all()


def test_words_alone_feed_nothing():
    screen = few(2)
    data, plots = fed(screen, logarithmic=True)
    plots.update(replace(screen, seen="words"), ("risk",))
    assert all(plots._sources[name].data is one for name, one in data.items())


def test_kept_curves_are_told_apart():
    assert len({str(dash) for dash in DASHES}) == 4
    assert not {"dotdash", "dashdot"} <= {str(dash) for dash in DASHES}  # the same pattern, shifted


def test_the_range_shows_deviations_and_the_narrowest_limits():
    time_ = np.arange(3.0)
    one = Deviation("risk", time_, np.array([0.0, -30.0, np.inf]), np.array([-8.0, -9.0, -7.0]), np.full(3, 1e4))
    assert _range_of([one]) == {"start": -36.0, "end": 36.0}
    assert _range_of([]) == {"start": -12.0, "end": 12.0}


def test_theory_for_given_data_says_so():
    moons = begin("double-descent", method="finite", times=FlowTimes(count=10))
    assert "Theory is for given data: run 0." in seen_html(Screen(moons, theory_of(moons)), "", "")
    words = seen_html(Screen(asking=True), "<b>", "be<fore")
    assert "&lt;b&gt;" in words
    assert "be&lt;fore" in words


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_pictures_of_matrices_leave_the_options_of_matplotlib(kind):
    coupled = begin("gradient-starvation", CoupledFeatures, times=StepTimes(last=10, count=4))
    screen = Screen(coupled, theory_of(coupled))
    with mpl.rc_context({"font.size": 13.0}):
        before, made = dict(mpl.rcParams), []
        work = [
            threading.Thread(target=lambda: made.append(produce(kind, screen, ("response",), logarithmic=False)))
            for _ in range(3)
        ]
        [one.start() for one in work]
        [one.join() for one in work]
        assert dict(mpl.rcParams) == before
    assert len({content for content, _, _ in made}) == 1


def test_what_cannot_be_shown_is_refused_before_anything_is_served():
    for problem, choices in ((GradientFlow(), {}), (None, {"method": "foo"}), (None, {"simulation": "foo"})):
        with pytest.raises(ParameterError, match=r"must be one of|must be a problem"):
            figures.explore(problem, **choices)


def test_commands_without_a_window_or_a_method(capsys):
    assert run(["explore", "--window"]) == 2
    assert "backend" in capsys.readouterr().err
    assert run(["explore", "scaling-laws", "--method", "foo", "--no-browser"]) == 2
    assert "method must be one of" in capsys.readouterr().err


def test_a_problem_without_defaults_begins_with_the_start():
    start = begin("scaling-laws", Spectrum)
    assert start.question.method == "recursion"
    other = begin("scaling-laws", Spectrum, SGD(learning_rate=0.1))
    assert other.question.method == "recursion"


def test_long_theory_gives_way_to_the_next_question(monkeypatch):
    begun = threading.Event()

    def slow(shown):
        if shown.times.count == 11:
            begun.set()
            while True:
                checkpoint()
                time.sleep(0.001)
        return theory_of(shown)

    monkeypatch.setattr("figures.explorer.controller.theory_of", slow)
    views = [begin("double-descent", times=FlowTimes(count=count)) for count in (11, 12)]
    controller = Controller(lambda: None)
    controller.show(views[0])
    assert begun.wait(60)
    controller.show(views[1])
    until(lambda: controller.screen.shown == views[1] and not controller.screen.asking)
    begun.clear()
    controller.show(views[0])
    assert begun.wait(60)
    controller.close(wait=60)
    assert not any(thread.is_alive() for thread in controller._threads)


def test_questions_of_all_pages_are_bounded(monkeypatch):
    at_work, most, lock = [], [], threading.Lock()

    def counted(shown):
        with lock:
            at_work.append(shown)
            most.append(len(at_work))
        time.sleep(0.02)
        with lock:
            at_work.pop()
        return theory_of(shown)

    monkeypatch.setattr("figures.explorer.controller.theory_of", counted)
    gate = threading.Semaphore(2)
    pages = [Controller(lambda: None, theory_gate=gate) for _ in range(5)]
    shown = begin("double-descent", times=FlowTimes(count=10))
    for page in pages:
        page.show(shown)
    until(lambda: all(page.screen.shown == shown for page in pages))
    for page in pages:
        page.close(wait=60)
    assert max(most) <= 2


def test_the_memory_of_a_call_can_be_bounded():
    check_memory(2**20, "x")
    with memory_budget(2**20), pytest.raises(ParameterError, match="allowed are 1,048,576"):
        check_memory(2**20, "x")
    check_memory(2**20, "x")
