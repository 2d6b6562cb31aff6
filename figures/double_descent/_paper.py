"""Figures 1, 3 and 4 of arXiv 2112.03215: curves as published, exactly, and as simulated."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analytic.double_descent import PAPER_SCALE, edges, published_ridge, ridge, solve
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import TwoScale
from figures.cases import agreement, together
from figures.double_descent._common import (
    PUBLISHED,
    RUNS,
    against,
    checked,
    curve,
    depth,
    descent,
    draw_case,
    error_axes,
    steps,
)
from figures.registry import Effect, Preset
from figures.reports import parameters
from figures.style import COLOURS, new_figure, number
from simulations.double_descent import ridge as simulate_ridge

STEP = (
    "Gradient descent at the step $1/\\lambda_+$ of the limit, the same for theory and runs. Published: the paper's "
    "two-scale formula, ridge at $1/t$ with singular values $0.5$ and $0.5/\\kappa$."
)


def figure_1_data(preset: Preset, seed: int) -> xr.Dataset:
    """One problem: published curves with one block frozen, with both, exact theory and runs."""
    problem = TwoScale(samples=130, dimension=100, fast=70, condition_number=100.0)
    times = steps(5, preset)
    data = together("case", {"both": checked(problem, descent(problem), times, preset, seed)})
    # the paper's first and last times, at which it freezes a block, lie beyond the picture
    penalties = 1.0 / np.array([1e8, *times[::-1], 1e-3])
    for which in ("both", "fast", "slow"):
        formula = published_ridge(problem, penalties, scale=PAPER_SCALE, learn=which)
        data[f"published_{which}"] = ("time", formula["generalization_error"].values[-2:0:-1])
    data["exact_both"] = ("time", curve(data.isel(case=0, teacher=0), "theory"))
    # slow features that practically never learn, and fast ones that have learned before the first step
    step = 1.0 / edges(problem)[1]
    fast = solve(problem, GradientDescent(learning_rate=step, rates=(1.0, 1e-30)), times)
    slow = solve(problem, GradientFlow(rates=(1e9, 1.0)), step * times)
    for which, answer in (("fast", fast), ("slow", slow)):
        data[f"exact_{which}"] = ("time", answer["generalization_error"].values)
    off = {
        which: float(np.abs(data[f"published_{which}"] - data[f"exact_{which}"]).max())
        for which in ("both", "fast", "slow")
    }
    data.attrs["caption"] = (
        f"{parameters(problem)}. {STEP} (a) One block learns, the other is frozen at its first (slow) or last (fast) "
        f"state: published curves off the exact ones by up to {off['fast']:.3f} (fast) and {off['slow']:.3f} (slow). "
        f"(b) Both learn: off by up to {off['both']:.3f}."
    )
    return data


def figure_1_effect(data: xr.Dataset) -> Effect:
    """Measure the second descent in the exact curve and in the mean of the runs."""
    found = min(depth(curve(data.isel(case=0).sel(teacher="sampled"), kind)) for kind in ("theory", "mean"))
    return Effect("depth of the second descent, theory and runs", found, 0.05)


def figure_1_draw(data: xr.Dataset) -> Figure:
    """Panel (a): one block at a time; panel (b): both."""
    figure, (left, right) = new_figure(1, 2, size=(9.5, 4.6), sharey=True)
    time = data["time"].values
    for colour, which in zip(COLOURS, ("fast", "slow"), strict=False):
        left.plot(time, data[f"exact_{which}"], color=colour, label=f"{which} features only")
        left.plot(time, data[f"published_{which}"], color=colour, **PUBLISHED)
    draw_case(right, data.isel(case=0).sel(teacher="sampled"), COLOURS[2], "both")
    right.plot(time, data["published_both"], color=COLOURS[2], label="published", **PUBLISHED)
    error_axes(left, data["time"], "(a) one block at a time: exact (line), published (dashed)")
    error_axes(right, data["time"], "(b) both blocks: exact (line), runs (points)")
    for axes in (left, right):
        axes.legend()
    return figure


def figure_3_data(preset: Preset, seed: int) -> xr.Dataset:
    """Three condition numbers: descent over steps, and ridge at 2/t, each exact and simulated; ridge also published."""
    times = steps(6, preset)
    ratios = (1.0, 50.0, 1e5)
    trained, penalized, published = {}, {}, []
    for ratio in ratios:
        problem = TwoScale(samples=150, dimension=100, fast=60, condition_number=ratio)
        trained[ratio] = checked(problem, descent(problem), times, preset, seed, cases=6)
        penalized[ratio] = _ridge_over_time(problem, times, preset, seed)
        # the paper's script adds a factor 1/2 on the fast block's penalty: 2/t there, 4/t on the slow one, at s_1 = 1
        formula = published_ridge(problem, 2.0 / times[::-1], slow_penalties=4.0 / times[::-1])
        published.append(formula["generalization_error"].values[::-1])
    parts = {"gradient descent": trained, "ridge at 2/t": penalized}
    joined = [together("condition_number", cases, symbol=r"\kappa") for cases in parts.values()]
    data = xr.concat(joined, xr.DataArray(list(parts), dims="training", name="training"), combine_attrs="drop")
    data.attrs = agreement(data, joined)
    data["published"] = (("condition_number", "time"), np.array(published))
    exact = data["theory"].sel(variable="generalization_error", training="ridge at 2/t", teacher="sampled")
    off = abs(data["published"] - exact).max("time")
    data.attrs["caption"] = (
        f"{parameters(problem, without=('condition_number',))}, $\\kappa$ as in the legend. Left: gradient descent at "
        "the step $1/\\lambda_+$ of the limit, the same for theory and runs. Right: ridge with penalty $2/t$; dashed: "
        "the formula with the paper's own fitted penalties ($2/t$ fast, $4/t$ slow), off the exact ridge by up to "
        f"{', '.join(f'{value:.3f}' for value in off.values)} for the three $\\kappa$."
    )
    return data


def _ridge_over_time(problem: TwoScale, times: Any, preset: Preset, seed: int) -> xr.Dataset:
    """Compare exact ridge at penalty 2/t with runs, on the axis t."""
    penalties = 2.0 / times[::-1]
    sampled, averaged = (
        simulate_ridge(problem, penalties, runs=RUNS[preset], seed=seed, teacher=teacher)
        for teacher in ("sampled", "averaged")
    )
    comparison = against(ridge(problem, penalties), sampled, averaged, cases=6)
    backwards = comparison.isel(penalty=slice(None, None, -1)).rename(penalty="time")
    return backwards.assign_coords(time=("time", times, {"symbol": "t", "long_name": "steps"}))


def figure_3_effect(data: xr.Dataset) -> Effect:
    """Measure the second descent at kappa = 50, trained or with ridge, in theory and runs."""
    middle = data.sel(condition_number=50.0, teacher="sampled")
    found = [depth(curve(middle.isel(training=index), kind)) for index in (0, 1) for kind in ("theory", "mean")]
    return Effect("depth of the second descent at kappa = 50, theory and runs, descent and ridge", min(found), 0.01)


def figure_3_draw(data: xr.Dataset) -> Figure:
    """Left: gradient descent; right: ridge, with the published formula dashed."""
    figure, panels = new_figure(1, 2, size=(9.5, 4.6), sharey=True)
    for axes, training in zip(panels, data["training"].values, strict=True):
        for colour, ratio in zip(COLOURS, data["condition_number"].values, strict=False):
            one = data.sel(training=training, condition_number=ratio, teacher="sampled")
            draw_case(axes, one, colour, rf"$\kappa = {number(ratio)}$")
            if training != data["training"].values[0]:
                axes.plot(data["time"], data["published"].sel(condition_number=ratio), color=colour, **PUBLISHED)
        error_axes(axes, data["time"], str(training))
    panels[1].plot([], [], color="#555555", label="published", **PUBLISHED)
    for axes in panels:
        axes.legend(title="exact (line), runs (points)", loc="upper right")
    return figure


def figure_4_data(preset: Preset, seed: int) -> xr.Dataset:
    """Seven condition numbers: R, Q and E_G, published, exact and simulated."""
    times = steps(7, preset)
    ratios = (1.0, 7.0, 12.0, 30.0, 100.0, 1000.0, 1e5)
    compared, published = {}, []
    for ratio in ratios:
        problem = TwoScale(samples=110, dimension=100, fast=70, condition_number=ratio)
        algorithm = descent(problem)
        compared[ratio] = checked(problem, algorithm, times, preset, seed, cases=len(ratios))
        published.append(solve(problem, GradientDescent(), times, method="published"))
    data = together("condition_number", compared, symbol=r"\kappa")
    for name in ("alignment", "norm", "generalization_error"):
        data[f"published_{name}"] = (("condition_number", "time"), np.array([one[name].values for one in published]))
    exact = data["theory"].sel(variable="generalization_error", teacher="averaged")
    off = abs(data["published_generalization_error"] - exact).max("time")
    data.attrs["caption"] = (
        f"{parameters(problem, without=('condition_number',))}, $\\kappa$ as in the legend. {STEP} Left: twice the "
        "error, $1 - 2R + Q$, as a map, and the paths of the student. The runs drawn are averaged over "
        "teachers. The published curves are off the exact ones by "
        f"up to {', '.join(f'{value:.3f}' for value in off.values)}: at $\\kappa = 7$ they miss the double descent "
        "altogether."
    )
    return data


def figure_4_effect(data: xr.Dataset) -> Effect:
    """Measure the second descent at kappa = 7 in theory and runs; the published curve has none."""
    seven = data.sel(condition_number=7.0, teacher="averaged")
    if depth(seven["published_generalization_error"].values) > 1e-9:
        return Effect("monotone published curve at kappa = 7", 0.0, 1.0)
    found = min(depth(curve(seven, kind)) for kind in ("theory", "mean"))
    return Effect("depth of the second descent at kappa = 7, which the published curve misses", found, 0.01)


def figure_4_draw(data: xr.Dataset) -> Figure:
    """Left: the (R, Q) plane with the error as a map; right: the error over steps."""
    figure, (plane, errors) = new_figure(1, 2, size=(10.5, 5.0))
    r, q = np.meshgrid(np.linspace(0.0, 1.05, 200), np.linspace(0.0, 1.3, 200))
    image = plane.pcolormesh(r, q, 1.0 - 2.0 * r + q, cmap="Greys", vmin=0.0, vmax=2.5, shading="auto", rasterized=True)
    figure.colorbar(image, ax=plane, label="$1 - 2R + Q = 2 E_G$")
    for colour, ratio in zip(COLOURS, data["condition_number"].values, strict=True):
        one = data.sel(condition_number=ratio, teacher="averaged")
        path = [curve(one, "theory", name) for name in ("alignment", "norm")]
        plane.plot(*path, color=colour)
        plane.plot(path[0][-1], path[1][-1], "o", color=colour, markersize=5)
        plane.plot(one["published_alignment"], one["published_norm"], color=colour, **PUBLISHED)
        plane.plot(*(curve(one, "mean", name)[::2] for name in ("alignment", "norm")), ".", color=colour, markersize=3)
        draw_case(errors, one, colour, rf"$\kappa = {number(ratio)}$")
        errors.plot(data["time"], one["published_generalization_error"], color=colour, **PUBLISHED)
    plane.set(xlabel="alignment $R$", ylabel="norm $Q$", title="path: exact (line), runs (dots), published (dashed)")
    plane.grid(visible=False)
    error_axes(errors, data["time"], "exact (line), runs (points), published (dashed)", top=0.6)
    errors.legend(ncols=3, loc="upper left")
    return figure
