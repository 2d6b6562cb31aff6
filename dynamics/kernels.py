"""The one place where compiled kernels get their options.

Import it only from modules that run kernels: it imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

__all__ = ["kernel"]

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile at the first call, cached on disk, releasing the GIL, with numpy's rules for division and strict floats.

    Where no cache folder is writable (set ``NUMBA_CACHE_DIR`` then) the kernel is compiled anew by each process.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False}
    try:
        compiled = njit(cache=True, **options)(function)
    except RuntimeError:  # numba's "no locator available": neither the package nor the home cache is writable
        compiled = njit(**options)(function)
    return compiled  # type: ignore[no-any-return]
