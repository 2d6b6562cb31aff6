"""Figures of momentum scaling laws: in the manner of arXiv 2505.16098 and 2405.15074, checked by simulation."""

from __future__ import annotations

from figures.registry import Recipe
from figures.scaling_laws import _curves, _density, _fronts, _large, _maps
from figures.scaling_laws._explored import EXPLORED

__all__ = ["EXPLORED", "FIGURES"]

_OWN = "own"

#: The figures of this phenomenon: name, paper, title, data, drawing, effect, seconds of the full preset.
FIGURES: tuple[Recipe, ...] = (
    Recipe(
        "scaling-laws/loss-curves", _OWN, "Risk of stochastic momentum: single runs, their mean, and exact theory",
        _curves.loss_curves_data, _curves.loss_curves_draw, _curves.loss_curves_effect, 60,
    ),
    Recipe(
        "scaling-laws/fronts", _OWN, "Compute-optimal fronts and their exponents",
        _fronts.fronts_data, _fronts.fronts_draw, _fronts.fronts_effect, 30,
    ),
    Recipe(
        "scaling-laws/large", _OWN, "A billion random features: stochastic runs over theory",
        _large.large_data, _large.large_draw, _large.large_effect, 270,
    ),
    Recipe(
        "scaling-laws/density", _OWN, "Spectrum of random features: density, isolated bands, random matrices",
        _density.density_data, _density.density_draw, _density.density_effect, 10,
    ),
    Recipe(
        "scaling-laws/phases", _OWN, "Phases, compute-optimal exponents, and what momentum gains",
        _maps.maps_data, _maps.maps_draw, _maps.maps_effect, 20,
    ),
)  # fmt: skip
