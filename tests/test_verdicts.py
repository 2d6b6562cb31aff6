"""The arithmetic of a verdict: the documented formulas, the stated false-alarm rate, and teeth."""

import numpy as np
import pytest
from scipy import stats

from figures import compare, describe
from figures.verdicts import _skewness, verdicts
from tests.made_up import simulated, theory


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
