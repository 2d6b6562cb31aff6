"""Stopping an ensemble from another thread, where no Ctrl-C reaches it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["asked_to_stop", "checkpoint", "stoppable"]

_STOP: ContextVar[threading.Event | None] = ContextVar("stop", default=None)


@contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """End the ensembles that this thread starts within the block as Ctrl-C would, once ``stop`` is set.

    They raise :class:`dynamics.errors.Interrupted` with what is finished. An ensemble that ends otherwise than well
    sets ``stop`` itself.
    """
    token = _STOP.set(stop)
    try:
        yield
    finally:
        _STOP.reset(token)


def asked_to_stop() -> threading.Event:
    """Return the event of the block that this thread is in, or a new one that nobody else knows."""
    return _STOP.get() or threading.Event()


def checkpoint() -> None:
    """End a long calculation (CancelledError) if the block that this thread is in has been asked to stop."""
    if (stop := _STOP.get()) is not None and stop.is_set():
        raise CancelledError
