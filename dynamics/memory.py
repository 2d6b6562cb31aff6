"""The memory that one call may take: what would need more is refused before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from dynamics.errors import ParameterError

__all__ = ["MEMORY_BUDGET", "check_memory", "memory_budget"]

#: Largest working memory of a call, in bytes.
MEMORY_BUDGET = 8 * 2**30

_BUDGET: ContextVar[int | None] = ContextVar("budget", default=None)


@contextmanager
def memory_budget(allowed: int) -> Iterator[None]:
    """Allow the calls that this thread makes within the block another number of bytes."""
    token = _BUDGET.set(allowed)
    try:
        yield
    finally:
        _BUDGET.reset(token)


def check_memory(numbers: int, what: str) -> None:
    """Refuse a call whose ``numbers`` double-precision values exceed the memory budget; ``what`` is the advice."""
    allowed = _BUDGET.get() or MEMORY_BUDGET
    if 8 * numbers > allowed:
        raise ParameterError(f"{what}: this would need {8 * numbers:,} bytes, allowed are {allowed:,}")
