"""Linear algebra on one thread: BLAS and LAPACK change their last bits with their number of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import OpenBLASController, ThreadpoolController

__all__ = ["single_threaded"]

_LOCK = threading.Lock()
#: One entry for each block that is open; the limit itself, which is the process's, is the first.
_HELD: list[Any] = []


@contextmanager
def single_threaded() -> Iterator[None]:
    """Hold BLAS and LAPACK to one thread until the last of the blocks that asked for it ends, in any thread."""
    with _LOCK:
        _HELD.append(None if _HELD else _limit())
    try:
        yield
    finally:
        with _LOCK:
            limit = _HELD.pop() if len(_HELD) > 1 else _HELD.pop(0)
            if limit is not None:
                _release(limit)


def _limit() -> Any:
    # OpenBLAS obeys only the thread that set the limit last, which need not be the one whose block ends last
    OpenBLASController.clear_controlling_thread(force=True)
    return ThreadpoolController().limit(limits=1)


def _release(limit: Any) -> None:
    OpenBLASController.clear_controlling_thread(force=True)
    limit.restore_original_limits()
    OpenBLASController.clear_controlling_thread(force=True)
