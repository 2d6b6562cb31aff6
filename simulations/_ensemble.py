"""Many independent runs on a few threads: the same bits for any number of workers, and a clean end on Ctrl-C."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from tqdm import tqdm

from dynamics.errors import ParameterError
from dynamics.parameters import check_whole
from dynamics.stopping import asked_to_stop
from dynamics.threads import single_threaded

__all__ = ["check_runs", "check_workers", "raise_if_set", "run_all"]

T = TypeVar("T")


def check_runs(runs: int, first_run: int) -> range:
    """Return the run numbers, first_run to first_run + runs - 1; a stream's address has 32 bits for each."""
    count, first = check_whole("runs", runs, at_least=1), check_whole("first_run", first_run, at_least=0)
    if first + count > 2**32:
        raise ParameterError(f"first_run + runs must be at most 2^32, the number of streams; got {first + count}")
    return range(first, first + count)


def check_workers(workers: int | None) -> int:
    """Return the number of threads to use; none means one for each processor that this process may use."""
    if workers is not None:
        return check_whole("workers", workers, at_least=1)
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_all(
    one: Callable[[int, threading.Event], T], runs: Sequence[int], *, workers: int, progress: bool, label: str
) -> tuple[list[T | None], bool]:
    """Call ``one(run, stop)`` for every run and return the results in their order, and whether it was interrupted.

    ``stop`` is set on Ctrl-C, or from another thread (:mod:`dynamics.stopping`): no further run starts, those at work
    may raise ``CancelledError`` when they see it, and what is not finished is None. Any other exception of a run ends
    the ensemble and is raised here. BLAS and LAPACK are held to one thread meanwhile: their last bits depend on the
    number of threads, and the threads are over runs.
    """
    stop = asked_to_stop()
    interrupted = False
    results: list[T | None] = [None] * len(runs)
    with (
        single_threaded(),
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(runs), desc=label, unit="run", disable=not progress) as bar,
    ):
        pending: dict[Future[T], int] = {}
        places = iter(range(len(runs)))
        try:
            while True:
                raise_if_set(stop)
                # a few at a time: a million futures would need a gigabyte
                for place in itertools.islice(places, 4 * workers - len(pending)):
                    pending[pool.submit(one, runs[place], stop)] = place
                if not pending:
                    break
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    results[pending[future]] = future.result()
                    del pending[future]
                    bar.update()
        except (KeyboardInterrupt, CancelledError):  # the latter of a run that saw ``stop``
            interrupted = True
        finally:
            if pending:
                stop.set()
            pool.shutdown(cancel_futures=True)
    for future, place in pending.items():
        results[place] = _finished(future)
    return results, interrupted


def raise_if_set(stop: threading.Event) -> None:
    """End a run (CancelledError) whose ensemble has been asked to stop; long runs call it now and then."""
    if stop.is_set():
        raise CancelledError


def _finished(future: Future[T]) -> T | None:
    try:
        return future.result()
    except (CancelledError, KeyboardInterrupt):
        return None
