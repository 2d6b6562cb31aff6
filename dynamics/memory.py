"""The memory that one call may take: what would need more is refused before anything is allocated."""

from __future__ import annotations

from dynamics.errors import ParameterError

__all__ = ["MEMORY_BUDGET", "check_memory"]

#: Largest working memory of a call, in bytes.
MEMORY_BUDGET = 8 * 2**30


def check_memory(numbers: int, what: str) -> None:
    """Refuse a call whose ``numbers`` double-precision values exceed the memory budget; ``what`` is the advice."""
    if 8 * numbers > MEMORY_BUDGET:
        raise ParameterError(f"{what}: this would need {8 * numbers:,} bytes, allowed are {MEMORY_BUDGET:,}")
