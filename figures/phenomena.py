"""The phenomena: module names that stand in all four layers, found without importing any of them."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import NamedTuple

from dynamics.errors import known

__all__ = ["Phenomenon", "phenomena", "phenomenon"]


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
