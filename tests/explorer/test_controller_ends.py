"""What goes wrong is told, and the end is an end."""
# ruff: noqa: F811 - fixtures are imported

import threading
import time

import numpy as np
import pytest
import xarray as xr

from dynamics.algorithms import GradientDescent
from dynamics.errors import ParameterError
from figures.asking import Ensemble, Question
from figures.explored import StepTimes
from figures.explorer import controller as module
from figures.explorer.controller import Controller
from tests.explorer.views import DIVERGING, VIEWS, double, moons, scaling, starvation, until, with_runs
from tests.explorer.watching import NOISY, SOON, Watched, endless, slow, watched  # noqa: F401 - fixtures are among them

# --- what goes wrong


def test_a_diverging_simulation(watched):
    """Run, step and bound are said; the runs stay, and so does what the comparison makes of them."""
    one = watched()
    one.shown(DIVERGING)
    one.simulate(DIVERGING)
    one.ended()
    runs = one.screen.runs
    assert runs["outcome"].values[21] == "diverged"
    assert (runs["outcome"].values[:21] == "finished").all()
    step = int(runs["diverged_at"].values[21])
    assert (
        f"simulation diverged: run 21 diverged at step {step}: learning_rate (step size) must be at most" in one.words
    )
    assert one.screen.comparison.attrs["verdict"] == "disagree"
    assert f"{runs.sizes['run']} of 40 runs" in one.words


def test_refused_theory_does_not_keep_runs_from_coming(watched):
    shown = double(
        algorithm=GradientDescent(learning_rate=0.52), method="exact", runs=4, times=StepTimes(last=9, count=4)
    )
    assert isinstance(shown, module.Shown)
    for view in (shown, VIEWS["moons, no theory"]):
        one = watched()
        one.shown(view)
        words = one.screen.theory
        assert isinstance(words, str)
        one.simulate(view)
        one.ended()
        assert one.screen.runs.sizes["run"] == view.question.ensemble.runs
        assert one.screen.theory == words
        assert one.screen.comparison is None
        assert "not compared" not in one.words
        assert "simulation finished" in one.words


def test_runs_that_cannot_be_compared_are_said_once(watched):
    """Of each batch the same words: here each run takes its own step size, and theory's is another."""
    shown = with_runs(NOISY[2], 9)
    one = watched()
    one.shown(shown)

    def uncomparable(theory, runs):
        raise ParameterError("apples and pears")

    real, module.compare = module.compare, uncomparable
    try:
        one.simulate(shown)
        one.ended()
    finally:
        module.compare = real
    assert one.words.count("not compared: apples and pears") == 1
    assert one.screen.runs.sizes["run"] == 9
    assert one.screen.comparison is None


def test_a_refused_simulation_is_said(watched):
    one = watched()
    shown = double(method="exact", simulation="literal")
    one.shown(shown)
    one.simulate(shown)
    one.ended()
    assert "not simulated: method 'literal' needs gradient-descent" in one.words
    assert one.screen.runs is None
    assert isinstance(one.screen.theory, xr.Dataset)


@pytest.mark.parametrize("error", [KeyError("lost"), MemoryError("no room"), OverflowError("too much")])
def test_whatever_a_simulation_raises_the_gate_is_given_back(watched, monkeypatch, capsys, error):
    def failing(self, times, **settings):
        raise error

    gate = threading.Semaphore()
    one = watched(gate)
    one.shown(NOISY[2])
    with monkeypatch.context() as patch:
        patch.setattr(Question, "simulated", failing)
        one.simulate(NOISY[2])
        one.ended()
    fault = isinstance(error, KeyError)
    assert ("a fault of the program, please report it: KeyError: 'lost'" in one.words) == fault
    assert (f"not simulated: {error}" in one.words) == (not fault)
    assert ("KeyError" in capsys.readouterr().err) == fault
    assert gate.acquire(blocking=False)
    gate.release()
    assert one.simulate(NOISY[2])
    one.ended()
    assert one.screen.runs.sizes["run"] == 5


# --- the end


@pytest.mark.parametrize("kept", [(), tuple(NOISY[1:5])])
def test_close_while_theory_is_at_work(slow, kept):
    one = Watched()
    one.show(NOISY[0], kept)
    until(lambda: len(slow.asked) == 1)
    begun = time.perf_counter()
    one.close()
    one.closed = True
    assert time.perf_counter() - begun < SOON
    told = len(one.screens)
    slow.permits.release(1)
    one.controller._threads[0].join(1.0)
    assert not one.controller._threads[0].is_alive()
    assert len(slow.asked) == 1  # and nothing more is asked
    assert len(one.screens) == told
    assert one.faults == []


def test_close_while_a_simulation_is_at_work(endless):
    one = Watched()
    one.shown(NOISY[2])
    one.simulate(NOISY[2])
    until(lambda: one.screen.runs is not None)
    begun = time.perf_counter()
    one.close(wait=20.0)
    assert time.perf_counter() - begun < 20.0
    assert not any(thread.is_alive() for thread in one.controller._threads)
    one.closed = True
    one.controller.say("nobody hears")
    one.show(NOISY[3])
    assert not one.simulate(NOISY[2])
    assert one.faults == []
    assert "nobody" not in one.words


def test_close_while_waiting_for_the_gate_or_for_theory(slow):
    gate = threading.Semaphore(0)
    one, other = Watched(gate), Watched()
    slow.permits.release()
    one.shown(NOISY[2])
    one.simulate(NOISY[2])
    until(lambda: "waiting" in one.words)
    other.show(NOISY[3])
    other.simulate(NOISY[3])
    until(lambda: len(slow.asked) == 2)
    for each in (one, other):
        each.close()
        each.controller._threads[1].join(1.0)
        assert not each.controller._threads[1].is_alive()
    slow.permits.release()
    other.close(wait=20.0)
    assert not gate.acquire(blocking=False)


def test_close_waits_no_longer_than_it_is_told(slow, monkeypatch):
    """For both threads together, here two that do not listen."""
    deaf, begun = threading.Event(), threading.Event()

    def stream(shown, stop):
        begun.set()
        assert deaf.wait(20)
        return iter(())

    monkeypatch.setattr(module, "stream", stream)
    one = Watched()
    slow.permits.release()
    one.shown(NOISY[2])
    one.simulate(NOISY[2])
    assert begun.wait(20)
    one.show(NOISY[3])
    until(lambda: len(slow.asked) == 2)
    started = time.perf_counter()
    one.close(wait=1.0)
    assert 1.0 <= time.perf_counter() - started < 1.9
    deaf.set()
    slow.permits.release()
    one.close(wait=20.0)
    assert not any(thread.is_alive() for thread in one.controller._threads)


def test_close_from_within():
    """Whoever is told may close, on whatever thread."""
    told = threading.Event()

    def changed():
        made.close()
        told.set()

    made = Controller(changed)
    made.show(NOISY[0])
    assert told.wait(20)
    made.close(wait=20.0)
    assert not made._threads[0].is_alive()
    other = Controller(lambda: other.screen.theory is not None and other.close())
    other.show(NOISY[0])
    other._threads[0].join(20)
    assert not other._threads[0].is_alive()


def test_who_is_told_may_wait_for_others_who_need_the_controller():
    """As a page whose document is locked by a thread that talks to the controller."""
    waited = []

    def changed():
        helper = threading.Thread(target=made.stop)
        helper.start()
        helper.join(20)
        waited.append(not helper.is_alive())

    made = Controller(changed)
    made.say("hello")
    made.show(NOISY[0])
    until(lambda: made.screen.shown == NOISY[0] and not made.screen.asking)
    made.close(wait=20.0)
    assert waited
    assert all(waited)


def test_messages_are_kept_within_bounds(watched):
    one = watched()
    for number in range(99):
        one.controller.say(f"message {number}")
    assert len(one.screen.messages) == 50
    assert one.screen.messages[-1].endswith("  message 98")
    assert one.screen.messages[0].endswith("  message 49")
    assert len(one.screens) == 99


def test_many_changes_while_runs_stream_in(watched):
    """Whatever the order of events, every screen is of a piece, and the last one is what was asked last."""
    one = watched()
    views = [with_runs(shown, 30) for shown in NOISY[:12]]
    order = np.random.default_rng(0).integers(0, len(views), 60)
    for place in order:
        one.show(views[place])
        one.simulate(views[place])
    last = views[order[-1]]
    until(lambda: one.screen.shown == last and not one.screen.asking)
    one.ended()
    one.simulate(last)
    one.ended()
    assert one.screen.runs.sizes["run"] == 30
    assert one.screen.comparison.attrs["verdict"] == "agree"


def test_three_phenomena_with_one_controller(watched):
    one = watched()
    for shown in (NOISY[2], scaling(), starvation(), moons(), scaling(ensemble=Ensemble(runs=3, seed=9))):
        one.shown(shown)
        assert one.simulate(shown)
        one.ended()
        assert one.screen.runs.sizes["run"] == shown.question.ensemble.runs
        assert one.screen.runs.attrs["seed"] == shown.question.ensemble.seed
