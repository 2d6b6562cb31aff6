"""Linear algebra on one thread: BLAS and LAPACK change their last bits with their number of threads."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["single_threaded"]


def single_threaded() -> AbstractContextManager[Any]:
    """Hold BLAS and LAPACK to one thread within the block."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=1)
    return limit


@functools.cache
def _controller() -> ThreadpoolController:
    # finding the libraries costs milliseconds, and numpy's are loaded by now
    return ThreadpoolController()
