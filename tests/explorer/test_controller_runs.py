"""Simulation: runs stream in, one page at a time, and end when they are told to."""
# ruff: noqa: F811 - fixtures are imported

import threading
import time

import pytest
import xarray as xr

from dynamics.algorithms import GradientDescent
from figures.explored import StepTimes
from figures.explorer import controller as module
from figures.explorer.streaming import theory_of
from tests.explorer.views import SCALES, VIEWS, double, until, with_runs
from tests.explorer.watching import NOISY, SOON, Watched, endless, slow, watched  # noqa: F401 - fixtures are among them


@pytest.mark.parametrize("key", ["flow", "finite", "teachers", "recursion", "responses", "moons"])
def test_runs_come_in_batches_and_are_compared(watched, key):
    shown = with_runs(VIEWS[key], 9)
    one = watched()
    one.shown(shown)
    assert one.simulate(shown)
    assert one.screen.simulating or one.screen.runs is not None
    one.ended()
    screen, asked = one.screen, shown.question.settled()
    xr.testing.assert_identical(screen.runs, asked.simulated(shown.times.values()))
    xr.testing.assert_identical(screen.theory, asked.theory(shown.times.values()))
    assert screen.comparison.attrs["verdict"] == "agree"
    assert screen.comparison.attrs["runs"] == 9
    sizes = [screen.runs.sizes["run"] for screen in one.screens if screen.runs is not None]
    assert sizes == sorted(sizes)
    assert sizes[0] == 2
    assert "simulation finished: 9 of 9 runs in " in one.words
    assert len(screen.messages) == 1


def test_the_band_tightens(watched):
    shown = with_runs(NOISY[20], 200)
    one = watched()
    one.shown(shown)
    one.simulate(shown)
    one.ended()
    errors = {
        screen.runs.sizes["run"]: float(screen.comparison["standard_error"].mean())
        for screen in one.screens if screen.comparison is not None
    }  # fmt: skip
    assert len(errors) >= 3
    assert errors[200] < 0.5 * errors[2]


def test_runs_of_one_draw_are_not_compared(watched):
    shown = with_runs(NOISY[5], 1)
    one = watched()
    one.shown(shown)
    one.simulate(shown)
    one.ended()
    assert one.screen.runs.sizes["run"] == 1
    assert one.screen.comparison is None
    assert "not compared" not in one.words


def test_stop_keeps_what_is_finished(watched, endless):
    shown = with_runs(NOISY[2], 50)
    one = watched()
    one.shown(shown)
    one.simulate(shown)
    until(lambda: one.screen.runs is not None and one.screen.runs.sizes["run"] == 6)
    begun = time.perf_counter()
    one.stop()
    one.ended()
    assert time.perf_counter() - begun < SOON
    xr.testing.assert_identical(one.screen.runs, with_runs(shown, 6).question.simulated(shown.times.values()))
    assert one.screen.comparison.attrs["runs"] == 6
    assert "simulation stopped: 6 of 50 runs in " in one.words


def test_stop_ends_a_long_run():
    """In the midst of it, half a second later at most; nothing is finished."""
    one = Watched()
    shown = double(
        SCALES, GradientDescent(learning_rate=1e-4), method="exact", simulation="literal", runs=3,
        times=StepTimes(last=2 * 10**7, count=5),
    )  # fmt: skip
    one.shown(shown)
    assert one.simulate(shown)
    until(lambda: any(thread.name.startswith("ThreadPoolExecutor") for thread in threading.enumerate()))
    begun = time.perf_counter()
    one.stop()
    one.ended()
    assert time.perf_counter() - begun < SOON
    assert one.screen.runs is None
    assert "simulation stopped: 0 of 3 runs in " in one.words
    one.close(wait=20.0)
    assert one.faults == []


def test_stopped_runs_can_be_begun_again(watched, endless, monkeypatch):
    shown = with_runs(NOISY[2], 50)
    one = watched()
    one.shown(shown)
    for _ in range(2):
        assert one.simulate(shown)
        until(lambda: one.screen.runs is not None and one.screen.runs.sizes["run"] == 6)
        one.stop()
        one.ended()
    assert one.screen.runs.sizes["run"] == 6


def test_another_view_ends_the_runs_and_drops_them(watched, endless):
    one, first, second = watched(), with_runs(NOISY[2], 50), with_runs(NOISY[3], 50)
    one.shown(first)
    one.simulate(first)
    until(lambda: one.screen.runs is not None)
    one.shown(second)
    assert one.screen.runs is None
    assert one.screen.comparison is None
    one.ended()
    assert one.screen.runs is None
    assert "not compared" not in one.words
    assert one.simulate(second)
    until(lambda: one.screen.runs is not None)
    assert endless == [first, second]


def test_late_runs_of_another_view_are_dropped_without_a_word(watched, monkeypatch):
    """A batch that was under way when theory had answered the next view already."""
    late, first = threading.Event(), with_runs(NOISY[2], 9)
    real = module.stream

    def stream(shown, stop):
        assert late.wait(20)
        yield from real(shown, threading.Event())

    monkeypatch.setattr(module, "stream", stream)
    one = watched()
    one.shown(first)
    one.simulate(first)
    one.shown(NOISY[3])
    late.set()
    one.ended()
    assert one.screen.shown == NOISY[3]
    assert one.screen.runs is None
    assert one.screen.comparison is None
    assert "not compared" not in one.words
    xr.testing.assert_identical(one.screen.theory, theory_of(NOISY[3]))


def test_the_same_view_again_lets_the_runs_go_on(watched, endless):
    shown = with_runs(NOISY[2], 50)
    one = watched()
    one.shown(shown)
    one.simulate(shown)
    until(lambda: one.screen.runs is not None and one.screen.runs.sizes["run"] == 6)
    one.shown(shown, (NOISY[3],))
    assert one.screen.simulating
    assert one.screen.runs.sizes["run"] == 6


def test_runs_wait_for_theory(watched, slow):
    one = watched()
    one.show(NOISY[2])
    until(lambda: len(slow.asked) == 1)
    assert one.simulate(NOISY[2])
    assert one.screen.simulating
    assert one.screen.runs is None
    slow.permits.release()
    one.ended()
    assert one.screen.runs.sizes["run"] == 5
    assert one.screen.comparison is not None


def test_one_simulation_at_a_time(watched, endless):
    one = watched()
    one.shown(NOISY[2])
    assert one.simulate(NOISY[2])
    assert not one.simulate(NOISY[2])
    assert not one.simulate(NOISY[3])
    one.stop()
    one.ended()
    assert one.simulate(NOISY[2])


def test_a_page_waits_for_the_simulation_of_another(watched, endless):
    gate = threading.Semaphore()
    one, other = watched(gate), watched(gate)
    one.shown(NOISY[2])
    other.shown(NOISY[3])
    one.simulate(NOISY[2])
    until(lambda: one.screen.runs is not None)
    other.simulate(NOISY[3])
    until(lambda: "waiting for the simulation of another page to end" in other.words)
    assert other.screen.simulating
    assert other.screen.runs is None
    one.stop()
    until(lambda: other.screen.runs is not None)
    assert endless == [NOISY[2], NOISY[3]]
    other.stop()
    other.ended()
    assert gate.acquire(blocking=False)  # given back


def test_waiting_can_be_stopped(watched, endless):
    gate = threading.Semaphore(0)
    one = watched(gate)
    one.shown(NOISY[2])
    one.simulate(NOISY[2])
    until(lambda: "waiting" in one.words)
    begun = time.perf_counter()
    one.stop()
    one.ended()
    assert time.perf_counter() - begun < SOON
    assert endless == []
    assert not gate.acquire(blocking=False)  # it was not given back either
