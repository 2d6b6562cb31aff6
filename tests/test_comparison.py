"""The verdict: right arithmetic, the stated false-alarm rate, and teeth."""

import json

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import VARIABLES, TwoScale
from dynamics.errors import ParameterError
from dynamics.results import answer
from figures import compare, describe, draw
from figures.reports import as_json, summarize
from figures.verdicts import _skewness, verdicts

PROBLEM = TwoScale(samples=30, dimension=20, fast=12, noise=0.2)
TIMES = np.array([1.0, 10.0, 100.0])


def theory(curve, error=None, algorithm=None, problem=PROBLEM, **attributes):
    variables = {"alignment": (("time",), np.asarray(curve, dtype=float))}
    if error is not None:
        variables["alignment_error"] = (("time",), np.broadcast_to(error, (len(curve),)).astype(float))
    return answer(
        problem, algorithm or GradientFlow(), variables, {"time": TIMES[: len(curve)]},
        kind="theory", method="exact", names=VARIABLES, **attributes,
    )  # fmt: skip


def simulated(values, dims=("run", "time"), algorithm=None, outcome=None, **attributes):
    values = np.asarray(values, dtype=float)
    variables = {"alignment": (dims, values)}
    if outcome is not None:
        variables["outcome"] = (("run",), np.array(outcome))
    coordinates = {"run": np.arange(values.shape[0]), "time": TIMES[: values.shape[-1]]}
    return answer(
        PROBLEM, algorithm or GradientFlow(), variables, coordinates, kind="simulation", method="literal", seed=3,
        names=VARIABLES, random_dimensions="run teacher noise", **attributes,
    )  # fmt: skip


def test_statistics_are_those_of_the_documented_formulas():
    values = np.array([[0.1, 0.5, 0.9], [0.3, 0.4, 1.1], [0.2, 0.9, 1.2], [0.4, 0.8, 0.8]])
    result = compare(theory([0.2, 0.6, 1.5], error=[0.0, 0.1, 0.2]), simulated(values)).sel(variable="alignment")
    np.testing.assert_allclose(result["mean"], values.mean(axis=0), rtol=1e-15)
    error = values.std(axis=0, ddof=1) / 2.0
    np.testing.assert_allclose(result["standard_error"], error, rtol=1e-14)
    np.testing.assert_allclose(result["deviation"], values.mean(axis=0) - [0.2, 0.6, 1.5], atol=1e-15)
    np.testing.assert_allclose(result["deviation_in_standard_errors"], result["deviation"] / error, rtol=1e-12)
    critical = stats.t.isf(1e-6 / 6, 3)
    # without skewness (the third column is symmetric up to rounding) the limits are Student's
    np.testing.assert_allclose(result["highest"][2], 0.2 + critical * error[2], rtol=1e-10)
    furthest = np.maximum(-result["lowest"], result["highest"])
    np.testing.assert_allclose(result["detectable"], furthest + stats.t.isf(1e-3, 3) * error, rtol=1e-12)


def test_limits_follow_halls_transformation_of_skewed_runs():
    """The transformed t, T + g T^2/(3 sqrt N) + g^2 T^3/(27 N) + g/(6 sqrt N), is at the normal limit at ``lowest``."""
    rng = np.random.default_rng(5)
    values = rng.exponential(size=(25, 1)) + 0.1 * rng.normal(size=(25, 1))
    result = compare(theory([1.0]), simulated(values), false_alarm=1e-3).sel(variable="alignment")
    assert result["tested"].all()
    t = float(result["lowest"][0] / result["standard_error"][0])
    g = float(stats.skew(values[:, 0]))
    assert 0.5 < g < 1.5
    np.testing.assert_allclose(result["skewness"][0], g, rtol=1e-12)
    root = 5.0
    transformed = t + g * t**2 / (3 * root) + g**2 * t**3 / (27 * root**2) + g / (6 * root)
    np.testing.assert_allclose(transformed, -stats.t.isf(0.0005, 24), rtol=1e-12)
    np.testing.assert_allclose(result["highest"] / result["standard_error"], stats.t.isf(0.0005, 24), rtol=1e-12)


@pytest.mark.parametrize(("name", "most"), [("normal", 110), ("exponential", 180)])
def test_correct_theory_is_rejected_at_about_the_stated_rate(name, most):
    """60,000 values of 60 runs at a level of 1e-3 each: 60 rejections are expected, of independent values.

    For normal runs the count is binomial (standard deviation 8): above 110 or below 20 with probability < 1e-6.
    Without Hall's transformation the exponential runs are rejected about 300 times; three times the level is the limit,
    with few of them left untested.
    """
    draws = getattr(np.random.default_rng(11), f"standard_{name}")((60, 60_000))
    spread = draws.std(axis=0, ddof=1) / np.sqrt(60)
    values = {
        "standard_error": spread, "allowance": np.zeros_like(spread), "skewness": _skewness(draws),
        "deviation": draws.mean(axis=0) - {"normal": 0.0, "exponential": 1.0}[name],
        "theory": np.zeros_like(spread), "mean": np.zeros_like(spread),
    }  # fmt: skip
    found = verdicts(values, 60, 1e-3)
    assert 20 <= np.sum(~found["allowed"]) <= most
    assert found["tested"].mean() > 0.8


def test_a_mean_that_a_few_runs_carry_is_not_tested():
    """Most runs are 0 and one in 500 is 500: the mean is 1, and 40 runs nearly always say 0 with no error at all."""
    rng = np.random.default_rng(3)
    values = np.where(rng.random((40, 3)) < 0.05, 20.0, 0.01 * rng.random((40, 3)))
    result = compare(theory([1.0] * 3), simulated(values))
    assert not result["tested"].all()
    untested = int((~result["tested"]).sum())
    assert f"{untested} values are not tested: a few of the runs carry their mean" in result.attrs["notes"]
    assert result.attrs["values_blind"] >= untested
    assert result["allowed"].values[~result["tested"].values].all()
    assert f"blind at {result.attrs['values_blind']} of them" in describe(result)
    # the limit of 0.3 sqrt(runs), on its two sides: one run of a hundred away from the others has skewness 9.8
    assert not compare(theory([0.0]), simulated(np.eye(100)[:, :1]))["tested"].any()
    for ones, tested in ((8, False), (10, True)):  # of skewness 3.1 and 2.7
        values = np.repeat([[0.0], [1.0]], [100 - ones, ones], axis=0)
        assert compare(theory([0.0]), simulated(values))["tested"].item() is tested


def test_spread_of_any_size_has_a_skewness():
    """The cubes of 1e-120 underflow: still the same verdict in other units."""
    draws = np.random.default_rng(6).exponential(size=(30, 5))
    for unit in (1e-120, 1e90):
        np.testing.assert_allclose(_skewness(unit * draws), stats.skew(draws), rtol=1e-10)
    np.testing.assert_array_equal(_skewness(np.ones((4, 2))), 0.0)


def test_blind_values_are_counted_and_their_cause_is_named():
    values = np.random.default_rng(0).normal(1.0, 0.1, size=(40, 3))
    sharp = compare(theory([1.0] * 3, error=[0.0, 0.1, 0.2]), simulated(values))
    assert sharp.attrs["values_blind"] == 0
    blunt = compare(theory([1.0] * 3, error=[0.0, 0.1, 1.2]), simulated(values))
    assert blunt.attrs["values_blind"] == 1
    assert "alignment: at 1 of 3 values even a deviation as large" in blunt.attrs["notes"]
    assert "theory allows itself so large an error" in blunt.attrs["notes"]
    few = compare(theory([1.0] * 3), simulated(values[:3]))
    assert few.attrs["values_blind"] > 0
    assert "too few runs" in few.attrs["notes"]


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


def test_rounding_is_no_disagreement():
    values = np.full((3, 2), 0.1 + 0.2)
    assert compare(theory([0.3, 0.3]), simulated(values)).attrs["verdict"] == "agree"
    assert compare(theory([0.3, 0.3 * (1 - 1e-14)]), simulated(values)).attrs["verdict"] == "disagree"


def test_family_is_all_values_of_all_variables():
    """300 ensembles at a nominal 20 %: binomial with mean at most 60, above 95 with probability < 1e-6."""
    rng = np.random.default_rng(4)
    expected = theory([0.0] * 3)
    verdicts = [
        compare(expected, simulated(rng.normal(size=(20, 3))), false_alarm=0.2).attrs["verdict"] for _ in range(300)
    ]
    assert 25 <= verdicts.count("disagree") <= 95


def test_detectable_deviation_is_detected():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(80, 3))
    result = compare(theory([0.0] * 3), simulated(values))
    assert result.attrs["verdict"] == "agree"
    assert result.attrs["values_compared"] == 3
    shift = float(result["detectable"].max())
    assert compare(theory([0.0] * 3), simulated(values + shift)).attrs["verdict"] == "disagree"
    assert compare(theory([0.0] * 3), simulated(values - shift)).attrs["verdict"] == "disagree"


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
    with pytest.raises(ParameterError, match=r"same axes; there are response on .* margin on"):
        compare(theory_, runs)
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


def test_picture_has_both_panels_and_refuses_unknown_variables():
    result = compare(theory([0.0] * 3, error=0.01), simulated(np.random.default_rng(0).normal(size=(9, 3))))
    figure = draw(result)
    assert len(figure.axes) == 2
    assert "standard errors" in figure.axes[1].get_ylabel()
    with pytest.raises(ParameterError, match="variables must be among alignment"):
        draw(result, variables=["norm"])
    with pytest.raises(ParameterError, match="one axis"):
        draw(xr.concat([result, result], "case"))
