"""Figures 5cd and 6 (left) of arXiv 2112.03215: what an L2 penalty and the Q-regularisation schedule do."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analytic.double_descent import PAPER_SCALE, edges, shrinkage, solve
from dynamics.algorithms import GradientDescent
from dynamics.double_descent import TwoScale
from dynamics.schedules import SoftplusDecay
from figures.cases import together
from figures.double_descent._common import PUBLISHED, checked, curve, depth, descent, draw_case, error_axes, steps
from figures.registry import Effect, Preset
from figures.reports import parameters
from figures.style import COLOURS, new_figure, number

#: The formula's singular values are half the problem's, so its penalty acts like this many times its value.
PENALTY_SCALE = PAPER_SCALE**-2.0
SLICES = (0.1265, 3.207e-3, 1e-8)


def figure_5_data(preset: Preset, seed: int) -> xr.Dataset:
    """Map of E_G over penalty and time, published and exact, and three slices with runs."""
    problem = TwoScale(samples=120, dimension=100, fast=80, condition_number=40.0, noise=0.2)
    times = steps(4, preset)
    # the paper's grid: exponents from 0.1 to 8
    penalties = 10.0 ** -np.linspace(0.1, 8.0, {"quick": 34, "full": 100}[preset])
    compared = {}
    for penalty in SLICES:
        algorithm = _with_penalty(problem, penalty)
        compared[penalty] = checked(problem, algorithm, times, preset, seed, cases=len(SLICES))
    data = together("slice", compared, symbol=r"\lambda", long_name="L2 penalty of the slices, in the formula's units")
    published = np.array([_published(problem, penalty, times) for penalty in penalties])
    exact = np.array([_exact(problem, penalty, times) for penalty in penalties])
    data = data.assign_coords(penalty=("penalty", penalties, {"symbol": r"\lambda", "long_name": "L2 penalty"}))
    data["published_map"] = (("penalty", "time"), published)
    data["exact_map"] = (("penalty", "time"), exact)
    data["published"] = (("slice", "time"), np.array([_published(problem, penalty, times) for penalty in SLICES]))
    data.attrs["noise"] = problem.noise
    data.attrs["caption"] = (
        f"{parameters(problem)}. Generalization error on noisy labels, $E_G + \\sigma^2/2$, of gradient descent at the "
        "step $1/(\\lambda_+ + 4\\lambda)$. $\\lambda$ is the penalty of the published formula; since its singular "
        f"values are half the problem's, theory and runs have the penalty ${PENALTY_SCALE:g}\\lambda$. The published "
        f"map is off the exact one by up to {np.abs(published - exact).max():.3f}."
    )
    return data


def _with_penalty(problem: TwoScale, penalty: float) -> GradientDescent:
    l2 = PENALTY_SCALE * penalty
    return GradientDescent(learning_rate=1.0 / (edges(problem)[1] + l2), l2=l2)


def _published(problem: TwoScale, penalty: float, times: np.ndarray) -> np.ndarray:
    answer = solve(problem, GradientDescent(l2=penalty), times, method="published")
    return np.asarray(answer["generalization_error"]) + problem.noise**2 / 2.0


def _exact(problem: TwoScale, penalty: float, times: np.ndarray) -> np.ndarray:
    answer = solve(problem, _with_penalty(problem, penalty), times, accuracy=1e-9)
    return np.asarray(answer["generalization_error"]) + problem.noise**2 / 2.0


def figure_5_effect(data: xr.Dataset) -> Effect:
    """Measure the second descent at the smallest penalty in theory and runs; the largest has none."""
    drawn = data.sel(teacher="sampled")
    if depth(curve(drawn.isel(slice=0), "theory")) > 1e-3:
        return Effect("single descent at the largest penalty", 0.0, 1.0)
    found = min(depth(curve(drawn.isel(slice=-1), kind)) for kind in ("theory", "mean"))
    return Effect("depth of the second descent at the smallest penalty, which the largest one removes", found, 0.05)


def figure_5_draw(data: xr.Dataset) -> Figure:
    """Two maps and the slices."""
    figure, (left, middle, right) = new_figure(1, 3, size=(13.0, 4.6))
    for axes, name, title in ((left, "published_map", "(c) published"), (middle, "exact_map", "(c) exact")):
        image = axes.pcolormesh(
            data["penalty"],
            data["time"],
            data[name].values.T,
            cmap="viridis",
            vmin=0.2,
            vmax=0.45,
            shading="nearest",
            rasterized=True,
        )
        axes.set(xscale="log", yscale="log", xlabel=r"L2 penalty $\lambda$", ylabel="steps $t$", title=title)
        axes.grid(visible=False)
    figure.colorbar(image, ax=[left, middle], label=r"$E_G + \sigma^2/2$", shrink=0.9, extend="both")
    test_noise = data.attrs["noise"] ** 2 / 2.0
    for colour, penalty in zip(COLOURS, data["slice"].values, strict=False):
        one = data.sel(slice=penalty, teacher="sampled")
        draw_case(
            right,
            one.assign(theory=one["theory"] + test_noise, mean=one["mean"] + test_noise),
            colour,
            rf"$\lambda = {number(penalty)}$",
        )
        right.plot(data["time"], one["published"], color=colour, **PUBLISHED)
    error_axes(right, data["time"], "(d) exact (line), runs (points), published (dashed)")
    right.set(ylim=(0.15, 0.5), ylabel=r"error on noisy labels $E_G + \sigma^2/2$")
    right.legend()
    return figure


def figure_6_data(preset: Preset, seed: int) -> xr.Dataset:
    """Plain gradient descent against the Q-regularisation schedule, exact and simulated."""
    problem = TwoScale(samples=120, dimension=100, fast=70, condition_number=30.0)
    times = steps(5, preset)
    schedule = SoftplusDecay(initial=0.6, rate=1e-3)
    algorithms = {"plain": descent(problem), "with Q-regularisation": descent(problem, output_penalty=schedule)}
    compared = {name: checked(problem, one, times, preset, seed, cases=2) for name, one in algorithms.items()}
    data = together("training", compared)
    data["shrunk"] = ("time", shrinkage(solve(problem, algorithms["plain"], times))["generalization_error"].values)
    data.attrs["caption"] = (
        f"{parameters(problem)}. Gradient descent at the step $1/\\lambda_+$ of the limit, plain and with the loss "
        "$\\frac{1}{2}|Xw - y|^2 + \\frac{a_i}{2}|Xw|^2$, $a_i = a_0 \\log(1 + e^{-r i})/\\log 2$, "
        f"{parameters(schedule)}. Dotted: the plain student at each step shrunk by the best single factor, $E_G = (1 - "
        "R^2/Q)/2$."
    )
    return data


def figure_6_effect(data: xr.Dataset) -> Effect:
    """Measure by how much the schedule lowers the peak, in theory and in the runs."""
    found = min(
        depth(curve(data.isel(training=0, teacher=0), kind)) - depth(curve(data.isel(training=1, teacher=0), kind))
        for kind in ("theory", "mean")
    )
    return Effect("depth of the second descent that the schedule removes, theory and runs", found, 0.03)


def figure_6_draw(data: xr.Dataset) -> Figure:
    """E_G over steps of both trainings."""
    figure, axes = new_figure(1, 1, size=(6.6, 5.0))
    for colour, name in zip(COLOURS, data["training"].values, strict=False):
        draw_case(axes, data.sel(training=name, teacher="sampled"), colour, str(name))
    axes.plot(data["time"], data["shrunk"], ":", color="#555555", label="plain, best shrinkage at each step")
    error_axes(axes, data["time"], "exact (line), runs (points)")
    axes.legend()
    return figure
