"""Compiling kernels before a user waits for them: once for each installation, in the background."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from figures.explored import Shown
from figures.explorer.controller import REFUSALS
from figures.explorer.streaming import theory_of

__all__ = ["Warming"]


class Warming:
    """Asks theory and simulation of some views once, in a thread of its own; ``done`` is set at the end."""

    def __init__(self, views: Sequence[Shown]) -> None:
        self.done = threading.Event()
        self._views = views
        self._thread = threading.Thread(target=self._warm, name="warming", daemon=True)
        self._thread.start()

    def _warm(self) -> None:
        for shown in self._views:
            asked = shown.question
            asked = replace(asked, ensemble=asked.ensemble.model_copy(update={"runs": 2, "workers": 1}))
            try:
                theory_of(shown)
                asked.settled().simulated(shown.times.values()[:2])
            except REFUSALS:  # the page says so where it is asked for
                continue
        self.done.set()
