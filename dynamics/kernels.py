"""The one place where compiled kernels get their options.

Import it only from modules that run kernels: it imports numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

__all__ = ["kernel", "vector_kernel"]

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile at the first call, cached on disk, releasing the GIL, with numpy's rules for division and strict floats.

    Where no cache folder is writable (set ``NUMBA_CACHE_DIR`` then) the kernel is compiled anew by each process.
    """
    return _compiled(function, fastmath=False)


def vector_kernel(function: F) -> F:
    """Compile like :func:`kernel`, but into its callers, and free to change the order of sums, so that loops vectorise.

    The last bits then depend on the processor's vectors. Infinities and nan keep their meaning.
    """
    return _compiled(function, fastmath={"reassoc", "contract", "arcp", "nsz"})


def _compiled(function: F, fastmath: Any) -> F:
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
    options["forceinline"] = bool(fastmath)
    try:
        compiled = njit(cache=True, **options)(function)
    except RuntimeError:  # numba's "no locator available": neither the package nor the home cache is writable
        compiled = njit(**options)(function)
    return compiled  # type: ignore[no-any-return]
