"""Figure 6 of arXiv 2011.09468, primal against dual and L2 against decoupling; responses at rest over the penalty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import wrightomega

from analytic.gradient_starvation import fixed_point, large_penalty, scalar_root, small_penalty, solve
from dynamics.algorithms import Algorithm, DualDescent, PrimalDescent
from dynamics.gradient_starvation import TwoSamples
from dynamics.times import log_steps
from figures.cases import FALSE_ALARM, together
from figures.comparison import compare
from figures.registry import Effect, Preset
from figures.reports import parameters
from figures.style import COLOURS, new_figure
from simulations.gradient_starvation import simulate

STRENGTHS = (2.0, 3.0, 4.0, 5.0, 6.0)
_L2, _DECOUPLING, _STEPS = 0.01, 0.002, 5000
#: What each way of the paper's figure is called: penalties, algorithm, line.
_WAYS: Mapping[str, tuple[dict[str, float], Algorithm, Literal["-", ":", "--"]]] = {
    "primal, L2": ({"l2": _L2}, PrimalDescent(learning_rate=0.05), "-"),
    "dual, L2": ({"l2": _L2}, DualDescent(initial=1e-8, learning_rate=3e-6), ":"),
    "primal, decoupling": ({"l2": 0.0, "decoupling": _DECOUPLING}, PrimalDescent(learning_rate=0.05), "--"),
}
_TITLES = {"dual, L2": "primal and dual, L2", "primal, decoupling": "primal, L2 and spectral decoupling"}
_RUNS = {"quick": 3, "full": 10}
#: Strengths of the first feature on either side of the critical ratio, s_2 = 2.
_SOFT, _HARD = 4.0, 6.0
_PENALTIES = {"quick": 61, "full": 241}
_SIMULATED = tuple(10.0**k for k in range(-2, 4))


def figure_6_data(preset: Preset, seed: int) -> xr.Dataset:
    """Compare responses with weights for all strengths and all three ways, and add where they should end."""
    times = np.append(0, log_steps(_STEPS, {"quick": 60, "full": 150}[preset]))
    alarm = FALSE_ALARM / (len(STRENGTHS) * len(_WAYS))
    ways = {}
    for name, (penalties, algorithm, _) in _WAYS.items():
        compared = {}
        for strong in STRENGTHS:
            problem = TwoSamples(strong=strong, weak=2.0, coupling=0.5, **penalties)
            runs = simulate(problem, algorithm, times, runs=_RUNS[preset], seed=seed)
            compared[strong] = compare(
                solve(problem, algorithm, times), runs, variables=["response"], false_alarm=alarm
            )
        ways[name] = together("strong", compared, symbol="s_1", long_name="strength of the first feature")
    data = together("way", ways)
    problems = [
        [TwoSamples(strong=strong, weak=2.0, coupling=0.5, **penalties) for strong in STRENGTHS]
        for penalties, _, _ in _WAYS.values()
    ]
    rest = np.array([[fixed_point(problem).response.values for problem in row] for row in problems])
    data["rest"] = (("way", "strong", "feature"), rest)
    shared = parameters(TwoSamples(weak=2.0, coupling=0.5), without=("strong", "l2", "decoupling"))
    data.attrs["caption"] = (
        f"{shared}, $s_1 = 2, ..., 6$; {_STEPS} steps. Primal: $\\eta = 0.05$ from $\\theta = 0$; dual: $\\eta = 3 "
        f"\\cdot 10^{{-6}}$ from $\\alpha = 10^{{-8}}$. $\\lambda = {_L2:g}$, or $\\lambda_{{\\mathrm{{SD}}}} = "
        f"{_DECOUPLING:g}$. Lines: recursion of the responses; points: weights trained on random features with "
        "these strengths (mean over the runs); stars: fixed points."
    )
    return data


def figure_6_effect(data: xr.Dataset) -> Effect:
    """Measure how much more the second response depends on the first strength with L2 than with decoupling."""
    last = data.sel(variable="response", feature=2).isel(time=-1)
    ratios = []
    for kind in ("theory", "mean"):
        ends = {way: np.ptp(last[kind].sel(way=way).values) for way in ("primal, L2", "primal, decoupling")}
        ratios.append(ends["primal, L2"] / ends["primal, decoupling"])
    return Effect("range of the second response over s_1, L2 relative to decoupling", min(ratios), 1e3)


def figure_6_draw(data: xr.Dataset) -> Figure:
    """Left: primal and dual ways to the same ends; right: L2 and decoupling."""
    figure, panels = new_figure(1, 2, size=(12.0, 5.0), sharex=True, sharey=True)
    for axes, other in zip(panels, ("dual, L2", "primal, decoupling"), strict=True):
        for colour, strong in zip(COLOURS, data["strong"].values, strict=False):
            for way in (other, "primal, L2"):
                _draw_way(axes, data.sel(way=way, strong=strong), _WAYS[way][2], colour)
        lines = [
            Line2D([], [], color=colour, label=f"$s_1 = {strong:g}$")
            for colour, strong in zip(COLOURS, data["strong"].values, strict=False)
        ]
        lines += [
            Line2D([], [], color="#555555", linestyle=_WAYS[way][2], label=way) for way in ("primal, L2", other)
        ]  # fmt: skip
        axes.legend(handles=lines, loc="lower right", ncols=2)
        axes.set(xlim=(-0.5, 10.5), ylim=(-0.1, 1.85), xlabel="$|z_1|$", title=_TITLES[other])
    panels[0].set_ylabel("$|z_2|$")
    return figure


def _draw_way(axes: Axes, one: xr.Dataset, line: str, colour: str) -> None:
    for kind, style in (("theory", {"linestyle": line}), ("mean", {"linestyle": "", "marker": "o", "markersize": 2.6})):
        z = np.abs(one[kind].sel(variable="response").transpose("feature", "time").values)
        axes.plot(*z[:, :: 1 if kind == "theory" else 3], color=colour, **style)
    axes.plot(*np.abs(one["rest"].values), "*", color=colour, markersize=9, markeredgecolor="#000000", zorder=5)


def rest_data(preset: Preset, seed: int) -> xr.Dataset:
    """Responses at rest over l2 with both laws, weights trained until they rest, and W1 over its argument."""
    grid = np.geomspace(1e-12, 1e4, _PENALTIES[preset])
    curves = np.empty((2, 3, 2, grid.size))
    compared = {}
    for place, strong in enumerate((_SOFT, _HARD)):
        problem = TwoSamples(strong=strong, weak=2.0, coupling=0.5)
        for k, l2 in enumerate(grid):
            one = problem.model_copy(update={"l2": l2})
            curves[place, :, :, k] = fixed_point(one).response, small_penalty(one), large_penalty(one).response
        ends = {l2: _rested(problem.model_copy(update={"l2": l2}), _RUNS[preset], seed) for l2 in _SIMULATED}
        compared[strong] = together("penalty", ends, symbol=r"\lambda", long_name="L2 penalty on the weights")
    data = together("strong", compared, symbol="s_1", long_name="strength of the first feature")
    data["curve"] = (("strong", "law", "feature", "l2"), curves)
    c = np.geomspace(1e-3, 1e6, 200)
    w = np.real(wrightomega(np.log(c)))  # Lambert's W
    data["root"] = (("approximation", "c"), np.array([scalar_root(c), w, w - w**2 / (c * (1 + w)), c / 2 - c**2 / 8]))
    data = data.assign_coords(
        law=["exact", "small", "large"], l2=grid, c=c, approximation=["exact", "lambert", "large", "small"]
    )
    shared = parameters(problem, without=("strong", "l2", "decoupling"))
    data.attrs["caption"] = (
        f"{shared}. Left, middle: fixed points (lines), laws for $\\lambda \\to 0$ (dashed) and $\\lambda \\to "
        "\\infty$ (dotted), weights trained until they rest (points). $s_1^2/s_2^2$ is 4, below the critical ratio "
        "6.46, and 9. Right: what replaces $W_1$, the root of $u (1 + e^u) = c$, and by how much it is off: Lambert's "
        "$W$, its next term $-W^2/(c (1 + W))$, and $c/2 - c^2/8$."
    )
    return data


def _rested(problem: TwoSamples, runs: int, seed: int) -> xr.Dataset:
    """Compare the last of so many steps that each response has come to rest."""
    algorithm = PrimalDescent(learning_rate=1.0 / (0.25 * problem.strong**2 + problem.l2))
    steps = [int(40.0 / (algorithm.learning_rate * problem.l2)) + 10]
    trained = simulate(problem, algorithm, steps, runs=runs, seed=seed)
    return compare(
        solve(problem, algorithm, steps), trained, variables=["response"],
        false_alarm=FALSE_ALARM / (2 * len(_SIMULATED)),
    ).isel(time=0, drop=True)  # fmt: skip


def rest_effect(data: xr.Dataset) -> Effect:
    """Measure how much less of the second feature is learned at l2 = 0.01 when the first is stronger."""
    found = data.sel(variable="response", feature=2, penalty=_L2)
    ratios = [float(found[kind].sel(strong=_SOFT) / found[kind].sel(strong=_HARD)) for kind in ("theory", "mean")]
    return Effect("second response for s_1 = 4 relative to s_1 = 6 at l2 = 0.01", min(ratios), 1.2)


def rest_draw(data: xr.Dataset) -> Figure:
    """Draw responses over the penalty, below and above the critical ratio, and the scalar root."""
    figure, (*panels, right) = new_figure(1, 3, size=(13.0, 4.6))
    for axes, strong in zip(panels, data["strong"].values, strict=True):
        one = data.sel(strong=strong, variable="response")
        for colour, feature in zip(COLOURS, (1, 2), strict=False):
            curve = one["curve"].sel(feature=feature)
            for law, line in (("exact", "-"), ("small", "--"), ("large", ":")):
                name = f"$z_{feature}^*$" if law == "exact" else None
                part = curve.sel(law=law, l2=slice(None, 1.0) if law == "small" else slice(None))
                axes.plot(part["l2"], part, line, color=colour, label=name)
            axes.plot(data["penalty"], one["mean"].sel(feature=feature), "o", color=colour, markersize=4)
        axes.set(
            xscale="log", yscale="log", xlabel=r"L2 penalty $\lambda$", ylim=(1e-4, 60), title=f"$s_1 = {strong:g}$"
        )
        axes.legend()
    exact = data["root"].sel(approximation="exact")
    for name, words in (("lambert", "$W(c)$"), ("large", "$W - W^2/(c(1+W))$"), ("small", "$c/2 - c^2/8$")):
        off = np.abs(data["root"].sel(approximation=name) / exact - 1.0)
        right.plot(data["c"], off, label=words)
    right.set(
        xscale="log", yscale="log", xlabel="$c$", ylabel="relative error", ylim=(1e-8, 3), title="in place of $W_1$"
    )
    right.legend()
    return figure
