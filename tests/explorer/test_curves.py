"""Curves, bands and deviations, against means and standard errors by hand."""

import math

import numpy as np
import pytest
import xarray as xr

from dynamics.double_descent import VARIABLES
from dynamics.results import answer
from figures import compare
from figures.explorer.controller import Screen
from figures.explorer.curves import bands, curves, deviations, names_of, shown_variables, variables_of
from tests.explorer.views import VIEWS, with_runs
from tests.made_up import PROBLEM, TIMES, simulated, theory

RNG = np.random.default_rng(5)
RUNS, TEACHERS, FEATURES = 7, 3, 2


def made(**variables):
    """An answer with any variables, each a pair of dimensions and values."""
    coordinates = {"time": TIMES, "run": np.arange(4, 4 + RUNS), "teacher": np.arange(TEACHERS), "feature": [1, 2]}
    used = {dim for dims, _ in variables.values() for dim in dims}
    known = {name: values for name, values in coordinates.items() if name in used}
    return answer(
        PROBLEM, None, variables, known, kind="simulation", method="literal", seed=0, names=VARIABLES,
        random_dimensions="run teacher",
    )  # fmt: skip


def sized(*dims):
    return RNG.normal(size=[{"time": 3, "run": RUNS, "teacher": TEACHERS, "feature": FEATURES}[dim] for dim in dims])


FINISHED = (("run",), np.array(["finished"] * RUNS))


def mean_and_error(values):
    """Of each column: the mean over the rows, and its standard error."""
    count = len(values)
    mean = [math.fsum(column) / count for column in values.T]
    squares = [math.fsum((x - m) ** 2 for x in column) for column, m in zip(values.T, mean, strict=True)]
    return np.array(mean), np.array([math.sqrt(square / (count - 1) / count) for square in squares])


def test_which_variables_are_curves():
    """Not numbers of each run, not words, not whole numbers, and not what theory allows itself."""
    data = made(
        norm=(("run", "time"), sized("run", "time")),
        norm_error=(("time",), sized("time")),
        training_error=(("run", "time"), sized("run", "time")),
        generalization_error=(("time",), sized("time")),
        learning_rate=(("run",), sized("run")),
        steps=(("time",), np.arange(3)),
        outcome=FINISHED,
    )
    assert variables_of(data) == ("norm", "training_error", "generalization_error")


@pytest.mark.parametrize("dims", [("time",), ("run", "time"), ("run", "teacher", "time"), ("time", "run"),
                                  ("teacher", "run", "time")])  # fmt: skip
def test_curves_are_means_over_all_draws(dims):
    values = sized(*dims)
    (curve,) = curves(made(norm=(dims, values)), ["norm"])
    assert (curve.key, curve.name) == ("norm", "squared norm of the student")
    assert curve.time.tolist() == TIMES.tolist()
    assert curve.time.dtype == curve.value.dtype == np.float64
    over = tuple(place for place, dim in enumerate(dims) if dim != "time")
    assert np.allclose(curve.value, values.mean(axis=over) if over else values, rtol=1e-14, atol=0)
    assert curve.value.shape == (3,)


def test_each_feature_is_a_curve():
    values = sized("run", "feature", "time")
    data = made(norm=(("run", "feature", "time"), values), outcome=FINISHED)
    one, two = curves(data, ["norm"])
    assert [one.key, two.key] == ["norm 1", "norm 2"]
    assert two.name == "squared norm of the student 2"
    assert np.allclose(two.value, values[:, 1].mean(axis=0), rtol=1e-14, atol=0)
    assert [band.key for band in bands(data, ["norm"])] == ["norm 1", "norm 2"]
    without = data.drop_vars("feature")
    assert [curve.key for curve in curves(without, ["norm"])] == ["norm 0", "norm 1"]


def test_a_nan_is_seen():
    """A mean that leaves out what is missing would be of other runs."""
    values = sized("run", "time")
    values[2, 1] = math.nan
    (curve,) = curves(made(norm=(("run", "time"), values)), ["norm"])
    assert np.isnan(curve.value).tolist() == [False, True, False]


def test_wanted_variables_in_their_order_and_unknown_ones_left_out():
    data = made(norm=(("time",), sized("time")), alignment=(("time",), sized("time")))
    assert [curve.key for curve in curves(data, ["alignment", "nosuch", "norm"])] == ["alignment", "norm"]
    assert curves(data, []) == []


def test_bands_by_hand():
    values = sized("run", "time")
    (band,) = bands(made(norm=(("run", "time"), values), outcome=FINISHED), ["norm"])
    mean, error = mean_and_error(values)
    assert np.allclose(band.mean, mean, rtol=1e-13, atol=0)
    assert np.allclose(band.low, mean - 2 * error, rtol=1e-12, atol=0)
    assert np.allclose(band.high, mean + 2 * error, rtol=1e-12, atol=0)
    assert band.time.tolist() == TIMES.tolist()


def test_a_runs_mean_over_its_teachers_counts_once():
    values = sized("run", "teacher", "time")
    (band,) = bands(made(norm=(("run", "teacher", "time"), values), outcome=FINISHED), ["norm"])
    mean, error = mean_and_error(values.mean(axis=1))
    assert np.allclose(band.mean, mean, rtol=1e-13, atol=0)
    assert np.allclose(band.high - band.low, 4 * error, rtol=1e-12, atol=0)


def test_a_nan_of_one_teacher_is_seen():
    values = sized("run", "teacher", "time")
    values[3, 1, 2] = math.nan
    (band,) = bands(made(norm=(("run", "teacher", "time"), values), outcome=FINISHED), ["norm"])
    assert np.isnan(band.mean).tolist() == np.isnan(band.high).tolist() == [False, False, True]


def test_runs_that_are_not_finished_are_left_out():
    values = sized("run", "time")
    outcome = np.array(["finished"] * RUNS, dtype="<U9")
    outcome[[1, 4]] = "diverged", "cancelled"
    gaps = values.copy()
    gaps[[1, 4]] = math.nan
    (band,) = bands(made(norm=(("run", "time"), gaps), outcome=(("run",), outcome)), ["norm"])
    mean, error = mean_and_error(values[outcome == "finished"])
    assert np.allclose(band.mean, mean, rtol=1e-13, atol=0)
    assert np.allclose(band.high, mean + 2 * error, rtol=1e-12, atol=0)


def test_one_run_has_no_band_and_none_has_nothing():
    values = sized("run", "time")
    outcome = np.array(["cancelled"] * RUNS)
    data = made(norm=(("run", "time"), values), outcome=(("run",), outcome))
    assert bands(data, ["norm"]) == []
    outcome = np.array(["finished"] + ["cancelled"] * (RUNS - 1))
    (band,) = bands(data.assign(outcome=(("run",), outcome)), ["norm"])
    assert band.mean.tolist() == values[0].tolist()
    assert np.isnan([band.low, band.high]).all()


def test_equal_runs_have_a_band_of_no_width():
    values = np.broadcast_to(sized("time"), (RUNS, 3))
    (band,) = bands(made(norm=(("run", "time"), values), outcome=FINISHED), ["norm"])
    assert np.allclose(band.low, band.high, rtol=1e-12, atol=1e-15)


# --- deviations


def all_tested(comparison):
    """As if there were enough runs everywhere."""
    return comparison.assign(tested=xr.ones_like(comparison["tested"]))


def test_deviations_by_hand():
    values, exact, allowed = sized("run", "time"), sized("time"), np.array([0.1, 0.2, 0.3])
    comparison = all_tested(compare(theory(exact, error=allowed), simulated(values)))
    (found,) = deviations(comparison, ["alignment"])
    mean, error = mean_and_error(values)
    assert found.key == "alignment"
    assert found.time.tolist() == TIMES.tolist()
    assert np.allclose(found.value, (mean - exact) / error, rtol=1e-10, atol=0)
    assert np.allclose(found.lowest, comparison["lowest"].values[0] / error, rtol=1e-10, atol=0)
    assert np.allclose(found.highest, comparison["highest"].values[0] / error, rtol=1e-10, atol=0)
    assert (found.lowest < -allowed / error).all()
    assert (found.highest > allowed / error).all()


def test_deviations_where_there_is_an_error_and_the_mean_is_tested():
    values, exact = sized("run", "time"), sized("time")
    values[:, 1], exact[1] = 0.5, 0.25  # the same in all runs
    comparison = all_tested(compare(theory(exact), simulated(values)))
    (found,) = deviations(comparison, ["alignment"])
    assert found.time.tolist() == TIMES[[0, 2]].tolist()
    assert np.isfinite([found.value, found.lowest, found.highest]).all()
    tested = comparison["tested"].copy(data=[[True, True, False]])
    (found,) = deviations(comparison.assign(tested=tested), ["alignment"])
    assert found.time.tolist() == TIMES[[0]].tolist()
    assert found.value.shape == found.lowest.shape == found.highest.shape == (1,)


def test_deviations_of_what_was_not_compared():
    comparison = compare(theory(sized("time")), simulated(sized("run", "time")))
    assert deviations(comparison, ["norm", "nosuch"]) == []


def test_deviations_of_each_feature():
    shown = with_runs(VIEWS["responses"], 4)
    asked, times = shown.question, shown.times.values()
    runs = asked.simulated(times)
    noise = xr.DataArray(1e-3 * sized("run", "feature", "time")[:4, :, :3], dims=("run", "feature", "time"))
    noisy = runs.isel(time=slice(3)).assign(
        response=(runs["response"].dims, runs["response"].values[..., :3] + noise.values, runs["response"].attrs)
    )
    comparison = all_tested(compare(asked.theory(times).isel(time=slice(3)), noisy))
    one, two = deviations(comparison, ["response"])
    assert [one.key, two.key] == ["response 1", "response 2"]
    mean, error = mean_and_error(noisy["response"].values[:, 1])
    exact = asked.theory(times)["response"].values[1, :3]
    assert np.allclose(two.value, (mean - exact) / error, rtol=1e-8, atol=0)


# --- real answers


@pytest.mark.parametrize("key", ["flow", "finite", "teachers", "recursion", "responses", "moons"])
def test_keys_of_theory_runs_and_comparison_are_the_same(key):
    """What is drawn in one colour belongs together."""
    shown = VIEWS[key]
    asked, times = shown.question, shown.times.values()
    exact, runs = asked.theory(times), asked.simulated(times)
    comparison = compare(exact, runs)
    names = variables_of(exact)
    of_theory = [curve.key for curve in curves(exact, names)]
    assert len(set(of_theory)) == len(of_theory)
    assert [band.key for band in bands(runs, names) if band.key in of_theory]
    assert {found.key for found in deviations(comparison, names)} <= set(of_theory)
    assert {band.key for band in bands(runs, names)} <= set(of_theory)
    screen = Screen(theory=exact, runs=runs)
    assert shown_variables(screen) == names
    assert names_of(screen, names) == {curve.key: curve.name for curve in curves(exact, names)}


def test_variables_of_a_screen():
    runs = simulated(sized("run", "time"))
    assert shown_variables(Screen()) == ()
    assert names_of(Screen(), ["alignment"]) == {}
    assert shown_variables(Screen(theory="refused")) == ()
    assert shown_variables(Screen(theory="refused", runs=runs)) == ("alignment",)
    assert names_of(Screen(theory="refused", runs=runs), ["alignment"]) == {
        "alignment": "alignment of student and teacher"
    }
