"""The phenomena: module names that stand in all four layers, found without importing any of them."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from types import ModuleType

from dynamics.errors import known

__all__ = ["Phenomenon", "phenomena", "phenomenon"]

_LAYERS = ("dynamics", "analytic", "simulations", "figures")


@dataclass(frozen=True)
class Phenomenon:
    """One phenomenon in its four layers: problems and algorithms, theory, simulation, figures.

    A layer is imported when it is first asked for, so that help and refusals stay quick.
    """

    name: str

    def _layer(self, layer: str) -> ModuleType:
        return importlib.import_module(f"{layer}.{self.name.replace('-', '_')}")

    @property
    def dynamics(self) -> ModuleType:
        """``PROBLEMS`` and ``ALGORITHMS``, the default first."""
        return self._layer("dynamics")

    @property
    def analytic(self) -> ModuleType:
        """``solve`` and its ``METHODS``, the default first.

        Where it has them: ``METHODS_ON_DATA``, which need ``data``; ``settled(problem, algorithm, method)``, which
        fills in the defaults that theory and simulation would choose differently; and ``prepared(problem, method)``,
        which returns the keyword arguments that a method of the simulation needs of theory.
        """
        return self._layer("analytic")

    @property
    def simulations(self) -> ModuleType:
        """``simulate`` and its ``METHODS``, the default first; ``sample`` where theory has methods on data.

        ``SAMPLED``, where not all problems have data to be sampled, are those that do.
        ``OPTIONS``, where it has them, is a class that declares further parameters of ``simulate``.
        """
        return self._layer("simulations")

    @property
    def figures(self) -> ModuleType:
        """``FIGURES``, the recipes."""
        return self._layer("figures")


def phenomena() -> tuple[str, ...]:
    """Return the names of all phenomena, as written on the command line."""
    found = []
    for layer in _LAYERS:
        path = importlib.import_module(layer).__path__
        found.append({module.name for module in pkgutil.iter_modules(path) if not module.name.startswith("_")})
    return tuple(sorted(name.replace("_", "-") for name in set.intersection(*found)))


def phenomenon(name: str) -> Phenomenon:
    """Return one phenomenon.

    Raises
    ------
    ParameterError
        When there is none of that name; the nearest one is suggested.
    """
    return Phenomenon(known("phenomenon", name, phenomena()))
