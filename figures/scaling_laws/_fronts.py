"""Compute-optimal fronts: risk against compute for many dimensions, and the exponents of their envelope."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analytic.scaling_laws import exponents, solve
from dynamics.algorithms import SGD, DanaConstant, DanaDecaying, ScheduleFree, StochasticAlgorithm
from dynamics.scaling_laws import PowerLawRandomFeatures
from dynamics.times import log_steps
from figures.cases import FALSE_ALARM, together
from figures.comparison import compare
from figures.registry import Effect, Preset
from figures.style import COLOURS, new_figure, number
from simulations.scaling_laws import simulate

Array = NDArray[np.float64]

ALGORITHMS: tuple[StochasticAlgorithm, ...] = (SGD(), ScheduleFree(), DanaConstant(), DanaDecaying())
#: Dimensions are 100 * 2^i: those of the paper, and ten thousand times beyond.
_DOUBLINGS = {"quick": 10, "full": 23}
_ALPHA, _BETA = 1.0, 0.7
_RUNS = {"quick": 40, "full": 200}
_BOOTSTRAP = 400


def fronts_data(preset: Preset, seed: int) -> xr.Dataset:
    """Risk over compute for each algorithm and dimension, the front, its fitted exponents; runs at the smallest d."""
    dimensions = 100 * 2 ** np.arange(1, _DOUBLINGS[preset] + 1)
    smallest = PowerLawRandomFeatures(alpha=_ALPHA, beta=_BETA, dimension=int(dimensions[0]))
    times = log_steps(20_000, 30)
    compared = {}
    for algorithm in ALGORITHMS:
        runs = simulate(smallest, algorithm, times, runs=_RUNS[preset], seed=seed)
        alarm = FALSE_ALARM / len(ALGORITHMS)
        compared[algorithm.label] = compare(solve(smallest, algorithm, times), runs, false_alarm=alarm)
    data = together("algorithm_name", compared)
    steps, risk = _curves(dimensions)
    data["risk"] = (("algorithm_name", "dimension", "sample"), risk)
    data["compute"] = (("dimension", "sample"), dimensions[:, None] * steps)
    crossings = np.array([_crossings(data["compute"].values, one) for one in risk])
    data["front"] = (("algorithm_name", "crossing", "of"), crossings)
    data = data.assign_coords(dimension=("dimension", dimensions), of=["compute", "risk"])
    fits = np.array([_fitted(one, seed) for one in crossings])
    data["fitted"] = (("algorithm_name", "estimate"), fits)
    data["exact"] = ("algorithm_name", [exponents(_ALPHA, _BETA, one.label).loss for one in ALGORITHMS])
    data = data.assign_coords(estimate=["exponent", "standard_error"])
    data.attrs["caption"] = (
        f"$\\alpha = {_ALPHA:g}$, $\\beta = {_BETA:g}$, $d = 200, 400, ..., {number(dimensions[-1])}$, $v = 4d$, batch "
        "size 1, no label noise, default coefficients. Left: deterministic equivalent (lines) for each $d$ against the "
        "compute $f = d t$, the crossings of neighbours (dots), and the mean of runs at the smallest $d$ (crosses, "
        "where they are tested). Right: minus the slope between crossings, the exact exponents (dashed), and in the "
        "legend the fit to the last half of the crossings with its bootstrap error."
    )
    return data


def _curves(dimensions: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return steps (dimension, sample) and risk (algorithm, dimension, sample), past where the front leaves a curve."""
    steps = np.array([np.unique(np.geomspace(1, 30.0 * d**1.4, 150).astype(np.int64))[-80:] for d in dimensions])
    risk = np.empty((len(ALGORITHMS), *steps.shape))
    for i, d in enumerate(dimensions):
        problem = PowerLawRandomFeatures(alpha=_ALPHA, beta=_BETA, dimension=int(d))
        for k, algorithm in enumerate(ALGORITHMS):
            risk[k, i] = solve(problem, algorithm, steps[i]).risk.values
    return steps.astype(np.float64), risk


def _crossings(compute: Array, risk: Array) -> Array:
    """Return compute and risk where each curve meets the next larger dimension's, by lines in both logarithms."""
    found = []
    for one, two, p, q in zip(compute[:-1], compute[1:], risk[:-1], risk[1:], strict=True):
        grid = np.linspace(np.log(max(one[0], two[0])), np.log(min(one[-1], two[-1])), 4000)
        first, second = np.interp(grid, np.log(one), np.log(p)), np.interp(grid, np.log(two), np.log(q))
        # the smaller dimension is ahead at first and stays behind in the end
        place = int(np.flatnonzero(first < second)[-1])
        found.append((np.exp(grid[place]), np.exp(first[place])))
    return np.array(found)


def _slopes(front: Array) -> tuple[Array, Array]:
    """Return the compute in the middle of neighbouring crossings and minus the slope between them."""
    x, y = np.log(front).T
    return np.exp((x[:-1] + x[1:]) / 2), -np.diff(y) / np.diff(x)


def _fitted(front: Array, seed: int) -> tuple[float, float]:
    """Fit the last half of the crossings by a power law; resample them for the error."""
    x, y = np.log(front[front.shape[0] // 2 :]).T
    rng, count = np.random.default_rng(seed), x.size
    draws: list[float] = []
    while len(draws) < _BOOTSTRAP:
        chosen = rng.integers(0, count, count)
        if np.unique(chosen).size > 1:
            draws.append(float(-np.polyfit(x[chosen], y[chosen], 1)[0]))
    return float(-np.polyfit(x, y, 1)[0]), float(np.std(draws))


def fronts_effect(data: xr.Dataset) -> Effect:
    """Measure how much steeper DANA-decaying's front is than SGD's."""
    fitted = data["fitted"].sel(estimate="exponent")
    gain = float(fitted.sel(algorithm_name="dana-decaying") - fitted.sel(algorithm_name="sgd"))
    return Effect("loss exponent of DANA-decaying minus that of SGD", gain, 0.1)


def fronts_draw(data: xr.Dataset) -> Figure:
    """Left: curves and fronts; right: local exponents."""
    figure, (left, right) = new_figure(1, 2, size=(12.0, 5.2))
    for colour, name in zip(COLOURS, data["algorithm_name"].values, strict=False):
        one = data.sel(algorithm_name=name)
        for i in range(data.sizes["dimension"]):
            left.plot(data["compute"][i], one["risk"][i], color=colour, linewidth=0.7, alpha=0.55)
        front = one["front"].values
        exponent, error = one["fitted"].values
        left.plot(*front.T, "o", color=colour, markersize=3.5, label=str(name))
        runs = one.sel(variable="risk")
        shown = runs["tested"].values
        left.plot(
            data["dimension"].values[0] * data["time"].values[shown], runs["mean"].values[shown], "x", color=colour,
            markersize=3.5,
        )  # fmt: skip
        found = rf"${exponent:.4f} \pm {number(float(f'{error:.1g}'))}$, exact ${float(one['exact']):.4f}$"
        right.plot(*_slopes(front), "o-", color=colour, markersize=3.5, label=f"{name}: {found}")
        right.axhline(float(one["exact"]), color=colour, linestyle="--", linewidth=0.9)
    left.set(xscale="log", yscale="log", xlabel="compute $f = d t$", ylabel="risk $P$")
    right.set(xscale="log", xlabel="compute $f = d t$", ylabel="local loss exponent of the front")
    left.legend()
    right.set_ylim(right.get_ylim()[0], 1.12 * right.get_ylim()[1])
    right.legend(loc="upper left")
    return figure
