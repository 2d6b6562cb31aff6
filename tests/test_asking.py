"""A question asks theory and simulation as one would by hand, and the command line as before."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import analytic.double_descent
import analytic.gradient_starvation
import analytic.scaling_laws
import simulations.double_descent
import simulations.gradient_starvation
import simulations.scaling_laws
from dynamics.algorithms import GradientDescent
from dynamics.errors import DivergenceError, ParameterError
from figures import compare, load
from figures.asking import Ensemble, Question
from figures.cli import run
from figures.explored import algorithms_of, begin
from figures.phenomena import phenomena, phenomenon
from tests.explorer.views import FLOW, REFUSED, STEPS, VIEWS, double, moons, scaling, starvation

TIMES = STEPS.values()


def test_theory_by_hand():
    asked = scaling(method="deterministic_equivalent").question
    by_hand = analytic.scaling_laws.solve(asked.problem, asked.algorithm, TIMES, method="deterministic_equivalent")
    xr.testing.assert_identical(asked.theory(TIMES), by_hand)
    asked = double(method="next_order").question
    by_hand = analytic.double_descent.solve(asked.problem, asked.algorithm, FLOW.values(), method="next_order")
    xr.testing.assert_identical(asked.theory(FLOW.values()), by_hand)


@pytest.mark.parametrize(
    ("shown", "layer", "method"),
    [
        (double(method="finite", runs=3), "double_descent", "finite"),
        (scaling(method="recursion", runs=3), "scaling_laws", "recursion"),
        (moons(runs=3), "gradient_starvation", "linearised"),
    ],
    ids=["finite", "recursion", "linearised"],
)
def test_theory_for_the_data_of_the_runs(shown, layer, method):
    """Those of seed and numbers of the runs, from ``first_run`` on."""
    asked, times = shown.question, shown.times.values()
    assert asked.on_data
    solve, sample = getattr(analytic, layer).solve, getattr(simulations, layer).sample
    for first_run in (0, 2):
        data = sample(asked.problem, runs=3, seed=3, first_run=first_run)
        by_hand = solve(asked.problem, asked.algorithm, times, method=method, data=data)
        xr.testing.assert_identical(asked.theory(times, first_run=first_run), by_hand)
    assert by_hand["run"].values.tolist() == [2, 3, 4]


def test_simulation_by_hand():
    asked = VIEWS["teachers"].question
    by_hand = simulations.double_descent.simulate(
        asked.problem, asked.algorithm, FLOW.values(), runs=5, seed=3, first_run=2, teachers=3, test_samples=11
    )
    xr.testing.assert_identical(asked.simulated(FLOW.values(), first_run=2), by_hand)
    asked = VIEWS["moons, double"].question
    by_hand = simulations.gradient_starvation.simulate(
        asked.problem, asked.algorithm, TIMES, runs=5, seed=3, precision="double"
    )
    xr.testing.assert_identical(asked.simulated(TIMES), by_hand)


def test_groups_come_from_theory():
    asked = VIEWS["grouped"].question
    groups = analytic.scaling_laws.equivalent_groups(asked.problem)
    by_hand = simulations.scaling_laws.simulate(
        asked.problem, asked.algorithm, TIMES, runs=5, seed=3, method="grouped", groups=groups
    )
    xr.testing.assert_identical(asked.simulated(TIMES), by_hand)


def test_what_is_done_on_divergence():
    asked = double(algorithm=GradientDescent(learning_rate=1.0)).question
    times = np.array([1, 500])
    with pytest.raises(DivergenceError, match="diverged at step"):
        asked.simulated(times)
    assert (asked.simulated(times, on_divergence="mark")["outcome"] == "diverged").all()


@pytest.mark.parametrize("name", phenomena())
def test_no_method_means_the_first_one(name):
    asked = Question(phenomenon(name), None, None)
    assert asked.theory_method == phenomenon(name).analytic.METHODS[0]
    assert asked.simulation_method == phenomenon(name).simulations.METHODS[0]
    assert asked.ensemble == Ensemble(runs=100, seed=0, workers=None)
    for choice in ("method", "simulation"):
        wrong = replace(asked, **{choice: "perpetual"})
        with pytest.raises(ParameterError, match=f"{choice} must be one of"):
            _ = wrong.theory_method, wrong.simulation_method


def test_data_are_drawn_only_for_problems_that_have_them():
    assert not double(method="exact").question.on_data
    assert not VIEWS["flow of steps"].question.on_data
    assert not VIEWS["spectrum"].question.on_data  # by the method on data, but of a given spectrum
    assert not starvation(VIEWS["digits"].question.problem, VIEWS["digits"].question.algorithm).question.on_data


def test_settled_where_theory_and_simulation_would_choose_differently():
    asked = double(algorithm=GradientDescent(), method="exact").question
    rate = asked.settled().algorithm.learning_rate
    assert rate == analytic.double_descent.settled(asked.problem, GradientDescent()).learning_rate
    assert replace(asked.settled(), algorithm=asked.algorithm) == asked
    for method in ("finite", "published"):
        assert replace(asked, method=method).settled() == replace(asked, method=method)
    assert scaling().question.settled() == scaling().question


# --- where to begin


@pytest.mark.parametrize("name", phenomena())
def test_where_to_begin(name):
    chosen = phenomenon(name)
    shown = begin(name)
    assert type(shown.question.problem) is chosen.dynamics.PROBLEMS[0]
    assert type(shown.question.algorithm) in algorithms_of(chosen, shown.question.problem)
    assert shown.question.theory(shown.times.values()).attrs["kind"] == "theory"
    seeded = begin(name, ensemble=Ensemble(runs=3, seed=11), times=shown.times)
    assert seeded.question.ensemble == Ensemble(runs=3, seed=11)
    problem = shown.question.problem
    assert begin(name, problem).question.problem is problem


@pytest.mark.parametrize("key", VIEWS)
def test_every_view_is_answered_or_refused_in_words(key):
    """Views that other tests rely on are what they are said to be."""
    shown = VIEWS[key]
    if key in REFUSED:
        with pytest.raises(ParameterError):
            shown.question.settled().theory(shown.times.values())
    else:
        assert shown.question.settled().theory(shown.times.values()).attrs["method"] == shown.question.theory_method


# --- the command line

WORDS = ["double-descent", "--samples", "30", "--dimension", "20", "--fast", "12", "--times", "0.1,1,10"]


def test_the_command_line_answers_what_a_question_does(tmp_path, capsys):
    asked = double(replace(double().question).problem.model_copy(update={"noise": 0.0})).question
    times = [0.1, 1.0, 10.0]
    assert run(["solve", *WORDS, "--out", str(tmp_path / "theory.nc"), "--method", "exact"]) == 0
    theory = replace(asked, method="exact").theory(times)
    xr.testing.assert_equal(load(tmp_path / "theory.nc"), theory)
    ensemble = ["--runs", "8", "--seed", "3"]
    assert run(["simulate", *WORDS, *ensemble, "--out", str(tmp_path / "runs.nc")]) == 0
    runs = replace(asked, ensemble=Ensemble(runs=8, seed=3)).simulated(times)
    xr.testing.assert_equal(load(tmp_path / "runs.nc"), runs)
    finite = ["--method", "finite", "--out", str(tmp_path / "finite.nc")]
    assert run(["solve", *WORDS, *ensemble, *finite]) == 0
    on_data = replace(asked, method="finite", ensemble=Ensemble(runs=8, seed=3)).theory(times)
    xr.testing.assert_equal(load(tmp_path / "finite.nc"), on_data)
    capsys.readouterr()
    assert run(["compare", *WORDS, *ensemble, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == compare(theory, runs).attrs["verdict"] == "agree"
