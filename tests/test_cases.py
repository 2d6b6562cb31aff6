"""Several comparisons together: the common verdict, the worst deviation, and the slope over sizes."""

import json

import numpy as np
import pytest
from scipy import stats

from dynamics.algorithms import GradientFlow
from dynamics.double_descent import VARIABLES
from dynamics.errors import ParameterError
from dynamics.results import answer
from figures import compare, describe
from figures.cases import FALSE_ALARM, agreement, together
from figures.finite_size import slope_in_size
from figures.reports import parameters, summarize
from tests.made_up import PROBLEM, TIMES, simulated, theory


def pair():
    """One comparison that uses 0.1 of an allowance of 0.5, and one that breaks it by 0.25 below."""
    return (compare(theory([1.0] * 3, 0.5), simulated(np.full((3, 3), value))) for value in (1.1, 0.25))


def test_common_verdict_is_the_worst_of_all():
    good, bad = pair()
    assert (good.attrs["verdict"], bad.attrs["verdict"]) == ("agree", "disagree")
    for cases, verdict, worst, place in (
        ({1.0: good, 2.0: bad}, "disagree", "-0.75, allowed -0.5", "kappa 2, time 1"),
        ({1.0: bad, 2.0: good}, "disagree", "-0.75, allowed -0.5", "kappa 1, time 1"),
        ({1.0: good, 2.0: good}, "agree", "+0.1, allowed +0.5", "kappa 1, time 1"),
    ):
        data = together("kappa", cases)
        assert data["verdict"].values.tolist() == [one.attrs["verdict"] for one in cases.values()]
        assert data.attrs["verdict"] == verdict
        assert data.attrs["worst"] == worst
        said = data.attrs["agreement"]
        assert said.startswith(f"Theory and simulation {verdict}: exact against literal; 3 runs")
        assert "in each of 2 comparisons" in said
        assert "false alarm 2e-06 in all" in said  # of both together
        assert f"worst alignment ({place}): {worst}, of which 0.5 is known error" in said
    assert FALSE_ALARM == 1e-6


def test_joined_comparisons_keep_their_questions():
    good, _ = pair()
    penalized = {"algorithm": GradientFlow(l2=0.5)}
    other = compare(theory([1.0] * 3, 0.5, **penalized), simulated(np.ones((4, 3)), **penalized))
    data = together("penalty", {0.0: good, 0.5: other}, symbol=r"\lambda")
    assert [json.loads(text)["l2"] for text in data["algorithm"].values] == [0.0, 0.5]
    assert [json.loads(text)["noise"] for text in data["problem"].values] == [0.2, 0.2]
    assert data["penalty"].attrs["symbol"] == r"\lambda"
    assert data.attrs["runs"] == "3/4"
    whole = together("half", {"first": data, "second": data})
    assert whole["algorithm"].dims == ("half", "penalty")
    assert whole.attrs["comparisons"] == 4
    assert whole.attrs["false_alarm"] == pytest.approx(4e-6)
    assert agreement(whole, [data, data])["verdict"] == "agree"


def test_report_names_the_largest_share_of_the_allowed_with_its_sign():
    """Deviations -0.3 of 0.4 (75 %), +0.9 of 2 (45 %), +0.1 of 5 (2 %), no spread: the first is the worst."""
    comparison = compare(theory([1.0, 1.0, 1.0], [0.4, 2.0, 5.0]), simulated(np.ones((3, 3)) * [0.7, 1.9, 1.1]))
    (row,) = summarize(comparison)
    assert row["at"] == {"time": 1.0}
    assert row["deviation"] == pytest.approx(-0.3)
    assert row["used"] == pytest.approx(0.75)
    said = describe(comparison)
    assert "worst (time 1): -0.3 (no spread); allowed -0.4 to +0.4, of which 0.4 is known error; detectable 0.4" in said
    skewed = compare(theory([1.0, 1.0], [0.1, 0.1]), simulated([[0.8, 2.0], [0.9, 1.0], [1.0, 1.4], [0.7, 0.9]]))
    (row,) = summarize(skewed)
    limit = -row["lowest"] if row["deviation"] < 0 else row["highest"]
    one = skewed.sel(variable="alignment")
    used = np.where(one["deviation"] < 0, one["deviation"] / one["lowest"], one["deviation"] / one["highest"])
    assert abs(row["deviation"]) / limit == pytest.approx(used[one["tested"]].max())
    assert "of which 0.1 is known error" in describe(skewed)


def test_parameters_in_words_are_all_there():
    from dynamics.algorithms import GradientDescent
    from dynamics.double_descent import TeacherStudent
    from dynamics.schedules import SoftplusDecay

    words = parameters(
        TeacherStudent(samples=30, dimension=10, variances=[1, 1e-5], noise=0.25),
        GradientDescent(output_penalty=SoftplusDecay(initial=0.5)),
    )
    for part in (
        "$n = 30$", "$d = 10$", r"$\sigma = 0.25$", r"$s_b^2 = (1, 10^{-5})$", r"$\lambda = 0$",
        "$a$: softplus-decay ($a_0 = 0.5$, $r = 0.001$)",
    ):  # fmt: skip
        assert part in words
    long = parameters(TeacherStudent(variances=np.arange(1, 9)), without=("samples",))
    assert "(1, 2, 3, ..., 8)" in long
    assert "$n =" not in long


# --- slope


def powers(power, relative=0.01, last=(1.0, 1.0)):
    """Comparisons whose means lie A d^power from the limit, with a known relative standard error, at d = 10, 20, 40.

    The ``last`` one times a factor, with another relative error.
    """
    compared = {}
    for d in (10, 20, 40):
        factor, wider = last if d == 40 else (1.0, 1.0)
        deviation = factor * np.array([3.0, 0.5, -1.0]) * d**power
        spread = wider * relative * np.abs(deviation)  # two runs at +-s: standard error s
        compared[d] = compare(theory([1.0] * 3), simulated(1.0 + deviation + np.outer([1, -1], spread)))
    return compared


@pytest.mark.parametrize("power", [-1.0, -0.5, 0.7])
def test_slope_of_an_exact_power_law(power):
    """Equal relative errors r: the variance of the slope is r^2/sum (x - mean)^2, x = log d = 0, log 2, 2 log 2."""
    result = slope_in_size(powers(power), "alignment")
    np.testing.assert_allclose(result["slope"], power, rtol=1e-12)
    np.testing.assert_allclose(result["slope_standard_error"], 0.01 / np.sqrt(2 * np.log(2) ** 2), rtol=1e-9)
    assert result["deviation"].sel(size=20, time=1.0) == pytest.approx(3.0 * 20**power)


def test_weights_of_the_slope():
    """The last size off the line and 10 times less precise: weights (deviation/s.e.)^2 = 1e4, 1e4, 1e2."""
    x = np.log([10.0, 20.0, 40.0])
    expected = np.polyfit(x, -x + np.array([0.0, 0.0, np.log(2)]), 1, w=[100, 100, 10])[0]
    found = slope_in_size(powers(-1.0, last=(2.0, 10.0)), "alignment")
    np.testing.assert_allclose(found["slope"], expected, rtol=1e-9)


def test_an_unresolved_deviation_has_no_slope():
    with pytest.raises(ParameterError, match=r"only 1\.7 standard errors at size \d0"):
        slope_in_size(powers(-1.0, relative=0.6), "alignment")
    with pytest.raises(ParameterError, match="at least two sizes; got 1"):
        slope_in_size({10: powers(-1.0)[10]}, "alignment")


# --- details of a comparison


def test_a_skew_to_the_left_widens_the_other_side_and_narrows_none():
    values = -np.random.default_rng(5).exponential(size=(25, 1)) + 0.1 * np.random.default_rng(6).normal(size=(25, 1))
    result = compare(theory([-1.0]), simulated(values), false_alarm=1e-3).sel(variable="alignment")
    critical = stats.t.isf(0.0005, 24)
    np.testing.assert_allclose(result["lowest"] / result["standard_error"], -critical, rtol=1e-12)
    assert (result["highest"] / result["standard_error"] > 1.1 * critical).all()


def test_allowance_of_theory_for_each_run_is_the_largest():
    base, error = np.arange(12.0).reshape(4, 3), np.array([[1.0], [5.0], [2.0], [3.0]]) * np.ones(3)
    own = answer(
        PROBLEM, GradientFlow(), {"alignment": (("run", "time"), base), "alignment_error": (("run", "time"), error)},
        {"run": np.arange(4), "time": TIMES}, kind="theory", method="finite", seed=3, names=VARIABLES,
    )  # fmt: skip
    assert (compare(own, simulated(base))["allowance"] == 5.0).all()


def test_other_times_are_refused_even_if_as_many():
    later = theory([0.0] * 3).assign_coords(time=TIMES + 1)
    with pytest.raises(ParameterError, match="same time"):
        compare(later, simulated(np.eye(3)))


def test_false_alarm_asked_for_is_written_down():
    assert compare(theory([0.0] * 3), simulated(np.eye(3)), false_alarm=0.01).attrs["false_alarm"] == 0.01
