"""Independent random streams, addressed by seed, run and source, so that any run can be drawn again on its own."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

__all__ = ["Source", "stream"]


class Source(IntEnum):
    """Where randomness comes from. Each source has a stream of its own: one can vary while the others stay.

    The numbers are part of what a seed means: append new sources, never change one.
    """

    INPUTS = 0
    TEACHER = 1
    LABEL_NOISE = 2
    TEST_INPUTS = 3
    FEATURES = 4
    PATH = 5


def stream(seed: int, run: int, source: Source, *more: int) -> np.random.Generator:
    """Return the generator of one source in one run; ``more`` numbers repetitions within the run.

    Examples
    --------
    >>> first, again = (stream(0, 7, Source.INPUTS).standard_normal() for _ in range(2))
    >>> first == again
    True
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(run, int(source), *more))
    return np.random.Generator(np.random.PCG64DXSM(sequence))
