"""Figures of epoch-wise double descent.

Figures 5ab and 6 (right) of the paper are trainings of a ResNet-18 on CIFAR-10: no teacher-student theory speaks about
them, so they are out of scope here.
"""

from figures.double_descent import _own, _paper, _regularized
from figures.double_descent._common import PAPER
from figures.double_descent._explored import EXPLORED
from figures.registry import Recipe

__all__ = ["EXPLORED", "FIGURES"]

_OWN = "own"

#: The figures of this phenomenon: name, paper, title, data, drawing, effect, seconds of the full preset.
FIGURES: tuple[Recipe, ...] = (
    Recipe(
        "double-descent/fig1", PAPER, "Figure 1: fast and slow features descend one after the other",
        _paper.figure_1_data, _paper.figure_1_draw, _paper.figure_1_effect, 30,
    ),
    Recipe(
        "double-descent/fig3", PAPER, "Figure 3: gradient descent and ridge at three condition numbers",
        _paper.figure_3_data, _paper.figure_3_draw, _paper.figure_3_effect, 100,
    ),
    Recipe(
        "double-descent/fig4", PAPER, "Figure 4: paths in the plane of alignment and norm",
        _paper.figure_4_data, _paper.figure_4_draw, _paper.figure_4_effect, 110,
    ),
    Recipe(
        "double-descent/fig5cd", PAPER, "Figure 5cd: an L2 penalty removes the second descent",
        _regularized.figure_5_data, _regularized.figure_5_draw, _regularized.figure_5_effect, 100,
    ),
    Recipe(
        "double-descent/fig6-left", PAPER, "Figure 6, left: a decaying penalty on the outputs lowers the peak",
        _regularized.figure_6_data, _regularized.figure_6_draw, _regularized.figure_6_effect, 80,
    ),
    Recipe(
        "double-descent/formulas", _OWN, "The published formula, corrected, exact, and simulated: ridge",
        _own.formulas_data, _own.formulas_draw, _own.formulas_effect, 20,
    ),
    Recipe(
        "double-descent/threshold", _OWN, "Where double descent begins",
        _own.threshold_data, _own.threshold_draw, _own.threshold_effect, 100,
    ),
    Recipe(
        "double-descent/landscape", _OWN, "Generalization error over time and condition number",
        _own.landscape_data, _own.landscape_draw, _own.landscape_effect, 20,
    ),
)  # fmt: skip
