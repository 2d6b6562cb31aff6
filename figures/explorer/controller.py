"""What the explorer does, without a page: parameters in, curves out; the latest request wins, and runs stream in.

Two threads at most: one asks theory, one simulates. Whoever shows the result is told that something has changed, and
reads the :class:`Screen`, which is whole and never changes itself.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dynamics.errors import ParameterError
from dynamics.memory import memory_budget
from dynamics.stopping import stoppable
from figures.comparison import compare
from figures.explored import Explored, Shown
from figures.explorer.streaming import MEMORY, REFUSALS, stream, theory_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MOST_KEPT", "REFUSALS", "Controller", "Screen"]

#: Curves that can be kept beside the others.
MOST_KEPT = 4
_MESSAGES = 50
#: Seconds after which theory gives up a question for the next one, where it can; quick answers are all shown.
_PATIENCE = 0.5


@dataclass(frozen=True)
class Screen:
    """Everything that there is to be seen.

    ``shown`` is what theory and runs answer, ``theory`` its answer or why there is none, ``seen`` what is to be seen in
    words (empty until that is known), ``kept`` other views with what theory says of them; ``asking`` and ``simulating``
    tell what is at work.
    """

    shown: Shown | None = None
    theory: xr.Dataset | str | None = None
    seen: str = ""
    kept: tuple[tuple[Shown, xr.Dataset | str], ...] = ()
    runs: xr.Dataset | None = None
    comparison: xr.Dataset | None = None
    asking: bool = False
    simulating: bool = False
    messages: tuple[str, ...] = ()


class _Late(threading.Event):
    """Set when nobody waits any more for what was begun with it; ``late(spent)`` says so after so many seconds."""

    def __init__(self, late: Callable[[float], bool]) -> None:
        super().__init__()
        self._begun, self._late = time.perf_counter(), late

    def is_set(self) -> bool:
        return super().is_set() or self._late(time.perf_counter() - self._begun)


class Controller:
    """Asks theory and simulates on threads of its own.

    Parameters
    ----------
    changed : callable
        Called, from any thread, after each change of :attr:`screen`.
    gate : semaphore, optional
        How many simulations may be at work in all; another one waits.
    theory_gate : semaphore, optional
        How many questions to theory may be.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        gate: threading.Semaphore | None = None,
        theory_gate: threading.Semaphore | None = None,
    ) -> None:
        self._changed = changed
        self._gate = gate or threading.Semaphore()
        self._theory_gate = theory_gate or threading.Semaphore()
        self._lock = threading.Condition()
        self._screen = Screen()
        self._wanted: tuple[Shown, tuple[Shown, ...]] | None = None
        self._simulated: Shown | None = None
        self._stop = threading.Event()
        self._closed = False
        self._threads = [threading.Thread(target=self._ask_theory, name="theory", daemon=True)]
        self._threads[0].start()

    @property
    def screen(self) -> Screen:
        """What there is to be seen now."""
        return self._screen

    def show(self, shown: Shown, kept: tuple[Shown, ...] = ()) -> None:
        """Ask theory about a view and those kept; the latest request wins, and runs of another view end."""
        with self._telling():
            self._wanted = shown, kept[-MOST_KEPT:]
            if self._simulated not in (None, shown):
                self._stop.set()
            self._set(asking=True)

    def simulate(self, shown: Shown) -> bool:
        """Start the runs of a view that was shown; return False while others are still at work."""
        with self._telling():
            if self._closed or self._simulated is not None:
                return False
            self._simulated, self._stop = shown, threading.Event()
            thread = threading.Thread(target=self._simulate, args=(shown, self._stop), name="simulation", daemon=True)
            self._threads = [self._threads[0], thread]
            self._set(simulating=True)
            thread.start()
        return True

    def stop(self) -> None:
        """End the simulation; the runs that are finished stay."""
        with self._lock:
            self._stop.set()
            self._lock.notify_all()

    def close(self, *, wait: float = 0.0) -> None:
        """End all work, and wait for it at most so many seconds; nothing is told from now on."""
        with self._lock:
            self._closed = True
            self._stop.set()
            self._lock.notify_all()
        end = time.monotonic() + wait
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    def say(self, message: str) -> None:
        """Put a message, with the time of day, below the others."""
        with self._telling():
            self._set(messages=(*self._screen.messages, f"{time.strftime('%H:%M:%S')}  {message}")[-_MESSAGES:])

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Hold the lock, and tell of a change after giving it back: who is told may wait for others who need it."""
        with self._lock:
            before = self._screen
            yield
            self._lock.notify_all()
            changed = self._screen is not before
        if changed and not self._closed:
            self._changed()

    def _set(self, **changes: Any) -> None:
        if not self._closed:
            self._screen = replace(self._screen, **changes)

    def _ask_theory(self) -> None:
        answers: dict[Shown, xr.Dataset | str] = {}  # of what is kept
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._wanted is not None or self._closed)
                if self._closed or self._wanted is None:
                    return
                (shown, kept), self._wanted = self._wanted, None
            late = _Late(lambda spent: self._closed or (self._wanted is not None and spent > _PATIENCE))
            try:
                for one in kept:
                    if one not in answers:
                        answers[one] = self._answer(one, late)
                answers = {one: answers[one] for one in kept}
                changes: dict[str, Any] = {"kept": tuple(answers.items())}
                if shown != self._screen.shown:
                    theory = self._answer(shown, late)
                    changes |= {"shown": shown, "theory": theory, "seen": "", "runs": None, "comparison": None}
            except (CancelledError, KeyboardInterrupt):  # as ensembles end that are stopped
                continue
            with self._telling():
                self._set(**changes)
            self._look()

    def _answer(self, shown: Shown, late: threading.Event) -> xr.Dataset | str:
        """Return what theory says, or why it does not."""
        while True:
            if late.is_set():
                raise CancelledError
            if self._theory_gate.acquire(timeout=0.1):
                break
        try:
            with stoppable(late), memory_budget(MEMORY):
                return theory_of(shown)
        except REFUSALS as error:
            return str(error)
        except CancelledError:
            raise
        except Exception as error:
            return _fault(error)
        finally:
            self._theory_gate.release()

    def _look(self) -> None:
        """Say what is to be seen, after the curves, which do not wait for it, and unless there is more to be asked."""
        with self._lock:
            screen = self._screen
        seen = screen.seen if self._wanted or screen.seen else _seen(screen)
        with self._telling():
            self._set(asking=self._wanted is not None, seen=seen)

    def _simulate(self, shown: Shown, stop: threading.Event) -> None:
        try:
            with self._lock:  # theory comes first
                self._lock.wait_for(lambda: self._screen.shown == shown or stop.is_set())
                theory = self._screen.theory
            if self._through_the_gate(stop):
                try:
                    self._stream(shown, theory, stop)
                finally:
                    self._gate.release()
        except REFUSALS as error:
            self.say(f"not simulated: {error}")
        except Exception as error:
            self.say(_fault(error))
        finally:
            with self._telling():
                self._simulated = None
                self._set(simulating=False)

    def _through_the_gate(self, stop: threading.Event) -> bool:
        if self._gate.acquire(blocking=False):
            return True
        self.say("waiting for the simulation of another page to end")
        while not stop.is_set():
            if self._gate.acquire(timeout=0.1):
                return True
        return False

    def _stream(self, shown: Shown, theory: xr.Dataset | str | None, stop: threading.Event) -> None:
        wanted, begun, done, ended, refused = shown.question.ensemble.runs, time.perf_counter(), 0, "", ""
        for batch in stream(shown, stop):
            done, ended = batch.runs.sizes["run"], batch.ended
            theory = theory if batch.theory is None else batch.theory
            compared = _compared(theory, batch.runs)
            if isinstance(compared, str) and compared != refused:  # of each batch the same
                refused = compared
                self.say(f"not compared: {refused}")
            comparison = None if isinstance(compared, str) else compared
            with self._telling():
                if self._screen.shown == shown:
                    self._set(theory=theory, runs=batch.runs, comparison=comparison)
        how = ended or ("finished" if done == wanted else "stopped")
        self.say(f"simulation {how}: {done} of {wanted} runs in {time.perf_counter() - begun:.1f} s")


def _compared(theory: xr.Dataset | str | None, runs: xr.Dataset) -> xr.Dataset | str | None:
    """Return the comparison, why there is none, or None where there is nothing to compare."""
    if theory is None or isinstance(theory, str) or runs.sizes["run"] < 2:
        return None
    try:
        return compare(theory, runs)
    except ParameterError as error:
        return str(error)


def _seen(screen: Screen) -> str:
    if screen.shown is None or (seen := Explored.of(screen.shown.question.phenomenon).seen) is None:
        return ""
    asked, theory = screen.shown.question, screen.theory
    try:
        return seen(asked.problem, asked.algorithm, None if isinstance(theory, str) else theory)
    except Exception as error:
        return _fault(error)


def _fault(error: Exception) -> str:
    """Say that the program is at fault; its threads must live on, and the traceback be seen where it was started."""
    traceback.print_exception(error)
    return f"a fault of the program, please report it: {type(error).__name__}: {error}"
