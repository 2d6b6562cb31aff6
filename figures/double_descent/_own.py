"""Own figures: where the published formula errs, where double descent begins, the error over time and scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from analytic.double_descent import critical_condition_number, extrema, published_ridge, ridge, solve
from dynamics.algorithms import GradientFlow
from dynamics.double_descent import TwoScale
from figures.cases import FALSE_ALARM, together
from figures.comparison import compare
from figures.double_descent._common import PUBLISHED, RUNS, checked, curve, depth, draw_case
from figures.registry import Effect, Preset
from figures.reports import parameters
from figures.style import COLOURS, label, new_figure, number
from simulations.double_descent import ridge as simulate_ridge


def formulas_data(preset: Preset, seed: int) -> xr.Dataset:
    """Ridge at equal penalties: published, corrected, exact, simulated."""
    problem = TwoScale(samples=110, dimension=100, fast=70, condition_number=30.0)
    penalties = np.geomspace(1e-7, 1e1, {"quick": 50, "full": 100}[preset])
    runs = simulate_ridge(problem, penalties, runs=5 * RUNS[preset], seed=seed, teacher="averaged")
    data = together("case", {"ridge": compare(ridge(problem, penalties), runs, false_alarm=FALSE_ALARM)})
    for name, corrected in (("published", False), ("published_corrected", True)):
        formula = published_ridge(problem, penalties, corrected=corrected)
        data[name] = ("penalty", formula["generalization_error"].values)
    exact = data["theory"].sel(variable="generalization_error")
    off, left = (float(np.abs(data[name] - exact).max()) for name in ("published", "published_corrected"))
    data.attrs["caption"] = (
        f"{parameters(problem)}. Ridge regression at penalty $\\lambda$ on the problem's own singular values; runs "
        f"averaged over teachers. The published two-scale formula is off the exact limit by up to {off:.3f} at any "
        f"size; with its one missing term restored, by {left:.0e}."
    )
    return data


def formulas_effect(data: xr.Dataset) -> Effect:
    """Measure by how much the published formula is off, where the corrected one is off by rounding."""
    exact = curve(data.isel(case=0), "theory")
    if np.abs(data["published_corrected"].values - exact).max() > 1e-11:
        return Effect("corrected formula equal to the exact one", 0.0, 1.0)
    return Effect("largest error of the published formula", float(np.abs(data["published"].values - exact).max()), 0.05)


def formulas_draw(data: xr.Dataset) -> Figure:
    """Above: E_G over the penalty; below: what is off from the exact limit."""
    figure, (top, bottom) = new_figure(2, 1, size=(7.0, 6.4), sharex=True, height_ratios=(3, 2))
    one = data.isel(case=0)
    corrected: dict[str, Any] = {"linestyle": ":", "linewidth": 2.4, "color": COLOURS[2]}
    for axes, base in ((top, 0.0 * one["theory"]), (bottom, one["theory"])):
        draw_case(axes, one.assign(theory=one["theory"] - base, mean=one["mean"] - base), COLOURS[0], "exact, and runs")
        zero = base.sel(variable="generalization_error")
        axes.plot(data["penalty"], data["published"] - zero, color=COLOURS[1], label="published", **PUBLISHED)
        axes.plot(data["penalty"], data["published_corrected"] - zero, label="published, corrected", **corrected)
    top.set(xscale="log", ylabel="generalization error $E_G$")
    top.legend()
    bottom.set(xlabel=label(data["penalty"]), ylabel="$E_G$ minus exact")
    return figure


def threshold_data(preset: Preset, seed: int) -> xr.Dataset:
    """kappa_c over (n/d, p/d) for three noises; runs check the curve at one threshold."""
    counts = {"quick": (8, 5), "full": (25, 17)}[preset]
    samples = np.unique(np.rint(np.geomspace(50, 400, counts[0]))).astype(int)
    fast = np.unique(np.rint(np.linspace(10, 90, counts[1]))).astype(int)
    noises = np.array([0.0, 0.3, 1.0])
    table = np.array([[[_threshold(n, p, noise) for p in fast] for n in samples] for noise in noises])
    at = TwoScale(samples=200, dimension=100, fast=50, condition_number=2.0 * _threshold(200, 50, 0.3), noise=0.3)
    times = np.geomspace(1e-2, 1e4, 60)
    data = together("case", {"check": checked(at, GradientFlow(), times, preset, seed)})
    data = data.assign_coords(
        noise=("noise", noises, {"symbol": r"\sigma"}),
        sampling_ratio=("sampling_ratio", samples / 100.0, {"symbol": r"\alpha = n/d"}),
        fast_fraction=("fast_fraction", fast / 100.0, {"symbol": r"\varphi = p/d"}),
    )
    data["critical_condition_number"] = (("noise", "sampling_ratio", "fast_fraction"), table, {"symbol": r"\kappa_c"})
    data.attrs["caption"] = (
        "Gradient flow without penalty, two scales: smallest condition number $\\kappa_c$ at which the exact "
        "generalization error has a second descent; grey: none up to $\\kappa = 300$ (for $n < p$ training "
        f"interpolates). Theory only; the runs check the curve of one point, {parameters(at)} (twice its $\\kappa_c$)."
    )
    return data


def _threshold(samples: int, fast: int, noise: float) -> float:
    return critical_condition_number(TwoScale(samples=int(samples), dimension=100, fast=int(fast), noise=float(noise)))


def threshold_effect(data: xr.Dataset) -> Effect:
    """Check that the threshold is finite wherever there are more samples than fast features."""
    table = data["critical_condition_number"]
    more = (data["sampling_ratio"] > data["fast_fraction"] + 0.05).broadcast_like(table)
    share = float((table < np.inf).where(more).mean())
    return Effect("share of the problems with n > p that have a threshold", share, 0.95)


def threshold_draw(data: xr.Dataset) -> Figure:
    """One map for each noise."""
    figure, panels = new_figure(1, 3, size=(11.0, 4.4), sharey=True)
    table = data["critical_condition_number"]
    for axes, noise in zip(panels, data["noise"].values, strict=True):
        values = np.ma.masked_invalid(table.sel(noise=noise).values.T)
        axes.set_facecolor("#bbbbbb")
        image = axes.pcolormesh(
            data["sampling_ratio"], data["fast_fraction"], values, cmap="viridis", norm=LogNorm(2.0, 100.0),
            shading="nearest", rasterized=True,
        )  # fmt: skip
        axes.set(xscale="log", xlabel=r"sampling ratio $\alpha = n/d$", title=rf"$\sigma = {noise:g}$")
        axes.set_xticks([0.5, 1.0, 2.0, 4.0], labels=["0.5", "1", "2", "4"])
        axes.set_xticks([], minor=True)
        axes.grid(visible=False)
    panels[0].set_ylabel(r"fraction of fast features $\varphi = p/d$")
    bar = figure.colorbar(image, ax=list(panels), label=r"critical condition number $\kappa_c$", extend="max")
    bar.set_ticks([2, 5, 10, 20, 50, 100], labels=["2", "5", "10", "20", "50", "100"])
    return figure


def landscape_data(preset: Preset, seed: int) -> xr.Dataset:
    """E_G over (time, condition number), its extrema, and runs at three condition numbers."""
    base: dict[str, Any] = {"samples": 150, "dimension": 100, "fast": 60, "noise": 0.2}
    times = np.geomspace(1e-2, 1e8, {"quick": 80, "full": 160}[preset])
    ratios = np.geomspace(1.0, 1e3, {"quick": 31, "full": 91}[preset])
    landscape, stations = [], []
    for ratio in ratios:
        problem = TwoScale(condition_number=float(ratio), **base)
        landscape.append(solve(problem, GradientFlow(), times, accuracy=1e-9)["generalization_error"].values)
        found = extrema(problem)
        stations += [(ratio, time, kind) for time, kind in zip(found["time"].values, found["kind"].values, strict=True)]
    shown = (3.0, 30.0, 300.0)
    compared = {
        ratio: checked(TwoScale(condition_number=ratio, **base), GradientFlow(), times, preset, seed, cases=3)
        for ratio in shown
    }
    data = together("condition_number", compared, symbol=r"\kappa")
    data = data.assign_coords(ratio=("ratio", ratios, {"symbol": r"\kappa", "long_name": "condition number"}))
    data["landscape"] = (("ratio", "time"), np.array(landscape))
    for index, name in enumerate(("extremum_ratio", "extremum_time", "extremum_kind")):
        data[name] = ("extremum", np.array([station[index] for station in stations]))
    data.attrs["caption"] = (
        f"{parameters(problem, without=('condition_number',))}. Gradient flow. Left: exact generalization error over "
        "flow time and condition number, with its minima (white) and maxima (orange) in time. Right: three cuts with "
        "runs, averaged over teachers."
    )
    return data


def landscape_effect(data: xr.Dataset) -> Effect:
    """Measure the second descent at kappa = 300 in theory and runs."""
    found = min(depth(curve(data.sel(condition_number=300.0, teacher="averaged"), kind)) for kind in ("theory", "mean"))
    return Effect("depth of the second descent at kappa = 300, theory and runs", found, 0.03)


def landscape_draw(data: xr.Dataset) -> Figure:
    """Left: map with extrema; right: cuts with runs."""
    figure, (left, right) = new_figure(1, 2, size=(10.5, 4.8))
    image = left.pcolormesh(
        data["time"], data["ratio"], data["landscape"], cmap="viridis", shading="nearest", rasterized=True
    )
    figure.colorbar(image, ax=left, label="generalization error $E_G$")
    for kind, colour in (("minimum", "white"), ("maximum", COLOURS[5])):
        chosen = (data["extremum_kind"] == kind).values
        left.plot(
            data["extremum_time"].values[chosen],
            data["extremum_ratio"].values[chosen],
            "o",
            color=colour,
            markersize=2.5,
        )
    left.set(xscale="log", yscale="log", xlabel=label(data["time"]), ylabel=r"condition number $\kappa$")
    left.grid(visible=False)
    for colour, ratio in zip(COLOURS, data["condition_number"].values, strict=False):
        draw_case(right, data.sel(condition_number=ratio, teacher="averaged"), colour, rf"$\kappa = {number(ratio)}$")
    right.set(
        xscale="log",
        xlabel=label(data["time"]),
        ylabel="generalization error $E_G$",
        title="exact (line), runs (points)",
    )
    right.legend()
    return figure
