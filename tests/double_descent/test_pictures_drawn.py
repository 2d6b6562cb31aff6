"""The figures: the published formula in its own words, what is drawn, and that no effect can be missing unseen."""

import json

import numpy as np
import pytest

from analytic.double_descent import critical_condition_number, edges, ridge, solve
from dynamics.algorithms import GradientDescent
from dynamics.double_descent import TwoScale
from dynamics.schedules import SoftplusDecay
from figures.double_descent import _own
from figures.registry import recipe
from simulations.double_descent import ridge as simulate_ridge
from simulations.double_descent import simulate
from tests.double_descent.common import quick

NAMES = ["fig1", "fig3", "fig4", "fig5cd", "fig6-left", "formulas", "threshold", "landscape"]


def formula(problem, fast, slow):
    """E_G (noiseless labels) of equations 14-16, word by word, with penalty lambda_i on block i at s_1 = 1."""
    n, d, p, noise = problem.samples, problem.dimension, problem.fast, problem.noise
    a = []
    for alpha, phi, s, penalty in (
        (n / p, p / d, 1.0, fast),
        (n / (d - p), 1 - p / d, 1 / problem.condition_number, slow),
    ):
        x = penalty / (phi * s**2)
        a.append(1 + 2 * x / (1 - alpha - x + np.sqrt((1 - alpha - x) ** 2 + 4 * x)))
    b1, b2 = (alpha / (one**2 - alpha) for alpha, one in zip((n / p, n / (d - p)), a, strict=True))
    r1, r2 = n / d / a[0], n / d / a[1]
    c1 = 1 + noise**2 - 2 * r2 - (2 - a[0]) / a[0] * n / d
    c2 = 1 + noise**2 - 2 * r1 - (2 - a[1]) / a[1] * n / d
    q = (b1 * b2 * c2 + b1 * c1) / (1 - b1 * b2) + (b1 * b2 * c1 + b2 * c2) / (1 - b1 * b2)
    return (1 - 2 * (r1 + r2) + q) / 2


def error(data, **where):
    chosen = data["theory"].sel(variable="generalization_error", **where)
    return chosen.isel(teacher=0) if "teacher" in chosen.dims else chosen


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "threshold" else name for name in NAMES]
)
def test_every_figure_agrees_and_says_so(name):
    """A false alarm of 1e-6 for each figure, shared by its comparisons."""
    picture, data = quick(name)
    assert data.attrs["verdict"] == "agree"
    assert data.attrs["false_alarm"] == pytest.approx(1e-6, rel=1e-9)
    assert (data.attrs["seed"], data.attrs["preset"]) == (3, "quick")
    assert json.loads(data.attrs["libraries"])["numpy"]
    assert " ".join(picture._supxlabel.get_text().split()).endswith(" ".join(data.attrs["agreement"].split()))
    assert str(recipe(f"double-descent/{name}").effect(data)) == data.attrs["effect"]
    assert data.attrs["runs"] == ("500" if name == "formulas" else "100")
    literal = name in ("fig1", "fig3", "fig4", "fig5cd", "fig6-left")
    assert ("against literal" in data.attrs["agreement"]) is literal


def test_the_seed_is_that_of_the_runs():
    data = quick("fig1").data.sel(variable="norm", case="both")
    problem = TwoScale(samples=130, dimension=100, fast=70, condition_number=100.0)
    algorithm = GradientDescent(learning_rate=1.0 / edges(problem)[1])
    for teacher in ("sampled", "averaged"):
        runs = simulate(problem, algorithm, data["time"].values, runs=100, seed=3, teacher=teacher)
        np.testing.assert_allclose(data["mean"].sel(teacher=teacher), runs["norm"].mean("run"), rtol=1e-9)
    data = quick("formulas").data.sel(variable="norm", case="ridge")
    problem = TwoScale(samples=110, dimension=100, fast=70, condition_number=30.0)
    runs = simulate_ridge(problem, data["penalty"].values, runs=500, seed=3, teacher="averaged")
    np.testing.assert_allclose(data["mean"], runs["norm"].mean("run"), rtol=1e-12)


def test_figure_1_draws_its_curves():
    """The paper's penalty is 1/t with singular values 0.5 and 0.5/kappa: 4/t at the problem's own."""
    picture, data = quick("fig1")
    t, problem = data["time"].values, TwoScale(samples=130, dimension=100, fast=70, condition_number=100.0)
    for name, fast, slow in (("both", 4 / t, 4 / t), ("fast", 4 / t, 4 / 1e-3), ("slow", 4 / 1e8, 4 / t)):
        np.testing.assert_allclose(data[f"published_{name}"], formula(problem, fast, slow), atol=1e-8)
        off = np.abs(data[f"published_{name}"] - data[f"exact_{name}"]).max().item()
        assert f"{off:.3f}" in data.attrs["caption"]
    left, right = picture.axes
    assert left.get_xscale() == right.get_xscale() == "log"
    drawn = [line.get_ydata() for line in left.lines]
    expected = ("exact_fast", "published_fast", "exact_slow", "published_slow")
    for found, name in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(found, data[name])
    np.testing.assert_array_equal(right.lines[0].get_ydata(), error(data, case="both"))
    np.testing.assert_array_equal(right.lines[-1].get_ydata(), data["published_both"])


def test_figure_3_draws_ridge_at_2_over_t():
    picture, data = quick("fig3")
    t = data["time"].values
    for kappa in data["condition_number"].values:
        problem = TwoScale(samples=150, dimension=100, fast=60, condition_number=kappa)
        one = error(data, condition_number=kappa, training="ridge at 2/t")
        np.testing.assert_allclose(one, ridge(problem, 2 / t[::-1])["generalization_error"][::-1], atol=1e-12)
        if kappa < 1e5:
            expected = formula(problem, 2 / t, 4 / t)
            np.testing.assert_allclose(data["published"].sel(condition_number=kappa), expected, atol=1e-8)
    off = np.abs(data["published"] - error(data, training="ridge at 2/t")).max("time").values
    assert ", ".join(f"{value:.3f}" for value in off) in data.attrs["caption"]
    assert "Right: ridge with penalty $2/t$; dashed" in data.attrs["caption"]
    dashed = [
        line.get_ydata() for line in picture.axes[1].lines if line.get_linestyle() == "--" and line.get_xdata().size
    ]
    np.testing.assert_array_equal(dashed, data["published"])


def test_figure_4_draws_the_plane():
    picture, data = quick("fig4")
    t = data["time"].values[data["time"].values < 1e5]
    for kappa in (1.0, 7.0, 100.0):
        problem = TwoScale(samples=110, dimension=100, fast=70, condition_number=kappa)
        found = data["published_generalization_error"].sel(condition_number=kappa, time=t)
        np.testing.assert_allclose(found, formula(problem, 4 / t, 4 / t), atol=1e-8)
    plane = picture.axes[0]
    r, q = np.meshgrid(np.linspace(0, 1.05, 200), np.linspace(0, 1.3, 200))
    np.testing.assert_allclose(np.ravel(plane.collections[0].get_array()), np.ravel(1 - 2 * r + q), atol=1e-12)
    one = data["theory"].sel(condition_number=1.0, teacher="averaged")
    np.testing.assert_array_equal(plane.lines[0].get_xdata(), one.sel(variable="alignment"))
    np.testing.assert_array_equal(plane.lines[0].get_ydata(), one.sel(variable="norm"))


def test_figure_5_draws_errors_on_noisy_labels():
    picture, data = quick("fig5cd")
    t, problem = data["time"].values, TwoScale(samples=120, dimension=100, fast=80, condition_number=40.0, noise=0.2)
    for penalty in data["slice"].values:
        expected = formula(problem, 4 * (1 / t + penalty), 4 * (1 / t + penalty)) + 0.02
        np.testing.assert_allclose(data["published"].sel(slice=penalty), expected, atol=1e-8)
    assert data["penalty"].values[[0, -1]] == pytest.approx([10**-0.1, 1e-8])
    l2 = 4 * data["penalty"].values[3]
    algorithm = GradientDescent(learning_rate=1 / (edges(problem)[1] + l2), l2=l2)
    np.testing.assert_allclose(
        data["exact_map"][3], solve(problem, algorithm, t)["generalization_error"] + 0.02, atol=1e-8
    )
    assert "theory and runs have the penalty $4\\lambda$" in data.attrs["caption"]
    left, middle, right = picture.axes[:3]
    for axes, name in ((left, "published_map"), (middle, "exact_map")):
        np.testing.assert_array_equal(axes.collections[0].get_array(), data[name].values.T)
    np.testing.assert_allclose(right.lines[0].get_ydata(), error(data, slice=0.1265) + 0.02, atol=1e-15)


def test_figure_6_trains_with_the_schedule():
    data = quick("fig6-left").data
    problem = TwoScale(samples=120, dimension=100, fast=70, condition_number=30.0)
    schedule = SoftplusDecay(initial=0.6, rate=1e-3)
    algorithm = GradientDescent(learning_rate=1 / edges(problem)[1], output_penalty=schedule)
    expected = solve(problem, algorithm, data["time"].values)["generalization_error"]
    np.testing.assert_allclose(error(data, training="with Q-regularisation"), expected, atol=1e-11)
    plain = data["theory"].sel(training="plain", teacher="averaged")
    best = 0.5 * (1 - plain.sel(variable="alignment") ** 2 / plain.sel(variable="norm"))
    np.testing.assert_allclose(data["shrunk"], best, atol=1e-11)


def test_own_figures_draw_their_numbers():
    data = quick("formulas").data
    problem = TwoScale(samples=110, dimension=100, fast=70, condition_number=30.0)
    np.testing.assert_allclose(data["published"], formula(problem, *[data["penalty"].values] * 2), atol=1e-8)
    assert "$n = 110$, $d = 100$" in data.attrs["caption"]
    picture, data = quick("threshold")
    table = data["critical_condition_number"]
    for i, j, k in ((0, 2, 1), (1, 5, 2), (2, 7, 4)):
        n, p = (round(100 * float(data[name][at])) for name, at in (("sampling_ratio", j), ("fast_fraction", k)))
        problem = TwoScale(samples=n, dimension=100, fast=p, noise=float(data["noise"][i]))
        assert table.values[i, j, k] == pytest.approx(critical_condition_number(problem), rel=1e-9)
    twice = 2 * critical_condition_number(TwoScale(samples=200, dimension=100, fast=50, noise=0.3))
    assert f"\\kappa = {twice:.5g}$" in data.attrs["caption"]
    assert picture.axes[1].collections[0].get_array()[1, 5] == table.values[1, 5, 1]
    picture, data = quick("landscape")
    colours = {"white": "minimum", _own.COLOURS[5]: "maximum"}
    for line in picture.axes[0].lines:
        chosen = data["extremum_kind"].values == colours[line.get_color()]
        np.testing.assert_array_equal(line.get_xdata(), data["extremum_time"].values[chosen])


@pytest.mark.parametrize("kind", ["theory", "mean"])
@pytest.mark.parametrize("name", ["fig1", "fig3", "fig4", "fig5cd", "fig6-left", "landscape"])
def test_an_effect_must_be_in_theory_and_runs(name, kind):
    """With the curve of either replaced by one that only falls there is no second descent, and the figure fails."""
    data = quick(name).data.copy(deep=True)
    axis = data[kind].get_axis_num("time")
    data[kind] = data[kind].copy(data=np.minimum.accumulate(data[kind].values, axis=axis))
    effect = recipe(f"double-descent/{name}").effect(data)
    assert not effect.measured >= effect.required


@pytest.mark.parametrize(
    ("name", "spoilt"),
    [
        ("fig4", lambda data: {"published_generalization_error": error(data).drop_vars(["variable", "teacher"])}),
        ("threshold", lambda data: {"critical_condition_number": data["critical_condition_number"] * np.inf}),
        ("formulas", lambda data: {"published": data["published_corrected"]}),
        ("formulas", lambda data: {"published_corrected": data["published_corrected"] + 1e-9}),
    ],
)
def test_other_effects_can_be_missing_too(name, spoilt):
    data = quick(name).data
    effect = recipe(f"double-descent/{name}").effect(data.assign(spoilt(data)))
    assert not effect.measured >= effect.required
