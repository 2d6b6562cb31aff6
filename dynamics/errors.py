"""The two errors of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DivergenceError", "ParameterError"]


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
