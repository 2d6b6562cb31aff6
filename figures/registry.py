"""All figures, each under its paper and label: a pure data function, a drawing function, and the effect it shows."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import xarray as xr
from matplotlib.figure import Figure

import dynamics
from dynamics.errors import known
from dynamics.results import versions
from figures.phenomena import phenomena
from figures.style import captioned, styled

__all__ = ["Effect", "Preset", "Recipe", "Reproduction", "recipe", "recipes", "reproduce"]

Preset = Literal["quick", "full"]


class Effect(NamedTuple):
    """What a figure is about, as a number measured in its own data, and how large it must at least be."""

    what: str
    measured: float
    required: float

    def __str__(self) -> str:
        return f"{self.what}: {self.measured:.3g} (at least {self.required:.3g})"


@dataclass(frozen=True)
class Recipe:
    """How a figure is made.

    ``data(preset, seed)`` returns a Dataset whose attributes hold the ``caption`` and (where theory meets runs) a
    ``verdict`` with its ``agreement`` in words; ``draw(data)`` returns the picture; ``effect(data)`` measures whether
    what the figure shows is present. ``cost`` is about how many seconds the full preset takes on two cores.
    """

    name: str
    paper: str
    title: str
    data: Callable[[Preset, int], xr.Dataset]
    draw: Callable[[xr.Dataset], Figure]
    effect: Callable[[xr.Dataset], Effect]
    cost: float


class Reproduction(NamedTuple):
    """A figure made again: the picture, and the data it shows (caption, verdict and effect in its attributes)."""

    picture: Figure
    data: xr.Dataset


def recipes(paper: str | None = None) -> dict[str, Recipe]:
    """Return the recipes of all figures by name ("double-descent/fig3"), or those of one paper."""
    modules = (importlib.import_module(f"figures.{name.replace('-', '_')}") for name in phenomena())
    found = {recipe.name: recipe for module in modules for recipe in module.FIGURES}
    if paper is None:
        return found
    known("paper", paper, sorted({recipe.paper for recipe in found.values()}))
    return {name: recipe for name, recipe in found.items() if recipe.paper == paper}


def recipe(name: str) -> Recipe:
    """Return one recipe; an unknown name is refused with the nearest one."""
    have = recipes()
    return have[known("figure", name, have)]


def reproduce(name: str, *, preset: Preset = "quick", seed: int = 0) -> Reproduction:
    """Make a figure: its data, the check that its effect is present, and the picture.

    Parameters
    ----------
    name : str
        For example "double-descent/fig3"; ``figures.registry.recipes()`` holds all.
    preset : "quick" or "full"
        The full preset has more runs and finer grids.
    seed : int
        Of the simulated runs.

    Returns
    -------
    Reproduction
        ``picture``, a matplotlib figure, and ``data``, the Dataset it shows.

    Raises
    ------
    ParameterError
        For an unknown name or preset.
    ArithmeticError
        When the effect that the figure is about is not present in its data.
    """
    chosen = recipe(name)
    known("preset", preset, ("quick", "full"))
    start = time.perf_counter()
    data = chosen.data(preset, seed)
    effect = chosen.effect(data)
    if not effect.measured >= effect.required:
        raise ArithmeticError(f"{name} does not show its effect, {effect}; seed {seed}, preset {preset}")
    data.attrs |= {
        "figure": name, "paper": chosen.paper, "title": chosen.title, "preset": preset, "seed": seed,
        "version": dynamics.__version__, "libraries": json.dumps(versions()), "effect": str(effect),
    }  # fmt: skip
    with styled():
        picture = chosen.draw(data)
        picture.suptitle(chosen.title, fontsize=11)
        captioned(picture, f"{data.attrs['caption']} {data.attrs.get('agreement', '')}".strip())
    data.attrs["seconds"] = time.perf_counter() - start
    return Reproduction(picture, data)
