"""The errors of the package, the commonest check, and how an error writes down what came."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["DivergenceError", "Interrupted", "MissingLibraryError", "ParameterError", "known", "shown"]


class ParameterError(ValueError):
    """A parameter is not allowed: the message names it, its meaning, what is allowed and what came."""


class MissingLibraryError(ParameterError):
    """A library that comes with an extra of the package is not installed; the message names both."""


class DivergenceError(ArithmeticError):
    """A run left the finite range.

    Attributes
    ----------
    step : int
        Step at which the run was seen to diverge.
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

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it cross process borders, attributes included (keyword-only arguments do not by themselves)."""
        return _remade, (type(self), str(self), self.__dict__)


class Interrupted(KeyboardInterrupt):
    """An ensemble was interrupted (Ctrl-C).

    Attributes
    ----------
    partial : xarray.Dataset
        The answer with all runs that were finished; the others have the outcome "cancelled" and hold ``nan``.
    """

    def __init__(self, message: str, *, partial: xr.Dataset) -> None:
        super().__init__(message)
        self.partial = partial

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it cross process borders, the partial answer included."""
        return _remade, (type(self), str(self), self.__dict__)


def _remade(kind: type[Any], message: str, attributes: dict[str, Any]) -> Any:
    return kind(message, **attributes)


class _Short(reprlib.Repr):
    """Long, deep and endless values are cut, and a value that cannot be written is named by its type."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = 80

    def repr_int(self, x: int, level: int) -> str:
        """Write large integers by their size: Python itself refuses to write more than 4300 digits."""
        return repr(x) if x.bit_length() <= 256 else f"an integer of {x.bit_length()} bits"


_SHORT = _Short()


def shown(value: object) -> str:
    """Write any value on one line of bounded length, as error messages need it.

    Examples
    --------
    >>> shown("abc"), shown(10**400), shown(list(range(100)))
    ("'abc'", 'an integer of 1329 bits', '[0, 1, 2, 3, 4, 5, ...]')
    """
    return " ".join(_SHORT.repr(value).splitlines())


def known(what: str, name: str, names: Iterable[str]) -> str:
    """Return ``name`` if it is one of ``names``; otherwise say which there are, and which one is the nearest.

    Examples
    --------
    >>> known("method", "exakt", ["exact", "finite"])
    Traceback (most recent call last):
    dynamics.errors.ParameterError: method must be one of exact, finite; got 'exakt' (did you mean exact?)
    """
    have = list(names)
    if not isinstance(name, str):
        raise ParameterError(f"{what} must be one of {', '.join(have)}; got {shown(name)}")
    if name in have:
        return name
    near = [one for one in have if one.endswith(f"/{name}")] or difflib.get_close_matches(name, have, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ParameterError(f"{what} must be one of {', '.join(have)}; got {shown(name)}{hint}")
