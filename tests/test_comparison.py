"""The verdict: right arithmetic, the stated false-alarm rate, and teeth."""

import json

import numpy as np
import pytest

from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import VARIABLES
from dynamics.errors import ParameterError
from dynamics.results import answer
from figures import compare, describe, draw
from figures.reports import as_json, summarize
from tests.made_up import PROBLEM, TIMES, simulated, theory


def test_nothing_that_is_not_finite_passes():
    values = np.random.default_rng(0).normal(size=(9, 3))
    with pytest.raises(ParameterError, match=r"alignment must be finite .* theory"):
        compare(theory([1.0, np.nan, 1.0]), simulated(values))
    with pytest.raises(ParameterError, match=r"alignment must be finite .* allowance"):
        compare(theory([1.0] * 3, error=[0.0, np.inf, 0.0]), simulated(values))
    for hole in (np.nan, np.inf):
        nested = np.random.default_rng(0).normal(size=(9, 4, 3))
        nested[2, 1, 1] = hole
        with pytest.raises(ParameterError, match=r"alignment must be finite .* finished runs"):
            compare(theory([1.0] * 3), simulated(nested, dims=("run", "teacher", "time")))


def test_allowance_is_theorys_own_error_and_nothing_more():
    values = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    assert compare(theory([1.1, 2.0, 3.0], error=0.11), simulated(values)).attrs["verdict"] == "agree"
    assert compare(theory([1.1, 2.0, 3.0], error=0.09), simulated(values)).attrs["verdict"] == "disagree"
    without = compare(theory([1.1, 2.0, 3.0]), simulated(values))
    assert without.attrs["verdict"] == "disagree"
    assert "declares no error" in without.attrs["notes"]


def test_runs_without_spread_have_no_standard_errors_but_a_verdict():
    result = compare(theory([1.0, 2.0]), simulated([[1.0, 2.0], [1.0, 2.5]]))
    assert np.isnan(result["deviation_in_standard_errors"].values[0, 0])
    assert "standard error" in result["deviation_in_standard_errors"].attrs["nan"]
    assert "no spread" in describe(compare(theory([1.0, 2.0]), simulated([[1.0, 2.0], [1.0, 2.0]])))


def test_teachers_within_a_run_are_averaged_first():
    """Equal teachers within a run must not make the error smaller; independent ones add their own share."""
    rng = np.random.default_rng(8)
    one = rng.normal(size=(12, 1, 2))
    copied = compare(theory([0.0, 0.0]), simulated(np.repeat(one, 50, axis=1), dims=("run", "teacher", "time")))
    single = compare(theory([0.0, 0.0]), simulated(one[:, 0]))
    np.testing.assert_allclose(copied["standard_error"], single["standard_error"], rtol=1e-13)
    np.testing.assert_allclose(copied["standard_error_within"], 0.0, atol=1e-15)
    inner = rng.normal(size=(12, 9, 2))
    nested = compare(theory([0.0, 0.0]), simulated(inner, dims=("run", "teacher", "time")))
    expected = np.sqrt(inner.var(axis=1, ddof=1).mean(axis=0) / (9 * 12))
    np.testing.assert_allclose(nested["standard_error_within"].values[0], expected, rtol=1e-13)


def test_what_is_drawn_within_a_draw_is_averaged_before_it():
    """Noise drawn within teachers: equal noise draws must not make the part within the runs smaller."""
    inner = np.random.default_rng(8).normal(size=(12, 9, 1, 2))
    once = compare(theory([0.0, 0.0]), simulated(inner[:, :, 0], dims=("run", "teacher", "time")))
    dims = ("run", "teacher", "noise", "time")
    copied = compare(theory([0.0, 0.0]), simulated(np.repeat(inner, 5, axis=2), dims=dims))
    for name in ("standard_error", "standard_error_within"):
        np.testing.assert_allclose(copied[name], once[name], rtol=1e-12)


def test_only_declared_randomness_is_averaged_away():
    values = np.random.default_rng(8).normal(size=(12, 3, 2))
    with pytest.raises(ParameterError, match=r"dimensions \['learning_rate'\] of the runs too"):
        compare(theory([0.0, 0.0]), simulated(values, dims=("run", "learning_rate", "time")))


def both(name, dims, shape, runs=10):
    """A theory of zeros, and runs, of one variable on some axes."""
    rng = np.random.default_rng(1)
    return [
        answer(
            PROBLEM, None, {name: ((*first, *dims), values)}, {}, kind=kind, method="m", names={}, seed=0,
        )
        for kind, first, values in (
            ("theory", (), np.zeros(shape)), ("simulation", ("run",), rng.normal(size=(runs, *shape)))
        )
    ]  # fmt: skip


def test_variables_on_other_axes_are_compared_one_at_a_time():
    (curve, curves), (point, points), (number, numbers) = (
        both("response", ("time", "feature"), (3, 2)), both("margin", ("sample",), (4,)), both("gap", (), ()),
    )  # fmt: skip
    theory_, runs = curve.merge(point).merge(number), curves.merge(points).merge(numbers)
    theory_.attrs, runs.attrs = curve.attrs, curves.attrs
    first = compare(theory_, runs)
    assert first["variable"].values.tolist() == ["response"]
    assert "not compared, for they are not on (time, feature): margin" in first.attrs["notes"]
    with pytest.raises(ParameterError, match=r"same axes; there are response on .* margin on"):
        compare(theory_, runs, variables=["response", "margin"])
    one = compare(theory_, runs, variables=["margin"])
    assert one["deviation"].dims == ("variable", "sample")
    assert one.attrs["values_compared"] == 4
    assert compare(theory_, runs, variables=["gap"])["deviation"].dims == ("variable",)
    assert compare(theory_, runs, variables=["response"]).attrs["values_compared"] == 6
    assert "worst (sample" in describe(one)
    draw(one)
    with pytest.raises(ParameterError, match="variables must be among response, margin, gap; got loss"):
        compare(theory_, runs, variables=["loss"])
    lacking = runs.isel(feature=0)
    assert "response" in compare(theory_[["response", "margin"]], lacking).attrs["notes"]


def test_text_along_an_axis():
    curve, curves = both("margin", ("layer",), (2,))
    named = [data.assign_coords(layer=["first", "last"]) for data in (curve, curves)]
    result = compare(*named)
    assert "layer " in describe(result)
    draw(result)
    with pytest.raises(ParameterError, match="same layer"):
        compare(named[0], curves.assign_coords(layer=["first", "other"]))


def test_json_holds_the_question_and_only_numbers():
    result = compare(theory([1.0, 2.0]), simulated([[1.0, 2.0], [1.0, 2.0]]))
    said = json.loads(as_json(result), parse_constant=pytest.fail)
    assert said["problem"]["noise"] == 0.2
    assert said["algorithm"]["class"] == "dynamics.algorithms:GradientFlow"
    assert said["seed"] == 3
    assert said["variables"][0]["deviation_in_standard_errors"] is None


def test_theory_of_the_same_draws_is_subtracted_run_by_run():
    rng = np.random.default_rng(1)
    base = rng.normal(size=(10, 3))
    own = answer(
        PROBLEM, GradientFlow(), {"alignment": (("run", "time"), base)}, {"run": np.arange(10), "time": TIMES},
        kind="theory", method="finite", seed=3, names=VARIABLES,
    )  # fmt: skip
    noise = 1e-3 * rng.normal(size=(10, 3))
    result = compare(own, simulated(base + noise))
    np.testing.assert_allclose(result["standard_error"].values[0], noise.std(axis=0, ddof=1) / np.sqrt(10), rtol=1e-9)
    with pytest.raises(ParameterError, match="same draws"):
        compare(own.assign_attrs(seed=4), simulated(base))


def test_runs_that_did_not_finish_are_left_out_and_named():
    values = [[1.0, 2.0, 3.0], [1.2, 2.2, 2.8], [0.9, 1.9, 3.1], [np.nan] * 3]
    kept = compare(theory([1.0, 2.0, 3.0]), simulated(values, outcome=["finished"] * 3 + ["cancelled"]))
    assert kept.attrs["runs"] == 3
    assert kept.attrs["verdict"] == "agree"
    assert "1 of 4 runs cancelled" in kept.attrs["notes"]
    other = compare(theory([1.0, 2.0, 3.0]), simulated(values, outcome=["finished"] * 3 + ["stopped"]))
    assert "1 of 4 runs stopped" in other.attrs["notes"]
    diverged = compare(theory([1.0, 2.0, 3.0]), simulated(values, outcome=["finished"] * 3 + ["diverged"]))
    assert diverged.attrs["verdict"] == "disagree"
    assert "runs that diverged are a disagreement" in describe(diverged)
    twice = simulated(np.ones((3, 3)))
    with pytest.raises(ParameterError, match="some of their numbers occur twice"):
        compare(theory([1.0] * 3), twice.assign_coords(run=[0, 1, 1]))


def test_answers_to_different_questions_are_refused_by_name():
    runs = simulated(np.eye(3))
    other = PROBLEM.model_copy(update={"noise": 0.3})
    with pytest.raises(ParameterError, match=r"problem noise is 0\.3 in theory and 0\.2"):
        compare(theory([0.0] * 3, problem=other), runs)
    with pytest.raises(ParameterError, match="algorithm l2"):
        compare(theory([0.0] * 3, algorithm=GradientFlow(l2=0.1)), runs)
    with pytest.raises(ParameterError, match="algorithm class"):
        compare(theory([0.0] * 3, algorithm=GradientDescent()), runs)
    with pytest.raises(ParameterError, match="same time"):
        compare(theory([0.0] * 2), runs)
    with pytest.raises(ParameterError, match="theory must be an answer of a theory"):
        compare(runs, runs)
    for wrong in (0.0, 1e-300, 0.7, float("nan"), None, "1e-6"):
        with pytest.raises(ParameterError, match="false_alarm"):
            compare(theory([0.0] * 3), runs, false_alarm=wrong)
    for attributes, said in (
        ({"problem": "{"}, "problem must be JSON"),
        ({"problem": 3}, "must say in its attributes"),
    ):
        with pytest.raises(ParameterError, match=said):
            compare(theory([0.0] * 3).assign_attrs(attributes), runs)
    with pytest.raises(ParameterError, match="variant that the runs are not: shrunk"):
        compare(theory([0.0] * 3, variant="shrunk"), runs)
    with pytest.raises(ParameterError, match="at least 2"):
        compare(theory([0.0] * 3), simulated(np.ones((1, 3))))
    with pytest.raises(ParameterError, match="no curve in common"):
        compare(theory([0.0] * 3).rename(alignment="norm"), runs)


def test_open_step_size_is_pointed_out():
    algorithm = GradientDescent()
    runs = simulated(np.eye(3), algorithm=algorithm, own_default="learning_rate")
    result = compare(theory([0.0] * 3, algorithm=algorithm), runs)
    assert "learning_rate was left open" in result.attrs["notes"]


def test_summary_names_the_deviation_that_uses_up_most_of_its_room():
    values = np.array([[1.0, 2.0, 3.0], [1.2, 2.2, 2.8], [0.9, 1.9, 3.1]])
    (row,) = summarize(compare(theory([1.0, 2.0, 9.0]), simulated(values)))
    assert row["at"] == {"time": 100.0}
    assert row["deviation"] < 0
