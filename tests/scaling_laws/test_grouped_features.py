"""Runs on groups of the deterministic equivalent: their mean, those of matrices, comparisons, and what is refused."""

import functools

import numpy as np
import pytest
from scipy import stats

import analytic.scaling_laws
from analytic.scaling_laws import solve
from analytic.scaling_laws._groups import equivalent_groups, prepared
from analytic.scaling_laws._recursion import Nodes, recursion
from dynamics.algorithms import SGD, DanaDecaying
from dynamics.errors import ParameterError
from dynamics.groups import groups_in
from dynamics.scaling_laws import PowerLawRandomFeatures, Spectrum
from figures import compare
from figures.cli import run as command
from figures.verdicts import verdicts
from simulations.scaling_laws import simulate


@functools.cache
def some_runs(runs=300):
    problem = PowerLawRandomFeatures(alpha=0.7, beta=0.8, dimension=10**5, noise=0.1)
    groups = equivalent_groups(problem)
    return problem, groups, simulate(
        problem, DanaDecaying(batch_size=8), [1, 3, 10, 30, 60], runs=runs, seed=1, method="grouped", groups=groups
    )  # fmt: skip


def test_runs_have_the_mean_of_the_groups():
    """Of risk and momentum norm at five steps; false alarm 1e-6, and 0.4 standard deviations of a run are seen."""
    problem, groups, runs = some_runs()
    algorithm = DanaDecaying(batch_size=8)
    rule = algorithm.rule(problem.curvature)
    parts = (groups[name].values for name in ("eigenvalues", "initial_error", "multiplicity"))
    nodes = Nodes(*parts, float(groups.floor), 0.1**2)
    exact = np.array(recursion(nodes, rule, 8, runs["time"].values, 0.0)[:2])
    each = np.stack([runs["risk"].values, runs["momentum_norm"].values])
    shift = each - exact[:, None]
    found = verdicts(
        {
            "theory": exact, "mean": each.mean(1), "deviation": shift.mean(1), "allowance": np.zeros_like(exact),
            "standard_error": shift.std(1, ddof=1) / np.sqrt(300), "skewness": stats.skew(shift, axis=1),
        }, 300, 1e-6 / 10,
    )  # fmt: skip
    assert found["tested"].all()
    assert found["allowed"].all(), found["deviation_in_standard_errors"]


@pytest.mark.slow
def test_runs_of_matrices_have_the_mean_of_runs_of_groups():
    """300 matrices of 300 features, 300 runs on the groups: within 8/d and the bias, and standard errors, at 1e-6."""
    problem, times = PowerLawRandomFeatures(alpha=0.5, beta=0.1, dimension=300), [3, 30, 300, 1000]
    algorithm, groups = SGD(batch_size=16), equivalent_groups(problem)
    one = simulate(problem, algorithm, times, runs=300, seed=1)["risk"].values
    two = simulate(problem, algorithm, times, runs=300, seed=2, method="grouped", groups=groups)["risk"].values
    error = np.sqrt((one.var(0, ddof=1) + two.var(0, ddof=1)) / 300)
    allowed = (8 / 300 + groups.attrs["bias"]) * two.mean(0) + stats.norm.isf(1e-6 / 8) * error
    assert (np.abs(one.mean(0) - two.mean(0)) < allowed).all()
    assert (error < 0.02 * two.mean(0)).all()  # or it would be no test


def test_runs_say_what_they_are_and_do_not_depend_on_threads():
    problem, groups, runs = some_runs()
    again = simulate(
        problem, DanaDecaying(batch_size=8), [1, 3, 10, 30, 60], runs=4, first_run=7, seed=1, method="grouped",
        groups=groups, workers=2,
    )  # fmt: skip
    np.testing.assert_array_equal(again["risk"], runs["risk"][7:11])
    assert runs.attrs["spectrum"] == "deterministic equivalent"
    assert runs.attrs["bias"] == groups.attrs["bias"] > 0
    assert "fluctuation from W to W" in runs.attrs["caveat"]
    drawn = simulate(PowerLawRandomFeatures(dimension=20), SGD(), [1], runs=2)
    assert not {"spectrum", "bias", "caveat"} & set(drawn.attrs)


def test_a_comparison_allows_for_the_bias():
    """By the bias times theory, beside what theory allows itself; and it says so."""
    problem, groups, runs = some_runs()
    theory = solve(problem, DanaDecaying(batch_size=8), runs["time"].values)
    found = compare(theory, runs)
    assert found.attrs["verdict"] == "agree"
    for name in ("risk", "momentum_norm"):
        expected = theory[f"{name}_error"] + groups.attrs["bias"] * theory[name]
        np.testing.assert_allclose(found["allowance"].sel(variable=name), expected, rtol=1e-14)
    assert "fluctuation from W to W" in found.attrs["notes"]
    wrong = compare(theory.assign(risk=1.6 * theory["risk"]), runs)
    assert wrong.attrs["verdict"] == "disagree"


def test_comparing_on_the_command_line(capsys, monkeypatch):
    """The command line asks theory for the groups, for random features only."""
    monkeypatch.setattr(analytic.scaling_laws, "prepared", prepared, raising=False)
    words = ["compare", "scaling-laws", "--algorithm", "sgd", "--runs", "40", "--times", "1,10", "--batch-size", "8"]
    words += ["--simulation", "grouped"]
    assert command([*words, "--dimension", "1e4"]) == 0
    assert capsys.readouterr().out.startswith("agree: deterministic_equivalent against grouped, 40 runs")
    words += ["--method", "recursion", "--problem", "power-law-spectrum", "--dimension", "1e6"]
    assert command(words) == 0
    assert capsys.readouterr().out.startswith("agree: recursion against grouped, 40 runs")


def test_groups_that_do_not_fit():
    problem = PowerLawRandomFeatures(alpha=0.7, beta=0.8, dimension=3000)
    groups = equivalent_groups(problem)
    spectrum = Spectrum(eigenvalues=[1.0], initial_error=[1.0])
    for what, method, given, words in (
        (problem, "grouped", None, "analytic.scaling_laws.equivalent_groups"),
        (problem, "diagonal", groups, "groups must be left out"),
        (spectrum, "grouped", groups, "groups must be left out"),
        (problem.model_copy(update={"noise": 0.1}), "grouped", groups, "groups must be of this problem"),
        (problem, "grouped", 3, "groups must be a Dataset"),
        (problem, "grouped", groups.drop_vars("floor"), "groups must be a Dataset"),
        (problem, "grouped", groups.assign(initial_error=-groups.initial_error), "finite numbers"),
        (problem, "grouped", groups.assign(eigenvalues=0 * groups.eigenvalues), "finite numbers"),
        (problem, "grouped", groups.assign(multiplicity=np.inf * groups.multiplicity), "finite numbers"),
        (problem, "grouped", groups.assign(multiplicity=1.5 + 0 * groups.multiplicity), "1 or at least 2"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=words):
            simulate(what, SGD(), [1], runs=1, method=method, groups=given)
    with pytest.raises(ParameterError, match="1 or at least 2"):
        groups_in(groups.assign(multiplicity=1.5 + 0 * groups.multiplicity), problem.to_json())
