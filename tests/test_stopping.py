"""Ending an ensemble from another thread: at once, with what is finished, and without a word to any other."""

import signal
import threading
import time

import pytest

from dynamics.algorithms import SGD, GradientDescent, MomentumDescent, PrimalDescent
from dynamics.double_descent import TwoScale
from dynamics.errors import Interrupted, ParameterError
from dynamics.gradient_starvation import TwoMoons, TwoSamples
from dynamics.scaling_laws import PowerLawRandomFeatures
from dynamics.stopping import asked_to_stop, stoppable
from figures.phenomena import phenomenon
from simulations._ensemble import raise_if_set, run_all
from tests.explorer.views import until

SOON = 5.0  # s, of work that would take minutes


def long_one(name):
    """The module of a simulation, and an ensemble that would take minutes."""
    question = {
        "double-descent": (TwoScale(samples=12, dimension=8, fast=4), GradientDescent(), [10**8], "literal"),
        "scaling-laws": (PowerLawRandomFeatures(dimension=50), SGD(), [10**9], "diagonal"),
        "gradient-starvation": (TwoMoons(), MomentumDescent(), [10**8], "literal"),
    }[name]
    return phenomenon(name).simulations, question


class Elsewhere(threading.Thread):
    """Call a function within a block that can be stopped, and keep what came of it and when."""

    def __init__(self, function, stop):
        super().__init__(daemon=True)
        self.function, self.stop, self.answer, self.error = function, stop, None, None
        self.inside = threading.Event()
        self.start()

    def run(self):
        try:
            with stoppable(self.stop):
                self.inside.set()
                self.answer = self.function()
        except (Exception, KeyboardInterrupt) as error:
            self.error = error
        self.ended = time.perf_counter()


def ended_soon(work):
    """Stop work that is under way for sure, and return its thread; others who use the processors get three chances."""
    for _ in range(3):
        stop = threading.Event()
        thread = Elsewhere(work, stop)
        assert thread.inside.wait(20)
        thread.join(0.1)
        assert thread.is_alive()
        set_at = time.perf_counter()
        stop.set()
        thread.join(20)
        if thread.ended - set_at < SOON:
            return thread
    raise AssertionError(f"took {thread.ended - set_at:.2g} s")


@pytest.mark.parametrize("name", ["double-descent", "scaling-laws", "gradient-starvation"])
def test_a_simulation_of_another_thread_ends_at_once(name):
    module, (problem, algorithm, times, method) = long_one(name)
    module.simulate(problem, algorithm, [1], runs=1, workers=1, method=method)  # compiled
    thread = ended_soon(lambda: module.simulate(problem, algorithm, times, runs=2, workers=1, method=method))
    assert isinstance(thread.error, Interrupted)
    assert thread.error.partial["outcome"].values.tolist() == ["cancelled"] * 2


def test_finished_runs_are_kept():
    """The first ones in full, bit for bit."""
    module, (problem, algorithm, _, method) = long_one("double-descent")
    stop, seen = threading.Event(), []

    def one(run, event):
        seen.append(run)
        if run == 3:
            stop.set()
        raise_if_set(event)
        return run * 10

    with stoppable(stop):
        results, interrupted = run_all(one, range(6), workers=1, progress=False, label="test")
    assert interrupted
    assert results == [0, 10, 20, None, None, None]
    assert seen[:4] == [0, 1, 2, 3]
    whole = module.simulate(problem, algorithm, [1, 5], runs=3, method=method)
    with stoppable(threading.Event()):
        assert module.simulate(problem, algorithm, [1, 5], runs=3, method=method).identical(whole)


@pytest.mark.parametrize("name", ["double-descent", "scaling-laws", "gradient-starvation"])
def test_an_event_that_is_set_already(name):
    module, (problem, algorithm, times, method) = long_one(name)
    stop = threading.Event()
    stop.set()
    with stoppable(stop), pytest.raises(Interrupted) as stopped:
        module.simulate(problem, algorithm, times, runs=3, method=method)
    assert stopped.value.partial["outcome"].values.tolist() == ["cancelled"] * 3


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        ("scaling-laws", PowerLawRandomFeatures(dimension=30)),
        ("double-descent", TwoScale(samples=9, dimension=4, fast=2)),
    ],
)
def test_samples_of_data_end_too(module, problem):
    sample, stop = phenomenon(module).simulations.sample, threading.Event()
    stop.set()
    thread = Elsewhere(lambda: sample(problem, runs=10**4), stop)
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(thread.error, KeyboardInterrupt)


def test_samples_at_work_end_at_once():
    sample = phenomenon("scaling-laws").simulations.sample
    sample(PowerLawRandomFeatures(dimension=50), runs=1)
    thread = ended_soon(lambda: sample(PowerLawRandomFeatures(dimension=50), runs=10**5))
    assert isinstance(thread.error, KeyboardInterrupt)


def test_blocks_within_blocks():
    outer, inner = threading.Event(), threading.Event()
    with stoppable(outer):
        assert asked_to_stop() is outer
        with stoppable(inner):
            assert asked_to_stop() is inner
        assert asked_to_stop() is outer
        with pytest.raises(ParameterError), stoppable(inner):
            raise ParameterError("the block is left by an exception")
        assert asked_to_stop() is outer
    assert asked_to_stop() not in (outer, inner)


def test_outside_each_ensemble_has_an_event_of_its_own():
    one, other = asked_to_stop(), asked_to_stop()
    assert one is not other
    assert not one.is_set()


def test_other_threads_are_not_affected():
    """Neither one that runs beside the block nor one that was begun within it."""
    stop, found = threading.Event(), []
    stop.set()

    def work():
        found.append(asked_to_stop())
        found.append(run_all(lambda run, _: run, range(3), workers=1, progress=False, label="test"))

    with stoppable(stop):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found[0] is not stop
    assert found[1] == ([0, 1, 2], False)


def test_two_ensembles_of_two_threads_end_one_by_one():
    stops = [threading.Event(), threading.Event()]

    def endless(_, event):
        until(event.is_set)
        raise_if_set(event)

    def ensemble():
        return run_all(endless, range(2), workers=2, progress=False, label="test")

    threads = [Elsewhere(ensemble, stop) for stop in stops]
    for thread in threads:
        assert thread.inside.wait(20)
    stops[1].set()
    threads[1].join(20)
    assert threads[1].answer == ([None, None], True)
    assert threads[0].is_alive()
    stops[0].set()
    threads[0].join(20)
    assert threads[0].answer == ([None, None], True)


def test_an_ensemble_that_fails_sets_the_event_and_one_that_ends_well_does_not():
    stop = threading.Event()

    def failing(run, event):
        if run == 1:
            raise ZeroDivisionError
        until(event.is_set)
        raise_if_set(event)

    with stoppable(stop):
        run_all(lambda run, _: run, range(3), workers=2, progress=False, label="test")
        assert not stop.is_set()
        with pytest.raises(ZeroDivisionError):
            run_all(failing, range(2), workers=2, progress=False, label="test")
    assert stop.is_set()


def test_ctrl_c_within_a_block():
    """As without: the ensemble ends, and says so through the event."""
    stop = threading.Event()

    def signalled(run, event):
        if run == 1:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            until(event.is_set)
        return run

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with stoppable(stop):
            results, interrupted = run_all(signalled, range(5), workers=1, progress=False, label="test")
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted
    assert stop.is_set()
    assert results == [0, 1, None, None, None]


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("double-descent", (TwoScale(samples=12, dimension=8, fast=4), GradientDescent(learning_rate=0.1), [0, 9])),
        ("scaling-laws", (PowerLawRandomFeatures(dimension=20), SGD(), [0, 9])),
        ("gradient-starvation", (TwoSamples(), PrimalDescent(), [0, 9])),
        ("gradient-starvation", (TwoMoons(samples=20, hidden_units=8), MomentumDescent(), [0, 9])),
    ],
    ids=["teachers", "features", "coupled", "moons"],
)
def test_what_is_left_has_the_form_of_the_whole(name, question):
    simulate, stop = phenomenon(name).simulations.simulate, threading.Event()
    stop.set()
    with stoppable(stop), pytest.raises(Interrupted) as left:
        simulate(*question, runs=2)
    whole, partial = simulate(*question, runs=2), left.value.partial
    assert partial.sizes == whole.sizes
    assert {key: one.dims for key, one in partial.items()} == {key: one.dims for key, one in whole.items()}
