"""The two errors of the package, and the commonest check."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DivergenceError", "ParameterError", "known"]


class ParameterError(ValueError):
    """A parameter is not allowed: the message names it, its meaning, what is allowed and what came."""


class DivergenceError(ArithmeticError):
    """A run left the finite range.

    Attributes
    ----------
    step : int
        Step (for gradient flow: the first requested time, as an index) at which the run was seen to diverge.
    bound : str
        The stability bound that was broken, in words and numbers.
    partial : xarray.Dataset or None
        Everything computed until then; diverged runs hold ``nan`` from their ``diverged_at`` on.
    """

    def __init__(self, message: str, *, step: int, bound: str, partial: xr.Dataset | None = None) -> None:
        super().__init__(message)
        self.step = step
        self.bound = bound
        self.partial = partial


def known(what: str, name: str, names: Iterable[str]) -> str:
    """Return ``name`` if it is one of ``names``; otherwise say which there are, and which one is the nearest.

    Examples
    --------
    >>> known("method", "exakt", ["exact", "finite"])
    Traceback (most recent call last):
    dynamics.errors.ParameterError: method must be one of exact, finite; got 'exakt' (did you mean exact?)
    """
    have = list(names)
    if name in have:
        return name
    near = difflib.get_close_matches(str(name), have, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ParameterError(f"{what} must be one of {', '.join(have)}; got {name!r}{hint}")
