"""Theory: the latest request wins, and the screen is always of a piece."""
# ruff: noqa: F811 - fixtures are imported

from dataclasses import replace

import pytest
import xarray as xr

from dynamics.algorithms import GradientDescent, GradientFlow
from figures.explored import Explored
from figures.explorer import controller as module
from figures.explorer.controller import MOST_KEPT, REFUSALS, Screen
from figures.explorer.streaming import theory_of
from tests.explorer.views import VIEWS, double, until
from tests.explorer.watching import NOISY, slow, watched  # noqa: F401 - fixtures are among them

# --- theory


def test_at_first_there_is_nothing(watched):
    assert watched().screen == Screen()


def test_a_view_is_answered(watched):
    one = watched()
    one.shown(NOISY[3])
    xr.testing.assert_identical(one.screen.theory, theory_of(NOISY[3]))
    assert one.screen.seen.startswith(("Single", "Double", "No ", "Triple"))
    assert (one.screen.runs, one.screen.comparison, one.screen.kept) == (None, None, ())


def test_of_many_quick_requests_the_first_and_the_last_are_answered(watched, slow):
    one = watched()
    one.show(NOISY[0])
    until(lambda: slow.asked == NOISY[:1])
    for shown in NOISY[1:30]:
        one.show(shown)
    assert one.screen.asking
    slow.permits.release(30)
    until(lambda: one.screen.shown == NOISY[29] and not one.screen.asking)
    assert slow.asked == [NOISY[0], NOISY[29]]
    told = len(one.screens)
    one.controller._threads[0].join(0.1)
    assert len(one.screens) == told
    assert one.screen.shown == NOISY[29]
    assert [screen.shown for screen in one.screens if screen.shown] == sorted(
        (screen.shown for screen in one.screens if screen.shown), key=NOISY.index
    )


def test_asking_is_told_until_the_last_answer(watched, slow):
    """Also while the answer before the last one is put on the screen."""
    one = watched()
    assert not one.screen.asking
    one.show(NOISY[0])
    assert one.screen.asking
    until(lambda: len(slow.asked) == 1)
    one.show(NOISY[1])
    slow.permits.release()
    until(lambda: one.screen.shown == NOISY[0])
    assert one.screen.asking
    slow.permits.release()
    until(lambda: not one.screen.asking)
    assert one.screen.shown == NOISY[1]


def test_the_same_view_is_not_asked_again(watched, slow):
    one = watched()
    slow.permits.release(9)
    one.shown(NOISY[0])
    before = one.screen.theory
    one.shown(NOISY[0])
    assert one.screen.theory is before
    assert slow.asked == NOISY[:1]


def test_while_theory_is_at_work_the_screen_stays(watched, slow):
    one = watched()
    slow.permits.release()
    one.shown(NOISY[0])
    before = one.screen
    one.show(NOISY[1])
    until(lambda: len(slow.asked) == 2)
    assert one.screen == replace(before, asking=True)
    slow.permits.release()
    until(lambda: one.screen.shown == NOISY[1])
    assert before.shown == NOISY[0]  # a screen never changes itself


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (double(algorithm=GradientFlow(rates=(1.0,) * 3)), "rates (relative learning rate of each block"),
        (double(algorithm=GradientDescent(learning_rate=30.0)), "learning_rate (step size) must be at most"),
        (VIEWS["moons, no theory"], "method 'linearised' needs TwoMoons and MomentumDescent"),
    ],
)
def test_refused_theory_is_said(watched, shown, words):
    one = watched()
    one.shown(shown)
    assert one.screen.theory.startswith(words)
    assert isinstance(one.screen.seen, str)
    assert "fault" not in one.screen.seen
    one.shown(NOISY[0])
    assert isinstance(one.screen.theory, xr.Dataset)


@pytest.mark.parametrize("kind", [*REFUSALS, ZeroDivisionError])
def test_what_theory_may_raise(watched, monkeypatch, kind):
    def refused(shown):
        raise kind("not this one")

    monkeypatch.setattr(module, "theory_of", refused)
    one = watched()
    one.shown(NOISY[0])
    assert one.screen.theory == "not this one"


def test_a_fault_in_theory_is_told_and_the_thread_lives_on(watched, monkeypatch, capsys):
    def faulty(shown):
        if shown == NOISY[0]:
            raise KeyError("lost")
        return theory_of(shown)

    monkeypatch.setattr(module, "theory_of", faulty)
    one = watched()
    one.shown(NOISY[0], (NOISY[0],))
    assert one.screen.theory == "a fault of the program, please report it: KeyError: 'lost'"
    assert one.screen.kept == ((NOISY[0], one.screen.theory),)
    assert "KeyError: 'lost'" in capsys.readouterr().err
    one.shown(NOISY[1])
    assert isinstance(one.screen.theory, xr.Dataset)


def test_a_fault_in_words_is_told_and_the_thread_lives_on(watched, monkeypatch, capsys):
    given = []

    def seen(problem, algorithm, theory):
        given.append((problem, algorithm, theory))
        if problem.noise == 0.0:
            raise IndexError("no words")
        return "words"

    monkeypatch.setattr(Explored, "of", classmethod(lambda cls, chosen: Explored(seen=seen)))
    one = watched()
    one.shown(NOISY[0])
    assert one.screen.seen == "a fault of the program, please report it: IndexError: no words"
    assert isinstance(one.screen.theory, xr.Dataset)
    assert "IndexError: no words" in capsys.readouterr().err
    one.shown(double(algorithm=GradientFlow(rates=(1.0,) * 3)))
    assert one.screen.seen == "words"
    assert given[1][2] is None
    xr.testing.assert_identical(given[0][2], theory_of(NOISY[0]))


def test_a_phenomenon_that_says_nothing(watched, monkeypatch):
    monkeypatch.setattr(Explored, "of", classmethod(lambda cls, chosen: Explored()))
    one = watched()
    one.shown(NOISY[0])
    assert one.screen.seen == ""


# --- kept views


def test_kept_views_are_answered_once(watched, slow):
    slow.permits.release(99)
    one = watched()
    one.shown(NOISY[0], (NOISY[1], NOISY[2]))
    assert sorted(slow.asked, key=NOISY.index) == NOISY[:3]
    before = dict(one.screen.kept)
    one.shown(NOISY[3], (NOISY[2], NOISY[4]))
    assert sorted(slow.asked[3:], key=NOISY.index) == NOISY[3:5]
    assert [shown for shown, _ in one.screen.kept] == [NOISY[2], NOISY[4]]
    assert one.screen.kept[0][1] is before[NOISY[2]]
    one.shown(NOISY[3])
    assert one.screen.kept == ()
    for shown, answer in before.items():
        xr.testing.assert_identical(answer, theory_of(shown))


def test_keeping_leaves_theory_and_runs(watched):
    one = watched()
    one.shown(NOISY[0])
    assert one.simulate(NOISY[0])
    one.ended()
    before = one.screen
    one.shown(NOISY[0], (NOISY[1],))
    assert one.screen.runs is before.runs
    assert one.screen.theory is before.theory
    assert one.screen.comparison is before.comparison


def test_the_last_ones_are_kept(watched):
    one = watched()
    one.shown(NOISY[0], tuple(NOISY[: MOST_KEPT + 3]))
    assert [shown for shown, _ in one.screen.kept] == NOISY[3 : MOST_KEPT + 3]
