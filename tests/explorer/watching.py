"""A controller that is watched, theory that waits, and simulations that do not end by themselves."""

import json
import threading

import pytest
import xarray as xr

from figures.explorer import controller as module
from figures.explorer.controller import Controller
from figures.explorer.streaming import theory_of
from tests.explorer.views import SCALES, double, until

#: Seconds after which what was told to end has ended.
SOON = 20.0  # s, of work that would take minutes
#: Views of one problem at different noise.
NOISY = [double(SCALES.model_copy(update={"noise": 0.01 * k}), method="exact") for k in range(40)]


def described(answer):
    return json.loads(answer.attrs["problem"]), json.loads(answer.attrs["algorithm"])


def wanted(shown):
    asked = shown.question.settled()
    return json.loads(asked.problem.to_json()), json.loads(asked.algorithm.to_json())


class Watched:
    """A controller, every screen that it told of, and a check that each of them is of a piece."""

    def __init__(self, gate=None):
        self.screens, self.faults, self.closed = [], [], False
        self.controller = Controller(self.changed, gate)
        self.close, self.stop, self.simulate = (
            getattr(self.controller, name) for name in ("close", "stop", "simulate")
        )

    def changed(self):
        screen = self.controller.screen
        self.screens.append(screen)
        if self.closed:
            self.faults.append("told after it was closed")
        for answer, shown in ((screen.theory, screen.shown), (screen.runs, screen.shown), *(
            (answer, shown) for shown, answer in screen.kept
        )):  # fmt: skip
            if isinstance(answer, xr.Dataset) and described(answer) != wanted(shown):
                self.faults.append(f"an answer to another question: {answer.attrs['problem']}")
        if screen.comparison is not None and (
            screen.runs is None or described(screen.comparison) != wanted(screen.shown)
        ):
            self.faults.append("a comparison of something else")
        if screen.comparison is not None and screen.comparison.attrs["runs"] > screen.runs.sizes["run"]:
            self.faults.append("a comparison of other runs")

    @property
    def screen(self):
        return self.controller.screen

    def show(self, shown, kept=()):
        self.controller.show(shown, kept)

    def shown(self, shown, kept=()):
        """Show a view, and wait for it."""
        self.show(shown, kept)
        until(lambda: self.screen.shown == shown and not self.screen.asking)

    def ended(self):
        until(lambda: not self.screen.simulating)

    @property
    def words(self):
        return "\n".join(self.screen.messages)


class SlowTheory:
    """Theory that waits for a permit before each answer, and knows what it was asked."""

    def __init__(self, monkeypatch):
        self.asked, self.permits, self.real = [], threading.Semaphore(0), theory_of
        monkeypatch.setattr(module, "theory_of", self)

    def __call__(self, shown):
        self.asked.append(shown)
        assert self.permits.acquire(timeout=20)
        return self.real(shown)


@pytest.fixture
def watched():
    made = []

    def make(gate=None):
        made.append(Watched(gate))
        return made[-1]

    yield make
    for one in made:
        one.close(wait=20.0)
        assert one.faults == []
        assert not any(thread.is_alive() for thread in one.controller._threads)


@pytest.fixture
def slow(monkeypatch):
    return SlowTheory(monkeypatch)


@pytest.fixture
def endless(monkeypatch):
    """Simulations that give two batches of two runs and then wait to be stopped; what they are at work on."""
    at_work, real = [], module.stream

    def stream(shown, stop):
        at_work.append(shown)
        batches = real(shown, stop)
        yield next(batches)
        yield next(batches)
        assert stop.wait(20)

    monkeypatch.setattr(module, "stream", stream)
    return at_work
