"""The pages in docs/ and the README say what the code says."""

import inspect
import re
from pathlib import Path

import pytest

import analytic.double_descent
import analytic.gradient_starvation
import analytic.scaling_laws
import dynamics.double_descent
import dynamics.gradient_starvation
import dynamics.scaling_laws
import simulations.double_descent
import simulations.gradient_starvation
import simulations.scaling_laws
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.parameters import declarations
from dynamics.results import time_of
from dynamics.schedules import SCHEDULES
from figures import compare, describe, draw, explore, load, reproduce, save
from figures.asking import Ensemble
from figures.explored import FlowTimes, StepTimes
from figures.phenomena import phenomena
from figures.registry import recipes

ROOT = Path(__file__).parents[1]
LAYERS = (dynamics.double_descent, dynamics.scaling_laws, dynamics.gradient_starvation)
THEORY = (analytic.double_descent, analytic.scaling_laws, analytic.gradient_starvation)
SIMULATION = (simulations.double_descent, simulations.scaling_laws, simulations.gradient_starvation)
DECLARED = (
    *(cls for layer in LAYERS for cls in (*layer.PROBLEMS, *layer.ALGORITHMS)), *SCHEDULES, Ensemble, FlowTimes,
    StepTimes, simulations.double_descent.TeacherDraws, simulations.gradient_starvation.Precision,
)  # fmt: skip


def test_every_letter_is_in_the_table_of_names():
    page = (ROOT / "docs" / "names.md").read_text()
    rows = [
        (item.symbol, name, item.meaning) for cls in DECLARED for name, item in declarations(cls).items()
    ] + [
        (item.symbol, name, item.meaning) for layer in LAYERS for name, item in layer.VARIABLES.items()
    ]  # fmt: skip
    rows += [(item.symbol, "time", item.meaning) for item in (time_of(GradientFlow()), time_of(GradientDescent()))]
    for symbol, name, meaning in rows:
        assert f"| ${symbol}$ | `{name}` | {meaning} |" in page


def test_every_method_is_explained():
    page = (ROOT / "docs" / "methods.md").read_text()
    for method in [method for layer in (*THEORY, *SIMULATION) for method in layer.METHODS]:
        assert f"`{method}`" in page


def test_the_readme_names_what_there_is():
    page = (ROOT / "README.md").read_text()
    for name in re.findall(r"(?:double-descent|scaling-laws|gradient-starvation)/[\w-]+", page):
        assert name in recipes()
    assert all(name.replace("-", " ") in page for name in phenomena())
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page):
        assert (ROOT / target).exists(), target


FIGURES = [compare, describe, draw, explore, load, reproduce, save]
PUBLIC = FIGURES + [
    getattr(module, name)
    for module in (*THEORY, *SIMULATION)
    for name in module.__all__
    if inspect.isfunction(getattr(module, name))
]


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__name__)
def test_docstrings_fit_their_signatures(function):
    """The sections and, in "Parameters", the names of the arguments, in order."""
    text = inspect.getdoc(function)
    sections = re.findall(r"^(\w[\w ]*)\n-+$", text, re.MULTILINE)
    wanted = {"Parameters", "Returns"} if function in FIGURES else {"Parameters", "Returns", "Raises", "Examples"}
    assert wanted <= set(sections), sections
    body = re.split(r"^\w[\w ]*\n-+$", text, flags=re.MULTILINE)[1 + sections.index("Parameters")]
    named = [
        name for line in re.findall(r"^(\*{0,2}\w.*)$", body, re.MULTILINE) for name in line.split(" :")[0].split(", ")
    ]
    assert {name.lstrip("*") for name in named} == set(inspect.signature(function).parameters)
