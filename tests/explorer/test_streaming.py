"""Runs in batches are, joined, what one call gives, and what is finished when they are stopped is a beginning of it."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from dynamics.algorithms import SGD
from dynamics.double_descent import TwoScale
from dynamics.errors import Interrupted, ParameterError
from dynamics.stopping import asked_to_stop
from figures.asking import Question
from figures.explorer import streaming
from figures.explorer.streaming import finished, stream, theory_of
from tests.explorer.views import DIVERGING, REFUSED, VIEWS, double, moons, scaling, starvation, with_runs

ON_DATA = [key for key, shown in VIEWS.items() if shown.question.on_data and key not in REFUSED]


def at_once(shown, **how):
    return shown.question.settled().simulated(shown.times.values(), **how)


def batches(shown, stop=None):
    return list(stream(shown, stop or threading.Event()))


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of 2, 4, 4, ... runs, whatever the clock says."""
    clock = iter(range(10**6))
    monkeypatch.setattr(streaming.time, "perf_counter", lambda: 0.125 * next(clock))


@pytest.mark.parametrize("key", VIEWS)
def test_all_batches_are_what_one_call_gives(key, small_batches):
    """Bit for bit, attributes and all; and so is theory for the data of the runs."""
    shown = VIEWS[key] if key == "digits" else with_runs(VIEWS[key], 7)
    found = batches(shown)
    wanted = shown.question.ensemble.runs
    sizes = [batch.runs.sizes["run"] for batch in found]
    assert sizes == sorted(set(sizes))
    assert sizes[0] == 2
    assert sizes[-1] == wanted
    assert len(sizes) >= 3 or key == "digits"
    for batch in found:
        first = with_runs(shown, batch.runs.sizes["run"])
        xr.testing.assert_identical(batch.runs, at_once(first))
        assert batch.ended == ""
        if key in ON_DATA:
            asked = first.question.settled()
            xr.testing.assert_identical(batch.theory, asked.theory(first.times.values()))
        else:
            assert batch.theory is None


def test_methods_on_data_are_all_there():
    assert {VIEWS[key].question.theory_method for key in ON_DATA} == {"finite", "recursion", "linearised"}


@pytest.mark.parametrize("key", ["flow", "finite", "descent", "recursion", "equivalent", "responses", "moons"])
def test_theory_at_first_is_for_the_first_run(key):
    shown = VIEWS[key]
    found = theory_of(shown)
    first = with_runs(shown, 1) if shown.question.on_data else shown
    xr.testing.assert_identical(found, first.question.settled().theory(shown.times.values()))
    assert found.sizes.get("run", 1) == 1
    if shown.question.on_data:
        assert found["run"].values.tolist() == [0]


def test_one_run(small_batches):
    (batch,) = batches(with_runs(double(), 1))
    assert batch.runs["run"].values.tolist() == [0]


def test_batches_grow_until_they_take_their_time(monkeypatch):
    """Half a second each, as far as that is known from the one before."""
    now, sizes = [0.0], []

    def simulated(self, times, *, first_run=0, **settings):
        sizes.append(self.ensemble.runs)
        now[0] += 0.1 * self.ensemble.runs
        return xr.Dataset({"x": ("run", np.arange(first_run, first_run + self.ensemble.runs))})

    monkeypatch.setattr(Question, "simulated", simulated)
    monkeypatch.setattr(streaming.time, "perf_counter", lambda: now[0])
    found = batches(with_runs(double(method="exact"), 20))
    assert sizes[:2] == [2, 4]
    assert all(4 <= size <= 5 for size in sizes[1:-1])
    assert sum(sizes) == 20
    assert found[-1].runs["x"].values.tolist() == list(range(20))


def test_slow_runs_come_one_by_one(monkeypatch):
    now, sizes = [0.0], []

    def simulated(self, times, *, first_run=0, **settings):
        sizes.append(self.ensemble.runs)
        now[0] += 10.0 * self.ensemble.runs
        return xr.Dataset({"x": ("run", np.arange(self.ensemble.runs))})

    monkeypatch.setattr(Question, "simulated", simulated)
    monkeypatch.setattr(streaming.time, "perf_counter", lambda: now[0])
    batches(with_runs(double(method="exact"), 5))
    assert sizes == [2, 1, 1, 1]


# --- stopped


@pytest.mark.parametrize("key", ["flow", "finite", "recursion", "responses", "moons"])
def test_stopped_between_two_batches(key, small_batches):
    """The first k runs are those of an ensemble of k runs."""
    shown, stop = with_runs(VIEWS[key], 50), threading.Event()
    running = stream(shown, stop)
    next(running)
    batch = next(running)
    stop.set()
    assert list(running) == []
    xr.testing.assert_identical(batch.runs, at_once(with_runs(shown, 6)))
    if key in ON_DATA:
        xr.testing.assert_identical(batch.theory, with_runs(shown, 6).question.theory(shown.times.values()))


@pytest.mark.parametrize("key", ["flow", "finite", "recursion", "moons", "teachers"])
def test_stopped_within_a_batch(key, small_batches, monkeypatch):
    """What is finished of it stays: here 2 of the 4 runs of the second batch."""
    shown, stop, real = with_runs(VIEWS[key], 50), threading.Event(), Question.simulated

    def interrupted(self, times, *, first_run=0, **settings):
        assert asked_to_stop() is stop
        answer = real(self, times, first_run=first_run, **settings)
        if first_run == 0:
            return answer
        stop.set()
        outcome = np.where(np.arange(answer.sizes["run"]) < 2, "finished", "cancelled")
        raise Interrupted("interrupted", partial=answer.assign(outcome=("run", outcome, answer["outcome"].attrs)))

    monkeypatch.setattr(Question, "simulated", interrupted)
    found = batches(shown, stop)
    monkeypatch.undo()
    assert [batch.runs.sizes["run"] for batch in found] == [2, 4]
    xr.testing.assert_identical(found[-1].runs, at_once(with_runs(shown, 4)))
    assert found[-1].ended == ""
    if key in ON_DATA:
        xr.testing.assert_identical(found[-1].theory, with_runs(shown, 4).question.theory(shown.times.values()))


def test_stopped_before_the_first_run():
    stop = threading.Event()
    stop.set()
    assert batches(double(), stop) == []


@pytest.mark.parametrize("shown", [double(method="finite"), scaling(method="recursion"), double(method="exact")])
def test_stopped_while_data_are_drawn_or_nothing_is_finished(shown, monkeypatch):
    real, stop = Question.theory, threading.Event()

    def stopped(self, times, **how):
        stop.set()
        return real(self, times, **how)

    monkeypatch.setattr(Question, "theory", stopped)
    if not shown.question.on_data:
        monkeypatch.setattr(Question, "settled", lambda self: stop.set() or self)
    assert batches(shown, stop) == []


def partial(*outcomes):
    runs = len(outcomes)
    return xr.Dataset(
        {"x": ("run", np.arange(runs) * 1.0), "outcome": ("run", np.array(outcomes))}, {"run": np.arange(5, 5 + runs)}
    )


@pytest.mark.parametrize(
    ("outcomes", "count"),
    [
        (["finished"] * 3, 3), (["finished", "cancelled"], 1), (["finished", "cancelled", "finished"], 1),
        (["finished", "finished", "cancelled", "cancelled"], 2), (["finished", "diverged", "finished"], 1),
    ],
)  # fmt: skip
def test_a_gap_is_cut(outcomes, count):
    """Only runs before it can be had again."""
    runs = partial(*outcomes)
    exact = runs[["x"]] * 2.0
    batch = finished(runs, exact)
    xr.testing.assert_identical(batch.runs, runs.isel(run=slice(count)))
    xr.testing.assert_identical(batch.theory, exact.isel(run=slice(count)))
    assert batch.ended == ""
    assert finished(runs, None).theory is None


@pytest.mark.parametrize("outcomes", [["cancelled"], ["cancelled", "finished"], ["diverged", "finished"]])
def test_nothing_before_a_gap(outcomes):
    assert finished(partial(*outcomes), None) is None


# --- diverged and refused


def test_a_diverging_run_ends_it_and_its_batch_is_kept(small_batches):
    """As marked: where it diverged and why, and the runs beside it."""
    shown = DIVERGING
    whole = at_once(shown, on_divergence="mark")
    number = int((whole["outcome"] == "diverged").values.argmax())
    assert number == 21
    found = batches(shown)
    last = found[-1]
    assert last.ended.startswith(f"diverged: run {number} diverged at step {whole['diverged_at'].values[number]}: ")
    assert "must be at most 2/((1 + output_penalty) L + l2)" in last.ended
    done = last.runs.sizes["run"]
    assert number < done < 40
    assert [batch.ended for batch in found[:-1]] == [""] * (len(found) - 1)
    xr.testing.assert_identical(last.runs, at_once(with_runs(shown, done), on_divergence="mark"))


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (double(simulation="literal"), "needs gradient-descent"),
        (scaling(VIEWS["spectrum"].question.problem, SGD(), simulation="literal"), "needs PowerLawRandomFeatures"),
        (double(TwoScale(samples=10**5, dimension=10**5, fast=10)), "bytes, allowed are"),
    ],
)
def test_what_the_simulation_refuses_is_raised(shown, words):
    with pytest.raises(ParameterError, match=words):
        batches(shown)


def test_runs_without_theory_where_it_refuses_their_data(small_batches):
    """Linearised networks are trained by momentum descent only; others are simulated all the same."""
    shown = VIEWS["moons, no theory"]
    assert shown.question.on_data
    found = batches(shown)
    assert all(batch.theory is None for batch in found)
    xr.testing.assert_identical(found[-1].runs, at_once(shown))


def test_theory_of_some_batches_only_is_left_out(small_batches, monkeypatch):
    """What it says must be of the same runs."""
    real = Question.theory

    def moody(self, times, *, first_run=0):
        if first_run in refused:
            raise ParameterError("not these")
        return real(self, times, first_run=first_run)

    monkeypatch.setattr(Question, "theory", moody)
    for refused in ((0,), (2,)):
        found = batches(with_runs(double(method="finite"), 9))
        assert [batch.theory is None for batch in found] == [0 in refused, True, True]


def test_views_do_not_mix():
    """Two streams at a time, each stopped by its own event."""
    stops = [threading.Event(), threading.Event()]
    one, other = stream(with_runs(double(), 9), stops[0]), stream(with_runs(starvation(), 9), stops[1])
    first, _ = next(one), next(other)
    stops[0].set()
    assert list(one) == []
    rest = list(other)
    assert rest[-1].runs.sizes["run"] == 9
    assert "response" in rest[-1].runs
    assert "norm" in first.runs


def test_moons_take_their_seed():
    found = [batches(replace(moons(seed=seed, runs=2)))[-1] for seed in (0, 1)]
    assert not found[0].runs["training_loss"].equals(found[1].runs["training_loss"])
    assert not found[0].theory["training_loss"].equals(found[1].theory["training_loss"])
