"""The phenomena: module names that stand in all four layers, found without importing any of them."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType
from typing import NamedTuple

from dynamics.errors import ParameterError

__all__ = ["Phenomenon", "known", "phenomena", "phenomenon"]


class Phenomenon(NamedTuple):
    """One phenomenon in its four layers: problems and algorithms, theory, simulation, figures."""

    name: str
    dynamics: ModuleType
    analytic: ModuleType
    simulations: ModuleType
    figures: ModuleType


def phenomena() -> tuple[str, ...]:
    """Return the names of all phenomena, as written on the command line."""
    layers = []
    for layer in Phenomenon._fields[1:]:
        path = importlib.import_module(layer).__path__
        layers.append({module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_")})
    return tuple(sorted(name.replace("_", "-") for name in set.intersection(*layers)))


def phenomenon(name: str) -> Phenomenon:
    """Import one phenomenon.

    Raises
    ------
    ParameterError
        When there is none of that name; the nearest one is suggested.
    """
    module = known("phenomenon", name, phenomena()).replace("-", "_")
    return Phenomenon(name, *(importlib.import_module(f"{layer}.{module}") for layer in Phenomenon._fields[1:]))


def known(what: str, name: str, names: Iterable[str]) -> str:
    """Return ``name`` if it is one of ``names``; otherwise say which there are, the nearest first in mind."""
    have = list(names)
    if name in have:
        return name
    near = difflib.get_close_matches(name, have, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ParameterError(f"{what} must be one of {', '.join(have)}; got {name!r}{hint}")
