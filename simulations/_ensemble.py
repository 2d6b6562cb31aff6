"""Many independent runs on a few threads: the same bits for any number of workers, and a clean end on Ctrl-C."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from dynamics.errors import ParameterError
from dynamics.parameters import check_whole
from dynamics.threads import single_threaded

__all__ = ["check_memory", "check_workers", "run_all"]

#: Largest working memory of a call, in bytes: what would need more is refused before anything is allocated.
MEMORY_BUDGET = 8 * 2**30

T = TypeVar("T")


def check_workers(workers: int | None) -> int:
    """Return the number of threads to use; none means one for each processor that this process may use."""
    if workers is not None:
        return check_whole("workers", workers, at_least=1)
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_memory(numbers: int, what: str) -> None:
    """Refuse a call whose ``numbers`` double-precision values exceed the memory budget; ``what`` is the advice."""
    if 8 * numbers > MEMORY_BUDGET:
        raise ParameterError(f"{what}: this would need {8 * numbers:,} bytes, allowed are {MEMORY_BUDGET:,}")


def run_all(
    one: Callable[[int, threading.Event], T], runs: Sequence[int], *, workers: int, progress: bool, label: str
) -> tuple[list[T | None], bool]:
    """Call ``one(run, stop)`` for every run and return the results in their order, and whether it was interrupted.

    ``stop`` is set on Ctrl-C: no further run starts, those at work may raise ``CancelledError`` when they see it, and
    what is not finished is None. Any other exception of a run ends the ensemble and is raised here. BLAS and LAPACK are
    held to one thread meanwhile: their last bits depend on the number of threads, and the threads are over runs.
    """
    stop = threading.Event()
    interrupted = False
    futures: list[Future[T]] = []
    with (
        single_threaded(),
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=len(runs), desc=label, unit="run", disable=not progress) as bar,
    ):
        try:
            futures.extend(pool.submit(one, run, stop) for run in runs)
            for future in futures:
                future.result()
                bar.update()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    results = [_finished(future) for future in futures]
    return results + [None] * (len(runs) - len(results)), interrupted


def _finished(future: Future[T]) -> T | None:
    try:
        return future.result()
    except (CancelledError, KeyboardInterrupt):
        return None
