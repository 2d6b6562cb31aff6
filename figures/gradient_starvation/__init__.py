"""Figures of gradient starvation: those of arXiv 2011.09468, and what theory says of coupled features."""

from __future__ import annotations

from figures.gradient_starvation import _digits, _moons, _remedies, _toy, _toy_planes
from figures.gradient_starvation._explored import EXPLORED
from figures.registry import Recipe

__all__ = ["EXPLORED", "FIGURES"]

_PAPER, _OWN = "arXiv:2011.09468", "own"

#: The figures of this phenomenon: name, paper, title, data, drawing, effect, seconds of the full preset.
FIGURES: tuple[Recipe, ...] = (
    Recipe(
        "gradient-starvation/fig1", _PAPER, "Decision boundaries of a network: the easy feature, and no other",
        _moons.figure_1_data, _moons.figure_1_draw, _moons.figure_1_effect, 30,
    ),
    Recipe(
        "gradient-starvation/fig2", _PAPER, "Spectral decoupling, and responses in training",
        _moons.figure_2_data, _moons.figure_2_draw, _moons.figure_2_effect, 45,
    ),
    Recipe(
        "gradient-starvation/fig3", _PAPER, "Remedies for gradient starvation",
        _remedies.remedies_data, _remedies.remedies_draw, _remedies.remedies_effect, 120,
    ),
    Recipe(
        "gradient-starvation/fig6", _PAPER, "Two coupled features: primal and dual paths, L2 and spectral decoupling",
        _toy.figure_6_data, _toy.figure_6_draw, _toy.figure_6_effect, 10,
    ),
    Recipe(
        "gradient-starvation/digits", _PAPER,
        "Coloured digits: what ERM, spectral decoupling and invariant risk minimisation learn",
        _digits.digits_data, _digits.digits_draw, _digits.digits_effect, 45,
    ),
    Recipe(
        "gradient-starvation/rest", _OWN, "Fixed points over the penalty; the scalar root against Lambert's",
        _toy.rest_data, _toy.rest_draw, _toy.rest_effect, 10,
    ),
    Recipe(
        "gradient-starvation/map", _OWN, "How much a stronger feature starves the other",
        _toy_planes.map_data, _toy_planes.map_draw, _toy_planes.map_effect, 10,
    ),
    Recipe(
        "gradient-starvation/field", _OWN, "The flow of two coupled responses",
        _toy_planes.field_data, _toy_planes.field_draw, _toy_planes.field_effect, 10,
    ),
)  # fmt: skip
