"""Figures 1 and 2 of arXiv 2011.09468: decision boundaries on two moons, networks against their linearisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analytic.gradient_starvation._linearised import linearised
from dynamics.algorithms import MomentumDescent
from dynamics.classifiers import Statistics
from dynamics.gradient_starvation import TwoMoons
from dynamics.times import log_steps
from figures.cases import FALSE_ALARM, together
from figures.comparison import compare
from figures.registry import Effect, Preset
from figures.reports import parameters
from figures.style import COLOURS, label, new_figure
from simulations.gradient_starvation._moons import sample
from simulations.gradient_starvation._observe import observe

__all__ = [
    "EASY", "PIXELS", "Case", "asked", "checked", "draw_plane", "figure_1_data", "figure_1_draw", "figure_1_effect",
    "figure_2_data", "figure_2_draw", "figure_2_effect", "numbers",
]  # fmt: skip

#: Points along each side of a picture of the plane, and its lines.
PIXELS = 100
_LEVELS = 10
_LABELS = {"nonlinearity": "NL", "second_share": "GS", "shifted_accuracy": "OOD"}
_HARD, EASY = TwoMoons(margin=-0.1), TwoMoons(margin=0.1)

Case = tuple[TwoMoons, MomentumDescent]


def checked(case: Case, times: Any, runs: int, seed: int, alarm: float) -> tuple[xr.Dataset, xr.Dataset]:
    """Compare networks with their linearisation run by run; return that, and mean outputs and responses of both."""
    problem, algorithm = case
    data = sample(problem, runs=runs, seed=seed)
    theory = linearised(problem, algorithm, times, data, pixels=PIXELS)
    seen = observe(problem, algorithm, times, runs=runs, seed=seed, pixels=PIXELS)
    more = xr.Dataset({"inputs": data["inputs"].isel(run=0, drop=True), "labels": data["labels"]})
    for kind, answer in (("theory", theory), ("mean", seen)):
        more[f"{kind}_output"] = answer["output"].mean("run")
        more[f"{kind}_response"] = abs(answer["response"]).mean("run")
        weak = answer["response"].isel(feature=slice(5, 8))
        more[f"{kind}_weak"] = ((weak**2).sum("feature") ** 0.5).mean("run")
    return compare(theory, seen, variables=Statistics._fields, false_alarm=alarm), more.drop_attrs()


def _joined(cases: Mapping[str, Case], times: Any, runs: int, seed: int) -> xr.Dataset:
    """Check all cases and put what is to be drawn in one Dataset."""
    pairs = [checked(case, times, runs, seed, FALSE_ALARM / len(cases)) for case in cases.values()]
    compared = together("case", dict(zip(cases, (one for one, _ in pairs), strict=True)))
    more = xr.concat([other for _, other in pairs], compared["case"], join="exact")
    return compared.merge(more, join="exact", combine_attrs="override")


def asked(problem: TwoMoons, algorithm: MomentumDescent, *without: str) -> str:
    """Write what all cases of a figure share."""
    left_out = ("rotation", "hidden_layers", "dropout", "normalization", *without)
    return parameters(problem, algorithm, without=left_out)


def numbers(data: xr.Dataset) -> str:
    """Write NL, GS and OOD of all cases at the last time, of the networks and, in brackets, of the linearisations."""
    last, texts = data.isel(time=-1), []
    for case in data["case"].values:
        words = []
        for name, short in _LABELS.items():
            theory, mean = (float(last[kind].sel(case=case, variable=name)) for kind in ("theory", "mean"))
            words.append(f"{short} {mean:.2f} ({theory:.2f})")
        texts.append(f"{str(case).capitalize()}: {', '.join(words)}.")
    return " ".join(texts)


def draw_plane(axes: Axes, one: xr.Dataset, title: str) -> None:
    """Draw mean outputs as colours and ten lines, their boundary, that of the linearisation, and one run's data."""
    x, y, f = (one[name].values for name in ("first_coordinate", "second_coordinate", "mean_output"))
    largest = float(np.abs(f).max())
    levels = np.linspace(-largest, largest, _LEVELS + 1)
    axes.contourf(x, y, f, levels, cmap="PuOr_r", alpha=0.85)
    axes.contour(x, y, f, levels, colors="#888888", linewidths=0.4)
    axes.contour(x, y, f, [0.0], colors="#000000", linewidths=1.8)
    if "theory_output" in one and np.isfinite(one["theory_output"]).all():
        axes.contour(x, y, one["theory_output"].values, [0.0], colors="#009E73", linewidths=1.6, linestyles="--")
    for sign, marker, colour in ((-1.0, "o", "#5e3c99"), (1.0, "^", "#b35806")):
        points = one["inputs"].values[one["labels"].values == sign]
        axes.plot(*points.T, marker, color=colour, markersize=2.0, alpha=0.8, markeredgewidth=0)
    axes.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", title=title, xlabel="$x_1$", ylabel="$x_2$")
    axes.grid(visible=False)


def figure_1_data(preset: Preset, seed: int) -> xr.Dataset:
    """Two margins, 1000 epochs."""
    cases = {f"margin {problem.margin:+g}": (problem, MomentumDescent()) for problem in (_HARD, EASY)}
    data = _joined(cases, log_steps(1000, {"quick": 12, "full": 24}[preset]), {"quick": 10, "full": 40}[preset], seed)
    data.attrs["caption"] = (
        f"{asked(EASY, MomentumDescent(), 'margin')}. Left and middle: mean output of the networks after 1000 epochs, "
        "its zero line (black), that of their linearisations (green, dashed), data of the first run. "
        f"{numbers(data)} NL: deviation of the boundary from a line; GS: share of $x_2$ in the gradient; OOD: accuracy "
        "on data with $\\Delta = -0.5$; in brackets those of the linearisations. Right: linearised (lines) and trained "
        "networks (points, bands of two standard errors)."
    )
    return data


def figure_1_effect(data: xr.Dataset) -> Effect:
    """Measure how much less of the curved feature is learned where the straight one is enough."""
    last = data.isel(time=-1).sel(variable="nonlinearity")
    hard, easy = (last.sel(case=f"margin {margin}") for margin in ("-0.1", "+0.1"))
    ratios = [float(hard[kind] / easy[kind]) for kind in ("theory", "mean")]
    return Effect("nonlinearity at margin -0.1 relative to +0.1, theory and runs", min(ratios), 2.0)


def figure_1_draw(data: xr.Dataset) -> Figure:
    """Two planes, and the statistics over time."""
    figure, axes = new_figure(1, 3, size=(13.0, 4.9))
    for panel, name in zip(axes, data["case"].values, strict=False):
        draw_plane(panel, data.sel(case=name), str(name))
    _draw_statistics(axes[2], data, cases=True)
    return figure


def _draw_statistics(axes: Axes, data: xr.Dataset, *, cases: bool) -> None:
    """Draw NL and GS of all cases over time, bands of two standard errors; ``cases`` says whether to name them."""
    for variable, line, marker in (("nonlinearity", "-", "o"), ("second_share", "--", "s")):
        for colour, name in zip(COLOURS, data["case"].values, strict=False):
            one = data.sel(case=name, variable=variable)
            time, mean, error = data["time"].values, one["mean"].values, one["standard_error"].values
            axes.fill_between(time, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.2, linewidth=0)
            axes.plot(time, one["theory"], line, color=colour)
            axes.plot(time, mean, marker, color=colour, markersize=2.8)
    keys = [
        Line2D([], [], color="#555555", linestyle="-", marker="o", markersize=3, label="NL"),
        Line2D([], [], color="#555555", linestyle="--", marker="s", markersize=3, label="GS"),
    ]
    if cases:
        named = zip(COLOURS, data["case"].values, strict=False)
        keys += [Line2D([], [], color=colour, label=name) for colour, name in named]
    axes.set(xscale="log", yscale="log", xlabel=label(data["time"]), title="linearised (lines) and trained (points)")
    axes.legend(handles=keys, loc="upper right" if cases else "lower left")


def figure_2_data(preset: Preset, seed: int) -> xr.Dataset:
    """Two margins, and the larger one with a penalty on outputs; responses of strong and weak features."""
    penalties = (0.0, 0.0, 0.003)
    algorithms = [MomentumDescent(weight_decay=2e-4, output_penalty=penalty) for penalty in penalties]
    names = ("margin -0.1", "margin +0.1", "margin +0.1, penalised")
    cases = dict(zip(names, zip((_HARD, EASY, EASY), algorithms, strict=True), strict=True))
    last, runs = {"quick": (3000, 8), "full": (10_000, 20)}[preset]
    data = _joined(cases, log_steps(last, {"quick": 14, "full": 30}[preset]), runs, seed)
    data.attrs["caption"] = (
        f"{asked(EASY, algorithms[0], 'margin', 'output_penalty')}; penalised: $c = 0.003$. Top: mean output of the "
        f"networks after {last} epochs, its zero line (black), that of their linearisations (green, dashed), data of "
        f"the first run. {numbers(data)} NL: deviation of the boundary from a line; GS: share of $x_2$ in the "
        "gradient; OOD: accuracy on data with $\\Delta = -0.5$; in brackets those of the linearisations. Bottom: "
        "responses $z_j$ of the features of the tangent kernel at the start, $j = 1$ the strongest, and NL and GS, of "
        "linearised (lines) and trained networks (points)."
    )
    return data


def figure_2_effect(data: xr.Dataset) -> Effect:
    """Measure what the penalty on outputs does to the weak features."""
    last = data.isel(time=-1)
    ratios = [
        float(last[f"{kind}_weak"].sel(case="margin +0.1, penalised") / last[f"{kind}_weak"].sel(case="margin +0.1"))
        for kind in ("theory", "mean")
    ]
    return Effect("norm of responses 6 to 8 with the penalty relative to without, theory and runs", min(ratios), 1.6)


def figure_2_draw(data: xr.Dataset) -> Figure:
    """Planes above; a strong response, the weak ones together and the statistics below."""
    figure, axes = new_figure(2, 3, size=(13.0, 8.6))
    for panel, name in zip(axes[0], data["case"].values, strict=True):
        draw_plane(panel, data.sel(case=name), str(name))
    titles = {"response": "strong feature, $|z_2|$", "weak": "weak features, norm of $(z_6, z_7, z_8)$"}
    for panel, (key, title) in zip(axes[1], titles.items(), strict=False):
        for colour, name in zip(COLOURS, data["case"].values, strict=False):
            one = data.sel(case=name)
            theory, mean = (one[f"{kind}_{key}"] for kind in ("theory", "mean"))
            if key == "response":
                theory, mean = theory.sel(feature=2), mean.sel(feature=2)
            panel.plot(data["time"], theory, color=colour, label=str(name))
            panel.plot(data["time"], mean, "o", color=colour, markersize=2.8)
        panel.set(xscale="log", yscale="log", xlabel=label(data["time"]), title=title)
    axes[1, 0].legend(loc="lower right")
    _draw_statistics(axes[1, 2], data, cases=False)
    return figure
