"""Theory of a view, and its runs in batches: what the threads of the explorer compute, bit for bit as asked at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

import xarray as xr

from dynamics.errors import DivergenceError, Interrupted, ParameterError
from dynamics.memory import memory_budget
from dynamics.stopping import stoppable
from figures.explored import Shown

__all__ = ["MEMORY", "REFUSALS", "Batch", "finished", "stream", "theory_of"]

#: What theory or a simulation raises when it cannot answer.
REFUSALS = (ParameterError, ArithmeticError, MemoryError)

#: Bytes that one call may take: several pages may be open.
MEMORY = 2**30
#: A batch of runs is as many as take about this long, so that the band tightens before one's eyes.
_BATCH_SECONDS = 0.5


class Batch(NamedTuple):
    """All runs so far, theory for their data where it answers for given data, and why there are no more."""

    runs: xr.Dataset
    theory: xr.Dataset | None
    ended: str = ""


def theory_of(shown: Shown) -> xr.Dataset:
    """Ask theory; where it answers for given data, for those of the first run."""
    asked = shown.question.settled()
    if asked.on_data:
        asked = replace(asked, ensemble=asked.ensemble.model_copy(update={"runs": 1}))
    return asked.theory(shown.times.values())


def stream(shown: Shown, stop: threading.Event) -> Iterator[Batch]:
    """Simulate the runs of a view in batches until all are there, one diverged, or ``stop`` is set.

    Raises
    ------
    ParameterError, ArithmeticError, MemoryError
        What the simulation refuses; where theory does, there are runs without it.
    """
    wanted, size = shown.question.ensemble.runs, 2
    made = Batch(xr.Dataset(), None)
    while (done := made.runs.sizes.get("run", 0)) < wanted and not stop.is_set():
        started, size = time.perf_counter(), min(size, wanted - done)
        fresh = _batch(shown, done, size, stop)
        if fresh is not None:
            theory = None
            if fresh.theory is not None and (made.theory is not None or not done):  # of all runs, or of none
                theory = _joined(made.theory, fresh.theory)
            made = Batch(_joined(made.runs, fresh.runs), theory, fresh.ended)
            yield made
        if fresh is None or made.ended:
            return
        each = (time.perf_counter() - started) / size
        size = max(1, min(2 * size, int(_BATCH_SECONDS / each)))


def _batch(shown: Shown, first_run: int, runs: int, stop: threading.Event) -> Batch | None:
    """Simulate a few runs; return None where none of them was finished before ``stop``."""
    asked = shown.question.settled()
    asked = replace(asked, ensemble=asked.ensemble.model_copy(update={"runs": runs}))
    times, exact = shown.times.values(), None
    try:
        with stoppable(stop), memory_budget(MEMORY):
            if asked.on_data:
                with suppress(*REFUSALS):  # they are told beside the theory of the first run
                    exact = asked.theory(times, first_run=first_run)
            return Batch(asked.simulated(times, first_run=first_run), exact)
    except DivergenceError as error:
        if error.partial is None:
            raise
        return Batch(error.partial, exact, f"diverged: {error}")
    except Interrupted as error:
        return finished(error.partial, exact)
    except (KeyboardInterrupt, CancelledError):  # while data were drawn, or in theory
        return None


def finished(partial: xr.Dataset, exact: xr.Dataset | None) -> Batch | None:
    """Return the first runs of an interrupted batch that are finished, without a gap, so that they can be had again."""
    cancelled = (partial["outcome"] != "finished").values
    count = int(cancelled.argmax()) if cancelled.any() else cancelled.size
    if not count:
        return None
    first = slice(0, count)
    return Batch(partial.isel(run=first), None if exact is None else exact.isel(run=first))


def _joined(before: xr.Dataset | None, after: xr.Dataset) -> xr.Dataset:
    """Join runs; what does not depend on the run is the same in both."""
    if not before:
        return after
    return xr.concat(
        [before, after], "run", data_vars="minimal", coords="minimal", compat="override", combine_attrs="drop_conflicts"
    )
